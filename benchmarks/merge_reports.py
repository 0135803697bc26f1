"""Time the way from Kraken2 reports to a feature table on synthetic reports.

    python benchmarks/merge_reports.py --reports 1000 --taxa 3000 [--taxpasta FILE]

Makes a taxonomy with seven ranks, a k-mer distribution in which reads of a species end at it and
at all its ancestors, and reports with about `--taxa` lines each, drawn from twice as many taxa.
Prints wall seconds of each step and the peak memory of the whole process.

With `--taxpasta`, the program taxpasta first merges the same reports, and so does this library,
each in a process of its own, start included, from reports to TSV without re-estimation: taxpasta
writes one table of all taxa, this library a table of genera, then one for each of seven ranks.
Processor seconds are what to compare on a shared machine. taxpasta 0.7 needs its own environment:

    python -m venv .venv-taxpasta && .venv-taxpasta/bin/pip install taxpasta "pandera<0.21"
    python benchmarks/merge_reports.py --taxpasta .venv-taxpasta/bin/taxpasta
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from moodbiome.bracken import read_distribution
from moodbiome.cohort import write_tsv
from moodbiome.kmer_distribution import write_distribution
from moodbiome.kraken import RANK_CODES, Report, read_report
from moodbiome.tables import build_counts, write_counts
from moodbiome.uncertainty import sample_intervals

CODES = "RDPCOFGS"
# Nodes at each rank for one species; ranks nearer the root are rarer, as in gut communities.
SHARE = np.array([0.0, 0.0, 0.006, 0.012, 0.03, 0.08, 0.35, 1.0])
SEED = 20240607
SCRIPTS = sys.path[0]
# Arguments are a folder, ranks and reports. Each report is read once, and not kept.
MERGE = """
import sys
from pathlib import Path
from moodbiome.kraken import read_report
from moodbiome.tables import count_ranks, write_counts
reports = ((Path(path).stem, read_report(path)) for path in sys.argv[3:])
for rank, counts in count_ranks(reports, None, sys.argv[2].split(","), 0).items():
    write_counts(counts, Path(sys.argv[1], f"{rank}.tsv"))
"""


def make_tree(n_taxa: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Depth and parent of every node, each parent before its children in depth-first order."""
    sizes = np.maximum(np.round(SHARE * n_taxa / SHARE.sum()).astype(int), 1)
    children: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for depth in range(1, len(sizes)):
        for node in range(sizes[depth]):
            above = node if node < sizes[depth - 1] else int(rng.integers(sizes[depth - 1]))
            children.setdefault((depth - 1, above), []).append((depth, node))
    depths, parents = [], []
    stack = [((0, 0), -1)]
    while stack:
        node, parent = stack.pop()
        depths.append(node[0])
        parents.append(parent)
        stack.extend((child, len(depths) - 1) for child in children.get(node, []))
    return np.array(depths), np.array(parents)


