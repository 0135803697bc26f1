"""See that the command-line tools of envs/tools.tsv are there, and say how Snakemake finds them.

Tried in this order: conda (Snakemake makes the environments of envs/), mamba or micromamba (one
environment in .tools), the tools on PATH, the system's package manager, and else a message with
the exact command. Writes one word into the file given: `conda`, `tools` or `path`. Standard
library only. MOODBIOME_SOFTWARE, set to one of these words, takes the choice.
"""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / ".tools"
OLDEST_CONDA = (24, 7, 1)


def main(answer: Path) -> None:
    with (ROOT / "envs/tools.tsv").open() as lines:
        tools = list(csv.DictReader(lines, delimiter="\t"))
    choice = os.environ.get("MOODBIOME_SOFTWARE", "")
    if choice not in ("", "conda", "tools", "path"):
        raise SystemExit(f"MOODBIOME_SOFTWARE is {choice!r}: use conda, tools or path")
    solver = shutil.which("micromamba") or shutil.which("mamba")
    if choice == "conda" or (not choice and conda_is_fit()):
        word = "conda"
    elif choice == "tools" or (not choice and solver):
        word = "tools"
        make_environment(solver, sorted({tool["environment"] for tool in tools}))
    else:
        word = "path"
        install_missing(tools)
    answer.write_text(word + "\n")
    print(f"Command-line tools: {explain(word)}")


def explain(word: str) -> str:
    return {
        "conda": "from conda, one environment a family (envs/*.yaml)",
        "tools": f"from one environment in {TOOLS.name}/",
        "path": "from PATH",
    }[word]


def conda_is_fit() -> bool:
    """Whether conda is there and new enough for Snakemake."""
    if not shutil.which("conda"):
        return False
    said = subprocess.run(["conda", "--version"], capture_output=True, text=True).stdout
    version = tuple(int(part) for part in re.findall(r"\d+", said)[:3])
    if version < OLDEST_CONDA:
        oldest = ".".join(map(str, OLDEST_CONDA))
        print(f"{said.strip()} is older than {oldest}, which Snakemake needs: looking elsewhere")
        return False
    return True


def make_environment(solver: str | None, environments: list[str]) -> None:
    if not solver:
        raise SystemExit("MOODBIOME_SOFTWARE=tools needs micromamba or mamba on PATH")
    files = [word for name in environments for word in ("--file", f"envs/{name}.yaml")]
    command = [solver, "create", "--yes", "--prefix", str(TOOLS), *files]
    if subprocess.run(command, cwd=ROOT).returncode:
        raise SystemExit(f"failed: {' '.join(command)}")


def install_missing(tools: list[dict[str, str]]) -> None:
    absent = [tool for tool in tools if not shutil.which(tool["command"])]
    missing = [tool for tool in absent if tool["needed"] == "always"]
    for tool in absent:
        if tool not in missing:
            print(
                f"{tool['command']} is not there; only runs with {tool['needed']} need it: "
                f"sudo apt-get install {tool['debian_package']}"
            )
    if not missing:
        return
    packages = sorted({tool["debian_package"] for tool in missing})
    commands = sorted(tool["command"] for tool in missing)
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    by_hand = (
        f"missing: {', '.join(commands)}. Install them with one of\n"
        f"  sudo apt-get update && sudo {' '.join(install)}\n"
        "  a conda client: https://conda-forge.org/download (then run this command again)"
    )
    if not shutil.which("apt-get"):
        raise SystemExit(by_hand)
    root = os.geteuid() == 0
    sudo = [] if root else ["sudo", "--non-interactive"]
    if not root and (not shutil.which("sudo") or subprocess.run([*sudo, "true"]).returncode):
        raise SystemExit(by_hand)
    print(f"Installing {' '.join(packages)} with apt-get", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], install):
        done = subprocess.run([*sudo, *command], env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{done.stdout}{done.stderr}\nfailed: {' '.join(command)}\n{by_hand}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
