"""The figures of how well the score tells the groups apart."""

import altair as alt
import pandas as pd

from moodbiome.figures.drawing import (
    FAINT,
    GROUP_COLOURS,
    PREDICTION,
    WIDTH,
    Figure,
    chart_of,
    heading_above,
    svg_of,
)
from moodbiome.figures.words import count_of, plain

_MODELS = {
    ("score", "not_fitted"): "score",
    ("covariates", "cross_validated"): "covariates",
    ("score+covariates", "cross_validated"): "score and covariates",
    ("covariates", "other_cohorts"): "covariates, other cohorts",
    ("score+covariates", "other_cohorts"): "score and covariates, other cohorts",
    ("trained", "cross_validated"): "trained model",
    ("trained", "other_cohorts"): "trained model, other cohorts",
}


def _model_names(table: pd.DataFrame) -> pd.Series:
    pairs = zip(table["model"], table["validation"], strict=True)
    return pd.Series([_MODELS[pair] for pair in pairs], table.index)


def evaluation(table: pd.DataFrame, comparison: str, key: str = "evaluation") -> Figure:
    """Area under the ROC curve of each model in each cohort, with its interval.

    Parameters
    ----------
    table : DataFrame
        Rows of one assay and comparison of ``evaluation.tsv``: columns cohort, model, validation,
        n_cohorts, n_reference, n_other, auc, low, high, p_permutation, prediction_low,
        prediction_high.
    comparison : str
        In words.
    key : str
    """
    drawn = table.assign(model=_model_names(table), cohort=table["cohort"].map(plain))
    cohorts = list(dict.fromkeys(drawn["cohort"]))
    # The score comes first, or the trained model where it beat the score.
    models = list(dict.fromkeys(drawn["model"]))
    scale = alt.Scale(domain=[min(0.3, float(drawn["low"].min())), 1], nice=False, zero=False)
    title = "Area under the ROC curve; 0.5: no better than chance"
    rows = {
        "y": alt.Y("cohort:N", title=None, sort=cohorts, axis=alt.Axis(labelLimit=200)),
        "yOffset": alt.YOffset("model:N", sort=models),
        "color": alt.Color(
            "model:N",
            title=None,
            sort=models,
            scale=alt.Scale(domain=models, range=list(GROUP_COLOURS[: len(models)])),
            legend=alt.Legend(orient="top", columns=2, labelLimit=400),
        ),
    }
    base = chart_of(drawn[["cohort", "model", "auc", "low", "high", *PREDICTION]])
    layers = [
        chart_of(pd.DataFrame({"auc": [0.5]}))
        .mark_rule(color=FAINT)
        .encode(x=alt.X("auc:Q", title=title, scale=scale))
    ]
    if drawn["prediction_low"].notna().any():
        layers.append(
            base.transform_filter("isValid(datum.prediction_low)")
            .mark_rule(strokeWidth=1, strokeDash=[4, 3], clip=True)
            .encode(
                x=alt.X("prediction_low:Q", title=title, scale=scale),
                x2="prediction_high:Q",
                **rows,
            )
        )
    layers += [
        base.mark_rule(strokeWidth=2.5, clip=True).encode(
            x=alt.X("low:Q", title=title, scale=scale), x2="high:Q", **rows
        ),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            x=alt.X("auc:Q", title=title, scale=scale), **rows
        ),
    ]
    step = 15 * len(models) + 8
    chart = alt.layer(*layers).properties(width=WIDTH - 260, height=step * len(cohorts))
    whole = drawn["n_cohorts"] == drawn["n_cohorts"].max()
    first = drawn[whole & (drawn["validation"] == "not_fitted")].iloc[0]
    caption = (
        f"{comparison}: {count_of(int(first['n_other']), 'sample')} against "
        f"{int(first['n_reference'])} of the reference"
        + (f", in {len(cohorts) - 1} cohorts and pooled within them" if len(cohorts) > 1 else "")
        + ". Points: share of pairs, one sample of each group, in which the other group's has the "
        "larger value; lines: 95 % intervals. The score was not fitted to these samples; the other "
        "models were, and are judged on samples they were not fitted to: out of fold in "
        "their own cohort, or, named “other cohorts”, as fitted to all the others."
        + (
            " Dashed: 95 % prediction interval, where a further cohort would lie."
            if drawn["prediction_low"].notna().any()
            else ""
        )
    )
    columns = ["cohort", "model", "n_reference", "n_other", "auc", "low", "high", "p_permutation"]
    return Figure(
        key,
        f"Area under the ROC curve: {comparison}",
        caption,
        svg_of(chart, key, f"Area under the ROC curve, {comparison}"),
        drawn[[*columns, *PREDICTION]],
        "results/signature/evaluation.tsv",
    )


