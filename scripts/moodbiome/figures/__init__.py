"""The figures of the reports: a table in, a static SVG with its caption and its numbers out.

What all figures use
- words           names, numbers and lists in titles and captions
- drawing         `Figure`, groups and their colours, bars and areas, a chart as SVG

The figures, a module a section of the report
- reads           read ledger
- taxa            composition
- diversity       alpha diversity, ordinations
- signature       scores, contributions, indices
- community       axes of community types, memberships
- function        gut-brain modules
- performance     how well the score tells the groups apart, calibration
- associations    differential abundance, measured variables, power
- longitudinal    retention, trajectories
- pooled          effects pooled over studies; forest and funnel plots of trials
- samples         the figures of one sample's page
"""

from moodbiome.figures.associations import differential, measures, power
from moodbiome.figures.community import community_axes, community_memberships
from moodbiome.figures.diversity import NAMED_POINTS, Ordination, alpha, ordination
from moodbiome.figures.drawing import (
    ALL_SAMPLES,
    MANY_SAMPLES,
    MAX_GROUPS,
    NO_GROUP,
    Figure,
    group_labels,
)
from moodbiome.figures.function import modules
from moodbiome.figures.longitudinal import retention, trajectories
from moodbiome.figures.performance import calibration, evaluation, roc
from moodbiome.figures.pooled import forest, funnel, pooled_effects
from moodbiome.figures.reads import LEDGER_PARTS, ledger
from moodbiome.figures.samples import sample_contributions, sample_ledger, sample_score, sample_taxa
from moodbiome.figures.signature import contributions, indices, scores
from moodbiome.figures.taxa import composition
from moodbiome.figures.words import (
    METHODS,
    METRICS,
    POWER_FEATURES,
    count_of,
    listed,
    method_name,
    plain,
)

__all__ = [
    "ALL_SAMPLES",
    "LEDGER_PARTS",
    "MANY_SAMPLES",
    "MAX_GROUPS",
    "METHODS",
    "METRICS",
    "NAMED_POINTS",
    "NO_GROUP",
    "POWER_FEATURES",
    "Figure",
    "Ordination",
    "alpha",
    "calibration",
    "community_axes",
    "community_memberships",
    "composition",
    "contributions",
    "count_of",
    "differential",
    "evaluation",
    "forest",
    "funnel",
    "group_labels",
    "indices",
    "ledger",
    "listed",
    "measures",
    "method_name",
    "modules",
    "ordination",
    "plain",
    "pooled_effects",
    "power",
    "retention",
    "roc",
    "sample_contributions",
    "sample_ledger",
    "sample_score",
    "sample_taxa",
    "scores",
    "trajectories",
]
