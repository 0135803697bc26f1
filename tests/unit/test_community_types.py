"""Axes, reference types and the cohort's own types."""

import importlib.util
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from moodbiome.community_types import (
    axes,
    cohort_table,
    cohort_types,
    contrast,
    detectable_parts,
    of_phylum,
    part_members,
    read_types_table,
    reference_types,
    sample_rows,
    why_not_assessable,
)
from moodbiome.dirichlet import adjusted_rand
from moodbiome.evidence import NOMENCLATURES, find_members, members, read_table, resolve_members
from moodbiome.signature import concept_counts

ROOT = Path(__file__).parents[2]
CONFIG, EVIDENCE = ROOT / "config/community_types", ROOT / "config/evidence"
PARTS = read_types_table(CONFIG / "parts.tsv", "parts")
TYPES = read_types_table(CONFIG / "types.tsv", "types")
PHYLA = read_types_table(CONFIG / "phyla.tsv", "phyla")
REFERENCE = read_types_table(CONFIG / "reference.tsv", "reference")
SUBTYPE = dict(zip(TYPES["type"], TYPES["subtype_of"], strict=True))
MEMBERS = part_members(
    PARTS,
    read_table(EVIDENCE / "concepts.tsv", "concepts"),
    read_table(EVIDENCE / "crosswalk.tsv", "crosswalk"),
)
_spec = importlib.util.spec_from_file_location("bench", ROOT / "benchmarks/community_types.py")
bench = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(bench)


def typed(counts, n_assigned=None, **options):
    total = counts.sum() if n_assigned is None else n_assigned
    settings = {"min_membership": 0.6, "seed": 1, **options}
    return reference_types(counts, total, REFERENCE, SUBTYPE, **settings)


def typical(depth):
    """A sample of each type's expected composition."""
    return (depth * REFERENCE / REFERENCE.sum()).round()


def communities(n, seed):
    """Shares of n communities of each type, drawn from it."""
    random = np.random.default_rng(seed)
    drawn = {
        f"{name}-{number}": row
        for name in REFERENCE
        for number, row in enumerate(random.dirichlet(REFERENCE[name], size=n))
    }
    return pd.DataFrame(drawn, index=REFERENCE.index)


# --- the tables ---


def test_the_tables_agree_with_one_another():
    assert list(REFERENCE.index) == list(PARTS["part"])
    assert list(REFERENCE.columns) == list(TYPES["type"])
    assert set(TYPES["subtype_of"]) - {""} <= set(TYPES["type"])
    assert set(TYPES["certainty"]) == {"fitted", "memory"}
    assert set(bench.GENERA) == set(PARTS["part"])
    assert set(bench.TYPES) == set(TYPES.loc[TYPES["certainty"] == "fitted", "type"])


@pytest.mark.parametrize("nomenclature", NOMENCLATURES)
def test_no_taxon_is_in_two_parts(nomenclature):
    column, separator = ("ncbi_ids", ",") if nomenclature == "ncbi" else (nomenclature, ";")
    asked = {
        part: set(filter(None, cell.split(separator)))
        for part, cell in zip(MEMBERS["concept"], MEMBERS[column], strict=True)
    }
    assert [(a, b) for a, b in combinations(asked, 2) if asked[a] & asked[b]] == []
    core = PARTS.loc[PARTS["core"] == "yes", "part"]
    assert all(asked[part] for part in core)


def test_ids_belong_to_one_part():
    assert members(MEMBERS).is_unique is False
    assert members(MEMBERS).index.is_unique


def test_an_unknown_concept_is_named():
    with pytest.raises(ValueError, match="names the concept 'nobody'"):
        part_members(PARTS.assign(concepts="nobody"), MEMBERS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("part\ta\nx\t0\n", "row 2, column 'a'"),
        ("part\ta\nx\t1\nx\t2\n", "part 'x' stands in more than one row"),
        ("name\ta\nx\t1\n", "column 'part' is missing"),
    ],
)
def test_a_faulty_reference_is_refused(tmp_path, text, said):
    (tmp_path / "reference.tsv").write_text(text)
    with pytest.raises(ValueError, match=said):
        read_types_table(tmp_path / "reference.tsv", "reference")


@pytest.mark.parametrize("nomenclature", NOMENCLATURES)
def test_a_phylum_is_known_by_its_names(nomenclature):
    names = PHYLA.loc[0, nomenclature].split(";")
    other = {"gtdb": "Firmicutes_A"}.get(nomenclature, "Firmicutes")
    lineage = [f"d__Bacteria;p__{other};g__X", "d__Bacteria;p__Bacteroidota;g__Y", ""]
    assert of_phylum(pd.DataFrame({"lineage": lineage}), names).tolist() == [True, False, False]


