"""Contaminants: scores by hand and against R's tests, null calibration, batches, removal."""

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from moodbiome.association import NotRun
from moodbiome.contaminants import (
    COLUMNS,
    METHODS,
    Controls,
    apply,
    burden,
    combine_batches,
    contaminant_scores,
    find_contaminants,
    frequency_scores,
    prevalence_scores,
)
from moodbiome.tables import read_counts, write_counts

BLANKS = ["N1", "N2"]
SAMPLES = ["S1", "S2", "S3", "S4"]
IS_CONTROL = pd.Series({**dict.fromkeys(BLANKS, True), **dict.fromkeys(SAMPLES, False)})
CONCENTRATION = pd.Series([1.0, 2.0, 4.0, 8.0], SAMPLES)


@pytest.fixture
def counts():
    """329 halves as the DNA doubles and is in both blanks; 816 is steady; 5 is in one sample."""
    rows = {
        329: [90, 70, 400, 200, 100, 50],
        816: [10, 0, 600, 800, 900, 949],
        5: [0, 0, 0, 0, 0, 1],
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=[*BLANKS, *SAMPLES])


def row(table, taxon):
    return table.set_index("taxon_id").loc[taxon]


def simulated(generator, n_samples=40, n_blanks=6, n_true=30, n_planted=6):
    """Reads of samples whose DNA is part gut, part a fixed amount of reagent; blanks have that."""
    dna = generator.lognormal(1, 1, n_samples)
    gut = generator.dirichlet(np.full(n_true, 0.5), n_samples) * dna[:, None]
    reagent = np.full(n_planted, 0.02) * generator.lognormal(0, 0.2, (n_samples, n_planted))
    mass = np.hstack([gut, reagent])
    counts = [generator.multinomial(20_000, part / part.sum()) for part in mass]
    blank = np.r_[np.zeros(n_true), np.full(n_planted, 1 / n_planted)]
    counts += [generator.multinomial(200, blank) for _ in range(n_blanks)]
    names = [f"S{i}" for i in range(n_samples)] + [f"N{i}" for i in range(n_blanks)]
    table = pd.DataFrame(np.array(counts).T, range(1, n_true + n_planted + 1), names)
    is_control = pd.Series([name.startswith("N") for name in names], names)
    return table, is_control, pd.Series(dna, names[:n_samples]), set(range(n_true + 1, 37))


def test_prevalence_scores_by_hand():
    """Of the 1001 sets of 4 of 14, 5 lie within the 5 that hold the taxon: 5 / 1001 / 2."""
    assert prevalence_scores(np.array([4]), 4, np.array([1]), 10)[0] == pytest.approx(5 / 2002)
    # In 1 of 2 controls and 1 of 2 samples: 1/6 holds it in both controls, 4/6 in one.
    assert prevalence_scores(np.array([1]), 2, np.array([1]), 2)[0] == pytest.approx(1 / 6 + 2 / 6)
    # 10 of 20 hold it, so all four expected counts are 5, and each is missed by 9 - 5 - 1/2.
    chi_square = 3.5**2 * (1 / 5 + 1 / 5 + 1 / 5 + 1 / 5)
    tail = math.erfc(math.sqrt(chi_square / 2)) / 2
    assert prevalence_scores(np.array([9]), 10, np.array([1]), 10)[0] == pytest.approx(tail)


@pytest.mark.parametrize(
    ("in_controls", "n_controls", "in_samples", "n_samples", "expected"),
    [
        (4, 4, 1, 10, 0.0024975025),
        (2, 3, 5, 20, 0.114624506),
        (12, 12, 10, 30, 0.00018117989),
        (9, 20, 6, 30, 0.0576453085),
        (0, 20, 25, 30, 0.999999979),
        (8, 20, 12, 30, 0.5),
    ],
)
def test_prevalence_scores_equal_those_of_r(
    in_controls, n_controls, in_samples, n_samples, expected
):
    # R 4.2.2, for a, na, b, nb as here; the 1010 tables of 1 to 12 controls and 3 to 30 samples
    # agreed to 1e-15:
    #   tab <- matrix(c(a, b, na - a, nb - b), 2)
    #   tryCatch(prop.test(tab, alternative = "greater")$p.value, warning = function(w) {
    #     g <- fisher.test(tab, alternative = "greater")$p.value
    #     g - (g + fisher.test(tab, alternative = "less")$p.value - 1) / 2 })
    found = prevalence_scores(
        np.array([in_controls]), n_controls, np.array([in_samples]), n_samples
    )
    assert found[0] == pytest.approx(expected, rel=1e-8)


