"""References of an earlier run."""

import copy
import json

import numpy as np
import pandas as pd
import pytest

from moodbiome.reference import (
    Reference,
    as_document,
    differences,
    made_with,
    read_references,
    reference_faults,
)
from moodbiome.signature import Limits, Outside, concept_counts, score_samples

TAXA = pd.DataFrame(
    {
        "concept": ["up", "down"],
        "name": ["Up", "Down"],
        "ncbi_ids": ["11", "21"],
        "direction": ["up", "down"],
        "weight_evidence": [1.0, -1.0],
        "weight_seed": [1.0, -1.0],
        "weight_grade_a": [1.0, -1.0],
    }
)
SETTINGS = {
    "reads": {"primers": "auto"},
    "profile": dict.fromkeys(("min_hit_groups", "reestimate", "min_fragments", "read_length_bp"), 2)
    | {"minimisers": {"min_distinct": 2000, "action": "flag"}},
    "controls": {"method": "prevalence", "threshold": 0.1, "action": "flag"},
    "signature": {"offset": 0.0001, "profile": "evidence"},
}
HERE = made_with(SETTINGS, "shotgun", TAXA, database="ab", confidence=0.1)


@pytest.fixture
def genus():
    share = np.exp(np.random.default_rng(2).normal([[0], [1], [6]], 1, size=(3, 14)))
    counts = np.round(1e5 * share / share.sum(axis=0)).astype(int)
    table = pd.DataFrame(counts, index=[11, 21, 99], columns=[f"S{i}" for i in range(14)])
    table.insert(0, "name", "any")
    table.insert(1, "lineage", [f"d__Bacteria;g__{taxon}" for taxon in table.index])
    return table


def score(genus, samples, **options):
    table = genus[["name", "lineage", *samples]]
    totals = table[samples].sum()
    known, limits = [11, 21, 99], Limits(min_taxa=2)
    return score_samples(
        *(table, table.iloc[:0], TAXA, totals, known), seed=1, limits=limits, **options
    )


@pytest.mark.parametrize(
    ("section", "limit", "action"),
    [("controls", "threshold", "remove"), ("minimisers", "min_distinct", "drop")],
)
def test_limits_count_where_what_they_find_leaves_the_tables(section, limit, action):
    def here(**changes):
        settings = copy.deepcopy(SETTINGS)
        part = settings["controls"] if section == "controls" else settings["profile"][section]
        part |= changes
        return made_with(settings, "shotgun", TAXA, database="ab", confidence=0.1)

    assert here(**{limit: 7}) == HERE
    (said,) = differences(here(action=action, **{limit: 7}), here(action=action, **{limit: 8}))
    assert said.endswith(f"{section}.{limit} is 7 there and 8 here")


def test_a_reference_of_an_earlier_run_places_samples_as_if_it_were_of_this_one(genus, tmp_path):
    earlier, now = [f"S{i}" for i in range(8)], [f"S{i}" for i in range(8, 14)]
    counts = concept_counts(genus, genus.iloc[:0], TAXA)[earlier]
    samples = Outside(counts, genus[earlier].sum(), counts)
    path = tmp_path / "reference.json"
    path.write_text(as_document({"shotgun": Reference(HERE, samples)}))
    assert "S0" not in path.read_text()
    read = read_references(path)["shotgun"]
    assert read.made_with == HERE
    whole, whole_parts = score(genus, [*earlier, *now], reference=earlier)
    alone, parts = score(genus, now, outside=read.samples)
    # The bootstrap draws the reference by its place, which the order of names decides.
    pd.testing.assert_frame_equal(alone, whole.loc[now])
    kept = whole_parts[whole_parts["sample"].isin(now)].reset_index(drop=True)
    pd.testing.assert_frame_equal(parts, kept)
    assert (alone["n_reference"] == 8).all()


def test_every_difference_is_named_and_none_refuses_nothing(tmp_path):
    other = json.loads(json.dumps(SETTINGS))
    other["signature"]["offset"] = 0.001
    other["profile"]["reestimate"] = False
    there = made_with(other, "shotgun", TAXA, database="cd", confidence=0.2)
    said = differences(there, HERE)
    assert "signature.offset is 0.001 there and 0.0001 here" in said
    assert len(said) == 4
    assert differences(HERE, HERE) == []
    empty = pd.DataFrame(index=["up", "down"])
    path = tmp_path / "reference.json"
    path.write_text(as_document({"shotgun": Reference(there, Outside(empty, empty.sum(), empty))}))
    faults = reference_faults(path, ["amplicon", "shotgun"], [], {"shotgun": HERE, "amplicon": {}})
    assert faults[0] == "amplicon: reference.json has shotgun"
    assert "database (SHA-256) is cd there and ab here" in faults[1]
    assert "imported" in reference_faults(path, ["shotgun"], ["shotgun"], {"shotgun": HERE})[0]


@pytest.mark.parametrize("text", ["", "\t", "[]", "{}", '{"format": "other"}'])
def test_another_file_is_refused_by_name(tmp_path, text):
    path = tmp_path / "scores.tsv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"scores\.tsv"):
        read_references(path)


def test_a_damaged_reference_is_refused(tmp_path):
    path = tmp_path / "reference.json"
    table = pd.DataFrame({0: [1, 2]}, index=["up", "down"])
    text = as_document({"shotgun": Reference({}, Outside(table, pd.Series([3.0]), table))})
    document = json.loads(text)
    document["assays"]["shotgun"]["n_classified"].append(4)
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="reference of shotgun is damaged"):
        read_references(path)
