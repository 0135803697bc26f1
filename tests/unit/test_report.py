"""The pages: complete, careful in their words, self-contained, and the same every time."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
import yaml

from moodbiome import report as reports
from moodbiome.evaluation import evaluate
from moodbiome.figures import Ordination
from moodbiome.intake import phase_changes, phase_counts, subject_phases
from moodbiome.psychobiotics import CONSISTENT
from moodbiome.report import NotRun, Report, citation_url, forbidden_words, render, render_sample
from moodbiome.report.performance import evaluation_sentences
from moodbiome.report.provenance import databases
from moodbiome.report.references import reference_list, sources_cited
from moodbiome.report.samples import _place_sentence
from moodbiome.report.taxa import sensitivity_assays

ROOT = Path(__file__).parents[2]
COHORT = ROOT / "workflow" / "report" / "cohort.html.j2"
SAMPLE = ROOT / "workflow" / "report" / "sample.html.j2"
GENERA = [
    "Bacteroides",
    "Phocaeicola",
    "Faecalibacterium",
    "Blautia",
    "Roseburia",
    "Alistipes",
    "Coprococcus",
    "Prevotella",
    "Parabacteroides",
    "Ruminococcus",
    "Dorea",
    "Bifidobacterium",
    "Akkermansia",
    "Dialister",
    "Eggerthella",
    "Flavonifractor",
    "Hungatella",
    "Sellimonas",
    "Oscillibacter",
    "Desulfovibrio",
]


def settings():
    return yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


def evidence(name):
    return pd.read_table(ROOT / "config" / "evidence" / f"{name}.tsv")


def cohort(n_samples, seed=1, odd_names=False):
    """A cohort as the pipeline writes it; planted: less Faecalibacterium, more Eggerthella."""
    rng = np.random.default_rng(seed)
    names = [f"S{i + 1:04d}" for i in range(n_samples)]
    if odd_names:
        names[0] = '<b>&"S1'
    group = np.where(np.arange(n_samples) % 2, "depressed", "control")
    status = np.full(n_samples, "ok", dtype=object)
    reason = np.full(n_samples, "", dtype=object)
    if n_samples > 5:
        status[1], reason[1] = "failed", "S0002_R1.fastq.gz is cut short in record 812; fetch again"
        status[2], reason[2] = "empty", "no reads in the file"
        status[3], reason[3] = "low_depth", "812 fragments classified, fewer than 10000"
    raw = rng.lognormal(np.log(60_000), 0.5, n_samples).astype(int)
    raw[status == "empty"] = 0
    raw[status == "low_depth"] = 1100
    failed = rng.binomial(raw, 0.04)
    host = rng.binomial(raw - failed, rng.beta(1, 30, n_samples))
    clean = raw - failed - host
    log = rng.normal(-0.28 * np.arange(len(GENERA)), 1.1, (n_samples, len(GENERA)))
    log[group == "depressed", 2] -= 1.2
    log[group == "depressed", 14] += 1.6
    share = np.exp(log) / np.exp(log).sum(axis=1, keepdims=True)
    full = np.column_stack([0.18 + 0 * raw, 0.06 + 0 * raw, 0.76 * share])
    counts = np.array([rng.multinomial(n, p) for n, p in zip(clean, full, strict=True)])
    table = pd.DataFrame(counts.T, columns=names)
    table.insert(0, "taxon_id", [0, -1, *range(816, 816 + len(GENERA))])
    table.insert(1, "name", ["unclassified", "unassigned", *GENERA])
    table.insert(2, "lineage", ["", "", *(f"d__Bacteria;g__{name}" for name in GENERA)])
    ledger = pd.DataFrame(
        {
            "sample": names,
            "assay": "shotgun",
            "raw": raw,
            "failed_qc": failed,
            "host": host,
            "non_host": clean,
            "classified": clean - counts[:, 0],
            "unclassified": counts[:, 0],
            "bacterial": counts[:, 2:].sum(axis=1),
            "archaeal": 0,
        }
    )
    counted = [c for c in ledger.columns if c not in ("sample", "assay")]
    ledger = ledger.astype(dict.fromkeys(counted, "Int64"))
    ledger.loc[status == "failed", counted] = pd.NA
    table = table.drop(columns=[n for n, s in zip(names, status, strict=True) if s == "failed"])
    usable = status == "ok"
    scored = pd.DataFrame({"sample": names})
    score = -2.6 + 0.4 * (group == "depressed") + rng.normal(0, 0.6, n_samples)
    width = rng.uniform(0.05, 0.25, n_samples)
    scored["score"] = np.where(usable, score, np.nan)
    scored["score_low"] = scored["score"] - width
    scored["score_high"] = scored["score"] + width
    scored["percentile"] = 100 * scored["score"].rank(pct=True)
    scored["weight_detectable"] = np.where(usable, 0.91, np.nan)
    scored["n_classified"] = ledger["bacterial"]
    scored["status"] = np.where(usable, "ok", "abstained")
    scored["reason"] = np.where(usable, "", "fewer than 10,000 classified fragments")
    taxa = evidence("taxa")
    weighted = taxa[taxa["weight_evidence"] != 0]
    contributions = pd.DataFrame(
        {
            "sample": np.repeat(
                [n for n, ok in zip(names, usable, strict=True) if ok], len(weighted)
            ),
            "concept": np.tile(weighted["concept"], usable.sum()),
        }
    )
    contributions["contribution"] = rng.normal(0, 1.2, len(contributions)) * np.tile(
        weighted["weight_evidence"], usable.sum()
    )
    metrics = {"observed": (14, 2), "shannon": (2.1, 0.3), "pielou": (0.75, 0.08), "chao1": (16, 3)}
    alpha = pd.concat(
        [
            pd.DataFrame(
                {
                    "sample": names,
                    "metric": metric,
                    "value": np.where(usable, rng.normal(mean, spread, n_samples), np.nan),
                    "depth_used": 10_000,
                }
            )
            for metric, (mean, spread) in metrics.items()
        ],
        ignore_index=True,
    )
    alpha.insert(3, "low", alpha["value"] * 0.98)
    alpha.insert(4, "high", alpha["value"] * 1.02)
    points = pd.DataFrame(
        {
            "sample": np.array(names)[usable],
            "PC1": rng.normal(0, 0.25, usable.sum()) + 0.1 * (group[usable] == "depressed"),
            "PC2": rng.normal(0, 0.15, usable.sum()),
        }
    )
    permanova = pd.DataFrame(
        [["bray_curtis", "group", 1, 0.061, 2.9, 0.004, int(usable.sum()), 0.4]],
        columns=["metric", "term", "df", "r2", "pseudo_f", "p", "n", "permdisp_p"],
    )
    effect = rng.normal(0, 0.5, len(GENERA))
    effect[2], effect[14] = -1.4, 1.9
    differential = pd.DataFrame(
        {
            "taxon_id": range(816, 816 + len(GENERA)),
            "name": GENERA,
            "term": "group[T.depressed]",
            "effect": effect,
            "low": effect - 0.8,
            "high": effect + 0.8,
            "p": np.exp(-4 * np.abs(effect)),
            "q": np.minimum(1, 5 * np.exp(-4 * np.abs(effect))),
            "n": int(usable.sum()),
            "prevalence": rng.uniform(0.2, 1, len(GENERA)).round(2),
            "method": "linear",
        }
    )
    other = differential.assign(method="linda", effect=effect * 0.9)
    metadata = pd.DataFrame(
        {
            "sample": names,
            "subject": names,
            "group": group,
            "age": rng.integers(19, 70, n_samples),
            "sex": rng.choice(["female", "male"], n_samples),
            "bmi": rng.normal(25, 4, n_samples).round(1),
            "antidepressant": np.where(group == "depressed", "yes", "no"),
            "phq9_total": np.where(group == "depressed", 14.0, 3.0),
        }
    )
    metadata.loc[0, "phq9_total"] = np.nan
    return Report(
        config=settings(),
        ledger=ledger,
        status=pd.DataFrame(
            {
                "sample": names,
                "assay": "shotgun",
                "sample_type": "sample",
                "status": status,
                "reason": reason,
            }
        ),
        genus_counts={"shotgun": table},
        alpha=alpha,
        ordinations=[("shotgun", Ordination("bray_curtis", points, (0.234, 0.117)))],
        permanova=permanova,
        scores=scored,
        contributions=contributions,
        evidence=taxa,
        claims=evidence("claims"),
        sources=evidence("sources"),
        differential=pd.concat([differential, other], ignore_index=True),
        metadata=metadata,
        provenance={
            "databases": {"shotgun": {"sha256": "ab" * 32, "files": {}}},
            "versions": {"fastp": "0.23.2", "kraken2": "2.1.2", "bowtie2": "2.5.0"},
            "seed": 20260101,
            "inputs": {"samples": "cd" * 32},
        },
    )


SECTIONS = ["warnings", "summary", "ledger", "status", "taxa", "alpha", "ordination", "signature"]
SECTIONS += ["indices", "evidence", "differential", "methods", "provenance", "references"]
RESULT_FOLDERS = {"tables", "diversity", "signature", "statistics", "provenance"}
LOADING = {"script", "link", "img", "iframe", "object", "embed", "image", "use"}


class Page(HTMLParser):
    """What a browser would load, the order of headings, and ids, of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.headings, self.ids, self.loads, self.words = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "a":
            self.links.append(found["href"])
        elif tag in LOADING or {"src", "srcset", "data", "poster", "xlink:href"} & set(found):
            self.loads.append((tag, found))
        if tag in {"h1", "h2", "h3", "h4"}:
            self.headings.append(int(tag[1]))

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def small():
    return cohort(14, odd_names=True)