def test_frequency_score_by_hand():
    """log f = 0, 0 and log c = 0, log 4: SS0 = 0 (score 1); with f = 1, 1/2: SS0 = SS1."""
    assert frequency_scores(np.array([[0.5, 0.5]]), np.array([1, 4]))[0] == pytest.approx(1)
    assert frequency_scores(np.array([[0.8, 0.2]]), np.array([1, 4]))[0] == pytest.approx(0)
    assert frequency_scores(np.array([[0.8, 0.4]]), np.array([1, 4]))[0] == pytest.approx(0.5)
    # F(1, 1) at x is 2/pi atan(sqrt x); f falls by 8 where c rises by 4, so SS1/SS0 = (1/3)^2.
    expected = 2 / math.pi * math.atan(1 / 3)
    assert frequency_scores(np.array([[0.8, 0.1]]), np.array([1, 4]))[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([0.40, 0.21, 0.10, 0, 0.06], 0.153454056),
        ([0.31, 0.29, 0.33, 0.30, 0.28], 0.999964072),
        ([0.1, 0.4, 0, 0, 0.02], 0.325778787),
    ],
)
def test_frequency_scores_equal_those_of_r(shares, expected):
    # R 4.2.2, conc = c(1, 2, 4, 8, 16); 200 random taxa in 12 samples agreed to 1e-15:
    #   d <- data.frame(f = log(f), c = log(conc))[f > 0, ]
    #   ratio <- sum(resid(lm(f ~ offset(-c), d))^2) / sum(resid(lm(f ~ 1, d))^2)
    #   pf(ratio, nrow(d) - 1, nrow(d) - 1)
    found = frequency_scores(np.array([shares]), np.array([1, 2, 4, 8, 16]))
    assert found[0] == pytest.approx(expected, rel=1e-8)


def test_frequency_score_knows_no_unit_and_swaps_with_the_models():
    generator = np.random.default_rng(3)
    shares = generator.dirichlet(np.ones(20), 9).T
    dna = generator.lognormal(0, 1, 9)
    score = frequency_scores(shares, dna)
    np.testing.assert_allclose(frequency_scores(shares / 7, 1000 * dna), score, rtol=1e-9)
    # 1 / (f c) follows one model as f follows the other.
    np.testing.assert_allclose(frequency_scores(1 / (shares * dna), dna), 1 - score, atol=1e-9)


