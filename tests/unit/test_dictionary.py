"""The data dictionary: which metadata are refused or doubted, and what each message says."""

import math
from pathlib import Path

import pytest

from moodbiome.dictionary import (
    MISSING,
    check_metadata,
    columns_of,
    parse_limited,
    read_dictionary,
    tidy_metadata,
)
from moodbiome.sheet import DEFAULTS, REQUIRED, read_sheet

PATH = Path(__file__).parents[2] / "config" / "metadata.tsv"
FIELDS = read_dictionary(PATH)


def check(**columns: list[str]) -> tuple[str, str]:
    """Faults and warnings of columns whose cells begin at row 2 of the sheet, as text."""
    numbered = {name: list(enumerate(cells, start=2)) for name, cells in columns.items()}
    faults, warnings = check_metadata(numbered, FIELDS)
    return "\n".join(map(str, faults)), "\n".join(map(str, warnings))


# What is accepted


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("phq9_total", ["0", "27", "", "9.0"]),
        ("hamd17_total", ["52"]),
        ("hamd21_total", ["64"]),
        ("hamd24_total", ["75"]),
        ("bdi2_total", ["63"]),
        ("zung_raw", ["20", "80"]),
        ("promis_t", ["38.2"]),
        ("crp_mg_l", ["0.4", "1.2e0", "3"]),
        ("bmi", ["21.8", ".3e2"]),
        ("sex", ["F", "M", "F"]),
        ("sex", ["Female", "Male"]),
        ("ppi", ["0", "1", ""]),
        ("antidepressant_class", ["none", "SSRI"]),
        ("subject", ["1", "2", "B7"]),
        ("shoe_size", ["40", "41.5"]),
        ("favourite", ["tea", "coffee"]),
        ("crp_mg_l", ["10", "0.2", "0.1"]),  # at the bounds of value and median
        ("antibiotics_days", ["90"]),
        ("code", ["1", "2", "3", "A", "B"]),  # three fifths of numbers are no slip
        ("score", ["3"]),
        ("phq9_item1", ["2"]),
        ("antidepressant_name", ["sertraline"]),
    ],
)
def test_sound_columns_raise_nothing(column, cells):
    assert check(**{column: cells}) == ("", "")


# What is refused


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("phq9_total", "31", "is 31, outside 0 to 27 points; correct it, or leave the cell empty"),
        ("phq9_total", "-9", "is -9, outside 0 to 27 points"),
        ("phq9_total", "12.5", "is 12.5, which is not a whole number; it takes a whole number"),
        ("phq9_total", "none", "is 'none', which is not a number; leave the cell empty where"),
        ("phq9_total", "mild", "is 'mild', which is not a number; write a number"),
        ("phq9_total", "<5", "is '<5', which is a limit and not a value; this field takes no"),
        ("hamd17_total", "53", "outside 0 to 52"),
        ("hamd21_total", "65", "outside 0 to 64"),
        ("hamd24_total", "76", "outside 0 to 75"),
        ("madrs_total", "61", "outside 0 to 60"),
        ("zung_raw", "19", "outside 20 to 80"),
        ("bristol", "8", "outside 1 to 7;"),
        ("bmi", "23,5", "is '23,5', with a decimal comma; write 23.5"),
        ("bmi", "1,234", "is '1,234', with a comma; write 1234 or, if the comma is decimal, a"),
        ("bmi", "23.5 kg/m2", "is '23.5 kg/m2', a number with a word; write only 23.5"),
        ("bmi", "1e999", "is '1e999', which is not a number"),
        ("bmi", "1_8", "is '1_8', which is not a number"),
        ("bmi", "２５", "is '２５', which is not a number"),
        ("age", "20-30", "is '20-30', which is not a number"),
        (
            "crp_mg_l",
            "<0,3",
            "is '<0,3', whose limit is not a plain number; write it as <0.3: with",
        ),
        ("crp_mg_l", "<0", "is <0, outside 0 to 600 mg/L"),
        ("crp_mg_l", ">600", "is >600, outside 0 to 600 mg/L"),
        ("sex", "femal", "is 'femal'; did you mean 'female'? use one of female, male, intersex"),
        ("sex", "unknown", "is 'unknown'; leave the cell empty where nothing is known; else use"),
        ("antidepressant", "sertraline", "or rename the column if it is about something else"),
    ],
)
def test_what_cannot_be_is_a_fault(column, cell, said):
    faults, _ = check(**{column: [cell]})
    assert faults.startswith(f"samples.tsv, row 2, column {column!r}: ")
    assert said in faults


