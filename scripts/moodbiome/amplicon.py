"""Amplicons of the 16S gene: a reference made ready for Kraken2, and primers cut from reads.

Only the standard library and dnaio: primers are cut once a sequencing run.
"""

import csv
import gzip
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import dnaio

from moodbiome.database import TAXONOMY_FILES
from moodbiome.faults import Fault, as_message, suggestion
from moodbiome.tools import ToolError, require_equal, run_pipe

Lineage = tuple[tuple[str, str], ...]
"""(rank, name) from the domain down; ranks that the reference leaves blank are not in it."""

RANKS = ("domain", "phylum", "class", "order", "family", "genus", "species")
ROOT = 1
FIRST_TAXON = 1_000_000_001
"""Beyond NCBI's ids, so that an id of ours is never taken for one of NCBI's."""

LIBRARY = "library.fna"

_RANK_OF_PREFIX = {"d": "domain", "k": "domain"} | {rank[0]: rank for rank in RANKS[1:]}
_PREFIXED = re.compile(r"([a-z])__(.*)", re.DOTALL)
# What says that nobody knows. Such a name stands under many parents and would look like one taxon.
_NO_TAXON = {
    *("", "na", "nan", "none", "null", "other", "bacterium", "archaeon", "organism"),
    *("ambiguous taxa", "incertae sedis"),
}
_NO_TAXON_FIRST = {
    *("uncultured", "unidentified", "unclassified", "unassigned", "unknown", "undefined"),
}
_EPITHET = re.compile(r"[a-z][a-z0-9-]+")
# Kraken2 takes U for ambiguous and, when it builds, lower case for masked; alignments have gaps.
_TO_DNA = bytes.maketrans(b"acgturyswkmbdhvnU", b"ACGTTRYSWKMBDHVNT")
_GAPS = b"-. \t\r\n"
_DNA = b"ACGTRYSWKMBDHVN"
_FAULTS_SHOWN = 10


