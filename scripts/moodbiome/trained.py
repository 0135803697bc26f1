"""A model trained on the cohort's own taxa: an elastic net on log-ratios, predicted out of fold.

Screening, centring, scaling and the choice of the penalty all happen inside the training samples.
What the model is worth beside the score, `evaluation.evaluate` says from the predictions. It is
trained on this cohort: an association here, which an external cohort has yet to confirm.
"""

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from moodbiome.evaluation import (
    ACROSS,
    POOLED,
    WITHIN,
    Cohort,
    Floats,
    Numbers,
    Truths,
    balanced_weights,
    cohorts_of,
    comparisons,
    deal_folds,
    n_subjects,
    shares_of_subjects,
)
from moodbiome.faults import NotRun

MIN_SUBJECTS = 20
"""Subjects needed in each group of what is trained on and divided into folds."""

FOLDS, REPEATS, INNER_FOLDS = 5, 5, 5
L1_RATIOS = (0.1, 0.5, 0.9)
PENALTIES = 1 / np.geomspace(1.25, 100, 8)
"""Parts of the least penalty at which no taxon is selected, the strongest first."""

_TOLERANCE, _FINAL_TOLERANCE, _STEPS = 1e-3, 1e-4, 5000

PREDICTION_COLUMNS = [
    *("sample", "assay", "comparison", "cohort", "validation", "group", "status", "repeat", "fold"),
    *("predictor", "log_odds", "probability"),
]
"""Columns of ``trained.tsv``."""

FEATURE_COLUMNS = [
    *("taxon_id", "name", "assay", "comparison", "cohort", "validation", "coefficient"),
    *("coefficient_low", "coefficient_high", "selected", "screened", "n_fits"),
]
"""Columns of ``trained_features.tsv``."""

PREDICTED, NO_SCORE, NO_COHORT, TOO_FEW = "predicted", "no_score", "no_cohort", "too_few_samples"


class Screen(NamedTuple):
    """Which taxa are offered to a model, by the training samples alone, and how zeros are met.

    Attributes
    ----------
    min_prevalence : float
        Least share of the samples with the taxon.
    min_mean_abundance : float
        Least mean proportion, zeros included.
    offset : float
        Added to each proportion before the logarithm, as in the score.
    """

    min_prevalence: float
    min_mean_abundance: float
    offset: float


@dataclass(frozen=True)
class Trained:
    """What `train` finds.

    Attributes
    ----------
    predictions : DataFrame
        Columns `PREDICTION_COLUMNS` without assay: one row a comparison, validation, sample and
        repeat; one without a number of the repeat for a sample that was not predicted.
    features : DataFrame
        Columns `FEATURE_COLUMNS` without assay and name: one row a comparison, cohort, validation
        and taxon that a fit selected.
    reasons : list of str
        What was left out, and why.
    """

    predictions: pd.DataFrame
    features: pd.DataFrame
    reasons: list[str]


@dataclass(frozen=True)
class Data:
    """Samples to train on and to predict; `place` tells cohorts apart."""

    proportions: Floats  # (n, p)
    is_other: Truths  # (n,)
    subjects: Numbers  # (n,), 0 to the number of subjects less one
    place: Numbers  # (n,)


@dataclass(frozen=True)
class Fit:
    """A fitted model, and what it says of the samples that it was not fitted to.

    Attributes
    ----------
    predictor : array of shape (n,)
        Log odds if both groups were of equal size; missing for the training samples.
    odds : float
        Log odds of the groups in the training samples.
    screened : array of bool, of shape (p,)
    coefficients : array of shape (p,)
        Of taxa in standard deviations of their log-ratio; 0 where not screened or not selected.
    l1_ratio, penalty : float
        As chosen; the penalty as a part of the least at which nothing is selected.
    has_settled : bool
    """

    predictor: Floats
    odds: float
    screened: Truths
    coefficients: Floats
    l1_ratio: float
    penalty: float
    has_settled: bool


