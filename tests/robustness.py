"""The robustness matrix: malformed inputs, where each is found, and what its message must say.

``python tests/robustness.py > docs/robustness.md`` writes the matrix with the messages as they are
now. tests/workflow/test_robustness.py holds each of them to its place and its mend.
"""

import bz2
import contextlib
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from snakemake.utils import update_config

from pipeline import MINIMAL, ROOT, change_settings

sys.path.insert(0, str(ROOT / "scripts"))

from moodbiome.bracken import check_database, nearest_read_length, read_distribution
from moodbiome.database import build_database, database_taxa
from moodbiome.fastq import FastqCheck, check_fastq
from moodbiome.faults import Fault
from moodbiome.inputs import check_inputs
from moodbiome.kmer_distribution import (
    HEADER,
    read_parents,
    read_sequence_taxa,
)
from moodbiome.kraken import parse_report, read_report
from moodbiome.tables import build_counts
from moodbiome.taxonomy import read_merged
from moodbiome.tools import ToolError

BEFORE, CHECK, STEP = "before any job", "in the sample's check", "in the step"
GROUPS = ("sheet", "settings", "metadata", "FASTQ", "database", "report", "distribution")

Change = Callable[[Path], Any]


@dataclass(frozen=True)
class Case:
    """One malformed input.

    Attributes
    ----------
    group, name
        Together the case's id.
    broken
        What is wrong, in words for the documentation.
    found
        When it is found: `BEFORE`, `CHECK` or `STEP`.
    place, mend
        Strings that the message must contain.
    changes
        `BEFORE`: break a copy of tests/workflow/minimal. `CHECK`: write the reads of the broken
        sample. `STEP`: make the input and read it, the last of them raising.
    files
        `CHECK`: the broken sample's reads, one file or two.
    faults
        `BEFORE`: how many there are, so that no fault has an echo.
    """

    group: str
    name: str
    broken: str
    found: str
    place: str
    mend: str
    changes: tuple[Change, ...]
    files: tuple[str, ...] = ()
    faults: int = 1

    @property
    def id(self) -> str:
        return f"{self.group}: {self.name}"


@dataclass(frozen=True)
class Gap:
    """A malformed input that is taken without a word; `is_taken` shows it in an empty folder."""

    broken: str
    why: str
    instead: str
    is_taken: Callable[[Path], bool]


@dataclass
class Matrix:
    """The cases of the groups, as they are written down below."""

    cases: list[Case] = field(default_factory=list)

    def before(self, group, name, broken, place, mend, *changes, faults=1):
        self.cases.append(Case(group, name, broken, BEFORE, place, mend, changes, faults=faults))

    def reads(self, name, broken, place, mend, *contents, files=("bad_R1.fastq.gz",)):
        files = tuple(f"reads/{file}" for file in files)
        changes = tuple(put(file, content) for file, content in zip(files, contents, strict=True))
        self.cases.append(Case("FASTQ", name, broken, CHECK, place, mend, changes, files))

    def step(self, group, name, broken, place, mend, *changes):
        self.cases.append(Case(group, name, broken, STEP, place, mend, changes))


# What a case can do to a folder


def put(name: str, content: str | bytes) -> Change:
    """Write a file; text is written as UTF-8, with the line ends it has."""
    data = content.encode() if isinstance(content, str) else content

    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)

    return change


def edit(old: str, new: str, name: str = "samples.tsv") -> Change:
    """Replace a piece of a file, everywhere it stands."""

    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        if old not in text:
            raise AssertionError(f"{name} has no {old!r} to be replaced")
        (folder / name).write_bytes(text.replace(old, new).encode())

    return change


def sheet(text: str | bytes) -> Change:
    """Write another sample sheet."""
    return put("samples.tsv", text)


def row(text: str) -> Change:
    """Add a row to the sheet."""

    def change(folder: Path) -> None:
        path = folder / "samples.tsv"
        path.write_text(path.read_text() + text + "\n")

    return change


def column(name: str, *cells: str) -> Change:
    """Add a column to the sheet."""

    def change(folder: Path) -> None:
        path = folder / "samples.tsv"
        lines = path.read_text().splitlines()
        pairs = zip(lines, (name, *cells), strict=True)
        path.write_text("".join(f"{line}\t{cell}\n" for line, cell in pairs))

    return change


def cells(**changes: tuple[str, str]) -> Change:
    """Set the cells of existing columns, one a row."""

    def change(folder: Path) -> None:
        path = folder / "samples.tsv"
        header, *rows = [line.split("\t") for line in path.read_text().splitlines()]
        for name, values in changes.items():
            for cells, value in zip(rows, values, strict=True):
                cells[header.index(name)] = value
        path.write_text("".join("\t".join(cells) + "\n" for cells in [header, *rows]))

    return change


def setting(key: str, value: object) -> Change:
    """Set ``section.name``."""
    return lambda folder: change_settings(folder, **{key.replace(".", "__"): value})


def without(name: str) -> Change:
    """Delete a file or folder."""

    def change(folder: Path) -> None:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


# What it takes to hold a case against the code


@cache
def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that no case changes."""
    return yaml.safe_load(path.read_text())


def settings_of(folder: Path) -> dict[str, Any]:
    """The defaults under the folder's own settings, merged as Snakemake merges them."""
    settings = deepcopy(read_yaml(ROOT / "config/config.yaml"))
    update_config(settings, yaml.safe_load((folder / "config.yaml").read_text()))
    return settings


def run_folder(folder: Path) -> Path:
    """A copy of the minimal run."""
    return Path(shutil.copytree(MINIMAL, folder, ignore=shutil.ignore_patterns(".snakemake")))


def check_folder(folder: Path) -> tuple[list[Fault], list[Fault]]:
    """Faults and warnings of a run folder."""
    settings, schema = settings_of(folder), read_yaml(ROOT / "workflow/schemas/config.schema.yaml")
    with contextlib.chdir(folder):
        _, faults, warnings = check_inputs(settings, schema, ROOT / "config")
    return faults, warnings


def check_reads(folder: Path, files: tuple[str, ...]) -> FastqCheck:
    """The verdict on a sample's reads, by names that start at the folder."""
    with contextlib.chdir(folder):
        return check_fastq(files)


def raised(case: Case, folder: Path) -> str:
    """What a step says to its input; empty if it takes it."""
    with contextlib.chdir(folder):
        try:
            for change in case.changes:
                change(Path())
        except (ValueError, ToolError) as error:
            return str(error)
    return ""


