"""The figures of effects pooled over studies, and of trials."""

import altair as alt
import numpy as np
import pandas as pd

from moodbiome.figures.drawing import (
    EFFECT,
    FAINT,
    GROUP_SHAPES,
    INK,
    PREDICTION,
    WIDTH,
    Figure,
    chart_of,
    svg_of,
)
from moodbiome.figures.words import BEYOND, count_of, method_name, plain


def pooled_effects(
    pooled: pd.DataFrame,
    by_cohort: pd.DataFrame,
    max_fdr: float,
    words: str,
    key: str = "pooled",
    most: int = 20,
) -> Figure:
    """Pooled effects of the features with the smallest p, and those of each study beside them.

    Parameters
    ----------
    pooled : DataFrame
        Rows of one assay, term and method: columns feature, name, k, n, effect, low, high, p, q,
        tau2, i2, prediction_low, prediction_high, method, effect_unit.
    by_cohort : DataFrame
        The effects of the studies: columns feature, study, effect, low, high.
    max_fdr : float
        Filled symbols where q is at most this.
    words : str
        The term as people say it.
    key : str
    most : int
        Features drawn.
    """
    chosen = pooled.sort_values(["p", "feature"], kind="stable").head(most)
    shared = chosen["name"].duplicated(keep=False)
    label = chosen["name"].astype(str).where(~shared, chosen["name"] + " " + chosen["feature"])
    drawn = chosen.assign(label=label.map(plain))
    drawn["found"] = np.where(drawn["q"] <= max_fdr, "yes", "no")
    order = drawn.sort_values("effect", ascending=False)["label"].tolist()
    named = dict(zip(drawn["feature"], drawn["label"], strict=True))
    points = by_cohort[by_cohort["feature"].isin(set(named))]
    points = points.assign(label=points["feature"].map(named))[["label", "study", "effect"]]
    studies = sorted(set(points["study"]))
    unit = str(pooled["effect_unit"].iloc[0])
    scale = _effect_scale(drawn[["low", "high"]], points["effect"])
    rows = alt.Y("label:N", title=None, sort=order, axis=alt.Axis(labelLimit=220, ticks=False))
    base = chart_of(drawn[["label", "effect", "low", "high", "found", *PREDICTION]])
    shape = (
        {
            "shape": alt.Shape(
                "study:N",
                title="study",
                sort=studies,
                scale=alt.Scale(domain=studies, range=list(GROUP_SHAPES[: len(studies)])),
                legend=alt.Legend(orient="top"),
            )
        }
        if len(studies) <= len(GROUP_SHAPES)
        else {}
    )
    chart = alt.layer(
        _zero_line(scale),
        base.mark_rule(strokeWidth=1, color=FAINT, clip=True).encode(
            x=alt.X("prediction_low:Q", title=unit, scale=scale), x2="prediction_high:Q", y=rows
        ),
        base.mark_rule(strokeWidth=3, color="#0072B2", clip=True).encode(
            x=alt.X("low:Q", title=unit, scale=scale), x2="high:Q", y=rows
        ),
        chart_of(points)
        .mark_point(size=36, color="#D55E00", opacity=0.9, clip=True)
        .encode(x=alt.X("effect:Q", title=unit, scale=scale), y=rows, **shape),
        base.mark_point(
            size=110, shape="diamond", stroke="#0072B2", strokeWidth=1.6, opacity=1
        ).encode(
            x=alt.X("effect:Q", title=unit, scale=scale),
            y=rows,
            fill=alt.Fill(
                "found:N",
                title=f"pooled, q ≤ {max_fdr:g}",
                scale=alt.Scale(domain=["yes", "no"], range=["#0072B2", "white"]),
                legend=alt.Legend(orient="top", symbolType="diamond", symbolStrokeColor="#0072B2"),
            ),
        ),
    ).properties(width=WIDTH - 230, height=max(60, 22 * len(drawn)))
    what = method_name(str(pooled["method"].iloc[0]))
    single = int((pooled["k"] == 1).sum())
    counted = str(pooled["n_of"].iloc[0]).removesuffix("s")
    caption = (
        f"{words}, {what}: {len(drawn)} of {count_of(len(pooled), 'feature')}, those with the "
        f"smallest p; studies: {len(studies)}; at most "
        f"{count_of(int(pooled['n'].max()), counted)}. Diamond and thick line: mean of the "
        "random-effects model with its 95 % interval (REML, Hartung-Knapp); thin line: 95 % "
        "prediction interval, where the effect in a further study would lie (3 studies or more); "
        f"small symbols: the studies. q ≤ {max_fdr:g} for "
        f"{int((pooled['q'] <= max_fdr).sum())} (Benjamini-Hochberg)."
        + (f" {single} in one study only, not pooled and without q." if single else "")
        + BEYOND
        + " An association does not show a cause."
    )
    columns = ["label", "k", "n", *EFFECT, *PREDICTION, "tau2", "i2"]
    return Figure(
        key,
        f"Pooled over studies: {words}, {what}",
        caption,
        svg_of(chart, key, f"Pooled effects of {words}"),
        drawn[columns].rename(columns={"label": "feature"}),
        "results/statistics/pooled.tsv",
    )


