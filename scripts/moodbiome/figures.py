"""The figures of the reports: a table in, a static SVG with its caption and its numbers out."""

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import vl_convert
from scipy import stats

from moodbiome.contaminants import CONTAMINANT
from moodbiome.diversity import UNPLACED

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
LEDGER_PARTS = {
    "failed_qc": ("Failed quality control", "#4D4D4D"),
    "host": ("Host", "#CC79A7"),
    "bacterial": ("Bacteria", "#0072B2"),
    "other_classified": ("Other classified", "#56B4E9"),
    "unclassified": ("Unclassified", "#D9D9D9"),
}
METRICS = {
    "bray_curtis": "Bray-Curtis",
    "jaccard": "Jaccard",
    "aitchison": "Aitchison",
    "unweighted_unifrac": "unweighted UniFrac",
    "weighted_unifrac": "weighted UniFrac",
}
METHODS = {
    "clr_bias_corrected": "CLR, bias-corrected (LinDA-type)",
    "log2_proportion": "log2 proportion",
    "prevalence": "prevalence (adjusted for depth)",
    "hedges_g": "Hedges g (unadjusted)",
    "ancombc2": "ANCOM-BC2",
    "dirichlet_multinomial": "Dirichlet-multinomial (ALDEx2-type)",
}
POWER_FEATURES = {
    "taxon.from_90_percent": "prevalence ≥ 90 %",
    "taxon.50_to_90_percent": "prevalence 50 to 90 %",
    "taxon.below_50_percent": "prevalence < 50 %",
    "taxon.all": "all taxa",
    "signature_score.all": "signature score",
    "alpha_diversity.observed": "observed taxa",
    "alpha_diversity.shannon": "Shannon diversity",
}
NO_GROUP = "no group stated"
ALL_SAMPLES = "all samples"
MAX_GROUPS = 12
MANY_SAMPLES = 80  # above it a row a sample no longer fits on a page
NAMED_POINTS = 30  # above it names run into each other in an ordination

_FONT = "Arial, Helvetica, Liberation Sans, sans-serif"
_INK = "#222222"
_FAINT = "#8A8A8A"
_WIDTH = 830  # of a figure without its labels, px; the page holds about 920


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


def plain(name: str) -> str:
    """A machine name as words: underscores to spaces.

    Examples
    --------
    >>> plain("bray_curtis")
    'bray curtis'
    """
    return name.replace("_", " ")


def count_of(number: int, noun: str) -> str:
    """A number with its noun, in the plural where it is one.

    Examples
    --------
    >>> count_of(1, "sample"), count_of(1200, "sample")
    ('1 sample', '1,200 samples')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names as they stand in a sentence; those beyond `most` are counted.

    Examples
    --------
    >>> listed(["A", "B"]), listed(list("ABCDE"), most=3)
    ('A, B', 'A, B, C and 2 others')
    """
    more = len(names) - most
    rest = f" and {count_of(more, 'other')}" if more > 0 else ""
    return ", ".join(names[:most]) + rest


def method_name(method: str) -> str:
    """What a method of differential abundance is called on the pages.

    Examples
    --------
    >>> method_name("log2_proportion"), method_name("a_new_one")
    ('log2 proportion', 'a new one')
    """
    return METHODS.get(method, plain(method))


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


