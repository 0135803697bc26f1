"""The FASTQ check: sound files pass with exact counts, every defect is named with its remedy."""

import bz2
import gzip
import hashlib
import json
import lzma
import os
import shutil
import sys
import threading
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moodbiome import fastq
from moodbiome.fastq import check_fastq

DATA = Path(__file__).parents[3] / "shared" / "data"
STOOL = DATA / "shotgun_stool8" / "reads"
MOCK = DATA / "amplicon_mock" / "reads"


def record(name="r", sequence="ACGT", quality=None, repeat=""):
    quality = "I" * len(sequence) if quality is None else quality
    return f"@{name}\n{sequence}\n+{repeat}\n{quality}\n".encode()


def reads(n=6, name="r{i}", bases="ACGT"):
    return b"".join(record(name.format(i=i), bases[i % 4 :] + bases * 2) for i in range(1, n + 1))


def member(plain):
    return gzip.compress(plain, mtime=0)


def bgzf(plain, block=100, end=True):
    """Blocks as bgzip writes them: gzip members whose extra field BC gives their own size."""
    out = b""
    for start in range(0, len(plain), block):
        part = plain[start : start + block]
        deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        body = deflate.compress(part) + deflate.flush()
        size = (len(body) + 25).to_bytes(2, "little")
        out += bytes.fromhex("1f8b08040000000000ff060042430200") + size + body
        out += zlib.crc32(part).to_bytes(4, "little") + len(part).to_bytes(4, "little")
    return out + (fastq._BGZF_END if end else b"")


def check(folder, *contents, names=("a_R1.fastq.gz", "a_R2.fastq.gz")):
    paths = [folder / name for name in names[: len(contents)]]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return check_fastq(paths)


def assert_failed(verdict, *told):
    assert verdict.status == "failed"
    assert verdict.fragments is None
    for words in told:
        assert words in verdict.reason
    assert "\n" not in verdict.reason


def test_counts_by_hand(tmp_path):
    plain = record("a", "ACGTN", "!5:?J") + record("b", "AC") + record("c", "")
    verdict = check(tmp_path, member(plain))
    (file,) = verdict.files
    assert (verdict.status, verdict.reason, verdict.layout) == ("ok", "", "single")
    assert verdict.fragments == 3
    assert (file.reads, file.bases, file.min_length, file.max_length) == (3, 7, 0, 5)
    assert (file.zero_length, file.min_quality, file.max_quality) == (1, 0, 41)
    assert file.bytes == len(member(plain))
    assert file.sha256 == hashlib.sha256(member(plain)).hexdigest()
    assert "1 reads of length zero" in verdict.warnings[0]


def test_a_pair_counts_once(tmp_path):
    verdict = check(tmp_path, member(reads(5)), member(reads(5, bases="TTGA")))
    assert (verdict.status, verdict.layout, verdict.fragments) == ("ok", "paired", 5)
    assert [file.reads for file in verdict.files] == [5, 5]


def test_verdict_is_json_and_names_the_files_as_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x.fastq").write_bytes(reads(2))
    as_text = json.dumps(check_fastq(["x.fastq"]).as_dict())
    assert json.loads(as_text)["files"][0]["file"] == "x.fastq"
    assert str(tmp_path) not in as_text
    assert json.dumps(check_fastq(["x.fastq"]).as_dict()) == as_text


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (reads(6), "a.fastq"),
        (reads(6)[:-1], "a.fq"),
        (member(reads(6)), "a.fastq.gz"),
        (member(reads(3)) + member(reads(3)), "a.fastq.gz"),
        (member(b"") + member(reads(6)) + member(b""), "a.fastq.gz"),
        (bgzf(reads(6)), "a.fastq.gz"),
        (b"".join(record(f"r{i}", repeat=f"r{i}") for i in range(6)), "a.fastq"),
        (member(b"".join(record(f"r{i}", "RYSWKMBDHV") for i in range(6))), "a.fastq.gz"),
        (member(b"".join(record(f"r{i}", "A" * 90, "~!" * 45) for i in range(6))), "a.fastq.gz"),
    ],
    ids=["plain", "no last newline", "gzip", "two members", "empty members", "bgzip",
         "repeated name", "IUPAC", "whole Phred+33 range"],
)  # fmt: skip
def test_sound_forms_pass_without_a_word(tmp_path, content, name):
    verdict = check(tmp_path, content, names=(name,))
    assert (verdict.status, verdict.reason, verdict.fragments) == ("ok", "", 6)
    assert verdict.warnings == ()


