"""Sample sheet -> one checked plan (common.smk); FASTQ files -> what is in them, and whether all of it is.

A damaged file is a result here and no error: the sample's later steps pass its failure on, so that the
other samples finish and every table still has a row for it. `on_failure: stop` makes it an error.
"""


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
        on_failure=config["on_failure"],
        code=code("check_reads"),
    script:
        "../../scripts/check_reads.py"
