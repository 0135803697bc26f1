"""The section on change over time."""

import pandas as pd

from moodbiome import figures
from moodbiome.figures import method_name, plain
from moodbiome.report.content import Report, assays_of, not_empty, per_assay, setting
from moodbiome.report.display import Shown, Table, as_table, key_of, show
from moodbiome.report.words import numbers

# Further metrics of alpha diversity stand in the table.
_DRAWN_OVER_TIME = ("signature_score", "observed", "shannon")
_POPULATION_WORDS = {"intention_to_treat": "all as assigned", "completers": "completers only"}
_MOST_OVER_TIME = 20


def longitudinal_figures(report: Report) -> list[Shown]:
    reference = setting(report, "cohort", "arm_reference", "")
    assert report.retention is not None
    shown = []
    for assay, part in per_assay(report.retention):
        shown.append(show(figures.retention(part, reference, key_of("retention", assay)), assay))
    if (table := not_empty(report.changes)) is None:
        return shown
    several = len(assays_of(table[table["assay"].notna()])) > 1
    for assay, part in table.groupby(table["assay"].fillna(""), sort=False):
        drawn = part[part["outcome"].isin(_DRAWN_OVER_TIME) | (assay == "")]
        if drawn[["value_from", "value_to"]].notna().any(axis=None):
            key = key_of("trajectories", str(assay) or "sheet")
            what = str(assay) if assay and several else ("" if assay else "scales and markers")
            shown.append(show(figures.trajectories(drawn, reference, key), what))
    return shown


def longitudinal_effects(report: Report) -> Table | None:
    """Effects on everything but taxa; of alpha diversity on the metrics that are drawn."""
    table = not_empty(report.longitudinal)
    if table is None:
        return None
    families = ("scales", "markers", "signature", "alpha")
    drawn = (table["family"] != "alpha") | table["outcome"].isin(_DRAWN_OVER_TIME)
    rows = table[table["family"].isin(families) & drawn]
    rows = rows.sort_values("family", key=lambda names: names.map(families.index), kind="stable")
    if rows.empty:
        return None
    return _effects_over_time(
        report, rows, "Change since baseline in scales, markers, score and diversity"
    )


def longitudinal_taxa(report: Report) -> Table | None:
    """The taxa with the smallest q, and how many there are below the limit."""
    table = not_empty(report.longitudinal)
    if table is None or not (table["family"] == "taxa").any():
        return None
    rows = table[(table["family"] == "taxa") & (table["population"] == "intention_to_treat")]
    limit = float(setting(report, "statistics", "max_fdr", 0.05))
    counted = [
        f"{method_name(str(method))} {int((part['q'] <= limit).sum())} of {len(part)}"
        for method, part in rows.groupby("method", sort=False)
    ]
    caption = (
        f"Change since baseline in taxa: the {_MOST_OVER_TIME} effects with the smallest q, "
        f"all as assigned. With q ≤ {limit:g}: {', '.join(counted)}"
    )
    rows = rows.sort_values(["q", "p"], kind="stable").head(_MOST_OVER_TIME)
    return _effects_over_time(report, rows, caption)


def longitudinal_modules(report: Report) -> Table | None:
    """The gut-brain modules with the smallest q."""
    table = not_empty(report.longitudinal)
    if table is None or not (table["family"] == "function").any():
        return None
    rows = table[(table["family"] == "function") & (table["population"] == "intention_to_treat")]
    limit = float(setting(report, "statistics", "max_fdr", 0.05))
    caption = (
        f"Change since baseline in gut-brain modules: the {_MOST_OVER_TIME} effects with the "
        f"smallest q, all as assigned. With q ≤ {limit:g}: {int((rows['q'] <= limit).sum())} of "
        f"{len(rows)}"
    )
    rows = rows.sort_values(["q", "p"], kind="stable").head(_MOST_OVER_TIME)
    return _effects_over_time(report, rows, caption)


def _effects_over_time(report: Report, rows: pd.DataFrame, caption: str) -> Table:
    has_arms = bool(setting(report, "cohort", "arm", ""))
    shown = pd.DataFrame({"outcome": rows["name"].map(lambda name: plain(str(name)))})
    if rows["assay"].isna().any() or len(assays_of(rows)) > 1:
        shown["assay"] = rows["assay"]
    if (rows["family"] == "taxa").any():
        shown["method"] = rows["method"].map(method_name)
    if has_arms:
        shown["arm"] = rows["arm"]
    shown["timepoint"] = rows["timepoint"].astype(str)
    if (rows["population"] == "completers").any():
        shown["subjects"] = rows["population"].map(_POPULATION_WORDS)
    shown["effect"] = rows["effect"]
    low, high = (numbers(rows[bound], identifier=False) for bound in ("low", "high"))
    shown["95 % interval"] = [f"{a} to {b}" if a else "" for a, b in zip(low, high, strict=True)]
    shown = shown.join(rows[["p", "q"]])
    if has_arms:
        pairs = zip(rows["n_arm"], rows["n_reference"], strict=True)
        shown["n"] = [f"{arm:.0f} against {reference:.0f}" for arm, reference in pairs]
    else:
        shown["n"] = rows["n_arm"]
    shown["unit"] = rows["effect_unit"]
    reference = setting(report, "cohort", "arm_reference", "")
    words = f"difference from the arm {reference} in change" if has_arms else "change"
    return as_table(
        shown,
        f"{caption}. Effect: {words}; n: subjects at the timepoint",
        "results/statistics/longitudinal.tsv",
    )
