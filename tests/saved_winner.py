"""A run whose winner was saved as searches do, without any training."""

from __future__ import annotations

from fake_task import run_eight
from rewritten_runs import rewrite_run

from brainguided.architectures import Architecture
from brainguided.journal.confirmed import find_winner
from brainguided.journal.journal import Journal
from brainguided.networks.build import build_network
from brainguided.networks.noted_weights import save_noted_weights


def note_of(winner):
    return {name: getattr(winner, name) for name in ("candidate", "seed", "architecture")}


def save_run(folder):
    """Return the run folder, its winner, and the network that was saved."""
    run_eight(folder / "made")
    with Journal.read(folder / "made") as journal:
        winner = find_winner(journal.results())
    said = {"images": {"classes": 3, "image_size": 21}}
    out = rewrite_run(
        folder / "made",
        folder / "first",
        config=lambda config: config["task"].update(said),
    )
    network = build_network(Architecture.from_json(winner.architecture), n_classes=3, seed=1)
    save_noted_weights(network, out / "winner.pt", note_of(winner))
    return out, winner, network.eval()