@pytest.fixture(scope="module")
def page(small):
    return render(small, COHORT)


@pytest.fixture(scope="module")
def bare(small):
    """The same samples before any analysis: tables and words only, hence quick."""
    counted = [c for c in small.ledger.columns if c not in ("sample", "assay")]
    return Report(
        config=small.config,
        ledger=small.ledger.assign(**dict.fromkeys(counted)),
        status=small.status,
        metadata=small.metadata,
    )


def words(text, section="warnings", after="summary"):
    """What a reader reads between two headings, in one line."""
    part = text[text.index(f'id="{section}"') : text.index(f'id="{after}"')]
    found = " ".join("".join(Page(f"<{part}").words).split())
    return found.replace("\u00a0", " ")


def few(names="AB", **columns):
    """A cohort of a few counted samples without any analysis; columns overwrite those below."""
    counts = {"raw": 100, "failed_qc": 10, "host": 10, "non_host": 80, "bacterial": 60}
    counts |= {"classified": 60, "unclassified": 20}
    state = {"sample_type": "sample", "status": "ok", "reason": ""}
    frame = pd.DataFrame({"sample": list(names), "assay": "shotgun"})
    frame = frame.assign(**(counts | state | columns))
    kept = [name for name in frame if name not in counts]
    return Report(settings(), frame[["sample", "assay", *counts]], frame[kept])


def panel(*rows):
    """Rows of the table of psychobiotics: sample, organism, level, call, proportion, reason."""
    names = ["sample", "organism", "level", "call", "proportion", "reason"]
    table = pd.DataFrame(list(rows), columns=names).assign(assay="shotgun", detection_limit=2e-5)
    low, high = table["proportion"] / 2, table["proportion"] * 2
    return table.assign(name=table["organism"] + " (L. old)", low=low, high=high)


def test_psychobiotics_are_a_panel_with_intervals_and_limits():
    rows = panel(
        ("A", "L. new", "species", "detected species", 0.0012, ""),
        ("B", "L. new", "species", "not detected", 0.0, ""),
        ("A", "X1", "strain", "consistent with strain", 0.001, ""),
        ("B", "X1", "strain", "not assessable at this depth", 0.0001, "coverage 0.1"),
        ("A", "B. gone", "species", "not in this database", None, "no taxon for it"),
        ("B", "B. gone", "species", "not in this database", None, "no taxon for it"),
    )
    text = render(replace(few(), psychobiotics=rows), COHORT)
    for sample, *cells in (
        ("A", "0.12 (0.06 to 0.24)", "consistent with strain"),
        ("B", "&lt; 0.002", "not assessable at this depth"),
    ):
        interval, call = cells
        kept = ' class="i"' if "to" in interval else ""
        shown = f"<td{kept}>{interval}</td><td>{call}</td>"
        assert f'<tr><th scope="row">{sample}</th>{shown}</tr>' in text
    found = words(text, "psychobiotics", "evidence")
    assert "Not shown (shotgun): B. gone. Reason: no taxon for it." in found


def test_a_panel_of_which_nothing_can_be_shown_has_no_table():
    rows = panel(("A", "X1", "strain", "not assessable", None, "no genome given"))
    found = words(render(replace(few(), psychobiotics=rows), COHORT), "psychobiotics", "evidence")
    assert "Not shown (shotgun): X1. Reason: no genome given." in found
    assert "Psychobiotic panel" not in found


def test_intake_is_counted_by_arm_and_phase_and_names_who_contradicts_it():
    calls = {"+": "detected species", "-": "not detected", "?": "not assessable"}
    people = {"P1": "-+", "P2": "-+", "P3": "--", "P4": "-?", "Q1": "--", "Q2": "-+", "Q3": "--"}
    samples = [(who, str(time), mark) for who in people for time, mark in enumerate(people[who])]
    visits = pd.DataFrame(
        [(who, time, "active" if who[0] == "P" else "placebo") for who, time, _ in samples],
        index=[f"{who}{time}" for who, time, _ in samples],
        columns=["subject", "timepoint", "arm"],
    )
    found = pd.DataFrame({"sample": visits.index, "organism": "x", "name": "B. x"})
    found = found.assign(level="species", call=[calls[mark] for *_, mark in samples], reason="")
    phases = {"0": "before", "1": "during"}
    subjects = subject_phases(found, visits, phases, ["active"])
    tables = {
        "intake": phase_counts(subjects, phases),
        "intake_changes": phase_changes(subjects, "placebo"),
        "intake_subjects": subjects,
    }
    tables = {name: table.assign(assay="shotgun") for name, table in tables.items()}
    rows = panel(("P10", "x", "species", "detected species", 0.001, ""))
    text = render(replace(few(), psychobiotics=rows, **tables), COHORT)
    said = words(text, "intake", "evidence")
    assert "B. x: Given it, and not detected during intake (was it taken?): P3." in said
    assert "B. x: Not given it, and newly detected during intake (samples mixed up" in said
    assert "or own use): Q2." in said
    assert "B. x: not assessable during intake in 1 of 7 subjects." in said
    cells = "<td>active</td><td>yes</td><td>0 of 4 (0\u00a0% to 49\u00a0%)</td>"
    assert cells + "<td>2 of 3 (21\u00a0% to 94\u00a0%)</td>" in text
    assert "<td>gained 2, lost 0, p 0.5</td>" in text
    # 2 of 3 against 1 of 3 gain it.
    assert "<td>1 of 3 (6\u00a0% to 79\u00a0%)</td>" in text
    assert 'id="intake"' not in render(replace(few(), psychobiotics=rows), COHORT)


def intake_of(people, level="species"):
    """What the report says of intake: marks of each subject before, during and after it."""
    shows = CONSISTENT if level == "strain" else f"detected {level}"
    calls = {"+": shows, "-": "not detected", "?": "not assessable"}
    samples = [(who, str(time), mark) for who in people for time, mark in enumerate(people[who])]
    visits = pd.DataFrame(
        [(who, time, "active" if who[0] == "P" else "placebo") for who, time, _ in samples],
        index=[who + time for who, time, _ in samples],
        columns=["subject", "timepoint", "arm"],
    )
    found = pd.DataFrame({"sample": visits.index, "organism": "x", "name": "B. x"})
    found = found.assign(level=level, call=[calls[mark] for *_, mark in samples], reason="")
    phases = dict(zip("012", ("before", "during", "after"), strict=True))
    subjects = subject_phases(found, visits, phases, ["active"])
    tables = {
        "intake": phase_counts(subjects, phases),
        "intake_changes": phase_changes(subjects, "placebo"),
        "intake_subjects": subjects,
    }
    tables = {name: table.assign(assay="shotgun") for name, table in tables.items()}
    rows = panel(("P10", "x", "species", "detected species", 0.001, ""))
    text = render(replace(few(), psychobiotics=rows, **tables), COHORT)
    table = text[text.index("Subjects in whom it was detected") :]
    cells = re.findall(r"<tr>.*?</tr>", table[: table.index("</table>")], re.DOTALL)
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in cells]
    arms = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    return words(text, "intake", "evidence"), sorted(arms, key=lambda row: row["arm"])


