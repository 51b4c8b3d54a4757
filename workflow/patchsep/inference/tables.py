"""Tables of r: what was selected and what it comes to, and every configuration."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import pandas as pd
from scipy.stats import binom

from ..fields.moments import ALL, UNLIKELY
from ..fields.residual_tests import CHI2
from ..fields.systematics import ANY, SPINNING
from ..files.columns import in_columns
from ..files.versions import WARNING
from ..instrument.miscalibration import OF_BANDS
from ..separation.partitions import COUNT, patch_count_columns
from ..sky.regions import COMBINED
from .r_likelihood import bias_and_width
from .selection import CRITERIA
from .sets import KINDS, LABEL, headline

# Joint tests of an observation together.
ALARM = "alarm"
# Methods are compared within one of these.
GAIN_OF = ["set", "criterion", "region", *KINDS]
PUBLISHED_KIND = pd.Series({"pixel_weights": "uniform", "foreground_residual": "neglected"})
# Columns of the text that hold words, before those of numbers.
N_WORDS = 3
# Columns of the table of all configurations, but for the numbers of patches.
LABEL_COLUMNS = ["method", "region", "configuration"]
ESTIMATE_COLUMNS = [
    "r_hat",
    "sigma_r_minus",
    "sigma_r_plus",
    "foreground_residual",
    *CRITERIA.values(),
    "nll",
    "f_sky",
    "n_realizations",
    "n_unconverged",
    "n_unconverged_systematic",
    "n_at_bounds",
]


def configuration_table(estimates: dict[tuple[str, str], pd.DataFrame]) -> pd.DataFrame:
    """All configurations: rows of the estimates of every (method, region), in that order.

    There are none where no method divides regions into patches.
    """
    if not estimates:
        return pd.DataFrame(columns=[*LABEL_COLUMNS, *ESTIMATE_COLUMNS])
    tables = [
        table.assign(method=method, region=region) for (method, region), table in estimates.items()
    ]
    table = pd.concat(tables, ignore_index=True)
    return table[[*LABEL_COLUMNS, *patch_count_columns(table), *ESTIMATE_COLUMNS]]


def selection_table(estimates: dict[tuple[str, str], pd.DataFrame]) -> pd.DataFrame:
    """What every criterion selected: `estimates` of the `SetTables` of every (set, method)."""
    tables = []
    for (name, method), table in estimates.items():
        table = table.copy()
        table.insert(0, "set", name)
        table.insert(1, "method", method)
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    first, counts = ["set", "method", "criterion", *LABEL], patch_count_columns(table)
    others = [column for column in table if column not in (*first, *counts)]
    return with_whole_counts(table[[*first, *counts, *others]])


def with_whole_counts(table: pd.DataFrame) -> pd.DataFrame:
    """The same with whole numbers of patches, which rows of methods without patches lack."""
    return table.astype(dict.fromkeys(patch_count_columns(table), "Int64"))


def summary_table(selection: pd.DataFrame, criterion: str) -> pd.DataFrame:
    """What one criterion selected, the `headline` row of every set, method and region."""
    return headline(criterion, selection).reset_index(drop=True)


def gains_table(
    selection: pd.DataFrame, samples: dict[tuple[str, str], pd.DataFrame]
) -> pd.DataFrame:
    """r_upper68 of every method over that of every later one.

    Parameters
    ----------
    selection : DataFrame
        See `selection_table`.
    samples : dict of (str, str) to DataFrame
        Bootstrap samples by (set, method); those of one set are paired.

    Returns
    -------
    DataFrame
        `GAIN_OF`, `method`, `reference`, `ratio` and its error.
    """
    by_label = {
        key: dict(list(table.groupby(LABEL)["r_upper68"])) for key, table in samples.items()
    }
    rows = []
    for key, group in selection.groupby(GAIN_OF, sort=False):
        for (_, one), (_, other) in combinations(group.iterrows(), 2):
            drawn, reference = (
                by_label[row["set"], row["method"]][tuple(row[LABEL])].to_numpy()
                for row in (one, other)
            )
            rows.append(
                {
                    **dict(zip(GAIN_OF, key, strict=True)),
                    "method": one["method"],
                    "reference": other["method"],
                    "ratio": one["r_upper68"] / other["r_upper68"],
                    "ratio_error": (drawn / reference).std(ddof=1),
                }
            )
    columns = [*GAIN_OF, "method", "reference", "ratio", "ratio_error"]
    return pd.DataFrame(rows, columns=columns)


def combined_rows(
    selection: pd.DataFrame, pairs: list[tuple[str, str]], criterion: str, theory: str
) -> pd.DataFrame:
    """Rows of the selection's table of all regions combined, of these (set, method)."""
    wanted = pd.MultiIndex.from_frame(selection[["set", "method"]]).isin(pairs)
    rows = selection[
        wanted
        & selection["criterion"].eq(criterion)
        & selection["region"].eq(COMBINED)
        & selection["theory"].eq(theory)
    ]
    return with_whole_counts(rows)


