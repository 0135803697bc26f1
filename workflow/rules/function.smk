"""Gene families, searched or given -> gut-brain modules of each sample, and what goes with them."""

FUNCTION_IMPORTS = imported_functions(config)
# Assays with gene families, of which a table is given or whose reads are searched for them.
FUNCTION_IMPORTED = [assay for assay in ASSAYS if assay in FUNCTION_IMPORTS]
FUNCTION_SEARCHED = ["shotgun"] if GENES else []
FUNCTION_ASSAYS = sorted([*FUNCTION_IMPORTED, *FUNCTION_SEARCHED])
FUNCTION, MODULE_STATISTICS = [], []
if FUNCTION_ASSAYS:
    FUNCTION = expand("results/function/{name}.tsv", name=["modules", "steps", "not_run"])
    MODULE_STATISTICS = [
        f"results/statistics/{name}.tsv"
        for name in ("modules", "modules_by_type", "modules_not_run")
    ]
MODULES = Path(workflow.basedir, "config/function/modules.tsv")
MODULE_STEPS = Path(workflow.basedir, "config/function/steps.tsv")
SINGLE_COPY = Path(workflow.basedir, "config/function/single_copy.tsv")


if FUNCTION_IMPORTED:

    rule import_functions:
        """Bring an assay's own table of gene families to copies per genome."""
        input:
            table=lambda wildcards: str(FUNCTION_IMPORTS[wildcards.assay]),
            modules=MODULES,
            steps=MODULE_STEPS,
            more=config["function"]["modules"],
            single_copy=SINGLE_COPY,
        output:
            genes="results/function/{assay}.genes.tsv",
            account="results/function/{assay}.import.tsv",
            fingerprint="results/provenance/function.{assay}.json",
        log:
            "logs/import_functions/{assay}.log",
        wildcard_constraints:
            assay="|".join(FUNCTION_IMPORTED),
        conda:
            "../../envs/python.yaml"
        resources:
            mem_mb=2000,
        params:
            samples=lambda wildcards: [
                sample for sample, assay in sheet.samples if assay == wildcards.assay
            ],
            settings=lambda wildcards: config["function"]["import"][wildcards.assay],
            min_single_copy=config["function"]["min_single_copy"],
            code=code("import_functions"),
        script:
            "../../scripts/import_functions.py"


if FUNCTION_ASSAYS:

    rule measure_modules:
        """Say which gut-brain modules the genes of each sample make, and how many copies of them."""
        input:
            genes=expand("results/function/{assay}.genes.tsv", assay=FUNCTION_ASSAYS),
            accounts=expand("results/function/{assay}.import.tsv", assay=FUNCTION_IMPORTED),
            fingerprints=expand("results/provenance/function.{assay}.json", assay=FUNCTION_IMPORTED),
            limits=expand("results/function/{assay}.detection_limits.tsv", assay=FUNCTION_SEARCHED),
            fragments=expand("results/function/{assay}.gene_counts.tsv", assay=FUNCTION_SEARCHED),
            searches=expand("results/function/{assay}.gene_search.tsv", assay=FUNCTION_SEARCHED),
            modules=MODULES,
            steps=MODULE_STEPS,
            more=config["function"]["modules"],
        output:
            modules="results/function/modules.tsv",
            steps="results/function/steps.tsv",
            not_run="results/function/not_run.tsv",
        log:
            "logs/measure_modules.log",
        conda:
            "../../envs/python.yaml"
        resources:
            mem_mb=2000,
        params:
            assays=FUNCTION_ASSAYS,
            without=[assay for assay in ASSAYS if assay not in FUNCTION_ASSAYS],
            thresholds={
                key: config["function"][key]
                for key in ("min_assessable", "min_coverage", "min_abundance", "min_fragments")
            },
            draws=config["tables"]["interval_draws"],
            seed=config["seed"],
            code=code("measure_modules"),
        script:
            "../../scripts/measure_modules.py"

    rule test_modules:
        """Compare the modules of the groups, and of the community types."""
        input:
            modules="results/function/modules.tsv",
            status="results/tables/sample_status.tsv",
            metadata="results/tables/metadata.tsv",
            types="results/signature/community_types.tsv",
        output:
            modules="results/statistics/modules.tsv",
            by_type="results/statistics/modules_by_type.tsv",
            not_run="results/statistics/modules_not_run.tsv",
        log:
            "logs/test_modules.log",
        conda:
            "../../envs/python.yaml"
        resources:
            mem_mb=2000,
        params:
            assays=FUNCTION_ASSAYS,
            formula=FORMULA,
            group=config["cohort"]["group"],
            reference=config["cohort"]["reference"],
            subject=config["cohort"]["subject"],
            min_prevalence=config["statistics"]["min_prevalence"],
            code=code("test_modules"),
        script:
            "../../scripts/test_modules.py"
