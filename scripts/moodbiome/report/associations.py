"""The sections on differential abundance, power and measured variables."""

import pandas as pd

from moodbiome import figures
from moodbiome.abundance_methods import CONSENSUS_METHODS
from moodbiome.figures import count_of, listed, method_name, plain
from moodbiome.measures import linear_method, missing_confounders
from moodbiome.report.content import Report, assays_of, not_empty, per_assay, setting, term_words
from moodbiome.report.display import Shown, Table, as_table, key_of, show
from moodbiome.report.words import RECALLED_WORDS, variable

# Differences in single taxa between people with depression and controls, in standard deviations:
# recalled from the literature, not looked up again.
EXPECTED_SHIFTS = (0.2, 0.3)


def differential_figures(report: Report) -> list[Shown]:
    assert report.differential is not None
    table = report.differential
    group = setting(report, "cohort", "group", "")
    shown = []
    for assay, part in per_assay(table):
        tested = part["effect"].notna() & part["q"].notna()
        terms = list(dict.fromkeys(part.loc[tested, "term"].astype(str)))
        ours = [term for term in terms if group and variable(term) == group]
        for position, term in enumerate((ours or terms[:1])[:3]):
            figure = figures.differential(
                part,
                term,
                float(setting(report, "statistics", "max_fdr", 0.05)),
                term_words(report, term),
                key_of(f"differential-{position + 1}", assay),
            )
            shown.append(show(figure, assay))
    return shown


def differential_summary(report: Report) -> Table | None:
    table = not_empty(report.differential)
    if table is None:
        return None
    limit = float(setting(report, "statistics", "max_fdr", 0.05))
    by = ["assay", "term", "method"] if len(assays_of(table)) > 1 else ["term", "method"]
    rows = []
    for key, part in table[table["effect"].notna()].groupby(by, sort=False):
        tested = part[part["q"].notna()]
        rows.append(
            {
                **dict(zip(by, key, strict=True)),
                "samples": part["n"].max(),
                "taxa tested": tested["taxon_id"].nunique(),
                f"taxa with q ≤ {limit:g}": int((tested["q"] <= limit).sum()),
                **_calibration(part),
                "not tested: no variation left": listed(
                    sorted(part.loc[part["q"].isna(), "name"].astype(str))
                ),
            }
        )
    if not rows:
        return None
    counted = pd.DataFrame(rows)
    if not counted["not tested: no variation left"].any():
        counted = counted.drop(columns="not tested: no variation left")
    # The models write one below the other: put a term's next to each other.
    order = {str(term): place for place, term in enumerate(counted["term"].unique())}
    counted = counted.sort_values("term", key=lambda terms: terms.map(order), kind="stable")
    counted["term"] = [term_words(report, str(term)) for term in counted["term"]]
    primary = next(iter(setting(report, "statistics", "methods", [])), "")
    counted["method"] = [
        method_name(method) + (" (primary)" if method == primary else "")
        for method in counted["method"]
    ]
    return as_table(
        counted, "Taxa tested, by term and method", "results/statistics/differential.tsv"
    )


_CALIBRATION = {
    "calibrated": "calibrated",
    "conservative": "conservative: finds less than it could",
    "liberal": "not calibrated: more false findings than q says",
    "not_measured": "not measured for such a design",
}


def _calibration(part: pd.DataFrame) -> dict[str, str]:
    if "calibration" not in part:
        return {}
    words = part["calibration"].map(_CALIBRATION)
    return {"calibration, measured without any effect": listed(sorted(set(words)))}


def agreed_taxa(report: Report) -> Table | None:
    """Taxa that at least two of the methods of the consensus find in the same direction."""
    table = not_empty(report.differential)
    if table is None or "consensus" not in table or table["consensus"].isna().all():
        return None
    methods = list(dict.fromkeys(table["method"]))
    counted = [method_name(method) for method in CONSENSUS_METHODS if method in methods]
    agreed = table[
        (table["consensus"].astype(str) == "True") & (table["method"] == methods[0])
    ].sort_values(["p", "taxon_id"], kind="stable")
    shown = agreed[["name", "term", "effect", "low", "high", "q", "n_agree"]].assign(
        term=[term_words(report, str(term)) for term in agreed["term"]],
        n_agree=agreed["n_agree"].astype(int).astype(str) + f" of {len(counted)}",
    )
    if len(assays_of(table)) > 1:
        shown.insert(0, "assay", agreed["assay"])
    limit = float(setting(report, "statistics", "max_fdr", 0.05))
    return as_table(
        shown,
        f"Consensus: taxa with q ≤ {limit:g} and the same direction by two or more of "
        f"{listed(counted)}; effect, interval and q are those of {method_name(methods[0])}",
        "results/statistics/differential.tsv",
        {"name": "taxon", "n_agree": "methods that agree"},
    )


