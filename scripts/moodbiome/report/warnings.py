"""Warnings first: what a reader must know, of the cohort and of one sample."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from moodbiome.figures import count_of, plain
from moodbiome.report.associations import small_cohort
from moodbiome.report.content import (
    Report,
    any_counts,
    assays_of,
    has,
    keys_of,
    matching,
    not_empty,
    reason_words,
    score_row,
    setting,
    states_of,
    types_of,
)
from moodbiome.report.display import Link, sample_page
from moodbiome.report.words import percent, text_of

MAX_NAMED = 6
# What the warnings hold against an input: shares above, or below, these.
MAX_UNCLASSIFIED = 0.5
MAX_FAILED_QC = 0.3
MIN_WEIGHT_DETECTABLE = 0.5
_ANALYSES = {
    "ledger": "read ledger",
    "alpha": "alpha diversity",
    "permanova": "test of the groups (PERMANOVA)",
    "permdisp": "test of equal dispersion (PERMDISP)",
    "phylogeny": "phylogenetic diversity and UniFrac",
    "signature": "signature score",
    "contributions": "contributions to the score",
    "community types": "community types",
    "indices": "indices of groups of taxa",
    "evaluation": "evaluation of the score on the groups",
    "trained model": "model trained on the taxa",
    "differential": "differential abundance",
    "measures": "measured variables",
    "sensitivity": "sensitivity runs",
    "genes": "search for marker genes",
    "function": "gut-brain modules",
    "modules": "comparison of gut-brain modules",
    "modules_by_type": "gut-brain modules and community types",
    "longitudinal": "change over time",
    "intake": "check of intake",
    "pooled": "effects pooled over studies",
    "power": "power of the comparison",
}
_STATUS_WORDS = {
    "failed": "failed: no result",
    "empty": "empty: no fragments",
    "low_depth": "low depth: read with care",
    "excluded": "excluded by the sample sheet",
}


class _Finding(NamedTuple):
    """Something the tables hold against samples, each with a note such as its share."""

    text: str
    samples: dict[tuple[str, str], str]


def _findings(report: Report) -> list[_Finding]:
    """What in the counts and scores makes the input look poor; controls are not judged."""
    types = types_of(report)
    keys = pd.Series(keys_of(report.ledger), index=report.ledger.index, dtype=object)
    ledger = report.ledger.assign(key=keys)
    ledger = ledger[[types[key] == "sample" for key in ledger["key"]]]
    ledger = ledger[ledger["raw"].fillna(0).astype(float) > 0]
    found = []
    for part, whole, limit, text in (
        (
            "unclassified",
            "non_host",
            MAX_UNCLASSIFIED,
            "of the non-host fragments are unclassified: the database may lack their taxa",
        ),
        ("failed_qc", "raw", MAX_FAILED_QC, "of the raw fragments failed quality control"),
    ):
        total = ledger[whole].astype(float)
        share = (ledger[part].astype(float) / total.where(total > 0)).fillna(0)
        high = ledger.assign(share=share)[share > limit]
        high = high.sort_values("share", ascending=False, kind="stable")
        if len(high):
            notes = dict(zip(high["key"], map(percent, high["share"]), strict=True))
            found.append(_Finding(f"more than {percent(limit)} {text}", notes))
    removed = setting(report, "host", "remove", False)
    if removed and len(ledger) and not ledger["host"].astype(float).any():
        text = (
            "no fragment of the host in any sample: is the host index the right one? Reads that "
            "were cleaned before are declared by host.remove: false"
        )
        found.append(_Finding(text, {}))
    return found + _undetectable(report)


def _undetectable(report: Report) -> list[_Finding]:
    """Samples whose database holds too little of the signature, by how much it holds."""
    scores, types = not_empty(report.scores), types_of(report)
    if scores is None or "weight_detectable" not in scores:
        return []
    by_share: dict[str, dict[tuple[str, str], str]] = {}
    for key, share in zip(keys_of(scores), scores["weight_detectable"].astype(float), strict=True):
        if share < MIN_WEIGHT_DETECTABLE and types.get(key, "sample") == "sample":
            by_share.setdefault(percent(share), {})[key] = ""
    return [
        _Finding(
            f"{share} of the signature's weight is on taxa of the database, less than "
            f"{percent(MIN_WEIGHT_DETECTABLE)}",
            samples,
        )
        for share, samples in by_share.items()
    ]


def control_words(report: Report, key: tuple[str, str]) -> str:
    """What was found in a control: few fragments, or none, are what a negative control is for."""
    sample, assay = key
    rows = matching(report.ledger, sample, assay)
    if rows.empty or pd.isna(rows.iloc[0]["non_host"]):
        return "no counts"
    total = int(rows.iloc[0]["non_host"])
    negative = types_of(report)[key] == "negative_control"
    if not total:
        return "0 non-host fragments" + (", a normal result" if negative else "")
    text = f"{count_of(total, 'non-host fragment')}"
    counts = report.genus_counts.get(assay)
    if counts is not None and sample in counts.columns[3:]:
        genera = counts[~counts["taxon_id"].isin((0, -1))]
        shares = genera.set_index("name")[sample].astype(float) / total
        top = shares[shares >= 0.1].sort_values(ascending=False, kind="stable").head(3)
        if len(top):
            text += ", mostly " if top.sum() >= 0.5 else ", the most abundant genera "
            text += ", ".join(f"{name} ({percent(share)})" for name, share in top.items())
    if negative and states_of(report)[key] == "ok":
        text += "; as deep as a sample: look for contamination or a swap"
    return text


def _named_samples(
    report: Report, samples: Sequence[tuple[str, str]], notes: Mapping[tuple[str, str], str]
) -> list[Link | str]:
    """Names that lead to the samples' pages, with a note each; those beyond the sixth counted."""
    several = len(assays_of(report.status)) > 1
    parts: list[Link | str] = []
    for key in samples[:MAX_NAMED]:
        name = f"{key[0]} ({key[1]})" if several else key[0]
        note = f" ({notes[key]})" if notes.get(key) else ""
        parts += [", "] if parts else []
        parts += [Link(name, sample_page(key[0])), *([note] if note else [])]
    more = len(samples) - MAX_NAMED
    return parts + ([f" and {count_of(more, 'other')}"] if more > 0 else [])


