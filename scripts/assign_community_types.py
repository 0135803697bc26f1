"""Say which known kind of community each sample resembles (rule assign_community_types)."""

from pathlib import Path

import pandas as pd

from moodbiome.cohort import (
    count_classified,
    of_assay,
    read_cohort,
    read_tsv,
    why_unusable,
    write_by_assay,
    write_tsv,
)
from moodbiome.community_types import (
    MODEL_COLUMNS,
    TEST_COLUMNS,
    axes,
    cohort_table,
    cohort_types,
    contrast,
    detectable_parts,
    part_members,
    read_types_table,
    reference_types,
    sample_rows,
    why_not_assessable,
)
from moodbiome.diversity import features
from moodbiome.evidence import read_table, resolve_members
from moodbiome.signature import concept_counts
from moodbiome.tables import prokaryotes, read_counts
from moodbiome.uncertainty import effective_counts

snake_in, params = snakemake.input, snakemake.params
ledger = read_tsv(snake_in.ledger)
subject = params.subject or "subject"
cohort = read_cohort(snake_in.status, snake_in.metadata, params.group, subject)
scores = read_tsv(snake_in.scores)
parts, types, phyla, reference = (
    read_types_table(Path(getattr(snake_in, kind)), kind)
    for kind in ("parts", "types", "phyla", "reference")
)
members = part_members(
    parts,
    read_table(Path(snake_in.concepts), "concepts"),
    read_table(Path(snake_in.crosswalk), "crosswalk"),
)
subtype_of = dict(zip(types["type"], types["subtype_of"], strict=True))

rows, models, tests = [], {}, {}
for number, assay in enumerate(params.assays):
    taxa_file = snake_in.database_taxa[number]
    database = read_tsv(taxa_file, text=["name", "other_ids"]).set_index("taxon_id")
    nomenclature = params.nomenclature[assay]
    resolved = resolve_members(members, members, database, nomenclature)
    detectable = detectable_parts(resolved, database.index)
    genus = prokaryotes(read_counts(snake_in.genus[number]))
    species = read_counts(snake_in.species[number])
    intervals = [snake_in.genus_intervals[number], snake_in.species_intervals[number]]
    taxa = features(genus)
    n_classified = count_classified(ledger, assay, taxa)
    samples = of_assay(cohort, assay)
    usable = samples[samples["is_usable"]]
    labels = ["name", "lineage"]
    genus, species = (table[[*labels, *usable.index]] for table in (genus, species))

    axis = axes(
        *(genus, species, resolved, parts, phyla.loc[0, nomenclature].split(";")),
        *(n_classified, database.index),
        offset=params.offset,
        draws=params.draws,
        seed=params.seed,
        effective=effective_counts(pd.concat(map(read_tsv, intervals))),
    )
    reason = why_not_assessable(parts, detectable)
    resembles = pd.DataFrame()
    if not reason and len(usable):
        of_parts = concept_counts(genus, species, resolved)
        resembles = reference_types(
            *(of_parts.loc[detectable], taxa.sum(), reference, subtype_of),
            min_membership=params.min_membership,
            seed=params.seed,
        )
    own, models[assay] = pd.DataFrame(), []
    if len(usable) < params.min_samples:
        few = f"{len(usable)} samples, {params.min_samples} are needed for types of their own"
        models[assay].append(pd.DataFrame({"reason": [few]}))
    else:
        axis_parts = resolved[resolved["concept"].isin(parts.loc[parts["axis"] != "", "part"])]
        merged = {
            name: [int(taxon) for taxon in ids.split(",") if taxon]
            for name, ids in zip(axis_parts["name"], axis_parts["ncbi_ids"], strict=True)
        }
        table = cohort_table(features(genus), merged, genus["name"])
        own, tried = cohort_types(
            table,
            max_types=params.max_types,
            bootstraps=params.bootstraps,
            seed=params.seed,
        )
        models[assay].append(tried)
    found = sample_rows(
        *(list(samples.index), why_unusable(samples), list(types["type"])),
        *(axis, resembles, own, n_classified, dict.fromkeys(usable.index, reason)),
    )
    rows.append(found.assign(assay=assay))
    score = scores[scores["assay"] == assay].set_index("sample")["score"]
    tests[assay] = [
        contrast(
            *(score, found[column].where(found[column] != ""), samples),
            *(params.group, params.reference, subject),
        ).assign(typing=typing)
        for typing, column in (("reference", "reference_type"), ("cohort", "cohort_type"))
        if typing == "reference" or len(own)
    ]

write_tsv(pd.concat(rows), snakemake.output.types, index=True, index_label="sample")
write_by_assay(models, snakemake.output.models, MODEL_COLUMNS)
write_by_assay(tests, snakemake.output.tests, TEST_COLUMNS)
Path(snakemake.log[0]).write_text(Path(snakemake.output.models).read_text())
