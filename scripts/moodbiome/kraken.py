"""Kraken2 reports: read, checked against themselves, and their lineages."""

import re
import sys
from array import array
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

RANK_CODES = {
    "domain": "D",
    "phylum": "P",
    "class": "C",
    "order": "O",
    "family": "F",
    "genus": "G",
    "species": "S",
}
"""The main ranks from the top, and the letter Kraken2 writes for each."""

_PREFIX = {code: f"{code.lower()}__" for code in RANK_CODES.values()}
_RANK = re.compile(r"[RDKPCOFGS][0-9]*|[0-9]*")
# NCBI renamed the rank superkingdom to domain in 2025; a Kraken2 that does not know the new word
# writes R1 or R2 for these taxa. Both id and name must fit: other taxonomies reuse the ids.
_NCBI_DOMAINS = {2: "Bacteria", 2157: "Archaea", 2759: "Eukaryota", 10239: "Viruses"}
# Some builds of Kraken2 up to 2.1.3 (Debian's among them) lose the letter of the rank code in the
# first three levels of the tree: R becomes empty, R1 becomes 1 (DerrickWood/kraken2 issue 759).
_MAIN = "".join(RANK_CODES.values())
_VIRUS_ENDINGS = {"viricota": "P", "viricetes": "C", "virales": "O", "viridae": "F"}
_INDENT = 2
_TAB, _NEWLINE, _SPACE, _ZERO = (np.uint8(ord(character)) for character in "\t\n 0")
_POINT = np.uint8(ord(".") - ord("0") + 256)
# Numbers with fewer fit into 64 bits.
_MAX_DIGITS = 19
_WHOLE = "a whole number of 0 or more"
_Ints = NDArray[np.int64]
# Percentages have two decimals: half a unit of the last, and a little for other rounding rules.
_PERCENT_TOLERANCE = 0.0051


@dataclass(frozen=True, slots=True)
class Report:
    """One sample's Kraken2 report, as parallel columns with one entry a node of the tree.

    Nodes stand in report order: the root first, each node directly before its descendants. The
    line of unclassified fragments is not a node. Integer columns are compact arrays, so that a
    thousand reports fit in memory.

    Attributes
    ----------
    unclassified : int
        Fragments without any taxon.
    taxon_id, clade, direct : array of int
        Taxonomy id; fragments at the node and below it; fragments at the node itself.
    rank, name : list of str
        Kraken2 rank code such as ``G`` or ``S1``, with the letters restored that some builds of
        Kraken2 lose, and D for NCBI's domains; scientific name without its indent.
    depth, parent : array of int
        Steps from the root; position of the parent in these columns (-1 for the root).
    minimizers, distinct_minimizers : array of int, or None
        Minimizers seen, and the estimate of how many differ; None for a six-column report.
    """

    unclassified: int = 0
    taxon_id: "array[int]" = field(default_factory=lambda: array("q"))
    rank: list[str] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    depth: "array[int]" = field(default_factory=lambda: array("i"))
    parent: "array[int]" = field(default_factory=lambda: array("i"))
    clade: "array[int]" = field(default_factory=lambda: array("q"))
    direct: "array[int]" = field(default_factory=lambda: array("q"))
    minimizers: "array[int] | None" = None
    distinct_minimizers: "array[int] | None" = None

    @property
    def classified(self) -> int:
        """Fragments with a taxon, the root included."""
        return self.clade[0] if self.clade else 0

    @property
    def total(self) -> int:
        """All fragments that Kraken2 was given."""
        return self.unclassified + self.classified

    def clade_of(self, taxon_id: int) -> int:
        """Fragments at a taxon and below it; 0 for a taxon that the report does not list."""
        try:
            return self.clade[self.taxon_id.index(taxon_id)]
        except ValueError:
            return 0

    def lineage(self, node: int) -> str:
        """Main ranks from the domain down to a node, such as ``d__Bacteria;p__Bacillota``.

        Parameters
        ----------
        node : int
            Position in the columns of the report.

        Returns
        -------
        str
            One ``prefix__name`` for each of domain, phylum, class, order, family, genus and
            species that is present; a rank that the taxonomy skips is left out. Empty above the
            domains.
        """
        parts = []
        while node >= 0:
            prefix = _PREFIX.get(self.rank[node])
            if prefix:
                parts.append(prefix + self.name[node])
            node = self.parent[node]
        return ";".join(reversed(parts))

    def lineages(self) -> list[str]:
        """The lineage of every node, in report order."""
        lineages: list[str] = []
        for rank, name, parent in zip(self.rank, self.name, self.parent, strict=True):
            above = lineages[parent] if parent >= 0 else ""
            prefix = _PREFIX.get(rank)
            if prefix:
                above = f"{above};{prefix}{name}" if above else prefix + name
            lineages.append(above)
        return lineages


