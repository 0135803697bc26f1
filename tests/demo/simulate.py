"""Write the demo cohort: genomes, taxonomy, host, reads, sample sheet and the truth behind them.

``python tests/demo/simulate.py OUT``. All sequences are synthetic; names and taxids are NCBI's.
The community stands in ``community.tsv`` beside this file, the cohort in ``COHORT`` below, and
``README.md`` says what is planted and why.
"""

from __future__ import annotations

import argparse
import csv
import gzip
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

COMMUNITY_TABLE = Path(__file__).with_name("community.tsv")
# The smallest seed with a typical draw; the README of this folder defines typical.
SEED = 18

HOST_TAXON_ID = 9606
UNKNOWN_TAXON_ID = 0
UNKNOWN_SHARE = 0.04
UNKNOWN_GENOME_BP = 200_000

# Shared without a difference, so that only the lowest common ancestor can be named. The shares of
# an 80 kb genome (2 %, 3 %, 8 %) stand for rRNA operons, housekeeping genes and the genus core.
CORE_BP = {"superkingdom": 1_600, "family": 2_400, "genus": 6_400}
HOMOLOGOUS_SHARE = 0.5
N_CONTIGS = 3

READ_BP = 100
INSERT_MEAN_BP, INSERT_SD_BP, INSERT_MAX_BP = 250, 30, 400
SHORT_INSERT_MIN_BP = 35
SHORT_INSERT_SHARE = 0.03
POOR_SHARE = 0.02

# TruSeq adapters as read from the insert into the adapter; ATCACG is index 1.
ADAPTERS = (
    "AGATCGGAAGAGCACACGTCTGAACTCCAGTCACATCACGATCTCGTATGCCGTCTTCTGCTTG",
    "AGATCGGAAGAGCGTCGTGTAGGGAAAGAGTGTAGATCTCGGTGGTCGCCGTATCATT",
)
# Four quality bins, as current Illumina instruments write; a Q2 base is called N.
QUALITY_BINS = np.array([2, 11, 25, 37])
LETTERS = np.frombuffer(b"ACGTN", dtype=np.uint8)
GZIP_LEVEL = 4


class Species(NamedTuple):
    """One row of the community table; the host has no abundance and is the last row.

    ``lineage`` runs from below the root to the parent, each ``(rank, taxon_id, name)``.
    ``control_percent`` is the median share of microbial fragments in the controls,
    ``contaminant_fragments`` the mean number that reagents add to every library.
    """

    taxon_id: int
    name: str
    lineage: tuple[tuple[str, int, str], ...]
    gc_percent: float
    genome_bp: int
    relative: int | None
    identity: float | None
    control_percent: float
    log_sd: float
    depressed_log_fold: float
    contaminant_fragments: float

    def ancestor(self, rank: str) -> int | None:
        """Taxid of the ancestor at `rank`; None where the lineage has no such rank."""
        return next((taxon_id for r, taxon_id, _ in self.lineage if r == rank), None)


@dataclass(frozen=True)
class Sample:
    """One sample of the cohort; controls of the laboratory have no group and no metadata."""

    sample: str
    group: str = ""
    age: str = ""
    sex: str = ""
    bmi: str = ""
    antidepressant: str = ""
    phq9_total: str = ""
    il6_pg_ml: str = ""
    tnfa_pg_ml: str = ""
    fragments: int = 14_000
    host_percent: float = 2.0
    runs: tuple[str, ...] = ("L1",)
    paired: bool = True

    @property
    def is_control(self) -> bool:
        """Whether this is a negative control, not a subject's stool."""
        return not self.group


