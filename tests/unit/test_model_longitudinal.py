"""The script of the longitudinal rule, and its section of the report, on a made-up trial."""

import runpy
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from test_report import COHORT, few

from moodbiome.cohort import read_tsv
from moodbiome.diversity import ALPHA_METRICS
from moodbiome.report import NotRun, forbidden_words, render

ROOT = Path(__file__).parents[2]
TEXT = ["subject", "arm", "timepoint", "baseline", "from", "to", "outcome", "name", "missing"]
N_TAXA = 15


def write(table, path):
    table.to_csv(path, sep="\t", index=False)
    return str(path)


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """30 subjects at weeks 0, 4 and 10; probiotic lowers the scale by 4, raises taxon 105 and
    doubles a module."""
    folder = tmp_path_factory.mktemp("trial")
    generator = np.random.default_rng(4)
    rows = []
    for subject in range(30):
        arm, level = ("placebo", "probiotic")[subject % 2], generator.normal(16, 3)
        for week in (0, 4, 10):
            if week == 10 and subject in (6, 7):
                continue
            effect = 4 if arm == "probiotic" and week else 0
            value = round(max(0, level - effect + generator.normal(0, 1.5)))
            rows.append((f"{subject:02}_{week}", f"{subject:02}", week, arm, value))
    sheet = pd.DataFrame(rows, columns=["sample", "who", "week", "group_given", "hamd17_total"])
    sheet.insert(1, "exclude", "")
    sheet.insert(1, "sample_type", "sample")
    sheet["crp_mg_l"] = np.exp(generator.normal(0, 1, len(sheet))).round(2)
    status = sheet[["sample", "sample_type"]].assign(assay="shotgun", status="ok", reason="")
    status.loc[sheet["sample"] == "08_4", "status"] = "low_depth"
    log = generator.normal(0, 1, (N_TAXA, 1)) + generator.normal(0, 0.6, (N_TAXA, len(sheet)))
    log[5, (sheet["group_given"] == "probiotic") & (sheet["week"] > 0)] += 2
    counts = generator.poisson(50_000 * np.exp(log) / np.exp(log).sum(axis=0))
    table = pd.DataFrame(np.vstack([np.full((2, len(sheet)), 9), counts]), columns=sheet["sample"])
    ids = range(100, 100 + N_TAXA)
    table.insert(0, "lineage", ["", "", *[f"d__Bacteria;g__G{taxon}" for taxon in ids]])
    table.insert(0, "name", ["unclassified", "unassigned", *[f"G{taxon}" for taxon in ids]])
    table.insert(0, "taxon_id", [0, -1, *ids])
    ledger = pd.DataFrame({"sample": sheet["sample"], "assay": "shotgun", "archaeal": 0})
    alpha = pd.DataFrame(
        [(s, "shotgun", m) for s in sheet["sample"] for m in ALPHA_METRICS],
        columns=["sample", "assay", "metric"],
    )
    scores = sheet[["sample"]].assign(assay="shotgun", score=generator.normal(size=len(sheet)))
    doubled = 2.0 ** ((sheet["group_given"] == "probiotic") & (sheet["week"] > 0))
    copies = {"butyrate_kinase": 0.3 * doubled, "clpb": 1.0, "tyramine": None}
    modules = pd.concat(
        [
            sheet[["sample"]].assign(module=module, abundance=mean, name=f"name of {module}")
            for module, mean in copies.items()
        ]
    ).assign(assay="shotgun", unit="copies per genome")
    modules["status"] = np.where(modules["module"] == "tyramine", "not_assessable", "present")
    modules["abundance"] *= np.exp(generator.normal(0, 0.1, len(modules)))
    run = SimpleNamespace(
        input=SimpleNamespace(
            counts=[write(table, folder / "counts.tsv")],
            ledger=write(ledger.assign(bacterial=counts.sum(axis=0)), folder / "ledger.tsv"),
            status=write(status, folder / "status.tsv"),
            metadata=write(sheet, folder / "metadata.tsv"),
            alpha=write(alpha.assign(value=generator.random(len(alpha))), folder / "alpha.tsv"),
            scores=write(scores, folder / "scores.tsv"),
            modules=[write(modules, folder / "modules.tsv")],
        ),
        output=SimpleNamespace(
            effects=str(folder / "longitudinal.tsv"),
            changes=str(folder / "changes.tsv"),
            retention=str(folder / "retention.tsv"),
            not_run=str(folder / "longitudinal_not_run.tsv"),
        ),
        params=SimpleNamespace(
            assays=["shotgun"],
            rank="genus",
            subject="who",
            timepoint="week",
            timepoints=["0", "4", "10"],
            arm="group_given",
            reference="placebo",
            scales=["hamd17_total", "phq9_total"],
            markers=["crp_mg_l"],
            min_prevalence=0.1,
            min_mean_abundance=1e-4,
        ),
        log=[str(folder / "log")],
    )
    model(run)
    return folder, run


