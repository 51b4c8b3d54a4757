"""Another Snakefile uses this workflow as its module, as the catalogue of workflows tells it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from workflows import ROOT, new_folder, tiny, with_changes

# Two runs below prefixes of their own, and a rule of the caller that takes what one ends with.
CALLER = f"""
from snakemake.utils import min_version

configfile: "caller.yaml"

module first:
    snakefile: "{ROOT}/Snakefile"
    config: config["first"]
    prefix: "one"

module second:
    snakefile: "{ROOT}/Snakefile"
    config: config["second"]
    prefix: "two"

use rule * from first as first_*
use rule * from second as second_*

onsuccess:
    first.onsuccess()
    second.onsuccess()

rule both:
    default_target: True
    input:
        "one/results/tiny/tables/summary.csv",
        "two/results/other/tables/summary.csv",
        "two/results/other/figures/regions.png",
"""

pytestmark = pytest.mark.workflow


def called(folder: Path, *options, succeeds: bool = True) -> str:
    """What Snakemake prints of the caller's Snakefile in a folder."""
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert (run.returncode == 0) == succeeds, run.stdout
    return run.stdout


@pytest.fixture
def caller(tmp_path):
    """A folder with a Snakefile that uses this workflow twice."""
    folder = new_folder(tmp_path, "caller")
    second = with_changes(tiny(), {"run": "other", "cmb.seed": 5})
    (folder / "caller.yaml").write_text(yaml.safe_dump({"first": tiny(), "second": second}))
    (folder / "Snakefile").write_text(CALLER)
    return folder


def test_a_module_is_used_twice_with_all_paths_below_its_prefix(caller):
    said = called(caller, "--dry-run")
    assert "first_fit_patches" in said
    assert "second_fig_regions" in said
    for name, folder in (("tiny", "one"), ("other", "two")):
        assert f"{folder}/results/{name}/" in said
        assert said.count(f"results/{name}/") == said.count(f"{folder}/results/{name}/")


def test_what_params_name_is_below_the_prefix_too(caller):
    target = "two/results/other/fits/uniform/hi/realizations-00000-00001/shard-000.parquet"
    called(caller, target)
    folder = caller / Path(target).parent / "configurations"
    assert list(folder.glob("*.parquet"))
    assert not (caller / "results").exists()
    # By the handler of the module, which the caller's calls.
    assert (caller / "two/results/other/provenance.json.gz").is_file()
    assert "Nothing to be done" in called(caller, "--dry-run", target)


def test_another_package_of_the_same_name_is_not_taken_for_that_of_the_checkout(caller):
    other = caller / "patchsep"
    other.mkdir()
    (other / "__init__.py").touch()
    # One that is only there is not imported.
    called(caller, "--dry-run", "--quiet")
    imported = f"import sys\nsys.path.insert(0, '{caller}')\nimport patchsep\n"
    (caller / "Snakefile").write_text(imported + CALLER)
    said = called(caller, "--dry-run", succeeds=False)
    assert f"patchsep is already imported from {other}, and the rules are of {ROOT}" in said


HOSTED = """
from snakemake.sourcecache import LocalGitFile

module hosted:
    snakefile: LocalGitFile("{repository}", "Snakefile", commit="HEAD")
    config: config

use rule * from hosted
"""


def test_a_snakefile_that_is_not_in_a_clone_says_so(tmp_path):
    """As the catalogue's `github(…)`, which takes files from a repository one by one."""
    repository = tmp_path / "repository"
    repository.mkdir()
    shutil.copy(ROOT / "Snakefile", repository)
    person = ["-c", "user.name=me", "-c", "user.email=me@example.com"]
    for command in (["init", "-q"], ["add", "."], [*person, "commit", "-q", "-m", "one file"]):
        subprocess.run(["git", *command], cwd=repository, check=True)
    (tmp_path / "Snakefile").write_text(HOSTED.format(repository=repository))
    said = called(tmp_path, "--dry-run", succeeds=False)
    assert "patchsep's Snakefile needs the package beside it" in said
    assert "clone the repository, and give `snakefile:` the path" in said
    assert "Traceback" not in said
