import re
from pathlib import Path

import pytest

from moodbiome.kraken import Report, parse_report, read_report

REPORTS = Path(__file__).parents[3] / "shared" / "data" / "shotgun_stool8" / "kraken_reports"

# taxon, rank, depth, name, direct: 5 unclassified and 15 classified fragments.
NODES = [
    (1, "R", 0, "root", 1),
    (131567, "R1", 1, "cellular organisms", 0),
    (2, "D", 2, "Bacteria", 2),
    (1783272, "D1", 3, "Terrabacteria group", 0),
    (1239, "P", 4, "Bacillota", 0),
    (186801, "C", 5, "Clostridia", 0),
    (186802, "O", 6, "Eubacteriales", 0),
    (216572, "F", 7, "Oscillospiraceae", 1),
    (216851, "G", 8, "Faecalibacterium", 3),
    (853, "S", 9, "Faecalibacterium prausnitzii", 4),
    (718252, "S1", 10, "Faecalibacterium prausnitzii L2-6", 2),
    (2157, "D", 2, "Archaea", 2),
]


def report_text(nodes=NODES, unclassified=5, minimizers=False):
    """Format nodes as Kraken2 does; clades and percentages follow from the direct counts."""
    clades = []
    for i, (_, _, depth, _, direct) in enumerate(nodes):
        clade = direct
        for _, _, below, _, more in nodes[i + 1 :]:
            if below <= depth:
                break
            clade += more
        clades.append(clade)
    total = unclassified + (clades[0] if clades else 0)
    rows = [(0, "U", 0, "unclassified", unclassified, unclassified)] if unclassified else []
    rows += [
        (taxon, rank, depth, name, clade, direct)
        for (taxon, rank, depth, name, direct), clade in zip(nodes, clades, strict=True)
    ]
    return "".join(
        f"{100 * clade / total:6.2f}\t{clade}\t{direct}\t"
        + ("30\t20\t" if minimizers else "")
        + f"{rank}\t{taxon}\t{'  ' * depth}{name}\n"
        for taxon, rank, depth, name, clade, direct in rows
    )


@pytest.fixture
def text():
    return report_text()


def test_columns_by_hand(text):
    report = parse_report(text, "report")
    assert report.unclassified == 5
    assert report.classified == 15
    assert report.total == 20
    assert list(report.taxon_id) == [taxon for taxon, *_ in NODES]
    assert report.rank == [rank for _, rank, *_ in NODES]
    assert report.name == [name for _, _, _, name, _ in NODES]
    assert list(report.parent) == [-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1]
    assert list(report.depth) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 2]
    assert list(report.clade) == [15, 14, 12, 10, 10, 10, 10, 10, 9, 6, 2, 2]
    assert list(report.direct) == [1, 0, 2, 0, 0, 0, 0, 1, 3, 4, 2, 2]
    assert report.minimizers is None
    assert report.distinct_minimizers is None


def test_eight_columns_give_the_same_counts_and_the_minimizers(text):
    six = parse_report(text, "report")
    eight = parse_report(report_text(minimizers=True), "report")
    assert (eight.clade, eight.direct, eight.name) == (six.clade, six.direct, six.name)
    assert list(eight.minimizers) == [30] * len(NODES)
    assert list(eight.distinct_minimizers) == [20] * len(NODES)


def test_two_taxa_of_one_name_are_kept_apart():
    """NCBI has homonyms, such as Bacillus: the bacterium and the stick insect."""
    nodes = [(1, "R", 0, "root", 0), (2, "G", 1, "Bacillus", 3), (3, "G", 1, "Bacillus", 4)]
    report = parse_report(report_text(nodes), "report")
    assert list(zip(report.name, report.taxon_id, report.clade, strict=True))[1:] == [
        ("Bacillus", 2, 3),
        ("Bacillus", 3, 4),
    ]


