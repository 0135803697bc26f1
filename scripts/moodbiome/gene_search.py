"""Reads of one sample against a protein set with DIAMOND: which family each read fits best.

Only the standard library: it runs once a sample.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from moodbiome.proteins import Protein
from moodbiome.tools import ToolError, not_written_whole, require_equal, run_pipe

BLOCK_BILLIONS = 0.1
"""Letters that DIAMOND holds at once: bounds its memory to about 1 GB (docs/genes.md)."""

FATES = ("marker", "single_copy", "decoy", "ambiguous", "refused", "without_hit")
"""Where a fragment went: the first that applies to any of its mates."""

_FIELDS = ("qseqid", "sseqid", "slen", "length", "pident", "bitscore")
_REPORTED = re.compile(r"^Reported (\d+) pairwise alignments", re.MULTILINE)
_PIECE = 10_000


class Hit(NamedTuple):
    """One of a read's best alignments: DIAMOND's columns; lengths in amino acids."""

    read: int
    accession: str
    protein_length: int
    aligned: int
    identity_percent: float
    bit_score: float


def build_protein_database(fasta: Path, database: Path, threads: int, log: Path) -> None:
    """Index a protein set for DIAMOND; `database` ends in .dmnd.

    Raises
    ------
    moodbiome.tools.ToolError
        If DIAMOND fails, or the database does not hold as many proteins as it says.
    """
    log.write_text("")
    command = ["diamond", "makedb", "--in", str(fasta), "--db", str(database)]
    said = run_pipe([[*command, "--threads", str(threads)]], log)
    written = re.findall(r"^ *Database sequences +(\d+)", said, re.MULTILINE)
    said = run_pipe([["diamond", "dbinfo", "--db", str(database)]], log)
    there = re.findall(r"^ *Sequences +(\d+)", said, re.MULTILINE)
    if not written or there != written:
        raise not_written_whole(database, "diamond makedb")


def search_sample(
    mates: Sequence[Iterable[str]],
    fragments: int,
    proteins: Mapping[str, Protein],
    database: Path,
    work: Path,
    sensitivity: str,
    min_aligned_aa: int,
    max_evalue: float,
    threads: int,
    log: Path,
    place: str,
) -> dict[str, Any]:
    """Search a sample's reads, and count them by the family that each fits best.

    Parameters
    ----------
    mates
        Sequences of the first mates, and of the second ones if they are pairs.
    fragments
        Those that `mates` must hold.
    proteins
        The set, by accession.
    database
        The set, as `build_protein_database` made it.
    work
        A folder for what is needed on the way.
    sensitivity
        DIAMOND's mode: fast, default, mid-sensitive, sensitive, more-sensitive or very-sensitive.
    min_aligned_aa
        Fewest aligned amino acids of a read that is counted.
    max_evalue
        Largest expect value of an alignment, in a database of this set's size.
    place
        Names the sample in errors.

    Returns
    -------
    dict
        As `count_hits`; in addition fragments, reads, long_reads (in which `min_aligned` amino
        acids find place), bases and long_bases (of these), min_aligned_aa.

    Raises
    ------
    moodbiome.tools.ToolError
        If DIAMOND fails, its alignments are cut short, or there are more or fewer reads than
        `fragments` says.
    """
    hits = work / "hits.tsv"
    command = ["diamond", "blastx", "--query", "-", "--db", str(database), "--out", str(hits)]
    command += ["--outfmt", "6", *_FIELDS, "--top", "0", "--evalue", f"{max_evalue:g}"]
    command += ["--block-size", str(BLOCK_BILLIONS), "--index-chunks", "1"]
    command += ["--threads", str(threads), "--tmpdir", str(work)]
    command += [] if sensitivity == "default" else [f"--{sensitivity}"]
    account: Counter[str] = Counter()
    feed = _as_fasta(mates, 3 * min_aligned_aa, account)
    log.write_text("")
    said = run_pipe([command], log, feed=feed)
    require_equal("reads", fragments * len(mates), account["reads"], f"{place}, search_genes")
    return {
        "fragments": fragments,
        **{key: account[key] for key in ("reads", "long_reads", "bases", "long_bases")},
        "min_aligned_aa": min_aligned_aa,
        **count_hits(_read_hits(hits, said), fragments, proteins, min_aligned_aa),
    }


def _as_fasta(mates: Sequence[Iterable[str]], long: int, account: Counter[str]) -> Iterator[bytes]:
    """Reads as FASTA in large pieces: the first mates are called 0, 2, 4, ..., the second 1, 3, ...

    Names of reads need not be unique over runs, and mates may carry /1 and /2.
    """
    piece: list[str] = []
    for mate, reads in enumerate(mates):
        for number, read in enumerate(reads):
            account["reads"] += 1
            account["bases"] += len(read)
            if len(read) >= long:
                account["long_reads"] += 1
                account["long_bases"] += len(read)
            piece.append(f">{2 * number + mate}\n{read}\n")
            if len(piece) == _PIECE:
                yield "".join(piece).encode("ascii")
                piece.clear()
    yield "".join(piece).encode("ascii")


def _read_hits(path: Path, said: str) -> Iterator[Hit]:
    """Alignments of a file, held against what DIAMOND says to have written."""
    reported = _REPORTED.findall(said)
    if len(reported) != 1:
        raise ToolError("diamond does not say how many alignments it reported: another version?")
    if not path.exists():
        raise not_written_whole(path, "diamond")
    n_lines = 0
    with path.open() as lines:
        for line in lines:
            n_lines += 1
            cells = line.rstrip("\n").split("\t")
            if len(cells) != len(_FIELDS) or not line.endswith("\n"):
                raise not_written_whole(path, "diamond")
            read, accession, length, aligned, *scores = cells
            yield Hit(int(read), accession, int(length), int(aligned), *map(float, scores))
    if n_lines != int(reported[0]):
        raise not_written_whole(path, "diamond")


def count_hits(
    hits: Iterable[Hit], fragments: int, proteins: Mapping[str, Protein], min_aligned: int
) -> dict[str, Any]:
    """Count reads and fragments by the family that each read fits best.

    Parameters
    ----------
    hits
        The alignments of the highest bit score of each read, a read's own beside each other; the
        mates of fragment i are the reads 2i and 2i + 1.
    fragments
        All that were searched.
    proteins
        The set, by accession.
    min_aligned
        Amino acids.

    Returns
    -------
    dict
        ``reads_by_family``: by family and protein length in amino acids (as text), the reads; a
        read belongs to the family of its best alignment, if that family alone has it and the
        alignment is long and alike enough. ``family_fragments``: by family, the fragments with such
        a read: a pair counts once for a family. ``fates``: fragments by `FATES`, whose sum is
        `fragments`.
        ``ambiguous_between``: reads by the families that fit them equally well, spaces between.

    Notes
    -----
    The thresholds are held against the best alignment only: a read that fits a decoy best is not
    given to a marker that fits it less, and one that is too unlike its best family goes nowhere.

    Examples
    --------
    >>> proteins = {"A": Protein("A", "K1", "", "marker", 50.0),
    ...             "B": Protein("B", "K2", "", "decoy", 50.0)}
    >>> hits = [Hit(0, "A", 300, 33, 90.0, 60.0), Hit(1, "A", 300, 33, 40.0, 45.0),
    ...         Hit(2, "A", 300, 33, 80.0, 55.0), Hit(2, "B", 310, 33, 80.0, 55.0)]
    >>> found = count_hits(hits, 3, proteins, 25)
    >>> found["reads_by_family"], found["family_fragments"]
    ({'K1': {'300': 1}}, {'K1': 1})
    >>> {fate: n for fate, n in found["fates"].items() if n}
    {'marker': 1, 'ambiguous': 1, 'without_hit': 1}
    """
    reads: dict[str, Counter[str]] = defaultdict(Counter)
    ties: Counter[str] = Counter()
    families_of: dict[int, set[str]] = defaultdict(set)
    fate_of: dict[int, int] = {}
    for read, group in groupby(hits, key=lambda hit: hit.read):
        best = list(group)
        families = sorted({proteins[hit.accession].ko for hit in best})
        sound = [
            hit
            for hit in best
            if hit.aligned >= min_aligned
            and hit.identity_percent >= proteins[hit.accession].min_identity_percent
        ]
        if not sound:
            fate = "refused"
        elif len(families) > 1:
            fate = "ambiguous"
            ties[" ".join(families)] += 1
        else:
            hit = min(sound, key=lambda hit: (-hit.identity_percent, hit.accession))
            fate = proteins[hit.accession].role
            reads[families[0]][str(hit.protein_length)] += 1
            families_of[read // 2].add(families[0])
        rank = FATES.index(fate)
        fate_of[read // 2] = min(fate_of.get(read // 2, rank), rank)
    fates = Counter(FATES[rank] for rank in fate_of.values())
    fates["without_hit"] = fragments - fates.total()
    of_family = Counter(family for families in families_of.values() for family in families)
    return {
        "reads_by_family": {
            family: dict(sorted(counts.items(), key=lambda item: int(item[0])))
            for family, counts in sorted(reads.items())
        },
        "family_fragments": dict(sorted(of_family.items())),
        "fates": {fate: fates[fate] for fate in FATES},
        "ambiguous_between": dict(sorted(ties.items())),
    }
