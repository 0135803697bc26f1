"""The figures: every sample accounted for, every mark in the table, the same bytes every time."""

import re

import numpy as np
import pandas as pd
import pytest

from moodbiome import figures
from moodbiome.figures import ALL_SAMPLES, NO_GROUP, Ordination, group_labels
from moodbiome.figures.diversity import _point_labels
from moodbiome.figures.drawing import group_channels

CLASSIFIED = ["classified", "unclassified", "bacterial"]
EFFECT = ["effect", "low", "high"]


def ledger_table():
    """S1: 100 = 10 + 20 + 70; 70 = 60 + 10; 50 of the 60 bacterial. S2 failed. S3 is empty."""
    return pd.DataFrame(
        [
            ["S1", 100, 10, 20, 70, 60, 10, 50],
            ["S2", None, None, None, None, None, None, None],
            ["S3", 0, 0, 0, 0, 0, 0, 0],
        ],
        columns=["sample", "raw", "failed_qc", "host", "non_host", *CLASSIFIED],
    )


def counts_table(n_samples=3):
    rows = {"taxon_id": [0, -1, 7, 8, 9], "name": ["unclassified", "unassigned", "A", "B", "C"]}
    table = pd.DataFrame({**rows, "lineage": ""})
    for i in range(n_samples):
        table[f"S{i + 1}"] = [10, 20, 40, 25, 5]
    return table


def one_group(samples):
    return group_labels(samples, None, "")


def texts(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_ledger_by_hand():
    figure = figures.ledger(ledger_table())
    row = figure.table.set_index("sample").loc["S1"]
    assert row["other_classified"] == 10
    assert [row[f"{part}_percent"] for part in figures.LEDGER_PARTS] == [10, 20, 50, 10, 10]
    assert "n = 2 samples, 100 fragments in all" in figure.caption
    assert "bacteria 50.0 %" in figure.caption
    assert figure.caption.endswith("Not drawn (no counts): S2.")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("host", 21, "sample 'S1' has raw = 100, but failed_qc [+] host [+] non_host = 101"),
        ("classified", 59, "sample 'S1' has non_host = 70, but classified [+] unclassified = 69"),
        ("bacterial", 61, "sample 'S1' has 61 bacterial fragments, more than the 60 classified"),
        ("bacterial", None, "sample 'S1' has raw fragments but no bacterial"),
    ],
)
def test_a_ledger_that_does_not_add_up_is_refused(column, value, message):
    table = ledger_table()
    table.loc[0, column] = value
    with pytest.raises(ValueError, match=message):
        figures.ledger(table)


def test_composition_keeps_the_remainder_in_sight():
    counts = counts_table()
    figure = figures.composition(counts, one_group(["S1", "S2", "S3"]), n_taxa=2)
    row = figure.table.set_index("sample").loc["S1"].drop("group")
    assert row.to_dict() == {
        "A": 40,
        "B": 25,
        "Other taxa": 5,
        "Unassigned at this rank": 20,
        "Unclassified": 10,
    }


def test_composition_shows_removed_contaminants_as_no_taxon():
    counts = counts_table()
    counts.loc[counts["name"] == "A", ["taxon_id", "name"]] = [-2, "contaminant"]
    table = figures.composition(counts, one_group(["S1", "S2", "S3"]), n_taxa=1).table
    row = table.set_index("sample").loc["S1"].drop("group")
    assert row["Removed contaminants"] == 40
    assert "contaminant" not in table.columns


def test_composition_of_every_drawn_sample_sums_to_100_percent():
    rng = np.random.default_rng(1)
    counts = counts_table(20)
    counts.iloc[:, 3:] = rng.integers(0, 50, (5, 20))
    samples = list(counts.columns[3:])
    table = figures.composition(counts, one_group(samples), n_taxa=2).table
    assert set(table["sample"]) == set(samples)
    np.testing.assert_allclose(table.drop(columns=["sample", "group"]).sum(axis=1), 100, atol=0.01)


