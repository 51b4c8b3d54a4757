"""Takes frequency maps of all regions as one sky, and hands on fields of the spectral parameters.

With them go their power spectra, as one observation tells them, and the recovered CMB.
"""
