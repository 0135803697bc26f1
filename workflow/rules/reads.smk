"""FASTQ -> trimmed, host-free reads. The reads stream from fastp through bowtie2 to disk once."""

if config["host"]["remove"] and config["host"]["fasta"]:

    rule build_host_index:
        """Index the host genome once."""
        input:
            fasta=config["host"]["fasta"],
        output:
            multiext("resources/host/index", *HOST_SUFFIXES),
        log:
            "logs/build_host_index.log",
        conda:
            "../../envs/reads.yaml"
        threads: 8
        resources:
            # bowtie2-build holds about five bytes a base of a human-sized genome.
            mem_mb=lambda wildcards, input: 500
            + int(input.size_mb) * (24 if str(input.fasta).endswith(".gz") else 6),
        shell:
            "bowtie2-build --threads {threads} {input.fasta:q} resources/host/index > {log:q} 2>&1"


rule clean_reads:
    """Trim adapters and bad ends, drop poor reads, remove the host; account for every fragment."""
    input:
        check="results/reads/{assay}/{sample}/{run}.check.json",
        # With on_failure: stop nothing is cleaned before every file has been found sound.
        all_checks=all_checks if config["on_failure"] == "stop" else [],
        fastq=fastq_files,
        host=host_index,
        primers=lambda wildcards: PRIMERS if wildcards.assay == "amplicon" else [],
    output:
        r1=temp("results/reads/{assay}/{sample}/{run}.clean.R1.fastq.gz"),
        # Empty for a single-end run.
        r2=temp("results/reads/{assay}/{sample}/{run}.clean.R2.fastq.gz"),
        fastp="results/reads/{assay}/{sample}/{run}.fastp.json",
        clean="results/reads/{assay}/{sample}/{run}.clean.json",
    log:
        "logs/clean_reads/{assay}/{sample}/{run}.log",
    benchmark:
        "benchmarks/clean_reads/{assay}/{sample}/{run}.tsv"
    conda:
        "../../envs/reads.yaml"
    threads: 4
    resources:
        # Each job has the index in memory for itself.
        mem_mb=lambda wildcards, input, attempt: (1000 + megabytes(host_index_files()))
        * 2 ** (attempt - 1),
    params:
        min_length=config["reads"]["min_length_bp"],
        min_quality=config["reads"]["min_base_quality"],
        max_bad_percent=config["reads"]["max_bad_bases_percent"],
        primers=primer_setting,
        host=HOST_INDEX if config["host"]["remove"] else "",
        code=code("clean_reads"),
    script:
        "../../scripts/clean_reads.py"