_D, _C = "depressed", "control"
COHORT = (
    Sample("C01", _C, "24", "female", "21.8", "no", "1", "0.9", "5.1", host_percent=1.2),
    Sample("C02", _C, "31", "male", "24.6", "no", "3", "1.4", "6.8", host_percent=2.1),
    Sample("C03", _C, "38", "female", "27.9", "no", "2", "1.8", "6.2", host_percent=1.6),
    Sample("C04", _C, "45", "male", "23.4", "no", "0", "1.1", "5.6", 24_000, host_percent=40.0),
    Sample("C05", _C, "52", "female", "25.7", "no", "4", "1.6", "7.4", paired=False),
    Sample("C06", _C, "60", "male", "29.2", "no", "2", "2.3", "7.0", host_percent=2.8),
    Sample("D01", _D, "23", "female", "22.5", "no", "14", "1.7", "6.9", host_percent=1.4),
    Sample("D02", _D, "33", "male", "26.1", "yes", "18", "2.6", "8.3", host_percent=2.4),
    Sample("D03", _D, "37", "female", "24.3", "yes", "12", "1.5", "7.1", runs=("L1", "L2")),
    Sample("D04", _D, "46", "male", "28.4", "no", "21", "3.4", "9.2", host_percent=1.9),
    Sample("D05", _D, "51", "female", "23.9", "yes", "16", "2.1", "6.5", host_percent=3.0),
    Sample("D06", _D, "59", "male", "27.2", "yes", "23", "3.0", "8.8", host_percent=2.6),
    Sample("LOW01", _C, "41", "female", "22.9", "no", "1", "1.3", "6.0", 60),
    Sample("NEG01", fragments=40, host_percent=25.0),
)
SHEET_COLUMNS = [
    "sample",
    "subject",
    "timepoint",
    "run",
    "fastq_1",
    "fastq_2",
    "assay",
    "sample_type",
    "group",
    "age",
    "sex",
    "bmi",
    "antidepressant",
    "phq9_total",
    "il6_pg_ml",
    "tnfa_pg_ml",
]


def read_community(path: Path) -> list[Species]:
    """Read the community table and check that it holds together.

    Raises
    ------
    ValueError
        If a taxid comes twice, a taxid has two names, ranks or parents, a relative has no identity
        (or the reverse), or does not stand above the species that is derived from it.
    """
    with path.open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))
    community = [
        Species(
            taxon_id=int(row["taxon_id"]),
            name=row["name"],
            lineage=tuple(_parse_ancestor(a, row["name"]) for a in row["lineage"].split(";")),
            gc_percent=float(row["gc_percent"]),
            genome_bp=int(1000 * float(row["genome_kb"])),
            relative=int(row["relative"]) if row["relative"] else None,
            identity=float(row["identity"]) if row["identity"] else None,
            control_percent=float(row["control_percent"] or 0),
            log_sd=float(row["log_sd"] or 0),
            depressed_log_fold=float(row["depressed_log_fold"] or 0),
            contaminant_fragments=float(row["contaminant_fragments"] or 0),
        )
        for row in rows
    ]
    seen: set[int] = set()
    for species in community:
        if species.taxon_id in seen:
            raise ValueError(f"{path.name}: taxid {species.taxon_id} stands in two rows; keep one")
        if species.relative is not None and species.relative not in seen:
            raise ValueError(
                f"{path.name}: {species.name} is derived from taxid {species.relative}, which "
                "must stand in a row above it"
            )
        if (species.relative is None) != (species.identity is None):
            raise ValueError(
                f"{path.name}: {species.name} needs both a relative and an identity, or neither"
            )
        seen.add(species.taxon_id)
    taxonomy(community)
    return community


def _parse_ancestor(cell: str, species: str) -> tuple[str, int, str]:
    rank, _, rest = cell.partition(":")
    taxon_id, _, name = rest.partition(":")
    if not (taxon_id.isdigit() and name):
        raise ValueError(f"{species}: lineage step {cell!r} is not rank:taxid:name")
    return rank, int(taxon_id), name


def taxonomy(community: Iterable[Species]) -> dict[int, tuple[int, str, str]]:
    """Merge the lineages into one tree: taxid -> (parent taxid, rank, name), sorted by taxid."""
    nodes: dict[int, tuple[int, str, str]] = {1: (1, "no rank", "root")}
    for species in community:
        parent = 1
        for rank, taxon_id, name in (*species.lineage, ("species", species.taxon_id, species.name)):
            node = (parent, rank, name)
            if nodes.setdefault(taxon_id, node) != node:
                raise ValueError(
                    f"taxid {taxon_id} is {nodes[taxon_id]} in one lineage and {node} in that of "
                    f"{species.name} (parent, rank, name); make them agree"
                )
            parent = taxon_id
    names = Counter(name for _, _, name in nodes.values())
    twice = [name for name, n in names.items() if n > 1]
    if twice:
        raise ValueError(f"two taxids share the name {twice[0]!r}; correct one of them")
    return dict(sorted(nodes.items()))


