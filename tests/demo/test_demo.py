"""What the demo's results must say, since its truth is known."""

import hashlib
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import mannwhitneyu

from moodbiome.association import build_design, run_models
from moodbiome.diversity import features
from moodbiome.tables import read_counts
from pipeline import DEMO, ROOT, snakemake

pytestmark = pytest.mark.demo

HOST, UNKNOWN = 9606, 0
FIXED_NAMES = [
    "tables/ledger.tsv",
    "tables/sample_status.tsv",
    "tables/shotgun.genus.counts.tsv",
    "tables/shotgun.genus.counts.biom",
    "tables/shotgun.species.counts.tsv",
    "tables/shotgun.species.counts.biom",
    "diversity/alpha.tsv",
    "diversity/permanova.tsv",
    "diversity/beta.bray_curtis.tsv",
    "diversity/beta.jaccard.tsv",
    "diversity/beta.aitchison.tsv",
    "signature/scores.tsv",
    "signature/contributions.tsv",
    "signature/resolution.tsv",
    "signature/evaluation.tsv",
    "signature/calibration.tsv",
    "statistics/differential.tsv",
    "report/cohort.html",
    "provenance/run.json",
]


@pytest.fixture(scope="session")
def ledger(results):
    return pd.read_table(results / "tables/ledger.tsv", index_col="sample")


@pytest.fixture(scope="session")
def metadata(results):
    return pd.read_table(results / "tables/metadata.tsv", index_col="sample")


@pytest.fixture(scope="session")
def subjects(metadata):
    """The twelve subjects; not the nearly empty sample, not the negative control."""
    return metadata.index[metadata.index.str.fullmatch(r"[CD]\d\d")]


@pytest.mark.parametrize("name", FIXED_NAMES)
def test_the_fixed_file_is_there(results, name):
    assert (results / name).stat().st_size > 0


def test_every_sample_of_the_sheet_is_in_every_table_of_samples(results, metadata):
    assert len(metadata) == 14
    for name in ("tables/ledger", "tables/sample_status", "diversity/alpha", "signature/scores"):
        table = pd.read_table(results / f"{name}.tsv")
        assert list(dict.fromkeys(table["sample"])) == list(metadata.index), name


def test_the_ledger_holds_every_fragment_that_was_made(ledger, truth):
    made = truth.groupby("sample")["fragments"].sum()
    assert ledger["raw"].to_dict() == made.loc[ledger.index].to_dict()
    assert (ledger["raw"] == ledger[["failed_qc", "host", "non_host"]].sum(axis=1)).all()
    assert (ledger["non_host"] == ledger["classified"] + ledger["unclassified"]).all()


def test_the_host_share_is_right(ledger, truth, subjects):
    host = truth[truth["taxon_id"] == HOST].set_index("sample")["fragments"]
    passed = ledger["host"] + ledger["non_host"]
    expected = host / ledger["raw"]
    error = (ledger["host"] / passed - expected).loc[subjects]
    assert error.abs().max() < 0.005
    assert expected["C04"] > 0.35


def test_counts_of_every_rank_sum_to_the_reads_that_were_classified_or_not(results, ledger):
    for path in (results / "tables").glob("*.counts.tsv"):
        counts = read_counts(path).drop(columns=["name", "lineage"])
        assert counts.sum().to_dict() == ledger["non_host"].to_dict(), path.name


@pytest.mark.parametrize(("rank", "limit"), [("genus", 0.03), ("species", 0.05)])
def test_abundances_are_near_the_truth(results, truth, subjects, rank, limit):
    """Bray-Curtis dissimilarity to the truth, as shares of what is of a taxon in the database."""
    counts = features(read_counts(results / f"tables/shotgun.{rank}.counts.tsv"))[subjects]
    known = truth[~truth["taxon_id"].isin([HOST, UNKNOWN])]
    name = known["name"] if rank == "species" else known["name"].str.split().str[0]
    names = read_counts(results / f"tables/shotgun.{rank}.counts.tsv")["name"]
    found = counts.groupby(names.loc[counts.index]).sum()
    if rank == "genus":
        found.index = found.index.str.split().str[0]
    expected = known.assign(name=name).pivot_table(
        index="name", columns="sample", values="fragments", aggfunc="sum"
    )[subjects]
    expected = expected[(expected > 0).any(axis=1)]
    assert set(found.index) <= set(expected.index)
    found = found.reindex(expected.index, fill_value=0)
    error = (found / found.sum() - expected / expected.sum()).abs().sum() / 2
    assert error.max() < limit


