"""PERMANOVA and PERMDISP: by hand, against scikit-bio and vegan, and what must not change them."""

import ast
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from scipy.spatial.distance import pdist, squareform
from scipy.stats import binom, chisquare
from skbio.stats.distance import DistanceMatrix
from skbio.stats.distance import permanova as skbio_permanova
from skbio.stats.distance import permdisp as skbio_permdisp

from moodbiome.association import NotRun, build_design
from moodbiome.diversity import bray_curtis
from moodbiome.permanova import (
    _count_as_large,
    _shuffles,
    distances_to_centroids,
    gower_centred,
    permanova,
    permdisp,
)

# Cover of 30 species in 20 dune meadows: Jongman, ter Braak & van Tongeren (1987), Data analysis in
# community and landscape ecology, Pudoc, Wageningen. One string a meadow, one digit a species.
DUNE = """
100000000004000070420000000000 300203400004000050470000505000 040702000004000060560000202020
080202302004000050450050201020 200042200004000025260500322020 200030000000000065340600355060
200020200000000265450300322020 040500000040004040442020302020 030300000006004420450220203020
400042400000000063440000306120 000000000000020073400020503240 040800000000000400040240203040
050500010000000300292020202000 040000000240000000002000206004 040000000250003000002000201040
070400000080003000022000000043 202040000000020002100000200000 000002000000000023300003502160
003040000000250000000033602030 050000000040004000004005200043
"""
MANAGEMENT = [code + "F" if code != "N" else "NM" for code in "SBSSHHHHHBBSSNNSNNNN"]
USE = [{"H": "Hayfield", "p": "Haypastu", "P": "Pasture"}[code] for code in "ppppHpPPHHPppPpPHHHH"]
A1 = [
    2.8, 3.5, 4.3, 4.2, 6.3, 4.3, 2.8, 4.2, 3.7, 3.3, 3.5, 5.8, 6, 9.3, 11.5, 5.7, 4, 4.6, 3.7, 3.5,
]  # fmt: skip


@pytest.fixture(scope="module")
def dune():
    """Bray-Curtis distances of the covers (not proportions, as in vegan) and the environment."""
    covers = np.array([[int(digit) for digit in meadow] for meadow in DUNE.split()])
    samples = pd.Index([f"M{i}" for i in range(20)])
    distance = pd.DataFrame(squareform(pdist(covers, "braycurtis")), samples, samples)
    return distance, pd.DataFrame({"A1": A1, "Management": MANAGEMENT, "Use": USE}, samples)


@pytest.fixture
def random():
    """Euclidean distances of 24 samples, half of them shifted; groups, a covariate, blocks."""
    generator = np.random.default_rng(11)
    samples = pd.Index([f"S{i}" for i in range(24)], name="sample")
    table = pd.DataFrame(
        {
            "group": ["a", "b"] * 12,
            "age": generator.normal(40, 10, 24),
            "subject": [f"P{i // 4}" for i in range(24)],
        },
        samples,
    )
    points = generator.normal(size=(24, 6)) + 0.6 * (table[["group"]] == "b").to_numpy()
    return pd.DataFrame(squareform(pdist(points)), samples, samples), table


def terms(table, formula):
    return build_design(table, formula).by_term()


def test_permanova_by_hand():
    """Points 0, 1, 2 and 10, 11, 12 on a line: the analysis of variance of a line."""
    samples = list("abcdef")
    points = np.array([0, 1, 2, 10, 11, 12.0])
    distance = pd.DataFrame(np.abs(points[:, None] - points), samples, samples)
    arm = {"arm": pd.DataFrame({"arm": [0, 0, 0, 1, 1, 1.0]}, samples)}
    table = permanova(distance, arm, permutations=999, seed=1).set_index("term")
    assert table.loc["arm", "ss"] == pytest.approx(150)
    assert table.loc["Residual", "ss"] == pytest.approx(4)
    assert table.loc["Total", "ss"] == pytest.approx(154)
    assert table.loc["arm", "pseudo_f"] == pytest.approx(150)
    # 2 of the 20 ways to choose three points are as far apart.
    assert table.loc["arm", "p"] == pytest.approx(0.1, abs=0.03)
    assert "only 720 distinct permutations" in table.loc["arm", "note"]


