import numpy as np
import pytest
from test_kraken import report_text

from moodbiome.bracken import (
    ReadLength,
    check_database,
    choose_read_length,
    estimate,
    estimate_sample,
    nearest_read_length,
    read_distribution,
    reestimate_draws,
)
from moodbiome.kmer_distribution import HEADER, write_distribution
from moodbiome.kraken import parse_report

# Two genera of one family. Genome 11 is half unique: the rest of its reads end at genus 10 (0.3)
# and family 5 (0.2); genome 12 ends at itself (0.8) and the family (0.2), 21 likewise.
NODES = [
    (1, "R", 0, "root", 0),
    (2, "D", 1, "Bacteria", 0),
    (5, "F", 2, "Fivea", 90),
    (10, "G", 3, "Tenus", 30),
    (11, "S", 4, "Tenus unus", 50),
    (12, "S", 4, "Tenus duo", 80),
    (20, "G", 3, "Vigintus", 0),
    (21, "S", 4, "Vigintus unus", 8),
]
WINDOWS = {
    11: {11: 50, 10: 30, 5: 20},
    12: {12: 80, 5: 20},
    21: {21: 80, 5: 20},
    99: {99: 10, 5: 90},
}


@pytest.fixture
def report():
    return parse_report(report_text(NODES), "report")


@pytest.fixture
def distribution(tmp_path):
    path = tmp_path / "database100mers.kmer_distrib"
    write_distribution(WINDOWS, path)
    return read_distribution(path)


def as_dict(result):
    return dict(zip(result.taxon_id.tolist(), result.estimate.tolist(), strict=True))


def test_species_by_hand(report, distribution):
    """Genus 10: all 30 to species 11. Family: 90 shared as 0.2 x (50/0.5, 80/0.8, 8/0.8).

    That is 20 : 20 : 2, so 42.86, 42.86 and 4.29; genome 99 is not in the sample.
    """
    result = estimate_sample(report, distribution, "S", 0)
    assert result.taxon_id.tolist() == [11, 12, 21]
    assert result.assigned.tolist() == [50, 80, 8]
    assert result.uncut == pytest.approx([50 + 30 + 90 * 20 / 42, 80 + 90 * 20 / 42, 8 + 90 / 21])
    assert result.estimate.tolist() == [122, 122, 12]
    assert result.added.tolist() == [72, 42, 4]


def test_genus_by_hand(report, distribution):
    """The 30 at genus 10 are its own already; of the family's 90, 20 + 20 of 42 go to it."""
    result = estimate_sample(report, distribution, "G", 0)
    assert result.assigned.tolist() == [160, 8]
    assert result.uncut == pytest.approx([160 + 90 * 40 / 42, 8 + 90 * 2 / 42])


def test_taxon_below_the_threshold_gets_and_keeps_nothing(report, distribution):
    """Without species 21 the family's 90 are shared equally."""
    result = estimate_sample(report, distribution, "S", 10)
    assert as_dict(result) == {11: 50 + 30 + 45, 12: 80 + 45}


def test_threshold_is_the_least_number_kept(report, distribution):
    assert 21 in as_dict(estimate_sample(report, distribution, "S", 8))
    assert 21 not in as_dict(estimate_sample(report, distribution, "S", 9))


def test_genome_without_a_row_of_its_own_counts_as_wholly_unique(report, tmp_path):
    path = tmp_path / "distribution"
    write_distribution({11: {5: 20, 10: 80}, 12: {12: 80, 5: 20}}, path)
    result = estimate_sample(report, read_distribution(path), "S", 0)
    assert result.uncut[:2] == pytest.approx([50 + 30 + 90 * 50 / 150, 80 + 90 * 100 / 150])


def test_node_that_no_genome_of_the_sample_reaches_hands_nothing_down(report, tmp_path):
    path = tmp_path / "distribution"
    write_distribution({11: {11: 100}, 99: {5: 10}}, path)
    result = estimate_sample(report, read_distribution(path), "S", 0)
    assert result.added.tolist() == [0, 0, 0]


def test_species_without_a_genus_counts_for_the_genus_before_it_as_in_bracken(distribution):
    """Bracken's habit: species 21, here directly in the family, is a genome of genus 10."""
    nodes = [*NODES[:6], (21, "S", 3, "Vigintus unus", 8)]
    result = estimate_sample(parse_report(report_text(nodes), "report"), distribution, "G", 0)
    assert result.taxon_id.tolist() == [10]
    assert result.assigned.tolist() == [160]
    # All 90 of the family, and the 8 of species 21, which stand above no genus.
    assert result.uncut == pytest.approx([160 + 90 + 8])


