"""The plan of a run: sound inputs plan every rule, faulty ones stop before any job."""

import re

import pytest

from pipeline import ROOT, change_settings, snakemake


def test_the_minimal_run_plans_every_rule_of_the_story(folder):
    done = snakemake(folder, "--dry-run")
    assert done.returncode == 0, done.stdout
    planned = set(re.findall(r"^([a-z_0-9]+) +\d+$", done.stdout, re.MULTILINE))
    written = set()
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        written |= set(re.findall(r"^ *rule (\w+):", path.read_text(), re.MULTILINE))
    # Files and a database are given here, and MultiQC is optional.
    optional = {
        "fetch_reads",
        "fetch_database",
        "build_reference",
        "build_database",
        "build_kmer_distribution",
        "run_multiqc",
    }
    assert written - planned - optional == set()


def test_a_run_with_nothing_to_compare_is_planned(folder):
    change_settings(folder, cohort__group="", statistics__formula="")
    done = snakemake(folder, "--dry-run")
    assert done.returncode == 0, done.stdout


def test_reads_without_host_need_no_index(folder):
    change_settings(folder, host={"remove": False})
    done = snakemake(folder, "--dry-run")
    assert done.returncode == 0, done.stdout
    assert "build_host_index" not in done.stdout


def test_all_faults_of_settings_are_said_at_once(folder):
    change_settings(folder, sed=1, reads__min_lenght_bp=50, profile__confidence="high")
    done = snakemake(folder)
    assert done.returncode == 1
    assert "3 faults in the input; nothing was run." in done.stdout
    for said in ("sed: is not a setting", "did you mean 'min_length_bp'?", "is 'high', which is"):
        assert said in done.stdout


def test_all_faults_of_sheet_database_and_host_are_said_at_once(folder):
    (folder / "reads/S2.fastq").unlink()
    (folder / "database/hash.k2d").unlink()
    (folder / "host.fna").unlink()
    change_settings(folder, statistics__formula="~ group + agee")
    done = snakemake(folder)
    assert done.returncode == 1
    assert "4 faults in the input" in done.stdout
    for said in (
        "samples.tsv, row 3, column 'fastq_1': no file 'reads/S2.fastq'",
        "'database' is no Kraken2 database: it lacks hash.k2d",
        "host.fasta: no file 'host.fna'",
        "statistics.formula: the sheet has no column 'agee'; did you mean 'age'?",
    ):
        assert said in done.stdout
    assert not (folder / "results").exists()
    assert not (folder / "logs").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "samples.tsv: is empty"), ("sample\tfastq_1\n", "holds a header and no sample")],
)
def test_a_sheet_without_samples_stops_the_run(folder, text, said):
    (folder / "samples.tsv").write_text(text)
    done = snakemake(folder)
    assert done.returncode == 1
    assert said in done.stdout
    assert not (folder / "results").exists()
