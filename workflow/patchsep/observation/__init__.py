"""Observations: frequency maps of one region, and what one tells of its foregrounds.

Takes the maps of the sky and the instrument. Hands on data of any noise realisation, and the form
of a foreground model.
"""
