"""Protein sets: every fault named at once; fetched page by page from a server that misbehaves."""

import contextlib
import csv
import gzip
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from moodbiome.download import DownloadError
from moodbiome.proteins import (
    Family,
    ProteinError,
    fetch_proteins,
    keep_distinct,
    protein_faults,
    read_families,
    read_proteins,
    read_sequences,
)
from pipeline import ROOT

HEADER = "accession\tko\tname\trole\tmin_identity_percent"
SINGLE = [f"R{i}\tS{i}\tribosomal\tsingle_copy\t50" for i in range(5)]
SOUND = [HEADER, "P1\tK00929\tbutyrate kinase\tmarker\t50", "P2\tK00925\tacetate kinase\tdecoy\t50"]
SOUND += SINGLE


@pytest.fixture
def given(tmp_path):
    """Write a set: rows of its table, sequences by accession; its faults as text."""

    def write(rows, sequences=None):
        names = [row.split("\t")[0] for row in rows[1:]] if sequences is None else sequences
        # No two alike: their lengths differ.
        texts = (
            names if isinstance(names, dict) else {n: "MKVL" + "W" * i for i, n in enumerate(names)}
        )
        table, fasta = tmp_path / "set.tsv", tmp_path / "set.faa"
        table.write_text("\n".join(rows) + "\n")
        fasta.write_text("".join(f">{name} of a microbe\n{text}\n" for name, text in texts.items()))
        return [str(fault) for fault in protein_faults(fasta, table)]

    return write


def test_a_sound_set_has_no_fault(given, tmp_path):
    assert given(["# from a colleague", *SOUND], [row.split("\t")[0] for row in SOUND[1:]]) == []
    proteins, faults = read_proteins(tmp_path / "set.tsv")
    assert faults == []
    assert proteins["P1"] == ("P1", "K00929", "butyrate kinase", "marker", 50.0)


def test_packed_sequences_are_read(tmp_path):
    (tmp_path / "set.faa.gz").write_bytes(gzip.compress(b">A b c\nmkv\nlaw\n>B\nMM\n"))
    assert list(read_sequences(tmp_path / "set.faa.gz")) == [("A", "MKVLAW"), ("B", "MM")]


def test_all_faults_of_a_table_are_said_at_once(given):
    rows = [
        *SOUND,
        "P1\tK00929\tbutyrate kinase\tmarker\t50",
        "P3\tK00929\tbutyrate kinase\tdecoy\t60",
        "P4\tK0 1\tx\tmarkr\tmany",
        "P5\tK5\tx\tdecoy\t0.6",
        "P6\tK6\tx\tdecoy\t0",
    ]
    said = given(rows)
    expected = [
        ("row 9, column 'accession'", "'P1' stands twice; give each protein one row"),
        ("row 10, column 'role'", "is 'decoy', in row 2 of the same family 'marker'; make them"),
        ("row 10, column 'min_identity_percent'", "is 60.0, in row 2 of the same family 50.0"),
        ("row 11, column 'ko'", "is 'K0 1'; give a KEGG orthology id, or a name of letters"),
        ("row 11, column 'role'", "is 'markr'; did you mean 'marker'? Roles are: marker, decoy"),
        ("row 11, column 'min_identity_percent'", "is 'many'; give a number from 0 to 100"),
        (
            "row 12, column 'min_identity_percent'",
            "is '0.6', a fraction; percent are wanted; write 60",
        ),
    ]
    assert len(said) == len(expected)
    for fault, (place, problem) in zip(said, expected, strict=True):
        assert fault.startswith(f"set.tsv, {place}: {problem}")


