"""Clean reads -> one Kraken2 report a sample."""


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
