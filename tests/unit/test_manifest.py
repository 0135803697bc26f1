"""Databases by name: what the manifest may say, what a fetch refuses, and what the lock holds."""

import contextlib
import hashlib
import io
import json
import re
import runpy
import shutil
import struct
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from moodbiome.database import build_database, database_taxa
from moodbiome.download import DownloadError
from moodbiome.manifest import (
    _FIELDS,
    Database,
    DatabaseError,
    ManifestError,
    as_markdown,
    check_hash,
    differences,
    fetch,
    kmer_lengths,
    name_fault,
    read_lock,
    read_manifest,
    verify,
)
from pipeline import ROOT

MANIFEST = ROOT / "config/databases.yaml"
NODES = [(0, 0, 0, 0, 0, 0, 0), (0, 2, 1, 0, 0, 1, 0), (1, 0, 0, 5, 8, 562, 0)]
TAXO = (
    b"K2TAXDAT"
    + struct.pack("<3Q", len(NODES), 13, 16)
    + b"".join(struct.pack("<7Q", *node) for node in NODES)
    + b"root\0E. coli\0no rank\0species\0"
)
HASH = struct.pack("<4Q", 1000, 7, 20, 12) + bytes(range(250)) * 16
FILES = {
    "hash.k2d": HASH,
    "opts.k2d": struct.pack("<2Q", 35, 31) + bytes(48),
    "taxo.k2d": TAXO,
    "database100mers.kmer_distrib": b"mapped_taxid\tgenome_taxids\n",
    "database50mers.kmer_distrib": b"mapped_taxid\n",
    "inspect.txt": b"# Database options\n",
    "library_report.tsv": b"not needed\n",
}
KEPT = sorted(set(FILES) - {"library_report.tsv"})
BOWTIE2 = ("1.bt2", "2.bt2", "3.bt2", "4.bt2", "rev.1.bt2", "rev.2.bt2")


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def md5(content):
    return hashlib.md5(content).hexdigest()


def archive(files, **links):
    """A tar.gz, the same bytes for the same files; uncompressed inside, so that it has a length."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=0) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        for name, target in links.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    content = bytearray(packed.getvalue())
    content[4:8] = bytes(4)  # gzip's time
    return bytes(content)


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        site = self.server.site
        site.asked.append((self.path, self.headers.get("Range")))
        if self.path not in site.files:
            self.send_error(404)
            return
        body, start = site.files[self.path], 0
        if wanted := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start = int(wanted[1])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("ETag", f'"{md5(body)}"')
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body[start : site.cuts.pop(0) if site.cuts else None])


@pytest.fixture
def site(monkeypatch):
    """A server of `files`, by path; `cuts`: where its next answers break off; `asked`: by whom."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        server.site = SimpleNamespace(files={}, cuts=[], asked=[], url=url)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.site
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "shotgun"


def entry(site, content=None, path="/k2_mini.tar.gz", **changes):
    """A database of the site; its archive holds FILES if no content is given."""
    if not path.endswith("/"):
        site.files[path] = archive(FILES) if content is None else content
    values = {
        "kind": "shotgun",
        "url": site.url + path,
        "date": "2026-06-26",
        **dict.fromkeys(("download_bytes", "disk_bytes", "memory_bytes")),
        **dict.fromkeys(("sha256", "md5", "md5_list")),
        "nomenclature": "ncbi",
        "read_lengths_bp": (50, 100),
        "good_for": "Tests.",
        "licence": "none",
        "certainty": "verified",
        "sources": (site.url,),
    }
    return Database(**{**values, **changes})


def get(database, folder, said=None, **options):
    say = (said if said is not None else []).append
    options = {"retries": 2, "sleep": lambda _: None, **options}
    return fetch("mini", database, folder, folder / "lock.json", say, **options)


