"""Feature tables: counts by rank for a cohort, in which every fragment is in one row."""

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from moodbiome.bracken import Distribution, Ints, estimate_sample
from moodbiome.kraken import RANK_CODES, Report
from moodbiome.tools import writing

UNCLASSIFIED, UNASSIGNED = 0, -1
"""Row keys of the fragments without a taxon, and of those with none at the table's rank."""

SPECIAL = {UNCLASSIFIED: "unclassified", UNASSIGNED: "unassigned"}
TEXT_COLUMNS = ("name", "lineage")
# BIOM wants a date; a clock would make equal tables differ.
_NO_DATE = datetime(1970, 1, 1)


def build_counts(
    reports: Mapping[str, Report] | Iterable[tuple[str, Report]],
    distribution: Distribution | Mapping[str, Distribution] | None,
    rank: str,
    threshold: int,
    excluded: Mapping[str, Collection[int]] | None = None,
) -> pd.DataFrame:
    """Count the fragments of every sample by taxon of a rank.

    Parameters
    ----------
    reports : mapping of sample to Report, or iterable of such pairs
        All from one database. An iterable is read once, one report at a time, so it may read
        files as it goes and a cohort of any size fits in memory.
    distribution : Distribution, mapping of sample to Distribution, or None
        For Bracken's re-estimation; by sample where read lengths differ. Without one (amplicons,
        or a database that has none: None or an empty mapping) a taxon has the fragments that
        Kraken2 put at it and below.
    rank : {'domain', 'phylum', 'class', 'order', 'family', 'genus', 'species'}
        Rank of the rows.
    threshold : int
        A taxon with fewer fragments in a sample, before re-estimation, is not reported in that
        sample; its fragments are unassigned.
    excluded : mapping of sample to taxon ids, optional
        Taxa that are not reported in a sample either, however many fragments they have there.

    Returns
    -------
    DataFrame of shape (n_taxa + 2, n_samples + 2), indexed by taxon_id
        Text columns ``name`` and ``lineage``, then a column of integers a sample, in the order
        given. First the rows 0 (unclassified) and -1 (classified, but not at this rank), then
        taxa with at least one fragment, by taxon id. Every column sums to the total of its
        report.

    Raises
    ------
    ValueError
        If the rank is unknown, a sample is given twice or has the name of a text column, a
        sample with classified fragments lacks a distribution that others have, one taxon id has
        two names or two parents, or a column does not sum to its report's total.
    """
    by_rank = {rank: excluded} if excluded else None
    return count_ranks(reports, distribution, [rank], threshold, by_rank)[rank]


def count_ranks(
    reports: Mapping[str, Report] | Iterable[tuple[str, Report]],
    distribution: Distribution | Mapping[str, Distribution] | None,
    ranks: Sequence[str],
    threshold: int,
    excluded: Mapping[str, Mapping[str, Collection[int]]] | None = None,
) -> dict[str, pd.DataFrame]:
    """Count the fragments of every sample at several ranks; see `build_counts`.

    Reports are read once for all ranks.

    Parameters
    ----------
    reports, distribution, threshold
        As for `build_counts`.
    ranks : sequence of str
        Ranks of the tables.
    excluded : mapping of rank to what `build_counts` takes, optional

    Returns
    -------
    dict of rank to DataFrame
        In the order of `ranks`.

    Raises
    ------
    ValueError
        As for `build_counts`.
    """
    for rank in ranks:
        if rank not in RANK_CODES:
            raise ValueError(f"rank {rank!r} is none of {', '.join(RANK_CODES)}")
    pairs = reports.items() if isinstance(reports, Mapping) else reports
    taxa = _Taxa()
    samples: list[str] = []
    # Of each rank, for each sample, its taxa with fragments and how many these have.
    found: dict[str, list[tuple[Ints, Ints]]] = {rank: [] for rank in ranks}
    unclassified, total = [], []
    for sample, report in pairs:
        samples.append(sample)
        taxa.add(sample, report)
        known = _distribution_of(sample, report, distribution)
        for rank in ranks:
            not_here = (excluded or {}).get(rank, {}).get(sample, ())
            part = estimate_sample(report, known, RANK_CODES[rank], threshold, not_here)
            fragments = part.estimate
            found[rank].append((part.taxon_id[fragments > 0], fragments[fragments > 0]))
        unclassified.append(report.unclassified)
        total.append(report.total)
    _check_samples(samples)
    return {
        rank: _table(rank, samples, found.pop(rank), unclassified, total, taxa) for rank in ranks
    }


