"""Say who shows what a trial gave, before, during and after intake (rule check_intake)."""

from pathlib import Path

import pandas as pd

from moodbiome.cohort import left_out, of_assay, read_cohort, read_tsv, write_by_assay
from moodbiome.intake import (
    CHANGES,
    COUNTS,
    SUBJECTS,
    missing_pairs,
    phase_changes,
    phase_counts,
    subject_phases,
)
from moodbiome.longitudinal import find_visits
from moodbiome.visits import intake_phases

snake_in, output, params = snakemake.input, snakemake.output, snakemake.params
columns = [params.subject, params.timepoint, params.arm]
cohort = read_cohort(snake_in.status, snake_in.metadata, *columns)
calls = read_tsv(snake_in.psychobiotics, text=["organism", "name"])
phase_of = intake_phases(params.timepoints, params.during)
kept, counts, moved, notes = {}, {}, {}, {}
for assay in params.assays:
    visits, unplaced = find_visits(of_assay(cohort, assay), *columns, params.timepoints)
    of_intake = calls[(calls["assay"] == assay) & calls["organism"].isin(params.organisms)]
    # Without a trial, everyone took it.
    given = params.arms or (set(visits["arm"]) - {params.reference} if params.arm else {""})
    subjects = subject_phases(of_intake, visits, phase_of, given)
    kept[assay], counts[assay] = [subjects], [phase_counts(subjects, phase_of)]
    moved[assay] = [phase_changes(subjects, params.reference)]
    unknown = [name for name in params.organisms if name not in set(of_intake["organism"])]
    reasons = [f"{name}: {assay} samples are not asked for it" for name in unknown]
    reasons += [missing_pairs(subjects)] if len(subjects) else []
    rows = [("intake", reason) for reason in reasons if reason]
    notes[assay] = [
        left_out("intake", unplaced),
        pd.DataFrame(rows, columns=["analysis", "reason"]),
    ]

write_by_assay(kept, output.subjects, ["assay", *SUBJECTS])
write_by_assay(counts, output.counts, ["assay", *COUNTS])
write_by_assay(moved, output.changes, ["assay", *CHANGES])
write_by_assay(notes, output.not_run, ["assay", "analysis", "sample", "reason"])
Path(snakemake.log[0]).write_text(Path(output.not_run).read_text())
