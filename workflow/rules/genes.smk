"""Clean shotgun reads, and a protein set -> copies of marker genes per genome. Only with function.proteins."""

if GENES:

    rule build_protein_database:
        """Check the protein set, index it for DIAMOND, and say what is in it."""
        input:
            fasta=PROTEIN_FASTA,
            table=PROTEIN_TABLE,
            lock="resources/proteins/lock.json" if PROTEINS["fetch"] else [],
        output:
            database="resources/proteins/proteins.dmnd",
            fingerprint="results/provenance/proteins.json",
        log:
            "logs/build_protein_database.log",
        conda:
            "../../envs/genes.yaml"
        threads: 4
        resources:
            mem_mb=lambda wildcards, input: 500 + 10 * int(input.size_mb),
        params:
            code=code("build_protein_database"),
        script:
            "../../scripts/build_protein_database.py"

    rule search_genes:
        """Find the protein that each read of a sample fits best, and count reads by its family."""
        input:
            r1=clean_files("clean.R1.fastq.gz"),
            r2=clean_files("clean.R2.fastq.gz"),
            clean=clean_files("clean.json"),
            table=PROTEIN_TABLE,
            database="resources/proteins/proteins.dmnd",
        output:
            "results/function/{assay}/{sample}.genes.json",
        log:
            "logs/search_genes/{assay}/{sample}.log",
        benchmark:
            "benchmarks/search_genes/{assay}/{sample}.tsv"
        wildcard_constraints:
            assay="shotgun",
        conda:
            "../../envs/genes.yaml"
        threads: 4
        resources:
            # DIAMOND's block of reads and its index of seeds; a larger protein set adds to it.
            mem_mb=lambda wildcards, input, attempt: (2000 + 100 * megabytes([input.database]))
            * 2 ** (attempt - 1),
        params:
            search={
                key: config["function"]["search"][key]
                for key in ("sensitivity", "min_aligned_aa", "max_evalue")
            },
            code=code("search_genes"),
        script:
            "../../scripts/search_genes.py"

    rule measure_genes:
        """Reads by family -> copies per genome, by the families that every genome has once."""
        input:
            searched=of_samples("results/function/{assay}/{sample}.genes.json", "shotgun"),
            fingerprint="results/provenance/proteins.json",
        output:
            genes="results/function/shotgun.genes.tsv",
            limits="results/function/shotgun.detection_limits.tsv",
            counts="results/function/shotgun.gene_counts.tsv",
            intervals="results/function/shotgun.gene_intervals.tsv",
            search="results/function/shotgun.gene_search.tsv",
            not_run="results/function/genes_not_run.tsv",
        log:
            "logs/measure_genes.log",
        conda:
            "../../envs/python.yaml"
        params:
            others=[assay for assay in ASSAYS if assay != "shotgun"],
            min_single_copy_fragments=config["function"]["search"]["min_single_copy_fragments"],
            seed=config["seed"],
            code=code("measure_genes"),
        script:
            "../../scripts/measure_genes.py"


if PROTEINS["fetch"]:

    rule fetch_proteins:
        """Fetch the proteins of each family from UniProt, going on after breaks, and lock them."""
        input:
            # A change of one family's query must not fetch what is locked; remove the set for that.
            families=ancient(PROTEINS["families"] or CONFIG / "function/families.tsv"),
        output:
            fasta=PROTEIN_FASTA,
            table=PROTEIN_TABLE,
            lock=update("resources/proteins/lock.json"),
        log:
            "logs/fetch_proteins.log",
        localrule: True
        conda:
            "../../envs/python.yaml"
        params:
            archive=PROTEINS["archive"],
            code=code("fetch_proteins"),
        script:
            "../../scripts/fetch_proteins.py"
