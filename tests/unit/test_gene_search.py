"""Counting reads by the family that they fit best; DIAMOND itself, where it is installed."""

import shutil

import numpy as np
import pytest

from moodbiome.gene_search import FATES, Hit, build_protein_database, count_hits, search_sample
from moodbiome.proteins import Protein
from moodbiome.tools import ToolError
from planted_genes import cut_pairs, gene, genome, protein, relative

PROTEINS = {
    "A": Protein("A", "K1", "one", "marker", 50.0),
    "A2": Protein("A2", "K1", "one", "marker", 50.0),
    "B": Protein("B", "K2", "two", "marker", 60.0),
    "D": Protein("D", "others", "others", "decoy", 50.0),
    "S": Protein("S", "S1", "ribosomal", "single_copy", 50.0),
}


def hit(read, accession, identity=90.0, aligned=33, length=300, score=60.0):
    return Hit(read, accession, length, aligned, identity, score)


def count(*hits, fragments=10):
    return count_hits(hits, fragments, PROTEINS, 25)


def fates(found):
    return {fate: n for fate, n in found["fates"].items() if n}


def test_a_pair_counts_once_for_a_family_and_its_mates_twice():
    found = count(hit(0, "A"), hit(1, "A2", length=310))
    assert found["reads_by_family"] == {"K1": {"300": 1, "310": 1}}
    assert found["family_fragments"] == {"K1": 1}
    assert fates(found) == {"marker": 1, "without_hit": 9}


def test_mates_in_two_neighbouring_genes_count_for_both():
    found = count(hit(4, "A"), hit(5, "S"))
    assert found["family_fragments"] == {"K1": 1, "S1": 1}
    assert fates(found) == {"marker": 1, "without_hit": 9}


def test_a_read_that_fits_a_decoy_best_is_the_decoys():
    found = count(hit(0, "D"))
    assert fates(found) == {"decoy": 1, "without_hit": 9}
    assert "K1" not in found["family_fragments"]


def test_equal_fits_within_a_family_are_one_and_between_families_ambiguous():
    found = count(hit(0, "A"), hit(0, "A2", length=310), hit(2, "A"), hit(2, "D"))
    assert found["reads_by_family"] == {"K1": {"300": 1}}
    assert fates(found) == {"marker": 1, "ambiguous": 1, "without_hit": 8}
    assert found["ambiguous_between"] == {"K1 others": 1}


def test_thresholds_are_those_of_the_family_and_inclusive():
    found = count(
        hit(0, "A", identity=50.0), hit(2, "A", identity=49.9),
        hit(4, "B", identity=59.9), hit(6, "A", aligned=25), hit(8, "A", aligned=24),
    )  # fmt: skip
    assert found["reads_by_family"] == {"K1": {"300": 2}}
    assert fates(found) == {"marker": 2, "refused": 3, "without_hit": 5}


def test_every_fragment_has_one_fate():
    random = np.random.default_rng(2)
    hits = []
    for read in np.flatnonzero(random.random(2000) < 0.4):
        for accession in random.choice(list(PROTEINS), random.integers(1, 4), replace=False):
            hits.append(hit(int(read), str(accession), identity=float(random.uniform(30, 100))))
    found = count(*hits, fragments=1000)
    assert sum(found["fates"].values()) == 1000
    assert tuple(found["fates"]) == FATES
    assert all(found["fates"].values())


def test_no_hits_are_an_account_too():
    found = count(fragments=7)
    assert found["reads_by_family"] == {}
    assert fates(found) == {"without_hit": 7}


# --- DIAMOND --------------------------------------------------------------------------------------

needs_diamond = pytest.mark.skipif(not shutil.which("diamond"), reason="DIAMOND is not installed")


@pytest.fixture
def planted(tmp_path):
    """A set of a marker, its decoy at 45 % and a single-copy family, and its database."""
    random = np.random.default_rng(1)
    marker, single = protein(300, random), protein(200, random)
    texts = {"K1": marker, "others": relative(marker, 0.45, random), "S1": single}
    proteins, lines = {}, []
    for role, (ko, text) in zip(("marker", "decoy", "single_copy"), texts.items(), strict=True):
        for number in range(3):
            name = f"{ko}.{number}"
            proteins[name] = Protein(name, ko, ko, role, 50.0)
            lines.append(f">{name} words\n{relative(text, 0.9, random)}\n")
    (tmp_path / "set.faa").write_text("".join(lines))
    build_protein_database(tmp_path / "set.faa", tmp_path / "set.dmnd", 1, tmp_path / "log")
    return texts, proteins, random


def search(tmp_path, mates, proteins, fragments=None, **changes):
    settings = {"sensitivity": "sensitive", "min_aligned_aa": 25, "max_evalue": 1e-5} | changes
    return search_sample(
        mates, len(mates[0]) if fragments is None else fragments, proteins,
        tmp_path / "set.dmnd", tmp_path, **settings,
        threads=1, log=tmp_path / "log", place="sample S1",
    )  # fmt: skip


