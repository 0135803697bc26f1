"""Modules from copies of gene families: by hand, then invariants, then the faults of files."""

import numpy as np
import pandas as pd
import pytest

from moodbiome.faults import NotRun
from moodbiome.modules import (
    COLUMNS,
    KO,
    MODULE_COLUMNS,
    STEP_COLUMNS,
    Definitions,
    Thresholds,
    log2_abundance,
    measure_modules,
    read_definitions,
)
from pipeline import ROOT

MODULES, STEPS = ROOT / "config/function/modules.tsv", ROOT / "config/function/steps.tsv"
ROUTE = """
    route a 1 K1 -
    route b 1 K2 -
    route b 2 K3 -
    route c 1 K4 yes
    route c 1 K5 yes
"""


def define(text, computable="yes", reason=""):
    """Definitions of rows of module, step, alternative, family, required ('-' for no)."""
    rows = [line.split() for line in text.split("\n") if line.strip()]
    steps = pd.DataFrame(rows, columns=["module", "step", "alternative", "family", "required"])
    names = list(dict.fromkeys(steps["module"]))
    modules = pd.DataFrame({"module": names, "computable": computable, "reason": reason})
    return Definitions(modules, steps.astype({"alternative": int}))


def measure(genes, text=ROUTE, **settings):
    """Rows of one sample, S1, by module."""
    genes = pd.DataFrame({"S1": genes}, dtype=float)
    for key in ("detection_limits", "fragments"):
        if key in settings:
            settings[key] = pd.DataFrame({"S1": settings[key]}, dtype=float)
    found, steps = measure_modules(genes, define(text), **settings)
    return found.set_index("module"), steps.set_index(["module", "step"])


def test_or_is_a_sum_and_a_minimum_and_the_module_the_median_of_its_steps():
    found, steps = measure({"K1": 0.9, "K2": 0.2, "K3": 0.3, "K4": 0.8, "K5": 0.7})
    assert steps["abundance"].tolist() == [0.9, 0.5, 0.7]
    row = found.loc["route"]
    assert row["abundance"] == 0.7
    assert row["abundance_minimum"] == 0.5
    assert (row["coverage"], row["assessable"], row["steps"]) == (1, 1, 3)
    assert (row["status"], row["reason"]) == ("present", "")


def test_a_module_has_no_more_copies_than_its_required_step():
    found, _ = measure({"K1": 0.9, "K2": 0.5, "K3": 0, "K4": 0.8, "K5": 0.1})
    assert found.loc["route", "abundance"] == 0.1
    # Without the mark of being required it is the median.
    found, _ = measure(
        {"K1": 0.9, "K2": 0.5, "K3": 0, "K4": 0.8, "K5": 0.1}, ROUTE.replace("yes", "-")
    )
    assert found.loc["route", "abundance"] == 0.5


def test_without_its_required_step_a_module_is_absent_whatever_its_coverage():
    genes = {"K1": 0.9, "K2": 0.2, "K3": 0.3, "K4": 0.8, "K5": 0}
    found, _ = measure(genes)
    row = found.loc["route"]
    assert (row["status"], row["abundance"]) == ("absent", 0)
    assert row["coverage"] == pytest.approx(2 / 3)
    found, _ = measure(genes, ROUTE.replace("yes", "-"))
    assert (found.loc["route", "status"], found.loc["route", "abundance"]) == ("present", 0.5)


def test_coverage_below_the_limit_is_absent():
    genes = {"K1": 0.0, "K2": 0.0, "K3": 0.0, "K4": 0.8, "K5": 0.5}
    found, _ = measure(genes)
    assert found.loc["route", "coverage"] == pytest.approx(1 / 3)
    assert found.loc["route", "status"] == "absent"
    found, _ = measure(genes, thresholds=Thresholds(min_coverage=0.3))
    assert found.loc["route", "status"] == "present"