def names(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


# --- fetching -------------------------------------------------------------------------------------


def test_a_database_is_fetched_checked_and_locked(site, folder):
    said = []
    database = entry(site)
    lock = get(database, folder, said, fetched="2026-07-01")
    packed = site.files["/k2_mini.tar.gz"]
    assert names(folder) == sorted([*KEPT, "lock.json"])
    assert all((folder / name).read_bytes() == FILES[name] for name in KEPT)
    assert lock == {
        "name": "mini",
        "kind": "shotgun",
        "url": database.url,
        "released": "2026-06-26",
        "fetched": "2026-07-01",
        "nomenclature": "ncbi",
        "archive": {"bytes": len(packed), "sha256": sha256(packed)},
        "checked_against": [],
        "n_taxa": 2,
        "kmer_length": 35,
        "minimiser_length": 31,
        "read_lengths_bp": [50, 100],
        "files": {
            name: {"bytes": len(FILES[name]), "sha256": sha256(FILES[name])} for name in KEPT
        },
    }
    assert read_lock(folder / "lock.json") == lock
    assert said == ["mini: no checksum of it is published; what came now is locked"]


def test_a_break_in_the_middle_costs_one_more_request_and_gives_the_same_lock(site, tmp_path):
    whole = get(entry(site), tmp_path / "a")
    site.asked.clear()
    site.cuts = [3000]
    said = []
    assert get(entry(site), tmp_path / "b", said) == whole
    assert [wanted for _, wanted in site.asked] == [None, "bytes=3000-"]
    assert any("went on from byte 3000" in line for line in said)
    assert (tmp_path / "a/lock.json").read_bytes() == (tmp_path / "b/lock.json").read_bytes()


def test_a_killed_fetch_is_gone_on_with_by_the_next(site, folder):
    site.cuts = [3000]
    with pytest.raises(DownloadError, match="3000 bytes are kept"):
        get(entry(site), folder, retries=0)
    assert not (folder / "lock.json").exists()
    assert get(entry(site), folder)["n_taxa"] == 2
    assert site.asked[-1] == ("/k2_mini.tar.gz", "bytes=3000-")


def test_a_fetch_killed_while_files_get_their_names_is_finished_without_a_request(
    site, folder, monkeypatch
):
    replace = Path.replace

    def killed(path, target):
        if Path(target).name == "opts.k2d":
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        get(entry(site), folder)
    monkeypatch.undo()
    lock = read_lock(folder / "lock.json")
    with pytest.raises(DatabaseError, match=r"taxo.k2d: is missing"):
        verify(folder, lock)
    site.asked.clear()
    assert get(entry(site), folder) == lock
    verify(folder, lock)
    assert site.asked == []


def test_a_disk_too_small_is_told_before_the_first_byte(site, folder):
    with pytest.raises(DownloadError, match=r"mini: 1000000000\.0 GB are needed and"):
        get(entry(site, disk_bytes=10**18), folder)
    assert site.asked == []


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_bytes_that_are_not_the_published_ones_are_refused(site, folder, kind):
    wrong = {"sha256": "0" * 64, "md5": "0" * 32}[kind]
    with pytest.raises(DownloadError, match=f"its {kind} is [0-9a-f]+, expected {wrong}; fetched"):
        get(entry(site, **{kind: wrong}), folder)
    assert names(folder) == []
    packed = site.files["/k2_mini.tar.gz"]
    right = {"sha256": sha256(packed), "md5": md5(packed)}[kind]
    lock = get(entry(site, **{kind: right}), folder)
    assert lock["checked_against"] == [f"{kind} of the archive"]


def test_the_publishers_list_checks_the_archive_and_each_file(site, folder):
    database = entry(site, md5_list=f"{site.url}/mini/mini.md5")
    lines = [f"{md5(content)}  ./{name}" for name, content in FILES.items()]
    lines.append(f"{md5(site.files['/k2_mini.tar.gz'])} *k2_mini.tar.gz")
    site.files["/mini/mini.md5"] = "\n".join(lines).encode()
    assert get(database, folder)["checked_against"] == [
        f"md5 of the archive ({database.md5_list})",
        f"md5 of 6 files ({database.md5_list})",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{'0' * 32}  hash.k2d", f"hash.k2d: its md5 is {md5(HASH)}, the publisher's list says 0"),
        (f"{'0' * 32}  other", "mini.md5: names neither the archive nor any of its files"),
        ("<html>", "mini.md5: holds no MD5 sum"),
        (None, "mini.md5: HTTP 404 .* correct md5_list in the manifest, or write null"),
    ],
)
def test_a_publishers_list_that_does_not_agree_or_fit_is_said(site, folder, text, said):
    if text is not None:
        site.files["/mini.md5"] = text.encode()
    with pytest.raises((DatabaseError, DownloadError), match=said):
        get(entry(site, md5_list=f"{site.url}/mini.md5"), folder)
    assert not set(names(folder)) & {*KEPT, "lock.json"}


