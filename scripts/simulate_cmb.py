"""Draw the CMB polarization sky."""

from patchsep.files.maps import write_polarization
from patchsep.files.tables import read_table
from patchsep.instrument.beam import Resolution, common_window
from patchsep.running.jobs import begin
from patchsep.sky.cmb import simulate_cmb


def main(snakemake):
    params = snakemake.params
    r, seed = params.r, params.seed
    spectra = read_table(snakemake.input.spectra)
    window = common_window(Resolution.of(params.resolution), len(spectra) - 1)
    cmb = simulate_cmb(spectra, r, params.nside, seed, window)
    about = f"patchsep, CMB with r = {r}, seed {seed}, lensed scalars of CAMB"
    write_polarization(
        snakemake.output.cmb, cmb[None], ["CMB"], about, resolution=params.resolution
    )


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
