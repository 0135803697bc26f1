"""Reads by their accession: what ENA, the European Nucleotide Archive, holds of a sequencing run.

ENA mirrors the runs of SRA and DDBJ as FASTQ files that it generates itself, with size and MD5. One
table of its portal, the file report, says where they are (ENA's documentation, "How to Download
Data Files" and "Archive Generated FASTQ Files").

Only the standard library.
"""

import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from moodbiome.download import DownloadError, Say, download, read_text, require_space
from moodbiome.faults import Fault

ENA = "https://www.ebi.ac.uk/ena/portal/api"
# At least six digits; Snakemake, for which it is a constraint too, does not read `{6,}`.
RUN = re.compile(r"[ESD]RR\d{6}\d*")
FIELDS = (
    "run_accession",
    "fastq_ftp",
    "fastq_md5",
    "fastq_bytes",
    "library_layout",
    "instrument_platform",
    "submitted_ftp",
)
_NEEDED = FIELDS[:4]
_LISTED = 20

_OTHER_ACCESSIONS = (
    (re.compile(r"PRJ[EDN][A-Z]\d+|[ESD]RP\d+"), "a study"),
    (re.compile(r"SAM[EDN][A-Z]?\d+|[ESD]RS\d+"), "a sample"),
    (re.compile(r"[ESD]RX\d+"), "an experiment"),
    (re.compile(r"[ESD]RA\d+"), "a submission"),
    (re.compile(r"GS[EM]\d+"), "a GEO record"),
)
_REFUSED_PLATFORMS = {
    "OXFORD_NANOPORE": "long reads",
    "PACBIO_SMRT": "long reads",
    "ABI_SOLID": "colour-space reads",
}


class AccessionError(ValueError):
    """An accession gives no reads that can be used; the message says why, and what to do."""


class ArchiveFile(NamedTuple):
    """One FASTQ file of a run in the archive: where, MD5 (hexadecimal), and size in bytes."""

    url: str
    md5: str
    bytes: int

    @property
    def name(self) -> str:
        return urlsplit(self.url).path.rsplit("/", 1)[-1]


class ArchiveRun(NamedTuple):
    """What the archive holds of a run.

    Attributes
    ----------
    accession : str
    layout : str
        ``paired`` (two files: first mates, second mates) or ``single`` (one file).
    platform : str
        As the archive names it; empty where it does not.
    files : tuple of ArchiveFile
        The files to use, in that order.
    notes : tuple of str
        What is left out or contradicts itself.
    """

    accession: str
    layout: str
    platform: str
    files: tuple[ArchiveFile, ...]
    notes: tuple[str, ...]


def accession_fault(accession: str, place: str) -> Fault | None:
    """Say what is wrong with the form of a run accession, without asking the archive.

    >>> accession_fault("SRR7280802", "samples.tsv, row 2")
    >>> print(accession_fault("PRJNA762199", "samples.tsv, row 2"))
    samples.tsv, row 2: 'PRJNA762199' is a study, not a run; give each of its runs (SRR, ERR or DRR\
 and a number) a row of its own: https://www.ebi.ac.uk/ena/browser/view/PRJNA762199 lists them
    """
    if RUN.fullmatch(accession):
        return None
    kind = _kind(accession)
    if not kind:
        mend = "write it as SRR, ERR or DRR and at least six digits"
        return Fault(place, f"{accession!r} is no run accession", mend)
    mend = "give each of its runs (SRR, ERR or DRR and a number) a row of its own"
    if kind != "a GEO record":
        mend += f": https://www.ebi.ac.uk/ena/browser/view/{accession} lists them"
    return Fault(place, f"{accession!r} is {kind}, not a run", mend)


def _kind(accession: str) -> str:
    return next((kind for form, kind in _OTHER_ACCESSIONS if form.fullmatch(accession)), "")


def report_url(accession: str, archive: str = ENA) -> str:
    """Address of an accession's file report.

    An archive at a ``file://`` address is a folder with ``<accession>.tsv`` for each run: the same
    table, whose addresses may be ``file://`` too.

    >>> report_url("SRR1", "https://example.org/api/")[:63]
    'https://example.org/api/filereport?accession=SRR1&result=read_r'
    >>> report_url("SRR1", "file:///archive")
    'file:///archive/SRR1.tsv'
    """
    if archive.startswith("file:"):
        return f"{archive.rstrip('/')}/{accession}.tsv"
    query = {
        "accession": accession,
        "result": "read_run",
        "fields": ",".join(FIELDS),
        "format": "tsv",
        "limit": 0,
    }
    return f"{archive.rstrip('/')}/filereport?{urlencode(query, safe=',')}"


