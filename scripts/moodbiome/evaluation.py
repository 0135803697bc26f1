"""How well the signature score tells the groups of a user's own samples apart.

The score is not fitted to these samples, so its area under the ROC curve needs no validation.
Models that are fitted (covariates, alone and with the score, and one trained on the taxa) are
judged on unseen samples.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special, stats

from moodbiome.cohort import subjects_of
from moodbiome.faults import NotRun
from moodbiome.meta_analysis import pool

Floats = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.intp]

SCORE, COVARIATES, BOTH, TRAINED = "score", "covariates", "score+covariates", "trained"
UNFITTED, WITHIN, ACROSS = "not_fitted", "cross_validated", "other_cohorts"
POOLED = "all cohorts"

COLUMNS = [
    *("assay", "comparison", "cohort", "n_cohorts", "model", "validation", "n_reference"),
    *("n_other", "n_subjects", "auc", "low", "high", "p_permutation", "prediction_low"),
    *("prediction_high", "auc_difference", "difference_low", "difference_high", "brier"),
    *("brier_of_share", "calibration_intercept", "calibration_slope", "calibration_slope_low"),
    *("calibration_slope_high", "score_difference", "score_difference_low"),
    *("score_difference_high", "shown_first", "warning"),
]
"""Columns of ``evaluation.tsv``."""

CALIBRATION_COLUMNS = [
    *("assay", "comparison", "cohort", "model", "validation", "bin", "n", "predicted", "observed"),
    *("low", "high"),
]
"""Columns of ``calibration.tsv``."""

CURVE_COLUMNS = [
    *("assay", "comparison", "cohort", "model", "validation", "false_positive_share"),
    *("true_positive_share", "low", "high"),
]
"""Columns of ``roc.tsv``."""

MIN_SUBJECTS, WARN_SUBJECTS = 5, 10
MIN_COVERED = 0.8
FOLDS, REPEATS = 5, 10
CURVE_DRAWS, CURVE_POINTS = 500, 51
_Z = float(stats.norm.ppf(0.975))


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` finds.

    Attributes
    ----------
    table : DataFrame
        Columns `COLUMNS` without assay: one row a comparison, cohort, model and validation.
    calibration : DataFrame
        Columns `CALIBRATION_COLUMNS` without assay: one row a bin.
    curves : DataFrame
        Columns `CURVE_COLUMNS` without assay: one row a point of the ROC curve of a comparison,
        model and validation, in the cohort, or pooled within all that it has.
    reasons : list of str
        What was left out, and why.
    """

    table: pd.DataFrame
    calibration: pd.DataFrame
    curves: pd.DataFrame
    reasons: list[str]


@dataclass(frozen=True)
class Cohort:
    """Samples of two groups in one cohort; `covariates` is empty where there are none."""

    name: str
    samples: pd.Index  # (n,)
    is_other: Truths  # (n,)
    people: Numbers  # (n,), of a subject the same number in all cohorts
    score: Floats  # (n,)
    covariates: Floats  # (n, p)

    @cached_property
    def subjects(self) -> Numbers:
        """Subject of each sample (n,), from 0 to the number of this cohort's subjects less one."""
        codes: Numbers = np.unique(self.people, return_inverse=True)[1]
        return codes


@dataclass(frozen=True)
class _Predicted:
    """A model's predictions for one cohort, on labels as they are and as permuted."""

    cohort: Cohort
    predictor: Floats  # (repeats, n), to rank samples by
    logit: Floats  # (n,), of the predicted probability
    null: Floats = field(default_factory=lambda: np.empty(0))  # (permutations,) areas
    folds: Numbers | None = None  # (repeats, n), where only pairs of one fold are compared

    @cached_property
    def placements(self) -> Floats:
        return placements(self.predictor, self.cohort.is_other, self.folds)

    @cached_property
    def added(self) -> float:
        """What the placements do not show of the area's variance."""
        if self.folds is None:
            return 0.0
        return _variance_of_fits(self.predictor, self.folds, self.cohort)


def placements(
    values: npt.ArrayLike, is_other: npt.ArrayLike, folds: npt.ArrayLike | None = None
) -> Floats:
    """Share of the samples of the other side that each sample is rightly placed to, ties half.

    A sample of the other group is so to those of the reference with smaller values, and the
    reverse. With folds only samples of one fold are compared: a model of another fold was fitted
    to the sample itself, so that on noise pairs across folds go the wrong way more often than not.

    Parameters
    ----------
    values : array_like of shape (r_repeats, n_samples)
    is_other : array_like of shape (n_samples,)
    folds : array_like of shape (r_repeats, n_samples), optional
        Equal numbers are one fold of a repeat.

    Returns
    -------
    array of shape (n_samples,)
        Mean over repeats. The mean of either group is the area: the share of pairs, of one fold,
        that are in order. Samples weigh as the pairs do that they are in.

    Examples
    --------
    >>> placements([[1, 2, 3, 2, 4, 5]], [0, 0, 0, 1, 1, 1]).round(2).tolist()
    [1.0, 0.83, 0.67, 0.5, 1.0, 1.0]
    >>> by_fold = placements([[1, 2, 3, 2, 4, 5]], [0, 0, 0, 1, 1, 1], [[0, 0, 1, 0, 1, 1]])
    >>> by_fold[:3].mean(), by_fold[3:].mean()  # 3.5 of 4 pairs
    (np.float64(0.875), np.float64(0.875))
    """
    values, is_other = np.asarray(values, float), np.asarray(is_other, bool)
    dealt = np.zeros(values.shape, dtype=int) if folds is None else np.asarray(folds)
    found = np.zeros(values.shape)
    for row, fold, placed in zip(values, dealt, found, strict=True):
        share, pairs = np.zeros(len(row)), np.zeros(len(row))
        for number in np.unique(fold):
            here = fold == number
            rank = np.zeros(len(row))
            rank[here] = stats.rankdata(row[here])
            for side in (is_other, ~is_other):
                own, against = here & side, here & ~side
                if own.any() and against.any():
                    share[own] = (rank[own] - stats.rankdata(row[own])) / against.sum()
                    pairs[own] = against.sum()
        share[~is_other] = 1 - share[~is_other]
        area = share[is_other] @ pairs[is_other] / pairs[is_other].sum()
        for side in (is_other, ~is_other):
            placed[side] = area + pairs[side] / pairs[side].mean() * (share[side] - area)
    mean: Floats = found.mean(axis=0)
    return mean


