"""Feature tables of the user's own: read, checked, and brought to counts by rank.

TSV or CSV, BIOM, taxpasta and MetaPhlAn tables, told apart by what is in them. A row counts what
is at its taxon and at none of the rows below it; where a table counts otherwise (MetaPhlAn: every
clade holds those below it), the rows below are taken off first.
"""

import csv
import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import biom
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moodbiome.faults import Fault
from moodbiome.tables import SPECIAL, TEXT_COLUMNS, UNASSIGNED, UNCLASSIFIED

RANKS = ("domain", "phylum", "class", "order", "family", "genus", "species")
FIRST_OWN_ID = 10**9
"""Taxa without an NCBI taxon id are numbered from here: beyond NCBI's, and within 32 bits for R."""

ROOT = 1
"""Taxon id of the root, in NCBI Taxonomy and in the databases of Kraken2."""

Lineage = tuple[tuple[str, str], ...]
"""(rank, name) from the domain down, ranks without a name left out."""

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_OWN_IDS = 2**31 - 1 - FIRST_OWN_ID
_LETTERS = {"sk": "domain", "k": "domain", **{rank[0]: rank for rank in RANKS}, "t": "strain"}
_PREFIX = re.compile(r"(sk|[dkpcofgst])__(.*)")
_NUMBERED = re.compile(r"D_(\d+)__(.*)")
# The genus in a species' name: "Candidatus Savagella", and "Faecalibacterium A" of GTDB, as well.
_GENUS = re.compile(r"(Candidatus )?\S+( [A-Z]{1,2}(?= ))?")
_DOMAINS = ("bacteria", "archaea", "eukaryota", "eukarya", "viruses")
_NO_NAME = ("", "na", "nan", "none", "unknown", "unassigned", "metagenome", "gut metagenome")
_NO_NAME_STARTS = ("uncultured", "unclassified", "unidentified", "ambiguous")
_WORDS_UNCLASSIFIED = ("unclassified", "unknown", "unmapped")
_WORDS_UNASSIGNED = ("unassigned", "other", "others")
# Root, cellular organisms, and the domains of NCBI Taxonomy.
_ABOVE_GENUS = (1, 131567, 2, 2157, 2759, 10239)

# What is said of a file that these cannot read.
_UNREADABLE = (
    *(OSError, EOFError, KeyError, TypeError, ValueError, csv.Error, zlib.error),
    biom.exception.BiomException,
)

# What columns beside the samples are called, in lower case.
_COLUMNS = {
    "id": ("taxon_id", "taxonomy_id", "ncbi_tax_id", "clade_taxid", "tax_id", "taxid"),
    "name": ("name", "taxon_name"),
    "lineage": ("lineage", "taxonomy", "taxon", "clade_name", "consensus lineage"),
    "rank": ("rank",),
    "ranks": ("rank_lineage",),
    "ids": ("id_lineage",),
}
_MOST_NAMED = 5
# Shares are printed with few digits: their sums may miss 1 or 100 by this part.
_ROUNDING = 1e-3
# So many rows that each hold no less than those below, in every sample, are no coincidence.
_MANY_PARENTS = 10


@dataclass(frozen=True)
class FeatureTable:
    """What a sound table says.

    Attributes
    ----------
    format : str
        In words, for people.
    lineages : list of Lineage
        Of each row; empty for rows that are no taxon.
    is_unclassified : ndarray of bool of shape (n_rows,)
        Rows without any taxon. A row without lineage that is not among them is classified, but
        not told as what.
    amounts : DataFrame of shape (n_rows, n_samples)
        Fragments, or shares from 0 to 1, at the row's taxon and at no row below it.
    is_relative : bool
        Whether they are shares.
    ids : mapping of Lineage to int
        Taxon ids that the table gives.
    """

    format: str
    lineages: list[Lineage]
    is_unclassified: NDArray[np.bool_]
    amounts: pd.DataFrame
    is_relative: bool
    ids: dict[Lineage, int]

    @property
    def ranks(self) -> list[str]:
        """Ranks with a named taxon, from the domain down."""
        found = {rank for lineage in self.lineages for rank, _ in lineage}
        return [rank for rank in RANKS if rank in found]


@dataclass(frozen=True)
class Imported:
    """Tables of one assay, as fragments.

    Attributes
    ----------
    by_rank : mapping of rank to FeatureTable
        Which table each rank is made from; a rank that no table has is absent.
    formats : mapping of rank to str
        What form each file has, by the rank that it was given for.
    unclassified, classified : Series of int
        Fragments by sample, the same at every rank.
    """

    by_rank: dict[str, FeatureTable]
    formats: dict[str, str]
    unclassified: pd.Series
    classified: pd.Series


class _Unreadable(ValueError):
    """A lineage that cannot be read; the message is its problem and mend."""