@needs_diamond
def test_planted_genes_are_found_and_the_same_twice(planted, tmp_path):
    texts, proteins, random = planted
    genes = [gene(relative(texts[ko], 0.9, random), random) for ko in ("K1", "K1", "S1")]
    mates = cut_pairs(genome(20_000, genes, random), 2000, 100, random)
    found = search(tmp_path, mates, proteins)
    assert (found["reads"], found["long_reads"], found["bases"]) == (4000, 4000, 400_000)
    assert sum(found["fates"].values()) == 2000
    reads = {ko: sum(counts.values()) for ko, counts in found["reads_by_family"].items()}
    # Starts over bases of a circle of 20 kb, 4000 reads: two genes of 851, one of 551.
    assert reads["K1"] == pytest.approx(4000 * 2 * 851 / 20_000, rel=0.2)
    assert reads["S1"] == pytest.approx(4000 * 551 / 20_000, rel=0.2)
    assert found == search(tmp_path, mates, proteins)


@needs_diamond
def test_the_decoys_own_reads_are_the_decoys(planted, tmp_path):
    texts, proteins, random = planted
    decoy = gene(relative(texts["others"], 0.85, random), random)
    found = search(tmp_path, cut_pairs(decoy, 1000, 100, random), proteins)
    assert found["fates"]["marker"] == 0
    assert found["fates"]["decoy"] > 700


@needs_diamond
def test_members_too_unlike_the_set_are_left_to_the_threshold(planted, tmp_path):
    texts, proteins, random = planted
    strict = {
        name: one._replace(min_identity_percent=90.0 if one.ko == "K1" else 50.0)
        for name, one in proteins.items()
    }
    mates = cut_pairs(gene(relative(texts["K1"], 0.7, random), random), 1000, 150, random)
    assert search(tmp_path, mates, proteins)["fates"]["marker"] > 600
    found = search(tmp_path, mates, strict)["fates"]
    assert found["marker"] < 50
    assert found["refused"] > 600


@needs_diamond
def test_single_reads_and_reads_too_short_for_an_alignment(planted, tmp_path):
    texts, proteins, random = planted
    (reads, _) = cut_pairs(gene(texts["K1"], random), 500, 100, random)
    found = search(tmp_path, [[read[:70] for read in reads[:250]] + reads[250:]], proteins)
    assert (found["reads"], found["long_reads"], found["long_bases"]) == (500, 250, 25_000)
    assert 200 < found["fates"]["marker"] <= 250


@needs_diamond
def test_reads_that_are_not_there_are_an_error(planted, tmp_path):
    _, proteins, random = planted
    mates = cut_pairs(genome(5000, [], random), 100, 100, random)
    with pytest.raises(ToolError, match=r"sample S1, search_genes: reads: 200 of 202 given"):
        search(tmp_path, mates, proteins, fragments=101)


@needs_diamond
def test_a_database_that_is_none_is_an_error_with_its_words(planted, tmp_path):
    _, proteins, random = planted
    (tmp_path / "set.dmnd").write_bytes(b"no database")
    with pytest.raises(ToolError, match=r"diamond ended with code 1(.|\n)*Opening the database"):
        search(tmp_path, cut_pairs(genome(5000, [], random), 100, 100, random), proteins)


def stand_in(tmp_path, monkeypatch, script):
    """A program called diamond that does as the script says."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "diamond").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "diamond").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


LINE = "0\\tA\\t300\\t33\\t90.0\\t60.0\\n"


@pytest.mark.parametrize(
    ("written", "said", "error"),
    [
        (LINE, "Reported 2 pairwise alignments", "hits.tsv: cut short, though diamond"),
        (LINE + "1\\tA\\t30", "Reported 2 pairwise alignments", "hits.tsv: cut short"),
        (LINE[:-2], "Reported 1 pairwise alignments", "hits.tsv: cut short"),
        (LINE, "all went well", "does not say how many alignments"),
    ],
)
def test_alignments_cut_short_are_an_error(tmp_path, monkeypatch, written, said, error):
    script = (
        f'cat > /dev/null\nwhile [ "$1" != --out ]; do shift; done\nprintf \'{written}\' > "$2"'
    )
    stand_in(tmp_path, monkeypatch, f"{script}\necho '{said}, 0 HSPs.'")
    with pytest.raises(ToolError, match=error):
        search(tmp_path, [["ACGT" * 25], ["ACGT" * 25]], PROTEINS)


def test_a_database_cut_short_is_an_error(tmp_path, monkeypatch):
    stand_in(
        tmp_path, monkeypatch,
        'case $1 in makedb) echo "Database sequences  9";; dbinfo) echo "   Sequences  8";; esac\n'
        f"touch {tmp_path}/x.dmnd",
    )  # fmt: skip
    with pytest.raises(ToolError, match=r"x\.dmnd: cut short, though diamond makedb"):
        build_protein_database(tmp_path / "x.faa", tmp_path / "x.dmnd", 1, tmp_path / "log")


def test_a_diamond_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="diamond is not installed"):
        search(tmp_path, [["ACGT" * 25]], PROTEINS)


def test_a_diamond_that_fails_is_told_with_its_words(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "echo No space left on device >&2; exit 1")
    with pytest.raises(ToolError, match=r"diamond ended with code 1(.|\n)*No space left"):
        search(tmp_path, [["ACGT" * 25]], PROTEINS)
