"""Logs of the workflow's scripts."""

import logging
import sys
from pathlib import Path


def log_to(path: str | Path):
    """Send patchsep's messages, all warnings and an uncaught error to the file at `path`.

    The error goes to standard error as well, where Snakemake shows it.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=path,
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