def test_composition_names_the_sample_without_fragments():
    counts = counts_table().assign(S2=0)
    figure = figures.composition(counts, one_group(["S1", "S2", "S3"]))
    assert "Not drawn (no non-host fragments): S2." in figure.caption
    assert set(figure.table["sample"]) == {"S1", "S3"}


def test_samples_set_apart_stand_last_and_have_no_say_in_the_names():
    counts = counts_table().assign(S1=[0, 0, 0, 0, 33])
    groups = one_group(["S1", "S2", "S3"])
    apart = {"S1": "negative control"}
    figure = figures.composition(counts, groups, n_taxa=1, apart=apart)
    assert figure.table["sample"].tolist() == ["S2", "S3", "S1"]
    assert figure.table["group"].iloc[-1] == "not compared: negative control"
    assert "A" in figure.table.columns
    assert figure.table.set_index("sample").loc["S1", "Other taxa"] == 100
    label = "S1 (negative control, 33 fragments)"
    assert label in texts(figure.svg)
    assert figure.caption.startswith("n = 2 samples;")
    assert label in figure.caption
    # C leads by mean share (40, against 27 of A) once the control has a say.
    assert "C" in figures.composition(counts, groups, n_taxa=1).table.columns


def test_a_cohort_of_controls_alone_is_still_drawn():
    apart = dict.fromkeys(["S1", "S2", "S3"], "low depth")
    figure = figures.composition(counts_table(), one_group(list(apart)), n_taxa=1, apart=apart)
    assert figure.caption.startswith("n = 0 samples;")
    assert figure.table["A"].tolist() == [40, 40, 40]


def test_many_samples_keep_those_set_apart_in_a_block_of_their_own():
    n_samples = figures.MANY_SAMPLES + 1
    counts = counts_table(n_samples)
    figure = figures.composition(
        counts, one_group(list(counts.columns[3:])), apart={"S5": "low depth", "S9": "low depth"}
    )
    assert {"compared (n = 79)", "not compared (n = 2)"} <= set(texts(figure.svg))
    assert figure.table["sample"].tolist()[-2:] == ["S5", "S9"]


@pytest.mark.parametrize("value", [-1, np.nan])
def test_composition_names_the_offending_count(value):
    counts = counts_table().astype({"S2": float})
    counts.loc[3, "S2"] = value
    with pytest.raises(ValueError, match="taxon_id 8, sample 'S2' is"):
        figures.composition(counts, one_group(["S1", "S2", "S3"]))


def test_two_taxa_of_one_name_stay_two():
    counts = counts_table()
    counts.loc[3, "name"] = "A"
    table = figures.composition(counts, one_group(["S1", "S2", "S3"])).table
    assert {"A (7)", "A (8)"} <= set(table.columns)


def test_groups_start_with_the_reference_and_end_with_the_unknown():
    sheet = pd.DataFrame({"sample": list("ABCD"), "arm": ["b", "z", None, "a"]})
    labels = group_labels(list("DCBA"), sheet, "arm", "z")
    assert list(labels.cat.categories) == ["z", "a", "b", NO_GROUP]
    assert labels.to_dict() == {"D": "a", "C": NO_GROUP, "B": "z", "A": "b"}


def test_whole_numbers_name_groups_without_decimals():
    sheet = pd.DataFrame({"sample": list("ABC"), "case": [1.0, 0.0, None]})
    labels = group_labels(list("ABC"), sheet, "case", "0")
    assert labels.to_dict() == {"A": "1", "B": "0", "C": NO_GROUP}
    assert labels.cat.categories[0] == "0"


def test_too_many_groups_are_not_told_apart():
    sheet = pd.DataFrame({"sample": [f"S{i}" for i in range(13)], "town": range(13)})
    assert set(group_labels(sheet["sample"].tolist(), sheet, "town")) == {ALL_SAMPLES}


