"""Other settings on the same reports: by hand, and what cannot be measured."""

import gzip

import pytest
from test_classification import run
from test_minimisers import LIMITS, TEXT

from moodbiome.kraken import parse_report
from moodbiome.sensitivity import (
    COLUMNS,
    bray_curtis,
    measure_sample,
    sensitivity_rows,
    spread,
    write_head,
)


def rows(action="flag", limits=LIMITS, confidence=0.1):
    asked = []

    def classify(value):
        asked.append(value)
        return parse_report(TEXT, "S1")

    found = list(sensitivity_rows("S1", classify, confidence, 10, limits, action))
    return asked, [dict(zip(COLUMNS, row, strict=True)) for row in found]


def test_each_confidence_is_classified_once_and_the_run_stands_first():
    asked, found = rows(confidence=0.15)
    assert asked == [0.15, 0, 0.05, 0.1, 0.2, 0.4]
    assert [row["is_run_setting"] for row in found].index(True) == 0
    assert sum(row["is_run_setting"] for row in found) == 1
    # The run, five confidences, least fragments 0 and 50, and the minimisers the other way.
    assert len(found) == 9


def test_what_the_other_choice_of_minimisers_changes_by_hand():
    """Without Heap, 200 of 1,000: half the distance is Heap's share of 0.2."""
    _, found = rows()
    dropped = found[-1]
    assert dropped["minimisers"] == "drop"
    assert (dropped["n_genera"], dropped["n_lost"], dropped["n_gained"]) == (4, 1, 0)
    assert dropped["bray_curtis"] == pytest.approx(0.2)
    _, found = rows(action="drop")
    assert (found[-1]["minimisers"], found[-1]["n_gained"]) == ("flag", 1)


def test_least_fragments_lose_the_rare():
    _, found = rows()
    (row,) = (row for row in found if row["min_fragments"] == 50)
    assert (row["n_genera"], row["n_lost"]) == (3, 2)


def test_nothing_is_said_of_minimisers_in_amplicons():
    _, found = rows(limits=None)
    assert {row["minimisers"] for row in found} == {None}
    assert len(found) == 7


def test_equal_tables_have_distance_zero_and_empty_ones_none():
    assert bray_curtis({1: 3, 2: 7, 3: 11}, {3: 11, 2: 7, 1: 3}) == 0
    assert bray_curtis({1: 5}, {2: 5}) == 1
    assert bray_curtis({}, {1: 5}) is None


@pytest.mark.parametrize("n", range(6))
def test_samples_are_chosen_once_and_in_order(n):
    names = ["A", "B", "C", "D"]
    chosen = spread(names, n)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(n, 4)


def test_the_head_goes_on_into_the_next_file(tmp_path):
    files = []
    for name in "ab":
        path = tmp_path / f"{name}.fastq.gz"
        path.write_bytes(gzip.compress(f"@{name}1\nA\n+\nI\n@{name}2\nA\n+\nI\n".encode()))
        files.append(str(path))
    assert write_head(files, 3, tmp_path / "head") == 3
    assert (tmp_path / "head").read_text().count("@a") == 2
    assert (tmp_path / "head").read_text().count("@b") == 1
    assert write_head(files, 9, tmp_path / "head") == 4


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        (
            {"status": "failed", "reason": "R1.gz is cut short"},
            "failed: run L1: R1.gz is cut short",
        ),
        ({"non_host": 999}, "999 fragments are left, 1000 are needed"),
    ],
)
def test_a_sample_that_cannot_be_measured_has_a_row_that_says_why(tmp_path, changes, note):
    parts = ([run("L1", **changes)], ["a"], ["b"], 50_000, tmp_path, 2, 1, tmp_path / "log")
    (row,) = measure_sample(*parts)
    assert (row[0], row[-1]) == ("S1", note)
    assert set(row[1:-1]) == {None}
