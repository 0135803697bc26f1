"""One copy a node, whoever comes, goes or is killed: with real processes."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from moodbiome import staging
from moodbiome.database import fingerprint
from moodbiome.staging import StagingError, keep_copies, node_folder, staged

SCRIPTS = Path(__file__).parents[2] / "scripts"
# A job: says when it is in, and leaves when it is told to (by a file) or killed.
JOB = """
import json, sys, time
from pathlib import Path
sys.path.insert(0, {scripts!r})
from moodbiome import staging
folder, database, name, pause = sys.argv[1:5]
copy_file = staging._copy_file
def slowly(file, copy):
    Path(folder, "copying." + name).touch()
    time.sleep(float(pause))
    return copy_file(file, copy)
staging._copy_file = slowly
files = sorted(Path(database).glob("*.k2d"))
if "keep" in sys.argv:
    staging.keep_copies(Path(folder))
    Path(folder, "in." + name).touch()
    while not Path(folder, "leave." + name).exists():
        time.sleep(0.01)
    sys.exit()
found = json.loads(Path(database, "fingerprint.json").read_text())
with staging.staged(files, Path(folder), found) as local:
    read = [(local / file.name).read_bytes() == file.read_bytes() for file in files]
    # Renamed when written, as others wait for it.
    whole = Path(folder, "part." + name)
    whole.write_text(f"{{local.stat().st_ino}} {{all(read)}}")
    whole.rename(Path(folder, "in." + name))
    while not Path(folder, "leave." + name).exists():
        time.sleep(0.01)
"""


def database_at(folder, content=b"hash"):
    folder.mkdir()
    for name in ("hash.k2d", "opts.k2d", "taxo.k2d"):
        (folder / name).write_bytes(content + name.encode())
    found = fingerprint(sorted(folder.glob("*.k2d")))
    (folder / "fingerprint.json").write_text(json.dumps(found))
    return folder


@pytest.fixture
def database(tmp_path):
    return database_at(tmp_path / "database")


@pytest.fixture
def node(tmp_path):
    """A node's folder, with jobs to be started on it; none outlives the test."""
    node = Node(tmp_path / "node")
    yield node
    for process in node.processes:
        process.kill()
        process.wait()


class Node:
    def __init__(self, folder):
        folder.mkdir()
        self.folder, self.processes = folder, []
        self.own = folder / f"moodbiome-{os.geteuid()}"

    def start(self, name, database, *more, pause=0.0):
        command = [sys.executable, "-c", JOB.format(scripts=str(SCRIPTS))]
        command += [self.folder, database, name, pause, *more]
        self.processes.append(subprocess.Popen(list(map(str, command))))
        return self.processes[-1]

    def wait_for(self, name):
        deadline = time.monotonic() + 60
        while not (self.folder / name).exists():
            assert time.monotonic() < deadline, f"{name} never came"
            time.sleep(0.01)
        return (self.folder / name).read_text()

    def leave(self, name, process):
        (self.folder / f"leave.{name}").touch()
        assert process.wait(60) == 0

    def copies(self):
        return sorted(path.name for path in self.own.iterdir() if path.is_dir())


def test_eight_that_start_at_once_use_one_copy_and_the_last_removes_it(node, database):
    jobs = {f"job{number}": None for number in range(8)}
    for name in jobs:
        jobs[name] = node.start(name, database, pause=0.1)
    said = {node.wait_for(f"in.{name}") for name in jobs}
    assert len(said) == 1
    assert said.pop().endswith(" True")
    assert len(list(node.folder.glob("copying.*"))) == 1
    for name, job in jobs.items():
        assert len(node.copies()) == 1
        node.leave(name, job)
    assert node.copies() == []
    assert sorted(path.name for path in node.own.iterdir()) == ["gate", "keep"]


def test_one_killed_while_copying_leaves_a_part_that_the_next_removes(node, database):
    first = node.start("first", database, pause=60)
    node.wait_for("copying.first")
    waiting = node.start("waiting", database)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert node.wait_for("in.waiting").endswith(" True")
    assert len(node.copies()) == 1
    node.leave("waiting", waiting)
    assert node.copies() == []


def test_a_part_alone_is_never_used(node, database):
    first = node.start("first", database, pause=60)
    node.wait_for("copying.first")
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert [name.endswith(".part") for name in node.copies()] == [True]
    found = json.loads((database / "fingerprint.json").read_text())
    with staged(sorted(database.glob("*.k2d")), node.folder, found) as local:
        assert [path.name for path in node.own.iterdir() if path.is_dir()] == [local.name]


def test_a_killed_user_holds_nothing_and_takes_nothing_from_others(node, database):
    killed = node.start("killed", database)
    node.wait_for("in.killed")
    other = node.start("other", database)
    copy = node.wait_for("in.other")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    third = node.start("third", database)
    assert node.wait_for("in.third") == copy
    node.leave("third", third)
    assert len(node.copies()) == 1
    node.leave("other", other)
    assert node.copies() == []


