"""Classifying a sample: what needs no database. The demo's truth checks run Kraken2 itself."""

import struct

import pytest

from moodbiome.classification import classify_sample, domain, restore_rank_codes
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


def taxonomy(path, nodes):
    """A taxo.k2d of (taxon, position of its parent, rank); position 0 is above the root."""
    ranks = sorted({rank for _, _, rank in nodes})
    block = b"".join(rank.encode() + b"\0" for rank in ranks)
    at = {rank: block.index(rank.encode() + b"\0") for rank in ranks}
    body = struct.pack("<7Q", *[0] * 7)
    for taxon, parent, rank in nodes:
        body += struct.pack("<7Q", parent, 0, 0, 0, at[rank], taxon, 0)
    path.write_bytes(
        b"K2TAXDAT" + struct.pack("<3Q", len(nodes) + 1, 2, len(block)) + body + b"x\0" + block
    )


@pytest.mark.parametrize("columns", [6, 8])
def test_lost_rank_codes_are_put_back_from_the_database(tmp_path, columns):
    nodes = [(1, 0, "no rank"), (131567, 1, "no rank"), (2, 2, "superkingdom"), (1239, 3, "phylum")]
    taxonomy(tmp_path / "taxo.k2d", nodes)
    extra = "\t5\t5" if columns == 8 else ""
    lost = [("U", 0), ("", 1), ("1", 131567), ("", 2), ("", 1239), ("F", 99)]
    lines = [f"1.00\t1\t1{extra}\t{code}\t{taxon}\tname\n" for code, taxon in lost]
    report = tmp_path / "report.txt"
    report.write_text("".join(lines))
    restore_rank_codes(report, tmp_path / "taxo.k2d")
    codes = [line.split("\t")[-3] for line in report.read_text().splitlines()]
    assert codes == ["U", "R", "R1", "D", "P", "F"]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["report.txt", "taxo.k2d"]


def test_a_report_with_whole_codes_is_not_touched(tmp_path):
    report = tmp_path / "report.txt"
    report.write_text("1.00\t1\t1\tU\t0\tunclassified\n")
    restore_rank_codes(report, tmp_path / "no database is needed")
    assert report.read_text() == "1.00\t1\t1\tU\t0\tunclassified\n"