def test_grouping_errors_are_named():
    sheet = pd.DataFrame({"sample": ["A", "A"], "arm": ["x", "y"]})
    with pytest.raises(ValueError, match="sample 'A' has two rows"):
        group_labels(["A"], sheet, "arm")
    with pytest.raises(ValueError, match="no column 'group' to group by; name one of sample, arm"):
        group_labels(["A"], sheet, "group")


def test_every_group_has_its_own_pair_of_colour_and_shape():
    names = [f"g{i:02d}" for i in range(figures.MAX_GROUPS)]
    channels = group_channels(names)
    pairs = zip(
        channels["color"].to_dict()["scale"]["range"],
        channels["shape"].to_dict()["scale"]["range"],
        strict=True,
    )
    assert len(set(pairs)) == len(names)


def points(n_samples):
    rng = np.random.default_rng(2)
    names = [f"S{i}" for i in range(n_samples)]
    return pd.DataFrame({"sample": names, "PC1": rng.normal(size=n_samples), "PC2": 0.0})


def test_ordination_says_what_its_axes_explain():
    result = Ordination("aitchison", points(5), (0.234, 0.117))
    figure = figures.ordination(result, one_group(points(5)["sample"].tolist()))
    assert "PC1 (23.4 % of variation)" in texts(figure.svg)
    assert "PC2 (11.7 % of variation)" in texts(figure.svg)
    assert "35.1 % of the total variation" in figure.caption
    assert figure.source == "results/diversity/ordination.aitchison.tsv"


def circles(svg, hue="#0072B2"):
    """How many symbols are filled, and how many open."""
    return tuple(len(re.findall(rf'<path [^>]* {how}="{hue}"', svg)) for how in ("fill", "stroke"))


def test_few_points_are_named():
    table = points(figures.NAMED_POINTS)
    table["PC1"], table["PC2"] = table.index % 6, table.index // 6
    figure = figures.ordination(Ordination("x", table, (0.5, 0.2)), one_group(table["sample"]))
    assert set(table["sample"]) <= set(texts(figure.svg))
    assert circles(figure.svg) == (len(table), 0)


def test_points_at_one_place_are_all_seen_and_none_is_moved():
    table = points(5).assign(PC2=[0.0, 0.3, 0.3, 0.3, -0.1])
    table.loc[[1, 2, 3], "PC1"] = 0.25
    figure = figures.ordination(Ordination("x", table, (0.5, 0.2)), one_group(table["sample"]))
    assert circles(figure.svg) == (2, 3)
    assert {"S0", "S1, S2, S3", "S4"} <= set(texts(figure.svg))
    assert "Rings around each other: samples at one place." in figure.caption
    pd.testing.assert_frame_equal(figure.table[["sample", "PC1", "PC2"]], table)


def test_of_many_points_only_shared_places_are_labelled():
    table = points(figures.NAMED_POINTS + 1)
    table.loc[[3, 7], "PC1"] = 9.0
    figure = figures.ordination(Ordination("x", table, (0.5, 0.2)), one_group(table["sample"]))
    assert "×2" in texts(figure.svg)
    assert not set(table["sample"]) & set(texts(figure.svg))


def test_labels_evade_each_other_and_the_points():
    table = pd.DataFrame({"sample": ["left", "right"], "PC1": [0.0, 12.0], "PC2": 0.0})
    table["size"] = 70.0
    labels = _point_labels(table, pd.Series([0, 1]), 1.0, [[-50.0, 50.0], [-50.0, 50.0]])
    left, right = (row["PC1"] for row in labels.to_dict("records"))
    assert left < 0
    assert right > 12


def score_table(n_samples):
    score = np.linspace(-3, -1, n_samples)
    return pd.DataFrame(
        {
            "sample": [f"S{i}" for i in range(n_samples)],
            "score": score,
            "score_low": score - 0.1,
            "score_high": score + 0.1,
            "status": "ok",
        }
    )