def test_the_planted_taxa_come_out_first(results):
    table = pd.read_table(results / "statistics/differential.tsv")
    of_group = table[(table["term"] == "group[T.depressed]")].groupby("method")
    for method in set(table["method"]) - {"prevalence"}:
        first = of_group.get_group(method).sort_values("p").head(3)
        assert set(first["name"]) == {"Eggerthella", "Faecalibacterium", "Coprococcus"}, method
        effect = first.set_index("name")["effect"]
        assert effect["Eggerthella"] > 1
        assert effect["Faecalibacterium"] < -1
        assert effect["Coprococcus"] < -1
    agreed = table[(table["term"] == "group[T.depressed]") & (table["n_agree"] >= 2)]
    assert set(agreed["name"]) == {"Eggerthella", "Faecalibacterium", "Coprococcus"}


def test_shuffled_labels_find_nothing(results, ledger, metadata, subjects):
    table = read_counts(results / "tables/shotgun.genus.counts.tsv")
    counts, classified = features(table), ledger["bacterial"] + ledger["archaeal"]
    rng = np.random.default_rng(1)
    found = []
    for _ in range(40):
        labels = rng.permutation(metadata.loc[subjects, "group"])
        shuffled = metadata.loc[subjects].assign(group=labels)
        design = build_design(shuffled, "~ group", {"group": "control"})
        models, _ = run_models(counts, classified, design, methods=["log2_proportion"])
        found.append((models["q"] <= 0.05).sum())
    # At an FDR of 5 % about 2 of 40 null runs may find something; 6 has a chance of 1 %.
    assert np.count_nonzero(found) <= 6


def test_the_score_separates_the_groups(results, metadata, subjects):
    scores = pd.read_table(results / "signature/scores.tsv", index_col="sample")["score"]
    scores = scores.loc[subjects]
    assert scores.notna().all()
    by_group = scores.groupby(metadata["group"])
    cases, controls = by_group.get_group("depressed"), by_group.get_group("control")
    auc = mannwhitneyu(cases, controls).statistic / (len(cases) * len(controls))
    assert auc >= 0.8
    rng = np.random.default_rng(2)
    shuffled = [rng.permutation(scores)[: len(cases)].mean() for _ in range(999)]
    assert np.mean(np.array(shuffled) >= cases.mean()) < 0.05


def test_samples_of_low_depth_have_a_row_and_no_score(results):
    scores = pd.read_table(results / "signature/scores.tsv", index_col="sample")
    for sample in ("LOW01", "NEG01"):
        assert scores.loc[sample, "status"] == "abstained"
        assert np.isnan(scores.loc[sample, "score"])
        assert scores.loc[sample, "reason"]


def test_the_page_opens_offline_and_names_every_sample(results, metadata):
    page = (results / "report/cohort.html").read_text()
    loads = re.findall(r'<(?:script|link|img|iframe|source)\b[^>]*(?:src|href)="([^"]+)', page)
    assert [url for url in loads if not url.startswith(("#", "data:"))] == []
    assert "@import" not in page
    for sample in metadata.index:
        assert sample in page