def test_one_category_spelled_in_two_ways_is_a_fault():
    faults, _ = check(sex=["F", "male", "female"])
    assert faults == (
        "samples.tsv, row 4, column 'sex': is 'female', and an earlier row says 'F' for the same; "
        "use one of them throughout"
    )


@pytest.mark.parametrize(
    "column",
    [
        *("phq9_item9", "phq9_9", "PHQ-9 item 9", "PHQ9Q9", "phq_9_q09", "phq_item9", "item9_phq9"),
        *("baseline_phq9_9", "phq9_item9score", "q9_of_the_phq9", "PHQ.9.9", "phq9_9_week8"),
        *("bdi2_item9", "bdi_9", "BDI-II item 9", "beck_9", "madrs_item10", "madrs_10", "MADRS10"),
        *("hamd_item3", "hamd17_3", "HAM-D 3", "hdrs_q3", "hrsd24_item3", "qids_sr16_12"),
        *("ids_sr30_item18", "epds_10", "zung_q19", "suicidality", "Suicidal.ideation", "suizid"),
        *("self_harm", "C-SSRS", "cssrs_total", "nssi"),
    ],
)
def test_answers_about_suicidality_are_refused_by_name_without_their_values(column):
    faults, warnings = check(**{column: ["9999", "x"]})
    assert faults.startswith(f"samples.tsv, column {column!r}: looks like ")
    assert "which is refused: such answers need a person to act on them, and nobody mon" in faults
    assert faults.endswith(
        "; remove the column (totals of scales may stay), or rename it if it is not that"
    )
    assert "9999" not in faults + warnings
    assert "\n" not in faults


@pytest.mark.parametrize(
    "column",
    [
        *("phq9_total", "phq9", "phq_9", "phq9_item1", "phq9_item90", "phq8_total", "phq9_week9"),
        *("hamd17_total", "hamd_total", "hamd_13", "hamd17_item13", "bdi_19", "madrs_10_total"),
        *("patient_ids_18", "bdi2_item19", "gad7_item9", "madrs_item1", "missrs", "insidious"),
    ],
)
def test_totals_and_other_items_are_not_refused(column):
    assert check(**{column: ["20"]})[0] == ""


def test_a_column_made_by_the_analysis_cannot_be_given_beside_limits():
    faults, _ = check(crp_mg_l=["<0.3"], crp_mg_l_censoring=["below"])
    assert faults == (
        "samples.tsv, column 'crp_mg_l_censoring': will be written here; "
        "keep the limits in 'crp_mg_l' and remove 'crp_mg_l_censoring'"
    )
    assert check(crp_mg_l=["0.3"], crp_mg_l_censoring=["below"]) == ("", "")


# What is doubted


