"""What every job begins with: its threads and its log."""

import logging
import os
import sys
from pathlib import Path


def begin(log: str | Path):
    """Keep to the job's threads, and write its log.

    patchsep's messages, all warnings and an uncaught error go to the file `log`; the error goes to
    standard error as well, where Snakemake shows it.
    """
    # Snakemake tells the threads in the one variable, and XLA reads them from the other, when it
    # first computes.
    if "OMP_NUM_THREADS" in os.environ:
        os.environ.setdefault("NPROC", os.environ["OMP_NUM_THREADS"])
    _log_to(log)


def _log_to(path):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=path,
        encoding="utf-8",
        filemode="w",
        force=True,
        level=logging.WARNING,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
    )
    logging.captureWarnings(True)
    logging.getLogger("patchsep").setLevel(logging.INFO)

    def report(kind, error, traceback):
        logging.getLogger("patchsep").error("stopped", exc_info=(kind, error, traceback))
        sys.__excepthook__(kind, error, traceback)

    sys.excepthook = report