def parse_lineage(text: str, ranks: Sequence[str] = ()) -> Lineage:
    """Read a lineage in one of the forms in use.

    Parameters
    ----------
    text
        Taxa from the domain down, parted by ``;`` or ``|``: with prefixes (``k__``, ``d__``,
        ``g__``; ``D_5__`` of SILVA), or all ranks from the domain on without them.
    ranks
        Rank of each part, where the table says it (taxpasta's ``rank_lineage``); ranks other than
        `RANKS` are passed over.

    Returns
    -------
    Lineage
        Parts without a name (``g__``, ``uncultured bacterium``) are left out. A species is given
        its genus's name where it has only the epithet, and spaces.

    Raises
    ------
    ValueError
        If ranks cannot be told, or there are more parts than ranks.

    Examples
    --------
    >>> parse_lineage("k__Bacteria;p__Firmicutes;g__Dorea;s__longicatena")[-1]
    ('species', 'Dorea longicatena')
    >>> parse_lineage("Bacteria;Firmicutes;Clostridia;;;Dorea;")[2:]
    (('class', 'Clostridia'), ('genus', 'Dorea'))
    """
    parts = _split(text)
    pairs: list[tuple[str, str]] = []
    if ranks:
        if len(ranks) != len(parts):
            raise _Unreadable(f"has {len(parts)} taxa and {len(ranks)} ranks in its lineage")
        words = [{"superkingdom": "domain"}.get(rank, rank) for rank in ranks]
        pairs = list(zip(words, parts, strict=True))
    elif any(_PREFIX.fullmatch(part) for part in parts):
        for part in parts:
            if match := _PREFIX.fullmatch(part):
                pairs.append((_LETTERS[match[1]], match[2]))
            elif not _is_no_name(part):
                raise _Unreadable(f"has {part!r} without a prefix among parts with one")
    elif any(_NUMBERED.fullmatch(part) for part in parts):
        for part in parts:
            match = _NUMBERED.fullmatch(part)
            if match and int(match[1]) < len(RANKS):
                pairs.append((RANKS[int(match[1])], match[2]))
            elif not _is_no_name(part):
                raise _Unreadable(f"has {part!r} among parts such as D_5__Dorea")
    else:
        if len(parts) > len(RANKS) or parts[0].lower() not in _DOMAINS:
            raise _Unreadable(
                "has a lineage of unknown ranks; write k__, p__, c__, o__, f__, g__ and s__ before "
                "its parts, or all seven ranks from the domain on"
            )
        pairs = list(zip(RANKS, parts, strict=False))

    lineage: dict[str, str] = {}
    for rank, name in pairs:
        # NCBI's kingdoms stand between domain and phylum (sk__, then k__).
        is_kingdom = rank == "domain" and rank in lineage
        if rank in (*RANKS, "strain") and not _is_no_name(name) and not is_kingdom:
            lineage[rank] = name.strip()
    if "species" in lineage:
        lineage["species"] = _species_name(lineage["species"], lineage.get("genus", ""))
    return tuple((rank, lineage[rank]) for rank in (*RANKS, "strain") if rank in lineage)


def _split(text: str) -> list[str]:
    separator = "|" if "|" in text and ";" not in text else ";"
    return [part.strip() for part in text.strip().strip(separator).split(separator)]


def _is_no_name(name: str) -> bool:
    word = name.strip(" _").lower()
    return (
        word in _NO_NAME
        or word.startswith(_NO_NAME_STARTS)
        or word.endswith(("_unclassified", " unclassified"))
    )


def _species_name(name: str, genus: str) -> str:
    name = name if " " in name else name.replace("_", " ")
    is_epithet = genus and " " not in name and name[:1].islower()
    return f"{genus} {name}" if is_epithet else name


@dataclass
class _Raw:
    """A table as it stands: text cells, one row a taxon, one column a sample."""

    format: str
    label: list[str]
    cells: pd.DataFrame
    beside: dict[str, list[str]]
    place: Callable[[int], str]


def read_feature_table(
    path: Path, samples: Sequence[str], rank: str
) -> tuple[FeatureTable | None, list[Fault]]:
    """Read a feature table in any of the known forms, and find everything wrong with it.

    Parameters
    ----------
    path
        TSV or CSV (also .gz), taxa in rows or in columns; BIOM; taxpasta; MetaPhlAn, merged.
    samples
        Names that the sheet has: by them the table's samples are known.
    rank
        Rank of taxa that the table gives by a bare name or a taxon id.

    Returns
    -------
    (FeatureTable or None, list of Fault)
        The table, its samples in the order given, is None if there is a fault.
    """
    place = path.name
    if not path.is_file():
        return None, [Fault(str(path), "is missing", "correct the path")]
    try:
        raw, faults = _read_raw(path, list(samples))
    except UnicodeDecodeError:
        return None, [Fault(place, "is neither text (UTF-8) nor BIOM", "save it as one of them")]
    except _UNREADABLE as error:
        said = " ".join(str(error).split())
        return None, [Fault(place, f"cannot be read ({said})", "write the file again")]
    if raw is None:
        return None, faults
    faults = faults + _sample_faults(list(raw.cells.columns), list(samples), place)
    known = [sample for sample in samples if sample in raw.cells.columns]
    raw.cells = raw.cells[known]
    faults += _repeats(raw, place)
    if not len(raw.label):
        return None, [*faults, Fault(place, "holds no taxon", "write one row for each taxon")]
    numbers, of_cells = _numbers(raw, place)
    lineages, is_unclassified, ids, of_rows = _taxa(raw, numbers, rank, place)
    faults += of_cells + of_rows
    if faults:
        return None, faults
    amounts = numbers.to_numpy(float)
    amounts, faults = _without_those_below(raw, amounts, place)
    is_relative, scale, of_sums = _scale(amounts, known, place)
    faults += of_sums
    if not any(any(word == rank for word, _ in lineage) for lineage in lineages):
        mend = f"give a table with taxa of this rank, or name it under another than {rank!r}"
        faults.append(Fault(place, f"has no taxon of rank {rank}", mend))
    table = FeatureTable(
        format=raw.format,
        lineages=[tuple(pair for pair in lineage if pair[0] in RANKS) for lineage in lineages],
        is_unclassified=is_unclassified,
        amounts=pd.DataFrame(amounts / scale, columns=known),
        is_relative=is_relative,
        ids=ids,
    )
    return (None if faults else table), faults