def test_an_archive_with_a_leading_folder_is_flattened(site, folder):
    nested = archive({f"16S_SILVA138_k2db/{name}": FILES[name] for name in FILES})
    get(entry(site, nested, kind="amplicon", nomenclature="silva"), folder)
    assert names(folder) == sorted([*KEPT, "lock.json"])


def test_single_files_are_fetched_where_there_is_no_archive(site, folder):
    files = ("hash.k2d", "opts.k2d", "taxo.k2d", "taxonomy/names.dmp")
    site.files |= {f"/uhgg/{file}": FILES.get(file, b"1\t|\troot\n") for file in files}
    said = []
    database = entry(site, path="/uhgg/", files=files, read_lengths_bp=())
    lock = get(database, folder, said)
    assert (lock["archive"], lock["read_lengths_bp"]) == (None, [])
    assert names(folder) == ["hash.k2d", "lock.json", "names.dmp", "opts.k2d", "taxo.k2d"]
    assert "mini: warning: no k-mer distribution; set profile.reestimate: false for it" in said
    site.files["/uhgg/hash.k2d"] = HASH[:-1] + b"x"
    (folder / "hash.k2d").unlink()
    with pytest.raises(DatabaseError, match=f"not what was locked .sha256 {sha256(HASH)}"):
        get(database, folder)


def test_a_distribution_that_the_manifest_promises_is_missed_aloud(site, folder):
    said = []
    get(entry(site, read_lengths_bp=(50, 75, 150)), folder, said)
    line = "mini: warning: no distribution for 75, 150 bp, which the manifest says"
    assert line in said


def test_a_host_index_gets_one_name_whatever_it_was_called(site, folder):
    files = {f"chm13v2.0/chm13v2.0.{end}": end.encode() for end in BOWTIE2}
    changes = {"kind": "host", "nomenclature": None, "read_lengths_bp": ()}
    lock = get(entry(site, archive(files), **changes), folder)
    assert sorted(lock["files"]) == [f"index.{end}" for end in BOWTIE2]
    assert (folder / "index.rev.1.bt2").read_bytes() == b"rev.1.bt2"
    assert lock["kmer_length"] is lock["n_taxa"] is lock["read_lengths_bp"] is None


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"readme": b""}, r"holds no bowtie2 index \(.1.bt2 to .rev.2.bt2\)"),
        (
            {f"a.{end}": b"" for end in BOWTIE2[:5]},
            "no whole bowtie2 index: it lacks index.rev.2.bt2",
        ),
        (
            {f"{name}.{end}": b"" for name in "ab" for end in BOWTIE2},
            r"index.1.bt2 is there twice, as a.1.bt2 and b.1.bt2",
        ),
    ],
)
def test_what_is_no_whole_host_index_is_refused(site, folder, files, said):
    changes = {"kind": "host", "nomenclature": None, "read_lengths_bp": ()}
    with pytest.raises(DatabaseError, match=f"mini: {said}"):
        get(entry(site, archive(files), **changes), folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"taxo.k2d": None},
            "no Kraken2 database: it lacks taxo.k2d; check the manifest's address",
        ),
        ({"taxo.k2d": TAXO[:-1]}, "no sound Kraken2 database: .*taxo.k2d is cut short"),
        ({"hash.k2d": HASH[:-4]}, "hash.k2d has 4028 of 4032 bytes"),
        ({"hash.k2d": b"x" * 99}, "hash.k2d is no hash table"),
        ({"opts.k2d": bytes(64)}, "opts.k2d holds no options of Kraken2"),
    ],
)
def test_an_archive_that_is_no_sound_database_is_refused_and_nothing_is_left(
    site, folder, changes, said
):
    files = {name: content for name, content in (FILES | changes).items() if content is not None}
    with pytest.raises(DatabaseError, match=f"^mini: .*{said}"):
        get(entry(site, archive(files)), folder)
    assert not set(names(folder)) & {*KEPT, "lock.json"}


