"""Counts and evidence -> depression signature score of each sample."""

TRAINED = []
if config["signature"]["train"]:
    TRAINED = expand(
        "results/signature/{name}.tsv", name=["trained", "trained_features", "trained_not_run"]
    )
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
        databases=expand("results/provenance/database.{assay}.json", assay=SEQUENCED),
        more=config["signature"]["more"],
        reference_table=config["signature"]["reference_table"] or [],
        concepts=Path(workflow.basedir, "config/evidence/concepts.tsv"),
        crosswalk=Path(workflow.basedir, "config/evidence/crosswalk.tsv"),
        indices=Path(workflow.basedir, "config/evidence/indices.tsv"),
    output:
        scores="results/signature/scores.tsv",
        contributions="results/signature/contributions.tsv",
        resolution="results/signature/resolution.tsv",
        indices="results/signature/indices.tsv",
        more="results/signature/more_scores.tsv",
        reference="results/signature/reference.json",
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
        made_with={key: config[key] for key in ("reads", "profile", "controls", "signature")},
        code=code("score_signature"),
    script:
        "../../scripts/score_signature.py"


rule assign_community_types:
    """Say which known kind of community each sample resembles, and what that does to the score."""
    input:
        genus=expand("results/tables/{assay}.genus.counts.tsv", assay=ASSAYS),
        species=expand("results/tables/{assay}.species.counts.tsv", assay=ASSAYS),
        genus_intervals=expand("results/tables/{assay}.genus.intervals.tsv", assay=ASSAYS),
        species_intervals=expand("results/tables/{assay}.species.intervals.tsv", assay=ASSAYS),
        database_taxa=expand("results/provenance/taxa.{assay}.tsv", assay=ASSAYS),
        ledger="results/tables/ledger.tsv",
        status="results/tables/sample_status.tsv",
        metadata="results/tables/metadata.tsv",
        scores="results/signature/scores.tsv",
        concepts=Path(workflow.basedir, "config/evidence/concepts.tsv"),
        crosswalk=Path(workflow.basedir, "config/evidence/crosswalk.tsv"),
        parts=Path(workflow.basedir, "config/community_types/parts.tsv"),
        types=Path(workflow.basedir, "config/community_types/types.tsv"),
        phyla=Path(workflow.basedir, "config/community_types/phyla.tsv"),
        reference=Path(workflow.basedir, "config/community_types/reference.tsv"),
    output:
        types="results/signature/community_types.tsv",
        models="results/signature/community_type_models.tsv",
        tests="results/signature/community_type_tests.tsv",
    log:
        "logs/assign_community_types.log",
    conda:
        "../../envs/python.yaml"
    resources:
        mem_mb=2000,
    params:
        assays=ASSAYS,
        nomenclature={assay: config["databases"][assay]["nomenclature"] for assay in ASSAYS},
        min_membership=config["community_types"]["min_membership"],
        min_samples=config["community_types"]["min_samples"],
        max_types=config["community_types"]["max_types"],
        bootstraps=config["community_types"]["bootstraps"],
        offset=config["signature"]["offset"],
        draws=config["signature"]["draws"],
        group=config["cohort"]["group"],
        reference=config["cohort"]["reference"],
        subject=config["cohort"]["subject"],
        seed=config["seed"],
        code=code("assign_community_types"),
    script:
        "../../scripts/assign_community_types.py"


rule evaluate_signature:
    """Area under the ROC curve of the score, of covariates and of both, with calibration."""
    input:
        scores="results/signature/scores.tsv",
        status="results/tables/sample_status.tsv",
        metadata="results/tables/metadata.tsv",
        trained=TRAINED[:1],
    output:
        evaluation="results/signature/evaluation.tsv",
        calibration="results/signature/calibration.tsv",
        curves="results/signature/roc.tsv",
        not_run="results/signature/not_run.tsv",
    log:
        "logs/evaluate_signature.log",
    conda:
        "../../envs/python.yaml"
    resources:
        mem_mb=2000,
    params:
        assays=ASSAYS,
        group=config["cohort"]["group"],
        reference=config["cohort"]["reference"],
        study=config["cohort"]["study"],
        subject=config["cohort"]["subject"],
        covariates=config["signature"]["evaluate"]["covariates"],
        permutations=config["signature"]["evaluate"]["permutations"],
        seed=config["seed"],
        code=code("evaluate_signature"),
    script:
        "../../scripts/evaluate_signature.py"


if TRAINED:

    rule train_model:
        """Elastic net on log-ratios of the taxa, nested cross-validation and leave-one-cohort-out."""
        input:
            counts=expand(
                "results/tables/{assay}.{rank}.counts.tsv",
                assay=ASSAYS,
                rank=config["statistics"]["rank"],
            ),
            ledger="results/tables/ledger.tsv",
            scores="results/signature/scores.tsv",
            status="results/tables/sample_status.tsv",
            metadata="results/tables/metadata.tsv",
        output:
            predictions=TRAINED[0],
            features=TRAINED[1],
            not_run=TRAINED[2],
            software="results/provenance/software.train.tsv",
        log:
            "logs/train_model.log",
        conda:
            "../../envs/train.yaml"
        threads: 2
        resources:
            mem_mb=2000,
        params:
            assays=ASSAYS,
            group=config["cohort"]["group"],
            reference=config["cohort"]["reference"],
            study=config["cohort"]["study"],
            subject=config["cohort"]["subject"],
            min_prevalence=config["statistics"]["min_prevalence"],
            min_mean_abundance=config["statistics"]["min_mean_abundance"],
            offset=config["signature"]["offset"],
            seed=config["seed"],
            code=code("train_model"),
        script:
            "../../scripts/train_model.py"