def _said(
    report: Report, said: Iterable[tuple[tuple[str, str], str]], alike: bool
) -> list[list[Link | str]]:
    """One line for each thing said, with the samples it is said of.

    With `alike`, texts that differ only in numbers and files are one thing.
    """
    kinds: dict[str, dict[tuple[str, str], str]] = {}
    for key, text in said:
        kind = re.sub(r"\S*(?:[\d/]|\.\w)\S*", "#", text) if alike else text
        kinds.setdefault(kind, {}).setdefault(key, text)
    lines = []
    for texts in list(kinds.values())[:MAX_NAMED]:
        samples = list(texts)
        first = texts[samples[0]]
        others = " (the first; the others alike)" if len(set(texts.values())) > 1 else ""
        named = _named_samples(report, samples, {})
        lines.append([*named, f": {first}{others}"] if first else named)
    return lines + _more_lines(sum(len(texts) for texts in list(kinds.values())[MAX_NAMED:]))


def warning_groups(report: Report) -> dict[str, Any]:
    """What a reader must know first, grouped by kind: each line is text and links."""
    types = types_of(report)
    groups: list[tuple[str, list[list[Link | str]]]] = []
    reasons = {
        key: text_of(reason)
        for key, reason in zip(
            keys_of(report.status),
            report.status.get("reason", [""] * len(report.status)),
            strict=True,
        )
    }
    states = states_of(report)
    for status, words in _STATUS_WORDS.items():
        said = [
            (key, reasons[key])
            for key in reasons
            if states[key] == status
            and (types[key] == "sample" or status in ("failed", "excluded"))
        ]
        if said:
            title = f"{count_of(len(said), 'sample')} {words}"
            groups.append((title, _said(report, said, alike=status == "low_depth")))
    controls = [
        key
        for key, kind in types.items()
        if kind != "sample" and states[key] not in ("failed", "excluded")
    ]
    if controls:
        groups.append((count_of(len(controls), "control"), _control_lines(report, controls)))
    if lines := _input_lines(report):
        groups.append(("Input to look at", lines))
    if lines := _score_lines(report):
        groups.append(("Signature score", lines))
    if small := small_cohort(report):
        groups.append(("Power", [[sentence] for sentence in small]))
    missing = [(note.analysis, reason_words(note.reason)) for note in report.not_run]
    for analysis, content in (
        ("taxa", any_counts(report)),
        ("alpha", report.alpha),
        ("ordination", report.ordinations),
        ("permanova", report.permanova),
        ("signature", report.scores),
        ("contributions", report.contributions),
        ("evidence", report.evidence),
        ("differential", report.differential),
        ("measures", report.measures),
    ):
        if not has(content) and analysis not in {name for name, _ in missing}:
            missing.append((analysis, "not run"))
    return {"groups": groups, "not_run": _by_reason(missing)}


