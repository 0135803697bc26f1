"""Further models of differential abundance, structural zeros, and how far methods agree.

The linear models and the table they share are in `moodbiome.association`.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats
from skbio.stats.composition import ancombc2

CONSENSUS_METHODS = ("clr_bias_corrected", "ancombc2", "dirichlet_multinomial")
"""The methods counted in a consensus: all of log-ratios, each with its own way with zeros."""

CALIBRATION_COLUMNS = [
    "method",
    "table",
    "samples",
    "runs",
    "share_p_below_0.05",
    "share_runs_with_discovery",
    "ks_distance",
]

Fit = Callable[[np.ndarray], tuple[np.ndarray, ...]]


def ancombc2_effects(
    counts: np.ndarray, matrix: np.ndarray, pseudocount: float = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Effects by ANCOM-BC2 as scikit-bio has it (Lin & Peddada 2024, 10.1038/s41592-023-02092-7).

    Parameters
    ----------
    counts : array of shape (n_taxa, n_samples)
    matrix : array of shape (n_samples, n_parameters)
        Intercept first; full column rank.
    pseudocount : float
        Added to every count. With 0, scikit-bio's default, a taxon is fitted on the samples that
        have it but given the error of the whole table: a quarter of taxa without any effect then
        had p below 0.05. It is therefore refused.

    Returns
    -------
    coefficients, errors : arrays of shape (n_parameters, n_taxa)
        On the log2 scale, corrected for the common bias of the samples' unknown totals.
    freedom : array of shape (n_parameters,)

    Raises
    ------
    ValueError
        If `pseudocount` is not above 0.
    """
    if not pseudocount > 0:
        raise ValueError(f"ANCOM-BC2 needs a pseudocount above 0, not {pseudocount:g}; take 1")
    n, parameters = matrix.shape
    # By design column, in patsy's own order, so that coding and reference are those of the design.
    columns = [f"x{j}" for j in range(1, parameters)]
    design = pd.DataFrame(matrix[:, 1:], columns=columns)
    fitted = ancombc2(
        pd.DataFrame(counts.T), design, " + ".join(columns), pseudocount=pseudocount, p_adjust=None
    ).result
    shape = (len(counts), parameters)
    coefficients = fitted["Log(FC)"].to_numpy().reshape(shape).T / np.log(2)
    errors = fitted["SE"].to_numpy().reshape(shape).T / np.log(2)
    return coefficients, errors, np.full(parameters, float(n - parameters))


