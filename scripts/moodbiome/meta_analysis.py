"""Effects of several studies pooled, all features at once: random effects and what they rest on.

The variance between studies is estimated by restricted maximum likelihood or by Paule and Mandel's
equation, never by DerSimonian and Laird's moments, which are too small where studies are few or
differ much (Veroniki 2016, doi:10.1002/jrsm.1164).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import special, stats

from moodbiome.association import build_design, linear_models
from moodbiome.cohort import require_one_group, subjects_of
from moodbiome.faults import NotRun
from moodbiome.formula import without_column

ESTIMATORS = ("reml", "paule_mandel")
MIN_STUDIES_FOR_EGGER = 10
HEDGES_G = "hedges_g"
HEDGES_G_UNIT = "standardised mean difference (Hedges g)"

POOLED = [
    *("k", "effect", "se", "low", "high", "p", "tau2", "tau2_low", "tau2_high", "i2"),
    *("heterogeneity_q", "heterogeneity_p", "prediction_low", "prediction_high"),
    *("fixed_effect", "fixed_low", "fixed_high"),
]
"""Columns of `pool`."""

INFLUENCE = [
    *("leave_one_out_low", "leave_one_out_high", "sign_depends_on", "significance_depends_on"),
]
"""Columns of `influence`."""

BY_COHORT_COLUMNS = [
    *("feature", "assay", "kind", "name", "study", "term", "effect", "low", "high", "se", "p"),
    *("n", "n_of", "method", "effect_unit"),
]
POOLED_COHORTS_COLUMNS = [
    *("feature", "assay", "kind", "name", "term", "k", "n", "n_of", "effect", "low", "high", "se"),
    *("p", "q", *POOLED[6:], *INFLUENCE, "method", "effect_unit", "pooling"),
]
_MIN_PER_GROUP = 3


class _Fit(NamedTuple):
    """Weighted least squares of m features at given variances between studies."""

    coefficients: np.ndarray  # (m, parameters)
    covariance: np.ndarray  # (m, parameters, parameters), with the weights as given
    distance: np.ndarray  # (m,) weighted sum of squared residuals
    criterion: np.ndarray  # (m,) -2 restricted log-likelihood, up to a constant


def pool(
    effects: np.ndarray,
    variances: np.ndarray,
    estimator: str = "reml",
    level: float = 0.95,
) -> pd.DataFrame:
    """Pool each feature's effects over the studies that have it.

    Parameters
    ----------
    effects, variances : arrays of shape (k_studies, m_features)
        Effects and their squared standard errors; both missing (nan) where a study lacks a feature.
    estimator : str
        Of the variance between studies: one of `ESTIMATORS`.
    level : float
        Coverage of all intervals.

    Returns
    -------
    DataFrame of shape (m_features, 17)
        ``k``: studies with the feature. ``effect, se``: of the random-effects model. ``low, high,
        p``: the wider of the interval by Hartung and Knapp (t, k - 1) and the normal one, and the
        larger p, since the former alone can be narrower than the fixed-effect interval (hybrid of
        Jackson 2017, doi:10.1002/sim.7411). ``tau2``: variance between studies, never below 0, with
        its interval by Q-profile (Viechtbauer 2007, doi:10.1002/sim.2514). ``heterogeneity_q,
        heterogeneity_p``: Cochran's Q. ``i2``: (Q - (k - 1)) / Q, 0 to 1. ``prediction_low,
        prediction_high``: where the effect of a new study lies, t with k - 2 (Higgins 2009,
        doi:10.1111/j.1467-985X.2008.00552.x), missing below 3 studies. ``fixed_effect, fixed_low,
        fixed_high``: weights 1 / variance. With one study its effect and normal interval, and all
        that needs two is missing.

    Raises
    ------
    ValueError
        For a feature without any study, an effect without a variance or a variance not above 0.

    Examples
    --------
    Two studies that agree: no variance between them, and the mean of both.

    >>> pool(np.array([[1.0], [1.0]]), np.array([[0.5], [0.5]]))[["effect", "se", "tau2"]].values
    array([[1. , 0.5, 0. ]])
    """
    effects, variances = _checked(effects, variances)
    k = (~np.isnan(effects)).sum(axis=0)
    if (k == 0).any():
        raise ValueError(f"feature {int((k == 0).argmax())} has no effect in any study")
    several = k > 1
    constant = np.ones((len(effects), 1))
    tau2, fit = _random_effects(effects, variances, constant, estimator)
    effect = fit.coefficients[:, 0]
    se = np.sqrt(fit.covariance[:, 0, 0])
    margin, p = _hybrid(effect, se, fit.distance, k - 1, level)

    fixed = _fit(effects, variances, constant, np.zeros(effects.shape[1]))
    fixed_margin = stats.norm.ppf(0.5 + level / 2) * np.sqrt(fixed.covariance[:, 0, 0])
    fixed_effect = fixed.coefficients[:, 0]
    # Rounding leaves a trace of distance between studies that agree.
    q = np.where(several, np.where(fixed.distance > 1e-20, fixed.distance, 0), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        i2 = np.where(q > 0, np.clip(1 - (k - 1) / q, 0, None), np.where(several, 0.0, np.nan))
    tails = stats.chi2.ppf(
        [0.5 + level / 2, 0.5 - level / 2], np.where(several, k - 1, np.nan)[:, None]
    )
    tau2_low, tau2_high = (
        _tau2_at(effects, variances, constant, tails[:, column]) for column in (0, 1)
    )
    freedom = np.where(k > 2, k - 2, np.nan)
    reach = stats.t.ppf(0.5 + level / 2, freedom) * np.sqrt(tau2 + se**2)
    return pd.DataFrame(
        {
            "k": k,
            "effect": effect,
            "se": se,
            "low": effect - margin,
            "high": effect + margin,
            "p": p,
            "tau2": np.where(several, tau2, np.nan),
            "tau2_low": tau2_low,
            "tau2_high": tau2_high,
            "i2": i2,
            "heterogeneity_q": q,
            "heterogeneity_p": stats.chi2.sf(q, np.where(several, k - 1, np.nan)),
            "prediction_low": effect - reach,
            "prediction_high": effect + reach,
            "fixed_effect": np.where(several, fixed_effect, np.nan),
            "fixed_low": np.where(several, fixed_effect - fixed_margin, np.nan),
            "fixed_high": np.where(several, fixed_effect + fixed_margin, np.nan),
        }
    )[POOLED]


def weights(effects: np.ndarray, variances: np.ndarray, estimator: str = "reml") -> np.ndarray:
    """Share (0-1) of each study in the random-effects mean; 0 where it lacks the feature.

    Parameters
    ----------
    effects, variances, estimator
        As for `pool`.

    Returns
    -------
    array of shape (k_studies, m_features)

    Examples
    --------
    >>> weights(np.array([[1.0], [1.0]]), np.array([[1.0], [3.0]]))[:, 0].tolist()
    [0.75, 0.25]
    """
    effects, variances = _checked(effects, variances)
    tau2, _ = _random_effects(effects, variances, np.ones((len(effects), 1)), estimator)
    weight = np.where(np.isnan(effects), 0, 1 / (variances + tau2))
    return weight / weight.sum(axis=0)


def influence(
    effects: np.ndarray,
    variances: np.ndarray,
    studies: Sequence[str],
    estimator: str = "reml",
    level: float = 0.95,
) -> pd.DataFrame:
    """How far each pooled effect rests on a single study: every study left out in turn.

    Parameters
    ----------
    effects, variances, estimator, level
        As for `pool`.
    studies : sequence of str
        Names of the rows.

    Returns
    -------
    DataFrame of shape (m_features, 4)
        ``leave_one_out_low, leave_one_out_high``: smallest and largest pooled effect without one
        study. ``sign_depends_on, significance_depends_on``: studies without which the sign of the
        effect, or whether the interval leaves out 0, is another; names joined by ", ", empty if
        there is none. Missing below 3 studies, where leaving one out pools nothing.
    """
    effects, variances = _checked(effects, variances)
    whole = pool(effects, variances, estimator, level)
    enough = whole["k"].to_numpy() > 2
    found, ps = np.full((2, *effects.shape), np.nan)
    for row in range(len(effects)):
        concerned = enough & ~np.isnan(effects[row])
        if concerned.any():
            rest = np.delete(effects, row, axis=0)[:, concerned]
            part = pool(rest, np.delete(variances, row, axis=0)[:, concerned], estimator, level)
            found[row, concerned], ps[row, concerned] = part["effect"], part["p"]
    known = ~np.isnan(found)
    turned = known & (np.sign(found) != np.sign(whole["effect"].to_numpy()))
    limit = 1 - level
    moved = known & ((ps < limit) != (whole["p"].to_numpy() < limit))
    low = np.where(known, found, np.inf).min(axis=0)
    high = np.where(known, found, -np.inf).max(axis=0)
    return pd.DataFrame(
        {
            "leave_one_out_low": np.where(enough, low, np.nan),
            "leave_one_out_high": np.where(enough, high, np.nan),
            "sign_depends_on": _named(turned, studies),
            "significance_depends_on": _named(moved, studies),
        }
    )[INFLUENCE]


def _named(marks: np.ndarray, studies: Sequence[str]) -> list[str]:
    names = np.asarray(studies, dtype=object)
    return [", ".join(names[column]) for column in marks.T]


class Regression(NamedTuple):
    """A meta-regression: what `meta_regression` returns.

    Attributes
    ----------
    coefficients : DataFrame
        One row a column of the design: ``effect, se, low, high, p``.
    tau2 : float
        Variance between studies that the design leaves.
    test_p : float
        Of the test that all coefficients but the first are 0.
    """

    coefficients: pd.DataFrame
    tau2: float
    test_p: float


def meta_regression(
    effects: np.ndarray, variances: np.ndarray, design: pd.DataFrame, level: float = 0.95
) -> Regression:
    """Regress the effects of studies on what the studies are, by restricted maximum likelihood.

    Parameters
    ----------
    effects, variances : arrays of shape (k_studies,)
        Without missing values.
    design : DataFrame of shape (k_studies, n_parameters)
        The intercept first.
    level : float

    Returns
    -------
    Regression
        Intervals and p as in `pool`: the wider by Knapp and Hartung (2003, doi:10.1002/sim.1482; t
        with k - n_parameters) or by the normal distribution. The test of all coefficients is F,
        and the chi-squared p where that is larger.

    Raises
    ------
    NotRun
        If there are not at least two studies more than parameters, or columns determine each other.
    """
    k, parameters = design.shape
    if k < parameters + 2:
        raise NotRun(f"needs {parameters + 2} studies for {parameters} parameters, there are {k}")
    matrix = design.to_numpy(float)
    if np.linalg.matrix_rank(matrix) < parameters:
        raise NotRun("the columns of the design determine each other: too little differs")
    effects, variances = _checked(effects[:, None], variances[:, None])
    tau2, fit = _random_effects(effects, variances, matrix, "reml")
    coefficients, covariance = fit.coefficients[0], fit.covariance[0]
    se = np.sqrt(np.diag(covariance))
    freedom = k - parameters
    margin, p = _hybrid(coefficients, se, fit.distance, freedom, level)
    tested = coefficients[1:]
    test_p = np.nan
    if len(tested):
        wald = float(tested @ np.linalg.solve(covariance[1:, 1:], tested))
        scaled = wald / len(tested) / (fit.distance[0] / freedom)
        test_p = max(stats.f.sf(scaled, len(tested), freedom), stats.chi2.sf(wald, len(tested)))
    table = pd.DataFrame(
        {
            "effect": coefficients,
            "se": se,
            "low": coefficients - margin,
            "high": coefficients + margin,
            "p": p,
        },
        index=design.columns,
    )
    return Regression(table, float(tau2[0]), float(test_p))


def egger(effects: np.ndarray, variances: np.ndarray, level: float = 0.95) -> pd.Series:
    """Egger's test of small-study effects: is the funnel lopsided?

    Least squares of effect / se on 1 / se; the intercept is 0 for an even funnel (Egger 1997,
    doi:10.1136/bmj.315.7109.629).

    Parameters
    ----------
    effects, variances : arrays of shape (k_studies,)
        Without missing values.
    level : float

    Returns
    -------
    Series
        ``effect`` (the intercept), ``se, low, high, p``; t with k - 2.

    Raises
    ------
    NotRun
        Below 10 studies, where the test finds next to nothing (Sterne 2011,
        doi:10.1136/bmj.d4002), or if all standard errors are equal.
    """
    k = len(effects)
    if k < MIN_STUDIES_FOR_EGGER:
        raise NotRun(f"Egger's test needs {MIN_STUDIES_FOR_EGGER} studies, there are {k}")
    precision = 1 / np.sqrt(variances)
    if np.ptp(precision) <= 1e-9 * precision.max():
        raise NotRun("Egger's test needs standard errors that differ; all studies have the same")
    fit = stats.linregress(precision, np.asarray(effects) * precision)
    margin = stats.t.ppf(0.5 + level / 2, k - 2) * fit.intercept_stderr
    p = 2 * stats.t.sf(abs(fit.intercept / fit.intercept_stderr), k - 2)
    return pd.Series(
        {
            "effect": fit.intercept,
            "se": fit.intercept_stderr,
            "low": fit.intercept - margin,
            "high": fit.intercept + margin,
            "p": p,
        }
    )


def hedges_g(
    n: np.ndarray,
    mean: np.ndarray,
    sd: np.ndarray,
    n_control: np.ndarray,
    mean_control: np.ndarray,
    sd_control: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Standardised mean differences with the small-sample correction, and their variances.

    Parameters
    ----------
    n, mean, sd, n_control, mean_control, sd_control : arrays of one shape
        Of the two arms; the sd with n - 1.

    Returns
    -------
    g, variance : arrays of that shape
        g = J d with d the difference over the pooled sd and J the exact correction (Hedges 1981,
        doi:10.3102/10769986006002107); variance J² (1/n + 1/n_control + d² / 2 (n + n_control))
        (Borenstein 2009, Introduction to Meta-Analysis, chapter 4).

    Examples
    --------
    The example of Borenstein's chapter 4 (recalled): g 0.5924, variance 0.0411.

    >>> g, variance = hedges_g(50, 103, 5.5, 50, 100, 4.5)
    >>> round(float(g), 4), round(float(variance), 4)
    (0.5924, 0.0411)
    """
    n, n_control = np.asarray(n, float), np.asarray(n_control, float)
    freedom = n + n_control - 2
    within = ((n - 1) * np.square(sd) + (n_control - 1) * np.square(sd_control)) / freedom
    d = (np.asarray(mean, float) - mean_control) / np.sqrt(within)
    log_ratio = special.gammaln(freedom / 2) - special.gammaln((freedom - 1) / 2)
    correction = np.exp(log_ratio) / np.sqrt(freedom / 2)
    variance = 1 / n + 1 / n_control + d**2 / (2 * (n + n_control))
    return correction * d, correction**2 * variance


