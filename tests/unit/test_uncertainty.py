"""Intervals of abundances: what they cover, and what widens them."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from scipy.special import betaincinv, gammaincinv
from test_kraken import report_text

from moodbiome.bracken import estimate_sample, read_distribution
from moodbiome.kmer_distribution import write_distribution
from moodbiome.kraken import parse_report
from moodbiome.uncertainty import COLUMNS, effective_counts, sample_intervals

# Four genera of three species in one family. Of 1000 reads of a species 200 end at its genus, 200
# to 320 at itself and the others, about half, at the family.
GENERA = (10, 20, 30, 40)
SPECIES = tuple(genus + species for genus in GENERA for species in (1, 2, 3))
WINDOWS = {
    taxon: {taxon: unique, taxon // 10 * 10: 200, 5: 800 - unique}
    for taxon in SPECIES
    for unique in [140 + 60 * (taxon % 10)]
}


def parsed(direct):
    """Report of the fragments at each taxon."""
    nodes = [(1, "R", 0, "root", 0), (2, "D", 1, "Bacteria", 0), (5, "F", 2, "Fam", direct[5])]
    for genus in GENERA:
        at_species = [(taxon, direct.get(taxon, 0)) for taxon in range(genus + 1, genus + 4)]
        if direct.get(genus, 0) + sum(count for _, count in at_species):
            nodes.append((genus, "G", 3, f"Genus {genus}", direct.get(genus, 0)))
            nodes += [(taxon, "S", 4, f"Species {taxon}", n) for taxon, n in at_species if n]
    return parse_report(report_text(nodes), "report")


def sequenced(p, depth, rng):
    """Fragments at each taxon of a community with these proportions of the species."""
    direct = dict.fromkeys((5, *GENERA, *SPECIES), 0)
    for taxon, share in zip(SPECIES, p, strict=True):
        for node, windows in WINDOWS[taxon].items():
            direct[node] += int(rng.poisson(depth * share * windows / 1000))
    return direct


@pytest.fixture(scope="module")
def distribution(tmp_path_factory):
    path = tmp_path_factory.mktemp("database") / "database100mers.kmer_distrib"
    write_distribution(WINDOWS, path)
    return read_distribution(path)


@pytest.fixture(scope="module")
def communities():
    rng = np.random.default_rng(4)
    return {f"S{n}": rng.dirichlet(np.ones(len(SPECIES))) for n in range(400)}


@pytest.fixture(scope="module")
def reports(communities):
    rng = np.random.default_rng(5)
    return {sample: parsed(sequenced(p, 3_000, rng)) for sample, p in communities.items()}


def intervals(reports, distribution, rank="genus", threshold=10, **settings):
    known = {} if distribution is None else dict.fromkeys(reports, distribution)
    settings = {"draws": 200, "seed": 1, **settings}
    return sample_intervals(reports, known, [rank], threshold, **settings)[rank]


def taxa_of(table):
    return table[table["taxon_id"].notna()]


def counting_alone(table):
    """Jeffreys' interval of the estimated fragments, as if each had been seen at its taxon."""
    others = table.groupby("sample")["fragments"].transform("sum") - table["fragments"]
    a, b = table["fragments"] + 0.5, others + 0.5
    return betaincinv(a, b, 0.025), betaincinv(a, b, 0.975)


