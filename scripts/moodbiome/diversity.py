"""How diverse each community is (alpha), and how far communities lie apart (beta, ordination).

Tables of counts are taxa x samples, in fragments, without the rows of unclassified and unassigned
fragments (`features` takes them off).
"""

import hashlib
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr
from skbio.stats.distance import DistanceMatrix
from skbio.stats.ordination import pcoa as skbio_pcoa

from moodbiome.association import NotRun

UNPLACED = (0, -1, -2)
"""Rows of fragments that are unclassified, not assigned at the rank, or of removed contaminants."""

# numpy's "marginals" method draws through hypergeometric variates, exact below this many fragments.
_MAX_FRAGMENTS = 10**9


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


ALPHA_METRICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "observed": _observed,
    "chao1": _chao1,
    "shannon": _entropy,
    "simpson": lambda draws: 1 - _concentration(draws),
    "pielou": _pielou,
    "hill_q0": _observed,
    "hill_q1": lambda draws: np.exp(_entropy(draws)),
    "hill_q2": lambda draws: 1 / _concentration(draws),
}
"""Alpha diversity of each row of an array of counts (n_draws, n_taxa).

Observed, chao1 and Hill numbers are in taxa (effective numbers, Hill 1973, doi:10.2307/1934352),
shannon in nats, simpson is 1 - D, pielou is shannon over its largest possible value.
"""


def alpha(counts: pd.DataFrame, depth: int, repeats: int = 100, seed: int = 0) -> pd.DataFrame:
    """Alpha diversity of every sample at one depth, by repeated rarefaction.

    Parameters
    ----------
    counts : DataFrame of shape (n_taxa, n_samples)
        As `features` gives them.
    depth : int
        Fragments drawn from each sample, as `choose_depth` gives it.
    repeats : int
        Draws per sample.
    seed : int

    Returns
    -------
    DataFrame
        One row a sample (order of `counts`) and metric (order of `ALPHA_METRICS`): ``sample,
        metric, value, low, high, depth_used, status``. `value` is the mean of the draws, `low` and
        `high` their 2.5 and 97.5 % points: what the draw adds, not what another stool sample of the
        same person would. `depth_used` is in fragments. Status is ``ok``; ``below_depth`` for a
        sample that has fewer fragments, its values empty; ``undefined`` for pielou where a draw
        holds a single taxon.

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
    rows: list[tuple] = []
    for sample in counts.columns:
        column = counts[sample]
        if column.sum() < depth:
            rows += [(sample, name, *[np.nan] * 3, pd.NA, "below_depth") for name in ALPHA_METRICS]
            continue
        present = column[column > 0]
        draws = rarefy(present, depth, repeats, seed, str(sample))
        for name, metric in ALPHA_METRICS.items():
            values = metric(draws)
            low, high = np.quantile(values, [0.025, 0.975])
            status = "undefined" if np.isnan(values).any() else "ok"
            rows.append((sample, name, values.mean(), low, high, depth, status))
    table = pd.DataFrame(
        rows, columns=["sample", "metric", "value", "low", "high", "depth_used", "status"]
    )
    return table.astype({"value": float, "low": float, "high": float, "depth_used": "Int64"})


def depth_sensitivity(
    counts: pd.DataFrame, depth: int, repeats: int = 100, seed: int = 0
) -> pd.DataFrame:
    """Would half or twice the depth have ranked the samples otherwise?

    Parameters
    ----------
    counts, depth, repeats, seed
        As `alpha`.

    Returns
    -------
    DataFrame
        One row a metric and other depth: ``metric, depth_fragments, reference_depth_fragments,
        n, rank_correlation, median_change``. `n` counts the samples that reach both depths;
        `rank_correlation` is Spearman's, empty for fewer than 3 samples or equal values;
        `median_change` is that of value / reference - 1, empty without samples.
    """
    reference = _values(alpha(counts, depth, repeats, seed))
    rows = []
    for other in (max(depth // 2, 1), 2 * depth):
        values = _values(alpha(counts, other, repeats, seed))
        for metric in ALPHA_METRICS:
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


def _values(table: pd.DataFrame) -> pd.DataFrame:
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
    counts = _checked(counts)
    if depth < 1 or repeats < 1:
        raise ValueError(f"depth ({depth}) and repeats ({repeats}) must be 1 or more")
    deep = counts.loc[:, counts.sum() >= depth]
    draws = np.stack(
        [rarefy(deep[sample], depth, repeats, seed, str(sample)) > 0 for sample in deep.columns],
        axis=1,
    ) if deep.shape[1] else np.zeros((repeats, 0, len(deep)), bool)  # fmt: skip
    total = np.zeros((deep.shape[1],) * 2)
    for present in draws.astype(float):
        shared = present @ present.T
        size = present.sum(axis=1)
        total += 1 - shared / (size[:, None] + size - shared)
    index = pd.Index(deep.columns, name="sample")
    return pd.DataFrame(total / repeats, index, pd.Index(deep.columns))


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
    present = values > 0
    logs = np.log(np.where(present, values, 1))
    centre = logs.sum(axis=1, keepdims=True) / present.sum(axis=1, keepdims=True)
    # pdist, not the faster product of matrices: equal samples must be at a distance of exactly 0.
    return _square(pdist(np.where(present, logs - centre, 0), "euclidean"), counts.columns)


def pcoa(distance: pd.DataFrame, axes: int = 10) -> Ordination:
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
        so that its positive shares can sum to more than 1.

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
    matrix = DistanceMatrix(distance.to_numpy(float), [str(sample) for sample in distance.index])
    if not matrix.data.any():
        raise NotRun(f"ordination: the {n} samples do not differ")
    # eigh, not fsvd, which approximates; fewer axes than samples, so that scikit-bio divides by the
    # trace whatever the number of samples.
    result = skbio_pcoa(matrix, method="eigh", dimensions=min(axes, n - 1), warn_neg_eigval=False)
    values = result.samples.to_numpy()
    share = result.proportion_explained.to_numpy()
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
