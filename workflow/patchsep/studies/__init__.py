"""Studies beside the chain: search, validation, known patches, benchmark, published numbers.

Each takes what the chain has and hands on tables.
"""
