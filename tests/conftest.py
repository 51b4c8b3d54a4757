"""What several test files share: real sky data, an instrument, spectra and a dense reference."""

import os
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from astropy.modeling.physical_models import BlackBody
from filelock import FileLock
from observed_skies import Observation, splits_of
from refusals import MASKS
from spoilt_maps import NSIDE
from workflows import TABLE, new_folder, scan, snakemake, tiny

from patchsep.instrument.bandpass import Bandpasses
from patchsep.instrument.instrument import Instrument, read_instrument
from patchsep.instrument.noise import WhiteNoise
from patchsep.observation.region_sky import RegionSky
from patchsep.sky.cmb import cmb_spectra
from patchsep.sky.parameter_fields import parameter_deviations
from patchsep.sky.spectral_model import DUST_AND_SYNCHROTRON

ROOT = Path(__file__).parents[1]


# The longest first, for tests run side by side, file by file.
LONGEST = [
    "test_workflow",
    "test_workflow_of_fields",
    "test_slurm",
    "test_reruns",
    "test_faults",
    "test_fit",
    "test_equal_fits",
]


def pytest_collection_modifyitems(items):
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real sky data: PySM's templates and reference maps, Planck's masks."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs ../shared (sky data), which is not here")
    return folder


@pytest.fixture(scope="module")
def double_precision():
    """For tests of what only others call, in their double precision."""
    # Not before `workflows` has said where JAX keeps what it compiles.
    import jax

    with jax.enable_x64(True):
        yield


@pytest.fixture
def repository(monkeypatch):
    """Instrument paths are relative to the repository; PySM has no local templates."""
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("PYSM_LOCAL_DATA", raising=False)


@pytest.fixture
def mask_file(tmp_path):
    np.savez(tmp_path / "masks.npz", **MASKS)
    return tmp_path / "masks.npz"


@pytest.fixture
def instrument(tmp_path):
    """Write LiteBIRD's description with changes to a file; returns its path."""

    def write(**changes):
        content = yaml.safe_load((ROOT / "config/instruments/litebird.yaml").read_text())
        path = tmp_path / "instrument.yaml"
        path.write_text(yaml.safe_dump(content | changes))
        return str(path)

    return write


@pytest.fixture(scope="session")
def litebird() -> Instrument:
    return read_instrument(ROOT / "config/instruments/litebird.yaml")


@pytest.fixture(scope="session")
def cosmology() -> dict:
    """Planck 2018 (arXiv:1807.06209, Table 2)."""
    return {
        "H0": 67.36,
        "ombh2": 0.02237,
        "omch2": 0.12,
        "mnu": 0.06,
        "tau": 0.0544,
        "As": 2.1e-9,
        "ns": 0.9649,
        "nt": 0.0,
    }


@pytest.fixture(scope="session")
def spectra(cosmology):
    """`cmb_spectra` of that cosmology up to ell = 300."""
    return cmb_spectra(cosmology, 300)


@dataclass(frozen=True)
class DenseModel:
    """The data model written out again, pixel by pixel, in dense algebra and astropy's units."""

    frequency: np.ndarray
    sigma: np.ndarray

    def mixing(self, beta_dust, temp_dust, beta_synch) -> np.ndarray:
        """A (…, n_bands, 3) of one pixel or of many."""
        # Not before `workflows` has set how PySM computes.
        import pysm3.units as u

        nu = self.frequency * u.GHz
        beta_dust, temp_dust, beta_synch = (
            np.asarray(values)[..., None] for values in (beta_dust, temp_dust, beta_synch)
        )
        black_body = BlackBody(temp_dust * u.K)

        def brightness_temperature(nu):
            return (nu / (160 * u.GHz)) ** (beta_dust - 2) * black_body(nu)

        dust = brightness_temperature(nu) / brightness_temperature(160 * u.GHz)
        synch = (nu / (20 * u.GHz)) ** beta_synch
        to_cmb = (np.ones(len(nu)) * u.uK_RJ).to_value(
            u.uK_CMB, equivalencies=u.cmb_equivalencies(nu)
        )
        cmb = np.ones(dust.shape)
        return np.stack([cmb, dust.to_value("") * to_cmb, synch.to_value("") * to_cmb], axis=-1)

    def white_mixing(self, *parameters) -> np.ndarray:
        return self.mixing(*parameters) / self.sigma[:, None]

    def white_derivative(self, parameters, index, step=1e-5) -> np.ndarray:
        """Derivative of the whitened A by one parameter, central differences."""
        shift = step * np.eye(3)[index]
        above, below = (
            self.white_mixing(*parameters + shift),
            self.white_mixing(*parameters - shift),
        )
        return (above - below) / (2 * step)

    def solve(self, parameters, data) -> tuple[np.ndarray, float]:
        """Component maps (3, 2, n_pixels) by generalised least squares, and half the misfit."""
        maps, misfit = np.empty((3, 2, data.shape[-1])), 0.0
        for pixel, matrix in enumerate(self.white_mixing(*parameters)):
            white = data[..., pixel] / self.sigma[:, None]
            maps[..., pixel] = np.linalg.lstsq(matrix, white)[0]
            misfit += np.sum((white - matrix @ maps[..., pixel]) ** 2) / 2
        return maps, misfit

    def sky(self, parameters, maps) -> np.ndarray:
        """Noiseless data (n_bands, 2, n_pixels) of component maps (3, 2, n_pixels)."""
        return np.einsum("pbc,csp->bsp", self.mixing(*parameters), maps)