@pytest.mark.parametrize("rank", ["genus", "species"])
def test_intervals_cover_the_truth_and_those_of_counting_alone_do_not(
    reports, communities, distribution, rank
):
    table = taxa_of(intervals(reports, distribution, rank))
    members = GENERA if rank == "genus" else SPECIES
    truth = np.array(
        [
            sum(
                p
                for taxon, p in zip(SPECIES, communities[sample], strict=True)
                if (taxon // 10 * 10 if rank == "genus" else taxon) == wanted
            )
            for sample, wanted in zip(table["sample"], table["taxon_id"], strict=True)
        ]
    )
    assert set(table["taxon_id"]) <= set(members)
    # A taxon is in the table only where chance gave it ten fragments: these are judged by the rest.
    common = (truth > 0.03).tolist()

    def coverage(low, high):
        return ((low <= truth) & (truth <= high))[common].mean()

    assert 0.92 <= coverage(table["low"], table["high"]) <= 0.98
    assert coverage(*counting_alone(table)) < 0.85


def test_effective_fragments_are_fewer_where_much_is_handed_down(reports, distribution):
    """Half of the fragments stand at the family, and tell nothing of the genera."""
    table = taxa_of(intervals(reports, distribution))
    share = table["effective_fragments"] / table["fragments"]
    assert 0.3 < share.median() < 0.7
    assert share.max() <= 1


def test_without_a_distribution_intervals_are_those_of_counting(reports):
    some = {sample: reports[sample] for sample in list(reports)[:100]}
    table = taxa_of(intervals(some, None, draws=2000))
    assert table["effective_fragments"].to_numpy() == pytest.approx(table["fragments"])
    low, high = counting_alone(table)
    width = high - low
    assert ((table["low"] - low) / width).abs().mean() < 0.02
    assert ((table["high"] - high) / width).abs().mean() < 0.02


def test_fragments_are_the_counts_and_lie_within_their_interval(reports, distribution):
    some = {sample: reports[sample] for sample in list(reports)[:50]}
    table = taxa_of(intervals(some, distribution, "species"))
    for sample in ("S0", "S7"):
        found = estimate_sample(reports[sample], distribution, "S", 10)
        rows = table[table["sample"] == sample].set_index("taxon_id")
        assert rows["fragments"].to_dict() == dict(
            zip(found.taxon_id.tolist(), found.estimate.tolist(), strict=True)
        )
        assert rows["proportion"].sum() == pytest.approx(1)
    # Rounded down and with half a fragment more in each draw, a rare one may miss by a hair.
    inside = (table["low"] <= table["proportion"]) & (table["proportion"] <= table["high"])
    assert inside.mean() > 0.99


def test_the_row_without_a_taxon_bounds_those_without_a_row():
    report = parsed({5: 0, 11: 100, 21: 9})
    table = intervals({"S1": report}, None)
    assert table["taxon_id"].tolist() == [pd.NA, 10]
    # Nine fragments, one fewer than the threshold: the upper limit of so many among 100.
    limit = gammaincinv(9.5, 0.975)
    absent = table.iloc[0]
    assert absent["high"] == pytest.approx(limit / (limit + 100))
    assert (absent["fragments"], absent["low"], absent["effective_fragments"]) == (0, 0, 0)


def test_removed_taxa_are_in_no_row_and_no_denominator():
    report = parsed({5: 0, 11: 300, 21: 100, 31: 100})
    table = taxa_of(intervals({"S1": report}, None, removed={"genus": [10]}))
    assert table["taxon_id"].tolist() == [20, 30]
    assert table["proportion"].tolist() == [0.5, 0.5]


def test_rows_depend_on_seed_and_name_only(reports, distribution):
    three = {sample: reports[sample] for sample in ("S0", "S1", "S2")}
    table = intervals(three, distribution)
    assert_frame_equal(intervals(three, distribution), table)
    alone = intervals({"S1": reports["S1"]}, distribution)
    assert_frame_equal(alone, table[table["sample"] == "S1"].reset_index(drop=True))
    assert (taxa_of(intervals(three, distribution, seed=2))["low"] != taxa_of(table)["low"]).all()
    twins = taxa_of(intervals({"A": reports["S0"], "B": reports["S0"]}, distribution))
    one, other = (twins.loc[twins["sample"] == name, "low"].to_numpy() for name in "AB")
    assert (one != other).all()


def test_sample_without_a_fragment_has_the_row_without_a_taxon_alone(distribution):
    table = intervals({"S1": parse_report("", "report", fragments=0)}, distribution)
    assert table["taxon_id"].isna().tolist() == [True]
    assert table["high"].tolist() == [1.0]


def test_no_sample_gives_a_table_without_rows():
    assert list(intervals({}, None).columns) == list(COLUMNS)


def test_effective_counts_are_missing_where_a_sample_lacks_the_taxon():
    two = {"S1": parsed({5: 0, 11: 100}), "S2": parsed({5: 0, 11: 50, 21: 20})}
    wide = effective_counts(intervals(two, None))
    assert wide.loc[10].to_dict() == pytest.approx({"S1": 100, "S2": 50})
    assert np.isnan(wide.loc[20, "S1"])


def test_too_few_draws_are_refused(reports):
    with pytest.raises(ValueError, match="99 draws; a 95 % interval needs at least 100"):
        intervals(reports, None, draws=99)