def ledger(table: pd.DataFrame, key: str = "ledger") -> Figure:
    """Where the fragments of each sample went: a stacked bar a sample, in fragments and in percent.

    Parameters
    ----------
    table : DataFrame
        Columns sample, raw, failed_qc, host, non_host, classified, unclassified, bacterial; in
        fragments. Samples without a count (failed) are left out and named in the caption.
    key : str

    Raises
    ------
    ValueError
        If the parts of a sample do not sum to its raw fragments.
    """
    parts = _ledger_parts(table)
    missing = [str(name) for name in table["sample"] if name not in set(parts["sample"])]
    n_samples = len(parts)
    names = list(LEDGER_PARTS)
    raw = parts["raw"].to_numpy(float)
    counts = parts[names].to_numpy(float)
    shares = np.divide(counts, raw[:, None], out=np.zeros_like(counts), where=raw[:, None] > 0)
    colour = alt.Color(
        "part:N",
        title=None,
        sort=[label for label, _ in LEDGER_PARTS.values()],
        scale=alt.Scale(
            domain=[label for label, _ in LEDGER_PARTS.values()],
            range=[hue for _, hue in LEDGER_PARTS.values()],
        ),
        legend=alt.Legend(orient="top", columns=5),
    )
    labels = [label for label, _ in LEDGER_PARTS.values()]
    if n_samples <= MANY_SAMPLES:
        samples = parts["sample"].astype(str).tolist()
        chart: Any = alt.hconcat(
            _bars(_stacked(samples, counts, labels), samples, colour, "Fragments", "~s", width=400),
            _bars(
                _stacked(samples, 100 * shares, labels),
                samples,
                colour,
                "Share of raw fragments (%)",
                ".0f",
                width=400,
                names=False,
                most=100,
            ),
            spacing=18,
        )
        reading = "Left: fragments; right: the same as a share of the sample's raw fragments."
    else:
        # Sorted by what is left for classification, a thousand samples read as one profile.
        order = np.lexsort((np.arange(n_samples), -shares[:, 2:].sum(axis=1)))
        rank = np.arange(n_samples)
        depths = pd.DataFrame({"rank": rank + 0.5, "raw": raw[order]})
        depth = _chart(depths[depths["raw"] > 0])  # a log axis has no 0
        chart = alt.vconcat(
            depth.mark_point(size=6, filled=True, color=_INK, opacity=0.7)
            .encode(
                x=_rank_axis(n_samples, title=None),
                y=alt.Y(
                    "raw:Q",
                    title="Raw fragments (log scale)",
                    scale=alt.Scale(type="log", nice=False, padding=6),
                    axis=alt.Axis(format="~s", tickCount=4),
                ),
            )
            .properties(width=_WIDTH, height=90),
            _areas(
                100 * shares[order],
                labels,
                colour,
                "Share of raw fragments (%)",
                "Samples, by decreasing share left after quality control and host removal",
            ),
        )
        reading = (
            "Every sample is one column, ordered by the share left for classification; the upper "
            "panel leaves out samples with 0 fragments."
        )
    totals = counts.sum(axis=0)
    caption = (
        f"n = {count_of(n_samples, 'sample')}, {_fragments(raw.sum())} in all; denominator: raw "
        "fragments of the sample (a read pair counts once). "
        f"{reading} Over the cohort: "
        + ", ".join(
            f"{label.lower()} {_percent(part, raw.sum())}"
            for label, part in zip(labels, totals, strict=True)
        )
        + "."
        + _left_out(missing, "no counts")
    )
    shown = parts[["sample", "raw", *names]].copy()
    for name, share in zip(names, shares.T, strict=True):
        shown[f"{name}_percent"] = 100 * share
    return Figure(
        key,
        "Where every fragment went",
        caption,
        _svg(chart, key, "Read ledger, stacked bars by sample"),
        shown,
        "results/tables/ledger.tsv",
    )


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
        sample: f"{sample} ({apart[sample]}, {_fragments(fragments[sample])})" for sample in beside
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
            bars = _bars(
                _stacked(named, values[rows], levels),
                named,
                colour,
                title if position == len(blocks) - 1 else "",
                ".0f",
                width=max(300, _WIDTH - 220 - room),
                most=100,
                label_limit=360,
            )
            heading = "" if name == ALL_SAMPLES else f"{name} (n = {len(members)})"
            charts.append(bars.properties(title=_heading(heading)) if heading else bars)
        chart: Any = alt.vconcat(*charts, spacing=8) if charts else None
    else:
        chart = _areas(
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
        caption + _left_out(empty, "no non-host fragments"),
        _svg(chart, key, "Most abundant genera, stacked bars by sample"),
        table.rename_axis("sample").reset_index(),
        source,
    )


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
        _alpha_panel(drawn[drawn["metric"] == metric], str(metric), present, with_interval)
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
        + _left_out(without, "below the rarefaction depth")
        + _left_out(named, "not compared")
    )
    return Figure(
        key,
        "Alpha diversity by group",
        caption,
        _svg(chart, key, "Alpha diversity by group"),
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
        **_group_channels(present),
    }
    columns = ["group", "PC1", "PC2", "size"]
    layers: list[Any] = [
        _chart(points.loc[~shared, columns])
        .mark_point(filled=True, opacity=0.6 if many else 0.85)
        .encode(**channels)
    ]
    if shared.any():
        rings = _chart(points.loc[shared, columns])
        rings = rings.mark_point(filled=False, strokeWidth=1.8, opacity=1)
        layers.append(rings.encode(**channels))
    if len(labels):
        words = _chart(labels).mark_text(fontSize=_LABEL_PX, color=_INK)
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
        _svg(chart, key, f"Principal coordinates, {name}"),
        points[["sample", "group", "PC1", "PC2"]],
        f"results/diversity/ordination.{result.metric}.tsv",
    )


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
    channels = _group_channels(present, legend=not many)
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
        sides = {"width": _WIDTH, "height": 300}
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
        sides = {"width": _WIDTH - 140, "height": max(60, 17 * len(drawn))}
    base = _chart(drawn[["sample", "offset", "score", "score_low", "score_high", "group"]])
    layers: list[Any] = []
    if not math.isnan(middle):
        layers.append(
            _chart(pd.DataFrame({"score": [middle]}))
            .mark_rule(strokeDash=[5, 4], color=_FAINT, strokeWidth=1.5)
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
        + _left_out(without, "no score, see below")
    )
    return Figure(
        key,
        "Depression-associated taxa signature score",
        caption,
        _svg(alt.layer(*layers).properties(**sides), key, "Signature score by sample"),
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
        _alpha_panel(values, str(index), present, with_interval)
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
        _svg(alt.concat(*panels, columns=columns, spacing=24), key, "Indices by group"),
        drawn[["sample", "group", "index", "value", "low", "high"]],
        "results/signature/indices.tsv",
    )


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
    channels = _group_channels(present)
    base = _chart(drawn)
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
    ).properties(width=_WIDTH - 200, height=360)
    caption = (
        f"n = {count_of(len(drawn), 'sample')}. Lines: 95 % intervals, noise of counting and "
        "re-estimation only. Samples lie on a gradient: there is no border between types."
        + _left_out(
            table.loc[~is_drawn, "sample"].astype(str).tolist(), "an axis is missing, see the table"
        )
    )
    return Figure(
        key,
        "Axes of community types",
        caption,
        _svg(chart, key, "Bacteroides against Prevotella, and share of Bacillota, by sample"),
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
        chart: Any = _bars(
            *(_stacked(rows, values, levels), rows, colour, title, ".0f"),
            width=_WIDTH - 220,
            most=100,
            label_limit=220,
        )
    else:
        chart = _areas(values, levels, colour, title, "Samples, by group and membership")
    caption = (
        f"n = {count_of(len(drawn), 'sample')}, of which {(~is_named).sum()} unclassified. "
        "Posterior probability of four coarse reference types, given that a sample is one of them."
        + _left_out(
            table.loc[~table["sample"].isin(drawn["sample"]), "sample"].astype(str).tolist(),
            "no membership, see the table",
        )
    )
    return Figure(
        key,
        "Resemblance to reference types",
        caption,
        _svg(chart, key, "Membership in reference types, stacked bars by sample"),
        drawn[["sample", "group", "reference_type", *columns]],
        "results/signature/community_types.tsv",
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
            _chart(cells)
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
            .properties(width=min(_WIDTH - 200, 28 * len(concepts)), height=max(60, 15 * n_samples))
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
        _svg(chart, key, "Contribution of each taxon to each score"),
        wide.rename_axis(columns=None).reset_index(),
        "results/signature/contributions.tsv",
    )


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
        panels.append(panel.properties(title=_heading(method_name(method))))
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
        _svg(chart, key, f"Effects of {term} on taxa"),
        shown[["taxon", "method", *_EFFECT, "effect_unit"]],
        "results/statistics/differential.tsv",
    )


