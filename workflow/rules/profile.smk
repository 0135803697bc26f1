"""Clean reads -> one Kraken2 report a sample; what other settings would have given."""


rule classify_reads:
    """Classify a sample's fragments, all its runs together."""
    input:
        r1=clean_files("clean.R1.fastq.gz"),
        r2=clean_files("clean.R2.fastq.gz"),
        clean=clean_files("clean.json"),
        database=database_files,
        # Read first: it warms the page cache, and holds the SHA-256 that a copy on the node must have.
        # The database itself decides what is stale.
        fingerprint=ancient("results/provenance/database.{assay}.json"),
    output:
        report="results/profile/{assay}/{sample}.kraken2.txt",
        profile="results/profile/{assay}/{sample}.profile.json",
    log:
        "logs/classify_reads/{assay}/{sample}.log",
    benchmark:
        "benchmarks/classify_reads/{assay}/{sample}.tsv"
    conda:
        "../../envs/profile.yaml"
    threads: 4
    resources:
        mem_mb=classification_memory,
        # With `--resources database=1` the samples of a group job take turns (see the slurm profile).
        database=1,
    params:
        confidence=config["profile"]["confidence"],
        min_hit_groups=config["profile"]["min_hit_groups"],
        stage=config["databases"]["stage"],
        code=code("classify_reads"),
    script:
        "../../scripts/classify_reads.py"


rule measure_sensitivity:
    """Classify the first fragments of a few samples with other settings."""
    input:
        r1=sensitivity_files("clean.R1.fastq.gz"),
        r2=sensitivity_files("clean.R2.fastq.gz"),
        clean=sensitivity_files("clean.json"),
        database=database_files,
        fingerprint=ancient("results/provenance/database.{assay}.json"),
    output:
        "results/profile/{assay}.sensitivity.tsv",
    log:
        "logs/measure_sensitivity/{assay}.log",
    conda:
        "../../envs/profile.yaml"
    threads: 4
    resources:
        mem_mb=classification_memory,
        database=1,
    params:
        samples=lambda wildcards: sensitivity_samples(wildcards.assay),
        fragments=config["profile"]["sensitivity"]["fragments"],
        confidence=config["profile"]["confidence"],
        min_hit_groups=config["profile"]["min_hit_groups"],
        min_fragments=config["profile"]["min_fragments"],
        minimisers=config["profile"]["minimisers"],
        stage=config["databases"]["stage"],
        code=code("measure_sensitivity"),
    script:
        "../../scripts/measure_sensitivity.py"
