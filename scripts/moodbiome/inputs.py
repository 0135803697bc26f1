"""Everything a user writes for a run, checked as a whole: settings, sheet, metadata, databases."""

from pathlib import Path
from typing import Any

from moodbiome.dictionary import check_metadata, columns_of, read_dictionary, tidy_metadata
from moodbiome.faults import Fault
from moodbiome.settings import check_against_sheet, check_settings
from moodbiome.sheet import Sheet, read_sheet


def check_inputs(
    settings: dict[str, Any], schema: dict[str, Any], folder: Path
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
    sheet, of_sheet = read_sheet(Path(path))
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
    # Settings of another form than the schema's cannot be held against anything.
    against = [] if faults else check_against_sheet(settings, sheet, folder)
    return sheet, [*faults, *of_sheet, *of_metadata, *against], warnings