def test_a_change_of_intake_names_gain_loss_and_who_could_not_change():
    # All of the active arm have it before, two lose it; the placebo is not told in both.
    people = {"P1": "++-", "P2": "+-+", "P3": "+--", "Q1": "-??", "Q2": "?--"}
    _, (active, placebo) = intake_of(people)
    assert active["newly detected"] == "none without it before"
    assert active["before to during"] == "gained 0, lost 2"
    assert active["no longer detected"].startswith("1 of 1 ")
    assert active["during to after"] == "gained 1, lost 1, p 1"
    assert placebo["newly detected"] == "none assessable in both"
    assert placebo["before to during"] == ""
    assert placebo["no longer detected"] == "none with it during intake"
    people = {"P1": "+--", "P2": "+--", "P3": "---", "Q1": "---"}
    _, (active, _) = intake_of(people)
    assert active["newly detected"].startswith("0 of 1 ")
    assert active["before to during"] == "gained 0, lost 2, p 0.5"


def test_those_who_carry_a_species_are_counted_and_of_a_strain_named():
    people = {"P1": "-++", "Q1": "+++", "Q2": "++-", "Q3": "?+-", "Q4": "-+-", "Q5": "---"}
    said, _ = intake_of(people)
    assert (
        "B. x: Not given it, and detected during intake, which is expected of a species that "
        "people carry: 3 subjects (2 had it before and of 1 nothing is known of before)."
    ) in said
    assert "or own use): Q4." in said
    assert "Q1" not in said
    said, _ = intake_of(people, "strain")
    assert "as before or with nothing known of before: Q1, Q2 and Q3." in said


def test_warnings_come_before_every_result(page):
    found = [name for name in Page(page).ids if name in SECTIONS]
    assert found == SECTIONS
    first = page[page.index('id="warnings"') : page.index('id="summary"')]
    for words in ("cut short in record 812", "no reads in the file", "812 fragments classified"):
        assert words in first


def test_nothing_is_loaded_from_outside(page):
    found = Page(page)
    assert found.loads == []
    assert "@import" not in page
    assert set(re.findall(r"url\(([^)]*)\)", page)) <= {f"#{name}" for name in found.ids}
    outside = [link for link in found.links if ":" in link]
    assert all(link.startswith("https://") for link in outside)
    assert {link.split("/")[2] for link in outside} <= {
        "doi.org",
        "pubmed.ncbi.nlm.nih.gov",
        "www.ncbi.nlm.nih.gov",
        "www.ebi.ac.uk",
    }


def test_other_links_lead_to_results_and_to_sample_pages(small, page):
    inside = [link for link in Page(page).links if ":" not in link and not link.startswith("#")]
    pages = [f"samples/{quote(name, safe='')}.html" for name in small.status["sample"]]
    assert set(pages) <= set(inside)
    results = set(inside) - set(pages)
    assert {"../tables/sample_status.tsv", "../diversity/alpha.tsv"} <= results
    assert {link.split("/")[1] for link in results} <= RESULT_FOLDERS


def test_a_sample_page_leads_back_to_the_cohort_and_to_its_tables(small):
    links = Page(render_sample(small, "S0002", SAMPLE)).links
    assert set(links) == {"#main", "../cohort.html", "../../provenance/run.json"}


def test_links_inside_the_page_have_a_target_and_no_id_stands_twice(page):
    found = Page(page)
    assert len(found.ids) == len(set(found.ids))
    assert {link[1:] for link in found.links if link.startswith("#")} <= set(found.ids)


def test_headings_do_not_skip_a_level(page):
    levels = Page(page).headings
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_names_are_escaped_and_still_readable(page):
    assert "<b>&" not in page
    assert '<b>&"S1' in "".join(Page(page).words)


def test_the_page_uses_no_forbidden_word_outside_the_disclaimer(small, page):
    assert forbidden_words(page) == []
    assert forbidden_words(render_sample(small, "S0006", SAMPLE)) == []
    assert "For Research Use Only. Not for use in diagnostic procedures." in page


@pytest.mark.parametrize(
    "words", ["a diagnosis", "risk of depression", "deficient", "treat it", "unhealthy", "Healthy"]
)
def test_forbidden_words_are_found(words):
    assert forbidden_words(f"<p>{words}</p>")


def test_the_same_report_gives_the_same_bytes(small, page):
    assert render(small, COHORT) == page


@pytest.mark.parametrize("empty", [None, pd.DataFrame()])
def test_an_analysis_not_run_says_why_in_the_warnings_and_in_its_section(bare, empty):
    tables = ["alpha", "permanova", "scores", "contributions", "differential", "evidence"]
    analyses = [
        "ledger",
        "taxa",
        "ordination",
        "signature",
        "evaluation",
        *set(tables) - {"scores"},
    ]
    notes = [NotRun(name, f"no <group> for {name}") for name in analyses]
    text = render(replace(bare, **dict.fromkeys(tables, empty), not_run=notes), COHORT)
    for name in analyses:
        assert text.count(f"no &lt;group&gt; for {name}") == 2, name


def test_the_score_is_judged_on_the_groups_beside_covariates():
    generator = np.random.default_rng(1)
    names = [f"S{i}" for i in range(48)]
    is_other = np.arange(48) % 2 == 1
    samples = pd.DataFrame(
        {
            "score": generator.normal(size=48) + 0.8 * is_other,
            "group": np.where(is_other, "depressed", "control"),
            "study": np.where(np.arange(48) < 24, "Lyon", "Graz"),
            "age": generator.normal(40, 10, 48),
        },
        index=names,
    )
    found = evaluate(
        samples, "group", "control", study="study", covariates=["age"], permutations=99, seed=1
    )
    report = replace(
        few(names),
        evaluation=found.table.assign(assay="shotgun"),
        calibration=found.calibration.assign(assay="shotgun"),
        roc=found.curves.assign(assay="shotgun"),
    )
    said = words(render(report, COHORT), "evaluation", "evidence")
    whole = found.table[(found.table["model"] == "score") & (found.table["n_cohorts"] == 2)].iloc[0]
    assert (
        f"area within cohorts {whole['auc']:.2f} [{whole['low']:.2f}, {whole['high']:.2f}]" in said
    )
    assert "n = 24 against 24" in said
    assert "Added to the covariates the score changes their area by" in said
    assert "Calibration: depressed against control" in said
    assert "ROC curves: depressed against control" in said
    assert "trained" not in said


