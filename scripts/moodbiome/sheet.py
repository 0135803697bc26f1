"""The sample sheet: one row a sequencing run, read and checked as a whole.

Only the standard library: every cluster job reads the sheet again.
"""

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from moodbiome.accessions import accession_fault
from moodbiome.faults import Fault, suggestion

REQUIRED = ("sample",)
DEFAULTS = {
    "run": "1",
    "fastq_1": "",
    "fastq_2": "",
    "accession": "",
    "assay": "shotgun",
    "sample_type": "sample",
    "exclude": "",
}
# Columns of tables that metadata is joined to, and columns beside samples in feature tables.
RESERVED = ("status", "reason", "warnings", "is_usable", "metric")
RESERVED_SAMPLES = ("taxon_id", "name", "lineage", "ko")
ASSAYS = ("shotgun", "amplicon")
SAMPLE_TYPES = ("sample", "negative_control", "positive_control")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
LONGEST_NAME = 100
NAME_RULE = "use letters, digits, '.', '_' and '-', beginning with a letter or digit, 100 at most"
_PATHS = ("fastq_1", "fastq_2")
_OF_UNIT = ("sample", "assay", "run", *_PATHS, "accession")
# First bytes of .xlsx and .ods (zip archives), and of .xls.
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


class Unit(NamedTuple):
    """One row of the sheet: the files, or the accession, of one run of one sample."""

    sample: str
    assay: str
    run: str
    fastq_1: str
    fastq_2: str
    accession: str
    row: int

    @property
    def files(self) -> list[str]:
        """Files as the sheet names them; none for an accession."""
        return [file for file in (self.fastq_1, self.fastq_2) if file]


@dataclass
class Sheet:
    """What a sound sheet says.

    Attributes
    ----------
    units
        Rows in the sheet's order; (sample, assay, run) is unique.
    metadata
        Sample -> column -> cell, for every column that is not about files; cells are text, and an
        empty cell is the empty string.
    """

    units: list[Unit] = field(default_factory=list)
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def samples(self) -> list[tuple[str, str]]:
        """(sample, assay) pairs, in the sheet's order."""
        return list(dict.fromkeys((unit.sample, unit.assay) for unit in self.units))

    @property
    def columns(self) -> list[str]:
        """Names of the metadata columns, in the sheet's order."""
        return list(next(iter(self.metadata.values()), {}))


def read_sheet(path: Path, imported: Collection[str] | None = ()) -> tuple[Sheet, list[Fault]]:
    """Read a sample sheet (TSV or CSV) and find everything wrong with it.

    Parameters
    ----------
    path
        The sheet. A byte order mark, CRLF line ends, blank lines and lines that begin with ``#``
        are accepted. Paths in it start at the sheet's own folder.
    imported
        Assays whose feature table is imported: their rows name no reads. None where that is
        not known: then no row has to name any.

    Returns
    -------
    (Sheet, list of Fault)
        The sheet is to be used only if there is no fault. Row numbers count the file's lines from
        1, as editors do.
    """
    name = path.name
    try:
        content = path.read_bytes()
        if content.startswith(_WORKBOOKS):
            mend = "save its sheet as text, separated by tabs or commas (UTF-8)"
            return Sheet(), [Fault(str(path), "is a workbook", mend)]
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        return Sheet(), [
            Fault(
                str(path), "is missing", "write a sample sheet or correct `samples:` in the config"
            )
        ]
    except IsADirectoryError:
        return Sheet(), [Fault(str(path), "is a folder", "name the sheet inside it")]
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
        return Sheet(), [Fault(str(path), problem, "mend the path or its access rights")]
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        problem = f"cannot be read (byte {content[error.start]:#04x} is not UTF-8)"
        return Sheet(), [Fault(f"{path}, row {row}", problem, "save the sheet as UTF-8 text")]
    rows, faults = _cells(text, name)
    if not rows:
        return Sheet(), faults
    header = rows[0][1]
    faults += _header_faults(header, name, imported is None or bool(imported))
    if faults:
        return Sheet(), faults
    if len(rows) == 1:
        return Sheet(), [
            Fault(name, "holds a header and no sample", "add one row for each sequencing run")
        ]

    records = [(line, dict(zip(header, cells, strict=True))) for line, cells in rows[1:]]
    sheet = Sheet()
    for line, record in records:
        cell = {**DEFAULTS, **{key: value for key, value in record.items() if value}}
        faults += _cell_faults(cell, f"{name}, row {line}", imported)
        unit = Unit(**{key: cell.get(key, "") for key in _OF_UNIT}, row=line)
        sheet.units.append(unit)
        rest = {key: value for key, value in record.items() if key not in _OF_UNIT}
        rest |= {key: cell[key] for key in ("sample_type", "exclude")}
        faults += _disagreements(sheet.metadata.setdefault(unit.sample, rest), rest, unit, name)
    faults += _repeats(sheet.units, name)
    faults += _layout_faults(sheet.units, name)
    faults += _file_faults(sheet.units, path.parent, name)
    return sheet, faults


