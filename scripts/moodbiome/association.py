"""Which taxa go with which variable: designs from a formula, and models of all taxa at once.

Every taxon shares the same design, so one factorisation serves them all: same numbers as one model
after another, in a thousandth of the time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import patsy
from scipy import stats

from moodbiome.abundance_methods import (
    ancombc2_effects,
    calibration_of,
    consensus,
    dirichlet_multinomial,
    exact_presence,
    structural_zeros,
)
from moodbiome.faults import NotRun
from moodbiome.formula import FUNCTIONS, describe, names_in, split_formula, variables

METHODS = (
    "clr_bias_corrected",
    "log2_proportion",
    "prevalence",
    "ancombc2",
    "dirichlet_multinomial",
)
"""Names of the models of `linear_models`, in the order they are reported."""

COLUMNS = [
    "taxon_id",
    "name",
    "term",
    "effect",
    "low",
    "high",
    "se",
    "p",
    "q",
    "n",
    "prevalence",
    "method",
    "effect_unit",
    "status",
    "absent_in",
]

UNITS = dict.fromkeys(METHODS, "log2 fold change") | {"prevalence": "difference in prevalence"}

# The mode of the effects over taxa is no estimate of a common shift below this many taxa.
MIN_TAXA_FOR_BIAS = 10
MIN_PER_LEVEL = 3
# A linear model of presence and absence gives too narrow intervals in fewer samples: in eight, 2 of
# 3 against 0 of 5 had p 0.013, where Fisher's exact test has 0.107.
_MIN_SAMPLES_FOR_PREVALENCE = 20


@dataclass(frozen=True)
class Design:
    """A checked design: what `build_design` returns.

    Attributes
    ----------
    formula : str
        As given.
    matrix : DataFrame of shape (n_samples, n_parameters)
        Column "Intercept" first; full column rank.
    terms : dict of str to tuple of str
        Columns of `matrix` of each term of the formula, in its order; without the intercept.
    groups : Series or None
        Group of each sample (random intercept), named by its column.
    dropped : Series
        Reason by sample, for the rows left out because a value is missing.
    references : dict of str to str
        Level each categorical column is compared with.
    levels : dict of str to (tuple of str, tuple of str)
        By term that compares groups: the columns that hold one level each, and the levels, that of
        no column (the reference) first. Without interactions and other codings.
    """

    formula: str
    matrix: pd.DataFrame
    terms: dict[str, tuple[str, ...]]
    groups: pd.Series | None = None
    dropped: pd.Series = field(default_factory=lambda: pd.Series(dtype=object))
    references: dict[str, str] = field(default_factory=dict)
    levels: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=dict)

    def by_term(self) -> dict[str, pd.DataFrame]:
        """Columns of the design by term, as `permanova.permanova` takes them."""
        return {term: self.matrix[list(columns)] for term, columns in self.terms.items()}


def build_design(
    metadata: pd.DataFrame, formula: str, references: Mapping[str, str] | None = None
) -> Design:
    """Design matrix of a formula, refused in words where no model can be fitted.

    Parameters
    ----------
    metadata : DataFrame of shape (n_samples, n_columns)
        Indexed by sample. Text and truth values are categories, numbers are slopes per one unit.
    formula : str
        Right-hand side in patsy's language, such as ``~ group + age``; at most one random
        intercept as ``(1|subject)``.
    references : mapping of str to str, optional
        Level to compare with, by categorical column; the first in alphabetical order if not given.

    Returns
    -------
    Design
        Rows in the order of `metadata`, without those that miss a value of the formula's columns.

    Raises
    ------
    NotRun
        For a formula that cannot be read, an absent or constant column, a level with fewer than
        3 samples, a term that others determine, or too few samples. All the problems of a
        stage are named together.

    Examples
    --------
    >>> metadata = pd.DataFrame({"arm": list("aaabbb")}, index=[f"S{i}" for i in range(6)])
    >>> build_design(metadata, "~ arm").matrix["arm[T.b]"].tolist()
    [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    """
    fixed, group = split_formula(formula)
    description = describe(fixed, formula)
    names = variables(description)
    references = {name: level for name, level in (references or {}).items() if name in names}
    used = [*names, group] if group is not None and group not in names else names
    absent = [name for name in used if name not in metadata.columns]
    if absent:
        raise NotRun(
            f"formula {formula!r}: no column {_list(absent)} in the metadata; "
            f"it has {_list(metadata.columns)}"
        )
    if metadata.index.has_duplicates:
        twice = metadata.index[metadata.index.duplicated()][0]
        raise NotRun(f"sample {twice!r} has two rows in the metadata; keep one")

    table = metadata[used].replace("", np.nan)
    numeric = [name for name in used if pd.api.types.is_numeric_dtype(table[name])]
    table[numeric] = table[numeric].replace([np.inf, -np.inf], np.nan)
    missing = table.isna()
    dropped = pd.Series(
        {
            sample: "missing " + ", ".join(map(str, row.index[row]))
            for sample, row in missing[missing.any(axis="columns")].iterrows()
        },
        dtype=object,
    )
    table = table[~missing.any(axis="columns")]
    left_out = f" ({len(dropped)} samples left out for missing values)" if len(dropped) else ""
    if table.empty:
        hollow = [name for name in used if missing[name].all()]
        mend = (
            f"column {_list(hollow)} has no value in any sample; fill it in or take it out"
            if hollow
            else "fill in values or take out the columns that miss most"
        )
        raise NotRun(
            f"formula {formula!r}: no sample has a value in every column {_list(used)}; {mend}"
        )

    table, problems = _prepare(table, names, references, left_out)
    if group is not None:
        sizes = table[group].value_counts()
        if len(sizes) < 2 or sizes.max() < 2:
            problems.append(
                f"random intercept (1|{group}) needs two groups or more, one of them with two "
                f"samples or more; it has {len(sizes)} groups, the largest of {sizes.max()}"
                f"{left_out}: leave it out"
            )
    if problems:
        raise NotRun("; ".join(problems))

    try:
        matrix = patsy.dmatrix(
            description, table, return_type="dataframe", eval_env=patsy.EvalEnvironment([FUNCTIONS])
        )
    except patsy.PatsyError as error:
        raise NotRun(f"formula {formula!r} cannot be read: {error.message}") from error
    info = matrix.design_info
    for factor, facts in info.factor_infos.items():
        columns = names_in(factor.code)
        if facts.type == "categorical" and len(columns) == 1:
            sizes = table[columns[0]].value_counts().sort_index()
            if len(sizes) == len(facts.categories):
                problems += _rare_levels(columns[0], sizes, left_out)
    if problems:
        raise NotRun("; ".join(dict.fromkeys(problems)))

    # patsy puts numeric terms last; the user's order is the one to report.
    terms = {
        term.name(): tuple(info.column_names[info.term_name_slices[term.name()]])
        for term in description.rhs_termlist
        if term != patsy.INTERCEPT
    }
    ordered = ["Intercept", *[column for columns in terms.values() for column in columns]]
    matrix = pd.DataFrame(matrix[ordered].to_numpy(float), table.index, ordered)
    problems = _dependent_columns(matrix, terms)
    if problems:
        raise NotRun("; ".join(problems))
    n, parameters = matrix.shape
    if n <= parameters:
        raise NotRun(
            f"formula {formula!r} has {parameters} parameters and only {n} samples{left_out}; "
            "take out terms or add samples"
        )
    return Design(
        formula=formula,
        matrix=matrix,
        terms=terms,
        groups=None if group is None else table[group].astype(str),
        dropped=dropped,
        references={
            name: str(table[name].cat.categories[0])
            for name in names
            if isinstance(table[name].dtype, pd.CategoricalDtype)
        },
        levels=_levels(info, description, terms),
    )


def _levels(
    info: Any, description: patsy.ModelDesc, terms: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Columns and levels of each term that is one factor in treatment coding."""
    levels = {}
    for term in description.rhs_termlist:
        if len(term.factors) != 1 or info.factor_infos[term.factors[0]].type != "categorical":
            continue
        name = term.name()
        categories = info.factor_infos[term.factors[0]].categories
        coded = {f"{name}[T.{level}]": str(level) for level in categories}
        columns = terms[name]
        reference = [level for column, level in coded.items() if column not in columns]
        if len(reference) == 1 and set(columns) <= set(coded):
            levels[name] = (columns, (*reference, *[coded[column] for column in columns]))
    return levels


def _prepare(
    table: pd.DataFrame, names: Sequence[str], references: Mapping[str, str], left_out: str
) -> tuple[pd.DataFrame, list[str]]:
    """Text to categories with the reference first; and what is wrong with the columns."""
    table = table.copy()
    problems = []
    for name in sorted(set(references) - set(names)):
        problems.append(f"reference level given for {name!r}, which is not in the formula")
    for name in names:
        column = table[name]
        if column.nunique() < 2:
            problems.append(
                f"column {name!r} is constant ({column.iloc[0]!s}) in the {len(column)} samples"
                f"{left_out}: take it out"
            )
            continue
        number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        if number:
            if name in references:
                problems.append(f"column {name!r} is numeric and has no reference level")
            table[name] = column.astype(float)
            continue
        text = column.astype(str).astype(object)
        levels = sorted(set(text))
        reference = references.get(name, levels[0])
        if reference not in levels:
            problems.append(
                f"reference level {reference!r} of column {name!r} occurs in no sample"
                f"{left_out}; it has {_list(levels)}"
            )
            continue
        problems += _rare_levels(name, text.value_counts().sort_index(), left_out)
        ordered = [reference, *[level for level in levels if level != reference]]
        table[name] = pd.Categorical(text, categories=pd.Index(ordered, dtype=object))
    return table, problems


def _rare_levels(name: str, sizes: pd.Series, left_out: str) -> list[str]:
    rare = [f"{level!s} ({size})" for level, size in sizes.items() if size < MIN_PER_LEVEL]
    if not rare:
        return []
    shown = ", ".join(rare[:10]) + (f" and {len(rare) - 10} more" if len(rare) > 10 else "")
    problem = (
        f"column {name!r} has levels with fewer than {MIN_PER_LEVEL} samples: {shown}{left_out}; "
        "merge them, leave those samples out, or make the column numeric if it is meant to be"
    )
    return [problem]


def _dependent_columns(matrix: pd.DataFrame, terms: Mapping[str, Sequence[str]]) -> list[str]:
    """Sentences naming each column that the columns before it determine."""
    values = matrix.to_numpy(float)
    scale = np.linalg.norm(values, axis=0)
    scaled = values / np.where(scale > 0, scale, 1)
    owner = {column: term for term, columns in terms.items() for column in columns}
    kept: list[int] = []
    problems = []
    for j, column in enumerate(matrix.columns):
        if scale[j] == 0:
            problems.append(
                f"term {owner[column]!r}: no sample has the combination {column!r}; take it out"
            )
            continue
        before = scaled[:, kept]
        weights = np.linalg.lstsq(before, scaled[:, j], rcond=None)[0]
        if np.linalg.norm(scaled[:, j] - before @ weights) > 1e-8:
            kept.append(j)
            continue
        causes = [matrix.columns[k] for k, w in zip(kept, weights, strict=True) if abs(w) > 1e-8]
        others = [cause for cause in causes if cause != "Intercept"] or ["the intercept"]
        problems.append(
            f"term {owner[column]!r}: its column {column!r} is determined by {_list(others)} "
            "(collinear); take one of them out"
        )
    return problems


def _list(names: Any) -> str:
    return ", ".join(repr(name) if isinstance(name, str) else str(name) for name in names)


def screen_taxa(
    counts: pd.DataFrame,
    n_classified: pd.Series,
    min_prevalence: float = 0.10,
    min_mean_abundance: float = 1e-4,
) -> pd.DataFrame:
    """Which taxa are common and abundant enough to be tested, and why the others are not.

    The filter looks at no variable of interest, so it does not bias the tests that follow.

    Parameters
    ----------
    counts : DataFrame of shape (n_taxa, n_samples)
        Fragments, indexed by taxon identifier; no rows for unclassified or unassigned fragments.
    n_classified : Series
        Denominator by sample, in fragments.
    min_prevalence : float
        Least share of samples with the taxon.
    min_mean_abundance : float
        Least mean proportion over all samples, zeros included.

    Returns
    -------
    DataFrame of shape (n_taxa, 5)
        ``taxon_id, prevalence, mean_abundance, tested, reason``, in the order of `counts`.

    Raises
    ------
    ValueError
        If a sample has no denominator or a count is negative, missing or above it.

    Examples
    --------
    >>> counts = pd.DataFrame({"S1": [9, 0], "S2": [8, 1]}, index=[816, 853])
    >>> screen_taxa(counts, pd.Series({"S1": 10, "S2": 10}), 0.6)["tested"].tolist()
    [True, False]
    """
    proportions = _proportions(counts, n_classified)
    prevalence = (counts > 0).mean(axis="columns")
    mean = proportions.mean(axis="columns")
    rare = prevalence < min_prevalence
    scarce = mean < min_mean_abundance
    reason = np.select(
        [rare, scarce],
        [f"prevalence below {min_prevalence:g}", f"mean abundance below {min_mean_abundance:g}"],
        "",
    )
    return pd.DataFrame(
        {
            "taxon_id": counts.index,
            "prevalence": prevalence.to_numpy(),
            "mean_abundance": mean.to_numpy(),
            "tested": ~(rare | scarce).to_numpy(),
            "reason": reason,
        }
    )


def require_taxa(
    counts: pd.DataFrame,
    n_classified: pd.Series,
    method: str,
    min_prevalence: float,
    min_mean_abundance: float,
) -> pd.DataFrame:
    """What `screen_taxa` says of each taxon, ``tested`` as the method can.

    Raises
    ------
    NotRun
        If no taxon passes, or too few for a method of log-ratios.
    """
    screen = screen_taxa(counts, n_classified, min_prevalence, min_mean_abundance)
    if method == "prevalence":
        screen["tested"] &= screen["prevalence"].between(0.1, 0.9)
    n_tested = int(screen["tested"].sum())
    if n_tested == 0 and method == "prevalence" and (screen["prevalence"] == 1).all():
        raise NotRun(
            f"{method}: all {len(counts)} taxa are present in all samples: nothing to test"
        )
    if n_tested == 0:
        raise NotRun(
            f"{method}: none of {len(counts)} taxa passes the filters (prevalence "
            f"{min_prevalence:g}, mean abundance {min_mean_abundance:g})"
        )
    if method in ("clr_bias_corrected", "ancombc2") and n_tested < MIN_TAXA_FOR_BIAS:
        raise NotRun(
            f"{method}: needs {MIN_TAXA_FOR_BIAS} taxa that pass the filters, "
            f"there are {n_tested}; take a finer rank"
        )
    return screen


def modelled_logs(tested: pd.DataFrame, n_classified: pd.Series, method: str) -> np.ndarray:
    """Logs of the tested taxa, as the two linear methods model them.

    Parameters
    ----------
    tested : DataFrame of shape (n_taxa, n_samples)
        Fragments of the taxa that pass `require_taxa`.
    n_classified : Series
        Denominator by sample, in fragments.
    method : str
        ``log2_proportion``, or ``clr_bias_corrected``: minus each sample's mean over these taxa.

    Returns
    -------
    array of shape (n_samples, n_taxa)
    """
    logs = log2_proportions(_proportions(tested, n_classified).to_numpy()).T
    return logs - logs.mean(axis=1, keepdims=True) if method == "clr_bias_corrected" else logs


def _proportions(counts: pd.DataFrame, n_classified: pd.Series) -> pd.DataFrame:
    if counts.index.has_duplicates:
        twice = counts.index[counts.index.duplicated()][0]
        raise ValueError(f"taxon {twice} has two rows in the counts; add them up first")
    total = n_classified.reindex(counts.columns)
    bad = total.index[~(total > 0)]
    if len(bad):
        raise ValueError(
            f"sample {bad[0]!r} has no classified fragments ({total[bad[0]]}); "
            "leave it out before testing taxa"
        )
    wrong = ~((counts >= 0) & counts.le(total, axis="columns"))
    if wrong.to_numpy().any():
        row, column = np.argwhere(wrong.to_numpy())[0]
        raise ValueError(
            f"taxon {counts.index[row]}, sample {counts.columns[column]!r}: count "
            f"{counts.iloc[row, column]} must lie between 0 and the sample's "
            f"{total.iloc[column]} classified fragments"
        )
    return counts.div(total, axis="columns").astype(float)


def log2_proportions(proportions: np.ndarray) -> np.ndarray:
    """Log2 of proportions, a zero replaced by half the taxon's smallest non-zero proportion.

    This is MaAsLin 2's transform (Mallick 2021, doi:10.1371/journal.pcbi.1009442). A replacement
    by half a fragment would instead write the sample's depth into the taxon.

    Parameters
    ----------
    proportions : array of shape (n_taxa, n_samples)
        Each row with at least one value above 0.

    Examples
    --------
    >>> log2_proportions(np.array([[0.0, 0.25, 0.5]]))
    array([[-3., -2., -1.]])
    """
    smallest = np.where(proportions > 0, proportions, np.inf).min(axis=1, keepdims=True)
    return np.log2(np.where(proportions > 0, proportions, smallest / 2))


def linear_models(
    counts: pd.DataFrame,
    n_classified: pd.Series,
    design: Design,
    names: Mapping[Any, str] | pd.Series | None = None,
    method: str = "log2_proportion",
    min_prevalence: float = 0.10,
    min_mean_abundance: float = 1e-4,
    level: float = 0.95,
    draws: int = 128,
    seed: int = 0,
) -> pd.DataFrame:
    """Association of each taxon with each column of a design, adjusted for the others.

    Five models, after the same filter (`screen_taxa`) on the design's samples:

    ``log2_proportion``
        Least squares on `log2_proportions` (as MaAsLin 2). Says how the taxon's share changes; a
        bloom of one taxon lowers the share of all others.
    ``clr_bias_corrected``
        The same logs minus each sample's mean log over the tested taxa, and the effects minus their
        mode over taxa, so that they are relative to what most taxa do (as LinDA, Zhou 2022,
        doi:10.1186/s13059-022-02655-5; unlike LinDA a zero is half the taxon's minimum, not half a
        fragment). Refused below 10 taxa, where a mode says nothing.
    ``prevalence``
        Linear probability of presence, with log10 `n_classified` as a further covariate since depth
        decides what is seen, at least 20 samples, and HC3 errors (Long & Ervin 2000,
        doi:10.1080/00031305.2000.10474549), for taxa in 10 to 90 % of samples. Where the groups
        separate presence from absence, so that no variation is left, the p is that of Fisher's
        exact test, not adjusted for other terms and without an interval.
    ``ancombc2``
        ANCOM-BC2 on counts plus 1 (`abundance_methods.ancombc2_effects`). Refused below 10 taxa.
    ``dirichlet_multinomial``
        Log-ratios drawn from each sample's posterior (`abundance_methods.dirichlet_multinomial`).

    With a random intercept in the design the first two and the last are fitted by restricted
    maximum likelihood; the others are refused. A taxon that a group has none of is not tested
    against that group, except by ``prevalence``: see `abundance_methods.structural_zeros`.

    Parameters
    ----------
    counts : DataFrame of shape (n_taxa, n_samples)
        Fragments, indexed by taxon identifier; samples beyond the design's are not used.
    n_classified : Series
        Denominator of the proportions by sample, in fragments.
    design : Design
    names : mapping or Series, optional
        Name by taxon identifier.
    method : str
        One of `METHODS`.
    min_prevalence, min_mean_abundance : float
        See `screen_taxa`.
    level : float
        Coverage of the t intervals.
    draws, seed : int
        Posterior draws of ``dirichlet_multinomial``, and the seed of its generator.

    Returns
    -------
    DataFrame
        One row a tested taxon and column of the design: ``taxon_id, name, term, effect, low, high,
        se, p, q, n, prevalence, method, effect_unit, status, absent_in``. `q` is
        Benjamini-Hochberg over the taxa of one term. Sorted by term (order of the design), p,
        taxon_id. `status` is ``tested``; ``exact`` (see ``prevalence``); ``no_variation``, with
        empty low, high, se, p and q; or ``structural_zero``, with an empty effect too. `absent_in`
        names the groups of the term without the taxon.

    Raises
    ------
    NotRun
        If no taxon passes, or the method does not go with the design.
    ValueError
        If a sample of the design has no counts or no denominator.
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r} is not one of {_list(METHODS)}")
    samples = design.matrix.index
    absent = samples[~samples.isin(counts.columns)]
    if len(absent):
        raise ValueError(
            f"sample {absent[0]!r} of the design has no column in the counts "
            f"({len(absent)} such samples); leave it out of the metadata"
        )
    counts = counts[samples]
    screen = require_taxa(counts, n_classified, method, min_prevalence, min_mean_abundance)
    tested = screen["tested"].to_numpy()
    prevalence = screen["prevalence"].to_numpy()
    matrix = design.matrix.to_numpy(float)
    counts = counts[tested]
    present = counts.to_numpy() > 0
    lacking = structural_zeros(present, design.matrix, design.levels)
    if method in ("prevalence", "ancombc2") and design.groups is not None:
        raise NotRun(f"{method}: this model takes no random intercept")

    if method == "dirichlet_multinomial":
        if len(counts) < 2:
            raise NotRun(f"{method}: a log-ratio needs two taxa that pass the filters, there is 1")
        # Draws go to samples and taxa in the order of their names, whatever that of the table.
        taxa, rows = np.argsort(counts.index.to_numpy()), np.argsort(samples.to_numpy())
        effect, errors, margin, p = (
            part[:, np.argsort(taxa)]
            for part in dirichlet_multinomial(
                counts.to_numpy(float)[taxa][:, rows],
                lambda logs: fit_linear(logs, design, rows),
                draws,
                seed,
                level,
            )
        )
    else:
        if method == "prevalence":
            if len(samples) < _MIN_SAMPLES_FOR_PREVALENCE:
                raise NotRun(
                    f"prevalence: needs {_MIN_SAMPLES_FOR_PREVALENCE} samples, "
                    f"there are {len(samples)}"
                )
            deep = _with_depth(matrix, n_classified.loc[samples].to_numpy(float))
            effect, errors, freedom = _robust_least_squares(present.astype(float).T, deep)
        elif method == "ancombc2":
            effect, errors, freedom = ancombc2_effects(counts.to_numpy(float), matrix)
        else:
            effect, errors, freedom = fit_linear(
                modelled_logs(counts, n_classified, method), design
            )
            if method == "clr_bias_corrected":
                effect = effect - [[mode(row)] for row in effect]
        errors = np.where(errors > 0, errors, np.nan)
        p = 2 * stats.t.sf(np.abs(effect / errors), freedom[:, None])
        margin = stats.t.ppf(0.5 + level / 2, freedom[:, None]) * errors

    labels = pd.Series(counts.index).map(dict(names) if names is not None else {})
    parts = []
    for j, column in enumerate(design.matrix.columns):
        if column == "Intercept":
            continue
        compares = column in lacking.columns
        where = lacking[column].to_numpy(str) if compares else np.full(len(counts), "")
        is_zero = (where != "") & (method != "prevalence")
        chance = np.where(is_zero, np.nan, p[j])
        status = np.select(
            [is_zero, np.isnan(chance)], ["structural_zero", "no_variation"], "tested"
        )
        if method == "prevalence" and compares:
            stuck = np.flatnonzero(status == "no_variation")
            columns = next(columns for columns, _ in design.levels.values() if column in columns)
            chance[stuck] = exact_presence(present[stuck], design.matrix, columns, column)
            status[stuck] = "exact"
        q = np.full_like(chance, np.nan)
        known = ~np.isnan(chance)
        q[known] = stats.false_discovery_control(chance[known], method="bh") if known.any() else []
        part = pd.DataFrame(
            {
                "taxon_id": counts.index,
                "name": labels.to_numpy(object),
                "term": column,
                "effect": np.where(is_zero, np.nan, effect[j]),
                "low": np.where(is_zero, np.nan, effect[j] - margin[j]),
                "high": np.where(is_zero, np.nan, effect[j] + margin[j]),
                "se": np.where(is_zero, np.nan, errors[j]),
                "p": chance,
                "q": q,
                "n": len(samples),
                "prevalence": prevalence[tested],
                "method": method,
                "effect_unit": UNITS[method],
                "status": status,
                "absent_in": where,
            }
        )
        parts.append(part.sort_values(["p", "taxon_id"], na_position="last", kind="stable"))
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def fit_linear(
    response: np.ndarray, design: Design, rows: np.ndarray | slice = slice(None)
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least squares, or restricted maximum likelihood where the design has a random intercept."""
    matrix = design.matrix.to_numpy(float)[rows]
    if design.groups is None:
        return least_squares(response, matrix)
    return random_intercept(response, matrix, design.groups.to_numpy()[rows])[:3]


def run_models(
    counts: pd.DataFrame,
    n_classified: pd.Series,
    design: Design,
    names: Mapping[Any, str] | pd.Series | None = None,
    methods: Sequence[str] = METHODS,
    max_fdr: float = 0.05,
    calibration: pd.DataFrame | None = None,
    **settings: Any,
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Several models of `linear_models` in one table, and the reason of each that was not run.

    Parameters
    ----------
    max_fdr : float
        False discovery rate at which methods agree, see `abundance_methods.consensus`.
    calibration : DataFrame, optional
        What was measured of the methods, see `abundance_methods.calibration_of`.

    Returns
    -------
    table : DataFrame
        As `linear_models`, models in the given order, with ``calibration, n_agree, consensus``; no
        rows if none could be run.
    not_run : dict of str to str
        Reason by method.
    """
    tables, not_run = [], {}
    for method in methods:
        try:
            table = linear_models(counts, n_classified, design, names, method=method, **settings)
        except NotRun as refusal:
            not_run[method] = refusal.reason
            continue
        # Measured without random intercepts only.
        state = (
            "not_measured"
            if calibration is None or design.groups is not None
            else calibration_of(calibration, method, len(design.matrix))
        )
        tables.append(table.assign(calibration=state))
    if not tables:
        columns = [*COLUMNS, "calibration", "n_agree", "consensus"]
        return pd.DataFrame(columns=columns), not_run
    table = pd.concat(tables, ignore_index=True)
    return table.join(consensus(table, max_fdr)), not_run


def least_squares(
    response: np.ndarray, matrix: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ordinary least squares of many responses on one design.

    Parameters
    ----------
    response : array of shape (n_samples, n_taxa)
    matrix : array of shape (n_samples, n_parameters)
        Of full column rank, with n_samples > n_parameters.

    Returns
    -------
    coefficients, errors : arrays of shape (n_parameters, n_taxa)
        A response the design fits exactly (up to rounding) has an error of 0.
    freedom : array of shape (n_parameters,)
        Residual degrees of freedom.
    """
    n, parameters = matrix.shape
    q, r = np.linalg.qr(matrix)
    coefficients = np.linalg.solve(r, q.T @ response)
    residual = response - matrix @ coefficients
    variance = (residual**2).sum(axis=0) / (n - parameters)
    variance[variance <= 1e-24 * (response**2).mean(axis=0)] = 0
    inverse = np.linalg.inv(r)
    errors = np.sqrt((inverse**2).sum(axis=1)[:, None] * variance)
    return coefficients, errors, np.full(parameters, float(n - parameters))


def _robust_least_squares(
    response: np.ndarray, matrix: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`least_squares` with HC3 errors, which a response of 0 and 1 needs."""
    n, parameters = matrix.shape
    q, r = np.linalg.qr(matrix)
    weights = np.linalg.solve(r, q.T)
    coefficients = weights @ response
    room = 1 - (q**2).sum(axis=1)
    if n <= parameters or room.min() < 1e-8:
        raise NotRun(
            "prevalence: a sample is fitted exactly by the design, so its variation is unknown; "
            "take out terms"
        )
    residual = (response - matrix @ coefficients) / room[:, None]
    errors = np.sqrt(weights**2 @ residual**2)
    errors[:, np.abs(residual).max(axis=0) < 1e-10] = 0
    return coefficients, errors, np.full(parameters, float(n - parameters))


def _with_depth(matrix: np.ndarray, n_classified: np.ndarray) -> np.ndarray:
    """Add log10 depth as the last column, unless the design already determines it."""
    depth = np.log10(n_classified)
    depth = depth - depth.mean()
    fitted = matrix @ np.linalg.lstsq(matrix, depth, rcond=None)[0]
    if np.linalg.norm(depth - fitted) <= 1e-8 * max(1.0, float(np.linalg.norm(depth))):
        return matrix
    return np.column_stack([matrix, depth])


def random_intercept(
    response: np.ndarray, matrix: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """`fit_reml` with between-within degrees of freedom.

    Parameters
    ----------
    response : array of shape (n_samples, n_taxa)
    matrix : array of shape (n_samples, n_parameters)
        Of full column rank, intercept included.
    groups : array of shape (n_samples,)

    Returns
    -------
    coefficients, errors : arrays of shape (n_parameters, n_taxa)
    freedom : array of shape (n_parameters,)
        Between-within degrees of freedom: columns constant within every group are judged against
        the number of groups, the others against the samples within groups (Pinheiro & Bates 2000,
        section 2.4.2). Normal quantiles, as in statsmodels, are too narrow with few groups.
    ratios : array of shape (n_taxa,)
        Variance between groups over residual variance.

    Raises
    ------
    NotRun
        If a column of the design has no degrees of freedom left.
    """
    _, codes = np.unique(groups, return_inverse=True)
    freedom = _between_within(matrix, codes, np.bincount(codes).astype(float))
    coefficients, errors, _, ratios = fit_reml(response, matrix, groups)
    return coefficients, errors, freedom, ratios


def fit_reml(
    response: np.ndarray,
    matrix: np.ndarray,
    groups: np.ndarray,
    own: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Linear mixed models with one random intercept, of many responses on one design, by REML.

    The covariance is proportional to ``I + ratio * Z Z'``, whose inverse is known by group, so that
    the likelihood needs only sums by group; the variance ratio is the one number to search. It is
    bracketed on a grid and refined by golden section for all responses together, and the boundary
    (no group variance) is a candidate, where general optimisers often fail.

    Parameters
    ----------
    response : array of shape (n_samples, n_taxa)
    matrix : array of shape (n_samples, n_parameters)
        Of full column rank, intercept included.
    groups : array of shape (n_samples,)
        Where no group repeats, this is least squares.
    own : array of shape (n_samples, n_taxa), optional
        One more covariate, of each response its own, such as its baseline. It is left out of those
        responses where `matrix` determines it.

    Returns
    -------
    coefficients, errors : arrays of shape (n_parameters, n_taxa)
        Of the columns of `matrix`.
    freedom : array of shape (n_parameters, n_taxa)
        Satterthwaite's degrees of freedom, as in lmerTest (Kuznetsova 2017,
        doi:10.18637/jss.v082.i13), within 1 and the residual ones.
    ratios : array of shape (n_taxa,)
        Variance between groups over residual variance.

    Raises
    ------
    NotRun
        If there are no more samples than parameters.
    """
    n, parameters = matrix.shape
    taxa = response.shape[1]
    _, codes = np.unique(groups, return_inverse=True)
    sizes = np.bincount(codes).astype(float)

    # An orthonormal design keeps the products below well conditioned whatever the units.
    q, r = np.linalg.qr(matrix)
    scale = np.sqrt(np.maximum((response**2).sum(axis=0), np.finfo(float).tiny))
    scaled = response / scale
    xy = (q.T @ scaled).T
    x_sums = np.zeros((len(sizes), parameters))
    y_sums = np.zeros((len(sizes), taxa))
    np.add.at(x_sums, codes, q)
    np.add.at(y_sums, codes, scaled)
    # The weight of a group depends on its size alone: sum up the groups of each size once.
    size = np.unique(sizes)
    alike = [sizes == value for value in size]
    xx_size = np.stack([x_sums[like].T @ x_sums[like] for like in alike]).reshape(len(size), -1)
    xy_size = np.stack([y_sums[like].T @ x_sums[like] for like in alike])
    yy_size = np.stack([(y_sums[like] ** 2).sum(axis=0) for like in alike], axis=1)
    n_size = np.array([like.sum() for like in alike])

    to_columns = np.broadcast_to(np.linalg.inv(r), (taxa, parameters, parameters))
    free = np.full(taxa, float(n - parameters))
    width = parameters
    if own is not None:
        width += 1
        along = q.T @ own
        rest = own - q @ along
        norm = np.sqrt((rest**2).sum(axis=0))
        is_new = norm > 1e-8 * np.sqrt((own**2).sum(axis=0))
        norm = np.where(is_new, norm, np.inf)
        rest /= norm
        rest_sums = np.zeros((len(sizes), taxa))
        np.add.at(rest_sums, codes, rest)
        rx_size = np.stack([rest_sums[like].T @ x_sums[like] for like in alike])
        rr_size = np.stack([(rest_sums[like] ** 2).sum(axis=0) for like in alike], axis=1)
        ry_size = [(rest_sums[like] * y_sums[like]).sum(axis=0) for like in alike]
        xy = np.column_stack([xy, (rest * scaled).sum(axis=0)])
        xy_size = np.concatenate([xy_size, np.stack(ry_size)[..., None]], axis=2)
        last = -(to_columns[0] @ (along / norm)).T[..., None]
        to_columns = np.concatenate([to_columns, last], axis=2)
        free = free - is_new
    if free.min() < 1:
        raise NotRun(f"{n} samples are too few for {width} parameters; take out terms")

    def solve(ratio: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        weight = ratio[:, None] / (1 + ratio[:, None] * size)
        xvx = np.eye(parameters) - (weight @ xx_size).reshape(-1, parameters, parameters)
        if own is not None:
            inner, xvx = xvx, np.empty((taxa, width, width))
            xvx[:, :-1, :-1] = inner
            xvx[:, -1, :-1] = xvx[:, :-1, -1] = -np.einsum("ts,stp->tp", weight, rx_size)
            xvx[:, -1, -1] = 1 - (weight * rr_size).sum(axis=1)
        xvy = xy - np.einsum("ts,stp->tp", weight, xy_size)
        yvy = 1 - (weight * yy_size).sum(axis=1)
        beta = np.linalg.solve(xvx, xvy[..., None])[..., 0]
        left = np.maximum(yvy - (beta * xvy).sum(axis=1), 1e-24)
        fit = (
            free * np.log(left)
            + np.log1p(ratio[:, None] * size) @ n_size
            + np.linalg.slogdet(xvx)[1]
        )
        return fit, beta, left, xvx

    def spread(xvx: np.ndarray) -> np.ndarray:
        """Variances of the coefficients, over the residual variance."""
        return np.einsum("tpi,tij,tpj->tp", to_columns, np.linalg.inv(xvx), to_columns)

    ratio = np.zeros(taxa)
    if sizes.max() > 1:
        grid = np.concatenate([[0.0], np.geomspace(1e-4, 1e4, 49)])
        fits = np.column_stack([solve(np.full(taxa, ratio))[0] for ratio in grid])
        best = fits.argmin(axis=1)
        low = grid[np.maximum(best - 1, 0)]
        high = grid[np.minimum(best + 1, len(grid) - 1)]
        golden = (np.sqrt(5) - 1) / 2
        for _ in range(45):
            left_point, right_point = high - golden * (high - low), low + golden * (high - low)
            lower = solve(left_point)[0] < solve(right_point)[0]
            high, low = np.where(lower, right_point, high), np.where(lower, low, left_point)
        ratio = (low + high) / 2
        ratio = np.where(solve(ratio)[0] < fits[:, 0], ratio, 0.0)

    _, beta, left, xvx = solve(ratio)
    here = spread(xvx)
    variance = np.where(left <= 1e-23, 0, left / free) * scale**2
    errors = np.sqrt(here * variance[:, None])
    coefficients = np.einsum("tpi,ti->pt", to_columns, beta) * scale

    # Satterthwaite over the logarithm of the residual variance and the root of the ratio: in these
    # the deviance is smooth and even at a ratio of 0, where the residual freedom comes out.
    root = np.sqrt(ratio)
    step = 1e-3 * np.maximum(root, 0.1)
    beside = []
    for point in (root - step, root, root + step):
        fit, _, part, design = solve(point**2)
        beside.append((part / left, fit - free * np.log(part), spread(design) / here))
    (left_0, rest_0, here_0), (_, rest_1, _), (left_2, rest_2, here_2) = beside
    bend = (free * (left_0 - 2 + left_2) + rest_0 - 2 * rest_1 + rest_2) / step**2
    cross = -free * (left_2 - left_0) / (2 * step)
    slope = (here_2 - here_0) / (2 * step[:, None])
    determinant = bend * free - cross**2
    is_curved = determinant > 1e-6 * free
    share = slope**2 * free[:, None] - 2 * slope * cross[:, None] + bend[:, None]
    freedom = np.where(is_curved, determinant, 1.0)[:, None] / np.where(
        is_curved[:, None], share, 1 / free[:, None]
    )
    freedom = np.clip(freedom, 1, free[:, None])
    return coefficients, errors.T, freedom.T, ratio


def _between_within(matrix: np.ndarray, codes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    means = np.zeros((len(sizes), matrix.shape[1]))
    np.add.at(means, codes, matrix)
    means /= sizes[:, None]
    tolerance = 1e-9 * np.maximum(np.abs(matrix).max(axis=0), 1)
    between = (np.abs(matrix - means[codes]) <= tolerance).all(axis=0)
    outer = len(sizes) - between.sum()
    inner = len(matrix) - len(sizes) - (~between).sum()
    freedom = np.where(between, outer, inner).astype(float)
    if freedom.min() < 1:
        raise NotRun(
            f"random intercept: {len(matrix)} samples in {len(sizes)} groups leave no degrees of "
            f"freedom for {matrix.shape[1]} parameters; take out terms or the random intercept"
        )
    return freedom


def mode(values: np.ndarray) -> float:
    """Mode of a sample by Gaussian mean shift from its median, Silverman's bandwidth.

    >>> round(mode(np.array([0.0, 0.1, -0.1, 0.05, -0.05, 0.0, 8.0, 9.0])), 1)
    0.0
    """
    centre = float(np.median(values))
    low, high = np.quantile(values, [0.25, 0.75])
    width = 0.9 * min(values.std(ddof=1), (high - low) / 1.34) * len(values) ** -0.2
    if not width > 0:
        return centre
    for _ in range(500):
        weight = np.exp(-0.5 * ((values - centre) / width) ** 2)
        moved = float(weight @ values / weight.sum())
        if abs(moved - centre) <= 1e-10 * width:
            break
        centre = moved
    return centre
