"""The figure of the composition."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from moodbiome.contaminants import CONTAMINANT
from moodbiome.diversity import UNPLACED
from moodbiome.figures.drawing import (
    ALL_SAMPLES,
    MANY_SAMPLES,
    TAXON_COLOURS,
    WIDTH,
    Figure,
    area_chart,
    bar_chart,
    heading_above,
    stack_parts,
    svg_of,
)
from moodbiome.figures.words import count_of, fragments_of, left_out, listed


def composition(
    counts: pd.DataFrame,
    groups: pd.Series,
    key: str = "taxa",
    source: str = "",
    n_taxa: int = 10,
    apart: Mapping[str, str] | None = None,
) -> Figure:
    """The most abundant taxa of each sample, with what is left over kept in sight.

    Parameters
    ----------
    counts : DataFrame
        Columns taxon_id, name, lineage, then one integer column a sample; rows 0 (unclassified) and
        -1 (unassigned) included, so that a column sums to the sample's non-host fragments.
    groups : Series
        Group by sample, from `group_labels`; samples are drawn in its order.
    key, source : str
    n_taxa : int
        Taxa drawn by name, at most 10; the others are summed as "other".
    apart : mapping of sample to words, optional
        Samples that are not compared, with why ("negative control"): they stand below the others
        with their number of fragments, and have no say in which taxa are named.

    Raises
    ------
    ValueError
        If a taxon id stands twice, or a count is missing or negative.
    """
    apart = apart or {}
    shares, order, names = _top_taxa(counts, groups, min(n_taxa, len(TAXON_COLOURS)), set(apart))
    empty = [sample for sample in counts.columns[3:] if sample not in shares.index]
    beside = [sample for sample in order if sample in apart]
    compared = order[: len(order) - len(beside)]
    fragments = counts[beside].sum()
    label = {
        sample: f"{sample} ({apart[sample]}, {fragments_of(fragments[sample])})"
        for sample in beside
    }
    rest = [name for name in _REST if name in shares.columns]
    levels = [*names, *rest]
    hues = [*TAXON_COLOURS[: len(names)], *(_REST[name] for name in rest)]
    colour = alt.Color(
        "part:N",
        title=None,
        sort=levels,
        scale=alt.Scale(domain=levels, range=hues),
        legend=alt.Legend(orient="right", labelFontStyle="normal", labelLimit=190),
    )
    title = "Share of non-host fragments (%)"
    values = 100 * shares.loc[order, levels].to_numpy(float)
    drawn = groups.reindex(compared)
    blocks = [(str(g), [s for s in compared if drawn[s] == g]) for g in groups.cat.categories]
    blocks = [(name, members) for name, members in blocks if members]
    if beside:
        blocks = [("compared" if name == ALL_SAMPLES else name, rows) for name, rows in blocks]
        blocks.append(("not compared", beside))
    if len(order) <= MANY_SAMPLES:
        charts = []
        # Long labels take their room from the bars, so that the figure keeps its width.
        room = max([0, *(6 * len(text) - 100 for text in label.values())])
        for position, (name, members) in enumerate(blocks):
            rows = [order.index(sample) for sample in members]
            named = [label.get(sample, sample) for sample in members]
            bars = bar_chart(
                stack_parts(named, values[rows], levels),
                named,
                colour,
                title if position == len(blocks) - 1 else "",
                ".0f",
                width=max(300, WIDTH - 220 - room),
                most=100,
                label_limit=360,
            )
            heading = "" if name == ALL_SAMPLES else f"{name} (n = {len(members)})"
            charts.append(bars.properties(title=heading_above(heading)) if heading else bars)
        chart: Any = alt.vconcat(*charts, spacing=8) if charts else None
    else:
        chart = area_chart(
            values,
            levels,
            colour,
            title,
            "Samples, by group and then by the most abundant taxon",
            blocks=[(name, len(members)) for name, members in blocks],
        )
    leading = values[: len(compared) or len(order), : len(names)]
    kept = float(np.median(leading.sum(axis=1))) if len(order) else 0.0
    caption = (
        f"n = {count_of(len(compared), 'sample')}; denominator: the sample's non-host fragments, "
        "so that each bar is 100 %. "
        f"The {len(names)} taxa with the highest mean share are named (median sum {kept:.0f} %); "
        "the others are summed as “other”. Unassigned: classified, but not at this rank."
    )
    if beside:
        caption += (
            " Not compared, and without a say in which taxa are named: "
            f"{listed(list(label.values()))}."
        )
    table = (100 * shares.loc[order, levels]).round(3)
    table.insert(0, "group", [*drawn.astype(str), *(f"not compared: {apart[s]}" for s in beside)])
    return Figure(
        key,
        "Most abundant genera",
        caption + left_out(empty, "no non-host fragments"),
        svg_of(chart, key, "Most abundant genera, stacked bars by sample"),
        table.rename_axis("sample").reset_index(),
        source,
    )


def checked_counts(counts: pd.DataFrame) -> pd.DataFrame:
    ids = counts["taxon_id"]
    if ids.duplicated().any():
        raise ValueError(f"counts: taxon_id {ids[ids.duplicated()].iloc[0]} has two rows")
    values = counts.drop(columns=["name", "lineage"]).set_index("taxon_id").astype(float)
    wrong = ~(values >= 0)
    if wrong.any(axis=None):
        row, column = np.argwhere(wrong.to_numpy())[0]
        raise ValueError(
            f"counts: taxon_id {values.index[row]}, sample {values.columns[column]!r} is "
            f"{values.iloc[row, column]}; a count is 0 or more and never empty"
        )
    return values


# Parts of a bar that are no taxa, in their order, and their colours.
_REST = {
    "Other taxa": "#7F7F7F",
    "Removed contaminants": "#A6761D",
    "Unassigned at this rank": "#BDBDBD",
    "Unclassified": "#E6E6E6",
}


def _top_taxa(
    counts: pd.DataFrame, groups: pd.Series, n_taxa: int, apart: set[str]
) -> tuple[pd.DataFrame, list[str], list[str]]:
    values = checked_counts(counts)
    totals = values.sum(axis=0)
    shares = values.loc[:, totals > 0] / totals[totals > 0]
    named = shares.drop(index=[i for i in UNPLACED if i in shares.index])
    deciding = [name for name in named.columns if name not in apart] or list(named.columns)
    ranked = named[deciding].mean(axis=1).sort_values(ascending=False, kind="stable")
    top = [taxon for taxon in ranked.index[:n_taxa] if ranked[taxon] > 0]
    labels = counts.set_index("taxon_id")["name"].astype(str)
    names = [
        name if (labels.loc[top] == name).sum() == 1 else f"{name} ({taxon})"
        for taxon, name in labels.loc[top].items()
    ]
    table = named.loc[top].set_axis(names, axis="index").T
    table["Other taxa"] = named.drop(index=top).sum(axis=0)
    for taxon, name in ((-1, "Unassigned at this rank"), (0, "Unclassified")):
        table[name] = shares.loc[taxon] if taxon in shares.index else 0.0
    if CONTAMINANT in shares.index:
        table["Removed contaminants"] = shares.loc[CONTAMINANT]
    position = pd.Series(groups.cat.codes.to_numpy(), index=groups.index)
    leading = table[names[0]] if names else table["Other taxa"]

    def place(sample: str) -> tuple[Any, ...]:
        if sample in apart:
            return (True, list(table.index).index(sample))
        return (False, position.get(sample, len(groups)), -leading[sample], sample)

    return table, sorted(table.index, key=place), names
