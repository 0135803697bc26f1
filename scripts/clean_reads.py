"""Cut a run's primers, trim its reads and remove the host's (rule clean_reads)."""

import json
from pathlib import Path

from moodbiome.cleaning import clean_run

wildcards, params, output = snakemake.wildcards, snakemake.params, snakemake.output
check = json.loads(Path(snakemake.input.check).read_text())
fastq, without_primers, trimmed = list(snakemake.input.fastq), 0, []
if params.primers != "none" and check["status"] == "ok":
    from moodbiome.amplicon import cut_run

    trimmed = [output.r1.replace(".clean.R1", f".primers.R{mate}") for mate in (1, 2)]
    place = f"sample {wildcards.sample}, run {wildcards.run}, clean_reads"
    fastq, without_primers, said = cut_run(
        fastq[: len(check["files"])],
        trimmed,
        params.primers,
        Path(snakemake.input.primers),
        check["fragments"],
        place,
        Path(snakemake.log[0]).with_suffix(".primers.log"),
        threads=snakemake.threads,
    )
    check["warnings"].append(said)
    check["fragments"] -= without_primers
try:
    counts = clean_run(
        check=check,
        fastq=fastq,
        clean=[output.r1, output.r2],
        fastp_report=Path(output.fastp),
        host_index=params.host,
        min_length=params.min_length,
        min_quality=params.min_quality,
        max_bad_percent=params.max_bad_percent,
        threads=snakemake.threads,
        log=Path(snakemake.log[0]),
    )
finally:
    for file in trimmed:
        Path(file).unlink(missing_ok=True)
if without_primers:
    counts["raw"] += without_primers
    counts["failed_qc"] += without_primers
Path(output.clean).write_text(json.dumps(counts, indent=1) + "\n")
