"""The sky: foregrounds, CMB, spectral parameters, Galactic regions.

Takes settings and seeds, PySM's templates and CAMB's spectra. Hands on maps in µK at given
frequencies, the spectral model of the components, and the regions that the sky is divided into.
"""