def read_report(path: str | PathLike[str], fragments: int | None = None) -> Report:
    """Read a Kraken2 report of six or eight columns and check it against itself.

    Kraken2 ends with code 0 when its input or its disk breaks off, so nothing in a report is
    taken on trust: the counts must add up along the tree and agree with the percentages.

    Parameters
    ----------
    path : path
        What ``kraken2 --report`` wrote, with or without ``--report-minimizer-data``.
    fragments : int, optional
        Fragments given to Kraken2; the report must count exactly these. Only with 0 may the
        file be empty, which is what Kraken2 writes for a sample without reads.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        If the file is empty without leave, cut, no Kraken2 report, or does not add up. The
        message names the file, the line and both numbers.
    """
    data = Path(path).read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: byte {error.start} is not text (UTF-8); a report must be plain text, "
            f"so decompress it if it is compressed"
        ) from error
    return parse_report(text, str(path), fragments)


def parse_report(text: str, source: str, fragments: int | None = None) -> Report:
    """Parse the text of a Kraken2 report; see `read_report`.

    Parameters
    ----------
    text : str
        The whole report.
    source : str
        What error messages call it.
    fragments : int, optional
        As for `read_report`.

    Examples
    --------
    >>> report = parse_report(
    ...     " 25.00\\t1\\t1\\tU\\t0\\tunclassified\\n"
    ...     " 75.00\\t3\\t1\\tR\\t1\\troot\\n"
    ...     " 50.00\\t2\\t2\\tD\\t2\\t  Bacteria\\n",
    ...     "example",
    ... )
    >>> report.total, report.name, list(report.parent), report.lineage(1)
    (4, ['root', 'Bacteria'], [-1, 0], 'd__Bacteria')
    """
    if not text:
        if fragments == 0:
            return Report()
        raise ValueError(
            f"{source}: the report is empty"
            + (f", but {fragments} fragments were classified" if fragments else "")
            + "; run Kraken2 again (an empty report is right only for a sample without reads)"
        )
    if not text.endswith("\n"):
        lines = text.count("\n") + 1
        raise ValueError(
            f"{source}, line {lines}: the last line does not end in a newline, so the report was "
            f"cut; run Kraken2 again"
        )
    if "\r" in text:
        line = text.count("\n", 0, text.index("\r")) + 1
        raise ValueError(
            f"{source}, line {line}: carriage return found; convert the file to Unix line ends"
        )
    data = text.encode()
    starts, ends = _cells(data, text, source)
    cells = zip(starts[-3].tolist(), ends[-1].tolist(), strict=True)
    labels = [data[start:end] for start, end in cells]
    numbers = list(map(_LABELS.__getitem__, labels))
    rows = _LABELS.rows[numbers]
    taxon_id, ranks, names = rows["taxon_id"], rows["rank"].tolist(), rows["name"].tolist()
    percent = _percentages(data, starts[0], ends[0], source)
    counts = _integers(data, starts[1:-3], ends[1:-3], source)
    if (taxon_id < 0).any():
        line = int((taxon_id < 0).argmax())
        value = labels[line].split(b"\t")[1].decode()
        _refuse_number(source, line + 1, len(starts) - 1, value, _WHOLE)

    unclassified = 0
    skipped = int(ranks[0] == "U")
    if skipped:
        unclassified, direct = counts[:2, 0].tolist()
        if direct != unclassified:
            raise ValueError(
                f"{source}, line 1: unclassified counts {unclassified} in column 2 but {direct} "
                f"in column 3; they must be equal"
            )
    _check_ranks(ranks, skipped, source)
    total = unclassified + int(counts[0, skipped:][:1].sum())
    _check_percent(percent, counts[0], total, source)

    del ranks[:skipped], names[:skipped]
    taxon_id, counts = taxon_id[skipped:], counts[:, skipped:]
    first_line = 1 + skipped
    depth, parent = _tree(rows["indent"][skipped:], names, source, first_line)
    _check_unique(taxon_id, source, first_line)
    _check_sums(counts[0], counts[1], parent, names, source, first_line)
    if fragments is not None and total != fragments:
        raise ValueError(
            f"{source}: the report counts {total} fragments, but {fragments} were given to "
            f"Kraken2; run Kraken2 again"
        )
    if not all(rank[:1].isalpha() for rank in set(ranks)):
        _restore_letters(ranks, names, parent.tolist(), source, first_line)
    return Report(
        unclassified,
        _compact("q", taxon_id),
        ranks,
        names,
        _compact("i", depth),
        _compact("i", parent),
        *(_compact("q", column) for column in counts),
    )


