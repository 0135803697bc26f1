"""The psychobiotic panel: which of its species and strains the data show, and which they could not.

Absence is told from what could not be seen: every row that is not a detection has the limit above
which the organism would have been found, or the reason why that cannot be said.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betaincinv, lambertw
from scipy.stats import poisson

from moodbiome.evidence import find_members

COLUMNS = (
    *("sample", "assay", "organism", "name", "level", "call", "fragments", "proportion", "low"),
    *("high", "detection_limit", "coverage", "ani", "ani_low", "ani_high", "unique_kmers_seen"),
    *("unique_kmers_expected", "unevenness", "unevenness_high", "unique_unevenness"),
    *("unique_unevenness_high", "reason"),
)
DETECTED = {"genus": "detected genus", "species": "detected species"}
CONSISTENT = "consistent with strain"
NOT_DETECTED = "not detected"
NOT_IN_DATABASE = "not in this database"
NOT_ASSESSABLE = "not assessable"
TOO_SHALLOW = "not assessable at this depth"

# Jeffreys' prior of one part of a composition.
_PRIOR = 0.5
_TAILS = (0.025, 0.975)
_Z = 1.959964

# An error at the one base in which a relative differs gives the strain's k-mer: with base errors
# of 0.5 %, one in three to that base, at 0.17 % of the depth. A k-mer counts from ten times that.
_DEEP, _ERROR_SHARE = 20, 0.02

Floats = NDArray[np.float64]


class Limits(NamedTuple):
    """What a call of a strain needs.

    Attributes
    ----------
    species_min_ani, strain_min_ani : float
        Containment ANI to the strain's genome, %, for the species and for the strain.
    strain_min_ani_low : float
        Lower bound of the ANI's 95 % interval, %.
    species_min_coverage, strain_min_coverage : float
        Mean depth of the genome.
    strain_min_unique_share : float
        K-mers of its own that were seen, over those expected at that depth, 0 to 1.
    strain_min_unique_kmers : int
        K-mers of its own, as sketched, that a genome must have against its decoys.
    strain_max_unevenness, strain_max_unevenness_high : float
        Squared coefficient of variation of the depth of neighbouring k-mers, and the upper bound of
        its 95 % interval.
    """

    species_min_ani: float
    species_min_coverage: float
    strain_min_ani: float
    strain_min_ani_low: float
    strain_min_coverage: float
    strain_min_unique_share: float
    strain_min_unique_kmers: int
    strain_max_unevenness: float
    strain_max_unevenness_high: float


def panel_genera(panel: pd.DataFrame, concepts: pd.DataFrame) -> dict[str, list[str]]:
    """Genera that the species of the panel are of, with the names of their species.

    Parameters
    ----------
    panel : DataFrame
        Rows of the crosswalk, with ``concept``, ``name`` and ``within``.
    concepts : DataFrame
        With ``concept``; the genera are among them.

    Raises
    ------
    ValueError
        If a species is within nothing that is a concept.

    Examples
    --------
    >>> panel = pd.DataFrame({"concept": ["longum", "infantis"], "name": ["B. longum", "infantis"],
    ...                       "within": ["bifido", "longum"]})
    >>> panel_genera(panel, pd.DataFrame({"concept": ["bifido"]}))
    {'bifido': ['B. longum', 'infantis']}
    """
    within = dict(zip(panel["concept"], panel["within"], strict=True))
    known = set(concepts["concept"])
    genera: dict[str, list[str]] = {}
    for concept, name in zip(panel["concept"], panel["name"], strict=True):
        genus = within[concept]
        while genus in within:
            genus = within[genus]
        if genus not in known:
            raise ValueError(
                f"crosswalk: {concept!r} is within {genus!r}, which is no concept; correct it"
            )
        genera.setdefault(genus, []).append(name)
    return genera


def detect_taxa(
    panel: pd.DataFrame,
    database: pd.DataFrame,
    nomenclature: str,
    intervals: pd.DataFrame,
    refused: Mapping[str, str],
    samples: Sequence[str],
    *,
    rank: str,
    min_fragments: int,
    contaminants: Collection[int] = (),
    removed: bool = False,
    pile_ups: Collection[tuple[str, int]] = (),
    imported: bool = False,
) -> pd.DataFrame:
    """Whether each sample has each organism of the panel, or how much of it would have been seen.

    Parameters
    ----------
    panel : DataFrame
        ``concept``, ``name`` and the columns that `moodbiome.evidence.find_members` asks for.
    database : DataFrame
        Taxa of the database, indexed by taxon id, as for `find_members`.
    nomenclature
        Of the database.
    intervals : DataFrame
        Intervals of the rank (see `moodbiome.uncertainty.sample_intervals`).
    refused : mapping of sample to reason
        Samples that are not judged.
    samples : sequence of str
        All samples of the assay, in order.
    rank : {'genus', 'species'}
        Of `intervals`; an organism below it cannot be told.
    min_fragments
        Fewest fragments of a detection: as `intervals` were made with, or their limit is another.
    contaminants : collection of int
        Taxon ids that are flagged as contaminants.
    removed
        Whether the contaminants were taken out of the counts.
    pile_ups : collection of (sample, taxon id)
        Taxa whose fragments in the sample hold few distinct minimisers.
    imported
        Whether `database` is the taxa of an imported table: what it lacks may have been searched
        for, or not.

    Returns
    -------
    DataFrame
        One row a sample and organism, with the columns of `COLUMNS` but ``assay``. The proportion
        is of the fragments of all taxa of the rank. Of an organism that was not found ``high`` and
        ``detection_limit`` are the limit of one taxon times the number of its taxa.
    """
    found = find_members(panel, database, nomenclature).dropna(subset="taxon_id")
    found = found.drop_duplicates(["concept", "taxon_id"])
    rank_of = found["taxon_id"].map(database["rank"])
    below = set(found.loc[rank_of != rank, "concept"])
    member = found.loc[rank_of == rank, ["concept", "taxon_id"]]
    cells = _abundances(member, intervals)
    ids = member.groupby("concept")["taxon_id"].agg(set).to_dict()
    by_cell: dict[tuple[str, str], Any] = {
        (str(cell.sample), str(cell.concept)): cell for cell in cells.itertuples()
    }
    rows = []
    for sample in samples:
        for concept, name in zip(panel["concept"], panel["name"], strict=True):
            row: dict[str, Any] = {"sample": sample, "organism": concept, "name": name}
            row["level"] = rank
            cell = by_cell.get((sample, concept))
            if sample in refused:
                row |= {"call": NOT_ASSESSABLE, "reason": refused[sample]}
            elif concept not in ids:
                row |= _without_taxon(concept in below, rank, imported)
            elif cell is None:
                row |= {"call": NOT_ASSESSABLE, "reason": "not in the feature tables"}
            else:
                row |= {key: getattr(cell, key) for key in _MEASURED}
                doubt = _doubt(cell, ids[concept], contaminants, removed, pile_ups)
                if doubt:
                    row |= {"call": NOT_ASSESSABLE, "reason": doubt}
                elif cell.fragments >= max(min_fragments, 1):
                    row["call"] = DETECTED[rank]
                else:
                    few = f"{cell.fragments} fragments, {max(min_fragments, 1)} are needed"
                    row |= {"call": NOT_DETECTED, "reason": few if cell.fragments else ""}
            rows.append(row)
    return _table(rows)


_MEASURED = ("fragments", "proportion", "low", "high", "detection_limit")


def _without_taxon(is_below: bool, rank: str, imported: bool) -> dict[str, str]:
    if imported:
        what = f"no taxon for it at {rank} rank" if is_below else "no taxon for it"
        reason = f"the imported table has {what}; whether it could have been found is not known"
        return {"call": NOT_ASSESSABLE, "reason": reason}
    if not is_below:
        return {"call": NOT_IN_DATABASE, "reason": "the database has no taxon for it"}
    return {
        "call": NOT_ASSESSABLE,
        "reason": f"below {rank} in this database: only its genome among the strains can tell it",
    }


def _doubt(
    cell: Any,
    taxa: Collection[int],
    contaminants: Collection[int],
    removed: bool,
    pile_ups: Collection[tuple[str, int]],
) -> str:
    """Why the fragments of an organism are no evidence of it; empty if nothing speaks against."""
    if any(taxon in contaminants for taxon in taxa) and (cell.fragments or removed):
        return "flagged as a contaminant: see the table of contaminants"
    if any((cell.sample, taxon) in pile_ups for taxon in taxa):
        return "its fragments hold few distinct minimisers: a short stretch, or a relative"
    return ""


def _abundances(member: pd.DataFrame, intervals: pd.DataFrame) -> pd.DataFrame:
    """Fragments and proportion with interval of each sample and concept, over the concept's taxa.

    One taxon keeps the interval that its table has. Several are added up: the variance of each is
    that of its effective fragments, and the sum's interval is that of a beta distribution of as
    many effective fragments, the margin of the Dirichlet distribution.
    """
    unseen = intervals.loc[intervals["taxon_id"].isna(), ["sample", "high"]]
    every = unseen.rename(columns={"high": "limit"}).merge(member, how="cross")
    cells = every.merge(intervals, on=["sample", "taxon_id"], how="left")
    cells["n_found"] = (cells["fragments"] > 0).astype(int)
    cells["variance"] = cells["fragments"] ** 2 / cells["effective_fragments"]
    cells = cells.fillna({"fragments": 0, "proportion": 0.0})
    total = cells.groupby(["sample", "concept"], sort=False, as_index=False).agg(
        fragments=("fragments", "sum"),
        proportion=("proportion", "sum"),
        low=("low", "sum"),
        high=("high", "sum"),
        detection_limit=("limit", "sum"),
        n_found=("n_found", "sum"),
        variance=("variance", "sum"),
    )
    several, none = (total["n_found"] > 1).to_numpy(), (total["n_found"] == 0).to_numpy()
    if several.any():
        share = total.loc[several, "proportion"].to_numpy()
        known = (total["fragments"] ** 2 / total["variance"])[several].to_numpy()
        rest = known * (1 - share) / share
        for column, tail in zip(("low", "high"), _TAILS, strict=True):
            total.loc[several, column] = betaincinv(known + _PRIOR, rest + _PRIOR, tail)
    total["detection_limit"] = total["detection_limit"].clip(upper=1.0)
    total["high"] = total["high"].mask(none, total["detection_limit"])
    return total.astype({"fragments": int})


class Fit(NamedTuple):
    """What the counts of a genome's k-mers say.

    Attributes
    ----------
    depth, depth_low, depth_high : float
        Mean count of a k-mer that is in the sample, with its 95 % interval.
    least : int
        Count from which a k-mer is taken as seen.
    share, share_low, share_high : float
        Part of the genome's k-mers that is in the sample, 0 to 1, with its 95 % interval.
    """

    depth: float
    depth_low: float
    depth_high: float
    least: int
    share: float
    share_low: float
    share_high: float


def fit_kmers(histogram: Mapping[int, int], spread: float = 1.0) -> Fit:
    """Tell the depth of a genome from the part of it that is there, by how often its k-mers are.

    A k-mer is in the sample with probability `share`, and its count is then Poisson with mean
    `depth`: the zeros are of both kinds, and the counts above zero, a zero-truncated Poisson
    distribution, tell how many are of the second. Counts far above the median are of repeats, or
    of stretches that other species have too, and say nothing about the depth.

    Parameters
    ----------
    histogram : mapping of int to int
        Number of k-mers by count, 0 included.
    spread
        Variance of the counts over that of independent k-mers: one read holds several.

    Returns
    -------
    Fit
        All zero, with a share interval of 0 to 1, if nothing was seen.

    Examples
    --------
    Half of the genome, at a depth of 2 (13.5 % of the k-mers there are missed):

    >>> fit = fit_kmers({0: 1135, 1: 271, 2: 271, 3: 180, 4: 90, 5: 36, 6: 12, 7: 5})
    >>> round(fit.depth, 1), round(fit.share, 2)
    (2.0, 0.5)
    """
    count = np.array(sorted(histogram), dtype=float)
    number = np.array([histogram[int(key)] for key in count], dtype=float)
    total, is_seen = number.sum(), count > 0
    seen = number[is_seen].sum()
    if not seen:
        return Fit(0.0, 0.0, 0.0, 1, 0.0, 0.0, 1.0)
    cumulative = np.cumsum(number[is_seen])
    median = count[is_seen][np.searchsorted(cumulative, seen / 2)]
    ordinary = is_seen & (count <= max(poisson.ppf(0.9999, max(median, 1.0)), 2 * median))
    mean = (count * number)[ordinary].sum() / number[ordinary].sum()
    depth = _depth_of_mean(mean)
    seen_share = -np.expm1(-depth)
    if seen > total * seen_share:
        # As many as if all were there: the zeros tell the depth better than the repeated.
        repeats = number[is_seen & ~ordinary].sum()
        depth = (count * number)[ordinary].sum() / (total - repeats)
        depth_sd = np.sqrt(depth / (total - repeats) * spread)
        share_sd = np.sqrt(spread / seen)
    else:
        # Fisher information of one zero-truncated count.
        information = (1 - depth * np.exp(-depth) / seen_share) / (depth * seen_share)
        depth_sd = np.sqrt(spread / (number[ordinary].sum() * information))
        missed = np.exp(-depth) / seen_share
        # Half a k-mer is added to those that are missed, so that none missed is not certainty.
        missing = (total - seen + _PRIOR) / total
        share_sd = np.sqrt(spread * missing / seen + (missed * depth_sd) ** 2)
    least = 1 if depth < _DEEP else max(2, int(np.ceil(_ERROR_SHARE * depth)))
    kept = number[count >= least].sum()
    share = min(kept / (total * poisson.sf(least - 1, depth)), 1.0)
    low, high = share * np.exp(-_Z * share_sd), min(share * np.exp(_Z * share_sd), 1.0)
    depth_low = max(depth - _Z * depth_sd, 0.0)
    return Fit(
        float(depth),
        float(depth_low),
        float(depth + _Z * depth_sd),
        least,
        float(share),
        float(low),
        float(high),
    )


def _depth_of_mean(mean: float) -> float:
    """Mean of a Poisson distribution whose counts above zero have this mean.

    >>> round(_depth_of_mean(2 / (1 - np.exp(-2))), 6), _depth_of_mean(1.0)
    (2.0, 0.0)
    """
    if mean <= 1:
        return 0.0
    return max(float(mean + lambertw(-mean * np.exp(-mean)).real), 0.0)


def detect_strains(
    strains: pd.DataFrame,
    searched: Mapping[str, Mapping[str, Any]],
    refused: Mapping[str, str],
    samples: Sequence[str],
    limits: Limits,
) -> pd.DataFrame:
    """Call each strain in each sample: never more than that the reads are consistent with it.

    Parameters
    ----------
    strains : DataFrame
        ``strain``, and ``genome``: empty where none is given.
    searched : mapping of sample to dict
        As given by `moodbiome.strains.search_strains`; samples of imported tables have no reads.
    refused : mapping of sample to reason
        Samples that are not judged.
    samples : sequence of str
        All samples of the assay, in order.
    limits : Limits

    Returns
    -------
    DataFrame
        One row a sample and strain, with the columns of `COLUMNS` but ``assay``. The proportion is
        of the bases of the host-free reads. K-mers are sketched ones.
    """
    rows = []
    for sample in samples:
        for strain, genome in zip(strains["strain"], strains["genome"], strict=True):
            row = {"sample": sample, "organism": strain, "name": strain, "level": "strain"}
            if not genome:
                row |= {"call": NOT_ASSESSABLE, "reason": "no genome given"}
            elif sample in refused:
                row |= {"call": NOT_ASSESSABLE, "reason": refused[sample]}
            elif sample not in searched or not searched[sample]["reads"]:
                row |= {"call": NOT_ASSESSABLE, "reason": "no reads"}
            else:
                row |= call_strain(searched[sample], strain, limits)
            rows.append(row)
    return _table(rows)


def call_strain(found: Mapping[str, Any], strain: str, limits: Limits) -> dict[str, Any]:
    """Call one strain from the counts of its k-mers in one sample.

    Parameters
    ----------
    found
        As given by `moodbiome.strains.search_strains`, of a sample with reads.
    strain
        Its name.
    limits : Limits

    Returns
    -------
    dict
        ``call``, ``reason`` and the measured columns of `COLUMNS`. ANI is (share of k-mers)^(1/k),
        as of mutations that fall anywhere; coverage is the depth of a base, a read of L bp having
        only L - k + 1 k-mers.
    """
    kmer, reads, bases = found["kmer_bp"], found["reads"], found["bases"]
    cells = found["strains"][strain]
    own = {int(count): number for count, number in cells["own"].items()}
    pooled = {int(count): number for count, number in cells["shared"].items()}
    for count, number in own.items():
        pooled[count] = pooled.get(count, 0) + number
    length = bases / reads
    kmers_a_read = max(length - kmer + 1, 1.0)
    fit = fit_kmers(pooled, spread=1 + kmers_a_read / found["scaled"])
    per_base = length / kmers_a_read
    share = cells["genome_bp"] / bases
    coverage = fit.depth * per_base
    ani, ani_low, ani_high = (
        100 * value ** (1 / kmer) for value in (fit.share, fit.share_low, fit.share_high)
    )
    n_own = sum(own.values())
    seen = sum(number for count, number in own.items() if count >= fit.least)
    expected = n_own * float(poisson.sf(fit.least - 1, fit.depth))
    row = {
        "proportion": coverage * share,
        "low": fit.depth_low * per_base * share,
        "high": fit.depth_high * per_base * share,
        "detection_limit": limits.species_min_coverage * share,
        "coverage": coverage,
        "unique_kmers_seen": seen,
        "unique_kmers_expected": expected,
    }
    if coverage < limits.species_min_coverage:
        few = f"coverage {coverage:.2g}, {limits.species_min_coverage:g} is needed"
        return {**row, "call": NOT_DETECTED, "reason": few}
    row |= {"ani": ani, "ani_low": ani_low, "ani_high": ani_high}
    if ani < limits.species_min_ani:
        apart = f"ANI {ani:.1f} %, {limits.species_min_ani:g} % are needed: k-mers of relatives"
        return {**row, "call": NOT_DETECTED, "reason": apart}
    if coverage < limits.strain_min_coverage:
        few = f"species there; coverage {coverage:.2g}, {limits.strain_min_coverage:g} is needed"
        return {**row, "call": TOO_SHALLOW, "reason": few}
    against, untold = [], []
    if n_own < limits.strain_min_unique_kmers:
        untold.append(
            f"{n_own} k-mers of its own, {limits.strain_min_unique_kmers} are needed: its decoys "
            "are too near"
        )
    elif seen < limits.strain_min_unique_share * expected:
        against.append(
            f"{seen} k-mers of its own, {limits.strain_min_unique_share * expected:.0f} are needed"
        )
    if ani < limits.strain_min_ani:
        against.append(f"ANI {ani:.2f} %, {limits.strain_min_ani:g} % are needed")
    elif ani_low < limits.strain_min_ani_low:
        untold.append(
            f"ANI from {ani_low:.2f} % on, {limits.strain_min_ani_low:g} % are needed: too few "
            "k-mers, take a smaller psychobiotics.scaled"
        )
    row |= _evenness(cells["unevenness"])
    if mixture := _mixture(row, limits):
        untold.append(mixture)
    if against:
        return {**row, "call": DETECTED["species"], "reason": "; ".join(against)}
    if untold:
        return {**row, "call": NOT_ASSESSABLE, "reason": "species there; " + "; ".join(untold)}
    return {**row, "call": CONSISTENT, "reason": ""}


def _evenness(found: Mapping[str, Mapping[str, float | None]]) -> dict[str, float]:
    """Columns of the unevenness of all k-mers and of the strain's own; missing if not known."""
    columns: dict[str, float] = {}
    for which, name in (("all", "unevenness"), ("own", "unique_unevenness")):
        value, error = (np.nan if of is None else of for of in map(found[which].get, _VALUE))
        columns |= {name: value, f"{name}_high": value + _Z * error}
    return columns


