"""The slurm profile on a real SLURM of one node: GPUs for fits, and faults that SLURM brings."""

import shutil
import signal

import cluster
import pytest
from workflows import (
    N_CONFIGURATIONS,
    ROOT,
    TABLE,
    fitting,
    kept,
    n_fitted,
    running,
    same_table,
    scan,
    snakemake,
    until,
    without_fits,
)

WHY_NOT = cluster.why_not()
pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(WHY_NOT is not None, reason=f"a SLURM of our own: {WHY_NOT}"),
]

# The profile, but for waits that a node which is this machine does not need.
PROFILE = ("--profile", ROOT / "workflow/profiles/slurm", "--latency-wait", "5")
PROFILE += ("--slurm-init-seconds-before-status-checks", "1")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    daemons = cluster.Slurm(tmp_path_factory.mktemp("slurm"))
    daemons.start()
    yield daemons
    daemons.stop()


def jobs_of(slurm, rule, folder):
    """SLURM's records of a rule's jobs in a folder."""
    return [
        job
        for job in slurm.jobs()
        if job["WorkDir"] == str(folder) and job["Comment"].startswith(f"rule_{rule}")
    ]


@pytest.fixture(scope="module")
def scanned(slurm, undisturbed):
    """A scan from its patches to r, through SLURM."""
    folder = without_fits(undisturbed, "slurm")
    shutil.rmtree(folder / "results/tiny/patches")
    snakemake(folder, scan(), TABLE, *PROFILE)
    return folder


def test_r_is_that_of_a_local_run_bit_for_bit(scanned, undisturbed):
    assert same_table(scanned, undisturbed)


def test_fits_asked_for_a_gpu_and_got_it_and_others_did_not(slurm, scanned):
    (fits,) = jobs_of(slurm, "fit_patches", scanned)
    assert fits["JobState"] == "COMPLETED"
    assert fits["Partition"] == "gpu"
    assert fits["TresPerJob"] == "gres:gpu:1"
    assert fits["JOB_GRES"] == "gpu:h100:1"
    (patches,) = jobs_of(slurm, "draw_patches", scanned)
    assert patches["JobState"] == "COMPLETED"
    assert patches["Partition"] == "cpu"
    assert "gpu" not in patches["TRES"] + patches["JOB_GRES"]
    assert len(jobs_of(slurm, "", scanned)) == 2


def test_a_shard_outlives_what_slurm_does_to_it(slurm, undisturbed):
    """One run: cancelled, out of time, out of memory, and the node's daemon killed."""
    folder = without_fits(undisturbed, "slurm-faults")

    def attempt(number):
        """The job of an attempt, once it is at work."""

        def find():
            jobs = jobs_of(slurm, "fit_patches", folder)
            if len(jobs) == number and jobs[-1]["JobState"] == "RUNNING":
                return jobs[-1]

        return until(find, f"attempt {number} does not run", timeout=180)

    def state(job):
        (now,) = (other for other in slurm.jobs() if other["JobId"] == job["JobId"])
        return now["JobState"]

    def fitting_again():
        """The process that fits, once it has fitted something more."""
        n_kept = len(kept(folder))
        until(lambda: len(kept(folder)) > n_kept, "nothing is fitted")
        return fitting(folder)

    resources = ("--set-resources", "fit_patches:mem_mb=150 if attempt == 3 else 4000")
    options = (TABLE, *PROFILE, "--retries", "3", *resources)
    with running(folder, scan(), *options) as driver:
        cancelled = attempt(1)
        fitting_again()
        slurm.run("scancel", cancelled["JobId"])

        late = attempt(2)
        # It hangs, a minute is all it gets, and SLURM looks every half minute.
        fitting_again().suspend()
        slurm.run("scontrol", "update", f"JobId={late['JobId']}", "TimeLimit=1")
        until(lambda: state(late) == "TIMEOUT", "no time limit", timeout=180)

        starved = attempt(3)
        until(lambda: state(starved) not in ("RUNNING", "COMPLETING"), "no memory limit")

        survivor = attempt(4)
        fitting_again()
        cluster.kill("slurmd", signal.SIGKILL)
        slurm.start_node()
        assert driver.wait(180) == 0
    assert [state(job) for job in (cancelled, late, survivor)] == [
        "CANCELLED",
        "TIMEOUT",
        "COMPLETED",
    ]
    assert state(starved) in ("OUT_OF_MEMORY", "CANCELLED", "FAILED")
    assert same_table(folder, undisturbed)
    # Two attempts before the last had time to finish a configuration or more.
    assert n_fitted(folder) <= N_CONFIGURATIONS - 2
