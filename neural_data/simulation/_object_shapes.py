"""The shapes of the 64 simulated objects: ellipsoids and boxes in three dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["CATEGORIES", "OBJECTS_PER_CATEGORY", "build_object", "compute_rotation"]

CATEGORIES = ("animals", "boats", "cars", "chairs", "faces", "fruits", "planes", "tables")
OBJECTS_PER_CATEGORY = 8

_OBJECT_SEED = 1947  # fixes what 'cars_3' looks like, whatever the user's seed

# A part is (kind, centre, radii, rotation about x y z in degrees, albedo); x runs along the
# object's length, y up, z towards the viewer. 'e' is an ellipsoid, 'b' a box of half sides radii.
_Part = tuple[str, tuple[float, ...], tuple[float, ...], tuple[float, ...], float]
_GONE = (1e-3, 1e-3, 1e-3)


def _part(
    kind: str,
    centre: Sequence[float],
    radii: Sequence[float],
    albedo: float,
    turn: Sequence[float] = (0.0, 0.0, 0.0),
) -> _Part:
    return kind, tuple(centre), tuple(radii), tuple(turn), albedo


def _animal(k: int, u: Callable[[float, float], float]) -> list[_Part]:
    legs, neck, girth, skin = u(0.35, 0.65), u(0.05, 0.5), u(0.2, 0.32), u(0.45, 0.95)
    head = (0.62 + 0.4 * neck, 0.15 + neck, 0.0)
    parts = [
        _part("e", (0, 0, 0), (0.62, girth, girth), skin),
        _part("e", (0.55, 0.1 + neck / 2, 0), (0.15, 0.16 + neck / 2, 0.13), skin, (0, 0, -30)),
        _part("e", head, (0.22, 0.17, 0.15), skin),
        _part("e", (head[0] + 0.22, head[1] - 0.06, 0), (u(0.1, 0.24), 0.09, 0.09), 0.7 * skin),
        _part("e", (-0.75, 0.1, 0), (u(0.15, 0.35), 0.05, 0.05), skin, (0, 0, u(-50, 40))),
    ]
    ear = u(0.08, 0.22)
    for z in (-0.1, 0.1):
        parts.append(_part("e", (head[0] - 0.06, head[1] + 0.2, z), (0.05, ear, 0.05), 0.6 * skin))
    for x in (-0.42, 0.42):
        for z in (-0.14, 0.14):
            parts.append(_part("e", (x, -0.1 - legs, z), (0.09, legs, 0.08), 0.85 * skin))
    return parts


def _boat(k: int, u: Callable[[float, float], float]) -> list[_Part]:
    sails = k % 2 == 0
    hull, tall, mast = u(0.3, 0.9), u(0.6, 0.95), u(-0.1, 0.15)
    return [
        _part("e", (0, -0.1, 0), (0.95, u(0.2, 0.3), u(0.24, 0.32)), hull),
        _part("e", (0, 0.06, 0), (0.88, 0.1, 0.26), 1.0 - 0.5 * hull),
        _part("e", (0.75, 0.08, 0), (0.3, 0.08, 0.1), hull, (0, 0, 22)),
        _part("e", (mast - 0.3, 0.2 + tall / 2, 0), (0.32, tall / 2, 0.03), 1.0)
        if sails
        else _part("e", (-0.45, 0.55, 0), (0.12, 0.3, 0.12), 0.3),
        _part("e", (mast + 0.3, 0.15 + tall / 3, 0), (0.2, tall / 3, 0.03), 0.9)
        if sails
        else _part("e", (-0.05, 0.5, 0), (0.12, 0.3, 0.12), 0.3),
        _part("b", (mast, 0.1 + tall / 2, 0), (0.03, tall / 2, 0.03), 0.4),
        _part("b", (-0.2, 0.2, 0), (0.2, 0.06, 0.14) if sails else (u(0.35, 0.5), 0.16, 0.2), 0.9),
        _part("b", (-0.2, 0.4, 0), _GONE if sails else (0.25, 0.09, 0.16), 0.75),
    ]


def _car(k: int, u: Callable[[float, float], float]) -> list[_Part]:
    paint, body, wheel = u(0.4, 1.0), u(0.17, 0.25), u(0.17, 0.23)
    roof = u(0.15, 0.28)
    long, at = (u(0.6, 0.75), u(-0.2, -0.1)) if k % 3 == 0 else (u(0.35, 0.5), u(-0.2, 0.05))
    parts = [
        _part("b", (0, 0, 0), (0.92, body, 0.4), paint),
        _part("b", (at, body + roof, 0), (long, roof, 0.34), 0.25),
        _part("b", (at, body + 2 * roof, 0), (long + 0.02, 0.04, 0.36), paint),
        _part("b", (at - 0.1, body + roof, 0), (0.05, roof, 0.36), paint),
    ]
    for z in (-0.39, 0.39):
        parts.append(_part("e", (0.92, 0.0, 0.7 * z), (0.05, 0.08, 0.08), 1.3))
        for x in (-0.56, 0.56):
            parts.append(_part("e", (x, -body, z), (wheel, wheel, 0.09), 0.12))
            parts.append(_part("e", (x, -body, 1.15 * z), (wheel / 2, wheel / 2, 0.06), 0.9))
    return parts


def _chair(k: int, u: Callable[[float, float], float]) -> list[_Part]:
    wood, seat, back, leg = u(0.4, 1.0), u(0.36, 0.48), u(0.4, 0.65), u(0.03, 0.055)
    legs, arms = u(0.3, 0.42), k % 3 == 0
    parts = [
        _part("b", (0, 0, 0), (seat, 0.05, seat), wood),
        _part("b", (0, back, -seat), (seat, back * u(0.5, 1.0), 0.04), 0.85 * wood),
        _part("e", (0, 0.06, 0), (0.8 * seat, u(0.01, 0.1), 0.8 * seat), 0.6 * wood),
    ]
    for x in (-0.9 * seat, 0.9 * seat):
        parts.append(_part("b", (x, back * 0.9, -seat), (leg, back * 0.95, leg), wood))
        parts.append(_part("b", (x, 0.25, 0), (0.04, 0.04, seat) if arms else _GONE, wood))
        for z in (-0.9 * seat, 0.9 * seat):
            parts.append(_part("b", (x, -legs, z), (leg, legs, leg), 0.9 * wood))
    return parts


def _face(k: int, u: Callable[[float, float], float]) -> list[_Part]:
    skin, hair, wide = u(0.6, 1.0), u(0.08, 0.35), u(0.56, 0.7)
    eye, eyes_at, mouth = u(0.2, 0.27), u(0.08, 0.2), u(0.15, 0.28)
    parts = [
        _part("e", (0, 0, 0), (wide, 0.85, 0.65), skin),
        _part("e", (0, 0.45, -0.16), (wide + 0.06, u(0.42, 0.6), 0.62), hair),
        _part("e", (0, -0.08, 0.64), (0.08, u(0.14, 0.22), 0.12), 1.1 * skin),
        _part("e", (0, u(-0.5, -0.38), 0.5), (mouth, u(0.04, 0.08), 0.12), 0.3 * skin),
        _part("e", (0, -0.9, -0.1), (0.3, 0.35, 0.28), 0.85 * skin),
        _part("e", (0, -0.1, -0.3), (wide + 0.1, u(0.3, 0.9), 0.4), hair)
        if k % 2
        else _part("e", (0, 0, 0), _GONE, hair),
    ]
    for side in (-1, 1):
        x = side * eye
        parts.append(_part("e", (x, eyes_at, 0.54), (0.12, 0.075, 0.1), 1.25))
        parts.append(_part("e", (x, eyes_at, 0.62), (0.065, 0.065, 0.06), 0.05))
        parts.append(_part("e", (x, eyes_at + 0.16, 0.54), (0.15, 0.03, 0.08), hair))
        parts.append(_part("e", (side * wide, 0, 0), (0.08, 0.18, 0.12), 0.9 * skin))
    return parts


def _fruit(k: int, u: Callable[[float, float], float]) -> list[_Part]:
    peel = u(0.4, 1.0)
    if k % 4 == 0:  # one round fruit
        spots, radii = [(0.0, 0.0, 0.0)] * 7, [(0.75, u(0.6, 0.8), 0.75)] * 7
    elif k % 4 == 1:  # pear: narrower upwards
        spots = [(0.0, 0.18 * i - 0.3, 0.0) for i in range(7)]
        radii = [(0.6 - 0.07 * i,) * 3 for i in range(7)]
    elif k % 4 == 2:  # banana: an arc
        bend = np.linspace(-1.1, 1.1, 7) * u(0.8, 1.1)
        spots = [(0.85 * np.sin(a), 0.8 - 0.95 * np.cos(a), 0.0) for a in bend]
        radii = [(0.24 - 0.05 * abs(a),) * 3 for a in bend]
    else:  # a bunch
        spots = [(u(-0.4, 0.4), 0.4 - 0.15 * i, u(-0.3, 0.3)) for i in range(7)]
        radii = [(u(0.24, 0.34),) * 3 for _ in range(7)]
    top = max(s[1] + r[1] for s, r in zip(spots, radii, strict=True))
    end = spots[-1][0] if k % 4 == 2 else 0.0
    parts = [_part("e", s, r, peel) for s, r in zip(spots, radii, strict=True)]
    parts.append(_part("e", (end + 0.22, top + 0.05, 0), (0.24, 0.07, 0.12), 0.3, (0, 0, u(5, 35))))
    parts.append(_part("b", (end, top + 0.06, 0), (0.04, 0.14, 0.04), 0.2))
    return parts


def _plane(k: int, u: Callable[[float, float], float]) -> list[_Part]:
    metal, wing, sweep, hull = u(0.55, 1.0), u(0.45, 0.55), u(5, 35), u(0.1, 0.16)
    parts = [
        _part("e", (0, 0, 0), (1.0, hull, hull), metal),
        _part("e", (0.72, 0.5 * hull, 0), (0.14, 0.08, 0.08), 0.15),
        _part("e", (-0.85, 0.22, 0), (0.12, u(0.18, 0.3), 0.03), 0.7 * metal, (0, 0, 25)),
    ]
    for side in (-1, 1):
        turn = (0.0, side * sweep, 0.0)
        at = -0.4 * np.sin(np.deg2rad(sweep))
        parts.append(_part("e", (at + 0.1, 0, side * wing), (0.17, 0.03, wing), 0.9 * metal, turn))
        parts.append(_part("e", (-0.88, 0.05, side * 0.18), (0.1, 0.02, 0.24), metal, turn))
        engine = (0.17, 0.07, 0.07) if k % 2 else _GONE
        parts.append(_part("e", (at + 0.2, -0.1, side * 0.45), engine, 0.4))
    return parts


def _table(k: int, u: Callable[[float, float], float]) -> list[_Part]:
    wood, long, deep, legs = u(0.4, 1.0), u(0.75, 0.95), u(0.42, 0.65), u(0.28, 0.45)
    pedestal, leg = k % 4 == 3, u(0.04, 0.07)
    parts = [
        _part("e", (0, 0, 0), (long, 0.08, 0.75) if pedestal else _GONE, wood),
        _part("e", (0, -2 * legs, 0), (0.4, 0.07, 0.4) if pedestal else _GONE, wood),
        _part("b", (0, 0, 0), _GONE if pedestal else (long, 0.05, deep), wood),
        _part("b", (0, -0.12, 0), _GONE if pedestal else (0.85 * long, 0.06, 0.85 * deep), 0.5),
    ]
    for x in (-0.88 * long, 0.88 * long):
        for z in (-0.88 * deep, 0.88 * deep):
            where = (0.0, -legs, 0.0) if pedestal else (x, -legs, z)
            parts.append(_part("b", where, (leg, legs, leg), 0.8 * wood))
    return parts


_BUILDERS = dict(
    zip(CATEGORIES, (_animal, _boat, _car, _chair, _face, _fruit, _plane, _table), strict=True)
)


def compute_rotation(yaw: np.ndarray, pitch: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """Return rotation matrices (..., 3, 3): yaw about y, then pitch about x, then roll about z.

    Angles in degrees; x points right, y up and z towards the viewer.
    """
    angles = np.deg2rad(np.broadcast_arrays(yaw, pitch, roll)).astype(np.float32)
    (cy, cp, cr), (sy, sp, sr) = np.cos(angles), np.sin(angles)
    rows = [
        [cr * cy - sr * sp * sy, -sr * cp, cr * sy + sr * sp * cy],
        [sr * cy + cr * sp * sy, cr * cp, sr * sy - cr * sp * cy],
        [-cp * sy, sp, cp * cy],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def build_object(category: str, number: int) -> dict[str, dict[str, np.ndarray]]:
    """Return the ellipsoids ('e') and boxes ('b') of one object, centred, longest half side 1.

    Each kind is a dict of arrays over parts: centre (part, 3), radii (part, 3), turn (part, 3, 3)
    and albedo (part). All objects of a category have the same number of parts of each kind, and
    an object is always the same, whatever seed a user chooses for the pictures.
    """
    rng = np.random.default_rng([_OBJECT_SEED, CATEGORIES.index(category), number])
    parts = _BUILDERS[category](number, lambda low, high: float(rng.uniform(low, high)))
    present = [p for p in parts if p[2] != _GONE]
    low = np.min([np.subtract(p[1], p[2]) for p in present], axis=0)
    high = np.max([np.add(p[1], p[2]) for p in present], axis=0)
    length = (high - low).max() / 2
    built = {}
    for kind in "eb":
        mine = [p for p in parts if p[0] == kind]
        turn = np.array([p[3] for p in mine]).reshape(-1, 3)
        built[kind] = {
            "centre": (np.array([p[1] for p in mine]).reshape(-1, 3) - (low + high) / 2) / length,
            "radii": np.array([p[2] for p in mine]).reshape(-1, 3) / length,
            "turn": compute_rotation(turn[:, 1], turn[:, 0], turn[:, 2]),
            "albedo": np.array([p[4] for p in mine]).reshape(-1),
        }
    return built
