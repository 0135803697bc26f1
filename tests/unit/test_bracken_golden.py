"""Bracken's own output on real samples, number by number."""

import csv
from pathlib import Path

import pytest

from moodbiome.bracken import estimate, estimate_sample, read_distribution
from moodbiome.kraken import read_report

GOLDEN = Path(__file__).parents[3] / "shared" / "data" / "bracken_golden"
pytestmark = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="shared/data/bracken_golden is not beside the repository"
)
COLUMNS = (
    "taxonomy_id",
    "kraken_assigned_reads",
    "added_reads",
    "new_est_reads",
    "fraction_total_reads",
)


@pytest.fixture(scope="module")
def distribution():
    return read_distribution(GOLDEN / "database100mers.kmer_distrib")


@pytest.fixture(scope="module")
def reports():
    paths = sorted(GOLDEN.glob("*.kreport"))
    assert len(paths) == 8
    return {path.stem: read_report(path) for path in paths}


@pytest.mark.parametrize("threshold", [0, 10])
@pytest.mark.parametrize("level", ["S", "G", "F", "P"])
def test_every_number_equals_brackens(reports, distribution, level, threshold):
    for sample, report in reports.items():
        with (GOLDEN / f"{sample}.bracken.{level}.t{threshold}.tsv").open() as file:
            expected = [
                tuple(row[name] for name in COLUMNS) for row in csv.DictReader(file, delimiter="\t")
            ]
        result = estimate_sample(report, distribution, level, threshold)
        columns = (result.taxon_id, result.assigned, result.added, result.estimate)
        found = [
            (*map(str, row), f"{fraction:.5f}")
            for *row, fraction in zip(*columns, result.fraction, strict=True)
        ]
        assert found == expected, sample


@pytest.mark.parametrize("level", ["S", "G"])
def test_cohort_table_holds_the_same_numbers_as_its_samples(reports, distribution, level):
    cohort = estimate(reports, distribution, level, 0)
    table = cohort.estimate.toarray()
    row = {taxon: position for position, taxon in enumerate(cohort.taxon_id.tolist())}
    assert cohort.samples == list(reports)
    for column, report in enumerate(reports.values()):
        alone = estimate_sample(report, distribution, level, 0)
        assert table[[row[taxon] for taxon in alone.taxon_id.tolist()], column].tolist() == (
            alone.estimate.tolist()
        )
        assert table[:, column].sum() == alone.estimate.sum()
