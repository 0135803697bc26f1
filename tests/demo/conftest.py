"""The demo's results and their truth."""

import pandas as pd
import pytest

from pipeline import DEMO


@pytest.fixture(scope="session")
def results():
    if not (DEMO / "results/conclusion.txt").exists():
        pytest.fail("the demo has not been run to its end: make demo")
    return DEMO / "results"


@pytest.fixture(scope="session")
def truth():
    return pd.read_table(DEMO / "cohort/truth.tsv", dtype={"sample": str})
