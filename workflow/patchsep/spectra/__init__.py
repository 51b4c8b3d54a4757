"""Power spectra: what is left in the recovered CMB.

Takes recovered and true maps of a region. Hands on BB of the total, systematic and statistical
residual in bins, with the number of their modes.
"""