def _cells(text: str, name: str) -> tuple[list[tuple[int, list[str]]], list[Fault]]:
    """Rows with their line numbers, stripped of surrounding spaces; ragged rows are faults."""
    lines = io.StringIO(text, newline="")
    first = next((line for line in lines if line.strip() and line.lstrip()[0] != "#"), "")
    delimiter = "\t" if "\t" in first else ","
    if delimiter not in first and ";" in first:
        return [], [
            Fault(name, "is separated by semicolons", "save it separated by tabs or commas")
        ]
    rows: list[tuple[int, list[str]]] = []
    faults = []
    line = 0
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for cells in reader:
            # An open quote swallows the rows below it, even from within a comment.
            if any("\n" in cell or "\r" in cell for cell in cells):
                return [], [_open_quote(name, line + 1)]
            line = reader.line_num
            cells = [cell.strip() for cell in cells]
            if not any(cells) or cells[0].startswith("#"):
                continue
            if rows and len(cells) != len(rows[0][1]):
                faults.append(
                    Fault(
                        f"{name}, row {line}",
                        f"has {len(cells)} cells under a header of {len(rows[0][1])}",
                        "give every row one cell a column (an empty one where nothing is known)",
                    )
                )
                continue
            rows.append((line, cells))
    except csv.Error:  # a cell of more characters than the reader takes
        return [], [_open_quote(name, line + 1)]
    if not rows:
        return [], [Fault(name, "is empty", "write a header and one row for each sequencing run")]
    return rows, faults


def _open_quote(name: str, line: int) -> Fault:
    return Fault(
        f"{name}, row {line}",
        "has a cell of several lines, or a double quote that is never closed",
        "remove the double quote or the line break",
    )


def _header_faults(header: list[str], name: str, has_import: bool) -> list[Fault]:
    known = [column for column in (*REQUIRED, *DEFAULTS) if column not in header]
    # A metadata column may have any name but one that is nearly a known name which is not there:
    # that is a slip of the hand, and the files or lanes under it would be ignored.
    hints = {
        column: hint
        for column in header
        if column not in (*REQUIRED, *DEFAULTS) and (hint := suggestion(column, known))
    }
    if len(known) == len(REQUIRED) + len(DEFAULTS) and not hints:
        mend = "begin with a header, its cells separated by tabs or commas; '#' begins a comment"
        return [Fault(f"{name}, header", "has none of 'sample', 'fastq_1', 'accession'", mend)]
    faults = []
    for column in sorted(set(header) & set(RESERVED)):
        mend = "the pipeline's own tables use this name: rename the column"
        faults.append(Fault(f"{name}, header", f"has a column {column!r}", mend))
    for column, count in Counter(header).items():
        if not column:
            faults.append(Fault(f"{name}, header", "has a column without a name", "name it"))
        elif count > 1:
            faults.append(Fault(f"{name}, header", f"names {column!r} {count} times", "rename one"))
    meant = "".join(hints.values())
    if "sample" in known and "'sample'" not in meant:
        faults.append(Fault(f"{name}, header", "lacks the column 'sample'", "add it"))
    has_no_reads = {"fastq_1", "accession"} <= set(known) and not has_import
    if has_no_reads and not re.search("'(fastq_1|accession)'", meant):
        mend = "add 'fastq_1' (files) or 'accession' (runs of a public archive)"
        faults.append(Fault(f"{name}, header", "has neither 'fastq_1' nor 'accession'", mend))
    for column, hint in hints.items():
        mend = f"{hint}If it is metadata, give it another name"
        faults.append(Fault(f"{name}, header", f"has the unknown column {column!r}", mend))
    return faults


def _is_name(text: str) -> bool:
    return bool(NAME.fullmatch(text)) and len(text) <= LONGEST_NAME


def _cell_faults(cell: dict[str, str], place: str, imported: Collection[str] | None) -> list[Fault]:
    faults = []
    if not cell.get("sample"):
        faults.append(Fault(f"{place}, column 'sample'", "is empty", "fill it"))
    has_reads = bool(cell["fastq_1"] or cell["fastq_2"] or cell["accession"])
    if imported is None and not has_reads:
        pass
    elif imported and cell["assay"] in imported:
        if has_reads:
            mend = "empty these cells, or tables.import of the assay in the settings"
            faults.append(Fault(place, "has reads, and the assay's table is imported", mend))
    elif bool(cell["fastq_1"]) == bool(cell["accession"]):
        both = "has files and an accession" if cell["fastq_1"] else "has no reads"
        mend = "give 'fastq_1' (with 'fastq_2' if paired) or 'accession', one of them"
        faults.append(Fault(place, both, mend))
    elif cell["accession"]:
        fault = accession_fault(cell["accession"], f"{place}, column 'accession'")
        faults += [fault] if fault else []
    for column in ("sample", "run"):
        if cell.get(column) and not _is_name(cell[column]):
            faults.append(Fault(f"{place}, column {column!r}", f"is {cell[column]!r}", NAME_RULE))
    if cell.get("sample") in RESERVED_SAMPLES:
        mend = "feature tables use this name: rename the sample"
        faults.append(Fault(f"{place}, column 'sample'", f"is {cell['sample']!r}", mend))
    for column, allowed in (("assay", ASSAYS), ("sample_type", SAMPLE_TYPES)):
        if cell[column] not in allowed:
            faults.append(
                Fault(
                    f"{place}, column {column!r}",
                    f"is {cell[column]!r}",
                    f"{suggestion(cell[column], allowed)}use one of {', '.join(allowed)}",
                )
            )
    for column, value in cell.items():
        if any(ord(character) < 32 for character in value):
            faults.append(
                Fault(
                    f"{place}, column {column!r}",
                    f"holds a control character: {value!r}",
                    "remove it",
                )
            )
    return faults


