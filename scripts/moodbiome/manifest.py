"""Databases by name: the manifest says where they lie, `fetch` gets one, a lock holds what came.

The lock is a resource: beside the database it says which bytes every later run must find. It is
written before the files get their names, so that a run killed between goes on by it.

The standard library and PyYAML.
"""

import hashlib
import json
import re
import shutil
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import yaml

from moodbiome.database import DATABASE_FILES, database_taxa, sha256
from moodbiome.download import (
    SCHEMES,
    DownloadError,
    Say,
    download,
    read_text,
    require_space,
    unpack,
)
from moodbiome.faults import Fault, after, as_message, suggestion

KINDS = ("shotgun", "amplicon", "host")
NOMENCLATURES = ("ncbi", "gtdb", "silva", "greengenes", "rdp")
CERTAINTIES = ("verified", "quoted", "memory")

_NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
_DISTRIBUTION = re.compile(r"database(\d+)mers\.kmer_distrib")
_BOWTIE2 = re.compile(r"[^.].*?((?:\.rev\.[12]|\.[1-4])\.bt2l?)")
_BOWTIE2_SUFFIXES = (".1.bt2", ".2.bt2", ".3.bt2", ".4.bt2", ".rev.1.bt2", ".rev.2.bt2")
# Kept beside the tables and distributions: what the taxa are and where they come from.
_TAXONOMY = ("inspect.txt", "ktaxonomy.tsv", "names.dmp", "nodes.dmp", "seqid2taxid.map")
# The table's header: capacity, cells in use, bits of a key, bits of a value; then 4 bytes a cell.
_HASH_HEADER = struct.Struct("<4Q")
_BLOCK_BYTES = 1 << 20


class ManifestError(ValueError):
    """A manifest cannot be used; the message lists all that is wrong with it.

    Attributes
    ----------
    faults : list of Fault
    """

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(as_message(faults))
        self.faults = faults


class DatabaseError(RuntimeError):
    """What was fetched is no sound database, or not the locked one; the message says which."""


class Database(NamedTuple):
    """One database of the manifest; its keys are explained at the head of config/databases.yaml.

    None stands for what is not known. Sizes are in bytes, read lengths in bp.
    """

    kind: str
    url: str
    date: str | None
    download_bytes: int | None
    disk_bytes: int | None
    memory_bytes: int | None
    sha256: str | None
    md5: str | None
    md5_list: str | None
    nomenclature: str | None
    read_lengths_bp: tuple[int, ...]
    good_for: str
    licence: str
    certainty: str
    sources: tuple[str, ...]
    less_certain: Mapping[str, str] = MappingProxyType({})
    files: tuple[str, ...] = ()
    note: str = ""


# --- the manifest ---------------------------------------------------------------------------------