_EFFECT = ["effect", "low", "high", "q"]


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
    cells = _chart(drawn[["row", "column", "effect_sd"]])
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
        _chart(found[["row", "column"]])
        .mark_point(size=34, filled=True, color=_INK)
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
        _svg(chart, key, "Heat map of the effects of measured variables on taxa and diversity"),
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
        _svg(chart, key, f"Power by size of the effect for {words}"),
        drawn[["feature", "effect", "unit", "power", "low", "high"]],
        "results/statistics/power.tsv",
    )


def _power_panel(part: pd.DataFrame, title: str) -> Any:
    """Lines with their Monte Carlo intervals; the panel's own legend above it."""
    names = [name for name in POWER_FEATURES.values() if name in set(part["group"])]
    channels = _group_channels(names)
    # The legend is that of the points: the area's would be as pale as the area.
    plain_colour = _group_channels(names, legend=False)["color"]
    base = _chart(part).encode(
        x=alt.X("effect:Q", title=str(part["unit"].iloc[0]), axis=alt.Axis(tickCount=6))
    )
    share = alt.Scale(domain=[0, 1])
    y = alt.Y("power:Q", title="power", scale=share, axis=alt.Axis(format="%"))
    target = alt.Chart(alt.InlineData(values=[{"power": 0.8}]))
    layers = [
        target.mark_rule(strokeDash=[4, 3], color=_FAINT).encode(y=y),
        base.mark_area(opacity=0.12).encode(
            y=alt.Y("low:Q", scale=share), y2="high:Q", color=plain_colour
        ),
        base.mark_line(strokeWidth=1.5).encode(y=y, color=plain_colour),
        base.mark_point(size=35, filled=True, opacity=1).encode(y=y, **channels),
    ]
    layered = alt.layer(*layers).resolve_legend(color="independent", shape="independent")
    return layered.properties(width=350, height=240, title=_heading(title))


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
    base = _chart(shown[["group", "position", "percent"]])
    x, y = _time_axis(times), alt.Y("percent:Q", title="Subjects with a usable sample (%)")
    y = y.scale(domain=[0, 100])
    channels = _group_channels(arms)
    chart = alt.layer(
        base.mark_line(strokeWidth=2).encode(x=x, y=y, color=channels["color"]),
        base.mark_point(size=55, filled=True, opacity=1).encode(x=x, y=y, **channels),
    ).properties(width=min(_WIDTH, 130 * max(2, len(times))), height=170)
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
        _svg(chart, key, "Share of subjects with a usable sample, by arm and timepoint"),
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
        _svg(alt.concat(*panels, columns=3, spacing=24), key, "Means over time by arm"),
        shown[["outcome", "unit", "arm", "timepoint", "n", "mean", "low", "high"]],
        "results/statistics/changes.tsv",
    )


