"""A trial's check of intake: who shows what, when, and who could not be told."""

import re
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moodbiome.intake import (
    CHANGES,
    COUNTS,
    SUBJECTS,
    missing_pairs,
    phase_changes,
    phase_counts,
    subject_phases,
)
from moodbiome.psychobiotics import CONSISTENT, NOT_IN_DATABASE, TOO_SHALLOW

PHASE_OF = {"0": "before", "4": "during", "8": "during", "12": "after"}
WORDS = {
    "+": "detected species",
    "-": "not detected",
    "?": "not assessable",
    "!": NOT_IN_DATABASE,
}
# Of each subject: arm, and what is found in weeks 0, 4, 8 and 12; a blank is no sample.
TRIAL = {
    "P01": ("probiotic", "-++-"),
    "P02": ("probiotic", "--+-"),
    "P03": ("probiotic", "-+?-"),
    "P04": ("probiotic", "-+ +"),
    "P05": ("probiotic", "-+++"),
    "P06": ("probiotic", "----"),
    "P07": ("probiotic", "+++-"),
    "P08": ("probiotic", "-???"),
    "P09": ("probiotic", "?++ "),
    "P10": ("probiotic", "-  -"),
    "Q01": ("placebo", "----"),
    "Q02": ("placebo", "-+--"),
    "Q03": ("placebo", "++++"),
    "Q04": ("placebo", "--?-"),
    "Q05": ("placebo", "----"),
    "Q06": ("placebo", "!---"),
}


def trial(people=TRIAL, level="species", words=WORDS):
    rows, visits = [], {}
    for subject, (arm, marks) in people.items():
        for time, mark in zip(PHASE_OF, marks, strict=True):
            if mark != " ":
                sample = f"{subject}w{time}"
                visits[sample] = (subject, time, arm)
                rows.append((sample, "x", "X. y", level, words[mark], "why" if mark == "?" else ""))
    columns = ["sample", "organism", "name", "level", "call", "reason"]
    visits = pd.DataFrame.from_dict(visits, "index", columns=["subject", "timepoint", "arm"])
    return pd.DataFrame(rows, columns=columns), visits


@pytest.fixture
def subjects():
    return subject_phases(*trial(), PHASE_OF, ["probiotic"])


def test_a_phase_is_what_any_of_its_samples_shows(subjects):
    assert list(subjects.columns) == SUBJECTS
    assert len(subjects) == 3 * len(TRIAL)
    state = subjects.set_index(["subject", "phase"])["state"]
    assert state["P02"].to_dict() == {
        "before": "not detected",
        "during": "detected",
        "after": "not detected",
    }
    assert state["P03", "during"] == "detected"
    # One sample that could have shown it stands above one that could not.
    assert state["Q04", "during"] == "not detected"
    assert state["P08", "during"] == state["P09", "before"] == "not assessable"
    assert state["Q06", "before"] == "not assessable"
    assert state["P10", "during"] == state["P09", "after"] == "no sample"
    row = subjects.set_index(["subject", "phase"]).loc[("P08", "during")]
    assert (row["samples"], row["reason"], row["check"]) == (2, "why", "")


def test_those_who_contradict_their_arm_are_named(subjects):
    named = subjects[subjects["check"] != ""].set_index("subject")
    assert set(named["phase"]) == {"during"}
    assert named["check"].to_dict() == {
        "P06": "given, not detected",
        "Q02": "not given, newly detected",
        "Q03": "not given, detected",
    }


def test_counts_keep_those_apart_who_could_not_be_told(subjects):
    counts = phase_counts(subjects, PHASE_OF)
    assert list(counts.columns) == COUNTS
    assert list(counts["arm"]) == ["placebo"] * 3 + ["probiotic"] * 3
    row = counts.set_index(["arm", "phase"]).loc[("probiotic", "during")]
    assert row["timepoints"] == "4, 8"
    people = ["subjects", "sampled", "assessable", "detected"]
    assert row[people].tolist() == [10, 9, 8, 7]
    # Wilson's interval of 7 of 8, by its formula.
    z, n, share = 1.959964, 8, 7 / 8
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    margin = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    expected = [share, centre - margin, centre + margin]
    np.testing.assert_allclose(row[["share", "low", "high"]].astype(float), expected, rtol=1e-5)
    before = counts.set_index(["arm", "phase"]).loc[("placebo", "before")]
    assert before[people].tolist() == [6, 6, 5, 1]


