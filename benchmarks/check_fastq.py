"""Time the FASTQ check against plain decompression (igzip -dc) of the same file.

Writes random but realistic reads (four binned qualities, Casava names) to a temporary folder, then
alternates the three ways so that a busy machine disturbs all of them alike. Needs igzip (isal).
"""

import argparse
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from isal import igzip

LENGTH_BP = 150
SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
CHECK = "import sys; from moodbiome.fastq import check_fastq; print(check_fastq(sys.argv[1:]))"


def write_reads(path: Path, mate: int, reads: int) -> None:
    """Write one file of a pair, the same for the same mate number."""
    rng = random.Random(mate)
    bases = bytes.maketrans(bytes(range(256)), b"ACGT" * 64)
    binned = [b"F"] * 218 + [b":"] * 23 + [b","] * 12 + [b"#"] * 3
    qualities = bytes.maketrans(bytes(range(256)), b"".join(binned))
    with igzip.open(path, "wb", compresslevel=3) as file:
        for read in range(reads):
            sequence = rng.randbytes(LENGTH_BP).translate(bases)
            quality = rng.randbytes(LENGTH_BP).translate(qualities)
            name = f"A00123:45:HXX7DSXX:1:1101:{read // 997}:{read % 9973} {mate}:N:0:ATCACG"
            file.write(b"@%s\n%s\n+\n%s\n" % (name.encode(), sequence, quality))


def run(command: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of a command, start of the process included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE if "-c" in command else subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
    )  # fmt: skip
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.stdout and b"status='ok'" not in done.stdout:
        sys.exit(f"the check did not pass: {done.stdout.decode()}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def median(values: Iterable[float]) -> float:
    """The middle value; the upper one of two."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def main() -> None:
    """Print medians and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reads", type=int, default=1_000_000, help="reads a file")
    parser.add_argument("--runs", type=int, default=7, help="runs of each way")
    parser.add_argument("--igzip", default=shutil.which("igzip"), help="path of igzip")
    arguments = parser.parse_args()
    if not arguments.igzip:
        sys.exit("igzip is not on the PATH; install the package isal, or give --igzip")

    with tempfile.TemporaryDirectory() as folder:
        pair = [str(Path(folder, f"reads_R{mate}.fastq.gz")) for mate in (1, 2)]
        for mate, path in enumerate(pair, start=1):
            write_reads(Path(path), mate, arguments.reads)
        ways = {
            "igzip -dc, one file": [arguments.igzip, "-dc", pair[0]],
            "check, one file": [sys.executable, "-c", CHECK, pair[0]],
            "check, a pair": [sys.executable, "-c", CHECK, *pair],
            "start and import only": [sys.executable, "-c", "import moodbiome.fastq"],
        }
        times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(arguments.runs):
            for way, command in ways.items():
                times[way].append(run(command))

    base = median(wall for wall, _ in times["igzip -dc, one file"])
    print(f"{arguments.reads} reads of {LENGTH_BP} bp a file, {arguments.runs} runs alternating")
    print("way\twall_s\tmin_s\tmax_s\tcpu_s\tratio_to_igzip_per_file")
    for way, seconds in times.items():
        walls = [wall for wall, _ in seconds]
        wall = median(walls)
        cpu = median(cpu for _, cpu in seconds)
        ratio = wall / base / (2 if "pair" in way else 1)
        print(f"{way}\t{wall:.3f}\t{min(walls):.3f}\t{max(walls):.3f}\t{cpu:.3f}\t{ratio:.2f}")


if __name__ == "__main__":
    main()
