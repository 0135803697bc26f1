"""Dirichlet-multinomial distributions and their mixtures: counts of taxa that vary between samples.

After Holmes, Harris and Quince (2012), PLoS ONE 7:e30126 (10.1371/journal.pone.0030126).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.special import gammaln, logsumexp, polygamma, psi

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Gamma prior of every parameter, as in Holmes et al. 2012: shape and rate.
_SHAPE = _RATE = 0.1

_MAX_ROUNDS = 500
_TOLERANCE = 1e-6
# Bounds of log parameters: beyond them a parameter is 0, or the distribution multinomial.
_LOG_BOUNDS = (-15.0, 15.0)
_MAX_STEP = 2.0


@dataclass(frozen=True)
class Mixture:
    """A fitted Dirichlet-multinomial mixture.

    Attributes
    ----------
    weights : ndarray of shape (k,)
        Share of each component; sums to 1.
    alpha : ndarray of shape (k, n_taxa)
        Parameters: their sum is the precision, their shares the expected composition.
    membership : ndarray of shape (n_samples, k)
        Posterior probability of each component; rows sum to 1.
    log_likelihood
        Of the counts, without the multinomial coefficients, which are the same for every model.
    laplace
        Negative log evidence by Laplace's approximation, in nats: lower is better.
    bic
        Half the Bayesian information criterion, in nats: lower is better.
    """

    weights: Floats
    alpha: Floats
    membership: Floats
    log_likelihood: float
    laplace: float
    bic: float


def log_density(counts: Floats, alpha: Floats) -> Floats:
    """Log probability of each sample's counts under each Dirichlet-multinomial.

    Parameters
    ----------
    counts : ndarray of shape (n_samples, n_taxa)
        Zero or more; need not be whole.
    alpha : ndarray of shape (k, n_taxa)
        Positive.

    Returns
    -------
    ndarray of shape (n_samples, k)
        Without the multinomial coefficient, which is the same for all k.

    Examples
    --------
    Two equal taxa, uniform over proportions: the chance of one particular order of 1 and 1.

    >>> np.exp(log_density(np.array([[1.0, 1.0]]), np.array([[1.0, 1.0]]))).round(4)
    array([[0.1667]])
    """
    total = counts.sum(axis=1)
    columns = []
    for parameters in alpha:
        precision = parameters.sum()
        inner = gammaln(counts + parameters).sum(axis=1) - gammaln(parameters).sum()
        columns.append(inner + gammaln(precision) - gammaln(total + precision))
    density: Floats = np.stack(columns, axis=1)
    return density


def fit_one(counts: Floats, weight: Floats | None = None, start: Floats | None = None) -> Floats:
    """Parameters of one Dirichlet-multinomial of greatest posterior density.

    Parameters
    ----------
    counts : ndarray of shape (n_samples, n_taxa)
    weight : ndarray of shape (n_samples,), optional
        How much each sample counts, 0 to 1.
    start : ndarray of shape (n_taxa,), optional
        Where to begin.

    Returns
    -------
    ndarray of shape (n_taxa,)
    """
    weights = np.ones(len(counts)) if weight is None else weight
    log_alpha = np.log(_first_guess(counts, weights) if start is None else start)
    for _ in range(_MAX_ROUNDS):
        moved = _newton(counts, weights, log_alpha)
        if np.abs(moved - log_alpha).max() < 1e-6:
            break
        log_alpha = moved
    fitted: Floats = np.exp(log_alpha)
    return fitted


def fit_mixture(counts: Floats, k: int, *, seed: int, starts: int = 3) -> Mixture:
    """Fit a mixture of k Dirichlet-multinomials by expectation maximisation.

    The first start is the Ward tree of the square roots of the proportions cut into k; the others
    are k samples drawn at random, each with those nearest to it. The best of them is kept.

    Parameters
    ----------
    counts : ndarray of shape (n_samples, n_taxa)
        Every sample and every taxon with a count above zero.
    k
        Number of components, 1 to n_samples.
    seed, starts
        Seed of the random starts, and number of starts.

    Returns
    -------
    Mixture
        Components from the most to the least frequent.

    Raises
    ------
    ValueError
        If k or the counts do not allow a fit.
    """
    if not 1 <= k <= len(counts):
        raise ValueError(f"{k} components for {len(counts)} samples; give 1 to {len(counts)}")
    if not ((counts >= 0).all() and (counts.sum(axis=1) > 0).all()):
        raise ValueError("counts must be zero or more, and no sample without any")
    roots = np.sqrt(counts / counts.sum(axis=1, keepdims=True))
    random = np.random.default_rng([seed, k])
    candidates = []
    for number in range(1 if k == 1 else starts):
        labels = _ward(roots, k) if number == 0 else _nearest(roots, k, random)
        candidates.append(_climb(counts, np.eye(k)[labels], rounds=15 if k > 1 else _MAX_ROUNDS))
    best = max(candidates, key=lambda found: found[2])
    weights, alpha, _, membership = _climb(counts, best[3], _MAX_ROUNDS, best[1])
    order = np.argsort(-weights, kind="stable")
    return _judged(counts, weights[order], alpha[order], membership[:, order])


def adjusted_rand(one: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    """Agreement of two partitions of the same samples: 1 if equal, 0 as by chance.

    References
    ----------
    Hubert and Arabie (1985), J. Classif. 2:193-218.

    Examples
    --------
    >>> adjusted_rand(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0]))
    1.0
    >>> round(adjusted_rand(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])), 3)
    -0.5
    """
    _, rows = np.unique(one, return_inverse=True)
    _, columns = np.unique(other, return_inverse=True)
    table = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(table, (rows, columns), 1)

    def pairs(sizes: Floats) -> float:
        return float((sizes * (sizes - 1) / 2).sum())

    together, every = pairs(table), pairs(np.array([float(len(rows))]))
    of_rows, of_columns = pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    by_chance = of_rows * of_columns / every if every else 0.0
    most = (of_rows + of_columns) / 2
    return 1.0 if most == by_chance else (together - by_chance) / (most - by_chance)


def _climb(
    counts: Floats, membership: Floats, rounds: int, alpha: Floats | None = None
) -> tuple[Floats, Floats, float, Floats]:
    """Expectation maximisation from a membership: weights, alpha, objective, membership."""
    logs = np.log(
        np.stack([_first_guess(counts, column) for column in membership.T])
        if alpha is None
        else alpha
    )
    last = -np.inf
    for _ in range(rounds):
        weights = membership.mean(axis=0)
        logs = np.stack(
            [_newton(counts, column, row) for column, row in zip(membership.T, logs, strict=True)]
        )
        alpha = np.exp(logs)
        with np.errstate(divide="ignore"):
            joint = log_density(counts, alpha) + np.log(weights)
        each = logsumexp(joint, axis=1)
        membership = np.exp(joint - each[:, np.newaxis])
        objective = float(each.sum()) + _log_prior(logs)
        if abs(objective - last) < _TOLERANCE * max(1.0, abs(objective)) * 1e-2:
            break
        last = objective
    assert alpha is not None
    return membership.mean(axis=0), alpha, objective, membership


def _log_prior(logs: Floats) -> float:
    """Log density of the logs of the parameters under their gamma prior."""
    constant = _SHAPE * np.log(_RATE) - gammaln(_SHAPE)
    return float((constant + _SHAPE * logs - _RATE * np.exp(logs)).sum())


def _derivatives(
    counts: Floats, weight: Floats, logs: Floats
) -> tuple[Floats, Floats, float, Floats]:
    """Gradient of the log posterior in the logs; its Hessian as -(diagonal) + common a a'."""
    alpha = np.exp(logs)
    precision, total = alpha.sum(), counts.sum(axis=1)
    slope = weight @ (psi(counts + alpha) - psi(alpha))
    pull = weight @ (psi(precision) - psi(total + precision))
    gradient = alpha * (slope + pull) + _SHAPE - _RATE * alpha
    curve = weight @ (polygamma(1, alpha) - polygamma(1, counts + alpha))
    diagonal = alpha**2 * curve - (gradient - _SHAPE)
    common = float(weight @ (polygamma(1, precision) - polygamma(1, total + precision)))
    return gradient, diagonal, common, alpha


