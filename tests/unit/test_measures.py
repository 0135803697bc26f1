"""Measured variables: which columns are, faults of those named, confounders that are absent."""

from pathlib import Path

import pytest

from moodbiome.dictionary import read_dictionary
from moodbiome.measures import (
    CONFOUNDERS,
    KINDS,
    choose_measures,
    covariate_faults,
    measure_faults,
    missing_confounders,
)
from moodbiome.sheet import Sheet

DICTIONARY = read_dictionary(Path(__file__).parents[2] / "config/metadata.tsv")
SHEET = Sheet(
    metadata={
        "S1": {"group": "a", "phq9_total": "3", "crp_mg_l": "0.3", "crp_mg_l_censoring": "below"},
        "S2": {"group": "b", "phq9_total": "9", "crp_mg_l": "0.3", "crp_mg_l_censoring": ""},
        "S3": {"group": "c", "phq9_total": "9", "crp_mg_l": "", "crp_mg_l_censoring": ""},
        "S4": {"group": "d", "phq9_total": "9", "crp_mg_l": "", "exclude": "moved", "sleep_h": "7"},
    }
)
for _cells in SHEET.metadata.values():
    _cells.update({"sleep_h": _cells.get("sleep_h", "8"), "site": "x", "empty": "NA"})


def test_measures_and_confounders_are_fields_of_the_dictionary():
    for fields in (*KINDS.values(), *CONFOUNDERS.values()):
        assert set(fields) <= set(DICTIONARY)


def test_no_measure_is_of_two_kinds():
    columns = [column for of_kind in KINDS.values() for column in of_kind]
    assert len(columns) == len(set(columns))


def test_auto_takes_what_varies_in_the_samples_compared():
    # sleep_h differs in the excluded sample alone; a limit and the same number are two values.
    assert choose_measures("auto", SHEET.metadata) == ["phq9_total", "crp_mg_l"]


def test_named_columns_are_taken_as_they_are():
    assert choose_measures(["site", "phq9_total"], SHEET.metadata) == ["site", "phq9_total"]


@pytest.mark.parametrize(
    ("measures", "said"),
    [
        (["phq9_totl"], "the sheet has no column 'phq9_totl'; did you mean 'phq9_total'?"),
        (["sleep_h"], "column 'sleep_h' is constant (8) in all samples compared"),
        (["empty"], "column 'empty' is empty in every sample that is compared"),
        (["group"], "column 'group' is not numeric: it holds 'a'"),
    ],
)
def test_a_named_measure_that_cannot_be_tested_is_a_fault(measures, said):
    (fault,) = measure_faults(measures, [], SHEET, DICTIONARY)
    assert said in str(fault)


def test_all_faults_of_named_columns_are_said_at_once():
    faults = measure_faults(["nothing", "site", "phq9_total"], ["agee", "sex"], SHEET, DICTIONARY)
    assert [fault.place.removeprefix("config: statistics.") for fault in faults] == [
        "adjust_for",
        "measures",
        "measures",
    ]
    assert "did you mean 'age'?" in faults[0].mend


def test_the_default_covariates_may_be_absent_from_the_sheet():
    assert measure_faults("auto", ["age", "sex", "bmi"], SHEET, DICTIONARY) == []


def test_a_misspelt_covariate_is_a_fault_of_its_setting():
    names = ["site", "bmi", "agee"]
    (fault,) = covariate_faults("signature.evaluate.covariates", names, SHEET, DICTIONARY)
    assert fault.place == "config: signature.evaluate.covariates"
    assert "'agee' is neither a column" in fault.problem
    assert "did you mean 'age'?" in fault.mend


def test_a_drug_class_counts_as_knowing_of_antidepressants():
    assert "antidepressants" not in missing_confounders(["antidepressant_class"])
    assert "antidepressants" in missing_confounders(["antidepressant_dose_mg_day"])
