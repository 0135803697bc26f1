"""One assay's samples compared as wholes: alpha, beta, ordination and the tests of groups."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student
from skbio import TreeNode

from moodbiome import diversity
from moodbiome.association import Design, build_design, least_squares, random_intercept
from moodbiome.cohort import require_usable
from moodbiome.faults import NotRun
from moodbiome.formula import formula_of, names_in
from moodbiome.metrics import RAREFIED_METRICS, TREE_METRICS, beta_metrics
from moodbiome.permanova import permanova, permdisp
from moodbiome.phylogeny import Branches, place_taxa, taxonomy_branches

SIGNIFICANT = 0.05
"""At or below it a p counts as a finding where depths are held against each other."""

_LOADED_AXES = 2  # that the report draws
_EFFECT = ["effect", "low", "high", "p"]


def measures(
    depth: int, seed: int, tree: Branches | None, repeats: int = 10
) -> dict[str, Callable[[pd.DataFrame], pd.DataFrame]]:
    """The dissimilarities by name, each a function of counts; those of a tree if there is one."""
    options: dict[str, dict[str, Any]] = {
        metric: {"branches": tree} if metric in TREE_METRICS else {}
        for metric in beta_metrics(tree is not None)
    }
    for metric in options.keys() & RAREFIED_METRICS:
        options[metric] |= {"depth": depth, "repeats": repeats, "seed": seed}
    return {metric: partial(getattr(diversity, metric), **of) for metric, of in options.items()}


@dataclass
class Comparison:
    """What `compare` found; a table that could not be made is absent and `not_run` says why.

    Attributes
    ----------
    alpha, depth : DataFrame or None
        As `moodbiome.diversity.alpha` and `depth_sensitivity`; every sample has rows in `alpha`.
    depth_effects : DataFrame or None
        As `depth_effects`.
    distance : dict of metric to square DataFrame
    ordination : dict of metric to Ordination
    loadings : dict of metric to DataFrame
        As `moodbiome.diversity.taxa_of_axes`, of the first two axes, with the names of the taxa.
    tests : list of DataFrame
        As `moodbiome.permanova.permanova`, with `metric`, and `permdisp_f` and `permdisp_p` on the
        row of the group.
    dropped : dict of sample to reason
        Samples that the tests of groups leave out for missing values.
    not_run : list of (analysis, reason)
    """

    alpha: pd.DataFrame | None = None
    depth: pd.DataFrame | None = None
    depth_effects: pd.DataFrame | None = None
    distance: dict[str, pd.DataFrame] = field(default_factory=dict)
    ordination: dict[str, diversity.Ordination] = field(default_factory=dict)
    loadings: dict[str, pd.DataFrame] = field(default_factory=dict)
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
    labels: pd.DataFrame,
    tree: TreeNode | None = None,
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
    labels : DataFrame
        Columns name and lineage of each taxon of `counts`.
    tree : TreeNode, optional
        As `moodbiome.phylogeny.read_tree` gives it, for Faith's PD and UniFrac.
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
    labels = labels.loc[counts.index]
    found.attempt("permanova", require_usable, samples)
    branches = None
    if tree is not None:
        branches = found.attempt("phylogeny", place_taxa, tree, labels["name"])
    trees = {} if branches is None else {"faith_pd": branches}
    trees |= {"faith_pd_taxonomy": taxonomy_branches(labels["lineage"])}
    chosen = depth or found.attempt(
        "alpha", diversity.choose_depth, totals[usable], minimum=min_depth
    )
    if chosen is None:
        found.alpha = _every_sample(None, samples, [*diversity.ALPHA_METRICS, *trees])
        return found
    drawn: dict[str, Any] = {"repeats": rarefactions, "seed": seed, "trees": trees}
    coverage = (
        found.attempt("coverage", diversity.choose_coverage, counts[usable], chosen)
        if len(usable)
        else None
    )
    measured = diversity.alpha(counts, chosen, coverage=coverage, **drawn)
    found.alpha = _every_sample(measured, samples, list(measured["metric"].unique()))
    tables = {chosen: measured[measured["sample"].isin(usable)]} if len(usable) else {}
    for other in _other_depths(chosen) if len(usable) else []:
        deep_enough = (totals[usable] >= other).any()
        tables[other] = diversity.alpha(
            counts[usable],
            other,
            # Where no sample is deep enough the rows are there, and without values.
            coverage=diversity.choose_coverage(counts[usable], other) if deep_enough else 1.0,
            **drawn,
        )
    if tables:
        found.depth = diversity.depth_sensitivity(tables, chosen)

    deep = counts[[sample for sample in usable if totals[sample] >= chosen]]
    if deep.shape[1] < 3:
        reason = f"{deep.shape[1]} samples reach {chosen} fragments; at least 3 are needed"
        found.not_run.append(("ordination", reason))
        return found
    metadata = samples.loc[deep.columns]
    design = None
    model = formula or (formula_of(group) if group else "")
    references = {group: reference} if group else None
    if model:
        design = found.attempt("permanova", build_design, metadata, model, references)
    else:
        found.not_run.append(("permanova", "neither a group nor a formula is set"))
    shuffled = {"permutations": permutations, "seed": seed}
    if design is not None:
        found.dropped = design.dropped.to_dict()
    for metric, measure in measures(chosen, seed, branches).items():
        distance = measure(deep)
        found.distance[metric] = distance
        ordination = found.attempt("ordination", diversity.pcoa, distance, metric=metric)
        if ordination is None:
            # Samples that do not differ have no groups to compare either.
            continue
        found.ordination[metric] = ordination
        axes = ordination.coordinates.iloc[:, :_LOADED_AXES]
        loadings = diversity.taxa_of_axes(deep, axes, metric)
        loadings.insert(2, "name", loadings["taxon_id"].map(labels["name"]))
        found.loadings[metric] = loadings
        if design is None:
            continue
        terms = design.by_term()
        blocks = {"blocks": design.groups}
        test = found.attempt("permanova", permanova, distance, terms, **shuffled, **blocks)
        if test is None:
            continue
        test = test.assign(metric=metric, permdisp_f=float("nan"), permdisp_p=float("nan"))
        of_group = _term_of(design, group)
        if of_group:
            groups = metadata.loc[design.matrix.index, group]
            spread = found.attempt("permdisp", permdisp, distance, groups, **shuffled, **blocks)
            if spread is not None:
                here = test["term"] == of_group
                of_spread = spread.loc[0, ["pseudo_f", "p"]].to_list()
                test.loc[here, ["permdisp_f", "permdisp_p"]] = of_spread
        found.tests.append(test)
    if design is not None:
        designs: dict[int, tuple[pd.DataFrame, Design | str]] = {}
        for other in _other_depths(chosen):
            both = metadata[totals[metadata.index] >= max(other, chosen)]
            try:
                if both.empty:
                    raise NotRun(f"no sample reaches {other} fragments")
                designs[other] = both, build_design(both, model, references)
            except NotRun as reason:
                designs[other] = both, str(reason)
        found.depth_effects = depth_effects(
            deep, tables, chosen, designs, _term_of(design, group), branches, **shuffled
        )
    return found


def _other_depths(depth: int) -> list[int]:
    return [max(depth // 2, 1), 2 * depth]


def _term_of(design: Design, group: str) -> str | None:
    """The term of the formula that is the group's, if there is one."""
    return next((term for term in design.terms if group and names_in(term) == [group]), None)


