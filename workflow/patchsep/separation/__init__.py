"""Component separation: the CMB from frequency maps, with spectral parameters in patches.

Takes the data of a region. Divides it into patches, maximises the spectral likelihood, many
realisations at a time, and hands on spectral parameters and the recovered CMB.
"""
