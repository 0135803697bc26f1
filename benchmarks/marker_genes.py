"""Copies of marker genes per genome, held against genomes in which their number is known.

python benchmarks/marker_genes.py [folder genomes_mini]: made-up families planted in made-up
genomes; then real proteins, each genome's held against those of the others; then time and memory.
Needs DIAMOND. Writes the tables of docs/genes.md; about 10 min on one core.
"""

import argparse
import gzip
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

root = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(root / "scripts"), str(root / "tests")]

from moodbiome.gene_search import build_protein_database, search_sample  # noqa: E402
from moodbiome.genes import measure_genes  # noqa: E402
from moodbiome.proteins import Protein, describe_set  # noqa: E402
from moodbiome.tools import run_pipe  # noqa: E402
from planted_genes import cut_pairs, gene, genome, protein, relative  # noqa: E402

SEED = 20260101
MARKERS = (250, 300, 350, 400, 450, 500, 550, 600)
SINGLE_COPY = (241, 233, 206, 166, 131, 156, 234, 273, 209, 201, 179, 177, 141, 142, 1342, 353)
SETTINGS = {"sensitivity": "sensitive", "min_aligned_aa": 25, "max_evalue": 1e-5}
FRAME = re.compile(r"M[^*X]{119,}(?=\*)")
CODE = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
OF_CODON = {
    first + second + third: CODE[16 * i + 4 * j + k]
    for i, first in enumerate("TCAG")
    for j, second in enumerate("TCAG")
    for k, third in enumerate("TCAG")
}


def say(*cells):
    """One row of a table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def head(title, *cells):
    """Title and header of a table."""
    print(f"\n## {title}\n")
    say(*cells)
    say(*["---"] * len(cells))


class Set:
    """A protein set on disk, indexed."""

    def __init__(self, folder, sequences, roles, min_identity=50.0):
        """`sequences`: family -> proteins; `roles`: family -> role."""
        self.folder = Path(folder)
        self.proteins, lines, lengths = {}, [], {}
        for family, members in sequences.items():
            for number, text in enumerate(members):
                name = f"{family}.{number}"
                self.proteins[name] = Protein(name, family, family, roles[family], min_identity)
                lengths[name] = len(text)
                lines.append(f">{name}\n{text}\n")
        self.families = describe_set(self.proteins, lengths)
        (self.folder / "set.faa").write_text("".join(lines))
        self.database = self.folder / "set.dmnd"
        build_protein_database(self.folder / "set.faa", self.database, 2, self.folder / "log")

    def search(self, mates, **changes):
        """What `search_sample` finds of mates, and its processor time in seconds."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = search_sample(
            mates, len(mates[0]), self.proteins, self.database, self.folder, **SETTINGS | changes,
            threads=2, log=self.folder / "log", place="benchmark",
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {"sample": "S", "status": "ok", "reason": "", **found}, used

    def copies(self, found):
        measured = measure_genes({"S": found}, self.families, 100, SEED)
        return measured.copies.set_index("ko")["S"], measured.intervals.set_index("ko")


