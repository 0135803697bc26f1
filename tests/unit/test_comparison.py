"""One assay compared as a whole: what is tested, what is left out, and what is said of it."""

import numpy as np
import pandas as pd
import pytest

from moodbiome.comparison import METRICS, compare
from moodbiome.diversity import ALPHA_METRICS

SETTINGS = {
    "formula": "",
    "group": "group",
    "reference": "control",
    "depth": 0,
    "min_depth": 100,
    "rarefactions": 10,
    "permutations": 99,
    "seed": 1,
}


@pytest.fixture
def samples():
    names = [f"S{number}" for number in range(12)]
    return pd.DataFrame(
        {
            "status": "ok",
            "group": ["control", "case"] * 6,
            "subject": [f"P{number // 2}" for number in range(12)],
            "is_usable": True,
            "sample_type": "sample",
        },
        index=pd.Index(names, name="sample"),
    )


@pytest.fixture
def counts(samples):
    rng = np.random.default_rng(3)
    draws = rng.multinomial(1000, np.full(20, 0.05), size=len(samples))
    draws *= rng.random(draws.shape) < 0.8
    return pd.DataFrame(draws.T, index=range(1, 21), columns=samples.index)


def run(counts, samples, **changes):
    return compare(counts, samples, **{**SETTINGS, **changes})


def test_every_metric_is_measured_and_tested(counts, samples):
    found = run(counts, samples)
    assert list(found.distance) == list(found.ordination) == list(METRICS)
    assert [test["term"].iloc[0] for test in found.tests] == ["group"] * 3
    assert all(test["permdisp_p"].notna().iloc[0] for test in found.tests)
    assert found.not_run == []


def test_every_sample_has_rows_in_the_order_of_the_sheet(counts, samples):
    samples.loc["S3", ["status", "is_usable"]] = ["failed", False]
    found = run(counts.drop(columns="S3"), samples)
    rows = found.alpha.groupby("sample", sort=False).size()
    assert rows.to_dict() == dict.fromkeys(samples.index, len(ALPHA_METRICS))
    assert set(found.alpha.loc[found.alpha["sample"] == "S3", "status"]) == {"failed"}


def test_samples_that_are_not_ok_are_measured_and_not_compared(counts, samples):
    samples.loc["S3", "is_usable"] = False
    found = run(counts, samples, depth=300)
    assert found.alpha.loc[found.alpha["sample"] == "S3", "value"].notna().all()
    assert "S3" not in found.distance["bray_curtis"].index


@pytest.mark.parametrize("depth", [0, 500])
def test_without_a_usable_sample_the_reason_is_said_and_every_sample_has_rows(
    counts, samples, depth
):
    samples[["status", "is_usable"]] = ["low_depth", False]
    found = run(counts, samples, depth=depth)
    assert any("no sample has status ok (12 low_depth)" in reason for _, reason in found.not_run)
    assert set(found.alpha["sample"]) == set(samples.index)


def test_repeated_samples_of_a_subject_change_places_only_within_it(counts, samples):
    free = run(counts, samples, formula="~ group").tests[0]
    within = run(counts, samples, formula="~ group + (1|subject)").tests[0]
    assert free["pseudo_f"].iloc[0] == pytest.approx(within["pseudo_f"].iloc[0])
    assert free["p"].iloc[0] != within["p"].iloc[0]


def test_samples_without_a_covariate_are_named(counts, samples):
    samples["age"] = [np.nan, *range(30, 41)]
    assert run(counts, samples, formula="~ group + age").dropped == {"S0": "missing age"}


def test_samples_that_do_not_differ_are_no_error(counts, samples):
    same = counts.copy()
    for sample in same.columns[1:]:
        same[sample] = same[same.columns[0]]
    found = run(same, samples)
    assert found.ordination == {}
    assert any("do not differ" in reason for _, reason in found.not_run)


def test_a_group_with_an_odd_name_can_be_compared(counts, samples):
    odd = samples.rename(columns={"group": "study arm"})
    found = run(counts, odd, group="study arm")
    assert found.not_run == []
    assert found.tests[0]["permdisp_p"].notna().iloc[0]


def test_a_formula_without_the_group_is_tested_as_it_is(counts, samples):
    samples["age"] = range(30, 42)
    found = run(counts, samples, formula="~ age")
    assert found.not_run == []
    assert found.tests[0]["term"].iloc[0] == "age"
