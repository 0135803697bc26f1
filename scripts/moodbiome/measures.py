"""Which columns of the sheet are measured variables, and which confounders it lacks.

Light enough to be read at every start of the workflow; the models are in
`moodbiome.measure_models`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from moodbiome.dictionary import CENSORING, Field, is_missing, parse_limited
from moodbiome.faults import Fault, after, suggestion
from moodbiome.sheet import Sheet

KINDS = {
    "symptoms": (
        *("phq9_total", "phq8_total", "hamd17_total", "hamd21_total", "hamd24_total"),
        *("bdi1_total", "bdi2_total", "madrs_total", "hadsd_total", "hadsa_total", "cesd_total"),
        *("gad7_total", "qids_sr16_total", "qids_c16_total", "zung_raw", "zung_index"),
        *("promis_t", "epds_total"),
    ),
    "inflammation": ("il6_pg_ml", "tnfa_pg_ml", "crp_mg_l"),
    "medication": (
        *("antidepressant", "antidepressant_class", "ppi", "metformin", "laxatives", "statins"),
    ),
    "diet": ("fibre_g_day",),
    "substances": ("alcohol", "alcohol_g_day", "smoking"),
    "sleep": ("sleep_h",),
    "stress": ("pss10_total",),
    "stool": ("bristol",),
}
"""Fields of the data dictionary that are tested where the sheet has them, by kind.

Not among them are a dose, which compares within one drug only, and ``antibiotics_days``, which is
empty for whoever never took any: both can be named in the settings."""

OTHER = "other"

CONFOUNDERS = {
    "age": ("age",),
    "sex": ("sex",),
    "body mass index": ("bmi",),
    "antibiotics": ("antibiotics_days",),
    "proton pump inhibitors": ("ppi",),
    "metformin": ("metformin",),
    "laxatives": ("laxatives",),
    "statins": ("statins",),
    "antidepressants": ("antidepressant", "antidepressant_class"),
    "probiotics": ("probiotic_strain", "probiotic_cfu", "probiotic_last_dose_days"),
    "dietary fibre": ("fibre_g_day",),
    "smoking": ("smoking",),
    "alcohol": ("alcohol", "alcohol_g_day"),
    "stool consistency": ("bristol",),
    "sleep": ("sleep_h",),
    "stress": ("pss10_total",),
    "country": ("country",),
    "batch": ("batch",),
}
"""What is known to move the gut microbiota, and the fields that hold it.

Alcohol and stool quality are the strongest of those that studies leave unmatched
(Vujkovic-Cvijin 2020, doi:10.1038/s41586-020-2881-9)."""


LINEAR_METHODS = ("clr_bias_corrected", "log2_proportion")


def linear_method(methods: Collection[str]) -> str:
    """How taxa enter linear models: the first of the methods that is one of `LINEAR_METHODS`.

    >>> linear_method(["ancombc2", "log2_proportion"]), linear_method(["prevalence"])
    ('log2_proportion', 'clr_bias_corrected')
    """
    return next((name for name in methods if name in LINEAR_METHODS), LINEAR_METHODS[0])


def kind_of(column: str) -> str:
    """Kind of a measured variable; ``other`` for a column that is none of `KINDS`.

    >>> kind_of("il6_pg_ml"), kind_of("zonulin_ng_ml")
    ('inflammation', 'other')
    """
    return next((kind for kind, columns in KINDS.items() if column in columns), OTHER)


def choose_measures(
    setting: str | Sequence[str], metadata: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """Columns to test: those named, or with ``auto`` those of `KINDS` that vary in the sheet.

    Parameters
    ----------
    setting
        ``auto`` or names of columns.
    metadata
        Sample -> column -> cell, as in `moodbiome.sheet.Sheet`.

    Examples
    --------
    >>> sheet = {"S1": {"phq9_total": "4", "ppi": "no"}, "S2": {"phq9_total": "9", "ppi": "no"}}
    >>> choose_measures("auto", sheet)
    ['phq9_total']
    """
    if not isinstance(setting, str):
        return list(setting)
    columns = _compared(metadata)
    known = [column for of_kind in KINDS.values() for column in of_kind]
    return [column for column in known if len(set(columns.get(column, []))) > 1]


def missing_confounders(columns: Collection[str]) -> list[str]:
    """Names of the `CONFOUNDERS` of which the sheet has no column.

    >>> missing_confounders(set().union(*CONFOUNDERS.values()) - {"bristol"})
    ['stool consistency']
    """
    return [name for name, fields in CONFOUNDERS.items() if not set(fields) & set(columns)]


def covariate_faults(
    setting: str, covariates: Iterable[str], sheet: Sheet, dictionary: Mapping[str, Field]
) -> list[Fault]:
    """Covariates, named by `setting`, that neither the sheet nor the dictionary knows.

    A covariate of the dictionary may be absent from the sheet, for the default names those that a
    cohort ought to have; any other name is a slip of the hand.
    """
    known = [*sheet.columns, *dictionary]
    problem = "is neither a column of the sheet nor a field of the dictionary"
    listed = f"columns are: {', '.join(sheet.columns)}"
    return [
        Fault(
            f"config: {setting}", f"{column!r} {problem}", after(suggestion(column, known), listed)
        )
        for column in covariates
        if column not in known
    ]


def measure_faults(
    setting: str | Sequence[str],
    adjust_for: Iterable[str],
    sheet: Sheet,
    dictionary: Mapping[str, Field],
) -> list[Fault]:
    """What is wrong with the columns that ``statistics.measures`` and ``adjust_for`` name."""
    faults = covariate_faults("statistics.adjust_for", adjust_for, sheet, dictionary)
    if isinstance(setting, str):
        return faults
    columns = _compared(sheet.metadata)
    for column in setting:
        problem, mend = "", "leave it out of statistics.measures"
        cells = columns.get(column, [])
        field = dictionary.get(column)
        if column not in sheet.columns:
            problem = f"the sheet has no column {column!r}"
            mend = after(
                suggestion(column, sheet.columns), f"columns are: {', '.join(sheet.columns)}"
            )
        elif not cells:
            problem = f"column {column!r} is empty in every sample that is compared"
        elif len(set(cells)) < 2:
            problem = f"column {column!r} is constant ({cells[0]}) in all samples compared"
        elif field is None or field.kind == "text":
            words = [cell for cell in cells if not _is_number(cell)]
            if words and len(set(cells)) > 2:
                problem = f"column {column!r} is not numeric: it holds {words[0]!r}"
                mend = "a measure is a number, a category of the dictionary, or one of two words"
        if problem:
            faults.append(Fault("config: statistics.measures", problem, mend))
    return faults


def _compared(metadata: Mapping[str, Mapping[str, str]]) -> dict[str, list[str]]:
    """Column -> its known cells, of the samples that take part in comparisons.

    A limit and a number are two values, so that a column of tidied limits varies where they do.
    """
    columns: dict[str, list[str]] = {}
    for cells in metadata.values():
        if cells.get("exclude") or cells.get("sample_type", "sample") != "sample":
            continue
        for column, cell in cells.items():
            if not is_missing(cell):
                value = cell.strip() + cells.get(column + CENSORING, "")
                columns.setdefault(column, []).append(value)
    return columns


def _is_number(cell: str) -> bool:
    try:
        return not parse_limited(cell)[1]
    except ValueError:
        return False
