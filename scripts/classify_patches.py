"""Measure residuals where patches are more and less uniform."""

from patchsep.files.maps import read_maps, read_polarization
from patchsep.files.tables import write_table
from patchsep.running.jobs import begin
from patchsep.sky.regions import Regions
from patchsep.studies.patch_classes import patch_classes


def main(snakemake):
    files = snakemake.input
    regions = Regions.read(files.regions)
    table = patch_classes(
        read_maps(files.cleaned),
        read_maps(files.parameters),
        read_polarization(files.cmb)[0],
        regions,
        snakemake.params.spectra,
    )
    write_table(snakemake.output.classes, table)


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