@pytest.mark.parametrize(("gain", "verdict"), [(2.0, "It beats the"), (0.0, "It did not beat the")])
def test_a_trained_model_comes_first_only_where_it_beats_the_score(gain, verdict):
    generator = np.random.default_rng(2)
    names = [f"S{i}" for i in range(60)]
    is_other = np.arange(60) % 2 == 1
    group = np.where(is_other, "depressed", "control")
    samples = pd.DataFrame({"score": generator.normal(size=60), "group": group}, index=names)
    value = generator.normal(size=60) + gain * is_other
    predictions = pd.DataFrame(
        {
            "sample": names,
            "comparison": "depressed against control",
            "validation": "cross_validated",
            "repeat": 1,
            "fold": np.arange(60) // 2 % 5 + 1,
            "predictor": value,
            "log_odds": value,
        }
    )
    features = pd.DataFrame(
        {
            "taxon_id": [1, 2],
            "name": ["Eggerthella", "Coprococcus"],
            "assay": "shotgun",
            "comparison": "depressed against control",
            "cohort": "all cohorts",
            "validation": "cross_validated",
            "coefficient": [0.4, -0.2],
            "selected": [1.0, 0.52],
        }
    )
    found = evaluate(samples, "group", "control", permutations=9, trained=predictions, seed=1)
    report = replace(
        few(names),
        evaluation=found.table.assign(assay="shotgun"),
        calibration=found.calibration.assign(assay="shotgun"),
        roc=found.curves.assign(assay="shotgun"),
        trained_features=features,
    )
    text = render(report, COHORT)
    said = words(text, "evaluation", "evidence")
    assert f"{verdict} evidence score" in said
    assert "Eggerthella (positive, selected in 100% of the fits)" in said
    assert "Coprococcus (negative, selected in 52% of the fits)" in said
    assert "needs external validation: an association, not a diagnosis" in said
    first = said.index("permutation p") > said.index("A model trained on the taxa")
    assert first == (gain > 0)
    assert "Nadeau C, Bengio Y (2003)" in text


def test_repeated_samples_are_told_by_how_many_people_they_are_of():
    names = [f"S{i}" for i in range(40)]
    is_other = np.arange(40) % 4 > 1
    samples = pd.DataFrame(
        {
            "score": np.random.default_rng(1).normal(size=40) + is_other,
            "group": np.where(is_other, "depressed", "control"),
            "subject": [f"P{i // 2}" for i in range(40)],
        },
        index=names,
    )
    found = evaluate(samples, "group", "control", permutations=9, seed=1)
    report = replace(few(names), evaluation=found.table.assign(assay="shotgun"))
    assert "n = 20 against 20 samples, of 20 people in all." in evaluation_sentences(report)[0]
    once = evaluate(samples.drop(columns="subject"), "group", "control", permutations=9, seed=1)
    report = replace(few(names), evaluation=once.table.assign(assay="shotgun"))
    assert "n = 20 against 20." in evaluation_sentences(report)[0]


def test_a_model_that_was_asked_for_and_not_trained_says_why():
    note = NotRun("trained model", "needs 20 subjects in each group")
    features = pd.DataFrame(columns=["assay", "comparison", "name", "cohort"])
    text = render(replace(few(), trained_features=features, not_run=[note]), COHORT)
    said = words(text, "evaluation", "evidence")
    assert "Trained model: not run. needs 20 subjects in each group." in said
    assert "trained_not_run.tsv" in said
    assert "signature/trained.tsv" not in said
    assert "scikit-learn" not in words(text, "methods", "references")
    assert "Pedregosa" not in text
    assert "trained_not_run.tsv" not in render(few(), COHORT)


def searched():
    """The search of three samples, as measure_genes writes it."""
    table = pd.DataFrame(
        {
            "sample": ["A", "B", "C"],
            "status": ["ok", "too_shallow", "failed"],
            "reason": [None, "only 12 fragments of single-copy families", "a file is broken"],
            "fragments": [1_200_000, 900, np.nan],
            "marker": [5_000, 3, np.nan],
            "single_copy": [8_000, 12, np.nan],
        }
    )
    size = dict(zip(["bp", "low", "high"], [3.41e6, 3.3e6, 3.52e6], strict=True))
    return table.assign(
        **{f"average_genome_size_{end}": [value, np.nan, np.nan] for end, value in size.items()}
    )


def test_a_search_for_marker_genes_is_told_cited_and_shown_by_sample():
    modules = pd.DataFrame(columns=["sample", "module", "assay", "abundance"])
    families = [{"role": role} for role in ("marker", "marker", "decoy", "single_copy")]
    proteins = {"sha256": "f00d", "files": {}, "families": dict(enumerate(families))}
    report = replace(
        few("ABC"),
        modules=modules,
        gene_search=searched(),
        provenance={"proteins": proteins, "versions": {"diamond": "2.1.3"}},
    )
    text = render(report, COHORT)
    said = words(text, "genes", "evidence")
    assert "in 3 samples; copies per genome could be measured in 1." in said
    assert "3.41 [3.30, 3.52]" in said
    assert "too shallow" in said
    assert "only 12 fragments of single-copy families" in said
    assert 'href="samples/B.html"' in text[text.index('id="genes"') :]
    method = words(text, "methods", "references")
    assert "(2 markers, 1 single-copy families, 1 decoys) with DIAMOND 2.1.3 (blastx" in method
    assert "10.1038/s41592-021-01101-x †" in words(text, "references", "references") or re.search(
        r"DIAMOND\. Nature Methods 18:366.*?†", text[text.index('id="references"') :]
    )
    assert "DIAMOND" not in render(few(), COHORT)


def test_tables_and_sets_of_gene_families_have_their_fingerprints():
    found = {"sha256": "aa11", "files": {"ko.tsv": {"bytes": 10, "sha256": "bb22"}}}
    proteins = {"sha256": "cc33", "files": {"set.faa": {"bytes": 20, "sha256": "dd44"}}}
    provenance = {"functions": {"amplicon": found}, "proteins": proteins}
    table = databases(replace(few(), provenance=provenance))
    rows = [["".join(cell.parts) for cell in row] for row in table.rows]
    assert rows == [
        ["amplicon", "whole table of gene families", "", "aa11"],
        ["amplicon", "ko.tsv", "10", "bb22"],
        ["shotgun", "whole protein set", "", "cc33"],
        ["shotgun", "set.faa", "20", "dd44"],
    ]


def test_captions_stand_outside_the_box_that_scrolls(page):
    assert "<caption" not in page
    for box in re.findall(r'<div class="scroll".*?</div>', page, re.DOTALL):
        assert 'class="caption"' not in box
    assert page.count('class="caption"') == page.count("<table")


def test_a_reason_of_several_analyses_stands_once(bare):
    notes = [NotRun(name, "no age") for name in ("measures", "sensitivity", "modules")]
    said = words(render(replace(bare, not_run=notes), COHORT))
    assert "measured variables, sensitivity runs, comparison of gut-brain modules: no age" in said
    assert said.count("no age") == 1


def test_a_missing_table_without_a_reason_is_not_run_and_no_more_is_said():
    text = render(few(), COHORT)
    for analysis in ("alpha diversity", "signature score", "taxa"):
        assert f"<strong>{analysis}</strong>: not run" in text
    assert "<strong>Not run.</strong>" in text
    assert "No score: not run." in render_sample(few(), "A", SAMPLE)
    for page in (text, render_sample(few(), "A", SAMPLE)):
        assert not re.search("no reason|was given|was recorded", page, re.IGNORECASE)


def test_reasons_begin_with_the_name_of_the_method_once():
    notes = [NotRun("differential", "prevalence: prevalence: takes no random intercept")]
    found = words(render(replace(few(), not_run=notes), COHORT))
    assert "differential abundance: prevalence (adjusted for depth): takes no random" in found


def test_a_reason_stands_beside_the_figures_of_the_part_that_was_run(small):
    notes = [NotRun("ordination", "two samples only in the other assay")]
    only = Report(small.config, small.ledger, small.status, ordinations=small.ordinations)
    text = render(replace(only, not_run=notes), COHORT)
    assert "figure-ordination-bray-curtis" in text
    assert "<strong>Not run in part.</strong> two samples only" in text


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {"classified": [39, 40], "unclassified": [41, 40], "bacterial": 39},
            "non-host fragments are unclassified: the database may lack their taxa: A (51 %)",
        ),
        (
            {"failed_qc": [31, 30], "host": 9, "non_host": [60, 61], "unclassified": [0, 1]},
            "more than 30 % of the raw fragments failed quality control: A (31 %)",
        ),
        ({"host": 0, "non_host": 90, "unclassified": 30}, "no fragment of the host in any sample"),
    ],
)
def test_poor_input_is_said_with_its_samples_and_limit(columns, said):
    found = words(render(few(**columns), COHORT))
    assert said in found
    assert "B (" not in found  # on the limit, and hence not beyond it


