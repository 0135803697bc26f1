"""The section on the cohort: its summary, and the characteristics of its samples."""

import re

import numpy as np
import pandas as pd

from moodbiome import figures
from moodbiome.figures import plain
from moodbiome.report.content import (
    Report,
    assays_of,
    groups_of,
    is_sample,
    not_empty,
    samples_of,
    setting,
    types_of,
)
from moodbiome.report.display import Table, as_table


def summary(report: Report) -> list[tuple[str, str]]:
    status = report.status
    facts = [("Samples in the sheet", f"{status['sample'].nunique():,}")]
    if len(assays_of(status)) > 1:
        facts.append(
            ("By assay", ", ".join(f"{a} {n:,}" for a, n in status["assay"].value_counts().items()))
        )
    types = types_of(report)
    kinds = list(types.values())
    if set(kinds) != {"sample"}:
        of_kind = [(kind, kinds.count(kind)) for kind in dict.fromkeys(kinds)]
        facts.append(("By type", ", ".join(f"{plain(kind)} {n:,}" for kind, n in of_kind)))
    counts = status["status"].value_counts()
    order = [name for name in ("ok", "low_depth", "empty", "failed", "excluded") if name in counts]
    facts.append(("By status", ", ".join(f"{plain(name)} {counts[name]:,}" for name in order)))
    people = [sample for sample in samples_of(status) if is_sample(report, sample)]
    groups = groups_of(report, people)
    if list(groups.cat.categories) != [figures.ALL_SAMPLES]:
        sizes = groups.value_counts(sort=False)
        facts.append(("By group", ", ".join(f"{g} {n:,}" for g, n in sizes.items())))
    raw = report.ledger["raw"].dropna().astype(float)
    if len(raw):
        facts.append(
            (
                "Raw fragments a sample",
                f"median {raw.median():,.0f} (range {raw.min():,.0f} to {raw.max():,.0f})",
            )
        )
    if (scores := not_empty(report.scores)) is not None:
        scored = int(scores["score"].notna().sum())
        facts.append(("Samples with a signature score", f"{scored:,} of {len(scores):,}"))
    return facts


# Columns of the sheet that name things instead of describing the person.
_NAMES = re.compile(r"sample|subject|run|fastq_\d|assay|sample_type|accession|excluded?|path", re.I)


def characteristics(report: Report) -> Table | None:
    """What is known of the samples, by group: median [quartiles] or counts, and what is missing."""
    metadata = not_empty(report.metadata)
    if metadata is None:
        return None
    controls = {name for name in samples_of(metadata) if not is_sample(report, name)}
    metadata = metadata[~metadata["sample"].astype(str).isin(controls)]
    if metadata.empty:
        return None
    groups = groups_of(report, metadata["sample"].astype(str).tolist())
    names = [str(g) for g in groups.cat.categories if (groups == g).any()]
    column = setting(report, "cohort", "group", "")
    if len(names) > 6:
        names = []
    blocks = {name: (groups == name).to_numpy() for name in names}
    if len(names) != 1:
        blocks["all"] = np.ones(len(metadata), dtype=bool)
    rows: dict[str, list[str]] = {"samples": [f"{int(mask.sum()):,}" for mask in blocks.values()]}
    for field_name in metadata.columns:
        if field_name == column or _NAMES.fullmatch(str(field_name)):
            continue
        known = metadata[field_name].replace("", np.nan)
        if known.isna().all():
            continue
        numbers = pd.to_numeric(known, errors="coerce")
        if numbers.notna().sum() == known.notna().sum() and numbers.nunique() > 2:
            describe = _quartiles
            values = numbers
        elif known.nunique() <= 8:
            describe = _levels
            values = known.astype(object)
        else:
            continue
        rows[str(field_name)] = [describe(values[mask]) for mask in blocks.values()]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(blocks))
    return as_table(
        table.rename_axis("variable").reset_index(),
        "Characteristics of the samples"
        + (" (controls left out)" if controls else "")
        + ": median [quartiles] or counts; missing values in brackets",
        "results/tables/metadata.tsv",
    )


def _quartiles(values: pd.Series) -> str:
    known = values.dropna()
    missing = f" ({len(values) - len(known)} missing)" if len(known) < len(values) else ""
    if known.empty:
        return f"none{missing}"
    low, middle, high = known.quantile([0.25, 0.5, 0.75])
    return f"{middle:.3g} [{low:.3g} to {high:.3g}]{missing}"


def _levels(values: pd.Series) -> str:
    known = values.dropna().map(lambda value: str(value).removesuffix(".0"))
    missing = f" ({len(values) - len(known)} missing)" if len(known) < len(values) else ""
    counts = known.value_counts().sort_index()
    return (", ".join(f"{level}: {n:,}" for level, n in counts.items()) or "none") + missing
