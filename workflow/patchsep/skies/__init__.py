"""Skies: all regions of a sky, cleaned by one method, and mock skies like the observed one.

Takes observations, fits and estimators of spectra. Hands on cleaned skies with their residual
spectra, and mock skies drawn from a model of the observed one.
"""
