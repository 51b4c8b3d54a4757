"""All figures, by name, in the order of the report, and what a run has of each."""

from itertools import product

from . import configurations, fields, maps, methods, observed, selected, validation
from .figure import Figure

MODULES = (maps, fields, selected, methods, observed, validation, configurations)
FIGURES = dict(
    sorted(
        (entry for module in MODULES for entry in module.FIGURES.items()),
        key=lambda entry: entry[1].section,
    )
)

# What to look at before all else.
FIRST = ("methods", "bandpowers", "selection", "r_likelihoods")


def figures_of(plan) -> dict[str, Figure]:
    """Figures that a run can have."""
    kind = "observed" if plan.is_observed else "simulated"
    return {name: figure for name, figure in FIGURES.items() if kind in figure.of}


def module_of(name: str) -> str:
    """Name of the module that a figure is an entry of."""
    (module,) = (module for module in MODULES if name in module.FIGURES)
    return module.__name__.rpartition(".")[2]


def figure_methods(plan, name: str) -> list[str]:
    """Methods that a figure shows: those that settings name for it, or else that it is for."""
    named = plan.settings["figures"]["methods"]
    return named[name] if name in named else FIGURES[name].methods(plan)


def figure_sets(plan, name: str) -> list[tuple[str, str]]:
    """Pairs (set, method) that a figure shows, of those whose r is estimated.

    Sets are those that settings name for it, or else that of the training sky.
    """
    sets = plan.settings["figures"]["sets"].get(name, list(plan.sets)[:1])
    pairs = product(sets, figure_methods(plan, name))
    return [pair for pair in pairs if pair in plan.estimated]


def figure_shows(plan, name: str) -> dict:
    """What a figure shows of a run, as plain data."""
    return FIGURES[name].shows(plan, figure_methods(plan, name), figure_sets(plan, name))


def figure_path(name: str) -> str:
    """Path of a figure below the folder of figures, without its suffix."""
    wildcard = FIGURES[name].wildcard
    return f"{name}/{{{wildcard}}}" if wildcard else name


def is_shown(plan, name: str) -> bool:
    """Whether a method of the run has what a figure needs of methods: some have no patches."""
    methods = {
        "": plan.methods,
        "parameters": plan.fitted_methods,
        "patches": plan.patch_methods,
        "fields": plan.field_methods,
    }
    return bool(methods[FIGURES[name].needs])


def figure_problems(plan) -> list[str]:
    """Figures that a run draws and that would have nothing to show, in the user's words."""
    asked, known = plan.settings["figures"]["drawn"], figures_of(plan)
    if unknown := [name for name in asked if name not in known]:
        maps = "observed" if plan.is_observed else "simulated"
        return [
            f"figures.drawn: {name} is not of {maps} maps; remove it (known are {', '.join(known)})"
            for name in unknown
        ]
    drawn = [name for name in asked if is_shown(plan, name)]
    found = {name: _missing(plan, name) for name in drawn}
    return [
        f"figures.drawn: {name} would show nothing, for {missing}; remove it, or give it something "
        f"to show (docs/configuration-studies.md, figures.methods.{name} and figures.sets.{name})"
        for name, missing in found.items()
        if missing
    ]


def _missing(plan, name):
    methods = figure_methods(plan, name)
    if not methods:
        return "no method has several configurations to choose from"
    # Of a figure without sets there are none among what it shows.
    if figure_shows(plan, name).get("sets") == []:
        return "r of its methods is not estimated on its sets"
    return FIGURES[name].missing(plan, methods)


def figure_files(plan, name: str) -> list[str]:
    """PDF and PNG of a figure; of one that every method has, those of the methods that it shows.

    None of a figure that no method of the run has what it needs for.
    """
    if not is_shown(plan, name):
        return []
    path = f"{plan.results}/figures/{figure_path(name)}"
    one_each = figure_methods(plan, name) if FIGURES[name].wildcard else [""]
    return [
        f"{path.format(method=method)}.{suffix}"
        for method, suffix in product(one_each, ("pdf", "png"))
    ]


def first_figure(plan) -> str | None:
    """The picture that tells most of a run, of those that it draws; None where it draws none."""
    drawn = plan.settings["figures"]["drawn"]
    by_weight = sorted(drawn, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    files = [path for name in by_weight for path in figure_files(plan, name)]
    return next((path for path in files if path.endswith(".png")), None)
