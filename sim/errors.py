"""The error of a simulation that could not be done; a wrong result is not an error but a report.

The command line ends with status 3 after it.
"""

from __future__ import annotations


class SimulationError(RuntimeError):
    """A simulator could not be built, died or gave no answer; the message says which and why.

    Parameters
    ----------
    message
        The message.
    log
        The whole output of a compiler that failed.
    """

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log