def test_gzip_of_no_reads_is_empty_not_failed(tmp_path):
    verdict = check(tmp_path, member(b""), member(b""))
    assert (verdict.status, verdict.fragments) == ("empty", 0)
    assert "a_R1.fastq.gz: an intact gzip file that holds no reads" in verdict.reason
    assert verdict.files[0].min_length is None


@pytest.mark.parametrize("content", [bgzf(b""), member(b"") + member(b"")])
def test_other_empty_containers_are_empty_too(tmp_path, content):
    assert check(tmp_path, content).status == "empty"


GZ = member(reads(40))
LATER = len(member(reads(3)))
WRONG_CRC = GZ[:-8] + bytes([GZ[-8] ^ 1]) + GZ[-7:]
OK = reads(3)
GZ_NAME, PLAIN_NAME = "a.fastq.gz", "a.fastq"
FOUR_LINES = "four lines a record"

SINGLE_DEFECTS = {
    "zero bytes": (b"", PLAIN_NAME, ["has zero bytes", "copy or download"]),
    "zero bytes gz": (b"", GZ_NAME, ["has zero bytes", "copy or download"]),
    "gzip cut in data": (GZ[:-30], GZ_NAME, ["truncated", f"byte {len(GZ) - 30}", "copy"]),
    "gzip cut in trailer": (GZ[:-3], GZ_NAME, ["truncated", f"at byte {len(GZ) - 3}"]),
    "gzip cut in header": (GZ[:7], GZ_NAME, ["truncated", "starts at byte 0", "at byte 7"]),
    "second member cut": (
        member(reads(3)) + GZ[:-20],
        GZ_NAME,
        ["truncated", f"member that starts at byte {LATER}", "copy"],
    ),
    "second header cut": (member(reads(3)) + GZ[:1], GZ_NAME, ["truncated", f"byte {LATER} "]),
    "bgzip cut": (bgzf(reads(9))[:-40], GZ_NAME, ["truncated", "copy or download"]),
    "bgzip cut between blocks": (
        bgzf(reads(9), 100, end=False)[: len(bgzf(reads(9)[:100], 100, end=False))],
        GZ_NAME,
        ["is cut short", "truncated"],
    ),
    "text after gzip": (
        member(OK) + b"hello",
        GZ_NAME,
        ["not gzip", f"byte {LATER} of {LATER + 5}", f"head -c {LATER}"],
    ),
    "zeros after gzip": (member(OK) + bytes(5), GZ_NAME, ["zero padding", f"byte {LATER}"]),
    "zeros after bgzip": (bgzf(OK) + bytes(99), GZ_NAME, ["zero padding", "head -c"]),
    "zeros after empty gzip": (member(b"") + b"\0", GZ_NAME, ["zero padding", "head -c"]),
    "wrong checksum": (WRONG_CRC, GZ_NAME, ["checksum error", "starts at byte 0", "copy"]),
    "wrong length": (GZ[:-1] + b"\1", GZ_NAME, ["gzip", "error", "starts at byte 0", "copy"]),
    "damaged data": (GZ[:20] + b"\xff" * 8 + GZ[28:], GZ_NAME, ["gzip", "error", "copy"]),
    "text named gz": (OK, GZ_NAME, ["plain FASTQ text", "byte 0 is 0x40", "rename"]),
    "noise named gz": (b"\0\1\2\3", GZ_NAME, ["holds no gzip data", "byte 0 is 0x00"]),
    "gzip not named gz": (member(OK), PLAIN_NAME, ["does not end in .gz", "fastp", "rename"]),
    "gzip named GZ": (member(OK), "a.fastq.GZ", ["does not end in .gz", "rename"]),
    "bzip2": (bz2.compress(OK), "a.fastq.bz2", ["bzip2", "bzip2 -dc FILE | gzip"]),
    "xz": (lzma.compress(OK), "a.fastq.xz", ["xz", "xz -dc FILE | gzip"]),
    "zstd": (b"\x28\xb5\x2f\xfd\x04", "a.fastq.zst", ["zstd", "zstd -dc FILE | gzip"]),
    "zstd named gz": (b"\x28\xb5\x2f\xfd\x04", GZ_NAME, ["zstd", "zstd -dc FILE | gzip"]),
    "zip": (b"PK\x03\x04rest", "a.zip", ["zip", "unzip -p FILE | gzip"]),
    "gzip twice": (member(member(OK)), GZ_NAME, ["gzip twice", "gzip -dc"]),
    "FASTA": (b">r1\nACGT\n", PLAIN_NAME, ["FASTA", "record 1", "no base qualities"]),
    "FASTA gz": (member(b">r1\nACGT\n"), GZ_NAME, ["FASTA", "record 1", "give the FASTQ"]),
    "SAM": (b"@HD\tVN:1.6\n@SQ\tSN:1\tLN:9\n", PLAIN_NAME, ["SAM", "samtools fastq"]),
    "BAM": (bgzf(b"BAM\x01" + bytes(40)), GZ_NAME, ["BAM", "samtools fastq"]),
    "web page": (b"<!DOCTYPE html><p>Log in", PLAIN_NAME, ["web page", "download"]),
    "byte order mark": (b"\xef\xbb\xbf" + OK, PLAIN_NAME, ["byte order mark", "tail -c +4"]),
    "one cell": (b"x", PLAIN_NAME, ["record 1", "'x'", "'@'"]),
    "no at sign": (OK + b"r4\nACGT\n+\nIIII\n", PLAIN_NAME, ["record 4", "line 13", FOUR_LINES]),
    "no plus": (OK + b"@r4\nACGT\n-\nIIII\n", PLAIN_NAME, ["record 4", "'-'", FOUR_LINES]),
    "two sequence lines": (
        OK + b"@r4\nAC\nGT\n+\nIIII\n",
        PLAIN_NAME,
        ["record 4", "several lines", FOUR_LINES],
    ),
    "line lost": (
        record("r1") + b"@r2\nACGT\n+\n" + record("r3") + record("r4"),
        PLAIN_NAME,
        ["record 2", "4 bases but 3 qualities", "lines are lost"],
    ),
    "other name after plus": (
        OK + record("r4", repeat="r5") + record("r6"),
        PLAIN_NAME,
        ["record 4", "'r4' and 'r5'", "copy"],
    ),
    "short quality": (
        OK + record("r4", "ACGT", "III") + OK,
        PLAIN_NAME,
        ["record 4 (line 13)", "'r4'", "4 bases but 3 qualities", "copy"],
    ),
    "long quality": (record("r1", "AC", "III"), PLAIN_NAME, ["record 1", "2 bases but 3"]),
    "record cut after name": (OK + b"@r4", PLAIN_NAME, ["record 4", "1 of 4 lines", "truncated"]),
    "record cut after plus": (
        OK + b"@r4\nACGT\n+\n",
        PLAIN_NAME,
        ["record 4", "3 of 4 lines", "copy"],
    ),
    "record cut in quality": (OK[:-2], PLAIN_NAME, ["record 3", "bases but", "copy"]),
    "record cut inside gzip": (member(OK[:-2]), GZ_NAME, ["record 3", "bases but", "copy"]),
    "blank first line": (b"\n" + OK, PLAIN_NAME, ["record 1", "blank line", "remove"]),
    "blank line between": (OK + b"\n" + OK, PLAIN_NAME, ["record 4", "blank line", "sed"]),
    "blank last line": (OK + b"\n", PLAIN_NAME, ["record 4 (line 13)", "blank line", "sed"]),
    "Windows line ends": (
        OK.replace(b"\n", b"\r\n"),
        PLAIN_NAME,
        ["record 1", "carriage return", "Kraken2", "dos2unix"],
    ),
    "one Windows record": (
        member(OK + record("r4").replace(b"\n", b"\r\n")),
        GZ_NAME,
        ["record 4", "carriage return", "tr -d"],
    ),
    "no name": (OK + record(""), PLAIN_NAME, ["record 4", "no name", "export"]),
    "name outside ASCII": (OK + record("é"), PLAIN_NAME, ["record 4", "outside ASCII", "name"]),
    "star": (OK + record("r4", "AC*T"), PLAIN_NAME, ["record 4", "'*' as base 3", "IUPAC"]),
    "space in sequence": (OK + record("r4", "AC T"), PLAIN_NAME, ["record 4", "' ' as base 3"]),
    "dot for N": (OK + record("r4", "AC.T"), PLAIN_NAME, ["record 4", "'.' as base 3", "as N"]),
    "RNA": (OK + record("r4", "ACGU"), PLAIN_NAME, ["record 4", "'U' as base 4", "rna2dna"]),
    "first of two": (
        OK + record("r4", "AC*T") + record("r5", "ACGT", "III"),
        PLAIN_NAME,
        ["record 4", "'*' as base 3"],
    ),
    "space as quality": (
        OK + record("r4", "ACGT", "II I"),
        PLAIN_NAME,
        ["record 4", "character 32 as quality 3", "Phred+33"],
    ),
    "control character as quality": (
        OK + record("r4", "ACGT", "I\x7fII"),
        PLAIN_NAME,
        ["record 4", "character 127 as quality 2"],
    ),
    "Phred+64": (
        record("r1", "ACGT", "hhgB") + record("r2", "ACGT", "@eff"),
        PLAIN_NAME,
        ["character 64 to 104", "Phred+64", "seqkit convert"],
    ),
    "all reads of length zero": (
        record("r1", "") + record("r2", ""),
        PLAIN_NAME,
        ["all 2 reads have length zero", "export"],
    ),
    "interleaved, Casava": (
        b"".join(record(f"r{i} {side}:N:0:1") for i in range(9) for side in (1, 2)),
        PLAIN_NAME,
        ["both mates", "records 1 and 2 are 'r0 1:N:0:1' and 'r0 2:N:0:1'", "split"],
    ),
    "interleaved, plain": (
        b"".join(record(f"SRR1.{i}") for i in range(9) for _ in (1, 2)),
        PLAIN_NAME,
        ["both mates", "'SRR1.0' and 'SRR1.0'", "count twice"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("defect", SINGLE_DEFECTS)
def test_defect_of_a_file_is_named_with_place_and_remedy(tmp_path, defect):
    content, name, told = SINGLE_DEFECTS[defect]
    verdict = check(tmp_path, content, names=(name,))
    assert_failed(verdict, str(tmp_path / name), *told)
    assert verdict.files[0].bytes == len(content)
    assert verdict.files[0].sha256 == hashlib.sha256(content).hexdigest()


# A file of both mates beside an R1 is told by the numbers, not as interleaved.
@pytest.mark.parametrize("defect", [key for key in SINGLE_DEFECTS if "interleaved" not in key])
def test_defect_of_r2_fails_the_pair_and_is_blamed_on_r2_alone(tmp_path, defect):
    content, name, told = SINGLE_DEFECTS[defect]
    verdict = check(tmp_path, member(OK), content, names=("b_R1.fastq.gz", name))
    assert_failed(verdict, str(tmp_path / name), *told)
    assert "b_R1" not in verdict.reason
    assert verdict.files[0].reads == 3
    assert verdict.files[1].reads is None


def test_both_defective_files_are_told(tmp_path):
    assert_failed(
        check(tmp_path, GZ[:-9], OK), "R1.fastq.gz: truncated", "R2.fastq.gz: holds plain"
    )


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: None, ["does not exist", "sample sheet"]),
        (lambda path: path.mkdir(), ["is a folder", "name the FASTQ file"]),
        (lambda path: path.symlink_to("nowhere"), ["does not exist", "sample sheet"]),
        (lambda path: path.symlink_to(path.name), ["cannot be read", "access rights"]),
    ],
    ids=["missing", "folder", "dangling link", "link to itself"],
)
def test_path_that_cannot_be_read_is_named(tmp_path, make, told):
    path = tmp_path / "s.fastq.gz"
    make(path)
    verdict = check_fastq([path])
    assert_failed(verdict, str(path), *told)
    assert verdict.files[0].bytes is None