def absent_taxa(report: Report) -> Table | None:
    """Taxa that a whole group is without, and what the model of prevalence says of them."""
    table = not_empty(report.differential)
    if table is None or "status" not in table:
        return None
    keys = [*(["assay"] if len(assays_of(table)) > 1 else []), "name", "term"]
    apart = table[table["status"] == "structural_zero"].drop_duplicates([*keys, "taxon_id"])
    if apart.empty:
        return None
    by = [*keys, "taxon_id"]
    presence = table.loc[table["method"] == "prevalence", [*by, "p", "q"]]
    shown = apart[[*by, "n", "prevalence", "absent_in"]].merge(presence, on=by, how="left")
    shown["term"] = [term_words(report, str(term)) for term in shown["term"]]
    return as_table(
        shown.drop(columns="taxon_id"),
        "Structural zeros: taxa of which a whole group has no fragment, not tested by the models "
        "of abundance; p and q are those of prevalence, empty where it was not run",
        "results/statistics/differential.tsv",
        {
            "name": "taxon",
            "n": "samples",
            "absent_in": "absent in",
            "p": "p of prevalence",
            "q": "q of prevalence",
        },
    )


def _main_measures(report: Report) -> pd.DataFrame | None:
    """Tests of measured variables in all samples, those without a p left out."""
    table = not_empty(report.measures)
    if table is None:
        return None
    return not_empty(table[(table["run"] == "main") & table["p"].notna()])


def measure_figures(report: Report) -> list[Shown]:
    table = _main_measures(report)
    if table is None:
        return []
    limit = float(setting(report, "statistics", "max_fdr", 0.05))
    return [
        show(figures.measures(part, limit, key_of("measures", assay)), assay)
        for assay, part in per_assay(table)
    ]


def measure_words(report: Report) -> list[str]:
    """What the tests of measured variables amount to, and which confounders nobody wrote down."""
    words = []
    table = _main_measures(report)
    limit = float(setting(report, "statistics", "max_fdr", 0.05))
    if table is not None and not (table["q"] <= limit).any():
        words.append(
            f"None of {count_of(len(table), 'test')} of a measured variable has q ≤ {limit:g}."
        )
    elif table is not None and setting(report, "cohort", "group", ""):
        words.append(
            "A variable that goes with the group, as symptoms do, shows the differences between "
            "the groups once more, unless the settings adjust for the group."
        )
    if report.metadata is not None:
        missing = missing_confounders(report.metadata.columns)
        if missing:
            words.append(
                "The sheet has no column on: "
                + listed(missing, len(missing))
                + ". They are known to go with the gut microbiota, and nothing here is adjusted "
                "for them."
            )
    return words


def measures_found(report: Report) -> Table | None:
    """Associations with a small q, each with the sensitivity runs in which it holds."""
    main = _main_measures(report)
    limit = float(setting(report, "statistics", "max_fdr", 0.05))
    if main is None or report.measures is None or not (main["q"] <= limit).any():
        return None
    by = ["assay", "measure", "feature_kind", "feature", "contrast_of"]
    tests = report.measures.assign(contrast_of=_contrast_of(report.measures["contrast"]))
    found = tests.loc[main.index[main["q"] <= limit]]
    others = tests[(tests["run"] != "main") & tests["low"].notna()]
    pairs = found[[*by, "effect"]].merge(others, on=by, suffixes=("_main", ""))
    clear = (pairs["low"] > 0) | (pairs["high"] < 0)
    pairs["holds"] = clear & (pairs["effect"] * pairs["effect_main"] > 0)
    runs = pairs.groupby(by)["holds"].agg(["sum", "size"])
    keys = pd.MultiIndex.from_frame(found[by])
    counted = runs.reindex(keys).fillna(0).astype(int)
    holds = [
        f"{held} of {n}" if n else "none run"
        for held, n in counted[["sum", "size"]].itertuples(index=False)
    ]
    columns = ["measure", "contrast", "name", *_EFFECT_COLUMNS, "n", "n_censored"]
    shown = found.assign(**{"holds in sensitivity runs": holds}).sort_values("q", kind="stable")
    if len(assays_of(shown)) > 1:
        columns = ["assay", *columns]
    return as_table(
        shown[[*columns, "holds in sensitivity runs"]],
        f"Associations of measured variables with q ≤ {limit:g}",
        "results/statistics/measures.tsv",
        {"name": "feature", "n_censored": "n beyond limit"},
    )


_EFFECT_COLUMNS = ("effect", "low", "high", "effect_unit", "q")


def _contrast_of(contrasts: pd.Series) -> pd.Series:
    """A contrast without the standard deviation, which differs between runs."""
    return contrasts.astype(str).str.replace(r" \(.*\)$", "", regex=True)


def _group_findings(report: Report) -> pd.DataFrame | None:
    """Taxa that differ between the groups by the method of these runs: assay, taxon and term."""
    table, group = not_empty(report.differential), setting(report, "cohort", "group", "")
    if table is None or not group or not_empty(report.group_sensitivity) is None:
        return None
    limit = float(setting(report, "statistics", "max_fdr", 0.05))
    ours = table["term"].astype(str).map(variable) == group
    method = linear_method(setting(report, "statistics", "methods", ()))
    found = table[ours & (table["method"] == method) & (table["q"] <= limit)]
    return found[["assay", "taxon_id", "term"]]