def screen(proportions: Floats, limits: Screen) -> Truths:
    """Taxa common and abundant enough in these samples; (n, p) to (p,)."""
    common = (proportions > 0).mean(axis=0) >= limits.min_prevalence
    found: Truths = common & (proportions.mean(axis=0) >= limits.min_mean_abundance)
    return found


def log_ratios(proportions: Floats, offset: float) -> Floats:
    """Log of each proportion and the offset, less its sample's mean log.

    Parameters
    ----------
    proportions : array of shape (n_samples, n_taxa)
    offset : float
        Relative abundance added to each: the limit of detection, as in `signature.log_contrast`.

    Returns
    -------
    array of shape (n_samples, n_taxa)
        In natural-log units; every row sums to 0.

    Examples
    --------
    >>> log_ratios(np.array([[0.0, 0.0099]]), 1e-4).round(3)
    array([[-2.303,  2.303]])
    """
    logs: Floats = np.log(proportions + offset)
    return logs - logs.mean(axis=1, keepdims=True)


def standardised(
    proportions: Floats, trained: Truths, place: Numbers, limits: Screen
) -> tuple[Truths, Floats]:
    """Which taxa pass the screen, and their log-ratios, by the training samples alone.

    Each place is centred on the mean of its training samples, for laboratories differ; a place
    without any on the mean of its own, which needs no label. All are then divided by the standard
    deviation of the training samples.

    Returns
    -------
    kept : array of bool, of shape (p,)
    values : array of shape (n, kept taxa)
    """
    kept = screen(proportions[trained], limits)
    values = log_ratios(proportions[:, kept], limits.offset) if kept.any() else proportions[:, kept]
    for where in np.unique(place):
        here = place == where
        source = here & trained if (here & trained).any() else here
        values[here] -= values[source].mean(axis=0)
    spread = values[trained].std(axis=0)
    return kept, values / np.where(spread > 1e-9, spread, np.inf)


def fit_and_predict(data: Data, trained: Truths, limits: Screen, seed: Sequence[int]) -> Fit:
    """Choose the penalty within the training samples, fit to all of them, predict the others.

    The inner folds keep a subject's samples together and have equal shares of groups and cohorts.
    The pair of mixing and penalty with the least mean log loss in them is taken, both groups
    weighing the same; the stronger penalty of equals.

    Raises
    ------
    NotRun
        If no taxon passes the screen.
    """
    generator = np.random.default_rng(seed)
    weight = balanced_weights(data.is_other[np.newaxis], trained[np.newaxis], data.place)[0]
    kept, values = standardised(data.proportions, trained, data.place, limits)
    if not kept.any():
        raise NotRun("no taxon is common and abundant enough to train on (statistics.min_*)")
    ratio, steps = _choose(data, trained, weight, limits, generator)
    path = _Path(values[trained], data.is_other[trained], weight[trained], ratio, _FINAL_TOLERANCE)
    for penalty in PENALTIES[: steps + 1]:
        path.advance(penalty)
    coefficients = np.zeros(len(kept))
    coefficients[kept] = path.model.coef_[0]
    n_other = int(data.is_other[trained].sum())
    return Fit(
        np.where(trained, np.nan, path.predict(values)),
        float(np.log(n_other / (trained.sum() - n_other))),
        kept,
        coefficients,
        ratio,
        float(PENALTIES[steps]),
        int(path.model.n_iter_[0]) < _STEPS,
    )


class _Path:
    """Fits of one mixing, each begun at the last, while the penalty falls."""

    def __init__(
        self, values: Floats, is_other: Truths, weight: Floats, l1_ratio: float, tolerance: float
    ) -> None:
        # An extra of the installation, and imported where it is used.
        from sklearn.linear_model import LogisticRegression

        self.values, self.is_other, self.weight = values, is_other, weight
        # With coefficients of 0, the slope of the likelihood, both groups weighing the same.
        steepest = np.abs((weight * (is_other - 0.5)) @ values).max()
        self.least_c = l1_ratio / max(float(steepest), 1e-12)
        self.model: Any = LogisticRegression(
            l1_ratio=l1_ratio,
            solver="saga",
            tol=tolerance,
            max_iter=_STEPS,
            warm_start=True,
            random_state=0,
        )

    def advance(self, penalty: float) -> None:
        self.model.C = self.least_c / penalty
        self.model.fit(self.values, self.is_other, sample_weight=self.weight)

    def predict(self, values: Floats) -> Floats:
        predicted: Floats = values @ self.model.coef_[0] + self.model.intercept_[0]
        return predicted