def _read_raw(path: Path, samples: list[str]) -> tuple[_Raw | None, list[Fault]]:
    content = path.read_bytes()
    if content.startswith(b"\x89HDF"):
        return _of_biom(biom.load_table(str(path)), "BIOM 2.1"), []
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    text = content.decode("utf-8-sig")
    if text.lstrip().startswith("{"):
        return _of_biom(biom.Table.from_json(json.loads(text)), "BIOM 1.0"), []
    return _of_text(text, samples, path.name)


def _of_biom(table: biom.Table, form: str) -> _Raw:
    label = [str(name) for name in table.ids("observation")]
    beside: dict[str, list[str]] = {}
    metadata = table.metadata(axis="observation")
    if metadata is not None:
        for key in ("taxonomy", "Taxon", "lineage"):
            if any(key in entry for entry in metadata):
                cells = [entry.get(key) or "" for entry in metadata]
                beside["lineage"] = [
                    cell if isinstance(cell, str) else ";".join(map(str, cell)) for cell in cells
                ]
                break
    # Ids of the tables that this pipeline writes are taxon ids; those of others may number OTUs.
    if table.type == "Taxon table":
        beside["id"] = label
    counts = pd.DataFrame(
        table.matrix_data.toarray(), columns=[str(name) for name in table.ids("sample")]
    )
    return _Raw(form, label, counts, beside, lambda row: f"taxon {label[row]!r}")


def _of_text(text: str, samples: list[str], name: str) -> tuple[_Raw | None, list[Fault]]:
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    first = next((at for at, (_, line) in enumerate(lines) if not line.startswith("#")), None)
    if first is None:
        return None, [Fault(name, "is empty", "write a header and one row for each taxon")]
    separator = "\t" if "\t" in lines[first][1] else ","
    cells = [_cells(line, separator) for _, line in lines]
    # The header may itself begin with '#', as "#OTU ID" does; lines of comment have one cell.
    above = cells[first - 1] if first else []
    is_header = len(above) > 1 and (len(above) == len(cells[first]) or set(above) & set(samples))
    at = first - 1 if is_header else first
    header = [cells[at][0].lstrip("# "), *cells[at][1:]]
    body = cells[at + 1 :]
    numbers = [number for number, _ in lines[at + 1 :]]
    if body and len(header) + 1 == len(body[0]):
        header = ["", *header]  # R's write.table names no column of row names
    ragged = [
        Fault(
            f"{name}, row {number}",
            f"has {len(row)} cells under a header of {len(header)}",
            "give every row one cell a column",
        )
        for number, row in zip(numbers, body, strict=True)
        if len(row) != len(header)
    ]
    if ragged or not body or len(header) < 2:
        empty = Fault(name, "holds a header and no taxon", "write one row for each taxon")
        return None, ragged or [empty]
    is_metaphlan = "clade_name" in map(str.lower, header) or any(
        line.startswith("#mpa_") for _, line in lines[:first]
    )
    table = pd.DataFrame(body, columns=pd.Index(header, dtype=object), dtype=object)
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        listed = ", ".join(map(repr, twice))
        return None, [Fault(f"{name}, header", f"names {listed} more than once", "rename one")]

    def place(row: int) -> str:
        return f"row {numbers[row]}"

    if {"taxonomy_id", "count"} <= set(header):
        return _of_long(table, name)
    roles = _roles(header)
    columns = [column for column in header[1:] if column not in roles.values()]
    label = table.iloc[:, 0].tolist()
    # A table of samples in rows is turned: the sheet's names say which way it lies.
    in_header = len(set(columns) & set(samples))
    if in_header < len(set(label) & set(samples)):
        turned = table.set_index(table.columns[0])
        turned.index.name = None
        label = [str(column) for column in turned.columns]
        sample_names = [str(sample) for sample in turned.index]
        twice = sorted({sample for sample in sample_names if sample_names.count(sample) > 1})
        if twice:
            listed = ", ".join(map(repr, twice))
            return None, [Fault(name, f"has more than one row of sample {listed}", "keep one")]
        upright = turned.T.reset_index(drop=True)
        upright.columns = pd.Index(sample_names, dtype=object)
        raw = _Raw(
            "table of taxa, samples in rows",
            label,
            upright,
            {},
            lambda row: f"column {label[row]!r}",
        )
        return raw, []
    form = (
        "MetaPhlAn table"
        if is_metaphlan
        else "taxpasta table (wide)"
        if "taxonomy_id" in header
        else "table of taxa"
    )
    beside = {role: table[column].tolist() for role, column in roles.items()}
    if not in_header:
        mend = "name the samples as the sheet does, in the first row or the first column"
        return None, [Fault(name, "has no sample of the sheet", mend)]
    return _Raw(form, label, table[columns], beside, place), []


def _cells(line: str, separator: str) -> list[str]:
    if separator == ",":
        return [cell.strip() for cell in next(csv.reader(io.StringIO(line)))]
    return [cell.strip().strip('"') for cell in line.split(separator)]


def _roles(header: Sequence[str]) -> dict[str, str]:
    """Columns beside the samples, by what they hold."""
    lower = {column.lower(): column for column in reversed(header)}
    found: dict[str, str] = {}
    for role, names in _COLUMNS.items():
        for name in names:
            if name in lower and lower[name] not in found.values():
                found[role] = lower[name]
                break
    return found