def _newton(counts: Floats, weight: Floats, logs: Floats) -> Floats:
    """One Newton step of the logs of the parameters, no longer than is safe.

    The Hessian is a diagonal and a matrix of rank one, so that it is inverted at once (Minka 2000,
    "Estimating a Dirichlet distribution"). Where it is not negative definite the curvature is
    replaced by its size, so that the step still climbs.
    """
    used = weight > 1e-10
    gradient, diagonal, common, alpha = _derivatives(counts[used], weight[used], logs)
    diagonal = np.maximum(np.abs(diagonal), 1e-8)
    step = gradient / diagonal
    slack = 1 - common * (alpha**2 / diagonal).sum()
    if slack > 1e-8:
        step = step + alpha / diagonal * common * (alpha * gradient / diagonal).sum() / slack
    moved: Floats = np.clip(logs + np.clip(step, -_MAX_STEP, _MAX_STEP), *_LOG_BOUNDS)
    return moved


def _judged(counts: Floats, weights: Floats, alpha: Floats, membership: Floats) -> Mixture:
    n, (k, n_taxa) = len(counts), alpha.shape
    with np.errstate(divide="ignore"):
        likelihood = float(logsumexp(log_density(counts, alpha) + np.log(weights), axis=1).sum())
    determinant = (k - 1) * np.log(n) - np.log(np.maximum(weights, 1e-300)).sum()
    for column, row in zip(membership.T, alpha, strict=True):
        gradient, diagonal, common, _ = _derivatives(counts, column, np.log(row))
        # At the optimum the gradient is 0; what is left of it is not curvature.
        diagonal = np.maximum(diagonal + gradient, 1e-8)
        slack = 1 - common * (row**2 / diagonal).sum()
        determinant += np.log(diagonal).sum() + np.log(max(slack, 1e-8))
    parameters = k * n_taxa + k - 1
    posterior = likelihood + _log_prior(np.log(alpha)) + float(gammaln(k))
    evidence = posterior + parameters / 2 * np.log(2 * np.pi) - determinant / 2
    return Mixture(
        weights,
        alpha,
        membership,
        likelihood,
        float(-evidence),
        float(-likelihood + parameters / 2 * np.log(n)),
    )


