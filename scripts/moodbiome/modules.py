"""Gut-brain modules: what the genes of a community could do, from copies of gene families.

A module is a list of steps, a step a choice of alternatives, an alternative one gene family or
several that are needed together. That a genome has the genes is potential; it measures no
substance.
"""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moodbiome.faults import Fault, NotRun, suggestion

MODULE_COLUMNS = (
    *("module", "name", "class", "role", "gbm", "computable", "reason", "direction"),
    *("direction_source", "direction_certainty", "caution", "evidence"),
)
STEP_COLUMNS = (
    *("module", "step", "alternative", "family", "gene", "ec", "required", "certainty", "source"),
)
_NEEDED = ("module", "step", "alternative", "family")
_WORDS = {
    "role": ("synthesis", "degradation", "protein", ""),
    "computable": ("yes", "no"),
    "direction": ("lower", "higher", ""),
    "direction_certainty": ("verified", "memory", ""),
    "required": ("yes", ""),
    "certainty": ("verified", "memory", ""),
}
OWN_CLASS = "modules of your own"

KO = re.compile(r"K\d{5}")
_OTHER_FAMILY = re.compile(r"[A-Za-z]+:[A-Za-z0-9._-]+")
# Of orthologous groups and TIGRFAMs, which omixer's own modules name beside KO.
_BLOCK_FAMILY = re.compile(r"K\d{5}|[A-Z0-9]*[CN]OG\d+|TIGR\d+")
_MODULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_END = "///"

PRESENT, ABSENT = "present", "absent"
NOT_ASSESSABLE, NOT_COMPUTABLE = "not_assessable", "not_computable"
STATUSES = (PRESENT, ABSENT, NOT_ASSESSABLE, NOT_COMPUTABLE)

COPIES = "copies per genome"
RPK = "rpk"
"""Unit of a table that could not be brought to copies per genome, and grows with depth."""

COLUMNS = (
    *("sample", "module", "abundance", "low", "high", "abundance_minimum", "coverage"),
    *("assessable", "steps", "partial_steps", "status", "reason"),
)
STEP_RESULT_COLUMNS = (
    *("sample", "module", "step", "abundance", "detection_limit", "detected", "alternatives"),
    "alternatives_assessable",
)

# Fragments to be expected so that 95 % of samples have one: -ln(0.05).
_EXPECTED_FRAGMENTS = 3.0
_MATES = 2.0

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Definitions:
    """Modules and their steps.

    Attributes
    ----------
    modules : DataFrame
        One row a module, columns `MODULE_COLUMNS`; text.
    steps : DataFrame
        One row a member of an alternative, columns `STEP_COLUMNS`; text, but for `alternative`.
        Rows of a module stand together, as do those of a step.
    """

    modules: pd.DataFrame
    steps: pd.DataFrame

    @property
    def families(self) -> list[str]:
        """Every gene family that a step names, sorted."""
        return sorted(set(self.steps["family"]))


class Thresholds(NamedTuple):
    """When a module is called.

    Attributes
    ----------
    min_assessable : float
        Least share of the steps that have to be assessable.
    min_coverage : float
        Least share of the assessable steps that a sample has to show.
    min_abundance : float
        Copies per genome from which a step is detected, and which a sample must have been able to
        show before a step counts as missing. Not used with other units: there any amount above 0
        is detected.
    min_fragments : int
        Fragments that a step must have to be detected, where they are known. A single one may be
        a chance hit, and where one is enough for `min_abundance` it calls a module of one gene.
    """

    min_assessable: float = 0.5
    min_coverage: float = 0.66
    min_abundance: float = 0.01
    min_fragments: int = 2