def _of_long(table: pd.DataFrame, name: str) -> tuple[_Raw | None, list[Fault]]:
    if "sample" not in table:
        mend = "merge the profiles: taxpasta merge --long"
        return None, [Fault(name, "is the profile of one sample, without its name", mend)]
    both = table[["sample", "taxonomy_id"]]
    twice = both[both.duplicated()]
    if len(twice):
        listed = _listed(f"{row.sample} {row.taxonomy_id}" for row in twice.itertuples())
        problem = f"gives a count of the same sample and taxon twice: {listed}"
        return None, [Fault(name, problem, "keep one")]
    taxa = list(dict.fromkeys(table["taxonomy_id"]))
    counts = table.set_index(["taxonomy_id", "sample"])["count"]
    wide = counts.unstack().reindex(taxa)  # noqa: PD010
    # A taxon that a sample does not have has no line in the long form.
    wide = wide.where(wide.notna(), "0").reset_index(drop=True)
    wide.columns = pd.Index([str(sample) for sample in wide.columns], dtype=object)
    first = table.drop_duplicates("taxonomy_id").set_index("taxonomy_id").reindex(taxa)
    beside = {"id": taxa}
    for role, column in _roles(list(table.columns)).items():
        if role != "id":
            beside[role] = first[column].tolist()
            unequal = table.groupby("taxonomy_id")[column].nunique()
            if (unequal > 1).any():
                listed = _listed(unequal.index[unequal > 1])
                problem = f"gives taxonomy_id {listed} more than one {column}"
                return None, [Fault(name, problem, "keep one")]
    label = [str(taxon) for taxon in taxa]
    return _Raw("taxpasta table (long)", label, wide, beside, lambda row: f"taxon {label[row]}"), []


def _listed(items: Iterable[Any]) -> str:
    """At most five, and how many others there are."""
    texts = [str(item) for item in items]
    more = f" and {len(texts) - _MOST_NAMED} others" if len(texts) > _MOST_NAMED else ""
    return ", ".join(texts[:_MOST_NAMED]) + more


def _sample_faults(columns: list[str], samples: list[str], name: str) -> list[Fault]:
    faults = []
    extra = [column for column in columns if column not in samples]
    lacking = [sample for sample in samples if sample not in columns]
    if extra:
        mend = "add them to the sheet (`exclude` leaves one out of comparisons), or delete them"
        problem = f"has samples or columns that the sheet lacks: {', '.join(extra)}"
        faults.append(Fault(name, problem, mend))
    if lacking:
        mend = "delete their rows of the sheet, or name them alike in both"
        faults.append(Fault(name, f"lacks samples of the sheet: {', '.join(lacking)}", mend))
    return faults


def _repeats(raw: _Raw, name: str) -> list[Fault]:
    seen = pd.Series(raw.label)
    twice = seen[seen.duplicated()].unique()
    if not len(twice):
        return []
    problem = f"has more than one row of {_listed(map(repr, twice))}"
    return [Fault(name, problem, "keep one, or add them up")]


def _numbers(raw: _Raw, name: str) -> tuple[pd.DataFrame, list[Fault]]:
    """The cells as numbers; text, holes and negative numbers are faults."""
    numbers = raw.cells.apply(pd.to_numeric, errors="coerce").astype(float)
    values = numbers.to_numpy()
    faults = []
    with np.errstate(invalid="ignore"):
        finds = [
            (~np.isfinite(values), "cells that are no number", "write 0 where it was not found"),
            (values < 0, "negative cells", "counts and shares are 0 or more"),
        ]
    for is_bad, what, mend in finds:
        where = np.argwhere(is_bad)
        if len(where):
            cells = (
                f"{raw.place(row)}, sample {raw.cells.columns[column]!r} "
                f"({raw.cells.iloc[row, column]!r})"
                for row, column in where
            )
            faults.append(Fault(name, f"has {what}: {_listed(cells)}", mend))
    return numbers, faults


def _taxa(
    raw: _Raw, numbers: pd.DataFrame, rank: str, name: str
) -> tuple[list[Lineage], NDArray[np.bool_], dict[Lineage, int], list[Fault]]:
    """What taxon each row is of, and the ids that the table gives."""
    beside, n_rows = raw.beside, len(raw.label)
    given = beside.get("id")
    if given is None and all(map(_is_id, beside.get("lineage", raw.label))):
        given = beside.pop("lineage", raw.label)
    # Only a bare table of ids has to be taken at its word for their rank.
    texts = beside.get("lineage") or (raw.label if given is None else [""] * n_rows)
    is_lineage_table = any(";" in text or "|" in text for text in texts)
    lineages: list[Lineage] = []
    is_unclassified = np.zeros(n_rows, dtype=bool)
    node_ids: dict[Lineage, set[int]] = {}
    problems: dict[str, list[str]] = {}
    found = (numbers != 0).any(axis="columns").to_list()
    for row, text in enumerate(texts):
        own = given[row].strip() if given else ""
        if not text and not own and "lineage" in beside:
            lineages.append(())
            is_unclassified[row] = True
            continue
        names = [text, raw.label[row], *(beside[key][row] for key in ("name",) if key in beside)]
        special = _special(names, own, is_lineage_table)
        if special is not None:
            lineages.append(())
            is_unclassified[row] = special == UNCLASSIFIED
            continue
        try:
            if "ranks" in beside and text:
                lineage = parse_lineage(text, _split(beside["ranks"][row]))
            elif text and (";" in text or "|" in text or _PREFIX.fullmatch(text)):
                lineage = parse_lineage(text)
                is_unclassified[row] = not lineage
            else:
                called = beside["name"][row] if "name" in beside else text or own
                lineage = _bare(called or own, beside.get("rank", [rank] * n_rows)[row], rank, own)
                if not lineage and not found[row]:
                    lineages.append(())
                    continue
        except _Unreadable as error:
            problems.setdefault(str(error), []).append(f"{raw.place(row)} ({text or own})")
            lineages.append(())
            continue
        lineages.append(lineage)
        path_of_ids = beside["ids"][row] if "ids" in beside else own
        for node, taxon in _ids_of(lineage, text, path_of_ids, own):
            node_ids.setdefault(node, set()).add(taxon)
    faults = []
    for problem, rows in problems.items():
        what, _, mend = problem.partition("; ")
        faults.append(
            Fault(f"{name}, {_listed(rows)}", what, mend or "write the lineage as the others are")
        )
    ids = {node: min(taxa) for node, taxa in node_ids.items()}
    several = {node: taxa for node, taxa in node_ids.items() if len(taxa) > 1}
    if several:
        listed = _listed(
            f"{node[-1][1]} ({', '.join(map(str, sorted(taxa)))})" for node, taxa in several.items()
        )
        faults.append(Fault(name, f"gives one taxon two taxon ids: {listed}", "keep one"))
    nodes_of: dict[int, set[str]] = {}
    for node, taxon in ids.items():
        nodes_of.setdefault(taxon, set()).add(node[-1][1])
    shared = {taxon: sorted(called) for taxon, called in nodes_of.items() if len(called) > 1}
    if shared:
        listed = _listed(f"{taxon} ({', '.join(called)})" for taxon, called in shared.items())
        faults.append(Fault(name, f"gives one taxon id to two taxa: {listed}", "correct one"))
    return lineages, is_unclassified, ids, faults


