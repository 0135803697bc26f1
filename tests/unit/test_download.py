"""Downloads: a break costs time, never a byte; what gets the final name is what was asked for."""

import contextlib
import errno
import gzip
import hashlib
import io
import os
import re
import stat
import tarfile
import threading
import zipfile
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from moodbiome import download as module
from moodbiome.download import DownloadError, download, read_text, unpack

BODY = bytes(range(256)) * 40  # 10,240 bytes
SHA256 = hashlib.sha256(BODY).hexdigest()
MD5 = hashlib.md5(BODY).hexdigest()


class Site:
    """A server of one file whose misdeeds are set request by request.

    `plan` holds one dict a request, the last for all later ones:
    status, headers: answer with these instead; body: bytes of the file now; cut: break off after so
    many bytes; etag: version of the file (None: none is told); ranges: False ignores them;
    heeds_version: False ignores If-Range; claim: Content-Length to announce (None: none);
    hang: answer nothing; stall: fall silent after the cut; chunked: send in chunks (if cut, the
    last is lost).
    """

    def __init__(self, release):
        self.plan = [{}]
        self.asked = []
        self.release = release

    def next_step(self):
        step = self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]
        return {"body": BODY, "etag": '"1"', "ranges": True, "heeds_version": True, **step}


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        site = self.server.site
        site.asked.append(dict(self.headers))
        step = site.next_step()
        if step.get("hang"):
            site.release.wait(5)
            return
        if "status" in step:
            self.send_response(step["status"])
            for name, value in step.get("headers", {}).items():
                self.send_header(name, value)
            self.end_headers()
            return
        body, start = step["body"], 0
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        version = self.headers.get("If-Range")
        same = not step["heeds_version"] or version in (None, step["etag"])
        if wanted and step["ranges"] and same:
            start = int(wanted[1])
            if start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        if step["etag"]:
            self.send_header("ETag", step["etag"])
        if step.get("chunked"):
            self.send_header("Transfer-Encoding", "chunked")
        elif (claim := step.get("claim", len(body) - start)) is not None:
            self.send_header("Content-Length", str(claim))
        self.end_headers()
        rest = body[start : step.get("cut")]
        if step.get("chunked"):
            end = b"" if "cut" in step else b"0\r\n\r\n"
            rest = b"%x\r\n%s\r\n%s" % (len(rest), rest, end)
        with contextlib.suppress(OSError):
            self.wfile.write(rest)
        if step.get("stall"):
            site.release.wait(5)


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    release = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.site = Site(release)
        server.site.url = f"http://127.0.0.1:{server.server_port}/reads.gz"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.site
        release.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "reads.gz"


@pytest.fixture
def waits():
    return []


def fetch(site, path, waits=None, **options):
    return download(site.url, path, sleep=(waits if waits is not None else []).append, **options)


def folder_of(path):
    return sorted(file.name for file in path.parent.iterdir())


def test_a_whole_download_gives_its_bytes_and_facts_and_leaves_nothing_else(site, path):
    facts = fetch(site, path, sha256=SHA256.upper(), md5=MD5, size=len(BODY))
    assert path.read_bytes() == BODY
    assert facts == {"url": site.url, "bytes": 10240, "sha256": SHA256, "resumed_from": 0}
    assert folder_of(path) == ["reads.gz"]


def test_an_empty_file_is_a_file(site, path):
    site.plan = [{"body": b""}]
    assert fetch(site, path)["bytes"] == 0
    assert path.read_bytes() == b""


def test_each_break_costs_one_more_request_and_no_byte_twice(site, path, waits):
    site.plan = [{"cut": 4000}, {"cut": 7000}, {"cut": 7001}, {}]
    facts = fetch(site, path, waits, sha256=SHA256, backoff=2)
    assert path.read_bytes() == BODY
    assert [asked.get("Range") for asked in site.asked] == [
        None,
        "bytes=4000-",
        "bytes=7000-",
        "bytes=7001-",
    ]
    assert {asked.get("If-Range") for asked in site.asked[1:]} == {'"1"'}
    assert facts["resumed_from"] == 7001
    assert waits == [2, 4, 8]