def as_published(table: pd.DataFrame) -> pd.Series:
    """Whether rows are measured as published: uniform weights, residuals neglected."""
    return table[PUBLISHED_KIND.index].eq(PUBLISHED_KIND).all(axis=1)


def relative_to_first(
    selection: pd.DataFrame, samples: dict[tuple[str, str], pd.DataFrame]
) -> pd.DataFrame:
    """Rows of the selection's table with `ratio` of |r_hat - r_input| + sigma_+, and `ratio_error`.

    It is that to the first method's, measured with what is nearest to what is published: uniform
    weights and neglected residuals, where there are such.

    Parameters
    ----------
    selection : DataFrame
        Of one criterion, region and theory.
    samples :
        See `gains_table`.
    """

    def extent(of, r_input):
        return bias_and_width(of["r_hat"], of["sigma_r_plus"], r_input)

    def drawn(row):
        table = samples[row["set"], row["method"]]
        own = table[table[LABEL].eq(row[LABEL]).all(axis=1)]
        return extent(own, row["r_input"]).to_numpy()

    rows = []
    for _, of_set in selection.groupby("set", sort=False):
        of_first = of_set[of_set["method"] == of_set["method"].iloc[0]]
        published = of_first[PUBLISHED_KIND.index].eq(PUBLISHED_KIND).sum(axis=1)
        first = of_first.loc[published.idxmax()]
        reference = drawn(first)
        for _, row in of_set.iterrows():
            ratio = extent(row, row["r_input"]) / extent(first, first["r_input"])
            # None of the first with itself.
            error = (drawn(row) / reference).std(ddof=1)
            rows.append(row.to_dict() | {"ratio": ratio, "ratio_error": error})
    return with_whole_counts(pd.DataFrame(rows))


def model_table(tests: list[tuple[str, str, pd.DataFrame]]) -> pd.DataFrame:
    """Whether the skies of a set ask for more than the spectral model.

    Parameters
    ----------
    tests : list of (str, str, DataFrame)
        Set, method and `field_skies.moment_tests` of every sky.

    Returns
    -------
    DataFrame
        By set, method, region and moment: the mean `moment` and its `error` in one observation,
        how many of `n_observations` are `n_unlikely` under the spectral model, and the probability
        of that many or more, `by_chance`. Rows of `ALARM` count observations that some joint test
        finds unlikely, together as seldom as one test would.
    """
    of_row = ["parameter", "with_parameter"]
    keys = ["set", "method", "region", *of_row]
    columns = [*keys, "moment", "error", "n_unlikely", "n_observations", "by_chance"]
    if not tests:
        return pd.DataFrame(columns=columns)
    table = pd.concat(
        of_sky.assign(set=name, method=method, sky=number)
        for number, (name, method, of_sky) in enumerate(tests)
    )
    table = table.assign(unlikely=table["probability"] < UNLIKELY)
    table = pd.concat([table, _alarms(table).assign(**dict.fromkeys(of_row, ALARM))])
    grouped = table.groupby(keys, sort=False)
    found = grouped.agg(
        moment=("moment", "mean"),
        error=("error", "mean"),
        n_unlikely=("unlikely", "sum"),
        n_observations=("probability", "count"),
    ).reset_index()
    chance = binom.sf(found["n_unlikely"] - 1, found["n_observations"], UNLIKELY)
    return found.assign(by_chance=chance)[columns]


def _alarms(table: pd.DataFrame) -> pd.DataFrame:
    """A row per observation and region, of the least probability of its joint tests."""
    joint = table[table["with_parameter"].isin([ALL, ANY])]
    observations = joint.groupby(["set", "method", "sky", "realization", "region"], sort=False)
    found = observations["probability"].agg(["min", "count"]).reset_index()
    # Of several tests that may depend on each other (Bonferroni).
    probability = (found.pop("count") * found.pop("min")).clip(upper=1.0)
    return found.assign(probability=probability, unlikely=probability < UNLIKELY)


