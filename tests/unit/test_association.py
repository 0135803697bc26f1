"""Associations: designs refused in words, models against statsmodels, null calibration."""

import ast
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import yaml
from pandas.testing import assert_frame_equal
from scipy.stats import binom, false_discovery_control
from skbio.stats.composition import ancombc2, dirmult_lme, dirmult_ttest, struc_zero
from statsmodels.regression.mixed_linear_model import MixedLM

from moodbiome.abundance_methods import (
    CALIBRATION_COLUMNS,
    CONSENSUS_METHODS,
    ancombc2_effects,
    calibration_of,
    consensus,
    structural_zeros,
)
from moodbiome.association import (
    COLUMNS,
    METHODS,
    NotRun,
    build_design,
    least_squares,
    linear_models,
    log2_proportions,
    random_intercept,
    require_taxa,
    run_models,
    screen_taxa,
)

QIN = Path(__file__).parents[3] / "shared" / "data" / "tables_mini" / "qin2014"
CALIBRATION = Path(__file__).parents[2] / "config" / "calibration.tsv"
needs_qin = pytest.mark.skipif(
    not QIN.exists(), reason="real cirrhosis table not beside the repository"
)


@pytest.fixture
def metadata():
    """24 samples: two groups, a covariate, six subjects of four samples."""
    generator = np.random.default_rng(4)
    return pd.DataFrame(
        {
            "group": ["control", "case"] * 12,
            "age": generator.normal(40, 12, 24).round(),
            "subject": [f"P{i // 4}" for i in range(24)],
        },
        index=pd.Index([f"S{i:02}" for i in range(24)], name="sample"),
    )


def community(generator, n, taxa=60, depth=20_000):
    """Zero-rich counts: log-normal proportions, structural zeros, unequal depth."""
    log = generator.normal(0, 2, (taxa, 1)) + generator.normal(0, 1.2, (taxa, n))
    share = np.exp(log) * (generator.random((taxa, n)) > generator.uniform(0, 0.8, (taxa, 1)))
    depths = (depth * generator.lognormal(0, 0.5, n)).astype(int)
    counts = np.column_stack(
        [generator.multinomial(d, s) for d, s in zip(depths, (share / share.sum(0)).T, strict=True)]
    )
    samples = [f"S{i:02}" for i in range(n)]
    return pd.DataFrame(counts, range(100, 100 + taxa), samples), pd.Series(depths, samples)


def test_design_by_hand(metadata):
    design = build_design(metadata[:6].drop(columns="subject"), "~ age + group")
    assert design.terms == {"age": ("age",), "group": ("group[T.control]",)}
    assert design.matrix["group[T.control]"].tolist() == [1, 0, 1, 0, 1, 0]
    assert design.matrix["age"].tolist() == metadata["age"][:6].tolist()
    assert design.references == {"group": "case"}
    assert design.groups is None


def test_the_reference_is_the_level_asked_for(metadata):
    design = build_design(metadata, "~ group", {"group": "control"})
    assert design.matrix.columns.tolist() == ["Intercept", "group[T.case]"]
    assert design.references == {"group": "control"}


def test_the_random_intercept_is_taken_out_of_the_formula(metadata):
    for formula in ("~ group + age + (1|subject)", "~ (1 | subject) + group + age"):
        design = build_design(metadata, formula)
        assert list(design.terms) == ["group", "age"]
        assert design.groups.tolist() == metadata["subject"].tolist()


def test_samples_with_missing_values_are_left_out_by_name(metadata):
    metadata.loc["S03", "age"] = np.nan
    metadata["site"] = ["a", "b", ""] + ["a", "b", "b"] * 7
    design = build_design(metadata, "~ group + age + site")
    assert len(design.matrix) == 22
    assert design.dropped.to_dict() == {"S02": "missing site", "S03": "missing age"}


def test_a_column_the_formula_does_not_read_may_be_missing(metadata):
    metadata["note"] = np.nan
    assert len(build_design(metadata, "~ group").matrix) == 24


def test_quoted_columns_and_functions_are_understood(metadata):
    metadata["stool score"] = np.arange(24.0)
    design = build_design(metadata, '~ center(Q("stool score")) + group:age')
    assert design.matrix.iloc[:, 1].sum() == pytest.approx(0)


