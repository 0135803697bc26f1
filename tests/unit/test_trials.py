"""The table of trials: all its faults at once, effects the right way round, pooled by outcome.

tests/trials/made_up.tsv is made up: it says nothing of any trial.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from moodbiome.meta_analysis import BY_COHORT_COLUMNS, POOLED_COHORTS_COLUMNS, hedges_g, pool
from moodbiome.trials import (
    EFFECT_COLUMNS,
    POOLED_TRIALS_COLUMNS,
    pool_trials,
    read_trials,
    trial_effects,
)

MADE_UP = Path(__file__).parents[1] / "trials/made_up.tsv"


@pytest.fixture
def effects():
    trials, faults = read_trials(MADE_UP)
    assert faults == []
    return trial_effects(trials)


def written(tmp_path, *changes):
    """Faults of the made-up table with some of its text replaced."""
    text = MADE_UP.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "trials.tsv"
    path.write_text(text)
    return "\n".join(map(str, read_trials(path)[1]))


def given(*rows, header="study\toutcome\teffect\tse\tlower_is_better"):
    return "\n".join([header, *rows]) + "\n"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["A\ty\t0.1\t-1\tno", "B\ty\t1\t1\tno"], "row 2, column 'se': is -1; give a number above"),
        (["A\ty\tbig\t1\tno", "B\ty\t1\t1\tno"], "row 2, column 'effect': is 'big'; give a number"),
        (["A\ty\tnan\t1\tno", "B\ty\t1\t1\tno"], "column 'effect': is 'nan'"),
        (["A\ty\t1\t\tno", "B\ty\t1\t1\tno"], "row 2: lacks se; fill them"),
        (["A\ty\t\t\tno", "B\ty\t1\t1\tno"], "row 2: has no result; give n_intervention"),
        (
            ["A\ty\t1\t1\tmaybe", "B\ty\t1\t1\tno"],
            "column 'lower_is_better': is 'maybe'; write yes",
        ),
        (["\ty\t1\t1\tno", "B\ty\t1\t1\tno", "C\ty\t1\t1\tno"], "row 2, column 'study': is empty"),
        (["A\ty\t1\t1\tno", "A\tz\t1\t1\tno"], "holds one study; give two or more"),
        (["A\ty\t1\t1\tno", "B\ty\t1\t1\tno", "A\ty\t2\t1\tno"], "row 4: repeats study 'A', outc"),
        (["A\ty\t1\t1", "B\ty\t1\t1\tno"], "row 2: has not one cell for each of the 5 columns"),
        ([], "holds no study"),
    ],
)
def test_faulty_rows_are_named(tmp_path, rows, said):
    path = tmp_path / "t.tsv"
    path.write_text(given(*rows))
    assert said in "\n".join(map(str, read_trials(path)[1]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("sd_control", "sd_contrl"), "unknown column 'sd_contrl'; did you mean 'sd_control'?"),
        (("outcome\t", "outcom\t"), "unknown column 'outcom'; did you mean 'outcome'?"),
        (("subgroup_strain", "strain"), "unknown column 'strain'; columns are study, outcome"),
        (("source", "se"), "header: names 'se' 2 times; rename one"),
    ],
)
def test_faulty_headers_are_named(tmp_path, change, said):
    assert said in written(tmp_path, change)


def test_numbers_of_arms_are_checked_and_all_faults_said_at_once(tmp_path):
    header, first, *rest = MADE_UP.read_text().splitlines()
    cells = first.split("\t")
    cells[3], cells[5], cells[6], cells[8], cells[9] = "-4", "0", "20.5", "x", "1"
    path = tmp_path / "t.tsv"
    path.write_text("\n".join([header, "\t".join(cells), *rest]))
    faults = "\n".join(map(str, read_trials(path)[1]))
    for said in (
        "column 'n_intervention': is -4; give a number of 2 or more",
        "column 'sd_intervention': is 0; give a number above 0",
        "column 'n_control': is 20.5; give a whole number",
        "column 'sd_control': is 'x'",
        "has the numbers of the arms and an effect; leave one of them empty",
    ):
        assert said in faults
    assert faults.count("row 2") == 5


def test_files_that_cannot_be_read_are_faults(tmp_path):
    assert "is missing; correct the path" in str(read_trials(tmp_path / "no.tsv")[1][0])
    (tmp_path / "empty.tsv").write_text("")
    assert "is empty" in str(read_trials(tmp_path / "empty.tsv")[1][0])
    (tmp_path / "latin.tsv").write_bytes(b"study\xff")
    assert "cannot be read" in str(read_trials(tmp_path / "latin.tsv")[1][0])
    assert "cannot be read" in str(read_trials(tmp_path)[1][0])


def test_effects_are_above_zero_where_the_intervention_does_better(effects):
    row = effects[(effects["study"] == "Made-up 01") & effects["is_pooled"]].iloc[1]
    raw = read_trials(MADE_UP)[0].iloc[0]
    g, variance = hedges_g(
        *(raw[f"{of}_intervention"] for of in ("n", "mean", "sd")),
        *(raw[f"{of}_control"] for of in ("n", "mean", "sd")),
    )
    assert raw["mean_intervention"] < raw["mean_control"]
    assert row["effect"] == pytest.approx(-g)
    assert row["effect"] > 0
    assert row["se"] == pytest.approx(np.sqrt(variance))
    given = effects[effects["outcome"] == "il6_pg_ml"]
    assert given["effect"].tolist() == [0.3, 0.1, -0.2]
    assert set(given["computed_from"]) == {"effect"}


def test_only_the_last_timepoint_of_a_study_is_pooled(effects):
    rows = effects[(effects["study"] == "Made-up 01") & (effects["outcome"] == "phq9_total")]
    assert rows["timepoint_weeks"].tolist() == [4, 8]
    assert rows["is_pooled"].tolist() == [False, True]
    assert rows["reason"].tolist() == ["a later timepoint is pooled", ""]
    assert np.isnan(rows["weight"].iloc[0])
    pooled = effects[effects["is_pooled"]]
    assert pooled.groupby("outcome")["weight"].sum().tolist() == pytest.approx([1, 1])


def test_trials_are_pooled_by_outcome_and_subgroup(effects):
    table = pool_trials(effects)
    assert table.columns.tolist() == POOLED_TRIALS_COLUMNS
    used = effects[effects["is_pooled"] & (effects["outcome"] == "phq9_total")]
    rows = table[table["outcome"] == "phq9_total"].set_index(["analysis", "level"])
    for level, part in [("", used), ("single", used[used["subgroup_strain"] == "single"])]:
        oracle = pool(part[["effect"]].to_numpy(), part[["se"]].to_numpy() ** 2).iloc[0]
        found = rows.loc["subgroup" if level else "all", level]
        for column in ("k", "effect", "low", "high", "tau2"):
            assert found[column] == pytest.approx(oracle[column])
    # The made-up mixtures were given some points more.
    assert rows.loc[("between_subgroups", ""), "p"] < 0.05
    assert rows.loc[("moderator", ""), "p"] > 0.05
    assert rows.loc[("egger", ""), "k"] == 11
    few = table[table["outcome"] == "il6_pg_ml"].set_index("analysis")
    assert few.loc["egger", "reason"] == "Egger's test needs 10 studies, there are 3"
    assert few.loc["moderator", "reason"] == "needs 4 studies for 2 parameters, there are 0"


def test_between_two_subgroups_the_test_is_the_slope_on_their_difference(effects):
    table = pool_trials(effects)
    coded = effects.assign(moderator_x=(effects["subgroup_strain"] == "single") * 1.0)
    slope = pool_trials(coded)
    slope = slope[(slope["variable"] == "x") & (slope["outcome"] == "phq9_total")].iloc[0]
    of_outcome = table[table["outcome"] == "phq9_total"].set_index("analysis")
    between = of_outcome.loc["between_subgroups"]
    assert between["p"] == pytest.approx(slope["p"])
    assert slope["effect"] < 0


def test_intervals_of_trials_are_normal(effects):
    reach = stats.norm.ppf(0.975) * effects["se"]
    pd.testing.assert_series_equal(effects["high"], effects["effect"] + reach, check_names=False)


@pytest.mark.parametrize(
    ("file", "columns"),
    [
        ("pooled", POOLED_COHORTS_COLUMNS),
        ("by_cohort", BY_COHORT_COLUMNS),
        ("trials", [*EFFECT_COLUMNS, "subgroup_<name>", "moderator_<name>"]),
        ("trials_pooled", POOLED_TRIALS_COLUMNS),
    ],
)
def test_columns_are_those_documented(file, columns):
    page = (Path(__file__).parents[2] / "docs/outputs.md").read_text()
    section = page.split(f"### `statistics/{file}.tsv`", 1)[1].split("\n#", 1)[0]
    heads = re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)
    named = [name for head in heads for name in re.findall(r"`([^`]+)`", head)]
    assert sorted(named) == sorted(columns)