def _is_id(text: str) -> bool:
    return bool(re.fullmatch(r"-?\d+", text))


def _special(names: list[str], taxon: str, is_lineage_table: bool) -> int | None:
    """Which special row it is, if it is one."""
    words = set()
    for text in names:
        first, *rest = _split(text)
        if all(_is_no_name(part) for part in rest):
            words.add(first.lower())
    # MetaPhlAn gives its row UNCLASSIFIED the id -1.
    if taxon == "0" or words & set(_WORDS_UNCLASSIFIED):
        return UNCLASSIFIED
    if taxon in ("-1", "-2"):
        return UNASSIGNED
    if words & set(_WORDS_UNASSIGNED):
        # Of lineages it is said where not even the domain is known (QIIME 2).
        return UNCLASSIFIED if is_lineage_table else UNASSIGNED
    return None


def _bare(name: str, row_rank: str, rank: str, taxon: str) -> Lineage:
    """Lineage of a taxon given by its name or id alone."""
    row_rank = {"superkingdom": "domain"}.get(row_rank, row_rank)
    if taxon and not _is_id(taxon):
        raise _Unreadable(
            "has a taxon id that is no whole number; write NCBI's taxon ids, or take the ids out"
        )
    ask = "; add lineages: taxpasta merge --taxonomy ... --add-lineage --add-rank-lineage"
    if row_rank == rank:
        if taxon and int(taxon) in _ABOVE_GENUS:
            raise _Unreadable(f"is no {rank}: the table holds taxa of several ranks{ask}")
        return () if _is_no_name(name) else ((rank, name.replace("_", " ")),)
    if row_rank in RANKS[: RANKS.index(rank)]:
        return ()  # of a higher rank: classified, and not assigned at this one
    raise _Unreadable(f"has the rank {row_rank!r}, below or beside {rank}{ask}")


def _ids_of(lineage: Lineage, text: str, path: str, own: str) -> Iterable[tuple[Lineage, int]]:
    """Taxon ids of a lineage: of every part where the table has a path of ids, or of the last."""
    named = [pair for pair in lineage if pair[0] in RANKS]
    if not named or lineage[-1][0] == "strain":
        return
    parts = path.replace("|", ";").split(";")
    texts = text.replace("|", ";").strip(";").split(";") if text else []
    if len(parts) > 1 and len(parts) == len(texts):
        # Places in the text and in the path agree; names tell which places are in the lineage.
        plain = [match[2] if (match := _PREFIX.fullmatch(t.strip())) else t.strip() for t in texts]
        at = 0
        for end, (_, called) in enumerate(named, 1):
            spelt = (called, called.replace(" ", "_"))
            at = next((i for i in range(at, len(plain)) if plain[i] in spelt), len(plain))
            if at < len(parts) and re.fullmatch(r"[1-9]\d*", parts[at].strip()):
                yield tuple(named[:end]), int(parts[at])
        return
    last = own.replace("|", ";").split(";")[-1].strip()
    if re.fullmatch(r"[1-9]\d*", last):
        yield tuple(named), int(last)


def _without_those_below(raw: _Raw, amounts: Floats, name: str) -> tuple[Floats, list[Fault]]:
    """Amounts at each taxon itself: less those of the rows below it, if rows hold them."""
    texts = raw.beside.get("lineage") or raw.label
    paths = [tuple(_trim(_split(text))) for text in texts]
    row_of = {path: row for row, path in enumerate(paths)}
    below = np.zeros_like(amounts)
    parents = set()
    for row, path in enumerate(paths):
        for length in range(len(path) - 1, 0, -1):
            parent = row_of.get(path[:length])
            if parent is not None and parent != row:
                below[parent] += amounts[row]
                parents.add(parent)
                break
    if not parents:
        return amounts, []
    held = sorted(parents)
    tolerance = _ROUNDING * amounts[held] + 1e-9
    holds = bool((amounts[held] >= below[held] - tolerance).all() and amounts[held].any())
    equals = holds and bool((amounts[held] <= below[held] + tolerance).all())
    is_piped = any("|" in text and ";" not in text for text in texts)
    if not (is_piped or equals or (holds and len(held) >= _MANY_PARENTS)):
        return amounts, []
    less = amounts[held] < below[held] - np.maximum(tolerance, 1e-2 * below[held])
    if less.any():
        rows = [held[row] for row in np.flatnonzero(less.any(axis=1))]
        listed = _listed(f"{raw.place(row)} ({texts[row]})" for row in rows)
        problem = f"holds less than the rows below it: {listed}"
        return amounts, [Fault(name, problem, "write the table again with its own tool")]
    return np.maximum(amounts - below, 0.0), []


