"""The settings of a run, checked against their schema and against each other."""

import re
from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from moodbiome.database import DATABASE_FILES, TAXONOMY_FILES, genome_files, taxonomy_file
from moodbiome.dictionary import Field, read_dictionary
from moodbiome.faults import Fault, NotRun, after, suggestion
from moodbiome.formula import columns_of
from moodbiome.manifest import Database, name_fault, read_manifest
from moodbiome.measures import covariate_faults, measure_faults
from moodbiome.proteins import protein_faults, read_families
from moodbiome.sheet import Sheet
from moodbiome.strains import panel_organisms, panel_species, read_strains, strain_faults
from moodbiome.visits import intake_faults, visit_faults


def check_settings(settings: dict[str, Any], schema: dict[str, Any]) -> list[Fault]:
    """All that the schema does not allow, one fault each, in the order of the settings' names.

    Parameters
    ----------
    settings
        The merged configuration.
    schema
        A JSON schema (2020-12), closed at every level.

    Examples
    --------
    >>> schema = {"additionalProperties": False, "properties": {"seed": {"type": "integer"}}}
    >>> for fault in check_settings({"sed": 1, "seed": "x"}, schema):
    ...     print(fault)
    config: sed: is not a setting; did you mean 'seed'? config/config.yaml lists them all
    config: seed: is 'x', which is not of type 'integer'; see config/config.yaml for what it takes
    """
    errors = Draft202012Validator(schema).iter_errors(settings)
    faults = [fault for error in errors for fault in _as_faults(error)]
    return sorted(faults)


def _as_faults(error: ValidationError) -> list[Fault]:
    path = [str(part) for part in error.absolute_path]
    lookup = "see config/config.yaml for what it takes"
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        return [
            Fault(
                f"config: {'.'.join([*path, key])}",
                "is not a setting",
                f"{suggestion(key, known)}config/config.yaml lists them all",
            )
            for key in error.instance
            if key not in known
        ]
    if error.validator == "required":
        missing = error.message.split("'")[1]
        return [Fault(f"config: {'.'.join([*path, missing])}", "is missing", lookup)]
    if error.validator == "contains":
        lacking = error.validator_value.get("const")
        return [Fault(f"config: {'.'.join(path)}", f"lacks {lacking!r}", lookup)]
    value, _, rest = error.message.partition(" ")
    shown = repr(error.instance)
    detail = f"is {shown}, which {rest}" if value == shown else error.message
    return [Fault(f"config: {'.'.join(path) or 'the whole file'}", detail, lookup)]


def check_against_sheet(
    settings: dict[str, Any], sheet: Sheet, folder: Path, imported: Collection[str] = ()
) -> list[Fault]:
    """What the settings name and the sheet or the disk does not have: databases, host, columns.

    `folder` is that of the manifest (databases.yaml) and the primers (primers.tsv). A sheet without
    rows is held against nothing: its own faults are told already. Assays whose table is `imported`
    need no host and no database.
    """
    manifest = read_manifest(folder / "databases.yaml")
    assays = list(dict.fromkeys(unit.assay for unit in sheet.units)) or ["shotgun"]
    sequenced = [assay for assay in assays if assay not in imported]
    has_host = settings["host"]["remove"] and sequenced
    faults = _host_faults(settings["host"], manifest) if has_host else []
    for assay in sequenced:
        if assay in settings["databases"]:
            place = f"config: databases.{assay}"
            reestimate = settings["profile"]["reestimate"]
            database = settings["databases"][assay]
            given = [key for key in ("path", "name", "genomes") if database[key]]
            if len(given) > 1:
                mend = "set one of path, name and genomes"
                faults.append(Fault(place, f"{' and '.join(given)} are set", mend))
            elif database["name"]:
                fault = name_fault(database["name"], manifest, assay, f"{place}.name")
                faults += [fault] if fault else _nomenclature_faults(database, manifest, place)
            else:
                faults += _database_faults(database, place, reestimate)
    if "amplicon" in sequenced:
        faults += _primer_faults(settings["reads"]["primers"], folder / "primers.tsv")
    faults += _read_length_faults(settings, sequenced, manifest)
    faults += _signature_faults(settings["signature"]["taxa"])
    faults += _tree_faults(settings["diversity"]["tree"])
    faults += _more_faults(settings["signature"]["more"], folder / "evidence/concepts.tsv")
    faults += _reference_faults(settings, assays, imported, folder / "evidence/taxa.tsv")
    faults += _trials_faults(settings["statistics"]["trials"])
    faults += _module_faults(settings["function"]["modules"], folder / "function")
    strains: list[Fault] = []
    if settings["psychobiotics"]["strains"]:
        crosswalk = folder / "evidence" / "crosswalk.tsv"
        table = Path(settings["psychobiotics"]["strains"])
        strains = strain_faults(table, panel_species(crosswalk))
        faults += strains
    faults += _protein_faults(settings["function"], sequenced, folder)
    for section in ("diversity", "statistics"):
        rank = settings[section]["rank"]
        if rank not in settings["tables"]["ranks"]:
            mend = f"add {rank!r} to tables.ranks or take one of them"
            faults.append(Fault(f"config: {section}.rank", f"no tables of rank {rank!r}", mend))
    if not sheet.units:
        return faults
    dictionary = read_dictionary(folder / "metadata.tsv")
    visits = _longitudinal_faults(settings, sheet, dictionary)
    return [
        *faults,
        *_column_faults(settings, sheet),
        *visits,
        *([] if strains or visits else _intake_faults(settings, sheet, folder)),
        *measure_faults(
            settings["statistics"]["measures"],
            settings["statistics"]["adjust_for"],
            sheet,
            dictionary,
        ),
        *covariate_faults(
            "signature.evaluate.covariates",
            settings["signature"]["evaluate"]["covariates"],
            sheet,
            dictionary,
        ),
    ]