def messages(case: Case, folder: Path) -> list[str]:
    """All that is said to a case, in an empty folder."""
    if case.found == STEP:
        folder.mkdir()
        return [raised(case, folder)]
    if case.found == BEFORE:
        run_folder(folder)
    for change in case.changes:
        change(folder)
    if case.found == CHECK:
        return [check_reads(folder, case.files).reason]
    return [str(fault) for fault in check_folder(folder)[0]]


# The cases

matrix = Matrix()
before, reads, step = matrix.before, matrix.reads, matrix.step

TSV = "samples.tsv"
HEAD = "sample\trun\tfastq_1\tfastq_2\tgroup\tage\n"
ONE = "S1\tL1\treads/S1_R1.fastq\treads/S1_R2.fastq\tcontrol\t40\n"
TWO = "S2\tL1\treads/S2.fastq\t\tdepressed\t41\n"

# fmt: off
before("sheet", "missing", "No file at `samples`", f"{TSV}: is missing",
       "write a sample sheet or correct `samples:`", without(TSV))
before("sheet", "folder", "`samples` is a folder", "reads: is a folder", "name the sheet inside it",
       setting("samples", "reads"))
before("sheet", "empty", "A file of zero bytes", f"{TSV}: is empty",
       "write a header and one row for each sequencing run", sheet(""))
before("sheet", "blank", "Blank lines and a comment only", f"{TSV}: is empty",
       "write a header and one row", sheet("\n # to be done\n\n"))
before("sheet", "delimiters only", "Rows of commas, as spreadsheets leave them", f"{TSV}: is empty",
       "write a header and one row", sheet(",,,\n,,,\n"))
before("sheet", "header only", "A header and no row", f"{TSV}: holds a header and no sample",
       "add one row for each sequencing run", sheet(HEAD))
before("sheet", "no header", "The first row is a sample", f"{TSV}, header", "begin with a header",
       sheet(ONE + TWO))
before("sheet", "web page", "A login page saved under the sheet's name", f"{TSV}, header",
       "begin with a header", sheet("<!DOCTYPE html>\n<html><body>Log in</body></html>\n"))
before("sheet", "spaces", "Cells separated by spaces", f"{TSV}, header",
       "separated by tabs or commas", sheet(f"{HEAD}{ONE}{TWO}".replace("\t", " ")))
before("sheet", "semicolons", "Cells separated by semicolons", f"{TSV}: is separated by semicolons",
       "save it separated by tabs or commas", sheet(f"{HEAD}{ONE}{TWO}".replace("\t", ";")))
before("sheet", "two delimiters", "Header with commas, rows with tabs", f"{TSV}, row 2",
       "give every row one cell a column", sheet(HEAD.replace("\t", ",") + ONE))
before("sheet", "UTF-16", 'Excel\'s "Unicode text"', f"{TSV}, row 1: cannot be read",
       "as UTF-8 text", sheet(f"{HEAD}{ONE}{TWO}".encode("utf-16")))
before("sheet", "Latin-1", "A letter beyond ASCII in Latin-1", f"{TSV}, row 2: cannot be read",
       "as UTF-8 text", sheet(f"{HEAD}{ONE}".replace("control", "Zürich").encode("latin1")))
before("sheet", "workbook", "An Excel workbook renamed", f"{TSV}: is a workbook",
       "save its sheet as text", sheet(b"PK\x03\x04\x14\x00\x06\x00\x08\x00\xff\xfe"))
before("sheet", "short row", "A row with two cells of six", f"{TSV}, row 3: has 2 cells",
       "give every row one cell a column", sheet(HEAD + ONE + "S2\tL1\n"))
before("sheet", "long row", "A row with a cell too many", f"{TSV}, row 2: has 7 cells",
       "give every row one cell a column", sheet(HEAD + ONE.replace("\n", "\tx\n") + TWO))
before("sheet", "open quote", "A double quote that is never closed", f"{TSV}, row 2",
       "remove the double quote", edit("S1\t", '"S1\t'))
before("sheet", "quote in the header", "The same in the header", f"{TSV}, row 1",
       "remove the double quote", edit("sample", '"sample'))
before("sheet", "line break", "A line break inside a quoted cell", f"{TSV}, row 2",
       "remove the double quote or the line break", edit("control", '"con\ntrol"'))
before("sheet", "endless cell", "A quote that swallows a long sheet", TSV,
       "remove the double quote", edit("depressed", '"' + "x" * 140_000))
before("sheet", "control character", "A bell character in a cell",
       f"{TSV}, row 2, column 'group': holds a control character", "remove it",
       cells(group=("control\x07", "depressed")), setting("cohort.group", ""),
       setting("statistics.formula", "~ age"))
before("sheet", "column twice", "Two columns of one name", f"{TSV}, header: names 'age' 2 times",
       "rename one", column("age", "40", "41"))
before("sheet", "nameless column", "A column without a name", "has a column without a name",
       "name it", column("", "x", "y"))
before("sheet", "reserved column", "A column `status`", f"{TSV}, header: has a column 'status'",
       "rename the column", column("status", "a", "b"))
before("sheet", "no sample column", "The samples' column is called `id`",
       f"{TSV}, header: lacks the column 'sample'", "add it", edit("sample\t", "id\t"))
before("sheet", "case of a column", "`Sample` for `sample`",
       f"{TSV}, header: has the unknown column 'Sample'", "did you mean 'sample'?",
       edit("sample\t", "Sample\t"))
before("sheet", "invisible letter", "A zero-width space in `sample`",
       f"{TSV}, header: has the unknown column 'sample\\u200b'", "did you mean 'sample'?",
       edit("sample\t", "sample\u200b\t"))
before("sheet", "no reads column", "Files under `R1` and `R2`",
       f"{TSV}, header: has neither 'fastq_1' nor 'accession'", "add 'fastq_1'",
       edit("fastq_", "R"))
before("sheet", "column misspelt", "`fastq2` for `fastq_2`",
       f"{TSV}, header: has the unknown column 'fastq2'", "did you mean 'fastq_2'?",
       edit("fastq_2", "fastq2"))
before("sheet", "no name", "An empty cell under `sample`",
       f"{TSV}, row 3, column 'sample': is empty", "fill it", edit("S2\t", "\t"))
before("sheet", "space in a name", "A sample called `S 2`",
       f"{TSV}, row 3, column 'sample': is 'S 2'", "use letters, digits", edit("S2\t", "S 2\t"))
before("sheet", "name like an option", "A sample called `-S2`",
       f"{TSV}, row 3, column 'sample': is '-S2'", "beginning with a letter or digit",
       edit("S2\t", "-S2\t"))
before("sheet", "name like a path", "A sample called `../S2`",
       f"{TSV}, row 3, column 'sample': is '../S2'", "use letters, digits", edit("S2\t", "../S2\t"))
