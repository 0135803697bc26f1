"""Genera found in a 16S mock community of known members, by confidence.

python benchmarks/amplicon_mock.py [folder amplicon_mock]: builds a database from Greengenes 13_8
85 % OTUs, cuts the primers, classifies, re-estimates at genus. Needs kraken2 and cutadapt; 10 s.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import dnaio

root = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(root / "scripts"))

from moodbiome.amplicon import (  # noqa: E402
    LIBRARY,
    choose_primers,
    read_primers,
    trim_run,
    write_reference,
)
from moodbiome.bracken import estimate_sample, read_distribution  # noqa: E402
from moodbiome.database import build_database, database_taxa  # noqa: E402
from moodbiome.kmer_distribution import (  # noqa: E402
    Taxonomy,
    count_genomes,
    read_parents,
    read_sequence_taxa,
    write_distribution,
)
from moodbiome.kraken import read_report  # noqa: E402
from moodbiome.tools import run_pipe  # noqa: E402

CONFIDENCES = (0, 0.05, 0.1)
MIN_SHARE = 0.001
MIN_FRAGMENTS = 10
COLUMNS = ("confidence", "counts", "classified_%", "at_genus_%", "expected", "found", "findable")
COLUMNS += ("found_of_findable", "false", "false_%")


def expected_genera(table: Path) -> set[str]:
    """Genera named in mockrobiota's table of members."""
    lineages = [line.split("\t")[0] for line in table.read_text().splitlines()[1:]]
    genera = {field for line in lineages for field in line.split("; ") if field.startswith("g__")}
    return {genus.removeprefix("g__") for genus in genera} - {""}


def main() -> None:
    """Print one row a confidence, assigned and re-estimated."""
    parser = argparse.ArgumentParser(description=__doc__)
    data = root.parent / "shared" / "data" / "amplicon_mock"
    parser.add_argument("data", type=Path, nargs="?", default=data)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"{arguments.data} is not there; name the folder amplicon_mock")
    with tempfile.TemporaryDirectory() as folder:
        measure(arguments.data, Path(folder), arguments.threads)


def measure(data: Path, folder: Path, threads: int) -> None:
    """Build, trim, classify, and print the table."""
    log = folder / "log"
    source = data / "reference"
    reference = write_reference(
        source / "gg_13_8_85_otus.fasta.gz", source / "gg_13_8_85_otu_taxonomy.txt", folder
    )
    print(f"reference: {reference.as_dict()}")
    database = folder / "database"
    build_database([folder / LIBRARY], folder / "taxonomy", database, threads, log)

    fastq = [str(data / "reads" / f"sample3_R{mate}_001.fastq.gz") for mate in (1, 2)]
    trimmed = [str(folder / f"trimmed_R{mate}.fastq.gz") for mate in (1, 2)]
    with dnaio.open(fastq[0]) as records:
        fragments = sum(1 for _ in records)
    choice = choose_primers("auto", read_primers(root / "config" / "primers.tsv"), fastq)
    print(f"primers: {choice.said}")
    if choice.primers is None:
        sys.exit("no primers found")
    counts = trim_run(fastq, trimmed, choice.primers, folder / "json", fragments, "mock", log)
    print(f"fragments: {counts}")
    lengths = []
    for file in trimmed:
        with dnaio.open(file) as records:
            lengths += [len(record) for record in records]
    length = round(sum(lengths) / len(lengths))

    with (database / "library.kraken").open() as lines:
        taxonomy = Taxonomy(read_parents(database / "nodes.dmp"))
        sequence_taxa = read_sequence_taxa(database / "seqid2taxid.map")
        windows = count_genomes(lines, sequence_taxa, taxonomy, length)
    write_distribution(windows, folder / "distribution")
    distribution = read_distribution(folder / "distribution")

    taxa = {taxon: name for taxon, _, _, name in database_taxa(database / "taxo.k2d")}
    genera = {name for _, _, rank, name in database_taxa(database / "taxo.k2d") if rank == "genus"}
    expected = expected_genera(data / "truth" / "expected-taxonomy.gg13_8_97.tsv")
    missing = sorted(expected - genera)
    print(f"expected genera that the reference lacks ({len(missing)}): {', '.join(missing)}")
    print(f"reads of {length} bp on average; called from {MIN_SHARE:.1%} of the fragments")
    print("\t".join(COLUMNS))
    total = counts["with_primers"]
    details = []
    for confidence in CONFIDENCES:
        out = folder / "report"
        command = ["kraken2", "--db", str(database), "--threads", str(threads), "--paired"]
        command += ["--confidence", str(confidence), "--report", str(out), "--output", "-"]
        run_pipe([[*command, "--gzip-compressed", *trimmed]], log)
        report = read_report(out, fragments=total)
        for how in (None, distribution):
            sample = estimate_sample(report, how, "G", MIN_FRAGMENTS)
            estimates = zip(sample.taxon_id, sample.estimate, strict=True)
            shares = {taxa[taxon]: int(number) / total for taxon, number in estimates}
            called = {name for name, share in shares.items() if share >= MIN_SHARE}
            wrong = sorted(called - expected, key=lambda name: -shares[name])
            found, findable = len(called & expected), len(expected & genera)
            row = (
                *(confidence, "re-estimated" if how else "assigned"),
                *(f"{100 * report.classified / total:.1f}", f"{100 * sum(shares.values()):.1f}"),
                *(len(expected), found, findable, f"{found / findable:.2f}", len(wrong)),
                f"{100 * sum(shares[name] for name in wrong):.1f}",
            )
            print("\t".join(map(str, row)))
            listed = ", ".join(f"{name} {100 * shares[name]:.2f} %" for name in wrong)
            unseen = ", ".join(sorted((expected & genera) - called))
            details.append(f"{row[0]}, {row[1]}: not expected: {listed}\n  not found: {unseen}")
    print("\n".join(details))


if __name__ == "__main__":
    main()
