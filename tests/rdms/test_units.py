"""What is taken for the unit of inference, and how units are exchanged."""

import warnings

import numpy as np
import pytest

from brainguided.rdms.units import Units, find_target_units, find_units, refuse_few

CATEGORY = np.repeat(list("abcdefgh"), 8)
OBJECT = np.array([f"{c}{k}" for c in "abcdefgh" for k in range(4) for _ in range(2)])


def matrix_of(members: np.ndarray) -> np.ndarray:
    return members[:, None] == members[None, :]


def test_the_coarsest_named_coordinate_is_the_unit_and_finer_ones_are_nested_in_it() -> None:
    units = find_units({"object_name": OBJECT, "category": CATEGORY}, 64)
    assert (units.name, units.number, len(units.levels)) == ("category", 8, 2)
    np.testing.assert_array_equal(matrix_of(units.levels[1]), matrix_of(OBJECT))
    several = find_units({"exemplar": OBJECT, "family": CATEGORY}, 64, unit=("family", "exemplar"))
    assert (several.name, len(several.levels)) == ("family", 2)
    assert find_units({}, 64).number == 64


def test_numbers_and_factors_are_no_units_unless_they_are_named() -> None:
    labels = {"size": np.tile([1.0, 2.0], 32), "variation": np.tile(["low", "high"], 32)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_units(labels, 64).number == 64
    blocks = {"run": np.arange(64) // 8}
    assert find_units(blocks, 64, unit="run").number == 8
    assert find_units({"session": np.arange(64) // 8}, 64).name == "session"


def test_a_coordinate_that_groups_stimuli_and_is_ignored_is_named_in_a_warning() -> None:
    scene = np.tile([f"scene{k}" for k in range(16)], 4)
    with pytest.warns(UserWarning, match=r"grouped by 'scene' \(16 groups\).*unit='scene'"):
        assert find_units({"scene": scene}, 64).number == 64
    with pytest.warns(UserWarning, match="'scene'"):
        assert find_units({"scene": scene, "category": CATEGORY}, 64).name == "category"
    with pytest.warns(UserWarning, match="grouped by 'category'"):
        asked = find_units({"category": CATEGORY}, 64, unit="stimulus")
    assert (asked.name, asked.number) == ("stimulus", 64)
    with warnings.catch_warnings():  # nested in the unit: kept together within it
        warnings.simplefilter("error")
        units = find_units({"category": CATEGORY, "identity": OBJECT}, 64)
    assert len(units.levels) == 2


def test_what_is_no_unit_is_refused_with_all_that_is_wrong() -> None:
    labels = {"category": CATEGORY, "half": CATEGORY > "d", "object_name": OBJECT}
    with pytest.raises(ValueError, match=r"no coordinate 'scene'(?s:.*)'category', 'half'"):
        find_units(labels, 64, unit="scene")
    with pytest.raises(ValueError, match=r"'half' has 2 groups.*fewer than 6 units"):
        find_units(labels, 64, unit="half")
    with pytest.raises(ValueError, match="'category' is not nested"):
        find_units(labels, 64, unit=("object_name", "category"))
    with pytest.raises(ValueError, match="some conditions have no 'category'"):
        find_units({"category": ["", *CATEGORY[1:]]}, 64, unit="category")
    with pytest.raises(ValueError, match=r"There are 4 units \(session\)"):
        refuse_few(find_units({"session": np.arange(64) % 4}, 64))


@pytest.mark.parametrize("sizes", [[4] * 6, [3, 4, 5, 6, 7, 8]])
def test_exchanged_units_keep_together_what_belongs_together(sizes) -> None:
    top = np.repeat(np.arange(6), sizes)
    inner = np.concatenate([np.arange(n) // 2 for n in sizes]) + 10 * top
    inner = np.unique(inner, return_inverse=True)[1]
    units = Units("category", (top, inner))
    generator = np.random.default_rng(0)
    seen = set()
    for _ in range(50):
        places, conditions = units.permute(generator)
        assert len(set(places)) == len(set(conditions)) == len(places)
        for level in units.levels:
            together = matrix_of(level[places]) == matrix_of(level[conditions])
            assert together.all()
        seen.add(tuple(top[conditions][np.argsort(top[places], kind="stable")]))
        assert len(places) == len(top) if len(set(sizes)) == 1 else len(places) < len(top)
        inside, taken = units.permute(generator, within=True)
        np.testing.assert_array_equal(top[inside], top[taken])
    assert len(seen) > 40
    assert {len(Units("x", (np.arange(9),)).permute(generator)[0])} == {9}


def test_every_arrangement_of_balanced_units_is_as_likely_as_another() -> None:
    units = Units("unit", (np.array([0, 0, 1, 1, 2, 2]),))
    generator = np.random.default_rng(0)
    counts: dict[tuple, int] = {}
    for _ in range(4800):
        places, conditions = units.permute(generator)
        order = tuple(conditions[np.argsort(places)].tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6 * 2**3
    assert min(counts.values()) > 60
    assert max(counts.values()) < 145


def test_shuffling_leaves_no_condition_out_and_exchanges_units_of_one_shape() -> None:
    index = np.repeat(np.arange(8), [4, 4, 4, 4, 3, 3, 3, 5])
    units = Units("category", (index,))
    generator = np.random.default_rng(0)
    moved = set()
    for _ in range(50):
        order = units.shuffle(generator)
        assert sorted(order) == list(range(30))
        assert (matrix_of(index[order]) == matrix_of(index)).all()
        moved |= set(zip(index.tolist(), index[order].tolist(), strict=True))
    assert {b for a, b in moved if a == 0} == {0, 1, 2, 3}
    assert {b for a, b in moved if a == 7} == {7}
    within = units.shuffle(generator, within=True)
    np.testing.assert_array_equal(index[within], index)
    assert (within != np.arange(30)).any()
    odd = Units("category", (np.repeat(np.arange(6), [1, 2, 3, 4, 5, 6]),))
    with pytest.raises(ValueError, match=r"6 of 6 units .category. have a size"):
        odd.shuffle(generator)


def test_units_of_conditions_are_those_of_their_stimuli() -> None:
    import xarray as xr

    stimuli = xr.Dataset(
        {"image": ("stimulus", np.zeros(64))},
        coords={
            "stimulus": [f"im{k}" for k in range(64)],
            "object_name": ("stimulus", OBJECT),
            "category": ("stimulus", CATEGORY),
            "pose": ("stimulus", np.tile(["left", "right"], 32)),
        },
    )
    units = find_target_units(stimuli, "object_name")
    assert (units.name, units.number, len(units.index)) == ("category", 8, 32)
    fine = stimuli.drop_vars("category")
    assert find_target_units(fine, "object_name").name == "object_name"
    again = find_target_units(fine, "object_name", descriptors={"category": CATEGORY[::2]})
    assert again.name == "category"
    with pytest.raises(ValueError, match="no coordinate 'pose' that is constant within"):
        find_target_units(stimuli, "object_name", "pose")
