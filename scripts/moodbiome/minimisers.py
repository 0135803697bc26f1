"""Taxa whose fragments hold too few distinct minimisers to be there: pile-ups on a short stretch.

Only the standard library.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from moodbiome.kraken import RANK_CODES, Report

COLUMNS = (
    *("sample", "taxon_id", "name", "rank", "fragments", "minimisers", "distinct"),
    *("distinct_share", "is_flagged"),
)
"""Columns of the table of minimisers, one row a sample and taxon."""


class Limits(NamedTuple):
    """When a taxon is flagged: both its numbers are below these.

    Attributes
    ----------
    min_distinct : int
        Distinct minimisers. A genome, however often it is covered, has more of its own.
    min_distinct_share : float
        Distinct minimisers over those that its fragments would hold if they were like the sample's
        others and none came twice. Fragments spread over a genome bring new ones each, until most
        of the genome is seen, and by then there are more than `min_distinct`.
    """

    min_distinct: int
    min_distinct_share: float

    def exceed(self, distinct: int, share: float) -> bool:
        """Whether a taxon with so many distinct minimisers, and that share, is to be flagged.

        >>> limits = Limits(min_distinct=2000, min_distinct_share=0.4)
        >>> limits.exceed(600, 0.03), limits.exceed(400, 0.9), limits.exceed(20_000, 0.05)
        (True, False, False)
        """
        return distinct < self.min_distinct and share < self.min_distinct_share


def has_minimisers(report: Report) -> bool:
    """Whether a report has the columns of ``--report-minimizer-data``; an empty one lacks nothing.

    >>> has_minimisers(Report())
    True
    """
    return report.distinct_minimizers is not None or not report.taxon_id


def minimisers_per_fragment(report: Report) -> float:
    """Minimisers seen in a sample over its classified fragments: what a fragment of it holds.

    It depends on the length and the layout of the reads, and on how near the database is. NaN
    without minimisers or classified fragments.
    """
    if report.minimizers is None or not report.classified:
        return float("nan")
    return report.minimizers[0] / report.classified


def flagged_taxa(report: Report, rank: str, limits: Limits) -> set[int]:
    """Taxon ids of a rank that are flagged in a sample.

    Parameters
    ----------
    report
        One without minimisers has no flagged taxon.
    rank
        One of `moodbiome.kraken.RANK_CODES`.
    limits
        Viruses are not held against them: a whole genome of theirs may be shorter than a pile-up.
    """
    rows = minimiser_rows("", report, [rank], 1, limits)
    return {taxon for _, taxon, *_, is_flagged in rows if is_flagged}


def minimiser_rows(
    sample: str, report: Report, ranks: Sequence[str], min_fragments: int, limits: Limits
) -> Iterator[tuple[Any, ...]]:
    """Rows of the table of minimisers, of taxa with `min_fragments` or more, by rank.

    Parameters
    ----------
    sample
        Its name, for the first column.
    report
        One without minimisers gives no row.

    Yields
    ------
    tuple
        As `COLUMNS`; whether it is flagged is None for viruses, which are not judged.
    """
    if report.minimizers is None or report.distinct_minimizers is None:
        return
    viral, held = _viral(report), minimisers_per_fragment(report)
    for rank in ranks:
        for node, found in enumerate(report.rank):
            fragments = report.clade[node]
            if found != RANK_CODES[rank] or fragments < max(min_fragments, 1):
                continue
            distinct = report.distinct_minimizers[node]
            share = distinct / (fragments * held)
            yield (
                *(sample, report.taxon_id[node], report.name[node], rank, fragments),
                *(report.minimizers[node], distinct, share),
                None if viral[node] else limits.exceed(distinct, share),
            )


def _viral(report: Report) -> list[bool]:
    """Whether each node is of viruses, by the name of its domain."""
    viral: list[bool] = []
    for name, rank, parent in zip(report.name, report.rank, report.parent, strict=True):
        above = viral[parent] if parent >= 0 else False
        viral.append(above or (rank[0] == "D" and name.rpartition("__")[2] == "Viruses"))
    return viral
