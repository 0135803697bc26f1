"""Merged and deleted taxon ids."""

import gzip

import pytest

from moodbiome.taxonomy import other_ids, read_deleted, read_merged

MERGED = "12\t|\t74109\t|\n30\t|\t29\t|\n29\t|\t28\t|\n"


def test_merged_ids_lead_to_the_current_one_through_every_merge(tmp_path):
    path = tmp_path / "merged.dmp"
    path.write_text(MERGED)
    assert read_merged(path) == {12: 74109, 30: 28, 29: 28}
    packed = tmp_path / "merged.dmp.gz"
    packed.write_bytes(gzip.compress(MERGED.encode()))
    assert read_merged(packed) == read_merged(path)
    path.write_text("")
    assert read_merged(path) == {}


def test_deleted_ids_are_read(tmp_path):
    path = tmp_path / "delnodes.dmp"
    path.write_text("3399741\t|\n7\t|\n")
    assert read_deleted(path) == {3399741, 7}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<html>\n", r"merged.dmp, line 1: '<html>\\n' is not 'old id \| current id \|'"),
        ("12\t|\t74109\t|\n12\t|\n", "line 2: .* is not"),
        ("12\t|\t-3\t|\n", "line 1: .* is not"),
        ("12\t|\t3\t|\t4\t|\n", "line 1: .* is not"),
        ("12\t|\t3\t|\n12\t|\t4\t|\n", "line 2: taxon 12 was merged into 4 here and into 3 above"),
        ("1\t|\t2\t|\n2\t|\t1\t|\n", "taxon 1 is merged into itself by way of others"),
    ],
)
def test_a_damaged_list_of_merged_ids_is_refused(tmp_path, text, said):
    path = tmp_path / "merged.dmp"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_merged(path)


def test_a_damaged_list_of_deleted_ids_is_refused(tmp_path):
    path = tmp_path / "delnodes.dmp"
    path.write_text("7\t|\nseven\t|\n")
    with pytest.raises(ValueError, match=r"line 2: 'seven\\t\|\\n' is not 'deleted id \|'"):
        read_deleted(path)


def test_ids_of_one_taxon_are_the_same_relation_in_every_direction():
    merged = {3: 5, 4: 5}
    same = other_ids([3, 4, 5], merged)
    assert all(taxon in same[other] for taxon in same for other in same[taxon])
    assert all(sorted([taxon, *others]) == [3, 4, 5] for taxon, others in same.items())
