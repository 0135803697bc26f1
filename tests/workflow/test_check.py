"""The check: all faults, or a forecast of the run, and nothing started."""

import json
import re
import subprocess
import sys

import pytest

from pipeline import ROOT, change_settings, snakemake


def check(folder, *arguments):
    command = [sys.executable, ROOT / "workflow/check_run.py", "--directory", folder]
    command += ["--configfile", folder / "config.yaml", *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.stderr == ""
    return done


@pytest.mark.parametrize(
    "given", ["database and files", "genomes", "accession", "strains", "trained model", "genes"]
)
def test_the_forecast_counts_the_jobs_that_the_plan_has(folder, given):
    if given == "genomes":
        (folder / "genomes").mkdir()
        (folder / "genomes/E_coli_562.fna").write_text(">c\nACGT\n")
        for name in ("nodes.dmp", "names.dmp"):
            (folder / name).write_text("1\n")
        lengths = {"genomes": "genomes", "taxonomy": ".", "read_lengths_bp": [100, 150]}
        change_settings(folder, databases={"shotgun": lengths})
    elif given == "accession":
        sheet = (folder / "samples.tsv").read_text().splitlines()
        rows = [f"{line}\t{cell}" for line, cell in zip(sheet, ["accession", "", ""], strict=True)]
        rows.append("S3\tL1\t\t\tcontrol\t50\tSRR1234567")
        (folder / "samples.tsv").write_text("\n".join(rows) + "\n")
    elif given == "trained model":
        pytest.importorskip("sklearn", reason="scikit-learn is an extra: make scikit-learn")
        change_settings(folder, signature__train=True)
    elif given == "strains":
        (folder / "x.fna").write_text(">x\nACGT\n")
        (folder / "y.fna").write_text(">y\nACGA\n")
        row = "X\tbifidobacterium_breve\tx.fna\ty.fna"
        (folder / "strains.tsv").write_text(f"strain\tspecies\tgenome\tdecoys\n{row}\n")
        change_settings(folder, psychobiotics={"strains": "strains.tsv"})
    elif given == "genes":
        change_settings(folder, function={"proteins": {"fetch": True}})
    expected = json.loads(check(folder, "--json").stdout)
    assert expected["faults"] == []
    planned = snakemake(folder, "--dry-run").stdout
    total = int(re.search(r"^total +(\d+)$", planned, re.MULTILINE)[1])
    assert expected["forecast"]["jobs"] == total


def test_the_forecast_is_said_to_people_and_nothing_is_started(folder):
    before = sorted(folder.rglob("*"))
    done = check(folder, "--cores", "4")
    assert done.returncode == 0
    for word in ("samples", "input", "jobs", "time", "memory", "disk", "on 4 cores"):
        assert word in done.stdout
    assert sorted(folder.rglob("*")) == before


def test_faults_are_listed_with_place_problem_and_mend(folder):
    change_settings(folder, host={"fasta": "none.fna"}, sed=1)
    (folder / "samples.tsv").write_text("sample\tfastq_1\nS 1\treads/S2.fastq\n")
    done = check(folder, "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["forecast"] is None
    places = [fault["place"] for fault in found["faults"]]
    assert places == ["config: sed", "samples.tsv, row 2, column 'sample'"]
    assert all(fault["problem"] and fault["mend"] for fault in found["faults"])


def test_another_sheet_can_be_checked(folder, tmp_path):
    (tmp_path / "other.tsv").write_text("sample\tfastq_1\nS1\tnowhere.fq.gz\n")
    done = check(folder, "--sheet", tmp_path / "other.tsv")
    assert done.returncode == 1
    assert "other.tsv, row 2, column 'fastq_1': no file 'nowhere.fq.gz'" in done.stdout


def test_a_scale_beyond_its_range_is_a_fault_and_an_odd_unit_a_warning(folder):
    sheet = "sample\tfastq_1\tgroup\tage\tphq9_total\tcrp_mg_dl\n"
    sheet += "S1\treads/S1_R1.fastq\tcontrol\t40\t31\t0.1\n"
    sheet += "S2\treads/S2.fastq\tdepressed\t41\t9\t0.2\n"
    (folder / "samples.tsv").write_text(sheet)
    found = json.loads(check(folder, "--json").stdout)
    assert [fault["place"] for fault in found["faults"]] == [
        "samples.tsv, row 2, column 'phq9_total'"
    ]
    assert "crp_mg_l" in found["warnings"][0]["mend"]


def test_memory_counts_the_index_for_each_job_and_the_database_once(folder):
    with (folder / "database/hash.k2d").open("wb") as table:
        table.truncate(3_000_000_000)
    for number in (1, 2, 3, 4, "rev.1", "rev.2"):
        with (folder / f"index.{number}.bt2").open("wb") as part:
            part.truncate(500_000_000)
    change_settings(folder, host={"index": "index"})
    for cores, jobs in ((2, 1), (8, 2), (64, 2)):
        found = json.loads(check(folder, "--json", "--cores", str(cores)).stdout)
        # Two runs in the sheet, four cores a job.
        assert found["forecast"]["memory_bytes"] == jobs * (10**9 + 3 * 10**9) + 3 * 10**9


def test_memory_of_what_is_not_fetched_yet_comes_from_the_manifest(folder):
    change_settings(folder, host={"name": "human-t2t-hla"}, databases__shotgun={"name": "standard"})
    found = json.loads(check(folder, "--json", "--cores", "2").stdout)
    assert found["faults"] == []
    assert found["forecast"]["memory_bytes"] == 10**9 + 4_000_000_000 + 110_710_122_820
