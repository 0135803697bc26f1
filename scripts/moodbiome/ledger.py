"""The ledger: where every fragment of every sample went; and the status of every row of the sheet.

Only the standard library. A fragment is a read pair, or a single-end read.
"""

from collections.abc import Iterable
from typing import Any

from moodbiome.tools import require_equal

LEDGER = (
    *("raw", "failed_qc", "host", "non_host"),
    *("classified", "unclassified", "bacterial", "archaeal"),
)

MAX_LENGTH_DIFFERENCE = 0.1
"""Of the distribution's read length: how far a sample's mean may be from it without a warning."""


def reconcile(profile: dict[str, Any]) -> None:
    """Raise ToolError, with both numbers, if a sample's account does not add up.

    Parameters
    ----------
    profile
        One sample's account from `moodbiome.classification.classify_sample`; a failed sample has
        None for all counts, and nothing to add up. Of an imported table nothing is known before
        non_host: raw is None.

    Examples
    --------
    >>> reconcile(dict(sample="S1", assay="16S", status="ok", raw=9, failed_qc=1, host=1,
    ...     non_host=6, classified=4, unclassified=2, bacterial=4, archaeal=0))
    Traceback (most recent call last):
    moodbiome.tools.ToolError: sample S1 (16S), ledger: failed_qc + host + non_host: 8 of 9 given
    """
    if profile["status"] == "failed":
        return
    place = f"sample {profile['sample']} ({profile['assay']}), ledger"
    if profile["raw"] is not None:
        parts = profile["failed_qc"] + profile["host"] + profile["non_host"]
        require_equal("failed_qc + host + non_host", profile["raw"], parts, place)
    parts = profile["classified"] + profile["unclassified"]
    require_equal("classified + unclassified", profile["non_host"], parts, place)
    known = profile["bacterial"] + profile["archaeal"]
    require_equal(
        "bacterial + archaeal, at most",
        max(known, profile["classified"]),
        profile["classified"],
        place,
    )


def sample_status(profile: dict[str, Any], excluded: str, low_depth: int) -> tuple[str, str]:
    """Status of a sample and the reason for it (empty when ok).

    Parameters
    ----------
    profile
        As for `reconcile`.
    excluded
        Why the user left the sample out; empty if not.
    low_depth
        Classified bacterial and archaeal fragments below which a sample is `low_depth`.

    Returns
    -------
    (status, reason)
        `excluded`, `failed`, `empty`, `low_depth` or `ok`: the first that applies.
    """
    if excluded:
        also = f"; also {profile['status']}: {profile['reason']}" if profile["reason"] else ""
        return "excluded", f"excluded in the sample sheet: {excluded}{also}"
    if profile["status"] != "ok":
        return profile["status"], profile["reason"]
    prokaryotic = profile["bacterial"] + profile["archaeal"]
    if prokaryotic < low_depth:
        return "low_depth", (
            f"{prokaryotic} fragments classified as bacterial or archaeal, fewer than {low_depth}"
        )
    return "ok", ""


def read_length_warning(mean_length: float | None, used: int | None) -> str:
    """What is odd if a sample was re-estimated for reads of another length; empty if nothing is.

    Parameters
    ----------
    mean_length
        Mean length of the sample's reads in bp, after trimming; None of a sample without reads.
    used
        Read length in bp of the k-mer distribution; None where nothing is re-estimated.

    Examples
    --------
    >>> read_length_warning(141.5, 150)
    ''
    >>> read_length_warning(125.0, 100).partition(":")[0]
    're-estimated for reads of 100 bp, but they are 125 bp long on average'
    """
    if not mean_length or not used or abs(used - mean_length) <= MAX_LENGTH_DIFFERENCE * used:
        return ""
    return (
        f"re-estimated for reads of {used} bp, but they are {mean_length:.0f} bp long on average: "
        f"abundances of close relatives may be off, so add a k-mer distribution for their length"
    )


def tsv(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Rows as TSV text; None is an empty cell.

    >>> tsv(["sample", "raw"], [["S1", 0], ["S2", None]])
    'sample\\traw\\nS1\\t0\\nS2\\t\\n'
    """
    lines = [header, *rows]
    cells = (["" if cell is None else str(cell) for cell in line] for line in lines)
    return "".join("\t".join(line) + "\n" for line in cells)
