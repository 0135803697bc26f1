"""The section on psychobiotics."""

from typing import Any, NamedTuple

import pandas as pd

from moodbiome.figures import count_of, plain
from moodbiome.intake import FOUND
from moodbiome.report.content import Report, not_empty
from moodbiome.report.display import Table, as_table
from moodbiome.report.words import enumerated, percent

# Subjects named for one reason; all are in the table of subjects.
_MAX_NAMED = 20
_CHECKS = {
    "given, not detected": "Given it, and not detected during intake (was it taken?)",
    "not given, newly detected": "Not given it, and newly detected during intake (samples mixed "
    "up, contamination, or own use)",
}
# Many people carry a species of the panel, and few its strain: of the first no one is named.
_OWN = "not given, detected"
_OWN_STRAIN = "Not given it, and detected during intake, as before or with nothing known of before"
_NO_PAIR = "none assessable in both"
_ALL_HAD_IT, _NONE_HAD_IT = "none without it before", "none with it during intake"


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
            sentences.append(f"{name}: {words}: {_named(part)}.")
    before = subjects[(subjects["phase"] == "before") & (subjects["state"] == FOUND)]
    for name, part in subjects[subjects["check"] == _OWN].groupby("name", sort=False):
        level = part["level"].iloc[0]
        if level == "strain":
            sentences.append(f"{name}: {_OWN_STRAIN}: {_named(part)}.")
            continue
        n_before = int(part["subject"].isin(before.loc[before["name"] == name, "subject"]).sum())
        n_others = len(part) - n_before
        counts = [f"{n_before} had it before"] if n_before else []
        counts += [f"of {n_others} nothing is known of before"] if n_others else []
        sentences.append(
            f"{name}: Not given it, and detected during intake, which is expected of a {level} "
            f"that people carry: {count_of(len(part), 'subject')} ({enumerated(counts)})."
        )
    unknown = subjects[(subjects["phase"] == "during") & (subjects["state"] == "not assessable")]
    for name, part in unknown.groupby("name", sort=False):
        n, of = len(part), subjects.loc[subjects["name"] == name, "subject"].nunique()
        sentences.append(f"{name}: not assessable during intake in {n} of {of} subjects.")
    return sentences


def _named(part: pd.DataFrame) -> str:
    who = list(part["subject"].astype(str))
    named = who[:_MAX_NAMED]
    if len(who) > _MAX_NAMED:
        named.append(f"{len(who) - _MAX_NAMED} others")
    return enumerated(named)


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
        for part, kind, rest, heading, both_ways, nobody in (
            (begin, "gained", "neither", "newly detected", "before to during", _ALL_HAD_IT),
            (end, "lost", "both", "no longer detected", "during to after", _NONE_HAD_IT),
        ):
            if part.empty:
                continue
            shares = part[[kind, rest, f"{kind}_low", f"{kind}_high"]].assign(pairs=part["pairs"])
            words = [
                _intake_words(k, k + others, low, high, nobody if pairs else _NO_PAIR)
                for k, others, low, high, pairs in shares.itertuples(index=False)
            ]
            wide[heading] = pd.Series(words, index=part.index).reindex(at).to_numpy()
            # Where none could change this way, a p of those who changed the other way misleads.
            p = part["p_mcnemar"].where(part[kind] + part[rest] > 0)
            changed = zip(part["pairs"], part["gained"], part["lost"], p, strict=True)
            words = [_change_words(*row) for row in changed]
            wide[both_ways] = pd.Series(words, index=part.index).reindex(at).to_numpy()
        if not begin.empty and begin["p_fisher"].notna().any():
            wide["p against the reference arm"] = begin["p_fisher"].reindex(at).to_numpy()
    if set(wide["arm"]) == {""}:
        wide = wide.drop(columns=["arm", "given"])
    caption = (
        f"Subjects in whom it was detected, of those assessable, {plain(assay)}, with Wilson's "
        "95 % interval; newly detected of those without it before intake, no longer detected of "
        "those with it during intake; from phase to phase, all who gained and who lost it, with p "
        "of McNemar's exact test of the one against the other within the arm; against the "
        "reference arm Fisher's exact test of newly detected. No p is adjusted"
    )
    return as_table(wide, caption, "results/signature/intake.tsv", headings={"name": "organism"})


def _change_words(pairs: int, gained: int, lost: int, p: float) -> str:
    """
    >>> _change_words(12, 0, 2, 0.5), _change_words(12, 0, 2, float("nan"))
    ('gained 0, lost 2, p 0.5', 'gained 0, lost 2')
    """
    if not pairs:
        return ""
    return f"gained {gained}, lost {lost}" + ("" if pd.isna(p) else f", p {p:.3g}")


def _intake_words(
    part: float, whole: float, low: float, high: float, nobody: str = "none assessable"
) -> str:
    if not whole:
        return nobody
    return f"{part:.0f} of {whole:.0f} ({percent(low)} to {percent(high)})"