# --- the axes ---

GENUS = pd.DataFrame(
    {
        "name": ["unclassified", "unassigned", "Bacteroides", "Phocaeicola", "Segatella", "Dorea"],
        "lineage": [
            *("", "", "d__Bacteria;p__Bacteroidota;g__B", "d__Bacteria;p__Bacteroidota;g__P"),
            *("d__Bacteria;p__Bacteroidota;g__S", "d__Bacteria;p__Bacillota;g__Dorea"),
        ],
        "S1": [500, 1000, 3000, 1000, 2000, 4000],
        "S2": [500, 1000, 0, 0, 9000, 1000],
    },
    index=pd.Index([0, -1, 816, 909656, 2974251, 189330], name="taxon_id"),
)
SPECIES = GENUS.iloc[:2]


def axes_of(genus, known=(816, 909656, 2974251, 189330), effective=None):
    samples = [column for column in genus if column not in ("name", "lineage")]
    return axes(
        *(genus, SPECIES[["name", "lineage", *samples]], MEMBERS, PARTS, ["Bacillota"]),
        *(genus[samples].iloc[1:].sum(), known),
        offset=1e-4,
        draws=400,
        seed=1,
        effective=genus[samples].astype(float) if effective is None else effective,
    )


def test_axes_by_hand():
    found = axes_of(GENUS)
    n = 11_000
    expected = np.log(4000 / n + 1e-4) - np.log(2000 / n + 1e-4)
    assert found.loc["S1", "bacteroides_prevotella"] == pytest.approx(expected)
    assert found.loc["S2", "bacteroides_prevotella"] == pytest.approx(
        np.log(1e-4) - np.log(9000 / n + 1e-4)
    )
    assert found.loc["S1", "bacillota"] == 0.4
    low, high = stats.beta.ppf([0.025, 0.975], 4000.5, 6000.5)
    assert found.loc["S1", "bacillota_low"] == pytest.approx(low, abs=0.002)
    assert found.loc["S1", "bacillota_high"] == pytest.approx(high, abs=0.002)


def test_what_is_known_less_well_has_a_wider_interval():
    wide = axes_of(GENUS, effective=GENUS[["S1", "S2"]] / 10.0)
    narrow = axes_of(GENUS)
    for axis in ("bacteroides_prevotella", "bacillota"):
        width = [
            table[f"{axis}_high"]["S1"] - table[f"{axis}_low"]["S1"] for table in (wide, narrow)
        ]
        assert width[0] > 2 * width[1]


def test_a_database_without_one_side_has_no_ratio():
    found = axes_of(GENUS.drop(2974251), known=(816, 909656, 189330))
    assert found["bacteroides_prevotella"].isna().all()
    assert found["bacillota"].notna().all()


def test_axes_do_not_depend_on_other_samples_nor_on_order():
    both = axes_of(GENUS)
    alone = axes_of(GENUS[["name", "lineage", "S2"]])
    turned = axes_of(pd.concat([GENUS.iloc[:2], GENUS.iloc[:1:-1]]))
    pd.testing.assert_frame_equal(alone, both.loc[["S2"]])
    pd.testing.assert_frame_equal(turned, both)


# --- the reference ---


def test_each_type_is_found_in_its_typical_sample():
    found = typed(typical(100_000))
    assert found["reference_type"].tolist() == [
        *("bacteroides", "bacteroides", "prevotella", "ruminococcus")
    ]
    assert found.loc["bacteroides", "reference_subtype"] == ""
    memberships = found[[f"membership_{name}" for name in REFERENCE]]
    assert memberships.sum(axis=1).to_numpy() == pytest.approx(np.ones(4))


def test_communities_of_the_types_are_mostly_recognised():
    found = typed((communities(200, 1) * 100_000).round())
    truth = found.index.str.replace(r"(_2)?-.*", "", regex=True)
    named = found["reference_type"] != "unclassified"
    assert (found["reference_type"] == truth)[named].mean() > 0.85
    assert named.mean() > 0.85
    assert (found["typicality"] < 0.01).mean() < 0.03
    low = found["reference_subtype"] == "bacteroides_2"
    is_low = found.index.str.startswith("bacteroides_2-")
    assert low[is_low].mean() > 0.8
    assert low[~is_low].mean() < 0.02


