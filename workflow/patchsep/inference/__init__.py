"""Inference: the tensor-to-scalar ratio r, and the selection of a configuration.

Takes residual spectra. Hands on r of every configuration, the configuration that every criterion
selects, and r of it on skies not seen before.
"""
