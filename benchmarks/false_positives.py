"""False taxa by confidence and by limits of distinct minimisers, where the truth is known.

python benchmarks/false_positives.py [GENOMES TAXONOMY]: builds a database of all genomes (by
default the demo's: make demo) and simulates samples of read pairs with errors. Half of the
genomes are planted; of the others some are pile-ups (all fragments from one stretch of 2 kb) and
some distant relatives (the genome at 88 % identity: a species that the database lacks). Both count
as false. Needs kraken2; the demo's genomes take half a minute, nine of real species four.
"""

import argparse
import gzip
import sys
import tempfile
from pathlib import Path

import numpy as np

root = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(root / "scripts"))

from moodbiome.classification import classify  # noqa: E402
from moodbiome.database import build_database, genome_files  # noqa: E402
from moodbiome.kraken import Report  # noqa: E402
from moodbiome.minimisers import Limits, flagged_taxa, minimisers_per_fragment  # noqa: E402

INSERT_BP, STRETCH_BP = 250, 2_000
ERROR, IDENTITY = 0.005, 0.88
KINDS = ("planted", "pile-up", "relative", "nothing")
CHANCES = (0.5, 0.2, 0.2, 0.1)
MIN_FRAGMENTS = 10
CONFIDENCES = (0, 0.05, 0.1, 0.2, 0.4)
RUN_CONFIDENCE = 0.1
MIN_DISTINCT = (500, 1000, 2000, 5000)
MIN_DISTINCT_SHARE = (0.1, 0.2, 0.3, 0.4, 0.5)
LETTERS = np.frombuffer(b"ACGT", dtype=np.uint8)
CODES = np.zeros(256, dtype=np.uint8)
CODES[LETTERS] = np.arange(4)


def read_genome(path: Path) -> np.ndarray:
    """Bases of a FASTA file as 0 to 3, contigs joined; a letter other than ACGT counts as A."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as lines:
        text = b"".join(line.strip().upper() for line in lines if not line.startswith(b">"))
    return CODES[np.frombuffer(text, dtype=np.uint8)]


def mutate(bases: np.ndarray, chance: float, rng: np.random.Generator) -> np.ndarray:
    """Replace each base by another, with a chance."""
    hit = rng.random(bases.shape) < chance
    return np.where(hit, (bases + rng.integers(1, 4, bases.shape)) % 4, bases).astype(np.uint8)


def draw_mates(genome: np.ndarray, kind: str, n: int, length: int, rng: np.random.Generator):
    """Both mates of n fragments, as arrays of bases."""
    if kind == "pile-up":
        start = rng.integers(genome.size - STRETCH_BP)
        genome = genome[start : start + STRETCH_BP]
    if kind == "relative":
        genome = mutate(genome, 1 - IDENTITY, rng)
    starts = rng.integers(0, genome.size - INSERT_BP, n)
    inserts = genome[starts[:, None] + np.arange(INSERT_BP)]
    turned = rng.random(n) < 0.5
    inserts[turned] = 3 - inserts[turned, ::-1]
    both = inserts[:, :length], 3 - inserts[:, : -length - 1 : -1]
    return [mutate(bases, ERROR, rng) for bases in both]


def simulate(genomes: dict[int, np.ndarray], length: int, folder: Path, rng: np.random.Generator):
    """Write a sample's two FASTQ files; give the kind of each taxon."""
    kinds = dict(zip(genomes, rng.choice(KINDS, len(genomes), p=CHANCES), strict=True))
    files = [folder / f"R{mate}.fastq" for mate in (1, 2)]
    mates: list[list[np.ndarray]] = [[], []]
    for taxon, kind in kinds.items():
        if kind != "nothing":
            # From as few as may be reported to many times what covers a small genome.
            most = 20_000 if kind == "planted" else 2_000
            n = int(np.exp(rng.uniform(np.log(15), np.log(most))))
            drawn = draw_mates(genomes[taxon], kind, n, length, rng)
            for part, bases in zip(mates, drawn, strict=True):
                part.append(bases)
    for path, part in zip(files, mates, strict=True):
        texts = LETTERS[np.concatenate(part)]
        with path.open("wb") as out:
            for number, text in enumerate(texts):
                out.write(b"@r%d\n%b\n+\n%b\n" % (number, text.tobytes(), b"I" * length))
    return kinds, files, sum(len(bases) for bases in mates[0])


def species_of(report: Report) -> dict[int, int]:
    """Node of each species with enough fragments."""
    return {
        report.taxon_id[node]: node
        for node, rank in enumerate(report.rank)
        if rank == "S" and report.clade[node] >= MIN_FRAGMENTS
    }