def test_one_factor_is_that_of_scikit_bio(random):
    distance, table = random
    ours = permanova(distance, terms(table, "~ subject"), permutations=99)
    theirs = skbio_permanova(
        DistanceMatrix(distance.to_numpy(), list(distance.index)), table["subject"], permutations=0
    )
    assert ours.loc[0, "pseudo_f"] == pytest.approx(theirs["test statistic"], rel=1e-10)


def test_one_factor_is_that_of_vegan(dune):
    """adonis2(dune ~ Management), vegan 2.6-4, 9,999 permutations: p = 0.003."""
    distance, table = dune
    row = permanova(distance, terms(table, "~ Management"), 4999, seed=1).iloc[0]
    assert row["df"] == 3
    assert row["ss"] == pytest.approx(1.468591752, rel=1e-9)
    assert row["r2"] == pytest.approx(0.3416106724, rel=1e-9)
    assert row["pseudo_f"] == pytest.approx(2.767243498, rel=1e-9)
    assert row["p"] == pytest.approx(0.003, abs=0.0025)


def test_marginal_terms_are_those_of_vegan(dune):
    """adonis2(dune ~ A1 + Management + Use, by = "margin"), vegan 2.6-4, 9,999 permutations."""
    distance, table = dune
    found = permanova(distance, terms(table, "~ A1 + Management + Use"), 4999, seed=1)
    found = found.set_index("term")
    vegan = pd.DataFrame(
        {
            "df": [1, 3, 2, 13, 19],
            "ss": [0.3264835092, 0.8766671069, 0.2613403409, 2.1282005346, 4.2990218704],
            "r2": [0.07594367254, 0.20392245801, 0.06079065164, 0.49504296530, 1.0],
            "pseudo_f": [1.9943071860, 1.7850248295, 0.7981918002, np.nan, np.nan],
        },
        index=["A1", "Management", "Use", "Residual", "Total"],
    )
    for column in vegan:
        np.testing.assert_allclose(found[column].astype(float), vegan[column], rtol=1e-9)
    np.testing.assert_allclose(found["p"][:3], [0.0821, 0.0545, 0.6338], atol=0.03)


def test_permutations_within_blocks_give_the_p_of_vegan(dune):
    """adonis2(dune ~ A1 + Management, by = "margin") with setBlocks(Use): p = 0.0273, 0.0141."""
    distance, table = dune
    found = permanova(distance, terms(table, "~ A1 + Management"), 4999, 1, table["Use"])
    assert found["pseudo_f"][:2].tolist() == pytest.approx([2.767618966, 2.482755651], rel=1e-9)
    np.testing.assert_allclose(found["p"][:2], [0.0273, 0.0141], atol=0.01)


def test_shuffled_sums_are_those_of_freedman_and_lane_on_the_data(random):
    """The long way for Euclidean distances: shuffle residual rows, add the fit, fit again."""
    distance, table = random
    design = terms(table, "~ group + age")
    axes, scale, _ = np.linalg.svd(gower_centred(distance.to_numpy()))
    data = axes[:, :8] * np.sqrt(scale[:8])
    reduced = np.column_stack([np.ones(24), design["age"]])
    full = np.column_stack([reduced, design["group"]])

    def projector(columns):
        return columns @ np.linalg.pinv(columns)

    def statistic(values):
        term = np.square((projector(full) - projector(reduced)) @ values).sum()
        return term / (np.square(values - projector(full) @ values).sum() / 21)

    fitted = projector(reduced) @ data
    generator = np.random.default_rng(3)
    shuffled = [statistic(fitted + (data - fitted)[generator.permutation(24)]) for _ in range(2000)]
    found = permanova(distance, design, 2000, seed=5).set_index("term").loc["group"]
    assert found["pseudo_f"] == pytest.approx(statistic(data))
    assert found["p"] == pytest.approx(np.mean(np.array(shuffled) >= statistic(data)), abs=0.02)


