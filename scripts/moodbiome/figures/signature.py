"""The figures of the signature score: scores, contributions, and indices beside it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from moodbiome.figures.diversity import alpha_panel
from moodbiome.figures.drawing import (
    FAINT,
    MANY_SAMPLES,
    WIDTH,
    Figure,
    chart_of,
    group_channels,
    svg_of,
)
from moodbiome.figures.words import count_of, left_out, plain


def scores(
    table: pd.DataFrame, groups: pd.Series, reference: str = "", key: str = "scores"
) -> Figure:
    """The signature score of each sample with its interval, in order of the score.

    Parameters
    ----------
    table : DataFrame
        Columns sample, score, score_low, score_high (natural-log units), status; rows without a
        score are left out and named in the caption.
    groups : Series
        From `group_labels`.
    reference : str
        Group whose median is drawn as a line; empty for none.
    key : str
    """
    drawn = table[table["score"].notna()].copy()
    drawn["group"] = groups.reindex(drawn["sample"]).astype(str).to_numpy()
    drawn = drawn.sort_values(["score", "sample"], ascending=[False, True], kind="stable")
    present = [str(g) for g in groups.cat.categories if (drawn["group"] == str(g)).any()]
    middle = drawn.loc[drawn["group"] == reference, "score"].median()
    many = len(drawn) > MANY_SAMPLES
    unit = "Signature score (natural-log units)"
    bounds = [
        float(np.nanmin(drawn[["score", "score_low"]].to_numpy(float))),
        float(np.nanmax(drawn[["score", "score_high"]].to_numpy(float))),
    ]
    bounds = [
        bounds[0] - 0.03 * (bounds[1] - bounds[0]),
        bounds[1] + 0.03 * (bounds[1] - bounds[0]),
    ]
    value = alt.Scale(zero=False, domain=bounds, nice=False)
    ticks = alt.Axis(tickCount=8)
    channels = group_channels(present, legend=not many)
    drawn["offset"] = 0.5
    if many:
        size = drawn.groupby("group")["score"].transform("size")
        within = drawn.groupby("group").cumcount(ascending=False)
        drawn["offset"] = np.where(size > 1, within / (size - 1).clip(lower=1), 0.5)
        place: dict[str, Any] = {
            "x": alt.X(
                "group:N",
                title=None,
                sort=present,
                scale=alt.Scale(domain=present, paddingInner=0.1, paddingOuter=0.05),
                axis=alt.Axis(labelAngle=0 if len(present) < 7 else -35, ticks=False),
            ),
            "xOffset": alt.XOffset("offset:Q", scale=alt.Scale(domain=[-0.02, 1.02])),
            "y": alt.Y("score:Q", title=unit, scale=value, axis=ticks),
        }
        span: dict[str, Any] = {
            **place,
            "y": alt.Y("score_low:Q", title=unit, scale=value),
            "y2": "score_high:Q",
        }
        line: dict[str, Any] = {"y": alt.Y("score:Q", scale=value)}
        sides = {"width": WIDTH, "height": 300}
    else:
        rows = alt.Y(
            "sample:N",
            title=None,
            sort=drawn["sample"].tolist(),
            axis=alt.Axis(labelLimit=170, grid=False, ticks=False),
        )
        place = {"x": alt.X("score:Q", title=unit, scale=value, axis=ticks), "y": rows}
        span = {
            "x": alt.X("score_low:Q", title=unit, scale=value),
            "x2": "score_high:Q",
            "y": rows,
        }
        line = {"x": alt.X("score:Q", scale=value)}
        sides = {"width": WIDTH - 140, "height": max(60, 17 * len(drawn))}
    base = chart_of(drawn[["sample", "offset", "score", "score_low", "score_high", "group"]])
    layers: list[Any] = []
    if not math.isnan(middle):
        layers.append(
            chart_of(pd.DataFrame({"score": [middle]}))
            .mark_rule(strokeDash=[5, 4], color=FAINT, strokeWidth=1.5)
            .encode(**line)
        )
    layers += [
        base.mark_rule(strokeWidth=0.8 if many else 1.6, opacity=0.5 if many else 0.8).encode(
            color=channels["color"], **span
        ),
        base.mark_point(size=14 if many else 65, filled=True, opacity=1).encode(
            **place, **channels
        ),
    ]
    without = table.loc[table["score"].isna(), "sample"].astype(str).tolist()
    sizes = drawn["group"].value_counts()
    caption = (
        f"n = {count_of(len(drawn), 'sample')} with a score ("
        + ", ".join(f"{group} {sizes[group]}" for group in present)
        + "); denominator of the abundances: classified bacterial and archaeal fragments. Lines: "
        "95 % interval, noise of counting and re-estimation only; variation between days and "
        "between extractions is not in it. Higher: the composition is more like what has been "
        "reported in depression."
        + (
            f" Dashed: median of {reference} (n = {sizes[reference]})."
            if not math.isnan(middle)
            else ""
        )
        + left_out(without, "no score, see below")
    )
    return Figure(
        key,
        "Depression-associated taxa signature score",
        caption,
        svg_of(alt.layer(*layers).properties(**sides), key, "Signature score by sample"),
        drawn[["sample", "group", "score", "score_low", "score_high"]],
        "results/signature/scores.tsv",
    )


def indices(table: pd.DataFrame, groups: pd.Series, key: str = "indices") -> Figure:
    """The indices of each sample with their intervals, by group.

    Parameters
    ----------
    table : DataFrame
        Columns sample, index, value, low, high (natural-log units); rows without a value are left
        out and counted in the caption.
    groups : Series
        From `group_labels`.
    key : str
    """
    drawn = table[table["value"].notna()].copy()
    drawn["group"] = groups.reindex(drawn["sample"]).astype(str).to_numpy()
    present = [str(g) for g in groups.cat.categories if (drawn["group"] == str(g)).any()]
    with_interval = drawn["sample"].nunique() <= MANY_SAMPLES
    panels = [
        alpha_panel(values, str(index), present, with_interval)
        for index, values in drawn.groupby("index", sort=False)
    ]
    columns = 2 if len(present) > 4 else 3
    sizes = ", ".join(
        f"{plain(str(index))} {count_of(len(values), 'sample')}"
        for index, values in drawn.groupby("index", sort=False)
    )
    caption = (
        f"n: {sizes}; denominator of the shares: classified bacterial and archaeal fragments. "
        "Natural-log units: 0 is as much above as below, 2.3 ten times as much. "
        + (
            "Lines: 95 % interval, noise of counting and re-estimation only. "
            if with_interval
            else ""
        )
        + "Bar: median of the group. Potential of the taxa found, not measured butyrate, lactic "
        "acid or inflammation."
    )
    return Figure(
        key,
        "Groups of taxa known for what they can make",
        caption,
        svg_of(alt.concat(*panels, columns=columns, spacing=24), key, "Indices by group"),
        drawn[["sample", "group", "index", "value", "low", "high"]],
        "results/signature/indices.tsv",
    )


def contributions(
    table: pd.DataFrame,
    order: Sequence[str],
    weights: Mapping[str, float],
    groups: pd.Series,
    key: str = "contributions",
) -> Figure:
    """What each taxon adds to or takes from each score.

    Up to `MANY_SAMPLES` samples as a heatmap; above as the spread over the samples of each group.

    Parameters
    ----------
    table : DataFrame
        Columns sample, concept, contribution (natural-log units, against the reference mean).
    order : sequence of str
        Samples from top to bottom, as in the figure of the scores.
    weights : mapping of concept to signed weight
        Sets the order of the concepts: enriched first, the heaviest first.
    groups : Series
        From `group_labels`.
    key : str
    """
    drawn = table[table["contribution"].notna() & table["sample"].isin(set(order))]
    concepts = sorted(
        set(drawn["concept"].astype(str)),
        key=lambda name: (-np.sign(weights.get(name, 0)), -abs(weights.get(name, 0)), name),
    )
    cells = drawn[["sample", "concept", "contribution"]]
    n_samples = int(cells["sample"].nunique())
    farthest = float(cells["contribution"].abs().max()) if len(cells) else 1.0
    if n_samples <= MANY_SAMPLES:
        chart = (
            chart_of(cells)
            .mark_rect()
            .encode(
                x=alt.X(
                    "concept:N",
                    title="Taxon (left: reported as enriched; right: as depleted)",
                    sort=concepts,
                    axis=alt.Axis(labelAngle=-50, labelLimit=170, grid=False, ticks=False),
                ),
                y=alt.Y(
                    "sample:N",
                    title=None,
                    sort=list(order),
                    axis=alt.Axis(labelLimit=170, grid=False, ticks=False),
                ),
                color=alt.Color(
                    "contribution:Q",
                    title=["Contribution", "(ln units)"],
                    scale=alt.Scale(
                        domain=[-farthest, 0, farthest], range=["#0072B2", "#F7F7F7", "#D55E00"]
                    ),
                    legend=alt.Legend(gradientLength=140, format="~g"),
                ),
            )
            .properties(width=min(WIDTH - 200, 28 * len(concepts)), height=max(60, 15 * n_samples))
        )
        reading = "Rows in the order of the score."
    else:
        chart = _contribution_spread(cells, concepts, groups)
        reading = "Thin line: middle 90 % of the samples; thick line: middle 50 %; symbol: median."
    direction = (
        "Orange raises the score, blue lowers it."
        if n_samples <= MANY_SAMPLES
        else "Above 0 it raises the score."
    )
    caption = (
        f"n = {count_of(n_samples, 'sample')}; taxa: {len(concepts)}. Contribution: the weight of "
        "the taxon times the difference between its log abundance in the sample and the mean over "
        f"the reference samples. {direction} {reading}"
    )
    wide = cells.pivot_table(index="sample", columns="concept", values="contribution", sort=False)
    wide = wide.reindex(index=[s for s in order if s in wide.index], columns=concepts)
    return Figure(
        key,
        "What moved each score",
        caption,
        svg_of(chart, key, "Contribution of each taxon to each score"),
        wide.rename_axis(columns=None).reset_index(),
        "results/signature/contributions.tsv",
    )


def _contribution_spread(cells: pd.DataFrame, concepts: list[str], groups: pd.Series) -> Any:
    grouped = cells.assign(group=groups.reindex(cells["sample"]).astype(str).to_numpy())
    present = [str(g) for g in groups.cat.categories if (grouped["group"] == str(g)).any()]
    spread = grouped.groupby(["concept", "group"], sort=True)["contribution"]
    quantiles = pd.DataFrame(
        {f"p{round(100 * q):02d}": spread.quantile(q) for q in (0.05, 0.25, 0.5, 0.75, 0.95)}
    ).reset_index()
    title = "Contribution to the score (natural-log units)"
    rows = alt.Y("concept:N", title=None, sort=concepts, axis=alt.Axis(labelLimit=190, ticks=False))
    dodge = alt.YOffset("group:N", sort=present, scale=alt.Scale(domain=present))
    channels = group_channels(present)
    base = chart_of(quantiles)
    return alt.layer(
        base.mark_rule(strokeWidth=1).encode(
            x=alt.X("p05:Q", title=title),
            x2="p95:Q",
            y=rows,
            yOffset=dodge,
            color=channels["color"],
        ),
        base.mark_rule(strokeWidth=3.5).encode(
            x=alt.X("p25:Q", title=title),
            x2="p75:Q",
            y=rows,
            yOffset=dodge,
            color=channels["color"],
        ),
        base.mark_point(size=50, filled=True, opacity=1).encode(
            x=alt.X("p50:Q", title=title), y=rows, yOffset=dodge, **channels
        ),
    ).properties(width=560, height=len(concepts) * max(16, 9 * len(present)))
