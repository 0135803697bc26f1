"""Tables of the user's own: every form gives the same counts, every fault is named."""

import gzip
from pathlib import Path

import biom
import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from moodbiome.feature_tables import (
    FIRST_OWN_ID,
    account,
    as_taxpasta,
    list_taxa,
    number_taxa,
    parse_lineage,
    rank_counts,
    read_feature_table,
    read_import,
)
from moodbiome.signature import concept_counts
from moodbiome.tables import read_counts, write_biom, write_counts

SAMPLES = ["S1", "S2"]
DOREA = "k__Bacteria;p__Firmicutes;g__Dorea;s__Dorea_longicatena"
BLAUTIA = "k__Bacteria;p__Firmicutes;g__Blautia"
PLAIN = f"#OTU ID\tS1\tS2\n{DOREA}\t30\t0\n{BLAUTIA}\t10\t5\nk__Bacteria\t5\t1\nUnassigned\t2\t4\n"


def read(folder, text, rank="species", fragments=None, name="table.tsv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    imported, faults = read_import({rank: path}, SAMPLES, fragments or {})
    return imported, "\n".join(map(str, faults))


def genera(imported, names=None):
    counts = rank_counts(imported, number_taxa(imported, names or {}), "genus")
    return counts.set_index("name")[SAMPLES].sort_index()


EXPECTED = pd.DataFrame(
    {"S1": [10, 30, 5, 2], "S2": [5, 0, 1, 4]},
    index=pd.Index(["Blautia", "Dorea", "unassigned", "unclassified"], name="name"),
)


def turned(text):
    rows = [line.split("\t") for line in text.splitlines()]
    rows[0][0] = "index"
    return "\n".join("\t".join(row) for row in zip(*rows, strict=True)) + "\n"


def quoted(text):
    header, *rows = text.splitlines()
    lines = [",".join(f'"{cell}"' for cell in line.split("\t")) for line in rows]
    return "\n".join([",".join(header.split("\t")[1:]), *lines])


def positional(text):
    text = text.replace(DOREA, "Bacteria;Firmicutes;;;;Dorea;longicatena")
    text = text.replace(BLAUTIA, "Bacteria;Firmicutes;;;;Blautia;uncultured bacterium")
    return text.replace("k__Bacteria\t", "Bacteria;;\t")


METAPHLAN = """#mpa_vJan21_CHOCOPhlAnSGB_202103
clade_name\tNCBI_tax_id\tS1\tS2
UNCLASSIFIED\t-1\t2\t40
k__Bacteria\t2\t98\t60
k__Bacteria|p__Firmicutes\t2|1239\t93\t50
k__Bacteria|p__Firmicutes|g__Dorea\t2|1239|189330\t83\t0
k__Bacteria|p__Firmicutes|g__Dorea|s__Dorea_longicatena\t2|1239|189330|88431\t83\t0
k__Bacteria|p__Firmicutes|g__Dorea|s__Dorea_longicatena|t__SGB1\t2|1239|189330|88431|\t83\t0
k__Bacteria|p__Firmicutes|g__Blautia\t2|1239|572511\t10\t50
"""


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(PLAIN, id="lineages"),
        pytest.param("# Constructed from biom file\n" + PLAIN, id="biom convert"),
        pytest.param(PLAIN.replace("#OTU ID", "Taxon").replace("\n", "\r\n"), id="CRLF"),
        pytest.param(turned(PLAIN), id="samples in rows"),
        pytest.param(quoted(PLAIN), id="R, quoted, no name over the row names"),
        pytest.param(positional(PLAIN), id="ranks by place"),
        pytest.param(PLAIN.replace("k__", "d__").replace(";", "; "), id="QIIME 2"),
        pytest.param(gzip.compress(PLAIN.encode()), id="gzip"),
    ],
)
def test_forms_of_one_table_give_the_same_counts(tmp_path, text):
    imported, faults = read(tmp_path, text)
    assert faults == ""
    assert_frame_equal(genera(imported), EXPECTED, check_dtype=False)


def test_biom_of_otus_is_summed_by_lineage(tmp_path):
    lineages = [DOREA, DOREA, BLAUTIA, "k__Bacteria", "Unassigned"]
    counts = np.array([[20, 0], [10, 0], [10, 5], [5, 1], [2, 4]])
    table = biom.Table(
        counts,
        [f"OTU{number}" for number in range(5)],
        SAMPLES,
        [{"taxonomy": lineage.split(";")} for lineage in lineages],
    )
    with biom.util.biom_open(str(tmp_path / "t.biom"), "w") as file:
        table.to_hdf5(file, "test")
    for content in ((tmp_path / "t.biom").read_bytes(), table.to_json("test").encode()):
        imported, faults = read(tmp_path, content, name="t.biom")
        assert faults == ""
        assert_frame_equal(genera(imported), EXPECTED, check_dtype=False)


