"""Which taxa come from reagents and handling, by negative controls and DNA concentrations.

The scores are those of decontam (Davis 2018, doi:10.1186/s40168-018-0605-2), checked against R's
own tests; `docs/contaminants.md` has the formulas, and what the scores cannot tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from moodbiome.diversity import features
from moodbiome.faults import NotRun
from moodbiome.tables import SPECIAL, TEXT_COLUMNS

CONTAMINANT = -2
"""Row key of the fragments of removed contaminants, beside those of `moodbiome.tables.SPECIAL`."""

METHODS = ("prevalence", "frequency", "combined", "minimum")
BATCH_COMBINE = ("minimum", "product", "fisher")
ACTIONS = ("flag", "remove")

COLUMNS = [
    "taxon_id",
    "name",
    "prevalence_controls",
    "prevalence_samples",
    "n_controls",
    "n_samples",
    "p_prevalence",
    "p_frequency",
    "score",
    "is_contaminant",
    "mean_abundance_controls",
    "mean_abundance_samples",
    "abundance_ratio",
    "mean_fragments_controls",
    "mean_fragments_samples",
    "reason",
    "caution",
]

# Davis 2018, section "Experimental design": with fewer, contaminants that are not in every control
# are missed.
_ENOUGH_CONTROLS = 5
# The chi-square approximation holds from here on (Cochran's rule, and R's warning).
_MIN_EXPECTED = 5
_MAX_NAMED = 5
_FROM_SAMPLES = (
    "no larger share of the controls than of the samples: it may have come from the samples (index "
    "hopping, splash)"
)


@dataclass(frozen=True)
class Controls:
    """What a cohort has to tell contaminants by, and what is to be done with them.

    Attributes
    ----------
    is_control : Series of bool
        Samples and negative controls; positive controls and excluded samples are absent.
    concentration : Series or None
        DNA concentration by sample, column ``dna_ng_ul`` of the sheet.
    batch : Series or None
        Column ``batch`` of the sheet.
    method, threshold, action
        As in the settings.
    """

    is_control: pd.Series
    concentration: pd.Series | None
    batch: pd.Series | None
    method: str
    threshold: float
    action: str

    @classmethod
    def of_metadata(
        cls, metadata: Mapping[str, Mapping[str, str]], settings: Mapping[str, Any]
    ) -> "Controls":
        """Gather them from the sheet's metadata and the settings' section `controls`."""
        table = pd.DataFrame(list(metadata.values()), index=list(metadata))
        kind = table["sample_type"]
        table = table[(table["exclude"] == "") & kind.isin(["sample", "negative_control"])]

        def column(name: str) -> pd.Series | None:
            known = name in table and (table[name] != "").any()
            return table[name].replace("", None) if known else None

        return cls(
            is_control=table["sample_type"] == "negative_control",
            concentration=column("dna_ng_ul"),
            batch=column("batch"),
            **settings,
        )


def find_contaminants(counts: pd.DataFrame, controls: Controls) -> tuple[pd.DataFrame | None, str]:
    """Score the taxa of a feature table, or say why they cannot be scored.

    Parameters
    ----------
    counts : DataFrame
        As `moodbiome.tables.build_counts` returns it.
    controls : Controls

    Returns
    -------
    (DataFrame or None, str)
        As `contaminant_scores`, and an empty reason; or None and the reason.
    """
    samples = [column for column in counts.columns if column in controls.is_control.index]
    try:
        found = contaminant_scores(
            features(counts)[samples],
            controls.is_control,
            controls.concentration,
            controls.batch,
            method=controls.method,
            threshold=controls.threshold,
            names=counts["name"],
        )
    except NotRun as error:
        return None, f"contaminants not looked for: {error.reason}"
    return found, ""


def screen(
    tables: Mapping[str, pd.DataFrame], controls: Controls
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame, pd.DataFrame, list[str]]:
    """Look for contaminants at every rank, and do with them what the settings say.

    Parameters
    ----------
    tables : mapping of rank to DataFrame
        Counts, as `moodbiome.tables.build_counts` returns them.
    controls : Controls

    Returns
    -------
    tables : dict of rank to DataFrame
        Without the contaminants, if `controls.action` is ``remove``.
    scores, burdens : DataFrame
        Of all ranks; where nothing could be looked for they have the header alone.
    said : list of str
        A line a rank for the log.
    """
    scores, burdens, said, kept = [], [], [], {}
    for rank, counts in tables.items():
        found, why_not = find_contaminants(counts, controls)
        n_samples = counts.shape[1] - len(TEXT_COLUMNS)
        said.append(f"{rank}: {len(counts) - 2} taxa in {n_samples} samples. {why_not}")
        kept[rank] = counts
        if found is not None:
            scores.append(found.assign(rank=rank))
            burdens.append(burden(counts, found).assign(rank=rank, action=controls.action))
            kept[rank] = apply(counts, found, controls.action)
    score = pd.concat(scores) if scores else pd.DataFrame(columns=[*COLUMNS, "rank"])
    empty = pd.DataFrame(columns=["sample", "contaminant_fragments", "rank"])
    return kept, score, pd.concat(burdens) if burdens else empty, said


def prevalence_scores(
    in_controls: np.ndarray, n_controls: int, in_samples: np.ndarray, n_samples: int
) -> np.ndarray:
    """One-sided score that taxa are found in a larger part of the controls than of the samples.

    Chi-square test with Yates' correction where all four expected counts are 5 or more, else
    Fisher's exact test as mid-p, P(X > x) + P(X = x) / 2.

    Parameters
    ----------
    in_controls, in_samples : integer arrays of shape (n_taxa,)
        Number of controls and of samples in which each taxon is found.
    n_controls, n_samples : int

    Returns
    -------
    array of shape (n_taxa,)
        Near 0 for a contaminant, near 1 for a taxon of the samples; 0.5 for one found everywhere,
        NaN for one found fewer than twice, and for all without a control or without a sample.

    Examples
    --------
    In both of 2 controls and in 1 of 4 samples: 3 of the 15 pairs hold it twice, so 3/15/2.

    >>> prevalence_scores(np.array([2]), 2, np.array([1]), 4).round(3)
    array([0.1])
    """
    found, total = in_controls + in_samples, n_controls + n_samples
    if not (n_controls and n_samples):
        return np.full(np.shape(found), np.nan)
    absent = total - found
    smallest = min(n_controls, n_samples) * np.minimum(found, absent)
    exact = stats.hypergeom.sf(in_controls, total, found, n_controls)
    exact = exact + stats.hypergeom.pmf(in_controls, total, found, n_controls) / 2

    difference = in_controls * n_samples - in_samples * n_controls
    distance = np.abs(difference) / total
    corrected = distance - np.minimum(0.5, distance)
    variance = n_controls * n_samples * (found * absent / total**3)
    z = np.sign(difference) * corrected / np.sqrt(np.where(absent * found > 0, variance, 1))
    score = np.where(smallest < _MIN_EXPECTED * total, exact, stats.norm.sf(z))
    # Found everywhere is 0.5 exactly: off by rounding it would fall below a threshold of 0.5.
    return np.where(found < 2, np.nan, np.where(absent == 0, 0.5, score))


def frequency_scores(shares: np.ndarray, concentration: np.ndarray) -> np.ndarray:
    """Score that shares of taxa fall as one over the DNA concentration of the sample.

    A contaminant adds the same amount of DNA to every sample, so that its log share falls by 1 as
    the log concentration c rises by 1; that of any other taxon does not depend on it. Over the n
    samples that hold the taxon, SS1 and SS0 are the residual sums of squares of log f = a - log c
    and of log f = a; the score is the distribution function of F(n - 1, n - 1) at SS1 / SS0.

    Parameters
    ----------
    shares : array of shape (n_taxa, n_samples)
        Proportions within a sample; 0 where the taxon is absent.
    concentration : array of shape (n_samples,)
        Above 0, in any unit.

    Returns
    -------
    array of shape (n_taxa,)
        Near 0 for a contaminant, near 1 for a taxon of the samples; 0.5 where the samples that
        hold the taxon have one concentration, NaN where fewer than 2 samples hold it.

    Examples
    --------
    Half the share at double the concentration, and the same share at both:

    >>> frequency_scores(np.array([[0.2, 0.1], [0.2, 0.2]]), np.array([1.0, 2.0])).round(3)
    array([0., 1.])
    """
    present = shares > 0
    n = present.sum(axis=1)
    log_share = np.log(np.where(present, shares, 1.0))
    log_concentration = np.log(concentration)

    def sum_of_squares(values: np.ndarray) -> np.ndarray:
        mean = np.where(present, values, 0).sum(axis=1) / np.maximum(n, 1)
        return np.where(present, (values - mean[:, None]) ** 2, 0).sum(axis=1)

    inverse, constant = sum_of_squares(log_share + log_concentration), sum_of_squares(log_share)
    ratio = np.divide(inverse, constant, out=np.full(n.shape, np.inf), where=constant > 0)
    score = stats.f.cdf(ratio, np.maximum(n - 1, 1), np.maximum(n - 1, 1))
    # Both sums are then equal but for rounding, or both 0: the samples say nothing.
    highest = np.where(present, log_concentration, -np.inf).max(axis=1, initial=-np.inf)
    lowest = np.where(present, log_concentration, np.inf).min(axis=1, initial=np.inf)
    return np.where(n < 2, np.nan, np.where(highest == lowest, 0.5, score))


def combine_batches(scores: np.ndarray, how: str) -> np.ndarray:
    """One score a taxon from those of its batches.

    Parameters
    ----------
    scores : array of shape (n_batches, n_taxa)
        NaN where a batch does not say anything about a taxon.
    how : {'minimum', 'product', 'fisher'}
        With 'fisher' a batch that says nothing counts as 0.5.

    Returns
    -------
    array of shape (n_taxa,)
        NaN where no batch says anything.

    Examples
    --------
    >>> combine_batches(np.array([[0.2, np.nan], [0.4, 0.3]]), "product").round(2)
    array([0.08, 0.3 ])
    """
    if how == "minimum":
        score = np.where(np.isnan(scores), np.inf, scores).min(axis=0)
    elif how == "product":
        score = np.nanprod(scores, axis=0)
    elif how == "fisher":
        score = _fisher(np.where(np.isnan(scores), 0.5, scores))
    else:
        raise ValueError(f"batch_combine {how!r} is none of {', '.join(BATCH_COMBINE)}")
    return np.where(np.isnan(scores).all(axis=0), np.nan, score)


def _fisher(scores: np.ndarray) -> np.ndarray:
    """Fisher's method over the first axis; NaN where one is missing."""
    with np.errstate(divide="ignore"):
        statistic = -2 * np.log(scores).sum(axis=0)
    return stats.chi2.sf(statistic, 2 * len(scores))