@pytest.fixture(scope="session")
def dense(litebird) -> DenseModel:
    return DenseModel(litebird.frequency, WhiteNoise.of(litebird, 64).sigma)


@pytest.fixture(scope="session")
def bright_sky(dense) -> SimpleNamespace:
    """64 bright pixels in overlapping patches of known parameters; no noise.

    Foregrounds are some hundred times the noise, so that errors are Gaussian and far
    from the bounds.
    """
    rng = np.random.default_rng(10)
    pixel = np.arange(64)
    patches = {"beta_dust": pixel // 16, "temp_dust": pixel // 8 % 2, "beta_synch": pixel % 3}
    truth = {
        "beta_dust": np.array([1.4, 1.5, 1.6, 1.7]),
        "temp_dust": np.array([18.0, 22.0]),
        "beta_synch": np.array([-3.2, -3.0, -2.9]),
    }
    amplitude = np.array([1.0, 100.0, 1000.0])  # CMB, dust at 160 GHz, synchrotron at 20 GHz
    maps = amplitude[:, None, None] * rng.standard_normal((3, 2, 64))
    parameters = np.stack([truth[name][labels] for name, labels in patches.items()])
    return SimpleNamespace(
        patches=patches,
        truth=truth,
        parameters=parameters,
        maps=maps,
        data=dense.sky(parameters, maps),
        model=DUST_AND_SYNCHROTRON,
        bandpasses=dense.frequency,
        noise=WhiteNoise(dense.sigma),
    )


@pytest.fixture(scope="session")
def few_pixels(dense):
    """Makes regions of nside 16: foregrounds, a CMB, and LiteBIRD's noise.

    Spectral parameters have so many times the published scatter, and beta_dust some from pixel to
    pixel.
    """

    def few_pixels(pixels, seed=0, region="hi", scatter=0.0, pixel_noise=0.0, brightness=1.0):
        rng = np.random.default_rng(seed)
        amplitude = brightness * np.array([0.0, 10.0, 100.0])[:, None, None]
        maps = amplitude * rng.standard_normal((3, 2, len(pixels)))
        fields = parameter_deviations(16, 77, seed, DUST_AND_SYNCHROTRON)[:, pixels]
        parameters = np.array([[1.6], [19.0], [-3.1]]) + np.reshape(scatter, (-1, 1)) * fields
        parameters[0] += pixel_noise * rng.standard_normal(len(pixels))
        return RegionSky(
            region=region,
            nside=16,
            pixels=pixels,
            bandpasses=Bandpasses.narrow(dense.frequency),
            noise=WhiteNoise(dense.sigma),
            foregrounds=dense.sky(parameters, maps),
            cmb=rng.standard_normal((2, len(pixels))),
            noise_seed=3,
        )

    return few_pixels


@pytest.fixture(scope="session")
def splits(litebird):
    """Two splits of maps with nothing wrong in them."""
    return splits_of(litebird, NSIDE)


@pytest.fixture(scope="session")
def unspoilt(tmp_path_factory, litebird, splits):
    return Observation.written(tmp_path_factory.mktemp("maps"), litebird, splits.mean(axis=0))


@pytest.fixture
def observation(tmp_path, unspoilt):
    """Files of the mean of `splits`, for a test to spoil."""
    return unspoilt.copied(tmp_path / "maps")


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder of a finished run of the tiny configuration, and what the run printed.

    Processes that run tests side by side share it: what changes anything there takes a copy.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    printed = root / "finished.txt"
    with FileLock(root / "finished.lock"):
        if not printed.is_file():
            said = snakemake(new_folder(root, "finished"), tiny())
            printed.write_text(said, encoding="utf-8")
    return root / "finished", printed.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def results(finished):
    return finished[0] / "results" / "tiny"


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The folder of a run that nothing happened to."""
    folder = new_folder(tmp_path_factory.mktemp("faults"), "undisturbed")
    snakemake(folder, scan(), TABLE)
    return folder