def taxa_by_cohort(
    counts: pd.DataFrame,
    n_classified: pd.Series,
    samples: pd.DataFrame,
    study: str,
    formula: str,
    references: Mapping[str, str] | None = None,
    names: Mapping[int, str] | pd.Series | None = None,
    **settings: Any,
) -> tuple[pd.DataFrame, dict[str, str], dict[str, str]]:
    """Model the taxa in each study alone, by one design, its reference levels those of all samples.

    Parameters
    ----------
    counts, n_classified, names, settings
        As for `association.linear_models`.
    samples : DataFrame
        Metadata of the usable samples, indexed by sample.
    study : str
        Column that names the study of each sample; taken out of the formula.
    formula, references
        As for `association.build_design`.

    Returns
    -------
    table : DataFrame
        Columns `BY_COHORT_COLUMNS` without assay; taxa without residual variation are left out.
    not_run : dict of str to str
        Reason by study.
    dropped : dict of str to str
        Reason by sample.

    Raises
    ------
    NotRun
        If the design cannot be fitted to all samples together, hence to no study.
    """
    design_formula = without_column(formula, study)
    known = samples[_has_study(samples, study)]
    whole = build_design(known, design_formula, references)
    parts, not_run = [], {}
    dropped = {str(name): f"missing {study}" for name in samples.index.difference(known.index)}
    for name, part in known.groupby(study, sort=True):
        try:
            design = build_design(part, design_formula, whole.references)
            table = linear_models(counts, n_classified, design, names, **settings)
        except NotRun as refusal:
            not_run[str(name)] = refusal.reason
            continue
        dropped |= {str(sample): reason for sample, reason in design.dropped.items()}
        table = table[table["se"].notna()].rename(columns={"taxon_id": "feature"})
        parts.append(table.assign(study=str(name), kind="taxon", n_of="samples"))
    return _by_cohort(parts), not_run, dropped


