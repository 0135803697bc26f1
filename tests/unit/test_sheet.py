"""The sample sheet: what is accepted, and what each fault says."""

from pathlib import Path

import pytest

from moodbiome.sheet import read_sheet

HEADER = "sample\trun\tfastq_1\tfastq_2\tgroup\n"
ROW = "S1\tL1\ta_1.fq.gz\ta_2.fq.gz\tcontrol\n"


@pytest.fixture
def folder(tmp_path):
    for name in ("a_1.fq.gz", "a_2.fq.gz", "b_1.fq.gz", "b_2.fq.gz"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def read(folder: Path, text: str | bytes):
    path = folder / "samples.tsv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    sheet, faults = read_sheet(path)
    return sheet, "\n".join(map(str, faults))


def test_a_sound_sheet_is_read_as_written(folder):
    sheet, faults = read(folder, HEADER + ROW + "S1\tL2\tb_1.fq.gz\tb_2.fq.gz\tcontrol\n")
    assert not faults
    assert [(unit.sample, unit.assay, unit.run) for unit in sheet.units] == [
        ("S1", "shotgun", "L1"),
        ("S1", "shotgun", "L2"),
    ]
    assert sheet.units[0].files == ["a_1.fq.gz", "a_2.fq.gz"]
    assert sheet.samples == [("S1", "shotgun")]
    assert sheet.metadata == {"S1": {"group": "control", "sample_type": "sample", "exclude": ""}}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"\xef\xbb\xbf" + (HEADER + ROW).encode(), id="byte order mark"),
        pytest.param((HEADER + ROW).replace("\n", "\r\n"), id="CRLF"),
        pytest.param((HEADER + ROW).replace("\t", ","), id="CSV"),
        pytest.param("# made by hand\n\n" + HEADER + "\n" + ROW + "\n", id="comments, blank lines"),
        pytest.param((HEADER + ROW).replace("S1", " S1 "), id="spaces around a cell"),
        pytest.param(HEADER + ROW.rstrip("\n"), id="no newline at the end"),
    ],
)
def test_harmless_differences_change_nothing(folder, text):
    sheet, faults = read(folder, text)
    assert not faults
    assert [unit[:5] for unit in sheet.units] == [("S1", "shotgun", "L1", "a_1.fq.gz", "a_2.fq.gz")]