def sample_ledger(row: pd.Series, key: str = "ledger") -> Figure:
    """How many fragments of one sample are left after each stage.

    Parameters
    ----------
    row : Series
        One row of the ledger.
    key : str
    """
    parts = _ledger_parts(pd.DataFrame([row]))
    counts = parts.iloc[0]
    raw = float(counts["raw"])
    stages = [
        ("Sequenced", raw),
        ("Passed quality control", raw - counts["failed_qc"]),
        ("Not host", raw - counts["failed_qc"] - counts["host"]),
        ("Classified", counts["bacterial"] + counts["other_classified"]),
        ("Classified as Bacteria", counts["bacterial"]),
    ]
    table = pd.DataFrame(stages, columns=["stage", "fragments"]).astype({"fragments": float})
    table["percent_of_raw"] = 100 * table["fragments"] / raw if raw else 0.0
    table["label"] = [
        f"{fragments:,.0f} ({percent:.1f} %)"
        for fragments, percent in zip(table["fragments"], table["percent_of_raw"], strict=True)
    ]
    rows = alt.Y("stage:N", title=None, sort=table["stage"].tolist(), axis=alt.Axis(ticks=False))
    x = alt.X(
        "fragments:Q",
        title="Fragments",
        axis=alt.Axis(format="~s", tickCount=5),
        scale=alt.Scale(domain=[0, 1.3 * max(raw, 1)], nice=False),
    )
    base = _chart(table)
    chart = alt.layer(
        base.mark_bar(color="#0072B2", height=16).encode(x=x, y=rows),
        base.mark_text(align="left", dx=5, fontSize=11, color=_INK).encode(
            x=x, y=rows, text="label:N"
        ),
    ).properties(width=520, height=130)
    return Figure(
        key,
        "From sequencing to classification",
        "One sample; percentages of its raw fragments (a read pair counts once).",
        _svg(chart, key, "Fragments left after each stage"),
        table[["stage", "fragments", "percent_of_raw"]],
        "results/tables/ledger.tsv",
    )


def sample_taxa(
    counts: pd.DataFrame,
    sample: str,
    key: str = "taxa",
    source: str = "",
    most: int = 15,
    compared: Sequence[str] | None = None,
) -> Figure:
    """The most abundant taxa of one sample, with the others' median and spread beside each.

    Parameters
    ----------
    counts : DataFrame
        As for `composition`.
    sample : str
    key, source : str
    most : int
    compared : sequence of str, optional
        Samples to compare with; by default all others. The sample itself is never among them.

    Raises
    ------
    ValueError
        If the sample has no column, or no fragments.
    """
    if sample not in counts.columns[3:]:
        raise ValueError(f"the counts have no column for sample {sample!r}")
    values = _checked_counts(counts)
    totals = values.sum(axis=0)
    if not totals[sample]:
        raise ValueError(f"sample {sample!r} has no non-host fragments to draw")
    shares = 100 * values.loc[:, totals > 0] / totals[totals > 0]
    named = shares.drop(index=[i for i in UNPLACED if i in shares.index])
    top = named[sample].sort_values(ascending=False, kind="stable").head(most)
    top = top[top > 0]
    names = counts.set_index("taxon_id")["name"].astype(str)
    members = set(named.columns if compared is None else compared) - {sample}
    others = named.loc[top.index, [name for name in named.columns if name in members]]
    table = pd.DataFrame({"taxon": names.loc[top.index].to_numpy(), "percent": top.to_numpy()})
    if others.shape[1]:
        table["others_median_percent"] = others.median(axis=1).to_numpy()
        table["others_p05_percent"] = others.quantile(0.05, axis=1).to_numpy()
        table["others_p95_percent"] = others.quantile(0.95, axis=1).to_numpy()
    rows = alt.Y("taxon:N", title=None, sort=table["taxon"].tolist(), axis=alt.Axis(ticks=False))
    base = _chart(table)
    x = alt.X("percent:Q", title="Share of non-host fragments (%)")
    layers: list[Any] = [base.mark_bar(color="#56B4E9", height=11).encode(x=x, y=rows)]
    caption = (
        f"Bars: this sample, in percent of its {_fragments(float(totals[sample]))} left after "
        "quality control and host removal."
    )
    if others.shape[1]:
        layers += [
            base.mark_rule(color=_INK, strokeWidth=1.2).encode(
                x=alt.X("others_p05_percent:Q", title="Share of non-host fragments (%)"),
                x2="others_p95_percent:Q",
                y=rows,
            ),
            base.mark_point(color=_INK, filled=True, size=30, shape="diamond", opacity=1).encode(
                x="others_median_percent:Q", y=rows
            ),
        ]
        caption += (
            " Diamond and line: median and middle 90 % of the "
            f"{count_of(others.shape[1], 'other sample')} of the cohort with status ok."
        )
    else:
        caption += " There is no other sample with status ok to compare with."
    chart = alt.layer(*layers).properties(width=520, height=max(60, 19 * len(table)))
    return Figure(
        key,
        "Most abundant genera of this sample",
        caption,
        _svg(chart, key, "Most abundant genera of the sample"),
        table,
        source,
    )


