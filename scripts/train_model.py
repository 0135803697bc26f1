"""Train a model on the taxa, and predict samples it was not fitted to (rule train_model)."""

from importlib.metadata import version
from pathlib import Path

import pandas as pd
from threadpoolctl import threadpool_limits

from moodbiome.cohort import count_classified, of_assay, read_cohort, read_tsv, write_by_assay
from moodbiome.diversity import features
from moodbiome.faults import NotRun
from moodbiome.ledger import tsv
from moodbiome.tables import prokaryotes, read_counts
from moodbiome.trained import FEATURE_COLUMNS, PREDICTION_COLUMNS, Screen, train

snake_in, output, params = snakemake.input, snakemake.output, snakemake.params
subject = params.subject or "subject"
cohort = read_cohort(snake_in.status, snake_in.metadata, params.group, params.study, subject)
scores, ledger = read_tsv(snake_in.scores), read_tsv(snake_in.ledger)

predictions, selected, notes = {}, {}, {}
for assay, file in zip(params.assays, snake_in.counts, strict=True):
    counts = prokaryotes(read_counts(file))
    taxa = features(counts)
    samples = of_assay(cohort, assay)
    usable = samples[samples["is_usable"]]
    score = scores[scores["assay"] == assay].set_index("sample")["score"]
    shares = taxa.div(count_classified(ledger, assay, taxa).loc[taxa.columns])
    predictions[assay], selected[assay] = [], []
    try:
        # Fits run side by side; each of them has one thread.
        with threadpool_limits(1):
            found = train(
                usable.assign(score=score),
                shares,
                params.group,
                params.reference,
                Screen(params.min_prevalence, params.min_mean_abundance, params.offset),
                study=params.study,
                subject=subject,
                threads=snakemake.threads,
                seed=params.seed,
            )
        predictions[assay].append(found.predictions)
        names = counts["name"].loc[found.features["taxon_id"]].to_numpy()
        selected[assay].append(found.features.assign(name=names))
        reasons = found.reasons
    except NotRun as refusal:
        reasons = [refusal.reason]
    rows = [("trained model", reason) for reason in reasons]
    notes[assay] = [pd.DataFrame(rows, columns=["analysis", "reason"])]

write_by_assay(predictions, output.predictions, PREDICTION_COLUMNS)
write_by_assay(selected, output.features, FEATURE_COLUMNS)
write_by_assay(notes, output.not_run, ["assay", "analysis", "sample", "reason"])
used = [("scikit-learn", version("scikit-learn"), "python")]
Path(output.software).write_text(tsv(["tool", "version", "provided_by"], used))
Path(snakemake.log[0]).write_text(Path(output.not_run).read_text())
