"""Tables of gene families in the forms in use, and their normalisation."""

import gzip

import biom
import numpy as np
import pandas as pd
import pytest

from moodbiome.function_tables import (
    INFERRED,
    MEASURED,
    FunctionTable,
    as_copies,
    read_function_table,
    read_single_copy,
    source_of,
    table_warnings,
)
from pipeline import ROOT

SAMPLES = ["S1", "S2"]
SINGLE = ["K02945", "K02967"]


def read(tmp_path, text, unit="rpk", name="ko.tsv"):
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return read_function_table(path, SAMPLES, unit)


def test_a_humann_table_is_read_without_its_strata(tmp_path):
    text = (
        "# Gene Family\tS1_Abundance-RPKs\tS2_Abundance-RPKs\n"
        "UNMAPPED\t100\t50\nUNGROUPED\t20\t30\nUNGROUPED|g__Dorea.s__Dorea_longicatena\t20\t30\n"
        "K00929: butyrate kinase [EC:2.7.2.7]\t3\t0\nK00929|g__Dorea.s__Dorea_longicatena\t3\t0\n"
        "K00248\t5\t6.5\n"
    )
    table, faults = read(tmp_path, text)
    assert faults == []
    assert table.format == "HUMAnN table"
    assert table.amounts.to_dict("index") == {
        "K00248": {"S1": 5, "S2": 6.5},
        "K00929": {"S1": 3, "S2": 0},
    }
    assert table.unmapped.to_dict() == {"S1": 100, "S2": 50}
    assert table.ungrouped.to_dict() == {"S1": 20, "S2": 30}
    assert (table.n_stratified, table.n_other) == (2, 0)
    _, faults = read(tmp_path, text, unit="cpm")
    assert "has columns in rpk, and the settings say cpm" in str(faults[0])


def test_a_picrust2_table_is_inferred_from_taxa(tmp_path):
    text = "function\tS1\tS2\nko:K00929\t3\t0\nK00248\t1\t2\n"
    table, faults = read(tmp_path, text, name="pred_metagenome_unstrat.tsv.gz")
    assert faults == []
    assert table.format == "PICRUSt2 table"
    assert source_of(table, "shotgun") == INFERRED
    assert list(table.amounts.index) == ["K00248", "K00929"]


def test_any_table_of_ko_and_biom_are_read(tmp_path):
    text = '"KO",description,S2,S1\nK00929,"butyrate, kinase",,2\nCOG0001,x,1,1\n'
    table, faults = read(tmp_path, text, name="ko.csv")
    assert faults == []
    assert (table.format, table.n_other) == ("table of KO", 1)
    assert table.amounts.loc["K00929", "S1"] == 2
    assert np.isnan(table.amounts.loc["K00929", "S2"])
    assert source_of(table, "shotgun") == MEASURED
    assert source_of(table, "amplicon") == INFERRED
    path = tmp_path / "ko.biom"
    content = biom.Table(np.array([[1.0, 0], [2, 3]]), ["K00929", "K00248"], SAMPLES)
    path.write_text(content.to_json("test"))
    table, faults = read_function_table(path, SAMPLES, "rpk")
    assert faults == []
    assert table.format == "table of KO, BIOM 1.0"
    assert table.amounts.loc["K00248"].tolist() == [2, 3]


def test_a_sample_of_the_sheet_may_lack_and_none_may_be_more(tmp_path):
    table, faults = read(tmp_path, "KO\tS1\nK00929\t1\n")
    assert faults == []
    assert list(table.amounts.columns) == ["S1"]
    _, faults = read(tmp_path, "KO\tS1\ts2\nK00929\t1\t2\n")
    assert "the sheet lacks: s2" in str(faults[0])
    _, faults = read(tmp_path, "KO\tX1\nK00929\t1\n")
    assert "has no sample of the sheet; its columns are X1" in str(faults[0])


def test_an_extra_column_is_held_against_samples_that_lack(tmp_path):
    def said(header):
        (tmp_path / "ko.tsv").write_text(f"KO\t{header}\nK00929\t1\t2\n")
        samples = ["sample_1", "sample_22"]
        return str(read_function_table(tmp_path / "ko.tsv", samples, "rpk")[1][0])

    assert "did you mean 'sample_22'? Name them" in said("sample_1\tsample_11")
    assert "did you mean 'sample_1'? Name them" in said("sample_22\tsample_11")


def test_what_a_sound_table_may_have_wrong_is_a_warning(tmp_path):
    text = "KO\tS1\nCOG1\t1\nK00929\t1.5\nK00929 x\t1\nK929\t1\nKO929\t1\nUNMAPPED\t9\nKAT1\t0\n"
    table, faults = read(tmp_path, text)
    assert faults == []
    assert list(map(str, table_warnings(table, SAMPLES, "rpk", "shotgun", "ko.tsv"))) == [
        "ko.tsv: lacks 1 of 2 samples: S2; they are not measured; add them if they ought to be",
        (
            "ko.tsv: has 5 rows that are no KO: K00929 x, K929, KO929, COG1, KAT1; write a KO as K "
            "and five digits; whatever else is left out"
        ),
    ]


