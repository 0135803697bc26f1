"""Tables of gene families (KO) by sample: read, checked, and brought to copies per genome.

HUMAnN's regrouped tables, predicted metagenomes of PICRUSt2, and any table of KO by sample, as TSV,
CSV or BIOM, told apart by what is in them.
"""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import biom
import numpy as np
import pandas as pd

from moodbiome.faults import Fault, after, suggestion
from moodbiome.modules import COPIES

UNITS = ("copies_per_genome", "rpk", "cpm", "relative")
"""What the numbers of a table may be; all of them are already per length of the gene."""

HUMANN, PICRUST2, GENERIC = "HUMAnN table", "PICRUSt2 table", "table of KO"
MEASURED, INFERRED = "imported table", "inferred from taxa"

ACCOUNT_COLUMNS = (
    *("sample", "unit", "n_single_copy", "single_copy_median", "unmapped", "ungrouped"),
    *("status", "reason"),
)

_KO = re.compile(r"(?:ko:)?(K\d{5})(?::.*)?", re.IGNORECASE)
_SEVERAL = re.compile(r"(?:ko:)?K\d{5}\s*[,;+]\s*(?:ko:)?K\d{5}.*", re.IGNORECASE)
# What was meant as a KO: a digit too few or too many, or O for 0.
_NEARLY_KO = re.compile(r"(?:ko:?)?[ _]?K[O\d]+(?![A-Z\d]).*", re.IGNORECASE)
# Columns of HUMAnN have the sample's name and the unit; its renormalised tables say which.
_SUFFIX = re.compile(r"_Abundance(?:-(RPKs?|CPM|RELAB))?$", re.IGNORECASE)
_UNIT_OF_SUFFIX = {"rpk": "rpk", "rpks": "rpk", "cpm": "cpm", "relab": "relative"}
_FIRST_HUMANN = ("gene family", "# gene family", "geneid")
_DESCRIPTIONS = ("description", "name", "definition", "taxonomy", "ko_name", "gene", "metadata")
_MOST_NAMED = 5
# The median family of one copy of any community, with room for families that a tool finds half of.
_ONE_COPY = (0.3, 3.0)

_UNREADABLE = (
    *(OSError, EOFError, KeyError, TypeError, ValueError, csv.Error, zlib.error),
    biom.exception.BiomException,
)


_Raw = tuple[str, str, list[str], pd.DataFrame, list[Fault]]
"""Format, name of the first column, labels of rows, cells as text or numbers, faults."""


@dataclass(frozen=True)
class FunctionTable:
    """What a sound table says.

    Attributes
    ----------
    format : str
        `HUMANN`, `PICRUST2` or `GENERIC`; of BIOM with its version.
    amounts : DataFrame of shape (n_families, n_samples)
        Indexed by KO, missing where the cell is empty; columns are samples of the sheet.
    unmapped, ungrouped : Series
        By sample, in the table's unit: what HUMAnN could not map, or not to a KO; missing where
        the table does not say.
    n_other : int
        Rows that are no KO, and no part of one.
    others : tuple of str
        Their labels, those first that look like a mistyped KO.
    n_stratified : int
        Rows of single taxa (``K00929|g__...``), which are parts of others and left out.
    """

    format: str
    amounts: pd.DataFrame
    unmapped: pd.Series
    ungrouped: pd.Series
    n_other: int
    n_stratified: int
    others: tuple[str, ...] = ()

    @property
    def is_inferred(self) -> bool:
        """Whether the families are predicted from taxa."""
        return self.format.startswith(PICRUST2)