def test_a_step_counts_from_the_least_abundance_on():
    genes = {"K1": 0.01, "K2": 0.004, "K3": 0.004, "K4": 0.8, "K5": 0.5}
    found, steps = measure(genes)
    assert steps["detected"].tolist() == ["yes", "no", "yes"]
    # In another unit any amount counts.
    found, steps = measure(genes, per_genome=False)
    assert steps["detected"].tolist() == ["yes", "yes", "yes"]
    assert found.loc["route", "coverage"] == 1


def test_a_family_that_was_not_measured_leaves_its_step_out():
    found, steps = measure({"K1": 0.9, "K4": 0.8, "K5": 0.6})
    row = found.loc["route"]
    assert row["abundance"] == 0.6  # the median 0.75 of a and c, but no more than c
    assert row["assessable"] == pytest.approx(2 / 3)
    assert (row["coverage"], row["status"]) == (1, "present")
    assert steps["alternatives_assessable"].tolist() == [1, 0, 1]
    assert steps["detected"].tolist() == ["yes", "", "yes"]


def test_too_few_steps_or_no_required_one_give_no_abundance():
    found, _ = measure({"K4": 0.8, "K5": 0.6})
    row = found.loc["route"]
    assert (row["status"], row["reason"]) == (
        "not_assessable",
        "1 of 3 steps measured, 50% needed",
    )
    assert np.isnan(row["abundance"])
    found, _ = measure({"K1": 0.8, "K2": 0.6, "K3": 0.5, "K4": 0.7})
    row = found.loc["route"]
    assert (row["status"], row["reason"]) == (
        "not_assessable",
        "required, and not measured: c",
    )
    assert np.isnan(row["abundance"])


def test_what_one_fragment_would_not_show_is_not_absent():
    genes = {"K1": 0.9, "K2": 0.5, "K3": 0, "K4": 0, "K5": 0}
    shallow = dict.fromkeys(genes, 0.02)
    found, _ = measure(genes, detection_limits=shallow)
    row = found.loc["route"]
    assert row["status"] == "not_assessable"
    assert row["reason"] == "too shallow to rule out 0.01 copies per genome: c"
    assert row["abundance"] == 0
    # With 2.9 fragments expected 5.5 % of samples have none, with 3 fewer than 5 %.
    for limit, status in ((0.01 / 2.9, "not_assessable"), (0.01 / 3.0001, "absent")):
        found, _ = measure(genes, detection_limits=dict.fromkeys(genes, limit))
        assert found.loc["route", "status"] == status
    # Where the other steps are missing at any depth, it is absent.
    genes = dict.fromkeys(genes, 0)
    found, _ = measure(genes, detection_limits=shallow | {"K1": 0.001, "K2": 0.001, "K3": 0.001})
    assert found.loc["route", "status"] == "absent"


def test_fragments_are_expected_as_pairs_where_both_mates_count():
    """Limits are of one read: of pairs whose mates both hit, half as many fragments are there."""
    text = "route a 1 K1 -\nother a 1 K2 -"
    for copies, status in ((0.4, "absent"), (0.8, "not_assessable")):
        # 100 fragments, with 100 and 200 reads of 0.004 copies each.
        found, _ = measure(
            {"K1": 0, "K2": copies},
            text,
            thresholds=Thresholds(min_abundance=0.02),
            detection_limits={"K1": 0.004, "K2": 0.004},
            fragments={"K1": 0, "K2": 100},
        )
        assert found.loc["route", "status"] == status


def test_one_fragment_makes_no_step():
    text = "route a 1 K1 -\nroute a 2 K2 -"
    limits = {"K1": 0.02, "K2": 0.02}
    one = {"fragments": {"K1": 1, "K2": 0}, "detection_limits": limits}
    found, steps = measure({"K1": 0.02, "K2": 0}, text, **one)
    assert steps["detected"].tolist() == ["no"]
    row = found.loc["route"]
    assert (row["status"], row["coverage"], row["abundance"]) == ("not_assessable", 0, 0.02)
    assert row["reason"] == "by fewer than 2 fragments: a"
    found, _ = measure({"K1": 0.02, "K2": 0}, text, thresholds=Thresholds(min_fragments=1), **one)
    assert found.loc["route", "status"] == "present"
    # One of each alternative is two of the step; one of each subunit is one of the pair.
    both = {"fragments": {"K1": 1, "K2": 1}, "detection_limits": limits}
    found, _ = measure({"K1": 0.02, "K2": 0.02}, text, **both)
    assert found.loc["route", "status"] == "present"
    found, _ = measure({"K1": 0.02, "K2": 0.02}, text.replace("2", "1", 1), **both)
    assert found.loc["route", "status"] == "not_assessable"


