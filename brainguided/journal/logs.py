"""The log of each attempt that said something or failed: a file in the run folder."""

from __future__ import annotations

from pathlib import Path

from brainguided.journal.attempts import Attempt, Timing


def write_log(folder: Path, attempt: Attempt, timing: Timing | None, text: str) -> Path | None:
    """Write the log of an attempt that said something or failed.

    Parameters
    ----------
    folder : Path
        Made if it is missing.

    Returns
    -------
    Path or None
        ``candidate_0000012_attempt_1.log``; None where there is nothing to say.
    """
    if not text and attempt.outcome == "done":
        return None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"candidate_{attempt.candidate:07d}_attempt_{attempt.attempt}.log"
    head = f"outcome: {attempt.outcome} {attempt.reason}".rstrip()
    if timing is not None:
        head += f"\nhost: {timing.host} (process {timing.pid})\nseconds: {timing.seconds:.3f}"
    path.write_text(f"{head}\nseed: {attempt.seed}\n\n{text}", encoding="utf-8")
    return path