def read_function_table(
    path: Path,
    samples: Collection[str],
    unit: str,
    single_copy: Sequence[str] = (),
    min_single_copy: int = 10,
) -> tuple[FunctionTable | None, list[Fault]]:
    """Read a table of KO by sample, and find everything wrong with it.

    Parameters
    ----------
    path
        TSV or CSV (also .gz), KO in rows; or BIOM.
    samples
        Of the sheet, with this assay. The table may lack some, and may have no other.
    unit
        One of `UNITS`, as the settings say.
    single_copy
        KO of universal single-copy genes: in copies per genome, a genome has one of each.
    min_single_copy
        Of these, rows that a table must have to be held against that.

    Returns
    -------
    (FunctionTable or None, list of Fault)
        None if there is a fault.
    """
    place = path.name
    if not path.is_file():
        return None, [Fault(str(path), "is missing", "correct the path")]
    try:
        form, first, labels, cells, faults = _read(path)
    except UnicodeDecodeError:
        return None, [Fault(place, "is neither text (UTF-8) nor BIOM", "save it as one of them")]
    except _UNREADABLE as error:
        said = " ".join(str(error).split())
        return None, [Fault(place, f"cannot be read ({said})", "write the file again")]
    if faults:
        return None, faults
    columns = [str(name) for name in cells]
    ends = [match[1] for name in columns if (match := _SUFFIX.search(name))]
    suffixes = {end.lower() for end in ends if end}
    cells = cells.set_axis([_SUFFIX.sub("", name) for name in columns], axis="columns")
    for sample in cells.columns[cells.columns.duplicated()].unique():
        same = [name for name in columns if _SUFFIX.sub("", name) == sample]
        problem = f"has columns {_listed(map(repr, same))}, which are one sample, {sample!r}"
        faults.append(Fault(place, problem, "keep the one with the unit of the settings"))
    is_humann = first.lower() in _FIRST_HUMANN or bool(suffixes)
    if is_humann or any(label.split("|")[0] in ("UNMAPPED", "UNGROUPED") for label in labels):
        form = form.replace(GENERIC, HUMANN)
    elif first.lower() == "function":
        form = form.replace(GENERIC, PICRUST2)
    said_units = sorted({_UNIT_OF_SUFFIX[suffix] for suffix in suffixes})
    if said_units and said_units != [unit]:
        problem = f"has columns in {' and '.join(said_units)}, and the settings say {unit}"
        faults.append(Fault(place, problem, "correct the unit in function.import"))
    faults += _sample_faults(list(cells.columns), samples, place)
    is_part = ["|" in label for label in labels]
    found = [_KO.fullmatch(label) for label in labels]
    several = [label for label in labels if _SEVERAL.fullmatch(label) and "|" not in label]
    if several:
        mend = "give each KO a row of its own"
        faults.append(Fault(place, f"has rows of several KO: {_listed(several)}", mend))
    kos = [match[1].upper() if match else "" for match in found]
    rows = [row for row, ko in enumerate(kos) if ko]
    names = pd.Series([kos[row] for row in rows], dtype=object)
    twice = names[names.duplicated()].unique()
    if len(twice):
        problem = f"has more than one row of {_listed(twice)}"
        faults.append(Fault(place, problem, "keep one, or add them up"))
    if not rows and not several:
        seen = f"; its rows are {_listed(labels)}" if labels else ""
        mend = "regroup its families to KEGG orthology (humann_regroup_table), K and five digits"
        faults.append(Fault(place, f"has no row of a KO{seen}", mend))
    special: dict[str, list[int]] = {"UNMAPPED": [], "UNGROUPED": []}
    for row, label in enumerate(labels):
        if label in special:
            special[label].append(row)
    wanted = [*rows, *(row for which in special.values() for row in which)]
    numbers, of_cells = _numbers(cells.iloc[wanted], [labels[row] for row in wanted], place)
    faults += of_cells
    if faults:
        return None, faults
    known = [sample for sample in samples if sample in cells.columns]
    is_left = set(range(len(labels))) - set(wanted)
    others = [label for row, label in enumerate(labels) if row in is_left and not is_part[row]]
    numbers = numbers.set_axis(wanted)[known]
    table = FunctionTable(
        format=form,
        amounts=numbers.loc[rows].set_axis(pd.Index(names, name="ko")).sort_index(),
        unmapped=_total(numbers, special["UNMAPPED"]),
        ungrouped=_total(numbers, special["UNGROUPED"]),
        n_other=len(others),
        n_stratified=sum(is_part),
        others=tuple(sorted(others, key=lambda label: not _NEARLY_KO.fullmatch(label))),
    )
    if unit == "copies_per_genome":
        faults = _copies_faults(table.amounts, single_copy, min_single_copy, place)
    return (None if faults else table), faults


