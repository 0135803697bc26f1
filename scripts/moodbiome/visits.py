"""Subjects, timepoints and arms of a sheet: their order, and what is wrong with them.

Only the standard library: the sheet is checked at every start of the workflow.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from moodbiome.faults import Fault, after, suggestion
from moodbiome.sheet import Sheet

_SHOWN = 5
PHASES = ("before", "during", "after")


def order_timepoints(values: Iterable[str], given: Sequence[Any] = ()) -> list[str]:
    """Timepoints in their order: as given, or by number.

    Parameters
    ----------
    values
        Cells of the timepoint column; empty ones are none.
    given
        Their order, if they are not numbers.

    Raises
    ------
    ValueError
        If they have no order: words, or one number in two spellings.

    Examples
    --------
    >>> order_timepoints(["12", "0", "4", "0", ""])
    ['0', '4', '12']
    >>> order_timepoints(["after", "before"], ["before", "after"])
    ['before', 'after']
    """
    if given:
        return [str(value) for value in given]
    known = sorted({value for value in values if value})
    numbers = {value: _number(value) for value in known}
    words = [value for value in known if math.isnan(numbers[value])]
    if words:
        others = ", not numbers throughout" if len(words) < len(known) else ""
        raise ValueError(f"holds {', '.join(map(repr, words[:_SHOWN]))}{others}")
    ordered = sorted(known, key=numbers.__getitem__)
    for one, other in pairwise(ordered):
        if numbers[one] == numbers[other]:
            raise ValueError(f"holds {one!r} and {other!r}, which are the same number")
    return ordered


def timepoints_of(cohort: Mapping[str, Any], sheet: Sheet) -> list[str]:
    """All timepoints in their order, of settings and a sheet without fault."""
    column = cohort["timepoint"]
    values = [cells[column] for cells in _of_people(sheet).values()]
    return order_timepoints(values, cohort["timepoints"])


def timepoints_from_baseline(cohort: Mapping[str, Any], sheet: Sheet) -> list[str]:
    """The baseline and the timepoints after it, of settings and a sheet without fault."""
    order = timepoints_of(cohort, sheet)
    baseline = str(cohort["baseline"])
    return order[order.index(baseline) :] if baseline else order


def intake_phases(order: Sequence[str], during: Iterable[Any]) -> dict[str, str]:
    """Phase of each timepoint, by those at which the organisms were taken.

    Parameters
    ----------
    order
        Timepoints, as of `order_timepoints`.
    during
        Some of them, without a gap.

    Raises
    ------
    ValueError
        If one of them is no timepoint, or another lies between them.

    Examples
    --------
    >>> intake_phases(["0", "4", "8", "12"], [4, 8])
    {'0': 'before', '4': 'during', '8': 'during', '12': 'after'}
    """
    named = {str(value) for value in during}
    if unknown := sorted(named - set(order)):
        raise ValueError(f"no sample has timepoint {unknown[0]!r}")
    places = [place for place, value in enumerate(order) if value in named]
    first, last = places[0], places[-1]
    if gap := [value for value in order[first:last] if value not in named]:
        raise ValueError(f"lacks {gap[0]!r}, which lies between those given")
    return {value: PHASES[(at >= first) + (at > last)] for at, value in enumerate(order)}


def intake_faults(
    intake: Mapping[str, Sequence[Any]],
    cohort: Mapping[str, Any],
    sheet: Sheet,
    organisms: Sequence[str],
) -> list[Fault]:
    """What forbids the check of intake that the settings ask for.

    Parameters
    ----------
    intake
        The settings ``psychobiotics.intake``.
    cohort
        The settings ``cohort``, without fault (see `visit_faults`).
    sheet
    organisms
        All that can be asked for: species and genera of the panel, and strains of the table.
    """
    key = "config: psychobiotics.intake"
    during, wanted, arms = intake["during"], intake["organisms"], intake["arms"]
    if not during:
        given = [name for name in ("organisms", "arms") if intake[name]]
        mend = "name the timepoints of intake there, or leave all of it empty"
        return [Fault(f"{key}.during", f"is empty, and {name} is set", mend) for name in given]
    faults = []
    if not wanted:
        mend = f"name what was given, of: {', '.join(organisms)}"
        faults.append(Fault(f"{key}.organisms", "is empty", mend))
    for name in wanted:
        if name not in organisms:
            meant = _abbreviated(name, organisms) or suggestion(name, organisms)
            mend = after(meant, f"known are: {', '.join(organisms)}")
            problem = f"{name!r} is not in the panel and no strain of the table"
            faults.append(Fault(f"{key}.organisms", problem, mend))
    if not cohort["subject"]:
        mend = "name the columns with the person and the visit in cohort.subject and .timepoint"
        return [*faults, Fault(f"{key}.during", "is set, and cohort.subject is not", mend)]
    order = timepoints_of(cohort, sheet)
    try:
        intake_phases(order, during)
    except ValueError as error:
        words = [str(value) for value in during if str(value) not in order]
        mend = after(
            suggestion(words[0], order) if words else "", f"timepoints are: {', '.join(order)}"
        )
        faults.append(Fault(f"{key}.during", str(error), mend))
    if arms and not cohort["arm"]:
        mend = "name the column in cohort.arm, or leave this empty: all took it"
        return [*faults, Fault(f"{key}.arms", "is set, and cohort.arm is not", mend)]
    people = _of_people(sheet).values()
    known = sorted({cells[cohort["arm"]] for cells in people} - {""}) if arms else []
    for arm in arms:
        if arm not in known:
            mend = after(suggestion(arm, known), f"arms are: {', '.join(known)}")
            problem = f"no subject has {arm!r} in column {cohort['arm']!r}"
            faults.append(Fault(f"{key}.arms", problem, mend))
    return faults


def _abbreviated(name: str, organisms: Sequence[str]) -> str:
    """A question naming the one species that is written so for short, or nothing.

    >>> _abbreviated("B. breve", ["B. breve CCFM1025", "bifidobacterium_breve"])
    "did you mean 'bifidobacterium_breve'? "
    """
    words = re.fullmatch(r"([A-Za-z])[a-z]{0,2}\.?[ _]+([a-z]+)", name.strip())
    if not words:
        return ""
    pattern = re.compile(rf"{words[1].lower()}[a-z]+_{words[2]}")
    meant = [organism for organism in organisms if pattern.fullmatch(organism)]
    return f"did you mean {meant[0]!r}? " if len(meant) == 1 else ""


def visit_faults(
    cohort: Mapping[str, Any], outcomes: Mapping[str, Sequence[str]], sheet: Sheet, name: str
) -> list[Fault]:
    """What forbids a longitudinal analysis that the settings ask for.

    Parameters
    ----------
    cohort
        The settings ``cohort``.
    outcomes
        Columns of the sheet by setting: ``longitudinal.scales`` and ``longitudinal.markers``. Those
        that the sheet does not have are not looked at.
    sheet, name
        The sheet, and the name of its file for the messages.
    """
    faults = _setting_faults(cohort, sheet)
    if faults or not cohort["subject"]:
        return faults
    subject, timepoint, arm = cohort["subject"], cohort["timepoint"], cohort["arm"]
    rows = {unit.sample: unit.row for unit in reversed(sheet.units)}
    people = _of_people(sheet)

    def place(sample: str, column: str) -> str:
        return f"{name}, row {rows[sample]}, column {column!r}"

    faults += _timepoint_faults(cohort, [cells[timepoint] for cells in people.values()], name)
    if arm:
        faults += _arm_faults(cohort, people, place, name)
    seen: dict[tuple[str, str, str], str] = {}
    taken = [sample for sample, cells in people.items() if not cells["exclude"]]
    twice = []
    assays: dict[str, list[str]] = {}
    for sample, assay in sheet.samples:
        assays.setdefault(sample, []).append(assay)
    for sample in taken:
        cells = people[sample]
        for assay in assays[sample]:
            key = (cells[subject], cells[timepoint], assay)
            if all(key) and (first := seen.setdefault(key, sample)) != sample:
                problem = (
                    f"sample {sample!r} is the second of subject {key[0]!r} at timepoint "
                    f"{key[1]!r} ({assay}), after {first!r}"
                )
                mend = f"correct {subject!r} or {timepoint!r}, or give one a reason in 'exclude'"
                twice.append(Fault(place(sample, timepoint), problem, mend))
    faults += _first(twice)
    times: dict[str, set[str]] = {}
    for person, time, _ in seen:
        times.setdefault(person, set()).add(time)
    if not any(len(each) > 1 for each in times.values()):
        mend = "correct the columns, or leave cohort.subject and cohort.timepoint empty"
        problem = "no subject has samples at two timepoints"
        faults.append(Fault("config: cohort.subject", problem, mend))
    visits = {sample: people[sample] for sample in taken}
    for setting, columns in outcomes.items():
        for column in columns:
            if column in sheet.columns:
                faults += _value_faults(column, setting, visits, cohort, place)
    return faults


def _of_people(sheet: Sheet) -> dict[str, dict[str, str]]:
    return {
        sample: cells
        for sample, cells in sheet.metadata.items()
        if cells["sample_type"] == "sample"
    }


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _first(faults: list[Fault]) -> list[Fault]:
    """The first few; the last of them says how many more there are."""
    more = len(faults) - _SHOWN
    if more <= 0:
        return faults
    last = faults[_SHOWN - 1]
    return [*faults[: _SHOWN - 1], last._replace(problem=f"{last.problem} (and {more} more)")]


def _setting_faults(cohort: Mapping[str, Any], sheet: Sheet) -> list[Fault]:
    """Settings that need another one, and columns that the sheet lacks."""
    needs = {
        "subject": "timepoint",
        "timepoint": "subject",
        "arm": "subject",
        "timepoints": "timepoint",
        "baseline": "timepoint",
        "arm_reference": "arm",
    }
    faults = [
        Fault(f"config: cohort.{key}", f"is set, and cohort.{other} is not", "set both or neither")
        for key, other in needs.items()
        if cohort[key] not in ("", []) and not cohort[other]
    ]
    for key in ("subject", "timepoint", "arm"):
        column = cohort[key]
        if column and column not in sheet.columns:
            mend = after(
                suggestion(column, sheet.columns), f"columns are: {', '.join(sheet.columns)}"
            )
            problem = f"the sheet has no column {column!r}"
            faults.append(Fault(f"config: cohort.{key}", problem, mend))
    return faults


def _timepoint_faults(cohort: Mapping[str, Any], values: list[str], name: str) -> list[Fault]:
    column, given = cohort["timepoint"], [str(value) for value in cohort["timepoints"]]
    known = {value for value in values if value}
    try:
        order = order_timepoints(known, given)
    except ValueError as error:
        mend = "write numbers of one unit, or list all in their order in cohort.timepoints"
        return [Fault(f"{name}, column {column!r}", str(error), mend)]
    faults = []
    for value in sorted(known - set(order)):
        mend = after(suggestion(value, order), "add it in its place, or correct the sheet")
        problem = f"lacks {value!r} of column {column!r}"
        faults.append(Fault("config: cohort.timepoints", problem, mend))
    for value in dict.fromkeys(order):
        if value not in known or order.count(value) > 1:
            problem = f"names {value!r} " + ("twice" if value in known else "of no sample")
            faults.append(Fault("config: cohort.timepoints", problem, "take it out"))
    baseline = str(cohort["baseline"])
    if baseline and baseline not in order:
        mend = after(suggestion(baseline, order), f"timepoints are: {', '.join(order)}")
        problem = f"no sample has timepoint {baseline!r}"
        faults.append(Fault("config: cohort.baseline", problem, mend))
    elif baseline and baseline == order[-1]:
        mend = "name an earlier one"
        faults.append(Fault("config: cohort.baseline", f"{baseline!r} is the last timepoint", mend))
    return faults


def _arm_faults(
    cohort: Mapping[str, Any], people: Mapping[str, Mapping[str, str]], place: Any, name: str
) -> list[Fault]:
    subject, arm, reference = cohort["subject"], cohort["arm"], cohort["arm_reference"]
    given: dict[str, str] = {}
    two = []
    for sample, cells in people.items():
        if not cells[subject] or not cells[arm]:
            continue
        first = given.setdefault(cells[subject], cells[arm])
        if first != cells[arm]:
            problem = (
                f"is {cells[arm]!r}; an earlier row of subject {cells[subject]!r} says {first!r}"
            )
            mend = "write the arm the subject was given, whatever was taken"
            two.append(Fault(place(sample, arm), problem, mend))
    faults = _first(two)
    arms = sorted(set(given.values()))
    if len(arms) < 2:
        problem = f"subjects have {', '.join(map(repr, arms)) or 'no arm'} only: nothing to compare"
        mend = "correct the column, or leave cohort.arm empty for change over time alone"
        faults.append(Fault(f"{name}, column {arm!r}", problem, mend))
    if reference not in arms:
        mend = after(suggestion(reference, arms), f"arms are: {', '.join(arms) or 'none'}")
        problem = f"no subject has {reference!r} in column {arm!r}"
        faults.append(Fault("config: cohort.arm_reference", problem, mend))
    return faults


def _value_faults(
    column: str,
    key: str,
    people: Mapping[str, Mapping[str, str]],
    cohort: Mapping[str, Any],
    place: Any,
) -> list[Fault]:
    """Cells that are no numbers, and samples of one visit that disagree."""
    faults = []
    visits: dict[tuple[str, str], str] = {}
    for sample, cells in people.items():
        cell = cells[column]
        if not cell:
            continue
        value = _number(cell)
        if math.isnan(value) or (value < 0 and key == "longitudinal.markers"):
            mend = f"correct it, or take the column out of {key}"
            least = " of 0 or more" if key == "longitudinal.markers" else ""
            faults.append(Fault(place(sample, column), f"is {cell!r}, no number{least}", mend))
            continue
        visit = (cells[cohort["subject"]], cells[cohort["timepoint"]])
        first = visits.setdefault(visit, cell)
        if all(visit) and _number(first) != value:
            problem = (
                f"is {cell!r}; another sample of subject {visit[0]!r} at timepoint {visit[1]!r} "
                f"says {first!r}"
            )
            mend = "make the samples of a visit agree"
            faults.append(Fault(place(sample, column), problem, mend))
    return _first(faults)