@pytest.mark.parametrize(
    ("column", "cells", "said"),
    [
        ("crp_mg_l", ["12"], "row 2, column 'crp_mg_l': is 12 mg/L, above 10; an acute infection"),
        ("crp_mg_l", ["0"], "is 0, which no assay can tell; if it lies below the detection limit"),
        ("il6_pg_ml", ["101"], "is 101 pg/mL, above 100"),
        ("age", ["17"], "is 17 years, below 18; the evidence behind the signature is about adults"),
        ("antibiotics_days", ["30"], "is 30 days, below 90; antibiotics change"),
        ("site", ["unknown"], "is 'unknown', which counts as a value; leave the cell empty"),
        (
            "site",
            ["Oslo", "oslo"],
            "row 3, column 'site': is 'oslo', and an earlier row says 'Oslo': they count as two",
        ),
        (
            "shoe_size",
            ["40", "41", "42", "43", "41,5"],
            "is '41,5', so the column counts as text, though 4 of 5 cells are numbers; write 41.5",
        ),
    ],
)
def test_what_is_probably_not_meant_is_a_warning(column, cells, said):
    faults, warnings = check(**{column: cells})
    assert not faults
    assert said in warnings
    assert "\n" not in warnings


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["0.05", "0.04", "0.01"], "has a median of 0.04 mg/L in 3 samples, below 0.2; "),
        (["<0.05", "0.1", "0.3"], "are the values in another unit, as crp_mg_dl (x 10)?"),
        (["800", "600", "550"], None),
        (["300", "200", "100"], "above 50; are the values in another unit, as crp_ug_l (x 0.001)?"),
    ],
)
def test_a_crp_column_in_another_unit_is_seen_by_its_median(cells, said):
    faults, warnings = check(crp_mg_l=cells)
    if said is None:  # ug/L beyond what mg/L can be
        assert "is 800, outside 0 to 600 mg/L" in faults
    else:
        assert said in warnings


def test_two_values_are_too_few_to_doubt_the_unit():
    assert check(crp_mg_l=["0.05", "0.05"]) == ("", "")


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("phq9", "'phq9_total' is, and its values are checked; rename it if it is that: a whole"),
        ("PHQ-9", "'phq9_total' is"),
        ("phq9_score", "'phq9_total' is"),
        ("PHQ9_Total", "'phq9_total' is"),
        ("phq9_totl", "'phq9_total' is"),
        ("bristo", "'bristol' is"),
        ("bristolyt", "'bristol' is"),
        ("slep_h", "'sleep_h' is"),
        ("crp", "a number from 0 to 600 mg/L or a limit as '<0.3' (C-reactive protein"),
        ("CRP (mg/L)", "'crp_mg_l' is"),
        ("il6", "a number from 0 to 100000 pg/mL"),
        ("TNF-α", "'tnfa_pg_ml' is"),
        ("BMI", "'bmi' is"),
        ("host_age", "'age' is"),
        ("gender", "'sex' is"),
        ("fiber_g_day", "'fibre_g_day' is"),
        ("crp_mg_dl", "holds 'crp_mg_l' in another unit, so it is not checked; multiply the val"),
        ("crp_ug_ml", "so it is not checked; name the column 'crp_mg_l'"),
        ("age_months", "multiply the values by 0.08333 and name the column 'age'"),
        ("hamd_total", "'hamd17_total' (a whole number from 0 to 52 points) or 'hamd21_total' (a"),
        ("HDRS", "does not say which version or part of a scale it is, so it is not checked"),
        ("bdi_total", "name it 'bdi1_total' (a whole number from 0 to 63 points) or 'bdi2_total'"),
        ("hads_total", "'hadsd_total' (a whole number from 0 to 21 points) or 'hadsa_total'"),
    ],
)
def test_a_near_miss_of_a_field_is_told_its_name_and_unit(column, said):
    faults, warnings = check(**{column: ["1"]})
    assert not faults
    assert warnings.startswith(f"samples.tsv, column {column!r}: ")
    assert said in warnings


def test_a_version_number_is_no_slip_of_the_hand():
    assert check(hamd28_total=["3"], bristol_2=["3"]) == ("", "")


def test_a_near_miss_beside_the_field_itself_is_not_doubted():
    assert check(phq9=["3"], phq9_total=["3"]) == ("", "")


# Missing cells, and many cells at once


def test_missing_words_of_all_columns_are_counted_in_one_warning():
    faults, warnings = check(phq9_total=["NA", "3"], sex=["", "n/a"], site=["nan", "Oslo"])
    assert not faults
    assert warnings == (
        "samples.tsv, row 2, column 'phq9_total': is 'NA', read as missing "
        "(and 2 more cells like it); empty cells say the same"
    )


@pytest.mark.parametrize("word", MISSING)
def test_every_missing_word_is_missing_in_every_kind_of_field(word):
    for column in ("phq9_total", "bmi", "crp_mg_l", "sex", "subject", "site"):
        faults, warnings = check(**{column: [word]})
        assert not faults
        assert "read as missing" in warnings
        assert tidy_metadata({"S": {column: word}}, FIELDS) == {"S": {column: ""}}