def forest(trials: pd.DataFrame, pooled: pd.Series, outcome: str, key: str = "forest") -> Figure:
    """Effect of each trial with its weight, and the pooled effect below them.

    Parameters
    ----------
    trials : DataFrame
        Trials of one outcome: columns study, effect, low, high, weight (0-1).
    pooled : Series
        k, effect, low, high, prediction_low, prediction_high, tau2, i2 (0-1), heterogeneity_p.
    outcome : str
        Its name for people.
    key : str
    """
    rows = trials.sort_values(["effect", "study"], ascending=[False, True], kind="stable")
    last = f"Pooled (k = {int(pooled['k'])})"
    table = pd.concat(
        [
            rows[["study", "effect", "low", "high", "weight"]],
            pd.DataFrame([{"study": last, **pooled[["effect", "low", "high"]]}]),
        ],
        ignore_index=True,
    )
    table["text"] = [
        f"{effect:.2f} [{low:.2f}, {high:.2f}]" + ("" if np.isnan(weight) else f"  {weight:.0%}")
        for effect, low, high, weight in table[["effect", "low", "high", "weight"]].to_numpy(float)
    ]
    order = table["study"].tolist()
    scale = _effect_scale(table[["low", "high"]], rows["effect"])
    place = alt.Y(
        "study:N",
        title=None,
        sort=order,
        scale=alt.Scale(domain=order),
        axis=alt.Axis(labelLimit=220, ticks=False),
    )
    title = "Hedges g; right of 0: better than control"
    x = alt.X("effect:Q", title=title, scale=scale)
    is_last = table["study"] == last
    singles, mean = chart_of(table[~is_last]), chart_of(table[is_last])
    reach = chart_of(pd.DataFrame([{"study": last, **pooled[PREDICTION]}]))
    plot = alt.layer(
        _zero_line(scale),
        reach.mark_rule(strokeWidth=1, color=FAINT, clip=True).encode(
            x=alt.X("prediction_low:Q", title=title, scale=scale), x2="prediction_high:Q", y=place
        ),
        *(
            base.mark_rule(strokeWidth=width, color=colour, clip=True).encode(
                x=alt.X("low:Q", title=title, scale=scale), x2="high:Q", y=place
            )
            for base, width, colour in ((singles, 1.5, INK), (mean, 3, "#0072B2"))
        ),
        singles.mark_point(shape="square", filled=True, color=INK, opacity=1).encode(
            x=x,
            y=place,
            size=alt.Size("weight:Q", scale=alt.Scale(domain=[0, 1], range=[15, 400]), legend=None),
        ),
        mean.mark_point(shape="diamond", filled=True, size=160, color="#0072B2", opacity=1).encode(
            x=x, y=place
        ),
    ).properties(width=WIDTH - 420, height=24 * len(order))
    numbers = (
        chart_of(table)
        .mark_text(align="left", fontSize=11, color=INK, x=0)
        .encode(
            y=alt.Y("study:N", sort=order, scale=alt.Scale(domain=order), axis=None), text="text:N"
        )
        .properties(width=170, height=24 * len(order))
    )
    heterogeneity = (
        f" Variance between trials tau² = {pooled['tau2']:.3g}, I² = {100 * pooled['i2']:.0f} %, "
        f"p of heterogeneity {pooled['heterogeneity_p']:.2g}."
        if pooled["k"] > 1
        else " One trial: its own effect, nothing is pooled."
    )
    caption = (
        f"{outcome}: n = {count_of(len(rows), 'trial')}. Square: trial, larger with its weight "
        "(given in percent); lines: 95 % intervals; diamond: mean of the random-effects model "
        "(REML, Hartung-Knapp); thin line: 95 % prediction interval (3 trials or more)."
        + heterogeneity
        + BEYOND
    )
    return Figure(
        key,
        f"Trials: {outcome}",
        caption,
        svg_of(alt.hconcat(plot, numbers, spacing=8), key, f"Forest plot of {outcome}"),
        table.drop(columns="text"),
        "results/statistics/trials.tsv",
    )


