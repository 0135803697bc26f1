"""References made ready for Kraken2, and primers found, cut and counted."""

import gzip
import json
import random
import shutil
from pathlib import Path

import pandas as pd
import pytest

from moodbiome.amplicon import (
    FIRST_TAXON,
    LIBRARY,
    Primers,
    choose_primers,
    find_primers,
    read_counts,
    read_primers,
    reverse_complement,
    taxon_ids,
    trim_command,
    trim_run,
    write_reference,
)
from moodbiome.database import build_database, database_taxa
from moodbiome.evidence import read_table, resolve_members
from moodbiome.kmer_distribution import Taxonomy, count_genomes, read_parents, read_sequence_taxa
from moodbiome.tools import ToolError

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "config" / "primers.tsv"
MOCK = ROOT.parent / "shared" / "data" / "amplicon_mock"
DNA = "ACGTTGCATGCCGATTAGCC"
BACTEROIDES = (
    "superkingdom Bacteria; phylum Bacteroidota; class Bacteroidia; order Bacteroidales; "
    "family Bacteroidaceae; genus Bacteroides"
)
PATH = "Bacteria;Bacteroidota;Bacteroidia;Bacteroidales;Bacteroidaceae;Bacteroides"
PREFIXED = "; ".join(
    f"{letter}__{name}" for letter, name in zip("dpcofg", PATH.split(";"), strict=True)
)
RDP = (
    'Bacteria;domain;"Bacteroidota";phylum;"Bacteroidia";class;"Bacteroidales";order;'
    "Bacteroidineae;suborder;Bacteroidaceae;family;Bacteroides;genus"
)

needs_kraken2 = pytest.mark.skipif(not shutil.which("kraken2-build"), reason="kraken2 is needed")
needs_cutadapt = pytest.mark.skipif(not shutil.which("cutadapt"), reason="cutadapt is needed")
needs_mock = pytest.mark.skipif(not MOCK.is_dir(), reason="shared/data/amplicon_mock is absent")


def write(tmp_path, headers, table=None, sequence=DNA):
    fasta = tmp_path / "reference.fasta"
    fasta.write_text("".join(f">{header}\n{sequence}\n" for header in headers))
    taxonomy = None
    if table is not None:
        taxonomy = tmp_path / "taxonomy.tsv"
        taxonomy.write_text("".join(f"{line}\n" for line in table))
    return write_reference(fasta, taxonomy, tmp_path / "out")


def nodes(tmp_path):
    """Rank and name of each taxon, and its parent, by id."""
    folder = tmp_path / "out" / "taxonomy"
    rows = [line.split("\t|\t") for line in (folder / "nodes.dmp").read_text().splitlines()]
    names = [line.split("\t|\t") for line in (folder / "names.dmp").read_text().splitlines()]
    return {
        int(row[0]): (row[2].removesuffix("\t|"), name[1], int(row[1]))
        for row, name in zip(rows, names, strict=True)
    }


def lineages(tmp_path):
    """The lineage of every library sequence, as text."""
    tree, found = nodes(tmp_path), []
    for line in (tmp_path / "out" / LIBRARY).read_text().splitlines()[::2]:
        taxon, parts = int(line.rpartition("|")[2]), []
        while taxon != 1:
            rank, name, taxon = tree[taxon]
            parts.append(f"{rank} {name}")
        found.append("; ".join(reversed(parts)))
    return found


# --- reference -----------------------------------------------------------------------------------


