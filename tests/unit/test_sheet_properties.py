"""The sample sheet, whatever it holds: sound ones are read as meant, no text makes it fall over."""

import csv
import io
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from moodbiome.faults import suggestion
from moodbiome.inputs import check_inputs
from moodbiome.sheet import (
    ASSAYS,
    DEFAULTS,
    NAME,
    RESERVED,
    RESERVED_SAMPLES,
    SAMPLE_TYPES,
    Sheet,
    Unit,
    read_sheet,
)

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
SETTINGS = yaml.safe_load((ROOT / "config/config.yaml").read_text())

FILES = [f"reads {i}.fq" for i in range(24)]
KNOWN = ("sample", *DEFAULTS)
FIXTURE = HealthCheck.function_scoped_fixture
quick = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[FIXTURE, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sheet")
    for name in FILES:
        (folder / name).touch()
    return folder


def read(folder, text):
    path = folder / "samples.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_sheet(path)


# Names of samples and runs, distinct even on a file system that ignores case.
names = st.from_regex(NAME, fullmatch=True).filter(lambda name: len(name) <= 12)
sample_names = names.filter(lambda name: name not in RESERVED_SAMPLES)
# Any printable character, quotes, delimiters and spaces inside among them; '#' begins a comment.
printable = st.characters(categories=("L", "M", "N", "P", "S", "Zs"))
words = st.text(printable, max_size=8).map(str.strip).filter(lambda text: text[:1] != "#")
column_names = words.filter(
    lambda text: text and text not in (*KNOWN, *RESERVED) and not suggestion(text, KNOWN)
)


@dataclass
class Written:
    """A sheet as it is meant and as it is written: header, rows and the way to write them."""

    header: list[str]
    rows: list[dict[str, str]]
    sheet: Sheet
    delimiter: str = "\t"
    line_end: str = "\n"
    start: str = ""
    padding: str = ""
    between: list[str] = field(default_factory=list)

    def text(self) -> str:
        """The file. Before each row stands the line of `between` for it, if any."""
        lines = [self.header, *([row[column] for column in self.header] for row in self.rows)]
        out = [self.start]
        for cells, before in zip(lines, self.between, strict=True):
            line = io.StringIO()
            writer = csv.writer(line, delimiter=self.delimiter, lineterminator=self.line_end)
            writer.writerow([f"{self.padding}{cell}{self.padding}" for cell in cells])
            out += [before, line.getvalue()]
        return "".join(out)


@st.composite
def written(draw):
    """A sound sheet."""
    samples = draw(st.lists(sample_names, min_size=1, max_size=4, unique_by=str.lower))
    extra = draw(st.lists(column_names, max_size=3, unique=True))
    optional = draw(st.sets(st.sampled_from(["run", "fastq_2", "assay", "sample_type", "exclude"])))
    header = draw(st.permutations(["sample", "fastq_1", *sorted(optional), *extra]))
    files = iter(FILES)
    rows, sheet = [], Sheet()
    for sample in samples:
        lanes = st.lists(names, min_size=1, max_size=3, unique_by=str.lower)
        runs = draw(lanes) if "run" in header else [DEFAULTS["run"]]
        is_paired = "fastq_2" in header and draw(st.booleans())
        assay = draw(st.sampled_from(ASSAYS)) if "assay" in header else "shotgun"
        metadata = {column: draw(words) for column in extra}
        metadata["sample_type"] = "sample"
        if "sample_type" in header:
            metadata["sample_type"] = draw(st.sampled_from(SAMPLE_TYPES))
        metadata["exclude"] = draw(words) if "exclude" in header else ""
        sheet.metadata[sample] = metadata
        for run in runs:
            paths = (next(files), next(files) if is_paired else "")
            sheet.units.append(Unit(sample, assay, run, *paths, accession="", row=0))
            rows.append(metadata | sheet.units[-1]._asdict())
    line_end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    between = ["", line_end, f"# a comment{line_end}", f" , ,{line_end}"]
    # Blank cells separated by commas are a blank line only where commas separate.
    delimiter = draw(st.sampled_from("\t,"))
    between = between if delimiter == "," else between[:3]
    between = draw(
        st.lists(st.sampled_from(between), min_size=len(rows) + 1, max_size=len(rows) + 1)
    )
    lines = 0
    for number, before in enumerate(between):
        lines += 1 + (before != "")
        if number:
            sheet.units[number - 1] = sheet.units[number - 1]._replace(row=lines)
    return Written(
        header,
        rows,
        sheet,
        delimiter,
        line_end,
        start=draw(st.sampled_from(["", "\ufeff"])),
        padding=draw(st.sampled_from(["", " ", "  "])),
        between=between,
    )


@quick
@given(written=written(), has_last_end=st.booleans())
def test_a_sound_sheet_is_read_as_meant_however_it_is_written(folder, written, has_last_end):
    text = written.text()
    text = text if has_last_end else text.removesuffix(written.line_end)
    sheet, faults = read(folder, text)
    assert faults == []
    assert sheet.units == written.sheet.units
    assert sheet.metadata == written.sheet.metadata
    extra = [column for column in written.header if column in next(iter(sheet.metadata.values()))]
    assert [column for column in sheet.columns if column in extra] == extra


@quick
@given(written=written(), data=st.data())
def test_a_row_twice_is_a_fault(folder, written, data):
    again = data.draw(st.integers(0, len(written.rows) - 1))
    written.rows.append(written.rows[again])
    written.between.append("")
    _, faults = read(folder, written.text())
    sample = written.sheet.units[again].sample
    repeats = [fault for fault in faults if fault.problem.startswith(f"repeats sample {sample!r}")]
    assert len(repeats) == 1
    assert repeats[0].problem.endswith(f"of row {written.sheet.units[again].row}")


@quick
@given(written=written(), data=st.data(), blank=st.sampled_from(["", " "]))
def test_a_row_without_its_sample_is_a_fault(folder, written, data, blank):
    row = data.draw(st.integers(0, len(written.rows) - 1))
    written.rows[row] = written.rows[row] | {"sample": blank}
    _, faults = read(folder, written.text())
    place = f"samples.tsv, row {written.sheet.units[row].row}, column 'sample'"
    assert (place, "is empty", "fill it") in faults


@quick
@given(written=written(), data=st.data())
def test_a_cell_left_out_is_a_fault(folder, written, data):
    lines = written.text().split(written.line_end)
    unit = data.draw(st.sampled_from(written.sheet.units))
    cells = next(csv.reader([lines[unit.row - 1]], delimiter=written.delimiter))
    del cells[data.draw(st.integers(0, len(cells) - 1))]
    line = io.StringIO()
    csv.writer(line, delimiter=written.delimiter, lineterminator="").writerow(cells)
    lines[unit.row - 1] = line.getvalue()
    _, faults = read(folder, written.line_end.join(lines))
    assert [fault.place for fault in faults] == [f"samples.tsv, row {unit.row}"]
    assert f"has {len(cells)} cells under a header of {len(cells) + 1}" in faults[0].problem


def assert_answered(folder, content):
    """Either a sheet with rows, or faults that each name the file and a mend."""
    sheet, faults = read(folder, content)
    assert sheet.units or faults
    for fault in faults:
        assert fault.place.startswith(("samples.tsv", str(folder)))
        assert fault.problem
        assert fault.mend


@quick
@given(content=st.one_of(st.text(), st.binary()))
@example(content="")
@example(content=" # nothing but a comment")
@example(content="#\x0bsample\tfastq_1\n")
@example(content=",,,\n,,,\n")
@example(content="sample,fastq_1\r\rS1,\x00\r")
@example(content='sample,fastq_1\n# see,"the note\nS1,reads 1.fq\n')
@example(content="sample,fastq_1\nS1," + "x" * 200_000)
@example(content="sample,fastq_1\nS1," + "x/" * 5_000)
def test_any_content_is_a_sheet_or_has_a_fault(folder, content):
    assert_answered(folder, content)


@quick
@given(written=written(), data=st.data())
def test_a_sheet_with_letters_changed_is_a_sheet_or_has_a_fault(folder, written, data):
    text = written.text()
    letters = st.text(st.sampled_from('\t,;"#\n\r\x00\x0b\ufeff/. aS'), max_size=3)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 6)))
        text = text[:start] + data.draw(letters) + text[end:]
    assert_answered(folder, text)


