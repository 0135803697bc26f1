import gzip
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moodbiome import kmer_distribution
from moodbiome.kmer_distribution import (
    HEADER,
    Taxonomy,
    classify_windows,
    count_genomes,
    count_windows,
    parse_hits,
    read_parents,
    read_sequence_taxa,
    write_distribution,
)

MINI = Path(__file__).parents[3] / "shared" / "data" / "genomes_mini"

#            1
#        2       3
#      4   5     6
#     7 8
PARENT = {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 3, 7: 4, 8: 4}


@pytest.fixture
def taxonomy():
    return Taxonomy(PARENT)


def classify(hits, n_kmers, taxonomy):
    return classify_windows(*parse_hits(hits), n_kmers, taxonomy).tolist()


@pytest.mark.parametrize(
    ("hits", "taxon"),
    [
        ("7:4", 7),
        ("0:3 7:1", 7),
        ("A:3 7:1", 7),
        ("0:4", 0),
        ("A:2 0:2", 0),
        # Hits to the root decide only where nothing else is hit.
        ("0:3 1:1", 1),
        ("1:3 7:1", 7),
        # Ancestors support their descendants: 7 scores 2 + 1 + 1.
        ("7:1 4:1 2:2", 7),
        # 7 scores 1 + 2, 5 scores 1.
        ("7:1 4:2 5:1", 7),
        # 5 scores 2, 7 and 8 one each.
        ("7:1 8:1 5:2", 5),
        # Ties go to the lowest common ancestor of all tied.
        ("7:2 8:2", 4),
        ("7:1 5:1 0:2", 2),
        ("7:1 8:1 5:1 0:1", 2),
        ("7:1 6:1 0:2", 1),
        # 7 and 8 tie with 3 each and 6 with 3: 2 + 1 + 0.
        ("7:2 8:2 4:1 6:3", 1),
    ],
)
def test_single_window_by_hand(hits, taxon, taxonomy):
    n_kmers = sum(int(run.split(":")[1]) for run in hits.split())
    assert classify(hits, n_kmers, taxonomy) == [taxon]


def test_sliding_by_hand(taxonomy):
    """Windows of three: 777, 77-, 7-8, -88, 888."""
    assert classify("7:3 A:1 8:3", 3, taxonomy) == [7, 7, 4, 8, 8]


def test_sequence_shorter_than_a_window_has_none(taxonomy):
    assert classify("7:3", 4, taxonomy) == []
    assert classify("0:0", 4, taxonomy) == []
    assert count_windows(*parse_hits(""), 4, taxonomy) == {}


def classify_one_by_one(hits, n_kmers):
    """Every window for itself, straight from the definition."""

    def path(taxon):
        return [taxon] if taxon == 1 else [taxon, *path(PARENT[taxon])]

    result = []
    for start in range(len(hits) - n_kmers + 1):
        window = [hit for hit in hits[start : start + n_kmers] if hit]
        score = {taxon: sum(hit in path(taxon) for hit in window) for taxon in set(window)}
        best = [taxon for taxon in score if score[taxon] == max(score.values())]
        shared = [t for t in path(best[0]) if all(t in path(b) for b in best)] if best else [0]
        result.append(shared[0])
    return result


@settings(max_examples=150, deadline=None)
@given(
    runs=st.lists(st.tuples(st.integers(0, 8), st.integers(1, 5)), max_size=25),
    n_kmers=st.integers(1, 9),
)
def test_all_windows_equal_the_definition_however_the_work_is_cut(runs, n_kmers):
    taxon, length = (
        (np.array(column, dtype=np.int64) for column in zip(*runs, strict=True))
        if (runs)
        else (np.zeros(0, np.int64),) * 2
    )
    expected = classify_one_by_one(np.repeat(taxon, length).tolist(), n_kmers)
    taxonomy = Taxonomy(PARENT)
    assert classify_windows(taxon, length, n_kmers, taxonomy).tolist() == expected
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"_CHUNK": 7, "_SPAN": 5, "_TAXA": 1, "_FEW": 2}.items():
            patch.setattr(kmer_distribution, name, value)
        assert classify_windows(taxon, length, n_kmers, taxonomy).tolist() == expected
        counts = count_windows(taxon, length, n_kmers, taxonomy)
    assert counts == {taxon: expected.count(taxon) for taxon in set(expected)}


