"""Which variables the distances between samples go with: PERMANOVA with covariates, and PERMDISP.

Own code because scikit-bio's tests take one grouping, no covariates and no blocks; and because its
PERMDISP keeps 10 axes by default, with ``method="eigh"`` too, and drops the imaginary ones.
"""

from collections.abc import Collection, Iterator, Mapping

import numpy as np
import pandas as pd
from scipy.special import gammaln

from moodbiome.association import NotRun

COLUMNS = [
    "term",
    "df",
    "ss",
    "r2",
    "pseudo_f",
    "p",
    "n",
    "permutations",
    "method",
    "note",
]
# Sums in another order differ in the last digits; a permuted statistic this close is a tie.
_TIE = 1e-9
# Single precision errs by some 1e-6 of the pseudo-F for distances between communities, and by 1e-4
# at worst of what was tried (3,000 samples without any structure); this close it is not trusted.
_NEAR = 2e-3
# Rows or columns that are worked on at a time, so that they stay in the processor's cache.
_PANEL = 256


def gower_centred(distance: np.ndarray) -> np.ndarray:
    """Gower's centred matrix: minus half the squared distances, rows and columns centred.

    Its trace is the total sum of squares; for Euclidean distances it is the inner products of the
    centred data (Gower 1966, doi:10.1093/biomet/53.3-4.325).

    >>> gower_centred(np.array([[0.0, 2.0], [2.0, 0.0]]))
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    squares = np.square(np.asarray(distance, float))
    squares *= -0.5
    rows, columns = squares.mean(axis=1), squares.mean(axis=0)
    squares -= rows[:, None]
    squares -= columns - columns.mean()
    return squares


def permanova(
    distance: pd.DataFrame,
    design_terms: Mapping[str, pd.DataFrame],
    permutations: int = 999,
    seed: int = 0,
    blocks: pd.Series | None = None,
    tested: Collection[str] | None = None,
) -> pd.DataFrame:
    """Permutational analysis of variance on distances, each term adjusted for all the others.

    Sums of squares are marginal (vegan's ``adonis2(by = "margin")``), so they need not add up to
    the total. Permutations follow Freedman & Lane: the residuals of the model without the term are
    shuffled, here on both sides of the centred matrix, where the fitted part drops out of every sum
    (McArdle & Anderson 2001, doi:10.1890/0012-9658(2001)082[0290:FMMTCD]2.0.CO;2; Winkler 2014,
    doi:10.1016/j.neuroimage.2014.01.060). The centring drops out too, see `_explained`.

    Parameters
    ----------
    distance : DataFrame of shape (m, m)
        Symmetric, zero diagonal, at least the samples of the design; others are left out.
    design_terms : mapping of str to DataFrame of shape (n_samples, df)
        Numeric columns of each term, without intercept, rows by sample in one order
        (`association.Design.by_term`). A term within an interaction ("a" beside "a:b") is not
        tested: its marginal test would depend on the coding.
    permutations : int
    seed : int
    blocks : Series, optional
        Block by sample (subject, batch); samples change places only within a block. A term that is
        constant within blocks cannot be tested so.
    tested : collection of str, optional
        Terms to test, given all the others; every term if not given.

    Returns
    -------
    DataFrame
        One row a tested term, then "Residual" and "Total": ``term, df, ss, r2, pseudo_f, p, n,
        permutations, method, note``. ``p = (1 + b) / (1 + permutations)`` for b shuffled statistics
        as large as the observed one (Phipson & Smyth 2010, doi:10.2202/1544-6115.1585); where that
        is at its resolution, or a term is not run, the note says so.

    Raises
    ------
    NotRun
        If there are no residual degrees of freedom, no distances above zero, or no two samples
        that may change places.
    ValueError
        If a sample lacks distances or a block, or the matrix is no distance matrix.
    """
    _check_permutations(permutations)
    if not design_terms:
        raise ValueError("PERMANOVA needs at least one term")
    samples = next(iter(design_terms.values())).index
    for term, columns in design_terms.items():
        if not columns.index.equals(samples):
            raise ValueError(f"term {term!r} has other samples, or another order, than the first")
        if not np.isfinite(columns.to_numpy(float)).all():
            raise ValueError(f"term {term!r} has a missing value; leave those samples out")
    distances = checked_distances(distance, samples)
    flat = distances.ravel(order="K")
    n, total = len(samples), float(flat @ flat) / (2 * len(samples))
    if not total > 0:
        raise NotRun(f"PERMANOVA: the {n} samples do not differ at all")
    columns_of = {
        term: (values := columns.to_numpy(float)) - values.mean(axis=0)
        for term, columns in design_terms.items()
    }
    full = _basis(np.column_stack(list(columns_of.values())))
    df_residual = n - 1 - full.shape[1]
    if df_residual < 1:
        raise NotRun(f"PERMANOVA: {n} samples leave no residual degrees of freedom; take out terms")
    ss_residual = total - float(_explained(distances, full.T).sum())
    codes = _block_codes(blocks, samples)
    method = "PERMANOVA, marginal, Freedman-Lane" + ("" if blocks is None else ", within blocks")
    distinct = _distinct_permutations(codes)
    shuffles = _shuffles(codes, permutations, seed)

    rows = []
    for term, columns in columns_of.items():
        if tested is not None and term not in tested:
            continue
        row = {"term": term, "n": n, "permutations": permutations, "method": method}
        rows.append(row)
        containing = [o for o in columns_of if set(term.split(":")) < set(o.split(":"))]
        if containing:
            row |= {"note": f"not run: part of the interaction {containing[0]}"}
            continue
        others = [values for name, values in columns_of.items() if name != term]
        reduced = _basis(np.column_stack(others)) if others else np.empty((n, 0))
        own = _basis(columns - reduced @ (reduced.T @ columns), float(np.linalg.norm(columns)))
        df = own.shape[1]
        if df == 0:
            row |= {"df": 0, "note": "not run: the other terms determine this one (collinear)"}
            continue
        # A term alone is the whole model.
        ss = float(_explained(distances, own.T).sum()) if others else total - ss_residual
        observed = (ss / df) / (ss_residual / df_residual) if ss_residual > 0 else np.inf
        row |= {"df": df, "ss": ss, "r2": ss / total, "pseudo_f": observed}
        if _constant_within(columns, codes):
            row |= {"note": "not run: constant within every block"}
            continue
        as_large = _count_as_large(distances, own, reduced, df_residual, ss, ss_residual, shuffles)
        row |= {"p": (1 + as_large) / (1 + permutations)}
        row |= {"note": _resolution(as_large, permutations, distinct)}
    shared = {"n": n, "permutations": permutations, "method": method}
    rows.append({"term": "Residual", "df": df_residual, "ss": ss_residual} | shared)
    rows[-1] |= {"r2": ss_residual / total}
    rows.append({"term": "Total", "df": n - 1, "ss": total, "r2": 1.0} | shared)
    return _table(rows)


def permdisp(
    distance: pd.DataFrame,
    grouping: pd.Series,
    permutations: int = 999,
    seed: int = 0,
    blocks: pd.Series | None = None,
) -> pd.DataFrame:
    """Do groups differ in spread? To read beside PERMANOVA, which takes spread for location.

    One-way analysis of the distances of samples to their group's centroid (Anderson 2006,
    doi:10.1111/j.1541-0420.2005.00440.x). The squared distance to a centroid follows from the
    distance matrix alone, with every axis, real and imaginary, and without an ordination; equal to
    vegan's ``betadisper(type = "centroid")``.

    Parameters
    ----------
    distance : DataFrame of shape (m, m)
        As for `permanova`.
    grouping : Series
        Group by sample; decides which samples take part.
    permutations : int
    seed : int
    blocks : Series, optional
        Block by sample; distances to the centroid change places only within a block.

    Returns
    -------
    DataFrame
        One row, in the columns of `permanova`; `ss` and `r2` are of the distances to centroids.

    Raises
    ------
    NotRun
        If there are fewer than two groups, or a group has fewer than 3 samples.
    ValueError
        As `permanova`.
    """
    _check_permutations(permutations)
    if grouping.isna().any():
        raise ValueError(f"sample {grouping.index[grouping.isna()][0]!r} has no group")
    samples = grouping.index
    levels, codes = np.unique(grouping.astype(str).to_numpy(), return_inverse=True)
    sizes = np.bincount(codes)
    if len(levels) < 2 or sizes.min() < 3:
        raise NotRun(
            f"PERMDISP: column {grouping.name!r} needs two groups or more of 3 samples or more; "
            "it has " + ", ".join(f"{g} ({s})" for g, s in zip(levels, sizes, strict=True))
        )
    spread = distances_to_centroids(checked_distances(distance, samples), codes)
    centred = spread - spread.mean()
    total = float(centred @ centred)
    if not total > 0:
        raise NotRun("PERMDISP: all samples are equally far from their group's centroid")
    df, n = len(levels) - 1, len(samples)
    indicator = np.zeros((n, len(levels)))
    indicator[np.arange(n), codes] = 1 / np.sqrt(sizes[codes])
    ss = float(((centred @ indicator) ** 2).sum())
    pseudo_f = (ss / df) / ((total - ss) / (n - df - 1)) if total > ss else np.inf
    block = _block_codes(blocks, samples)
    # F grows with the group sum of squares alone, the total being the same in every shuffle.
    as_large = 0
    for shuffle in _in_chunks(_shuffles(block, permutations, seed), n * len(levels)):
        sums = ((centred[shuffle] @ indicator) ** 2).sum(axis=1)
        as_large += int((sums >= ss * (1 - _TIE)).sum())
    row = {
        "term": str(grouping.name),
        "df": df,
        "ss": ss,
        "r2": ss / total,
        "pseudo_f": pseudo_f,
        "p": (1 + as_large) / (1 + permutations),
        "n": n,
        "permutations": permutations,
        "method": "PERMDISP, centroids" + ("" if blocks is None else ", within blocks"),
        "note": _resolution(as_large, permutations, _distinct_permutations(block)),
    }
    return _table([row])


def distances_to_centroids(distance: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Distance of each sample to the centroid of its group, from distances between samples.

    Where imaginary axes outweigh the real ones the square is negative; its absolute value is
    taken, as vegan does.

    Parameters
    ----------
    distance : array of shape (n, n)
    codes : int array of shape (n,)
        Group of each sample, 0 to n_groups - 1.

    Examples
    --------
    >>> distances_to_centroids(np.array([[0.0, 2.0], [2.0, 0.0]]), np.array([0, 0]))
    array([1., 1.])
    """
    squares = np.empty(len(codes))
    for code in range(codes.max() + 1):
        members = np.flatnonzero(codes == code)
        within = distance[np.ix_(members, members)] ** 2
        squares[members] = within.mean(axis=1) - within.mean() / 2
    return np.sqrt(np.abs(squares))