def test_taxa_that_cannot_be_told_score_a_half_or_nothing():
    found = prevalence_scores(np.array([0, 1, 0, 2]), 2, np.array([1, 0, 0, 4]), 4)
    np.testing.assert_array_equal(found, [np.nan, np.nan, np.nan, 0.5])
    # Exactly 0.5, also where the hypergeometric function is off by rounding.
    assert prevalence_scores(np.array([1]), 1, np.array([22]), 22)[0] == 0.5
    assert prevalence_scores(np.array([1]), 1, np.array([106]), 106)[0] == 0.5
    shares = np.array([[0.3, 0.2, 0.0], [0.0, 0.0, 0.1], [0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(
        frequency_scores(shares, np.array([3, 3, 9])), [0.5, np.nan, np.nan]
    )


@pytest.mark.parametrize("n_found", [2, 3, 5])
def test_scores_of_all_labellings_have_mean_one_half(n_found):
    """The mid-p of Fisher's test is centred under the null, whatever the prevalence."""
    holders = set(range(n_found))
    labellings = list(combinations(range(9), 3))
    inside = np.array([len(holders & set(chosen)) for chosen in labellings])
    scores = [prevalence_scores(np.array([a]), 3, np.array([n_found - a]), 6)[0] for a in inside]
    assert np.mean(scores) == pytest.approx(0.5)


@pytest.mark.parametrize(("n_controls", "slack"), [(8, 0.03), (25, 0.1)])
def test_permuted_labels_give_scores_that_are_nearly_uniform(n_controls, slack):
    """With few controls mid-p is close; with many Yates' correction draws scores towards 0.5."""
    generator = np.random.default_rng(11)
    present = generator.random((400, 80)) < generator.uniform(0.2, 0.8, (400, 1))
    names = [f"S{i:02}" for i in range(80)]
    counts = pd.DataFrame(present * generator.integers(1, 90, present.shape), columns=names)
    counts.index += 1
    is_control = np.arange(80) < n_controls
    scores = [
        contaminant_scores(counts, pd.Series(generator.permutation(is_control), names))["score"]
        for _ in range(5)
    ]
    for quantile in (0.1, 0.25, 0.4):
        low = (np.concatenate(scores) < quantile).mean()
        high = (np.concatenate(scores) > 1 - quantile).mean()
        assert quantile - slack <= low <= quantile + 0.03
        assert quantile - slack <= high <= quantile + 0.03
    assert np.mean(scores) == pytest.approx(0.5, abs=0.02)


def test_table_by_hand(counts):
    table = contaminant_scores(counts, IS_CONTROL, threshold=0.5, names={329: "Ralstonia"})
    assert list(table.columns) == COLUMNS
    assert table["taxon_id"].tolist() == [329, 816, 5]
    ralstonia, bacteroides = row(table, 329), row(table, 816)
    assert ralstonia["name"] == "Ralstonia"
    assert (ralstonia["n_controls"], ralstonia["n_samples"]) == (2, 4)
    assert (ralstonia["prevalence_controls"], bacteroides["prevalence_controls"]) == (1, 0.5)
    # Found everywhere: nothing to tell. 816 is in 1 of 2 and 4 of 4: P(1) = 2/6, P(2) = 4/6.
    assert ralstonia["score"] == 0.5
    assert bacteroides["score"] == pytest.approx(4 / 6 + 1 / 6)
    assert not table["is_contaminant"].any()
    assert ralstonia["mean_abundance_controls"] == pytest.approx(0.95)
    assert ralstonia["mean_abundance_samples"] == pytest.approx(0.1875)
    assert ralstonia["abundance_ratio"] == pytest.approx(0.95 / 0.1875)
    assert ralstonia["mean_fragments_controls"] == 80
    assert row(table, 5)["reason"] == "prevalence: found in fewer than 2 samples and controls"
    assert row(table, 5)["abundance_ratio"] == 0
    assert table["p_frequency"].isna().all()


def test_methods_combine_as_they_say(counts):
    tables = {
        method: contaminant_scores(counts, IS_CONTROL, CONCENTRATION, method=method)
        for method in METHODS
    }
    combined = row(tables["combined"], 816)
    product = combined["p_prevalence"] * combined["p_frequency"]
    # Chi-square with 4 degrees of freedom: P(X > -2 ln x) = x (1 - ln x).
    assert combined["score"] == pytest.approx(product * (1 - math.log(product)))
    smaller = min(combined["p_prevalence"], combined["p_frequency"])
    assert row(tables["minimum"], 816)["score"] == smaller
    assert row(tables["frequency"], 329)["is_contaminant"]
    assert row(tables["frequency"], 329)["score"] < 1e-9
    assert row(tables["frequency"], 816)["score"] > 0.9
    assert row(tables["combined"], 5)["reason"] == (
        "prevalence: found in fewer than 2 samples and controls; "
        "frequency: found in fewer than 2 samples"
    )


def test_frequency_needs_no_controls(counts):
    none = pd.Series(False, SAMPLES)
    table = contaminant_scores(counts[SAMPLES], none, CONCENTRATION, method="frequency")
    blanks = contaminant_scores(counts, IS_CONTROL, CONCENTRATION, method="frequency")
    assert table["score"].equals(blanks["score"])
    assert table["prevalence_controls"].isna().all()
    assert table["caution"].tolist() == [""] * 3


@pytest.mark.parametrize("method", ["prevalence", "frequency", "combined", "minimum"])
def test_planted_contaminants_are_found_and_nothing_else(method):
    counts, is_control, dna, planted = simulated(np.random.default_rng(7))
    # Contaminants that are in every sample as well cannot be told by prevalence.
    generator = np.random.default_rng(8)
    lost = generator.random((len(planted), 40)) < 0.6
    counts.loc[sorted(planted), is_control.index[:40]] *= ~lost
    table = contaminant_scores(counts, is_control, dna, method=method)
    assert set(table.loc[table["is_contaminant"], "taxon_id"]) == planted


def test_a_control_without_reads_counts_and_a_sample_without_reads_does_not(counts):
    counts["N2"] = 0
    counts["S4"] = 0
    table = contaminant_scores(counts, IS_CONTROL)
    ralstonia = row(table, 329)
    assert (ralstonia["n_controls"], ralstonia["n_samples"]) == (2, 3)
    # In 1 of 2 controls and 3 of 3 samples: P(1) = 4/10, P(2) = 6/10.
    assert ralstonia["score"] == pytest.approx(0.6 + 0.2)
    assert ralstonia["mean_abundance_controls"] == pytest.approx(0.45)


def test_controls_that_are_all_empty_flag_nothing(counts):
    counts[BLANKS] = 0
    table = contaminant_scores(counts, IS_CONTROL)
    assert not table["is_contaminant"].any()
    assert table["mean_abundance_controls"].tolist() == [0, 0, 0]


def test_a_taxon_in_controls_only_is_flagged_without_a_ratio(counts):
    counts.loc[7] = [4, 6, 0, 0, 0, 0]
    found = row(contaminant_scores(counts, IS_CONTROL), 7)
    # Of the 15 pairs of columns one is that of the controls.
    assert found["score"] == pytest.approx(1 / 30)
    assert found["is_contaminant"]
    assert math.isnan(found["abundance_ratio"])
    assert found["reason"] == ""


def test_a_flagged_taxon_that_may_come_from_the_samples_says_so():
    """Both are in both blanks at 10 % and in one sample, 853 at 99 % and 7 at 50 %."""
    names = [*BLANKS, *[f"S{i}" for i in range(9)]]
    rows = {
        853: [1, 1, 990, 0, *[0] * 7],
        7: [1, 1, 0, 500, *[0] * 7],
        816: [8, 8, 10, 500, *[1000] * 7],
    }
    counts = pd.DataFrame.from_dict(rows, orient="index", columns=names)
    is_control = pd.Series([name in BLANKS for name in names], names)
    table = contaminant_scores(counts, is_control)
    assert table["is_contaminant"].tolist() == [True, True, False]
    np.testing.assert_allclose(table["abundance_ratio"][:2], [0.1 / 0.11, 0.1 / (0.5 / 9)])
    suspect = table["caution"].str.startswith("no larger share of the controls than of the sample")
    assert suspect.tolist() == [True, False, False]


@pytest.mark.parametrize(("n", "most"), [(1, "20%"), (2, "45%"), (4, "67%")])
def test_few_controls_are_said_with_what_they_cannot_see(n, most):
    names = [f"N{i}" for i in range(n)] + [f"S{i:03}" for i in range(200)]
    is_control = pd.Series([name.startswith("N") for name in names], names)
    share = int(most[:-1]) * 2
    fewer, more = share - 10, share + 10
    present = [[1] * n + [1] * k + [0] * (200 - k) for k in (fewer, more)]
    counts = pd.DataFrame([*present, [9] * len(names)], [7, 8, 9], names)
    table = contaminant_scores(counts, is_control)
    assert f"in over about {most} of samples goes unseen" in table["caution"][0]
    assert table["is_contaminant"].tolist() == [True, False, False]


def test_five_controls_need_no_caution():
    names = [f"N{i}" for i in range(5)] + SAMPLES
    counts = pd.DataFrame([[1] * 5 + [0] * 4, [1] * 9], [7, 8], names)
    is_control = pd.Series([name.startswith("N") for name in names], names)
    assert contaminant_scores(counts, is_control)["caution"].tolist() == ["", ""]


def test_batches_combine_by_hand():
    scores = np.array([[0.05, 0.2, np.nan], [0.2, np.nan, np.nan]])
    np.testing.assert_allclose(combine_batches(scores, "minimum"), [0.05, 0.2, np.nan])
    np.testing.assert_allclose(combine_batches(scores, "product"), [0.01, 0.2, np.nan])
    # x (1 - ln x) with x = 0.01 and, a batch that says nothing being 0.5, 0.1.
    expected = [0.01 * (1 - math.log(0.01)), 0.1 * (1 - math.log(0.1)), np.nan]
    np.testing.assert_allclose(combine_batches(scores, "fisher"), expected)
    assert expected[0] == pytest.approx(0.0560517019)  # R: pchisq(-2 * log(0.01), 4, lower = FALSE)


def test_one_batch_is_no_batch(counts):
    arguments = (counts, IS_CONTROL, CONCENTRATION)
    one = contaminant_scores(*arguments, pd.Series("run1", IS_CONTROL.index), method="combined")
    none = contaminant_scores(*arguments, method="combined")
    assert_frame_equal(one.drop(columns="caution"), none.drop(columns="caution"))


def test_a_contaminant_of_one_batch_is_found_there():
    """In all controls of batch B and in none of its samples; in batch A, the other way round."""
    names = [f"{batch}{kind}{i}" for batch in "AB" for kind in "NS" for i in range(4)]
    counts = pd.DataFrame([[0] * 4 + [9] * 4 + [9] * 4 + [0] * 4, [9] * 16], [7, 8], names)
    is_control = pd.Series([name[1] == "N" for name in names], names)
    batch = pd.Series([name[0] for name in names], names)
    together = contaminant_scores(counts, is_control)
    apart = contaminant_scores(counts, is_control, batch=batch)
    assert together["score"][0] == pytest.approx(0.5)
    assert apart["score"][0] == pytest.approx(1 / 70 / 2)  # one of 70 sets of 4 of 8
    assert apart["is_contaminant"].tolist() == [True, False]


def test_batches_without_controls_or_with_one_concentration_are_named(counts):
    batch = pd.Series(["A", "A", "A", "A", "B", "B"], IS_CONTROL.index)
    dna = pd.Series([1.0, 2.0, 4.0, 4.0], SAMPLES)
    table = contaminant_scores(counts, IS_CONTROL, dna, batch, method="minimum")
    caution = table["caution"][0]
    assert "batch 'A': 2 negative controls, 5 or more are advised" in caution
    assert "batch 'B': no negative control, not scored by prevalence" in caution
    assert "batch 'B': DNA concentrations do not differ, not scored by frequency" in caution
    assert row(table, 5)["reason"].endswith("found in fewer than 2 samples of any batch")


@pytest.mark.parametrize("method", METHODS)
def test_order_of_samples_and_taxa_does_not_matter(method):
    counts, is_control, dna, _ = simulated(np.random.default_rng(5))
    batch = pd.Series(["a", "b"] * 23, counts.columns)
    table = contaminant_scores(counts, is_control, dna, batch, method)
    shuffled = counts.sample(frac=1, random_state=1).sample(frac=1, axis="columns", random_state=2)
    again = contaminant_scores(shuffled, is_control[::-1], dna[::-1], batch[::-1], method)
    back = again.set_index("taxon_id").loc[counts.index].reset_index(names="taxon_id")
    assert_frame_equal(back, table, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"S2": None}, "the DNA concentration of 'S2' is missing: correct the column dna_ng_ul"),
        ({"S2": 0.0}, r"of 'S2' \(0.0\) must be a number above 0 \(write the limit of detection"),
        ({"S2": -1, "S3": "n/a"}, r"of 'S2' \(-1\), 'S3' \(n/a\) must be a number above 0"),
        ({"S1": "", "S4": 0}, r"'S1' is missing; the DNA concentration of 'S4' \(0\) must be"),
        ({"S1": math.inf}, r"'S1' \(inf\) must be a number above 0"),
        ({"S1": 3, "S2": 3, "S3": 3, "S4": 3}, r"is the same in all 4 samples \(3\), so that it"),
    ],
)
def test_faults_of_concentrations_are_named(counts, change, message):
    dna = CONCENTRATION.astype(object)
    for sample, value in change.items():
        dna[sample] = value
    for method in ("frequency", "combined", "minimum"):
        with pytest.raises(NotRun, match=message):
            contaminant_scores(counts, IS_CONTROL, dna, method=method)
    assert contaminant_scores(counts, IS_CONTROL, dna)["score"].notna().any()


