"""Model each taxon on the cohort's variables (rule test_associations)."""

from pathlib import Path

import pandas as pd

from moodbiome.association import build_design, run_models
from moodbiome.cohort import (
    count_classified,
    left_out,
    of_assay,
    read_cohort,
    read_tsv,
    require_usable,
    write_by_assay,
)
from moodbiome.diversity import features
from moodbiome.faults import NotRun
from moodbiome.tables import prokaryotes, read_counts

snake_in, output, params = snakemake.input, snakemake.output, snakemake.params
cohort = read_cohort(snake_in.status, snake_in.metadata, params.group)
ledger = read_tsv(snake_in.ledger)
formula = params.formula
references = {params.group: params.reference} if params.group else None

tables, notes = {}, {}
for assay, file in zip(params.assays, snake_in.counts, strict=True):
    counts = prokaryotes(read_counts(file))
    taxa = features(counts)
    samples = of_assay(cohort, assay)
    tables[assay], notes[assay] = [], []
    try:
        if not formula:
            raise NotRun("neither a group nor a formula is set")
        require_usable(samples)
        design = build_design(samples[samples["is_usable"]], formula, references)
        table, not_run = run_models(
            taxa,
            count_classified(ledger, assay, taxa),
            design,
            names=counts["name"],
            methods=params.methods,
            max_fdr=params.max_fdr,
            calibration=read_tsv(snake_in.calibration),
            draws=params.draws,
            seed=params.seed,
            min_prevalence=params.min_prevalence,
            min_mean_abundance=params.min_mean_abundance,
        )
        tables[assay].append(table.assign(rank=params.rank))
        notes[assay].append(left_out("differential", design.dropped.to_dict()))
        reasons = list(not_run.values())
    except NotRun as error:
        reasons = [error.reason]
    rows = [("differential", reason) for reason in reasons]
    notes[assay].append(pd.DataFrame(rows, columns=["analysis", "reason"]))

write_by_assay(tables, output.differential, ["taxon_id", "assay", "name", "term"])
write_by_assay(notes, output.not_run, ["assay", "analysis", "sample", "reason"])
Path(snakemake.log[0]).write_text(Path(output.not_run).read_text())