def _check_permutations(permutations: int) -> None:
    if permutations < 1:
        raise ValueError(f"permutations must be 1 or more, not {permutations}")


def checked_distances(distance: pd.DataFrame, samples: pd.Index) -> np.ndarray:
    """The distances among `samples`: symmetric, 0 or more, and 0 of a sample to itself.

    Raises
    ------
    ValueError
        If a sample occurs twice or has no distances, or the matrix is no distance matrix.
    """
    if samples.has_duplicates:
        raise ValueError(f"sample {samples[samples.duplicated()][0]!r} occurs twice in the design")
    for labels, where in ((distance.index, "row"), (distance.columns, "column")):
        absent = samples[~samples.isin(labels)]
        if len(absent):
            raise ValueError(
                f"sample {absent[0]!r} has no {where} in the distance matrix ({len(absent)} such "
                "samples); leave it out of the metadata"
            )
    if not (distance.index.equals(samples) and distance.columns.equals(samples)):
        distance = distance.loc[samples, samples]
    values = distance.to_numpy(float)
    largest = float(values.max(initial=0))
    # Sound matrices, which are most, are seen to be so by their extremes and one comparison.
    is_positive = np.isfinite(largest) and values.min(initial=0) >= 0
    if is_positive and not np.diagonal(values).any() and _is_symmetric(values):
        return values
    symmetric = np.abs(values - values.T) <= 1e-9 * max(1.0, float(np.nanmax(values, initial=0)))
    bad = ~(np.isfinite(values) & (values >= 0) & symmetric)
    np.fill_diagonal(bad, np.diagonal(values) != 0)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"distance of samples {samples[row]!r} and {samples[column]!r} is {values[row, column]}"
            f" one way and {values[column, row]} the other; distances are symmetric, 0 or more, and"
            " 0 of a sample to itself"
        )
    return values


