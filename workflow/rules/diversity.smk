"""Counts -> alpha and beta diversity, ordination, and whether groups differ as a whole."""

TREE = config["diversity"]["tree"]
BETA_METRICS = beta_metrics(bool(TREE))


rule measure_diversity:
    """Rarefy, measure within and between the samples of an assay, and test the cohort's groups."""
    input:
        counts=expand(
            "results/tables/{assay}.{rank}.counts.tsv",
            assay=ASSAYS,
            rank=config["diversity"]["rank"],
        ),
        status="results/tables/sample_status.tsv",
        metadata="results/tables/metadata.tsv",
        tree=[TREE] if TREE else [],
    output:
        alpha="results/diversity/alpha.tsv",
        beta=expand("results/diversity/beta.{metric}.tsv", metric=BETA_METRICS),
        ordination=expand("results/diversity/ordination.{metric}.tsv", metric=BETA_METRICS),
        loadings=expand("results/diversity/loadings.{metric}.tsv", metric=BETA_METRICS),
        permanova="results/diversity/permanova.tsv",
        depth="results/diversity/depth.tsv",
        depth_effects="results/diversity/depth_effects.tsv",
        not_run="results/diversity/not_run.tsv",
    log:
        "logs/measure_diversity.log",
    conda:
        "../../envs/python.yaml"
    threads: 2
    resources:
        mem_mb=2000,
    params:
        assays=ASSAYS,
        metrics=BETA_METRICS,
        settings={
            "formula": FORMULA,
            "group": config["cohort"]["group"],
            "reference": config["cohort"]["reference"],
            "depth": config["diversity"]["depth_fragments"],
            "min_depth": config["diversity"]["min_depth_fragments"],
            "rarefactions": config["diversity"]["rarefactions"],
            "permutations": config["diversity"]["permutations"],
            "seed": config["seed"],
        },
        code=code("measure_diversity"),
    script:
        "../../scripts/measure_diversity.py"
