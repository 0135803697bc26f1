"""The pages as wholes: the sections put into the templates."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from moodbiome.figures import plain
from moodbiome.report.associations import (
    absent_taxa,
    agreed_taxa,
    differential_figures,
    differential_summary,
    group_sensitivity_table,
    group_sensitivity_words,
    measure_figures,
    measure_words,
    measures_found,
    power_figures,
    power_sentences,
)
from moodbiome.report.cohort import characteristics, summary
from moodbiome.report.community import community_figures, community_sentences, community_tests
from moodbiome.report.content import (
    Report,
    any_counts,
    keys_of,
    matching,
    not_empty,
    not_run,
    setting,
)
from moodbiome.report.display import Link, Section, optional_table, section_of
from moodbiome.report.diversity import (
    alpha_figures,
    axes_table,
    depth_sentences,
    ordination_figures,
    permanova_sentences,
)
from moodbiome.report.evidence import evidence_table, shared_taxa
from moodbiome.report.function import function_figures, function_panels
from moodbiome.report.genes import search_sentences, search_table
from moodbiome.report.longitudinal import (
    longitudinal_effects,
    longitudinal_figures,
    longitudinal_modules,
    longitudinal_taxa,
)
from moodbiome.report.performance import evaluation_figures, evaluation_sentences
from moodbiome.report.pooled import pooled_figures, trial_figures, trials_table
from moodbiome.report.provenance import databases, flat_settings, methods_of, pairs
from moodbiome.report.psychobiotics import intake_panels, psychobiotic_panels
from moodbiome.report.reads import ledger_figures, ledger_total, status_table
from moodbiome.report.references import reference_list
from moodbiome.report.samples import sample_facts, sample_figures, score_sentences, type_words
from moodbiome.report.signature import (
    abstained,
    contribution_figures,
    index_figures,
    index_reasons,
    more_scores,
    score_figures,
    unseen_sentences,
)
from moodbiome.report.taxa import minimiser_sentences, sensitivity, sensitivity_assays, taxa_figures
from moodbiome.report.warnings import control_words, sample_warnings, warning_groups
from moodbiome.report.words import text_of

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
    evidence = not_empty(report.evidence)
    return _page(
        template,
        "..",
        title=setting(report, "report", "title", "Gut microbiome cohort"),
        warnings=warning_groups(report),
        summary=summary(report),
        characteristics=characteristics(report),
        ledger=section_of(report, "ledger", report.ledger, ledger_figures),
        ledger_total=ledger_total(report.ledger),
        status=status_table(report),
        taxa=section_of(report, "taxa", any_counts(report), taxa_figures),
        sensitivity=[sensitivity(report, assay) for assay in sensitivity_assays(report)],
        minimisers=minimiser_sentences(report),
        alpha=section_of(report, "alpha", report.alpha, alpha_figures),
        ordination=section_of(report, "ordination", report.ordinations, ordination_figures),
        axes=axes_table(report),
        depth=depth_sentences(report),
        permanova=permanova_sentences(report),
        permanova_table=optional_table(
            report.permanova,
            "Tests of the whole community (PERMANOVA) and of equal dispersion (PERMDISP)",
            "results/diversity/permanova.tsv",
        ),
        permanova_reason=not_run(report, "permanova", report.permanova),
        signature=section_of(report, "signature", report.scores, score_figures),
        unseen=unseen_sentences(report),
        abstained=abstained(report),
        contributions=section_of(
            report, "contributions", report.contributions, contribution_figures
        ),
        indices=section_of(report, "indices", report.indices, index_figures),
        community=section_of(report, "community types", report.community_types, community_figures),
        community_words=community_sentences(report),
        community_tests=community_tests(report),
        more_scores=more_scores(report),
        index_reasons=index_reasons(report),
        evaluation=section_of(report, "evaluation", report.evaluation, evaluation_figures),
        evaluation_sentences=evaluation_sentences(report),
        trained=not_empty(report.trained_features) is not None,
        not_trained=None
        if report.trained_features is None
        else not_run(report, "trained model", report.trained_features),
        psychobiotics=psychobiotic_panels(report),
        intake=intake_panels(report),
        function=None
        if report.modules is None
        else section_of(report, "function", report.modules, function_figures),
        function_panels=function_panels(report),
        gene_search=search_table(report),
        gene_search_words=search_sentences(report),
        evidence=evidence_table(report) if evidence is not None else None,
        shared=shared_taxa(report),
        evidence_reason=not_run(report, "evidence", report.evidence),
        differential=section_of(report, "differential", report.differential, differential_figures),
        differential_summary=differential_summary(report),
        differential_tables=[
            part for part in (agreed_taxa(report), absent_taxa(report)) if part is not None
        ],
        power=section_of(report, "power", report.power, power_figures),
        measures=section_of(report, "measures", report.measures, measure_figures),
        measures_words=measure_words(report),
        measures_found=measures_found(report),
        group_sensitivity_words=group_sensitivity_words(report),
        group_sensitivity=group_sensitivity_table(report),
        longitudinal=None
        if report.retention is None
        else section_of(report, "longitudinal", report.retention, longitudinal_figures),
        retention=optional_table(
            report.retention,
            "Subjects assigned to each arm, with a sample, and with one of status ok",
            "results/statistics/retention.tsv",
        ),
        longitudinal_effects=longitudinal_effects(report),
        longitudinal_taxa=longitudinal_taxa(report),
        longitudinal_modules=longitudinal_modules(report),
        power_sentences=power_sentences(report),
        pooled=None
        if report.pooled is None
        else section_of(report, "pooled", report.pooled, pooled_figures),
        trials=None
        if report.trials is None
        else section_of(report, "trials", report.trials, trial_figures),
        trials_table=trials_table(report),
        methods=methods_of(report),
        databases=databases(report),
        versions=pairs(report.provenance.get("versions", {}), "Software", "Tool", "Version"),
        settings=pairs(flat_settings(report.config), "Settings of the run", "Setting", "Value"),
        seed=report.provenance.get("seed", report.config.get("seed")),
        inputs=pairs(
            {
                name: value
                for name, value in report.provenance.get("inputs", {}).items()
                if isinstance(value, str)
            },
            "Fingerprints of the input tables (SHA-256)",
            "Table",
            "SHA-256",
        ),
        references=reference_list(report),
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
        status = matching(report.status, sample, assay).iloc[0]
        assays.append(
            {
                "name": assay,
                "imported": assay in report.provenance.get("imports", {}),
                "status": plain(str(status["status"])),
                "reason": text_of(status.get("reason")),
                "type": type_words(report, (sample, assay)),
                "control": control_words(report, (sample, assay)),
                "warnings": sample_warnings(report, sample, assay),
                "figures": sample_figures(report, sample, assay, row),
                "score": score_sentences(report, sample, assay),
            }
        )
    return _page(
        template,
        "../..",
        title=f"Sample {sample}",
        cohort_title=setting(report, "report", "title", "Gut microbiome cohort"),
        assays=assays,
        facts=sample_facts(report, sample),
        databases=databases(report),
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
    environment.filters["is_interval"] = _is_interval
    environment.globals["results"] = results
    return environment.get_template(template.name).render(
        disclaimer=DISCLAIMER, **_number_figures(content)
    )


def _bound(text: str) -> str:
    """A number stays on the line of its sign or unit."""
    return re.sub(r"(?<=\d) (?=%)|(?<=\b[np]) (?=[=≤])|(?<=[np] [=≤]) ", "\u00a0", text)


def _is_interval(parts: Sequence[Link | str]) -> bool:
    """Whether a cell is a number with its interval, a range or a ratio, to be kept on one line.

    >>> _is_interval(["1.2 [0.8 to 1.6]"]), _is_interval(["+0.10 [-0.2, 0.4] (2 missing)"])
    (True, True)
    >>> _is_interval(["-2.8e-08 to 2.8e-08"]), _is_interval(["15 against 15"])
    (True, True)
    >>> _is_interval(["depressed: 3 [1 to 9], q = 0.2"]), _is_interval(["2 to 6 Mb is usual"])
    (False, False)
    """
    number = r"[-+−×]?[\d.,]+(?:e[-+]?\d+)?[ \u00a0]?%?"
    ends = rf"{number}(?:,| to| of| against|–) ?{number}"
    text = "".join(part if isinstance(part, str) else part.text for part in parts)
    spread = rf"(?:{number} ?)?[\[(]{ends}[\])](?: \(\d+ missing\))?"
    return bool(re.fullmatch(rf"{spread}|{ends}", text))


def _check(report: Report) -> None:
    known = set(keys_of(report.status))
    for key in keys_of(report.ledger):
        if key not in known:
            raise ValueError(
                f"sample {key[0]!r} is in the ledger but has no status; both tables have one row a "
                "sample and assay"
            )


def _number_figures(content: Mapping[str, Any]) -> dict[str, Any]:
    """The same content with its figures numbered in the order of the page."""
    numbered, last = dict(content), 0
    for name, section in content.items():
        if isinstance(section, Section):
            shown = [replace(s, number=last + i) for i, s in enumerate(section.shown, start=1)]
            last += len(shown)
            numbered[name] = replace(section, shown=shown)
    return numbered
