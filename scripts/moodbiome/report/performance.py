"""The section on how well the score tells the groups apart."""

from moodbiome import figures
from moodbiome.evaluation import BOTH, SCORE, WITHIN
from moodbiome.figures import plain
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
            f"{row['n_reference']:.0f}."
        )
        both = part[(part["model"] == BOTH) & (part["validation"] == WITHIN)]
        if len(both):
            added = both.iloc[-1]
            ends = f"{added['difference_low']:+.2f}, {added['difference_high']:+.2f}"
            said += " Added to the covariates the score changes their area by "
            said += f"{added['auc_difference']:+.2f} [{ends}]."
        if isinstance(row["warning"], str) and row["warning"]:
            said += f" Take it with care: {plain(row['warning'])}."
        sentences.append(said)
    return sentences


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
        last = bins[bins["cohort"] == part["cohort"].iloc[-1]]
        key = key_of(f"calibration-{number}", str(assay))
        shown.append(show(figures.calibration(last, words, key), label))
    return shown