def differences_by_cohort(
    values: pd.DataFrame,
    samples: pd.DataFrame,
    study: str,
    group: str,
    reference: str,
    kind: str,
    subject: str = "subject",
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Hedges g of each group against the reference, in each study alone; unadjusted.

    Subjects are compared, not samples: where a study has several samples of a subject, their mean
    stands for it.

    Parameters
    ----------
    values : DataFrame of shape (n_samples, n_features)
        Indexed by sample; missing values are left out, feature by feature.
    samples : DataFrame
        Metadata of the usable samples, indexed by sample.
    study, group : str
        Columns of `samples`.
    reference : str
        Group to compare with.
    kind : str
        What the features are, such as ``alpha diversity``.
    subject : str
        Column of `samples`; without it, each sample is a subject of its own.

    Returns
    -------
    table : DataFrame
        Columns `BY_COHORT_COLUMNS` without assay; normal intervals. ``n`` are subjects, as
        ``n_of`` says, or samples without the column.
    not_run : dict of str to str
        Reason by study: groups with fewer than 3 values, or without variation; a subject with
        samples of several groups.
    """
    parts, not_run = [], {}
    n_of = "subjects" if subject in samples.columns else "samples"
    known = samples[_has_study(samples, study) & samples[group].notna()]
    groups = known[group].astype(str)
    levels = [level for level in sorted(set(groups)) if level != reference]
    for name, part in known.groupby(study, sort=True):
        own, person = groups[part.index], subjects_of(part, subject)
        try:
            require_one_group(own, person)
        except NotRun as refusal:
            not_run[str(name)] = refusal.reason
            continue
        means = values.reindex(part.index).groupby(person).mean()
        arms = means.groupby(own.groupby(person).first())
        n, mean, sd = (arms.agg(what) for what in ("count", "mean", "std"))
        n, mean, sd = (of.reindex([reference, *levels]) for of in (n, mean, sd))
        usable = (n >= _MIN_PER_GROUP) & (sd > 0)
        lacking = []
        for level in levels:
            both = usable.columns[usable.loc[[level, reference]].all().to_numpy()]
            if len(both) < len(usable.columns):
                lacking.append(level)
            g, variance = hedges_g(
                *(of[both].loc[level].to_numpy(float) for of in (n, mean, sd)),
                *(of[both].loc[reference].to_numpy(float) for of in (n, mean, sd)),
            )
            se = np.sqrt(variance)
            margin = stats.norm.ppf(0.975) * se
            parts.append(
                pd.DataFrame(
                    {
                        "feature": both,
                        "kind": kind,
                        "name": both,
                        "study": str(name),
                        "term": f"{group}[T.{level}]",
                        "effect": g,
                        "low": g - margin,
                        "high": g + margin,
                        "se": se,
                        "p": 2 * stats.norm.sf(np.abs(g / se)),
                        "n": n[both].loc[[level, reference]].sum().to_numpy(int),
                        "n_of": n_of,
                        "method": HEDGES_G,
                        "effect_unit": HEDGES_G_UNIT,
                    }
                )
            )
        if lacking:
            not_run[str(name)] = (
                f"{', '.join(lacking)} against {reference}: needs {_MIN_PER_GROUP} {n_of} of each "
                "with values that differ"
            )
    return _by_cohort([part for part in parts if len(part)]), not_run


def _has_study(samples: pd.DataFrame, study: str) -> pd.Series:
    return samples[study].notna() & (samples[study].astype(str) != "")


def _by_cohort(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    columns = [column for column in BY_COHORT_COLUMNS if column != "assay"]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)[columns]


def pool_cohorts(by_cohort: pd.DataFrame) -> pd.DataFrame:
    """Pool the effects of each feature and term over the studies, by `pool` with REML.

    Parameters
    ----------
    by_cohort : DataFrame
        Columns `BY_COHORT_COLUMNS`, one row a feature, study and term.

    Returns
    -------
    DataFrame
        Columns `POOLED_COHORTS_COLUMNS`. `n`: samples (or subjects, as `n_of` says) of
        all studies with the feature. `q`:
        Benjamini-Hochberg over the features of one assay, kind and term with two studies or more.
        A feature of one study has that study's own interval and p, no q, and ``one study`` under
        `pooling`. Sorted by assay, kind and term in their first order, then p and feature.
    """
    parts = []
    keys = ["assay", "kind", "term", "n_of", "method", "effect_unit"]
    for _, part in by_cohort.groupby(keys, sort=False):
        wide = part.pivot_table(index="study", columns="feature", values=["effect", "se"])
        effects, variances = wide["effect"].to_numpy(), wide["se"].to_numpy() ** 2
        table = pd.concat(
            [pool(effects, variances), influence(effects, variances, list(wide.index))],
            axis="columns",
        )
        table["feature"] = wide["effect"].columns
        first = part.drop_duplicates("feature").set_index("feature")
        of_feature = part.groupby("feature")
        table["name"] = table["feature"].map(first["name"])
        table["n"] = table["feature"].map(of_feature["n"].sum())
        single = table["k"] == 1
        for column in ("low", "high", "p"):
            table.loc[single, column] = table["feature"].map(first[column])
        table["q"] = np.nan
        if (~single).any():
            table.loc[~single, "q"] = stats.false_discovery_control(table.loc[~single, "p"])
        table["pooling"] = np.where(single, "one study", "random effects")
        for column in keys:
            table[column] = part[column].iloc[0]
        parts.append(table.sort_values(["p", "feature"], kind="stable"))
    if not parts:
        return pd.DataFrame(columns=POOLED_COHORTS_COLUMNS)
    return pd.concat(parts, ignore_index=True)[POOLED_COHORTS_COLUMNS]


def _checked(effects: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    effects, variances = np.asarray(effects, float), np.asarray(variances, float)
    if effects.ndim != 2 or effects.shape != variances.shape:
        raise ValueError(
            f"effects {effects.shape} and variances {variances.shape} must have one shape, "
            "(studies, features)"
        )
    absent = np.isnan(effects) & np.isnan(variances)
    sound = np.isfinite(effects) & np.isfinite(variances) & (variances > 0)
    wrong = ~(absent | sound)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f"study {row}, feature {column}: effect {effects[row, column]} with variance "
            f"{variances[row, column]}; both must be finite, the variance above 0, or both missing"
        )
    return effects, variances


def _fit(effects: np.ndarray, variances: np.ndarray, matrix: np.ndarray, tau2: np.ndarray) -> _Fit:
    present = ~np.isnan(effects)
    total = np.where(present, variances + tau2, 1.0)
    weight = np.where(present, 1 / total, 0.0)
    y = np.where(present, effects, 0.0)
    xwx = np.einsum("km,kp,kq->mpq", weight, matrix, matrix)
    xwy = np.einsum("km,kp->mp", weight * y, matrix)
    coefficients = np.linalg.solve(xwx, xwy[..., None])[..., 0]
    distance = (weight * (y - matrix @ coefficients.T) ** 2).sum(axis=0)
    criterion = np.log(total).sum(axis=0) + np.linalg.slogdet(xwx)[1] + distance
    return _Fit(coefficients, np.linalg.inv(xwx), distance, criterion)


def _random_effects(
    effects: np.ndarray, variances: np.ndarray, matrix: np.ndarray, estimator: str
) -> tuple[np.ndarray, _Fit]:
    """Variance between studies by feature, 0 where it cannot be estimated, and the fit with it."""
    if estimator not in ESTIMATORS:
        raise ValueError(f"estimator {estimator!r} is not one of {', '.join(ESTIMATORS)}")
    freedom = (~np.isnan(effects)).sum(axis=0) - matrix.shape[1]
    if estimator == "reml":
        tau2 = _tau2_reml(effects, variances, matrix)
    else:
        tau2 = _tau2_at(effects, variances, matrix, np.where(freedom > 0, freedom, np.nan))
    tau2 = np.where(freedom > 0, tau2, 0.0)
    return tau2, _fit(effects, variances, matrix, tau2)


def _tau2_reml(effects: np.ndarray, variances: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The variance with the highest restricted likelihood: a grid, then golden section."""

    def criterion(tau2: np.ndarray) -> np.ndarray:
        return _fit(effects, variances, matrix, tau2).criterion

    # The likelihood can have two maxima, which a search from one start would miss.
    top = 2 * (_unweighted(effects, matrix) + np.nanmax(variances, axis=0))
    grid = np.concatenate([[0.0], np.geomspace(1e-6, 1, 60)])[:, None] * top
    values = np.stack([criterion(tau2) for tau2 in grid])
    best, features = values.argmin(axis=0), np.arange(effects.shape[1])
    low = grid[np.maximum(best - 1, 0), features]
    high = grid[np.minimum(best + 1, len(grid) - 1), features]
    tau2 = _golden_section(criterion, low, high)
    # Below this the likelihood is flat to rounding.
    return np.where((criterion(tau2) < values[0]) & (tau2 > 1e-9 * top), tau2, 0.0)


def _golden_section(
    criterion: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(45):
        left, right = high - golden * (high - low), low + golden * (high - low)
        lower = criterion(left) < criterion(right)
        high, low = np.where(lower, right, high), np.where(lower, low, left)
    return (low + high) / 2


def _tau2_at(
    effects: np.ndarray, variances: np.ndarray, matrix: np.ndarray, target: np.ndarray
) -> np.ndarray:
    """The variance at which the weighted distance is `target` (nan: none), or 0 if it is less at 0.

    The distance falls as the variance grows, and is below (unweighted distance) / variance: bisect.
    """

    def distance(tau2: np.ndarray) -> np.ndarray:
        return _fit(effects, variances, matrix, tau2).distance

    wanted = np.where(np.isnan(target), 1.0, target)
    low, high = np.zeros(len(wanted)), _unweighted(effects, matrix) / wanted
    above_zero = distance(low) > wanted
    for _ in range(100):
        middle = (low + high) / 2
        far = distance(middle) > wanted
        low, high = np.where(far, middle, low), np.where(far, high, middle)
    return np.where(np.isnan(target), np.nan, np.where(above_zero, (low + high) / 2, 0.0))


def _unweighted(effects: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Sum of squared residuals of ordinary least squares."""
    alike = np.where(np.isnan(effects), np.nan, 1.0)
    return _fit(effects, alike, matrix, np.zeros(effects.shape[1])).distance


def _hybrid(
    effect: np.ndarray,
    se: np.ndarray,
    distance: np.ndarray,
    freedom: np.ndarray | int,
    level: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Half width of the interval, and p: the wider of Hartung-Knapp's and the normal one."""
    freedom = np.where(np.asarray(freedom) > 0, freedom, np.nan)
    scaled = se * np.sqrt(distance / freedom)
    margin = np.fmax(
        stats.norm.ppf(0.5 + level / 2) * se, stats.t.ppf(0.5 + level / 2, freedom) * scaled
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        by_t = 2 * stats.t.sf(np.abs(effect / scaled), freedom)
    return margin, np.fmax(2 * stats.norm.sf(np.abs(effect / se)), by_t)
