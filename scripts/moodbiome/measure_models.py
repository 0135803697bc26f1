"""Features of the community on measured variables, and whether findings hold in fewer samples.

A feature (a taxon, an alpha diversity metric, the signature score) is always the outcome, so that
one design serves all features: the models are those of `moodbiome.association`.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from moodbiome.abundance_methods import structural_zeros
from moodbiome.association import (
    Design,
    build_design,
    fit_linear,
    mode,
    modelled_logs,
    require_taxa,
)
from moodbiome.community_types import contrast as between_types
from moodbiome.dictionary import CENSORING, Field
from moodbiome.faults import NotRun
from moodbiome.formula import columns_of, formula_of, names_in, without_column
from moodbiome.measures import kind_of
from moodbiome.modules import NOT_COMPUTABLE, log2_abundance

MAIN = "main"
RUNS = (MAIN, "without_antidepressants", "without_recent_antibiotics", "adjusted_for_stool")

MEASURE_COLUMNS = [
    *("assay", "measure", "kind", "feature_kind", "feature", "name", "contrast"),
    *("effect", "low", "high", "effect_unit", "effect_sd", "p", "q", "n", "n_censored"),
    *("method", "family", "adjusted_for", "run"),
]
SENSITIVITY_COLUMNS = [
    *("assay", "feature_kind", "feature", "name", "term", "run"),
    *("main_effect", "main_low", "main_high", "main_n"),
    *("effect", "low", "high", "effect_unit", "p", "n", "same_sign", "excludes_zero"),
]

MODULE_COLUMNS = [
    *("assay", "module", "name", "term", "effect", "low", "high", "effect_unit", "effect_sd"),
    *("p", "q", "n", "prevalence", "method"),
]
TYPE_COLUMNS = [
    *("assay", "typing", "module", "name", "test", "term", "effect", "low", "high"),
    *("effect_unit", "statistic", "df", "p", "q", "n", "n_of"),
]

# Samples beyond the number of parameters; with fewer the residual variance is a guess.
_MIN_SPARE_SAMPLES = 5
# Above it the expectation beyond the limit rests on the assumed tail more than on measurements.
_MAX_CENSORED = 0.5
_LEVEL = 0.95
# Modules that a reason names; the others are counted.
_MOST_NAMED = 3


class Features(NamedTuple):
    """Outcomes of one kind.

    Attributes
    ----------
    kind : str
        Of {'taxon', 'alpha_diversity', 'signature', 'function'}.
    outcomes : DataFrame of shape (n_samples, n_features)
        Missing where a sample has no value.
    names : Series
        Name by feature, for people.
    unit : str
        Of the outcomes, or "of the metric" if each has its own.
    method : str
        Of taxa, one of `measures.LINEAR_METHODS`; of modules ``log2_abundance``.
    present : DataFrame of shape (n_samples, n_features) or None
        Of taxa, whether the sample has a fragment; of modules, whether it has any copy.
    """

    kind: str
    outcomes: pd.DataFrame
    names: pd.Series
    unit: str
    method: str = ""
    present: pd.DataFrame | None = None


def run_words(name: str) -> str:
    """A run as people say it.

    >>> run_words("without_antidepressants")
    'without antidepressants'
    """
    return name.replace("_", " ")


class Run(NamedTuple):
    """A subset of the samples, or further covariates: one way to repeat an analysis.

    Attributes
    ----------
    name : str
        One of `RUNS`.
    samples : Index
    adjust_for : tuple of str
        Further covariates.
    selects_by : tuple of str
        Columns that say who is left out, which are no measured variables of this run.
    """

    name: str
    samples: pd.Index
    adjust_for: tuple[str, ...] = ()
    selects_by: tuple[str, ...] = ()


def taxon_features(
    counts: pd.DataFrame,
    n_classified: pd.Series,
    names: pd.Series,
    method: str = "clr_bias_corrected",
    min_prevalence: float = 0.10,
    min_mean_abundance: float = 1e-4,
) -> Features:
    """Taxa that pass `association.screen_taxa`, as two methods of `linear_models` have them.

    Parameters
    ----------
    counts : DataFrame of shape (n_taxa, n_samples)
        Fragments of the samples to be analysed, indexed by taxon identifier.
    n_classified : Series
        Denominator by sample, in fragments.
    names : Series
        Name by taxon identifier.
    method : str
        ``log2_proportion``, or ``clr_bias_corrected``: minus each sample's mean over these taxa.
    min_prevalence, min_mean_abundance : float
        See `association.screen_taxa`.

    Raises
    ------
    NotRun
        If no taxon passes, or too few for the method.
    """
    screen = require_taxa(counts, n_classified, method, min_prevalence, min_mean_abundance)
    tested = counts[screen["tested"].to_numpy()]
    logs = modelled_logs(tested, n_classified, method)
    values = pd.DataFrame(logs, counts.columns, tested.index)
    return Features("taxon", values, names, "log2 fold change", method, tested.T > 0)


def alpha_features(alpha: pd.DataFrame) -> Features:
    """Alpha diversity of one assay's samples, from ``alpha.tsv``, in the metrics' own units."""
    by_metric = {
        str(metric): part.set_index("sample")["value"]
        for metric, part in alpha.groupby("metric", sort=False)
        if metric != "hill_q0"  # the same numbers as `observed`
    }
    values = pd.DataFrame(by_metric, dtype=float)
    names = pd.Series({metric: metric.replace("_", " ") for metric in by_metric}, dtype=object)
    return Features("alpha_diversity", values, names, "of the metric")


def score_features(scores: pd.DataFrame) -> Features:
    """The signature score of one assay's samples, from ``scores.tsv``."""
    values = scores.set_index("sample")[["score"]]
    return Features("signature", values, pd.Series({"score": "signature score"}), "natural log")