def read_manifest(path: Path) -> dict[str, Database]:
    """Read and check the manifest of databases.

    Parameters
    ----------
    path
        YAML: one mapping a database, under its name.

    Returns
    -------
    dict of str -> Database
        In the file's order.

    Raises
    ------
    ManifestError
        With all faults at once.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        fault = Fault(str(path), f"cannot be read ({error.strerror})", "correct the path")
        raise ManifestError([fault]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        fault = Fault(path.name, " ".join(str(error).split()), "correct the YAML")
        raise ManifestError([fault]) from error
    faults = check_manifest(content, path.name)
    if faults:
        raise ManifestError(faults)
    return {name: Database(**_as_tuples(entry)) for name, entry in content.items()}


def check_manifest(content: Any, place: str) -> list[Fault]:
    """All that is wrong with a manifest's content, in its order.

    Examples
    --------
    >>> for fault in check_manifest({"standard": {"kind": "shot"}}, "databases.yaml")[:2]:
    ...     print(fault)
    databases.yaml: standard.kind: is 'shot'; give one of shotgun, amplicon, host
    databases.yaml: standard.url: is missing; give an http, https, ftp or file address
    """
    if not isinstance(content, dict) or not content:
        return [Fault(place, "holds no database", "write one mapping a database, under its name")]
    faults = []
    for name, entry in content.items():
        here = f"{place}: {name}"
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            mend = "use lower case, digits and single . _ or - between them"
            faults.append(Fault(here, "is no name of a database", mend))
        if isinstance(entry, dict):
            faults += _field_faults(entry, here) or _contradictions(entry, here)
        else:
            faults.append(Fault(here, "is no mapping", f"give it {', '.join(_FIELDS)}"))
    return faults


def name_fault(name: str, manifest: Mapping[str, Database], kind: str, place: str) -> Fault | None:
    """Say what is wrong with a database's name in the settings.

    Examples
    --------
    >>> print(name_fault("standard8", {}, "shotgun", "config: databases.shotgun.name"))
    config: databases.shotgun.name: no database 'standard8'; the manifest has none of kind shotgun
    """
    if name in manifest and manifest[name].kind == kind:
        return None
    known = [other for other, entry in manifest.items() if entry.kind == kind]
    names = f"there are {', '.join(known)}" if known else f"the manifest has none of kind {kind}"
    if name in manifest:
        return Fault(place, f"{name!r} is of kind {manifest[name].kind}, not {kind}", names)
    return Fault(place, f"no database {name!r}", suggestion(name, known) + names)


def as_markdown(manifest: Mapping[str, Database]) -> str:
    """The manifest as docs/databases.md shows it: a table, and a line on each database."""
    rows = [
        "| name | kind | names | released | download | disk | memory | reads, bp | checksum |",
        "| --- | --- | --- | --- | ---: | ---: | ---: | --- | --- |",
    ]
    lines = []
    for name, entry in manifest.items():
        cells = (
            f"`{name}`",
            entry.kind,
            entry.nomenclature or "",
            entry.date or "",
            _gigabytes(entry.download_bytes),
            _gigabytes(entry.disk_bytes),
            _gigabytes(entry.memory_bytes),
            ", ".join(str(length) for length in entry.read_lengths_bp),
            _published(entry),
        )
        rows.append(f"| {' | '.join(cells)} |")
        parts = [f"- `{name}`: {entry.good_for}", f"Licence: {entry.licence.rstrip('.')}."]
        if entry.note:
            parts.append(entry.note)
        parts.append(f"Certainty: {_certainty(entry)}.")
        lines.append(" ".join(parts))
    return "\n".join([*rows, "", *lines]) + "\n"


class _Loader(yaml.SafeLoader):
    """Safe, and a key that stands twice is an error: the first would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                mark = key.start_mark
                raise yaml.MarkedYAMLError(None, None, f"{key.value!r} stands twice", mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _as_tuples(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: str(value)
        if key == "date" and value
        else tuple(value)
        if type(value) is list
        else value
        for key, value in entry.items()
    }


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "\n" not in value.strip()


def _is_url(value: Any) -> bool:
    return _is_text(value) and urlsplit(value).scheme in SCHEMES and not re.search(r"\s", value)


def _is_count(value: Any) -> bool:
    return value is None or (type(value) is int and value > 0)


def _is_sum(length: int) -> Callable[[Any], bool]:
    form = re.compile(f"[0-9a-f]{{{length}}}")
    return lambda value: value is None or bool(isinstance(value, str) and form.fullmatch(value))


def _is_list_of(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, list) and all(map(test, value)) and len(set(value)) == len(value)
    )


def _is_below(value: Any) -> bool:
    """Whether a text is a file's path that stays below its folder."""
    if not _is_text(value):
        return False
    parts = PurePosixPath(value).parts
    return not value.startswith("/") and not value.endswith("/") and ".." not in parts


_BYTES = (_is_count, "a number of bytes, or null where it is not known")
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "kind": (lambda value: value in KINDS, f"one of {', '.join(KINDS)}"),
    "url": (_is_url, "an http, https, ftp or file address"),
    "date": (
        lambda value: value is None or bool(re.fullmatch(r"\d{4}(-\d\d){0,2}", str(value))),
        "its release as YYYY-MM-DD, YYYY-MM or YYYY, or null",
    ),
    "download_bytes": _BYTES,
    "disk_bytes": _BYTES,
    "memory_bytes": _BYTES,
    "sha256": (_is_sum(64), "64 hexadecimal digits in quotes, or null if none is published"),
    "md5": (_is_sum(32), "32 hexadecimal digits in quotes, or null if none is published"),
    "md5_list": (
        lambda value: value is None or _is_url(value),
        "the address of the publisher's list of MD5 sums, or null",
    ),
    "nomenclature": (
        lambda value: value is None or value in NOMENCLATURES,
        f"one of {', '.join(NOMENCLATURES)}, or null for a host",
    ),
    "read_lengths_bp": (
        _is_list_of(lambda value: type(value) is int and value > 0),
        "a list of lengths in bp, each once; [] if there is none",
    ),
    "good_for": (lambda value: _is_text(value) and value.endswith("."), "one sentence"),
    "licence": (_is_text, "its licence, or 'not stated'"),
    "certainty": (lambda value: value in CERTAINTIES, f"one of {', '.join(CERTAINTIES)}"),
    "sources": (_is_list_of(_is_url), "a list of the addresses where this was read"),
    "less_certain": (
        lambda value: isinstance(value, dict) and all(one in CERTAINTIES for one in value.values()),
        f"a mapping of keys to one of {', '.join(CERTAINTIES)}",
    ),
    "files": (_is_list_of(_is_below), "a list of files' paths below the address"),
    "note": (_is_text, "one line of text"),
}
_OPTIONAL = ("less_certain", "files", "note")