def random_sequence(rng: np.random.Generator, length: int, gc_percent: float) -> np.ndarray:
    """Independent bases, coded 0-3 for ACGT so that 3 - code is the complement."""
    at, gc = (1 - gc_percent / 100) / 2, gc_percent / 200
    thresholds = np.cumsum([at, gc, gc])
    return np.searchsorted(thresholds, rng.random(length), side="right").astype(np.uint8)


def substitute(
    rng: np.random.Generator, sequence: np.ndarray, chance: np.ndarray | float
) -> np.ndarray:
    """Replace each base, with its own chance, by one of the three others."""
    changed = rng.random(sequence.shape, dtype=np.float32) < chance
    result = sequence.copy()
    result[changed] = (result[changed] + rng.integers(1, 4, changed.sum(), dtype=np.uint8)) % 4
    return result


def build_genomes(
    community: Sequence[Species], rng: np.random.Generator
) -> dict[int, list[np.ndarray]]:
    """Make one genome a species, as contigs of coded bases, with what relatives share in it.

    Taxa that are alone at a rank get no core of that rank: nobody could share it. Half of a
    genome with a `relative` is a copy of the relative's own part at the stated identity.

    Returns
    -------
    dict of taxid to list of arrays
        In the order of the community; each genome has exactly its ``genome_bp``.

    Raises
    ------
    ValueError
        If a genome is too small for its cores, or a relative's own part for the copy.
    """
    members: dict[int, list[Species]] = defaultdict(list)
    for species in community:
        for rank in CORE_BP:
            ancestor = species.ancestor(rank)
            if ancestor is not None:
                members[ancestor].append(species)
    core: dict[int, np.ndarray] = {}
    own: dict[int, np.ndarray] = {}
    genomes: dict[int, list[np.ndarray]] = {}
    for species in community:
        cores = []
        for rank, length in CORE_BP.items():
            ancestor = species.ancestor(rank)
            if ancestor is None or len(members[ancestor]) < 2:
                continue
            if ancestor not in core:
                gc_percent = float(np.mean([s.gc_percent for s in members[ancestor]]))
                core[ancestor] = random_sequence(rng, length, gc_percent)
            cores.append(core[ancestor])
        homologous = np.empty(0, np.uint8)
        if species.relative is not None and species.identity is not None:
            n_copied = int(HOMOLOGOUS_SHARE * species.genome_bp)
            source = own[species.relative][:n_copied]
            if source.size < n_copied:
                raise ValueError(
                    f"{species.name}: taxid {species.relative} has only {source.size} bp of its "
                    f"own, and {n_copied} bp are to be copied; name a larger relative"
                )
            homologous = substitute(rng, source, 1 - species.identity)
        n_own = species.genome_bp - homologous.size - sum(c.size for c in cores)
        if n_own < 2 * N_CONTIGS * INSERT_MAX_BP:
            raise ValueError(
                f"{species.name}: only {n_own} bp are left beside what relatives share; "
                "raise its genome_kb"
            )
        own[species.taxon_id] = random_sequence(rng, n_own, species.gc_percent)
        # Cores lie between stretches of the genome's own, so reads cross their edges too.
        contigs: list[list[np.ndarray]] = [[] for _ in range(N_CONTIGS)]
        for i, block in enumerate([*cores, homologous]):
            contigs[i % N_CONTIGS].append(block)
        stretches = np.array_split(own[species.taxon_id], 2 * N_CONTIGS)
        genomes[species.taxon_id] = [
            np.concatenate([stretches[2 * i], *contigs[i], stretches[2 * i + 1]])
            for i in range(N_CONTIGS)
        ]
    return genomes


def draw_fragments(
    community: Sequence[Species], sample: Sample, rng: np.random.Generator
) -> dict[int, int]:
    """Draw how many fragments of each taxon the sample's library holds.

    A negative control takes its community from the typical control subject (index hopping), and
    its reagent contaminants from the same table as every other library.

    Returns
    -------
    dict of taxid to int
        Every taxon of the community, the host, and `UNKNOWN_TAXON_ID` for a microbe that no
        database holds; the values sum to ``sample.fragments``.
    """
    noise = rng.standard_normal(len(community))
    is_depressed = sample.group == "depressed"
    weight = np.array(
        [
            s.control_percent
            * np.exp((not sample.is_control) * s.log_sd * z + is_depressed * s.depressed_log_fold)
            for s, z in zip(community, noise, strict=True)
        ]
    )
    expected = np.array([s.contaminant_fragments for s in community])
    n_contaminants = min(int(rng.poisson(expected.sum())), sample.fragments)
    contaminants = rng.multinomial(n_contaminants, expected / expected.sum())
    host = sample.host_percent / 100
    microbial = weight / weight.sum() * (1 - UNKNOWN_SHARE)
    shares = np.append(microbial * (1 - host), [host, (1 - host) * UNKNOWN_SHARE])
    drawn = rng.multinomial(sample.fragments - n_contaminants, shares / shares.sum())
    counts = {
        s.taxon_id: int(n)
        for s, n in zip(community, drawn[:-2] + contaminants, strict=True)
        if s.taxon_id != HOST_TAXON_ID
    }
    return {**counts, HOST_TAXON_ID: int(drawn[-2]), UNKNOWN_TAXON_ID: int(drawn[-1])}


