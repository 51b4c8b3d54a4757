"""Draw the foregrounds of a mock sky."""

import healpy as hp
import numpy as np

from patchsep.files.maps import read_maps, write_polarization
from patchsep.inference.foreground_model import ForegroundModel
from patchsep.inference.mocks import mock_foregrounds
from patchsep.instrument.instrument import read_instrument
from patchsep.running.logs import log_to
from patchsep.sky.regions import full_sky


def main(snakemake):
    params, number = snakemake.params, int(snakemake.wildcards.number)
    instrument = read_instrument(snakemake.input.instrument)
    labels = read_maps(snakemake.input.regions)["REGION"]
    nside, pixels = hp.npix2nside(len(labels)), np.flatnonzero(labels > 0)
    foreground_model = ForegroundModel.from_columns(
        read_maps(snakemake.input.foreground_model), pixels
    )
    foregrounds = mock_foregrounds(
        foreground_model,
        pixels,
        nside,
        instrument.frequency,
        number,
        params.seed,
        params.bounds,
    )
    write_polarization(
        snakemake.output.foregrounds,
        full_sky(foregrounds, pixels, nside),
        instrument.labels,
        f"patchsep, mock sky {number}: drawn from the foreground model, seed {params.seed}",
    )


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
