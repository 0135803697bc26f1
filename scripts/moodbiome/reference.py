"""References of the signature: samples of an earlier run that later ones are compared with.

A file of references holds, for each assay, the counts of the signature's concepts in the reference
samples (numbered, not named) and what they were made with. Scores made with anything else lie on
another scale, so that every difference refuses the reference.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from moodbiome.signature import Outside

FORMAT = "moodbiome signature reference 1"

_SETTINGS = {
    "profile": ("min_hit_groups", "reestimate", "min_fragments", "read_length_bp"),
    "signature": ("offset", "profile"),
}


class Reference(NamedTuple):
    """Reference samples of one assay, and what they were made with."""

    made_with: dict[str, Any]
    samples: Outside


def made_with(
    settings: Mapping[str, Any],
    assay: str,
    taxa: pd.DataFrame,
    *,
    database: str | None = None,
    confidence: float | None = None,
) -> dict[str, Any]:
    """Everything that scores of an assay depend on, by the name of its setting.

    Parameters
    ----------
    settings
        The merged settings.
    assay
        Amplicons depend on the primers too.
    taxa : DataFrame
        As given by `moodbiome.evidence.derive`.
    database, confidence
        Fingerprint of the database, and the confidence that was used; None before they are known.
    """
    found = {
        f"{section}.{key}": settings[section][key]
        for section, keys in _SETTINGS.items()
        for key in keys
    }
    # Their limits count only where what they find leaves the tables.
    for name, what, action in (
        ("profile.minimisers", settings["profile"]["minimisers"], "drop"),
        ("controls", settings["controls"], "remove"),
    ):
        limits = what if what["action"] == action else {"action": what["action"]}
        found |= {f"{name}.{key}": value for key, value in limits.items()}
    if assay == "amplicon":
        found["reads.primers"] = settings["reads"]["primers"]
    weights = taxa.set_index("concept")[f"weight_{settings['signature']['profile']}"]
    found |= {f"weight of {name}": float(weight) for name, weight in weights.items()}
    if database is not None:
        found["database (SHA-256)"] = database
    if confidence is not None:
        found["profile.confidence"] = confidence
    return found


def differences(reference: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """In words, what of ``here`` the reference was made with otherwise.

    >>> differences({"signature.offset": 0.001}, {"signature.offset": 0.0001, "profile.x": 2})
    ['signature.offset is 0.001 there and 0.0001 here', 'profile.x is not recorded there']
    """
    return [
        f"{key} is {reference[key]} there and {value} here"
        if key in reference
        else f"{key} is not recorded there"
        for key, value in here.items()
        if key not in reference or reference[key] != value
    ]


def as_document(references: Mapping[str, Reference]) -> str:
    """References by assay as a JSON document, as `read_references` reads it."""
    assays = {
        assay: {
            "made_with": made,
            "n_classified": samples.n_classified.to_list(),
            "counts": dict(
                zip(samples.counts.index, samples.counts.to_numpy().tolist(), strict=True)
            ),
            "effective": dict(
                zip(samples.effective.index, samples.effective.to_numpy().tolist(), strict=True)
            ),
        }
        for assay, (made, samples) in references.items()
    }
    return json.dumps({"format": FORMAT, "assays": assays}, indent=1, sort_keys=True) + "\n"


def read_references(path: Path) -> dict[str, Reference]:
    """Read a file of references.

    Returns
    -------
    dict of assay to Reference

    Raises
    ------
    ValueError
        If it is no such file, or its tables do not fit each other; the message names the file.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path.name}: is no JSON document; give the results/signature/reference.json of a run"
        ) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(
            f"{path.name}: is no {FORMAT!r}; give the results/signature/reference.json of a run"
        )
    found = {}
    for assay, part in document["assays"].items():
        try:
            samples = Outside(
                pd.DataFrame.from_dict(part["counts"], orient="index"),
                pd.Series(part["n_classified"], dtype=float),
                pd.DataFrame.from_dict(part["effective"], orient="index"),
            )
            is_whole = (
                samples.counts.shape == samples.effective.shape
                and samples.counts.shape[1] == len(samples.n_classified)
                and not samples.counts.isna().to_numpy().any()
            )
            found[assay] = Reference(part["made_with"], samples)
        except (KeyError, TypeError, ValueError):
            is_whole = False
        if not is_whole:
            raise ValueError(
                f"{path.name}: the reference of {assay} is damaged; copy the file again"
            )
    return found


def reference_faults(
    path: Path, assays: Sequence[str], imported: Sequence[str], here: Mapping[str, dict[str, Any]]
) -> list[str]:
    """Why a file of references cannot serve the assays of a run, all reasons at once.

    Parameters
    ----------
    path
        The file.
    assays, imported
        Assays of the run; those whose table was imported, of which nothing is known before it.
    here
        What each assay is made with, as far as it is known (`made_with`).
    """
    try:
        references = read_references(path)
    except ValueError as error:
        return [str(error)]
    faults = []
    for assay in assays:
        if assay in imported:
            faults.append(f"{assay}: the table is imported, and what it was made with is not known")
        elif assay not in references:
            held = ", ".join(references) or "no assay"
            faults.append(f"{assay}: {path.name} has {held}")
        elif unlike := differences(references[assay].made_with, here[assay]):
            more = f"; and {len(unlike) - 10} others" if len(unlike) > 10 else ""
            faults.append(f"{assay}: {'; '.join(unlike[:10])}{more}")
    return faults