def _trim(parts: list[str]) -> list[str]:
    while len(parts) > 1 and (parts[-1] in ("", "__") or re.fullmatch(r"[a-z]+__", parts[-1])):
        parts = parts[:-1]
    return parts


def _scale(amounts: Floats, samples: list[str], name: str) -> tuple[bool, float, list[Fault]]:
    """Whether amounts are shares, and of what; amounts that are neither shares nor counts."""
    sums = pd.Series(amounts.sum(axis=0), index=samples)
    some = sums[sums > 0]
    if some.empty:
        return False, 1.0, [Fault(name, "holds nothing but zeros", "give the table of the samples")]
    is_whole = (amounts == np.floor(amounts)).all()
    if is_whole and not (some == 100).all() and not (some == 1).all():
        return False, 1.0, []
    if (some <= 1 + _ROUNDING).all():
        return True, 1.0, []
    over = some[some > 100 * (1 + _ROUNDING)]
    if len(over):
        listed = _listed(f"{sample} ({total:.6g})" for sample, total in over.items())
        problem = f"has numbers that are not whole, and percentages that sum to over 100: {listed}"
        return True, 100.0, [Fault(name, problem, "give whole counts, shares or percentages")]
    small = some[some <= 1 + _ROUNDING]
    if len(small):
        problem = f"mixes percentages with shares that sum to 1 at most: {_listed(small.index)}"
        return True, 100.0, [Fault(name, problem, "bring all samples to one unit")]
    return True, 100.0, []


def to_fragments(table: FeatureTable, fragments: pd.Series) -> FeatureTable:
    """Turn shares into fragments, rounded so that each sample's sum is its fragments.

    Parameters
    ----------
    table : FeatureTable
        Of shares; one of counts is given back as it is.
    fragments : Series of int
        Fragments behind the shares, by sample.

    Returns
    -------
    FeatureTable
        With one row more, without a lineage: what the shares lack to 1. By largest remainders, so
        no count is off by one or more. A sample without any share has 0 everywhere.

    Examples
    --------
    >>> table = FeatureTable("", [(("genus", name),) for name in "ABC"], np.zeros(3, bool),
    ...                      pd.DataFrame({"S1": [0.5, 0.3, 0.1]}), True, {})
    >>> to_fragments(table, pd.Series({"S1": 8})).amounts["S1"].tolist()
    [4, 2, 1, 1]
    """
    if not table.is_relative:
        return FeatureTable(**{**vars(table), "amounts": table.amounts.astype(np.int64)})
    shares = table.amounts.to_numpy()
    parts = np.vstack([shares, np.maximum(1 - shares.sum(axis=0), 0)])
    total = fragments[table.amounts.columns].to_numpy(dtype=np.int64) * shares.any(axis=0)
    exact = parts / parts.sum(axis=0) * total
    counts = np.floor(exact).astype(np.int64)
    # Fractions that differ by rounding errors alone are equal: ties go to the rows as they stand.
    order = np.argsort(-(exact - counts).round(9), axis=0, kind="stable")
    place = np.argsort(order, axis=0, kind="stable")
    counts += place < total - counts.sum(axis=0)
    return FeatureTable(
        format=table.format,
        lineages=[*table.lineages, ()],
        is_unclassified=np.append(table.is_unclassified, False),
        amounts=pd.DataFrame(counts, columns=table.amounts.columns),
        is_relative=False,
        ids=table.ids,
    )


def read_import(
    files: Mapping[str, Path], samples: Sequence[str], fragments: Mapping[str, str]
) -> tuple[Imported | None, list[Fault]]:
    """Read the tables of an assay as one.

    Parameters
    ----------
    files
        By rank, ``genus`` and ``species``, one or both. The ranks above come from the genus table,
        or from the species table where it stands alone; so do the genera then. A species stands
        below the genus table's genus of its name, however either table spells what is above.
    samples
        Of the sheet, with this assay.
    fragments
        Cells of the sheet's column of that name, by sample: needed where a table holds shares.

    Returns
    -------
    (Imported or None, list of Fault)
        None if there is a fault.
    """
    read, faults = {}, []
    for rank, path in files.items():
        table, of_table = read_feature_table(path, samples, rank)
        faults += of_table
        if table is not None and table.is_relative:
            used = table.amounts.columns[table.amounts.any()]
            of_fragments = _fragment_faults(used, fragments, path.name)
            faults += of_fragments
            if of_fragments:
                continue
        if table is not None and not table.is_relative:
            read[rank] = to_fragments(table, pd.Series(dtype=int))
        elif table is not None:
            number = {sample: int(fragments.get(sample) or 0) for sample in samples}
            read[rank] = to_fragments(table, pd.Series(number))
    if faults:
        return None, faults
    if len(read) > 1:
        read["species"], faults = _below_genera(
            read["species"], read["genus"], files["species"].name
        )
        if faults:
            return None, faults
    higher = read.get("genus") or read["species"]
    by_rank = {rank: higher for rank in higher.ranks if rank != "species" or "genus" not in read}
    if "species" in read:
        by_rank["species"] = read["species"]
    elif "species" in higher.ranks:
        by_rank["species"] = higher
    unclassified = pd.concat(
        [table.amounts[table.is_unclassified].sum() for table in read.values()], axis=1
    ).max(axis=1)
    classified = pd.concat(
        [table.amounts[~table.is_unclassified].sum() for table in read.values()], axis=1
    ).max(axis=1)
    formats = {rank: table.format for rank, table in read.items()}
    return Imported(by_rank, formats, unclassified.astype(int), classified.astype(int)), []


