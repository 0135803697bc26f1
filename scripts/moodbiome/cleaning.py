"""Trimming and host removal: fastp, bowtie2 and samtools in one stream, each count checked.

Only the standard library: it runs once a sequencing run.
"""

import gzip
import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from moodbiome.tools import ToolError, not_written_whole, require_equal, run_pipe

try:
    # Comes with cutadapt and dnaio on x86_64 and aarch64; three times faster, same bytes.
    from isal.igzip import GzipFile
except ImportError:
    from gzip import GzipFile  # type: ignore[assignment]

# "0 reads" is all that bowtie2 says when nothing reaches it.
_BOWTIE2_READS = re.compile(r"^(\d+) reads(?:; of these:)?$", re.MULTILINE)
_BLOCK_BYTES = 1 << 20
_SAMTOOLS_READS = re.compile(r"processed (\d+) reads")


def clean_run(
    check: dict[str, Any],
    fastq: Sequence[str],
    clean: Sequence[str],
    fastp_report: Path,
    host_index: str,
    min_length: int,
    min_quality: int,
    max_bad_percent: int,
    threads: int,
    log: Path,
) -> dict[str, Any]:
    """Clean one run and say what became of its fragments.

    Parameters
    ----------
    check
        What `moodbiome.fastq.check_fastq` found, with `sample` and `run`. A run that is not `ok`
        is not touched: its clean files are empty and its status is passed on.
    fastq, clean
        Input and output files, one or two of the former, two of the latter (the second stays empty
        for a single-end run).
    host_index
        bowtie2 index prefix; empty keeps all reads.

    Returns
    -------
    dict
        status, reason, raw, failed_qc, host, non_host (fragments; None for a failed run) and
        mean_length (bp after trimming, None without reads).

    Raises
    ------
    ToolError
        If a tool fails, its own count of reads is not what it was given, or a file that it says
        to have written is cut short.
    """
    log.write_text("")
    result = {
        key: check[key]
        for key in ("sample", "assay", "run", "layout", "status", "reason", "warnings")
    }
    if check["status"] != "ok" or not check["fragments"]:
        for file in [*map(Path, clean), fastp_report]:
            file.write_bytes(b"")
        none = None if check["status"] == "failed" else 0
        counts = dict.fromkeys(("raw", "failed_qc", "host", "non_host"), none)
        return {**result, **counts, "mean_length": None}

    place = f"sample {check['sample']}, run {check['run']}, clean_reads"
    paired = check["layout"] == "paired"
    mates = 2 if paired else 1
    raw = check["fragments"]
    fastp = ["fastp", "--in1", fastq[0], "--json", str(fastp_report), "--html", "/dev/null"]
    fastp += ["--in2", fastq[1]] if paired else []
    # With more workers fastp 0.23.2 streams reads in an order that depends on their timing, and
    # what is estimated from them later would not be the same twice.
    fastp += ["--thread", "1", "--length_required", str(min_length)]
    fastp += ["--qualified_quality_phred", str(min_quality)]
    fastp += ["--unqualified_percent_limit", str(max_bad_percent), "--dont_eval_duplication"]
    if host_index:
        Path(clean[1]).write_bytes(b"")
        said = run_pipe(
            [
                [*fastp, "--stdout"],
                ["bowtie2", "-x", host_index, "--threads", str(threads), "--reorder"]
                + (["--interleaved", "-"] if paired else ["-U", "-"]),
                _samtools_fastq(clean, paired),
            ],
            log,
        )
    else:
        outputs = ["--out1", clean[0], *(["--out2", clean[1]] if paired else [])]
        said = run_pipe([[*fastp, "--compression", "2", *outputs]], log)
        if not paired:
            Path(clean[1]).write_bytes(b"")

    try:
        summary = json.loads(fastp_report.read_text())["summary"]
    except ValueError:
        raise not_written_whole(fastp_report, "fastp") from None
    before, after = summary["before_filtering"], summary["after_filtering"]
    require_equal("fragments read by fastp", raw, before["total_reads"] // mates, place)
    kept = after["total_reads"] // mates
    non_host = kept
    if not host_index:
        for file in map(Path, clean[:mates]):
            # samtools sees a full disk by itself; fastp does not.
            if _reads_of(file) != kept:
                raise not_written_whole(file, "fastp")
    else:
        require_equal("fragments read by bowtie2", kept, _count(_BOWTIE2_READS, said), place)
        non_host = _count(_SAMTOOLS_READS, said) // mates
    counts = {"raw": raw, "failed_qc": raw - kept, "host": kept - non_host, "non_host": non_host}
    bases = after["total_reads"] * after["read1_mean_length"] if kept else 0
    if paired and kept:
        bases = kept * (after["read1_mean_length"] + after["read2_mean_length"])
    mean_length = round(bases / after["total_reads"], 1) if kept else None
    return {**result, **counts, "mean_length": mean_length}


def _samtools_fastq(clean: Sequence[str], paired: bool) -> list[str]:
    """Keep a fragment only if no mate aligned: -f 12 is read unmapped and mate unmapped."""
    command = ["samtools", "fastq", "-c", "2", "-n"]
    if paired:
        return [*command, "-f", "12", "-1", clean[0], "-2", clean[1], "-0", "/dev/null", "-"]
    return [*command, "-f", "4", "-0", clean[0], "-"]


def _reads_of(file: Path) -> int | None:
    """Reads in a gzip file of four lines a read; None if it is cut."""
    lines = 0
    try:
        with GzipFile(file, "rb") as content:
            while block := content.read(_BLOCK_BYTES):
                lines += block.count(b"\n")
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return None
    return lines // 4 if lines % 4 == 0 else None


def _count(pattern: re.Pattern[str], said: str) -> int:
    found = pattern.findall(said)
    if len(found) != 1:
        raise ToolError(f"no line like {pattern.pattern!r} in the tool's log: another version?")
    return int(found[0])