def _table(
    rank: str,
    samples: list[str],
    found: list[tuple[Ints, Ints]],
    unclassified: list[int],
    total: list[int],
    taxa: "_Taxa",
) -> pd.DataFrame:
    """One rank's table, from each sample's taxa and their fragments."""
    taxon_id = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *(ids for ids, _ in found)]))
    counts = np.zeros((2 + len(taxon_id), len(samples)), dtype=np.int64)
    counts[0] = unclassified
    for column, (own_ids, fragments) in enumerate(found):
        counts[2 + np.searchsorted(taxon_id, own_ids), column] = fragments
    counts[1] = np.asarray(total, dtype=np.int64) - counts[0] - counts[2:].sum(axis=0)
    _check_unassigned(samples, counts, total, rank)
    ids = taxon_id.tolist()
    table = pd.DataFrame(counts, index=pd.Index([*SPECIAL, *ids], name="taxon_id"), columns=samples)
    names = [*SPECIAL.values(), *(taxa.name[taxon] for taxon in ids)]
    lineages = [*[""] * len(SPECIAL), *(taxa.lineage[taxon] for taxon in ids)]
    table.insert(0, "name", pd.Series(names, index=table.index, dtype="str"))
    table.insert(1, "lineage", pd.Series(lineages, index=table.index, dtype="str"))
    return table


def _distribution_of(
    sample: str, report: Report, distribution: Distribution | Mapping[str, Distribution] | None
) -> Distribution | None:
    if not isinstance(distribution, Mapping):
        return distribution
    if not distribution:
        return None
    if sample not in distribution and report.classified:
        raise ValueError(
            f"sample {sample!r} has {report.classified} classified fragments but no k-mer "
            f"distribution, unlike {next(iter(distribution))!r}; counts with and without "
            f"re-estimation cannot be compared"
        )
    return distribution.get(sample)


class _Taxa:
    """Names and lineages of all taxa seen, each of which must agree in all reports."""

    def __init__(self) -> None:
        self.name: dict[int, str] = {}
        self.lineage: dict[int, str] = {}
        self._parent: dict[int, int] = {}
        self._first: dict[int, str] = {}

    def add(self, sample: str, report: Report) -> None:
        ids = report.taxon_id.tolist()
        above = np.asarray(report.taxon_id)[np.asarray(report.parent)]
        above[:1] = 0
        parents = above.tolist()
        if list(map(self.name.get, ids)) == report.name and (
            list(map(self._parent.get, ids)) == parents
        ):
            return
        for node, (taxon, name, parent) in enumerate(zip(ids, report.name, parents, strict=True)):
            if taxon not in self.name:
                self.name[taxon] = name
                self.lineage[taxon] = report.lineage(node)
                self._parent[taxon] = parent
                self._first[taxon] = sample
            elif self.name[taxon] != name or self._parent[taxon] != parent:
                known = (self.name[taxon], self._parent[taxon])
                raise ValueError(
                    f"taxon {taxon} is {known[0]!r} below taxon {known[1]} in sample "
                    f"{self._first[taxon]!r}, but {name!r} below taxon {parent} in sample "
                    f"{sample!r}; classify all samples against one database"
                )


def _check_samples(samples: list[str]) -> None:
    if len(set(samples)) < len(samples):
        twice = next(sample for sample in samples if samples.count(sample) > 1)
        raise ValueError(f"sample {twice!r} is given twice; merge its runs before classifying")
    for column in ("taxon_id", *TEXT_COLUMNS):
        if column in samples:
            raise ValueError(f"a sample cannot be called {column!r}, as the table has that column")


def _check_unassigned(samples: list[str], counts: np.ndarray, total: list[int], rank: str) -> None:
    negative = counts[1] < 0
    if negative.any():
        at = int(negative.argmax())
        raise ValueError(
            f"sample {samples[at]!r}: unclassified and {rank} counts sum to "
            f"{total[at] - counts[1, at]}, but its report counts {total[at]} fragments; does one "
            f"taxon of this rank stand below another?"
        )
    sums = counts.sum(axis=0)
    for sample, found, expected in zip(samples, sums.tolist(), total, strict=True):
        if found != expected:
            raise ValueError(
                f"sample {sample!r}: the {rank} counts sum to {found}, but its report counts "
                f"{expected} fragments"
            )


