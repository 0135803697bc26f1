"""Fingerprint a database's files and list its taxa (rule fingerprint_database)."""

import json
from pathlib import Path

from moodbiome.bracken import check_database, read_distribution
from moodbiome.database import database_taxa, fingerprint, kmer_distributions
from moodbiome.ledger import tsv
from moodbiome.taxonomy import other_ids, read_merged

snake_in, output = snakemake.input, snakemake.output
files = [Path(file) for file in snake_in.files]
taxonomy = next(file for file in files if file.name == "taxo.k2d")
taxa = sorted(database_taxa(taxonomy))
parents = {taxon: parent for taxon, parent, _, _ in taxa}

warnings = []
for file in kmer_distributions([Path(file) for file in snake_in.distributions]):
    warnings += check_database(read_distribution(file), parents, file.name, taxonomy.name)

merged = {}
for file in snake_in.merged:
    merged |= read_merged(Path(file))
others = other_ids(parents, merged)
rows = [(*row, ",".join(map(str, others.get(row[0], [])))) for row in taxa]
columns = ["taxon_id", "parent", "rank", "name", "other_ids"]
Path(output.taxa).write_text(tsv(columns, rows))
found = fingerprint(files + [Path(file) for file in snake_in.distributions])
found["warnings"] = warnings
Path(output.fingerprint).write_text(json.dumps(found, indent=1) + "\n")
Path(snakemake.log[0]).write_text("".join(f"warning: {warning}\n" for warning in warnings))
