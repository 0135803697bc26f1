"""Community types: which of a few known kinds of gut community a sample resembles.

Three views, from the least to the most assumed: continuous axes; the posterior of fixed reference
types; a mixture fitted to the cohort itself. Samples lie on gradients between the types (Koren
et al. 2013, 10.1371/journal.pcbi.1002863), so that a type is a summary and no kind of person.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.special import logsumexp

from moodbiome.association import build_design, least_squares
from moodbiome.cohort import require_one_group, subjects_of
from moodbiome.dirichlet import Mixture, adjusted_rand, fit_mixture, log_density
from moodbiome.faults import NotRun
from moodbiome.formula import formula_of
from moodbiome.signature import concept_counts, concept_effective, sampling_interval
from moodbiome.uncertainty import generator

UNCLASSIFIED = "unclassified"
NOMENCLATURES = ("ncbi", "gtdb", "silva", "greengenes")

# Likelihoods are of shares times this: any depth from 10,000 gives the same, and no membership is
# surer than a thousand fragments allow, for types of other laboratories and databases.
REFERENCE_FRAGMENTS = 1000
# Cohort counts are brought down to this, so that depth does not make types.
COHORT_FRAGMENTS = 10_000

AXIS_COLUMNS = (
    *("bacteroides_prevotella", "bacteroides_prevotella_low", "bacteroides_prevotella_high"),
    *("bacillota", "bacillota_low", "bacillota_high"),
)
MODEL_COLUMNS = (
    *("assay", "k", "laplace", "bic", "is_chosen", "is_lowest_bic", "stability", "stability_low"),
    *("leading_genera", "n_samples", "n_genera", "reason"),
)
TEST_COLUMNS = (
    *("assay", "typing", "test", "term", "effect", "low", "high", "effect_unit", "statistic"),
    *("df", "p", "n", "n_of", "reason"),
)

_COLUMNS = {
    "parts": ("part", "name", "concepts", "axis", "core"),
    "types": ("type", "name", "subtype_of", "n_samples", "certainty", "source", "note"),
    "phyla": ("phylum", *NOMENCLATURES, "certainty", "note"),
    "reference": ("part",),
}
_MIN_PER_TYPE = 3
_TYPICAL_DRAWS = 2000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Limits:
    """When a sample is not compared with the reference types, or resembles none.

    Attributes
    ----------
    min_parts
        Smallest share of the reference's parts that the database holds; the core ones it must.
    min_share
        Smallest share of a sample's fragments of genera that is in those parts.
    min_typicality
        Smallest share of a type's own communities that are farther from its mean than the sample.
    """

    min_parts: float = 2 / 3
    min_share: float = 0.3
    min_typicality: float = 0.01


def read_types_table(path: Path, kind: str) -> pd.DataFrame:
    """Read one of the tables of config/community_types.

    Parameters
    ----------
    path
        A TSV file with a header.
    kind
        ``parts``, ``types``, ``phyla`` or ``reference``.

    Returns
    -------
    DataFrame
        Text, an empty cell is the empty string; a ``reference`` is indexed by part, with one column
        of positive numbers a type.

    Raises
    ------
    ValueError
        If a column is missing, a key stands twice or a parameter is not a positive number.
    """
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=3)
    missing = [column for column in _COLUMNS[kind] if column not in table.columns]
    if missing:
        raise ValueError(f"{path.name}: column {missing[0]!r} is missing")
    key = table.columns[0]
    if table[key].duplicated().any():
        twice = table.loc[table[key].duplicated(), key].iloc[0]
        raise ValueError(f"{path.name}: {key} {twice!r} stands in more than one row; keep one")
    if kind != "reference":
        return table
    alpha = table.set_index("part").apply(pd.to_numeric, errors="coerce")
    bad = ~(np.isfinite(alpha) & (alpha > 0))
    if bad.any(axis=None):
        row, column = np.argwhere(bad.to_numpy())[0]
        raise ValueError(
            f"{path.name}, row {row + 2}, column {alpha.columns[column]!r}: a parameter is a number"
            " above 0"
        )
    return alpha


def part_members(parts: pd.DataFrame, *concepts: pd.DataFrame) -> pd.DataFrame:
    """The ids and labels of each part: those of all its concepts together.

    Parameters
    ----------
    parts : DataFrame
        From `read_types_table`; its ``concepts`` are separated by ``;``.
    *concepts : DataFrame
        Tables with ``concept``, ``ncbi_ids``, ``gtdb``, ``silva``, ``greengenes``.

    Returns
    -------
    DataFrame
        One row a part, in the form that `moodbiome.evidence.resolve_members` takes: ``concept``
        (the part), ``name``, ``ncbi_ids`` and the labels.

    Raises
    ------
    ValueError
        If a concept is unknown.
    """
    known = pd.concat(concepts).set_index("concept")
    columns = {"ncbi_ids": ",", "gtdb": ";", "silva": ";", "greengenes": ";"}
    rows = []
    for part in parts.itertuples():
        names = str(part.concepts).split(";")
        unknown = [name for name in names if name not in known.index]
        if unknown:
            raise ValueError(
                f"part {part.part!r} names the concept {unknown[0]!r}, which is neither in the "
                "concepts nor in the crosswalk; correct it, or add it there"
            )
        cells: dict[str, object] = {"concept": part.part, "name": part.name}
        for column, separator in columns.items():
            found = [text for cell in known.loc[names, column] for text in cell.split(separator)]
            cells[column] = separator.join(dict.fromkeys(filter(None, found)))
        rows.append(cells)
    return pd.DataFrame(rows)


def detectable_parts(members: pd.DataFrame, known: Collection[int]) -> list[str]:
    """Parts that a database holds any member of.

    Parameters
    ----------
    members : DataFrame
        Parts with ``ncbi_ids`` in the database's own numbers (`evidence.resolve_members`).
    known
        Every taxon id of the database.
    """
    taxa = frozenset(known)
    return [
        str(part)
        for part, ids in zip(members["concept"], members["ncbi_ids"], strict=True)
        if any(int(taxon) in taxa for taxon in str(ids).split(",") if taxon)
    ]


def of_phylum(counts: pd.DataFrame, names: Collection[str]) -> pd.Series:
    """Whether each taxon's lineage is of a phylum with one of these names.

    Examples
    --------
    >>> table = pd.DataFrame({"lineage": ["d__Bacteria;p__Bacillota_A;g__Dorea", "d__Bacteria"]})
    >>> of_phylum(table, ["Bacillota", "Bacillota_A"]).tolist()
    [True, False]
    """
    phylum = counts["lineage"].str.extract(r"(?:^|;)p__(?:p__)?([^;]+)")[0]
    return phylum.isin(list(names))


def axes(
    genus: pd.DataFrame,
    species: pd.DataFrame,
    members: pd.DataFrame,
    parts: pd.DataFrame,
    phylum_names: Collection[str],
    n_classified: pd.Series,
    known: Collection[int],
    *,
    offset: float,
    draws: int,
    seed: int,
    effective: pd.DataFrame,
) -> pd.DataFrame:
    """The two continuous axes of each sample, each with a 95 % interval.

    Parameters
    ----------
    genus, species : DataFrame
        Counts by rank of bacteria and archaea, as for `signature.concept_counts`.
    members : DataFrame
        From `part_members`, with ids of the database.
    parts : DataFrame
        Its ``axis`` says which parts are ``numerator`` and ``denominator`` of the first axis.
    phylum_names
        Names of Bacillota in the database's nomenclature.
    n_classified : Series
        Fragments classified as bacterial or archaeal, by sample.
    known
        Every taxon id of the database.
    offset, draws, seed
        As for `signature.score_samples`: intervals are drawn in the same way.
    effective : DataFrame
        Effective fragments (`uncertainty.effective_counts`) of the taxa of both tables.

    Returns
    -------
    DataFrame
        Indexed by the samples of the tables, columns `AXIS_COLUMNS`.
        ``bacteroides_prevotella`` is ln(p + offset) of the numerator's sum less that of the
        denominator's, p being shares of ``n_classified``; empty if the database lacks either.
        ``bacillota`` is a share (0 to 1) of the fragments assigned to genera.
    """
    held = detectable_parts(members, known)
    sides = {
        side: members[members["concept"].isin(parts.loc[parts["axis"] == side, "part"])]
        for side in ("numerator", "denominator")
    }
    chosen = pd.concat(sides.values())
    counts = concept_counts(genus, species, chosen)
    samples = list(counts.columns)
    has_both = all(side["concept"].isin(held).any() for side in sides.values())
    well_known = concept_effective(genus, species, chosen, effective)
    genera = genus.loc[genus.index > 0, samples]
    is_phylum = of_phylum(genus.loc[genera.index], phylum_names).to_numpy()
    known_as = effective.reindex(index=genera.index, columns=samples)
    table = pd.DataFrame(np.nan, index=samples, columns=list(AXIS_COLUMNS))
    for sample in samples:
        total = float(n_classified[sample])
        assigned = float(genera[sample].sum())
        draw: dict[str, Any] = {
            "draws": draws,
            "seed": seed,
            "offset": offset,
            "sample": sample,
        }
        if has_both and total > 0:
            sums, effectives = (
                np.array([of[sample].reindex(part["concept"]).sum() for part in sides.values()])
                for of in (counts, well_known)
            )
            value = float(np.log(sums[0] / total + offset) - np.log(sums[1] / total + offset))
            low, high = sampling_interval(sums, total, [1, -1], effective=effectives, **draw)
            table.loc[sample, list(AXIS_COLUMNS[:3])] = value, min(low, value), max(high, value)
        if assigned > 0:
            own = genera.loc[is_phylum, sample].to_numpy(float)
            with np.errstate(divide="ignore", invalid="ignore"):
                noise = np.nansum(own**2 / known_as.loc[is_phylum, sample].to_numpy(float))
            share = own.sum() / assigned
            sure = [own.sum() ** 2 / noise if noise > 0 else 0.0]
            bounds = sampling_interval([own.sum()], assigned, [1], effective=sure, **draw)
            low, high = (float(np.exp(bound)) - offset for bound in bounds)
            table.loc[sample, list(AXIS_COLUMNS[3:])] = share, min(low, share), max(high, share)
    return table


def reference_types(
    counts: pd.DataFrame,
    n_assigned: pd.Series,
    reference: pd.DataFrame,
    subtype_of: Mapping[str, str],
    *,
    min_membership: float,
    seed: int,
    limits: Limits | None = None,
) -> pd.DataFrame:
    """Posterior membership of each sample in the reference types.

    A type is a Dirichlet-multinomial over the parts. Taxa outside the parts, and parts that the
    database lacks, are left out: a subset of a Dirichlet's parts is a Dirichlet of their
    parameters. Types are equally likely beforehand; a sub-type halves its type's chance.

    Parameters
    ----------
    counts : DataFrame of shape (n_parts, n_samples)
        Fragments of the parts that the database holds.
    n_assigned : Series
        Fragments assigned to genera, by sample.
    reference : DataFrame of shape (n_parts, n_types)
        Dirichlet parameters.
    subtype_of
        Type -> the type that it is a sub-type of; empty for a type of its own.
    min_membership
        Smallest posterior at which a type is named.
    seed
        The run's seed, for the draws behind the typicality.
    limits
        When a sample resembles none of them.

    Returns
    -------
    DataFrame
        Indexed by sample: ``reference_type``, ``reference_subtype`` (empty if there is none as
        probable), ``membership_<type>`` for each type (a type's own, its sub-types not counted
        in), ``typicality`` (share of communities drawn from the most probable type that are
        farther from its mean than the sample, by Bray-Curtis), ``share_in_parts`` and ``note``,
        which says why a sample is unclassified.
    """
    limits = limits or Limits()
    held = [part for part in reference.index if part in counts.index]
    alpha = reference.loc[held].to_numpy().T
    types = [str(name) for name in reference.columns]
    main = np.array([subtype_of.get(name, "") or name for name in types])
    prior = np.array([1 / (main == name).sum() for name in main])
    values = counts.loc[held].to_numpy(float).T
    total = values.sum(axis=1)
    found = pd.DataFrame(index=counts.columns)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = total / n_assigned[counts.columns].to_numpy(float)
        scaled = REFERENCE_FRAGMENTS * values / total[:, np.newaxis]
    empty = ~(total > 0)
    scaled[empty] = 0
    density = log_density(scaled, alpha)
    joint = density + np.log(prior)
    membership = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    best = joint.argmax(axis=1)
    typicality = np.zeros(len(values))
    for position, name in enumerate(types):
        mean = alpha[position] / alpha[position].sum()
        stream = generator(seed, f"community type {name}")
        drawn = np.sort(_bray_curtis(stream.dirichlet(alpha[position], size=_TYPICAL_DRAWS), mean))
        own = best == position
        distance = _bray_curtis(scaled[own] / REFERENCE_FRAGMENTS, mean)
        farther = _TYPICAL_DRAWS - np.searchsorted(drawn, distance, side="left")
        typicality[own] = (farther + 1) / (_TYPICAL_DRAWS + 1)

    names = list(dict.fromkeys(main))
    by_main = np.stack([membership[:, main == name].sum(axis=1) for name in names], axis=1)
    called = np.array(names, dtype=object)[by_main.argmax(axis=1)]
    subtype = np.array([name if subtype_of.get(name) else "" for name in types], dtype=object)[
        membership.argmax(axis=1)
    ]
    subtype[membership.max(axis=1) < min_membership] = ""
    unlike = typicality < limits.min_typicality
    thin = share < limits.min_share
    unsure = by_main.max(axis=1) < min_membership
    note = np.select(
        [empty, thin, unlike, unsure],
        [
            "no fragment of the types' genera",
            f"less than {limits.min_share:.0%} of its fragments are of the types' genera",
            "unlike every reference type",
            f"no reference type reaches a membership of {min_membership:g}",
        ],
        "",
    ).astype(object)
    none = note != ""
    found["reference_type"] = np.where(none, UNCLASSIFIED, called)
    found["reference_subtype"] = np.where(none, "", subtype)
    for position, name in enumerate(types):
        found[f"membership_{name}"] = np.where(empty, np.nan, membership[:, position])
    found["typicality"] = np.where(empty, np.nan, typicality)
    found["share_in_parts"] = np.where(empty, 0.0, share)
    found["note"] = note
    return found


def why_not_assessable(
    parts: pd.DataFrame, detectable: Collection[str], limits: Limits | None = None
) -> str:
    """Why samples of a database cannot be compared with the reference types; empty if they can.

    Parameters
    ----------
    parts : DataFrame
        From `read_types_table`.
    detectable
        From `detectable_parts`.
    """
    limits = limits or Limits()
    held = parts["part"].isin(list(detectable))
    lost = parts.loc[~held & (parts["core"] == "yes"), "part"].tolist()
    if lost:
        return f"not assessable: the database holds no {', '.join(lost)}"
    if held.mean() < limits.min_parts:
        return (
            f"not assessable: the database holds {held.sum()} of the {len(parts)} parts of the"
            f" reference types, {int(np.ceil(limits.min_parts * len(parts)))} are needed"
        )
    return ""


def sample_rows(
    order: list[str],
    refused: Mapping[str, str],
    types: list[str],
    axis: pd.DataFrame,
    reference: pd.DataFrame,
    cohort: pd.DataFrame,
    n_classified: pd.Series,
    notes: Mapping[str, str],
) -> pd.DataFrame:
    """One row a sample: its axes, its reference type and its cohort type, or why it has none.

    Parameters
    ----------
    order
        Every sample.
    refused
        Sample -> reason, for samples that have no type: failed, excluded, controls.
    types
        Names of the reference types.
    axis, reference, cohort : DataFrame
        From `axes`, `reference_types` and `cohort_types`, of the other samples; empty where the
        view was not possible.
    n_classified : Series
        Fragments classified as bacterial or archaeal.
    notes
        What is the matter for all samples, by sample or for none: joined into the reason.

    Returns
    -------
    DataFrame
        Indexed by sample. ``status`` is ``ok`` if the sample has an axis or was compared with the
        reference, else ``abstained``.
    """
    usable = [sample for sample in order if sample not in refused]
    text = ["reference_type", "reference_subtype", "note"]
    numbers = [*(f"membership_{name}" for name in types), "typicality", "share_in_parts"]
    table = pd.DataFrame(index=pd.Index(order, name="sample"))
    table[list(AXIS_COLUMNS)] = axis.reindex(usable).reindex(columns=list(AXIS_COLUMNS))
    of_reference = reference.reindex(index=usable, columns=[*text, *numbers]).reindex(order)
    table[[*text[:2], *numbers]] = of_reference[[*text[:2], *numbers]]
    table[["cohort_type", "cohort_membership"]] = cohort.reindex(
        index=usable, columns=["cohort_type", "cohort_membership"]
    ).reindex(order)
    table["n_classified"] = n_classified.reindex(order).round().astype("Int64")
    is_seen = table[list(AXIS_COLUMNS)].notna().any(axis=1) | table["reference_type"].notna()
    table["status"] = np.where(is_seen, "ok", "abstained")
    own = of_reference["note"].fillna("")
    table["reason"] = [
        refused[sample]
        if sample in refused
        else "; ".join(filter(None, [notes.get(sample, ""), own[sample]]))
        for sample in order
    ]
    blank = ["reference_type", "reference_subtype", "cohort_type"]
    table[blank] = table[blank].astype(object).fillna("")
    return table


def cohort_table(
    genera: pd.DataFrame,
    merged: Mapping[str, Collection[int]],
    names: Mapping[int, str],
    *,
    min_prevalence: float = 0.1,
    min_mean_share: float = 0.001,
    most: int = 100,
) -> pd.DataFrame:
    """Counts that a cohort's own types are fitted to: genera merged, rare ones pooled, depth equal.

    Parameters
    ----------
    genera : DataFrame of shape (n_genera, n_samples)
        Fragments by taxon id.
    merged
        Name -> taxon ids of genera that are counted as one, whatever the database calls them.
    names
        Names of the genera.
    min_prevalence, min_mean_share, most
        Genera in fewer samples, of a smaller mean share, or beyond the most abundant ones are
        pooled into ``other``.

    Returns
    -------
    DataFrame of shape (n_samples, n_rows)
        Whole fragments, at most `COHORT_FRAGMENTS` a sample up to rounding; rows and columns in
        alphabetical order, so that the order of the input cannot matter.
    """
    owner = {taxon: name for name, ids in merged.items() for taxon in ids}
    labels = [owner.get(taxon, str(names.get(taxon, taxon))) for taxon in genera.index]
    counts = genera.groupby(labels).sum()
    shares = counts / counts.sum()
    mean, prevalence = shares.mean(axis=1), (counts > 0).mean(axis=1)
    common = mean[(prevalence >= min_prevalence) & (mean >= min_mean_share)]
    kept = set(common.sort_values(ascending=False, kind="stable").index[:most])
    pooled = counts.groupby([name if name in kept else "other" for name in counts.index]).sum()
    scale = (COHORT_FRAGMENTS / pooled.sum()).clip(upper=1)
    scaled = (pooled * scale).round().T
    return scaled.loc[:, scaled.sum() > 0].sort_index(axis="index").sort_index(axis="columns")


def cohort_types(
    counts: pd.DataFrame, *, max_types: int, bootstraps: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Types of a cohort's own: a Dirichlet-multinomial mixture, its number of types by evidence.

    Parameters
    ----------
    counts : DataFrame of shape (n_samples, n_genera)
        From `cohort_table`.
    max_types
        Largest number of types tried.
    bootstraps
        Resamples of the cohort that the chosen number of types is fitted to again.
    seed
        The run's seed.

    Returns
    -------
    membership : DataFrame
        Indexed by sample: ``cohort_type`` (1 is the most frequent) and ``cohort_membership``.
    models : DataFrame
        One row a number of types, `MODEL_COLUMNS` without assay. ``stability`` is the median
        adjusted Rand index between the types of the cohort and those of its resamples, and
        ``stability_low`` its 5th percentile; of the chosen number alone, from two types.
    """
    values = counts.to_numpy(float)
    fits = [fit_mixture(values, k, seed=seed) for k in range(1, max_types + 1)]
    laplace = np.array([fit.laplace for fit in fits])
    bic = np.array([fit.bic for fit in fits])
    chosen = int(laplace.argmin())
    labels = fits[chosen].membership.argmax(axis=1)
    models = pd.DataFrame(
        {
            "k": range(1, max_types + 1),
            "laplace": laplace,
            "bic": bic,
            "is_chosen": _yes(np.arange(max_types) == chosen),
            "is_lowest_bic": _yes(np.arange(max_types) == bic.argmin()),
            "stability": np.nan,
            "stability_low": np.nan,
            "leading_genera": "",
            "n_samples": len(counts),
            "n_genera": counts.shape[1],
            "reason": "",
        }
    )
    models.loc[chosen, "leading_genera"] = _leading(fits[chosen], counts.columns)
    if chosen and bootstraps:
        agreement = _stability(values, chosen + 1, labels, bootstraps, seed)
        models.loc[chosen, ["stability", "stability_low"]] = np.quantile(agreement, [0.5, 0.05])
    membership = pd.DataFrame(
        {
            "cohort_type": (labels + 1).astype(str),
            "cohort_membership": fits[chosen].membership.max(axis=1),
        },
        index=counts.index,
    )
    return membership, models