@pytest.mark.parametrize("opening", ['"', 'x,"'], ids=["first cell", "later cell"])
@quick
@given(data=st.data())
def test_an_open_quote_loses_no_row_in_silence(folder, opening, data):
    rows = [f"S{i},{FILES[i]},x" for i in range(4)]
    lines = ["sample,fastq_1,note", *rows]
    at = data.draw(st.integers(0, len(lines)))
    lines.insert(at, data.draw(st.sampled_from(["", "# "])) + opening)
    sheet, faults = read(folder, "\n".join(lines))
    assert faults or len(sheet.units) == len(rows)
    if at < len(rows) and not lines[at].startswith("#"):
        assert faults[0].place == f"samples.tsv, row {at + 1}"


CELLS = st.one_of(
    st.text(st.sampled_from("0123456789.,<>=≤-+eE ¹１mgnaNA"), max_size=6),
    st.sampled_from(["unknown", "NA", "none", "<0.3 mg/L", "inf", "1_0", "7.0", "F", "yes"]),
    words,
)
FIELDS = ["phq9_total", "crp_mg_l", "crp_mg_l_censoring", "age", "sex", "bristol", "group", "site"]


@quick
@given(rows=st.lists(st.tuples(*[CELLS] * len(FIELDS)), min_size=1, max_size=4))
@example(rows=[("mild", "<", "", "", "", "", "", "")])
def test_any_metadata_are_tidied_or_have_a_fault(folder, monkeypatch, rows):
    monkeypatch.chdir(folder)
    table = io.StringIO()
    writer = csv.writer(table, delimiter="\t", lineterminator="\n")
    writer.writerow(["sample", "fastq_1", *FIELDS])
    for i, cells in enumerate(rows):
        writer.writerow([f"S{i}", FILES[i], *cells])
    Path("samples.tsv").write_text(table.getvalue())
    sheet, faults, _ = check_inputs(
        deepcopy(SETTINGS) | {"samples": "samples.tsv"}, SCHEMA, ROOT / "config"
    )
    if not any(fault.place.startswith("samples.tsv") for fault in faults):
        for cells in sheet.metadata.values():
            assert cells["phq9_total"] == "" or 0 <= int(cells["phq9_total"]) <= 27
            assert cells["crp_mg_l"] == "" or 0 <= float(cells["crp_mg_l"]) <= 600