def test_taxon_outside_the_taxonomy_is_named(taxonomy):
    with pytest.raises(ValueError, match="taxon 9 is not in the taxonomy"):
        classify("7:2 9:2", 4, taxonomy)
    with pytest.raises(ValueError, match=r"taxon 5 is its own ancestor"):
        Taxonomy({5: 6, 6: 5}).path(5)


@pytest.mark.parametrize("hits", ["7", "7:x", "7:-1", "7:1:2", "B:3", "7:2 8"])
def test_hits_that_are_no_runs_are_refused(hits):
    with pytest.raises(ValueError, match="is not 'taxon:count'"):
        parse_hits(hits)


def test_hits_of_pairs_are_refused():
    with pytest.raises(ValueError, match="hits are of read pairs"):
        parse_hits("7:2 |:| 7:3")


# k = 3, reads of 5 bp: windows of three k-mers.
KRAKEN = "C\ta\t7\t9\t7:3 A:1 8:3\nC\tb\t7\t7\t7:5\nU\tc\t0\t5\t0:3\nU\tshort\t0\t2\t0:0\n"
SEQUENCES = {"a": 7, "b": 7, "c": 8, "short": 6}


def test_genomes_are_counted_over_their_sequences(taxonomy):
    genomes = count_genomes(KRAKEN.splitlines(True), SEQUENCES, taxonomy, 5, k=3)
    assert genomes == {7: {7: 2 + 3, 4: 1, 8: 2}, 8: {0: 1}}


def test_distribution_file_by_hand(taxonomy, tmp_path):
    genomes = count_genomes(KRAKEN.splitlines(True), SEQUENCES, taxonomy, 5, k=3)
    write_distribution(genomes, tmp_path / "distribution")
    assert (tmp_path / "distribution").read_text() == (
        f"{HEADER}\n0\t8:1:1 \n4\t7:1:8 \n7\t7:5:8 \n8\t7:2:8 \n"
    )


def test_distribution_does_not_depend_on_the_order_of_sequences(taxonomy, tmp_path):
    for name, lines in (("one", KRAKEN.splitlines(True)), ("two", KRAKEN.splitlines(True)[::-1])):
        write_distribution(count_genomes(lines, SEQUENCES, taxonomy, 5, k=3), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("C\ta\t7\t9\t7:3 A:1", "line 1: .* not one whole line of five columns"),
        ("C\ta\t7\t9\n", "line 1: .* not one whole line of five columns"),
        ("C\td\t7\t9\t7:7\n", "line 1: sequence 'd' has no taxon in the map"),
        ("C\ta\t7\t9\t7:6\n", "line 1, sequence 'a': hits of 6 k-mers, but 9 bp hold 7 k-mers"),
        ("C\ta\t7\t9\t7:6 x\n", "line 1, sequence 'a': 'x' is not 'taxon:count'"),
    ],
)
def test_damaged_kraken2_output_is_refused(line, message, taxonomy):
    with pytest.raises(ValueError, match=message):
        count_genomes([line], SEQUENCES, taxonomy, 5, k=3)


def test_reads_shorter_than_k_are_refused(taxonomy):
    with pytest.raises(ValueError, match="reads of 30 bp hold no k-mer of 35 bp"):
        count_genomes([], {}, taxonomy, 30)


def test_distribution_without_windows_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no library sequence is as long as a read"):
        write_distribution({}, tmp_path / "distribution")