before("sheet", "letter beyond ASCII", "A sample called `Sß`",
       f"{TSV}, row 3, column 'sample': is 'Sß'", "use letters, digits", edit("S2\t", "Sß\t"))
before("sheet", "reserved name", "A sample called `lineage`",
       f"{TSV}, row 3, column 'sample': is 'lineage'", "rename the sample",
       edit("S2\t", "lineage\t"))
before("sheet", "run like a path", "A run called `L/1`", f"{TSV}, row 3, column 'run': is 'L/1'",
       "use letters, digits", cells(run=("L1", "L/1")))
before("sheet", "names that differ in case", "Samples `S1` and `s1`",
       f"{TSV}, row 3, column 'sample': 's1' and 'S1' differ only in case", "rename one",
       edit("S2\t", "s1\t"))
before("sheet", "runs that differ in case", "Runs `L1` and `l1` of a sample",
       f"{TSV}, row 4, column 'run': 'l1' and 'L1' of sample 'S2' differ only in case",
       "rename one", put("reads/more.fastq", "@r\nA\n+\nI\n"),
       row("S2\tl1\treads/more.fastq\t\tdepressed\t41"))
before("sheet", "row twice", "Another file under the same sample and run",
       f"{TSV}, row 4: repeats sample 'S2', run 'L1' of row 3", "name each lane",
       put("reads/more.fastq", "@r\nA\n+\nI\n"), row("S2\tL1\treads/more.fastq\t\tdepressed\t41"))
before("sheet", "no such file", "A path to no file",
       f"{TSV}, row 3, column 'fastq_1': no file 'reads/S3.fastq'",
       "paths start at the sheet's folder", edit("S2.fastq", "S3.fastq"))
before("sheet", "Windows path", "A path with a backslash",
       f"{TSV}, row 3, column 'fastq_1': no file 'reads\\\\S2.fastq'", "correct the path",
       edit("reads/S2", "reads\\S2"))
before("sheet", "URL", "A web address in place of a file", f"{TSV}, row 3, column 'fastq_1': no",
       "correct the path", edit("reads/S2.fastq", "https://example.org/S2.fastq.gz"))
before("sheet", "endless path", "A path longer than the file system allows",
       f"{TSV}, row 3, column 'fastq_1'", "correct the path", edit("S2.fastq", "x" * 300))
before("sheet", "folder as reads", "A folder in place of a file",
       f"{TSV}, row 3, column 'fastq_1': 'reads' is not a file", "name a FASTQ file",
       edit("reads/S2.fastq", "reads"))
before("sheet", "mates in one file", "`fastq_2` is `fastq_1`",
       f"{TSV}, row 2, column 'fastq_2': is the same file as fastq_1", "second mates' file",
       edit("S1_R2", "S1_R1"))
before("sheet", "file of two samples", "Two samples of one file",
       f"{TSV}, row 3, column 'fastq_1': 'reads/S1_R1.fastq' is used in row 2, column 'fastq_1'",
       "name each file once", edit("reads/S2.fastq", "reads/S1_R1.fastq"))
before("sheet", "linked file", "The same through a symbolic link",
       f"{TSV}, row 3, column 'fastq_1': 'reads/link.fastq' is used in row 2",
       "name each file once", edit("reads/S2.fastq", "reads/link.fastq"),
       lambda folder: (folder / "reads/link.fastq").symlink_to("S1_R1.fastq"))
before("sheet", "paired and single-end", "A paired and a single-end run of a sample",
       f"{TSV}, row 4: sample 'S1' mixes paired and single-end (see row 2)", "give both mates",
       put("reads/more.fastq", "@r\nA\n+\nI\n"), row("S1\tL2\treads/more.fastq\t\tcontrol\t40"))
before("sheet", "second mates only", "`fastq_2` without `fastq_1`", f"{TSV}, row 2: has no reads",
       "give 'fastq_1'", edit("reads/S1_R1.fastq", ""))
before("sheet", "no reads", "Neither files nor accession", f"{TSV}, row 3: has no reads",
       "give 'fastq_1'", edit("reads/S2.fastq", ""))
before("sheet", "files and accession", "Both files and accession",
       f"{TSV}, row 2: has files and an accession", "one of them",
       column("accession", "SRR1234567", ""))
before("sheet", "study for a run", "The accession of a study",
       f"{TSV}, row 3, column 'accession': 'PRJNA1' is a study, not a run", "give each of its runs",
       edit("reads/S2.fastq", ""), column("accession", "", "PRJNA1"))
before("sheet", "no accession", "A word in place of an accession",
       f"{TSV}, row 3, column 'accession': 'mine' is no run accession", "SRR",
       edit("reads/S2.fastq", ""), column("accession", "", "mine"))
before("sheet", "accession twice", "One accession in two rows",
       f"{TSV}, row 3, column 'accession': 'SRR1234567' is used in row 2 already",
       "name each run once",
       sheet("sample\taccession\tgroup\tage\nS1\tSRR1234567\tcontrol\t1\nS2\tSRR1234567\tdepressed\t2\n"))
before("sheet", "unknown assay", "An assay misspelt", f"{TSV}, row 2, column 'assay': is 'shotgn'",
       "did you mean 'shotgun'?", column("assay", "shotgn", "shotgun"))
before("sheet", "unknown kind of sample", "`sample_type` is `blank`",
       f"{TSV}, row 3, column 'sample_type': is 'blank'", "use one of sample, negative_control",
       column("sample_type", "sample", "blank"))
before("sheet", "rows that disagree", "Two ages of one sample",
       f"{TSV}, row 4, column 'age': is '42'; an earlier row of sample 'S2' says '41'",
       "make the rows of a sample agree", put("reads/more.fastq", "@r\nA\n+\nI\n"),
       row("S2\tL2\treads/more.fastq\t\tdepressed\t42"))
# fmt: on

LISTED, TAKES = "config/config.yaml lists them all", "see config/config.yaml for what it takes"
# fmt: off
before("settings", "unknown", "A setting misspelt", "config: sed: is not a setting",
       "did you mean 'seed'?", setting("sed", 1))
before("settings", "unknown in a section", "A setting of a section misspelt",
       "config: reads.min_lenght_bp: is not a setting", "did you mean 'min_length_bp'?",
       setting("reads.min_lenght_bp", 50))
before("settings", "unknown section", "A section that is not there", "config: quality: is not a",
       LISTED, setting("quality", {"phred": 20}))
before("settings", "word for a number", "`seed: one`", "config: seed: is 'one'", TAKES,
       setting("seed", "one"))
before("settings", "nothing", "A key without a value", "config: seed: is None", TAKES,
       setting("seed", None))