def test_a_greengenes_reference_is_written_as_worked_by_hand(tmp_path):
    found = write(
        tmp_path,
        ["7 some words", "9", "8"],
        [
            "8\tk__Bacteria; p__; c__; o__; f__; g__; s__",
            "9\tk__Archaea; p__A; c__",
            "1\tk__X",
            "7\tk__Bacteria; p__B; c__; o__; f__; g__G; s__ovatus",
        ],
    )
    first = FIRST_TAXON
    assert nodes(tmp_path) == {
        1: ("no rank", "root", 1),
        first: ("superkingdom", "Archaea", 1),
        first + 1: ("phylum", "A", first),
        first + 2: ("superkingdom", "Bacteria", 1),
        first + 3: ("phylum", "B", first + 2),
        first + 4: ("genus", "G", first + 3),
        first + 5: ("species", "G ovatus", first + 4),
    }
    assert (tmp_path / "out" / LIBRARY).read_text() == (
        f">7|kraken:taxid|{first + 5}\n{DNA}\n>9|kraken:taxid|{first + 1}\n{DNA}\n"
        f">8|kraken:taxid|{first + 2}\n{DNA}\n"
    )
    assert (found.form, found.sequences, found.left_out) == ("greengenes", 3, 0)
    assert {rank: n for rank, n in found.lowest.items() if n} == {
        "domain": 1,
        "phylum": 1,
        "species": 1,
    }
    assert sum(found.taxa.values()) == len(nodes(tmp_path)) - 1


@pytest.mark.parametrize(
    ("form", "headers", "table", "lowest"),
    [
        ("silva", [f"AB1.1.1400 {PATH};Bacteroides dorei"], None, "species Bacteroides dorei"),
        ("dada2", [f"{PATH};"], None, ""),
        ("dada2", [f"{PATH};dorei;"], None, "species Bacteroides dorei"),
        ("gtdb", [f"RS_1 {PREFIXED};s__B dorei_A [location=1..9]"], None, "species B dorei_A"),
        ("greengenes", ["1"], [f"1\t{PREFIXED}; s__dorei"], "species Bacteroides dorei"),
        ("mothur", ["1"], [f"1\t{PATH};"], ""),
        ("qiime2", ["1"], ["Feature ID\tTaxon\tConfidence", f"1\t{PREFIXED}; s__\t0.9"], ""),
        (
            "qiime2",
            ["1"],
            ["Feature ID\tTaxon", "#q2:types\tcategorical", f"1\t{PREFIXED}; s__Bacteroides_dorei"],
            "species Bacteroides dorei",
        ),
        (
            "rdp",
            [f"S1 a strain; X1\tLineage=Root;rootrank;{RDP}"],
            None,
            "",
        ),
    ],
)
def test_every_form_is_recognised_and_gives_the_same_lineage(
    tmp_path, form, headers, table, lowest
):
    assert write(tmp_path, headers, table).form == form
    assert lineages(tmp_path) == [BACTEROIDES + (f"; {lowest}" if lowest else "")]


@pytest.mark.parametrize(
    ("path", "lineage"),
    [
        (f"{PATH};uncultured bacterium", BACTEROIDES),
        (f"{PATH};human gut metagenome", BACTEROIDES),
        (f"{PATH};rumen bacterium NK4", BACTEROIDES),
        (f"{PATH};unidentified", BACTEROIDES),
        (f"{PATH};Bacteroides sp. D2", f"{BACTEROIDES}; species Bacteroides sp. D2"),
        (
            f"{PATH.rpartition(';')[0]};uncultured;Alistipes obesi",
            f"{BACTEROIDES.rpartition(';')[0]}; species Alistipes obesi",
        ),
        (
            "Bacteria;A;Incertae Sedis;Unknown Order;Unknown Family;UCG-002;metagenome",
            "superkingdom Bacteria; phylum A; genus UCG-002",
        ),
        # Above the genus an organism's name still is a species, and eukaryotes have no ranks here.
        ("Bacteria;A;Zea mays", "superkingdom Bacteria; phylum A; species Zea mays"),
        (
            "Eukaryota;SAR;Ciliophora;Paramecium aurelia",
            "superkingdom Eukaryota; no rank SAR; no rank Ciliophora; species Paramecium aurelia",
        ),
    ],
)
def test_names_that_say_that_nothing_is_known_are_no_taxa(tmp_path, path, lineage):
    write(tmp_path, [f"AB1.1.1400 {path}"])
    assert lineages(tmp_path) == [lineage]


