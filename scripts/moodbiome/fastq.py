"""Check FASTQ files before anything is computed from them, in one streamed pass.

The readers further down the pipeline are lenient: fastp 0.23.2 ends with success on a gzip file cut
short and on one with a blank last line, and does not compare the names of mates. What it passes
silently is refused here, by file, record and remedy.

Only the standard library and dnaio are imported, because the check runs once for every unit.
"""

import contextlib
import dataclasses
import hashlib
import io
import os
import re
import stat
import sys
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from queue import SimpleQueue
from typing import Any, BinaryIO

import dnaio

try:
    # Comes with dnaio on x86_64 and aarch64; three times faster, same bytes.
    from isal.igzip import GzipFile
except ImportError:
    from gzip import GzipFile  # type: ignore[assignment]

__all__ = ["FastqCheck", "FastqFile", "check_fastq"]

# IUPAC codes in both cases. U is left out on purpose: Kraken2 reads every base but A, C, G and T as
# ambiguous, so RNA letters would leave a whole sample unclassified without a word.
_BASES = frozenset(b"ACGTNRYSWKMBDHVacgtnryswkmbdhv")
_LOWER = frozenset(b"acgtnryswkmbdhv")
_QUALITIES = frozenset(range(33, 127))
_PHRED33_USUAL_TOP = 74
_PHRED64_BOTTOM = 64

_GZIP_MAGIC = b"\x1f\x8b"
# The empty last block of bgzip (SAM specification, section 4.1.2).
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_OTHER_COMPRESSIONS = (
    (b"BZh", "bzip2", "bzip2 -dc"),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd -dc"),
    (b"\xfd7zXZ\x00", "xz", "xz -dc"),
    (b"\x04\x22\x4d\x18", "lz4", "lz4 -dc"),
    (b"\x1f\x9d", "compress (.Z)", "uncompress -c"),
    (b"PK\x03\x04", "zip", "unzip -p"),
)
_COPY_AGAIN = "copy or download it again and compare its checksum with the source"

_CHUNK_BYTES = 1 << 20
# What follows a member is copied at its end, so blocks are near the size of a bgzip member.
_MEMBER_BYTES = 1 << 16
# Small enough for the joined bases to stay in the cache: larger batches took up to 1.7 times as
# long.
_BATCH_BASES = 1 << 16
_BATCH_READS = (16, 1024)

_FIRST_WORD = re.compile(r"[^ \t]*")
_MATE_SUFFIX = re.compile(r"(.*(?:/|_R?|\.\d+\.))([12])")
_MATE_COMMENT = re.compile(r"(?:^| )(?:([12]):[YN]:\d+:|\S*/([12])(?= |$))")

_name = attrgetter("name")
_id = attrgetter("id")
_sequence = attrgetter("sequence")
_qualities = attrgetter("qualities")

_Batch = list[dnaio.SequenceRecord]


@dataclasses.dataclass(frozen=True)
class FastqFile:
    """What was found in one FASTQ file; counts are None where the file could not be read through.

    Attributes
    ----------
    file : str
        The path as the caller gave it.
    bytes : int or None
        Size as stored.
    sha256 : str or None
        Of the file as stored (compressed where it is).
    reads, bases : int or None
    min_length, max_length : int or None
        Read lengths in bases; None where there is no read.
    zero_length : int or None
        Reads of no base at all. fastp drops them.
    min_quality, max_quality : int or None
        Range of the Phred+33 scores; None where there is no base.
    """

    file: str
    bytes: int | None = None
    sha256: str | None = None
    reads: int | None = None
    bases: int | None = None
    min_length: int | None = None
    max_length: int | None = None
    zero_length: int | None = None
    min_quality: int | None = None
    max_quality: int | None = None