def read_definitions(
    modules: Path, steps: Path, more: Sequence[Path] = ()
) -> tuple[Definitions | None, list[Fault]]:
    """Read module definitions, and find everything wrong with them.

    Parameters
    ----------
    modules, steps
        The tables of config/function.
    more
        Further files: tables like `steps` (needed are module, step, alternative and family), or
        blocks as omixer-rpm reads them: the first line has id and name, every other one is a step,
        tabs part alternatives, commas the members of one; ``///`` ends a block.

    Returns
    -------
    (Definitions or None, list of Fault)
        None if there is a fault.
    """
    named, of_modules = _read(modules, MODULE_COLUMNS)
    members, of_steps = _read(steps, STEP_COLUMNS)
    faults = of_modules + of_steps
    if named is None or members is None:
        return None, faults
    faults += _word_faults(named, modules.name) + _word_faults(members, steps.name)
    faults += _step_faults(members, steps.name)
    faults += _module_faults(named, members, modules.name, steps.name)
    tables, parts = [named], [members]
    for path in more:
        own, own_steps, of_file = _read_more(path)
        faults += of_file
        if own is None or own_steps is None:
            continue
        known = set(pd.concat(tables)["module"])
        faults += [
            Fault(path.name, f"module {name!r} is defined already", "give it another id")
            for name in own["module"]
            if name in known
        ]
        tables.append(own)
        parts.append(own_steps)
    if faults:
        return None, faults
    joined = pd.concat(parts, ignore_index=True)
    joined["alternative"] = joined["alternative"].astype(int)
    table = pd.concat(tables, ignore_index=True)
    # Rows of one step stand together from here on, whatever their order in the file.
    order = {name: place for place, name in enumerate(table["module"])}
    first = joined.groupby(["module", "step"], sort=False).ngroup()
    joined = joined.iloc[
        np.lexsort((joined["alternative"], first, joined["module"].map(order)))
    ].reset_index(drop=True)
    return Definitions(table, joined), []


def _read(path: Path, columns: Sequence[str]) -> tuple[pd.DataFrame | None, list[Fault]]:
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=3)
    except FileNotFoundError:
        return None, [Fault(str(path), "is missing", "correct the path")]
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        said = " ".join(str(error).split())
        return None, [Fault(path.name, f"cannot be read ({said})", "save it as a TSV file, UTF-8")]
    faults = [
        Fault(
            path.name,
            f"column {column!r} is missing",
            f"{suggestion(column, table.columns)}Columns are: {', '.join(columns)}",
        )
        for column in columns
        if column not in table.columns
    ]
    return (None if faults else table.apply(lambda cells: cells.str.strip())), faults


def _word_faults(table: pd.DataFrame, name: str) -> list[Fault]:
    return [
        Fault(
            f"{name}, row {row + 2}, column {column!r}",
            f"is {cell!r}",
            f"write {', '.join(word or 'nothing' for word in words)}",
        )
        for column, words in _WORDS.items()
        if column in table
        for row, cell in enumerate(table[column])
        if cell not in words
    ]


def _step_faults(steps: pd.DataFrame, name: str) -> list[Fault]:
    faults = []
    seen: dict[tuple[str, str, str], tuple[str, int]] = {}
    required: dict[tuple[str, str], str] = {}
    for number, cells in enumerate(steps[[*_NEEDED, "required"]].itertuples(index=False), 2):
        module, step, alternative, family, needed = map(str, cells)
        place = f"{name}, row {number}, column"
        if not _MODULE.fullmatch(module):
            mend = "write letters, digits, '_', '.' and '-'"
            faults.append(Fault(f"{place} 'module'", f"is {module!r}", mend))
        if not step:
            faults.append(Fault(f"{place} 'step'", "is empty", "name the step"))
        if not re.fullmatch(r"[1-9]\d*", alternative):
            mend = "number the alternatives of a step from 1 on"
            faults.append(Fault(f"{place} 'alternative'", f"is {alternative!r}", mend))
        if not (KO.fullmatch(family) or _OTHER_FAMILY.fullmatch(family)):
            mend = "write K and five digits, or CATALOGUE:id for a family that KO does not have"
            faults.append(Fault(f"{place} 'family'", f"is {family!r}", mend))
        first, row = seen.setdefault((module, step, family), (alternative, number))
        if row != number:
            step_words = f"step {step!r} of {module!r}"
            is_same = first == alternative
            faults.append(_twice(f"{name}, row {number}", family, step_words, row, is_same))
        if required.setdefault((module, step), needed) != needed:
            problem = f"differs from the other rows of step {step!r} of {module!r}"
            faults.append(Fault(f"{place} 'required'", problem, "write the same in all of them"))
    return faults


