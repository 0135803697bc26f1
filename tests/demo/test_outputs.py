"""docs/outputs.md names what is in the results: all of it, and nothing that is not there."""

import csv
import json
import re
import shutil
import subprocess
from typing import NamedTuple

import biom
import pandas as pd
import pytest

from pipeline import DEMO, ROOT

pytestmark = pytest.mark.demo

PAGE = (ROOT / "docs/outputs.md").read_text()
CODE = re.compile(r"`([^`]+)`")
DEPENDS = "Only with"
# Files of other programs, and pages: the docs describe them in words.
WITHOUT_COLUMNS = (".biom", ".fastp.json", ".kraken2.txt", ".html", "conclusion.txt")


class Section(NamedTuple):
    """What the page says of one file, or of several alike.

    Attributes
    ----------
    files : tuple of str
        Names below the results, with placeholders such as ``<sample>``.
    names : dict of str to list of str
        Cells of its row, by column or key; none for a file that is described in words.
    depends : bool
        Whether the file is there only with a setting.
    """

    files: tuple[str, ...]
    names: dict[str, list[str]]
    depends: bool


def sections(page):
    """Sections of a page whose heading names files in code."""
    found = []
    for part in re.split(r"^#{2,3} ", page, flags=re.MULTILINE)[1:]:
        heading, *lines = part.splitlines()
        rows = [
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in lines
            if line.startswith("|")
        ]
        documented = rows[2:] if rows and rows[0][0] in ("column", "key") else []
        names = {name: row for row in documented for name in CODE.findall(row[0])}
        depends = any(DEPENDS in line for line in lines if not line.startswith("|"))
        if files := tuple(CODE.findall(heading)):
            found.append(Section(files, names, depends))
    return found


SECTIONS = sections(PAGE)
TABLES = [
    (file, section.names)
    for section in SECTIONS
    for file in section.files
    if not file.endswith(WITHOUT_COLUMNS)
]
# Files that the demo need not have.
OPTIONAL = {file for section in SECTIONS if section.depends for file in section.files}


def matches(name, documented, placeholders=None):
    """Whether a name is what the page writes, with its <placeholders> filled in."""
    known = placeholders or {}
    parts = re.split(r"(<[^>]+>)", documented)
    pattern = "".join(
        known.get(part, "[^/]+") if part.startswith("<") else re.escape(part) for part in parts
    )
    return re.fullmatch(pattern, name) is not None


def keys(value, prefix=""):
    """(key, value) of a JSON document; inner ones as `outer.inner` and `list[].inner`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield prefix + key, inner
            yield from keys(inner, f"{prefix}{key}.")
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner, f"{prefix.removesuffix('.')}[].")


def contents(path):
    """Column -> its cells, or key -> its values, of which "" is an empty cell or null."""
    found = {}
    if path.suffix == ".json":
        for key, value in keys(json.loads(path.read_text())):
            found.setdefault(key, []).append("" if value is None else "given")
        return found
    table = pd.read_table(path, dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE)
    return {column: table[column].tolist() for column in table.columns}


@pytest.fixture(scope="module")
def names(results):
    """Files of the results, as paths below them."""
    paths = (path for path in results.rglob("*") if path.is_file())
    return sorted(path.relative_to(results).as_posix() for path in paths)


@pytest.fixture(scope="module")
def placeholders():
    """What may stand for a placeholder in the name of a column or key."""
    sheet = pd.read_table(DEMO / "cohort/samples.tsv", dtype=str)
    return {
        "<sample>": f"(?:{'|'.join(map(re.escape, sheet['sample']))})",
        "<column of the sheet>": f"(?:{'|'.join(map(re.escape, sheet.columns))})",
        "<n>": r"\d+",
        "<file>": ".+",
    }


def test_every_file_has_one_section(names):
    for name in names:
        found = [file for section in SECTIONS for file in section.files if matches(name, file)]
        assert len(found) == 1, f"results/{name}: {len(found)} sections in docs/outputs.md"


def test_every_section_is_of_a_file_that_is_there(names):
    assert len(SECTIONS) > 20
    for section in SECTIONS:
        for file in section.files:
            is_there = any(matches(name, file) for name in names)
            assert is_there or section.depends, f"docs/outputs.md: the demo has no {file}"


@pytest.mark.parametrize(("file", "documented"), TABLES, ids=[file for file, _ in TABLES])
def test_columns_and_keys_are_those_documented(results, names, placeholders, file, documented):
    assert documented, f"docs/outputs.md: no table of columns or keys for {file}"
    if not any(matches(name, file) for name in names):
        # That it may be absent is held above; a unit test holds the columns of such files.
        pytest.skip(f"the demo has no {file}")
    seen = set()
    for name in names:
        if not matches(name, file):
            continue
        for column, cells in contents(results / name).items():
            rows = [row for row in documented if matches(column, row, placeholders)]
            # Below the first level of a JSON document the page may leave out what is plain.
            is_inner = name.endswith(".json") and re.search(r"\.|\[", column)
            assert rows or is_inner, f"results/{name}: {column!r} is not in docs/outputs.md"
            for row in [column] if column in rows else rows:
                seen.add(row)
                is_filled = documented[row][-1] != "never" or "" not in cells
                assert is_filled, f"results/{name}: {column!r} is empty; in the docs it never is"
    if file in OPTIONAL and not any(matches(name, file) for name in names):
        return
    for row, cells in documented.items():
        assert row in seen or DEPENDS in " ".join(cells), (
            f"docs/outputs.md: {file} has no {row!r}; take it out, or say `{DEPENDS} <setting>`"
        )


def test_the_page_is_read_as_written():
    table = (
        "| column | meaning | empty when |\n| --- | --- | --- |\n| `x`, `y<n>` | a\\|b | never |\n"
    )
    (section,) = sections(f"# Page\n\n## all\n\n### `a/<sample>.tsv`\n\n{table}\n## end\n")
    cells = ["`x`, `y<n>`", "a\\|b", "never"]
    assert section == Section(("a/<sample>.tsv",), {"x": cells, "y<n>": cells}, depends=False)
    assert matches("a/S1.tsv", "a/<sample>.tsv")
    assert not matches("a/S1/b.tsv", "a/<sample>.tsv")
    assert not matches("y", "y<n>", {"<n>": r"\d+"})
    assert [key for key, _ in keys({"a": [{"b": 1}], "c": {"d": None}})] == [
        "a",
        "a[].b",
        "c",
        "c.d",
    ]


def recipes(language):
    """Code of a language on the page, in its order."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(results, tmp_path_factory):
    """A run folder in which a recipe may write."""
    folder = tmp_path_factory.mktemp("recipes")
    (folder / "results").symlink_to(results)
    return folder


