"""Profiles -> counts by rank; ledger of every fragment; status of every sample."""


rule build_tables:
    """Re-estimate an assay's samples at every rank, look for contaminants, merge into tables."""
    input:
        reports=lambda wildcards: of_samples(
            "results/profile/{assay}/{sample}.kraken2.txt", wildcards.assay
        ),
        profiles=lambda wildcards: of_samples(
            "results/profile/{assay}/{sample}.profile.json", wildcards.assay
        ),
        distributions=distributions,
        sheet=config["samples"],
        dictionary=DICTIONARY,
    output:
        counts=expand("results/tables/{{assay}}.{rank}.counts.tsv", rank=RANKS),
        biom=expand("results/tables/{{assay}}.{rank}.counts.biom", rank=RANKS),
        intervals=expand("results/tables/{{assay}}.{rank}.intervals.tsv", rank=RANKS),
        lengths="results/tables/{assay}.read_lengths.tsv",
        contaminants="results/tables/{assay}.contaminants.tsv",
        burden="results/tables/{assay}.contaminant_burden.tsv",
        minimisers="results/tables/{assay}.minimisers.tsv",
    log:
        "logs/build_tables/{assay}.log",
    conda:
        "../../envs/python.yaml"
    params:
        ranks=RANKS,
        min_fragments=config["profile"]["min_fragments"],
        read_length=config["profile"]["read_length_bp"],
        minimisers=config["profile"]["minimisers"],
        controls=config["controls"],
        draws=config["tables"]["interval_draws"],
        seed=config["seed"],
        code=code("build_tables"),
    script:
        "../../scripts/build_tables.py"


rule build_ledger:
    """Where every fragment of every sample went, and what became of every row of the sheet."""
    input:
        sheet=config["samples"],
        dictionary=DICTIONARY,
        profiles=of_samples("results/profile/{assay}/{sample}.profile.json"),
        burdens=expand("results/tables/{assay}.contaminant_burden.tsv", assay=ASSAYS),
        lengths=expand("results/tables/{assay}.read_lengths.tsv", assay=ASSAYS),
    output:
        ledger="results/tables/ledger.tsv",
        status="results/tables/sample_status.tsv",
        metadata="results/tables/metadata.tsv",
    log:
        "logs/build_ledger.log",
    conda:
        "../../envs/python.yaml"
    params:
        assays=ASSAYS,
        low_depth=config["tables"]["low_depth_fragments"],
        code=code("build_ledger"),
    script:
        "../../scripts/build_ledger.py"
