"""Kraken2 databases: built from genomes and a taxonomy, and known again by their fingerprint.

Only the standard library.
"""

import gzip
import hashlib
import json
import re
import shutil
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moodbiome.taxonomy import DELETED, MERGED, read_deleted, read_merged
from moodbiome.tools import ToolError, not_written_whole, run_pipe

DATABASE_FILES = ("hash.k2d", "opts.k2d", "taxo.k2d")
TAXONOMY_FILES = ("nodes.dmp", "names.dmp")
LOCK = "lock.json"
HISTORY_FILES = (MERGED, DELETED)
_FASTA = re.compile(r".+\.(?:fna|fa|fasta)(?:\.gz)?")
_TAXON_ID = re.compile(r"[1-9][0-9]*")
_LITTLE_BYTES = 1 << 20
_PROCESSED = re.compile(r"^(\d+) sequences \(.* processed in", re.MULTILINE)
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
        Folder with ``nodes.dmp`` and ``names.dmp``, plain or .gz. Where ``merged.dmp`` is beside
        them, a taxon id that was merged stands for the current one, and the log says so.
    folder
        Receives hash.k2d, opts.k2d, taxo.k2d, seqid2taxid.map, nodes.dmp, merged.dmp (empty if
        there was none), library.json (how many FASTA files, and the merged ids: place, taxon_id,
        current_id) and library.kraken (the k-mer hits of each library sequence).

    Raises
    ------
    ToolError
        If neither a file's name nor a header in it has a taxon id, the taxonomy lacks the id or has
        deleted it, a tool fails, or a file that a tool says to have written is cut short. Nothing
        is left then.
    ValueError
        If merged.dmp or delnodes.dmp is damaged.

    Notes
    -----
    Low-complexity sequence is not masked: dustmasker is not among the pipeline's tools.
    """
    log.write_text("")
    work = folder / "build"
    shutil.rmtree(work, ignore_errors=True)
    try:
        _build(genomes, taxonomy, work, threads, log)
        shutil.move(work / "taxonomy" / "nodes.dmp", folder / "nodes.dmp")
        for name in (*DATABASE_FILES, "seqid2taxid.map", "library.kraken", MERGED, "library.json"):
            shutil.move(work / name, folder / name)
    except ToolError as error:
        free = shutil.disk_usage(folder).free
        if free > _LITTLE_BYTES or "space left" in str(error):
            raise
        # Some programs of kraken2-build only meet what others could not write.
        raise ToolError(f"{error}\n{folder}: no space left: {free} bytes are free") from error
    finally:
        # After a failure too: most often for lack of space, of which this has most.
        shutil.rmtree(work, ignore_errors=True)


def _build(genomes: Sequence[Path], taxonomy: Path, work: Path, threads: int, log: Path) -> None:
    (work / "taxonomy").mkdir(parents=True)
    for name in TAXONOMY_FILES:
        copy = work / "taxonomy" / name
        with _open(taxonomy_file(taxonomy, name), "rb") as source, copy.open("wb") as out:
            shutil.copyfileobj(source, out)
    library = work / "library.fna"
    merged, deleted = (taxonomy_file(taxonomy, name) for name in HISTORY_FILES)
    known = _Known(
        _taxon_ids(work / "taxonomy" / "nodes.dmp"),
        read_merged(merged) if merged.is_file() else {},
        read_deleted(deleted) if deleted.is_file() else set(),
    )
    replaced = _write_library(genomes, known, library)
    lines = (
        f"{entry['place']}: taxon {entry['taxon_id']} was merged into {entry['current_id']}, "
        "which is used\n"
        for entry in replaced
    )
    log.write_text("".join(lines))
    build = ["kraken2-build", "--db", str(work), "--threads", str(threads)]
    run_pipe([[*build, "--add-to-library", str(library), "--no-masking"]], log)
    run_pipe([[*build, "--build"]], log)
    for name in DATABASE_FILES:
        if not _is_whole(work / name):
            raise not_written_whole(work / name, "kraken2-build")
    _clear_padding(work / "opts.k2d")
    hits = work / "library.kraken"
    classify = ["kraken2", "--db", str(work), "--threads", str(threads), "--report", "/dev/null"]
    said = run_pipe([[*classify, "--output", str(hits), str(library)]], log)
    processed = _PROCESSED.findall(said)
    with hits.open("rb") as written:
        if processed != [str(sum(line.endswith(b"\n") for line in written))]:
            raise not_written_whole(hits, "kraken2")
    rows = (f"{old}\t|\t{current}\t|\n" for old, current in sorted(known.merged.items()))
    (work / MERGED).write_text("".join(rows))
    facts = {"files": len(genomes), "merged": replaced}
    (work / "library.json").write_text(json.dumps(facts, indent=1) + "\n")


def _is_whole(file: Path) -> bool:
    """Whether a database file is as long as it says itself; Kraken2 does not look.

    hash.k2d: four 64-bit numbers, the first its capacity, then four bytes a cell (kraken2,
    src/compact_hash.cc). taxo.k2d: see `database_taxa`. opts.k2d: see `_clear_padding`.
    """
    size = file.stat().st_size
    with file.open("rb") as content:
        begin = content.read(32)
    if file.name == "opts.k2d":
        return size > 0
    if len(begin) < 32:
        return False
    if file.name == "hash.k2d":
        return size == 32 + 4 * int(struct.unpack_from("<Q", begin)[0])
    n_nodes, name_bytes, rank_bytes = struct.unpack_from("<3Q", begin, 8)
    return size == 32 + n_nodes * 56 + int(name_bytes) + int(rank_bytes)


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


@dataclass(frozen=True)
class _Known:
    """What a taxonomy says of taxon ids."""

    current: set[str]
    merged: Mapping[int, int]
    deleted: set[int]

    def id_of(self, taxon_id: str, place: str, mend: str) -> str:
        """The current id, or an error that says how to mend the id at this place."""
        if taxon_id in self.current:
            return taxon_id
        current = str(self.merged.get(int(taxon_id), ""))
        if current in self.current:
            return current
        if int(taxon_id) in self.deleted:
            raise ToolError(
                f"{place}: NCBI deleted taxon {taxon_id} (delnodes.dmp), and no other took its "
                f"place; look up what the genome is now and {mend} that taxon's id, or leave it out"
            )
        raise ToolError(
            f"{place}: taxon {taxon_id} is not in nodes.dmp; use a taxonomy that has it or {mend} "
            "the id it was merged into"
        )


def _write_library(
    genomes: Sequence[Path], known: _Known, library: Path
) -> list[dict[str, str | int]]:
    """One FASTA file in which each header carries its taxon id, as kraken2-build reads it.

    Returns the merged ids that were met, each with its place and the current id.
    """
    replaced: list[dict[str, str | int]] = []

    def current(taxon_id: str, place: str, mend: str) -> str:
        found = known.id_of(taxon_id, place, mend)
        if found != taxon_id:
            replaced.append({"place": place, "taxon_id": int(taxon_id), "current_id": int(found)})
        return found

    with library.open("w") as out:
        for file in sorted(genomes):
            match = _GENOME.fullmatch(file.name)
            of_file = current(match[1], file.name, "rename the file to") if match else ""
            with _open(file, "rt") as lines:
                for number, line in enumerate(lines, 1):
                    if line.startswith(">"):
                        words = line[1:].split(maxsplit=1) or [file.name]
                        if of_file:
                            name = words[0].split("|kraken:taxid|")[0]
                            words[0] = f"{name}.{of_file}|kraken:taxid|{of_file}"
                        else:
                            place = f"{file.name}, line {number}"
                            name, taxon_id = _split_taxon(words[0], place)
                            words[0] = f"{name}|kraken:taxid|{current(taxon_id, place, 'write')}"
                        line = ">" + " ".join(words)
                    # A file's last line may lack its end, and must not run into the next file.
                    out.write(line.rstrip("\r\n") + "\n")
    return replaced


def _split_taxon(word: str, place: str) -> tuple[str, str]:
    """Name and taxon id of a sequence."""
    name, found, taxon_id = word.rpartition("|kraken:taxid|")
    if not found or not _TAXON_ID.fullmatch(taxon_id):
        raise ToolError(
            f"{place}: neither the file's name nor this header ({word!r}) says the taxon; end the "
            "file's name in _<taxon id>.fna or the sequence's name in |kraken:taxid|<taxon id>"
        )
    return name, taxon_id


def kmer_distributions(files: Sequence[Path]) -> list[Path]:
    """The k-mer distributions of a database; its lock stands for those it was fetched with."""
    if len(files) == 1 and files[0].name == LOCK:
        return sorted(files[0].parent.glob("database*mers.kmer_distrib"))
    return list(files)


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


def read_fingerprints(files: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What files named ``<what>.<assay>.json`` hold, by assay."""
    return {Path(file).name.split(".")[1]: json.loads(Path(file).read_text()) for file in files}


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
