"""Downloads that go on after a break, are checked, and never leave half a file; safe unpacking.

A download grows in ``<name>.part``; ``<name>.part.json`` says which version of the file it is. Only
a part that is complete and has the right checksum gets the final name. One process a file: two that
download to the same name at once spoil each other's part.

Only the standard library.
"""

import bz2
import contextlib
import errno
import ftplib
import gzip
import hashlib
import json
import lzma
import os
import re
import shutil
import ssl
import stat
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from functools import partial
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

SCHEMES = ("http", "https", "ftp", "file")
RETRIES = 5
BACKOFF_SECONDS = 2.0
TIMEOUT_SECONDS = 60.0

_LONGEST_WAIT_SECONDS = 300.0
_BLOCK_BYTES = 1 << 20
# A break after this much more of the file is a new problem, not the old one again.
_PROGRESS_BYTES = 1 << 20
_REPORT_BYTES = 1 << 25
# Besides 5xx: the client may be right and the server only busy (RFC 9110, RFC 6585, RFC 8470).
_PASSING_STATUS = (408, 425, 429)
_MENDS = {
    401: "it needs a login, which is not supported; download it by hand",
    403: "access is refused; check that it is public, and your proxy",
    404: "it is not there; check the address in the settings, or whether it has moved",
    410: "it was taken down for good; find its new address",
}

Progress = Callable[[int, int | None], object]
Say = Callable[[str], object]


class DownloadError(RuntimeError):
    """A file could not be fetched or unpacked; the message says which, why, and what to do.

    Attributes
    ----------
    status : int or None
        The server's final HTTP status, where that is the reason.
    """

    def __init__(self, message: str, status: int | None = None):
        super().__init__(message)
        self.status = status


class _Broken(Exception):
    """The connection or the server failed, and another try may do better."""

    def __init__(self, reason: object, wait: float = 0.0):
        super().__init__(str(reason))
        self.wait = wait


class _Wrong(Exception):
    """A whole file came, but not the expected one."""


