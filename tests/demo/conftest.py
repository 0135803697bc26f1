"""The demo's results, and a way to run the pipeline again beside them."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "runs/demo"


@pytest.fixture(scope="session")
def results():
    if not (DEMO / "results/conclusion.txt").exists():
        pytest.fail("the demo has not been run to its end: make demo")
    return DEMO / "results"


@pytest.fixture(scope="session")
def truth():
    return pd.read_table(DEMO / "cohort/truth.tsv", dtype={"sample": str})


def run_pipeline(folder, settings, *arguments):
    """Run Snakemake in a folder; what it said on both streams is in stdout."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
    command += ["--directory", folder, "--configfile", settings]
    command += ["--workflow-profile", ROOT / "workflow/profiles/default", "--cores", os.cpu_count()]
    return subprocess.run(
        [*map(str, command), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
