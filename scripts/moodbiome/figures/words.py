"""Names, numbers and lists, as titles and captions write them."""

from collections.abc import Sequence

METRICS = {
    "bray_curtis": "Bray-Curtis",
    "jaccard": "Jaccard",
    "aitchison": "Aitchison",
    "unweighted_unifrac": "unweighted UniFrac",
    "weighted_unifrac": "weighted UniFrac",
}
METHODS = {
    "clr_bias_corrected": "CLR, bias-corrected (LinDA-type)",
    "log2_proportion": "log2 proportion",
    "prevalence": "prevalence (adjusted for depth)",
    "hedges_g": "Hedges g (unadjusted)",
    "ancombc2": "ANCOM-BC2",
    "dirichlet_multinomial": "Dirichlet-multinomial (ALDEx2-type)",
}
POWER_FEATURES = {
    "taxon.from_90_percent": "prevalence ≥ 90 %",
    "taxon.50_to_90_percent": "prevalence 50 to 90 %",
    "taxon.below_50_percent": "prevalence < 50 %",
    "taxon.all": "all taxa",
    "signature_score.all": "signature score",
    "alpha_diversity.observed": "observed taxa",
    "alpha_diversity.shannon": "Shannon diversity",
}
BEYOND = " A line that reaches the edge goes on beyond it."


def plain(name: str) -> str:
    """A machine name as words: underscores to spaces.

    Examples
    --------
    >>> plain("bray_curtis")
    'bray curtis'
    """
    return name.replace("_", " ")


def count_of(number: int, noun: str) -> str:
    """A number with its noun, in the plural where it is one.

    Examples
    --------
    >>> count_of(1, "sample"), count_of(1200, "sample")
    ('1 sample', '1,200 samples')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names as they stand in a sentence; those beyond `most` are counted.

    Examples
    --------
    >>> listed(["A", "B"]), listed(list("ABCDE"), most=3)
    ('A, B', 'A, B, C and 2 others')
    """
    more = len(names) - most
    rest = f" and {count_of(more, 'other')}" if more > 0 else ""
    return ", ".join(names[:most]) + rest


def method_name(method: str) -> str:
    """What a method of differential abundance is called on the pages.

    Examples
    --------
    >>> method_name("log2_proportion"), method_name("a_new_one")
    ('log2 proportion', 'a new one')
    """
    return METHODS.get(method, plain(method))


def fragments_of(number: float) -> str:
    return count_of(int(number), "fragment")


def percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"


def left_out(names: Sequence[str], reason: str) -> str:
    return f" Not drawn ({reason}): {listed(names, 8)}." if names else ""
