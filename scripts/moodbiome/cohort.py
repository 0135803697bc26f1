"""The samples of a run: status and metadata joined, and tables over all assays."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

COMPARED = ("ok",)


def read_cohort(status: str, metadata: str) -> pd.DataFrame:
    """Read the status of every sample and assay, with the sample's metadata.

    Parameters
    ----------
    status, metadata
        Paths of ``sample_status.tsv`` and ``metadata.tsv``.

    Returns
    -------
    DataFrame
        One row a sample and assay, in the sheet's order: sample, assay, sample_type, status,
        reason, then the metadata columns, numbers where all cells of a column are numbers.
        `is_usable` says whether the sample takes part in comparisons.
    """
    text = {"sample": str, "run": str, "exclude": str}
    state = pd.read_table(status, dtype=str, keep_default_na=False)
    known = pd.read_table(metadata, dtype=text).drop(columns=["sample_type", "exclude"])
    cohort = state.merge(known, on="sample", how="left", validate="many_to_one")
    is_sample = cohort["sample_type"] == "sample"
    return cohort.assign(is_usable=is_sample & cohort["status"].isin(COMPARED))


def of_assay(cohort: pd.DataFrame, assay: str) -> pd.DataFrame:
    """Rows of one assay, indexed by sample."""
    return cohort[cohort["assay"] == assay].set_index("sample").drop(columns="assay")


def why_unusable(cohort: pd.DataFrame) -> dict[str, str]:
    """Reason by sample, for the samples of one assay that take no part in comparisons."""
    rest = cohort[~cohort["is_usable"]]
    named = "a " + rest["sample_type"].str.replace("_", " ")
    reasons = rest["reason"].where(rest["sample_type"] == "sample", named)
    return dict(zip(rest.index.astype(str), reasons, strict=True))


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
    table[[*columns, *rest]].to_csv(path, sep="\t", index=False, float_format="%.6g")
