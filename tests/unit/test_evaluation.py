"""How well a score tells groups apart: areas, their intervals, models on unseen samples."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from moodbiome import evaluation
from moodbiome.evaluation import (
    ACROSS,
    BOTH,
    COVARIATES,
    POOLED,
    SCORE,
    TRAINED,
    UNFITTED,
    WITHIN,
    _areas_of_placements,
    area_interval,
    cross_validate,
    deal_folds,
    evaluate,
    permute_labels,
    placements,
    ridge_logistic,
)
from moodbiome.faults import NotRun


def areas_of(values, is_other, subjects):
    """Areas of the rows of values (k, n), and their covariance."""
    placed = np.array([placements([row], is_other) for row in np.asarray(values, float)])
    return _areas_of_placements(placed, is_other, subjects)


def cohort(n, shift, seed, *, study="A", offset=0.0):
    """Equal groups whose scores differ by `shift` standard deviations; age differs by one."""
    generator = np.random.default_rng(seed)
    is_other = np.arange(2 * n) >= n
    return pd.DataFrame(
        {
            "score": generator.normal(size=2 * n) + shift * is_other + offset,
            "group": np.where(is_other, "depressed", "control"),
            "study": study,
            "age": 40 + 10 * (generator.normal(size=2 * n) + is_other),
            "noise": generator.normal(size=2 * n),
        },
        index=[f"{study}{i}" for i in range(2 * n)],
    )


def row_of(table, model, validation, name=POOLED):
    chosen = table[
        (table["model"] == model) & (table["validation"] == validation) & (table["cohort"] == name)
    ]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_the_area_and_its_variance_by_hand():
    # Pairs (other, reference): 3>1, 3>2, 2>1, 2=2: 3.5 of 4. Placements 1 and 3/4; 1 and 3/4.
    areas, covariance = areas_of([[1, 2, 3, 2]], [0, 0, 1, 1], [0, 1, 2, 3])
    assert areas[0] == 3.5 / 4
    assert covariance[0, 0] == pytest.approx(2 * (2 * 0.125**2) / 2)


def test_the_area_is_that_of_mann_whitney_and_turns_with_the_values():
    generator = np.random.default_rng(1)
    values, is_other = generator.integers(0, 9, (2, 40)).astype(float), np.arange(40) < 15
    areas, _ = areas_of(values, is_other, range(40))
    for area, row in zip(areas, values, strict=True):
        u = stats.mannwhitneyu(row[is_other], row[~is_other]).statistic
        assert area == pytest.approx(u / (15 * 25))
    assert areas_of(-values, is_other, range(40))[0] == pytest.approx(1 - areas)


def test_a_subject_sampled_twice_gives_the_variance_of_one_sample():
    generator = np.random.default_rng(2)
    values, is_other = generator.normal(size=(1, 30)), np.arange(30) < 12
    areas, covariance = areas_of(values, is_other, range(30))
    again, clustered = areas_of(np.tile(values, 2), np.tile(is_other, 2), np.tile(range(30), 2))
    assert again == pytest.approx(areas)
    assert clustered == pytest.approx(covariance)
    _, naive = areas_of(np.tile(values, 2), np.tile(is_other, 2), range(60))
    assert naive[0, 0] < 0.6 * covariance[0, 0]


def test_one_subject_in_a_group_has_no_variance():
    with pytest.raises(ValueError, match="two subjects or more in each group"):
        areas_of([[1, 2, 3]], [0, 1, 1], [0, 1, 1])


@pytest.mark.parametrize("shift", [0.2, 0.5, 1.2])
def test_a_planted_shift_gives_the_area_of_theory(shift):
    found = evaluate(
        cohort(1000, shift, 3), "group", "control", permutations=99, seed=1
    ).table.iloc[0]
    truth = stats.norm.cdf(shift / np.sqrt(2))
    assert abs(found["auc"] - truth) < 0.03
    assert found["low"] < truth < found["high"]
    assert found["p_permutation"] <= 0.03
    assert (found["model"], found["validation"]) == (SCORE, UNFITTED)


@pytest.mark.parametrize(("n", "shift"), [(10, 0.0), (30, 0.0), (30, 1.2), (12, 2.0)])
def test_intervals_cover_the_truth_as_often_as_they_say(n, shift):
    generator = np.random.default_rng(4)
    is_other = np.arange(2 * n) >= n
    truth = stats.norm.cdf(shift / np.sqrt(2))
    covered = []
    for _ in range(400):
        areas, covariance = areas_of(
            [generator.normal(size=2 * n) + shift * is_other], is_other, range(2 * n)
        )
        low, high = area_interval(areas[0], covariance[0, 0], n)
        covered.append(low <= truth <= high)
    assert 0.9 <= np.mean(covered) <= 0.985


def test_intervals_count_subjects_and_not_samples():
    generator = np.random.default_rng(5)
    subjects = np.repeat(np.arange(40), 3)
    is_other = subjects >= 20
    covered = []
    for _ in range(200):
        values = np.repeat(generator.normal(size=40), 3) + 0.3 * generator.normal(size=120)
        areas, covariance = areas_of([values], is_other, subjects)
        low, high = area_interval(areas[0], covariance[0, 0], 20)
        covered.append(low <= 0.5 <= high)
    assert 0.9 <= np.mean(covered) <= 0.985


def test_permuted_labels_stay_with_their_subjects():
    subjects = np.array([0, 0, 1, 1, 2, 3, 4, 4])
    is_other = np.array([1, 1, 0, 0, 0, 1, 0, 1], bool)  # subject 4 has both labels
    labels = permute_labels(is_other, subjects, 200, np.random.default_rng(6))
    assert (labels[0] == is_other).all()
    assert (labels[:, 0] == labels[:, 1]).all()
    assert (labels[:, 2] == labels[:, 3]).all()
    assert (labels[:, 6:].sum(axis=1) == 1).all()
    assert (labels[:, [0, 2, 4, 5]].sum(axis=1) == 2).all()
    assert 0.35 < labels[1:, 0].mean() < 0.65


def test_permutation_p_is_uniform_where_nothing_is_there():
    ps = [
        evaluate(cohort(12, 0, 100 + i), "group", "control", permutations=99, seed=i)
        .table["p_permutation"]
        .iloc[0]
        for i in range(150)
    ]
    assert stats.kstest(ps, "uniform").pvalue > 0.01


def test_ridge_fits_agree_with_the_equations_they_solve():
    generator = np.random.default_rng(7)
    columns = generator.normal(size=(60, 2))
    labels = generator.random((3, 60)) < 0.5
    weight, penalty = np.ones((3, 60)), np.full((3, 2), 2.0)
    fits = ridge_logistic(columns, labels, weight, penalty)
    design = np.column_stack([np.ones(60), columns])
    for fit, label in zip(fits, labels, strict=True):
        slope = (label - 1 / (1 + np.exp(-design @ fit))) @ design
        assert slope == pytest.approx([0, *(2 * fit[1:])], abs=1e-6)


def test_noise_with_many_columns_stays_at_chance_out_of_fold():
    generator = np.random.default_rng(8)
    is_other = np.arange(60) >= 30
    areas = []
    for _ in range(20):
        columns = generator.normal(size=(60, 15))
        values, _ = cross_validate(columns, is_other[np.newaxis], np.arange(60), generator)
        areas.append(areas_of(values, is_other, range(60))[0][0])
    assert 0.44 < np.mean(areas) < 0.54


def test_samples_of_a_subject_do_not_tell_of_one_another():
    # Columns that recognise the person, and say nothing of the group.
    generator = np.random.default_rng(9)
    subjects = np.repeat(np.arange(30), 4)
    is_other = (subjects >= 15)[np.newaxis]
    grouped, single = [], []
    for _ in range(10):
        columns = generator.normal(size=(30, 12))[subjects] + 0.05 * generator.normal(
            size=(120, 12)
        )
        for found, clusters in ((grouped, subjects), (single, np.arange(120))):
            values, _ = cross_validate(columns, is_other, clusters, generator)
            found.append(areas_of(values, is_other[0], range(120))[0][0])
    assert 0.4 < np.mean(grouped) < 0.56
    assert np.mean(single) > 0.7


def test_covariates_the_score_adds_to_them_and_calibration():
    samples = cohort(300, 1.0, 10)
    found = evaluate(
        samples, "group", "control", covariates=["age", "sex", "group"], permutations=99, seed=1
    )
    age, both = (row_of(found.table, model, WITHIN) for model in (COVARIATES, BOTH))
    assert abs(age["auc"] - stats.norm.cdf(1 / np.sqrt(2))) < 0.04
    assert abs(both["auc"] - stats.norm.cdf(1)) < 0.04
    assert both["difference_low"] > 0
    assert both["auc_difference"] == pytest.approx(both["auc"] - age["auc"])
    score = row_of(found.table, SCORE, UNFITTED)
    assert abs(score["auc_difference"]) < 0.08  # either shift is one standard deviation
    assert score["difference_low"] < score["auc_difference"] < score["difference_high"]
    assert np.isnan(age["auc_difference"])
    assert both["calibration_slope_low"] < 1 < both["calibration_slope_high"]
    assert abs(both["calibration_intercept"]) < 0.2
    assert both["brier"] < both["brier_of_share"] == 0.25
    bins = found.calibration[found.calibration["model"] == BOTH]
    assert bins["n"].sum() == 600
    assert bins["observed"].is_monotonic_increasing
    assert (bins["predicted"] - bins["observed"]).abs().max() < 0.1


def test_a_covariate_of_noise_does_not_help():
    samples = cohort(60, 0.0, 11)
    table = evaluate(
        samples, "group", "control", covariates=["noise"], permutations=199, seed=1
    ).table
    for model in (COVARIATES, BOTH):
        row = row_of(table, model, WITHIN)
        assert row["low"] < 0.5 or row["auc"] < 0.5
        assert row["p_permutation"] > 0.01


def test_cohorts_that_differ_as_a_whole_do_not_move_the_pooled_area():
    parts = [cohort(40, 0.8, 20 + i, study=name, offset=5.0 * i) for i, name in enumerate("ABC")]
    # Cohort C has few depressed samples: over all cohorts at once the area would be lower.
    parts[2] = parts[2].iloc[:50]
    found = evaluate(
        pd.concat(parts),
        "group",
        "control",
        study="study",
        covariates=["age"],
        permutations=99,
        seed=1,
    )
    table = found.table
    assert set(table["cohort"]) == {"A", "B", "C", POOLED}
    pooled = row_of(table, SCORE, UNFITTED)
    assert abs(pooled["auc"] - stats.norm.cdf(0.8 / np.sqrt(2))) < 0.08
    singles = [row_of(table, SCORE, UNFITTED, name)["auc"] for name in "ABC"]
    assert min(singles) < pooled["auc"] < max(singles)
    assert pooled["prediction_low"] < pooled["low"]
    assert pooled["n_cohorts"] == 3
    unseen = row_of(table, COVARIATES, ACROSS)
    assert abs(unseen["auc"] - stats.norm.cdf(1 / np.sqrt(2))) < 0.08
    assert row_of(table, BOTH, ACROSS, "A")["n_cohorts"] == 1


def test_small_groups_warn_and_smaller_ones_are_not_run():
    samples = cohort(7, 1, 12)
    found = evaluate(samples, "group", "control", permutations=99, seed=1)
    assert "fewer than 10 subjects in a group" in found.table["warning"].iloc[0]
    assert any("covariates: none in the sheet" in reason for reason in found.reasons)
    with pytest.raises(NotRun, match="7 subjects with a score in the reference and 4 in the other"):
        evaluate(samples.iloc[:11], "group", "control", permutations=99, seed=1)


def test_ten_samples_of_four_subjects_are_four():
    samples = cohort(10, 1, 13).assign(subject=[f"P{i % 4 + 4 * (i >= 10)}" for i in range(20)])
    with pytest.raises(NotRun, match="4 subjects with a score in the reference and 4"):
        evaluate(samples, "group", "control", permutations=99, seed=1)


def test_a_covariate_known_in_one_group_only_is_not_used():
    samples = cohort(20, 0, 14)
    samples["antidepressant"] = np.where(samples["group"] == "control", np.nan, 1.0)
    samples.loc[samples.index[-3:], "antidepressant"] = 0.0
    found = evaluate(
        samples, "group", "control", covariates=["antidepressant"], permutations=99, seed=1
    )
    assert set(found.table["model"]) == {SCORE}
    assert any("'antidepressant' is known for 0% of the reference" in r for r in found.reasons)


def test_each_group_is_compared_with_the_reference():
    samples = cohort(20, 1, 15)
    samples.loc[samples.index[-10:], "group"] = "remitted"
    table = evaluate(samples, "group", "control", permutations=99, seed=1).table
    assert table["comparison"].tolist() == ["depressed against control", "remitted against control"]
    assert table["n_other"].tolist() == [10, 10]


def test_the_same_seed_gives_the_same_numbers():
    samples = cohort(15, 0.5, 16)
    runs = [
        evaluate(samples, "group", "control", covariates=["age"], permutations=99, seed=3)
        for _ in range(2)
    ]
    pd.testing.assert_frame_equal(runs[0].table, runs[1].table)
    pd.testing.assert_frame_equal(runs[0].calibration, runs[1].calibration)


def test_the_area_under_the_curve_drawn_is_the_area_given():
    found = evaluate(cohort(60, 0.8, 31), "group", "control", permutations=20, seed=1)
    curve = found.curves
    area = found.table["auc"].iloc[0]
    assert np.trapezoid(curve["true_positive_share"], curve["false_positive_share"]) == (
        pytest.approx(area, abs=0.02)
    )
    assert (curve["true_positive_share"].diff().dropna() >= 0).all()
    assert curve["true_positive_share"].iloc[-1] == 1
    assert (curve["low"] <= curve["true_positive_share"] + 1e-9).all()
    assert (curve["high"] >= curve["true_positive_share"] - 1e-9).all()


def test_bands_of_the_curve_hold_the_truth_as_often_as_they_say():
    held = []
    for seed in range(100):
        curve = evaluate(cohort(40, 1.0, seed), "group", "control", permutations=1, seed=1).curves
        middle = curve[curve["false_positive_share"].between(0.1, 0.6)]
        truth = stats.norm.sf(stats.norm.isf(middle["false_positive_share"]) - 1.0)
        held.append(middle["low"].le(truth) & middle["high"].ge(truth))
    assert 0.89 <= np.mean(held) <= 0.99


def learned(x, y, generator, *, repeats=5, folds=5):
    """Out-of-fold predictions by the differences of the means, as the trained model's table."""
    names = [f"A{i}" for i in range(len(y))]
    shares = np.tile(y, (repeats, 1)).astype(float)
    dealt = deal_folds(shares, folds, generator)
    rows = []
    for repeat, fold in enumerate(dealt):
        for number in range(folds):
            tested = fold == number
            direction = x[~tested & y].mean(axis=0) - x[~tested & ~y].mean(axis=0)
            value = x @ direction
            rows += [(names[i], repeat, number, value[i], value[i]) for i in np.flatnonzero(tested)]
    table = pd.DataFrame(rows, columns=["sample", "repeat", "fold", "predictor", "log_odds"])
    return table.assign(comparison="depressed against control", validation=WITHIN)