def parse_report(text: str, accession: str) -> ArchiveRun:
    """Read the archive's file report of a run.

    Parameters
    ----------
    text
        Tab-separated, one row a run, columns in any order; a run's files are separated by ``;`` in
        `fastq_ftp`, `fastq_md5` and `fastq_bytes`. Empty if the archive does not know the
        accession.
    accession
        The run that was asked for.

    Raises
    ------
    AccessionError
        If the run is not there or not public, is a study, sample or experiment (its runs are
        listed), has no FASTQ files, is of long or colour-space reads, or if the report contradicts
        itself.

    Notes
    -----
    ENA gives a pair as ``<run>_1.fastq.gz`` and ``<run>_2.fastq.gz``, and reads that have lost
    their mate as ``<run>.fastq.gz`` beside them. These are left out, with a note: read names and
    counts of the mates are equal without them.
    """
    rows = _rows(text, accession)
    if not rows:
        raise AccessionError(
            f"{accession}: the archive has no run of this name that is public; check it, or whether"
            " it needs a permission (as in dbGaP and EGA) or is too new to be mirrored"
        )
    if not RUN.fullmatch(accession) or [row["run_accession"] for row in rows] != [accession]:
        runs = sorted({row["run_accession"] for row in rows} - {""})
        listed = ", ".join(runs[:_LISTED])
        more = f" and {len(runs) - _LISTED} more" if len(runs) > _LISTED else ""
        raise AccessionError(
            f"{accession}: is {_kind(accession) or 'another name'}, not a run; give each of its"
            f" runs a row of its own: {listed}{more}"
        )
    row = rows[0]
    platform = row.get("instrument_platform", "").upper()
    if platform in _REFUSED_PLATFORMS:
        raise AccessionError(
            f"{accession}: {_REFUSED_PLATFORMS[platform]} ({platform}); trimming, host removal and"
            " re-estimation are for short reads in base space: leave this run out"
        )
    files = _files(row, accession)
    if not files:
        submitted = [name for name in row.get("submitted_ftp", "").split(";") if name]
        only = f"only what was submitted ({', '.join(submitted)})" if submitted else "no file"
        raise AccessionError(
            f"{accession}: the archive has no FASTQ files of it, {only}; make them from"
            f" {'these' if submitted else 'SRA (fasterq-dump)'} and give them as fastq_1, fastq_2"
        )
    return _as_run(accession, row, platform, files)


def _rows(text: str, accession: str) -> list[dict[str, str]]:
    """Rows of a report by column; no quoting, as the archive uses none."""
    lines = [line for line in text.removeprefix("\ufeff").splitlines() if line.strip()]
    if not lines:
        return []
    header = lines[0].split("\t")
    missing = [column for column in _NEEDED if column not in header]
    if missing:
        raise AccessionError(
            f"{accession}: the archive's answer is no file report (it lacks {', '.join(missing)});"
            f" check the archive's address; the answer begins: {lines[0][:80]!r}"
        )
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) != len(header):
            raise AccessionError(
                f"{accession}: line {number} of the archive's file report has {len(cells)} cells"
                f" under {len(header)} headings; run again, the answer may have been cut short"
            )
        rows.append(dict(zip(header, cells, strict=True)))
    return rows


def _files(row: dict[str, str], accession: str) -> list[ArchiveFile]:
    columns = ("fastq_ftp", "fastq_md5", "fastq_bytes")
    places, sums, sizes = (row[column].strip(";").split(";") for column in columns)
    if places == [""]:
        return []
    if not len(places) == len(sums) == len(sizes):
        raise AccessionError(
            f"{accession}: the archive gives {len(places)} files, {len(sums)} checksums and"
            f" {len(sizes)} sizes; run again later, or give the files as fastq_1, fastq_2"
        )
    files = []
    for place, md5, size in zip(places, sums, sizes, strict=True):
        if not re.fullmatch(r"[0-9a-fA-F]{32}", md5) or not size.isdecimal():
            raise AccessionError(
                f"{accession}: the archive gives MD5 {md5!r} and size {size!r} for {place}; without"
                " them the file cannot be checked: run again later, or give it as fastq_1"
            )
        # The archive gives no scheme. Its files are served by https too, which can go on after a
        # break and passes the proxies of clusters.
        url = place if "://" in place else f"https://{place}"
        files.append(ArchiveFile(url, md5.lower(), int(size)))
    return files