def _first_guess(counts: Floats, weight: Floats) -> Floats:
    """Parameters by moments: mean proportions, and a precision from their variance."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    total = max(float(weight.sum()), 1e-12)
    mean = weight @ shares / total
    variance = weight @ (shares - mean) ** 2 / total
    used = variance > 0
    ratio = mean[used] * (1 - mean[used]) / variance[used] - 1
    precision = np.exp(np.log(np.clip(ratio, 0.1, 1e4)).mean()) if used.any() else 100.0
    guess: Floats = np.clip(mean * precision, 1e-3, None)
    return guess


def _ward(roots: Floats, k: int) -> Ints:
    if k == 1:
        return np.zeros(len(roots), dtype=np.int64)
    labels: Ints = fcluster(linkage(roots, "ward"), k, "maxclust").astype(np.int64) - 1
    return labels


def _nearest(roots: Floats, k: int, random: np.random.Generator) -> Ints:
    """The nearest of k samples, each drawn in proportion to its squared distance (k-means++)."""
    centres = roots[[random.integers(len(roots))]]
    for _ in range(k - 1):
        squares = ((roots[:, np.newaxis] - centres) ** 2).sum(axis=2).min(axis=1)
        chance = squares / squares.sum() if squares.sum() > 0 else None
        centres = np.vstack([centres, roots[random.choice(len(roots), p=chance)]])
    labels: Ints = ((roots[:, np.newaxis] - centres) ** 2).sum(axis=2).argmin(axis=1)
    return labels