def test_intervals_of_a_cross_validated_model_count_what_its_folds_share():
    generator = np.random.default_rng(32)
    held, without = [], []
    for seed in range(100):
        samples = cohort(25, 0, seed)
        y = (samples["group"] == "depressed").to_numpy()
        found = learned(generator.normal(size=(50, 100)), y, generator)
        table = evaluate(samples, "group", "control", permutations=1, trained=found, seed=1).table
        row = row_of(table, TRAINED, WITHIN)
        held.append(row["low"] <= 0.5 <= row["high"])
        wide = found.pivot_table(index="sample", columns="repeat", values=["predictor", "fold"])
        wide = wide.loc[samples.index]
        placed = placements(wide["predictor"].to_numpy().T, y, wide["fold"].to_numpy().T)
        assert placed[y].mean() == pytest.approx(row["auc"])
        spread = (placed[y].var(ddof=1) + placed[~y].var(ddof=1)) / 25
        low, high = area_interval(row["auc"], spread, 25)
        without.append(low <= 0.5 <= high)
    assert np.mean(held) >= 0.9
    assert np.mean(without) < 0.88


def test_a_model_at_chance_does_not_beat_a_score_that_goes_the_wrong_way():
    generator = np.random.default_rng(33)
    samples = cohort(60, -1.5, 34)
    y = (samples["group"] == "depressed").to_numpy()
    found = learned(generator.normal(size=(120, 20)), y, generator)
    table = evaluate(samples, "group", "control", permutations=1, trained=found, seed=1).table
    row = row_of(table, TRAINED, WITHIN)
    assert row["score_difference_low"] > 0
    assert row["low"] < 0.5
    assert not row["shown_first"]