@dataclasses.dataclass(frozen=True)
class FastqCheck:
    """The verdict on one unit: a single-end file or a pair of files.

    Attributes
    ----------
    status : str
        ``ok``, ``empty`` (intact gzip files of zero reads) or ``failed``.
    reason : str
        One sentence that names file, place and remedy; empty where status is ``ok``.
    layout : str
        ``single`` or ``paired``.
    fragments : int or None
        Reads, or read pairs; None where status is ``failed``.
    files : tuple of FastqFile
        In the order given.
    warnings : tuple of str
        What is odd but harmless to the counts.
    """

    status: str
    reason: str
    layout: str
    fragments: int | None
    files: tuple[FastqFile, ...]
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Give the verdict as plain dictionaries and lists, in a fixed order, for JSON."""
        return {
            **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)},
            "files": [dataclasses.asdict(file) for file in self.files],
            "warnings": list(self.warnings),
        }


def check_fastq(paths: Sequence[str | os.PathLike[str]]) -> FastqCheck:
    """Read one FASTQ file, or both files of a pair, to the end and say whether they are sound.

    Checked are the container (gzip intact to the last byte, name and content agree), the structure
    of every record, the bases (IUPAC letters, no U), the qualities (Phred+33), and for a pair the
    number, names and sides of the mates. Gzip files of several members, bgzip among them, are
    sound; the end block of bgzip may be absent, with a warning.

    Parameters
    ----------
    paths : sequence of one or two paths
        ``[R1]`` or ``[R1, R2]``, plain or gzip.

    Returns
    -------
    FastqCheck
        A defect of the data is a verdict, never an exception. Nothing in it depends on the clock,
        the machine or the timing of threads.

    Raises
    ------
    ValueError
        If neither one nor two paths are given.

    Notes
    -----
    Names met twice in a file are not looked for: that needs memory in proportion to the reads.
    A gzip file of several members cut exactly between two members, and a plain file cut exactly
    between two records, are sound files by themselves; in a pair the numbers of mates then differ.

    Reading and hashing run in one thread a file, so a check keeps two cores busy. A defect inside a
    file costs a second, slower pass that finds its place.

    Names are mates if their first words are equal, or differ in a final ``/1`` ``/2``, ``_1``
    ``_2``, ``_R1`` ``_R2``, or ``.1`` ``.2`` after a number (``SRR1.7.1``, fastq-dump -I).
    """
    names = [os.fspath(path) for path in paths]
    if len(names) not in (1, 2):
        raise ValueError(
            f"a unit has one FASTQ file or two, but {len(names)} were given: {names}; "
            f"put each run in a row of its own"
        )
    readers: list[_Reader] = []
    mates = _Mates()
    interleaved = None
    with _quick_turns():
        try:
            readers.extend(_Reader(name) for name in names)
            size = 256
            # A list, so that the second file is read on where the first has ended.
            while any([reader.read(size) for reader in readers]):  # noqa: C419
                if len(readers) == 1:
                    if interleaved is None:
                        interleaved = _looks_interleaved(readers[0].batch)
                elif not any(reader.suspect for reader in readers):
                    mates.compare(*readers)
                size = min(reader.next_size() for reader in readers)
            for reader in readers:
                reader.finish()
        finally:
            for reader in readers:
                reader.close()

    files = tuple(reader.result() for reader in readers)
    defects = [reader.defect for reader in readers if reader.defect]
    warnings = [warning for reader in readers for warning in reader.warnings()]
    if interleaved and not defects:
        defects.append(
            f"{names[0]}: holds both mates of each pair one after the other ({interleaved}), so "
            f"each fragment would count twice; split it into R1 and R2 (seqkit split2 -p 2)"
        )
    if len(readers) == 2 and not defects:
        defects.extend(mates.defects(*files))
        warnings.extend(mates.warnings(*files))

    layout = "paired" if len(names) == 2 else "single"
    if defects:
        return FastqCheck("failed", "; ".join(defects), layout, None, files, tuple(warnings))
    fragments = files[0].reads
    if fragments == 0:
        reason = "; ".join(
            f"{name}: an intact gzip file that holds no reads; if reads were expected, "
            f"export or download it again"
            for name in names
        )
        return FastqCheck("empty", reason, layout, 0, files, tuple(warnings))
    return FastqCheck("ok", "", layout, fragments, files, tuple(warnings))


@contextlib.contextmanager
def _quick_turns() -> Iterator[None]:
    """Let threads take turns every 0.2 ms; with the usual 5 ms the decompression starves."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(2e-4)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


