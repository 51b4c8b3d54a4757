"""A real SLURM of one node with two GPU resources, for tests: needs root, takes over /etc/slurm.

The GPUs are SLURM's only: it hands out two devices of type h100 that are /dev/null, and sets
CUDA_VISIBLE_DEVICES. Seen working with SLURM 22.05 of Debian 12.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from workflows import until

# What the tests need to be allowed by whoever runs them: .ci/run does.
PERMISSION = "PATCHSEP_TEST_SLURM"
SETTINGS = Path("/etc/slurm")
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scontrol")


def why_not() -> str | None:
    """Why no SLURM can be brought up here, None if it can."""
    if not os.environ.get(PERMISSION):
        return f"takes over /etc/slurm; set {PERMISSION}=1 where that is all right"
    if os.geteuid() != 0:
        return "needs root"
    missing = [name for name in PROGRAMS if not shutil.which(name, path=search_path())]
    return f"needs {', '.join(missing)} (Debian: slurm-wlm munge)" if missing else None


def search_path() -> str:
    return os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])


class Slurm:
    """The daemons, and SLURM's own records of jobs."""

    def __init__(self, folder: Path):
        self.folder, self.host = folder, socket.gethostname()
        self.environment = {**os.environ, "PATH": search_path()}

    def start(self):
        self.stop()
        devices = self.folder / "devices"
        for name in ("devices", "state", "spool"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(2):
            # The device numbers of /dev/null.
            self.run("mknod", str(devices / f"nvidia{number}"), "c", "1", "3")
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        SETTINGS.mkdir(exist_ok=True)
        (SETTINGS / "cgroup.conf").write_text("CgroupAutomount=no\n")
        (SETTINGS / "gres.conf").write_text(
            f"AutoDetect=off\nNodeName={self.host} Name=gpu Type=h100 File={devices}/nvidia[0-1]\n"
        )
        (SETTINGS / "slurm.conf").write_text(
            f"""\
ClusterName=patchsep
SlurmctldHost={self.host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
ReturnToService=2
MinJobAge=3600
KillWait=2
OverTimeLimit=0
SlurmctldTimeout=10
SlurmdTimeout=10
JobRequeue=0
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd.pid
SlurmctldLogFile={self.folder}/slurmctld.log
SlurmdLogFile={self.folder}/slurmd.log
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
NodeName={self.host} NodeAddr=127.0.0.1 CPUs=8 RealMemory={memory - 512} Gres=gpu:h100:2
PartitionName=cpu Nodes={self.host} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={self.host} MaxTime=INFINITE State=UP
"""
        )
        Path("/run/munge").mkdir(exist_ok=True)
        shutil.chown("/run/munge", "munge", "munge")
        self.run("runuser", "-u", "munge", "--", shutil.which("munged", path=search_path()))
        self.run("slurmctld", "-c")
        self.start_node()

    def start_node(self):
        self.run("slurmd", "-N", self.host)
        until(lambda: "idle" in self.run("sinfo", "-h", "-o", "%t"), "the node is not idle")

    def stop(self):
        subprocess.run(["scancel", "--user", "root"], env=self.environment, capture_output=True)
        for name in ("slurmd", "slurmctld", "munged"):
            kill(name, signal.SIGKILL)
        # Every start of Snakemake asks scontrol, which would wait for these daemons.
        for name in ("cgroup", "gres", "slurm"):
            (SETTINGS / f"{name}.conf").unlink(missing_ok=True)

    def run(self, *command: str) -> str:
        # Daemons keep the pipes of what started them.
        output = self.folder / "command.out"
        with output.open("w") as file:
            done = subprocess.run(
                command, env=self.environment, stdout=file, stderr=subprocess.STDOUT
            )
        printed = output.read_text()
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {printed}")
        return printed

    def jobs(self) -> list[dict[str, str]]:
        """SLURM's record of every job: what it asked for, got, and came to."""
        printed = self.run("scontrol", "--oneliner", "--details", "show", "jobs")
        lines = [line for line in printed.splitlines() if line.startswith("JobId=")]
        return [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in lines]


def kill(name: str, signal_number: int):
    """Send a signal to every process of a name, and wait until all are gone."""

    def pids():
        found = subprocess.run(["pgrep", "-x", name], capture_output=True, text=True)
        return [int(pid) for pid in found.stdout.split()]

    for pid in pids():
        os.kill(pid, signal_number)
    until(lambda: not pids(), f"{name} lives on")
