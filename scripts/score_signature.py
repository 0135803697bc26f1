"""Score every sample by the depression signature (rule score_signature)."""

from pathlib import Path

import pandas as pd

from moodbiome.cohort import of_assay, read_cohort, read_tsv, why_unusable, write_tsv
from moodbiome.diversity import features
from moodbiome.evidence import read_table, resolution, resolve_members
from moodbiome.signature import IMPORTED, score_samples
from moodbiome.tables import prokaryotes, read_counts
from moodbiome.uncertainty import effective_counts

snake_in, params = snakemake.input, snakemake.params
ledger = read_tsv(snake_in.ledger)
cohort = read_cohort(snake_in.status, snake_in.metadata, params.group)
taxa = read_table(Path(snake_in.taxa), "taxa")
concepts = read_table(Path(snake_in.concepts), "concepts")

scores, contributions, resolutions = [], [], []
for number, assay in enumerate(params.assays):
    taxa_file = snake_in.database_taxa[number]
    database = read_tsv(taxa_file, text=["name", "other_ids"]).set_index("taxon_id")
    named = (taxa, concepts, database, params.nomenclature[assay])
    resolutions.append(resolution(*named, params.profile).assign(assay=assay))
    genus = read_counts(snake_in.genus[number])
    taxa_sum = features(prokaryotes(genus)).sum()
    intervals = [snake_in.genus_intervals[number], snake_in.species_intervals[number]]
    counted = ledger[ledger["assay"] == assay].set_index("sample")
    samples = of_assay(cohort, assay)
    usable = samples[samples["is_usable"]]
    reference = []
    if params.group:
        reference = usable.index[usable[params.group] == params.reference].tolist()
    score, contribution = score_samples(
        genus,
        read_counts(snake_in.species[number]),
        resolve_members(*named),
        # Re-estimation hands fragments of the root down, so that taxa can exceed their domains.
        (counted["bacterial"] + counted["archaeal"]).combine(taxa_sum, max),
        known=database.index,
        seed=params.seed,
        profile=params.profile,
        reference=reference,
        refused=why_unusable(samples),
        offset=params.offset,
        draws=params.draws,
        effective=effective_counts(pd.concat(map(read_tsv, intervals))),
    )
    if assay in params.imported:
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
n_scored = sum((score["status"] == "ok").sum() for score in scores)
Path(snakemake.log[0]).write_text(f"{n_scored} of {sum(map(len, scores))} samples scored\n")