def test_ordinary_input_is_not_warned_of():
    assert "Input to look at" not in render(few(), COHORT)


def test_no_host_fragments_are_no_surprise_where_none_were_removed():
    report = few(host=0, non_host=90, unclassified=30)
    report.config["host"]["remove"] = False
    assert "no fragment of the host" not in render(report, COHORT)


def test_the_samples_whose_signature_is_mostly_undetectable_are_named():
    scores = pd.DataFrame({"sample": ["A", "B"], "score": np.nan, "status": "abstained"})
    scores["weight_detectable"] = [0.49, 0.5]
    scores["reason"] = "too little"
    found = words(render(replace(few(), scores=scores), COHORT))
    assert "49 % of the signature's weight is on taxa of the database, less than 50 %: A " in found
    assert "2 of 2 samples without a score" in found


SIGNATURE = ("signature", "indices")
SIGNATURE = ("signature", "evaluation")


def test_the_weight_that_a_database_cannot_show_is_said_with_its_taxa():
    rows = [
        ("a", "Alistipes", "1", "yes", 0.5),
        ("a", "Alistipes", "2", "yes", 0.5),
        ("b", "Blautia (and others)", "3", "no", -0.1),
        ("c", "Coprococcus", "4", "no", -0.4),
    ]
    resolution = pd.DataFrame(rows, columns=["concept", "name", "asked", "detectable", "weight"])
    page = words(
        render(replace(few(), resolution=resolution.assign(assay="shotgun")), COHORT), *SIGNATURE
    )
    said = "the shotgun database cannot show 50 %: it has no taxon for Coprococcus and Blautia."
    assert said in page
    full = resolution.assign(assay="amplicon", detectable="yes")
    page = words(render(replace(few(), resolution=full), COHORT), *SIGNATURE)
    assert "Of the signature's weight, the amplicon database has a taxon for all." in page


def test_what_an_imported_table_lacks_is_not_laid_on_a_database():
    rows = [("a", "Alistipes", "1", "yes", 0.5), ("b", "Blautia", "2", "no", -0.5)]
    resolution = pd.DataFrame(rows, columns=["concept", "name", "asked", "detectable", "weight"])
    given = {
        "imports": {"shotgun": {"formats": {"taxa.tsv": "MetaPhlAn"}, "sha256": "0", "files": {}}}
    }
    report = replace(few(), resolution=resolution.assign(assay="shotgun"), provenance=given)
    page = words(render(report, COHORT), *SIGNATURE)
    assert (
        "the shotgun imported table lacks 50 %: it has no taxon for Blautia; whether they could "
        "have been found is not known."
    ) in page
    assert "shotgun database" not in page


def test_flagged_genera_are_shown_without_other_settings_beside_them():
    flagged = pd.DataFrame({"sample": ["A"], "assay": "shotgun", "rank": "genus", "name": "Gx"})
    report = replace(few(), minimisers=flagged)
    assert not sensitivity_assays(report)
    text = render(report, COHORT)
    assert "may not be there (shotgun): Gx (in 1 sample)" in words(text, "sensitivity", "alpha")
    assert 'id="sensitivity"' not in render(few(), COHORT)


def test_methods_tell_of_groups_and_taxa_only_what_was_run():
    config = settings()
    config["cohort"]["group"] = "group"
    text = dict(reports.methods(config, {}))
    assert "Evaluation" in text
    assert "Taxa had their fragments thinned" in text["Power"]
    config["statistics"]["methods"] = ["prevalence"]
    power = dict(reports.methods(config, {}))["Power"]
    assert "Taxa had" not in power
    assert power.endswith("one group. Scores and diversity were shifted, up and down.")
    config["cohort"]["group"] = ""
    assert not {"Evaluation", "Power"} & set(dict(reports.methods(config, {})))


def test_indices_are_drawn_and_those_without_a_value_have_a_reason():
    rows = [
        ("S1", "butyrate_producers", -1.2, -1.5, -0.9, ""),
        ("S2", "butyrate_producers", None, None, None, "46 classified fragments"),
    ]
    columns = ["sample", "index", "value", "low", "high", "reason"]
    table = pd.DataFrame(rows, columns=columns).assign(assay="shotgun")
    page = words(render(replace(few(), indices=table), COHORT), "indices", "evidence")
    assert "not measured inflammation" in page
    assert "n: butyrate producers 1 sample" in page
    said = "1 sample without any index (shotgun): 46 classified fragments."
    assert said in page
    assert not forbidden_words(page)


def test_signatures_of_the_user_have_a_table_and_a_reason_where_not_scored():
    rows = [
        ("gmhi", "A", 0.5, 0.8, ""),
        ("gmhi", "B", 1.5, 0.8, ""),
        ("tiny", "A", None, 0.1, "2 signature taxa in the database, 3 are needed"),
    ]
    columns = ["signature", "sample", "score", "weight_detectable", "reason"]
    table = pd.DataFrame(rows, columns=columns).assign(assay="shotgun")
    page = words(render(replace(few(), more_scores=table), COHORT), "more", "indices")
    assert "80 % of its weight is detectable" in page
    assert "2 signature taxa in the database, 3 are needed" in page
    assert 'id="more"' not in render(few(), COHORT)


def test_the_report_says_how_much_of_the_score_other_conditions_share():
    others = evidence("other_conditions")
    page = render(replace(few(), evidence=evidence("taxa"), other_conditions=others), COHORT)
    said = words(page, "shared", "differential")
    assert "a high score does not tell depression from them" in said
    assert "bipolar disorder †Faecalibacterium, Coprococcus, Eggerthella26 %" in said
    assert not forbidden_words(page)


def test_a_distribution_that_does_not_quite_fit_is_input_to_look_at():
    databases = {"shotgun": {"sha256": "ab", "files": {}, "warnings": ["2 of 4 genomes"]}}
    page = words(render(replace(few(), provenance={"databases": databases}), COHORT))
    assert "Input to look at" in page
    assert "shotgun database: 2 of 4 genomes" in page


def test_beyond_six_names_the_others_are_counted():
    names = [f"S{i}" for i in range(8)]
    found = words(render(few(names, status="empty", reason="no reads in the file"), COHORT))
    assert "S0, S1, S2, S3, S4, S5 and 2 others: no reads in the file" in found
    assert "S6" not in found


def test_failures_keep_their_own_reasons_and_six_lines():
    names = [f"S{i}" for i in range(8)]
    reasons = [f"record {i} is cut short" for i in range(8)]
    found = words(render(few(names, status="failed", reason=reasons), COHORT))
    assert "S5: record 5 is cut short" in found
    assert "record 6" not in found
    assert "and 2 others: see sample status" in found


def test_what_is_said_of_files_is_grouped_by_kind_and_stands_on_the_sample_page():
    said = [f"run L1: {name}.fastq.gz: has lower-case bases" for name in "AB"]
    said[1] += "; run L2: x.fastq.gz: R1 and R2 are swapped"
    report = few("ABC", warnings=[*said, ""])
    found = words(render(report, COHORT))
    assert "A, B: run L1: A.fastq.gz: has lower-case bases (the first; the others alike)" in found
    assert "B: run L2: x.fastq.gz: R1 and R2 are swapped" in found
    assert "B.fastq.gz: has lower-case" in render_sample(report, "B", SAMPLE)
    assert "lower-case" not in render_sample(report, "C", SAMPLE)


def test_samples_without_a_group_are_counted_and_controls_are_not():
    metadata = pd.DataFrame({"sample": list("ABCD"), "group": ["x", None, "y", ""]})
    report = few("ABCD", sample_type=["sample"] * 3 + ["negative_control"])
    found = words(render(replace(report, metadata=metadata), COHORT))
    assert "1 sample has no value in 'group': not compared (B)" in found