class ContigPool:
    """All contigs laid end to end, so that reads are cut by one indexing operation."""

    def __init__(self, genomes: dict[int, list[np.ndarray]]) -> None:
        self.bases = np.concatenate([contig for contigs in genomes.values() for contig in contigs])
        self._contigs: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        start = 0
        for taxon_id, contigs in genomes.items():
            length = np.array([contig.size for contig in contigs])
            self._contigs[taxon_id] = start + np.cumsum(length) - length, length
            start += int(length.sum())

    def place(self, taxon_id: int, insert: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw where each insert begins in the pool; none crosses the end of a contig."""
        start, length = self._contigs[taxon_id]
        contig = rng.choice(length.size, insert.size, p=length / length.sum())
        return start[contig] + rng.integers(0, length[contig] - insert + 1)


def draw_qualities(rng: np.random.Generator, is_poor: np.ndarray, mate: int) -> np.ndarray:
    """Draw the Phred score of every base; it falls along the read, and R2 is the worse mate."""
    cycle = np.linspace(0, 1, READ_BP) ** 2
    worse = 1.0 if mate == 1 else 1.5
    good = np.stack([0 * cycle, worse * (0.002 + 0.018 * cycle), worse * (0.02 + 0.08 * cycle)])
    poor = np.stack([0.03 + 0 * cycle, 0.45 + 0.10 * cycle, 0.30 + 0 * cycle])
    draw = rng.random((is_poor.size, READ_BP), dtype=np.float32)
    bins = np.empty(draw.shape, np.intp)
    for chance, rows in ((good, ~is_poor), (poor, is_poor)):
        thresholds = np.cumsum(chance, axis=0).astype(np.float32)
        bins[rows] = sum((draw[rows] >= t).astype(np.intp) for t in thresholds)
    return QUALITY_BINS.astype(np.uint8)[bins]


def sequence_fragments(
    pool: ContigPool, counts: dict[int, int], rng: np.random.Generator
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Sequence both ends of every fragment, in random order.

    Returns
    -------
    two pairs of uint8 arrays of shape (n_fragments, READ_BP)
        ``(bases, qualities)`` of R1 and of R2; bases coded 0-4 for ACGTN, qualities as Phred.
        Where the insert is shorter than the read, the read goes on into the adapter.
    """
    n = sum(counts.values())
    insert = np.rint(rng.normal(INSERT_MEAN_BP, INSERT_SD_BP, n)).astype(np.int64)
    insert = insert.clip(READ_BP, INSERT_MAX_BP)
    is_short = rng.random(n) < SHORT_INSERT_SHARE
    insert[is_short] = rng.integers(SHORT_INSERT_MIN_BP, READ_BP, is_short.sum())
    taxa = rng.permutation(np.repeat(list(counts), list(counts.values())))
    start = np.empty(n, np.int64)
    for taxon_id in counts:
        rows = taxa == taxon_id
        start[rows] = pool.place(taxon_id, insert[rows], rng)
    is_reverse = (rng.random(n) < 0.5)[:, None]
    is_poor = rng.random(n) < POOR_SHARE

    offset = np.arange(READ_BP)
    last = pool.bases.size - 1
    # Positions outside the insert are clipped here and overwritten by the adapter below.
    forward = pool.bases[(start[:, None] + offset).clip(max=last)]
    reverse = 3 - pool.bases[((start + insert - 1)[:, None] - offset).clip(min=0)]
    into_adapter = offset - insert[:, None]
    mates = []
    for mate, adapter in enumerate(ADAPTERS, start=1):
        insert_bases = np.where(is_reverse == (mate == 1), reverse, forward)
        tail = np.frombuffer(adapter.ljust(READ_BP, "A").encode(), np.uint8)
        tail_codes = np.searchsorted(LETTERS[:4], tail).astype(np.uint8)
        bases = np.where(into_adapter < 0, insert_bases, tail_codes[into_adapter.clip(min=0)])
        qualities = draw_qualities(rng, is_poor, mate)
        error = (10.0 ** (-np.arange(QUALITY_BINS.max() + 1) / 10)).astype(np.float32)
        bases = substitute(rng, bases, error[qualities])
        bases[qualities == QUALITY_BINS[0]] = 4
        mates.append((bases, qualities))
    return mates[0], mates[1]


def fastq_bytes(
    bases: np.ndarray, qualities: np.ndarray, y: np.ndarray, lane: int, tile: int, mate: int
) -> bytes:
    """Format reads of one length as FASTQ; x counts the clusters, `y` is their other coordinate.

    Coordinates have five digits, so every record is equally long and the file is one array.
    """
    n = len(bases)
    prefix, suffix = f"@SIM:1:FC1:{lane}:{tile}:".encode(), f" {mate}:N:0:ATCACG\n".encode()
    blocks = [
        _repeat(prefix, n),
        _five_digits(10_000 + np.arange(n)),
        _repeat(b":", n),
        _five_digits(y),
        _repeat(suffix, n),
        LETTERS[bases],
        _repeat(b"\n+\n", n),
        qualities + np.uint8(33),
        _repeat(b"\n", n),
    ]
    return np.hstack(blocks).tobytes()


def _repeat(text: bytes, n: int) -> np.ndarray:
    return np.broadcast_to(np.frombuffer(text, np.uint8), (n, len(text)))


def _five_digits(values: np.ndarray) -> np.ndarray:
    return (values[:, None] // 10 ** np.arange(4, -1, -1) % 10 + ord("0")).astype(np.uint8)


def write_gzip(path: Path, data: bytes) -> None:
    """Write gzip bytes that depend on `data` alone: no clock and no file name in the header."""
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=GZIP_LEVEL, fileobj=raw, mtime=0) as handle,
    ):
        handle.write(data)


