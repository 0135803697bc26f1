"""Trials: the table of their results, read and checked as a whole, and their effects pooled."""

import csv
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from moodbiome.faults import Fault, NotRun, after, suggestion
from moodbiome.meta_analysis import (
    INFLUENCE,
    POOLED,
    egger,
    hedges_g,
    influence,
    meta_regression,
    pool,
    weights,
)

REQUIRED = ("study", "outcome", "lower_is_better")
ARMS = (
    *("n_intervention", "mean_intervention", "sd_intervention"),
    *("n_control", "mean_control", "sd_control"),
)
GIVEN = ("effect", "se")
OPTIONAL = ("timepoint_weeks", *ARMS, *GIVEN, "source")
PREFIXES = ("subgroup_", "moderator_")
EFFECT_COLUMNS = [
    *("study", "outcome", "timepoint_weeks", "effect", "low", "high", "se", "weight"),
    *("n_intervention", "n_control", "computed_from", "is_pooled", "reason", "lower_is_better"),
    "source",
]
POOLED_TRIALS_COLUMNS = ["outcome", "analysis", "variable", "level", *POOLED, *INFLUENCE, "reason"]
_ABOVE_ZERO = ("sd_intervention", "sd_control", "se")
_LEAST = {"n_intervention": 2, "n_control": 2, "timepoint_weeks": 0}


def read_trials(path: Path) -> tuple[pd.DataFrame, list[Fault]]:
    """Read a table of trials (TSV or CSV) and find everything wrong with it.

    Parameters
    ----------
    path
        One row a study, outcome and timepoint. Columns: `REQUIRED`, `OPTIONAL`, and any
        ``subgroup_<name>`` (text) and ``moderator_<name>`` (number). A row has the numbers of both
        arms (`ARMS`), or an effect with its standard error (`GIVEN`).

    Returns
    -------
    (DataFrame, list of Fault)
        Numbers as numbers, absent optional columns empty, lower_is_better as a truth value. To be
        used only if there is no fault. Row numbers count the file's lines from 1.
    """
    name = path.name
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return pd.DataFrame(), [Fault(str(path), "is missing", "correct the path")]
    except (OSError, UnicodeDecodeError):
        mend = "name a table saved as UTF-8 text, separated by tabs or commas"
        return pd.DataFrame(), [Fault(str(path), "cannot be read", mend)]
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    rows = [(line, cells) for line, cells in rows if any(cells)]
    if not rows:
        return pd.DataFrame(), [Fault(name, "is empty", "write a header and one row a trial")]
    header = rows[0][1]
    faults = _header_faults(header, name)
    ragged = [line for line, cells in rows[1:] if len(cells) != len(header)]
    faults += [
        Fault(
            f"{name}, row {line}",
            f"has not one cell for each of the {len(header)} columns",
            "fill it, with an empty cell where nothing is known",
        )
        for line in ragged
    ]
    if faults:
        return pd.DataFrame(), faults
    table = pd.DataFrame([cells for _, cells in rows[1:]], columns=header, dtype=object)
    lines = [line for line, _ in rows[1:]]
    faults = [
        fault
        for at, row in zip(lines, table.to_dict("records"), strict=True)
        for fault in _row_faults(row, f"{name}, row {at}")
    ]
    faults += _table_faults(table, lines, name)
    if faults:
        return pd.DataFrame(), faults
    for column in OPTIONAL:
        if column not in table:
            table[column] = ""
    for column in table.columns:
        if _is_number(column):
            table[column] = pd.to_numeric(table[column].replace("", None)).astype(float)
    return table.assign(lower_is_better=table["lower_is_better"] == "yes"), []


def _is_number(column: str) -> bool:
    return column in (*ARMS, *GIVEN, "timepoint_weeks") or column.startswith("moderator_")


def _header_faults(header: list[str], name: str) -> list[Fault]:
    known = (*REQUIRED, *OPTIONAL)
    place = f"{name}, header"
    faults = [
        Fault(place, f"names {column!r} {header.count(column)} times", "rename one")
        for column in dict.fromkeys(header)
        if header.count(column) > 1
    ]
    absent = [column for column in known if column not in header]
    hints = {}
    for column in header:
        if column not in known and not _is_own(column):
            hints[column] = suggestion(column, [*absent, *PREFIXES])
            listed = f"columns are {', '.join(known)}, and subgroup_<name> and moderator_<name>"
            mend = after(hints[column], listed)
            faults.append(Fault(place, f"has the unknown column {column!r}", mend))
    meant = "".join(hints.values())
    faults += [
        Fault(place, f"lacks the column {column!r}", "add it")
        for column in REQUIRED
        if column not in header and f"'{column}'" not in meant
    ]
    if not hints and not set(ARMS) <= set(header) and not set(GIVEN) <= set(header):
        mend = f"add {', '.join(ARMS)}, or effect and se"
        faults.append(Fault(place, "has neither the numbers of both arms nor effects", mend))
    return faults


