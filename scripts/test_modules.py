"""Compare gut-brain modules between groups and community types (rule test_modules)."""

from pathlib import Path

import pandas as pd

from moodbiome.association import build_design
from moodbiome.cohort import (
    left_out,
    of_assay,
    read_cohort,
    read_tsv,
    require_usable,
    write_by_assay,
)
from moodbiome.faults import NotRun
from moodbiome.measure_models import (
    MODULE_COLUMNS,
    TYPE_COLUMNS,
    contrast_types,
    function_features,
    model_features,
)

snake_in, output, params = snakemake.input, snakemake.output, snakemake.params
cohort = read_cohort(snake_in.status, snake_in.metadata, params.group, params.subject)
modules = read_tsv(snake_in.modules, text=["module", "name"])
types = read_tsv(snake_in.types, text=["reference_type", "cohort_type"])
references = {params.group: params.reference} if params.group else {}
subject = params.subject or "subject"

modelled, by_type, notes = {}, {}, {}
for assay in params.assays:
    samples = of_assay(cohort, assay)
    modelled[assay], by_type[assay], notes[assay] = [], [], []
    reasons = []
    try:
        require_usable(samples)
        usable = samples[samples["is_usable"]]
        of_usable = modules[(modules["assay"] == assay) & modules["sample"].isin(usable.index)]
        block, without = function_features(of_usable, params.min_prevalence)
        reasons += [("modules", reason) for reason in without]
        of_types = types[types["assay"] == assay].set_index("sample").reindex(usable.index)
        found, refused = contrast_types(
            block, of_types, usable, params.group, params.reference, subject
        )
        by_type[assay].append(found)
        reasons += [("modules_by_type", reason) for reason in refused]
        if not params.formula:
            raise NotRun("neither a group nor a formula is set")
        known = usable.loc[usable.index.isin(block.outcomes.index)]
        design = build_design(known, params.formula, references)
        notes[assay].append(left_out("modules", design.dropped.to_dict()))
        modelled[assay].append(model_features(block, design))
    except NotRun as error:
        reasons.append(("modules", error.reason))
    rows = pd.DataFrame(list(dict.fromkeys(reasons)), columns=["analysis", "reason"])
    notes[assay].append(rows)

write_by_assay(modelled, output.modules, MODULE_COLUMNS)
write_by_assay(by_type, output.by_type, TYPE_COLUMNS)
write_by_assay(notes, output.not_run, ["assay", "analysis", "sample", "reason"])
Path(snakemake.log[0]).write_text(Path(output.not_run).read_text())