before("settings", "no section", "A section without settings", "config: host: is None", TAKES,
       setting("host", None))
before("settings", "out of range", "`confidence: 2`", "config: profile.confidence: is 2", TAKES,
       setting("profile.confidence", 2))
before("settings", "fraction", "`permutations: 99.5`", "config: diversity.permutations: is 99.5",
       TAKES, setting("diversity.permutations", 99.5))
before("settings", "truth value", "`on_failure: yes`, which YAML reads as true",
       "config: on_failure: is True", TAKES, setting("on_failure", True))
before("settings", "unknown word", "`on_failure: ignore`", "config: on_failure: is 'ignore'", TAKES,
       setting("on_failure", "ignore"))
before("settings", "rank left out", "`tables.ranks` without species",
       "config: tables.ranks: lacks 'species'", TAKES, setting("tables.ranks", ["family", "genus"]))
before("settings", "unknown rank", "A rank that is none", "config: tables.ranks.2: is 'strain'",
       TAKES, setting("tables.ranks", ["genus", "species", "strain"]))
before("settings", "rank twice", "A rank named twice", "config: tables.ranks", TAKES,
       setting("tables.ranks", ["genus", "species", "genus"]))
before("settings", "rank without tables", "Statistics at a rank that has no tables",
       "config: statistics.rank: no tables of rank 'family'", "add 'family' to tables.ranks",
       setting("tables.ranks", ["genus", "species"]), setting("statistics.rank", "family"))
before("settings", "no sheet", "`samples` is empty", "config: samples: ", TAKES,
       setting("samples", ""))
before("settings", "archive", "An archive without `https://`", "config: reads.archive", TAKES,
       setting("reads.archive", "www.ebi.ac.uk"))
before("settings", "no host", "Neither host.index nor host.fasta", "config: host: no host is named",
       "set one of host.index, host.name and host.fasta", setting("host.fasta", ""))
before("settings", "two hosts", "Both host.index and host.fasta",
       "config: host: host.index and host.fasta are set", "set one of",
       setting("host.index", "host"))
before("settings", "host's genome", "host.fasta names no file",
       "config: host.fasta: no file 'human.fna'", "correct the path",
       setting("host.fasta", "human.fna"))
before("settings", "host's index", "host.index is a folder",
       "config: host.index: no file 'reads.1.bt2'", "without .1.bt2", setting("host.fasta", ""),
       setting("host.index", "reads"))
before("settings", "no such group", "cohort.group is misspelt",
       "config: cohort.group: the sheet has no column 'grup'", "did you mean 'group'?",
       setting("cohort.group", "grup"))
before("settings", "no such reference", "cohort.reference is misspelt",
       "config: cohort.reference: no sample has 'contrl'", "did you mean 'control'?",
       setting("cohort.reference", "contrl"))
before("settings", "nothing to compare", "All samples are of one group",
       "config: cohort.group: all samples have 'control'", "two values or more",
       edit("depressed", "control"))
before("settings", "no such variable", "The formula names no column",
       "config: statistics.formula: the sheet has no column 'agee'", "did you mean 'age'?",
       setting("statistics.formula", "~ group + agee"))
before("settings", "formula without tilde", "`group + age`",
       "config: statistics.formula: formula 'group + age' must start with '~'", "'~ group + age'",
       setting("statistics.formula", "group + age"))
before("settings", "formula cut", "A bracket that is not closed",
       "config: statistics.formula: formula '~ group + log(age' cannot be read",
       "write it as in '~ group + age'", setting("statistics.formula", "~ group + log(age"))
before("settings", "random slope", "A random slope in the formula", "config: statistics.formula",
       "one random intercept is possible", setting("statistics.formula", "~ group + (age|batch)"))
before("settings", "no intercept", "A formula without intercept",
       "config: statistics.formula: formula '~ 0 + group' takes out the intercept", "remove '0'",
       setting("statistics.formula", "~ 0 + group"))
before("settings", "no signature", "signature.taxa names no file",
       "config: signature.taxa: no file 'mine.tsv'", "correct the path",
       setting("signature.taxa", "mine.tsv"))
before("settings", "signature without weights", "A table of taxa without its columns",
       "config: signature.taxa: mine.tsv: column 'rank' is missing", "config/evidence/README.md",
       put("mine.tsv", "concept\tname\nX\tX\n"), setting("signature.taxa", "mine.tsv"))
before("settings", "signature in bytes", "A table of taxa in UTF-16",
       "config: signature.taxa: 'mine.tsv' cannot be read", "save it as UTF-8 text",
       put("mine.tsv", "concept\tname\n".encode("utf-16")),
       setting("signature.taxa", "mine.tsv"))
# fmt: on

EMPTY = "leave the cell empty"
# fmt: off
before("metadata", "beyond the scale", "31 points of the PHQ-9",
       f"{TSV}, row 3, column 'phq9_total': is 31, outside 0 to 27 points", EMPTY,
       column("phq9_total", "4", "31"))
before("metadata", "half a point", "12.5 points of the PHQ-9",
       f"{TSV}, row 3, column 'phq9_total': is 12.5, which is not a whole number",
       "a whole number from 0 to 27", column("phq9_total", "4", "12.5"))
before("metadata", "code for missing", "-9 for a missing score",
       f"{TSV}, row 3, column 'phq9_total': is -9", EMPTY, column("phq9_total", "4", "-9"))
before("metadata", "word for missing", "`unknown` among scores",
       f"{TSV}, row 3, column 'phq9_total': is 'unknown', which is not a number", EMPTY,
       column("phq9_total", "4", "unknown"))
before("metadata", "words for a score", "`mild` for a score",
       f"{TSV}, row 3, column 'phq9_total': is 'mild', which is not a number", "write a number",
       column("phq9_total", "4", "mild"))
before("metadata", "unit in a cell", "`41 years`",
       f"{TSV}, row 3, column 'age': is '41 years', a number with a word", "write only 41",
       cells(age=("40", "41 years")))
before("metadata", "decimal comma", "`41,5`",
       f"{TSV}, row 3, column 'age': is '41,5', with a decimal comma", "write 41.5",
       cells(age=("40", "41,5")))
before("metadata", "year of birth", "A year under `age`",
       f"{TSV}, row 3, column 'age': is 1984, outside 0 to 120 years", EMPTY,
       cells(age=("40", "1984")))
before("metadata", "infinite", "`inf` under `age`",
       f"{TSV}, row 3, column 'age': is 'inf', which is not a number", "write a number",
       cells(age=("40", "inf")))
before("metadata", "height for BMI", "A height under `bmi`",
       f"{TSV}, row 2, column 'bmi': is 1.78, outside 10 to 80 kg/m2", EMPTY,
       column("bmi", "1.78", "24"))
