"""The pages people read: every table of a run in, one self-contained HTML text out."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from moodbiome import figures
from moodbiome.abundance_methods import CONSENSUS_METHODS
from moodbiome.evaluation import BOTH, SCORE, WITHIN
from moodbiome.evidence import shared_with_others
from moodbiome.figures import Figure, Ordination, count_of, listed, method_name, plain
from moodbiome.measures import LINEAR_METHODS, linear_method, missing_confounders

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
MAX_NAMED = 6
# What the warnings hold against an input: shares above, or below, these.
MAX_UNCLASSIFIED = 0.5
MAX_FAILED_QC = 0.3
MIN_WEIGHT_DETECTABLE = 0.5
# With fewer, a percentile says more than is known: one sample moves it by 5 points or more.
MIN_PERCENTILE_REFERENCE = 20
RECALLED = "†"
RECALLED_WORDS = f"{RECALLED} recalled, not looked up again"
# Differences in single taxa between people with depression and controls, in standard deviations:
# recalled from the literature, not looked up again.
EXPECTED_SHIFTS = (0.2, 0.3)


class NotRun(NamedTuple):
    """An analysis that was not run, and why.

    `analysis` is one of the sections: ledger, taxa, alpha, ordination, permanova, signature,
    contributions, indices, evidence, differential, power; other names are shown among the
    warnings only.
    """

    analysis: str
    reason: str


class Link(NamedTuple):
    """Words that lead to a publication, or to another page of the run."""

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
        One row a sample and assay (see docs: fixed file names). Optional in status: sample_type, by
        default "sample", and warnings, each text ended by "; ".
    genus_counts : mapping of assay to DataFrame
        taxon_id, name, lineage, then one column a sample; rows 0 and -1 included.
    alpha, permanova, scores, contributions, resolution, differential, power : DataFrame or None
    alpha, permanova, scores, contributions, resolution, differential : DataFrame or None
    measures, group_sensitivity : DataFrame or None
    alpha, permanova, scores, contributions, resolution, indices, more_scores, \
differential : DataFrame or None
        As written by their rules; an `assay` column, where several assays were run, gives each
        assay its own figures.
    psychobiotics : DataFrame or None
        results/signature/psychobiotics.tsv.
    sensitivity : DataFrame or None
        results/profile/<assay>.sensitivity.tsv of all assays, with a column assay.
    minimisers : DataFrame or None
        The flagged rows of results/tables/<assay>.minimisers.tsv, with a column assay.
    community_types, community_models, community_tests : DataFrame or None
        results/signature/community_types.tsv, community_type_models.tsv, community_type_tests.tsv.
    community_kinds : DataFrame or None
        config/community_types/types.tsv: the reference types in order, with their names.
    ordinations : sequence of (assay, Ordination)
        The assay may be empty where there is only one.
    loadings : DataFrame or None
        results/diversity/loadings.<metric>.tsv of all dissimilarities, with a column metric.
    depth_effects : DataFrame or None
        results/diversity/depth_effects.tsv.
    evidence, claims, sources : DataFrame or None
        config/evidence/taxa.tsv, claims.tsv and sources.tsv.
    longitudinal, changes, retention : DataFrame or None
        As written by their rule; None where no repeated samples were declared.
    evidence, claims, sources, other_conditions : DataFrame or None
        config/evidence/taxa.tsv, claims.tsv, sources.tsv and other_conditions.tsv.
    evaluation, calibration : DataFrame or None
        As written by evaluate_signature.
    pooled, by_cohort, trials, trials_pooled : DataFrame or None
        As written by pool_cohorts and pool_trials; None, and no section, where they are not set.
    metadata : DataFrame or None
        One row a sample, with the column of cohort.group.
    provenance : mapping
        `databases` (assay -> {sha256, files}), `imports` (the same of imported tables, with
        `formats`), `versions` (tool -> version), `confidence` (by assay), `seed`, `inputs`.
    not_run : sequence of NotRun
    """

    config: Mapping[str, Any]
    ledger: pd.DataFrame
    status: pd.DataFrame
    genus_counts: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    sensitivity: pd.DataFrame | None = None
    minimisers: pd.DataFrame | None = None
    alpha: pd.DataFrame | None = None
    ordinations: Sequence[tuple[str, Ordination]] = ()
    loadings: pd.DataFrame | None = None
    depth_effects: pd.DataFrame | None = None
    permanova: pd.DataFrame | None = None
    scores: pd.DataFrame | None = None
    contributions: pd.DataFrame | None = None
    resolution: pd.DataFrame | None = None
    community_types: pd.DataFrame | None = None
    community_models: pd.DataFrame | None = None
    community_tests: pd.DataFrame | None = None
    community_kinds: pd.DataFrame | None = None
    indices: pd.DataFrame | None = None
    more_scores: pd.DataFrame | None = None
    psychobiotics: pd.DataFrame | None = None
    evidence: pd.DataFrame | None = None
    claims: pd.DataFrame | None = None
    sources: pd.DataFrame | None = None
    other_conditions: pd.DataFrame | None = None
    differential: pd.DataFrame | None = None
    measures: pd.DataFrame | None = None
    group_sensitivity: pd.DataFrame | None = None
    longitudinal: pd.DataFrame | None = None
    changes: pd.DataFrame | None = None
    retention: pd.DataFrame | None = None
    evaluation: pd.DataFrame | None = None
    calibration: pd.DataFrame | None = None
    pooled: pd.DataFrame | None = None
    by_cohort: pd.DataFrame | None = None
    trials: pd.DataFrame | None = None
    trials_pooled: pd.DataFrame | None = None
    power: pd.DataFrame | None = None
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
        "..",
        title=_setting(report, "report", "title", "Gut microbiome cohort"),
        warnings=_warnings(report),
        summary=_summary(report),
        characteristics=_characteristics(report),
        ledger=_section(report, "ledger", report.ledger, _ledger_figures),
        ledger_total=_ledger_total(report.ledger),
        status=_status_table(report),
        taxa=_section(report, "taxa", _any_counts(report), _taxa_figures),
        sensitivity=[_sensitivity(report, assay) for assay in _sensitivity_assays(report)],
        minimisers=_minimiser_sentences(report),
        alpha=_section(report, "alpha", report.alpha, _alpha_figures),
        ordination=_section(report, "ordination", report.ordinations, _ordination_figures),
        axes=_axes_table(report),
        depth=_depth_sentences(report),
        permanova=_permanova_sentences(report),
        permanova_table=_optional_table(
            report.permanova,
            "Tests of the whole community (PERMANOVA) and of equal dispersion (PERMDISP)",
            "results/diversity/permanova.tsv",
        ),
        permanova_reason=_not_run(report, "permanova", report.permanova),
        signature=_section(report, "signature", report.scores, _score_figures),
        unseen=_unseen_sentences(report),
        abstained=_abstained(report),
        contributions=_section(
            report, "contributions", report.contributions, _contribution_figures
        ),
        indices=_section(report, "indices", report.indices, _index_figures),
        community=_section(report, "community types", report.community_types, _community_figures),
        community_words=_community_sentences(report),
        community_tests=_community_tests(report),
        more_scores=_more_scores(report),
        index_reasons=_index_reasons(report),
        evaluation=_section(report, "evaluation", report.evaluation, _evaluation_figures),
        evaluation_sentences=_evaluation_sentences(report),
        psychobiotics=_psychobiotic_panels(report),
        evidence=_evidence_table(report) if evidence is not None else None,
        shared=_shared(report),
        evidence_reason=_not_run(report, "evidence", report.evidence),
        differential=_section(report, "differential", report.differential, _differential_figures),
        differential_summary=_differential_summary(report),
        differential_tables=[
            part for part in (_agreed_taxa(report), _absent_taxa(report)) if part is not None
        ],
        power=_section(report, "power", report.power, _power_figures),
        measures=_section(report, "measures", report.measures, _measure_figures),
        measures_words=_measure_words(report),
        measures_found=_measures_found(report),
        group_sensitivity_words=_group_sensitivity_words(report),
        group_sensitivity=_group_sensitivity_table(report),
        longitudinal=None
        if report.retention is None
        else _section(report, "longitudinal", report.retention, _longitudinal_figures),
        retention=_optional_table(
            report.retention,
            "Subjects assigned to each arm, with a sample, and with one of status ok",
            "results/statistics/retention.tsv",
        ),
        longitudinal_effects=_longitudinal_effects(report),
        longitudinal_taxa=_longitudinal_taxa(report),
        power_sentences=_power_sentences(report),
        pooled=None
        if report.pooled is None
        else _section(report, "pooled", report.pooled, _pooled_figures),
        trials=None
        if report.trials is None
        else _section(report, "trials", report.trials, _trial_figures),
        trials_table=_trials_table(report),
        methods=_methods(report),
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
                "imported": assay in report.provenance.get("imports", {}),
                "status": plain(str(status["status"])),
                "reason": _text(status.get("reason")),
                "type": _type_words(report, (sample, assay)),
                "control": _control_words(report, (sample, assay)),
                "warnings": _sample_warnings(report, sample, assay),
                "figures": _sample_figures(report, sample, assay, row),
                "score": _score_sentences(report, sample, assay),
            }
        )
    return _page(
        template,
        "../..",
        title=f"Sample {sample}",
        cohort_title=_setting(report, "report", "title", "Gut microbiome cohort"),
        assays=assays,
        facts=_sample_facts(report, sample),
        databases=_databases(report),
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


def _has_reads(report: Report) -> bool:
    """Whether any assay was sequenced here; the tables of the others were imported."""
    return bool(set(_assays(report.status)) - set(report.provenance.get("imports", {})))


def _methods(report: Report) -> list[tuple[str, str]]:
    """The methods in words: of reads only where there were any, and of imported tables."""
    imports = report.provenance.get("imports", {})
    of_reads = () if not imports or _has_reads(report) else ("reads", "host", "profile")
    config = {key: part for key, part in report.config.items() if key not in of_reads}
    text = methods(
        config, report.provenance.get("versions", {}), report.provenance.get("confidence", {})
    )
    if imports:
        tables = "; ".join(
            f"{assay}: {', '.join(f'{form}, {name}' for name, form in found['formats'].items())}"
            for assay, found in sorted(imports.items())
        )
        paragraph = (
            f"The feature tables of these assays were given ({tables}); what was done to their "
            "reads is not known here. Counts of higher ranks are sums over the lineages; shares "
            "became counts by the fragments of the sample sheet. A taxon without a domain counts "
            "as bacterial. A sample with fewer than "
            f"{_setting(report, 'tables', 'low_depth_fragments', 0):,} bacterial and archaeal "
            "fragments has the status low depth."
        )
        place = sum(1 for heading, _ in text if heading in ("Reads", "Host", "Taxa"))
        text.insert(place, ("Imported tables", paragraph))
    return text


def methods(
    config: Mapping[str, Any],
    versions: Mapping[str, str],
    confidence: Mapping[str, float] | None = None,
) -> list[tuple[str, str]]:
    """The methods in words, from the settings and the versions of the tools.

    Parameters
    ----------
    config : mapping
        As in config/config.yaml; a section that is absent gets no paragraph.
    versions : mapping of tool to version
    confidence : mapping of assay to float
        What was classified with, where the setting leaves it to the size of the database.

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
            f"{_confidence_words(profile['confidence'], confidence or {})}, at least "
            f"{profile['min_hit_groups']} minimiser hit groups). "
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
        if minimisers := profile.get("minimisers"):
            paragraph += (
                f" Taxa with fewer than {minimisers['min_distinct']:,} distinct minimisers in a "
                f"sample, and with less than {100 * minimisers['min_distinct_share']:g} % of what "
                "as many average fragments of it hold, were "
                + (
                    "flagged (amplicons and viruses are not judged)."
                    if minimisers["action"] == "flag"
                    else "dropped there and their fragments left unassigned (amplicons and "
                    "viruses are not judged)."
                )
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
                + " fragments; given are the mean and the middle 95 %. At equal coverage each "
                "sample was rarefied to the least coverage that any compared sample has at that "
                "depth (Chao and Jost 2012). "
                + (
                    "Faith's phylogenetic diversity and UniFrac are of the tree given. "
                    if diversity.get("tree")
                    else ""
                )
                + "Taxonomic PD is Faith's sum of branches on the taxonomy, one unit a rank, and "
                "no phylogenetic diversity. Dissimilarities: "
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
                    f"{signature['draws']} draws and covers the noise of counting and of "
                    "re-estimation only. A sample that cannot be scored soundly has no score, but "
                    "a reason."
                ),
            )
        )
        evaluated = signature.get("evaluate")
        if evaluated and config.get("cohort", {}).get("group"):
            text.append(
                (
                    "Evaluation",
                    (
                        "Areas under the ROC curve have intervals after DeLong, with subjects as "
                        "clusters, in Wilson's form; p is one-sided, from "
                        f"{evaluated['permutations']:,} permutations of the labels within cohorts. "
                        "Covariates, alone and with the score, were modelled by ridge logistic "
                        "regression and judged out of fold: 10 times 5 folds, a subject's samples "
                        "in one of them, and, with several cohorts, each predicted from the others."
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
                + f"by: {_models(statistics['methods'])}. The first is the primary method, the "
                "others stand beside it. Two or more of CLR, "
                "ANCOM-BC2 and Dirichlet-multinomial that find a taxon in the same direction are a "
                "consensus (Nearing et al. 2022). A taxon of which a group has no fragment is a "
                "structural zero: it is not tested against that group by models of abundance, and "
                "stands apart. q values are Benjamini-Hochberg, over all taxa of a term and model, "
                "and "
                f"q ≤ {statistics['max_fdr']:g} is marked.",
            )
        )
        if group and statistics["power"]["simulations"]:
            text.append(
                (
                    "Power",
                    (
                        "Power was estimated by "
                        f"{statistics['power']['simulations']:,} simulations a size of effect: the "
                        "residuals of the model were shuffled over the samples, and an effect was "
                        "added to one group. "
                        + (
                            "Taxa had their fragments thinned, one tested taxon in ten at a time, "
                            "and were tested by the primary method; scores"
                            if statistics["methods"][0] in LINEAR_METHODS
                            else "Scores"
                        )
                        + " and diversity were shifted, up and down."
                    ),
                )
            )
        text.append(
            (
                "Measured variables",
                f"Each taxon ({method_name(linear_method(statistics['methods']))}), alpha "
                "diversity metric and the score was modelled on each measured variable, "
                "adjusted for "
                + (", ".join(statistics["adjust_for"]) or "nothing")
                + " as far as the sheet has them, by least squares, or with a random intercept "
                "where subjects repeat. Concentrations entered as log2, those beyond the detection "
                "limit by their expectation from a censored regression on the covariates "
                "(Richardson and Ciampi 2003). q values are Benjamini-Hochberg within kind of "
                "variable and kind of feature. Sensitivity runs repeat the tests, and those of the "
                "group, without users of antidepressants, without antibiotics in the last "
                f"{statistics['recent_antibiotics_days']:g} days, and adjusted for stool "
                "consistency.",
            )
        )
    if config.get("cohort", {}).get("subject"):
        arms = config["cohort"]["arm"]
        text.append(
            (
                "Change over time",
                (
                    "Values after baseline were modelled on timepoint, arm at each timepoint, the "
                    "subject's own baseline value and a random intercept of the subject; effects "
                    "are differences between arms in change. "
                    if arms
                    else "Values were modelled on timepoint and a random intercept of the subject. "
                )
                + "Models were fitted by restricted maximum likelihood, with Satterthwaite's "
                "degrees of freedom. All subjects with a baseline take part"
                + (", in the arm they were assigned to" if arms else "")
                + ", as long as they were seen; nothing is imputed. q values are "
                "Benjamini-Hochberg over all outcomes of a kind, arms and timepoints.",
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


def _confidence_words(setting: float | str, chosen: Mapping[str, float]) -> str:
    """The confidence in words.

    >>> _confidence_words(0.05, {})
    '0.05'
    >>> _confidence_words("auto", {"shotgun": 0.2, "amplicon": 0.1})
    '0.2 for shotgun and 0.1 for amplicon, by the size of the database'
    """
    if not isinstance(setting, str):
        return f"{setting:g}"
    if len(set(chosen.values())) == 1:
        values = f"{next(iter(chosen.values())):g}, "
    else:
        several = [f"{value:g} for {assay}" for assay, value in chosen.items()]
        values = f"{_enumerated(several)}, " if several else ""
    return f"{values}by the size of the database"


_MODELS = {
    "log2_proportion": "log2 proportion (least squares on log2 shares)",
    "clr_bias_corrected": "CLR, bias-corrected (centred log-ratios, the effects relative to what "
    "most taxa do, in the manner of LinDA, Zhou et al. 2022)",
    "prevalence": "prevalence (presence, adjusted for depth)",
    "ancombc2": "ANCOM-BC2 (counts plus 1, Lin and Peddada 2024)",
    "dirichlet_multinomial": "Dirichlet-multinomial (log-ratios drawn from each sample's "
    "posterior, in the manner of ALDEx2, Fernandes et al. 2014)",
}


def _models(methods: Sequence[str]) -> str:
    return "; ".join(_MODELS[method] for method in methods)


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
_OF_READS = (
    "10.1093/bioinformatics/bty560",
    "10.1038/nmeth.1923",
    "10.7717/peerj-cs.104",
    "10.1186/s13059-019-1891-0",
)
_ANALYSES = {
    "ledger": "read ledger",
    "alpha": "alpha diversity",
    "permanova": "test of the groups (PERMANOVA)",
    "permdisp": "test of equal dispersion (PERMDISP)",
    "phylogeny": "phylogenetic diversity and UniFrac",
    "signature": "signature score",
    "contributions": "contributions to the score",
    "community types": "community types",
    "indices": "indices of groups of taxa",
    "evaluation": "evaluation of the score on the groups",
    "differential": "differential abundance",
    "measures": "measured variables",
    "sensitivity": "sensitivity runs",
    "longitudinal": "change over time",
    "pooled": "effects pooled over studies",
    "power": "power of the comparison",
}
_STATUS_WORDS = {
    "failed": "failed: no result",
    "empty": "empty: no fragments",
    "low_depth": "low depth: read with care",
    "excluded": "excluded by the sample sheet",
}
_LEDGER_SOURCE = "results/tables/ledger.tsv"


def _page(template: Path, results: str, **content: Any) -> str:
    """Fill a template; `results` is the way from the page to the folder of results."""
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["bound"] = _bound
    environment.globals["results"] = results
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
    """Figures; where they are not all there, what is the matter, and why if anybody said."""

    shown: list[_Shown]
    matter: str = ""
    reason: str = ""


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
    reason = _not_run(report, analysis, content)
    if not _has(content):
        return _Section([], "Not run", reason or "")
    shown = draw(report)
    if reason:
        return _Section(shown, "Not run in part", reason)
    if analysis == "ledger" and not shown and report.provenance.get("imports"):
        return _Section(shown, "The feature table was imported: its reads were not seen here")
    return _Section(shown, "" if shown else "There is no value to draw")


def _has(content: Any) -> bool:
    return content is not None and len(content) > 0


def _not_run(report: Report, analysis: str, content: Any) -> str | None:
    """Why an analysis was not run, or not in full: empty if no reason is known; None if it was."""
    reasons = [_reason(note.reason) for note in report.not_run if note.analysis == analysis]
    if reasons or not _has(content):
        return "; ".join(dict.fromkeys(reasons))
    return None


def _reason(text: str) -> str:
    """A reason in words: the method it begins with by its name, and once.

    >>> _reason("prevalence: prevalence: needs two groups")
    'prevalence (adjusted for depth): needs two groups'
    """
    if match := re.match(r"(\w+): (?:\1: )*", text):
        name = figures.METHODS.get(match[1], match[1])
        return f"{name}: {text[match.end() :]}"
    return text


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
            apart=_apart(report, assay),
        )
        shown.append(_show(figure, assay if several else ""))
    return shown


def _alpha_figures(report: Report) -> list[_Shown]:
    assert report.alpha is not None
    shown = []
    for assay, part in _per_assay(report.alpha):
        # Status is told by assay even where the table has one only.
        own = assay or next(iter(_assays(part)), "")
        compared = part["sample"].astype(str).isin(_compared(report, own))
        if part.loc[compared, "value"].notna().any():
            groups = _groups(report, _samples(part))
            apart = _apart(report, own)
            shown.append(_show(figures.alpha(part, groups, _key("alpha", assay), apart), assay))
    return shown


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


def _more_scores(report: Report) -> Table | None:
    """How each further signature was scored, by group: number, median and range."""
    table = _present(report.more_scores)
    if table is None:
        return None
    rows = []
    groups = _groups(report, _samples(table)).astype(str)
    table = table.assign(group=table["sample"].astype(str).map(groups).to_numpy())
    for (signature, assay), of_one in table.groupby(["signature", "assay"], sort=False):
        scored = of_one[of_one["score"].notna()]
        reasons = of_one.loc[of_one["score"].isna(), "reason"].dropna().astype(str)
        head = {"signature": signature, "assay": plain(str(assay))}
        if scored.empty:
            rows.append({**head, "group": "", "n": 0, "note": "; ".join(reasons.unique())})
        for group, part in scored.groupby("group"):
            bounds = f"{part['score'].min():.2f} to {part['score'].max():.2f}"
            share = _share(float(part["weight_detectable"].iloc[0]))
            rows.append(
                {
                    **head,
                    "group": group,
                    "n": len(part),
                    "median": f"{part['score'].median():.2f}",
                    "range": bounds,
                    "note": f"{share} of its weight is detectable",
                }
            )
    columns = ["signature", "assay", "group", "n", "median", "range", "note"]
    return _as_table(
        pd.DataFrame(rows, columns=columns).fillna({"median": "", "range": ""}),
        "Signatures of your own: score in natural-log units by group; n is the number of samples "
        "with a score. Higher: more like the list. Signatures are not on one scale",
        "results/signature/more_scores.tsv",
    )


def _index_figures(report: Report) -> list[_Shown]:
    assert report.indices is not None
    return [
        _show(figures.indices(part, _groups(report, _samples(part)), _key("indices", assay)), assay)
        for assay, part in _per_assay(report.indices)
        if part["value"].notna().any()
    ]


def _index_reasons(report: Report) -> list[str]:
    """Why indices have no value, and for how many samples."""
    table = _present(report.indices)
    if table is None:
        return []
    without = table[table["value"].isna()]
    n_indices = table["index"].nunique()
    sentences = []
    for (assay, reason), rows in without.groupby(["assay", "reason"], sort=False):
        names = [plain(str(index)) for index in dict.fromkeys(rows["index"])]
        which = "any index" if len(names) == n_indices else _enumerated(names)
        number = count_of(rows["sample"].nunique(), "sample")
        sentences.append(f"{number} without {which} ({plain(str(assay))}): {reason}.")
    return sentences


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


def _kinds(report: Report) -> dict[str, str]:
    """Reference types with their names for people."""
    kinds = _present(report.community_kinds)
    return {} if kinds is None else dict(zip(kinds["type"], kinds["name"], strict=True))


def _community_figures(report: Report) -> list[_Shown]:
    assert report.community_types is not None
    kinds = _kinds(report)
    shown = []
    for assay, part in _per_assay(report.community_types):
        groups = _groups(report, _samples(part))
        if part[["bacteroides_prevotella", "bacillota"]].notna().all(axis=1).any():
            shown.append(
                _show(figures.community_axes(part, groups, _key("community-axes", assay)), assay)
            )
        if kinds and part[f"membership_{next(iter(kinds))}"].notna().any():
            figure = figures.community_memberships(
                part, kinds, groups, _key("community-types", assay)
            )
            shown.append(_show(figure, assay))
    return shown


def _community_sentences(report: Report) -> list[str]:
    """What the reference types say, how coarse they are, and what the cohort's own types are."""
    types, kinds = _present(report.community_types), _kinds(report)
    if types is None:
        return []
    sentences = []
    several = len(_assays(types)) > 1
    for assay, part in types.groupby("assay", sort=False):
        where = f"{plain(str(assay)).capitalize()}: of" if several else "Of"
        called = part["reference_type"].map(_text)
        called = called[called != ""].value_counts()
        if called.empty:
            reasons = part.loc[part["status"] == "ok", "reason"].map(_text)
            why = next((reason for reason in reasons if reason), "no sample could be compared")
            sentences.append(f"{where} {count_of(len(part), 'sample')} none has a type: {why}.")
            continue
        named = [f"{called.pop('unclassified')} unclassified"] if "unclassified" in called else []
        named = [f"{n} resemble {kinds.get(str(k), str(k))}" for k, n in called.items()] + named
        total = int(part["reference_type"].map(_text).ne("").sum())
        low = part["reference_subtype"].map(_text).value_counts()
        sentences.append(
            f"{where} {count_of(total, 'sample')} compared with the reference, "
            f"{_enumerated(named)}."
            + "".join(
                f" Within these, {n} resemble {kinds.get(str(kind), str(kind))}."
                for kind, n in low[low.index != ""].items()
            )
        )
    models = _present(report.community_models)
    for row in [] if models is None else models.to_dict("records"):
        where = f" ({plain(str(row['assay']))})" if several else ""
        if _text(row["reason"]):
            sentences.append(f"No types were fitted to the cohort itself{where}: {row['reason']}.")
        elif row["is_chosen"] == "yes":
            sure = (
                ""
                if pd.isna(row["stability"])
                else (
                    f" Stability under resampling (adjusted Rand index; 1 is perfect): median "
                    f"{row['stability']:.2f}, 5th percentile {row['stability_low']:.2f}."
                )
            )
            sentences.append(
                f"Fitted to the cohort itself{where}: {count_of(int(row['k']), 'type')} in "
                f"{count_of(int(row['n_samples']), 'sample')}, by leading genera "
                f"{row['leading_genera']}." + sure
            )
    return sentences


def _community_tests(report: Report) -> Table | None:
    return _optional_table(
        report.community_tests,
        "Signature score between types, and the groups' difference in score with and without"
        " adjustment for type",
        "results/signature/community_type_tests.tsv",
    )


def _differential_figures(report: Report) -> list[_Shown]:
    assert report.differential is not None
    table = report.differential
    group = _setting(report, "cohort", "group", "")
    shown = []
    for assay, part in _per_assay(table):
        tested = part["effect"].notna() & part["q"].notna()
        terms = list(dict.fromkeys(part.loc[tested, "term"].astype(str)))
        ours = [term for term in terms if group and _variable(term) == group]
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


# Further metrics of alpha diversity stand in the table.
_DRAWN_OVER_TIME = ("signature_score", "observed", "shannon")
_POPULATION_WORDS = {"intention_to_treat": "all as assigned", "completers": "completers only"}
_MAX_TAXA_OVER_TIME = 20


def _longitudinal_figures(report: Report) -> list[_Shown]:
    reference = _setting(report, "cohort", "arm_reference", "")
    assert report.retention is not None
    shown = []
    for assay, part in _per_assay(report.retention):
        shown.append(_show(figures.retention(part, reference, _key("retention", assay)), assay))
    if (table := _present(report.changes)) is None:
        return shown
    several = len(_assays(table[table["assay"].notna()])) > 1
    for assay, part in table.groupby(table["assay"].fillna(""), sort=False):
        drawn = part[part["outcome"].isin(_DRAWN_OVER_TIME) | (assay == "")]
        if drawn[["value_from", "value_to"]].notna().any(axis=None):
            key = _key("trajectories", str(assay) or "sheet")
            what = str(assay) if assay and several else ("" if assay else "scales and markers")
            shown.append(_show(figures.trajectories(drawn, reference, key), what))
    return shown


def _longitudinal_effects(report: Report) -> Table | None:
    """Effects on everything but taxa; of alpha diversity on the metrics that are drawn."""
    table = _present(report.longitudinal)
    if table is None:
        return None
    families = ("scales", "markers", "signature", "alpha")
    drawn = (table["family"] != "alpha") | table["outcome"].isin(_DRAWN_OVER_TIME)
    rows = table[table["family"].isin(families) & drawn]
    rows = rows.sort_values("family", key=lambda names: names.map(families.index), kind="stable")
    if rows.empty:
        return None
    return _effects_over_time(
        report, rows, "Change since baseline in scales, markers, score and diversity"
    )


def _longitudinal_taxa(report: Report) -> Table | None:
    """The taxa with the smallest q, and how many there are below the limit."""
    table = _present(report.longitudinal)
    if table is None or not (table["family"] == "taxa").any():
        return None
    rows = table[(table["family"] == "taxa") & (table["population"] == "intention_to_treat")]
    limit = float(_setting(report, "statistics", "max_fdr", 0.05))
    counted = [
        f"{method_name(str(method))} {int((part['q'] <= limit).sum())} of {len(part)}"
        for method, part in rows.groupby("method", sort=False)
    ]
    caption = (
        f"Change since baseline in taxa: the {_MAX_TAXA_OVER_TIME} effects with the smallest q, "
        f"all as assigned. With q ≤ {limit:g}: {', '.join(counted)}"
    )
    rows = rows.sort_values(["q", "p"], kind="stable").head(_MAX_TAXA_OVER_TIME)
    return _effects_over_time(report, rows, caption)


def _effects_over_time(report: Report, rows: pd.DataFrame, caption: str) -> Table:
    has_arms = bool(_setting(report, "cohort", "arm", ""))
    shown = pd.DataFrame({"outcome": rows["name"].map(lambda name: plain(str(name)))})
    if rows["assay"].isna().any() or len(_assays(rows)) > 1:
        shown["assay"] = rows["assay"]
    if (rows["family"] == "taxa").any():
        shown["method"] = rows["method"].map(method_name)
    if has_arms:
        shown["arm"] = rows["arm"]
    shown["timepoint"] = rows["timepoint"].astype(str)
    if (rows["population"] == "completers").any():
        shown["subjects"] = rows["population"].map(_POPULATION_WORDS)
    shown["effect"] = rows["effect"]
    low, high = (_numbers(rows[bound], identifier=False) for bound in ("low", "high"))
    shown["95 % interval"] = [f"{a} to {b}" if a else "" for a, b in zip(low, high, strict=True)]
    shown = shown.join(rows[["p", "q"]])
    if has_arms:
        pairs = zip(rows["n_arm"], rows["n_reference"], strict=True)
        shown["n"] = [f"{arm:.0f} against {reference:.0f}" for arm, reference in pairs]
    else:
        shown["n"] = rows["n_arm"]
    shown["unit"] = rows["effect_unit"]
    reference = _setting(report, "cohort", "arm_reference", "")
    words = f"difference from the arm {reference} in change" if has_arms else "change"
    return _as_table(
        shown,
        f"{caption}. Effect: {words}; n: subjects at the timepoint",
        "results/statistics/longitudinal.tsv",
    )


_TERM = re.compile(
    r"""(?:C\()?(?:Q\(["'])?(?P<name>[^"'(),:\[\]]+)(?:["']\))?(?:,[^:\[\]]*)?\)?"""
    r"""(?:\[(?:T\.)?(?P<level>[^:\]]+)\])?"""
)


def _variable(term: str) -> str:
    """The column that a term of the design compares; empty for functions and interactions.

    >>> _variable("group"), _variable('C(Q("study arm"))[T.a]'), _variable("group:age")
    ('group', 'study arm', '')
    """
    match = _TERM.fullmatch(term)
    return match["name"] if match else ""


def _term_words(report: Report, term: str) -> str:
    """A term of the design as people say it: `group[T.depressed]` compares two groups."""
    match = _TERM.fullmatch(term)
    if not match:
        return term
    if not match["level"]:
        return match["name"]
    reference = _setting(report, "cohort", "reference", "")
    if match["name"] == _setting(report, "cohort", "group", "") and reference:
        return f"{match['name']}, {match['level']} against {reference}"
    return f"{match['name']}, {match['level']}"


def _differential_summary(report: Report) -> Table | None:
    table = _present(report.differential)
    if table is None:
        return None
    limit = float(_setting(report, "statistics", "max_fdr", 0.05))
    by = ["assay", "term", "method"] if len(_assays(table)) > 1 else ["term", "method"]
    rows = []
    for key, part in table[table["effect"].notna()].groupby(by, sort=False):
        tested = part[part["q"].notna()]
        rows.append(
            {
                **dict(zip(by, key, strict=True)),
                "samples": part["n"].max(),
                "taxa tested": tested["taxon_id"].nunique(),
                f"taxa with q ≤ {limit:g}": int((tested["q"] <= limit).sum()),
                **_calibration(part),
                "not tested: no variation left": listed(
                    sorted(part.loc[part["q"].isna(), "name"].astype(str))
                ),
            }
        )
    if not rows:
        return None
    counted = pd.DataFrame(rows)
    if not counted["not tested: no variation left"].any():
        counted = counted.drop(columns="not tested: no variation left")
    # The models write one below the other: put a term's next to each other.
    order = {str(term): place for place, term in enumerate(counted["term"].unique())}
    counted = counted.sort_values("term", key=lambda terms: terms.map(order), kind="stable")
    counted["term"] = [_term_words(report, str(term)) for term in counted["term"]]
    primary = next(iter(_setting(report, "statistics", "methods", [])), "")
    counted["method"] = [
        method_name(method) + (" (primary)" if method == primary else "")
        for method in counted["method"]
    ]
    return _as_table(
        counted, "Taxa tested, by term and method", "results/statistics/differential.tsv"
    )


def _evaluation_sentences(report: Report) -> list[str]:
    """What the score does on each comparison, and what it adds to the covariates."""
    table = _present(report.evaluation)
    if table is None:
        return []
    sentences = []
    several = len(_assays(table)) > 1
    for (assay, comparison), part in table.groupby(["assay", "comparison"], sort=False):
        scored = part[part["model"] == SCORE]
        row = scored.iloc[-1]
        where = " within cohorts" if row["n_cohorts"] > 1 else ""
        said = (
            f"{plain(str(comparison))}{f' ({assay})' if several else ''}: area{where} "
            f"{row['auc']:.2f} [{row['low']:.2f}, {row['high']:.2f}], permutation p "
            f"{row['p_permutation']:.2g}, n = {row['n_other']:.0f} against "
            f"{row['n_reference']:.0f}."
        )
        both = part[(part["model"] == BOTH) & (part["validation"] == WITHIN)]
        if len(both):
            added = both.iloc[-1]
            ends = f"{added['difference_low']:+.2f}, {added['difference_high']:+.2f}"
            said += " Added to the covariates the score changes their area by "
            said += f"{added['auc_difference']:+.2f} [{ends}]."
        if isinstance(row["warning"], str) and row["warning"]:
            said += f" Take it with care: {plain(row['warning'])}."
        sentences.append(said)
    return sentences


def _evaluation_figures(report: Report) -> list[_Shown]:
    assert report.evaluation is not None
    assert report.calibration is not None
    shown: list[_Shown] = []
    several = len(_assays(report.evaluation)) > 1
    pairs = ["assay", "comparison"]
    for number, ((assay, comparison), part) in enumerate(
        report.evaluation.groupby(pairs, sort=False), start=1
    ):
        words, label = plain(str(comparison)), str(assay) if several else ""
        key = _key(f"evaluation-{number}", str(assay))
        shown.append(_show(figures.evaluation(part, words, key), label))
        bins = report.calibration[(report.calibration[pairs] == [assay, comparison]).all(axis=1)]
        last = bins[bins["cohort"] == part["cohort"].iloc[-1]]
        key = _key(f"calibration-{number}", str(assay))
        shown.append(_show(figures.calibration(last, words, key), label))
    return shown


def _pooled_figures(report: Report) -> list[_Shown]:
    assert report.pooled is not None
    assert report.by_cohort is not None
    shown: list[_Shown] = []
    group = _setting(report, "cohort", "group", "")
    several = len(_assays(report.pooled)) > 1
    limit = float(_setting(report, "statistics", "max_fdr", 0.05))
    for (assay, term), part in report.pooled.groupby(["assay", "term"], sort=False):
        if group and _variable(str(term)) != group:
            continue
        own = report.by_cohort[
            (report.by_cohort["assay"] == assay) & (report.by_cohort["term"] == term)
        ]
        for method, rows in part.groupby("method", sort=False):
            figure = figures.pooled_effects(
                rows,
                own[own["method"] == method],
                limit,
                _term_words(report, str(term)),
                _key(f"pooled-{method}-{len(shown) + 1}", str(assay)),
            )
            shown.append(_show(figure, str(assay) if several else ""))
    return shown


def _trial_figures(report: Report) -> list[_Shown]:
    assert report.trials is not None
    assert report.trials_pooled is not None
    shown = []
    whole = report.trials_pooled[report.trials_pooled["analysis"] == "all"]
    rows = {str(row["outcome"]): row for _, row in whole.iterrows()}
    used = report.trials[report.trials["is_pooled"].astype(bool)]
    for number, (outcome, part) in enumerate(used.groupby("outcome", sort=True), start=1):
        for draw in (figures.forest, figures.funnel):
            key = _key(f"{draw.__name__}-{number}", "")
            shown.append(_show(draw(part, rows[str(outcome)], plain(str(outcome)), key)))
    return shown


def _trials_table(report: Report) -> Table | None:
    table = _present(report.trials_pooled)
    if table is None:
        return None
    columns = [
        *("outcome", "analysis", "variable", "level", "k", "effect", "low", "high", "p", "tau2"),
        *("i2", "significance_depends_on", "reason"),
    ]
    shown = table[columns].assign(
        analysis=table["analysis"].map(plain), outcome=table["outcome"].map(plain)
    )
    return _as_table(shown, "Trials pooled", "results/statistics/trials_pooled.tsv")


_CALIBRATION = {
    "calibrated": "calibrated",
    "conservative": "conservative: finds less than it could",
    "liberal": "not calibrated: more false findings than q says",
    "not_measured": "not measured for such a design",
}


def _calibration(part: pd.DataFrame) -> dict[str, str]:
    if "calibration" not in part:
        return {}
    words = part["calibration"].map(_CALIBRATION)
    return {"calibration, measured without any effect": listed(sorted(set(words)))}


def _agreed_taxa(report: Report) -> Table | None:
    """Taxa that at least two of the methods of the consensus find in the same direction."""
    table = _present(report.differential)
    if table is None or "consensus" not in table or table["consensus"].isna().all():
        return None
    methods = list(dict.fromkeys(table["method"]))
    counted = [method_name(method) for method in CONSENSUS_METHODS if method in methods]
    agreed = table[
        (table["consensus"].astype(str) == "True") & (table["method"] == methods[0])
    ].sort_values(["p", "taxon_id"], kind="stable")
    shown = agreed[["name", "term", "effect", "low", "high", "q", "n_agree"]].assign(
        term=[_term_words(report, str(term)) for term in agreed["term"]],
        n_agree=agreed["n_agree"].astype(int).astype(str) + f" of {len(counted)}",
    )
    if len(_assays(table)) > 1:
        shown.insert(0, "assay", agreed["assay"])
    limit = float(_setting(report, "statistics", "max_fdr", 0.05))
    return _as_table(
        shown,
        f"Consensus: taxa with q ≤ {limit:g} and the same direction by two or more of "
        f"{listed(counted)}; effect, interval and q are those of {method_name(methods[0])}",
        "results/statistics/differential.tsv",
        {"name": "taxon", "n_agree": "methods that agree"},
    )


def _absent_taxa(report: Report) -> Table | None:
    """Taxa that a whole group is without, and what the model of prevalence says of them."""
    table = _present(report.differential)
    if table is None or "status" not in table:
        return None
    keys = [*(["assay"] if len(_assays(table)) > 1 else []), "name", "term"]
    apart = table[table["status"] == "structural_zero"].drop_duplicates([*keys, "taxon_id"])
    if apart.empty:
        return None
    by = [*keys, "taxon_id"]
    presence = table.loc[table["method"] == "prevalence", [*by, "p", "q"]]
    shown = apart[[*by, "n", "prevalence", "absent_in"]].merge(presence, on=by, how="left")
    shown["term"] = [_term_words(report, str(term)) for term in shown["term"]]
    return _as_table(
        shown.drop(columns="taxon_id"),
        "Structural zeros: taxa of which a whole group has no fragment, not tested by the models "
        "of abundance; p and q are those of prevalence, empty where it was not run",
        "results/statistics/differential.tsv",
        {
            "name": "taxon",
            "n": "samples",
            "absent_in": "absent in",
            "p": "p of prevalence",
            "q": "q of prevalence",
        },
    )


def _main_measures(report: Report) -> pd.DataFrame | None:
    """Tests of measured variables in all samples, those without a p left out."""
    table = _present(report.measures)
    if table is None:
        return None
    return _present(table[(table["run"] == "main") & table["p"].notna()])


def _measure_figures(report: Report) -> list[_Shown]:
    table = _main_measures(report)
    if table is None:
        return []
    limit = float(_setting(report, "statistics", "max_fdr", 0.05))
    return [
        _show(figures.measures(part, limit, _key("measures", assay)), assay)
        for assay, part in _per_assay(table)
    ]


def _measure_words(report: Report) -> list[str]:
    """What the tests of measured variables amount to, and which confounders nobody wrote down."""
    words = []
    table = _main_measures(report)
    limit = float(_setting(report, "statistics", "max_fdr", 0.05))
    if table is not None and not (table["q"] <= limit).any():
        words.append(
            f"None of {count_of(len(table), 'test')} of a measured variable has q ≤ {limit:g}."
        )
    elif table is not None and _setting(report, "cohort", "group", ""):
        words.append(
            "A variable that goes with the group, as symptoms do, shows the differences between "
            "the groups once more, unless the settings adjust for the group."
        )
    if report.metadata is not None:
        missing = missing_confounders(report.metadata.columns)
        if missing:
            words.append(
                "The sheet has no column on: "
                + listed(missing, len(missing))
                + ". They are known to go with the gut microbiota, and nothing here is adjusted "
                "for them."
            )
    return words


def _measures_found(report: Report) -> Table | None:
    """Associations with a small q, each with the sensitivity runs in which it holds."""
    main = _main_measures(report)
    limit = float(_setting(report, "statistics", "max_fdr", 0.05))
    if main is None or report.measures is None or not (main["q"] <= limit).any():
        return None
    by = ["assay", "measure", "feature_kind", "feature", "contrast_of"]
    tests = report.measures.assign(contrast_of=_contrast_of(report.measures["contrast"]))
    found = tests.loc[main.index[main["q"] <= limit]]
    others = tests[(tests["run"] != "main") & tests["low"].notna()]
    pairs = found[[*by, "effect"]].merge(others, on=by, suffixes=("_main", ""))
    clear = (pairs["low"] > 0) | (pairs["high"] < 0)
    pairs["holds"] = clear & (pairs["effect"] * pairs["effect_main"] > 0)
    runs = pairs.groupby(by)["holds"].agg(["sum", "size"])
    keys = pd.MultiIndex.from_frame(found[by])
    counted = runs.reindex(keys).fillna(0).astype(int)
    holds = [
        f"{held} of {n}" if n else "none run"
        for held, n in counted[["sum", "size"]].itertuples(index=False)
    ]
    columns = ["measure", "contrast", "name", *_EFFECT_COLUMNS, "n", "n_censored"]
    shown = found.assign(**{"holds in sensitivity runs": holds}).sort_values("q", kind="stable")
    if len(_assays(shown)) > 1:
        columns = ["assay", *columns]
    return _as_table(
        shown[[*columns, "holds in sensitivity runs"]],
        f"Associations of measured variables with q ≤ {limit:g}",
        "results/statistics/measures.tsv",
        {"name": "feature", "n_censored": "n beyond limit"},
    )


_EFFECT_COLUMNS = ("effect", "low", "high", "effect_unit", "q")


def _contrast_of(contrasts: pd.Series) -> pd.Series:
    """A contrast without the standard deviation, which differs between runs."""
    return contrasts.astype(str).str.replace(r" \(.*\)$", "", regex=True)


def _group_findings(report: Report) -> pd.DataFrame | None:
    """Taxa that differ between the groups by the method of these runs: assay, taxon and term."""
    table, group = _present(report.differential), _setting(report, "cohort", "group", "")
    if table is None or not group or _present(report.group_sensitivity) is None:
        return None
    limit = float(_setting(report, "statistics", "max_fdr", 0.05))
    ours = table["term"].astype(str).map(_variable) == group
    method = linear_method(_setting(report, "statistics", "methods", ()))
    found = table[ours & (table["method"] == method) & (table["q"] <= limit)]
    return found[["assay", "taxon_id", "term"]]


def _group_sensitivity_words(report: Report) -> str:
    table, found = _present(report.group_sensitivity), _group_findings(report)
    if table is None or found is None or not found.empty:
        return ""
    method = method_name(linear_method(_setting(report, "statistics", "methods", ())))
    return (
        f"No taxon differs between the groups by {method}, so there is none of which to ask "
        "whether it holds."
    )


def _group_sensitivity_table(report: Report) -> Table | None:
    """The taxa that differ between the groups, in each sensitivity run."""
    table, found = _present(report.group_sensitivity), _group_findings(report)
    if table is None or found is None or found.empty:
        return None
    taxa = table[table["feature_kind"] == "taxon"]
    taxa = taxa.assign(taxon_id=taxa["feature"].astype(found["taxon_id"].dtype))
    rows = found.merge(taxa, on=["assay", "taxon_id", "term"])
    if rows.empty:
        return None
    shown = pd.DataFrame(
        {
            "taxon": rows["name"],
            "term": [_term_words(report, str(term)) for term in rows["term"]],
            "run": rows["run"].map(plain),
            "main effect": rows["main_effect"],
            **{name: rows[name] for name in ("effect", "low", "high", "n")},
            "same sign": rows["same_sign"].map({True: "yes", False: "no"}),
            "interval without 0": rows["excludes_zero"].map({True: "yes", False: "no"}),
        }
    )
    if len(_assays(rows)) > 1:
        shown.insert(0, "assay", rows["assay"])
    return _as_table(
        shown,
        "Taxa that differ between the groups (log2 fold change), in each sensitivity run",
        "results/statistics/group_sensitivity.tsv",
    )


def _power_figures(report: Report) -> list[_Shown]:
    assert report.power is not None
    limit = float(_setting(report, "statistics", "max_fdr", 0.05))
    shown = []
    for assay, part in _per_assay(report.power):
        for position, (term, rows) in enumerate(part.groupby("term", sort=False)):
            words, key = _term_words(report, str(term)), _key(f"power-{position + 1}", assay)
            shown.append(_show(figures.power(rows, words, limit, key), assay))
    return shown[:3]


def _power_sentences(report: Report) -> list[str]:
    """What each comparison can find, and what that means beside what others found."""
    table = _present(report.power)
    if table is None:
        return []
    sentences = []
    for assay, part in _per_assay(table):
        for term, rows in part.groupby("term", sort=False):
            words = _term_words(report, str(term)) + (f" ({assay})" if assay else "")
            sentences.append(_detectable_words(rows, words))
    return [*sentences, *_small_cohort(report)]


def _detectable_words(rows: pd.DataFrame, words: str) -> str:
    """The effects that one comparison finds in 80 % of the simulations."""
    tested = rows[rows["quantity"] == "power"]
    found = rows[rows["quantity"] == "detectable_at_80"]
    said = []
    for kind, part in found.groupby("feature_kind", sort=False):
        # The most common taxa, and one metric of diversity: the figure has the others.
        named = part[part["class"].isin(["from_90_percent", "shannon"])]
        row = (named if len(named) else part).iloc[0]
        name = f"a taxon, {_feature(row)}" if kind == "taxon" else _feature(row)
        of_size = f"{name} (n = {row['n_reference']:,} and {row['n_other']:,})"
        unit = "SD" if row["unit"] == "standard deviations" else f"in {row['unit']}"
        if pd.isna(row["effect"]):
            largest = tested.loc[tested["feature_kind"] == kind, "effect"].max()
            said.append(f"{of_size}, none up to the largest tried, {largest:g} {unit}")
            continue
        # A bound that the sizes tried do not reach is open.
        low, high = (
            "beyond" if pd.isna(row[bound]) else f"{row[bound]:.2g}" for bound in ("low", "high")
        )
        said.append(f"{of_size}, {row['effect']:.2g} {unit} ({low} to {high})")
    return (
        f"Smallest effect that this cohort finds in 80 % of simulations, for {words}: "
        f"{'; '.join(said)}."
    )


def _feature(row: pd.Series) -> str:
    """What a row of the power table is about, as the figure's legend has it."""
    return figures.POWER_FEATURES[f"{row['feature_kind']}.{row['class']}"]


def _small_cohort(report: Report) -> list[str]:
    """What a cohort that cannot find the differences reported for single taxa must be told."""
    table = _present(report.power)
    if table is None:
        return []
    needed = table[table["quantity"] == "needed_at_80"].groupby("effect")["n_other"].first()
    sizes = table.loc[table["quantity"] == "power", ["n_reference", "n_other"]]
    smallest = int(sizes.to_numpy().min())
    least, most = EXPECTED_SHIFTS
    if not {least, most} <= set(needed.index) or smallest >= needed[most]:
        return []
    sentence = (
        "The cohort is small for what is asked: differences reported for single taxa are about "
        f"{least:g} to {most:g} SD ({RECALLED_WORDS}). To find them in 80 % of cohorts takes "
        f"{needed[most]:,} to {needed[least]:,} samples a group, even where one taxon alone is "
        f"tested; the smallest group here has {smallest:,}. The absence of a finding is not "
        "evidence of absence."
    )
    return [sentence]


def _types(report: Report) -> dict[tuple[str, str], str]:
    """What each sample is: "sample", or a kind of control."""
    keys = _keys(report.status)
    if "sample_type" not in report.status:
        return dict.fromkeys(keys, "sample")
    kinds = report.status["sample_type"].map(_text)
    return dict(zip(keys, (kind or "sample" for kind in kinds), strict=True))


def _states(report: Report) -> dict[tuple[str, str], str]:
    return dict(zip(_keys(report.status), report.status["status"].astype(str), strict=True))


def _of_assay(keys: Iterable[tuple[str, str]], assay: str) -> list[str]:
    """Samples of one assay; of all where no assay is given."""
    return list(
        dict.fromkeys(sample for sample, own in keys if own == assay or not (own and assay))
    )


def _compared(report: Report, assay: str) -> list[str]:
    """Samples that take part in comparisons: of status ok, and no control."""
    types, states = _types(report), _states(report)
    return _of_assay(
        (key for key in types if types[key] == "sample" and states[key] == "ok"), assay
    )


def _apart(report: Report, assay: str) -> dict[str, str]:
    """Samples that take no part in comparisons, with why in a word or two."""
    types, states = _types(report), _states(report)
    rest = {
        key: plain(states[key] if types[key] == "sample" else types[key])
        for key in types
        if types[key] != "sample" or states[key] != "ok"
    }
    return {
        sample: rest[sample, own] for sample, own in rest if own == assay or not (own and assay)
    }


def _type_words(report: Report, key: tuple[str, str]) -> str:
    kind = _types(report).get(key, "sample")
    return "" if kind == "sample" else plain(kind)


class _Finding(NamedTuple):
    """Something the tables hold against samples, each with a note such as its share."""

    text: str
    samples: dict[tuple[str, str], str]


def _findings(report: Report) -> list[_Finding]:
    """What in the counts and scores makes the input look poor; controls are not judged."""
    types = _types(report)
    keys = pd.Series(_keys(report.ledger), index=report.ledger.index, dtype=object)
    ledger = report.ledger.assign(key=keys)
    ledger = ledger[[types[key] == "sample" for key in ledger["key"]]]
    ledger = ledger[ledger["raw"].fillna(0).astype(float) > 0]
    found = []
    for part, whole, limit, text in (
        (
            "unclassified",
            "non_host",
            MAX_UNCLASSIFIED,
            "of the non-host fragments are unclassified: the database may lack their taxa",
        ),
        ("failed_qc", "raw", MAX_FAILED_QC, "of the raw fragments failed quality control"),
    ):
        total = ledger[whole].astype(float)
        share = (ledger[part].astype(float) / total.where(total > 0)).fillna(0)
        high = ledger.assign(share=share)[share > limit]
        high = high.sort_values("share", ascending=False, kind="stable")
        if len(high):
            notes = dict(zip(high["key"], map(_share, high["share"]), strict=True))
            found.append(_Finding(f"more than {_share(limit)} {text}", notes))
    removed = _setting(report, "host", "remove", False)
    if removed and len(ledger) and not ledger["host"].astype(float).any():
        text = (
            "no fragment of the host in any sample: is the host index the right one? Reads that "
            "were cleaned before are declared by host.remove: false"
        )
        found.append(_Finding(text, {}))
    return found + _undetectable(report)


def _undetectable(report: Report) -> list[_Finding]:
    """Samples whose database holds too little of the signature, by how much it holds."""
    scores, types = _present(report.scores), _types(report)
    if scores is None or "weight_detectable" not in scores:
        return []
    by_share: dict[str, dict[tuple[str, str], str]] = {}
    for key, share in zip(_keys(scores), scores["weight_detectable"].astype(float), strict=True):
        if share < MIN_WEIGHT_DETECTABLE and types.get(key, "sample") == "sample":
            by_share.setdefault(_share(share), {})[key] = ""
    return [
        _Finding(
            f"{share} of the signature's weight is on taxa of the database, less than "
            f"{_share(MIN_WEIGHT_DETECTABLE)}",
            samples,
        )
        for share, samples in by_share.items()
    ]


def _share(value: float) -> str:
    """A share from 0 to 1 in percent, unbroken."""
    return f"{100 * value:.0f}\u00a0%"


def _control_words(report: Report, key: tuple[str, str]) -> str:
    """What was found in a control: few fragments, or none, are what a negative control is for."""
    sample, assay = key
    rows = _matching(report.ledger, sample, assay)
    if rows.empty or pd.isna(rows.iloc[0]["non_host"]):
        return "no counts"
    total = int(rows.iloc[0]["non_host"])
    negative = _types(report)[key] == "negative_control"
    if not total:
        return "0 non-host fragments" + (", a normal result" if negative else "")
    text = f"{count_of(total, 'non-host fragment')}"
    counts = report.genus_counts.get(assay)
    if counts is not None and sample in counts.columns[3:]:
        genera = counts[~counts["taxon_id"].isin((0, -1))]
        shares = genera.set_index("name")[sample].astype(float) / total
        top = shares[shares >= 0.1].sort_values(ascending=False, kind="stable").head(3)
        if len(top):
            text += ", mostly " if top.sum() >= 0.5 else ", the most abundant genera "
            text += ", ".join(f"{name} ({_share(share)})" for name, share in top.items())
    if negative and _states(report)[key] == "ok":
        text += "; as deep as a sample: look for contamination or a swap"
    return text


def _named_samples(
    report: Report, samples: Sequence[tuple[str, str]], notes: Mapping[tuple[str, str], str]
) -> list[Link | str]:
    """Names that lead to the samples' pages, with a note each; those beyond the sixth counted."""
    several = len(_assays(report.status)) > 1
    parts: list[Link | str] = []
    for key in samples[:MAX_NAMED]:
        name = f"{key[0]} ({key[1]})" if several else key[0]
        note = f" ({notes[key]})" if notes.get(key) else ""
        parts += [", "] if parts else []
        parts += [Link(name, _sample_page(key[0])), *([note] if note else [])]
    more = len(samples) - MAX_NAMED
    return parts + ([f" and {count_of(more, 'other')}"] if more > 0 else [])


def _sample_page(sample: str) -> str:
    return f"samples/{quote(sample, safe='')}.html"


def _said(
    report: Report, said: Iterable[tuple[tuple[str, str], str]], alike: bool
) -> list[list[Link | str]]:
    """One line for each thing said, with the samples it is said of.

    With `alike`, texts that differ only in numbers and files are one thing.
    """
    kinds: dict[str, dict[tuple[str, str], str]] = {}
    for key, text in said:
        kind = re.sub(r"\S*(?:[\d/]|\.\w)\S*", "#", text) if alike else text
        kinds.setdefault(kind, {}).setdefault(key, text)
    lines = []
    for texts in list(kinds.values())[:MAX_NAMED]:
        samples = list(texts)
        first = texts[samples[0]]
        others = " (the first; the others alike)" if len(set(texts.values())) > 1 else ""
        named = _named_samples(report, samples, {})
        lines.append([*named, f": {first}{others}"] if first else named)
    return lines + _more_lines(sum(len(texts) for texts in list(kinds.values())[MAX_NAMED:]))


def _warnings(report: Report) -> dict[str, Any]:
    """What a reader must know first, grouped by kind: each line is text and links."""
    types = _types(report)
    groups: list[tuple[str, list[list[Link | str]]]] = []
    reasons = {
        key: _text(reason)
        for key, reason in zip(
            _keys(report.status),
            report.status.get("reason", [""] * len(report.status)),
            strict=True,
        )
    }
    states = _states(report)
    for status, words in _STATUS_WORDS.items():
        said = [
            (key, reasons[key])
            for key in reasons
            if states[key] == status
            and (types[key] == "sample" or status in ("failed", "excluded"))
        ]
        if said:
            title = f"{count_of(len(said), 'sample')} {words}"
            groups.append((title, _said(report, said, alike=status == "low_depth")))
    controls = [
        key
        for key, kind in types.items()
        if kind != "sample" and states[key] not in ("failed", "excluded")
    ]
    if controls:
        groups.append((count_of(len(controls), "control"), _control_lines(report, controls)))
    if lines := _input_lines(report):
        groups.append(("Input to look at", lines))
    if lines := _score_lines(report):
        groups.append(("Signature score", lines))
    if small := _small_cohort(report):
        groups.append(("Power", [[sentence] for sentence in small]))
    missing = [(note.analysis, _reason(note.reason)) for note in report.not_run]
    for analysis, content in (
        ("taxa", _any_counts(report)),
        ("alpha", report.alpha),
        ("ordination", report.ordinations),
        ("permanova", report.permanova),
        ("signature", report.scores),
        ("contributions", report.contributions),
        ("evidence", report.evidence),
        ("differential", report.differential),
        ("measures", report.measures),
    ):
        if not _has(content) and analysis not in {name for name, _ in missing}:
            missing.append((analysis, "not run"))
    not_run = [(_ANALYSES.get(name, plain(name)), reason) for name, reason in missing]
    return {"groups": groups, "not_run": list(dict.fromkeys(not_run))}


def _control_lines(report: Report, controls: list[tuple[str, str]]) -> list[list[Link | str]]:
    types = _types(report)
    lines = [
        [
            *_named_samples(report, [key], {key: plain(types[key])}),
            f": {_control_words(report, key)}",
        ]
        for key in controls[:MAX_NAMED]
    ]
    return lines + _more_lines(len(controls) - MAX_NAMED)


def _more_lines(more: int) -> list[list[Link | str]]:
    if more < 1:
        return []
    return [[f"and {count_of(more, 'other')}: see ", Link("sample status", "#status")]]


def _input_lines(report: Report) -> list[list[Link | str]]:
    lines: list[list[Link | str]] = []
    for finding in _findings(report):
        named = _named_samples(report, list(finding.samples), finding.samples)
        lines.append([f"{finding.text}: ", *named] if named else [finding.text])
    for assay, database in sorted(report.provenance.get("databases", {}).items()):
        lines += [[f"{assay} database: {text}"] for text in database.get("warnings", [])]
    if "warnings" in report.status:
        said = [
            (key, text)
            for key, texts in zip(_keys(report.status), report.status["warnings"], strict=True)
            for text in _split(texts)
        ]
        lines += _said(report, said, alike=True)
    without = _without_group(report)
    if without:
        column = _setting(report, "cohort", "group", "")
        have = "has" if len(without) == 1 else "have"
        text = f"{count_of(len(without), 'sample')} {have} no value in '{column}': not compared ("
        lines.append([text, *_named_samples(report, without, {}), ")"])
    return lines


def _without_group(report: Report) -> list[tuple[str, str]]:
    """Samples that would be compared, had they a group."""
    metadata, column = _present(report.metadata), _setting(report, "cohort", "group", "")
    if metadata is None or not column or column not in metadata:
        return []
    known = metadata[column].map(_text) != ""
    grouped = set(metadata.loc[known, "sample"].astype(str))
    types, states = _types(report), _states(report)
    return [
        key
        for key in types
        if types[key] == "sample" and states[key] == "ok" and key[0] not in grouped
    ]


def _score_lines(report: Report) -> list[list[Link | str]]:
    scores = _present(report.scores)
    if scores is None:
        return []
    lines: list[list[Link | str]] = []
    scored = int(scores["score"].notna().sum())
    if unscored := len(scores) - scored:
        text = f"{unscored:,} of {count_of(len(scores), 'sample')} without a score: "
        lines.append([text, Link("the reasons", "#signature")])
    if "warning" in scores:
        said = scores.loc[scores["score"].notna(), "warning"]
        counted = pd.Series([text for texts in said for text in _split(texts)], dtype=object)
        for warning, number in counted.value_counts(sort=False).items():
            lines.append([f"{warning} ({number:,} of {count_of(scored, 'sample')} with a score)"])
    return lines


def _split(texts: Any) -> list[str]:
    """The warnings in one cell."""
    return [text for text in _text(texts).split("; ") if text]


def _sample_warnings(report: Report, sample: str, assay: str) -> list[str]:
    """What is said of one sample, without a word of any other."""
    key = (sample, assay)
    status = _matching(report.status, sample, assay)
    said = [text for texts in status.get("warnings", ()) for text in _split(texts)]
    said += [
        finding.text + (f" ({finding.samples[key]})" if finding.samples[key] else "")
        for finding in _findings(report)
        if key in finding.samples
    ]
    if key in _without_group(report):
        said.append(f"no value in '{_setting(report, 'cohort', 'group', '')}': not compared")
    row = _score_row(report, sample, assay)
    return said + _split(None if row is None else row.get("warning"))


def _status_table(report: Report) -> Table:
    """Every sample, however many: from here each page is reached."""
    table = _as_table(
        report.status,
        "Status of every sample",
        "results/tables/sample_status.tsv",
        most=len(report.status),
    )
    for row, sample in zip(table.rows, report.status["sample"].astype(str), strict=True):
        row[0] = Cell([Link(sample, _sample_page(sample))])
    return table


def _summary(report: Report) -> list[tuple[str, str]]:
    status = report.status
    facts = [("Samples in the sheet", f"{status['sample'].nunique():,}")]
    if len(_assays(status)) > 1:
        facts.append(
            ("By assay", ", ".join(f"{a} {n:,}" for a, n in status["assay"].value_counts().items()))
        )
    types = _types(report)
    kinds = list(types.values())
    if set(kinds) != {"sample"}:
        of_kind = [(kind, kinds.count(kind)) for kind in dict.fromkeys(kinds)]
        facts.append(("By type", ", ".join(f"{plain(kind)} {n:,}" for kind, n in of_kind)))
    counts = status["status"].value_counts()
    order = [name for name in ("ok", "low_depth", "empty", "failed", "excluded") if name in counts]
    facts.append(("By status", ", ".join(f"{plain(name)} {counts[name]:,}" for name in order)))
    people = [sample for sample in _samples(status) if _is_sample(report, sample)]
    groups = _groups(report, people)
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


def _is_sample(report: Report, sample: str) -> bool:
    """Whether it is a sample in any assay, and not a control."""
    kinds = {kind for (name, _), kind in _types(report).items() if name == sample}
    return not kinds or "sample" in kinds


# Columns of the sheet that name things instead of describing the person.
_NAMES = re.compile(r"sample|subject|run|fastq_\d|assay|sample_type|accession|excluded?|path", re.I)


def _characteristics(report: Report) -> Table | None:
    """What is known of the samples, by group: median [quartiles] or counts, and what is missing."""
    metadata = _present(report.metadata)
    if metadata is None:
        return None
    controls = {name for name in _samples(metadata) if not _is_sample(report, name)}
    metadata = metadata[~metadata["sample"].astype(str).isin(controls)]
    if metadata.empty:
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
        "Characteristics of the samples"
        + (" (controls left out)" if controls else "")
        + ": median [quartiles] or counts; missing values in brackets",
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
    total |= {name: ledger[name].sum(min_count=1) for name in columns}
    first = pd.DataFrame([total])[list(ledger.columns)]
    return _as_table(
        pd.concat([first, ledger.astype(object)], ignore_index=True),
        "Read ledger in fragments; the first row is the cohort",
        _LEDGER_SOURCE,
        integers=columns,
    )


class _Sensitivity(NamedTuple):
    """What other settings would have given of one assay, in a sentence and in a table."""

    sentence: str
    table: Table | None


def _sensitivity_assays(report: Report) -> list[str]:
    table = _present(report.sensitivity)
    return [] if table is None else list(dict.fromkeys(table["assay"].astype(str)))


def _sensitivity(report: Report, assay: str) -> _Sensitivity:
    assert report.sensitivity is not None
    rows = report.sensitivity[report.sensitivity["assay"].astype(str) == assay]
    missing = rows[rows["n_genera"].isna()]
    said = [f"{row.sample}: {row.note}" for row in missing.itertuples()]
    aside = f" Not measured: {'; '.join(said)}." if said else ""
    name = f"{assay[:1].upper()}{assay[1:]}"
    measured = rows.drop(index=missing.index)
    if measured.empty:
        return _Sensitivity(f"{name}: no sample could be measured.{aside}", None)
    settings = ["confidence", "min_fragments", "minimisers"]
    measured = measured.assign(minimisers=measured["minimisers"].fillna(""))
    of_setting = measured.groupby(settings, sort=False)
    mean = of_setting[["classified_share", "n_genera", "n_lost", "n_gained"]].mean()
    mean.insert(2, "bray_curtis", of_setting["bray_curtis"].max())
    # The run's own setting stands first in every sample.
    own, others = mean.iloc[0], mean.iloc[1:]
    n = measured["sample"].nunique()
    sentence = f"{name}, {count_of(n, 'sample')}: "
    if others["bray_curtis"].isna().all():
        sentence += "no genus is left to compare."
    else:
        at = int(others["bray_curtis"].argmax())
        worst = others.iloc[at]
        changed = [
            f"{words} {value if isinstance(value, str) else f'{value:g}'}"
            for words, value, kept in zip(
                ("confidence", "least fragments", "minimisers"),
                others.index[at],
                mean.index[0],
                strict=True,
            )
            if value != kept
        ]
        sentence += (
            f"of the settings tried, {_enumerated(changed)} changes the genera most, by a "
            f"Bray-Curtis distance of up to {worst['bray_curtis']:.2g}, with "
            f"{worst['n_genera']:.3g} genera a sample instead of {own['n_genera']:.3g}. "
            "What a result owes to one setting, this table shows."
        )
    shown = mean.reset_index()
    shown.insert(0, "setting", ["of this run", *[""] * len(others)])
    shown["classified_share"] = (100 * shown["classified_share"]).round(1)
    shown["bray_curtis"] = shown["bray_curtis"].round(4)
    if not shown["minimisers"].any():
        shown = shown.drop(columns="minimisers")
    table = _as_table(
        shown,
        f"Other settings, one changed at a time, {assay}: means over {count_of(n, 'sample')} "
        f"(the distance: the largest), first {int(measured['fragments'].max()):,} fragments of "
        "each at most, genera before re-estimation. Lost and gained: genera, against this run",
        f"results/profile/{assay}.sensitivity.tsv",
        headings={
            "min_fragments": "least fragments",
            "classified_share": "classified, %",
            "n_genera": "genera",
            "bray_curtis": "Bray-Curtis distance",
            "n_lost": "lost",
            "n_gained": "gained",
        },
    )
    return _Sensitivity(sentence + aside, table)


def _minimiser_sentences(report: Report) -> list[str]:
    """What was flagged for too few distinct minimisers, genus by genus in the most samples."""
    table = _present(report.minimisers)
    if table is None:
        return []
    sentences = []
    for assay, part in table[table["rank"] == "genus"].groupby("assay"):
        common = (
            part.groupby("name")["sample"].nunique().sort_values(ascending=False, kind="stable")
        )
        named = [f"{name} (in {count_of(n, 'sample')})" for name, n in common.items()]
        sentences.append(
            f"Genera seen in so few places of their genomes that they may not be there "
            f"({assay}): {listed(named)}. Every case: results/tables/{assay}.minimisers.tsv."
        )
    return sentences


def _permanova_sentences(report: Report) -> list[str]:
    table = _present(report.permanova)
    if table is None:
        return []
    tested = table[table["p"].notna()]
    tested = tested[~tested["term"].astype(str).str.lower().isin(["residual", "total"])]
    group = _setting(report, "cohort", "group", "")
    of_group = tested["term"].astype(str).map(_variable) == group
    several = len(_assays(table)) > 1
    sentences = []
    # What the cohort was set up to compare; the covariates stand in the table below.
    for _, row in (tested[of_group] if of_group.any() else tested).iterrows():
        same = tested["metric"] == row["metric"]
        if several:
            same &= tested["assay"] == row["assay"]
        others = [
            _term_words(report, str(term))
            for term in tested.loc[same, "term"]
            if term != row["term"]
        ]
        given = f", given {_enumerated(others)}" if others else ""
        text = (
            _metric_words(str(row["metric"]))
            + (f" ({row['assay']})" if several else "")
            + f": R² {100 * row['r2']:.1f} % for {_term_words(report, str(row['term']))}{given} "
            f"(pseudo-F {row['pseudo_f']:.2f}, {int(row['df'])} df, p = {row['p']:.3g}, "
            f"n = {int(row['n'])})."
        )
        if note := _text(row.get("note")):
            text += f" Note: {note}."
        spread = row.get("permdisp_p")
        if pd.notna(spread):
            text += f" Dispersion within groups: PERMDISP p = {spread:.3g}" + (
                "; groups also differ in spread, which can by itself make PERMANOVA small p."
                if spread <= 0.05
                else "."
            )
        sentences.append(text[0].upper() + text[1:])
    return sentences


_TAXA_OF_AXIS = 5


def _axes_table(report: Report) -> Table | None:
    """The taxa that go with the drawn axes, the strongest first, a row a dissimilarity and axis."""
    table = _present(report.loadings)
    if table is None:
        return None
    several = len(_assays(table)) > 1
    rows = []
    known = table[table["correlation"].notna()]
    for _, part in known.groupby(["assay", "metric", "axis"], sort=False):
        named = part.iloc[0]
        metric = _metric_words(str(named["metric"]))
        top = part.head(_TAXA_OF_AXIS)
        taxa = [
            f"{name} ({r:+.2f})" for name, r in zip(top["name"], top["correlation"], strict=True)
        ]
        rows.append(
            {
                "dissimilarity": metric + (f" ({named['assay']})" if several else ""),
                "axis": named["axis"],
                "taxa, with Spearman's correlation": ", ".join(taxa),
            }
        )
    if not rows:
        return None
    return _as_table(
        pd.DataFrame(rows),
        "Taxa that go with the axes of the ordinations, strongest first",
        "results/diversity/loadings.<metric>.tsv",
    )


def _depth_sentences(report: Report) -> list[str]:
    """Whether the conclusions on the groups hold at half and at double the depth."""
    table = _present(report.depth_effects)
    if table is None:
        return []
    several = len(_assays(table)) > 1
    sentences = []
    for assay, part in _per_assay(table):
        for depth in sorted(part["depth_fragments"].unique()):
            rows = part[part["depth_fragments"] == depth]
            chosen = int(rows["reference_depth_fragments"].iloc[0])
            which = "half" if depth < chosen else "double"
            where = f"At {which} the depth, {int(depth):,} fragments"
            where += f" ({assay})" if several else ""
            known = rows[rows["conclusion_holds"].notna()]
            n = int(rows["n"].max())
            if known.empty:
                reason = next(filter(None, map(_text, rows["note"])), "no test could be made")
                sentences.append(
                    f"{where}, {n} samples remain and nothing can be tested: {reason}."
                )
                continue
            holds = known["conclusion_holds"].astype(str) == "True"
            text = (
                f"{where}, n = {n}: on the same samples, {int(holds.sum())} of {len(known)} "
                f"conclusions (p at or below 0.05, and its direction) are those at {chosen:,}"
            )
            failing = [
                f"{_metric_words(str(row['metric']))} (p {row['reference_p']:.2g} → {row['p']:.2g})"
                for _, row in known[~holds].iterrows()
            ]
            text += f"; other: {_enumerated(failing)}." if failing else "."
            sentences.append(text)
    return sentences


def _metric_words(metric: str) -> str:
    return figures.METRICS.get(metric, plain(metric))


def _enumerated(names: Sequence[str]) -> str:
    """
    >>> _enumerated(["age"]), _enumerated(["age", "sex", "bmi"])
    ('age', 'age, sex and bmi')
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _abstained(report: Report) -> Table | None:
    scores = _present(report.scores)
    if scores is None or not scores["score"].isna().any():
        return None
    columns = ["sample", "assay", "n_classified", "weight_detectable", "status", "reason"]
    rows = scores.loc[scores["score"].isna(), [c for c in columns if c in scores]]
    return _as_table(rows, "Samples without a score, and why", "results/signature/scores.tsv")


def _unseen_sentences(report: Report) -> list[str]:
    """How much of the signature each assay's database, or imported table, lacks, and which taxa."""
    resolution = _present(report.resolution)
    if resolution is None:
        return []
    sentences = []
    imports = report.provenance.get("imports", {})
    for assay, members in resolution.groupby("assay", sort=False):
        concepts = members.drop_duplicates("concept")
        concepts = concepts.assign(size=concepts["weight"].abs())
        unseen = concepts[concepts["detectable"] == "no"]
        holder = "imported table" if assay in imports else "database"
        words = f"Of the signature's weight, the {plain(str(assay))} {holder} "
        if unseen.empty:
            sentences.append(f"{words}has a taxon for all.")
            continue
        share = unseen["size"].sum() / concepts["size"].sum()
        names = unseen.sort_values(["size", "concept"], ascending=[False, True])["name"]
        names = names.str.replace(r" \(.*", "", regex=True)
        lacking = f"no taxon for {_enumerated(list(names))}"
        sentences.append(
            f"{words}lacks {_share(share)}: it has {lacking}; whether they could have been found "
            "is not known."
            if assay in imports
            else f"{words}cannot show {_share(share)}: it has {lacking}."
        )
    return sentences


class _Panel(NamedTuple):
    """Psychobiotics of one assay: a table of those that can be shown, and what cannot."""

    sentences: list[str]
    table: Table | None


def _psychobiotic_panels(report: Report) -> list[_Panel]:
    psychobiotics = _present(report.psychobiotics)
    if psychobiotics is None:
        return []
    return [
        _psychobiotic_panel(str(assay), part)
        for assay, part in psychobiotics.groupby("assay", sort=False)
    ]


def _psychobiotic_panel(assay: str, part: pd.DataFrame) -> _Panel:
    """One row a sample, one column an organism; one that no sample can show is said in words."""
    names = part.drop_duplicates("organism").set_index("organism")["name"]
    names = names.str.replace(r" \(.*", "", regex=True)
    absent: dict[str, list[str]] = {}
    for organism, rows in part.groupby("organism", sort=False):
        if rows["call"].isin(["not in this database", "not assessable"]).all():
            # A sample that failed says nothing about the organism: the commonest reason does.
            why = str(rows["reason"].fillna("").mode().iloc[0])
            absent.setdefault(why, []).append(str(organism))
    sentences = [
        f"Not shown ({plain(assay)}): {_enumerated([names[key] for key in found])}. Reason: {why}."
        for why, found in absent.items()
    ]
    left = [key for key in names.index if not any(key in found for found in absent.values())]
    if not left:
        return _Panel(sentences, None)
    shown = part[part["organism"].isin(left)]
    wide = (
        shown.assign(cell=[_psychobiotic_words(row) for row in shown.itertuples()])
        .pivot_table(index="sample", columns="organism", values="cell", aggfunc="first", sort=False)
        .reindex(columns=left)
        .rename(columns=names.to_dict())
        .rename_axis(columns=None)
        .reset_index()
    )
    caption = (
        f"Psychobiotic panel, {plain(assay)}: share in % of the fragments of all taxa of the rank, "
        "with its 95 % interval, or < the share above which it would have been found; of a strain "
        "what its k-mers allow to say"
    )
    return _Panel(sentences, _as_table(wide, caption, "results/signature/psychobiotics.tsv"))


def _psychobiotic_words(row: Any) -> str:
    if row.level == "strain":
        return str(row.call)
    if row.call.startswith("detected"):
        return f"{100 * row.proportion:.2g} ({100 * row.low:.2g} to {100 * row.high:.2g})"
    if row.call == "not detected":
        return f"< {100 * row.detection_limit:.2g}"
    return str(row.call)


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
    marked = any(RECALLED in cells[-1].parts for cells in table.rows)
    return replace(table, caption=f"{table.caption}. {RECALLED_WORDS}") if marked else table


class _Shared(NamedTuple):
    """How far the signature is that of other conditions, in a sentence and a table."""

    sentence: str
    table: Table


def _shared(report: Report) -> _Shared | None:
    evidence, others = _present(report.evidence), _present(report.other_conditions)
    profile = _setting(report, "signature", "profile", "evidence")
    if evidence is None or others is None or f"weight_{profile}" not in evidence:
        return None
    # A signature of the user's own need not have each of these concepts.
    known = others[others["concept"].isin(evidence["concept"])]
    shared, share = shared_with_others(evidence, known, profile)
    if shared.empty:
        return None
    names = dict(zip(evidence["concept"], _named(report, evidence["concept"]), strict=True))

    def in_words(concepts: str) -> str:
        return ", ".join(names[name] for name in concepts.split(", ") if name)

    rows = shared.assign(
        condition=shared["condition"] + shared["recalled"].map({True: f" {RECALLED}", False: ""}),
        concepts=shared["concepts"].map(in_words),
        share=shared["share"].map(_share),
        opposite=shared["opposite"].map(in_words),
    )
    sentence = (
        f"{_share(share)} of the weight of the score lies on taxa whose shift has been reported, "
        "in the same direction, in at least one of the other conditions below. The list is neither "
        "complete nor all looked up: a high score does not tell depression from them."
    )
    headings = {
        "concepts": "taxa in the same direction",
        "share": "share of the weight",
        "opposite": "taxa in the opposite direction",
    }
    table = _as_table(
        rows.drop(columns="recalled"),
        f"Other conditions in which taxa of the signature have been reported. {RECALLED_WORDS}",
        "config/evidence/other_conditions.tsv",
        headings=headings,
    )
    return _Shared(sentence, table)


class _Source(NamedTuple):
    """A source as it is cited in a table: in few words, with its page, and if it was recalled."""

    words: str
    url: str
    recalled: bool


def _has_authors(citation: str) -> bool:
    return bool(re.search(r" et al\.?$| and [A-Z]\w+$", _authors(citation)))


def _authors(citation: str) -> str:
    return citation.split(",")[0].split(" (")[0]


def _year(row: Mapping[str, Any] | pd.Series) -> str:
    return _text(row.get("year")).removesuffix(".0")


def _cited(sources: pd.DataFrame | None) -> dict[str, _Source]:
    """How each source is cited: authors and year, else its identifier, else as a data set."""
    cited = {}
    for _, row in (pd.DataFrame() if sources is None else sources).iterrows():
        citation, identifier = _text(row["citation"]), _text(row.get("doi_or_pmid"))
        if _has_authors(citation) and _year(row):
            words = f"{_authors(citation).removesuffix(' et al.')} {_year(row)}"
        else:
            words = _identifier_words(identifier) or f"{_authors(citation)} (data set)"
        recalled = _text(row.get("certainty")) == "memory"
        cited[str(row["source_id"])] = _Source(words, citation_url(identifier), recalled)
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


def _claims_cell(claims: pd.DataFrame, cited: Mapping[str, _Source]) -> Cell:
    parts: list[Link | str] = []
    for direction, rows in claims.groupby("direction", sort=True):
        parts.append(("; " if parts else "") + f"{direction}: ")
        for position, (_, row) in enumerate(rows.iterrows()):
            source_id = str(row["source_id"])
            source = cited.get(source_id, _Source(_source_name(source_id), "", False))
            url = citation_url(_text(row.get("doi_or_pmid"))) or source.url
            parts += [", "] if position else []
            parts.append(Link(source.words, url) if url else source.words)
            if source.recalled or _text(row.get("certainty")) == "memory":
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


def _references(report: Report) -> dict[str, Any]:
    """Every work to cite, by the alphabet, and whether one of them is marked as recalled."""
    unused = () if _has_reads(report) else _OF_READS
    listed_works = {(text, doi, False) for text, doi in _TOOL_REFERENCES if doi not in unused}
    sources = _present(report.sources)
    for _, row in (pd.DataFrame() if sources is None else sources).iterrows():
        text, identifier = _text(row["citation"]), _text(row.get("doi_or_pmid"))
        if identifier:
            text = text.replace(f" ({identifier})", "")
        elif not _has_authors(text):
            text = f"Data set without identifier: {text}"
        text = text if not _year(row) or _year(row) in text else f"{text} ({_year(row)})"
        listed_works.add((text, identifier, _text(row.get("certainty")) == "memory"))
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


def _databases(report: Report) -> Table | None:
    rows = [
        {
            "assay": assay,
            "file": name,
            "bytes": entry.get("bytes"),
            "sha256": entry.get("sha256", ""),
        }
        for kind, key in (("database", "databases"), ("import", "imports"))
        for assay, found in sorted(report.provenance.get(key, {}).items())
        for name, entry in [
            (f"whole {kind}", {"sha256": found.get("sha256", "")}),
            *sorted(found.get("files", {}).items()),
        ]
    ]
    if not rows:
        return None
    return _as_table(
        pd.DataFrame(rows),
        "Fingerprint of the databases and imported tables",
        "results/provenance/run.json",
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
        compared = _compared(report, assay)
        drawn = figures.sample_taxa(counts, sample, _key("taxa", assay), source, compared=compared)
        shown["taxa"] = _show(drawn)
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
    """Scores of the samples that one is compared with, and what they are called in the plural."""
    assert report.scores is not None
    scores = report.scores[report.scores["score"].notna()]
    if assay and "assay" in scores:
        scores = scores[scores["assay"].astype(str) == assay]
    scores = scores[scores["sample"].astype(str).isin(_compared(report, assay))]
    groups = _groups(report, _samples(scores))
    group = _setting(report, "cohort", "reference", "")
    values = scores.set_index(scores["sample"].astype(str))["score"].astype(float)
    if not group or not (groups == group).any():
        return values.drop(sample, errors="ignore"), "other samples"
    values = values[(groups == group).reindex(values.index).to_numpy()]
    other = "other " if sample in values.index else ""
    is_control = re.fullmatch(r"controls?", group, re.IGNORECASE)
    name = "controls" if is_control else f"reference samples ({group})"
    return values.drop(sample, errors="ignore"), f"{other}{name}"


def _score_sentences(report: Report, sample: str, assay: str) -> list[str]:
    row = _score_row(report, sample, assay)
    if row is None:
        reason = _not_run(report, "signature", report.scores)
        return [f"No score: {'not in the table' if reason is None else reason or 'not run'}."]
    if pd.isna(row["score"]):
        reason = _text(row.get("reason"))
        return [f"No score: {reason}." if reason else "No score."]
    sentences = [
        (
            f"Score {row['score']:.2f} (95 % interval {row['score_low']:.2f} to "
            f"{row['score_high']:.2f}, natural-log units), from {int(row['n_classified']):,} "
            "fragments classified as bacterial or archaeal."
        )
    ]
    if pd.notna(row.get("percentile")):
        compared = _reference_scores(report, sample, assay)
        if _setting(report, "signature", "reference_table", ""):
            # Their scores are not in the tables; the percentile among them is.
            n = 0 if pd.isna(row["n_reference"]) else int(row["n_reference"])
            compared = pd.Series(np.nan, index=range(n)), "reference samples of an earlier run"
        sentences.append(_place_sentence(row, *compared))
    if pd.notna(row.get("weight_detectable")):
        sentences.append(
            f"{100 * row['weight_detectable']:.0f} % of the weight of the signature lies on taxa "
            + (
                "of the imported table; which others could have been found is not known."
                if assay in report.provenance.get("imports", {})
                else "that the database can detect."
            )
        )
    if note := _text(row.get("reason")):
        sentences.append(f"Note: {note}.")
    sentences.append(
        "A higher score means that the composition resembles more what has been reported in "
        "depression. It cannot show cause, and one sample of one day says little: the interval "
        "does not include variation between days or between extractions."
    )
    return sentences


def _place_sentence(row: pd.Series, reference: pd.Series, name: str) -> str:
    """Where a score lies among others: a percentile only where there are enough of them."""
    n = len(reference)
    if n >= MIN_PERCENTILE_REFERENCE:
        text = f"This lies at percentile {row['percentile']:.0f} of the {n:,} {name}"
        if pd.notna(row.get("percentile_low")):
            text += (
                f" (95 % interval {row['percentile_low']:.0f} to {row['percentile_high']:.0f}, "
                "for their number)"
            )
        return f"{text}."
    if reference.isna().all():
        return f"The {n} {name} are too few for a percentile."
    below = int((reference < row["score"]).sum())
    place = "all" if below == n else ("none of the" if not below else f"{below} of the")
    return f"This lies above {place} {n} {name}; they are too few for a percentile."


def _optional_table(table: pd.DataFrame | None, caption: str, source: str) -> Table | None:
    present = _present(table)
    return None if present is None else _as_table(present, caption, source)


def _as_table(
    table: pd.DataFrame,
    caption: str,
    source: str,
    headings: Mapping[str, str] | None = None,
    integers: Sequence[str] = (),
    most: int = MAX_ROWS,
) -> Table:
    shown = table.head(most)
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
    """A cell as text; a missing one is empty."""
    return "" if value is None or (not isinstance(value, str) and pd.isna(value)) else str(value)
