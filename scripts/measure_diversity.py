"""Measure alpha and beta diversity and test the groups (rule measure_diversity)."""

from pathlib import Path

import pandas as pd

from moodbiome.cohort import left_out, of_assay, read_cohort, write_by_assay, write_tsv
from moodbiome.comparison import METRICS, as_table, block_matrix, compare
from moodbiome.diversity import features
from moodbiome.tables import prokaryotes, read_counts

snake_in, output, params = snakemake.input, snakemake.output, snakemake.params
cohort = read_cohort(snake_in.status, snake_in.metadata, params.settings["group"])
found = {
    assay: compare(
        features(prokaryotes(read_counts(file))), of_assay(cohort, assay), **params.settings
    )
    for assay, file in zip(params.assays, snake_in.counts, strict=True)
}

measured = ["value", "low", "high", "depth_used", "status"]
alpha = {assay: [part.alpha] for assay, part in found.items()}
write_by_assay(alpha, output.alpha, ["sample", "assay", "metric", *measured])
depth = {assay: [part.depth] for assay, part in found.items()}
write_by_assay(depth, output.depth, ["assay", "metric", "depth_fragments"])
tests = {assay: part.tests for assay, part in found.items()}
write_by_assay(tests, output.permanova, ["assay", "metric", "term"])
for metric, beta, ordination in zip(METRICS, output.beta, output.ordination, strict=True):
    square = block_matrix({assay: part.distance.get(metric) for assay, part in found.items()})
    write_tsv(square, beta, index=True, index_label="sample")
    axes = {assay: [as_table(part.ordination.get(metric))] for assay, part in found.items()}
    write_by_assay(axes, ordination, ["sample", "assay"])
notes = {
    assay: [
        pd.DataFrame(part.not_run, columns=["analysis", "reason"]),
        left_out("permanova", part.dropped),
    ]
    for assay, part in found.items()
}
write_by_assay(notes, output.not_run, ["assay", "analysis", "sample", "reason"])
Path(snakemake.log[0]).write_text(Path(output.not_run).read_text())
