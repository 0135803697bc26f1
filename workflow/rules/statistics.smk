"""Counts and metadata -> which taxa go with which variable."""


rule test_associations:
    """Model each taxon on the cohort's variables, all taxa at once, with false discovery rates."""
    input:
        counts=expand(
            "results/tables/{assay}.{rank}.counts.tsv",
            assay=ASSAYS,
            rank=config["statistics"]["rank"],
        ),
        ledger="results/tables/ledger.tsv",
        status="results/tables/sample_status.tsv",
        metadata="results/tables/metadata.tsv",
    output:
        differential="results/statistics/differential.tsv",
        not_run="results/statistics/not_run.tsv",
    log:
        "logs/test_associations.log",
    conda:
        "../../envs/python.yaml"
    resources:
        mem_mb=2000,
    params:
        assays=ASSAYS,
        rank=config["statistics"]["rank"],
        formula=config["statistics"]["formula"],
        group=config["cohort"]["group"],
        reference=config["cohort"]["reference"],
        min_prevalence=config["statistics"]["min_prevalence"],
        min_mean_abundance=config["statistics"]["min_mean_abundance"],
        code=code("test_associations"),
    script:
        "../../scripts/test_associations.py"
