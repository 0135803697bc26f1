"""A model trained on the taxa: no leakage, fair comparison, and what it cannot be run on."""

import warnings

import numpy as np
import pandas as pd
import pytest

from moodbiome import trained
from moodbiome.evaluation import ACROSS, COLUMNS, SCORE, TRAINED, WITHIN, evaluate
from moodbiome.faults import NotRun
from moodbiome.trained import Data, Screen, fit_and_predict, log_ratios, standardised, train

LIMITS = Screen(0.1, 1e-4, 1e-4)


@pytest.fixture(autouse=True)
def needs_scikit_learn():
    pytest.importorskip("sklearn", reason="scikit-learn is an extra: make scikit-learn")


@pytest.fixture
def quick(monkeypatch):
    """Fewer penalties and repeats: seconds, not minutes."""
    monkeypatch.setattr(trained, "L1_RATIOS", (0.5,))
    monkeypatch.setattr(trained, "PENALTIES", 1 / np.geomspace(1.25, 30, 4))
    monkeypatch.setattr(trained, "REPEATS", 2)


def cohort(n, taxa, seed, *, planted=0, shift=0.0, score=0.0, studies=1):
    """Equal groups of n: the first `planted` taxa and the score are shifted in the depressed."""
    generator = np.random.default_rng(seed)
    is_other = np.arange(2 * n) % 2 == 1
    logs = generator.normal(size=taxa) + generator.normal(size=(2 * n, taxa))
    logs[:, :planted] += shift * is_other[:, np.newaxis]
    parts = np.exp(logs)
    parts[parts < 0.1 * np.median(parts)] = 0
    names = [f"S{number}" for number in range(2 * n)]
    samples = pd.DataFrame(
        {
            "score": generator.normal(size=2 * n) + score * is_other,
            "group": np.where(is_other, "depressed", "control"),
            "study": [f"study {number // 2 % studies}" for number in range(2 * n)],
        },
        index=names,
    )
    shares = parts / parts.sum(axis=1, keepdims=True)
    return samples, pd.DataFrame(shares.T, index=range(taxa), columns=names)


def judged(samples, found, **options):
    table = evaluate(
        samples, "group", "control", permutations=20, trained=found.predictions, seed=1, **options
    ).table
    return table.set_index(["model", "validation"])


def as_data(samples, shares):
    n = len(samples)
    is_other = (samples["group"] == "depressed").to_numpy()
    return Data(shares.to_numpy().T, is_other, np.arange(n), np.zeros(n, dtype=int))


def test_log_ratios_ignore_depth_and_take_zeros():
    ratios = log_ratios(np.array([[0.0, 0.2, 0.8], [0.1, 0.1, 0.8]]), 1e-4)
    assert ratios.sum(axis=1) == pytest.approx(0)
    assert ratios[0, 2] - ratios[0, 0] == pytest.approx(np.log(0.8001 / 1e-4))


def test_screen_centre_and_scale_are_those_of_the_training_samples_alone():
    _, shares = cohort(10, 8, 1)
    proportions = shares.to_numpy().T
    seen = np.arange(20) < 12
    kept, values = standardised(proportions, seen, np.zeros(20, dtype=int), LIMITS)
    assert values[seen].mean(axis=0) == pytest.approx(0)
    assert values[seen].std(axis=0) == pytest.approx(1)
    other = proportions.copy()
    other[~seen] = 0
    other[~seen, 0] = 1
    again, moved = standardised(other, seen, np.zeros(20, dtype=int), LIMITS)
    assert (again == kept).all()
    assert moved[seen] == pytest.approx(values[seen])


def test_a_fit_knows_nothing_of_the_samples_it_is_tested_on(quick):
    """Labels and taxa of the tested samples are replaced: the model stays the same to the bit."""
    samples, shares = cohort(25, 60, 2, planted=5, shift=1.0)
    data, tested = as_data(samples, shares), np.arange(50) >= 40
    first = fit_and_predict(data, ~tested, LIMITS, [1])
    proportions, is_other = data.proportions.copy(), data.is_other.copy()
    proportions[tested] = np.eye(60)[:10]
    is_other[tested] = ~is_other[tested]
    second = fit_and_predict(
        Data(proportions, is_other, data.subjects, data.place), ~tested, LIMITS, [1]
    )
    assert (first.coefficients == second.coefficients).all()
    assert (first.screened == second.screened).all()
    assert (first.l1_ratio, first.penalty) == (second.l1_ratio, second.penalty)
    assert (first.predictor[tested] != second.predictor[tested]).all()
    assert np.isnan(first.predictor[~tested]).all()


