"""The figures of diversity: within samples, and between them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from moodbiome.figures.drawing import INK, MANY_SAMPLES, Figure, chart_of, group_channels, svg_of
from moodbiome.figures.words import METRICS, count_of, left_out, listed, plain

NAMED_POINTS = 30  # above it names run into each other in an ordination


@dataclass(frozen=True)
class Ordination:
    """Principal coordinates of the samples under one dissimilarity.

    Attributes
    ----------
    metric : str
        For example `bray_curtis`.
    coordinates : DataFrame
        Columns sample, PC1, PC2.
    explained : tuple of two floats
        Share (0-1) of the total variation on PC1 and PC2.
    """

    metric: str
    coordinates: pd.DataFrame
    explained: tuple[float, float]


def alpha(
    table: pd.DataFrame, groups: pd.Series, key: str = "alpha", apart: Collection[str] = ()
) -> Figure:
    """Alpha diversity of each sample by group, a panel a metric.

    Chao1, the Hill number of order 0 and the count at equal coverage are drawn only where they
    differ from the observed count: re-estimated counts have no singletons, without which all are
    the same. Nor is coverage drawn where it is that of all samples.

    Parameters
    ----------
    table : DataFrame
        Columns sample, metric, value, low, high, depth_used (fragments); value is missing where the
        sample is below the depth.
    groups : Series
        From `group_labels`.
    key : str
    apart : collection of str
        Samples that are not compared: named in the caption, and not drawn.

    Raises
    ------
    ValueError
        If no sample has a value to draw.
    """
    named = [str(name) for name in table["sample"].unique() if name in apart]
    table = table[~table["sample"].isin(named)]
    drawn = table[table["value"].notna()].copy()
    if drawn.empty:
        raise ValueError("no sample that is compared has an alpha diversity to draw")
    drawn["group"] = groups.reindex(drawn["sample"]).astype(str).to_numpy()
    metrics, repeated = _alpha_metrics(drawn)
    drawn = drawn[drawn["metric"].isin(metrics)]
    present = [str(g) for g in groups.cat.categories if (drawn["group"] == str(g)).any()]
    with_interval = drawn["sample"].nunique() <= MANY_SAMPLES
    panels = [
        alpha_panel(drawn[drawn["metric"] == metric], str(metric), present, with_interval)
        for metric in metrics
    ]
    columns = 2 if len(present) > 4 else (4 if len(panels) == 4 else 3)
    chart = alt.concat(*panels, columns=columns, spacing=24)
    at_coverage = drawn["metric"].str.endswith("_at_coverage")
    depths = sorted({int(depth) for depth in drawn.loc[~at_coverage, "depth_used"].dropna()})
    coverage = drawn.loc[at_coverage, "coverage_used"].min() if at_coverage.any() else None
    sizes = drawn.drop_duplicates("sample")["group"].value_counts()
    without = sorted(set(table["sample"].astype(str)) - set(drawn["sample"].astype(str)))
    width = (drawn["high"] - drawn["low"]).groupby(drawn["metric"]).median()
    interval = (
        "Vertical lines: 95 % of repeated rarefactions, often shorter than the symbol."
        if with_interval
        else "Intervals are in the table (median width "
        + ", ".join(f"{plain(str(name))} {value:.2g}" for name, value in width.items())
        + ")."
    )
    caption = (
        f"n = {count_of(int(drawn['sample'].nunique()), 'sample')} ("
        + ", ".join(f"{name} {sizes[name]}" for name in present)
        + "); rarefied to "
        + (" or ".join(f"{depth:,}" for depth in depths) or "an unrecorded number of")
        + " fragments a sample"
        + (
            ""
            if coverage is None
            else f" (at equal coverage: to where {_covered(coverage)} of a community is covered)"
        )
        + f". {interval} Within a group, samples stand in order of the value; "
        "the bar is the group's median. The groups are not tested here."
        + (
            " Not drawn, for they repeat the observed count: "
            f"{', '.join(_ALPHA_TITLES[name].split(' (')[0] for name in repeated)}."
            if repeated
            else ""
        )
        + left_out(without, "below the rarefaction depth")
        + left_out(named, "not compared")
    )
    return Figure(
        key,
        "Alpha diversity by group",
        caption,
        svg_of(chart, key, "Alpha diversity by group"),
        drawn[["sample", "group", "metric", "value", "low", "high"]],
        "results/diversity/alpha.tsv",
    )


def ordination(result: Ordination, groups: pd.Series, key: str = "ordination") -> Figure:
    """The first two principal coordinates, with one unit of distance as long on both axes.

    Up to `NAMED_POINTS` samples are named. Samples at one point are drawn as rings around each
    other where they are, for moving them apart would draw a distance that is not there.

    Parameters
    ----------
    result : Ordination
    groups : Series
        From `group_labels`.
    key : str
    """
    points = result.coordinates[["sample", "PC1", "PC2"]].dropna().copy()
    points["group"] = groups.reindex(points["sample"]).astype(str).to_numpy()
    present = [str(g) for g in groups.cat.categories if (points["group"] == str(g)).any()]
    spans = [max(float(np.ptp(points[axis])), 1e-9) for axis in ("PC1", "PC2")]
    scale = 520 / max(spans)
    sides = [max(span * scale, 240.0) for span in spans]
    domains = []
    for axis, side in zip(("PC1", "PC2"), sides, strict=True):
        middle = float(points[axis].max() + points[axis].min()) / 2
        half = 1.08 * side / scale / 2
        domains.append([middle - half, middle + half])
    axes: list[dict[str, Any]] = [
        {
            "title": f"{axis} ({100 * share:.1f} % of variation)",
            "scale": alt.Scale(domain=domain, nice=False, zero=False),
            "axis": alt.Axis(tickCount=5, format="~g"),
        }
        for axis, share, domain in zip(("PC1", "PC2"), result.explained, domains, strict=True)
    ]
    many = len(points) > MANY_SAMPLES
    points["ring"], place = _rings(points, scale / 1.08)
    diameter = 5.0 if many else 8.4  # px
    points["size"] = (diameter + 6 * points["ring"].clip(0, _MAX_RING)) ** 2
    labels = _point_labels(points, place, scale / 1.08, domains)
    shared = place.duplicated(keep=False)
    channels = {
        "x": alt.X("PC1:Q", **axes[0]),
        "y": alt.Y("PC2:Q", **axes[1]),
        "size": alt.Size("size:Q", scale=None, legend=None),
        **group_channels(present),
    }
    columns = ["group", "PC1", "PC2", "size"]
    layers: list[Any] = [
        chart_of(points.loc[~shared, columns])
        .mark_point(filled=True, opacity=0.6 if many else 0.85)
        .encode(**channels)
    ]
    if shared.any():
        rings = chart_of(points.loc[shared, columns])
        rings = rings.mark_point(filled=False, strokeWidth=1.8, opacity=1)
        layers.append(rings.encode(**channels))
    if len(labels):
        words = chart_of(labels).mark_text(fontSize=_LABEL_PX, color=INK)
        layers.append(words.encode(x=channels["x"], y=channels["y"], text="text:N"))
    chart = alt.layer(*layers).properties(width=sides[0], height=sides[1])
    sizes = points["group"].value_counts()
    name = METRICS.get(result.metric, plain(result.metric))
    shown = sum(result.explained)
    extent = (
        f"the two axes show {100 * shown:.1f} % of the total variation, the rest is not seen here"
        if shown <= 1
        else "shares of axes sum to more than 100 %, for this dissimilarity is not Euclidean"
    )
    caption = (
        f"n = {count_of(len(points), 'sample')} ("
        + ", ".join(f"{group} {sizes[group]}" for group in present)
        + f"). Principal coordinates of {name} dissimilarity; {extent}. One unit is equally long "
        "on both axes."
        + (" Rings around each other: samples at one place." if shared.any() else "")
    )
    return Figure(
        key,
        f"Ordination, {name}",
        caption,
        svg_of(chart, key, f"Principal coordinates, {name}"),
        points[["sample", "group", "PC1", "PC2"]],
        f"results/diversity/ordination.{result.metric}.tsv",
    )


def alpha_panel(values: pd.DataFrame, metric: str, present: list[str], with_interval: bool) -> Any:
    values = values.sort_values(["group", "value", "sample"], kind="stable").copy()
    within = values.groupby("group")["value"]
    size = within.transform("size")
    values["offset"] = np.where(size > 1, within.cumcount() / (size - 1).clip(lower=1), 0.5)
    middles = within.median().rename("value").reset_index().assign(offset=0.5)
    width = 150 if len(present) < 3 else min(380, 60 * len(present))
    turned = len(present) > 3 or max(map(len, present)) > 14
    x = alt.X(
        "group:N",
        title=None,
        sort=present,
        scale=alt.Scale(domain=present, paddingInner=0.25, paddingOuter=0.15),
        axis=alt.Axis(labelAngle=-35 if turned else 0, labelLimit=120, ticks=False),
    )
    offset = alt.XOffset("offset:Q", scale=alt.Scale(domain=[-0.08, 1.08]))
    title = _ALPHA_TITLES.get(metric, plain(metric))
    scale = alt.Scale(zero=False, nice=True)
    y = alt.Y("value:Q", title=title, scale=scale, axis=alt.Axis(tickCount=5))
    base = chart_of(values[["sample", "group", "offset", "value", "low", "high"]])
    channels = group_channels(present, legend=False)
    layers: list[Any] = []
    if with_interval:
        layers.append(
            base.mark_rule(opacity=0.7, strokeWidth=1.3).encode(
                x=x,
                xOffset=offset,
                y=alt.Y("low:Q", title=title, scale=scale),
                y2="high:Q",
                color=channels["color"],
            )
        )
    layers += [
        base.mark_point(size=42 if with_interval else 12, filled=True, opacity=0.85).encode(
            x=x, xOffset=offset, y=y, **channels
        ),
        chart_of(middles)
        .mark_tick(color=INK, thickness=2, size=0.6 * width / len(present), orient="horizontal")
        .encode(x=x, xOffset=offset, y=y),
    ]
    return alt.layer(*layers).properties(width=width, height=210)


def _alpha_metrics(drawn: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Metrics in the order of the panels, and those left out as they repeat the observed count."""
    wide = drawn.pivot_table(index="sample", columns="metric", values="value")
    known = [name for name in _ALPHA_TITLES if name in wide]
    metrics = known + [str(name) for name in wide if name not in _ALPHA_TITLES]
    repeated = [
        name
        for name in ("chao1", "hill_q0", "observed_at_coverage")
        if {name, "observed"} <= set(wide)
        and np.allclose(wide[name], wide["observed"], equal_nan=True)
    ]
    # In deep tables all samples are covered, and the panel would be a line.
    if "coverage" in wide and np.allclose(wide["coverage"], wide["coverage"].iloc[0]):
        metrics.remove("coverage")
    return [name for name in metrics if name not in repeated], repeated


