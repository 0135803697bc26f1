from pathlib import Path

import biom
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from test_kraken import NODES as GUT
from test_kraken import report_text

from moodbiome.bracken import read_distribution
from moodbiome.kmer_distribution import write_distribution
from moodbiome.kraken import RANK_CODES, parse_report, read_report
from moodbiome.tables import build_counts, read_counts, write_biom, write_counts

GOLDEN = Path(__file__).parents[3] / "shared" / "data" / "bracken_golden"
OTHER = [
    (1, "R", 0, "root", 0),
    (131567, "R1", 1, "cellular organisms", 0),
    (2, "D", 2, "Bacteria", 0),
    (976, "P", 3, "Bacteroidota", 1),
    (816, "G", 4, "Bacteroides", 6),
]
LINEAGE = (
    "d__Bacteria;p__Bacillota;c__Clostridia;o__Eubacteriales;f__Oscillospiraceae;"
    "g__Faecalibacterium"
)


@pytest.fixture
def reports():
    """Sample C has no fragments at all."""
    return {
        "A": parse_report(report_text(GUT), "A"),
        "B": parse_report(report_text(OTHER, unclassified=0), "B"),
        "C": parse_report("", "C", fragments=0),
    }


@pytest.fixture
def distribution(tmp_path):
    path = tmp_path / "distribution"
    write_distribution({853: {853: 6, 216851: 2, 216572: 2}, 816: {816: 9, 976: 1}}, path)
    return read_distribution(path)


def test_plain_counts_by_hand(reports):
    """A: 5 unclassified, 9 in the genus, 6 elsewhere; B: 6 in its genus, 1 at the phylum."""
    expected = pd.DataFrame(
        {
            "name": ["unclassified", "unassigned", "Bacteroides", "Faecalibacterium"],
            "lineage": [
                "",
                "",
                "d__Bacteria;p__Bacteroidota;g__Bacteroides",
                LINEAGE,
            ],
            "A": [5, 6, 0, 9],
            "B": [0, 1, 6, 0],
            "C": [0, 0, 0, 0],
        },
        index=pd.Index([0, -1, 816, 216851], name="taxon_id"),
    )
    assert_frame_equal(build_counts(reports, None, "genus", 0), expected)


def test_reestimated_counts_by_hand(reports, distribution):
    """The one fragment at A's family and that at B's phylum go down to the only genus there."""
    counts = build_counts(reports, distribution, "genus", 0)
    assert counts["A"].tolist() == [5, 5, 0, 10]
    assert counts["B"].tolist() == [0, 0, 7, 0]


def test_taxon_below_the_threshold_is_unassigned(reports):
    counts = build_counts(reports, None, "genus", 7)
    assert counts.index.tolist() == [0, -1, 216851]
    assert counts["B"].tolist() == [0, 7, 0]


def test_samples_may_have_distributions_of_their_own(reports, distribution):
    """C has no fragments, so it needs none; A and B do."""
    both = build_counts(reports, {"A": distribution, "B": distribution}, "genus", 0)
    assert_frame_equal(both, build_counts(reports, distribution, "genus", 0))
    assert_frame_equal(
        build_counts(reports, {}, "genus", 0), build_counts(reports, None, "genus", 0)
    )
    with pytest.raises(ValueError, match="sample 'B' has 7 classified fragments but no k-mer"):
        build_counts(reports, {"A": distribution}, "genus", 0)


@pytest.mark.parametrize("rank", RANK_CODES)
def test_every_fragment_is_in_one_row(reports, distribution, rank):
    for source in (None, distribution):
        counts = build_counts(reports, source, rank, 2)
        assert counts[["A", "B", "C"]].sum().tolist() == [20, 7, 0]
        assert (counts[["A", "B", "C"]] >= 0).all(axis=None)


def test_samples_stay_in_the_order_given_and_taxa_in_order_of_id(reports):
    backwards = build_counts(reversed(reports.items()), None, "phylum", 0)
    assert list(backwards.columns) == ["name", "lineage", "C", "B", "A"]
    assert backwards.index.tolist() == [0, -1, 976, 1239]
    forwards = build_counts(reports, None, "phylum", 0)
    assert_frame_equal(backwards[forwards.columns], forwards)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            (976, "P", 3, "Bacteroidetes", 1),
            "is 'Bacteroidota' below taxon 2 in sample 'B', but 'Bacteroidetes' below taxon 2 in",
        ),
        ((976, "P", 1, "Bacteroidota", 1), r"below taxon 2 in sample 'B', but .* below taxon 1 in"),
    ],
)
def test_taxon_that_differs_between_reports_is_refused(reports, node, message):
    reports["D"] = parse_report(report_text([*OTHER[:3], node]), "D")
    with pytest.raises(ValueError, match=message):
        build_counts(reports, None, "genus", 0)


