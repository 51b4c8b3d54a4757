"""Observations: frequency maps of one region.

Takes the maps of the sky and the instrument. Hands on data of any noise realisation.
"""