def _choose(
    data: Data, trained: Truths, weight: Floats, limits: Screen, generator: np.random.Generator
) -> tuple[float, int]:
    """The mixing and the step of `PENALTIES` with the least log loss in the inner folds."""
    codes = np.unique(data.subjects[trained], return_inverse=True)[1]
    shares = shares_of_subjects(data.is_other[np.newaxis, trained], codes)
    of_subject = np.zeros(codes.max() + 1)
    of_subject[codes] = data.place[trained]
    fold = np.full(len(trained), -1)
    fold[trained] = deal_folds(shares + 2 * of_subject, INNER_FOLDS, generator)[0, codes]
    sets = []
    for number in range(INNER_FOLDS):
        inside, tested = trained & (fold != number), fold == number
        own = balanced_weights(data.is_other[np.newaxis], inside[np.newaxis], data.place)[0]
        _, values = standardised(data.proportions, inside, data.place, limits)
        sets.append((inside, tested, own, values))
    best = (np.inf, L1_RATIOS[0], 0)
    for ratio in L1_RATIOS:
        paths = [
            _Path(values[inside], data.is_other[inside], own[inside], ratio, _TOLERANCE)
            for inside, _, own, values in sets
        ]
        least, risen = np.inf, 0
        for step, penalty in enumerate(PENALTIES):
            loss = 0.0
            for path, (_, tested, _, values) in zip(paths, sets, strict=True):
                path.advance(penalty)
                signed = np.where(data.is_other[tested], -1, 1) * path.predict(values[tested])
                loss += float(weight[tested] @ np.logaddexp(0, signed))
            # Beyond the best, weaker penalties fit ever longer and predict ever worse.
            risen = risen + 1 if loss > least else 0
            least = min(least, loss)
            if loss < best[0]:
                best = (loss, ratio, step)
            if risen == 2:
                break
    return best[1:]


def train(
    samples: pd.DataFrame,
    proportions: pd.DataFrame,
    group: str,
    reference: str,
    limits: Screen,
    *,
    study: str = "",
    subject: str = "subject",
    threads: int = 1,
    seed: int,
) -> Trained:
    """Train on the taxa, and predict each sample by models that were not fitted to its subject.

    *Cross-validated*: within each cohort, `FOLDS` folds dealt `REPEATS` times. *Other cohorts*: one
    model of all cohorts but the sample's own, without the samples that the subjects of this one
    have in others. Samples without a score take no part, so that model
    and score are judged on the same ones.

    Parameters
    ----------
    samples : DataFrame
        As `evaluation.evaluate` takes them.
    proportions : DataFrame of shape (n_taxa, n_samples)
        Shares of the classified fragments, indexed by taxon identifier.
    group, reference, study, subject : str
        As `evaluation.evaluate` takes them.
    limits : Screen
    threads : int
        Fits at once; the result does not depend on it.
    seed : int

    Returns
    -------
    Trained

    Raises
    ------
    NotRun
        If no comparison has `MIN_SUBJECTS` subjects in both groups.
    """
    predictions, features, reasons = [], [], []
    for number, (comparison, both, is_level) in enumerate(
        comparisons(samples, group, reference, study)
    ):
        scored = both["score"].notna().to_numpy()
        parts, said = cohorts_of(both[scored], is_level[scored], study, subject)
        found, more = _validated(list(parts.values()), proportions, limits, [seed, number], threads)
        reasons += [f"{comparison}: {reason}" for reason in [*said, *more]]
        if found:
            names = both[study].replace("", np.nan) if study else pd.Series(POOLED, both.index)
            table = _prediction_table(found, both[group], names, both["score"].notna())
            predictions.append(table.assign(comparison=comparison))
            features.append(_feature_table(found, proportions.index).assign(comparison=comparison))
    if not predictions:
        raise NotRun("; ".join(reasons))
    return Trained(
        pd.concat(predictions, ignore_index=True)[_without(PREDICTION_COLUMNS, "assay")],
        pd.concat(features, ignore_index=True)[_without(FEATURE_COLUMNS, "assay", "name")],
        reasons,
    )


