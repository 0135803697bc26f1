"""One copy of a database a node: made by whoever comes first, removed by whoever leaves last.

A user has one folder on a node, ``moodbiome-<user id>``, which holds the copies and three kinds of
locks (flock: the kernel lets them go when a process ends, however it ends):

- ``gate``: exclusive. Whoever looks for, makes or removes a copy holds it; all else waits. A copy
  that another is making is thus waited for, and no two of the steps below can mix.
- ``<key>.use``: shared, held by each job that uses a copy. It is opened under the gate only, so it
  can be removed with the copy.
- ``keep``: shared, held by a run that wants copies to outlast its single jobs.

A copy is made as ``<key>.part`` and renamed when each file has its SHA-256: one that was broken off
is never taken for whole. It is removed when nobody holds its ``use`` lock and nobody ``keep``.

Only the standard library.
"""

import atexit
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from moodbiome.forecast import size

_BLOCK_BYTES = 1 << 22
# flock is not what it promises, or a copy not one node's own, on these.
_NETWORK = (
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "fuse.",
    "gpfs",
    "lustre",
    "nfs",
    "smb",
    "wekafs",
)
_MEND = 'set databases.stage to another folder of the node, or to "" to read it where it lies'


class StagingError(RuntimeError):
    """A database cannot be copied to the node; the message says why, and what to do."""


def node_folder(setting: str) -> Path:
    """The folder that a setting means on this node, its environment variables filled in.

    Raises
    ------
    StagingError
        If a variable is not set here, or it is no folder on a file system of the node's own.
    """
    folder = Path(os.path.expandvars(setting))
    if "$" in str(folder):
        raise StagingError(
            f"databases.stage: {setting!r}: not set on {os.uname().nodename}; {_MEND}"
        )
    if not folder.is_absolute() or not folder.is_dir():
        place = f"databases.stage: {setting!r} (on {os.uname().nodename})"
        raise StagingError(f"{place}: no folder '{folder}', given from the root; {_MEND}")
    kind = _file_system(folder)
    if kind.startswith(_NETWORK):
        raise StagingError(f"databases.stage: {folder} is shared between nodes ({kind}); {_MEND}")
    return folder


def at_hand(
    files: Sequence[Path], setting: str, fingerprint: Path
) -> contextlib.AbstractContextManager[Path]:
    """A database's folder: where its files lie, or the node's copy if there is to be one.

    Parameters
    ----------
    files
        Of the database.
    setting
        `databases.stage`; empty to read the files where they lie.
    fingerprint
        File with what `moodbiome.database.fingerprint` gave.

    Raises
    ------
    StagingError
        As `node_folder` and `staged`.
    """
    if not setting:
        return contextlib.nullcontext(files[0].parent)
    return staged(files, node_folder(setting), json.loads(fingerprint.read_text()))


@contextlib.contextmanager
def staged(files: Sequence[Path], folder: Path, fingerprint: Mapping[str, Any]) -> Iterator[Path]:
    """Use a node's copy of a database; it is there, whole and checked, until the block is left.

    Parameters
    ----------
    files
        Of the database, of different names.
    folder
        As `node_folder` gives it.
    fingerprint
        As `moodbiome.database.fingerprint` gives it; more files may be in it.

    Yields
    ------
    Path
        The folder with the copies, under the files' own names.

    Raises
    ------
    StagingError
        If the folder is full, or is not the user's own; or if a file is not what its fingerprint
        says.
    """
    entries = {}
    for file in files:
        if file.name not in fingerprint["files"]:
            mend = "remove results/provenance/database.*.json and run again"
            raise StagingError(f"{file}: is not in the database's fingerprint; {mend}")
        entries[file.name] = fingerprint["files"][file.name]
    lines = "".join(f"{entries[name]['sha256']}  {name}\n" for name in sorted(entries))
    root = _own_folder(folder)
    copy = root / hashlib.sha256(lines.encode()).hexdigest()[:16]
    with contextlib.ExitStack() as use:
        with _lock(root / "gate", fcntl.LOCK_EX):
            if not _is_whole(copy, entries):
                _remove_unused(root)
                _copy(files, copy, entries)
            use.enter_context(_lock(copy.with_suffix(".use"), fcntl.LOCK_SH))
        try:
            yield copy
        finally:
            use.close()
            with _lock(root / "gate", fcntl.LOCK_EX):
                _remove_unused(root)


