"""Where data come from: their source, whether they are simulated, what was done to them."""

from __future__ import annotations

import re
from typing import Any

# Sources that the simulations wrote before attrs["simulated"] was there
_BEFORE_THE_FLAG = re.compile(
    r"(shuffled conditions of )?simulated macaque( \(brainguided |, noise-free, seed=)"
)


def is_simulated(*data: Any) -> bool:
    """Return whether any of these was made by a simulation, rather than recorded.

    Parameters
    ----------
    *data : xarray object, rsatoolbox.rdm.RDMs or mapping
        Data with ``attrs`` or ``descriptors``, or such attributes themselves. The flag is
        ``simulated = 1``. Data without it are simulated only if their source begins as
        ``simulate_macaque`` wrote it before there was a flag; the word "simulated" anywhere
        else in the source says nothing.

    Returns
    -------
    bool
        True if any of them is simulated.

    Examples
    --------
    >>> is_simulated({"source": "our lab; simulated annealing chose the sites"})
    False
    >>> is_simulated({"source": "our model of V4", "simulated": 1})
    True
    """
    return any(_is_simulated(_attributes(one)) for one in data)


def origin_of(*data: Any) -> dict[str, Any]:
    """Return the attributes that results keep of the data they are made from.

    Parameters
    ----------
    *data : as for `is_simulated`

    Returns
    -------
    dict
        ``source``, each once; ``simulated``, 1, if any are; ``history``, each step once, if
        there is one.
    """
    known = [_attributes(one) for one in data]
    steps = (step for attrs in known for step in str(attrs.get("history", "")).splitlines())
    history = "\n".join(dict.fromkeys(steps))
    return {
        "source": "; ".join(dict.fromkeys(str(attrs.get("source", "unknown")) for attrs in known)),
        **({"simulated": 1} if is_simulated(*known) else {}),
        **({"history": history} if history else {}),
    }


def _attributes(data: Any) -> Any:
    return getattr(data, "attrs", getattr(data, "descriptors", data))


def _is_simulated(attrs: Any) -> bool:
    if "simulated" in attrs:
        return bool(attrs["simulated"] == 1)
    return any(map(_BEFORE_THE_FLAG.match, str(attrs.get("source", "")).split("; ")))
