"""Signatures of the user's own: lists of taxa that go up or down, read, checked and made scorable.

Three kinds of file are read, TSV or CSV, told apart by their header:

- tables like ``config/evidence/taxa.tsv`` (``concept``, ``ncbi_ids``, ``direction``,
  ``weight_evidence``);
- lists with ``taxon``, ``direction`` and ``source``, and optionally ``weight``. A taxon is an NCBI
  taxonomy id, or a label such as ``g__Roseburia``. Direction is ``up`` or ``down``, or
  ``health-scarce`` (as up) or ``health-prevalent`` (as down);
- exports of BugSigDB (its column names are from memory).
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from moodbiome.evidence import find_members
from moodbiome.faults import Fault, after, suggestion
from moodbiome.signature import PROFILES

COLUMNS = (
    *("signature", "sample", "score", "score_low", "score_high", "percentile", "percentile_low"),
    *("percentile_high", "n_reference", "n_classified", "weight_detectable", "n_taxa"),
    *("n_taxa_detectable", "status", "reason", "warning"),
)

_DIRECTIONS = {
    **dict.fromkeys(("up", "increased", "health-scarce"), "up"),
    **dict.fromkeys(("down", "decreased", "health-prevalent"), "down"),
}
_BUGSIGDB = {
    "taxa": "NCBI Taxonomy IDs",
    "direction": "Abundance in Group 1",
    "source": ("DOI", "PMID"),
}
_ID, _LABEL = r"[1-9][0-9]*", r"[gs]__\S.*"
_TOLERANCE = 1e-6


def read_signature(path: Path, concepts: pd.DataFrame) -> tuple[pd.DataFrame, list[Fault]]:
    """Read a signature of any of the three kinds, with all that is wrong with it.

    Parameters
    ----------
    path
        The file.
    concepts : DataFrame
        config/evidence/concepts.tsv: the labels of concepts without ids.

    Returns
    -------
    table : DataFrame
        One row a taxon: ``concept``, ``name``, ``ncbi_ids``, ``label`` (empty if ids are given),
        ``gtdb``, ``silva``, ``greengenes``, ``direction``, and a signed weight for each profile,
        all alike: those given, or equal within each side. Empty if there are faults.
    list of Fault
        Each with file and row, and how to mend it.
    """
    place = path.name
    try:
        separator = "," if path.suffix == ".csv" else "\t"
        raw = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        mend = "save it as UTF-8 text, TSV or CSV, with a header"
        return pd.DataFrame(), [Fault(place, f"cannot be read ({error})", mend)]
    raw = raw.apply(lambda column: column.str.strip())
    wanted: tuple[str, ...]
    if "concept" in raw:
        wanted = ("concept", "ncbi_ids", "direction", "weight_evidence")
    elif _BUGSIGDB["taxa"] in raw:
        wanted = (str(_BUGSIGDB["taxa"]), str(_BUGSIGDB["direction"]))
    else:
        wanted = ("taxon", "direction", "source")
    missing = [name for name in wanted if name not in raw]
    if missing:
        problem = f"column {missing[0]!r} is missing"
        mend = f"{suggestion(missing[0], raw.columns)}such a table has {', '.join(wanted)}"
        return pd.DataFrame(), [Fault(place, problem, mend)]
    if "concept" in raw:
        rows = _of_concepts(raw, concepts)
    elif "taxon" in raw:
        rows = raw.assign(weight=raw.get("weight", ""), row=raw.index + 2, concept=raw["taxon"])
    else:
        rows = _of_bugsigdb(raw)
    faults = _row_faults(rows, place)
    if not faults:
        faults = _weight_faults(rows, place)
    if faults:
        return pd.DataFrame(), faults
    return _as_taxa(rows), []


def _of_concepts(raw: pd.DataFrame, concepts: pd.DataFrame) -> pd.DataFrame:
    """Rows of a table like taxa.tsv; those that weigh nothing are left out."""
    labels = concepts.set_index("concept").reindex(raw["concept"])[["gtdb", "silva", "greengenes"]]
    labels = labels.fillna("").set_axis(raw.index, axis="index")
    rows = raw.assign(
        row=raw.index + 2,
        taxon=raw["ncbi_ids"],
        weight=raw["weight_evidence"],
        # The claims are the sources of such a table.
        source=raw.get("source", "claims"),
    ).assign(**labels)
    rows["is_known"] = raw["concept"].isin(concepts["concept"])
    weight = pd.to_numeric(rows["weight"], errors="coerce")
    return rows[(weight != 0) | (rows["weight"] == "")].reset_index(drop=True)


def _of_bugsigdb(raw: pd.DataFrame) -> pd.DataFrame:
    """One row a taxon of an export: the last id of each lineage, a semicolon between lineages."""
    source = pd.Series("", index=raw.index)
    for name in _BUGSIGDB["source"]:
        if name in raw:
            source = source.where(source != "", raw[name])
    split = raw[str(_BUGSIGDB["taxa"])].str.split("[;,]")
    rows = pd.DataFrame(
        {
            "row": raw.index + 2,
            "taxon": split,
            "direction": raw[str(_BUGSIGDB["direction"])],
            "source": source,
            "weight": "",
        }
    ).explode("taxon", ignore_index=True)
    rows["taxon"] = rows["taxon"].str.strip().str.split("|").str[-1]
    # One taxon in several signatures of one direction is one taxon.
    rows = rows.drop_duplicates(["taxon", "direction"], ignore_index=True)
    return rows.assign(concept=rows["taxon"])


def _row_faults(rows: pd.DataFrame, place: str) -> list[Fault]:
    faults = []
    seen: dict[str, tuple[int, str]] = {}
    for cells in rows.to_dict("records"):
        here = f"{place}, row {cells['row']}"
        taxa = [text for text in str(cells["taxon"]).split(",") if text]
        if not taxa and not cells.get("is_known"):
            name = cells["concept"] or "empty"
            mend = "give NCBI ids, or a concept of config/evidence/concepts.tsv"
            faults.append(Fault(here, f"the concept or taxon {name!r} is unknown", mend))
        for taxon in taxa:
            if not re.fullmatch(f"{_ID}|{_LABEL}", taxon):
                mend = "give an NCBI taxonomy id, or a label such as g__Roseburia"
                faults.append(Fault(here, f"{taxon!r} is no taxon", mend))
        direction = _DIRECTIONS.get(str(cells["direction"]).lower(), "")
        if not direction:
            hint = suggestion(str(cells["direction"]), _DIRECTIONS)
            mend = after(hint, f"allowed are {', '.join(_DIRECTIONS)}")
            faults.append(Fault(here, f"the direction is {cells['direction']!r}", mend))
        if not cells["source"]:
            mend = "name the publication in the column source (BugSigDB: DOI or PMID)"
            faults.append(Fault(here, "has no source", mend))
        for taxon in taxa or [str(cells["concept"])]:
            if taxon not in seen:
                seen[taxon] = (cells["row"], direction)
                continue
            row, other = seen[taxon]
            if direction and other and direction != other:
                mend = "keep the one that holds, or neither"
                faults.append(
                    Fault(here, f"{taxon!r} goes {direction}, in row {row} {other}", mend)
                )
            else:
                faults.append(Fault(here, f"{taxon!r} stands in row {row} too", "remove one"))
    return faults


def _weight_faults(rows: pd.DataFrame, place: str) -> list[Fault]:
    faults = []
    direction = rows["direction"].str.lower().map(_DIRECTIONS)
    for side in ("up", "down"):
        if not (direction == side).any():
            mend = "a log-contrast needs both sides"
            faults.append(Fault(place, f"no taxon goes {side}", mend))
    if rows["weight"].eq("").all() or faults:
        return faults
    weight = pd.to_numeric(rows["weight"], errors="coerce")
    for row, text, value, way in zip(rows["row"], rows["weight"], weight, direction, strict=True):
        if not np.isfinite(value) or value == 0:
            mend = "give a number other than 0 to every taxon, or leave all weights empty"
            faults.append(Fault(f"{place}, row {row}", f"the weight is {text!r}", mend))
        elif (value > 0) != (way == "up"):
            mend = "taxa that go up weigh more than 0, those that go down less"
            faults.append(Fault(f"{place}, row {row}", f"goes {way} and weighs {text}", mend))
    if faults:
        return faults
    for side, sign in (("up", 1), ("down", -1)):
        total = weight[direction == side].sum()
        if abs(total - sign) > _TOLERANCE:
            mend = "rescale them, or leave all empty for equal ones"
            problem = f"the weights of the taxa that go {side} sum to {total:g}, not {sign:+d}"
            faults.append(Fault(place, problem, mend))
    return faults


def _as_taxa(rows: pd.DataFrame) -> pd.DataFrame:
    direction = rows["direction"].str.lower().map(_DIRECTIONS)
    sign = direction.map({"up": 1.0, "down": -1.0})
    weight = pd.to_numeric(rows["weight"], errors="coerce")
    if weight.isna().all():
        weight = sign / direction.map(direction.value_counts())
    is_label = rows["taxon"].str.match("[gs]__")
    label = rows["taxon"].where(is_label, "")
    table = pd.DataFrame(
        {
            "concept": rows["concept"],
            "name": rows.get("name", rows["concept"]),
            "ncbi_ids": rows["taxon"].where(~is_label, ""),
            "label": label,
            **{name: rows.get(name, label) for name in ("gtdb", "silva", "greengenes")},
            "direction": direction,
        }
    )
    return table.assign(**{f"weight_{profile}": weight for profile in PROFILES})


def resolve_signature(
    table: pd.DataFrame, database: pd.DataFrame, nomenclature: str
) -> pd.DataFrame:
    """Give each taxon the ids that a database has for it, of genera and species only.

    Parameters
    ----------
    table : DataFrame
        As given by `read_signature`.
    database, nomenclature
        As for `moodbiome.evidence.find_members`.

    Returns
    -------
    DataFrame
        ``table`` with ``ncbi_ids`` in the database's numbers; empty where it has none, as of a
        family, which the counts by genus and species do not have.
    """
    found = find_members(table, database, nomenclature)
    if nomenclature == "ncbi":
        # Labels are of one form in all nomenclatures; in NCBI's they are its own names.
        of_labels = table[["concept"]].assign(gtdb=table["label"])
        found = pd.concat([found, find_members(of_labels, database, "gtdb")])
    found = found.dropna(subset="taxon_id")
    found = found[database["rank"].reindex(found["taxon_id"]).isin(["genus", "species"]).to_numpy()]
    ids = (
        found["taxon_id"]
        .astype(str)
        .groupby(found["concept"])
        .agg(lambda cells: ",".join(dict.fromkeys(cells)))
    )
    return table.assign(ncbi_ids=[str(ids.get(concept, "")) for concept in table["concept"]])


def as_rows(scores: Mapping[str, pd.DataFrame], tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Scores of several signatures in one long table, with the columns `COLUMNS`."""
    parts = [
        score.rename_axis("sample").reset_index().assign(signature=name, n_taxa=len(tables[name]))
        for name, score in scores.items()
    ]
    return pd.concat(parts)[list(COLUMNS)] if parts else pd.DataFrame(columns=list(COLUMNS))
