"""The pages: complete, careful in their words, self-contained, and the same every time."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from moodbiome import report as reports
from moodbiome.figures import Ordination
from moodbiome.report import NotRun, Report, citation_url, forbidden_words, render, render_sample

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
                "sample_type": "stool",
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
SECTIONS += ["evidence", "differential", "methods", "provenance", "references"]
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
    outside = [link for link in found.links if not link.startswith("#")]
    assert all(link.startswith("https://") for link in outside)
    assert {link.split("/")[2] for link in outside} <= {
        "doi.org",
        "pubmed.ncbi.nlm.nih.gov",
        "www.ncbi.nlm.nih.gov",
        "www.ebi.ac.uk",
    }


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
    analyses = ["ledger", "taxa", "ordination", "signature", *set(tables) - {"scores"}]
    notes = [NotRun(name, f"no <group> for {name}") for name in analyses]
    text = render(replace(bare, **dict.fromkeys(tables, empty), not_run=notes), COHORT)
    for name in analyses:
        assert text.count(f"no &lt;group&gt; for {name}") == 2, name


def test_a_missing_table_without_a_reason_is_itself_a_warning(bare):
    text = render(bare, COHORT)
    warnings = text[text.index('id="warnings"') : text.index('id="summary"')]
    assert "<strong>alpha</strong>: no table was given" in warnings
    assert "<strong>taxa</strong>: no table was given" in warnings


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


def test_long_tables_are_cut_and_say_where_the_rest_is(bare):
    status = pd.concat([bare.status] * 18, ignore_index=True)
    text = render(replace(bare, status=status), COHORT)
    assert "First 200 of 252 rows; the whole table: <code>results/tables/sample_status.tsv" in text


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
    words = page.replace("\u00a0", " ")
    assert (
        "Bray-Curtis: group accounts for 6.1 % of the variation (pseudo-F 2.90, 1 df, p = 0.004, "
        "n = 11). Dispersion within groups: PERMDISP p = 0.4."
    ) in words


def test_unequal_dispersion_is_pointed_out(small, bare):
    table = small.permanova.assign(permdisp_p=0.01)
    assert "groups also differ in spread" in render(replace(bare, permanova=table), COHORT)


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
