"""The data dictionary: what the metadata of samples mean, and which values they can take.

Only the standard library: the sheet is checked at every start of the workflow.
"""

import csv
import math
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from statistics import median
from typing import NamedTuple

from moodbiome.faults import Fault, suggestion

KINDS = ("integer", "number", "detection_limited", "category", "text", "refused")
CERTAINTIES = ("verified", "memory", "convention")
MISSING = ("NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "<NA>", "#N/A")
CENSORING = "_censoring"

# Words of people and archives (INSDC among them) for a value that is not there. They are not read
# as missing, since "none" and "unknown" can be an answer; in a field of numbers they cannot.
_NO_VALUE = {
    *("-", "--", ".", "?", "na", "none", "missing", "unknown", "not known", "not available"),
    *("not applicable", "not collected", "not provided", "restricted access", "unspecified"),
}
_LEAVE_EMPTY = "leave the cell empty where nothing is known"
_AT_LIMIT = f"analyses use the limit itself, and a column named ...{CENSORING} marks the cell"
_WRITE_LIMIT = "if it lies below the detection limit, write '<' and the limit"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_LIMITED = re.compile(r"(<=?|>=?|≤|≥)\s*(.*)")
_ITEM = "(?:question|item|q|i)"
_WHY_REFUSED = (
    "which is refused: such answers need a person to act on them, and nobody monitors this "
    "pipeline for risk"
)
_MEND_REFUSED = "remove the column (totals of scales may stay), or rename it if it is not that"
_NUMERIC = ("integer", "number", "detection_limited")
_CHECKED = (*_NUMERIC, "category")
_SHOWN = 5
_ENOUGH_FOR_MEDIAN = 3
_MOSTLY = 0.8

Columns = Mapping[str, list[tuple[int, str]]]


class Field(NamedTuple):
    """One row of the dictionary.

    Attributes
    ----------
    low, high
        No value can lie outside. In `unit`; infinite for fields that are no numbers.
    warn_low, warn_high, warn_why
        A value outside is possible and rare, and why that matters.
    median_low, median_high
        A whole column with its median outside is probably in another unit.
    categories
        The spellings of each category, the first being the one to recommend.
    other_units
        Names of columns that hold the same in another unit, with the factor to this one.
    patterns
        Only of refused fields: what their columns are called.
    """

    name: str
    kind: str
    unit: str
    low: float
    high: float
    warn_low: float
    warn_high: float
    warn_why: str
    median_low: float
    median_high: float
    categories: tuple[tuple[str, ...], ...]
    aliases: tuple[str, ...]
    other_units: tuple[tuple[str, float], ...]
    patterns: tuple[re.Pattern[str], ...]
    meaning: str

    @property
    def takes(self) -> str:
        """What a cell may hold, in words."""
        if self.kind == "category":
            return "one of " + ", ".join(spellings[0] for spellings in self.categories)
        if self.kind not in _NUMERIC:
            return "text"
        noun = "a whole number" if self.kind == "integer" else "a number"
        noun += f" from {self.low:g} to {self.high:g}" + (f" {self.unit}" if self.unit else "")
        return noun + (" or a limit as '<0.3'" if self.kind == "detection_limited" else "")


class _Unreadable(ValueError):
    """A cell that holds no number: what is wrong, and how to mend it."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(f"{problem}; {mend}")
        self.problem, self.mend = problem, mend


def read_dictionary(path: Path) -> dict[str, Field]:
    """Read the data dictionary.

    Parameters
    ----------
    path
        ``config/metadata.tsv``: one row a field; lists in a cell are separated by ``;``.

    Returns
    -------
    dict of str -> Field
        Fields by name, in the file's order.

    Raises
    ------
    ValueError
        If the dictionary contradicts itself; the message names file, row and column.
    """
    with path.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE, restval=""))
    fields: dict[str, Field] = {}
    for number, row in enumerate(rows, start=2):
        try:
            field = _field(row)
        except (KeyError, ValueError, re.error) as error:
            detail = f"column {error} is missing" if isinstance(error, KeyError) else error
            raise ValueError(f"{path.name}, row {number}: {detail}") from None
        if field.name in fields:
            raise ValueError(f"{path.name}, row {number}: field {field.name!r} stands twice")
        fields[field.name] = field
    if not fields:
        raise ValueError(f"{path.name}: holds no field")
    for field in fields.values():
        for alias in field.aliases:
            if alias in fields:
                raise ValueError(
                    f"{path.name}, field {field.name!r}, column 'aliases': {alias!r} is a field"
                )
    return fields


def _field(row: Mapping[str, str]) -> Field:
    if None in row:  # DictReader's key for cells beyond the header
        raise ValueError("has more cells than the header")
    kind, name = row["type"], row["field"]
    if kind not in KINDS:
        raise ValueError(f"column 'type': {kind!r} is not one of {', '.join(KINDS)}")
    if row["certainty"] not in CERTAINTIES:
        raise ValueError(
            f"column 'certainty': {row['certainty']!r} is not one of {', '.join(CERTAINTIES)}"
        )
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"column 'field': {name!r} is not in small letters, digits and '_'")
    for column, of_kind in (("categories", "category"), ("patterns", "refused")):
        if bool(row[column]) != (kind == of_kind):
            raise ValueError(f"column {column!r}: fields of type {of_kind!r} need it, others not")
    if kind in _NUMERIC and not (row["low"] and row["high"]):
        raise ValueError("columns 'low' and 'high': a field of numbers needs both")
    field = Field(
        name=name,
        kind=kind,
        unit=row["unit"],
        low=_bound(row, "low", -math.inf),
        high=_bound(row, "high", math.inf),
        warn_low=_bound(row, "warn_low", -math.inf),
        warn_high=_bound(row, "warn_high", math.inf),
        warn_why=row["warn_why"],
        median_low=_bound(row, "median_low", -math.inf),
        median_high=_bound(row, "median_high", math.inf),
        categories=tuple(tuple(words.split("|")) for words in _list(row["categories"])),
        aliases=_list(row["aliases"]),
        other_units=tuple(_conversion(text) for text in _list(row["other_units"])),
        patterns=tuple(_pattern(text) for text in _list(row["patterns"])),
        meaning=row["meaning"],
    )
    if field.low > field.high or field.warn_low > field.warn_high:
        raise ValueError("a lower bound lies above its upper bound")
    spellings = [word.lower() for words in field.categories for word in words]
    if len(set(spellings)) < len(spellings):
        raise ValueError("column 'categories': a word stands twice")
    return field


def _list(cell: str) -> tuple[str, ...]:
    return tuple(cell.split(";")) if cell else ()


def _bound(row: Mapping[str, str], column: str, absent: float) -> float:
    if not row[column]:
        return absent
    if not _NUMBER.fullmatch(row[column]):
        raise ValueError(f"column {column!r}: {row[column]!r} is not a number")
    return float(row[column])


def _conversion(text: str) -> tuple[str, float]:
    name, _, factor = text.partition("*")
    if not _NUMBER.fullmatch(factor):
        raise ValueError(f"column 'other_units': {text!r} is not of the form name*factor")
    return name, float(factor)


def _pattern(text: str) -> re.Pattern[str]:
    """A regular expression on column names, or ``<regular expression of a scale> item <n>``."""
    scale, found, number = text.rpartition(" item ")
    if not found:
        return re.compile(text)
    scale = rf"(?:{scale})"
    return re.compile(
        # phq9_item9, phq_9_q09; a bare number (phq9_9) unless it is the length of a total
        rf"(?<![a-z]){scale}_?{_ITEM}_?0*{number}(?!\d)"
        rf"|(?<![a-z]){scale}(?:_|(?<=[a-z]))0*{number}(?![a-z0-9])(?!_(?:total|sum)(?![a-z]))"
        # item9_phq9, q9_of_the_phq9
        rf"|(?<![a-z]){_ITEM}_?0*{number}_(?:of_)?(?:the_)?{scale}(?![a-z])"
    )


def parse_limited(cell: str) -> tuple[float, str]:
    """Read a concentration that may lie beyond the detection limit of its assay.

    Parameters
    ----------
    cell
        A number, or a limit: ``<0.3``, ``< 0.3``, ``>500``; ``<=`` and ``≤`` count as ``<``.

    Returns
    -------
    (float, str)
        The number or the limit, and ``"below"`` or ``"above"`` where the true value lies beyond
        it, else ``""``. A missing cell is ``(nan, "")``.

    Raises
    ------
    ValueError
        If there is no number in the cell, or more than one; the message says how to mend it.

    Examples
    --------
    >>> parse_limited("1.2"), parse_limited("< 0.3"), parse_limited(">500")
    ((1.2, ''), (0.3, 'below'), (500.0, 'above'))
    """
    if is_missing(cell):
        return math.nan, ""
    match = _LIMITED.fullmatch(cell.strip())
    if not match:
        return _number(cell.strip()), ""
    sign, limit = match.groups()
    try:
        return _number(limit), "below" if sign[0] in "<≤" else "above"
    except _Unreadable:
        problem = f"is {cell.strip()!r}, whose limit is not a plain number"
        mend = f"write it as {sign}0.3: with a decimal point, without a unit"
        raise _Unreadable(problem, mend) from None


def is_missing(cell: str) -> bool:
    """Whether a cell is empty or one of `MISSING`, which R, Excel and pandas write for empty.

    >>> is_missing(""), is_missing("NA"), is_missing("none")
    (True, True, False)
    """
    return not cell.strip() or cell.strip() in MISSING


def _is_limit(cell: str) -> bool:
    return not is_missing(cell) and bool(_LIMITED.fullmatch(cell.strip()))


def _number(cell: str) -> float:
    """The cell as a finite number, stricter than float(), which takes '1_0', 'inf' and '１'."""
    if _NUMBER.fullmatch(cell):
        value = float(cell)
        if math.isfinite(value):
            return value
    if cell.lower() in _NO_VALUE:
        raise _Unreadable(f"is {cell!r}, which is not a number", _LEAVE_EMPTY)
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", cell):
        mend = f"write {cell.replace(',', '')} or, if the comma is decimal, a point instead"
        raise _Unreadable(f"is {cell!r}, with a comma", mend)
    if re.fullmatch(r"[+-]?\d*,\d+", cell):
        raise _Unreadable(f"is {cell!r}, with a decimal comma", f"write {cell.replace(',', '.')}")
    if _LIMITED.fullmatch(cell):
        mend = "this field takes no limits: write a number, or leave the cell empty"
        raise _Unreadable(f"is {cell!r}, which is a limit and not a value", mend)
    worded = re.fullmatch(r"([+-]?[\d.]+)\s*[A-Za-zµμ°%].*", cell)
    if worded and _NUMBER.fullmatch(worded[1]) and not _NUMBER.fullmatch(cell):
        mend = f"write only {worded[1]}, in the column's unit"
        raise _Unreadable(f"is {cell!r}, a number with a word", mend)
    raise _Unreadable(f"is {cell!r}, which is not a number", f"write a number; {_LEAVE_EMPTY}")


def columns_of(
    metadata: Mapping[str, Mapping[str, str]], rows: Mapping[str, int]
) -> dict[str, list[tuple[int, str]]]:
    """Turn metadata by sample into cells by column, each with its row in the sheet.

    Parameters
    ----------
    metadata
        Sample -> column -> cell, as in `moodbiome.sheet.Sheet`.
    rows
        Sample -> line of its first row.

    Examples
    --------
    >>> columns_of({"S1": {"age": "40"}, "S2": {"age": ""}}, {"S1": 2, "S2": 5})
    {'age': [(2, '40'), (5, '')]}
    """
    columns: dict[str, list[tuple[int, str]]] = {}
    for sample, cells in metadata.items():
        for column, cell in cells.items():
            columns.setdefault(column, []).append((rows[sample], cell))
    return columns


def check_metadata(
    columns: Columns, dictionary: Mapping[str, Field], name: str = "samples.tsv"
) -> tuple[list[Fault], list[Fault]]:
    """Find what cannot be, and what is probably not meant, in the metadata of samples.

    Parameters
    ----------
    columns
        Column -> cells, each with its row in the sheet. A column that is no field is numeric if
        all its known cells are numbers, else text, and is no fault.
    dictionary
        As given by `read_dictionary`.
    name
        Name of the sheet, for the messages.

    Returns
    -------
    (list of Fault, list of Fault)
        Faults, which must stop the run, and warnings, which must not. Faults of one kind in one
        column are told for the first five cells, warnings for the first, with the number of
        further ones.

    Examples
    --------
    >>> here = Path(__file__).parents[2] / "config" / "metadata.tsv"
    >>> faults, _ = check_metadata({"phq9_total": [(2, "9"), (3, "31")]}, read_dictionary(here))
    >>> print(faults[0])  # doctest: +NORMALIZE_WHITESPACE
    samples.tsv, row 3, column 'phq9_total': is 31, outside 0 to 27 points;
    correct it, or leave the cell empty if it is not known
    """
    faults: list[Fault] = []
    warnings: list[Fault] = []
    absent: list[Fault] = []
    names = _names(dictionary)
    for column, cells in columns.items():
        whole = f"{name}, column {column!r}"
        if refused := _refusal(column, dictionary.values()):
            faults.append(Fault(whole, *refused))
            continue
        known = []
        for row, cell in cells:
            place = f"{name}, row {row}, column {column!r}"
            if not is_missing(cell):
                known.append((place, cell.strip()))
            elif cell.strip():
                absent.append(
                    Fault(
                        place, f"is {cell.strip()!r}, read as missing", "empty cells say the same"
                    )
                )
        field = dictionary.get(column)
        if field is None:
            warnings += _name_warnings(column, whole, columns, dictionary, names)
            warnings += _inferred_warnings(known) or _text_warnings(known)
        elif field.kind in _NUMERIC:
            wrong, odd = _check_numbers(field, known, whole)
            faults += wrong
            warnings += odd
            beside = column + CENSORING
            if beside in columns and any(_is_limit(cell) for _, cell in known):
                mend = f"keep the limits in {column!r} and remove {beside!r}"
                faults.append(Fault(f"{name}, column {beside!r}", "will be written here", mend))
        elif field.kind == "category":
            faults += _check_categories(field, known)
        else:
            warnings += _text_warnings(known)
    return faults, warnings + _told(absent, 1)


def _told(found: list[Fault], shown: int) -> list[Fault]:
    """The first few, the last of them with the number of those left out."""
    more = len(found) - shown
    if more <= 0:
        return found
    last = found[shown - 1]
    note = f"{last.problem} (and {more} more cell{'s' if more > 1 else ''} like it)"
    return [*found[: shown - 1], last._replace(problem=note)]


def _refusal(column: str, fields: Iterable[Field]) -> tuple[str, str] | None:
    """Problem and mend of a column with answers about suicidality.

    Such an answer asks for somebody to act on it, and nobody watches a pipeline's tables. So that
    no one can believe otherwise, it is not taken in at all, and no message repeats its values.
    """
    plain = _plain(column)
    for field in fields:
        if any(pattern.search(plain) for pattern in field.patterns):
            return f"looks like {field.meaning}, {_WHY_REFUSED}", _MEND_REFUSED
    return None


def _check_numbers(
    field: Field, known: list[tuple[str, str]], whole: str
) -> tuple[list[Fault], list[Fault]]:
    """Faults and warnings of a numeric field's cells."""
    unreadable, broken, outside = [], [], []
    rare, zero, limited = [], [], []
    values = []
    why = field.warn_why or "check it"
    unit = f" {field.unit}" if field.unit else ""
    is_limited = field.kind == "detection_limited"
    for place, cell in known:
        try:
            value, censoring = parse_limited(cell) if is_limited else (_number(cell), "")
        except _Unreadable as error:
            unreadable.append(Fault(place, error.problem, error.mend))
            continue
        # The true value is smaller than a lower limit, so the limit itself is outside already.
        too_low = value < field.low or (censoring == "below" and value <= field.low)
        too_high = value > field.high or (censoring == "above" and value >= field.high)
        if field.kind == "integer" and value != int(value):
            mend = f"it takes {field.takes}: correct it"
            broken.append(Fault(place, f"is {cell}, which is not a whole number", mend))
        elif too_low or too_high:
            mend = "correct it, or leave the cell empty if it is not known"
            outside.append(
                Fault(place, f"is {cell}, outside {field.low:g} to {field.high:g}{unit}", mend)
            )
        else:
            values.append(value)
            if censoring:
                limited.append(Fault(place, f"is {cell}, beyond the detection limit", _AT_LIMIT))
            if is_limited and value == 0:
                zero.append(Fault(place, "is 0, which no assay can tell", _WRITE_LIMIT))
            # Of a censored value only a limit that lies outside itself says that the value does.
            elif value < field.warn_low and censoring != "above":
                rare.append(Fault(place, f"is {cell}{unit}, below {field.warn_low:g}", why))
            elif value > field.warn_high and censoring != "below":
                rare.append(Fault(place, f"is {cell}{unit}, above {field.warn_high:g}", why))
    faults = _told(unreadable, _SHOWN) + _told(broken, _SHOWN) + _told(outside, _SHOWN)
    warnings = _told(rare, 1) + _told(zero, 1) + _told(limited, 1)
    warnings += _unit_warnings(field, values, whole)
    return faults, warnings


def _unit_warnings(field: Field, values: list[float], whole: str) -> list[Fault]:
    """A column whose middle lies where that of no cohort does was measured in another unit."""
    if len(values) < _ENOUGH_FOR_MEDIAN:
        return []
    middle = median(values)
    if field.median_low <= middle <= field.median_high:
        return []
    # Values that are too small belong to a larger unit, and have to be multiplied.
    is_low = middle < field.median_low
    fitting = [
        f"{name} (x {factor:g})"
        for name, factor in field.other_units
        if factor != 1 and (factor > 1) == is_low
    ]
    side = f"below {field.median_low:g}" if is_low else f"above {field.median_high:g}"
    return [
        Fault(
            whole,
            f"has a median of {middle:g} {field.unit} in {len(values)} samples, {side}",
            "are the values in another unit" + (f", as {fitting[0]}?" if fitting else "?"),
        )
    ]


def _check_categories(field: Field, known: list[tuple[str, str]]) -> list[Fault]:
    """Cells that are no category, and categories spelled in two ways, which would count as two."""
    category = {word.lower(): words[0] for words in field.categories for word in words}
    spelled: dict[str, str] = {}
    unlisted, mixed = [], []
    for place, cell in known:
        of_cell = category.get(cell.lower())
        if of_cell is None:
            hint = suggestion(cell, category)
            if cell.lower() in _NO_VALUE:
                hint = f"{_LEAVE_EMPTY}; else "
            mend = f"{hint}use {field.takes}, or rename the column if it is about something else"
            unlisted.append(Fault(place, f"is {cell!r}", mend))
            continue
        first = spelled.setdefault(of_cell, cell)
        if first != cell:
            problem = f"is {cell!r}, and an earlier row says {first!r} for the same"
            mixed.append(Fault(place, problem, "use one of them throughout"))
    return _told(unlisted, _SHOWN) + _told(mixed, _SHOWN)


def _text_warnings(known: list[tuple[str, str]]) -> list[Fault]:
    """Words for a missing value, and words that differ only in case, which count as values."""
    words, cases = [], []
    spelled: dict[str, str] = {}
    for place, cell in known:
        first = spelled.setdefault(cell.lower(), cell)
        if cell.lower() in _NO_VALUE - {"none"}:
            words.append(Fault(place, f"is {cell!r}, which counts as a value", _LEAVE_EMPTY))
        elif first != cell:
            problem = f"is {cell!r}, and an earlier row says {first!r}: they count as two values"
            cases.append(Fault(place, problem, "use one of them throughout"))
    return _told(words, 1) + _told(cases, 1)


def _inferred_warnings(known: list[tuple[str, str]]) -> list[Fault]:
    """One slip among numbers makes a column text, and so a variable of many levels in a model."""
    others = []
    for place, cell in known:
        try:
            _number(cell)
        except _Unreadable as error:
            others.append((place, cell, error.mend))
    numbers = len(known) - len(others)
    if not others or numbers < _MOSTLY * len(known):
        return []
    place, cell, mend = others[0]
    problem = f"is {cell!r}, so the column counts as text, though {numbers} of {len(known)} cells"
    return [Fault(place, f"{problem} are numbers", mend)]


def _plain(column: str) -> str:
    """The name in small letters, with '_' for whatever is no letter or digit.

    >>> _plain("PHQ-9 (Item 9)")
    'phq_9_item_9'
    """
    return re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")


def _key(column: str) -> str:
    """What is left of a name without punctuation and the words that add nothing to it.

    >>> _key("PHQ-9 score"), _key("phq9_total"), _key("CRP (mg/L)")
    ('phq9', 'phq9', 'crpmgl')
    """
    words = _plain(column).split("_")
    while len(words) > 1 and words[-1] in ("total", "tot", "sum", "score", "value", "level"):
        words.pop()
    return "".join(words)


def _joined(column: str) -> str:
    return _plain(column).replace("_", "")


def _names(dictionary: Mapping[str, Field]) -> dict[str, list[str]]:
    """Fields with checks, by the key of their name or, if that is no field's, of their aliases."""
    checked = [field for field in dictionary.values() if field.kind in _CHECKED]
    own = {key(field.name): [field.name] for field in checked for key in (_key, _joined)}
    names: dict[str, list[str]] = {}
    for field in checked:
        for key in dict.fromkeys(map(_key, field.aliases)):
            names.setdefault(key, []).append(field.name)
    return names | own


def _name_warnings(
    column: str,
    whole: str,
    columns: Columns,
    dictionary: Mapping[str, Field],
    names: Mapping[str, list[str]],
) -> list[Fault]:
    """Say which name a column should have, where it is nearly that of a field."""
    key = _key(column)
    for field in dictionary.values():
        for name, factor in field.other_units:
            if key == _key(name) and field.name not in columns:
                times = "" if factor == 1 else f"multiply the values by {factor:g} and "
                problem = f"holds {field.name!r} in another unit, so it is not checked"
                return [Fault(whole, problem, f"{times}name the column {field.name!r}")]
    meant = names.get(key) or _close(column, dictionary)
    if not meant or any(name in columns for name in meant):
        return []
    if len(meant) > 1:
        choice = " or ".join(f"{name!r} ({dictionary[name].takes})" for name in meant)
        problem = "does not say which version or part of a scale it is, so it is not checked"
        return [Fault(whole, problem, f"name it {choice}")]
    field = dictionary[meant[0]]
    problem = f"is no known field; {field.name!r} is, and its values are checked"
    return [Fault(whole, problem, f"rename it if it is that: {field.takes} ({field.meaning})")]


def _close(column: str, dictionary: Mapping[str, Field]) -> list[str]:
    """Fields whose name differs in a letter or two, and in no digit: digits tell versions apart."""
    word = _joined(column)
    rivals = {
        _joined(field.name): field.name
        for field in dictionary.values()
        if field.kind in _CHECKED and abs(len(_joined(field.name)) - len(word)) <= 2
    }
    same = [rival for rival in rivals if _digits(rival) == _digits(word)]
    close = get_close_matches(word, same, n=1, cutoff=0.85) if len(word) >= 5 else []
    return [rivals[close[0]]] if close else []


def _digits(name: str) -> str:
    return re.sub(r"\D", "", name)


def tidy_metadata(
    metadata: Mapping[str, Mapping[str, str]], dictionary: Mapping[str, Field]
) -> dict[str, dict[str, str]]:
    """Metadata as the analyses need them: missing cells empty, and numbers where numbers belong.

    Parameters
    ----------
    metadata
        Sample -> column -> cell, without fault by `check_metadata`.
    dictionary
        As given by `read_dictionary`.

    Returns
    -------
    dict of str -> dict of str -> str
        The same samples and columns, in order. Whole numbers lose a trailing ``.0``. Where a
        column holds limits, each cell becomes the limit itself, and a column
        ``<name>_censoring`` beside it says ``below``, ``above`` or nothing: left as it is, one
        ``<0.3`` would make the column text, and each of its values a group of its own.

    Examples
    --------
    >>> here = Path(__file__).parents[2] / "config" / "metadata.tsv"
    >>> cells = {"crp_mg_l": "<0.3", "phq9_total": "7.0", "site": "NA"}
    >>> tidy_metadata({"S1": cells}, read_dictionary(here))["S1"]
    {'crp_mg_l': '0.3', 'crp_mg_l_censoring': 'below', 'phq9_total': '7', 'site': ''}
    """
    limited = {
        column
        for cells in metadata.values()
        for column, cell in cells.items()
        if _kind(column, dictionary) == "detection_limited" and _is_limit(cell)
    }
    tidy: dict[str, dict[str, str]] = {}
    for sample, cells in metadata.items():
        row = tidy.setdefault(sample, {})
        for column, cell in cells.items():
            row[column] = "" if is_missing(cell) else cell.strip()
            if column in limited:
                match = _LIMITED.fullmatch(row[column])
                row[column] = match[2] if match else row[column]
                row[column + CENSORING] = parse_limited(cell)[1]
            elif _kind(column, dictionary) == "integer" and row[column]:
                row[column] = str(int(_number(row[column])))
    return tidy


def _kind(column: str, dictionary: Mapping[str, Field]) -> str:
    return dictionary[column].kind if column in dictionary else ""
