"""A run folder that can be planned, and a way to ask Snakemake for its plan."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MINIMAL = ROOT / "tests/workflow/minimal"


@pytest.fixture
def folder(tmp_path):
    """A copy of the minimal run, to be changed by a test."""
    return Path(shutil.copytree(MINIMAL, tmp_path / "run"))


def change_settings(folder, **changes):
    """Change settings of the run; `a__b` is the setting b in the section a."""
    path = folder / "config.yaml"
    settings = yaml.safe_load(path.read_text())
    for key, value in changes.items():
        *sections, last = key.split("__")
        place = settings
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    path.write_text(yaml.safe_dump(settings))


def snakemake(folder, *arguments):
    """Run Snakemake in a run folder; what it said on both streams is in stdout."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
    command += ["--directory", folder, "--configfile", folder / "config.yaml"]
    command += ["--workflow-profile", ROOT / "workflow/profiles/default", "--cores", "1"]
    return subprocess.run(
        [*map(str, command), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
