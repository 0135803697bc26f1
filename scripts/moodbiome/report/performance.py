"""The section on how well the score tells the groups apart."""

import pandas as pd

from moodbiome import figures
from moodbiome.evaluation import ACROSS, BOTH, SCORE, TRAINED, WITHIN
from moodbiome.figures import listed, plain
from moodbiome.report.content import Report, assays_of, not_empty
from moodbiome.report.display import Shown, key_of, show


def evaluation_sentences(report: Report) -> list[str]:
    """What the score does on each comparison, and what it adds to the covariates."""
    table = not_empty(report.evaluation)
    if table is None:
        return []
    sentences = []
    several = len(assays_of(table)) > 1
    for (assay, comparison), part in table.groupby(["assay", "comparison"], sort=False):
        scored = part[part["model"] == SCORE]
        row = scored.iloc[-1]
        where = " within cohorts" if row["n_cohorts"] > 1 else ""
        said = (
            f"{plain(str(comparison))}{f' ({assay})' if several else ''}: area{where} "
            f"{row['auc']:.2f} [{row['low']:.2f}, {row['high']:.2f}], permutation p "
            f"{row['p_permutation']:.2g}, n = {row['n_other']:.0f} against "
            f"{row['n_reference']:.0f}{_of_subjects(row)}."
        )
        both = part[(part["model"] == BOTH) & (part["validation"] == WITHIN)]
        if len(both):
            added = both.iloc[-1]
            ends = f"{added['difference_low']:+.2f}, {added['difference_high']:+.2f}"
            said += " Added to the covariates the score changes their area by "
            said += f"{added['auc_difference']:+.2f} [{ends}]."
        if isinstance(row["warning"], str) and row["warning"]:
            said += f" Take it with care: {plain(row['warning'])}."
        found = [said]
        if (part["model"] == TRAINED).any():
            features = not_empty(report.trained_features)
            if features is not None:
                own = features[["assay", "comparison"]].eq([assay, comparison]).all(axis=1)
                features = features[own]
            found.append(_trained_sentence(part, features))
            if part["shown_first"].iloc[0] and part["model"].iloc[0] == TRAINED:
                found.reverse()
        sentences += found
    return sentences


def _of_subjects(row: pd.Series) -> str:
    """Of how many people the samples are, where some gave more than one."""
    samples, subjects = row["n_other"] + row["n_reference"], row.get("n_subjects")
    if subjects is None or pd.isna(subjects) or subjects == samples:
        return ""
    return f" samples, of {subjects:.0f} people in all"


def _trained_sentence(part: pd.DataFrame, features: pd.DataFrame | None) -> str:
    """What the trained model does beside the score, and whether it comes first."""
    trained = part[part["model"] == TRAINED]
    areas = []
    for validation, where in (
        (WITHIN, "out of fold"),
        (ACROSS, "in cohorts that it was not fitted to"),
    ):
        rows = trained[trained["validation"] == validation]
        if len(rows):
            row = rows.iloc[-1]
            areas.append(
                f"area {where} {row['auc']:.2f} [{row['low']:.2f}, {row['high']:.2f}], "
                f"{row['score_difference']:+.2f} [{row['score_difference_low']:+.2f}, "
                f"{row['score_difference_high']:+.2f}] against the score on the same samples"
            )
    said = (
        f"A model trained on the taxa of these samples (elastic net on log-ratios): "
        f"{'; '.join(areas)}. "
    )
    if trained["shown_first"].all():
        said += "It beats the evidence score here, and is shown first. "
    else:
        said += "It did not beat the evidence score, which is shown first. "
    steady = None if features is None else features[features["validation"] == WITHIN]
    if steady is not None and len(steady):
        cohorts = steady["cohort"].unique()
        where = f" in {plain(str(cohorts[0]))}" if len(cohorts) > 1 else ""
        named = [
            f"{plain(str(row.name))} ({'positive' if row.coefficient > 0 else 'negative'}, "
            f"selected in {row.selected:.0%} of the fits)"
            for row in steady[steady["cohort"] == cohorts[0]].head(5).itertuples(index=False)
        ]
        said += f"Largest coefficients{where}: {listed(named)}. "
    return said + (
        "It is trained on this cohort and needs external validation: an association, not a "
        "diagnosis of anybody, and no taxon in it is thereby a cause."
    )


def evaluation_figures(report: Report) -> list[Shown]:
    assert report.evaluation is not None
    assert report.calibration is not None
    shown: list[Shown] = []
    several = len(assays_of(report.evaluation)) > 1
    pairs = ["assay", "comparison"]
    for number, ((assay, comparison), part) in enumerate(
        report.evaluation.groupby(pairs, sort=False), start=1
    ):
        words, label = plain(str(comparison)), str(assay) if several else ""
        key = key_of(f"evaluation-{number}", str(assay))
        shown.append(show(figures.evaluation(part, words, key), label))
        bins = report.calibration[(report.calibration[pairs] == [assay, comparison]).all(axis=1)]
        scored = part[part["model"] == SCORE]
        last = bins[bins["cohort"] == scored["cohort"].iloc[-1]]
        curves = not_empty(report.roc)
        if curves is not None:
            curves = curves[(curves[pairs] == [assay, comparison]).all(axis=1)]
            key = key_of(f"roc-{number}", str(assay))
            shown.append(show(figures.roc(curves, words, key), label))
        key = key_of(f"calibration-{number}", str(assay))
        shown.append(show(figures.calibration(last, words, key), label))
    return shown
