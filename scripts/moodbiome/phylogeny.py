"""Trees over the taxa of a table: branches, Faith's phylogenetic diversity and UniFrac.

A tree is held as its branches, each with its length and the taxa below it, so that a measure over
a tree is a product of matrices. Tables of counts are taxa x samples, as in `moodbiome.diversity`.
"""

from os import PathLike
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from skbio import TreeNode
from skbio.io import UnrecognizedFormatError
from skbio.io.format.newick import NewickFormatError

from moodbiome.faults import NotRun

_RANKS = "dpcofgs"


class Branches(NamedTuple):
    """The branches of a rooted tree above some taxa.

    Attributes
    ----------
    below : sparse matrix of shape (n_branches, n_taxa)
        1 where a taxon is below a branch.
    length : array of shape (n_branches,)
        In the tree's unit, 0 or more.
    taxa : Index of shape (n_taxa,)
    """

    below: csr_matrix
    length: np.ndarray
    taxa: pd.Index

    def of(self, taxa: pd.Index) -> "Branches":
        """The branches above some of the taxa, in the order of these."""
        below = self.below[:, self.taxa.get_indexer_for(taxa)]
        kept = np.asarray(below.sum(axis=1)).ravel() > 0
        return Branches(below[kept], self.length[kept], taxa)


def taxonomy_branches(lineages: pd.Series) -> Branches:
    """The taxonomy as a tree, with a branch of one unit a rank.

    A rank that a lineage skips lengthens the branch below it, so that taxa of one rank are equally
    far from the root. A taxon without lineage has a branch of its own. Ranks are no measure of
    divergence: what is computed on this tree is no phylogenetic diversity in the strict sense.

    Parameters
    ----------
    lineages : Series of shape (n_taxa,)
        Text such as ``d__Bacteria;p__Bacillota``, indexed by taxon id.

    Examples
    --------
    >>> lineages = pd.Series({1: "d__B;p__X", 2: "d__B;p__Y"})
    >>> tree = taxonomy_branches(lineages)
    >>> tree.length.tolist(), tree.below.toarray().astype(int).tolist()
    ([1.0, 1.0, 1.0], [[1, 1], [1, 0], [0, 1]])
    """
    place: dict[str, int] = {}
    length: list[float] = []
    rows, columns = [], []
    for column, (taxon, lineage) in enumerate(lineages.items()):
        above, depth = "", 0
        for part in (lineage or f"?{taxon}").split(";"):
            above = f"{above};{part}"
            is_rank = part[1:3] == "__" and part[0] in _RANKS
            own = _RANKS.index(part[0]) + 1 if is_rank else depth + 1
            if above not in place:
                place[above] = len(place)
                length.append(float(own - depth))
            depth = own
            rows.append(place[above])
            columns.append(column)
    return _branches(rows, columns, length, lineages.index)


def read_tree(path: str | PathLike[str]) -> TreeNode:
    """Read a rooted tree with branch lengths, in Newick format.

    Raises
    ------
    ValueError
        If the file is no Newick tree, the tree is not rooted (three branches or more at its base),
        a tip stands twice or has no name, or a branch has no length or a negative one.
    """
    try:
        tree = TreeNode.read(str(path), format="newick", verify=False)
    except (NewickFormatError, UnrecognizedFormatError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: no tree in Newick format ({error})") from error
    if len(tree.children) > 2:
        raise ValueError(
            f"{path}: the tree is not rooted, with {len(tree.children)} branches at its base; root "
            "it (by an outgroup or its midpoint)"
        )
    seen: set[str] = set()
    for node in tree.postorder(include_self=False):
        where = f"tip {node.name!r}" if node.is_tip() else f"the branch above {node.name!r}"
        if node.length is None or not node.length >= 0:
            raise ValueError(f"{path}: {where} has the length {node.length}; it must be 0 or more")
        if node.is_tip():
            if not node.name:
                raise ValueError(f"{path}: a tip has no name; tips are taxon ids or names")
            if node.name in seen:
                raise ValueError(f"{path}: {where} occurs twice; keep one")
            seen.add(node.name)
    if len(seen) < 2:
        raise ValueError(f"{path}: the tree has {len(seen)} tips; it needs 2 or more")
    return tree


def place_taxa(tree: TreeNode, names: pd.Series) -> Branches:
    """Find each taxon of a table among the tips of a tree, by its id or else by its name.

    Parameters
    ----------
    tree : TreeNode
        As `read_tree` gives it. Tips that the table lacks do not matter.
    names : Series of shape (n_taxa,)
        Name of each taxon, indexed by taxon id. An underscore in either counts as a space.

    Raises
    ------
    NotRun
        If a taxon is no tip: a measure without it would be that of another community.
    """
    tips = {tip.name: tip for tip in tree.tips()}
    tips |= {name.replace("_", " "): tip for name, tip in tips.items()}
    # A tip counts as false, having no children: no "or" here.
    found = [
        tips.get(str(taxon), tips.get(name.replace("_", " "))) for taxon, name in names.items()
    ]
    absent = [
        f"{name} ({taxon})"
        for (taxon, name), tip in zip(names.items(), found, strict=True)
        if tip is None
    ]
    if absent:
        more = ", ..." if len(absent) > 5 else ""
        raise NotRun(
            f"{len(absent)} of {len(names)} taxa are no tips of the tree, by id or by name: "
            f"{', '.join(absent[:5])}{more}. Faith's PD and UniFrac need all: give a tree made for "
            "the database in diversity.tree, or none"
        )
    place: dict[int, int] = {}
    length: list[float] = []
    rows, columns = [], []
    for column, tip in enumerate(found):
        for node in () if tip is None else (tip, *tip.ancestors()):
            if node.is_root():
                continue
            if id(node) not in place:
                place[id(node)] = len(place)
                length.append(float(node.length))
            rows.append(place[id(node)])
            columns.append(column)
    return _branches(rows, columns, length, names.index)


def _branches(rows: list[int], columns: list[int], length: list[float], taxa: pd.Index) -> Branches:
    shape = (len(length), len(taxa))
    below = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape)
    return Branches(below, np.array(length), taxa)


def faith_pd(draws: np.ndarray, branches: Branches) -> np.ndarray:
    """Faith's phylogenetic diversity: the summed length of the branches above the taxa present.

    The way to the root is included (Faith 1992, doi:10.1016/0006-3207(92)91201-3).

    Parameters
    ----------
    draws : int array of shape (n_draws, n_taxa)
        Fragments, taxa in the order of `branches`.
    branches : Branches

    Returns
    -------
    array of shape (n_draws,)
        In the tree's unit.

    Examples
    --------
    >>> tree = taxonomy_branches(pd.Series({1: "d__B;p__X", 2: "d__B;p__Y"}))
    >>> faith_pd(np.array([[3, 0], [2, 1]]), tree).tolist()
    [2.0, 3.0]
    """
    present = (draws > 0).T.astype(np.float32)
    return branches.length @ (branches.below @ present > 0)
