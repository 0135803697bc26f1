"""The figures of community types."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from moodbiome.figures.drawing import (
    MANY_SAMPLES,
    TAXON_COLOURS,
    WIDTH,
    Figure,
    area_chart,
    bar_chart,
    chart_of,
    group_channels,
    stack_parts,
    svg_of,
)
from moodbiome.figures.words import count_of, left_out


def community_axes(table: pd.DataFrame, groups: pd.Series, key: str = "community-axes") -> Figure:
    """The two continuous axes of community types, one point a sample.

    Parameters
    ----------
    table : DataFrame
        As results/signature/community_types.tsv; rows that lack an axis are left out.
    groups : Series
        From `group_labels`.
    key : str
    """
    ratio, share = "bacteroides_prevotella", "bacillota"
    columns = [f"{axis}{end}" for axis in (ratio, share) for end in ("", "_low", "_high")]
    is_drawn = table[columns].notna().all(axis=1)
    drawn = table.loc[is_drawn, ["sample", *columns]].copy()
    drawn[columns[3:]] = 100 * drawn[columns[3:]]
    drawn["group"] = groups.reindex(drawn["sample"]).astype(str).to_numpy()
    present = [str(g) for g in groups.cat.categories if (drawn["group"] == str(g)).any()]
    many = len(drawn) > MANY_SAMPLES
    titles = {
        ratio: "ln of Bacteroides + Phocaeicola over Prevotella + Segatella",
        share: "Bacillota (Firmicutes), % of fragments of genera",
    }
    scale = alt.Scale(zero=False, padding=12)
    x = alt.X(f"{ratio}:Q", title=titles[ratio], scale=scale)
    y = alt.Y(f"{share}:Q", title=titles[share], scale=scale)
    channels = group_channels(present)
    base = chart_of(drawn)
    thin: dict[str, Any] = {"strokeWidth": 0.8, "opacity": 0.3 if many else 0.6}
    chart = alt.layer(
        base.mark_rule(**thin).encode(
            x=alt.X(f"{ratio}_low:Q", title=titles[ratio], scale=scale),
            x2=f"{ratio}_high:Q",
            y=y,
            color=channels["color"],
        ),
        base.mark_rule(**thin).encode(
            x=x,
            y=alt.Y(f"{share}_low:Q", title=titles[share], scale=scale),
            y2=f"{share}_high:Q",
            color=channels["color"],
        ),
        base.mark_point(size=18 if many else 60, filled=True, opacity=0.85).encode(
            x=x, y=y, **channels
        ),
    ).properties(width=WIDTH - 200, height=360)
    caption = (
        f"n = {count_of(len(drawn), 'sample')}. Lines: 95 % intervals, noise of counting and "
        "re-estimation only. Samples lie on a gradient: there is no border between types."
        + left_out(
            table.loc[~is_drawn, "sample"].astype(str).tolist(), "an axis is missing, see the table"
        )
    )
    return Figure(
        key,
        "Axes of community types",
        caption,
        svg_of(chart, key, "Bacteroides against Prevotella, and share of Bacillota, by sample"),
        drawn[["sample", "group", *columns]],
        "results/signature/community_types.tsv",
    )


def community_memberships(
    table: pd.DataFrame, names: Mapping[str, str], groups: pd.Series, key: str = "community-types"
) -> Figure:
    """How far each sample resembles each reference type.

    Parameters
    ----------
    table : DataFrame
        As results/signature/community_types.tsv; rows without memberships are left out.
    names : mapping of type to its name for people
        Its order is that of the types.
    groups : Series
        From `group_labels`; samples are drawn in its order.
    key : str
    """
    columns = {f"membership_{name}": words for name, words in names.items()}
    drawn = table.dropna(subset=list(columns)).copy()
    drawn["group"] = groups.reindex(drawn["sample"]).astype(str).to_numpy()
    order = {str(group): place for place, group in enumerate(groups.cat.categories)}
    drawn = drawn.sort_values(
        ["group", next(iter(columns)), "sample"],
        key=lambda column: column.map(order) if column.name == "group" else column,
        kind="stable",
    )
    is_named = drawn["reference_type"].ne("unclassified")
    values = 100 * drawn[list(columns)].to_numpy(float)
    levels = list(columns.values())
    colour = alt.Color(
        "part:N",
        title=None,
        sort=levels,
        scale=alt.Scale(domain=levels, range=list(TAXON_COLOURS[: len(levels)])),
        legend=alt.Legend(orient="top", columns=2, labelLimit=420),
    )
    title = "Membership (posterior probability, %)"
    if len(drawn) <= MANY_SAMPLES:
        rows = [
            f"{sample}{'' if named else ' (unclassified)'}"
            for sample, named in zip(drawn["sample"].astype(str), is_named, strict=True)
        ]
        chart: Any = bar_chart(
            *(stack_parts(rows, values, levels), rows, colour, title, ".0f"),
            width=WIDTH - 220,
            most=100,
            label_limit=220,
        )
    else:
        chart = area_chart(values, levels, colour, title, "Samples, by group and membership")
    caption = (
        f"n = {count_of(len(drawn), 'sample')}, of which {(~is_named).sum()} unclassified. "
        "Posterior probability of four coarse reference types, given that a sample is one of them."
        + left_out(
            table.loc[~table["sample"].isin(drawn["sample"]), "sample"].astype(str).tolist(),
            "no membership, see the table",
        )
    )
    return Figure(
        key,
        "Resemblance to reference types",
        caption,
        svg_of(chart, key, "Membership in reference types, stacked bars by sample"),
        drawn[["sample", "group", "reference_type", *columns]],
        "results/signature/community_types.tsv",
    )
