"""The samples of a run: status and metadata joined, and tables over all assays."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from moodbiome.faults import NotRun
from moodbiome.tools import writing

_TEXT = ("sample", "reason", "warnings", "exclude", "warning", "note")
COMPARED = ("ok",)


def write_tsv(table: pd.DataFrame, path: str, **options: Any) -> None:
    """Write one of the run's own tables, six significant digits, as `read_tsv` reads it."""
    form = {"sep": "\t", "float_format": "%.6g", "quoting": csv.QUOTE_NONE, "index": False}
    with writing(path):
        table.to_csv(path, **{**form, **options})


def read_tsv(path: str, text: Sequence[str] = ()) -> pd.DataFrame:
    """Read one of the run's own tables, as it was written.

    Nothing is quoted, only an empty cell is missing, and names of samples are text: pandas' own
    rules would merge rows at a lone quotation mark, and take None, NA and 001 for something else.

    Parameters
    ----------
    path
        File to read.
    text
        Columns to read as text, beside the names of samples.
    """
    return pd.read_csv(
        path,
        sep="\t",
        quoting=csv.QUOTE_NONE,
        keep_default_na=False,
        na_values=[""],
        dtype=dict.fromkeys([*_TEXT, *text], str),
    )


def read_cohort(status: str, metadata: str, *text: str) -> pd.DataFrame:
    """Read the status of every sample and assay, with the sample's metadata.

    Parameters
    ----------
    status, metadata
        Paths of ``sample_status.tsv`` and ``metadata.tsv``.
    text
        Columns that are text whatever they look like, as that of the groups; empty names are none.

    Returns
    -------
    DataFrame
        One row a sample and assay, in the sheet's order: sample, assay, sample_type, status,
        reason, then the metadata columns, numbers where all cells of a column are numbers.
        `is_usable` says whether the sample takes part in comparisons.
    """
    state = read_tsv(status).fillna({"reason": ""})
    known = read_tsv(metadata, text=[name for name in text if name]).drop(
        columns=["sample_type", "exclude"]
    )
    cohort = state.merge(known, on="sample", how="left", validate="many_to_one")
    is_sample = cohort["sample_type"] == "sample"
    return cohort.assign(is_usable=is_sample & cohort["status"].isin(COMPARED))


def require_usable(cohort: pd.DataFrame) -> None:
    """Raise NotRun, saying of which status the samples are, if none of them can be compared."""
    if cohort["is_usable"].any():
        return
    is_sample = cohort["sample_type"] == "sample"
    kinds = cohort["status"].where(is_sample, cohort["sample_type"]).value_counts().sort_index()
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    raise NotRun(
        f"no sample has status ok ({listed}): nothing was compared. A sample is low_depth below"
        " tables.low_depth_fragments of the settings"
    )


def of_assay(cohort: pd.DataFrame, assay: str) -> pd.DataFrame:
    """Rows of one assay, indexed by sample."""
    return cohort[cohort["assay"] == assay].set_index("sample").drop(columns="assay")


def subjects_of(samples: pd.DataFrame, subject: str) -> pd.Series:
    """The subject of each sample; a sample of none, or without such a column, is its own.

    Examples
    --------
    >>> samples = pd.DataFrame({"person": ["P1", "P1", ""]}, ["S1", "S2", "S3"])
    >>> subjects_of(samples, "person").tolist()
    ['subject P1', 'subject P1', 'S3']
    """
    own = pd.Series(samples.index.astype(str), samples.index)
    if subject not in samples.columns:
        return own
    known = samples[subject].replace("", np.nan)
    return own.where(known.isna(), "subject " + known.astype(str))


def require_one_group(groups: pd.Series, subjects: pd.Series) -> None:
    """Raise NotRun if a subject's samples are of several groups.

    For comparisons of one value a subject, which take the groups as different people.

    Parameters
    ----------
    groups, subjects : Series
        By sample, in one order, nothing missing.
    """
    number = groups.groupby(subjects, sort=False).nunique()
    several = number > 1
    if several.any():
        first = several.idxmax()
        found = ", ".join(sorted(set(groups[subjects == first].astype(str))))
        raise NotRun(
            f"{first} has samples of several groups ({found}; {int(several.sum())} such subjects),"
            " and one value a subject cannot compare a subject with itself; differential.tsv does"
            " with a random intercept (1|subject)"
        )


