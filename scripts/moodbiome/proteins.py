"""Protein sets that reads are searched against: markers, decoys and single-copy families.

A set is a FASTA file and a table of its proteins. It is the user's own, or fetched from UniProt by
a list of families (config/function/families.tsv). Every family competes for every read: the roles
say only what is counted.

Only the standard library.
"""

import csv
import gzip
import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from moodbiome.database import sha256
from moodbiome.download import BACKOFF_SECONDS, RETRIES, Say, read_page
from moodbiome.faults import Fault, after, as_message, suggestion
from moodbiome.ledger import tsv

ROLES = ("marker", "decoy", "single_copy")
COLUMNS = ("accession", "ko", "name", "role", "min_identity_percent")
FAMILY_COLUMNS = ("ko", "name", "role", "min_identity_percent", "query")
MIN_SINGLE_COPY_FAMILIES = 5
"""The median over fewer follows single families."""

LICENCE = "CC BY 4.0"
PAGE = 500
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_AMINO_ACIDS = frozenset("ABCDEFGHIKLMNOPQRSTUVWXYZ*")
_NUCLEOTIDES = frozenset("ACGTUN")
_UNIPROT = re.compile(r"(?:sp|tr)\|([A-Z0-9]+)\|")
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')
_SHOWN = 3
_LINE = 60


class ProteinError(ValueError):
    """A protein set cannot be fetched or used; the message says why, and what to do."""


class Protein(NamedTuple):
    """One protein of a set.

    Attributes
    ----------
    accession : str
        First word of its FASTA header.
    ko : str
        Its family: a KEGG orthology id such as K00929, or any name of a decoy.
    name : str
        Of the family.
    role : str
        One of `ROLES`.
    min_identity_percent : float
        Of the family: a read whose best alignment has fewer identical amino acids is not counted.
    """

    accession: str
    ko: str
    name: str
    role: str
    min_identity_percent: float


class Family(NamedTuple):
    """One family to be fetched: attributes as of `Protein`, and its query of UniProtKB."""

    ko: str
    name: str
    role: str
    min_identity_percent: float
    query: str


# --- reading --------------------------------------------------------------------------------------


def read_proteins(path: Path) -> tuple[dict[str, Protein], list[Fault]]:
    """Read the table of a protein set: proteins by accession, and all that is wrong with it.

    Parameters
    ----------
    path
        TSV with the columns `COLUMNS`, more are allowed; lines that begin with ``#`` are passed
        over. Name, role and identity must be the same in all rows of a family.
    """
    rows, faults = _rows(path, COLUMNS)
    proteins: dict[str, Protein] = {}
    families: dict[str, tuple[int, Protein]] = {}
    for number, row in rows:
        place = f"{path.name}, row {number}, column"
        of_row = _cell_faults(row, place)
        if not row["accession"] or " " in row["accession"]:
            mend = "give the first word of its FASTA header"
            of_row.append(Fault(f"{place} 'accession'", f"is {row['accession']!r}", mend))
        elif row["accession"] in proteins:
            mend = "give each protein one row, of one family"
            of_row.append(Fault(f"{place} 'accession'", f"{row['accession']!r} stands twice", mend))
        faults += of_row
        if of_row:
            continue
        identity = float(row["min_identity_percent"])
        protein = Protein(row["accession"], row["ko"], row["name"], row["role"], identity)
        first, known = families.setdefault(protein.ko, (number, protein))
        for column in COLUMNS[2:]:
            here, there = getattr(protein, column), getattr(known, column)
            if here != there:
                problem = f"is {here!r}, in row {first} of the same family {there!r}"
                faults.append(Fault(f"{place} {column!r}", problem, "make them alike"))
        proteins[protein.accession] = protein
    return proteins, faults


def read_families(path: Path) -> tuple[list[Family], list[Fault]]:
    """Read a list of families to be fetched, and all that is wrong with it.

    Parameters
    ----------
    path
        TSV with the columns `FAMILY_COLUMNS`, more are allowed; lines that begin with ``#`` are
        passed over.
    """
    rows, faults = _rows(path, FAMILY_COLUMNS)
    families: list[Family] = []
    seen: set[str] = set()
    for number, row in rows:
        place = f"{path.name}, row {number}, column"
        of_row = _cell_faults(row, place)
        if row["ko"] in seen:
            mend = "give each family one row; join queries with OR"
            of_row.append(Fault(f"{place} 'ko'", f"{row['ko']!r} stands twice", mend))
        if not row["query"]:
            mend = "give a query of UniProtKB, as (ec:2.7.2.7) AND (reviewed:true)"
            of_row.append(Fault(f"{place} 'query'", "is empty", mend))
        seen.add(row["ko"])
        faults += of_row
        if not of_row:
            identity = float(row["min_identity_percent"])
            families.append(Family(row["ko"], row["name"], row["role"], identity, row["query"]))
    if not faults:
        faults = _role_faults({family.ko: family.role for family in families}, path.name)
    return families, faults