def test_a_later_run_goes_on_from_the_part_of_an_earlier_one(site, path):
    site.plan = [{"cut": 4000}]
    with pytest.raises(
        DownloadError,
        match=r"broke off after 4000 of 10240 bytes; gave up after 1 "
        r"try; 4000 bytes are kept in reads.gz.part; check the network",
    ):
        fetch(site, path, retries=0)
    assert folder_of(path) == ["reads.gz.part", "reads.gz.part.json"]
    site.plan = [{}]
    assert fetch(site, path, retries=0)["resumed_from"] == 4000
    assert path.read_bytes() == BODY
    assert folder_of(path) == ["reads.gz"]


def test_a_run_killed_before_the_rename_needs_no_byte_again(site, path):
    site.plan = [{"cut": 4000}]
    with pytest.raises(DownloadError):
        fetch(site, path, retries=0)
    path.with_name("reads.gz.part").write_bytes(BODY)
    site.plan = [{}]
    assert fetch(site, path)["resumed_from"] == len(BODY)
    assert path.read_bytes() == BODY


@pytest.mark.parametrize("heeds_version", [True, False])
def test_a_file_that_changes_between_two_tries_is_never_glued(site, path, heeds_version):
    new = bytes(reversed(BODY))
    changed = {"body": new, "etag": '"2"', "heeds_version": heeds_version}
    site.plan = [{"cut": 4000}, changed]
    fetch(site, path)
    assert path.read_bytes() == new


def test_a_file_that_grew_between_two_tries_is_fetched_anew_without_any_version(site, path):
    new = BODY[::-1] + b"more"
    site.plan = [{"cut": 4000, "etag": None}, {"body": new, "etag": None}]
    said = []
    fetch(site, path, md5=hashlib.md5(new).hexdigest(), say=said.append)
    assert path.read_bytes() == new
    assert [line.split(": ")[1] for line in said] == [
        "broke off after 4000 of 10240 bytes; next try in 2 s",
        "the file changed on the server between two tries; next try in 4 s",
    ]


def test_without_version_and_checksum_a_part_is_not_continued(site, path):
    site.plan = [{"cut": 4000, "etag": None}, {"etag": None}]
    assert fetch(site, path)["resumed_from"] == 0
    assert "Range" not in site.asked[1]


def test_a_weak_version_is_not_used_as_a_strong_one(site, path):
    site.plan = [{"cut": 4000, "etag": 'W/"1"'}, {"etag": 'W/"1"'}]
    fetch(site, path)
    assert "If-Range" not in site.asked[1]


def test_a_part_of_another_address_is_not_continued(site, path):
    site.plan = [{"cut": 4000}]
    with pytest.raises(DownloadError):
        fetch(site, path, retries=0)
    site.plan, site.url = [{}], site.url + "?mirror=2"
    assert fetch(site, path)["resumed_from"] == 0
    assert path.read_bytes() == BODY


def test_a_server_that_ignores_ranges_is_read_from_the_start(site, path):
    site.plan = [{"cut": 4000, "ranges": False}, {"ranges": False}]
    assert fetch(site, path)["resumed_from"] == 0
    assert path.read_bytes() == BODY


def test_a_part_longer_than_the_file_is_dropped(site, path):
    site.plan = [{"cut": 4000}]
    with pytest.raises(DownloadError):
        fetch(site, path, retries=0)
    path.with_name("reads.gz.part").write_bytes(BODY + b"more")
    site.plan = [{}]
    assert fetch(site, path)["resumed_from"] == 0
    assert path.read_bytes() == BODY


@pytest.mark.parametrize(
    ("status", "mend"),
    [
        (404, "HTTP 404 Not Found: it is not there; check the address"),
        (403, "HTTP 403 Forbidden: access is refused"),
        (410, "HTTP 410 Gone: it was taken down for good"),
        (401, "HTTP 401 Unauthorized: it needs a login"),
        (418, "HTTP 418 .*: check the address"),
        (204, "HTTP 204 has no file"),
    ],
)
def test_what_cannot_succeed_is_final_at_once(site, path, waits, status, mend):
    site.plan = [{"status": status}]
    with pytest.raises(DownloadError, match=f"^{re.escape(site.url)}: {mend}") as caught:
        fetch(site, path, waits)
    assert caught.value.status == status
    assert (len(site.asked), waits, folder_of(path)) == (1, [], [])


def test_a_busy_server_is_asked_again_after_the_time_it_names(site, path, waits):
    busy = {"status": 503, "headers": {"Retry-After": "40"}}
    site.plan = [busy, {"status": 500}, {"status": 429}, {}]
    fetch(site, path, waits, backoff=1)
    assert path.read_bytes() == BODY
    assert waits == [40, 2, 4]


