"""Everything a user writes for a run, checked as a whole: settings, sheet, metadata, databases."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moodbiome.dictionary import check_metadata, columns_of, read_dictionary, tidy_metadata
from moodbiome.faults import Fault
from moodbiome.settings import check_against_sheet, check_settings, train_faults
from moodbiome.sheet import Sheet, read_sheet

# Faults of the settings with which nobody knows which tables are imported.
_OF_IMPORT = re.compile(r"config: (the whole file|tables(\.import.*)?)")


def imported_tables(settings: Mapping[str, Any]) -> dict[str, dict[str, Path]]:
    """Feature tables that the settings import: assay -> rank -> file; only those that are set.

    >>> imported_tables({"tables": {"import": {"amplicon": {"genus": "g.tsv", "species": ""}}}})
    {'amplicon': {'genus': PosixPath('g.tsv')}}
    """
    found = {
        assay: {rank: Path(file) for rank, file in files.items() if file}
        for assay, files in settings["tables"]["import"].items()
    }
    return {assay: files for assay, files in found.items() if files}


def imported_functions(settings: Mapping[str, Any]) -> dict[str, Path]:
    """Tables of gene families that the settings import, by assay; only those that are set.

    >>> imported_functions({"function": {"import": {"shotgun": {"table": "ko.tsv"}}}})
    {'shotgun': PosixPath('ko.tsv')}
    """
    tables = settings["function"]["import"]
    return {assay: Path(of["table"]) for assay, of in tables.items() if of["table"]}


def check_inputs(
    settings: dict[str, Any],
    schema: dict[str, Any],
    folder: Path,
    with_tables: bool = True,
    with_conda: bool = False,
) -> tuple[Sheet, list[Fault], list[Fault]]:
    """Find all faults of a run's inputs at once.

    Parameters
    ----------
    settings
        The merged settings; paths in them start at the working directory.
    schema
        Their JSON schema.
    folder
        ``config/``, with the data dictionary (metadata.tsv) and the manifest (databases.yaml).
    with_tables
        Whether imported feature tables are read too.
    with_conda
        Whether conda provides the packages of each step, those beyond the lock among them.

    Returns
    -------
    (Sheet, list of Fault, list of Fault)
        Faults, with which nothing may be run, and warnings. The sheet is empty if it could not be
        read.
    """
    faults = check_settings(settings, schema)
    path = settings.get("samples")
    if not isinstance(path, str) or not path:
        return Sheet(), faults, []
    # The sheet names no reads where tables are imported, whatever else is wrong with the settings.
    is_unknown = any(_OF_IMPORT.fullmatch(fault.place) for fault in faults)
    imported = None if is_unknown else imported_tables(settings)
    sheet, of_sheet = read_sheet(Path(path), imported)
    rows: dict[str, int] = {}
    for unit in sheet.units:
        rows.setdefault(unit.sample, unit.row)
    columns = columns_of(sheet.metadata, rows)
    for name in ("sample_type", "exclude"):
        columns.pop(name, None)
    fields = read_dictionary(folder / "metadata.tsv")
    of_metadata, warnings = check_metadata(columns, fields, Path(path).name)
    if not of_metadata:
        sheet.metadata = tidy_metadata(sheet.metadata, fields)
    against: list[Fault] = []
    # Settings of another form than the schema's cannot be held against anything.
    if imported is not None and not faults:
        against += check_against_sheet(settings, sheet, folder, imported)
        against += train_faults(settings, with_conda)
        if with_tables and sheet.units and not of_metadata:
            against += _table_faults(settings, sheet, imported)
            of_functions, to_heed = _function_faults(settings, sheet, folder)
            against += of_functions
            warnings += to_heed
    return sheet, [*faults, *of_sheet, *of_metadata, *against], warnings


def _table_faults(
    settings: Mapping[str, Any], sheet: Sheet, imported: Mapping[str, Mapping[str, Path]]
) -> list[Fault]:
    """What is wrong with the imported tables, and with what is asked of them."""
    faults = []
    for assay, files in imported.items():
        # pandas and biom take seconds to import, and few runs need them here.
        from moodbiome.feature_tables import read_import

        samples = [sample for sample, of_assay in sheet.samples if of_assay == assay]
        if not samples:
            mend = f"add rows of the assay {assay!r}, or leave tables.import.{assay} empty"
            faults.append(Fault(f"config: tables.import.{assay}", "no sample has it", mend))
            continue
        fragments = {sample: sheet.metadata[sample].get("fragments", "") for sample in samples}
        found, of_tables = read_import(files, samples, fragments)
        faults += of_tables
        for section in ("diversity", "statistics"):
            rank = settings[section]["rank"]
            if found and rank not in found.by_rank:
                problem = f"is {rank}, of which the imported table has no taxon"
                mend = f"take one of {', '.join(found.by_rank)}, or import a table with lineages"
                faults.append(Fault(f"config: {section}.rank", problem, mend))
    return faults


def _function_faults(
    settings: Mapping[str, Any], sheet: Sheet, folder: Path
) -> tuple[list[Fault], list[Fault]]:
    """What is wrong with the imported tables of gene families, and what may be."""
    faults: list[Fault] = []
    warnings: list[Fault] = []
    for assay, path in imported_functions(settings).items():
        from moodbiome.function_tables import read_function_table, read_single_copy, table_warnings

        samples = [sample for sample, of_assay in sheet.samples if of_assay == assay]
        if not samples:
            mend = f"add rows of the assay {assay!r}, or leave function.import.{assay}.table empty"
            faults.append(Fault(f"config: function.import.{assay}", "no sample has it", mend))
            continue
        unit = settings["function"]["import"][assay]["unit"]
        single_copy = read_single_copy(folder / "function/single_copy.tsv")
        least = settings["function"]["min_single_copy"]
        table, of_table = read_function_table(path, samples, unit, single_copy, least)
        faults += of_table
        if table:
            warnings += table_warnings(table, samples, unit, assay, path.name)
    return faults, warnings
