"""Measure alpha and beta diversity and test the groups (rule measure_diversity)."""

from pathlib import Path

import pandas as pd

from moodbiome.cohort import left_out, of_assay, read_cohort, write_by_assay, write_tsv
from moodbiome.comparison import as_table, block_matrix, compare
from moodbiome.diversity import features
from moodbiome.phylogeny import read_tree
from moodbiome.tables import prokaryotes, read_counts

snake_in, output, params = snakemake.input, snakemake.output, snakemake.params
cohort = read_cohort(snake_in.status, snake_in.metadata, params.settings["group"])
tree = read_tree(snake_in.tree[0]) if snake_in.tree else None
found = {}
for assay, file in zip(params.assays, snake_in.counts, strict=True):
    counts = prokaryotes(read_counts(file))
    labels = counts[["name", "lineage"]]
    samples = of_assay(cohort, assay)
    found[assay] = compare(features(counts), samples, labels, tree, **params.settings)

measured = ["value", "low", "high", "depth_used", "coverage_used", "status"]
alpha = {assay: [part.alpha] for assay, part in found.items()}
write_by_assay(alpha, output.alpha, ["sample", "assay", "metric", *measured])
depth = {assay: [part.depth] for assay, part in found.items()}
write_by_assay(depth, output.depth, ["assay", "metric", "depth_fragments"])
effects = {assay: [part.depth_effects] for assay, part in found.items()}
write_by_assay(effects, output.depth_effects, ["assay", "metric", "term", "depth_fragments"])
tests = {assay: part.tests for assay, part in found.items()}
write_by_assay(tests, output.permanova, ["assay", "metric", "term"])
files = zip(params.metrics, output.beta, output.ordination, output.loadings, strict=True)
for metric, beta, ordination, loadings in files:
    square = block_matrix({assay: part.distance.get(metric) for assay, part in found.items()})
    write_tsv(square, beta, index=True, index_label="sample")
    axes = {assay: [as_table(part.ordination.get(metric))] for assay, part in found.items()}
    write_by_assay(axes, ordination, ["sample", "assay"])
    taxa = {assay: [part.loadings.get(metric)] for assay, part in found.items()}
    write_by_assay(taxa, loadings, ["assay", "axis", "taxon_id", "name"])
notes = {
    assay: [
        pd.DataFrame(part.not_run, columns=["analysis", "reason"]),
        left_out("permanova", part.dropped),
    ]
    for assay, part in found.items()
}
write_by_assay(notes, output.not_run, ["assay", "analysis", "sample", "reason"])
Path(snakemake.log[0]).write_text(Path(output.not_run).read_text())