before("metadata", "unknown category", "`femal` under `sex`",
       f"{TSV}, row 3, column 'sex': is 'femal'", "did you mean 'female'?",
       column("sex", "male", "femal"))
before("metadata", "category in two spellings", "`F` and `female`",
       f"{TSV}, row 3, column 'sex': is 'female', and an earlier row says 'F' for the same",
       "use one of them throughout", column("sex", "F", "female"))
before("metadata", "limit with a unit", "`<0.3 mg/L`",
       f"{TSV}, row 2, column 'crp_mg_l': is '<0.3 mg/L', whose limit is not a plain number",
       "write it as <0.3", column("crp_mg_l", "<0.3 mg/L", "2"))
before("metadata", "limit where none is taken", "`<5` under a score",
       f"{TSV}, row 2, column 'phq9_total': is '<5', which is a limit", "write a number",
       column("phq9_total", "<5", "9"))
before("metadata", "column that will be written", "A limit and a column `crp_mg_l_censoring`",
       f"{TSV}, column 'crp_mg_l_censoring': will be written here", "remove 'crp_mg_l_censoring'",
       column("crp_mg_l", "<0.3", "2"), column("crp_mg_l_censoring", "below", ""))
before("metadata", "answer about suicidality", "Item 9 of the PHQ-9",
       f"{TSV}, column 'phq9_item9': looks like item 9 of the PHQ-9, which is refused",
       "remove the column", column("phq9_item9", "0", "2"))
# fmt: on


def record(name: str, sequence: str = "ACGTACGT", quality: str = "") -> bytes:
    return f"@{name}\n{sequence}\n+\n{quality or 'I' * len(sequence)}\n".encode()


def packed(plain: bytes) -> bytes:
    """A gzip member of one stored block: the same bytes, and so places, with every zlib."""
    size = len(plain).to_bytes(2, "little")
    block = b"\1" + size + bytes(255 - byte for byte in size) + plain
    end = zlib.crc32(plain).to_bytes(4, "little") + len(plain).to_bytes(4, "little")
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + block + end


MATES = [
    b"".join(record(f"r{i}/{mate}", bases) for i in range(1, 31))
    for mate, bases in ((1, "ACGTACGT"), (2, "TTGACCAG"))
]
R1, R2 = map(packed, MATES)
THREE = b"".join(record(f"r{i}") for i in range(1, 4))
BOTH = ("bad_R1.fastq.gz", "bad_R2.fastq.gz")
PLAIN = ("bad.fastq",)
FILE, TEXT = "reads/bad_R1.fastq.gz", "reads/bad.fastq"
AGAIN = "copy or download it again"
FOUR = "four lines a record"

# fmt: off
reads("zero bytes", "A file of zero bytes", f"{FILE}: has zero bytes", AGAIN, b"")
reads("gzip cut", "gzip cut short in a copy", f"{FILE}: truncated", AGAIN, R1[:-20])
reads("gzip of two lanes cut", "The second of two joined gzip files cut",
      f"{FILE}: truncated: the gzip member that starts at byte {len(R1)}", AGAIN, R1 + R1[:-20])
reads("bit flipped", "gzip with a wrong checksum",
      f"{FILE}: gzip checksum error in the member that starts at byte 0", AGAIN,
      R1[:-8] + bytes([R1[-8] ^ 1]) + R1[-7:])
reads("text after gzip", "Something else after the gzip data",
      f"{FILE}: gzip data end at byte {len(R1)}", f"head -c {len(R1)}", R1 + b"hello")
reads("zeros after gzip", "Padding with zeros after the gzip data",
      f"{FILE}: gzip data end at byte {len(R1)}", "zero padding", R1 + bytes(9))
reads("text named .gz", "Plain text under a name in .gz", f"{FILE}: holds plain FASTQ text",
      "rename it to end in .fastq", MATES[0])
reads("gzip not named .gz", "gzip under a name without .gz", f"{TEXT}: holds gzip data",
      "rename it to end in .fastq.gz", R1, files=PLAIN)
reads("gzip twice", "Compressed twice", f"{FILE}: is compressed with gzip twice",
      "decompress it once", packed(R1))
reads("bzip2", "Compressed with bzip2", f"{FILE}: is compressed with bzip2", "bzip2 -dc",
      bz2.compress(MATES[0]))
reads("FASTA", "FASTA", f"{TEXT}: is FASTA, not FASTQ (record 1", "give the FASTQ file",
      b">r1\nACGT\n", files=PLAIN)
reads("SAM", "SAM", f"{TEXT}: is SAM", "samtools fastq", b"@HD\tVN:1.6\n", files=PLAIN)
reads("web page", "A login page", f"{TEXT}: is a web page", "download the file itself",
      b"<!DOCTYPE html><p>Log in", files=PLAIN)
reads("byte order mark", "A byte order mark", f"{TEXT}: starts with a byte order mark",
      "remove the first 3 bytes", b"\xef\xbb\xbf" + THREE, files=PLAIN)
reads("Windows line ends", "Windows line ends", f"{TEXT}: record 1 (line 1)", "dos2unix",
      THREE.replace(b"\n", b"\r\n"), files=PLAIN)
reads("blank last line", "A blank line at the end", f"{TEXT}: record 4 (line 13)",
      "remove blank lines", THREE + b"\n", files=PLAIN)
reads("record cut", "The last record cut in its quality line", f"{TEXT}: record 3 (line 9)", AGAIN,
      THREE[:-4], files=PLAIN)
reads("lines missing", "A record without its name", f"{TEXT}: record 4 (line 13)", FOUR,
      THREE + b"ACGT\n+\nIIII\n" + THREE, files=PLAIN)
reads("folded sequence", "A sequence over two lines", f"{TEXT}: record 4 (line 13)", FOUR,
      THREE + b"@r4\nACGT\nACGT\n+\nIIIIIIII\n", files=PLAIN)
reads("short quality", "More bases than qualities", f"{TEXT}: record 4 (line 13)", AGAIN,
      THREE + record("r4", "ACGT", "III"), files=PLAIN)
reads("two names", "Another name after `+`", f"{TEXT}: record 4 (line 13)", AGAIN,
      THREE + b"@r4\nACGT\n+r5\nIIII\n", files=PLAIN)
reads("nameless read", "A read without a name", f"{TEXT}: record 4 (line 13)",
      "export the reads again with names", THREE + record(""), files=PLAIN)
reads("RNA", "U for T", f"{TEXT}: record 4 (line 13)", "seqkit seq --rna2dna",
      THREE + record("r4", "ACGU"), files=PLAIN)
