"""The settings: typos, types, and what they name that is not there."""

from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from moodbiome import settings as settings_module
from moodbiome.settings import SCIKIT_LEARN, check_against_sheet, check_settings, train_faults
from moodbiome.sheet import read_sheet

ROOT = Path(__file__).parents[2]
MINIMAL = ROOT / "tests/workflow/minimal"
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
CONFIG = ROOT / "config"
DEFAULTS = yaml.safe_load((ROOT / "config/config.yaml").read_text())


@pytest.fixture
def settings(monkeypatch):
    monkeypatch.chdir(MINIMAL)
    settings = deepcopy(DEFAULTS)
    settings["host"]["fasta"] = "host.fna"
    settings["databases"]["shotgun"]["path"] = "database"
    return settings


@pytest.fixture
def sheet():
    return read_sheet(MINIMAL / "samples.tsv")[0]


def change(settings, key, value):
    *path, last = key.split(".")
    for part in path:
        settings = settings[part]
    settings[last] = value


def closed(schema):
    """Every object of a schema, to see that none takes unknown keys."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for value in schema.values():
            yield from closed(value)


def test_the_shipped_settings_are_sound():
    assert check_settings(DEFAULTS, SCHEMA) == []


def test_the_schema_is_closed_at_every_level():
    objects = list(closed(SCHEMA))
    assert len(objects) >= 10
    for schema in objects:
        assert schema["additionalProperties"] is False
        assert set(schema["required"]) == set(schema["properties"])


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("sed", 1, "config: sed: is not a setting; did you mean 'seed'?"),
        ("reads.min_lenght_bp", 1, "reads.min_lenght_bp: is not a setting; did you mean 'min_len"),
        ("databases.shotgun.pth", "x", "databases.shotgun.pth: is not a setting; did you mean 'p"),
        ("databases.wgs", {}, "config: databases.wgs: is not a setting"),
        ("seed", "one", "config: seed: is 'one', which is not of type 'integer'"),
        ("seed", -1, "config: seed: is -1, which is less than the minimum of 0"),
        ("profile.confidence", 2, "profile.confidence: is 2, which is greater than the maximum"),
        ("on_failure", "ignore", "on_failure: is 'ignore', which is not one of ['continue', 'stop"),
        ("tables.ranks", ["genus"], "config: tables.ranks"),
        ("tables.ranks", ["genus", "species", "strain"], "'strain', which is not one of"),
        ("host", "human", "config: host: is 'human', which is not of type 'object'"),
        ("report.multiqc", True, "report.multiqc: is True, which is not one of"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(settings, key, value, said):
    change(settings, key, value)
    assert said in "\n".join(map(str, check_settings(settings, SCHEMA)))


def test_a_missing_setting_is_named(settings):
    del settings["reads"]["min_length_bp"]
    assert "config: reads.min_length_bp: is missing" in str(check_settings(settings, SCHEMA)[0])


def test_sound_settings_and_sheet_have_no_fault(settings, sheet):
    assert check_against_sheet(settings, sheet, CONFIG) == []


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("host.fasta", "", "no host is named; set one of host.index, host.name and host.fasta"),
        ("host.index", "i", "config: host: host.index and host.fasta are set; set one"),
        ("host.name", "grch38", "config: host: host.name and host.fasta are set; set one"),
        ("host.fasta", "no.fna", "host.fasta: no file 'no.fna'"),
        ("databases.shotgun.path", "", "databases.shotgun: no database is named; the sheet has"),
        ("databases.shotgun.path", "reads", "'reads' is no Kraken2 database: it lacks hash.k2d"),
        (
            "databases.shotgun.name",
            "standard-8",
            "shotgun: path and name are set; set one",
        ),
        ("signature.taxa", "mine.tsv", "signature.taxa: no file 'mine.tsv'"),
        ("diversity.tree", "no.nwk", "diversity.tree: no file 'no.nwk'; correct the path"),
        ("diversity.tree", "samples.tsv", "no tree in Newick format"),
        ("cohort.group", "grup", "no column 'grup'; did you mean 'group'?"),
        ("cohort.reference", "contrl", "no sample has 'contrl' in column 'group'; did you mean 'c"),
        ("statistics.trials", "no.tsv", "no.tsv: is missing; correct the path"),
        ("cohort.study", "studdy", "cohort.study: the sheet has no column 'studdy'"),
        ("cohort.study", "group", "cohort.study: is cohort.group too ('group')"),
        (
            "signature.evaluate.covariates",
            ["age", "bmmi"],
            "evaluate.covariates: 'bmmi' is neither a column of the sheet nor a field of the",
        ),
        (
            "function.proteins.fasta",
            "set.faa",
            "function.proteins.table: is empty; a set is a FASTA file and its table",
        ),
        ("function.proteins.table", "set.tsv", "function.proteins.fasta: is empty; a set is"),
        ("statistics.formula", "~ group + agee", "no column 'agee'; did you mean 'age'?"),
        ("statistics.formula", "~ log(bmi)", "no column 'bmi'; columns are: group, age"),
    ],
)
def test_what_is_named_and_not_there_is_a_fault(settings, sheet, key, value, said):
    change(settings, key, value)
    assert said in "\n".join(map(str, check_against_sheet(settings, sheet, CONFIG)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"fasta": "nil.faa", "table": "samples.tsv"},
            "proteins.fasta: no file 'nil.faa'; correct",
        ),
        ({"fasta": "host.fna", "table": "samples.tsv"}, "samples.tsv: has no column 'accession'"),
        (
            {"fasta": "host.fna", "table": "samples.tsv", "fetch": True},
            "function.proteins: fetch and a set of your own are set; set one of them",
        ),
        ({"fetch": True, "families": "nil.tsv"}, "proteins.families: no file 'nil.tsv'; correct"),
        ({"fetch": True, "families": "samples.tsv"}, "samples.tsv: has no column 'ko'; columns"),
    ],
)
def test_a_protein_set_at_fault_is_named(settings, sheet, changes, said):
    settings["function"]["proteins"] |= changes
    assert said in "\n".join(map(str, check_against_sheet(settings, sheet, CONFIG)))


def test_gene_families_come_from_reads_or_from_a_table(settings, sheet):
    settings["function"]["proteins"]["fetch"] = True
    settings["function"]["import"]["shotgun"]["table"] = "ko.tsv"
    said = "\n".join(map(str, check_against_sheet(settings, sheet, CONFIG)))
    assert "proteins: is set, and so is function.import.shotgun.table; set one of them" in said


def test_genes_of_proteins_need_shotgun_reads(settings, sheet):
    settings["function"]["proteins"]["fetch"] = True
    assert check_against_sheet(settings, sheet, CONFIG) == []
    (fault,) = check_against_sheet(settings, sheet, CONFIG, imported=["shotgun"])
    assert "function.proteins: is set, but the sheet gives no shotgun reads" in str(fault)


def test_a_database_without_distribution_is_a_fault_only_for_re_estimation(
    settings, sheet, tmp_path
):
    for name in ("hash.k2d", "opts.k2d", "taxo.k2d"):
        (tmp_path / name).touch()
    settings["databases"]["shotgun"]["path"] = str(tmp_path)
    assert "has no database<N>mers.kmer_distrib" in str(
        check_against_sheet(settings, sheet, CONFIG)[0]
    )
    settings["profile"]["reestimate"] = False
    assert check_against_sheet(settings, sheet, CONFIG) == []


@pytest.mark.parametrize(
    ("database", "listed"),
    [
        ({"path": "here"}, "50, 100"),
        ({"path": "", "name": "standard-8"}, "50, 75, 100, 150, 200, 250, 300"),
        ({"path": "", "genomes": "genomes", "read_lengths_bp": [150, 100]}, "100, 150"),
    ],
)
def test_a_read_length_that_the_database_lacks_is_a_fault(
    settings, sheet, tmp_path, monkeypatch, database, listed
):
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    for name in ("database100mers.kmer_distrib", "database50mers.kmer_distrib"):
        Path("here", name).touch()
    settings["databases"]["shotgun"] |= database
    place = "config: profile.read_length_bp: "

    def said(length):
        settings["profile"]["read_length_bp"] = length
        faults = map(str, check_against_sheet(settings, sheet, CONFIG))
        return [fault for fault in faults if fault.startswith(place)]

    mend = "take one of them, or 0 for the nearest to each sample's mean"
    assert said(125) == [f"{place}is 125, but the shotgun database has {listed} only; {mend}"]
    assert said(100) == said(0) == []
    settings["profile"]["reestimate"] = False
    assert said(125) == []


def test_a_read_length_is_held_against_databases_of_sequenced_assays_alone(settings, sheet):
    settings["databases"]["shotgun"] |= {"path": "", "name": "standard-8"}
    settings["profile"]["read_length_bp"] = 125
    assert "is 125, but the shotgun" in str(check_against_sheet(settings, sheet, CONFIG)[0])
    assert check_against_sheet(settings, sheet, CONFIG, ["shotgun"]) == []


def test_genomes_to_build_from_must_be_there(settings, sheet, tmp_path):
    settings["databases"]["shotgun"] |= {"path": "", "genomes": str(tmp_path)}
    said = "\n".join(map(str, check_against_sheet(settings, sheet, CONFIG)))
    assert "databases.shotgun.genomes: no genomes in" in said
    assert "databases.shotgun.taxonomy: '' lacks nodes.dmp, names.dmp" in said


def test_a_wrong_host_index_is_named(settings, sheet):
    settings["host"] |= {"fasta": "", "index": "human/index"}
    assert "no file 'human/index.1.bt2'" in str(check_against_sheet(settings, sheet, CONFIG)[0])


def test_a_database_can_be_named_instead(settings, sheet):
    settings["databases"]["shotgun"] |= {"path": "", "name": "standard-8"}
    assert check_against_sheet(settings, sheet, CONFIG) == []
    settings["databases"]["shotgun"]["name"] = "standard8"
    assert "did you mean 'standard-8'?" in str(check_against_sheet(settings, sheet, CONFIG)[0])


def test_a_named_database_must_have_the_names_that_the_settings_say(settings, sheet):
    settings["databases"]["shotgun"] |= {"path": "", "name": "standard-8", "nomenclature": "gtdb"}
    said = str(check_against_sheet(settings, sheet, CONFIG)[0])
    assert "nomenclature: is 'gtdb', but standard-8 has the names of ncbi" in said


def test_a_table_of_strains_is_checked_before_any_job(settings, sheet, tmp_path):
    change(settings, "psychobiotics.strains", "none.tsv")
    (fault,) = check_against_sheet(settings, sheet, CONFIG)
    assert str(fault) == "config: psychobiotics.strains: no file 'none.tsv'; correct the path"
    table = tmp_path / "strains.tsv"
    table.write_text("strain\tspecies\tgenome\tdecoys\nX\tbifidobacterium_breve\tx.fna\ty.fna\n")
    change(settings, "psychobiotics.strains", str(table))
    faults = check_against_sheet(settings, sheet, CONFIG)
    columns = [fault.place for fault in faults]
    assert columns == ["strains.tsv, row 2, column 'genome'", "strains.tsv, row 2, column 'decoys'"]


@pytest.mark.parametrize(
    ("found", "is_right"),
    [("1.7.2", False), ("1.8.0", True), ("1.10.1", True), ("1.8rc1", True), ("2.0.0", False)],
)
def test_another_scikit_learn_than_was_tried_is_a_fault(monkeypatch, found, is_right):
    monkeypatch.setattr(settings_module, "version", lambda name: found)
    asked = {"signature": {"train": True}, "cohort": {"group": "group"}}
    faults = [str(fault) for fault in train_faults(asked)]
    assert bool(faults) is not is_right
    assert train_faults(asked, with_conda=True) == []
    if faults:
        assert f"scikit-learn {found} is installed, where 1.8 or later, below 2, is" in faults[0]
        assert "make scikit-learn" in faults[0]


def test_the_versions_of_scikit_learn_are_those_of_the_package():
    (least_major, least_minor), (beyond, _) = SCIKIT_LEARN
    asked = f'"scikit-learn>={least_major}.{least_minor},<{beyond}"'
    assert (ROOT / "pyproject.toml").read_text().count(asked) == 2