def test_controls_need_no_concentration(counts):
    blank = pd.concat([CONCENTRATION, pd.Series({"N1": 0.0, "N2": np.nan})])
    with_blanks = contaminant_scores(counts, IS_CONTROL, blank, method="frequency")
    without = contaminant_scores(counts, IS_CONTROL, CONCENTRATION, method="frequency")
    assert_frame_equal(with_blanks, without)


def test_what_cannot_be_run_says_why(counts):
    with pytest.raises(NotRun, match="no DNA concentrations are given; add the column dna_ng_ul"):
        contaminant_scores(counts, IS_CONTROL, method="combined")
    with pytest.raises(NotRun, match="no negative control has counts"):
        contaminant_scores(counts[SAMPLES], IS_CONTROL)
    with pytest.raises(NotRun, match="2 negative controls, but no sample has counts"):
        contaminant_scores(counts[BLANKS], IS_CONTROL)
    with pytest.raises(NotRun, match="1 samples have counts; the frequency method needs two"):
        contaminant_scores(counts[[*BLANKS, "S1"]], IS_CONTROL, CONCENTRATION, method="frequency")
    batch = pd.Series(["A", "A", "B", "B", "B", "B"], IS_CONTROL.index)
    with pytest.raises(NotRun, match="no batch has both a negative control and a sample"):
        contaminant_scores(counts, IS_CONTROL, batch=batch)
    batch["S3"] = ""
    with pytest.raises(NotRun, match="no batch is given for 'S3', 'S4'; fill the column"):
        contaminant_scores(counts, IS_CONTROL, batch=batch.drop("S4"))


