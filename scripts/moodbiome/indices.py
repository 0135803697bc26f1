"""Indices of a community: log-ratios of groups of taxa that are known for what they can make.

An index says which potential the taxa found have. It measures no metabolite and no inflammation.
"""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from moodbiome.signature import (
    Limits,
    concept_counts,
    concept_effective,
    draw_proportions,
)

COLUMNS = (
    *("sample", "index", "value", "low", "high", "share", "n_members", "n_members_detectable"),
    *("n_classified", "status", "reason"),
)

MIN_DETECTABLE = 0.5
"""Smallest share of a side's members that the database must hold."""


def index_members(indices: pd.DataFrame, taxa: pd.DataFrame) -> pd.DataFrame:
    """Give the members of each index their ids.

    Parameters
    ----------
    indices : DataFrame
        One row a member, with the columns ``index``, ``side`` (``numerator`` or ``denominator``)
        and ``concept``. An index without a denominator is set against all other taxa.
    taxa : DataFrame
        One row a concept, with the columns ``concept`` and ``ncbi_ids``.

    Returns
    -------
    DataFrame
        ``indices`` with the column ``ncbi_ids``.

    Raises
    ------
    ValueError
        If an index has no numerator, or names a concept twice or one that is unknown; the message
        has all such faults.

    Examples
    --------
    >>> indices = pd.DataFrame({"index": ["acid"], "side": ["numerator"], "concept": ["weissela"]})
    >>> index_members(indices, pd.DataFrame({"concept": ["weissella"], "ncbi_ids": ["46255"]}))
    Traceback (most recent call last):
    ValueError: indices: index 'acid', concept 'weissela' is unknown; add it to the crosswalk
    """
    ids = dict(zip(taxa["concept"], taxa["ncbi_ids"], strict=True))
    rows = list(zip(indices["index"], indices["concept"], strict=True))
    faults = [
        f"indices: index {index!r}, concept {concept!r} is unknown; add it to the crosswalk"
        for index, concept in rows
        if concept not in ids
    ]
    twice = indices.duplicated(["index", "concept"])
    faults += [
        f"indices: index {index!r} names concept {concept!r} twice; keep one row"
        for (index, concept), again in zip(rows, twice, strict=True)
        if again
    ]
    above = set(indices.loc[indices["side"] == "numerator", "index"])
    faults += [
        f"indices: index {index!r} has no numerator; add its members"
        for index in dict.fromkeys(indices["index"])
        if index not in above
    ]
    if faults:
        raise ValueError("\n".join(faults))
    return indices.assign(ncbi_ids=[ids[concept] for _, concept in rows])


def score_indices(
    genus: pd.DataFrame,
    species: pd.DataFrame,
    indices: pd.DataFrame,
    n_classified: pd.Series,
    known: Collection[int],
    *,
    seed: int,
    offset: float = 1e-4,
    draws: int = 200,
    refused: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    effective: pd.DataFrame | None = None,
    imported: bool = False,
) -> pd.DataFrame:
    """Every index of every sample: ln((numerator + offset) / (denominator + offset)).

    Numerator and denominator are summed shares among the classified bacterial and archaeal
    fragments, each fragment once. Without a denominator it is the share of all other taxa.

    Parameters
    ----------
    genus, species, n_classified, known, seed, offset, draws, refused, effective
        As for `moodbiome.signature.score_samples`.
    indices : DataFrame
        As given by `index_members`, with ids in the numbering of the database.
    limits
        Of it, ``min_classified`` is used.
    imported
        Whether `known` are the taxa of an imported table, whose database is not known.

    Returns
    -------
    DataFrame with the columns `COLUMNS`
        One row a sample and index. ``low`` and ``high`` are the 95 % interval of counting and
        re-estimation (`moodbiome.signature.draw_proportions`, a prior of half a fragment a side),
        widened if need be to hold ``value``. ``share`` is the numerator, 0 to 1. ``status`` is
        ``ok`` or ``abstained``, the ``reason`` why: a side of which the database holds less than
        `MIN_DETECTABLE` of the members would be another index under the same name.

    Raises
    ------
    ValueError
        As `moodbiome.signature.concept_counts` does.
    """
    least = (limits or Limits()).min_classified
    held = frozenset(known)
    holder = "the imported table has" if imported else "the database holds"
    parts = []
    for index, members in indices.groupby("index", sort=False):
        joined = members.groupby("side")["ncbi_ids"].agg(lambda ids: ",".join(filter(None, ids)))
        sides = joined.rename_axis("concept").reset_index()
        detectable = members["ncbi_ids"].map(
            lambda ids: any(int(taxon) in held for taxon in ids.split(",") if taxon)
        )
        by_side = detectable.groupby(members["side"]).mean()
        lacking = by_side[by_side < MIN_DETECTABLE]
        too_few = "; ".join(
            f"{holder} {detectable[members['side'] == side].sum()} of "
            f"{(members['side'] == side).sum()} members of the {side}, half are needed"
            for side in lacking.index
        )
        if too_few and imported:
            too_few += "; whether the others could have been found is not known"
        counts = concept_counts(genus, species, sides).astype(float)
        known_as = (
            counts if effective is None else concept_effective(genus, species, sides, effective)
        )
        rows = []
        for sample, total in n_classified.astype(float).items():
            reason = (refused or {}).get(str(sample), "") or (
                "not in the feature tables"
                if sample not in counts
                else "number of classified fragments not known"
                if np.isnan(total)
                else f"{total:.0f} classified fragments, {least} are needed"
                if total < least
                else too_few
            )
            cells = [np.nan] * 4
            if not reason:
                drawn = draw_proportions(
                    counts[sample].to_numpy(),
                    total,
                    known_as[sample].to_numpy(),
                    draws=draws,
                    seed=seed,
                    name=f"{index} of {sample}",
                )
                observed = counts[[sample]].T.to_numpy() / total
                place = dict(zip(counts.index, range(len(counts)), strict=True))
                value = _log_ratio(observed, place, offset)[0]
                low, high = np.quantile(_log_ratio(drawn, place, offset), [0.025, 0.975])
                share = observed[0, place["numerator"]]
                cells = [value, min(low, value), max(high, value), share]
            rows.append((sample, index, *cells, total, "abstained" if reason else "ok", reason))
        columns = [name for name in COLUMNS if not name.startswith("n_members")]
        part = pd.DataFrame(rows, columns=columns)
        parts.append(part.assign(n_members=len(members), n_members_detectable=detectable.sum()))
    table = pd.concat(parts)[list(COLUMNS)]
    return table.astype({"n_classified": "Int64"}).reset_index(drop=True)


def _log_ratio(proportions: np.ndarray, place: Mapping[str, int], offset: float) -> np.ndarray:
    """Log-ratio of each row; columns are the sides, by their place."""
    above = proportions[:, place["numerator"]]
    # Genus and species tables are re-estimated apart: their sum may exceed the total a little.
    below = (
        proportions[:, place["denominator"]]
        if "denominator" in place
        else np.clip(1 - above, 0, None)
    )
    return np.log(above + offset) - np.log(below + offset)