def write_counts(counts: pd.DataFrame, path: str | PathLike[str]) -> None:
    """Write a feature table as TSV, in the form of `build_counts`."""
    # Names hold quotes and may look like anything, so nothing is quoted; they hold no tabs,
    # since a report's columns are parted by tabs.
    with writing(path):
        counts.to_csv(path, sep="\t", quoting=csv.QUOTE_NONE, lineterminator="\n")


def read_counts(path: str | PathLike[str]) -> pd.DataFrame:
    """Read a feature table written by `write_counts`.

    Returns
    -------
    DataFrame
        As `build_counts` returns it.

    Raises
    ------
    ValueError
        If the columns are others, a count is missing, negative or not whole, a taxon id stands
        twice, or the rows of unclassified and unassigned fragments do not come first.
    """
    table = pd.read_csv(
        path,
        sep="\t",
        quoting=csv.QUOTE_NONE,
        keep_default_na=False,
        dtype=dict.fromkeys(TEXT_COLUMNS, "str"),
    )
    expected = ("taxon_id", *TEXT_COLUMNS)
    if tuple(table.columns[:3]) != expected:
        raise ValueError(
            f"{path}: the first columns are {', '.join(table.columns[:3])}; they must be "
            f"{', '.join(expected)}"
        )
    table = table.set_index("taxon_id")
    if table.index[:2].tolist() != list(SPECIAL):
        raise ValueError(
            f"{path}: the first two rows must be taxon_id 0 (unclassified) and -1 (unassigned)"
        )
    if table.index.has_duplicates:
        taxon = table.index[table.index.duplicated()][0]
        raise ValueError(f"{path}: taxon_id {taxon} has two rows; it may have one")
    for sample in map(str, table.columns[len(TEXT_COLUMNS) :]):
        column = table[sample]
        if not pd.api.types.is_integer_dtype(column) or (column < 0).any():
            number = pd.to_numeric(column, errors="coerce")
            taxon = table.index[~((number >= 0) & (number % 1 == 0))].append(table.index[:1])[0]
            raise ValueError(
                f"{path}: taxon_id {taxon}, sample {sample!r} has {str(column.loc[taxon])!r}; "
                f"counts are whole numbers of 0 or more, written without a point"
            )
    return table


def prokaryotes(counts: pd.DataFrame) -> pd.DataFrame:
    """The rows of Bacteria and Archaea, and the special ones.

    A database may hold host, fungi or viruses; the score's and the models' denominator is what is
    bacterial or archaeal. A taxon whose lineage names no domain is kept.

    Examples
    --------
    >>> table = pd.DataFrame({"lineage": ["", "d__Bacteria;g__Dorea", "d__Eukaryota;g__Homo"]})
    >>> prokaryotes(table)["lineage"].tolist()
    ['', 'd__Bacteria;g__Dorea']
    """
    domain = counts["lineage"].str.extract(r"^d__(?:[dk]__)?([^;]+)")[0]
    return counts[domain.isna() | domain.isin(["Bacteria", "Archaea"])]


def write_biom(counts: pd.DataFrame, path: str | PathLike[str], title: str) -> None:
    """Write a feature table as BIOM 2.1 (HDF5), the same bytes for the same table.

    Parameters
    ----------
    counts : DataFrame
        As `build_counts` returns it; the two special rows are kept.
    path : path
        File to write.
    title : str
        Table id within the file, such as ``shotgun.genus``.
    """
    # Here, since most of those who import this module write no BIOM.
    import biom
    import h5py

    samples = [column for column in counts.columns if column not in TEXT_COLUMNS]
    metadata = [
        {"name": name, "taxonomy": (lineage or name).split(";")}
        for name, lineage in zip(counts["name"], counts["lineage"], strict=True)
    ]
    table = biom.Table(
        counts[samples].to_numpy(dtype=float),
        observation_ids=[str(taxon) for taxon in counts.index],
        sample_ids=samples,
        observation_metadata=metadata,
        table_id=title,
        type="Taxon table",
    )
    # Made in memory: HDF5 ends the process without a word of its own when a disk is full.
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        table.to_hdf5(file, generated_by="moodbiome", creation_date=_NO_DATE)
    with writing(path):
        Path(path).write_bytes(content.getbuffer())
