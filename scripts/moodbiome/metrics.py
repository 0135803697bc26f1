"""Names of the dissimilarities: what the rules name files by, each a function of `diversity`."""

METRICS = ("bray_curtis", "jaccard", "aitchison")
TREE_METRICS = ("unweighted_unifrac", "weighted_unifrac")
"""Those that need a tree."""
RAREFIED_METRICS = ("jaccard", "unweighted_unifrac")
"""Those of presence, which are means over rarefactions."""


def beta_metrics(has_tree: bool) -> tuple[str, ...]:
    """The dissimilarities of a run.

    >>> beta_metrics(has_tree=False)
    ('bray_curtis', 'jaccard', 'aitchison')
    """
    return METRICS + (TREE_METRICS if has_tree else ())