@dataclass(frozen=True)
class Reference:
    """What a reference became.

    Attributes
    ----------
    form : str
        How the taxonomy was written: silva, dada2, rdp, gtdb (in the headers of the FASTA file);
        greengenes, qiime2, mothur (in a table).
    sequences, left_out : int
        Sequences in the library, and those without any taxon, which are not in it.
    taxa : dict of str to int
        Taxa by rank.
    lowest : dict of str to int
        Sequences of the library by the lowest rank at which they are named. A genus can only be
        found through those named at genus or species.
    """

    form: str
    sequences: int
    left_out: int
    taxa: dict[str, int]
    lowest: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionaries in a fixed order, for JSON."""
        return asdict(self)


def write_reference(fasta: Path, taxonomy: Path | None, folder: Path) -> Reference:
    """Write a reference as `moodbiome.database.build_database` takes it.

    ``build_database([folder / "library.fna"], folder / "taxonomy", ...)`` builds from it.

    Parameters
    ----------
    fasta
        Sequences, plain or .gz; DNA or RNA, gaps are dropped.
    taxonomy
        Table of sequence name and lineage (Greengenes, QIIME 2, mothur); plain or .gz. None if the
        lineages are in the headers (SILVA, DADA2, RDP, GTDB).
    folder
        Receives ``library.fna``, ``taxonomy/nodes.dmp`` and ``taxonomy/names.dmp``.

    Returns
    -------
    Reference

    Raises
    ------
    ValueError
        If the form is not recognised or a line does not fit it, a name stands twice, a sequence
        has no lineage or holds other letters than IUPAC's. Names file and line; nothing is written.

    Notes
    -----
    A taxon is its whole lineage: one name under two parents is two taxa. Names are kept as they
    are, without ``g__``, so that `moodbiome.evidence.resolve_members` finds them. Names that say
    that nothing is known (``uncultured``, ``gut metagenome``) are no taxa: their sequences belong
    to the parent. An epithet alone (Greengenes, DADA2) gets the genus before it.
    """
    form, lineages, names = _read_lineages(fasta, taxonomy)
    ids = taxon_ids(lineage for lineage in lineages if lineage)
    _check_sequences(fasta)
    (folder / "taxonomy").mkdir(parents=True, exist_ok=True)
    texts = dict(zip(TAXONOMY_FILES, taxonomy_dump(ids), strict=True))
    for name, text in texts.items():
        beside = folder / "taxonomy" / f"{name}.part"
        beside.write_text(text, encoding="utf-8", newline="\n")
        beside.replace(folder / "taxonomy" / name)
    beside = folder / f"{LIBRARY}.part"
    with beside.open("wb") as out:
        for number, sequence in _sequences(fasta):
            lineage = lineages[number]
            if lineage:
                header = f">{names[number]}|kraken:taxid|{ids[lineage]}\n"
                out.write(header.encode() + sequence + b"\n")
    beside.replace(folder / LIBRARY)

    taxa = Counter(lineage[-1][0] for lineage in ids if lineage)
    lowest = Counter(lineage[-1][0] for lineage in lineages if lineage)
    order = [*RANKS, *(["no rank"] if "no rank" in taxa else [])]
    return Reference(
        form=form,
        sequences=sum(lowest.values()),
        left_out=len(lineages) - sum(lowest.values()),
        taxa={rank: taxa[rank] for rank in order},
        lowest={rank: lowest[rank] for rank in order},
    )


def taxon_ids(lineages: Iterable[Lineage]) -> dict[Lineage, int]:
    """Give every lineage and every ancestor an id, in the order of their text.

    The same set of lineages has the same ids, in whatever order it comes. The root is the empty
    lineage.

    Examples
    --------
    >>> ids = taxon_ids([(("domain", "Bacteria"), ("genus", "Blautia")), (("domain", "Archaea"),)])
    >>> {";".join(name for _, name in lineage): taxon for lineage, taxon in ids.items()}
    {'': 1, 'Archaea': 1000000001, 'Bacteria': 1000000002, 'Bacteria;Blautia': 1000000003}
    """
    every: set[Lineage] = set()
    for lineage in set(lineages):
        while lineage and lineage not in every:
            every.add(lineage)
            lineage = lineage[:-1]
    ordered = sorted(every, key=lambda taxon: [f"{rank[0]}__{name}" for rank, name in taxon])
    return {(): ROOT} | {lineage: FIRST_TAXON + place for place, lineage in enumerate(ordered)}


def taxonomy_dump(ids: Mapping[Lineage, int]) -> tuple[str, str]:
    """The text of ``nodes.dmp`` and ``names.dmp`` of the taxa that `taxon_ids` gave.

    Domains have the rank ``superkingdom``: Kraken2 up to 2.1.3 knows no other word for it.
    """
    nodes, names = [], []
    for lineage, taxon in ids.items():
        rank, name = lineage[-1] if lineage else ("no rank", "root")
        rank = "superkingdom" if rank == "domain" else rank
        nodes.append(f"{taxon}\t|\t{ids[lineage[:-1]]}\t|\t{rank}\t|\n")
        names.append(f"{taxon}\t|\t{name}\t|\t\t|\tscientific name\t|\n")
    return "".join(nodes), "".join(names)


def _open(file: Path) -> Any:
    return gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb")


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    with _open(file) as lines:
        for number, line in enumerate(lines, 1):
            yield number, line.decode("utf-8", errors="replace").rstrip("\r\n")


def _read_lineages(fasta: Path, taxonomy: Path | None) -> tuple[str, list[Lineage], list[str]]:
    """The form, and each sequence's lineage and name in the order of the FASTA file."""
    headers = [(number, line[1:]) for number, line in _lines(fasta) if line.startswith(">")]
    if not headers:
        raise ValueError(f"{fasta.name}: no header; it must be a FASTA file of sequences")
    if taxonomy:
        form, by_name = _read_table(taxonomy)
    else:
        form, by_name = _form_of_header(headers[0][1], fasta.name), {}
    parse = _PARSERS[form]
    faults: list[Fault] = []
    lineages: list[Lineage] = []
    names: list[str] = []
    seen: set[str] = set()
    # Thousands of sequences share a lineage: read it once, keep it once.
    known: dict[str, Lineage | None] = {}
    for number, header in headers:
        place = f"{fasta.name}, line {number}"
        name, _, rest = header.partition("\t" if "\t" in header and form == "rdp" else " ")
        if form == "dada2":
            name, rest = f"sequence{len(names) + 1}", header
        name = (name.split() or [""])[0]
        lineage: Lineage | None = ()
        if not name or name in seen:
            problem = f"the name {name!r} stood already above" if name else "no name"
            faults.append(Fault(place, problem, "give each sequence a name of its own"))
        elif taxonomy:
            lineage = by_name.get(name)
            if lineage is None:
                problem = f"sequence {name!r} has no line in {taxonomy.name}"
                faults.append(Fault(place, problem, "use the taxonomy of this very reference"))
        else:
            if rest not in known:
                known[rest] = parse(rest)
            lineage = known[rest]
            if lineage is None:
                faults.append(_misfit(place, header, form))
        seen.add(name)
        names.append(name)
        lineages.append(lineage or ())
    _refuse(faults)
    return form, lineages, names