def test_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "p.fastq")
    assert_failed(check_fastq([tmp_path / "p.fastq"]), "not a regular file")


@pytest.mark.parametrize("number", [0, 3])
def test_other_numbers_of_files_are_an_error_of_the_caller(number):
    with pytest.raises(ValueError, match=rf"one FASTQ file or two, but {number} were given"):
        check_fastq(["x.fastq"] * number)


def mates(name1, name2, n=600, first=1):
    one = b"".join(record(name1.format(i=i, j=i), "ACGTA") for i in range(first, first + n))
    two = b"".join(record(name2.format(i=i, j=i + 1), "TTTT") for i in range(first, first + n))
    return member(one), member(two)


@pytest.mark.parametrize(
    ("name1", "name2"),
    [
        ("r{i}/1", "r{i}/2"),
        ("M1:7:A:1:{i} 1:N:0:ACGT", "M1:7:A:1:{i} 2:N:0:ACGT"),
        ("M1:7:A:1:{i} 1:Y:18:", "M1:7:A:1:{i} 2:N:0:TT"),
        ("M1:7:A:1:{i}/1 1:N:0:A", "M1:7:A:1:{i}/2 2:N:0:A"),
        ("ERR1.{i} {i}/1", "ERR1.{i} {i}/2"),
        ("ERR1.{i} HWI:{i}/1 length=5", "ERR1.{i} HWI:{i}/2 length=4"),
        ("SRR1.{i}", "SRR1.{i}"),
        ("SRR1.{i} {i} length=5", "SRR1.{i} {i} length=4"),
        ("SRR1.{i}.1", "SRR1.{i}.2"),
        ("SRR1.{i}.1 {i} length=5", "SRR1.{i}.2 {i} length=4"),
        ("frag{i}_1", "frag{i}_2"),
        ("frag{i}_R1", "frag{i}_R2"),
        ("V300L1C001R{i}/1", "V300L1C001R{i}/2"),
        ("x.{i}.1", "x.{i}.1"),
        ("a{i}\t1:N:0:A", "a{i}\t2:N:0:A"),
    ],
)
def test_names_of_mates_are_understood(tmp_path, name1, name2):
    verdict = check(tmp_path, *mates(name1, name2))
    assert (verdict.status, verdict.reason, verdict.warnings) == ("ok", "", ())