def test_faults_of_a_kind_are_told_five_times_and_then_counted():
    faults, _ = check(bmi=["23,5"] * 8, phq9_total=["31"])
    lines = faults.splitlines()
    assert len(lines) == 6
    assert lines[4] == (
        "samples.tsv, row 6, column 'bmi': is '23,5', with a decimal comma "
        "(and 3 more cells like it); write 23.5"
    )


def test_warnings_of_a_kind_are_told_once_and_counted():
    _, warnings = check(crp_mg_l=["12", "1", "13"])
    assert "row 2, column 'crp_mg_l': is 12 mg/L, above 10 (and 1 more cell like it);" in warnings


def test_the_order_of_rows_does_not_change_how_many_faults_there_are():
    cells = ["31", "x", "12.5", "3", "-1"]
    assert check(phq9_total=cells)[0].count("row") == 4
    assert check(phq9_total=cells[::-1])[0].count("row") == 4


# Limits


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("<0.3", (0.3, "below")),
        ("< 0.3", (0.3, "below")),
        ("<=0.3", (0.3, "below")),
        ("≤0.3", (0.3, "below")),
        (">500", (500.0, "above")),
        ("≥ 500", (500.0, "above")),
        ("0.3", (0.3, "")),
        ("0", (0.0, "")),
    ],
)
def test_a_limit_is_read_as_value_and_direction(cell, expected):
    assert parse_limited(cell) == expected


def test_a_missing_cell_has_no_value_and_no_direction():
    value, censoring = parse_limited("NA")
    assert math.isnan(value)
    assert censoring == ""


@pytest.mark.parametrize("cell", ["<", "<<1", "0.3<", "< x", "1 < 2", "<0.3 mg/L"])
def test_what_is_no_limit_is_refused(cell):
    with pytest.raises(ValueError, match="; write"):
        parse_limited(cell)


def test_a_limit_is_doubted_only_if_it_says_that_the_value_lies_outside():
    # "<200" may be 1, and 1 is usual; ">5" may be 6, and 6 is usual.
    assert "above" not in check(crp_mg_l=["<200"])[1]
    assert "above" not in check(crp_mg_l=[">5"])[1]
    assert "above 10" in check(crp_mg_l=[">10.1"])[1]


def test_limits_are_announced_with_what_becomes_of_them():
    _, warnings = check(crp_mg_l=["<0.3", "1", "<0.3", "2"])
    assert warnings == (
        "samples.tsv, row 2, column 'crp_mg_l': is <0.3, beyond the detection limit "
        "(and 1 more cell like it); analyses use the limit itself, and a column named "
        "..._censoring marks the cell"
    )


# Tidy metadata


def test_limits_become_numbers_with_their_direction_beside_them():
    metadata = {
        "S1": {"age": "40", "crp_mg_l": "< 0.3", "group": "a"},
        "S2": {"age": "NA", "crp_mg_l": "1.20", "group": "b"},
        "S3": {"age": "", "crp_mg_l": "", "group": "b"},
    }
    tidy = tidy_metadata(metadata, FIELDS)
    assert list(tidy["S1"]) == ["age", "crp_mg_l", "crp_mg_l_censoring", "group"]
    assert [list(cells.values()) for cells in tidy.values()] == [
        ["40", "0.3", "below", "a"],
        ["", "1.20", "", "b"],
        ["", "", "", "b"],
    ]


def test_tidying_twice_changes_nothing_more():
    once = tidy_metadata(
        {"S1": {"crp_mg_l": "<0.3", "phq9_total": "7.0", "x": " NA "}, "S2": {}}, FIELDS
    )
    assert tidy_metadata(once, FIELDS) == once


def test_tidying_leaves_the_words_of_the_user_alone():
    cells = {"sex": "F", "antidepressant_class": "none", "site": "None", "bmi": "21.80"}
    assert tidy_metadata({"S": cells}, FIELDS) == {"S": cells}


# The dictionary itself