def test_a_missing_second_mate_means_single_end(folder):
    sheet, faults = read(folder, "sample,fastq_1\nS1,a_1.fq.gz\n")
    assert not faults
    assert sheet.units[0].files == ["a_1.fq.gz"]
    assert sheet.units[0].run == "1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "samples.tsv: is empty"),
        (HEADER, "holds a header and no sample; add one row"),
        ("sample;fastq_1\nS1;a\n", "separated by semicolons; save it separated by tabs or commas"),
        (
            "sample\tgroup\nS1\tx\n",
            "header: has neither 'fastq_1' nor 'accession'; add 'fastq_1' (",
        ),
        ("sample\tfastq1\nS\ta\n", "unknown column 'fastq1'; did you mean 'fastq_1'?"),
        ("sample\tfastq_1\tfastq2\nS\ta\tb\n", "unknown column 'fastq2'; did you mean 'fastq_2'?"),
        ("sample\taccession\nS1\tPRJNA1\n", "column 'accession': 'PRJNA1' is a study, not a run"),
        ("sample\taccession\nS1\tSRR1234567\nS2\tSRR1234567\n", "is used in row 2 already"),
        (
            "sample\tfastq_1\taccession\nS1\ta_1.fq.gz\tSRR1234567\n",
            "row 2: has files and an accession; give 'fastq_1'",
        ),
        ("Sample\tfastq_1\nS\ta\n", "unknown column 'Sample'; did you mean 'sample'?"),
        ("sample\tfastq_1\tx\tx\nS\ta\t\t\n", "names 'x' 2 times; rename one"),
        ("sample\tfastq_1\t\nS\ta\t1\n", "has a column without a name"),
        (HEADER + ROW + "S2\tL1\n", "row 3: has 2 cells under a header of 5"),
        (HEADER + ROW.replace("S1", "S 1"), "row 2, column 'sample': is 'S 1'; use letters"),
        (HEADER + ROW.replace("S1", "-S1"), "row 2, column 'sample': is '-S1'; use letters"),
        (HEADER + ROW.replace("S1", "../S1"), "column 'sample': is '../S1'"),
        (HEADER + ROW.replace("L1", "L/1"), "column 'run': is 'L/1'"),
        (HEADER + ROW.replace("S1", ""), "row 2, column 'sample': is empty"),
        (HEADER + ROW.replace("a_1.fq.gz", ""), "row 2: has no reads; give 'fastq_1'"),
        (HEADER + ROW.replace("a_1", "c_1"), "row 2, column 'fastq_1': no file 'c_1.fq.gz' in"),
        (HEADER + ROW.replace("a_1.fq.gz", "."), "'.' is not a file"),
        (HEADER + ROW.replace("a_2", "a_1"), "is the same file as fastq_1: 'a_1.fq.gz'"),
        (HEADER + ROW + ROW, "row 3: repeats sample 'S1', run 'L1' of row 2"),
        (
            HEADER + ROW + "S2\tL1\ta_1.fq.gz\tb_2.fq.gz\tx\n",
            "row 3, column 'fastq_1': 'a_1.fq.gz' is used in row 2, column 'fastq_1' already",
        ),
        (
            HEADER + ROW + "S1\tL2\tb_1.fq.gz\tb_2.fq.gz\tcase\n",
            "row 3, column 'group': is 'case'; an earlier row of sample 'S1' says 'control'",
        ),
        (
            HEADER + ROW + "s1\tL1\tb_1.fq.gz\tb_2.fq.gz\tx\n",
            "'s1' and 'S1' differ only in case",
        ),
        (
            HEADER + ROW + "S1\tL2\tb_1.fq.gz\t\tcontrol\n",
            "mixes paired and single-end (see row 2)",
        ),
        (
            "sample\tfastq_1\tassay\nS1\ta_1.fq.gz\tshotgn\n",
            "column 'assay': is 'shotgn'; did you mean 'shotgun'? use one of shotgun, amplicon",
        ),
        (
            "sample\tfastq_1\tsample_type\nS1\ta_1.fq.gz\tblank\n",
            "column 'sample_type': is 'blank'; use one of sample, negative_control",
        ),
        (HEADER + ROW.replace("control", "con\x07trol"), "holds a control character"),
        (b"sample\tfastq_1\nS1\t\xff\n", "cannot be read"),
    ],
)
def test_each_fault_names_its_place_and_the_mend(folder, text, said):
    assert said in read(folder, text)[1]


def test_a_run_can_be_given_by_accession_among_files(folder):
    sheet, faults = read(folder, "sample,fastq_1,accession\nS1,a_1.fq.gz,\nS2,,ERR1234567\n")
    assert not faults
    assert [unit.files for unit in sheet.units] == [["a_1.fq.gz"], []]
    assert sheet.units[1].accession == "ERR1234567"


def test_metadata_may_be_called_nearly_like_a_column_that_is_there(folder):
    assert not read(folder, "sample,sample_id,fastq_1\nS1,x,a_1.fq.gz\n")[1]


def test_a_missing_sheet_is_named(tmp_path):
    _, faults = read_sheet(tmp_path / "none.tsv")
    assert "none.tsv: is missing" in str(faults[0])


def test_all_faults_are_found_at_once(folder):
    _, faults = read(folder, HEADER + ROW.replace("S1", "S 1") + "S2\tL1\tx.gz\ty.gz\tz\n" + ROW)
    assert len(faults.splitlines()) == 5  # a name, two missing files, two files used twice
