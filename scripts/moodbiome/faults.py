"""What is wrong with an input, where, and how to mend it: collected, and then said all at once."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import NamedTuple


class Fault(NamedTuple):
    """One thing wrong with what the user wrote.

    >>> print(Fault("samples.tsv, row 3, column 'run'", "is empty", "give each lane a name"))
    samples.tsv, row 3, column 'run': is empty; give each lane a name
    """

    place: str
    problem: str
    mend: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}; {self.mend}"


def suggestion(word: str, known: Iterable[str]) -> str:
    """A question naming the known word most like ``word``, or nothing.

    >>> suggestion("min_lenght_bp", ["min_length_bp", "seed"])
    "did you mean 'min_length_bp'? "
    >>> suggestion("zebra", ["min_length_bp", "seed"])
    ''
    """
    close = get_close_matches(word.lower(), list(known), n=1, cutoff=0.75)
    return f"did you mean {close[0]!r}? " if close else ""


def after(hint: str, words: str) -> str:
    """How to mend a fault: words of their own, or after a question (see `suggestion`).

    >>> after("did you mean 'seed'? ", "known are: seed"), after("", "known are: seed")
    ("did you mean 'seed'? Known are: seed", 'known are: seed')
    """
    return hint + words[:1].upper() + words[1:] if hint else words


def as_message(faults: list[Fault]) -> str:
    """All faults as one numbered text, for the one error that stops the run before any job."""
    count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
    lines = [f"{count} in the input; nothing was run."]
    lines += [f"{number:>3}. {fault}" for number, fault in enumerate(faults, start=1)]
    return "\n".join(lines)


class NotRun(ValueError):
    """An analysis that these data do not allow; `reason` says why and how to mend it.

    Callers write the reason in place of a result, so that one impossible test does not stop a run.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