@pytest.mark.parametrize(
    "community",
    [{"bifidobacterium": 100}, {"enterobacteriaceae": 95, "streptococcus": 5}, {"akkermansia": 9}],
)
def test_a_sample_unlike_all_is_unclassified(community):
    counts = pd.DataFrame(0, index=REFERENCE.index, columns=["S1"])
    for part, percent in community.items():
        counts.loc[part, "S1"] = 1000 * percent
    found = typed(counts)
    assert found.loc["S1", "reference_type"] == "unclassified"
    assert found.loc["S1", "note"] == "unlike every reference type"


def test_a_sample_outside_the_parts_is_unclassified():
    counts = typical(1000)[["prevotella"]]
    found = typed(counts, n_assigned=counts.sum() * 5)
    assert "less than 30%" in found.loc["prevotella", "note"]
    nothing = typed(counts * 0, n_assigned=counts.sum())
    assert nothing.loc["prevotella", "note"] == "no fragment of the types' genera"
    assert nothing.filter(like="membership").isna().all(axis=None)


def test_between_two_types_nothing_is_named():
    pair = typical(1e6)[["bacteroides", "prevotella"]]
    mixed = {
        f"{w:.3f}": w * pair["bacteroides"] + (1 - w) * pair["prevotella"]
        for w in np.linspace(0, 1, 201)
    }
    found = typed(pd.DataFrame(mixed), min_membership=0.9)
    called = found["reference_type"].tolist()
    assert [called[0], called[-1]] == ["prevotella", "bacteroides"]
    middle = found["note"] == "no reference type reaches a membership of 0.9"
    assert middle.any()
    assert found.loc[middle, "reference_type"].eq("unclassified").all()


def test_membership_does_not_depend_on_order_or_company():
    counts = (communities(5, 2) * 1e5).round()
    found = typed(counts)
    turned = typed(counts.iloc[::-1, ::-1])
    pd.testing.assert_frame_equal(turned.loc[found.index], found)
    pd.testing.assert_frame_equal(typed(counts.iloc[:, [3]]), found.iloc[[3]])


def test_membership_is_stable_from_ten_thousand_to_a_million_fragments():
    random = np.random.default_rng(3)
    shares = communities(50, 3)
    columns = [f"membership_{name}" for name in REFERENCE]
    drawn = {
        depth: typed(shares.apply(lambda p, n=depth: pd.Series(random.multinomial(n, p), p.index)))
        for depth in (10_000, 1_000_000)
    }
    gap = (drawn[10_000][columns] - drawn[1_000_000][columns]).abs().max(axis=1)
    assert gap.median() < 0.01
    same = drawn[10_000]["reference_type"] == drawn[1_000_000]["reference_type"]
    assert same.mean() >= 0.95


def test_ncbi_and_gtdb_names_give_the_same_types():
    """The same communities, in a database of either nomenclature with its own numbers."""
    shares = (communities(10, 4) * 1e5).round().astype(int)
    found = {}
    for nomenclature in ("ncbi", "gtdb"):
        column, separator = ("ncbi_ids", ",") if nomenclature == "ncbi" else ("gtdb", ";")
        rows, database = [], []
        for part, cell in zip(MEMBERS["concept"], MEMBERS[column], strict=True):
            genera = [text for text in cell.split(separator) if not text.startswith("s__")]
            # All of a part's fragments are in its first genus, split in two where there are two.
            chosen = genera[:2]
            for position, label in enumerate(chosen):
                taxon = int(label) if nomenclature == "ncbi" else 10 + len(database)
                name = f"genus {label}" if nomenclature == "ncbi" else label[3:]
                database.append((taxon, "genus", name))
                half = shares.loc[part] // len(chosen)
                counts = half if position else shares.loc[part] - half * (len(chosen) - 1)
                rows.append((taxon, name, f"d__Bacteria;g__{name}", *counts))
        held = pd.DataFrame(database, columns=["taxon_id", "rank", "name"]).set_index("taxon_id")
        resolved = resolve_members(MEMBERS, MEMBERS, held, nomenclature)
        genus = pd.DataFrame(rows, columns=["taxon_id", "name", "lineage", *shares]).set_index(
            "taxon_id"
        )
        counts = concept_counts(genus, genus.iloc[:0], resolved)
        assert detectable_parts(resolved, held.index) == list(REFERENCE.index)
        found[nomenclature] = typed(counts)
    pd.testing.assert_frame_equal(found["ncbi"], found["gtdb"])


def test_parts_that_a_database_lacks_are_left_out():
    counts = typical(1e5).drop(index=["akkermansia", "collinsella"])
    found = typed(counts)
    assert found["reference_type"].tolist()[2:] == ["prevotella", "ruminococcus"]


