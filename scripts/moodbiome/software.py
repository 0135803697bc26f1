"""Which version of each tool a run used, and who provided it. Only the standard library."""

import csv
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from moodbiome.tools import ToolError

PACKAGES = (
    *("snakemake", "numpy", "scipy", "pandas", "scikit-bio", "statsmodels", "patsy"),
    *("dnaio", "biom-format", "altair", "vl-convert-python"),
)


def tool_versions(tools: Path, environment: str) -> list[tuple[str, str, str]]:
    """Ask the tools of one environment for their versions.

    Parameters
    ----------
    tools
        ``envs/tools.tsv``.
    environment
        Name of the environment, as in its column of that table.

    Returns
    -------
    list of (tool, version, provided by)
        The last is `conda`, `system` (the distribution's packages) or `path`.
    """
    with tools.open() as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    found = []
    for row in rows:
        if row["environment"] != environment:
            continue
        path = shutil.which(row["command"])
        if not path:
            raise ToolError(f"{row['command']} is not installed (see README, Software)")
        command = [path, *row["version_arguments"].split()]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        said = re.search(r"\d+(?:\.\d+)+", done.stdout + done.stderr)
        if not said:
            raise ToolError(f"{' '.join(command)} names no version")
        found.append((row["command"], said[0], _provider(Path(path))))
    return found


def _provider(path: Path) -> str:
    if (path.parents[1] / "conda-meta").is_dir():
        return "conda"
    return "system" if path.is_relative_to("/usr") and path.parts[2] == "bin" else "path"


def read_software(files: Iterable[str]) -> list[dict[str, str]]:
    """Rows of ``software.<environment>.tsv``: tool, version, provided_by."""
    rows = []
    for file in files:
        with Path(file).open() as lines:
            rows += list(csv.DictReader(lines, delimiter="\t"))
    return rows


def python_versions() -> dict[str, str]:
    """Versions of Python and of the packages that shape a result."""
    return {"python": sys.version.split()[0], **{name: version(name) for name in PACKAGES}}