def write_report(
    path: Path, depth: np.ndarray, parent: np.ndarray, taxa: int, rng: np.random.Generator
) -> None:
    """Write one report with about `taxa` lines."""
    species = np.flatnonzero(depth == len(CODES) - 1)
    direct = np.zeros(len(depth), dtype=np.int64)
    present = rng.choice(species, size=min(int(taxa * 0.6), len(species)), replace=False)
    direct[present] = rng.lognormal(3, 2, size=len(present)).astype(np.int64) + 1
    clade = direct.copy()
    for node in range(len(depth) - 1, 0, -1):
        clade[parent[node]] += clade[node]
    inner = np.flatnonzero((clade > 0) & (depth < len(CODES) - 1))
    direct[inner] = clade[inner] * rng.uniform(0, 0.3, size=len(inner)).astype(float)
    clade = direct.copy()
    for node in range(len(depth) - 1, 0, -1):
        clade[parent[node]] += clade[node]
    unclassified = int(clade[0] // 3)
    total = clade[0] + unclassified
    lines = [
        f"{100 * unclassified / total:6.2f}\t{unclassified}\t{unclassified}\tU\t0\tunclassified"
    ]
    for node in np.flatnonzero(clade).tolist():
        lines.append(
            f"{100 * clade[node] / total:6.2f}\t{clade[node]}\t{direct[node]}\t"
            f"{CODES[depth[node]]}\t{node + 1}\t{'  ' * depth[node]}taxon {node + 1}"
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_distribution(
    path: Path, depth: np.ndarray, parent: np.ndarray, rng: np.random.Generator
) -> None:
    """Write a distribution in which most reads of a species end at it, the rest above."""
    genomes = {}
    for species in np.flatnonzero(depth == len(CODES) - 1).tolist():
        windows = {}
        node, left = species, 4_000_000
        while node >= 0:
            here = max(int(left * rng.uniform(0.6, 0.95)), 1)
            windows[node + 1] = here
            left, node = left - here, int(parent[node])
        genomes[species + 1] = windows
    write_distribution(genomes, path)


def run(command: list[str]) -> tuple[float, float, float]:
    """Wall seconds and processor seconds of a command, and the most memory it held, in MB."""
    start = time.perf_counter()
    # Not resource.getrusage, whose peak is that of the largest child so far.
    child = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": SCRIPTS})
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{command[0]} failed")
    wall = time.perf_counter() - start
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def beside_taxpasta(taxpasta: str, paths: list[Path], folder: Path) -> None:
    """Merge the same reports with taxpasta and with this library, and print both."""
    table = folder / "taxpasta.tsv"
    reports = list(map(str, paths))
    theirs = run([taxpasta, "merge", "--profiler", "kraken2", "--output", str(table), *reports])
    ours = {
        ranks: run([sys.executable, "-c", MERGE, str(folder), ranks, *reports])
        for ranks in ("genus", ",".join(RANK_CODES))
    }
    # Fragments at each taxon itself: both must have merged all of them.
    expected = sum(int(line.split("\t")[2]) for path in paths for line in path.open())
    found = {"taxpasta": total(table, 1), "this library": total(folder / "genus.tsv", 3)}
    if set(found.values()) != {expected}:
        sys.exit(f"{expected} fragments in the reports, in the tables {found}")
    print("merging alone, start of the process included:")
    print("way\twall_s\tcpu_s\tpeak_MB\tcpu_of_taxpasta_over_this")
    for name, (wall, cpu, memory) in {"taxpasta": theirs, **ours}.items():
        print(f"{name}\t{wall:.1f}\t{cpu:.1f}\t{memory:.0f}\t{theirs[1] / cpu:.1f}")


def total(table: Path, first: int) -> int:
    """Sum of a table's counts, which begin at a column."""
    with table.open() as lines:
        next(lines)
        return sum(sum(map(int, line.rstrip().split("\t")[first:])) for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reports", type=int, default=1000, help="number of samples")
    parser.add_argument("--taxa", type=int, default=3000, help="lines of a report, about")
    parser.add_argument("--rank", default="genus")
    parser.add_argument("--threshold", type=int, default=10)
    parser.add_argument("--draws", type=int, default=0, help="also intervals, with as many draws")
    parser.add_argument("--taxpasta", help="the program, to be timed on the same reports")
    arguments = parser.parse_args()

    rng = np.random.default_rng(SEED)
    depth, parent = make_tree(2 * arguments.taxa, rng)
    with tempfile.TemporaryDirectory() as folder:
        make_distribution(Path(folder, "kmer_distrib"), depth, parent, rng)
        paths = [Path(folder, f"sample{i}.txt") for i in range(arguments.reports)]
        for path in paths:
            write_report(path, depth, parent, arguments.taxa, rng)
        # A child's peak begins at what its parent holds, so this comes before our own.
        if arguments.taxpasta:
            beside_taxpasta(arguments.taxpasta, paths, Path(folder))
        n_lines = paths[0].read_text(encoding="utf-8").count("\n")
        seconds = dict.fromkeys(
            ("distribution", "reading", "estimating and merging", "writing"), 0.0
        )

        clock = time.perf_counter()
        distribution = read_distribution(Path(folder, "kmer_distrib"))
        seconds["distribution"] = time.perf_counter() - clock

        def read() -> Iterator[tuple[str, Report]]:
            for path in paths:
                start = time.perf_counter()
                report = read_report(path)
                seconds["reading"] += time.perf_counter() - start
                yield path.stem, report

        clock = time.perf_counter()
        counts = build_counts(read(), distribution, arguments.rank, arguments.threshold)
        seconds["estimating and merging"] = time.perf_counter() - clock - seconds["reading"]
        clock = time.perf_counter()
        write_counts(counts, Path(folder, "counts.tsv"))
        seconds["writing"] = time.perf_counter() - clock
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

        if arguments.draws:
            reports = {path.stem: read_report(path) for path in paths}
            clock = time.perf_counter()
            intervals = sample_intervals(
                reports,
                dict.fromkeys(reports, distribution),
                [arguments.rank],
                arguments.threshold,
                draws=arguments.draws,
                seed=SEED,
            )
            seconds["intervals"] = time.perf_counter() - clock
            clock = time.perf_counter()
            write_tsv(intervals[arguments.rank], str(Path(folder, "intervals.tsv")))
            seconds["writing intervals"] = time.perf_counter() - clock

    print(f"{arguments.reports} reports of about {n_lines} lines -> {len(counts)} rows")
    for step, wall in seconds.items():
        print(f"{step:24} {wall:8.2f} s")
    print(f"{'total':24} {sum(seconds.values()):8.2f} s")
    print(f"{'peak memory':24} {peak:8.0f} MB")


if __name__ == "__main__":
    main()