def test_metaphlan_clades_are_taken_apart_and_shares_keep_their_sum(tmp_path):
    fragments = {"S1": "1000", "S2": "333"}
    imported, faults = read(tmp_path, METAPHLAN, fragments=fragments)
    assert faults == ""
    found = genera(imported)
    assert found["S1"].to_dict() == {
        "Blautia": 100,
        "Dorea": 830,
        "unassigned": 50,
        "unclassified": 20,
    }
    assert found.sum().tolist() == [1000, 333]
    numbers = number_taxa(imported, {})
    species = rank_counts(imported, numbers, "species")
    assert species.loc[88431, "lineage"].endswith("g__Dorea;s__Dorea longicatena")
    assert set(rank_counts(imported, numbers, "genus").index) == {0, -1, 189330, 572511}
    assert (189330, 1239, "genus", "Dorea") in list_taxa(imported, numbers)


def test_accounts_reconcile_and_leave_what_is_unknown_empty(tmp_path):
    imported, _ = read(tmp_path, PLAIN + "k__Archaea;p__X\t0\t3\nk__Eukaryota\t1\t0\n")
    first, second = account(imported, "amplicon")
    assert first["raw"] is None
    assert (first["classified"], first["unclassified"], first["bacterial"]) == (46, 2, 45)
    assert (second["non_host"], second["archaeal"]) == (13, 3)


def test_a_genus_table_of_names_has_species_unassigned(tmp_path):
    imported, faults = read(tmp_path, "genus\tS1\tS2\nDorea\t3\t1\nunassigned\t1\t0\n", "genus")
    assert faults == ""
    species = rank_counts(imported, number_taxa(imported, {}), "species")
    assert species[SAMPLES].to_numpy().tolist() == [[0, 0], [4, 1]]


def test_genera_and_species_of_two_files_sum_to_the_same(tmp_path):
    (tmp_path / "g.tsv").write_text("genus\tS1\tS2\nDorea\t3\t4\nunclassified\t1\t0\n")
    (tmp_path / "s.tsv").write_text("species\tS1\tS2\nDorea longicatena\t2\t1\n")
    files = {"genus": tmp_path / "g.tsv", "species": tmp_path / "s.tsv"}
    imported, faults = read_import(files, SAMPLES, {})
    assert not faults
    numbers = number_taxa(imported, {})
    for rank in ("genus", "species"):
        assert rank_counts(imported, numbers, rank)[SAMPLES].sum().tolist() == [4, 4]


def two_files(folder, genera, species):
    header = "taxon\tS1\tS2\n"
    files = {}
    for rank, rows in (("genus", genera), ("species", species)):
        files[rank] = folder / f"{rank}.tsv"
        files[rank].write_text(header + "".join(f"{row}\t{n}\t{n}\n" for row, n in rows.items()))
    return read_import(files, SAMPLES, {})


@pytest.mark.parametrize(
    ("genus", "species"),
    [
        ("Faecalibacterium", "Faecalibacterium prausnitzii"),
        ("g__Faecalibacterium", "s__Faecalibacterium_prausnitzii"),
        (
            "d__Bacteria;p__Bacillota;g__Faecalibacterium",
            "k__Bacteria;p__Firmicutes;g__Faecalibacterium;s__prausnitzii",
        ),
        ("d__Bacteria;p__Bacillota;g__Faecalibacterium", "Faecalibacterium prausnitzii"),
    ],
)
def test_species_of_another_file_count_within_their_genus(tmp_path, genus, species):
    imported, faults = two_files(tmp_path, {genus: 100, "unclassified": 7}, {species: 90})
    assert not faults
    names = {("genus", "Faecalibacterium"): 216851}
    names["species", "Faecalibacterium prausnitzii"] = 853
    numbers = number_taxa(imported, names)
    tables = [rank_counts(imported, numbers, rank) for rank in ("genus", "species")]
    taxa = pd.DataFrame({"concept": ["faecalibacterium"], "ncbi_ids": ["216851,853"]})
    assert tables[1].loc[853, "S1"] == 90
    assert concept_counts(*tables, taxa)["S1"].tolist() == [100]


