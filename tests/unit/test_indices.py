"""Indices of groups of taxa."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moodbiome.evidence import NOMENCLATURES, read_table
from moodbiome.indices import COLUMNS, index_members, score_indices

EVIDENCE = Path(__file__).parents[2] / "config" / "evidence"
SHIPPED = read_table(EVIDENCE / "indices.tsv", "indices")
CONCEPTS = pd.concat(
    [read_table(EVIDENCE / f"{name}.tsv", name) for name in ("concepts", "crosswalk")]
)

MEMBERS = pd.DataFrame(
    [
        ("rest", "numerator", "a", "11"),
        ("rest", "numerator", "b", "12"),
        ("pair", "numerator", "a", "11"),
        ("pair", "denominator", "c", "21"),
    ],
    columns=["index", "side", "concept", "ncbi_ids"],
)


def genera(counts):
    table = pd.DataFrame(counts, index=[11, 12, 21, 99])
    table.insert(0, "name", "any")
    table.insert(1, "lineage", [f"d__Bacteria;g__{taxon}" for taxon in table.index])
    return table


def run(counts, known=(11, 12, 21, 99), **options):
    genus = genera(counts)
    totals = genus[list(counts)].sum()
    options = {"seed": 3, **options}
    table = score_indices(genus, genus.iloc[:0], MEMBERS, totals, known, **options)
    return table.set_index(["sample", "index"])


def test_values_by_hand():
    table = run({"S1": [30_000, 10_000, 20_000, 40_000]})
    assert list(table.reset_index()[list(COLUMNS)]) == list(COLUMNS)
    assert table.loc[("S1", "rest"), "value"] == pytest.approx(np.log(0.4001 / 0.6001))
    assert table.loc[("S1", "pair"), "value"] == pytest.approx(np.log(0.3001 / 0.2001))
    assert table["share"].to_list() == [0.4, 0.3]
    assert table["n_members"].to_list() == table["n_members_detectable"].to_list() == [2, 2]


def test_interval_covers_the_truth_19_times_in_20():
    truth, rng = np.array([0.002, 0.0005, 0.004, 0.9935]), np.random.default_rng(4)
    drawn = rng.multinomial(100_000, truth, size=400)
    table = run({f"S{i}": row for i, row in enumerate(drawn)}).reset_index()
    for index, value in (("rest", np.log(0.0026 / 0.9976)), ("pair", np.log(0.0021 / 0.0041))):
        of = table[table["index"] == index]
        assert 0.9 <= ((of["low"] <= value) & (value <= of["high"])).mean() <= 0.98


def test_interval_of_a_sample_depends_on_nothing_but_itself():
    one, other = [300, 10, 200, 40_000], [100, 500, 2, 90_000]
    alone, both = run({"S1": one}), run({"S2": other, "S1": one})
    pd.testing.assert_frame_equal(alone, both.loc[["S1"]])


def test_re_estimation_widens_the_interval():
    counts = {"S1": [300, 10, 200, 40_000]}
    less = pd.DataFrame({"S1": [30.0, 1.0, 20.0, 4_000.0]}, index=[11, 12, 21, 99])
    sharp, wide = run(counts), run(counts, effective=less)
    assert ((wide["high"] - wide["low"]) > 2 * (sharp["high"] - sharp["low"])).all()
    assert (wide["value"] == sharp["value"]).all()


def test_what_cannot_be_told_has_a_reason_and_no_value():
    counts = {"few": [3, 1, 2, 40], "bad": [30, 1, 2, 40_000], "good": [30, 1, 2, 40_000]}
    table = run(counts, known=(11, 12, 99), refused={"bad": "failed: no reads"})
    assert table.loc[("few", "rest"), "reason"] == "46 classified fragments, 10000 are needed"
    assert (table.loc["bad", "reason"] == "failed: no reads").all()
    lacking = "the database holds 0 of 1 members of the denominator, half are needed"
    assert table.loc[("good", "pair"), "reason"] == lacking
    of_import = run(counts, known=(11, 12, 99), imported=True)
    assert of_import.loc[("good", "pair"), "reason"] == (
        "the imported table has 0 of 1 members of the denominator, half are needed; whether the "
        "others could have been found is not known"
    )
    assert table.loc[("good", "rest"), "status"] == "ok"
    assert table["value"].notna().sum() == 1
    assert (table["value"].isna() == (table["status"] == "abstained")).all()


def test_all_faults_of_members_are_said_at_once():
    indices = pd.DataFrame(
        [("x", "denominator", "a"), ("x", "denominator", "a"), ("x", "denominator", "q")],
        columns=["index", "side", "concept"],
    )
    with pytest.raises(ValueError, match="unknown") as caught:
        index_members(indices, pd.DataFrame({"concept": ["a"], "ncbi_ids": ["1"]}))
    assert len(str(caught.value).splitlines()) == 3


def test_shipped_indices_are_sound():
    assert not index_members(SHIPPED, CONCEPTS).empty
    assert set(SHIPPED["side"]) == {"numerator", "denominator"}
    assert set(SHIPPED["certainty"]) <= {"verified", "memory"}
    assert not (SHIPPED["source"].eq("") & SHIPPED["note"].eq("")).any()


@pytest.mark.parametrize("nomenclature", [name for name in NOMENCLATURES if name != "greengenes"])
def test_most_members_have_a_name_in_each_nomenclature(nomenclature):
    column = "ncbi_ids" if nomenclature == "ncbi" else nomenclature
    cells = dict(zip(CONCEPTS["concept"], CONCEPTS[column], strict=True))
    named = SHIPPED["concept"].map(cells) != ""
    assert (named.groupby([SHIPPED["index"], SHIPPED["side"]]).mean() >= 0.75).all()
