"""Trees over taxa: by hand, against scikit-bio, and what is wrong with a file in words."""

import numpy as np
import pandas as pd
import pytest
from skbio.diversity import alpha_diversity, beta_diversity

from moodbiome.diversity import unweighted_unifrac, weighted_unifrac
from moodbiome.faults import NotRun
from moodbiome.phylogeny import faith_pd, place_taxa, read_tree, taxonomy_branches

NEWICK = "((((816:1,Prevotella_sp:2):0.5,853:4):1,(1263:2,Dorea:3):2):0,9:1);"
NAMES = pd.Series({853: "Faecalibacterium", 816: "Bacteroides", 5: "Prevotella sp", 7: "Dorea"})


@pytest.fixture
def tree(tmp_path):
    path = tmp_path / "tree.nwk"
    path.write_text(NEWICK)
    return read_tree(path)


@pytest.fixture
def counts():
    values = np.random.default_rng(4).poisson(3, (4, 8)) * [[1], [2], [0], [5]]
    values[2] = [0, 1, 0, 0, 2, 0, 3, 0]
    return pd.DataFrame(values, NAMES.index, [f"S{i}" for i in range(8)])


def scikit_bio(tree):
    """The tips by taxon id, as scikit-bio wants them, and the ids in the table's order."""
    tips = {"853": "853", "816": "816", "Prevotella sp": "5", "Dorea": "7"}
    other = tree.copy()
    for tip in other.tips():
        tip.name = tips.get(tip.name, tip.name)
    return {"tree": other, "taxa": [str(taxon) for taxon in NAMES.index]}


def test_faith_pd_by_hand(tree):
    branches = place_taxa(tree, NAMES)
    draws = np.array([[1, 0, 0, 0], [0, 2, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]])
    assert faith_pd(draws, branches).tolist() == [5, 4.5, 13.5, 0]


def test_faith_pd_and_unifrac_are_those_of_scikit_bio(tree, counts):
    branches, same = place_taxa(tree, NAMES), scikit_bio(tree)
    values = counts.to_numpy().T
    np.testing.assert_allclose(
        faith_pd(values, branches), alpha_diversity("faith_pd", values, **same), rtol=1e-9
    )
    level = counts * 0 + 1
    level.loc[5] = (counts.loc[5] > 0).astype(int)
    level.loc[7] = [0, 1] * 4
    level.loc[853] += 4 - level.sum()
    drawn = unweighted_unifrac(level, branches, 4, repeats=2)
    theirs = beta_diversity("unweighted_unifrac", level.to_numpy().T, **same)
    np.testing.assert_allclose(drawn, theirs.data, atol=1e-12)
    theirs = beta_diversity("weighted_unifrac", values, normalized=True, **same)
    np.testing.assert_allclose(weighted_unifrac(counts, branches), theirs.data, atol=1e-12)


def test_the_order_of_taxa_changes_nothing(tree, counts):
    branches = place_taxa(tree, NAMES)
    turned = counts.iloc[::-1]
    np.testing.assert_allclose(
        weighted_unifrac(turned, branches), weighted_unifrac(counts, branches), atol=1e-12
    )


def test_a_sample_is_at_no_distance_from_itself_and_leaves_with_too_few_fragments(tree, counts):
    branches = place_taxa(tree, NAMES)
    counts["S0"] = [1, 0, 0, 0]
    distance = unweighted_unifrac(counts, branches, 5)
    assert "S0" not in distance.index
    assert (np.diag(distance) == 0).all()
    assert (np.diag(weighted_unifrac(counts, branches)) == 0).all()


def test_skipped_ranks_leave_taxa_of_a_rank_equally_far_from_the_root():
    lineages = pd.Series(
        {1: "d__B;p__X;c__Y;o__Z;f__F;g__G", 2: "d__B;g__H", 3: "d__A;p__Q;g__I", 4: ""}
    )
    branches = taxonomy_branches(lineages)
    alone = faith_pd(np.eye(4, dtype=int), branches)
    assert alone.tolist() == [6, 6, 6, 1]
    assert faith_pd(np.array([[1, 1, 0, 0]]), branches).tolist() == [11]


def test_taxa_that_are_no_tips_are_named(tree):
    names = pd.concat([NAMES, pd.Series({99: "Blautia"})])
    with pytest.raises(NotRun, match=r"1 of 5 taxa are no tips .*: Blautia \(99\)\. .*diversity"):
        place_taxa(tree, names)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("((a:1,b:1", "no tree in Newick format"),
        ("sample\tcount\nS1\t3\n", "no tree in Newick format"),
        ("(a:1,(b:1,a:2):1);", "tip 'a' occurs twice; keep one"),
        ("(a:1,b:-2);", r"tip 'b' has the length -2.0; it must be 0 or more"),
        ("((a:1,b:2)x,c:1);", "the branch above 'x' has the length None"),
        ("(a,b);", "tip 'a' has the length None"),
        ("(a:1,b:1,c:2);", "not rooted, with 3 branches at its base; root it"),
        ("(a:1);", "the tree has 1 tips; it needs 2 or more"),
    ],
)
def test_a_faulty_tree_is_refused_in_words(tmp_path, text, message):
    path = tmp_path / "tree.nwk"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_tree(path)
