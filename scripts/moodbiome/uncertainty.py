"""Intervals of abundances: what counting fragments and re-estimating them leave uncertain.

The fragments at every node of a report are drawn anew, and each draw is re-estimated as the report
itself was. A taxon that owes much to fragments handed down is then known less well than a count
of that size: what it receives rests on the few fragments that tell it from its relatives.
"""

import hashlib
from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betaincinv, gammaincinv

from moodbiome.bracken import Distribution, estimate_sample, reestimate_draws
from moodbiome.kraken import RANK_CODES, Report

COLUMNS = ("sample", "taxon_id", "fragments", "proportion", "low", "high", "effective_fragments")

# Jeffreys' prior of a count: half a fragment.
_PRIOR = 0.5
_TAILS = (0.025, 0.975)

Floats = NDArray[np.float64]


def sample_intervals(
    reports: Mapping[str, Report],
    distribution: Mapping[str, Distribution],
    ranks: Collection[str],
    threshold: int,
    *,
    draws: int,
    seed: int,
    removed: Mapping[str, Collection[int]] | None = None,
    excluded: Mapping[str, Mapping[str, Collection[int]]] | None = None,
) -> dict[str, pd.DataFrame]:
    """95 % interval of the abundance of every taxon that a sample has, by rank.

    Parameters
    ----------
    reports : mapping of sample to Report
    distribution : mapping of sample to Distribution
        As the counts were made with. A sample without one has the noise of counting only.
    ranks
        Of {'domain', 'phylum', 'class', 'order', 'family', 'genus', 'species'}.
    threshold : int
        Fragments, as the counts were made with.
    draws
        Versions drawn of each report, 100 or more.
    seed
        The run's seed. Draws depend on it and on the sample's name only.
    removed : mapping of rank to taxon ids, optional
        Taxa taken out of the counts of the rank, such as contaminants.
    excluded : mapping of rank to a mapping of sample to taxon ids, optional
        Taxa that the counts were made without, as for `moodbiome.tables.build_counts`.

    Returns
    -------
    dict of rank to DataFrame with the columns `COLUMNS`
        One row a sample and taxon, samples in the order given and taxa by id. Before the taxa of
        a sample stands a row without taxon_id, of 0 fragments: its ``high`` holds for every taxon
        that has no row.

        ``proportion`` is `fragments` over the fragments of all taxa of the rank in the sample, and
        ``low`` and ``high`` are of the same denominator. ``effective_fragments`` is the count
        that would be known as well were nothing handed down: the abundance's mean^2 / variance.

    Raises
    ------
    ValueError
        If there are too few draws.

    Notes
    -----
    A node with n fragments has n ~ Gamma(n) in a draw, and its shares of what lies above are those
    of the draw. What is handed down is not split at random besides: the abundance sought is that of
    the specimen, and of it the split of these very fragments says no more than their number.

    To the taxon whose interval is sought half a fragment is added in a draw, so that where nothing
    is handed down the interval is Jeffreys' (Brown, Cai and DasGupta 2001, Stat. Sci. 16:101-133).

    ``effective_fragments`` is the assigned fragments times the relative variance of their own draws
    over that of the re-estimated draws. The same draws stand in both, so that it is the
    count itself, without noise of the draws, where nothing is handed down.

    For a taxon without a row, `high` is the upper limit of `threshold` - 1 assigned fragments (the
    most it can have had), or of none if the threshold is 0, among those assigned to others.
    """
    if draws < 100:
        raise ValueError(f"{draws} draws; a 95 % interval needs at least 100")
    parts: dict[str, list[list[NDArray[np.generic]]]] = {rank: [] for rank in ranks}
    for sample, report in reports.items():
        random = generator(seed, f"abundances of {sample}")
        observed = np.asarray(report.direct, dtype=float)
        direct = random.standard_gamma(observed[:, np.newaxis], size=(len(observed), draws))
        prior = random.standard_gamma(_PRIOR, size=draws)
        for rank in ranks:
            out = np.array(sorted((removed or {}).get(rank, ())), dtype=np.int64)
            without = (excluded or {}).get(rank, {}).get(sample, ())
            cells = _intervals(
                *(report, distribution.get(sample), RANK_CODES[rank], threshold),
                *(direct, prior, out, without),
            )
            parts[rank].append([np.full(len(cells[0]), sample, dtype=object), *cells])
    return {rank: _table(of_rank) for rank, of_rank in parts.items()}


