"""One assay compared as a whole: what is tested, what is left out, and what is said of it."""

import numpy as np
import pandas as pd
import pytest
from skbio import TreeNode

from moodbiome.comparison import compare
from moodbiome.diversity import ALPHA_METRICS, AT_COVERAGE
from moodbiome.metrics import METRICS, TREE_METRICS

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


def run(counts, samples, tree=None, **changes):
    labels = pd.DataFrame(
        {
            "name": [f"G{i}" for i in counts.index],
            "lineage": [f"d__B;g__G{i}" for i in counts.index],
        },
        counts.index,
    )
    return compare(counts, samples, labels, tree, **{**SETTINGS, **changes})


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
    measured = len(ALPHA_METRICS) + len(AT_COVERAGE) + 1
    assert rows.to_dict() == dict.fromkeys(samples.index, measured)
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
    reasons = [reason for analysis, reason in found.not_run if analysis == "ordination"]
    assert "ordination: the 12 samples do not differ by bray curtis" in reasons
    assert "ordination: the 12 samples do not differ by jaccard" in reasons


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


def test_a_tree_adds_its_metrics_and_its_tests(counts, samples):
    tips = ",".join(f"{taxon}:{taxon}" for taxon in counts.index)
    found = run(counts, samples, TreeNode.read([f"({tips});"]))
    assert list(found.distance) == list(found.loadings) == [*METRICS, *TREE_METRICS]
    assert [test["metric"].iloc[0] for test in found.tests] == [*METRICS, *TREE_METRICS]
    metrics = found.alpha["metric"].unique().tolist()
    assert metrics[len(ALPHA_METRICS) :][:2] == ["faith_pd", "faith_pd_taxonomy"]


def test_a_tree_of_other_taxa_is_said_and_not_used(counts, samples):
    found = run(counts, samples, TreeNode.read(["(1:1,2:1);"]))
    assert [analysis for analysis, _ in found.not_run] == ["phylogeny"]
    assert list(found.distance) == list(METRICS)
    assert "faith_pd" not in found.alpha["metric"].tolist()


def test_loadings_name_the_taxa_of_the_first_two_axes(counts, samples):
    loadings = run(counts, samples).loadings["bray_curtis"]
    assert loadings["axis"].unique().tolist() == ["PC1", "PC2"]
    assert (loadings["name"] == "G" + loadings["taxon_id"].astype(str)).all()


@pytest.fixture
def uneven(samples):
    """Twelve deep samples of 200 taxa; those of cases are richer, in taxa that are rare."""
    rng = np.random.default_rng(8)
    share = np.full((200, 12), 0.0002)
    share[:20] = 0.04
    share[20:, samples["group"] == "control"] = 0
    share /= share.sum(axis=0)
    drawn = [rng.multinomial(20000, column) for column in share.T]
    return pd.DataFrame(np.array(drawn).T, range(1, 201), samples.index)


def test_depth_effects_are_those_of_the_model_by_hand(uneven, samples):
    found = run(uneven, samples, depth=2000)
    table = found.depth_effects.set_index(["metric", "depth_fragments"])
    row = table.loc[("observed", 4000)]
    assert row["term"] == "group[T.case]"
    assert row["n"] == 12
    assert row["low"] < row["effect"] < row["high"]
    value = found.alpha[found.alpha["metric"] == "observed"].set_index("sample")["value"]
    means = value.groupby(samples["group"]).mean()
    assert row["reference_effect"] == pytest.approx(means["case"] - means["control"])
    assert row["effect"] > row["reference_effect"] > table.loc[("observed", 1000), "effect"]
    assert row["conclusion_holds"]
    for metric in METRICS:
        assert table.loc[(metric, 1000), "term"] == "group"
        assert np.isnan(table.loc[(metric, 1000), "low"])


def test_a_finding_that_needs_the_depth_does_not_hold(uneven, samples):
    """At 10 fragments hardly any rare taxon is seen, at 20 few, at 6,000 nearly all."""
    deep = run(uneven, samples, depth=6000, rarefactions=10).depth_effects
    shallow = run(uneven, samples, depth=6, min_depth=1).depth_effects
    deep = deep.set_index(["metric", "depth_fragments"])
    assert deep.loc[("observed", 3000), "conclusion_holds"]
    assert deep.loc[("jaccard", 12000), "conclusion_holds"]
    tried = shallow[shallow["conclusion_holds"].notna()]
    sides = (tried["p"] <= 0.05) == (tried["reference_p"] <= 0.05)
    assert not sides.all()
    assert not tried.loc[~sides, "conclusion_holds"].any()


def test_the_depths_are_compared_in_the_same_samples(uneven, samples):
    uneven["S0"] //= 8
    uneven["S3"] //= 8
    table = run(uneven, samples, depth=2000).depth_effects
    assert set(table.loc[table["depth_fragments"] == 4000, "n"]) == {10}
    assert set(table.loc[table["depth_fragments"] == 1000, "n"]) == {12}
    both = table[table["metric"] == "observed"].set_index("depth_fragments")
    assert both.loc[4000, "reference_effect"] != both.loc[1000, "reference_effect"]


def test_too_few_samples_at_the_double_depth_say_so(uneven, samples):
    shallow = uneven.copy()
    shallow[shallow.columns[2:]] //= 8
    table = run(shallow, samples, depth=2000).depth_effects
    double = table[table["depth_fragments"] == 4000]
    assert set(double["n"]) == {2}
    assert double["p"].isna().all()
    assert double["conclusion_holds"].isna().all()
    assert double["note"].str.contains("fewer than 3 samples").all()
    table = run(uneven, samples, depth=12000).depth_effects
    assert set(table.loc[table["depth_fragments"] == 24000, "note"]) == {
        "no sample reaches 24000 fragments"
    }
