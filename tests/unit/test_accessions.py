"""Accessions: which files of an archive's run are its reads, and why some runs cannot be used."""

import gzip
import hashlib
import json
import runpy
from types import SimpleNamespace

import pytest

from moodbiome import accessions, download
from moodbiome.accessions import (
    FIELDS,
    AccessionError,
    accession_fault,
    fetch_run,
    find_run,
    parse_report,
    report_url,
)
from moodbiome.download import DownloadError
from pipeline import ROOT

RUN = "SRR7280802"
FOLDER = "ftp.sra.ebi.ac.uk/vol1/fastq/SRR728/002/SRR7280802"
MATES = [f"{FOLDER}/{RUN}_1.fastq.gz", f"{FOLDER}/{RUN}_2.fastq.gz"]
ORPHANS = f"{FOLDER}/{RUN}.fastq.gz"
SUMS = [letter * 32 for letter in "abc"]


def report(files=MATES, layout="PAIRED", platform="ILLUMINA", submitted="", run=RUN, **cells):
    """A file report of one run; its files have the sizes 100, 101 ..."""
    row = {
        "run_accession": run,
        "fastq_ftp": ";".join(files),
        "fastq_md5": ";".join(SUMS[: len(files)]),
        "fastq_bytes": ";".join(str(100 + place) for place in range(len(files))),
        "library_layout": layout,
        "instrument_platform": platform,
        "submitted_ftp": submitted,
        **cells,
    }
    return "\t".join(row) + "\n" + "\t".join(row.values()) + "\n"


def test_a_pair_is_its_two_files_with_sums_and_sizes():
    run = parse_report(report(), RUN)
    assert (run.accession, run.layout, run.platform, run.notes) == (RUN, "paired", "ILLUMINA", ())
    assert [tuple(file) for file in run.files] == [
        (f"https://{MATES[0]}", "a" * 32, 100),
        (f"https://{MATES[1]}", "b" * 32, 101),
    ]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_mates_are_told_by_name_not_by_place_and_orphans_are_left_out_with_a_note(order):
    files = [[*MATES, ORPHANS][place] for place in order]
    run = parse_report(report(files), RUN)
    assert [file.name for file in run.files] == [f"{RUN}_1.fastq.gz", f"{RUN}_2.fastq.gz"]
    assert [file.md5 for file in run.files] == [SUMS[order.index(0)], SUMS[order.index(1)]]
    size = 100 + order.index(2)
    assert run.notes == (
        f"{RUN}.fastq.gz ({size} bytes) holds reads without a mate and is left out",
    )


@pytest.mark.parametrize("file", [ORPHANS, MATES[0]])
def test_one_file_is_a_single_end_run(file):
    run = parse_report(report([file], layout="SINGLE"), RUN)
    assert run.layout == "single"
    assert [f.url for f in run.files] == [f"https://{file}"]
    assert run.notes == ()


def test_a_layout_that_contradicts_the_files_is_noted_and_the_files_count():
    single = parse_report(report([ORPHANS], layout="PAIRED"), RUN)
    assert single.layout == "single"
    assert single.notes == ("the archive calls it paired but has one file: taken as single",)
    paired = parse_report(report(layout="SINGLE"), RUN)
    assert paired.layout == "paired"
    assert paired.notes == ("the archive calls it single but has two files: taken as paired",)


def test_columns_may_come_in_any_order_with_others_among_them():
    header, row = report().splitlines()
    columns = [*zip(header.split("\t"), row.split("\t"), strict=True), ("extra", "x")][::-1]
    turned = "\n".join("\t".join(cells) for cells in zip(*columns, strict=True))
    assert parse_report(turned, RUN) == parse_report(report(), RUN)


def test_a_scheme_that_the_archive_gives_is_kept():
    url = f"file:///archive/{RUN}.fastq.gz"
    assert parse_report(report([url], layout="SINGLE"), RUN).files[0].url == url


@pytest.mark.parametrize("text", ["", "\n", "\t".join(FIELDS) + "\n"])
def test_an_empty_report_is_an_unknown_or_closed_run(text):
    with pytest.raises(
        AccessionError,
        match=r"^SRR7280802: the archive has no run of this name .*"
        r"permission \(as in dbGaP and EGA\) or is too new",
    ):
        parse_report(text, RUN)


