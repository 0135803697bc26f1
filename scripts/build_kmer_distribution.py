"""Compute a database's k-mer distribution for a read length (rule build_kmer_distribution)."""

from pathlib import Path

from moodbiome.kmer_distribution import (
    Taxonomy,
    count_genomes,
    read_parents,
    read_sequence_taxa,
    write_distribution,
)

taxonomy = Taxonomy(read_parents(snakemake.input.nodes))
sequence_taxa = read_sequence_taxa(snakemake.input.seqid2taxid)
length = int(snakemake.wildcards.length)
with Path(snakemake.input.kraken).open() as lines:
    genomes = count_genomes(lines, sequence_taxa, taxonomy, length)
write_distribution(genomes, snakemake.output[0])
Path(snakemake.log[0]).write_text(f"{len(genomes)} genomes, reads of {length} bp\n")
