"""The plan of a run: sound inputs plan every rule, faulty ones stop before any job."""

import importlib.util
import json
import re
import shutil

import pytest

from pipeline import ROOT, change_settings, snakemake


def test_the_minimal_run_plans_every_rule_of_the_story(folder):
    done = snakemake(folder, "--dry-run")
    assert done.returncode == 0, done.stdout
    planned = set(re.findall(r"^([a-z_0-9]+) +\d+$", done.stdout, re.MULTILINE))
    written = set()
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        written |= set(re.findall(r"^ *rule (\w+):", path.read_text(), re.MULTILINE))
    # Files and a database are given here; MultiQC, studies, trials, strains and genes are optional.
    optional = {
        "fetch_reads",
        "fetch_database",
        "build_reference",
        "build_database",
        "build_kmer_distribution",
        "run_multiqc",
        "pool_cohorts",
        "pool_trials",
        "model_longitudinal",
        "import_tables",
        "search_strains",
        "fetch_proteins",
        "build_protein_database",
        "search_genes",
        "measure_genes",
        "check_intake",
        "import_functions",
        "measure_modules",
        "test_modules",
        "train_model",
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


def memory(folder, *arguments, profile="default"):
    """Megabytes that a plan asks for, by rule."""
    with (folder / "database/hash.k2d").open("wb") as table:
        table.truncate(3000 * 2**20)
    more = ["--workflow-profile", ROOT / f"workflow/profiles/{profile}", *arguments]
    done = snakemake(folder, "--dry-run", *map(str, more))
    assert done.returncode == 0, done.stdout
    jobs = re.findall(r"rule (\w+):\n(?: +.*\n)*? +resources: .*\bmem_mb=(\d+|<TBD>)", done.stdout)
    assert jobs
    return dict(jobs)


def test_local_classifications_share_the_database_and_ask_for_their_own_memory(folder):
    assert memory(folder)["classify_reads"] == "1000"


@pytest.mark.skipif(
    not importlib.util.find_spec("snakemake_executor_plugin_slurm"), reason="no plugin for Slurm"
)
def test_each_classification_of_a_cluster_asks_for_the_whole_database(folder):
    # A folder of the cluster's nodes is not looked for where the plan is made.
    change_settings(folder, databases__stage="$NO_SUCH_VARIABLE")
    assert memory(folder, profile="slurm")["classify_reads"] == "4000"
    again = memory(folder, "--attempt", "2", profile="slurm")
    assert again["classify_reads"] == "8000"
    # What is not there yet is not known yet.
    change_settings(folder, databases__shotgun={"path": "", "name": "standard-8"})
    assert memory(folder, profile="slurm")["classify_reads"] == "<TBD>"


def test_a_host_is_fetched_by_its_name(folder):
    change_settings(folder, host={"name": "human-t2t-hla"})
    done = snakemake(folder, "--dry-run")
    assert done.returncode == 0, done.stdout
    assert re.search(r"^fetch_host +1$", done.stdout, re.MULTILINE)
    assert "build_host_index" not in done.stdout


def test_studies_and_trials_are_pooled_where_they_are_named(folder):
    sheet = (folder / "samples.tsv").read_text().splitlines()
    lines = [f"{line}\t{word}" for line, word in zip(sheet, ["study", "X", "Y"], strict=True)]
    (folder / "samples.tsv").write_text("\n".join(lines) + "\n")
    shutil.copy(ROOT / "tests/trials/made_up.tsv", folder / "trials.tsv")
    change_settings(folder, cohort__study="study", statistics__trials="trials.tsv")
    done = snakemake(folder, "--dry-run")
    assert done.returncode == 0, done.stdout
    assert {"pool_cohorts", "pool_trials"} <= set(re.findall(r"\w+", done.stdout))


def test_faults_of_trials_and_studies_stop_the_run_before_any_job(folder):
    table = (ROOT / "tests/trials/made_up.tsv").read_text().replace("sd_control", "sd_contrl")
    (folder / "trials.tsv").write_text(table)
    change_settings(folder, cohort__study="group2", statistics__trials="trials.tsv")
    done = snakemake(folder)
    assert done.returncode == 1
    assert "did you mean 'sd_control'?" in done.stdout
    assert "cohort.study: the sheet has no column 'group2'" in done.stdout
    assert not (folder / "results").exists()


def test_a_reference_made_otherwise_stops_the_run_before_any_job(folder):
    made = {
        "made_with": {"signature.offset": 0.5},
        "n_classified": [],
        "counts": {},
        "effective": {},
    }
    document = {"format": "moodbiome signature reference 1", "assays": {"shotgun": made}}
    (folder / "reference.json").write_text(json.dumps(document))
    change_settings(folder, signature={"reference_table": "reference.json"})
    done = snakemake(folder, "--dry-run")
    assert done.returncode == 1
    assert "signature.offset is 0.5 there and 0.0001 here" in done.stdout
    assert not (folder / "results").exists()


def test_all_faults_of_further_signatures_stop_the_run_before_any_job(folder):
    (folder / "mine.tsv").write_text("taxon\tdirection\tsource\n841\tup\tx\n841\tdown\t\n")
    change_settings(folder, signature={"more": ["mine.tsv"]})
    done = snakemake(folder, "--dry-run")
    assert done.returncode == 1
    assert "mine.tsv, row 3: '841' goes down, in row 2 up" in done.stdout
    assert "mine.tsv, row 3: has no source" in done.stdout


def test_a_model_is_trained_where_it_is_asked_for(folder):
    pytest.importorskip("sklearn", reason="scikit-learn is an extra: make scikit-learn")
    change_settings(folder, signature__train=True)
    done = snakemake(folder, "--dry-run")
    assert done.returncode == 0, done.stdout
    assert re.search(r"^train_model +1$", done.stdout, re.MULTILINE)


def test_a_model_without_scikit_learn_or_groups_stops_the_run_before_any_job(folder):
    # A package of that name that cannot be found, whatever is installed.
    (folder / "sitecustomize.py").write_text(
        "import importlib.metadata\n"
        "find = importlib.metadata.distribution\n"
        "def distribution(name):\n"
        "    return find('no-such-package' if name == 'scikit-learn' else name)\n"
        "importlib.metadata.distribution = distribution\n"
    )
    change_settings(folder, signature__train=True, cohort__group="")
    done = snakemake(folder, "--dry-run", environment={"PYTHONPATH": str(folder)})
    assert done.returncode == 1
    assert "signature.train: is true, and scikit-learn is not installed" in done.stdout
    assert "make scikit-learn" in done.stdout
    assert "signature.train: is true, and cohort.group is empty" in done.stdout
    assert not (folder / "results").exists()


def test_repeated_samples_are_modelled_where_subject_and_timepoint_are_named(folder):
    sheet = folder / "samples.tsv"
    header, *rows = sheet.read_text().splitlines()
    cells = ["who\tweek", "P1\t0", "P1\t4"]
    lines = [f"{line}\t{more}" for line, more in zip([header, *rows], cells, strict=True)]
    sheet.write_text("\n".join(lines) + "\n")
    change_settings(folder, cohort__subject="who", cohort__timepoint="week")
    done = snakemake(folder, "--dry-run")
    assert done.returncode == 0, done.stdout
    assert re.search(r"^model_longitudinal +1$", done.stdout, re.MULTILINE)
    assert "check_intake" not in done.stdout
    intake = {"during": [4], "organisms": ["bifidobacterium_longum"]}
    change_settings(folder, psychobiotics={"intake": intake})
    done = snakemake(folder, "--dry-run")
    assert done.returncode == 0, done.stdout
    assert re.search(r"^check_intake +1$", done.stdout, re.MULTILINE)
    change_settings(folder, psychobiotics={"intake": {"during": [5], "organisms": ["longum"]}})
    done = snakemake(folder, "--dry-run")
    assert done.returncode == 1
    assert "psychobiotics.intake.during: no sample has timepoint '5'" in done.stdout
    assert "psychobiotics.intake.organisms: 'longum' is not in the panel" in done.stdout
    change_settings(folder, psychobiotics={})
    change_settings(folder, cohort__arm="week", cohort__arm_reference="0")
    done = snakemake(folder, "--dry-run")
    assert done.returncode == 1
    assert "column 'week': is '4'; an earlier row of subject 'P1' says '0'" in done.stdout
