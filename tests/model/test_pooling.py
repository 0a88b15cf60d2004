"""Animals and sessions side by side: nothing is mixed up, lost in silence or made up."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neural_data import (
    Macaque,
    average_repetitions,
    compute_rdm_reliability,
    compute_site_reliability,
    load_recording,
    name_areas,
    pool_recordings,
    pool_stimuli,
    recording_from_arrays,
    save_recording,
    select_complete,
    select_recording,
    simulate_macaque,
    simulate_objects,
    split_areas,
    stimuli_from_arrays,
)
from neural_data.errors import RecordingError


def make_recording(
    animal: str | None, stimuli: list[str], *, repetitions: int = 3, sites: int = 4, seed: int = 0
) -> xr.Dataset:
    """Responses that say where they come from: stimulus, repetition, site and seed are in them."""
    number = np.array([float(name[2:]) for name in stimuli])
    values = (
        1000 * seed
        + 10 * number[:, None, None]
        + np.arange(repetitions)[:, None]
        + np.arange(sites) / 100
    )
    recording = recording_from_arrays(
        values,
        stimulus=stimuli,
        site=[f"s{k}" for k in range(sites)],
        area="V4",
        units="spikes/s",
        source=f"lab {animal}",
        animal=animal,
    )
    kinds = ["face" if k % 2 else "house" for k in number.astype(int)]
    recording = recording.assign_coords(category=("stimulus", kinds))
    return recording.assign_attrs(history=f"recorded {animal}", doi=f"10/{animal}")


def names(*numbers: int) -> list[str]:
    return [f"im{k}" for k in numbers]


def test_sites_are_put_side_by_side_whatever_the_order_of_their_stimuli() -> None:
    a = make_recording("WE", names(3, 1, 2))
    b = make_recording("PE", names(1, 2, 3), repetitions=5, seed=1)
    pooled = pool_recordings({"mon": a, "tue": b})
    assert pooled["response"].shape == (3, 5, 8)
    assert pooled["animal"].values.tolist() == ["WE"] * 4 + ["PE"] * 4
    assert pooled["session"].values.tolist() == ["mon"] * 4 + ["tue"] * 4
    assert pooled["site"].values.tolist()[3:5] == ["mon.s3", "tue.s0"]
    for one, sites in ((a, slice(0, 4)), (b, slice(4, 8))):
        own = pooled["response"].isel(site=sites).sel(stimulus=one["stimulus"].values)
        n = one.sizes["repetition"]
        np.testing.assert_array_equal(own.values[:, :n], one["response"].values)
        assert np.isnan(own.values[:, n:]).all()
    assert pooled.attrs["source"] == "lab WE; lab PE"
    assert pooled.attrs["doi"] == "10/WE; 10/PE"
    assert pooled.attrs["history"].splitlines()[:2] == ["mon: recorded WE", "tue: recorded PE"]
    assert "pool_recordings(stimuli='same'): 3 stimuli" in pooled.attrs["history"]
    labels = dict(zip(pooled["stimulus"].values.tolist(), pooled["category"].values.tolist()))
    assert labels == {"im1": "face", "im2": "house", "im3": "face"}


def test_stimuli_of_some_are_refused_left_out_kept_or_of_areas_of_their_own() -> None:
    a, b = make_recording("A", names(1, 2, 3, 4)), make_recording("B", names(3, 4, 5), seed=1)
    with pytest.raises(RecordingError, match=r"3 of 5 stimuli .*1 lacks 1 \('im5'\); 2 lacks 2"):
        pool_recordings([a, b])
    shared = pool_recordings([a, b], stimuli="shared")
    assert shared["stimulus"].values.tolist() == names(3, 4)
    assert not shared["response"].isnull().any()
    whole = pool_recordings([a, b], stimuli="all")
    assert whole["stimulus"].values.tolist() == names(1, 2, 3, 4, 5)
    assert whole["response"].isnull().sum() == 3 * 4 * (1 + 2)
    xr.testing.assert_equal(select_complete(whole, keep="sites")["response"], shared["response"])
    apart = pool_recordings({"A": a, "B": b}, stimuli="apart")
    assert dict(zip(*np.unique(apart["area"], return_counts=True))) == {"V4 (A)": 4, "V4 (B)": 4}
    with pytest.raises(RecordingError, match="no stimulus is in all recordings"):
        pool_recordings([a, make_recording("B", names(7, 8))], stimuli="shared")


def test_repetitions_of_a_session_stay_together_under_numbers_from_0() -> None:
    a = make_recording("A", names(1, 2, 3), repetitions=4)
    values = a["response"].values.copy()
    values[1, [0, 2]] = np.nan
    a = a.assign(response=a["response"].copy(data=values))
    values = np.full((3, 6, 4), np.nan)
    values[:, 2:] = make_recording("B", names(1, 2, 3), repetitions=4)["response"].values
    b = make_recording("B", names(1, 2, 3), repetitions=6)
    b = b.assign(response=b["response"].copy(data=values))
    pooled = pool_recordings([a, b])["response"]
    assert pooled.sizes["repetition"] == 4
    np.testing.assert_array_equal(pooled.values[1, :2, :4], a["response"].values[1, [1, 3]])
    np.testing.assert_array_equal(pooled.values[:, :, 4:], b["response"].values[:, 2:])


def test_what_does_not_belong_together_is_refused_all_at_once() -> None:
    a, b = make_recording("A", names(1, 2)), make_recording(None, names(1, 2))
    b["response"].attrs["units"] = "Hz"
    b["response"].attrs["window"] = "70-170 ms"
    b = b.assign_coords(category=("stimulus", ["face", "car"]))
    with pytest.raises(RecordingError) as refusal:
        pool_recordings({"a": a, "b": b})
    for said in ("units differ (spikes/s in 'a', Hz in 'b')", "windows differ", "'animal' in 'b'",
                 "'category' of 1 stimuli differs between them ('im2')"):  # fmt: skip
        assert said in str(refusal.value)
    timed = a.expand_dims(time_bin=2, axis=-1).transpose("stimulus", "repetition", "site", ...)
    with pytest.raises(RecordingError, match="time bins differ"):
        pool_recordings([a, timed.assign_coords(a.coords)])
    with pytest.raises(RecordingError, match="give two recordings or more; got 1"):
        pool_recordings([a])
    with pytest.raises(RecordingError, match=r"give several recordings.*got one Dataset"):
        pool_recordings(a)
    with pytest.raises(ValueError, match="stimuli is 'any'; it is one of 'same'"):
        pool_recordings([a, a], stimuli="any")


def test_coordinates_that_some_lack_are_left_out_and_named() -> None:
    a = make_recording("A", names(1, 2)).assign_coords(subregion=("site", ["p"] * 4))
    b = make_recording("B", names(1, 2), seed=1).drop_vars("category")
    pooled = pool_recordings([a, b])
    assert "subregion" not in pooled.coords
    assert "category" not in pooled.coords
    assert "left out 'category', 'subregion', which not all have" in pooled.attrs["history"]


def test_images_are_joined_by_name_and_must_be_the_same() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (4, 8, 8, 3)).astype(np.uint8)
    a = stimuli_from_arrays(pixels[:3], stimulus=names(0, 1, 2), source="a")
    b = stimuli_from_arrays(pixels[[3, 2]], stimulus=names(3, 2), source="b")
    joined = pool_stimuli([a, b])
    assert joined["stimulus"].values.tolist() == names(0, 1, 2, 3)
    np.testing.assert_array_equal(joined["image"], pixels)
    assert joined.attrs["source"] == "a; b"
    other = stimuli_from_arrays(pixels[:2], stimulus=names(1, 5), source="c")
    with pytest.raises(RecordingError, match=r"1 stimuli have other images .*'im1'"):
        pool_stimuli([a, other])
    small = stimuli_from_arrays(pixels[:1, :4], stimulus=["x0"], source="d")
    with pytest.raises(RecordingError, match=r"differ in size \(1: 8 x 8, 2: 4 x 8\)"):
        pool_stimuli([a, small])


@pytest.fixture(scope="module")
def macaques():
    """Two animals with three sessions each, whose sessions show other stimuli."""
    stimuli = simulate_objects(3, size=32, seed=1)
    found = {}
    for k, animal in enumerate(("WE", "PE")):
        setting = Macaque(animals=(animal,), sessions=3, left_out=0.2)
        found[animal], _ = simulate_macaque(
            stimuli, repetitions=(3, 6), n_v4=30, n_it=0, seed=k, macaque=setting
        )
    return found, stimuli


def test_simulated_animals_with_other_stimuli_have_the_reliability_of_their_parts(
    macaques, tmp_path
) -> None:
    animals, stimuli = macaques
    keep = {"WE": slice(0, 160), "PE": slice(32, None)}
    parts = {a: select_complete(r.isel(stimulus=keep[a]), keep="sites") for a, r in animals.items()}
    pooled = pool_recordings(parts, stimuli="shared")
    both = set(parts["WE"].stimulus.values) & set(parts["PE"].stimulus.values)
    assert set(pooled["stimulus"].values) == both
    assert 30 < len(both) < stimuli.sizes["stimulus"]
    assert pooled.attrs["simulated"] == 1
    found = compute_site_reliability(pooled, splits=20)
    for animal, part in parts.items():
        chosen = select_recording(part, stimulus=pooled["stimulus"].values.tolist())
        expected = compute_site_reliability(chosen, splits=20)
        own = found.values[pooled["animal"].values == animal]
        np.testing.assert_allclose(own, expected, atol=0.1)
        mean = average_repetitions(select_recording(pooled, animal=animal))
        np.testing.assert_allclose(mean, average_repetitions(chosen), rtol=1e-5)
    alone = [
        float(compute_rdm_reliability(select_recording(pooled, animal=a), splits=10)[0])
        for a in parts
    ]
    assert float(compute_rdm_reliability(pooled, splits=10)[0]) > max(alone)
    xr.testing.assert_identical(load_recording(save_recording(pooled, tmp_path / "p.nc")), pooled)


def test_areas_are_split_by_animal_or_any_coordinate_of_sites() -> None:
    pooled = pool_recordings(
        [make_recording("A", names(1, 2)), make_recording("B", names(1, 2), seed=1)]
    )
    split = split_areas(pooled)
    assert split["area"].values.tolist() == ["V4 (A)"] * 4 + ["V4 (B)"] * 4
    assert split_areas(pooled, by="session")["area"].values[-1] == "V4 (2)"
    with pytest.raises(RecordingError, match=r"No coordinate 'array' over dim 'site'.*'animal'"):
        split_areas(pooled, by="array")


def test_areas_are_taken_from_another_coordinate_of_the_sites() -> None:
    recording = recording_from_arrays(
        np.arange(12.0).reshape(3, 4), stimulus=["a", "b", "c"], site=["s1", "s2", "s3", "s4"],
        area=["V4", "IT", "IT", "IT"], units="spikes/s", source="made up",
    )  # fmt: skip
    parts = ("site", ["V4d", "pIT", "aIT", "pIT"])
    named = name_areas(recording.assign_coords(subregion=parts))
    assert named["area"].values.tolist() == ["V4d", "pIT", "aIT", "pIT"]
    assert "name_areas(by='subregion')" in named.attrs["history"]
    assert select_recording(named, area="pIT").sizes["site"] == 2
    with pytest.raises(RecordingError, match=r"No coordinate 'subregion' over dim 'site'"):
        name_areas(recording)


def test_labels_that_are_unknown_in_all_are_the_same_and_dates_stay_dates() -> None:
    days = np.array(["2020-01-01", "NaT"], dtype="datetime64[ns]")
    a, b = (
        make_recording(animal, names(1, 2), seed=seed).assign_coords(
            size=("stimulus", [2.5, np.nan], {"units": "deg"}), made=("stimulus", days)
        )
        for seed, animal in enumerate(("WE", "MA"))
    )
    pooled = pool_recordings({"WE": a, "MA": b})
    xr.testing.assert_identical(pooled["size"].variable, a["size"].variable)
    xr.testing.assert_identical(pooled["made"].variable, a["made"].variable)
    b["size"][1] = 3.0
    with pytest.raises(RecordingError, match=r"'size' of 1 stimuli differs between them \('im2'\)"):
        pool_recordings({"WE": a, "MA": b})


def test_the_same_data_given_twice_are_refused_by_name() -> None:
    a, b = make_recording("WE", names(1, 2, 3)), make_recording("PE", names(1, 2, 3), seed=1)
    a["response"][0, 2] = np.nan
    with pytest.raises(RecordingError, match=r"1 and 3 hold the same data"):
        pool_recordings([a, b, a.copy(deep=True)])
    other = a.copy(deep=True)
    other["response"][1, 0, 0] += 1
    assert pool_recordings([a, other]).sizes["site"] == 8
