"""Figures: one table in, one picture out.

Takes tables and maps of a run. Hands on pictures as PDF and PNG, each with its table beside it.
A figure is an entry of `FIGURES` in one of the modules here, which `registry` joins: what it shows
of a run, the files that it needs, its table, and how that is drawn. `first_look` is a page of
observed maps before their analysis. Libraries for drawing are imported where they are first used,
as every start of Snakemake reads the registry.
"""
