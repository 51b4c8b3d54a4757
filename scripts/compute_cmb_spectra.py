"""Compute CMB polarization spectra with CAMB."""

from patchsep.files.tables import write_table
from patchsep.running.jobs import begin
from patchsep.sky.cmb import PUBLISHED_COSMOLOGY, cmb_spectra


def main(snakemake):
    lmax = 3 * snakemake.params.nside - 1
    write_table(snakemake.output.consistent, cmb_spectra(snakemake.params.cosmology, lmax))
    write_table(snakemake.output.published, cmb_spectra(PUBLISHED_COSMOLOGY, lmax))


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
