"""A run on a table with everything that a sheet may say: subjects, arms, studies, measures."""

import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline import ROOT, snakemake

GENERA = {
    "Faecalibacterium": ("Bacillota", "Oscillospiraceae", "Faecalibacterium prausnitzii"),
    "Coprococcus": ("Bacillota", "Lachnospiraceae", "Coprococcus eutactus"),
    "Roseburia": ("Bacillota", "Lachnospiraceae", "Roseburia hominis"),
    "Sellimonas": ("Bacillota", "Lachnospiraceae", "Sellimonas intestinalis"),
    "Hungatella": ("Bacillota", "Lachnospiraceae", "Hungatella hathewayi"),
    "Eggerthella": ("Actinomycetota", "Eggerthellaceae", "Eggerthella lenta"),
    "Bacteroides": ("Bacteroidota", "Bacteroidaceae", "Bacteroides fragilis"),
    "Alistipes": ("Bacteroidota", "Rikenellaceae", "Alistipes putredinis"),
    "Dialister": ("Bacillota", "Veillonellaceae", "Dialister invisus"),
    "Flavonifractor": ("Bacillota", "Oscillospiraceae", "Flavonifractor plautii"),
    "Bifidobacterium": ("Actinomycetota", "Bifidobacteriaceae", "Bifidobacterium breve"),
}
SUBJECTS = [f"P{number:02d}" for number in range(30)]
# Eggerthella is more in the depressed, and with looser stools; B. breve is given to half of all.
NOT_TAKEN, OWN_USE = "P02", "P04"