def sample_score(
    row: pd.Series, reference: pd.Series, reference_name: str, key: str = "score"
) -> Figure:
    """One score with its interval against the scores of the reference samples.

    Parameters
    ----------
    row : Series
        A row of the scores, with a score.
    reference : Series
        Scores of the reference samples, indexed by sample; without this one.
    reference_name : str
        In the plural, as in "controls" or "other controls".
    key : str
    """
    values = reference.dropna().sort_values(kind="stable")
    here, there = "This sample", f"{reference_name} (n = {len(values)})"
    one = pd.DataFrame(
        {
            "row": [here],
            "score": [float(row["score"])],
            "low": [float(row["score_low"])],
            "high": [float(row["score_high"])],
        }
    )
    dots = pd.DataFrame({"row": there, "score": values.to_numpy(float)})
    rows = alt.Y("row:N", title=None, sort=[here, there], axis=alt.Axis(ticks=False, grid=False))
    scale = alt.Scale(zero=False, padding=12)
    title = "Signature score (natural-log units)"
    chart = alt.layer(
        _chart(dots)
        .mark_tick(color="#595959", thickness=1.5, size=22, opacity=0.7)
        .encode(x=alt.X("score:Q", title=title, scale=scale), y=rows),
        _chart(one)
        .mark_rule(color="#D55E00", strokeWidth=2.5)
        .encode(x=alt.X("low:Q", title=title, scale=scale), x2="high:Q", y=rows),
        _chart(one)
        .mark_point(color="#D55E00", filled=True, size=110, shape="diamond", opacity=1)
        .encode(x=alt.X("score:Q", title=title, scale=scale), y=rows),
    ).properties(width=520, height=90)
    # Without the names of the others: this page may be given to the person it is about.
    shown = pd.concat(
        [
            one.drop(columns="row").assign(which="this sample"),
            dots[["score"]].assign(which="reference"),
        ],
        ignore_index=True,
    )[["which", "score", "low", "high"]]
    return Figure(
        key,
        "Score against the reference distribution",
        f"Each grey tick is one of the {len(values):,} {reference_name}, scored by the same "
        "pipeline; the line through the diamond is the 95 % interval of this sample, counting "
        "noise only.",
        _svg(chart, key, "Score of the sample and of the reference samples"),
        shown,
        "results/signature/scores.tsv",
    )


def sample_contributions(table: pd.DataFrame, key: str = "contributions") -> Figure:
    """What each taxon adds to or takes from one score, as bars from zero.

    Parameters
    ----------
    table : DataFrame
        Columns concept, contribution; one sample.
    key : str
    """
    drawn = table[["concept", "contribution"]].dropna()
    drawn = drawn.sort_values(["contribution", "concept"], ascending=[False, True], kind="stable")
    chart = (
        _chart(drawn)
        .mark_bar(height=11)
        .encode(
            x=alt.X("contribution:Q", title="Contribution to the score (natural-log units)"),
            y=alt.Y("concept:N", title=None, sort=drawn["concept"].tolist()),
            color=alt.condition(
                "datum.contribution > 0", alt.value("#D55E00"), alt.value("#0072B2")
            ),
        )
        .properties(width=520, height=max(60, 17 * len(drawn)))
    )
    return Figure(
        key,
        "What moved the score",
        f"{len(drawn)} taxa of the signature; each bar is the weight of the taxon times the "
        "difference between its log abundance here and the mean over the reference samples. "
        "Right of 0 raises the score, left lowers it.",
        _svg(chart, key, "Contribution of each taxon to the score"),
        drawn,
        "results/signature/contributions.tsv",
    )