def test_p_is_calibrated_beside_a_covariate_that_goes_with_the_term():
    generator = np.random.default_rng(20)
    samples = pd.Index([f"S{i}" for i in range(30)])
    hits = 0
    for run in range(100):
        age = generator.normal(size=30)
        group = (age + generator.normal(size=30) > 0).astype(float)
        points = generator.normal(size=(30, 5)) + age[:, None]
        distance = pd.DataFrame(squareform(pdist(points)), samples, samples)
        design = {
            "group": pd.DataFrame({"group": group}, samples),
            "age": pd.DataFrame({"age": age}, samples),
        }
        hits += permanova(distance, design, 99, run).loc[0, "p"] <= 0.05
    assert binom.cdf(hits, 100, 0.05) > 0.001
    assert binom.sf(hits - 1, 100, 0.05) > 0.001


def test_sample_order_and_further_samples_change_no_statistic(random):
    distance, table = random
    first = permanova(distance, terms(table, "~ group + age"), 9)
    order = table.index[::-1]
    again = permanova(distance, terms(table.loc[order], "~ group + age"), 9)
    assert_frame_equal(again[["ss", "r2", "pseudo_f"]], first[["ss", "r2", "pseudo_f"]])
    part = permanova(distance, terms(table[:20], "~ group + age"), 9)
    alone = permanova(distance.iloc[:20, :20], terms(table[:20], "~ group + age"), 9)
    assert_frame_equal(part, alone)


def test_a_term_tested_alone_is_given_all_the_others(random):
    distance, table = random
    design = terms(table, "~ group + age")
    both = permanova(distance, design, 99, 4)
    alone = permanova(distance, design, 99, 4, tested=["group"])
    assert alone["term"].tolist() == ["group", "Residual", "Total"]
    assert_frame_equal(alone.iloc[[0]], both.iloc[[0]])


@pytest.mark.parametrize("scale", [1e-30, 1, 1e30])
def test_the_count_is_that_of_double_precision_whatever_the_unit(random, scale):
    distance, table = random
    values = distance.to_numpy() * scale
    centred = gower_centred(values)
    generator = np.random.default_rng(3)
    shuffles = np.array([generator.permutation(24) for _ in range(400)])
    ages, own = np.linalg.qr(generator.normal(size=(24, 3)))[0].T, (table["group"] == "b") - 0.5
    reduced = (ages - ages.mean(axis=1, keepdims=True)).T
    reduced = np.linalg.qr(reduced)[0]
    own = own.to_numpy() - reduced @ (reduced.T @ own.to_numpy())
    own = (own / np.linalg.norm(own))[:, None]
    both = np.column_stack([own, reduced])
    left = np.trace(centred) - np.trace(reduced.T @ centred @ reduced)
    expected = []
    for shuffle in shuffles:
        moved = both[shuffle] - reduced @ (reduced.T @ both[shuffle])
        sums = np.einsum("ij,ij->j", centred @ moved, moved)
        expected.append(sums[0] / ((left - sums.sum()) / 19))
    # The observed statistic is put at each of some shuffled ones: ties, and values near to them.
    for observed in np.array(expected)[:40]:
        residual = left / (1 + observed / 19)
        count = _count_as_large(values, own, reduced, 19, left - residual, residual, shuffles)
        assert count == (np.array(expected) >= observed * (1 - 1e-9)).sum()


