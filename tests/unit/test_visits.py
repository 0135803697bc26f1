"""Repeated samples of a sheet: every fault is found at once, before anything is run."""

import pytest

from moodbiome.sheet import Sheet, Unit
from moodbiome.visits import (
    intake_faults,
    intake_phases,
    order_timepoints,
    timepoints_from_baseline,
    timepoints_of,
    visit_faults,
)

COHORT = {
    "subject": "who",
    "timepoint": "week",
    "timepoints": [],
    "baseline": "",
    "arm": "arm",
    "arm_reference": "placebo",
}
OUTCOMES = {"longitudinal.scales": ["phq9_total"], "longitudinal.markers": ["crp_mg_l"]}
ROWS = [
    ("A", "0", "probiotic", "9", "1.5"),
    ("A", "4", "probiotic", "8", "0"),
    ("B", "0", "placebo", "9", ""),
    ("B", "4", "placebo", "", "2"),
    ("B", "12", "placebo", "7", "2"),
]


def sheet_of(rows, assays=("shotgun",), **cells):
    names = ("who", "week", "arm", "phq9_total", "crp_mg_l")
    sheet = Sheet()
    for number, row in enumerate(rows, start=2):
        sample = f"S{number}"
        sheet.metadata[sample] = dict(zip(names, row, strict=True)) | {
            "sample_type": "sample",
            "exclude": cells.get(sample, ""),
        }
        sheet.units += [Unit(sample, assay, "1", "x", "", "", number) for assay in assays]
    return sheet


def said(sheet, **settings):
    faults = visit_faults(COHORT | settings, OUTCOMES, sheet, "samples.tsv")
    return "\n".join(map(str, faults))


def test_a_sound_trial_has_no_fault():
    sheet = sheet_of(ROWS, assays=("shotgun", "amplicon"))
    assert said(sheet) == ""
    assert timepoints_from_baseline(COHORT, sheet) == ["0", "4", "12"]
    assert timepoints_from_baseline(COHORT | {"baseline": 4}, sheet) == ["4", "12"]


def test_nothing_is_asked_of_a_sheet_without_repeated_samples():
    none = dict.fromkeys(COHORT, "") | {"timepoints": []}
    assert said(sheet_of([("A", "", "", "words", "")]), **none) == ""


@pytest.mark.parametrize(
    ("rows", "settings", "expected"),
    [
        (
            [*ROWS, ("A", "12", "placebo", "", "")],
            {},
            (
                "samples.tsv, row 7, column 'arm': is 'placebo'; an earlier row of subject 'A' "
                "says 'probiotic'; write the arm the subject was given, whatever was taken"
            ),
        ),
        (
            [*ROWS, ("A", "4", "probiotic", "", "")],
            {},
            (
                "row 7, column 'week': sample 'S7' is the second of subject 'A' at timepoint '4' "
                "(shotgun), after 'S3'; correct 'who' or 'week', or give one a reason in 'exclude'"
            ),
        ),
        (
            ROWS,
            {"baseline": "1"},
            "config: cohort.baseline: no sample has timepoint '1'; timepoints are: 0, 4, 12",
        ),
        (ROWS, {"baseline": 12}, "cohort.baseline: '12' is the last timepoint"),
        (
            [*ROWS, ("A", "end", "probiotic", "", "")],
            {},
            (
                "column 'week': holds 'end', not numbers throughout; write numbers of one unit, or "
                "list all in their order in cohort.timepoints"
            ),
        ),
        (
            [*ROWS, ("A", "12.0", "probiotic", "", "")],
            {},
            "'12' and '12.0', which are the same num",
        ),
        (ROWS, {"timepoints": [0, 4]}, "cohort.timepoints: lacks '12' of column 'week'"),
        (ROWS, {"timepoints": [0, 4, 12, 24]}, "cohort.timepoints: names '24' of no sample"),
        (ROWS, {"timepoints": [0, 4, 12, 4]}, "cohort.timepoints: names '4' twice"),
        (ROWS[:2], {}, "column 'arm': subjects have 'probiotic' only: nothing to compare"),
        (
            ROWS,
            {"arm_reference": "placbo"},
            "no subject has 'placbo' in column 'arm'; did you mean",
        ),
        ([ROWS[0], ROWS[3]], {}, "cohort.subject: no subject has samples at two timepoints"),
        (ROWS, {"subject": "whom"}, "cohort.subject: the sheet has no column 'whom'; did you mean"),
        (ROWS, {"timepoint": ""}, "cohort.subject: is set, and cohort.timepoint is not; set both"),
        (ROWS, {"arm": ""}, "cohort.arm_reference: is set, and cohort.arm is not; set both"),
        (
            [*ROWS, ("A", "12", "probiotic", "low", "")],
            {},
            "column 'phq9_total': is 'low', no number",
        ),
        ([*ROWS, ("A", "12", "probiotic", "", "-1")], {}, "is '-1', no number of 0 or more"),
    ],
)
def test_each_fault_says_where_and_how_to_mend_it(rows, settings, expected):
    assert expected in said(sheet_of(rows), **settings)


