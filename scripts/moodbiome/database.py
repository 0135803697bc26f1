"""Kraken2 databases: built from genomes and a taxonomy, and known again by their fingerprint.

Only the standard library.
"""

import gzip
import hashlib
import re
import shutil
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from moodbiome.tools import ToolError, run_pipe

DATABASE_FILES = ("hash.k2d", "opts.k2d", "taxo.k2d")
TAXONOMY_FILES = ("nodes.dmp", "names.dmp")
_FASTA = re.compile(r".+\.(?:fna|fa|fasta)(?:\.gz)?")
_TAXON_ID = re.compile(r"[1-9][0-9]*")
_GENOME = re.compile(r".+_(\d+)\.(?:fna|fa|fasta)(?:\.gz)?")


def genome_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """FASTA files of a folder, by name: those that name a taxon id, and those that do not."""
    files = sorted(file for file in folder.iterdir() if _FASTA.fullmatch(file.name))
    named = [file for file in files if _GENOME.fullmatch(file.name)]
    return named, [file for file in files if file not in named]


def taxonomy_file(folder: Path, name: str) -> Path:
    """A file of NCBI's taxonomy dump, plain or packed; the plain name if there is neither."""
    plain, packed = folder / name, folder / f"{name}.gz"
    return packed if packed.is_file() and not plain.is_file() else plain


def build_database(
    genomes: Sequence[Path], taxonomy: Path, folder: Path, threads: int, log: Path
) -> None:
    """Build a Kraken2 database, and classify its own library for the k-mer distributions.

    Parameters
    ----------
    genomes
        FASTA files named ``<anything>_<taxon id>.fna`` (or .fa, .fasta, each also .gz). A file of
        another name holds sequences of many taxa: each header's first word must then end in
        ``|kraken:taxid|<taxon id>`` (as `moodbiome.amplicon.write_reference` writes them).
    taxonomy
        Folder with ``nodes.dmp`` and ``names.dmp``, plain or .gz.
    folder
        Receives hash.k2d, opts.k2d, taxo.k2d, seqid2taxid.map, nodes.dmp and library.kraken (the
        k-mer hits of each library sequence).

    Raises
    ------
    ToolError
        If neither a file's name nor a header in it has a taxon id, the taxonomy lacks the id, or a
        tool fails. Low-complexity sequence is not masked: dustmasker is not among the pipeline's
        tools.
    """
    log.write_text("")
    work = folder / "build"
    shutil.rmtree(work, ignore_errors=True)
    (work / "taxonomy").mkdir(parents=True)
    for name in TAXONOMY_FILES:
        copy = work / "taxonomy" / name
        with _open(taxonomy_file(taxonomy, name), "rb") as source, copy.open("wb") as out:
            shutil.copyfileobj(source, out)
    library = work / "library.fna"
    _write_library(genomes, _taxon_ids(work / "taxonomy" / "nodes.dmp"), library)
    build = ["kraken2-build", "--db", str(work), "--threads", str(threads)]
    run_pipe([[*build, "--add-to-library", str(library), "--no-masking"]], log)
    run_pipe([[*build, "--build"]], log)
    _clear_padding(work / "opts.k2d")
    classify = ["kraken2", "--db", str(work), "--threads", str(threads), "--report", "/dev/null"]
    run_pipe([[*classify, "--output", str(folder / "library.kraken"), str(library)]], log)
    shutil.move(work / "taxonomy" / "nodes.dmp", folder / "nodes.dmp")
    for name in (*DATABASE_FILES, "seqid2taxid.map"):
        shutil.move(work / name, folder / name)
    shutil.rmtree(work)


def _clear_padding(options: Path) -> None:
    """Set the unused bytes of Kraken2's options to zero, so that the same build is the same file.

    Kraken2 writes a C structure as it stands in memory: four 64-bit numbers, a truth value and 7
    bytes of padding, a 64-bit number, three 32-bit numbers and 4 bytes of padding.
    """
    content = bytearray(options.read_bytes())
    if len(content) == 64:
        content[33:40] = bytes(7)
        content[60:64] = bytes(4)
        options.write_bytes(content)


def _open(file: Path, mode: str) -> Any:
    return gzip.open(file, mode) if file.suffix == ".gz" else file.open(mode)