def _covered(share: float) -> str:
    """
    >>> _covered(0.98765), _covered(0.99999)
    ('98.77 %', 'more than 99.99 %')
    """
    return "more than 99.99 %" if share > 0.9999 else f"{100 * share:.2f} %"


_ALPHA_TITLES = {
    "observed": "Observed genera (count)",
    "shannon": "Shannon entropy (nats)",
    "simpson": "Simpson index (0 to 1)",
    "pielou": "Pielou evenness (0 to 1)",
    "hill_q1": "Hill number q = 1 (effective taxa)",
    "hill_q2": "Hill number q = 2 (effective taxa)",
    "chao1": "Chao1 richness (estimated count)",
    "hill_q0": "Hill number q = 0 (effective taxa)",
    "coverage": "Sample coverage (0 to 1)",
    "observed_at_coverage": "Observed, equal coverage (count)",
    "shannon_at_coverage": "Shannon, equal coverage (nats)",
    "faith_pd": "Faith's PD (branch length)",
    "faith_pd_taxonomy": "Taxonomic PD (branches)",
}
_MAX_RING = 4  # wider rings would reach the neighbours; the label has the number
_HIDDEN_PX = 4
_LABEL_PX = 10


def _rings(points: pd.DataFrame, per_unit: float) -> tuple[pd.Series, pd.Series]:
    """For each point its turn among those that share its place, 0 for the first, and the place.

    Few points share a place when one symbol would hide half of another, many only on one pixel:
    else the chains of a dense cloud would be one place.
    """
    pixels = points[["PC1", "PC2"]].to_numpy(float) * per_unit
    if len(points) > NAMED_POINTS:
        rounded = pd.DataFrame(pixels.round(), columns=["x", "y"], index=points.index)
        place = rounded.groupby(["x", "y"], sort=False).ngroup()
    else:
        distance = np.linalg.norm(pixels[:, None] - pixels[None], axis=2)
        # The first point within reach; itself, if there is none before it.
        place = pd.Series((distance <= _HIDDEN_PX).argmax(axis=1), index=points.index)
    return place.groupby(place).cumcount(), place


