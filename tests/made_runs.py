"""Made-up runs of any size, as a journal would have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from brainguided.journal.attempts import Attempt, Timing
from brainguided.journal.measurement import Measurement, Rung
from brainguided.reports._figures import Drawn
from brainguided.reports._rewarded import Run
from brainguided.reports.page import build_page, collect_data
from brainguided.spaces import zoph2017_space

HOSTILE = "</script><script>document.title='taken'</script><!-- <img src=x onerror=alert(1)>"
AREAS = ("V4", "IT")
TARGETS = (*AREAS, "V4:pixels", "IT:pixels", f"IT:{HOSTILE}")


def make_run(n: int, *, seed: int = 0) -> Run:
    """Return a run of `n` candidates, every 20th of which failed."""
    generator = np.random.default_rng(seed)
    space = zoph2017_space()
    results, texts = [], []
    for candidate in range(n):
        architecture = space.sample(generator)
        texts.append(architecture.to_json())
        results.append(_attempt(candidate, architecture, generator))
    teacher = [
        {"area": area, "source": HOSTILE, "stimuli": 64, "conditions": 64, "simulated": True}
        for area in AREAS
    ]
    config = {
        "space": space.describe(),
        "controller": {"name": HOSTILE, "seed": 3, "baseline_decay": 0.5, "batch_size": 4},
        "task": {"teacher": teacher, "images": {"source": HOSTILE, "classes": 8}},
    }
    rewards = [result.reward for result in results]
    events: list[tuple[str, dict[str, Any]]] = [
        ("ask", {"first_candidate": 0, "architectures": texts}),
        ("tell", {"candidates": list(range(n)), "rewards": rewards}),
    ]
    timings = {(k, 1): Timing(2.0, 10.0 * k, 10.0 * k + 2, HOSTILE, 7) for k in range(n)}
    sessions = [(0.0, "one", HOSTILE, 7, {"torch": HOSTILE})]
    return Run(results, config, dict.fromkeys(range(n), 2.0), timings, sessions, events, 640 * n)


def _attempt(candidate: int, architecture: Any, generator: np.random.Generator) -> Attempt:
    said = {"candidate": candidate, "attempt": 1, "architecture": architecture.to_json(),
            "key": architecture.key, "seed": 2**60 + candidate}  # fmt: skip
    if candidate % 20 == 19:
        return Attempt(**said, outcome="failed", reason=HOSTILE, reward=0.1)
    layers = [f"layer{k + 1}" for k in range(architecture.depth)]
    rungs = tuple(
        Rung(
            step, performance=float(generator.random()), cross_entropy=2.0,
            similarity={t: dict(zip(layers, generator.normal(size=len(layers)).tolist()))
                        for t in TARGETS},
            committed={area: 0.1 for area in AREAS},
        )
        for step in (0, 50, 400)
    )  # fmt: skip
    measurement = Measurement(AREAS, rungs, {"parameters": 1000.0})
    guidance = measurement.guidance()
    return Attempt(
        **said, outcome="done", performance=rungs[-1].performance, guidance=guidance,
        reward=float(generator.random()), n_parameters=int(generator.integers(1000, 10**6)),
        measurement=measurement,
    )  # fmt: skip


def make_page(folder: Path, n: int) -> Path:
    """Write the page of a run of `n` candidates; candidate 19 has a log."""
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    (logs / "candidate_0000019_attempt_1.log").write_text(f"outcome: failed\n{HOSTILE}\n")
    run, drawn = make_run(n), Drawn(remarks=[HOSTILE])
    page = folder / "report.html"
    page.write_text(build_page(run, folder, drawn, collect_data(run, folder, drawn)), "utf-8")
    return page
