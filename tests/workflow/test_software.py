"""Where command-line tools come from: conda, mamba, PATH, apt, or else a message."""

import csv
import subprocess
import sys

import pytest

from pipeline import ROOT

PROGRAM = ROOT / "workflow/provide_software.py"
with (ROOT / "envs/tools.tsv").open() as lines:
    TOOLS = [row["command"] for row in csv.DictReader(lines, delimiter="\t")]


@pytest.fixture
def commands(tmp_path):
    """Make stand-ins for commands; each writes its arguments to a file of its name."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def make(*names, says="", code=0):
        for name in names:
            path = folder / name
            path.write_text(
                f'#!/bin/sh\necho "$@" >> {tmp_path}/{name}.called\necho "{says}"\nexit {code}\n'
            )
            path.chmod(0o755)

    return make


def provide(tmp_path, choice=""):
    """Run the program with nothing on PATH but the stand-ins; its answer and what it said."""
    answer = tmp_path / "answer"
    done = subprocess.run(
        [sys.executable, PROGRAM, answer],
        env={"PATH": str(tmp_path / "bin"), "MOODBIOME_SOFTWARE": choice},
        capture_output=True,
        text=True,
    )
    return answer.read_text().strip() if answer.exists() else None, done.stdout + done.stderr


def test_conda_comes_first(tmp_path, commands):
    commands("conda", says="conda 24.11.0")
    commands("micromamba", *TOOLS)
    assert provide(tmp_path)[0] == "conda"


def test_a_conda_too_old_for_snakemake_is_said_and_passed_over(tmp_path, commands):
    commands("conda", says="conda 4.12.0")
    commands(*TOOLS)
    answer, said = provide(tmp_path)
    assert answer == "path"
    assert "conda 4.12.0 is older than 24.7.1" in said


def test_micromamba_makes_one_environment_of_all_tool_families(tmp_path, commands):
    commands("micromamba")
    assert provide(tmp_path)[0] == "tools"
    called = (tmp_path / "micromamba.called").read_text()
    assert "--file envs/profile.yaml --file envs/reads.yaml" in called
    assert f"--prefix {ROOT}/.tools" in called


def test_an_environment_that_cannot_be_made_is_an_error(tmp_path, commands):
    commands("micromamba", code=1)
    answer, said = provide(tmp_path)
    assert answer is None
    assert "failed: " in said


def test_tools_on_the_path_are_used(tmp_path, commands):
    commands(*TOOLS)
    assert provide(tmp_path)[0] == "path"


def test_the_choice_can_be_made_by_the_user(tmp_path, commands):
    commands("conda", says="conda 24.11.0")
    commands(*TOOLS)
    assert provide(tmp_path, choice="path")[0] == "path"
    assert "use conda, tools or path" in provide(tmp_path, choice="docker")[1]


def test_apt_installs_just_what_is_missing(tmp_path, commands):
    commands(*[tool for tool in TOOLS if not tool.startswith("kraken2")])
    commands("apt-get", "sudo")
    assert provide(tmp_path)[0] == "path"
    log = tmp_path / "apt-get.called"
    called = (log if log.exists() else tmp_path / "sudo.called").read_text().splitlines()
    assert "update" in called[-2]
    assert called[-1].endswith("install --yes --no-install-recommends kraken2")


def test_without_any_way_the_message_has_the_command(tmp_path, commands):
    commands("fastp")
    answer, said = provide(tmp_path)
    assert answer is None
    assert "missing: bowtie2, bowtie2-build, cutadapt, kraken2, kraken2-build, samtools" in said
    assert (
        "sudo apt-get install --yes --no-install-recommends bowtie2 cutadapt kraken2 samtools"
        in said
    )


def test_a_tool_that_few_runs_need_is_named_and_not_asked_for(tmp_path, commands):
    commands(*[tool for tool in TOOLS if tool != "diamond"])
    answer, said = provide(tmp_path)
    assert answer == "path"
    assert "diamond is not there; only runs with function.proteins need it: sudo apt-get" in said


def test_a_failed_installation_is_said(tmp_path, commands):
    commands("sudo", "apt-get", code=100)
    answer, said = provide(tmp_path)
    assert answer is None
    assert "missing: " in said