def contrast(
    score: pd.Series,
    types: pd.Series,
    metadata: pd.DataFrame,
    group: str,
    reference: str,
    subject: str = "subject",
) -> pd.DataFrame:
    """The signature score between community types, and the groups' difference adjusted for them.

    Subjects are compared, not samples: where there are several of a subject, its score is their
    mean and its type that of most of them, or of the first of those with as many of several types.
    Samples without a score or a type, and then types with fewer than 3 subjects, are left out of
    all three tests, so that the adjusted and the plain difference are of the same subjects.

    Parameters
    ----------
    score, types : Series
        By sample; missing where there is none.
    metadata : DataFrame
        Indexed by sample.
    group, reference
        Column of the groups, and its reference level; an empty column: no groups are compared.
    subject : str
        Column of `metadata`; without it, each sample is a subject of its own.

    Returns
    -------
    DataFrame
        `TEST_COLUMNS` without assay and typing. ``kruskal_wallis`` compares the types, its effect
        is epsilon squared; ``difference`` is of least squares, score ~ group;
        ``adjusted_difference`` of score ~ group + type. ``n_of`` says whether ``n`` are subjects,
        or samples without the column.
    """
    n_of = "subjects" if subject in metadata.columns else "samples"
    typed = types.where(types != UNCLASSIFIED)
    by_sample = pd.DataFrame({"score": score, "community_type": typed}, metadata.index).dropna()
    known = metadata.loc[by_sample.index]
    person = subjects_of(known, subject)
    both = _by_subject(by_sample, person)
    size = both.groupby("community_type")["score"].transform("size")
    both = both[size >= _MIN_PER_TYPE]
    levels = both["community_type"].nunique()
    plan = {"kruskal_wallis": "", "difference": "", "adjusted_difference": ""}
    if levels < 2:
        reason = (
            f"{levels} community type with {_MIN_PER_TYPE} or more scored {n_of}; two are needed"
        )
        return _rows([{"test": test, "n": len(both), "reason": reason} for test in plan], n_of)
    parts = [part.to_numpy() for _, part in both.groupby("community_type")["score"]]
    rows: list[dict[str, object]] = []
    if both["score"].nunique() < 2:
        rows.append({"test": "kruskal_wallis", "n": len(both), "reason": "all scores are equal"})
    else:
        statistic, p = stats.kruskal(*parts)
        rows.append(
            {
                "test": "kruskal_wallis",
                "term": "community_type",
                "effect": statistic / (len(both) - 1),
                "effect_unit": "epsilon squared",
                "statistic": statistic,
                "df": levels - 1,
                "p": p,
                "n": len(both),
            }
        )
    table = known.loc[both.index].assign(community_type=both["community_type"])
    for test, formula in (
        ("difference", formula_of(group) if group else ""),
        ("adjusted_difference", f"{formula_of(group)} + community_type" if group else ""),
    ):
        if not group:
            rows.append({"test": test, "n": len(both), "reason": "no group is set"})
            continue
        try:
            own = known[group].dropna()
            require_one_group(own, person[own.index])
            rows += _difference(test, both["score"], table, formula, group, reference)
        except NotRun as refusal:
            rows.append({"test": test, "n": len(both), "reason": refusal.reason})
    return _rows(rows, n_of)


