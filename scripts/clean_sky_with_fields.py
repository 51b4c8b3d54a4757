"""Measure the fields of a sky on one observation, and clean the whole sky with them."""

import logging
from dataclasses import replace

import numpy as np
import pandas as pd

from patchsep.fields import nuisance
from patchsep.files.maps import read_templates, resolution_header, write_maps
from patchsep.files.tables import write_table
from patchsep.observation.region_sky import RegionSky
from patchsep.running.jobs import begin
from patchsep.skies.cleaned_sky import measure_all, recovered_maps
from patchsep.skies.field_skies import (
    clean_with_fields,
    mock_foregrounds_of_fields,
    parameter_summary,
)
from patchsep.skies.whole_sky import WholeSky, measure_sky, priors_of
from patchsep.sky.regions import COMBINED, full_sky
from patchsep.sky.spectral_model import spectral_model

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params, options, output = snakemake.params, snakemake.params.fields, snakemake.output
    model = spectral_model(**params.model)
    sky = WholeSky(RegionSky.read_all(params.noise_seed, snakemake.input, model), model)
    templates = read_templates(snakemake.input.get("templates"))
    priors = priors_of(sky, templates, options, params.patch_seed)

    def measure(sky):
        data = sky.observe([0])[1]
        return data, measure_sky(sky, data, priors, options, **params.fit)

    observation, measured = measure(sky)
    if options["nuisance"]:
        sky = with_nuisance(sky, measured, observation, options["nuisance"])
        observation, measured = measure(sky)
    write_table(output.nuisance, nuisance.nuisance_table(sky.nuisance))
    warn_of_templates(measured, templates, model)
    write_table(output.spectra_of_parameters, measured.spectra)
    write_table(output.parameters, parameter_summary(measured, model))
    mocks = None
    if params.mocks:
        mocks = mock_foregrounds_of_fields(
            sky, measured, observation, range(params.mocks["skies"]), params.mocks["seed"]
        )
    tables = []
    whole, moments = clean_with_fields(
        params.configuration,
        sky,
        measured,
        range(params.n_realizations),
        mocks,
        params.mocks.get("seed", 0),
        **params.fit,
    )
    write_table(output.moments, moments)
    for region, cleaned in sky.by_region(whole):
        tables += measure_all(region, cleaned, sky.nside, params.spectra, params.pixel_weights)
        if region == COMBINED:
            maps, units = recovered_maps(cleaned, sky.nside, model)
    if options["samples"]:
        errors, of_errors = error_maps(sky, measured, observation, options, params.fit)
        maps, units = maps | errors, units + of_errors
    about = f"patchsep, method {snakemake.wildcards.method}, realisation 0"
    beam = resolution_header(params.spectra["resolution"])
    write_maps(output.maps, maps, units, about, beam)
    write_table(output.spectra, pd.concat(tables, ignore_index=True))


def with_nuisance(sky, measured, observation, settings):
    """The sky with errors of the bands fitted to one observation."""
    found = nuisance.fit_nuisance(
        observation,
        sky.parameters_of(measured),
        sky.bandpasses,
        sky.noise,
        sky.model,
        nuisance.priors_of(settings, sky.bandpasses.labels),
    )
    return replace(sky, nuisance=found)


def warn_of_templates(measured, templates, model):
    """A template's error that is larger than stated is told, not only allowed for."""
    for name, prior in zip(model.names, measured.priors, strict=True):
        if name not in templates or not prior.has_field:
            continue
        rows = measured.spectra[measured.spectra["parameter"] == name]
        told = rows[rows["effective_modes"] > 1]
        excess = (told["power"] - told["expected"]) / told["error"]
        if (excess > 3).any():
            factor = np.sqrt((told["prior"] / told["expected"]).max())
            log.warning(
                "the template of %s is wrong by more than is stated, up to %.1f times (octave of "
                "ell = %d); the data correct it where they can: state a larger error",
                name,
                factor,
                told.loc[excess.idxmax(), "ell_min"],
            )


def error_maps(sky, measured, observation, options, limits):
    """Errors of the CMB and of the parameters of every pixel, of samples of the posterior."""
    cmb, parameters = sky.samples(
        observation, measured, options["samples"], options["seed"], **limits
    )
    names = [f"ERROR_{name.upper()}" for name in sky.model.names]
    values = np.concatenate([cmb.std(axis=0, ddof=1), parameters.std(axis=0, ddof=1)])
    maps = full_sky(values, sky.pixels, sky.nside, fill=np.nan)
    units = [parameter.unit for parameter in sky.model.parameters]
    columns = ["ERROR_CMB_Q", "ERROR_CMB_U", *names]
    return dict(zip(columns, maps, strict=True)), ["uK_CMB"] * 2 + units


if __name__ == "__main__":
    begin(snakemake.log[0])
    main(snakemake)
