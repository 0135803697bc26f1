"""The figures of differential abundance, measured variables and power."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from moodbiome.figures.drawing import (
    EFFECT,
    FAINT,
    INK,
    Figure,
    chart_of,
    group_channels,
    heading_above,
    svg_of,
)
from moodbiome.figures.words import METHODS, POWER_FEATURES, count_of, listed, method_name, plain


def differential(
    table: pd.DataFrame,
    term: str,
    max_fdr: float,
    words: str = "",
    key: str = "differential",
    most: int = 20,
) -> Figure:
    """Effect and interval of the taxa with the smallest p under one term, a panel a method.

    Parameters
    ----------
    table : DataFrame
        Columns taxon_id, name, term, effect, low, high, p, q, n, prevalence, method; optionally
        effect_unit, by default log2 fold change. A row without q was not tested: it is named in the
        caption, and neither drawn nor counted.
    term : str
        The term to draw.
    max_fdr : float
        Filled symbols where q is at most this.
    words : str
        The term as people say it; by default as it is.
    key : str
    most : int
        Taxa drawn.

    Raises
    ------
    ValueError
        If no taxon was tested under the term.
    """
    of_term = table[(table["term"] == term) & table["effect"].notna()]
    rows = of_term[of_term["q"].notna()]
    if rows.empty:
        raise ValueError(f"no taxon has a q for the term {term!r}, so that there is none to draw")
    best = rows.groupby(["taxon_id", "name"], sort=True)["p"].min().reset_index()
    chosen = best.sort_values(["p", "name"], kind="stable").head(most)
    drawn = rows[rows["taxon_id"].isin(set(chosen["taxon_id"]))].copy()
    drawn["found"] = np.where(drawn["q"] <= max_fdr, "yes", "no")
    # Two taxa may carry one name; the id keeps their rows apart.
    shared = chosen["name"].duplicated(keep=False)
    label = (
        chosen["name"]
        .astype(str)
        .where(~shared, chosen["name"] + " " + chosen["taxon_id"].astype(str))
    )
    drawn["taxon"] = drawn["taxon_id"].map(dict(zip(chosen["taxon_id"], label, strict=True)))
    methods = [name for name in METHODS if name in set(drawn["method"])]
    methods += sorted(set(drawn["method"].astype(str)) - set(METHODS))
    first = drawn[drawn["method"] == methods[0]].set_index("taxon")["effect"]
    order = sorted(set(label), key=lambda name: (-first.get(name, -np.inf), name))
    if "effect_unit" not in drawn:
        drawn["effect_unit"] = "log2 fold change"
    panels = []
    for position, method in enumerate(methods[:3]):
        part = drawn[drawn["method"] == method]
        unit = str(part["effect_unit"].iloc[0])
        panel = _effects(part, order, unit, position == 0, max_fdr)
        panels.append(panel.properties(title=heading_above(method_name(method))))
    width = 430 if len(panels) == 1 else (640 // len(panels))
    chart = alt.hconcat(*(panel.properties(width=width) for panel in panels), spacing=14)
    caption = (
        f"The {len(chosen)} taxa with the smallest p for {words or term}, with 95 % intervals; "
        f"filled where q ≤ {max_fdr:g} (Benjamini-Hochberg over all taxa tested). "
        + "; ".join(
            f"{method_name(method)}: n = {count_of(int(part['n'].max()), 'sample')}, "
            f"{part['taxon_id'].nunique():,} taxa tested, "
            f"{int((part['q'] <= max_fdr).sum())} with q ≤ {max_fdr:g}"
            for method, part in ((name, rows[rows["method"] == name]) for name in methods)
        )
        + ". An association does not show a cause."
    )
    untested = of_term[of_term["q"].isna()]
    for unable, without in untested.groupby("method", sort=True):
        caption += (
            f" Not tested by {method_name(str(unable))}, for the model leaves no variation: "
            f"{listed(sorted(without['name'].astype(str)))}."
        )
    shown = drawn.sort_values(["p", "taxon", "method"], kind="stable")
    shown["method"] = shown["method"].map(method_name)
    return Figure(
        key,
        f"Differential abundance: {words or term}",
        caption,
        svg_of(chart, key, f"Effects of {term} on taxa"),
        shown[["taxon", "method", *EFFECT, "effect_unit"]],
        "results/statistics/differential.tsv",
    )


def measures(table: pd.DataFrame, max_fdr: float, key: str = "measures", most: int = 25) -> Figure:
    """Standardised effects of the measured variables on the community, as a heat map.

    Parameters
    ----------
    table : DataFrame
        The main run of ``measures.tsv``.
    max_fdr : float
        A dot marks q of at most this.
    key : str
    most : int
        Taxa drawn: those with the smallest p. Diversity and score are all drawn.

    Raises
    ------
    ValueError
        If no test has a p.
    """
    tested = table[table["p"].notna()]
    if tested.empty:
        raise ValueError("no measured variable has a p, so that there is none to draw")
    is_taxon = tested["feature_kind"] == "taxon"
    ranked = tested[is_taxon].sort_values(["p", "name"], kind="stable")["feature"]
    chosen = list(dict.fromkeys(ranked))[:most]
    drawn = tested[~is_taxon | tested["feature"].isin(chosen)].copy()
    drawn["row"] = drawn["name"].astype(str)
    names = drawn.drop_duplicates("feature").set_index("feature")["row"]
    shared = drawn["feature"].map(names.duplicated(keep=False))
    drawn.loc[shared, "row"] += " " + drawn.loc[shared, "feature"].astype(str)
    is_number = drawn["contrast"].str.startswith("per SD")
    drawn["column"] = drawn["measure"].where(
        is_number, drawn["measure"] + ": " + drawn["contrast"].astype(str)
    )
    position = {feature: place for place, feature in enumerate(chosen)}
    place = drawn["feature"].map(position).fillna(len(chosen))
    rows = list(dict.fromkeys(drawn.assign(place=place).sort_values("place", kind="stable")["row"]))
    columns = list(dict.fromkeys(drawn["column"]))
    largest = float(drawn["effect_sd"].abs().max()) or 1.0
    y = alt.Y("row:N", title=None, scale=alt.Scale(domain=rows), axis=alt.Axis(labelLimit=230))
    x = alt.X(
        "column:N",
        title=None,
        scale=alt.Scale(domain=columns),
        axis=alt.Axis(orient="top", labelAngle=-45, labelLimit=230),
    )
    cells = chart_of(drawn[["row", "column", "effect_sd"]])
    found = drawn[drawn["q"] <= max_fdr]
    chart = alt.layer(
        cells.mark_rect(stroke="white").encode(
            x=x,
            y=y,
            color=alt.Color(
                "effect_sd:Q",
                title="effect, SD",
                scale=alt.Scale(
                    domain=[-largest, 0, largest],
                    range=["#D55E00", "#FFFFFF", "#0072B2"],
                    interpolate="rgb",
                ),
            ),
        ),
        chart_of(found[["row", "column"]])
        .mark_point(size=34, filled=True, color=INK)
        .encode(x=x, y=y),
    ).properties(width=34 * len(columns), height=17 * len(rows))
    n = drawn["n"]
    span = f"{n.min():,}" if n.min() == n.max() else f"{n.min():,} to {n.max():,}"
    by_kind = "; ".join(
        f"{plain(str(kind))} {count_of(len(part), 'test')}, {(part['q'] <= max_fdr).sum()} found"
        for kind, part in tested.groupby("feature_kind", sort=False)
    )
    beyond = len(set(ranked)) - len(chosen)
    caption = (
        "Adjusted effects in standard deviations of the row: per standard deviation of a number, "
        f"or between two categories. A dot marks q ≤ {max_fdr:g} (Benjamini-Hochberg within kind "
        f"of variable and kind of row). n = {span} samples. By kind of row: {by_kind}."
        + (
            f" Of the taxa, those with the smallest p; {count_of(beyond, 'other')} not drawn."
            if beyond > 0
            else ""
        )
        + " An association does not show a cause."
    )
    shown = drawn[["column", "row", "effect_sd", "effect", "low", "high", "effect_unit", "q", "n"]]
    return Figure(
        key,
        "Measured variables and the community",
        caption,
        svg_of(chart, key, "Heat map of the effects of measured variables on taxa and diversity"),
        shown.rename(columns={"column": "variable", "row": "feature"}),
        "results/statistics/measures.tsv",
    )


def power(table: pd.DataFrame, words: str, max_fdr: float, key: str = "power") -> Figure:
    """Power by size of the effect: taxa by fold change, and scores and diversity by shift.

    Parameters
    ----------
    table : DataFrame
        Columns of results/statistics/power.tsv, of one assay and term, with rows of quantity
        ``power``.
    words : str
        The comparison as people say it.
    max_fdr : float
        At which taxa count as found.
    key : str

    Raises
    ------
    ValueError
        If no power was estimated.
    """
    kinds = table["feature_kind"] + "." + table["class"]
    drawn = table.assign(feature=kinds.map(POWER_FEATURES))[table["quantity"] == "power"]
    if drawn.empty:
        raise ValueError(f"no power was estimated for {words}, so that there is none to draw")
    panels = []
    for is_taxon, title in ((True, "Taxa"), (False, "Score and diversity")):
        part = drawn[(drawn["feature_kind"] == "taxon") == is_taxon]
        if len(part):
            panels.append(_power_panel(part.rename(columns={"feature": "group"}), title))
    chart = alt.hconcat(*panels, spacing=24).resolve_scale(color="independent", shape="independent")
    sizes = drawn.groupby("feature", sort=False)[["n_reference", "n_other"]].first()
    counted: dict[str, list[str]] = {}
    for name, row in sizes.iterrows():
        of_size = f"{row['n_reference']:,} and {row['n_other']:,} samples"
        counted.setdefault(of_size, []).append(str(name))
    n = "; ".join(
        of_size + (f" ({listed(names)})" if len(counted) > 1 else "")
        for of_size, names in counted.items()
    )
    caption = (
        f"Share of the planted effects that this cohort finds, by their size: {n}, "
        f"{count_of(int(drawn['simulations'].iloc[0]), 'simulation')} a size, with 95 % Monte "
        "Carlo intervals. The dashed line is 80 %. Taxa are found at "
        f"q ≤ {max_fdr:g} where one tested taxon in ten differs; scores and diversity at p ≤ 0.05, "
        "their shifts in standard deviations within groups."
    )
    return Figure(
        key,
        f"Power: {words}",
        caption,
        svg_of(chart, key, f"Power by size of the effect for {words}"),
        drawn[["feature", "effect", "unit", "power", "low", "high"]],
        "results/statistics/power.tsv",
    )


def _power_panel(part: pd.DataFrame, title: str) -> Any:
    """Lines with their Monte Carlo intervals; the panel's own legend above it."""
    names = [name for name in POWER_FEATURES.values() if name in set(part["group"])]
    channels = group_channels(names)
    # The legend is that of the points: the area's would be as pale as the area.
    plain_colour = group_channels(names, legend=False)["color"]
    base = chart_of(part).encode(
        x=alt.X("effect:Q", title=str(part["unit"].iloc[0]), axis=alt.Axis(tickCount=6))
    )
    share = alt.Scale(domain=[0, 1])
    y = alt.Y("power:Q", title="power", scale=share, axis=alt.Axis(format="%"))
    target = alt.Chart(alt.InlineData(values=[{"power": 0.8}]))
    layers = [
        target.mark_rule(strokeDash=[4, 3], color=FAINT).encode(y=y),
        base.mark_area(opacity=0.12).encode(
            y=alt.Y("low:Q", scale=share), y2="high:Q", color=plain_colour
        ),
        base.mark_line(strokeWidth=1.5).encode(y=y, color=plain_colour),
        base.mark_point(size=35, filled=True, opacity=1).encode(y=y, **channels),
    ]
    layered = alt.layer(*layers).resolve_legend(color="independent", shape="independent")
    return layered.properties(width=350, height=240, title=heading_above(title))