def _field_faults(entry: Mapping[str, Any], place: str) -> list[Fault]:
    faults = []
    for key, (test, takes) in _FIELDS.items():
        if key not in entry:
            if key not in _OPTIONAL:
                faults.append(Fault(f"{place}.{key}", "is missing", f"give {takes}"))
        elif not test(entry[key]):
            faults.append(Fault(f"{place}.{key}", f"is {entry[key]!r}", f"give {takes}"))
    for key in entry:
        if key not in _FIELDS:
            mend = after(suggestion(str(key), _FIELDS), f"keys are: {', '.join(_FIELDS)}")
            faults.append(Fault(f"{place}.{key}", "is not a key of a database", mend))
    return faults


def _contradictions(entry: Mapping[str, Any], place: str) -> list[Fault]:
    """What is wrong with an entry whose every key, for itself, is right."""
    faults = []
    host = entry["kind"] == "host"
    if host != (entry["nomenclature"] is None):
        problem = "is set for a host" if host else "is null"
        mend = "give null" if host else f"give one of {', '.join(NOMENCLATURES)}"
        faults.append(Fault(f"{place}.nomenclature", problem, mend))
    if host and entry["read_lengths_bp"]:
        mend = "give []: a host index has no k-mer distribution"
        faults.append(Fault(f"{place}.read_lengths_bp", "is set for a host", mend))
    files = entry.get("files", [])
    if entry["url"].endswith("/") != bool(files):
        problem = "are listed for an archive" if files else "are missing: the address is a folder"
        mend = "end the address with / for single files, list none for an archive"
        faults.append(Fault(f"{place}.files", problem, mend))
    names = [PurePosixPath(file).name for file in files]
    for name in sorted({name for name in names if names.count(name) > 1}):
        faults.append(Fault(f"{place}.files", f"{name} is listed twice", "list it once"))
    if files and (entry["sha256"] or entry["md5"]):
        mend = "give the list's address as md5_list"
        faults.append(Fault(f"{place}.url", "is a folder, which has no checksum", mend))
    if entry["certainty"] != "memory" and not entry["sources"]:
        mend = "say where it was read, or write certainty: memory"
        problem = f"is empty, and certainty is {entry['certainty']}"
        faults.append(Fault(f"{place}.sources", problem, mend))
    for key in entry.get("less_certain", {}):
        if not entry.get(key):
            mend = f"{suggestion(str(key), _FIELDS)}name keys of this database that have a value"
            faults.append(Fault(f"{place}.less_certain", f"{key!r} has no value here", mend))
    return faults


def _gigabytes(count: int | None) -> str:
    """Bytes as GB with three digits; empty where not known.

    >>> _gigabytes(5_946_578_575), _gigabytes(110_710_122_820), _gigabytes(None)
    ('5.95 GB', '111 GB', '')
    """
    return "" if count is None else f"{count / 10**9:.3g} GB"


def _certainty(entry: Database) -> str:
    """How certain an entry is, the less certain keys by name."""
    kinds = dict.fromkeys(entry.less_certain.values())
    less = [f"{_keys_of(entry, kind)} {kind}" for kind in kinds]
    return "; ".join([entry.certainty, *less])


def _keys_of(entry: Database, kind: str) -> str:
    return ", ".join(key for key, certainty in entry.less_certain.items() if certainty == kind)


def _published(entry: Database) -> str:
    if entry.sha256 or entry.md5:
        return "sha256" if entry.sha256 else "md5"
    return "md5 of each file" if entry.md5_list else "none"


