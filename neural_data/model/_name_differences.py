"""What sets names of stimuli apart from those of images, where neither has those of the other."""

from __future__ import annotations

from collections.abc import Sequence

from neural_data.storage.image_files import strip_ending

RENAME = "with assign_coords(stimulus=...)"


def explain_differences(imageless: Sequence[str], unused: Sequence[str]) -> list[str]:
    """Return how names of stimuli without image differ from names of images without stimulus."""
    said = []
    if {strip_ending(n) for n in imageless} & {strip_ending(n) for n in unused}:
        said.append(
            "some differ only in the ending of a file name, as 'im1' and 'im1.png': name both with "
            f"or both without it, {RENAME}"
        )
    small = {name.lower(): name for name in unused}
    pair = next(((n, small[n.lower()]) for n in imageless if n.lower() in small), None)
    if pair:
        said.append(
            f"some differ only in upper and lower case, as {pair[0]!r} and {pair[1]!r}: write both "
            f"the same way, {RENAME}"
        )
    return said


def advise(n_common: int, explained: bool) -> str:
    """Return what to do about stimuli and images that differ."""
    if n_common:
        return (
            "Select those in common first: stimuli.sel(stimulus=...) and, for a recording, "
            "select_recording(recording, stimulus=...)."
        )
    if explained:
        return "No name is the same in both: rename first."
    return (
        "No name is the same in both: check that these are the images that were shown, and name "
        f"them as the stimuli are named, {RENAME}."
    )
