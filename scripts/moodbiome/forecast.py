"""What a run will take: jobs, time, memory and disk, forecast before anything is started.

Only the standard library.
"""

import csv
import gzip
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

# Core-seconds a million fragments (2 x 100 bp), measured on two 2.x GHz cores with a host index and
# a database of some MB; a human-sized host index slows cleaning two- to threefold. A run folder's
# own benchmarks replace them.
DEFAULT_RATES = {"check_reads": 3.0, "clean_reads": 22.0, "classify_reads": 9.0}
# Only where a protein set is given: 8,000 proteins, DIAMOND's sensitive mode (docs/genes.md).
GENE_RATES = {"search_genes": 140.0}
# What remains is per cohort: tables, tests, report.
COHORT_SECONDS, SECONDS_A_SAMPLE = 40.0, 0.7
SECONDS_A_JOB = 0.4
CLEAN_SHARE_OF_INPUT = 1.0
RESULT_BYTES_A_SAMPLE = 400_000
# A step of a sample takes this much memory, and as many threads where there are as many cores.
JOB_MEMORY, JOB_THREADS = 1_000_000_000, 4
_SAMPLED_FILES, _SAMPLED_BYTES = 20, 1 << 17


@dataclass(frozen=True)
class Forecast:
    """What a run will take, in bytes, seconds and counts; estimates, not limits.

    Attributes
    ----------
    samples, runs, jobs : int
    input_bytes, fragments : int
        Size of the FASTQ files as stored; fragments estimated from it.
    core_seconds, wall_seconds : float
        Of all jobs; on the given cores.
    memory_bytes : int
        Of all jobs at once: every cleaning job has the host index for itself, and all share one
        database, mapped or in memory.
    temporary_bytes, result_bytes : int
        Disk for clean reads, if all samples were cleaned before any is classified; for results.
    rates_from : str
        Where the rates come from.
    """

    samples: int
    runs: int
    jobs: int
    input_bytes: int
    fragments: int
    core_seconds: float
    wall_seconds: float
    memory_bytes: int
    temporary_bytes: int
    result_bytes: int
    rates_from: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def forecast(
    files: Sequence[Sequence[tuple[int, float]]],
    n_samples: int,
    cohort_jobs: int,
    cores: int,
    host_bytes: int,
    database_bytes: int,
    rates: dict[str, float],
    rates_from: str,
    n_imported: int = 0,
) -> Forecast:
    """Forecast a run from the sizes of its files.

    Parameters
    ----------
    files
        For each run of the sheet its files, as (bytes, bytes a read).
    n_samples
        Samples, an assay counting apart.
    cohort_jobs
        Jobs that do not belong to a sample.
    cores
        Cores at hand.
    host_bytes, database_bytes
        Of the host index, which each cleaning job holds; of all databases, which are shared.
    rates
        Core-seconds a million fragments, by rule.
    rates_from
        In words, for the reader.
    n_imported
        Samples whose feature table is imported: they need no job of their own.

    Examples
    --------
    >>> f = forecast([[(60_000_000, 60.0), (60_000_000, 60.0)]], 1, 5, 2, 0, 0,
    ...              {"clean_reads": 20.0}, "a guess")
    >>> f.jobs, f.fragments, f.temporary_bytes
    (8, 1000000, 120000000)
    """
    fragments = sum(round(size / a_read) for run in files for size, a_read in run[:1])
    input_bytes = sum(size for run in files for size, _ in run)
    jobs = 2 * len(files) + n_samples - n_imported + cohort_jobs
    of_samples = fragments / 1e6 * sum(rates.values()) + jobs * SECONDS_A_JOB
    of_cohort = COHORT_SECONDS + n_samples * SECONDS_A_SAMPLE
    at_once = max(1, min(len(files), cores // JOB_THREADS))
    return Forecast(
        samples=n_samples,
        runs=len(files),
        jobs=jobs,
        input_bytes=input_bytes,
        fragments=fragments,
        core_seconds=round(of_samples + of_cohort, 1),
        wall_seconds=round(of_samples / cores + of_cohort, 1),
        memory_bytes=at_once * (JOB_MEMORY + host_bytes) + database_bytes,
        temporary_bytes=round(input_bytes * CLEAN_SHARE_OF_INPUT),
        result_bytes=n_samples * RESULT_BYTES_A_SAMPLE,
        rates_from=rates_from,
    )


def bytes_a_read(paths: Sequence[Path]) -> float:
    """Stored bytes a read takes, from the beginnings of a few files.

    Parameters
    ----------
    paths
        FASTQ files, plain or gzip; at most 20, evenly spread, are looked into. One that cannot be
        read is passed over: finding out is the business of the check.

    Returns
    -------
    float
        Median over the files; 60 if none can be read.
    """
    step = max(1, len(paths) // _SAMPLED_FILES)
    found = []
    for path in paths[::step][:_SAMPLED_FILES]:
        try:
            with path.open("rb") as stored:
                is_gzip = stored.read(2) == b"\x1f\x8b"
                stored.seek(0)
                # Decompress until some compressed bytes are used up, and count lines on the way.
                reader = gzip.GzipFile(fileobj=stored) if is_gzip else stored
                lines = 0
                while stored.tell() < _SAMPLED_BYTES and (block := reader.read(1 << 16)):
                    lines += block.count(b"\n")
                if lines >= 4:
                    found.append(stored.tell() / (lines / 4))
        except (OSError, EOFError, ValueError):
            continue
    return median(found) if found else 60.0


def rates_of(benchmarks: Iterable[tuple[str, Path, int]]) -> dict[str, float]:
    """Core-seconds a million fragments by rule, from a run folder's benchmark files.

    Parameters
    ----------
    benchmarks
        (rule, Snakemake benchmark file, fragments the job handled).

    Returns
    -------
    dict
        Median over the jobs that handled at least 10,000 fragments; a rule without such a job is
        absent.
    """
    seen: dict[str, list[float]] = {}
    for rule, path, fragments in benchmarks:
        if fragments < 10_000:
            continue
        with path.open() as lines:
            for row in csv.DictReader(lines, delimiter="\t"):
                # "NA" where the job was too short for Snakemake to measure.
                used = row["cpu_time"] if row["cpu_time"] not in ("NA", "-") else row["s"]
                seen.setdefault(rule, []).append(float(used) / fragments * 1e6)
    return {rule: round(median(values), 2) for rule, values in seen.items()}


def readable(seconds: float) -> str:
    """A duration for people.

    >>> readable(50), readable(3000), readable(100000)
    ('50 s', '50 min', '27.8 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size(n_bytes: float) -> str:
    """A number of bytes for people, in decimal units.

    >>> size(950), size(53_500_000)
    ('950 B', '53.5 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"
