"""The ledger's sums and the status of a sample."""

import pytest

from moodbiome.ledger import reconcile, sample_status
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
