"""How much the genera of a few samples depend on confidence, least fragments and minimisers.

Only the standard library: it runs where Kraken2 is.
"""

import gzip
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from math import fsum
from pathlib import Path
from typing import Any

from moodbiome.classification import classify, used_files, why_failed
from moodbiome.kraken import Report
from moodbiome.minimisers import Limits, flagged_taxa

CONFIDENCES = (0.0, 0.05, 0.1, 0.2, 0.4)
MIN_FRAGMENTS = (0, 10, 50)
COLUMNS = (
    *("sample", "confidence", "min_fragments", "minimisers", "is_run_setting", "fragments"),
    *("classified_share", "n_genera", "bray_curtis", "n_lost", "n_gained", "note"),
)
"""Columns of the table, one row a sample and setting."""

MIN_MEASURED = 1000
"""Fragments below which a sample says nothing of settings."""

FASTQ_LINES = 4


def spread(names: Sequence[str], n: int) -> list[str]:
    """Choose n names, or all if there are fewer, evenly over their order.

    >>> spread(["A", "B", "C", "D", "E"], 2), spread(["A", "B"], 3), spread(["A", "B"], 0)
    (['B', 'D'], ['A', 'B'], [])
    """
    n = min(n, len(names))
    return [names[(2 * i + 1) * len(names) // (2 * n)] for i in range(n)]


def write_head(files: Sequence[str], n_records: int, path: Path) -> int:
    """Write the first records of several gzipped FASTQ files, read one after the other.

    Returns
    -------
    int
        Records written: n_records, or all there are.
    """
    left = FASTQ_LINES * n_records
    with path.open("wb") as out:
        for file in files:
            with gzip.open(file) as lines:
                head = list(islice(lines, left))
            out.writelines(head)
            left -= len(head)
    return n_records - left // FASTQ_LINES


def genus_fragments(
    report: Report, min_fragments: int, excluded: set[int] | frozenset[int] = frozenset()
) -> dict[int, int]:
    """Fragments at each genus and below, of the genera that are reported.

    Parameters
    ----------
    min_fragments
        A genus with fewer is not reported.
    excluded
        Taxon ids that are not.
    """
    return {
        taxon: clade
        for taxon, rank, clade in zip(report.taxon_id, report.rank, report.clade, strict=True)
        if rank == "G" and clade >= max(min_fragments, 1) and taxon not in excluded
    }


def bray_curtis(one: Mapping[int, int], other: Mapping[int, int]) -> float | None:
    """Bray-Curtis distance of proportions, 0 (the same) to 1; None if either is empty.

    >>> bray_curtis({1: 30, 2: 10}, {1: 1, 3: 1})
    0.5
    """
    if not one or not other:
        return None
    totals = sum(one.values()), sum(other.values())
    taxa = sorted(one.keys() | other.keys())
    # Summed exactly, so that it does not depend on the order and is 0 for equal tables.
    return fsum(abs(one.get(t, 0) / totals[0] - other.get(t, 0) / totals[1]) for t in taxa) / 2


def measure_sample(
    runs: list[dict[str, Any]],
    r1: Sequence[str],
    r2: Sequence[str],
    n_fragments: int,
    database: Path,
    min_hit_groups: int,
    threads: int,
    log: Path,
    **settings: Any,
) -> list[tuple[Any, ...]]:
    """Rows of one sample, from the first of its clean fragments.

    Parameters
    ----------
    runs, r1, r2, database, min_hit_groups, threads, log
        As for `moodbiome.classification.classify_sample`.
    n_fragments
        How many are classified, at most.
    settings
        Of the run, for `sensitivity_rows`.

    Returns
    -------
    list of tuple
        As `COLUMNS`; of a sample that failed, or with fewer than `MIN_MEASURED` fragments, one
        row that says so in its note.
    """
    sample = runs[0]["sample"]
    reason = why_failed(runs)
    left = 0 if reason else sum(run["non_host"] for run in runs)
    if left < MIN_MEASURED:
        note = (
            f"failed: {reason}"
            if reason
            else f"{left} fragments are left, {MIN_MEASURED} are needed"
        )
        return [(sample, *[None] * (len(COLUMNS) - 2), note)]
    with tempfile.TemporaryDirectory() as temporary:
        folder, heads, n_written = Path(temporary), [], 0
        for mate, files in enumerate(used_files(runs, r1, r2), start=1):
            head = folder / f"R{mate}.fastq"
            n_written = write_head(files, n_fragments, head)
            heads.append([str(head)])

        def classified(confidence: float) -> Report:
            report = folder / "report"
            parts = (heads, database, report, confidence, min_hit_groups, threads, log, n_written)
            return classify(*parts)

        return list(sensitivity_rows(sample, classified, **settings))


def sensitivity_rows(
    sample: str,
    classify: Callable[[float], Report],
    confidence: float,
    min_fragments: int,
    limits: Limits | None,
    action: str,
) -> Iterator[tuple[Any, ...]]:
    """Rows of one sample: the run's settings first, then each other value of one of them.

    Parameters
    ----------
    classify
        Gives the report of the sample's first fragments at a confidence; asked once for each.
    confidence, min_fragments, limits, action
        Of the run. Without limits (amplicons) nothing is said of minimisers.

    Yields
    ------
    tuple
        As `COLUMNS`. Distance, lost and gained genera are held against the first row.
    """
    reports = {
        value: classify(value) for value in dict.fromkeys((confidence, *sorted(CONFIDENCES)))
    }

    def genera(at: float, least: int, what: str) -> dict[int, int]:
        report = reports[at]
        drop = limits is not None and what == "drop"
        excluded = flagged_taxa(report, "genus", limits) if drop and limits else set()
        return genus_fragments(report, least, excluded)

    run = (confidence, min_fragments, action)
    settings = [run, *((at, min_fragments, action) for at in CONFIDENCES)]
    settings += [(confidence, least, action) for least in MIN_FRAGMENTS]
    if limits is not None:
        settings += [(confidence, min_fragments, what) for what in ("flag", "drop")]
    own = genera(*run)
    for setting in dict.fromkeys(settings):
        found, report = genera(*setting), reports[setting[0]]
        yield (
            *(sample, *setting[:2], setting[2] if limits is not None else None),
            *(setting == run, report.total, report.classified / report.total, len(found)),
            *(bray_curtis(own, found), len(own.keys() - found), len(found.keys() - own)),
            "",
        )