def test_rank_nested_in_itself_is_refused_by_sample_and_numbers():
    nodes = [(1, "R", 0, "root", 0), (5, "G", 1, "Outer", 2), (6, "G", 2, "Inner", 3)]
    report = parse_report(report_text(nodes, unclassified=4), "report")
    with pytest.raises(
        ValueError, match=r"sample 'A': unclassified and genus counts sum to 12, .* 9 fragments"
    ):
        build_counts({"A": report}, None, "genus", 0)


def test_bad_settings_and_sample_names_are_refused(reports):
    with pytest.raises(ValueError, match="rank 'tribe' is none of domain, phylum"):
        build_counts(reports, None, "tribe", 0)
    with pytest.raises(ValueError, match="sample 'A' is given twice"):
        build_counts([("A", reports["A"]), ("A", reports["B"])], None, "genus", 0)
    with pytest.raises(ValueError, match="cannot be called 'lineage'"):
        build_counts({"lineage": reports["A"]}, None, "genus", 0)


def test_table_reads_back_as_it_was_written(reports, tmp_path):
    """Also a name with quotes, and one that looks like a missing value."""
    nodes = [*OTHER, (7, "G", 4, "'Candidatus \"X\"'", 3), (9, "G", 4, "NA", 2)]
    reports["D"] = parse_report(report_text(nodes), "D")
    counts = build_counts(reports, None, "genus", 0)
    write_counts(counts, tmp_path / "counts.tsv")
    assert_frame_equal(read_counts(tmp_path / "counts.tsv"), counts)
    first, second, *_ = (tmp_path / "counts.tsv").read_text().splitlines()
    assert first == "taxon_id\tname\tlineage\tA\tB\tC\tD"
    assert second == "0\tunclassified\t\t5\t0\t0\t5"


TABLE = "taxon_id\tname\tlineage\tA\n0\tunclassified\t\t5\n-1\tunassigned\t\t0\n816\tB\tg__B\t7\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name\tlineage", "lineage\tname", "the first columns are taxon_id, lineage, name"),
        ("0\tunclassified\t\t5\n", "", "the first two rows must be"),
        ("816\t", "0\t", "taxon_id 0 has two rows"),
        ("\t7\n", "\t\n", "taxon_id 816, sample 'A' has ''"),
        ("\t7\n", "\t7.5\n", "taxon_id 816, sample 'A' has '7.5'"),
        ("\t7\n", "\t-7\n", "taxon_id 816, sample 'A' has '-7'"),
        ("\t5\n", "\t5.0\n", "taxon_id 0, sample 'A' has '5.0'"),
        ("\t7\n", "\tx\n", "taxon_id 816, sample 'A' has 'x'"),
    ],
)
def test_damaged_table_is_refused(tmp_path, old, new, message):
    assert old in TABLE
    (tmp_path / "counts.tsv").write_text(TABLE.replace(old, new, 1))
    with pytest.raises(ValueError, match=f"counts.tsv: {message}"):
        read_counts(tmp_path / "counts.tsv")


def test_biom_reads_back_equal(reports, tmp_path):
    counts = build_counts(reports, None, "genus", 0)
    write_biom(counts, tmp_path / "counts.biom", "shotgun.genus")
    table = biom.load_table(tmp_path / "counts.biom")
    assert table.table_id == "shotgun.genus"
    assert list(table.ids()) == ["A", "B", "C"]
    assert list(table.ids("observation")) == ["0", "-1", "816", "216851"]
    assert table.matrix_data.toarray().tolist() == counts[["A", "B", "C"]].to_numpy().tolist()
    taxonomy = [dict(entry) for entry in table.metadata(axis="observation")]
    assert taxonomy[0] == {"name": "unclassified", "taxonomy": ["unclassified"]}
    assert taxonomy[2] == {
        "name": "Bacteroides",
        "taxonomy": ["d__Bacteria", "p__Bacteroidota", "g__Bacteroides"],
    }


def test_biom_of_the_same_table_has_the_same_bytes_whatever_the_clock(
    reports, tmp_path, monkeypatch
):
    counts = build_counts(reports, None, "genus", 0)
    write_biom(counts, tmp_path / "one.biom", "shotgun.genus")
    monkeypatch.setattr("time.time", lambda: 4e9)
    write_biom(counts, tmp_path / "two.biom", "shotgun.genus")
    assert (tmp_path / "one.biom").read_bytes() == (tmp_path / "two.biom").read_bytes()


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="shared/data is not beside the repository")
def test_real_cohort_is_counted_to_the_last_fragment():
    reports = {path.stem: read_report(path) for path in sorted(GOLDEN.glob("*.kreport"))}
    distribution = read_distribution(GOLDEN / "database100mers.kmer_distrib")
    for rank in RANK_CODES:
        counts = build_counts(reports, distribution, rank, 10)
        assert (counts[list(reports)].sum() == 10_000).all()
    species = counts.loc[821]
    assert species["name"] == "Phocaeicola vulgatus"
    assert species["lineage"].startswith("d__Bacteria;p__Bacteroidota;c__Bacteroidia;")
    assert species["SRR7280802"] == 119
