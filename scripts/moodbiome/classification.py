"""Classifying one sample with Kraken2, and holding its report against what it was given."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from moodbiome.database import database_taxa, read_fingerprints
from moodbiome.kraken import Report, read_report
from moodbiome.ledger import LEDGER
from moodbiome.tools import not_written_whole, run_pipe

CONFIDENCE_BY_TABLE_BYTES = ((20 * 10**9, 0.2), (0, 0.1))
"""From how many bytes of hash.k2d on, and which confidence; docs/false_positives.md says why."""


def choose_confidence(setting: float | str, table_bytes: int) -> float:
    """The confidence to classify with: a number as it is, or by the size of the database.

    Parameters
    ----------
    setting
        `profile.confidence`: a number or ``auto``.
    table_bytes
        Size of hash.k2d.

    Examples
    --------
    >>> choose_confidence("auto", 8 * 10**9), choose_confidence("auto", 10**11)
    (0.1, 0.2)
    >>> choose_confidence(0, 10**11)
    0.0
    """
    if not isinstance(setting, str):
        return float(setting)
    return next(value for least, value in CONFIDENCE_BY_TABLE_BYTES if table_bytes >= least)


def used_databases(
    files: Iterable[str], setting: float | str
) -> tuple[dict[str, dict[str, Any]], dict[str, float]]:
    """Fingerprints of a run's databases, and the confidence used with each, by assay.

    Parameters
    ----------
    files
        ``database.<assay>.json``, as rule fingerprint_database writes them.
    setting
        As for `choose_confidence`.
    """
    databases = read_fingerprints(files)
    return databases, {
        assay: choose_confidence(setting, database["files"]["hash.k2d"]["bytes"])
        for assay, database in databases.items()
    }


def classify_sample(
    runs: list[dict[str, Any]],
    r1: Sequence[str],
    r2: Sequence[str],
    database: Path,
    report: Path,
    confidence: float,
    min_hit_groups: int,
    threads: int,
    log: Path,
) -> dict[str, Any]:
    """Classify all runs of a sample together and add up the sample's account.

    Parameters
    ----------
    runs
        What `moodbiome.cleaning.clean_run` returned for each run, in the order of the files.
    r1, r2
        Clean files of the runs; the second mates' files are empty for single-end runs.
    report
        Where Kraken2's report goes; of zero bytes when the sample failed or has no fragment left.

    Returns
    -------
    dict
        sample, assay, status (`ok`, `empty`, `failed`), reason, and in fragments raw, failed_qc,
        host, non_host, unclassified, classified, bacterial, archaeal (all None when failed);
        mean_length in bp; confidence.

    Raises
    ------
    moodbiome.tools.ToolError
        If Kraken2 fails, or its report is cut within a line.
    ValueError
        If the report does not add up to as many fragments as it was given.
    """
    log.write_text("")
    warnings = [f"run {run['run']}: {said}" for run in runs for said in run["warnings"]]
    sample = {key: runs[0][key] for key in ("sample", "assay")}
    sample |= {"warnings": warnings, "confidence": confidence}
    reason = why_failed(runs)
    if reason:
        report.write_bytes(b"")
        return {**sample, "status": "failed", "reason": reason, **_account(None)}
    account = _account(0)
    for key in ("raw", "failed_qc", "host", "non_host"):
        account[key] = sum(run[key] for run in runs)
    if not account["non_host"]:
        report.write_bytes(b"")
        return {**sample, "status": "empty", "reason": _why_empty(account), **account}

    mates = used_files(runs, r1, r2)
    tree = classify(
        mates, database, report, confidence, min_hit_groups, threads, log, account["non_host"]
    )
    account |= {"unclassified": tree.unclassified, "classified": tree.classified}
    account |= {"bacterial": domain(tree, "Bacteria"), "archaeal": domain(tree, "Archaea")}
    used = [run for run in runs if run["non_host"]]
    length = sum(run["non_host"] * run["mean_length"] for run in used) / account["non_host"]
    return {**sample, "status": "ok", "reason": "", **account, "mean_length": round(length, 1)}


def classify(
    mates: Sequence[Sequence[str]],
    database: Path,
    report: Path,
    confidence: float,
    min_hit_groups: int,
    threads: int,
    log: Path,
    fragments: int,
) -> Report:
    """Classify FASTQ files with Kraken2, and hold the report against what it was given.

    Parameters
    ----------
    mates
        Files of the first mates, and of the second ones if they are pairs. All plain, or all .gz.
    fragments
        Those in the files.

    Raises
    ------
    moodbiome.tools.ToolError, ValueError
        As `classify_sample`.
    """
    command = ["kraken2", "--db", str(database), "--threads", str(threads), "--memory-mapping"]
    command += ["--confidence", str(confidence), "--minimum-hit-groups", str(min_hit_groups)]
    command += ["--report", str(report), "--report-minimizer-data", "--output", "-"]
    command += ["--gzip-compressed"] if mates[0][0].endswith(".gz") else []
    command += ["--paired"] if len(mates) > 1 else []
    run_pipe([[*command, *(file for files in zip(*mates, strict=True) for file in files)]], log)
    # A report cut between two lines does not add up, and read_report says so.
    if not report.read_bytes().endswith(b"\n"):
        raise not_written_whole(report, "kraken2")
    restore_rank_codes(report, database / "taxo.k2d")
    return read_report(report, fragments=fragments)


def used_files(
    runs: Sequence[dict[str, Any]], r1: Sequence[str], r2: Sequence[str]
) -> list[list[str]]:
    """Files of the runs that have fragments: first mates, and second mates if they are pairs."""
    used = [index for index, run in enumerate(runs) if run["non_host"]]
    paired = runs[used[0]]["layout"] == "paired"
    return [[files[index] for index in used] for files in ((r1, r2) if paired else (r1,))]


def domain(report: Report, name: str) -> int:
    """Fragments of a domain, by its name with or without a prefix such as ``d__``."""
    return sum(
        clade
        for rank, found, clade in zip(report.rank, report.name, report.clade, strict=True)
        if rank in ("D", "K") and found.rpartition("__")[2] == name
    )


def _account(value: int | None) -> dict[str, Any]:
    return {**dict.fromkeys(LEDGER, value), "mean_length": None}


_LETTERS = {
    "superkingdom": "D",
    "domain": "D",
    "kingdom": "K",
    **{
        rank: rank[0].upper() for rank in ("phylum", "class", "order", "family", "genus", "species")
    },
}


def restore_rank_codes(report: Path, taxonomy: Path) -> None:
    """Put back, in place, rank codes that some builds of Kraken2 leave without their letter.

    Debian's 2.1.2 writes no code for the first levels of the tree, or only the number of an
    intermediate rank (Kraken2 issue 759); the database knows the ranks.

    Parameters
    ----------
    report
        Of six or eight columns. One whose codes are whole is not touched.
    taxonomy
        The database's taxo.k2d.
    """
    lines = [line.split("\t") for line in report.read_text().splitlines(keepends=True)]
    lost = [cells for cells in lines if len(cells) >= 6 and not cells[-3][:1].isalpha()]
    if not lost:
        return
    taxa = {taxon: (parent, rank) for taxon, parent, rank, _ in database_taxa(taxonomy)}

    def letter(taxon: int) -> str:
        while taxon in taxa:
            parent, rank = taxa[taxon]
            if rank in _LETTERS:
                return _LETTERS[rank]
            taxon = parent
        return "R"

    for cells in lost:
        cells[-3] = letter(int(cells[-2])) + cells[-3]
    whole = report.with_name(f"{report.name}.part")
    whole.write_text("".join("\t".join(cells) for cells in lines))
    whole.replace(report)


def why_failed(runs: Sequence[dict[str, Any]]) -> str:
    """Why a sample has no result; empty if it may have one."""
    failed = [f"run {run['run']}: {run['reason']}" for run in runs if run["status"] == "failed"]
    layouts = {run["layout"] for run in runs if run["status"] == "ok"}
    if not failed and len(layouts) > 1:
        # The sheet knows the layout of files; that of accessions is known once they are fetched.
        by_run = ", ".join(f"{run['run']} {run['layout']}" for run in runs)
        return f"paired and single-end runs in one sample ({by_run}): make them two samples"
    return "; ".join(failed)


def _why_empty(account: dict[str, Any]) -> str:
    if not account["raw"]:
        return "the files hold no reads"
    return (
        f"none of {account['raw']} fragments is left: {account['failed_qc']} failed quality"
        f" control, {account['host']} were of the host"
    )