def _as_run(
    accession: str, row: dict[str, str], platform: str, files: list[ArchiveFile]
) -> ArchiveRun:
    """Which files are the mates, by their names: the archive lists them in any order."""
    named = {file.name: file for file in files}
    first, second = (named.pop(f"{accession}_{mate}.fastq.gz", None) for mate in (1, 2))
    alone = named.pop(f"{accession}.fastq.gz", None)
    declared = row.get("library_layout", "").lower()
    notes = []
    if named or len(files) > 3 or (first and alone and not second) or (second and not first):
        raise AccessionError(
            f"{accession}: cannot tell which of its files are the reads"
            f" ({', '.join(sorted(file.name for file in files))}); download those you want and give"
            " them as fastq_1, fastq_2"
        )
    if first and second:
        layout, use = "paired", [first, second]
        if alone:
            notes.append(
                f"{alone.name} ({alone.bytes} bytes) holds reads without a mate and is left out"
            )
    else:
        layout, use = "single", [file for file in (first, alone) if file]
    if declared and declared != layout:
        count = "two files" if layout == "paired" else "one file"
        notes.append(f"the archive calls it {declared} but has {count}: taken as {layout}")
    return ArchiveRun(accession, layout, platform, tuple(use), tuple(notes))


def find_run(accession: str, archive: str = ENA, **options: Any) -> ArchiveRun:
    """Ask the archive for a run.

    Parameters
    ----------
    accession
        A run. For a study, sample or experiment the error lists its runs.
    archive
        Base of the portal's addresses.
    **options
        As for `moodbiome.download.read_text`.

    Raises
    ------
    AccessionError
        As `parse_report`.
    DownloadError
        If the archive does not answer.
    """
    fault = accession_fault(accession, "accession")
    if fault and _kind(accession) in ("", "a GEO record"):
        raise AccessionError(str(fault))
    try:
        text = read_text(report_url(accession, archive), **options)
    except DownloadError as error:
        if error.status in (400, 404):
            raise AccessionError(
                f"{accession}: the archive refuses it ({error}); check the accession, and the"
                " archive's address in the settings"
            ) from error
        raise
    return parse_report(text, accession)


def fetch_run(
    accession: str,
    mates: tuple[Path, Path],
    archive: str = ENA,
    *,
    say: Say = print,
    **options: Any,
) -> dict[str, Any]:
    """Download a run's reads, all files or none.

    Parameters
    ----------
    accession
        A run.
    mates
        Receive the first and second mates, gzip as the archive has them; the second is empty (0
        bytes) for a single-end run. What is fetched lies in ``.<accession>`` beside the first until
        all is there, so that a further try goes on from it.
    archive
        Base of the portal's addresses.
    say
        Called with lines for the log.
    **options
        As for `moodbiome.download.read_text`.

    Returns
    -------
    dict
        `accession`, `layout`, `platform`, `notes`, and `files`: for each used file `file` (its name
        in the archive), `url`, `bytes`, `md5`, `sha256`. The same each time.

    Raises
    ------
    AccessionError, DownloadError
        As `find_run` and `moodbiome.download.download`.
    """
    run = find_run(accession, archive, say=say, **options)
    for note in run.notes:
        say(f"{accession}: {note}")
    work = mates[0].parent / f".{accession}"
    work.mkdir(parents=True, exist_ok=True)
    there = sum(file.stat().st_size for file in work.iterdir())
    require_space(work, sum(file.bytes for file in run.files) - there, accession)
    files = []
    for file in run.files:
        say(f"{file.url}: {file.bytes} bytes")
        facts = download(
            file.url, work / file.name, md5=file.md5, size=file.bytes, say=say, **options
        )
        if facts["resumed_from"]:
            say(f"{file.url}: went on from byte {facts['resumed_from']}")
        wanted = {"url": file.url, "bytes": file.bytes, "md5": file.md5, "sha256": facts["sha256"]}
        files.append({"file": file.name, **wanted})
    if len(files) == 1:
        (work / "none").write_bytes(b"")
    names = [file.name for file in run.files] if len(files) == 2 else [files[0]["file"], "none"]
    for name, path in zip(names, mates, strict=True):
        (work / name).replace(path)
    shutil.rmtree(work)
    return {
        "accession": accession,
        "layout": run.layout,
        "platform": run.platform,
        "notes": list(run.notes),
        "files": files,
    }