def _copies_faults(
    amounts: pd.DataFrame, single_copy: Sequence[str], min_single_copy: int, name: str
) -> list[Fault]:
    """Samples whose families that every genome has once are far from one copy."""
    universal = amounts[amounts.index.isin(single_copy)]
    if len(universal) < min_single_copy:
        return []
    median = universal.median()[_most_found(universal)]
    off = median[~median.between(*_ONE_COPY)]
    if off.empty:
        return []
    listed = _listed(f"{sample} ({value:.3g})" for sample, value in off.items())
    low, high = _ONE_COPY
    problem = (
        f"is not in copies per genome: the median of its {len(universal)} single-copy families "
        f"is not within {low:g} to {high:g} in {listed}"
    )
    mend = "correct the unit in function.import (rpk, cpm or relative)"
    return [Fault(name, problem, mend)]


def _most_found(universal: pd.DataFrame) -> pd.Series:
    """Samples in which more than half of some families are above 0: their median is a measure."""
    return 2 * (universal > 0).sum() > universal.notna().sum()


def table_warnings(
    table: FunctionTable, samples: Collection[str], unit: str, assay: str, name: str
) -> list[Fault]:
    """What a sound table may yet have wrong: samples, rows or the unit.

    Parameters
    ----------
    table
        As of `read_function_table`.
    samples
        Of the sheet, with this assay.
    unit
        One of `UNITS`, as the settings say.
    assay
        Where none but shotgun reads can be counts of a gene's reads.
    name
        Of the table's file.
    """
    warnings = []
    lacking = [sample for sample in samples if sample not in table.amounts.columns]
    if lacking:
        problem = f"lacks {len(lacking)} of {len(samples)} samples: {_listed(lacking)}"
        mend = "they are not measured; add them if they ought to be"
        warnings.append(Fault(name, problem, mend))
    if table.others:
        is_one = table.n_other == 1
        rows = "1 row that is no KO" if is_one else f"{table.n_other} rows that are no KO"
        mend = "write a KO as K and five digits; whatever else is left out"
        warnings.append(Fault(name, f"has {rows}: {_listed(table.others)}", mend))
    amounts = table.amounts.to_numpy()
    amounts = amounts[np.isfinite(amounts) & (amounts > 0)]
    if (
        unit == "rpk"
        and source_of(table, assay) == MEASURED
        and len(amounts)
        and (amounts == np.round(amounts)).all()
    ):
        mend = "are these counts of reads? divide by gene length first"
        warnings.append(Fault(name, "holds whole numbers, and the settings say rpk", mend))
    return warnings


def _total(numbers: pd.DataFrame, rows: list[int]) -> pd.Series:
    return numbers.loc[rows].sum() if rows else pd.Series(np.nan, numbers.columns)


def _read(path: Path) -> _Raw:
    content = path.read_bytes()
    if content.startswith(b"\x89HDF"):
        return _of_biom(biom.load_table(str(path)), "2.1")
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    text = content.decode("utf-8-sig")
    if text.lstrip().startswith("{"):
        return _of_biom(biom.Table.from_json(json.loads(text)), "1.0")
    return _of_text(text, path.name)


def _of_biom(
    table: biom.Table, version: str
) -> tuple[str, str, list[str], pd.DataFrame, list[Fault]]:
    cells = pd.DataFrame(
        table.matrix_data.toarray(), columns=[str(name) for name in table.ids("sample")]
    )
    labels = [str(name) for name in table.ids("observation")]
    return f"{GENERIC}, BIOM {version}", "", labels, cells, []