def _without(columns: Sequence[str], *names: str) -> list[str]:
    return [column for column in columns if column not in names]


class _Validated(NamedTuple):
    """One cohort's predictions of one validation, and the fits that made them."""

    validation: str
    cohort: str
    samples: pd.Index  # (n,)
    predictor: Floats  # (repeats, n)
    log_odds: Floats  # (repeats, n)
    folds: Numbers  # (repeats, n), from 1
    fits: list[Fit]


def _validated(
    cohorts: Sequence[Cohort],
    proportions: pd.DataFrame,
    limits: Screen,
    seed: Sequence[int],
    threads: int,
) -> tuple[list[_Validated], list[str]]:
    """All validations of one comparison, and why others were left out."""
    found, reasons = [], []
    alone = len(cohorts) == 1 and cohorts[0].name == POOLED
    for place, cohort in enumerate(cohorts):
        where = "" if alone else f"cohort {cohort.name!r}: "
        try:
            _require_subjects(*n_subjects(cohort))
            own = _data([cohort], proportions)
            fold = _folds(own, np.random.default_rng([*seed, place]))
            tests = [row == k for row in fold for k in range(FOLDS)]
            fits = _fits(own, tests, limits, [*seed, place, 0], threads)
        except NotRun as refusal:
            reasons.append(f"{where}{refusal.reason}")
            continue
        # In each repeat every sample is tested once.
        shape = (REPEATS, FOLDS, -1)
        predictor = np.nansum(np.reshape([fit.predictor for fit in fits], shape), axis=1)
        odds = [test * fit.odds for test, fit in zip(tests, fits, strict=True)]
        log_odds = predictor + np.reshape(odds, shape).sum(axis=1)
        of_cohort = (WITHIN, cohort.name, cohort.samples)
        found.append(_Validated(*of_cohort, predictor, log_odds, fold + 1, fits))
    if len(cohorts) > 1:
        stacked = _data(cohorts, proportions)
        for place, cohort in enumerate(cohorts):
            tested = stacked.place == place
            # Samples that its subjects have in other cohorts would tell of those tested.
            left_out = np.isin(stacked.subjects, stacked.subjects[tested])
            sides = (~left_out & ~stacked.is_other, ~left_out & stacked.is_other)
            try:
                _require_subjects(*(len(np.unique(stacked.subjects[side])) for side in sides))
                fits = _fits(stacked, [left_out], limits, [*seed, place, 1], threads)
            except NotRun as refusal:
                reasons.append(
                    f"cohorts other than {cohort.name!r}, without its subjects: {refusal.reason}"
                )
                continue
            predictor = fits[0].predictor[np.newaxis, tested]
            of_cohort = (ACROSS, cohort.name, cohort.samples)
            folds = np.ones(predictor.shape, dtype=int)
            found.append(_Validated(*of_cohort, predictor, predictor + fits[0].odds, folds, fits))
    restless = sum(not fit.has_settled for one in found for fit in one.fits)
    if restless:
        n_fits = sum(len(one.fits) for one in found)
        reasons.append(f"{restless} of {n_fits} fits stopped after {_STEPS} steps, not settled")
    return found, reasons


def _require_subjects(reference: int, other: int) -> None:
    if min(reference, other) < MIN_SUBJECTS:
        raise NotRun(
            f"{reference} subjects with a score in the reference and {other} in the other group; "
            f"to train a model {MIN_SUBJECTS} of each are needed"
        )


