"""Analyse each study of the sheet alone and pool their effects (rule pool_cohorts)."""

from pathlib import Path

import pandas as pd

from moodbiome.cohort import (
    count_classified,
    left_out,
    of_assay,
    read_cohort,
    read_tsv,
    require_usable,
    write_by_assay,
    write_tsv,
)
from moodbiome.diversity import features
from moodbiome.faults import NotRun
from moodbiome.meta_analysis import (
    BY_COHORT_COLUMNS,
    differences_by_cohort,
    pool_cohorts,
    taxa_by_cohort,
)
from moodbiome.tables import prokaryotes, read_counts

snake_in, output, params = snakemake.input, snakemake.output, snakemake.params
group, study = params.group, params.study
subject = params.subject or "subject"
cohort = read_cohort(snake_in.status, snake_in.metadata, group, study, subject)
ledger, alpha = read_tsv(snake_in.ledger), read_tsv(snake_in.alpha)
scores = (
    read_tsv(snake_in.scores).assign(metric="signature score").rename(columns={"score": "value"})
)
formula = params.formula

tables, notes = {}, {}
for assay, file in zip(params.assays, snake_in.counts, strict=True):
    counts = prokaryotes(read_counts(file))
    taxa = features(counts)
    samples = of_assay(cohort, assay)
    tables[assay], reasons, dropped = [], [], {}
    try:
        if not formula:
            raise NotRun("neither a group nor a formula is set")
        require_usable(samples)
        usable = samples[samples["is_usable"]]
        table, not_run, dropped = taxa_by_cohort(
            taxa,
            count_classified(ledger, assay, taxa),
            usable,
            study,
            formula,
            {group: params.reference} if group else None,
            counts["name"],
            method=params.method,
            draws=params.draws,
            seed=params.seed,
            min_prevalence=params.min_prevalence,
            min_mean_abundance=params.min_mean_abundance,
        )
        tables[assay].append(table)
        reasons += [f"taxa, study {name}: {reason}" for name, reason in not_run.items()]
        for kind, values in (("alpha diversity", alpha), ("signature", scores)):
            if group:
                wide = values[values["assay"] == assay].pivot_table(
                    index="sample", columns="metric", values="value"
                )
                table, not_run = differences_by_cohort(
                    wide, usable, study, group, params.reference, kind, subject
                )
                tables[assay].append(table)
                reasons += [f"{kind}, study {name}: {said}" for name, said in not_run.items()]
    except NotRun as refusal:
        reasons.append(refusal.reason)
    rows = [("pooled", reason) for reason in reasons]
    notes[assay] = [
        left_out("pooled", dropped),
        pd.DataFrame(rows, columns=["analysis", "reason"]),
    ]

write_by_assay(tables, output.by_cohort, BY_COHORT_COLUMNS)
write_tsv(pool_cohorts(read_tsv(output.by_cohort, text=["study", "feature"])), output.pooled)
write_by_assay(notes, output.not_run, ["assay", "analysis", "sample", "reason"])
Path(snakemake.log[0]).write_text(Path(output.not_run).read_text())