def dirichlet_multinomial(
    counts: np.ndarray, fit: Fit, draws: int = 128, seed: int = 0, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Effects on log-ratios drawn from each sample's Dirichlet posterior, in the manner of ALDEx2.

    The draws are those of scikit-bio's ``dirmult_ttest`` and ``dirmult_lme`` (Fernandes 2014,
    doi:10.1186/2049-2618-2-15): counts plus 0.5, centred log-ratio. Every draw is fitted by `fit`,
    so that one method serves all designs with t quantiles; ``dirmult_lme`` takes normal ones, too
    narrow in few samples, and gives as interval the widest over draws, which grows with their
    number.

    Parameters
    ----------
    counts : array of shape (n_taxa, n_samples)
    fit : callable
        From responses of shape (n_samples, n_taxa) to coefficients and errors of shape
        (n_parameters, n_taxa) and degrees of freedom of shape (n_parameters,); what follows is not
        used.
    draws : int
    seed : int
    level : float
        Coverage of the intervals.

    Returns
    -------
    effect, error, margin : arrays of shape (n_parameters, n_taxa)
        Mean effect over draws, log2, its standard error, in which the variance between draws is
        added to that within them (Rubin 1987), and half the width of its t interval.
    p : array of shape (n_parameters, n_taxa)
        Mean over draws, which is conservative.
    """
    generator = np.random.default_rng(seed)
    posterior = counts.T + 0.5
    first: np.ndarray | float = 0.0
    second: np.ndarray | float = 0.0
    within: np.ndarray | float = 0.0
    p: np.ndarray | float = 0.0
    freedom = np.empty(0)
    for _ in range(draws):
        logs = np.log2(generator.standard_gamma(posterior))
        logs -= logs.mean(axis=1, keepdims=True)
        coefficients, errors, freedom = fit(logs)[:3]
        first = first + coefficients / draws
        second = second + coefficients**2 / draws
        within = within + errors**2 / draws
        p = p + 2 * stats.t.sf(np.abs(coefficients / errors), freedom[:, None]) / draws
    effect = np.asarray(first)
    between = np.maximum(np.asarray(second) - effect**2, 0) * draws / max(draws - 1, 1)
    total = np.sqrt(np.asarray(within) + (1 + 1 / draws) * between)
    margin = stats.t.ppf(0.5 + level / 2, freedom[:, None]) * total
    return effect, total, margin, np.asarray(p)


def structural_zeros(
    present: np.ndarray,
    matrix: pd.DataFrame,
    levels: Mapping[str, tuple[Sequence[str], Sequence[str]]],
) -> pd.DataFrame:
    """Which groups a taxon is absent from altogether, for each column that compares two groups.

    The rule is that of ANCOM-II without its asymptotic bound (Kaul 2017,
    doi:10.3389/fmicb.2017.02114; scikit-bio's ``struc_zero`` with ``neg_lb=False``): not one
    fragment in any sample of the group. A fold change to a group that has none of a taxon is set by
    what replaces the zeros, and its interval, for want of any variation there, is too narrow.

    Parameters
    ----------
    present : array of bool of shape (n_taxa, n_samples)
    matrix : DataFrame of shape (n_samples, n_parameters)
        The design.
    levels : mapping
        By term the columns that compare a level with the reference, and the levels, the reference
        first.

    Returns
    -------
    DataFrame of shape (n_taxa, n_columns)
        The level or levels without the taxon as text, empty where both compared have it.

    Examples
    --------
    >>> matrix = pd.DataFrame({"Intercept": 1, "arm[T.b]": [0, 0, 1, 1]})
    >>> present = np.array([[True, False, False, False], [True, False, True, False]])
    >>> structural_zeros(present, matrix, {"arm": (["arm[T.b]"], ["a", "b"])})["arm[T.b]"].tolist()
    ['b', '']
    """
    absent = {}
    for columns, names in levels.values():
        coded = matrix[list(columns)].to_numpy()
        missing = ~present[:, (coded == 0).all(axis=1)].any(axis=1)
        for j, column in enumerate(columns):
            here = ~present[:, coded[:, j] == 1].any(axis=1)
            reference, level = names[0], names[j + 1]
            absent[column] = np.select(
                [missing & here, missing, here], [f"{reference}, {level}", reference, level], ""
            )
    return pd.DataFrame(absent, index=range(len(present)))


def exact_presence(
    present: np.ndarray, matrix: pd.DataFrame, columns: Sequence[str], column: str
) -> np.ndarray:
    """Fisher's exact p of presence in one level against the reference, for some taxa.

    Parameters
    ----------
    present : array of bool of shape (n_taxa, n_samples)
    matrix : DataFrame
        The design.
    columns : sequence of str
        All columns of the term; the reference is where all are 0.
    column : str
        The one to test.

    Examples
    --------
    >>> matrix = pd.DataFrame({"arm[T.b]": [0, 0, 0, 1, 1, 1]})
    >>> exact_presence(np.array([[0, 0, 0, 1, 1, 1]]) > 0, matrix, ["arm[T.b]"], "arm[T.b]")
    array([0.1])
    """
    here = matrix[column].to_numpy() == 1
    reference = (matrix[list(columns)].to_numpy() == 0).all(axis=1)
    p = []
    for taxon in present:
        table = [[taxon[rows].sum(), (~taxon[rows]).sum()] for rows in (here, reference)]
        p.append(float(stats.fisher_exact(table).pvalue))
    return np.array(p)


def consensus(
    table: pd.DataFrame, max_fdr: float, methods: Sequence[str] = CONSENSUS_METHODS
) -> pd.DataFrame:
    """How many of three methods find a taxon with a term, in the same direction.

    Different methods find different taxa in the same data; what several find is more often found
    again (Nearing 2022, doi:10.1038/s41467-022-28034-z).

    Parameters
    ----------
    table : DataFrame
        Columns taxon_id, term, method, effect and q.
    max_fdr : float
    methods : sequence of str
        Those counted.

    Returns
    -------
    DataFrame of shape (n_rows, 2)
        With the index of `table`, the same for all rows of a taxon and term. ``n_agree``: methods
        with q at most `max_fdr`, of the direction that more of them have. ``consensus``: whether
        these are two or more. Both are empty where fewer than two of the methods tested the taxon.

    Examples
    --------
    >>> rows = [("A", "clr_bias_corrected", 1.0, 0.01), ("A", "ancombc2", 0.5, 0.04),
    ...     ("A", "dirichlet_multinomial", 0.9, 0.3), ("A", "log2_proportion", 1.0, 0.01)]
    >>> table = pd.DataFrame(rows, columns=["taxon_id", "method", "effect", "q"])
    >>> found = consensus(table.assign(term="group[T.b]"), 0.05)
    >>> found["n_agree"].tolist(), found["consensus"].tolist()
    ([2, 2, 2, 2], [True, True, True, True])
    """
    counted = table[table["method"].isin(methods)]
    found = (counted["q"] <= max_fdr).to_numpy()
    effect = counted["effect"].to_numpy(float)
    sums = (
        pd.DataFrame(
            {
                "taxon_id": counted["taxon_id"],
                "term": counted["term"],
                "tested": counted["q"].notna(),
                "up": found & (effect > 0),
                "down": found & (effect < 0),
            }
        )
        .groupby(["taxon_id", "term"], sort=False)
        .sum()
    )
    agree = sums[["up", "down"]].max(axis="columns").where(sums["tested"] >= 2)
    keys = pd.MultiIndex.from_frame(table[["taxon_id", "term"]])
    counts = pd.Series(agree.reindex(keys).to_numpy(), table.index).astype("Int64")
    return pd.DataFrame({"n_agree": counts, "consensus": counts.ge(2)})


def verdict(p_below: float, with_discovery: float, runs: int) -> str:
    """What runs without any effect say of a method.

    Parameters
    ----------
    p_below : float
        Share of p below 0.05 over runs and taxa.
    with_discovery : float
        Share of runs with a discovery at a false discovery rate of 0.05.
    runs : int

    Returns
    -------
    str
        ``liberal`` if more than 0.065 of p lie below 0.05, or if runs with a discovery are more
        than chance explains at a true share of 0.05 (one-sided binomial test at 0.01);
        ``conservative`` if less than 0.035 of p do; else ``calibrated``.

    Examples
    --------
    >>> verdict(0.05, 0.04, 200), verdict(0.02, 0.0, 200), verdict(0.05, 0.12, 200)
    ('calibrated', 'conservative', 'liberal')
    """
    chance = stats.binom.sf(round(with_discovery * runs) - 1, runs, 0.05)
    if p_below > 0.065 or chance < 0.01:
        return "liberal"
    return "conservative" if p_below < 0.035 else "calibrated"


def calibration_of(measured: pd.DataFrame, method: str, n: int) -> str:
    """The verdict on a method at the largest measured number of samples that is at most `n`.

    Parameters
    ----------
    measured : DataFrame
        Columns `CALIBRATION_COLUMNS`: one row a method, table and number of samples.
    method : str
    n : int

    Returns
    -------
    str
        As `verdict`, ``liberal`` if it is so on any of the tables, else that of their mean;
        ``not_measured`` for a method, or so few samples, that were not measured.

    Examples
    --------
    >>> rows = [("a", "real", 20, 200, 0.09, 0.2, 0.1), ("a", "real", 60, 200, 0.05, 0.04, 0.02)]
    >>> measured = pd.DataFrame(rows, columns=CALIBRATION_COLUMNS)
    >>> [calibration_of(measured, "a", n) for n in (12, 24, 500)]
    ['not_measured', 'liberal', 'calibrated']
    """
    rows = measured[(measured["method"] == method) & (measured["samples"] <= n)]
    rows = rows[rows["samples"] == rows["samples"].max()]
    if rows.empty:
        return "not_measured"
    facts = rows[["share_p_below_0.05", "share_runs_with_discovery", "runs"]]
    verdicts = [verdict(p, found, int(runs)) for p, found, runs in facts.itertuples(index=False)]
    if "liberal" in verdicts:
        return "liberal"
    mean = facts["share_p_below_0.05"].mean()
    return "conservative" if mean < 0.035 else "calibrated"
