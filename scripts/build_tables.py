"""Re-estimate an assay's samples at every rank, find contaminants, merge (rule build_tables)."""

import json
import re
from pathlib import Path

import pandas as pd

from moodbiome.bracken import choose_read_length, read_distribution
from moodbiome.cohort import write_tsv
from moodbiome.contaminants import Controls, screen
from moodbiome.database import kmer_distributions
from moodbiome.dictionary import read_dictionary, tidy_metadata
from moodbiome.feature_tables import as_taxpasta
from moodbiome.kraken import read_report
from moodbiome.minimisers import COLUMNS as MINIMISER_COLUMNS
from moodbiome.minimisers import Limits, flagged_taxa, has_minimisers, minimiser_rows
from moodbiome.sheet import read_sheet
from moodbiome.tables import count_ranks, write_biom, write_counts
from moodbiome.uncertainty import sample_intervals

snake_in, output, params = snakemake.input, snakemake.output, snakemake.params
assay = snakemake.wildcards.assay
profiles = [json.loads(Path(file).read_text()) for file in snake_in.profiles]
# A failed sample has no counts: it is in the ledger and the status table, not in these.
reports = {
    profile["sample"]: read_report(file, fragments=profile["non_host"])
    for profile, file in zip(profiles, snake_in.reports, strict=True)
    if profile["status"] != "failed"
}

files = kmer_distributions([Path(file) for file in snake_in.distributions])
lengths = {
    int(re.fullmatch(r"database(\d+)mers\.kmer_distrib", file.name)[1]): file for file in files
}
rows = []
for profile in profiles:
    mean = profile["mean_length"]
    chosen = choose_read_length(lengths, mean, params.read_length)
    rows.append((profile["sample"], mean, chosen and chosen.length, chosen and chosen.is_exact))
columns = ["sample", "mean_length_bp", "distribution_length_bp", "is_exact"]
used = pd.DataFrame(rows, columns=columns).astype({"distribution_length_bp": "Int64"})
write_tsv(used, output.lengths)

needed = used["distribution_length_bp"].dropna().unique()
distributions = {length: read_distribution(lengths[length]) for length in sorted(needed)}
chosen = used.dropna(subset="distribution_length_bp").set_index("sample")["distribution_length_bp"]
by_sample = {sample: distributions[length] for sample, length in chosen.items()}

sheet, _ = read_sheet(Path(snake_in.sheet))
metadata = tidy_metadata(sheet.metadata, read_dictionary(Path(snake_in.dictionary)))
controls = Controls.of_metadata(metadata, params.controls)

limits = Limits(params.minimisers["min_distinct"], params.minimisers["min_distinct_share"])
said = []
judged = {}
if assay == "amplicon":
    said.append("minimisers: not looked at, all fragments of an amplicon are from one stretch")
else:
    judged = {sample: report for sample, report in reports.items() if has_minimisers(report)}
    if missing := [sample for sample in reports if sample not in judged]:
        said.append(
            f"minimisers: none in the reports of {', '.join(missing)}; they have 6 columns, and"
            f" kraken2 --report-minimizer-data writes 8"
        )
held = [
    row
    for sample, report in judged.items()
    for row in minimiser_rows(sample, report, params.ranks, params.min_fragments, limits)
]
write_tsv(pd.DataFrame(held, columns=list(MINIMISER_COLUMNS)), output.minimisers)

dropped = {}
if params.minimisers["action"] == "drop":
    dropped = {
        rank: {key: flagged_taxa(report, rank, limits) for key, report in judged.items()}
        for rank in params.ranks
    }
before = count_ranks(reports, by_sample, params.ranks, params.min_fragments, dropped)
counts, scores, burdens, screened = screen(before, controls)
intervals = sample_intervals(
    reports,
    by_sample,
    params.ranks,
    params.min_fragments,
    draws=params.draws,
    seed=params.seed,
    removed={rank: before[rank].index.difference(counts[rank].index) for rank in params.ranks},
    excluded=dropped,
)
for rank, tsv, biom, taxpasta, interval in zip(
    *(params.ranks, output.counts, output.biom, output.taxpasta, output.intervals), strict=True
):
    write_counts(counts[rank], tsv)
    write_biom(counts[rank], biom, title=f"{assay}.{rank}")
    write_tsv(as_taxpasta(counts[rank]), taxpasta)
    write_tsv(intervals[rank], interval)
write_tsv(scores, output.contaminants)
write_tsv(burdens, output.burden)
Path(snakemake.log[0]).write_text("".join(f"{line}\n" for line in said + screened))