def contaminant_scores(
    counts: pd.DataFrame,
    is_control: pd.Series,
    concentration: pd.Series | None = None,
    batch: pd.Series | None = None,
    method: str = "prevalence",
    threshold: float = 0.1,
    batch_combine: str = "minimum",
    names: Mapping[Any, str] | pd.Series | None = None,
) -> pd.DataFrame:
    """How much each taxon looks like a contaminant, and which are flagged.

    Parameters
    ----------
    counts : DataFrame of shape (n_taxa, n_samples)
        Fragments, indexed by taxon_id, of samples and negative controls; no special rows (see
        `diversity.features`), no positive controls. A control without any fragment is a control in
        which nothing was found; a sample without any says nothing and is left out.
    is_control : Series of bool
        By sample; entries beyond the columns of `counts` are not used.
    concentration : Series, optional
        DNA concentration by sample (metadata column dna_ng_ul), above 0; for all methods but
        'prevalence'. Not used for controls.
    batch : Series, optional
        Batch by sample: each is scored on its own, and the scores are combined.
    method : {'prevalence', 'frequency', 'combined', 'minimum'}
        'combined' is Fisher's method over the first two, 'minimum' the smaller of them; both
        assess only taxa that both can.
    threshold : float
        A score below it flags the taxon.
    batch_combine : {'minimum', 'product', 'fisher'}
        See `combine_batches`.
    names : mapping or Series, optional
        Name by taxon_id.

    Returns
    -------
    DataFrame with `COLUMNS`, one row a taxon, in the order of `counts`
        Prevalences are parts of `n_controls` and `n_samples`; abundances are mean shares of the
        fragments in `counts`. `abundance_ratio` is controls / samples, empty for a taxon found in
        no sample. `reason` says why a taxon has no score. `caution` says what speaks against
        trusting the scores of all, or this flag.

    Raises
    ------
    NotRun
        Without the controls, samples, concentrations or batches that the method needs; names the
        samples.
    ValueError
        For an unknown method, a threshold outside 0 to 1, special rows, a sample that
        `is_control` does not know, or counts that are not whole numbers of 0 or more.

    Examples
    --------
    >>> samples = ["blank1", "blank2", "S1", "S2", "S3", "S4"]
    >>> counts = pd.DataFrame([[9, 8, 0, 1, 0, 0], [0, 1, 90, 80, 95, 70]], [329, 816], samples)
    >>> is_control = pd.Series([True, True, False, False, False, False], samples)
    >>> found = contaminant_scores(counts, is_control, threshold=0.2)
    >>> found[["taxon_id", "score", "is_contaminant"]].round(2).values.tolist()
    [[329, 0.1, True], [816, 0.83, False]]
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r} is none of {', '.join(METHODS)}")
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}; it must lie between 0 and 1")
    counts, control = _known(counts, is_control)
    batches = _batches(batch, counts.columns)
    values = counts.to_numpy()
    # An empty control has no shares; nothing was found in it, so all are 0.
    shares = values / np.maximum(values.sum(axis=0), 1)
    n_controls, n_samples = int(control.sum()), int((~control).sum())

    nothing = np.full((len(batches), len(counts)), np.nan)
    prevalence, frequency = nothing.copy(), nothing.copy()
    cautions = []
    if method != "frequency":
        _require_controls(control, batches)
        for i, members in enumerate(batches.values()):
            blank, real = values[:, members & control] > 0, values[:, members & ~control] > 0
            prevalence[i] = prevalence_scores(
                blank.sum(axis=1), blank.shape[1], real.sum(axis=1), real.shape[1]
            )
        cautions += _few_controls(control, batches, threshold)
    if method != "prevalence":
        known = _concentrations(concentration, counts.columns, control)
        constant = []
        for i, (name, members) in enumerate(batches.items()):
            real = members & ~control
            if len(set(known[real])) > 1:
                frequency[i] = frequency_scores(shares[:, real], known[real])
            else:
                constant.append(name)
        cautions += _constant(constant, known[~control], batches)

    p_prevalence = combine_batches(prevalence, batch_combine)
    p_frequency = combine_batches(frequency, batch_combine)
    score = {
        "prevalence": p_prevalence,
        "frequency": p_frequency,
        "combined": _fisher(np.array([p_prevalence, p_frequency])),
        "minimum": np.minimum(p_prevalence, p_frequency),
    }[method]
    is_contaminant = np.nan_to_num(score, nan=1.0) < threshold

    table = pd.DataFrame(
        {
            "taxon_id": counts.index,
            "name": "" if names is None else [names.get(taxon, "") for taxon in counts.index],
            "n_controls": n_controls,
            "n_samples": n_samples,
            "p_prevalence": p_prevalence,
            "p_frequency": p_frequency,
            "score": score,
            "is_contaminant": is_contaminant,
            "reason": _reasons(p_prevalence, p_frequency, method, len(batches)),
        }
    )
    for where, members in (("controls", control), ("samples", ~control)):
        table[f"prevalence_{where}"] = _mean(values[:, members] > 0)
        table[f"mean_abundance_{where}"] = _mean(shares[:, members])
        table[f"mean_fragments_{where}"] = _mean(values[:, members])
    in_samples = table["mean_abundance_samples"]
    table["abundance_ratio"] = table["mean_abundance_controls"] / in_samples.where(in_samples > 0)
    from_samples = table["is_contaminant"] & (table["abundance_ratio"] <= 1)
    everywhere = "; ".join(cautions)
    both = "; ".join([_FROM_SAMPLES, *cautions])
    table["caution"] = np.where(from_samples, both, everywhere)
    return table[COLUMNS]


def _known(counts: pd.DataFrame, is_control: pd.Series) -> tuple[pd.DataFrame, np.ndarray]:
    """Checked counts without empty samples, and which of the columns are controls."""
    special = [row for row in (*SPECIAL, CONTAMINANT) if row in counts.index]
    if special:
        raise ValueError(
            f"the counts hold the special rows {', '.join(map(str, special))}, which are no taxa; "
            "take them off with diversity.features"
        )
    for labels, what in ((counts.index, "taxon"), (counts.columns, "sample")):
        if labels.has_duplicates:
            raise ValueError(
                f"{what} {labels[labels.duplicated()][0]} occurs twice in the counts; keep one"
            )
    values = counts.to_numpy(float)
    wrong = ~((values >= 0) & np.isfinite(values) & (values == np.floor(values)))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f"taxon {counts.index[row]}, sample {counts.columns[column]!r}: count "
            f"{counts.iloc[row, column]} is not a whole number of 0 or more"
        )
    control = is_control.reindex(counts.columns)
    unknown = control.index[~control.isin([True, False])]
    if len(unknown):
        raise ValueError(
            f"sample {unknown[0]!r} is in the counts, but whether it is a negative control is not "
            "known; say so, or leave it out"
        )
    flags = control.to_numpy(bool)
    kept = flags | (values.sum(axis=0) > 0)
    # Whole numbers stored as floats become integers, so that sums are exact.
    return counts.loc[:, kept].astype(np.int64), flags[kept]


def _batches(batch: pd.Series | None, samples: pd.Index) -> dict[str, np.ndarray]:
    """Which columns belong to each batch, by its name in alphabetical order."""
    if batch is None:
        return {"": np.ones(len(samples), dtype=bool)}
    of_sample = batch.reindex(samples).replace("", np.nan)
    if of_sample.isna().any():
        missing = of_sample.index[of_sample.isna()]
        raise NotRun(
            f"no batch is given for {_some(missing)}; fill the column, or take it out of the "
            "settings so that all samples are scored together"
        )
    text = of_sample.astype(str).to_numpy()
    return {name: text == name for name in sorted(set(text))}


def _require_controls(control: np.ndarray, batches: Mapping[str, np.ndarray]) -> None:
    n_controls = int(control.sum())
    if not n_controls:
        raise NotRun(
            "no negative control has counts; sequence some (sample_type negative_control), or use "
            "the method 'frequency' with DNA concentrations"
        )
    if control.all():
        raise NotRun(f"{n_controls} negative controls, but no sample has counts to compare them to")
    if not any((control & of).any() and (~control & of).any() for of in batches.values()):
        raise NotRun(
            f"no batch has both a negative control and a sample ({n_controls} controls in "
            f"{len(batches)} batches); correct the batches, or score all samples together"
        )


def _few_controls(
    control: np.ndarray, batches: Mapping[str, np.ndarray], threshold: float
) -> list[str]:
    """Sentences on batches in which a contaminant can hide for want of controls."""
    sentences = []
    for name, members in batches.items():
        n = int((control & members).sum())
        place = f"batch {name!r}: " if name else ""
        if not n:
            sentences.append(f"{place}no negative control, not scored by prevalence")
        elif n < _ENOUGH_CONTROLS:
            # Of N samples K hold the taxon, so that n controls all do by chance (K / N)^n; half
            # of that is the mid-p score.
            most = min((2 * threshold) ** (1 / n), 1)
            sentences.append(
                f"{place}{n} negative control{'s' if n > 1 else ''}, {_ENOUGH_CONTROLS} or more "
                f"are advised: a contaminant in over about {most:.0%} of samples goes unseen, and "
                "a taxon carried over from samples can be flagged"
            )
    return sentences


def _concentrations(
    concentration: pd.Series | None, samples: pd.Index, control: np.ndarray
) -> np.ndarray:
    """Concentration of each column; NaN allowed in controls only."""
    real = samples[~control]
    if len(real) < 2:
        raise NotRun(
            f"{len(real)} samples have counts; the frequency method needs two or more with "
            "different DNA concentrations"
        )
    if concentration is None:
        raise NotRun(
            "no DNA concentrations are given; add the column dna_ng_ul to the sample sheet, or use "
            "the method 'prevalence'"
        )
    given = concentration.reindex(samples)
    number = pd.to_numeric(given, errors="coerce")
    blank = given.isna() | (given.astype(str).str.strip() == "")
    missing = [sample for sample in real if blank[sample]]
    bad = [sample for sample in real if not blank[sample] and not 0 < number[sample] < np.inf]
    problems = []
    if missing:
        problems.append(f"the DNA concentration of {_some(missing)} is missing")
    if bad:
        problems.append(
            f"the DNA concentration of {_some(bad, given)} must be a number above 0 (write the "
            "limit of detection if it is below it)"
        )
    if problems:
        raise NotRun(
            f"{'; '.join(problems)}: correct the column dna_ng_ul, or use the method 'prevalence'"
        )
    return number.to_numpy(float)


def _constant(names: list[str], known: np.ndarray, batches: Mapping[str, np.ndarray]) -> list[str]:
    """Sentences on batches whose samples have one concentration; refused if all do."""
    if len(names) == len(batches):
        within = " within every batch" if len(batches) > 1 else f" ({known[0]:g})"
        raise NotRun(
            f"the DNA concentration is the same in all {len(known)} samples{within}, so that it "
            "cannot tell contaminants; use the method 'prevalence'"
        )
    return [
        f"batch {name!r}: DNA concentrations do not differ, not scored by frequency"
        for name in names
    ]


def _reasons(
    p_prevalence: np.ndarray, p_frequency: np.ndarray, method: str, n_batches: int
) -> np.ndarray:
    """Why each taxon has no score; empty if it has one."""
    place = "" if n_batches == 1 else " of any batch"
    rare = np.where(
        np.isnan(p_prevalence) & (method != "frequency"),
        f"prevalence: found in fewer than 2 samples and controls{place}",
        "",
    )
    few = np.where(
        np.isnan(p_frequency) & (method != "prevalence"),
        f"frequency: found in fewer than 2 samples{place}",
        "",
    )
    return np.array([f"{a}; {b}" if a and b else a or b for a, b in zip(rare, few, strict=True)])


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over samples; NaN if there are none."""
    if values.shape[1]:
        return values.mean(axis=1)
    return np.full(len(values), np.nan)