def comparable_modules(
    modules: pd.DataFrame, min_prevalence: float = 0.10
) -> tuple[pd.DataFrame, list[str]]:
    """Log2 abundances of the modules that can be compared, and in words which cannot.

    Modules that no gene can tell (``not_computable``) are neither compared nor named: that they
    are not is a matter of their definition, and of no data.

    Parameters
    ----------
    modules : DataFrame
        As of `function_features`.
    min_prevalence : float
        See `modules.log2_abundance`.

    Returns
    -------
    values : DataFrame of shape (n_samples, n_modules)
    left_out : list of str
        One text a reason, with how many modules it holds for and the names of the first.

    Examples
    --------
    >>> rows = [(s, m, m.upper(), None, "not_assessable") for m in "abcd" for s in ("S1", "S2")]
    >>> rows += [("S1", "e", "E", 4.0, "present"), ("S2", "e", "E", 0.0, "absent")]
    >>> columns = ["sample", "module", "name", "abundance", "status"]
    >>> table = pd.DataFrame(rows, columns=columns).assign(unit="copies per genome")
    >>> values, left_out = comparable_modules(table)
    >>> list(values), left_out
    (['e'], ['4 modules that the gene families do not tell, among them “A”, “B”, “C”'])
    """
    computable = modules[modules["status"] != NOT_COMPUTABLE]
    measured = computable.groupby("module", sort=False)["abundance"].count() > 0
    names = computable.drop_duplicates("module").set_index("module")["name"]
    without = names[measured.index[~measured]].tolist()
    told = computable[computable["module"].isin(measured.index[measured])]
    values, left_out = log2_abundance(told, min_prevalence)
    said = [_counted(without, "that the gene families do not tell")] if without else []
    for text in left_out:
        reason, _, listed = text.partition(": ")
        said.append(_counted(names[listed.split(", ")].tolist(), reason))
    return values, said


def _counted(names: Sequence[str], reason: str) -> str:
    """How many modules a reason holds for, and the first by name; names hold commas.

    >>> _counted(["Acetate"], "in no sample")
    '1 module in no sample: “Acetate”'
    >>> _counted(["A", "B", "C", "D"], "in no sample")
    '4 modules in no sample, among them “A”, “B”, “C”'
    """
    quoted = ", ".join(f"“{name}”" for name in names[:_MOST_NAMED])
    link = ", among them" if len(names) > _MOST_NAMED else ":"
    return f"{len(names)} module{'s' if len(names) > 1 else ''} {reason}{link} {quoted}"


