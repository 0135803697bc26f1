"""Repeated samples of the same people: change since baseline, and its difference between arms."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from moodbiome.association import (
    MIN_PER_LEVEL,
    fit_reml,
    mode,
    modelled_logs,
    require_taxa,
)
from moodbiome.faults import NotRun

POPULATIONS = ("intention_to_treat", "completers")
TAXON_METHODS = ("log2_proportion", "clr_bias_corrected")

EFFECTS = [
    "outcome",
    "arm",
    "timepoint",
    "baseline",
    "population",
    "effect",
    "low",
    "high",
    "p",
    "df",
    "n_arm",
    "n_reference",
    "n_samples",
]
CHANGES = ["subject", "arm", "outcome", "from", "to", "value_from", "value_to", "change", "status"]
RETENTION = ["arm", "timepoint", "assigned", "with_sample", "usable", "missing"]
NO_SAMPLE = "no sample"


def find_visits(
    samples: pd.DataFrame, subject: str, timepoint: str, arm: str, timepoints: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The samples that are a subject's visit, and why others are not.

    Parameters
    ----------
    samples : DataFrame
        Indexed by sample, with ``sample_type``, ``status`` and the three columns named, as text.
    subject, timepoint, arm : str
        Names of columns; `arm` may be empty.
    timepoints : sequence of str
        Baseline first, then those after it.

    Returns
    -------
    visits : DataFrame
        Indexed by sample: ``subject, timepoint, arm, status``. A subject has the arm that any of
        its rows names (there is one at most, or the run was refused), whatever was taken; an empty
        text where there are no arms. An excluded sample stands aside for another of its visit.
    left_out : dict of str to str
        Reason by sample.

    Examples
    --------
    >>> samples = pd.DataFrame(
    ...     {"sample_type": "sample", "status": "ok", "who": ["A", "A"], "week": ["0", "4"],
    ...      "arm": ["x", None]}, index=["S1", "S2"])
    >>> find_visits(samples, "who", "week", "arm", ["0", "4"])[0]["arm"].tolist()
    ['x', 'x']
    """
    people = samples[samples["sample_type"] == "sample"]
    visits = pd.DataFrame(
        {
            "subject": people[subject].fillna(""),
            "timepoint": people[timepoint].fillna(""),
            "arm": people[arm].fillna("") if arm else "",
            "status": people["status"],
        },
        index=people.index,
    )
    if arm:
        named = visits[visits["arm"] != ""].drop_duplicates("subject").set_index("subject")["arm"]
        visits["arm"] = visits["subject"].map(named).fillna("")
    reason = pd.Series("", index=visits.index)
    if arm:
        reason[visits["arm"] == ""] = "its subject has no arm"
    is_before = ~visits["timepoint"].isin(timepoints)
    reason[is_before] = "before the baseline"
    reason[visits["timepoint"] == ""] = f"missing {timepoint}"
    reason[visits["subject"] == ""] = f"missing {subject}"
    taken = visits[reason == ""]
    # Of two samples of one visit, all but one are excluded, or the run was refused.
    order = (taken["status"] == "excluded").argsort(kind="stable")
    unique = taken.iloc[order].drop_duplicates(["subject", "timepoint"])
    taken = taken[taken.index.isin(unique.index)]
    left_out = reason[reason != ""]
    return taken, dict(zip(left_out.index.astype(str), left_out, strict=True))


def taxon_values(
    counts: pd.DataFrame,
    n_classified: pd.Series,
    method: str,
    min_prevalence: float = 0.10,
    min_mean_abundance: float = 1e-4,
) -> pd.DataFrame:
    """Taxa on the scale on which they are modelled.

    Parameters
    ----------
    counts : DataFrame of shape (n_taxa, n_samples)
        Fragments, of all visits to be modelled.
    n_classified : Series
        Denominator by sample, in fragments.
    method : str
        One of `TAXON_METHODS`, which are those of `association.linear_models`.
    min_prevalence, min_mean_abundance : float
        See `association.screen_taxa`.

    Returns
    -------
    DataFrame of shape (n_samples, n_tested_taxa)
        In log2 units.

    Raises
    ------
    NotRun
        If no taxon passes, or too few for a log-ratio.
    """
    screen = require_taxa(counts, n_classified, method, min_prevalence, min_mean_abundance)
    tested = counts[screen["tested"].to_numpy()]
    logs = modelled_logs(tested, n_classified, method)
    return pd.DataFrame(logs, index=tested.columns, columns=tested.index)