class _Labels(dict[bytes, int]):
    """What stands behind the counts of a line, and the row of `rows` that tells what it says.

    The lines of a taxon are equal in all reports of a database but for their counts, so each is
    taken apart once in a process, and its text is kept once. The taxon id is -1 if it is none.
    """

    def __init__(self) -> None:
        fields = [("taxon_id", "q"), ("indent", "q"), ("rank", "O"), ("name", "O")]
        self.rows = np.empty(1024, dtype=fields)

    def __missing__(self, label: bytes) -> int:
        rank, taxon, text = label.decode().split("\t")
        name = text.lstrip(" ")
        taxon_id = int(taxon) if taxon.isdecimal() and len(taxon) < _MAX_DIGITS else -1
        is_lost = rank[:1] in ("R", "", "1", "2") and _RANK.fullmatch(rank)
        if is_lost and _NCBI_DOMAINS.get(taxon_id) == name:
            rank = "D"
        row = len(self)
        if row == len(self.rows):
            self.rows = np.resize(self.rows, 2 * row)
        self.rows[row] = taxon_id, len(text) - len(name), sys.intern(rank), name
        self[label] = row
        return row


_LABELS = _Labels()


def _compact(typecode: str, values: _Ints) -> "array[int]":
    return array(typecode, values.astype(typecode).tobytes())


def _cells(data: bytes, text: str, source: str) -> tuple[_Ints, _Ints]:
    """Where cells start and end, in bytes: two arrays with a row a column and a column a line."""
    characters = np.frombuffer(data, dtype=np.uint8)
    n_lines = data.count(b"\n")
    width = data.count(b"\t", 0, data.index(b"\n")) + 1
    ends = np.flatnonzero(characters - _TAB <= _NEWLINE - _TAB)
    # At equal distances, all lines have as many columns as the first.
    is_even = (
        len(ends) == n_lines * width and (characters[ends[width - 1 :: width]] == _NEWLINE).all()
    )
    if width not in (6, 8) or not is_even:
        _refuse_width(text, source)
    starts = np.concatenate([[0], ends[:-1] + 1])
    return starts.reshape(n_lines, width).T, ends.reshape(n_lines, width).T


def _refuse_width(text: str, source: str) -> NoReturn:
    widths = [line.count("\t") + 1 for line in text[:-1].split("\n")]
    expected = widths[0] if widths[0] in (6, 8) else 6
    line = next(line for line, width in enumerate(widths, 1) if width != expected)
    raise ValueError(
        f"{source}, line {line}: {widths[line - 1]} columns, expected "
        + (f"{expected} as in line 1" if line > 1 else "6 or 8")
        + "; is this a report of kraken2 --report (without --use-mpa-style)?"
    )


def _percentages(data: bytes, starts: _Ints, ends: _Ints, source: str) -> NDArray[np.float64]:
    """The first column. Kraken2 writes six characters; what is not of this form is read alone."""
    cells = np.frombuffer(data, dtype=np.uint8)[ends[:, None] - np.arange(6, 0, -1)]
    is_space = cells == _SPACE
    digits = np.where(is_space, 0, cells - _ZERO)
    is_point = digits[:, 3] == _POINT
    digits[:, 3] = 0
    plain = (ends - starts == 6) & is_point & (digits <= 9).all(axis=1)
    # Spaces may only lead.
    plain &= ~is_space[:, 2:].any(axis=1) & (is_space[:, 0] | ~is_space[:, 1])
    percent = digits @ np.array([100, 10, 1, 0, 0.1, 0.01])
    for line in np.flatnonzero(~plain).tolist():
        value = data[starts[line] : ends[line]].decode()
        try:
            percent[line] = float(value)
        except ValueError:
            _refuse_number(source, line + 1, 1, value, "a percentage")
    return percent