def test_changes_and_their_exact_tests_by_hand(subjects):
    found = phase_changes(subjects, "placebo")
    assert list(found.columns) == CHANGES
    rows = found.set_index(["arm", "from", "to"])
    kinds = ["pairs", "neither", "gained", "lost", "both"]
    begin = rows.loc[("probiotic", "before", "during")]
    # P01 to P05 gain it, P06 has it never, P07 always; P08, P09 and P10 cannot be told.
    assert begin[kinds].tolist() == [7, 1, 5, 0, 1]
    assert begin["p_mcnemar"] == pytest.approx(2 * 0.5**5)
    assert begin["gained_share"] == pytest.approx(5 / 6)
    placebo = rows.loc[("placebo", "before", "during")]
    assert placebo[kinds].tolist() == [5, 3, 1, 0, 1]
    assert placebo["p_mcnemar"] == 1
    assert pd.isna(placebo["p_fisher"])
    # 5 of 6 against 1 of 4 gain it: the hypergeometric chances of all that is no more likely.
    weight = {k: comb(6, k) * comb(4, 6 - k) / comb(10, 6) for k in range(2, 7)}
    p = sum(each for each in weight.values() if each <= weight[5] * (1 + 1e-9))
    assert begin["p_fisher"] == pytest.approx(p)
    end = rows.loc[("probiotic", "during", "after")]
    # Of P01 to P05 and P07, P04 and P05 keep it; P06 has none.
    assert end[kinds].tolist() == [7, 1, 0, 4, 2]
    assert end["p_mcnemar"] == pytest.approx(2 * 0.5**4)
    assert end["lost_share"] == pytest.approx(4 / 6)
    assert pd.isna(end["p_fisher"])


def test_of_a_strain_its_species_alone_is_no_detection():
    words = {"+": CONSISTENT, "-": "detected species", "?": TOO_SHALLOW, "!": "not assessable"}
    subjects = subject_phases(*trial(level="strain", words=words), PHASE_OF, ["probiotic"])
    expected = subject_phases(*trial(), PHASE_OF, ["probiotic"])
    pd.testing.assert_series_equal(subjects["state"], expected["state"])


def test_without_arms_everyone_took_it():
    people = {subject: ("", marks) for subject, (_, marks) in TRIAL.items()}
    subjects = subject_phases(*trial(people), PHASE_OF, {""})
    assert set(subjects["given"]) == {"yes"}
    found = phase_changes(subjects)
    assert found["arm"].tolist() == ["", ""]
    assert found["p_fisher"].isna().all()


def test_nobody_who_can_be_told_has_no_share_and_no_test():
    people = {"P1": ("probiotic", "-?  "), "Q1": ("placebo", "--  ")}
    subjects = subject_phases(*trial(people), PHASE_OF, ["probiotic"])
    row = phase_counts(subjects, PHASE_OF).set_index(["arm", "phase"]).loc[("probiotic", "during")]
    assert row["assessable"] == 0
    assert row[["share", "low", "high"]].isna().all()
    change = (
        phase_changes(subjects, "placebo").set_index(["arm", "to"]).loc[("probiotic", "during")]
    )
    assert change["pairs"] == 0
    assert change[["p_mcnemar", "gained_share", "lost_share", "p_fisher"]].isna().all()


def test_a_trial_without_a_phase_or_without_pairs_says_so():
    late = {time: phase for time, phase in PHASE_OF.items() if phase != "before"}
    calls, visits = trial()
    visits = visits[visits["timepoint"].isin(late)]
    subjects = subject_phases(calls, visits, late, ["probiotic"])
    assert set(subjects["phase"]) == {"during", "after"}
    assert set(phase_changes(subjects, "placebo")["from"]) == {"during"}
    assert missing_pairs(subjects) == ""
    alone = {"P1": ("probiotic", "-   "), "Q1": ("placebo", " +  ")}
    subjects = subject_phases(*trial(alone), PHASE_OF, ["probiotic"])
    said = "no subject has samples in two phases (before: 1 subjects, during: 1, after: 0)"
    assert missing_pairs(subjects) == said


@pytest.mark.parametrize(
    ("file", "columns"),
    [("intake.tsv", COUNTS), ("intake_changes.tsv", CHANGES), ("intake_subjects.tsv", SUBJECTS)],
)
def test_the_columns_are_those_documented(file, columns):
    page = (Path(__file__).parents[2] / "docs/outputs.md").read_text()
    section = page.split(f"### `signature/{file}`")[1].split("###")[0]
    cells = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    documented = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(documented) == sorted(["assay", *columns])


def test_no_call_gives_tables_without_rows():
    calls, visits = trial()
    subjects = subject_phases(calls[:0], visits, PHASE_OF, ["probiotic"])
    assert subjects.empty
    assert phase_counts(subjects, PHASE_OF).empty
    assert phase_changes(subjects, "placebo").empty