def function_features(
    modules: pd.DataFrame, min_prevalence: float = 0.10
) -> tuple[Features, list[str]]:
    """Modules of one assay's samples, as log2 of their abundance; which are left out, and why.

    Parameters
    ----------
    modules : DataFrame
        Rows of ``function/modules.tsv`` of the assay and of the samples to be analysed.
    min_prevalence : float
        See `modules.log2_abundance`.

    Raises
    ------
    NotRun
        If no module can be compared, or none is in a unit that can be.
    """
    values, left_out = comparable_modules(modules, min_prevalence)
    if values.empty:
        raise NotRun("; ".join(["no module can be compared", *left_out]))
    copies = modules.set_index(["sample", "module"])["abundance"]
    present = pd.DataFrame(
        {module: copies.xs(module, level="module") > 0 for module in values.columns}
    )
    names = modules.drop_duplicates("module").set_index("module")["name"]
    present = present.loc[values.index]
    block = Features("function", values, names, "log2 fold change", "log2_abundance", present)
    return block, left_out


def model_features(block: Features, design: Design) -> pd.DataFrame:
    """Effects of all terms of a design on each feature: least squares, or a random intercept.

    Parameters
    ----------
    block : Features
        Of samples that hold those of the design, without missing values.
    design : Design

    Returns
    -------
    DataFrame
        One row a feature and column of the design, columns `MODULE_COLUMNS` but for the assay.
        ``effect`` is a log2 fold change, none where one of two groups has no copy. ``q`` is
        Benjamini-Hochberg over the features of a term; ``prevalence`` the share of the samples
        with any copy.
    """
    columns = [column for columns in design.terms.values() for column in columns]
    values = block.outcomes.loc[design.matrix.index]
    table = pd.concat(_fit(values, design, columns, block), ignore_index=True)
    table["q"] = table.groupby("term", sort=False)["p"].transform(_q_values)
    fit = "least squares" if design.groups is None else "random intercept"
    table = table.rename(columns={"feature": "module"})
    present = block.present if block.present is not None else values.notna()
    return table.assign(
        name=table["module"].map(block.names),
        effect_unit=block.unit,
        prevalence=table["module"].map(present.loc[values.index].mean()),
        method=", ".join(filter(None, (block.method, fit))),
    )[MODULE_COLUMNS[1:]]


def contrast_types(
    block: Features,
    types: pd.DataFrame,
    metadata: pd.DataFrame,
    group: str,
    reference: str,
    subject: str = "subject",
) -> tuple[pd.DataFrame, list[str]]:
    """Each feature between community types, and the groups' difference adjusted for them.

    Parameters
    ----------
    block : Features
    types : DataFrame
        Indexed by sample, with ``reference_type`` and ``cohort_type``.
    metadata : DataFrame
        Indexed by sample.
    group, reference, subject : str
        See `community_types.contrast`.

    Returns
    -------
    table : DataFrame
        Tests of `community_types.contrast` of each feature, columns `TYPE_COLUMNS` but for the
        assay; ``q`` is Benjamini-Hochberg over the features of a typing, test and term.
    not_run : list of str
        Why a test is missing, by typing.
    """
    parts, reasons = [], []
    for typing, column in (("reference", "reference_type"), ("cohort", "cohort_type")):
        if types[column].isna().all():
            reasons.append(f"no sample has a type ({typing} types)")
            continue
        for feature in block.outcomes.columns.astype(str):
            values = block.outcomes[feature]
            found = between_types(values, types[column], metadata, group, reference, subject)
            reasons += [
                f"{test} of {typing} types: {reason}"
                for test, reason in zip(found["test"], found["reason"], strict=True)
                if reason
            ]
            found = found[found["reason"] == ""].assign(typing=typing, module=feature)
            # Of the values, whose unit is not that of the score.
            is_log = found["effect_unit"] == "natural log"
            parts.append(found.assign(effect_unit=found["effect_unit"].mask(is_log, block.unit)))
    not_run = list(dict.fromkeys(reasons))
    parts = [part for part in parts if len(part)]
    if not parts:
        return pd.DataFrame(columns=TYPE_COLUMNS[1:]), not_run
    table = pd.concat(parts, ignore_index=True)
    keys = ["typing", "test", "term"]
    table["q"] = table.groupby(keys, sort=False)["p"].transform(_q_values)
    table["name"] = table["module"].map(block.names)
    return table[TYPE_COLUMNS[1:]], not_run


