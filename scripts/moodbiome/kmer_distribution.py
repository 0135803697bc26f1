"""What re-estimation must know of a database: where the reads of each genome would end.

Every window of one read's length along every library sequence is classified from the k-mer hits
of the whole sequence, as Kraken2 would classify it as a read: the taxon with the highest sum of
hits on its path to the root; of several such taxa their lowest common ancestor. Same convention
as `bracken-build` (Lu et al. 2017, doi:10.7717/peerj-cs.104): ambiguous k-mers hit nothing, a
window without hits is taxon 0 and counts in the genome's total, and Kraken2's read filters
(confidence, minimum hit groups) are not applied.
"""

from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moodbiome.tools import writing

Ints = NDArray[np.int64]

HEADER = "mapped_taxid\tgenome_taxids:kmers_mapped:total_genome_kmers"
ROOT = 1
UNCLASSIFIED = 0

# Windows looked at together: bounds memory at some tens of MB whatever the sequence's length.
_CHUNK = 1 << 20
# Windows with several taxa are scored together over a stretch of at most _SPAN k-mers; a stretch
# with more than _TAXA taxa is halved down to _FEW windows, as the work grows with taxa squared.
_SPAN = 1 << 13
_TAXA = 32
_FEW = 256
# Beyond every position of a sequence.
_NEVER = np.iinfo(np.int64).max


class Taxonomy:
    """Parents of taxa, with the paths and common ancestors that classification asks for.

    Parameters
    ----------
    parent : mapping of taxon id to the parent's taxon id
        The root is its own parent, as in ``nodes.dmp``.
    """

    def __init__(self, parent: Mapping[int, int]) -> None:
        self._parent = parent
        self._paths: dict[int, tuple[int, ...]] = {}
        self._above: dict[int, frozenset[int]] = {}

    def path(self, taxon: int) -> tuple[int, ...]:
        """A taxon and its ancestors, the root last.

        Raises
        ------
        ValueError
            If the taxon or an ancestor has no parent in the taxonomy, or the parents go round.
        """
        known = self._paths.get(taxon)
        if known is None:
            path = [taxon]
            seen = {taxon}
            while path[-1] != ROOT:
                above = self._parent.get(path[-1])
                if above is None:
                    raise ValueError(
                        f"taxon {path[-1]} is not in the taxonomy (on the way up from {taxon}); "
                        f"use the nodes.dmp that the database was built with"
                    )
                if above in seen:
                    raise ValueError(f"taxon {above} is its own ancestor; nodes.dmp is damaged")
                path.append(above)
                seen.add(above)
            known = self._paths[taxon] = tuple(path)
        return known

    def is_on_path(self, taxa: list[int]) -> NDArray[np.bool_]:
        """Whether taxon i is taxon j or one of its ancestors; shape (n_taxa, n_taxa)."""
        for taxon in taxa:
            if taxon not in self._above:
                self._above[taxon] = frozenset(self.path(taxon))
        paths = [self._above[taxon] for taxon in taxa]
        return np.array([[taxon in path for path in paths] for taxon in taxa], dtype=bool)

    def common_ancestor(self, taxa: Iterable[int]) -> int:
        """The lowest taxon that all the taxa are, or descend from.

        Examples
        --------
        >>> Taxonomy({1: 1, 2: 1, 3: 2, 4: 2}).common_ancestor([3, 4])
        2
        """
        first, *others = (self.path(taxon) for taxon in taxa)
        shared = set(first).intersection(*others)
        return next(taxon for taxon in first if taxon in shared)


def read_parents(path: str | PathLike[str]) -> dict[int, int]:
    """Read the parent of every taxon from an NCBI ``nodes.dmp``.

    Raises
    ------
    ValueError
        If a line does not start with two taxon ids, or the root (taxon 1) is missing.
    """
    parent: dict[int, int] = {}
    with Path(path).open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            fields = line.split("|", 2)
            try:
                parent[int(fields[0])] = int(fields[1])
            except (ValueError, IndexError):
                raise ValueError(
                    f"{path}, line {number}: {line[:40]!r} does not start with "
                    f"'taxon id | parent id |'"
                ) from None
    if ROOT not in parent:
        raise ValueError(f"{path}: the root (taxon {ROOT}) is missing; the file may be cut")
    return parent


