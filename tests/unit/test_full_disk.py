"""A disk without space: every step says so by name, and leaves nothing that looks like a result.

Real disks are mounted, of a few kilobytes in memory, because the tools differ: samtools and
kraken2-build fail, fastp and Kraken2 end with success, HDF5 ends the process.
"""

import gzip
import os
import random
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from moodbiome.classification import classify_sample
from moodbiome.cleaning import clean_run
from moodbiome.cohort import write_tsv
from moodbiome.database import DATABASE_FILES, build_database
from moodbiome.download import DownloadError, download, unpack
from moodbiome.tables import write_biom, write_counts
from moodbiome.tools import ToolError

TOOLS = ("fastp", "bowtie2", "bowtie2-build", "samtools", "kraken2", "kraken2-build")
needs_tools = pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)), reason=f"{', '.join(TOOLS)} are needed"
)
READS = 3000
NODES = "1\t|\t1\t|\tno rank\t|\n2\t|\t1\t|\tdomain\t|\n562\t|\t2\t|\tspecies\t|\n"
NAMES = "".join(
    f"{taxon}\t|\t{name}\t|\t\t|\tscientific name\t|\n"
    for taxon, name in ((1, "root"), (2, "Bacteria"), (562, "Escherichia coli"))
)


class Disk:
    """A mounted disk of a given size, which can be given another."""

    def __init__(self, folder: Path, size: str):
        self.folder = folder
        folder.mkdir()
        self._mount(size)

    def _mount(self, size: str, *options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", ",".join([*options, f"size={size}"])]
        done = subprocess.run([*command, "tmpfs", self.folder], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")

    def grow(self, size: str) -> None:
        self._mount(size, "remount")

    def leave(self, n_bytes: int) -> None:
        """Fill it but for some bytes; whole pages of 4096 count."""
        (self.folder / "fill").unlink(missing_ok=True)
        (self.folder / "fill").write_bytes(bytes(shutil.disk_usage(self.folder).free - n_bytes))

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.rglob("*") if path.name != "fill")


@pytest.fixture
def disk(tmp_path):
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("only root can mount a disk")
    made = []

    def make(size):
        made.append(Disk(tmp_path / f"disk{len(made)}", size))
        return made[-1]

    yield make
    for one in made:
        subprocess.run(["umount", one.folder], check=True)


def letters(seed, length):
    return "".join(random.Random(seed).choices("ACGT", k=length))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A genome, its taxonomy and reads, single-end."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "taxonomy").mkdir()
    (folder / "taxonomy/nodes.dmp").write_text(NODES)
    (folder / "taxonomy/names.dmp").write_text(NAMES)
    genome, host = letters(1, 60_000), letters(2, 5_000)
    (folder / "E_coli_562.fna").write_text(f">one\n{genome}\n")
    (folder / "host.fna").write_text(f">host\n{host}\n")
    starts = random.Random(3).choices(range(59_900), k=READS)
    with gzip.open(folder / "reads.fastq.gz", "wt") as out:
        for number, start in enumerate(starts):
            out.write(f"@r{number}\n{genome[start : start + 100]}\n+\n{'I' * 100}\n")
    return folder


@pytest.fixture(scope="module")
def database(inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("database")
    build_database([inputs / "E_coli_562.fna"], inputs / "taxonomy", folder, 1, folder / "log")
    return folder


@pytest.fixture(scope="module")
def index(inputs, tmp_path_factory):
    prefix = tmp_path_factory.mktemp("host") / "index"
    subprocess.run(["bowtie2-build", "--quiet", inputs / "host.fna", prefix], check=True)
    return str(prefix)


def clean(inputs, folder, log, report=None, host_index=""):
    check = {"sample": "S1", "assay": "shotgun", "run": "L1", "layout": "single", "warnings": []}
    return clean_run(
        {**check, "status": "ok", "reason": "", "fragments": READS},
        [str(inputs / "reads.fastq.gz")],
        [str(folder / "clean.R1.fastq.gz"), str(folder / "clean.R2.fastq.gz")],
        report or log.parent / "fastp.json",
        host_index,
        min_length=50,
        min_quality=15,
        max_bad_percent=40,
        threads=1,
        log=log,
    )


@needs_tools
@pytest.mark.parametrize("left", [0, 4096, 40960])
def test_reads_that_fastp_could_not_write_are_missed(inputs, disk, tmp_path, left):
    small = disk("200k")
    small.leave(left)
    with pytest.raises(ToolError, match=r"clean\.R1\.fastq\.gz: cut short.*no space left"):
        clean(inputs, small.folder, tmp_path / "log")
    (small.folder / "fill").unlink()
    small.grow("10m")
    assert clean(inputs, small.folder, tmp_path / "log")["non_host"] == READS


@needs_tools
@pytest.mark.parametrize("left", [0, 4096])
def test_a_report_that_fastp_could_not_write_is_missed(inputs, disk, tmp_path, left):
    small = disk("100k")
    small.leave(left)
    with pytest.raises(ToolError, match=r"fastp\.json: cut short.*no space left"):
        clean(inputs, tmp_path, tmp_path / "log", report=small.folder / "fastp.json")


@needs_tools
@pytest.mark.parametrize("left", [0, 4096])
def test_samtools_says_that_the_disk_is_full(inputs, index, disk, tmp_path, left):
    small = disk("100k")
    small.leave(left)
    with pytest.raises(ToolError, match=r"(?s)samtools ended with code 1.*No space left on device"):
        clean(inputs, small.folder, tmp_path / "log", host_index=index)
    assert str(small.folder / "clean.R1.fastq.gz") in (tmp_path / "log").read_text()


@needs_tools
def test_a_report_that_kraken2_could_not_write_is_missed(inputs, database, disk, tmp_path):
    run = {"sample": "S1", "assay": "shotgun", "run": "L1", "layout": "single", "warnings": []}
    run |= {"status": "ok", "reason": "", "mean_length": 100.0, "raw": READS}
    run |= {"failed_qc": 0, "host": 0, "non_host": READS}
    small = disk("100k")
    files = ([str(inputs / "reads.fastq.gz")], [""])

    def classify():
        report = small.folder / "S1.kraken2.txt"
        return classify_sample([run], *files, database, report, 0.0, 2, 1, tmp_path / "log")

    small.leave(0)
    with pytest.raises(ToolError, match=r"S1\.kraken2\.txt: cut short.*no space left"):
        classify()
    (small.folder / "fill").unlink()
    assert classify()["classified"] == READS


@needs_tools
@pytest.mark.parametrize("kilobytes", [40, 72, 140, 200, 300])
def test_a_database_is_whole_or_absent(inputs, database, disk, tmp_path, kilobytes):
    small = disk(f"{kilobytes}k")
    genomes = [inputs / "E_coli_562.fna"]

    def build():
        build_database(genomes, inputs / "taxonomy", small.folder, 1, tmp_path / "log")

    with pytest.raises((ToolError, OSError), match=r"(?i)no space left"):
        build()
    assert small.files() == []
    small.grow("20m")
    build()
    for name in DATABASE_FILES:
        assert (small.folder / name).read_bytes() == (database / name).read_bytes()


TABLE = pd.DataFrame(
    {"name": [f"taxon {i}" for i in range(500)], "lineage": "k__A", **{f"S{i}": 1 for i in "123"}},
    index=pd.Index(range(500), name="taxon_id"),
)


@pytest.mark.parametrize("left", [0, 4096])
@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_tsv(TABLE, path),
        lambda path: write_counts(TABLE, path),
        lambda path: write_biom(TABLE, path, title="t"),
    ],
    ids=["tsv", "counts", "biom"],
)
def test_a_table_names_its_file(disk, write, left):
    small = disk("100k")
    small.leave(left)
    with pytest.raises(OSError, match=r"No space left on device: '.*/table'"):
        write(str(small.folder / "table"))


def test_a_download_keeps_what_it_has_and_goes_on(disk, tmp_path):
    content = random.Random(1).randbytes(300_000)
    (tmp_path / "source").write_bytes(content)
    small = disk("100k")
    path = small.folder / "file"
    url = (tmp_path / "source").as_uri()
    with pytest.raises(DownloadError, match=r"are needed and .* are free|disk or your quota"):
        download(url, path, sleep=lambda seconds: None)
    assert not path.exists()
    small.grow("2m")
    download(url, path, sleep=lambda seconds: None)
    assert path.read_bytes() == content


def test_an_archive_is_unpacked_whole_or_not_at_all(disk, tmp_path):
    (tmp_path / "content").mkdir()
    (tmp_path / "content/file").write_bytes(random.Random(1).randbytes(300_000))
    archive = shutil.make_archive(str(tmp_path / "archive"), "gztar", tmp_path / "content")
    small = disk("100k")
    with pytest.raises(DownloadError, match=r"archive\.tar\.gz: .*the disk or your quota is full"):
        unpack(archive, small.folder / "database")
    assert small.files() == []
    small.grow("2m")
    assert unpack(archive, small.folder / "database") == ["file"]
