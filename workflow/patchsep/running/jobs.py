"""What every job begins with, its threads and its log, and how one ends that cannot go on."""

import dis
import logging
import os
import sys
from pathlib import Path
from types import TracebackType

PACKAGE = Path(__file__).parents[1]
RAISE = dis.opmap["RAISE_VARARGS"]


def begin(log: str | Path):
    """Keep to the job's threads, and write its log.

    patchsep's messages, all warnings and an uncaught error go to the file `log`; the error goes to
    standard error as well, where Snakemake shows it: one that `is_explained` as its message alone,
    any other with its traceback.
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

    def report(kind, error, trace):
        log = logging.getLogger("patchsep")
        if is_explained(error, trace):
            log.error("stopped: %s", error)
            print(f"patchsep stopped: {error}", file=sys.stderr)
        else:
            log.error("stopped", exc_info=(kind, error, trace))
            sys.__excepthook__(kind, error, trace)

    sys.excepthook = report


def is_explained(error: BaseException, trace: TracebackType | None) -> bool:
    """Whether a `raise` of this package has put an error into words.

    An assertion, or what Python raises in our code by itself, such as a KeyError, is a fault of
    the program and needs its traceback.
    """
    if trace is None or not isinstance(error, Exception) or isinstance(error, AssertionError):
        return False
    while trace.tb_next:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    is_ours = Path(code.co_filename).is_relative_to(PACKAGE)
    return is_ours and code.co_code[trace.tb_lasti] == RAISE and bool(str(error))