# --- the lock -------------------------------------------------------------------------------------


def read_lock(path: Path) -> dict[str, Any]:
    """Read a lock.

    Raises
    ------
    DatabaseError
        If it is none.
    """
    try:
        lock = json.loads(path.read_text(encoding="utf-8"))
        for found in lock["files"].values():
            int(found["bytes"]), str(found["sha256"])
        str(lock["name"]), str(lock["url"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatabaseError(
            f"{path}: is no lock of a database ({error!r}); take it from your backup, or remove it"
            " and the database beside it and fetch again"
        ) from error
    return lock


def differences(folder: Path, lock: Mapping[str, Any], *, quick: bool = False) -> list[Fault]:
    """How a database differs from its lock, one fault a file.

    Parameters
    ----------
    folder
        Where the database lies.
    lock
        What `fetch` has returned and written.
    quick
        Compare names and sizes alone, which takes no time but misses a change that keeps the size.
        Times of files are not looked at: copying changes them, and they can be set.

    Returns
    -------
    list of Fault
        Empty if each locked file is there with its bytes, and no other table, distribution or index
        beside them.
    """
    mend = "fetch the database again"
    faults = []
    for name, locked in sorted(lock["files"].items()):
        file = folder / name
        if not file.is_file():
            faults.append(Fault(str(file), "is missing", mend))
        elif quick:
            found = file.stat().st_size
            if found != locked["bytes"]:
                problem = f"has {found} bytes, the lock says {locked['bytes']}"
                faults.append(Fault(str(file), problem, mend))
        elif (digest := sha256(file)) != locked["sha256"]:
            problem = f"its sha256 is {digest}, the lock says {locked['sha256']}"
            faults.append(Fault(str(file), problem, mend))
    for name in _databases_own(folder) - set(lock["files"]):
        faults.append(Fault(str(folder / name), "is not of the locked database", "remove it"))
    return faults


def verify(folder: Path, lock: Mapping[str, Any], *, quick: bool = False) -> None:
    """Raise DatabaseError if a database is not what was locked; parameters as `differences`."""
    faults = differences(folder, lock, quick=quick)
    if faults:
        lines = "\n".join(f"  {fault}" for fault in sorted(faults))
        raise DatabaseError(f"{lock['name']} is not as it was locked:\n{lines}")


def _databases_own(folder: Path) -> set[str]:
    """Names of the files in a folder that steps read as the database's."""
    if not folder.is_dir():
        return set()
    names = {file.name for file in folder.iterdir()}
    return {
        name
        for name in names
        if name.endswith(".k2d") or _DISTRIBUTION.fullmatch(name) or _BOWTIE2.fullmatch(name)
    }


def _write_lock(path: Path, lock: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps(lock, indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)


# --- fetching -------------------------------------------------------------------------------------


def fetch(
    name: str,
    entry: Database,
    folder: Path,
    lock_path: Path,
    say: Say = print,
    *,
    fetched: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Download a database, check that it is one, lock it, and put it into its folder.

    Parameters
    ----------
    name, entry
        Of the manifest.
    folder
        Receives the files: for a Kraken2 database the tables, the k-mer distributions and what
        there is of taxonomy; for a host ``index.1.bt2`` and so on, whatever they were called. What
        is fetched lies in ``.<name>`` in it until all is there, so that a further try goes on.
    lock_path
        Is kept to if it is there, and written if not.
    say
        Called with lines for the log, warnings among them.
    fetched
        Date of today for a new lock; nothing here reads a clock.
    **options
        As for `moodbiome.download.read_text`.

    Returns
    -------
    dict
        The lock: `name`, `kind`, `url`, `released`, `fetched`, `nomenclature`, `archive` (bytes and
        sha256; None if single files were fetched), `checked_against` (the published checksums that
        were compared; empty if there was none), `n_taxa` (the root among them), `kmer_length`,
        `minimiser_length`, `read_lengths_bp` (of the distributions; the last four None for a host),
        and `files`: name -> {bytes, sha256}. The same whatever happened on the way.

    Raises
    ------
    DatabaseError
        If the lock is of another database; if what came differs from it, or from the published
        checksums; if it is no sound database. Nothing in the folder is changed then.
    DownloadError
        As `moodbiome.download.download` and `unpack`.
    """
    locked = read_lock(lock_path) if lock_path.is_file() else None
    if locked:
        _require_same(name, entry, locked, lock_path)
        changes = differences(folder, locked)
        if not changes:
            say(f"{name}: is there and as locked in {lock_path.name}")
            return locked
        for change in changes:
            say(f"{name}: {change}")
    _require_no_other(folder, set(locked["files"]) if locked else set(), name)
    work = folder / f".{name}"
    work.mkdir(parents=True, exist_ok=True)
    there = sum(file.stat().st_size for file in work.rglob("*") if file.is_file())
    needed = (entry.download_bytes or 0) + (entry.disk_bytes or 0)
    require_space(work, max(0, needed - there), name)

    sums = _md5_list(entry.md5_list, options, say) if entry.md5_list else {}
    if entry.files:
        archive, root = None, _fetch_files(entry, work, sums, locked, say, options)
    else:
        archive, root = _fetch_archive(entry, work, sums, locked, say, options)
    files = _wanted(root, entry.kind, name)
    facts = _host_facts(files, name) if entry.kind == "host" else _kraken_facts(files, name)
    if entry.kind != "host":
        _say_lengths(facts["read_lengths_bp"], entry, name, say)
    found, n_checked = _check_sums(files, sums, name)
    checked = _checked_against(entry, archive, sums, n_checked)
    if not (checked or locked):
        say(f"{name}: no checksum of it is published; what came now is locked")
    lock = locked or {
        "name": name,
        "kind": entry.kind,
        "url": entry.url,
        "released": entry.date,
        "fetched": fetched,
        "nomenclature": entry.nomenclature,
        "archive": archive,
        "checked_against": checked,
        **facts,
        "files": found,
    }
    _require_locked(found, lock, lock_path)
    _write_lock(lock_path, lock)
    for kept, file in files.items():
        file.replace(folder / kept)
    shutil.rmtree(work)
    return lock


def _require_same(name: str, entry: Database, lock: Mapping[str, Any], path: Path) -> None:
    for what, asked, locked in (("name", name, lock["name"]), ("address", entry.url, lock["url"])):
        if asked != locked:
            raise DatabaseError(
                f"{path}: the {what} locked is {locked!r}, and {asked!r} is asked for; to change"
                " the database of finished samples, remove this lock and the files beside it"
            )


def _require_no_other(folder: Path, known: set[str], name: str) -> None:
    """A distribution left by another database would be taken for this one's."""
    others = sorted(_databases_own(folder) - known)
    if others:
        raise DatabaseError(
            f"{folder}: holds {', '.join(others)}, of no lock; remove them to fetch {name} there,"
            " or give the folder as the database's path"
        )


def _md5_list(url: str, options: Mapping[str, Any], say: Say) -> dict[str, str]:
    """MD5 by name of file, from a list as md5sum writes it."""
    try:
        text = read_text(url, **{"say": say, **options})
    except DownloadError as error:
        raise DownloadError(
            f"{error}; correct md5_list in the manifest, or write null there if none is published",
            error.status,
        ) from error
    lines = [re.fullmatch(r"\\?([0-9a-fA-F]{32})\s+\*?(\S.*)", line) for line in text.splitlines()]
    sums = {PurePosixPath(line[2].strip()).name: line[1].lower() for line in lines if line}
    if not sums:
        raise DownloadError(f"{url}: holds no MD5 sum; correct md5_list in the manifest")
    return sums


def _fetch_archive(
    entry: Database,
    work: Path,
    sums: Mapping[str, str],
    locked: Mapping[str, Any] | None,
    say: Say,
    options: Mapping[str, Any],
) -> tuple[dict[str, Any], Path]:
    """Facts of the archive, and the folder that it was unpacked into."""
    path = work / PurePosixPath(urlsplit(entry.url).path).name
    known = (locked or {}).get("archive") or {}
    facts = _download(
        entry.url,
        path,
        {"sha256": entry.sha256, "md5": entry.md5 or sums.get(path.name)},
        known,
        say,
        options,
    )
    root = work / "unpacked"
    shutil.rmtree(root, ignore_errors=True)
    unpack(path, root)
    return {"bytes": facts["bytes"], "sha256": facts["sha256"]}, root


def _fetch_files(
    entry: Database,
    work: Path,
    sums: Mapping[str, str],
    locked: Mapping[str, Any] | None,
    say: Say,
    options: Mapping[str, Any],
) -> Path:
    for file in entry.files:
        name = PurePosixPath(file).name
        known = (locked["files"].get(name) or {}) if locked else {}
        _download(entry.url + file, work / name, {"md5": sums.get(name)}, known, say, options)
    return work


def _download(
    url: str,
    path: Path,
    published: Mapping[str, str | None],
    known: Mapping[str, Any],
    say: Say,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Download by the published and the locked sums, which must agree."""
    locked = known.get("sha256")
    if locked and (published.get("sha256") or locked) != locked:
        raise DatabaseError(
            f"{url}: the manifest's sha256 is {published['sha256']}, the lock says {locked}; to"
            " take the new one, remove the lock and the files beside it"
        )
    try:
        facts = download(
            url,
            path,
            sha256=published.get("sha256") or locked,
            md5=published.get("md5"),
            size=known.get("bytes"),
            say=say,
            **options,
        )
    except DownloadError as error:
        # Only a wrong content is fetched twice; all else that fails is no matter of the lock.
        if locked and "fetched twice" in str(error):
            raise DatabaseError(
                f"{error}. This is not what was locked (sha256 {locked}): the publisher has changed"
                " it. To take the new one, remove the lock and the files beside it"
            ) from error
        raise
    if facts["resumed_from"]:
        say(f"{url}: went on from byte {facts['resumed_from']}")
    return facts


def _wanted(root: Path, kind: str, name: str) -> dict[str, Path]:
    """Files to keep by the name that they get, wherever in the folder they lie."""
    found: dict[str, Path] = {}
    for path in sorted(root.rglob("*")):
        kept = _kept_name(path.name, kind)
        if not kept or not path.is_file() or path.is_symlink():
            continue
        if kept in found:
            places = " and ".join(str(file.relative_to(root)) for file in (found[kept], path))
            raise DatabaseError(f"{name}: {kept} is there twice, as {places}; unpack it by hand")
        found[kept] = path
    return found


def _kept_name(file: str, kind: str) -> str | None:
    """The name under which a file of a database is kept, or None if it is not needed.

    >>> _kept_name("chm13v2.0.rev.1.bt2", "host"), _kept_name("hash.k2d", "shotgun")
    ('index.rev.1.bt2', 'hash.k2d')
    >>> _kept_name("library_report.tsv", "shotgun"), _kept_name("._hash.k2d", "shotgun")
    (None, None)
    """
    if kind == "host":
        match = _BOWTIE2.fullmatch(file)
        return f"index{match[1]}" if match else None
    needed = file in DATABASE_FILES or file in _TAXONOMY or _DISTRIBUTION.fullmatch(file)
    return file if needed else None


def _host_facts(files: Iterable[str], name: str) -> dict[str, Any]:
    for long in ("", "l"):
        missing = [
            f"index{end}{long}" for end in _BOWTIE2_SUFFIXES if f"index{end}{long}" not in files
        ]
        if not missing:
            break
        if len(missing) < len(_BOWTIE2_SUFFIXES):
            raise DatabaseError(f"{name}: no whole bowtie2 index: it lacks {', '.join(missing)}")
    else:
        raise DatabaseError(f"{name}: holds no bowtie2 index (.1.bt2 to .rev.2.bt2)")
    keys = ("n_taxa", "kmer_length", "minimiser_length", "read_lengths_bp")
    return dict.fromkeys(keys)


def _kraken_facts(files: Mapping[str, Path], name: str) -> dict[str, Any]:
    missing = [file for file in DATABASE_FILES if file not in files]
    if missing:
        mend = "check the manifest's address"
        raise DatabaseError(f"{name}: no Kraken2 database: it lacks {', '.join(missing)}; {mend}")
    try:
        kmer, minimiser = kmer_lengths(files["opts.k2d"])
        check_hash(files["hash.k2d"])
        n_taxa = sum(1 for _ in database_taxa(files["taxo.k2d"]))
    except ValueError as error:
        raise DatabaseError(f"{name}: no sound Kraken2 database: {error}") from error
    lengths = [int(match[1]) for file in files if (match := _DISTRIBUTION.fullmatch(file))]
    return {
        "n_taxa": n_taxa,
        "kmer_length": kmer,
        "minimiser_length": minimiser,
        "read_lengths_bp": sorted(lengths),
    }


def kmer_lengths(options: Path) -> tuple[int, int]:
    """Lengths of a Kraken2 database's k-mers and of their minimisers, in bases.

    Parameters
    ----------
    options
        ``opts.k2d``: a C structure as it stands in memory, these two first, as 64-bit numbers
        (kraken2, src/kraken2_data.h). Its length depends on Kraken2's version.

    Raises
    ------
    ValueError
        If it is shorter, or the lengths are impossible: 1 <= minimiser <= 31, k-mer >= minimiser.
    """
    content = options.read_bytes()
    kmer, minimiser = struct.unpack_from("<2Q", content) if len(content) >= 16 else (0, 0)
    if not 1 <= minimiser <= min(31, kmer):
        raise ValueError(f"{options} holds no options of Kraken2; fetch the database again")
    return kmer, minimiser


def check_hash(table: Path) -> None:
    """Raise ValueError if a Kraken2 database's ``hash.k2d`` has not the length that it says.

    Kraken2 itself looks at that only with --memory-mapping (src/compact_hash.cc, LoadTable).
    """
    with table.open("rb") as content:
        header = content.read(_HASH_HEADER.size)
    if len(header) < _HASH_HEADER.size:
        raise ValueError(f"{table} is cut short; fetch the database again")
    capacity, _, key_bits, value_bits = _HASH_HEADER.unpack(header)
    if key_bits + value_bits != 32:
        raise ValueError(f"{table} is no hash table of Kraken2; fetch the database again")
    expected, found = _HASH_HEADER.size + 4 * capacity, table.stat().st_size
    if found != expected:
        raise ValueError(f"{table} has {found} of {expected} bytes; fetch the database again")


def _say_lengths(found: list[int], entry: Database, name: str, say: Say) -> None:
    if not found:
        say(f"{name}: warning: no k-mer distribution; set profile.reestimate: false for it")
    missing = [str(length) for length in entry.read_lengths_bp if length not in found]
    if found and missing:
        say(
            f"{name}: warning: no distribution for {', '.join(missing)} bp, which the manifest says"
        )


def _check_sums(
    files: Mapping[str, Path], sums: Mapping[str, str], name: str
) -> tuple[dict[str, dict[str, Any]], int]:
    """Size and SHA-256 of each file, by name, and how many had a published MD5 to agree with."""
    found, n_checked = {}, 0
    for kept, path in sorted(files.items()):
        strong, weak = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        published = sums.get(path.name)
        with path.open("rb") as content:
            while block := content.read(_BLOCK_BYTES):
                strong.update(block)
                if published:
                    weak.update(block)
        if published and weak.hexdigest() != published:
            raise DatabaseError(
                f"{name}: {path.name}: its md5 is {weak.hexdigest()}, the publisher's list says"
                f" {published}; fetch again, and tell the publisher if it stays"
            )
        n_checked += bool(published)
        found[kept] = {"bytes": path.stat().st_size, "sha256": strong.hexdigest()}
    return found, n_checked


def _checked_against(
    entry: Database, archive: Any, sums: Mapping[str, str], n_files: int
) -> list[str]:
    """Which published checksums were compared, in words."""
    checked = [f"{kind} of the archive" for kind in ("sha256", "md5") if getattr(entry, kind)]
    if archive and not entry.md5 and PurePosixPath(urlsplit(entry.url).path).name in sums:
        checked.append(f"md5 of the archive ({entry.md5_list})")
    if n_files:
        checked.append(f"md5 of {n_files} file{'s' if n_files > 1 else ''} ({entry.md5_list})")
    if entry.md5_list and not checked:
        raise DatabaseError(
            f"{entry.md5_list}: names neither the archive nor any of its files; correct md5_list in"
            " the manifest, or write null there"
        )
    return checked


def _require_locked(
    found: Mapping[str, Mapping[str, Any]], lock: Mapping[str, Any], path: Path
) -> None:
    """Raise DatabaseError unless exactly the locked files came, with their bytes."""
    changed = []
    for name in sorted({*found, *lock["files"]}):
        came, was = (side.get(name, {}).get("sha256", "none") for side in (found, lock["files"]))
        if came != was:
            changed.append(f"{name}: its sha256 is {came}, the lock says {was}")
    if changed:
        raise DatabaseError(
            f"{path}: what came is not what was locked: {'; '.join(changed)}. To take the new one,"
            " remove the lock and the files beside it"
        )
