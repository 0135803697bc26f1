"""The section on gut-brain modules."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from moodbiome import figures
from moodbiome.figures import plain
from moodbiome.function_tables import INFERRED
from moodbiome.modules import ABSENT, COPIES, NOT_ASSESSABLE, PRESENT, RPK
from moodbiome.report.content import (
    Report,
    groups_of,
    not_empty,
    per_assay,
    samples_compared,
    setting,
    term_words,
)
from moodbiome.report.display import Shown, Table, as_table, key_of, show
from moodbiome.report.words import RECALLED, RECALLED_WORDS, variable


class FunctionPanel(NamedTuple):
    """Modules of one assay: what to know of the numbers, and the tables."""

    sentences: list[str]
    modules: Table
    terms: Table | None
    types: Table | None


def function_figures(report: Report) -> list[Shown]:
    assert report.modules is not None
    threshold = float(setting(report, "function", "min_abundance", 0.01))
    shown = []
    for assay, part in per_assay(report.modules):
        part = _compared(report, part, assay)
        if part["abundance"].notna().any():
            groups = groups_of(report, list(dict.fromkeys(part["sample"].astype(str))))
            figure = figures.modules(part, groups, threshold, key_of("modules", assay))
            shown.append(show(figure, assay))
    return shown


def function_panels(report: Report) -> list[FunctionPanel]:
    modules = not_empty(report.modules)
    if modules is None:
        return []
    return [
        FunctionPanel(
            _sentences(part, assay)
            + _partial_sentences(report, part, assay)
            + _unseen_sentences(report, part, assay),
            _module_table(report, part, assay),
            _term_table(report, assay),
            _type_table(report, assay),
        )
        for assay, part in per_assay(modules)
    ]


def _compared(report: Report, part: pd.DataFrame, assay: str) -> pd.DataFrame:
    return part[part["sample"].astype(str).isin(samples_compared(report, assay))]


def _of_assay(table: pd.DataFrame | None, assay: str) -> pd.DataFrame | None:
    if table is None or not assay:
        return not_empty(table)
    return not_empty(table[table["assay"] == assay])


def _sentences(part: pd.DataFrame, assay: str) -> list[str]:
    where = f" ({plain(assay)})" if assay else ""
    source, unit = str(part["source"].iloc[0]), str(part["unit"].iloc[0])
    said = [f"Gene families{where}: {source}, in {unit}."]
    if source == INFERRED:
        said.append(
            "They were inferred from taxa and were not sequenced: this says what the taxa say, in "
            "other words, and is no evidence beside them."
        )
    if unit != COPIES:
        said.append(
            "The table has too few single-copy families to count genomes. The numbers shift with "
            "the size of the genomes and with all that else is in a sample, and any amount above "
            "0 counts as detected."
        )
    if unit == RPK:
        said.append(
            "They are reads per kilobase, which grow with the depth of a sample: groups "
            "cannot be compared by them, and no test was made."
        )
    return said


def _partial_sentences(report: Report, part: pd.DataFrame, assay: str) -> list[str]:
    """Modules of the table whose abundance lacks alternatives, with their steps."""
    known = _compared(report, part, assay)
    shown = known[known["module"].isin(known.loc[known["status"] == PRESENT, "module"])]
    cells = shown[shown["partial_steps"].fillna("") != ""]
    if cells.empty:
        return []
    steps = cells.groupby("name", sort=False)["partial_steps"].agg(
        lambda names: ", ".join(dict.fromkeys(", ".join(names).split(", ")))
    )
    listed = "; ".join(f"{name} ({of_module})" for name, of_module in steps.items())
    return [f"Lower bounds, since an alternative of a step was not measured: {listed}."]


def _unseen_sentences(report: Report, part: pd.DataFrame, assay: str) -> list[str]:
    """Modules that no sample shows, by whether one could have seen them."""
    known = _compared(report, part, assay)
    calls = known.groupby("name", sort=False)["status"].agg(set)
    return [
        f"{words}: {', '.join(names)}."
        for words, names in (
            (
                "In no sample",
                calls.index[[PRESENT not in call and ABSENT in call for call in calls]],
            ),
            ("Assessable in no sample", calls.index[[call == {NOT_ASSESSABLE} for call in calls]]),
        )
        if len(names)
    ]


def _module_table(report: Report, part: pd.DataFrame, assay: str) -> Table:
    """One row a module that a sample has, that studies name, or that none can tell."""
    known = _compared(report, part, assay)
    definitions = report.module_definitions
    assert definitions is not None
    tests = _of_assay(report.module_tests, assay)
    group = setting(report, "cohort", "group", "")
    effects: dict[str, list[str]] = {}
    if tests is not None and group:
        for row in tests[tests["term"].astype(str).map(variable) == group].itertuples():
            effects.setdefault(str(row.module), []).append(_effect_words(report, row))
    rows, recalled = [], False
    for cells in definitions.to_dict("records"):
        of_module = known[known["module"] == cells["module"]]
        if cells["computable"] == "no":
            rows.append(_row(cells, "not computable", None, "", cells["reason"]))
            continue
        is_present = (of_module["status"] == PRESENT).sum()
        if not is_present and not cells["direction"]:
            continue
        unclear = (of_module["status"] == NOT_ASSESSABLE).sum()
        words = f"{is_present} of {len(of_module)}"
        if unclear:
            words += f"; {unclear} not assessable"
        recalled |= cells["direction_certainty"] == "memory"
        median = of_module["abundance"].median()
        said = "; ".join(effects.get(cells["module"], []))
        rows.append(_row(cells, words, median, said, cells["caution"]))
    table = pd.DataFrame(rows, columns=["module", "samples", "median", "groups", "to know"])
    if not table["groups"].any():
        table = table.drop(columns="groups")
    limit = float(setting(report, "function", "min_abundance", 0.01))
    unit = part["unit"].iloc[0]
    least = f"at {limit:g} copies per genome or more" if unit == COPIES else "in any amount above 0"
    caption = (
        f"Gut-brain modules{f', {plain(assay)}' if assay else ''}: samples in which each is "
        f"present, median abundance in {unit}"
        + ("; groups: fold change of the adjusted model" if "groups" in table else "")
        + f". Present: its required steps, and enough of the others, {least}"
        + (f"; {RECALLED_WORDS}" if recalled else "")
    )
    return as_table(table, caption, "results/function/modules.tsv", {"median": "median abundance"})


def _row(
    cells: Mapping[Any, Any], samples: str, median: float | None, groups: str, caution: str
) -> dict[str, Any]:
    if cells["direction"]:
        mark = f" {RECALLED}" if cells["direction_certainty"] == "memory" else ""
        reported = (
            f"reported in depression: {cells['direction']}{mark} ({cells['direction_source']})"
        )
        caution = f"{reported}; {caution}" if caution else reported
    return {
        "module": cells["name"],
        "samples": samples,
        "median": median,
        "groups": groups,
        "to know": caution,
    }


def _effect_words(report: Report, row: Any) -> str:
    """A fold change with its interval, of a term that compares groups."""
    if pd.isna(row.effect) or pd.isna(row.low):
        return "not tested"
    fold, low, high = (2.0**value for value in (row.effect, row.low, row.high))
    level = term_words(report, str(row.term)).partition(", ")[2]
    return f"{level}: ×{fold:.2g} ({low:.2g} to {high:.2g}), q = {row.q:.2g}"


def _term_table(report: Report, assay: str) -> Table | None:
    tests = _of_assay(report.module_tests, assay)
    if tests is None:
        return None
    shown = tests.assign(term=[term_words(report, str(term)) for term in tests["term"]])
    return as_table(
        shown[["name", "term", "effect", "low", "high", "p", "q", "n"]],
        "Modules on the terms of the model: log2 fold change with its 95 % interval; q is "
        "Benjamini-Hochberg over the modules of a term",
        "results/statistics/modules.tsv",
        {"name": "module"},
    )


def _type_table(report: Report, assay: str) -> Table | None:
    tests = _of_assay(report.modules_by_type, assay)
    if tests is None:
        return None
    shown = tests.assign(term=[term_words(report, str(term)) for term in tests["term"]])
    return as_table(
        shown[["name", "typing", "test", "term", "effect", "low", "high", "effect_unit", "q", "n"]],
        "Modules between community types, and the groups' difference before and after adjustment "
        "for type",
        "results/statistics/modules_by_type.tsv",
        {"name": "module"},
    )