def _intervals(
    report: Report,
    distribution: Distribution | None,
    level: str,
    threshold: int,
    direct: Floats,
    prior: Floats,
    removed: NDArray[np.int64],
    excluded: Collection[int],
) -> list[NDArray[np.generic]]:
    """Columns of one sample and rank, without the sample's name."""
    found = estimate_sample(report, distribution, level, threshold, excluded)
    assigned, estimate = reestimate_draws(report, distribution, level, threshold, direct, excluded)
    kept = np.flatnonzero((found.estimate > 0) & ~np.isin(found.taxon_id, removed))
    kept = kept[np.argsort(found.taxon_id[kept])]
    assigned, estimate = assigned[kept], estimate[kept]
    fragments = found.estimate[kept]
    drawn = (estimate + prior) / (estimate.sum(axis=0) + prior)
    low, high = np.quantile(drawn, _TAILS, axis=1, method="weibull")
    ratio = _relative_variance(assigned) / _relative_variance(estimate)
    effective = np.minimum(found.assigned[kept] * ratio, fragments)
    unseen = gammaincinv(max(threshold, 1) - 1 + _PRIOR, _TAILS[1])
    unseen_high = unseen / (unseen + found.assigned[kept].sum())
    absent = (0, 0, 0.0, 0.0, unseen_high, 0.0)
    columns = (
        *(found.taxon_id[kept], fragments, fragments / max(fragments.sum(), 1)),
        *(low, high, effective),
    )
    return [np.append(first, rest) for first, rest in zip(absent, columns, strict=True)]


def counting_intervals(counts: pd.DataFrame) -> pd.DataFrame:
    """95 % interval of the abundance of every taxon of counts that nothing was handed down in.

    Parameters
    ----------
    counts : DataFrame
        As `moodbiome.tables.build_counts` returns it.

    Returns
    -------
    DataFrame with the columns `COLUMNS`
        As of `sample_intervals`, with Jeffreys' intervals; ``effective_fragments`` is the count.

    Examples
    --------
    >>> counts = pd.DataFrame({"name": "", "lineage": "", "S1": [5, 1, 30, 0, 70]},
    ...                       index=[0, -1, 10, 11, 12])
    >>> counting_intervals(counts)[["taxon_id", "proportion", "low", "high"]].round(3)
       taxon_id  proportion    low   high
    0      <NA>         0.0  0.000  0.025
    1        10         0.3  0.218  0.396
    2        12         0.7  0.609  0.786
    """
    taxa = counts[counts.index > 0].sort_index()
    parts = []
    for sample in taxa.columns.drop(["name", "lineage"]):
        kept = taxa.index[taxa[sample] > 0]
        fragments = taxa.loc[kept, sample].to_numpy()
        total = fragments.sum()
        unseen = gammaincinv(_PRIOR, _TAILS[1])
        absent = (sample, 0, 0, 0.0, 0.0, unseen / (unseen + total), 0.0)
        # One taxon alone is all there is: its share is 1 whatever was counted.
        others = np.maximum(total - fragments, np.finfo(float).tiny)
        low, high = (betaincinv(fragments + _PRIOR, others, tail) for tail in _TAILS)
        columns = (kept, fragments, fragments / max(total, 1), low, high, fragments.astype(float))
        names = np.full(len(kept), sample, dtype=object)
        parts.append(
            [np.append(first, rest) for first, rest in zip(absent, (names, *columns), strict=True)]
        )
    return _table(parts)


def _relative_variance(draws: Floats) -> Floats:
    mean: Floats = draws.mean(axis=1)
    return draws.var(axis=1, ddof=1) / mean**2


def _table(parts: list[list[NDArray[np.generic]]]) -> pd.DataFrame:
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    table = pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))
    taxon_id = table["taxon_id"].astype("Int64")
    return table.assign(taxon_id=taxon_id.mask(taxon_id == 0))


def effective_counts(intervals: pd.DataFrame) -> pd.DataFrame:
    """Effective fragments by taxon id and sample; missing where a sample lacks the taxon.

    Examples
    --------
    >>> effective_counts(pd.DataFrame({"sample": ["S1", "S1"], "taxon_id": [None, 841],
    ...                                "effective_fragments": [0.0, 12.5]})).loc[841, "S1"]
    np.float64(12.5)
    """
    taxa = intervals[intervals["taxon_id"].notna()].astype({"taxon_id": "int64"})
    # Each taxon stands once a sample, so that nothing is averaged.
    wide = taxa.pivot_table(index="taxon_id", columns="sample", values="effective_fragments")
    return wide.rename_axis(columns=None)


def generator(seed: int, name: str) -> np.random.Generator:
    """A stream of its own for each name, whatever else is drawn."""
    digest = np.frombuffer(hashlib.sha256(name.encode()).digest(), dtype="<u4")
    return np.random.default_rng([seed, *digest.tolist()])
