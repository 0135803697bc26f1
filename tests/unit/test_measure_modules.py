"""The script of the rule measure_modules: what it notes beside the modules."""

import json
import runpy
from types import SimpleNamespace

import pytest

from moodbiome.cohort import read_tsv
from moodbiome.modules import Thresholds
from pipeline import ROOT

THRESHOLDS = Thresholds()._asdict()


@pytest.fixture
def measure(tmp_path):
    """Run the script on a table of one assay, the other without; its notes by assay."""

    def run(assay, other, unit):
        paths = {
            "genes": tmp_path / f"{assay}.genes.tsv",
            "accounts": tmp_path / f"{assay}.import.tsv",
            "fingerprints": tmp_path / f"function.{assay}.json",
        }
        paths["genes"].write_text("ko\tname\tS1\nK00929\t\t3\n")
        paths["accounts"].write_text(f"sample\tunit\tstatus\treason\nS1\t{unit}\tok\t\n")
        paths["fingerprints"].write_text(json.dumps({"source": "imported table"}))
        config = ROOT / "config/function"
        snake = SimpleNamespace(
            input=SimpleNamespace(
                **{name: [str(path)] for name, path in paths.items()},
                **{key: [] for key in ("limits", "fragments", "searches", "more")},
                modules=config / "modules.tsv",
                steps=config / "steps.tsv",
            ),
            output=SimpleNamespace(
                **{name: str(tmp_path / name) for name in ("modules", "steps", "not_run")}
            ),
            params=SimpleNamespace(
                assays=[assay], without=[other], thresholds=THRESHOLDS, draws=10, seed=1
            ),
            log=[str(tmp_path / "log")],
        )
        runpy.run_path(str(ROOT / "scripts/measure_modules.py"), {"snakemake": snake})
        return read_tsv(snake.output.not_run).groupby("assay")["reason"].agg(" ".join)

    return run


def test_an_assay_without_families_is_told_the_ways_that_it_has(measure):
    both = "no gene families: give proteins to search the reads for (function.proteins), or a table"
    assert measure("amplicon", "shotgun", "cpm")["shotgun"].startswith(both)
    notes = measure("shotgun", "amplicon", "cpm")
    assert notes["amplicon"] == "no gene families: give a table of them in function.import.amplicon"


def test_a_table_that_scales_with_depth_is_noted(measure):
    notes = measure("shotgun", "amplicon", "rpk")
    assert "they scale with depth, and are not tested" in notes["shotgun"]
    assert "depth" not in measure("shotgun", "amplicon", "cpm")["shotgun"]
