"""Takes frequency maps of all regions as one sky, and hands on fields of the spectral parameters.

With them go their power spectra, as one observation tells them, the recovered CMB, and tests of
whether the data ask for more than the spectral model.
"""
