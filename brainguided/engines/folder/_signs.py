"""Signs of life of workers, as the search sees them in the folder."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brainguided.engines.folder.jobs import list_jobs, place, read_json
from brainguided.engines.versions import list_versions, say_differences

_log = logging.getLogger(__name__)


class Signs:
    """Signs of life of workers, judged by changes to files since their clocks may be wrong."""

    def __init__(self, folder: Path, *, silence: float) -> None:
        self._folder = folder
        self._silence = silence
        self._beats: dict[str, tuple[Any, float, int]] = {}  # last beat, seen here at, processes
        self._compared: set[str] = set()  # workers whose versions are known
        self.refused: set[str] = set()  # of these, workers that have others
        self._versions = list_versions()

    def read(self) -> dict[str, dict[str, Any] | None]:
        """Return what each worker has written last."""
        names = list_jobs(self._folder, "workers")
        return {name: read_json(place(self._folder, "workers", name)) for name in names}

    def note(self, signs: Mapping[str, dict[str, Any] | None], now: float, forgiven: float) -> None:
        """Take up what was read, and remove what is left of workers that are long gone.

        No worker gets older by the seconds that are forgiven.
        """
        beats = {
            worker: (beat, min(now, seen + forgiven), count if worker in signs else 0)
            for worker, (beat, seen, count) in self._beats.items()
        }
        for worker, sign in signs.items():
            before = beats.get(worker)
            if sign is not None and (before is None or before[0] != sign.get("beat")):
                count = sign.get("workers")
                beats[worker] = (sign.get("beat"), now, count if type(count) is int else 0)
                self._compare_versions(worker, sign.get("versions"))
        self._beats = beats
        for worker in signs:
            if worker in beats and now - beats[worker][1] > 10 * self._silence:
                place(self._folder, "workers", worker).unlink(missing_ok=True)

    def measure_silence(self, worker: str, now: float) -> float:
        """Return for how many seconds nothing was heard of a worker, counted from now on."""
        _, seen, _ = self._beats.setdefault(worker, (None, now, 0))
        return now - seen

    def say_where(self, worker: str | None, now: float) -> str:
        """Return in a few words where an attempt is that a worker has, or none."""
        if worker is not None:
            silent = self.measure_silence(worker, now)
            return f"with worker {worker}, heard of {silent:.0f} s ago"
        known = self.count_processes(now)
        if known:
            return f"waiting for one of {len(known)} workers"
        return f"waiting for a worker (none was heard of: brainguided worker {self._folder})"

    def is_silent(self, worker: str, now: float) -> bool:
        """Return whether nothing was heard of a worker for too long, counted from now on."""
        return self.measure_silence(worker, now) > self._silence

    def count_processes(self, now: float) -> dict[str, int]:
        """Return the workers heard of lately, and how many processes each has."""
        return {
            worker: count
            for worker, (_, seen, count) in list(self._beats.items())
            if count > 0 and worker not in self.refused and now - seen <= self._silence
        }

    def _compare_versions(self, worker: str, versions: Any) -> None:
        """Refuse a worker whose results may differ, and say so once."""
        if worker in self._compared or not isinstance(versions, dict):
            return
        self._compared.add(worker)
        other = say_differences(versions, self._versions)
        if other:
            self.refused.add(worker)
            _log.warning(
                "Worker %s has %s and is refused: its results may differ from those of others. "
                "Install the same versions everywhere.",
                worker,
                other,
            )
