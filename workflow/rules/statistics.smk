"""Counts and metadata -> which taxa go with which variable, in all samples, over time and over studies."""

from moodbiome.measures import choose_measures, linear_method

LONGITUDINAL = []
if config["cohort"]["subject"]:
    LONGITUDINAL = [
        f"results/statistics/{name}.tsv"
        for name in ("longitudinal", "changes", "retention", "longitudinal_not_run")
    ]
POOLED = []
if config["cohort"]["study"]:
    POOLED = expand("results/statistics/{name}.tsv", name=["pooled", "by_cohort"])
TRIALS = []
if config["statistics"]["trials"]:
    TRIALS = expand("results/statistics/{name}.tsv", name=["trials", "trials_pooled"])


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
        calibration=Path(workflow.basedir, "config/calibration.tsv"),
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
        formula=FORMULA,
        group=config["cohort"]["group"],
        reference=config["cohort"]["reference"],
        min_prevalence=config["statistics"]["min_prevalence"],
        min_mean_abundance=config["statistics"]["min_mean_abundance"],
        methods=config["statistics"]["methods"],
        draws=config["statistics"]["draws"],
        max_fdr=config["statistics"]["max_fdr"],
        seed=config["seed"],
        code=code("test_associations"),
    script:
        "../../scripts/test_associations.py"


if LONGITUDINAL:

    rule model_longitudinal:
        """Model change since baseline, and its difference between the arms of a trial."""
        input:
            counts=expand(
                "results/tables/{assay}.{rank}.counts.tsv",
                assay=ASSAYS,
                rank=config["statistics"]["rank"],
            ),
            ledger="results/tables/ledger.tsv",
            status="results/tables/sample_status.tsv",
            metadata="results/tables/metadata.tsv",
            alpha="results/diversity/alpha.tsv",
            scores="results/signature/scores.tsv",
            modules=FUNCTION[:1],
        output:
            effects="results/statistics/longitudinal.tsv",
            changes="results/statistics/changes.tsv",
            retention="results/statistics/retention.tsv",
            not_run="results/statistics/longitudinal_not_run.tsv",
        log:
            "logs/model_longitudinal.log",
        conda:
            "../../envs/python.yaml"
        resources:
            mem_mb=2000,
        params:
            assays=ASSAYS,
            rank=config["statistics"]["rank"],
            subject=config["cohort"]["subject"],
            timepoint=config["cohort"]["timepoint"],
            timepoints=timepoints_from_baseline(config["cohort"], sheet),
            arm=config["cohort"]["arm"],
            reference=config["cohort"]["arm_reference"],
            scales=config["longitudinal"]["scales"],
            markers=config["longitudinal"]["markers"],
            min_prevalence=config["statistics"]["min_prevalence"],
            min_mean_abundance=config["statistics"]["min_mean_abundance"],
            code=code("model_longitudinal"),
        script:
            "../../scripts/model_longitudinal.py"


rule estimate_power:
    """Plant effects into the cohort's own tables under shuffled groups: what can it find?"""
    input:
        counts=expand(
            "results/tables/{assay}.{rank}.counts.tsv",
            assay=ASSAYS,
            rank=config["statistics"]["rank"],
        ),
        ledger="results/tables/ledger.tsv",
        status="results/tables/sample_status.tsv",
        metadata="results/tables/metadata.tsv",
        scores="results/signature/scores.tsv",
        alpha="results/diversity/alpha.tsv",
    output:
        power="results/statistics/power.tsv",
        not_run="results/statistics/power_not_run.tsv",
    log:
        "logs/estimate_power.log",
    conda:
        "../../envs/python.yaml"
    resources:
        mem_mb=2000,
    params:
        assays=ASSAYS,
        settings={
            "method": config["statistics"]["methods"][0],
            "formula": FORMULA,
            "group": config["cohort"]["group"],
            "reference": config["cohort"]["reference"],
            "min_prevalence": config["statistics"]["min_prevalence"],
            "min_mean_abundance": config["statistics"]["min_mean_abundance"],
            "max_fdr": config["statistics"]["max_fdr"],
            "simulations": config["statistics"]["power"]["simulations"],
            "seed": config["seed"],
        },
        code=code("estimate_power"),
    script:
        "../../scripts/estimate_power.py"