@pytest.mark.parametrize(
    ("name1", "name2", "record_number"),
    [
        ("r{i}/1", "r{j}/2", 1),
        ("M1:1:{i} 1:N:0:A", "M1:1:{j} 2:N:0:A", 1),
        ("SRR1.{i}", "SRR1.{j}", 1),
        ("SRR1.{i}.1", "SRR1.{j}.2", 1),
        ("frag_{i}", "frag_{j}", 2),
        ("a{i}", "b{i}", 1),
        ("r{i}x1", "r{i}x2", 1),
    ],
)
def test_names_of_strangers_are_told_with_their_record(tmp_path, name1, name2, record_number):
    verdict = check(tmp_path, *mates(name1, name2))
    names = [name.format(i=record_number, j=record_number + 1) for name in (name1, name2)]
    assert_failed(
        verdict, f"at record {record_number}: {names[0]!r} and {names[1]!r}", "seqkit pair"
    )
    assert [file.reads for file in verdict.files] == [600, 600]


@pytest.mark.parametrize("odd", [1, 2, 255, 256, 257, 599, 600])
def test_one_stranger_anywhere_is_found(tmp_path, odd):
    one, two = (gzip.decompress(part) for part in mates("r{i} 1:N:0:A", "r{i} 2:N:0:A"))
    two = two.replace(b"@r%d 2:" % odd, b"@q%d 2:" % odd)
    verdict = check(tmp_path, member(one), member(two))
    assert_failed(verdict, f"at record {odd}: 'r{odd} 1:N:0:A' and 'q{odd} 2:N:0:A'")