def community_features(
    counts: pd.DataFrame,
    n_classified: pd.Series,
    names: pd.Series,
    alpha: pd.DataFrame,
    scores: pd.DataFrame,
    method: str,
    **filters: float,
) -> tuple[list[Features], list[str]]:
    """Taxa, alpha diversity and score of one assay; why there are no taxa, if there are none.

    Parameters are those of `taxon_features`, `alpha_features` and `score_features`.
    """
    others, refused = [alpha_features(alpha), score_features(scores)], []
    try:
        others.insert(0, taxon_features(counts, n_classified, names, method, **filters))
    except NotRun as refusal:
        refused.append(refusal.reason)
    return [features for features in others if not features.outcomes.empty], refused


def canonical_categories(metadata: pd.DataFrame, dictionary: Mapping[str, Field]) -> pd.DataFrame:
    """The same table with each category of the dictionary by its first spelling.

    So ``1``, ``Y`` and ``true`` of a yes-or-no field are all ``yes``, and not numbers.
    """
    table = metadata.copy()
    for column in table.columns:
        field = dictionary.get(column)
        if field is None or field.kind != "category":
            continue
        first = {word.lower(): words[0] for words in field.categories for word in words}
        known = table[column].dropna()
        text = known.map(lambda cell: f"{cell:g}" if isinstance(cell, float) else str(cell))
        table[column] = text.str.lower().map(first).reindex(table.index)
    return table


def missing_by_sample(metadata: pd.DataFrame, columns: Sequence[str]) -> dict[str, str]:
    """Which of some columns a sample lacks, for those that lack any.

    >>> sheet = pd.DataFrame({"age": [40, None], "phq9_total": [3, 9]}, index=["S1", "S2"])
    >>> missing_by_sample(sheet, ["phq9_total", "age", "bmi"])
    {'S2': 'missing age'}
    """
    present = [column for column in dict.fromkeys(columns) if column in metadata]
    absent = metadata[present].isna()
    return {
        str(sample): "missing " + ", ".join(row.index[row])
        for sample, row in absent[absent.any(axis="columns")].iterrows()
    }


def sensitivity_runs(
    metadata: pd.DataFrame, min_antibiotics_days: float
) -> tuple[list[Run], dict[str, str]]:
    """The main run and those that leave out samples or adjust for more.

    Parameters
    ----------
    metadata : DataFrame
        Indexed by sample, as `canonical_categories` gives it.
    min_antibiotics_days : float
        Days since the last antibiotic below which a sample is left out; one without a number stays.

    Returns
    -------
    runs : list of Run
        The main one first.
    not_run : dict of str to str
        Reason by name of the run.
    """
    runs, not_run = [Run(MAIN, metadata.index)], {}

    def subset(name: str, kept: pd.Series, whom: str, *selects_by: str) -> None:
        if kept.all():
            not_run[name] = f"no sample of {whom}: it would equal the main analysis"
        elif not kept.any():
            not_run[name] = f"every sample is of {whom}, or it is not known"
        else:
            runs.append(Run(name, metadata.index[kept], (), selects_by))

    without_drug, without_antibiotics, stool = RUNS[1:]
    unused = {"antidepressant": "no", "antidepressant_class": "none"}
    known = [column for column in unused if column in metadata]
    if known:
        kept = metadata[known[0]].eq(unused[known[0]])
        subset(without_drug, kept, "a user of antidepressants", *unused)
    else:
        not_run[without_drug] = "the sheet has no column 'antidepressant'"
    if "antibiotics_days" in metadata:
        recent = metadata["antibiotics_days"].astype(float) < min_antibiotics_days
        whom = f"antibiotics within {min_antibiotics_days:g} days"
        subset(without_antibiotics, ~recent, whom)
    else:
        not_run[without_antibiotics] = "the sheet has no column 'antibiotics_days'"
    if "bristol" in metadata:
        runs.append(Run(stool, metadata.index, ("bristol",)))
    else:
        not_run[stool] = "the sheet has no column 'bristol'"
    return runs, not_run


