"""Trimming and host removal with the real tools, on a few reads whose fate is known."""

import gzip
import json
import shutil
import subprocess

import numpy as np
import pytest

from moodbiome.cleaning import clean_run
from moodbiome.tools import ToolError

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("fastp", "bowtie2", "bowtie2-build", "samtools"))),
    reason="fastp, bowtie2 and samtools are needed",
)
COMPLEMENT = str.maketrans("ACGT", "TGCA")


@pytest.fixture(scope="module")
def genomes():
    letters = np.random.default_rng(1).choice(list("ACGT"), size=(2, 3000))
    return {"host": "".join(letters[0]), "microbe": "".join(letters[1])}


@pytest.fixture(scope="module")
def host(genomes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("host")
    (folder / "host.fna").write_text(f">host\n{genomes['host']}\n")
    command = ["bowtie2-build", "--quiet", folder / "host.fna", folder / "index"]
    subprocess.run(command, check=True)
    return str(folder / "index")


def fragments(genomes):
    """(first mate, second mate, quality): 5 of the microbe, 3 of the host, 1 chimera, 2 poor."""

    def mates(genome, start):
        return genome[start : start + 100], genome[start + 150 : start + 250][::-1].translate(
            COMPLEMENT
        )

    for start in range(0, 2500, 500):
        yield *mates(genomes["microbe"], start), "I"
    for start in range(0, 1500, 500):
        yield *mates(genomes["host"], start), "I"
    yield mates(genomes["host"], 2000)[0], mates(genomes["microbe"], 2000)[1], "I"
    for start in (100, 600):
        yield *mates(genomes["microbe"], start), "#"


def write(folder, genomes):
    files = [folder / "R1.fq.gz", folder / "R2.fq.gz"]
    for mate, file in enumerate(files):
        with gzip.open(file, "wt") as out:
            for number, fragment in enumerate(fragments(genomes)):
                quality = "#" * 100 if "poor" in genomes else fragment[2] * 100
                out.write(f"@r{number} {mate + 1}:N:0:A\n{fragment[mate]}\n+\n{quality}\n")
    return [str(file) for file in files]


def clean(folder, fastq, host, **check):
    sound = {"sample": "S1", "assay": "shotgun", "run": "L1", "status": "ok", "reason": ""}
    sound["warnings"] = []
    sound |= {"layout": "paired" if len(fastq) == 2 else "single", "fragments": 11}
    counts = clean_run(
        check={**sound, **check},
        fastq=fastq,
        clean=[str(folder / "clean.R1.gz"), str(folder / "clean.R2.gz")],
        fastp_report=folder / "fastp.json",
        host_index=host,
        min_length=50,
        min_quality=15,
        max_bad_percent=40,
        threads=1,
        log=folder / "log",
    )
    return counts, [names(folder / f"clean.R{mate}.gz") for mate in (1, 2)]


def names(file):
    if not file.stat().st_size:
        return []
    with gzip.open(file, "rt") as lines:
        return [line[1:].split()[0] for line in list(lines)[::4]]


def test_every_fragment_of_a_pair_is_accounted_for(tmp_path, genomes, host):
    counts, kept = clean(tmp_path, write(tmp_path, genomes), host)
    assert {key: counts[key] for key in ("raw", "failed_qc", "host", "non_host")} == {
        "raw": 11,
        "failed_qc": 2,
        "host": 4,
        "non_host": 5,
    }
    assert kept == [["r0", "r1", "r2", "r3", "r4"]] * 2
    assert counts["mean_length"] == 100


def test_single_end_reads_take_the_same_way(tmp_path, genomes, host):
    counts, kept = clean(tmp_path, write(tmp_path, genomes)[:1], host)
    assert (counts["failed_qc"], counts["host"], counts["non_host"]) == (2, 4, 5)
    assert kept == [["r0", "r1", "r2", "r3", "r4"], []]


def test_without_a_host_all_trimmed_reads_are_kept(tmp_path, genomes):
    counts, kept = clean(tmp_path, write(tmp_path, genomes), "")
    assert (counts["failed_qc"], counts["host"], counts["non_host"]) == (2, 0, 9)
    assert len(kept[0]) == len(kept[1]) == 9


def test_reads_missing_from_the_file_are_an_error(tmp_path, genomes, host):
    """As after a truncation that fastp does not notice: it ends with code 0."""
    with pytest.raises(ToolError, match=r"sample S1, run L1, .* by fastp: 11 of 12 given"):
        clean(tmp_path, write(tmp_path, genomes), host, fragments=12)


def test_a_run_of_which_nothing_passes_quality_control_is_counted(tmp_path, genomes, host):
    fastq = write(tmp_path, {**genomes, "poor": True})
    counts, kept = clean(tmp_path, fastq, host)
    assert (counts["raw"], counts["failed_qc"], counts["non_host"]) == (11, 11, 0)
    assert kept == [[], []]


def test_a_failed_run_is_passed_on_untouched(tmp_path, host):
    counts, kept = clean(tmp_path, ["no file"], host, status="failed", reason="cut short")
    assert (counts["status"], counts["reason"], counts["raw"]) == ("failed", "cut short", None)
    assert kept == [[], []]


def test_an_empty_run_counts_zero(tmp_path, host):
    counts, _ = clean(tmp_path, ["no file"], host, status="empty", reason="no reads")
    assert (counts["status"], counts["raw"], counts["non_host"]) == ("empty", 0, 0)
    json.dumps(counts)