def _alpha_panel(values: pd.DataFrame, metric: str, present: list[str], with_interval: bool) -> Any:
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
    base = _chart(values[["sample", "group", "offset", "value", "low", "high"]])
    channels = _group_channels(present, legend=False)
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
        _chart(middles)
        .mark_tick(color=_INK, thickness=2, size=0.6 * width / len(present), orient="horizontal")
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
    channels = _group_channels(arms)
    base = _chart(means[["group", "position", "mean", "low", "high"]])
    y = alt.Y("mean:Q", title=title, scale=scale, axis=alt.Axis(tickCount=5))
    colour = channels["color"]
    layers: list[Any] = []
    if with_lines:
        layers.append(
            _chart(values[["subject", "group", "position", "value"]])
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
    channels = _group_channels(present)
    base = _chart(quantiles)
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


def _effects(part: pd.DataFrame, order: list[str], title: str, named: bool, max_fdr: float) -> Any:
    rows = alt.Y(
        "taxon:N",
        title=None,
        sort=order,
        scale=alt.Scale(domain=order),
        axis=alt.Axis(labelLimit=190, ticks=False, labels=named),
    )
    base = _chart(part[["taxon", "effect", "low", "high", "found"]])
    axis = alt.Axis(tickCount=6)
    zero = _chart(pd.DataFrame({"effect": [0.0]}))
    return alt.layer(
        zero.mark_rule(color=_FAINT, strokeWidth=1.2).encode(
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


def _ledger_parts(table: pd.DataFrame) -> pd.DataFrame:
    counted = table[table["raw"].notna()].copy()
    wanted = ["raw", "failed_qc", "host", "non_host", "classified", "unclassified", "bacterial"]
    holes = counted[wanted].isna()
    if holes.any(axis=None):
        row, column = np.argwhere(holes.to_numpy())[0]
        raise ValueError(
            f"ledger: sample {counted['sample'].iloc[row]!r} has raw fragments but no "
            f"{wanted[column]}; "
            "leave every count of a sample empty or none"
        )
    counted = counted.astype(dict.fromkeys(wanted, float))
    for total, parts in {
        "raw": ["failed_qc", "host", "non_host"],
        "non_host": ["classified", "unclassified"],
    }.items():
        wrong = counted[counted[total] != counted[parts].sum(axis=1)]
        if not wrong.empty:
            row = wrong.iloc[0]
            raise ValueError(
                f"ledger: sample {row['sample']!r} has {total} = {row[total]:.0f}, but "
                f"{' + '.join(parts)} = {row[parts].sum():.0f}; the ledger must be made again"
            )
    counted["other_classified"] = counted["classified"] - counted["bacterial"]
    below = counted[counted["other_classified"] < 0]
    if not below.empty:
        row = below.iloc[0]
        raise ValueError(
            f"ledger: sample {row['sample']!r} has {row['bacterial']:.0f} bacterial fragments, "
            f"more than the {row['classified']:.0f} classified; the ledger must be made again"
        )
    return counted[["sample", "raw", *LEDGER_PARTS]].reset_index(drop=True)


def _checked_counts(counts: pd.DataFrame) -> pd.DataFrame:
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
    values = _checked_counts(counts)
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


def _stacked(rows: Sequence[str], values: np.ndarray, parts: Sequence[str]) -> pd.DataFrame:
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


def _bars(
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
        _chart(stacked)
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


def _areas(
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
    x = _rank_axis(n_samples, samples_title)
    area = (
        _chart(table)
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
            _chart(pd.DataFrame({"rank": edges[1:-1]}))
            .mark_rule(color=_INK, strokeWidth=1.5)
            .encode(x=alt.X("rank:Q"))
        )
    chart = alt.layer(*layers).properties(width=_WIDTH - (200 if blocks else 0), height=260)
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
        _chart(bands)
        .mark_text(fontSize=11, color=_INK)
        .encode(
            x=alt.X("rank:Q", axis=None, scale=alt.Scale(domain=[0, n_samples], nice=False)),
            y=alt.Y("line:O", axis=None),
            text="name:N",
        )
        .properties(width=_WIDTH - 200, height=16 * (1 + int(bands["line"].max())))
    )
    return alt.vconcat(heads, chart, spacing=2)


def _rank_axis(n_samples: int, title: str | None) -> alt.X:
    return alt.X(
        "rank:Q",
        title=title,
        scale=alt.Scale(domain=[0, n_samples], nice=False),
        axis=alt.Axis(grid=False, tickCount=6, format="~d"),
    )


def _group_channels(present: list[str], legend: bool = True) -> dict[str, Any]:
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
            scale=alt.Scale(domain=present, range=[hues.get(name, _FAINT) for name in present]),
            legend=shown,
        ),
        "shape": alt.Shape(
            "group:N",
            title=None,
            scale=alt.Scale(domain=present, range=[marks.get(name, "stroke") for name in present]),
            legend=shown,
        ),
    }


def _chart(table: pd.DataFrame) -> alt.Chart:
    # Inline values: altair's default transformer refuses more than 5,000 rows.
    records: Any = table.astype(object).where(table.notna(), None).to_dict("records")
    return alt.Chart(alt.InlineData(values=records))


def _svg(chart: Any, key: str, description: str) -> str:
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
            labelColor=_INK,
            titleColor=_INK,
            gridColor="#E8E8E8",
            domainColor=_FAINT,
            tickColor=_FAINT,
        ),
        legend=alt.LegendConfig(labelFontSize=11, titleFontSize=11, labelColor=_INK),
        title=alt.TitleConfig(fontSize=12, anchor="start", color=_INK, fontWeight="bold", offset=4),
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


def _heading(text: str) -> alt.TitleParams:
    """A title above the marks, whatever room the labels beside them take."""
    return alt.TitleParams(text, frame="group")


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def _fragments(number: float) -> str:
    return count_of(int(number), "fragment")


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"


def _left_out(names: Sequence[str], reason: str) -> str:
    return f" Not drawn ({reason}): {listed(names, 8)}." if names else ""


_BEYOND = " A line that reaches the edge goes on beyond it."


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
    base = _chart(drawn[["label", "effect", "low", "high", "found", *_PREDICTION]])
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
        base.mark_rule(strokeWidth=1, color=_FAINT, clip=True).encode(
            x=alt.X("prediction_low:Q", title=unit, scale=scale), x2="prediction_high:Q", y=rows
        ),
        base.mark_rule(strokeWidth=3, color="#0072B2", clip=True).encode(
            x=alt.X("low:Q", title=unit, scale=scale), x2="high:Q", y=rows
        ),
        _chart(points)
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
    ).properties(width=_WIDTH - 230, height=max(60, 22 * len(drawn)))
    what = method_name(str(pooled["method"].iloc[0]))
    single = int((pooled["k"] == 1).sum())
    caption = (
        f"{words}, {what}: {len(drawn)} of {count_of(len(pooled), 'feature')}, those with the "
        f"smallest p; studies: {len(studies)}; at most "
        f"{count_of(int(pooled['n'].max()), 'sample')}. Diamond and thick line: mean of the "
        "random-effects model with its 95 % interval (REML, Hartung-Knapp); thin line: 95 % "
        "prediction interval, where the effect in a further study would lie (3 studies or more); "
        f"small symbols: the studies. q ≤ {max_fdr:g} for "
        f"{int((pooled['q'] <= max_fdr).sum())} (Benjamini-Hochberg)."
        + (f" {single} in one study only, not pooled and without q." if single else "")
        + _BEYOND
        + " An association does not show a cause."
    )
    columns = ["label", "k", "n", *_EFFECT, *_PREDICTION, "tau2", "i2"]
    return Figure(
        key,
        f"Pooled over studies: {words}, {what}",
        caption,
        _svg(chart, key, f"Pooled effects of {words}"),
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
    singles, mean = _chart(table[~is_last]), _chart(table[is_last])
    reach = _chart(pd.DataFrame([{"study": last, **pooled[_PREDICTION]}]))
    plot = alt.layer(
        _zero_line(scale),
        reach.mark_rule(strokeWidth=1, color=_FAINT, clip=True).encode(
            x=alt.X("prediction_low:Q", title=title, scale=scale), x2="prediction_high:Q", y=place
        ),
        *(
            base.mark_rule(strokeWidth=width, color=colour, clip=True).encode(
                x=alt.X("low:Q", title=title, scale=scale), x2="high:Q", y=place
            )
            for base, width, colour in ((singles, 1.5, _INK), (mean, 3, "#0072B2"))
        ),
        singles.mark_point(shape="square", filled=True, color=_INK, opacity=1).encode(
            x=x,
            y=place,
            size=alt.Size("weight:Q", scale=alt.Scale(domain=[0, 1], range=[15, 400]), legend=None),
        ),
        mean.mark_point(shape="diamond", filled=True, size=160, color="#0072B2", opacity=1).encode(
            x=x, y=place
        ),
    ).properties(width=_WIDTH - 420, height=24 * len(order))
    numbers = (
        _chart(table)
        .mark_text(align="left", fontSize=11, color=_INK, x=0)
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
        + _BEYOND
    )
    return Figure(
        key,
        f"Trials: {outcome}",
        caption,
        _svg(alt.hconcat(plot, numbers, spacing=8), key, f"Forest plot of {outcome}"),
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
        _chart(pd.DataFrame({"effect": [middle]})).mark_rule(color="#0072B2").encode(x=x),
        _chart(lines).mark_line(color=_FAINT, strokeDash=[5, 4]).encode(x=x, y=y, detail="side:N"),
        _chart(points).mark_point(filled=True, size=55, color=_INK, opacity=0.8).encode(x=x, y=y),
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
        _svg(chart, key, f"Funnel plot of {outcome}"),
        points,
        "results/statistics/trials.tsv",
    )


_PREDICTION = ["prediction_low", "prediction_high"]


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
        _chart(pd.DataFrame({"effect": [0.0]}))
        .mark_rule(color=_FAINT, strokeWidth=1.2)
        .encode(x=alt.X("effect:Q", scale=scale))
    )


