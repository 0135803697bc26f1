"""The library of moodbiome: pure functions on reads, reports and tables.

No paths of its own, no configuration, no Snakemake. Each module is one subject:

- sheet, settings    what the user wrote, checked as a whole
- fastq              is this FASTQ file complete and sound?
- kraken, bracken    Kraken2 reports and the re-estimation of abundances
- kmer_distribution  what re-estimation must know of a database
- tables             counts by rank, ledger, sample status
- diversity          alpha and beta diversity and their tests
- association        which taxa go with which variable
- signature          the depression signature score
- figures, report    what people see
- tools              running command-line tools and checking what they did
"""
