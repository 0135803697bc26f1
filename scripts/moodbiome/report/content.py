"""What the pages are made of, and how their sections look it up."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from moodbiome import figures
from moodbiome.figures import Ordination, plain
from moodbiome.report.words import TERM, text_of


class NotRun(NamedTuple):
    """An analysis that was not run, and why.

    `analysis` is one of the sections: ledger, taxa, alpha, ordination, permanova, signature,
    contributions, indices, evidence, differential, power; other names are shown among the
    warnings only.
    """

    analysis: str
    reason: str


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
    alpha, permanova, scores, contributions, resolution, indices, more_scores, differential, \
power, measures, group_sensitivity : DataFrame or None
        As written by their rules; an `assay` column, where several assays were run, gives each
        assay its own figures.
    psychobiotics : DataFrame or None
        results/signature/psychobiotics.tsv.
    intake, intake_changes, intake_subjects : DataFrame or None
        As written by check_intake; None where no intake was declared.
    gene_search : DataFrame or None
        results/function/shotgun.gene_search.tsv; None where reads were not searched for genes.
    modules, module_tests, modules_by_type : DataFrame or None
        results/function/modules.tsv, results/statistics/modules.tsv and modules_by_type.tsv; None,
        and no section, where no gene families were given.
    module_definitions : DataFrame or None
        The modules of `moodbiome.modules.Definitions`.
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
    longitudinal, changes, retention : DataFrame or None
        As written by their rule; None where no repeated samples were declared.
    evidence, claims, sources, other_conditions : DataFrame or None
        config/evidence/taxa.tsv, claims.tsv, sources.tsv and other_conditions.tsv.
    evaluation, calibration, roc : DataFrame or None
        As written by evaluate_signature.
    trained_features : DataFrame or None
        As written by train_model; None where signature.train is off.
    pooled, by_cohort, trials, trials_pooled : DataFrame or None
        As written by pool_cohorts and pool_trials; None, and no section, where they are not set.
    metadata : DataFrame or None
        One row a sample, with the column of cohort.group.
    provenance : mapping
        `databases` (assay -> {sha256, files}), `imports` (the same of imported tables, with
        `formats`), `functions` (the same of imported tables of gene families), `proteins`
        ({sha256, files, families} of the set that was searched), `versions` (tool -> version),
        `confidence` (by assay), `seed`, `inputs`.
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
    intake: pd.DataFrame | None = None
    intake_changes: pd.DataFrame | None = None
    intake_subjects: pd.DataFrame | None = None
    gene_search: pd.DataFrame | None = None
    modules: pd.DataFrame | None = None
    module_tests: pd.DataFrame | None = None
    modules_by_type: pd.DataFrame | None = None
    module_definitions: pd.DataFrame | None = None
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
    roc: pd.DataFrame | None = None
    trained_features: pd.DataFrame | None = None
    pooled: pd.DataFrame | None = None
    by_cohort: pd.DataFrame | None = None
    trials: pd.DataFrame | None = None
    trials_pooled: pd.DataFrame | None = None
    power: pd.DataFrame | None = None
    metadata: pd.DataFrame | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    not_run: Sequence[NotRun] = ()


def has_reads(report: Report) -> bool:
    """Whether any assay was sequenced here; the tables of the others were imported."""
    return bool(set(assays_of(report.status)) - set(report.provenance.get("imports", {})))


def keys_of(table: pd.DataFrame) -> list[tuple[str, str]]:
    assays = table["assay"] if "assay" in table else pd.Series("", index=table.index)
    return list(zip(table["sample"].astype(str), assays.astype(str), strict=True))


def not_empty(table: pd.DataFrame | None) -> pd.DataFrame | None:
    return None if table is None or table.empty else table


def setting(report: Report, section: str, key: str, default: Any) -> Any:
    return report.config.get(section, {}).get(key, default)


def groups_of(report: Report, samples: Sequence[str]) -> pd.Series:
    return figures.group_labels(
        samples,
        report.metadata,
        setting(report, "cohort", "group", ""),
        setting(report, "cohort", "reference", ""),
    )


def samples_of(table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(table["sample"].astype(str)))


def assays_of(table: pd.DataFrame) -> list[str]:
    return sorted(set(table["assay"].astype(str))) if "assay" in table else []


def per_assay(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    if len(assays_of(table)) < 2:
        return [("", table)]
    return [(str(assay), part) for assay, part in table.groupby("assay", sort=True)]


def matching(table: pd.DataFrame, sample: str, assay: str) -> pd.DataFrame:
    rows = table[table["sample"].astype(str) == sample]
    return rows[rows["assay"].astype(str) == assay] if assay and "assay" in rows else rows


def has(content: Any) -> bool:
    return content is not None and len(content) > 0


def not_run(report: Report, analysis: str, content: Any) -> str | None:
    """Why an analysis was not run, or not in full: empty if no reason is known; None if it was."""
    reasons = [reason_words(note.reason) for note in report.not_run if note.analysis == analysis]
    if reasons or not has(content):
        return "; ".join(dict.fromkeys(reasons))
    return None


def reason_words(text: str) -> str:
    """A reason in words: the method it begins with by its name, and once.

    >>> reason_words("prevalence: prevalence: needs two groups")
    'prevalence (adjusted for depth): needs two groups'
    """
    if match := re.match(r"(\w+): (?:\1: )*", text):
        name = figures.METHODS.get(match[1], match[1])
        return f"{name}: {text[match.end() :]}"
    return text


def any_counts(report: Report) -> list[str]:
    return [assay for assay, table in report.genus_counts.items() if not table.empty]


def names_of_concepts(report: Report, concepts: pd.Series) -> pd.Series:
    """Names of concepts for people: up to the bracket that lists members."""
    evidence = not_empty(report.evidence)
    if evidence is None or "name" not in evidence:
        return concepts.astype(str).map(plain)
    names = evidence.set_index("concept")["name"].astype(str).str.replace(r" \(.*", "", regex=True)
    return concepts.map(names).fillna(concepts.astype(str).map(plain))


def term_words(report: Report, term: str) -> str:
    """A term of the design as people say it: `group[T.depressed]` compares two groups."""
    match = TERM.fullmatch(term)
    if not match:
        return term
    if not match["level"]:
        return match["name"]
    reference = setting(report, "cohort", "reference", "")
    if match["name"] == setting(report, "cohort", "group", "") and reference:
        return f"{match['name']}, {match['level']} against {reference}"
    return f"{match['name']}, {match['level']}"


def types_of(report: Report) -> dict[tuple[str, str], str]:
    """What each sample is: "sample", or a kind of control."""
    keys = keys_of(report.status)
    if "sample_type" not in report.status:
        return dict.fromkeys(keys, "sample")
    kinds = report.status["sample_type"].map(text_of)
    return dict(zip(keys, (kind or "sample" for kind in kinds), strict=True))


def states_of(report: Report) -> dict[tuple[str, str], str]:
    return dict(zip(keys_of(report.status), report.status["status"].astype(str), strict=True))


def _of_assay(keys: Iterable[tuple[str, str]], assay: str) -> list[str]:
    """Samples of one assay; of all where no assay is given."""
    return list(
        dict.fromkeys(sample for sample, own in keys if own == assay or not (own and assay))
    )


def samples_compared(report: Report, assay: str) -> list[str]:
    """Samples that take part in comparisons: of status ok, and no control."""
    types, states = types_of(report), states_of(report)
    return _of_assay(
        (key for key in types if types[key] == "sample" and states[key] == "ok"), assay
    )


def samples_apart(report: Report, assay: str) -> dict[str, str]:
    """Samples that take no part in comparisons, with why in a word or two."""
    types, states = types_of(report), states_of(report)
    rest = {
        key: plain(states[key] if types[key] == "sample" else types[key])
        for key in types
        if types[key] != "sample" or states[key] != "ok"
    }
    return {
        sample: rest[sample, own] for sample, own in rest if own == assay or not (own and assay)
    }


def is_sample(report: Report, sample: str) -> bool:
    """Whether it is a sample in any assay, and not a control."""
    kinds = {kind for (name, _), kind in types_of(report).items() if name == sample}
    return not kinds or "sample" in kinds


def score_row(report: Report, sample: str, assay: str) -> pd.Series | None:
    scores = not_empty(report.scores)
    if scores is None:
        return None
    rows = matching(scores, sample, assay)
    return None if rows.empty else rows.iloc[0]
