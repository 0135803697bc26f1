"""The demo cohort: what it plants is there, and the same seed writes the same bytes."""

import csv
import gzip
import hashlib
import shutil
import subprocess
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest

import simulate
from simulate import COHORT, Sample, Species

LETTERS = np.frombuffer(b"ACGT", np.uint8)
SUBJECTS = [s for s in COHORT if not s.is_control and s.fragments > 1000]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    simulate.write_cohort(folder)
    return folder


@pytest.fixture(scope="module")
def truth(demo):
    """Fragments by sample and taxid."""
    fragments = defaultdict(dict)
    for row in read_table(demo / "truth.tsv"):
        fragments[row["sample"]][int(row["taxon_id"])] = int(row["fragments"])
    return dict(fragments)


@pytest.fixture(scope="module")
def community():
    return simulate.read_community(simulate.COMMUNITY_TABLE)


def read_table(path):
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def read_fastq(path):
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    return [tuple(lines[i : i + 4]) for i in range(0, len(lines), 4)]


def read_names(path):
    headers = gzip.decompress(path.read_bytes()).splitlines()[::4]
    return [header.partition(b" ")[0] for header in headers]


def hashes(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def species(taxon_id, lineage, **changes):
    plain = Species(taxon_id, f"species {taxon_id}", lineage, 50, 60_000, None, None, 1, 0, 0, 1)
    return plain._replace(**changes)


def lineage_of(domain, family, genus):
    ranks = zip(("superkingdom", "family", "genus"), (domain, family, genus), strict=True)
    return tuple((rank, taxon_id, f"{rank} {taxon_id}") for rank, taxon_id in ranks)


def log_fold(truth, community, members):
    """Mean log difference, depressed minus control, of `members` against the unplanted species."""
    reference = [s.taxon_id for s in community if s.control_percent and not s.depressed_log_fold]
    values = defaultdict(list)
    for sample in SUBJECTS:
        counts = truth[sample.sample]
        level = np.mean(np.log([counts[t] + 0.5 for t in reference]))
        values[sample.group].append(np.log(sum(counts[t] for t in members) + 0.5) - level)
    return np.mean(values["depressed"]) - np.mean(values["control"])


def test_same_seed_writes_the_same_bytes(tmp_path):
    cohort = simulate.scaled(COHORT, 0.02)
    simulate.write_cohort(tmp_path / "a", cohort)
    simulate.write_cohort(tmp_path / "b", cohort)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")


def test_another_seed_writes_other_reads_and_the_same_sheet(tmp_path):
    for seed in (1, 2):
        simulate.write_cohort(tmp_path / str(seed), simulate.scaled(COHORT[:1], 0.02), seed=seed)
    first, second = hashes(tmp_path / "1"), hashes(tmp_path / "2")
    assert first["samples.tsv"] == second["samples.tsv"]
    assert first["reads/C01_L1_R1.fastq.gz"] != second["reads/C01_L1_R1.fastq.gz"]


def test_a_sample_does_not_depend_on_those_after_it(tmp_path, demo):
    simulate.write_cohort(tmp_path, COHORT[:1])
    alone, whole = hashes(tmp_path), hashes(demo)
    assert alone["reads/C01_L1_R2.fastq.gz"] == whole["reads/C01_L1_R2.fastq.gz"]


def test_gzip_header_holds_no_clock_and_no_name(demo):
    header = (demo / "reads" / "C01_L1_R1.fastq.gz").read_bytes()[:10]
    assert header[:4] == b"\x1f\x8b\x08\x00"
    assert header[4:8] == bytes(4)


def test_truth_sums_to_the_reads_of_every_sample(demo, truth):
    reads = {"fastq_1": Counter(), "fastq_2": Counter()}
    for row in read_table(demo / "samples.tsv"):
        for column, counter in reads.items():
            if row[column]:
                text = gzip.decompress((demo / row[column]).read_bytes())
                counter[row["sample"]] += text.count(b"\n") // 4
    assert {sample: sum(counts.values()) for sample, counts in truth.items()} == reads["fastq_1"]
    single = {"C05": truth["C05"]}
    assert reads["fastq_2"] == {s: n for s, n in reads["fastq_1"].items() if s not in single}


def test_cohort_has_the_promised_shape(demo, truth):
    rows = read_table(demo / "samples.tsv")
    assert list(rows[0]) == simulate.SHEET_COLUMNS
    assert Counter(s.group for s in SUBJECTS) == {"control": 6, "depressed": 6}
    assert Counter((s.group, s.sex) for s in SUBJECTS) == dict.fromkeys(
        [(g, x) for g in ("control", "depressed") for x in ("female", "male")], 3
    )
    assert [r["run"] for r in rows if r["sample"] == "D03"] == ["L1", "L2"]
    assert [r["sample"] for r in rows if not r["fastq_2"]] == ["C05"]
    assert sum(truth["LOW01"].values()) == 60
    assert sum(truth["NEG01"].values()) == 40
    host = {s: counts[9606] / sum(counts.values()) for s, counts in truth.items()}
    assert 0.38 < host.pop("C04") < 0.42
    assert all(0.005 < host[s.sample] < 0.04 for s in SUBJECTS if s.sample != "C04")


def test_metadata_are_complete_for_subjects_and_empty_for_the_negative_control(demo):
    metadata = [c for c in simulate.SHEET_COLUMNS if c not in ("run", "fastq_1", "fastq_2")]
    for row in read_table(demo / "samples.tsv"):
        filled = [column for column in metadata if row[column]]
        if row["sample"] == "NEG01":
            assert filled == ["sample", "assay", "sample_type"]
            assert row["sample_type"] == "negative_control"
        else:
            assert filled == metadata
            assert 0 <= int(row["phq9_total"]) <= 27
            assert row["antidepressant"] == "no" or row["group"] == "depressed"


def test_read_names_are_unique_and_shared_by_mates(demo):
    names = []
    for row in read_table(demo / "samples.tsv"):
        first = read_names(demo / row["fastq_1"])
        if row["fastq_2"]:
            assert first == read_names(demo / row["fastq_2"])
        names += first
    assert len(set(names)) == len(names)
    record = read_fastq(demo / "reads" / "D03_L2_R2.fastq.gz")[0]
    assert record[0].startswith("@SIM:1:FC1:2:1109:10000:")
    assert record[0].endswith(" 2:N:0:ATCACG")
    assert (len(record[1]), record[2], len(record[3])) == (100, "+", 100)


@pytest.mark.parametrize(
    ("members", "planned"),
    [((853, 411483), -1.5), ((33043, 410072, 116085), -1.5), ((84112,), 1.8)],
    ids=["Faecalibacterium", "Coprococcus", "Eggerthella"],
)
def test_planted_log_fold_is_in_the_truth(truth, community, members, planned):
    assert log_fold(truth, community, members) == pytest.approx(planned, abs=0.3)


def test_unplanted_species_differ_less_than_the_planted_ones(truth, community):
    unplanted = [s.taxon_id for s in community if s.control_percent and not s.depressed_log_fold]
    folds = {taxon_id: abs(log_fold(truth, community, [taxon_id])) for taxon_id in unplanted}
    assert max(folds.values()) < 0.8


def test_eggerthella_stays_plausible_in_the_depressed(truth):
    depressed = [truth[s.sample] for s in SUBJECTS if s.group == "depressed"]
    percent = np.array([100 * counts[84112] / sum(counts.values()) for counts in depressed])
    assert 1 < percent.mean() < 2
    assert percent.max() < 3


def test_contaminants_are_half_of_the_blank_and_a_trace_in_the_subjects(truth):
    share = {s: (c[329] + c[1747]) / sum(c.values()) for s, c in truth.items()}
    assert share["NEG01"] > 0.3
    assert max(share[s.sample] for s in SUBJECTS) < 0.005


def test_fragments_of_a_library_smaller_than_its_contaminants(community):
    rng = np.random.default_rng(1)
    counts = simulate.draw_fragments(community[:-1], Sample("tiny", "control", fragments=5), rng)
    assert sum(counts.values()) == 5
    assert counts[329] + counts[1747] == 5


def test_relatives_share_exactly_the_cores_of_their_lowest_common_rank():
    members = [
        species(1, lineage_of(101, 201, 301)),
        species(2, lineage_of(101, 201, 301), relative=1, identity=0.9),
        species(3, lineage_of(101, 201, 302)),
        species(4, lineage_of(101, 202, 303)),
        species(5, lineage_of(102, 203, 304)),
    ]
    genomes = simulate.build_genomes(members, np.random.default_rng(1))
    words = {
        taxon_id: {
            contig[i : i + 100].tobytes() for contig in contigs for i in range(contig.size - 99)
        }
        for taxon_id, contigs in genomes.items()
    }
    assert all(sum(c.size for c in contigs) == 60_000 for contigs in genomes.values())
    # A core of n bases has n - 99 words of 100; a chance match at an edge adds a word or two.
    domain, family, genus = 1_600 - 99, 2_400 - 99, 6_400 - 99
    expected = {2: domain + family + genus, 3: domain + family, 4: domain, 5: 0}
    for taxon_id, n_words in expected.items():
        assert 0 <= len(words[1] & words[taxon_id]) - n_words <= 20


def test_half_of_a_relative_is_a_copy_at_the_stated_identity():
    members = [
        species(1, lineage_of(101, 201, 301)),
        species(2, lineage_of(102, 202, 302), relative=1, identity=0.9),
    ]
    genomes = simulate.build_genomes(members, np.random.default_rng(1))
    # Alone at every rank, so no cores: genome 2 is own | copy | own on its first contig, and the
    # copy is of the first half of genome 1.
    copy = genomes[2][0][5_000:35_000]
    source = np.concatenate(genomes[1])[:30_000]
    assert np.mean(copy == source) == pytest.approx(0.9, abs=0.01)


def test_genome_too_small_for_what_it_shares_is_refused():
    lineage = lineage_of(101, 201, 301)
    rng = np.random.default_rng(1)
    with pytest.raises(
        ValueError, match=r"species 2: only 1600 bp are left .* raise its genome_kb"
    ):
        simulate.build_genomes([species(1, lineage), species(2, lineage, genome_bp=12_000)], rng)
    small = species(1, lineage_of(102, 202, 302), genome_bp=20_000)
    with pytest.raises(ValueError, match="species 2: taxid 1 has only 20000 bp of its own"):
        simulate.build_genomes([small, species(2, lineage, relative=1, identity=0.9)], rng)


def test_substitution_never_keeps_the_base():
    bases = np.arange(4, dtype=np.uint8).repeat(50)
    changed = simulate.substitute(np.random.default_rng(1), bases, np.ones(bases.size))
    assert not np.any(changed == bases)
    assert changed.max() <= 3


def test_random_sequence_has_the_asked_gc():
    bases = simulate.random_sequence(np.random.default_rng(1), 100_000, 64)
    assert np.mean((bases == 1) | (bases == 2)) == pytest.approx(0.64, abs=0.005)


def test_mates_face_each_other_across_one_insert():
    rng = np.random.default_rng(1)
    genome = simulate.random_sequence(rng, 5_000, 50)
    pool = simulate.ContigPool({7: [genome]})
    (first, _), (second, _) = simulate.sequence_fragments(pool, {7: 400}, rng)
    both = LETTERS[genome].tobytes() + b"-" + LETTERS[3 - genome[::-1]].tobytes()
    inserts = []
    for r1, r2 in zip(first, second, strict=True):
        if max(r1.max(), r2.max()) > 3:
            continue
        start = both.find(LETTERS[r1].tobytes())
        end = both.find(LETTERS[3 - r2[::-1]].tobytes())
        if start >= 0 and end >= 0:
            inserts.append(end + 100 - start)
    assert len(inserts) > 250
    assert min(inserts) >= 100
    assert max(inserts) <= 400
    assert np.mean(inserts) == pytest.approx(250, abs=6)


def test_short_inserts_read_through_into_the_adapter(demo):
    for mate, adapter in enumerate(simulate.ADAPTERS, start=1):
        reads = [record[1] for record in read_fastq(demo / f"reads/C04_L1_R{mate}.fastq.gz")]
        # 20 bases of adapter fit in inserts of 35-80 of the 35-99 that 3 % of fragments have.
        share = np.mean([adapter[:20] in read for read in reads])
        assert share == pytest.approx(0.03 * 46 / 65, abs=0.005)
        assert all(read.find(adapter[:20]) >= 35 for read in reads if adapter[:20] in read)


def test_quality_falls_along_the_read_and_in_the_second_mate():
    rng = np.random.default_rng(1)
    first, second = (simulate.draw_qualities(rng, np.zeros(3000, bool), mate) for mate in (1, 2))
    assert first[:, :10].mean() > first[:, -10:].mean() > second[:, -10:].mean()
    poor = simulate.draw_qualities(rng, np.ones(3000, bool), 1)
    assert np.mean(poor < 15) == pytest.approx(0.03 + 0.45 + 0.1 / 3, abs=0.02)


def test_fastq_record_by_hand():
    bases = np.array([[0, 1, 2, 3, 4]], np.uint8)
    qualities = np.array([[37, 25, 11, 37, 2]], np.uint8)
    text = simulate.fastq_bytes(bases, qualities, np.array([54321]), lane=2, tile=1101, mate=1)
    assert text == b"@SIM:1:FC1:2:1101:10000:54321 1:N:0:ATCACG\nACGTN\n+\nF:,F#\n"


def test_every_taxon_has_a_parent_and_one_name(demo, community):
    nodes = [
        line.removesuffix("\t|").split("\t|\t")
        for line in (demo / "taxonomy" / "nodes.dmp").read_text().splitlines()
    ]
    assert {len(fields) for fields in nodes} == {13}
    parents = {int(fields[0]): int(fields[1]) for fields in nodes}
    assert set(parents.values()) <= set(parents)
    assert [taxon_id for taxon_id, parent in parents.items() if taxon_id == parent] == [1]
    assert {s.taxon_id for s in community} <= set(parents)
    names = [
        line.removesuffix("\t|").split("\t|\t")
        for line in (demo / "taxonomy" / "names.dmp").read_text().splitlines()
    ]
    assert [int(fields[0]) for fields in names] == list(parents)
    assert {fields[3] for fields in names} == {"scientific name"}


def test_kraken2_builds_the_database_and_finds_the_species(demo, truth, tmp_path):
    if not (shutil.which("kraken2") and shutil.which("kraken2-build")):
        pytest.skip("kraken2 is not installed")
    database = tmp_path / "database"
    shutil.copytree(demo / "taxonomy", database / "taxonomy")
    library = tmp_path / "library.fna"
    library.write_bytes(b"".join(p.read_bytes() for p in sorted((demo / "genomes").iterdir())))
    build = ["kraken2-build", "--db", database, "--no-masking"]
    subprocess.run([*build, "--add-to-library", library], check=True, capture_output=True)
    subprocess.run([*build, "--build"], check=True, capture_output=True)
    report = tmp_path / "report.txt"
    reads = [demo / "reads" / f"C01_L1_R{mate}.fastq.gz" for mate in (1, 2)]
    command = ["kraken2", "--db", database, "--report", report, "--output", "/dev/null"]
    subprocess.run([*command, "--paired", *reads], check=True, capture_output=True)

    rows = [line.split("\t") for line in report.read_text().splitlines()]
    clade = {int(row[4]): int(row[1]) for row in rows}
    expected = truth["C01"]
    abundant = [t for t, n in expected.items() if n >= 100 and t not in (0, 9606)]
    ratio = np.array([clade[t] / expected[t] for t in abundant])
    assert ratio.min() > 0.75
    assert ratio.max() <= 1.02
    lost = sum(expected.values()) - expected[0] - expected[9606] - clade[1]
    assert 0 <= lost < 0.02 * sum(expected.values())
    # What only re-estimation can give to a species: fragments left on nodes above it.
    above = {row[5].strip(): int(row[2]) for row in rows if int(row[4]) not in (0, *expected)}
    assert above["Bacteria"] > 0.01 * clade[1]
    assert above["Lachnospiraceae"] > 0.01 * clade[186803]
    assert above["Faecalibacterium"] > 0.03 * clade[216851]
    assert 0.05 < sum(above.values()) / clade[1] < 0.15


def write_community(path, *rows):
    columns = (
        "taxon_id name lineage gc_percent genome_kb relative identity control_percent log_sd"
        " depressed_log_fold contaminant_fragments"
    )
    lines = [
        columns.split(),
        *([*row, "50", "60", relative, "", *"1000"] for *row, relative in rows),
    ]
    path.write_text("\n".join("\t".join(line) for line in lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("5", "x", "genus:4:g", ""), ("5", "x", "genus:4:g", "")], "taxid 5 stands in two rows"),
        ([("5", "x", "genus:4:g", "6")], "x is derived from taxid 6, which must stand in a row"),
        (
            [("5", "x", "genus:4:g", ""), ("6", "y", "genus:4:g", "5")],
            "y needs both a relative and an identity",
        ),
        ([("5", "x", "genus-4-g", "")], "x: lineage step 'genus-4-g' is not rank:taxid:name"),
        ([("5", "x", "genus:4:g", ""), ("6", "y", "genus:4:h", "")], "taxid 4 is .* that of y"),
        ([("5", "x", "genus:4:x", "")], "two taxids share the name 'x'"),
    ],
)
def test_community_table_that_contradicts_itself_is_refused(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        simulate.read_community(write_community(tmp_path / "community.tsv", *rows))


def test_community_without_a_host_is_refused(tmp_path):
    table = write_community(tmp_path / "community.tsv", ("5", "x", "genus:4:g", ""))
    with pytest.raises(ValueError, match=r"community.tsv: the last row must be the host, 9606"):
        simulate.write_cohort(tmp_path / "out", community_table=table)


def test_scaling_keeps_the_design_and_at_least_one_fragment():
    small = simulate.scaled(COHORT, 0.001)
    assert [s.fragments for s in small[-2:]] == [1, 1]
    assert [replace(s, fragments=0) for s in small] == [replace(s, fragments=0) for s in COHORT]