def _integers(data: bytes, starts: _Ints, ends: _Ints, source: str) -> _Ints:
    """The columns after the first, from their digits; shape as that of `starts` and `ends`."""
    characters = np.frombuffer(data, dtype=np.uint8)
    shape, last = starts.shape, ends.ravel() - 1
    lengths = last + 1 - starts.ravel()
    digits = characters[last] - _ZERO
    refused = (digits > 9) | (lengths < 1) | (lengths >= _MAX_DIGITS)
    values = digits.astype(np.int64)
    longer = np.arange(len(last))
    for place in range(1, min(int(lengths.max()), _MAX_DIGITS)):
        longer = longer[lengths[longer] > place]
        digits = characters[last[longer] - place] - _ZERO
        refused[longer] |= digits > 9
        values[longer] += digits * np.int64(10**place)
    if refused.any():
        column, line = np.argwhere(refused.reshape(shape))[0].tolist()
        value = data[starts[column, line] : ends[column, line]].decode()
        _refuse_number(source, line + 1, column + 2, value, _WHOLE)
    return values.reshape(shape)


def _refuse_number(source: str, line: int, column: int, value: str, wanted: str) -> NoReturn:
    raise ValueError(
        f"{source}, line {line}, column {column}: {value!r} is not {wanted}"
        + ("; a Kraken2 report has no header line" if line == 1 else "")
    )


def _check_ranks(ranks: list[str], skipped: int, source: str) -> None:
    unknown = {rank for rank in set(ranks[skipped:]) if not _RANK.fullmatch(rank)}
    if unknown:
        line = next(i for i, rank in enumerate(ranks, 1) if i > skipped and rank in unknown)
        rank = ranks[line - 1]
        raise ValueError(
            f"{source}, line {line}: "
            + (
                "unclassified stands here, but it must be the first line, once"
                if rank == "U"
                else f"rank code {rank!r} is none of R D K P C O F G S, with or without a digit"
            )
        )


def _check_percent(percent: NDArray[np.float64], clade: _Ints, total: int, source: str) -> None:
    if not total:
        return
    expected = clade * (100 / total)
    # Not `>`, which is false where a percentage is no number.
    differs = ~(np.abs(percent - expected) <= _PERCENT_TOLERANCE)
    if differs.any():
        line = int(differs.argmax())
        raise ValueError(
            f"{source}, line {line + 1}: {percent[line]:.2f} % is written, but {clade[line]} of "
            f"{total} fragments (unclassified + root) are {expected[line]:.2f} %; the report was "
            f"cut or edited, run Kraken2 again"
        )


def _tree(indents: _Ints, names: list[str], source: str, first_line: int) -> tuple[_Ints, _Ints]:
    """Depth and parent of every node, from the indent of its name."""
    depth = indents // _INDENT
    previous = np.concatenate([[-1], depth[:-1]])
    nodes = np.arange(len(depth))
    refused = (indents % _INDENT > 0) | (depth > previous + 1) | ((depth == 0) & (nodes > 0))
    if refused.any():
        odd = int(
            (indents % _INDENT > 0).argmax() if (indents % _INDENT).any() else refused.argmax()
        )
        _refuse_indent(indents[odd], previous[odd], names[odd], source, odd + first_line)
    # A node's parent is the last node before it that is one step nearer to the root.
    keys = np.sort(depth * len(depth) + nodes)
    above = keys[np.searchsorted(keys, keys - len(depth)) - 1]
    parent = np.empty_like(depth)
    parent[keys % max(len(depth), 1)] = above % max(len(depth), 1)
    parent[:1] = -1
    return depth, parent


