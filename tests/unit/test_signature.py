"""The depression signature score."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal
from skbio.stats.composition import closure, multi_replace

from moodbiome.evidence import read_table, resolve_members
from moodbiome.signature import (
    CONTRIBUTION_COLUMNS,
    SCORE_COLUMNS,
    Limits,
    _concept_effective,
    _member_rows,
    check_taxa,
    concept_counts,
    log_contrast,
    percentiles,
    robust_z,
    sampling_interval,
    score_samples,
)

EVIDENCE = Path(__file__).parents[2] / "config" / "evidence"
DATA = Path(__file__).parents[3] / "shared" / "data"

UP, UP_TOO, DOWN, DOWN_TOO, OTHER = 11, 12, 21, 22, 99
KNOWN = (UP, UP_TOO, DOWN, DOWN_TOO, OTHER)
LENIENT = Limits(min_reference=2)


def signature(weights=None):
    weights = weights or {"up": 0.75, "up_too": 0.25, "down": -0.6, "down_too": -0.4}
    taxa = pd.DataFrame(
        {
            "concept": list(weights),
            "name": [name.title() for name in weights],
            "ncbi_ids": ["11", "12", "21", "22"][: len(weights)],
            "direction": ["up" if weight > 0 else "down" for weight in weights.values()],
        }
    )
    for profile in ("evidence", "seed", "grade_a"):
        taxa[f"weight_{profile}"] = list(weights.values())
    return taxa


def genera(counts, taxa=KNOWN):
    """Genus table from sample -> counts of `taxa`."""
    table = pd.DataFrame(counts, index=list(taxa))
    table.insert(0, "name", [f"genus{taxon}" for taxon in taxa])
    table.insert(1, "lineage", [f"d__Bacteria;g__genus{taxon}" for taxon in taxa])
    return table


def run(genus, taxa=None, species=None, **settings):
    species = genus.iloc[:0] if species is None else species
    samples = [column for column in genus.columns if column not in ("name", "lineage")]
    settings = {
        "n_classified": genus[samples].sum(),
        "known": KNOWN,
        "seed": 7,
        "limits": LENIENT,
        **settings,
    }
    taxa = signature() if taxa is None else taxa
    n_classified, known = settings.pop("n_classified"), settings.pop("known")
    return score_samples(genus, species, taxa, n_classified, known, **settings)


@pytest.fixture
def cohort():
    """Twelve samples of 200,000 fragments; the first eight are the reference."""
    rng = np.random.default_rng(5)
    share = np.array([0.01, 0.004, 0.05, 0.02, 0.9])[:, np.newaxis]
    share = share * np.exp(rng.normal(0, 1, size=(5, 12)))
    counts = rng.poisson(2e5 * share / share.sum(axis=0))
    return genera({f"S{number}": counts[:, number] for number in range(12)})


REFERENCE = [f"S{number}" for number in range(8)]
HAND = genera({"S1": [100_000, 0, 50_000, 10_000, 840_000]})


def test_score_by_hand():
    # p = 0.1, 0, 0.05, 0.01; each + 0.0001.
    expected = (
        0.75 * np.log(0.1001) + 0.25 * np.log(0.0001) - 0.6 * np.log(0.0501) - 0.4 * np.log(0.0101)
    )
    scores, contributions = run(HAND)
    assert scores.loc["S1", "score"] == pytest.approx(expected)
    raw = contributions.set_index("concept")["contribution_raw"]
    assert raw["up_too"] == pytest.approx(0.25 * np.log(0.0001))
    assert raw.sum() == pytest.approx(expected)
    assert scores.loc["S1", "weight_detectable"] == 1
    assert scores.loc["S1", "weight_detected"] == pytest.approx(1.75 / 2)
    assert scores.loc["S1", ["n_taxa_detectable", "n_taxa_detected"]].to_list() == [4, 3]


def test_secondary_scores_by_hand():
    scores, _ = run(HAND)
    row = scores.loc["S1"]
    assert row["score_slr"] == pytest.approx(np.log(0.1001 / 0.0601))
    parts = multi_replace(closure([0.1, 0, 0.05, 0.01, 0.84]), delta=0.65e-4)
    balance = np.log(parts[:2]).mean() - np.log(parts[2:4]).mean()
    assert row["score_balance"] == pytest.approx(balance)  # sqrt(2 * 2 / (2 + 2)) = 1
    assert row["score_seed"] == row["score_grade_a"] == pytest.approx(row["score"])
    assert row["score_offset_1e-3"] == pytest.approx(
        log_contrast([[0.1], [0], [0.05], [0.01]], [0.75, 0.25, -0.6, -0.4], 1e-3)[0]
    )


def test_columns_are_the_fixed_ones(cohort):
    scores, contributions = run(cohort, reference=REFERENCE)
    assert (scores.index.name, *scores.columns) == ("sample", *SCORE_COLUMNS)
    assert list(scores.columns[:7]) == [
        *("score", "score_low", "score_high", "percentile", "weight_detectable"),
        *("n_classified", "status"),
    ]
    assert tuple(contributions.columns) == CONTRIBUTION_COLUMNS
    assert len(contributions) == 12 * 4


def test_contributions_sum_to_the_distance_from_the_reference_mean(cohort):
    scores, contributions = run(cohort, reference=REFERENCE)
    summed = contributions.groupby("sample")["contribution"].sum()
    expected = scores["score"] - scores.loc[REFERENCE, "score"].mean()
    assert_series_equal(summed, expected.sort_index(), check_names=False)


def test_score_does_not_depend_on_the_scale_of_the_counts(cohort):
    samples = [column for column in cohort if column.startswith("S")]
    tenfold = cohort.assign(**{sample: cohort[sample] * 10 for sample in samples})
    once, ten = run(cohort)[0], run(tenfold)[0]
    assert_series_equal(once["score"], ten["score"])
    width = {name: t["score_high"] - t["score_low"] for name, t in (("1", once), ("10", ten))}
    assert (width["10"] < width["1"]).all()


def test_bloom_of_another_taxon_moves_the_score_by_the_offset_alone(cohort):
    bloomed = cohort.copy()
    samples = [column for column in cohort if column.startswith("S")]
    totals = cohort[samples].sum()
    bloomed.loc[OTHER, samples] += totals  # halves every other proportion
    before, after = run(cohort)[0]["score"], run(bloomed)[0]["score"]
    p = (cohort.loc[[UP, UP_TOO, DOWN, DOWN_TOO], samples] / totals).to_numpy(dtype=float)
    # The weights sum to 0, so that ln(p/2 + d) = ln(p + 2d) - ln(2) is a change of offset.
    expected = log_contrast(p, [0.75, 0.25, -0.6, -0.4], 2e-4)
    np.testing.assert_allclose(after, expected)
    assert (after - before).abs().max() < 0.1


def test_bloom_does_not_move_the_score_where_some_taxa_are_not_in_the_database(cohort):
    bloomed = cohort.copy()
    bloomed.loc[OTHER, "S0"] += cohort["S0"].sum()
    known = [UP, DOWN, DOWN_TOO, OTHER]
    kept = [UP, DOWN, DOWN_TOO, OTHER]
    before, _ = run(cohort.loc[kept], known=known)
    after, _ = run(bloomed.loc[kept], known=known)
    assert before.loc["S0", "weight_detectable"] == pytest.approx(1.75 / 2)
    assert abs(after.loc["S0", "score"] - before.loc["S0", "score"]) < 0.05


def test_taxon_that_the_database_lacks_is_missing_and_not_zero(cohort):
    _, contributions = run(
        cohort.drop(index=UP_TOO), known=[UP, DOWN, DOWN_TOO, OTHER], reference=REFERENCE
    )
    lacking = contributions[contributions["concept"] == "up_too"]
    assert set(lacking["detectable"]) == {"no"}
    assert (
        lacking[["count", "proportion", "contribution", "contribution_raw"]].isna().all(axis=None)
    )
    assert (lacking["weight"] == 0).all()


def test_order_of_samples_taxa_and_concepts_does_not_matter(cohort):
    scores, contributions = run(cohort, reference=REFERENCE)
    samples = [f"S{number}" for number in (3, 11, 0, 7, 5, 1, 2, 10, 4, 6, 9, 8)]
    shuffled = cohort.loc[list(KNOWN[::-1]), ["name", "lineage", *samples]]
    again, parts = run(shuffled, taxa=signature()[::-1], reference=REFERENCE[::-1])
    assert_frame_equal(again.loc[scores.index], scores)
    key = ["sample", "concept"]
    assert_frame_equal(parts.set_index(key).sort_index(), contributions.set_index(key).sort_index())


def test_interval_of_a_sample_does_not_depend_on_the_other_samples(cohort):
    columns = ["score", "score_low", "score_high"]
    alone, _ = run(cohort[["name", "lineage", "S4"]])
    assert_frame_equal(alone[columns], run(cohort)[0].loc[["S4"], columns])


def test_same_seed_same_result_and_another_seed_another_interval(cohort):
    first, again = run(cohort, reference=REFERENCE)[0], run(cohort, reference=REFERENCE)[0]
    assert_frame_equal(first, again)
    other, _ = run(cohort, reference=REFERENCE, seed=8)
    assert_series_equal(other["score"], first["score"])
    assert (other["score_low"] != first["score_low"]).all()


def test_samples_of_equal_counts_are_drawn_independently():
    twins, _ = run(genera({"S1": HAND["S1"].to_list(), "S2": HAND["S1"].to_list()}))
    assert twins.loc["S1", "score"] == twins.loc["S2", "score"]
    assert twins.loc["S1", "score_low"] != twins.loc["S2", "score_low"]


def test_score_lies_in_its_interval_even_where_the_enriched_taxa_are_unseen():
    genus = genera({f"S{n}": [0, 0, 5_000, 4_000, 3_000] for n in range(20)})
    scores, _ = run(genus)
    assert (scores["score_low"] <= scores["score"]).all()
    assert (scores["score"] <= scores["score_high"]).all()


# --- simulated communities ---------------------------------------------------------------------

TYPICAL = {"up": 0.003, "up_too": 0.0004, "down": 0.05, "down_too": 0.01}
WEIGHTS = np.array([0.75, 0.25, -0.6, -0.4])


def communities(n, rng, shift=0.0):
    """True proportions of the four taxa; a third of the people lack the rarest."""
    mean = np.log(list(TYPICAL.values()))[:, np.newaxis]
    p = np.exp(mean + rng.normal(0, 1, size=(4, n)) + shift * np.sign(WEIGHTS)[:, np.newaxis])
    p[1] *= rng.random(n) > 1 / 3
    return p / (p.sum(axis=0) + 0.9)


@pytest.mark.parametrize("depth", [10_000, 30_000, 100_000, 1_000_000])
def test_score_does_not_drift_with_depth(depth):
    rng = np.random.default_rng(11)
    p = communities(2_000, rng)
    truth = log_contrast(p, WEIGHTS, 1e-4)
    score = log_contrast(rng.poisson(p * depth) / depth, WEIGHTS, 1e-4)
    assert abs((score - truth).mean()) < 0.1 * truth.std()


def test_count_pseudocount_would_drift():
    """The alternative that was not chosen: shows that the test above can fail."""
    rng = np.random.default_rng(11)
    p = communities(2_000, rng)

    def mean(depth):
        return log_contrast((rng.poisson(p * depth) + 0.5) / depth, WEIGHTS, 0).mean()

    assert abs(mean(10_000) - mean(1_000_000)) > 0.1 * log_contrast(p, WEIGHTS, 1e-4).std()


@pytest.mark.parametrize("depth", [30_000, 300_000])
def test_interval_covers_the_truth(depth):
    rng = np.random.default_rng(12)
    p = communities(600, rng)
    truth = log_contrast(p, WEIGHTS, 1e-4)
    counts = rng.poisson(p * depth)
    bounds = np.array(
        [
            sampling_interval(
                counts[:, n], depth, WEIGHTS, offset=1e-4, draws=200, seed=1, sample=f"S{n}"
            )
            for n in range(600)
        ]
    )
    coverage = ((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])).mean()
    assert 0.90 <= coverage <= 0.98


def test_interval_covers_the_truth_where_counts_are_known_less_well():
    """Counts that vary four times as much as counted fragments would."""
    rng = np.random.default_rng(13)
    p, depth = communities(600, rng), 100_000
    truth = log_contrast(p, WEIGHTS, 1e-4)
    effective = rng.poisson(p * depth / 4)

    def coverage(**settings):
        bounds = np.array(
            [
                sampling_interval(
                    4 * effective[:, n],
                    depth,
                    WEIGHTS,
                    offset=1e-4,
                    draws=200,
                    seed=1,
                    sample=f"S{n}",
                    **{key: value[:, n] for key, value in settings.items()},
                )
                for n in range(600)
            ]
        )
        return ((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])).mean()

    assert 0.90 <= coverage(effective=effective) <= 0.98
    assert coverage() < 0.80


def test_effective_fragments_equal_to_the_counts_change_nothing(cohort):
    counts = cohort.drop(columns=["name", "lineage"])
    plain, _ = run(cohort, reference=REFERENCE)
    assert_frame_equal(run(cohort, reference=REFERENCE, effective=counts.astype(float))[0], plain)


def test_fewer_effective_fragments_widen_the_interval_and_leave_the_score(cohort):
    counts = cohort.drop(columns=["name", "lineage"])
    plain, _ = run(cohort)
    wider, _ = run(cohort, effective=counts / 4)
    assert_series_equal(wider["score"], plain["score"])
    width = plain["score_high"] - plain["score_low"]
    ratio = (wider["score_high"] - wider["score_low"]) / width
    assert 1.5 < ratio.median() < 2.5


def test_effective_fragments_of_a_concept_add_the_variances_of_its_members():
    """Genus 11 without its species 301, and species 302, each with its own noise.

    The genus keeps 60 of 100 fragments at variance 2 a fragment, the species has 30 at 3:
    90^2 / (120 + 90).
    """
    genus = genera({"S1": [100]}, taxa=[11])
    species = pd.DataFrame({"name": ["a", "b"], "S1": [40, 30]}, index=[301, 302])
    species.insert(1, "lineage", ["d__Bacteria;g__genus11;s__a", "d__Bacteria;g__x;s__b"])
    taxa = pd.DataFrame({"concept": ["one", "other"], "ncbi_ids": ["11,302", "301"]})
    effective = pd.DataFrame({"S1": [50.0, 40.0, 10.0]}, index=[11, 301, 302])
    rows = _member_rows(genus, species, taxa)
    counted = concept_counts(genus, species, taxa)
    assert counted["S1"].to_dict() == {"one": 90, "other": 40}
    found = _concept_effective(rows, counted, taxa, effective)
    assert found["S1"].to_dict() == pytest.approx({"one": 90**2 / 210, "other": 40})


def test_signature_taxon_without_effective_fragments_is_refused(cohort):
    counts = cohort.drop(columns=["name", "lineage"]).drop(index=UP)
    with pytest.raises(ValueError, match=rf"sample 'S\d+', taxon {UP}: \d+ fragments, but .* nan"):
        run(cohort, effective=counts)


def auc(cases, controls):
    return (np.subtract.outer(cases, controls) > 0).mean()


def test_planted_shift_is_found_and_shuffled_labels_are_not():
    rng = np.random.default_rng(13)
    p = np.hstack([communities(150, rng), communities(150, rng, shift=0.5)])
    counts = rng.poisson(1e5 * np.vstack([p, 1 - p.sum(axis=0)]))
    names = [f"S{number}" for number in range(300)]
    genus = genera(dict(zip(names, counts.T, strict=True)))
    score = run(genus)[0]["score"].to_numpy()
    # Expected about 0.72: the shift moves the score by 0.9, and a person's score varies by 1.1.
    assert auc(score[150:], score[:150]) > 0.65
    shuffled = [
        auc(mixed[150:], mixed[:150]) for mixed in (rng.permutation(score) for _ in range(50))
    ]
    assert np.mean(shuffled) == pytest.approx(0.5, abs=0.02)


# --- place among the reference -----------------------------------------------------------------


def test_percentile_by_hand():
    reference = [1.0, 2.0, 2.0, 3.0]
    # 2.0 from outside: one below and two ties; 0 and 9 beyond; the member 3.0 above all others.
    value, low, high = percentiles([2.0, 0.0, 9.0, 3.0], reference, [False, False, False, True])
    np.testing.assert_allclose(value, [50, 0, 100, 100])
    assert ((low <= value) & (value <= high)).all()


def test_percentile_interval_shrinks_with_the_reference():
    widths = []
    for size in (5, 50, 500):
        _, low, high = percentiles([size / 2 + 0.5], np.arange(size) + 1.0, [False])
        widths.append((high - low)[0])
    assert widths[0] > 60
    assert widths == sorted(widths, reverse=True)


def test_percentile_interval_is_the_bootstrap_of_a_large_reference():
    rng = np.random.default_rng(3)
    reference = rng.normal(size=400)
    resampled = (rng.choice(reference, size=(4_000, 400)) < 0.3).mean(axis=1) * 100
    _, low, high = percentiles([0.3], reference, [False])
    np.testing.assert_allclose([low[0], high[0]], np.quantile(resampled, [0.025, 0.975]), atol=0.6)


def test_robust_z_by_hand():
    # Median 3, absolute deviations 2 1 0 1 7: their median is 1.
    z, low, high = robust_z([5.0], [1.0, 2.0, 3.0, 4.0, 10.0], [-1], resamples=500, seed=1)
    assert z[0] == pytest.approx(2 / 1.4826)
    # Five samples: in some resamples most values are one and the same, and no bound exists.
    assert np.isnan([low[0], high[0]]).all()


def test_robust_z_is_missing_where_half_of_the_reference_is_the_same():
    z, _, _ = robust_z([5.0, 1.0], [1.0, 1.0, 1.0, 1.0, 3.0], [-1, -1], resamples=200, seed=1)
    assert np.isnan(z).all()


def test_robust_z_of_a_member_is_that_among_the_others():
    rng = np.random.default_rng(4)
    for size in (6, 7, 30, 31):
        reference = rng.normal(size=size)
        z, low, high = robust_z(reference, reference, range(size), resamples=400, seed=1)
        for row in range(size):
            others = np.delete(reference, row)
            alone, _, _ = robust_z([reference[row]], others, [-1], resamples=400, seed=1)
            assert z[row] == pytest.approx(alone[0])
    assert ((low < z) & (z < high)).all()


def test_interval_of_a_member_is_the_bootstrap_of_the_others():
    reference = np.array([-3.0, 1.0, 1.3, 1.9, 2.2, 2.4, 3.1, 3.3, 3.8])
    _, low, high = robust_z(reference, reference, range(9), resamples=20_000, seed=1)
    others = np.random.default_rng(2).choice(reference[1:], size=(20_000, 9))
    centre = np.median(others, axis=1)
    spread = 1.4826 * np.median(np.abs(others - centre[:, np.newaxis]), axis=1)
    with np.errstate(divide="ignore"):
        expected = np.quantile((-3.0 - centre) / spread, [0.025, 0.975])
    np.testing.assert_allclose([low[0], high[0]], expected, rtol=0.1)


def test_reference_member_is_left_out_of_its_own_percentile(cohort):
    scores, _ = run(cohort, reference=REFERENCE)
    highest = scores.loc[REFERENCE, "score"].idxmax()
    assert scores.loc[highest, "percentile"] == 100
    assert scores.loc[highest, "n_reference"] == 7
    assert scores.loc["S8", "n_reference"] == 8


def test_without_one_taxon_by_hand(cohort):
    scores, _ = run(cohort, reference=REFERENCE)
    versions = []
    for absent, weights in (
        (0, [0, 1, -0.6, -0.4]),
        (1, [1, 0, -0.6, -0.4]),
        (2, [0.75, 0.25, 0, -1]),
        (3, [0.75, 0.25, -1, 0]),
    ):
        samples = list(scores.index)
        p = (cohort.iloc[:4][samples] / cohort[samples].sum()).to_numpy(dtype=float)
        version = pd.Series(log_contrast(p, weights, 1e-4), index=samples)
        shift = scores.loc[REFERENCE, "score"].mean() - version[REFERENCE].mean()
        versions.append(version + shift)
        assert weights[absent] == 0
    versions = pd.DataFrame(versions)
    np.testing.assert_allclose(scores["score_without_one_low"], versions.min())
    np.testing.assert_allclose(scores["score_without_one_high"], versions.max())


def test_percentile_lies_within_its_range_over_offsets(cohort):
    scores, _ = run(cohort, reference=REFERENCE)
    assert (scores["percentile_offset_low"] <= scores["percentile"]).all()
    assert (scores["percentile"] <= scores["percentile_offset_high"]).all()


# --- abstaining --------------------------------------------------------------------------------

CELLS = [
    column
    for column in SCORE_COLUMNS
    if column.startswith(("score", "percentile", "robust")) or column == "n_reference"
]


def assert_abstained(scores, sample, reason):
    assert scores.loc[sample, "status"] == "abstained"
    assert reason in scores.loc[sample, "reason"]
    assert scores.loc[sample, CELLS].isna().all()


def test_shallow_sample_has_no_score_and_the_others_keep_theirs(cohort):
    shallow = cohort.assign(S11=[10, 4, 50, 20, 9_915])
    scores, contributions = run(shallow, reference=REFERENCE)
    assert_abstained(scores, "S11", "9999 classified fragments, 10000 are needed")
    row = contributions[contributions["sample"] == "S11"]
    assert row["contribution"].isna().all()
    assert row["count"].to_list() == [10, 4, 50, 20]
    expected, _ = run(cohort, reference=REFERENCE)
    assert_frame_equal(scores.drop(index="S11"), expected.drop(index="S11"))


def test_ten_thousand_fragments_are_enough_but_warned_of():
    scores, _ = run(
        genera({"S1": [100, 100, 500, 200, 9_100], "S2": [1000, 100, 5000, 200, 93_700]})
    )
    assert scores["status"].to_list() == ["ok", "ok"]
    assert "fewer than 100000 classified fragments" in scores.loc["S1", "warning"]
    assert "classified fragments" not in scores.loc["S2", "warning"]
    assert scores["reason"].to_list() == ["", ""]


@pytest.mark.parametrize(
    ("known", "limits", "reason"),
    [
        ([UP_TOO, DOWN_TOO, OTHER], LENIENT, "32.5 % of the signature's weight is in the database"),
        ([UP, DOWN, OTHER], LENIENT, "2 signature taxa in the database, 3 are needed"),
        (
            [DOWN, DOWN_TOO, OTHER],
            Limits(min_taxa=2),
            "the database holds only one side of the signature",
        ),
    ],
)
def test_database_that_holds_too_little_of_the_signature_gives_no_score(
    cohort, known, limits, reason
):
    scores, _ = run(cohort.loc[known], known=known, limits=limits, reference=REFERENCE)
    for sample in scores.index:
        assert_abstained(scores, sample, reason)


def test_interval_wider_than_the_reference_spread_gives_no_score():
    # Communities so alike that a shallow sample cannot be placed among them, though a deep one can.
    deep = {f"S{n}": [27_000 + 1_000 * n, 4_000, 500_000, 100_000, 9_000_000] for n in range(7)}
    genus = genera({**deep, "vague": [36, 4, 600, 120, 11_240]})
    scores, _ = run(
        genus, reference=[*list(deep)], limits=Limits(min_reference=5, min_spread_reference=5)
    )
    assert_abstained(scores, "vague", "interval wider than one standard deviation of the reference")
    assert (scores.loc[[*deep], "status"] == "ok").all()


def test_a_small_reference_warns_of_a_wide_interval_and_refuses_nothing():
    deep = {f"S{n}": [27_000 + 1_000 * n, 4_000, 500_000, 100_000, 9_000_000] for n in range(7)}
    genus = genera({**deep, "vague": [36, 4, 600, 120, 11_240]})
    scores, _ = run(genus, reference=list(deep), limits=Limits(min_reference=5))
    assert scores.loc["vague", "status"] == "ok"
    assert scores.loc["vague", "warning"].startswith("interval wider than one standard deviation")


def test_every_interval_wider_than_the_reference_spread_gives_no_score_at_all():
    same = {f"S{n}": [3_000, 400, 50_000, 10_000, 900_000] for n in range(6)}
    limits = Limits(min_reference=5, min_spread_reference=5)
    scores, contributions = run(genera(same), reference=[*same], limits=limits)
    for sample in same:
        assert_abstained(scores, sample, "interval wider than one standard deviation")
    assert contributions["contribution_raw"].isna().all()


def test_sample_without_profile_or_denominator_keeps_its_row(cohort):
    samples = [column for column in cohort if column.startswith("S")]
    n_classified = cohort[samples].sum().astype(float)
    n_classified["S10"] = np.nan
    n_classified["S99"] = np.nan
    scores, contributions = run(
        cohort, n_classified=n_classified, refused={"S9": "excluded by the sample sheet"}
    )
    assert list(scores.index) == [*samples, "S99"]
    assert_abstained(scores, "S9", "excluded by the sample sheet")
    assert_abstained(scores, "S10", "number of classified fragments not known")
    assert_abstained(scores, "S99", "not in the feature tables")
    assert len(contributions) == 13 * 4
    assert contributions.loc[contributions["sample"] == "S99", "count"].isna().all()


def test_without_a_reference_there_is_a_score_and_no_percentile(cohort):
    scores, contributions = run(cohort, reference=["S0"])
    assert scores["score"].notna().all()
    assert scores[["percentile", "robust_z", "score_without_one_low"]].isna().all(axis=None)
    assert scores["warning"].str.contains("1 scored reference samples, 2 are needed").all()
    assert contributions["contribution"].isna().all()


def test_abstained_reference_sample_is_no_reference(cohort):
    shallow = cohort.assign(S0=[1, 0, 5, 2, 90])
    with_it, _ = run(shallow, reference=REFERENCE)
    without_it, _ = run(shallow, reference=REFERENCE[1:])
    assert_frame_equal(with_it, without_it)


def test_no_sample_at_all_gives_empty_tables(cohort):
    scores, contributions = run(cohort[["name", "lineage"]], n_classified=pd.Series(dtype=float))
    assert tuple(scores.columns) == SCORE_COLUMNS
    assert len(scores) == len(contributions) == 0


# --- counting members --------------------------------------------------------------------------

NESTED_GENUS = pd.DataFrame(
    {
        "name": ["Roseburia", "Blautia"],
        "lineage": ["d__Bacteria;g__Roseburia", "d__Bacteria;g__Blautia"],
        "S1": [70, 50],
    },
    index=[841, 572511],
)
NESTED_SPECIES = pd.DataFrame(
    {
        "name": ["Roseburia hominis", "Agathobacter faecis", "Blautia gauvreauii"],
        "lineage": [
            "d__Bacteria;g__Roseburia;s__Roseburia hominis",
            "d__Bacteria;g__Agathobacter;s__Agathobacter faecis",
            "d__Bacteria;g__Blautia;s__Blautia gauvreauii",
        ],
        "S1": [40, 6, 20],
    },
    index=[301301, 301302, 438033],
)


def counted(**concepts):
    taxa = pd.DataFrame({"concept": list(concepts), "ncbi_ids": list(concepts.values())})
    return concept_counts(NESTED_GENUS, NESTED_SPECIES, taxa)["S1"].to_dict()


def test_species_within_its_own_genus_is_counted_once():
    assert counted(roseburia="841,301301,301302") == {"roseburia": 76}
    assert counted(roseburia="301301,301302") == {"roseburia": 46}


def test_species_within_the_genus_of_another_concept_is_taken_off_it():
    assert counted(blautia="572511", gauvreauii="438033") == {"blautia": 30, "gauvreauii": 20}


def test_genus_whose_name_begins_another_is_not_its_parent():
    genus = pd.DataFrame(
        {
            "name": ["Prevotella", "Prevotella_A"],
            "lineage": ["d__Bacteria;g__Prevotella", "d__Bacteria;g__Prevotella_A"],
            "S1": [5, 7],
        },
        index=[1, 2],
    )
    taxa = pd.DataFrame({"concept": ["prevotella"], "ncbi_ids": ["1,2"]})
    assert concept_counts(genus, genus.iloc[:0], taxa).loc["prevotella", "S1"] == 12


def test_rows_for_unclassified_and_unassigned_reads_are_never_members():
    special = pd.DataFrame(
        {"name": ["unclassified", "unassigned"], "lineage": ["", ""], "S1": [500, 600]},
        index=[0, -1],
    )
    taxa = pd.DataFrame({"concept": ["roseburia"], "ncbi_ids": ["841"]})
    genus = pd.concat([special, NESTED_GENUS])
    assert concept_counts(genus, NESTED_SPECIES, taxa).loc["roseburia", "S1"] == 70


# --- refused input -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "cells", "message"),
    [
        (0, {"concept": "up_too"}, "concept 'up_too' stands in more than one row"),
        (0, {"ncbi_ids": "12"}, "taxon 12 is given for concept 'up' and again for 'up_too'"),
        (0, {"direction": "down"}, "concept 'up' is given both directions"),
        (0, {"weight_evidence": 0.8}, r"weight_evidence sums to 1\.05 over the enriched taxa"),
        (2, {"weight_seed": -0.5}, r"weight_seed sums to -0\.9 over the depleted taxa"),
        (3, {"weight_grade_a": np.nan}, r"weight_grade_a sums to -0\.6 over the depleted taxa"),
    ],
)
def test_unsound_signature_is_refused_by_name(row, cells, message):
    taxa = signature()
    check_taxa(taxa)
    for column, value in cells.items():
        taxa.loc[row, column] = value
    with pytest.raises(ValueError, match=message):
        check_taxa(taxa)


def test_signature_without_a_profile_is_refused():
    with pytest.raises(ValueError, match="column 'weight_seed' is missing"):
        check_taxa(signature().drop(columns="weight_seed"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"profile": "mine"}, "profile 'mine' is unknown"),
        ({"offset": 0}, "offset is 0; it is a relative abundance"),
        ({"draws": 20}, "20 draws and 1000 resamples"),
        ({"reference": ["S0", "S77"]}, "sample 'S77' is named as reference"),
        ({"n_classified": pd.Series({"S0": 1e6})}, "sample 'S1' has counts but no number"),
        ({"known": [UP, UP_TOO, DOWN]}, "taxon 22 has counts, but is not among the taxa"),
        (
            {"n_classified": pd.Series({f"S{n}": 11_000 for n in range(12)})},
            "its signature taxa hold .* fragments, but only 11000 are classified",
        ),
    ],
)
def test_unsound_settings_are_refused_by_name(cohort, settings, message):
    with pytest.raises(ValueError, match=message):
        run(cohort, **settings)


@pytest.mark.parametrize("value", [-1, np.nan])
def test_count_that_is_none_is_named(cohort, value):
    cohort["S3"] = cohort["S3"].astype(float)
    cohort.loc[DOWN, "S3"] = value
    with pytest.raises(ValueError, match="genus table, sample 'S3', taxon 21: the count is"):
        run(cohort)


def test_tables_of_different_samples_are_refused(cohort):
    species = cohort.iloc[:0].drop(columns="S5")
    with pytest.raises(
        ValueError, match="sample 'S5' is in the genus table and not in the species"
    ):
        run(cohort, species=species)


def test_taxon_twice_or_at_two_ranks_is_refused(cohort):
    with pytest.raises(ValueError, match="taxon 99 has two rows in the genus table"):
        run(pd.concat([cohort, cohort.loc[[OTHER]]]))
    with pytest.raises(ValueError, match="taxon 11 is in the genus table and in the species table"):
        run(cohort, species=cohort.loc[[UP]])


def test_member_that_is_not_bacterial_is_refused(cohort):
    """The number of an unrelated taxon in a database that is not numbered by NCBI."""
    cohort.loc[UP, "lineage"] = "d__Eukaryota;g__Saccharomyces"
    with pytest.raises(ValueError, match=r"taxon 11 of concept 'up' .* not bacterial"):
        run(cohort)


# --- the shipped signature on real data --------------------------------------------------------


def test_shipped_signature_is_sound():
    check_taxa(read_table(EVIDENCE / "taxa.tsv", "taxa"))


def test_cirrhosis_resembles_the_signature_too():
    """The signature is not specific to depression (Qin 2014: liver cirrhosis against controls)."""
    folder = DATA / "tables_mini" / "qin2014"
    if not folder.exists():
        pytest.skip("real tables are not beside the repository: ../shared/data/tables_mini/qin2014")
    strains = pd.read_table(folder / "taxatable.txt", index_col=0)
    label = strains.index.str.extract(r";g__([^;]+);")[0].to_numpy()
    counts = strains.groupby(label).sum()
    counts.index.name = None
    names = counts.index.to_list()
    ids = range(1, len(names) + 1)
    database = pd.DataFrame({"rank": "genus", "name": names}, index=ids)
    concepts = read_table(EVIDENCE / "concepts.tsv", "concepts")
    shipped = read_table(EVIDENCE / "taxa.tsv", "taxa")
    taxa = resolve_members(shipped, concepts, database, "silva")
    named = pd.DataFrame({"name": names, "lineage": [f"d__Bacteria;g__{n}" for n in names]}, ids)
    genus = named.join(counts.set_axis(ids, axis="index"))
    group = pd.read_table(folder / "task-healthy-cirrhosis.txt", index_col=0)["Var"]
    samples = [sample for sample in group.index if sample in genus]
    controls = [sample for sample in samples if group[sample] != "Cirrhosis"]

    genus = genus[["name", "lineage", *samples]]
    scores, _ = score_samples(
        genus, genus.iloc[:0], taxa, strains[samples].sum(), set(ids), seed=1, reference=controls
    )
    assert (scores["status"] == "ok").sum() > 100
    scored = scores["score"].dropna()
    is_control = scored.index.isin(controls)
    assert auc(scored[~is_control].to_numpy(), scored[is_control].to_numpy()) > 0.6