def change_models(
    values: pd.DataFrame,
    visits: pd.DataFrame,
    timepoints: Sequence[str],
    reference: str = "",
    relative: bool = False,
    level: float = 0.95,
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Change of each outcome since baseline: between arms, or over time where there are none.

    With arms, the samples after baseline are modelled on timepoint, arm at each timepoint, the
    subject's own baseline of the outcome, and a random intercept of the subject (least squares
    where subjects have one later sample each). The effect of an arm at a timepoint is the
    difference of its change from that of the reference, at equal baselines. Baseline as a covariate
    and not as an outcome: trials admit people by it (a score above a cut-off), which makes it vary
    less than later values, against the one variance that a model of all timepoints would assume.

    Without arms, all samples are modelled on timepoint and a random intercept; the effect is the
    change since baseline.

    Parameters
    ----------
    values : DataFrame of shape (n_samples, n_outcomes)
        Missing where a sample has no value.
    visits : DataFrame
        As `find_visits` gives it; of `values` only its samples are used.
    timepoints : sequence of str
        Baseline first.
    reference : str
        Arm that the others are compared with; empty where there are none.
    relative : bool
        Whether effects are given minus their mode over outcomes, as for log-ratios of taxa.
    level : float
        Coverage of the t intervals, with Satterthwaite's degrees of freedom.

    Returns
    -------
    table : DataFrame
        One row a population, outcome, arm and timepoint after baseline, columns `EFFECTS`.
        ``intention_to_treat``: all subjects with a baseline, in the arm they were given, as long
        as they were seen; ``completers``: those seen at every timepoint, with rows only where
        these are fewer. Subjects who left are not made up for: the estimates hold if leaving
        depends on nothing but what was observed before. `n_arm` and `n_reference` are subjects at
        the timepoint, `n_samples` is of the whole model. An outcome without residual variation has
        empty low, high and p.
    not_run : dict of str to str
        Reason by outcome, or by population and outcome, or part of it.

    References
    ----------
    White & Thompson (2005), doi:10.1002/sim.1981, from memory: baseline as a covariate.
    """
    visits = visits[visits.index.isin(values.index)]
    values = values.loc[visits.index]
    is_known = values.notna().to_numpy()
    alike: dict[bytes, list[int]] = {}
    for place, column in enumerate(is_known.T):
        alike.setdefault(column.tobytes(), []).append(place)
    parts, not_run = [], {}
    for places in alike.values():
        known = visits[is_known[:, places[0]]]
        named = ", ".join(str(values.columns[place]) for place in places[:3])
        named += f" and {len(places) - 3} more" if len(places) > 3 else ""
        at_baseline = known.loc[known["timepoint"] == timepoints[0], "subject"]
        known = known[known["subject"].isin(at_baseline)]
        seen = known["subject"].map(known.groupby("subject")["timepoint"].nunique())
        complete = known[seen == len(timepoints)]
        for population, rows in zip(POPULATIONS, (known, complete), strict=True):
            if population == "completers" and len(rows) == len(known):
                continue
            key = named if population == POPULATIONS[0] else f"{population}, {named}"
            try:
                part, unseen = _one_model(
                    values.iloc[:, places], rows, timepoints, reference, relative, level
                )
            except NotRun as error:
                not_run[key] = error.reason
                continue
            if unseen:
                not_run[key] = "; ".join(unseen)
            parts.append(part.assign(population=population, baseline=timepoints[0]))
    if not parts:
        return pd.DataFrame(columns=EFFECTS), not_run
    table = pd.concat(parts, ignore_index=True)
    rank = {name: position for position, name in enumerate(values.columns)}
    order = [table["population"].map(POPULATIONS.index), table["outcome"].map(rank)]
    return table.iloc[np.lexsort(order[::-1])].reset_index(drop=True)[EFFECTS], not_run


def _one_model(
    values: pd.DataFrame,
    rows: pd.DataFrame,
    timepoints: Sequence[str],
    reference: str,
    relative: bool,
    level: float,
) -> tuple[pd.DataFrame, list[str]]:
    """Models of outcomes that are known in the same samples, and what had too few subjects."""
    baseline = timepoints[0]
    arms = [reference, *sorted(set(rows["arm"]) - {reference})]
    sizes = pd.crosstab(rows["timepoint"], rows["arm"]).reindex(
        index=list(timepoints), columns=arms, fill_value=0
    )
    unseen, cells = [], []
    for time in timepoints[1:]:
        for arm in arms:
            if sizes.loc[time, arm] >= MIN_PER_LEVEL:
                cells.append((time, arm))
                continue
            whose = f"arm {arm!r} has" if arm else "there are"
            unseen.append(
                f"{whose} {sizes.loc[time, arm]} subjects with a value at baseline and at "
                f"timepoint {time!r}, {MIN_PER_LEVEL} are needed"
            )
    times = [time for time in timepoints[1:] if (time, reference) in cells]
    contrasts = [(time, arm) for time, arm in cells if time in times and (not arm or arm in arms)]
    if reference:
        contrasts = [(time, arm) for time, arm in contrasts if arm != reference]
    if not contrasts:
        raise NotRun("; ".join(unseen))

    of_baseline = rows[rows["timepoint"] == baseline]
    kept = [key in {*contrasts, *((time, reference) for time in times)} for key in _cells(rows)]
    later = rows[kept]
    modelled = later if reference else rows[np.array(kept) | (rows["timepoint"] == baseline)]
    when, who = modelled["timepoint"].to_numpy(), modelled["arm"].to_numpy()
    columns = [np.ones(len(modelled), bool)]
    if reference:
        columns += [when == each for each in times[1:]]
        columns += [(when == each) & (who == name) for each, name in contrasts]
    else:
        columns += [when == each for each, _ in contrasts]
    matrix = np.column_stack(columns).astype(float)
    own = None
    if reference:
        by_subject = values.loc[of_baseline.index].set_axis(of_baseline["subject"])
        own = by_subject.loc[modelled["subject"]].to_numpy(float)
    coefficients, errors, freedom, _ = fit_reml(
        values.loc[modelled.index].to_numpy(float), matrix, modelled["subject"].to_numpy(), own
    )
    parts = []
    for place, (each, name) in enumerate(contrasts, start=len(columns) - len(contrasts)):
        effect, df = coefficients[place], freedom[place]
        if relative:
            effect = effect - mode(effect)
        error = np.where(errors[place] > 0, errors[place], np.nan)
        margin = stats.t.ppf(0.5 + level / 2, df) * error
        part = pd.DataFrame(
            {
                "outcome": values.columns,
                "arm": name,
                "timepoint": each,
                "effect": effect,
                "low": effect - margin,
                "high": effect + margin,
                "p": 2 * stats.t.sf(np.abs(effect / error), df),
                "df": df,
                "n_arm": sizes.loc[each, name],
                "n_reference": sizes.loc[each, reference] if reference else np.nan,
                "n_samples": len(modelled),
            }
        )
        parts.append(part)
    return pd.concat(parts, ignore_index=True), unseen


def _cells(rows: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(rows["timepoint"], rows["arm"], strict=True))


def with_q(table: pd.DataFrame) -> pd.DataFrame:
    """Add the false discovery rate within each population, family and method.

    A family is all outcomes of one kind (all taxa, all scales ...), at all timepoints and in all
    arms: to choose among timepoints is to choose among tests. By Benjamini-Hochberg.

    Examples
    --------
    >>> table = pd.DataFrame({"population": "completers", "family": "scales", "method": "value",
    ...     "p": [0.01, 0.04, np.nan]})
    >>> with_q(table)["q"].tolist()
    [0.02, 0.04, nan]
    """
    q = pd.Series(np.nan, table.index)
    for _, part in table[table["p"].notna()].groupby(["population", "family", "method"]):
        q[part.index] = stats.false_discovery_control(part["p"].astype(float), method="bh")
    return table.assign(q=q)


def changes(values: pd.DataFrame, visits: pd.DataFrame, timepoints: Sequence[str]) -> pd.DataFrame:
    """Change of every subject with a baseline sample, in every outcome, at every later timepoint.

    Parameters
    ----------
    values : DataFrame of shape (n_samples, n_outcomes)
        Of the samples that have any; missing where there is no value.
    visits : DataFrame
        As `find_visits` gives it.
    timepoints : sequence of str
        Baseline first.

    Returns
    -------
    DataFrame
        Columns `CHANGES`, in the order of the visits, outcomes and timepoints. `status` is ``ok``,
        ``no sample`` (the subject was not seen), the status of a sample that is not ok, or ``no
        value``; only with ``ok`` is there a change.

    Examples
    --------
    >>> visits = pd.DataFrame({"subject": "A", "timepoint": ["0", "4"], "arm": "", "status": "ok"},
    ...     index=["S1", "S2"])
    >>> table = changes(pd.DataFrame({"x": [1.0, 3.0]}, ["S1", "S2"]), visits, ["0", "4", "8"])
    >>> table[["to", "change", "status"]].values.tolist()
    [['4', 2.0, 'ok'], ['8', nan, 'no sample']]
    """
    sample = {
        (str(who), str(when)): (str(name), str(status))
        for name, who, when, status in zip(
            visits.index, visits["subject"], visits["timepoint"], visits["status"], strict=True
        )
    }
    arms = visits.drop_duplicates("subject").set_index("subject")["arm"]
    by_outcome = {name: values[name].to_dict() for name in values.columns}
    nothing: tuple[str | None, str] = (None, NO_SAMPLE)
    rows = []
    for subject, arm in zip(arms.index.astype(str), arms, strict=True):
        first, first_status = sample.get((subject, timepoints[0]), nothing)
        if first is None:
            continue
        for outcome, known in by_outcome.items():
            start = known.get(first, np.nan)
            for time in timepoints[1:]:
                last, status = sample.get((subject, time), nothing)
                end = known.get(last, np.nan)
                if np.isnan(start):
                    why = first_status if first_status != "ok" else "no value"
                    status = f"baseline: {why}"
                elif np.isnan(end):
                    status = "no value" if status == "ok" else status
                else:
                    status = "ok"
                rows.append(
                    (subject, arm, outcome, timepoints[0], time, start, end, end - start, status)
                )
    return pd.DataFrame(rows, columns=CHANGES)


def retention(visits: pd.DataFrame, timepoints: Sequence[str]) -> pd.DataFrame:
    """How many subjects of each arm were seen when, and who was not.

    Returns
    -------
    DataFrame
        One row an arm and timepoint, columns `RETENTION`: subjects assigned to the arm, those with
        a sample, those with a sample of status ok, and the names of the others with the reason.

    Examples
    --------
    >>> visits = pd.DataFrame({"subject": ["A", "B", "A"], "timepoint": ["0", "0", "4"], "arm": "x",
    ...     "status": ["ok", "ok", "failed"]}, index=["S1", "S2", "S3"])
    >>> retention(visits, ["0", "4"])["missing"].tolist()
    ['', 'A (failed), B (no sample)']
    """
    status = visits.pivot_table("status", "subject", "timepoint", aggfunc="first")
    status = status.reindex(columns=list(timepoints)).fillna(NO_SAMPLE).sort_index()
    arms = visits.drop_duplicates("subject").set_index("subject")["arm"]
    rows = []
    for arm in sorted(arms.unique()):
        of_arm = status.loc[status.index.isin(arms.index[arms == arm])]
        for time in timepoints:
            found = of_arm[time]
            absent = found[found != "ok"]
            missing = ", ".join(f"{who} ({why})" for who, why in absent.items())
            n_sample, n_usable = (found != NO_SAMPLE).sum(), (found == "ok").sum()
            rows.append((arm, time, len(found), n_sample, n_usable, missing))
    return pd.DataFrame(rows, columns=RETENTION)


def sheet_values(
    metadata: pd.DataFrame, columns: Sequence[str], visit: Sequence[str], log2: bool = False
) -> pd.DataFrame:
    """Scales or markers of the sheet, one column an outcome; those that it lacks are left out.

    Parameters
    ----------
    metadata : DataFrame
        Indexed by sample.
    columns : sequence of str
    visit : sequence of str
        Columns that name a visit: a value stands for all samples of it.
    log2 : bool
        Whether to take logarithms, as of concentrations; a 0 is half the least value above 0.

    Examples
    --------
    >>> metadata = pd.DataFrame({"who": ["A", "A", "B"], "crp": [0, None, 8]}, ["S1", "S2", "S3"])
    >>> sheet_values(metadata, ["crp", "il6"], ["who"], log2=True)["crp"].tolist()
    [2.0, 2.0, 3.0]
    """
    present = [column for column in columns if column in metadata]
    known = metadata[present].astype(float)
    values = known.groupby([metadata[column] for column in visit]).transform("first")
    if not log2:
        return values
    above = values.where(values > 0)
    above = above.mask(values == 0, above.min() / 2, axis="columns")
    return pd.DataFrame(np.log2(above.to_numpy()), above.index, above.columns)


def reasons(not_run: Mapping[str, str]) -> list[str]:
    """Reasons of `change_models`, each once with its outcomes.

    >>> reasons({"shannon": "too few", "observed": "too few", "phq9_total": "none"})
    ['shannon, observed: too few', 'phq9_total: none']
    """
    outcomes: dict[str, list[str]] = {}
    for outcome, reason in not_run.items():
        outcomes.setdefault(reason, []).append(outcome)
    return [f"{', '.join(names)}: {reason}" for reason, names in outcomes.items()]