@pytest.mark.parametrize("odd", [1, 256, 600])
@pytest.mark.parametrize("style", ["r{i} %d:N:0:A", "r{i}/%d", "ERR.{i} {i}/%d"])
def test_r1_given_as_r2_is_found_by_its_own_label(tmp_path, odd, style):
    one, two = (gzip.decompress(part) for part in mates(style % 1, style % 2))
    label1, label2 = (style.format(i=odd) % side for side in (1, 2))
    two = two.replace(f"@{label2}\n".encode(), f"@{label1}\n".encode())
    verdict = check(tmp_path, member(one), member(two))
    assert_failed(verdict, f"both are read 1 at record {odd}: {label1!r} and {label1!r}", "as R2")


def test_both_files_of_second_mates_lack_r1(tmp_path):
    verdict = check(tmp_path, *mates("r{i} 2:N:0:A", "r{i} 2:N:0:A"))
    assert_failed(verdict, "both are read 2 at record 1", "as R1")


@pytest.mark.parametrize("style", ["r{i} %d:N:0:A", "r{i}/%d", "S.{i}.%d"])
def test_swapped_mates_pass_with_a_warning(tmp_path, style):
    verdict = check(tmp_path, *mates(style % 2, style % 1))
    assert verdict.status == "ok"
    assert "R1 and R2 are swapped from record 1" in verdict.warnings[0]