def test_lineage_has_main_ranks_only(text):
    report = parse_report(text, "report")
    expected = (
        "d__Bacteria;p__Bacillota;c__Clostridia;o__Eubacteriales;f__Oscillospiraceae;"
        "g__Faecalibacterium;s__Faecalibacterium prausnitzii"
    )
    assert report.lineage(9) == expected
    assert report.lineage(10) == expected
    assert report.lineage(3) == "d__Bacteria"
    assert report.lineage(0) == ""
    assert report.lineages() == [report.lineage(node) for node in range(len(NODES))]


def test_clade_of_a_taxon_that_is_not_listed_is_zero(text):
    report = parse_report(text, "report")
    assert report.clade_of(2157) == 2
    assert report.clade_of(10239) == 0


def test_without_unclassified_line_none_are_unclassified():
    report = parse_report(report_text(unclassified=0), "report")
    assert (report.unclassified, report.total) == (0, 15)


def test_without_root_all_are_unclassified():
    report = parse_report("100.00\t7\t7\tU\t0\tunclassified\n", "report", fragments=7)
    assert (report.unclassified, report.classified, report.total) == (7, 0, 7)
    assert report.lineages() == []


def test_empty_report_needs_the_callers_word_that_there_were_no_fragments():
    assert parse_report("", "report", fragments=0) == Report()
    with pytest.raises(ValueError, match="report: the report is empty"):
        parse_report("", "report")
    with pytest.raises(ValueError, match="empty, but 7 fragments were classified"):
        parse_report("", "report", fragments=7)


def test_fragments_given_to_kraken2_must_all_be_counted(text):
    assert parse_report(text, "report", fragments=20).total == 20
    with pytest.raises(ValueError, match="counts 20 fragments, but 21 were given"):
        parse_report(text, "report", fragments=21)


def test_every_cut_is_noticed(text):
    """Whatever byte a report breaks off at; the whole file alone is accepted."""
    for length in range(1, len(text)):
        with pytest.raises(ValueError, match=r"cut|missing|empty|columns|%|run Kraken2 again"):
            parse_report(text[:length], "report")


def replace_line(text, line, old, new):
    lines = text.splitlines(keepends=True)
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    return "".join(lines)


@pytest.mark.parametrize(
    ("line", "old", "new", "message"),
    [
        (3, "\tR1\t", "\t", "line 3: 5 columns, expected 6 as in line 1"),
        (3, "\t0\t", "\tx\t", "line 3, column 3: 'x' is not a whole number"),
        (3, "\t0\t", "\t-1\t", "line 3, column 3: '-1' is not a whole number"),
        (3, "\t0\t", "\t0.0\t", "line 3, column 3: '0.0' is not a whole number"),
        (3, " 70.00", " many", "line 3, column 1: ' many' is not a percentage"),
        (3, " 70.00", " 70.10", "line 3: 70.10 % is written, but 14 of 20 .* are 70.00 %"),
        (3, " 70.00", "   nan", "line 3: nan % is written"),
        (3, "\tR1\t", "\tX\t", "line 3: rank code 'X' is none of"),
        (4, "\tD\t", "\tR1x\t", "line 4: rank code 'R1x' is none of"),
        (3, "\tR1\t", "\tU\t", "line 3: unclassified stands here"),
        (1, "\t5\t5\t", "\t5\t4\t", "line 1: unclassified counts 5 in column 2 but 4"),
        (5, "      T", "        T", "line 5: 'Terrabacteria group' has an indent of 8 .* most 6"),
        (5, "      T", "     T", "line 5: 'Terrabacteria group' has an indent of 5 spaces"),
        (2, "\troot", "\t  root", "line 2: 'root' has an indent of 2 spaces where at most 0"),
        (13, "    A", "A", "line 13: 'Archaea' has no indent, but only the root"),
        (13, "\t2157\t", "\t2\t", "line 13: taxon id 2 stands already in line 4"),
        (9, "\t1\tF", "\t0\tF", "line 9: 'Oscillospiraceae' counts 10 .* 0 at .* and 9 .* are 9;"),
        (6, "\n", "\r\n", "line 6: carriage return"),
    ],
)
def test_damage_is_named(text, line, old, new, message):
    with pytest.raises(ValueError, match=f"^file.txt, {message}"):
        parse_report(replace_line(text, line, old, new), "file.txt")


