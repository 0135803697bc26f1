"""Kraken2 reports: read, checked against themselves, and their lineages."""

import re
import sys
from array import array
from dataclasses import dataclass, field
from operator import add, sub
from os import PathLike
from pathlib import Path
from typing import NoReturn

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
    percent, clade, direct, minimizers, distinct, ranks, taxon_id, labels = _columns(text, source)

    unclassified = 0
    skipped = 0
    if ranks[0] == "U":
        unclassified, skipped = clade[0], 1
        if direct[0] != unclassified:
            raise ValueError(
                f"{source}, line 1: unclassified counts {clade[0]} in column 2 but {direct[0]} "
                f"in column 3; they must be equal"
            )
    _check_ranks(ranks, skipped, source)
    total = unclassified + (clade[skipped] if len(clade) > skipped else 0)
    _check_percent(percent, clade, total, source)

    if skipped:
        for column in (clade, direct, taxon_id, ranks, labels, minimizers, distinct):
            if column is not None:
                del column[0]
    first_line = 1 + skipped
    names = [sys.intern(label.lstrip(" ")) for label in labels]
    depth, parent = _tree(labels, names, source, first_line)
    _check_unique(taxon_id, source, first_line)
    _check_sums(clade, direct, parent, names, source, first_line)
    if fragments is not None and total != fragments:
        raise ValueError(
            f"{source}: the report counts {total} fragments, but {fragments} were given to "
            f"Kraken2; run Kraken2 again"
        )
    _name_domains(ranks, taxon_id, names)
    if not all(rank[:1].isalpha() for rank in set(ranks)):
        _restore_letters(ranks, names, parent, source, first_line)
    return Report(
        unclassified=unclassified,
        taxon_id=taxon_id,
        rank=list(map(sys.intern, ranks)),
        name=names,
        depth=depth,
        parent=parent,
        clade=clade,
        direct=direct,
        minimizers=minimizers,
        distinct_minimizers=distinct,
    )


def _columns(
    text: str, source: str
) -> tuple[
    list[float],
    "array[int]",
    "array[int]",
    "array[int] | None",
    "array[int] | None",
    list[str],
    "array[int]",
    list[str],
]:
    """Split the text into typed columns, in the order of an eight-column report."""
    n_lines = text.count("\n")
    width = text.count("\t", 0, text.index("\n")) + 1
    # One flat list, not a list a line: a report has thousands of lines and a cohort of reports.
    # Line ends are cells too: at equal distances, all lines have as many columns as the first.
    cells = text.replace("\n", "\t\n\t").split("\t")
    if width not in (6, 8) or cells[width :: width + 1] != ["\n"] * n_lines:
        _refuse_width(text, source)
    columns = [cells[column : -1 : width + 1] for column in range(width)]
    percent = _numbers(columns[0], source)
    clade, direct, *minimizers = (
        _integers(columns[column], column + 1, source) for column in range(1, width - 3)
    )
    seen, distinct = minimizers or (None, None)
    taxon_id = _integers(columns[-2], width - 1, source)
    return percent, clade, direct, seen, distinct, columns[-3], taxon_id, columns[-1]


def _refuse_width(text: str, source: str) -> NoReturn:
    widths = [line.count("\t") + 1 for line in text[:-1].split("\n")]
    expected = widths[0] if widths[0] in (6, 8) else 6
    line = next(line for line, width in enumerate(widths, 1) if width != expected)
    raise ValueError(
        f"{source}, line {line}: {widths[line - 1]} columns, expected "
        + (f"{expected} as in line 1" if line > 1 else "6 or 8")
        + "; is this a report of kraken2 --report (without --use-mpa-style)?"
    )


def _numbers(values: list[str], source: str) -> list[float]:
    try:
        return list(map(float, values))
    except ValueError:
        for line, value in enumerate(values, 1):
            try:
                float(value)
            except ValueError:
                _refuse_number(source, line, 1, value, "a percentage")
        raise