def control(total, **columns):
    """A sample, and a control of `total` fragments: 4 in 10 each of two genera, 2 of a third."""
    counts = {"raw": [100, total], "failed_qc": [10, 0], "host": [10, 0], "non_host": [80, total]}
    counts |= {"classified": [60, total], "unclassified": [20, 0], "bacterial": [60, total]}
    report = few("SN", sample_type=["sample", "negative_control"], **(counts | columns))
    table = pd.DataFrame({"taxon_id": [0, -1, 7, 8, 9], "name": [*"UV", "Ra", "Cu", "Fe"]})
    genera = np.array([0, 0, 4, 4, 2])
    table = table.assign(lineage="", S=[20, 0, 0, 0, 60], N=total // 10 * genera)
    return replace(report, genus_counts={"shotgun": table})


def test_a_negative_control_has_a_line_of_its_own():
    found = words(render(control(30, status=["ok", "low_depth"]), COHORT))
    line = "N (negative control): 30 non-host fragments, mostly Ra (40 %), Cu (40 %), Fe (20 %)"
    assert f"1 control {line}" in found
    assert "low depth" not in found


def test_a_negative_control_without_fragments_is_a_normal_result():
    found = words(render(control(0, status=["ok", "empty"]), COHORT))
    assert "N (negative control): 0 non-host fragments, a normal result" in found
    assert "no fragments" not in found


def test_a_negative_control_as_deep_as_a_sample_is_pointed_out():
    text = "as deep as a sample: look for contamination or a swap"
    assert text in words(render(control(300), COHORT))
    assert text in render_sample(control(300), "N", SAMPLE)


def test_a_cohort_in_which_every_sample_failed_still_has_a_page():
    names = ["A", "B"]
    counts = ["raw", "failed_qc", "host", "non_host", "classified", "unclassified", "bacterial"]
    ledger = pd.DataFrame({"sample": names, "assay": "shotgun"}).reindex(
        columns=["sample", "assay", *counts]
    )
    status = pd.DataFrame(
        {"sample": names, "assay": "shotgun", "status": "failed", "reason": "file is missing"}
    )
    text = render(Report(settings(), ledger, status), COHORT)
    assert "2 samples failed: no result" in text
    assert text.count("<strong>Not run") >= 5


def test_long_tables_are_cut_and_say_where_the_rest_is():
    text = " ".join(render(few([f"S{i}" for i in range(252)]), COHORT).split())
    assert 'First 200 of 253 rows; the whole table: <a href="../tables/ledger.tsv">' in text


def test_the_table_of_states_leads_to_every_sample_however_many():
    names = [f"S{i}" for i in range(252)]
    links = Page(render(few(names), COHORT)).links
    assert {f"samples/{name}.html" for name in names} <= set(links)


def test_a_hundred_samples_stay_below_two_megabytes():
    assert len(render(cohort(100), COHORT).encode()) < 2_000_000


def test_the_ledger_table_opens_with_the_cohort_total(small, page):
    total = int(small.ledger["raw"].sum())
    assert f'<th scope="row">all 14</th><td></td><td class="n">{total:,}</td>' in page


def test_two_assays_get_their_own_figures(small):
    both = Report(
        config=small.config,
        ledger=pd.concat([small.ledger, small.ledger.assign(assay="amplicon")], ignore_index=True),
        status=pd.concat([small.status, small.status.assign(assay="amplicon")], ignore_index=True),
        genus_counts={
            "shotgun": small.genus_counts["shotgun"],
            "amplicon": small.genus_counts["shotgun"],
        },
    )
    text = render(both, COHORT)
    for name in ("figure-ledger-shotgun", "figure-ledger-amplicon", "figure-taxa-amplicon"):
        assert f'id="{name}"' in text
    assert "S0002 (amplicon)" in text
    ids = Page(text).ids
    assert len(ids) == len(set(ids))


def test_permanova_in_words_by_hand(page):
    assert (
        "Bray-Curtis: R² 6.1 % for group (pseudo-F 2.90, 1 df, p = 0.004, n = 11). Dispersion "
        "within groups: PERMDISP p = 0.4."
    ) in words(page, "ordination", "signature")


def test_permanova_names_what_the_group_is_adjusted_for_and_its_notes(small, bare):
    rows = [small.permanova.assign(term=term) for term in ("group", "age", "C(sex)", "Residual")]
    table = pd.concat(rows, ignore_index=True)
    table.loc[3, ["p", "pseudo_f"]] = np.nan
    table["note"] = ["p is at its resolution", None, None, None]
    text = render(replace(bare, permanova=table), COHORT)
    found = words(text, "ordination", "signature")
    assert "R² 6.1 % for group, given age and sex (pseudo-F 2.90, 1 df, p = 0.004, n" in found
    assert "Note: p is at its resolution. Dispersion" in found
    assert found.count("R² 6.1 %") == 1
    assert "accounts for" not in text


def test_unequal_dispersion_is_pointed_out(small, bare):
    table = small.permanova.assign(permdisp_p=0.01)
    assert "groups also differ in spread" in render(replace(bare, permanova=table), COHORT)


def test_what_half_and_double_the_depth_say_is_told_in_a_sentence_each(bare):
    rows = [
        ("observed", 500, 12, 0.03, 0.01, True, None),
        ("shannon", 500, 12, 0.2, 0.01, False, None),
        ("jaccard", 2000, 2, np.nan, np.nan, None, "too few samples"),
    ]
    columns = ["metric", "depth_fragments", "n", "p", "reference_p", "conclusion_holds", "note"]
    table = pd.DataFrame(rows, columns=columns).assign(reference_depth_fragments=1000)
    found = words(render(replace(bare, depth_effects=table), COHORT), "ordination", "signature")
    assert (
        "At half the depth, 500 fragments, n = 12: on the same samples, 1 of 2 conclusions "
        "(p at or below 0.05, and its direction) are those at 1,000; other: shannon "
        "(p 0.01 → 0.2)."
    ) in found
    assert (
        "At double the depth, 2,000 fragments, 2 samples remain and nothing can be tested: "
        "too few samples."
    ) in found


def test_the_strongest_taxa_of_each_axis_are_named(bare):
    table = pd.DataFrame(
        {
            "assay": "shotgun",
            "metric": "bray_curtis",
            "axis": ["PC1"] * 6 + ["PC2"],
            "name": [*"ABCDEF", "G"],
            "correlation": [0.9, -0.8, 0.7, 0.6, 0.5, 0.4, -0.3],
        }
    )
    found = words(render(replace(bare, loadings=table), COHORT), "ordination", "signature")
    assert "PC1A (+0.90), B (-0.80), C (+0.70), D (+0.60), E (+0.50) Bray-CurtisPC2G" in found


def test_settings_hide_where_a_machine_keeps_its_files(bare):
    config = settings()
    config["databases"]["shotgun"]["path"] = "/home/someone/db/standard_08"
    text = render(replace(bare, config=config), COHORT)
    assert "/home/someone" not in text
    assert "…/standard_08" in text


def test_methods_follow_the_settings():
    config = settings()
    text = dict(reports.methods(config, {"fastp": "0.23.2"}))
    assert "fastp 0.23.2" in text["Reads"]
    assert "shorter than 50 bp" in text["Reads"]
    assert "Kraken2 (version not recorded)" in text["Taxa"]
    config["host"]["remove"] = False
    config["profile"]["reestimate"] = False
    text = dict(reports.methods(config, {}))
    assert "not removed" in text["Host"]
    assert "not re-estimated" in text["Taxa"]
    assert reports.methods({}, {}) == []


def test_the_two_counts_of_tested_taxa_agree_and_leave_out_those_without_p(bare):
    rows = [
        [1, "Ra", 1.0, 0.5, 1.5, 0.01, 0.02],
        [2, "Cu", 1.0, 0.5, 1.5, 0.2, 0.2],
        [3, "Fe", 0.0, None, None, None, None],
    ]
    table = pd.DataFrame(rows, columns=["taxon_id", "name", "effect", "low", "high", "p", "q"])
    table = table.assign(term="group[T.depressed]", n=12, prevalence=0.5, method="prevalence")
    found = words(render(replace(bare, differential=table), COHORT), "differential", "methods")
    method = "prevalence (adjusted for depth)"
    assert f"group, depressed against control{method}1221Fe" in found
    assert f"{method}: n = 12 samples, 2 taxa tested, 1 with q ≤ 0.05." in found
    assert f"Not tested by {method}, for the model leaves no variation: Fe." in found


def test_consensus_structural_zeros_and_calibration_have_their_tables(bare):
    """Ra is found by two methods, Cu by none; controls have no Fe."""
    rows = [
        (1, "Ra", "clr_bias_corrected", 1.5, 0.01, "tested", None, 2, True),
        (2, "Cu", "clr_bias_corrected", 0.5, 0.3, "tested", None, 1, False),
        (3, "Fe", "clr_bias_corrected", None, None, "structural_zero", "control", None, None),
        (1, "Ra", "ancombc2", 1.4, 0.02, "tested", None, 2, True),
        (3, "Fe", "prevalence", 0.6, 0.004, "tested", "control", None, None),
    ]
    columns = ["taxon_id", "name", "method", "effect", "q", "status", "absent_in", "n_agree"]
    table = pd.DataFrame(rows, columns=[*columns, "consensus"])
    table = table.assign(term="group[T.depressed]", n=24, prevalence=0.5, p=table["q"] / 2)
    table = table.assign(low=table["effect"] - 1, high=table["effect"] + 1)
    table["calibration"] = table["method"].map({"ancombc2": "conservative"}).fillna("liberal")
    found = words(render(replace(bare, differential=table), COHORT), "differential", "methods")
    assert "CLR, bias-corrected (LinDA-type) (primary)" in found
    assert "not calibrated: more false findings than q says" in found
    assert "ANCOM-BC22411conservative: finds less than it could" in found
    agreed = found[found.index("Consensus: taxa with q ≤ 0.05") : found.index("Structural zeros")]
    assert "Ragroup, depressed against control1.50.52.50.012 of 2" in agreed
    assert not {"Cu", "Fe"} & set(re.findall("Cu|Fe", agreed))
    apart = found[found.index("Structural zeros") :]
    assert "Fegroup, depressed against control240.5control0.0020.004" in apart


def test_models_go_by_names_for_people(bare, small):
    table = small.differential.replace({"method": {"linda": "clr_bias_corrected"}})
    text = render(replace(bare, differential=table), COHORT)
    assert "CLR, bias-corrected (LinDA-type)" in words(text, "differential", "methods")
    assert "manner of LinDA, Zhou et al. 2022" in words(text, "methods", "provenance")
    assert "https://doi.org/10.1186/s13059-022-02655-5" in Page(text).links
    assert text.count("clr_bias_corrected") == 1  # among the settings


@pytest.mark.parametrize(
    ("score", "place"),
    [(9.0, "above all 6 controls"), (3.5, "above 4 of the 6 controls"), (-1, "above none of the")],
)
def test_few_reference_samples_are_counted(score, place):
    row = pd.Series({"score": score, "percentile": 66.6})
    sentence = _place_sentence(row, pd.Series(range(6)), "controls")
    assert place in sentence
    assert "66" not in sentence


@pytest.mark.parametrize(("n", "has_percentile"), [(19, False), (20, True)])
def test_a_percentile_needs_twenty_reference_samples(n, has_percentile):
    row = {"score": 2.0, "percentile": 66.6, "percentile_low": 45.2, "percentile_high": 83.4}
    sentence = _place_sentence(pd.Series(row), pd.Series(range(n)), "controls")
    text = f"percentile 67 of the {n} controls (95 % interval 45 to 83, for their number)"
    assert (text in sentence) == has_percentile


def test_a_control_is_compared_with_the_other_controls(small):
    assert "of the 5 other controls" in render_sample(small, "S0005", SAMPLE)
    assert "of the 6 controls" in render_sample(small, "S0006", SAMPLE)


def test_a_group_that_is_not_called_control_is_named(small):
    config = settings()
    config["cohort"]["reference"] = "depressed"
    report = replace(small, config=config, contributions=None, genus_counts={})
    assert "5 reference samples (depressed)" in render_sample(report, "S0005", SAMPLE)


def test_scores_come_with_their_warnings(small):
    said = ["wide interval", "few fragments; wide interval"]
    scores = small.scores.assign(warning=[*[None] * 12, *said])
    only = Report(small.config, small.ledger, small.status, scores=scores)
    found = words(render(only, COHORT))
    assert "wide interval (2 of 11 samples with a score)" in found
    assert "few fragments (1 of 11 samples with a score)" in found
    assert "<li>few fragments</li>" in render_sample(only, "S0014", SAMPLE)
    assert "few fragments" not in render_sample(only, "S0013", SAMPLE)


def test_a_sample_is_compared_with_sound_samples_only(small):
    sheet = small.status.copy()
    sheet.loc[sheet["sample"] == "S0007", "sample_type"] = "negative_control"
    report = replace(small, status=sheet, scores=None)
    # 14 samples: 3 are not ok, 1 is a control, 1 is the sample itself.
    assert "of the 9 other samples" in render_sample(report, "S0006", SAMPLE)
    assert "of the 10 other samples" in render_sample(report, "S0007", SAMPLE)


def test_claims_and_sources_from_memory_carry_a_dagger_and_its_legend(small, bare):
    claims = pd.DataFrame(
        [
            ["eggerthella", "up", "a", "memory"],
            ["eggerthella", "up", "b", "verified"],
            ["eggerthella", "up", "c", "verified"],
        ],
        columns=["concept", "direction", "source_id", "certainty"],
    )
    sources = pd.DataFrame(
        [
            ["a", "Adam et al., Gut", 2019, "10.1000/a", "verified"],
            ["b", "Berg and Cole, Gut", 2020, "", "verified"],
            ["c", "Dahl et al.", 2021, "", "memory"],
        ],
        columns=["source_id", "citation", "year", "doi_or_pmid", "certainty"],
    )
    report = replace(bare, evidence=small.evidence, claims=claims, sources=sources)
    text = render(report, COHORT)
    evidence = words(text, "evidence", "differential")
    assert "up: Adam 2019†, Berg and Cole 2020, Dahl 2021†" in evidence
    assert "† recalled, not looked up again" in evidence
    works = text[text.index('id="references"') :]
    assert "Dahl et al. (2021) †" in works
    assert "Adam et al., Gut (2019). <a" in works
    assert "† recalled, not looked up again." in works
    verified = sources.assign(certainty="verified")
    plain = replace(report, sources=verified, claims=claims.assign(certainty="verified"))
    assert "†" not in render(plain, COHORT)


@pytest.mark.parametrize(
    ("citation", "year", "identifier", "in_table", "in_references"),
    [
        (
            *("Study of drug-naive people", None, "PMC8831735"),
            *("PMC8831735", "Study of drug-naive people. PMC8831735"),
        ),
        (
            *("Liu RT et al. (PRJNA591924)", 2020, "PRJNA591924"),
            *("Liu RT 2020", "Liu RT et al. (2020). Data set: PRJNA591924"),
        ),
        (
            *("Gut Project, all analyses", None, None),
            *("Gut Project (data set)", "Data set without identifier: Gut Project, all analyses"),
        ),
        (
            *("Introduction of a study", 2023, "10.1038/x1"),
            *("doi:10.1038/x1", "Introduction of a study (2023). doi:10.1038/x1"),
        ),
    ],
)
def test_every_source_can_be_cited(citation, year, identifier, in_table, in_references):
    row = {"source_id": "a", "citation": citation, "year": year, "doi_or_pmid": identifier}
    sources = pd.DataFrame([row | {"certainty": "verified"}])
    assert sources_cited(sources)["a"].words == in_table
    works = reference_list(replace(few(), sources=sources))["works"]
    written = ["".join(p if isinstance(p, str) else p.text for p in parts) for parts in works]
    assert in_references in written


def test_a_sample_page_names_no_other_sample(small):
    text = render_sample(small, "S0006", SAMPLE)
    assert "S0006" in text
    assert not [name for name in small.status["sample"] if name != "S0006" and name in text]


def test_a_failed_sample_has_a_page_with_its_reason(small):
    text = render_sample(small, "S0002", SAMPLE)
    assert "cut short in record 812" in text
    assert "<svg" not in text
    assert "No score: fewer than 10,000 classified fragments." in text


def test_a_sample_that_is_not_in_the_ledger_is_named(small):
    with pytest.raises(ValueError, match="the ledger has no sample 'S9'"):
        render_sample(small, "S9", SAMPLE)


def test_a_ledger_row_without_a_status_is_named(small):
    with pytest.raises(ValueError, match="'S0014' is in the ledger but has no status"):
        render(replace(small, status=small.status.iloc[:-1]), COHORT)


def test_no_address_is_made_from_an_unsafe_identifier():
    for text in ('10.1/x" onclick="x', "javascript:alert(1)", "http://x", ""):
        assert citation_url(text) == ""


def measured(q, antidepressant_run):
    """One variable against a taxon and a metric, in all samples and in one run."""
    rows = []
    for run, effect in (("main", 1.0), ("without_antidepressants", antidepressant_run)):
        for kind, feature in (("taxon", "84111"), ("alpha_diversity", "shannon")):
            rows.append(
                {
                    "assay": "shotgun",
                    "measure": "phq9_total",
                    "kind": "symptoms",
                    "feature_kind": kind,
                    "feature": feature,
                    "name": "Eggerthella" if kind == "taxon" else feature,
                    "contrast": "per SD (8.1 points)" if run == "main" else "per SD (7 points)",
                    "effect": effect,
                    "low": effect - 0.5,
                    "high": effect + 0.5,
                    "effect_unit": "log2 fold change",
                    "effect_sd": effect / 2,
                    "p": 0.001,
                    "q": q if kind == "taxon" else 0.9,
                    "n": 40,
                    "n_censored": 0,
                    "run": run,
                }
            )
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("effect", "holds"), [(0.9, "1 of 1"), (0.2, "0 of 1"), (-1.0, "0 of 1")])
def test_an_association_stands_with_the_runs_in_which_it_holds(bare, effect, holds):
    text = render(replace(bare, measures=measured(0.01, effect)), COHORT)
    section = words(text, "measures", "methods")
    assert "phq9_totalper SD (8.1 points)Eggerthella" in section
    assert holds in section
    assert "taxon 1 test, 1 found; alpha diversity 1 test, 0 found" in section


