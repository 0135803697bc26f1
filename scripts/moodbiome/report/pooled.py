"""The sections on effects pooled over studies, and on trials."""

from moodbiome import figures
from moodbiome.figures import plain
from moodbiome.report.content import Report, assays_of, not_empty, setting, term_words
from moodbiome.report.display import Shown, Table, as_table, key_of, show
from moodbiome.report.words import variable


def pooled_figures(report: Report) -> list[Shown]:
    assert report.pooled is not None
    assert report.by_cohort is not None
    shown: list[Shown] = []
    group = setting(report, "cohort", "group", "")
    several = len(assays_of(report.pooled)) > 1
    limit = float(setting(report, "statistics", "max_fdr", 0.05))
    for (assay, term), part in report.pooled.groupby(["assay", "term"], sort=False):
        if group and variable(str(term)) != group:
            continue
        own = report.by_cohort[
            (report.by_cohort["assay"] == assay) & (report.by_cohort["term"] == term)
        ]
        for method, rows in part.groupby("method", sort=False):
            figure = figures.pooled_effects(
                rows,
                own[own["method"] == method],
                limit,
                term_words(report, str(term)),
                key_of(f"pooled-{method}-{len(shown) + 1}", str(assay)),
            )
            shown.append(show(figure, str(assay) if several else ""))
    return shown


def trial_figures(report: Report) -> list[Shown]:
    assert report.trials is not None
    assert report.trials_pooled is not None
    shown = []
    whole = report.trials_pooled[report.trials_pooled["analysis"] == "all"]
    rows = {str(row["outcome"]): row for _, row in whole.iterrows()}
    used = report.trials[report.trials["is_pooled"].astype(bool)]
    for number, (outcome, part) in enumerate(used.groupby("outcome", sort=True), start=1):
        for draw in (figures.forest, figures.funnel):
            key = key_of(f"{draw.__name__}-{number}", "")
            shown.append(show(draw(part, rows[str(outcome)], plain(str(outcome)), key)))
    return shown


def trials_table(report: Report) -> Table | None:
    table = not_empty(report.trials_pooled)
    if table is None:
        return None
    columns = [
        *("outcome", "analysis", "variable", "level", "k", "effect", "low", "high", "p", "tau2"),
        *("i2", "significance_depends_on", "reason"),
    ]
    shown = table[columns].assign(
        analysis=table["analysis"].map(plain), outcome=table["outcome"].map(plain)
    )
    return as_table(shown, "Trials pooled", "results/statistics/trials_pooled.tsv")