def test_wrong_input_is_refused(counts):
    with pytest.raises(ValueError, match="method 'chisq' is none of prevalence, frequency"):
        contaminant_scores(counts, IS_CONTROL, method="chisq")
    with pytest.raises(ValueError, match="threshold is 10; it must lie between 0 and 1"):
        contaminant_scores(counts, IS_CONTROL, threshold=10)
    with pytest.raises(ValueError, match="batch_combine 'mean' is none of minimum, product"):
        contaminant_scores(counts, IS_CONTROL, batch_combine="mean")
    with pytest.raises(ValueError, match="sample 'S4' is in the counts, but whether it is"):
        contaminant_scores(counts, IS_CONTROL.drop("S4"))
    with pytest.raises(ValueError, match="hold the special rows -1, which are no taxa"):
        contaminant_scores(counts.rename({5: -1}), IS_CONTROL)
    with pytest.raises(ValueError, match="taxon 329 occurs twice"):
        contaminant_scores(counts.rename({816: 329}), IS_CONTROL)
    with pytest.raises(ValueError, match=r"taxon 816, sample 'S1': count 0.5 is not a whole"):
        contaminant_scores(counts.replace(600, 0.5), IS_CONTROL)


def test_a_table_without_taxa_is_not_run(counts):
    with pytest.raises(NotRun, match="2 negative controls, but no sample has counts"):
        contaminant_scores(counts.iloc[:0], IS_CONTROL)