def _of_text(text: str, name: str) -> _Raw:
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    # The header may itself begin with '#', as HUMAnN's does; lines of comment have one cell.
    separator = "\t" if any("\t" in line for _, line in lines) else ","
    rows = [
        (number, [cell.strip().strip('"') for cell in line.split(separator)])
        if separator == "\t"
        else (number, [cell.strip() for cell in next(csv.reader(io.StringIO(line)))])
        for number, line in lines
    ]
    rows = [(number, row) for number, row in rows if len(row) > 1 or not row[0].startswith("#")]
    empty = pd.DataFrame()
    if len(rows) < 2:
        said = "is empty" if not rows else "holds a header and no gene family"
        return "", "", [], empty, [Fault(name, said, "write one row for each KO")]
    header, body = rows[0][1], rows[1:]
    ragged = [
        Fault(
            f"{name}, row {number}",
            f"has {len(row)} cells under a header of {len(header)}",
            "give every row one cell a column",
        )
        for number, row in body
        if len(row) != len(header)
    ]
    twice = sorted({column for column in header[1:] if header.count(column) > 1})
    if twice:
        problem = f"names {', '.join(map(repr, twice))} more than once"
        ragged.append(Fault(f"{name}, header", problem, "rename one"))
    if ragged:
        return "", "", [], empty, ragged[:_MOST_NAMED]
    cells = pd.DataFrame([row[1:] for _, row in body], columns=pd.Index(header[1:], dtype=object))
    beside = [column for column in header[1:] if column.lower() in _DESCRIPTIONS]
    first = header[0].lstrip("# ").strip()
    return GENERIC, first, [row[0] for _, row in body], cells.drop(columns=beside), []


def _sample_faults(columns: list[str], samples: Collection[str], name: str) -> list[Fault]:
    extra = [column for column in columns if column not in samples]
    if not extra:
        return []
    if len(extra) == len(columns):
        mend = "name the samples as the sheet does, one a column"
        problem = f"has no sample of the sheet; its columns are {_listed(extra)}"
        return [Fault(name, problem, mend)]
    near = suggestion(extra[0], [sample for sample in samples if sample not in columns])
    mend = after(near, "name them as the sheet does, or delete them")
    return [Fault(name, f"has samples or columns that the sheet lacks: {_listed(extra)}", mend)]


def _numbers(cells: pd.DataFrame, labels: list[str], name: str) -> tuple[pd.DataFrame, list[Fault]]:
    """The cells as numbers, empty ones missing; text and negative numbers are faults."""
    is_empty = cells.isin([""]) | cells.isna()
    numbers = cells.where(~is_empty).apply(pd.to_numeric, errors="coerce").astype(float)
    values = numbers.to_numpy()
    is_text = ~np.isfinite(values) & ~is_empty.to_numpy(bool)
    faults = []
    with np.errstate(invalid="ignore"):
        finds = [
            (is_text, "cells that are no number", "write 0 for none, and nothing where unknown"),
            (values < 0, "negative cells", "abundances are 0 or more"),
        ]
    for is_bad, what, mend in finds:
        where = np.argwhere(is_bad)
        if len(where):
            listed = _listed(
                f"{labels[row]}, sample {cells.columns[column]!r} ({cells.iloc[row, column]!r})"
                for row, column in where
            )
            faults.append(Fault(name, f"has {what}: {listed}", mend))
    return numbers, faults


def _listed(items: Iterable[Any]) -> str:
    texts = [str(item) for item in items]
    more = f" and {len(texts) - _MOST_NAMED} others" if len(texts) > _MOST_NAMED else ""
    return ", ".join(texts[:_MOST_NAMED]) + more


