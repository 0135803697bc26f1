"""Bracken's re-estimation of abundances, for many samples, number for number.

Kraken2 leaves a fragment that several species share at their common ancestor. Bracken hands the
fragments of such ancestors down again, in proportion to how often a read of each genome would
end at that ancestor and how many fragments the genome has.

Lu et al. (2017), PeerJ Computer Science 3:e104, doi:10.7717/peerj-cs.104.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from moodbiome.kmer_distribution import HEADER
from moodbiome.kraken import RANK_CODES, Report

LEVELS = tuple(RANK_CODES.values())
"""Rank codes at which abundances can be re-estimated, from the domain down."""

_RANK_ORDER = {code: order for order, code in enumerate("RKDPCOFGS")}
_ENTRY = re.compile(r"[0-9]+:[0-9]+:[0-9]+")

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """Where the reads of each genome of a database end: a sparse matrix, nodes x genomes.

    Compressed by rows, in the order of the file: sums over a row are taken in that order, which
    is what makes them equal to Bracken's in the last bit.

    Attributes
    ----------
    node : array of shape (n_nodes,)
        Taxon ids at which reads end (0 is unclassified).
    start : array of shape (n_nodes + 1,)
        Entries of node i are ``start[i]:start[i + 1]``.
    entry : array of shape (n_entries,)
        For each entry its genome, as a position in `genome`.
    fraction : array of shape (n_entries,)
        Share of the genome's reads that end at the node.
    genome : array of shape (n_genomes,)
        Taxon ids of the genomes, ascending.
    own_fraction : array of shape (n_genomes,)
        Share of the genome's reads that end at its own taxon; 1 where the file does not say.
    """

    node: Ints
    start: Ints
    entry: Ints
    fraction: Floats
    genome: Ints
    own_fraction: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """Re-estimated fragments of a cohort at one rank.

    Attributes
    ----------
    samples : list of str
        In the order given.
    taxon_id : array of shape (n_taxa,)
        Ascending; every taxon that at least one sample keeps.
    assigned, added : sparse array of shape (n_taxa, n_samples)
        Fragments that Kraken2 put at the taxon or below it, and those handed down from above.
    """

    samples: list[str]
    taxon_id: Ints
    assigned: "scipy.sparse.csc_array"
    added: "scipy.sparse.csc_array"

    @property
    def estimate(self) -> "scipy.sparse.csc_array":
        """Fragments estimated: assigned + added."""
        return self.assigned + self.added


class SampleEstimate(NamedTuple):
    """Re-estimated fragments of one sample: arrays of equal length, in the order of its report.

    `uncut` is the estimate before it is cut to a whole number.
    """

    taxon_id: Ints
    assigned: Ints
    added: Ints
    uncut: Floats

    @property
    def estimate(self) -> Ints:
        """Fragments estimated: assigned + added."""
        return self.assigned + self.added

    @property
    def fraction(self) -> Floats:
        """Bracken's ``fraction_total_reads``: the estimate over all that reached a kept taxon.

        Neither unclassified fragments nor those of taxa below the threshold are in the
        denominator, so fractions of samples with different losses cannot be compared.
        """
        if not len(self.uncut):
            return np.zeros(0)
        # cumsum adds in order, as Bracken does; sum does not.
        return self.estimate / (int(np.cumsum(self.uncut)[-1]) or np.nan)


class ReadLength(NamedTuple):
    """A read length for which a database has a distribution, and whether it is the one asked."""

    length: int
    is_exact: bool


def read_distribution(path: str | PathLike[str]) -> Distribution:
    """Read a ``databaseNmers.kmer_distrib`` file.

    Parameters
    ----------
    path : path
        Written by ``bracken-build`` or `moodbiome.kmer_distribution`.

    Returns
    -------
    Distribution

    Raises
    ------
    ValueError
        If the header is another one, the file is cut, an entry is not
        ``genome:windows:total``, a node or a genome of a node stands twice, or counts cannot be
        (more windows than the genome has, two totals for one genome).
    """
    text = Path(path).read_text(encoding="utf-8")
    if not text.endswith("\n"):
        raise ValueError(f"{path}: the file does not end in a newline, so it was cut; get it again")
    header, *lines = text[:-1].split("\n")
    if header.rstrip() != HEADER:
        raise ValueError(f"{path}, line 1: {header[:60]!r} is not the header {HEADER!r}")
    if not lines:
        raise ValueError(f"{path}: no taxon after the header; build the distribution again")

    nodes: list[int] = []
    starts = [0]
    values: list[int] = []
    for number, line in enumerate(lines, 2):
        node, _, entries = line.partition("\t")
        fields = entries.split()
        if not node.isdecimal() or not fields or not all(map(_ENTRY.fullmatch, fields)):
            bad = next((f for f in fields if not _ENTRY.fullmatch(f)), line[:60])
            raise ValueError(
                f"{path}, line {number}: {bad!r} does not fit "
                f"'taxon<TAB>genome:windows:total genome:windows:total ...'"
            )
        nodes.append(int(node))
        values.extend(map(int, " ".join(fields).replace(":", " ").split()))
        starts.append(len(values) // 3)
    node_id = np.array(nodes, dtype=np.int64)
    start = np.array(starts, dtype=np.int64)
    genome_id, windows, total = np.array(values, dtype=np.int64).reshape(-1, 3).T
    row = np.repeat(np.arange(len(node_id)), np.diff(start))
    _check_distribution(path, node_id, row, genome_id, windows, total)

    genome, entry = np.unique(genome_id, return_inverse=True)
    fraction = windows / total
    own_fraction = np.ones(len(genome))
    is_own = node_id[row] == genome_id
    own_fraction[entry[is_own]] = fraction[is_own]
    return Distribution(node_id, start, entry, fraction, genome, own_fraction)


def check_database(
    distribution: Distribution,
    parents: Mapping[int, int],
    source: str,
    database: str,
    max_unknown: float = 0.5,
) -> list[str]:
    """Hold a distribution against the taxa of the database that it should belong to.

    Every genome of a distribution is a taxon of its own database, and nearly every taxon without a
    child has genomes in it (not where all its sequences are shorter than a read). Releases of one
    collection differ by some per cent of their genomes, so up to half is let pass with a warning;
    a database of another taxonomy or subject shares few. Databases that number their taxa from 1,
    each in its own way, cannot be told apart by ids.

    Parameters
    ----------
    distribution : Distribution
    parents : mapping of taxon id to the parent's taxon id
        Every taxon of the database.
    source, database : str
        What messages call the two files.
    max_unknown : float
        Share of the genomes, from 0 to 1, that may be unknown to the database.

    Returns
    -------
    list of str
        Warnings; empty for a distribution that fits.

    Raises
    ------
    ValueError
        If more genomes are unknown.

    Examples
    --------
    >>> one = Distribution(*map(np.array, ([853], [0, 1], [0], [1.0], [853], [1.0])))
    >>> check_database(one, {853: 1, 1: 0}, "database100mers.kmer_distrib", "taxo.k2d")
    []
    """
    known = np.fromiter(parents, dtype=np.int64, count=len(parents))
    unknown = np.setdiff1d(distribution.genome, known)
    share = len(unknown) / len(distribution.genome)
    found = (
        f"{len(unknown)} of {len(distribution.genome)} genomes ({100 * share:.0f} %) are no taxa "
        f"of {database}, for example {_some(unknown)}"
    )
    if share > max_unknown:
        raise ValueError(
            f"{source}: {found}; it is the k-mer distribution of another database: use the one "
            "that came with this database, build it, or set profile.reestimate: false"
        )
    warnings = []
    if len(unknown):
        warnings.append(f"{source}: {found}; is it of another release of the database?")
    leaves = np.setdiff1d(known, np.fromiter(parents.values(), np.int64, count=len(parents)))
    missing = np.setdiff1d(leaves, distribution.genome)
    if len(missing):
        warnings.append(
            f"{source}: has no genome of {len(missing)} of the {len(leaves)} taxa of {database} "
            f"without a child, for example {_some(missing)}; fragments are not handed down to "
            "them. Right only if their sequences are shorter than a read"
        )
    return warnings


def _some(ids: Ints) -> str:
    return ", ".join(str(taxon) for taxon in ids[:5])


def _check_distribution(
    path: str | PathLike[str], node: Ints, row: Ints, genome: Ints, windows: Ints, total: Ints
) -> None:
    ids, counts = np.unique(node, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"{path}: taxon {ids[counts > 1][0]} has two lines; it may have one")
    order = np.lexsort((genome, row))
    twice = (np.diff(row[order]) == 0) & (np.diff(genome[order]) == 0)
    if twice.any():
        at = order[twice.argmax()]
        raise ValueError(
            f"{path}, line {row[at] + 2}: genome {genome[at]} stands twice at taxon "
            f"{node[row[at]]}; get it again or build it"
        )
    impossible = (windows < 1) | (windows > total)
    if impossible.any():
        at = impossible.argmax()
        raise ValueError(
            f"{path}, line {row[at] + 2}: genome {genome[at]} has {windows[at]} windows at taxon "
            f"{node[row[at]]} of {total[at]} in all; it must be between 1 and that"
        )
    order = np.lexsort((row, genome))
    differs = (np.diff(genome[order]) == 0) & (np.diff(total[order]) != 0)
    if differs.any():
        at, other = order[differs.argmax()], order[differs.argmax() + 1]
        raise ValueError(
            f"{path}: genome {genome[at]} has {total[at]} windows in line {row[at] + 2} and "
            f"{total[other]} in line {row[other] + 2}; it must be one number"
        )


def estimate_sample(
    report: Report,
    distribution: Distribution | None,
    level: str,
    threshold: int,
    excluded: Collection[int] = (),
) -> SampleEstimate:
    """Re-estimate one sample's abundances at a rank, equal to Bracken's to the last fragment.

    A taxon of the rank is kept if it has at least `threshold` fragments; the others keep
    nothing. The fragments at each node above the rank go to the genomes g of kept taxa in
    proportion to ``fraction[node, g] * n[g] / own_fraction[g]``, where n[g] are the fragments
    at g and below it; genomes are then summed into their taxa.

    Parameters
    ----------
    report : Report
        The sample.
    distribution : Distribution or None
        Of the database that classified the sample, for its read length. Without one, nothing is
        handed down and the assigned fragments are the result.
    level : {'D', 'P', 'C', 'O', 'F', 'G', 'S'}
        Rank code.
    threshold : int
        Fragments, 0 or more.
    excluded : collection of int, optional
        Ids of taxa that are not kept either.

    Returns
    -------
    SampleEstimate
        The kept taxa. Estimates are cut, not rounded, to whole fragments.

    Raises
    ------
    ValueError
        If the level is none of the above or the threshold is negative.

    Notes
    -----
    Two habits of Bracken are kept, because they change numbers.
    A taxon below the rank without an ancestor at it (a species directly in a family, at level G)
    counts as a genome of the last taxon of the rank listed before it, if that one was kept.
    Sums are floating-point numbers in the order of the file and the tree, then cut: where the
    exact sum is whole, rounding may make it one less. Hence no matrix product here, whose order
    of summation is not fixed.
    """
    _check_level(level, threshold)
    taxon_id = np.asarray(report.taxon_id, dtype=np.int64)
    clade = np.asarray(report.clade, dtype=np.int64)
    is_level = np.fromiter(map(level.__eq__, report.rank), dtype=bool)
    enough = (clade >= threshold) & ~np.isin(taxon_id, list(excluded))
    kept = np.flatnonzero(is_level & enough)
    if distribution is None or not len(kept):
        assigned = clade[kept]
        return SampleEstimate(
            taxon_id[kept], assigned, np.zeros_like(assigned), assigned.astype(float)
        )
    paths = _paths(report, taxon_id, is_level, level, enough, distribution)
    added = _hand_down(paths, np.asarray(report.direct, dtype=np.int64), clade)[kept]
    assigned = clade[kept]
    uncut = assigned + added
    return SampleEstimate(taxon_id[kept], assigned, uncut.astype(np.int64) - assigned, uncut)


def reestimate_draws(
    report: Report,
    distribution: Distribution | None,
    level: str,
    threshold: int,
    direct: Floats,
    excluded: Collection[int] = (),
) -> tuple[Floats, Floats]:
    """Re-estimate many versions of one report, all with the taxa that the report itself keeps.

    What is handed down depends on the counts below, so each version has shares of its own. Equal
    to `estimate_sample` but for the last bits: sums are matrix products here.

    Parameters
    ----------
    report, distribution, level, threshold, excluded
        As for `estimate_sample`.
    direct : array of shape (n_nodes, n_draws)
        Fragments at each node of the report, one version a column; 0 or more, not all whole.

    Returns
    -------
    (assigned, estimate), arrays of shape (n_taxa, n_draws)
        Fragments at each taxon and below it, and with those handed down; rows as in
        `estimate_sample`. Not cut to whole fragments.

    Examples
    --------
    >>> from moodbiome.kraken import parse_report
    >>> text = "100.00\\t9\\t2\\tR\\t1\\troot\\n 77.78\\t7\\t7\\tD\\t2\\t  Bacteria\\n"
    >>> assigned, estimate = reestimate_draws(
    ...     parse_report(text, "example"), None, "D", 0, np.array([[2.0, 1.0], [7.0, 6.5]])
    ... )
    >>> assigned
    array([[7. , 6.5]])
    """
    _check_level(level, threshold)
    taxon_id = np.asarray(report.taxon_id, dtype=np.int64)
    observed = np.asarray(report.clade, dtype=np.int64)
    is_level = np.fromiter(map(level.__eq__, report.rank), dtype=bool)
    enough = (observed >= threshold) & ~np.isin(taxon_id, list(excluded))
    kept = np.flatnonzero(is_level & enough)
    end = np.arange(len(taxon_id)) + _clade_sizes(report)
    # Nodes stand directly before their descendants: a clade is a run of rows.
    before = np.zeros((len(direct) + 1, direct.shape[1]))
    np.cumsum(direct, axis=0, out=before[1:])
    assigned = before[end[kept]] - before[kept]
    if distribution is None or not len(kept):
        return assigned, assigned
    paths = _paths(report, taxon_id, is_level, level, enough, distribution)
    genome, column = np.unique(paths.genome, return_inverse=True)
    size = before[end[genome]] - before[genome]
    reach = scipy.sparse.csr_array(
        (paths.fraction / paths.own_fraction, (paths.of_node, column)),
        shape=(len(paths.node), len(genome)),
    )
    reached = reach @ size
    share = np.divide(direct[paths.node], reached, out=np.zeros_like(reached), where=reached > 0)
    received = size * (reach.T @ share)
    row = np.searchsorted(kept, paths.owner[genome])
    into = scipy.sparse.csr_array(
        (np.ones(len(genome)), (row, np.arange(len(genome)))), shape=(len(kept), len(genome))
    )
    return assigned, assigned + into @ received


def _check_level(level: str, threshold: int) -> None:
    if level not in LEVELS:
        raise ValueError(f"level {level!r} is none of {' '.join(LEVELS)}")
    if threshold < 0:
        raise ValueError(f"the threshold is {threshold} fragments; it must be 0 or more")


class _Paths(NamedTuple):
    """The ways down: which genomes' reads end at which nodes above the rank.

    Attributes
    ----------
    node : array of shape (n_shared,)
        Positions in the report of the nodes above the rank that have fragments.
    of_node, genome : array of shape (n_paths,)
        For each way its node, as a position in `node`, and its genome, as one in the report.
    fraction, own_fraction : array of shape (n_paths,)
        Share of the genome's reads that end at the node, and at the genome's own taxon.
    owner : array of shape (n_nodes,)
        Position in the report of the taxon of the rank to which a node counts; -1 before the first.
    owned : array of int
        Nodes that are genomes of kept taxa.
    """

    node: Ints
    of_node: Ints
    genome: Ints
    fraction: Floats
    own_fraction: Floats
    owner: Ints
    owned: Ints


def _paths(
    report: Report,
    taxon_id: Ints,
    is_level: NDArray[np.bool_],
    level: str,
    enough: NDArray[np.bool_],
    distribution: Distribution,
) -> _Paths:
    """Which genomes of kept taxa the fragments at each node above the rank may be of."""
    n_nodes = len(taxon_id)
    position = np.arange(n_nodes)
    rank_order = np.array([_RANK_ORDER[rank[0]] for rank in report.rank])
    owner = np.maximum.accumulate(np.where(is_level, position, -1))
    has_owner = (rank_order >= _RANK_ORDER[level]) & (owner >= 0)
    has_owner[has_owner] = enough[owner[has_owner]]
    owned = np.flatnonzero(has_owner)

    # Where in the report each genome of the distribution stands; -1: not a genome of this sample.
    genome_position = np.full(len(distribution.genome), -1)
    genome, found = _locate(distribution.genome, taxon_id[owned])
    genome_position[genome] = owned[found]

    direct = np.asarray(report.direct, dtype=np.int64)
    by_depth, above = _above(report, is_level)
    shared = by_depth[above[by_depth] & (direct[by_depth] > 0)]
    row, found = _locate_unsorted(distribution.node, taxon_id[shared])
    shared = shared[found]
    length = distribution.start[row + 1] - distribution.start[row]
    ends = np.cumsum(length)
    entry = np.arange(length.sum()) + np.repeat(distribution.start[row] - (ends - length), length)
    of_node = np.repeat(np.arange(len(shared)), length)
    present = genome_position[distribution.entry[entry]] >= 0
    entry, of_node = entry[present], of_node[present]
    genome = distribution.entry[entry]
    return _Paths(
        shared,
        of_node,
        genome_position[genome],
        distribution.fraction[entry],
        distribution.own_fraction[genome],
        owner,
        owned,
    )


def _hand_down(paths: _Paths, direct: Ints, clade: Ints) -> Floats:
    """Fragments from above the rank that each taxon of the rank receives, by report position."""
    _, of_node, at, fraction, own_fraction, owner, owned = paths
    # bincount adds one value after the other, in order, as Bracken's loops do.
    size = clade[at] / own_fraction
    size_sum = np.bincount(of_node, size, minlength=len(paths.node))
    some = size_sum[of_node] > 0
    of_node, at, size, fraction = of_node[some], at[some], size[some], fraction[some]
    likelihood = fraction * (size / size_sum[of_node])
    likelihood_sum = np.bincount(of_node, likelihood, minlength=len(paths.node))
    received = likelihood / likelihood_sum[of_node] * direct[paths.node[of_node]]
    by_genome = np.bincount(at, received, minlength=len(clade))
    by_taxon = np.bincount(owner[owned], by_genome[owned], minlength=len(clade))
    return by_taxon.astype(np.float64)


def _clade_sizes(report: Report) -> Ints:
    """Number of nodes at and below each node."""
    depth = np.asarray(report.depth, dtype=np.int64)
    parent = np.asarray(report.parent, dtype=np.int64)
    size = np.ones(len(depth), dtype=np.int64)
    by_depth = np.argsort(depth, kind="stable")
    for nodes in np.split(by_depth, np.flatnonzero(np.diff(depth[by_depth])) + 1)[:0:-1]:
        np.add.at(size, parent[nodes], size[nodes])
    return size


def _above(report: Report, is_level: NDArray[np.bool_]) -> tuple[Ints, NDArray[np.bool_]]:
    """Nodes in order of depth, and whether a node is neither at the rank nor below such a node."""
    depth = np.asarray(report.depth, dtype=np.int64)
    parent = np.asarray(report.parent, dtype=np.int64)
    by_depth = np.argsort(depth, kind="stable")
    above = ~is_level
    for nodes in np.split(by_depth, np.flatnonzero(np.diff(depth[by_depth])) + 1)[1:]:
        above[nodes] &= above[parent[nodes]]
    return by_depth, above


def _locate(sorted_ids: Ints, wanted: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Positions of the wanted ids that occur, and which of the wanted these are."""
    at = np.searchsorted(sorted_ids, wanted).clip(max=len(sorted_ids) - 1)
    found = sorted_ids[at] == wanted
    return at[found], found


