"""Count how often intervals of r hold the true one, on mock skies of observed maps."""

import pandas as pd

from patchsep.analysis.certificate import certificate
from patchsep.files.tables import read_table, write_table, write_tables
from patchsep.running.jobs import begin


def main(snakemake):
    skies = pd.concat(map(read_table, snakemake.input.skies), ignore_index=True)
    write_table(snakemake.output.skies, skies.sort_values(["r", "sky"], ignore_index=True))
    write_tables(snakemake.output.certificate, certificate(skies))


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