def in_two_studies(seed, *, people=60, both=60):
    """People with a score and columns of their own, and labels of noise; some in either study."""
    generator = np.random.default_rng(seed)
    alone = (people - both) // 2
    person = np.r_[: alone + both, alone:people]
    label = np.concatenate([generator.permutation(n) % 2 for n in (alone, both, alone)])
    marks = generator.normal(size=(people, 8))[person]
    columns = pd.DataFrame(marks, columns=[f"c{i}" for i in range(8)])
    columns = columns.assign(
        score=generator.normal(size=people)[person],
        group=np.where(label[person], "depressed", "control"),
        study=np.repeat(["A", "B"], alone + both),
        subject=[f"P{number}" for number in person],
    )
    return columns.set_axis([f"S{number}" for number in range(len(person))])


def judged(samples, **options):
    return evaluate(samples, "group", "control", study="study", permutations=20, seed=1, **options)


def test_people_of_two_cohorts_are_one_cluster_of_the_pooled_area():
    held, without = [], []
    for seed in range(150):
        samples = in_two_studies(seed)
        row = row_of(judged(samples).table, SCORE, UNFITTED)
        held.append(row["low"] <= 0.5 <= row["high"])
        assert row["n_subjects"] == 60
        assert np.isnan(row["p_permutation"])
        strangers = row_of(judged(samples.drop(columns="subject")).table, SCORE, UNFITTED)
        without.append(strangers["low"] <= 0.5 <= strangers["high"])
    assert 0.9 <= np.mean(held) <= 0.985
    assert np.mean(without) < 0.88


