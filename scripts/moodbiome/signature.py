"""The depression signature log-contrast (DSLC): how far a sample resembles what was reported.

The score is a weighted sum of log relative abundances whose weights sum to +1 over the taxa
reported as enriched in depression and to -1 over those reported as depleted. It describes a
community; it says nothing certain about a person.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from moodbiome.evidence import members
from moodbiome.uncertainty import generator

PROFILES = ("evidence", "seed", "grade_a")
OFFSETS = (1e-5, 10**-4.5, 1e-4, 10**-3.5, 1e-3)

SCORE_COLUMNS = (
    *("score", "score_low", "score_high", "percentile", "weight_detectable", "n_classified"),
    *("status", "reason", "warning", "percentile_low", "percentile_high"),
    *("robust_z", "robust_z_low", "robust_z_high", "n_reference"),
    *("weight_detected", "n_taxa_detectable", "n_taxa_detected"),
    *("score_without_one_low", "score_without_one_high"),
    *("score_offset_1e-5", "score_offset_1e-3", "percentile_offset_low", "percentile_offset_high"),
    *("score_slr", "score_balance", "score_seed", "score_grade_a"),
)
CONTRIBUTION_COLUMNS = (
    *("sample", "concept", "name", "direction", "weight", "detectable", "count"),
    *("proportion", "contribution", "contribution_raw"),
)

# Jeffreys' prior of one part of a composition.
_PRIOR = 0.5

# Makes the median absolute deviation estimate the standard deviation of a normal distribution.
_MAD_TO_SD = 1.4826

# Genus and species tables are re-estimated apart, so that their sum may exceed the total a little.
_MAX_EXCESS = 0.01

IMPORTED = (
    "detectable are the taxa of the imported table: which others could have been found is not known"
)
"""Warning of scores from a table whose database is not known."""
_OUTSIDE = "reference of another run,"

_WIDE = "interval wider than one standard deviation of the reference"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Limits:
    """When a score is not given, or given with a warning.

    Attributes
    ----------
    min_classified, warn_classified
        Classified bacterial and archaeal fragments: below the first there is no score, below the
        second a warning.
    min_weight_detectable
        Smallest share of the signature's weight whose taxa the database holds.
    min_taxa
        Smallest number of signature taxa the database holds.
    min_reference
        Smallest number of scored reference samples that makes a reference.
    min_spread_reference
        Smallest number of reference samples whose standard deviation may refuse a score for its
        wide interval: from 20 it is known to about 16 %. With fewer it is a warning.
    """

    min_classified: int = 10_000
    warn_classified: int = 100_000
    min_weight_detectable: float = 0.5
    min_taxa: int = 3
    min_reference: int = 5
    min_spread_reference: int = 20


class Outside(NamedTuple):
    """Reference samples of an earlier run, to be scored and compared with.

    Attributes
    ----------
    counts, effective : DataFrame of shape (n_concepts, n_reference)
        Fragments and effective fragments by concept (`concept_counts`, `concept_effective`).
    n_classified : Series of shape (n_reference,)
        Classified bacterial and archaeal fragments.
    """

    counts: pd.DataFrame
    n_classified: pd.Series
    effective: pd.DataFrame


def check_taxa(taxa: pd.DataFrame) -> None:
    """Refuse a table of taxa that cannot be a signature.

    Parameters
    ----------
    taxa : DataFrame
        As given by `moodbiome.evidence.derive`.

    Raises
    ------
    ValueError
        If a column is missing, a concept stands twice, a taxon id belongs to two concepts, a weight
        contradicts its concept's direction, or the enriched weights of a profile do not sum to +1
        or the depleted ones to -1. The message names the concept, taxon or profile.
    """
    weight_columns = [f"weight_{profile}" for profile in PROFILES]
    for column in ("concept", "name", "ncbi_ids", "direction", *weight_columns):
        if column not in taxa.columns:
            raise ValueError(f"table of taxa: column {column!r} is missing")
    twice = taxa["concept"].duplicated()
    if twice.any():
        raise ValueError(
            f"table of taxa: concept {taxa.loc[twice, 'concept'].iloc[0]!r} stands in more than "
            "one row; remove the duplicate"
        )
    members(taxa)
    for column in weight_columns:
        weight = taxa[column]
        contradicts = ((taxa["direction"] == "up") & (weight < 0)) | (
            (taxa["direction"] == "down") & (weight > 0)
        )
        if contradicts.any():
            row = taxa[contradicts].iloc[0]
            raise ValueError(
                f"concept {row['concept']!r} is given both directions: its direction is "
                f"{row['direction']!r} and its {column} {row[column]:g}; an enriched taxon has a "
                "positive and a depleted one a negative weight"
            )
        for side, total in (
            ("enriched", weight.clip(lower=0).sum()),
            ("depleted", weight.clip(upper=0).sum()),
        ):
            wanted = 1.0 if side == "enriched" else -1.0
            if not abs(total - wanted) < 1e-6:
                raise ValueError(
                    f"{column} sums to {total:g} over the {side} taxa and must sum to {wanted:+g}; "
                    "derive the table again from the claims or rescale the weights"
                )


def concept_counts(genus: pd.DataFrame, species: pd.DataFrame, taxa: pd.DataFrame) -> pd.DataFrame:
    """Count the fragments of each concept: the sum of its member taxa, each fragment once.

    A species inside a genus of the same concept is in the genus's count already and is not added. A
    species inside a genus of *another* concept is taken off that genus, so that no fragment speaks
    twice.

    Parameters
    ----------
    genus, species : DataFrame
        Counts by rank, indexed by taxon id, with the columns ``name``, ``lineage`` and one a
        sample.
    taxa : DataFrame
        With the columns ``concept`` and ``ncbi_ids``.

    Returns
    -------
    DataFrame of shape (n_concepts, n_samples)
        Fragments; concepts in the order of ``taxa``, samples in that of ``genus``. A concept none
        of whose members is in the tables has 0.

    Raises
    ------
    ValueError
        If the tables differ in their samples, hold a taxon twice, a count that is negative or
        missing, or a member that is neither bacterial nor archaeal.

    Examples
    --------
    >>> genus = pd.DataFrame({"name": ["Roseburia"], "lineage": ["d__Bacteria;g__Roseburia"],
    ...                       "S1": [7]}, index=[841])
    >>> species = pd.DataFrame({"name": ["R. hominis", "R. faecis"],
    ...                         "lineage": ["d__Bacteria;g__Roseburia;s__R. hominis",
    ...                                     "d__Bacteria;g__Agathobacter;s__R. faecis"],
    ...                         "S1": [4, 2]}, index=[301301, 301302])
    >>> taxa = pd.DataFrame({"concept": ["roseburia"], "ncbi_ids": ["841,301301,301302"]})
    >>> concept_counts(genus, species, taxa).loc["roseburia", "S1"]
    np.int64(9)
    """
    rows = _member_rows(genus, species, taxa)
    return _by_concept(rows.own, rows.concept, taxa)


def concept_effective(
    genus: pd.DataFrame, species: pd.DataFrame, taxa: pd.DataFrame, effective: pd.DataFrame
) -> pd.DataFrame:
    """Effective fragments of each concept: how well its count is known.

    Parameters
    ----------
    genus, species, taxa : DataFrame
        As for `concept_counts`.
    effective : DataFrame
        Effective fragments of the taxa, as for `score_samples`.

    Returns
    -------
    DataFrame of shape (n_concepts, n_samples)
        As `concept_counts` returns the counts; 0 where the count is.

    Raises
    ------
    ValueError
        As `concept_counts`, or if a member with fragments has no effective fragments.
    """
    rows = _member_rows(genus, species, taxa)
    return _concept_effective(rows, _by_concept(rows.own, rows.concept, taxa), taxa, effective)


class _MemberRows(NamedTuple):
    """Rows of the tables that are members of concepts.

    Attributes
    ----------
    counts, own : DataFrame of shape (n_members, n_samples)
        Fragments by taxon id as in the tables, and those that no member within the taxon has.
    concept : ndarray of shape (n_members,)
        The concept of each.
    """

    counts: pd.DataFrame
    own: pd.DataFrame
    concept: NDArray[np.object_]


def _by_concept(
    rows: pd.DataFrame, concept: NDArray[np.object_], taxa: pd.DataFrame
) -> pd.DataFrame:
    return rows.groupby(concept).sum().reindex(taxa["concept"], fill_value=0)


def _concept_effective(
    rows: _MemberRows, counted: pd.DataFrame, taxa: pd.DataFrame, effective: pd.DataFrame
) -> pd.DataFrame:
    """Effective fragments of each concept: its count^2 over the summed variances of its members.

    The variance of a member is its own fragments times how far the taxon's exceeds its count.
    """
    known = effective.reindex(index=rows.counts.index, columns=rows.counts.columns)
    bad = ((rows.counts > 0) & ~(known > 0)).to_numpy()
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"sample {known.columns[column]!r}, taxon {known.index[row]}: "
            f"{rows.counts.to_numpy()[row, column]} fragments, but its effective fragments are "
            f"{known.to_numpy()[row, column]}; build counts and intervals from the same reports"
        )
    variance = _by_concept((rows.own * (rows.counts / known)).fillna(0.0), rows.concept, taxa)
    return (counted**2 / variance).where(counted > 0, 0.0)


def _member_rows(genus: pd.DataFrame, species: pd.DataFrame, taxa: pd.DataFrame) -> _MemberRows:
    samples = _samples_of(genus, "genus")
    _check_same_samples(samples, _samples_of(species, "species"))
    owner = members(taxa)
    found = []
    for rank, table in (("genus", genus), ("species", species)):
        _check_counts(table, samples, rank)
        found.append(table.loc[table.index.isin(owner.index), ["lineage", *samples]])
    rows = pd.concat(found)
    both = rows.index[rows.index.duplicated()]
    if len(both):
        raise ValueError(
            f"taxon {both[0]} is in the genus table and in the species table; a taxon has one rank"
        )
    concepts = owner.loc[rows.index].to_list()
    lineages = rows["lineage"].fillna("").to_list()
    for taxon, lineage in zip(rows.index, lineages, strict=True):
        if lineage.startswith("d__") and not lineage.startswith(("d__Bacteria", "d__Archaea")):
            raise ValueError(
                f"taxon {taxon} of concept {owner[taxon]!r} has the lineage {lineage!r}, which is "
                "not bacterial: is the database numbered by NCBI taxonomy?"
            )

    counts = rows[samples].to_numpy()
    own = counts.copy()
    for row, lineage in enumerate(lineages):
        parent = _nearest_ancestor(lineage, lineages)
        if parent is None:
            continue
        if concepts[parent] == concepts[row]:
            own[row] = 0
        else:
            own[parent] -= counts[row]
    return _MemberRows(
        rows[samples],
        pd.DataFrame(own.clip(min=0), index=rows.index, columns=samples),
        np.array(concepts, dtype=object),
    )


def log_contrast(proportions: ArrayLike, weights: ArrayLike, offset: float) -> Floats:
    """Weighted sum of log(p + offset) over taxa.

    Parameters
    ----------
    proportions : array_like of shape (n_taxa, n_samples)
        Relative abundances, 0 to 1.
    weights : array_like of shape (n_taxa,)
        Signed; sum to 0 in a log-contrast.
    offset
        Relative abundance added to each: the limit of detection.

    Returns
    -------
    ndarray of shape (n_samples,)
        In natural-log units.

    Examples
    --------
    >>> log_contrast([[0.0099], [0.0999]], [1, -1], offset=1e-4).round(4)
    array([-2.3026])
    """
    contrast: Floats = np.asarray(weights, dtype=float) @ np.log(
        np.asarray(proportions, dtype=float) + offset
    )
    return contrast


def draw_proportions(
    counts: ArrayLike,
    n_classified: float,
    effective: ArrayLike | None = None,
    *,
    draws: int,
    seed: int,
    name: str,
) -> Floats:
    """Versions of a sample's proportions under the noise of counting and re-estimation.

    Parameters
    ----------
    counts : array_like of shape (n_taxa,)
        Fragments of taxa that share none; the rest of the sample is one more part.
    n_classified
        Classified bacterial and archaeal fragments of the sample.
    effective : array_like of shape (n_taxa,), optional
        Effective fragments; see `sampling_interval`.
    draws, seed, name
        Number of draws; they depend on the seed and the name only.

    Returns
    -------
    ndarray of shape (draws, n_taxa)
        Proportions, 0 to 1, with a prior count of 0.5 a part.
    """
    parts = np.asarray(counts, dtype=float)
    rest = max(n_classified - parts.sum(), 0.0)
    mean = np.append(parts, rest) + _PRIOR
    known = parts if effective is None else np.asarray(effective, dtype=float)
    shape = np.append(known, rest) + _PRIOR
    gamma = generator(seed, name).standard_gamma(shape, size=(draws, shape.size)) * (mean / shape)
    drawn: Floats = gamma[:, :-1] / gamma.sum(axis=1, keepdims=True)
    return drawn


def sampling_interval(
    counts: ArrayLike,
    n_classified: float,
    weights: ArrayLike,
    *,
    offset: float,
    draws: int,
    seed: int,
    sample: str,
    effective: ArrayLike | None = None,
) -> tuple[float, float]:
    """95 % interval of a sample's log-contrast under the noise of counting and re-estimation.

    Proportions are drawn from the Dirichlet posterior of the signature taxa and one part for
    everything else, with a prior count of 0.5 a part. A taxon that is known less well than its
    count would be varies as its effective fragments do, about the count. The draws depend on the
    seed and the sample's name only. Variation between days, extractions and laboratories is larger
    and not in it.

    Parameters
    ----------
    counts : array_like of shape (n_taxa,)
        Fragments of each signature taxon.
    n_classified
        Classified bacterial and archaeal fragments of the sample.
    weights : array_like of shape (n_taxa,)
        Signed weights.
    offset, draws, seed
        Limit of detection, number of draws, and the run's seed.
    sample
        Name of the sample.
    effective : array_like of shape (n_taxa,), optional
        Effective fragments of each signature taxon (`moodbiome.uncertainty`); without them the
        noise is that of counting alone. Taxa vary independently, though those that share fragments
        are re-estimated at each other's cost.

    Returns
    -------
    (float, float)
        The 2.5th and 97.5th percentile of the draws.
    """
    drawn = draw_proportions(counts, n_classified, effective, draws=draws, seed=seed, name=sample)
    low, high = np.quantile(log_contrast(drawn.T, weights, offset), [0.025, 0.975])
    return float(low), float(high)


def percentiles(
    scores: ArrayLike, reference: ArrayLike, is_member: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """Percentile of each score among the reference scores, with a 95 % interval.

    A member of the reference is compared with the others. A tie counts half.

    Parameters
    ----------
    scores : array_like of shape (n_samples,)
        Scores to be placed.
    reference : array_like of shape (n_reference,)
        Scores of the reference samples.
    is_member : array_like of bool of shape (n_samples,)
        Whether the score is itself among ``reference``.

    Returns
    -------
    (ndarray, ndarray, ndarray), each of shape (n_samples,)
        Percentile, 0 to 100, and the bounds of its interval: what resampling the reference gives,
        in closed form. Half an observation is added on either side (the Jeffreys interval,
        Brown, Cai and DasGupta 2001, Stat. Sci. 16:101-133), for the plain bootstrap is certain
        of a sample that lies beyond a reference of five.

    Examples
    --------
    >>> value, low, high = percentiles([2.5], [1.0, 2.0, 3.0, 4.0], [False])
    >>> value, low.round(1), high.round(1)
    (array([50.]), array([12.3]), array([87.7]))
    """
    values, member = np.asarray(scores, dtype=float), np.asarray(is_member, dtype=bool)
    ordered = np.sort(np.asarray(reference, dtype=float))
    below = np.searchsorted(ordered, values, side="left")
    ties = np.searchsorted(ordered, values, side="right") - below - member
    rank, others = below + ties / 2, ordered.size - member
    low = betaincinv(rank + _PRIOR, others - rank + _PRIOR, 0.025)
    high = betaincinv(rank + _PRIOR, others - rank + _PRIOR, 0.975)
    low, high = np.where(rank == 0, 0.0, low), np.where(rank == others, 1.0, high)
    return 100 * rank / others, 100 * low, 100 * high


def robust_z(
    scores: ArrayLike, reference: ArrayLike, position: ArrayLike, *, resamples: int, seed: int
) -> tuple[Floats, Floats, Floats]:
    """Distance of each score from the reference median in robust standard deviations.

    Parameters
    ----------
    scores : array_like of shape (n_samples,)
        Scores to be placed.
    reference : array_like of shape (n_reference,)
        Scores of the reference samples.
    position : array_like of int of shape (n_samples,)
        Where the score stands in ``reference``, or -1; a member is compared with the others.
    resamples, seed
        Bootstrap resamples of the reference, and the run's seed.

    Returns
    -------
    (ndarray, ndarray, ndarray), each of shape (n_samples,)
        z and the bounds of its 95 % bootstrap interval. NaN where half of the reference has the
        same score, or a bound rests on resamples in which it has.

    Notes
    -----
    The interval of a member uses the resamples that happen not to hold it: they are resamples of
    the others (Efron 1992, J. R. Stat. Soc. B 54:83-127).
    """
    values, where = np.asarray(scores, dtype=float), np.asarray(position, dtype=int)
    control = np.asarray(reference, dtype=float)
    centre = np.full(values.size, np.median(control))
    spread = np.full(values.size, np.median(np.abs(control - centre[0])) if values.size else 0.0)
    is_member = where >= 0
    others_centre, others_spread = _leave_one_out_location(control)
    centre[is_member] = others_centre[where[is_member]]
    spread[is_member] = others_spread[where[is_member]]

    drawn = generator(seed, "reference of the signature").integers(
        control.size, size=(resamples, control.size)
    )
    resampled = control[drawn]
    centres = np.median(resampled, axis=1)
    spreads = _MAD_TO_SD * np.median(np.abs(resampled - centres[:, np.newaxis]), axis=1)
    held = np.zeros((control.size, resamples), dtype=bool)
    held[drawn, np.arange(resamples)[:, np.newaxis]] = True

    every = np.ones(resamples, dtype=bool)

    low, high = np.full(values.size, np.nan), np.full(values.size, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (values - centre) / (_MAD_TO_SD * spread)
        for row, value in enumerate(values):
            usable = ~held[where[row]] if is_member[row] else every
            if not usable.any():
                continue
            low[row], high[row] = np.quantile(
                (value - centres[usable]) / spreads[usable], [0.025, 0.975]
            )
    return _finite(z), _finite(low), _finite(high)


def score_samples(
    genus: pd.DataFrame,
    species: pd.DataFrame,
    taxa: pd.DataFrame,
    n_classified: pd.Series,
    known: Collection[int],
    *,
    seed: int,
    profile: str = "evidence",
    reference: Sequence[str] = (),
    refused: Mapping[str, str] | None = None,
    offset: float = 1e-4,
    draws: int = 200,
    resamples: int = 1000,
    limits: Limits | None = None,
    effective: pd.DataFrame | None = None,
    outside: Outside | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score every sample by the depression signature, with its uncertainty and its parts.

    Taxa that the database does not hold are left out and the weights of the others rescaled, so
    that either side still sums to one: otherwise a bloom of any other taxon would move the score.
    ``weight_detectable`` says how much of the signature remains.

    Parameters
    ----------
    genus, species : DataFrame
        Counts by rank of one assay, indexed by taxon id, with the columns ``name``, ``lineage`` and
        one a sample.
    taxa : DataFrame
        As given by `moodbiome.evidence.derive`; ids in the numbering of the database.
    n_classified : Series
        Fragments classified as bacterial or archaeal: the denominator of every proportion. Its
        index names the samples of the result, in order; a missing value or a sample that is not in
        the tables gives a row without a score.
    known
        Every taxon id of the database.
    seed
        The run's seed.
    profile
        ``evidence``, ``seed`` or ``grade_a``: which weights.
    reference
        Samples to compare with, such as the controls, processed in the same way. Those without a
        score are left out.
    refused
        Sample -> reason, for samples that must not be scored: failed, excluded, controls.
    offset
        Relative abundance added before the logarithm: the limit of detection.
    draws, resamples
        Draws of each sample's proportions; bootstrap resamples of the reference.
    limits
        When to abstain.
    effective
        Effective fragments of the taxa of both tables, by taxon id and sample, as given by
        `moodbiome.uncertainty.effective_counts`; needed for every signature taxon with fragments.
        Without it the intervals hold the noise of counting alone.
    outside
        Reference samples of another run, in place of ``reference``, made in the same way
        (`moodbiome.reference`). They have no rows in the result.

    Returns
    -------
    scores : DataFrame
        Indexed by sample, columns `SCORE_COLUMNS`. ``status`` is ``ok`` or ``abstained``, the
        ``reason`` why; an abstained row has empty score cells. Scores are in natural-log units.
    contributions : DataFrame
        One row a sample and concept of the profile, columns `CONTRIBUTION_COLUMNS`.
        ``contribution`` is weight x (log(p + offset) - its mean over the reference) and is empty
        without a reference; ``contribution_raw`` is weight x log(p + offset) and sums to the score.

    Raises
    ------
    ValueError
        If the signature, the counts, the reference or a setting is unsound; the message names it.

    Notes
    -----
    - ``score_low``, ``score_high``: see `sampling_interval`; widened if need be to hold the score.
    - ``score_without_one_low/high``: range of the score when each taxon in turn is left out, moved
      by what leaving it out does to the reference mean.
    - ``percentile_offset_low/high``: range of the percentile over offsets from 1e-5 to 1e-3.
    - ``score_slr``: log ratio of the summed enriched and depleted taxa.
    - ``score_balance``: balance of their geometric means, zeros replaced multiplicatively by 0.65
      of ``offset`` (Martin-Fernandez et al. 2003, Math. Geol. 35:253-278).
    - ``score_seed``, ``score_grade_a``: the same score under the other profiles.
    """
    limits = limits or Limits()
    known = frozenset(known)
    check_taxa(taxa)
    _check_settings(profile, offset, draws, resamples)
    order = _check_names(n_classified, reference, refused or {})
    rows = _member_rows(genus, species, taxa)
    counted = _by_concept(rows.own, rows.concept, taxa)
    _check_known(genus, species, taxa, known)
    extra = [sample for sample in counted.columns if sample not in n_classified.index]
    if extra:
        raise ValueError(
            f"sample {extra[0]!r} has counts but no number of classified fragments; give one for "
            "every sample of the tables"
        )

    # Draws must not depend on the order in which the concepts are listed.
    by_name = taxa.set_index("concept").sort_index()
    counts = counted.reindex(index=by_name.index, columns=order).astype(float)
    known_as = counted if effective is None else _concept_effective(rows, counted, taxa, effective)
    known_as = known_as.reindex(index=by_name.index, columns=order).astype(float)
    totals = pd.to_numeric(n_classified).astype(float)
    own = order
    if outside is not None:
        if len(reference):
            raise ValueError("reference samples are given here and from another run; give one")
        lacking = by_name.index.difference(outside.counts.index)
        if len(lacking):
            raise ValueError(f"the reference of another run has no counts of {lacking[0]!r}")
        reference = [f"{_OUTSIDE} {place}" for place in range(len(outside.n_classified))]
        order = [*own, *reference]
        counts, known_as = (
            pd.concat([here, there.loc[by_name.index].set_axis(reference, axis=1)], axis=1)
            for here, there in ((counts, outside.counts), (known_as, outside.effective))
        )
        totals = pd.concat([totals, outside.n_classified.set_axis(reference)])
    detectable = by_name["ncbi_ids"].map(
        lambda ids: any(int(taxon) in known for taxon in str(ids).split(",") if taxon)
    )
    full = by_name[f"weight_{profile}"]
    weights = _detectable_weights(by_name, profile, detectable)
    used = weights.index[weights != 0]
    share = float(full[detectable].abs().sum() / full.abs().sum())
    n_detectable = int((detectable & (full != 0)).sum())

    reasons = _reasons(order, counts, totals, refused or {}, weights, share, n_detectable, limits)
    eligible = [sample for sample in order if not reasons[sample]]
    _check_totals(counts.loc[used, eligible], totals[eligible])
    proportions = counts[eligible] / totals[eligible]
    log_contrasts = {
        value: pd.Series(
            log_contrast(proportions.loc[used], weights[used], value), index=eligible, dtype=float
        )
        for value in dict.fromkeys([*OFFSETS, offset])
    }
    score = log_contrasts[offset]
    bounds = pd.DataFrame(
        [
            sampling_interval(
                counts.loc[used, sample],
                totals[sample],
                weights[used],
                offset=offset,
                draws=draws,
                seed=seed,
                sample=sample,
                effective=known_as.loc[used, sample],
            )
            for sample in eligible
        ],
        index=eligible,
        columns=["low", "high"],
        dtype=float,
    )

    members_of_reference = sorted(set(reference) & set(eligible))
    # Where many taxa are unseen at low depth the prior lifts every draw above the score itself.
    bounds["low"] = bounds["low"].clip(upper=score)
    bounds["high"] = bounds["high"].clip(lower=score)
    wide: set[str] = set()
    if len(members_of_reference) >= limits.min_reference:
        # Judged before the wide ones are dropped, or the limit would depend on its own outcome.
        sd = float(score[members_of_reference].std(ddof=1))
        wide = set(bounds.index[bounds["high"] - bounds["low"] > sd])
    if len(members_of_reference) >= limits.min_spread_reference:
        reasons |= dict.fromkeys(wide, _WIDE)
    scored = [sample for sample in eligible if not reasons[sample]]
    control = [sample for sample in members_of_reference if not reasons[sample]]
    has_reference = len(control) >= limits.min_reference

    scores = pd.DataFrame(index=pd.Index(order, name="sample"), columns=list(SCORE_COLUMNS))
    scores["n_classified"] = totals.round().astype("Int64")
    scores["status"] = ["abstained" if reasons[sample] else "ok" for sample in order]
    scores["reason"] = pd.Series(reasons)
    scores["warning"] = [
        _warning(totals[sample], len(control), sample in wide, limits)
        if not reasons[sample]
        else ""
        for sample in order
    ]
    scores["weight_detectable"] = share
    scores["n_taxa_detectable"] = n_detectable
    present = counts.dropna(axis="columns", how="all").gt(0)
    scores["weight_detected"] = present.mul(full.abs(), axis="index").sum() / full.abs().sum()
    scores["n_taxa_detected"] = present[full != 0].sum().reindex(order).astype("Int64")

    values: dict[str, pd.Series] = {
        "score": score,
        "score_low": bounds["low"],
        "score_high": bounds["high"],
        "score_offset_1e-5": log_contrasts[1e-5],
        "score_offset_1e-3": log_contrasts[1e-3],
        "score_slr": _amalgamation(proportions, weights, offset),
        "score_balance": _balance(proportions.loc[used], weights[used], offset),
    }
    for other in ("seed", "grade_a"):
        other_weights = _detectable_weights(by_name, other, detectable)
        if _has_both_sides(other_weights):
            values[f"score_{other}"] = pd.Series(
                log_contrast(proportions, other_weights, offset), index=eligible
            )
    logs = (proportions.loc[used] + offset).transform(np.log)
    if has_reference:
        placed = _placed(score[scored], control, log_contrasts, resamples, seed)
        values |= {column: placed[column] for column in placed.columns}
        without = _without_one(logs[scored], weights[used], control)
        values["score_without_one_low"] = without.min()
        values["score_without_one_high"] = without.max()
    for column, cells in values.items():
        scores[column] = cells.reindex(scored).reindex(order)
    for column in SCORE_COLUMNS:
        if column not in ("status", "reason", "warning", "n_classified", "n_taxa_detected"):
            scores[column] = pd.to_numeric(scores[column])
    scores["n_reference"] = scores["n_reference"].astype("Int64")

    centre = logs[control].mean(axis="columns") if has_reference else None
    contributions = _contributions(
        taxa, profile, own, scored, counts, totals, weights, detectable, offset, centre
    )
    return scores.loc[own], contributions