def as_copies(
    table: FunctionTable,
    unit: str,
    single_copy: Sequence[str],
    wanted: Sequence[str],
    samples: Sequence[str],
    *,
    min_single_copy: int = 10,
    absent_is_zero: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Bring a table to copies per genome, by the families that every genome has once.

    Parameters
    ----------
    table : FunctionTable
    unit : str
        One of `UNITS`.
    single_copy : sequence of str
        KO of universal single-copy genes.
    wanted : sequence of str
        KO to be given.
    samples : sequence of str
        Samples to be given, in order.
    min_single_copy : int
        Single-copy KO of which a table must have a row, and each sample a number.
    absent_is_zero : bool
        Whether a KO without a row was looked for and not found.

    Returns
    -------
    genes : DataFrame of shape (n_wanted, n_samples)
        Indexed by KO: over the sample's median of the table's single-copy KO, zeros among them, if
        the unit is not copies per genome already; in the table's own unit where the table has too
        few of them. A sample in which half of them or more are 0 is not measured: their median
        would be 0, and that of the others grows the less was sequenced.
    account : DataFrame
        One row a sample, columns `ACCOUNT_COLUMNS`: ``status`` is ``ok`` or ``not_measured``.

    Examples
    --------
    >>> table = FunctionTable("", pd.DataFrame({"S1": [4.0, 2.0, 1.0]},
    ...     index=["K02945", "K02967", "K00929"]), pd.Series({"S1": 5.0}), pd.Series({"S1": 0.0}),
    ...     0, 0)
    >>> genes, account = as_copies(table, "rpk", ["K02945", "K02967"], ["K00929"], ["S1"],
    ...                            min_single_copy=2)
    >>> genes["S1"].tolist(), account["single_copy_median"].tolist()
    ([0.3333333333333333], [3.0])
    """
    amounts = table.amounts
    universal = amounts.reindex(index=[ko for ko in single_copy if ko in amounts.index])
    universal = universal.reindex(columns=list(samples))
    number, median = (universal > 0).sum(), universal.median()
    has_enough = len(universal) >= min_single_copy
    is_normalised = unit == "copies_per_genome"
    can_be = not is_normalised and has_enough
    genes = amounts.reindex(index=list(wanted), columns=list(samples))
    if absent_is_zero:
        genes[~genes.index.isin(amounts.index)] = 0.0
    reason = pd.Series("", index=list(samples), dtype=object)
    is_there = reason.index.isin(amounts.columns)
    any_number = amounts.reindex(columns=list(samples)).fillna(0).sum() > 0
    reason[~any_number.to_numpy()] = "the function table has nothing but zeros for it"
    reason[~is_there] = "the function table does not have it"
    if has_enough:
        known = universal.count()
        said = number.astype(str) + " of " + known.astype(str)
        said += " single-copy families are above 0: their median is no measure of the genomes"
        reason = reason.mask(~_most_found(universal) & (reason == ""), said)
        few = known.astype(str) + f" single-copy families, {min_single_copy} needed"
        reason = reason.mask((known < min_single_copy) & is_there & any_number, few)
    if can_be:
        genes = genes / median
    genes.loc[:, (reason != "").to_numpy()] = np.nan
    account = pd.DataFrame(
        {
            "sample": list(samples),
            "unit": COPIES if is_normalised or can_be else unit,
            "n_single_copy": number.to_numpy(),
            "single_copy_median": median.to_numpy(),
            "unmapped": table.unmapped.reindex(list(samples)).to_numpy(),
            "ungrouped": table.ungrouped.reindex(list(samples)).to_numpy(),
            "status": np.where(reason == "", "ok", "not_measured"),
            "reason": reason.to_numpy(),
        }
    )
    return genes.rename_axis("ko"), account[list(ACCOUNT_COLUMNS)]


def source_of(table: FunctionTable, assay: str) -> str:
    """Where the families of an imported table come from: `MEASURED` or `INFERRED`.

    Reads of 16S hold no other gene: whatever made the table, it knows them from the taxa.
    """
    return INFERRED if table.is_inferred or assay == "amplicon" else MEASURED


def read_single_copy(path: Path) -> list[str]:
    """KO of config/function/single_copy.tsv."""
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=3)
    return table["ko"].tolist()


def gene_names(steps: pd.DataFrame) -> Mapping[str, str]:
    """Name of each gene family, of the steps that name it first."""
    named = steps[steps["gene"] != ""].drop_duplicates("family")
    return dict(zip(named["family"], named["gene"], strict=True))
