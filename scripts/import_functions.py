"""Bring an assay's own table of gene families to copies per genome (rule import_functions)."""

import json
from pathlib import Path

from moodbiome.cohort import write_tsv
from moodbiome.database import fingerprint
from moodbiome.faults import as_message
from moodbiome.function_tables import (
    as_copies,
    gene_names,
    read_function_table,
    read_single_copy,
    source_of,
)
from moodbiome.modules import KO, read_definitions

snake_in, output, params = snakemake.input, snakemake.output, snakemake.params
assay, path = snakemake.wildcards.assay, Path(snake_in.table)
unit = params.settings["unit"]
definitions, faults = read_definitions(
    Path(snake_in.modules), Path(snake_in.steps), [Path(file) for file in snake_in.more]
)
single_copy = read_single_copy(Path(snake_in.single_copy))
table, of_table = read_function_table(
    path, params.samples, unit, single_copy, params.min_single_copy
)
if definitions is None or table is None:
    raise SystemExit(as_message(faults + of_table))

genes, account = as_copies(
    table,
    unit,
    single_copy,
    [family for family in definitions.families if KO.fullmatch(family)],
    params.samples,
    min_single_copy=params.min_single_copy,
    absent_is_zero=params.settings["absent"] == "zero",
)
genes.insert(0, "name", genes.index.map(gene_names(definitions.steps)).fillna(""))
write_tsv(genes.reset_index(), output.genes)
write_tsv(account, output.account)
found = {
    **fingerprint([path]),
    "format": table.format,
    "source": source_of(table, assay),
    "unit_given": unit,
    "unit": account["unit"].iloc[0],
    "families": len(table.amounts),
    "other_rows": table.n_other,
    "stratified_rows": table.n_stratified,
}
Path(output.fingerprint).write_text(json.dumps(found, indent=1) + "\n")
said = [f"{key}: {found[key]}" for key in list(found)[-7:]]
Path(snakemake.log[0]).write_text("".join(f"{line}\n" for line in said))
