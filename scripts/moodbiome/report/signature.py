"""The sections on the signature score: scores, contributions, and indices beside it."""

import pandas as pd

from moodbiome import figures
from moodbiome.figures import count_of, plain
from moodbiome.report.content import (
    Report,
    groups_of,
    names_of_concepts,
    not_empty,
    per_assay,
    samples_of,
    setting,
)
from moodbiome.report.display import Shown, Table, as_table, key_of, show
from moodbiome.report.words import enumerated, percent


def score_figures(report: Report) -> list[Shown]:
    assert report.scores is not None
    return [
        show(
            figures.scores(
                part,
                groups_of(report, samples_of(part)),
                setting(report, "cohort", "reference", ""),
                key_of("scores", assay),
            ),
            assay,
        )
        for assay, part in per_assay(report.scores)
        if part["score"].notna().any()
    ]


def more_scores(report: Report) -> Table | None:
    """How each further signature was scored, by group: number, median and range."""
    table = not_empty(report.more_scores)
    if table is None:
        return None
    rows = []
    groups = groups_of(report, samples_of(table)).astype(str)
    table = table.assign(group=table["sample"].astype(str).map(groups).to_numpy())
    for (signature, assay), of_one in table.groupby(["signature", "assay"], sort=False):
        scored = of_one[of_one["score"].notna()]
        reasons = of_one.loc[of_one["score"].isna(), "reason"].dropna().astype(str)
        head = {"signature": signature, "assay": plain(str(assay))}
        if scored.empty:
            rows.append({**head, "group": "", "n": 0, "note": "; ".join(reasons.unique())})
        for group, part in scored.groupby("group"):
            bounds = f"{part['score'].min():.2f} to {part['score'].max():.2f}"
            share = percent(float(part["weight_detectable"].iloc[0]))
            rows.append(
                {
                    **head,
                    "group": group,
                    "n": len(part),
                    "median": f"{part['score'].median():.2f}",
                    "range": bounds,
                    "note": f"{share} of its weight is detectable",
                }
            )
    columns = ["signature", "assay", "group", "n", "median", "range", "note"]
    return as_table(
        pd.DataFrame(rows, columns=columns).fillna({"median": "", "range": ""}),
        "Signatures of your own: score in natural-log units by group; n is the number of samples "
        "with a score. Higher: more like the list. Signatures are not on one scale",
        "results/signature/more_scores.tsv",
    )


def index_figures(report: Report) -> list[Shown]:
    assert report.indices is not None
    return [
        show(
            figures.indices(part, groups_of(report, samples_of(part)), key_of("indices", assay)),
            assay,
        )
        for assay, part in per_assay(report.indices)
        if part["value"].notna().any()
    ]


def index_reasons(report: Report) -> list[str]:
    """Why indices have no value, and for how many samples."""
    table = not_empty(report.indices)
    if table is None:
        return []
    without = table[table["value"].isna()]
    n_indices = table["index"].nunique()
    sentences = []
    for (assay, reason), rows in without.groupby(["assay", "reason"], sort=False):
        names = [plain(str(index)) for index in dict.fromkeys(rows["index"])]
        which = "any index" if len(names) == n_indices else enumerated(names)
        number = count_of(rows["sample"].nunique(), "sample")
        sentences.append(f"{number} without {which} ({plain(str(assay))}): {reason}.")
    return sentences


def _weights(report: Report) -> pd.Series:
    evidence = not_empty(report.evidence)
    column = f"weight_{setting(report, 'signature', 'profile', 'evidence')}"
    if evidence is None or column not in evidence:
        return pd.Series(dtype=float)
    return evidence.set_index("concept")[column].astype(float)


def contribution_figures(report: Report) -> list[Shown]:
    assert report.contributions is not None
    shown = []
    weights = _weights(report)
    named = dict(zip(names_of_concepts(report, weights.index.to_series()), weights, strict=True))
    for assay, part in per_assay(report.contributions):
        scored = report.scores
        order = samples_of(part)
        if scored is not None and not scored.empty:
            rows = scored[scored["score"].notna()]
            if assay and "assay" in rows:
                rows = rows[rows["assay"].astype(str) == assay]
            order = samples_of(rows.sort_values(["score", "sample"], ascending=[False, True]))
        drawn = part.assign(concept=names_of_concepts(report, part["concept"]))
        if drawn["contribution"].notna().any() and order:
            figure = figures.contributions(
                drawn, order, named, groups_of(report, order), key_of("contributions", assay)
            )
            shown.append(show(figure, assay))
    return shown


def abstained(report: Report) -> Table | None:
    scores = not_empty(report.scores)
    if scores is None or not scores["score"].isna().any():
        return None
    columns = ["sample", "assay", "n_classified", "weight_detectable", "status", "reason"]
    rows = scores.loc[scores["score"].isna(), [c for c in columns if c in scores]]
    return as_table(rows, "Samples without a score, and why", "results/signature/scores.tsv")


def unseen_sentences(report: Report) -> list[str]:
    """How much of the signature each assay's database, or imported table, lacks, and which taxa."""
    resolution = not_empty(report.resolution)
    if resolution is None:
        return []
    sentences = []
    imports = report.provenance.get("imports", {})
    for assay, members in resolution.groupby("assay", sort=False):
        concepts = members.drop_duplicates("concept")
        concepts = concepts.assign(size=concepts["weight"].abs())
        unseen = concepts[concepts["detectable"] == "no"]
        holder = "imported table" if assay in imports else "database"
        words = f"Of the signature's weight, the {plain(str(assay))} {holder} "
        if unseen.empty:
            sentences.append(f"{words}has a taxon for all.")
            continue
        share = unseen["size"].sum() / concepts["size"].sum()
        names = unseen.sort_values(["size", "concept"], ascending=[False, True])["name"]
        names = names.str.replace(r" \(.*", "", regex=True)
        lacking = f"no taxon for {enumerated(list(names))}"
        sentences.append(
            f"{words}lacks {percent(share)}: it has {lacking}; whether they could have been found "
            "is not known."
            if assay in imports
            else f"{words}cannot show {percent(share)}: it has {lacking}."
        )
    return sentences
