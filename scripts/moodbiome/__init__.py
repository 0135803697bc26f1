"""The library of moodbiome: pure functions on reads, reports and tables.

No paths of its own, no configuration, no Snakemake. Each module is one subject:

What the user gives
- sheet, settings, dictionary   sample sheet, settings and metadata, checked
- inputs, forecast              all of them at once; what the run will take
- accessions, download          reads of public archives
- manifest, database            Kraken2 databases: named, fetched, built, known again
- amplicon                      16S references and primers

Reads to tables
- fastq                         is this FASTQ file complete and sound?
- cleaning, classification      one run, one sample through the tools, every count checked
- kraken, bracken               Kraken2 reports and the re-estimation of abundances
- minimisers, sensitivity       taxa seen in too few places; what other settings would have given
- kmer_distribution             what re-estimation must know of a database
- tables, contaminants          counts by rank; what negative controls tell of them
- proteins, gene_search, genes  marker proteins; reads that fit them; copies per genome
- ledger, cohort                where every fragment went; the samples of a run

Tables to results
- diversity, permanova          alpha, beta, ordination; differences between groups
- comparison, metrics           one assay's samples compared as wholes; names of dissimilarities
- formula, association          model formulas; which taxa go with which variable
- meta_analysis, trials         effects pooled over studies; a table of trials
- evidence, signature           what has been published; the score of each sample
- dirichlet, community_types    kinds of community, known ones and the cohort's own
- evaluation                    how well the score tells the groups of a sheet apart
- trained                       a model trained on the taxa, predicted out of fold (scikit-learn)
- figures, report               what people see; packages of a module a section

Everywhere
- faults, tools, software       what is wrong and how to mend it; running tools; their versions
"""
