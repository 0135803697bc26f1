"""The pages people read: every table of a run in, one self-contained HTML text out.

What all sections use, each built on those before it
- words           numbers, shares, lists and terms of a design as they are written
- content         `Report`: what the pages are made of, and how the sections look it up
- display         figures, tables and links as a page shows them

The page of the cohort, a module a section or two, in the order of the page
- warnings        what a reader must know first
- cohort          summary of the cohort, characteristics of its samples
- reads           read ledger, sample status
- taxa            taxa, what other settings would have given, too few minimisers
- diversity       alpha diversity, differences between samples
- signature       signature score, contributions to it, indices
- community       community types
- performance     how well the score tells the groups apart
- psychobiotics   psychobiotics
- function        gut-brain modules
- genes           the search for marker genes behind them
- evidence        evidence behind the signature, conditions that share its taxa
- associations    differential abundance, power, measured variables, sensitivity runs
- longitudinal    change over time
- pooled          pooled over studies, trials
- provenance      methods in words, databases, settings, versions
- references      works to cite

The page of a sample
- samples         its figures, and its score in words

The pages as wholes
- page            `render` and `render_sample` put the sections into the templates
"""

from moodbiome.report.content import NotRun, Report
from moodbiome.report.page import forbidden_words, render, render_sample
from moodbiome.report.provenance import methods
from moodbiome.report.references import citation_url

__all__ = [
    "NotRun",
    "Report",
    "citation_url",
    "forbidden_words",
    "methods",
    "render",
    "render_sample",
]