def _some(samples: Any, values: pd.Series | None = None) -> str:
    """The first samples by name, with their values, and how many more there are."""
    shown = [
        repr(sample) if values is None else f"{sample!r} ({values[sample]})"
        for sample in list(samples)[:_MAX_NAMED]
    ]
    more = len(samples) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def burden(counts: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """What the flagged taxa hold in each sample: what `apply` would move, or has.

    Parameters
    ----------
    counts : DataFrame
        As `tables.build_counts` returns it, before `apply`.
    scores : DataFrame
        As `contaminant_scores` returns it.

    Returns
    -------
    DataFrame
        One row a sample: sample, n_contaminants (flagged taxa found in it), contaminant_fragments,
        assigned_fragments (those of all taxa of the rank), contaminant_share; the share is empty
        where no fragment is assigned.

    Raises
    ------
    ValueError
        As `apply`.
    """
    flagged = _flagged(counts, scores)
    values = _values(counts)
    assigned = values.drop(index=[row for row in SPECIAL if row in values.index]).sum()
    moved = values.loc[flagged].sum()
    return pd.DataFrame(
        {
            "sample": values.columns,
            "n_contaminants": (values.loc[flagged] > 0).sum().to_numpy(),
            "contaminant_fragments": moved.to_numpy(),
            "assigned_fragments": assigned.to_numpy(),
            "contaminant_share": (moved / assigned.where(assigned > 0)).to_numpy(),
        }
    )


def apply(counts: pd.DataFrame, scores: pd.DataFrame, action: str = "flag") -> pd.DataFrame:
    """Leave flagged taxa where they are, or move their fragments to the row of contaminants.

    Parameters
    ----------
    counts : DataFrame
        As `tables.build_counts` returns it.
    scores : DataFrame
        As `contaminant_scores` returns it, at the same rank.
    action : {'flag', 'remove'}
        'flag' changes nothing.

    Returns
    -------
    DataFrame
        With 'remove' the rows of flagged taxa are gone, and row -2 (contaminant), after the rows
        0 and -1, holds their fragments in every sample, also if there are none: each column has
        the sum it had.

    Raises
    ------
    ValueError
        For an unknown action, a flagged taxon that the counts lack, or counts from which
        contaminants were removed before.

    Examples
    --------
    >>> counts = pd.DataFrame({"S1": [5, 3, 2, 90]}, index=[0, -1, 329, 816])
    >>> scores = pd.DataFrame({"taxon_id": [329, 816], "is_contaminant": [True, False]})
    >>> apply(counts, scores, "remove")["S1"].to_dict()
    {0: 5, -1: 3, -2: 2, 816: 90}
    """
    if action not in ACTIONS:
        raise ValueError(f"action {action!r} is none of {', '.join(ACTIONS)}")
    flagged = _flagged(counts, scores)
    if action == "flag":
        return counts
    moved = _values(counts).loc[flagged].sum()
    row = {**dict.fromkeys(TEXT_COLUMNS, ""), "name": "contaminant", **moved}
    rest = counts.drop(index=flagged)
    new = pd.DataFrame([row], index=[CONTAMINANT], columns=counts.columns).astype(counts.dtypes)
    n_special = sum(label in SPECIAL for label in rest.index)
    result = pd.concat([rest.iloc[:n_special], new, rest.iloc[n_special:]])
    result.index.name = counts.index.name
    return result


def _values(counts: pd.DataFrame) -> pd.DataFrame:
    return counts.drop(columns=[column for column in TEXT_COLUMNS if column in counts.columns])


def _flagged(counts: pd.DataFrame, scores: pd.DataFrame) -> list[Any]:
    flagged = scores.loc[scores["is_contaminant"].astype(bool), "taxon_id"].tolist()
    if CONTAMINANT in counts.index:
        raise ValueError(
            f"the counts have a row {CONTAMINANT} already: contaminants were removed before; start "
            "from the counts as they were"
        )
    absent = [taxon for taxon in flagged if taxon not in counts.index]
    if absent:
        raise ValueError(
            f"taxon {absent[0]} is flagged, but the counts have no such row; use the scores of the "
            "same assay and rank"
        )
    return flagged
