"""Count copies of marker genes per genome (rule measure_genes)."""

import json
from pathlib import Path

import pandas as pd

from moodbiome.cohort import write_tsv
from moodbiome.genes import measure_genes

snake_in, output, params = snakemake.input, snakemake.output, snakemake.params
searched = {}
for file in snake_in.searched:
    found = json.loads(Path(file).read_text())
    searched[found["sample"]] = found
families = json.loads(Path(snake_in.fingerprint).read_text())["families"]
measured = measure_genes(searched, families, params.min_single_copy_fragments, params.seed)
write_tsv(measured.copies, output.genes)
write_tsv(measured.limits, output.limits)
write_tsv(measured.fragments, output.counts)
write_tsv(measured.intervals, output.intervals)
write_tsv(measured.search, output.search)
no_genes = "reads of 16S hold no genes of proteins: only shotgun reads are searched"
others = [(assay, "genes", None, no_genes) for assay in params.others]
notes = pd.concat(
    [
        measured.not_run.assign(assay="shotgun"),
        pd.DataFrame(others, columns=["assay", "analysis", "sample", "reason"]),
    ]
)
write_tsv(notes[["assay", "analysis", "sample", "reason"]], output.not_run)
states = measured.search["status"].value_counts().sort_index()
Path(snakemake.log[0]).write_text("".join(f"{state}: {n}\n" for state, n in states.items()))
