"""The sections on diversity: within samples, and between them."""

import pandas as pd

from moodbiome import figures
from moodbiome.figures import plain
from moodbiome.report.content import (
    Report,
    assays_of,
    groups_of,
    not_empty,
    per_assay,
    samples_apart,
    samples_compared,
    samples_of,
    setting,
    term_words,
)
from moodbiome.report.display import Shown, Table, as_table, key_of, show
from moodbiome.report.words import enumerated, text_of, variable


def alpha_figures(report: Report) -> list[Shown]:
    assert report.alpha is not None
    shown = []
    for assay, part in per_assay(report.alpha):
        # Status is told by assay even where the table has one only.
        own = assay or next(iter(assays_of(part)), "")
        compared = part["sample"].astype(str).isin(samples_compared(report, own))
        if part.loc[compared, "value"].notna().any():
            groups = groups_of(report, samples_of(part))
            apart = samples_apart(report, own)
            shown.append(show(figures.alpha(part, groups, key_of("alpha", assay), apart), assay))
    return shown


def ordination_figures(report: Report) -> list[Shown]:
    several = len({assay for assay, _ in report.ordinations}) > 1
    return [
        show(
            figures.ordination(
                result,
                groups_of(report, samples_of(result.coordinates)),
                key_of(f"ordination-{result.metric}", assay),
            ),
            assay if several else "",
        )
        for assay, result in report.ordinations
        if not result.coordinates[["PC1", "PC2"]].dropna().empty
    ]


def permanova_sentences(report: Report) -> list[str]:
    table = not_empty(report.permanova)
    if table is None:
        return []
    tested = table[table["p"].notna()]
    tested = tested[~tested["term"].astype(str).str.lower().isin(["residual", "total"])]
    group = setting(report, "cohort", "group", "")
    of_group = tested["term"].astype(str).map(variable) == group
    several = len(assays_of(table)) > 1
    sentences = []
    # What the cohort was set up to compare; the covariates stand in the table below.
    for _, row in (tested[of_group] if of_group.any() else tested).iterrows():
        same = tested["metric"] == row["metric"]
        if several:
            same &= tested["assay"] == row["assay"]
        others = [
            term_words(report, str(term))
            for term in tested.loc[same, "term"]
            if term != row["term"]
        ]
        given = f", given {enumerated(others)}" if others else ""
        text = (
            _metric_words(str(row["metric"]))
            + (f" ({row['assay']})" if several else "")
            + f": R² {100 * row['r2']:.1f} % for {term_words(report, str(row['term']))}{given} "
            f"(pseudo-F {row['pseudo_f']:.2f}, {int(row['df'])} df, p = {row['p']:.3g}, "
            f"n = {int(row['n'])})."
        )
        if note := text_of(row.get("note")):
            text += f" Note: {note}."
        spread = row.get("permdisp_p")
        if pd.notna(spread):
            text += f" Dispersion within groups: PERMDISP p = {spread:.3g}" + (
                "; groups also differ in spread, which can by itself make PERMANOVA small p."
                if spread <= 0.05
                else "."
            )
        sentences.append(text[0].upper() + text[1:])
    return sentences


_TAXA_OF_AXIS = 5


def axes_table(report: Report) -> Table | None:
    """The taxa that go with the drawn axes, the strongest first, a row a dissimilarity and axis."""
    table = not_empty(report.loadings)
    if table is None:
        return None
    several = len(assays_of(table)) > 1
    rows = []
    known = table[table["correlation"].notna()]
    for _, part in known.groupby(["assay", "metric", "axis"], sort=False):
        named = part.iloc[0]
        metric = _metric_words(str(named["metric"]))
        top = part.head(_TAXA_OF_AXIS)
        taxa = [
            f"{name} ({r:+.2f})" for name, r in zip(top["name"], top["correlation"], strict=True)
        ]
        rows.append(
            {
                "dissimilarity": metric + (f" ({named['assay']})" if several else ""),
                "axis": named["axis"],
                "taxa, with Spearman's correlation": ", ".join(taxa),
            }
        )
    if not rows:
        return None
    return as_table(
        pd.DataFrame(rows),
        "Taxa that go with the axes of the ordinations, strongest first",
        "results/diversity/loadings.<metric>.tsv",
    )


def depth_sentences(report: Report) -> list[str]:
    """Whether the conclusions on the groups hold at half and at double the depth."""
    table = not_empty(report.depth_effects)
    if table is None:
        return []
    several = len(assays_of(table)) > 1
    sentences = []
    for assay, part in per_assay(table):
        for depth in sorted(part["depth_fragments"].unique()):
            rows = part[part["depth_fragments"] == depth]
            chosen = int(rows["reference_depth_fragments"].iloc[0])
            which = "half" if depth < chosen else "double"
            where = f"At {which} the depth, {int(depth):,} fragments"
            where += f" ({assay})" if several else ""
            known = rows[rows["conclusion_holds"].notna()]
            n = int(rows["n"].max())
            if known.empty:
                reason = next(filter(None, map(text_of, rows["note"])), "no test could be made")
                sentences.append(
                    f"{where}, {n} samples remain and nothing can be tested: {reason}."
                )
                continue
            holds = known["conclusion_holds"].astype(str) == "True"
            text = (
                f"{where}, n = {n}: on the same samples, {int(holds.sum())} of {len(known)} "
                f"conclusions (p at or below 0.05, and its direction) are those at {chosen:,}"
            )
            failing = [
                f"{_metric_words(str(row['metric']))} (p {row['reference_p']:.2g} → {row['p']:.2g})"
                for _, row in known[~holds].iterrows()
            ]
            text += f"; other: {enumerated(failing)}." if failing else "."
            sentences.append(text)
    return sentences


def _metric_words(metric: str) -> str:
    return figures.METRICS.get(metric, plain(metric))