def test_sequences_without_any_taxon_are_left_out_and_counted(tmp_path):
    found = write(tmp_path, ["1", "2"], ["1\tk__; p__; c__", "2\tk__Bacteria"])
    assert (found.sequences, found.left_out) == (1, 1)
    assert lineages(tmp_path) == ["superkingdom Bacteria"]


def test_one_name_under_two_parents_is_two_taxa(tmp_path):
    write(tmp_path, ["A1 Bacteria;P;C;O;F1;G;G one", "A2 Bacteria;P;C;O;F2;G;G one"])
    named = [row for row in nodes(tmp_path).values() if row[1] in ("G", "G one")]
    assert len(named) == 4
    assert len({parent for _, _, parent in named}) == 4


def test_ids_do_not_depend_on_the_order_of_the_sequences(tmp_path):
    every = [(("domain", "B"), ("phylum", str(n % 7)), ("genus", str(n % 20))) for n in range(140)]
    ids = taxon_ids(every)
    random.Random(1).shuffle(every)
    assert taxon_ids(every) == ids
    assert list(taxon_ids(every).items()) == list(ids.items())
    assert len(set(ids.values())) == len(ids) == 1 + 1 + 7 + 140
    assert all(ids[lineage[:-1]] < taxon for lineage, taxon in ids.items() if lineage)


def test_rna_gaps_and_lower_case_become_plain_dna(tmp_path):
    # Kraken2 takes U for ambiguous, and lower case for masked.
    write(tmp_path, ["A1 Bacteria;P;sp."], sequence="..ACgu--n\nUUr.\r\n")
    assert (tmp_path / "out" / LIBRARY).read_text().splitlines()[1] == "ACGTNTTR"


def test_packed_and_plain_references_give_the_same_files(tmp_path):
    table = [f"1\t{PREFIXED}"]
    write(tmp_path, ["1"], table)
    plain = [(tmp_path / "out" / name).read_bytes() for name in (LIBRARY, "taxonomy/nodes.dmp")]
    for name in ("reference.fasta", "taxonomy.tsv"):
        with gzip.open(tmp_path / f"{name}.gz", "wb") as out:
            out.write((tmp_path / name).read_bytes())
    packed = (tmp_path / "reference.fasta.gz", tmp_path / "taxonomy.tsv.gz", tmp_path / "again")
    write_reference(*packed)
    again = [(tmp_path / "again" / name).read_bytes() for name in (LIBRARY, "taxonomy/nodes.dmp")]
    assert again == plain


@pytest.mark.parametrize(
    ("nomenclature", "name", "concept"),
    [
        ("silva", "[Eubacterium] ventriosum group", "eubacterium_ventriosum"),
        ("silva", "Ruminococcaceae_UCG-002", "ruminococcaceae_ucg"),
        ("silva", "Escherichia-Shigella", "enterobacteriaceae"),
        ("greengenes", "Faecalibacterium", "faecalibacterium"),
    ],
)
def test_the_evidence_finds_its_taxa_by_the_names(tmp_path, nomenclature, name, concept):
    write(tmp_path, [f"A1 Bacteria;P;C;O;F;{name};uncultured bacterium"])
    rows = [(taxon, rank, label) for taxon, (rank, label, _) in nodes(tmp_path).items()]
    database = pd.DataFrame(rows, columns=["taxon_id", "rank", "name"]).set_index("taxon_id")
    concepts = read_table(ROOT / "config" / "evidence" / "concepts.tsv", "concepts")
    resolved = resolve_members(concepts[["concept"]], concepts, database, nomenclature)
    ids = dict(zip(resolved["concept"], resolved["ncbi_ids"], strict=True))
    assert ids.pop(concept) == str(FIRST_TAXON + 5)
    assert set(ids.values()) == {""}


