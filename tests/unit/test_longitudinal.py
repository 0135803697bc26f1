"""Change since baseline: by hand, against lmerTest, on planted and on null trials."""

import io

import numpy as np
import pandas as pd
import pytest

from moodbiome.association import fit_reml
from moodbiome.faults import NotRun
from moodbiome.longitudinal import (
    change_models,
    changes,
    find_visits,
    reasons,
    retention,
    taxon_values,
    with_q,
)

# Simulated: subject, arm, week, two outcomes. Subjects leave at random after week 4.
TRIAL = """\
P00 probiotic 0 20.5 -0.44
P00 probiotic 4 17.4 1.17
P00 probiotic 8 14.9 0.65
P00 probiotic 12 13.5 -0.02
P01 placebo 0 21.9 0.67
P01 placebo 4 20.5 -0.34
P01 placebo 8 20.8 1.05
P01 placebo 12 17.7 -0.01
P02 probiotic 0 21.0 0.58
P02 probiotic 4 15.7 -1.29
P02 probiotic 8 12.7 0.35
P02 probiotic 12 10.6 -1.69
P03 placebo 0 17.6 -2.04
P03 placebo 4 18.7 -0.3
P04 probiotic 0 15.9 -0.9
P04 probiotic 4 16.6 0.16
P04 probiotic 8 15.4 2.24
P04 probiotic 12 12.3 -0.83
P05 placebo 0 16.8 -0.62
P05 placebo 4 18.4 0.21
P05 placebo 8 15.6 0.49
P05 placebo 12 13.6 -0.18
P06 probiotic 0 19.9 -0.21
P06 probiotic 4 17.7 0.7
P06 probiotic 8 15.5 0.52
P06 probiotic 12 10.9 -1.03
P07 placebo 0 21.9 -0.08
P07 placebo 4 19.6 0.04
P07 placebo 8 20.5 -1.05
P08 probiotic 0 21.0 0.26
P08 probiotic 4 17.7 -0.86
P08 probiotic 8 15.6 0.97
P08 probiotic 12 15.7 0.19
P09 placebo 0 19.0 0.09
P09 placebo 4 16.8 -0.59
P10 probiotic 0 16.8 -0.12
P10 probiotic 4 15.1 -2.0
P11 placebo 0 20.3 -1.13
P11 placebo 4 19.9 0.36
P11 placebo 8 16.9 -2.13
P11 placebo 12 18.5 0.85
P12 probiotic 0 23.5 -1.75
P12 probiotic 4 19.8 0.76
P12 probiotic 8 17.7 -0.85
P13 placebo 0 18.7 0.78
P13 placebo 4 18.5 0.13
P13 placebo 8 16.4 -1.54
P13 placebo 12 15.5 1.25
"""


@pytest.fixture(scope="module")
def trial():
    return pd.read_table(
        io.StringIO(TRIAL), sep=" ", names=["subject", "arm", "timepoint", "y", "z"], dtype=str
    ).astype({"y": float, "z": float})


def visits_of(table):
    return table[["subject", "timepoint", "arm"]].assign(status="ok")


# lme4 1.1-31 and lmerTest 3.1-3 in R 4.2.2, control = lmerControl(optCtrl = list(xtol_abs = 1e-12,
# ftol_abs = 1e-12)): lmer(y ~ time + arm:time + base + (1 | subject)) on the weeks after 0.
LMER_ARMS = {
    "y": [
        (-1.938512480, 0.805075120, 20.1028089, 0.025764089826),
        (-2.860240080, 0.890946602, 22.7747507, 0.003914171299),
        (-3.733416209, 0.963268246, 24.8221088, 0.000687878011),
    ],
    # No variance between subjects: lmer says the fit is singular.
    "z": [
        (-0.1265161590, 0.517651315, 27, 0.8087655881),
        (1.2618075481, 0.590807171, 27, 0.0419228495),
        (-1.1576843142, 0.649736972, 27, 0.0860382809),
    ],
}
# lmer(y ~ time + (1 | subject)) on all weeks.
LMER_TIME = {
    "y": [
        (-1.60000000, 0.551668238, 30.9561716, 6.80255494e-03),
        (-3.38170572, 0.600859391, 31.8206606, 3.25351757e-06),
        (-5.28558883, 0.644673102, 32.1256931, 2.23052260e-09),
    ],
    "z": [
        (0.218571429, 0.371875656, 44, 0.559701977),
        (0.414350649, 0.396420781, 44, 0.301625431),
        (0.187380952, 0.420363902, 44, 0.657957167),
    ],
}