def _locate_unsorted(ids: Ints, wanted: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    order = np.argsort(ids)
    at, found = _locate(ids[order], wanted)
    return order[at], found


def estimate(
    reports: Mapping[str, Report] | Iterable[tuple[str, Report]],
    distribution: Distribution | None,
    level: str,
    threshold: int,
) -> Estimates:
    """Re-estimate the abundances of many samples at a rank; see `estimate_sample`.

    Parameters
    ----------
    reports : mapping of sample to Report, or iterable of such pairs
        An iterable is read once, one report at a time, so it may read files as it goes.
    distribution : Distribution or None
        As for `estimate_sample`.
    level : {'D', 'P', 'C', 'O', 'F', 'G', 'S'}
        Rank code.
    threshold : int
        Fragments.

    Returns
    -------
    Estimates

    Raises
    ------
    ValueError
        If a sample is given twice, or as for `estimate_sample`.
    """
    pairs = reports.items() if isinstance(reports, Mapping) else reports
    samples: list[str] = []
    parts: list[SampleEstimate] = []
    for sample, report in pairs:
        samples.append(sample)
        parts.append(estimate_sample(report, distribution, level, threshold))
    if len(set(samples)) < len(samples):
        twice = next(sample for sample in samples if samples.count(sample) > 1)
        raise ValueError(f"sample {twice!r} is given twice; merge its runs before classifying")
    return collect(samples, parts)


def collect(samples: list[str], parts: list[SampleEstimate]) -> Estimates:
    """Put the estimates of single samples, in the same order, into one table."""
    empty = np.zeros(0, dtype=np.int64)
    column = np.repeat(np.arange(len(parts)), [len(part.taxon_id) for part in parts])
    taxon_id, row = np.unique(
        np.concatenate([empty, *(part.taxon_id for part in parts)]), return_inverse=True
    )
    shape = (len(taxon_id), len(samples))

    def table(values: list[Ints]) -> "scipy.sparse.csc_array":
        return scipy.sparse.csc_array(
            (np.concatenate([empty, *values]), (row, column)), shape=shape
        )

    return Estimates(
        samples,
        taxon_id,
        assigned=table([part.assigned for part in parts]),
        added=table([part.added for part in parts]),
    )


def nearest_read_length(available: Iterable[int], mean_length: float) -> ReadLength:
    """The read length to re-estimate with: the nearest for which the database is prepared.

    Parameters
    ----------
    available : iterable of int
        Read lengths in bp of the database's distributions.
    mean_length : float
        Mean length of the sample's reads in bp, after trimming.

    Returns
    -------
    ReadLength
        Of two equally near the shorter; exact if it is the mean rounded to whole bases.

    Raises
    ------
    ValueError
        If no length is available or the mean is not above 0.

    Examples
    --------
    >>> nearest_read_length([50, 100, 150], 147.2)
    ReadLength(length=150, is_exact=False)
    """
    lengths = sorted(set(available))
    if not lengths:
        raise ValueError("the database has no k-mer distribution for any read length; build one")
    if not mean_length > 0:
        raise ValueError(f"the mean read length is {mean_length} bp; it must be above 0")
    length = min(lengths, key=lambda candidate: (abs(candidate - mean_length), candidate))
    return ReadLength(length, is_exact=round(mean_length) == length)


def choose_read_length(
    available: Iterable[int], mean_length: float | None, requested: int
) -> ReadLength | None:
    """The read length to re-estimate a sample with: the one requested, or else the nearest.

    Parameters
    ----------
    available : iterable of int
        As for `nearest_read_length`; none where nothing is re-estimated.
    mean_length : float or None
        As for `nearest_read_length`; None of a sample without reads.
    requested : int
        Read length in bp; 0 for the nearest to the mean.

    Returns
    -------
    ReadLength or None
        None where there is no distribution, or neither length is known.

    Raises
    ------
    ValueError
        If the database has distributions, but not for the requested length.

    Examples
    --------
    >>> choose_read_length([100, 150], 141.0, 100)
    ReadLength(length=100, is_exact=True)
    """
    lengths = sorted(set(available))
    if not lengths or not (requested or mean_length):
        return None
    if not requested:
        return nearest_read_length(lengths, mean_length or 0)
    if requested not in lengths:
        raise ValueError(
            f"profile.read_length_bp is {requested}, but the database has k-mer distributions for "
            f"{', '.join(map(str, lengths))} bp only; take one of them, or 0 for the nearest to "
            f"each sample's mean"
        )
    return ReadLength(requested, is_exact=True)