def test_no_association_and_the_confounders_that_the_sheet_lacks_are_said_once(bare):
    metadata = bare.metadata[["sample", "group", "age"]].assign(bristol=3)
    text = render(replace(bare, measures=measured(0.3, 1.0), metadata=metadata), COHORT)
    section = words(text, "measures", "methods")
    assert "None of 2 tests of a measured variable has q ≤ 0.05." in section
    assert text.count("The sheet has no column on: sex, body mass index, antibiotics,") == 1
    assert "stool consistency" not in section


def test_taxa_of_the_groups_are_followed_through_the_runs(bare, small):
    table = pd.DataFrame(
        {
            "assay": "shotgun",
            "taxon_id": [84111, 853],
            "name": ["Eggerthella", "Faecalibacterium"],
            "term": "group[T.depressed]",
            **dict.fromkeys(("effect", "low", "high"), 1.0),
            "p": [0.001, 0.5],
            "q": [0.01, 0.5],
            "n": 40,
            "prevalence": 1.0,
            "method": "clr_bias_corrected",
        }
    )
    runs = pd.DataFrame(
        {
            "assay": "shotgun",
            "feature_kind": "taxon",
            "feature": ["84111", "853"],
            "name": table["name"],
            "term": table["term"],
            "run": "adjusted_for_stool",
            "main_effect": 1.0,
            "effect": 0.7,
            "low": -0.1,
            "high": 1.5,
            "n": 38,
            "same_sign": True,
            "excludes_zero": False,
        }
    )
    report = replace(bare, differential=table, group_sensitivity=runs)
    section = words(render(report, COHORT), "measures", "methods")
    found = "Eggerthellagroup, depressed against controladjusted for stool10.7-0.11.538yesno"
    assert found in section
    assert "Faecalibacterium" not in section
    report = replace(report, differential=table.assign(q=0.5))
    assert "No taxon differs between the groups" in words(
        render(report, COHORT), "measures", "methods"
    )


