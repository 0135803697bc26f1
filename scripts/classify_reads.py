"""Classify a sample with Kraken2 (rule classify_reads)."""

import json
from pathlib import Path

from moodbiome.classification import choose_confidence, classify_sample
from moodbiome.staging import StagingError, at_hand

snake_in, params, log = snakemake.input, snakemake.params, Path(snakemake.log[0])
files = [Path(file) for file in snake_in.database]
try:
    with at_hand(files, params.stage, Path(snake_in.fingerprint)) as database:
        profile = classify_sample(
            runs=[json.loads(Path(file).read_text()) for file in snake_in.clean],
            r1=list(snake_in.r1),
            r2=list(snake_in.r2),
            database=database,
            report=Path(snakemake.output.report),
            confidence=choose_confidence(params.confidence, files[0].stat().st_size),
            min_hit_groups=params.min_hit_groups,
            threads=snakemake.threads,
            log=log,
        )
except StagingError as error:
    log.write_text(f"{error}\n")
    raise SystemExit(str(error)) from error
Path(snakemake.output.profile).write_text(json.dumps(profile, indent=1) + "\n")
