"""Gut-brain modules in models, in their figure and on the page."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import yaml

from moodbiome import figures
from moodbiome.association import build_design
from moodbiome.faults import NotRun
from moodbiome.figures.function import _STATUS_COLOURS
from moodbiome.measure_models import (
    MODULE_COLUMNS,
    TYPE_COLUMNS,
    comparable_modules,
    contrast_types,
    function_features,
    model_features,
)
from moodbiome.modules import read_definitions
from moodbiome.report import Report, forbidden_words, render
from pipeline import ROOT

COHORT = ROOT / "workflow/report/cohort.html.j2"
MODULES, STEPS = ROOT / "config/function/modules.tsv", ROOT / "config/function/steps.tsv"
SAMPLES = [f"S{number}" for number in range(40)]
KINASE, GAD = "butyrate_kinase", "gaba_glutamate_decarboxylase"


@pytest.fixture(scope="module")
def definitions():
    return read_definitions(MODULES, STEPS)[0].modules


@pytest.fixture
def metadata():
    random = np.random.default_rng(3)
    return pd.DataFrame(
        {"group": ["control", "depressed"] * 20, "age": random.normal(40, 10, 40)}, index=SAMPLES
    )


@pytest.fixture
def modules(definitions, metadata):
    """As measure_modules writes it: half the kinase in the depressed, GABA not assessable in S0."""
    random = np.random.default_rng(4)
    rows = []
    for sample in SAMPLES:
        is_ill = metadata.loc[sample, "group"] == "depressed"
        for module, name, computable in definitions[["module", "name", "computable"]].itertuples(
            index=False
        ):
            abundance, status = 0.0, "absent"
            if computable == "no":
                abundance, status = None, "not_computable"
            elif module == KINASE:
                abundance, status = (0.2 if is_ill else 0.4) * random.lognormal(0, 0.2), "present"
            elif module == GAD:
                status = "not_assessable" if sample == "S0" else "present"
                abundance = None if sample == "S0" else 0.1
            rows.append((sample, module, name, abundance, status))
    table = pd.DataFrame(rows, columns=["sample", "module", "name", "abundance", "status"])
    table["partial_steps"] = ""
    return table.assign(assay="shotgun", unit="copies per genome", source="imported table")


def test_a_planted_difference_has_the_interval_of_ordinary_least_squares(modules, metadata):
    block, left_out = function_features(modules)
    assert list(block.outcomes) == [KINASE]
    assert "1 module without an abundance in some sample: “GABA from glutamate”" in left_out
    assert re.match(r"\d+ modules in fewer than 10% of the samples, among them “", left_out[1])
    assert not re.search("erotonin_|dopamine", " ".join(left_out)), "no data bear on these"
    design = build_design(metadata, "~ group + age", {"group": "control"})
    found = model_features(block, design)
    assert list(found.columns) == MODULE_COLUMNS[1:]
    row = found.set_index("term").loc["group[T.depressed]"]
    fit = sm.OLS(block.outcomes[KINASE], design.matrix).fit()
    low, high = fit.conf_int().loc["group[T.depressed]"]
    assert row["effect"] == pytest.approx(fit.params["group[T.depressed]"])
    assert (row["low"], row["high"]) == (pytest.approx(low), pytest.approx(high))
    assert row["p"] == pytest.approx(fit.pvalues["group[T.depressed]"])
    assert row["low"] < -1 < row["high"]
    assert (row["q"], row["prevalence"], row["n"]) == (row["p"], 1, 40)
    assert row["method"] == "log2_abundance, least squares"


def test_modules_whose_families_were_not_given_are_one_line_with_names(modules):
    known = modules["module"].isin([KINASE, GAD])
    modules.loc[~known & (modules["status"] == "absent"), "abundance"] = None
    values, left_out = comparable_modules(modules)
    assert list(values) == [KINASE]
    n = modules.loc[~known & (modules["status"] == "absent"), "module"].nunique()
    first = modules.loc[~known & (modules["status"] == "absent"), "name"].iloc[0]
    said = f"{n} modules that the gene families do not tell, among them “{first}”, "
    assert left_out[0].startswith(said)
    assert len(left_out) == 2


def test_a_module_that_a_group_is_without_has_no_fold_change(modules, metadata):
    is_control = modules["sample"].map(metadata["group"]) == "control"
    modules.loc[(modules["module"] == KINASE) & is_control, "abundance"] = 0
    block, _ = function_features(modules)
    found = model_features(block, build_design(metadata, "~ group", {"group": "control"}))
    assert np.isnan(found["effect"].iloc[0])
    assert found["prevalence"].iloc[0] == 0.5


def test_modules_that_all_samples_lack_are_not_compared(modules):
    with pytest.raises(NotRun, match=r"no module can be compared; \d+ modules in fewer than 10%"):
        function_features(modules.assign(abundance=0.0))


def test_modules_are_contrasted_between_types_in_their_own_unit(modules, metadata):
    block, _ = function_features(modules)
    ends = np.where(np.arange(40) < 20, "bacteroides", "prevotella")
    types = pd.DataFrame({"reference_type": ends, "cohort_type": None}, index=SAMPLES)
    found, not_run = contrast_types(block, types, metadata, "group", "control")
    assert list(found.columns) == TYPE_COLUMNS[1:]
    assert not_run == ["no sample has a type (cohort types)"]
    rows = found.set_index("test")
    assert rows["effect_unit"].to_dict() == {
        "kruskal_wallis": "epsilon squared",
        "difference": "log2 fold change",
        "adjusted_difference": "log2 fold change",
    }
    assert rows.loc["difference", "high"] < 0
    assert (found["q"] == found["p"]).all()
    alike = types.assign(reference_type="bacteroides")
    found, not_run = contrast_types(block, alike, metadata, "group", "control")
    assert found.empty
    assert "kruskal_wallis of reference types: 1 community type with 3 or more" in not_run[0]


def test_the_figure_counts_what_is_not_assessable(modules, metadata):
    sheet = metadata.rename_axis("sample").reset_index()
    groups = figures.group_labels(SAMPLES, sheet, "group", "control")
    figure = figures.modules(modules, groups, 0.01)
    rows = figure.table.set_index(["module", "group"])
    gad = rows.loc[("GABA from glutamate", "control")]
    assert (gad["n present"], gad["n not assessable"], gad["n"]) == (39, 1, 19)
    kinase = rows.loc["Butyrate by butyrate kinase"]
    assert 0.3 < kinase.loc["control", "median"] < 0.5
    assert 0.15 < kinase.loc["depressed", "median"] < 0.25
    assert "n = 40 samples" in figure.caption
    assert "no substance was measured" in figure.caption
    assert "Serotonin" not in figure.svg
    shown = re.findall(r"<text[^>]*>([^<]*)</text>", figure.svg)
    assert {"GABA from glutamate", "not assessable", "Copies per genome"} <= set(shown)
    assert "Presence" in shown
    in_rpk = figures.modules(modules.assign(unit="rpk"), groups, 0.01)
    assert ">RPK</text>" in in_rpk.svg
    assert "in RPK; the table could not be brought to copies" in in_rpk.caption
    with pytest.raises(ValueError, match="no module has an abundance"):
        figures.modules(modules.assign(abundance=None), groups, 0.01)


def test_what_nobody_could_tell_is_the_palest_of_the_figure():
    def luminance(status):
        return sum(int(_STATUS_COLOURS[status][at : at + 2], 16) for at in (1, 3, 5))

    statuses = ["present", "absent", "not assessable"]
    assert list(_STATUS_COLOURS) == sorted(statuses, key=luminance)
    assert luminance("not assessable") > 1.5 * luminance("absent") > 3 * luminance("present")


class Words(HTMLParser):
    """The text of a page."""

    def __init__(self, html):
        super().__init__()
        self.words = []
        self.feed(html)

    def handle_data(self, data):
        self.words.append(data)


def section(page):
    part = page[page.index('id="function"') : page.index('id="evidence"')]
    return " ".join("".join(Words(f"<{part}").words).split())


@pytest.fixture
def report(modules, metadata, definitions):
    counts = {"raw": 100, "failed_qc": 10, "host": 10, "non_host": 80, "bacterial": 60}
    counts |= {"classified": 60, "unclassified": 20}
    frame = pd.DataFrame({"sample": SAMPLES, "assay": "shotgun"}).assign(**counts)
    block, _ = function_features(modules)
    design = build_design(metadata, "~ group", {"group": "control"})
    return Report(
        yaml.safe_load((ROOT / "config/config.yaml").read_text()),
        frame,
        frame[["sample", "assay"]].assign(sample_type="sample", status="ok", reason=""),
        metadata=metadata.rename_axis("sample").reset_index(),
        modules=modules,
        module_tests=model_features(block, design).assign(assay="shotgun"),
        module_definitions=definitions,
    )


def test_the_page_speaks_of_potential_and_warns(report):
    modules = report.modules.copy()
    is_one = (modules["module"] == "tryptophan_synthesis") & (modules["sample"] == "S1")
    modules.loc[is_one, "status"] = "present"
    modules.loc[modules["module"].isin([GAD, "clpb"]), "partial_steps"] = "decarboxylase"
    page = render(replace(report, modules=modules), COHORT)
    said = section(page)
    assert "This is genetic potential" in said
    # Only of modules that the table shows.
    lower = "an alternative of a step was not measured: GABA from glutamate (decarboxylase)."
    assert lower in said
    assert "Serotonin has no module" in said
    assert "40 of 40" in said
    assert "39 of 40; 1 not assessable" in said
    assert re.search(r"depressed against control: ×0\.\d+ \(0\.\d+ to 0\.\d+\), q = ", said)
    assert "not computable" in said
    assert "lower (Brushett et al. 2023, PMC10730195" in said
    assert "inferred" not in said
    assert forbidden_words(page) == []
    assert "production" not in said
    assert "Gene families: imported table, in copies per genome." in said
    methods = page[page.index('id="methods"') : page.index('id="provenance"')]
    assert "66 % of its measured steps were detected" in methods.replace("\u00a0", " ")


def test_families_inferred_from_taxa_are_no_evidence_beside_them(report):
    table = report.modules.assign(source="inferred from taxa", unit="rpk")
    said = section(render(replace(report, modules=table), COHORT))
    assert "inferred from taxa and were not sequenced" in said
    assert "reads per kilobase, which grow with the depth of a sample" in said
    assert "enough of the others, in any amount above 0" in said
    assert "0.01 copies per genome" not in said
    said = section(render(replace(report, modules=table.assign(unit="cpm")), COHORT))
    assert "The numbers shift with the size of the genomes" in said
    assert "depth" not in said


def test_without_gene_families_there_is_no_section(report):
    page = render(replace(report, modules=None, module_tests=None), COHORT)
    assert 'id="function"' not in page
    assert "Gut-brain potential" not in page
