"""Classify a sample with Kraken2 (rule classify_reads)."""

import json
from contextlib import nullcontext
from pathlib import Path

from moodbiome.classification import choose_confidence, classify_sample
from moodbiome.staging import StagingError, node_folder, staged

snake_in, params, log = snakemake.input, snakemake.params, Path(snakemake.log[0])
files = [Path(file) for file in snake_in.database]
try:
    # Variables such as $TMPDIR mean something else on each node: they are filled in here.
    if params.stage:
        fingerprint = json.loads(Path(snake_in.fingerprint).read_text())
        at_hand = staged(files, node_folder(params.stage), fingerprint)
    else:
        at_hand = nullcontext(files[0].parent)
    with at_hand as database:
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