def _read_table(taxonomy: Path) -> tuple[str, dict[str, Lineage]]:
    """The form of a taxonomy table, and its lineages by sequence name."""
    rows = ((number, line) for number, line in _lines(taxonomy) if line.strip())
    number, first = next(rows, (1, ""))
    fields = first.split("\t")
    if [field.strip().casefold() for field in fields[:2]] == ["feature id", "taxon"]:
        form = "qiime2"
        number, first = next(rows, (2, ""))
        # QIIME 2 may write a line of column types under the header.
        if first.startswith("#q2:types"):
            number, first = next(rows, (3, ""))
    else:
        form = "greengenes" if "__" in first.partition("\t")[2][:3] else "mothur"
    parse = _PARSERS[form]
    known: dict[str, Lineage | None] = {}
    lineages: dict[str, Lineage] = {}
    faults: list[Fault] = []
    for place_in_file, line in chain([(number, first)], rows):
        name, tab, rest = line.partition("\t")
        text = rest.split("\t")[0]
        place = f"{taxonomy.name}, line {place_in_file}"
        if text not in known:
            known[text] = parse(text)
        lineage = known[text]
        if not tab or not name.strip() or lineage is None:
            faults.append(_misfit(place, line, form))
        elif lineages.setdefault(name.strip(), lineage) != lineage:
            problem = f"sequence {name.strip()!r} has another lineage above"
            faults.append(Fault(place, problem, "keep one line a sequence"))
    _refuse(faults)
    return form, lineages


def _form_of_header(header: str, file: str) -> str:
    _, _, rest = header.partition(" ")
    if "Lineage=" in header:
        return "rdp"
    if _PREFIXED.match(rest):
        return "gtdb"
    if ";" in (header.split() or [""])[0]:
        return "dada2"
    if ";" in rest:
        return "silva"
    raise ValueError(
        f"{file}: the first header {'>' + header[:60]!r} holds no lineage of a known form (SILVA, "
        "DADA2, RDP, GTDB); name the table of lineages (Greengenes, QIIME 2, mothur) as taxonomy"
    )


def _misfit(place: str, line: str, form: str) -> Fault:
    return Fault(place, f"{line[:60]!r} does not fit {_EXAMPLES[form]}", "mend or remove the line")


def _refuse(faults: list[Fault]) -> None:
    if faults:
        rest = len(faults) - _FAULTS_SHOWN
        more = f"\n     and {rest} more lines" if rest > 0 else ""
        raise ValueError(as_message(faults[:_FAULTS_SHOWN]) + more)


def _check_sequences(fasta: Path) -> None:
    with _open(fasta) as lines:
        for number, line in enumerate(lines, 1):
            if line.startswith(b">"):
                continue
            odd = line.translate(_TO_DNA, _GAPS).translate(None, _DNA)
            if odd or (number == 1 and line.strip()):
                what = f"{odd[:1].decode(errors='replace')!r} is no letter of a sequence (IUPAC)"
                what = what if odd else "a sequence stands before the first header"
                raise ValueError(f"{fasta.name}, line {number}: {what}; mend or remove the record")