def test_an_alternative_that_was_not_measured_may_be_the_one():
    genes = {"K1": 0.0, "K2": 0.0, "K4": 0.4, "K5": 0.5}
    found, steps = measure(genes)
    row = found.loc["route"]
    assert row["status"] == "not_assessable"
    assert row["reason"] == "alternatives not measured: b"
    assert steps["abundance"].tolist() == [0, 0, 0.4]
    # A step that is seen needs no other alternative.
    found, _ = measure(genes | {"K1": 0.3, "K2": 0.2})
    assert found.loc["route", "status"] == "present"
    # What it has is a lower bound all the same.
    assert found.loc["route", "partial_steps"] == "b"
    found, _ = measure(genes | {"K1": 0.3, "K2": 0.2, "K3": 0.1})
    assert found.loc["route", "partial_steps"] == ""


def test_a_sample_without_measurement_says_why():
    genes = pd.DataFrame(
        {"S1": [np.nan] * 5, "S2": [1.0] * 5}, index=["K1", "K2", "K3", "K4", "K5"]
    )
    found, _ = measure_modules(genes, define(ROUTE), not_measured={"S1": "file damaged"})
    assert found["reason"].tolist() == ["file damaged", ""]
    assert found["status"].tolist() == ["not_assessable", "present"]
    found, _ = measure_modules(genes, define(ROUTE))
    assert found["reason"].iloc[0] == "no gene family was measured in it"


def test_a_module_that_no_table_can_tell_has_a_row_and_its_reason():
    definitions = define("route a 1 K1 -")
    doubtful = pd.DataFrame({"module": ["x"], "computable": ["no"], "reason": ["no KO"]})
    both = Definitions(pd.concat([doubtful, definitions.modules]), definitions.steps)
    found, _ = measure_modules(pd.DataFrame({"S1": [1.0]}, index=["K1"]), both)
    assert found["module"].tolist() == ["x", "route"]
    assert found.loc[0, ["status", "reason"]].tolist() == ["not_computable", "no KO"]
    assert list(found.columns) == list(COLUMNS)


def test_results_do_not_depend_on_the_order_of_families_and_samples():
    random = np.random.default_rng(1)
    definitions, _ = read_definitions(MODULES, STEPS)
    families = [family for family in definitions.families if KO.fullmatch(family)]
    genes = pd.DataFrame(random.gamma(0.5, size=(len(families), 3)), families, ["A", "B", "C"])
    limits = pd.DataFrame(0.001, families, genes.columns)
    whole, _ = measure_modules(genes, definitions, None, limits, genes / limits, seed=3)
    some = genes.sample(frac=1, random_state=1)[["C", "A"]]
    part, _ = measure_modules(some, definitions, None, limits, genes / limits, seed=3)
    key = ["sample", "module"]
    expected = whole.set_index(key).loc[part.set_index(key).index]
    pd.testing.assert_frame_equal(part.set_index(key), expected)
    assert len(whole) == 3 * len(definitions.modules)


def test_intervals_of_counting_cover_the_truth():
    """A family of 0.2 copies, of which one fragment is 0.05: an expectation of 4 fragments."""
    random = np.random.default_rng(2)
    samples = [f"S{number}" for number in range(400)]
    counts = pd.DataFrame([random.poisson(4, 400)], ["K1"], samples).astype(float)
    limits = pd.DataFrame(0.05, ["K1"], samples)
    found, _ = measure_modules(
        counts * limits, define("route a 1 K1 -"), None, limits, counts, draws=400
    )
    covered = (found["low"] <= 0.2) & (found["high"] >= 0.2)
    assert 0.92 <= covered.mean() <= 0.99
    assert (found["low"] <= found["abundance"]).all()
    assert (found["high"] >= found["abundance"]).all()


