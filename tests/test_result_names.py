"""Results are xarray that says what it holds, for figures and tables of one line."""

from __future__ import annotations

from pathlib import Path

import brainguided

ROOM = Path(brainguided.__file__).parent
ELSEWHERE = {
    "rdms/compute.py": "dissimilarities are the only variable, with units",
    "reports/_rewarded.py": "for figures of a report alone",
}


def test_every_module_that_makes_a_dataset_names_its_variables() -> None:
    unnamed = []
    for path in sorted(ROOM.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        named = "name_results(" in text or "name_variables(" in text
        if "xr.Dataset(" in text and not named:
            unnamed.append(path.relative_to(ROOM).as_posix())
    assert unnamed == sorted(ELSEWHERE)