@pytest.mark.parametrize(
    ("formula", "change", "message"),
    [
        ("group", {}, "must start with '~'"),
        ("~ 1", {}, "has no term to test"),
        ("~ 0 + group", {}, "takes out the intercept"),
        ("~ group + (age|subject)", {}, "one random intercept is possible"),
        ("~ group + (", {}, "cannot be read"),
        ("~ group + bmi + sex", {}, "no column 'bmi', 'sex' in the metadata; it has 'group'"),
        ("~ group", {"group": "case"}, r"column 'group' is constant \(case\) in the 24 samples"),
        ("~ site", {"site": ["a", "b"] + ["c"] * 22}, r"fewer than 3 samples: a \(1\), b \(1\)"),
        ("~ C(visit)", {"visit": [1] * 2 + [2] * 22}, r"'visit' has levels .*: 1\.0 \(2\)"),
        (
            "~ group + batch",
            {"batch": ["b1", "b2"] * 12},
            r"term 'batch': its column 'batch\[T.b2\]' is determined by 'group\[T.control\]'",
        ),
        ("~ age + months", {"months": range(24)}, None),
        (
            "~ group + age",
            {"age": np.nan},
            "column 'age' has no value in any sample; fill it in or take it out",
        ),
        ("~ group + (1|one)", {"one": "x"}, "it has 1 groups, the largest of 24"),
        ("~ group + (1|own)", {"own": [str(i) for i in range(24)]}, "the largest of 1"),
    ],
)
def test_a_design_that_cannot_be_fitted_says_why(metadata, formula, change, message):
    table = metadata.assign(**change)
    if message is None:
        table["months"] = table["age"] * 12
        message = "term 'months': its column 'months' is determined by 'age'"
    with pytest.raises(NotRun, match=message):
        build_design(table, formula)


def test_too_few_samples_for_the_parameters_are_counted(metadata):
    few = metadata[:6].assign(a=[1, 0, 0, 2, 0, 1], b=[0, 3, 1, 0, 1, 1], c=[0, 1, 5, 1, 1, 0.0])
    with pytest.raises(NotRun, match="6 parameters and only 6 samples"):
        build_design(few, "~ group + age + a + b + c")


def test_all_problems_of_the_columns_are_named_at_once(metadata):
    table = metadata.assign(site="x", kit=["k"] + ["l"] * 23)
    with pytest.raises(NotRun, match=r"'site' is constant.*; .*'kit' has levels"):
        build_design(table, "~ site + kit")


def test_a_reference_that_does_not_occur_is_refused(metadata):
    with pytest.raises(NotRun, match=r"reference level 'healthy' .* it has 'case', 'control'"):
        build_design(metadata, "~ group", {"group": "healthy"})


def test_the_screen_by_hand():
    counts = pd.DataFrame({"S1": [90, 0, 1], "S2": [90, 5, 0]}, index=[1, 2, 3])
    table = screen_taxa(counts, pd.Series({"S1": 100, "S2": 100}), 0.5, 0.01).set_index("taxon_id")
    assert table["prevalence"].tolist() == [1, 0.5, 0.5]
    assert table["mean_abundance"].tolist() == pytest.approx([0.9, 0.025, 0.005])
    assert table["tested"].tolist() == [True, True, False]
    assert table.loc[3, "reason"] == "mean abundance below 0.01"


def test_a_zero_is_half_the_smallest_share_of_its_taxon():
    found = log2_proportions(np.array([[0, 0.5, 0.25], [0.5, 0, 0.5]]))
    np.testing.assert_array_equal(found, [[-3, -1, -2], [-1, -2, -1]])


def test_fold_change_by_hand():
    """Taxon 1 has four times the share in cases: +2 on the log2 scale."""
    metadata = pd.DataFrame({"group": list("aaabbb")}, index=[f"S{i}" for i in range(6)])
    counts = pd.DataFrame([[10, 10, 10, 40, 40, 40], [1, 2, 4, 1, 2, 4]], [1, 2], metadata.index)
    total = pd.Series(100, metadata.index)
    table = linear_models(counts, total, build_design(metadata, "~ group"), {1: "One"})
    table = table.set_index("taxon_id")
    assert table.loc[1, "effect"] == pytest.approx(2)
    assert table.loc[1, ["low", "high", "p", "q"]].isna().all()
    assert table.loc[2, "effect"] == pytest.approx(0)
    # Shares of 1, 2, 4 % have a variance of 1 on the log2 scale; two means of three.
    half = 2.7764451 * np.sqrt(2 / 3)
    assert table.loc[2, ["low", "high"]].tolist() == pytest.approx([-half, half])
    assert table.loc[2, ["p", "q"]].tolist() == pytest.approx([1, 1])
    assert table["name"].fillna("").tolist() == ["", "One"]


def test_least_squares_is_that_of_statsmodels(metadata):
    generator = np.random.default_rng(6)
    response = generator.normal(size=(24, 5))
    matrix = build_design(metadata, "~ group * age").matrix.to_numpy()
    coefficients, errors, freedom = least_squares(response, matrix)
    for k in range(5):
        theirs = sm.OLS(response[:, k], matrix).fit()
        np.testing.assert_allclose(coefficients[:, k], theirs.params, rtol=1e-8)
        np.testing.assert_allclose(errors[:, k], theirs.bse, rtol=1e-8)
        assert freedom[0] == theirs.df_resid


