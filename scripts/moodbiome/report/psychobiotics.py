"""The section on psychobiotics."""

from typing import Any, NamedTuple

import pandas as pd

from moodbiome.figures import plain
from moodbiome.report.content import Report, not_empty
from moodbiome.report.display import Table, as_table
from moodbiome.report.words import enumerated


class _Panel(NamedTuple):
    """Psychobiotics of one assay: a table of those that can be shown, and what cannot."""

    sentences: list[str]
    table: Table | None


def psychobiotic_panels(report: Report) -> list[_Panel]:
    psychobiotics = not_empty(report.psychobiotics)
    if psychobiotics is None:
        return []
    return [
        _psychobiotic_panel(str(assay), part)
        for assay, part in psychobiotics.groupby("assay", sort=False)
    ]


def _psychobiotic_panel(assay: str, part: pd.DataFrame) -> _Panel:
    """One row a sample, one column an organism; one that no sample can show is said in words."""
    names = part.drop_duplicates("organism").set_index("organism")["name"]
    names = names.str.replace(r" \(.*", "", regex=True)
    absent: dict[str, list[str]] = {}
    for organism, rows in part.groupby("organism", sort=False):
        if rows["call"].isin(["not in this database", "not assessable"]).all():
            # A sample that failed says nothing about the organism: the commonest reason does.
            why = str(rows["reason"].fillna("").mode().iloc[0])
            absent.setdefault(why, []).append(str(organism))
    sentences = [
        f"Not shown ({plain(assay)}): {enumerated([names[key] for key in found])}. Reason: {why}."
        for why, found in absent.items()
    ]
    left = [key for key in names.index if not any(key in found for found in absent.values())]
    if not left:
        return _Panel(sentences, None)
    shown = part[part["organism"].isin(left)]
    wide = (
        shown.assign(cell=[_psychobiotic_words(row) for row in shown.itertuples()])
        .pivot_table(index="sample", columns="organism", values="cell", aggfunc="first", sort=False)
        .reindex(columns=left)
        .rename(columns=names.to_dict())
        .rename_axis(columns=None)
        .reset_index()
    )
    caption = (
        f"Psychobiotic panel, {plain(assay)}: share in % of the fragments of all taxa of the rank, "
        "with its 95 % interval, or < the share above which it would have been found; of a strain "
        "what its k-mers allow to say"
    )
    return _Panel(sentences, as_table(wide, caption, "results/signature/psychobiotics.tsv"))


def _psychobiotic_words(row: Any) -> str:
    if row.level == "strain":
        return str(row.call)
    if row.call.startswith("detected"):
        return f"{100 * row.proportion:.2g} ({100 * row.low:.2g} to {100 * row.high:.2g})"
    if row.call == "not detected":
        return f"< {100 * row.detection_limit:.2g}"
    return str(row.call)