def _is_own(column: str) -> bool:
    return any(column.startswith(prefix) and column != prefix for prefix in PREFIXES)


def _row_faults(row: dict[Any, str], place: str) -> list[Fault]:
    faults = [
        Fault(f"{place}, column {column!r}", "is empty", "fill it")
        for column in ("study", "outcome")
        if not row[column]
    ]
    if row["lower_is_better"] not in ("yes", "no"):
        mend = "write yes (as for most symptom scales) or no"
        where = f"{place}, column 'lower_is_better'"
        faults.append(Fault(where, f"is {row['lower_is_better']!r}", mend))
    for column, text in row.items():
        if text and _is_number(column):
            faults += _number_faults(column, text, f"{place}, column {column!r}")
    arms = [column for column in ARMS if row.get(column)]
    given = [column for column in GIVEN if row.get(column)]
    if arms and given:
        mend = "leave one of them empty"
        faults.append(Fault(place, "has the numbers of the arms and an effect", mend))
    elif not arms and not given:
        mend = f"give {', '.join(ARMS)}, or effect and se"
        faults.append(Fault(place, "has no result", mend))
    else:
        lacking = [column for column in (ARMS if arms else GIVEN) if not row.get(column)]
        if lacking:
            faults.append(Fault(place, f"lacks {', '.join(lacking)}", "fill them"))
    return faults


def _number_faults(column: str, text: str, place: str) -> list[Fault]:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        return [Fault(place, f"is {text!r}", "give a number, with a decimal point")]
    if column.startswith("n_") and value != int(value):
        return [Fault(place, f"is {text}", "give a whole number of participants")]
    if column in _ABOVE_ZERO and value <= 0:
        return [Fault(place, f"is {text}", "give a number above 0")]
    if value < _LEAST.get(column, -math.inf):
        return [Fault(place, f"is {text}", f"give a number of {_LEAST[column]} or more")]
    return []


def _table_faults(table: pd.DataFrame, lines: list[int], name: str) -> list[Fault]:
    faults = []
    seen: dict[tuple[Any, ...], int] = {}
    weeks = table["timepoint_weeks"] if "timepoint_weeks" in table else pd.Series("", table.index)
    numbers = pd.to_numeric(weeks, errors="coerce").fillna(-1)
    for line, study, outcome, week in zip(
        lines, table["study"], table["outcome"], numbers, strict=True
    ):
        key = (study, outcome, week)
        if key in seen:
            problem = (
                f"repeats study {study!r}, outcome {outcome!r} and timepoint of row {seen[key]}"
            )
            mend = "delete one; of several arms merge those of one kind, or name each as a study"
            faults.append(Fault(f"{name}, row {line}", problem, mend))
        seen.setdefault(key, line)
    studies = set(table["study"]) - {""}
    if len(studies) < 2:
        count = "one study" if studies else "no study"
        faults.append(Fault(name, f"holds {count}", "give two or more: one cannot be pooled"))
    return faults


def trial_effects(trials: pd.DataFrame) -> pd.DataFrame:
    """Effect of each row, above 0 where the intervention does better, and whether it is pooled.

    Parameters
    ----------
    trials : DataFrame
        As `read_trials` returns it.

    Returns
    -------
    DataFrame
        `EFFECT_COLUMNS`, then the subgroups and moderators. `effect`: Hedges g, or the effect as
        given; its sign turned where lower is better. Of several timepoints of a study and outcome
        the last is pooled, for they are not independent. `weight`: share in the outcome's mean.
        Sorted by outcome, study and timepoint.
    """
    table = trials.copy()
    arms = table["n_intervention"].notna()
    g, variance = hedges_g(*(table.loc[arms, column].to_numpy(float) for column in ARMS))
    table.loc[arms, "effect"], table.loc[arms, "se"] = g, np.sqrt(variance)
    table["computed_from"] = np.where(arms, "means", "effect")
    table["effect"] = np.where(table["lower_is_better"], -table["effect"], table["effect"])
    margin = stats.norm.ppf(0.975) * table["se"]
    table["low"], table["high"] = table["effect"] - margin, table["effect"] + margin
    table = table.sort_values(
        ["outcome", "study", "timepoint_weeks"], na_position="first", ignore_index=True
    )
    table["is_pooled"] = ~table.duplicated(["study", "outcome"], keep="last")
    table["reason"] = np.where(table["is_pooled"], "", "a later timepoint is pooled")
    table["weight"] = np.nan
    for _, part in table[table["is_pooled"]].groupby("outcome"):
        effects, variances = _columns(part)
        table.loc[part.index, "weight"] = weights(effects, variances)[:, 0]
    own = [column for column in table.columns if _is_own(column)]
    return table[[*EFFECT_COLUMNS, *own]]