def test_without_fragments_there_is_no_interval():
    found, _ = measure({"K1": 1, "K2": 1, "K3": 1, "K4": 1, "K5": 1})
    assert found[["low", "high"]].isna().to_numpy().all()


def test_logs_replace_zeros_by_half_the_smallest_and_leave_out_what_cannot_be_compared():
    rows = []
    for module, copies in {
        "some": [4, 0, 1],
        "all alike": [1, 1, 1],
        "never": [0, 0, 0],
        "not known": [1, None, 2],
    }.items():
        rows += [
            (sample, module, value)
            for sample, value in zip(["S1", "S2", "S3"], copies, strict=True)
        ]
    rows += [("S4", module, None) for module in ("some", "all alike", "never", "not known")]
    table = pd.DataFrame(rows, columns=["sample", "module", "abundance"]).assign(unit="cpm")
    values, left_out = log2_abundance(table)
    assert values.to_dict() == {"some": {"S1": 2.0, "S2": -1.0, "S3": 0.0}}
    assert left_out == [
        "without an abundance in some sample: not known",
        "in fewer than 10% of the samples: never",
        "the same in all samples: all alike",
    ]


def test_reads_per_kilobase_are_not_compared():
    table = pd.DataFrame({"sample": ["S1", "S2"], "module": "a", "abundance": [1.0, 3.0]})
    with pytest.raises(NotRun, match="in reads per kilobase, which scale with depth: give a table"):
        log2_abundance(table.assign(unit="rpk"))


def test_the_shipped_definitions_are_sound():
    definitions, faults = read_definitions(MODULES, STEPS)
    assert faults == []
    modules = definitions.modules.set_index("module")
    assert modules.loc["noradrenaline_synthesis", "reason"]
    assert (modules["computable"] == "no").sum() == 4
    required = definitions.steps[definitions.steps["required"] == "yes"]
    assert required.loc[required["module"] == "butyrate_kinase", "family"].tolist() == ["K00929"]
    text = " ".join(modules[["name", "caution", "evidence"]].to_numpy().ravel()).lower()
    assert "deficien" not in text
    assert "production" not in text


def test_all_faults_of_the_tables_are_said_at_once(tmp_path):
    modules, steps = tmp_path / "modules.tsv", tmp_path / "steps.tsv"
    row = dict.fromkeys(MODULE_COLUMNS, "")
    rows = [
        row | {"module": "a", "name": "A", "class": "x", "computable": "yes"},
        row | {"module": "a", "name": "", "class": "x", "computable": "perhaps"},
        row | {"module": "b", "name": "B", "class": "x", "computable": "no", "direction": "lower"},
        row | {"module": "c", "name": "C", "class": "x", "computable": "yes"},
    ]
    pd.DataFrame(rows).to_csv(modules, sep="\t", index=False)
    of_steps = [
        ("a", "s", "1", "K00001", ""),
        ("a", "s", "2", "K00001", "yes"),
        ("a", "", "0", "K1", ""),
        ("bb", "s", "1", "K00002", ""),
        ("b", "s", "1", "K00003", ""),
    ]
    table = pd.DataFrame(of_steps, columns=["module", "step", "alternative", "family", "required"])
    table.reindex(columns=list(STEP_COLUMNS)).to_csv(steps, sep="\t", index=False)
    definitions, faults = read_definitions(modules, steps)
    assert definitions is None
    said = "\n".join(map(str, faults))
    for text in (
        "modules.tsv, row 3: module 'a' stands twice",
        "modules.tsv, row 3, column 'name': is empty",
        "modules.tsv, row 3, column 'computable': is 'perhaps'; write yes, no",
        "module 'b' is not computable without a reason",
        "module 'b' is not computable and has steps in steps.tsv",
        "module 'b' has a direction without source and certainty",
        "module 'c' has no step with a KO in steps.tsv",
        "steps.tsv, row 3: K00001 stands in step 's' of 'a' already (row 2); keep one: its copies",
        "steps.tsv, row 3, column 'required': differs from the other rows of step 's' of 'a'",
        "steps.tsv, row 4, column 'step': is empty",
        "steps.tsv, row 4, column 'alternative': is '0'",
        "steps.tsv, row 4, column 'family': is 'K1'; write K and five digits",
        "steps.tsv, row 5, column 'module': 'bb' is not in modules.tsv",
    ):
        assert text in said
    (tmp_path / "steps.tsv").write_text("module\tstep\tfamly\n")
    _, faults = read_definitions(MODULES, steps)
    assert "column 'family' is missing; did you mean 'famly'?" in "\n".join(map(str, faults))