@pytest.mark.parametrize(
    ("rows", "sequences", "said"),
    [
        (SOUND, ["P1"], "6 proteins (P2, R0, R1, ...) have no sequence in set.faa"),
        (SOUND[:3], None, "holds 0 families of the role single_copy; give 5 or more"),
        ([HEADER, *SINGLE], None, "holds no family of the role marker"),
        ([HEADER], [], "set.tsv: holds no row"),
        (["accession\tko"], [], "has no column 'name'; columns are accession, ko, name, role"),
    ],
)
def test_what_a_set_lacks_is_said(given, rows, sequences, said):
    assert said in "\n".join(given(rows, sequences))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"P1": "MK1L"}, "1 proteins (P1) hold no amino acids, or other letters"),
        ({"P1": ""}, "1 proteins (P1) hold no amino acids"),
        ({"P1": "ACGTNACGT"}, "1 proteins (P1) hold nucleotides alone; translate them"),
        ({"P1": "MKVLW"}, "2 proteins (P1, P2) have the sequence of a protein of another family"),
        ({"X": "MKV"}, "1 proteins (X) are not in set.tsv"),
    ],
)
def test_what_is_wrong_with_sequences_is_said(given, changes, said):
    texts = {row.split("\t")[0]: "MKVL" + "W" * i for i, row in enumerate(SOUND[1:])}
    assert said in "\n".join(given(SOUND, texts | changes))


def test_files_that_are_not_there_or_no_fasta_are_said(tmp_path):
    faults = protein_faults(tmp_path / "a.faa", tmp_path / "a.tsv")
    assert [fault.place for fault in faults] == [
        "config: function.proteins.fasta",
        "config: function.proteins.table",
    ]
    (tmp_path / "a.tsv").write_text("\n".join(SOUND) + "\n")
    (tmp_path / "a.faa").write_text("MKVL\n")
    (fault,) = protein_faults(tmp_path / "a.faa", tmp_path / "a.tsv")
    assert "cannot be read (does not begin with '>')" in str(fault)


def test_the_shipped_families_are_sound():
    families, faults = read_families(ROOT / "config/function/families.tsv")
    assert faults == []
    assert {family.role for family in families} == {"marker", "decoy", "single_copy"}
    assert {"K00929", "K01580", "K01667"} <= {family.ko for family in families}
    assert all("reviewed:true" in family.query for family in families)
    assert len({family.query for family in families}) == len(families)


def rows_of(name):
    lines = (ROOT / "config/function" / name).read_text().splitlines()
    return list(csv.DictReader((x for x in lines if x[0] != "#"), delimiter="\t", quoting=3))


SHIPPED, STEPS = rows_of("families.tsv"), rows_of("steps.tsv")
MARKERS = {row["ko"]: row for row in SHIPPED if row["role"] == "marker"}
# Families of steps without a query, each with its reason (docs/genes.md has them, too).
NOT_FETCHED = {
    "K00210": "no gene name, and an EC number that it shares with K04517",
    "K01432": "of animals; K07130 has the EC number in bacteria",
}


def test_fetched_markers_are_the_families_of_the_modules():
    families = {row["family"] for row in STEPS if not row["family"].startswith("CAZy:")}
    assert families - set(MARKERS) == set(NOT_FETCHED)
    assert set(MARKERS) <= families
    text = (ROOT / "docs/genes.md").read_text()
    roles = [row["role"] for row in SHIPPED]
    counts = [roles.count(role) for role in ("marker", "decoy", "single_copy")]
    assert "{} markers, {} decoys and {} single-copy families".format(*counts) in text
    assert all(ko in text for ko in NOT_FETCHED)


def test_every_required_step_has_an_alternative_that_is_fetched():
    alternatives = {}
    for row in STEPS:
        step = alternatives.setdefault((row["module"], row["step"], row["required"]), {})
        step.setdefault(row["alternative"], set()).add(row["family"])
    wanting = [
        (module, step)
        for (module, step, required), choices in alternatives.items()
        if required == "yes" and not any(members <= set(MARKERS) for members in choices.values())
    ]
    assert wanting == []
    computable = {row["module"] for row in rows_of("modules.tsv") if row["computable"] == "yes"}
    assert {module for module, _, _ in alternatives} == computable


