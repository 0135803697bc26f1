"""A run that begins at a table: planned without reads, and run to its end."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline import DATA, ROOT, change_settings, snakemake

SAMPLES = [f"S{number}" for number in range(24)]
GENERA = ["Faecalibacterium", "Coprococcus", "Eggerthella", "Hungatella", "Sellimonas", "Roseburia"]
GENERA += ["Subdoligranulum", "Dialister", "Flavonifractor", "Alistipes", "Lachnoclostridium"]


@pytest.fixture
def folder(tmp_path):
    """A cohort of 24 with a genus table of names; Eggerthella is planted in the depressed."""
    rng = np.random.default_rng(1)
    counts = rng.negative_binomial(20, 0.005, size=(len(GENERA), len(SAMPLES)))
    counts[2, 12:] *= 6
    pd.DataFrame(counts, index=GENERA, columns=SAMPLES).to_csv(
        tmp_path / "genera.tsv", sep="\t", index_label="genus"
    )
    rows = [f"{s}\t{'control' if n < 12 else 'depressed'}\n" for n, s in enumerate(SAMPLES)]
    (tmp_path / "samples.tsv").write_text("sample\tgroup\n" + "".join(rows))
    settings = {
        "samples": "samples.tsv",
        "tables": {"import": {"shotgun": {"genus": "genera.tsv"}}},
        "diversity": {"rarefactions": 10, "permutations": 99},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


def test_a_run_from_a_table_plans_no_read_host_or_database(folder):
    done = snakemake(folder, "--dry-run")
    assert done.returncode == 0, done.stdout
    planned = dict(re.findall(r"^([a-z_0-9]+) +(\d+)$", done.stdout, re.MULTILINE))
    of_reads = {"check_reads", "clean_reads", "classify_reads", "build_tables", "record_software"}
    assert not of_reads & set(planned)
    assert "import_tables" in planned
    command = [sys.executable, ROOT / "workflow/check_run.py", "--directory", folder]
    command += ["--configfile", folder / "config.yaml", "--json"]
    found = json.loads(subprocess.run(list(map(str, command)), capture_output=True).stdout)
    assert found["forecast"]["jobs"] == int(planned["total"])


def test_faults_of_a_table_stop_the_run_with_all_others(folder):
    (folder / "genera.tsv").write_text("genus\tS0\tX1\nDorea\t-1\t2\n")
    (folder / "samples.tsv").write_text("sample\tfastq_1\tgroup\nS0\tx.fq\tcontrol\nS1\t\tb\n")
    done = snakemake(folder, "--dry-run")
    assert done.returncode == 1
    for said in (
        "row 2: has reads, and the assay's table is imported",
        "the sheet lacks: X1",
        "lacks samples of the sheet: S1",
        "negative cells: row 2, sample 'S0' ('-1')",
    ):
        assert said in done.stdout


@pytest.mark.parametrize(
    ("section", "change", "said"),
    [
        ("function", {"import": {"shotgun": {"unit": "RPKM"}}}, "is 'RPKM', which is not one of"),
        ("signature", {"train": "yes please"}, "'yes please' is not of type 'boolean'"),
        ("function", 3, "config: function: is 3, which is not of type 'object'"),
        ("tables", {"import": {"shotgun": {"genus": 3}}}, "is 3, which is not of type 'string'"),
        ("tables", {"import": "genera.tsv"}, "is 'genera.tsv', which is not of type 'object'"),
    ],
)
def test_a_fault_of_the_settings_makes_none_of_a_sheet_without_reads(folder, section, change, said):
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**settings, section: change}))
    if section == "tables":
        (folder / "samples.tsv").write_text("sample\tgroup\tassay\nS0\ta\tshotgun\n")
    command = [sys.executable, ROOT / "workflow/check_run.py", "--directory", folder]
    command += ["--configfile", folder / "config.yaml", "--json"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.stderr == ""
    (fault,) = json.loads(done.stdout)["faults"]
    assert said in f"{fault['place']}: {fault['problem']}"


def test_rows_without_reads_stay_a_fault_without_a_table(folder):
    (folder / "config.yaml").write_text("samples: samples.tsv\n")
    assert "neither 'fastq_1' nor 'accession'" in snakemake(folder, "--dry-run").stdout


def test_a_run_from_a_table_ends_in_a_report(folder):
    done = snakemake(folder)
    assert done.returncode == 0, done.stdout
    results = folder / "results"
    scores = pd.read_table(results / "signature/scores.tsv")
    assert (scores["status"] == "ok").all()
    assert scores["warning"].str.contains("taxa of the imported table").all()
    assert scores["n_taxa_detectable"].eq(len(GENERA)).all()
    found = pd.read_table(results / "statistics/differential.tsv")
    found = found[found["method"] == "clr_bias_corrected"]
    assert found.sort_values("p")["name"].iloc[0] == "Eggerthella"
    run = json.loads((results / "provenance/run.json").read_text())
    assert list(run["imports"]["shotgun"]["files"]) == ["genera.tsv"]
    page = (results / "report/cohort.html").read_text()
    assert "Imported tables" in page
    assert "fastp" not in page.split('id="methods"')[1].split("</section>")[0]


def test_a_model_is_trained_and_judged_beside_the_score(folder):
    """Alistipes, of no weight in the score, is planted: the model finds it and comes first."""
    pytest.importorskip("sklearn", reason="scikit-learn is an extra: make scikit-learn")
    rng = np.random.default_rng(2)
    names = [f"S{number}" for number in range(60)]
    counts = rng.negative_binomial(4, 0.001, size=(len(GENERA), len(names)))
    counts[GENERA.index("Alistipes"), 30:] *= 6
    pd.DataFrame(counts, index=GENERA, columns=names).to_csv(
        folder / "genera.tsv", sep="\t", index_label="genus"
    )
    rows = [f"{s}\t{'control' if n < 30 else 'depressed'}\n" for n, s in enumerate(names)]
    (folder / "samples.tsv").write_text("sample\tgroup\n" + "".join(rows))
    change_settings(folder, signature__train=True)
    done = snakemake(folder, "results/signature/evaluation.tsv")
    assert done.returncode == 0, done.stdout
    results = folder / "results/signature"
    table = pd.read_table(results / "evaluation.tsv")
    assert table["model"].tolist() == ["trained", "score"]
    assert table["shown_first"].tolist() == [True, False]
    assert pd.read_table(results / "trained_features.tsv")["name"].iloc[0] == "Alistipes"
    predicted = pd.read_table(results / "trained.tsv")
    assert predicted.groupby("sample").size().eq(5).all()
    assert pd.read_table(results / "trained_not_run.tsv").empty


def test_real_cirrhosis_table_shows_what_was_published(tmp_path):
    """Qin 2014: Streptococcus and Veillonella enriched, butyrate producers depleted."""
    data = DATA / "tables_mini/qin2014"
    if not data.is_dir():
        pytest.skip(f"no real table in {data}")
    groups = pd.read_table(data / "task-healthy-cirrhosis.txt").set_axis(
        ["sample", "group"], axis=1
    )
    groups.to_csv(tmp_path / "samples.tsv", sep="\t", index=False)
    settings = {
        "samples": "samples.tsv",
        "tables": {"import": {"shotgun": {"species": str(data / "taxatable.txt")}}},
        "cohort": {"reference": "Healthy"},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    done = snakemake(tmp_path, "results/statistics/differential.tsv")
    assert done.returncode == 0, done.stdout
    found = pd.read_table(tmp_path / "results/statistics/differential.tsv")
    found = found[found["method"] == "log2_proportion"].set_index("name")
    assert (found.loc[["Streptococcus", "Veillonella"], "low"] > 1).all()
    assert (found.loc[["Coprococcus", "Roseburia", "Ruminococcus", "Blautia"], "high"] < 0).all()
    assert (
        found.loc[["Streptococcus", "Veillonella", "Coprococcus", "Roseburia"], "q"] < 0.01
    ).all()
