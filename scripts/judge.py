"""Estimate r of chosen configurations from all trials of a set."""

import logging
from itertools import product
from pathlib import Path

import pandas as pd

from patchsep.files.tables import read_table, write_table
from patchsep.inference.selection import by_area
from patchsep.inference.sets import LABEL, judge, mean_spectra
from patchsep.running.logs import log_to
from patchsep.spectra.residuals import with_statistical

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params = snakemake.params
    trials = [
        dict(
            list(
                with_statistical(read_table(path), params.statistical).groupby(
                    ["area", "configuration", "pixel_weights"]
                )
            )
        )
        for path in snakemake.input.trials
    ]
    bands = {Path(path).parts[-2:]: read_table(path) for path in snakemake.input.bands}
    templates = dict.fromkeys(name for name, _ in bands)
    chosen = by_area(read_table(snakemake.input.choices))
    areas = next(iter(chosen.values()))
    rows, samples, curves, spectra = [], [], [], []
    kinds = product(areas, params.pixel_weights, params.foreground_residual, templates)
    for area, weights, residual, template in kinds:
        for name in dict.fromkeys(configurations[area] for configurations in chosen.values()):
            of_area = [trial[area, name, weights] for trial in trials]
            of_bands = bands[template, f"{area}.csv"]
            row, estimate, drawn = judge(
                of_area,
                of_bands,
                params.r_input,
                foreground_residual=residual,
                amplitude_scatter=params.amplitude_scatter,
                **params.bootstrap,
                **params.r_grid,
            )
            label = dict(zip(LABEL, (area, name, weights, residual, template), strict=True))
            log.info("%s, %s, %s, %s, %s: r_upper68 %.3g", *label.values(), row["r_upper68"])
            drawn = pd.DataFrame(drawn, columns=["r_hat", "sigma_r_plus", "r_upper68"])
            curve = pd.DataFrame({"r": estimate.r, "likelihood": estimate.likelihood})
            samples.append(drawn.rename_axis("resampling").reset_index().assign(**label))
            curves.append(curve.assign(**label))
            spectra.append(mean_spectra(of_area, of_bands, params.r_input).assign(**label))
            rows += [
                {"criterion": criterion} | label | row
                for criterion, configurations in chosen.items()
                if configurations[area] == name
            ]
    write_table(snakemake.output.estimates, pd.DataFrame(rows))
    for path, tables in (
        (snakemake.output.samples, samples),
        (snakemake.output.curves, curves),
        (snakemake.output.spectra, spectra),
    ):
        write_table(path, pd.concat(tables, ignore_index=True))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
