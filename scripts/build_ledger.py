"""Write the ledger, the status of every sample and the cohort's metadata (rule build_ledger)."""

import csv
import json
from pathlib import Path

from moodbiome.dictionary import read_dictionary, tidy_metadata
from moodbiome.ledger import LEDGER, read_length_warning, reconcile, sample_status, tsv
from moodbiome.sheet import read_sheet

output = snakemake.output
sheet, _ = read_sheet(Path(snakemake.input.sheet), snakemake.params.imported)
metadata = tidy_metadata(sheet.metadata, read_dictionary(Path(snakemake.input.dictionary)))
profiles = [json.loads(Path(file).read_text()) for file in snakemake.input.profiles]
for file in snakemake.input.imported:
    profiles += json.loads(Path(file).read_text())
place = {key: number for number, key in enumerate(sheet.samples)}
profiles.sort(key=lambda profile: place[profile["sample"], profile["assay"]])

STATUS = ["sample", "assay", "sample_type", "status", "reason", "warnings"]

# Fragments of the genera that the negative controls tell to be contaminants; empty if not assessed.
contaminant = {}
for assay, file in zip(snakemake.params.assays, snakemake.input.burdens, strict=True):
    with Path(file).open() as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            if row["rank"] == "genus":
                contaminant[row["sample"], assay] = row["contaminant_fragments"]
read_lengths = {}
for file in snakemake.input.lengths:
    assay = Path(file).name.split(".")[0]
    with Path(file).open() as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            used = row["distribution_length_bp"]
            read_lengths[row["sample"], assay] = int(used) if used else None
ledger, status = [], []
for profile in profiles:
    reconcile(profile)
    cells = metadata[profile["sample"]]
    key = [profile["sample"], profile["assay"]]
    flow = [profile[column] for column in LEDGER]
    ledger.append([*key, *flow, contaminant.get(tuple(key))])
    found = sample_status(profile, cells["exclude"], snakemake.params.low_depth)
    odd_length = read_length_warning(profile["mean_length"], read_lengths.get(tuple(key)))
    warnings = [*profile["warnings"], *([odd_length] if odd_length else [])]
    status.append([*key, cells["sample_type"], *found, "; ".join(warnings)])

Path(output.ledger).write_text(tsv(["sample", "assay", *LEDGER, "contaminant"], ledger))
Path(output.status).write_text(tsv(STATUS, status))
columns = list(next(iter(metadata.values())))
rows = [[sample, *cells.values()] for sample, cells in metadata.items()]
Path(output.metadata).write_text(tsv(["sample", *columns], rows))
Path(snakemake.log[0]).write_text(f"{len(ledger)} samples reconcile\n")
