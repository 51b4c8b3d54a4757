"""Find out what every configuration of a search promises, and what it comes to."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from patchsep.files.fingerprints import fingerprint
from patchsep.files.maps import read_maps
from patchsep.files.store import Store
from patchsep.files.tables import read_table, write_table
from patchsep.inference.foreground_model import ForegroundModel
from patchsep.inference.mocks import rehearsal_skies
from patchsep.observation.region_sky import RegionSky
from patchsep.running.logs import log_to
from patchsep.separation.partitions import N_PATCHES, configurations, partition, patch_labels
from patchsep.spectra.estimator import Estimator
from patchsep.studies.search import compare_with_fits, promised_r

log = logging.getLogger("patchsep.script")


def main(snakemake):
    params, settings = snakemake.params, snakemake.params.search
    # Noise that was not observed.
    sky = RegionSky.read(params.region, params.zones, settings["seed"], snakemake.input)
    model = ForegroundModel.from_columns(read_maps(snakemake.input.model), sky.pixels)
    skies = rehearsal_skies(
        model,
        sky,
        params.rehearsal["skies"],
        params.rehearsal["seed"],
        bounds=params.fit["bounds"],
    )
    values = settings["values"]
    members = partition(
        "kmeans",
        sky.nside,
        sky.pixels,
        values,
        settings["seed"],
        members=settings["members"],
        own_patches=True,
    )
    bands = read_table(snakemake.input.bands)
    measured_with = {
        "estimator": Estimator.of(sky.pixels, sky.nside, **params.spectra),
        "bands": bands,
        "amplitude_scatter": params.amplitude_scatter,
        **params.fit,
    }
    store = Store(
        Path(params.folder),
        fingerprint(
            params.code,
            sky.observe(0),
            np.stack([one.foregrounds for one in skies]),
            {key: settings[key] for key in ("draws", "realizations")},
            params.rehearsal,
            params.spectra,
            params.fit,
            params.amplitude_scatter,
            bands.to_csv(),
        ),
    )
    rows = []
    for name in configurations([values]):
        labels = patch_labels(name, members)
        row = store.get(name, *labels)
        if row is None:
            promised, left = promised_r(
                name, members, skies, list(range(settings["draws"])), **measured_with
            )
            compared = compare_with_fits(
                name, members, sky, list(range(settings["realizations"])), left, **measured_with
            )
            numbers = dict(zip(N_PATCHES, map(int, name.split("-")), strict=True))
            row = pd.DataFrame(
                [{"configuration": name, **numbers, "promised": promised, **compared}]
            )
            store.put(name, row, *labels)
        found = row.iloc[0].to_dict()
        log.info("%(configuration)s: promised %(promised).3g, judged %(judged).3g", found)
        rows.append(row)
    write_table(snakemake.output.evaluations, pd.concat(rows, ignore_index=True))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(snakemake)
