"""The figures of one sample's page."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from moodbiome.diversity import UNPLACED
from moodbiome.figures.drawing import INK, Figure, chart_of, svg_of
from moodbiome.figures.reads import ledger_parts
from moodbiome.figures.taxa import checked_counts
from moodbiome.figures.words import count_of, fragments_of


def sample_ledger(row: pd.Series, key: str = "ledger") -> Figure:
    """How many fragments of one sample are left after each stage.

    Parameters
    ----------
    row : Series
        One row of the ledger.
    key : str
    """
    parts = ledger_parts(pd.DataFrame([row]))
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
    base = chart_of(table)
    chart = alt.layer(
        base.mark_bar(color="#0072B2", height=16).encode(x=x, y=rows),
        base.mark_text(align="left", dx=5, fontSize=11, color=INK).encode(
            x=x, y=rows, text="label:N"
        ),
    ).properties(width=520, height=130)
    return Figure(
        key,
        "From sequencing to classification",
        "One sample; percentages of its raw fragments (a read pair counts once).",
        svg_of(chart, key, "Fragments left after each stage"),
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
    values = checked_counts(counts)
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
    base = chart_of(table)
    x = alt.X("percent:Q", title="Share of non-host fragments (%)")
    layers: list[Any] = [base.mark_bar(color="#56B4E9", height=11).encode(x=x, y=rows)]
    caption = (
        f"Bars: this sample, in percent of its {fragments_of(float(totals[sample]))} left after "
        "quality control and host removal."
    )
    if others.shape[1]:
        layers += [
            base.mark_rule(color=INK, strokeWidth=1.2).encode(
                x=alt.X("others_p05_percent:Q", title="Share of non-host fragments (%)"),
                x2="others_p95_percent:Q",
                y=rows,
            ),
            base.mark_point(color=INK, filled=True, size=30, shape="diamond", opacity=1).encode(
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
        svg_of(chart, key, "Most abundant genera of the sample"),
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
        chart_of(dots)
        .mark_tick(color="#595959", thickness=1.5, size=22, opacity=0.7)
        .encode(x=alt.X("score:Q", title=title, scale=scale), y=rows),
        chart_of(one)
        .mark_rule(color="#D55E00", strokeWidth=2.5)
        .encode(x=alt.X("low:Q", title=title, scale=scale), x2="high:Q", y=rows),
        chart_of(one)
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
        svg_of(chart, key, "Score of the sample and of the reference samples"),
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
        chart_of(drawn)
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
        svg_of(chart, key, "Contribution of each taxon to the score"),
        drawn,
        "results/signature/contributions.tsv",
    )
