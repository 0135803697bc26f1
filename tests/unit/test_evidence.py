"""Evidence tables: claims -> grades -> weights."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from moodbiome.evidence import (
    NOMENCLATURES,
    check_evidence,
    derive,
    find_members,
    grade_taxa,
    members,
    read_table,
    resolution,
    resolve_members,
    shared_with_others,
)
from moodbiome.signature import score_samples

ROOT = Path(__file__).parents[2]
EVIDENCE = ROOT / "config" / "evidence"


def claim(concept, direction, source, kind="case_control", n="", replicated="no"):
    return {
        "claim_id": f"{concept}.{source}",
        "concept": concept,
        "direction": direction,
        "source_id": source,
        "kind": kind,
        "n": n,
        "replicated": replicated,
        "design": "16S",
        "adjusted_for_medication": "unknown",
        "effect": "",
        "doi_or_pmid": "",
        "certainty": "verified",
        "note": "",
    }


def concept(name, ids="", **cells):
    empty = dict.fromkeys(
        ("gtdb", "silva", "greengenes", "seed_direction", "grade_override", "override_reason"), ""
    )
    return {
        "concept": name,
        "name": name,
        "rank": "genus",
        "ncbi_ids": ids,
        **empty,
        "note": "",
        **cells,
    }


def synthesis(direction, source):
    return claim("t", direction, source, "synthesis")


def cohort(direction, source, n="2000", replicated="yes"):
    return claim("t", direction, source, "cohort", n, replicated)


def study(direction, source, kind="case_control"):
    return claim("t", direction, source, kind)


def graded(*claims):
    return grade_taxa(pd.DataFrame(claims), pd.DataFrame([concept("t")])).loc["t"]


@pytest.fixture
def shipped():
    return {
        kind: read_table(EVIDENCE / f"{kind}.tsv", kind)
        for kind in ("claims", "concepts", "sources", "taxa")
    }


@pytest.fixture
def small():
    concepts = pd.DataFrame(
        [
            concept("high", "11", seed_direction="down"),
            concept("fair", "12,13"),
            concept("low", "14", seed_direction="down"),
            concept("torn", "15", seed_direction="up"),
            concept("rise", "16", seed_direction="up"),
        ]
    )
    claims = pd.DataFrame(
        [
            claim("high", "down", "review1", "synthesis"),
            claim("high", "down", "review2", "synthesis"),
            claim("fair", "down", "cohort1", "cohort", "1500", "yes"),
            claim("low", "down", "study1"),
            claim("low", "down", "study2"),
            claim("torn", "up", "study1"),
            claim("torn", "down", "study2"),
            claim("rise", "up", "review1", "synthesis"),
            claim("rise", "up", "review2", "synthesis"),
        ]
    )
    names = sorted(set(claims["source_id"]))
    sources = pd.DataFrame(
        {"source_id": names, "citation": names, "year": "2020", "doi_or_pmid": ""}
    ).assign(certainty="verified", note="")
    return claims, concepts, sources


@pytest.mark.parametrize(
    ("claims", "grade"),
    [
        ([synthesis("up", "a"), synthesis("up", "b")], "A"),
        ([synthesis("up", "a"), cohort("up", "b")], "A"),
        ([cohort("up", "a"), cohort("up", "b")], "A"),
        ([synthesis("up", "a"), synthesis("up", "b"), study("down", "c")], "A"),
        ([synthesis("up", s) for s in "abcd"] + [study("down", s) for s in "ef"], "X"),
        ([synthesis("up", s) for s in "abcde"] + [study("down", s) for s in "fg"], "A"),
        ([cohort("up", "a")], "B"),
        ([cohort("up", "a"), study("up", "b"), study("up", "d"), study("down", "c")], "C"),
        ([synthesis("up", "a"), study("up", "b"), study("up", "c")], "B"),
        ([synthesis("up", "a"), study("up", "b")], "C"),
        (
            [synthesis("up", "a"), study("up", "b", "mendelian_randomisation"), study("up", "c")],
            "C",
        ),
        ([cohort("up", "a", replicated="no")], "C"),
        ([cohort("up", "a", n="999")], "X"),
        ([study("up", "a"), study("up", "b", "pooled")], "C"),
        ([study("up", "a"), study("up", "b"), study("down", "c")], "C"),
        ([study("up", "a"), study("up", "b"), study("up", "e"), study("down", "c")], "C"),
        ([study("up", "a")], "X"),
        ([study("up", "a"), study("down", "b")], "X"),
        ([study("up", s) for s in "abc"] + [study("down", s) for s in "de"], "X"),
        ([synthesis("up", "a"), synthesis("up", "b"), synthesis("down", "c")], "X"),
        ([study("none", "a"), study("none", "b")], "X"),
    ],
)
def test_grade_follows_the_written_rule(claims, grade):
    assert graded(*claims)["grade"] == grade


def test_grade_counts_sources_for_against_and_without_a_finding():
    row = graded(synthesis("down", "a"), study("down", "b"), study("up", "c"), study("none", "d"))
    assert row["leading"] == "down"
    assert (row["n_for"], row["n_against"], row["n_none"]) == (2, 1, 1)


def test_grade_is_the_same_with_the_directions_swapped():
    claims = [synthesis("up", "a"), study("up", "b"), study("up", "c"), study("down", "d")]
    swapped = [{**c, "direction": {"up": "down", "down": "up"}[c["direction"]]} for c in claims]
    assert graded(*claims)["grade"] == graded(*swapped)["grade"] == "C"
    assert (graded(*claims)["leading"], graded(*swapped)["leading"]) == ("up", "down")


def test_weights_by_hand(small):
    claims, concepts, _ = small
    taxa = derive(claims, concepts).set_index("concept")
    assert taxa["grade"].to_dict() == {
        "high": "A",
        "fair": "B",
        "low": "C",
        "torn": "X",
        "rise": "A",
    }
    # Depleted by evidence: A 1.0 + B 0.6 + C 0.3 = 1.9.
    assert taxa["weight_evidence"].to_dict() == pytest.approx(
        {"high": -1 / 1.9, "fair": -0.6 / 1.9, "low": -0.3 / 1.9, "torn": 0, "rise": 1}
    )
    # The conflicting concept weighs 0.3 beside 1.0, in the seeds' direction.
    assert taxa["weight_seed"].to_dict() == pytest.approx(
        {"high": -1 / 1.3, "fair": 0, "low": -0.3 / 1.3, "torn": 0.3 / 1.3, "rise": 1 / 1.3}
    )
    assert taxa["weight_grade_a"].to_dict() == {
        "high": -1,
        "fair": 0,
        "low": 0,
        "torn": 0,
        "rise": 1,
    }
    assert taxa.loc["torn", "direction"] == "conflicting"


def test_order_of_the_claims_does_not_matter(small):
    claims, concepts, _ = small
    assert_frame_equal(derive(claims[::-1], concepts), derive(claims, concepts))


def test_override_replaces_the_grade_and_keeps_the_rules_own(small):
    claims, concepts, _ = small
    concepts.loc[concepts["concept"] == "fair", "grade_override"] = "C"
    fair = derive(claims, concepts).set_index("concept").loc["fair"]
    assert (fair["grade"], fair["grade_by_rule"]) == ("C", "B")
    assert fair["weight_evidence"] == pytest.approx(-0.3 / 1.6)


def test_override_without_a_direction_is_refused(small):
    claims, concepts, _ = small
    concepts.loc[concepts["concept"] == "torn", "grade_override"] = "C"
    claims.loc[claims["concept"] == "torn", "n"] = "10"
    with pytest.raises(ValueError, match="concept 'torn' has a grade and no direction"):
        derive(claims, concepts)


def test_profile_without_one_side_is_refused(small):
    claims, concepts, _ = small
    with pytest.raises(ValueError, match=r"profile 'evidence' has no concept .* direction 'up'"):
        derive(claims[claims["direction"] == "down"], concepts)


def spoil(table, row, **cells):
    for column, value in cells.items():
        table.loc[row, column] = value


@pytest.mark.parametrize(
    ("which", "row", "cells", "message"),
    [
        (0, 0, {"concept": "hihg"}, "claim 'high.review1' is about the unknown concept 'hihg'"),
        (0, 0, {"source_id": "review9"}, "cites the source 'review9', which is missing"),
        (0, 0, {"claim_id": "high.review2"}, "claim_id 'high.review2' stands in more than one row"),
        (0, 0, {"doi_or_pmid": "10.1/x"}, "gives '10.1/x' for 'review1'"),
        (0, 1, {"source_id": "review1"}, "'review1' is cited twice for concept 'high'"),
        (
            0,
            1,
            {"source_id": "review1", "direction": "up"},
            "'review1' is cited with both directions for concept 'high'",
        ),
        (0, 2, {"n": "many"}, "claim_id 'fair.cohort1': n is 'many'"),
        (0, 2, {"direction": "downwards"}, "'fair.cohort1': direction is 'downwards'"),
        (1, 1, {"concept": "high"}, "concept 'high' stands in more than one row"),
        (1, 1, {"ncbi_ids": "11"}, "taxon 11 is given for concept 'high' and again for 'fair'"),
        (1, 1, {"ncbi_ids": "12, 13"}, "concept 'fair': ' 13' is not a taxon id"),
        (1, 1, {"rank": "tribe"}, "concept 'fair': rank is 'tribe'"),
        (1, 1, {"grade_override": "C"}, "concept 'fair' overrides its grade without a reason"),
        (2, 1, {"source_id": "cohort1"}, "source_id 'cohort1' stands in more than one row"),
    ],
)
def test_unsound_tables_are_refused_by_name(small, which, row, cells, message):
    check_evidence(*small)
    spoil(small[which], row, **cells)
    with pytest.raises(ValueError, match=message):
        check_evidence(*small)


def test_missing_column_is_named(tmp_path):
    path = tmp_path / "claims.tsv"
    path.write_text("claim_id\tconcept\nx\ty\n")
    with pytest.raises(ValueError, match=r"claims\.tsv: column 'direction' is missing"):
        read_table(path, "claims")


def test_unreadable_weight_is_named(tmp_path):
    lines = (EVIDENCE / "taxa.tsv").read_text().splitlines()
    header, cells = lines[0].split("\t"), lines[1].split("\t")
    cells[header.index("weight_seed")] = "heavy"
    path = tmp_path / "taxa.tsv"
    path.write_text("\t".join(header) + "\n" + "\t".join(cells) + "\n")
    with pytest.raises(ValueError, match="row 2, column 'weight_seed': 'heavy' is not a number"):
        read_table(path, "taxa")


def test_members_of_a_concept_without_ids_is_nothing():
    assert members(pd.DataFrame({"concept": ["ucg"], "ncbi_ids": [""]})).empty


LABELLED = pd.DataFrame(
    [
        concept(
            "coprococcus", "33042", gtdb="g__Coprococcus;g__Coprococcus_A;s__Bariatricus comes"
        ),
        concept("ucg", silva="g__UCG-002;g__Ruminococcaceae UCG-002"),
    ]
)
NAMES = pd.DataFrame(
    [
        ("genus", "Coprococcus"),
        ("genus", "g__Coprococcus_A"),
        ("genus", "Coprococcus_B"),
        ("species", "Bariatricus comes"),
        ("genus", "Ruminococcaceae_UCG-002"),
        ("family", "UCG-002"),
    ],
    columns=["rank", "name"],
    index=[5, 3, 8, 12, 21, 22],
)


def test_members_are_found_by_label_where_the_database_has_other_numbers():
    gtdb = resolve_members(LABELLED, LABELLED, NAMES, "gtdb").set_index("concept")
    assert gtdb["ncbi_ids"].to_dict() == {"coprococcus": "3,5,12", "ucg": ""}
    silva = resolve_members(LABELLED, LABELLED, NAMES, "silva").set_index("concept")
    assert silva["ncbi_ids"].to_dict() == {"coprococcus": "", "ucg": "21"}


def test_ncbi_members_are_left_alone():
    assert_frame_equal(resolve_members(LABELLED, LABELLED, NAMES, "ncbi"), LABELLED)


def test_each_member_is_found_or_said_to_be_missing():
    found = find_members(LABELLED, NAMES, "gtdb")
    assert found.to_numpy().tolist() == [
        ["coprococcus", "g__Coprococcus", "label", 5, "Coprococcus"],
        ["coprococcus", "g__Coprococcus_A", "label", 3, "g__Coprococcus_A"],
        ["coprococcus", "s__Bariatricus comes", "label", 12, "Bariatricus comes"],
        ["ucg", "", "", pd.NA, ""],
    ]


MERGED = pd.DataFrame(
    {
        "rank": "genus",
        "name": ["New", "Old", "Same"],
        "other_ids": ["3,7", "33042", None],
    },
    index=[20, 30, 40],
)


@pytest.mark.parametrize(
    ("asked", "found_by", "taxon"),
    [
        ("40", "id", 40),
        ("7", "merged id", 20),
        # The database is older than the id that is asked for.
        ("33042", "merged id", 30),
        ("50", "", None),
    ],
)
def test_an_id_is_found_as_it_is_or_by_a_merge(asked, found_by, taxon):
    taxa = pd.DataFrame([concept("coprococcus", asked)])
    row = find_members(taxa, MERGED, "ncbi").iloc[0]
    assert (row["asked"], row["found_by"]) == (asked, found_by)
    assert pd.isna(row["taxon_id"]) if taxon is None else row["taxon_id"] == taxon
    ids = resolve_members(taxa, taxa, MERGED, "ncbi")["ncbi_ids"].tolist()
    assert ids == [str(taxon or asked)]


def test_two_ids_of_one_taxon_are_one_member():
    taxa = pd.DataFrame([concept("coprococcus", "3,7,20,40")])
    assert resolve_members(taxa, taxa, MERGED, "ncbi")["ncbi_ids"].tolist() == ["20,40"]


def test_two_concepts_whose_ids_were_merged_are_refused():
    taxa = pd.DataFrame([concept("one", "3"), concept("two", "7")])
    with pytest.raises(ValueError, match="taxon 20 is given for concept 'one' and again for 'two'"):
        members(resolve_members(taxa, taxa, MERGED, "ncbi"))


@pytest.mark.parametrize("nomenclature", NOMENCLATURES)
def test_the_weight_found_is_the_weight_detectable(shipped, nomenclature):
    """As `score_samples` counts it, in a database of the first label of each second concept."""
    taxa, concepts = shipped["taxa"], shipped["concepts"]
    column = "ncbi_ids" if nomenclature == "ncbi" else nomenclature
    labels = [cell.replace(",", ";").split(";")[0] for cell in concepts[column][::2] if cell]
    if nomenclature == "ncbi":
        database = pd.DataFrame({"rank": "genus", "name": labels}, index=list(map(int, labels)))
    else:
        ranks = ["genus" if label[0] == "g" else "species" for label in labels]
        database = pd.DataFrame({"rank": ranks, "name": [label[3:] for label in labels]})
        database.index += 5
    found = resolution(taxa, concepts, database, nomenclature, "evidence")
    once = found.drop_duplicates("concept").set_index("concept")
    size = once["weight"].abs()
    share = size[once["detectable"] == "yes"].sum() / size.sum()

    resolved = resolve_members(taxa, concepts, database, nomenclature)
    counts = pd.DataFrame({"name": "", "lineage": "", "S1": 1}, index=database.index)
    n_classified = pd.Series({"S1": 10**6})
    scores, _ = score_samples(
        counts, counts[:0], resolved, n_classified, known=database.index, seed=1
    )
    assert 0 < share < 1
    assert scores.loc["S1", "weight_detectable"] == pytest.approx(share)
    assert set(once.index) == set(taxa.loc[taxa["weight_evidence"] != 0, "concept"])


def test_unknown_nomenclature_and_concept_are_refused():
    with pytest.raises(ValueError, match="nomenclature 'unite' is unknown"):
        resolve_members(LABELLED, LABELLED, NAMES, "unite")
    with pytest.raises(ValueError, match="concept 'ucg' is unknown"):
        resolve_members(LABELLED, LABELLED[:1], NAMES, "silva")


def test_label_without_a_rank_is_refused():
    concepts = LABELLED.assign(silva="UCG-002")
    with pytest.raises(ValueError, match="silva label 'UCG-002' must begin with g__ or s__"):
        resolve_members(LABELLED, concepts, NAMES, "silva")


def test_shipped_tables_are_sound(shipped):
    check_evidence(shipped["claims"], shipped["concepts"], shipped["sources"])
    unused = set(shipped["sources"]["source_id"]) - set(shipped["claims"]["source_id"])
    assert not unused


def test_shipped_taxa_are_up_to_date(shipped):
    """Mend with: python scripts/derive_evidence.py"""
    assert_frame_equal(
        derive(shipped["claims"], shipped["concepts"]), shipped["taxa"], check_dtype=False
    )


def test_derive_evidence_writes_the_shipped_bytes(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "derive_evidence.py").write_bytes(
        (ROOT / "scripts" / "derive_evidence.py").read_bytes()
    )
    copy = tmp_path / "config" / "evidence"
    copy.mkdir(parents=True)
    for name in ("claims.tsv", "concepts.tsv", "sources.tsv"):
        (copy / name).write_bytes((EVIDENCE / name).read_bytes())
    script = tmp_path / "scripts" / "derive_evidence.py"
    subprocess.run([sys.executable, script], check=True, env={"PYTHONPATH": str(ROOT / "scripts")})
    assert (copy / "taxa.tsv").read_bytes() == (EVIDENCE / "taxa.tsv").read_bytes()


def test_shipped_grades_are_those_judged_in_the_evidence_base(shipped):
    grades = shipped["taxa"].groupby("grade")["concept"].agg(set)
    assert grades["A"] == {"faecalibacterium", "coprococcus", "eggerthella"}
    assert grades["B"] == {
        *("hungatella", "sellimonas", "subdoligranulum", "eubacterium_ventriosum"),
        *("ruminococcus_gauvreauii", "ruminococcaceae_ucg", "dialister", "roseburia"),
    }
    assert grades["X"] == {
        *("bifidobacterium", "lactobacillus", "bacteroides_phocaeicola", "prevotella_segatella"),
        *("clostridium", "streptococcus", "anaerostipes"),
    }


def test_overrides_stay_few_and_are_listed_in_the_readme(shipped):
    taxa = shipped["taxa"]
    differing = set(taxa.loc[taxa["grade"] != taxa["grade_by_rule"], "concept"])
    concepts = shipped["concepts"]
    assert differing == set(concepts.loc[concepts["grade_override"] != "", "concept"])
    assert len(differing) <= 4
    readme = (EVIDENCE / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in differing)


def test_seed_profile_holds_the_seeds_taxa_and_the_default_none_in_conflict(shipped):
    taxa = shipped["taxa"].set_index("concept")
    assert set(taxa.index[taxa["weight_seed"] < 0]) == {
        *("lactobacillus", "bifidobacterium", "faecalibacterium", "coprococcus", "roseburia"),
    }
    assert set(taxa.index[taxa["weight_seed"] > 0]) == {
        *("eggerthella", "alistipes", "lachnoclostridium"),
    }
    assert (taxa.loc[["lactobacillus", "bifidobacterium"], "weight_evidence"] == 0).all()


def test_the_weight_shared_with_other_conditions_by_hand():
    weights = [0.75, 0.25, -1.0]
    taxa = pd.DataFrame({"concept": ["a", "b", "c"], "weight_seed": weights})
    rows = [
        ("c", "x", "down", "memory"),
        ("a", "x", "down", "verified"),
        ("a", "y", "up", "verified"),
        ("b", "y", "none", "verified"),
    ]
    others = pd.DataFrame(rows, columns=["concept", "condition", "direction", "certainty"])
    table, share = shared_with_others(taxa, others, "seed")
    assert table.to_numpy().tolist() == [["x", "c", 0.5, "a", True], ["y", "a", 0.375, "", False]]
    assert share == 0.875
    with pytest.raises(ValueError, match="concept 'q' is not in the table of taxa"):
        shared_with_others(taxa, others.assign(concept="q"), "seed")


def test_shipped_other_conditions_are_sound():
    others = read_table(EVIDENCE / "other_conditions.tsv", "other_conditions")
    taxa = read_table(EVIDENCE / "taxa.tsv", "taxa")
    assert set(others["direction"]) <= {"up", "down", "none"}
    assert set(others["certainty"]) <= {"verified", "memory"}
    assert not others.duplicated(["concept", "condition"]).any()
    assert others["source"].ne("").all()
    # Most of the signature is shared: the report must not be read as specific.
    assert 0.2 < shared_with_others(taxa, others, "evidence")[1] < 1
