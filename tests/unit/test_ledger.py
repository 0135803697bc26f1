"""The ledger's sums and the status of a sample."""

import pytest

from moodbiome.ledger import read_length_warning, reconcile, sample_status
from moodbiome.tools import ToolError


@pytest.fixture
def profile():
    return {
        "sample": "S1",
        "assay": "shotgun",
        "status": "ok",
        "reason": "",
        "raw": 100,
        "failed_qc": 10,
        "host": 20,
        "non_host": 70,
        "classified": 60,
        "unclassified": 10,
        "bacterial": 50,
        "archaeal": 5,
    }


def test_an_account_that_adds_up_passes(profile):
    reconcile(profile)


@pytest.mark.parametrize("column", ["raw", "failed_qc", "host", "non_host", "unclassified"])
def test_one_fragment_too_many_anywhere_is_found(profile, column):
    profile[column] += 1
    with pytest.raises(ToolError, match=r"sample S1 \(shotgun\), ledger"):
        reconcile(profile)


def test_more_bacteria_than_classified_fragments_are_found(profile):
    profile["bacterial"] = 58
    with pytest.raises(ToolError, match="bacterial"):
        reconcile(profile)


def test_a_failed_sample_has_nothing_to_add_up(profile):
    reconcile({**dict.fromkeys(profile), "status": "failed"})


@pytest.mark.parametrize(
    ("changes", "excluded", "low_depth", "expected"),
    [
        ({}, "", 55, ("ok", "")),
        ({}, "", 56, ("low_depth", "55 fragments classified as bacterial or archaeal")),
        ({}, "took antibiotics", 56, ("excluded", "excluded in the sample sheet: took")),
        ({"status": "empty", "reason": "no reads"}, "", 1, ("empty", "no reads")),
        ({"status": "failed", "reason": "cut"}, "", 1, ("failed", "cut")),
        (
            {"status": "failed", "reason": "cut"},
            "bad disk",
            1,
            ("excluded", "excluded in the sample sheet: bad disk; also failed: cut"),
        ),
    ],
)
def test_the_first_status_that_applies_is_given(profile, changes, excluded, low_depth, expected):
    status, reason = sample_status({**profile, **changes}, excluded, low_depth)
    assert status == expected[0]
    assert reason.startswith(expected[1])


@pytest.mark.parametrize(
    ("mean", "used", "is_odd"),
    [(99, 100, False), (90, 100, False), (89, 100, True), (111, 100, True), (141, 150, False)],
)
def test_reads_of_another_length_than_the_distribution_are_odd(mean, used, is_odd):
    assert bool(read_length_warning(mean, used)) is is_odd


def test_nothing_is_odd_without_reads_or_re_estimation():
    assert read_length_warning(None, 100) == read_length_warning(100, None) == ""


def test_warning_of_the_read_length_is_one_and_has_both_lengths():
    """Warnings of a sample stand in one cell, parted by semicolons."""
    said = read_length_warning(123.4, 100)
    assert "100 bp" in said
    assert "123 bp" in said
    assert ";" not in said
