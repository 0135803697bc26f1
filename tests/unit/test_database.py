"""Building, listing and recognising databases."""

import json
import shutil
import struct

import pytest

from moodbiome.database import (
    DATABASE_FILES,
    build_database,
    database_taxa,
    fingerprint,
    genome_files,
)
from moodbiome.taxonomy import read_merged
from moodbiome.tools import ToolError

RANKS = [(1, 1, "no rank"), (2, 1, "superkingdom"), (1350, 2, "genus"), (1351, 1350, "species")]
NODES = "".join(f"{taxon}\t|\t{parent}\t|\t{rank}\t|\n" for taxon, parent, rank in RANKS)
NAMES = "".join(
    f"{taxon}\t|\t{name}\t|\t\t|\tscientific name\t|\n"
    for taxon, name in [(1, "root"), (2, "Bacteria"), (1350, "Enterococcus"), (1351, "E. faecalis")]
)


@pytest.fixture
def inputs(tmp_path):
    genomes, taxonomy = tmp_path / "genomes", tmp_path / "taxonomy"
    genomes.mkdir()
    taxonomy.mkdir()
    (taxonomy / "nodes.dmp").write_text(NODES)
    (taxonomy / "names.dmp").write_text(NAMES)
    sequence = "ACGTTGCATGCCGATTAGCCATCGGATTACGGCATCGAATTCGGCATTAGCCGATCAGGCTTAACG" * 20
    (genomes / "E_faecalis_1351.fna").write_text(f">contig one\n{sequence}\n")
    return sorted(genomes.iterdir()), taxonomy


def taxo(nodes, names=b"root\0E. coli\0", ranks=b"no rank\0species\0"):
    body = b"".join(struct.pack("<7Q", *node) for node in nodes)
    return (
        b"K2TAXDAT" + struct.pack("<3Q", len(nodes), len(names), len(ranks)) + body + names + ranks
    )


NONE = (0, 0, 0, 0, 0, 0, 0)


def test_the_taxa_of_a_database_are_read_by_hand(tmp_path):
    path = tmp_path / "taxo.k2d"
    path.write_bytes(taxo([NONE, (0, 2, 1, 0, 0, 1, 0), (1, 0, 0, 5, 8, 562, 0)]))
    assert list(database_taxa(path)) == [(1, 0, "no rank", "root"), (562, 1, "species", "E. coli")]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is not a Kraken2 taxonomy"), (b"x" * 40, "is not a"), (taxo([NONE])[:-3], "cut short")],
)
def test_a_broken_taxonomy_is_named(tmp_path, content, said):
    path = tmp_path / "taxo.k2d"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"taxo.k2d.*{said}"):
        list(database_taxa(path))


@pytest.mark.skipif(not shutil.which("kraken2-build"), reason="kraken2 is needed")
def test_a_database_is_built_from_genomes(tmp_path, inputs):
    folder = tmp_path / "database"
    build_database(*inputs, folder, threads=1, log=tmp_path / "log")
    assert {row[0] for row in database_taxa(folder / "taxo.k2d")} == {1, 2, 1350, 1351}
    files = [folder / name for name in DATABASE_FILES]
    first = fingerprint(files)
    assert (folder / "library.kraken").read_text().startswith("C\tcontig.1351|kraken:taxid|1351")
    build_database(*inputs, folder, threads=1, log=tmp_path / "log")
    assert fingerprint(files) == first


@pytest.mark.skipif(not shutil.which("kraken2-build"), reason="kraken2 is needed")
def test_a_file_without_a_last_newline_does_not_run_into_the_next(tmp_path, inputs):
    sequence = inputs[0][0].read_text().split("\n")[1]
    (tmp_path / "A_1351.fna").write_text(f">one\tfirst contig\n{sequence}")
    (tmp_path / "B_1351.fna").write_text(f">two\r\n{sequence[::-1]}\r\n")
    files, unnamed = genome_files(tmp_path)
    assert unnamed == []
    build_database(files, inputs[1], tmp_path / "database", threads=1, log=tmp_path / "log")
    assert sorted((tmp_path / "database/seqid2taxid.map").read_text().splitlines()) == [
        "one.1351|kraken:taxid|1351\t1351",
        "two.1351|kraken:taxid|1351\t1351",
    ]


def test_files_that_name_no_taxon_are_told_apart(tmp_path):
    for name in ("E_coli_562.fna.gz", "GCF_000005845.2_ASM584v2_genomic.fna", "notes.txt"):
        (tmp_path / name).touch()
    named, unnamed = genome_files(tmp_path)
    assert [file.name for file in named] == ["E_coli_562.fna.gz"]
    assert [file.name for file in unnamed] == ["GCF_000005845.2_ASM584v2_genomic.fna"]