def _taxon_ids(nodes: Path) -> set[str]:
    with nodes.open() as lines:
        return {line.split("\t", 1)[0] for line in lines}


def _write_library(genomes: Sequence[Path], known: set[str], library: Path) -> None:
    """One FASTA file in which each header carries its taxon id, as kraken2-build reads it."""
    with library.open("w") as out:
        for file in sorted(genomes):
            match = _GENOME.fullmatch(file.name)
            of_file = match[1] if match else ""
            if of_file:
                _require_known(of_file, known, file.name, "rename the file to")
            with _open(file, "rt") as lines:
                for number, line in enumerate(lines, 1):
                    if line.startswith(">"):
                        words = line[1:].split(maxsplit=1) or [file.name]
                        if of_file:
                            name = words[0].split("|kraken:taxid|")[0]
                            words[0] = f"{name}.{of_file}|kraken:taxid|{of_file}"
                        else:
                            _require_taxon(words[0], known, f"{file.name}, line {number}")
                        line = ">" + " ".join(words)
                    # A file's last line may lack its end, and must not run into the next file.
                    out.write(line.rstrip("\r\n") + "\n")


def _require_taxon(name: str, known: set[str], place: str) -> None:
    taxon_id = name.rpartition("|kraken:taxid|")[2]
    if not _TAXON_ID.fullmatch(taxon_id) or taxon_id == name:
        raise ToolError(
            f"{place}: neither the file's name nor this header ({name!r}) says the taxon; end the "
            "file's name in _<taxon id>.fna or the sequence's name in |kraken:taxid|<taxon id>"
        )
    _require_known(taxon_id, known, place, "write")


def _require_known(taxon_id: str, known: set[str], place: str, mend: str) -> None:
    if taxon_id not in known:
        raise ToolError(
            f"{place}: taxon {taxon_id} is not in nodes.dmp; use a taxonomy that has it or {mend} "
            "the id it was merged into"
        )


def fingerprint(files: list[Path]) -> dict[str, Any]:
    """Sizes and SHA-256 of a database's files, and one hash over them all.

    Returns
    -------
    dict
        `files`: name -> {bytes, sha256}; `sha256`: of the sorted names and hashes, so that it does
        not depend on where the database lies.
    """
    found = {}
    for file in sorted(files, key=lambda path: path.name):
        found[file.name] = {"bytes": file.stat().st_size, "sha256": sha256(file)}
    lines = "".join(f"{entry['sha256']}  {name}\n" for name, entry in found.items())
    return {"sha256": hashlib.sha256(lines.encode()).hexdigest(), "files": found}


def sha256(file: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def database_taxa(taxo: Path) -> Iterator[tuple[int, int, str, str]]:
    """Every taxon of a Kraken2 database, parents before children.

    Parameters
    ----------
    taxo
        The database's ``taxo.k2d``: the header ``K2TAXDAT``, three lengths, one record of seven
        64-bit numbers a node (parent, first child, children, name, rank, taxon id, unused), then
        the names and the ranks, each ended by a zero byte (kraken2, src/taxonomy.h).

    Yields
    ------
    (taxon id, parent's taxon id, rank, name)
        Only taxa that hold a library sequence, and their ancestors, are in the file. The root's
        parent is 0.

    Raises
    ------
    ValueError
        If the file is not of that form.
    """
    content = taxo.read_bytes()
    if content[:8] != b"K2TAXDAT" or len(content) < 32:
        raise ValueError(f"{taxo} is not a Kraken2 taxonomy; fetch or build the database again")
    n_nodes, name_bytes, rank_bytes = struct.unpack_from("<3Q", content, 8)
    names_at = 32 + n_nodes * 56
    if len(content) != names_at + name_bytes + rank_bytes:
        raise ValueError(f"{taxo} is cut short; fetch or build the database again")
    names = content[names_at : names_at + name_bytes]
    ranks = content[names_at + name_bytes :]
    nodes = list(struct.iter_unpack("<7Q", content[32:names_at]))
    for parent, _, _, name, rank, taxon_id, _ in nodes[1:]:
        yield taxon_id, nodes[parent][5], _text(ranks, rank), _text(names, name)


def _text(block: bytes, start: int) -> str:
    return block[start : block.index(b"\0", start)].decode()