def test_no_field_is_taken_by_the_sheet_for_a_slip_of_the_hand(tmp_path):
    (tmp_path / "a.fq.gz").write_bytes(b"x")
    extra = [name for name in FIELDS if name not in (*REQUIRED, *DEFAULTS)]
    header = ["sample", "fastq_1", *extra]
    path = tmp_path / "samples.tsv"
    path.write_text("\t".join(header) + "\nS1\ta.fq.gz" + "\t" * len(extra) + "\n")
    sheet, faults = read_sheet(path)
    assert not faults
    columns = columns_of(sheet.metadata, {unit.sample: unit.row for unit in sheet.units})
    refused = [name for name, field in FIELDS.items() if field.kind == "refused"]
    faults, warnings = check_metadata(columns, FIELDS, path.name)
    assert [fault.place for fault in faults] == [f"samples.tsv, column {x!r}" for x in refused]
    assert not warnings


def test_every_number_at_its_bounds_is_accepted():
    numeric = [field for field in FIELDS.values() if math.isfinite(field.low)]
    assert len(numeric) > 30
    for field in numeric:
        assert check(**{field.name: [f"{field.low:g}", f"{field.high:g}"]})[0] == ""
        beyond = [f"{field.low - 1:g}", f"{field.high * 1.1 + 1:.0f}"]
        assert check(**{field.name: beyond})[0].count("outside") == 2


def test_every_alias_leads_to_its_field():
    for field in FIELDS.values():
        for alias in field.aliases:
            assert repr(field.name) in check(**{alias: ["1"]})[1], alias
        for name, _ in field.other_units:
            assert f"name the column {field.name!r}" in check(**{name: ["1"]})[1], name


def test_the_documentation_names_every_field_and_the_range_of_every_total():
    text = (PATH.parents[1] / "docs" / "metadata.md").read_text()
    for field in FIELDS.values():
        assert field.kind == "refused" or f"`{field.name}`" in text, field.name
        if field.unit == "points":
            shown = text.split(f"`{field.name}`")[1].split(",")[0].split("|")[0]
            assert f"{field.low:g}-{field.high:g}" in shown, field.name


HEADER = PATH.read_text().splitlines()[0]


def row(**cells: str) -> str:
    cells = {"field": "x", "type": "number", "low": "0", "high": "1", "certainty": "memory"} | cells
    return "\t".join(cells.get(column, "") for column in HEADER.split("\t"))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([row(type="float")], "row 2: column 'type': 'float' is not one of integer, number"),
        ([row(certainty="sure")], "row 2: column 'certainty': 'sure' is not one of"),
        ([row(field="X")], "row 2: column 'field': 'X' is not in small letters"),
        ([row(low="2")], "row 2: a lower bound lies above its upper bound"),
        ([row(low="a")], "row 2: column 'low': 'a' is not a number"),
        ([row(high="")], "row 2: columns 'low' and 'high': a field of numbers needs both"),
        ([row(), row()], "row 3: field 'x' stands twice"),
        ([row(), row(field="y", aliases="x")], "field 'y', column 'aliases': 'x' is a field"),
        ([row(type="category")], "column 'categories': fields of type 'category' need it"),
        ([row(type="category", categories="a|b;B")], "column 'categories': a word stands twice"),
        ([row(patterns="x")], "column 'patterns': fields of type 'refused' need it"),
        ([row(type="refused", patterns="(")], "row 2: "),
        ([row(other_units="y10")], "column 'other_units': 'y10' is not of the form name*factor"),
        ([row() + "\tmore"], "row 2: has more cells than the header"),
        ([], "metadata.tsv: holds no field"),
    ],
)
def test_a_dictionary_that_contradicts_itself_is_refused(tmp_path, lines, said):
    path = tmp_path / "metadata.tsv"
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the text is compared below)
        read_dictionary(path)
    assert said in str(caught.value)


def test_a_dictionary_without_a_column_is_refused_by_its_name(tmp_path):
    path = tmp_path / "metadata.tsv"
    path.write_text("field\ttype\nx\tnumber\n")
    with pytest.raises(ValueError, match=r"metadata.tsv, row 2: column 'certainty' is missing"):
        read_dictionary(path)