@pytest.mark.parametrize(
    ("files", "links", "said"),
    [
        ({**FILES, "../outside.k2d": b"x"}, {}, "outside.k2d.*it would lie outside the folder"),
        ({**FILES, "/outside.k2d": b"x"}, {}, "outside.k2d.*it would lie outside the folder"),
        (FILES, {"out": "../../.."}, "links outside"),
    ],
)
def test_a_member_that_escapes_is_refused_and_nothing_is_written(
    site, tmp_path, files, links, said
):
    folder = tmp_path / "inner/shotgun"
    with pytest.raises(DownloadError, match=said):
        get(entry(site, archive(files, **links)), folder)
    assert names(tmp_path) == ["inner/shotgun/.mini/k2_mini.tar.gz"]


def test_a_link_is_not_taken_for_a_file_of_the_database(site, folder):
    files = {name: content for name, content in FILES.items() if name != "hash.k2d"}
    with pytest.raises(DatabaseError, match=r"it lacks hash.k2d"):
        get(entry(site, archive(files, **{"hash.k2d": "inspect.txt"})), folder)


def test_files_of_another_database_are_not_mixed_with_a_new_one(site, folder):
    folder.mkdir()
    (folder / "database75mers.kmer_distrib").touch()
    said = "holds database75mers.kmer_distrib, of no lock; remove them to fetch mini there"
    with pytest.raises(DatabaseError, match=said):
        get(entry(site), folder)
    assert site.asked == []


# --- the lock -------------------------------------------------------------------------------------


def test_a_second_fetch_of_a_whole_database_asks_nothing(site, folder):
    first = get(entry(site), folder)
    site.asked.clear()
    assert get(entry(site), folder, fetched="another day") == first
    assert site.asked == []


def test_a_lost_database_is_fetched_again_by_its_lock(site, folder):
    first = get(entry(site), folder, fetched="one day")
    for name in KEPT:
        (folder / name).unlink()
    said = []
    assert get(entry(site), folder, said, fetched="another day") == first
    assert names(folder) == sorted([*KEPT, "lock.json"])
    assert f"mini: {folder}/hash.k2d: is missing; fetch the database again" in said


@pytest.mark.parametrize("same_size", [True, False])
def test_an_archive_that_changed_on_the_server_is_refused_by_the_lock(site, folder, same_size):
    lock = get(entry(site), folder)
    before = (folder / "lock.json").read_bytes()
    (folder / "hash.k2d").unlink()
    changed = FILES | {"inspect.txt": b"# Database optionz\n" if same_size else b"longer" * 9000}
    changed = entry(site, archive(changed))
    with pytest.raises(DatabaseError) as caught:
        get(changed, folder)
    packed = site.files["/k2_mini.tar.gz"]
    came = f"its sha256 is {sha256(packed)}" if same_size else f"it has {len(packed)} bytes"
    assert came in str(caught.value)
    assert f"not what was locked (sha256 {lock['archive']['sha256']})" in str(caught.value)
    assert "remove the lock" in str(caught.value)
    assert (folder / "lock.json").read_bytes() == before


def test_a_broken_connection_is_not_called_a_change(site, folder):
    database = entry(site)
    get(database, folder)
    (folder / "hash.k2d").unlink()
    site.cuts = [0]
    with pytest.raises(DownloadError, match="broke off after 0 of"):
        get(database, folder, retries=0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"path": "/k2_newer.tar.gz"}, "the address locked is .*k2_mini.*k2_newer.*is asked for"),
        ({"sha256": "0" * 64}, f"the manifest's sha256 is {'0' * 64}, the lock says"),
    ],
)
def test_a_manifest_that_moved_on_does_not_replace_a_locked_database(site, folder, changes, said):
    get(entry(site), folder)
    (folder / "hash.k2d").unlink()
    with pytest.raises(DatabaseError, match=said):
        get(entry(site, **changes), folder)


