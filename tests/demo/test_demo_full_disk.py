"""A run whose disk fills stops with the cause, and finishes once there is room."""

import os
import shutil
import subprocess

import pytest
import yaml

from pipeline import DEMO, snakemake

TARGETS = [f"results/profile/shotgun/{sample}.kraken2.txt" for sample in ("C01", "D01")]
TARGETS += ["results/tables/shotgun.genus.counts.biom"]


@pytest.fixture
def folder(tmp_path, results):
    """Two samples of the demo, with 900 kB for the results."""
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("only root can mount a disk")
    (tmp_path / "results").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", tmp_path / "results"]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    header, *rows = (DEMO / "cohort/samples.tsv").read_text().splitlines()
    rows = [row.replace("reads/", f"{DEMO}/cohort/reads/") for row in rows]
    rows = [row for row in rows if row.split("\t")[0] in ("C01", "D01")]
    (tmp_path / "samples.tsv").write_text("\n".join([header, *rows]) + "\n")
    settings = {
        "samples": "samples.tsv",
        "host": {"index": str(DEMO / "resources/host/index")},
        "databases": {"shotgun": {"path": str(DEMO / "resources/databases/shotgun")}},
        "cohort": {"group": "group", "reference": "control"},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    yield tmp_path
    subprocess.run(["umount", tmp_path / "results"], check=True)


@pytest.mark.demo
def test_a_run_on_a_full_disk_finishes_once_there_is_room(folder):
    def grow(size):
        command = ["mount", "-o", f"remount,size={size}", "tmpfs", folder / "results"]
        subprocess.run(command, check=True)

    done = snakemake(folder, *TARGETS)
    assert done.returncode
    assert "No space left on device" in done.stdout
    assert "rule clean_reads" in done.stdout
    assert not list((folder / "results").rglob("*.clean.*"))

    grow("20m")
    assert snakemake(folder, "--until", "classify_reads").returncode == 0
    used = shutil.disk_usage(folder / "results").used
    grow(f"{used // 1024 + 40}k")
    done = snakemake(folder, *TARGETS)
    assert done.returncode
    assert "No space left on device: 'results/tables/" in done.stdout
    assert not list((folder / "results").glob("tables/*.biom"))

    grow("20m")
    done = snakemake(folder, *TARGETS)
    assert done.returncode == 0, done.stdout
    for target in TARGETS[:2]:
        assert (folder / target).read_bytes() == (DEMO / target).read_bytes()