def read_sequences(path: Path) -> Iterator[tuple[str, str]]:
    """First word of the header and sequence, upper case, of each protein of a FASTA file.

    Raises
    ------
    ValueError
        If the file does not begin with a header.
    """
    with path.open("rb") as start:
        is_gzip = start.read(2) == b"\x1f\x8b"
    name, parts = "", list[str]()
    with (gzip.open if is_gzip else open)(path, "rt", encoding="ascii") as lines:
        for line in lines:
            if line.startswith(">"):
                if name:
                    yield name, "".join(parts).upper()
                name, parts = (line[1:].split() or ["(no name)"])[0], []
            elif text := line.strip():
                if not name:
                    raise ValueError("does not begin with '>'")
                parts.append(text)
    if name:
        yield name, "".join(parts).upper()


def protein_faults(fasta: Path, table: Path) -> list[Fault]:
    """All that is wrong with a protein set of the user's own.

    Faults of many sequences at once are one fault, with the first of them by name.
    """
    faults = [
        Fault(f"config: function.proteins.{key}", f"no file {str(path)!r}", "correct the path")
        for key, path in (("fasta", fasta), ("table", table))
        if not path.is_file()
    ]
    if faults:
        return faults
    proteins, faults = read_proteins(table)
    try:
        sequences = list(read_sequences(fasta))
    except (OSError, EOFError, ValueError) as error:
        mend = "give a FASTA file of proteins, plain or .gz"
        return [*faults, Fault(fasta.name, f"cannot be read ({error})", mend)]
    if faults:
        return faults
    return _set_faults(proteins, sequences, fasta.name, table.name)


def _set_faults(
    proteins: Mapping[str, Protein], sequences: list[tuple[str, str]], fasta: str, table: str
) -> list[Fault]:
    """What is wrong with a set whose table, for itself, is sound."""
    counts = Counter(name for name, _ in sequences)
    known = dict(sequences)
    wrong = [name for name, text in sequences if not text or not _AMINO_ACIDS.issuperset(text)]
    dna = [name for name, text in sequences if text and _NUCLEOTIDES.issuperset(text)]
    kinds = [
        ([name for name, n in counts.items() if n > 1], "stand twice", "keep one of each"),
        (wrong, "hold no amino acids, or other letters", "correct the sequences"),
        (dna, "hold nucleotides alone", "translate them: reads are held against proteins"),
        (
            [name for name in counts if name not in proteins],
            f"are not in {table}",
            "add rows, or take them out",
        ),
    ]
    faults = [Fault(fasta, _some(names, said), mend) for names, said, mend in kinds if names]
    lacking = [name for name in proteins if name not in known]
    if lacking:
        problem = _some(lacking, f"have no sequence in {fasta}")
        faults.append(Fault(table, problem, "add the sequences, or take the rows out"))
    if faults:
        return faults
    families_of = defaultdict(set)
    for name, text in sequences:
        families_of[text].add(proteins[name].ko)
    shared = [name for name, text in sequences if len(families_of[text]) > 1]
    if shared:
        problem = _some(shared, "have the sequence of a protein of another family")
        faults.append(Fault(fasta, problem, "keep one of them: no read can tell the two"))
    return faults + _role_faults({one.ko: one.role for one in proteins.values()}, table)


def _some(names: Collection[str], said: str) -> str:
    more = ", ..." if len(names) > _SHOWN else ""
    return f"{len(names)} proteins ({', '.join(list(names)[:_SHOWN])}{more}) {said}"


def _role_faults(roles: Mapping[str, str], place: str) -> list[Fault]:
    """Whether the families of a set are enough to measure with."""
    counts = Counter(roles.values())
    faults = []
    if not counts["marker"]:
        faults.append(Fault(place, "holds no family of the role marker", "add what is to be found"))
    if counts["single_copy"] < MIN_SINGLE_COPY_FAMILIES:
        problem = f"holds {counts['single_copy']} families of the role single_copy"
        mend = f"give {MIN_SINGLE_COPY_FAMILIES} or more: copies are counted per genome by them"
        faults.append(Fault(place, problem, mend))
    return faults