def test_a_database_that_lacks_too_much_is_not_assessable():
    every = list(PARTS["part"])
    assert why_not_assessable(PARTS, every) == ""
    assert "holds no prevotella_segatella" in why_not_assessable(PARTS, set(every) - {every[1]})
    assert "holds 6 of the 16 parts" in why_not_assessable(PARTS, every[:6])


def test_silva_and_greengenes_have_enough_parts():
    for nomenclature in ("silva", "greengenes"):
        labels = [t for cell in MEMBERS[nomenclature] for t in cell.split(";") if t]
        held = pd.DataFrame({"rank": "genus", "name": [label[3:] for label in labels]})
        found = find_members(MEMBERS, held, nomenclature).dropna(subset="taxon_id")
        assert why_not_assessable(PARTS, set(found["concept"])) == ""


# --- the cohort's own types ---


@pytest.mark.parametrize("seed", range(3))
def test_three_types_are_found_and_one_is_left_alone(seed):
    counts, truth = bench.simulated(120, 3, 40, seed)
    found, models = cohort_types(counts, max_types=4, bootstraps=3, seed=seed)
    assert models.loc[models["is_chosen"] == "yes", "k"].tolist() == [3]
    assert adjusted_rand(truth, found["cohort_type"].to_numpy()) >= 0.9
    assert models["stability"].dropna().tolist()[0] > 0.8
    one, _ = bench.simulated(120, 1, 40, seed)
    found, models = cohort_types(one, max_types=3, bootstraps=3, seed=seed)
    assert models.loc[models["is_chosen"] == "yes", "k"].tolist() == [1]
    assert found["cohort_type"].eq("1").all()
    assert models["stability"].isna().all()


def test_cohort_types_do_not_depend_on_the_order_of_samples_or_genera():
    counts, _ = bench.simulated(60, 2, 20, 5)
    genera = counts.T.astype(int)
    genera.index = genera.index + 100
    names = {taxon: f"g{taxon}" for taxon in genera.index}
    found = [
        cohort_types(cohort_table(table, {}, names), max_types=3, bootstraps=2, seed=1)
        for table in (genera, genera.iloc[::-1, ::-1])
    ]
    pd.testing.assert_frame_equal(found[0][0], found[1][0])
    pd.testing.assert_frame_equal(found[0][1], found[1][1])


def test_the_cohort_table_merges_pools_and_evens_depth():
    genera = pd.DataFrame(
        {"S2": [400_000, 100_000, 500_000, 0], "S1": [10, 20, 69, 1]}, index=[816, 909656, 841, 7]
    )
    names = {816: "Bacteroides", 909656: "Phocaeicola", 841: "Roseburia", 7: "Rare"}
    merged = {"Bacteroides and Phocaeicola": [816, 909656]}
    table = cohort_table(genera, merged, names, min_prevalence=0.6)
    assert table.to_dict("index") == {
        "S1": {"Bacteroides and Phocaeicola": 30, "Roseburia": 69, "other": 1},
        "S2": {"Bacteroides and Phocaeicola": 5000, "Roseburia": 5000, "other": 0},
    }


# --- score and types ---


def scored(n=60, shift=0.0, seed=1):
    random = np.random.default_rng(seed)
    samples = [f"S{number}" for number in range(n)]
    types = pd.Series(np.where(np.arange(n) % 3 == 0, "prevotella", "bacteroides"), samples)
    metadata = pd.DataFrame({"group": np.where(random.random(n) < 0.5, "case", "control")}, samples)
    score = pd.Series(random.normal(size=n), samples)
    return score + shift * (types == "prevotella"), types, metadata


def test_the_tests_by_other_means():
    score, types, metadata = scored(shift=1.0)
    table = contrast(score, types, metadata, "group", "control").set_index("test")
    h, p = stats.kruskal(score[types == "prevotella"], score[types == "bacteroides"])
    assert table.loc["kruskal_wallis", ["statistic", "p"]].tolist() == pytest.approx([h, p])
    is_case = metadata["group"] == "case"
    t = stats.ttest_ind(score[is_case], score[~is_case])
    plain = table.loc["difference"]
    assert [plain["statistic"], plain["p"]] == pytest.approx([t.statistic, t.pvalue])
    interval = t.confidence_interval()
    assert [plain["low"], plain["high"]] == pytest.approx([interval.low, interval.high])
    design = np.column_stack([np.ones(60), is_case, types == "prevotella"]).astype(float)
    slope = np.linalg.lstsq(design, score, rcond=None)[0][1]
    assert table.loc["adjusted_difference", "effect"] == pytest.approx(slope)
    assert table["n"].tolist() == [60, 60, 60]


