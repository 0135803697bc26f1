"""Fingerprint a database's files and list its taxa (rule fingerprint_database)."""

import json
from pathlib import Path

from moodbiome.database import database_taxa, fingerprint
from moodbiome.ledger import tsv

files = [Path(file) for file in snakemake.input.files]
taxonomy = next(file for file in files if file.name == "taxo.k2d")
rows = sorted(database_taxa(taxonomy))
Path(snakemake.output.taxa).write_text(tsv(["taxon_id", "parent", "rank", "name"], rows))
found = fingerprint(files + [Path(file) for file in snakemake.input.distributions])
Path(snakemake.output.fingerprint).write_text(json.dumps(found, indent=1) + "\n")
