"""patchsep: sky patches for parametric foreground cleaning, from the sky to r.

The modules follow the data: `instrument`, `foregrounds`, `cmb` and `noise` make
the sky; `regions` and `patches` divide it; `spectral` and `fit` clean it;
`residuals` and `likelihood` measure what is left and what it does to r;
`figures` and `tables` show it.
"""