def test_a_wait_is_never_longer_than_five_minutes(site, path, waits):
    site.plan = [{"status": 503, "headers": {"Retry-After": "86400"}}, {}]
    fetch(site, path, waits)
    assert waits == [300]


def test_tries_end_and_the_last_reason_is_said(site, path, waits):
    site.plan = [{"status": 502}]
    with pytest.raises(DownloadError, match="HTTP 502 Bad Gateway; gave up after 3 tries; check"):
        fetch(site, path, waits, retries=2)
    assert len(site.asked) == 3
    assert len(waits) == 2


def test_tries_count_anew_when_much_more_has_come(site, path, monkeypatch):
    monkeypatch.setattr(module, "_PROGRESS_BYTES", 1000)
    site.plan = [{"cut": cut} for cut in range(1000, 10000, 1000)] + [{}]
    fetch(site, path, retries=1)
    assert path.read_bytes() == BODY


def test_tries_count_anew_after_wrong_bytes_too(site, path, monkeypatch):
    monkeypatch.setattr(module, "_PROGRESS_BYTES", 1000)
    wrong = {"body": b"x" * len(BODY)}
    cuts = [{"cut": cut} for cut in range(1000, 10000, 1000)]
    site.plan = [{**wrong, "cut": 9000}, wrong, *cuts, {}]
    fetch(site, path, retries=1, sha256=SHA256)
    assert path.read_bytes() == BODY


def test_a_server_that_breaks_off_at_the_same_byte_does_not_keep_us_for_ever(
    site, path, monkeypatch
):
    monkeypatch.setattr(module, "_PROGRESS_BYTES", 1000)
    site.plan = [{"cut": 4000, "ranges": False}]
    with pytest.raises(DownloadError, match="broke off after 4000 of 10240 bytes"):
        fetch(site, path, retries=2)
    assert len(site.asked) == 3


def test_a_silent_server_is_left_after_the_timeout_and_asked_again(site, path):
    site.plan = [{"hang": True}, {}]
    said = []
    fetch(site, path, timeout=0.2, say=said.append)
    assert path.read_bytes() == BODY
    assert said == [f"{site.url}: no answer in time; next try in 2 s"]


def test_no_byte_that_came_before_a_silence_is_lost(site, path):
    site.plan = [{"cut": 4000, "stall": True}, {}]
    assert fetch(site, path, timeout=0.2)["resumed_from"] == 4000
    assert path.read_bytes() == BODY


def test_no_server_at_all_is_named(path, waits):
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}/x"
    with pytest.raises(DownloadError, match=f"{url}: Connection refused; gave up after 2 tries"):
        download(url, path, retries=1, sleep=waits.append)


def test_a_passing_fault_in_the_bytes_is_mended_by_a_second_download(site, path):
    site.plan = [{"body": b"x" * len(BODY)}, {}]
    fetch(site, path, sha256=SHA256)
    assert path.read_bytes() == BODY


def test_lasting_wrong_bytes_fail_with_both_sums_and_leave_no_file(site, path):
    wrong = b"x" * len(BODY)
    site.plan = [{"body": wrong}]
    both = f"its md5 is {hashlib.md5(wrong).hexdigest()}, expected {MD5}; fetched twice"
    with pytest.raises(DownloadError, match=both):
        fetch(site, path, md5=MD5)
    assert len(site.asked) == 2
    assert folder_of(path) == []


def test_a_web_page_in_place_of_the_file_is_recognised(site, path):
    site.plan = [{"body": b"\n<!DOCTYPE html><title>Log in</title>"}]
    with pytest.raises(DownloadError, match="a web page came instead of the file"):
        fetch(site, path, sha256=SHA256)


def test_a_spoiled_part_is_not_continued_twice(site, path):
    site.plan = [{"body": b"x" * len(BODY), "cut": 4000}, {}, {}]
    facts = fetch(site, path, sha256=SHA256)
    assert path.read_bytes() == BODY
    assert facts["resumed_from"] == 0
    assert [asked.get("Range") for asked in site.asked] == [None, "bytes=4000-", None]


def test_another_size_than_expected_is_refused_before_its_bytes_are_fetched(site, path):
    seen = []
    with pytest.raises(DownloadError, match="it has 10240 bytes, expected 10241; fetched twice"):
        fetch(site, path, size=10241, progress=lambda *at: seen.append(at))
    assert seen == []
    assert folder_of(path) == []


