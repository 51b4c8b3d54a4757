"""The instrument: its frequency bands and its noise.

Takes a description in YAML (config/instruments/). Hands on band centres, noise that can be drawn
for any realisation, and what both must be for a fit to mean something.
"""
