"""Trim a run's reads and remove the host's, in one stream (rule clean_reads)."""

import json
from pathlib import Path

from moodbiome.cleaning import clean_run

wildcards, params, output = snakemake.wildcards, snakemake.params, snakemake.output
check = json.loads(Path(snakemake.input.check).read_text())
counts = clean_run(
    check=check,
    fastq=snakemake.input.fastq,
    clean=[output.r1, output.r2],
    fastp_report=Path(output.fastp),
    host_index=params.host,
    min_length=params.min_length,
    min_quality=params.min_quality,
    max_bad_percent=params.max_bad_percent,
    threads=snakemake.threads,
    log=Path(snakemake.log[0]),
)
Path(output.clean).write_text(json.dumps(counts, indent=1) + "\n")