def test_files_that_are_not_those_of_the_lock_are_named_with_both_sums(site, folder):
    lock = get(entry(site), folder)
    lock["files"]["hash.k2d"]["sha256"] = "0" * 64
    del lock["files"]["inspect.txt"]
    (folder / "lock.json").write_text(json.dumps(lock))
    said = (
        rf"hash\.k2d: its sha256 is {sha256(HASH)}, the lock says {'0' * 64}; inspect\.txt: its"
        rf" sha256 is {sha256(FILES['inspect.txt'])}, the lock says none"
    )
    with pytest.raises(DatabaseError, match=said):
        get(entry(site), folder)


def test_a_lock_of_another_name_is_not_written_over(site, folder):
    get(entry(site), folder)
    with pytest.raises(DatabaseError, match=r"lock.json: the name locked is 'mini', and 'maxi' is"):
        fetch("maxi", entry(site), folder, folder / "lock.json", print)


def test_a_change_of_any_locked_file_is_named_with_both_sums(site, folder):
    lock = get(entry(site), folder)
    verify(folder, lock)
    for name in KEPT:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1] + b"!")
        (fault,) = differences(folder, lock)
        assert fault.place == str(folder / name)
        assert sha256(content[:-1] + b"!") in fault.problem
        assert sha256(content) in fault.problem
        (folder / name).write_bytes(content)
    (folder / "hash.k2d").unlink()
    (folder / "database300mers.kmer_distrib").touch()
    with pytest.raises(DatabaseError) as caught:
        verify(folder, lock)
    assert str(caught.value).splitlines() == [
        "mini is not as it was locked:",
        f"  {folder}/database300mers.kmer_distrib: is not of the locked database; remove it",
        f"  {folder}/hash.k2d: is missing; fetch the database again",
    ]


def test_the_quick_check_sees_sizes_and_not_what_keeps_them(site, folder):
    lock = get(entry(site), folder)
    (folder / "hash.k2d").write_bytes(HASH[:-1] + b"!")
    verify(folder, lock, quick=True)
    (folder / "hash.k2d").write_bytes(HASH + b"!")
    with pytest.raises(DatabaseError, match=r"hash.k2d: has 4033 bytes, the lock says 4032"):
        verify(folder, lock, quick=True)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": {"a": {}}, "name": "", "url": ""}'])
def test_a_broken_lock_is_named(tmp_path, text):
    (tmp_path / "lock.json").write_text(text)
    with pytest.raises(DatabaseError, match=r"lock.json: is no lock of a database"):
        read_lock(tmp_path / "lock.json")


def test_a_damaged_file_is_put_right_by_fetching_again(site, folder):
    lock = get(entry(site), folder)
    (folder / "hash.k2d").write_bytes(HASH[:-1] + b"!")
    get(entry(site), folder)
    verify(folder, lock)


# --- a real database ------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("kraken2-build"), reason="kraken2 is needed")
def test_what_kraken2_builds_is_read_as_it_says(tmp_path):
    taxonomy, built = tmp_path / "taxonomy", tmp_path / "built"
    taxonomy.mkdir()
    taxa = [(1, 1, "no rank", "root"), (562, 1, "species", "E. coli")]
    for file, column in (("nodes.dmp", 2), ("names.dmp", 3)):
        rows = [f"{row[0]}\t|\t{row[1] if column == 2 else row[3]}\t|\t" for row in taxa]
        ends = [f"{row[2]}\t|\n" if column == 2 else "\t|\tscientific name\t|\n" for row in taxa]
        (taxonomy / file).write_text("".join(map("".join, zip(rows, ends, strict=True))))
    genome = tmp_path / "a_562.fna"
    genome.write_text(">c\n" + "ACGTTGCATGCCGATTAGCCATCGGATTACGGCATCGAATTCGGCATTAGCC" * 20 + "\n")
    build_database([genome], taxonomy, built, threads=1, log=tmp_path / "log")
    assert kmer_lengths(built / "opts.k2d") == (35, 31)
    check_hash(built / "hash.k2d")
    assert len(list(database_taxa(built / "taxo.k2d"))) == 2


