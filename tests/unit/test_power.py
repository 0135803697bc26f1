"""Power: the nominal level where nothing is planted, the t test's where that is known."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.power import TTestIndPower

from moodbiome.association import build_design
from moodbiome.power import (
    ALL,
    CLASSES,
    COLUMNS,
    detectable,
    estimate_power,
    needed_per_group,
    shift_power,
    t_test_power,
    taxon_power,
)

TERM = "arm[T.b]"


def cohort(n_a, n_b, n_taxa=30, seed=1, depth=50_000):
    """Metadata, counts and totals of two groups without a difference; taxa of all prevalences."""
    random = np.random.default_rng(seed)
    n = n_a + n_b
    names = [f"S{i:03d}" for i in range(n)]
    share = np.geomspace(0.1, 5e-5, n_taxa)[:, None] * random.lognormal(0, 0.8, (n_taxa, n))
    share = np.where(random.random((n_taxa, n)) < np.linspace(1, 0.3, n_taxa)[:, None], share, 0)
    counts = pd.DataFrame(random.poisson(share * depth), np.arange(100, 100 + n_taxa), names)
    samples = pd.DataFrame({"arm": ["a"] * n_a + ["b"] * n_b}, index=names)
    return samples, counts, pd.Series(2 * depth, index=names) + counts.sum()


def settings(**changes):
    given = {
        "method": "clr_bias_corrected",
        "formula": "~ arm",
        "group": "arm",
        "reference": "a",
        "min_prevalence": 0.1,
    }
    given |= {"min_mean_abundance": 0.0, "max_fdr": 0.05, "simulations": 40, "seed": 5}
    return {**given, **changes}


def shifts(n_a, n_b, simulations=1000, difference=0.0, seed=2):
    """Power by shift of a normal outcome."""
    samples, _, _ = cohort(n_a, n_b, n_taxa=1)
    design = build_design(samples, "~ arm")
    random = np.random.default_rng(seed)
    values = pd.Series(random.normal(size=n_a + n_b), samples.index)
    values += difference * (samples["arm"] == "b")
    return shift_power(values, design, [TERM], TERM, simulations, random)


def curve(table, **where):
    rows = table[table["quantity"] == "power"]
    for column, value in where.items():
        rows = rows[rows[column] == value]
    return rows.set_index("effect")["power"]


def taxa(n_a, n_b, seed=3, **changes):
    samples, counts, total = cohort(n_a, n_b)
    design = build_design(samples, "~ arm")
    given = {
        "method": "clr_bias_corrected",
        "max_fdr": 0.05,
        "min_prevalence": 0.1,
        "min_mean_abundance": 0,
        "simulations": 60,
    }
    random = np.random.default_rng(seed)
    return taxon_power(counts, total, design, [TERM], TERM, random=random, **{**given, **changes})


@pytest.mark.parametrize(("shift", "n"), [(0.2, 394), (0.3, 176), (0.5, 64), (1.5, 9)])
def test_the_size_a_shift_needs_is_that_of_statsmodels(shift, n):
    exact = TTestIndPower().solve_power(shift, power=0.8, alpha=0.05)
    assert needed_per_group(shift) == n == int(np.ceil(exact))
    assert t_test_power(shift, np.array([n]))[0] == pytest.approx(
        TTestIndPower().power(shift, n, 0.05), abs=1e-9
    )


def test_the_power_for_a_shift_is_that_of_the_t_test():
    found = curve(shifts(20, 30))
    for shift in (0.5, 0.8, 1.0, 1.4):
        exact = TTestIndPower().power(shift, 20, 0.05, ratio=1.5)
        assert found[shift] == pytest.approx(exact, abs=0.035)
    assert found[0] == pytest.approx(0.05, abs=0.02)


def test_the_power_in_small_groups_is_near_that_of_the_t_test():
    found = sum(curve(shifts(6, 6, simulations=300, seed=seed)) for seed in range(30)) / 30
    for shift in (0.8, 1.2, 1.6, 2.0):
        assert found[shift] == pytest.approx(TTestIndPower().power(shift, 6, 0.05), abs=0.07)
    assert found[0] == pytest.approx(0.05, abs=0.015)


def test_a_real_difference_changes_no_power():
    apart = curve(shifts(20, 20, simulations=300, difference=5.0))
    alike = curve(shifts(20, 20, simulations=300))
    np.testing.assert_allclose(apart, alike, atol=1e-9)


def test_power_rises_with_the_shift_and_the_samples():
    few, many = (curve(shifts(n, n, simulations=300)) for n in (8, 30))
    assert (np.diff(many) > -0.02).all()
    assert (many[0.5:1.6] > few[0.5:1.6] + 0.1).all()


def test_the_size_needed_is_confirmed_by_simulation():
    table = shifts(15, 15, simulations=100)
    needed = table[table["quantity"] == "needed_at_80"].set_index("effect")
    assert needed["n_other"].to_dict() == {0.2: 394, 0.3: 176, 0.5: 64}
    assert needed["power"].between(0.75, 0.85).all()


def test_the_detectable_shift_is_interpolated_with_its_interval():
    table = shifts(20, 20)
    row = table[table["quantity"] == "detectable_at_80"].iloc[0]
    exact = TTestIndPower().solve_power(nobs1=20, power=0.8, alpha=0.05)
    assert row["low"] < row["effect"] < row["high"]
    assert row["effect"] == pytest.approx(exact, abs=0.05)
    assert np.isnan(detectable(np.array([0.0, 1]), np.array([0.0, 0.5])))
    assert detectable(np.array([0.5, 1]), np.array([0.9, 1])) == 0.5


def test_without_a_planted_effect_taxa_are_found_at_the_nominal_rate():
    table = taxa(15, 15, max_fdr=0.2, simulations=150)
    found = curve(table, **{"class": ALL})
    assert found[0] < 0.05
    # A rate of 1 calls every taxon, and an effect hidden from the model none.
    assert (curve(taxa(6, 6, max_fdr=1.0, simulations=3), **{"class": ALL}) == 1).all()


def test_the_power_for_taxa_rises_with_effect_prevalence_and_samples():
    few, many = taxa(8, 10), taxa(40, 40)
    large = curve(many, **{"class": "from_90_percent"})
    assert large[3] > 0.95
    assert (np.diff(large) >= 0).all()
    assert large[1.5] > curve(few, **{"class": "from_90_percent"})[1.5] + 0.3
    assert large[2] > curve(many, **{"class": "below_50_percent"})[2] + 0.2
    assert set(many["class"]) == {*CLASSES, ALL}
    assert (few[["n_reference", "n_other"]] == [8, 10]).all(axis=None)


def test_a_taxon_thinned_to_nothing_is_not_found_and_harms_no_other():
    samples, counts, total = cohort(6, 6)
    counts.iloc[:5] = 0
    counts.iloc[:5, 3] = 1
    design = build_design(samples, "~ arm")
    table = taxon_power(
        counts,
        total,
        design,
        [TERM],
        TERM,
        method="log2_proportion",
        max_fdr=0.05,
        min_prevalence=0.05,
        min_mean_abundance=0,
        simulations=30,
        random=np.random.default_rng(1),
    )
    assert curve(table).between(0, 1).all()


def test_three_groups_are_each_compared_with_the_reference():
    samples, counts, total = cohort(20, 20)
    samples.iloc[30:, 0] = "c"
    table, not_run = estimate_power(samples, counts, total, {}, **settings(simulations=5))
    assert not not_run
    sizes = table.groupby("term")[["n_reference", "n_other"]].first()
    assert sizes.loc[TERM].tolist() == [20, 10]
    assert sizes.loc["arm[T.c]"].tolist() == [20, 10]


def test_the_same_seed_gives_the_same_numbers_and_another_others():
    samples, counts, total = cohort(10, 10)
    outcomes = {("signature_score", "all"): np.log1p(counts.iloc[0].astype(float))}
    given = (samples, counts, total, outcomes)
    one, not_run = estimate_power(*given, **settings())
    pd.testing.assert_frame_equal(one, estimate_power(*given, **settings())[0], check_exact=True)
    assert not one.equals(estimate_power(*given, **settings(seed=6))[0])
    assert list(one) == COLUMNS[1:]
    assert one.drop(columns=["effect", "low", "high"]).notna().all(axis=None)
    assert not_run == []


def test_samples_without_a_score_are_left_out_of_its_power_alone():
    samples, counts, total = cohort(10, 10)
    score = np.log1p(counts.iloc[0].astype(float))
    score.iloc[:3] = np.nan
    outcomes = {("signature_score", "all"): score}
    table, _ = estimate_power(samples, counts, total, outcomes, **settings())
    at_work = table[table["quantity"] == "power"].groupby("feature_kind")["n_reference"].unique()
    assert at_work["signature_score"].tolist() == [7]
    assert at_work["taxon"].tolist() == [10]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"simulations": 0}, "simulations is 0"),
        ({"group": ""}, "no group is set"),
        ({"formula": "~ age"}, "has no term of the group 'arm' alone"),
        ({"formula": "~ arm + (1|home)"}, "has a random intercept"),
        ({"formula": "~ C(arm, Sum)"}, "does not compare each level"),
        ({"method": "ancombc2"}, "statistics.methods begins with ancombc2"),
        ({"min_mean_abundance": 0.03}, "clr_bias_corrected: needs 10 taxa"),
        ({"min_mean_abundance": 0.9}, "none of 30 taxa passes"),
    ],
)
def test_what_cannot_be_simulated_is_said(changes, reason):
    samples, counts, total = cohort(6, 6)
    samples = samples.assign(age=np.arange(12.0), home=list("uvwxyz") * 2)
    table, not_run = estimate_power(samples, counts, total, {}, **settings(**changes))
    assert table.empty
    assert len(not_run) == 1
    assert reason in not_run[0]


def test_groups_below_three_samples_and_constant_scores_are_said():
    samples, counts, total = cohort(6, 2)
    _, not_run = estimate_power(samples, counts, total, {}, **settings())
    assert "levels with fewer than 3 samples: b (2)" in not_run[0]
    samples, counts, total = cohort(6, 6)
    outcomes = {("signature_score", "all"): pd.Series(1.0, samples.index)}
    _, not_run = estimate_power(samples, counts, total, outcomes, **settings(simulations=2))
    assert not_run == ["signature score, all: the values do not vary within the groups"]