def _placed(
    score: pd.Series,
    control: list[str],
    log_contrasts: dict[float, pd.Series],
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Columns that say where each score lies among the reference."""
    scored = score.index
    position = pd.Index(control).get_indexer(scored)
    is_member = position >= 0
    percentile, percentile_low, percentile_high = percentiles(score, score[control], is_member)
    z, z_low, z_high = robust_z(score, score[control], position, resamples=resamples, seed=seed)
    by_offset = np.array(
        [
            percentiles(log_contrasts[value][scored], log_contrasts[value][control], is_member)[0]
            for value in OFFSETS
        ]
    )
    return pd.DataFrame(
        {
            "percentile": percentile,
            "percentile_low": percentile_low,
            "percentile_high": percentile_high,
            "robust_z": z,
            "robust_z_low": z_low,
            "robust_z_high": z_high,
            "n_reference": len(control) - is_member.astype(int),
            "percentile_offset_low": by_offset.min(axis=0),
            "percentile_offset_high": by_offset.max(axis=0),
        },
        index=scored,
    )


def _without_one(logs: pd.DataFrame, weights: pd.Series, control: list[str]) -> pd.DataFrame:
    """Scores of each sample with each taxon left out, on the scale of the full score."""
    parts = logs.mul(weights, axis="index")
    full = parts.sum()
    enriched = parts[weights > 0].sum()
    depleted = parts[weights < 0].sum()
    versions = {}
    for concept, weight in zip(weights.index, weights.to_numpy(), strict=True):
        if abs(weight) > 1 - 1e-9:
            continue  # alone on its side: without it there is no contrast
        side, other = (enriched, depleted) if weight > 0 else (depleted, enriched)
        version = other + (side - parts.loc[concept]) / (1 - abs(weight))
        versions[concept] = version - version[control].mean() + full[control].mean()
    if not versions:
        return pd.DataFrame(np.nan, index=["none"], columns=logs.columns)
    return pd.DataFrame(versions).T


def _amalgamation(proportions: pd.DataFrame, weights: pd.Series, offset: float) -> pd.Series:
    """Log ratio of the summed enriched and the summed depleted taxa."""
    enriched = proportions[weights > 0].sum()
    depleted = proportions[weights < 0].sum()
    return np.log(enriched + offset) - np.log(depleted + offset)


def _balance(proportions: pd.DataFrame, weights: pd.Series, offset: float) -> pd.Series:
    """Balance of the enriched against the depleted taxa, weights disregarded.

    The zeros of the taxa become 0.65 of the offset. Multiplicative replacement scales the other
    parts by one factor a sample; it must be applied, for the replaced parts are not scaled.
    """
    zero = proportions <= 0
    floor = 0.65 * offset
    logs = np.log(proportions.mul(1 - floor * zero.sum(), axis="columns").mask(zero, floor))
    enriched, depleted = logs[weights > 0], logs[weights < 0]
    size = np.sqrt(len(enriched) * len(depleted) / (len(enriched) + len(depleted)))
    return size * (enriched.mean() - depleted.mean())


def _contributions(
    taxa: pd.DataFrame,
    profile: str,
    order: list[str],
    scored: list[str],
    counts: pd.DataFrame,
    totals: pd.Series,
    weights: pd.Series,
    detectable: pd.Series,
    offset: float,
    centre: pd.Series | None,
) -> pd.DataFrame:
    """Long table of what each concept adds to each sample's score."""
    shown = taxa[taxa[f"weight_{profile}"] != 0]
    names = shown["concept"].to_list()
    weight = weights[names].to_numpy()
    count = counts.loc[names, order].to_numpy().T
    with np.errstate(divide="ignore", invalid="ignore"):
        proportion = count / totals[order].to_numpy()[:, np.newaxis]
    logs = np.log(proportion + offset)
    is_scored = np.isin(order, scored)[:, np.newaxis]
    kept = is_scored & detectable[names].to_numpy()
    raw = np.where(kept, weight * logs, np.nan)
    if centre is None:
        centred = np.full_like(raw, np.nan)
    else:
        centred = np.where(kept, weight * (logs - centre.reindex(names).to_numpy()), np.nan)
    n_samples = len(order)
    sign = np.where(shown[f"weight_{profile}"] > 0, "up", "down")
    long = pd.DataFrame(
        {
            "sample": np.repeat(np.array(order, dtype=object), len(names)),
            "concept": np.tile(np.array(names, dtype=object), n_samples),
            "name": np.tile(shown["name"].to_numpy(dtype=object), n_samples),
            "direction": np.tile(sign.astype(object), n_samples),
            "weight": np.tile(weight, n_samples),
            "detectable": np.tile(
                np.where(detectable[names], "yes", "no").astype(object), n_samples
            ),
            "count": count.ravel(),
            "proportion": np.where(np.isfinite(proportion), proportion, np.nan).ravel(),
            "contribution": centred.ravel(),
            "contribution_raw": raw.ravel(),
        }
    )
    # A taxon that the database cannot name was not looked for: its count is missing and not 0.
    long.loc[long["detectable"] == "no", ["count", "proportion"]] = np.nan
    long["count"] = long["count"].astype("Int64")
    return long[list(CONTRIBUTION_COLUMNS)]


def _reasons(
    order: list[str],
    counts: pd.DataFrame,
    totals: pd.Series,
    refused: Mapping[str, str],
    weights: pd.Series,
    share: float,
    n_detectable: int,
    limits: Limits,
) -> dict[str, str]:
    """Why each sample has no score; empty where it may have one."""
    common = ""
    if share < limits.min_weight_detectable:
        common = (
            f"{100 * share:.1f} % of the signature's weight is in the database, "
            f"{100 * limits.min_weight_detectable:.0f} % are needed"
        )
    elif n_detectable < limits.min_taxa:
        common = f"{n_detectable} signature taxa in the database, {limits.min_taxa} are needed"
    elif not _has_both_sides(weights):
        common = "the database holds only one side of the signature"
    in_tables = counts.notna().any()
    reasons = {}
    for sample in order:
        total = totals[sample]
        if sample in refused:
            reasons[sample] = refused[sample]
        elif not in_tables[sample]:
            reasons[sample] = "not in the feature tables"
        elif np.isnan(total):
            reasons[sample] = "number of classified fragments not known"
        elif total < limits.min_classified:
            reasons[sample] = (
                f"{total:.0f} classified fragments, {limits.min_classified} are needed"
            )
        else:
            reasons[sample] = common
    return reasons


def _warning(total: float, n_reference: int, is_wide: bool, limits: Limits) -> str:
    warnings = [_WIDE] if is_wide else []
    if total < limits.warn_classified:
        warnings.append(f"fewer than {limits.warn_classified} classified fragments: wide interval")
    if n_reference < limits.min_reference:
        warnings.append(
            f"{n_reference} scored reference samples, {limits.min_reference} are needed: "
            "no percentile"
        )
    return "; ".join(warnings)


def _detectable_weights(by_name: pd.DataFrame, profile: str, detectable: pd.Series) -> pd.Series:
    """Weights of a profile over the taxa the database holds, each side rescaled to one."""
    weights = by_name[f"weight_{profile}"].where(detectable, 0.0).astype(float)
    for side in (weights > 0, weights < 0):
        if side.any():
            weights[side] /= weights[side].abs().sum()
    return weights


def _has_both_sides(weights: pd.Series) -> bool:
    return bool((weights > 0).any() and (weights < 0).any())


def _leave_one_out_location(values: Floats) -> tuple[Floats, Floats]:
    """Median, and median absolute deviation from it, of the others of each value."""
    centre = _leave_one_out_median(values)
    spread = np.full(values.size, np.nan)
    # Leaving one value out gives at most three different medians.
    for median in np.unique(centre[~np.isnan(centre)]):
        same = centre == median
        spread[same] = _leave_one_out_median(np.abs(values - median))[same]
    return centre, spread


def _leave_one_out_median(values: Floats) -> Floats:
    """Median of the others of each value, in one sort.

    >>> _leave_one_out_median(np.array([4.0, 1.0, 2.0, 9.0]))
    array([2., 4., 4., 2.])
    """
    n = values.size
    if n < 2:
        return np.full(n, np.nan)
    order = np.argsort(values, kind="stable")
    rank = np.empty(n, dtype=int)
    rank[order] = np.arange(n)
    ordered = values[order]

    def of_others(place: int) -> Floats:
        taken: Floats = ordered[np.where(rank <= place, place + 1, place)]
        return taken

    # Places of the middle among n - 1 values.
    lower, upper = of_others((n - 2) // 2), of_others((n - 1) // 2)
    return (lower + upper) / 2


def _nearest_ancestor(lineage: str, lineages: list[str]) -> int | None:
    """Position of the longest other lineage that this one lies within."""
    inside = [
        (len(other), row)
        for row, other in enumerate(lineages)
        if other and lineage.startswith(f"{other};")
    ]
    return max(inside)[1] if inside else None


def _finite(values: Floats) -> Floats:
    finite: Floats = np.where(np.isfinite(values), values, np.nan)
    return finite


def _samples_of(table: pd.DataFrame, rank: str) -> list[str]:
    for column in ("name", "lineage"):
        if column not in table.columns:
            raise ValueError(f"the {rank} table has no column {column!r}")
    samples = [str(column) for column in table.columns if column not in ("name", "lineage")]
    if len(set(samples)) < len(samples):
        twice = next(sample for sample in samples if samples.count(sample) > 1)
        raise ValueError(f"the {rank} table has two columns for sample {twice!r}; remove one")
    return samples


def _check_same_samples(genus: list[str], species: list[str]) -> None:
    different = sorted(set(genus) ^ set(species))
    if different:
        held, lacking = ("genus", "species") if different[0] in genus else ("species", "genus")
        raise ValueError(
            f"sample {different[0]!r} is in the {held} table and not in the {lacking} table; build "
            "both from the same profiles"
        )


def _check_counts(table: pd.DataFrame, samples: list[str], rank: str) -> None:
    if not table.index.is_unique:
        taxon = table.index[table.index.duplicated()][0]
        raise ValueError(f"taxon {taxon} has two rows in the {rank} table; remove one")
    values = table[samples].to_numpy()
    if values.dtype.kind not in "iuf":
        text = next(sample for sample in samples if table[sample].dtype.kind not in "iuf")
        raise ValueError(f"{rank} table, sample {text!r}: counts must be numbers")
    bad = ~(values >= 0)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"{rank} table, sample {samples[column]!r}, taxon {table.index[row]}: the count is "
            f"{values[row, column]}; counts are zero or more"
        )


def _check_settings(profile: str, offset: float, draws: int, resamples: int) -> None:
    if profile not in PROFILES:
        raise ValueError(f"profile {profile!r} is unknown; choose one of {', '.join(PROFILES)}")
    if not 0 < offset < 1:
        raise ValueError(f"offset is {offset}; it is a relative abundance between 0 and 1")
    if draws < 100 or resamples < 100:
        raise ValueError(
            f"{draws} draws and {resamples} resamples; a 95 % interval needs at least 100 of each"
        )


def _check_names(
    n_classified: pd.Series, reference: Sequence[str], refused: Mapping[str, str]
) -> list[str]:
    if not n_classified.index.is_unique:
        twice = n_classified.index[n_classified.index.duplicated()][0]
        raise ValueError(f"sample {twice!r} has two numbers of classified fragments; give one")
    order = [str(sample) for sample in n_classified.index]
    unknown = [sample for sample in [*reference, *refused] if sample not in set(order)]
    if unknown:
        raise ValueError(
            f"sample {unknown[0]!r} is named as reference or as refused, but is not among the "
            "samples; correct the name"
        )
    return order


def _check_known(
    genus: pd.DataFrame, species: pd.DataFrame, taxa: pd.DataFrame, known: Collection[int]
) -> None:
    for taxon in members(taxa).index:
        if (taxon in genus.index or taxon in species.index) and taxon not in known:
            raise ValueError(
                f"taxon {taxon} has counts, but is not among the taxa of the database; give the "
                "taxa of the database that the counts were made with"
            )


def _check_totals(counts: pd.DataFrame, totals: pd.Series) -> None:
    excess = counts.sum() - totals * (1 + _MAX_EXCESS)
    if (excess > 0).any():
        sample = str(excess.idxmax())
        raise ValueError(
            f"sample {sample!r}: its signature taxa hold {counts[sample].sum():.0f} fragments, but "
            f"only {totals[sample]:.0f} are classified as bacterial or archaeal; tables and ledger "
            "must come from the same run"
        )