@pytest.mark.parametrize(
    ("platform", "reads"),
    [
        ("OXFORD_NANOPORE", "long reads"),
        ("PACBIO_SMRT", "long reads"),
        ("ABI_SOLID", "colour-space reads"),
    ],
)
def test_platforms_that_the_steps_are_not_made_for_are_refused(platform, reads):
    with pytest.raises(AccessionError, match=rf"^{RUN}: {reads} \({platform}\); .*leave this run"):
        parse_report(report([ORPHANS], platform=platform), RUN)


def test_a_run_with_submitted_files_only_says_which():
    with pytest.raises(
        AccessionError,
        match=r"no FASTQ files of it, only what was submitted "
        r"\(ftp/x.bam, ftp/x.bai\); make them from these",
    ):
        parse_report(report([], submitted="ftp/x.bam;ftp/x.bai"), RUN)
    with pytest.raises(AccessionError, match=r"no FASTQ files of it, no file; make them from SRA"):
        parse_report(report([]), RUN)


@pytest.mark.parametrize(
    "files",
    [
        [f"{FOLDER}/{RUN}_1.fastq.gz", f"{FOLDER}/{RUN}_3.fastq.gz"],
        [*MATES, f"{FOLDER}/{RUN}_3.fastq.gz"],
        [MATES[0], ORPHANS],
        [MATES[1]],
        [f"{FOLDER}/{RUN}_subreads.fastq.gz"],
        [f"{FOLDER}/SRR7280803_1.fastq.gz", MATES[1]],
    ],
)
def test_files_that_are_neither_a_pair_nor_one_are_not_guessed_at(files):
    with pytest.raises(AccessionError, match=r"cannot tell which of its files are the reads \("):
        parse_report(report(files), RUN)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"fastq_md5": "a" * 32}, "gives 2 files, 1 checksums and 2 sizes"),
        ({"fastq_bytes": "1;2;3"}, "gives 2 files, 2 checksums and 3 sizes"),
        ({"fastq_md5": f"{'a' * 32};none"}, "gives MD5 'none' and size '101' for ftp.sra"),
        ({"fastq_bytes": "100;-1"}, "gives MD5 'b{32}' and size '-1'"),
    ],
)
def test_a_report_that_contradicts_itself_is_refused(cells, reason):
    with pytest.raises(AccessionError, match=reason):
        parse_report(report(**cells), RUN)


def test_an_answer_that_is_no_report_is_shown():
    with pytest.raises(AccessionError, match=r"lacks run_accession, .*begins: '<html>Sorry'"):
        parse_report("<html>Sorry\n", RUN)
    with pytest.raises(AccessionError, match=r"line 2 .* has 1 cells under 7 headings"):
        parse_report("\t".join(FIELDS) + f"\n{RUN}\n", RUN)


def several(count):
    rows = [report(run=f"SRR{1000000 + number}").splitlines() for number in range(count)]
    return "\n".join([rows[0][0], *(row for _, row in rows)])


@pytest.mark.parametrize(
    ("accession", "kind"),
    [
        ("PRJNA762199", "a study"),
        ("ERP120836", "a study"),
        ("SAMN00765663", "a sample"),
        ("SAMEA3121481", "a sample"),
        ("SRX111814", "an experiment"),
    ],
)
def test_what_holds_runs_is_answered_with_its_runs(accession, kind):
    runs = "SRR1000000, SRR1000001, SRR1000002"
    with pytest.raises(AccessionError, match=f"^{accession}: is {kind}, not a run; .*: {runs}$"):
        parse_report(several(3), accession)
    with pytest.raises(AccessionError, match=f"is {kind}, not a run; .*: SRR1000000$"):
        parse_report(several(1), accession)


def test_a_long_list_of_runs_is_cut_and_its_rest_counted():
    with pytest.raises(AccessionError, match=r"SRR1000019 and 5 more$"):
        parse_report(several(25), "PRJNA762199")