def test_what_a_killed_last_user_left_is_removed_by_the_next_of_another_database(
    node, database, tmp_path
):
    killed = node.start("killed", database)
    node.wait_for("in.killed")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    (left,) = node.copies()
    other = database_at(tmp_path / "other", b"another")
    job = node.start("job", other)
    node.wait_for("in.job")
    assert len(node.copies()) == 1
    assert left not in node.copies()
    node.leave("job", job)


def test_two_databases_lie_side_by_side(node, database, tmp_path):
    other = database_at(tmp_path / "other", b"another")
    jobs = {"a": node.start("a", database), "b": node.start("b", other)}
    assert all(node.wait_for(f"in.{name}").endswith(" True") for name in jobs)
    assert len(node.copies()) == 2
    node.leave("a", jobs["a"])
    assert len(node.copies()) == 1
    node.leave("b", jobs["b"])
    assert node.copies() == []


def test_a_run_keeps_the_copy_between_its_jobs_and_removes_it_at_its_end(node, database):
    run = node.start("run", database, "keep")
    node.wait_for("in.run")
    seen = set()
    for name in ("a", "b"):
        job = node.start(name, database)
        seen.add(node.wait_for(f"in.{name}"))
        node.leave(name, job)
    assert len(seen) == 1
    assert len(list(node.folder.glob("copying.*"))) == 1
    assert len(node.copies()) == 1
    node.leave("run", run)
    assert node.copies() == []


def test_a_run_that_was_killed_keeps_nothing(node, database):
    run = node.start("run", database, "keep")
    node.wait_for("in.run")
    run.send_signal(signal.SIGKILL)
    run.wait()
    job = node.start("job", database)
    node.wait_for("in.job")
    node.leave("job", job)
    assert node.copies() == []


def test_a_file_removed_from_a_copy_makes_it_copied_again(node, database):
    killed = node.start("killed", database)
    node.wait_for("in.killed")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    (node.own / node.copies()[0] / "taxo.k2d").unlink()
    job = node.start("job", database)
    assert node.wait_for("in.job").endswith(" True")
    node.leave("job", job)


def stage(database, folder, found=None):
    found = found or json.loads((database / "fingerprint.json").read_text())
    with staged(sorted(database.glob("*.k2d")), folder, found) as local:
        return sorted(file.name for file in local.iterdir())


def test_a_changed_byte_is_refused_by_name_and_nothing_stays(node, database):
    content = bytearray((database / "hash.k2d").read_bytes())
    content[2] ^= 1
    (database / "hash.k2d").write_bytes(content)
    with pytest.raises(StagingError, match=r"hash\.k2d: its sha256 is .*, its fingerprint says"):
        stage(database, node.folder)
    assert node.copies() == []


def test_a_file_without_fingerprint_is_refused(node, database):
    with pytest.raises(StagingError, match=r"hash\.k2d: is not in the database's fingerprint"):
        stage(database, node.folder, {"files": {}})


def test_a_full_folder_is_told_before_copying(node, database, monkeypatch):
    usage = staging.shutil.disk_usage(node.folder)
    monkeypatch.setattr(staging.shutil, "disk_usage", lambda _: usage._replace(free=20))
    with pytest.raises(StagingError, match="36 B are needed for the database and 20 B are free"):
        stage(database, node.folder)
    assert node.copies() == []


def test_a_folder_that_gets_full_on_the_way_is_told_and_nothing_stays(node, database, monkeypatch):
    def full(file, copy):
        copy.write_bytes(b"a part")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(staging, "_copy_file", full)
    with pytest.raises(StagingError, match="36 B are needed for the database, and it got full on"):
        stage(database, node.folder)
    assert node.copies() == []


def test_the_folder_of_another_user_is_not_used(node, database, tmp_path):
    node.own.mkdir(mode=0o755)
    with pytest.raises(StagingError, match="is not yours alone"):
        stage(database, node.folder)
    node.own.rmdir()
    node.own.symlink_to(tmp_path)
    with pytest.raises(StagingError, match="is not yours alone"):
        keep_copies(node.folder)


def test_the_users_folder_is_for_the_user_alone(node, database):
    assert stage(database, node.folder) == ["hash.k2d", "opts.k2d", "taxo.k2d"]
    assert node.own.stat().st_mode & 0o777 == 0o700


def test_variables_are_those_of_the_node(monkeypatch, tmp_path):
    monkeypatch.setenv("NODE_FOLDER", str(tmp_path))
    assert node_folder("$NODE_FOLDER") == tmp_path
    monkeypatch.delenv("NODE_FOLDER")
    with pytest.raises(StagingError, match=r"'\$NODE_FOLDER': not set on "):
        node_folder("$NODE_FOLDER")


@pytest.mark.parametrize("setting", ["relative", "/no/such/folder"])
def test_what_is_no_folder_of_the_node_is_refused(setting):
    with pytest.raises(StagingError, match=f"no folder '{setting}'"):
        node_folder(setting)


def test_a_folder_shared_between_nodes_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(staging, "_file_system", lambda _: "nfs4")
    with pytest.raises(StagingError, match=r"is shared between nodes \(nfs4\)"):
        node_folder(str(tmp_path))


def test_the_kind_of_a_file_system_is_the_kernels():
    assert staging._file_system(Path("/proc/self")) == "proc"