def _is_symmetric(values: np.ndarray) -> bool:
    """Whether a matrix is its own transpose, tile by tile, which is a quarter of the time."""
    starts = range(0, len(values), _PANEL)
    return all(
        np.array_equal(
            values[i : i + _PANEL, j : j + _PANEL], values[j : j + _PANEL, i : i + _PANEL].T
        )
        for i in starts
        for j in starts[i // _PANEL :]
    )


def _block_codes(blocks: pd.Series | None, samples: pd.Index) -> np.ndarray:
    if blocks is None:
        return np.zeros(len(samples), int)
    block = blocks.reindex(samples)
    if block.isna().any():
        raise ValueError(
            f"sample {block.index[block.isna()][0]!r} has no block; give it one or leave it out"
        )
    codes = np.unique(block.astype(str).to_numpy(), return_inverse=True)[1]
    if np.bincount(codes).max() < 2:
        raise NotRun("every block holds one sample, so that no two may change places")
    return codes


def _basis(columns: np.ndarray, scale: float | None = None) -> np.ndarray:
    """Orthonormal basis of the space the columns span; `scale` is what counts as large."""
    if columns.shape[1] == 0:
        return np.empty((len(columns), 0))
    if scale is None:
        lengths = np.linalg.norm(columns, axis=0)
        columns = columns / np.where(lengths > 0, lengths, 1)
        scale = 1.0
    left, size, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, size > 1e-9 * scale]