def test_a_length_longer_than_the_body_never_makes_a_file(site, path):
    site.plan = [{"claim": len(BODY) + 5}]
    with pytest.raises(
        DownloadError, match=r"broke off after 10240 of 10245|does not fit the file"
    ):
        fetch(site, path, retries=3)
    assert not path.exists()


def test_a_body_longer_than_expected_is_refused_where_no_length_was_announced(site, path):
    site.plan = [{"claim": None}]
    with pytest.raises(DownloadError, match="it has more than 10000 bytes, expected 10000"):
        fetch(site, path, size=10000)


def test_without_length_and_checksum_the_end_cannot_be_told_from_a_break(site, path):
    site.plan = [{"claim": None, "cut": 5000}]
    with pytest.raises(DownloadError, match=r"does not say how long the file is.*give its size"):
        fetch(site, path)
    assert not path.exists()


def test_without_length_a_checksum_is_enough(site, path):
    site.plan = [{"claim": None}]
    fetch(site, path, sha256=SHA256)
    assert path.read_bytes() == BODY


def test_chunks_end_where_they_say_and_a_lost_one_is_a_break(site, path):
    site.plan = [{"chunked": True, "cut": 5000}, {"chunked": True}]
    fetch(site, path)
    assert path.read_bytes() == BODY
    assert len(site.asked) == 2


def test_a_file_that_is_there_and_right_is_not_asked_for(site, path):
    path.write_bytes(BODY)
    assert fetch(site, path, md5=MD5)["resumed_from"] == len(BODY)
    assert site.asked == []


def test_a_file_that_is_there_and_wrong_stays_until_the_right_one_is_whole(site, path):
    path.write_bytes(b"old")
    site.plan = [{"cut": 4000}]
    with pytest.raises(DownloadError):
        fetch(site, path, md5=MD5, retries=0)
    assert path.read_bytes() == b"old"
    site.plan = [{}]
    fetch(site, path, md5=MD5)
    assert path.read_bytes() == BODY


