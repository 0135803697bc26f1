"""Gut-brain modules from a table of gene families: planned, measured, tested and told."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline import ROOT, snakemake
from test_outputs import SECTIONS, contents, matches

SAMPLES = [f"S{number}" for number in range(24)]
GENERA = ["Faecalibacterium", "Coprococcus", "Eggerthella", "Hungatella", "Sellimonas", "Roseburia"]
GENERA += ["Subdoligranulum", "Dialister", "Flavonifractor", "Alistipes", "Lachnoclostridium"]
SINGLE = pd.read_table(ROOT / "config/function/single_copy.tsv")["ko"].tolist()
KINASE = ["K00248", "K00634", "K00929"]


@pytest.fixture
def folder(tmp_path):
    """24 people with genera and a HUMAnN table; half the copies of butyrate kinase in the ill."""
    random = np.random.default_rng(1)
    counts = random.negative_binomial(20, 0.005, size=(len(GENERA), len(SAMPLES)))
    pd.DataFrame(counts, index=GENERA, columns=SAMPLES).to_csv(
        tmp_path / "genera.tsv", sep="\t", index_label="genus"
    )
    genes = [*SINGLE, *KINASE, "K01580"]
    copies = pd.DataFrame(1.0, genes, SAMPLES)
    copies.loc["K00248"] = 1.5
    copies.loc["K00634"] = 0.6
    copies.loc["K00929", SAMPLES[:12]] = 0.4
    copies.loc["K00929", SAMPLES[12:]] = 0.2
    copies.loc["K01580"] = 0.1
    copies.loc["K01580", "S3"] = 0
    noise = random.lognormal(0, 0.05, size=copies.shape)
    depth = random.uniform(50, 5000, size=len(SAMPLES))
    table = (copies * noise * depth).drop(columns="S23").add_suffix("_Abundance-RPKs")
    table.loc["UNMAPPED"] = 1e5
    table.loc["K01580|g__Alistipes.s__Alistipes_putredinis"] = 1.0
    table.to_csv(tmp_path / "ko.tsv", sep="\t", index_label="# Gene Family")
    scale = [random.integers(0, 8) + 6 * (number >= 12) for number in range(len(SAMPLES))]
    rows = [
        f"{sample}\t{'control' if number < 12 else 'depressed'}\t{scale[number]}\n"
        for number, sample in enumerate(SAMPLES)
    ]
    (tmp_path / "samples.tsv").write_text("sample\tgroup\tphq9_total\n" + "".join(rows))
    settings = {
        "samples": "samples.tsv",
        "tables": {"import": {"shotgun": {"genus": "genera.tsv"}}},
        "function": {"import": {"shotgun": {"table": "ko.tsv"}}},
        "diversity": {"rarefactions": 10, "permutations": 99},
        "statistics": {"power": {"simulations": 0}},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


def test_modules_are_planned_with_a_table_of_families_only(folder):
    done = snakemake(folder, "--dry-run")
    assert done.returncode == 0, done.stdout
    planned = dict(re.findall(r"^([a-z_0-9]+) +(\d+)$", done.stdout, re.MULTILINE))
    assert {"import_functions", "measure_modules", "test_modules"} <= set(planned)
    command = [sys.executable, ROOT / "workflow/check_run.py", "--directory", folder]
    command += ["--configfile", folder / "config.yaml", "--json"]
    found = json.loads(subprocess.run(list(map(str, command)), capture_output=True).stdout)
    assert found["forecast"]["jobs"] == int(planned["total"])
    assert [warning["problem"] for warning in found["warnings"]] == ["lacks 1 of 24 samples: S23"]


def test_faults_of_families_and_modules_stop_the_run_with_all_others(folder):
    (folder / "ko.tsv").write_text("KO\tS0\tX1\nK00929\t-1\t2\n")
    (folder / "mine.txt").write_text("X1\tname\n///\n")
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    settings["function"] |= {"modules": ["mine.txt", "none.txt"], "min_coverage": 2}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    done = snakemake(folder, "--dry-run")
    assert "function.min_coverage: is 2" in done.stdout
    del settings["function"]["min_coverage"]
    settings["function"]["import"]["amplicon"] = {"table": "ko.tsv"}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    done = snakemake(folder, "--dry-run")
    assert done.returncode == 1
    for said in (
        "ko.tsv: has samples or columns that the sheet lacks: X1",
        "ko.tsv: has negative cells: K00929, sample 'S0' ('-1')",
        "mine.txt, row 2: module 'X1' has no step",
        "function.modules: no file 'none.txt'",
        "function.import.amplicon: no sample has it",
    ):
        assert said in done.stdout
    assert not (folder / "results").exists()


def test_a_table_of_another_unit_than_copies_is_found_by_the_check(folder):
    text = (folder / "ko.tsv").read_text()
    (folder / "ko.tsv").write_text(text.replace("_Abundance-RPKs", ""))
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    settings["function"]["import"]["shotgun"]["unit"] = "copies_per_genome"
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    done = snakemake(folder, "--dry-run")
    assert done.returncode == 1
    assert "ko.tsv: is not in copies per genome: the median of its 40 single-copy" in done.stdout


def test_a_run_with_families_tells_of_modules(folder):
    done = snakemake(folder)
    assert done.returncode == 0, done.stdout
    results = folder / "results"
    modules = pd.read_table(results / "function/modules.tsv")
    assert modules["sample"].drop_duplicates().tolist() == SAMPLES
    kinase = modules[modules["module"] == "butyrate_kinase"].set_index("sample")
    assert (kinase.loc["S0":"S22", "status"] == "present").all()
    # Depth is gone, the noise is not: the required step holds the median down.
    assert kinase.loc["S0":"S11", "abundance"].between(0.3, 0.5).all()
    assert kinase.loc["S12":"S22", "abundance"].between(0.15, 0.25).all()
    assert kinase.loc["S23", "reason"] == "the function table does not have it"
    assert set(modules["unit"]) == {"copies per genome"}
    assert set(modules["source"]) == {"imported table"}
    gad = modules[modules["module"] == "gaba_glutamate_decarboxylase"].set_index("sample")
    assert gad.loc["S3", "status"] == "absent"
    account = pd.read_table(results / "function/shotgun.import.tsv", index_col="sample")
    assert account.loc["S0", "unmapped"] == 1e5
    assert account.loc["S0", "n_single_copy"] == 40

    found = pd.read_table(results / "statistics/modules.tsv").set_index("module")
    row = found.loc["butyrate_kinase"]
    assert -1.2 < row["low"] < row["effect"] < row["high"] < -0.8
    assert row["q"] < 1e-6
    assert row["n"] == 23
    assert found.loc["gaba_glutamate_decarboxylase", "q"] > 0.05
    measures = pd.read_table(results / "statistics/measures.tsv")
    measures = measures[measures["feature_kind"] == "function"]
    assert set(measures["family"]) == {"symptoms x function"}
    assert measures.set_index("feature").loc["butyrate_kinase", "effect"] < 0
    notes = pd.read_table(results / "statistics/modules_not_run.tsv")
    assert notes["reason"].str.contains("in fewer than 10% of the samples").any()
    run = json.loads((results / "provenance/run.json").read_text())
    assert run["functions"]["shotgun"]["format"] == "HUMAnN table"
    assert run["functions"]["shotgun"]["stratified_rows"] == 1
    page = (results / "report/cohort.html").read_text()
    assert "Gut-brain potential" in page
    assert "Butyrate by butyrate kinase" in page

    # The demo has no gene families: that docs/outputs.md has their columns is held here.
    written = [*(results / "function").glob("*.tsv"), *(results / "statistics").glob("modules*")]
    assert len(written) == 8
    for path in written:
        name = path.relative_to(results).as_posix()
        (documented,) = [
            section.names
            for section in SECTIONS
            if any(matches(name, file) for file in section.files)
        ]
        for column in contents(path):
            known = any(matches(column, row, {"<sample>": r"S\d+"}) for row in documented)
            assert known, f"{name}: {column!r} is not in docs/outputs.md"