def download(
    url: str,
    path: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    md5: str | None = None,
    size: int | None = None,
    retries: int = RETRIES,
    backoff: float = BACKOFF_SECONDS,
    timeout: float = TIMEOUT_SECONDS,
    progress: Progress | None = None,
    say: Say | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> dict[str, Any]:
    """Download a file, going on where an earlier try broke off, and name it only when it is right.

    Parameters
    ----------
    url
        http, https, ftp or file. Only http and https can go on after a break.
    path
        Receives the file. One that is there with the expected checksum is kept without a request;
        any other is replaced.
    sha256, md5
        Expected checksums, as hexadecimal digits.
    size
        Expected size in bytes.
    retries
        Further tries after the first; counted anew when a try brought at least 1 MiB more.
    backoff
        Seconds before the second try, doubled for each further one; a server's Retry-After counts
        if it is longer. Never more than five minutes.
    timeout
        Seconds without a byte after which a connection counts as broken.
    progress
        Called with (bytes there, bytes in all or None) after each block.
    say
        Called with one line about each try that failed.

    Returns
    -------
    dict
        `url`, `bytes`, `sha256`, and `resumed_from`: the byte at which the last request went on, 0
        for a file that came in one piece, `bytes` for one that was there already. Only
        `resumed_from` depends on what happened on the way.

    Raises
    ------
    DownloadError
        If the request cannot succeed (scheme, 4xx, certificate), the tries are used up, the
        checksum or size is wrong twice, or the disk is full. What was fetched stays in
        ``<path>.part`` unless its content is wrong.

    Notes
    -----
    A part is continued only if it was begun from the same URL, and if the file's version is known
    (strong ETag or Last-Modified, sent as If-Range and compared with the answer: RFC 9110, sections
    13.1.5 and 14) or a checksum is given, so that a changed file is never glued to an old part.
    """
    path = Path(path)
    sums = {
        kind: digest.strip().lower()
        for kind, digest in (("sha256", sha256), ("md5", md5))
        if digest
    }
    if sums and path.is_file():
        found = _checksums(path, sums)
        if all(found[kind] == digest for kind, digest in sums.items()):
            there = path.stat().st_size
            return {"url": url, "bytes": there, "sha256": found["sha256"], "resumed_from": there}

    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(path.with_name(f"{path.name}.part"), url, bool(sums))
    patience = _Patience(url, retries, backoff, say, sleep)
    farthest, spoiled = part.size(), False
    while True:
        try:
            resumed_from = _request(part, size, timeout, progress)
            found = _checksums(part.path, sums)
            for kind, digest in sums.items():
                if found[kind] != digest:
                    raise _Wrong(
                        f"its {kind} is {found[kind]}, expected {digest}{_web_page(part.path)}"
                    )
            break
        except _Wrong as error:
            part.remove()
            farthest = 0
            if spoiled:
                mend = "correct what is expected, or use another source"
                raise DownloadError(f"{url}: {error}; fetched twice; {mend}") from None
            spoiled = True
            if say:
                say(f"{url}: {error}; fetching it once more from the start")
        except _Broken as error:
            reached = part.size()
            if reached >= farthest + _PROGRESS_BYTES:
                farthest = reached
                patience.renew()
            kept = f"; {reached} bytes are kept in {part.path.name}" if reached else ""
            patience.wait(error, kept)
    part.finish(path)
    facts = {"url": url, "bytes": path.stat().st_size, "sha256": found["sha256"]}
    return {**facts, "resumed_from": resumed_from}


def read_text(
    url: str,
    *,
    retries: int = RETRIES,
    backoff: float = BACKOFF_SECONDS,
    timeout: float = TIMEOUT_SECONDS,
    say: Say | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> str:
    """Text of a small document, such as a table from a web service; empty where it has no content.

    Parameters are those of `download`.

    Raises
    ------
    DownloadError
        As `download`, and if the text is longer than 32 MiB or not UTF-8.
    """
    return read_page(url, retries=retries, backoff=backoff, timeout=timeout, say=say, sleep=sleep)[
        0
    ]


def read_page(
    url: str,
    *,
    retries: int = RETRIES,
    backoff: float = BACKOFF_SECONDS,
    timeout: float = TIMEOUT_SECONDS,
    say: Say | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> tuple[str, dict[str, str]]:
    """As `read_text`, with the headers of the answer: their names are in lower case."""
    patience = _Patience(url, retries, backoff, say, sleep)
    while True:
        try:
            with _open(url, {}, timeout) as response:
                try:
                    content = response.read(_REPORT_BYTES + 1)
                except (OSError, HTTPException) as error:
                    raise _Broken(_in_words(error)) from error
                if len(content) > _REPORT_BYTES:
                    raise DownloadError(f"{url}: longer than {_REPORT_BYTES} bytes; check it")
                length = _length(response)
                if length is not None and len(content) < length:
                    raise _Broken(f"broke off after {len(content)} of {length} bytes")
                headers = {name.lower(): value for name, value in response.headers.items()}
                return content.decode(), headers
        except UnicodeDecodeError:
            raise DownloadError(f"{url}: the answer is not text; check the address") from None
        except _Broken as error:
            patience.wait(error)


def require_space(folder: Path, needed: int, what: str) -> None:
    """Raise DownloadError if a folder's disk has less than ``needed`` bytes free."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DownloadError(
            f"{what}: {_amount(needed)} are needed and {_amount(free)} are free on the disk of"
            f" {folder}; make room there or use another disk"
        )


class _Patience:
    """How often, and how long after each other, tries are made."""

    def __init__(
        self,
        url: str,
        retries: int,
        backoff: float,
        say: Say | None,
        sleep: Callable[[float], object],
    ):
        self.url, self.retries, self.backoff = url, retries, backoff
        self.say, self.sleep = say, sleep
        self.failed = 0

    def renew(self) -> None:
        self.failed = 0

    def wait(self, error: _Broken, kept: str = "") -> None:
        """Sleep before the next try, or raise DownloadError if there is none left."""
        self.failed += 1
        if self.failed > self.retries:
            tries = f"{self.failed} tries" if self.failed > 1 else "1 try"
            raise DownloadError(
                f"{self.url}: {error}; gave up after {tries}{kept}; check the network, then run"
                " again"
            ) from error
        seconds = max(error.wait, self.backoff * 2 ** (self.failed - 1))
        seconds = min(seconds, _LONGEST_WAIT_SECONDS)
        if self.say:
            self.say(f"{self.url}: {error}; next try in {seconds:g} s")
        self.sleep(seconds)


class _Part:
    """The unfinished file, and which version of which URL it is a part of."""

    def __init__(self, path: Path, url: str, checked: bool):
        self.path, self.url, self.checked = path, url, checked
        self.state = path.with_name(f"{path.name}.json")
        try:
            known = json.loads(self.state.read_text())
            known = known if known["url"] == url else {}
        except (OSError, ValueError, KeyError, TypeError):
            known = {}
        self.validator: str | None = known.get("validator")
        self.total: int | None = known.get("bytes")
        if not known:
            self.remove()

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def remove(self) -> None:
        # The bytes go first: a state without bytes is harmless, bytes under a new state are not.
        self.path.unlink(missing_ok=True)
        self.state.unlink(missing_ok=True)
        self.validator = self.total = None

    def begin(self, validator: str | None, total: int | None) -> None:
        """Start an empty part of this version."""
        self.remove()
        self.validator, self.total = validator, total
        fresh = self.state.with_name(f"{self.state.name}.new")
        state = {"url": self.url, "validator": validator, "bytes": total}
        with _writing(self.path):
            fresh.write_text(json.dumps(state) + "\n")
            fresh.replace(self.state)
            self.path.touch()

    def finish(self, path: Path) -> None:
        with _writing(self.path):
            with self.path.open("rb") as content:
                # Else a power cut could leave the final name with nothing behind it.
                os.fsync(content.fileno())
            self.path.replace(path)
        self.state.unlink(missing_ok=True)


def _request(part: _Part, size: int | None, timeout: float, progress: Progress | None) -> int:
    """Bring a part to its full length by one request, and return where that began."""
    if not (part.validator or part.checked):
        # A changed file could be glued to it unseen.
        part.remove()
    offset = part.size()
    headers = {}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if part.validator:
            headers["If-Range"] = part.validator
    with _open(part.url, headers, timeout) as response:
        status = getattr(response, "status", None) or 200
        length = _length(response)
        total: int | None
        if status == 416:
            # Nothing lies behind the part: it is complete, unless the file has changed.
            if _content_range(response, r"\*/(\d+)") == [offset] and part.total in (None, offset):
                return offset
            part.remove()
            raise _Broken("the part on disk does not fit the file (HTTP 416)")
        if status == 206:
            total = _continued(part, offset, response)
        elif status == 200:
            offset, total = 0, length if length is not None else size
        else:
            raise DownloadError(f"{part.url}: HTTP {status} has no file; check the address", status)
        if size is not None and total != size:
            raise _Wrong(f"it has {total} bytes, expected {size}")
        if total is None and not getattr(response, "chunked", False) and not part.checked:
            raise DownloadError(
                f"{part.url}: the server does not say how long the file is, so that a break would"
                " look like its end; give its size, sha256 or md5"
            )
        if status == 200:
            part.begin(_validator(response), total)
        if total is not None:
            require_space(part.path.parent, total - offset, part.url)
        _append(part, response, length, total, progress)
    return offset


def _continued(part: _Part, offset: int, response: Any) -> int:
    """Size of the whole file, if a partial response goes on with this version at this byte."""
    span = _content_range(response, r"(\d+)-\d+/(\d+)")
    if not offset or not span or span[0] != offset:
        part.remove()
        raise _Broken("the server sent another range than was asked for")
    # Some servers pay no heed to If-Range.
    changed = part.validator and _validator(response) != part.validator
    if changed or part.total not in (None, span[1]):
        part.remove()
        raise _Broken("the file changed on the server between two tries")
    return span[1]


def _append(
    part: _Part, response: Any, length: int | None, total: int | None, progress: Progress | None
) -> None:
    """Write what the response holds behind the part's bytes.

    ``length`` is what the server has announced for this response; read to its end if None.
    """
    there, left = part.size(), length
    with _writing(part.path), part.path.open("ab") as out:
        while left is None or left > 0:
            try:
                # Unlike read(), read1() gives up nothing that came before a break.
                block = response.read1(min(_BLOCK_BYTES, left or _BLOCK_BYTES))
            except (OSError, HTTPException) as error:
                raise _Broken(f"{_in_words(error)} after {there} of {_in_all(total)}") from error
            if not block:
                break
            out.write(block)
            there += len(block)
            left = None if left is None else left - len(block)
            if total is not None and there > total:
                raise _Wrong(f"it has more than {total} bytes, expected {total}")
            if progress:
                progress(there, total)
    if total is not None and there < total:
        raise _Broken(f"broke off after {there} of {total} bytes")


def _open(url: str, headers: dict[str, str], timeout: float) -> Any:
    """The response to a request; 416 is one, all other HTTP errors raise."""
    scheme = urlsplit(url).scheme.lower()
    if scheme not in SCHEMES:
        raise DownloadError(f"{url}: begins with none of {', '.join(SCHEMES)}; correct the address")
    try:
        return urlopen(
            Request(url, headers={"User-Agent": "moodbiome", **headers}), timeout=timeout
        )
    except HTTPError as error:
        if error.code == 416 and "Range" in headers:
            return error
        error.close()
        said = f"HTTP {error.code} {error.reason}".rstrip()
        if error.code in _PASSING_STATUS or error.code >= 500:
            after = error.headers.get("Retry-After", "") if error.headers else ""
            raise _Broken(said, float(after) if after.isdecimal() else 0.0) from None
        mend = _MENDS.get(error.code, "check the address")
        raise DownloadError(f"{url}: {said}: {mend}", error.code) from None
    except ValueError as error:  # InvalidURL among them
        raise DownloadError(f"{url}: not a sound address ({error}); correct it") from None
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise DownloadError(
                f"{url}: its certificate is not trusted ({reason.verify_message}); set the clock,"
                " install ca-certificates, or name your proxy's certificates in SSL_CERT_FILE"
            ) from error
        # urllib gives what an FTP server refuses as text or as the error, by Python version.
        refused = isinstance(reason, ftplib.error_perm) or "error_perm" in str(reason)
        if scheme == "file" or refused:
            raise DownloadError(f"{url}: {_in_words(reason)}; correct the path") from error
        raise _Broken(_in_words(reason)) from error


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say what to do where the disk, not the network, fails."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DownloadError(
                f"{path}: the disk or your quota is full; make room, then run again: what was"
                " fetched is kept"
            ) from error
        raise DownloadError(f"{path}: cannot be written ({error.strerror or error})") from error


def _in_words(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _in_all(total: int | None) -> str:
    return "an unknown number of bytes" if total is None else f"{total} bytes"


def _amount(count: int) -> str:
    """Bytes in the largest unit that keeps them at 1 or more.

    >>> _amount(999), _amount(5_000_000), _amount(90_000_000_000)
    ('999 bytes', '5.0 MB', '90.0 GB')
    """
    for unit, name in ((10**9, "GB"), (10**6, "MB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"


def _validator(response: Any) -> str | None:
    """What names this version of the file: If-Range takes no weak ETag (RFC 9110, 13.1.5)."""
    etag = response.headers.get("ETag", "")
    if etag.startswith('"'):
        return etag
    return response.headers.get("Last-Modified") or None


def _length(response: Any) -> int | None:
    said = response.headers.get("Content-Length") or ""
    return int(said) if said.isdecimal() else None


def _content_range(response: Any, pattern: str) -> list[int]:
    said = response.headers.get("Content-Range") or ""
    match = re.fullmatch(rf"bytes {pattern}", said.strip())
    return [int(number) for number in match.groups()] if match else []


def _checksums(path: Path, kinds: Any) -> dict[str, str]:
    """SHA-256 and the other wanted checksums of a file, read once."""
    hashes = {kind: hashlib.new(kind, usedforsecurity=False) for kind in {"sha256", *kinds}}
    with path.open("rb") as content:
        while block := content.read(_BLOCK_BYTES):
            for one in hashes.values():
                one.update(block)
    return {kind: one.hexdigest() for kind, one in hashes.items()}


def _web_page(path: Path) -> str:
    with path.open("rb") as content:
        begin = content.read(256).lstrip().lower()
    if begin.startswith((b"<!doctype html", b"<html")):
        return " (a web page came instead of the file: a proxy or a login?)"
    return ""


# --- unpacking ------------------------------------------------------------------------------------


class _Member(NamedTuple):
    """One thing in an archive: `kind` is file, folder, symlink, hardlink, or what it is else."""

    name: str
    kind: str
    size: int
    target: str
    open: Callable[[], Any]


_PACKERS: tuple[tuple[bytes, Callable[..., Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)
_ZSTD = b"\x28\xb5\x2f\xfd"
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
)


def unpack(archive: str | os.PathLike[str], folder: str | os.PathLike[str]) -> list[str]:
    """Unpack an archive into a new folder: whole, or not at all.

    Parameters
    ----------
    archive
        tar (plain, gzip, bzip2 or xz) or zip, told by its content. Checksums that it holds are
        checked to its last byte.
    folder
        Must be absent or empty. It is filled beside and then renamed.

    Returns
    -------
    list of str
        Names of the files in the folder, sorted.

    Raises
    ------
    DownloadError
        If a member would lie outside the folder (by its name or through a link), is a device, pipe
        or socket, or is there twice; if the archive is damaged, encrypted or of another format; or
        if the disk is full. Nothing is left then.

    Notes
    -----
    Owners, modes and times of the archive are not taken over. Links are made after all files, so
    that no file can be written through one, and looked at again when all are there.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DownloadError(f"{folder}: exists already; remove it to unpack {archive.name} there")
    folder.parent.mkdir(parents=True, exist_ok=True)
    root = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(root, ignore_errors=True)
    try:
        root.mkdir()
        with contextlib.closing(_members(archive)) as members:
            _fill(root, members, archive.name)
        files = sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())
        root.replace(folder)
        return files
    except _DAMAGE as error:
        raise DownloadError(
            f"{archive}: damaged or cut short ({error}); remove it and download it again"
        ) from error
    except DownloadError:
        raise
    except (ValueError, RuntimeError) as error:
        # An impossible name, an encrypted zip, a zip compression that Python lacks.
        raise DownloadError(f"{archive}: {error}; unpack it by hand") from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        mend = "the disk or your quota is full; make room" if full else str(error)
        raise DownloadError(f"{archive}: cannot be unpacked: {mend}") from error
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _fill(root: Path, members: Generator[_Member], archive: str) -> None:
    """Write members below ``root``: folders and files as they come, links when all are there."""
    links = []
    for member in members:
        place = f"{archive}, member {member.name!r}"
        path = root / _inside(member.name, place)
        if path == root:
            continue
        if member.kind == "folder":
            path.mkdir(parents=True, exist_ok=True)
        elif member.kind == "file":
            with _once(place):
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as out:
                    shutil.copyfileobj(member.open(), out, _BLOCK_BYTES)
        elif member.kind in ("symlink", "hardlink"):
            links.append((member, place, path))
        else:
            raise DownloadError(f"{place}: refused: it is {member.kind}, not a file or folder")
    real = root.resolve()
    for member, place, path in links:
        parent = path.parent.relative_to(root)
        if path.parent.resolve() != real / parent:
            raise DownloadError(f"{place}: refused: lies behind a link")
        if member.kind == "hardlink":
            target = _inside(member.target, place)
            if (root / target).resolve() != real / target or not (root / target).is_file():
                raise DownloadError(f"{place}: refused: links to {member.target!r}, not a file")
        elif _leads_out(parent, member.target):
            raise DownloadError(f"{place}: refused: links outside, to {member.target!r}")
        with _once(place):
            path.parent.mkdir(parents=True, exist_ok=True)
            if member.kind == "hardlink":
                path.hardlink_to(root / target)
            else:
                path.symlink_to(member.target)
    for member, place, path in links:
        # Written to lead inside, it may lead out through another link.
        if not _real(path, real).is_relative_to(real):
            raise DownloadError(f"{place}: refused: links outside, to {member.target!r}")


def _inside(name: str, place: str) -> PurePosixPath:
    """A member's name as a path that stays below the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise DownloadError(f"{place}: refused: it would lie outside the folder")
    return path


def _leads_out(parent: Path, target: str) -> bool:
    """Whether a link's target, as it is written, leaves the folder, if only on its way.

    >>> _leads_out(Path("a"), "../b"), _leads_out(Path("a"), "../../b"), _leads_out(Path(), "/b")
    (False, True, True)
    """
    whole = os.path.normpath(parent / target)
    return target.startswith("/") or whole.split("/")[0] == ".."


def _real(path: Path, root: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a ring of links leads nowhere
        return root


@contextlib.contextmanager
def _once(place: str) -> Iterator[None]:
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise DownloadError(f"{place}: refused: its name is taken by an earlier member") from None


def _members(archive: Path) -> Generator[_Member]:
    try:
        with archive.open("rb") as content:
            begin = content.read(512)
    except OSError as error:
        raise DownloadError(f"{archive}: {_in_words(error)}; correct the path") from error
    if begin.startswith(b"PK"):
        return _zip_members(archive)
    if begin.startswith(_ZSTD):
        raise DownloadError(
            f"{archive}: is compressed with zstd; unpack it with `tar --zstd -xf`, or zstd -d first"
        )
    for magic, opener in _PACKERS:
        if begin.startswith(magic):
            return _tar_members(opener(archive, "rb"))
    if begin[257:262] == b"ustar":
        # Nothing else shows that a plain tar was cut between two members.
        with archive.open("rb") as content:
            content.seek(-min(512, archive.stat().st_size), os.SEEK_END)
            if any(content.read()):
                raise EOFError("it has no end mark")
        return _tar_members(archive.open("rb"))
    raise DownloadError(f"{archive}: neither tar nor zip{_web_page(archive)}; download it again")


def _tar_members(content: BinaryIO) -> Generator[_Member]:
    kinds: dict[bytes, str] = {
        tarfile.SYMTYPE: "symlink",
        tarfile.LNKTYPE: "hardlink",
        tarfile.DIRTYPE: "folder",
        tarfile.CHRTYPE: "a device",
        tarfile.BLKTYPE: "a device",
        tarfile.FIFOTYPE: "a pipe",
    }
    # As a stream: seeking back in a compressed file would unpack it from the start again.
    with content, tarfile.open(fileobj=content, mode="r|") as tar:
        for entry in tar:
            kind = "file" if entry.isreg() else kinds.get(entry.type, "of an unknown type")
            yield _Member(
                entry.name, kind, entry.size, entry.linkname, partial(tar.extractfile, entry)
            )
        # The archive may end before its compression does, and the checksum stands at the end.
        while content.read(_BLOCK_BYTES):
            pass


def _zip_members(archive: Path) -> Generator[_Member]:
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            mode = entry.external_attr >> 16
            kind, target = "folder" if entry.is_dir() else "file", ""
            if stat.S_ISLNK(mode):
                kind, target = "symlink", os.fsdecode(packed.read(entry))
            elif stat.S_IFMT(mode) and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                kind = "a device or pipe"
            yield _Member(
                entry.filename, kind, entry.file_size, target, partial(packed.open, entry)
            )
