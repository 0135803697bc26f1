"""Pooling of studies: published numbers, oracles, and what must not happen at the boundaries."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects, effectsize_smd

from moodbiome.association import build_design, linear_models
from moodbiome.faults import NotRun
from moodbiome.meta_analysis import (
    BY_COHORT_COLUMNS,
    POOLED,
    POOLED_COHORTS_COLUMNS,
    differences_by_cohort,
    egger,
    hedges_g,
    influence,
    meta_regression,
    pool,
    pool_cohorts,
    taxa_by_cohort,
    weights,
)

# Colditz 1994 (doi:10.1001/jama.1994.03510380076038): tuberculosis with and without BCG vaccine.
# Cases and others of the vaccinated, cases and others of the controls, absolute latitude. Recalled,
# as are the results of metafor below; that these come out of those is the check of both.
BCG = np.array(
    [
        [4, 119, 11, 128, 44],
        [6, 300, 29, 274, 55],
        [3, 228, 11, 209, 42],
        [62, 13536, 248, 12619, 52],
        [33, 5036, 47, 5761, 13],
        [180, 1361, 372, 1079, 44],
        [8, 2537, 10, 619, 19],
        [505, 87886, 499, 87892, 13],
        [29, 7470, 45, 7232, 27],
        [17, 1699, 65, 1600, 42],
        [186, 50448, 141, 27197, 18],
        [5, 2493, 3, 2338, 33],
        [27, 16886, 29, 17825, 33],
    ],
    dtype=float,
)


def bcg():
    """Log risk ratios and their variances."""
    a, b, c, d, _ = BCG.T
    effects = np.log(a / (a + b)) - np.log(c / (c + d))
    return effects, 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)


def studies(k, m, tau2=0.2, seed=1):
    rng = np.random.default_rng(seed)
    variances = rng.uniform(0.01, 0.3, (k, m))
    return rng.normal(0.3, np.sqrt(tau2 + variances)), variances


def columns(effects, variances):
    return np.array(effects, float)[:, None], np.array(variances, float)[:, None]


def test_bcg_vaccine_by_restricted_maximum_likelihood():
    row = pool(*columns(*bcg())).iloc[0]
    assert row["k"] == 13
    assert row[["effect", "se", "tau2"]].round(4).tolist() == [-0.7145, 0.1798, 0.3132]
    assert row[["tau2_low", "tau2_high"]].round(4).tolist() == [0.1197, 1.1115]
    assert row["heterogeneity_q"] == pytest.approx(152.233, abs=5e-4)
    assert row["i2"] == pytest.approx(1 - 12 / 152.233, rel=1e-5, abs=1e-5)
    reach = stats.t.ppf(0.975, 11) * np.sqrt(row["tau2"] + row["se"] ** 2)
    assert row["prediction_high"] - row["effect"] == pytest.approx(reach)


def test_bcg_vaccine_regressed_on_latitude():
    effects, variances = bcg()
    design = pd.DataFrame({"intercept": 1.0, "latitude": BCG[:, 4]})
    found = meta_regression(effects, variances, design)
    assert found.coefficients["effect"].round(4).tolist() == [0.2515, -0.0291]
    assert found.coefficients.loc["latitude", "se"] == pytest.approx(0.0072, abs=5e-5)
    # metafor stops at a change of 1e-5.
    assert found.tau2 == pytest.approx(0.0764, abs=1e-4)
    # One coefficient: its t test and the F test are the same.
    assert found.test_p == pytest.approx(found.coefficients.loc["latitude", "p"])


def test_a_regression_on_the_constant_is_pooling():
    effects, variances = bcg()
    found = meta_regression(effects, variances, pd.DataFrame({"intercept": np.ones(13)}))
    row = pool(*columns(effects, variances)).iloc[0]
    both = ["effect", "se", "low", "high", "p"]
    assert found.coefficients.loc["intercept", both].tolist() == pytest.approx(row[both].tolist())
    assert np.isnan(found.test_p)


@pytest.mark.parametrize("seed", range(5))
def test_paule_mandel_equals_statsmodels(seed):
    effects, variances = studies(6, 20, seed=seed, tau2=[0, 0.05, 0.2, 1, 10][seed])
    table = pool(effects, variances, "paule_mandel")
    for feature in range(20):
        oracle = combine_effects(effects[:, feature], variances[:, feature], method_re="iterated")
        row, frame = table.iloc[feature], oracle.summary_frame()
        assert row["tau2"] == pytest.approx(oracle.tau2, rel=1e-5, abs=1e-5)
        assert row["effect"] == pytest.approx(frame.loc["random effect", "eff"], rel=1e-5, abs=1e-5)
        assert row["se"] == pytest.approx(frame.loc["random effect", "sd_eff"], rel=1e-5, abs=1e-5)
        assert row["fixed_effect"] == pytest.approx(frame.loc["fixed effect", "eff"])
        assert row["heterogeneity_q"] == pytest.approx(oracle.q)
        # statsmodels' "wls" row is Hartung and Knapp's, not held to the normal interval's width.
        scaled = frame.loc["random effect wls", "sd_eff"] * stats.t.ppf(0.975, 5)
        normal = frame.loc["random effect", "sd_eff"] * stats.norm.ppf(0.975)
        assert row["high"] - row["effect"] == pytest.approx(max(scaled, normal), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_no_other_variance_has_a_higher_restricted_likelihood(seed):
    effects, variances = studies(5, 30, seed=seed, tau2=[0, 0.1, 2][seed])
    found = pool(effects, variances)["tau2"].to_numpy()

    def minus_log_likelihood(tau2):
        weight = 1 / (variances + tau2)
        mean = (weight * effects).sum(0) / weight.sum(0)
        rest = (weight * (effects - mean) ** 2).sum(0)
        return -np.log(weight).sum(0) + np.log(weight.sum(0)) + rest

    at_found = minus_log_likelihood(found)
    for tau2 in np.concatenate([[0], np.geomspace(1e-6, 100, 400)]):
        assert (at_found <= minus_log_likelihood(tau2) + 1e-9).all()


@pytest.mark.parametrize("estimator", ["reml", "paule_mandel"])
def test_studies_that_agree_have_no_variance_between_them_and_the_normal_interval(estimator):
    row = pool(*columns([0.30, 0.31, 0.29, 0.30], [0.04] * 4), estimator).iloc[0]
    assert row["tau2"] == 0
    assert row["tau2_low"] == 0
    assert row["i2"] == 0
    # Hartung and Knapp's alone would be 0.013 wide.
    assert row["high"] - row["low"] == pytest.approx(2 * 1.959964 * 0.1, rel=1e-5)
    assert row[["low", "high"]].tolist() == pytest.approx(row[["fixed_low", "fixed_high"]].tolist())


def test_p_is_below_the_limit_exactly_where_the_interval_leaves_out_zero():
    effects, variances = studies(4, 300, tau2=0.02)
    table = pool(effects, variances)
    outside = (table["low"] > 0) | (table["high"] < 0)
    assert outside.sum() > 20
    assert (outside == (table["p"] < 0.05)).all()


def test_features_are_pooled_as_if_each_were_alone_over_the_studies_that_have_it():
    effects, variances = studies(6, 8)
    holes = np.random.default_rng(2).random(effects.shape) < 0.4
    holes[0] = False
    effects[holes], variances[holes] = np.nan, np.nan
    table = pool(effects, variances)
    assert table["k"].tolist() == (~holes).sum(axis=0).tolist()
    for feature in range(8):
        own = ~holes[:, feature]
        alone = pool(effects[own, feature, None], variances[own, feature, None])
        pd.testing.assert_series_equal(
            table.iloc[feature], alone.iloc[0], check_names=False, rtol=1e-6
        )


def test_one_study_is_passed_through_and_two_have_no_prediction():
    effects, variances = (
        np.array([[0.5, 0.5], [np.nan, 0.9]]),
        np.array([[0.04, 0.04], [np.nan, 1]]),
    )
    one, two = (row for _, row in pool(effects, variances).iterrows())
    assert one[["k", "effect", "se"]].tolist() == pytest.approx([1, 0.5, 0.2])
    assert one["high"] == pytest.approx(0.5 + 1.959964 * 0.2)
    assert one[POOLED[POOLED.index("tau2") :]].isna().all()
    assert two[["prediction_low", "prediction_high"]].isna().all()
    assert two[["tau2", "tau2_high", "heterogeneity_p", "fixed_effect"]].notna().all()


@pytest.mark.parametrize(
    ("effect", "variance", "said"),
    [
        (0.1, 0.0, "study 1, feature 0: effect 0.1 with variance 0.0"),
        (0.1, -1.0, "variance -1.0"),
        (np.nan, 1.0, "effect nan with variance 1.0"),
        (np.inf, 1.0, "effect inf"),
    ],
)
def test_effects_without_a_sound_variance_are_refused(effect, variance, said):
    with pytest.raises(ValueError, match=said):
        pool(*columns([0.2, effect], [0.1, variance]))


def test_a_feature_of_no_study_and_an_unknown_estimator_are_refused():
    with pytest.raises(ValueError, match="feature 0 has no effect in any study"):
        pool(*columns([np.nan], [np.nan]))
    with pytest.raises(ValueError, match="estimator 'dl' is not one of reml, paule_mandel"):
        pool(*columns([1, 2], [1, 1]), estimator="dl")


def test_intervals_cover_the_mean_as_often_as_they_say_with_few_studies():
    rng = np.random.default_rng(3)
    variances = rng.uniform(0.02, 0.2, (5, 2000))
    effects = 0.4 + rng.normal(0, np.sqrt(0.1 + variances))
    table = pool(effects, variances)
    covered = ((table["low"] < 0.4) & (table["high"] > 0.4)).mean()
    assert 0.93 < covered < 0.97


def test_leave_one_out_names_the_study_that_decides():
    # Three studies of no effect and one large: without D the sign turns.
    effects, variances = columns([-0.1, -0.12, -0.08, 3.0], [0.01] * 4)
    row = influence(effects, variances, list("ABCD")).iloc[0]
    assert row["sign_depends_on"] == "D"
    assert row["leave_one_out_low"] == pytest.approx(-0.1, abs=1e-6)
    # Significant without C only: D 's spread hides A and B.
    strong = columns([1.0, 1.1, 0.9, 1.0, -1.0], [0.02] * 5)
    assert influence(*strong, list("ABCDE")).iloc[0]["significance_depends_on"] == "E"


def test_leave_one_out_pools_what_is_left():
    effects, variances = studies(5, 3)
    table = influence(effects, variances, list("ABCDE"))
    rest = [pool(np.delete(effects, i, 0), np.delete(variances, i, 0))["effect"] for i in range(5)]
    assert table["leave_one_out_low"].tolist() == pytest.approx(np.min(rest, axis=0).tolist())
    assert table["leave_one_out_high"].tolist() == pytest.approx(np.max(rest, axis=0).tolist())
    two = influence(effects[:2], variances[:2], list("AB"))
    assert two["leave_one_out_low"].isna().all()
    assert (two["sign_depends_on"] == "").all()


def test_weights_are_shares_of_the_pooled_mean():
    effects, variances = studies(5, 4)
    effects[1, 2] = variances[1, 2] = np.nan
    share = weights(effects, variances)
    assert share.sum(axis=0).tolist() == pytest.approx([1] * 4)
    assert share[1, 2] == 0
    means = (share * np.nan_to_num(effects)).sum(axis=0)
    assert means.tolist() == pytest.approx(pool(effects, variances)["effect"].tolist())


def test_egger_finds_a_lopsided_funnel_and_not_an_even_one():
    se = np.linspace(0.1, 1, 12)
    even = 0.3 + se * np.tile([1, -1], 6) * 0.5
    lopsided = 0.3 + 2 * se + 0.01 * np.tile([1, -1], 6)
    assert egger(even, se**2)["p"] > 0.3
    assert egger(lopsided, se**2)["effect"] == pytest.approx(2, abs=0.1)
    assert egger(lopsided, se**2)["p"] < 1e-6
    with pytest.raises(NotRun, match="needs 10 studies, there are 9"):
        egger(even[:9], se[:9] ** 2)
    with pytest.raises(NotRun, match="all studies have the same"):
        egger(even, np.full(12, 0.1))


def test_regressions_with_too_few_studies_or_nothing_that_differs_are_refused():
    effects, variances = bcg()
    design = pd.DataFrame({"intercept": 1.0, "x": 2.0}, index=range(13))
    with pytest.raises(NotRun, match="determine each other"):
        meta_regression(effects, variances, design)
    with pytest.raises(NotRun, match="needs 4 studies for 2 parameters, there are 3"):
        meta_regression(effects[:3], variances[:3], design[:3])


def test_hedges_g_by_hand_and_by_statsmodels():
    # Pooled sd 2, d = 1; 18 degrees of freedom: J = gamma(9) / (3 gamma(8.5)) = 0.95765.
    g, variance = hedges_g(10, 3, 2, 10, 1, 2)
    assert g == pytest.approx(0.95765, rel=1e-5, abs=1e-5)
    assert variance == pytest.approx(0.95765**2 * (0.2 + 1 / 40), rel=1e-5, abs=1e-5)
    oracle, _ = effectsize_smd(3, 2, 40, 1, 2.5, 60)
    assert hedges_g(40, 3, 2, 60, 1, 2.5)[0] == pytest.approx(oracle, rel=1e-4)
    assert hedges_g(40, 1, 2, 60, 3, 2.5)[0] < 0


TAXA = [10, 20, 30, 40]


def cohorts(per_study=(30, 30, 30), shift=2.0, seed=1):
    """Studies X, Y, Z; taxon 10 is `shift` (log2) more in the depressed, 40 is in Z only."""
    rng = np.random.default_rng(seed)
    n = sum(per_study)
    samples = pd.DataFrame(
        {
            "group": np.where(np.arange(n) % 2, "depressed", "control"),
            "age": rng.uniform(20, 60, n),
            "study": np.repeat(list("XYZ")[: len(per_study)], per_study),
        },
        index=[f"S{i}" for i in range(n)],
    )
    log = rng.normal(0, 0.7, (n, 4))
    log[:, 0] += np.log(2) * shift * (samples["group"] == "depressed")
    share = 0.1 * np.exp(log) / np.exp(log).mean()
    counts = pd.DataFrame(rng.poisson(20_000 * share / 10).T, TAXA, samples.index)
    counts.loc[40, samples["study"] != "Z"] = 0
    total = pd.Series(20_000, index=samples.index)
    return counts, total, samples


def run_cohorts(samples=None, formula="~ group", **settings):
    counts, total, own = cohorts()
    samples = own if samples is None else samples
    return taxa_by_cohort(
        counts, total, samples, "study", formula, {"group": "control"}, {10: "Ten"}, **settings
    )


def test_each_study_is_modelled_as_if_it_were_alone():
    counts, total, samples = cohorts()
    table, not_run, dropped = run_cohorts(formula="~ group + age + study")
    assert (not_run, dropped) == ({}, {})
    assert table.columns.tolist() == [c for c in BY_COHORT_COLUMNS if c != "assay"]
    own = samples[samples["study"] == "Y"]
    alone = linear_models(counts, total, build_design(own, "~ group + age", {"group": "control"}))
    found = table[table["study"] == "Y"].reset_index(drop=True)
    assert found["feature"].tolist() == alone["taxon_id"].tolist()
    for column in ("effect", "se", "p", "n"):
        assert found[column].tolist() == alone[column].tolist()
    assert set(table.loc[table["feature"] == 40, "study"]) == {"Z"}


def test_the_planted_taxon_is_found_and_a_taxon_of_one_study_passes_through():
    table, _, _ = run_cohorts()
    pooled = pool_cohorts(table.assign(assay="shotgun"))
    assert pooled.columns.tolist() == POOLED_COHORTS_COLUMNS
    rows = pooled.set_index("feature")
    assert rows.loc[10, ["k", "n", "name", "pooling"]].tolist() == [3, 90, "Ten", "random effects"]
    assert 1.4 < rows.loc[10, "effect"] < 2.6
    assert rows.loc[10, "low"] > 0
    assert rows.index[0] == 10
    single = rows.loc[40]
    alone = table[table["feature"] == 40].iloc[0]
    assert single[["k", "n", "pooling"]].tolist() == [1, 30, "one study"]
    for column in ("effect", "low", "high", "se", "p"):
        assert single[column] == pytest.approx(alone[column])
    assert np.isnan(single["q"])
    assert rows["q"].drop(40).notna().all()


def test_a_study_that_cannot_be_analysed_is_named_and_the_rest_goes_on():
    _, _, samples = cohorts()
    changed = samples.copy()
    changed.loc[changed["study"] == "Y", "group"] = "control"
    changed.loc["S0", "study"] = np.nan
    changed.loc["S1", "age"] = np.nan
    table, not_run, dropped = run_cohorts(changed, "~ group + age")
    assert set(table["study"]) == {"X", "Z"}
    assert list(not_run) == ["Y"]
    assert "column 'group' is constant (control)" in not_run["Y"]
    assert dropped == {"S0": "missing study", "S1": "missing age"}


def test_reference_levels_are_those_of_all_studies_together():
    """A study without the common reference level would compare with another: it is not run."""
    _, _, samples = cohorts()
    samples["diet"] = np.tile(["any", "vegan"], 45)[np.argsort(np.arange(90) * 7 % 90)]
    samples.loc[samples["study"] == "Z", "diet"] = np.tile(["vegan", "vegetarian", "vegan"], 10)
    _, not_run, _ = run_cohorts(samples, "~ group + diet")
    assert "reference level 'any' of column 'diet' occurs in no sample" in not_run["Z"]


def test_a_formula_of_the_study_alone_has_nothing_to_pool():
    with pytest.raises(NotRun, match="no term beside 'study'"):
        run_cohorts(formula="~ study")


def test_differences_of_groups_are_hedges_g_in_each_study():
    _, _, samples = cohorts((12, 12, 5))
    values = pd.DataFrame(
        {"shannon": np.arange(29.0) % 7, "flat": 1.0, "score": np.arange(29.0) % 2},
        index=samples.index,
    )
    values.loc["S0", "shannon"] = np.nan
    table, not_run = differences_by_cohort(values, samples, "study", "group", "control", "alpha")
    own = values.loc[samples["study"] == "X", "shannon"]
    ill, well = (
        own[samples.loc[own.index, "group"] == g].dropna() for g in ("depressed", "control")
    )
    g, variance = hedges_g(6, ill.mean(), ill.std(), 5, well.mean(), well.std())
    row = table[(table["study"] == "X") & (table["feature"] == "shannon")].iloc[0]
    assert row["effect"] == pytest.approx(float(g))
    assert row["se"] == pytest.approx(float(np.sqrt(variance)))
    assert row[["n", "term", "kind"]].tolist() == [11, "group[T.depressed]", "alpha"]
    assert set(table["feature"]) == {"shannon"}
    assert set(not_run) == {"X", "Y", "Z"}
    assert "depressed against control: needs 3 samples of each" in not_run["Z"]


def repeated(generator, subjects=24, samples=4):
    """A study without any effect, its subjects seen several times and alike to themselves."""
    group = np.repeat(np.where(np.arange(subjects) % 2, "case", "control"), samples)
    names = [f"S{i}" for i in range(subjects * samples)]
    person = np.repeat([f"P{i}" for i in range(subjects)], samples)
    own = np.repeat(generator.normal(size=subjects), samples)
    values = pd.DataFrame({"shannon": own + 0.5 * generator.normal(size=len(own))}, names)
    return values, pd.DataFrame({"study": "X", "group": group, "person": person}, names)


def test_samples_of_a_subject_are_one_value_of_it_so_that_p_is_calibrated():
    generator = np.random.default_rng(9)
    compare = ("study", "group", "control", "alpha")
    by_subject, by_sample = [], []
    for _ in range(200):
        values, samples = repeated(generator)
        by_subject += differences_by_cohort(values, samples, *compare, "person")[0]["p"].tolist()
        by_sample += differences_by_cohort(values, samples, *compare)[0]["p"].tolist()
    hits = int(np.sum(np.array(by_subject) < 0.05))
    assert stats.binomtest(hits, 200, 0.05).pvalue > 0.001
    # What the comparison of samples would claim.
    assert np.mean(np.array(by_sample) < 0.05) > 0.2


def test_n_are_subjects_and_says_so():
    values, samples = repeated(np.random.default_rng(1))
    values.iloc[:4] = np.nan
    compare = ("study", "group", "control", "alpha")
    table, _ = differences_by_cohort(values, samples, *compare, "person")
    assert table[["n", "n_of"]].to_numpy().tolist() == [[23, "subjects"]]
    means = values.groupby(samples["person"]).mean()
    first = samples.drop_duplicates("person").set_index("person")
    once, _ = differences_by_cohort(means, first, *compare, "person")
    assert_frame_equal(table.drop(columns="n_of"), once.drop(columns="n_of"))
    pooled = pool_cohorts(table.assign(assay="shotgun"))
    assert pooled[["n", "n_of"]].to_numpy().tolist() == [[23, "subjects"]]
    table, _ = differences_by_cohort(values, samples, *compare)
    assert table[["n", "n_of"]].to_numpy().tolist() == [[92, "samples"]]


def test_a_study_with_a_subject_in_both_groups_is_refused_by_its_name():
    values, samples = repeated(np.random.default_rng(1))
    samples.iloc[4:6, 1] = "control"
    compare = ("study", "group", "control", "alpha")
    table, not_run = differences_by_cohort(values, samples, *compare, "person")
    assert table.empty
    assert not_run["X"].startswith("subject P1 has samples of several groups (case, control; 1 ")


def test_nothing_to_pool_is_an_empty_table():
    empty = pd.DataFrame(columns=BY_COHORT_COLUMNS)
    assert pool_cohorts(empty).columns.tolist() == POOLED_COHORTS_COLUMNS
