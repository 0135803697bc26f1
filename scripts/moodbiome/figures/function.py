"""The figure of gut-brain modules."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from moodbiome.figures.drawing import (
    FAINT,
    Figure,
    chart_of,
    group_channels,
    heading_above,
    svg_of,
)
from moodbiome.figures.words import count_of, listed, plain
from moodbiome.modules import COPIES, NOT_ASSESSABLE, NOT_COMPUTABLE, RPK, STATUSES

# What nobody could tell is the palest: it says nothing of the module.
_STATUS_COLOURS = {"present": "#333333", "absent": "#949494", "not assessable": "#F0F0F0"}
_ABBREVIATED = ("rpk", "cpm")
_QUANTILES = {"p25": 0.25, "median": 0.5, "p75": 0.75}
# Below it the axis is linear, so that 0 has a place beside the logarithms.
_LINEAR_BELOW = 0.01


def modules(
    table: pd.DataFrame, groups: pd.Series, threshold: float, key: str = "modules"
) -> Figure:
    """Copies of each module by group, and in which share of the samples it is there.

    Parameters
    ----------
    table : DataFrame
        Rows of ``function/modules.tsv`` of the samples to be compared: sample, module, name,
        abundance, unit, status. Modules that are not computable are left out.
    groups : Series
        From `group_labels`.
    threshold : float
        Copies per genome from which a step counts as detected.
    key : str

    Raises
    ------
    ValueError
        If no module of any sample has an abundance.
    """
    drawn = table[table["status"] != NOT_COMPUTABLE].copy()
    if not drawn["abundance"].notna().any():
        raise ValueError("no module has an abundance, so that there is none to draw")
    unit = str(drawn["unit"].iloc[0])
    unit = unit.upper() if unit in _ABBREVIATED else unit
    drawn["group"] = groups.reindex(drawn["sample"]).astype(str).to_numpy()
    present = [str(g) for g in groups.cat.categories if (drawn["group"] == str(g)).any()]
    order = list(dict.fromkeys(drawn["name"]))
    by = drawn.groupby(["name", "group"], sort=False)["abundance"]
    spread = pd.DataFrame({name: by.quantile(q) for name, q in _QUANTILES.items()})
    spread["n"] = by.count()
    spread = spread[spread["n"] > 0].reset_index()
    number = drawn["sample"].nunique()
    status = pd.crosstab(drawn["name"], drawn["status"])
    status = status.reindex(index=order, columns=list(STATUSES[:3]), fill_value=0)

    rows = alt.Y(
        "name:N",
        title=None,
        sort=order,
        scale=alt.Scale(domain=order),
        axis=alt.Axis(labelLimit=300, labelPadding=8, ticks=False, grid=False),
    )
    largest = float(spread["p75"].max())
    scale, axis = alt.Scale(zero=True), alt.Axis(tickCount=6)
    if unit == COPIES:
        scale = alt.Scale(type="symlog", constant=_LINEAR_BELOW, domain=[0, 1.2 * largest])
        ticks = [0, *(step for step in (0.01, 0.1, 1, 10, 100) if step <= 1.2 * largest)]
        axis = alt.Axis(values=ticks, format="~g")
    title = unit[0].upper() + unit[1:]
    dodge = alt.YOffset("group:N", sort=present, scale=alt.Scale(domain=present))
    channels = group_channels(present)
    base = chart_of(spread)
    layers: list[Any] = [
        base.mark_rule(strokeWidth=2).encode(
            x=alt.X("p25:Q", title=title, scale=scale, axis=axis),
            x2="p75:Q",
            y=rows,
            yOffset=dodge,
            color=channels["color"],
        ),
        base.mark_point(filled=True, size=50, opacity=1).encode(
            x=alt.X("median:Q", title=title, scale=scale, axis=axis),
            y=rows,
            yOffset=dodge,
            **channels,
        ),
    ]
    if unit == COPIES:
        mark = chart_of(pd.DataFrame({"at": [threshold]}))
        layers.insert(
            0,
            mark.mark_rule(strokeDash=[4, 4], color=FAINT).encode(
                x=alt.X("at:Q", title=title, scale=scale, axis=axis)
            ),
        )
    height = len(order) * max(15, 9 * len(present) + 4)
    dots = alt.layer(*layers).properties(
        width=310, height=height, title=heading_above("Abundance, by group")
    )
    shares = 100 * status.to_numpy(float) / status.sum(axis=1).to_numpy()[:, None]
    ends = shares.cumsum(axis=1)
    words = [plain(name) for name in status.columns]
    parts = pd.DataFrame(
        {
            "name": np.repeat(order, len(words)),
            "status": words * len(order),
            "start": (ends - shares).ravel().round(3),
            "end": ends.ravel().round(3),
        }
    )
    bars = (
        chart_of(parts[parts["end"] > parts["start"]])
        .mark_bar(stroke=FAINT, strokeWidth=0.5)
        .encode(
            x=alt.X("start:Q", title="Samples (%)", scale=alt.Scale(domain=[0, 100])),
            x2="end:Q",
            y=alt.Y("name:N", sort=order, scale=alt.Scale(domain=order), axis=None),
            color=alt.Color(
                "status:N",
                title=None,
                scale=alt.Scale(domain=list(_STATUS_COLOURS), range=list(_STATUS_COLOURS.values())),
                legend=alt.Legend(orient="top"),
            ),
        )
        .properties(width=180, height=height, title=heading_above("Presence"))
    )
    chart = alt.hconcat(dots, bars, spacing=16).resolve_scale(
        color="independent", shape="independent"
    )
    caption = (
        f"n = {count_of(number, 'sample')}. Left: median and middle half of each group, in {unit}"
        + (
            f"; the dashed line is the least abundance of a step that counts, {threshold:g}. "
            f"The axis is linear below {_LINEAR_BELOW:g}."
            if unit == COPIES
            else "; the table could not be brought to copies per genome"
            + (": the numbers grow with depth." if unit == RPK else ".")
        )
        + " Right: share of the samples in which the module is present, absent or not assessable. "
        "What genes could do, not what they did: no substance was measured."
    )
    never = [name for name in order if status.loc[name, NOT_ASSESSABLE] == number]
    if never:
        caption += f" Not assessable in any sample: {listed(never)}."
    counted = status.set_axis([f"n {name}" for name in words], axis="columns")
    counted = counted.rename_axis("name").reset_index()
    return Figure(
        key,
        "Gut-brain modules",
        caption,
        svg_of(chart, key, "Copies of gut-brain modules by group, and share of samples with each"),
        counted.merge(spread, on="name", how="left").rename(columns={"name": "module"}),
        "results/function/modules.tsv",
    )