def test_noise_in_more_taxa_than_samples_stays_at_chance_and_leaked_taxa_would_not(quick):
    held, areas, leaked = [], [], []
    for seed in range(8):
        samples, shares = cohort(25, 200, 100 + seed)
        row = judged(samples, train(samples, shares, "group", "control", LIMITS, seed=seed))
        row = row.loc[(TRAINED, WITHIN)]
        held.append(row["low"] <= 0.5 <= row["high"])
        areas.append(row["auc"])
        # The mistake that must not happen: taxa chosen by their difference in all samples.
        is_other = samples["group"] == "depressed"
        logs = np.log(shares + 1e-4)
        apart = (logs.loc[:, is_other].mean(axis=1) - logs.loc[:, ~is_other].mean(axis=1)).abs()
        best = shares.loc[apart.nlargest(15).index]
        cheat = train(samples, best, "group", "control", Screen(0, 0, 1e-4), seed=seed)
        leaked.append(judged(samples, cheat).loc[(TRAINED, WITHIN), "auc"])
    assert np.sum(held) >= 7
    assert abs(np.mean(areas) - 0.5) < 0.08
    assert np.mean(leaked) > 0.75


def test_samples_of_a_subject_stay_in_one_fold(quick):
    samples, shares = cohort(60, 40, 3)
    samples["subject"] = [f"P{number // 4}-{number % 2}" for number in range(120)]
    found = train(samples, shares, "group", "control", LIMITS, seed=1).predictions
    folds = found.assign(subject=samples["subject"].loc[found["sample"]].to_numpy())
    assert folds.groupby(["subject", "repeat"])["fold"].nunique().max() == 1
    assert folds.groupby("sample").size().eq(trained.REPEATS).all()


def test_a_subject_recognised_in_its_other_samples_gives_no_area(quick):
    """Each subject has taxa of its own, and the groups differ in nothing."""
    generator = np.random.default_rng(6)
    person = np.arange(144) // 3
    marks = generator.normal(size=(48, 60))[person] + 0.1 * generator.normal(size=(144, 60))
    shares = np.exp(marks) / np.exp(marks).sum(axis=1, keepdims=True)
    names = [f"S{number}" for number in range(144)]
    samples = pd.DataFrame(
        {
            "score": generator.normal(size=144),
            "group": np.where(person % 2, "depressed", "control"),
            "subject": [f"P{number}" for number in person],
        },
        index=names,
    )
    shares = pd.DataFrame(shares.T, index=range(60), columns=names)
    found = train(samples, shares, "group", "control", LIMITS, seed=1)
    row = judged(samples, found).loc[(TRAINED, WITHIN)]
    assert row["low"] < 0.5 < row["high"]
    alone = samples.drop(columns="subject")
    found = train(alone, shares, "group", "control", LIMITS, seed=1)
    assert judged(alone, found).loc[(TRAINED, WITHIN), "auc"] > 0.9


def test_signal_outside_the_score_is_shown_first_and_signal_within_it_is_not(quick):
    samples, shares = cohort(60, 60, 7, planted=8, shift=1.2)
    found = train(samples, shares, "group", "control", LIMITS, seed=1)
    table = judged(samples, found)
    row = table.loc[(TRAINED, WITHIN)]
    assert row["auc"] > 0.8
    assert row["score_difference_low"] > 0
    assert table.index[0] == (TRAINED, WITHIN)
    assert table["shown_first"].tolist() == [True, False]
    assert set(found.features["taxon_id"].head(5)) <= set(range(8))
    assert (found.features["coefficient"].head(5) > 0).all()
    assert np.isnan(row["p_permutation"])

    samples, shares = cohort(60, 60, 8, score=1.2)
    table = judged(samples, train(samples, shares, "group", "control", LIMITS, seed=1))
    assert table.loc[(TRAINED, WITHIN), "score_difference"] < 0
    assert table.index[0][0] == SCORE
    assert not table.loc[(TRAINED, WITHIN), "shown_first"]


