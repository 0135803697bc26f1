"""Species and strains of the panel: what is called, and what is said where nothing can be."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.special import betaincinv
from scipy.stats import poisson

from moodbiome.evidence import read_table
from moodbiome.psychobiotics import (
    CONSISTENT,
    NOT_ASSESSABLE,
    NOT_DETECTED,
    NOT_IN_DATABASE,
    TOO_SHALLOW,
    Limits,
    call_strain,
    detect_strains,
    detect_taxa,
    fit_kmers,
    panel_genera,
)
from moodbiome.uncertainty import counting_intervals

ROOT = Path(__file__).parents[2]
EVIDENCE = ROOT / "config/evidence"
SETTINGS = yaml.safe_load((ROOT / "config/config.yaml").read_text())
LIMITS = Limits(**SETTINGS["psychobiotics"]["limits"])
CROSSWALK = read_table(EVIDENCE / "crosswalk.tsv", "crosswalk")
PANEL = CROSSWALK[CROSSWALK["used_by"] == "psychobiotic"]
DATABASE = pd.DataFrame(
    {
        "rank": ["species", "species", "species", "subspecies"],
        "name": ["casei", "paracasei", "breve", "infantis"],
    },
    index=[1582, 1597, 1685, 1682],
)
INTERVALS = pd.DataFrame(
    {
        "sample": ["S1"] * 4 + ["S2"],
        "taxon_id": pd.array([None, 1582, 1597, 1685, None], dtype="Int64"),
        "fragments": [0, 30, 10, 200, 0],
        "proportion": [0, 0.03, 0.01, 0.2, 0],
        "low": [0, 0.02, 0.005, 0.18, 0],
        "high": [0.004, 0.04, 0.02, 0.23, 0.05],
        "effective_fragments": [0, 30.0, 10.0, 150.0, 0],
    }
)


def taxa(**changes):
    given = {
        "panel": PANEL,
        "database": DATABASE,
        "nomenclature": "ncbi",
        "intervals": INTERVALS,
        "refused": {"S3": "cut short"},
        "samples": ["S1", "S2", "S3"],
        "rank": "species",
        "min_fragments": 10,
    }
    return detect_taxa(**{**given, **changes}).set_index(["sample", "organism"])


GROUP = "lacticaseibacillus_casei_paracasei"


def test_every_sample_has_a_row_for_every_organism():
    found = taxa()
    assert len(found) == 3 * len(PANEL) == 27
    assert set(found.loc["S3", "call"]) == {NOT_ASSESSABLE}
    assert set(found.loc["S3", "reason"]) == {"cut short"}
    assert found.loc["S3", "proportion"].isna().all()


def test_one_taxon_keeps_the_interval_of_its_table():
    row = taxa().loc["S1", "bifidobacterium_breve"]
    assert row["call"] == "detected species"
    assert tuple(row[["fragments", "proportion", "low", "high"]]) == (200, 0.2, 0.18, 0.23)


def test_two_taxa_are_added_up_by_hand():
    row = taxa().loc["S1", GROUP]
    assert (row["fragments"], row["proportion"]) == (40, pytest.approx(0.04))
    # Nothing was handed down: 40 of 1,000 fragments, Jeffreys' interval.
    expected = betaincinv(40.5, 960.5, [0.025, 0.975])
    np.testing.assert_allclose([row["low"], row["high"]], expected)


def test_what_is_not_found_has_its_limit_one_for_each_of_its_taxa():
    found = taxa().loc["S2"]
    assert found.loc["bifidobacterium_breve", "call"] == NOT_DETECTED
    assert tuple(found.loc["bifidobacterium_breve", ["low", "high"]]) == (0, 0.05)
    assert found.loc[GROUP, "detection_limit"] == pytest.approx(0.1)


def test_a_taxon_that_the_database_lacks_is_not_absent():
    found = taxa().loc["S1"]
    assert found.loc["lactobacillus_acidophilus", "call"] == NOT_IN_DATABASE
    assert pd.isna(found.loc["lactobacillus_acidophilus", "proportion"])
    infantis = found.loc["bifidobacterium_longum_infantis"]
    assert (infantis["call"], infantis["reason"][:13]) == (NOT_ASSESSABLE, "below species")


def test_contaminants_and_pile_ups_are_no_detection():
    found = taxa(contaminants={1685}, pile_ups={("S1", 1582)})
    assert "contaminant" in found.loc[("S1", "bifidobacterium_breve"), "reason"]
    assert "minimisers" in found.loc[("S1", GROUP), "reason"]
    assert set(found.loc["S1", "call"]) == {NOT_ASSESSABLE, NOT_IN_DATABASE}
    assert found.loc[("S2", "bifidobacterium_breve"), "call"] == NOT_DETECTED
    removed = taxa(contaminants={1685}, removed=True)
    assert removed.loc[("S2", "bifidobacterium_breve"), "call"] == NOT_ASSESSABLE


def test_few_fragments_are_no_detection():
    row = taxa(min_fragments=201).loc["S1", "bifidobacterium_breve"]
    assert row["call"] == NOT_DETECTED
    assert row["reason"] == "200 fragments, 201 are needed"


def test_the_panel_is_of_two_genera():
    concepts = read_table(EVIDENCE / "concepts.tsv", "concepts")
    genera = panel_genera(PANEL, concepts)
    assert {genus: len(names) for genus, names in genera.items()} == {
        "lactobacillus": 5,
        "bifidobacterium": 4,
    }
    with pytest.raises(ValueError, match="'lactobacillus', which is no concept"):
        panel_genera(PANEL, concepts[concepts["concept"] != "lactobacillus"])


def counts(n, depth, share=1.0):
    """Expected histogram of n k-mers, of which a share is in the sample."""
    expected = {c: round(n * share * poisson.pmf(c, depth)) for c in range(1, 400)}
    return {0: n - sum(expected.values()), **{c: k for c, k in expected.items() if k}}


@pytest.mark.parametrize("share", [1.0, 0.97, 0.73, 0.39])
@pytest.mark.parametrize("depth", [0.1, 0.5, 2, 10, 50])
def test_depth_and_share_are_told_apart(depth, share):
    fit = fit_kmers(counts(200_000, depth, share))
    assert fit.depth == pytest.approx(depth, rel=0.06)
    assert fit.share == pytest.approx(share, rel=0.06)
    assert fit.share_low <= share <= fit.share_high + 1e-4


def test_repeats_do_not_make_a_genome_deep():
    repeated = counts(20_000, 1) | {500: 300}
    assert fit_kmers(repeated).depth == pytest.approx(1, rel=0.02)


def test_nothing_seen_is_no_number():
    assert fit_kmers({0: 100}).share_high == 1
    assert fit_kmers({0: 100}).depth == 0


def uneven(of_all=(0.0, 0.01), of_own=(0.0, 0.02)):
    return {
        which: {"value": value, "se": se}
        for which, (value, se) in (("all", of_all), ("own", of_own))
    }


def found(depth, identity, own_share=None, n_own=2000, **unevenness):
    """K-mers of a genome of 2 Mb, at an identity in %, in a sample of 1 Gb."""
    share = (identity / 100) ** 31
    own = counts(n_own, depth, share if own_share is None else own_share)
    shared = counts(18_000, depth, share)
    of_strain = {"genome_bp": 2_000_000, "own": own, "shared": shared}
    of_strain["unevenness"] = uneven(**unevenness)
    bases = {"kmer_bp": 31, "scaled": 100, "reads": 10**7, "bases": 15 * 10**8}
    return {**bases, "strains": {"X": of_strain}}


@pytest.mark.parametrize(
    ("depth", "identity", "call"),
    [
        (0.02, 100, NOT_DETECTED),
        (0.2, 100, TOO_SHALLOW),
        (2, 100, CONSISTENT),
        (2, 99.97, CONSISTENT),
        (2, 99.5, "detected species"),
        (100, 99, "detected species"),
        (2, 97, "detected species"),
        (2, 90, NOT_DETECTED),
        (0, 100, NOT_DETECTED),
    ],
)
def test_calls_by_depth_and_identity(depth, identity, call):
    row = call_strain(found(depth, identity), "X", LIMITS)
    assert row["call"] == call
    assert bool(row["reason"]) == (call != CONSISTENT)
    assert row["detection_limit"] == pytest.approx(0.05 * 2e6 / 1.5e9)


def test_coverage_is_of_bases_and_the_proportion_of_all_bases():
    row = call_strain(found(2, 100), "X", LIMITS)
    assert row["coverage"] == pytest.approx(2 * 150 / 120, rel=0.02)
    assert row["proportion"] == pytest.approx(row["coverage"] * 2e6 / 1.5e9)
    assert row["low"] < row["proportion"] < row["high"]


def test_a_relative_without_the_own_kmers_is_not_the_strain():
    row = call_strain(found(2, 100, own_share=0.2), "X", LIMITS)
    assert row["call"] == "detected species"
    assert "k-mers of its own" in row["reason"]


def test_decoys_that_are_too_near_are_said():
    row = call_strain(found(2, 100, n_own=40), "X", LIMITS)
    assert row["call"] == NOT_ASSESSABLE
    assert row["reason"].startswith("species there; 40 k-mers of its own")
    assert "its decoys are too near" in row["reason"]


UNKNOWN = (None, None)


@pytest.mark.parametrize(
    ("of_all", "of_own", "call", "said"),
    [
        # All k-mers are even: one genome, however little its own k-mers say.
        ((0.0, 0.02), (0.1, 0.07), CONSISTENT, ""),
        ((0.0, 0.02), UNKNOWN, CONSISTENT, ""),
        # A relative lies beside it, and its own k-mers are even.
        ((0.3, 0.02), (0.0, 0.02), CONSISTENT, ""),
        ((0.3, 0.02), (0.04, 0.03), CONSISTENT, ""),
        # Its own k-mers are uneven: several relatives.
        ((0.12, 0.01), (0.12, 0.01), NOT_ASSESSABLE, "varies by 0.12 (CV squared), 0.05 is"),
        ((0.0, 0.01), (0.4, 0.1), NOT_ASSESSABLE, "varies by 0.40 (CV squared), 0.05 is"),
        # Neither is known well enough.
        ((0.3, 0.02), (0.04, 0.06), NOT_ASSESSABLE, "too few k-mers to tell"),
        ((0.06, 0.02), (0.0, 0.1), NOT_ASSESSABLE, "too few k-mers to tell"),
        ((0.3, 0.02), UNKNOWN, NOT_ASSESSABLE, "too few k-mers to tell"),
        (UNKNOWN, UNKNOWN, NOT_ASSESSABLE, "too few k-mers to tell"),
    ],
)
def test_several_relatives_together_are_told_by_uneven_depth(of_all, of_own, call, said):
    row = call_strain(found(5, 100, of_all=of_all, of_own=of_own), "X", LIMITS)
    assert row["call"] == call
    assert said in row["reason"]
    if call != CONSISTENT:
        assert row["reason"].startswith("species there; a mixture of relatives cannot be excluded")
    if of_own[0] is not None:
        assert row["unique_unevenness_high"] == pytest.approx(
            of_own[0] + 1.96 * of_own[1], rel=1e-4
        )


def test_what_speaks_against_the_strain_stands_before_doubts():
    uneven_copy = found(5, 99.5, of_all=(0.17, 0.01), of_own=(0.17, 0.02))
    row = call_strain(uneven_copy, "X", LIMITS)
    assert row["call"] == "detected species"
    assert row["reason"] == "ANI 99.50 %, 99.9 % are needed"


def test_strains_that_cannot_be_asked_have_a_reason():
    strains = pd.DataFrame({"strain": ["X", "Y"], "genome": [True, False]})
    empty = found(0, 100) | {"reads": 0, "bases": 0}
    rows = detect_strains(
        *(strains, {"A": found(2, 100), "B": found(2, 100), "C": empty}),
        *({"B": "cut short"}, ["A", "B", "C"], LIMITS),
    )
    reasons = dict(
        zip(zip(rows["sample"], rows["organism"], strict=True), rows["reason"], strict=True)
    )
    assert reasons == {
        ("A", "X"): "",
        ("B", "X"): "cut short",
        ("C", "X"): "no reads",
        **{(sample, "Y"): "no genome given" for sample in "ABC"},
    }


def test_a_genome_of_few_kmers_must_still_exclude_a_relative():
    few = found(0.6, 100)
    few["strains"]["X"] = {"genome_bp": 12_000} | {
        "own": counts(100, 0.6),
        "shared": counts(20, 0.6),
        "unevenness": uneven(),
    }
    row = call_strain(few, "X", LIMITS)
    assert row["call"] == NOT_ASSESSABLE
    assert "take a smaller psychobiotics.scaled" in row["reason"]


def test_an_imported_table_is_judged_by_its_counts_and_not_by_a_database():
    """3 of 100,000 fragments are found: the limit of none there is 2.5 fragments."""
    counts = pd.DataFrame({"name": "", "lineage": "", "S1": [3, 99_997]}, index=[1685, 5])
    intervals = counting_intervals(counts)
    found = taxa(intervals=intervals, samples=["S1"], min_fragments=1, imported=True).loc["S1"]
    row = found.loc["bifidobacterium_breve"]
    assert (row["call"], row["proportion"]) == ("detected species", 3e-5)
    absent = found.loc[GROUP]
    assert absent["call"] == NOT_DETECTED
    assert absent["detection_limit"] == pytest.approx(2 * 2.5e-5, rel=0.02)
    assert NOT_IN_DATABASE not in set(found["call"])
    assert "database" not in " ".join(found["reason"])
    lacking = (
        "the imported table has no taxon for it; whether it could have been found is not known"
    )
    assert lacking in set(found["reason"])
