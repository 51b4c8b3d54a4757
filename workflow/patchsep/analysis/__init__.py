"""Analysis of observed maps, of which nothing is known but what they show.

Takes an `Observation` and the inference's mock skies, which are cleaned as the observation is.
Hands on cleaned maps, bandpowers with their covariance, r, null tests and what drives r.
"""