def test_a_model_that_fails_in_other_cohorts_is_not_shown_first(quick):
    samples, shares = cohort(80, 40, 9, planted=8, shift=1.5, studies=2)
    # In the second study the taxa go the other way.
    second = (samples["study"] == "study 1") & (samples["group"] == "depressed")
    shares.loc[range(8), second] /= np.exp(3)
    shares /= shares.sum()
    found = train(samples, shares, "group", "control", LIMITS, study="study", seed=1)
    table = (
        judged(samples, found, study="study")
        .reset_index()
        .set_index(["model", "validation", "cohort"])
    )
    assert table.loc[(TRAINED, WITHIN, "all cohorts"), "score_difference_low"] > 0
    assert table.loc[(TRAINED, ACROSS, "all cohorts"), "auc"] < 0.4
    assert not table.loc[TRAINED, "shown_first"].any()
    assert table.loc[SCORE, "shown_first"].all()


def test_a_shift_between_laboratories_does_not_reach_the_other_cohort(quick):
    samples, shares = cohort(80, 40, 10, planted=8, shift=1.2, studies=2)
    shares.loc[range(20), samples["study"] == "study 1"] *= 5
    shares /= shares.sum()
    found = train(samples, shares, "group", "control", LIMITS, study="study", seed=1)
    table = judged(samples, found, study="study")
    assert (table.loc[(TRAINED, ACROSS), "auc"] > 0.75).all()
    assert table.loc[TRAINED, "shown_first"].all()


def test_the_same_seed_gives_the_same_numbers_on_any_number_of_threads(quick):
    samples, shares = cohort(25, 40, 11, planted=3, shift=1.0)
    one = train(samples, shares, "group", "control", LIMITS, threads=1, seed=1)
    two = train(samples, shares, "group", "control", LIMITS, threads=2, seed=1)
    pd.testing.assert_frame_equal(one.predictions, two.predictions, check_exact=True)
    pd.testing.assert_frame_equal(one.features, two.features, check_exact=True)
    other = train(samples, shares, "group", "control", LIMITS, threads=2, seed=2)
    assert not one.predictions["fold"].equals(other.predictions["fold"])


def test_samples_without_a_score_are_not_trained_on_and_said(quick):
    samples, shares = cohort(25, 40, 12)
    samples.loc["S3", "score"] = np.nan
    found = train(samples, shares, "group", "control", LIMITS, seed=1).predictions
    lacking = found[found["sample"] == "S3"]
    assert lacking["status"].tolist() == ["no_score"]
    assert lacking["probability"].isna().all()
    assert set(found.loc[found["sample"] != "S3", "status"]) == {"predicted"}
    without = samples.drop(index="S3")
    again = train(without, shares, "group", "control", LIMITS, seed=1).predictions
    kept = found[found["sample"] != "S3"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, again, check_exact=True)


def test_too_few_subjects_are_a_reason(quick):
    samples, shares = cohort(19, 40, 13)
    with pytest.raises(NotRun, match="19 subjects with a score in the reference and 19 in the"):
        train(samples, shares, "group", "control", LIMITS, seed=1)


def test_cohorts_too_small_to_train_on_are_predicted_by_the_others(quick):
    samples, shares = cohort(45, 40, 14, studies=3)
    found = train(samples, shares, "group", "control", LIMITS, study="study", seed=1)
    assert set(found.predictions["validation"]) == {ACROSS}
    assert len(found.reasons) == 3
    assert all("cohort 'study" in reason for reason in found.reasons)
    table = judged(samples, found, study="study")
    assert (TRAINED, WITHIN) not in table.index
    assert table.loc[SCORE, "shown_first"].all()


def test_columns_of_the_table_are_all_there(quick):
    samples, shares = cohort(25, 40, 15)
    found = train(samples, shares, "group", "control", LIMITS, seed=1)
    table = evaluate(
        samples, "group", "control", permutations=20, trained=found.predictions, seed=1
    ).table
    assert table.columns.tolist() == COLUMNS[1:]
    assert found.predictions["probability"].between(0, 1).all()