def test_same_file_twice_is_no_pair(tmp_path):
    path = tmp_path / "a_R1.fastq.gz"
    path.write_bytes(member(reads(5)))
    assert_failed(check_fastq([path, path]), str(path), "same reads", "record 5", "as R2")


def test_same_reads_in_another_container_are_no_pair(tmp_path):
    verdict = check(tmp_path, member(reads(300)), bgzf(reads(300), 5000))
    assert_failed(verdict, "a_R1.fastq.gz", "a_R2.fastq.gz", "same reads", "record 300")
    assert verdict.files[0].sha256 != verdict.files[1].sha256


@pytest.mark.parametrize(("n1", "n2"), [(5, 4), (4, 5), (1000, 300), (256, 257), (3, 0), (0, 3)])
def test_unequal_numbers_of_mates_are_both_told(tmp_path, n1, n2):
    verdict = check(tmp_path, member(reads(n1)), member(reads(n2, bases="GGCA")))
    assert_failed(
        verdict,
        f"a_R1.fastq.gz holds {n1} reads but {tmp_path / 'a_R2.fastq.gz'} {n2}",
        f"after record {min(n1, n2)}",
        "seqkit pair",
    )
    assert [file.reads for file in verdict.files] == [n1, n2]


def test_mate_lost_in_the_middle_tells_place_and_numbers(tmp_path):
    two = reads(700, bases="GGCA")
    lost = two.replace(record("r400", "GGCAGGCAGGCA"), b"")
    assert lost != two
    verdict = check(tmp_path, member(reads(700)), member(lost))
    assert_failed(verdict, "at record 400: 'r400' and 'r401'", "holds 700 reads", "699")


def test_cut_between_members_shows_only_in_a_pair(tmp_path):
    # A single file cut there is itself a sound file: nothing in it tells that more was to come.
    whole = member(reads(3)) + member(reads(3, name="s{i}"))
    cut = member(reads(3, bases="GGCA"))
    assert check(tmp_path, cut).status == "ok"
    assert_failed(check(tmp_path, whole, cut), "holds 6 reads", " 3: mates are missing")


