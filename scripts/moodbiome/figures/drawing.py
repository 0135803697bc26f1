"""What all figures are drawn with: groups and their colours, bars, areas, and the SVG."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import vl_convert

# Okabe & Ito (2008), "Color Universal Design": told apart with any common colour vision. Yellow is
# left out for points: its contrast against white is 1.3.
GROUP_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GROUP_SHAPES = (
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "triangle-right",
)
# The same hues and four tints of them, ordered so that neighbours in a stack differ in lightness.
TAXON_COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#F0E442",
    "#D55E00",
    "#56B4E9",
    "#882255",
    "#CC79A7",
    "#004D40",
    "#A6D8C8",
)
NO_GROUP = "no group stated"
ALL_SAMPLES = "all samples"
MAX_GROUPS = 12
MANY_SAMPLES = 80  # above it a row a sample no longer fits on a page
_FONT = "Arial, Helvetica, Liberation Sans, sans-serif"
INK = "#222222"
FAINT = "#8A8A8A"
WIDTH = 830  # of a figure without its labels, px; the page holds about 920
EFFECT = ["effect", "low", "high", "q"]
PREDICTION = ["prediction_low", "prediction_high"]


@dataclass(frozen=True)
class Figure:
    """A drawn figure, the words under it, and the numbers in it.

    Attributes
    ----------
    key : str
        Unique within a page; the element's id.
    title, caption : str
        Plain text. The caption gives n and the denominator.
    svg : str
        A complete `<svg>` element that refers to nothing outside itself.
    table : DataFrame
        What is drawn, one row a mark.
    source : str
        Where the numbers come from, relative to the run folder.
    """

    key: str
    title: str
    caption: str
    svg: str
    table: pd.DataFrame
    source: str


def group_labels(
    samples: Sequence[str], metadata: pd.DataFrame | None, column: str, reference: str = ""
) -> pd.Series:
    """The group of each sample, as an ordered category: the reference first, unknown last.

    Parameters
    ----------
    samples : sequence of str
    metadata : DataFrame or None
        Column `sample` and the group's column; one row a sample.
    column : str
        Empty: there are no groups.
    reference : str
        The group that others are compared with.

    Returns
    -------
    Series of dtype category, indexed by sample
        All `ALL_SAMPLES` where nothing can be compared, or where there are more than `MAX_GROUPS`
        groups (then no palette tells them apart).

    Raises
    ------
    ValueError
        If a sample has two rows of metadata, or the column is absent.

    Examples
    --------
    >>> sheet = pd.DataFrame({"sample": ["A", "B"], "arm": ["probiotic", "placebo"]})
    >>> list(group_labels(["A", "B"], sheet, "arm", "placebo").cat.categories)
    ['placebo', 'probiotic']
    """
    nobody = pd.Series(
        pd.Categorical([ALL_SAMPLES] * len(samples), categories=[ALL_SAMPLES]), index=list(samples)
    )
    if metadata is None or metadata.empty or not column:
        return nobody
    if column not in metadata:
        raise ValueError(
            f"the metadata have no column {column!r} to group by; name one of "
            f"{', '.join(map(str, metadata.columns))} in cohort.group, or leave it empty"
        )
    twice = metadata["sample"][metadata["sample"].duplicated()]
    if not twice.empty:
        raise ValueError(f"metadata: sample {twice.iloc[0]!r} has two rows; keep one row a sample")
    known = metadata.set_index("sample")[column]
    # A column of whole numbers with a gap is read as 0.0 and 1.0.
    whole = pd.api.types.is_numeric_dtype(known)
    known = known[known.notna() & (known.astype(str) != "")].astype(str)
    known = known.str.removesuffix(".0") if whole else known
    labels = known.reindex(list(samples)).fillna(NO_GROUP)
    names = sorted(set(labels) - {reference, NO_GROUP})
    order = [name for name in [reference, *names, NO_GROUP] if name in set(labels)]
    if len(order) > MAX_GROUPS or order == [NO_GROUP]:
        return nobody
    return pd.Series(pd.Categorical(labels, categories=order), index=list(samples))


def stack_parts(rows: Sequence[str], values: np.ndarray, parts: Sequence[str]) -> pd.DataFrame:
    ends = values.cumsum(axis=1)
    starts = ends - values
    return pd.DataFrame(
        {
            "sample": np.repeat(np.asarray(rows, dtype=object), len(parts)),
            "part": np.tile(np.asarray(parts, dtype=object), len(rows)),
            "start": starts.ravel().round(4),
            "end": ends.ravel().round(4),
        }
    ).loc[lambda table: table["end"] > table["start"]]


def bar_chart(
    stacked: pd.DataFrame,
    samples: list[str],
    colour: alt.Color,
    title: str,
    number: str,
    *,
    width: int,
    names: bool = True,
    most: float | None = None,
    label_limit: int = 150,
) -> alt.Chart:
    scale = alt.Scale(domain=[0, most], nice=False) if most else alt.Scale(zero=True)
    axis = alt.Axis(format=number, tickCount=5, labels=bool(title), ticks=bool(title))
    return (
        chart_of(stacked)
        .mark_bar(stroke="white", strokeWidth=0.5)
        .encode(
            y=alt.Y(
                "sample:N",
                title=None,
                sort=samples,
                scale=alt.Scale(domain=samples, paddingInner=0.12),
                axis=alt.Axis(labels=names, labelLimit=label_limit, ticks=False, grid=False),
            ),
            x=alt.X("start:Q", title=title or None, scale=scale, axis=axis),
            x2="end:Q",
            color=colour,
        )
        .properties(width=width, height=max(24, 15 * len(samples)))
    )


def area_chart(
    values: np.ndarray,
    parts: Sequence[str],
    colour: alt.Color,
    title: str,
    samples_title: str,
    blocks: Sequence[tuple[str, int]] = (),
) -> Any:
    n_samples = len(values)
    # A step needs its right edge: the last sample is repeated one place further.
    closed = np.vstack([values, values[-1:]])
    ends = closed.cumsum(axis=1)
    table = pd.DataFrame(
        {
            "rank": np.repeat(np.arange(n_samples + 1), len(parts)),
            "part": np.tile(np.asarray(parts, dtype=object), n_samples + 1),
            "start": (ends - closed).ravel().round(2),
            "end": ends.ravel().round(2),
        }
    )
    x = rank_axis(n_samples, samples_title)
    area = (
        chart_of(table)
        .mark_area(interpolate="step-after", opacity=1)
        .encode(
            x=x,
            y=alt.Y(
                "start:Q",
                title=title,
                scale=alt.Scale(domain=[0, 100], nice=False),
                axis=alt.Axis(format=".0f", tickCount=5),
            ),
            y2="end:Q",
            color=colour,
        )
    )
    layers: list[Any] = [area]
    named = [(name, size) for name, size in blocks if name != ALL_SAMPLES]
    edges = np.cumsum([0, *(size for _, size in named)])
    if len(edges) > 2:
        layers.append(
            chart_of(pd.DataFrame({"rank": edges[1:-1]}))
            .mark_rule(color=INK, strokeWidth=1.5)
            .encode(x=alt.X("rank:Q"))
        )
    chart = alt.layer(*layers).properties(width=WIDTH - (200 if blocks else 0), height=260)
    if not named:
        return chart
    # Narrow groups take two lines in turn, so that neighbours do not run into each other.
    bands = pd.DataFrame(
        {
            "rank": (edges[:-1] + edges[1:]) / 2,
            "line": [i % 2 if len(named) > 3 else 0 for i in range(len(named))],
            "name": [f"{name} (n = {size})" for name, size in named],
        }
    )
    heads = (
        chart_of(bands)
        .mark_text(fontSize=11, color=INK)
        .encode(
            x=alt.X("rank:Q", axis=None, scale=alt.Scale(domain=[0, n_samples], nice=False)),
            y=alt.Y("line:O", axis=None),
            text="name:N",
        )
        .properties(width=WIDTH - 200, height=16 * (1 + int(bands["line"].max())))
    )
    return alt.vconcat(heads, chart, spacing=2)


def rank_axis(n_samples: int, title: str | None) -> alt.X:
    return alt.X(
        "rank:Q",
        title=title,
        scale=alt.Scale(domain=[0, n_samples], nice=False),
        axis=alt.Axis(grid=False, tickCount=6, format="~d"),
    )


def group_channels(present: list[str], legend: bool = True) -> dict[str, Any]:
    """Colour and shape say the same, so that the figure reads in grey too."""
    shown = (
        alt.Legend(orient="top", symbolSize=80, labelLimit=220)
        if legend and present != [ALL_SAMPLES]
        else None
    )
    named = [name for name in present if name != NO_GROUP]
    hues = {name: GROUP_COLOURS[i % len(GROUP_COLOURS)] for i, name in enumerate(named)}
    marks = {
        name: GROUP_SHAPES[(i + i // len(GROUP_COLOURS)) % len(GROUP_SHAPES)]
        for i, name in enumerate(named)
    }
    return {
        "color": alt.Color(
            "group:N",
            title=None,
            scale=alt.Scale(domain=present, range=[hues.get(name, FAINT) for name in present]),
            legend=shown,
        ),
        "shape": alt.Shape(
            "group:N",
            title=None,
            scale=alt.Scale(domain=present, range=[marks.get(name, "stroke") for name in present]),
            legend=shown,
        ),
    }


def chart_of(table: pd.DataFrame) -> alt.Chart:
    # Inline values: altair's default transformer refuses more than 5,000 rows.
    records: Any = table.astype(object).where(table.notna(), None).to_dict("records")
    return alt.Chart(alt.InlineData(values=records))


def svg_of(chart: Any, key: str, description: str) -> str:
    """Draw, then cut what a static figure does not need and make its ids unique in the page."""
    chart = chart.configure(
        aria=False,
        font=_FONT,
        background="white",
        padding=4,
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            labelFontSize=11,
            titleFontSize=12,
            titleFontWeight="normal",
            labelColor=INK,
            titleColor=INK,
            gridColor="#E8E8E8",
            domainColor=FAINT,
            tickColor=FAINT,
        ),
        legend=alt.LegendConfig(labelFontSize=11, titleFontSize=11, labelColor=INK),
        title=alt.TitleConfig(fontSize=12, anchor="start", color=INK, fontWeight="bold", offset=4),
        concat=alt.CompositionConfig(spacing=14),
    )
    svg = str(vl_convert.vegalite_to_svg(chart.to_dict()))
    svg = re.sub(r' (?:aria-[a-z]+|role|class|pointer-events|font-family)="[^"]*"', "", svg)
    svg = svg.replace(' opacity="1"', "")
    svg = re.sub(
        r'(?<= )(d|transform)="[^"]*"',
        lambda match: re.sub(r"(\.\d\d)\d+", r"\1", match.group()),
        svg,
    )
    # vega numbers its ids through the life of the process: number them anew within the figure.
    for position, name in enumerate(re.findall(r' id="([^"]+)"', svg), start=1):
        svg = svg.replace(f' id="{name}"', f' id="{key}-{position}"')
        svg = svg.replace(f"url(#{name})", f"url(#{key}-{position})")
    svg = svg.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "")
    head = f'<svg role="img" aria-label="{_attribute(description)}" font-family="{_FONT}" '
    return svg.replace("<svg ", head, 1)


def heading_above(text: str) -> alt.TitleParams:
    """A title above the marks, whatever room the labels beside them take."""
    return alt.TitleParams(text, frame="group")


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
