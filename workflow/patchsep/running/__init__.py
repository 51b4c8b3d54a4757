"""Running: what Snakemake needs to know before any job starts, and what users look at.

Takes the configuration. Hands on checked settings, the plan of the run (skies, shards, what every
rule needs), fingerprints of the code, costs and progress.
"""
