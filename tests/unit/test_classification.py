"""Classifying a sample: what needs no database. The demo's truth checks run Kraken2 itself."""

import pytest

from moodbiome.classification import classify_sample, domain
from moodbiome.kraken import parse_report


def run(name, **changes):
    counts = {"raw": 10, "failed_qc": 4, "host": 6, "non_host": 0, "mean_length": None}
    return {
        "sample": "S1",
        "assay": "shotgun",
        "run": name,
        "status": "ok",
        "reason": "",
        "layout": "paired",
        "warnings": [],
        **counts,
    } | changes


def classify(tmp_path, runs):
    empty = tmp_path / "empty"
    empty.touch()
    files = [str(empty)] * len(runs)
    return classify_sample(
        runs, files, files, tmp_path, tmp_path / "report", 0.1, 2, 1, tmp_path / "log"
    )


def test_one_damaged_run_fails_the_sample_and_no_number_is_given(tmp_path):
    failed = run("L2", status="failed", reason="R1.gz is cut short", raw=None)
    profile = classify(tmp_path, [run("L1"), failed])
    assert profile["status"] == "failed"
    assert profile["reason"] == "run L2: R1.gz is cut short"
    assert profile["raw"] is None
    assert profile["bacterial"] is None


def test_a_sample_without_fragments_left_is_empty_and_still_adds_up(tmp_path):
    profile = classify(tmp_path, [run("L1"), run("L2")])
    assert profile["status"] == "empty"
    assert profile["reason"].startswith("none of 20 fragments is left: 8 failed quality control")
    assert (profile["raw"], profile["host"], profile["classified"]) == (20, 12, 0)
    assert (tmp_path / "report").read_bytes() == b""


def test_a_negative_control_without_reads_is_empty(tmp_path):
    none = dict.fromkeys(("raw", "failed_qc", "host", "non_host"), 0)
    profile = classify(tmp_path, [run("L1", status="empty", reason="no reads", **none)])
    assert (profile["status"], profile["reason"]) == ("empty", "the files hold no reads")


@pytest.mark.parametrize("prefix", ["", "d__"])
def test_domains_are_found_by_name(prefix):
    report = parse_report(
        "10.00\t1\t1\tU\t0\tunclassified\n"
        "90.00\t9\t0\tR\t1\troot\n"
        f"70.00\t7\t7\tD\t2\t  {prefix}Bacteria\n"
        f"20.00\t2\t2\tD\t2157\t  {prefix}Archaea\n",
        "S1",
    )
    assert (domain(report, "Bacteria"), domain(report, "Archaea")) == (7, 2)