@pytest.mark.parametrize(
    ("text", "unit", "assay", "is_doubted"),
    [
        ("KO\tS1\tS2\nK00929\t3\t0\nK00248\t\t7\n", "rpk", "shotgun", True),
        ("KO\tS1\tS2\nK00929\t3\t0\nK00248\t\t7\n", "rpk", "amplicon", False),
        ("KO\tS1\tS2\nK00929\t3\t0\nK00248\t\t7\n", "cpm", "shotgun", False),
        ("KO\tS1\tS2\nK00929\t3\t0.5\n", "rpk", "shotgun", False),
        ("KO\tS1\tS2\nK00929\t0\t0\n", "rpk", "shotgun", False),
        ("function\tS1\tS2\nK00929\t3\t7\n", "rpk", "shotgun", False),
    ],
)
def test_whole_numbers_as_rpk_may_be_counts_of_reads(tmp_path, text, unit, assay, is_doubted):
    table, _ = read(tmp_path, text, unit)
    said = " ".join(map(str, table_warnings(table, SAMPLES, unit, assay, "ko.tsv")))
    doubt = "whole numbers, and the settings say rpk; are these counts of reads? divide by gene"
    assert (doubt in said) == is_doubted


def test_all_faults_of_a_table_are_said_at_once(tmp_path):
    text = "KO\tS1\tS9\nK00929\t-1\t2\nK00929\t1\tmany\nko:K00001,ko:K00002\t1\t1\nK00248\tinf\t1\n"
    table, faults = read(tmp_path, text)
    assert table is None
    said = "\n".join(map(str, faults))
    for text in (
        "the sheet lacks: S9",
        "more than one row of K00929",
        "rows of several KO: ko:K00001,ko:K00002",
        "cells that are no number: K00929, sample 'S9' ('many'), K00248, sample 'S1' ('inf')",
        "negative cells: K00929, sample 'S1' ('-1')",
    ):
        assert text in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("KO\tS1\n", "holds a header and no gene family"),
        ("KO\tS1\tS2\nK00929\t1\n", "row 2: has 2 cells under a header of 3"),
        ("KO\tS1\tS1\nK00929\t1\t1\n", "names 'S1' more than once"),
        ("id\tS1\nUniRef90_A\t1\n", "has no row of a KO; its rows are UniRef90_A"),
        ("id\tS1\nK00929|g__Dorea\t1\n", "has no row of a KO; its rows are K00929|g__Dorea"),
    ],
)
def test_tables_that_are_none_say_so(tmp_path, text, said):
    table, faults = read(tmp_path, text)
    assert table is None
    assert said in str(faults[0])


def test_files_that_cannot_be_read_are_faults(tmp_path):
    _, faults = read_function_table(tmp_path / "none.tsv", SAMPLES, "rpk")
    assert "is missing" in str(faults[0])
    path = tmp_path / "cut.tsv.gz"
    path.write_bytes(gzip.compress(b"KO\tS1\nK00929\t1\n" * 50)[:40])
    _, faults = read_function_table(path, SAMPLES, "rpk")
    assert "cut.tsv.gz: cannot be read" in str(faults[0])
    path.write_bytes(b"\xff\xfe\x00")
    _, faults = read_function_table(path, SAMPLES, "rpk")
    assert "is neither text (UTF-8) nor BIOM" in str(faults[0])


def test_copies_per_genome_by_hand(tmp_path):
    text = "KO\tS1\tS2\nK00929\t3\t0\nK02945\t4\t10\nK02967\t8\t0\nK02982\t6\t30\n"
    table, _ = read(tmp_path, text)
    single = [*SINGLE, "K02982"]
    genes, account = as_copies(
        table, "rpk", single, ["K00248", "K00929"], ["S1", "S2", "S3"], min_single_copy=2
    )
    # S1: median of 4, 8 and 6; S2: of 10, 0 and 30.
    assert account["single_copy_median"].tolist()[:2] == [6, 10]
    assert account["n_single_copy"].tolist() == [3, 2, 0]
    assert genes["S1"].tolist() == [0, 0.5]
    assert genes["S2"].tolist() == [0, 0]
    assert genes["S3"].isna().all()
    assert account["status"].tolist() == ["ok", "ok", "not_measured"]
    assert account["reason"].iloc[2] == "the function table does not have it"
    assert set(account["unit"]) == {"copies per genome"}
    genes, _ = as_copies(
        table, "rpk", single, ["K00248"], ["S1"], min_single_copy=2, absent_is_zero=False
    )
    assert genes["S1"].isna().all()