def why_unusable(cohort: pd.DataFrame) -> dict[str, str]:
    """Reason by sample, for the samples of one assay that take no part in comparisons."""
    rest = cohort[~cohort["is_usable"]]
    named = "a " + rest["sample_type"].str.replace("_", " ")
    reasons = rest["reason"].where(rest["sample_type"] == "sample", named)
    return dict(zip(rest.index.astype(str), reasons, strict=True))


def left_out(analysis: str, dropped: Mapping[str, str]) -> pd.DataFrame:
    """Rows of ``not_run.tsv`` for samples that an analysis left out."""
    rows = [(analysis, sample, reason) for sample, reason in dropped.items()]
    return pd.DataFrame(rows, columns=["analysis", "sample", "reason"])


def count_classified(ledger: pd.DataFrame, assay: str, taxa: pd.DataFrame) -> pd.Series:
    """Fragments classified as bacterial or archaeal, by sample: the denominator of shares of taxa.

    Parameters
    ----------
    ledger : DataFrame
        tables/ledger.tsv.
    assay : str
    taxa : DataFrame of shape (n_taxa, n_samples)
        Counts of the bacterial and archaeal taxa of the assay.

    Returns
    -------
    Series
        As the ledger has it, or the sum of the taxa where that is larger.

    Examples
    --------
    >>> ledger = pd.DataFrame({"sample": ["S1", "S2"], "assay": "shotgun",
    ...                        "bacterial": [90, 50], "archaeal": [5, 0]})
    >>> taxa = pd.DataFrame({"S1": [60, 30], "S2": [40, 11]})
    >>> count_classified(ledger, "shotgun", taxa).to_dict()
    {'S1': 95, 'S2': 51}
    """
    account = ledger[ledger["assay"] == assay].set_index("sample")
    # Re-estimation hands fragments of the root down, so that taxa can exceed their domains.
    return (account["bacterial"] + account["archaeal"]).combine(taxa.sum(), max)


def summarise(notes: pd.DataFrame) -> pd.DataFrame:
    """Notes of ``not_run.tsv``, those about samples gathered into one an analysis and assay.

    Where the notes are of several assays, the reason begins with the assay.

    Examples
    --------
    >>> notes = pd.DataFrame({"assay": "shotgun", "analysis": ["alpha", "permanova", "permanova"],
    ...     "sample": [None, "S1", "S2"], "reason": ["too shallow", "missing age", "missing sex"]})
    >>> summarise(notes)["reason"].tolist()
    ['too shallow', '2 samples left out: S1 (missing age), S2 (missing sex)']
    """
    several = len(set(notes["assay"])) > 1
    whole = notes[notes["sample"].isna()]
    if several:
        whole = whole.assign(reason=whole["assay"] + ": " + whole["reason"])
    rows = []
    keys = ["assay", "analysis"]
    for (assay, analysis), part in notes[notes["sample"].notna()].groupby(keys, sort=False):
        named = [f"{row.sample} ({row.reason})" for row in part.head(6).itertuples()]
        more = f" and {len(part) - 6} others" if len(part) > 6 else ""
        plural = "sample" if len(part) == 1 else "samples"
        listed = f"{len(part)} {plural} left out: {', '.join(named)}{more}"
        said = f"{assay}: {listed}" if several else listed
        rows.append({"analysis": analysis, "reason": said})
    return pd.concat([whole, pd.DataFrame(rows)], ignore_index=True)


def write_by_assay(
    tables: Mapping[str, Iterable[pd.DataFrame | None]],
    path: str,
    columns: Sequence[str],
) -> None:
    """Write the tables of all assays below one another, as TSV with six significant digits.

    Parameters
    ----------
    tables
        Tables by assay; None stands for an analysis that was not run.
    path
        File to write.
    columns
        The first columns, in order, `assay` among them; a file without any row has these as its
        header.
    """
    parts = [
        table.assign(assay=assay)
        for assay, of_assay in tables.items()
        for table in of_assay
        if table is not None
    ]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(columns))
    rest = [column for column in table.columns if column not in columns]
    write_tsv(table.reindex(columns=[*columns, *rest]), path)