def _twice(place: str, family: str, step: str, row: int, is_same_alternative: bool) -> Fault:
    mend = "keep one" if is_same_alternative else "keep one: its copies would count twice"
    return Fault(place, f"{family} stands in {step} already (row {row})", mend)


def _module_faults(
    modules: pd.DataFrame, steps: pd.DataFrame, name: str, steps_name: str
) -> list[Fault]:
    faults = []
    families = steps.groupby("module")["family"].agg(list).to_dict()
    twice = modules["module"].duplicated()
    for row, cells in enumerate(modules.to_dict("records"), 2):
        module, place = cells["module"], f"{name}, row {row}"
        if twice[row - 2]:
            faults.append(Fault(place, f"module {module!r} stands twice", "keep one row"))
        if not _MODULE.fullmatch(module):
            mend = "write letters, digits, '_', '.' and '-'"
            faults.append(Fault(f"{place}, column 'module'", f"is {module!r}", mend))
        for column in ("name", "class"):
            if not cells[column]:
                faults.append(Fault(f"{place}, column {column!r}", "is empty", "fill it in"))
        if cells["computable"] == "no" and not cells["reason"]:
            problem = f"module {module!r} is not computable without a reason"
            faults.append(Fault(place, problem, "fill in the column 'reason'"))
        if cells["computable"] == "no" and module in families:
            problem = f"module {module!r} is not computable and has steps in {steps_name}"
            faults.append(Fault(place, problem, "delete them, or write computable: yes"))
        if cells["computable"] == "yes" and not any(map(KO.fullmatch, families.get(module, []))):
            problem = f"module {module!r} has no step with a KO in {steps_name}"
            faults.append(Fault(place, problem, "add its steps, or write computable: no"))
        said = [cells[key] for key in ("direction", "direction_source", "direction_certainty")]
        if any(said) and not all(said):
            problem = f"module {module!r} has a direction without source and certainty, or no other"
            faults.append(Fault(place, problem, "fill in all three columns, or none"))
    known = list(modules["module"])
    faults += [
        Fault(
            f"{steps_name}, row {row}, column 'module'",
            f"{module!r} is not in {name}",
            f"{suggestion(module, known)}Add it there",
        )
        for row, module in enumerate(steps["module"], 2)
        if module not in known
    ]
    return faults