def group_sensitivity_words(report: Report) -> str:
    table, found = not_empty(report.group_sensitivity), _group_findings(report)
    if table is None or found is None or not found.empty:
        return ""
    method = method_name(linear_method(setting(report, "statistics", "methods", ())))
    return (
        f"No taxon differs between the groups by {method}, so there is none of which to ask "
        "whether it holds."
    )


def group_sensitivity_table(report: Report) -> Table | None:
    """The taxa that differ between the groups, in each sensitivity run."""
    table, found = not_empty(report.group_sensitivity), _group_findings(report)
    if table is None or found is None or found.empty:
        return None
    taxa = table[table["feature_kind"] == "taxon"]
    taxa = taxa.assign(taxon_id=taxa["feature"].astype(found["taxon_id"].dtype))
    rows = found.merge(taxa, on=["assay", "taxon_id", "term"])
    if rows.empty:
        return None
    shown = pd.DataFrame(
        {
            "taxon": rows["name"],
            "term": [term_words(report, str(term)) for term in rows["term"]],
            "run": rows["run"].map(plain),
            "main effect": rows["main_effect"],
            **{name: rows[name] for name in ("effect", "low", "high", "n")},
            "same sign": rows["same_sign"].map({True: "yes", False: "no"}),
            "interval without 0": rows["excludes_zero"].map({True: "yes", False: "no"}),
        }
    )
    if len(assays_of(rows)) > 1:
        shown.insert(0, "assay", rows["assay"])
    return as_table(
        shown,
        "Taxa that differ between the groups (log2 fold change), in each sensitivity run",
        "results/statistics/group_sensitivity.tsv",
    )


def power_figures(report: Report) -> list[Shown]:
    assert report.power is not None
    limit = float(setting(report, "statistics", "max_fdr", 0.05))
    shown = []
    for assay, part in per_assay(report.power):
        for position, (term, rows) in enumerate(part.groupby("term", sort=False)):
            words, key = term_words(report, str(term)), key_of(f"power-{position + 1}", assay)
            shown.append(show(figures.power(rows, words, limit, key), assay))
    return shown[:3]


def power_sentences(report: Report) -> list[str]:
    """What each comparison can find, and what that means beside what others found."""
    table = not_empty(report.power)
    if table is None:
        return []
    sentences = []
    for assay, part in per_assay(table):
        for term, rows in part.groupby("term", sort=False):
            words = term_words(report, str(term)) + (f" ({assay})" if assay else "")
            sentences.append(_detectable_words(rows, words))
    return [*sentences, *small_cohort(report)]


def _detectable_words(rows: pd.DataFrame, words: str) -> str:
    """The effects that one comparison finds in 80 % of the simulations."""
    tested = rows[rows["quantity"] == "power"]
    found = rows[rows["quantity"] == "detectable_at_80"]
    said = []
    for kind, part in found.groupby("feature_kind", sort=False):
        # The most common taxa, and one metric of diversity: the figure has the others.
        named = part[part["class"].isin(["from_90_percent", "shannon"])]
        row = (named if len(named) else part).iloc[0]
        name = f"a taxon, {_feature(row)}" if kind == "taxon" else _feature(row)
        of_size = f"{name} (n = {row['n_reference']:,} and {row['n_other']:,})"
        unit = "SD" if row["unit"] == "standard deviations" else f"in {row['unit']}"
        if pd.isna(row["effect"]):
            largest = tested.loc[tested["feature_kind"] == kind, "effect"].max()
            said.append(f"{of_size}, none up to the largest tried, {largest:g} {unit}")
            continue
        # A bound that the sizes tried do not reach is open.
        low, high = (
            "beyond" if pd.isna(row[bound]) else f"{row[bound]:.2g}" for bound in ("low", "high")
        )
        said.append(f"{of_size}, {row['effect']:.2g} {unit} ({low} to {high})")
    return (
        f"Smallest effect that this cohort finds in 80 % of simulations, for {words}: "
        f"{'; '.join(said)}."
    )


def _feature(row: pd.Series) -> str:
    """What a row of the power table is about, as the figure's legend has it."""
    return figures.POWER_FEATURES[f"{row['feature_kind']}.{row['class']}"]


def small_cohort(report: Report) -> list[str]:
    """What a cohort that cannot find the differences reported for single taxa must be told."""
    table = not_empty(report.power)
    if table is None:
        return []
    needed = table[table["quantity"] == "needed_at_80"].groupby("effect")["n_other"].first()
    sizes = table.loc[table["quantity"] == "power", ["n_reference", "n_other"]]
    smallest = int(sizes.to_numpy().min())
    least, most = EXPECTED_SHIFTS
    if not {least, most} <= set(needed.index) or smallest >= needed[most]:
        return []
    sentence = (
        "The cohort is small for what is asked: differences reported for single taxa are about "
        f"{least:g} to {most:g} SD ({RECALLED_WORDS}). To find them in 80 % of cohorts takes "
        f"{needed[most]:,} to {needed[least]:,} samples a group, even where one taxon alone is "
        f"tested; the smallest group here has {smallest:,}. The absence of a finding is not "
        "evidence of absence."
    )
    return [sentence]