@pytest.mark.parametrize("n_samples", [1, 3, figures.MANY_SAMPLES, figures.MANY_SAMPLES + 1])
def test_scores_draw_one_symbol_a_sample_at_every_size(n_samples):
    table = score_table(n_samples)
    figure = figures.scores(table, one_group(table["sample"].tolist()))
    assert len(figure.table) == n_samples
    assert figure.svg.count('fill="#0072B2"') == n_samples
    assert figure.table["score"].is_monotonic_decreasing


def test_a_sample_without_a_score_is_named_and_not_drawn():
    table = score_table(3)
    table.loc[1, ["score", "score_low", "score_high"]] = np.nan
    figure = figures.scores(table, one_group(table["sample"].tolist()))
    assert "S1" not in texts(figure.svg)
    assert "Not drawn (no score, see below): S1." in figure.caption


def test_alpha_leaves_out_and_names_samples_below_the_depth():
    table = pd.DataFrame(
        {
            "sample": ["S1", "S2"],
            "metric": "shannon",
            "value": [2.0, None],
            "low": [1.9, None],
            "high": [2.1, None],
            "depth_used": [1000, None],
        }
    )
    figure = figures.alpha(table, one_group(["S1", "S2"]))
    assert "n = 1 sample (all samples 1)" in figure.caption
    assert "rarefied to 1,000 fragments" in figure.caption
    assert "Not drawn (below the rarefaction depth): S2." in figure.caption
    assert "Shannon entropy (nats)" in texts(figure.svg)


def test_alpha_leaves_out_and_names_samples_that_are_not_compared():
    table = pd.DataFrame({"sample": ["S1", "N"], "metric": "shannon", "value": [2.0, 0.5]})
    table = table.assign(low=table["value"], high=table["value"], depth_used=1000)
    figure = figures.alpha(table, one_group(["S1", "N"]), apart={"N": "negative control"})
    assert figure.table["sample"].tolist() == ["S1"]
    assert figure.caption.endswith("Not drawn (not compared): N.")
    with pytest.raises(ValueError, match="no sample that is compared has an alpha diversity"):
        figures.alpha(table, one_group(["S1", "N"]), apart=["S1", "N"])


def test_alpha_at_equal_coverage_says_which_and_no_depth_of_its_own():
    table = pd.DataFrame(
        {
            "sample": ["S1", "S1"],
            "metric": ["shannon", "shannon_at_coverage"],
            "value": [2.0, 1.9],
            "low": [1.9, 1.8],
            "high": [2.1, 2.0],
            "depth_used": [1000, 731],
            "coverage_used": [0.999, 0.9876],
        }
    )
    caption = figures.alpha(table, one_group(["S1"])).caption
    assert "rarefied to 1,000 fragments a sample (at equal coverage: to where 98.76 % of" in caption


@pytest.mark.parametrize(("other", "is_drawn"), [(1.0, False), (0.9, True)])
def test_coverage_is_drawn_where_samples_differ_in_it(other, is_drawn):
    values = {"coverage": [1.0, other], "shannon": [2.0, 2.1]}
    table = pd.concat(
        pd.DataFrame({"sample": ["S1", "S2"], "metric": name, "value": value})
        for name, value in values.items()
    )
    table = table.assign(low=table["value"], high=table["value"], depth_used=1000)
    figure = figures.alpha(table, one_group(["S1", "S2"]))
    assert ("coverage" in figure.table["metric"].tolist()) == is_drawn


@pytest.mark.parametrize(("chao1", "is_drawn"), [(9.0, False), (9.5, True)])
def test_alpha_leaves_out_what_repeats_the_observed_count(chao1, is_drawn):
    values = {"chao1": chao1, "hill_q0": 9.0, "observed": 9.0, "shannon": 2.0}
    table = pd.DataFrame({"sample": "S1", "metric": list(values), "value": list(values.values())})
    table = table.assign(low=table["value"], high=table["value"], depth_used=1000)
    figure = figures.alpha(table, one_group(["S1"]))
    drawn = ["observed", "shannon", *(["chao1"] if is_drawn else [])]
    assert sorted(figure.table["metric"]) == sorted(drawn)
    assert ("Chao1 richness (estimated count)" in texts(figure.svg)) == is_drawn
    assert "The groups are not tested here." in figure.caption
    assert "repeat the observed count" in figure.caption


