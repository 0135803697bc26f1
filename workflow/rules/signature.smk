"""Counts and evidence -> depression signature score of each sample."""

EVIDENCE = config["signature"]["taxa"] or str(Path(workflow.basedir, "config/evidence/taxa.tsv"))


rule score_signature:
    """Score each sample, with its interval, its place among the reference samples, and what made it."""
    input:
        genus=expand("results/tables/{assay}.genus.counts.tsv", assay=ASSAYS),
        species=expand("results/tables/{assay}.species.counts.tsv", assay=ASSAYS),
        genus_intervals=expand("results/tables/{assay}.genus.intervals.tsv", assay=ASSAYS),
        species_intervals=expand("results/tables/{assay}.species.intervals.tsv", assay=ASSAYS),
        database_taxa=expand("results/provenance/taxa.{assay}.tsv", assay=ASSAYS),
        ledger="results/tables/ledger.tsv",
        status="results/tables/sample_status.tsv",
        metadata="results/tables/metadata.tsv",
        taxa=EVIDENCE,
        concepts=Path(workflow.basedir, "config/evidence/concepts.tsv"),
    output:
        scores="results/signature/scores.tsv",
        contributions="results/signature/contributions.tsv",
        resolution="results/signature/resolution.tsv",
    log:
        "logs/score_signature.log",
    conda:
        "../../envs/python.yaml"
    resources:
        mem_mb=2000,
    params:
        assays=ASSAYS,
        imported=IMPORTED,
        nomenclature={assay: config["databases"][assay]["nomenclature"] for assay in ASSAYS},
        profile=config["signature"]["profile"],
        offset=config["signature"]["offset"],
        draws=config["signature"]["draws"],
        group=config["cohort"]["group"],
        reference=config["cohort"]["reference"],
        seed=config["seed"],
        code=code("score_signature"),
    script:
        "../../scripts/score_signature.py"