def _explained(distance: np.ndarray, directions: np.ndarray, unit: float = 1.0) -> np.ndarray:
    """Sum of squares that each direction explains: -z'D²z/2, for z of length 1 and mean 0.

    Gower's centring would change nothing, since it adds to D² only what is constant along rows or
    along columns, and z has a mean of 0. D² being symmetric, half of it is made and multiplied, in
    panels that stay in the processor's cache.

    Parameters
    ----------
    distance : array of shape (n, n)
    directions : array of shape (k, n)
        Their precision is that of the products.
    unit : float
        Of the distances; the result is in its squares.

    Returns
    -------
    float array of shape (k,)

    Examples
    --------
    >>> _explained(np.array([[0.0, 2.0], [2.0, 0.0]]), np.array([[1.0, -1.0]]) / np.sqrt(2))
    array([2.])
    """
    explained = np.zeros(len(directions))
    for start in range(0, len(distance), _PANEL):
        stop = start + _PANEL
        squares = (distance[start:stop, start:] / unit).astype(directions.dtype, copy=False)
        squares *= squares
        squares[:, :_PANEL] /= 2
        products = directions[:, start:] @ squares.T
        explained -= np.einsum("ij,ij->i", products, directions[:, start:stop])
    return explained


def _constant_within(columns: np.ndarray, codes: np.ndarray) -> bool:
    sums = np.zeros((codes.max() + 1, columns.shape[1]))
    np.add.at(sums, codes, columns)
    means = sums / np.bincount(codes)[:, None]
    return bool(np.abs(columns - means[codes]).max() <= 1e-9 * np.abs(columns).max())