def _by_subject(table: pd.DataFrame, person: pd.Series) -> pd.DataFrame:
    """Mean score and commonest type of each subject, under the name of its first sample."""
    size = table.groupby([person, table["community_type"]])["score"].transform("size")
    by_size = size.sort_values(ascending=False, kind="stable").index
    common = table.loc[by_size, "community_type"].groupby(person).first()
    means = table["score"].groupby(person).mean()
    first = person[~person.duplicated()]
    return pd.DataFrame({"score": first.map(means), "community_type": first.map(common)})


def _difference(
    test: str,
    score: pd.Series,
    table: pd.DataFrame,
    formula: str,
    group: str,
    reference: str,
) -> list[dict[str, object]]:
    design = build_design(table, formula, {group: reference})
    matrix = design.matrix.to_numpy(float)
    response = score[design.matrix.index].to_numpy()[:, np.newaxis]
    coefficients, errors, freedom = least_squares(response, matrix)
    rows: list[dict[str, object]] = []
    own = next(columns for term, columns in design.terms.items() if "community_type" not in term)
    for column in own:
        at = list(design.matrix.columns).index(column)
        effect, error, df = coefficients[at, 0], errors[at, 0], freedom[at]
        has_error = error > 0
        half = stats.t.ppf(0.975, df) * error
        rows.append(
            {
                "test": test,
                "term": column,
                "effect": effect,
                "low": effect - half if has_error else np.nan,
                "high": effect + half if has_error else np.nan,
                "effect_unit": "natural log",
                "statistic": effect / error if has_error else np.nan,
                "df": df,
                "p": 2 * stats.t.sf(abs(effect / error), df) if has_error else np.nan,
                "n": len(design.matrix),
            }
        )
    return rows


