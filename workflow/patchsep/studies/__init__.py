"""Beside the chain: search, validation, known patches, benchmark, published numbers, export.

Each takes what the chain has and hands on tables, or files for others.
"""