def write_fasta(path: Path, contigs: Sequence[np.ndarray], title: str) -> None:
    """Write contigs, 80 bases a line; `title` is a format of the contig's number ``{i}``."""
    with path.open("wb") as handle:
        for i, contig in enumerate(contigs, start=1):
            text = LETTERS[contig].tobytes()
            lines = (text[at : at + 80] for at in range(0, len(text), 80))
            handle.write(b">" + title.format(i=i).encode() + b"\n" + b"\n".join(lines) + b"\n")


def write_taxonomy(folder: Path, nodes: dict[int, tuple[int, str, str]]) -> None:
    """Write ``nodes.dmp`` and ``names.dmp`` in NCBI's format, all thirteen node columns."""
    node_lines, name_lines = [], []
    for taxon_id, (parent, rank, name) in nodes.items():
        # Division 0 is Bacteria (and Archaea), 5 Primates; 11 is the bacterial genetic code.
        is_cellular = name in ("root", "cellular organisms")
        is_host = not is_cellular and _is_below(nodes, taxon_id, "Eukaryota")
        codes = ("8", "1", "0") if is_cellular else ("5", "1", "2") if is_host else ("0", "11", "0")
        division, genetic, mitochondrial = codes
        fields = [taxon_id, parent, rank, "", division, 1, genetic, 1, mitochondrial, 1, 0, 0, ""]
        node_lines.append("\t|\t".join(map(str, fields)) + "\t|\n")
        name_lines.append(f"{taxon_id}\t|\t{name}\t|\t\t|\tscientific name\t|\n")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nodes.dmp").write_text("".join(node_lines), encoding="utf-8", newline="\n")
    (folder / "names.dmp").write_text("".join(name_lines), encoding="utf-8", newline="\n")


def _is_below(nodes: dict[int, tuple[int, str, str]], taxon_id: int, ancestor: str) -> bool:
    while taxon_id != 1:
        parent, _, name = nodes[taxon_id]
        if name == ancestor:
            return True
        taxon_id = parent
    return False


