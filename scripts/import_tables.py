"""Bring an assay's own tables to counts at every rank (rule import_tables)."""

import json
from pathlib import Path

from moodbiome.cohort import read_tsv, write_tsv
from moodbiome.contaminants import Controls, screen
from moodbiome.database import fingerprint
from moodbiome.dictionary import read_dictionary, tidy_metadata
from moodbiome.faults import as_message
from moodbiome.feature_tables import (
    account,
    as_taxpasta,
    list_taxa,
    number_taxa,
    rank_counts,
    read_import,
)
from moodbiome.ledger import tsv
from moodbiome.sheet import read_sheet
from moodbiome.tables import write_biom, write_counts
from moodbiome.uncertainty import counting_intervals

snake_in, output, params = snakemake.input, snakemake.output, snakemake.params
assay = snakemake.wildcards.assay
sheet, _ = read_sheet(Path(snake_in.sheet), params.imported)
metadata = tidy_metadata(sheet.metadata, read_dictionary(Path(snake_in.dictionary)))
samples = [sample for sample, of_assay in sheet.samples if of_assay == assay]
fragments = {sample: metadata[sample].get("fragments", "") for sample in samples}
files = {rank: Path(file) for rank, file in zip(params.files_of, snake_in.tables, strict=True)}
imported, faults = read_import(files, samples, fragments)
if imported is None:
    raise SystemExit(as_message(faults))

names = {}
if params.nomenclature == "ncbi":
    known = read_tsv(snake_in.names)
    names = dict(
        zip(zip(known["rank"], known["name"], strict=True), known["taxon_id"], strict=True)
    )
numbers = number_taxa(imported, names)
counts = {rank: rank_counts(imported, numbers, rank) for rank in params.ranks}
counts, scores, burdens, said = screen(counts, Controls.of_metadata(metadata, params.controls))
for rank, table, biom, taxpasta, intervals in zip(
    *(params.ranks, output.counts, output.biom, output.taxpasta, output.intervals), strict=True
):
    write_counts(counts[rank], table)
    write_biom(counts[rank], biom, title=f"{assay}.{rank}")
    write_tsv(as_taxpasta(counts[rank]), taxpasta)
    write_tsv(counting_intervals(counts[rank]), intervals)
write_tsv(scores, output.contaminants)
write_tsv(burdens, output.burden)
accounts = account(imported, assay)
Path(output.accounts).write_text(json.dumps(accounts, indent=1) + "\n")
forms = {files[rank].name: form for rank, form in imported.formats.items()}
found = {**fingerprint(list(files.values())), "formats": forms}
Path(output.fingerprint).write_text(json.dumps(found, indent=1) + "\n")
taxa = list_taxa(imported, numbers)
Path(output.taxa).write_text(tsv(["taxon_id", "parent", "rank", "name"], taxa))
said.insert(0, "; ".join(f"{name}: {form}" for name, form in forms.items()))
Path(snakemake.log[0]).write_text("".join(f"{line}\n" for line in said))
