"""Calls of a strain on reads of itself, of copies of it with mutations, and of several relatives.

python benchmarks/call_strains.py [folder genomes_mini]: Bifidobacterium longum stands for the
strain, three copies of it that differ in 1, 2 and 3 % for its decoys. Reads of 150 bp with 0.5 % of
errors, among reads of eight other genomes at a coverage of 0.5. Writes the table of
docs/validation.md, Strains; 3 min.
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
LENGTH, ERRORS, REPEATS = 150, 0.005, 3


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

        print("| in the sample | coverage | calls | coverage found | ANI found |")
        print("| --- | --- | --- | --- | --- |")
        for identity in IDENTITIES:
            for coverage in COVERAGES:
                rows = []
                for _ in range(REPEATS):
                    source = altered(genome, 1 - identity / 100, random)
                    rows.append(call(cut(source, coverage, random) + background))
                say(f"{identity} % copy" if identity < 100 else "the strain", coverage, rows)
        decoys = [letters(file) for file in files[1:]]
        for coverage in (0.5, 1, 5):
            reads = cut(genome, coverage, random) + cut(decoys[0], 2, random) + background
            say("the strain, and decoy 1 at 2", coverage, [call(reads)])
        say("decoy 1", 5, [call(cut(decoys[0], 5, random) + background)])
        say(
            "all three decoys",
            5,
            [call([r for d in decoys for r in cut(d, 5, random)] + background)],
        )
        for n in (2, 3):
            sources = [altered(genome, 0.01, random) for _ in range(n)]
            reads = [read for source in sources for read in cut(source, 5, random)]
            say(f"{n} copies of 99 % each, no decoys of them", 5, [call(reads + background)])
        say("none", 0, [call(background)])


def say(what: str, coverage: float, rows: list[dict]) -> None:
    """One row of the table; numbers are medians over the repeats."""
    calls = Counter(row["call"] for row in rows)
    said = ", ".join(f"{call} ({n})" for call, n in calls.items())
    depth = np.median([row["coverage"] for row in rows])
    known = [row["ani"] for row in rows if "ani" in row]
    ani = f"{np.median(known):.2f}" if known else ""
    print(f"| {what} | {coverage:g} | {said} | {depth:.2g} | {ani} |", flush=True)


if __name__ == "__main__":
    main()
