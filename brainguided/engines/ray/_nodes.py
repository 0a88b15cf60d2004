"""The nodes of a Ray cluster: which can take a task, and which do not answer."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from brainguided.engines.output import clean
from brainguided.engines.ray._call import pack_call
from brainguided.engines.versions import list_versions, say_differences

_log = logging.getLogger(__name__)
PING = 15.0  # s in which a node has to run nothing at all, or it may be lost
_SILENT = 60.0  # s for which a node that did not is given nothing; Ray takes longer to say so


@dataclass(frozen=True)
class Demand:
    """Resources that a task takes, labels that its node has to have; memory in bytes."""

    cpus: float
    gpus: float
    resources: Mapping[str, float]
    labels: Mapping[str, str]
    memory: int | None

    @property
    def needs(self) -> dict[str, float]:
        """What a node has to offer, by Ray's names."""
        wanted = {
            "CPU": self.cpus, "GPU": self.gpus, "memory": self.memory or 0, **self.resources
        }  # fmt: skip
        return {name: need for name, need in wanted.items() if need > 0}

    @property
    def options(self) -> dict[str, Any]:
        """The options of a task of Ray."""
        options: dict[str, Any] = {"num_cpus": self.cpus, "num_gpus": self.gpus, "max_retries": 0}
        if self.resources:
            options["resources"] = dict(self.resources)
        if self.memory is not None:
            options["memory"] = self.memory
        return options


class Nodes:
    """Hold how many tasks each node runs at a time, and which are given nothing for a while.

    Parameters
    ----------
    ray : module
    remote : ray.remote_function.RemoteFunction
        `run_call`.
    takes : Demand
    versions : mapping of str to str, optional
        Of this process, as returned by `list_versions`: nodes are given nothing before they have
        said theirs, nor where those are others.
    """

    def __init__(
        self,
        ray: Any,
        remote: Any,
        takes: Demand,
        *,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        self._ray, self._remote = ray, remote
        self._options, self._needs, self._labels = takes.options, takes.needs, dict(takes.labels)
        self.offers: list[dict[str, Any]] = []  # all nodes, as Ray describes them
        self.places: dict[str, int] = {}  # how many tasks each node can run at a time
        self.refused: dict[str, str] = {}  # nodes that are given nothing at all, and why
        self._versions = versions
        self._asked: dict[str, Any] = {}  # nodes that have not yet said their versions
        self._trusted: set[str] = set()  # that have the same
        self._names: dict[str, str] = {}
        self._calls: dict[str, Any] = {}  # how to run on each node
        self._suspects: dict[str, float] = {}  # nodes that are given nothing, until when
        elsewhere = takes.options | ({"label_selector": self._labels} if self._labels else {})
        self._anywhere = remote.options(**elsewhere)

    def count(self) -> None:
        """Look which nodes there are."""
        places = {}
        self.offers = [node for node in self._ray.nodes() if node["Alive"]]
        for node in self.offers:
            self._names[node["NodeID"]] = str(node.get("NodeManagerHostname", node["NodeID"]))
            if not self._labels.items() <= node.get("Labels", {}).items():
                continue
            there = node["Resources"]
            n = min(int(there.get(name, 0) / need + 1e-9) for name, need in self._needs.items())
            if n > 0 and self._has_same_versions(node["NodeID"]):
                places[node["NodeID"]] = n
        self.places = places

    def find_places(self, seconds: float) -> None:
        """Look which nodes there are, until one of them can take a task or all have answered.

        Parameters
        ----------
        seconds : float
            Longest time to wait for answers: a node starts a process first.
        """
        end = time.monotonic() + seconds
        self.count()
        while not self.places and self._asked and time.monotonic() < end:
            self._ray.wait(list(self._asked.values()), timeout=1.0)
            self.count()

    def _has_same_versions(self, node: str) -> bool:
        """Return whether a node has said that its versions are those of this process."""
        if self._versions is None or node in self._trusted:
            return True
        if node in self.refused:
            return False
        if node not in self._asked:
            ask = self._place_on(node, {"num_cpus": 0, "max_retries": 0})
            piece = pack_call(self._ray, list_versions, (), {})[0]
            self._asked[node] = ask.remote("", None, piece)
        ready, _ = self._ray.wait([self._asked[node]], timeout=0)
        if not ready:
            return False
        reference = self._asked.pop(node)
        try:
            why = say_differences(self._ray.get(reference), self._versions)
        except self._ray.exceptions.RayTaskError as error:  # as where the package is not there
            why = clean(str(getattr(error, "cause", None) or error), 300)
        except self._ray.exceptions.RayError:  # the node or the process died: it is asked again
            return False
        if not why:
            self._trusted.add(node)
            return True
        self.refused[node] = why
        _log.warning(
            "Node %s of Ray is given nothing: %s. Install the same versions everywhere.",
            self.name(node),
            why,
        )
        return False

    def list_places(self) -> dict[str, int]:
        """Return how many tasks each node runs at a time, without nodes that do not answer."""
        now = time.monotonic()
        places, suspects = self.places, self._suspects
        return {node: n for node, n in places.items() if now >= suspects.get(node, now)}

    def choose(self, taken: Iterable[str | None]) -> str | None:
        """Return the node with most places left; None where there is none at all."""
        places, counts = self.list_places(), Counter(taken)
        return max(places, key=lambda node: places[node] - counts[node], default=None)

    def find_call(self, node: str | None) -> Any:
        """Return how to run a task on a node, or anywhere."""
        if node is None:
            return self._anywhere
        if node not in self._calls:
            self._calls[node] = self._place_on(node, self._options)
        return self._calls[node]

    def _place_on(self, node: str, options: dict[str, Any]) -> Any:
        # We choose, so as to know what is lost with a node, of which Ray may say nothing
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        strategy = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
        return self._remote.options(**options, scheduling_strategy=strategy)

    def name(self, node: str) -> str:
        """Return the name of the host of a node."""
        return self._names.get(node, node)

    def suspect(self, node: str | None, seconds: float) -> None:
        """Give a node nothing for a while; it may be gone before Ray says so."""
        if node is not None:
            self._suspects[node] = time.monotonic() + seconds

    def trust(self, node: str) -> bool:
        """Return whether a node can run anything now; if not, it is given nothing for a while."""
        if node not in self.list_places():
            return False
        answers = self.answers(node, PING)
        if not answers:
            self.suspect(node, _SILENT)
        return answers

    def answers(self, node: str, seconds: float) -> bool:
        """Return whether a node runs nothing at all within a time."""
        with suppress(self._ray.exceptions.RayError):  # the node died meanwhile
            ping = self._place_on(node, {"num_cpus": 0, "max_retries": 0})
            reference = ping.remote("", None, pack_call(self._ray, int, (), {})[0])
            ready, _ = self._ray.wait([reference], timeout=seconds)
            if ready:
                self._ray.get(reference)
                return True
            self.cancel(reference)
        return False

    def cancel(self, reference: Any) -> None:
        """End a task, whatever it is at."""
        with suppress(Exception):
            self._ray.cancel(reference, force=True, recursive=True)
