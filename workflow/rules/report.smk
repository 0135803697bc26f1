"""Everything -> one offline page a cohort, provenance, and the verdict on the run."""

ANALYSES = [
    "results/tables/ledger.tsv",
    "results/tables/sample_status.tsv",
    "results/tables/metadata.tsv",
    *expand("results/tables/{assay}.{rank}.counts.tsv", assay=ASSAYS, rank=RANKS),
    *expand("results/tables/{assay}.{rank}.counts.biom", assay=ASSAYS, rank=RANKS),
    *expand("results/tables/{assay}.{rank}.intervals.tsv", assay=ASSAYS, rank=RANKS),
    *expand("results/tables/{assay}.{rank}.taxpasta.tsv", assay=ASSAYS, rank=RANKS),
    *expand("results/tables/{assay}.read_lengths.tsv", assay=SEQUENCED),
    *expand("results/tables/{assay}.contaminants.tsv", assay=ASSAYS),
    *expand("results/tables/{assay}.contaminant_burden.tsv", assay=ASSAYS),
    *expand("results/tables/{assay}.minimisers.tsv", assay=SEQUENCED),
    *expand("results/profile/{assay}.sensitivity.tsv", assay=SEQUENCED),
    "results/diversity/alpha.tsv",
    *expand("results/diversity/beta.{metric}.tsv", metric=BETA_METRICS),
    *expand("results/diversity/ordination.{metric}.tsv", metric=BETA_METRICS),
    *expand("results/diversity/loadings.{metric}.tsv", metric=BETA_METRICS),
    "results/diversity/permanova.tsv",
    "results/diversity/depth.tsv",
    "results/diversity/depth_effects.tsv",
    "results/diversity/not_run.tsv",
    "results/signature/scores.tsv",
    "results/signature/contributions.tsv",
    "results/signature/resolution.tsv",
    "results/signature/community_types.tsv",
    "results/signature/community_type_models.tsv",
    "results/signature/community_type_tests.tsv",
    "results/signature/indices.tsv",
    "results/signature/more_scores.tsv",
    "results/signature/reference.json",
    "results/signature/evaluation.tsv",
    "results/signature/calibration.tsv",
    "results/signature/roc.tsv",
    "results/signature/not_run.tsv",
    *TRAINED,
    "results/signature/psychobiotics.tsv",
    *INTAKE,
    *expand("results/function/{assay}.genes.tsv", assay=FUNCTION_ASSAYS),
    *expand("results/function/{assay}.import.tsv", assay=FUNCTION_IMPORTED),
    *FUNCTION,
    "results/statistics/differential.tsv",
    "results/statistics/not_run.tsv",
    *LONGITUDINAL,
    "results/statistics/power.tsv",
    "results/statistics/power_not_run.tsv",
    *POOLED,
    *(["results/statistics/pooled_not_run.tsv"] if POOLED else []),
    *TRIALS,
    "results/statistics/measures.tsv",
    "results/statistics/group_sensitivity.tsv",
    "results/statistics/measures_not_run.tsv",
    *MODULE_STATISTICS,
    *(
        [
            "results/function/shotgun.genes.tsv",
            "results/function/shotgun.detection_limits.tsv",
            "results/function/shotgun.gene_counts.tsv",
            "results/function/shotgun.gene_intervals.tsv",
            "results/function/shotgun.gene_search.tsv",
            "results/function/genes_not_run.tsv",
        ]
        if GENES
        else []
    ),
]
PAGES = [
    "results/report/cohort.html",
    *expand("results/report/samples/{sample}.html", sample=list(sheet.metadata)),
]
TOOLS = Path(workflow.basedir, "envs/tools.tsv")
SOFTWARE = [*TOOL_ENVIRONMENTS, *(["train"] if TRAINED else [])]


rule record_software:
    """Ask each tool of an environment for its version."""
    input:
        tools=TOOLS,
    output:
        "results/provenance/software.{environment}.tsv",
    log:
        "logs/record_software/{environment}.log",
    wildcard_constraints:
        environment="reads|profile|genes",
    conda:
        "../../envs/{environment}.yaml"
    params:
        code=code("record_software"),
    script:
        "../../scripts/record_software.py"