def test_the_python_recipes_give_what_they_say(folder, monkeypatch):
    monkeypatch.chdir(folder)
    found = {}
    for recipe in recipes("python"):
        exec(recipe, found)
    counts, taxa, ledger = (found[name] for name in ("counts", "taxa", "ledger"))
    totals = counts.drop(columns=["name", "lineage"]).sum()
    assert totals.to_dict() == ledger["non_host"].to_dict()
    assert found["of_assigned"].sum().round(9).eq(1).all()
    grown = found["of_non_host"] * (totals / taxa.sum())
    assert (grown - found["of_assigned"]).abs().max().max() < 1e-12
    assert (found["of_prokaryotes"].sum() >= found["of_non_host"].sum()).all()
    assert found["taxonomy"]["genus"].to_dict() == counts.loc[taxa.index, "name"].to_dict()
    table = biom.load_table("genus.qiime2.biom")
    assert table.ids("observation").tolist() == taxa.index.astype(str).tolist()
    assert table.matrix_data.toarray().tolist() == taxa.to_numpy().tolist()
    taxonomy = pd.read_table("taxonomy.qiime2.tsv", index_col="Feature ID")["Taxon"]
    assert taxonomy.index.tolist() == taxa.index.tolist()
    assert pd.read_table("metadata.qiime2.tsv").columns[0] == "sample-id"


def run_r(code, folder):
    return subprocess.run(
        ["Rscript", "--vanilla", "-e", code], cwd=folder, capture_output=True, text=True
    )


@pytest.mark.skipif(not shutil.which("Rscript"), reason="R is not installed")
def test_the_r_recipe_gives_what_it_says(folder):
    check = """
        ledger <- read.delim("results/tables/ledger.tsv", row.names = 1)
        stopifnot(colSums(counts[, -(1:2)]) == ledger[colnames(taxa), "non_host"])
        stopifnot(abs(colSums(of_assigned) - 1) < 1e-9)
        stopifnot(taxonomy[, "genus"] == counts$name[is_taxon])
        stopifnot(rownames(metadata) == colnames(taxa))
    """
    done = run_r(recipes("r")[0] + check, folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not shutil.which("Rscript"), reason="R is not installed")
def test_the_phyloseq_recipe_keeps_all_taxa_and_samples(folder):
    absent = 77
    ask = f"if (!requireNamespace('phyloseq', quietly = TRUE)) quit(status = {absent})"
    check = "stopifnot(ntaxa(cohort) == nrow(taxa), nsamples(cohort) == ncol(taxa))"
    done = run_r("\n".join([ask, *recipes("r"), check]), folder)
    if done.returncode == absent:
        pytest.skip("the R package phyloseq is not installed")
    assert done.returncode == 0, done.stderr