# --- the manifest ---------------------------------------------------------------------------------


GOOD = """\
mini:
  kind: shotgun
  url: https://example.org/k2_mini.tar.gz
  date: 2026-06-26
  download_bytes: 10
  disk_bytes: null
  memory_bytes: null
  sha256: null
  md5: null
  md5_list: null
  nomenclature: ncbi
  read_lengths_bp: [100]
  good_for: Tests.
  licence: CC0
  certainty: verified
  sources: [https://example.org]
"""


def faults_of(tmp_path, text):
    path = tmp_path / "databases.yaml"
    path.write_text(text)
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    faults = [str(fault) for fault in caught.value.faults]
    assert all(fault in str(caught.value) for fault in faults)
    return [fault.removeprefix("databases.yaml: ") for fault in faults]


def test_a_manifest_is_read_with_dates_as_text_and_lists_as_tuples(tmp_path):
    (tmp_path / "databases.yaml").write_text(GOOD)
    mini = read_manifest(tmp_path / "databases.yaml")["mini"]
    assert (mini.date, mini.read_lengths_bp, mini.files) == ("2026-06-26", (100,), ())


def test_all_faults_of_a_manifest_are_told_at_once(tmp_path):
    text = GOOD.replace("kind: shotgun", "kind: shotgum").replace("  licence: CC0\n", "")
    text = text.replace("sha256: null", 'sha256: "12"').replace("date: 2026-06-26", "date: soon")
    text += "  licnce: CC0\n" + GOOD.replace("mini:", "Mini 2:").replace("[100]", "[100, 100]")
    assert faults_of(tmp_path, text) == [
        "mini.kind: is 'shotgum'; give one of shotgun, amplicon, host",
        "mini.date: is 'soon'; give its release as YYYY-MM-DD, YYYY-MM or YYYY, or null",
        "mini.sha256: is '12'; give 64 hexadecimal digits in quotes, or null if none is published",
        "mini.licence: is missing; give its licence, or 'not stated'",
        "mini.licnce: is not a key of a database; did you mean 'licence'? Keys are: "
        + ", ".join(_FIELDS),
        "Mini 2: is no name of a database; use lower case, digits and single . _ or - between them",
        "Mini 2.read_lengths_bp: is [100, 100]; give " + _FIELDS["read_lengths_bp"][1],
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("kind: shotgun", "kind: host", "nomenclature: is set for a host; give null"),
        ("nomenclature: ncbi", "nomenclature: null", "nomenclature: is null; give one of ncbi"),
        ("mini.tar.gz", "mini/", "files: are missing: the address is a folder"),
        ("kind: shotgun", "kind: shotgun\n  files: [a]", "files: are listed for an archive"),
        ("kind: shotgun", "kind: shotgun\n  files: [../a]", "files: is ['../a']"),
        ("sources: [https://example.org]", "sources: []", "sources: is empty, and certainty is v"),
        ("date:", "less_certain: {md5: memory}\n  date:", "less_certain: 'md5' has no value here"),
        ("url: https", "url: gopher", "url: is 'gopher://example.org/k2_mini.tar.gz'"),
        ("download_bytes: 10", "download_bytes: 1e9", "download_bytes: is '1e9'; give a number"),
        ("md5: null", "md5: 12345678901234567890123456789012", "in quotes"),
    ],
)
def test_contradictions_of_a_manifest_are_told(tmp_path, old, new, said):
    assert old in GOOD
    told = faults_of(tmp_path, GOOD.replace(old, new, 1))
    assert any(said in fault for fault in told), told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no database"),
        ("- mini\n", "holds no database"),
        ("mini: here\n", "mini: is no mapping; give it kind, url"),
        (GOOD + GOOD, "'mini' stands twice"),
        (GOOD + "  kind: host\n", "'kind' stands twice"),
        ("mini: [\n", "correct the YAML"),
    ],
)
def test_what_is_no_manifest_is_told(tmp_path, text, said):
    assert said in faults_of(tmp_path, text or "\n")[0]