def test_header_line_is_refused(text):
    header = "percent\tclade\tdirect\trank\ttaxid\tname\n"
    with pytest.raises(ValueError, match=r"line 1, column 1: 'percent' .* no header line"):
        parse_report(header + text, "file.txt")


def test_mpa_style_report_is_refused():
    with pytest.raises(ValueError, match=r"line 1: 2 columns, expected 6 or 8; .*use-mpa-style"):
        parse_report("d__Bacteria\t12\n", "file.txt")


def test_compressed_report_is_refused(tmp_path):
    path = tmp_path / "report.txt.gz"
    path.write_bytes(b"\x1f\x8b\x08\x00\x00\x00\x00\x00")
    with pytest.raises(ValueError, match=r"report\.txt\.gz: byte 1 is not text"):
        read_report(path)


def blank_letters(text, depths):
    """Drop the rank letters of the first levels of the tree, as some builds of Kraken2 do."""
    lines = []
    for line in text.splitlines():
        *start, rank, taxon, label = line.split("\t")
        depth = (len(label) - len(label.lstrip())) // 2
        if rank != "U" and depth < depths:
            rank = re.sub("[A-Z]", "", rank)
        lines.append("\t".join([*start, rank, taxon, label]) + "\n")
    return "".join(lines)


@pytest.mark.parametrize("depths", [1, 2, 3, 4])
def test_lost_rank_letters_are_restored(text, depths):
    assert parse_report(blank_letters(text, depths), "report").rank == [r for _, r, *_ in NODES]


def test_lost_ranks_of_another_taxonomy_follow_from_what_stands_below():
    """Greengenes: domain and phyla directly below the root, with ids of their own."""
    nodes = [
        (1, "R", 0, "root", 0),
        (3, "D", 1, "Bacteria", 0),
        (4, "P", 2, "Firmicutes", 0),
        (5, "C", 3, "Clostridia", 4),
        (6, "P", 2, "Bacteroidetes", 6),
    ]
    report = parse_report(blank_letters(report_text(nodes), 3), "report")
    assert report.rank == ["R", "D", "P", "C", "P"]


def test_lost_rank_that_could_be_several_is_refused():
    nodes = [
        (1, "R", 0, "root", 0),
        (2, "D", 1, "Bacteria", 0),
        (7, "F", 2, "Something", 3),
    ]
    with pytest.raises(ValueError, match="line 4: Kraken2 left out the rank of 'Something'"):
        parse_report(blank_letters(report_text(nodes), 3), "file.txt")


def test_domains_of_the_2025_taxonomy_are_domains():
    nodes = [
        (1, "R", 0, "root", 0),
        (131567, "R1", 1, "cellular organisms", 0),
        (2, "R2", 2, "Bacteria", 3),
        (2157, "R2", 2, "Something else", 1),
    ]
    report = parse_report(report_text(nodes), "report")
    assert report.rank == ["R", "R1", "D", "R2"]
    assert report.lineage(2) == "d__Bacteria"


@pytest.mark.skipif(not REPORTS.is_dir(), reason="shared/data is not beside the repository")
@pytest.mark.parametrize("path", sorted(REPORTS.glob("*.krak.report")), ids=lambda p: p.stem)
def test_real_report_survives_the_loss_of_its_first_rank_letters(path):
    whole = read_report(path)
    assert whole.total > 9000
    assert whole.clade_of(2) > 0
    assert parse_report(blank_letters(path.read_text(), 3), "report") == whole