def test_blocks_are_read_with_tabs_as_or_and_commas_and_lines_as_and(tmp_path):
    blocks = tmp_path / "mine.txt"
    blocks.write_text(
        "X1\tmy route\nK00001\tk00002,K00003\nCOG0076\tNOG12345\tTIGR00012\n///\nX2\nK00004\n///\n"
    )
    definitions, faults = read_definitions(MODULES, STEPS, [blocks])
    assert faults == []
    own = definitions.modules.set_index("module").loc[["X1", "X2"]]
    assert own["name"].tolist() == ["my route", "X2"]
    genes = {"K00001": 0.1, "K00002": 0.5, "K00003": 0.2, "K00004": 0.3}
    found, steps = measure_modules(pd.DataFrame({"S1": genes}), definitions)
    row = found.set_index("module").loc["X1"]
    # The family that is no KO cannot be assessed, and that is seen.
    assert row["abundance"] == pytest.approx(0.3)
    assert (row["assessable"], row["status"]) == (0.5, "present")
    steps = steps.set_index(["module", "step"])
    assert steps.loc[("X1", "step_1"), "abundance"] == pytest.approx(0.3)
    assert steps.loc[("X1", "step_2"), "alternatives_assessable"] == 0


def test_a_table_of_ones_own_needs_four_columns(tmp_path):
    own = tmp_path / "own.tsv"
    own.write_text("module\tstep\talternative\tfamily\nmine\ta\t1\tK00001\n")
    definitions, faults = read_definitions(MODULES, STEPS, [own])
    assert faults == []
    row = definitions.modules.iloc[-1]
    assert (row["module"], row["class"], row["evidence"]) == (
        "mine",
        "modules of your own",
        "of own.tsv",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("K00001\tK00002\n///\n", "row 1: a block begins with 'K00001'"),
        ("X1\tname\n///\n", "row 2: module 'X1' has no step"),
        ("X1\tname\nK00001,,K00002\n///\n", "row 2: 'K00001,,K00002' is no list of gene families"),
        (
            "X1\nK00001,K00002\tK00001,K00003\n///\n",
            "row 2: K00001 stands in step 'step_1' of 'X1' already (row 2); keep one: its copies",
        ),
        ("X1\nk00001,K00001\n///\n", "K00001 stands in step 'step_1' of 'X1' already"),
        ("X1\nK0001\n///\n", "row 2: 'K0001' is no gene family; write K and five digits"),
        ("X1\nK00001\n///\nX1\nK00001\n///\n", "row 4: module 'X1' stands twice"),
        ("X1\nK00001\n///\nX2\nK00001\n", "row 5: the block has no end; write /// after it"),
        ("sam_synthesis\nK00001\n///\n", "module 'sam_synthesis' is defined already"),
        ("module\tstep\talternative\nx\ta\t1\n", "column 'family' is missing"),
        ("module\tstep\talternative\tfamily\n", "holds no step"),
        ("module\tstep\talternative\tfamily\nx\ta\t1\tGH33\n", "is 'GH33'; write K and five"),
    ],
)
def test_faults_of_ones_own_files_name_the_row(tmp_path, text, said):
    path = tmp_path / "mine.txt"
    path.write_text(text)
    definitions, faults = read_definitions(MODULES, STEPS, [path])
    assert definitions is None
    assert said in "\n".join(map(str, faults))


def test_a_file_that_is_not_there_is_a_fault(tmp_path):
    _, faults = read_definitions(MODULES, STEPS, [tmp_path / "none.txt"])
    assert "config: function.modules: no file" in str(faults[0])