@pytest.mark.parametrize(
    ("headers", "table", "said"),
    [
        (["AB1 nothing here"], None, "reference.fasta: the first header '>AB1 nothing here' holds"),
        ([], None, "reference.fasta: no header"),
        ([""], None, "reference.fasta: the first header '>' holds no lineage"),
        (["A B;C;D", "A2 Bacteria"], None, r"reference.fasta, line 3: 'A2 Bacteria' does not fit"),
        (["A B;C;D", "A B;C;D"], None, "line 3: the name 'A' stood already above"),
        (["1", "2"], ["1\tk__B"], "line 3: sequence '2' has no line in taxonomy.tsv"),
        (["1"], ["1\tk__B", "2 k__B"], "taxonomy.tsv, line 2: '2 k__B' does not fit Greengenes'"),
        (["1"], ["1\tk__B; g__G; f__F"], "taxonomy.tsv, line 1: .* does not fit Greengenes'"),
        (["1"], ["1\tk__B", "1\tk__A"], "line 2: sequence '1' has another lineage above"),
        (["A B;C;D"] + [f"A{n} x" for n in range(14)], None, "10. reference.*\n.*and 4 more lines"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_written(tmp_path, headers, table, said):
    with pytest.raises(ValueError, match=said):
        write(tmp_path, headers, table)
    assert not (tmp_path / "out").exists()


def test_a_letter_that_is_no_base_is_named(tmp_path):
    with pytest.raises(
        ValueError, match=r"reference\.fasta, line 2: 'E' is no letter of a sequence"
    ):
        write(tmp_path, ["A1 Bacteria;P;sp."], sequence="ACGE")
    assert not (tmp_path / "out").exists()


@needs_kraken2
def test_a_database_is_built_from_a_reference_with_its_library_classified(tmp_path):
    rng = random.Random(3)
    fasta = tmp_path / "reference.fasta"
    fasta.write_text(
        "".join(
            f">A{n} Bacteria;P;C;O;F;G{n};uncultured\n{''.join(rng.choices('ACGU', k=400))}\n"
            for n in range(3)
        )
    )
    write_reference(fasta, None, tmp_path)
    folder = tmp_path / "database"
    build_database([tmp_path / LIBRARY], tmp_path / "taxonomy", folder, 1, tmp_path / "log")
    taxa = list(database_taxa(folder / "taxo.k2d"))
    assert [name for _, _, rank, name in taxa if rank == "genus"] == ["G0", "G1", "G2"]
    with (folder / "library.kraken").open() as lines:
        counts = count_genomes(
            lines,
            read_sequence_taxa(folder / "seqid2taxid.map"),
            Taxonomy(read_parents(folder / "nodes.dmp")),
            read_length=100,
        )
    # Three random sequences share no k-mer: every window of 100 bp ends at its own genus.
    genera = [taxon for taxon, _, rank, _ in taxa if rank == "genus"]
    assert counts == {genus: {genus: 301} for genus in genera}


# --- primers -------------------------------------------------------------------------------------

V4 = Primers("V4", "GTGYCAGCMGCCGCGGTAA", "GGACTACNVGGGTWTCTAAT")
SETS = "A C G T AC AG AT CG CT GT ACG ACT AGT CGT ACGT"
CODES = dict(zip("ACGTMRWSYKVHDBN", SETS.split(), strict=True))


def one_of(primer, rng):
    return "".join(rng.choice(CODES[letter]) for letter in primer)


def reads(tmp_path, pair, n=40, spacer=0, paired=True, turned=False, length=60, seed=5):
    """Files of n fragments that begin with a pair's primers; what follows is random."""
    rng = random.Random(seed)
    primers = [pair.reverse, pair.forward] if turned else [pair.forward, pair.reverse]
    files = []
    for mate, primer in enumerate(primers[: 2 if paired else 1], start=1):
        file = tmp_path / f"reads_R{mate}.fastq"
        records = []
        for number in range(n):
            before = "".join(rng.choices("ACGT", k=spacer))
            read = before + one_of(primer, rng) + "".join(rng.choices("ACGT", k=length))
            records.append(f"@r{number}\n{read}\n+\n{'I' * len(read)}\n")
        file.write_text("".join(records))
        files.append(str(file))
    return files


def test_the_table_of_primers_is_sound():
    table = read_primers(TABLE)
    assert len(table) >= 8
    assert all(pair.source and pair.region and pair.amplicon_bp for pair in table.values())
    assert table["515F-806R"][1:3] == V4[1:3]


@pytest.mark.parametrize("letter", "ACGTMRWSYKVHDBN")
def test_complements_stand_for_the_complementary_bases(letter):
    plain = dict(zip("ACGT", "TGCA", strict=True))
    assert set(CODES[reverse_complement(letter)]) == {plain[base] for base in CODES[letter]}
    assert reverse_complement(reverse_complement(letter + "AC")) == letter + "AC"


def test_primers_are_found_by_name_or_given_as_sequences():
    table = {"V4": V4}
    assert find_primers("V4", table) is find_primers("v4", table) is V4
    assert find_primers(f"{V4.forward.lower()}/{V4.reverse}", table)[1:3] == V4[1:3]
    with pytest.raises(ValueError, match=r"'515F-805' is no pair.*did you mean '515f-806r'"):
        find_primers("515F-805", {"515F-806R": V4})
    with pytest.raises(ValueError, match="'ACGTXACGTACG/ACGTACGTACGT' is no pair"):
        find_primers("ACGTXACGTACG/ACGTACGTACGT", table)


@pytest.mark.parametrize("name", list(read_primers(TABLE)))
@pytest.mark.parametrize("spacer", [0, 3])
def test_every_pair_of_the_table_is_recognised_in_its_reads(tmp_path, name, spacer):
    table = read_primers(TABLE)
    choice = choose_primers("auto", table, reads(tmp_path, table[name], spacer=spacer))
    # Two pairs are other spellings of the one before them.
    same = {"341F-805R": "341F-785R", "515F-806R-2012": "515F-806R"}
    assert choice.primers.name == same.get(name, name)
    assert choice[1:3] == (1.0, 40)


def test_a_primer_is_preferred_to_one_that_begins_within_it(tmp_path):
    # The gene goes on with CC after 806R, so that 805R fits one base further on.
    files = reads(tmp_path, Primers("", V4.forward, V4.reverse.replace("W", "A") + "CC"))
    table = read_primers(TABLE)
    assert choose_primers("515F-805R", table, files).share == 1
    assert choose_primers("auto", table, files).primers.name == "515F-806R"


def test_primers_are_found_as_often_as_they_are_there(tmp_path):
    files = reads(tmp_path, V4, n=30)
    blanks = reads(tmp_path / "..", Primers("", "A" * 20, "A" * 20), n=70, seed=6)
    for file, blank in zip(files, blanks, strict=True):
        Path(file).write_text(Path(file).read_text() + Path(blank).read_text())
        Path(blank).unlink()
    assert choose_primers("auto", {"V4": V4}, files)[:3] == (V4, 0.3, 100)


def test_one_mismatch_in_twenty_letters_is_allowed_and_n_allows_none(tmp_path):
    # 0.1 of 19 letters is 1, of 20 letters without their N also 1.
    pair = Primers("odd", V4.forward, V4.reverse)
    for changed, found in [("A" + V4.forward[1:], 1.0), ("AA" + V4.forward[2:], 0.0)]:
        files = reads(tmp_path, Primers("", changed, V4.reverse))
        assert choose_primers("odd", {"odd": pair}, files, spacer=0).share == found
    for changed, found in [("C" + V4.reverse[1:], 1.0), ("CC" + V4.reverse[2:], 0.0)]:
        files = reads(tmp_path, Primers("", V4.forward, changed))
        assert choose_primers("odd", {"odd": pair}, files, spacer=0).share == found


def test_reads_without_primers_are_left_or_warned_about_as_chosen(tmp_path):
    files = reads(tmp_path, Primers("", "A" * 20, "A" * 20))
    auto = choose_primers("auto", {"V4": V4}, files)
    assert (auto.primers, auto.share) == (None, 0.0)
    assert auto.said == (
        "no primers found, reads left as they are: 0 of the first 40 fragments begin with V4"
    )
    named = choose_primers("V4", {"V4": V4}, files)
    assert named.primers is V4
    assert "only 0 of the first 40" in named.said
    assert "set primers: none" in named.said
    assert choose_primers("none", {}, ["no such file"])[:3] == (None, None, 0)


def test_files_without_reads_have_no_primers(tmp_path):
    empty = tmp_path / "empty.fastq.gz"
    empty.write_bytes(gzip.compress(b""))
    for files in ([str(empty)], [str(empty)] * 2):
        assert choose_primers("auto", {"V4": V4}, files)[:3] == (None, 0.0, 0)


def test_reads_shorter_than_a_primer_have_none(tmp_path):
    file = tmp_path / "short.fastq"
    file.write_text("@a\nGTG\n+\nIII\n@b\n\n+\n\n")
    assert choose_primers("auto", {"V4": V4}, [str(file)]).share == 0


def test_turned_fragments_count_only_where_both_orientations_are_asked_for(tmp_path):
    files = reads(tmp_path, V4, turned=True)
    assert choose_primers("auto", {"V4": V4}, files).share == 0
    assert choose_primers("auto", {"V4": V4}, files, both_orientations=True).share == 1


def test_the_command_holds_each_primer_after_each_length_of_spacer():
    command = trim_command(["a", "b"], ["c", "d"], V4, Path("j"), spacer=1)
    front, rest = V4.forward, "ATTAGAWACCCBNGTAGTCC;min_overlap=10"
    back, start = "TTACCGCGGCKGCTGRCAC;min_overlap=10", V4.reverse
    assert command == [
        *("cutadapt", "--cores", "1", "--no-indels", "--error-rate", "0.1"),
        *("--discard-untrimmed", "--json", "j", "-a", f"^{front}...{rest}"),
        *("-a", f"^N{front}...{rest}", "-A", f"^{start}...{back}", "-A", f"^N{start}...{back}"),
        *("--pair-filter", "any", "--output", "c", "--paired-output", "d", "a", "b"),
    ]
    single = trim_command(["a"], ["c"], V4, Path("j"), spacer=0, both_orientations=True)
    assert single[9:] == [
        *("-a", f"^{front}...{rest}", "-a", f"^{start}...{back}", "--output", "c", "a")
    ]


@needs_cutadapt
@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("spacer", [0, 7])
def test_primers_and_spacers_are_cut_and_nothing_else(tmp_path, paired, spacer):
    files = reads(tmp_path, V4, spacer=spacer, paired=paired)
    trimmed = [str(tmp_path / f"trimmed_{n}.fastq.gz") for n in range(len(files))]
    counts = trim_run(files, trimmed, V4, tmp_path / "j", 40, "here", tmp_path / "log")
    assert counts == {"raw": 40, "without_primers": 0, "with_primers": 40}
    for before, after in zip(files, trimmed, strict=True):
        with gzip.open(after, "rt") as lines:
            kept = lines.read().splitlines()[1::4]
        assert kept == [read[-60:] for read in Path(before).read_text().splitlines()[1::4]]
    assert not list(tmp_path.glob("part.*"))


@needs_cutadapt
def test_a_read_that_runs_through_loses_the_other_primer_too(tmp_path):
    rng = random.Random(2)
    insert = "".join(rng.choices("ACGT", k=50))
    read = "AC" + one_of(V4.forward, rng) + insert + reverse_complement(one_of(V4.reverse, rng))
    file = tmp_path / "r.fastq"
    file.write_text(f"@r\n{read}AGATCGG\n+\n{'I' * (len(read) + 7)}\n")
    trim_run([str(file)], [str(tmp_path / "t.fastq")], V4, tmp_path / "j", 1, "", tmp_path / "log")
    assert (tmp_path / "t.fastq").read_text() == f"@r\n{insert}\n+\n{'I' * 50}\n"


@needs_cutadapt
@pytest.mark.parametrize("both", [True, False])
def test_cutadapt_keeps_the_fragments_in_which_primers_were_found(tmp_path, both):
    """Some primers with one, two or three wrong letters: finding and cutting draw one line."""
    files = reads(tmp_path, V4, n=60, spacer=4, turned=both)
    rng = random.Random(7)
    for file in files:
        lines = Path(file).read_text().splitlines()
        for at in range(1, len(lines), 4):
            for _ in range(rng.randrange(4)):
                place = rng.randrange(4, 23)
                lines[at] = lines[at][:place] + rng.choice("ACGT") + lines[at][place + 1 :]
        Path(file).write_text("".join(f"{line}\n" for line in lines))
    share = choose_primers("V4", {"V4": V4}, files, both_orientations=both).share
    trimmed = [str(tmp_path / f"t{n}.fastq") for n in range(2)]
    counts = trim_run(
        files, trimmed, V4, tmp_path / "j", 60, "", tmp_path / "log", both_orientations=both
    )
    assert 0 < counts["without_primers"] < 60
    assert counts["with_primers"] == round(share * 60)


def test_counts_that_do_not_add_up_are_named(tmp_path):
    report = tmp_path / "cutadapt.json"
    counts = {"input": 9, "output": 6, "filtered": {"discard_untrimmed": 3}}
    report.write_text(json.dumps({"read_counts": counts}))
    assert read_counts(report, 9, "S1") == {"raw": 9, "without_primers": 3, "with_primers": 6}
    with pytest.raises(ToolError, match="S1: fragments read by cutadapt: 9 of 10 given"):
        read_counts(report, 10, "S1")
    report.write_text(json.dumps({"read_counts": counts | {"output": 5}}))
    with pytest.raises(ToolError, match="S1: fragments accounted for by cutadapt: 8 of 9 given"):
        read_counts(report, 9, "S1")
    report.write_text("{}")
    with pytest.raises(ToolError, match=r"S1: cutadapt.json is no report of cutadapt --json"):
        read_counts(report, 9, "S1")


def test_faults_in_the_table_of_primers_are_named(tmp_path):
    path = tmp_path / "primers.tsv"
    header = "name\tforward\treverse\tregion\tamplicon_bp\tsource\n"
    path.write_text(f"{header}V4\tGTGCCAGCMGCCGCX\tGGACT\tV4\tlong\t\nauto\t{DNA}\t{DNA}\t\t\t\n")
    with pytest.raises(ValueError, match="4 faults") as error:
        read_primers(path)
    assert "primers.tsv, row 2, column 'forward': 'X' in" in str(error.value)
    assert "row 2, column 'reverse': 'GGACT' is shorter than 10 bases" in str(error.value)
    assert "row 2, column 'amplicon_bp': 'long'; write a whole number" in str(error.value)
    assert "row 3, column 'name': 'auto' cannot be used" in str(error.value)
    path.write_text("name\tforward\nV4\tACGT\n")
    with pytest.raises(ValueError, match=r"primers\.tsv: column 'reverse' is missing"):
        read_primers(path)


# --- real data -----------------------------------------------------------------------------------


@needs_mock
def test_greengenes_becomes_one_taxon_a_lineage(tmp_path):
    source = MOCK / "reference"
    table = source / "gg_13_8_85_otu_taxonomy.txt"
    found = write_reference(source / "gg_13_8_85_otus.fasta.gz", table, tmp_path / "out")
    assert (found.form, found.sequences + found.left_out) == ("greengenes", 4797)
    # Counted without our parser: different lineages down to a filled genus.
    rows = [line.split("\t")[1].split("; ") for line in table.read_text().splitlines()]
    genera = {tuple(row[:6]) for row in rows if row[5] != "g__"}
    assert found.taxa["genus"] == len(genera)
    # One species is written with its strain (equitans Kin4-M), which is no epithet.
    species = [row[6].strip() for row in rows if row[6].strip() != "s__"]
    assert found.lowest["species"] == sum(" " not in name for name in species) == len(species) - 1


@needs_mock
def test_the_mocks_primers_are_recognised(tmp_path):
    files = [str(MOCK / "reads" / f"sample3_R{mate}_001.fastq.gz") for mate in (1, 2)]
    choice = choose_primers("auto", read_primers(TABLE), files)
    assert choice.primers.name == "515F-805R"
    assert choice.share > 0.8