@pytest.fixture
def whole(counts):
    """The same with the special rows and text columns, as the pipeline writes it."""
    special = pd.DataFrame([[3, 0, 50, 60, 70, 80], [1, 2, 3, 4, 5, 6]], [0, -1], counts.columns)
    table = pd.concat([special, counts]).rename_axis("taxon_id")
    names = ["unclassified", "unassigned", "Ralstonia", "Bacteroides", "Rare"]
    table.insert(0, "name", pd.Series(names, table.index, dtype="str"))
    lineages = ["", "", "g__Ralstonia", "g__Bacteroides", "g__Rare"]
    table.insert(1, "lineage", pd.Series(lineages, table.index, dtype="str"))
    return table


@pytest.fixture
def scores(counts):
    return contaminant_scores(counts, IS_CONTROL, CONCENTRATION, method="frequency")


def test_flag_changes_nothing(whole, scores):
    assert scores["is_contaminant"].tolist() == [True, False, False]
    assert_frame_equal(apply(whole, scores), whole)


def test_remove_moves_fragments_and_keeps_totals(whole, scores):
    before = whole.copy()
    removed = apply(whole, scores, "remove")
    assert removed.index.tolist() == [0, -1, -2, 816, 5]
    assert removed.loc[-2].tolist() == ["contaminant", "", 90, 70, 400, 200, 100, 50]
    samples = [*BLANKS, *SAMPLES]
    assert removed[samples].sum().tolist() == whole[samples].sum().tolist()
    assert_frame_equal(removed.drop(index=-2), whole.drop(index=329))
    assert_frame_equal(whole, before)


