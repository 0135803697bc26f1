"""The figure of the read ledger."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from moodbiome.figures.drawing import (
    INK,
    MANY_SAMPLES,
    WIDTH,
    Figure,
    area_chart,
    bar_chart,
    chart_of,
    rank_axis,
    stack_parts,
    svg_of,
)
from moodbiome.figures.words import count_of, fragments_of, left_out, percent

LEDGER_PARTS = {
    "failed_qc": ("Failed quality control", "#4D4D4D"),
    "host": ("Host", "#CC79A7"),
    "bacterial": ("Bacteria", "#0072B2"),
    "other_classified": ("Other classified", "#56B4E9"),
    "unclassified": ("Unclassified", "#D9D9D9"),
}


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
    parts = ledger_parts(table)
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
            bar_chart(
                stack_parts(samples, counts, labels), samples, colour, "Fragments", "~s", width=400
            ),
            bar_chart(
                stack_parts(samples, 100 * shares, labels),
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
        depth = chart_of(depths[depths["raw"] > 0])  # a log axis has no 0
        chart = alt.vconcat(
            depth.mark_point(size=6, filled=True, color=INK, opacity=0.7)
            .encode(
                x=rank_axis(n_samples, title=None),
                y=alt.Y(
                    "raw:Q",
                    title="Raw fragments (log scale)",
                    scale=alt.Scale(type="log", nice=False, padding=6),
                    axis=alt.Axis(format="~s", tickCount=4),
                ),
            )
            .properties(width=WIDTH, height=90),
            area_chart(
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
        f"n = {count_of(n_samples, 'sample')}, {fragments_of(raw.sum())} in all; denominator: raw "
        "fragments of the sample (a read pair counts once). "
        f"{reading} Over the cohort: "
        + ", ".join(
            f"{label.lower()} {percent(part, raw.sum())}"
            for label, part in zip(labels, totals, strict=True)
        )
        + "."
        + left_out(missing, "no counts")
    )
    shown = parts[["sample", "raw", *names]].copy()
    for name, share in zip(names, shares.T, strict=True):
        shown[f"{name}_percent"] = 100 * share
    return Figure(
        key,
        "Where every fragment went",
        caption,
        svg_of(chart, key, "Read ledger, stacked bars by sample"),
        shown,
        "results/tables/ledger.tsv",
    )


def ledger_parts(table: pd.DataFrame) -> pd.DataFrame:
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
