"""Whether a trial's subjects show what they were given: a check of manipulation.

What could not be seen is kept apart from what is not there, in every count.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.stats import binomtest, fisher_exact
from statsmodels.stats.proportion import proportion_confint

from moodbiome.longitudinal import NO_SAMPLE
from moodbiome.psychobiotics import CONSISTENT, DETECTED, NOT_ASSESSABLE, NOT_DETECTED
from moodbiome.visits import PHASES

FOUND = "detected"
_ORGANISM = ["organism", "name", "level"]
SUBJECTS = [*_ORGANISM, "subject", "arm", "given", "phase", "samples", "state", "check", "reason"]
COUNTS = [
    *(*_ORGANISM, "arm", "given", "phase", "timepoints", "subjects", "sampled", "assessable"),
    *("detected", "share", "low", "high"),
]
CHANGES = [
    *(*_ORGANISM, "arm", "given", "from", "to", "pairs", "neither", "gained", "lost", "both"),
    *("p_mcnemar", "gained_share", "gained_low", "gained_high", "lost_share", "lost_low"),
    *("lost_high", "p_fisher"),
]

# A strain of which only the species is there, deep enough to tell, is not detected.
_STATE_OF_CALL = {
    ("strain", CONSISTENT): FOUND,
    ("strain", DETECTED["species"]): NOT_DETECTED,
    **dict.fromkeys(DETECTED.items(), FOUND),
    **{(level, NOT_DETECTED): NOT_DETECTED for level in ("genus", "species", "strain")},
}
# Of several samples, the first of these that any has stands.
_STATES = (FOUND, NOT_DETECTED, NOT_ASSESSABLE)


def subject_phases(
    calls: pd.DataFrame,
    visits: pd.DataFrame,
    phase_of: Mapping[str, str],
    given: Collection[str],
) -> pd.DataFrame:
    """What each subject shows of each organism before, during and after intake.

    Parameters
    ----------
    calls : DataFrame
        ``sample, organism, name, level, call, reason`` of one assay (`moodbiome.psychobiotics`).
    visits : DataFrame
        ``subject, timepoint, arm`` by sample, as of `moodbiome.longitudinal.find_visits`.
    phase_of : mapping of str to str
        Phase of each timepoint (see `moodbiome.visits.intake_phases`).
    given : collection of str
        Arms that were given the organisms.

    Returns
    -------
    DataFrame
        One row an organism, subject and phase that has timepoints, columns `SUBJECTS`. ``state``
        is ``detected`` if any sample of the phase shows the organism, else ``not detected`` if any
        could have, else ``not assessable``, or ``no sample``. ``check`` names, during intake, those
        given it who do not show it, and those not given it who do.
    """
    placed = calls.merge(visits, left_on="sample", right_index=True)
    key = list(zip(placed["level"], placed["call"], strict=True))
    placed["state"] = [_STATE_OF_CALL.get(each, NOT_ASSESSABLE) for each in key]
    placed["phase"] = placed["timepoint"].map(phase_of)
    placed["rank"] = placed["state"].map(_STATES.index)
    placed["reason"] = placed["reason"].fillna("").where(placed["state"] == NOT_ASSESSABLE, "")
    by = ["organism", "subject", "phase"]
    seen = placed.groupby(by).agg(
        samples=("sample", "size"),
        rank=("rank", "min"),
        reason=("reason", lambda reasons: "; ".join(sorted(set(reasons) - {""}))),
    )
    organisms = calls[_ORGANISM].drop_duplicates("organism")
    subjects = visits[["subject", "arm"]].drop_duplicates("subject").sort_values("subject")
    phases = [phase for phase in PHASES if phase in phase_of.values()]
    table = (
        organisms.merge(subjects, how="cross")
        .merge(pd.DataFrame({"phase": phases}), how="cross")
        .merge(seen, left_on=by, right_index=True, how="left")
    )
    table["samples"] = table["samples"].fillna(0).astype(int)
    table["state"] = table["rank"].map(dict(enumerate(_STATES))).fillna(NO_SAMPLE)
    table["reason"] = table["reason"].where(table["state"] == NOT_ASSESSABLE, "")
    table["given"] = table["arm"].isin(given).map({True: "yes", False: "no"})
    during = table["phase"] == "during"
    was_absent = (table["phase"] == "before") & (table["state"] == NOT_DETECTED)
    was_absent = was_absent.groupby([table["organism"], table["subject"]]).transform("any")
    is_given, shows = table["given"] == "yes", table["state"] == FOUND
    table["check"] = np.select(
        [
            during & is_given & (table["state"] == NOT_DETECTED),
            during & ~is_given & shows & was_absent,
            during & ~is_given & shows,
        ],
        ["given, not detected", "not given, newly detected", "not given, detected"],
        "",
    )
    return table[SUBJECTS].reset_index(drop=True)


def phase_counts(subjects: pd.DataFrame, phase_of: Mapping[str, str]) -> pd.DataFrame:
    """In how many subjects of each arm an organism is detected, in each phase.

    Parameters
    ----------
    subjects : DataFrame
        As of `subject_phases`.
    phase_of : mapping of str to str
        As there.

    Returns
    -------
    DataFrame
        One row an organism, arm and phase, columns `COUNTS`; the share is of those assessable, with
        Wilson's 95 % interval.
    """
    rows = []
    for key, part in subjects.groupby(
        [*_ORGANISM, "arm", "given", "phase"], sort=False, observed=True
    ):
        state = part["state"]
        n_known, n_found = state.isin([FOUND, NOT_DETECTED]).sum(), (state == FOUND).sum()
        times = ", ".join(time for time, phase in phase_of.items() if phase == key[-1])
        sampled = (state != NO_SAMPLE).sum()
        rows.append((*key, times, len(part), sampled, n_known, n_found, *_share(n_found, n_known)))
    return _in_order(pd.DataFrame(rows, columns=COUNTS), subjects)


def phase_changes(subjects: pd.DataFrame, reference: str = "") -> pd.DataFrame:
    """Who newly shows an organism from one phase to the next, and who no longer does.

    Parameters
    ----------
    subjects : DataFrame
        As of `subject_phases`.
    reference : str
        Arm that the others are compared with; empty where there are none.

    Returns
    -------
    DataFrame
        One row an organism, arm and pair of consecutive phases, columns `CHANGES`. Pairs are
        subjects assessable in both. ``p_mcnemar`` is McNemar's exact test of gained against lost;
        ``p_fisher`` Fisher's exact test of gained among those who did not show it before intake,
        against the reference arm.
    """
    group = [*_ORGANISM, "arm", "given"]
    by_phase = {
        phase: part.set_index([*group, "subject"])["state"]
        for phase, part in subjects.groupby("phase")
    }
    rows = []
    for earlier, later in pairwise([phase for phase in PHASES if phase in by_phase]):
        states = pd.DataFrame({"was": by_phase[earlier], "is": by_phase[later]})
        for key, part in states.groupby(level=group, sort=False):
            known = part[part.isin([FOUND, NOT_DETECTED]).all(axis="columns")] == FOUND
            was, still = known["was"], known["is"]
            both, neither = int((was & still).sum()), int((~was & ~still).sum())
            gained, lost = int((~was & still).sum()), int((was & ~still).sum())
            p = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
            counts = (len(known), neither, gained, lost, both, p if len(known) else np.nan)
            shares = (*_share(gained, gained + neither), *_share(lost, lost + both))
            rows.append((*key, earlier, later, *counts, *shares, np.nan))
    table = pd.DataFrame(rows, columns=CHANGES)
    begins = table[table["to"] == "during"].set_index(["organism", "arm"])[["gained", "neither"]]
    for at, row in enumerate(rows):
        organism, arm = row[0], row[3]
        if row[6] != "during" or arm == reference or (organism, reference) not in begins.index:
            continue
        cells = begins.loc[[(organism, arm), (organism, reference)]].to_numpy()
        if cells.sum(axis=1).all():
            table.loc[at, "p_fisher"] = fisher_exact(cells).pvalue
    return _in_order(table, subjects)


def missing_pairs(subjects: pd.DataFrame) -> str:
    """Why there is no change within subjects; empty if there can be.

    >>> alone = pd.DataFrame({"organism": "x", "subject": ["A", "A"], "phase": ["before", "during"],
    ...                       "state": ["detected", "no sample"]})
    >>> missing_pairs(alone)
    'no subject has samples in two phases (before: 1 subjects, during: 0)'
    """
    sampled = subjects[subjects["state"] != NO_SAMPLE].drop_duplicates(["subject", "phase"])
    if sampled.duplicated("subject").any():
        return ""
    n = {phase: int((sampled["phase"] == phase).sum()) for phase in subjects["phase"].unique()}
    first, *rest = n.items()
    listed = [f"{first[0]}: {first[1]} subjects", *(f"{phase}: {k}" for phase, k in rest)]
    return f"no subject has samples in two phases ({', '.join(listed)})"


def _share(part: int, whole: int) -> tuple[float, float, float]:
    if not whole:
        return np.nan, np.nan, np.nan
    low, high = proportion_confint(part, whole, method="wilson")
    return part / whole, float(low), float(high)


def _in_order(table: pd.DataFrame, subjects: pd.DataFrame) -> pd.DataFrame:
    """Organisms as in `subjects`, then arms by name, then phases as they follow."""
    place = {name: number for number, name in enumerate(subjects["organism"].unique())}
    phase = {name: number for number, name in enumerate(PHASES)}
    time = "phase" if "phase" in table else "from"
    order: Sequence[pd.Series] = (
        table[time].map(phase),
        table["arm"],
        table["organism"].map(place),
    )
    return table.iloc[np.lexsort([column.to_numpy() for column in order])].reset_index(drop=True)
