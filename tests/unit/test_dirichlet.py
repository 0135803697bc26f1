"""Dirichlet-multinomial distributions and mixtures."""

import numpy as np
import pytest
from scipy.special import betaln

from moodbiome.dirichlet import (
    _derivatives,
    _log_prior,
    adjusted_rand,
    fit_mixture,
    fit_one,
    log_density,
)


def drawn(alpha, n, depth, seed):
    random = np.random.default_rng(seed)
    return np.stack([random.multinomial(depth, random.dirichlet(alpha)) for _ in range(n)]) * 1.0


def test_two_taxa_are_a_beta_binomial():
    counts, alpha = np.array([[3.0, 5.0], [0.0, 2.0]]), np.array([[1.5, 0.7]])
    expected = [betaln(3 + 1.5, 5 + 0.7), betaln(1.5, 2.7)] - betaln(1.5, 0.7)
    assert log_density(counts, alpha)[:, 0] == pytest.approx(expected)


def test_probabilities_of_all_orders_sum_to_one():
    ways = np.array([[n, 6.0 - n] for n in range(7)])
    coefficient = np.array([1, 6, 15, 20, 15, 6, 1])
    total = (coefficient * np.exp(log_density(ways, np.array([[0.3, 2.0]]))[:, 0])).sum()
    assert total == pytest.approx(1)


def test_parameters_are_found_again():
    alpha = np.array([4.0, 2.0, 1.0, 0.5])
    found = fit_one(drawn(alpha, 2000, 10_000, 1))
    assert found == pytest.approx(alpha, rel=0.08)


def test_the_fit_is_at_a_maximum_of_the_posterior():
    counts = drawn(np.array([4.0, 2.0, 1.0]), 100, 1000, 2)
    logs = np.log(fit_one(counts))

    def posterior(values):
        return log_density(counts, np.exp(values)[np.newaxis]).sum() + _log_prior(values)

    best = posterior(logs)
    for step in np.vstack([np.eye(3), -np.eye(3)]) * 0.01:
        assert posterior(logs + step) < best


def test_gradient_and_curvature_are_those_of_the_posterior():
    counts = drawn(np.array([4.0, 2.0, 1.0]), 30, 500, 3)
    weight = np.linspace(0.1, 1, 30)
    logs = np.array([0.5, 0.2, -0.4])

    def posterior(values):
        each = log_density(counts, np.exp(values)[np.newaxis])[:, 0]
        return weight @ each + _log_prior(values)

    gradient, diagonal, common, alpha = _derivatives(counts, weight, logs)
    step = 1e-4
    moves = np.eye(3) * step
    slopes = [(posterior(logs + m) - posterior(logs - m)) / (2 * step) for m in moves]
    assert gradient == pytest.approx(slopes, rel=1e-5)
    hessian = [
        [
            (
                posterior(logs + a + b)
                - posterior(logs + a - b)
                - posterior(logs - a + b)
                + posterior(logs - a - b)
            )
            / (4 * step**2)
            for b in moves
        ]
        for a in moves
    ]
    assert common * np.outer(alpha, alpha) - np.diag(diagonal) == pytest.approx(
        np.array(hessian), rel=1e-3, abs=1e-3
    )


def test_a_mixture_is_taken_apart():
    one, two = np.array([8.0, 2.0, 1.0, 1.0]), np.array([1.0, 2.0, 8.0, 1.0])
    counts = np.vstack([drawn(one, 60, 5000, 4), drawn(two, 30, 5000, 5)])
    fit = fit_mixture(counts, 2, seed=1)
    assert adjusted_rand(np.repeat([0, 1], [60, 30]), fit.membership.argmax(axis=1)) > 0.9
    assert fit.weights == pytest.approx([2 / 3, 1 / 3], abs=0.05)
    assert fit.membership.sum(axis=1) == pytest.approx(np.ones(90))
    assert fit.laplace < fit_mixture(counts, 1, seed=1).laplace


@pytest.mark.parametrize("k", [0, 4])
def test_impossible_numbers_of_components_are_refused(k):
    with pytest.raises(ValueError, match=f"{k} components for 3 samples"):
        fit_mixture(np.ones((3, 2)), k, seed=1)


def test_a_sample_without_counts_is_refused():
    with pytest.raises(ValueError, match="no sample without any"):
        fit_mixture(np.array([[1.0, 2.0], [0.0, 0.0]]), 1, seed=1)


def test_the_rand_index_is_zero_on_average_by_chance():
    random = np.random.default_rng(6)
    pairs = random.integers(3, size=(300, 2, 60))
    assert np.mean([adjusted_rand(one, other) for one, other in pairs]) == pytest.approx(
        0, abs=0.01
    )