class _Hashed(io.RawIOBase):
    """A file that takes its own fingerprint, size and last bytes while others read it."""

    def __init__(self, raw: BinaryIO):
        self.raw = raw
        self.sha256 = hashlib.sha256()
        self.size = 0
        self.tail = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        n = self.raw.readinto(buffer)  # type: ignore[attr-defined]
        with memoryview(buffer)[:n] as block:
            self.sha256.update(block)
            keep = len(_BGZF_END)
            self.tail = (self.tail + bytes(block[-keep:] if n > keep else block))[-keep:]
        self.size += n
        return n


class _Source(io.RawIOBase):
    """The plain bytes of a file, decompressed and hashed in a thread ahead of the reader.

    A fixed set of buffers goes round between the two threads: fresh pages for every chunk would
    cost more time than the decompression itself.
    """

    def __init__(self, path: str, decode: bool, is_gzip: bool):
        self.head = b""
        self.plain_bytes = 0
        self.has_carriage_return = False
        self.error: Exception | None = None
        self.sha256: str | None = None
        self.size: int | None = None
        self.tail = b""
        self._empty: SimpleQueue[bytearray | None] = SimpleQueue()
        self._full: SimpleQueue[tuple[bytearray, int] | None] = SimpleQueue()
        self._buffer = bytearray()
        self._start = self._end = 0
        self._ended = False
        for _ in range(4 if decode else 1):
            self._empty.put(bytearray(_CHUNK_BYTES))
        self._thread = threading.Thread(
            target=self._produce, args=(path, decode, is_gzip), daemon=True
        )
        self._thread.start()

    def _produce(self, path: str, decode: bool, is_gzip: bool) -> None:
        try:
            with open(path, "rb", buffering=0) as raw:  # noqa: PTH123
                hashed = _Hashed(raw)  # type: ignore[arg-type]
                try:
                    if decode:
                        self._decode(GzipFile(fileobj=hashed, mode="rb") if is_gzip else hashed)
                except Exception as error:
                    # isal and gzip raise different classes; finish() looks for the cause itself.
                    self.error = error
                # What a damaged or foreign container left unread still belongs to the fingerprint.
                rest = bytearray(_CHUNK_BYTES)
                while hashed.readinto(rest):
                    pass
                self.sha256 = hashed.sha256.hexdigest()
                self.size = hashed.size
                self.tail = hashed.tail
        except Exception as error:
            self.error = error
        finally:
            self._full.put(None)

    def _decode(self, stream: Any) -> None:
        while (buffer := self._empty.get()) is not None:
            n = stream.readinto(buffer)
            if not n:
                return
            if not self.plain_bytes:
                self.head = bytes(buffer[: min(n, 16)])
            self.plain_bytes += n
            if not self.has_carriage_return and buffer.find(b"\r", 0, n) >= 0:
                self.has_carriage_return = True
            self._full.put((buffer, n))

    def readable(self) -> bool:
        return True

    def wait(self) -> bool:
        """Make the next bytes available; False at the end of the data."""
        while self._start == self._end and not self._ended:
            if self._buffer:
                self._empty.put(self._buffer)
                self._buffer = bytearray()
            item = self._full.get()
            if item is None:
                self._ended = True
            else:
                (self._buffer, self._end), self._start = item, 0
        return self._start < self._end

    def readinto(self, target: Any) -> int:
        if not self.wait():
            return 0
        n = min(len(target), self._end - self._start)
        target[:n] = memoryview(self._buffer)[self._start : self._start + n]
        self._start += n
        return n

    def drain(self) -> None:
        """Let the thread run to the end of the file, so that size and fingerprint are complete."""
        while self.wait():
            self._start = self._end
        self._thread.join()

    def stop(self) -> None:
        """Let the thread end early; only for a run that is interrupted."""
        self._empty.put(None)