def test_rare_types_and_unclassified_samples_are_left_out_of_all_tests():
    score, types, metadata = scored()
    types.iloc[:5] = "unclassified"
    types.iloc[5:7] = "ruminococcus"
    table = contrast(score, types, metadata, "group", "control")
    assert table["n"].tolist() == [53, 53, 53]


def test_what_cannot_be_tested_says_why():
    score, types, metadata = scored()
    alone = contrast(score, types.where(types == "prevotella"), metadata, "group", "control")
    assert alone["reason"].str.startswith("1 community type with 3 or more").all()
    without = contrast(score, types, metadata, "", "")
    assert without["reason"].tolist() == ["", "no group is set", "no group is set"]
    constant = contrast(score, types, metadata.assign(group="case"), "group", "control")
    assert (constant["reason"] != "").tolist() == [False, True, True]


def repeated(seed, subjects=24, samples=4):
    """Subjects of one type and group each, seen several times, their scores alike by chance."""
    random = np.random.default_rng(seed)
    names = [f"S{number}" for number in range(subjects * samples)]
    person = np.repeat(np.arange(subjects), samples)
    types = pd.Series(np.where(person % 3 == 0, "prevotella", "bacteroides"), names)
    group = np.where(random.permutation(subjects)[person] % 2, "case", "control")
    metadata = pd.DataFrame({"group": group, "person": [f"P{i}" for i in person]}, names)
    score = random.normal(size=subjects)[person] + 0.5 * random.normal(size=len(names))
    return pd.Series(score, names), types, metadata


def test_samples_of_a_subject_are_one_value_of_it_so_that_p_is_calibrated():
    by_subject, by_sample = [], []
    for seed in range(100):
        score, types, metadata = repeated(seed)
        by_subject.append(contrast(score, types, metadata, "group", "control", "person")["p"])
        by_sample.append(contrast(score, types, metadata, "group", "control")["p"])
    for test in range(3):
        hits = int(sum(p[test] < 0.05 for p in by_subject))
        assert stats.binomtest(hits, 100, 0.05).pvalue > 0.001
        # What the comparison of samples would claim.
        assert np.mean([p[test] < 0.05 for p in by_sample]) > 0.15


def test_a_subject_has_its_mean_score_and_commonest_type():
    score, types, metadata = repeated(1)
    types.iloc[0] = "bacteroides"  # P0: 3 of 4 prevotella.
    types.iloc[4:6] = "prevotella"  # P1: 2 of each, these first.
    types.iloc[10:12] = "prevotella"  # P2: 2 of each, the others first.
    types.iloc[12:15] = "unclassified"  # P3 has one sample with a type.
    table = contrast(score, types, metadata, "group", "control", "person")
    assert table["n"].tolist() == [24, 24, 24]
    assert set(table["n_of"]) == {"subjects"}
    mean = score[types != "unclassified"].groupby(metadata["person"]).mean()
    is_prevotella = (mean.index.str[1:].astype(int) % 3 == 0) | (mean.index == "P1")
    _, p = stats.kruskal(mean[is_prevotella], mean[~is_prevotella])
    assert table.loc[0, "p"] == pytest.approx(p)
    assert set(contrast(score, types, metadata, "group", "control")["n_of"]) == {"samples"}


def test_a_subject_of_both_groups_leaves_the_groups_uncompared_and_says_so():
    score, types, metadata = repeated(1)
    metadata.iloc[:2, 0] = "case"
    metadata.iloc[2:4, 0] = "control"
    table = contrast(score, types, metadata, "group", "control", "person")
    assert table["reason"].str.startswith("subject P0 has samples of several").tolist() == [
        *(False, True, True)
    ]


def test_every_sample_has_a_row_with_its_reason():
    typed_rows = typed(typical(1e5)[["prevotella"]]).set_axis(["S1"])
    axis = pd.DataFrame({"bacillota": [0.4]}, index=["S1"])
    none = pd.DataFrame()
    table = sample_rows(
        *(["S1", "S2", "S3"], {"S2": "file is damaged"}, list(REFERENCE), axis, typed_rows, none),
        *(pd.Series({"S1": 1e5, "S2": np.nan, "S3": 0.0}), {"S3": "not assessable"}),
    )
    assert table["status"].tolist() == ["ok", "abstained", "abstained"]
    assert table["reason"].tolist() == ["", "file is damaged", "not assessable"]
    assert table["reference_type"].tolist() == ["prevotella", "", ""]
    assert table.loc["S1", "bacillota"] == 0.4