def keep_copies(folder: Path) -> None:
    """Let copies outlast the jobs that use them, until this process ends.

    Between two jobs of a run nobody may be using a copy, and it would be made again. Copies that
    nobody uses are removed at the begin and at the end; if this process is killed, by the next job
    or run that comes.
    """
    root = _own_folder(folder)
    held = contextlib.ExitStack()

    def let_go() -> None:
        held.close()
        with _lock(root / "gate", fcntl.LOCK_EX):
            _remove_unused(root)

    with _lock(root / "gate", fcntl.LOCK_EX):
        _remove_unused(root)
        held.enter_context(_lock(root / "keep", fcntl.LOCK_SH))
    atexit.register(let_go)


@contextlib.contextmanager
def _lock(path: Path, kind: int) -> Iterator[bool]:
    """Hold a lock on a file; whether it was got, which only a non-blocking kind may not be."""
    with path.open("ab") as file:
        try:
            fcntl.flock(file, kind)
        except BlockingIOError:
            yield False
        else:
            yield True


def _remove_unused(root: Path) -> None:
    """Remove all copies and parts that nobody uses, unless a run keeps them. Under the gate."""
    with _lock(root / "keep", fcntl.LOCK_EX | fcntl.LOCK_NB) as nobody_keeps:
        if not nobody_keeps:
            return
        for path in [path for path in root.iterdir() if path.is_dir()]:
            use = path.with_suffix(".use")
            with _lock(use, fcntl.LOCK_EX | fcntl.LOCK_NB) as nobody_uses:
                if nobody_uses:
                    shutil.rmtree(path)
                    use.unlink()


def _is_whole(copy: Path, entries: Mapping[str, Any]) -> bool:
    """Whether each file is there in its length: a cleaner of old files may have taken some."""
    with contextlib.suppress(FileNotFoundError):
        return all(
            (copy / name).stat().st_size == found["bytes"] for name, found in entries.items()
        )
    return False


def _copy(files: Sequence[Path], copy: Path, entries: Mapping[str, Any]) -> None:
    part = copy.with_suffix(".part")
    for old in (copy, part):
        shutil.rmtree(old, ignore_errors=True)
    needed = sum(entries[file.name]["bytes"] for file in files)
    free = shutil.disk_usage(copy.parent).free
    full = f"{copy.parent}: {size(needed)} are needed for the database"
    if needed > free:
        raise StagingError(f"{full} and {size(free)} are free; {_MEND}")
    try:
        part.mkdir()
        for file in files:
            digest = _copy_file(file, part / file.name)
            if digest != entries[file.name]["sha256"]:
                raise StagingError(
                    f"{file}: its sha256 is {digest}, its fingerprint says"
                    f" {entries[file.name]['sha256']}; if the change was meant, remove"
                    " results/provenance/database.*.json and run again"
                )
        part.rename(copy)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StagingError(f"{full}, and it got full on the way; {_MEND}") from error
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _copy_file(file: Path, copy: Path) -> str:
    """SHA-256 of what was copied, on the disk when this returns."""
    digest = hashlib.sha256()
    with file.open("rb") as source, copy.open("xb") as out:
        while block := source.read(_BLOCK_BYTES):
            digest.update(block)
            out.write(block)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def _own_folder(folder: Path) -> Path:
    """The user's folder, which nobody else may write to or look into."""
    root = folder / f"moodbiome-{os.geteuid()}"
    with contextlib.suppress(FileExistsError):
        root.mkdir(mode=0o700)
    found = root.lstat()
    private = stat.S_ISDIR(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
    if not private or found.st_uid != os.geteuid():
        raise StagingError(f"{root}: is not yours alone (mode 0700); remove it or {_MEND}")
    return root


def _file_system(folder: Path) -> str:
    """Kind of the file system that a folder is on, as the kernel calls it."""
    place, kind = "", ""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, found, *_ = line.split(" ")
        mount = mount.replace("\\040", " ")
        # The last of mounts on one place is the one to be seen.
        if folder.resolve().is_relative_to(mount) and len(mount) >= len(place):
            place, kind = mount, found
    return kind