def agree(table, expected):
    table = table[table["population"] == "intention_to_treat"]
    for outcome, rows in expected.items():
        found = table[table["outcome"] == outcome]
        assert found["timepoint"].tolist() == ["4", "8", "12"]
        effect, error, df, p = np.array(rows).T
        np.testing.assert_allclose(found["effect"], effect, rtol=1e-6)
        np.testing.assert_allclose(found["df"], df, rtol=1e-5)
        np.testing.assert_allclose(found["p"], p, rtol=1e-4)
        assert ((found["low"] + found["high"]) / 2 - effect).abs().max() < 1e-6
        assert (found["high"] - found["low"] > 3.9 * error).all()


def test_arms_agree_with_lmertest(trial):
    values = trial[["y", "z"]]
    table, not_run = change_models(values, visits_of(trial), ["0", "4", "8", "12"], "placebo")
    agree(table, LMER_ARMS)
    assert set(table["arm"]) == {"probiotic"}
    assert not_run == {}


def test_time_alone_agrees_with_lmertest(trial):
    visits = visits_of(trial).assign(arm="")
    table, _ = change_models(trial[["y", "z"]], visits, ["0", "4", "8", "12"])
    agree(table, LMER_TIME)


def test_one_later_timepoint_is_analysis_of_covariance(trial):
    # lm(y ~ arm + base) on week 4.
    part = trial[trial["timepoint"].isin(["0", "4"])]
    table, _ = change_models(part[["y"]], visits_of(part), ["0", "4"], "placebo")
    (row,) = table.itertuples()
    assert row.effect == pytest.approx(-1.911659636, rel=1e-8)
    assert (row.df, row.n_arm, row.n_reference, row.n_samples) == (11, 7, 7, 14)
    assert row.p == pytest.approx(0.00622923943, rel=1e-6)


def test_completers_are_those_seen_every_time(trial):
    table, _ = change_models(trial[["y"]], visits_of(trial), ["0", "4", "8", "12"], "placebo")
    seen = trial.groupby("subject")["timepoint"].nunique()
    complete = trial[trial["subject"].map(seen) == 4]
    alone, _ = change_models(complete[["y"]], visits_of(complete), ["0", "4", "8", "12"], "placebo")
    assert set(alone["population"]) == {"intention_to_treat"}
    ours = table[table["population"] == "completers"].reset_index(drop=True)
    assert 0 < len(complete) < len(trial)
    pd.testing.assert_frame_equal(ours.drop(columns="population"), alone.drop(columns="population"))


def test_an_outcome_that_is_absent_at_baseline_is_compared_without_it(trial):
    values = trial[["y"]].assign(strain=trial["y"].where(trial["timepoint"] != "0", 0.0))
    table, _ = change_models(values, visits_of(trial), ["0", "4", "8", "12"], "placebo")
    ours = table[(table["outcome"] == "strain") & (table["population"] == "intention_to_treat")]
    later = trial[trial["timepoint"] != "0"]
    time, arm = later["timepoint"], later["arm"] == "probiotic"
    columns = [np.ones(len(later)), time == "8", time == "12"]
    columns += [(time == each) & arm for each in ("4", "8", "12")]
    matrix = np.column_stack(columns).astype(float)
    expected = fit_reml(later[["y"]].to_numpy(), matrix, later["subject"].to_numpy())[0]
    np.testing.assert_allclose(ours["effect"], expected[3:, 0])


