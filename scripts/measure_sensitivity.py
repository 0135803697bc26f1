"""Classify the first fragments of a few samples with other settings (rule measure_sensitivity)."""

import json
from pathlib import Path

from moodbiome.classification import choose_confidence
from moodbiome.ledger import tsv
from moodbiome.minimisers import Limits
from moodbiome.sensitivity import COLUMNS, measure_sample
from moodbiome.staging import StagingError, at_hand

snake_in, params, log = snakemake.input, snakemake.params, Path(snakemake.log[0])
database = [Path(file) for file in snake_in.database]
log.write_text("")
files = [
    (json.loads(Path(clean).read_text()), r1, r2)
    for clean, r1, r2 in zip(snake_in.clean, snake_in.r1, snake_in.r2, strict=True)
]
# Of 16S every fragment is from the same stretch: minimisers say nothing there.
is_amplicon = snakemake.wildcards.assay == "amplicon"
limits = params.minimisers
rows = []
try:
    with at_hand(database, params.stage, Path(snake_in.fingerprint)) as folder:
        for sample in params.samples:
            of_sample = [parts for parts in files if parts[0]["sample"] == sample]
            runs, r1, r2 = (list(column) for column in zip(*of_sample, strict=True))
            rows += measure_sample(
                runs,
                r1,
                r2,
                n_fragments=params.fragments,
                database=folder,
                min_hit_groups=params.min_hit_groups,
                threads=snakemake.threads,
                log=log,
                confidence=choose_confidence(params.confidence, database[0].stat().st_size),
                min_fragments=params.min_fragments,
                limits=None
                if is_amplicon
                else Limits(limits["min_distinct"], limits["min_distinct_share"]),
                action=limits["action"],
            )
except StagingError as error:
    log.write_text(f"{error}\n")
    raise SystemExit(str(error)) from error
cells = ([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row] for row in rows)
Path(snakemake.output[0]).write_text(tsv(COLUMNS, cells))