def model_warnings(model: pd.DataFrame) -> list[str]:
    """A sentence for every set and method whose skies ask for more than the spectral model."""
    together = model[model["region"] == COMBINED]
    warnings = []
    for (name, method), own in together.groupby(["set", "method"], sort=False):
        (alarm,) = own[own["parameter"] == ALARM].to_dict("records")
        if round(alarm["by_chance"], 6) > UNLIKELY:
            continue
        single = own[~own["with_parameter"].isin([ALL, ANY, ALARM])]
        most = single.loc[(single["moment"] / single["error"]).abs().idxmax()]
        warnings.append(
            f"{name}, {method}: the data ask for more than the spectral model in "
            f"{alarm['n_unlikely']} of {alarm['n_observations']} observations (by chance in 5 %), "
            f"most of all for {_departure(most)} of {most['moment']:.2g} +- {most['error']:.2g}: r "
            "may be biased"
        )
    return warnings


def _departure(row: Mapping) -> str:
    """What a row of the tests is about, in words."""
    names = list(dict.fromkeys((row["parameter"], row["with_parameter"])))
    if names[0] in OF_BANDS:
        unit = OF_BANDS[names[0]]
        return f"another {names[0]} of {names[1]}{f', in {unit},' if unit else ''}"
    if names[0] == SPINNING:
        return f"spinning dust, over {names[1]},"
    if names[0] == CHI2:
        where = names[1].replace(" ell ", " at ell = ")
        return f"a relative excess of chi2 in {where}"
    return f"a second moment of {' and '.join(names)}"


def summary_text(
    summary: pd.DataFrame, run: str, theory: str, figures: str, warnings: Sequence[str] = ()
) -> str:
    """The summary for a person to read, with r in units of 10⁻³.

    Methods that are measured with other weights or another treatment of what foregrounds leave
    than the first are marked: some have no mock skies. `warnings` are those of
    `model_warnings`.
    """
    kinds = summary[list(PUBLISHED_KIND.index)]
    differs = kinds.ne(kinds.iloc[0]).any(axis=1)
    marked = summary.assign(method=summary["method"] + differs.map({True: "*", False: ""}))
    heading, *rows = in_columns(_summary_cells(marked), N_WORDS)
    lines = [f"patchsep run '{run}': r x 1e3, {theory} theory spectra"]
    for name, own in marked.reset_index(drop=True).groupby("set", sort=False):
        n_skies, n_realizations = own["n_skies"].max(), own["n_realizations"].max()
        skies = f"{n_skies} skies" if n_skies > 1 else "1 sky"
        lines += [
            "",
            f"{name}: selected by {own['criterion'].iloc[0]}, {skies}, "
            f"{n_realizations} noise realisations",
            heading,
            *(rows[number] for number in own.index),
        ]
    if differs.any():
        first, other = (
            f"{weights} weights, foreground residual {residual}"
            for weights, residual in (kinds.iloc[0], kinds[differs].iloc[0])
        )
        lines += ["", f"*: {other}; without *: {first}"]
    for warning in warnings:
        lines += ["", f"{WARNING}{warning}"]
    return "\n".join([*lines, "", _in_words(marked), f"figures: {figures}", ""])


def _summary_cells(summary: pd.DataFrame) -> list[list[str]]:
    """Heading and rows of the summary, in words."""
    counts = patch_count_columns(summary)
    # beta_dust is bd in the heading.
    initials = ["".join(word[0] for word in name.removeprefix(COUNT).split("_")) for name in counts]
    patches = f"patches ({'/'.join(initials)})" if counts else "patches"
    numbers = ["r_hat", "-sigma", "+sigma", "r_upper68", "+-", "unconverged"]
    cells = [["method", "region", patches, *numbers]]
    for row in summary.to_dict("records"):
        each = ["-" if pd.isna(row[key]) else str(row[key]) for key in counts]
        r = [row[key] for key in ("r_hat", "sigma_r_minus", "sigma_r_plus")]
        r += [row["r_upper68"], row["r_upper68_error"]]
        unconverged = sum(row[key] for key in row if key.startswith("n_unconverged"))
        cells.append(
            [
                row["method"],
                row["region"],
                "/".join(each) if set(each) - {"-"} else "-",
                *(f"{1e3 * value:z.3f}" for value in r),
                str(unconverged),
            ]
        )
    return cells


def _in_words(summary: pd.DataFrame) -> str:
    """Which method comes out best on the last set of skies, all regions together."""
    last = summary[(summary["set"] == summary["set"].iloc[-1]) & (summary["region"] == COMBINED)]
    value = bias_and_width(last["r_hat"], last["sigma_r_plus"], last["r_input"])
    ranked = last.assign(value=1e3 * value).sort_values("value", kind="stable")
    each = ", ".join(f"{row.method} {row.value:.2f}" for row in ranked.itertuples())
    best = ranked["method"].iloc[0]
    return (
        f"Cleaned with {len(ranked)} method{'s' * (len(ranked) > 1)}; on the {last['set'].iloc[0]} "
        f"skies {best} has the lowest |r_hat - r_in| + sigma, x 1e3: {each}."
    )
