"""Draw how often every criterion finds known patches, and how fitted parameters scatter."""

import pandas as pd

from patchsep.figures.style import draw
from patchsep.figures.validation import beta_dust_scans, plot_known_patches
from patchsep.files.tables import read_table
from patchsep.running.logs import log_to


def main(snakemake):
    params, files = snakemake.params, snakemake.input

    def read(paths):
        tables = [
            read_table(path).assign(truth=truth)
            for truth, path in zip(params.truths, paths, strict=True)
        ]
        return pd.concat(tables, ignore_index=True)

    draw(
        snakemake.output,
        params.style,
        plot_known_patches,
        beta_dust_scans(read(files.estimates)),
        read(files.choices),
        read(files.pulls),
        params.n_realizations,
    )


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