def _effects(part: pd.DataFrame, order: list[str], title: str, named: bool, max_fdr: float) -> Any:
    rows = alt.Y(
        "taxon:N",
        title=None,
        sort=order,
        scale=alt.Scale(domain=order),
        axis=alt.Axis(labelLimit=190, ticks=False, labels=named),
    )
    base = chart_of(part[["taxon", "effect", "low", "high", "found"]])
    axis = alt.Axis(tickCount=6)
    zero = chart_of(pd.DataFrame({"effect": [0.0]}))
    return alt.layer(
        zero.mark_rule(color=FAINT, strokeWidth=1.2).encode(
            x=alt.X("effect:Q", title=title, axis=axis)
        ),
        base.mark_rule(color="#0072B2", strokeWidth=1.6).encode(
            x=alt.X("low:Q", title=title, axis=axis), x2="high:Q", y=rows
        ),
        base.mark_point(size=60, stroke="#0072B2", strokeWidth=1.6, opacity=1).encode(
            x=alt.X("effect:Q", title=title, axis=axis),
            y=rows,
            fill=alt.Fill(
                "found:N",
                title=f"q ≤ {max_fdr:g}",
                scale=alt.Scale(domain=["yes", "no"], range=["#0072B2", "white"]),
                legend=alt.Legend(orient="top", symbolType="circle", symbolStrokeColor="#0072B2"),
            ),
        ),
    ).properties(height=max(60, 19 * len(order)))
