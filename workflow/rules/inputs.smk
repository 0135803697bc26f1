"""Sample sheet -> one checked plan (common.smk); FASTQ files -> what is in them, and whether all of it is.

A damaged file is a result here and no error: the sample's later steps pass its failure on, so that the
other samples finish and every table still has a row for it. `on_failure: stop` makes it an error.
"""


rule fetch_reads:
    """Download a run of a public archive (ENA), resuming after breaks, checked by size and MD5."""
    output:
        r1="resources/reads/{accession}_1.fastq.gz",
        # Empty for a single-end run.
        r2="resources/reads/{accession}_2.fastq.gz",
        facts="resources/reads/{accession}.json",
    log:
        "logs/fetch_reads/{accession}.log",
    retries: 2
    localrule: True
    conda:
        "../../envs/python.yaml"
    params:
        archive=config["reads"]["archive"],
        code=code("fetch_reads"),
    script:
        "../../scripts/fetch_reads.py"


rule check_reads:
    """Read every byte of a run's FASTQ files once: integrity, mates, counts, checksums."""
    input:
        fastq_files,
    output:
        check="results/reads/{assay}/{sample}/{run}.check.json",
    log:
        "logs/check_reads/{assay}/{sample}/{run}.log",
    conda:
        "../../envs/python.yaml"
    threads: 2
    resources:
        mem_mb=500,
    params:
        names=lambda wildcards: unit_of(wildcards).files,
        accession=lambda wildcards: unit_of(wildcards).accession,
        on_failure=config["on_failure"],
        code=code("check_reads"),
    script:
        "../../scripts/check_reads.py"