def test_a_manifest_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ManifestError, match=r"none.yaml: cannot be read .No such file"):
        read_manifest(tmp_path / "none.yaml")


def test_the_shipped_manifest_is_sound_and_its_dates_are_those_of_its_addresses():
    manifest = read_manifest(MANIFEST)
    assert {entry.kind for entry in manifest.values()} == {"shotgun", "amplicon", "host"}
    assert all(entry.url.startswith("https://") for entry in manifest.values())
    urls = [entry.url for entry in manifest.values()]
    assert len(set(urls)) == len(urls)
    for entry in manifest.values():
        date = re.search(r"_(\d{4})(\d\d)(\d\d)\.t", entry.url)
        assert not date or entry.date == "-".join(date.groups())


def test_the_documentation_shows_the_shipped_manifest():
    text = (ROOT / "docs/databases.md").read_text()
    assert as_markdown(read_manifest(MANIFEST)) in text


def test_a_name_in_the_settings_is_held_against_the_manifest():
    manifest, place = read_manifest(MANIFEST), "config: databases.shotgun.name"
    assert name_fault("standard-8", manifest, "shotgun", place) is None
    assert "did you mean 'standard-8'? there are standard-8, standard-16" in str(
        name_fault("standard8", manifest, "shotgun", place)
    )
    assert "'silva-138' is of kind amplicon, not shotgun; there are standard-8" in str(
        name_fault("silva-138", manifest, "shotgun", place)
    )


# --- the script -----------------------------------------------------------------------------------


def run_script(tmp_path, name, kind="shotgun"):
    snakemake = SimpleNamespace(
        params=SimpleNamespace(name=name, kind=kind),
        input=SimpleNamespace(manifest=str(tmp_path / "databases.yaml")),
        output=SimpleNamespace(lock=str(tmp_path / kind / "lock.json")),
        log=[str(tmp_path / "log")],
    )
    runpy.run_path(str(ROOT / "scripts/fetch_database.py"), {"snakemake": snakemake})


def test_the_script_fetches_by_name(site, tmp_path):
    packed = archive(FILES)
    site.files["/k2_mini.tar.gz"] = packed
    text = GOOD.replace("https://example.org/k2", f"{site.url}/k2")
    (tmp_path / "databases.yaml").write_text(text)
    run_script(tmp_path, "mini")
    lock = json.loads((tmp_path / "shotgun/lock.json").read_text())
    assert (lock["archive"]["sha256"], lock["fetched"]) == (sha256(packed), None)
    with pytest.raises(SystemExit, match="no database 'minni'; did you mean 'mini'"):
        run_script(tmp_path, "minni")
    assert "did you mean" in (tmp_path / "log").read_text()


def test_the_script_fetches_a_host_by_name_too(site, tmp_path):
    site.files["/k2_mini.tar.gz"] = archive({f"t2t/t2t.{end}": end.encode() for end in BOWTIE2})
    text = GOOD.replace("https://example.org/k2", f"{site.url}/k2")
    text = text.replace("kind: shotgun", "kind: host").replace(
        "nomenclature: ncbi", "nomenclature: null"
    )
    text = re.sub(r"read_lengths_bp: .*", "read_lengths_bp: []", text)
    (tmp_path / "databases.yaml").write_text(text)
    run_script(tmp_path, "mini", "host")
    lock = json.loads((tmp_path / "host/lock.json").read_text())
    assert sorted(lock["files"]) == [f"index.{end}" for end in BOWTIE2]
    assert (tmp_path / "host/index.1.bt2").read_bytes() == b"1.bt2"
    with pytest.raises(SystemExit, match="'mini' is of kind host, not shotgun"):
        run_script(tmp_path, "mini")