def _by_reason(missing: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Analyses and why each was not run: a reason that several share stands once.

    >>> _by_reason([("alpha", "not run"), ("measures", "no age"), ("sensitivity", "no age")])
    [('alpha diversity', 'not run'), ('measured variables, sensitivity runs', 'no age')]
    """
    names: dict[tuple[str, str], list[str]] = {}
    for analysis, reason in missing:
        words = _ANALYSES.get(analysis, plain(analysis))
        alone = analysis if reason in ("", "not run") else ""
        names.setdefault((alone, reason), []).append(words)
    return [(", ".join(dict.fromkeys(of)), reason) for (_, reason), of in names.items()]


def _control_lines(report: Report, controls: list[tuple[str, str]]) -> list[list[Link | str]]:
    types = types_of(report)
    lines = [
        [
            *_named_samples(report, [key], {key: plain(types[key])}),
            f": {control_words(report, key)}",
        ]
        for key in controls[:MAX_NAMED]
    ]
    return lines + _more_lines(len(controls) - MAX_NAMED)


def _more_lines(more: int) -> list[list[Link | str]]:
    if more < 1:
        return []
    return [[f"and {count_of(more, 'other')}: see ", Link("sample status", "#status")]]


def _input_lines(report: Report) -> list[list[Link | str]]:
    lines: list[list[Link | str]] = []
    for finding in _findings(report):
        named = _named_samples(report, list(finding.samples), finding.samples)
        lines.append([f"{finding.text}: ", *named] if named else [finding.text])
    for assay, database in sorted(report.provenance.get("databases", {}).items()):
        lines += [[f"{assay} database: {text}"] for text in database.get("warnings", [])]
    if "warnings" in report.status:
        said = [
            (key, text)
            for key, texts in zip(keys_of(report.status), report.status["warnings"], strict=True)
            for text in _split(texts)
        ]
        lines += _said(report, said, alike=True)
    without = _without_group(report)
    if without:
        column = setting(report, "cohort", "group", "")
        have = "has" if len(without) == 1 else "have"
        text = f"{count_of(len(without), 'sample')} {have} no value in '{column}': not compared ("
        lines.append([text, *_named_samples(report, without, {}), ")"])
    return lines


def _without_group(report: Report) -> list[tuple[str, str]]:
    """Samples that would be compared, had they a group."""
    metadata, column = not_empty(report.metadata), setting(report, "cohort", "group", "")
    if metadata is None or not column or column not in metadata:
        return []
    known = metadata[column].map(text_of) != ""
    grouped = set(metadata.loc[known, "sample"].astype(str))
    types, states = types_of(report), states_of(report)
    return [
        key
        for key in types
        if types[key] == "sample" and states[key] == "ok" and key[0] not in grouped
    ]


def _score_lines(report: Report) -> list[list[Link | str]]:
    scores = not_empty(report.scores)
    if scores is None:
        return []
    lines: list[list[Link | str]] = []
    scored = int(scores["score"].notna().sum())
    if unscored := len(scores) - scored:
        text = f"{unscored:,} of {count_of(len(scores), 'sample')} without a score: "
        lines.append([text, Link("the reasons", "#signature")])
    if "warning" in scores:
        said = scores.loc[scores["score"].notna(), "warning"]
        counted = pd.Series([text for texts in said for text in _split(texts)], dtype=object)
        for warning, number in counted.value_counts(sort=False).items():
            lines.append([f"{warning} ({number:,} of {count_of(scored, 'sample')} with a score)"])
    return lines


def _split(texts: Any) -> list[str]:
    """The warnings in one cell."""
    return [text for text in text_of(texts).split("; ") if text]


def sample_warnings(report: Report, sample: str, assay: str) -> list[str]:
    """What is said of one sample, without a word of any other."""
    key = (sample, assay)
    status = matching(report.status, sample, assay)
    said = [text for texts in status.get("warnings", ()) for text in _split(texts)]
    said += [
        finding.text + (f" ({finding.samples[key]})" if finding.samples[key] else "")
        for finding in _findings(report)
        if key in finding.samples
    ]
    if key in _without_group(report):
        said.append(f"no value in '{setting(report, 'cohort', 'group', '')}': not compared")
    row = score_row(report, sample, assay)
    return said + _split(None if row is None else row.get("warning"))
