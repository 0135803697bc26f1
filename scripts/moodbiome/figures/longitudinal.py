"""The figures of change over time."""

import json
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd
from scipy import stats

from moodbiome.figures.drawing import (
    ALL_SAMPLES,
    MANY_SAMPLES,
    WIDTH,
    Figure,
    chart_of,
    group_channels,
    svg_of,
)
from moodbiome.figures.words import count_of, plain


def retention(table: pd.DataFrame, reference: str, key: str = "retention") -> Figure:
    """Share of the subjects of each arm with a usable sample, by timepoint.

    Parameters
    ----------
    table : DataFrame
        Columns arm, timepoint, assigned, with_sample, usable, missing; timepoints in their order.
    reference : str
        Arm that comes first.
    key : str
    """
    shown, arms, times = _by_arm(table.assign(outcome="seen"), reference)
    shown["percent"] = 100 * shown["usable"] / shown["assigned"]
    base = chart_of(shown[["group", "position", "percent"]])
    x, y = _time_axis(times), alt.Y("percent:Q", title="Subjects with a usable sample (%)")
    y = y.scale(domain=[0, 100])
    channels = group_channels(arms)
    chart = alt.layer(
        base.mark_line(strokeWidth=2).encode(x=x, y=y, color=channels["color"]),
        base.mark_point(size=55, filled=True, opacity=1).encode(x=x, y=y, **channels),
    ).properties(width=min(WIDTH, 130 * max(2, len(times))), height=170)
    first = shown.drop_duplicates("group").set_index("group")["assigned"]
    caption = (
        f"n = {count_of(int(first.sum()), 'subject')}"
        + (f" ({', '.join(f'{arm} {first[arm]}' for arm in arms)})" if len(arms) > 1 else "")
        + "; denominator: all subjects of the arm they were assigned to. Usable is a sample of "
        "status ok. Who is missing, and why, is in the table below."
    )
    return Figure(
        key,
        "Who was seen when",
        caption,
        svg_of(chart, key, "Share of subjects with a usable sample, by arm and timepoint"),
        table[["arm", "timepoint", "assigned", "with_sample", "usable", "missing"]],
        "results/statistics/retention.tsv",
    )


def trajectories(table: pd.DataFrame, reference: str, key: str = "trajectories") -> Figure:
    """Values over time: the mean of each arm with its interval, and thin lines of subjects.

    Parameters
    ----------
    table : DataFrame
        As results/statistics/changes.tsv: columns subject, arm, outcome, unit, from, to,
        value_from, value_to; each outcome gets a panel.
    reference : str
        Arm that comes first.
    key : str

    Raises
    ------
    ValueError
        If there is no value to draw.
    """
    names = ["subject", "arm", "outcome", "unit"]
    start = table[[*names, "from", "value_from"]].drop_duplicates([*names, "from"])
    later = table[[*names, "to", "value_to"]]
    columns = [*names, "timepoint", "value"]
    values = pd.concat([start.set_axis(columns, axis=1), later.set_axis(columns, axis=1)])
    values = values[values["value"].notna()]
    if values.empty:
        raise ValueError("no subject has a value to draw")
    values, arms, times = _by_arm(values, reference)
    by = ["outcome", "unit", "group", "timepoint", "position"]
    means = values.groupby(by, sort=False)["value"].agg(["size", "mean", "sem"]).reset_index()
    margin = means["sem"] * stats.t.ppf(0.975, (means["size"] - 1).clip(lower=1))
    means = means.assign(low=means["mean"] - margin, high=means["mean"] + margin)
    subjects = values["subject"].nunique()
    with_lines = subjects <= MANY_SAMPLES
    panels = [
        _trajectory_panel(values[values["outcome"] == name], part, arms, times, with_lines)
        for name, part in means.groupby("outcome", sort=False)
    ]
    lines = (
        "Thin lines: single subjects."
        if with_lines
        else f"Single subjects are not drawn, for there are more than {MANY_SAMPLES}."
    )
    caption = (
        f"n = {count_of(subjects, 'subject')} with a baseline; the number behind each mean is in "
        f"the table. Symbols: means of those seen; vertical lines: their 95 % t intervals. {lines} "
        "Means of those seen can mislead where people left; the models in the table below use the "
        "earlier values of those who left."
    )
    shown = means.rename(columns={"group": "arm", "size": "n"})
    return Figure(
        key,
        "Values over time",
        caption,
        svg_of(alt.concat(*panels, columns=3, spacing=24), key, "Means over time by arm"),
        shown[["outcome", "unit", "arm", "timepoint", "n", "mean", "low", "high"]],
        "results/statistics/changes.tsv",
    )


def _by_arm(table: pd.DataFrame, reference: str) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Rows with `group` and a place on the axis of time, arms a little apart; arms; timepoints."""
    arm = table["arm"].fillna("").astype(str).replace("", ALL_SAMPLES)
    arms = sorted(arm.unique(), key=lambda name: (name != reference, name))
    times = list(dict.fromkeys(table["timepoint"].astype(str)))
    apart = {name: 0.09 * (i - (len(arms) - 1) / 2) for i, name in enumerate(arms)}
    place = {time: i for i, time in enumerate(times)}
    position = table["timepoint"].astype(str).map(place) + arm.map(apart)
    return table.assign(group=arm, position=position), arms, times


def _time_axis(times: Sequence[str]) -> alt.X:
    names = json.dumps(list(times))
    return alt.X(
        "position:Q",
        title="Timepoint",
        scale=alt.Scale(domain=[-0.35, len(times) - 0.65], nice=False),
        axis=alt.Axis(
            values=list(range(len(times))), labelExpr=f"{names}[datum.value]", grid=False
        ),
    )


def _trajectory_panel(
    values: pd.DataFrame, means: pd.DataFrame, arms: list[str], times: list[str], with_lines: bool
) -> Any:
    outcome, unit = str(means["outcome"].iloc[0]), str(means["unit"].iloc[0])
    x, scale = _time_axis(times), alt.Scale(zero=False, nice=True)
    title = f"{plain(outcome)} ({unit})"
    channels = group_channels(arms)
    base = chart_of(means[["group", "position", "mean", "low", "high"]])
    y = alt.Y("mean:Q", title=title, scale=scale, axis=alt.Axis(tickCount=5))
    colour = channels["color"]
    layers: list[Any] = []
    if with_lines:
        layers.append(
            chart_of(values[["subject", "group", "position", "value"]])
            .mark_line(strokeWidth=0.7, opacity=0.35)
            .encode(
                x=x,
                y=alt.Y("value:Q", title=title, scale=scale),
                # A channel of its own, or the legend would be as faint as these lines.
                stroke=alt.Stroke("group:N", scale=colour["scale"], legend=None),
                detail="subject:N",
            )
        )
    layers += [
        base.mark_line(strokeWidth=2.4).encode(x=x, y=y, color=colour),
        base.mark_rule(strokeWidth=1.8).encode(
            x=x, y=alt.Y("low:Q", title=title, scale=scale), y2="high:Q", color=colour
        ),
        base.mark_point(size=60, filled=True, opacity=1).encode(x=x, y=y, **channels),
    ]
    return alt.layer(*layers).properties(width=max(190, 60 * len(times)), height=210)