def read_sequence_taxa(path: str | PathLike[str]) -> dict[str, int]:
    """Read the taxon of every library sequence from Kraken2's ``seqid2taxid.map``.

    Raises
    ------
    ValueError
        If a line is not a sequence name, a tab and a taxon id, or one name has two taxa.
    """
    taxa: dict[str, int] = {}
    with Path(path).open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            name, _, taxon = line.rstrip("\n").partition("\t")
            if not name or not taxon.isdecimal():
                raise ValueError(
                    f"{path}, line {number}: {line[:60]!r} is not 'sequence<TAB>taxon id'"
                )
            if taxa.setdefault(name, int(taxon)) != int(taxon):
                raise ValueError(
                    f"{path}, line {number}: sequence {name!r} has taxon {taxon} here and "
                    f"{taxa[name]} above"
                )
    return taxa


def parse_hits(text: str) -> tuple[Ints, Ints]:
    """Parse the k-mer hits of a sequence, the fifth column of Kraken2's output.

    Parameters
    ----------
    text : str
        Runs of k-mers with the same hit, such as ``562:13 A:4 0:1``; may be empty.

    Returns
    -------
    taxon, length : arrays of shape (n_runs,)
        Taxon of each run and its k-mers; ambiguous k-mers (``A``) are taxon 0.

    Raises
    ------
    ValueError
        If a run is not ``taxon:count``, or the hits are those of a read pair.

    Examples
    --------
    >>> [run.tolist() for run in parse_hits("562:13 A:4 0:1")]
    [[562, 0, 0], [13, 4, 1]]
    """
    if "|" in text:
        raise ValueError("the hits are of read pairs ('|:|'); classify the library as single reads")
    runs = (" " + text).replace(" A:", " 0:").split()
    numbers = " ".join(runs).replace(":", " ").split()
    if len(numbers) != 2 * len(runs) or not ("0" + "".join(numbers)).isdecimal():
        bad = next((run for run in runs if not _is_run(run)), text[:40])
        raise ValueError(f"{bad!r} is not 'taxon:count'")
    values = np.array(list(map(int, numbers)), dtype=np.int64)
    return values[0::2], values[1::2]


def _is_run(run: str) -> bool:
    taxon, _, count = run.partition(":")
    return taxon.isdecimal() and count.isdecimal()


def classify_windows(taxon: Ints, length: Ints, n_kmers: int, taxonomy: Taxonomy) -> Ints:
    """Classify every window of a sequence from its k-mer hits.

    Parameters
    ----------
    taxon, length : arrays of shape (n_runs,)
        As `parse_hits` returns them.
    n_kmers : int
        k-mers in a window: read length - k + 1.
    taxonomy : Taxonomy
        Must hold every taxon that is hit.

    Returns
    -------
    array of shape (n_windows,)
        Taxon of the window starting at each k-mer; 0 where no k-mer hits. Empty for a sequence
        shorter than a window.

    Examples
    --------
    >>> taxonomy = Taxonomy({1: 1, 2: 1, 3: 2, 4: 2})
    >>> runs = np.array([3, 0, 4]), np.array([2, 1, 2])
    >>> classify_windows(*runs, n_kmers=4, taxonomy=taxonomy).tolist()
    [3, 4]
    >>> classify_windows(*runs, n_kmers=5, taxonomy=taxonomy).tolist()
    [2]
    """
    chunks = list(_window_chunks(taxon, length, n_kmers, taxonomy))
    return np.concatenate(chunks) if chunks else np.zeros(0, dtype=np.int64)


