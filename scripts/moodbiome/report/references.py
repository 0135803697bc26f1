"""How sources are cited in tables, and the list of references."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from moodbiome.report.content import Report, has_reads, not_empty
from moodbiome.report.display import Link
from moodbiome.report.words import RECALLED, RECALLED_WORDS, text_of


def citation_url(identifier: str) -> str:
    """Where a DOI, PubMed, PubMed Central or BioProject identifier leads; empty if nowhere known.

    Examples
    --------
    >>> citation_url("10.1038/s41467-022-34502-3")
    'https://doi.org/10.1038/s41467-022-34502-3'
    >>> citation_url("PMID:30584306")
    'https://pubmed.ncbi.nlm.nih.gov/30584306/'
    >>> citation_url("no identifier recorded")
    ''
    """
    name = identifier.strip()
    if re.fullmatch(r"10\.\d{4,9}/[^\s\"<>]+", name):
        return f"https://doi.org/{name}"
    if match := re.fullmatch(r"(?:PMID:?\s*)?(\d{5,9})", name):
        return f"https://pubmed.ncbi.nlm.nih.gov/{match[1]}/"
    if re.fullmatch(r"PMC\d+", name):
        return f"https://www.ncbi.nlm.nih.gov/pmc/articles/{name}/"
    if re.fullmatch(r"PRJ[A-Z]{2}\d+", name):
        return f"https://www.ebi.ac.uk/ena/browser/view/{name}"
    return ""


_TOOL_REFERENCES = (
    ("Anderson MJ (2001), PERMANOVA. Austral Ecology", "10.1111/j.1442-9993.2001.01070.pp.x"),
    ("Arumugam M et al. (2011), types of gut community. Nature", "10.1038/nature09944"),
    ("Chao A, Jost L (2012), equal coverage. Ecology", "10.1890/11-1952.1"),
    ("Chen S et al. (2018), fastp. Bioinformatics", "10.1093/bioinformatics/bty560"),
    ("Fernandes AD et al. (2014), ALDEx2. Microbiome", "10.1186/2049-2618-2-15"),
    (
        "Holmes I, Harris K, Quince C (2012), Dirichlet multinomial mixtures. PLoS ONE",
        "10.1371/journal.pone.0030126",
    ),
    (
        "Koren O et al. (2013), A guide to enterotypes. PLoS Computational Biology",
        "10.1371/journal.pcbi.1002863",
    ),
    ("Langmead B, Salzberg SL (2012), Bowtie 2. Nature Methods", "10.1038/nmeth.1923"),
    ("Lin H, Peddada SD (2024), ANCOM-BC2. Nature Methods", "10.1038/s41592-023-02092-7"),
    ("Lu J et al. (2017), Bracken. PeerJ Computer Science", "10.7717/peerj-cs.104"),
    ("Mirzayi C et al. (2021), STORMS checklist. Nature Medicine", "10.1038/s41591-021-01552-x"),
    (
        "Nearing JT et al. (2022), methods of differential abundance. Nature Communications",
        "10.1038/s41467-022-28034-z",
    ),
    ("Wood DE et al. (2019), Kraken 2. Genome Biology", "10.1186/s13059-019-1891-0"),
    ("Zhou H et al. (2022), LinDA. Genome Biology", "10.1186/s13059-022-02655-5"),
)
_OF_TRAINING = (
    (
        "Nadeau C, Bengio Y (2003), variance of cross-validation. Machine Learning",
        "10.1023/A:1024068626366",
    ),
    ("Pedregosa F et al. (2011), scikit-learn. Journal of Machine Learning Research 12:2825", ""),
)
_OF_GENES = (
    "Buchfink B, Reuter K, Drost HG (2021), DIAMOND. Nature Methods 18:366",
    "10.1038/s41592-021-01101-x",
    True,
)
_OF_READS = (
    "10.1093/bioinformatics/bty560",
    "10.1038/nmeth.1923",
    "10.7717/peerj-cs.104",
    "10.1186/s13059-019-1891-0",
)


class Source(NamedTuple):
    """A source as it is cited in a table: in few words, with its page, and if it was recalled."""

    words: str
    url: str
    recalled: bool


def _has_authors(citation: str) -> bool:
    return bool(re.search(r" et al\.?$| and [A-Z]\w+$", _authors(citation)))


def _authors(citation: str) -> str:
    return citation.split(",")[0].split(" (")[0]


def _year(row: Mapping[str, Any] | pd.Series) -> str:
    return text_of(row.get("year")).removesuffix(".0")


def sources_cited(sources: pd.DataFrame | None) -> dict[str, Source]:
    """How each source is cited: authors and year, else its identifier, else as a data set."""
    cited = {}
    for _, row in (pd.DataFrame() if sources is None else sources).iterrows():
        citation, identifier = text_of(row["citation"]), text_of(row.get("doi_or_pmid"))
        if _has_authors(citation) and _year(row):
            words = f"{_authors(citation).removesuffix(' et al.')} {_year(row)}"
        else:
            words = _identifier_words(identifier) or f"{_authors(citation)} (data set)"
        recalled = text_of(row.get("certainty")) == "memory"
        cited[str(row["source_id"])] = Source(words, citation_url(identifier), recalled)
    return cited


def _identifier_words(identifier: str) -> str:
    """An identifier as it is written in a reference.

    >>> _identifier_words("10.1038/s41564-018-0337-x"), _identifier_words("PMID:30584306")
    ('doi:10.1038/s41564-018-0337-x', 'PMID 30584306')
    >>> _identifier_words("PRJNA762199"), _identifier_words("")
    ('PRJNA762199', '')
    """
    url = citation_url(identifier)
    if url.startswith("https://doi.org/"):
        return f"doi:{identifier.strip()}"
    if url.startswith("https://pubmed"):
        return f"PMID {url.split('/')[3]}"
    return identifier.strip()


def reference_list(report: Report) -> dict[str, Any]:
    """Every work to cite, by the alphabet, and whether one of them is marked as recalled."""
    unused = () if has_reads(report) else _OF_READS
    of_training = _OF_TRAINING if not_empty(report.trained_features) is not None else ()
    listed_works = {
        (text, doi, False) for text, doi in (*_TOOL_REFERENCES, *of_training) if doi not in unused
    }
    if report.gene_search is not None:
        listed_works.add(_OF_GENES)
    sources = not_empty(report.sources)
    for _, row in (pd.DataFrame() if sources is None else sources).iterrows():
        text, identifier = text_of(row["citation"]), text_of(row.get("doi_or_pmid"))
        if identifier:
            text = text.replace(f" ({identifier})", "")
        elif not _has_authors(text):
            text = f"Data set without identifier: {text}"
        text = text if not _year(row) or _year(row) in text else f"{text} ({_year(row)})"
        listed_works.add((text, identifier, text_of(row.get("certainty")) == "memory"))
    works = sorted(listed_works, key=lambda work: (work[0].lower(), work[1]))
    return {
        "works": [_reference(*work) for work in works],
        "legend": RECALLED_WORDS if any(recalled for *_, recalled in works) else "",
    }


def _reference(text: str, identifier: str, recalled: bool) -> list[Link | str]:
    words, url = _identifier_words(identifier), citation_url(identifier)
    parts: list[Link | str] = [text]
    if words and words not in text:
        parts.append(". Data set: " if words.startswith("PRJ") else ". ")
        parts.append(Link(words, url) if url else words)
    return [*parts, f" {RECALLED}"] if recalled else parts