def associate_measures(
    features: Sequence[Features],
    metadata: pd.DataFrame,
    measures: Sequence[str],
    adjust_for: Sequence[str],
    runs: Sequence[Run],
    dictionary: Mapping[str, Field],
    subject: str = "subject",
) -> tuple[pd.DataFrame, list[str]]:
    """Association of each feature with each measured variable, adjusted, in each run.

    ``feature ~ measure + covariates``, by least squares, or with a random intercept where subjects
    repeat. A number enters per standard deviation, a category against its reference ("no", or the
    first that the dictionary lists), a concentration as its log2; one beyond the detection limit by
    its expectation (`censored_expectation`).

    Parameters
    ----------
    features : sequence of Features
    metadata : DataFrame
        Indexed by sample, as `canonical_categories` gives it.
    measures, adjust_for : sequences of str
        Columns. Covariates that are absent, constant in the samples at hand or the measure itself
        are left out; the column ``adjusted_for`` says which stayed.
    runs : sequence of Run
    dictionary : mapping of str to Field
    subject : str
        Column of the random intercept.

    Returns
    -------
    table : DataFrame
        One row a run, measure, contrast and feature: `MEASURE_COLUMNS` but for the assay; none of
        the measures that a run adjusts for or selects by. `q` is
        Benjamini-Hochberg within run and family (kind of measure x kind of feature).
    not_run : list of str
        What was not run, and why.
    """
    parts: list[pd.DataFrame] = []
    refused: dict[tuple[str, str], list[str]] = defaultdict(list)
    for run in runs:
        table = metadata.loc[run.samples]
        for measure in measures:
            if measure in (*run.adjust_for, *run.selects_by):
                continue
            covariates = [
                column
                for column in dict.fromkeys([*adjust_for, *run.adjust_for])
                if column in metadata and column != measure
            ]
            reasons = {}
            for block in features:
                try:
                    found = _associate(block, table, measure, covariates, dictionary, subject)
                    parts.append(found.assign(run=run.name))
                except NotRun as refusal:
                    reasons[block.kind] = refusal.reason
            alike = len(reasons) == len(features) and len(set(reasons.values())) == 1
            for kind, reason in reasons.items():
                label = measure if alike else f"{measure} with {kind}"
                if label not in refused[run.name, reason]:
                    refused[run.name, reason].append(label)
    not_run = [
        f"{'' if name == MAIN else f'{run_words(name)}, '}{', '.join(labels)}: {reason}"
        for (name, reason), labels in refused.items()
    ]
    if not parts:
        return pd.DataFrame(columns=MEASURE_COLUMNS[1:]), not_run
    found = pd.concat(parts, ignore_index=True)
    found["q"] = found.groupby(["run", "family"], sort=False)["p"].transform(_q_values)
    return found[MEASURE_COLUMNS[1:]], not_run