def _sequences(fasta: Path) -> Iterator[tuple[int, bytes]]:
    """Place in the file and DNA of each sequence, in upper case and without gaps."""
    place, parts = -1, list[bytes]()
    with _open(fasta) as lines:
        for line in lines:
            if line.startswith(b">"):
                if place >= 0:
                    yield place, b"".join(parts)
                place, parts = place + 1, []
            else:
                parts.append(line.translate(_TO_DNA, _GAPS))
    yield place, b"".join(parts)


def _lineage(ranked: Iterable[tuple[str, str]]) -> Lineage:
    """Keep what is a taxon: no blank ranks, no names that say that nothing is known."""
    lineage: list[tuple[str, str]] = []
    genus = ""
    for rank, text in ranked:
        name = " ".join(text.strip().strip('"').split())
        plain = name.replace("_", " ").casefold()
        if (
            plain in _NO_TAXON
            or plain.split()[0] in _NO_TAXON_FIRST
            or plain.endswith("metagenome")
        ):
            continue
        if rank == "species":
            # QIIME 2 writes Bacteroides_dorei; GTDB's Faecalibacterium prausnitzii_C has a space.
            name = name if " " in name else name.replace("_", " ")
            if name[0].islower():
                # Several words in lower case are where it came from: human gut, rumen bacterium 12.
                if not genus or not _EPITHET.fullmatch(name):
                    continue
                name = f"{genus} {name}"
        genus = name if rank == "genus" else genus
        lineage.append((rank, name))
    return tuple(lineage)


def _parse_prefixed(text: str) -> Lineage | None:
    """``k__Bacteria; p__Firmicutes; ...; s__``, also ``Unassigned``."""
    text = re.split(r"\s\[\w+=", text)[0].strip().rstrip(";")
    if text.casefold() in ("unassigned", "unclassified"):
        return ()
    ranked: list[tuple[str, str]] = []
    for field in text.split(";"):
        match = _PREFIXED.fullmatch(field.strip())
        rank = _RANK_OF_PREFIX.get(match[1]) if match else None
        if match and rank == "domain" and ranked and match[1] == "k":
            continue  # d__Eukaryota; k__Metazoa: the kingdom is not among our ranks
        if not match or not rank or (ranked and RANKS.index(rank) <= RANKS.index(ranked[-1][0])):
            return None
        ranked.append((rank, match[2]))
    return _lineage(ranked)


def _parse_ranked(text: str) -> Lineage | None:
    """``Bacteria;Firmicutes;...;Genus;``: the ranks follow from the place."""
    fields = text.strip().rstrip(";").split(";")
    if all(_PREFIXED.fullmatch(field.strip()) for field in fields):
        return _parse_prefixed(text)
    return _lineage(zip(RANKS, fields, strict=False)) if len(fields) <= len(RANKS) else None


def _parse_silva(text: str) -> Lineage | None:
    """``Bacteria;Firmicutes;...;organism``: the last name is the organism's, at any depth.

    Only bacteria and archaea have SILVA's six ranks; the levels of eukaryotes have none here.
    """
    *above, organism = text.strip().rstrip(";").split(";")
    if not above or not above[0].strip():
        return None
    if above[0] not in ("Bacteria", "Archaea"):
        below = [("no rank", name) for name in above[1:]]
        return _lineage([("domain", above[0]), *below, ("species", organism)])
    if len(above) >= len(RANKS):
        return None
    return _lineage([*zip(RANKS, above, strict=False), ("species", organism)])


def _parse_rdp(text: str) -> Lineage | None:
    """``Lineage=Root;rootrank;Bacteria;domain;...``: name, rank and so on; sub-ranks left out."""
    _, found, path = text.partition("Lineage=")
    fields = path.strip().rstrip(";").split(";")
    if not found or len(fields) % 2 or fields[1::2][0] != "rootrank":
        return None
    pairs = zip(fields[1::2], fields[0::2], strict=True)
    return _lineage((rank, name) for rank, name in pairs if rank in RANKS)