def _integers(values: list[str], column: int, source: str) -> "array[int]":
    # int() alone would accept "1_000", " 7" and "-7".
    if "".join(values).isdecimal():
        try:
            return array("q", map(int, values))
        except (ValueError, OverflowError):
            pass
    for line, value in enumerate(values, 1):
        if not value.isdecimal() or int(value) >= 2**63:
            _refuse_number(source, line, column, value, "a whole number of 0 or more")
    raise AssertionError("unreachable: some value was refused above")


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


def _check_percent(percent: list[float], clade: "array[int]", total: int, source: str) -> None:
    if not total:
        return
    scale = 100 / total
    # Each is compared, since the largest of numbers with a nan among them may be any.
    difference = map(abs, map(sub, percent, map(scale.__mul__, clade)))
    if all(map(_PERCENT_TOLERANCE.__ge__, difference)):
        return
    for line, (share, count) in enumerate(zip(percent, clade, strict=True), 1):
        if not abs(share - scale * count) <= _PERCENT_TOLERANCE:
            raise ValueError(
                f"{source}, line {line}: {share:.2f} % is written, but {count} of {total} "
                f"fragments (unclassified + root) are {scale * count:.2f} %; the report was cut "
                f"or edited, run Kraken2 again"
            )


def _tree(
    labels: list[str], names: list[str], source: str, first_line: int
) -> tuple["array[int]", "array[int]"]:
    """Depth and parent of every node, from the indent of its name."""
    indents = list(map(sub, map(len, labels), map(len, names)))
    if any(indent % _INDENT for indent in set(indents)):
        odd = next(node for node, indent in enumerate(indents) if indent % _INDENT)
        _refuse_indent(indents[odd], 0, names[odd], source, odd + first_line)
    depth = array("i", [indent // _INDENT for indent in indents])
    parent = array("i", [-1] * len(depth))
    path = [0] * (max(depth, default=0) + 1)
    previous = -1
    for node, level in enumerate(depth):
        if not 0 < level <= previous + 1 and (node or level):
            _refuse_indent(indents[node], previous, names[node], source, node + first_line)
        path[level] = node
        if level:
            parent[node] = path[level - 1]
        previous = level
    return depth, parent


def _refuse_indent(indent: int, previous: int, name: str, source: str, line: int) -> NoReturn:
    if indent % _INDENT:
        reason = f"an indent of {indent} spaces; it must be a multiple of {_INDENT}"
    elif indent == 0:
        reason = "no indent, but only the root has none"
    else:
        reason = f"an indent of {indent} spaces where at most {_INDENT * (previous + 1)} can follow"
    raise ValueError(f"{source}, line {line}: {name!r} has {reason}; lines are missing or edited")


def _check_unique(taxon_id: "array[int]", source: str, first_line: int) -> None:
    if len(set(taxon_id)) == len(taxon_id):
        return
    first: dict[int, int] = {}
    for line, taxon in enumerate(taxon_id, first_line):
        if taxon in first:
            raise ValueError(
                f"{source}, line {line}: taxon id {taxon} stands already in line {first[taxon]}; "
                "the report was edited or joined: run Kraken2 again"
            )
        first[taxon] = line


def _check_sums(
    clade: "array[int]",
    direct: "array[int]",
    parent: "array[int]",
    names: list[str],
    source: str,
    first_line: int,
) -> None:
    children = [0] * len(clade)
    for above, count in zip(parent[1:], clade[1:], strict=True):
        children[above] += count
    if list(map(add, direct, children)) == clade.tolist():
        return
    for node, (count, own, below) in enumerate(zip(clade, direct, children, strict=True)):
        if count != own + below:
            raise ValueError(
                f"{source}, line {node + first_line}: {names[node]!r} counts {count} fragments, "
                f"but {own} at the taxon and {below} at its children are {own + below}; the "
                f"report was cut or edited, run Kraken2 again"
            )


def _name_domains(ranks: list[str], taxon_id: "array[int]", names: list[str]) -> None:
    for taxon in _NCBI_DOMAINS.keys() & set(taxon_id):
        node = taxon_id.index(taxon)
        if names[node] == _NCBI_DOMAINS[taxon] and ranks[node][:1] in ("R", "", "1", "2"):
            ranks[node] = "D"


def _restore_letters(
    ranks: list[str], names: list[str], parent: "array[int]", source: str, first_line: int
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
