"""Say which psychobiotic species and strains each sample shows (rule detect_psychobiotics)."""

import json
from pathlib import Path

import pandas as pd

from moodbiome.cohort import of_assay, read_cohort, read_tsv, why_unusable, write_tsv
from moodbiome.evidence import read_table
from moodbiome.psychobiotics import COLUMNS, Limits, detect_strains, detect_taxa, panel_genera
from moodbiome.strains import read_strains

snake_in, params = snakemake.input, snakemake.params
cohort = read_cohort(snake_in.status, snake_in.metadata)
concepts = read_table(Path(snake_in.concepts), "concepts")
crosswalk = read_table(Path(snake_in.crosswalk), "crosswalk")
panel = crosswalk[crosswalk["used_by"] == "psychobiotic"]
genera = panel_genera(panel, concepts)
# Imported tables have no minimisers.
minimisers = pd.concat(
    [
        pd.DataFrame(columns=["sample", "assay", "rank", "taxon_id", "is_flagged"]),
        *(
            read_tsv(path, text=["is_flagged"]).assign(assay=Path(path).name.split(".")[0])
            for path in snake_in.minimisers
        ),
    ]
)

parts = []
for number, assay in enumerate(params.assays):
    # 16S reads name a genus and not its species.
    rank, asked = "species", panel
    if assay == "amplicon":
        rank, asked = "genus", concepts[concepts["concept"].isin(genera)]
    contaminants = read_tsv(snake_in.contaminants[number], text=["is_contaminant"])
    contaminants = contaminants[contaminants["rank"] == rank]
    if "is_contaminant" in contaminants:
        contaminants = contaminants[contaminants["is_contaminant"].eq("True")]
    flagged = minimisers[
        (minimisers["assay"] == assay)
        & (minimisers["rank"] == rank)
        & minimisers["is_flagged"].eq("True")
    ]
    samples = of_assay(cohort, assay)
    refused = why_unusable(samples)
    imported = assay in params.imported
    found = detect_taxa(
        asked,
        read_tsv(snake_in.database_taxa[number], text=["name", "other_ids"]).set_index("taxon_id"),
        params.nomenclature[assay],
        read_tsv(snake_in[f"{rank}_intervals"][number]).astype({"taxon_id": "Int64"}),
        refused,
        list(samples.index),
        rank=rank,
        # Every count of an imported table stands.
        min_fragments=1 if imported else params.min_fragments,
        contaminants=set(contaminants["taxon_id"].dropna()),
        removed=params.contaminant_action == "remove",
        pile_ups=set(zip(flagged["sample"], flagged["taxon_id"], strict=True)),
        imported=imported,
    )
    if assay == "amplicon":
        within = found["organism"].map(lambda genus: ", ".join(genera[genus]))
        only = "16S tells the genus only, of " + within
        found["reason"] = (
            found["reason"].where(found["reason"] == "", found["reason"] + "; ") + only
        )
    parts.append(found.assign(assay=assay))
    if assay == "shotgun":
        strains = pd.DataFrame(read_strains(Path(snake_in.strains)))
        searched = {
            Path(file).name.removesuffix(".kmers.json"): json.loads(Path(file).read_text())
            for file in snake_in.kmers
        }
        genomes = strains.assign(genome=strains["genome"].notna())
        limits = Limits(**params.limits)
        strain_rows = detect_strains(genomes, searched, refused, list(samples.index), limits)
        parts.append(strain_rows.assign(assay=assay))

table = pd.concat(parts)[list(COLUMNS)]
write_tsv(table, snakemake.output[0])
counted = table["call"].value_counts().sort_index()
Path(snakemake.log[0]).write_text("".join(f"{call}: {n}\n" for call, n in counted.items()))
