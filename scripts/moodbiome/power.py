"""What a cohort of this size can find: effects planted into its own tables, at random.

The cohort's model is fitted, and its residuals are shuffled over the samples: what is left has the
noise, the zeros and the depths of the cohort, the groups and covariates of its design, and no real
difference. An effect is added to one group, and the model is fitted again.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from moodbiome.association import (
    Design,
    build_design,
    least_squares,
    log2_proportions,
    mode,
    modelled_logs,
    require_taxa,
)
from moodbiome.faults import NotRun
from moodbiome.formula import names_in

FOLD_CHANGES = np.array([0, 0.25, 0.5, 1, 1.5, 2, 3])
"""Planted in taxa, log2; 0 shows what is found where nothing is."""
SHIFTS = np.array([*np.arange(0, 1, 0.1).round(1), 1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3])
"""Planted in scores and diversity, in residual standard deviations of the cohort."""
ASKED = (0.2, 0.3, 0.5)
"""Shifts for which the samples needed in each group are given."""
TARGET = 0.8
LEVEL = 0.05
ALL = "all"
CLASSES = {
    "below_50_percent": (0.0, 0.5),
    "50_to_90_percent": (0.5, 0.9),
    "from_90_percent": (0.9, np.inf),
}
"""Prevalence of a taxon: from the first number, to below the second."""
COLUMNS = [
    "assay",
    "term",
    "feature_kind",
    "class",
    "quantity",
    "effect",
    "unit",
    "n_reference",
    "n_other",
    "power",
    "low",
    "high",
    "simulations",
]

# One taxon in ten of each class differs: with the false discovery rate, what is found depends on
# how much there is to find.
_PLANTED_ONE_IN = 10


def estimate_power(
    samples: pd.DataFrame,
    counts: pd.DataFrame,
    n_classified: pd.Series,
    outcomes: Mapping[tuple[str, str], pd.Series],
    *,
    method: str,
    formula: str,
    group: str,
    reference: str,
    min_prevalence: float,
    min_mean_abundance: float,
    max_fdr: float,
    simulations: int,
    seed: int,
) -> tuple[pd.DataFrame, list[str]]:
    """Power of one assay's comparison of groups, for taxa and for one number a sample.

    Parameters
    ----------
    samples : DataFrame
        Metadata of the samples to compare, indexed by sample.
    counts, n_classified
        As `association.linear_models` takes them.
    outcomes : mapping of (feature kind, class) to Series
        One number a sample, such as a score; samples without a value are left out.
    method : str
        As `taxon_power` takes it.
    formula, group, reference : str
        Model of the cohort, the column of its groups, and the level others are compared with.
    min_prevalence, min_mean_abundance, max_fdr : float
        Filters of taxa and the rate of false discoveries, as the cohort's own test has them.
    simulations, seed : int

    Returns
    -------
    table : DataFrame
        `COLUMNS` without assay. `quantity` is ``power``; ``detectable_at_80``, the effect found in
        80 % of the simulations, where `low` and `high` are of `effect`; or ``needed_at_80``, the
        samples a group that a shift needs.
    not_run : list of str
        What could not be simulated, and why.
    """
    try:
        if not simulations:
            raise NotRun("statistics.power.simulations is 0: power was not estimated")
        if not group:
            raise NotRun("no group is set, so that there is no comparison to estimate the power of")
        design = build_design(samples, formula, {group: reference})
        terms = columns_of_group(design, group)
    except NotRun as error:
        return pd.DataFrame(columns=COLUMNS[1:]), [error.reason]
    parts, not_run = [], []
    for term in terms:
        try:
            part = taxon_power(
                counts[design.matrix.index],
                n_classified,
                design,
                terms,
                term,
                method=method,
                max_fdr=max_fdr,
                min_prevalence=min_prevalence,
                min_mean_abundance=min_mean_abundance,
                simulations=simulations,
                random=_generator(seed, f"taxon {term}"),
            )
            parts.append(part.assign(term=term, feature_kind="taxon"))
        except NotRun as error:
            not_run.append(f"taxa: {error.reason}")
    for (kind, name), values in outcomes.items():
        try:
            known = values.reindex(samples.index).dropna()
            own = build_design(samples.loc[known.index], formula, {group: reference})
            own_terms = columns_of_group(own, group)
            for term in own_terms:
                random = _generator(seed, f"{kind} {name} {term}")
                part = shift_power(known, own, own_terms, term, simulations, random)
                parts.append(part.assign(**{"term": term, "feature_kind": kind, "class": name}))
        except NotRun as error:
            not_run.append(f"{kind.replace('_', ' ')}, {name}: {error.reason}")
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    table = table.reindex(columns=COLUMNS[1:])
    return table, list(dict.fromkeys(not_run))


def columns_of_group(design: Design, group: str) -> list[str]:
    """Columns of a design that compare a level of the group with the reference.

    Raises
    ------
    NotRun
        If the group is no term of its own in 0 and 1, or the model has a random intercept.
    """
    columns = next((c for term, c in design.terms.items() if names_in(term) == [group]), None)
    if columns is None:
        raise NotRun(f"formula {design.formula!r} has no term of the group {group!r} alone")
    labels = design.matrix[list(columns)]
    if not labels.isin([0, 1]).all(axis=None) or (labels.sum(axis="columns") > 1).any():
        raise NotRun(
            f"formula {design.formula!r} does not compare each level of {group!r} with the "
            "reference; power is estimated for that comparison only"
        )
    if design.groups is not None:
        raise NotRun(
            f"formula {design.formula!r} has a random intercept; power is estimated for one sample "
            "a subject only"
        )
    return list(columns)


def shift_power(
    values: pd.Series,
    design: Design,
    columns: Sequence[str],
    column: str,
    simulations: int,
    random: np.random.Generator,
) -> pd.DataFrame:
    """Power for a shift of one number a sample, tested alone at p <= 0.05.

    A shift moves the estimate and leaves its error alone, so that one fit serves all sizes, up and
    down.

    Parameters
    ----------
    values : Series
        By sample; all samples of the design.
    design : Design
    columns : sequence of str
        Of the groups, as `columns_of_group` gives them.
    column : str
        The one to test.
    simulations : int
    random : Generator

    Returns
    -------
    DataFrame
        ``quantity, simulations, effect, unit, n_reference, n_other, power, low, high``: a row for
        each of `SHIFTS`, the detectable shift, and a row for each of `ASKED` with the samples a
        group that `needed_per_group` gives, and the power at that size in ten times as many
        simulations from the cohort's residuals.

    Raises
    ------
    NotRun
        If the design leaves no variation.
    """
    matrix = design.matrix.to_numpy(float)
    residual = _residuals(values.loc[design.matrix.index].to_numpy(float)[:, None], matrix)[:, 0]
    if not residual.any():
        raise NotRun("the values do not vary within the groups")
    place = list(design.matrix.columns).index(column)
    shuffled = np.stack([random.permutation(residual) for _ in range(simulations)], axis=1)
    coefficients, errors, freedom = least_squares(shuffled, matrix)
    planted = np.array([[[1]], [[-1]]]) * SHIFTS * residual.std(ddof=1)
    t = np.abs(coefficients[place][:, None] + planted) / errors[place][:, None]
    found = (2 * stats.t.sf(t, freedom[place]) <= LEVEL).mean(axis=0)
    curve = _curve(SHIFTS, found.mean(axis=0), simulations)
    table = pd.concat([curve, _detectable_row(curve)], ignore_index=True)
    table = table.assign(**_sizes(design.matrix, columns, column))

    noise = residual / residual.std()
    needed, more = [], 10 * simulations  # For a t test costs next to nothing.
    for shift in ASKED:
        n = needed_per_group(shift)
        drawn = random.choice(noise, size=(2, more, n))
        p = stats.ttest_ind(drawn[0], drawn[1] + shift, axis=1).pvalue
        row = _curve(np.array([shift]), np.array([(p <= LEVEL).mean()]), more)
        needed.append(row.assign(quantity="needed_at_80", n_reference=n, n_other=n))
    return pd.concat([table, *needed], ignore_index=True).assign(unit="standard deviations")


def taxon_power(
    counts: pd.DataFrame,
    n_classified: pd.Series,
    design: Design,
    columns: Sequence[str],
    column: str,
    *,
    method: str,
    max_fdr: float,
    min_prevalence: float,
    min_mean_abundance: float,
    simulations: int,
    random: np.random.Generator,
) -> pd.DataFrame:
    """Power for a fold change of taxa by one model with its false discovery rate.

    In each simulation one tested taxon in ten of each prevalence class (at least one) differs: its
    fragments are thinned in one of the groups, each kept with probability 2^-effect, which is what
    sequencing a smaller share gives, zeros included; the change in its logs is added to the
    shuffled residuals. All taxa are tested together; one left without a fragment in a group is not
    found, as a structural zero is not tested.

    Parameters
    ----------
    counts : DataFrame of shape (n_taxa, n_samples)
        Fragments, of the samples of the design.
    n_classified : Series
        Denominator by sample, in fragments.
    design, columns, column, simulations, random
        As in `shift_power`.
    method : str
        ``clr_bias_corrected`` or ``log2_proportion``, see `association.linear_models`.
    max_fdr, min_prevalence, min_mean_abundance : float

    Returns
    -------
    DataFrame
        ``class, quantity, simulations, effect, unit, n_reference, n_other, power, low, high``:
        power is the share of the planted taxa with q <= `max_fdr`, mean over simulations. Its
        interval counts the taxa of a simulation as one, and so is rather too wide.

    Raises
    ------
    NotRun
        If no taxon, or too few for the method, passes the filters; or for another method.
    """
    if method not in ("clr_bias_corrected", "log2_proportion"):
        raise NotRun(
            f"power is simulated for clr_bias_corrected and log2_proportion; statistics.methods "
            f"begins with {method}"
        )
    is_relative = method == "clr_bias_corrected"
    matrix = design.matrix.to_numpy(float)
    samples = design.matrix.index
    screen = require_taxa(counts, n_classified, method, min_prevalence, min_mean_abundance)
    tested = screen["tested"].to_numpy()
    counts = counts.loc[tested, samples]
    fragments = counts.to_numpy(np.int64)
    total = n_classified.loc[samples].to_numpy(float)
    logs = modelled_logs(counts, n_classified, "log2_proportion")
    residuals = _residuals(modelled_logs(counts, n_classified, method), matrix)
    members = _by_class(screen["prevalence"].to_numpy()[tested])
    place = list(design.matrix.columns).index(column)
    in_other = matrix[:, place] == 1
    in_reference = ~design.matrix[list(columns)].any(axis="columns").to_numpy()

    power: dict[str, list[np.ndarray]] = {name: [] for name in [*members, ALL]}
    for _ in range(simulations):
        order = random.permutation(len(samples))
        planted = {
            name: random.choice(taxa, size=-(-len(taxa) // _PLANTED_ONE_IN), replace=False)
            for name, taxa in members.items()
        }
        chosen = np.concatenate(list(planted.values()))
        is_higher = random.random(len(chosen)) < 0.5
        is_lowered = np.where(is_higher[:, None], in_reference, in_other)
        noise, unplanted = residuals[order], logs[order][:, chosen].T
        left, before = fragments[np.ix_(chosen, order)], 0.0
        found = np.empty((len(FOLD_CHANGES), len(chosen)), dtype=bool)
        for i, effect in enumerate(FOLD_CHANGES):
            # Thinning what the last effect left gives the same as thinning the counts anew.
            left = np.where(is_lowered, random.binomial(left, 2 ** (before - effect)), left)
            before = effect
            is_tested = left[:, in_other].any(axis=1) & left[:, in_reference].any(axis=1)
            changed = np.zeros(left.shape)
            changed[is_tested] = log2_proportions(left[is_tested] / total[order])
            changed[is_tested] -= unplanted[is_tested]
            response = noise.copy()
            response[:, chosen] += changed.T
            if is_relative:
                response -= changed.sum(axis=0)[:, None] / response.shape[1]
            p = _p_values(response, matrix, place, is_relative)
            p[chosen[~is_tested]] = 1
            found[i] = stats.false_discovery_control(p, method="bh")[chosen] <= max_fdr
        power[ALL].append(found.mean(axis=1))
        ends = np.cumsum([len(taxa) for taxa in planted.values()])[:-1]
        for name, part in zip(planted, np.split(found, ends, axis=1), strict=True):
            power[name].append(part.mean(axis=1))

    tables = []
    for name, shares in power.items():
        curve = _curve(FOLD_CHANGES, np.mean(shares, axis=0), simulations)
        whole = pd.concat([curve, _detectable_row(curve)], ignore_index=True)
        tables.append(whole.assign(**{"class": name}))
    table = pd.concat(tables, ignore_index=True)
    return table.assign(unit="log2 fold change", **_sizes(design.matrix, columns, column))


def t_test_power(shift: float, n: np.ndarray) -> np.ndarray:
    """Power of the two-sided t test at 0.05 with `n` samples in each of two groups.

    Examples
    --------
    >>> t_test_power(0.5, np.array([64])).round(3)
    array([0.801])
    """
    freedom = 2 * n - 2
    critical = stats.t.isf(LEVEL / 2, freedom)
    centre = shift * np.sqrt(n / 2)
    return stats.nct.sf(critical, freedom, centre) + stats.nct.cdf(-critical, freedom, centre)


def needed_per_group(shift: float) -> int:
    """Samples in each of two groups that find a shift, in standard deviations, 80 % of the time.

    Examples
    --------
    >>> [needed_per_group(shift) for shift in (0.2, 0.3, 0.5)]
    [394, 176, 64]
    """
    # The normal approximation, 15.7 / shift^2, is short by one to three samples.
    n = np.arange(2, int(16 / shift**2) + 10)
    return int(n[np.argmax(t_test_power(shift, n) >= TARGET)])


def detectable(effects: np.ndarray, power: np.ndarray) -> float:
    """The effect at which power first reaches 80 %, interpolated; NaN if none does.

    Examples
    --------
    >>> detectable(np.array([0.0, 1.0, 2.0]), np.array([0.05, 0.6, 1.0]))
    1.5
    """
    reached = np.flatnonzero(power >= TARGET)
    if not len(reached):
        return float("nan")
    i = reached[0]
    if i == 0:
        return float(effects[0])
    part = (TARGET - power[i - 1]) / (power[i] - power[i - 1])
    return float(effects[i - 1] + part * (effects[i] - effects[i - 1]))


def _curve(effects: np.ndarray, power: np.ndarray, simulations: int) -> pd.DataFrame:
    """Power by effect with its Monte Carlo interval (Wilson, 95 %)."""
    z = stats.norm.isf(0.025)
    spread = 1 + z**2 / simulations
    centre = (power + z**2 / (2 * simulations)) / spread
    margin = z * np.sqrt(power * (1 - power) / simulations + (z / (2 * simulations)) ** 2) / spread
    return pd.DataFrame(
        {
            "quantity": "power",
            "simulations": simulations,
            "effect": effects,
            "power": power,
            "low": np.clip(centre - margin, 0, 1),
            "high": np.clip(centre + margin, 0, 1),
        }
    )


def _detectable_row(curve: pd.DataFrame) -> pd.DataFrame:
    """The effect found in 80 %; its interval is where the bounds of the power reach that."""
    effects = curve["effect"].to_numpy()
    effect, low, high = (
        detectable(effects, curve[name].to_numpy()) for name in ("power", "high", "low")
    )
    return pd.DataFrame(
        {
            "quantity": ["detectable_at_80"],
            "simulations": curve["simulations"].iloc[:1],
            "effect": [effect],
            "power": [TARGET],
            "low": [low],
            "high": [high],
        }
    )


def _by_class(prevalence: np.ndarray) -> dict[str, np.ndarray]:
    """Positions of the taxa of each prevalence class that has any."""
    places = {
        name: np.flatnonzero((prevalence >= low) & (prevalence < high))
        for name, (low, high) in CLASSES.items()
    }
    return {name: taxa for name, taxa in places.items() if len(taxa)}


def _residuals(response: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Residuals of each response on a design, with the variance that the model estimates.

    Left as they are they would be too small, by the degrees of freedom that the design takes.
    """
    coefficients, errors, freedom = least_squares(response, matrix)
    residual = response - matrix @ coefficients
    residual[:, errors[0] == 0] = 0
    return residual * np.sqrt((len(matrix) - 1) / freedom[0])


def _p_values(
    response: np.ndarray, matrix: np.ndarray, place: int, is_relative: bool
) -> np.ndarray:
    """p of one column of the design for each response; 1 where the design leaves no variation.

    Relative effects are those minus their mode over the responses.
    """
    coefficients, errors, freedom = least_squares(response, matrix)
    effect, error = coefficients[place], errors[place]
    if is_relative:
        effect = effect - mode(effect)
    t = np.divide(np.abs(effect), error, out=np.zeros_like(effect), where=error > 0)
    return 2 * stats.t.sf(t, freedom[place])


def _sizes(matrix: pd.DataFrame, columns: Sequence[str], column: str) -> dict[str, int]:
    labels = matrix[list(columns)]
    return {
        "n_reference": int((labels == 0).all(axis="columns").sum()),
        "n_other": int(labels[column].sum()),
    }


def _generator(seed: int, name: str) -> np.random.Generator:
    """A stream of its own for each name, whatever else is drawn."""
    return np.random.default_rng([seed, *name.encode()])
