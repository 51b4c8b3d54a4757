"""Studies beside the chain: search, validation, known patches, benchmark, published values, export.

Each takes what the chain has and hands on tables, or files for others.
"""