def depth_effects(
    counts: pd.DataFrame,
    alpha: Mapping[int, pd.DataFrame],
    depth: int,
    designs: Mapping[int, tuple[pd.DataFrame, Design | str]],
    term: str | None,
    tree: Branches | None = None,
    permutations: int = 999,
    seed: int = 0,
) -> pd.DataFrame:
    """Would another depth have led to another conclusion on the groups?

    Each other depth is held against the chosen one in the samples that reach both, so that samples
    lost to a larger depth are not taken for its effect. Alpha diversity is modelled by the design;
    dissimilarities are measured on one rarefaction to each depth, also those that are otherwise
    measured on all counts.

    Parameters
    ----------
    counts : DataFrame of shape (n_taxa, n_samples)
        Of the samples that reach `depth`.
    alpha : mapping of int to DataFrame
        Alpha diversity by depth, `depth` and the others, as `moodbiome.diversity.alpha` gives it.
    depth : int
        The chosen depth, in fragments.
    designs : mapping of int to (DataFrame, Design or str)
        By other depth: metadata of the samples that reach both depths, and their design, or why
        there is none.
    term : str or None
        Term of the design to look at; every term if None.
    tree : Branches, optional
    permutations, seed : int

    Returns
    -------
    DataFrame
        One row a metric, other depth and term: ``metric, term, depth_fragments,
        reference_depth_fragments, n, effect, low, high, p, reference_effect, reference_p,
        conclusion_holds, note``. The effect is the adjusted difference or slope of an alpha
        diversity with its 95 % interval, or R2 of PERMANOVA, which has none. `conclusion_holds`
        says whether p is on the same side of `SIGNIFICANT` at both depths and, where both are at or
        below it, effects have the same sign; missing where a p is.
    """
    parts = []
    for other, (_, design) in designs.items():
        if isinstance(design, str):
            continue
        here, there = (_alpha_effects(alpha[at], design, term) for at in (other, depth))
        parts.append(_side_by_side(here, there, other))
    functions = {at: measures(at, seed, tree, repeats=1) for at in (depth, *designs)}
    totals = counts.sum()
    drawn = {
        at: diversity.rarefied(counts.loc[:, totals >= at], at, seed) for at in (depth, *designs)
    }
    # One metric after the other: the matrices of all would not fit in memory in large cohorts.
    for metric in functions[depth]:
        reference = functions[depth][metric](drawn[depth])
        for other, (_, design) in designs.items():
            if isinstance(design, str):
                continue
            distance = functions[other][metric](drawn[other])
            here, there = (
                _beta_effects(matrix, metric, design, term, permutations, seed)
                for matrix in (distance, reference)
            )
            parts.append(_side_by_side(here, there, other))
    reasons = [
        {"metric": metric, "term": term, "depth_fragments": other, "n": len(rows), "note": reason}
        for other, (rows, reason) in designs.items()
        if isinstance(reason, str)
        for metric in [*alpha[depth]["metric"].unique(), *functions[depth]]
    ]
    table = pd.concat([*parts, pd.DataFrame(reasons)], ignore_index=True)
    table["reference_depth_fragments"] = depth
    columns = ["metric", "term", "depth_fragments", "reference_depth_fragments", "n"]
    columns += [*_EFFECT, "reference_effect", "reference_p", "conclusion_holds", "note"]
    return table.reindex(columns=columns).astype({"note": object})


