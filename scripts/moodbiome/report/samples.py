"""The page of one sample: its facts and figures, and its score in words."""

import re

import numpy as np
import pandas as pd

from moodbiome import figures
from moodbiome.figures import plain
from moodbiome.report.content import (
    Report,
    groups_of,
    matching,
    names_of_concepts,
    not_empty,
    not_run,
    samples_compared,
    samples_of,
    score_row,
    setting,
    types_of,
)
from moodbiome.report.display import Shown, key_of, show
from moodbiome.report.words import text_of

# With fewer, a percentile says more than is known: one sample moves it by 5 points or more.
MIN_PERCENTILE_REFERENCE = 20


def type_words(report: Report, key: tuple[str, str]) -> str:
    kind = types_of(report).get(key, "sample")
    return "" if kind == "sample" else plain(kind)


def sample_facts(report: Report, sample: str) -> list[tuple[str, str]]:
    metadata = not_empty(report.metadata)
    column = setting(report, "cohort", "group", "")
    if metadata is None or not column or column not in metadata:
        return []
    rows = metadata[metadata["sample"].astype(str) == sample]
    return [(plain(column), text_of(rows.iloc[0][column]) or figures.NO_GROUP)] if len(rows) else []


def sample_figures(
    report: Report, sample: str, assay: str, row: pd.Series
) -> dict[str, Shown | None]:
    shown: dict[str, Shown | None] = dict.fromkeys(("ledger", "taxa", "score", "contributions"))
    if pd.notna(row["raw"]):
        shown["ledger"] = show(figures.sample_ledger(row, key_of("ledger", assay)))
    counts = report.genus_counts.get(assay)
    if counts is None and len(report.genus_counts) == 1 and not assay:
        counts = next(iter(report.genus_counts.values()))
    if counts is not None and sample in counts.columns[3:] and counts[sample].sum():
        source = f"results/tables/{assay}.genus.counts.tsv"
        compared = samples_compared(report, assay)
        drawn = figures.sample_taxa(
            counts, sample, key_of("taxa", assay), source, compared=compared
        )
        shown["taxa"] = show(drawn)
    scored = score_row(report, sample, assay)
    if scored is not None and pd.notna(scored["score"]):
        reference, name = _reference_scores(report, sample, assay)
        if len(reference):
            shown["score"] = show(
                figures.sample_score(scored, reference, name, key_of("score", assay))
            )
        if (table := not_empty(report.contributions)) is not None:
            part = matching(table, sample, assay)
            part = part.assign(concept=names_of_concepts(report, part["concept"]))
            if part["contribution"].notna().any():
                shown["contributions"] = show(
                    figures.sample_contributions(part, key_of("contributions", assay))
                )
    return shown


def _reference_scores(report: Report, sample: str, assay: str) -> tuple[pd.Series, str]:
    """Scores of the samples that one is compared with, and what they are called in the plural."""
    assert report.scores is not None
    scores = report.scores[report.scores["score"].notna()]
    if assay and "assay" in scores:
        scores = scores[scores["assay"].astype(str) == assay]
    scores = scores[scores["sample"].astype(str).isin(samples_compared(report, assay))]
    groups = groups_of(report, samples_of(scores))
    group = setting(report, "cohort", "reference", "")
    values = scores.set_index(scores["sample"].astype(str))["score"].astype(float)
    if not group or not (groups == group).any():
        return values.drop(sample, errors="ignore"), "other samples"
    values = values[(groups == group).reindex(values.index).to_numpy()]
    other = "other " if sample in values.index else ""
    is_control = re.fullmatch(r"controls?", group, re.IGNORECASE)
    name = "controls" if is_control else f"reference samples ({group})"
    return values.drop(sample, errors="ignore"), f"{other}{name}"


def score_sentences(report: Report, sample: str, assay: str) -> list[str]:
    row = score_row(report, sample, assay)
    if row is None:
        reason = not_run(report, "signature", report.scores)
        return [f"No score: {'not in the table' if reason is None else reason or 'not run'}."]
    if pd.isna(row["score"]):
        reason = text_of(row.get("reason"))
        return [f"No score: {reason}." if reason else "No score."]
    sentences = [
        (
            f"Score {row['score']:.2f} (95 % interval {row['score_low']:.2f} to "
            f"{row['score_high']:.2f}, natural-log units), from {int(row['n_classified']):,} "
            "fragments classified as bacterial or archaeal."
        )
    ]
    if pd.notna(row.get("percentile")):
        compared = _reference_scores(report, sample, assay)
        if setting(report, "signature", "reference_table", ""):
            # Their scores are not in the tables; the percentile among them is.
            n = 0 if pd.isna(row["n_reference"]) else int(row["n_reference"])
            compared = pd.Series(np.nan, index=range(n)), "reference samples of an earlier run"
        sentences.append(_place_sentence(row, *compared))
    if pd.notna(row.get("weight_detectable")):
        sentences.append(
            f"{100 * row['weight_detectable']:.0f} % of the weight of the signature lies on taxa "
            + (
                "of the imported table; which others could have been found is not known."
                if assay in report.provenance.get("imports", {})
                else "that the database can detect."
            )
        )
    if note := text_of(row.get("reason")):
        sentences.append(f"Note: {note}.")
    sentences.append(
        "A higher score means that the composition resembles more what has been reported in "
        "depression. It cannot show cause, and one sample of one day says little: the interval "
        "does not include variation between days or between extractions."
    )
    return sentences


def _place_sentence(row: pd.Series, reference: pd.Series, name: str) -> str:
    """Where a score lies among others: a percentile only where there are enough of them."""
    n = len(reference)
    if n >= MIN_PERCENTILE_REFERENCE:
        text = f"This lies at percentile {row['percentile']:.0f} of the {n:,} {name}"
        if pd.notna(row.get("percentile_low")):
            text += (
                f" (95 % interval {row['percentile_low']:.0f} to {row['percentile_high']:.0f}, "
                "for their number)"
            )
        return f"{text}."
    if reference.isna().all():
        return f"The {n} {name} are too few for a percentile."
    below = int((reference < row["score"]).sum())
    place = "all" if below == n else ("none of the" if not below else f"{below} of the")
    return f"This lies above {place} {n} {name}; they are too few for a percentile."
