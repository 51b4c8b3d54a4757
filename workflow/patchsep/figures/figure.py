"""What a figure is, and what entries of `FIGURES` have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from ..files.tables import read_table
from ..lazy import pyplot as plt


@dataclass(frozen=True)
class Figure:
    """A figure, and what it takes from a run; its caption is workflow/report/<name>.rst.

    A `plan` is `running.plan.Plan`. What is `shown` is a dict of plain data, a param of the
    figure's rule; `files` are the rule's inputs, a dict of paths or lists of them.

    Attributes
    ----------
    section : str
        Category of the report.
    table : function of files and shown, DataFrame
        What is drawn.
    plot : function of the table and shown, matplotlib Figure
    shows : function of plan, methods and pairs of (set, method), dict
        What is shown, of the methods and of the pairs whose r is estimated that are asked for.
    inputs : function of plan and shown, dict
    methods : function of plan, list of str
        Methods that the figure is for, shown where settings name no others.
    strategy : str
        What a method must have for the figure to have something to show, if anything.
    template : str
        Parameter of which a method must have a template, likewise.
    needs : {"", "parameters", "patches", "fields"}
        What every method must have that is shown, if anything.
    of : tuple of {"simulated", "observed"}
        Runs that have it.
    missing : function of plan and methods, str
        What the figure needs of the methods and does not find, in words; empty if it finds all.
    suffix : {"csv", "parquet"}
        Of the table.
    wildcard : str
        "method" if every method has a picture of its own.
    """

    section: str
    table: Callable[[dict, dict], pd.DataFrame]
    plot: Callable[[pd.DataFrame, dict], plt.Figure]
    shows: Callable[..., dict] = lambda plan, methods, pairs: {}
    inputs: Callable[..., dict] = lambda plan, shown: {}
    methods: Callable[..., list[str]] = lambda plan: list(plan.methods)
    strategy: str = ""
    template: str = ""
    needs: str = ""
    of: tuple[str, ...] = ("simulated",)
    missing: Callable[..., str] = lambda plan, methods: ""
    suffix: str = "csv"
    wildcard: str = ""


def result(path: str) -> Callable[..., dict]:
    """Inputs of a figure of one table, a path below the run's folder."""
    return lambda plan, shown: {"table": f"{plan.results}/{path}"}


def read_result(files: dict, _) -> pd.DataFrame:
    """The one table of `result`, drawn as it is."""
    return read_table(files["table"])


def symbols_of(plan) -> dict[str, str]:
    """Symbol of every spectral parameter, by name."""
    return {parameter.name: parameter.symbol for parameter in plan.model.parameters}


def labels_of(plan) -> dict[str, str]:
    """Symbol and unit of every spectral parameter, by name."""
    return {parameter.name: parameter.label for parameter in plan.model.parameters}


def of_strategy(plan, strategy: str) -> list[str]:
    """Methods of a strategy."""
    return [name for name, method in plan.methods.items() if method["strategy"] == strategy]