rule render_report:
    """Write the cohort's page, warnings first, and one page a sample."""
    input:
        ledger="results/tables/ledger.tsv",
        status="results/tables/sample_status.tsv",
        metadata="results/tables/metadata.tsv",
        genus=expand("results/tables/{assay}.genus.counts.tsv", assay=ASSAYS),
        sensitivity=expand("results/profile/{assay}.sensitivity.tsv", assay=SEQUENCED),
        minimisers=expand("results/tables/{assay}.minimisers.tsv", assay=SEQUENCED),
        alpha="results/diversity/alpha.tsv",
        ordinations=expand("results/diversity/ordination.{metric}.tsv", metric=BETA_METRICS),
        loadings=expand("results/diversity/loadings.{metric}.tsv", metric=BETA_METRICS),
        depth_effects="results/diversity/depth_effects.tsv",
        permanova="results/diversity/permanova.tsv",
        scores="results/signature/scores.tsv",
        contributions="results/signature/contributions.tsv",
        resolution="results/signature/resolution.tsv",
        community_types="results/signature/community_types.tsv",
        community_models="results/signature/community_type_models.tsv",
        community_tests="results/signature/community_type_tests.tsv",
        community_kinds=Path(workflow.basedir, "config/community_types/types.tsv"),
        indices="results/signature/indices.tsv",
        more_scores="results/signature/more_scores.tsv",
        evaluation="results/signature/evaluation.tsv",
        calibration="results/signature/calibration.tsv",
        roc="results/signature/roc.tsv",
        trained_features=TRAINED[1:2],
        psychobiotics="results/signature/psychobiotics.tsv",
        intake=INTAKE[:3],
        functions=FUNCTION[:1] + MODULE_STATISTICS[:2],
        gene_search=["results/function/shotgun.gene_search.tsv"] if GENES else [],
        module_tables=[MODULES, MODULE_STEPS] if FUNCTION else [],
        more_modules=config["function"]["modules"] if FUNCTION else [],
        differential="results/statistics/differential.tsv",
        longitudinal=LONGITUDINAL[:3],
        power="results/statistics/power.tsv",
        pooled=POOLED,
        trials=TRIALS,
        not_run=[name for name in ANALYSES if name.endswith("not_run.tsv")],
        measures="results/statistics/measures.tsv",
        group_sensitivity="results/statistics/group_sensitivity.tsv",
        software=expand("results/provenance/software.{environment}.tsv", environment=SOFTWARE),
        databases=expand("results/provenance/database.{assay}.json", assay=SEQUENCED),
        imports=expand("results/provenance/import.{assay}.json", assay=IMPORTED),
        function_imports=expand("results/provenance/function.{assay}.json", assay=FUNCTION_IMPORTED),
        proteins=["results/provenance/proteins.json"] if GENES else [],
        taxa=EVIDENCE,
        claims=Path(workflow.basedir, "config/evidence/claims.tsv"),
        sources=Path(workflow.basedir, "config/evidence/sources.tsv"),
        other_conditions=Path(workflow.basedir, "config/evidence/other_conditions.tsv"),
        templates=expand(
            f"{workflow.basedir}/workflow/report/{{name}}.html.j2",
            name=["cohort", "sample", "page", "parts"],
        ),
    output:
        cohort="results/report/cohort.html",
        samples=expand("results/report/samples/{sample}.html", sample=list(sheet.metadata)),
    log:
        "logs/render_report.log",
    conda:
        "../../envs/python.yaml"
    resources:
        mem_mb=2000,
    params:
        assays=ASSAYS,
        samples=list(sheet.metadata),
        config=config,
        code=code("render_report"),
    script:
        "../../scripts/render_report.py"


if MULTIQC:
    PAGES.append("results/report/multiqc.html")

    rule run_multiqc:
        """The tools' own reports of all samples on one page."""
        input:
            fastp=[
                f"results/reads/{unit.assay}/{unit.sample}/{unit.run}.fastp.json" for unit in RUNS
            ],
            kraken2=of_samples("results/profile/{assay}/{sample}.kraken2.txt"),
        output:
            "results/report/multiqc.html",
        log:
            "logs/run_multiqc.log",
        conda:
            "../../envs/multiqc.yaml"
        shell:
            "printf '%s\\n' {input:q} > {log:q}.files;"
            " multiqc --force --quiet --no-ansi --no-data-dir --fullnames --outdir results/report"
            " --filename multiqc.html --file-list {log:q}.files > {log:q} 2>&1"


rule record_provenance:
    """Inputs, database, settings, seed, versions and outputs, each with its SHA-256."""
    input:
        analyses=ANALYSES,
        pages=PAGES,
        checks=all_checks,
        software=expand("results/provenance/software.{environment}.tsv", environment=SOFTWARE),
        databases=expand("results/provenance/database.{assay}.json", assay=SEQUENCED),
        imports=expand("results/provenance/import.{assay}.json", assay=IMPORTED),
        functions=expand("results/provenance/function.{assay}.json", assay=FUNCTION_IMPORTED),
        proteins="results/provenance/proteins.json" if GENES else [],
        sheet=config["samples"],
        taxa=EVIDENCE,
        given=[file for files in GIVEN.values() for file in files],
        kmers=strain_kmers,
    output:
        "results/provenance/run.json",
    log:
        "logs/record_provenance.log",
    conda:
        "../../envs/python.yaml"
    params:
        config=config,
        given=GIVEN,
        code=code("record_provenance"),
    script:
        "../../scripts/record_provenance.py"


rule conclude_run:
    """Fail, after everything is written, if a sample failed: naming it and why."""
    input:
        status="results/tables/sample_status.tsv",
        provenance="results/provenance/run.json",
    output:
        "results/conclusion.txt",
    log:
        "logs/conclude_run.log",
    conda:
        "../../envs/python.yaml"
    params:
        code=code("conclude_run"),
    script:
        "../../scripts/conclude_run.py"