def associate_group(
    features: Sequence[Features],
    metadata: pd.DataFrame,
    formula: str,
    group: str,
    references: Mapping[str, str],
    runs: Sequence[Run],
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Whether the group's differences hold in each run: sign, and the interval without 0.

    Parameters
    ----------
    features : sequence of Features
        Of the samples of the formula's own design, so that the main effects on taxa are those of
        their method in ``differential.tsv``.
    metadata : DataFrame
        Indexed by sample, as the formula reads it.
    formula, references
        See `association.build_design`. Terms that are constant in a run's samples are taken out.
    group : str
        Column of the groups. Its interactions are not followed.
    runs : sequence of Run
        `MAIN` first.

    Returns
    -------
    table : DataFrame
        One row a feature, term of the group and run but the main one: `SENSITIVITY_COLUMNS` but
        for the assay. A feature is compared where both models have an interval.
    not_run : dict of str to str
        Reason by name of the run.
    """
    tables, not_run = {}, {}
    for run in runs:
        table = metadata.loc[run.samples]
        try:
            if already := sorted(set(run.adjust_for) & set(columns_of(formula))):
                raise NotRun(f"the formula has {', '.join(already)} already")
            constant = [name for name in columns_of(formula) if table[name].nunique() < 2]
            if group in constant:
                raise NotRun(f"column {group!r} is constant in the {len(table)} samples left")
            model = formula
            for column in constant:
                model = without_column(model, column)
            model += "".join(map(_plus, run.adjust_for))
            parts = []
            for block in features:
                for values, design in _designs(block, table, model, references):
                    if run.name != MAIN:
                        _require_samples(design)
                    columns = [
                        column
                        for term, columns in design.terms.items()
                        if ":" not in term and names_in(term) == [group]
                        for column in columns
                    ]
                    if not columns:
                        raise NotRun(f"formula {formula!r} has no term for {group!r} alone")
                    found = pd.concat(_fit(values, design, columns, block))
                    found["feature_kind"] = block.kind
                    found["name"] = found["feature"].map(block.names)
                    parts.append(found.assign(effect_unit=block.unit))
            tables[run.name] = pd.concat(parts, ignore_index=True)
        except NotRun as refusal:
            not_run[run.name] = refusal.reason
    if MAIN not in tables:
        return pd.DataFrame(columns=SENSITIVITY_COLUMNS[1:]), not_run
    keys = ["feature_kind", "feature", "term"]
    main = tables.pop(MAIN)[[*keys, "effect", "low", "high", "n"]]
    main = main.rename(columns={name: f"main_{name}" for name in ("effect", "low", "high", "n")})
    compared = [
        main.merge(table.dropna(subset=["low"]), on=keys).assign(run=name)
        for name, table in tables.items()
    ]
    if not compared:
        return pd.DataFrame(columns=SENSITIVITY_COLUMNS[1:]), not_run
    table = pd.concat(compared, ignore_index=True).dropna(subset=["main_low"])
    table["same_sign"] = np.sign(table["effect"]) == np.sign(table["main_effect"])
    table["excludes_zero"] = (table["low"] > 0) | (table["high"] < 0)
    return table[SENSITIVITY_COLUMNS[1:]], not_run


def censored_expectation(
    values: np.ndarray, censoring: np.ndarray, matrix: np.ndarray
) -> tuple[np.ndarray, float]:
    """Values with the censored ones replaced by their expectation, and the standard deviation.

    A censored regression of the values on the covariates (Tobit: normal residuals, by maximum
    likelihood) says what is expected beyond each limit. With the expectation in their place, the
    slope of an outcome on such a variable is consistent, since ``E[y | x < limit, z]`` is linear in
    it; the limit, or half of it, is not (Richardson & Ciampi 2003, Am J Epidemiol 157:355;
    Nie 2010, doi:10.1097/EDE.0b013e3181ce97d8). Where the outcome does not depend on the
    variable, the test keeps its level whatever stands there.

    Parameters
    ----------
    values : array of shape (n_samples,)
        Limits where censored; near to normal given the covariates, so concentrations as logs.
    censoring : array of shape (n_samples,)
        -1 where the value lies below the one given, 1 where it lies above, else 0.
    matrix : array of shape (n_samples, n_covariates)
        With the intercept.

    Returns
    -------
    filled : array of shape (n_samples,)
    spread : float
        Standard deviation of the variable itself, the scatter beyond the limits included.

    Examples
    --------
    >>> below = np.array([0, 0, 0, -1])
    >>> filled, spread = censored_expectation(np.array([1., 2., 3., 1.]), below, np.ones((4, 1)))
    >>> bool(filled[3] < 1), bool(spread > filled.std(ddof=1))
    (True, True)
    """
    beyond = censoring != 0
    filled, variance = values.astype(float), np.zeros(len(values))
    if not beyond.any():
        return filled, float(filled.std(ddof=1))
    sign = censoring[beyond]
    q = np.linalg.qr(matrix)[0]
    sigma = filled.std()
    for _ in range(2000):
        mean = q @ (q.T @ filled)
        new_sigma = float(np.sqrt(np.mean((filled - mean) ** 2 + variance)))
        z = sign * (values[beyond] - mean[beyond]) / new_sigma
        ratio = np.exp(stats.norm.logpdf(z) - stats.norm.logsf(z))
        expected = mean[beyond] + sign * new_sigma * ratio
        moved = np.abs(expected - filled[beyond]).max() + abs(new_sigma - sigma)
        filled[beyond], sigma = expected, new_sigma
        variance[beyond] = sigma**2 * np.clip(1 + z * ratio - ratio**2, 0, 1)
        if moved <= 1e-8 * sigma:
            break
    total = np.sum((filled - filled.mean()) ** 2) + variance.sum()
    return filled, float(np.sqrt(total / (len(filled) - 1)))


def _associate(
    block: Features,
    metadata: pd.DataFrame,
    measure: str,
    covariates: Sequence[str],
    dictionary: Mapping[str, Field],
    subject: str,
) -> pd.DataFrame:
    """Rows of one measure and kind of feature."""
    field = dictionary.get(measure)
    table, censoring = _as_modelled(metadata, measure, field)
    references = {}
    if not pd.api.types.is_numeric_dtype(table[measure]):
        levels = sorted(set(table[measure].dropna()))
        listed = [words[0] for words in field.categories] if field else []
        first = [level for level in ("no", *listed) if level in levels]
        references = {measure: (first or levels or [""])[0]}
    parts = []
    for samples in _patterns(block.outcomes, metadata.index):
        known = table.loc[samples.index, [measure, *covariates]].dropna()
        if known.empty:
            raise NotRun(f"no sample has a value of {', '.join([measure, *covariates])}")
        used = [column for column in covariates if known[column].nunique() >= 2]
        formula = formula_of(measure) + "".join(map(_plus, used))
        if subject not in (measure, *used) and _repeats(metadata.loc[known.index], subject):
            formula += f" + (1|{subject})"
        design = build_design(table.loc[samples.index], formula, references)
        _require_samples(design)
        columns = next(iter(design.terms.values()))
        marks = censoring.loc[design.matrix.index].to_numpy()
        contrasts = _contrasts(design, columns, marks, field, measure)
        method = [block.method] if block.method else []
        method.append("least squares" if design.groups is None else "random intercept")
        method += ["censored expectation"] if marks.any() else []
        for part, contrast in zip(_fit(samples, design, columns, block), contrasts, strict=True):
            parts.append(
                part.assign(
                    contrast=contrast,
                    n_censored=int((marks != 0).sum()),
                    method=", ".join(method),
                    adjusted_for=", ".join(used),
                )
            )
    kind = kind_of(measure)
    table = pd.concat(parts, ignore_index=True).assign(
        measure=measure,
        kind=kind,
        feature_kind=block.kind,
        family=f"{kind} x {block.kind}",
        effect_unit=block.unit,
    )
    table["name"] = table["feature"].map(block.names)
    return table.sort_values(["contrast", "p"], na_position="last", kind="stable")


def _repeats(metadata: pd.DataFrame, subject: str) -> bool:
    return subject in metadata and bool(metadata[subject].dropna().duplicated().any())


def _as_modelled(
    metadata: pd.DataFrame, measure: str, field: Field | None
) -> tuple[pd.DataFrame, pd.Series]:
    """The metadata with concentrations as log2, and which of them are censored, and how.

    A concentration of 0 lies below any assay's limit, which the sheet does not say: it is taken to
    lie below the smallest that was measured.
    """
    censoring = pd.Series(0, metadata.index)
    if field is None or field.kind != "detection_limited":
        return metadata, censoring
    values = metadata[measure].astype(float)
    if measure + CENSORING in metadata:
        marks = metadata[measure + CENSORING].map({"below": -1, "above": 1})
        censoring = marks.fillna(0).astype(int)
    if not (values > 0).any():
        raise NotRun("no sample has a value above 0")
    censoring[values == 0] = -1
    values = values.mask(values == 0, values[values > 0].min())
    return metadata.assign(**{measure: np.log2(values)}), censoring


def _contrasts(
    design: Design,
    columns: Sequence[str],
    censoring: np.ndarray,
    field: Field | None,
    measure: str,
) -> list[str]:
    """Scale a measure of numbers, in place, to its standard deviation; and what effects compare."""
    if reference := design.references.get(measure):
        levels = [column.rpartition("[T.")[2].removesuffix("]") for column in columns]
        return [f"{level} against {reference}" for level in levels]
    (column,) = columns
    share = (censoring != 0).mean()
    if share > _MAX_CENSORED:
        raise NotRun(
            f"{share:.0%} of {len(censoring)} values lie beyond the detection limit, more than "
            f"{_MAX_CENSORED:.0%}: name a column that says whether it was detected (yes or no)"
        )
    covariates = design.matrix.drop(columns=column).to_numpy(float)
    values = design.matrix[column].to_numpy(float)
    filled, spread = censored_expectation(values, censoring, covariates)
    design.matrix[column] = (filled - filled.mean()) / spread
    is_log = field is not None and field.kind == "detection_limited"
    unit = "doublings" if is_log else (field.unit if field else "")
    return [f"per SD ({spread:.3g}{' ' if unit else ''}{unit})"]


def _fit(
    values: pd.DataFrame, design: Design, columns: Sequence[str], block: Features
) -> list[pd.DataFrame]:
    """Effects of each of some columns of a design on all features at once.

    A taxon that one of two groups is without has none, as in `association.linear_models`.
    """
    samples = design.matrix.index
    response = values.loc[samples].to_numpy(float)
    coefficients, errors, freedom = fit_linear(response, design)
    if block.method == "clr_bias_corrected":
        coefficients = coefficients - [[mode(row)] for row in coefficients]
    lacking = pd.DataFrame()
    if block.present is not None:
        present = block.present.loc[samples].to_numpy().T
        lacking = structural_zeros(present, design.matrix, design.levels)
    spread = response.std(axis=0, ddof=1)
    parts = []
    for column in columns:
        j = design.matrix.columns.get_loc(column)
        is_zero = (lacking[column] != "").to_numpy() if column in lacking else False
        effect = np.where(is_zero, np.nan, coefficients[j])
        error = np.where(errors[j] > 0, errors[j], np.nan)
        margin = stats.t.ppf(0.5 + _LEVEL / 2, freedom[j]) * error
        parts.append(
            pd.DataFrame(
                {
                    "feature": values.columns,
                    "term": column,
                    "effect": effect,
                    "low": effect - margin,
                    "high": effect + margin,
                    "effect_sd": effect / np.where(spread > 0, spread, np.nan),
                    "p": 2 * stats.t.sf(np.abs(effect / error), freedom[j]),
                    "n": len(response),
                }
            )
        )
    return parts


def _patterns(values: pd.DataFrame, samples: pd.Index) -> Iterator[pd.DataFrame]:
    """Features that lack the same samples, without those: each can have one design."""
    present = values.reindex(samples)
    absent = present.isna().to_numpy()
    if not absent.any():
        yield present
        return
    if absent.all():
        raise NotRun("no sample has a value of the features")
    alike: dict[bytes, list[int]] = defaultdict(list)
    for j in range(absent.shape[1]):
        alike[absent[:, j].tobytes()].append(j)
    for features in alike.values():
        if not absent[:, features[0]].all():
            yield present.iloc[:, features].dropna()


def _designs(
    block: Features, metadata: pd.DataFrame, formula: str, references: Mapping[str, str]
) -> Iterator[tuple[pd.DataFrame, Design]]:
    for values in _patterns(block.outcomes, metadata.index):
        yield values, build_design(metadata.loc[values.index], formula, references)


def _require_samples(design: Design) -> None:
    n, parameters = design.matrix.shape
    if n < parameters + _MIN_SPARE_SAMPLES:
        raise NotRun(
            f"{n} samples for {parameters} parameters, fewer than {_MIN_SPARE_SAMPLES} to spare"
        )


def _plus(column: str) -> str:
    return " +" + formula_of(column).removeprefix("~")


def _q_values(p: pd.Series) -> np.ndarray:
    q = np.full(len(p), np.nan)
    known = p.notna().to_numpy()
    if known.any():
        q[known] = stats.false_discovery_control(p[known], method="bh")
    return q
