"""Time the way from Kraken2 reports to a feature table on synthetic reports.

    python benchmarks/merge_reports.py --reports 1000 --taxa 3000

Makes a taxonomy with seven ranks, a k-mer distribution in which reads of a species end at it and
at all its ancestors, and reports with about `--taxa` lines each, drawn from twice as many taxa.
Prints wall seconds of each step and the peak memory of the whole process.
"""

import argparse
import resource
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
from moodbiome.kraken import Report, read_report
from moodbiome.tables import build_counts, write_counts
from moodbiome.uncertainty import sample_intervals

CODES = "RDPCOFGS"
# Nodes at each rank for one species; ranks nearer the root are rarer, as in gut communities.
SHARE = np.array([0.0, 0.0, 0.006, 0.012, 0.03, 0.08, 0.35, 1.0])
SEED = 20240607


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


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reports", type=int, default=1000, help="number of samples")
    parser.add_argument("--taxa", type=int, default=3000, help="lines of a report, about")
    parser.add_argument("--rank", default="genus")
    parser.add_argument("--threshold", type=int, default=10)
    parser.add_argument("--draws", type=int, default=0, help="also intervals, with as many draws")
    arguments = parser.parse_args()

    rng = np.random.default_rng(SEED)
    depth, parent = make_tree(2 * arguments.taxa, rng)
    with tempfile.TemporaryDirectory() as folder:
        make_distribution(Path(folder, "kmer_distrib"), depth, parent, rng)
        paths = [Path(folder, f"sample{i}.txt") for i in range(arguments.reports)]
        for path in paths:
            write_report(path, depth, parent, arguments.taxa, rng)
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
    print(f"{'peak memory':24} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:8.0f} MB")


if __name__ == "__main__":
    main()