def _read_more(path: Path) -> tuple[pd.DataFrame | None, pd.DataFrame | None, list[Fault]]:
    """Modules and steps of a file of the user's own."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return (
            None,
            None,
            [Fault("config: function.modules", f"no file {str(path)!r}", "correct the path")],
        )
    except (OSError, UnicodeDecodeError):
        return None, None, [Fault(path.name, "cannot be read", "save it as UTF-8 text")]
    if any(line.strip() == _END for line in text.splitlines()):
        return _of_blocks(text, path.name)
    table, faults = _read(path, _NEEDED)
    if table is None:
        return None, None, faults
    names = dict(zip(table["module"], table.get("name", table["module"]), strict=True))
    steps = table.reindex(columns=list(STEP_COLUMNS), fill_value="")
    faults = _word_faults(steps, path.name) + _step_faults(steps, path.name)
    own = _own_modules(names, path.name)
    faults += _module_faults(own, steps, path.name, path.name) if not faults else []
    if not len(steps):
        faults.append(Fault(path.name, "holds no step", "write one row a member of a step"))
    return (None, None, faults) if faults else (own, steps, [])


def _own_modules(names: Mapping[str, str], file: str) -> pd.DataFrame:
    table = pd.DataFrame({"module": list(names), "name": list(names.values())}, dtype="str")
    table = table.reindex(columns=list(MODULE_COLUMNS), fill_value="")
    return table.assign(**{"class": OWN_CLASS, "computable": "yes", "evidence": f"of {file}"})


def _of_blocks(
    text: str, file: str
) -> tuple[pd.DataFrame | None, pd.DataFrame | None, list[Fault]]:
    names: dict[str, str] = {}
    rows: list[tuple[str, str, int, str]] = []
    faults: list[Fault] = []
    module, n_steps = "", 0
    lines = [*enumerate(text.splitlines(), 1)]
    last = next((number for number, line in reversed(lines) if line.strip()), 0)
    for number, line in lines:
        place = f"{file}, row {number}"
        if not line.strip():
            continue
        if line.strip() == _END or number == last:
            if module and not n_steps:
                faults.append(Fault(place, f"module {module!r} has no step", "write its steps"))
            if line.strip() != _END:
                faults.append(Fault(place, "the block has no end", f"write {_END} after it"))
            module, n_steps = "", 0
            continue
        if not module:
            module, _, name = (part.strip() for part in line.partition("\t"))
            if KO.match(module) or not _MODULE.fullmatch(module):
                problem = f"a block begins with {module!r}, which is no id of a module"
                faults.append(Fault(place, problem, "begin it with the module's id, tab, name"))
            if module in names:
                faults.append(Fault(place, f"module {module!r} stands twice", "keep one"))
            names[module] = name or module
            continue
        n_steps += 1
        step = f"step_{n_steps}"
        seen: dict[str, int] = {}
        for alternative, cell in enumerate(line.rstrip("\r\n").strip("\t").split("\t"), 1):
            families = [_block_family(family) for family in cell.split(",")]
            if not all(families) or any(" " in family for family in families):
                mend = "part alternatives by one tab and members of one by a comma"
                faults.append(Fault(place, f"{cell!r} is no list of gene families", mend))
                continue
            for family in families:
                if not (_BLOCK_FAMILY.fullmatch(family) or _OTHER_FAMILY.fullmatch(family)):
                    mend = "write K and five digits, or an id of COG, NOG or TIGR, or CATALOGUE:id"
                    faults.append(Fault(place, f"{family!r} is no gene family", mend))
                if family in seen:
                    is_same = seen[family] == alternative
                    step_words = f"step {step!r} of {module!r}"
                    faults.append(_twice(place, family, step_words, number, is_same))
                seen.setdefault(family, alternative)
            rows += [(module, step, alternative, family) for family in families]
    if faults:
        return None, None, faults
    steps = pd.DataFrame(rows, columns=list(_NEEDED)).reindex(
        columns=list(STEP_COLUMNS), fill_value=""
    )
    return _own_modules(names, file), steps.astype({"alternative": str}), []


def _block_family(cell: str) -> str:
    """A family's id as tables have it; those of catalogues are letter by letter as they are."""
    text = cell.strip()
    return text.upper() if _BLOCK_FAMILY.fullmatch(text.upper()) else text


@dataclass(frozen=True)
class _Plan:
    """Where each member, alternative, step and module begins in the rows of the steps."""

    members: NDArray[np.intp]
    alternatives: NDArray[np.intp]
    steps: NDArray[np.intp]
    n_alternatives: NDArray[np.intp]
    modules: list[tuple[str, slice]]
    step_names: list[str]
    required: Flags
    families: list[str]


def _plan(definitions: Definitions) -> _Plan:
    table = definitions.steps
    families = definitions.families
    place = {family: row for row, family in enumerate(families)}

    def starts(columns: list[str]) -> NDArray[np.intp]:
        changed = table[columns].ne(table[columns].shift()).any(axis="columns")
        return np.flatnonzero(changed)

    alternatives = starts(["module", "step", "alternative"])
    step_rows = starts(["module", "step"])
    module_rows = starts(["module"])
    first_alternatives = np.searchsorted(alternatives, step_rows)
    ends = np.append(np.searchsorted(step_rows, module_rows), len(step_rows))
    names = table["module"].iloc[module_rows]
    return _Plan(
        members=np.array([place[family] for family in table["family"]], dtype=np.intp),
        alternatives=alternatives,
        steps=first_alternatives,
        n_alternatives=np.diff(np.append(first_alternatives, len(alternatives))),
        modules=[
            (module, slice(first, end))
            for module, (first, end) in zip(names, pairwise(ends), strict=True)
        ],
        step_names=table["step"].iloc[step_rows].tolist(),
        required=table["required"].iloc[step_rows].eq("yes").to_numpy(),
        families=families,
    )


