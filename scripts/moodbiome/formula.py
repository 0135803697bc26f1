"""Model formulas: what they say, before there is anything to fit.

Light enough to be read at every start of the workflow; fitting is in `moodbiome.association`.
"""

import ast
import keyword
import re

import numpy as np
import patsy

from moodbiome.faults import NotRun

FUNCTIONS = {"log": np.log, "log2": np.log2, "log10": np.log10, "sqrt": np.sqrt}
"""Functions a formula may use beside patsy's own (C, Q, center, standardize ...)."""

_RANDOM_INTERCEPT = re.compile(r"\+?\s*\(\s*1\s*\|\s*([^()|]+?)\s*\)")


def columns_of(formula: str) -> list[str]:
    """Columns that a formula reads, its random intercept's last.

    Raises
    ------
    NotRun
        If the formula cannot be read.

    Examples
    --------
    >>> columns_of('~ group + log(age) + Q("stool score") + (1|subject)')
    ['group', 'age', 'stool score', 'subject']
    """
    fixed, group = split_formula(formula)
    names = variables(describe(fixed, formula))
    return names if group is None or group in names else [*names, group]


def model_of(formula: str, group: str, subject: str) -> str:
    """The cohort's model: the formula given, else the groups, a subject's samples held together.

    >>> model_of("~ group + age", "group", "person"), model_of("", "group", "person")
    ('~ group + age', '~ group + (1|person)')
    >>> model_of("", "group", ""), model_of("", "", "person")
    ('~ group', '')
    """
    if formula or not group:
        return formula
    return formula_of(group) + (f" + (1|{subject})" if subject else "")


def formula_of(group: str) -> str:
    """The formula that compares groups and nothing else.

    >>> formula_of("group"), formula_of("study arm"), formula_of("class")
    ('~ group', '~ Q("study arm")', '~ Q("class")')
    """
    is_plain = group.isidentifier() and not keyword.iskeyword(group) and group not in ("C", "Q")
    return f"~ {group}" if is_plain else f'~ Q("{group}")'


def without_column(formula: str, column: str) -> str:
    """The formula without the terms that read a column, its random intercept included.

    Raises
    ------
    NotRun
        If no term is left, or the formula cannot be read.

    Examples
    --------
    >>> without_column("~ group * study + age + (1|subject)", "study")
    '~ group + age + (1|subject)'
    """
    fixed, group = split_formula(formula)
    kept = [
        term
        for term in describe(fixed, formula).rhs_termlist
        if term.factors and not any(column in names_in(factor.code) for factor in term.factors)
    ]
    if not kept:
        raise NotRun(f"formula {formula!r} has no term beside {column!r}")
    terms = [term.name() for term in kept]
    return "~ " + " + ".join([*terms, f"(1|{group})"] if group not in (None, column) else terms)


def split_formula(formula: str) -> tuple[str, str | None]:
    """The fixed part of a formula, and the column of its random intercept."""
    text = formula.strip()
    if not text.startswith("~"):
        raise NotRun(f"formula {formula!r} must start with '~', such as '~ group + age'")
    groups = _RANDOM_INTERCEPT.findall(text)
    fixed = _RANDOM_INTERCEPT.sub(" ", text)
    if len(groups) > 1 or "|" in fixed:
        raise NotRun(
            f"formula {formula!r}: one random intercept is possible, written (1|column); "
            "random slopes and several groupings are not"
        )
    body = fixed.strip().removeprefix("~").strip().removeprefix("+").strip()
    return f"~ {body or '1'}", groups[0] if groups else None


def describe(fixed: str, formula: str) -> patsy.ModelDesc:
    """The terms of the fixed part, with an intercept and at least one term to test."""
    try:
        description = patsy.ModelDesc.from_formula(fixed)
    except patsy.PatsyError as error:
        raise NotRun(f"formula {formula!r} cannot be read: {error.message}") from error
    if patsy.INTERCEPT not in description.rhs_termlist:
        raise NotRun(f"formula {formula!r} takes out the intercept; remove '0' or '- 1'")
    if len(description.rhs_termlist) == 1:
        raise NotRun(f"formula {formula!r} has no term to test; name a column")
    return description


def variables(description: patsy.ModelDesc) -> list[str]:
    """Columns a formula reads, in order of appearance."""
    codes = [factor.code for term in description.rhs_termlist for factor in term.factors]
    return list(dict.fromkeys(name for code in codes for name in names_in(code)))


def names_in(code: str) -> list[str]:
    """Columns in one factor: ``Q("stool score")`` quotes one, functions are none.

    >>> names_in("center(age)"), names_in('Q("stool score")')
    (['age'], ['stool score'])
    """
    try:
        tree = ast.parse(code, mode="eval")
    except SyntaxError as error:
        mend = 'a column with such a name is written Q("its name")'
        raise NotRun(f"formula: {code!r} cannot be read; {mend}") from error
    functions = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    quoted = [
        str(argument.value)
        for function in functions
        if isinstance(function, ast.Name) and function.id == "Q"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and node.func is function
        for argument in node.args
        if isinstance(argument, ast.Constant)
    ]
    in_functions = {id(part) for function in functions for part in ast.walk(function)}
    contrasts = {"Treatment", "Sum", "Poly", "Helmert", "Diff"}
    plain = [
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and id(node) not in in_functions and node.id not in contrasts
    ]
    return list(dict.fromkeys([*quoted, *plain]))