def count_windows(taxon: Ints, length: Ints, n_kmers: int, taxonomy: Taxonomy) -> dict[int, int]:
    """Count the windows of a sequence by their taxon; see `classify_windows`."""
    counts: dict[int, int] = {}
    for chunk in _window_chunks(taxon, length, n_kmers, taxonomy):
        for found, windows in zip(*np.unique(chunk, return_counts=True), strict=True):
            counts[int(found)] = counts.get(int(found), 0) + int(windows)
    return counts


def _window_chunks(taxon: Ints, length: Ints, n_kmers: int, taxonomy: Taxonomy) -> Iterator[Ints]:
    if n_kmers < 1:
        raise ValueError(f"a window of {n_kmers} k-mers: the read length must be at least k")
    run_end = np.cumsum(length)
    n_windows = int(run_end[-1]) - n_kmers + 1 if len(run_end) else 0
    for first in range(0, n_windows, _CHUNK):
        last = min(first + _CHUNK, n_windows) + n_kmers - 1
        start, stop = np.searchsorted(run_end, [first, last - 1], side="right")
        ends = np.minimum(run_end[start : stop + 1], last) - first
        hit = np.repeat(taxon[start : stop + 1], np.diff(ends, prepend=0))
        yield _classify(hit, n_kmers, taxonomy)


