"""Every malformed input of tests/robustness.py is found, in its place, with the way to mend it."""

import json
import re
import subprocess
import sys
from collections import Counter

import pytest

import robustness
from pipeline import ROOT, snakemake
from robustness import BEFORE, CASES, CHECK, GAPS, GROUPS, R1, R2, STEP, WITHOUT_MEND, put

GOOD = ("reads/good_R1.fastq.gz", "reads/good_R2.fastq.gz")


def having(found):
    """The cases that are found at this time; one whose message lacks its mend is known to fail."""
    mend = pytest.mark.xfail(strict=True, reason="the message does not say how to mend it")
    return pytest.mark.parametrize(
        "case",
        [
            pytest.param(case, id=case.id, marks=[mend] if case.id in WITHOUT_MEND else [])
            for case in CASES
            if case.found == found
        ],
    )


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_said(case, message, tmp_path):
    assert case.place in message
    assert case.mend in message
    assert str(tmp_path) not in message


def test_the_matrix_is_large_and_no_case_stands_twice():
    assert len({case.id for case in CASES}) == len(CASES) >= 80
    groups = Counter(case.group for case in CASES)
    assert set(groups) == set(GROUPS)
    assert min(groups.values()) >= 10
    assert all(case.broken and case.place and case.mend for case in CASES)
    assert {case.id for case in CASES} >= WITHOUT_MEND


def test_what_the_cases_break_is_sound_before(tmp_path):
    faults, warnings = robustness.check_folder(robustness.run_folder(tmp_path / "run"))
    assert (faults, warnings) == ([], [])
    for name, content in zip(GOOD, (R1, R2), strict=True):
        put(name, content)(tmp_path)
    assert robustness.check_reads(tmp_path, GOOD).status == "ok"
    assert robustness.parse_report(robustness.REPORT, "S1", fragments=10).classified == 8
    put(robustness.MERS, f"{robustness.HEADER}\n{robustness.WINDOWS}")(tmp_path)
    assert len(robustness.read_distribution(tmp_path / robustness.MERS).genome) == 2
    put("taxo.k2d", robustness.TAXO)(tmp_path)
    assert list(robustness.database_taxa(tmp_path / "taxo.k2d")) == []
    put("nodes.dmp", robustness.NODES)(tmp_path)
    assert robustness.read_parents(tmp_path / "nodes.dmp") == {1: 1, 853: 1}


@having(BEFORE)
def test_a_fault_of_the_inputs_is_said_once_before_any_job(case, tmp_path):
    folder = robustness.run_folder(tmp_path / "run")
    for change in case.changes:
        change(folder)
    before = files(folder)
    faults, _ = robustness.check_folder(folder)
    assert len(faults) == case.faults, [str(fault) for fault in faults]
    assert_said(case, str(faults[0]), tmp_path)
    assert files(folder) == before


@having(CHECK)
def test_damaged_reads_fail_their_sample_and_no_other(case, tmp_path):
    for name, content in zip(GOOD, (R1, R2), strict=True):
        put(name, content)(tmp_path)
    alone = json.dumps(robustness.check_reads(tmp_path, GOOD).as_dict())
    for change in case.changes:
        change(tmp_path)
    verdict = robustness.check_reads(tmp_path, case.files)
    assert verdict.status == ("empty" if case.name == "no reads" else "failed")
    assert_said(case, verdict.reason, tmp_path)
    assert "\n" not in verdict.reason
    assert json.dumps(robustness.check_reads(tmp_path, GOOD).as_dict()) == alone


@having(STEP)
def test_a_step_refuses_its_input(case, tmp_path):
    assert_said(case, robustness.raised(case, tmp_path), tmp_path)


@pytest.mark.parametrize("gap", GAPS, ids=[gap.broken for gap in GAPS])
def test_what_is_said_not_to_be_found_is_not_found(gap, tmp_path):
    assert gap.is_taken(tmp_path)


def case_of(name):
    return next(case for case in CASES if case.id == name)


@pytest.fixture
def broken(request, folder):
    case = case_of(request.param)
    for change in case.changes:
        change(folder)
    return case, folder


# Each of another kind: a crash once, a sheet that cannot be read, and one of each other group.
@pytest.mark.parametrize(
    "broken",
    [
        "metadata: word for missing",
        "sheet: UTF-16",
        "sheet: open quote",
        "settings: unknown",
        "settings: no section",
        "database: file missing",
    ],
    indirect=True,
)
def test_the_check_by_hand_says_the_same_and_ends_with_1(broken, tmp_path):
    case, folder = broken
    command = [sys.executable, ROOT / "workflow/check_run.py", "--directory", folder]
    done = subprocess.run(
        [*command, "--configfile", folder / "config.yaml"], capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("1 fault in the input; nothing was run.")
    assert_said(case, done.stdout, tmp_path)
    assert done.stderr == ""


@pytest.mark.parametrize("broken", ["metadata: word for missing", "sheet: UTF-16"], indirect=True)
def test_the_workflow_stops_before_any_job(broken):
    case, folder = broken
    done = snakemake(folder)
    assert done.returncode == 1
    assert "1 fault in the input; nothing was run." in done.stdout
    assert case.place in done.stdout
    assert case.mend in done.stdout
    for name in ("results", "logs", "resources", "benchmarks"):
        assert not (folder / name).exists()


def test_faults_of_four_groups_are_said_together(folder):
    names = ["sheet: no such file", "settings: no such reference", "metadata: code for missing"]
    cases = [case_of(name) for name in [*names, "database: file missing"]]
    for change in [change for case in cases for change in case.changes]:
        change(folder)
    faults = [str(fault) for fault in robustness.check_folder(folder)[0]]
    assert len(faults) == 4
    for case in cases:
        assert sum(case.place in fault and case.mend in fault for fault in faults) == 1


def test_the_page_says_what_the_code_says():
    page = (ROOT / "docs/robustness.md").read_text()
    assert page == robustness.document(), "run: python tests/robustness.py > docs/robustness.md"
    rows = re.findall(r"(?m)^\| .*\|$", page)
    assert len(rows) == len(CASES) + len(GAPS) + 2 * (len(GROUPS) + 1)