def test_ids_of_a_species_follow_it_below_its_genus(tmp_path):
    files = {"genus": tmp_path / "g.tsv", "species": tmp_path / "s.tsv"}
    files["genus"].write_text("genus\tS1\tS2\nDorea\t83\t1\n")
    lineage = "k__Bacteria|p__Firmicutes|g__Dorea|s__Dorea_longicatena"
    files["species"].write_text(
        f"clade_name\tNCBI_tax_id\tS1\tS2\n{lineage}\t2|1239|189330|88431\t83\t1\n"
    )
    imported, faults = read_import(files, SAMPLES, {})
    assert not faults
    genus = (("genus", "Dorea"),)
    assert number_taxa(imported, {("genus", "Dorea"): 189330}) == {
        genus: 189330,
        (*genus, ("species", "Dorea longicatena")): 88431,
    }


@pytest.mark.parametrize(
    ("genus", "species", "above"),
    [
        ("Eubacterium", "[Eubacterium] rectale", {}),
        ("Faecalibacterium", "s__Faecalibacterium_A prausnitzii", {}),
        ("d__Bacteria;g__Bacillus", "d__Eukaryota;s__Bacillus rossius", {"domain": "Eukaryota"}),
    ],
)
def test_a_species_of_another_genus_is_not_put_below_it(tmp_path, genus, species, above):
    imported, faults = two_files(tmp_path, {genus: 5}, {species: 4})
    assert not faults
    (lineage,) = imported.by_rank["species"].lineages
    assert dict(lineage[:-1]) == above


def test_a_species_of_a_genus_that_stands_twice_must_say_which(tmp_path):
    twice = {"f__A;g__Dorea": 5, "f__B;g__Dorea": 6}
    imported, faults = two_files(tmp_path, twice, {"f__B;g__Dorea;s__Dorea formicigenerans": 4})
    assert not faults
    assert imported.by_rank["species"].lineages[0][0] == ("family", "B")
    imported, (fault,) = two_files(tmp_path, twice, {"s__Dorea formicigenerans": 4})
    assert imported is None
    assert "species.tsv: has species of a genus that the genus table has twice: Dorea f" in str(
        fault
    )


def test_numbers_are_the_tables_own_or_of_the_name_or_follow_from_the_lineage(tmp_path):
    imported, _ = read(tmp_path, PLAIN)
    numbers = number_taxa(imported, {("genus", "blautia"): 572511})
    by_name = {node[-1][1]: taxon for node, taxon in numbers.items()}
    assert by_name["Blautia"] == 572511
    assert FIRST_OWN_ID <= by_name["Dorea"] < 2**31
    longer, _ = read(tmp_path, PLAIN + "k__Bacteria;p__Firmicutes;g__Ajax\t1\t1\n")
    again = {node[-1][1]: taxon for node, taxon in number_taxa(longer, {}).items()}
    assert again["Dorea"] == by_name["Dorea"]


def test_our_own_tables_come_back(tmp_path):
    """counts.tsv, .biom and the long form of taxpasta, unclassified and unassigned included."""
    text = METAPHLAN.replace("clade_name", "clade_name")
    imported, _ = read(tmp_path, text, fragments={"S1": "1000", "S2": "333"})
    counts = rank_counts(imported, number_taxa(imported, {}), "species")
    write_counts(counts, tmp_path / "counts.tsv")
    write_biom(counts, tmp_path / "counts.biom", "shotgun.species")
    as_taxpasta(counts).to_csv(tmp_path / "long.tsv", sep="\t", index=False)
    for name in ("counts.tsv", "counts.biom", "long.tsv"):
        again, faults = read_import({"species": tmp_path / name}, SAMPLES, {})
        assert not faults, name
        found = rank_counts(again, number_taxa(again, {}), "species")
        assert_frame_equal(found, read_counts(tmp_path / "counts.tsv"))


