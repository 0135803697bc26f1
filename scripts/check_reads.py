"""Check a run's FASTQ files (rule check_reads)."""

import json
from pathlib import Path

from moodbiome.fastq import check_fastq

wildcards, params = snakemake.wildcards, snakemake.params
files, names = list(snakemake.input), list(params.names)
if params.accession:
    # A single-end run is fetched with an empty second file.
    files = [file for file in files if Path(file).stat().st_size]
    names = [Path(file).name for file in files]
check = check_fastq(files).as_dict()
# Results name files as the sheet does, so that they do not depend on where a run lies.
for file, name in zip(check["files"], names, strict=True):
    check["reason"] = check["reason"].replace(file["file"], name)
    check["warnings"] = [said.replace(file["file"], name) for said in check["warnings"]]
    file["file"] = name
Path(snakemake.log[0]).write_text(f"{check['status']} {check['reason']}\n")
if check["status"] == "failed" and params.on_failure == "stop":
    raise SystemExit(f"sample {wildcards.sample}, run {wildcards.run}: {check['reason']}")
key = {"sample": wildcards.sample, "assay": wildcards.assay, "run": wildcards.run}
Path(snakemake.output.check).write_text(json.dumps({**key, **check}, indent=1) + "\n")