def _rows(
    path: Path, columns: Collection[str]
) -> tuple[list[tuple[int, dict[str, str]]], list[Fault]]:
    """Rows of a table by their line number, cells of these columns stripped."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return [], [Fault(path.name, "is no UTF-8 text", "save it as UTF-8")]
    numbered = [(n, line) for n, line in enumerate(lines, 1) if line.strip() and line[0] != "#"]
    rows = csv.DictReader(
        (line for _, line in numbered), delimiter="\t", quoting=csv.QUOTE_NONE, restval=""
    )
    missing = [column for column in columns if column not in (rows.fieldnames or ())]
    if missing:
        mend = f"columns are {', '.join(columns)}"
        return [], [Fault(path.name, f"has no column {missing[0]!r}", mend)]
    found = [
        (number, {column: row[column].strip() for column in columns})
        for (number, _), row in zip(numbered[1:], rows, strict=True)
    ]
    return found, [] if found else [Fault(path.name, "holds no row", "add one for each")]


def _cell_faults(row: Mapping[str, str], place: str) -> list[Fault]:
    """What is wrong with the cells that both tables have."""
    faults = []
    if not _NAME.fullmatch(row["ko"]):
        mend = "give a KEGG orthology id, or a name of letters, digits, . _ and -"
        faults.append(Fault(f"{place} 'ko'", f"is {row['ko']!r}", mend))
    if row["role"] not in ROLES:
        mend = after(suggestion(row["role"], ROLES), f"roles are: {', '.join(ROLES)}")
        faults.append(Fault(f"{place} 'role'", f"is {row['role']!r}", mend))
    cell = row["min_identity_percent"]
    try:
        identity = float(cell)
    except ValueError:
        identity = -1.0
    # No family is told apart at 1 %: it is meant as a share. 0 asks for nothing, in either unit.
    if 0 < identity <= 1:
        mend = f"write {100 * identity:g}"
        problem = f"is {cell!r}, a fraction; percent are wanted"
        faults.append(Fault(f"{place} 'min_identity_percent'", problem, mend))
    elif not 0 <= identity <= 100:
        mend = "give a number from 0 to 100"
        faults.append(Fault(f"{place} 'min_identity_percent'", f"is {cell!r}", mend))
    return faults


def describe_set(proteins: Mapping[str, Protein], lengths: Mapping[str, int]) -> dict[str, Any]:
    """What later steps and readers must know of each family, in the order of their ids.

    Parameters
    ----------
    lengths
        Amino acids by accession.

    Returns
    -------
    dict
        By family: name, role, min_identity_percent, proteins, mean_length_aa.

    Examples
    --------
    >>> one = Protein("P1", "K00929", "butyrate kinase", "marker", 50.0)
    >>> describe_set({"P1": one, "P2": one._replace(accession="P2")}, {"P1": 350, "P2": 360})
    ... # doctest: +NORMALIZE_WHITESPACE
    {'K00929': {'name': 'butyrate kinase', 'role': 'marker', 'min_identity_percent': 50.0,
     'proteins': 2, 'mean_length_aa': 355.0}}
    """
    members = defaultdict(list)
    for protein in proteins.values():
        members[protein.ko].append(protein)
    return {
        ko: {
            "name": of[0].name,
            "role": of[0].role,
            "min_identity_percent": of[0].min_identity_percent,
            "proteins": len(of),
            "mean_length_aa": round(sum(lengths[one.accession] for one in of) / len(of), 1),
        }
        for ko, of in sorted(members.items())
    }


# --- fetching -------------------------------------------------------------------------------------


def search_url(query: str, archive: str) -> str:
    """Address of the first page of a query's proteins, as UniProt's REST interface takes it.

    >>> search_url("(ec:2.7.2.7)", "https://rest.uniprot.org/")
    'https://rest.uniprot.org/uniprotkb/search?query=%28ec%3A2.7.2.7%29&format=fasta&size=500'
    """
    asked = urlencode({"query": query, "format": "fasta", "size": PAGE})
    return f"{archive.rstrip('/')}/uniprotkb/search?{asked}"


def fetch_pages(url: str, **options: Any) -> tuple[list[tuple[str, str]], str]:
    """All proteins of a query, page by page, and the release that they are of.

    Parameters
    ----------
    url
        Of `search_url`.
    options
        Of `moodbiome.download.read_page`.

    Returns
    -------
    (list of (accession, sequence), str)
        In the order of their accessions; the release is empty if the server does not tell it.

    Raises
    ------
    ProteinError
        If an answer is no FASTA, the pages do not hold as many proteins as were announced, they
        are of several releases, or one leads to another server or to an earlier page.
    moodbiome.download.DownloadError
        If a page cannot be had.

    Notes
    -----
    The server announces the number of proteins (X-Total-Results), its release
    (X-UniProt-Release) and the next page (Link, rel="next").
    """
    found: dict[str, str] = {}
    asked, releases, announced = list[str](), set[str](), set[str]()
    page = url
    while page:
        asked.append(page)
        text, headers = read_page(page, **options)
        for accession, sequence in parse_uniprot(text, page):
            if found.setdefault(accession, sequence) != sequence:
                raise ProteinError(f"{page}: {accession} came twice, and differs; fetch again")
        announced.add(headers.get("x-total-results", ""))
        releases.add(headers.get("x-uniprot-release", ""))
        match = _NEXT.search(headers.get("link", ""))
        page = match[1] if match else ""
        if page and urlsplit(page)[:2] != urlsplit(url)[:2]:
            raise ProteinError(f"{asked[-1]}: its next page is on another server ({page})")
        if page in asked:
            raise ProteinError(f"{asked[-1]}: its next page is an earlier one ({page})")
    if len(releases) > 1 or len(announced) > 1:
        raise ProteinError(f"{url}: the server changed between two pages; fetch again")
    total = announced.pop()
    if not total.isdecimal():
        raise ProteinError(
            f"{url}: the server does not say how many proteins it has (X-Total-Results), so that"
            " missing ones would not be seen; check function.proteins.archive"
        )
    if int(total) != len(found):
        raise ProteinError(f"{url}: {len(found)} of {total} proteins came; fetch again")
    return sorted(found.items()), releases.pop()


def parse_uniprot(text: str, place: str) -> Iterator[tuple[str, str]]:
    """Accession and sequence of each protein of UniProt's FASTA; `place` is for errors.

    >>> list(parse_uniprot(">sp|P12345|X_ECOLI Some kinase\\nMKV\\nLA\\n", "page 1"))
    [('P12345', 'MKVLA')]
    """
    if not text.strip():
        return
    head, *records = ("\n" + text).split("\n>")
    if head.strip():
        raise ProteinError(f"{place}: the answer is no FASTA ({head.split()[0][:40]!r} ...)")
    for record in records:
        header, *lines = record.splitlines()
        match = _UNIPROT.match(header)
        sequence = "".join(line.strip() for line in lines).upper()
        if not match or not sequence or not _AMINO_ACIDS.issuperset(sequence):
            raise ProteinError(f"{place}: {header[:60]!r} is no protein of UniProt")
        yield match[1], sequence


def fetch_proteins(
    families: Iterable[Family],
    archive: str,
    work: Path,
    fasta: Path,
    table: Path,
    lock: Path,
    say: Callable[[str], object],
    retries: int = RETRIES,
    backoff: float = BACKOFF_SECONDS,
    sleep: Callable[[float], object] | None = None,
) -> None:
    """Fetch the proteins of families from UniProt into one set, and lock its bytes.

    Parameters
    ----------
    families
        As of `read_families`.
    archive
        Address of UniProt's REST interface, or of a mirror.
    work
        Folder that keeps each family once it is whole: a fetch that broke off goes on there.
    fasta, table
        Receive the set, sorted by family and accession.
    lock
        Receives what came. One that is there from an earlier fetch is held against it.
    say
        Called with one line about each family, and about what was left out.

    Raises
    ------
    ProteinError
        As `fetch_pages`; if families are of several releases; if the set is not the locked one,
        or not enough to measure with.
    moodbiome.download.DownloadError
        If a page cannot be had.

    Notes
    -----
    A protein that a marker or single-copy family and a decoy both find is not the decoy's, so that
    a decoy's query can be wider than what it leaves. One that two markers find is in neither, for
    its reads could not be told; so is a sequence that two families have. Of equal sequences of one
    family the first accession is kept.
    """
    families = list(families)
    options = {"retries": retries, "backoff": backoff, "say": say}
    options |= {"sleep": sleep} if sleep else {}
    found = {family.ko: _fetch_family(family, archive, work, say, options) for family in families}
    releases = {release for _, release in found.values()}
    if len(releases) > 1:
        for file in work.glob("*.json"):
            file.unlink()
        raise ProteinError(
            f"{archive}: families are of the releases {', '.join(sorted(releases))}, for one came"
            " out on the way; run again to fetch all of them anew"
        )
    kept, left_out = keep_distinct(families, {ko: records for ko, (records, _) in found.items()})
    for line in left_out:
        say(line)
    proteins, lines = [], []
    for family in sorted(families):
        for accession, sequence in kept[family.ko]:
            proteins.append(Protein(accession, *family[:4]))
            folded = [sequence[at : at + _LINE] for at in range(0, len(sequence), _LINE)]
            lines.append("\n".join([f">{accession}", *folded]) + "\n")
    faults = _role_faults({one.ko: one.role for one in proteins}, archive)
    if faults:
        raise ProteinError(as_message(faults))
    content = {fasta: "".join(lines), table: tsv(COLUMNS, proteins)}
    facts = {
        "source": "UniProtKB",
        "archive": archive,
        "release": releases.pop(),
        "licence": LICENCE,
        "families": {
            family.ko: {
                "query": family.query,
                "found": len(found[family.ko][0]),
                "kept": len(kept[family.ko]),
            }
            for family in families
        },
        "left_out": left_out,
        "files": {
            path.name: {
                "bytes": len(text.encode()),
                "sha256": hashlib.sha256(text.encode()).hexdigest(),
            }
            for path, text in content.items()
        },
    }
    _require_locked(facts, lock)
    for path, text in content.items():
        path.write_text(text)
        if sha256(path) != facts["files"][path.name]["sha256"]:  # type: ignore[index]
            raise ProteinError(f"{path}: was not written whole; make room on its disk")
    lock.write_text(json.dumps(facts, indent=1) + "\n")


def _fetch_family(
    family: Family, archive: str, work: Path, say: Say, options: Mapping[str, Any]
) -> tuple[list[tuple[str, str]], str]:
    """Proteins of a family and their release: those of an earlier try, or fetched and kept."""
    url = search_url(family.query, archive)
    file = work / f"{family.ko}.json"
    try:
        known = json.loads(file.read_text())
        if known["url"] == url:
            return [(accession, sequence) for accession, sequence in known["proteins"]], known[
                "release"
            ]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not fetched yet, or not whole
    proteins, release = fetch_pages(url, **options)
    none = "" if proteins else ": it will be missing from all tables; correct its query"
    say(f"{family.ko} ({family.role}): {len(proteins)} proteins{none}")
    work.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps({"url": url, "release": release, "proteins": proteins}))
    part.replace(file)
    return proteins, release


def keep_distinct(
    families: Iterable[Family], found: Mapping[str, list[tuple[str, str]]]
) -> tuple[dict[str, list[tuple[str, str]]], list[str]]:
    """Give each protein to one family, as `fetch_proteins` says; what is left out, in words.

    Examples
    --------
    >>> buk = Family("K00929", "butyrate kinase", "marker", 50.0, "")
    >>> other = Family("kinases", "other kinases", "decoy", 0.0, "")
    >>> kept, said = keep_distinct(
    ...     [buk, other], {"K00929": [("A", "MK")], "kinases": [("A", "MK"), ("B", "MV")]})
    >>> kept, said
    ({'K00929': [('A', 'MK')], 'kinases': [('B', 'MV')]}, [])
    """
    role = {family.ko: family.role for family in families}
    owners: dict[str, set[str]] = defaultdict(set)
    names: dict[str, set[str]] = defaultdict(set)
    for ko, records in found.items():
        for accession, sequence in records:
            owners[sequence].add(ko)
            names[sequence].add(accession)
    kept: dict[str, list[tuple[str, str]]] = {ko: [] for ko in found}
    left_out = []
    for sequence, of in owners.items():
        claims = {ko for ko in of if role[ko] != "decoy"} or of
        accession = min(names[sequence])
        if len(claims) == 1:
            kept[claims.pop()].append((accession, sequence))
        else:
            left_out.append(f"{accession}: left out, for it is in {', '.join(sorted(claims))}")
    return {ko: sorted(records) for ko, records in kept.items()}, sorted(left_out)


def _require_locked(facts: Mapping[str, Any], lock: Path) -> None:
    """Raise ProteinError if an earlier fetch brought other bytes."""
    if not lock.is_file():
        return
    try:
        known = json.loads(lock.read_text())
        files, release = known["files"], known["release"]
    except (ValueError, KeyError, TypeError) as error:
        mend = "take it from your backup, or remove it and fetch again"
        raise ProteinError(f"{lock}: is no lock of a protein set; {mend}") from error
    changed = [name for name, entry in facts["files"].items() if files.get(name) != entry]
    if changed:
        raise ProteinError(
            f"{lock}: {', '.join(changed)} would not be what was locked (release {release} then,"
            f" {facts['release']} now). To take the new set, remove the lock; to keep the old one,"
            " bring its files back and give them as function.proteins.fasta and .table"
        )
