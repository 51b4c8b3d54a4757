"""The instrument: its frequency bands and its noise.

Takes a description in YAML (config/instruments/). Hands on band centres, and noise that can be
drawn for any realisation.
"""
