"""Signatures of the user's own."""

from pathlib import Path

import pandas as pd
import pytest

from moodbiome.evidence import read_table
from moodbiome.more_signatures import COLUMNS, as_rows, read_signature, resolve_signature
from moodbiome.signature import check_taxa, score_samples

EVIDENCE = Path(__file__).parents[2] / "config" / "evidence"
CONCEPTS = read_table(EVIDENCE / "concepts.tsv", "concepts")
DATABASE = pd.DataFrame(
    {
        "rank": ["genus", "genus", "genus", "genus", "family"],
        "name": ["Eggerthella", "Roseburia", "Dialister", "Alistipes", "Some"],
    },
    index=[84111, 841, 39948, 239759, 543],
)


def read(tmp_path, text, name="mine.tsv"):
    path = tmp_path / name
    path.write_text(text)
    return read_signature(path, CONCEPTS)


def weights(table):
    return dict(zip(table["concept"], table["weight_evidence"], strict=True))


def test_the_shipped_table_reads_as_itself():
    table, faults = read_signature(EVIDENCE / "taxa.tsv", CONCEPTS)
    assert faults == []
    check_taxa(table)
    shipped = read_table(EVIDENCE / "taxa.tsv", "taxa")
    shipped = shipped[shipped["weight_evidence"] != 0]
    assert weights(table) == weights(shipped)
    silva = dict(zip(table["concept"], table["silva"], strict=True))
    assert silva["christensenellaceae_r7"] == "g__Christensenellaceae R-7 group"


def test_a_list_without_weights_weighs_each_side_equally(tmp_path):
    text = "taxon\tdirection\tsource\n84111\tup\tx\ng__Alistipes\tup\tx\n841\tdown\tx\n"
    table, faults = read(tmp_path, text)
    assert faults == []
    check_taxa(table)
    assert weights(table) == {"84111": 0.5, "g__Alistipes": 0.5, "841": -1}
    ncbi = resolve_signature(table, DATABASE, "ncbi")
    assert ncbi["ncbi_ids"].to_list() == ["84111", "239759", "841"]
    other = resolve_signature(table, DATABASE, "silva")
    assert other["ncbi_ids"].to_list() == ["", "239759", ""]


def test_health_lists_point_away_from_health(tmp_path):
    text = "taxon\tdirection\tsource\n841\thealth-prevalent\tx\n84111\tHealth-scarce\tx\n"
    table, faults = read(tmp_path, text)
    assert faults == []
    assert weights(table) == {"841": -1, "84111": 1}


def test_an_export_of_bugsigdb_is_read_by_the_last_id_of_each_lineage(tmp_path):
    text = (
        "PMID,DOI,NCBI Taxonomy IDs,Abundance in Group 1\n"
        "1,,2|201174|84111;2|976|239759,increased\n"
        "2,10.1/x,2|1239|841;2|543,decreased\n"
        "3,,2|1239|841,decreased\n"
    )
    table, faults = read(tmp_path, text, "bugs.csv")
    assert faults == []
    assert weights(table) == {"84111": 0.5, "239759": 0.5, "841": -0.5, "543": -0.5}
    # A family has no counts of its own: it was not looked for, and is not absent.
    assert resolve_signature(table, DATABASE, "ncbi")["ncbi_ids"].to_list()[-1] == ""


def test_all_faults_of_a_list_are_said_at_once(tmp_path):
    text = (
        "taxon\tdirection\tsource\n84111\tup\tx\n84111\tdown\tx\n841\tsideways\tx\n"
        "Roseburia\tdown\t\n39948\tdown\tx\n39948\tdown\tx\n\tup\tx\n"
    )
    table, faults = read(tmp_path, text)
    assert table.empty
    said = "\n".join(map(str, faults))
    for words in (
        "mine.tsv, row 3: '84111' goes down, in row 2 up",
        "row 4: the direction is 'sideways'",
        "row 5: 'Roseburia' is no taxon",
        "row 5: has no source",
        "row 7: '39948' stands in row 6 too",
        "row 8: the concept or taxon 'empty' is unknown",
    ):
        assert words in said
    assert len(faults) == 6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("taxon\tdirection\n1\tup\n", "column 'source' is missing"),
        ("taxon\tdirection\tsource\n84111\tup\tx\n", "no taxon goes down"),
        ("", "cannot be read"),
        (
            "taxon\tdirection\tsource\tweight\n84111\tup\tx\t0.7\n841\tdown\tx\t-1\n",
            "the taxa that go up sum to 0.7, not +1",
        ),
        (
            "taxon\tdirection\tsource\tweight\n84111\tup\tx\t1\n841\tdown\tx\t1\n",
            "row 3: goes down and weighs 1",
        ),
        (
            "taxon\tdirection\tsource\tweight\n84111\tup\tx\t1\n841\tdown\tx\t\n",
            "row 3: the weight is ''",
        ),
        (
            "concept\tncbi_ids\tdirection\tweight_evidence\nnone\t\tup\t1\nroseburia\t\tdown\t-1\n",
            "row 2: the concept or taxon 'none' is unknown",
        ),
    ],
)
def test_a_faulty_signature_is_told(tmp_path, text, said):
    table, faults = read(tmp_path, text)
    assert table.empty
    assert said in "\n".join(map(str, faults))


def test_fewer_than_three_detectable_taxa_give_a_reason_and_no_score(tmp_path):
    table, _ = read(tmp_path, "taxon\tdirection\tsource\n84111\tup\tx\n841\tdown\tx\n")
    genus = pd.DataFrame(
        {
            "name": ["E", "R"],
            "lineage": ["d__Bacteria;g__E", "d__Bacteria;g__R"],
            "S1": [9_000, 9_000],
        },
        index=[84111, 841],
    )
    taxa = resolve_signature(table, DATABASE, "ncbi")
    totals = pd.Series({"S1": 20_000})
    scores, _ = score_samples(genus, genus.iloc[:0], taxa, totals, DATABASE.index, seed=1)
    rows = as_rows({"mine": scores}, {"mine": table})
    assert list(rows) == list(COLUMNS)
    assert rows["reason"].to_list() == ["2 signature taxa in the database, 3 are needed"]
    assert rows["score"].isna().all()
