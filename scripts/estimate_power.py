"""Estimate what effects this cohort can find (rule estimate_power)."""

from pathlib import Path

import pandas as pd

from moodbiome.cohort import (
    count_classified,
    of_assay,
    read_cohort,
    read_tsv,
    require_usable,
    write_by_assay,
)
from moodbiome.diversity import features
from moodbiome.faults import NotRun
from moodbiome.power import COLUMNS, estimate_power
from moodbiome.tables import prokaryotes, read_counts

snake_in, output, params = snakemake.input, snakemake.output, snakemake.params
settings = dict(params.settings)
group = settings["group"]
cohort = read_cohort(snake_in.status, snake_in.metadata, group)
ledger, scores, alpha = map(read_tsv, (snake_in.ledger, snake_in.scores, snake_in.alpha))

tables, notes = {}, {}
for assay, file in zip(params.assays, snake_in.counts, strict=True):
    taxa = features(prokaryotes(read_counts(file)))
    samples = of_assay(cohort, assay)
    score = scores[scores["assay"] == assay].set_index("sample")["score"]
    outcomes = {("signature_score", "all"): score}
    of_assay_alpha = alpha[alpha["assay"] == assay].set_index("sample")
    for metric in ("observed", "shannon"):
        is_metric = of_assay_alpha["metric"] == metric
        outcomes["alpha_diversity", metric] = of_assay_alpha.loc[is_metric, "value"]
    try:
        require_usable(samples)
        table, reasons = estimate_power(
            samples[samples["is_usable"]],
            taxa,
            count_classified(ledger, assay, taxa),
            outcomes,
            **settings,
        )
        tables[assay] = [table]
    except NotRun as error:
        tables[assay], reasons = [], [error.reason]
    rows = [("power", reason) for reason in reasons]
    notes[assay] = [pd.DataFrame(rows, columns=["analysis", "reason"])]

write_by_assay(tables, output.power, COLUMNS)
write_by_assay(notes, output.not_run, ["assay", "analysis", "sample", "reason"])
Path(snakemake.log[0]).write_text(Path(output.not_run).read_text())