def test_taxonomy_and_map_are_read(tmp_path):
    nodes, names = tmp_path / "nodes.dmp", tmp_path / "seqid2taxid.map"
    nodes.write_text("1\t|\t1\t|\tno rank\t|\n2\t|\t1\t|\tdomain\t|\n")
    names.write_text("kraken:taxid|2|a\t2\n")
    assert read_parents(nodes) == {1: 1, 2: 1}
    assert read_sequence_taxa(names) == {"kraken:taxid|2|a": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [("2\t|\t1\t|\n", "the root .* is missing"), ("1\t|\t1\t|\nx\t|\t1\t|\n", "line 2: 'x")],
)
def test_damaged_nodes_are_refused(tmp_path, text, message):
    (tmp_path / "nodes.dmp").write_text(text)
    with pytest.raises(ValueError, match=f"nodes.dmp.*{message}"):
        read_parents(tmp_path / "nodes.dmp")


@pytest.mark.parametrize(
    ("text", "message"),
    [("a 2\n", "line 1: 'a 2"), ("a\t2\na\t3\n", "line 2: sequence 'a' has taxon 3 here and 2")],
)
def test_damaged_map_is_refused(tmp_path, text, message):
    (tmp_path / "map").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_sequence_taxa(tmp_path / "map")


@pytest.mark.skipif(not MINI.is_dir(), reason="shared/data is not beside the repository")
@pytest.mark.skipif(
    shutil.which("kraken2") is None or shutil.which("kraken2-build") is None,
    reason="Kraken2 is not installed",
)
def test_windows_are_classified_as_kraken2_classifies_them_as_reads(tmp_path):
    """Pieces of two real genomes, and a chimera of both, against a database of the pieces."""
    pieces = {taxon: read_piece(taxon, 20_000, 120_000) for taxon in (39491, 649756)}
    # The second genome gets a stretch of the first, so that some windows are shared.
    pieces[649756] = pieces[649756][:50_000] + pieces[39491][:5_000] + pieces[649756][50_000:]
    library = tmp_path / "library.fna"
    library.write_text(
        "".join(f">s{t}|kraken:taxid|{t}\n{sequence}\n" for t, sequence in pieces.items())
    )
    database = tmp_path / "db"
    (database / "taxonomy").mkdir(parents=True)
    for name in ("nodes", "names"):
        packed = (MINI / "taxonomy" / f"{name}.dmp.gz").read_bytes()
        (database / "taxonomy" / f"{name}.dmp").write_bytes(gzip.decompress(packed))
    run("kraken2-build", "--db", database, "--add-to-library", library, "--no-masking")
    run("kraken2-build", "--db", database, "--build")

    taxonomy = Taxonomy(read_parents(database / "taxonomy" / "nodes.dmp"))
    run("kraken2", "--db", database, "--output", tmp_path / "library.kraken", library)
    reads, expected = [], []
    for line in (tmp_path / "library.kraken").read_text().splitlines():
        _, name, _, _, hits = line.split("\t")
        sequence = pieces[int(name.rsplit("|", 1)[1])]
        windows = classify_windows(*parse_hits(hits), 100 - 35 + 1, taxonomy)
        for start in range(0, len(windows), 7):
            reads.append(f">{len(reads)}\n{sequence[start : start + 100]}\n")
            expected.append(int(windows[start]))
    (tmp_path / "reads.fa").write_text("".join(reads))
    run(
        *("kraken2", "--db", database, "--minimum-hit-groups", "0"),
        *("--output", tmp_path / "reads.kraken", tmp_path / "reads.fa"),
    )
    lines = (tmp_path / "reads.kraken").read_text().splitlines()
    assert [int(line.split("\t")[2]) for line in lines] == expected
    # Their family: the shared stretch was seen, so ties and paths were put to the test.
    assert expected.count(186803) > 500
    assert len(expected) > 25_000


def read_piece(taxon, start, end):
    path = next((MINI / "genomes").glob(f"*_{taxon}.fna.gz"))
    records = gzip.decompress(path.read_bytes()).decode().split(">")[1:]
    sequences = ["".join(record.split("\n")[1:]) for record in records]
    return max(sequences, key=len)[start:end].upper()


def run(*command):
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
