"""Classify a sample with Kraken2 (rule classify_reads)."""

import json
from pathlib import Path

from moodbiome.classification import classify_sample

snake_in, params = snakemake.input, snakemake.params
profile = classify_sample(
    runs=[json.loads(Path(file).read_text()) for file in snake_in.clean],
    r1=list(snake_in.r1),
    r2=list(snake_in.r2),
    database=Path(snake_in.database[0]).parent,
    report=Path(snakemake.output.report),
    confidence=params.confidence,
    min_hit_groups=params.min_hit_groups,
    threads=snakemake.threads,
    log=Path(snakemake.log[0]),
)
Path(snakemake.output.profile).write_text(json.dumps(profile, indent=1) + "\n")