def _disagreements(
    first: dict[str, str], here: dict[str, str], unit: Unit, name: str
) -> list[Fault]:
    """Metadata belongs to a sample: its rows must say the same."""
    return [
        Fault(
            f"{name}, row {unit.row}, column {column!r}",
            f"is {value!r}; an earlier row of sample {unit.sample!r} says {first[column]!r}",
            "make the rows of a sample agree",
        )
        for column, value in here.items()
        if value != first[column]
    ]


def _repeats(units: list[Unit], name: str) -> list[Fault]:
    faults = []
    seen: dict[tuple[str, ...], int] = {}
    spelling: dict[str, str] = {}
    runs: dict[tuple[str, ...], str] = {}
    for unit in units:
        key = (unit.sample, unit.assay, unit.run)
        if key in seen:
            faults.append(
                Fault(
                    f"{name}, row {unit.row}",
                    f"repeats sample {unit.sample!r}, run {unit.run!r} of row {seen[key]}",
                    "delete the row, or name each lane of the sample in the column 'run'",
                )
            )
        seen.setdefault(key, unit.row)
        run = runs.setdefault((unit.sample, unit.assay, unit.run.lower()), unit.run)
        if run != unit.run:
            faults.append(
                Fault(
                    f"{name}, row {unit.row}, column 'run'",
                    f"{unit.run!r} and {run!r} of sample {unit.sample!r} differ only in case",
                    "on some file systems their results would overwrite each other: rename one",
                )
            )
        other = spelling.setdefault(unit.sample.lower(), unit.sample)
        if other != unit.sample:
            faults.append(
                Fault(
                    f"{name}, row {unit.row}, column 'sample'",
                    f"{unit.sample!r} and {other!r} differ only in case",
                    "on some file systems their results would overwrite each other: rename one",
                )
            )
    return faults


def _layout_faults(units: list[Unit], name: str) -> list[Fault]:
    """Runs of a sample are classified together, so they must all be paired or all single-end."""
    first: dict[tuple[str, str], Unit] = {}
    faults = []
    for unit in units:
        if unit.accession:
            continue
        other = first.setdefault((unit.sample, unit.assay), unit)
        if bool(unit.fastq_2) != bool(other.fastq_2):
            faults.append(
                Fault(
                    f"{name}, row {unit.row}",
                    f"sample {unit.sample!r} mixes paired and single-end (see row {other.row})",
                    "give both mates of every run, or make the single-end run its own sample",
                )
            )
    return faults


def _file_faults(units: list[Unit], folder: Path, name: str) -> list[Fault]:
    faults = []
    used: dict[Path, str] = {}
    accessions: dict[str, int] = {}
    for unit in units:
        if unit.accession in accessions:
            place = f"{name}, row {unit.row}, column 'accession'"
            problem = f"{unit.accession!r} is used in row {accessions[unit.accession]} already"
            faults.append(Fault(place, problem, "name each run once"))
        elif unit.accession:
            accessions[unit.accession] = unit.row
        for column in _PATHS:
            value = getattr(unit, column)
            if not value:
                continue
            place = f"{name}, row {unit.row}, column {column!r}"
            file = folder / value
            # Path.exists() raises where a path is too long; this is False.
            if not os.path.exists(file):  # noqa: PTH110
                faults.append(
                    Fault(
                        place,
                        f"no file {value!r} in {str(folder)!r}",
                        "correct the path; paths start at the sheet's folder",
                    )
                )
                continue
            if not file.is_file():
                faults.append(Fault(place, f"{value!r} is not a file", "name a FASTQ file"))
                continue
            real = file.resolve()
            if column == "fastq_2" and used.get(real) == f"row {unit.row}, column 'fastq_1'":
                faults.append(
                    Fault(
                        place,
                        f"is the same file as fastq_1: {value!r}",
                        "name the second mates' file",
                    )
                )
            elif real in used:
                faults.append(
                    Fault(
                        place, f"{value!r} is used in {used[real]} already", "name each file once"
                    )
                )
            used.setdefault(real, f"row {unit.row}, column {column!r}")
    return faults