def test_prevalence_is_a_linear_probability_with_hc3_errors(metadata):
    generator = np.random.default_rng(16)
    counts, total = community(generator, 24)
    design = build_design(metadata, "~ group")
    table = linear_models(counts, total, design, method="prevalence").set_index("taxon_id")
    depth = np.log10(total.to_numpy())
    matrix = np.column_stack([design.matrix, depth])
    for taxon in table.index[:5]:
        theirs = sm.OLS((counts.loc[taxon] > 0).to_numpy(float), matrix).fit(cov_type="HC3")
        assert table.loc[taxon, "effect"] == pytest.approx(theirs.params[1])
        width = table.loc[taxon, "high"] - table.loc[taxon, "low"]
        assert width / 2 == pytest.approx(2.0796138 * theirs.bse[1])
    assert table["prevalence"].between(0.1, 0.9).all()
    assert set(table["effect_unit"]) == {"difference in prevalence"}


@pytest.mark.parametrize("spread", [0, 1.5])
@pytest.mark.filterwarnings("ignore::statsmodels.tools.sm_exceptions.ConvergenceWarning")
def test_random_intercept_is_that_of_statsmodels(metadata, spread):
    generator = np.random.default_rng(12)
    table = metadata.drop(index=["S03", "S04", "S05", "S11"])  # unequal groups
    subject = table["subject"].to_numpy()
    shift = dict(zip(np.unique(subject), generator.normal(0, spread, 6), strict=True))
    response = generator.normal(size=(20, 4)) + np.array([[shift[s]] for s in subject])
    matrix = build_design(table, "~ group + age").matrix.to_numpy()
    coefficients, errors, _, ratios = random_intercept(response, matrix, subject)
    for k in range(4):
        theirs = MixedLM(response[:, k], matrix, subject).fit(reml=True, method="powell")
        ratio = float(theirs.cov_re[0, 0]) / theirs.scale
        assert ratios[k] == pytest.approx(ratio, rel=2e-3, abs=1e-3)
        np.testing.assert_allclose(coefficients[:, k], theirs.fe_params, rtol=1e-3, atol=1e-5)
        # statsmodels' errors come from the whole Hessian; these are those of the textbook.
        inverse = np.linalg.inv(np.eye(20) + ratios[k] * (subject[:, None] == subject))
        spread_of = np.linalg.inv(matrix.T @ inverse @ matrix) * theirs.scale
        np.testing.assert_allclose(errors[:, k], np.sqrt(np.diag(spread_of)), rtol=1e-3)


def test_without_group_variance_the_mixed_model_is_least_squares(metadata):
    """Group means without spread put the variance ratio on its boundary."""
    matrix = build_design(metadata, "~ group").matrix.to_numpy()
    response = np.tile([1.0, 2, 5, 3], 6)[:, None]
    mixed = random_intercept(response, matrix, metadata["subject"].to_numpy())
    plain = least_squares(response, matrix)
    assert mixed[3] == 0
    np.testing.assert_allclose(mixed[0], plain[0])
    np.testing.assert_allclose(mixed[1], plain[1])


def test_a_variable_of_the_subject_is_judged_by_the_number_of_subjects(metadata):
    metadata["arm"] = np.where(metadata["subject"] < "P3", "x", "y")
    design = build_design(metadata, "~ arm + age + (1|subject)")
    response = np.random.default_rng(1).normal(size=(24, 1))
    freedom = random_intercept(response, design.matrix.to_numpy(), design.groups.to_numpy())[2]
    assert freedom.tolist() == [4, 4, 24 - 6 - 1]


def test_too_few_subjects_for_their_variables_are_refused(metadata):
    two = metadata[:8].assign(arm=["x"] * 4 + ["y"] * 4)
    design = build_design(two, "~ arm + (1|subject)")
    with pytest.raises(NotRun, match="8 samples in 2 groups leave no degrees of freedom"):
        random_intercept(np.zeros((8, 1)), design.matrix.to_numpy(), design.groups.to_numpy())


def test_the_table_is_in_order_and_its_q_is_benjamini_hochberg(metadata):
    counts, total = community(np.random.default_rng(9), 24)
    names = pd.Series({taxon: f"G{taxon}" for taxon in counts.index})
    table = linear_models(counts, total, build_design(metadata, "~ group + age"), names)
    assert table.columns.tolist() == COLUMNS
    assert table["term"].unique().tolist() == ["group[T.control]", "age"]
    for _, part in table[table["status"] == "tested"].groupby("term"):
        assert part["p"].is_monotonic_increasing
        np.testing.assert_allclose(part["q"], false_discovery_control(part["p"]))
    assert (table["name"] == "G" + table["taxon_id"].astype(str)).all()


