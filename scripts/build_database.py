"""Build a Kraken2 database from genomes and a taxonomy (rule build_database)."""

from pathlib import Path

from moodbiome.database import build_database

build_database(
    genomes=[Path(file) for file in snakemake.input.genomes],
    taxonomy=Path(snakemake.params.taxonomy),
    folder=Path(snakemake.output.seqid2taxid).parent,
    threads=snakemake.threads,
    log=Path(snakemake.log[0]),
)
