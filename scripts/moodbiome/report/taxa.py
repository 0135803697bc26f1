"""The sections on taxa: composition, what other settings would have given, minimisers."""

from typing import NamedTuple

from moodbiome import figures
from moodbiome.figures import count_of, listed
from moodbiome.report.content import Report, groups_of, not_empty, samples_apart
from moodbiome.report.display import Shown, Table, as_table, key_of, show
from moodbiome.report.words import enumerated


def taxa_figures(report: Report) -> list[Shown]:
    shown = []
    several = len(report.genus_counts) > 1
    for assay, counts in sorted(report.genus_counts.items()):
        samples = [str(name) for name in counts.columns[3:]]
        if not samples or not counts[counts.columns[3:]].to_numpy().any():
            continue
        figure = figures.composition(
            counts,
            groups_of(report, samples),
            key_of("taxa", assay),
            f"results/tables/{assay}.genus.counts.tsv",
            apart=samples_apart(report, assay),
        )
        shown.append(show(figure, assay if several else ""))
    return shown


class _Sensitivity(NamedTuple):
    """What other settings would have given of one assay, in a sentence and in a table."""

    sentence: str
    table: Table | None


def sensitivity_assays(report: Report) -> list[str]:
    table = not_empty(report.sensitivity)
    return [] if table is None else list(dict.fromkeys(table["assay"].astype(str)))


def sensitivity(report: Report, assay: str) -> _Sensitivity:
    assert report.sensitivity is not None
    rows = report.sensitivity[report.sensitivity["assay"].astype(str) == assay]
    missing = rows[rows["n_genera"].isna()]
    said = [f"{row.sample}: {row.note}" for row in missing.itertuples()]
    aside = f" Not measured: {'; '.join(said)}." if said else ""
    name = f"{assay[:1].upper()}{assay[1:]}"
    measured = rows.drop(index=missing.index)
    if measured.empty:
        return _Sensitivity(f"{name}: no sample could be measured.{aside}", None)
    settings = ["confidence", "min_fragments", "minimisers"]
    measured = measured.assign(minimisers=measured["minimisers"].fillna(""))
    of_setting = measured.groupby(settings, sort=False)
    mean = of_setting[["classified_share", "n_genera", "n_lost", "n_gained"]].mean()
    mean.insert(2, "bray_curtis", of_setting["bray_curtis"].max())
    # The run's own setting stands first in every sample.
    own, others = mean.iloc[0], mean.iloc[1:]
    n = measured["sample"].nunique()
    sentence = f"{name}, {count_of(n, 'sample')}: "
    if others["bray_curtis"].isna().all():
        sentence += "no genus is left to compare."
    else:
        at = int(others["bray_curtis"].argmax())
        worst = others.iloc[at]
        changed = [
            f"{words} {value if isinstance(value, str) else f'{value:g}'}"
            for words, value, kept in zip(
                ("confidence", "least fragments", "minimisers"),
                others.index[at],
                mean.index[0],
                strict=True,
            )
            if value != kept
        ]
        sentence += (
            f"of the settings tried, {enumerated(changed)} changes the genera most, by a "
            f"Bray-Curtis distance of up to {worst['bray_curtis']:.2g}, with "
            f"{worst['n_genera']:.3g} genera a sample instead of {own['n_genera']:.3g}. "
            "What a result owes to one setting, this table shows."
        )
    shown = mean.reset_index()
    shown.insert(0, "setting", ["of this run", *[""] * len(others)])
    shown["classified_share"] = (100 * shown["classified_share"]).round(1)
    shown["bray_curtis"] = shown["bray_curtis"].round(4)
    if not shown["minimisers"].any():
        shown = shown.drop(columns="minimisers")
    table = as_table(
        shown,
        f"Other settings, one changed at a time, {assay}: means over {count_of(n, 'sample')} "
        f"(the distance: the largest), first {int(measured['fragments'].max()):,} fragments of "
        "each at most, genera before re-estimation. Lost and gained: genera, against this run",
        f"results/profile/{assay}.sensitivity.tsv",
        headings={
            "min_fragments": "least fragments",
            "classified_share": "classified, %",
            "n_genera": "genera",
            "bray_curtis": "Bray-Curtis distance",
            "n_lost": "lost",
            "n_gained": "gained",
        },
    )
    return _Sensitivity(sentence + aside, table)


def minimiser_sentences(report: Report) -> list[str]:
    """What was flagged for too few distinct minimisers, genus by genus in the most samples."""
    table = not_empty(report.minimisers)
    if table is None:
        return []
    sentences = []
    for assay, part in table[table["rank"] == "genus"].groupby("assay"):
        common = (
            part.groupby("name")["sample"].nunique().sort_values(ascending=False, kind="stable")
        )
        named = [f"{name} (in {count_of(n, 'sample')})" for name, n in common.items()]
        sentences.append(
            f"Genera seen in so few places of their genomes that they may not be there "
            f"({assay}): {listed(named)}. Every case: results/tables/{assay}.minimisers.tsv."
        )
    return sentences