def _point_labels(
    points: pd.DataFrame, place: pd.Series, per_unit: float, domains: list[list[float]]
) -> pd.DataFrame:
    """Names of few points, else the number of samples at a place; each where it covers least.

    Every label takes the first of eight positions around its point that overlaps least with the
    points, the labels placed before, and the edge.
    """
    few = len(points) <= NAMED_POINTS
    texts, anchors = [], []
    for _, here in points.groupby(place, sort=False):
        if few or len(here) > 1:
            names = here["sample"].astype(str).tolist()
            texts.append(listed(names, 3) if few else f"×{len(here)}")
            anchors.append(here.to_dict("records")[-1])
    width = (domains[0][1] - domains[0][0]) * per_unit
    height = (domains[1][1] - domains[1][0]) * per_unit

    def pixel(row: Any) -> tuple[float, float, float]:
        x, y = ((row[f"PC{i + 1}"] - domains[i][0]) * per_unit for i in (0, 1))
        return float(x), float(y), float(np.sqrt(row["size"]) / 2 + 1)

    def box(x: float, y: float, half_width: float, half_height: float) -> np.ndarray:
        return np.array([x - half_width, y - half_height, x + half_width, y + half_height])

    # Grown as labels are placed: what the next one must not cover.
    taken = [box(x, y, r, r) for x, y, r in map(pixel, points.to_dict("records"))]
    rows = []
    for text, anchor in zip(texts, anchors, strict=True):
        x, y, radius = pixel(anchor)
        half = 0.29 * _LABEL_PX * len(text)
        right, up = radius + half + 1, radius + 0.6 * _LABEL_PX
        best, least = (x + right, y), np.inf
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)):
            slant = 0.8 if dx and dy else 1.0
            centre = (x + slant * dx * right, y + slant * dy * up)
            found = box(*centre, half, 0.6 * _LABEL_PX)
            cost = _overlap(found, np.array(taken)) + _outside(found, width, height)
            if cost < least - 1e-9:
                best, least = centre, cost
        taken.append(box(*best, half, 0.6 * _LABEL_PX))
        at = [domains[i][0] + best[i] / per_unit for i in (0, 1)]
        rows.append((text, *at))
    return pd.DataFrame(rows, columns=["text", "PC1", "PC2"])


def _overlap(box: np.ndarray, others: np.ndarray) -> float:
    """Area that a box shares with others, in square pixels."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    return float(np.prod(np.clip(sides, 0, None), axis=1).sum())


def _outside(box: np.ndarray, width: float, height: float) -> float:
    area = float(np.prod(box[2:] - box[:2]))
    return area - _overlap(box, np.array([[0.0, 0.0, width, height]]))