def _longitudinal_faults(
    settings: dict[str, Any], sheet: Sheet, dictionary: Mapping[str, Field]
) -> list[Fault]:
    """What forbids the longitudinal analysis; outcomes that neither sheet nor dictionary have."""
    outcomes = {f"longitudinal.{key}": names for key, names in settings["longitudinal"].items()}
    known = [*dictionary, *sheet.columns]
    unknown = [
        Fault(
            f"config: {key}",
            f"{name!r} is no column of the sheet and no field of config/metadata.tsv",
            after(suggestion(name, known), "correct it, or take it out"),
        )
        for key, names in outcomes.items()
        for name in names
        if name not in known
    ]
    name = Path(settings["samples"]).name
    return unknown + visit_faults(settings["cohort"], outcomes, sheet, name)


def _intake_faults(settings: dict[str, Any], sheet: Sheet, folder: Path) -> list[Fault]:
    """What forbids the check of intake; the settings of visits and strains are without fault."""
    given = settings["psychobiotics"]["strains"]
    table = Path(given) if given else folder / "psychobiotics/strains.tsv"
    organisms = panel_organisms(folder / "evidence/crosswalk.tsv")
    organisms += [strain.strain for strain in read_strains(table)]
    return intake_faults(settings["psychobiotics"]["intake"], settings["cohort"], sheet, organisms)


def _nomenclature_faults(
    database: dict[str, Any], manifest: Mapping[str, Database], place: str
) -> list[Fault]:
    """Taxon ids of one nomenclature mean other taxa in the next: they must not be mistaken."""
    names = manifest[database["name"]].nomenclature
    if names == database["nomenclature"]:
        return []
    problem = f"is {database['nomenclature']!r}, but {database['name']} has the names of {names}"
    return [Fault(f"{place}.nomenclature", problem, f"set it to {names}, if that is one of them")]


def _read_length_faults(
    settings: dict[str, Any], sequenced: Iterable[str], manifest: Mapping[str, Database]
) -> list[Fault]:
    """Databases that have k-mer distributions, but none for the read length asked for."""
    wanted = settings["profile"]["read_length_bp"]
    if not wanted or not settings["profile"]["reestimate"]:
        return []
    faults = []
    for assay in sequenced:
        database = settings["databases"].get(assay) or {}
        if database.get("path"):
            files = Path(database["path"]).glob("database*mers.kmer_distrib")
            lengths = [int(re.sub(r"\D", "", file.name)) for file in files]
        elif named := manifest.get(database.get("name", "")):
            lengths = list(named.read_lengths_bp)
        else:
            lengths = database.get("read_lengths_bp", [])
        if lengths and wanted not in lengths:
            listed = ", ".join(map(str, sorted(lengths)))
            problem = f"is {wanted}, but the {assay} database has {listed} only"
            mend = "take one of them, or 0 for the nearest to each sample's mean"
            faults.append(Fault("config: profile.read_length_bp", problem, mend))
    return faults