def calibration(table: pd.DataFrame, comparison: str, key: str = "calibration") -> Figure:
    """Predicted and observed share of the other group, one panel a model.

    Parameters
    ----------
    table : DataFrame
        Rows of one assay, comparison and cohort of ``calibration.tsv``: columns model, validation,
        bin, n, predicted, observed, low, high.
    comparison : str
        In words.
    key : str
    """
    drawn = table.assign(model=_model_names(table))
    models = [name for name in _MODELS.values() if name in set(drawn["model"])]
    scale = alt.Scale(domain=[0, 1])
    x = alt.X("predicted:Q", title="Predicted share", scale=scale)
    y = alt.Y("observed:Q", title="Observed share", scale=scale)
    diagonal = pd.DataFrame({"predicted": [0, 1], "observed": [0, 1]})
    panels = []
    for name in models:
        base = chart_of(drawn.loc[drawn["model"] == name, ["predicted", "observed", "low", "high"]])
        panels.append(
            alt.layer(
                chart_of(diagonal).mark_line(color=FAINT, strokeWidth=1).encode(x=x, y=y),
                base.mark_rule(color="#0072B2").encode(
                    x=x, y=alt.Y("low:Q", title="Observed share", scale=scale), y2="high:Q"
                ),
                base.mark_point(filled=True, size=45, color="#0072B2", opacity=1).encode(x=x, y=y),
            ).properties(width=200, height=200, title=heading_above(name))
        )
    n = int(drawn.groupby("model")["n"].sum().max())
    caption = (
        f"{comparison}: n = {count_of(n, 'sample')}, in bins of equal size. "
        "Probabilities are of samples that the model was not fitted to; that of the score comes "
        "from a regression on it. Lines: 95 % intervals; grey: prediction and observation agree. "
        "The share of the group is that of these samples, not of any population."
    )
    return Figure(
        key,
        f"Calibration: {comparison}",
        caption,
        svg_of(alt.concat(*panels, columns=3), key, f"Calibration, {comparison}"),
        drawn[["model", "bin", "n", "predicted", "observed", "low", "high"]],
        "results/signature/calibration.tsv",
    )


def roc(table: pd.DataFrame, comparison: str, key: str = "roc") -> Figure:
    """ROC curve of each model with its pointwise band, one panel a model.

    Parameters
    ----------
    table : DataFrame
        Rows of one assay and comparison of ``roc.tsv``: columns cohort, model, validation,
        false_positive_share, true_positive_share, low, high.
    comparison : str
        In words.
    key : str
    """
    drawn = table.assign(model=_model_names(table))
    x = alt.X("false_positive_share:Q", title="Share of false positives")
    title = "Share of true positives"
    y = alt.Y("true_positive_share:Q", title=title, scale=alt.Scale(domain=[0, 1]))
    diagonal = pd.DataFrame({"false_positive_share": [0, 1], "true_positive_share": [0, 1]})
    columns = ["false_positive_share", "true_positive_share", "low", "high"]
    panels = []
    for name, part in drawn.groupby("model", sort=False):
        base = chart_of(part[columns])
        panels.append(
            alt.layer(
                base.mark_area(color="#0072B2", opacity=0.25).encode(
                    x=x, y=alt.Y("low:Q", title=title), y2="high:Q"
                ),
                chart_of(diagonal).mark_line(color=FAINT, strokeWidth=1).encode(x=x, y=y),
                base.mark_line(color="#0072B2", strokeWidth=2).encode(x=x, y=y),
            ).properties(width=200, height=200, title=heading_above(str(name)))
        )
    cohorts = drawn["cohort"].map(plain).unique()
    caption = (
        f"{comparison}: of the samples with a value above a threshold, the share among those of "
        "the group (true positives) against that among the reference (false positives), at every "
        f"threshold; {' and '.join(cohorts)}. Bands: 95 % intervals at each point, subjects drawn "
        "anew; grey: no better than chance. No threshold is recommended, and none is a diagnosis."
    )
    return Figure(
        key,
        f"ROC curves: {comparison}",
        caption,
        svg_of(alt.concat(*panels, columns=3), key, f"ROC curves, {comparison}"),
        drawn[["model", *columns]],
        "results/signature/roc.tsv",
    )
