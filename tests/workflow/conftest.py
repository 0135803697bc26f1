"""A run folder that can be planned."""

import shutil
from pathlib import Path

import pytest

from pipeline import MINIMAL


@pytest.fixture
def folder(tmp_path):
    """A copy of the minimal run, to be changed by a test."""
    return Path(shutil.copytree(MINIMAL, tmp_path / "run"))
