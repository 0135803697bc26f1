"""The repository keeps its own rules: names, environments, locks."""

import csv
import re

import pytest
import yaml

from pipeline import MINIMAL, ROOT, snakemake

RULES = ROOT / "workflow/rules"
SMK = "\n".join(path.read_text() for path in sorted(RULES.glob("*.smk")))
BLOCKS = {
    match[1]: match[2]
    for match in re.finditer(r"^ *rule (\w+):\n(.*?)(?=^ *rule |^\S|\Z)", SMK, re.M | re.S)
}


def test_lint_is_clean():
    done = snakemake(MINIMAL, "--lint")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("rule", sorted(BLOCKS))
def test_rule_script_and_log_share_a_name(rule):
    block = BLOCKS[rule]
    assert f'"logs/{rule}' in block
    script = re.search(r'script:\s+"../../scripts/(\w+).py"', block)
    if script:
        assert script[1] == rule
        assert f'code=code("{rule}")' in block


def test_every_script_belongs_to_a_rule_or_is_a_documented_command():
    commands = {"derive_evidence"}
    assert {path.stem for path in (ROOT / "scripts").glob("*.py")} - set(BLOCKS) == commands


@pytest.mark.parametrize("path", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda path: path.stem)
def test_environments_are_pinned_and_name_their_channels(path):
    environment = yaml.safe_load(path.read_text())
    assert environment["channels"] == ["conda-forge", "bioconda", "nodefaults"]
    for package in environment["dependencies"]:
        if isinstance(package, str) and package != "pip":
            assert re.fullmatch(r"[a-z0-9-]+ =\d[\d.]*", package)


def test_python_steps_have_the_same_versions_with_conda_and_without():
    lock = (ROOT / "requirements.lock").read_text()
    locked = set(re.findall(r"^([\w-]+==[\w.]+)", lock, re.MULTILINE))
    environment = yaml.safe_load((ROOT / "envs/python.yaml").read_text())
    pins = set(environment["dependencies"][-1]["pip"])
    assert len(pins) > 10
    assert pins <= locked


def test_each_tool_comes_from_the_environment_that_its_table_says():
    with (ROOT / "envs/tools.tsv").open() as lines:
        for tool in csv.DictReader(lines, delimiter="\t"):
            path = ROOT / f"envs/{tool['environment']}.yaml"
            packages = yaml.safe_load(path.read_text())["dependencies"]
            assert tool["conda_package"] in {package.split(" ")[0] for package in packages}
