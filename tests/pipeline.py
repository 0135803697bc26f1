"""Running the pipeline from a test."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
MINIMAL = ROOT / "tests/workflow/minimal"
DEMO = ROOT / "runs/demo"
DATA = ROOT.parent / "shared/data"


def snakemake(folder, *arguments, settings=None, environment=None):
    """Run Snakemake in a run folder; what it said on both streams is in stdout."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
    command += ["--directory", folder, "--configfile", settings or folder / "config.yaml"]
    command += ["--workflow-profile", ROOT / "workflow/profiles/default"]
    command += ["--cores", os.cpu_count()]
    return subprocess.run(
        [*map(str, command), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment and {**os.environ, **environment},
        text=True,
    )


def change_settings(folder, **changes):
    """Change settings of a run; `a__b` is the setting b in the section a."""
    path = folder / "config.yaml"
    settings = yaml.safe_load(path.read_text())
    for key, value in changes.items():
        *sections, last = key.split("__")
        place = settings
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    path.write_text(yaml.safe_dump(settings))
