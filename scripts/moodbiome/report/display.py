"""Figures, tables and links, as a page shows them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

import pandas as pd

from moodbiome.figures import Figure, plain
from moodbiome.report.content import Report, has, not_empty, not_run
from moodbiome.report.words import numbers, text_of

MAX_ROWS = 200


class Link(NamedTuple):
    """Words that lead to a publication, or to another page of the run."""

    text: str
    url: str


class Cell(NamedTuple):
    """One cell: text, or text and links."""

    parts: list[Link | str]


@dataclass(frozen=True)
class Table:
    """A table as the page shows it: formatted, and cut after `MAX_ROWS` rows."""

    caption: str
    columns: list[tuple[str, bool]]  # heading, is it numeric
    rows: list[list[Cell]]
    n_rows: int
    source: str


@dataclass(frozen=True)
class Shown:
    figure: Figure
    table: Table
    number: int = 0


@dataclass(frozen=True)
class Section:
    """Figures; where they are not all there, what is the matter, and why if anybody said."""

    shown: list[Shown]
    matter: str = ""
    reason: str = ""


def show(figure: Figure, assay: str = "") -> Shown:
    if assay:
        title = f"{figure.title} ({assay})"
        figure = Figure(figure.key, title, figure.caption, figure.svg, figure.table, figure.source)
    return Shown(figure, as_table(figure.table, f"Data of: {figure.title}", figure.source))


def key_of(name: str, assay: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", f"{name}-{assay}").strip("-")


def section_of(
    report: Report, analysis: str, content: Any, draw: Callable[[Report], list[Shown]]
) -> Section:
    reason = not_run(report, analysis, content)
    if not has(content):
        return Section([], "Not run", reason or "")
    shown = draw(report)
    if reason:
        return Section(shown, "Not run in part", reason)
    if analysis == "ledger" and not shown and report.provenance.get("imports"):
        return Section(shown, "The feature table was imported: its reads were not seen here")
    return Section(shown, "" if shown else "There is no value to draw")


def sample_page(sample: str) -> str:
    return f"samples/{quote(sample, safe='')}.html"


def optional_table(table: pd.DataFrame | None, caption: str, source: str) -> Table | None:
    present = not_empty(table)
    return None if present is None else as_table(present, caption, source)


def as_table(
    table: pd.DataFrame,
    caption: str,
    source: str,
    headings: Mapping[str, str] | None = None,
    integers: Sequence[str] = (),
    most: int = MAX_ROWS,
) -> Table:
    shown = table.head(most)
    columns, cells = [], []
    for name in table.columns:
        values = shown[name]
        numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
        numeric = numeric or name in integers
        heading = (headings or {}).get(str(name), plain(str(name)))
        columns.append((heading, numeric))
        identifier = str(name).endswith("_id") or str(name) in ("seed", "year")
        cells.append(numbers(values, identifier) if numeric else [text_of(v) for v in values])
    rows = [[Cell([text]) for text in row] for row in zip(*cells, strict=True)]
    return Table(caption, columns, rows, len(table), source)