_MODELS = {
    ("score", "not_fitted"): "score",
    ("covariates", "cross_validated"): "covariates",
    ("score+covariates", "cross_validated"): "score and covariates",
    ("covariates", "other_cohorts"): "covariates, other cohorts",
    ("score+covariates", "other_cohorts"): "score and covariates, other cohorts",
}


def _model_names(table: pd.DataFrame) -> pd.Series:
    pairs = zip(table["model"], table["validation"], strict=True)
    return pd.Series([_MODELS[pair] for pair in pairs], table.index)


def evaluation(table: pd.DataFrame, comparison: str, key: str = "evaluation") -> Figure:
    """Area under the ROC curve of each model in each cohort, with its interval.

    Parameters
    ----------
    table : DataFrame
        Rows of one assay and comparison of ``evaluation.tsv``: columns cohort, model, validation,
        n_reference, n_other, auc, low, high, p_permutation, prediction_low, prediction_high.
    comparison : str
        In words.
    key : str
    """
    drawn = table.assign(model=_model_names(table), cohort=table["cohort"].map(plain))
    cohorts = list(dict.fromkeys(drawn["cohort"]))
    models = [name for name in _MODELS.values() if name in set(drawn["model"])]
    scale = alt.Scale(domain=[min(0.3, float(drawn["low"].min())), 1], nice=False, zero=False)
    title = "Area under the ROC curve; 0.5: no better than chance"
    rows = {
        "y": alt.Y("cohort:N", title=None, sort=cohorts, axis=alt.Axis(labelLimit=200)),
        "yOffset": alt.YOffset("model:N", sort=models),
        "color": alt.Color(
            "model:N",
            title=None,
            sort=models,
            scale=alt.Scale(domain=models, range=list(GROUP_COLOURS[: len(models)])),
            legend=alt.Legend(orient="top", columns=2, labelLimit=400),
        ),
    }
    base = _chart(drawn[["cohort", "model", "auc", "low", "high", *_PREDICTION]])
    layers = [
        _chart(pd.DataFrame({"auc": [0.5]}))
        .mark_rule(color=_FAINT)
        .encode(x=alt.X("auc:Q", title=title, scale=scale))
    ]
    if drawn["prediction_low"].notna().any():
        layers.append(
            base.transform_filter("isValid(datum.prediction_low)")
            .mark_rule(strokeWidth=1, strokeDash=[4, 3], clip=True)
            .encode(
                x=alt.X("prediction_low:Q", title=title, scale=scale),
                x2="prediction_high:Q",
                **rows,
            )
        )
    layers += [
        base.mark_rule(strokeWidth=2.5, clip=True).encode(
            x=alt.X("low:Q", title=title, scale=scale), x2="high:Q", **rows
        ),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            x=alt.X("auc:Q", title=title, scale=scale), **rows
        ),
    ]
    step = 15 * len(models) + 8
    chart = alt.layer(*layers).properties(width=_WIDTH - 260, height=step * len(cohorts))
    first = drawn.iloc[-1] if len(cohorts) == 1 else drawn[drawn["cohort"] == cohorts[-1]].iloc[0]
    caption = (
        f"{comparison}: {count_of(int(first['n_other']), 'sample')} against "
        f"{int(first['n_reference'])} of the reference"
        + (f", in {len(cohorts) - 1} cohorts and pooled within them" if len(cohorts) > 1 else "")
        + ". Points: share of pairs, one sample of each group, in which the other group's has the "
        "larger value; lines: 95 % intervals. The score was not fitted to these samples; models "
        "with covariates were, and are judged on samples they were not fitted to: out of fold in "
        "their own cohort, or, named “other cohorts”, as fitted to all the others."
        + (
            " Dashed: 95 % prediction interval, where a further cohort would lie."
            if drawn["prediction_low"].notna().any()
            else ""
        )
    )
    columns = ["cohort", "model", "n_reference", "n_other", "auc", "low", "high", "p_permutation"]
    return Figure(
        key,
        f"Area under the ROC curve: {comparison}",
        caption,
        _svg(chart, key, f"Area under the ROC curve, {comparison}"),
        drawn[[*columns, *_PREDICTION]],
        "results/signature/evaluation.tsv",
    )