def _areas_of_placements(
    placed: Floats, is_other: npt.ArrayLike, subjects: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """Areas under the ROC curve (k,) of models by their placements (k, n), and covariance (k, k).

    The covariance is that of DeLong 1988 (doi:10.2307/2531595); samples of one subject are a
    cluster, after Obuchowski 1997 (doi:10.2307/2533958).

    Raises
    ------
    ValueError
        For a group with fewer than two subjects.
    """
    is_other = np.asarray(is_other, bool)
    codes = np.unique(np.asarray(subjects), return_inverse=True)[1]
    for side in (is_other, ~is_other):
        if len(np.unique(codes[side])) < 2:
            raise ValueError("an area under the ROC curve needs two subjects or more in each group")
    areas = placed[:, is_other].mean(axis=1)
    deviations = []
    for side in (is_other, ~is_other):
        member = codes[side][:, np.newaxis] == np.arange(codes.max() + 1)
        sums = (placed[:, side] - areas[:, np.newaxis]) @ member
        n_subjects = len(np.unique(codes[side]))
        deviations.append((sums / side.sum(), n_subjects / (n_subjects - 1)))
    (other, of_other), (reference, of_reference) = deviations
    n = codes.max() + 1
    mixed = n / (n - 1) * (other @ reference.T + reference @ other.T)
    return areas, of_other * other @ other.T + of_reference * reference @ reference.T + mixed


def area_interval(area: float, variance: float, n_smaller: int) -> tuple[float, float]:
    """95 % interval of an area: Wilson's, for as many pairs as give that variance.

    It stays between 0 and 1. An area of 0 or 1 has variance 0 and says nothing of its own
    precision: the subjects of the smaller group then stand for the pairs.

    Examples
    --------
    >>> [round(end, 3) for end in area_interval(0.7, 0.0021, 50)]
    [0.604, 0.781]
    >>> [round(end, 3) for end in area_interval(1.0, 0.0, 10)]
    [0.722, 1.0]
    """
    n = area * (1 - area) / variance if variance > 0 and 0 < area < 1 else float(n_smaller)
    centre = (area + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    margin = _Z / (1 + _Z**2 / n) * np.sqrt(area * (1 - area) / n + _Z**2 / (4 * n**2))
    return max(0.0, float(centre - margin)), min(1.0, float(centre + margin))


def permute_labels(
    is_other: Truths, subjects: Numbers, permutations: int, generator: np.random.Generator
) -> Truths:
    """Labels as they are (first row), and exchanged at random as the null hypothesis allows.

    Subjects with one label exchange it with one another, all their samples together; samples of a
    subject with both labels exchange them within the subject.

    Returns
    -------
    array of bool, of shape (1 + permutations, n_samples)
    """
    is_other = np.asarray(is_other, bool)
    codes = np.unique(subjects, return_inverse=True)[1]
    shares = np.bincount(codes, is_other) / np.bincount(codes)
    single = (shares == 0) | (shares == 1)
    labels = np.tile(is_other, (1 + permutations, 1))
    by_subject = np.tile(shares > 0.5, (permutations, 1))
    by_subject[:, single] = generator.permuted(by_subject[:, single], axis=1)
    kept = single[codes]
    labels[1:, kept] = by_subject[:, codes[kept]]
    for subject in np.flatnonzero(~single):
        own = codes == subject
        labels[1:, own] = generator.permuted(labels[1:, own], axis=1)
    return labels


def ridge_logistic(
    columns: Floats, labels: Truths, weight: Floats, penalty: Floats, steps: int = 100
) -> Floats:
    """Logistic regressions with a ridge penalty on the same columns, for many sets of labels.

    Parameters
    ----------
    columns : array of shape (n, p)
    labels : array of bool, of shape (b, n)
    weight : array of shape (b, n)
        Of each sample; 0 leaves it out.
    penalty : array of shape (b, p)
        Half of it times the squared coefficient is added to the negative log-likelihood; the
        intercept is not penalised.

    Returns
    -------
    array of shape (b, 1 + p)
        Intercept and coefficients; missing where a fit does not settle.
    """
    design = np.column_stack([np.ones(len(columns)), columns])
    size = design.shape[1]
    products = (design[:, :, np.newaxis] * design[:, np.newaxis, :]).reshape(len(design), -1)
    ridge = np.column_stack([np.zeros(len(labels)), penalty])
    coefficients = np.zeros((len(labels), size))
    change = np.full(coefficients.shape, np.inf)
    for _ in range(steps):
        fitted = special.expit(coefficients @ design.T)
        slope = ((labels - fitted) * weight) @ design - ridge * coefficients
        curvature = ((weight * fitted * (1 - fitted)) @ products).reshape(-1, size, size)
        curvature[:, range(size), range(size)] += ridge + 1e-10
        # A long step from far off would overshoot.
        change = np.clip(np.linalg.solve(curvature, slope[..., np.newaxis])[..., 0], -3, 3)
        coefficients += change
        if np.abs(change).max() < 1e-5:
            break
    coefficients[np.abs(change).max(axis=1) > 1e-4] = np.nan
    return coefficients


def deal_folds(shares: Floats, folds: int, generator: np.random.Generator) -> Numbers:
    """Fold of each subject: dealt out in the order of their shares, equal ones at random.

    Parameters
    ----------
    shares : array of shape (b, n_subjects)
        Of a subject's samples that are of the other group; whole numbers may be added to tell
        cohorts apart. Each row is dealt by itself.

    Returns
    -------
    array of int, of shape (b, n_subjects)
        0 to `folds` less one; of subjects with equal shares each fold gets as many, within one.
    """
    order = np.argsort(shares + 1e-6 * generator.random(shares.shape), axis=1)
    fold = np.empty(shares.shape, dtype=int)
    fold[np.arange(len(shares))[:, np.newaxis], order] = np.arange(shares.shape[1]) % folds
    return fold


def shares_of_subjects(labels: Truths, subjects: Numbers) -> Floats:
    """Share of each subject's samples that are of the other group; (b, n) to (b, n_subjects)."""
    sizes = np.bincount(subjects)
    member = np.zeros((len(subjects), len(sizes)))
    member[np.arange(len(subjects)), subjects] = 1
    shares: Floats = labels @ member / sizes
    return shares


def balanced_weights(labels: Truths, trained: Truths, place: Numbers) -> Floats:
    """Weights (b, n) with which both groups weigh the same in each place; 0 if not trained on."""
    weight = np.zeros(labels.shape)
    for where in np.unique(place):
        here = trained & (place == where)
        size = here.sum(axis=1, keepdims=True)
        for side in (here & labels, here & ~labels):
            count = side.sum(axis=1, keepdims=True)
            weight += np.where(side, size / (2 * np.maximum(count, 1)), 0)
    return weight


def cross_validate(
    columns: Floats,
    labels: Truths,
    subjects: Numbers,
    generator: np.random.Generator,
    folds: int = FOLDS,
    repeats: int = REPEATS,
) -> tuple[Floats, Floats]:
    """Out-of-fold predictions of ridge logistic regression, the mean of repeated folds.

    All samples of a subject lie in one fold, and the folds have equal shares of the groups.
    Columns are standardised, and the model fitted, on the training samples alone; the penalty
    is 1 on standardised coefficients and is not tuned. Both groups weigh the same in a fit, for a
    training set that lacks a sample would otherwise predict against it.

    Parameters
    ----------
    columns : array of shape (n, p)
    labels : array of bool, of shape (b, n)
        Each row is validated by itself, with folds of its own.
    subjects : array of shape (n,)
        0 to the number of subjects less one.

    Returns
    -------
    values, logit : arrays of shape (b, n)
        Linear predictor to rank samples by; and logit of the predicted probability, with the share
        of the other group in the training samples.
    """
    b, n = labels.shape
    shares = shares_of_subjects(labels, subjects)
    values, logit = np.zeros((b, n)), np.zeros((b, n))
    for _ in range(repeats):
        fold_of_sample = deal_folds(shares, folds, generator)[:, subjects]
        for number in range(folds):
            tested = fold_of_sample == number
            predicted, odds = _fit_and_predict(columns, labels, ~tested, np.zeros(n, dtype=int))
            values += np.where(tested, predicted, 0) / repeats
            logit += np.where(tested, predicted + odds, 0) / repeats
    return values, logit


def evaluate(
    samples: pd.DataFrame,
    group: str,
    reference: str,
    *,
    study: str = "",
    subject: str = "subject",
    covariates: Sequence[str] = (),
    permutations: int = 999,
    trained: pd.DataFrame | None = None,
    seed: int,
) -> Evaluation:
    """Judge the score, covariates, and both, on each comparison of a group with the reference.

    A trained model stands beside them where its predictions are given. It is shown first only if
    it beats the score (column shown_first).

    Parameters
    ----------
    samples : DataFrame
        Indexed by sample: `score` (missing where a sample has none), the group, and, where the
        sheet has them, study, subject and covariates.
    group, reference : str
        Column of the groups, and the value that the others are compared with.
    study : str
        Column of the cohorts; empty: one cohort.
    subject : str
        Column of the persons; each sample is one where the column is absent or the cell is empty.
    covariates : sequence of str
        Columns of a model that the score has to add to; those not in `samples`, the group and the
        study are passed over.
    permutations : int
        Of the labels, within each cohort.
    trained : DataFrame or None
        Predictions of a model for samples it was not fitted to, as `trained.train` returns them:
        columns sample, comparison, validation, repeat, fold, predictor and log_odds.
    seed : int

    Returns
    -------
    Evaluation

    Raises
    ------
    NotRun
        If no comparison has a cohort with `MIN_SUBJECTS` subjects in both groups.
    """
    compared = comparisons(samples, group, reference, study)
    named = [name for name in covariates if name in samples.columns and name not in (group, study)]
    rows: list[dict[str, object]] = []
    bins: list[pd.DataFrame] = []
    curves: list[pd.DataFrame] = []
    reasons: list[str] = []
    for number, (comparison, both_groups, is_level) in enumerate(compared):
        scored = both_groups["score"].notna().to_numpy()
        chosen, is_other = both_groups[scored], is_level[scored]
        parts, said = cohorts_of(chosen, is_other, study, subject)
        used, also = _encoded(chosen, is_other, named if parts else ())
        both, more = _complete(parts, used) if parts else ([], [])
        generator = np.random.default_rng([seed, number])
        predicted = None if trained is None else trained[trained["comparison"] == comparison]
        found, calibrated, drawn, refused = _compare(
            parts, both, predicted, permutations, generator
        )
        reasons += [f"{comparison}: {reason}" for reason in [*said, *also, *more, *refused]]
        rows += [{"comparison": comparison, **row} for row in found]
        bins += [table.assign(comparison=comparison) for table in calibrated]
        curves += [table.assign(comparison=comparison) for table in drawn]
    if not rows:
        raise NotRun("; ".join(reasons))
    return Evaluation(
        pd.DataFrame(rows).reindex(columns=COLUMNS[1:]),
        pd.concat(bins, ignore_index=True).reindex(columns=CALIBRATION_COLUMNS[1:]),
        pd.concat(curves, ignore_index=True).reindex(columns=CURVE_COLUMNS[1:]),
        reasons,
    )


def comparisons(
    samples: pd.DataFrame, group: str, reference: str, study: str = ""
) -> list[tuple[str, pd.DataFrame, Truths]]:
    """Each other group against the reference: its name, its samples, which are of the other group.

    Raises
    ------
    NotRun
        For a column that is not there, or without a group beside the reference.
    """
    for column in filter(None, (group, study)):
        if column not in samples.columns:
            raise NotRun(f"no column {column!r} in the metadata")
    labels = samples[group].replace("", np.nan)
    levels = sorted({str(level) for level in labels.dropna()} - {reference})
    if not levels:
        raise NotRun(f"column {group!r} has no group beside the reference {reference!r}")
    found = []
    for level in levels:
        chosen = samples[labels.astype(str).isin([reference, level])]
        is_other = (chosen[group].astype(str) == level).to_numpy()
        found.append((f"{level} against {reference}", chosen, is_other))
    return found


def cohorts_of(
    samples: pd.DataFrame, is_other: Truths, study: str, subject: str
) -> tuple[dict[str, Cohort], list[str]]:
    """Arrays of each cohort with enough subjects, and why others have not."""
    names = samples[study].replace("", np.nan) if study else pd.Series(POOLED, samples.index)
    people = np.unique(subjects_of(samples, subject), return_inverse=True)[1]
    parts, reasons = {}, []
    if names.isna().any():
        reasons.append(f"{int(names.isna().sum())} samples without a cohort in column {study!r}")
    if samples.empty:
        reasons.append("no sample has a score")
    for name in sorted(set(names.dropna().astype(str))):
        own = (names.astype(str) == name).to_numpy()
        cohort = Cohort(
            name,
            samples.index[own],
            is_other[own],
            people[own],
            samples.loc[own, "score"].to_numpy(float),
            np.empty((int(own.sum()), 0)),
        )
        if problem := _too_few(cohort):
            reasons.append(f"cohort {name!r}: {problem}" if study else problem)
        else:
            parts[name] = cohort
    if shared := len(_shared(parts.values())):
        reasons.append(
            f"{shared} subjects have samples in several cohorts: each is one cluster of the pooled "
            "rows, and no model is tested on a subject it was fitted to. Different people of one "
            f"name need different names in column {subject!r}"
        )
    return parts, reasons


def _shared(cohorts: Iterable[Cohort]) -> Numbers:
    """Numbers of the subjects who have samples in several cohorts."""
    own = [np.empty(0, dtype=int), *(np.unique(cohort.people) for cohort in cohorts)]
    people, n_cohorts = np.unique(np.concatenate(own), return_counts=True)
    found: Numbers = people[n_cohorts > 1]
    return found


def _too_few(cohort: Cohort) -> str:
    reference, other = n_subjects(cohort)
    if min(reference, other) >= MIN_SUBJECTS:
        return ""
    return (
        f"{reference} subjects with a score in the reference and {other} in the other group, "
        f"{MIN_SUBJECTS} of each are needed"
    )


def n_subjects(cohort: Cohort) -> tuple[int, int]:
    """Number of subjects with a sample in the reference, and in the other group."""
    return (
        len(np.unique(cohort.subjects[~cohort.is_other])),
        len(np.unique(cohort.subjects[cohort.is_other])),
    )


def _encoded(
    samples: pd.DataFrame, is_other: Truths, covariates: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Covariates as numbers, text as one column a level but the first; missing stays missing.

    A covariate that is mostly recorded in one group would tell the groups apart by being there.
    """
    columns, reasons = {}, []
    for name in covariates:
        values = samples[name].replace("", np.nan)
        covered = [float(values[side].notna().mean()) for side in (~is_other, is_other)]
        if values.nunique() < 2:
            reasons.append(f"covariate {name!r} has one value only and was not used")
        elif min(covered) < MIN_COVERED:
            reasons.append(
                f"covariate {name!r} is known for {covered[0]:.0%} of the reference and "
                f"{covered[1]:.0%} of the other group, {MIN_COVERED:.0%} are needed: not used"
            )
        elif pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            columns[name] = (values - values.mean()) / values.std()
        else:
            for level in sorted(set(values.dropna().astype(str)))[1:]:
                is_level = (values.astype(str) == level).astype(float)
                columns[f"{name}={level}"] = is_level.mask(values.isna())
    return pd.DataFrame(columns, index=samples.index), reasons


def _complete(parts: Mapping[str, Cohort], columns: pd.DataFrame) -> tuple[list[Cohort], list[str]]:
    """The cohorts with their covariates, of the samples that have all of them."""
    cohorts: list[Cohort] = []
    reasons: list[str] = []
    if columns.empty:
        return cohorts, ["covariates: none in the sheet to compare the score with"]
    for name, whole in parts.items():
        values = columns.loc[whole.samples].to_numpy(float)
        kept = ~np.isnan(values).any(axis=1)
        cohort = Cohort(
            name,
            whole.samples[kept],
            whole.is_other[kept],
            whole.people[kept],
            whole.score[kept],
            values[kept],
        )
        place = f"covariates, cohort {name!r}" if name != POOLED else "covariates"
        if problem := _too_few(cohort):
            reasons.append(f"{place}: {problem}")
            continue
        if not kept.all():
            reasons.append(f"{place}: {int((~kept).sum())} samples miss a value and were left out")
        cohorts.append(cohort)
    return cohorts, reasons


def _compare(
    parts: Mapping[str, Cohort],
    with_covariates: list[Cohort],
    trained: pd.DataFrame | None,
    permutations: int,
    generator: np.random.Generator,
) -> tuple[list[dict[str, object]], list[pd.DataFrame], list[pd.DataFrame], list[str]]:
    """Rows, bins and ROC curves of all models and validations, and why some were left out."""
    reasons: list[str] = []
    models: dict[tuple[str, str], list[_Predicted]] = {}
    models[SCORE, UNFITTED] = [
        _of_score(cohort, permutations, generator) for cohort in parts.values()
    ]
    # Models without covariates, on the samples that have all of them.
    on_complete = {
        (SCORE, UNFITTED): [_of_score(cohort, 0, generator) for cohort in with_covariates]
    }
    if with_covariates:
        labels = [
            permute_labels(cohort.is_other, cohort.subjects, permutations, generator)
            for cohort in with_covariates
        ]
        for model in (COVARIATES, BOTH):
            columns = [_columns(cohort, model) for cohort in with_covariates]
            models[model, WITHIN] = [
                _predicted(
                    cohort,
                    label,
                    *cross_validate(column, label, cohort.subjects, generator),
                )
                for cohort, label, column in zip(with_covariates, labels, columns, strict=True)
            ]
            if len(with_covariates) > 1:
                across, refused = _across(with_covariates, labels, columns)
                reasons += [
                    f"{model}, {ACROSS}, cohort {name!r}: {why}" for name, why in refused.items()
                ]
                if across:
                    models[model, ACROSS] = across
    for validation in (WITHIN, ACROSS):
        if found := _of_trained(parts.values(), trained, validation):
            models[TRAINED, validation] = found
            on_complete[TRAINED, validation] = _of_trained(with_covariates, trained, validation)

    rows: list[dict[str, object]] = []
    bins, curves = [], []
    for (model, validation), predicted in models.items():
        baseline = models.get((COVARIATES, WITHIN if model == SCORE else validation), [])
        same = on_complete.get((model, validation), predicted)
        sets = [([one], _matching([one], same), _matching([one], baseline)) for one in predicted]
        if len(predicted) > 1:
            sets.append((predicted, same, baseline))
        for chosen, compared, against in sets:
            name = chosen[0].cohort.name if len(chosen) == 1 else POOLED
            row = {"cohort": name, "model": model, "validation": validation}
            rows.append({**row, **_row(chosen)})
            if model != COVARIATES and compared and against:
                rows[-1] |= _difference(compared, _matching(compared, against))
            if model == TRAINED:
                scored = _matching(chosen, models[SCORE, UNFITTED])
                rows[-1] |= _difference(chosen, scored, "score_difference")
            bins.append(_bins(chosen).assign(**row))
            if chosen is sets[-1][0]:
                curves.append(_curve(chosen, generator).assign(**row))
    first = _first(rows, len(parts))
    rows = [{**row, "shown_first": row["model"] == first} for row in rows]
    curves.sort(key=lambda curve: curve["model"].iloc[0] != first)
    return sorted(rows, key=lambda row: not row["shown_first"]), bins, curves, reasons


def _first(rows: Sequence[Mapping[str, Any]], n_cohorts: int) -> str:
    """`TRAINED` if the model beats the score, else `SCORE`.

    It beats the score if, cross-validated, the interval of the difference of their areas lies above
    0 and that of its own area above 0.5 (or it would beat a score that fails by chance); and, of
    several cohorts, its area in cohorts that it was not fitted to is no smaller than the score's.
    """
    trained = {row["validation"]: row for row in rows if row["model"] == TRAINED}
    if WITHIN not in trained or (n_cohorts > 1 and ACROSS not in trained):
        return SCORE
    own = trained[WITHIN]["low"] > 0.5 and trained[WITHIN]["score_difference_low"] > 0
    return TRAINED if own and (n_cohorts < 2 or trained[ACROSS]["score_difference"] >= 0) else SCORE


def _of_trained(
    cohorts: Iterable[Cohort], trained: pd.DataFrame | None, validation: str
) -> list[_Predicted]:
    """Predictions of the trained model for those cohorts of which it has all samples."""
    if trained is None:
        return []
    own = trained[(trained["validation"] == validation) & trained["predictor"].notna()]
    columns = ["predictor", "log_odds", "fold"]
    wide = own.pivot_table(index="sample", columns="repeat", values=columns)
    found = []
    for cohort in cohorts:
        if not cohort.samples.isin(wide.index).all():
            continue
        predictor, log_odds, folds = (
            wide.loc[cohort.samples, name].to_numpy(float).T for name in columns
        )
        dealt = folds.astype(int) if validation == WITHIN else None
        found.append(_Predicted(cohort, predictor, log_odds.mean(axis=0), folds=dealt))
    return found


def _variance_of_fits(predictor: Floats, folds: Numbers, cohort: Cohort) -> float:
    """What the variance of a cross-validated area lacks.

    Models of different folds share most of their training samples, so that their areas go wrong
    together, and averaging over repeats hides it. After Nadeau & Bengio 2003
    (doi:10.1023/A:1024068626366), for r repeats of k folds, the variance is that of one repeat
    times 1 / r + k / (k - 1).
    """
    repeats, k = len(folds), len(np.unique(folds))
    rows = [
        placements(row[np.newaxis], cohort.is_other, fold[np.newaxis])
        for row, fold in zip(predictor, folds, strict=True)
    ]
    rows.append(placements(predictor, cohort.is_other, folds))
    _, covariance = _areas_of_placements(np.array(rows), cohort.is_other, cohort.subjects)
    variances = covariance.diagonal()
    return float((1 / repeats + k / (k - 1)) * variances[:-1].mean() - variances[-1])


def _matching(ones: list[_Predicted], others: list[_Predicted]) -> list[_Predicted]:
    names = {one.cohort.name for one in ones}
    return [other for other in others if other.cohort.name in names]


def _columns(cohort: Cohort, model: str) -> Floats:
    score = cohort.score[:, np.newaxis]
    return {
        SCORE: score,
        COVARIATES: cohort.covariates,
        BOTH: np.hstack([score, cohort.covariates]),
    }[model]


def _of_score(cohort: Cohort, permutations: int, generator: np.random.Generator) -> _Predicted:
    """The score as it is; its probabilities need a fit, and are out of fold."""
    labels = permute_labels(cohort.is_other, cohort.subjects, permutations, generator)
    _, logit = cross_validate(_columns(cohort, SCORE), labels[:1], cohort.subjects, generator)
    values = np.broadcast_to(cohort.score, labels.shape)
    return _predicted(cohort, labels, values, logit)


def _predicted(cohort: Cohort, labels: Truths, values: Floats, logit: Floats) -> _Predicted:
    return _Predicted(cohort, values[:1], logit[0], _many_areas(values[1:], labels[1:]))


def _many_areas(values: Floats, labels: Truths) -> Floats:
    """Area of each row of values on its own labels; arrays of shape (b, n) to (b,)."""
    if not len(values):
        return np.empty(0)
    ranks = stats.rankdata(values, axis=1)
    n_other = labels.sum(axis=1)
    pairs = n_other * (labels.shape[1] - n_other)
    areas: Floats = ((ranks * labels).sum(axis=1) - n_other * (n_other + 1) / 2) / pairs
    return areas


def _across(
    cohorts: list[Cohort], labels: list[Truths], columns: list[Floats]
) -> tuple[list[_Predicted], dict[str, str]]:
    """Each cohort predicted by a model of all the others, and by name why another is not.

    Columns are centred within each cohort, which needs no label: studies differ by laboratory.
    Samples that subjects of the cohort have in the others are not trained on. Where there are such
    subjects nothing is permuted: their labels are not free to differ between cohorts.
    """
    stacked = np.vstack([column - column.mean(axis=0) for column in columns])
    label = np.hstack(labels)[: 1 if len(_shared(cohorts)) else None]
    people = np.concatenate([cohort.people for cohort in cohorts])
    place = np.repeat(np.arange(len(cohorts)), [len(column) for column in columns])
    predictions, refused = [], {}
    for number, cohort in enumerate(cohorts):
        own = place == number
        seen = ~np.isin(people, cohort.people)
        n = [len(np.unique(people[seen & (label[0] == side)])) for side in (False, True)]
        if min(n) < MIN_SUBJECTS:
            refused[cohort.name] = (
                f"the other cohorts have {n[0]} subjects of the reference and {n[1]} of the other "
                f"group who are not in this one too, {MIN_SUBJECTS} of each are needed"
            )
            continue
        trained = np.broadcast_to(seen, label.shape)
        values, odds = _fit_and_predict(stacked, label, trained, place)
        predictions.append(
            _predicted(cohort, label[:, own], values[:, own], (values + odds)[:, own])
        )
    return predictions, refused


def _fit_and_predict(
    columns: Floats, labels: Truths, trained: Truths, place: Numbers
) -> tuple[Floats, Floats]:
    """Linear predictors (b, n) of fits to the trained samples, and log odds (b, 1) of the groups.

    Both groups weigh the same within each place.
    """
    weight = balanced_weights(labels, trained, place)
    n = trained.sum(axis=1, keepdims=True)
    mean = trained @ columns / n
    variance = trained @ columns**2 / n - mean**2
    # Penalised as if standardised; a column that is constant in the training samples takes no part.
    coefficients = ridge_logistic(columns, labels, weight, np.where(variance > 1e-9, variance, 1.0))
    values = coefficients[:, :1] + coefficients[:, 1:] @ columns.T
    n_other = (labels & trained).sum(axis=1, keepdims=True)
    return values, np.log(n_other / (n - n_other))


def _weights(cohorts: Sequence[Cohort]) -> Floats:
    """Weight of each cohort in the pooled area: harmonic, as the precision goes."""
    sizes = np.array([[cohort.is_other.sum(), (~cohort.is_other).sum()] for cohort in cohorts])
    weight: Floats = sizes.prod(axis=1) / sizes.sum(axis=1)
    return weight / weight.sum()


def _pooled(
    placed: Sequence[Floats], added: Floats, cohorts: Sequence[Cohort]
) -> tuple[Floats, Floats, float]:
    """Areas and variances (c,) of the cohorts by their placements, and the pooled variance.

    Areas of cohorts that share subjects vary together, as the placements of these subjects do.
    What is `added` to a cohort's variance is taken to do so alike.
    """
    found = [
        _areas_of_placements(one[np.newaxis], cohort.is_other, cohort.subjects)
        for one, cohort in zip(placed, cohorts, strict=True)
    ]
    areas = np.array([area[0] for area, _ in found])
    variances = added + np.array([covariance[0, 0] for _, covariance in found])
    influence = np.zeros((len(cohorts), 1 + max(cohort.people.max() for cohort in cohorts)))
    for own, one, cohort in zip(influence, placed, cohorts, strict=True):
        for side in (cohort.is_other, ~cohort.is_other):
            n = len(np.unique(cohort.people[side]))
            deviation = (one[side] - one[side].mean()) / side.sum() * np.sqrt(n / (n - 1))
            np.add.at(own, cohort.people[side], deviation)
    together = influence @ influence.T
    own = together.diagonal()
    scale = np.sqrt(np.maximum(variances, 0) / np.where(own > 0, own, np.inf))
    covariance = together * np.outer(scale, scale)
    np.fill_diagonal(covariance, variances)
    weight = _weights(cohorts)
    return areas, variances, float(weight @ covariance @ weight)


def _row(parts: list[_Predicted]) -> dict[str, object]:
    """Numbers of one model on one cohort, or on several of which only pairs within count."""
    cohorts = [part.cohort for part in parts]
    weight = _weights(cohorts)
    areas, variances, variance = _pooled(
        [part.placements for part in parts], np.array([part.added for part in parts]), cohorts
    )
    area = float(weight @ areas)
    smaller = [min(n_subjects(cohort)) for cohort in cohorts]
    is_shared = len(_shared(cohorts)) > 0
    low, high = area_interval(area, variance, _n_smaller(cohorts))
    # Labels were permuted in each cohort by itself, which a subject of several does not allow.
    null = np.empty(0) if is_shared else weight @ np.array([part.null for part in parts])
    p = (1 + int((null >= area - 1e-12).sum())) / (1 + len(null)) if len(null) else np.nan
    few = [
        f"fewer than {WARN_SUBJECTS} subjects in a group"
        + (f" of cohort {cohort.name}" if len(cohorts) > 1 else "")
        for cohort, n in zip(cohorts, smaller, strict=True)
        if n < WARN_SUBJECTS
    ]
    return {
        "n_cohorts": len(parts),
        "n_reference": sum(int((~cohort.is_other).sum()) for cohort in cohorts),
        "n_other": sum(int(cohort.is_other.sum()) for cohort in cohorts),
        "n_subjects": len(np.unique(np.concatenate([cohort.people for cohort in cohorts]))),
        "auc": area,
        "low": low,
        "high": high,
        "p_permutation": p,
        **({} if is_shared else _prediction(areas, variances)),
        **_calibration(parts),
        "warning": "; ".join(few),
    }


def _n_smaller(cohorts: Sequence[Cohort]) -> int:
    """Subjects of the smaller group of each cohort, one of several cohorts counted once."""
    sides = []
    for cohort in cohorts:
        reference, other = n_subjects(cohort)
        sides.append(cohort.people[cohort.is_other == (other < reference)])
    return len(np.unique(np.concatenate(sides)))


def _prediction(areas: Floats, variances: Floats) -> dict[str, float]:
    """Where the area in a further cohort would lie: random effects of logits, 3 cohorts or more."""
    if len(areas) < 3 or not ((variances > 0) & (areas > 0) & (areas < 1)).all():
        return {}
    scale = areas * (1 - areas)
    pooled = pool(special.logit(areas)[:, np.newaxis], (variances / scale**2)[:, np.newaxis])
    ends = ("prediction_low", "prediction_high")
    return {end: float(special.expit(pooled[end].iloc[0])) for end in ends}


def _difference(
    parts: list[_Predicted], baseline: list[_Predicted], named: str = "auc_difference"
) -> dict[str, float]:
    """Area less that of the baseline on the same samples, with its paired interval."""
    cohorts = [part.cohort for part in parts]
    pairs = list(zip(parts, baseline, strict=True))
    differences, _, variance = _pooled(
        [part.placements - other.placements for part, other in pairs],
        np.array([part.added + other.added for part, other in pairs]),
        cohorts,
    )
    difference = float(_weights(cohorts) @ differences)
    margin = _Z * float(np.sqrt(max(0.0, variance)))
    ends = named.removeprefix("auc_")
    return {
        named: difference,
        f"{ends}_low": difference - margin,
        f"{ends}_high": difference + margin,
    }


def _curve(parts: list[_Predicted], generator: np.random.Generator) -> pd.DataFrame:
    """ROC curve of one cohort, or the mean of several at each share of false positives.

    Steps, of which the area is that of `_row`. The band is pointwise: quantiles of the curve with
    subjects drawn anew within each group, stretched as the interval of the area is.
    """
    cohorts = [part.cohort for part in parts]
    weight = _weights(cohorts)
    grid = np.linspace(0, 1, CURVE_POINTS)
    drawn = sum(
        share * _curve_draws(part, grid, generator)
        for share, part in zip(weight, parts, strict=True)
    )
    assert isinstance(drawn, np.ndarray)
    placed, added = [part.placements for part in parts], np.array([part.added for part in parts])
    _, variances, variance = _pooled(placed, added, cohorts)
    seen = float(weight**2 @ (variances - added))
    stretch = np.sqrt(variance / seen) if seen > 0 else 1.0
    curve, ends = drawn[0], np.quantile(drawn[1:], [0.025, 0.975], axis=0)
    low, high = np.clip(curve + stretch * (ends - curve), 0, 1)
    values = (grid, curve, low, high)
    return pd.DataFrame(dict(zip(CURVE_COLUMNS[5:], values, strict=True)))


def _curve_draws(part: _Predicted, grid: Floats, generator: np.random.Generator) -> Floats:
    """Share of true positives (1 + draws, points), the first row of the samples as they are.

    With folds a sample is held against those of its fold, and the mean over repeats taken: the few
    of one fold would make the curve coarse, and too steep at its beginning.
    """
    cohort, values = part.cohort, part.predictor
    folds = np.zeros(values.shape, dtype=int) if part.folds is None else part.folds
    is_other, subjects = cohort.is_other, cohort.subjects
    of_subject = shares_of_subjects(is_other[np.newaxis], subjects)[0]
    times = np.ones((1 + CURVE_DRAWS, len(of_subject)))
    for stratum in (of_subject == 0, (of_subject > 0) & (of_subject < 1), of_subject == 1):
        if n := int(stratum.sum()):
            times[1:, stratum] = generator.multinomial(n, np.full(n, 1 / n), CURVE_DRAWS)
    times = times[:, subjects]
    other, rest = times[:, is_other], times[:, ~is_other]
    above, against = np.zeros(other.shape), np.zeros(other.shape)
    for row, fold in zip(values, folds, strict=True):
        difference = row[~is_other] - row[is_other][:, np.newaxis]
        together = fold[~is_other] == fold[is_other][:, np.newaxis]
        above += rest @ (together * ((difference > 0) + 0.5 * (difference == 0))).T
        against += rest @ together.T
    share = above / np.maximum(against, 1e-12)
    weight = other * against
    passed = [(weight * (share <= limit + 1e-12)).sum(axis=1) for limit in grid]
    curves: Floats = np.array(passed).T / weight.sum(axis=1, keepdims=True)
    return curves


def _stacked(parts: list[_Predicted]) -> tuple[Floats, Truths, Numbers]:
    """Logits, labels and subjects of several cohorts in one."""
    return (
        np.concatenate([part.logit for part in parts]),
        np.concatenate([part.cohort.is_other for part in parts]),
        np.concatenate([part.cohort.people for part in parts]),
    )


def _calibration(parts: list[_Predicted]) -> dict[str, float]:
    """Brier score, and intercept and slope of the observed groups on the predicted logits.

    The intercept is that with slope 1 (predictions on the whole too low above 0); the slope's
    interval is a sandwich estimate with subjects as clusters. Missing where the logits part the
    groups completely, for then no slope is the best.
    """
    logit, label, subjects = _stacked(parts)
    share = label.mean()
    found = {
        "brier": float(np.mean((special.expit(logit) - label) ** 2)),
        "brier_of_share": float(share * (1 - share)),
    }
    ones, free = np.ones((1, len(label))), np.zeros((1, 1))
    fit = ridge_logistic(logit[:, np.newaxis], label[np.newaxis], ones, free)[0]
    if np.isnan(fit).any():
        return found
    design = np.column_stack([np.ones(len(logit)), logit])
    fitted = special.expit(design @ fit)
    bread = np.linalg.inv((design * (fitted * (1 - fitted))[:, np.newaxis]).T @ design)
    scores = np.zeros((subjects.max() + 1, 2))
    np.add.at(scores, subjects, design * (label - fitted)[:, np.newaxis])
    margin = _Z * float(np.sqrt((bread @ scores.T @ scores @ bread)[1, 1]))
    return found | {
        "calibration_intercept": _shift(logit, label),
        "calibration_slope": float(fit[1]),
        "calibration_slope_low": float(fit[1]) - margin,
        "calibration_slope_high": float(fit[1]) + margin,
    }


def _shift(logit: Floats, label: Truths) -> float:
    """What must be added to the logits for the mean prediction to be the share observed."""
    shift = 0.0
    for _ in range(100):
        fitted = special.expit(logit + shift)
        step = float((label - fitted).sum() / max(float((fitted * (1 - fitted)).sum()), 1e-12))
        shift += float(np.clip(step, -3, 3))
        if abs(step) < 1e-9:
            break
    return shift


def _bins(parts: list[_Predicted]) -> pd.DataFrame:
    """Predicted and observed share of the other group, in up to five bins of equal size."""
    logit, label, _ = _stacked(parts)
    order = np.argsort(logit, kind="stable")
    rows = []
    for number, own in enumerate(np.array_split(order, min(5, max(2, len(order) // 10))), start=1):
        n, observed = len(own), float(label[own].mean())
        low, high = area_interval(observed, observed * (1 - observed) / n, n)
        predicted = float(special.expit(logit[own]).mean())
        rows.append((number, n, predicted, observed, low, high))
    return pd.DataFrame(rows, columns=CALIBRATION_COLUMNS[5:])