@pytest.mark.parametrize("method", METHODS)
def test_neither_the_order_of_samples_nor_of_taxa_changes_the_table(metadata, method):
    counts, total = community(np.random.default_rng(9), 24)
    first = linear_models(counts, total, build_design(metadata, "~ group + age"), method=method)
    again = linear_models(
        counts.iloc[::-1, ::-1],
        total[::-1],
        build_design(metadata[::-1], "~ group + age"),
        method=method,
    )
    assert_frame_equal(again, first)


def test_proportions_do_not_depend_on_depth(metadata):
    counts, total = community(np.random.default_rng(9), 24)
    factor = pd.Series(np.arange(1, 25), counts.columns)
    design = build_design(metadata, "~ group")
    for method in METHODS[:2]:
        assert_frame_equal(
            linear_models(counts * factor, total * factor, design, method=method),
            linear_models(counts, total, design, method=method),
        )


def test_a_bloom_moves_shares_but_not_bias_corrected_ratios():
    """One taxon takes half of every case: all other shares fall twofold, their ratios stay."""
    generator = np.random.default_rng(3)
    n = 80
    metadata = pd.DataFrame({"group": ["a", "b"] * (n // 2)}, index=[f"S{i:02}" for i in range(n)])
    log = generator.normal(8, 1, (40, 1)) + generator.normal(0, 0.3, (40, n))
    counts = pd.DataFrame(np.exp(log).astype(int) + 1, range(40), metadata.index)
    counts.loc[99] = np.where(metadata["group"] == "b", counts.sum(), 1000)
    design, total = build_design(metadata, "~ group"), counts.sum()
    share = linear_models(counts, total, design).set_index("taxon_id")["effect"]
    ratio = linear_models(counts, total, design, method="clr_bias_corrected")
    ratio = ratio.set_index("taxon_id")["effect"]
    assert share.drop(99).median() == pytest.approx(-0.95, abs=0.1)
    assert ratio.drop(99).median() == pytest.approx(0, abs=0.05)
    assert ratio[99] > 3


@pytest.mark.parametrize("method", METHODS)
def test_labels_without_meaning_are_significant_as_often_as_p_says(method):
    """80 tables of taxa, labels drawn at random; the p of one taxon a table are independent."""
    generator = np.random.default_rng(31)
    first, every = [], []
    for _ in range(80):
        counts, total = community(generator, 40, taxa=30)
        metadata = pd.DataFrame(
            {"group": generator.permutation(["a", "b"] * 20), "age": generator.normal(size=40)},
            index=counts.columns,
        )
        p = linear_models(counts, total, build_design(metadata, "~ group + age"), method=method)
        p = p.loc[p["term"] == "group[T.b]"].sort_values("taxon_id")["p"].to_numpy()
        first.append(p[0])
        every.append((p[~np.isnan(p)] < 0.05).mean())
    hits = int((np.array(first) < 0.05).sum())
    assert binom.sf(hits - 1, 80, 0.05) > 0.005
    margin = 3 * np.std(every, ddof=1) / np.sqrt(80) + 0.01
    assert np.mean(every) < 0.05 + margin
    if method not in ("ancombc2", "dirichlet_multinomial"):  # conservative
        assert binom.cdf(hits, 80, 0.05) > 0.005
        assert np.mean(every) > 0.05 - margin


def test_labels_of_subjects_without_meaning_are_not_significant_with_a_random_intercept():
    """Four samples a subject: least squares takes them for independent and is wrong."""
    generator = np.random.default_rng(32)
    mixed, plain = [], []
    for _ in range(60):
        subject = np.repeat(np.arange(12), 4)
        arm = generator.permutation([0.0, 1] * 6)[subject]
        matrix = np.column_stack([np.ones(48), arm])
        response = generator.normal(size=(12, 10))[subject] + generator.normal(size=(48, 10))
        for store, fit in (
            (mixed, random_intercept(response, matrix, subject)),
            (plain, least_squares(response, matrix)),
        ):
            t = np.abs(fit[0][1] / fit[1][1])
            store += (t > {10: 2.2281389, 46: 2.0128956}[int(fit[2][1])]).tolist()
    assert binom.cdf(sum(mixed), 600, 0.05) > 0.005
    assert binom.sf(sum(mixed) - 1, 600, 0.05) > 0.005
    assert np.mean(plain) > 0.15


@pytest.mark.parametrize("method", METHODS[:2])
def test_planted_taxa_are_found_with_their_direction(method):
    generator = np.random.default_rng(33)
    counts, total = community(generator, 120, taxa=80)
    group = pd.Series(["a", "b"] * 60, counts.columns, name="group")
    # Rare enough that their rise does not press the shares of the others down.
    small = counts.loc[(counts / total).mean(axis="columns").between(1e-3, 5e-3)]
    prevalence = (small > 0).mean(axis="columns")
    planted = prevalence.sort_values(ascending=False, kind="stable").index[:6]
    up, down = planted[:3], planted[3:]
    fold = pd.DataFrame(1, counts.index, counts.columns)
    fold.loc[up, group == "b"] = 8
    fold.loc[down, group == "a"] = 8
    counts = counts * fold
    table = linear_models(
        counts, counts.sum(), build_design(group.to_frame(), "~ group"), method=method
    ).set_index("taxon_id")
    found = table[table["q"] < 0.05]
    assert set(planted) <= set(found.index)
    assert (found.loc[up, "effect"] > 1.5).all()
    assert (found.loc[down, "effect"] < -1.5).all()
    assert len(found.index.difference(planted)) <= 3


def test_what_cannot_be_run_is_returned_with_its_reason(metadata):
    counts, total = community(np.random.default_rng(9), 24)
    design = build_design(metadata, "~ group + (1|subject)")
    table, not_run = run_models(counts, total, design)
    ran = ["clr_bias_corrected", "log2_proportion", "dirichlet_multinomial"]
    assert table["method"].unique().tolist() == ran
    assert not_run == {
        method: f"{method}: this model takes no random intercept"
        for method in ("prevalence", "ancombc2")
    }
    columns = table.columns.tolist()
    assert columns == [*COLUMNS, "calibration", "n_agree", "consensus"]
    table, not_run = run_models(counts, total, design, min_mean_abundance=0.99)
    assert table.columns.tolist() == columns
    assert table.empty
    assert "none of 60 taxa passes the filters" in not_run["log2_proportion"]


def test_taxa_that_all_samples_have_leave_no_prevalence_to_test(metadata):
    counts, total = community(np.random.default_rng(9), 24)
    everywhere = counts.clip(lower=5)
    with pytest.raises(NotRun, match="all 60 taxa are present in all samples: nothing to test"):
        require_taxa(everywhere, total, "prevalence", 0.1, 1e-9)
    with pytest.raises(NotRun, match="none of 60 taxa passes the filters"):
        require_taxa(everywhere, total, "log2_proportion", 0.1, 0.99)


def test_few_taxa_have_no_bias_to_correct(metadata):
    counts, total = community(np.random.default_rng(9), 24)
    with pytest.raises(NotRun, match="needs 10 taxa that pass the filters, there are"):
        linear_models(
            counts[:9], total, build_design(metadata, "~ group"), method="clr_bias_corrected"
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c, t: (c.drop(columns="S05"), t), "sample 'S05' of the design has no column"),
        (lambda c, t: (c, t.drop("S05")), "sample 'S05' has no classified fragments"),
        (lambda c, t: (c, t.where(t.index != "S05", 0)), "sample 'S05' has no classified"),
        (lambda c, t: (c, t * 0 + 1), r"taxon \d+, sample 'S\d+': count \d+ must lie between"),
        (lambda c, t: (c.rename(index={101: 100}), t), "taxon 100 has two rows"),
    ],
)
def test_tables_that_do_not_fit_are_refused_by_name(metadata, change, message):
    counts, total = change(*community(np.random.default_rng(9), 24))
    with pytest.raises(ValueError, match=message):
        linear_models(counts, total, build_design(metadata, "~ group"))


@needs_qin
def test_cirrhosis_shows_the_published_rise_of_oral_species():
    """Qin 2014, doi:10.1038/nature13568: oral Veillonella and Streptococcus invade the gut."""
    table = pd.read_table(QIN / "taxatable.txt", index_col=0)
    groups = pd.read_table(QIN / "task-healthy-cirrhosis.txt", index_col=0)
    table = table[groups.index].groupby(level=0).sum()
    design = build_design(groups, "~ Var", {"Var": "Healthy"})
    found = linear_models(table, table.sum(), design)
    oral = found[found["taxon_id"].str.contains("s__Veillonella_|s__Streptococcus_")]
    assert (oral.loc[oral["q"] < 1e-3, "effect"] > 0).all()
    assert (oral["q"] < 1e-3).sum() >= 5


def test_the_prevalence_model_is_not_run_in_few_samples():
    samples = [f"S{number}" for number in range(12)]
    metadata = pd.DataFrame({"group": ["a", "b"] * 6}, index=samples)
    counts = pd.DataFrame(
        np.random.default_rng(1).poisson(0.7, (12, 12)), index=range(1, 13), columns=samples
    )
    design = build_design(metadata, "~ group")
    with pytest.raises(NotRun, match="prevalence: needs 20 samples, there are 12"):
        linear_models(counts, counts.sum(), design, method="prevalence", min_prevalence=0)


def absent_from_cases(metadata):
    """A community in which no case has taxon 102 or 103, and only controls have 103 at all."""
    counts, _ = community(np.random.default_rng(9), 24)
    case = (metadata["group"] == "case").to_numpy()
    counts.loc[102, case] = 0
    counts.loc[102, ~case] = [0, 3, 5, 0, 8, 2, 0, 4, 9, 1, 0, 6]
    counts.loc[103] = np.where(case, 0, 50)
    return counts, counts.sum()


@pytest.mark.parametrize("method", [method for method in METHODS if method != "prevalence"])
def test_a_taxon_absent_from_a_group_is_not_tested_against_it(metadata, method):
    counts, total = absent_from_cases(metadata)
    design = build_design(metadata, "~ group + age", {"group": "control"})
    table = linear_models(counts, total, design, method=method, min_mean_abundance=0)
    table = table.set_index(["term", "taxon_id"])
    row = table.loc[("group[T.case]", 102)]
    assert (row["status"], row["absent_in"]) == ("structural_zero", "case")
    assert row[["effect", "low", "high", "p", "q"]].isna().all()
    assert table.loc[("age", 102), "status"] == "tested"
    others = table.loc["group[T.case]"].query("status == 'tested'")
    np.testing.assert_allclose(others["q"], false_discovery_control(others["p"]))


def test_structural_zeros_are_those_of_scikit_bio(metadata):
    metadata["site"] = ["x", "y", "z"] * 8
    counts, _ = community(np.random.default_rng(5), 24, depth=300)
    design = build_design(metadata, "~ site + age")
    theirs = struc_zero(counts.T, metadata, "site")
    ours = structural_zeros(counts.to_numpy() > 0, design.matrix, design.levels)
    assert theirs.to_numpy().any(axis=0).all()
    for column, level in (("site[T.y]", "y"), ("site[T.z]", "z")):
        expected = [
            ", ".join(name for name in ("x", level) if row[name]) for _, row in theirs.iterrows()
        ]
        assert ours[column].tolist() == expected


def test_groups_are_compared_in_treatment_coding_only(metadata):
    metadata["site"] = ["x", "y", "z"] * 8
    design = build_design(metadata, "~ C(site, Treatment('y')) + group * age", {"group": "case"})
    assert list(design.levels) == ["C(site, Treatment('y'))", "group"]
    columns, levels = design.levels["C(site, Treatment('y'))"]
    assert levels == ("y", "x", "z")
    assert [column[-4:] for column in columns] == ["T.x]", "T.z]"]
    assert build_design(metadata, "~ C(site, Sum)").levels == {}


def test_presence_that_the_groups_separate_is_tested_exactly(metadata):
    """Taxon 103 is in all of 12 controls and in none of 12 cases: no variation is left to model."""
    counts, total = absent_from_cases(metadata)
    design = build_design(metadata, "~ group + age", {"group": "control"})
    table = linear_models(counts, total, design, method="prevalence", min_mean_abundance=0)
    row = table.set_index(["term", "taxon_id"]).loc[("group[T.case]", 103)]
    assert row["status"] == "exact"
    assert row["effect"] == pytest.approx(-1)
    assert row["p"] == pytest.approx(2 / comb(24, 12))
    assert row[["low", "high"]].isna().all()
    assert row["q"] < 1e-4


def test_ancombc2_is_that_of_scikit_bio(metadata):
    counts, total = community(np.random.default_rng(9), 24)
    design = build_design(metadata, "~ group + age")
    table = linear_models(counts, total, design, method="ancombc2").set_index(["term", "taxon_id"])
    kept = table.loc["age"].index.sort_values()
    theirs = ancombc2(counts.loc[kept].T, metadata, "group + age", pseudocount=1).result
    for term in ("group[T.control]", "age"):
        ours, other = table.loc[term].loc[kept], theirs.xs(term, level="Covariate")
        tested = ours["status"] == "tested"
        np.testing.assert_allclose(
            ours["effect"][tested], other["Log(FC)"].to_numpy()[tested] / np.log(2), atol=1e-9
        )
        np.testing.assert_allclose(ours["p"][tested], other["pvalue"].to_numpy()[tested])


def test_ancombc2_without_a_pseudocount_is_refused():
    with pytest.raises(ValueError, match="needs a pseudocount above 0, not 0; take 1"):
        ancombc2_effects(np.ones((12, 8)), np.ones((8, 2)), pseudocount=0)


def test_no_code_calls_ancombc2_without_its_pseudocount():
    """Its default of 0 gave a quarter of the taxa without any effect a p below 0.05."""
    root = Path(__file__).parents[2]
    calls = 0
    for file in [*root.glob("scripts/**/*.py"), *root.glob("benchmarks/*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ancombc2":
                calls += 1
                given = {word.arg: word.value for word in node.keywords}
                assert getattr(given["pseudocount"], "value", 1) != 0, file
    assert calls == 1


def test_dirichlet_multinomial_has_the_effects_and_p_of_scikit_bio():
    """Equal groups: Welch's t is the pooled one, with a few degrees of freedom fewer."""
    counts, total = community(np.random.default_rng(9), 24)
    groups = pd.Series(["a"] * 12 + ["b"] * 12, counts.columns, name="group")
    design = build_design(groups.to_frame(), "~ group")
    table = linear_models(counts, total, design, method="dirichlet_multinomial", seed=7)
    table = table.query("status == 'tested'").set_index("taxon_id").sort_index()
    kept = counts.index[screen_taxa(counts, total)["tested"]]
    theirs = dirmult_ttest(counts.loc[kept].T, groups, "b", "a", draws=128, seed=7)
    theirs = theirs.loc[table.index]
    np.testing.assert_allclose(table["effect"], theirs["Log2(FC)"], atol=1e-9)
    np.testing.assert_allclose(table["p"], theirs["pvalue"], atol=0.01)
    # Theirs is the widest over draws.
    assert (table["low"] > theirs["CI(2.5)"]).mean() > 0.9
    assert (table["high"] < theirs["CI(97.5)"]).mean() > 0.9


def test_dirichlet_multinomial_with_subjects_is_near_scikit_bios(metadata):
    counts, total = community(np.random.default_rng(9), 24)
    design = build_design(metadata, "~ group + age + (1|subject)")
    method = "dirichlet_multinomial"
    table = linear_models(counts, total, design, method=method, seed=7, draws=16)
    table = table[(table["term"] == "age")].set_index("taxon_id").sort_index()
    theirs = dirmult_lme(
        counts.loc[table.index].T, metadata, "group + age", "subject", draws=16, seed=7
    )
    theirs = theirs[theirs["Covariate"] == "age"]
    # Their search for the variance ratio ends elsewhere for some draws; they take normal quantiles.
    np.testing.assert_allclose(table["effect"], theirs["Log2(FC)"], atol=0.02)
    assert np.median(table["p"].to_numpy() - theirs["pvalue"].to_numpy()) > 0


def test_the_same_seed_gives_the_same_draws(metadata):
    counts, total = community(np.random.default_rng(9), 24)
    design = build_design(metadata, "~ group")
    first, again, other = (
        linear_models(counts, total, design, method="dirichlet_multinomial", seed=seed)
        for seed in (1, 1, 2)
    )
    assert_frame_equal(first, again)
    assert (first["p"] != other["p"]).any()


def test_the_consensus_counts_methods_of_one_direction():
    rows = [
        *[("A", method, 1.0, 0.01) for method in CONSENSUS_METHODS],
        *zip("BBB", CONSENSUS_METHODS, (1.0, -1.0, 1.0), (0.01, 0.01, 0.3), strict=True),
        *zip("CCC", CONSENSUS_METHODS, (-1.0, -1.0, 1.0), (0.01, 0.05, 0.01), strict=True),
        *zip("DDD", CONSENSUS_METHODS, (-1.0, -1.0, 1.0), (np.nan, np.nan, 0.01), strict=True),
        ("C", "log2_proportion", 1.0, 0.01),
        ("E", "log2_proportion", 1.0, 0.01),
    ]
    table = pd.DataFrame(rows, columns=["taxon_id", "method", "effect", "q"]).assign(term="group")
    found = consensus(table, 0.05).assign(taxon=table["taxon_id"]).drop_duplicates()
    by_taxon = found.set_index("taxon")
    assert by_taxon["n_agree"].fillna(-1).tolist() == [3, 1, 2, -1, -1]
    assert by_taxon.loc[list("ABC"), "consensus"].tolist() == [True, False, True]
    assert by_taxon.loc[list("DE"), "consensus"].isna().all()


def test_every_method_was_measured_and_its_label_is_that_of_the_numbers(metadata):
    measured = pd.read_table(CALIBRATION)
    assert measured.columns.tolist() == CALIBRATION_COLUMNS
    assert set(METHODS) <= set(measured["method"])
    assert measured.loc[measured["table"] != "simulated", "runs"].min() >= 200
    counts, total = community(np.random.default_rng(9), 24)
    design = build_design(metadata, "~ group")
    table, _ = run_models(counts, total, design, calibration=measured)
    labels = table.groupby("method")["calibration"].unique().map(list)
    assert labels.to_dict() == {m: [calibration_of(measured, m, 24)] for m in METHODS}
    mixed, _ = run_models(
        counts, total, build_design(metadata, "~ age + (1|subject)"), calibration=measured
    )
    assert set(mixed["calibration"]) == {"not_measured"}


def test_the_document_has_the_numbers_that_label_the_results():
    """benchmarks/calibrate_methods.py writes both; one alone would be out of date."""
    lines = (CALIBRATION.parents[1] / "docs/calibration.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    for row in pd.read_table(CALIBRATION).itertuples(index=False):
        name = f"`{row.method}`" if row.method in METHODS else row.method
        first = [row.table, str(row.samples), name]
        known = [cell for cell in cells if cell[:3] == first and len(cell) == 8]
        assert len(known) == 1, first
        numbers = [f"{value:.3f}" if value == value else "" for value in row[4:]]
        assert known[0][3:7] == [str(row.runs), *numbers]


def test_the_first_method_of_the_settings_is_not_liberal():
    settings = yaml.safe_load((CALIBRATION.parent / "config.yaml").read_text())["statistics"]
    measured = pd.read_table(CALIBRATION)
    labels = {calibration_of(measured, settings["methods"][0], n) for n in (20, 60, 200)}
    assert "liberal" not in labels


@needs_qin
def test_cirrhosis_genera_change_as_published():
    """Qin 2014, doi:10.1038/nature13568: oral genera rise, Lachno- and Ruminococcaceae fall."""
    table = pd.read_table(QIN / "taxatable.txt", index_col=0)
    groups = pd.read_table(QIN / "task-healthy-cirrhosis.txt", index_col=0)
    genus = table.index.to_series().str.extract(r"(f__[^;]*;g__[^;]+)", expand=False)
    counts = table[groups.index].groupby(genus).sum()
    design = build_design(groups, "~ Var", {"Var": "Healthy"})
    models, not_run = run_models(counts, table[groups.index].sum(), design)
    assert not_run == {}
    oral = ["f__Streptococcaceae;g__Streptococcus", "f__Veillonellaceae;g__Veillonella"]
    of_family = "f__(Lachnospiraceae|Ruminococcaceae);"
    share = models[models["method"] == "log2_proportion"].set_index("taxon_id")
    found = share.loc[share["q"] <= 0.05, "effect"]
    assert (found[oral] > 0).all()
    fall = found[found.index.str.match(of_family)]
    assert len(fall) >= 10
    assert (fall < 0).mean() >= 0.9
    # Relative to what most genera do, few of them fall: see docs/calibration.md.
    primary = models[models["method"] == METHODS[0]].set_index("taxon_id")
    for is_found in (primary["q"] <= 0.05, primary["consensus"].astype(bool)):
        found = primary.loc[is_found, "effect"]
        assert (found[oral] > 0).all()
        assert found["f__Ruminococcaceae;g__Ruminiclostridium"] < 0
        assert (found[found.index.str.startswith("f__Ruminococcaceae;")] < 0).all()


@needs_qin
def test_cirrhosis_families_change_as_published_by_method():
    """Qin 2014: which method shows the fall of the two families is in docs/calibration.md."""
    table = pd.read_table(QIN / "taxatable.txt", index_col=0)
    groups = pd.read_table(QIN / "task-healthy-cirrhosis.txt", index_col=0)
    family = table.index.to_series().str.extract(r"f__([^;]+)", expand=False)
    counts = table[groups.index].groupby(family).sum()
    design = build_design(groups, "~ Var", {"Var": "Healthy"})
    models, not_run = run_models(counts, table[groups.index].sum(), design)
    assert not_run == {}
    found = models.set_index(["taxon_id", "method"])
    down, up = ["Lachnospiraceae", "Ruminococcaceae"], ["Streptococcaceae", "Veillonellaceae"]
    methods = ["clr_bias_corrected", "log2_proportion", "dirichlet_multinomial", "ancombc2"]
    for method in methods:
        assert (found.loc[[(name, method) for name in up], "low"] > 1).all()
    for method in methods[1:]:
        assert (found.loc[[(name, method) for name in down], "high"] < 0).all()
    # The primary method's effects are relative to what most families do: neither fall is shown.
    primary = found.loc[[(name, methods[0]) for name in down]]
    assert ((primary["low"] < 0) & (primary["high"] > 0) & (primary["q"] > 0.05)).all()

    page = (CALIBRATION.parents[1] / "docs/calibration.md").read_text()
    for name in [*down, *up]:
        cells = [
            f"{row.effect:.2f} ({row.low:.2f} to {row.high:.2f}), q {row.q:.2g}"
            for row in (found.loc[(name, method)] for method in methods)
        ]
        direction = "down" if name in down else "up"
        assert f"| {' | '.join([name, direction, *cells])} |" in page