def calibration(table: pd.DataFrame, comparison: str, key: str = "calibration") -> Figure:
    """Predicted and observed share of the other group, one panel a model.

    Parameters
    ----------
    table : DataFrame
        Rows of one assay, comparison and cohort of ``calibration.tsv``: columns model, validation,
        bin, n, predicted, observed, low, high.
    comparison : str
        In words.
    key : str
    """
    drawn = table.assign(model=_model_names(table))
    models = [name for name in _MODELS.values() if name in set(drawn["model"])]
    scale = alt.Scale(domain=[0, 1])
    x = alt.X("predicted:Q", title="Predicted share", scale=scale)
    y = alt.Y("observed:Q", title="Observed share", scale=scale)
    diagonal = pd.DataFrame({"predicted": [0, 1], "observed": [0, 1]})
    panels = []
    for name in models:
        base = _chart(drawn.loc[drawn["model"] == name, ["predicted", "observed", "low", "high"]])
        panels.append(
            alt.layer(
                _chart(diagonal).mark_line(color=_FAINT, strokeWidth=1).encode(x=x, y=y),
                base.mark_rule(color="#0072B2").encode(
                    x=x, y=alt.Y("low:Q", title="Observed share", scale=scale), y2="high:Q"
                ),
                base.mark_point(filled=True, size=45, color="#0072B2", opacity=1).encode(x=x, y=y),
            ).properties(width=200, height=200, title=_heading(name))
        )
    n = int(drawn.groupby("model")["n"].sum().max())
    caption = (
        f"{comparison}: n = {count_of(n, 'sample')}, in bins of equal size. "
        "Probabilities are of samples that the model was not fitted to; that of the score comes "
        "from a regression on it. Lines: 95 % intervals; grey: prediction and observation agree. "
        "The share of the group is that of these samples, not of any population."
    )
    return Figure(
        key,
        f"Calibration: {comparison}",
        caption,
        _svg(alt.concat(*panels, columns=3), key, f"Calibration, {comparison}"),
        drawn[["model", "bin", "n", "predicted", "observed", "low", "high"]],
        "results/signature/calibration.tsv",
    )