def test_families_and_steps_say_the_same_of_a_family():
    columns = ("gene", "ec", "certainty")
    of_steps = {}
    for row in STEPS:
        of_steps.setdefault(row["family"], set()).add(tuple(row[column] for column in columns))
    assert {ko: said for ko, said in of_steps.items() if len(said) > 1} == {}
    differ = {
        ko: (row, of_steps[ko])
        for ko, row in MARKERS.items()
        if of_steps[ko] != {tuple(row[column] for column in columns)}
    }
    assert differ == {}
    single = {row["ko"]: row["certainty"] for row in rows_of("single_copy.tsv")}
    of_role = {row["ko"]: row["certainty"] for row in SHIPPED if row["role"] == "single_copy"}
    assert {ko: single.get(ko, "memory") for ko in of_role} == of_role


def test_what_is_verified_says_where_and_what_is_from_memory_says_so():
    for row in STEPS:
        if row["certainty"] == "verified":
            assert "memory" not in row["source"], row
            assert "KO descriptions of PICRUSt2" in row["source"], row
            assert row["gene"] or row["ec"], row
        elif row["family"].startswith("K"):
            assert "from memory" in row["source"], row


def test_the_pinned_version_of_diamond_is_told_from_the_measured_one():
    pinned = re.search(r"diamond =(\S+)", (ROOT / "envs/genes.yaml").read_text())[1]
    text = (ROOT / "docs/genes.md").read_text()
    measured = re.search(r"marker_genes.py .*DIAMOND ([\d.]+\d)", text)[1]
    if pinned != measured:
        said = f"pins DIAMOND {pinned}. **That version was not run**"
        assert said in text
        assert f"are of {measured}," in text


def test_decoys_guard_markers_and_subunits_bear_their_own_names():
    for row in SHIPPED:
        if row["role"] == "decoy":
            guarded = re.findall(r"K\d{5}", row["note"])
            assert guarded, row
            assert set(guarded) <= set(MARKERS), row
    assert (MARKERS["K01846"]["gene"], MARKERS["K19268"]["gene"]) == (
        "glmS, mutS, mamA",
        "glmE, mutE, mamB",
    )
    for ko in ("K01846", "K19268"):
        genes = re.findall(r"gene_exact:(\w+)", MARKERS[ko]["query"])
        assert ", ".join(genes) == MARKERS[ko]["gene"]


def test_families_without_a_query_and_twice_are_faults(tmp_path):
    path = tmp_path / "families.tsv"
    path.write_text(
        "ko\tname\trole\tmin_identity_percent\tquery\nK1\tx\tmarker\t50\tec:1\nK1\tx\tmarker\t50\t\n"
    )
    said = [str(fault) for fault in read_families(path)[1]]
    assert len(said) == 2
    assert said[0].startswith("families.tsv, row 3, column 'ko': 'K1' stands twice; give each")
    assert said[1].startswith("families.tsv, row 3, column 'query': is empty; give a query of")