def simulate(generator, n=60, outcomes=1, effect=(0.0, 0.0), times=("0", "4", "8")):
    """A trial of two arms: a person's level, noise, and an effect at each later timepoint."""
    subjects = [f"P{i:04}" for i in range(n)]
    arms = generator.permutation(np.arange(n) % 2)
    level = generator.normal(0, 1, (n, outcomes))
    parts = []
    for place, time in enumerate(times):
        shift = effect[place - 1] if place else 0.0
        values = level + generator.normal(0, 1, (n, outcomes)) + shift * arms[:, None]
        part = pd.DataFrame(values).add_prefix("y")
        part = part.assign(subject=subjects, timepoint=time, status="ok")
        parts.append(part.assign(arm=np.where(arms == 1, "probiotic", "placebo")))
    table = pd.concat(parts, ignore_index=True)
    names = [f"y{i}" for i in range(outcomes)]
    return table[names], table[["subject", "timepoint", "arm", "status"]]


def test_null_trials_are_calibrated():
    generator = np.random.default_rng(0)
    tables = []
    for _ in range(200):
        values, visits = simulate(generator, n=24, outcomes=5)
        gone = generator.random(len(visits)) < 0.15
        kept = ~(gone & (visits["timepoint"] != "0"))
        tables.append(change_models(values[kept], visits[kept], ["0", "4", "8"], "placebo")[0])
    table = pd.concat(tables)
    for population, part in table.groupby("population"):
        share = (part["p"] < 0.05).mean()
        assert 0.03 < share < 0.075, (population, share)
    covered = (table["low"] < 0) & (table["high"] > 0)
    assert covered.mean() == pytest.approx(0.95, abs=0.02)


def test_a_planted_effect_is_recovered_where_it_was_planted():
    values, visits = simulate(np.random.default_rng(1), n=400, outcomes=20, effect=(0.0, 0.8))
    table, _ = change_models(values, visits, ["0", "4", "8"], "placebo")
    means = table.groupby("timepoint")["effect"].mean()
    assert means["4"] == pytest.approx(0.0, abs=0.06)
    assert means["8"] == pytest.approx(0.8, abs=0.06)
    late = table[table["timepoint"] == "8"]
    assert (late["p"] < 1e-4).all()


def test_leaving_after_a_bad_week_does_not_bias_the_estimate():
    # In one arm those with a high value in week 4 leave: completers mislead, the model does not.
    generator = np.random.default_rng(2)
    values, visits = simulate(generator, n=1200, outcomes=1, effect=(0.0, 0.5))
    is_bad = (visits["timepoint"] == "4") & (values["y0"] > 0.3) & (visits["arm"] == "probiotic")
    leaves = visits["subject"].isin(visits.loc[is_bad, "subject"])
    kept = ~((visits["timepoint"] == "8") & leaves)
    table, _ = change_models(values[kept], visits[kept], ["0", "4", "8"], "placebo")
    late = table[table["timepoint"] == "8"].set_index("population")
    assert late.loc["intention_to_treat", "effect"] == pytest.approx(0.5, abs=0.15)
    seen = values[kept]["y0"].groupby([visits["timepoint"], visits["arm"]]).mean()
    assert seen["8", "probiotic"] - seen["8", "placebo"] < 0.25


def test_an_effect_on_a_taxon_is_relative_to_the_others():
    values, visits = simulate(np.random.default_rng(3), n=200, outcomes=40)
    treated = (visits["arm"] == "probiotic") & (visits["timepoint"] != "0")
    values = values.add(np.where(treated, 1.0, 0.0), axis="index")
    values["y7"] += np.where(treated, 1.5, 0.0)
    table, _ = change_models(values, visits, ["0", "4", "8"], "placebo", relative=True)
    of_taxon = table.set_index("outcome")["effect"]
    assert of_taxon["y7"].mean() == pytest.approx(1.5, abs=0.3)
    assert of_taxon.drop("y7").mean() == pytest.approx(0.0, abs=0.1)