_PARSERS: dict[str, Callable[[str], Lineage | None]] = {
    "silva": _parse_silva,
    "dada2": _parse_ranked,
    "rdp": _parse_rdp,
    "gtdb": _parse_prefixed,
    "greengenes": _parse_prefixed,
    "qiime2": _parse_prefixed,
    "mothur": _parse_ranked,
}
_EXAMPLES = {
    "silva": "SILVA's '>name Bacteria;phylum;...;organism'",
    "dada2": "DADA2's '>Bacteria;phylum;...;genus;'",
    "rdp": "RDP's '>name description<TAB>Lineage=Root;rootrank;Bacteria;domain;...'",
    "gtdb": "GTDB's '>name d__Bacteria;p__...;s__...'",
    "greengenes": "Greengenes' 'name<TAB>k__Bacteria; p__...; s__...'",
    "qiime2": "QIIME 2's 'name<TAB>d__Bacteria; p__...; s__...'",
    "mothur": "mothur's 'name<TAB>Bacteria;phylum;...;'",
}

# --- primers --------------------------------------------------------------------------------------

MAX_ERROR_RATE = 0.1
"""Mismatches a primer may have, as a share of its letters other than N (cutadapt's own default)."""

SPACER_BP = 7
"""Bases that may stand before a primer: libraries have up to 7 to vary the first cycles (Fadrosh
2014, doi:10.1186/2049-2618-2-6)."""

MIN_SHARE = 0.1
"""Below this share of fragments with primers, they were removed before."""

LOOK_AT = 2000
"""Fragments from the start of the files in which primers are looked for."""

PRIMER_COLUMNS = ("name", "forward", "reverse", "region", "amplicon_bp", "source")

# Each letter as the set of bases it stands for, one bit a base, one hexadecimal digit a letter.
_BITS = dict(zip("ACGTMRWSYKVHDBN", "12483596ac7bdef", strict=True))
_READ_BITS = dict.fromkeys(range(128), "0") | {ord(base): _BITS[base] for base in "ACGT"}
_COMPLEMENT = str.maketrans("ACGTMRWSYKVHDBN", "TGCAKYWSRMBDHVN")
_SHORTEST_PRIMER = 10
# Pairs found in this part of the most frequent one's fragments are likely its other spellings.
_NEARLY = 0.95
# Among them a mismatch speaks more against a spelling than a base of spacer.
_MISMATCH_COST = 3
# A remnant of the other primer at a read's end is cut from this length on: shorter ones turn up by
# chance, in one read of 64 for 3 bases.
_MIN_OVERLAP = 10


class Primers(NamedTuple):
    """A primer pair, each 5' to 3' in IUPAC letters; `amplicon_bp` is E. coli's, primers included.

    It is None where it is not known.
    """

    name: str
    forward: str
    reverse: str
    region: str = ""
    amplicon_bp: int | None = None
    source: str = ""


class Choice(NamedTuple):
    """What to do with a run's primers: `primers` None leaves the reads as they are.

    `share` is that of the first `looked_at` fragments that begin with these primers; None where
    nobody looked. `said` is one sentence for the log and the report.
    """

    primers: Primers | None
    share: float | None
    looked_at: int
    said: str


def reverse_complement(primer: str) -> str:
    """The other strand, in IUPAC letters.

    >>> reverse_complement("GGACTACNVGGGTWTCTAAT")
    'ATTAGAWACCCBNGTAGTCC'
    """
    return primer.translate(_COMPLEMENT)[::-1]


