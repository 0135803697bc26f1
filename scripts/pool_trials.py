"""Pool the trials of a table (rule pool_trials)."""

from pathlib import Path

from moodbiome.cohort import write_tsv
from moodbiome.faults import as_message
from moodbiome.trials import pool_trials, read_trials, trial_effects

trials, faults = read_trials(Path(snakemake.input[0]))
if faults:
    raise ValueError(as_message(faults))
effects = trial_effects(trials)
pooled = pool_trials(effects)
write_tsv(effects, snakemake.output.trials)
write_tsv(pooled, snakemake.output.pooled)
Path(snakemake.log[0]).write_text(f"{len(effects)} rows, {effects['is_pooled'].sum()} pooled\n")
