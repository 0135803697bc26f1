"""The search for marker genes: in words for the methods, and sample by sample."""

import pandas as pd

from moodbiome.figures import count_of
from moodbiome.report.content import Report, not_empty
from moodbiome.report.display import Cell, Link, Table, as_table, sample_page

_SOURCE = "results/function/shotgun.gene_search.tsv"
_ROLES = {"marker": "markers", "single_copy": "single-copy families", "decoy": "decoys"}


def search_words(report: Report) -> str:
    """How reads were searched for marker genes, for the methods."""
    search = report.config["function"]["search"]
    version = report.provenance.get("versions", {}).get("diamond")
    families = report.provenance.get("proteins", {}).get("families", {}).values()
    roles = [family["role"] for family in families]
    held = ", ".join(f"{roles.count(role)} {words}" for role, words in _ROLES.items())
    return (
        "Clean shotgun reads were searched against a set of proteins"
        + (f" ({held})" if roles else "")
        + f" with DIAMOND {version or '(version not recorded)'} (blastx, mode "
        f"{search['sensitivity']}, expect value at most {search['max_evalue']:g}). A read belongs "
        f"to the family of its best hit, if {search['min_aligned_aa']} amino acids or more are "
        "aligned, and as alike as the set asks of the family; a read that fits two families "
        "equally well is counted for none. Decoys are near relatives that take the reads that fit "
        "them better. Each read counts 1 over the effective length of its protein; the median of "
        "the single-copy families counts genomes, and copies per genome is the ratio to it. A "
        f"sample with fewer than {search['min_single_copy_fragments']:,} fragments of single-copy "
        "families, or with half of these families unseen, has no copies (docs/genes.md; Buchfink "
        "et al. 2021)."
    )


def search_sentences(report: Report) -> list[str]:
    """In how many samples copies per genome could be measured."""
    search = not_empty(report.gene_search)
    if search is None:
        return []
    found = int((search["status"] == "ok").sum())
    said = f"Reads were searched for marker genes in {count_of(len(search), 'sample')}; copies per"
    return [f"{said} genome could be measured in {found:,}."]


def search_table(report: Report) -> Table | None:
    """One row a shotgun sample: what was searched, the size of its genomes, or why there is none.

    An average genome of other than 2 to 6 Mb says that not all reads were of gut bacteria.
    """
    search = not_empty(report.gene_search)
    if search is None:
        return None
    millions = search[[f"average_genome_size_{end}" for end in ("bp", "low", "high")]] / 1e6
    sizes = [
        "" if pd.isna(size) else f"{size:.2f} [{low:.2f}, {high:.2f}]"
        for size, low, high in millions.itertuples(index=False)
    ]
    fragments = search["fragments"].astype(float)
    shown = pd.DataFrame(
        {
            "sample": search["sample"].astype(str),
            "status": search["status"].str.replace("_", " "),
            "fragments": fragments,
            "in markers": search["marker"].astype(float),
            "in single copies": search["single_copy"].astype(float),
            "genome": sizes,
            "reason": search["reason"],
        }
    )
    if not shown["reason"].fillna("").any():
        shown = shown.drop(columns="reason")
    caption = (
        "The search for marker genes by sample: fragments searched, those that fit a marker or a "
        "single-copy family best, and the average genome size with its 95 % interval (2 to 6 Mb "
        "is usual of gut bacteria; reads of a host, of viruses or eukaryotes make it larger)"
    )
    table = as_table(shown, caption, _SOURCE, {"genome": "average genome, Mb"})
    for row in table.rows:
        row[0] = Cell([Link(str(row[0].parts[0]), sample_page(str(row[0].parts[0])))])
    return table