@pytest.mark.parametrize("accession", ["SRR728080", "ERR1234567", "DRR000001"])
def test_runs_of_all_three_archives_are_sound(accession):
    assert accession_fault(accession, "row 1") is None


@pytest.mark.parametrize(
    ("accession", "problem"),
    [
        ("PRJEB7743", "is a study, not a run"),
        ("SAMD00114846", "is a sample, not a run"),
        ("GSM465244", "is a GEO record, not a run"),
        ("SRA023522", "is a submission, not a run"),
        ("SRR12", "is no run accession"),
        ("srr1234567", "is no run accession"),
        ("SRR1234567/../x", "is no run accession"),
    ],
)
def test_what_is_no_run_is_named_without_asking(accession, problem):
    fault = accession_fault(accession, "sheet.tsv, row 2")
    assert str(fault).startswith(f"sheet.tsv, row 2: {accession!r} {problem}; ")


# --- over an archive of files


@pytest.fixture
def archive(tmp_path):
    """An archive in a folder: one paired run with orphans, one single-end run."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for run, ends in ((RUN, ("_1", "_2", "")), ("ERR0000001", ("",))):
        files = []
        for end in ends:
            file = folder / f"{run}{end}.fastq.gz"
            file.write_bytes(gzip.compress(f"@{end}\nACGT\n+\nIIII\n".encode(), mtime=0))
            files.append(file)
        contents = [file.read_bytes() for file in files]
        cells = {
            "fastq_md5": ";".join(hashlib.md5(content).hexdigest() for content in contents),
            "fastq_bytes": ";".join(str(len(content)) for content in contents),
        }
        layout = "PAIRED" if len(ends) > 1 else "SINGLE"
        text = report([file.as_uri() for file in files], layout=layout, run=run, **cells)
        (folder / f"{run}.tsv").write_text(text)
    return folder


def test_a_pair_is_fetched_with_its_facts_and_no_trace_of_the_work(archive, tmp_path):
    mates = (tmp_path / "reads/r1", tmp_path / "reads/r2")
    said = []
    facts = fetch_run(RUN, mates, archive.as_uri(), say=said.append)
    contents = [(archive / f"{RUN}_{mate}.fastq.gz").read_bytes() for mate in (1, 2)]
    assert [mate.read_bytes() for mate in mates] == contents
    assert [file.name for file in sorted((tmp_path / "reads").iterdir())] == ["r1", "r2"]
    assert [file["sha256"] for file in facts["files"]] == [
        hashlib.sha256(content).hexdigest() for content in contents
    ]
    assert facts["notes"] == [said[0].removeprefix(f"{RUN}: ")]
    assert (facts["layout"], facts["files"][1]["file"]) == ("paired", f"{RUN}_2.fastq.gz")
    again = fetch_run(RUN, mates, archive.as_uri(), say=said.append)
    assert again == facts


def test_a_single_end_run_has_an_empty_second_file(archive, tmp_path):
    mates = (tmp_path / "r1", tmp_path / "r2")
    facts = fetch_run("ERR0000001", mates, archive.as_uri(), say=lambda _: None)
    assert mates[0].read_bytes() == (archive / "ERR0000001.fastq.gz").read_bytes()
    assert mates[1].read_bytes() == b""
    assert (facts["layout"], len(facts["files"]), facts["notes"]) == ("single", 1, [])


def test_what_was_fetched_before_a_failure_is_not_fetched_again(archive, tmp_path):
    mates = (tmp_path / "r1", tmp_path / "r2")
    second = archive / f"{RUN}_2.fastq.gz"
    second.rename(archive / "away")
    with pytest.raises(DownloadError, match=r"_2\.fastq\.gz: .*No such file"):
        fetch_run(RUN, mates, archive.as_uri(), say=lambda _: None)
    assert not any(mate.exists() for mate in mates)
    (archive / "away").rename(second)
    (archive / f"{RUN}_1.fastq.gz").unlink()
    fetch_run(RUN, mates, archive.as_uri(), say=lambda _: None)
    assert mates[1].read_bytes() == second.read_bytes()
    assert mates[0].stat().st_size > 0


def test_a_file_that_is_not_what_the_archive_announces_gives_no_reads(archive, tmp_path):
    file = archive / f"{RUN}_1.fastq.gz"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    mates = (tmp_path / "r1", tmp_path / "r2")
    with pytest.raises(DownloadError, match=r"its md5 is \w{32}, expected \w{32}; fetched twice"):
        fetch_run(RUN, mates, archive.as_uri(), say=lambda _: None)
    assert not any(mate.exists() for mate in mates)


def test_a_file_of_another_size_than_the_archive_announces_gives_no_reads(archive, tmp_path):
    table = archive / "ERR0000001.tsv"
    size = (archive / "ERR0000001.fastq.gz").stat().st_size
    table.write_text(table.read_text().replace(f"\t{size}\t", f"\t{size + 1}\t"))
    with pytest.raises(DownloadError, match=f"it has {size} bytes, expected {size + 1}"):
        fetch_run("ERR0000001", (tmp_path / "1", tmp_path / "2"), archive.as_uri(), say=print)


def test_room_for_both_files_is_asked_for_before_the_first(archive, tmp_path, monkeypatch):
    need = sum((archive / f"{RUN}_{mate}.fastq.gz").stat().st_size for mate in (1, 2))
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: SimpleNamespace(free=need - 1))
    text = f"^{RUN}: {need} bytes are needed and {need - 1} bytes are free"
    with pytest.raises(DownloadError, match=text):
        fetch_run(RUN, (tmp_path / "1", tmp_path / "2"), archive.as_uri(), say=print)


def test_what_is_no_accession_is_not_asked_for():
    with pytest.raises(AccessionError, match=r"'\.\./x' is no run accession"):
        find_run("../x", "file:///absent")
    with pytest.raises(AccessionError, match="'GSE18729' is a GEO record"):
        find_run("GSE18729", "file:///absent")


@pytest.mark.parametrize("status", [400, 404])
def test_an_accession_that_the_portal_refuses_is_named_and_a_dead_portal_is_not_blamed_on_it(
    monkeypatch, status
):
    def refuse(url, **_):
        raise DownloadError(f"{url}: HTTP {status}", status)

    def broken(url, **_):
        raise DownloadError(f"{url}: HTTP 403", 403)

    monkeypatch.setattr(accessions, "read_text", refuse)
    with pytest.raises(AccessionError, match=f"^{RUN}: the archive refuses it .*HTTP {status}"):
        find_run(RUN)
    monkeypatch.setattr(accessions, "read_text", broken)
    with pytest.raises(DownloadError, match="HTTP 403"):
        find_run(RUN)


def test_the_portal_is_asked_for_one_run_and_what_is_needed_of_it():
    assert report_url(RUN, "http://127.0.0.1/ena/portal/api/") == (
        f"http://127.0.0.1/ena/portal/api/filereport?accession={RUN}&result=read_run&fields="
        "run_accession,fastq_ftp,fastq_md5,fastq_bytes,library_layout,instrument_platform,"
        "submitted_ftp&format=tsv&limit=0"
    )


def run_script(archive, folder, accession):
    stand_in = SimpleNamespace(
        wildcards=SimpleNamespace(accession=accession),
        params=SimpleNamespace(archive=archive.as_uri()),
        output=SimpleNamespace(
            r1=str(folder / "r1"), r2=str(folder / "r2"), facts=str(folder / "facts.json")
        ),
        log=[str(folder / "log")],
    )
    runpy.run_path(str(ROOT / "scripts/fetch_reads.py"), init_globals={"snakemake": stand_in})


def test_the_script_writes_reads_facts_and_log(archive, tmp_path):
    run_script(archive, tmp_path, RUN)
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["files"][0]["bytes"] == (tmp_path / "r1").stat().st_size
    assert "holds reads without a mate" in (tmp_path / "log").read_text()


def test_the_script_ends_with_the_reason_in_its_log(archive, tmp_path):
    (archive / f"{RUN}.tsv").write_text(report([ORPHANS], platform="PACBIO_SMRT"))
    with pytest.raises(SystemExit, match="long reads"):
        run_script(archive, tmp_path, RUN)
    assert "long reads (PACBIO_SMRT)" in (tmp_path / "log").read_text()
    assert not (tmp_path / "facts.json").exists()
