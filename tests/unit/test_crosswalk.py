"""Each taxon of the evidence and of the crosswalk, in each nomenclature."""

import gzip
import re
from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest

from moodbiome.evidence import NOMENCLATURES, find_members, members, read_table

ROOT = Path(__file__).parents[2]
EVIDENCE = ROOT / "config" / "evidence"
NAMES = ROOT.parent / "shared/data/genomes_mini/taxonomy/names.dmp.gz"

CONCEPTS = read_table(EVIDENCE / "concepts.tsv", "concepts").assign(within="")
CROSSWALK = read_table(EVIDENCE / "crosswalk.tsv", "crosswalk")
ROWS = {row["concept"]: row for table in (CONCEPTS, CROSSWALK) for _, row in table.iterrows()}
COLUMN = {name: "ncbi_ids" if name == "ncbi" else name for name in NOMENCLATURES}
# A rank, a name; blanks within. SILVA names clades that have no name of their own by group.
LABELS = {
    "ncbi": r"[1-9][0-9]*",
    "gtdb": r"g__[A-Z][a-z]+(_[A-Z]+)?|s__[A-Z][a-z]+(_[A-Z]+)? [a-z]+(_[A-Z]+)?",
    "silva": (
        r"g__(\[?[A-Z][a-z]+\]?( [A-Za-z0-9-]+){0,3}|UCG-\d{3}|UBA\d+|[A-Z][a-z]+-[A-Z][a-z]+)"
    ),
    "greengenes": r"g__\[?[A-Z][a-z]+\]?",
}


def asked(concept, nomenclature):
    cell = ROWS[concept][COLUMN[nomenclature]]
    return [text for text in re.split("[,;]", cell) if text]


def database(labels, nomenclature):
    """A database with these taxa between others, in its own numbers."""
    if nomenclature == "ncbi":
        ids = [int(label) for label in labels]
        return pd.DataFrame({"rank": "genus", "name": "any"}, index=[*ids, 999999991])
    ranks = ["genus" if label.startswith("g__") else "species" for label in labels]
    rows = pd.DataFrame({"rank": ranks, "name": [label[3:] for label in labels]})
    others = [("family", label[3:]) for label in labels] + [("genus", "Other")]
    return pd.concat([pd.DataFrame(others, columns=["rank", "name"]), rows], ignore_index=True)


def part_of(concept):
    """The concepts that one is a part of."""
    above = []
    while concept := ROWS[concept]["within"]:
        above.append(concept)
    return above


def test_no_taxon_stands_in_both_tables():
    assert len(ROWS) == len(CONCEPTS) + len(CROSSWALK)
    assert set(CROSSWALK["within"]) - {""} <= set(ROWS)
    assert not members(CROSSWALK).empty


@pytest.mark.parametrize("concept", CROSSWALK["concept"])
def test_a_row_says_what_it_is_for_and_where_it_is_from(concept):
    row = ROWS[concept]
    assert row["rank"] in ("genus", "species", "subspecies")
    assert row["used_by"] in ("community_type", "psychobiotic", "renamed", "index")
    assert row["certainty"] in ("verified", "memory")
    assert row["source"]
    assert row["ncbi_ids"]
    assert row["gtdb"]
    assert row["silva"] or row["rank"] != "genus" or row["note"]


@pytest.mark.parametrize("concept", ROWS)
def test_labels_have_the_form_of_their_nomenclature(concept):
    for nomenclature, form in LABELS.items():
        for label in asked(concept, nomenclature):
            assert re.fullmatch(form, label), (nomenclature, label)
        assert len(set(asked(concept, nomenclature))) == len(asked(concept, nomenclature))


@pytest.mark.parametrize("concept", ROWS)
def test_a_taxon_is_found_by_each_of_its_labels_alone(concept):
    """In an old taxonomy, which has one of the ids, or a new one, which has another."""
    row = ROWS[concept].to_frame().T
    for nomenclature in NOMENCLATURES:
        column = COLUMN[nomenclature]
        for label in asked(concept, nomenclature):
            held = database([label], nomenclature)
            found = find_members(row, held, nomenclature).set_index("asked")["taxon_id"]
            there = int(label) if nomenclature == "ncbi" else held.index[-1]
            assert found.dropna().to_dict() == {label: there}, (column, label)
        nothing = find_members(row, database([], nomenclature), nomenclature)
        assert nothing["taxon_id"].isna().all()


@pytest.mark.parametrize("concept", ROWS)
def test_all_labels_of_all_taxa_lead_to_their_own_taxon(concept):
    """A database with everything: what is found belongs to the concept, or to one nested in it."""
    row = ROWS[concept].to_frame().T
    for nomenclature in NOMENCLATURES:
        every = list(dict.fromkeys(label for name in ROWS for label in asked(name, nomenclature)))
        found = find_members(row, database(every, nomenclature), nomenclature)
        assert found.loc[found["asked"] != "", "taxon_id"].notna().all()
        assert len(found) == max(len(asked(concept, nomenclature)), 1)


@pytest.mark.parametrize("nomenclature", NOMENCLATURES)
def test_only_nested_taxa_share_a_label(nomenclature):
    shared = {
        (one, other)
        for one, other in combinations(ROWS, 2)
        if set(asked(one, nomenclature)) & set(asked(other, nomenclature))
        and one not in part_of(other)
        and other not in part_of(one)
    }
    assert shared == set()


@pytest.fixture(scope="module")
def ncbi_names():
    if not NAMES.is_file():
        pytest.skip(f"no NCBI names to check against: {NAMES.name} of genomes_mini is not here")
    with gzip.open(NAMES, "rt") as lines:
        cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    return {taxon: name for taxon, name, _, kind, *_ in cells if kind == "scientific name"}


@pytest.mark.parametrize("concept", [name for name in ROWS if asked(name, "ncbi")])
def test_an_id_is_that_of_the_taxon_it_stands_for(concept, ncbi_names):
    row = ROWS[concept]
    here = {taxon: ncbi_names[taxon] for taxon in asked(concept, "ncbi") if taxon in ncbi_names}
    if not here:
        pytest.skip(f"none of {row['ncbi_ids']} is in the small NCBI taxonomy at hand")
    words = f"{row['name']} {row['gtdb']}"
    for taxon, name in here.items():
        genus = re.sub(r"[\[\]]", "", name).split()[0]
        assert genus in words, (taxon, name)
    if row["rank"] == "species" and len(asked(concept, "ncbi")) == 1:
        epithet = ncbi_names[row["ncbi_ids"]].split()[1]
        assert epithet in row["name"]