def test_absent_bgzip_end_block_is_a_warning(tmp_path):
    verdict = check(tmp_path, bgzf(reads(6), end=False))
    assert (verdict.status, verdict.fragments) == ("ok", 6)
    assert "end block of bgzip is absent" in verdict.warnings[0]


def test_lower_case_bases_pass_with_a_warning(tmp_path):
    verdict = check(tmp_path, member(record("r1", "ACgtN")))
    assert verdict.status == "ok"
    assert "lower-case" in verdict.warnings[0]


@pytest.mark.parametrize("qualities", ["IJ", "@J", "?h", "BCDEF"])
def test_high_phred33_is_not_mistaken_for_phred64(tmp_path, qualities):
    assert check(tmp_path, member(record("r", "A" * len(qualities), qualities))).status == "ok"


def test_two_neighbours_of_one_name_are_not_called_interleaved(tmp_path):
    assert check(tmp_path, member(record("r") * 2)).status == "ok"
    assert check(tmp_path, member(record("r") * 40)).status == "ok"


def test_record_longer_than_every_buffer(tmp_path):
    long = record("nanopore", "ACGT" * 600_000)
    verdict = check(tmp_path, member(reads(2) + long + reads(2)))
    assert (verdict.status, verdict.fragments) == ("ok", 5)
    assert verdict.files[0].max_length == 2_400_000


def test_defect_far_behind_the_first_buffers(tmp_path):
    many = reads(4) * 20_000
    verdict = check(tmp_path, member(many + record("r", "AC!T") + many))
    assert_failed(verdict, "record 80001 (line 320001)", "'!' as base 3")


def test_damage_of_the_container_goes_before_the_record_it_garbles(tmp_path):
    verdict = check(tmp_path, member(OK + record("r4", "AC*T")) + GZ[:-5])
    assert_failed(verdict, "truncated")
    assert "record" not in verdict.reason


def test_without_isal_the_verdicts_are_the_same(tmp_path, monkeypatch):
    contents = [GZ, GZ[:-30], WRONG_CRC, GZ + b"hello", GZ + bytes(4), bgzf(OK), member(b"")]
    with_isal = [check(tmp_path, content) for content in contents]
    assert fastq.GzipFile.__module__ == "isal.igzip"
    monkeypatch.setattr(fastq, "GzipFile", gzip.GzipFile)
    assert [check(tmp_path, content) for content in contents] == with_isal


def test_no_thread_and_no_setting_is_left_behind(tmp_path):
    interval = sys.getswitchinterval()
    before = threading.active_count()
    for content in (GZ, GZ[:-30], member(b">x"), b"x"):
        check(tmp_path, content, content)
    assert threading.active_count() == before
    assert sys.getswitchinterval() == interval


def test_interrupted_check_lets_its_threads_end(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(fastq._Mates, "compare", interrupt)
    path = tmp_path / "a.fastq.gz"
    path.write_bytes(member(reads(4) * 200_000))
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        check_fastq([path, path])
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=10)
        assert not thread.is_alive()


def real_pairs():
    stool = sorted(STOOL.glob("*_1.fastq.gz"))
    pairs = [(path, path.with_name(path.name.replace("_1.fastq", "_2.fastq"))) for path in stool]
    return pairs + [
        (path, path.with_name(path.name.replace("_R1_", "_R2_")))
        for path in sorted(MOCK.glob("*_R1_*.fastq.gz"))
    ]


needs_data = pytest.mark.skipif(not real_pairs(), reason="the shared data are not beside the repo")


@needs_data
def test_real_files_pass_with_the_counts_of_their_lines():
    for pair in real_pairs():
        verdict = check_fastq(pair)
        assert (verdict.status, verdict.reason, verdict.warnings) == ("ok", "", ())
        for file, path in zip(verdict.files, pair, strict=True):
            rows = gzip.decompress(path.read_bytes()).splitlines()
            assert file.reads == verdict.fragments == len(rows) // 4
            assert file.bases == sum(map(len, rows[1::4]))
            assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@needs_data
