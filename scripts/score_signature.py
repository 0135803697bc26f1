"""Score every sample by the depression signature (rule score_signature)."""

from pathlib import Path

import pandas as pd

from moodbiome.classification import used_databases
from moodbiome.cohort import (
    count_classified,
    of_assay,
    read_cohort,
    read_tsv,
    why_unusable,
    write_tsv,
)
from moodbiome.diversity import features
from moodbiome.evidence import read_table, resolution, resolve_members
from moodbiome.indices import index_members, score_indices
from moodbiome.more_signatures import as_rows, read_signature, resolve_signature
from moodbiome.reference import (
    Reference,
    as_document,
    made_with,
    read_references,
    reference_faults,
)
from moodbiome.signature import (
    IMPORTED,
    Outside,
    concept_counts,
    concept_effective,
    score_samples,
)
from moodbiome.tables import prokaryotes, read_counts
from moodbiome.uncertainty import effective_counts

snake_in, params = snakemake.input, snakemake.params
ledger = read_tsv(snake_in.ledger)
cohort = read_cohort(snake_in.status, snake_in.metadata, params.group)
taxa = read_table(Path(snake_in.taxa), "taxa")
concepts = read_table(Path(snake_in.concepts), "concepts")
indices = read_table(Path(snake_in.indices), "indices")
labelled = pd.concat([concepts, read_table(Path(snake_in.crosswalk), "crosswalk")])
labelled = labelled[labelled["concept"].isin(indices["concept"])]
databases, confidence = used_databases(
    snake_in.databases, params.made_with["profile"]["confidence"]
)
made = {
    assay: made_with(
        params.made_with,
        assay,
        taxa,
        database=database["sha256"],
        confidence=confidence[assay],
    )
    for assay, database in databases.items()
}
given = {}
if snake_in.reference_table:
    file = Path(snake_in.reference_table)
    if faults := reference_faults(file, params.assays, params.imported, made):
        raise SystemExit("signature.reference_table cannot be used:\n" + "\n".join(faults))
    given = read_references(file)

more, more_scores = {}, []
for path in snake_in.more:
    table, faults = read_signature(Path(path), concepts)
    if faults:
        raise SystemExit("\n".join(map(str, faults)))
    more[Path(path).stem] = table

references = {}
scores, contributions, resolutions, index_values = [], [], [], []
for number, assay in enumerate(params.assays):
    taxa_file = snake_in.database_taxa[number]
    database = read_tsv(taxa_file, text=["name", "other_ids"]).set_index("taxon_id")
    named = (taxa, concepts, database, params.nomenclature[assay])
    resolutions.append(resolution(*named, params.profile).assign(assay=assay))
    genus = read_counts(snake_in.genus[number])
    intervals = [snake_in.genus_intervals[number], snake_in.species_intervals[number]]
    samples = of_assay(cohort, assay)
    usable = samples[samples["is_usable"]]
    reference = []
    if params.group:
        reference = usable.index[usable[params.group] == params.reference].tolist()
    species = read_counts(snake_in.species[number])
    n_classified = count_classified(ledger, assay, features(prokaryotes(genus)))
    options = {
        "known": database.index,
        "seed": params.seed,
        "refused": why_unusable(samples),
        "offset": params.offset,
        "draws": params.draws,
        "effective": effective_counts(pd.concat(map(read_tsv, intervals))),
    }
    of_signature = resolve_members(*named)
    outside = given[assay].samples if given else None
    score, contribution = score_samples(
        *(genus, species, of_signature, n_classified),
        profile=params.profile,
        reference=[] if given else reference,
        outside=outside,
        **options,
    )
    scored = [sample for sample in reference if score.loc[sample, "status"] == "ok"]
    if assay in made:
        references[assay] = Reference(
            made[assay],
            Outside(
                concept_counts(genus, species, of_signature)[scored],
                n_classified[scored],
                concept_effective(genus, species, of_signature, options["effective"])[scored],
            ),
        )
    of_more = {
        name: score_samples(
            *(genus, species, resolve_signature(table, database, params.nomenclature[assay])),
            n_classified,
            reference=reference,
            **options,
        )[0]
        for name, table in more.items()
    }
    more_scores.append(as_rows(of_more, more).assign(assay=assay))
    resolved = resolve_members(labelled, labelled, database, params.nomenclature[assay])
    members = index_members(indices, resolved)
    is_imported = assay in params.imported
    value = score_indices(genus, species, members, n_classified, imported=is_imported, **options)
    index_values.append(value.assign(assay=assay))
    if is_imported:
        is_scored = score["status"] == "ok"
        said = score.loc[is_scored, "warning"]
        score.loc[is_scored, "warning"] = said.where(said == "", said + "; ") + IMPORTED
    score.insert(len(score.columns), "assay", assay)
    contribution.insert(len(contribution.columns), "assay", assay)
    scores.append(score)
    contributions.append(contribution)

write_tsv(pd.concat(scores), snakemake.output.scores, index=True, index_label="sample")
write_tsv(pd.concat(contributions), snakemake.output.contributions)
write_tsv(pd.concat(resolutions), snakemake.output.resolution)
write_tsv(pd.concat(index_values), snakemake.output.indices)
write_tsv(pd.concat(more_scores), snakemake.output.more)
Path(snakemake.output.reference).write_text(as_document(references))
n_scored = sum((score["status"] == "ok").sum() for score in scores)
Path(snakemake.log[0]).write_text(f"{n_scored} of {sum(map(len, scores))} samples scored\n")
