"""Numbers, shares, lists and terms of a design, as the pages write them."""

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

RECALLED = "†"
RECALLED_WORDS = f"{RECALLED} recalled, not looked up again"
TERM = re.compile(
    r"""(?:C\()?(?:Q\(["'])?(?P<name>[^"'(),:\[\]]+)(?:["']\))?(?:,[^:\[\]]*)?\)?"""
    r"""(?:\[(?:T\.)?(?P<level>[^:\]]+)\])?"""
)


def variable(term: str) -> str:
    """The column that a term of the design compares; empty for functions and interactions.

    >>> variable("group"), variable('C(Q("study arm"))[T.a]'), variable("group:age")
    ('group', 'study arm', '')
    """
    match = TERM.fullmatch(term)
    return match["name"] if match else ""


def percent(value: float) -> str:
    """A share from 0 to 1 in percent, unbroken."""
    return f"{100 * value:.0f}\u00a0%"


def enumerated(names: Sequence[str]) -> str:
    """
    >>> enumerated(["age"]), enumerated(["age", "sex", "bmi"])
    ('age', 'age, sex and bmi')
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def numbers(values: pd.Series, identifier: bool) -> list[str]:
    known = values.dropna().astype(float)
    whole = bool((known == known.round()).all())
    if identifier and whole:
        return ["" if pd.isna(v) else f"{v:.0f}" for v in values]
    return ["" if pd.isna(v) else _number(float(v), whole) for v in values]


def _number(value: float, whole: bool) -> str:
    """Whole numbers in full; others to three significant digits.

    >>> _number(12345, True), _number(0.012345, False), _number(-1234.5, False)
    ('12,345', '0.0123', '-1,234')
    """
    if whole or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def text_of(value: Any) -> str:
    """A cell as text; a missing one is empty."""
    return "" if value is None or (not isinstance(value, str) and pd.isna(value)) else str(value)
