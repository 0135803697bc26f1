"""The pages people read: every table of a run in, one self-contained HTML text out."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from moodbiome import figures
from moodbiome.figures import Figure, Ordination, count_of, plain

# 21 CFR 809.10(c)(2)(i): the words a product in the laboratory research phase must carry.
RESEARCH_USE = "For Research Use Only. Not for use in diagnostic procedures."
DISCLAIMER = (
    RESEARCH_USE,
    (
        "What is shown is association, not cause; it is not a diagnosis, and it is not specific to "
        "depression: the same taxa have been reported in other conditions."
    ),
    (
        "Nothing here is medical advice. Do not start, stop or change a treatment because of it; "
        "talk to a healthcare provider."
    ),
)
FORBIDDEN_WORDS = (
    r"diagnos\w*",
    r"risk of depression",
    r"deficien\w*",
    r"treat\w*",
    r"you should take",
    r"(?:un)?healthy",
)
MAX_ROWS = 200
MAX_NAMED = 20
# Evidence on single taxa (standardised difference 0.2-0.3): group size for 80 % power at 0.05.
SMALL_GROUP = 175


class NotRun(NamedTuple):
    """An analysis that was not run, and why.

    `analysis` is one of the sections: ledger, taxa, alpha, ordination, permanova, signature,
    contributions, evidence, differential; other names are shown among the warnings only.
    """

    analysis: str
    reason: str


class Link(NamedTuple):
    """Words that lead to a publication."""

    text: str
    url: str


class Cell(NamedTuple):
    """One cell: text, or text and links."""

    parts: list[Link | str]


@dataclass(frozen=True)
class Table:
    """A table as the page shows it: formatted, and cut after `MAX_ROWS` rows."""

    caption: str
    columns: list[tuple[str, bool]]  # heading, is it numeric
    rows: list[list[Cell]]
    n_rows: int
    source: str


@dataclass(frozen=True)
class Report:
    """What the pages are made of. A table that is None or empty was not run.

    Attributes
    ----------
    config : mapping
        The settings of the run, as in config/config.yaml.
    ledger, status : DataFrame
        One row a sample and assay (see docs: fixed file names).
    genus_counts : mapping of assay to DataFrame
        taxon_id, name, lineage, then one column a sample; rows 0 and -1 included.
    alpha, permanova, scores, contributions, differential : DataFrame or None
        As written by their rules; an `assay` column, where several assays were run, gives each
        assay its own figures.
    ordinations : sequence of (assay, Ordination)
        The assay may be empty where there is only one.
    evidence, claims, sources : DataFrame or None
        config/evidence/taxa.tsv, claims.tsv and sources.tsv.
    metadata : DataFrame or None
        One row a sample, with the column of cohort.group.
    provenance : mapping
        `databases` (assay -> {sha256, files}), `versions` (tool -> version), `seed`, `inputs`.
    not_run : sequence of NotRun
    """

    config: Mapping[str, Any]
    ledger: pd.DataFrame
    status: pd.DataFrame
    genus_counts: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    alpha: pd.DataFrame | None = None
    ordinations: Sequence[tuple[str, Ordination]] = ()
    permanova: pd.DataFrame | None = None
    scores: pd.DataFrame | None = None
    contributions: pd.DataFrame | None = None
    evidence: pd.DataFrame | None = None
    claims: pd.DataFrame | None = None
    sources: pd.DataFrame | None = None
    differential: pd.DataFrame | None = None
    metadata: pd.DataFrame | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    not_run: Sequence[NotRun] = ()


def render(report: Report, template: Path) -> str:
    """The page of a cohort.

    Parameters
    ----------
    report : Report
    template : Path
        cohort.html.j2; the layout it extends lies in the same folder.

    Returns
    -------
    str
        HTML that loads nothing from outside. The same report gives the same text.

    Raises
    ------
    ValueError
        If the ledger does not add up, a count is missing, or a sample of the ledger has no status.
    """
    _check(report)
    evidence = _present(report.evidence)
    return _page(
        template,
        title=_setting(report, "report", "title", "Gut microbiome cohort"),
        warnings=_warnings(report),
        summary=_summary(report),
        characteristics=_characteristics(report),
        ledger=_section(report, "ledger", report.ledger, _ledger_figures),
        ledger_total=_ledger_total(report.ledger),
        status=_as_table(
            report.status, "Status of every sample", "results/tables/sample_status.tsv"
        ),
        taxa=_section(report, "taxa", _any_counts(report), _taxa_figures),
        alpha=_section(report, "alpha", report.alpha, _alpha_figures),
        ordination=_section(report, "ordination", report.ordinations, _ordination_figures),
        permanova=_permanova_sentences(report),
        permanova_table=_optional_table(
            report.permanova,
            "Tests of the whole community (PERMANOVA) and of equal dispersion (PERMDISP)",
            "results/diversity/permanova.tsv",
        ),
        permanova_reason=_reason(report, "permanova", report.permanova),
        signature=_section(report, "signature", report.scores, _score_figures),
        abstained=_abstained(report),
        contributions=_section(
            report, "contributions", report.contributions, _contribution_figures
        ),
        evidence=_evidence_table(report) if evidence is not None else None,
        evidence_reason=_reason(report, "evidence", report.evidence),
        differential=_section(report, "differential", report.differential, _differential_figures),
        differential_summary=_differential_summary(report),
        power=_power_note(report),
        methods=methods(report.config, report.provenance.get("versions", {})),
        databases=_databases(report),
        versions=_pairs(report.provenance.get("versions", {}), "Software", "Tool", "Version"),
        settings=_pairs(_flat(report.config), "Settings of the run", "Setting", "Value"),
        seed=report.provenance.get("seed", report.config.get("seed")),
        inputs=_pairs(
            {
                name: value
                for name, value in report.provenance.get("inputs", {}).items()
                if isinstance(value, str)
            },
            "Fingerprints of the input tables (SHA-256)",
            "Table",
            "SHA-256",
        ),
        references=_references(report),
    )


def render_sample(report: Report, sample: str, template: Path) -> str:
    """The page of one sample.

    Parameters
    ----------
    report : Report
        The cohort it belongs to.
    sample : str
    template : Path
        sample.html.j2; the layout it extends lies in the same folder.

    Raises
    ------
    ValueError
        If the ledger has no such sample.
    """
    _check(report)
    rows = report.ledger[report.ledger["sample"].astype(str) == sample]
    if rows.empty:
        raise ValueError(f"the ledger has no sample {sample!r}; it has {len(report.ledger)} others")
    assays = []
    for _, row in rows.iterrows():
        assay = str(row.get("assay", ""))
        status = _matching(report.status, sample, assay).iloc[0]
        assays.append(
            {
                "name": assay,
                "status": plain(str(status["status"])),
                "reason": _text(status.get("reason")),
                "figures": _sample_figures(report, sample, assay, row),
                "score": _score_sentences(report, sample, assay),
            }
        )
    return _page(
        template,
        title=f"Sample {sample}",
        cohort_title=_setting(report, "report", "title", "Gut microbiome cohort"),
        assays=assays,
        facts=_sample_facts(report, sample),
        databases=_databases(report),
        references=_references(report),
    )


def forbidden_words(page: str) -> list[str]:
    """Words a report must not use, wherever they stand outside the fixed disclaimer.

    Parameters
    ----------
    page : str
        HTML.

    Returns
    -------
    list of str
        In order of appearance; empty when the page is in order.

    Examples
    --------
    >>> forbidden_words("<p>A deficiency to treat.</p>")
    ['deficiency', 'treat']
    """
    words = re.sub(r"<style.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)
    words = re.sub(r"\s+", " ", words)
    for sentence in DISCLAIMER:
        words = words.replace(sentence, " ")
    return re.findall(rf"\b(?:{'|'.join(FORBIDDEN_WORDS)})\b", words, flags=re.IGNORECASE)


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


def methods(config: Mapping[str, Any], versions: Mapping[str, str]) -> list[tuple[str, str]]:
    """The methods in words, from the settings and the versions of the tools.

    Parameters
    ----------
    config : mapping
        As in config/config.yaml; a section that is absent gets no paragraph.
    versions : mapping of tool to version

    Returns
    -------
    list of (heading, paragraph)
    """

    def tool(name: str, command: str = "") -> str:
        version = versions.get(command or name.lower())
        return f"{name} {version}" if version else f"{name} (version not recorded)"

    text: list[tuple[str, str]] = []
    if reads := config.get("reads"):
        text.append(
            (
                "Reads",
                (
                    "Every file was read to its end and checked before use. Reads were trimmed "
                    f"and filtered with {tool('fastp')}: adapters were cut, and reads shorter "
                    f"than {reads['min_length_bp']} bp after trimming or with more than "
                    f"{reads['max_bad_bases_percent']} % of bases below Phred "
                    f"{reads['min_base_quality']} were removed. All counts are fragments: a "
                    "read pair, or a single-end read, counts once."
                ),
            )
        )
    if host := config.get("host"):
        text.append(
            (
                "Host",
                f"Reads were aligned to the host genome with {tool('Bowtie 2', 'bowtie2')}; a "
                "fragment was removed when either mate aligned."
                if host["remove"]
                else "Host reads were not removed: the settings declare the reads already cleaned.",
            )
        )
    if profile := config.get("profile"):
        paragraph = (
            f"Fragments were classified with {tool('Kraken2')} (confidence "
            f"{profile['confidence']:g}, at least {profile['min_hit_groups']} minimiser hit "
            "groups). "
        )
        paragraph += (
            "Counts at each rank were re-estimated by the method of Bracken from taxa with at "
            f"least {profile['min_fragments']} fragments, with the k-mer distribution "
            + (
                f"for reads of {profile['read_length_bp']} bp."
                if profile["read_length_bp"]
                else "nearest to the mean read length after trimming."
            )
            if profile["reestimate"]
            else "Counts at each rank are those of the clade, not re-estimated."
        )
        if tables := config.get("tables"):
            paragraph += (
                " A sample with fewer than "
                f"{tables['low_depth_fragments']:,} fragments classified as bacterial or archaeal "
                "has the status low depth."
            )
        text.append(("Taxa", paragraph))
    if diversity := config.get("diversity"):
        depth = diversity["depth_fragments"]
        text.append(
            (
                "Diversity",
                f"Alpha diversity was measured at {diversity['rank']} rank on "
                f"{diversity['rarefactions']} rarefactions to "
                + (f"{depth:,}" if depth else "a depth chosen from the cohort, at least ")
                + ("" if depth else f"{diversity['min_depth_fragments']:,}")
                + " fragments; given are the mean and the middle 95 %. Dissimilarities: "
                "Bray-Curtis on proportions, Jaccard on presence, Aitchison on log-ratios. Groups "
                f"were compared by PERMANOVA with {diversity['permutations']:,} permutations "
                "(smallest possible p "
                f"{1 / (diversity['permutations'] + 1):.2g}), with PERMDISP beside it.",
            )
        )
    if signature := config.get("signature"):
        text.append(
            (
                "Signature score",
                (
                    "The score is a weighted log-contrast, S = Σ w · ln(p + "
                    f"{signature['offset']:g}), over the taxa of the profile "
                    f"“{signature['profile']}”; p is the share among fragments classified as "
                    "bacterial or archaeal. The weights of the taxa reported as enriched sum to "
                    "+1 and those of the taxa reported as depleted to -1. The interval comes from "
                    f"{signature['draws']} draws of the Dirichlet posterior and covers counting "
                    "noise only. A sample that cannot be scored soundly has no score, but a "
                    "reason."
                ),
            )
        )
    if statistics := config.get("statistics"):
        group = config.get("cohort", {}).get("group", "")
        formula = statistics["formula"] or (f"~ {group}" if group else "")
        text.append(
            (
                "Associations",
                f"Each {statistics['rank']} present in at least "
                f"{100 * statistics['min_prevalence']:g} % of the samples and with a mean share of "
                f"at least {100 * statistics['min_mean_abundance']:g} % was modelled "
                + (f"by the formula “{formula}”, " if formula else "")
                + "with each method named in the figures; q values are Benjamini-Hochberg, over "
                f"all taxa of a term and method, and q ≤ {statistics['max_fdr']:g} is marked.",
            )
        )
    if "seed" in config:
        text.append(
            (
                "Reproducibility",
                (
                    f"All random draws derive from the seed {config['seed']}; the same input, "
                    f"settings and software give the same bytes. Workflow: "
                    f"{tool('Snakemake')}; diversity: {tool('scikit-bio')}."
                ),
            )
        )
    return text


_TOOL_REFERENCES = (
    ("Anderson MJ (2001), PERMANOVA. Austral Ecology", "10.1111/j.1442-9993.2001.01070.pp.x"),
    ("Chen S et al. (2018), fastp. Bioinformatics", "10.1093/bioinformatics/bty560"),
    ("Langmead B, Salzberg SL (2012), Bowtie 2. Nature Methods", "10.1038/nmeth.1923"),
    ("Lu J et al. (2017), Bracken. PeerJ Computer Science", "10.7717/peerj-cs.104"),
    ("Mirzayi C et al. (2021), STORMS checklist. Nature Medicine", "10.1038/s41591-021-01552-x"),
    ("Wood DE et al. (2019), Kraken 2. Genome Biology", "10.1186/s13059-019-1891-0"),
)
_STATUS_WORDS = {
    "failed": "failed: no result",
    "empty": "empty: no fragments",
    "low_depth": "low depth: read with care",
    "excluded": "excluded by the sample sheet",
}
_LEDGER_SOURCE = "results/tables/ledger.tsv"


def _page(template: Path, **content: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["bound"] = _bound
    return environment.get_template(template.name).render(
        disclaimer=DISCLAIMER, **_number_figures(content)
    )


def _bound(text: str) -> str:
    """A number stays on the line of its sign or unit."""
    return re.sub(r"(?<=\d) (?=%)|(?<=\b[np]) (?=[=≤])|(?<=[np] [=≤]) ", "\u00a0", text)


def _check(report: Report) -> None:
    known = set(_keys(report.status))
    for key in _keys(report.ledger):
        if key not in known:
            raise ValueError(
                f"sample {key[0]!r} is in the ledger but has no status; both tables have one row a "
                "sample and assay"
            )


def _keys(table: pd.DataFrame) -> list[tuple[str, str]]:
    assays = table["assay"] if "assay" in table else pd.Series("", index=table.index)
    return list(zip(table["sample"].astype(str), assays.astype(str), strict=True))


def _present(table: pd.DataFrame | None) -> pd.DataFrame | None:
    return None if table is None or table.empty else table


def _setting(report: Report, section: str, key: str, default: Any) -> Any:
    return report.config.get(section, {}).get(key, default)


def _groups(report: Report, samples: Sequence[str]) -> pd.Series:
    return figures.group_labels(
        samples,
        report.metadata,
        _setting(report, "cohort", "group", ""),
        _setting(report, "cohort", "reference", ""),
    )


def _samples(table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(table["sample"].astype(str)))


def _assays(table: pd.DataFrame) -> list[str]:
    return sorted(set(table["assay"].astype(str))) if "assay" in table else []


def _per_assay(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    if len(_assays(table)) < 2:
        return [("", table)]
    return [(str(assay), part) for assay, part in table.groupby("assay", sort=True)]


def _matching(table: pd.DataFrame, sample: str, assay: str) -> pd.DataFrame:
    rows = table[table["sample"].astype(str) == sample]
    return rows[rows["assay"].astype(str) == assay] if assay and "assay" in rows else rows


@dataclass(frozen=True)
class _Shown:
    figure: Figure
    table: Table
    number: int = 0


@dataclass(frozen=True)
class _Section:
    shown: list[_Shown]
    reason: str


def _show(figure: Figure, assay: str = "") -> _Shown:
    if assay:
        title = f"{figure.title} ({assay})"
        figure = Figure(figure.key, title, figure.caption, figure.svg, figure.table, figure.source)
    return _Shown(figure, _as_table(figure.table, f"Data of: {figure.title}", figure.source))


def _number_figures(content: Mapping[str, Any]) -> dict[str, Any]:
    """The same content with its figures numbered in the order of the page."""
    numbered, last = dict(content), 0
    for name, section in content.items():
        if isinstance(section, _Section):
            shown = [replace(s, number=last + i) for i, s in enumerate(section.shown, start=1)]
            last += len(shown)
            numbered[name] = replace(section, shown=shown)
    return numbered


def _key(name: str, assay: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", f"{name}-{assay}").strip("-")


def _section(
    report: Report, analysis: str, content: Any, draw: Callable[[Report], list[_Shown]]
) -> _Section:
    reason = _reason(report, analysis, content)
    if reason and not _has(content):
        return _Section([], reason)
    shown = draw(report)
    return _Section(shown, "" if shown else reason or "No sample has a value to draw.")


def _has(content: Any) -> bool:
    return content is not None and len(content) > 0


def _reason(report: Report, analysis: str, content: Any) -> str:
    reasons = [note.reason for note in report.not_run if note.analysis == analysis]
    if reasons:
        return "; ".join(reasons)
    return "" if _has(content) else "No table was given, and no reason was recorded."


def _any_counts(report: Report) -> list[str]:
    return [assay for assay, table in report.genus_counts.items() if not table.empty]


def _ledger_figures(report: Report) -> list[_Shown]:
    return [
        _show(figures.ledger(part, _key("ledger", assay)), assay)
        for assay, part in _per_assay(report.ledger)
        if part["raw"].notna().any()
    ]


def _taxa_figures(report: Report) -> list[_Shown]:
    shown = []
    several = len(report.genus_counts) > 1
    for assay, counts in sorted(report.genus_counts.items()):
        samples = [str(name) for name in counts.columns[3:]]
        if not samples or not counts[counts.columns[3:]].to_numpy().any():
            continue
        figure = figures.composition(
            counts,
            _groups(report, samples),
            _key("taxa", assay),
            f"results/tables/{assay}.genus.counts.tsv",
        )
        shown.append(_show(figure, assay if several else ""))
    return shown


def _alpha_figures(report: Report) -> list[_Shown]:
    assert report.alpha is not None
    return [
        _show(
            figures.alpha(part, _groups(report, _samples(part)), _key("alpha", assay)),
            assay,
        )
        for assay, part in _per_assay(report.alpha)
        if part["value"].notna().any()
    ]


def _ordination_figures(report: Report) -> list[_Shown]:
    several = len({assay for assay, _ in report.ordinations}) > 1
    return [
        _show(
            figures.ordination(
                result,
                _groups(report, _samples(result.coordinates)),
                _key(f"ordination-{result.metric}", assay),
            ),
            assay if several else "",
        )
        for assay, result in report.ordinations
        if not result.coordinates[["PC1", "PC2"]].dropna().empty
    ]


def _score_figures(report: Report) -> list[_Shown]:
    assert report.scores is not None
    return [
        _show(
            figures.scores(
                part,
                _groups(report, _samples(part)),
                _setting(report, "cohort", "reference", ""),
                _key("scores", assay),
            ),
            assay,
        )
        for assay, part in _per_assay(report.scores)
        if part["score"].notna().any()
    ]


def _weights(report: Report) -> pd.Series:
    evidence = _present(report.evidence)
    column = f"weight_{_setting(report, 'signature', 'profile', 'evidence')}"
    if evidence is None or column not in evidence:
        return pd.Series(dtype=float)
    return evidence.set_index("concept")[column].astype(float)


def _named(report: Report, concepts: pd.Series) -> pd.Series:
    """Names of concepts for people: up to the bracket that lists members."""
    evidence = _present(report.evidence)
    if evidence is None or "name" not in evidence:
        return concepts.astype(str).map(plain)
    names = evidence.set_index("concept")["name"].astype(str).str.replace(r" \(.*", "", regex=True)
    return concepts.map(names).fillna(concepts.astype(str).map(plain))


def _contribution_figures(report: Report) -> list[_Shown]:
    assert report.contributions is not None
    shown = []
    weights = _weights(report)
    named = dict(zip(_named(report, weights.index.to_series()), weights, strict=True))
    for assay, part in _per_assay(report.contributions):
        scored = report.scores
        order = _samples(part)
        if scored is not None and not scored.empty:
            rows = scored[scored["score"].notna()]
            if assay and "assay" in rows:
                rows = rows[rows["assay"].astype(str) == assay]
            order = _samples(rows.sort_values(["score", "sample"], ascending=[False, True]))
        drawn = part.assign(concept=_named(report, part["concept"]))
        if drawn["contribution"].notna().any() and order:
            figure = figures.contributions(
                drawn, order, named, _groups(report, order), _key("contributions", assay)
            )
            shown.append(_show(figure, assay))
    return shown


def _differential_figures(report: Report) -> list[_Shown]:
    assert report.differential is not None
    table = report.differential
    group = _setting(report, "cohort", "group", "")
    shown = []
    for assay, part in _per_assay(table):
        terms = list(dict.fromkeys(part.loc[part["effect"].notna(), "term"].astype(str)))
        ours = [term for term in terms if group and re.match(rf"(C\()?{re.escape(group)}\b", term)]
        for position, term in enumerate((ours or terms[:1])[:3]):
            figure = figures.differential(
                part,
                term,
                float(_setting(report, "statistics", "max_fdr", 0.05)),
                _term_words(report, term),
                _key(f"differential-{position + 1}", assay),
            )
            shown.append(_show(figure, assay))
    return shown


def _term_words(report: Report, term: str) -> str:
    """A term of the design as people say it: `group[T.depressed]` compares two groups."""
    match = re.fullmatch(r"(?:C\()?(\w+)[^\[]*\[T?\.?([^\]]+)\]", term)
    if not match:
        return term
    reference = _setting(report, "cohort", "reference", "")
    if match[1] == _setting(report, "cohort", "group", "") and reference:
        return f"{match[1]}, {match[2]} against {reference}"
    return f"{match[1]}, {match[2]}"


def _differential_summary(report: Report) -> Table | None:
    table = _present(report.differential)
    if table is None:
        return None
    limit = float(_setting(report, "statistics", "max_fdr", 0.05))
    by = [name for name in ("assay", "term", "method") if name in table]
    tested = table[table["p"].notna()].assign(found=lambda rows: rows["q"] <= limit)
    counted = tested.groupby(by, sort=True).agg(
        samples=("n", "max"), taxa_tested=("taxon_id", "nunique"), found=("found", "sum")
    )
    counted = counted.rename(columns={"found": f"taxa with q ≤ {limit:g}"}).reset_index()
    counted["term"] = [_term_words(report, str(term)) for term in counted["term"]]
    return _as_table(
        counted, "Taxa tested, by term and method", "results/statistics/differential.tsv"
    )


def _power_note(report: Report) -> str:
    if _present(report.differential) is None or _present(report.metadata) is None:
        return ""
    usable = report.status.loc[report.status["status"] == "ok", "sample"].astype(str).tolist()
    groups = _groups(report, list(dict.fromkeys(usable)))
    sizes = groups.value_counts(sort=False)
    sizes = sizes.drop([figures.NO_GROUP, figures.ALL_SAMPLES], errors="ignore")
    if len(sizes) < 2 or sizes.min() >= SMALL_GROUP:
        return ""
    return (
        f"The smallest group has {count_of(int(sizes.min()), 'sample')} with status ok. "
        "Standardised differences of 0.2 to 0.3, as expected for single taxa, need about 175 to "
        "390 samples a group for 80 % power; absence of a finding here is not evidence of absence."
    )


def _warnings(report: Report) -> dict[str, Any]:
    groups = []
    for status in ("failed", "empty", "low_depth", "excluded"):
        rows = report.status[report.status["status"] == status]
        if rows.empty:
            continue
        several = len(_assays(report.status)) > 1
        items = [
            (
                f"{row['sample']} ({row['assay']})" if several else str(row["sample"]),
                _text(row.get("reason")) or "no reason recorded",
            )
            for _, row in rows.head(MAX_NAMED).iterrows()
        ]
        groups.append(
            {
                "status": status,
                "title": f"{count_of(len(rows), 'sample')} {_STATUS_WORDS[status]}",
                "items": items,
                "more": len(rows) - len(items),
            }
        )
    missing = list(report.not_run)
    noted = {note.analysis for note in missing}
    for analysis, content in (
        ("taxa", _any_counts(report)),
        ("alpha", report.alpha),
        ("ordination", report.ordinations),
        ("permanova", report.permanova),
        ("signature", report.scores),
        ("contributions", report.contributions),
        ("evidence", report.evidence),
        ("differential", report.differential),
    ):
        if not _has(content) and analysis not in noted:
            missing.append(NotRun(analysis, "no table was given, and no reason was recorded"))
    unscored = 0
    if (scores := _present(report.scores)) is not None:
        unscored = int(scores["score"].isna().sum())
    return {"samples": groups, "not_run": missing, "unscored": unscored}


def _summary(report: Report) -> list[tuple[str, str]]:
    status = report.status
    facts = [("Samples in the sheet", f"{status['sample'].nunique():,}")]
    if len(_assays(status)) > 1:
        facts.append(
            ("By assay", ", ".join(f"{a} {n:,}" for a, n in status["assay"].value_counts().items()))
        )
    counts = status["status"].value_counts()
    order = [name for name in ("ok", "low_depth", "empty", "failed", "excluded") if name in counts]
    facts.append(("By status", ", ".join(f"{plain(name)} {counts[name]:,}" for name in order)))
    groups = _groups(report, _samples(status))
    if list(groups.cat.categories) != [figures.ALL_SAMPLES]:
        sizes = groups.value_counts(sort=False)
        facts.append(("By group", ", ".join(f"{g} {n:,}" for g, n in sizes.items())))
    raw = report.ledger["raw"].dropna().astype(float)
    if len(raw):
        facts.append(
            (
                "Raw fragments a sample",
                f"median {raw.median():,.0f} (range {raw.min():,.0f} to {raw.max():,.0f})",
            )
        )
    if (scores := _present(report.scores)) is not None:
        scored = int(scores["score"].notna().sum())
        facts.append(("Samples with a signature score", f"{scored:,} of {len(scores):,}"))
    return facts


# Columns of the sheet that name things instead of describing the person.
_NAMES = re.compile(r"sample|subject|run|fastq_\d|assay|sample_type|accession|excluded?|path", re.I)


def _characteristics(report: Report) -> Table | None:
    """What is known of the samples, by group: median [quartiles] or counts, and what is missing."""
    metadata = _present(report.metadata)
    if metadata is None:
        return None
    groups = _groups(report, metadata["sample"].astype(str).tolist())
    names = [str(g) for g in groups.cat.categories if (groups == g).any()]
    column = _setting(report, "cohort", "group", "")
    if len(names) > 6:
        names = []
    blocks = {name: (groups == name).to_numpy() for name in names}
    if len(names) != 1:
        blocks["all"] = np.ones(len(metadata), dtype=bool)
    rows: dict[str, list[str]] = {"samples": [f"{int(mask.sum()):,}" for mask in blocks.values()]}
    for field_name in metadata.columns:
        if field_name == column or _NAMES.fullmatch(str(field_name)):
            continue
        known = metadata[field_name].replace("", np.nan)
        if known.isna().all():
            continue
        numbers = pd.to_numeric(known, errors="coerce")
        if numbers.notna().sum() == known.notna().sum() and numbers.nunique() > 2:
            describe = _quartiles
            values = numbers
        elif known.nunique() <= 8:
            describe = _levels
            values = known.astype(object)
        else:
            continue
        rows[str(field_name)] = [describe(values[mask]) for mask in blocks.values()]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(blocks))
    return _as_table(
        table.rename_axis("variable").reset_index(),
        "Characteristics: median [quartiles] or counts; missing values in brackets",
        "results/tables/metadata.tsv",
    )


def _quartiles(values: pd.Series) -> str:
    known = values.dropna()
    missing = f" ({len(values) - len(known)} missing)" if len(known) < len(values) else ""
    if known.empty:
        return f"none{missing}"
    low, middle, high = known.quantile([0.25, 0.5, 0.75])
    return f"{middle:.3g} [{low:.3g} to {high:.3g}]{missing}"


def _levels(values: pd.Series) -> str:
    known = values.dropna().map(lambda value: str(value).removesuffix(".0"))
    missing = f" ({len(values) - len(known)} missing)" if len(known) < len(values) else ""
    counts = known.value_counts().sort_index()
    return (", ".join(f"{level}: {n:,}" for level, n in counts.items()) or "none") + missing


def _ledger_total(ledger: pd.DataFrame) -> Table:
    columns = [c for c in ledger.columns if c not in ("sample", "assay")]
    total: dict[str, Any] = {"sample": f"all {len(ledger):,}", "assay": ""}
    total |= {name: ledger[name].sum() for name in columns}
    first = pd.DataFrame([total])[list(ledger.columns)]
    return _as_table(
        pd.concat([first, ledger.astype(object)], ignore_index=True),
        "Read ledger in fragments; the first row is the cohort",
        _LEDGER_SOURCE,
        integers=columns,
    )


def _permanova_sentences(report: Report) -> list[str]:
    table = _present(report.permanova)
    if table is None:
        return []
    group = _setting(report, "cohort", "group", "")
    if group in set(table["term"]):
        # What the cohort was set up to compare; the covariates stand in the table below.
        table = table[table["term"] == group]
    sentences = []
    for _, row in table.iterrows():
        if str(row["term"]).lower() in ("residual", "total") or pd.isna(row.get("p")):
            continue
        place = f" ({row['assay']})" if len(_assays(table)) > 1 else ""
        text = (
            f"{figures.METRICS.get(row['metric'], plain(str(row['metric'])))}{place}: "
            f"{_term_words(report, str(row['term']))} accounts for "
            f"{100 * row['r2']:.1f} % of the variation (pseudo-F {row['pseudo_f']:.2f}, "
            f"{int(row['df'])} df, p = {row['p']:.3g}, n = {int(row['n'])})."
        )
        spread = row.get("permdisp_p")
        if pd.notna(spread):
            text += f" Dispersion within groups: PERMDISP p = {spread:.3g}" + (
                "; groups also differ in spread, which can by itself make PERMANOVA small p."
                if spread <= 0.05
                else "."
            )
        sentences.append(text[0].upper() + text[1:])
    return sentences


def _abstained(report: Report) -> Table | None:
    scores = _present(report.scores)
    if scores is None or not scores["score"].isna().any():
        return None
    columns = ["sample", "assay", "n_classified", "weight_detectable", "status", "reason"]
    rows = scores.loc[scores["score"].isna(), [c for c in columns if c in scores]]
    return _as_table(rows, "Samples without a score, and why", "results/signature/scores.tsv")


def _evidence_table(report: Report) -> Table:
    evidence = report.evidence
    assert evidence is not None
    weight = f"weight_{_setting(report, 'signature', 'profile', 'evidence')}"
    wanted = ["name" if "name" in evidence else "concept", "rank", "direction", "grade", weight]
    rows = evidence.copy()
    if weight in rows:
        rows = rows.assign(size=-rows[weight].abs()).sort_values(["size", "concept"], kind="stable")
        rows[weight] = rows[weight].map(lambda value: f"{value:+.3f}" if value else "0")
    table = _as_table(
        rows[[c for c in [*wanted, "note"] if c in rows]],
        "Taxa of the signature, in order of weight. Direction: reported in depression, against "
        "comparison groups. Grade: A strongest, C weakest, X conflicting",
        "config/evidence/taxa.tsv",
        headings={wanted[0]: "taxon", weight: "weight"},
    )
    claims = _present(report.claims)
    if claims is None:
        return table
    table.columns.append(("sources", False))
    cited = _cited(_present(report.sources))
    for cells, concept in zip(table.rows, rows["concept"].head(MAX_ROWS), strict=True):
        cells.append(_claims_cell(claims[claims["concept"] == concept], cited))
    return table


def _cited(sources: pd.DataFrame | None) -> dict[str, str]:
    """How each source is cited in a table: its authors and year, or its id."""
    cited = {}
    for _, row in (pd.DataFrame() if sources is None else sources).iterrows():
        authors = str(row["citation"]).split(",")[0].split(" (")[0]
        year = _text(row.get("year")).removesuffix(".0")
        if year and re.search(r" et al\.?$| and [A-Z]\w+$", authors):
            cited[str(row["source_id"])] = f"{authors.removesuffix(' et al.')} {year}"
    return cited


def _claims_cell(claims: pd.DataFrame, cited: Mapping[str, str]) -> Cell:
    parts: list[Link | str] = []
    for direction, rows in claims.groupby("direction", sort=True):
        parts.append(("; " if parts else "") + f"{direction}: ")
        for position, (_, row) in enumerate(rows.iterrows()):
            name = cited.get(str(row["source_id"]), _source_name(str(row["source_id"])))
            url = citation_url(_text(row.get("doi_or_pmid")))
            parts += ([", "] if position else []) + [Link(name, url) if url else name]
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


def _references(report: Report) -> list[Link | str]:
    listed = [(text, citation_url(doi)) for text, doi in _TOOL_REFERENCES]
    sources = _present(report.sources)
    if sources is not None:
        for _, row in sources.iterrows():
            text, year = _text(row["citation"]), _text(row.get("year")).removesuffix(".0")
            text = text if not year or year in text else f"{text} ({year})"
            listed.append((text, citation_url(_text(row.get("doi_or_pmid")))))
    unique = sorted(set(listed), key=lambda item: (item[0].lower(), item[1]))
    return [Link(text, url) if url else text for text, url in unique]


def _databases(report: Report) -> Table | None:
    rows = [
        {
            "assay": assay,
            "file": name,
            "bytes": entry.get("bytes"),
            "sha256": entry.get("sha256", ""),
        }
        for assay, database in sorted(report.provenance.get("databases", {}).items())
        for name, entry in [
            ("whole database", {"sha256": database.get("sha256", "")}),
            *sorted(database.get("files", {}).items()),
        ]
    ]
    if not rows:
        return None
    return _as_table(
        pd.DataFrame(rows), "Fingerprint of the databases", "results/provenance/run.json"
    )


def _pairs(values: Mapping[str, Any], caption: str, key: str, value: str) -> Table | None:
    if not values:
        return None
    table = pd.DataFrame({key: list(values), value: [str(item) for item in values.values()]})
    return _as_table(table, caption, "results/provenance/run.json")


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Settings as dotted names; a path is cut to its last part, so that no machine shows."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            flat[f"{prefix}{key}"] = f"…/{Path(text).name}" if text.startswith("/") else text
    return flat


def _sample_facts(report: Report, sample: str) -> list[tuple[str, str]]:
    metadata = _present(report.metadata)
    column = _setting(report, "cohort", "group", "")
    if metadata is None or not column or column not in metadata:
        return []
    rows = metadata[metadata["sample"].astype(str) == sample]
    return [(plain(column), _text(rows.iloc[0][column]) or figures.NO_GROUP)] if len(rows) else []


def _sample_figures(
    report: Report, sample: str, assay: str, row: pd.Series
) -> dict[str, _Shown | None]:
    shown: dict[str, _Shown | None] = dict.fromkeys(("ledger", "taxa", "score", "contributions"))
    if pd.notna(row["raw"]):
        shown["ledger"] = _show(figures.sample_ledger(row, _key("ledger", assay)))
    counts = report.genus_counts.get(assay)
    if counts is None and len(report.genus_counts) == 1 and not assay:
        counts = next(iter(report.genus_counts.values()))
    if counts is not None and sample in counts.columns[3:] and counts[sample].sum():
        source = f"results/tables/{assay}.genus.counts.tsv"
        shown["taxa"] = _show(figures.sample_taxa(counts, sample, _key("taxa", assay), source))
    scored = _score_row(report, sample, assay)
    if scored is not None and pd.notna(scored["score"]):
        reference, name = _reference_scores(report, sample, assay)
        if len(reference):
            shown["score"] = _show(
                figures.sample_score(scored, reference, name, _key("score", assay))
            )
        if (table := _present(report.contributions)) is not None:
            part = _matching(table, sample, assay)
            part = part.assign(concept=_named(report, part["concept"]))
            if part["contribution"].notna().any():
                shown["contributions"] = _show(
                    figures.sample_contributions(part, _key("contributions", assay))
                )
    return shown


def _score_row(report: Report, sample: str, assay: str) -> pd.Series | None:
    scores = _present(report.scores)
    if scores is None:
        return None
    rows = _matching(scores, sample, assay)
    return None if rows.empty else rows.iloc[0]


def _reference_scores(report: Report, sample: str, assay: str) -> tuple[pd.Series, str]:
    assert report.scores is not None
    scores = report.scores[report.scores["score"].notna()]
    if assay and "assay" in scores:
        scores = scores[scores["assay"].astype(str) == assay]
    groups = _groups(report, _samples(scores))
    name = _setting(report, "cohort", "reference", "")
    values = scores.set_index(scores["sample"].astype(str))["score"].astype(float)
    if name and (groups == name).any():
        values = values[(groups == name).reindex(values.index).to_numpy()]
    else:
        name = "all other samples"
    return values.drop(sample, errors="ignore"), name


def _score_sentences(report: Report, sample: str, assay: str) -> list[str]:
    row = _score_row(report, sample, assay)
    if row is None:
        return [f"No score: {_reason(report, 'signature', report.scores) or 'not in the table.'}"]
    if pd.isna(row["score"]):
        return [f"No score: {_text(row.get('reason')) or 'no reason was recorded'}."]
    reference, name = _reference_scores(report, sample, assay)
    sentences = [
        (
            f"Score {row['score']:.2f} (95 % interval {row['score_low']:.2f} to "
            f"{row['score_high']:.2f}, natural-log units), from {int(row['n_classified']):,} "
            "fragments classified as bacterial or archaeal."
        )
    ]
    if pd.notna(row.get("percentile")):
        sentences.append(
            f"This lies at percentile {row['percentile']:.0f} of the reference samples "
            f"({name}, n = {len(reference)}); with so many samples a percentile is known to about "
            f"± {_percentile_error(row['percentile'], len(reference)):.0f} points."
        )
    if pd.notna(row.get("weight_detectable")):
        sentences.append(
            f"{100 * row['weight_detectable']:.0f} % of the weight of the signature lies on taxa "
            "that the database can detect."
        )
    if note := _text(row.get("reason")):
        sentences.append(f"Note: {note}.")
    sentences.append(
        "A higher score means that the composition resembles more what has been reported in "
        "depression. It cannot show cause, and one sample of one day says little: the interval "
        "does not include variation between days or between extractions."
    )
    return sentences


def _percentile_error(percentile: float, n: int) -> float:
    share = min(max(percentile / 100, 1 / (n + 2)), 1 - 1 / (n + 2)) if n else 0.5
    return float(100 * 1.96 * np.sqrt(share * (1 - share) / max(n, 1)))


def _optional_table(table: pd.DataFrame | None, caption: str, source: str) -> Table | None:
    present = _present(table)
    return None if present is None else _as_table(present, caption, source)


def _as_table(
    table: pd.DataFrame,
    caption: str,
    source: str,
    headings: Mapping[str, str] | None = None,
    integers: Sequence[str] = (),
) -> Table:
    shown = table.head(MAX_ROWS)
    columns, cells = [], []
    for name in table.columns:
        values = shown[name]
        numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
        numeric = numeric or name in integers
        heading = (headings or {}).get(str(name), plain(str(name)))
        columns.append((heading, numeric))
        identifier = str(name).endswith("_id") or str(name) in ("seed", "year")
        cells.append(_numbers(values, identifier) if numeric else [_text(v) for v in values])
    rows = [[Cell([text]) for text in row] for row in zip(*cells, strict=True)]
    return Table(caption, columns, rows, len(table), source)


def _numbers(values: pd.Series, identifier: bool) -> list[str]:
    known = values.dropna().astype(float)
    whole = bool((known == known.round()).all())
    if identifier and whole:
        return ["" if pd.isna(v) else f"{v:.0f}" for v in values]
    return ["" if pd.isna(v) else _number(float(v), whole) for v in values]


def _number(value: float, whole: bool) -> str:
    """Whole numbers in full; others to three significant digits.

    >>> _number(12345, True), _number(0.012345, False), _number(-1234.5, False)
    ('12,345', '0.0123', '-1,234')
    """
    if whole or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _text(value: Any) -> str:
    return "" if value is None or (not isinstance(value, str) and pd.isna(value)) else str(value)
