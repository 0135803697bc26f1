"""The settings of a run, checked against their schema and against each other."""

import re
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from moodbiome.database import DATABASE_FILES, TAXONOMY_FILES
from moodbiome.faults import Fault, suggestion
from moodbiome.sheet import Sheet


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
    value, _, rest = error.message.partition(" ")
    shown = repr(error.instance)
    detail = f"is {shown}, which {rest}" if value == shown else error.message
    return [Fault(f"config: {'.'.join(path) or 'the whole file'}", detail, lookup)]


def check_against_sheet(settings: dict[str, Any], sheet: Sheet) -> list[Fault]:
    """What the settings name and the sheet or the disk does not have: databases, host, columns."""
    faults = _host_faults(settings["host"]) if settings["host"]["remove"] else []
    for assay in dict.fromkeys(unit.assay for unit in sheet.units):
        if assay in settings["databases"]:
            place = f"config: databases.{assay}"
            reestimate = settings["profile"]["reestimate"]
            faults += _database_faults(settings["databases"][assay], place, reestimate)
    taxa = settings["signature"]["taxa"]
    if taxa and not Path(taxa).is_file():
        faults.append(Fault("config: signature.taxa", f"no file {taxa!r}", "correct the path"))
    return faults + _column_faults(settings, sheet)


def _host_faults(host: dict[str, str]) -> list[Fault]:
    if bool(host["index"]) == bool(host["fasta"]):
        which = "both host.index and host.fasta are set" if host["index"] else "no host is named"
        mend = "set one of host.index and host.fasta, or host.remove: false for host-free reads"
        return [Fault("config: host", which, mend)]
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
        mend = f"the sheet has samples of this assay: set {place.removeprefix('config: ')}.path"
        return [Fault(place, "no database is named", mend)]
    faults = []
    if not Path(genomes).is_dir() or not any(Path(genomes).glob("*_*.fna*")):
        mend = "give a folder of files named <anything>_<NCBI taxon id>.fna or .fna.gz"
        faults.append(Fault(f"{place}.genomes", f"no genomes in {genomes!r}", mend))
    missing = [
        name
        for name in TAXONOMY_FILES
        if not any(Path(taxonomy, name + packed).is_file() for packed in ("", ".gz"))
    ]
    if missing:
        mend = "give the folder of NCBI's taxonomy dump"
        problem = f"{taxonomy!r} lacks {', '.join(missing)}"
        faults.append(Fault(f"{place}.taxonomy", problem, mend))
    return faults


def _column_faults(settings: dict[str, Any], sheet: Sheet) -> list[Fault]:
    """Columns that the settings name and the sheet lacks; a group without its reference value."""
    faults = []
    formula = settings["statistics"]["formula"]
    group, reference = settings["cohort"]["group"], settings["cohort"]["reference"]
    named = [("statistics.formula", word) for word in _variables(formula)]
    named += [("cohort.group", group)] if group else []
    for key, column in named:
        if column not in sheet.columns:
            mend = f"{suggestion(column, sheet.columns)}Columns are: {', '.join(sheet.columns)}"
            faults.append(Fault(f"config: {key}", f"the sheet has no column {column!r}", mend))
    values = sorted({cells[group] for cells in sheet.metadata.values() if cells.get(group)})
    if group in sheet.columns and reference not in values:
        mend = f"{suggestion(reference, values)}Values are: {', '.join(values) or 'none'}"
        problem = f"no sample has {reference!r} in column {group!r}"
        faults.append(Fault("config: cohort.reference", problem, mend))
    return faults


def _variables(formula: str) -> list[str]:
    """Names of columns in a model formula: words that are not functions."""
    return list(dict.fromkeys(re.findall(r"[A-Za-z_]\w*(?![\w(.])", formula)))
