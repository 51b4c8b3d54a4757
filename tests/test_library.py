"""The library in somebody else's process: what importing and using it leaves as it was."""

import json
import os
import shutil
import subprocess
import sys
from textwrap import indent

import pytest
from workflows import ROOT

# What a process says of itself before and after some lines of code.
PROCESS = """
import json, os, sys
import jax, numba
import numpy as np

def state():
    return {
        "jax": {name: str(value) for name, value in jax.config.values.items()},
        "numba": numba.config.DISABLE_JIT,
        "environment": dict(os.environ),
    }

before = state()
CODE
json.dump({"unchanged": before == state(), "found": found}, sys.stdout)
"""
SKY = """
import patchsep
from patchsep.instrument.noise import WhiteNoise
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON as model

rng = np.random.default_rng(0)
frequencies = np.array([40.0, 60, 78, 100, 119, 140, 195, 280, 337, 402])
noise = WhiteNoise(np.full(10, 0.3))
pixels = np.arange(48)
data = 100 * rng.standard_normal((1, 10, 2, 48))
"""
SEPARATE = """
fits = patchsep.separate(data, noise, frequencies, {name: pixels // 24 for name in model.names})
found = [str(fits.cmb.dtype), str(fits.parameters["beta_dust"].dtype), fits.nll[0].item()]
"""
FIELDS = """
from patchsep.fields.basis import Basis, Variation
from patchsep.fields.evidence import measure_fields
from patchsep.fields.fit import fit_fields
from patchsep.fields.moments import moment_scores
from patchsep.fields.prior import Freedom, expected_prior
from patchsep.fields.samples import posterior_samples
from patchsep.observation.bands import Bands

variations = tuple(Variation(one.start, offset=0.1, remainder=0.1) for one in model.parameters)
basis = Basis(variations, pixels, 2)
fits = fit_fields(data, basis, noise, frequencies, model, max_iterations=3)
bands = Bands.of(frequencies, noise, model)
score, information = moment_scores(fits.parameters[0], data[0], bands)
priors = [expected_prior("value", 2, vars(one), 2) for one in model.parameters]
measured = measure_fields(
    data[0], priors, pixels, 2, bands, Freedom(1.0, 1.0, 1.0), 3.0, 0, max_iterations=3
)
whole = Basis(tuple(prior.variation() for prior in priors), pixels, 2)
samples = posterior_samples(
    data[0], whole, noise, bands, measured.maximum, 1, 0, max_iterations=3
)
arrays = fits.cmb, fits.parameters, score, information, *samples[:2], measured.maximum.at.curvature
found = [str(array.dtype) for array in arrays] + [fits.nll[0].item()]
"""


def run(code, **environment):
    """What such a process prints, in an environment without what tests and jobs set."""
    ours = ("JAX_", "XLA_", "NUMBA_", "PYTEST", "NPROC")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(
        [sys.executable, "-c", PROCESS.replace("CODE", code)],
        env=plain | {"PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("code", [SEPARATE, FIELDS], ids=["patches", "fields"])
def test_using_the_library_changes_nothing_else_and_is_in_double_precision(code):
    said = run(SKY + code + "found.append(str(jax.numpy.ones(2).dtype))")
    assert said["unchanged"]
    assert said["found"].pop() == "float32"
    *types, nll = said["found"]
    assert set(types) == {"float64"}
    # Of somebody who uses double precision everywhere.
    (*_, wanted) = run(SKY + code, JAX_ENABLE_X64="1")["found"]
    assert nll == wanted


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="there may be a GPU")
@pytest.mark.parametrize("code", [SEPARATE, FIELDS], ids=["patches", "fields"])
def test_a_device_that_is_not_there_is_told(code):
    attempt = "found = None\ntry:\n" + indent(code, "    ")
    attempt += "\nexcept RuntimeError as error:\n    found = str(error)"
    told = run(SKY + attempt, JAX_PLATFORMS="cuda")["found"]
    assert told.startswith("JAX_PLATFORMS=cuda asks for a device that JAX")
    assert "set JAX_PLATFORMS=cpu" in told


def test_importing_every_module_changes_nothing():
    """No JAX, no Numba and no variable of the environment is set by an import."""
    code = """
import importlib, pkgutil, patchsep
for module in pkgutil.walk_packages(patchsep.__path__, "patchsep."):
    importlib.import_module(module.name)
found = None
"""
    assert run(code)["unchanged"]