def _below_genera(
    species: FeatureTable, genus: FeatureTable, name: str
) -> tuple[FeatureTable, list[Fault]]:
    """The species table with every species below the genus of its name in the genus table.

    A species whose genus is not there, or there in another domain only, stays where it is.
    """
    genera: dict[str, set[Lineage]] = {}
    for lineage in genus.lineages:
        for end, (rank, called) in enumerate(lineage, 1):
            if rank == "genus":
                genera.setdefault(_spelt(called), set()).add(lineage[:end])
    lineages, ids = [], dict(species.ids)
    unclear: dict[str, None] = {}
    for lineage in species.lineages:
        lineages.append(lineage)
        if not lineage or lineage[-1][0] != "species":
            continue
        own, above = dict(lineage), lineage[:-1]
        found = [
            node
            for node in genera.get(_spelt(own.get("genus") or _genus_of(own["species"])), ())
            if _domain(node) == _domain(lineage) or not (_domain(node) and _domain(lineage))
        ]
        if len(found) > 1:
            found = [node for node in found if above in (node, node[:-1])]
            if len(found) != 1:
                unclear[own["species"]] = None
                continue
        if not found or found[0] == above:
            continue
        lineages[-1] = (*found[0], lineage[-1])
        if lineage in ids:
            ids.setdefault(lineages[-1], ids[lineage])
        if above in ids and "genus" in own and found[0] not in genus.ids:
            ids.setdefault(found[0], ids[above])
    if unclear:
        problem = f"has species of a genus that the genus table has twice: {_listed(unclear)}"
        mend = "give them the lineage of their genus as the genus table writes it"
        return species, [Fault(name, problem, mend)]
    nodes = {lineage[:end] for lineage in lineages for end in range(1, len(lineage) + 1)}
    ids = {node: taxon for node, taxon in ids.items() if node in nodes}
    return replace(species, lineages=lineages, ids=ids), []


def _genus_of(species: str) -> str:
    match = _GENUS.match(species.replace("_", " "))
    return match[0] if match else ""


def _spelt(name: str) -> str:
    # Brackets say that a species is not of the genus it is named after: they count.
    return name.replace("_", " ").lower()


def _domain(lineage: Lineage) -> str:
    return dict(lineage).get("domain", "").lower()


def _fragment_faults(
    samples: Iterable[str], fragments: Mapping[str, str], name: str
) -> list[Fault]:
    bad = [s for s in samples if not re.fullmatch(r"0*[1-9]\d*", fragments.get(s) or "")]
    if not bad:
        return []
    mend = (
        "add the column 'fragments' to the sheet: the read pairs, or single-end reads, that the "
        "profiler was given; shares without it have no uncertainty"
    )
    return [Fault(name, f"holds shares, and their fragments are not known: {_listed(bad)}", mend)]


def number_taxa(imported: Imported, names: Mapping[tuple[str, str], int]) -> dict[Lineage, int]:
    """Number every taxon, and every taxon above it.

    Parameters
    ----------
    imported : Imported
    names
        Taxon id by (rank, name), for taxa that the table gives no id: of the signature's taxa, so
        that they are found. Case, brackets and underscores do not count.

    Returns
    -------
    mapping of Lineage to int
        The table's own id; else that of its name; else a number from `FIRST_OWN_ID` on that
        follows from the lineage, and so is the same in other tables.
    """
    nodes = sorted(
        {
            lineage[:end]
            for table in imported.by_rank.values()
            for lineage in table.lineages
            for end in range(1, len(lineage) + 1)
        }
    )
    plain = {(rank, _plain(name)): taxon for (rank, name), taxon in names.items()}
    given: dict[Lineage, int] = {}
    for table in imported.by_rank.values():
        given |= table.ids
    used = set(given.values())
    numbers = {}
    for node in nodes:
        rank, name = node[-1]
        taxon = given.get(node)
        by_name = plain.get((rank, _plain(name)))
        if taxon is None and by_name not in used:
            taxon = by_name
        if taxon is None:
            text = lineage_text(node).encode()
            taxon = FIRST_OWN_ID + int.from_bytes(hashlib.sha256(text).digest()[:8]) % _OWN_IDS
            while taxon in used:
                taxon += 1
            used.add(taxon)
        numbers[node] = taxon
    return numbers


def _plain(name: str) -> str:
    return re.sub(r"[\[\]]", "", name).replace("_", " ").lower()


def lineage_text(lineage: Lineage) -> str:
    """A lineage in the form of the counts tables.

    >>> lineage_text((("domain", "Bacteria"), ("genus", "Dorea")))
    'd__Bacteria;g__Dorea'
    """
    return ";".join(f"{rank[0]}__{name}" for rank, name in lineage)