def test_a_genome_of_an_unknown_taxon_is_named(tmp_path, inputs):
    new = tmp_path / "E_new_99999.fna"
    new.write_text(">c\nACGT\n")
    with pytest.raises(ToolError, match=r"E_new_99999.fna: taxon 99999 is not in nodes.dmp"):
        build_database([new], inputs[1], tmp_path / "database", threads=1, log=tmp_path / "log")


def test_a_genome_of_a_deleted_taxon_is_named(tmp_path, inputs):
    (inputs[1] / "delnodes.dmp").write_text("99999\t|\n")
    new = tmp_path / "E_new_99999.fna"
    new.write_text(">c\nACGT\n")
    said = (
        "E_new_99999.fna: NCBI deleted taxon 99999 .* rename the file to that taxon's id, or leave"
    )
    with pytest.raises(ToolError, match=said):
        build_database([new], inputs[1], tmp_path / "database", threads=1, log=tmp_path / "log")


def test_a_genome_merged_into_an_unknown_taxon_is_named(tmp_path, inputs):
    (inputs[1] / "merged.dmp").write_text("99999\t|\t88888\t|\n")
    new = tmp_path / "E_new_99999.fna"
    new.write_text(">c\nACGT\n")
    with pytest.raises(ToolError, match=r"E_new_99999.fna: taxon 99999 is not in nodes.dmp"):
        build_database([new], inputs[1], tmp_path / "database", threads=1, log=tmp_path / "log")


@pytest.mark.skipif(not shutil.which("kraken2-build"), reason="kraken2 is needed")
def test_a_merged_id_stands_for_the_current_one_and_is_told(tmp_path, inputs):
    (inputs[1] / "merged.dmp").write_text("777\t|\t1351\t|\n88\t|\t777\t|\n")
    sequence = inputs[0][0].read_text().split("\n")[1]
    old = tmp_path / "E_old_777.fna"
    old.write_text(f">contig\n{sequence}\n")
    many = tmp_path / "library.fna"
    many.write_text(f">a|kraken:taxid|88\n{sequence[::-1]}\n")
    folder, log = tmp_path / "database", tmp_path / "log"
    build_database([old, many], inputs[1], folder, threads=1, log=log)
    assert {row[0] for row in database_taxa(folder / "taxo.k2d")} == {1, 2, 1350, 1351}
    assert sorted((folder / "seqid2taxid.map").read_text().splitlines()) == [
        "a|kraken:taxid|1351\t1351",
        "contig.1351|kraken:taxid|1351\t1351",
    ]
    assert "E_old_777.fna: taxon 777 was merged into 1351, which is used\n" in log.read_text()
    assert json.loads((folder / "library.json").read_text()) == {
        "files": 2,
        "merged": [
            {"place": "E_old_777.fna", "taxon_id": 777, "current_id": 1351},
            {"place": "library.fna, line 1", "taxon_id": 88, "current_id": 1351},
        ],
    }
    assert read_merged(folder / "merged.dmp") == {777: 1351, 88: 1351}


@pytest.mark.skipif(not shutil.which("kraken2-build"), reason="kraken2 is needed")
def test_a_file_of_many_taxa_names_them_in_its_headers(tmp_path, inputs):
    sequence = inputs[0][0].read_text().split("\n")[1]
    library = tmp_path / "library.fna"
    library.write_text(
        f">a|kraken:taxid|1351 words\n{sequence}\n>b|kraken:taxid|1350\n{sequence[::-1]}\n"
    )
    build_database([library], inputs[1], tmp_path / "database", threads=1, log=tmp_path / "log")
    assert sorted((tmp_path / "database/seqid2taxid.map").read_text().splitlines()) == [
        "a|kraken:taxid|1351\t1351",
        "b|kraken:taxid|1350\t1350",
    ]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (
            "b",
            r"library.fna, line 3: neither the file's name nor this header \('b'\) says the taxon",
        ),
        ("1351", r"library.fna, line 3: neither .* end the file's name in _<taxon id>.fna"),
        ("b|kraken:taxid|x", "library.fna, line 3: neither"),
        ("b|kraken:taxid|99999", "library.fna, line 3: taxon 99999 is not in nodes.dmp"),
    ],
)
def test_a_header_without_a_known_taxon_is_named(tmp_path, inputs, header, said):
    library = tmp_path / "library.fna"
    library.write_text(f">a|kraken:taxid|1351\nACGT\n>{header}\nACGT\n")
    with pytest.raises(ToolError, match=said):
        build_database([library], inputs[1], tmp_path / "database", threads=1, log=tmp_path / "log")


def test_the_fingerprint_sees_any_change_but_not_the_place(tmp_path):
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "hash.k2d").write_text("same" if folder != "c" else "changed")
    a, b, c = (fingerprint([tmp_path / folder / "hash.k2d"]) for folder in "abc")
    assert a == b
    assert a["sha256"] != c["sha256"]
