"""Models on measured variables: planted effects, calibration, censoring, sensitivity runs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from pandas.testing import assert_frame_equal
from scipy.stats import kstest

from moodbiome.association import build_design, linear_models
from moodbiome.dictionary import read_dictionary
from moodbiome.measure_models import (
    MAIN,
    Features,
    Run,
    associate_group,
    associate_measures,
    canonical_categories,
    censored_expectation,
    sensitivity_runs,
    taxon_features,
)
from moodbiome.measures import LINEAR_METHODS

DICTIONARY = read_dictionary(Path(__file__).parents[2] / "config/metadata.tsv")
N = 80


def block(values, kind="taxon"):
    values = pd.DataFrame(values)
    return Features(kind, values, pd.Series({f: f"name of {f}" for f in values}), "log2")


def on_main(features, metadata, measures, adjust_for=(), **more):
    runs = [Run(MAIN, metadata.index)]
    return associate_measures(features, metadata, measures, adjust_for, runs, DICTIONARY, **more)


@pytest.fixture
def metadata():
    generator = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "group": ["control", "case"] * (N // 2),
            "phq9_total": generator.integers(0, 27, N),
            "il6_pg_ml": np.exp2(generator.normal(1, 1, N)),
            "antidepressant": ["no", "no", "no", "yes"] * (N // 4),
            "age": generator.normal(40, 10, N),
            "sex": generator.choice(["female", "male"], N),
            "bristol": generator.integers(1, 8, N),
        },
        index=[f"S{i}" for i in range(N)],
    )


@pytest.fixture
def features(metadata):
    generator = np.random.default_rng(2)
    values = pd.DataFrame(generator.normal(size=(N, 20)), metadata.index, range(100, 120))
    phq = metadata["phq9_total"]
    values[100] += 1.5 * (phq - phq.mean()) / phq.std()
    values[101] += 2.0 * (metadata["antidepressant"] == "yes")
    return block(values)


def test_planted_associations_are_found_and_no_others(metadata, features):
    table, not_run = on_main([features], metadata, ["phq9_total", "antidepressant"], ["age", "sex"])
    assert not_run == []
    found = table[table["q"] <= 0.01]
    assert found[["measure", "feature", "family"]].to_numpy().tolist() == [
        ["phq9_total", 100, "symptoms x taxon"],
        ["antidepressant", 101, "medication x taxon"],
    ]
    assert found["effect"].tolist() == pytest.approx([1.5, 2.0], abs=0.5)
    assert found["contrast"].tolist()[1] == "yes against no"
    assert found["contrast"].tolist()[0].endswith(" points)")
    assert set(found["adjusted_for"]) == {"age, sex"}


def test_the_numbers_are_those_of_statsmodels(metadata, features):
    table, _ = on_main([features], metadata, ["phq9_total"], ["age"])
    phq = metadata["phq9_total"]
    matrix = np.column_stack([np.ones(N), (phq - phq.mean()) / phq.std(), metadata["age"]])
    row = table.set_index("feature").loc[107]
    fit = sm.OLS(features.outcomes[107].to_numpy(), matrix).fit()
    assert [row["effect"], row["p"]] == pytest.approx([fit.params[1], fit.pvalues[1]])
    assert [row["low"], row["high"]] == pytest.approx(fit.conf_int()[1])
    assert row["effect_sd"] == pytest.approx(fit.params[1] / features.outcomes[107].std())


def test_p_values_are_uniform_without_an_association(metadata):
    generator = np.random.default_rng(3)
    values = pd.DataFrame(generator.normal(size=(N, 2)), metadata.index, ["a", "b"])
    values["b"] += 0.05 * metadata["age"]
    p = {"a": [], "b": []}
    limit = np.float64(metadata["il6_pg_ml"].quantile(0.3))
    for _ in range(200):
        drawn = metadata.copy()
        drawn["il6_pg_ml"] = generator.permutation(metadata["il6_pg_ml"])
        below = drawn["il6_pg_ml"] < limit
        drawn["il6_pg_ml_censoring"] = np.where(below, "below", None)
        drawn.loc[below, "il6_pg_ml"] = limit
        table, _ = on_main([block(values)], drawn, ["il6_pg_ml"], ["age"])
        for feature, value in zip(table["feature"], table["p"], strict=True):
            p[feature].append(value)
    for values_of_p in p.values():
        assert kstest(values_of_p, "uniform").pvalue > 0.01


def test_subjects_who_repeat_have_a_random_intercept_and_honest_p_values():
    generator = np.random.default_rng(4)
    subjects = np.repeat([f"P{i}" for i in range(20)], 4)
    p = []
    for _ in range(200):
        own = np.repeat(generator.normal(size=20), 4)
        table = pd.DataFrame(
            {"subject": subjects, "sleep_h": np.repeat(generator.normal(8, 1, 20), 4)}
        )
        values = block(pd.DataFrame({"a": own + 0.5 * generator.normal(size=80)}))
        found, _ = on_main([values], table, ["sleep_h"])
        p.append(found["p"].item())
    assert found["method"].item() == "random intercept"
    assert kstest(p, "uniform").pvalue > 0.01


def test_censored_expectation_is_unbiased_where_the_half_limit_is_not():
    generator = np.random.default_rng(5)
    slopes = []
    for _ in range(200):
        covariate = generator.normal(size=150)
        log = 0.5 * covariate + generator.normal(size=150)
        outcome = 1.0 * log - 0.7 * covariate + generator.normal(size=150)
        limit = -0.3
        below = log < limit
        matrix = np.column_stack([np.ones(150), covariate])
        filled, spread = censored_expectation(
            np.where(below, limit, log), -below.astype(int), matrix
        )
        half = np.where(below, limit - 1, log)
        fits = [
            sm.OLS(outcome, np.column_stack([x, matrix])).fit()
            for x in (filled, half, np.where(below, limit, log))
        ]
        slopes.append([*(fit.params[0] for fit in fits), spread])
    expected, half, at_limit, spread = np.mean(slopes, axis=0)
    assert expected == pytest.approx(1.0, abs=0.03)
    assert abs(half - 1.0) > 0.05
    assert abs(at_limit - 1.0) > 0.2
    assert spread == pytest.approx(np.sqrt(1.25), abs=0.03)


def test_values_above_a_limit_are_censored_as_those_below():
    generator = np.random.default_rng(6)
    log, ones = generator.normal(size=200), np.ones((200, 1))
    low, _ = censored_expectation(np.maximum(log, -0.2), -(log < -0.2).astype(int), ones)
    high, _ = censored_expectation(np.minimum(-log, 0.2), (log < -0.2).astype(int), ones)
    assert low == pytest.approx(-high, abs=1e-6)


def test_censored_samples_are_counted_and_none_is_dropped(metadata, features):
    metadata["il6_pg_ml_censoring"] = None
    metadata.loc[metadata.index[:20], ["il6_pg_ml", "il6_pg_ml_censoring"]] = [0.4, "below"]
    metadata.loc["S30", "il6_pg_ml"] = 0.0
    table, _ = on_main([features], metadata, ["il6_pg_ml"])
    assert set(table["n"]) == {N}
    assert set(table["n_censored"]) == {21}
    assert set(table["method"]) == {"least squares, censored expectation"}
    assert table["contrast"].str.endswith("doublings)").all()


def test_a_variable_mostly_beyond_its_limit_is_refused_with_a_mend(metadata, features):
    metadata["il6_pg_ml_censoring"] = ["below"] * 50 + [None] * 30
    table, (reason,) = on_main([features], metadata, ["il6_pg_ml"])
    assert table.empty
    assert reason.startswith("il6_pg_ml: 62% of 80 values lie beyond the detection limit")


@pytest.mark.parametrize("unit", [1.0, 60.0])
def test_neither_order_nor_unit_nor_spelling_changes_the_table(metadata, features, unit):
    expected, _ = on_main([features], metadata, ["il6_pg_ml", "antidepressant"], ["age"])
    changed = metadata.iloc[::-1].copy()
    changed["il6_pg_ml"] *= unit
    changed["antidepressant"] = changed["antidepressant"].map({"no": 0.0, "yes": 1.0})
    changed = canonical_categories(changed, DICTIONARY)
    found, _ = on_main([features], changed, ["il6_pg_ml", "antidepressant"], ["age"])
    assert_frame_equal(found, expected)


def test_a_measure_is_not_adjusted_for_itself_nor_for_a_constant(metadata, features):
    metadata["sex"] = "female"
    table, _ = on_main([features], metadata, ["age", "phq9_total"], ["age", "sex", "bmi"])
    adjusted = table.groupby("measure")["adjusted_for"].first()
    assert adjusted.to_dict() == {"age": "", "phq9_total": "age"}


def test_what_cannot_be_tested_says_why_and_the_rest_goes_on(metadata, features):
    metadata["madrs_total"] = np.nan
    metadata["sleep_h"] = 8.0
    metadata["pss10_total"] = [float(i) if i < 7 else np.nan for i in range(N)]
    measures = ["madrs_total", "sleep_h", "pss10_total", "phq9_total"]
    table, not_run = on_main([features], metadata, measures, ["age"])
    assert set(table["measure"]) == {"phq9_total"}
    assert not_run[0] == "madrs_total: no sample has a value of madrs_total, age"
    assert "column 'sleep_h' is constant (8.0)" in not_run[1]
    assert not_run[2] == "pss10_total: 7 samples for 3 parameters, fewer than 5 to spare"


def test_a_feature_with_missing_values_keeps_its_other_samples(metadata, features):
    alpha = pd.DataFrame(
        {"shannon": np.arange(N, dtype=float) % 7, "chao1": 1.0 * (np.arange(N) % 5)}
    )
    alpha.index = metadata.index
    alpha.loc["S3", "shannon"] = np.nan
    table, _ = on_main([features, block(alpha, "alpha_diversity")], metadata, ["phq9_total"])
    n = table[table["feature_kind"] == "alpha_diversity"].set_index("feature")["n"]
    assert n.to_dict() == {"shannon": N - 1, "chao1": N}
    # A second kind is a family of its own, so it does not move the q of the taxa.
    alone, _ = on_main([features], metadata, ["phq9_total"])
    assert table.loc[table["feature_kind"] == "taxon", "q"].tolist() == alone["q"].tolist()


def test_runs_leave_out_users_and_recent_antibiotics(metadata):
    metadata["antibiotics_days"] = [10.0, 89.0, 90.0, np.nan] * (N // 4)
    metadata.loc["S0", "antidepressant"] = np.nan
    runs, not_run = sensitivity_runs(metadata, 90)
    assert not_run == {}
    assert {run.name: len(run.samples) for run in runs} == {
        "main": 80,
        "without_antidepressants": 59,
        "without_recent_antibiotics": 40,
        "adjusted_for_stool": 80,
    }


def test_runs_without_their_column_or_anyone_to_leave_out_say_so(metadata):
    metadata = metadata.drop(columns="bristol").assign(antidepressant="no")
    runs, not_run = sensitivity_runs(metadata, 90)
    assert [run.name for run in runs] == ["main"]
    assert not_run["adjusted_for_stool"] == "the sheet has no column 'bristol'"
    assert "it would equal the main analysis" in not_run["without_antidepressants"]
    assert "'antibiotics_days'" in not_run["without_recent_antibiotics"]


def community(generator, n):
    counts = generator.poisson(
        np.exp(generator.normal(4, 1, (30, 1)) + generator.normal(0, 1, (30, n)))
    )
    samples = [f"S{i}" for i in range(n)]
    return pd.DataFrame(counts, range(100, 130), samples), pd.Series(counts.sum(axis=0), samples)


@pytest.mark.parametrize("method", LINEAR_METHODS)
def test_the_main_effects_are_those_of_the_differential_table(metadata, method):
    counts, total = community(np.random.default_rng(7), N)
    formula = "~ group + age + antidepressant"
    reference = {"group": "control"}
    names = pd.Series(counts.index.astype(str), counts.index)
    counts.loc[110, metadata.index[metadata["group"] == "case"]] = 0
    features = taxon_features(counts, total, names, method)
    runs, _ = sensitivity_runs(metadata, 90)
    table, not_run = associate_group([features], metadata, formula, "group", reference, runs)
    expected = linear_models(
        counts, total, build_design(metadata, formula, reference), method=method
    )
    expected = expected[expected["term"] == "group[T.case]"].set_index("taxon_id")
    found = table[table["run"] == "adjusted_for_stool"].set_index("feature")
    assert not_run == {}
    # A structural zero: no sample of the cases has it.
    assert set(expected.index) - set(found.index) == {110}
    for ours, theirs in (("main_effect", "effect"), ("main_low", "low"), ("main_n", "n")):
        assert found[ours].to_numpy() == pytest.approx(expected.loc[found.index, theirs])
    # Without users of the drug its term is constant, and is taken out of the formula.
    without = table[table["run"] == "without_antidepressants"].set_index("feature")
    kept = metadata[metadata["antidepressant"] == "no"]
    fit = build_design(kept, "~ group + age", reference).matrix
    by_hand = sm.OLS(features.outcomes.loc[kept.index, 105].to_numpy(), fit.to_numpy()).fit()
    if method == "log2_proportion":
        assert without.loc[105, "effect"] == pytest.approx(by_hand.params[1])
    assert without.loc[105, "low"] < without.loc[105, "effect"] < without.loc[105, "high"]
    assert without.loc[105, "n"] == 60


def test_an_effect_of_the_drug_alone_does_not_hold_without_its_users(metadata):
    generator = np.random.default_rng(8)
    metadata["antidepressant"] = np.where(metadata["group"] == "case", "yes", "no")
    metadata.iloc[1:40:2, metadata.columns.get_loc("antidepressant")] = "no"
    uses, case = metadata["antidepressant"] == "yes", metadata["group"] == "case"
    values = pd.DataFrame({"drug": 3.0 * uses, "case": 2.0 * case}, metadata.index)
    values += generator.normal(size=values.shape)
    runs, _ = sensitivity_runs(metadata, 90)
    table, _ = associate_group(
        [block(values)], metadata, "~ group", "group", {"group": "control"}, runs
    )
    assert ((table["main_low"] > 0) | (table["main_high"] < 0)).all()
    without = table[table["run"] == "without_antidepressants"].set_index("feature")
    assert without["excludes_zero"].to_dict() == {"drug": False, "case": True}
    assert without.loc["case", "same_sign"]


@pytest.mark.parametrize(
    ("formula", "use", "reason"),
    [
        ("~ group", ["yes", "no"], "column 'group' is constant in the 40 samples left"),
        ("~ group", ["no"] * 6 + ["yes"] * 74, "6 samples for 2 parameters, fewer than 5"),
    ],
)
def test_a_run_that_leaves_too_little_says_why(metadata, features, formula, use, reason):
    metadata["antidepressant"] = (use * N)[:N]
    runs, _ = sensitivity_runs(metadata, 90)
    table, not_run = associate_group([features], metadata, formula, "group", {}, runs)
    assert reason in not_run["without_antidepressants"]
    assert set(table["run"]) == {"adjusted_for_stool"}


def test_a_group_within_an_interaction_alone_is_not_followed(metadata, features):
    runs, _ = sensitivity_runs(metadata, 90)
    table, not_run = associate_group([features], metadata, "~ group:age", "group", {}, runs)
    assert table.empty
    assert "has no term for 'group' alone" in not_run[MAIN]


def test_a_run_does_not_test_what_it_adjusts_for_or_selects_by(metadata, features):
    runs, _ = sensitivity_runs(metadata, 90)
    measures = ["bristol", "antidepressant", "phq9_total"]
    table, reasons = associate_measures([features], metadata, measures, [], runs, DICTIONARY)
    tested = table.groupby("run")["measure"].unique().map(set).to_dict()
    assert reasons == []
    assert tested == {
        "main": set(measures),
        "without_antidepressants": {"bristol", "phq9_total"},
        "adjusted_for_stool": {"antidepressant", "phq9_total"},
    }
    _, not_run = associate_group([features], metadata, "~ group + bristol", "group", {}, runs)
    assert not_run["adjusted_for_stool"] == "the formula has bristol already"