def test_small_cells_are_named_and_left_out(trial):
    late = trial["timepoint"] == "12"
    few = trial[~late | (trial["arm"] == "placebo")]
    table, not_run = change_models(few[["y"]], visits_of(few), ["0", "4", "8", "12"], "placebo")
    assert set(table["timepoint"]) == {"4", "8"}
    assert not_run["y"] == (
        "arm 'probiotic' has 0 subjects with a value at baseline and at timepoint '12', "
        "3 are needed"
    )
    start = trial[trial["timepoint"] == "0"]
    table, not_run = change_models(start[["y"]], visits_of(start), ["0", "4"], "placebo")
    assert table.empty
    assert "arm 'placebo' has 0 subjects" in not_run["y"]


def test_subjects_stay_in_the_arm_they_were_given():
    samples = pd.DataFrame(
        {
            "sample_type": ["sample"] * 6 + ["negative_control"],
            "status": ["ok", "ok", "excluded", "ok", "failed", "ok", "ok"],
            "who": ["A", "A", "A", "B", "B", None, None],
            "week": ["0", "4", "4", "0", "4", "4", None],
            "arm": ["x", None, "x", "y", "y", "y", None],
            "took": ["y", "y", "y", "y", "y", "y", None],
        },
        index=["S1", "S2", "S3", "S4", "S5", "S6", "N1"],
    )
    visits, left_out = find_visits(samples, "who", "week", "arm", ["0", "4"])
    assert visits.index.tolist() == ["S1", "S2", "S4", "S5"]
    assert visits["arm"].tolist() == ["x", "x", "y", "y"]
    assert left_out == {"S6": "missing who"}
    kept = retention(visits, ["0", "4"])
    assert kept["missing"].tolist() == ["", "", "", "B (failed)"]
    assert kept["usable"].tolist() == [1, 1, 1, 0]


def test_every_subject_with_a_baseline_has_a_row_of_change():
    visits = pd.DataFrame(
        {
            "subject": ["A", "A", "B", "C", "D", "D"],
            "timepoint": ["0", "4", "0", "4", "0", "4"],
            "arm": "x",
            "status": ["ok", "ok", "ok", "ok", "low_depth", "ok"],
        },
        index=["A0", "A4", "B0", "C4", "D0", "D4"],
    )
    values = pd.DataFrame({"y": [1.0, 4.0, 2.0, 5.0, 7.0]}, ["A0", "A4", "B0", "C4", "D4"])
    table = changes(values, visits, ["0", "4"]).set_index("subject")
    assert table["status"].to_dict() == {"A": "ok", "B": "no sample", "D": "baseline: low_depth"}
    assert table["change"].to_dict() == pytest.approx(
        {"A": 3.0, "B": np.nan, "D": np.nan}, nan_ok=True
    )


def test_q_is_within_population_family_and_method():
    table = pd.DataFrame(
        {
            "population": ["intention_to_treat"] * 3 + ["completers"],
            "family": ["scales", "scales", "alpha", "scales"],
            "method": "value",
            "p": [0.01, 0.04, 0.03, 0.04],
        }
    )
    assert with_q(table)["q"].tolist() == [0.02, 0.04, 0.03, 0.04]


def test_taxa_that_are_too_few_for_a_ratio_are_refused():
    counts = pd.DataFrame([[5, 4, 6]] * 3, index=[1, 2, 3], columns=["A", "B", "C"])
    total = pd.Series(20, counts.columns)
    assert taxon_values(counts, total, "log2_proportion").shape == (3, 3)
    with pytest.raises(NotRun, match="needs 10 taxa that pass the filters, there are 3"):
        taxon_values(counts, total, "clr_bias_corrected")


def test_reasons_are_gathered():
    assert reasons({"a": "few", "b": "none", "c": "few"}) == ["a, c: few", "b: none"]
