"""Figures: one table in, one picture out.

Takes tables and maps of a run. A figure's table is written beside its PDF and PNG.
"""