def sheet_rows(sample: Sample) -> list[dict[str, str]]:
    """The sample's rows of the sample sheet, one a run; cells it does not have are left out."""
    metadata = {name: getattr(sample, name) for name in SHEET_COLUMNS if hasattr(sample, name)}
    stool = {"subject": sample.sample, "timepoint": "baseline", "sample_type": "sample"}
    rows = []
    for run in sample.runs:
        stem = f"reads/{sample.sample}_{run}"
        row = {**metadata, "run": run, "assay": "shotgun", "fastq_1": f"{stem}_R1.fastq.gz"}
        if sample.paired:
            row["fastq_2"] = f"{stem}_R2.fastq.gz"
        rows.append(row | ({"sample_type": "negative_control"} if sample.is_control else stool))
    return rows


def write_table(path: Path, columns: Sequence[str], rows: Iterable[dict[str, str]]) -> None:
    """Write a TSV; a key that a row does not have becomes an empty cell."""
    lines = ["\t".join(columns)]
    lines += ["\t".join(row.get(column, "") for column in columns) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def scaled(cohort: Iterable[Sample], factor: float) -> list[Sample]:
    """The same cohort at another depth, for tests that need its shape and not its size."""
    return [replace(s, fragments=max(1, round(s.fragments * factor))) for s in cohort]


def write_cohort(
    folder: Path,
    cohort: Sequence[Sample] = COHORT,
    community_table: Path = COMMUNITY_TABLE,
    seed: int = SEED,
) -> None:
    """Write the whole demo into `folder`; see the README beside this file for the layout.

    A sample's reads depend on the seed, the community and its own place in the cohort only.
    """
    community = read_community(community_table)
    *microbes, host = community
    if host.taxon_id != HOST_TAXON_ID:
        raise ValueError(f"{community_table.name}: the last row must be the host, {HOST_TAXON_ID}")
    for name in ("genomes", "host", "reads"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    write_taxonomy(folder / "taxonomy", taxonomy(community))

    genome_rng = np.random.default_rng([seed, 0])
    genomes = build_genomes(microbes, genome_rng)
    for species in microbes:
        name = species.name.replace(" ", "_")
        write_fasta(
            folder / "genomes" / f"{name}_{species.taxon_id}.fna",
            genomes[species.taxon_id],
            f"contig{{i}}|kraken:taxid|{species.taxon_id}",
        )
    genomes[HOST_TAXON_ID] = [random_sequence(genome_rng, host.genome_bp, host.gc_percent)]
    write_fasta(
        folder / "host" / "host.fna",
        genomes[HOST_TAXON_ID],
        f"synthetic_host{{i}}|kraken:taxid|{HOST_TAXON_ID} random stand-in for {host.name}",
    )
    genomes[UNKNOWN_TAXON_ID] = [random_sequence(genome_rng, UNKNOWN_GENOME_BP, 48)]
    pool = ContigPool(genomes)

    taxon_names = {s.taxon_id: s.name for s in community} | {UNKNOWN_TAXON_ID: "unclassified"}
    sheet: list[dict[str, str]] = []
    truth: list[dict[str, str]] = []
    for number, sample in enumerate(cohort, start=1):
        rng = np.random.default_rng([seed, number])
        counts = draw_fragments(microbes, sample, rng)
        mates = sequence_fragments(pool, counts, rng)
        rows = sheet_rows(sample)
        sheet += rows
        y = rng.integers(10_000, 100_000, sample.fragments)
        parts = np.array_split(np.arange(sample.fragments), len(rows))
        for lane, (row, part) in enumerate(zip(rows, parts, strict=True), start=1):
            for mate, (bases, qualities) in enumerate(mates, start=1):
                if file := row.get(f"fastq_{mate}"):
                    text = fastq_bytes(
                        bases[part], qualities[part], y[part], lane, 1100 + number, mate
                    )
                    write_gzip(folder / file, text)
        truth += [
            {
                "sample": sample.sample,
                "taxon_id": str(taxon_id),
                "name": taxon_names[taxon_id],
                "fragments": str(n),
                "genome_length_bp": str(sum(contig.size for contig in genomes[taxon_id])),
            }
            for taxon_id, n in counts.items()
        ]
    write_table(folder / "samples.tsv", SHEET_COLUMNS, sheet)
    write_table(folder / "truth.tsv", list(truth[0]), truth)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and write the cohort."""
    parser = argparse.ArgumentParser(description="Write the synthetic demo cohort.")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write into")
    write_cohort(parser.parse_args(arguments).out)


if __name__ == "__main__":
    main()