def sheet_and_counts():
    """60 samples: 30 subjects before and during intake, two studies, half of them depressed."""
    rng = np.random.default_rng(11)
    rows, columns = [], {}
    for number, subject in enumerate(SUBJECTS):
        depressed, active = number % 2 == 1, number % 4 in (1, 2)
        age, bmi, sex = rng.integers(20, 65), rng.normal(25, 3), "fm"[number // 2 % 2]
        phq9 = rng.integers(10, 22) if depressed else rng.integers(0, 8)
        crp = rng.lognormal(0, 1)
        for week in (0, 4):
            sample = f"{subject}w{week}"
            bristol = int(rng.integers(1, 8))
            counts = rng.negative_binomial(8, 0.004, len(GENERA))
            counts[5] *= (4 if depressed else 1) * (1 + bristol)
            took = (active and subject != NOT_TAKEN) or subject == OWN_USE
            counts[10] = rng.integers(200, 900) if took and week == 4 else 0
            columns[sample] = counts
            rows.append(
                {
                    "sample": sample,
                    "subject": subject,
                    "week": week,
                    "arm": "probiotic" if active else "placebo",
                    "study": "north" if number < 16 else "south",
                    "group": "depressed" if depressed else "control",
                    "age": age,
                    "sex": sex,
                    "bmi": round(bmi, 1),
                    "bristol": bristol,
                    "antibiotics_days": int(rng.integers(10, 400)),
                    "phq9_total": max(0, phq9 - (4 if active and week else 0)),
                    "crp_mg_l": "<0.3" if crp < 0.3 else round(crp, 2),
                }
            )
    lineages = [
        f"d__Bacteria;p__{phylum};c__C{phylum};o__O{family};f__{family};g__{genus};s__{species}"
        for genus, (phylum, family, species) in GENERA.items()
    ]
    return pd.DataFrame(rows), pd.DataFrame(columns, index=pd.Index(lineages, name="lineage"))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Results of the one run that all tests here look at."""
    folder = tmp_path_factory.mktemp("trial")
    sheet, counts = sheet_and_counts()
    sheet.to_csv(folder / "samples.tsv", sep="\t", index=False)
    counts.to_csv(folder / "species.tsv", sep="\t")
    shutil.copy(ROOT / "tests/trials/made_up.tsv", folder / "trials.tsv")
    settings = {
        "samples": "samples.tsv",
        "tables": {"import": {"shotgun": {"species": "species.tsv"}}},
        "cohort": {
            "subject": "subject",
            "timepoint": "week",
            "arm": "arm",
            "arm_reference": "placebo",
            "study": "study",
        },
        "diversity": {"rarefactions": 10, "permutations": 99},
        "psychobiotics": {"intake": {"during": [4], "organisms": ["bifidobacterium_breve"]}},
        "statistics": {
            "methods": ["clr_bias_corrected", "log2_proportion"],
            "trials": "trials.tsv",
            "power": {"simulations": 10},
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    done = snakemake(folder)
    assert done.returncode == 0, done.stdout
    return folder / "results"


def table(results, name, **options):
    return pd.read_table(results / name, **options)


def test_the_planted_taxon_differs_between_groups_of_subjects(results):
    found = table(results, "statistics/differential.tsv")
    found = found[found["method"] == "log2_proportion"].set_index("name")
    assert found.loc["Eggerthella", "q"] < 0.01
    assert found.loc["Eggerthella", "effect"] == pytest.approx(2, abs=0.8)
    assert (found["n"] == 60).all()


def test_stool_form_is_found_as_a_measured_variable(results):
    found = table(results, "statistics/measures.tsv")
    taxa = found[(found["feature_kind"] == "taxon") & (found["measure"] == "bristol")]
    assert taxa.sort_values("p")["name"].iloc[0] == "Eggerthella"
    assert {"phq9_total", "crp_mg_l", "bristol"} <= set(found["measure"])
    runs = set(table(results, "statistics/group_sensitivity.tsv")["run"])
    assert runs == {"adjusted_for_stool", "without_recent_antibiotics"}


def test_a_limit_of_detection_stands_beside_its_marker(results):
    metadata = table(results, "tables/metadata.tsv")
    below = metadata["crp_mg_l_censoring"] == "below"
    assert below.any()
    assert (metadata.loc[below, "crp_mg_l"] == 0.3).all()


def test_change_is_compared_between_arms(results):
    found = table(results, "statistics/longitudinal.tsv")
    scale = found[found["outcome"] == "phq9_total"].set_index("population")
    assert scale.loc["intention_to_treat", "effect"] == pytest.approx(-4, abs=1.5)
    kept = table(results, "statistics/retention.tsv")
    assert (kept["usable"] == 15).all()


def test_intake_is_seen_in_those_who_were_given_it(results):
    counts = table(results, "signature/intake.tsv").set_index(["arm", "phase"])
    assert counts.loc[("probiotic", "during"), ["assessable", "detected"]].tolist() == [15, 14]
    assert counts.loc[("placebo", "during"), ["assessable", "detected"]].tolist() == [15, 1]
    changes = table(results, "signature/intake_changes.tsv").set_index("arm")
    assert changes.loc["probiotic", "gained"] == 14
    assert changes.loc["probiotic", "p_mcnemar"] == pytest.approx(2 * 0.5**14, rel=1e-4)
    assert changes.loc["probiotic", "p_fisher"] < 1e-5
    subjects = table(results, "signature/intake_subjects.tsv")
    named = subjects.dropna(subset="check").set_index("subject")["check"]
    assert named.to_dict() == {
        NOT_TAKEN: "given, not detected",
        OWN_USE: "not given, newly detected",
    }


def test_studies_are_pooled_and_evaluated_apart(results):
    pooled = table(results, "statistics/pooled.tsv")
    assert pooled.set_index("name").loc["Eggerthella", "k"] == 2
    areas = table(results, "signature/evaluation.tsv")
    assert {"north", "south"} <= set(areas["cohort"])
    assert "other_cohorts" in set(areas["validation"])
    assert areas["auc"].between(0, 1).all()
    assert len(table(results, "statistics/trials_pooled.tsv")) > 0


def test_the_report_has_all_sections_of_a_trial(results):
    page = (results / "report/cohort.html").read_text()
    for section in ("psychobiotics", "intake", "measures", "longitudinal", "pooled", "trials"):
        assert f'id="{section}"' in page
    assert f"was it taken?): {NOT_TAKEN}." in page