def differential_table():
    return pd.DataFrame(
        [
            [1, "A", "group[T.x]", 1.0, 0.5, 1.5, 0.001, 0.01, 20, 0.9, "linear"],
            [2, "B", "group[T.x]", -1.0, -2.5, 0.5, 0.2, 0.3, 20, 0.9, "linear"],
            [1, "A", "age", 0.1, 0.0, 0.2, 0.5, 0.6, 20, 0.9, "linear"],
        ],
        columns=["taxon_id", "name", "term", *EFFECT, "p", "q", "n", "prevalence", "method"],
    )


def power_table(effect=1.3):
    """A comparison's power as statistics/power.tsv has it."""
    kinds = [("taxon", "from_90_percent"), ("signature_score", "all")]
    rows = []
    for kind, name in kinds:
        unit = "log2 fold change" if kind == "taxon" else "standard deviations"
        of_kind = {"feature_kind": kind, "class": name, "unit": unit, "simulations": 100}
        of_kind |= {"n_reference": 14, "n_other": 12, "term": "group[T.x]", "assay": "shotgun"}
        for size, power in ((0.0, 0.05), (1.0, 0.6), (2.0, 0.95)):
            interval = {"low": power - 0.05, "high": power + 0.05}
            row = {"quantity": "power", "effect": size, "power": power, **interval}
            rows.append(of_kind | row)
        found = {"effect": effect, "power": 0.8, "low": 1.1, "high": np.nan}
        rows.append(of_kind | found | {"quantity": "detectable_at_80"})
        for shift, n in ((0.2, 394), (0.3, 176)) if kind != "taxon" else ():
            row = {
                "quantity": "needed_at_80",
                "effect": shift,
                "power": 0.8,
                "low": 0.7,
                "high": 0.9,
            }
            rows.append(of_kind | row | {"n_reference": n, "n_other": n})
    return pd.DataFrame(rows)


def test_power_draws_the_power_alone_and_says_the_sizes():
    figure = figures.power(power_table(), "x against y", 0.1)
    assert len(figure.table) == 6
    assert figure.table["feature"].unique().tolist() == ["prevalence ≥ 90 %", "signature score"]
    for said in ("14 and 12 samples, 100 simulations", "q ≤ 0.1", "80 %"):
        assert said in figure.caption
    assert figure.svg.count(">signature score<") == 1
    with pytest.raises(ValueError, match="no power was estimated for x against y"):
        figures.power(power_table().query("quantity != 'power'"), "x against y", 0.1)


def test_power_tells_which_feature_has_which_samples():
    table = power_table()
    table.loc[table["feature_kind"] == "taxon", "n_other"] = 13
    caption = figures.power(table, "x against y", 0.05).caption
    assert "14 and 13 samples (prevalence ≥ 90 %); 14 and 12 samples (signature score)" in caption


def test_differential_marks_q_and_keeps_to_its_term():
    figure = figures.differential(differential_table(), "group[T.x]", 0.05)
    assert "n = 20 samples, 2 taxa tested, 1 with q ≤ 0.05" in figure.caption
    assert figure.table["effect"].tolist() == [1.0, -1.0]  # not the 0.1 of age
    assert {"linear", "log2 fold change"} <= set(texts(figure.svg))


def test_taxa_without_q_are_neither_counted_nor_drawn_but_named():
    table = differential_table()
    table.loc[1, ["low", "high", "p", "q"]] = np.nan
    figure = figures.differential(table, "group[T.x]", 0.05)
    assert "1 taxa tested, 1 with q" in figure.caption
    assert "Not tested by linear, for the model leaves no variation: B." in figure.caption
    assert figure.table["taxon"].tolist() == ["A"]
    assert "B" not in texts(figure.svg)
    with pytest.raises(ValueError, match="no taxon has a q for the term 'age'"):
        figures.differential(table.assign(q=np.nan), "age", 0.05)