def shares(found: set[int], planted: set[int]) -> str:
    """Recall and precision in per cent."""
    true = len(found & planted)
    return f"{100 * true / len(planted):.1f}\t{100 * true / max(len(found), 1):.1f}"


def main() -> None:
    """Print the tables."""
    demo = root / "runs/demo/cohort"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("genomes", type=Path, nargs="?", default=demo / "genomes")
    parser.add_argument("taxonomy", type=Path, nargs="?", default=demo / "taxonomy")
    parser.add_argument("--length", type=int, default=100, help="of the reads, in bp")
    parser.add_argument("--single", action="store_true", help="only the first mates")
    parser.add_argument("--samples", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if not arguments.genomes.is_dir():
        sys.exit(f"{arguments.genomes} is not there; run `make demo` or name two folders")
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        log, database = folder / "log", folder / "database"
        files, _ = genome_files(arguments.genomes)
        build_database(files, arguments.taxonomy, database, arguments.threads, log)
        genomes = {
            int(path.name.removesuffix(".gz").rpartition(".")[0].rpartition("_")[2]): read_genome(
                path
            )
            for path in files
        }
        samples = []
        for _ in range(arguments.samples):
            kinds, fastq, fragments = simulate(genomes, arguments.length, folder, rng)
            mates = [[str(file)] for file in fastq[: 1 if arguments.single else 2]]
            given = (arguments.threads, log, fragments)
            reports = {
                confidence: classify(mates, database, folder / "report", confidence, 2, *given)
                for confidence in CONFIDENCES
            }
            samples.append((kinds, reports))
    print_confidence(samples)
    print_limits(samples)


def print_confidence(samples) -> None:
    """One row a confidence, before any limit of minimisers."""
    planted = {
        (i, taxon)
        for i, (kinds, _) in enumerate(samples)
        for taxon, kind in kinds.items()
        if kind == "planted"
    }
    print(f"{len(samples)} samples, {len(planted)} planted species")
    print("confidence\tclassified_%\tspecies\tfalse\trecall_%\tprecision_%")
    for confidence in CONFIDENCES:
        reports = [reports[confidence] for _, reports in samples]
        found = {(i, taxon) for i, report in enumerate(reports) for taxon in species_of(report)}
        share = sum(r.classified for r in reports) / sum(r.total for r in reports)
        counted = (f"{100 * share:.1f}", len(found), len(found - planted))
        print(confidence, *counted, shares(found, planted), sep="\t")


def print_limits(samples) -> None:
    """One row a pair of limits, at the confidence of a run; then the spread of the statistic."""
    planted, found, kind_of, statistic = set(), {}, {}, {}
    for i, (kinds, reports) in enumerate(samples):
        report = reports[RUN_CONFIDENCE]
        planted |= {(i, taxon) for taxon, kind in kinds.items() if kind == "planted"}
        for taxon, node in species_of(report).items():
            found[i, taxon] = report
            kind_of[i, taxon] = kinds[taxon]
            distinct = report.distinct_minimizers[node]
            share = distinct / (report.clade[node] * minimisers_per_fragment(report))
            statistic[i, taxon] = (share, distinct)
    told = ("pile-ups_flagged", "relatives_flagged", "planted_flagged")
    print("\nmin_distinct", "min_distinct_share", *told, "recall_%", "precision_%", sep="\t")
    print("none", "none", 0, 0, 0, shares(set(found), planted), sep="\t")
    for distinct in MIN_DISTINCT:
        for share in MIN_DISTINCT_SHARE:
            limits = Limits(distinct, share)
            flagged = {
                (i, taxon)
                for (i, taxon), report in found.items()
                if taxon in flagged_taxa(report, "species", limits)
            }
            told = []
            for kind in ("pile-up", "relative", "planted"):
                of_kind = {key for key in found if kind_of[key] == kind}
                told.append(f"{len(flagged & of_kind)} of {len(of_kind)}")
            print(distinct, share, *told, shares(set(found) - flagged, planted), sep="\t")
    print("\nkind\tn\tdistinct_share: lowest, median, highest\tdistinct: the same")
    for kind in KINDS:
        rows = np.array([statistic[key] for key in statistic if kind_of[key] == kind])
        if len(rows):
            spread = (np.quantile(part, [0, 0.5, 1]) for part in rows.T)
            print(kind, len(rows), *("{:.3g} {:.3g} {:.3g}".format(*p) for p in spread), sep="\t")


if __name__ == "__main__":
    main()
