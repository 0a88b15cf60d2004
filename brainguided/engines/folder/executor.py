"""Evaluations by workers that share nothing with the search but a folder."""

from __future__ import annotations

import os
from pathlib import Path

from brainguided.engines.folder._executor import FolderExecutor

__all__ = ["FolderExecutor", "folder_executor"]


def folder_executor(folder: str | os.PathLike[str], *, silence: float = 60.0) -> FolderExecutor:
    """Return an executor whose workers see nothing of this machine but a folder.

    For machines that cannot reach each other, or that a queue such as SLURM hands out one by one:
    the folder is shared (NFS) or kept the same by a program (rsync, Syncthing). On each machine
    run ``brainguided worker``, or `serve_folder`; workers may come and go at any time. Workers
    have the data of the task themselves, and refuse to work where their task, or their version of
    this package or of torch, is another. Between copies that are merged, two may begin the same
    candidate; one of them is stopped. One search at a time has the folder.

    Results are there to be taken up when a search that was killed goes on, also those that ended
    meanwhile.

    Parameters
    ----------
    folder : path
        Made if it is missing; of one search. With the command line that is ``jobs`` in the run
        folder.
    silence : float
        Seconds without a sign of a worker after which it is lost, and what it had is tried again.
        Longer than copying the folder to and fro takes, where it is not really shared. Errors of
        the folder itself are borne as long.

    Returns
    -------
    FolderExecutor
        A `concurrent.futures.Executor`.

    Raises
    ------
    ValueError
        `silence` is not positive, or another search gives signs of life in the folder. One that
        gives none is waited for as long as `silence`, unless its process was on this machine.
    OSError
        The folder cannot be written.
    """
    if not silence > 0:
        raise ValueError(f"silence is {silence!r}; expected a positive number of seconds.")
    return FolderExecutor(Path(folder), silence=silence)
