"""One assay's samples compared as wholes: alpha, beta, ordination and the tests of groups."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from moodbiome import diversity
from moodbiome.association import build_design
from moodbiome.cohort import require_usable
from moodbiome.faults import NotRun
from moodbiome.formula import formula_of, names_in
from moodbiome.permanova import permanova, permdisp

METRICS: dict[str, Callable[..., pd.DataFrame]] = {
    "bray_curtis": diversity.bray_curtis,
    "jaccard": diversity.jaccard,
    "aitchison": diversity.aitchison,
}


@dataclass
class Comparison:
    """What `compare` found; a table that could not be made is absent and `not_run` says why.

    Attributes
    ----------
    alpha, depth : DataFrame or None
        As `moodbiome.diversity.alpha` and `depth_sensitivity`; every sample has rows in `alpha`.
    distance : dict of metric to square DataFrame
    ordination : dict of metric to Ordination
    tests : list of DataFrame
        As `moodbiome.permanova.permanova`, with `metric`, and `permdisp_f` and `permdisp_p` on the
        row of the group.
    dropped : dict of sample to reason
        Samples that the tests of groups leave out for missing values.
    not_run : list of (analysis, reason)
    """

    alpha: pd.DataFrame | None = None
    depth: pd.DataFrame | None = None
    distance: dict[str, pd.DataFrame] = field(default_factory=dict)
    ordination: dict[str, diversity.Ordination] = field(default_factory=dict)
    tests: list[pd.DataFrame] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)
    not_run: list[tuple[str, str]] = field(default_factory=list)

    def attempt(self, analysis: str, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Run one analysis, or note why it cannot be run and return None."""
        try:
            return function(*args, **named)
        except NotRun as reason:
            self.not_run.append((analysis, str(reason)))
            return None


def compare(
    counts: pd.DataFrame,
    samples: pd.DataFrame,
    *,
    formula: str,
    group: str,
    reference: str,
    depth: int,
    min_depth: int,
    rarefactions: int,
    permutations: int,
    seed: int,
) -> Comparison:
    """Compare the samples of one assay.

    Parameters
    ----------
    counts : DataFrame of shape (n_taxa, n_samples)
        As `moodbiome.diversity.features` gives them; failed samples are absent.
    samples : DataFrame
        As `moodbiome.cohort.of_assay` gives it. Alpha diversity is measured in every sample with
        counts; only usable samples choose the depth, stand in the distances and are tested.
    formula, group, reference : str
        Model of PERMANOVA; column and reference level of the groups. Empty where there is none.
    depth : int
        Fragments to rarefy to; 0 lets `choose_depth` choose.
    min_depth, rarefactions, permutations, seed : int

    Returns
    -------
    Comparison
    """
    found = Comparison()
    totals = counts.sum()
    usable = samples.index[samples["is_usable"]]
    found.attempt("permanova", require_usable, samples)
    chosen = depth or found.attempt(
        "alpha", diversity.choose_depth, totals[usable], minimum=min_depth
    )
    if chosen is None:
        found.alpha = _every_sample(None, samples)
        return found
    drawn = {"depth": chosen, "repeats": rarefactions, "seed": seed}
    found.alpha = _every_sample(diversity.alpha(counts, **drawn), samples)
    if len(usable):
        found.depth = diversity.depth_sensitivity(counts[usable], **drawn)

    deep = counts[[sample for sample in usable if totals[sample] >= chosen]]
    if deep.shape[1] < 3:
        reason = f"{deep.shape[1]} samples reach {chosen} fragments; at least 3 are needed"
        found.not_run.append(("ordination", reason))
        return found
    metadata = samples.loc[deep.columns]
    design = None
    if formula or group:
        design = found.attempt(
            "permanova",
            build_design,
            metadata,
            formula or formula_of(group),
            {group: reference} if group else None,
        )
    else:
        found.not_run.append(("permanova", "neither a group nor a formula is set"))
    shuffled = {"permutations": permutations, "seed": seed}
    if design is not None:
        shuffled["blocks"] = design.groups
        found.dropped = design.dropped.to_dict()
    for metric, measure in METRICS.items():
        extra = {"depth": chosen, "seed": seed} if metric == "jaccard" else {}
        distance = measure(deep, **extra)
        found.distance[metric] = distance
        ordination = found.attempt("ordination", diversity.pcoa, distance)
        if ordination is None:
            # Samples that do not differ have no groups to compare either.
            continue
        found.ordination[metric] = ordination
        if design is None:
            continue
        terms = design.by_term()
        test = found.attempt("permanova", permanova, distance, terms, **shuffled)
        if test is None:
            continue
        test = test.assign(metric=metric, permdisp_f=float("nan"), permdisp_p=float("nan"))
        of_group = next((term for term in terms if group and names_in(term) == [group]), None)
        if of_group:
            groups = metadata.loc[design.matrix.index, group]
            spread = found.attempt("permdisp", permdisp, distance, groups, **shuffled)
            if spread is not None:
                here = test["term"] == of_group
                of_spread = spread.loc[0, ["pseudo_f", "p"]].to_list()
                test.loc[here, ["permdisp_f", "permdisp_p"]] = of_spread
        found.tests.append(test)
    return found


def _every_sample(alpha: pd.DataFrame | None, samples: pd.DataFrame) -> pd.DataFrame:
    """Add rows without values for the samples that have no counts, with the sample's status."""
    if alpha is None:
        alpha = pd.DataFrame(columns=["sample", "metric", "value", "low", "high", "depth_used"])
    absent = samples.index.difference(pd.Index(alpha["sample"]), sort=False)
    keys = pd.MultiIndex.from_product([absent, diversity.ALPHA_METRICS], names=["sample", "metric"])
    rest = keys.to_frame(index=False)
    rest["status"] = rest["sample"].map(samples["status"])
    # Order of the sheet, and of the metrics within a sample.
    both = pd.concat([alpha, rest])
    place = both["sample"].map({sample: place for place, sample in enumerate(samples.index)})
    return both.iloc[place.argsort(kind="stable")].reset_index(drop=True)


def as_table(ordination: diversity.Ordination | None) -> pd.DataFrame | None:
    """Coordinates with a column `sample`, and the share of each axis beside them."""
    if ordination is None:
        return None
    table = ordination.coordinates.rename_axis("sample").reset_index()
    return table.assign(**ordination.share.add_prefix("share_"))


def block_matrix(distances: Mapping[str, pd.DataFrame | None]) -> pd.DataFrame:
    """Distances of all assays in one square matrix.

    Samples of different assays are not comparable: their cells are missing, and where there are
    several assays each sample's name is followed by its assay.

    Examples
    --------
    >>> one = pd.DataFrame([[0.0]], index=["S1"], columns=["S1"])
    >>> block_matrix({"amplicon": one, "shotgun": one})
                 S1.amplicon  S1.shotgun
    S1.amplicon          0.0         NaN
    S1.shotgun           NaN         0.0
    """
    squares = []
    for assay, square in distances.items():
        if square is None:
            continue
        if len(distances) > 1:
            square = square.rename(index=f"{{}}.{assay}".format, columns=f"{{}}.{assay}".format)
        squares.append(square)
    return pd.concat(squares) if squares else pd.DataFrame()