def model(run):
    runpy.run_path(str(ROOT / "scripts/model_longitudinal.py"), {"snakemake": run})


@pytest.fixture(scope="module")
def folder(trial):
    return trial[0]


@pytest.fixture(scope="module")
def tables(folder):
    names = ("longitudinal", "changes", "retention")
    return {name: read_tsv(folder / f"{name}.tsv", text=TEXT) for name in names}


def test_planted_effects_come_out_with_their_names(tables):
    table = tables["longitudinal"]
    ours = table[(table["population"] == "intention_to_treat") & (table["q"] < 0.001)]
    assert set(ours["name"]) == {"hamd17_total", "G105", "name of butyrate_kinase"}
    module = ours[ours["outcome"] == "butyrate_kinase"]
    assert module["effect"].between(0.8, 1.2).all()
    assert set(module["method"]) == {"log2_abundance"}
    scale = ours[ours["name"] == "hamd17_total"]
    assert scale["effect"].between(-6, -2.5).all()
    assert scale["timepoint"].tolist() == ["4", "10"]
    assert scale["assay"].isna().all()
    taxon = ours[ours["method"] == "clr_bias_corrected"]
    assert taxon["effect"].between(1.8, 4).all()
    assert set(taxon["rank"]) == {"genus"}


def test_a_sample_without_depth_counts_for_the_scale_and_not_for_taxa(folder, tables):
    table = tables["longitudinal"]
    week = table[(table["timepoint"] == "4") & (table["population"] == "intention_to_treat")]
    n = week.groupby("family")["n_reference"].unique().map(list).to_dict()
    of_sheet = {"markers": [15], "scales": [15]}
    assert n == of_sheet | {key: [14] for key in ("alpha", "function", "signature", "taxa")}
    notes = read_tsv(folder / "longitudinal_not_run.tsv")["reason"]
    said = "1 module that the gene families do not tell: “name of tyramine”"
    assert said in set(notes)


def test_modules_that_scale_with_depth_are_not_modelled(trial, tmp_path):
    folder, run = trial
    run = deepcopy(run)
    modules = read_tsv(folder / "modules.tsv").assign(unit="rpk")
    run.input.modules = [write(modules, tmp_path / "modules.tsv")]
    names = vars(run.output)
    run.output = SimpleNamespace(**{name: str(tmp_path / f"{name}.tsv") for name in names})
    model(run)
    effects = read_tsv(tmp_path / "effects.tsv", text=TEXT)
    assert set(effects["family"]) == {"alpha", "markers", "scales", "signature", "taxa"}
    notes = read_tsv(tmp_path / "not_run.tsv")["reason"].dropna()
    assert notes.str.contains("modules: in reads per kilobase").any()


def test_every_subject_is_in_the_changes_and_the_missing_are_named(tables):
    changes, kept = tables["changes"], tables["retention"]
    assert changes.groupby("outcome")["subject"].nunique().eq(30).all()
    gone = changes[(changes["outcome"] == "hamd17_total") & (changes["status"] != "ok")]
    assert gone["subject"].tolist() == ["06", "07"]
    assert gone["change"].isna().all()
    missing = kept.set_index(["arm", "timepoint"])["missing"].dropna().to_dict()
    assert missing == {
        ("placebo", "4"): "08 (low_depth)",
        ("placebo", "10"): "06 (no sample)",
        ("probiotic", "10"): "07 (no sample)",
    }


def test_the_report_shows_trajectories_retention_and_effects(tables):
    report = few("ABCDEFGHIJ")
    config = deepcopy(dict(report.config))
    config["cohort"] = {**config.get("cohort", {}), "subject": "who", "timepoint": "week"}
    config["cohort"] |= {"arm": "group_given", "arm_reference": "placebo"}
    notes = [NotRun("longitudinal", "value: shannon: too few")]
    page = render(replace(report, config=config, not_run=notes, **tables), COHORT)
    section = page[page.index('id="longitudinal"') : page.index('id="methods"')]
    for said in (
        'id="figure-retention"',
        'id="figure-trajectories-shotgun"',
        'id="figure-trajectories-sheet"',
        "07 (no sample)",
        "difference from the arm placebo in change",
        "15 against 14",
        "Change since baseline in gut-brain modules",
        "name of butyrate kinase",
        " of 30, CLR",
        "too few",
    ):
        assert said in section, said
    assert "Satterthwaite" in page
    assert forbidden_words(page) == []


def test_without_repeated_samples_there_is_no_section():
    assert "Change over time" not in render(few("ABCDEFGHIJ"), COHORT)
