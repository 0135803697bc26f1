"""Calls of a strain on reads of itself, of copies of it with mutations, and of several relatives.

python benchmarks/call_strains.py [folder genomes_mini]: Bifidobacterium longum stands for the
strain, three copies of it that differ in 1, 2 and 3 % for its decoys. Reads of 150 bp with 0.5 % of
errors, among reads of eight other genomes at a coverage of 0.5. Writes the tables of
docs/validation.md, Strains; 9 min.
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import yaml

root = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(root / "scripts"))

from moodbiome.psychobiotics import Limits, call_strain  # noqa: E402
from moodbiome.strains import Strain, read_fasta, search_strains  # noqa: E402

LETTERS = np.frombuffer(b"ACGT", dtype=np.uint8)
IDENTITIES = (100, 99.99, 99.9, 99.5, 99, 97)
COVERAGES = (0.05, 0.2, 0.5, 1, 5)
LENGTH, ERRORS, REPEATS, FRAGMENT = 150, 0.005, 3, 350
HEADER = """\
| in the sample | coverage | calls | coverage found | ANI found | unevenness | of its own k-mers |
| --- | --- | --- | --- | --- | --- | --- |"""


def letters(file: Path) -> np.ndarray:
    """The contigs of a genome in one."""
    found = np.frombuffer("".join(read_fasta(file)).encode(), dtype=np.uint8)
    return found[np.isin(found, LETTERS)]


def altered(genome: np.ndarray, rate: float, random: np.random.Generator) -> np.ndarray:
    """Each letter replaced by another one at this rate."""
    at = random.random(genome.shape) < rate
    code = np.searchsorted(LETTERS, genome)
    return LETTERS[np.where(at, code + random.integers(1, 4, genome.shape), code) % 4]


def cut(genome: np.ndarray, coverage: float, random: np.random.Generator) -> list[str]:
    """Reads with errors."""
    start = random.integers(0, genome.size - LENGTH, int(genome.size * coverage / LENGTH))
    reads = altered(genome[start[:, None] + np.arange(LENGTH)], ERRORS, random)
    return [read.tobytes().decode() for read in reads]


def cut_by_gc(
    genome: np.ndarray, coverage: float, factor: float, random: np.random.Generator
) -> list[str]:
    """Reads whose depth grows by a factor for each 10 % more GC in their fragment."""
    sums = np.concatenate([[0], np.cumsum(np.isin(genome, np.frombuffer(b"CG", dtype=np.uint8)))])
    gc = (sums[FRAGMENT:] - sums[:-FRAGMENT]) / FRAGMENT
    weight = factor ** (10 * gc)
    n = int(genome.size * coverage / LENGTH)
    start = random.choice(gc.size, n, p=weight / weight.sum())
    start += np.where(random.random(n) < 0.5, 0, FRAGMENT - LENGTH)
    reads = altered(genome[start[:, None] + np.arange(LENGTH)], ERRORS, random)
    return [read.tobytes().decode() for read in reads]


def main() -> None:
    """Print one row an identity and coverage, then the mixtures."""
    parser = argparse.ArgumentParser(description=__doc__)
    data = root.parent / "shared" / "data" / "genomes_mini"
    parser.add_argument("data", type=Path, nargs="?", default=data)
    folder = parser.parse_args().data / "genomes"
    if not folder.is_dir():
        sys.exit(f"{folder} is not there; name the folder genomes_mini")
    settings = yaml.safe_load((root / "config/config.yaml").read_text())["psychobiotics"]
    limits = Limits(**settings["limits"])
    random = np.random.default_rng(20260101)
    (of_strain,) = folder.glob("Bifidobacterium_longum_*")
    genome = letters(of_strain)
    background = [
        read
        for file in sorted(folder.glob("*.fna.gz"))
        if file != of_strain
        for read in cut(letters(file), 0.5, random)
    ]
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name, f"{part}.fna") for part in ("genome", "decoy_1", "decoy_2", "decoy_3")]
        for file, rate in zip(files, (0, 0.01, 0.02, 0.03), strict=True):
            file.write_text(f">{file.stem}\n{altered(genome, rate, random).tobytes().decode()}\n")
        strain = Strain("strain", "bifidobacterium_longum", files[0], tuple(files[1:]), 2)

        def call(reads: list[str]) -> dict:
            found = search_strains([strain], reads, settings["kmer_bp"], settings["scaled"])
            return call_strain(found, "strain", limits)

        def say(what: str, coverage: float, *sources: tuple[np.ndarray | float, float]) -> None:
            """A row of reads of genomes, or of new copies at an identity in %, at coverages."""
            rows = []
            for _ in range(REPEATS):
                reads = list(background)
                for source, depth in sources:
                    if isinstance(source, np.ndarray):
                        reads += cut(source, depth, random)
                    else:
                        reads += cut(altered(genome, 1 - source / 100, random), depth, random)
                rows.append(call(reads))
            print_row(what, coverage, rows)

        print(HEADER)
        for identity in IDENTITIES:
            for coverage in COVERAGES:
                what = f"{identity} % copy" if identity < 100 else "the strain"
                say(what, coverage, (identity, coverage))
        say("none", 0)
        print(f"\n{HEADER}")
        decoys = [letters(file) for file in files[1:]]
        for coverage in (0.5, 1, 5):
            say("the strain, and decoy 1 at 2", coverage, (genome, coverage), (decoys[0], 2))
        for coverage in (1, 2, 5):
            say(
                "the strain, and decoy 1 as deep",
                coverage,
                *((g, coverage) for g in [genome, decoys[0]]),
            )
        for other in (1, 2, 5):
            what = f"the strain, and another of 99 % at {other}"
            say(what, 5, (genome, 5), (99, other))
        say("decoy 1", 5, (decoys[0], 5))
        say("all three decoys", 5, *((decoy, 5) for decoy in decoys))
        for identity, n in ((99, 2), (99, 3), (99, 6), (99.5, 2), (99.5, 3), (97, 3), (97, 6)):
            for coverage in (1, 2, 5):
                what = f"{n} copies of {identity} % each, no decoys of them"
                say(what, coverage, *[(identity, coverage)] * n)
        for factor in (1.35, 2.2):
            what = f"the strain, {factor:g} times as deep for 10 % more GC"
            for coverage in (2, 10):
                rows = [
                    call(cut_by_gc(genome, coverage, factor, random) + background)
                    for _ in range(REPEATS)
                ]
                print_row(what, coverage, rows)


def print_row(what: str, coverage: float, rows: list[dict]) -> None:
    """One row of the table; numbers are medians over the repeats."""
    calls = Counter(row["call"] for row in rows)
    said = ", ".join(f"{call} ({n})" for call, n in calls.items())
    depth = np.median([row["coverage"] for row in rows])
    known = [row["ani"] for row in rows if "ani" in row]
    ani = f"{np.median(known):.2f}" if known else ""
    deep = [row for row in rows if "unevenness" in row]
    uneven = [
        f"{np.median([row[name] for row in deep]):.2f}" if deep else ""
        for name in ("unevenness", "unique_unevenness")
    ]
    print(
        f"| {what} | {coverage:g} | {said} | {depth:.2g} | {ani} | {' | '.join(uneven)} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
