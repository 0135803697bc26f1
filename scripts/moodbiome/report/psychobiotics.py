"""The section on psychobiotics."""

from typing import Any, NamedTuple

import pandas as pd

from moodbiome.figures import plain
from moodbiome.report.content import Report, not_empty
from moodbiome.report.display import Table, as_table
from moodbiome.report.words import enumerated, percent

# Subjects named for one reason; all are in the table of subjects.
_MAX_NAMED = 20
_CHECKS = {
    "given, not detected": "Given it, and not detected during intake (was it taken?)",
    "not given, newly detected": "Not given it, and newly detected during intake (samples mixed "
    "up, contamination, or own use)",
    "not given, detected": "Not given it, and detected during intake, as before or with nothing "
    "known of before",
}


class _Panel(NamedTuple):
    """Psychobiotics of one assay: a table of those that can be shown, and what cannot."""

    sentences: list[str]
    table: Table | None


def psychobiotic_panels(report: Report) -> list[_Panel]:
    psychobiotics = not_empty(report.psychobiotics)
    if psychobiotics is None:
        return []
    return [
        _psychobiotic_panel(str(assay), part)
        for assay, part in psychobiotics.groupby("assay", sort=False)
    ]


def _psychobiotic_panel(assay: str, part: pd.DataFrame) -> _Panel:
    """One row a sample, one column an organism; one that no sample can show is said in words."""
    names = part.drop_duplicates("organism").set_index("organism")["name"]
    names = names.str.replace(r" \(.*", "", regex=True)
    absent: dict[str, list[str]] = {}
    for organism, rows in part.groupby("organism", sort=False):
        if rows["call"].isin(["not in this database", "not assessable"]).all():
            # A sample that failed says nothing about the organism: the commonest reason does.
            why = str(rows["reason"].fillna("").mode().iloc[0])
            absent.setdefault(why, []).append(str(organism))
    sentences = [
        f"Not shown ({plain(assay)}): {enumerated([names[key] for key in found])}. Reason: {why}."
        for why, found in absent.items()
    ]
    left = [key for key in names.index if not any(key in found for found in absent.values())]
    if not left:
        return _Panel(sentences, None)
    shown = part[part["organism"].isin(left)]
    wide = (
        shown.assign(cell=[_psychobiotic_words(row) for row in shown.itertuples()])
        .pivot_table(index="sample", columns="organism", values="cell", aggfunc="first", sort=False)
        .reindex(columns=left)
        .rename(columns=names.to_dict())
        .rename_axis(columns=None)
        .reset_index()
    )
    caption = (
        f"Psychobiotic panel, {plain(assay)}: share in % of the fragments of all taxa of the rank, "
        "with its 95 % interval, or < the share above which it would have been found; of a strain "
        "what its k-mers allow to say"
    )
    return _Panel(sentences, as_table(wide, caption, "results/signature/psychobiotics.tsv"))


def _psychobiotic_words(row: Any) -> str:
    if row.level == "strain":
        return str(row.call)
    if row.call.startswith("detected"):
        return f"{100 * row.proportion:.2g} ({100 * row.low:.2g} to {100 * row.high:.2g})"
    if row.call == "not detected":
        return f"< {100 * row.detection_limit:.2g}"
    return str(row.call)


def intake_panels(report: Report) -> list[_Panel]:
    """Of each assay: who shows what was given, by arm and phase, and who contradicts the arm."""
    counts, subjects = not_empty(report.intake), not_empty(report.intake_subjects)
    if counts is None or subjects is None:
        return []
    changes = not_empty(report.intake_changes)
    return [
        _Panel(
            _intake_sentences(subjects[subjects["assay"] == assay]),
            _intake_table(
                str(assay), part, None if changes is None else changes[changes["assay"] == assay]
            ),
        )
        for assay, part in counts.groupby("assay", sort=False)
    ]


def _intake_sentences(subjects: pd.DataFrame) -> list[str]:
    sentences = []
    for check, words in _CHECKS.items():
        for name, part in subjects[subjects["check"] == check].groupby("name", sort=False):
            who = list(part["subject"].astype(str))
            named = who[:_MAX_NAMED]
            if len(who) > _MAX_NAMED:
                named.append(f"{len(who) - _MAX_NAMED} others")
            sentences.append(f"{name}: {words}: {enumerated(named)}.")
    unknown = subjects[(subjects["phase"] == "during") & (subjects["state"] == "not assessable")]
    for name, part in unknown.groupby("name", sort=False):
        n, of = len(part), subjects.loc[subjects["name"] == name, "subject"].nunique()
        sentences.append(f"{name}: not assessable during intake in {n} of {of} subjects.")
    return sentences


def _intake_table(assay: str, counts: pd.DataFrame, changes: pd.DataFrame | None) -> Table:
    """One row an organism and arm, a column a phase."""
    keys = ["name", "arm", "given"]
    counts = counts.assign(arm=counts["arm"].fillna(""))
    shares = counts[["detected", "assessable", "low", "high"]]
    cells = [_intake_words(*row) for row in shares.itertuples(index=False)]
    phases = list(dict.fromkeys(counts["phase"]))
    wide = (
        counts.assign(cell=cells)
        .pivot_table(index=keys, columns="phase", values="cell", aggfunc="first", sort=False)
        .reindex(columns=phases)
        .rename_axis(columns=None)
        .reset_index()
    )
    if changes is not None:
        changes = changes.assign(arm=changes["arm"].fillna(""))
        begin = changes[changes["to"] == "during"].set_index(keys)
        end = changes[changes["from"] == "during"].set_index(keys)
        at = pd.MultiIndex.from_frame(wide[keys])
        for part, kind, rest, heading in (
            (begin, "gained", "neither", "newly detected"),
            (end, "lost", "both", "no longer detected"),
        ):
            if part.empty:
                continue
            rows = zip(
                *(part[kind], part[kind] + part[rest], part[f"{kind}_low"], part[f"{kind}_high"]),
                strict=True,
            )
            said = pd.Series([_intake_words(*row) for row in rows], index=part.index)
            wide[heading] = said.reindex(at).to_numpy()
            wide[f"p of {heading}"] = part["p_mcnemar"].reindex(at).to_numpy()
        if not begin.empty and begin["p_fisher"].notna().any():
            wide["p against the reference arm"] = begin["p_fisher"].reindex(at).to_numpy()
    if set(wide["arm"]) == {""}:
        wide = wide.drop(columns=["arm", "given"])
    caption = (
        f"Subjects in whom it was detected, of those assessable, {plain(assay)}, with Wilson's "
        "95 % interval; newly detected of those without it before intake, no longer detected of "
        "those with it during intake, with p of McNemar's exact test within the arm; against the "
        "reference arm Fisher's exact test of newly detected. No p is adjusted"
    )
    return as_table(wide, caption, "results/signature/intake.tsv", headings={"name": "organism"})


def _intake_words(part: float, whole: float, low: float, high: float) -> str:
    if not whole:
        return "none assessable"
    return f"{part:.0f} of {whole:.0f} ({percent(low)} to {percent(high)})"