def _columns(part: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return part[["effect"]].to_numpy(float), part[["se"]].to_numpy(float) ** 2


def pool_trials(effects: pd.DataFrame) -> pd.DataFrame:
    """Pool the effects of each outcome, whole and by subgroup, and ask what they go with.

    Parameters
    ----------
    effects : DataFrame
        As `trial_effects` returns it; rows with `is_pooled` are used.

    Returns
    -------
    DataFrame
        Columns `POOLED_TRIALS_COLUMNS`; `analysis` says what a row is:

        ``all``: all studies of the outcome, and ``subgroup``: those of one `level` of `variable`,
        by `meta_analysis.pool` with REML. ``between_subgroups``: whether the subgroups differ, p
        only, by meta-regression with one variance between studies for all. ``moderator``: slope per
        one unit, by meta-regression. ``egger``: intercept of Egger's test. What could not be
        computed has a `reason`.
    """
    rows: list[dict[Any, Any]] = []
    used = effects[effects["is_pooled"]]
    for outcome, part in used.groupby("outcome", sort=True):
        rows.append({"outcome": outcome, "analysis": "all", **_pooled(part)})
        for column in [name for name in part.columns if _is_own(name)]:
            kind, _, variable = column.partition("_")
            known = part[part[column].notna() & (part[column] != "")]
            own = {"outcome": outcome, "variable": variable}
            if kind == "subgroup":
                for level, members in known.groupby(column, sort=True):
                    found = _pooled(members)
                    rows.append({**own, "analysis": "subgroup", "level": level, **found})
                design = pd.get_dummies(known[column], dtype=float).iloc[:, 1:]
                rows.append({**own, "analysis": "between_subgroups", **_regressed(known, design)})
            else:
                rows.append({**own, "analysis": "moderator", **_regressed(known, known[[column]])})
        rows.append({"outcome": outcome, "analysis": "egger", **_egger(part)})
    table = pd.DataFrame(rows).reindex(columns=POOLED_TRIALS_COLUMNS)
    text = ["variable", "level", "reason", "sign_depends_on", "significance_depends_on"]
    return table.fillna(dict.fromkeys(text, ""))


def _pooled(part: pd.DataFrame) -> dict[Any, Any]:
    effects, variances = _columns(part)
    found = pd.concat(
        [pool(effects, variances), influence(effects, variances, list(part["study"]))],
        axis="columns",
    )
    reason = "one study: its own effect, nothing pooled" if len(part) == 1 else ""
    return {**found.iloc[0].to_dict(), "reason": reason}


def _regressed(part: pd.DataFrame, terms: pd.DataFrame) -> dict[Any, Any]:
    """Slope of one moderator, or the p of the test of several columns of a subgroup."""
    effects, variances = _columns(part)
    design = terms.assign(intercept=1.0)[["intercept", *terms.columns]]
    try:
        if design.shape[1] < 2:
            raise NotRun("there is only one subgroup")
        found = meta_regression(effects[:, 0], variances[:, 0], design)
    except NotRun as refusal:
        return {"k": len(part), "reason": refusal.reason}
    is_slope = str(terms.columns[0]).startswith("moderator_")
    slope = found.coefficients.iloc[1].to_dict() if is_slope else {}
    return {"k": len(part), "tau2": found.tau2, "p": found.test_p, **slope}


def _egger(part: pd.DataFrame) -> dict[Any, Any]:
    effects, variances = _columns(part)
    try:
        return {"k": len(part), **egger(effects[:, 0], variances[:, 0]).to_dict()}
    except NotRun as refusal:
        return {"k": len(part), "reason": refusal.reason}