reads("dots", "A dot for N", f"{TEXT}: record 4 (line 13)", "write unknown bases as N",
      THREE + record("r4", "AC.T"), files=PLAIN)
reads("space as quality", "A quality below Phred+33", f"{TEXT}: record 4 (line 13)",
      "export the qualities again as Phred+33", THREE + record("r4", "ACGT", "II I"), files=PLAIN)
reads("Phred+64", "Qualities in the old Illumina code", f"{TEXT}: qualities run from character 66",
      "seqkit convert", record("r1", "ACGT", "hhgB"), files=PLAIN)
reads("no bases", "Reads of length zero only", f"{TEXT}: all 2 reads have length zero",
      "export the reads again", b"@a\n\n+\n\n@b\n\n+\n\n", files=PLAIN)
reads("interleaved", "Both mates in one file", f"{TEXT}: holds both mates",
      "split it into R1 and R2", b"".join(record(f"r{i}") * 2 for i in range(9)), files=PLAIN)
reads("no reads", "Intact gzip files without a read", f"{FILE}: an intact gzip file that holds no",
      "export or download it again", packed(b""), packed(b""), files=BOTH)
reads("mates missing", "Fewer second mates than first",
      f"{FILE} holds 30 reads but reads/bad_R2.fastq.gz 29", "keep only whole pairs", R1,
      packed(b"@" + b"@".join(MATES[1].split(b"@")[1:30])), files=BOTH)
reads("second file cut", "R1 sound, R2 cut short", "reads/bad_R2.fastq.gz: truncated", AGAIN, R1,
      R2[:-20], files=BOTH)
reads("mates of another sample", "Names of strangers",
      "names are not mates at record 1: 'r1/1' and 'q1/2'", "give the two files of one run", R1,
      packed(MATES[1].replace(b"@r", b"@q")), files=BOTH)
reads("mate lost", "A second mate lost in the middle", "names are not mates at record 7",
      "restore their common order", R1, packed(MATES[1].replace(record("r7/2", "TTGACCAG"), b"")),
      files=BOTH)
reads("R1 twice", "R1 again as R2", "hold the same reads from record 1",
      "give the file of the second mates as R2", R1, R1, files=BOTH)
reads("first mates twice", "Other first mates as R2", "both are read 1 at record 1",
      "give the file of the other mates as R2", R1,
      packed(MATES[0].replace(b"ACGTACGT", b"GGGTACGT")), files=BOTH)
# fmt: on

PATH, GENOMES, DUMP = (f"databases.shotgun.{name}" for name in ("path", "genomes", "taxonomy"))
NODES = "1\t|\t1\t|\tno rank\t|\n853\t|\t1\t|\tspecies\t|\n"
BUILT = (
    setting(PATH, ""),
    setting(GENOMES, "genomes"),
    setting(DUMP, "taxonomy"),
    put("taxonomy/nodes.dmp", NODES),
    put("taxonomy/names.dmp", "1\t|\troot\t|\n"),
)

# fmt: off
before("database", "none", "No database for the sheet's assay",
       "config: databases.shotgun: no database is named", "set databases.shotgun.path",
       setting(PATH, ""))
before("database", "none of the other assay", "Amplicon samples, and a shotgun database only",
       "config: databases.amplicon: no database is named", "set databases.amplicon.path",
       column("assay", "shotgun", "amplicon"))
before("database", "no folder", "A path to nothing",
       "config: databases.shotgun.path: no folder 'standard'", "correct the path",
       setting(PATH, "standard"))
before("database", "archive", "A packed database that was not unpacked",
       "config: databases.shotgun.path: no folder 'k2.tar.gz'", "correct the path",
       put("k2.tar.gz", b"\x1f\x8b"), setting(PATH, "k2.tar.gz"))
before("database", "file missing", "A folder without taxo.k2d",
       "config: databases.shotgun.path: 'database' is no Kraken2 database: it lacks taxo.k2d",
       "give the folder that holds them", without("database/taxo.k2d"))
before("database", "another folder", "A folder of something else",
       "'reads' is no Kraken2 database: it lacks hash.k2d, opts.k2d, taxo.k2d",
       "give the folder that holds them", setting(PATH, "reads"))
before("database", "no distribution", "A database without k-mer distribution",
       "'database' has no database<N>mers.kmer_distrib", "set profile.reestimate: false",
       without("database/database100mers.kmer_distrib"))
before("database", "no genomes", "A folder without FASTA files",
       "config: databases.shotgun.genomes: no genomes in 'genomes'", "_<NCBI taxon id>.fna", *BUILT,
       put("genomes/README.txt", "none yet"))
before("database", "genome without taxon", "A genome as NCBI names it",
       "GCF_000162015.1_genomic.fna: no taxon id in the name", "_<NCBI taxon id>.fna", *BUILT,
       put("genomes/GCF_000162015.1_genomic.fna", ">c\nACGT\n"))
before("database", "no taxonomy", "Genomes and no taxonomy",
       "config: databases.shotgun.taxonomy: '' lacks nodes.dmp, names.dmp",
       "give the folder of NCBI's taxonomy dump", *BUILT, setting(DUMP, ""),
       put("genomes/F_853.fna", ">c\nACGT\n"))
before("database", "taxonomy in part", "A taxonomy without names.dmp",
       "config: databases.shotgun.taxonomy: 'taxonomy' lacks names.dmp",
       "give the folder of NCBI's taxonomy dump", *BUILT, without("taxonomy/names.dmp"),
       put("genomes/F_853.fna", ">c\nACGT\n"))
# fmt: on


def building(folder: Path) -> None:
    genomes = sorted((folder / "genomes").iterdir())
    build_database(genomes, folder / "taxonomy", folder / "db", threads=1, log=folder / "log")


# fmt: off
step("database", "unknown taxon", "A genome of a taxon that the taxonomy lacks",
     "F_99999.fna: taxon 99999 is not in nodes.dmp", "use a taxonomy that has it", *BUILT[3:],
     put("genomes/F_99999.fna", ">c\nACGT\n"), building)
step("database", "deleted taxon", "A genome of a taxon that NCBI deleted",
     "F_99999.fna: NCBI deleted taxon 99999 (delnodes.dmp)", "rename the file to", *BUILT[3:],
     put("taxonomy/delnodes.dmp", "99999\t|\n"), put("genomes/F_99999.fna", ">c\nACGT\n"), building)
step("database", "garbled merges", "A merged.dmp that is a web page", "merged.dmp, line 1: '<html>",
     "get the taxonomy dump again", put("merged.dmp", "<html>\n"),
     lambda folder: read_merged(folder / "merged.dmp"))