def _step_values(plan: _Plan, values: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Abundance of each step, and how many of its alternatives are assessable."""
    of_alternatives = np.minimum.reduceat(values[plan.members], plan.alternatives, axis=0)
    known = ~np.isnan(of_alternatives)
    total = np.add.reduceat(np.where(known, of_alternatives, 0.0), plan.steps, axis=0)
    n_known = np.add.reduceat(known.astype(np.intp), plan.steps, axis=0)
    return np.where(n_known > 0, total, np.nan), n_known


def _step_limits(plan: _Plan, limits: Floats) -> Floats:
    """The largest abundance that each step's alternatives can hide."""
    of_alternatives = np.fmax.reduceat(limits[plan.members], plan.alternatives, axis=0)
    return np.fmax.reduceat(of_alternatives, plan.steps, axis=0)


def _reads_of_a_fragment(values: Floats, limits: Floats, counts: Floats) -> Floats:
    """Reads that a fragment brings, by sample: both mates of a pair may have a part in a family.

    `limits` are of one read, so that values over limits are reads; two where no family has any
    fragment, and what a fragment would bring is not known.
    """
    reads, known = np.nansum(values / limits, axis=0), np.nansum(counts, axis=0)
    mean = np.divide(reads, known, out=np.full_like(reads, _MATES), where=known > 0)
    return np.clip(mean, 1.0, _MATES)


def _module_abundance(plan: _Plan, values: Floats) -> tuple[Floats, Floats]:
    """Abundance and smallest step of each module; missing if no step is assessable."""
    found, least = [], []
    for _, rows in plan.modules:
        part, required = values[rows], plan.required[rows]
        median = _median(part)
        if required.any():
            median = np.minimum(median, part[required].min(axis=0))
        found.append(median)
        least.append(np.fmin.reduce(part, axis=0))
    return np.array(found), np.array(least)


def _median(values: Floats) -> Floats:
    """Median of each column's known values; missing where there is none."""
    known = ~np.isnan(values)
    rows = known.any(axis=1)
    # As a rule a family is measured in all samples or in none: numpy is fast without holes only.
    if known[rows].all() and rows.any():
        median: Floats = np.median(values[rows], axis=0)
        return median
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=RuntimeWarning)
        hollow: Floats = np.nanmedian(values, axis=0)
    return hollow


