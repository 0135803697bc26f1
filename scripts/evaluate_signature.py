"""Judge the signature score on the groups of the sheet (rule evaluate_signature)."""

from pathlib import Path

import pandas as pd

from moodbiome.cohort import of_assay, read_cohort, read_tsv, write_by_assay
from moodbiome.evaluation import CALIBRATION_COLUMNS, COLUMNS, CURVE_COLUMNS, evaluate
from moodbiome.faults import NotRun

snake_in, output, params = snakemake.input, snakemake.output, snakemake.params
subject = params.subject or "subject"
cohort = read_cohort(snake_in.status, snake_in.metadata, params.group, params.study, subject)
scores = read_tsv(snake_in.scores)
trained = read_tsv(snake_in.trained[0], text=["cohort"]) if snake_in.trained else None

tables, bins, curves, notes = {}, {}, {}, {}
for assay in params.assays:
    tables[assay], bins[assay], curves[assay], reasons = [], [], [], []
    samples = of_assay(cohort, assay)
    score = scores[scores["assay"] == assay].set_index("sample")["score"]
    try:
        if not params.group:
            raise NotRun("no group is set")
        found = evaluate(
            samples[samples["is_usable"]].assign(score=score),
            params.group,
            params.reference,
            study=params.study,
            subject=subject,
            covariates=params.covariates,
            permutations=params.permutations,
            trained=None if trained is None else trained[trained["assay"] == assay],
            seed=params.seed,
        )
        tables[assay].append(found.table)
        bins[assay].append(found.calibration)
        curves[assay].append(found.curves)
        reasons = found.reasons
    except NotRun as refusal:
        reasons = [refusal.reason]
    rows = [("evaluation", reason) for reason in reasons]
    notes[assay] = [pd.DataFrame(rows, columns=["analysis", "reason"])]

write_by_assay(tables, output.evaluation, COLUMNS)
write_by_assay(bins, output.calibration, CALIBRATION_COLUMNS)
write_by_assay(curves, output.curves, CURVE_COLUMNS)
write_by_assay(notes, output.not_run, ["assay", "analysis", "sample", "reason"])
Path(snakemake.log[0]).write_text(Path(output.not_run).read_text())
