"""Alpha and beta diversity: by hand, against scikit-bio, and what must not change them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from scipy.stats import hypergeom, spearmanr
from skbio.diversity import alpha_diversity, beta_diversity
from skbio.stats.composition import rclr
from skbio.stats.distance import DistanceMatrix
from skbio.stats.ordination import pcoa as skbio_pcoa

from moodbiome.association import NotRun
from moodbiome.diversity import (
    ALPHA_METRICS,
    aitchison,
    alpha,
    bray_curtis,
    choose_coverage,
    choose_depth,
    depth_sensitivity,
    expected_coverage,
    features,
    jaccard,
    pcoa,
    rarefied,
    rarefy,
    taxa_of_axes,
)
from moodbiome.phylogeny import taxonomy_branches

REAL = Path(__file__).parents[3] / "shared" / "data" / "tables_mini" / "genera.counts.tsv"


@pytest.fixture
def counts():
    generator = np.random.default_rng(7)
    values = generator.poisson(generator.gamma(0.4, 60, (40, 1)) * generator.uniform(0.3, 2, 12))
    return pd.DataFrame(values, range(100, 140), [f"S{i}" for i in range(12)])


def metrics(values):
    return {name: metric(np.array([values]))[0] for name, metric in ALPHA_METRICS.items()}


def test_alpha_metrics_by_hand():
    by_hand = metrics([2, 1, 1, 0])
    assert by_hand["observed"] == by_hand["hill_q0"] == 3
    assert by_hand["chao1"] == 3 + 2 * 1 / (2 * (1 + 1))
    assert by_hand["shannon"] == pytest.approx(1.5 * np.log(2))
    assert by_hand["simpson"] == pytest.approx(1 - 0.375)
    assert by_hand["pielou"] == pytest.approx(1.5 * np.log(2) / np.log(3))
    assert by_hand["hill_q1"] == pytest.approx(2**1.5)
    assert by_hand["hill_q2"] == pytest.approx(1 / 0.375)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("observed", "observed_features"),
        ("chao1", "chao1"),
        ("shannon", "shannon"),
        ("simpson", "simpson"),
        ("pielou", "pielou_e"),
        ("hill_q2", "inv_simpson"),
    ],
)
def test_alpha_metrics_agree_with_scikit_bio(counts, name, theirs):
    values = counts.to_numpy().T
    np.testing.assert_allclose(ALPHA_METRICS[name](values), alpha_diversity(theirs, values))


def test_a_community_of_equal_taxa_has_as_many_effective_taxa():
    even = metrics([5] * 8)
    assert even["hill_q1"] == pytest.approx(8)
    assert even["hill_q2"] == pytest.approx(8)
    assert even["pielou"] == pytest.approx(1)


def test_features_takes_off_labels_and_unplaced_rows():
    table = pd.DataFrame(
        {"name": ["unclassified", "unassigned", "A"], "lineage": ["", "", "d__B"], "S1": [1, 2, 3]},
        index=pd.Index([0, -1, 816], name="taxon_id"),
    )
    assert features(table).to_dict() == {"S1": {816: 3}}


@pytest.mark.parametrize("value", [-1, np.nan, 0.5, np.inf])
def test_features_names_the_cell_that_is_no_count(value):
    with pytest.raises(ValueError, match=r"sample 'S2', taxon 816: .* is not a count"):
        features(pd.DataFrame({"S1": [1.0], "S2": [value]}, index=[816]))


def test_features_names_the_taxon_that_occurs_twice():
    with pytest.raises(ValueError, match="taxon 816 occurs twice"):
        features(pd.DataFrame({"S1": [1, 2]}, index=[816, 816]))


def test_depth_keeps_nine_in_ten_of_the_usable_samples():
    totals = pd.Series([3, 999, 1200, *range(3000, 12000, 1000)])
    assert choose_depth(totals) == 3000
    assert (totals >= choose_depth(totals)).sum() == 9


def test_depth_keeps_every_usable_sample_where_that_costs_less_than_half():
    assert choose_depth(pd.Series([999, 1500, *range(3000, 12000, 1000)])) == 1500


def test_depth_is_that_of_the_smallest_usable_sample_where_all_are_kept():
    assert choose_depth(pd.Series([500, 1000, 9000]), minimum_samples_share=1) == 1000


def test_depth_says_why_there_is_none():
    with pytest.raises(NotRun, match=r"none of 2 samples has 1000 .* the deepest has 999"):
        choose_depth(pd.Series([3, 999]))


def test_draws_follow_the_hypergeometric_distribution():
    sample = pd.Series([30, 60, 10], index=[1, 2, 3], name="S1")
    draws = rarefy(sample, 20, 4000, seed=1)
    assert (draws.sum(axis=1) == 20).all()
    expected = hypergeom(100, sample.to_numpy(), 20)
    error = expected.std() / np.sqrt(4000)
    assert (np.abs(draws.mean(axis=0) - expected.mean()) < 4 * error).all()
    np.testing.assert_allclose(draws.var(axis=0), expected.var(), rtol=0.1)


def test_rarefy_names_the_sample_that_is_too_shallow():
    with pytest.raises(ValueError, match="sample 'S1' has 3 fragments; it has no depth of 4"):
        rarefy(pd.Series([3], name="S1"), 4, 1, seed=1)


def test_rarefy_refuses_more_fragments_than_numpy_can_draw_from():
    with pytest.raises(ValueError, match="'S1' has 1000000000 fragments"):
        rarefy(pd.Series([10**9], name="S1"), 4, 1, seed=1)


def test_rarefied_counts_are_the_first_draw_of_each_sample(counts):
    table = rarefied(counts, 50, seed=4)
    assert (table.sum() == 50).all()
    assert table["S2"].tolist() == rarefy(counts["S2"], 50, 1, 4)[0].tolist()


def test_alpha_at_full_depth_is_that_of_the_counts(counts):
    one = counts[["S3"]]
    table = alpha(one, int(one["S3"].sum()), repeats=3).set_index("metric")
    for name, value in metrics(one["S3"].to_numpy()).items():
        assert table.loc[name, ["value", "low", "high"]].tolist() == pytest.approx([value] * 3)


def test_expected_richness_is_that_of_hurlbert(counts):
    sample = counts["S1"].to_numpy()
    absent = hypergeom(sample.sum(), sample, 100).pmf(0)
    table = alpha(counts[["S1"]], 100, repeats=2000).set_index("metric")
    assert table.loc["observed", "value"] == pytest.approx((1 - absent).sum(), abs=0.15)


def test_a_sample_below_the_depth_keeps_its_rows_with_empty_values(counts):
    counts["S0"] = 0
    table = alpha(counts, 50, repeats=5)
    assert table["sample"].unique().tolist() == counts.columns.tolist()
    below = table[table["sample"] == "S0"]
    assert len(below) == len(ALPHA_METRICS)
    assert below[["value", "low", "high", "depth_used", "coverage_used"]].isna().all(axis=None)
    assert set(below["status"]) == {"below_depth"}
    assert table.loc[table["sample"] == "S1", "depth_used"].eq(50).all()


def test_alpha_of_a_sample_depends_on_neither_the_other_samples_nor_the_row_order(counts):
    whole = alpha(counts, 50, repeats=20, seed=3).set_index("sample").loc[["S5", "S2"]]
    part = alpha(counts[["S5", "S2"]].iloc[::-1], 50, repeats=20, seed=3).set_index("sample")
    assert_frame_equal(part, whole)


def test_evenness_of_a_single_taxon_is_undefined():
    table = alpha(pd.DataFrame({"S1": [20, 0]}), 10, repeats=5).set_index("metric")
    assert table.loc["pielou", "status"] == "undefined"
    assert np.isnan(table.loc["pielou", "value"])
    assert table.loc["shannon", "value"] == 0


def at_depths(counts, depth):
    tables = {at: alpha(counts, at, repeats=10) for at in (depth // 2, depth, 2 * depth)}
    return depth_sensitivity(tables, depth).set_index(["metric", "depth_fragments"])


def test_depth_sensitivity_counts_the_samples_that_reach_both_depths(counts):
    depth = int(counts.sum().median())
    table = at_depths(counts, depth)
    assert table.loc[("observed", depth // 2), "n"] == (counts.sum() >= depth).sum()
    assert table.loc[("observed", 2 * depth), "n"] == (counts.sum() >= 2 * depth).sum()
    assert table.loc[("observed", depth // 2), "median_change"] < 0


def test_coverage_by_hand():
    """Chao & Jost (2012): 1 - f1/n * (n-1) f1 / ((n-1) f1 + 2 f2), without doubletons f1 - 1."""
    assert metrics([6, 2, 1, 1])["coverage"] == pytest.approx(1 - 0.2 * 18 / (18 + 2))
    assert metrics([7, 1, 1, 1])["coverage"] == pytest.approx(1 - 0.3 * 18 / (18 + 2))
    assert metrics([5, 5, 0, 0])["coverage"] == 1


def test_expected_coverage_is_that_of_draws():
    """What a draw of m fragments covers of the rest: the chance that fragment m + 1 is of a taxon
    seen before."""
    sample = pd.Series([40, 20, 10, 5, 3, 1, 1], name="S1")
    draws = rarefy(sample, 21, 20000, seed=1)
    first = rarefy(sample, 20, 20000, seed=2)
    new = draws.astype(bool).sum(axis=1).mean() - first.astype(bool).sum(axis=1).mean()
    assert expected_coverage(sample.to_numpy(), 20) == pytest.approx(1 - new, abs=0.02)


def test_expected_coverage_grows_with_depth_up_to_that_of_the_sample():
    sample = np.array([40, 20, 10, 5, 3, 2, 1, 1])
    found = [expected_coverage(sample, depth) for depth in range(1, 83)]
    assert (np.diff(found) >= 0).all()
    assert found[-1] == pytest.approx(metrics(sample)["coverage"])
    assert found[-2] == pytest.approx(1 - 2 / 82)
    with pytest.raises(ValueError, match="a sample of 82 fragments has no depth of 83"):
        expected_coverage(sample, 83)


def test_equal_coverage_draws_a_poor_community_to_a_smaller_depth():
    counts = pd.DataFrame({"rich": [10] * 100, "poor": [250] * 4 + [0] * 96})
    coverage = choose_coverage(counts, 200)
    assert coverage == expected_coverage(counts["rich"].to_numpy(), 200)
    table = alpha(counts, 200, repeats=50, coverage=coverage).set_index(["metric", "sample"])
    here = table.loc["observed_at_coverage"]
    assert here.loc["rich", "depth_used"] == 200
    assert here.loc["poor", "depth_used"] < 20
    assert (here["coverage_used"] >= coverage).all()
    rich, poor = here.loc[["rich", "poor"], "value"]
    assert rich == table.loc[("observed", "rich"), "value"]
    # The ratio at equal depth is 22; at equal coverage that of the communities, 25, comes nearer.
    observed = table.loc["observed", "value"]
    assert rich / poor > observed["rich"] / observed["poor"]


def test_a_sample_without_the_coverage_says_so():
    counts = pd.DataFrame({"rich": [10] * 100, "poor": [250] * 4 + [0] * 96})
    coverage = choose_coverage(counts[["poor"]], 200)
    table = alpha(counts, 200, repeats=10, coverage=coverage).set_index(["sample", "metric"])
    row = table.loc[("rich", "shannon_at_coverage")]
    assert row["status"] == "below_coverage"
    assert np.isnan(row["value"])
    assert table.loc[("rich", "shannon"), "status"] == "ok"


def test_a_tree_adds_its_metric_under_its_name(counts):
    lineages = pd.Series([f"d__B;p__P{i % 3};g__G{i}" for i in range(40)], counts.index)
    trees = {"faith_pd_taxonomy": taxonomy_branches(lineages)}
    table = alpha(counts[["S1"]], 50, repeats=20, trees=trees).set_index("metric")
    # A genus is 4 ranks below its phylum: its branches are added, and the three phyla's, and one.
    observed = table.loc["observed", "value"]
    value = table.loc["faith_pd_taxonomy", "value"]
    assert 4 * observed + 2 <= value <= 4 * observed + 4


def test_depth_does_not_reorder_communities_of_plainly_different_evenness():
    share = np.array([np.arange(1, 31) ** -power for power in (0.1, 0.6, 1.1, 1.6, 2.1)]).T
    counts = pd.DataFrame((share / share.sum(axis=0) * 5000).astype(int), columns=list("ABCDE"))
    table = at_depths(counts, 1000)
    assert table.loc[("shannon", 500), "rank_correlation"] == pytest.approx(1)
    assert table.loc[("shannon", 2000), "rank_correlation"] == pytest.approx(1)


def test_beta_by_hand():
    counts = pd.DataFrame({"A": [8, 2, 0, 0], "B": [10, 5, 5, 0], "C": [0, 0, 0, 3]})
    assert bray_curtis(counts).loc["A", "B"] == pytest.approx((0.3 + 0.05 + 0.25) / 2)
    assert bray_curtis(counts).loc["A", "C"] == pytest.approx(1)
    assert jaccard(counts[["A"]].assign(D=[0, 6, 4, 0]), 10).loc["A", "D"] == pytest.approx(2 / 3)
    centre = np.log(8 * 2) / 2
    logs = np.array([np.log(8) - centre, np.log(2) - centre, 0, 0])
    assert aitchison(counts).loc["A", "C"] == pytest.approx(np.linalg.norm(logs))


def test_beta_agrees_with_scikit_bio(counts):
    values = counts.to_numpy().T
    share = values / values.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(bray_curtis(counts), beta_diversity("braycurtis", share).data)
    robust = np.nan_to_num(rclr(values.astype(float)))
    theirs = beta_diversity("euclidean", robust, validate=False).data
    np.testing.assert_allclose(aitchison(counts), theirs, atol=1e-9)


def test_beta_ignores_sequencing_depth(counts):
    deeper = counts * np.arange(1, 13)
    for distance in (bray_curtis, aitchison):
        np.testing.assert_allclose(distance(deeper), distance(counts), atol=1e-9)


def test_equal_samples_are_at_a_distance_of_exactly_zero(counts):
    twins = counts.assign(twin=counts["S1"])
    for distance in (bray_curtis(twins), aitchison(twins), aitchison(twins, pseudocount=0.5)):
        assert distance.loc["S1", "twin"] == 0


def test_jaccard_leaves_out_samples_below_the_depth(counts):
    counts["S0"] = 0
    distance = jaccard(counts, 50)
    assert "S0" not in distance.index
    assert (np.diag(distance) == 0).all()
    assert_frame_equal(distance, distance.T, check_names=False)


def test_jaccard_of_one_community_at_two_depths_is_smaller_after_rarefaction():
    community = np.random.default_rng(2).gamma(0.3, 1, 300)
    draw = np.random.default_rng(3).multinomial
    share = community / community.sum()
    counts = pd.DataFrame({"deep": draw(50_000, share), "shallow": draw(500, share)})
    present = counts > 0
    raw = 1 - present.all(axis="columns").sum() / present.any(axis="columns").sum()
    assert jaccard(counts, 500).loc["deep", "shallow"] < raw - 0.05


@pytest.mark.parametrize("distance", [bray_curtis, aitchison])
def test_beta_names_the_empty_sample(counts, distance):
    with pytest.raises(ValueError, match="sample 'S0' has no fragments of any taxon"):
        distance(counts.assign(S0=0))


def test_pcoa_of_euclidean_distances_gives_the_points_back():
    points = np.random.default_rng(5).normal(size=(9, 2))
    distance = np.linalg.norm(points[:, None] - points, axis=2)
    ordination = pcoa(pd.DataFrame(distance, list("abcdefghi"), list("abcdefghi")))
    assert ordination.coordinates.shape == (9, 2)
    assert ordination.share.sum() == pytest.approx(1)
    found = ordination.coordinates.to_numpy()
    np.testing.assert_allclose(np.linalg.norm(found[:, None] - found, axis=2), distance, atol=1e-9)


def test_pcoa_of_many_samples_is_that_of_few(counts, monkeypatch):
    distance = bray_curtis(counts)
    whole = pcoa(distance, axes=4)
    monkeypatch.setattr("moodbiome.diversity._MANY_SAMPLES", 5)
    few = pcoa(distance, axes=4)
    np.testing.assert_allclose(few.coordinates, whole.coordinates, atol=1e-9)
    np.testing.assert_allclose(few.share, whole.share, rtol=1e-9)


def test_pcoa_is_that_of_scikit_bio(counts):
    distance = bray_curtis(counts)
    ours = pcoa(distance, axes=3)
    theirs = skbio_pcoa(DistanceMatrix(distance.to_numpy()), dimensions=3, warn_neg_eigval=False)
    np.testing.assert_allclose(ours.share, theirs.proportion_explained, rtol=1e-9)
    np.testing.assert_allclose(ours.coordinates.abs(), np.abs(theirs.samples), atol=1e-9)


def test_pcoa_refuses_what_is_no_distance():
    with pytest.raises(ValueError, match="distances are symmetric"):
        pcoa(pd.DataFrame([[0, 1, 2], [1, 0, 3], [2, 4, 0]]))


def test_loadings_of_aitchison_are_those_of_the_components(counts):
    coordinates = pcoa(aitchison(counts)).coordinates.iloc[:, :2]
    found = taxa_of_axes(counts, coordinates, "aitchison")
    counts = counts[counts.any(axis="columns")]
    robust = np.nan_to_num(rclr(counts.to_numpy(float).T))
    right = np.linalg.svd(robust - robust.mean(axis=0), full_matrices=False)[2]
    first = found[found["axis"] == "PC1"].set_index("taxon_id")["loading"].loc[counts.index]
    np.testing.assert_allclose(np.abs(first), np.abs(right[0]), atol=1e-8)
    assert (first**2).sum() == pytest.approx(1)
    assert np.corrcoef(robust @ first, coordinates["PC1"])[0, 1] == pytest.approx(1)


def test_taxa_of_axes_stand_in_order_of_strength_and_without_the_absent(counts):
    coordinates = pcoa(bray_curtis(counts)).coordinates.iloc[:, :2]
    table = counts.copy()
    table.loc[999] = 0
    found = taxa_of_axes(table, coordinates, "bray_curtis")
    assert 999 not in found["taxon_id"].tolist()
    first = found[found["axis"] == "PC1"]
    assert first["correlation"].abs().is_monotonic_decreasing
    top = first.iloc[0]
    share = (table / table.sum()).loc[top["taxon_id"]]
    expected = spearmanr(share, coordinates["PC1"]).statistic
    assert top["correlation"] == pytest.approx(expected)
    mean = (share * coordinates["PC1"]).sum() / share.sum()
    assert top["weighted_average"] == pytest.approx(mean)


def test_pcoa_points_each_axis_to_its_farthest_sample(counts):
    coordinates = pcoa(bray_curtis(counts)).coordinates
    assert (coordinates.max() >= -coordinates.min()).all()
    order = counts.columns[::-1]
    again = pcoa(bray_curtis(counts[order])).coordinates.loc[counts.columns]
    np.testing.assert_allclose(again, coordinates, atol=1e-8)


def test_pcoa_shares_do_not_depend_on_how_many_axes_are_asked_for(counts):
    distance = bray_curtis(counts)
    few, many = pcoa(distance, axes=2).share, pcoa(distance, axes=50).share
    assert few.tolist() == pytest.approx(many[:2].tolist())


def test_pcoa_says_why_it_is_not_run():
    with pytest.raises(NotRun, match="needs 3 samples or more, there are 2"):
        pcoa(pd.DataFrame(np.zeros((2, 2))))
    with pytest.raises(NotRun, match=r"the 4 samples do not differ$"):
        pcoa(pd.DataFrame(np.zeros((4, 4))))


@pytest.mark.skipif(not REAL.exists(), reason="real genus table not beside the repository")
def test_real_genus_table_gives_the_same_bytes_twice():
    counts = features(pd.read_table(REAL, index_col=0).T)
    depth = choose_depth(counts.sum())
    first, second = (alpha(counts, depth, repeats=5, seed=1).to_csv() for _ in range(2))
    assert first == second
    assert (counts.sum() >= depth).mean() >= 0.9