def test_provenance_knows_inputs_and_outputs_by_content(results):
    run = json.loads((results / "provenance/run.json").read_text())
    for name, expected in run["outputs"].items():
        content = (DEMO / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == expected, name
    assert len(run["inputs"]["reads"]) == 29
    read = (DEMO / "cohort/reads/C01_L1_R1.fastq.gz").read_bytes()
    assert run["inputs"]["reads"]["reads/C01_L1_R1.fastq.gz"] == hashlib.sha256(read).hexdigest()
    assert run["versions"]["kraken2"]


def test_no_result_names_a_path_of_this_machine(results):
    for path in results.rglob("*"):
        if path.suffix in (".tsv", ".json", ".html", ".txt"):
            assert str(ROOT) not in path.read_text(), path


def test_a_second_run_executes_no_job():
    done = snakemake(DEMO, settings=ROOT / "tests/demo/config.yaml")
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout


@pytest.fixture(scope="session")
def rerun(tmp_path_factory):
    """The same cohort in another folder, from reads to report, and with damaged samples added."""
    folder = tmp_path_factory.mktemp("rerun")
    shutil.copytree(DEMO / "cohort", folder / "cohort")
    damage(folder / "cohort")
    settings = yaml.safe_load((ROOT / "tests/demo/config.yaml").read_text())
    settings["databases"]["shotgun"] = {"path": str(DEMO / "resources/databases/shotgun")}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    return folder, snakemake(folder)


def damage(cohort):
    """Add four samples: cut gzip, unequal mates, text named .gz, one of two lanes cut."""
    reads = cohort / "reads"
    r1, r2 = ((reads / f"C01_L1_R{mate}.fastq.gz").read_bytes() for mate in (1, 2))
    other = (reads / "C02_L1_R2.fastq.gz").read_bytes()
    longer = (reads / "C04_L1_R2.fastq.gz").read_bytes()
    files = {
        "CUT_R1": r1[: len(r1) * 6 // 10],
        "CUT_R2": r2,
        "MATES_R1": r1,
        "MATES_R2": longer,
        "TEXT_R1": b"no reads at all\n",
        "TEXT_R2": r2,
        "LANE1_R1": r1 + b"",
        "LANE1_R2": r2,
        "LANE2_R1": (reads / "C02_L1_R1.fastq.gz").read_bytes(),
        "LANE2_R2": other[: len(other) // 2],
    }
    for name, content in files.items():
        (reads / f"{name}.fastq.gz").write_bytes(content)
    sheet = pd.read_table(cohort / "samples.tsv", dtype=str, keep_default_na=False)
    rows = []
    for sample, run, name in [
        *[("X_CUT", "L1", "CUT"), ("X_MATES", "L1", "MATES"), ("X_TEXT", "L1", "TEXT")],
        *[("X_LANE", "L1", "LANE1"), ("X_LANE", "L2", "LANE2")],
    ]:
        row = dict.fromkeys(sheet.columns, "") | {"sample": sample, "run": run}
        row |= {f"fastq_{mate}": f"reads/{name}_R{mate}.fastq.gz" for mate in (1, 2)}
        rows.append(row | {"group": "control", "age": "40", "sex": "female", "bmi": "25"})
    both = pd.concat([sheet, pd.DataFrame(rows)])
    both.to_csv(cohort / "samples.tsv", sep="\t", index=False)


def test_damaged_samples_fail_by_name_and_the_run_ends_with_an_error(rerun):
    folder, done = rerun
    assert done.returncode != 0
    status = pd.read_table(folder / "results/tables/sample_status.tsv", index_col="sample")
    failed = status[status["status"] == "failed"]
    assert list(failed.index) == ["X_CUT", "X_MATES", "X_TEXT", "X_LANE"]
    for sample, file in [
        *[("X_CUT", "CUT_R1"), ("X_MATES", "MATES_R"), ("X_TEXT", "TEXT_R1")],
        ("X_LANE", "LANE2_R2"),
    ]:
        assert f"reads/{file}" in failed.loc[sample, "reason"]
        assert failed.loc[sample, "reason"] in done.stdout
    page = (folder / "results/report/cohort.html").read_text()
    assert page.index("X_CUT") < page.index("Read ledger")
    assert not (folder / "results/conclusion.txt").exists()


def test_the_other_samples_lose_nothing_to_the_damaged_ones(rerun, results):
    folder, _ = rerun
    again = folder / "results"
    per_sample = [
        path.relative_to(results)
        for stage in ("reads", "profile")
        for path in (results / stage).rglob("*")
        if path.name.endswith((".check.json", ".clean.json", ".kraken2.txt", ".profile.json"))
    ]
    assert len(per_sample) >= 4 * 14
    for path in per_sample:
        assert (again / path).read_bytes() == (results / path).read_bytes(), path
    for path in results.glob("tables/*.tsv"):
        if path.name == "metadata.tsv" or "read_lengths" in path.name:
            continue
        assert (again / "tables" / path.name).read_text().startswith(path.read_text()), path.name


def test_stop_ends_at_the_first_damaged_file(rerun, tmp_path):
    folder, _ = rerun
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    settings |= {"on_failure": "stop", "samples": str(folder / "cohort/samples.tsv")}
    settings["host"] = {"fasta": str(folder / "cohort/host/host.fna")}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    target = "results/reads/shotgun/X_CUT/L1.check.json"
    done = snakemake(tmp_path, target)
    assert done.returncode != 0
    assert "sample X_CUT, run L1: reads/CUT_R1.fastq.gz" in done.stdout
    assert not (tmp_path / target).exists()
