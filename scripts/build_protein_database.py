"""Check and index a protein set (rule build_protein_database)."""

import json
from pathlib import Path

from moodbiome.database import fingerprint
from moodbiome.faults import as_message
from moodbiome.gene_search import build_protein_database
from moodbiome.proteins import describe_set, protein_faults, read_proteins, read_sequences

fasta, table = Path(snakemake.input.fasta), Path(snakemake.input.table)
log = Path(snakemake.log[0])
faults = protein_faults(fasta, table)
if faults:
    log.write_text(as_message(faults) + "\n")
    raise SystemExit(as_message(faults))
proteins, _ = read_proteins(table)
lengths = {accession: len(sequence) for accession, sequence in read_sequences(fasta)}
build_protein_database(fasta, Path(snakemake.output.database), snakemake.threads, log)
found = fingerprint([fasta, table])
found["fetched"] = (
    json.loads(Path(snakemake.input.lock[0]).read_text()) if snakemake.input.lock else None
)
found["families"] = describe_set(proteins, lengths)
Path(snakemake.output.fingerprint).write_text(json.dumps(found, indent=1) + "\n")
