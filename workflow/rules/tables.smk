"""Profiles, or a table of the user's own -> counts by rank; ledger of every fragment; status of every sample."""


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
        taxpasta=expand("results/tables/{{assay}}.{rank}.taxpasta.tsv", rank=RANKS),
        lengths="results/tables/{assay}.read_lengths.tsv",
        contaminants="results/tables/{assay}.contaminants.tsv",
        burden="results/tables/{assay}.contaminant_burden.tsv",
        minimisers="results/tables/{assay}.minimisers.tsv",
    log:
        "logs/build_tables/{assay}.log",
    wildcard_constraints:
        assay="|".join(SEQUENCED) or "none",
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


rule import_tables:
    """Bring an assay's own tables to counts at every rank, and list their taxa."""
    input:
        tables=lambda wildcards: list(map(str, IMPORTS[wildcards.assay].values())),
        sheet=config["samples"],
        dictionary=DICTIONARY,
        names=Path(workflow.basedir, "config/evidence/ncbi_names.tsv"),
    output:
        counts=expand("results/tables/{{assay}}.{rank}.counts.tsv", rank=RANKS),
        biom=expand("results/tables/{{assay}}.{rank}.counts.biom", rank=RANKS),
        intervals=expand("results/tables/{{assay}}.{rank}.intervals.tsv", rank=RANKS),
        taxpasta=expand("results/tables/{{assay}}.{rank}.taxpasta.tsv", rank=RANKS),
        contaminants="results/tables/{assay}.contaminants.tsv",
        burden="results/tables/{assay}.contaminant_burden.tsv",
        accounts="results/tables/{assay}.imported.json",
        fingerprint="results/provenance/import.{assay}.json",
        taxa="results/provenance/taxa.{assay}.tsv",
    log:
        "logs/import_tables/{assay}.log",
    wildcard_constraints:
        assay="|".join(IMPORTED) or "none",
    conda:
        "../../envs/python.yaml"
    resources:
        mem_mb=2000,
    params:
        ranks=RANKS,
        imported=list(IMPORTS),
        files_of=lambda wildcards: list(IMPORTS[wildcards.assay]),
        nomenclature=lambda wildcards: config["databases"][wildcards.assay]["nomenclature"],
        controls=config["controls"],
        code=code("import_tables"),
    script:
        "../../scripts/import_tables.py"


rule build_ledger:
    """Where every fragment of every sample went, and what became of every row of the sheet."""
    input:
        sheet=config["samples"],
        dictionary=DICTIONARY,
        profiles=of_samples("results/profile/{assay}/{sample}.profile.json"),
        imported=expand("results/tables/{assay}.imported.json", assay=IMPORTED),
        burdens=expand("results/tables/{assay}.contaminant_burden.tsv", assay=ASSAYS),
        lengths=expand("results/tables/{assay}.read_lengths.tsv", assay=SEQUENCED),
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
        imported=list(IMPORTS),
        low_depth=config["tables"]["low_depth_fragments"],
        code=code("build_ledger"),
    script:
        "../../scripts/build_ledger.py"
