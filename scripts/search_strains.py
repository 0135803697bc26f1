"""Count the k-mers of the strains' genomes in a sample's reads (rule search_strains)."""

import json
from itertools import chain
from pathlib import Path

import dnaio

from moodbiome.classification import used_files, why_failed
from moodbiome.strains import read_strains, search_strains

snake_in, params = snakemake.input, snakemake.params
runs = [json.loads(Path(file).read_text()) for file in snake_in.clean]
files = []
if not why_failed(runs) and any(run["non_host"] for run in runs):
    files = [file for mates in used_files(runs, snake_in.r1, snake_in.r2) for file in mates]


def sequences(file):
    with dnaio.open(file) as records:
        yield from (record.sequence for record in records)


found = search_strains(
    read_strains(Path(snake_in.table)),
    chain.from_iterable(map(sequences, files)),
    params.kmer,
    params.scaled,
)
Path(snakemake.output[0]).write_text(json.dumps(found, indent=1) + "\n")
Path(snakemake.log[0]).write_text(f"{found['reads']} reads, {found['bases']} bases\n")
