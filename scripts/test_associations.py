"""Model each taxon on the cohort's variables (rule test_associations)."""

from pathlib import Path

import pandas as pd

from moodbiome.association import NotRun, build_design, run_models
from moodbiome.cohort import of_assay, read_cohort, write_by_assay
from moodbiome.diversity import features
from moodbiome.tables import read_counts

snake_in, output, params = snakemake.input, snakemake.output, snakemake.params
cohort = read_cohort(snake_in.status, snake_in.metadata)
ledger = pd.read_table(snake_in.ledger, dtype={"sample": str})
formula = params.formula or (f"~ {params.group}" if params.group else "")
references = {params.group: params.reference} if params.group else None

tables, notes = {}, {}
for assay, file in zip(params.assays, snake_in.counts, strict=True):
    counts = read_counts(file)
    samples = of_assay(cohort, assay)
    account = ledger[ledger["assay"] == assay].set_index("sample")
    try:
        if not formula:
            raise NotRun("neither a group nor a formula is set")
        design = build_design(samples[samples["is_usable"]], formula, references)
        table, not_run = run_models(
            features(counts),
            account["bacterial"] + account["archaeal"],
            design,
            names=counts["name"],
            min_prevalence=params.min_prevalence,
            min_mean_abundance=params.min_mean_abundance,
        )
        reasons = [("differential", f"{method}: {reason}") for method, reason in not_run.items()]
    except NotRun as reason:
        table, reasons = None, [("differential", str(reason))]
    tables[assay] = [table if table is None else table.assign(rank=params.rank)]
    notes[assay] = [pd.DataFrame(reasons, columns=["analysis", "reason"])]

write_by_assay(tables, output.differential, ["taxon_id", "assay", "name", "term"])
write_by_assay(notes, output.not_run, ["assay", "analysis", "reason"])
Path(snakemake.log[0]).write_text(Path(output.not_run).read_text())