step("database", "garbled nodes", "A nodes.dmp that is a web page", "nodes.dmp, line 1: '<html>",
     "'taxon id | parent id |'", put("nodes.dmp", "<html>\n"),
     lambda folder: read_parents(folder / "nodes.dmp"))
step("database", "nodes without a root", "A nodes.dmp cut at its beginning",
     "nodes.dmp: the root (taxon 1) is missing", "the file may be cut",
     put("nodes.dmp", NODES.split("\n", 1)[1]), lambda folder: read_parents(folder / "nodes.dmp"))
step("database", "garbled map", "A seqid2taxid.map with spaces for tabs",
     "seqid2taxid.map, line 1: 'contig 853\\n'", "is not 'sequence<TAB>taxon id'",
     put("seqid2taxid.map", "contig 853\n"),
     lambda folder: read_sequence_taxa(folder / "seqid2taxid.map"))
# fmt: on
TAXO = b"K2TAXDAT" + b"".join(n.to_bytes(8, "little") for n in (1, 5, 8)) + bytes(56 + 13)
# fmt: off
step("database", "taxonomy cut", "A taxo.k2d cut short in a copy", "taxo.k2d is cut short",
     "fetch or build the database again", put("taxo.k2d", TAXO[:-3]),
     lambda folder: list(database_taxa(folder / "taxo.k2d")))
step("database", "taxonomy of zero bytes", "A taxo.k2d of zero bytes",
     "taxo.k2d is not a Kraken2 taxonomy", "fetch or build the database again",
     put("taxo.k2d", b""), lambda folder: list(database_taxa(folder / "taxo.k2d")))
# fmt: on

REPORT = (
    " 20.00\t2\t2\tU\t0\tunclassified\n"
    " 80.00\t8\t0\tR\t1\troot\n"
    " 80.00\t8\t0\tD\t2\t  Bacteria\n"
    " 80.00\t8\t0\tP\t1239\t    Bacillota\n"
    " 50.00\t5\t1\tG\t216851\t      Faecalibacterium\n"
    " 40.00\t4\t4\tS\t853\t        Faecalibacterium prausnitzii\n"
    " 30.00\t3\t3\tG\t1350\t      Enterococcus\n"
)
S1 = "S1.kraken2.txt"
RERUN = "run Kraken2 again"


def report(name, broken, place, mend, old, new, fragments=10):
    """A report in which a piece is replaced, once."""
    if old not in REPORT:
        raise AssertionError(f"{name}: the report has no {old!r}")
    read = lambda folder: read_report(folder / S1, fragments)  # noqa: E731
    step("report", name, broken, place, mend, put(S1, REPORT.replace(old, new, 1)), read)


# fmt: off
report("empty", "A report of zero bytes", f"{S1}: the report is empty", RERUN, REPORT, "")
report("last line cut", "Cut in the last line", f"{S1}, line 7: the last line does not end", RERUN,
       "Enterococcus\n", "Enter")
report("cut between lines", "Cut after a whole line", f"{S1}, line 4: 'Bacillota' counts 8", RERUN,
       REPORT[REPORT.index(" 30.00") :], "")
report("header", "A header line", f"{S1}, line 1, column 1: 'percent'", "has no header line",
       REPORT, "percent\tclade\tdirect\trank\ttaxid\tname\n" + REPORT)
report("negative", "A negative number", f"{S1}, line 7, column 3: '-3'",
       "a whole number of 0 or more", "3\t3\tG", "3\t-3\tG")
report("decimal", "A number with a point", f"{S1}, line 7, column 2: '3.0'",
       "a whole number of 0 or more", "3\t3\tG", "3.0\t3\tG")
report("percentage", "A percentage that is none", f"{S1}, line 7, column 1: 'n/a'",
       "is not a percentage", " 30.00", "n/a")
report("percentages edited", "A percentage that does not fit its count", f"{S1}, line 7: 31.00 %",
       RERUN, " 30.00", " 31.00")
report("sums", "Counts that do not add up", f"{S1}, line 5: 'Faecalibacterium' counts 5", RERUN,
       "5\t1\tG", "5\t2\tG")
report("seven columns", "Seven columns", f"{S1}, line 1: 7 columns",
       "is this a report of kraken2 --report", REPORT, REPORT.replace("\n", "\tx\n"))
report("a column lost", "A line with five columns", f"{S1}, line 6: 5 columns",
       "is this a report of kraken2 --report", "S\t853\t", "S\t")
report("another format", "MetaPhlAn's format", f"{S1}, line 1: 2 columns",
       "without --use-mpa-style", REPORT, "d__Bacteria\t8\n")
report("taxon twice", "A taxon in two lines",
       f"{S1}, line 7: taxon id 853 stands already in line 6", RERUN, "1350", "853")
report("rank", "A rank that Kraken2 has not", f"{S1}, line 7: rank code 'X'",
       "none of R D K P C O F G S", "3\t3\tG", "3\t3\tX")
report("unclassified below", "Unclassified in another line", f"{S1}, line 8: unclassified stands",
       "it must be the first line, once", "Enterococcus\n",
       "Enterococcus\n 20.00\t2\t2\tU\t0\tunclassified\n")
report("indent", "Indents taken off", f"{S1}, line 3: 'Bacteria' has no indent",
       "lines are missing or edited", "  Bacteria", "Bacteria")
report("line lost", "A line between lost", f"{S1}, line 4: 'Faecalibacterium' has an indent of 6",
       "lines are missing or edited", " 80.00\t8\t0\tP\t1239\t    Bacillota\n", "")
report("Windows line ends", "Windows line ends", f"{S1}, line 1: carriage return",
       "convert the file to Unix line ends", REPORT, REPORT.replace("\n", "\r\n"))
report("fragments lost", "Fewer fragments than Kraken2 was given",
       f"{S1}: the report counts 10 fragments, but 12 were given", RERUN, "", "", fragments=12)
step("report", "packed", "A compressed report", f"{S1}: byte 1 is not text", "decompress it",
     put(S1, packed(REPORT.encode())), lambda folder: read_report(folder / S1))
# fmt: on


def merged(second: str) -> Change:
    """Merge two samples' reports into a table."""
    return lambda _: build_counts(
        {"S1": parse_report(REPORT, "S1"), "S2": parse_report(second, "S2")}, None, "genus", 0
    )


# fmt: off
step("report", "two databases", "Two samples classified with two databases",
     "taxon 1350 is 'Enterococcus' below taxon 1239 in sample 'S1', but 'Streptococcus'",
     "classify all samples against one database",
     merged(REPORT.replace("Enterococcus", "Streptococcus")))
# fmt: on

WINDOWS = "2\t853:20:100 1350:10:100\n216851\t853:30:100\n853\t853:50:100\n1350\t1350:90:100\n"
MERS = "database100mers.kmer_distrib"