def test_truncated_copy_of_a_real_file_is_failed_by_name(tmp_path):
    one, two = real_pairs()[0]
    cut = tmp_path / two.name
    cut.write_bytes(two.read_bytes()[: two.stat().st_size * 2 // 3])
    assert_failed(check_fastq([one, cut]), str(cut), "truncated", "copy or download")
    shutil.copy(two, cut)
    assert check_fastq([one, cut]).status == "ok"


@needs_data
def test_mates_of_two_real_samples_are_no_pair(tmp_path):
    pairs = real_pairs()
    assert_failed(check_fastq([pairs[0][0], pairs[1][1]]), "not mates at record 1", "SRR7280802.1")


sequences = st.lists(st.text("ACGTN", max_size=30), min_size=1, max_size=40).filter(any)


@st.composite
def fastq_files(draw):
    found = draw(sequences)
    plain = b"".join(
        record(
            f"r{i}",
            sequence,
            draw(st.text("!#,5:?FIJ", min_size=len(sequence), max_size=len(sequence))),
        )
        for i, sequence in enumerate(found)
    )
    return found, plain


quick = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@quick
@given(made=fastq_files(), container=st.sampled_from(["plain", "gzip", "bgzip"]))
def test_valid_files_always_pass_with_exact_counts(tmp_path, made, container):
    found, plain = made
    content = {"plain": plain, "gzip": member(plain), "bgzip": bgzf(plain, 64)}[container]
    name = "p.fastq" if container == "plain" else "p.fastq.gz"
    verdict = check(tmp_path, content, names=(name,))
    (file,) = verdict.files
    lengths = list(map(len, found))
    assert (verdict.status, verdict.fragments) == ("ok", len(found))
    assert (file.bases, file.min_length, file.max_length, file.zero_length) == (
        sum(lengths), min(lengths), max(lengths), lengths.count(0),
    )  # fmt: skip


@quick
@given(made=fastq_files(), data=st.data())
def test_one_gzip_member_cut_at_any_byte_never_passes(tmp_path, made, data):
    whole = member(made[1])
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert_failed(check(tmp_path, whole[:cut]), "a_R1.fastq.gz", "copy or download")


MEMBERS = [member(reads(2)), member(reads(1, name="s{i}")), bgzf(reads(3, name="t{i}"), 60)]


def is_sound(content):
    """Whether this is a gzip file of whole records, by the standard library."""
    try:
        plain = gzip.decompress(content)
    except (EOFError, OSError, zlib.error):
        return False
    return plain.endswith(b"\n") and plain.count(b"\n") % 4 == 0


def test_several_members_cut_anywhere_pass_only_where_no_single_file_can_tell(tmp_path):
    whole = b"".join(MEMBERS)
    passed = {cut for cut in range(len(whole)) if check(tmp_path, whole[:cut]).status == "ok"}
    assert {len(MEMBERS[0]), len(MEMBERS[0] + MEMBERS[1])} <= passed
    assert passed == {cut for cut in range(1, len(whole)) if is_sound(whole[:cut])}
    # The last is bgzip without its end block. A pair tells the others by the numbers of mates.
    assert len(passed) < 5


@quick
@given(data=st.data())
def test_flipped_bit_of_gzip_never_changes_the_reads_unnoticed(tmp_path, data):
    position = data.draw(st.integers(0, len(GZ) - 1))
    flipped = bytearray(GZ)
    flipped[position] ^= 1 << data.draw(st.integers(0, 7))
    verdict = check(tmp_path, bytes(flipped))
    if verdict.status == "ok":
        # Time stamp and flags in the gzip header carry no reads.
        assert position in range(3, 10)
        assert gzip.decompress(bytes(flipped)) == reads(40)
    else:
        assert_failed(verdict, str(tmp_path))