_VALUE = ("value", "se")


def _mixture(row: Mapping[str, Any], limits: Limits) -> str:
    """Why the k-mers can be those of several relatives together; empty if they cannot.

    If all k-mers are equally deep there is one genome of the species. If they are not, because a
    relative is there as well, the k-mers that no relative has must be.
    """

    def is_even(name: str) -> bool:
        value, high = row[name], row[f"{name}_high"]
        # Comparisons with a missing value are False.
        return bool(
            value <= limits.strain_max_unevenness and high <= limits.strain_max_unevenness_high
        )

    own, own_high = row["unique_unevenness"], row["unique_unevenness_high"]
    own_is_uneven = 2 * own - own_high > limits.strain_max_unevenness
    if is_even("unique_unevenness") or (is_even("unevenness") and not own_is_uneven):
        return ""
    said = "a mixture of relatives cannot be excluded: "
    if own_is_uneven:
        return said + (
            f"the depth of k-mers of its own varies by {own:.2f} (CV squared), "
            f"{limits.strain_max_unevenness:g} is allowed"
        )
    return (
        said + "too few k-mers to tell how even their depth is, take a smaller psychobiotics.scaled"
    )


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    columns = [column for column in COLUMNS if column != "assay"]
    table = pd.DataFrame(rows, columns=columns)
    whole = dict.fromkeys(("fragments", "unique_kmers_seen"), "Int64")
    return table.astype(whole).fillna({"reason": ""})
