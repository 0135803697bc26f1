"""Say which gut-brain modules the genes of each sample make (rule measure_modules)."""

from pathlib import Path

import pandas as pd

from moodbiome.cohort import left_out, read_tsv, write_by_assay
from moodbiome.database import read_fingerprints
from moodbiome.faults import as_message
from moodbiome.modules import (
    COLUMNS,
    COPIES,
    RPK,
    STEP_RESULT_COLUMNS,
    Thresholds,
    measure_modules,
    read_definitions,
)

snake_in, output, params = snakemake.input, snakemake.output, snakemake.params
definitions, faults = read_definitions(
    Path(snake_in.modules), Path(snake_in.steps), [Path(file) for file in snake_in.more]
)
if definitions is None:
    raise SystemExit(as_message(faults))
names = dict(zip(definitions.modules["module"], definitions.modules["name"], strict=True))


def by_assay(paths):
    """Path of each assay's file."""
    return {Path(path).name.split(".")[0]: path for path in paths}


def families(path):
    """A table of gene families by sample; nothing where it is not given."""
    if not path:
        return None
    return read_tsv(path, text=["ko", "name"]).set_index("ko").drop(columns="name")


accounts, limits, fragments, searches = map(
    by_assay, (snake_in.accounts, snake_in.limits, snake_in.fragments, snake_in.searches)
)
fingerprints = read_fingerprints(snake_in.fingerprints)
found, steps, notes = {}, {}, {}
for assay, path in zip(params.assays, snake_in.genes, strict=True):
    account = read_tsv(accounts.get(assay) or searches[assay])
    lacking = account[account["status"] != "ok"]
    reasons = dict(zip(lacking["sample"], lacking["reason"], strict=True))
    unit, source, said = COPIES, "reads", []
    if assay in accounts:
        unit = read_tsv(accounts[assay], text=["unit"])["unit"].iloc[0]
        source = fingerprints[assay]["source"]
        if unit != COPIES:
            said.append(
                f"the table has too few single-copy families to count genomes: abundances stay in "
                f"{unit}, any amount above 0 counts as detected"
                + ("; they scale with depth, and are not tested" if unit == RPK else "")
            )
    genes = families(path)
    modules, of_steps = measure_modules(
        genes,
        definitions,
        Thresholds(**params.thresholds),
        families(limits.get(assay)),
        families(fragments.get(assay)),
        per_genome=unit == COPIES,
        not_measured=reasons,
        draws=params.draws,
        seed=params.seed,
    )
    modules.insert(2, "name", modules["module"].map(names))
    found[assay] = [modules.assign(unit=unit, source=source)]
    steps[assay] = [of_steps]
    without = genes.columns[genes.isna().all()]
    notes[assay] = [
        pd.DataFrame([("function", text) for text in said], columns=["analysis", "reason"]),
        left_out("function", {sample: reasons.get(sample) or "not measured" for sample in without}),
    ]
for assay in params.without:
    ways = "proteins to search the reads for (function.proteins), or " * (assay == "shotgun")
    reason = f"no gene families: give {ways}a table of them in function.import.{assay}"
    notes[assay] = [pd.DataFrame([("function", reason)], columns=["analysis", "reason"])]

write_by_assay(found, output.modules, ["assay", *COLUMNS[:2], "name", *COLUMNS[2:]])
write_by_assay(steps, output.steps, ["assay", *STEP_RESULT_COLUMNS])
write_by_assay(notes, output.not_run, ["assay", "analysis", "sample", "reason"])
counted = pd.concat([table for of_assay in found.values() for table in of_assay])["status"]
lines = [f"{call}: {n}\n" for call, n in counted.value_counts().sort_index().items()]
Path(snakemake.log[0]).write_text("".join(lines))