def measure_modules(
    genes: pd.DataFrame,
    definitions: Definitions,
    thresholds: Thresholds | None = None,
    detection_limits: pd.DataFrame | None = None,
    fragments: pd.DataFrame | None = None,
    *,
    per_genome: bool = True,
    not_measured: Mapping[str, str] | None = None,
    draws: int = 200,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every module of every sample: abundance, coverage and whether it is there.

    An alternative is as abundant as the rarest of its members, a step as the sum of its
    alternatives. A module has the median of its assessable steps, and never more than its required
    steps: no more copies of a route than of the gene that tells it from other routes.

    Parameters
    ----------
    genes : DataFrame of shape (n_families, n_samples)
        Copies per genome, indexed by gene family; missing, or no row, where not measured.
    definitions : Definitions
    thresholds : Thresholds, optional
    detection_limits : DataFrame of shape (n_families, n_samples), optional
        Copies per genome that one read gives; without them no step can be missing for want of
        depth.
    fragments : DataFrame of shape (n_families, n_samples), optional
        Fragments behind `genes`, as which a pair counts once; with `detection_limits` they give the
        intervals.
    per_genome : bool
        Whether the unit is copies per genome.
    not_measured : mapping of str to str, optional
        Reason by sample without any value.
    draws : int
        Draws behind an interval.
    seed : int

    Returns
    -------
    modules : DataFrame
        One row a sample and module, columns `COLUMNS`. ``status`` is one of `STATUSES`. A module is
        ``present`` if its required steps and ``min_coverage`` of the assessable ones are detected;
        ``not_assessable`` if too few steps or not all required ones are assessable (then without
        abundance), or if it would be present with the steps that cannot be ruled out: those of
        which fewer than 3 fragments are to be expected at ``min_abundance`` (5 % of samples would
        have none), those with fewer than ``min_fragments``, and those with an alternative that was
        not measured. ``partial_steps`` names the measured steps with such an alternative: their
        abundance is a lower bound, and so is the module's.
        ``low`` and ``high`` are the 95 % interval of counting (Gamma, a prior of half a fragment),
        widened if need be to hold the abundance; noise of the genomes counted is not in it.
    steps : DataFrame
        One row a sample and step, columns `STEP_RESULT_COLUMNS`.

    Examples
    --------
    >>> modules = pd.DataFrame({"module": ["route"], "computable": ["yes"]})
    >>> steps = pd.DataFrame(
    ...     [("route", "a", 1, "K00001", ""), ("route", "b", 1, "K00002", "yes"),
    ...      ("route", "b", 1, "K00003", "yes"), ("route", "b", 2, "K00004", "yes"),
    ...      ("route", "c", 1, "K00005", "")],
    ...     columns=["module", "step", "alternative", "family", "required"])
    >>> genes = pd.DataFrame({"S1": [0.9, 0.4, 0.3, 0.2, 0.7]},
    ...                      index=["K00001", "K00002", "K00003", "K00004", "K00005"])
    >>> found, _ = measure_modules(genes, Definitions(modules, steps))
    >>> found[["abundance", "abundance_minimum", "status"]].values.tolist()
    [[0.5, 0.5, 'present']]
    """
    limit = thresholds or Thresholds()
    plan = _plan(definitions)
    samples = [str(sample) for sample in genes.columns]
    values = _aligned(genes, plan.families, samples)
    limits = (
        np.full_like(values, np.nan)
        if detection_limits is None
        else _aligned(detection_limits, plan.families, samples)
    )
    step_values, n_known = _step_values(plan, values)
    step_limits = _step_limits(plan, limits)
    # A value that the table prints as the threshold is not below it for a last binary digit.
    least = limit.min_abundance * (1 - 1e-9)
    assessable = n_known > 0
    detected = step_values >= least if per_genome else step_values > 0
    counts = None if fragments is None else _aligned(fragments, plan.families, samples)
    few, reads = np.zeros_like(detected), np.ones(len(samples))
    if counts is not None:
        few = detected & (_step_values(plan, counts)[0] < limit.min_fragments)
        detected &= ~few
        reads = _reads_of_a_fragment(values, limits, counts)
    unseen = per_genome & (_EXPECTED_FRAGMENTS * reads * step_limits > limit.min_abundance)
    hidden = few | (assessable & ~detected & unseen)
    incomplete = assessable & (n_known < plan.n_alternatives[:, None])
    states = _States(assessable, detected, few, hidden, incomplete)
    abundance, smallest = _module_abundance(plan, step_values)
    low, high = np.full_like(abundance, np.nan), np.full_like(abundance, np.nan)
    if counts is not None and detection_limits is not None:
        # Of a family with fragments its own mean: both mates of a pair may have a part in it.
        per_fragment = np.divide(values, counts, out=limits.copy(), where=counts > 0)
        for column, sample in enumerate(samples):
            random = np.random.default_rng([seed, *f"modules of {sample}".encode()])
            known = np.nan_to_num(counts[:, column, None]) + 0.5
            drawn = random.gamma(known, size=(len(counts), draws)) * per_fragment[:, column, None]
            drawn[np.isnan(counts[:, column])] = np.nan
            of_draws, _ = _module_abundance(plan, _step_values(plan, drawn)[0])
            bounds = np.quantile(of_draws, [0.025, 0.975], axis=1)
            low[:, column] = np.minimum(bounds[0], abundance[:, column])
            high[:, column] = np.maximum(bounds[1], abundance[:, column])

    without = {
        sample: (not_measured or {}).get(sample) or "no gene family was measured in it"
        for column, sample in enumerate(samples)
        if np.isnan(values[:, column]).all()
    }
    places = {module: number for number, (module, _) in enumerate(plan.modules)}
    parts = []
    for cells in definitions.modules.to_dict("records"):
        table = pd.DataFrame({"sample": samples, "module": cells["module"]})
        number = places.get(cells["module"])
        if number is None:
            parts.append(table.assign(status=NOT_COMPUTABLE, reason=cells["reason"]))
            continue
        called, is_known = _call(plan, number, states, limit, samples, without)
        for name, numbers in (
            *(("abundance", abundance), ("low", low), ("high", high)),
            ("abundance_minimum", smallest),
        ):
            table[name] = np.where(is_known, numbers[number], np.nan)
        parts.append(pd.concat([table, called], axis="columns"))
    modules = pd.concat(parts)
    # Stable: the modules of a sample stay in the order of their definitions.
    modules = modules.sort_index(kind="stable").reindex(columns=list(COLUMNS))
    return (
        modules.astype({"steps": "Int64"}).reset_index(drop=True),
        _step_table(plan, samples, step_values, step_limits, detected, n_known),
    )


class _States(NamedTuple):
    """Of each step and sample: (n_steps, n_samples).

    `few` steps are abundant enough, by too few fragments. `hidden` steps are these, and those not
    detected where so little was sequenced that they could be there. Of `incomplete` ones an
    alternative was not measured.
    """

    assessable: Flags
    detected: Flags
    few: Flags
    hidden: Flags
    incomplete: Flags


def _call(
    plan: _Plan,
    number: int,
    states: _States,
    limit: Thresholds,
    samples: Sequence[str],
    without: Mapping[str, str],
) -> tuple[pd.DataFrame, Flags]:
    """Coverage, status and reason of one module in each sample; whether it has an abundance."""
    rows = plan.modules[number][1]
    required, names = plan.required[rows], np.array(plan.step_names[rows], dtype=object)
    assessable, detected, few, hidden, incomplete = (flags[rows] for flags in states)
    partial = incomplete & ~detected
    is_open = hidden | partial
    n_assessable = assessable.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        coverage = detected.sum(axis=0) / n_assessable
        at_most = (detected | is_open).sum(axis=0) / n_assessable
    share = n_assessable / len(required)
    is_known = (share >= limit.min_assessable) & assessable[required].all(axis=0)
    is_known &= n_assessable > 0
    has_markers = detected[required].all(axis=0)
    may_have_markers = (detected | is_open)[required].all(axis=0)
    is_present = is_known & has_markers & (coverage >= limit.min_coverage)
    may_be = is_known & ~is_present & may_have_markers & (at_most >= limit.min_coverage)
    reasons = np.full(len(samples), "", dtype=object)
    for column in np.flatnonzero(~is_known | may_be).tolist():
        reasons[column] = without.get(samples[column]) or _reason(
            names,
            required,
            assessable[:, column],
            few[:, column],
            hidden[:, column] & ~few[:, column],
            partial[:, column] & ~hidden[:, column],
            limit,
        )
    table = pd.DataFrame(
        {
            "coverage": np.where(n_assessable > 0, coverage, np.nan),
            "assessable": share,
            "steps": len(required),
            "partial_steps": [", ".join(names[of_sample]) for of_sample in incomplete.T],
            "status": np.select(
                [is_present, is_known & ~may_be], [PRESENT, ABSENT], NOT_ASSESSABLE
            ),
            "reason": reasons,
        }
    )
    return table, is_known


def _aligned(table: pd.DataFrame, families: Sequence[str], samples: Sequence[str]) -> Floats:
    return table.reindex(index=list(families), columns=list(samples)).to_numpy(float)


def _reason(
    names: NDArray[np.object_],
    required: Flags,
    assessable: Flags,
    few: Flags,
    hidden: Flags,
    partial: Flags,
    limit: Thresholds,
) -> str:
    """Why a module of a sample is not assessable."""
    said = []
    if not assessable[required].all():
        said.append(f"required, and not measured: {', '.join(names[required & ~assessable])}")
    if not assessable.any() or assessable.mean() < limit.min_assessable:
        said.append(
            f"{assessable.sum()} of {len(names)} steps measured, {limit.min_assessable:.0%} needed"
        )
    if said:
        return "; ".join(said)
    if few.any():
        said.append(f"by fewer than {limit.min_fragments} fragments: {', '.join(names[few])}")
    if hidden.any():
        said.append(
            f"too shallow to rule out {limit.min_abundance:g} copies per genome: "
            f"{', '.join(names[hidden])}"
        )
    if partial.any():
        said.append(f"alternatives not measured: {', '.join(names[partial])}")
    return "; ".join(said)


def _step_table(
    plan: _Plan,
    samples: list[str],
    values: Floats,
    limits: Floats,
    detected: Flags,
    n_known: NDArray[np.intp],
) -> pd.DataFrame:
    n_samples, n_steps = len(samples), len(plan.step_names)
    modules = [module for module, rows in plan.modules for _ in range(rows.stop - rows.start)]
    called = np.where(n_known > 0, np.where(detected, "yes", "no"), "")
    return pd.DataFrame(
        {
            "sample": np.repeat(np.array(samples, dtype=object), n_steps),
            "module": modules * n_samples,
            "step": plan.step_names * n_samples,
            "abundance": values.T.ravel(),
            "detection_limit": limits.T.ravel(),
            "detected": called.T.ravel(),
            "alternatives": np.tile(plan.n_alternatives, n_samples),
            "alternatives_assessable": n_known.T.ravel(),
        }
    )


def log2_abundance(
    modules: pd.DataFrame, min_prevalence: float = 0.1
) -> tuple[pd.DataFrame, list[str]]:
    """Log2 abundance of the modules of one assay that can be compared.

    A zero is replaced by half the module's smallest abundance above 0, as of taxa
    (`association.log2_proportions`).

    Parameters
    ----------
    modules : DataFrame
        Rows of ``function/modules.tsv`` of the assay and of the samples to be compared: sample,
        module, abundance, unit.
    min_prevalence : float
        Least share of the samples with an abundance above 0.

    Returns
    -------
    values : DataFrame of shape (n_samples, n_modules)
        Without samples in which no module has an abundance.
    left_out : list of str
        Which modules are left out, and why.

    Raises
    ------
    NotRun
        If the abundances are in reads per kilobase: samples would differ by their depth.

    Examples
    --------
    >>> rows = [("S1", "a", 4.0), ("S2", "a", 0.0), ("S1", "b", 1.0), ("S2", "b", 1.0)]
    >>> table = pd.DataFrame(rows, columns=["sample", "module", "abundance"])
    >>> values, left_out = log2_abundance(table.assign(unit="copies per genome"))
    >>> values["a"].tolist(), left_out
    ([2.0, 1.0], ['the same in all samples: b'])
    """
    if (modules["unit"] == RPK).any():
        raise NotRun(
            "in reads per kilobase, which scale with depth: give a table with single-copy KO, or "
            "one in cpm or relative"
        )
    order = list(dict.fromkeys(modules["module"]))
    wide = modules.pivot_table("abundance", "sample", "module", dropna=False, sort=False)
    wide = wide.reindex(index=list(dict.fromkeys(modules["sample"])), columns=order).astype(float)
    wide = wide[wide.notna().any(axis="columns")]
    unknown = wide.isna().any()
    rare = ~unknown & ((wide > 0).mean() < min_prevalence)
    same = ~unknown & ~rare & (wide.nunique() < 2)
    reasons = {
        "without an abundance in some sample": unknown,
        f"in fewer than {min_prevalence:.0%} of the samples": rare,
        "the same in all samples": same,
    }
    left_out = [
        f"{reason}: {', '.join(map(str, wide.columns[which]))}"
        for reason, which in reasons.items()
        if which.any()
    ]
    kept = wide.loc[:, ~(unknown | rare | same)]
    copies = kept.to_numpy()
    half = kept.where(kept > 0).min().to_numpy() / 2
    logs = np.log2(np.where(copies > 0, copies, half))
    return pd.DataFrame(logs, kept.index, kept.columns), left_out