def test_several_faults_are_said_at_once():
    rows = [*ROWS, ("A", "end", "placebo", "x", ""), ("B", "0", "placebo", "", "")]
    text = said(sheet_of(rows), arm_reference="none", baseline="-1")
    for part in (
        "holds 'end'",
        "is 'placebo'; an earlier",
        "the second of",
        "no subject has 'none'",
    ):
        assert part in text


def test_an_excluded_sample_may_share_its_visit():
    rows = [*ROWS, ("A", "4", "probiotic", "20", "")]
    assert said(sheet_of(rows, S7="spilt")) == ""


def test_two_assays_of_a_visit_agree_on_the_scale():
    one, other = sheet_of(ROWS), sheet_of(ROWS)
    for number, (sample, cells) in enumerate(other.metadata.items(), start=7):
        one.metadata[f"{sample}a"] = cells
        one.units.append(Unit(f"{sample}a", "amplicon", "1", "x", "", "", number))
    assert said(one) == ""
    one.metadata["S2a"]["phq9_total"] = "10"
    expected = "row 7, column 'phq9_total': is '10'; another sample of subject 'A' at timepoint '0'"
    assert expected in said(one)


def test_many_faults_of_a_kind_are_counted():
    rows = [("A", str(week), "probiotic", "x", "") for week in range(9)]
    assert said(sheet_of(rows)).count("no number") == 5
    assert "(and 4 more)" in said(sheet_of(rows))


def test_numbers_are_ordered_as_numbers():
    assert order_timepoints(["10", "9", "-2", "9.5"]) == ["-2", "9", "9.5", "10"]
    with pytest.raises(ValueError, match="holds 'nan'"):
        order_timepoints(["nan", "1"])


INTAKE = {"during": ["4"], "organisms": ["bifidobacterium_breve"], "arms": []}
ORGANISMS = ["bifidobacterium_breve", "bifidobacterium", "B. breve X1"]


def said_of_intake(cohort=None, **settings):
    faults = intake_faults(INTAKE | settings, cohort or COHORT, sheet_of(ROWS), ORGANISMS)
    return "\n".join(map(str, faults))


def test_phases_of_intake_follow_from_the_timepoints_during_it():
    sheet = sheet_of(ROWS)
    order = timepoints_of(COHORT, sheet)
    assert intake_phases(order, [4]) == {"0": "before", "4": "during", "12": "after"}
    assert set(intake_phases(order, order).values()) == {"during"}
    # Timepoints ahead of the baseline are before intake as well.
    assert timepoints_of(COHORT | {"baseline": 4}, sheet) == order


def test_a_sound_intake_has_no_fault():
    assert said_of_intake() == ""
    assert said_of_intake(arms=["probiotic"], organisms=ORGANISMS, during=[4, "12"]) == ""
    assert said_of_intake(during=[], organisms=[]) == ""


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"during": [5]}, "intake.during: no sample has timepoint '5'; "),
        ({"during": [5]}, "timepoints are: 0, 4, 12"),
        ({"during": [0, 12]}, "intake.during: lacks '4', which lies between those given"),
        ({"during": []}, "intake.during: is empty, and organisms is set"),
        ({"organisms": []}, "intake.organisms: is empty; name what was given, of: bifido"),
        (
            {"organisms": ["bifidobacterium_brev"]},
            "is not in the panel and no strain of the table; did you mean 'bifidobacterium_breve'?",
        ),
        ({"organisms": ["B. breve"]}, "; did you mean 'bifidobacterium_breve'? Known are: "),
        ({"organisms": ["B breve"]}, "; did you mean 'bifidobacterium_breve'? Known are: "),
        ({"organisms": ["L. breve"]}, "no strain of the table; known are: "),
        ({"arms": ["probiotics"]}, "no subject has 'probiotics' in column 'arm'; did you mean"),
        ({"cohort": COHORT | {"arm": ""}, "arms": ["x"]}, "cohort.arm is not; name the column"),
        ({"cohort": COHORT | {"subject": ""}}, "intake.during: is set, and cohort.subject is not"),
    ],
)
def test_faults_of_intake(settings, expected):
    assert expected in said_of_intake(**settings)