def _shuffles(codes: np.ndarray, permutations: int, seed: int) -> np.ndarray:
    """Seeded permutations of the samples within their blocks, one a row.

    Random numbers are sorted with the sample's number in their last bits, in a third of the time
    that numpy's argsort takes.
    """
    generator = np.random.default_rng(seed)
    samples = np.arange(len(codes))
    places = np.argsort(codes, kind="stable")
    bits = len(codes).bit_length()
    scale = 2.0 ** (62 - bits - int(codes.max()).bit_length())
    shuffles = np.empty((permutations, len(codes)), np.int32)
    for start in range(0, permutations, 64):
        part = shuffles[start : start + 64]
        keys = ((codes + generator.random(part.shape)) * scale).astype(np.int64) << bits | samples
        keys.sort(axis=1)
        part[:, places] = keys & (1 << bits) - 1
    return shuffles


def _in_chunks(shuffles: np.ndarray, cost: int) -> Iterator[np.ndarray]:
    """Rows in chunks that each need some 64 MB of working memory."""
    room = max(1, 8_000_000 // cost)
    for start in range(0, len(shuffles), room):
        yield shuffles[start : start + room]


def _count_as_large(
    distance: np.ndarray,
    own: np.ndarray,
    reduced: np.ndarray,
    df_residual: int,
    ss: float,
    ss_residual: float,
    shuffles: np.ndarray,
) -> int:
    """How many shuffles give a pseudo-F as large as the observed one, of `ss` and `ss_residual`.

    Shuffling the rows of the bases is shuffling the residuals the other way round, and taking the
    reduced model out of the shuffled bases is taking it out of the data: no matrix but the
    distances is needed, in one product for a whole chunk. That is made in single precision, which
    takes half the time, and again in double for the statistics near the observed one: the count is
    that of double precision.
    """
    n, df = own.shape
    unit = np.sqrt((ss + ss_residual) / n)
    observed = (ss / df) / (ss_residual / df_residual) if ss_residual > 0 else np.inf

    def statistics(chunk: np.ndarray, precision: type[np.floating]) -> np.ndarray:
        directions = np.column_stack([own, reduced]).T.astype(precision)[:, chunk].reshape(-1, n)
        if reduced.shape[1]:
            known = reduced.astype(precision)
            directions -= (directions @ known) @ known.T
        sums = _explained(distance, directions, unit).reshape(-1, len(chunk))
        term, left = sums[:df].sum(axis=0), n - sums.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return (term / df) / (left / df_residual)

    count = 0
    for chunk in _in_chunks(shuffles, n * (df + reduced.shape[1])):
        statistic = statistics(chunk, np.float32)
        near = ~(np.abs(statistic - observed) > _NEAR * (1 + observed))
        if near.any():
            statistic[near] = statistics(chunk[near], np.float64)
        count += int((~(statistic < observed * (1 - _TIE))).sum())
    return count


def _distinct_permutations(codes: np.ndarray) -> float:
    log_count = float(gammaln(np.bincount(codes) + 1.0).sum())
    return float(np.round(np.exp(log_count))) if log_count < 20 else np.inf


def _resolution(as_large: int, permutations: int, distinct: float) -> str:
    notes = []
    if as_large == 0:
        notes.append(f"p is at its resolution, 1/(permutations + 1) = 1/{permutations + 1}")
    if distinct <= permutations:
        notes.append(f"only {distinct:.0f} distinct permutations are possible")
    return "; ".join(notes)


def _table(rows: list[dict]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=COLUMNS)
    for column in ("ss", "r2", "pseudo_f", "p"):
        table[column] = table[column].astype(float)
    table["df"] = table["df"].astype("Int64")
    table["note"] = table["note"].fillna("")
    return table
