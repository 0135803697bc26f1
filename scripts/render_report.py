"""Write the cohort's page and one page a sample (rule render_report)."""

import json
from pathlib import Path

import pandas as pd

from moodbiome.classification import used_databases
from moodbiome.cohort import read_tsv, summarise
from moodbiome.community_types import read_types_table
from moodbiome.database import read_fingerprints
from moodbiome.evidence import read_table
from moodbiome.figures import Ordination
from moodbiome.modules import read_definitions
from moodbiome.report import NotRun, Report, render, render_sample
from moodbiome.software import python_versions, read_software
from moodbiome.tables import read_counts
from moodbiome.tools import writing

snake_in, params = snakemake.input, snakemake.params


ordinations = []
for path in snake_in.ordinations:
    axes = read_tsv(path)
    for assay, part in axes.groupby("assay"):
        part = part.reindex(columns=["sample", "PC1", "PC2", "share_PC1", "share_PC2"])
        # Samples that differ along one axis only lie at 0 on the second.
        for first, second in (("PC1", "PC2"), ("share_PC1", "share_PC2")):
            part[second] = part[second].fillna(0 * part[first])
        shares = tuple(part[["share_PC1", "share_PC2"]].iloc[0])
        metric = Path(path).name.split(".")[1]
        ordinations.append((assay, Ordination(metric, part[["sample", "PC1", "PC2"]], shares)))
software = read_software(snake_in.software)
notes = pd.concat([read_tsv(path) for path in snake_in.not_run])
group = params.config["cohort"]["group"]
visit = ["subject", "arm", "timepoint", "baseline", "from", "to", "outcome", "name", "missing"]
longitudinal, changes, retention = [
    read_tsv(path, text=visit) for path in snake_in.longitudinal
] or [None] * 3
names = ["subject", "arm", "name", "timepoints", "check", "reason"]
intakes = {Path(path).stem: read_tsv(path, text=names) for path in snake_in.intake}
trained = [read_tsv(path, text=["name", "cohort"]) for path in snake_in.trained_features]
databases, confidence = used_databases(snake_in.databases, params.config["profile"]["confidence"])
names = ["feature", "study", "outcome", "variable", "level", "name"]
meta_analyses = {
    Path(path).stem: read_tsv(path, text=names) for path in [*snake_in.pooled, *snake_in.trials]
}
modules, module_tests, modules_by_type = [
    read_tsv(path, text=["module", "name", "reason"]) for path in snake_in.functions
] or [None] * 3
searched = [read_tsv(path, text=["status", "reason"]) for path in snake_in.gene_search]
definitions = None
if snake_in.functions:
    tables = map(Path, snake_in.module_tables)
    definitions, _ = read_definitions(*tables, [Path(path) for path in snake_in.more_modules])
imports, functions = map(read_fingerprints, (snake_in.imports, snake_in.function_imports))
proteins = [json.loads(Path(path).read_text()) for path in snake_in.proteins]


def of_sequenced(paths, *text):
    """Tables of the assays that were sequenced, in one; None if all were imported."""
    tables = [
        read_tsv(path, text=text).assign(assay=Path(path).name.split(".")[0]) for path in paths
    ]
    return pd.concat(tables) if tables else None


minimisers = of_sequenced(snake_in.minimisers, "is_flagged", "name")
if minimisers is not None:
    minimisers = minimisers[minimisers["is_flagged"].eq("True")]
report = Report(
    config=params.config,
    ledger=read_tsv(snake_in.ledger),
    status=read_tsv(snake_in.status).fillna({"reason": "", "warnings": ""}),
    genus_counts={
        assay: read_counts(path).reset_index()
        for assay, path in zip(params.assays, snake_in.genus, strict=True)
    },
    sensitivity=of_sequenced(snake_in.sensitivity),
    minimisers=minimisers,
    alpha=read_tsv(snake_in.alpha),
    ordinations=ordinations,
    loadings=pd.concat(
        [read_tsv(path).assign(metric=Path(path).name.split(".")[1]) for path in snake_in.loadings]
    ),
    depth_effects=read_tsv(snake_in.depth_effects),
    permanova=read_tsv(snake_in.permanova),
    scores=read_tsv(snake_in.scores),
    contributions=read_tsv(snake_in.contributions),
    resolution=read_tsv(snake_in.resolution),
    community_types=read_tsv(
        snake_in.community_types, text=["reference_type", "reference_subtype", "cohort_type"]
    ),
    community_models=read_tsv(snake_in.community_models, text=["leading_genera"]),
    community_tests=read_tsv(snake_in.community_tests),
    community_kinds=read_types_table(Path(snake_in.community_kinds), "types"),
    indices=read_tsv(snake_in.indices),
    more_scores=read_tsv(snake_in.more_scores, text=["signature", "reason"]),
    psychobiotics=read_tsv(snake_in.psychobiotics),
    **intakes,
    gene_search=searched[0] if searched else None,
    modules=modules,
    module_tests=module_tests,
    modules_by_type=modules_by_type,
    module_definitions=definitions and definitions.modules,
    evidence=read_table(Path(snake_in.taxa), "taxa"),
    claims=read_table(Path(snake_in.claims), "claims"),
    sources=read_table(Path(snake_in.sources), "sources"),
    other_conditions=read_table(Path(snake_in.other_conditions), "other_conditions"),
    differential=read_tsv(snake_in.differential),
    longitudinal=longitudinal,
    changes=changes,
    retention=retention,
    power=read_tsv(snake_in.power),
    evaluation=read_tsv(snake_in.evaluation, text=["cohort"]),
    calibration=read_tsv(snake_in.calibration, text=["cohort"]),
    roc=read_tsv(snake_in.roc, text=["cohort"]),
    trained_features=trained[0] if trained else None,
    **meta_analyses,
    measures=read_tsv(snake_in.measures, text=["feature"]),
    group_sensitivity=read_tsv(snake_in.group_sensitivity, text=["feature"]),
    metadata=read_tsv(snake_in.metadata, text=[group] if group else []),
    provenance={
        "databases": databases,
        "imports": imports,
        "functions": functions,
        "proteins": proteins[0] if proteins else {},
        "versions": {
            **python_versions(),
            **{row["tool"]: row["version"] for row in software},
        },
        "seed": params.config["seed"],
        "confidence": confidence,
    },
    not_run=[NotRun(row.analysis, row.reason) for row in summarise(notes).itertuples()],
)
template = {Path(path).name.split(".")[0]: Path(path) for path in snake_in.templates}
with writing(snakemake.output.cohort):
    Path(snakemake.output.cohort).write_text(render(report, template["cohort"]))
# Pages of samples that the sheet no longer has would be taken for results of this run.
pages = Path(snakemake.output.cohort).parent.glob("samples/*.html")
for stale in set(pages) - set(map(Path, snakemake.output.samples)):
    stale.unlink()
for sample, path in zip(params.samples, snakemake.output.samples, strict=True):
    with writing(path):
        Path(path).write_text(render_sample(report, sample, template["sample"]))
Path(snakemake.log[0]).write_text(f"{1 + len(params.samples)} pages\n")