def _rows(rows: list[dict[str, object]], n_of: str) -> pd.DataFrame:
    columns = [column for column in TEST_COLUMNS if column not in ("assay", "typing")]
    table = pd.DataFrame(rows).reindex(columns=columns).assign(n_of=n_of)
    return table.assign(reason=table["reason"].astype(object).fillna(""))


def _bray_curtis(shares: Floats, mean: Floats) -> Floats:
    """Bray-Curtis dissimilarity of each row of shares from one composition."""
    distance: Floats = np.abs(shares - mean).sum(axis=1) / 2
    return distance


def _stability(values: Floats, k: int, labels: Floats, bootstraps: int, seed: int) -> Floats:
    """Adjusted Rand index of the cohort's types with those of each resample of it."""
    random = generator(seed, "resamples of the cohort's types")
    found = []
    for _ in range(bootstraps):
        drawn = values[random.integers(len(values), size=len(values))]
        fit = fit_mixture(drawn, k, seed=seed, starts=1)
        with np.errstate(divide="ignore"):
            joint = log_density(values, fit.alpha) + np.log(fit.weights)
        found.append(adjusted_rand(labels, joint.argmax(axis=1)))
    return np.array(found)


def _leading(fit: Mixture, genera: pd.Index, most: int = 3) -> str:
    """What each type is made of: ``1: Bacteroides 31 %, Dorea 8 %; 2: ...``."""
    shares = fit.alpha / fit.alpha.sum(axis=1, keepdims=True)
    texts = []
    for number, row in enumerate(shares, start=1):
        order = [at for at in np.argsort(-row, kind="stable") if genera[at] != "other"][:most]
        listed = ", ".join(
            f"{re.sub('[;,:]', ' ', str(genera[at]))} {100 * row[at]:.0f} %" for at in order
        )
        texts.append(f"{number}: {listed}")
    return "; ".join(texts)


def _yes(flags: NDArray[np.bool_]) -> NDArray[np.object_]:
    return np.where(flags, "yes", "no").astype(object)