def _refuse_indent(indent: int, previous: int, name: str, source: str, line: int) -> NoReturn:
    if indent % _INDENT:
        reason = f"an indent of {indent} spaces; it must be a multiple of {_INDENT}"
    elif indent == 0:
        reason = "no indent, but only the root has none"
    else:
        reason = f"an indent of {indent} spaces where at most {_INDENT * (previous + 1)} can follow"
    raise ValueError(f"{source}, line {line}: {name!r} has {reason}; lines are missing or edited")


def _check_unique(taxon_id: _Ints, source: str, first_line: int) -> None:
    ordered = np.sort(taxon_id)
    if (ordered[1:] != ordered[:-1]).all():
        return
    first: dict[int, int] = {}
    for line, taxon in enumerate(taxon_id.tolist(), first_line):
        if taxon in first:
            raise ValueError(
                f"{source}, line {line}: taxon id {taxon} stands already in line {first[taxon]}; "
                "the report was edited or joined: run Kraken2 again"
            )
        first[taxon] = line


def _check_sums(
    clade: _Ints, direct: _Ints, parent: _Ints, names: list[str], source: str, first_line: int
) -> None:
    below = np.zeros_like(clade)
    np.add.at(below, parent[1:], clade[1:])
    wrong = np.flatnonzero(clade != direct + below)
    if len(wrong):
        node = int(wrong[0])
        raise ValueError(
            f"{source}, line {node + first_line}: {names[node]!r} counts {clade[node]} fragments, "
            f"but {direct[node]} at the taxon and {below[node]} at its children are "
            f"{direct[node] + below[node]}; the report was cut or edited, run Kraken2 again"
        )


def _restore_letters(
    ranks: list[str], names: list[str], parent: list[int], source: str, first_line: int
) -> None:
    """Put back, in place, the letters that Kraken2 lost; refuse what does not follow for sure.

    A number alone has the letter of its parent. An empty code is a main rank: the letter of a
    `P1` below it, else the only rank that fits between the ranks above and below, else that of
    its siblings if they all share one.
    """
    ranks[0] = "R" + ranks[0] if not ranks[0][:1].isalpha() else ranks[0]
    children: list[list[int]] = [[] for _ in ranks]
    for node in range(1, len(ranks)):
        children[parent[node]].append(node)
        rank = ranks[node]
        if not rank:
            endings = (end for end in _VIRUS_ENDINGS if names[node].endswith(end))
            ranks[node] = next((_VIRUS_ENDINGS[end] for end in endings), "")
        elif rank[0].isalpha() and len(rank) > 1:
            above = parent[node]
            while ranks[above].isdecimal():
                above = parent[above]
            ranks[above] = ranks[above] or rank[0]

    # The lowest main rank that what stands below a node leaves for it, as a position in _MAIN.
    floor = [len(_MAIN) - 1] * len(ranks)
    for node in range(len(ranks) - 1, 0, -1):
        rank = ranks[node]
        if rank.isdecimal():
            limit = floor[node]
        elif rank:
            limit = _order(rank) - (len(rank) == 1 and rank != "K")
        else:
            limit = floor[node] - 1
        floor[parent[node]] = min(floor[parent[node]], limit)

    for node, below in enumerate(children):
        letter = ranks[node][0]
        ceiling = _order(letter) + 1
        lost = []
        for child in below:
            if ranks[child].isdecimal():
                ranks[child] = letter + ranks[child]
            elif not ranks[child]:
                if ceiling == floor[child]:
                    ranks[child] = _MAIN[ceiling]
                elif letter == "D" and floor[child] == _order("D"):
                    ranks[child] = "K"
                else:
                    lost.append(child)
        siblings = {ranks[child] for child in below if len(ranks[child]) == 1}
        sibling = siblings.pop() if len(siblings) == 1 else ""
        for child in lost:
            if not sibling or not ceiling <= _order(sibling) <= floor[child]:
                raise ValueError(
                    f"{source}, line {child + first_line}: Kraken2 left out the rank of "
                    f"{names[child]!r} (its issue 759), and the lines around do not tell it; "
                    f"classify with another build or version of Kraken2"
                )
            ranks[child] = sibling


def _order(rank: str) -> int:
    """Position of a rank code's letter among the main ranks; K counts as D, R as -1."""
    return _MAIN.find("D" if rank[0] == "K" else rank[0])