class _Reader:
    """One FASTQ file on its way through the check: batches of records, tallies and its defect."""

    def __init__(self, path: str):
        self.path = path
        self.defect = ""
        self.suspect = ""
        self.batch: _Batch = []
        self.joined = (b"", b"")
        self.reads = self.bases = self.zero_length = self.max_length = 0
        self.min_length: int | None = None
        self._seen_bases = b""
        self._seen_qualities = b""
        self._is_bgzf = False
        self._source: _Source | None = None
        self._records: Iterator[dnaio.SequenceRecord] | None = None

        head = self._sniff()
        if head is None:
            return
        self.is_gzip = head.startswith(_GZIP_MAGIC)
        self._is_bgzf = self.is_gzip and head[3:4] == b"\x04" and head[12:14] == b"BC"
        self._source = _Source(path, decode=not self.defect, is_gzip=self.is_gzip)
        if self.defect:
            return
        self._source.wait()
        self.defect = _foreign_content(path, self._source.head)
        if not self.defect:
            self._guard(self._open_records)

    def _sniff(self) -> bytes | None:
        """First bytes of the file as stored; sets the defect, None where nothing can be read."""
        try:
            status = os.stat(self.path)  # noqa: PTH116
            if stat.S_ISDIR(status.st_mode):
                self.defect = f"{self.path}: is a folder; name the FASTQ file inside it"
                return None
            if not stat.S_ISREG(status.st_mode):
                self.defect = f"{self.path}: is not a regular file; write the reads to a file first"
                return None
            with open(self.path, "rb") as file:  # noqa: PTH123
                head = file.read(18)
        except FileNotFoundError:
            self.defect = f"{self.path}: does not exist; correct the path in the sample sheet"
            return None
        except (OSError, ValueError) as error:
            self.defect = f"{self.path}: cannot be read ({_words(error)}); mend its access rights"
            return None
        self.defect = _container_defect(self.path, head)
        return head

    def _open_records(self) -> None:
        self._records = iter(dnaio.FastqReader(self._source))  # type: ignore[arg-type]

    def _guard(self, step: Any) -> None:
        try:
            step()
        except dnaio.FileFormatError as error:
            self.suspect = str(error)

    def read(self, size: int) -> bool:
        """Read and tally the next batch of at most `size` records; False when there is none."""
        # list.extend keeps what came before the exception, so a defect late in a batch does not
        # hide one before it.
        self.batch = []
        records, self._records = self._records, None
        if records is None:
            return False
        self._guard(lambda: self.batch.extend(islice(records, size)))
        if self.batch:
            self._tally()
        if len(self.batch) == size and not self.suspect:
            self._records = records
        return bool(self.batch)

    def _tally(self) -> None:
        sequences = list(map(_sequence, self.batch))
        lengths = set(map(len, sequences))
        if 0 in lengths:
            self.zero_length += sequences.count("")
        if self.min_length is not None:
            lengths |= {self.min_length, self.max_length}
        self.min_length, self.max_length = min(lengths), max(lengths)
        bases = "".join(sequences).encode("ascii")
        qualities = "".join(map(_qualities, self.batch)).encode("ascii")
        self.joined = (bases, qualities)
        self.reads += len(self.batch)
        self.bases += len(bases)

        # Deleting the letters already met leaves only news: exact alphabets at the speed of C.
        if news := bases.translate(None, self._seen_bases):
            self._seen_bases += bytes(sorted(set(news)))
            if not _BASES.issuperset(self._seen_bases):
                self.suspect = "a base outside the IUPAC letters"
        if news := qualities.translate(None, self._seen_qualities):
            self._seen_qualities += bytes(sorted(set(news)))
            if not _QUALITIES.issuperset(self._seen_qualities):
                self.suspect = "a quality outside Phred+33"
        if not all(map(_name, self.batch)):
            self.suspect = "a record without a name"

    def next_size(self) -> int:
        """Records that hold about `_BATCH_BASES` bases."""
        low, high = _BATCH_READS
        return max(low, min(high, _BATCH_BASES * max(self.reads, 1) // max(self.bases, 1)))

    def finish(self) -> None:
        """Read the file to its end and settle its defect: container first, then records."""
        source = self._source
        if source is None:
            return
        source.drain()
        if self.defect and source.error is None:
            return
        if source.error is not None or (self.is_gzip and self._may_be_padded(source)):
            damage = _gzip_damage(self.path) if self.is_gzip else ""
            if damage:
                self.defect = f"{self.path}: {damage}"
            elif source.error is not None:
                words = _words(source.error)
                self.defect = f"{self.path}: cannot be read to its end ({words}); {_COPY_AGAIN}"
            if self.defect:
                return
        if self.suspect or source.has_carriage_return:
            with open(self.path, "rb") as raw:  # noqa: PTH123
                place = _first_defect(GzipFile(fileobj=raw, mode="rb") if self.is_gzip else raw)
            self.defect = f"{self.path}: {place or self.suspect}"
        elif self.reads and not self.bases:
            self.defect = (
                f"{self.path}: all {self.reads} reads have length zero; export the reads again"
            )
        elif self._is_phred64():
            self.defect = (
                f"{self.path}: qualities run from character {min(self._seen_qualities)} to "
                f"{max(self._seen_qualities)}, which is the old Illumina Phred+64 code; convert "
                f"them (seqkit convert --from Illumina-1.3+)"
            )

    def _may_be_padded(self, source: _Source) -> bool:
        # The gzip readers skip zero bytes after the last member; fastp refuses them. Only a file
        # whose last four bytes are not the length of its data needs the closer look.
        if source.tail[-1:] != b"\0" or (source.tail == _BGZF_END and source.plain_bytes):
            return False
        length = (source.plain_bytes & 0xFFFFFFFF).to_bytes(4, "little")
        return not source.plain_bytes or source.tail[-4:] != length

    def _is_phred64(self) -> bool:
        seen = self._seen_qualities
        return bool(seen) and min(seen) >= _PHRED64_BOTTOM and max(seen) > _PHRED33_USUAL_TOP

    def warnings(self) -> Iterator[str]:
        """What is odd about this file but does not change a count."""
        if self.defect or self._source is None:
            return
        if self._is_bgzf and self._source.tail != _BGZF_END:
            yield (
                f"{self.path}: the end block of bgzip is absent, so whole blocks may be missing; "
                f"compare its checksum with the source"
            )
        if not _LOWER.isdisjoint(self._seen_bases):
            yield (
                f"{self.path}: has lower-case bases, in which fastp finds no adapters; write them "
                f"in upper case (seqkit seq -u)"
            )
        if self.zero_length:
            yield f"{self.path}: has {self.zero_length} reads of length zero, which fastp drops"

    def result(self) -> FastqFile:
        """Give the counts, or None for each where the file was not read through."""
        source = self._source
        if source is None:
            return FastqFile(self.path)
        if self.defect:
            return FastqFile(self.path, source.size, source.sha256)
        scores = self._seen_qualities
        return FastqFile(
            file=self.path,
            bytes=source.size,
            sha256=source.sha256,
            reads=self.reads,
            bases=self.bases,
            min_length=self.min_length,
            max_length=self.max_length if self.reads else None,
            zero_length=self.zero_length,
            min_quality=min(scores) - 33 if scores else None,
            max_quality=max(scores) - 33 if scores else None,
        )

    def close(self) -> None:
        if self._source is not None:
            self._source.stop()


class _Mates:
    """What the two files of a pair have to say about each other, batch by batch."""

    def __init__(self) -> None:
        self.compared = 0
        self.identical = True
        self.different: tuple[int, str, str] | None = None
        self.one_sided: tuple[int, str, str] | None = None
        self.swapped: tuple[int, str, str] | None = None

    def compare(self, first: _Reader, second: _Reader) -> None:
        """Compare the current batches of R1 and R2; places are kept for the first of each kind."""
        self.identical = self.identical and first.joined == second.joined
        n = min(len(first.batch), len(second.batch))
        batches = first.batch[:n], second.batch[:n]
        if n and not self.different and not self.one_sided and not _are_mates_at_a_glance(*batches):
            self._compare_each(*batches)
        self.compared += n

    def _compare_each(self, first: _Batch, second: _Batch) -> None:
        pairs = zip(map(_name, first), map(_name, second), strict=True)
        for record, pair in enumerate(pairs, start=self.compared + 1):
            sides = _sides(*pair)
            if sides is None:
                self.different = (record, *pair)
                return
            if sides[0] and sides[0] == sides[1]:
                self.one_sided = (record, *pair)
                return
            if sides == ("2", "1") and not self.swapped:
                self.swapped = (record, *pair)

    def defects(self, first: FastqFile, second: FastqFile) -> Iterator[str]:
        """Sentences on what makes the two files no pair, the most telling alone."""
        if first.reads and first.reads == second.reads and self.identical:
            yield (
                f"{first.file} and {second.file}: hold the same reads from record 1 to the last, "
                f"record {first.reads}; give the file of the second mates as R2"
            )
            return
        counts = ""
        if first.reads != second.reads:
            counts = f"{first.file} holds {first.reads} reads but {second.file} {second.reads}"
        if self.different:
            record, name1, name2 = self.different
            names = f"names are not mates at record {record}: {name1!r} and {name2!r}"
            both = f" ({counts})" if counts else ""
            yield (
                f"{first.file} and {second.file}: {names}{both}; give the two files of one run, "
                f"or restore their common order (seqkit pair)"
            )
        elif self.one_sided:
            record, name1, name2 = self.one_sided
            side = (_sides(name1, name2) or ("?",))[0]
            yield (
                f"{first.file} and {second.file}: both are read {side} at record {record}: "
                f"{name1!r} and {name2!r}; give the file of the other mates as R{3 - int(side)}"
            )
        elif counts:
            shared = min(first.reads or 0, second.reads or 0)
            yield (
                f"{counts}: mates are missing after record {shared}; {_COPY_AGAIN}, or keep only "
                f"whole pairs (seqkit pair)"
            )

    def warnings(self, first: FastqFile, second: FastqFile) -> Iterator[str]:
        """What is odd about the pair but changes no count."""
        if self.swapped:
            record, name1, name2 = self.swapped
            yield (
                f"{first.file} and {second.file}: R1 and R2 are swapped from record {record}: "
                f"{name1!r} and {name2!r}; counts of fragments do not depend on it"
            )


def _words(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _container_defect(path: str, head: bytes) -> str:
    """Say where the first bytes of a file contradict its name or name no gzip; else empty."""
    if not head:
        return f"{path}: has zero bytes, so not even a gzip header; {_COPY_AGAIN}"
    for magic, kind, command in _OTHER_COMPRESSIONS:
        if head.startswith(magic):
            return (
                f"{path}: is compressed with {kind}, which fastp does not read; convert it "
                f"({command} FILE | gzip > NAME.fastq.gz)"
            )
    if head.startswith(_GZIP_MAGIC):
        if not path.endswith(".gz"):
            return (
                f"{path}: holds gzip data but its name does not end in .gz, by which fastp "
                f"decides; rename it to end in .fastq.gz"
            )
    elif path.endswith(".gz"):
        plain = "holds plain FASTQ text" if head.startswith(b"@") else "holds no gzip data"
        return (
            f"{path}: {plain} although its name ends in .gz (byte 0 is {head[0]:#04x}, not 0x1f); "
            f"rename it to end in .fastq if it is plain text, or {_COPY_AGAIN}"
        )
    return ""


def _foreign_content(path: str, head: bytes) -> str:
    """Say what the decompressed data are where they are surely no FASTQ; else empty."""
    kind = ""
    if head.startswith(b">"):
        return (
            f"{path}: is FASTA, not FASTQ (record 1 starts with '>'): it has no base qualities; "
            f"give the FASTQ file it was made from"
        )
    if head.startswith(_GZIP_MAGIC):
        return f"{path}: is compressed with gzip twice; decompress it once (gzip -dc)"
    if head.startswith(b"\xef\xbb\xbf"):
        return f"{path}: starts with a byte order mark; remove the first 3 bytes (tail -c +4)"
    if head.startswith((b"BAM\x01", b"CRAM")):
        kind = head[:4].decode("ascii").rstrip("\x01")
    elif re.match(rb"@(HD|SQ|RG|PG|CO)\t", head):
        kind = "SAM"
    if kind:
        return f"{path}: is {kind}, not FASTQ; convert it (samtools fastq)"
    if re.match(rb"\s*<[!?a-zA-Z]", head):
        return f"{path}: is a web page or XML, not FASTQ; download the file itself again"
    return ""


def _gzip_damage(path: str) -> str:
    """Find the first damage of a gzip file, member by member; empty where it is intact."""
    member = 0
    with open(path, "rb") as file:  # noqa: PTH123
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        data = file.read(_MEMBER_BYTES)
        while data:
            if not data.startswith(_GZIP_MAGIC):
                data += file.read(1)
            if not (_GZIP_MAGIC.startswith(data) or data.startswith(_GZIP_MAGIC)):
                zeros = not data.strip(b"\0")
                while zeros and (block := file.read(_MEMBER_BYTES)):
                    zeros = not block.strip(b"\0")
                return (
                    f"gzip data end at byte {member} of {size}, and "
                    f"{'zero padding' if zeros else 'something that is not gzip'} follows, which "
                    f"fastp refuses; keep the sound part (head -c {member}) if that is all of it, "
                    f"or {_COPY_AGAIN}"
                )
            inflate = zlib.decompressobj(31)
            try:
                while data and not inflate.eof:
                    while data and not inflate.eof:
                        inflate.decompress(data, _CHUNK_BYTES)
                        data = inflate.unconsumed_tail
                    if not inflate.eof:
                        data = file.read(_MEMBER_BYTES)
                        if not data:
                            # Output held back by the length limit can end the member.
                            inflate.decompress(b"", _CHUNK_BYTES)
            except zlib.error as error:
                what = "checksum" if "check" in str(error) else "data"
                return (
                    f"gzip {what} error in the member that starts at byte {member} of {size} "
                    f"({error}): the file was altered; {_COPY_AGAIN}"
                )
            if not inflate.eof:
                return (
                    f"truncated: the gzip member that starts at byte {member} does not end before "
                    f"the file does, at byte {size}; {_COPY_AGAIN}"
                )
            data = inflate.unused_data
            member = file.tell() - len(data)
            data = data or file.read(_MEMBER_BYTES)
    return ""


def _first_defect(lines: Iterable[bytes]) -> str:
    """Find the first record that is not FASTQ, by the plainest reading of the format.

    Much slower than dnaio, so it only ever explains a defect that is already known to exist.
    """
    lines = iter(lines)
    record = 0
    while header := next(lines, b""):
        record += 1
        rows = [header, *islice(lines, 3)]
        if defect := _record_defect(rows):
            return f"record {record} (line {4 * record - 3}) {defect}"
    return ""


def _record_defect(rows: list[bytes]) -> str:
    header, *_ = rows
    if b"\r" in b"".join(rows):
        return (
            "has a carriage return (Windows line ends), which Kraken2 would keep; convert the file "
            "(dos2unix, or tr -d '\\r')"
        )
    text = [row.removesuffix(b"\n") for row in rows]
    if not text[0]:
        return "is a blank line; remove blank lines (sed '/^$/d' if no read has length zero)"
    if not header.startswith(b"@"):
        return (
            f"starts with {chr(header[0])!r} where '@' is due: lines are missing or in excess, or "
            f"a sequence runs over several lines; export the reads again with four lines a record"
        )
    if len(rows) > 2 and not rows[2].startswith(b"+"):
        found = repr(chr(text[2][0])) if text[2] else "a blank line"
        return (
            f"has {found} in its third line where '+' is due: lines are missing or in excess, or a "
            f"sequence runs over several lines; export the reads again with four lines a record"
        )
    if len(rows) < 4:
        return f"is cut short, {len(rows)} of 4 lines: the file is truncated; {_COPY_AGAIN}"
    for what, row in zip(("name", "sequence", "third line", "quality line"), text, strict=True):
        if not row.isascii():
            return f"has a character outside ASCII in its {what}; replace it, or {_COPY_AGAIN}"
    name, sequence, repeat, quality = (row.decode("ascii") for row in text)
    if not name[1:]:
        return "has no name after '@'; export the reads again with names"
    if repeat[1:] and repeat[1:] != name[1:]:
        return (
            f"has two names, {name[1:]!r} and {repeat[1:]!r} after '+': lines are lost or mixed; "
            f"{_COPY_AGAIN}"
        )
    if len(sequence) != len(quality):
        return (
            f"({name[1:]!r}) has {len(sequence)} bases but {len(quality)} qualities: lines are "
            f"lost or cut; {_COPY_AGAIN}"
        )
    for position, base in enumerate(sequence, start=1):
        if ord(base) not in _BASES:
            remedy = {
                "U": "convert RNA letters (seqkit seq --rna2dna)",
                "u": "convert RNA letters (seqkit seq --rna2dna)",
                ".": "write unknown bases as N",
            }.get(base, "export the reads again with IUPAC letters only")
            return f"({name[1:]!r}) has {base!r} as base {position}; {remedy}"
    for position, score in enumerate(quality, start=1):
        if ord(score) not in _QUALITIES:
            return (
                f"({name[1:]!r}) has character {ord(score)} as quality {position}, outside "
                f"Phred+33 (33 to 126); export the qualities again as Phred+33"
            )
    return ""


def _sides(first: str, second: str) -> tuple[str, str] | None:
    """Sides of two read names, "1", "2" or "" where not told; None if they are not mates.

    >>> _sides("M1:1:1 1:N:0:ACGT", "M1:1:1 2:N:0:ACGT")
    ('1', '2')
    >>> _sides("SRR1.7.1 7 length=100", "SRR1.7.2 7 length=100")
    ('1', '2')
    >>> _sides("ERR1.7 7/1", "ERR1.7 7/2")
    ('1', '2')
    >>> _sides("SRR1.7", "SRR1.7")
    ('', '')
    >>> _sides("SRR1.7", "SRR1.8") is None
    True
    """
    id1, comment1 = _split(first)
    id2, comment2 = _split(second)
    if id1 != id2:
        match1, match2 = _MATE_SUFFIX.fullmatch(id1), _MATE_SUFFIX.fullmatch(id2)
        if not match1 or not match2 or match1[1] != match2[1]:
            return None
        return match1[2], match2[2]
    if id1.endswith(("/1", "/2")):
        return id1[-1], id1[-1]
    return _comment_side(comment1), _comment_side(comment2)


def _split(name: str) -> tuple[str, str]:
    # As dnaio parts them: at the first space or tab, so a name may start with an empty word.
    first = _FIRST_WORD.match(name)[0]  # type: ignore[index]
    return first, name[len(first) + 1 :]


def _comment_side(comment: str) -> str:
    match = _MATE_COMMENT.search(comment)
    return (match[1] or match[2]) if match else ""


def _are_mates_at_a_glance(first: _Batch, second: _Batch) -> bool:
    """Settle a whole batch of mates in their usual sides at once; False means look at each.

    Rewriting the side in all names of R2 together and comparing one long string is several times
    faster than looking at each pair. A name of R2 that keeps the side of R1 spoils the shortcut.
    The first record says how a batch tells its sides.
    """
    sides = _sides(first[0].name, second[0].name)
    names1 = "\n".join(map(_name, first)) + "\n"
    names2 = "\n".join(map(_name, second)) + "\n"
    if sides == ("1", "2"):
        return any(
            side1 not in names2 and names2.replace(side2, side1) == names1
            for side1, side2 in ((" 1:", " 2:"), ("/1\n", "/2\n"))
        ) or (
            # fastq-dump -I and "/1" before a comment: the side ends the first word.
            all(name[-1:] == "1" for name in map(_id, first))
            and all(map(_MATE_SUFFIX.fullmatch, map(_id, first)))
            and all(name[-1:] == "2" for name in map(_id, second))
            and [name[:-1] for name in map(_id, first)] == [name[:-1] for name in map(_id, second)]
        )
    return sides == ("", "") and (
        names1 == names2 or list(map(_id, first)) == list(map(_id, second))
    )


def _looks_interleaved(batch: _Batch) -> str:
    """Name the first two records where every two neighbours of a batch are mates; else empty."""
    names = list(map(_name, batch))
    pairs = list(zip(names[::2], names[1::2], strict=False))
    stems = {_split(first)[0] for first, _ in pairs}
    # One pair, or the same name again and again, could be chance.
    if len(pairs) < 2 or len(stems) < len(pairs):
        return ""
    if all((sides := _sides(*pair)) and (sides[0] != sides[1] or not sides[0]) for pair in pairs):
        return f"records 1 and 2 are {names[0]!r} and {names[1]!r}"
    return ""
