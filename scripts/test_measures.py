"""Test measured variables, and whether findings hold in other samples (rule test_measures)."""

from pathlib import Path

import pandas as pd

from moodbiome.association import build_design
from moodbiome.cohort import (
    count_classified,
    left_out,
    of_assay,
    read_cohort,
    read_tsv,
    require_usable,
    write_by_assay,
)
from moodbiome.dictionary import read_dictionary
from moodbiome.diversity import features
from moodbiome.faults import NotRun
from moodbiome.formula import split_formula
from moodbiome.measure_models import (
    MEASURE_COLUMNS,
    SENSITIVITY_COLUMNS,
    associate_group,
    associate_measures,
    canonical_categories,
    community_features,
    function_features,
    missing_by_sample,
    run_words,
    sensitivity_runs,
)
from moodbiome.tables import prokaryotes, read_counts

snake_in, output, params = snakemake.input, snakemake.output, snakemake.params
cohort = read_cohort(snake_in.status, snake_in.metadata, params.group)
dictionary = read_dictionary(Path(snake_in.dictionary))
ledger, alpha, scores = (
    read_tsv(path) for path in (snake_in.ledger, snake_in.alpha, snake_in.scores)
)
formula = params.formula
subject = (split_formula(formula)[1] if formula else None) or params.subject or "subject"
references = {params.group: params.reference} if params.group else {}
functions = read_tsv(snake_in.modules[0], text=["module", "name"]) if snake_in.modules else None


def modules_of(assay, samples):
    """Gut-brain modules of some samples as outcomes, in a list of one or none; and why not."""
    if functions is None or assay not in set(functions["assay"]):
        return [], []
    rows = (functions["assay"] == assay) & functions["sample"].isin(samples)
    try:
        block, without = function_features(functions[rows], params.min_prevalence)
        return [block], without
    except NotRun as refusal:
        return [], [refusal.reason]


measured, compared, notes = {}, {}, {}
for assay, file in zip(params.assays, snake_in.counts, strict=True):
    counts = prokaryotes(read_counts(file))
    taxa = features(counts)
    samples = of_assay(cohort, assay)
    n_classified = count_classified(ledger, assay, taxa)
    measured[assay], compared[assay], notes[assay] = [], [], []
    given = {
        "n_classified": n_classified,
        "names": counts["name"],
        "alpha": alpha[alpha["assay"] == assay],
        "scores": scores[scores["assay"] == assay],
        "method": params.method,
        "min_prevalence": params.min_prevalence,
        "min_mean_abundance": params.min_mean_abundance,
    }
    reasons = []
    try:
        if not params.measures:
            raise NotRun("the sheet has no measured variable of the data dictionary that varies")
        require_usable(samples)
        usable = canonical_categories(samples[samples["is_usable"]], dictionary)
        runs, without = sensitivity_runs(usable, params.recent_antibiotics_days)
        reasons += [
            ("sensitivity", f"{run_words(run)}: {reason}") for run, reason in without.items()
        ]
        outcomes, without = community_features(taxa[usable.index], **given)
        blocks, of_modules = modules_of(assay, usable.index)
        reasons += [("measures", reason) for reason in [*without, *of_modules]]
        table, refused = associate_measures(
            [*outcomes, *blocks],
            usable,
            params.measures,
            params.adjust_for,
            runs,
            dictionary,
            subject,
        )
        measured[assay].append(table)
        missing = missing_by_sample(usable, [*params.measures, *params.adjust_for])
        notes[assay].append(left_out("measures", missing))
        reasons += [("measures", reason) for reason in refused]
    except NotRun as error:
        reasons.append(("measures", error.reason))
    try:
        if not params.group:
            raise NotRun("no group is set")
        require_usable(samples)
        usable = samples[samples["is_usable"]]
        usable = usable.loc[build_design(usable, formula, references).matrix.index]
        runs, without = sensitivity_runs(
            canonical_categories(usable, dictionary), params.recent_antibiotics_days
        )
        reasons += [
            ("sensitivity", f"{run_words(run)}: {reason}") for run, reason in without.items()
        ]
        outcomes, without = community_features(taxa[usable.index], **given)
        blocks, of_modules = modules_of(assay, usable.index)
        reasons += [("sensitivity", reason) for reason in [*without, *of_modules]]
        # Apart: a model that the measured samples do not allow must not stop those of the taxa.
        for features_of in filter(None, (outcomes, blocks)):
            table, refused = associate_group(
                features_of, usable, formula, params.group, references, runs
            )
            compared[assay].append(table)
            reasons += [
                ("sensitivity", f"{run_words(run)}: {reason}") for run, reason in refused.items()
            ]
    except NotRun as error:
        reasons.append(("sensitivity", error.reason))
    rows = pd.DataFrame(list(dict.fromkeys(reasons)), columns=["analysis", "reason"])
    notes[assay].append(rows)

write_by_assay(measured, output.measures, MEASURE_COLUMNS)
write_by_assay(compared, output.group_sensitivity, SENSITIVITY_COLUMNS)
write_by_assay(notes, output.not_run, ["assay", "analysis", "sample", "reason"])
Path(snakemake.log[0]).write_text(Path(output.not_run).read_text())