def in_two_studies(seed, *, people=120, both=40, taxa=60):
    """People with taxa of their own and labels of noise; `both` of them are in either study."""
    generator = np.random.default_rng(seed)
    alone = (people - both) // 2
    person = np.r_[: alone + both, alone:people]
    marks = generator.normal(size=(people, taxa))[person]
    parts = np.exp(marks + 0.1 * generator.normal(size=marks.shape))
    names = [f"S{number}" for number in range(len(person))]
    label = np.concatenate([generator.permutation(n) % 2 for n in (alone, both, alone)])
    samples = pd.DataFrame(
        {
            "score": generator.normal(size=len(person)),
            "group": np.where(label[person], "depressed", "control"),
            "study": np.repeat(["A", "B"], alone + both),
            "subject": [f"P{number}" for number in person],
        },
        index=names,
    )
    shares = parts / parts.sum(axis=1, keepdims=True)
    return samples, pd.DataFrame(shares.T, index=range(taxa), columns=names)


def test_people_of_two_cohorts_do_not_tell_of_themselves(quick, monkeypatch):
    """Labels are noise: a model that has seen the people tested would know them again."""
    monkeypatch.setattr(trained, "REPEATS", 1)
    monkeypatch.setattr(trained, "FOLDS", 2)  # for speed: other cohorts do not depend on them
    held, areas, known = [], [], []
    for seed in range(6):
        samples, shares = in_two_studies(300 + seed, people=140, both=60)
        found = train(samples, shares, "group", "control", LIMITS, study="study", seed=seed)
        assert any("60 subjects have samples in several cohorts" in said for said in found.reasons)
        row = judged(samples, found, study="study").loc[(TRAINED, ACROSS)].iloc[-1]
        assert (row["cohort"], row["n_subjects"]) == ("all cohorts", 140)
        held.append(row["low"] <= 0.5 <= row["high"])
        areas.append(row["auc"])
        strangers = samples.drop(columns="subject")
        found = train(strangers, shares, "group", "control", LIMITS, study="study", seed=seed)
        row = judged(strangers, found, study="study").loc[(TRAINED, ACROSS)].iloc[-1]
        known.append(row["auc"])
    assert np.sum(held) >= 5
    assert abs(np.mean(areas) - 0.5) < 0.05
    assert np.mean(known) > 0.58


def test_no_subject_is_trained_on_and_tested(quick, monkeypatch):
    samples, shares = in_two_studies(1)
    seen = []

    def watched(data, is_trained, *rest):
        found = fit_and_predict(data, is_trained, *rest)
        columns = [shares.columns[shares.T.eq(row).all(axis=1)][0] for row in data.proportions]
        seen.append((samples.loc[columns], is_trained))
        return found

    monkeypatch.setattr(trained, "fit_and_predict", watched)
    train(samples, shares, "group", "control", LIMITS, study="study", seed=1)
    across = [(rows, used) for rows, used in seen if rows["study"].nunique() == 2]
    assert len(across) == 2
    for name, (rows, used) in zip("AB", across, strict=True):
        assert set(rows["study"][used]) == {"A", "B"} - {name}
        assert not set(rows["subject"][used]) & set(rows.loc[rows["study"] == name, "subject"])
        assert used.sum() == 40


def test_cohorts_of_the_same_people_leave_nobody_to_train_on(quick):
    samples, shares = in_two_studies(2, people=60, both=60)
    found = train(samples, shares, "group", "control", LIMITS, study="study", seed=1)
    assert set(found.predictions["validation"]) == {WITHIN}
    said = [reason for reason in found.reasons if "cohorts other than" in reason]
    assert len(said) == 2
    assert "without its subjects: 0 subjects with a score in the reference and 0" in said[0]


def test_of_the_warnings_only_that_of_the_steps_is_kept_back(quick, monkeypatch):
    from sklearn.exceptions import ConvergenceWarning

    def fit(*given):
        warnings.warn("steps", ConvergenceWarning, stacklevel=1)
        warnings.warn("l1_ratio has no effect", UserWarning, stacklevel=1)
        return fit_and_predict(*given)

    monkeypatch.setattr(trained, "fit_and_predict", fit)
    samples, shares = cohort(25, 40, 16)
    with pytest.warns(UserWarning, match="l1_ratio has no effect") as caught:
        train(samples, shares, "group", "control", LIMITS, seed=1)
    assert {warning.category for warning in caught} == {UserWarning}