def test_progress_grows_to_the_size(site, path):
    seen = []
    fetch(site, path, progress=lambda there, total: seen.append((there, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (10240, 10240)


def test_too_small_a_disk_is_said_before_a_byte_is_written(site, path, monkeypatch):
    usage = namedtuple("usage", "total used free")(10**6, 10**6 - 100, 100)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DownloadError, match=r"10240 bytes are needed and 100 bytes are free on"):
        fetch(site, path)
    assert not path.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full (Linux)")
def test_a_disk_that_fills_up_on_the_way_is_no_network_fault_and_the_part_is_kept(
    site, path, monkeypatch, waits
):
    site.plan = [{"cut": 4000}]
    with pytest.raises(DownloadError):
        fetch(site, path, retries=0)
    site.plan = [{}]
    part, real = path.with_name("reads.gz.part"), Path.open

    def full(self, mode="r", *args, **kwargs):
        return real(
            Path("/dev/full") if self == part and "a" in mode else self, mode, *args, **kwargs
        )

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(DownloadError, match="the disk or your quota is full; make room"):
            fetch(site, path, waits)
    assert waits == []
    assert part.stat().st_size == 4000
    assert fetch(site, path)["resumed_from"] == 4000


def test_a_file_address_is_copied_and_a_missing_one_is_final(tmp_path, waits):
    source = tmp_path / "source file"
    source.write_bytes(BODY)
    facts = download(source.as_uri(), tmp_path / "new/copy", sha256=SHA256, size=len(BODY))
    assert (tmp_path / "new/copy").read_bytes() == BODY
    assert facts["sha256"] == SHA256
    with pytest.raises(DownloadError, match=r"absent: .*No such file.*; correct the path"):
        download((tmp_path / "absent").as_uri(), tmp_path / "x", sleep=waits.append)
    assert waits == []


@pytest.mark.parametrize("url", ["data:,x", "reads.gz", "ssh://host/x", "/etc/passwd"])
def test_other_schemes_are_refused(url, path):
    with pytest.raises(DownloadError, match="begins with none of http, https, ftp, file"):
        download(url, path)


def test_a_redirect_cannot_lead_to_a_local_file(site, path, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    site.plan = [{"status": 302, "headers": {"Location": secret.as_uri()}}]
    with pytest.raises(DownloadError, match="HTTP 302"):
        fetch(site, path)
    assert not path.exists()


def test_a_redirect_is_followed(site, path):
    site.plan = [{"status": 302, "headers": {"Location": site.url + "2"}}, {}]
    fetch(site, path)
    assert path.read_bytes() == BODY


def test_text_is_read_after_breaks_and_no_content_is_no_text(site, waits):
    site.plan = [{"status": 503}, {"body": b"a\tb\n", "claim": 9}, {"body": "ä\n".encode()}]
    assert read_text(site.url, sleep=waits.append) == "ä\n"
    assert waits == [2, 4]
    site.plan = [{"status": 204}]
    assert read_text(site.url) == ""


def test_text_that_is_none_is_refused(site):
    site.plan = [{"body": b"\xff\xfe\x00"}]
    with pytest.raises(DownloadError, match="the answer is not text; check the address"):
        read_text(site.url)


# --- unpacking


def tar(path, members, mode="w:gz"):
    """Write a tar of (name, content) or TarInfo members."""
    with tarfile.open(path, mode) as packed:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                packed.addfile(member)
            else:
                entry = tarfile.TarInfo(member[0])
                entry.size = len(member[1])
                packed.addfile(entry, io.BytesIO(member[1]))
    return path


def special(name, kind, target=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_is_unpacked_whatever_its_name_and_compression(tmp_path, mode):
    archive = tar(tmp_path / "database", [("./a/hash.k2d", BODY), ("opts.k2d", b"")], mode)
    assert unpack(archive, tmp_path / "out") == ["a/hash.k2d", "opts.k2d"]
    assert (tmp_path / "out/a/hash.k2d").read_bytes() == BODY
    assert sorted(path.name for path in tmp_path.iterdir()) == ["database", "out"]


def test_a_zip_is_unpacked_into_an_empty_folder(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        packed.writestr("a/", "")
        packed.writestr("a/b.txt", "text")
    (tmp_path / "out").mkdir()
    assert unpack(tmp_path / "x.zip", tmp_path / "out") == ["a/b.txt"]
    assert (tmp_path / "out/a/b.txt").read_text() == "text"


def test_a_link_in_a_zip_is_a_link(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        packed.writestr("file", "1")
        entry = zipfile.ZipInfo("link")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(entry, "file")
    unpack(tmp_path / "x.zip", tmp_path / "out")
    assert (tmp_path / "out/link").readlink() == Path("file")
    assert (tmp_path / "out/link").read_text() == "1"


def test_an_encrypted_zip_is_left_to_the_user(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        packed.writestr("file", "1")
    content = bytearray((tmp_path / "x.zip").read_bytes())
    content[6] |= 1  # the flag, in the local header and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(DownloadError, match=r"x\.zip: .*encrypted.*; unpack it by hand"):
        unpack(tmp_path / "x.zip", tmp_path / "out")


def test_links_that_stay_inside_are_kept(tmp_path):
    members = [
        special("link", tarfile.SYMTYPE, "a/file"),
        ("a/file", b"1"),
        special("a/up", tarfile.SYMTYPE, "../b"),
        special("hard", tarfile.LNKTYPE, "a/file"),
        ("b/c", b"2"),
    ]
    unpack(tar(tmp_path / "x", members), tmp_path / "out")
    assert (tmp_path / "out/link").read_bytes() == b"1"
    assert (tmp_path / "out/hard").read_bytes() == b"1"
    assert (tmp_path / "out/a/up/c").read_bytes() == b"2"


@pytest.mark.parametrize(
    ("members", "name", "reason"),
    [
        ([("../evil", b"")], "../evil", "it would lie outside the folder"),
        ([("a/../../evil", b"")], "a/../../evil", "it would lie outside the folder"),
        ([("/evil", b"")], "/evil", "it would lie outside the folder"),
        ([special("l", tarfile.SYMTYPE, "/etc")], "l", "links outside, to '/etc'"),
        ([special("l", tarfile.SYMTYPE, "../evil")], "l", "links outside"),
        ([special("l", tarfile.SYMTYPE, "../.out.unpacking/f"), ("f", b"")], "l", "links outside"),
        ([special("l", tarfile.LNKTYPE, "../evil")], "l", "it would lie outside"),
        ([special("l", tarfile.LNKTYPE, "absent")], "l", "links to 'absent', not a file"),
        # A file through a link; a link that is written to lead inside, and leads out by another.
        ([special("l", tarfile.SYMTYPE, "b"), ("l/evil", b"")], "l", "taken by an earlier member"),
        (
            [special("a/b", tarfile.SYMTYPE, ".."), special("x", tarfile.SYMTYPE, "a/b/../evil")],
            "x",
            "links outside",
        ),
        (
            [
                special("x", tarfile.SYMTYPE, "a/b/../evil"),
                special("a/b", tarfile.SYMTYPE, ".."),
            ],
            "x",
            "links outside",
        ),
        (
            [
                special("d", tarfile.SYMTYPE, "a"),
                ("a/f", b""),
                special("d/l", tarfile.SYMTYPE, "f"),
            ],
            "d/l",
            "lies behind a link",
        ),
        ([special("dev", tarfile.CHRTYPE)], "dev", "it is a device"),
        ([special("pipe", tarfile.FIFOTYPE)], "pipe", "it is a pipe"),
        ([("a", b"1"), ("a", b"2")], "a", "its name is taken by an earlier member"),
        ([("a", b"1"), ("a/b", b"2")], "a/b", "its name is taken by an earlier member"),
    ],
)
def test_no_member_escapes_and_nothing_is_left(tmp_path, members, name, reason):
    archive = tar(tmp_path / "x.tar.gz", members)
    text = rf"^x.tar.gz, member '{re.escape(name)}': refused: .*{re.escape(reason)}"
    with pytest.raises(DownloadError, match=text):
        unpack(archive, tmp_path / "in/out")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "in",
        "x.tar.gz",
    ]


@pytest.mark.parametrize("name", ["../evil", "/evil", "link"])
def test_no_member_of_a_zip_escapes(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        entry = zipfile.ZipInfo(name)
        if name == "link":
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(entry, "../evil")
    with pytest.raises(DownloadError, match=f"x.zip, member '{name}': refused"):
        unpack(tmp_path / "x.zip", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


@pytest.mark.parametrize("mode", ["w:", "w:gz"])
def test_an_archive_cut_anywhere_leaves_nothing(tmp_path, mode):
    noise = b"".join(hashlib.sha256(bytes([n])).digest() for n in range(64))
    content = tar(tmp_path / "x", [("a", noise), ("b", noise)], mode).read_bytes()
    # 2,560: between the members of the plain tar (a header and 2,048 bytes).
    cuts = {2560, 3000, 700} if mode == "w:" else {len(content) - 1, len(content) // 2}
    for cut in cuts:
        (tmp_path / "x").write_bytes(content[:cut])
        with pytest.raises(DownloadError, match=r"damaged or cut short .*download it again"):
            unpack(tmp_path / "x", tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_wrong_checksum_at_the_very_end_is_seen(tmp_path):
    content = bytearray(tar(tmp_path / "x", [("a", b"1")]).read_bytes())
    content[-6] ^= 1  # of the gzip CRC
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DownloadError, match="damaged or cut short"):
        unpack(tmp_path / "x", tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x28\xb5\x2f\xfd rest", "zstd; unpack it with `tar --zstd -xf`"),
        (b"plain words", "neither tar nor zip; download it again"),
        (b"<html>log in", "neither tar nor zip .a web page came"),
        (b"PK\x03\x04 rest", "damaged or cut short"),
        (gzip.compress(b"words", mtime=0), "damaged or cut short"),
        (b"", "neither tar nor zip"),
    ],
)
def test_what_is_no_archive_is_said(tmp_path, content, reason):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DownloadError, match=reason):
        unpack(tmp_path / "x", tmp_path / "out")


def test_a_folder_with_something_in_it_is_not_touched(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")
    with pytest.raises(DownloadError, match="out: exists already; remove it to unpack x there"):
        unpack(tar(tmp_path / "x", [("a", b"")]), tmp_path / "out")
    assert (tmp_path / "out/mine").read_text() == "mine"


def test_what_a_killed_run_left_is_cleared_away(tmp_path):
    (tmp_path / ".out.unpacking").mkdir()
    (tmp_path / ".out.unpacking/old").write_text("half")
    assert unpack(tar(tmp_path / "x", [("a", b"")]), tmp_path / "out") == ["a"]


def test_a_full_disk_while_unpacking_is_said(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    archive = tar(tmp_path / "x", [("a", b"1")])
    monkeypatch.setattr(module.shutil, "copyfileobj", full)
    with pytest.raises(
        DownloadError, match="x: cannot be unpacked: the disk or your quota is full"
    ):
        unpack(archive, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
