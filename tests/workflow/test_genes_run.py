"""From FASTQ files to copies of genes per genome, through the rules and DIAMOND itself."""

import gzip
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from pipeline import change_settings, snakemake
from planted_genes import cut_pairs, gene, genome, protein, relative

SINGLE_COPY = (240, 230, 210, 170, 150, 270)


@pytest.fixture
def planted(folder):
    """Samples with 1, 3 and no copies of a marker a genome, a damaged one and an empty one."""
    random = np.random.default_rng(7)
    marker = protein(350, random)
    texts = {"K00929": marker, "others": relative(marker, 0.45, random)}
    texts |= {f"single{i}": protein(length, random) for i, length in enumerate(SINGLE_COPY)}
    rows, lines = ["accession\tko\tname\trole\tmin_identity_percent"], []
    for ko, text in texts.items():
        role = {"K00929": "marker", "others": "decoy"}.get(ko, "single_copy")
        for number in range(3):
            rows.append(f"{ko}.{number}\t{ko}\tfamily {ko}\t{role}\t50")
            lines.append(f">{ko}.{number}\n{relative(text, 0.9, random)}\n")
    (folder / "set.tsv").write_text("\n".join(rows) + "\n")
    (folder / "set.faa").write_text("".join(lines))
    sheet = ["sample\tfastq_1\tfastq_2\tgroup\tage"]
    for sample, copies in {"one": 1, "three": 3, "none": 0, "damaged": None}.items():
        mates = [[], []]
        if copies is not None:
            wanted = [*(["K00929"] * copies), "others", *list(texts)[2:]]
            genes = [gene(relative(texts[ko], 0.9, random), random) for ko in wanted]
            mates = cut_pairs(genome(30_000, genes, random), 4000, 100, random)
        for number, reads in enumerate(mates, 1):
            records = (f"@r{i}/{number}\n{read}\n+\n{'I' * 100}\n" for i, read in enumerate(reads))
            (folder / f"reads/{sample}_{number}.fastq").write_text("".join(records))
        group = "control" if sample == "none" else "depressed"
        sheet.append(f"{sample}\treads/{sample}_1.fastq\treads/{sample}_2.fastq\t{group}\t40")
    (folder / "reads/empty.fastq.gz").write_bytes(gzip.compress(b""))
    sheet.append("empty\treads/empty.fastq.gz\t\tcontrol\t40")
    (folder / "samples.tsv").write_text("\n".join(sheet) + "\n")
    change_settings(
        folder,
        host={"remove": False},
        statistics__formula="",
        function__proteins={"fasta": "set.faa", "table": "set.tsv"},
        # Of butyrate by its kinase the set has one family of three.
        function__min_assessable=0.3,
        function__min_abundance=0.05,
    )
    return folder


def read(folder, name, **options):
    return pd.read_table(folder / f"results/function/shotgun.{name}.tsv", **options)


@pytest.mark.skipif(
    not (shutil.which("diamond") and shutil.which("fastp")), reason="DIAMOND or fastp is missing"
)
def test_copies_a_genome_are_those_planted(planted):
    done = snakemake(planted, "results/function/modules.tsv")
    assert done.returncode == 0, done.stdout
    copies = read(planted, "genes", index_col="ko")
    assert copies.columns.tolist() == ["name", "one", "three", "none", "damaged", "empty"]
    assert copies.index.tolist() == ["K00929"]
    found = copies.loc["K00929"]
    assert found["one"] == pytest.approx(1, rel=0.25)
    assert found["three"] == pytest.approx(3, rel=0.25)
    assert found["none"] == 0
    assert pd.isna(found[["damaged", "empty"]]).all()
    limits = read(planted, "detection_limits", index_col="ko").loc["K00929"]
    assert 0 < limits["none"] < 0.02
    intervals = read(planted, "gene_intervals").set_index("sample")
    for sample in ("one", "three"):
        low, copies_there, high = intervals.loc[sample, ["low", "copies", "high"]]
        assert 0 < low < copies_there < high < 2 * low
    assert intervals.loc["none", "low"] == 0
    assert limits["none"] < intervals.loc["none", "high"] < 0.1
    search = read(planted, "gene_search", index_col="sample")
    fates = ["marker", "single_copy", "decoy", "ambiguous", "refused", "without_hit"]
    account = search.drop(["damaged", "empty"])
    assert account[fates].sum(axis=1).tolist() == account["fragments"].tolist()
    assert (account["decoy"] > 0).all()
    assert search.loc["empty", "reason"] == "no fragment is left to be searched"
    assert search.loc["damaged", "status"] == "failed"
    assert "damaged_1.fastq: has zero bytes" in search.loc["damaged", "reason"]
    not_run = pd.read_table(planted / "results/function/genes_not_run.tsv")
    assert not_run["sample"].tolist() == ["damaged", "empty"]
    assert search.loc["one", "average_genome_size_bp"] == pytest.approx(30_000, rel=0.2)
    counts = read(planted, "gene_counts", index_col="ko")
    assert counts.loc["K00929", "none"] == 0
    provenance = json.loads((planted / "results/provenance/proteins.json").read_text())
    assert provenance["families"]["K00929"]["proteins"] == 3
    assert set(provenance["files"]) == {"set.faa", "set.tsv"}
    assert (planted / "benchmarks/search_genes/shotgun/one.tsv").is_file()

    modules = pd.read_table(planted / "results/function/modules.tsv")
    assert set(modules["source"]) == {"reads"}
    kinase = modules[modules["module"] == "butyrate_kinase"].set_index("sample")
    assert kinase["status"].to_dict() == {
        **dict.fromkeys(("one", "three"), "present"),
        "none": "absent",
        **dict.fromkeys(("damaged", "empty"), "not_assessable"),
    }
    assert kinase["abundance"].drop(["damaged", "empty"]).tolist() == pytest.approx(
        found[kinase.index.drop(["damaged", "empty"])].tolist(), rel=1e-4
    )
    low, high = kinase.loc["three", ["low", "high"]]
    assert 0 < low < found["three"] < high
    why = pd.read_table(planted / "results/function/not_run.tsv").set_index("sample")["reason"]
    assert "damaged_1.fastq: has zero bytes" in why["damaged"]


def planned(folder):
    done = snakemake(folder, "--dry-run")
    assert done.returncode == 0, done.stdout
    return dict(re.findall(r"^([a-z_0-9]+) +(\d+)$", done.stdout, re.MULTILINE))


def test_a_set_is_fetched_where_that_is_asked(folder):
    change_settings(folder, function__proteins={"fetch": True})
    jobs = planned(folder)
    assert {"fetch_proteins", "build_protein_database", "search_genes"} <= set(jobs)


def test_rows_of_a_set_at_fault_are_named(planted):
    table = (planted / "set.tsv").read_text()
    (planted / "set.tsv").write_text(table.replace("\tdecoy\t", "\tdecoi\t"))
    done = snakemake(planted, "--dry-run")
    assert done.returncode == 1
    assert "set.tsv, row 5, column 'role': is 'decoi'; did you mean 'decoy'?" in done.stdout
