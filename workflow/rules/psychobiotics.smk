"""Counts, and k-mers of genomes that the user gives -> psychobiotic species and strains of each sample."""

INTAKE = []
if config["psychobiotics"]["intake"]["during"]:
    INTAKE = [
        f"results/signature/intake{part}.tsv" for part in ("", "_changes", "_subjects", "_not_run")
    ]
if STRAIN_FILES:

    rule search_strains:
        """Count the k-mers of the strains' genomes in a sample's host-free reads."""
        input:
            r1=clean_files("clean.R1.fastq.gz"),
            r2=clean_files("clean.R2.fastq.gz"),
            clean=clean_files("clean.json"),
            table=STRAINS,
            genomes=STRAIN_FILES,
        output:
            "results/signature/strains/{assay}/{sample}.kmers.json",
        log:
            "logs/search_strains/{assay}/{sample}.log",
        benchmark:
            "benchmarks/search_strains/{assay}/{sample}.tsv"
        conda:
            "../../envs/strains.yaml"
        resources:
            mem_mb=lambda wildcards, attempt: 2000 * 2 ** (attempt - 1),
        params:
            kmer=config["psychobiotics"]["kmer_bp"],
            scaled=config["psychobiotics"]["scaled"],
            code=code("search_strains"),
        script:
            "../../scripts/search_strains.py"


rule detect_psychobiotics:
    """Say which psychobiotic species and strains each sample shows, and which could not be seen."""
    input:
        genus_intervals=expand("results/tables/{assay}.genus.intervals.tsv", assay=ASSAYS),
        species_intervals=expand("results/tables/{assay}.species.intervals.tsv", assay=ASSAYS),
        contaminants=expand("results/tables/{assay}.contaminants.tsv", assay=ASSAYS),
        minimisers=expand("results/tables/{assay}.minimisers.tsv", assay=SEQUENCED),
        database_taxa=expand("results/provenance/taxa.{assay}.tsv", assay=ASSAYS),
        status="results/tables/sample_status.tsv",
        metadata="results/tables/metadata.tsv",
        concepts=Path(workflow.basedir, "config/evidence/concepts.tsv"),
        crosswalk=Path(workflow.basedir, "config/evidence/crosswalk.tsv"),
        strains=STRAINS,
        kmers=strain_kmers,
    output:
        "results/signature/psychobiotics.tsv",
    log:
        "logs/detect_psychobiotics.log",
    conda:
        "../../envs/python.yaml"
    params:
        assays=ASSAYS,
        nomenclature={assay: config["databases"][assay]["nomenclature"] for assay in ASSAYS},
        imported=IMPORTED,
        min_fragments=config["profile"]["min_fragments"],
        contaminant_action=config["controls"]["action"],
        limits=config["psychobiotics"]["limits"],
        code=code("detect_psychobiotics"),
    script:
        "../../scripts/detect_psychobiotics.py"


if INTAKE:

    rule check_intake:
        """Say who shows what a trial gave, before, during and after intake."""
        input:
            psychobiotics="results/signature/psychobiotics.tsv",
            status="results/tables/sample_status.tsv",
            metadata="results/tables/metadata.tsv",
        output:
            counts="results/signature/intake.tsv",
            changes="results/signature/intake_changes.tsv",
            subjects="results/signature/intake_subjects.tsv",
            not_run="results/signature/intake_not_run.tsv",
        log:
            "logs/check_intake.log",
        conda:
            "../../envs/python.yaml"
        params:
            assays=ASSAYS,
            subject=config["cohort"]["subject"],
            timepoint=config["cohort"]["timepoint"],
            timepoints=timepoints_of(config["cohort"], sheet),
            arm=config["cohort"]["arm"],
            reference=config["cohort"]["arm_reference"],
            during=config["psychobiotics"]["intake"]["during"],
            organisms=config["psychobiotics"]["intake"]["organisms"],
            arms=config["psychobiotics"]["intake"]["arms"],
            code=code("check_intake"),
        script:
            "../../scripts/check_intake.py"