def _primer_faults(setting: str, table: Path) -> list[Fault]:
    if setting in ("auto", "none"):
        return []
    from moodbiome.amplicon import find_primers, read_primers

    try:
        find_primers(setting, read_primers(table))
    except ValueError as error:
        return [Fault("config: reads.primers", str(error), "see config/primers.tsv")]
    return []


def _signature_faults(taxa: str) -> list[Fault]:
    """What is wrong with a signature of the user's own."""
    if not taxa:
        return []
    place = "config: signature.taxa"
    if not Path(taxa).is_file():
        return [Fault(place, f"no file {taxa!r}", "correct the path")]
    # pandas takes a second to import, and the shipped table is tested.
    from moodbiome.evidence import read_table
    from moodbiome.signature import check_taxa

    try:
        check_taxa(read_table(Path(taxa), "taxa"))
    except UnicodeDecodeError:
        return [Fault(place, f"{taxa!r} cannot be read", "save it as UTF-8 text")]
    except ValueError as error:
        return [Fault(place, str(error), "see config/evidence/README.md")]
    return []


def _more_faults(files: list[str], concepts: Path) -> list[Fault]:
    """What is wrong with further signatures, all files at once."""
    place = "config: signature.more"
    faults = [
        Fault(place, f"no file {file!r}", "correct the path")
        for file in files
        if not Path(file).is_file()
    ]
    names = [Path(file).stem for file in files]
    faults += [
        Fault(place, f"two files are named {name!r}", "rename one: the name is the signature's")
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    if not files or faults:
        return faults
    from moodbiome.evidence import read_table
    from moodbiome.more_signatures import read_signature

    labels = read_table(concepts, "concepts")
    return [fault for file in files for fault in read_signature(Path(file), labels)[1]]


def _reference_faults(
    settings: dict[str, Any], assays: list[str], imported: Collection[str], shipped: Path
) -> list[Fault]:
    """Why a reference of an earlier run cannot be used, as far as it is known before any job."""
    given = settings["signature"]["reference_table"]
    taxa = Path(settings["signature"]["taxa"] or shipped)
    if not given or not taxa.is_file():
        return []
    place = "config: signature.reference_table"
    if not Path(given).is_file():
        return [Fault(place, f"no file {given!r}", "correct the path")]
    from moodbiome.evidence import read_table
    from moodbiome.reference import made_with, reference_faults

    try:
        table = read_table(taxa, "taxa")
    except ValueError:
        return []  # said already, of signature.taxa
    confidence = settings["profile"]["confidence"]
    known = None if isinstance(confidence, str) else float(confidence)
    here = {assay: made_with(settings, assay, table, confidence=known) for assay in assays}
    mend = "use the same settings as the reference's run, or leave this empty"
    return [
        Fault(place, problem, mend)
        for problem in reference_faults(Path(given), assays, list(imported), here)
    ]


SCIKIT_LEARN = ((1, 8), (2, 0))
"""Least version that fits as asked, and the first not tried; as in pyproject.toml.

Before 1.8 a logistic regression takes no notice of l1_ratio unless told of an elastic net: it
selects no taxa, and says nothing.
"""


def train_faults(settings: Mapping[str, Any], with_conda: bool = False) -> list[Fault]:
    """What a trained model lacks: groups, and `SCIKIT_LEARN` unless conda provides it."""
    if not settings["signature"]["train"]:
        return []
    place = "config: signature.train"
    faults = []
    if not settings["cohort"]["group"]:
        mend = "name the column of the groups, or set it to false"
        faults.append(Fault(place, "is true, and cohort.group is empty", mend))
    if not with_conda and (problem := _problem_of_scikit_learn()):
        mend = "`make scikit-learn` installs the right one; or set this to false"
        faults.append(Fault(place, f"is true, and {problem}", mend))
    return faults


def _problem_of_scikit_learn() -> str:
    """What is wrong with the scikit-learn of this environment; empty if nothing."""
    try:
        found = version("scikit-learn")
    except PackageNotFoundError:
        return "scikit-learn is not installed"
    least, beyond = SCIKIT_LEARN
    if least <= tuple(int(part) for part in re.findall(r"\d+", found)[:2]) < beyond:
        return ""
    needed = f"{least[0]}.{least[1]} or later, below {beyond[0]}"
    return f"scikit-learn {found} is installed, where {needed}, is needed"


def _tree_faults(tree: str) -> list[Fault]:
    """What is wrong with a tree of the taxa, whichever taxa will be found."""
    if not tree:
        return []
    place = "config: diversity.tree"
    if not Path(tree).is_file():
        return [Fault(place, f"no file {tree!r}", "correct the path")]
    # scikit-bio takes four seconds to import.
    from moodbiome.phylogeny import read_tree

    try:
        read_tree(tree)
    except ValueError as error:
        return [Fault(place, str(error), "give a rooted tree with branch lengths")]
    return []


def _protein_faults(
    function: Mapping[str, Any], sequenced: Collection[str], folder: Path
) -> list[Fault]:
    """What is wrong with the set of proteins that reads are searched against."""
    place, proteins = "config: function.proteins", function["proteins"]
    fasta, table = proteins["fasta"], proteins["table"]
    if not (fasta or table or proteins["fetch"]):
        return []
    if proteins["fetch"] and (fasta or table):
        return [Fault(place, "fetch and a set of your own are set", "set one of them")]
    if not proteins["fetch"] and not (fasta and table):
        lacking = "table" if fasta else "fasta"
        return [Fault(f"{place}.{lacking}", "is empty", "a set is a FASTA file and its table")]
    if "shotgun" not in sequenced:
        problem = "is set, but the sheet gives no shotgun reads"
        return [Fault(place, problem, "leave it empty: only shotgun reads hold genes of proteins")]
    if function["import"]["shotgun"]["table"]:
        problem = "is set, and so is function.import.shotgun.table"
        return [Fault(place, problem, "set one of them: both give the gene families of shotgun")]
    if not proteins["fetch"]:
        return protein_faults(Path(fasta), Path(table))
    families = Path(proteins["families"] or folder / "function/families.tsv")
    if not families.is_file():
        return [Fault(f"{place}.families", f"no file {str(families)!r}", "correct the path")]
    return read_families(families)[1]


def _trials_faults(trials: str) -> list[Fault]:
    if not trials:
        return []
    # pandas takes a second to import, and most runs have no trials.
    from moodbiome.trials import read_trials

    return read_trials(Path(trials))[1]


def _module_faults(files: list[str], folder: Path) -> list[Fault]:
    if not files:
        return []
    # pandas takes a second to import, and the shipped modules are tested.
    from moodbiome.modules import read_definitions

    tables = folder / "modules.tsv", folder / "steps.tsv"
    return read_definitions(*tables, [Path(file) for file in files])[1]


def _host_faults(host: dict[str, str], manifest: Mapping[str, Database]) -> list[Fault]:
    given = [f"host.{key}" for key in ("index", "name", "fasta") if host[key]]
    if len(given) != 1:
        which = f"{' and '.join(given)} are set" if given else "no host is named"
        mend = "set one of host.index, host.name and host.fasta, or host.remove: false"
        return [Fault("config: host", which, f"{mend} for host-free reads")]
    if host["name"]:
        fault = name_fault(host["name"], manifest, "host", "config: host.name")
        return [fault] if fault else []
    if host["fasta"] and not Path(host["fasta"]).is_file():
        return [Fault("config: host.fasta", f"no file {host['fasta']!r}", "correct the path")]
    index = host["index"]
    if index and not any(Path(f"{index}.1.{kind}").is_file() for kind in ("bt2", "bt2l")):
        mend = "give folder and name of a bowtie2 index, without .1.bt2"
        return [Fault("config: host.index", f"no file {index + '.1.bt2'!r}", mend)]
    return []


def _database_faults(database: dict[str, str], place: str, reestimate: bool) -> list[Fault]:
    path, genomes, taxonomy = database["path"], database["genomes"], database["taxonomy"]
    if path:
        if not Path(path).is_dir():
            return [Fault(f"{place}.path", f"no folder {path!r}", "correct the path")]
        missing = [name for name in DATABASE_FILES if not Path(path, name).is_file()]
        if missing:
            return [
                Fault(
                    f"{place}.path",
                    f"{path!r} is no Kraken2 database: it lacks {', '.join(missing)}",
                    "give the folder that holds them",
                )
            ]
        if reestimate and not list(Path(path).glob("database*mers.kmer_distrib")):
            return [
                Fault(
                    f"{place}.path",
                    f"{path!r} has no database<N>mers.kmer_distrib",
                    "add the file that comes with the database, or set profile.reestimate: false",
                )
            ]
        return []
    if not genomes:
        key = place.removeprefix("config: ")
        mend = f"the sheet has samples of this assay: set {key}.path, .name or .genomes"
        return [Fault(place, "no database is named", mend)]
    if Path(genomes).is_file():
        if taxonomy and not Path(taxonomy).is_file():
            mend = "give its table of lineages, or nothing if they are in the headers"
            return [Fault(f"{place}.taxonomy", f"no file {taxonomy!r}", mend)]
        return []
    faults = []
    named, unnamed = genome_files(Path(genomes)) if Path(genomes).is_dir() else ([], [])
    rename = "name genomes <anything>_<NCBI taxon id>.fna (or .fa, .fasta, each also .gz)"
    if not named and not unnamed:
        faults.append(Fault(f"{place}.genomes", f"no genomes in {genomes!r}", rename))
    if unnamed:
        names = ", ".join(file.name for file in unnamed[:5])
        more = f" and {len(unnamed) - 5} others" if len(unnamed) > 5 else ""
        problem = f"{names}{more}: no taxon id in the name"
        faults.append(Fault(f"{place}.genomes", problem, rename))
    missing = [name for name in TAXONOMY_FILES if not taxonomy_file(Path(taxonomy), name).is_file()]
    if missing:
        mend = "give the folder of NCBI's taxonomy dump"
        problem = f"{taxonomy!r} lacks {', '.join(missing)}"
        faults.append(Fault(f"{place}.taxonomy", problem, mend))
    return faults


def _column_faults(settings: dict[str, Any], sheet: Sheet) -> list[Fault]:
    """Columns that the settings name and the sheet lacks; a group without its reference value."""
    faults = []
    group, reference = settings["cohort"]["group"], settings["cohort"]["reference"]
    named = [("cohort.group", group)] if group else []
    formula = settings["statistics"]["formula"]
    try:
        named += [("statistics.formula", word) for word in (columns_of(formula) if formula else [])]
    except NotRun as error:
        mend = "write it as in '~ group + age'"
        faults.append(Fault("config: statistics.formula", error.reason, mend))
    study = settings["cohort"]["study"]
    named += [("cohort.study", study)] if study else []
    for key, column in named:
        if column not in sheet.columns:
            mend = after(
                suggestion(column, sheet.columns), f"columns are: {', '.join(sheet.columns)}"
            )
            faults.append(Fault(f"config: {key}", f"the sheet has no column {column!r}", mend))
    if study and study == group:
        mend = "name the column that tells the studies apart, or leave cohort.study empty"
        faults.append(Fault("config: cohort.study", f"is cohort.group too ({group!r})", mend))
    elif study in sheet.columns:
        studies = {cells[study] for cells in sheet.metadata.values() if cells.get(study)}
        if len(studies) < 2:
            problem = f"column {study!r} holds {len(studies)} studies: nothing to pool"
            mend = "name each sample's study there, or leave cohort.study empty"
            faults.append(Fault("config: cohort.study", problem, mend))
    values = sorted({cells[group] for cells in sheet.metadata.values() if cells.get(group)})
    if group in sheet.columns and reference not in values:
        mend = after(suggestion(reference, values), f"values are: {', '.join(values) or 'none'}")
        problem = f"no sample has {reference!r} in column {group!r}"
        faults.append(Fault("config: cohort.reference", problem, mend))
    elif group in sheet.columns and len(values) < 2:
        mend = "name a column with two values or more in cohort.group, or leave that empty"
        problem = f"all samples have {reference!r} in column {group!r}: nothing to compare"
        faults.append(Fault("config: cohort.group", problem, mend))
    return faults
