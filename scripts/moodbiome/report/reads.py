"""The sections on reads: the ledger, and the status of every sample."""

from typing import Any

import pandas as pd

from moodbiome import figures
from moodbiome.report.content import Report, per_assay
from moodbiome.report.display import Cell, Link, Shown, Table, as_table, key_of, sample_page, show

_LEDGER_SOURCE = "results/tables/ledger.tsv"


def ledger_figures(report: Report) -> list[Shown]:
    return [
        show(figures.ledger(part, key_of("ledger", assay)), assay)
        for assay, part in per_assay(report.ledger)
        if part["raw"].notna().any()
    ]


def status_table(report: Report) -> Table:
    """Every sample, however many: from here each page is reached."""
    table = as_table(
        report.status,
        "Status of every sample",
        "results/tables/sample_status.tsv",
        most=len(report.status),
    )
    for row, sample in zip(table.rows, report.status["sample"].astype(str), strict=True):
        row[0] = Cell([Link(sample, sample_page(sample))])
    return table


def ledger_total(ledger: pd.DataFrame) -> Table:
    columns = [c for c in ledger.columns if c not in ("sample", "assay")]
    total: dict[str, Any] = {"sample": f"all {len(ledger):,}", "assay": ""}
    total |= {name: ledger[name].sum(min_count=1) for name in columns}
    first = pd.DataFrame([total])[list(ledger.columns)]
    return as_table(
        pd.concat([first, ledger.astype(object)], ignore_index=True),
        "Read ledger in fragments; the first row is the cohort",
        _LEDGER_SOURCE,
        integers=columns,
    )