def test_removed_counts_can_be_written_and_read(whole, scores, tmp_path):
    removed = apply(whole, scores, "remove")
    write_counts(removed, tmp_path / "counts.tsv")
    assert_frame_equal(read_counts(tmp_path / "counts.tsv"), removed)


def test_remove_without_contaminants_leaves_an_empty_row(whole, scores):
    removed = apply(whole, scores.assign(is_contaminant=False), "remove")
    assert removed.loc[-2, [*BLANKS, *SAMPLES]].tolist() == [0] * 6
    assert_frame_equal(removed.drop(index=-2), whole)


def test_burden_is_what_remove_moves(whole, scores):
    whole["S5"] = [7, 0, 0, 0, 0]
    table = burden(whole, scores).set_index("sample")
    removed = apply(whole, scores, "remove")
    assert table["contaminant_fragments"].tolist() == removed.loc[-2, table.index].tolist()
    assert table.loc["S1"].tolist() == [1, 400, 1000, 0.4]
    assert table.loc["S5", "contaminant_fragments"] == 0
    assert math.isnan(table.loc["S5", "contaminant_share"])


def test_wrong_scores_and_actions_are_refused(whole, scores):
    with pytest.raises(ValueError, match="action 'drop' is none of flag, remove"):
        apply(whole, scores, "drop")
    for function in (apply, burden):
        with pytest.raises(ValueError, match="taxon 329 is flagged, but the counts have no such"):
            function(whole.drop(index=329), scores)
        with pytest.raises(ValueError, match="a row -2 already: contaminants were removed before"):
            function(apply(whole, scores, "remove"), scores)


METADATA = {
    "S1": {"sample_type": "sample", "exclude": "", "dna_ng_ul": "2.5", "batch": ""},
    "S2": {"sample_type": "sample", "exclude": "moved", "dna_ng_ul": "", "batch": ""},
    "N1": {"sample_type": "negative_control", "exclude": "", "dna_ng_ul": "", "batch": ""},
    "P1": {"sample_type": "positive_control", "exclude": "", "dna_ng_ul": "9", "batch": ""},
}
SETTINGS = {"method": "prevalence", "threshold": 0.1, "action": "flag"}


def test_controls_are_samples_and_negative_controls_that_are_not_excluded():
    controls = Controls.of_metadata(METADATA, SETTINGS)
    assert controls.is_control.to_dict() == {"S1": False, "N1": True}
    assert controls.concentration["S1"] == "2.5"
    assert controls.batch is None


def test_a_cohort_without_controls_says_so_and_has_no_scores():
    counts = pd.DataFrame({"name": ["unclassified", "a"], "lineage": ["", "g__a"], "S1": [1, 5]})
    counts.index = pd.Index([0, 816], name="taxon_id")
    only = {"S1": METADATA["S1"]}
    found, reason = find_contaminants(counts, Controls.of_metadata(only, SETTINGS))
    assert found is None
    assert reason.startswith("contaminants not looked for: ")


def test_scores_of_a_feature_table_leave_out_who_takes_no_part():
    samples = [f"S{number}" for number in range(6)]
    metadata = dict.fromkeys(samples, METADATA["S1"])
    metadata |= {f"N{number}": METADATA["N1"] for number in range(4)} | {"P1": METADATA["P1"]}
    reagent = dict.fromkeys(samples, 0) | {f"N{number}": 9 for number in range(4)} | {"P1": 9}
    gut = dict.fromkeys(samples, 50) | {f"N{number}": 0 for number in range(4)} | {"P1": 0}
    counts = pd.DataFrame([dict.fromkeys(metadata, 3), dict.fromkeys(metadata, 1), reagent, gut])
    counts.index = pd.Index([0, -1, 329, 816], name="taxon_id")
    counts.insert(0, "lineage", ["", "", "g__Ralstonia", "g__Bacteroides"])
    counts.insert(0, "name", ["unclassified", "unassigned", "Ralstonia", "Bacteroides"])
    found, _ = find_contaminants(counts, Controls.of_metadata(metadata, SETTINGS))
    assert found.set_index("name")["is_contaminant"].to_dict() == {
        "Ralstonia": True,
        "Bacteroides": False,
    }
    assert set(found["n_controls"]) == {4}