def test_wide_taxpasta_of_ids_is_of_the_rank_it_is_given_for(tmp_path):
    imported, faults = read(tmp_path, "taxonomy_id\tS1\tS2\n0\t1\t1\n841\t5\t0\n", "genus")
    assert faults == ""
    assert genera(imported).loc["841"].tolist() == [5, 0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PLAIN.replace("S2", "S3"), "has samples or columns that the sheet lacks: S3; add them"),
        (PLAIN.replace("S2", "S3"), "lacks samples of the sheet: S2; delete their rows"),
        (PLAIN.replace("S1", "A").replace("S2", "B"), "has no sample of the sheet; name the"),
        (PLAIN + f"{BLAUTIA}\t1\t1\n", f"more than one row of '{BLAUTIA}'"),
        (PLAIN.replace("\t30", "\t-30"), "negative cells: row 2, sample 'S1' ('-30')"),
        (PLAIN.replace("\t30", "\tmany"), "no number: row 2, sample 'S1' ('many')"),
        (PLAIN.replace("\t30", "\tNaN"), "no number: row 2, sample 'S1' ('NaN')"),
        (PLAIN.replace("\t30\t0", "\t30\t"), "no number: row 2, sample 'S2' ('')"),
        (PLAIN.replace("\t30", "\t95.5"), "sum to over 100: S1 (112.5)"),
        ("t\tS1\tS2\ng__A\t0.6\t50.5\ng__B\t0.4\t49.5\n", "mixes percentages with shares"),
        ("t\tS1\tS2\ng__A\t0.6\t0.5\ng__B\t0.4\t0.5\n", "fragments are not known: S1, S2; add"),
        ("t\tS1\tS2\ng__A\t0\t0\n", "holds nothing but zeros"),
        ("t\tS1\tS2\n", "holds a header and no taxon"),
        ("", "is empty"),
        (b"\x1f\x8b\x08" + bytes(7) + b"\xff" * 20, "cannot be read (Error -3 while decomp"),
        ("t,S1,S2\n" + "x" * 200_000 + ",1,1\n", "cannot be read (field larger than field limit"),
        (
            "taxid\tname\tS1\tS2\nASV1\tDorea\t1\t1\n841\tRoseburia\t1\t1\nGCF_1\tBlautia\t1\t1\n",
            "row 2 (ASV1), row 4 (GCF_1): has a taxon id that is no whole number; write NCBI's",
        ),
        (b"\xff\xfe\x00", "is neither text (UTF-8) nor BIOM"),
        (PLAIN.replace("\t30\t0", "\t30"), "row 2: has 2 cells under a header of 3"),
        ("t\tS1\tS2\nx;y;z\t1\t1\n", "has a lineage of unknown ranks; write k__"),
        ("t\tS1\tS2\nk__Bacteria;p__A\t1\t1\n", "has no taxon of rank genus"),
        ("taxonomy_id\tcount\n841\t3\n", "the profile of one sample, without its name"),
        ("taxonomy_id\tS1\tS2\n2\t1\t1\n841\t3\t1\n", "holds taxa of several ranks; add lineages"),
        (
            "taxonomy_id\tname\tlineage\tS1\tS2\n1\tA\tg__A\t1\t1\n2\tB\tg__A\t3\t1\n",
            "gives one taxon two taxon ids: A (1, 2)",
        ),
        (
            "sample\ttaxonomy_id\tcount\nS1\t841\t3\nS1\t841\t4\nS2\t841\t4\n",
            "gives a count of the same sample and taxon twice: S1 841",
        ),
    ],
)
def test_each_fault_is_said(tmp_path, text, said):
    imported, faults = read(tmp_path, text, "genus")
    assert imported is None
    assert said in faults


def test_metaphlan_clades_that_hold_less_than_those_below_are_a_fault(tmp_path):
    text = METAPHLAN.replace("2|1239|189330\t83", "2|1239|189330\t3")
    _, faults = read(tmp_path, text, fragments={"S1": "1000", "S2": "333"})
    assert "holds less than the rows below it: row 6" in faults


def test_a_table_that_is_not_there(tmp_path):
    table, faults = read_feature_table(tmp_path / "none.tsv", SAMPLES, "genus")
    assert table is None
    assert "is missing; correct the path" in str(faults[0])


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("D_0__Bacteria;D_1__Firmicutes;D_5__Dorea", ("genus", "Dorea")),
        ("sk__Bacteria;k__;p__Firmicutes;g__Dorea", ("genus", "Dorea")),
        ("k__Bacteria|g__Lachnospiraceae_unclassified|s__A_b", ("species", "A b")),
        ("d__Bacteria;f__Lachnospiraceae;g__uncultured", ("family", "Lachnospiraceae")),
    ],
)
def test_lineages_of_other_tools(text, last):
    assert parse_lineage(text)[-1] == last


def test_names_of_the_signature_are_those_of_its_ids():
    """Every name stands once, and belongs to an id of a concept or of the psychobiotic panel."""
    evidence = Path(__file__).parents[2] / "config/evidence"
    names = pd.read_table(evidence / "ncbi_names.tsv", dtype=str)
    concepts = pd.read_table(evidence / "concepts.tsv", dtype=str, quoting=3)
    crosswalk = pd.read_table(evidence / "crosswalk.tsv", dtype=str, quoting=3)
    panel = crosswalk.loc[crosswalk["used_by"] == "psychobiotic", "ncbi_ids"]
    ids = set(",".join([*concepts["ncbi_ids"].dropna(), *panel]).split(","))
    assert set(names["taxon_id"]) <= ids
    assert not names[["rank", "name"]].duplicated().any()
    # A genus without a name of its own, and a subspecies.
    assert sorted(ids - set(names["taxon_id"])) == ["1682", "2935520"]