def distribution(name, broken, place, mend, content):
    read = lambda folder: read_distribution(folder / MERS)  # noqa: E731
    step("distribution", name, broken, place, mend, put(MERS, content), read)


# fmt: off
distribution("cut", "Cut in its last line", f"{MERS}: the file does not end in a newline",
             "get it again", f"{HEADER}\n{WINDOWS}"[:-4])
distribution("header", "Another header", f"{MERS}, line 1: 'taxid\\tgenomes' is not the header",
             HEADER.split("\t")[0], f"taxid\tgenomes\n{WINDOWS}")
distribution("web page", "A login page", f"{MERS}, line 1: '<html>' is not the header", HEADER[:12],
             "<html>\n")
distribution("header only", "A header and no taxon", f"{MERS}: no taxon after the header",
             "build the distribution again", f"{HEADER}\n")
distribution("two numbers", "An entry without its total", f"{MERS}, line 3: '853:30' does not fit",
             "genome:windows:total", f"{HEADER}\n{WINDOWS.replace('853:30:100', '853:30')}")
distribution("negative", "A negative number", f"{MERS}, line 3: '853:-30:100' does not fit",
             "genome:windows:total", f"{HEADER}\n{WINDOWS.replace(':30:', ':-30:')}")
distribution("more than all", "More windows than the genome has",
             f"{MERS}, line 3: genome 853 has 300 windows at taxon 216851 of 100",
             "it must be between 1 and that", f"{HEADER}\n{WINDOWS.replace(':30:', ':300:')}")
distribution("taxon twice", "A taxon in two lines", f"{MERS}: taxon 853 has two lines",
             "it may have one", f"{HEADER}\n{WINDOWS}853\t853:50:100\n")
distribution("genome twice", "A genome twice in a line",
             f"{MERS}, line 2: genome 853 stands twice at taxon 2", "get it again",
             f"{HEADER}\n{WINDOWS.replace('1350:10:100', '853:10:100')}")
distribution("two totals", "Two totals of a genome",
             f"{MERS}: genome 853 has 100 windows in line 2 and 90 in line 3",
             "it must be one number", f"{HEADER}\n{WINDOWS.replace('30:100', '30:90')}")
step("distribution", "another database", "The k-mer distribution of another database",
     f"{MERS}: 2 of 2 genomes (100 %) are no taxa of taxo.k2d, for example 853, 1350",
     "use the one that came with this database", put(MERS, f"{HEADER}\n{WINDOWS}"),
     lambda folder: check_database(
         read_distribution(folder / MERS), {1: 0, 28901: 1}, MERS, "taxo.k2d"))
step("distribution", "no read length", "A database prepared for no read length",
     "the database has no k-mer distribution for any read length", "build one",
     lambda _: nearest_read_length([], 150))
# fmt: on

CASES = matrix.cases

# Messages that do not say yet how to mend what they name; their cases have what they should say.
WITHOUT_MEND: set[str] = set()


# What is not found


def takes_another_release(folder: Path) -> bool:
    """With a warning: half of the genomes are taxa of the database."""
    put(MERS, f"{HEADER}\n{WINDOWS}")(folder)
    one = {1: 0, 853: 1}
    return len(check_database(read_distribution(folder / MERS), one, MERS, "taxo.k2d")) == 1


def takes_cut_reads(folder: Path) -> bool:
    put("a.fastq", THREE)(folder)
    put("b.fastq.gz", packed(THREE))(folder)
    return all(check_reads(folder, (name,)).status == "ok" for name in ("a.fastq", "b.fastq.gz"))


def takes_reads_twice(folder: Path) -> bool:
    put("a.fastq", THREE + THREE)(folder)
    return check_reads(folder, ("a.fastq",)).fragments == 6


def takes_cut_hash(folder: Path) -> bool:
    run = run_folder(folder / "run")
    put("database/hash.k2d", b"cut")(run)
    return check_folder(run) == ([], [])


def takes_setting_twice(folder: Path) -> bool:
    run = run_folder(folder / "run")
    edit("samples: samples.tsv", "samples: samples.tsv\nseed: 1\nseed: 2", "config.yaml")(run)
    return settings_of(run)["seed"] == 2 and check_folder(run) == ([], [])


# fmt: off
GAPS = [
    Gap("The k-mer distribution of another release of the database",
        "If half of its genomes are in the database it may be right; a warning says which are not.",
        "Keep a database's files in the folder they came in.", takes_another_release),
    Gap("A single-end file cut between two records, or between two gzip members",
        "What is left is a sound file. Of a pair, the numbers of mates differ, and that is found.",
        "Compare checksums with the source.", takes_cut_reads),
    Gap("The same reads twice in a file", "To find them takes memory in proportion to the reads.",
        "`seqkit rmdup`, where a lane may have been joined twice.", takes_reads_twice),
    Gap("A database's `hash.k2d` cut short", "Kraken2 itself stops at it, when it classifies.",
        "Compare checksums with the source.", takes_cut_hash),
    Gap("A setting written twice", "YAML takes the last one.",
        "`results/provenance/run.json` has the settings that were used.", takes_setting_twice),
]
# fmt: on


# The documentation

INTRODUCTION = """\
# What happens to malformed inputs

{count} malformed inputs, when each is found and what is said. *Before any job* means that nothing
is run and no result is written; *in the sample's check* that this sample fails by name and the
others go on; *in the step* that the step ends with an error and leaves no result. Each row is a
test: it breaks a sound input in this way, and wants the place, the mend and no second fault that
only echoes the first. `python tests/robustness.py > docs/robustness.md` writes this page again.
"""


def as_code(text: str, limit: int = 300) -> str:
    """Text as code in a cell of a Markdown table, shortened."""
    text = " ".join(text.split()).replace("|", "\\|")
    text = text if len(text) <= limit else text[:limit] + " …"
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def document() -> str:
    """The page docs/robustness.md."""
    lines = [INTRODUCTION.format(count=len(CASES))]
    with tempfile.TemporaryDirectory() as scratch:
        for group in GROUPS:
            title = group[0].upper() + group[1:]
            lines += [f"## {title}\n", "| Input | Found | What is said |", "| --- | --- | --- |"]
            for case in CASES:
                if case.group == group:
                    said = messages(case, Path(scratch, case.id.replace("/", "_")))[0]
                    lines.append(f"| {case.broken} | {case.found} | {as_code(said)} |")
            lines.append("")
    lines += ["## What is not found\n", "| Input | Why | Instead |", "| --- | --- | --- |"]
    lines += [f"| {gap.broken} | {gap.why} | {gap.instead} |" for gap in GAPS]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