def _side_by_side(here: pd.DataFrame, there: pd.DataFrame, depth: int) -> pd.DataFrame:
    """Effects at another depth beside those at the chosen one, and whether they say the same."""
    there = there[["metric", "term", "effect", "p"]]
    both = here.merge(there, on=["metric", "term"], suffixes=("", "_reference"))
    both = both.rename(
        columns={"effect_reference": "reference_effect", "p_reference": "reference_p"}
    )
    found, was_found = both["p"] <= SIGNIFICANT, both["reference_p"] <= SIGNIFICANT
    same_sign = np.sign(both["effect"]) == np.sign(both["reference_effect"])
    holds = (found == was_found) & (same_sign | ~found)
    known = both["p"].notna() & both["reference_p"].notna()
    return both.assign(depth_fragments=depth, conclusion_holds=holds.where(known))


def _alpha_effects(table: pd.DataFrame, design: Design, term: str | None) -> pd.DataFrame:
    """Effects of a term on each alpha diversity: metric, term, n, effect, low, high, p."""
    values = diversity.by_metric(table).reindex(design.matrix.index)
    columns = [c for t, names in design.terms.items() if term in (None, t) for c in names]
    places = design.matrix.columns.get_indexer_for(pd.Index(columns))
    rows = []
    for metric in values:
        response = values[[metric]].to_numpy()
        result = np.full((len(columns), 4), np.nan)
        # A metric without a value in some sample (pielou) would be that of other samples.
        if np.isfinite(response).all() and np.ptp(response) > 0:
            matrix = design.matrix.to_numpy()
            if design.groups is None:
                effect, error, freedom = least_squares(response, matrix)
            else:
                groups = design.groups.to_numpy()
                effect, error, freedom, _ = random_intercept(response, matrix, groups)
            effect, error = effect[places, 0], np.where(error > 0, error, np.nan)[places, 0]
            margin = student.ppf(0.975, freedom[places]) * error
            p = 2 * student.sf(np.abs(effect / error), freedom[places])
            result = np.column_stack([effect, effect - margin, effect + margin, p])
        rows += [(metric, column, *row) for column, row in zip(columns, result, strict=True)]
    return pd.DataFrame(rows, columns=["metric", "term", *_EFFECT]).assign(n=len(values))


def _beta_effects(
    distance: pd.DataFrame,
    metric: str,
    design: Design,
    term: str | None,
    permutations: int,
    seed: int,
) -> pd.DataFrame:
    """Share of the variation that a term explains: metric, term, n, effect, low, high, p."""
    tested = list(design.terms) if term is None else [term]
    nothing = dict.fromkeys(_EFFECT, np.nan)
    try:
        test = permanova(distance, design.by_term(), permutations, seed, design.groups, tested)
    except NotRun:
        rows = pd.DataFrame([{"term": name, **nothing} for name in tested])
    else:
        rows = test[test["term"].isin(tested)].rename(columns={"r2": "effect"})
        rows = rows.assign(low=np.nan, high=np.nan)
    rows = rows[["term", *_EFFECT]]
    return rows.assign(metric=metric, n=len(design.matrix))


def _every_sample(
    alpha: pd.DataFrame | None, samples: pd.DataFrame, metrics: Sequence[str]
) -> pd.DataFrame:
    """Add rows without values for the samples that have no counts, with the sample's status."""
    if alpha is None:
        measured = ["value", "low", "high", "depth_used", "coverage_used"]
        alpha = pd.DataFrame(columns=["sample", "metric", *measured])
    absent = samples.index.difference(pd.Index(alpha["sample"]), sort=False)
    keys = pd.MultiIndex.from_product([absent, metrics], names=["sample", "metric"])
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
