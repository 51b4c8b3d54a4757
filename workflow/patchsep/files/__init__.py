"""Files: what every stage reads and writes, and how it does so safely.

Maps (HEALPix FITS), tables (CSV, Parquet), finished pieces of work with fingerprints of what they
depend on, and the progress of a job. Takes arrays and tables, hands on files that appear whole or
not at all.
"""
