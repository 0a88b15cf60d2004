"""Words in names of arrays, lists and columns that hint at what they are."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

# What hints at what, the more telling first.
HINTS: dict[str, tuple[str, ...]] = {
    "stimulus": ("stim", "image", "img", "picture", "cond", "object", "filename", "scene"),
    "presentation": ("trial", "presentation"),
    "site": ("unit", "neuron", "cell", "site", "channel", "electrode", "cluster", "neuroid", "roi"),
    "time_bin": ("time", "bin", "edges", "latency", "psth", "ms"),
}
OTHERS: dict[str, tuple[str, ...]] = {
    "onset": ("onset", "on_time", "stim_on", "image_on", "start_time", "on_ms", "on_s"),
    "area": ("area", "region"),
    "animal": ("animal", "monkey", "subject"),
    "repetition": ("rep", "repetition", "trial", "presentation", "showing"),
    "response": ("rate", "resp", "count", "fr", "firing", "dff", "spikes", "activity", "value"),
}


def find_hint(name: str, *, others: bool = True) -> str | None:
    """Return what a name hints at, None if nothing."""
    words = [word for word in re.split(r"[^a-z]+", _split_camel(name).lower()) if word]
    joined = "_".join(words)
    if others:
        for kind in ("onset", "area", "animal"):
            if any(hint in joined for hint in OTHERS[kind]):
                return kind
    for kind, hints in HINTS.items():
        if any(word.startswith(hint) for word in words for hint in hints):
            return kind
    return None


def is_kind(name: str, kind: str) -> bool:
    """Whether a name may be that of a repetition or response."""
    words = re.split(r"[^a-z]+", _split_camel(name).lower())
    return any(word.startswith(OTHERS[kind]) for word in words if word)


def _split_camel(name: str) -> str:
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name.rpartition(".")[2])


def share_start(names: Sequence[str]) -> str:
    """Return the letters with which all names begin."""
    shared = ""
    for letters in zip(*names, strict=False):
        if len(set(letters)) > 1:
            break
        shared += letters[0]
    return shared


def quote(text: str) -> str:
    """Return a text as TOML writes it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def on_one_line(text: object) -> str:
    """Return a text without line breaks and other letters that end a comment, and not too long."""
    plain = "".join(letter if letter.isprintable() else " " for letter in str(text))
    return plain if len(plain) <= 60 else plain[:57] + "..."
