"""Who takes part in comparisons, and tables over several assays."""

import pandas as pd
import pytest

from moodbiome.cohort import of_assay, read_cohort, why_unusable, write_by_assay

STATUS = """sample\tassay\tsample_type\tstatus\treason
001\tshotgun\tsample\tok\t
001\tamplicon\tsample\tlow_depth\t5 fragments
S2\tshotgun\tsample\tfailed\tcut short
S3\tshotgun\tsample\texcluded\tmoved
NEG\tshotgun\tnegative_control\tok\t
"""
METADATA = """sample\tgroup\tage\tsample_type\texclude
001\tcontrol\t40\tsample\t
S2\tcase\t\tsample\t
S3\tcase\t42\tsample\tmoved
NEG\t\t\tnegative_control\t
"""


@pytest.fixture
def cohort(tmp_path):
    (tmp_path / "status.tsv").write_text(STATUS)
    (tmp_path / "metadata.tsv").write_text(METADATA)
    return read_cohort(str(tmp_path / "status.tsv"), str(tmp_path / "metadata.tsv"))


def test_names_stay_text_and_metadata_joins_every_assay(cohort):
    assert cohort["sample"].tolist() == ["001", "001", "S2", "S3", "NEG"]
    assert cohort["age"].tolist()[:2] == [40, 40]
    assert list(of_assay(cohort, "amplicon").index) == ["001"]


def test_only_sound_samples_of_subjects_take_part(cohort):
    assert cohort["is_usable"].tolist() == [True, False, False, False, False]


def test_all_others_have_a_reason(cohort):
    assert why_unusable(of_assay(cohort, "shotgun")) == {
        "S2": "cut short",
        "S3": "moved",
        "NEG": "a negative control",
    }


def test_tables_of_assays_stand_below_one_another(tmp_path):
    one, two = pd.DataFrame({"x": [1 / 3]}), pd.DataFrame({"x": [2.0], "y": ["b"]})
    write_by_assay({"amplicon": [one, None], "shotgun": [two]}, str(tmp_path / "t"), ["assay"])
    assert (tmp_path / "t").read_text() == "assay\tx\ty\namplicon\t0.333333\t\nshotgun\t2\tb\n"


def test_a_column_that_no_table_has_is_empty(tmp_path):
    table = pd.DataFrame({"reason": ["too few"]})
    write_by_assay({"shotgun": [table]}, str(tmp_path / "t"), ["assay", "sample", "reason"])
    assert (tmp_path / "t").read_text() == "assay\tsample\treason\nshotgun\t\ttoo few\n"


def test_a_table_without_rows_has_a_header(tmp_path):
    write_by_assay({"shotgun": [None]}, str(tmp_path / "t"), ["assay", "term"])
    assert (tmp_path / "t").read_text() == "assay\tterm\n"