def test_a_sample_with_too_few_single_copy_families_is_not_measured(tmp_path):
    table, _ = read(tmp_path, "KO\tS1\tS2\nK02945\t4\t0\nK02967\t8\t2\nK00929\t1\t1\n")
    genes, account = as_copies(table, "cpm", SINGLE, ["K00929"], SAMPLES, min_single_copy=2)
    assert genes["S2"].isna().all()
    said = "1 of 2 single-copy families are above 0: their median is no measure of the genomes"
    assert account["reason"].tolist() == ["", said]
    assert account["status"].tolist() == ["ok", "not_measured"]
    table, _ = read(tmp_path, "KO\tS1\tS2\nK02945\t4\t\nK02967\t8\t2\nK00929\t1\t1\n")
    _, account = as_copies(table, "cpm", SINGLE, ["K00929"], SAMPLES, min_single_copy=2)
    assert account["reason"].tolist() == ["", "1 single-copy families, 2 needed"]


@pytest.mark.parametrize("depth", [0.3, 1, 2, 20])
def test_a_shallow_sample_is_measured_without_bias_or_not_at_all(depth):
    """40 single-copy families and a marker, all of one copy: none may seem rarer than the others.

    The median of the families above 0 gave 0.26 copies at a depth of 0.3.
    """
    random = np.random.default_rng(5)
    single = read_single_copy(ROOT / "config/function/single_copy.tsv")
    samples = [f"S{number}" for number in range(2000)]
    counts = random.poisson(depth, size=(41, len(samples))).astype(float)
    amounts = pd.DataFrame(counts, [*single, "K00929"], samples)
    nothing = pd.Series(np.nan, samples)
    table = FunctionTable("", amounts, nothing, nothing, 0, 0)
    genes, account = as_copies(table, "rpk", single, ["K00929"], samples)
    is_ok = (account["status"] == "ok").to_numpy()
    assert (2 * (amounts.loc[single] > 0).sum() > 40).to_numpy().tolist() == is_ok.tolist()
    if depth < 0.5:
        assert is_ok.mean() < 0.01
    else:
        assert genes.loc["K00929"].mean() == pytest.approx(1, abs=0.1)


def test_copies_per_genome_are_held_against_the_single_copy_families(tmp_path):
    rows = "K02945\t{0}\t1.1\nK02967\t{0}\t0.9\nK00929\t2\t3\n"
    path = tmp_path / "ko.tsv"
    path.write_text("KO\tS1\tS2\n" + rows.format(0.31))
    _, faults = read_function_table(path, SAMPLES, "copies_per_genome", SINGLE, 2)
    assert faults == []
    path.write_text("KO\tS1\tS2\n" + rows.format(250))
    table, faults = read_function_table(path, SAMPLES, "copies_per_genome", SINGLE, 2)
    assert table is None
    said = str(faults[0])
    assert "ko.tsv: is not in copies per genome: the median of its 2 single-copy families" in said
    assert "in S1 (250); correct the unit" in said
    # A table of chosen families cannot be held against them, and another unit need not.
    assert read_function_table(path, SAMPLES, "copies_per_genome", SINGLE, 3)[1] == []
    assert read_function_table(path, SAMPLES, "rpk", SINGLE, 2)[1] == []


def test_columns_of_one_sample_are_a_fault_that_names_both(tmp_path):
    table, faults = read(tmp_path, "KO\tS1\tS1_Abundance-RPKs\tS2\nK00929\t1\t2\t3\n")
    assert table is None
    assert "'S1', 'S1_Abundance-RPKs', which are one sample, 'S1'" in str(faults[0])


def test_a_table_with_too_few_single_copy_families_keeps_its_unit(tmp_path):
    table, _ = read(tmp_path, "KO\tS1\tS2\nK02945\t4\t0\nK00929\t1\t7\n")
    genes, account = as_copies(table, "cpm", SINGLE, ["K00929"], SAMPLES, min_single_copy=2)
    assert genes.loc["K00929"].tolist() == [1, 7]
    assert account["unit"].tolist() == ["cpm", "cpm"]
    assert account["status"].tolist() == ["ok", "ok"]


def test_normalising_undoes_any_scale_of_a_sample(tmp_path):
    random = np.random.default_rng(1)
    single = read_single_copy(ROOT / "config/function/single_copy.tsv")
    assert len(single) == len(set(single)) == 40
    amounts = pd.DataFrame(random.gamma(2, size=(41, 2)), [*single, "K00929"], SAMPLES)
    (tmp_path / "a.tsv").write_text(amounts.to_csv(sep="\t", index_label="KO"))
    scaled = amounts * [1000, 0.001]
    (tmp_path / "b.tsv").write_text(scaled.to_csv(sep="\t", index_label="KO"))
    found = []
    for name in ("a.tsv", "b.tsv"):
        table, _ = read_function_table(tmp_path / name, SAMPLES, "rpk")
        found.append(as_copies(table, "rpk", single, ["K00929"], SAMPLES)[0])
    pd.testing.assert_frame_equal(*found)