def rank_counts(imported: Imported, numbers: Mapping[Lineage, int], rank: str) -> pd.DataFrame:
    """Counts of one rank, in the form of `moodbiome.tables.build_counts`.

    Every column sums to the sample's fragments; those that no taxon of the rank holds are
    unassigned. A rank that the tables lack has the two special rows alone.
    """
    samples = imported.classified.index
    index = pd.Index([*SPECIAL], name="taxon_id")
    head = pd.DataFrame({"name": list(SPECIAL.values()), "lineage": ""}, index=index)
    head[list(samples)] = 0
    table = imported.by_rank.get(rank)
    taxa = []
    if table is not None:
        rows, nodes = [], []
        for row, lineage in enumerate(table.lineages):
            ranks = [word for word, _ in lineage]
            if rank in ranks:
                rows.append(row)
                nodes.append(lineage[: ranks.index(rank) + 1])
        ids = [numbers[node] for node in nodes]
        counts = table.amounts.iloc[rows].groupby(np.array(ids)).sum()
        counts = counts[counts.any(axis=1)]
        first: dict[int, Lineage] = {}
        for taxon, node in sorted(zip(ids, nodes, strict=True)):
            first.setdefault(taxon, node)
        counts.insert(0, "name", [first[taxon][-1][1] for taxon in counts.index])
        counts.insert(1, "lineage", [lineage_text(first[taxon]) for taxon in counts.index])
        counts.index.name = "taxon_id"
        taxa = [counts]
    found = pd.concat([head, *taxa])
    assigned = found[list(samples)].sum()
    found.loc[UNCLASSIFIED, list(samples)] = imported.unclassified
    found.loc[UNASSIGNED, list(samples)] = imported.classified - assigned
    for column in TEXT_COLUMNS:
        found[column] = found[column].astype("str")
    return found.astype(dict.fromkeys(samples, np.int64))


def list_taxa(
    imported: Imported, numbers: Mapping[Lineage, int]
) -> list[tuple[int, int, str, str]]:
    """Every taxon as (taxon id, parent's taxon id, rank, name), parents first; the top has 0."""
    found: dict[int, tuple[int, int, str, str]] = {}
    for node in sorted(numbers, key=lambda node: (len(node), node)):
        parent = numbers[node[:-1]] if len(node) > 1 else 0
        found.setdefault(numbers[node], (numbers[node], parent, *node[-1]))
    return list(found.values())


def account(imported: Imported, assay: str) -> list[dict[str, Any]]:
    """One account a sample for the ledger, as `moodbiome.classification.classify_sample` gives it.

    What happened before the table is not known: raw, failed_qc, host and the mean read length are
    None. A taxon without a domain counts as bacterial.
    """
    top = next(iter(imported.by_rank.values()))
    domains = [dict(row).get("domain", "Bacteria") if row else "" for row in top.lineages]
    of_domain = top.amounts.groupby(np.array(domains, dtype=object)).sum().T
    of_domain = of_domain.reindex(columns=["Bacteria", "Archaea"], fill_value=0)
    rows = []
    for sample in imported.classified.index:
        classified = int(imported.classified[sample])
        total = classified + int(imported.unclassified[sample])
        rows.append(
            {
                "sample": sample,
                "assay": assay,
                "status": "ok" if total else "empty",
                "reason": "" if total else "the imported table counts nothing in it",
                "warnings": [],
                "raw": None,
                "failed_qc": None,
                "host": None,
                "non_host": total,
                "classified": classified,
                "unclassified": total - classified,
                "bacterial": int(of_domain.loc[sample, "Bacteria"]),
                "archaeal": int(of_domain.loc[sample, "Archaea"]),
                "mean_length": None,
            }
        )
    return rows


def as_taxpasta(counts: pd.DataFrame) -> pd.DataFrame:
    """A counts table in the long form of ``taxpasta merge``.

    Parameters
    ----------
    counts : DataFrame
        As `moodbiome.tables.build_counts` gives it.

    Returns
    -------
    DataFrame
        One row a sample and taxon with a count: ``sample``, ``taxonomy_id``, ``count``, ``name``,
        ``lineage``, ``rank_lineage``. Unclassified fragments are at taxonomy_id 0, and those of no
        taxon of the rank at the root, 1, as taxpasta has them of Kraken2.

    Examples
    --------
    >>> counts = pd.DataFrame({"name": ["unclassified", "unassigned", "Dorea"],
    ...                        "lineage": ["", "", "d__Bacteria;g__Dorea"], "S1": [3, 0, 4]},
    ...                       index=[0, -1, 189330])
    >>> as_taxpasta(counts)[["sample", "taxonomy_id", "count", "lineage"]].values.tolist()
    [['S1', 0, 3, 'unclassified'], ['S1', 189330, 4, 'Bacteria;Dorea']]
    """
    samples = [column for column in counts.columns if column not in TEXT_COLUMNS]
    special = counts.index < 0
    rest = counts.loc[special, samples].sum()
    wide = pd.concat([counts[~special], pd.DataFrame(rest).T.set_axis([ROOT])])
    wide.loc[ROOT, "name"] = "root"
    parts = wide["lineage"].fillna("").str.split(";")
    wide["lineage"] = wide["lineage"].str.replace(r"(^|;)[dpcofgs]__", r"\1", regex=True)
    words = {rank[0]: rank for rank in RANKS}
    wide["rank_lineage"] = [
        ";".join(words.get(part[:1], "no rank") for part in row) or "no rank" for row in parts
    ]
    wide["lineage"] = wide["lineage"].replace("", None).fillna(wide["name"])
    wide.index.name = "taxonomy_id"
    text = ["name", "lineage", "rank_lineage"]
    long = wide.reset_index().melt(["taxonomy_id", *text], samples, "sample", "count")
    long = long[long["count"] > 0].astype({"count": np.int64})
    return long[["sample", "taxonomy_id", "count", *text]].reset_index(drop=True)