def power(n_other=12, effect=1.3):
    """As statistics/power.tsv has it, for the score of one comparison."""
    rows = [
        ("power", 0.0, 14, n_other, 0.05, 0.02, 0.1),
        ("power", 2.0, 14, n_other, 0.95, 0.9, 0.98),
        ("detectable_at_80", effect, 14, n_other, 0.8, 1.1, np.nan),
        ("needed_at_80", 0.2, 394, 394, 0.8, 0.7, 0.9),
        ("needed_at_80", 0.3, 176, 176, 0.8, 0.7, 0.9),
    ]
    columns = ["quantity", "effect", "n_reference", "n_other", "power", "low", "high"]
    table = pd.DataFrame(rows, columns=columns).assign(unit="standard deviations", simulations=100)
    table = table.assign(feature_kind="signature_score", term="group[T.depressed]", assay="shotgun")
    return table.assign(**{"class": "all"})


def test_the_power_of_a_small_cohort_is_told_first_and_in_full(bare):
    text = render(replace(bare, power=power()), COHORT)
    for found in (words(text, "warnings", "summary"), words(text, "differential", "methods")):
        assert "The cohort is small for what is asked" in found
        assert "176 to 394 samples a group" in found
        assert "the smallest group here has 12" in found
    found = words(text, "differential", "methods").replace("\u00a0", " ")
    assert "signature score (n = 14 and 12), 1.3 SD (1.1 to beyond)" in found
    assert "Power: group, depressed against control" in found


def test_a_detectable_effect_beyond_those_tried_is_said(bare):
    text = render(replace(bare, power=power(effect=np.nan)), COHORT)
    found = words(text, "differential", "methods")
    assert "none up to the largest tried, 2 SD" in found


def test_a_large_cohort_is_not_called_small(bare):
    table = power()
    is_power = table["quantity"] == "power"
    table.loc[is_power, ["n_reference", "n_other"]] = 176
    assert "is small for what is asked" not in render(replace(bare, power=table), COHORT)


def test_power_that_was_not_estimated_says_why(bare):
    notes = [NotRun("power", "no group is set")]
    text = render(replace(bare, not_run=notes), COHORT)
    assert "power of the comparison: no group is set" in words(text, "warnings", "summary")


def test_community_types_are_said_with_care():
    kinds = pd.read_table(ROOT / "config/community_types/types.tsv")
    samples = few().status["sample"].astype(str).tolist()
    types = pd.DataFrame({"sample": samples, "assay": "shotgun", "status": "ok", "reason": ""})
    for column, value in (("bacteroides_prevotella", 1.5), ("bacillota", 0.4)):
        types[column], types[f"{column}_low"], types[f"{column}_high"] = value, value, value
    for kind in kinds["type"]:
        types[f"membership_{kind}"] = 0.25
    types["reference_type"], types["reference_subtype"] = "bacteroides", ""
    types.loc[0, ["reference_type", "reference_subtype"]] = "unclassified", ""
    types.loc[1, "reference_subtype"] = "bacteroides_2"
    models = pd.DataFrame({"assay": ["shotgun"], "reason": ["6 samples, 100 are needed"]})
    page = render(
        replace(few(), community_types=types, community_models=models, community_kinds=kinds),
        COHORT,
    )
    section = page[page.index('<h2 id="community">') : page.index('<h2 id="evidence">')]
    assert f"{len(samples) - 1} resemble Bacteroides / Phocaeicola and 1 unclassified" in section
    assert "Within these, 1 resemble Bacteroides / Phocaeicola, low Faecalibacterium" in section
    assert "No types were fitted to the cohort itself: 6 samples, 100 are needed." in section
    assert section.count("<svg") == 2
    assert forbidden_words(page) == []
    assert '<h2 id="community">' not in render(few(), COHORT)