if POOLED:

    rule pool_cohorts:
        """Analyse each study alone, and pool its effects with those of the others."""
        input:
            counts=expand(
                "results/tables/{assay}.{rank}.counts.tsv",
                assay=ASSAYS,
                rank=config["statistics"]["rank"],
            ),
            ledger="results/tables/ledger.tsv",
            status="results/tables/sample_status.tsv",
            metadata="results/tables/metadata.tsv",
            alpha="results/diversity/alpha.tsv",
            scores="results/signature/scores.tsv",
        output:
            pooled="results/statistics/pooled.tsv",
            by_cohort="results/statistics/by_cohort.tsv",
            not_run="results/statistics/pooled_not_run.tsv",
        log:
            "logs/pool_cohorts.log",
        conda:
            "../../envs/python.yaml"
        resources:
            mem_mb=2000,
        params:
            assays=ASSAYS,
            formula=FORMULA,
            group=config["cohort"]["group"],
            reference=config["cohort"]["reference"],
            study=config["cohort"]["study"],
            subject=config["cohort"]["subject"],
            method=config["statistics"]["methods"][0],
            draws=config["statistics"]["draws"],
            seed=config["seed"],
            min_prevalence=config["statistics"]["min_prevalence"],
            min_mean_abundance=config["statistics"]["min_mean_abundance"],
            code=code("pool_cohorts"),
        script:
            "../../scripts/pool_cohorts.py"


if TRIALS:

    rule pool_trials:
        """Pool the trials of a table: by outcome, by subgroup, and against moderators."""
        input:
            config["statistics"]["trials"],
        output:
            trials="results/statistics/trials.tsv",
            pooled="results/statistics/trials_pooled.tsv",
        log:
            "logs/pool_trials.log",
        conda:
            "../../envs/python.yaml"
        params:
            code=code("pool_trials"),
        script:
            "../../scripts/pool_trials.py"


rule test_measures:
    """Test scales, markers, drugs and habits against the community; repeat in fewer samples."""
    input:
        counts=expand(
            "results/tables/{assay}.{rank}.counts.tsv",
            assay=ASSAYS,
            rank=config["statistics"]["rank"],
        ),
        ledger="results/tables/ledger.tsv",
        status="results/tables/sample_status.tsv",
        metadata="results/tables/metadata.tsv",
        alpha="results/diversity/alpha.tsv",
        scores="results/signature/scores.tsv",
        modules=FUNCTION[:1],
        dictionary=DICTIONARY,
    output:
        measures="results/statistics/measures.tsv",
        group_sensitivity="results/statistics/group_sensitivity.tsv",
        not_run="results/statistics/measures_not_run.tsv",
    log:
        "logs/test_measures.log",
    conda:
        "../../envs/python.yaml"
    resources:
        mem_mb=2000,
    params:
        assays=ASSAYS,
        measures=choose_measures(config["statistics"]["measures"], sheet.metadata),
        adjust_for=config["statistics"]["adjust_for"],
        method=linear_method(config["statistics"]["methods"]),
        subject=config["cohort"]["subject"],
        recent_antibiotics_days=config["statistics"]["recent_antibiotics_days"],
        formula=FORMULA,
        group=config["cohort"]["group"],
        reference=config["cohort"]["reference"],
        min_prevalence=config["statistics"]["min_prevalence"],
        min_mean_abundance=config["statistics"]["min_mean_abundance"],
        code=code("test_measures"),
    script:
        "../../scripts/test_measures.py"