@pytest.mark.parametrize("kind", ["communities", "far outlier", "no structure"])
@pytest.mark.parametrize("levels", [2, 4])
def test_one_factor_counts_as_the_sums_of_squared_distances_within_groups_do(kind, levels):
    """600 samples, so that several panels are multiplied; the long way is in double precision."""
    generator = np.random.default_rng(levels)
    n = 600
    points = np.exp(generator.normal(0, 2, (n, 30)))
    points /= points.sum(axis=1, keepdims=True)
    points[0] += 1e5 * (kind == "far outlier")
    condensed = generator.random(n * (n - 1) // 2)
    values = squareform(condensed if kind == "no structure" else pdist(points))
    samples = pd.Index([f"S{i}" for i in range(n)])
    distance = pd.DataFrame(values, samples, samples)
    group = pd.Series(generator.integers(0, levels, n), samples)
    design = {"group": pd.get_dummies(group, drop_first=True, dtype=float)}
    sizes = np.bincount(group)
    total = np.square(values).sum() / (2 * n)

    def pseudo_f(codes):
        indicator = np.eye(levels)[codes]
        within = (np.einsum("ij,ij->j", values**2 @ indicator, indicator) / (2 * sizes)).sum()
        return (total - within) / (levels - 1) / (within / (n - levels))

    found = permanova(distance, design, 199, 7).loc[0]
    observed = pseudo_f(group.to_numpy())
    assert found["pseudo_f"] == pytest.approx(observed, rel=1e-9)
    # A basis is shuffled as its rows are, and the labels with them.
    shuffled = [
        pseudo_f(group.to_numpy()[shuffle]) for shuffle in _shuffles(np.zeros(n, int), 199, 7)
    ]
    count = sum(statistic >= observed * (1 - 1e-9) for statistic in shuffled)
    assert found["p"] == (1 + count) / 200


def test_shuffles_keep_to_their_blocks_and_come_in_every_order_alike():
    codes = np.array([2, 0, 1, 0, 2, 0, 1])
    shuffles = _shuffles(codes, 6000, 1)
    assert (np.sort(shuffles, axis=1) == np.arange(7)).all()
    assert (codes[shuffles] == codes).all()
    # 3! orders of block 0, 2! of the others.
    orders, counts = np.unique(shuffles, axis=0, return_counts=True)
    assert len(orders) == 24
    assert chisquare(counts).pvalue > 0.001


def test_the_same_seed_gives_the_same_table(random):
    distance, table = random
    design = terms(table, "~ group + age")
    assert_frame_equal(permanova(distance, design, 99, 4), permanova(distance, design, 99, 4))


def test_a_term_constant_within_blocks_is_not_run_and_says_so(random):
    distance, table = random
    table["arm"] = np.where(table["subject"] < "P3", "x", "y")
    found = permanova(distance, terms(table, "~ group + arm"), 99, 1, table["subject"])
    found = found.set_index("term")
    assert found.loc["arm", "note"] == "not run: constant within every block"
    assert np.isnan(found.loc["arm", "p"])
    assert found.loc["group", "p"] > 0


def test_a_term_within_an_interaction_is_not_run_and_says_so(random):
    distance, table = random
    found = permanova(distance, terms(table, "~ group * age"), 99).set_index("term")
    assert found.loc["age", "note"] == "not run: part of the interaction group:age"
    assert found.loc["group:age", "df"] == 1


def test_a_term_the_others_determine_is_not_run_and_says_so(random):
    distance, table = random
    design = terms(table, "~ group")
    twice = {"group": design["group"], "also": 3 * design["group"] - 1}
    assert permanova(distance, twice, 9)["note"][0].endswith("determine this one (collinear)")


def test_p_at_its_resolution_says_so(random):
    distance, table = random
    far = distance + 50.0 * (table["group"].to_numpy()[:, None] != table["group"].to_numpy())
    row = permanova(far, terms(table, "~ group"), 99).iloc[0]
    assert row["p"] == 0.01
    assert row["note"] == "p is at its resolution, 1/(permutations + 1) = 1/100"


def test_blocks_of_one_sample_are_refused(random):
    distance, table = random
    single = pd.Series(table.index, table.index)
    with pytest.raises(NotRun, match="every block holds one sample"):
        permanova(distance, terms(table, "~ group"), 9, 0, single)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop(index="S3"), r"sample 'S3' has no row in the distance matrix"),
        (lambda d: d.assign(S3=np.nan), r"samples 'S0' and 'S3' is nan one way"),
        (lambda d: -d, r"'S0' and 'S1' .* distances are symmetric, 0 or more"),
    ],
)
def test_a_bad_matrix_is_refused_by_name(random, change, message):
    distance, table = random
    with pytest.raises(ValueError, match=message):
        permanova(change(distance), terms(table, "~ group"), 9)


