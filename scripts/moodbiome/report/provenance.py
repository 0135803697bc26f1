"""The sections on methods and provenance: how the run was made."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from moodbiome.figures import method_name
from moodbiome.measures import LINEAR_METHODS, linear_method
from moodbiome.report.content import Report, has_reads, setting
from moodbiome.report.display import Table, as_table
from moodbiome.report.genes import search_words
from moodbiome.report.words import enumerated


def methods_of(report: Report) -> list[tuple[str, str]]:
    """The methods in words: of reads only where there were any, and of imported tables."""
    imports = report.provenance.get("imports", {})
    of_reads = () if not imports or has_reads(report) else ("reads", "host", "profile")
    config = {key: part for key, part in report.config.items() if key not in of_reads}
    text = methods(
        config, report.provenance.get("versions", {}), report.provenance.get("confidence", {})
    )
    if report.trained_features is not None and report.trained_features.empty:
        text = [part for part in text if part[0] != "Trained model"]
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
            f"{setting(report, 'tables', 'low_depth_fragments', 0):,} bacterial and archaeal "
            "fragments has the status low depth."
        )
        place = sum(1 for heading, _ in text if heading in ("Reads", "Host", "Taxa"))
        text.insert(place, ("Imported tables", paragraph))
    if report.gene_search is not None:
        text.append(("Marker genes", search_words(report)))
    if report.modules is not None:
        text.append(("Gut-brain modules", _module_words(report)))
    return text


def _module_words(report: Report) -> str:
    settings = report.config["function"]
    return (
        "Abundances of gene families (KEGG orthology) are copies per genome: over the median of "
        "universal single-copy families of the sample. An alternative is as abundant as the rarest "
        "family that it needs, a step as the sum of its alternatives, and a module has the median "
        "of its measured steps, and no more than its required steps. It is present where the "
        f"required steps and {100 * settings['min_coverage']:g} % of its measured steps were "
        f"detected, at {settings['min_abundance']:g} copies per genome or more and, of searched "
        f"reads, by {settings['min_fragments']} fragments or more; not assessable "
        f"with fewer than {100 * settings['min_assessable']:g} % of its steps measured, or where "
        "a step that would decide could not be ruled out. Log2 abundances were modelled by the "
        "formula (least squares, or a random intercept), zeros as half the module's smallest "
        "abundance; false discovery rates are over the modules of a term."
    )


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
        if signature.get("train") and config.get("cohort", {}).get("group"):
            text.append(
                (
                    "Trained model",
                    (
                        "Logistic regression with an elastic net on centred log-ratios, with "
                        f"{tool('scikit-learn')}; taxa screened and standardised on the training "
                        "samples alone: 5 times 5 folds, a subject's samples in one of them, "
                        "penalty and mixing by the least log loss in 5 inner folds, and, with "
                        "several cohorts, each predicted from the others. Pairs within a fold "
                        "count; the variance is corrected for shared training samples after "
                        "Nadeau and Bengio."
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
        values = f"{enumerated(several)}, " if several else ""
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


def databases(report: Report) -> Table | None:
    """Fingerprints of what was classified with, imported and searched for."""
    given = report.provenance
    searched = {"shotgun": given["proteins"]} if given.get("proteins") else {}
    rows = [
        {
            "assay": assay,
            "file": name,
            "bytes": entry.get("bytes"),
            "sha256": entry.get("sha256", ""),
        }
        for kind, of_assays in (
            ("database", given.get("databases", {})),
            ("import", given.get("imports", {})),
            ("table of gene families", given.get("functions", {})),
            ("protein set", searched),
        )
        for assay, found in sorted(of_assays.items())
        for name, entry in [
            (f"whole {kind}", {"sha256": found.get("sha256", "")}),
            *sorted(found.get("files", {}).items()),
        ]
    ]
    if not rows:
        return None
    return as_table(
        pd.DataFrame(rows),
        "Fingerprint of the databases, imported tables and protein set",
        "results/provenance/run.json",
    )


def pairs(values: Mapping[str, Any], caption: str, key: str, value: str) -> Table | None:
    if not values:
        return None
    table = pd.DataFrame({key: list(values), value: [str(item) for item in values.values()]})
    return as_table(table, caption, "results/provenance/run.json")


def flat_settings(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Settings as dotted names; a path is cut to its last part, so that no machine shows."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= flat_settings(value, f"{prefix}{key}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            flat[f"{prefix}{key}"] = f"…/{Path(text).name}" if text.startswith("/") else text
    return flat