def funnel(trials: pd.DataFrame, pooled: pd.Series, outcome: str, key: str = "funnel") -> Figure:
    """Effect of each trial against its standard error, about the pooled effect.

    Parameters
    ----------
    trials : DataFrame
        Trials of one outcome: columns study, effect, se.
    pooled : Series
        With effect, the middle of the funnel.
    outcome : str
        Its name for people.
    key : str
    """
    points = trials[["study", "effect", "se"]]
    bottom = 1.05 * float(points["se"].max())
    middle = float(pooled["effect"])
    lines = pd.DataFrame(
        {
            "side": [-1, -1, 1, 1],
            "effect": middle + 1.959964 * bottom * np.array([0, -1, 0, 1]),
            "se": [0, bottom, 0, bottom],
        }
    )
    y = alt.Y("se:Q", title="Standard error", scale=alt.Scale(domain=[bottom, 0], nice=False))
    x = alt.X("effect:Q", title="Hedges g; right of 0: better than control")
    chart = alt.layer(
        chart_of(pd.DataFrame({"effect": [middle]})).mark_rule(color="#0072B2").encode(x=x),
        chart_of(lines).mark_line(color=FAINT, strokeDash=[5, 4]).encode(x=x, y=y, detail="side:N"),
        chart_of(points).mark_point(filled=True, size=55, color=INK, opacity=0.8).encode(x=x, y=y),
    ).properties(width=420, height=240)
    caption = (
        f"{outcome}: n = {count_of(len(points), 'trial')}. Blue: pooled effect; dashed: where 95 % "
        "of the trials would lie if they differed by chance alone. A lopsided funnel can come from "
        "unpublished trials, and from true differences between small and large ones."
    )
    return Figure(
        key,
        f"Funnel plot: {outcome}",
        caption,
        svg_of(chart, key, f"Funnel plot of {outcome}"),
        points,
        "results/statistics/trials.tsv",
    )


def _effect_scale(intervals: pd.DataFrame, effects: pd.Series) -> alt.Scale:
    """Room for all effects, 0, and intervals of up to three times their spread."""
    low, high = min(0.0, float(effects.min())), max(0.0, float(effects.max()))
    room = 1.5 * max(high - low, 1e-9)
    ends = intervals.to_numpy(float)
    low = max(low - room, min(low, float(np.nanmin(ends))))
    high = min(high + room, max(high, float(np.nanmax(ends))))
    margin = 0.03 * (high - low)
    return alt.Scale(domain=[low - margin, high + margin], nice=False, zero=False)


def _zero_line(scale: alt.Scale) -> alt.Chart:
    return (
        chart_of(pd.DataFrame({"effect": [0.0]}))
        .mark_rule(color=FAINT, strokeWidth=1.2)
        .encode(x=alt.X("effect:Q", scale=scale))
    )