def read_primers(path: Path) -> dict[str, Primers]:
    """Read the table of primer pairs, by name and in its order.

    Raises
    ------
    ValueError
        If a column is missing, a name stands twice or a sequence is none; names row and column.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    columns = list(rows[0]) if rows else []
    missing = [column for column in PRIMER_COLUMNS if column not in columns]
    if missing:
        raise ValueError(
            f"{path.name}: column {missing[0]!r} is missing; the columns are "
            f"{', '.join(PRIMER_COLUMNS)}"
        )
    table: dict[str, Primers] = {}
    faults = []
    for number, row in enumerate(rows, 2):
        name, length = row["name"] or "", row["amplicon_bp"] or ""
        place = f"{path.name}, row {number}, column "
        if not name or name in table or name in ("auto", "none"):
            faults.append(
                Fault(f"{place}'name'", f"{name!r} cannot be used", "give each pair its own name")
            )
        for column in ("forward", "reverse"):
            if problem := _primer_problem(row[column] or ""):
                faults.append(Fault(f"{place}{column!r}", problem, "write it 5' to 3'"))
        if length and not length.isdecimal():
            faults.append(
                Fault(f"{place}'amplicon_bp'", f"{length!r}", "write a whole number or nothing")
            )
            length = ""
        table[name] = Primers(
            name,
            row["forward"] or "",
            row["reverse"] or "",
            row["region"] or "",
            int(length) if length else None,
            row["source"] or "",
        )
    if faults:
        raise ValueError(as_message(faults))
    return table


def _primer_problem(primer: str) -> str:
    odd = [letter for letter in primer if letter not in _BITS]
    if odd:
        return f"{odd[0]!r} in {primer!r} is no IUPAC letter in upper case"
    if len(primer) < _SHORTEST_PRIMER:
        return f"{primer!r} is shorter than {_SHORTEST_PRIMER} bases"
    return ""


def find_primers(setting: str, table: Mapping[str, Primers]) -> Primers:
    """The pair that a setting means: a name of the table, or ``FORWARD/REVERSE`` as sequences.

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> find_primers("GTGYCAGCMGCCGCGGTAA/GGACTACNVGGGTWTCTAAT", {}).reverse
    'GGACTACNVGGGTWTCTAAT'
    """
    names = {name.casefold(): pair for name, pair in table.items()}
    if setting.casefold() in names:
        return names[setting.casefold()]
    forward, slash, reverse = setting.upper().replace("U", "T").partition("/")
    problem = _primer_problem(forward) or _primer_problem(reverse)
    if slash and not problem:
        return Primers(setting, forward, reverse)
    raise ValueError(
        f"primers: {setting!r} is no pair of the table; {suggestion(setting, names)}name one "
        f"({', '.join(table)}), or give FORWARD/REVERSE as sequences, 'auto' or 'none'"
    )


def choose_primers(
    setting: str,
    table: Mapping[str, Primers],
    fastq: Sequence[str],
    spacer: int = SPACER_BP,
    both_orientations: bool = False,
) -> Choice:
    """Decide which primers to cut from a run.

    Parameters
    ----------
    setting
        ``none``: leave the reads as they are. ``auto``: the pair of the table that most fragments
        begin with; of pairs nearly as frequent the one with the fewest mismatches and bases before
        it (341F is within 338F, 805R within 806R), then the most frequent. No pair in 10 % of the
        fragments: leave them. Otherwise a pair as for `find_primers`, which is cut in any case; if
        it is rare, that is said.
    table
        As given by `read_primers`.
    fastq
        One file, or the two of a pair.
    spacer
        Bases that may stand before a primer.
    both_orientations
        Whether a fragment may also begin with the reverse primer.

    Returns
    -------
    Choice
    """
    if setting == "none":
        return Choice(None, None, 0, "primers are left as they are (primers: none)")
    pairs = list(table.values()) if setting == "auto" else [find_primers(setting, table)]
    counts, looked_at = _count_primers(fastq, pairs, spacer, both_orientations)
    best = _best(counts)
    found = counts[best][0]
    share = found / looked_at if looked_at else 0.0
    seen = f"{found} of the first {looked_at} fragments begin with {pairs[best].name}"
    if share >= MIN_SHARE:
        return Choice(pairs[best], share, looked_at, seen)
    if setting == "auto":
        return Choice(None, share, looked_at, f"no primers found, reads left as they are: {seen}")
    advice = "if the primers were removed before, set primers: none"
    return Choice(pairs[best], share, looked_at, f"only {seen}; the others are dropped; {advice}")


def _best(counts: Sequence[tuple[int, int]]) -> int:
    """The pair to choose, from the fragments of each and the sum of their costs; see `_cost`.

    >>> _best([(0, 0), (990, 990), (985, 0), (300, 0)])
    2
    """
    enough = _NEARLY * max(found for found, _ in counts)

    def merit(pair: int) -> tuple[int, int, int]:
        found, cost = counts[pair]
        return -round(cost / max(found, 1)), found, -pair

    return max((pair for pair in range(len(counts)) if counts[pair][0] >= enough), key=merit)


def _count_primers(
    fastq: Sequence[str], pairs: Sequence[Primers], spacer: int, both_orientations: bool
) -> tuple[list[tuple[int, int]], int]:
    """For each pair the fragments that begin with it and the sum of their costs; fragments seen."""
    unique = sorted({primer for pair in pairs for primer in (pair.forward, pair.reverse)})
    patterns = {primer: _pattern(primer) for primer in unique}
    reach = spacer + max(map(len, unique))
    found, costs = [0] * len(pairs), [0] * len(pairs)
    looked_at = 0
    with dnaio.open(*fastq) as records:
        for record in islice(records, LOOK_AT):
            looked_at += 1
            mates = record if isinstance(record, tuple) else (record,)
            starts = [mate.sequence[:reach].upper().translate(_READ_BITS) for mate in mates]
            at = [
                {primer: _cost(start, *patterns[primer], spacer) for primer in unique}
                for start in starts
            ]
            for number, pair in enumerate(pairs):
                ways = [(pair.forward, pair.reverse)]
                ways += [(pair.reverse, pair.forward)] if both_orientations else []
                sums = []
                for way in ways:
                    cost = [mate[primer] for mate, primer in zip(at, way, strict=False)]
                    if None not in cost:
                        sums.append(sum(filter(None, cost)))
                if sums:
                    found[number] += 1
                    costs[number] += min(sums)
    return list(zip(found, costs, strict=True)), looked_at


def _pattern(primer: str) -> tuple[int, int, int]:
    """A primer as bits, its length, and the mismatches it may have."""
    bits = int("".join(_BITS[letter] for letter in primer), 16)
    return bits, len(primer), int(MAX_ERROR_RATE * (len(primer) - primer.count("N")))


def _cost(start: str, bits: int, length: int, allowed: int, spacer: int) -> int | None:
    """How far from its ideal a primer stands in a read's start; None if it is not there.

    Bases before it, and `_MISMATCH_COST` for each mismatch.
    """
    costs = []
    for place in range(min(spacer, len(start) - length) + 1):
        piece = int(start[place : place + length], 16)
        mismatches = length - (piece & bits).bit_count()
        if mismatches <= allowed:
            costs.append(place + _MISMATCH_COST * mismatches)
    return min(costs, default=None)


def trim_command(
    fastq: Sequence[str],
    trimmed: Sequence[str],
    primers: Primers,
    report: Path,
    spacer: int = SPACER_BP,
    both_orientations: bool = False,
    threads: int = 1,
) -> list[str]:
    """The cutadapt call that cuts a pair of primers (cutadapt 4.2 to 5.2).

    Each read must begin with its primer, after up to `spacer` bases, which are cut with it; where
    a read runs through to the other primer, that is cut too. A fragment of which any read lacks
    its primer is discarded. Mismatches are allowed, insertions and deletions are not.

    Parameters
    ----------
    fastq, trimmed
        Input and output files, one each or two each.
    primers
        The pair.
    report
        Receives cutadapt's counts as JSON.
    both_orientations
        Also take fragments that begin with the reverse primer, as ligated libraries hold. They
        are not turned round: Kraken2 reads both strands alike.

    Notes
    -----
    Written as one adapter a length of spacer, ``^NNprimer...rest``: anchored, so that the primer
    is never found inside the read. cutadapt does not count N's when it allows mismatches.
    """
    ways = [(primers.forward, primers.reverse)]
    ways += [(primers.reverse, primers.forward)] if both_orientations else []
    command = ["cutadapt", "--cores", str(threads), "--no-indels", "--error-rate"]
    command += [str(MAX_ERROR_RATE), "--discard-untrimmed", "--json", str(report)]
    for option, start, end in [("-a", 0, 1), ("-A", 1, 0)][: len(fastq)]:
        for way in ways:
            tail = f"{reverse_complement(way[end])};min_overlap={_MIN_OVERLAP}"
            for before in range(spacer + 1):
                command += [option, f"^{'N' * before}{way[start]}...{tail}"]
    command += ["--pair-filter", "any"] if len(fastq) == 2 else []
    for option, file in zip(("--output", "--paired-output"), trimmed, strict=False):
        command += [option, file]
    return [*command, *fastq]


def trim_run(
    fastq: Sequence[str],
    trimmed: Sequence[str],
    primers: Primers,
    report: Path,
    fragments: int,
    place: str,
    log: Path,
    spacer: int = SPACER_BP,
    both_orientations: bool = False,
    threads: int = 1,
) -> dict[str, int]:
    """Cut a run's primers and account for every fragment.

    Parameters
    ----------
    fragments
        Fragments in the files, as `moodbiome.fastq.check_fastq` counted them.
    place
        What errors call the run.

    Others as for `trim_command`. The trimmed files appear only when all is well.

    Returns
    -------
    dict
        As `read_counts` returns it.

    Raises
    ------
    ToolError
        If cutadapt fails, or its own count of fragments is not what it was given.
    """
    # cutadapt picks the compression by the ending of the name.
    beside = [str(Path(file).with_name(f"part.{Path(file).name}")) for file in trimmed]
    command = trim_command(fastq, beside, primers, report, spacer, both_orientations, threads)
    try:
        run_pipe([command], log)
        counts = read_counts(report, fragments, place)
        for part, file in zip(beside, trimmed, strict=True):
            os.replace(part, file)  # noqa: PTH105
    finally:
        for part in beside:
            Path(part).unlink(missing_ok=True)
    return counts


def read_counts(report: Path, fragments: int, place: str) -> dict[str, int]:
    """Fragments in cutadapt's JSON report, held against what went in.

    Returns
    -------
    dict
        ``raw`` = ``without_primers`` + ``with_primers``.

    Raises
    ------
    ToolError
        If the report cannot be read, or the fragments in it are not those that went in.
    """
    try:
        found = json.loads(report.read_text())["read_counts"]
        raw, kept = found["input"], found["output"]
        without = found["filtered"]["discard_untrimmed"]
    except (ValueError, KeyError, TypeError) as error:
        raise ToolError(
            f"{place}: {report.name} is no report of cutadapt --json ({error!r}): another version?"
        ) from error
    require_equal("fragments read by cutadapt", fragments, raw, place)
    require_equal("fragments accounted for by cutadapt", raw, kept + (without or 0), place)
    return {"raw": raw, "without_primers": without or 0, "with_primers": kept}


def cut_run(
    fastq: Sequence[str],
    trimmed: Sequence[str],
    setting: str,
    table: Path,
    fragments: int,
    place: str,
    log: Path,
    threads: int = 1,
) -> tuple[list[str], int, str]:
    """Choose a run's primers and cut them, if it has any.

    Parameters
    ----------
    fastq, trimmed
        Files of the run, and where those without primers go: one or two each.
    setting, table
        As for `choose_primers`; path of the table of primers.
    fragments, place, log, threads
        As for `trim_run`.

    Returns
    -------
    (files, int, str)
        The files to go on with; fragments dropped, for they lack the primers; what was done.
    """
    choice = choose_primers(setting, read_primers(table), fastq)
    if choice.primers is None:
        log.write_text(choice.said + "\n")
        return list(fastq), 0, choice.said
    kept = list(trimmed[: len(fastq)])
    report = log.with_suffix(".json")
    counts = trim_run(fastq, kept, choice.primers, report, fragments, place, log, threads=threads)
    return kept, counts["without_primers"], choice.said
