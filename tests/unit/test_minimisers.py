"""Taxa seen in too few places: by hand, and what becomes of their fragments."""

import pytest

from moodbiome.kraken import Report, parse_report
from moodbiome.minimisers import (
    COLUMNS,
    Limits,
    flagged_taxa,
    has_minimisers,
    minimiser_rows,
    minimisers_per_fragment,
)
from moodbiome.tables import build_counts

LIMITS = Limits(min_distinct=2000, min_distinct_share=0.4)
# 1000 fragments with 40 minimisers each. Spread: 9,000 distinct. Heap: 600 from 200 fragments.
# Covered: 30,000 minimisers of a genome of 2,500. Rare: 10 fragments, each at its own place.
TEXT = """\
  0.00	0	0	0	0	U	0	unclassified
100.00	1000	0	40000	12700	R	1	root
 99.00	990	0	39600	12550	D	2	  Bacteria
 20.00	200	200	8000	600	G	10	    Heap
 30.00	300	300	12000	9000	G	11	    Spread
 48.00	480	480	19200	2500	G	12	    Covered
  1.00	10	10	400	390	G	13	    Rare
  1.00	10	0	400	150	D	10239	  Viruses
  1.00	10	10	400	150	G	20	    Phage
"""


@pytest.fixture
def report():
    return parse_report(TEXT, "S1")


def test_a_fragment_holds_what_the_average_fragment_does(report):
    assert minimisers_per_fragment(report) == 40


def test_only_the_pile_up_is_flagged(report):
    assert flagged_taxa(report, "genus", LIMITS) == {10}


def test_rows_by_hand(report):
    rows = {row[2]: row for row in minimiser_rows("S1", report, ["genus"], 10, LIMITS)}
    assert len(rows["Heap"]) == len(COLUMNS)
    assert rows["Heap"] == ("S1", 10, "Heap", "genus", 200, 8000, 600, 600 / 8000, True)
    assert rows["Spread"][-2:] == (0.75, False)
    assert rows["Rare"][-2:] == (0.975, False)


def test_viruses_are_listed_and_not_judged(report):
    rows = {row[2]: row for row in minimiser_rows("S1", report, ["genus"], 10, LIMITS)}
    assert rows["Phage"][-2:] == (0.375, None)


def test_taxa_with_few_fragments_are_not_listed(report):
    rows = minimiser_rows("S1", report, ["genus", "domain"], 11, LIMITS)
    assert [row[2] for row in rows] == ["Heap", "Spread", "Covered", "Bacteria"]


def test_a_report_of_six_columns_flags_nothing():
    columns = (line.split("\t") for line in TEXT.splitlines())
    lines = ("\t".join(cells[:3] + cells[5:]) for cells in columns)
    report = parse_report("".join(f"{line}\n" for line in lines), "S1")
    assert not has_minimisers(report)
    assert flagged_taxa(report, "genus", LIMITS) == set()
    assert list(minimiser_rows("S1", report, ["genus"], 0, LIMITS)) == []


def test_an_empty_report_flags_nothing():
    assert has_minimisers(Report())
    assert flagged_taxa(Report(), "genus", LIMITS) == set()


def test_dropped_fragments_are_unassigned_and_sums_hold(report):
    flagged = flagged_taxa(report, "genus", LIMITS)
    kept = build_counts({"S1": report, "S2": report}, None, "genus", 0)
    counts = build_counts({"S1": report, "S2": report}, None, "genus", 0, {"S1": flagged})
    assert (kept.loc[-1, "S1"], counts.loc[-1, "S1"]) == (0, 200)
    assert (counts.loc[10, "S1"], counts.loc[10, "S2"]) == (0, 200)
    assert counts["S1"].sum() == counts["S2"].sum() == report.total
    assert counts.drop([-1, 10])["S1"].tolist() == kept.drop([-1, 10])["S1"].tolist()
