"""The table of strains, its faults, and k-mers in reads."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import yaml

from moodbiome.psychobiotics import CONSISTENT, Limits, call_strain
from moodbiome.strains import (
    Strain,
    pair_kmers,
    panel_organisms,
    panel_species,
    read_fasta,
    read_strains,
    search_strains,
    sketch_sequences,
    strain_faults,
    unevenness,
)

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "config/psychobiotics/strains.tsv"
SPECIES = panel_species(ROOT / "config/evidence/crosswalk.tsv")
SETTINGS = yaml.safe_load((ROOT / "config/config.yaml").read_text())
LIMITS = Limits(**SETTINGS["psychobiotics"]["limits"])
HEADER = "strain\tspecies\tgenome\tdecoys"


def test_organisms_of_the_panel_are_its_species_and_their_genera():
    crosswalk = ROOT / "config/evidence/crosswalk.tsv"
    assert panel_organisms(crosswalk) == [*SPECIES, "lactobacillus", "bifidobacterium"]


@pytest.fixture
def table(tmp_path):
    """Writes a table of rows beside a genome and a decoy."""
    (tmp_path / "g.fna").write_text(">one\nACGTTGCA\n>two\nGGCC\n")
    with gzip.open(tmp_path / "d.fna.gz", "wt") as file:
        file.write(">d\nACGTTGCC\n")

    def write(*rows, header=HEADER):
        path = tmp_path / "strains.tsv"
        path.write_text("".join(f"{line}\n" for line in (header, *rows)))
        return path

    return write


def test_the_shipped_table_is_sound_and_has_no_genome():
    strains = read_strains(SHIPPED)
    assert strain_faults(SHIPPED, SPECIES) == []
    assert [strain.strain[-7:] for strain in strains] == [
        "um 299v",
        "us JB-1",
        "NCC3001",
        "CFM1025",
    ]
    assert not any(strain.genome for strain in strains)


def test_paths_start_at_the_table(table, tmp_path):
    path = table("# a note", "X\tbifidobacterium_breve\tg.fna\td.fna.gz; d.fna.gz")
    decoy = tmp_path / "d.fna.gz"
    expected = Strain("X", "bifidobacterium_breve", tmp_path / "g.fna", (decoy, decoy), 3)
    assert read_strains(path) == [expected]
    assert strain_faults(path, SPECIES) == []
    assert read_fasta(tmp_path / "g.fna") == ["ACGTTGCA", "GGCC"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("\tbifidobacterium_breve\t\t", "row 2, column 'strain': is empty"),
        ("X\tbifidobacterium_brve\t\t", "did you mean 'bifidobacterium_breve'?"),
        ("X\tbifidobacterium_breve\tnone.fna\td.fna.gz", "column 'genome': no file"),
        ("X\tbifidobacterium_breve\tg.fna\tnone.fna", "column 'decoys': no file"),
        ("X\tbifidobacterium_breve\tg.fna\t", "column 'decoys': is empty, but a genome is given"),
        ("X\tbifidobacterium_breve\tg.fna\tsame.fna", "'same.fna' has the sequences of the genome"),
        ("X\tbifidobacterium_breve\ttext.fna\td.fna.gz", "'text.fna' does not begin with '>'"),
        ("X\tbifidobacterium_breve\tprotein.faa\td.fna.gz", "holds no sequences of nucleotides"),
        ("X\tbifidobacterium_breve\tcut.fna.gz\td.fna.gz", "'cut.fna.gz' cannot be read"),
        ("X\tbifidobacterium_breve\tblank.fna\td.fna.gz", "'blank.fna' does not begin with '>'"),
    ],
)
def test_faults_name_their_cell(table, tmp_path, row, said):
    (tmp_path / "same.fna").write_text(">2\nggcc\n>1\nACGT\nTGCA\n")
    (tmp_path / "text.fna").write_text("ACGT\n")
    (tmp_path / "protein.faa").write_text(">p\nMKLVWERTYP\n")
    (tmp_path / "blank.fna").write_text("\n")
    (tmp_path / "cut.fna.gz").write_bytes((tmp_path / "d.fna.gz").read_bytes()[:20])
    (fault,) = strain_faults(table(row), SPECIES)
    assert said in str(fault)
    assert fault.mend


def test_faults_of_the_table_as_a_whole(table, tmp_path):
    (fault,) = strain_faults(table(header="strain\tspecies\tgenome"), SPECIES)
    assert "has no column 'decoys'" in str(fault)
    (fault,) = strain_faults(table(), SPECIES)
    assert "holds no strain" in str(fault)
    (fault,) = strain_faults(tmp_path / "none.tsv", SPECIES)
    assert "config: psychobiotics.strains: no file" in str(fault)
    (tmp_path / "other.tsv").write_bytes(HEADER.encode("utf-16"))
    (fault,) = strain_faults(tmp_path / "other.tsv", SPECIES)
    assert "is no UTF-8 text; save it as UTF-8" in str(fault)


def test_two_strains_of_one_name_or_one_genome(table, tmp_path):
    (tmp_path / "again.fna").write_text(">g\nACGTTGCA\n>h\nGGCC\n")
    rows = ["X\tbifidobacterium_breve\t\t"] * 2
    assert [
        str(fault).count("stands 2 times") for fault in strain_faults(table(*rows), SPECIES)
    ] == [
        1,
        1,
    ]
    rows = [f"{name}\tbifidobacterium_breve\t{name}.fna\td.fna.gz" for name in ("g", "again")]
    faults = strain_faults(table(*rows), SPECIES)
    assert [fault.place[-8:] for fault in faults] == ["'genome'"] * 2


LETTERS = np.frombuffer(b"ACGT", dtype=np.uint8)


def altered(letters, rate, random):
    """Letters, each replaced by another one at this rate."""
    at = random.random(letters.shape) < rate
    code = np.searchsorted(LETTERS, letters)
    return LETTERS[np.where(at, code + random.integers(1, 4, letters.shape), code) % 4]


def cut(genome, coverage, random, length=150, error=0.005):
    start = random.integers(0, genome.size - length, int(genome.size * coverage / length))
    reads = altered(genome[start[:, None] + np.arange(length)], error, random)
    return [read.tobytes().decode() for read in reads]


def test_reads_of_the_strain_and_of_its_relatives(tmp_path):
    pytest.importorskip("sourmash", reason="sourmash is not installed: make .venv/.dev")
    random = np.random.default_rng(3)
    genome = LETTERS[random.integers(0, 4, 300_000)]
    background = cut(LETTERS[random.integers(0, 4, 300_000)], 4, random)

    def write(name, letters):
        (tmp_path / name).write_text(f">{name}\n{letters.tobytes().decode()}\n")
        return tmp_path / name

    decoys = [write(f"d{i}", altered(genome, rate, random)) for i, rate in enumerate((0.01, 0.02))]
    strain = Strain("X", "bifidobacterium_longum", write("g", genome), tuple(decoys), 2)

    def call(identity, coverage):
        reads = cut(altered(genome, 1 - identity / 100, random), coverage, random)
        return call_strain(search_strains([strain], reads + background, 31, 20), "X", LIMITS)

    assert call(100, 3)["call"] == CONSISTENT
    assert call(99.99, 3)["call"] == CONSISTENT
    for identity in (99, 97):
        for coverage in (1, 3):
            row = call(identity, coverage)
            assert row["call"] == "detected species"
            assert row["ani"] == pytest.approx(identity, abs=0.4)
    assert call(100, 0.2)["call"] == "not assessable at this depth"
    assert call(100, 0.01)["call"] == "not detected"
    assert call(80, 3)["call"] == "not detected"


def test_three_relatives_that_hold_all_kmers_are_not_the_strain(tmp_path):
    """Three copies of 99 % hold 1 - 0.27^3 of the k-mers together: the ANI does not tell."""
    pytest.importorskip("sourmash", reason="sourmash is not installed: make .venv/.dev")
    random = np.random.default_rng(5)
    genome = LETTERS[random.integers(0, 4, 600_000)]
    files = [tmp_path / "g", tmp_path / "d"]
    decoy = altered(genome, 0.01, random)
    for file, letters in zip(files, (genome, decoy), strict=True):
        file.write_text(f">{file.name}\n{letters.tobytes().decode()}\n")
    strain = Strain("X", "bifidobacterium_longum", files[0], (files[1],), 2)

    def call(*sources):
        reads = [read for source, depth in sources for read in cut(source, depth, random)]
        return call_strain(search_strains([strain], reads, 31, 20), "X", LIMITS)

    copies = [altered(genome, 0.01, random) for _ in range(3)]
    row = call(*((copy, 5) for copy in copies))
    share = 0.99**31
    assert row["ani"] > LIMITS.strain_min_ani
    assert row["unevenness"] == pytest.approx((1 - share) / (3 * share), rel=0.25)
    assert row["call"] == "not assessable"
    assert "a mixture of relatives cannot be excluded" in row["reason"]
    # A relative that is among the decoys, and one that is thin, do not hide the strain.
    assert call((genome, 5), (decoy, 5))["call"] == CONSISTENT
    assert call((genome, 5), (copies[0], 1))["call"] == CONSISTENT


def test_kmers_are_paired_beyond_the_length_of_a_fragment():
    pytest.importorskip("sourmash", reason="sourmash is not installed: make .venv/.dev")
    random = np.random.default_rng(6)
    letters = LETTERS[random.integers(0, 4, 3000)].tobytes().decode()
    repeated = letters[:100]
    wanted = sketch_sequences([letters], 31, 1)
    pairs = pair_kmers([letters], wanted, 31, apart=1000)
    order = {key: at for at, (key, _) in enumerate(pairs)}
    # 2,970 k-mers, of which the last 1,000 have none after them at that distance.
    assert len(pairs) == 1970
    assert all(order.get(other, at + 1000) == at + 1000 for at, (_, other) in enumerate(pairs))
    # K-mers that the genome has twice are passed over, and no pair goes across contigs.
    assert len(pair_kmers([letters + repeated], wanted, 31)) == 1970 - 70
    assert pair_kmers([letters[:900], letters[900:1800]], wanted, 31) == []


def test_stretches_of_a_genome_join_without_a_gap(monkeypatch):
    pytest.importorskip("sourmash", reason="sourmash is not installed: make .venv/.dev")
    letters = LETTERS[np.random.default_rng(7).integers(0, 4, 3000)].tobytes().decode()
    wanted = sketch_sequences([letters], 31, 1)
    whole = pair_kmers([letters], wanted, 31)
    monkeypatch.setattr("moodbiome.strains._STRETCH", 700)
    assert pair_kmers([letters], wanted, 31) == whole


def poisson_pairs(depths, seed=8):
    counts = np.random.default_rng(seed).poisson(depths)
    return [tuple(pair) for pair in counts.reshape(-1, 2).tolist()]


def test_unevenness_is_that_of_the_depth_and_not_of_counting():
    random = np.random.default_rng(9)
    for depth in (0.5, 2, 20):
        value, error = unevenness(poisson_pairs(np.full(20_000, depth)))
        assert abs(value) < 4 * error
        assert error == pytest.approx(np.sqrt(2) / depth / 100, rel=0.4)
    # Each of 3 relatives has a k-mer with probability 0.73.
    carried = random.binomial(3, 0.73, 40_000)
    value, error = unevenness(poisson_pairs(4.0 * carried))
    assert value == pytest.approx(0.27 / (3 * 0.73), abs=4 * error)
    # The depth halves along the genome, and neighbours stay alike.
    value, error = unevenness(poisson_pairs(np.linspace(10, 5, 40_000)))
    assert abs(value) < 4 * error
    # K-mers of a plasmid in many copies say nothing.
    deep = np.full(20_000, 5.0)
    deep[::50] = 500
    value, error = unevenness(poisson_pairs(deep))
    assert abs(value) < 4 * error


def test_too_few_kmers_have_no_unevenness():
    assert unevenness([(3, 4)] * 99) is None
    assert unevenness([(0, 0)] * 1000) is None
    assert unevenness([]) is None


def test_kmers_of_any_other_strain_are_not_its_own(tmp_path):
    pytest.importorskip("sourmash", reason="sourmash is not installed: make .venv/.dev")
    random = np.random.default_rng(4)
    genome = LETTERS[random.integers(0, 4, 20_000)]
    for name, letters in (("a", genome), ("b", altered(genome, 0.001, random))):
        (tmp_path / name).write_text(f">{name}\n{letters.tobytes().decode()}\n")
    decoy = tmp_path / "d"
    decoy.write_text(">d\n" + LETTERS[random.integers(0, 4, 9000)].tobytes().decode() + "\n")
    pair = [Strain(name, "s", tmp_path / name, (decoy,), 2) for name in "ab"]
    alone, both = (search_strains(pair[:n], [], 31, 1)["strains"]["a"] for n in (1, 2))
    assert (len(alone["shared"]), alone["own"]["0"]) == (0, 19_970)
    assert both["own"]["0"] < 1000 < both["shared"]["0"]
