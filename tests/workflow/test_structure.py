"""The repository keeps its own rules: names, environments, locks."""

import ast
import csv
import hashlib
import re
import shutil
from functools import cache

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


def fingerprints(scripts):
    """The functions of the workflow that fingerprint the code of a step, on a folder of scripts."""
    text = (RULES / "common.smk").read_text()
    text = text[text.index("@cache\ndef imports_of") : text.index("# Looked up for every job")]
    names = {"SCRIPTS": scripts, "ast": ast, "cache": cache, "hashlib": hashlib}
    exec(text, names)
    return names


def test_every_module_of_a_package_is_in_the_fingerprint_of_the_steps_that_use_it():
    library = ROOT / "scripts/moodbiome"
    of_report = set(fingerprints(ROOT / "scripts")["sources_of"]("render_report"))
    packages = [file.parent for file in library.glob("*/__init__.py")]
    assert {package.name for package in packages} == {"figures", "report"}
    for package in packages:
        assert set(package.glob("*.py")) <= of_report
    assert library / "evaluation.py" in of_report
    assert library / "amplicon.py" not in of_report


def test_an_edit_of_one_section_reruns_the_report_and_nothing_else(tmp_path):
    scripts = shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    steps = [path.stem for path in scripts.glob("*.py")]
    code = fingerprints(scripts)["code"]
    before = {step: code(step) for step in steps}
    section = scripts / "moodbiome/report/evidence.py"
    section.write_text(section.read_text() + "# edited\n")
    code = fingerprints(scripts)["code"]
    assert [step for step in steps if code(step) != before[step]] == ["render_report"]


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
    training = yaml.safe_load((ROOT / "envs/train.yaml").read_text())["dependencies"][-1]["pip"]
    (extra,) = set(training) - pins
    assert extra.startswith("scikit-learn==")
    assert pins <= set(training)


def test_each_tool_comes_from_the_environment_that_its_table_says():
    with (ROOT / "envs/tools.tsv").open() as lines:
        for tool in csv.DictReader(lines, delimiter="\t"):
            path = ROOT / f"envs/{tool['environment']}.yaml"
            packages = yaml.safe_load(path.read_text())["dependencies"]
            assert tool["conda_package"] in {package.split(" ")[0] for package in packages}