def _data(cohorts: Sequence[Cohort], proportions: pd.DataFrame) -> Data:
    """Several cohorts in one; a subject of two cohorts is one."""
    people = np.concatenate([cohort.people for cohort in cohorts])
    return Data(
        np.vstack([proportions[cohort.samples].to_numpy(float).T for cohort in cohorts]),
        np.concatenate([cohort.is_other for cohort in cohorts]),
        np.unique(people, return_inverse=True)[1],
        np.repeat(np.arange(len(cohorts)), [len(cohort.samples) for cohort in cohorts]),
    )


def _folds(data: Data, generator: np.random.Generator) -> Numbers:
    """Fold of each sample in each repeat, of shape (repeats, n)."""
    shares = shares_of_subjects(np.tile(data.is_other, (REPEATS, 1)), data.subjects)
    return deal_folds(shares, FOLDS, generator)[:, data.subjects]


def _fits(
    data: Data, tests: Sequence[Truths], limits: Screen, seed: Sequence[int], threads: int
) -> list[Fit]:
    """One fit for each set of tested samples, as many at once as there are threads."""

    def fit(number: int) -> Fit:
        return fit_and_predict(data, ~tests[number], limits, [*seed, number])

    from sklearn.exceptions import ConvergenceWarning

    # Steps of a path need not settle: one that has not starts the next, and the last is looked at.
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.simplefilter("ignore", ConvergenceWarning)
        return list(pool.map(fit, range(len(tests))))


def _prediction_table(
    found: Sequence[_Validated], group: pd.Series, cohort: pd.Series, is_scored: pd.Series
) -> pd.DataFrame:
    """One row a validation and sample of either group, predicted or not."""
    tables = []
    for validation in dict.fromkeys(one.validation for one in found):
        predicted = pd.concat(
            pd.DataFrame(
                {
                    "repeat": repeat + 1,
                    "fold": one.folds[repeat],
                    "predictor": one.predictor[repeat],
                    "log_odds": one.log_odds[repeat],
                },
                index=one.samples,
            )
            for one in found
            if one.validation == validation
            for repeat in range(len(one.predictor))
        )
        rest = group.index.difference(predicted.index, sort=False)
        table = pd.concat([predicted, pd.DataFrame(index=rest)]).loc[group.index]
        place, status = cohort[table.index], is_scored[table.index]
        tables.append(
            table.astype({"repeat": "Int64", "fold": "Int64"}).assign(
                sample=table.index,
                cohort=place,
                validation=validation,
                group=group[table.index],
                status=np.select(
                    [table["predictor"].notna(), ~status, place.isna()],
                    [PREDICTED, NO_SCORE, NO_COHORT],
                    TOO_FEW,
                ),
                probability=special.expit(table["log_odds"]),
            )
        )
    return pd.concat(tables, ignore_index=True)


def _feature_table(found: Sequence[_Validated], taxa: pd.Index) -> pd.DataFrame:
    """One row a cohort, validation and taxon that a fit selected, the largest coefficients first.

    A taxon that a fit did not select has the coefficient 0 in it.
    """
    tables = []
    for one in found:
        coefficients = np.array([fit.coefficients for fit in one.fits])
        table = pd.DataFrame(
            {
                "taxon_id": taxa,
                "cohort": one.cohort,
                "validation": one.validation,
                "coefficient": coefficients.mean(axis=0),
                "coefficient_low": coefficients.min(axis=0),
                "coefficient_high": coefficients.max(axis=0),
                "selected": (coefficients != 0).mean(axis=0),
                "screened": np.mean([fit.screened for fit in one.fits], axis=0),
                "n_fits": len(one.fits),
            }
        )
        order = np.argsort(-table["coefficient"].abs().to_numpy(), kind="stable")
        ordered = table.iloc[order]
        tables.append(ordered[ordered["selected"] > 0])
    return pd.concat(tables, ignore_index=True)
