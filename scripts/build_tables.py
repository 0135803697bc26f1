"""Re-estimate an assay's samples at every rank and merge them (rule build_tables)."""

import json
import re
from pathlib import Path

import pandas as pd

from moodbiome.bracken import nearest_read_length, read_distribution
from moodbiome.kraken import read_report
from moodbiome.tables import build_counts, write_biom, write_counts

snake_in, output, params = snakemake.input, snakemake.output, snakemake.params
profiles = [json.loads(Path(file).read_text()) for file in snake_in.profiles]
# A failed sample has no counts: it is in the ledger and the status table, not in these.
reports = {
    profile["sample"]: read_report(file, fragments=profile["non_host"])
    for profile, file in zip(profiles, snake_in.reports, strict=True)
    if profile["status"] != "failed"
}

lengths = {
    int(re.fullmatch(r"database(\d+)mers\.kmer_distrib", Path(file).name)[1]): file
    for file in snake_in.distributions
}
rows = []
for profile in profiles:
    mean = profile["mean_length"]
    wanted = params.read_length or mean
    chosen = nearest_read_length(lengths, wanted) if lengths and wanted else None
    rows.append((profile["sample"], mean, chosen and chosen.length, chosen and chosen.is_exact))
columns = ["sample", "mean_length_bp", "distribution_length_bp", "is_exact"]
used = pd.DataFrame(rows, columns=columns).astype({"distribution_length_bp": "Int64"})
used.to_csv(output.lengths, sep="\t", index=False)

needed = used["distribution_length_bp"].dropna().unique()
distributions = {length: read_distribution(lengths[length]) for length in sorted(needed)}
chosen = used.dropna(subset="distribution_length_bp").set_index("sample")["distribution_length_bp"]
by_sample = {sample: distributions[length] for sample, length in chosen.items()}

with Path(snakemake.log[0]).open("w") as log:
    for rank, tsv, biom in zip(params.ranks, output.counts, output.biom, strict=True):
        counts = build_counts(reports, by_sample, rank, params.min_fragments)
        write_counts(counts, tsv)
        write_biom(counts, biom, title=f"{snakemake.wildcards.assay}.{rank}")
        log.write(f"{rank}: {len(counts) - 2} taxa in {len(reports)} samples\n")
