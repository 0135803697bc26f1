"""Genomes and taxonomy -> Kraken2 database with its k-mer distributions; any database -> fingerprint."""


rule fetch_database:
    """Fetch a database by its name, resuming after breaks, and lock it: every file by its SHA-256."""
    input:
        # A new release of another database must not fetch this one again.
        manifest=ancient(MANIFEST),
    output:
        multiext("resources/databases/{assay}/", *DATABASE_FILES),
        lock=update("resources/databases/{assay}/lock.json"),
    log:
        "logs/fetch_database/{assay}.log",
    wildcard_constraints:
        assay="|".join(assay for assay in SEQUENCED if config["databases"][assay]["name"]) or "none",
    localrule: True
    conda:
        "../../envs/python.yaml"
    params:
        name=lambda wildcards: config["databases"][wildcards.assay]["name"],
        kind=lambda wildcards: wildcards.assay,
        code=code("fetch_database"),
    script:
        "../../scripts/fetch_database.py"


use rule fetch_database as fetch_host with:
    # Whether bowtie2 calls it .bt2 or .bt2l is known when it is there: the lock stands for the index.
    output:
        lock=update("resources/host/lock.json"),
    log:
        "logs/fetch_host.log",
    params:
        name=config["host"]["name"],
        kind="host",
        code=code("fetch_database"),


rule build_reference:
    """16S sequences with lineages -> a library and a taxonomy that Kraken2 can build from."""
    input:
        fasta=lambda wildcards: config["databases"][wildcards.assay]["genomes"],
        taxonomy=lambda wildcards: config["databases"][wildcards.assay]["taxonomy"] or [],
    output:
        library="resources/databases/{assay}/reference/library.fna",
        nodes="resources/databases/{assay}/reference/taxonomy/nodes.dmp",
        names="resources/databases/{assay}/reference/taxonomy/names.dmp",
        facts="resources/databases/{assay}/reference.json",
    log:
        "logs/build_reference/{assay}.log",
    wildcard_constraints:
        assay="|".join(assay for assay in SEQUENCED if is_reference(assay)) or "none",
    conda:
        "../../envs/python.yaml"
    params:
        code=code("build_reference"),
    script:
        "../../scripts/build_reference.py"


rule build_database:
    """Build a Kraken2 database, and classify its own genomes against it for the distributions."""
    input:
        genomes=library_genomes,
        taxonomy=library_taxonomy,
    output:
        multiext("resources/databases/{assay}/", *DATABASE_FILES),
        seqid2taxid="resources/databases/{assay}/seqid2taxid.map",
        nodes="resources/databases/{assay}/nodes.dmp",
        merged="resources/databases/{assay}/merged.dmp",
        facts="resources/databases/{assay}/library.json",
        kraken=temp("resources/databases/{assay}/library.kraken"),
    log:
        "logs/build_database/{assay}.log",
    wildcard_constraints:
        assay="|".join(assay for assay in SEQUENCED if config["databases"][assay]["genomes"])
        or "none",
    conda:
        "../../envs/profile.yaml"
    threads: 8
    resources:
        # Kraken2 builds its table in memory: about a byte a base, and the library's own text.
        mem_mb=lambda wildcards, input: 1000 + 4 * int(input.size_mb),
    params:
        taxonomy=taxonomy_folder,
        code=code("build_database"),
    script:
        "../../scripts/build_database.py"


rule build_kmer_distribution:
    """Count where reads of each genome would be classified: what re-estimation needs to know."""
    input:
        kraken="resources/databases/{assay}/library.kraken",
        seqid2taxid="resources/databases/{assay}/seqid2taxid.map",
        nodes="resources/databases/{assay}/nodes.dmp",
    output:
        "resources/databases/{assay}/database{length}mers.kmer_distrib",
    log:
        "logs/build_kmer_distribution/{assay}.{length}.log",
    conda:
        "../../envs/python.yaml"
    params:
        code=code("build_kmer_distribution"),
    script:
        "../../scripts/build_kmer_distribution.py"


rule fingerprint_database:
    """Hash the database and list its taxa. The one read from storage: it warms the page cache."""
    input:
        files=database_files,
        distributions=distributions,
        merged=merged_ids,
    output:
        fingerprint="results/provenance/database.{assay}.json",
        taxa="results/provenance/taxa.{assay}.tsv",
    log:
        "logs/fingerprint_database/{assay}.log",
    wildcard_constraints:
        assay="|".join(SEQUENCED) or "none",
    conda:
        "../../envs/python.yaml"
    params:
        code=code("fingerprint_database"),
    script:
        "../../scripts/fingerprint_database.py"
