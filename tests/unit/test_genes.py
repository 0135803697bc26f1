"""Copies of genes per genome from counts: by hand, and what cannot be measured."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from moodbiome.genes import density, effective_length, measure_genes

# Reads of 100 bp that must share 75 bp: 251 starts on 100 amino acids, 851 on 300.
FAMILIES = {
    "K1": {"name": "butyrate kinase", "role": "marker", "mean_length_aa": 300.0},
    "K2": {"name": "tryptophanase", "role": "marker", "mean_length_aa": 100.0},
    "D": {"name": "others", "role": "decoy", "mean_length_aa": 300.0},
    **{
        f"S{i}": {"name": "ribosomal", "role": "single_copy", "mean_length_aa": 100.0}
        for i in range(5)
    },
}


def searched(sample="A", single=(251, 251, 251, 251, 251), markers=None, **changes):
    """What a search finds: each read of single-copy families a fragment of its own."""
    reads = {f"S{i}": {"100": n} for i, n in enumerate(single) if n}
    reads |= {"K1": {"300": 1702}} if markers is None else markers
    return {
        "sample": sample,
        "status": "ok",
        "reason": "",
        "fragments": 1_000_000,
        "reads": 2_000_000,
        "long_reads": 2_000_000,
        "bases": 200_000_000,
        "long_bases": 200_000_000,
        "min_aligned_aa": 25,
        "reads_by_family": reads,
        "family_fragments": {ko: sum(counts.values()) for ko, counts in reads.items()},
        "fates": dict.fromkeys(
            ("marker", "single_copy", "decoy", "ambiguous", "refused", "without_hit"), 0
        ),
        **changes,
    }


def failed(sample, status="failed", reason="run L1: R1 is cut short"):
    return {"sample": sample, "status": status, "reason": reason}


def measure(*found, least=100, seed=1):
    return measure_genes({one["sample"]: one for one in found}, FAMILIES, least, seed)


def test_copies_by_hand():
    measured = measure(searched())
    # One read a base of single-copy genes, two of K1, none of K2.
    expected = pd.DataFrame(
        {"ko": ["K1", "K2"], "name": ["butyrate kinase", "tryptophanase"], "A": [2.0, 0.0]}
    )
    assert_frame_equal(measured.copies, expected)
    assert measured.limits["A"].tolist() == pytest.approx([1 / 851, 1 / 251])
    assert measured.fragments["A"].tolist() == [1702, 0]
    (row,) = measured.search.to_dict("records")
    assert (row["status"], row["single_copy_families"]) == ("ok", 5)
    # A read of 100 bp starts at every base: coverage 100, and 2 million of them are 2 Mb.
    assert row["genome_coverage"] == pytest.approx(100)
    assert row["average_genome_size_bp"] == pytest.approx(2_000_000)
    assert row["average_genome_size_low"] < 2_000_000 < row["average_genome_size_high"]


def test_the_denominator_is_the_median_family():
    most = measure(searched(single=(251, 251, 251, 25_100, 0))).copies["A"]
    assert most.tolist() == [2.0, 0.0]


def test_depth_changes_no_copies_and_narrows_intervals():
    wide = measure(searched(single=[50] * 5, markers={"K1": {"300": 340}}))
    narrow = measure(searched(single=[5000] * 5, markers={"K1": {"300": 34_000}}))
    assert narrow.copies["A"].tolist() == pytest.approx(wide.copies["A"].tolist())
    widths = [one.intervals["high"] - one.intervals["low"] for one in (wide, narrow)]
    assert (widths[0] > 5 * widths[1]).all()
    for one in (wide, narrow):
        inside = one.intervals["low"].le(one.intervals["copies"])
        assert (inside & one.intervals["copies"].le(one.intervals["high"])).all()


def test_nothing_found_has_an_upper_limit_above_that_of_one_read():
    measured = measure(searched())
    row = measured.intervals.set_index("ko").loc["K2"]
    assert (row["fragments"], row["copies"], row["low"]) == (0, 0, 0)
    assert row["high"] > measured.limits.set_index("ko").loc["K2", "A"]


def test_intervals_cover_the_truth_as_often_as_they_say():
    random = np.random.default_rng(4)
    inside = []
    for number in range(200):
        single = random.poisson(25, 5)
        count = int(random.poisson(30))
        found = searched(f"T{number}", single, {"K1": {"300": count}} if count else {})
        row = measure(found, least=1).intervals.iloc[0]
        # The median over five families is less sure than the intervals of a mean would be.
        true = (30 / 851) / (25 / 251)
        inside.append(row["low"] <= true <= row["high"])
    assert 0.9 <= np.mean(inside) <= 1


def test_samples_that_cannot_be_measured_keep_their_column_and_say_why():
    shallow = searched("C", single=[19] * 5)
    lopsided = searched("D", single=(500, 500, 0, 0, 0))
    measured = measure(failed("A"), failed("B", "empty", "no reads"), shallow, lopsided)
    assert list(measured.copies.columns) == ["ko", "name", "A", "B", "C", "D"]
    assert measured.copies[["A", "B", "C", "D"]].isna().all(axis=None)
    assert measured.limits[["A", "B", "C", "D"]].isna().all(axis=None)
    # What was counted stands, though it cannot be brought to genomes.
    assert measured.fragments["C"].tolist() == [1702, 0]
    assert measured.fragments[["A", "B"]].isna().all(axis=None)
    states = measured.search.set_index("sample")["status"].to_dict()
    assert states == {"A": "failed", "B": "empty", "C": "too_shallow", "D": "too_shallow"}
    reasons = measured.not_run.set_index("sample")["reason"]
    assert reasons["A"] == "run L1: R1 is cut short"
    assert "95 fragments of single-copy families, fewer than 100" in reasons["C"]
    assert "2 of 5 single-copy families were seen" in reasons["D"]
    assert measured.intervals.empty


def test_pairs_vary_more_than_as_many_single_reads():
    random = np.random.default_rng(3)
    inside = []
    for number in range(200):
        # Half of the fragments bring two reads.
        ones, twos = random.poisson(20), random.poisson(20)
        found = searched(f"T{number}", [10_000] * 5, {"K1": {"300": int(ones + 2 * twos)}})
        found["family_fragments"]["K1"] = int(ones + twos)
        row = measure(found).intervals.iloc[0]
        inside.append(row["low"] <= (60 / 851) / (10_000 / 251) <= row["high"])
    assert 0.91 <= np.mean(inside) <= 0.99


def test_a_sample_is_the_same_beside_others():
    alone = measure(searched("B")).intervals
    beside = measure(searched("A", single=[90] * 5), searched("B")).intervals
    assert_frame_equal(alone, beside[beside["sample"] == "B"].reset_index(drop=True))


def test_each_read_counts_by_the_protein_that_it_fits():
    assert density({"100": 251, "300": 851}, 100, 25) == pytest.approx(2)
    assert float(effective_length(10, 50, 25)) == 1
