"""How diverse each community is (alpha), and how far communities lie apart (beta, ordination).

Tables of counts are taxa x samples, in fragments, without the rows of unclassified and unassigned
fragments (`features` takes them off).
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.linalg import eigh
from scipy.sparse.linalg import eigsh
from scipy.spatial.distance import pdist, squareform
from scipy.special import gammaln
from scipy.stats import rankdata, spearmanr

from moodbiome.association import NotRun
from moodbiome.permanova import checked_distances, gower_centred
from moodbiome.phylogeny import Branches, faith_pd

UNPLACED = (0, -1, -2)
"""Rows of fragments that are unclassified, not assigned at the rank, or of removed contaminants."""

# numpy's "marginals" method draws through hypergeometric variates, exact below this many fragments.
_MAX_FRAGMENTS = 10**9
# Above it the few axes wanted are found 20 times faster without the others.
_MANY_SAMPLES = 1000


class Ordination(NamedTuple):
    """Principal coordinates: what `pcoa` returns.

    Attributes
    ----------
    coordinates : DataFrame of shape (n_samples, n_axes)
        Columns PC1, PC2, ...
    share : Series of shape (n_axes,)
        Eigenvalue over the total sum of squares, by axis.
    """

    coordinates: pd.DataFrame
    share: pd.Series


def features(counts: pd.DataFrame) -> pd.DataFrame:
    """Counts of taxa alone: a counts table without labels and without unplaced fragments.

    Parameters
    ----------
    counts : DataFrame
        Indexed by taxon_id; columns name and lineage, if they come first, are taken off.

    Returns
    -------
    DataFrame of shape (n_taxa, n_samples)
        Integers, without the rows 0 (unclassified) and -1 (unassigned), rows in the same order.

    Raises
    ------
    ValueError
        If a count is missing, negative or not whole, or a taxon or sample occurs twice.

    Examples
    --------
    >>> features(pd.DataFrame({"S1": [5, 3]}, index=[0, 816])).index.tolist()
    [816]
    """
    if list(counts.columns[:2]) == ["name", "lineage"]:
        counts = counts.iloc[:, 2:]
    identifiers = counts.index.astype(str)
    return _checked(counts[~identifiers.isin([str(row) for row in UNPLACED])])


def _checked(counts: pd.DataFrame) -> pd.DataFrame:
    for labels, what in ((counts.index, "taxon"), (counts.columns, "sample")):
        if labels.has_duplicates:
            raise ValueError(
                f"{what} {labels[labels.duplicated()][0]} occurs twice in the counts; "
                "keep one or add them up"
            )
    values = counts.to_numpy(float)
    bad = ~((values >= 0) & np.isfinite(values) & (values == np.floor(values)))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"sample {counts.columns[column]!r}, taxon {counts.index[row]}: {values[row, column]}"
            " is not a count; diversity needs whole numbers of fragments, 0 or more"
        )
    return pd.DataFrame(values.astype(np.int64), counts.index, counts.columns)


def choose_depth(totals: pd.Series, minimum: int = 1000, minimum_samples_share: float = 0.9) -> int:
    """Depth to rarefy to: the largest that keeps a stated share of the usable samples, or all.

    Samples below `minimum` are set aside first: they are failures, and one of them must not decide
    how much of all the others is thrown away. Of the rest, at least `minimum_samples_share` is
    kept; all are kept where that costs less than half of the depth, for a sample is worth more than
    some of its reads. The smallest library as depth whatever it costs would waste most reads of a
    cohort with one poor sample; a depth chosen by eye could be chosen by its result. Rarefaction
    itself guards against differences in depth between groups better than its alternatives (Schloss
    2024, doi:10.1128/msphere.00354-23).

    Parameters
    ----------
    totals : Series
        Fragments of taxa by sample (column sums of `features`).
    minimum : int
        Fewest fragments of a usable sample.
    minimum_samples_share : float
        Share of the usable samples to keep, above 0 and at most 1.

    Returns
    -------
    int
        In fragments, at least `minimum`.

    Raises
    ------
    NotRun
        If no sample reaches `minimum`.
    ValueError
        If the share lies outside 0 to 1, or `minimum` is below 1.

    Examples
    --------
    >>> choose_depth(pd.Series([10, 2000, 6000, 7000, 8000]), minimum_samples_share=0.75)
    6000
    >>> choose_depth(pd.Series([10, 5900, 6000, 7000, 8000]), minimum_samples_share=0.75)
    5900
    """
    if not 0 < minimum_samples_share <= 1:
        raise ValueError(
            f"minimum_samples_share must be above 0 and at most 1, not {minimum_samples_share}"
        )
    if minimum < 1:
        raise ValueError(f"the minimum depth must be 1 fragment or more, not {minimum}")
    usable = np.sort(totals[totals >= minimum].to_numpy())
    if not len(usable):
        raise NotRun(
            f"diversity: none of {len(totals)} samples has {minimum} fragments of taxa; the "
            f"deepest has {int(totals.max()) if len(totals) else 0}. Lower the minimum depth"
        )
    # The tolerance keeps 0.9 x 10 at 9, whatever the rounding of the product.
    keep = math.ceil(minimum_samples_share * len(usable) - 1e-9)
    chosen = int(usable[len(usable) - keep])
    return int(usable[0]) if usable[0] >= chosen / 2 else chosen


def rarefy(
    counts: pd.Series, depth: int, repeats: int, seed: int, sample: str | None = None
) -> np.ndarray:
    """Repeated draws of `depth` fragments from one sample, without replacement.

    Parameters
    ----------
    counts : Series of shape (n_taxa,)
        Fragments by taxon.
    depth : int
        At most the sum of `counts`.
    repeats : int
    seed : int
        With the sample's name it fixes the draws, so that they depend on no other sample.
    sample : str, optional
        Name of the sample; that of `counts` if not given.

    Returns
    -------
    int array of shape (repeats, n_taxa)
        Each row sums to `depth`. Draws follow the taxa by identifier, not by row.

    Raises
    ------
    ValueError
        If the sample has fewer than `depth` fragments, or 1e9 or more.

    Examples
    --------
    >>> rarefy(pd.Series([2, 0, 1], index=[816, 853, 1263], name="S1"), 3, 2, seed=1).tolist()
    [[2, 0, 1], [2, 0, 1]]
    """
    sample = str(counts.name if sample is None else sample)
    values = counts.to_numpy(np.int64)
    total = int(values.sum())
    if not 1 <= depth <= total:
        raise ValueError(f"sample {sample!r} has {total} fragments; it has no depth of {depth}")
    if total >= _MAX_FRAGMENTS:
        raise ValueError(
            f"sample {sample!r} has {total} fragments; rarefaction takes fewer than "
            f"{_MAX_FRAGMENTS:,}: subsample its reads first"
        )
    order = np.argsort(counts.index.to_numpy().astype(str), kind="stable")
    present = order[values[order] > 0]
    draws = np.zeros((repeats, len(values)), np.int64)
    draws[:, present] = _generator(seed, sample).multivariate_hypergeometric(
        values[present], depth, size=repeats, method="marginals"
    )
    return draws


def rarefied(counts: pd.DataFrame, depth: int, seed: int) -> pd.DataFrame:
    """Counts of one rarefaction of every sample to `depth`; all must reach it (see `rarefy`)."""
    drawn = [rarefy(counts[sample], depth, 1, seed, str(sample))[0] for sample in counts]
    values = np.array(drawn, np.int64).reshape(counts.shape[1], len(counts)).T
    return pd.DataFrame(values, counts.index, counts.columns)


def _generator(seed: int, sample: str) -> np.random.Generator:
    name = int.from_bytes(hashlib.sha256(sample.encode()).digest()[:16], "big")
    return np.random.default_rng([seed, name])


def _entropy(draws: np.ndarray) -> np.ndarray:
    share = draws / draws.sum(axis=1, keepdims=True)
    return -(share * np.log(np.where(share > 0, share, 1))).sum(axis=1)


def _concentration(draws: np.ndarray) -> np.ndarray:
    share = draws / draws.sum(axis=1, keepdims=True)
    return (share**2).sum(axis=1)


def _observed(draws: np.ndarray) -> np.ndarray:
    return (draws > 0).sum(axis=1).astype(float)


def _chao1(draws: np.ndarray) -> np.ndarray:
    """Bias-corrected Chao1, which is defined without doubletons (Chao 1984; Gotelli 2013)."""
    once, twice = (draws == 1).sum(axis=1), (draws == 2).sum(axis=1)
    return _observed(draws) + once * (once - 1) / (2 * (twice + 1))


def _pielou(draws: np.ndarray) -> np.ndarray:
    observed = _observed(draws)
    alone = observed < 2
    return np.where(alone, np.nan, _entropy(draws) / np.log(np.where(alone, 2, observed)))


def _coverage(draws: np.ndarray) -> np.ndarray:
    """Sample coverage by singletons and doubletons (Chao & Jost 2012, doi:10.1890/11-1952.1)."""
    n, once, twice = draws.sum(axis=1), (draws == 1).sum(axis=1), (draws == 2).sum(axis=1)
    # Without doubletons their expected number follows from the singletons.
    seen = np.where(twice > 0, (n - 1) * once, (n - 1) * (once - 1).clip(0))
    unseen = np.where(twice > 0, 2 * twice, 2)
    return 1 - once / n * seen / (seen + unseen)


ALPHA_METRICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "observed": _observed,
    "chao1": _chao1,
    "shannon": _entropy,
    "simpson": lambda draws: 1 - _concentration(draws),
    "pielou": _pielou,
    "hill_q0": _observed,
    "hill_q1": lambda draws: np.exp(_entropy(draws)),
    "hill_q2": lambda draws: 1 / _concentration(draws),
    "coverage": _coverage,
}
"""Alpha diversity of each row of an array of counts (n_draws, n_taxa).