# --- fetching -------------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """UniProt's search as the server's `pages` have it: query -> its pages, each a dict.

    text; headers beside those of a good answer (None takes one away); and misdeeds, done once:
    status, cut (break off after so many bytes).
    """

    def log_message(self, *_):
        pass

    def do_GET(self):
        asked = parse_qs(urlsplit(self.path).query)
        query, number = asked["query"][0], int(asked.get("cursor", ["0"])[0])
        self.server.asked.append((query, number))
        pages = self.server.pages[query]
        page = pages[number]
        if "status" in page:
            self.send_response(page.pop("status"))
            self.end_headers()
            return
        body = page["text"].encode()
        total = sum(one["text"].count(">sp|") for one in pages)
        address = f"http://127.0.0.1:{self.server.server_port}/uniprotkb/search"
        headers = {"X-Total-Results": str(total), "X-UniProt-Release": "2026_01"}
        if number + 1 < len(pages):
            query_text = self.path.split("query=")[1].split("&")[0]
            link = f"{address}?query={query_text}&cursor={number + 1}&size=500"
            headers["Link"] = f'<{link}>; rel="next"'
        self.send_response(200)
        for name, value in (headers | page.get("headers", {})).items():
            if value is not None:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body[: page.pop("cut", None)])


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        found.asked = []
        found.url = f"http://127.0.0.1:{found.server_port}"
        found.pages = {family.query: [{"text": record(family.ko)}] for family in FAMILIES}
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def record(*names):
    return "".join(f">sp|{name}|{name}_ECOLI words OS=x\nMKV{name}\nLAW\n" for name in names)


# Accessions are written into the sequences, so they are letters of amino acids.
FAMILIES = [
    Family("KA", "butyrate kinase", "marker", 50.0, "(ec:2.7.2.7)"),
    Family("DEC", "others", "decoy", 50.0, "(gene:x) AND (y:z)"),
    *(
        Family(f"S{letter}", "ribosomal", "single_copy", 50.0, f"s{i}")
        for i, letter in enumerate("ACDEF")
    ),
]


class Fetch:
    def __init__(self, server, folder):
        self.server, self.folder, self.said, self.waits = server, folder, [], []
        self.fasta, self.table, self.lock = (
            folder / name for name in ("set.faa", "set.tsv", "lock.json")
        )

    def __call__(self, families=None):
        fetch_proteins(
            families or FAMILIES, self.server.url, self.folder / "work", self.fasta, self.table,
            self.lock, self.said.append, retries=2, sleep=self.waits.append,
        )  # fmt: skip

    def nothing_is_there(self):
        return not any(path.exists() for path in (self.fasta, self.table, self.lock))


@pytest.fixture
def fetch(server, tmp_path):
    return Fetch(server, tmp_path)


def test_a_fetched_set_is_sound_sorted_and_locked(server, fetch):
    fetch()
    assert protein_faults(fetch.fasta, fetch.table) == []
    assert [name for name, _ in read_sequences(fetch.fasta)] == [
        "DEC",
        "KA",
        "SA",
        "SC",
        "SD",
        "SE",
        "SF",
    ]
    lock = json.loads(fetch.lock.read_text())
    assert (lock["release"], lock["licence"]) == ("2026_01", "CC BY 4.0")
    assert lock["families"]["KA"] == {"query": "(ec:2.7.2.7)", "found": 1, "kept": 1}
    assert set(lock["files"]) == {"set.faa", "set.tsv"}
    fetch()  # the same again is the locked set
    assert len(server.asked) == len(FAMILIES)


def test_all_pages_are_read(server, fetch):
    server.pages["(ec:2.7.2.7)"] = [{"text": record(name)} for name in ("KA", "KC", "KD")]
    fetch()
    assert [n for query, n in server.asked if query == "(ec:2.7.2.7)"] == [0, 1, 2]
    assert {"KA", "KC", "KD"} <= {name for name, _ in read_sequences(fetch.fasta)}


def test_a_page_that_breaks_off_or_a_busy_server_is_asked_again(server, fetch):
    server.pages["(ec:2.7.2.7)"] = [
        {"text": record("KA"), "cut": 9},
        {"text": record("KC"), "status": 503},
    ]
    fetch()
    assert [n for query, n in server.asked if query == "(ec:2.7.2.7)"] == [0, 0, 1, 1]
    assert len(fetch.waits) == 2
    assert any("broke off after 9 of" in line or "IncompleteRead" in line for line in fetch.said)


def test_a_family_that_is_gone_stops_and_the_next_fetch_goes_on(server, fetch):
    server.pages["s3"][0]["status"] = 404
    with pytest.raises(DownloadError, match="HTTP 404"):
        fetch()
    assert fetch.nothing_is_there()
    before = len(server.asked)
    fetch()
    assert [query for query, _ in server.asked[before:]] == ["s3", "s4"]


@pytest.mark.parametrize(
    ("pages", "error"),
    [
        ([{"text": "<html>log in</html>"}], "the answer is no FASTA ('<html>log' ...)"),
        ([{"text": ">sp|KA\nMK\n"}], "'sp|KA' is no protein of UniProt"),
        ([{"text": ">sp|KA|x\nMK1\n"}], "'sp|KA|x' is no protein of UniProt"),
        ([{"text": ">sp|KA|x\n"}], "'sp|KA|x' is no protein of UniProt"),
        ([{"text": record("KA"), "headers": {"X-Total-Results": "2"}}], "1 of 2 proteins came"),
        (
            [{"text": record("KA"), "headers": {"X-Total-Results": None}}],
            "does not say how many proteins it has",
        ),
        (
            [{"text": record("KA")}, {"text": record("KC"), "headers": {"X-UniProt-Release": "9"}}],
            "the server changed between two pages",
        ),
        (
            [{"text": record("KA"), "headers": {"Link": '<http://elsewhere/x>; rel="next"'}}],
            "its next page is on another server (http://elsewhere/x)",
        ),
    ],
)
def test_answers_that_lie_are_refused_and_nothing_is_written(server, fetch, pages, error):
    server.pages["(ec:2.7.2.7)"] = pages
    with pytest.raises(ProteinError) as caught:
        fetch()
    assert error in str(caught.value)
    assert fetch.nothing_is_there()


def test_pages_that_lead_in_a_circle_are_refused(server, fetch):
    back = f"{server.url}/uniprotkb/search?query=s0&cursor=0"
    server.pages["s0"] = [{"text": record("SA"), "headers": {"Link": f'<{back}>; rel="next"'}}]
    with pytest.raises(ProteinError, match="its next page is an earlier one"):
        fetch()


def test_releases_are_not_mixed_and_the_next_fetch_begins_anew(server, fetch):
    server.pages["s4"][0]["headers"] = {"X-UniProt-Release": "2026_02"}
    with pytest.raises(ProteinError, match="of the releases 2026_01, 2026_02"):
        fetch()
    for pages in server.pages.values():
        pages[0]["headers"] = {"X-UniProt-Release": "2026_02"}
    fetch()
    assert json.loads(fetch.lock.read_text())["release"] == "2026_02"


def test_what_came_later_must_be_what_was_locked(server, fetch, tmp_path):
    fetch()
    kept = fetch.fasta.read_bytes()
    for file in (tmp_path / "work").glob("*.json"):
        file.unlink()
    server.pages["(ec:2.7.2.7)"] = [{"text": record("KC")}]
    with pytest.raises(ProteinError, match=r"set\.faa, set\.tsv would not be what was locked"):
        fetch()
    assert fetch.fasta.read_bytes() == kept
    fetch.lock.write_text("{}")
    with pytest.raises(ProteinError, match="is no lock of a protein set"):
        fetch()


def test_a_family_without_proteins_is_said_and_a_set_without_any_marker_refused(server, fetch):
    server.pages["(gene:x) AND (y:z)"] = [{"text": ""}]
    fetch()
    assert "DEC (decoy): 0 proteins: it will be missing from all tables" in "\n".join(fetch.said)
    fetch.lock.unlink()
    server.pages["none"] = [{"text": ""}]
    with pytest.raises(ProteinError, match="holds no family of the role marker"):
        fetch([FAMILIES[0]._replace(query="none"), *FAMILIES[1:]])


def test_a_protein_belongs_to_one_family():
    one, two, other, _ = (
        Family(ko, "", role, 50.0, "")
        for ko, role in [("K1", "marker"), ("K2", "marker"), ("D", "decoy"), ("S", "single_copy")]
    )
    kept, left_out = keep_distinct(
        [one, two, other],
        {
            "K1": [("A", "MA"), ("B", "MB"), ("C", "MC"), ("E", "MC")],
            "K2": [("B", "MB")],
            "D": [("C", "MC"), ("Z", "MZ")],
        },
    )
    assert kept == {"K1": [("A", "MA"), ("C", "MC")], "K2": [], "D": [("Z", "MZ")]}
    assert left_out == ["B: left out, for it is in K1, K2"]


def test_a_full_disk_is_an_error(server, fetch, monkeypatch):
    written = Path.write_text

    def short(self, text, *rest):
        return written(self, text[:10] if self.name == "set.faa" else text, *rest)

    monkeypatch.setattr(Path, "write_text", short)
    with pytest.raises(ProteinError, match="was not written whole; make room"):
        fetch()
    assert not fetch.lock.exists()
