"""The section on the evidence behind the signature, and on conditions that share its taxa."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from moodbiome.evidence import shared_with_others
from moodbiome.figures import plain
from moodbiome.report.content import Report, names_of_concepts, not_empty, setting
from moodbiome.report.display import MAX_ROWS, Cell, Link, Table, as_table
from moodbiome.report.references import Source, citation_url, sources_cited
from moodbiome.report.words import RECALLED, RECALLED_WORDS, percent, text_of


def evidence_table(report: Report) -> Table:
    evidence = report.evidence
    assert evidence is not None
    weight = f"weight_{setting(report, 'signature', 'profile', 'evidence')}"
    wanted = ["name" if "name" in evidence else "concept", "rank", "direction", "grade", weight]
    rows = evidence.copy()
    if weight in rows:
        rows = rows.assign(size=-rows[weight].abs()).sort_values(["size", "concept"], kind="stable")
        rows[weight] = rows[weight].map(lambda value: f"{value:+.3f}" if value else "0")
    table = as_table(
        rows[[c for c in [*wanted, "note"] if c in rows]],
        "Taxa of the signature, in order of weight. Direction: reported in depression, against "
        "comparison groups. Grade: A strongest, C weakest, X conflicting",
        "config/evidence/taxa.tsv",
        headings={wanted[0]: "taxon", weight: "weight"},
    )
    claims = not_empty(report.claims)
    if claims is None:
        return table
    table.columns.append(("sources", False))
    cited = sources_cited(not_empty(report.sources))
    for cells, concept in zip(table.rows, rows["concept"].head(MAX_ROWS), strict=True):
        cells.append(_claims_cell(claims[claims["concept"] == concept], cited))
    marked = any(RECALLED in cells[-1].parts for cells in table.rows)
    return replace(table, caption=f"{table.caption}. {RECALLED_WORDS}") if marked else table


class _Shared(NamedTuple):
    """How far the signature is that of other conditions, in a sentence and a table."""

    sentence: str
    table: Table


def shared_taxa(report: Report) -> _Shared | None:
    evidence, others = not_empty(report.evidence), not_empty(report.other_conditions)
    profile = setting(report, "signature", "profile", "evidence")
    if evidence is None or others is None or f"weight_{profile}" not in evidence:
        return None
    # A signature of the user's own need not have each of these concepts.
    known = others[others["concept"].isin(evidence["concept"])]
    shared, share = shared_with_others(evidence, known, profile)
    if shared.empty:
        return None
    names = dict(
        zip(evidence["concept"], names_of_concepts(report, evidence["concept"]), strict=True)
    )

    def in_words(concepts: str) -> str:
        return ", ".join(names[name] for name in concepts.split(", ") if name)

    rows = shared.assign(
        condition=shared["condition"] + shared["recalled"].map({True: f" {RECALLED}", False: ""}),
        concepts=shared["concepts"].map(in_words),
        share=shared["share"].map(percent),
        opposite=shared["opposite"].map(in_words),
    )
    sentence = (
        f"{percent(share)} of the weight of the score lies on taxa whose shift has been reported, "
        "in the same direction, in at least one of the other conditions below. The list is neither "
        "complete nor all looked up: a high score does not tell depression from them."
    )
    headings = {
        "concepts": "taxa in the same direction",
        "share": "share of the weight",
        "opposite": "taxa in the opposite direction",
    }
    table = as_table(
        rows.drop(columns="recalled"),
        f"Other conditions in which taxa of the signature have been reported. {RECALLED_WORDS}",
        "config/evidence/other_conditions.tsv",
        headings=headings,
    )
    return _Shared(sentence, table)


def _claims_cell(claims: pd.DataFrame, cited: Mapping[str, Source]) -> Cell:
    parts: list[Link | str] = []
    for direction, rows in claims.groupby("direction", sort=True):
        parts.append(("; " if parts else "") + f"{direction}: ")
        for position, (_, row) in enumerate(rows.iterrows()):
            source_id = str(row["source_id"])
            source = cited.get(source_id, Source(_source_name(source_id), "", False))
            url = citation_url(text_of(row.get("doi_or_pmid"))) or source.url
            parts += [", "] if position else []
            parts.append(Link(source.words, url) if url else source.words)
            if source.recalled or text_of(row.get("certainty")) == "memory":
                parts.append(RECALLED)
    return Cell(parts or ["no claim recorded"])


def _source_name(source_id: str) -> str:
    """`knudsen2021` as `Knudsen 2021`; other ids as they are.

    >>> _source_name("knudsen2021"), _source_name("pmid32040443")
    ('Knudsen 2021', 'PMID 32040443')
    """
    if match := re.fullmatch(r"(pmid|pmc|mr_rs)_?(\d+)", source_id):
        return f"{match[1].replace('_', ' ').upper()} {match[2]}"
    if match := re.fullmatch(r"([a-z]+)((?:19|20)\d\d)(?:_\w+)?", source_id):
        return f"{match[1].title()} {match[2]}"
    return plain(source_id)