def test_without_a_distribution_the_assigned_fragments_are_the_result(report):
    result = estimate_sample(report, None, "G", 0)
    assert result.estimate.tolist() == result.assigned.tolist() == [160, 8]


def test_doubling_all_fragments_doubles_the_uncut_estimates(report, distribution):
    doubled = parse_report(
        report_text([(*node, 2 * direct) for *node, direct in NODES], unclassified=10), "report"
    )
    once = estimate_sample(report, distribution, "S", 0).uncut
    assert estimate_sample(doubled, distribution, "S", 0).uncut == pytest.approx(2 * once)


@pytest.mark.parametrize("level", ["D", "F", "G", "S"])
def test_estimates_never_exceed_the_classified_fragments(report, distribution, level):
    assert 0 < estimate_sample(report, distribution, level, 0).estimate.sum() <= report.classified


def test_fractions_are_of_the_fragments_that_reached_a_kept_taxon(report, distribution):
    result = estimate_sample(report, distribution, "S", 10)
    assert result.fraction == pytest.approx([125 / 250, 125 / 250])


def test_cohort_keeps_samples_apart_whatever_their_order(report, distribution):
    other = parse_report(report_text([*NODES[:4], (12, "S", 4, "Tenus duo", 7)]), "report")
    cohort = estimate({"A": report, "B": other}, distribution, "S", 0)
    swapped = estimate(iter([("B", other), ("A", report)]), distribution, "S", 0)
    assert cohort.samples == ["A", "B"]
    assert cohort.taxon_id.tolist() == [11, 12, 21]
    assert cohort.assigned.toarray().tolist() == [[50, 0], [80, 7], [8, 0]]
    assert cohort.estimate.toarray()[:, ::-1].tolist() == swapped.estimate.toarray().tolist()
    assert cohort.estimate.toarray()[:, 0].tolist() == [122, 122, 12]


def test_sample_without_fragments_has_no_taxa(distribution):
    empty = parse_report("", "report", fragments=0)
    cohort = estimate({"A": empty}, distribution, "S", 0)
    assert cohort.estimate.shape == (0, 1)
    assert estimate_sample(empty, distribution, "S", 0).fraction.tolist() == []


def test_sample_given_twice_is_refused(report):
    with pytest.raises(ValueError, match="sample 'A' is given twice"):
        estimate([("A", report), ("A", report)], None, "S", 0)


@pytest.mark.parametrize(
    ("level", "threshold", "message"),
    [("X", 0, "level 'X' is none of D P C O F G S"), ("S", -1, "threshold is -1 fragments")],
)
def test_bad_setting_is_refused(report, level, threshold, message):
    with pytest.raises(ValueError, match=message):
        estimate_sample(report, None, level, threshold)


def test_distribution_reads_back_what_was_written(distribution):
    assert distribution.node.tolist() == [5, 10, 11, 12, 21, 99]
    assert distribution.genome.tolist() == [11, 12, 21, 99]
    assert distribution.start.tolist() == [0, 4, 5, 6, 7, 8, 9]
    assert distribution.fraction == pytest.approx([0.2, 0.2, 0.2, 0.9, 0.3, 0.5, 0.8, 0.8, 0.1])
    assert distribution.own_fraction == pytest.approx([0.5, 0.8, 0.8, 0.1])


PARENTS = {1: 0, 2: 1, 5: 2, 10: 5, 11: 10, 12: 10, 20: 5, 21: 20, 99: 5}


def named(distribution, parents):
    return check_database(distribution, parents, "database100mers.kmer_distrib", "taxo.k2d")


def test_a_distribution_fits_its_own_database(distribution):
    assert named(distribution, PARENTS) == []


def test_taxa_without_a_genome_are_said(distribution):
    (warning,) = named(distribution, {**PARENTS, 100: 99})
    assert warning == (
        "database100mers.kmer_distrib: has no genome of 1 of the 4 taxa of taxo.k2d without a "
        "child, for example 100; fragments are not handed down to them. Right only if their "
        "sequences are shorter than a read"
    )


def test_half_of_the_genomes_may_be_unknown_and_it_is_said(distribution):
    half = {taxon: parent for taxon, parent in PARENTS.items() if taxon not in (10, 12, 99)}
    (warning,) = named(distribution, half)
    assert warning.startswith("database100mers.kmer_distrib: 2 of 4 genomes (50 %) are no taxa of")
    assert "taxo.k2d, for example 12, 99; is it of another release" in warning


