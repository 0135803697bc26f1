"""The section on community types."""

import pandas as pd

from moodbiome import figures
from moodbiome.figures import count_of, plain
from moodbiome.report.content import Report, assays_of, groups_of, not_empty, per_assay, samples_of
from moodbiome.report.display import Shown, Table, key_of, optional_table, show
from moodbiome.report.words import enumerated, text_of


def _kinds(report: Report) -> dict[str, str]:
    """Reference types with their names for people."""
    kinds = not_empty(report.community_kinds)
    return {} if kinds is None else dict(zip(kinds["type"], kinds["name"], strict=True))


def community_figures(report: Report) -> list[Shown]:
    assert report.community_types is not None
    kinds = _kinds(report)
    shown = []
    for assay, part in per_assay(report.community_types):
        groups = groups_of(report, samples_of(part))
        if part[["bacteroides_prevotella", "bacillota"]].notna().all(axis=1).any():
            shown.append(
                show(figures.community_axes(part, groups, key_of("community-axes", assay)), assay)
            )
        if kinds and part[f"membership_{next(iter(kinds))}"].notna().any():
            figure = figures.community_memberships(
                part, kinds, groups, key_of("community-types", assay)
            )
            shown.append(show(figure, assay))
    return shown


def community_sentences(report: Report) -> list[str]:
    """What the reference types say, how coarse they are, and what the cohort's own types are."""
    types, kinds = not_empty(report.community_types), _kinds(report)
    if types is None:
        return []
    sentences = []
    several = len(assays_of(types)) > 1
    for assay, part in types.groupby("assay", sort=False):
        where = f"{plain(str(assay)).capitalize()}: of" if several else "Of"
        called = part["reference_type"].map(text_of)
        called = called[called != ""].value_counts()
        if called.empty:
            reasons = part.loc[part["status"] == "ok", "reason"].map(text_of)
            why = next((reason for reason in reasons if reason), "no sample could be compared")
            sentences.append(f"{where} {count_of(len(part), 'sample')} none has a type: {why}.")
            continue
        named = [f"{called.pop('unclassified')} unclassified"] if "unclassified" in called else []
        named = [f"{n} resemble {kinds.get(str(k), str(k))}" for k, n in called.items()] + named
        total = int(part["reference_type"].map(text_of).ne("").sum())
        low = part["reference_subtype"].map(text_of).value_counts()
        sentences.append(
            f"{where} {count_of(total, 'sample')} compared with the reference, "
            f"{enumerated(named)}."
            + "".join(
                f" Within these, {n} resemble {kinds.get(str(kind), str(kind))}."
                for kind, n in low[low.index != ""].items()
            )
        )
    models = not_empty(report.community_models)
    for row in [] if models is None else models.to_dict("records"):
        where = f" ({plain(str(row['assay']))})" if several else ""
        if text_of(row["reason"]):
            sentences.append(f"No types were fitted to the cohort itself{where}: {row['reason']}.")
        elif row["is_chosen"] == "yes":
            sure = (
                ""
                if pd.isna(row["stability"])
                else (
                    f" Stability under resampling (adjusted Rand index; 1 is perfect): median "
                    f"{row['stability']:.2f}, 5th percentile {row['stability_low']:.2f}."
                )
            )
            sentences.append(
                f"Fitted to the cohort itself{where}: {count_of(int(row['k']), 'type')} in "
                f"{count_of(int(row['n_samples']), 'sample')}, by leading genera "
                f"{row['leading_genera']}." + sure
            )
    return sentences


def community_tests(report: Report) -> Table | None:
    return optional_table(
        report.community_tests,
        "Signature score between types, and the groups' difference in score with and without"
        " adjustment for type",
        "results/signature/community_type_tests.tsv",
    )
