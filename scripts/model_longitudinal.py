"""Model change since baseline, and its difference between arms (rule model_longitudinal)."""

from pathlib import Path

import pandas as pd

from moodbiome.cohort import (
    count_classified,
    left_out,
    of_assay,
    read_cohort,
    read_tsv,
    write_by_assay,
)
from moodbiome.diversity import ALPHA_METRICS, features
from moodbiome.faults import NotRun
from moodbiome.longitudinal import (
    CHANGES,
    EFFECTS,
    RETENTION,
    TAXON_METHODS,
    change_models,
    changes,
    find_visits,
    reasons,
    retention,
    sheet_values,
    taxon_values,
    with_q,
)
from moodbiome.measure_models import comparable_modules
from moodbiome.tables import prokaryotes, read_counts

LOG2, LOG2_CHANGE = "log2 of the sheet's unit", "log2 fold change"
ALPHA_UNITS = {
    "observed": "taxa",
    "chao1": "taxa",
    "shannon": "nats",
    "pielou": "of the largest possible",
    "simpson": "probability",
    "hill_q1": "effective taxa",
    "hill_q2": "effective taxa",
}
snake_in, output, params = snakemake.input, snakemake.output, snakemake.params
columns = [params.subject, params.timepoint, params.arm]
times, reference = params.timepoints, params.reference
cohort = read_cohort(snake_in.status, snake_in.metadata, *columns)
ledger, alpha, scores = map(read_tsv, (snake_in.ledger, snake_in.alpha, snake_in.scores))
functions = read_tsv(snake_in.modules[0], text=["module", "name"]) if snake_in.modules else None
tables, moved, kept, notes = {}, {}, {}, {}


def model(assay, values, visits, family, method, unit, **settings):
    """Add the effects of one family, and why some are missing, to those of the assay."""
    table, not_run = change_models(values, visits, times, reference, **settings)
    table["effect_unit"] = table["outcome"].map(unit) if isinstance(unit, dict) else unit
    tables[assay].append(table.assign(name=table["outcome"], family=family, method=method))
    rows = [("longitudinal", f"{method}: {reason}") for reason in reasons(not_run)]
    notes[assay].append(pd.DataFrame(rows, columns=["analysis", "reason"]))


for assay, file in zip(params.assays, snake_in.counts, strict=True):
    samples = of_assay(cohort, assay)
    visits, unplaced = find_visits(samples, *columns, times)
    tables[assay], moved[assay] = [], []
    notes[assay] = [left_out("longitudinal", unplaced)]
    kept[assay] = [retention(visits, times)]
    usable = visits[visits["status"] == "ok"]

    score = scores[scores["assay"] == assay].set_index("sample")[["score"]]
    metrics = alpha[alpha["assay"] == assay]
    metrics = metrics.pivot_table("value", "sample", "metric", dropna=False)
    # A Hill number of order 0 is the observed count.
    metrics = metrics[[metric for metric in ALPHA_METRICS if metric in ALPHA_UNITS]]
    score = score.set_axis(["signature_score"], axis="columns").reindex(usable.index)
    metrics = metrics.reindex(usable.index).astype(float)
    for values, family, unit in (
        (score, "signature", {"signature_score": "natural log"}),
        (metrics, "alpha", ALPHA_UNITS),
    ):
        model(assay, values, usable, family, "value", unit)
        table = changes(values, visits, times)
        moved[assay].append(table.assign(family=family, unit=table["outcome"].map(unit)))

    counts = prokaryotes(read_counts(file))
    taxa = features(counts)[usable.index]
    total = count_classified(ledger, assay, taxa)
    for method in TAXON_METHODS:
        relative = method == "clr_bias_corrected"
        try:
            values = taxon_values(
                taxa, total, method, params.min_prevalence, params.min_mean_abundance
            )
            model(assay, values, usable, "taxa", method, LOG2_CHANGE, relative=relative)
        except NotRun as error:
            row = {"analysis": "longitudinal", "reason": error.reason}
            notes[assay].append(pd.DataFrame([row]))
    for table in tables[assay]:
        table["name"] = table["name"].map(counts["name"]).fillna(table["name"])

    if functions is not None and assay in set(functions["assay"]):
        rows = (functions["assay"] == assay) & functions["sample"].isin(usable.index)
        try:
            values, without = comparable_modules(functions[rows], params.min_prevalence)
        except NotRun as error:
            values, without = pd.DataFrame(), [f"modules: {error.reason}"]
        reasons_of = [("longitudinal", reason) for reason in without]
        notes[assay].append(pd.DataFrame(reasons_of, columns=["analysis", "reason"]))
        if not values.empty:
            values = values.reindex(usable.index)
            model(assay, values, usable, "function", "log2_abundance", LOG2_CHANGE)
            names = functions.drop_duplicates("module").set_index("module")["name"]
            tables[assay][-1]["name"] = tables[assay][-1]["name"].map(names)

# Scales and markers do not depend on whether the stool could be sequenced, nor on the assay.
metadata = read_tsv(snake_in.metadata, text=list(filter(None, columns))).set_index("sample")
metadata["status"] = metadata["exclude"].notna().map({True: "excluded", False: "ok"})
visits, _ = find_visits(metadata, *columns, times)
usable = visits[visits["status"] == "ok"]
sheet = metadata[metadata["status"] == "ok"]
tables[""], moved[""], notes[""] = [], [], []
for family, wanted, unit, effect_unit in (
    ("scales", params.scales, "points", "points"),
    ("markers", params.markers, LOG2, LOG2_CHANGE),
):
    is_marker = family == "markers"
    values = sheet_values(sheet, wanted, columns[:2], log2=is_marker).reindex(usable.index)
    if not values.empty:
        method = "log2" if is_marker else "value"
        model("", values, usable, family, method, effect_unit)
        moved[""].append(changes(values, visits, times).assign(family=family, unit=unit))

keys = ["outcome", "assay", "name", "family", "method"]
for assay, parts in tables.items():
    whole = [part for part in parts if len(part)]
    table = pd.concat(whole, ignore_index=True) if whole else pd.DataFrame(columns=EFFECTS)
    if len(table):
        table = with_q(table).assign(rank=(table["family"] == "taxa").map({True: params.rank}))
    tables[assay] = [table[table["family"] == family] for family in table["family"].unique()]
order = [*keys, *EFFECTS[1:9], "q", *EFFECTS[9:], "effect_unit", "rank"]
write_by_assay(tables, output.effects, order)
ends = ["assay", "family", "unit"]
write_by_assay(moved, output.changes, [*CHANGES[:3], *ends, *CHANGES[3:]])
write_by_assay(kept, output.retention, ["assay", *RETENTION])
write_by_assay(notes, output.not_run, ["assay", "analysis", "sample", "reason"])
Path(snakemake.log[0]).write_text(Path(output.not_run).read_text())