def test_the_numbers_of_a_figure_are_those_it_draws():
    drawn = ["taxon", "method", "effect", "low", "high", "q", "effect_unit"]
    assert list(figures.differential(differential_table(), "age", 0.05).table) == drawn
    table = score_table(3).assign(percentile=50.0)
    shown = figures.scores(table, one_group(table["sample"].tolist())).table
    assert list(shown) == ["sample", "group", "score", "score_low", "score_high"]


def contribution_table(n_samples):
    names = [f"S{i}" for i in range(n_samples)]
    return pd.DataFrame(
        {
            "sample": np.repeat(names, 2),
            "concept": ["low", "high"] * n_samples,
            "contribution": np.linspace(-1, 1, 2 * n_samples),
        }
    )


@pytest.mark.parametrize("n_samples", [2, figures.MANY_SAMPLES + 1])
def test_contributions_stand_by_sample_with_enriched_taxa_first(n_samples):
    table = contribution_table(n_samples)
    order = [f"S{i}" for i in reversed(range(n_samples))]
    figure = figures.contributions(table, order, {"low": -1.0, "high": 1.0}, one_group(order))
    assert list(figure.table.columns) == ["sample", "high", "low"]
    assert figure.table["sample"].tolist() == order


def test_sample_ledger_by_hand():
    table = figures.sample_ledger(ledger_table().iloc[0]).table
    assert table["fragments"].tolist() == [100, 90, 70, 60, 50]


def test_a_sample_stands_beside_the_others_it_may_be_compared_with():
    counts = counts_table(4).assign(S2=[0, 0, 60, 20, 20], S4=[0, 0, 0, 0, 7])
    figure = figures.sample_taxa(counts, "S1", compared=["S1", "S2", "S3"])
    row = figure.table.set_index("taxon").loc["A"]
    assert row["percent"] == 40
    assert row["others_median_percent"] == 50  # of S2 (60 %) and S3 (40 %)
    assert "of the 2 other samples" in figure.caption


def test_a_sample_without_others_is_drawn_alone():
    figure = figures.sample_taxa(counts_table(), "S1", compared=["S1"])
    assert list(figure.table.columns) == ["taxon", "percent"]
    assert "no other sample" in figure.caption


def test_a_sample_without_fragments_has_no_taxa_to_draw():
    with pytest.raises(ValueError, match="'S2' has no non-host fragments"):
        figures.sample_taxa(counts_table().assign(S2=0), "S2")
    with pytest.raises(ValueError, match="no column for sample 'S9'"):
        figures.sample_taxa(counts_table(), "S9")


def test_figures_are_the_same_bytes_and_refer_to_nothing_outside():
    table = score_table(4)
    groups = one_group(table["sample"].tolist())
    first, second = (figures.scores(table, groups).svg for _ in range(2))
    assert first == second
    assert re.findall(r'(?:href|src)="', first) == []
    assert set(re.findall(r"https?://[^\"]+", first)) == {"http://www.w3.org/2000/svg"}


def test_ids_of_a_figure_carry_its_key():
    order = ["S0", "S1"]
    figure, again = (
        figures.contributions(
            contribution_table(2), order, {}, one_group(order), key="contributions-amplicon"
        )
        for _ in range(2)
    )
    assert figure.svg == again.svg  # vega itself counts on from figure to figure
    ids = re.findall(r' id="([^"]+)"', figure.svg)
    assert ids
    assert all(name.startswith("contributions-amplicon-") for name in ids)
    assert set(re.findall(r"url\(#([^)]+)\)", figure.svg)) <= set(ids)


def test_names_in_a_figure_are_escaped():
    table = score_table(2).assign(sample=["<b>&", "S1"])
    svg = figures.scores(table, one_group(["<b>&", "S1"])).svg
    assert "&lt;b&gt;&amp;" in svg
    assert "<b>" not in svg