Observed, chao1 and Hill numbers are in taxa (effective numbers, Hill 1973, doi:10.2307/1934352),
shannon in nats, simpson is 1 - D, pielou is shannon over its largest possible value; coverage is
the estimated share of the community's fragments that are of the taxa seen.
"""

AT_COVERAGE = {
    "observed_at_coverage": ALPHA_METRICS["observed"],
    "shannon_at_coverage": ALPHA_METRICS["shannon"],
}
"""Metrics at equal coverage: each sample is rarefied to the depth at which it has that coverage.

Equal depth sees less of a diverse community than of a poor one, and so makes them look more alike;
equal coverage does not (Chao & Jost 2012, doi:10.1890/11-1952.1).
"""


def expected_coverage(counts: np.ndarray, depth: int) -> float:
    """Coverage that a sample is expected to have when rarefied to a depth.

    Chao & Jost (2012, doi:10.1890/11-1952.1), equation 4a; without singletons in the sample it is
    as sound as with them, for it follows from the counts of all taxa.

    Parameters
    ----------
    counts : int array of shape (n_taxa,)
        Fragments of one sample.
    depth : int
        In fragments, from 1 to the sum of `counts`.

    Returns
    -------
    float
        0 to 1.

    Examples
    --------
    >>> expected_coverage(np.array([3, 1]), 1), expected_coverage(np.array([3, 1]), 3)
    (0.5, 0.75)
    """
    present = counts[counts > 0]
    n = int(present.sum())
    if not 1 <= depth <= n:
        raise ValueError(f"a sample of {n} fragments has no depth of {depth}")
    if depth == n:
        return float(_coverage(present[None, :])[0])
    room = n - present >= depth
    some = present[room]
    logs = gammaln(n - some + 1) - gammaln(n - some - depth + 1) - gammaln(n) + gammaln(n - depth)
    return float(np.round(1 - (some / n * np.exp(logs)).sum(), 9))


def choose_coverage(counts: pd.DataFrame, depth: int) -> float:
    """Coverage to compare samples at: the least that any has at `depth`.

    So no sample is drawn to more than `depth`, and nothing is extrapolated.

    Parameters
    ----------
    counts : DataFrame of shape (n_taxa, n_samples)
        Of the samples that are compared; those with fewer fragments than `depth` have no say.
    depth : int
        In fragments.

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    NotRun
        If no sample reaches `depth`.
    """
    deep = counts.loc[:, counts.sum() >= depth]
    if not deep.shape[1]:
        raise NotRun(f"coverage: none of {counts.shape[1]} samples reaches {depth} fragments")
    return min(expected_coverage(values, depth) for values in deep.to_numpy().T)


def _depth_of_coverage(counts: np.ndarray, coverage: float, most: int) -> int:
    """The smallest depth, up to `most`, that is expected to have at least this coverage."""
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        if expected_coverage(counts, middle) >= coverage:
            high = middle
        else:
            low = middle
    return high


def alpha(
    counts: pd.DataFrame,
    depth: int,
    repeats: int = 100,
    seed: int = 0,
    trees: Mapping[str, Branches] | None = None,
    coverage: float | None = None,
) -> pd.DataFrame:
    """Alpha diversity of every sample at one depth, and at one coverage, by repeated rarefaction.

    Parameters
    ----------
    counts : DataFrame of shape (n_taxa, n_samples)
        As `features` gives them.
    depth : int
        Fragments drawn from each sample, as `choose_depth` gives it.
    repeats : int
        Draws per sample.
    seed : int
    trees : mapping of metric to Branches, optional
        Trees to measure Faith's phylogenetic diversity on, by the name of the metric.
    coverage : float, optional
        As `choose_coverage` gives it for `depth`; without, nothing is measured at equal coverage.

    Returns
    -------
    DataFrame
        One row a sample (order of `counts`) and metric (order of `ALPHA_METRICS`, `trees`,
        `AT_COVERAGE`): ``sample, metric, value, low, high, depth_used, coverage_used, status``.
        `value` is the mean of the draws, `low` and `high` their 2.5 and 97.5 % points: what the
        draw adds, not what another stool sample of the same person would. `depth_used` is in
        fragments, `coverage_used` the coverage expected at it. Status is ``ok``; ``below_depth``
        for a sample that has fewer fragments, its values empty; ``below_coverage`` for one that
        does not have the coverage at `depth`; ``undefined`` for pielou where a draw holds a single
        taxon.

    Raises
    ------
    ValueError
        As `features` and `rarefy`; or if `depth` or `repeats` is below 1.

    Examples
    --------
    >>> table = alpha(pd.DataFrame({"S1": [5, 5]}, index=[816, 853]), depth=10)
    >>> table.set_index("metric").loc[["observed", "hill_q2"], "value"].tolist()
    [2.0, 2.0]
    """
    if depth < 1 or repeats < 1:
        raise ValueError(f"depth ({depth}) and repeats ({repeats}) must be 1 or more")
    counts = _checked(counts)
    at_coverage = {} if coverage is None else AT_COVERAGE
    names = [*ALPHA_METRICS, *(trees or {}), *at_coverage]
    rows: list[tuple] = []
    for sample in counts.columns:
        column = counts[sample]
        nothing = [np.nan] * 3 + [pd.NA, np.nan]
        if column.sum() < depth:
            rows += [(sample, name, *nothing, "below_depth") for name in names]
            continue
        present = column[column > 0]
        values = present.to_numpy()
        draws = rarefy(present, depth, repeats, seed, str(sample))
        used = (depth, expected_coverage(values, depth))
        for name, metric in ALPHA_METRICS.items():
            rows.append((sample, name, *_spread(metric(draws), *used)))
        for name, tree in (trees or {}).items():
            rows.append((sample, name, *_spread(faith_pd(draws, tree.of(present.index)), *used)))
        if coverage is None:
            continue
        if used[1] < coverage:
            rows += [(sample, name, *nothing, "below_coverage") for name in at_coverage]
            continue
        own = _depth_of_coverage(values, coverage, depth)
        used = (own, expected_coverage(values, own))
        draws = rarefy(present, own, repeats, seed, str(sample))
        for name, metric in at_coverage.items():
            rows.append((sample, name, *_spread(metric(draws), *used)))
    measured = ["value", "low", "high", "depth_used", "coverage_used", "status"]
    table = pd.DataFrame(rows, columns=["sample", "metric", *measured])
    return table.astype({**dict.fromkeys(measured[:5], float), "depth_used": "Int64"})


def _spread(values: np.ndarray, depth: int, coverage: float) -> tuple:
    low, high = np.quantile(values, [0.025, 0.975])
    status = "undefined" if np.isnan(values).any() else "ok"
    return values.mean(), low, high, depth, coverage, status


def depth_sensitivity(tables: Mapping[int, pd.DataFrame], depth: int) -> pd.DataFrame:
    """Would another depth have ranked the samples otherwise?

    Parameters
    ----------
    tables : mapping of int to DataFrame
        Alpha diversity by depth in fragments, as `alpha` gives it; `depth` is among them.
    depth : int
        The depth that the others are held against.

    Returns
    -------
    DataFrame
        One row a metric and other depth: ``metric, depth_fragments, reference_depth_fragments,
        n, rank_correlation, median_change``. `n` counts the samples that reach both depths;
        `rank_correlation` is Spearman's, empty for fewer than 3 samples or equal values;
        `median_change` is that of value / reference - 1, empty without samples.
    """
    reference = by_metric(tables[depth])
    rows = []
    for other in sorted(set(tables) - {depth}):
        values = by_metric(tables[other])
        for metric in reference:
            pairs = pd.DataFrame({"one": values[metric], "two": reference[metric]}).dropna()
            varied = len(pairs) >= 3 and (pairs.max() > pairs.min()).all()
            change = pairs["one"] / pairs["two"].where(pairs["two"] > 0) - 1
            rows.append(
                {
                    "metric": metric,
                    "depth_fragments": other,
                    "reference_depth_fragments": depth,
                    "n": len(pairs),
                    "rank_correlation": (
                        spearmanr(pairs["one"], pairs["two"]).statistic if varied else np.nan
                    ),
                    "median_change": change.median() if len(pairs) else np.nan,
                }
            )
    return pd.DataFrame(rows)


def by_metric(table: pd.DataFrame) -> pd.DataFrame:
    """Values of `alpha` as a table of samples x metrics."""
    return table.pivot_table(
        index="sample", columns="metric", values="value", sort=False, dropna=False
    )


def _with_fragments(counts: pd.DataFrame) -> pd.DataFrame:
    counts = _checked(counts)
    empty = counts.columns[counts.sum() == 0]
    if len(empty):
        raise ValueError(
            f"sample {empty[0]!r} has no fragments of any taxon ({len(empty)} such samples); "
            "leave it out of beta diversity"
        )
    return counts


def _square(condensed: np.ndarray, samples: pd.Index) -> pd.DataFrame:
    index = pd.Index(samples, name="sample")
    return pd.DataFrame(squareform(condensed, checks=False), index, pd.Index(samples))


def bray_curtis(counts: pd.DataFrame) -> pd.DataFrame:
    """Bray-Curtis dissimilarity of proportions: the share of two communities that differs.

    Of proportions it is half the city-block distance, which is computed twice as fast.

    Parameters
    ----------
    counts : DataFrame of shape (n_taxa, n_samples)
        Every sample with a fragment at least.

    Returns
    -------
    DataFrame of shape (n_samples, n_samples)
        From 0 (same proportions) to 1 (no taxon in common).

    Raises
    ------
    ValueError
        If a sample has no fragments, or as `features`.

    Examples
    --------
    >>> bray_curtis(pd.DataFrame({"S1": [1, 1], "S2": [4, 0]})).loc["S1", "S2"]
    np.float64(0.5)
    """
    counts = _with_fragments(counts)
    proportions = (counts / counts.sum()).to_numpy().T
    return _square(pdist(proportions, "cityblock") / 2, counts.columns)


def jaccard(counts: pd.DataFrame, depth: int, repeats: int = 10, seed: int = 0) -> pd.DataFrame:
    """Jaccard dissimilarity of the taxa present at one depth, the mean over repeated rarefactions.

    Presence depends on depth, so that without rarefaction two samples of one community would differ
    as their depths do.

    Parameters
    ----------
    counts : DataFrame of shape (n_taxa, n_samples)
    depth : int
        In fragments. Samples with fewer are not in the result.
    repeats, seed : int

    Returns
    -------
    DataFrame of shape (n_samples, n_samples)
        Of the samples that reach `depth`: 0 (same taxa) to 1 (none in common).

    Raises
    ------
    ValueError
        As `rarefy`.
    """
    # Numbers of taxa are exact in single precision, which halves the work.
    return _unshared(counts, depth, repeats, seed, lambda present: present.astype(np.float32))


def unweighted_unifrac(
    counts: pd.DataFrame, branches: Branches, depth: int, repeats: int = 10, seed: int = 0
) -> pd.DataFrame:
    """Unweighted UniFrac: the share of branch length that leads to taxa of one sample alone.

    The mean over repeated rarefactions, as `jaccard` is and for its reason (Lozupone & Knight 2005,
    doi:10.1128/AEM.71.12.8228-8235.2005). The way from the root to the samples' common ancestor is
    shared.

    Parameters
    ----------
    counts : DataFrame of shape (n_taxa, n_samples)
    branches : Branches
        Of the same taxa.
    depth : int
        In fragments. Samples with fewer are not in the result.
    repeats, seed : int

    Returns
    -------
    DataFrame of shape (n_samples, n_samples)
        0 to 1.

    Raises
    ------
    ValueError
        As `rarefy`.
    """
    tree = branches.of(counts.index)
    weight = np.sqrt(tree.length)

    def of_branches(present: np.ndarray) -> np.ndarray:
        return (tree.below @ present.T.astype(np.float32) > 0).T * weight

    return _unshared(counts, depth, repeats, seed, of_branches)


def _unshared(
    counts: pd.DataFrame,
    depth: int,
    repeats: int,
    seed: int,
    parts_of: Callable[[np.ndarray], np.ndarray],
) -> pd.DataFrame:
    """One minus what two samples share of what either has, the mean over rarefactions.

    `parts_of` turns the taxa present (n_samples x n_taxa) into the roots of the weights that each
    sample has, so that their products are the weights shared.
    """
    counts = _checked(counts)
    if depth < 1 or repeats < 1:
        raise ValueError(f"depth ({depth}) and repeats ({repeats}) must be 1 or more")
    deep = counts.loc[:, counts.sum() >= depth]
    draws = np.zeros((repeats, deep.shape[1], len(deep)), bool)
    for place, sample in enumerate(deep.columns):
        draws[:, place] = rarefy(deep[sample], depth, repeats, seed, str(sample)) > 0
    total = np.zeros((deep.shape[1],) * 2)
    for present in draws:
        parts = parts_of(present)
        shared = parts @ parts.T
        size = np.diagonal(shared)
        union = size[:, None] + size
        union -= shared
        shared /= union
        total += shared
    distance = 1 - total / repeats
    # Rounding of the sums would leave a sample at 1e-16 from itself.
    np.fill_diagonal(distance, 0)
    return pd.DataFrame(
        np.maximum(distance, 0), pd.Index(deep.columns, name="sample"), pd.Index(deep.columns)
    )


def weighted_unifrac(counts: pd.DataFrame, branches: Branches) -> pd.DataFrame:
    """Weighted UniFrac, normalised: how far fragments would have to be moved along the tree.

    Differences of proportions below each branch, times its length, over their largest possible sum
    (Lozupone 2007, doi:10.1128/AEM.01996-06).

    Parameters
    ----------
    counts : DataFrame of shape (n_taxa, n_samples)
        Every sample with a fragment at least.
    branches : Branches
        Of the same taxa.

    Returns
    -------
    DataFrame of shape (n_samples, n_samples)
        0 (same proportions) to 1.

    Raises
    ------
    ValueError
        If a sample has no fragments, or as `features`.
    """
    counts = _with_fragments(counts)
    tree = branches.of(counts.index)
    proportions = (counts / counts.sum()).to_numpy()
    weighed = (tree.below @ proportions * tree.length[:, None]).T
    distance = squareform(pdist(weighed, "cityblock"), checks=False)
    size = weighed.sum(axis=1)
    distance /= size[:, None] + size
    return pd.DataFrame(distance, pd.Index(counts.columns, name="sample"), pd.Index(counts.columns))


def aitchison(counts: pd.DataFrame, pseudocount: float | None = None) -> pd.DataFrame:
    """Aitchison distance: Euclidean distance of centred log-ratios.

    Zeros have no logarithm. By default the robust transform is used (Martino 2019,
    doi:10.1128/mSystems.00016-19): each sample's logs are centred on the mean log of the taxa it
    has, and an absent taxon is put at 0, the sample's own centre. That invents no abundance and
    does not depend on depth through a pseudocount, but it places an absent taxon among the average
    ones; the missing values are not imputed by matrix completion. A pseudocount gives the ordinary
    transform, to see whether a result rests on this choice.

    Parameters
    ----------
    counts : DataFrame of shape (n_taxa, n_samples)
    pseudocount : float, optional
        Added to every count, in fragments.

    Returns
    -------
    DataFrame of shape (n_samples, n_samples)
        In natural-log units, 0 or more.

    Raises
    ------
    ValueError
        If a sample has no fragments, or `pseudocount` is not above 0.

    Examples
    --------
    >>> aitchison(pd.DataFrame({"S1": [1, 1, 0], "S2": [10, 10, 0]})).loc["S1", "S2"]
    np.float64(0.0)
    """
    counts = _with_fragments(counts)
    values = counts.to_numpy(float).T
    if pseudocount is not None:
        if not pseudocount > 0:
            raise ValueError(f"pseudocount must be above 0, not {pseudocount}")
        values = values + pseudocount
    # pdist, not the faster product of matrices: equal samples must be at a distance of exactly 0.
    return _square(pdist(_robust_clr(values), "euclidean"), counts.columns)


def _robust_clr(values: np.ndarray) -> np.ndarray:
    """Logs centred on the mean log of the taxa a sample (row) has; 0 where a taxon is absent."""
    present = values > 0
    logs = np.log(np.where(present, values, 1))
    centre = logs.sum(axis=1, keepdims=True) / present.sum(axis=1, keepdims=True)
    return np.where(present, logs - centre, 0)


def pcoa(distance: pd.DataFrame, axes: int = 10, metric: str = "") -> Ordination:
    """Principal coordinates of a distance matrix, signs fixed.

    Parameters
    ----------
    distance : DataFrame of shape (n_samples, n_samples)
    axes : int
        Axes wanted; at most n_samples - 1 are given, and none without extent.

    Returns
    -------
    Ordination
        Each axis points so that the sample farthest out on it is positive (the first such sample on
        a tie). Shares are of the trace of the centred matrix, the total sum of squares of
        PERMANOVA. A dissimilarity that is not Euclidean (Bray-Curtis) has negative eigenvalues too,
        so that its positive shares can sum to more than 1. Above 1,000 samples the axes come from
        Lanczos iterations to machine precision, and not from an approximation such as scikit-bio's
        ``fsvd``.

    Raises
    ------
    NotRun
        If there are fewer than 3 samples or they do not differ.
    ValueError
        If the matrix is not symmetric with a zero diagonal.

    Examples
    --------
    >>> line = pd.DataFrame([[0.0, 1, 3], [1, 0, 2], [3, 2, 0]], list("abc"), list("abc"))
    >>> pcoa(line).coordinates["PC1"].round(3).tolist()
    [-1.333, -0.333, 1.667]
    """
    n = len(distance)
    if n < 3:
        raise NotRun(f"ordination: needs 3 samples or more, there are {n}")
    if axes < 1:
        raise ValueError(f"axes must be 1 or more, not {axes}")
    centred = gower_centred(checked_distances(distance, distance.index))
    if not centred.any():
        by = f" by {metric.replace('_', ' ')}" if metric else ""
        raise NotRun(f"ordination: the {n} samples do not differ{by}")
    axes = min(axes, n - 1)
    if n <= _MANY_SAMPLES:
        sizes, vectors = eigh(centred, subset_by_index=[n - axes, n - 1])
    else:
        start = np.random.default_rng(0).normal(size=n)
        sizes, vectors = eigsh(centred, k=axes, which="LA", v0=start)
    order = np.argsort(-sizes, kind="stable")
    sizes = sizes[order].clip(0)
    values, share = vectors[:, order] * np.sqrt(sizes), sizes / np.trace(centred)
    real = share > 1e-9 * share.max()
    values, share = values[:, real], share[real]
    size = np.abs(values)
    farthest = (size >= size.max(axis=0) * (1 - 1e-9)).argmax(axis=0)
    values = values * np.sign(values[farthest, np.arange(values.shape[1])])
    names = [f"PC{axis + 1}" for axis in range(values.shape[1])]
    return Ordination(
        pd.DataFrame(values, pd.Index(distance.index, name="sample"), names),
        pd.Series(share, pd.Index(names, name="axis"), name="share"),
    )


def taxa_of_axes(counts: pd.DataFrame, coordinates: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Which taxa go with the axes of an ordination.

    Parameters
    ----------
    counts : DataFrame of shape (n_taxa, n_samples)
        Of the samples ordinated, or more.
    coordinates : DataFrame of shape (n_samples, n_axes)
        As `pcoa` gives them.
    metric : str
        ``aitchison``, whose principal coordinates are the principal components of the robust
        log-ratios, has loadings; any other has weighted averages.

    Returns
    -------
    DataFrame
        One row an axis and taxon that a sample has, the strongest correlation first: ``axis,
        taxon_id, correlation``, Spearman's between the taxon's proportion and the axis; and
        ``loading``, the taxon's part in the unit vector of the axis, or ``weighted_average``, the
        mean coordinate of the samples weighed by the taxon's proportion (vegan's ``wascores``).

    Examples
    --------
    >>> counts = pd.DataFrame({"A": [9, 1], "B": [5, 5], "C": [1, 9]}, index=[816, 853])
    >>> axes = pd.DataFrame({"PC1": [-0.4, 0.0, 0.4]}, index=list("ABC"))
    >>> found = taxa_of_axes(counts, axes, "bray_curtis").set_index("taxon_id")
    >>> found.loc[853, ["correlation", "weighted_average"]].astype(float).round(3).tolist()
    [1.0, 0.213]
    """
    counts = counts[coordinates.index]
    counts = counts[(counts > 0).any(axis="columns")]
    proportions = (counts / counts.sum()).to_numpy().T
    axes = coordinates.to_numpy()
    ranked, ranks = (_standardised(rankdata(values, axis=0)) for values in (proportions, axes))
    columns = {"correlation": ranked.T @ ranks}
    if metric == "aitchison":
        logs = _robust_clr(counts.to_numpy(float).T)
        columns["loading"] = (logs - logs.mean(axis=0)).T @ axes / (axes**2).sum(axis=0)
    else:
        columns["weighted_average"] = proportions.T @ axes / proportions.sum(axis=0)[:, None]
    table = pd.DataFrame(
        {
            "axis": np.repeat(coordinates.columns, len(counts)),
            "taxon_id": np.tile(counts.index, axes.shape[1]),
            **{name: values.T.ravel() for name, values in columns.items()},
        }
    )
    strength = -table["correlation"].abs().round(9)
    order = table.assign(strength=strength).sort_values(
        ["axis", "strength", "taxon_id"], na_position="last", kind="stable"
    )
    return order.drop(columns="strength").reset_index(drop=True)


def _standardised(values: np.ndarray) -> np.ndarray:
    """Columns centred and of length 1; missing where a column is constant."""
    centred = values - values.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    return centred / np.where(length > 1e-9, length, np.nan)