def test_a_sample_without_a_block_is_named(random):
    distance, table = random
    with pytest.raises(ValueError, match="sample 'S3' has no block"):
        permanova(distance, terms(table, "~ group"), 9, 0, table["subject"].drop("S3"))


def test_distance_to_centroid_by_hand():
    corners = np.array([[0, 0], [4, 0], [0, 4], [4, 4], [100, 100.0]])
    found = distances_to_centroids(squareform(pdist(corners)), np.array([0, 0, 0, 0, 1]))
    np.testing.assert_allclose(found, [np.sqrt(8)] * 4 + [0], atol=1e-6)


def test_permdisp_uses_every_axis(random):
    """scikit-bio's default keeps 10 axes, with eigh as with fsvd, and answers another question."""
    generator = np.random.default_rng(8)
    samples = [f"S{i}" for i in range(60)]
    group = pd.Series(["a", "b"] * 30, samples, name="group")
    distance = squareform(pdist(generator.normal(size=(60, 40))))
    ours = permdisp(pd.DataFrame(distance, samples, samples), group, 9)
    matrix = DistanceMatrix(distance, samples)
    full, ten = (
        skbio_permdisp(matrix, group, test="centroid", permutations=0, method="eigh", dimensions=k)
        for k in (60, 10)
    )
    assert ours.loc[0, "pseudo_f"] == pytest.approx(full["test statistic"], rel=1e-8)
    assert ours.loc[0, "pseudo_f"] != pytest.approx(ten["test statistic"], rel=0.01)


def test_no_step_leaves_permdisp_or_an_ordination_to_scikit_bio():
    """Its fsvd approximates and keeps 10 axes: p was 0.026 against 0.91 in 2,000 samples."""
    scripts = Path(__file__).parents[2] / "scripts"
    files = list(scripts.rglob("*.py"))
    assert files
    for file in files:
        tree = ast.parse(file.read_text())
        imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        taken = {
            name.name for node in imported if node.module[:5] == "skbio" for name in node.names
        }
        assert not taken & {"permdisp", "permanova", "pcoa", "stats", "distance", "ordination"}, (
            file
        )
        words = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        assert "fsvd" not in words, file


def test_permdisp_is_that_of_vegan_with_imaginary_axes(dune):
    """betadisper(type = "centroid"), vegan 2.6-4: F = 3.8687, p = 0.0279 (9,999)."""
    distance, table = dune
    row = permdisp(distance, table["Management"], 4999, 1).iloc[0]
    assert row["ss"] == pytest.approx(0.1245739602, rel=1e-9)
    assert row["pseudo_f"] == pytest.approx(3.8687, abs=5e-5)
    assert row["p"] == pytest.approx(0.0279, abs=0.01)


def test_a_difference_in_spread_alone_is_found_by_permdisp():
    generator = np.random.default_rng(1)
    samples = [f"S{i}" for i in range(60)]
    group = pd.Series(["a", "b"] * 30, samples, name="group")
    points = generator.normal(size=(60, 10)) * np.where(group == "a", 1, 2)[:, None]
    distance = pd.DataFrame(squareform(pdist(points)), samples, samples)
    assert permdisp(distance, group, 199).loc[0, "p"] == 1 / 200


def test_permdisp_names_the_group_that_is_too_small(dune):
    distance, table = dune
    group = table["Management"].replace("NM", "SF")
    group.iloc[0] = "XX"
    with pytest.raises(NotRun, match=r"groups or more of 3 samples or more; it has .*XX \(1\)"):
        permdisp(distance, group, 9)


def test_a_cohort_of_a_thousand_takes_no_minute():
    generator = np.random.default_rng(2)
    samples = pd.Index([f"S{i}" for i in range(1000)])
    counts = pd.DataFrame(generator.poisson(3, (50, 1000)), columns=samples)
    design = {
        name: pd.DataFrame({name: generator.normal(size=1000)}, samples) for name in ("a", "b", "c")
    }
    distance = bray_curtis(counts)
    start = time.perf_counter()
    permanova(distance, design, 999)
    # About 1 s on two idle cores; a loop over permutations takes over a minute.
    assert time.perf_counter() - start < 30