def test_the_distribution_of_another_database_is_refused(distribution):
    other = {taxon: parent for taxon, parent in PARENTS.items() if taxon not in (11, 12, 99)}
    said = (
        r"database100mers.kmer_distrib: 3 of 4 genomes \(75 %\) are no taxa of taxo.k2d, for "
        "example 11, 12, 99; it is the k-mer distribution of another database: use the one"
    )
    with pytest.raises(ValueError, match=said):
        named(distribution, other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEADER}\n5\t11:1:2 ", "does not end in a newline, so it was cut"),
        ("taxid\tgenomes\n5\t11:1:2 \n", "line 1: 'taxid.tgenomes' is not the header"),
        (f"{HEADER}\n", "no taxon after the header"),
        (f"{HEADER}\n5\t11:1 \n", "line 2: '11:1' does not fit"),
        (f"{HEADER}\n5\t11:1:2:3 \n", "line 2: '11:1:2:3' does not fit"),
        (f"{HEADER}\n5\t\n", "line 2: .* does not fit"),
        (f"{HEADER}\n5\t11:1:2\n5\t12:1:2\n", "taxon 5 has two lines"),
        (f"{HEADER}\n5\t11:1:2\n6\t12:1:2 12:1:2\n", "line 3: genome 12 stands twice at taxon 6"),
        (f"{HEADER}\n5\t11:3:2\n", "line 2: genome 11 has 3 windows at taxon 5 of 2 in all"),
        (f"{HEADER}\n5\t11:0:2\n", "line 2: genome 11 has 0 windows"),
        (f"{HEADER}\n5\t11:1:2\n6\t11:1:3\n", "genome 11 has 2 windows in line 2 and 3 in line 3"),
    ],
)
def test_damaged_distribution_is_refused(tmp_path, text, message):
    path = tmp_path / "distribution"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"distribution.*{message}"):
        read_distribution(path)


@pytest.mark.parametrize(
    ("mean", "expected"),
    [
        (101, ReadLength(100, False)),
        (100.4, ReadLength(100, True)),
        (125, ReadLength(100, False)),
        (125.1, ReadLength(150, False)),
        (30, ReadLength(50, False)),
        (250, ReadLength(150, False)),
    ],
)
def test_nearest_read_length_and_whether_it_is_exact(mean, expected):
    assert nearest_read_length([150, 50, 100], mean) == expected


@pytest.mark.parametrize(
    ("available", "mean", "message"),
    [([], 100, "no k-mer distribution"), ([100], 0, "is 0 bp"), ([100], np.nan, "is nan bp")],
)
def test_read_length_that_cannot_be_chosen_is_refused(available, mean, message):
    with pytest.raises(ValueError, match=message):
        nearest_read_length(available, mean)


@pytest.mark.parametrize("level", ["D", "F", "G", "S"])
@pytest.mark.parametrize("threshold", [0, 10])
def test_redrawn_estimates_of_the_report_itself_are_its_estimates(
    report, distribution, level, threshold
):
    direct = np.array([report.direct, 2 * np.array(report.direct)], dtype=float).T
    assigned, redrawn = reestimate_draws(report, distribution, level, threshold, direct)
    found = estimate_sample(report, distribution, level, threshold)
    assert pytest.approx(np.array([found.assigned, 2 * found.assigned])) == assigned.T
    assert pytest.approx(np.array([found.uncut, 2 * found.uncut])) == redrawn.T


def test_redrawn_estimates_hand_down_by_the_drawn_counts(report, distribution):
    """Species 21 has 24 of 80 in place of 8: the family's 90 are parted 20 : 20 : 6 in 46."""
    direct = np.array(report.direct, dtype=float)[:, np.newaxis]
    direct[-1] = 24
    _, redrawn = reestimate_draws(report, distribution, "S", 0, direct)
    expected = [50 + 30 + 90 * 20 / 46, 80 + 90 * 20 / 46, 24 + 90 * 6 / 46]
    assert redrawn[:, 0] == pytest.approx(expected)


def test_requested_read_length_is_taken_or_refused_with_those_there_are():
    assert choose_read_length([150, 100], 99.0, 150) == ReadLength(150, is_exact=True)
    assert choose_read_length([150, 100], 99.0, 0) == ReadLength(100, is_exact=False)
    assert choose_read_length([150, 100], None, 0) is None
    assert choose_read_length([], 99.0, 150) is None
    with pytest.raises(ValueError, match=r"is 125, but the database has .* 100, 150 bp only"):
        choose_read_length([150, 100], 99.0, 125)