def _classify(hit: Ints, n_kmers: int, taxonomy: Taxonomy) -> Ints:
    """Classify all windows of one stretch of k-mers, given the taxon that each k-mer hits."""
    n_windows = len(hit) - n_kmers + 1
    end = np.arange(n_kmers, len(hit) + 1)
    # The root is on every path, so its hits decide only where there are no others.
    result = np.where(_next(hit == ROOT)[:n_windows] < end, ROOT, UNCLASSIFIED)
    informative = hit > ROOT
    where = np.flatnonzero(informative)
    following = _next(informative)[:n_windows]
    has_hit = following < end
    result[has_hit] = hit[following[has_hit]]

    # A window that ends before the taxon of its first hit gives way to another holds one taxon.
    is_change = np.zeros(len(hit), dtype=bool)
    is_change[where[1:]] = np.diff(hit[where]) != 0
    next_change = np.append(_next(is_change)[1:], _NEVER)
    several = np.flatnonzero(has_hit)
    several = several[next_change[following[several]] < end[several]]
    for part in np.split(several, np.flatnonzero(np.diff(several // _SPAN)) + 1):
        if len(part):
            result[part] = _classify_several(hit, part, n_kmers, taxonomy)
    return result


def _next(is_mark: NDArray[np.bool_]) -> Ints:
    """For each position the first mark at or after it; `_NEVER` where none follows."""
    marks = np.append(np.flatnonzero(is_mark), _NEVER)
    return marks[np.cumsum(is_mark) - is_mark]


def _classify_several(hit: Ints, start: Ints, n_kmers: int, taxonomy: Taxonomy) -> Ints:
    """Classify windows that hold several taxa, given their first k-mers in ascending order."""
    stretch = hit[start[0] : start[-1] + n_kmers]
    where = np.flatnonzero(stretch > ROOT)
    taxa, column = np.unique(stretch[where], return_inverse=True)
    if len(start) > _FEW and len(taxa) > _TAXA:
        halves = np.array_split(start, 2)
        return np.concatenate([_classify_several(hit, h, n_kmers, taxonomy) for h in halves])

    before = np.zeros((len(stretch) + 1, len(taxa)), dtype=np.float32)
    before[where + 1, column] = 1
    np.cumsum(before, axis=0, out=before)
    first = start - start[0]
    hits = before[first + n_kmers] - before[first]
    is_on_path = taxonomy.is_on_path(taxa.tolist()).astype(np.float32)
    score = np.where(hits > 0, hits @ is_on_path, 0)
    is_best = score == score.max(axis=1, keepdims=True)
    result = taxa[is_best.argmax(axis=1)]

    tied = np.flatnonzero(is_best.sum(axis=1) > 1)
    patterns, pattern = np.unique(is_best[tied], axis=0, return_inverse=True)
    ancestors = [taxonomy.common_ancestor(taxa[best].tolist()) for best in patterns]
    result[tied] = np.array(ancestors, dtype=np.int64)[pattern]
    return result


def count_genomes(
    lines: Iterable[str],
    sequence_taxon: Mapping[str, int],
    taxonomy: Taxonomy,
    read_length: int,
    k: int = 35,
) -> dict[int, dict[int, int]]:
    """Count, for each genome of a library, the reads that would end at each taxon.

    Parameters
    ----------
    lines : iterable of str
        What ``kraken2 --db DATABASE --output - LIBRARY.fna`` writes for the sequences that the
        database was built from.
    sequence_taxon : mapping of sequence name to taxon id
        See `read_sequence_taxa`. Sequences of one taxon are one genome.
    taxonomy : Taxonomy
        That of the database.
    read_length : int
        In bp.
    k : int
        k-mer length of the database in bp; Kraken2's own is 35.

    Returns
    -------
    dict of genome taxon id to dict of taxon id to windows
        Sequences shorter than a read have no window, so a genome may be missing.

    Raises
    ------
    ValueError
        If a line is cut or no Kraken2 output, its hits do not cover the sequence, its sequence
        has no taxon, or the reads are shorter than k.
    """
    if read_length < k:
        raise ValueError(f"reads of {read_length} bp hold no k-mer of {k} bp")
    n_kmers = read_length - k + 1
    genomes: dict[int, dict[int, int]] = {}
    for number, line in enumerate(lines, 1):
        fields = line.rstrip("\n").split("\t")
        if len(fields) != 5 or fields[0] not in ("C", "U") or not line.endswith("\n"):
            raise ValueError(
                f"Kraken2 output, line {number}: {line[:60]!r} is not one whole line of five "
                f"columns; the output was cut or is something else"
            )
        _, name, _, bases, hits = fields
        genome = sequence_taxon.get(name)
        if genome is None:
            raise ValueError(
                f"Kraken2 output, line {number}: sequence {name!r} has no taxon in the map; use "
                f"the seqid2taxid.map of the database that this library belongs to"
            )
        try:
            taxon, length = parse_hits(hits)
            expected = max(int(bases) - k + 1, 0)
        except ValueError as error:
            raise ValueError(f"Kraken2 output, line {number}, sequence {name!r}: {error}") from None
        if length.sum() != expected:
            raise ValueError(
                f"Kraken2 output, line {number}, sequence {name!r}: hits of {length.sum()} k-mers, "
                f"but {bases} bp hold {expected} k-mers of {k} bp; was the database built with "
                f"another k, or the output cut?"
            )
        counts = count_windows(taxon, length, n_kmers, taxonomy)
        total = genomes.setdefault(genome, {})
        for found, windows in counts.items():
            total[found] = total.get(found, 0) + windows
    return {genome: counts for genome, counts in genomes.items() if counts}


def write_distribution(genomes: Mapping[int, Mapping[int, int]], path: str | PathLike[str]) -> None:
    """Write a ``databaseNmers.kmer_distrib`` file as Bracken reads it.

    Parameters
    ----------
    genomes : mapping of genome taxon id to mapping of taxon id to windows
        As `count_genomes` returns them.
    path : path
        Taxa, and genomes at a taxon, are written in ascending order of their ids.

    Raises
    ------
    ValueError
        If no genome has a window.
    """
    total = {genome: sum(counts.values()) for genome, counts in genomes.items()}
    taxa: dict[int, list[str]] = {}
    for genome in sorted(genomes):
        for taxon, windows in genomes[genome].items():
            taxa.setdefault(taxon, []).append(f"{genome}:{windows}:{total[genome]} ")
    if not taxa:
        raise ValueError("no library sequence is as long as a read, so there is no distribution")
    lines = [HEADER, *(f"{taxon}\t{''.join(taxa[taxon])}" for taxon in sorted(taxa))]
    with writing(path):
        Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