def test_a_cohort_given_twice_has_the_interval_of_one():
    samples = in_two_studies(3)
    twice = judged(samples)
    one = row_of(twice.table, SCORE, UNFITTED, "A")
    both = row_of(twice.table, SCORE, UNFITTED)
    ends = ["auc", "low", "high"]
    assert both[ends].tolist() == pytest.approx(one[ends].tolist())
    drawn = twice.curves.set_index("false_positive_share")
    curve = judged(samples[samples["study"] == "A"]).curves.set_index("false_positive_share")
    assert (drawn["high"] - drawn["low"]).mean() == pytest.approx(
        (curve["high"] - curve["low"]).mean(), rel=0.1
    )


def test_covariates_of_people_of_two_cohorts_do_not_tell_of_themselves():
    named = [f"c{i}" for i in range(8)]
    held, areas, known = [], [], []
    for seed in range(12):
        samples = in_two_studies(400 + seed, people=80, both=40)
        row = row_of(judged(samples, covariates=named).table, COVARIATES, ACROSS)
        held.append(row["low"] <= 0.5 <= row["high"])
        areas.append(row["auc"])
        strangers = judged(samples.drop(columns="subject"), covariates=named).table
        known.append(row_of(strangers, COVARIATES, ACROSS)["auc"])
    assert np.sum(held) >= 10
    assert abs(np.mean(areas) - 0.5) < 0.06
    assert np.mean(known) > 0.6


def test_no_subject_of_the_cohort_tested_is_trained_on(monkeypatch):
    samples = in_two_studies(5, people=80, both=40)
    seen, fit = [], evaluation._fit_and_predict

    def watched(columns, labels, used, place):
        if len(columns) == len(samples):
            seen.append(used[0])
        return fit(columns, labels, used, place)

    monkeypatch.setattr(evaluation, "_fit_and_predict", watched)
    judged(samples, covariates=["c0"])
    assert len(seen) == 4  # covariates alone and with the score, either cohort tested
    for used, name in zip(seen, "ABAB", strict=True):
        tested = samples["study"] == name
        assert used.sum() == 20
        assert not set(samples["subject"][used]) & set(samples["subject"][tested])


def test_covariates_of_cohorts_of_the_same_people_are_not_run_on_one_another():
    found = judged(in_two_studies(6), covariates=["c0"])
    assert ACROSS not in set(found.table["validation"])
    (said,) = [why for why in found.reasons if f"{BOTH}, {ACROSS}, cohort 'A'" in why]
    assert "have 0 subjects of the reference and 0 of the other group" in said
    assert any("60 subjects have samples in several cohorts" in why for why in found.reasons)
