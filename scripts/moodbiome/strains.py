"""Strains that are looked for by their genomes: the user's table, and their k-mers in the reads.

The table is read with the standard library, for every parse of the workflow does it.
"""

import csv
import gzip
import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import sqrt
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any, NamedTuple

from moodbiome.faults import Fault, after, suggestion

COLUMNS = ("strain", "species", "genome", "decoys")

# Reads are sketched in parts of this many, so that memory does not grow with the sample.
_PART = 200_000
# A genome's k-mers are placed in stretches of this many bp, for the same reason.
_STRETCH = 100_000

# K-mers this far apart (bp) are seldom in one fragment, and still in one stretch of the genome.
_APART = 1000
_BLOCKS = 50


class Strain(NamedTuple):
    """One row of the table.

    Attributes
    ----------
    strain, species : str
        Its name, and the species of the panel (a concept of config/evidence/crosswalk.tsv).
    genome : Path or None
        FASTA file, plain or .gz; None where there is none, and the strain cannot be assessed.
    decoys : tuple of Path
        FASTA files of its near relatives.
    row : int
        Line of the table.
    """

    strain: str
    species: str
    genome: Path | None
    decoys: tuple[Path, ...]
    row: int


def read_strains(path: Path) -> list[Strain]:
    """Read a table of strains; paths in it start at its own folder.

    Parameters
    ----------
    path
        TSV with the columns `COLUMNS`, more are allowed. Decoys have ``;`` between them. Lines that
        begin with ``#`` are passed over.

    Raises
    ------
    ValueError
        If the file is no UTF-8 text, or a column is missing.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError("is no UTF-8 text; save it as UTF-8") from error
    numbered = [(n, line) for n, line in enumerate(lines, 1) if line.strip() and line[0] != "#"]
    rows = csv.DictReader(
        (line for _, line in numbered), delimiter="\t", quoting=csv.QUOTE_NONE, restval=""
    )
    missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
    if missing:
        raise ValueError(f"has no column {missing[0]!r}; columns are {', '.join(COLUMNS)}")
    strains = []
    for (number, _), row in zip(numbered[1:], rows, strict=True):
        cells = {column: row[column].strip() for column in COLUMNS}
        decoys = [cell.strip() for cell in cells["decoys"].split(";") if cell.strip()]
        genome = path.parent / cells["genome"] if cells["genome"] else None
        decoy_paths = tuple(path.parent / decoy for decoy in decoys)
        strains.append(Strain(cells["strain"], cells["species"], genome, decoy_paths, number))
    return strains


def panel_species(crosswalk: Path) -> list[str]:
    """Concepts of config/evidence/crosswalk.tsv that are psychobiotics."""
    return list(_panel(crosswalk))


def panel_organisms(crosswalk: Path) -> list[str]:
    """These species, and after them the genera that they are of."""
    within = _panel(crosswalk)
    return list(dict.fromkeys([*within, *within.values()]))


def _panel(crosswalk: Path) -> dict[str, str]:
    """What each psychobiotic is within."""
    with crosswalk.open(encoding="utf-8") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {row["concept"]: row["within"] for row in rows if row["used_by"] == "psychobiotic"}


def strain_faults(path: Path, species: Collection[str]) -> list[Fault]:
    """All that is wrong with a table of strains and with the files that it names.

    Parameters
    ----------
    path
        The table.
    species
        Names that its column ``species`` may have.
    """
    if not path.is_file():
        return [
            Fault("config: psychobiotics.strains", f"no file {str(path)!r}", "correct the path")
        ]
    try:
        strains = read_strains(path)
    except ValueError as error:
        problem, _, mend = str(error).partition("; ")
        return [Fault(path.name, problem, mend)]
    if not strains:
        return [
            Fault(path.name, "holds no strain", "add a row for each, or leave the setting empty")
        ]
    faults = []
    names = Counter(strain.strain for strain in strains)
    files = {
        file for strain in strains if strain.genome for file in (strain.genome, *strain.decoys)
    }
    found = {file: _file_fault(file) for file in sorted(files)}
    faulty = {file: fault for file, fault in found.items() if fault}
    contents = {file: _sequences_digest(file) for file in sorted(files - set(faulty))}
    genomes = {strain.genome: strain.strain for strain in reversed(strains) if strain.genome}
    for strain in strains:
        place = f"{path.name}, row {strain.row}, column"
        if not strain.strain:
            faults.append(Fault(f"{place} 'strain'", "is empty", "give the strain a name"))
        elif names[strain.strain] > 1:
            problem = f"{strain.strain!r} stands {names[strain.strain]} times"
            faults.append(Fault(f"{place} 'strain'", problem, "give each strain one row"))
        if strain.species not in species:
            mend = after(suggestion(strain.species, species), f"species are: {', '.join(species)}")
            problem = f"{strain.species!r} is not in the panel"
            faults.append(Fault(f"{place} 'species'", problem, mend))
        if not strain.genome:
            continue
        if strain.genome in faulty:
            faults.append(Fault(f"{place} 'genome'", *faulty[strain.genome]))
        if not strain.decoys:
            mend = "give genomes of near relatives, with ; between"
            faults.append(Fault(f"{place} 'decoys'", "is empty, but a genome is given", mend))
        for decoy in strain.decoys:
            if decoy in faulty:
                faults.append(Fault(f"{place} 'decoys'", *faulty[decoy]))
            elif contents.get(strain.genome) == contents[decoy]:
                problem = f"{decoy.name!r} has the sequences of the genome: no k-mer is its own"
                faults.append(Fault(f"{place} 'decoys'", problem, "take it out of the decoys"))
        twin = next(
            (
                name
                for file, name in genomes.items()
                if name != strain.strain and contents.get(file, "") == contents.get(strain.genome)
            ),
            None,
        )
        if twin:
            problem = f"has the sequences of {twin!r}: neither has a k-mer of its own"
            faults.append(Fault(f"{place} 'genome'", problem, "keep one of the two"))
    return faults


def _file_fault(file: Path) -> tuple[str, str] | None:
    """Problem and mend of a file that is no FASTA."""
    if not file.is_file():
        return f"no file {str(file)!r}", "correct the path, which starts at the table's folder"
    fasta = "give a FASTA file of nucleotides, plain or .gz"
    try:
        lines = list(_lines(file))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        return f"{file.name!r} cannot be read ({type(error).__name__})", fasta
    if not lines or not lines[0].startswith(">"):
        return f"{file.name!r} does not begin with '>'", fasta
    letters = Counter("".join(line for line in lines if line[0] != ">").upper())
    nucleotides = sum(letters[base] for base in "ACGTN")
    if nucleotides < 0.9 * letters.total() or not nucleotides:
        return f"{file.name!r} holds no sequences of nucleotides", fasta
    return None


def _lines(file: Path) -> Iterator[str]:
    """Lines that are not blank; whether it is compressed is seen from the first bytes."""
    with file.open("rb") as start:
        is_gzip = start.read(2) == b"\x1f\x8b"
    with (gzip.open if is_gzip else open)(file, "rt", encoding="ascii") as lines:
        for line in lines:
            if stripped := line.strip():
                yield stripped


def read_fasta(file: Path) -> list[str]:
    """Sequences of a FASTA file, upper case."""
    parts: list[list[str]] = []
    for line in _lines(file):
        if line[0] == ">":
            parts.append([])
        else:
            parts[-1].append(line)
    return ["".join(part).upper() for part in parts]


def _sequences_digest(file: Path) -> str:
    """Digest of the sequences, whatever their names, order and line lengths."""
    return hashlib.sha256("\n".join(sorted(read_fasta(file))).encode()).hexdigest()


def sketch_sequences(sequences: Iterable[str], kmer: int, scaled: int) -> set[int]:
    """Hashes of the sequences' k-mers, one of `scaled` on average (FracMinHash, by sourmash).

    Parameters
    ----------
    sequences
        Nucleotides; k-mers with any other letter are passed over.
    kmer
        Length of a k-mer, bp; a k-mer and its reverse complement are one.
    scaled
        One of how many k-mers is kept; the same ones in every sketch.

    References
    ----------
    Irber et al. (2022), doi:10.1101/2022.01.11.475838 (from memory).
    """
    sketch = _empty(kmer, scaled)
    for sequence in sequences:
        sketch.add_sequence(sequence, force=True)
    return set(sketch.hashes)


def count_kmers(
    reads: Iterable[str], wanted: Collection[int], kmer: int, scaled: int
) -> tuple[dict[int, int], int, int]:
    """How often each of some hashes is in reads.

    Parameters
    ----------
    reads
        Sequences.
    wanted
        Hashes, as of `sketch_sequences` with the same `kmer` and `scaled`.

    Returns
    -------
    (dict of hash to count, int, int)
        Hashes that were seen; number of reads, and of their bases.
    """
    target = _empty(kmer, scaled)
    target.add_many(list(wanted))
    counts: Counter[int] = Counter()
    n_reads = bases = 0
    part: list[str] = []

    def count_part() -> None:
        sketch = _empty(kmer, scaled, track_abundance=True)
        # No k-mer goes across an N.
        sketch.add_sequence("N".join(part), force=True)
        if sketch:
            counts.update(target.inflate(sketch).hashes)
        part.clear()

    for read in reads:
        n_reads += 1
        bases += len(read)
        part.append(read)
        if len(part) == _PART:
            count_part()
    if part:
        count_part()
    return dict(counts), n_reads, bases


def _empty(kmer: int, scaled: int, track_abundance: bool = False) -> Any:
    from sourmash import MinHash

    return MinHash(n=0, ksize=kmer, scaled=scaled, track_abundance=track_abundance)


def own_kmers(
    sketches: Mapping[str, set[int]], decoys: Mapping[str, set[int]]
) -> dict[str, set[int]]:
    """K-mers of each strain that neither its decoys nor any other strain has.

    >>> own_kmers({"a": {1, 2, 3}, "b": {3, 4}}, {"a": {2}, "b": set()})
    {'a': {1}, 'b': {4}}
    """
    return {
        name: sketch.difference(
            decoys[name], *(other for key, other in sketches.items() if key != name)
        )
        for name, sketch in sketches.items()
    }


def pair_kmers(
    sequences: Iterable[str], wanted: Collection[int], kmer: int, apart: int = _APART
) -> list[tuple[int, int]]:
    """Each k-mer with the next one that begins at least `apart` bp after it in the same sequence.

    Parameters
    ----------
    sequences
        Contigs of a genome.
    wanted
        Hashes, as of `sketch_sequences` with the same `kmer`. Those that the genome has more than
        once are passed over.

    Returns
    -------
    list of (int, int)
        Hashes, in the order of the first.
    """
    hasher = _empty(kmer, 1)
    placed: list[list[tuple[int, int]]] = []
    for sequence in sequences:
        found = []
        for start in range(0, len(sequence) - kmer + 1, _STRETCH):
            stretch = sequence[start : start + _STRETCH + kmer - 1]
            hashes = hasher.seq_to_hashes(stretch, force=True, bad_kmers_as_zeroes=True)
            found += [(start + at, key) for at, key in enumerate(hashes) if key in wanted]
        placed.append(found)
    times = Counter(key for found in placed for _, key in found)
    pairs = []
    for found in placed:
        once = [(at, key) for at, key in found if times[key] == 1]
        starts = [at for at, _ in once]
        for at, key in once:
            other = bisect_left(starts, at + apart)
            if other == len(once):
                break
            pairs.append((key, once[other][1]))
    return pairs


def unevenness(pairs: Sequence[tuple[int, int]]) -> tuple[float, float] | None:
    """How much the depth of k-mers differs from that of others near them, more than by chance.

    Reads of one genome cover its k-mers alike, and the counts of two of them differ as Poisson
    counts of one mean do. Reads of several relatives cover a k-mer as often as relatives have it.
    Slow changes of depth along a genome cancel out between neighbours; those of alleles do not.

    Parameters
    ----------
    pairs
        Counts of neighbouring k-mers (see `pair_kmers`), in the order of the genome. Pairs with a
        count far above the median, as of k-mers that other species have too, are passed over.

    Returns
    -------
    (float, float) or None
        Squared coefficient of variation of the depth, with the noise of counting taken off (below
        0 by chance), and its standard error, over blocks of the genome. None for too few pairs.
        It is (1 - p) / (n p) of n relatives, each with a k-mer with probability p and equally deep.

    Examples
    --------
    Depths of 4, 12 or 8 that do not follow from one another:

    >>> counts = [(4, 12), (8, 8), (12, 4), (4, 4), (8, 12), (12, 8), (8, 4), (12, 12), (4, 8)] * 20
    >>> value, error = unevenness(counts)
    >>> round(value, 3)
    0.042
    """
    seen = [count for pair in pairs for count in pair if count]
    if not seen:
        return None
    middle = median(seen)
    limit = middle + max(middle, 5 * sqrt(middle))
    kept = [pair for pair in pairs if max(pair) <= limit]
    depth = sum(map(sum, kept)) / (2 * len(kept)) if kept else 0
    if len(kept) < 2 * _BLOCKS or not depth:
        return None
    means = [(one + other) / 2 for one, other in kept]
    # Half a squared difference of Poisson counts of one mean has that mean on average.
    excess = [(one - other) ** 2 / 2 - (one + other) / 2 for one, other in kept]
    value = mean(excess) / depth**2
    # What each pair adds to the ratio's error, as far as it is linear in both means.
    parts = [e - value * depth * (2 * m - depth) for e, m in zip(excess, means, strict=True)]
    bounds = [round(number * len(parts) / _BLOCKS) for number in range(_BLOCKS + 1)]
    blocks = [mean(parts[start:end]) for start, end in pairwise(bounds)]
    return value, stdev(blocks) / sqrt(_BLOCKS) / depth**2


def search_strains(
    strains: Sequence[Strain], reads: Iterable[str], kmer: int, scaled: int
) -> dict[str, Any]:
    """How often the k-mers of each strain's genome are in a sample's reads.

    Parameters
    ----------
    strains
        Those without a genome are passed over.
    reads
        Sequences of the host-free reads, mates one after the other.
    kmer, scaled
        As for `sketch_sequences`.

    Returns
    -------
    dict
        kmer_bp, scaled, sourmash (its version), reads, bases, strains: by name genome_bp; two
        histograms, ``shared`` and ``own``: number of sketched k-mers by how often they were seen, 0
        included; and ``unevenness`` of ``all`` and of the ``own`` ones, ``value`` and ``se``, None
        where they are too few. Own k-mers are those of `own_kmers`.
    """
    from sourmash import VERSION

    given = [(strain, strain.genome) for strain in strains if strain.genome]
    genomes = {strain.strain: read_fasta(genome) for strain, genome in given}
    sketches = {name: sketch_sequences(of, kmer, scaled) for name, of in genomes.items()}
    by_file = {
        file: sketch_sequences(read_fasta(file), kmer, scaled)
        for file in sorted({file for strain, _ in given for file in strain.decoys})
    }
    decoys = {
        strain.strain: set().union(*(by_file[file] for file in strain.decoys))
        for strain, _ in given
    }
    own = own_kmers(sketches, decoys)
    counts, n_reads, bases = count_kmers(reads, set().union(*sketches.values()), kmer, scaled)

    def uneven(name: str, hashes: set[int]) -> dict[str, float | None]:
        pairs = pair_kmers(genomes[name], hashes, kmer)
        found = unevenness([(counts.get(one, 0), counts.get(other, 0)) for one, other in pairs])
        return dict(zip(("value", "se"), found or (None, None), strict=True))

    def histogram(hashes: set[int]) -> dict[str, int]:
        seen = Counter(counts.get(key, 0) for key in hashes)
        return {str(count): seen[count] for count in sorted(seen)}

    return {
        "kmer_bp": kmer,
        "scaled": scaled,
        "sourmash": VERSION,
        "reads": n_reads,
        "bases": bases,
        "strains": {
            name: {
                "genome_bp": sum(map(len, genomes[name])),
                "own": histogram(own[name]),
                "shared": histogram(sketch - own[name]),
                "unevenness": {"all": uneven(name, sketch), "own": uneven(name, own[name])},
            }
            for name, sketch in sketches.items()
        },
    }