def made_up(folder):
    """Families of 8 members, each at 80 % of an ancestor; decoys at 45 % of a marker."""
    head(
        "Made-up families",
        *("reads, bp", "identity of markers", "of single-copy families", "copies found / true"),
        *("worst family", "inside the interval", "decoy fragments called marker"),
        *("without decoys in the set", "reads of genes found"),
    )
    random = np.random.default_rng(SEED)
    ancestors = {f"M{i}": protein(length, random) for i, length in enumerate(MARKERS)}
    roles = dict.fromkeys(ancestors, "marker")
    for name in list(ancestors):
        ancestors[name.replace("M", "D")] = relative(ancestors[name], 0.45, random)
        roles[name.replace("M", "D")] = "decoy"
    for i, length in enumerate(SINGLE_COPY):
        ancestors[f"S{i}"], roles[f"S{i}"] = protein(length, random), "single_copy"
    members = {
        name: [relative(text, 0.8, random) for _ in range(8)] for name, text in ancestors.items()
    }
    whole = Set(folder, members, roles)
    (Path(folder) / "bare").mkdir()
    kept = {name: texts for name, texts in members.items() if roles[name] != "decoy"}
    bare = Set(Path(folder) / "bare", kept, roles)
    for length in (100, 150):
        for identity, of_single in [(i, i) for i in (0.95, 0.9, 0.8, 0.7, 0.6)] + [(0.7, 0.95)]:
            truth, coverage, mates, of_decoys, of_genes = Counter(), 0, [[], []], [[], []], 0
            for number in range(6):
                depth, genes = (8, 4, 16, 8, 4, 8)[number], []
                for name in ancestors:
                    share = of_single if roles[name] == "single_copy" else identity
                    copies = 1
                    if roles[name] == "marker":
                        copies = int(random.integers(0, 3))
                        truth[name] += depth * copies
                    for _ in range(copies):
                        text = relative(members[name][random.integers(8)], share, random)
                        genes.append((name, gene(text, random)))
                coverage += depth
                pieces = genome(100_000, [one for _, one in genes], random)
                for mate, reads in zip(
                    mates,
                    cut_pairs(pieces, 100_000 * depth // (2 * length), length, random),
                    strict=True,
                ):
                    mate += reads
                of_genes += sum(depth * (len(one) + length - 149) / length for _, one in genes)
                decoys = b"".join(one for name, one in genes if roles[name] == "decoy")
                for mate, reads in zip(
                    of_decoys, cut_pairs(decoys, 2000, length, random), strict=True
                ):
                    mate += reads
            found, _ = whole.search(mates)
            copies, intervals = whole.copies(found)
            true = pd.Series(truth, dtype=float).reindex(copies.index, fill_value=0) / coverage
            ratio = (copies / true)[true > 0]
            worst = ratio.iloc[(np.log(ratio)).abs().argmax()]
            inside = ((intervals["low"] <= true) & (true <= intervals["high"])).sum()
            counted = sum(sum(counts.values()) for counts in found["reads_by_family"].values())
            false, missed = (
                one.search(of_decoys)[0]["fates"]["marker"] / len(of_decoys[0])
                for one in (whole, bare)
            )
            say(
                *(length, f"{identity:.0%}", f"{of_single:.0%}", f"{ratio.mean():.2f}"),
                *(f"{worst:.2f}", f"{inside} of {true.size}", f"{false:.2%}", f"{missed:.1%}"),
                f"{counted / of_genes:.0%}",
            )


def translate(text):
    return "".join(OF_CODON.get(text[at : at + 3], "X") for at in range(0, len(text) - 2, 3))


def open_frames(contigs):
    """Proteins of the open reading frames, ATG to stop, of 120 amino acids and more."""
    for contig in contigs:
        for strand in (contig, contig.translate(str.maketrans("ACGT", "TGCA"))[::-1]):
            for frame in range(3):
                for match in FRAME.finditer(translate(strand[frame:])):
                    yield match[0]


def contigs_of(file):
    with gzip.open(file, "rt") as content:
        text = content.read()
    return ["".join(part.splitlines()[1:]).upper() for part in text.split(">")[1:]]


def real(folder, files):
    """Families that all genomes have (best hits of each other), each in its turn unknown."""
    folder = Path(folder)
    proteins = [list(dict.fromkeys(open_frames(contigs_of(file)))) for file in files]
    best = []
    for number, texts in enumerate(proteins):
        lines = (f">{number}_{i}\n{text}\n" for i, text in enumerate(texts))
        (folder / f"{number}.faa").write_text("".join(lines))
        name = folder / f"{number}.faa"
        run_pipe([["diamond", "makedb", "--in", str(name), "--db", str(name)]], folder / "log")

    def hits(one, other):
        out = folder / "hits"
        command = [
            "diamond",
            "blastp",
            "--query",
            f"{folder}/{one}.faa",
            "--db",
            f"{folder}/{other}.faa",
        ]
        command += [
            "--max-target-seqs",
            "1",
            "--outfmt",
            "6",
            "qseqid",
            "sseqid",
            "pident",
            "--query-cover",
            "80",
        ]
        run_pipe(
            [[*command, "--subject-cover", "80", "--evalue", "1e-20", "--out", str(out)]],
            folder / "log",
        )
        rows = (line.split("\t") for line in out.read_text().splitlines())
        return {query: target for query, target, _ in rows}

    for other in range(1, len(files)):
        there, back = hits(0, other), hits(other, 0)
        best.append({one: two for one, two in there.items() if back.get(two) == one})
    shared = sorted(set.intersection(*(set(found) for found in best)))
    text_of = {f"{n}_{i}": text for n, texts in enumerate(proteins) for i, text in enumerate(texts)}
    orthologs = {one: [one, *(found[one] for found in best)] for one in shared}
    head(
        f"Real proteins: {len(shared)} families, each genome held against the others",
        *("genome", "median identity to the nearest", "copies found, median family"),
        *("middle 80 % of families", "reads of genes found"),
        "fragments without these genes that were counted",
    )
    random = np.random.default_rng(SEED)
    roles = {f"F{i}": ("marker", "single_copy")[i % 2] for i in range(len(shared))}
    for number, file in enumerate(files):
        work = folder / f"without_{number}"
        work.mkdir()
        sequences = {
            f"F{i}": [text_of[name] for name in orthologs[one] if not name.startswith(f"{number}_")]
            for i, one in enumerate(shared)
        }
        one_set = Set(work, sequences, roles, 50.0)
        contigs = contigs_of(file)
        coverage, mates = 5, [[], []]
        for contig in contigs:
            letters = re.sub("[^ACGT]", "A", contig).encode()
            if len(letters) < 2000:
                continue
            reads = cut_pairs(letters, coverage * len(letters) // 200, 100, random)
            for mate, more in zip(mates, reads, strict=True):
                mate += more
        found, _ = one_set.search(mates)
        copies, _ = one_set.copies(found)
        own = {
            f"F{i}": next(n for n in orthologs[one] if n.startswith(f"{number}_"))
            for i, one in enumerate(shared)
        }
        (work / "own.faa").write_text("".join(f">{f}\n{text_of[n]}\n" for f, n in own.items()))
        command = [
            "diamond",
            "blastp",
            "--query",
            f"{work}/own.faa",
            "--db",
            str(one_set.database),
            "--out",
            f"{work}/own",
        ]
        run_pipe(
            [[*command, "--max-target-seqs", "1", "--outfmt", "6", "qseqid", "pident"]],
            work / "log",
        )
        identity = dict(line.split("\t") for line in (work / "own").read_text().splitlines())
        counted = sum(sum(counts.values()) for counts in found["reads_by_family"].values())
        possible = sum(coverage * (3 * len(text_of[name]) - 49) / 100 for name in own.values())
        # Fragments of the genome without the families' own genes.
        masked = b"".join(without(contigs, [text_of[name] for name in own.values()]))
        others = cut_pairs(masked, 50_000, 100, random)
        false = one_set.search(others)[0]["fates"]
        low, high = copies.quantile([0.1, 0.9])
        nearest = np.median([float(percent) for percent in identity.values()])
        say(
            file.name.rsplit("_", 1)[0].replace("_", " "),
            *(f"{nearest:.0f} %", f"{copies.median():.2f}", f"{low:.2f} to {high:.2f}"),
            f"{counted / possible:.0%}",
            f"{(false['marker'] + false['single_copy']) / 50_000:.2%}",
        )


def without(contigs, texts):
    """Contigs with the genes of these proteins replaced by nothing: pieces of 1 kb and more."""
    wanted = set(texts)
    for contig in contigs:
        cut = []
        for turned in (False, True):
            strand = contig.translate(str.maketrans("ACGT", "TGCA"))[::-1] if turned else contig
            for frame in range(3):
                for match in FRAME.finditer(translate(strand[frame:])):
                    if match[0] in wanted:
                        begin, end = frame + 3 * match.start(), frame + 3 * match.end()
                        cut.append(
                            (len(strand) - end, len(strand) - begin) if turned else (begin, end)
                        )
        edges = [(0, 0), *sorted(cut), (len(contig), len(contig))]
        for (_, begin), (end, _) in pairwise(edges):
            if end - begin >= 1000:
                yield re.sub("[^ACGT]", "A", contig[begin:end]).encode()


def speed(folder, files, pairs=250_000):
    """Processor time and memory of the modes, against 8,000 proteins."""
    head(
        "Time and memory",
        *("mode", "million reads", "processor time, s", "reads a minute and core"),
        "reads of genes found",
    )
    random = np.random.default_rng(SEED)
    ancestors = {f"F{i}": protein(350, random) for i in range(400)}
    roles = {name: ("marker", "single_copy")[i % 2] for i, name in enumerate(ancestors)}
    members = {
        name: [relative(text, 0.8, random) for _ in range(20)] for name, text in ancestors.items()
    }
    one_set = Set(folder, members, roles)
    mates = [[], []]
    for file in files:
        letters = re.sub("[^ACGT]", "A", max(contigs_of(file), key=len)).encode()
        for mate, reads in zip(
            mates, cut_pairs(letters, pairs // len(files), 100, random), strict=True
        ):
            mate += reads
    genes = b"".join(gene(relative(texts[0], 0.75, random), random) for texts in members.values())
    for mate, reads in zip(mates, cut_pairs(genes, pairs // 100, 100, random), strict=True):
        mate += reads
    n_reads = sum(map(len, mates))
    for mode in ("fast", "default", "mid-sensitive", "sensitive", "more-sensitive"):
        found, used = one_set.search(mates, sensitivity=mode)
        counted = sum(sum(counts.values()) for counts in found["reads_by_family"].values())
        say(
            *(mode, f"{n_reads / 1e6:.2f}", f"{used:.0f}", f"{60 * n_reads / used:,.0f}"),
            f"{counted / (pairs // 100 * 2):.0%}",
        )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"\nMost memory of any search of this run: {peak / 1024:.0f} MB.")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    data = root.parent / "shared" / "data" / "genomes_mini"
    parser.add_argument("data", type=Path, nargs="?", default=data)
    parser.add_argument("--only", choices=["made_up", "real", "speed"])
    arguments = parser.parse_args()
    files = sorted((arguments.data / "genomes").glob("*.fna.gz"))
    for part in (made_up, real, speed):
        if arguments.only in (None, part.__name__):
            if part is not made_up and not files:
                print(f"{arguments.data} is not there: {part.__name__} is left out")
                continue
            with tempfile.TemporaryDirectory() as folder:
                begin = time.monotonic()
                part(*([folder] if part is made_up else [folder, files]))
                print(f"\n({time.monotonic() - begin:.0f} s)")


if __name__ == "__main__":
    main()
