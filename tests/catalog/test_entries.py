"""The catalogue of public data sets: what it says, and reading what was fetched."""

from __future__ import annotations

import io
import re
import zipfile

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

from neural_data.catalog.entries import (
    CATALOG,
    cite,
    describe_dataset,
    describe_datasets,
    find_dataset,
    read_catalog,
    tomllib,
)
from neural_data.catalog.fetch import fetch_dataset, hash_file
from neural_data.catalog.load import load_dataset, open_dataset
from neural_data.errors import RecordingError
from neural_data.formats.cowley2023 import ANIMALS
from neural_data.formats.kriegeskorte2008 import FILE

NAMES = list(read_catalog())
SETS = (
    "MajajHong2015", "MajajHong2015.public", "MajajHong2015.private", "MajajHong2015.temporal",
    "MajajHong2015.temporal.public", "MajajHong2015.temporal.private",
    "MajajHong2015.temporal-10ms", "FreemanZiemba2013", "FreemanZiemba2013.public",
    "FreemanZiemba2013.private", "Sanghavi2020", "SanghaviJozwik2020", "SanghaviMurty2020",
    "SanghaviMurty2020THINGS1", "SanghaviMurty2020THINGS2", "Rust2012.single", "Rust2012.array",
    "Kar2018hvm", "Kar2018cocogray", "Kar2019", "Papale2025.train", "Papale2025.test",
    "Li2026", "Li2026.temporal", "BashivanKar2019.naturalistic", "BashivanKar2019.synthetic",
    "Igustibagus2024", "Rajalingham2020", "Seibert2019", "Cadena2017",
    "cowley2023", "kriegeskorte2008",
    "ChangTsao2017", "Jiang2021", "Cadena2024", "Allen2022", "Hebart2023",
)  # fmt: skip


def test_the_sets_that_a_user_will_ask_for_are_there():
    assert set(SETS) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_is_complete_and_its_files_are_well_formed(name):
    dataset = find_dataset(name)
    assert all((dataset.title, dataset.reference, dataset.licence, dataset.bibtex))
    assert bool(dataset.files) != bool(dataset.page)
    assert dataset.format in ("brainio", "cowley2023", "kriegeskorte2008", "other", "described")
    assert dataset.access in ("public", "credentials", "elsewhere")
    assert bool(dataset.page) == (dataset.access == "elsewhere") == (dataset.format == "described")
    assert not dataset.page or re.fullmatch(r"https://[^\s{}]+", dataset.page)
    assert set(dataset.sites) <= set(dataset.areas) != set()
    assert dataset.oddities
    for file in dataset.files:
        assert re.fullmatch(r"[\w.-]+", file.name)
        assert ".." not in file.path
        assert not file.path.startswith("/")
        assert file.access in ("public", "credentials")
        assert file.checksum is None or re.fullmatch(
            "sha1:[0-9a-f]{40}|sha256:[0-9a-f]{64}", file.checksum
        )
        assert file.addresses
        for address in file.addresses:
            assert re.fullmatch(r"https://[^\s{}]+", address)
    names = [file.name for file in dataset.files]
    assert len(set(names)) == len(names)
    if dataset.format == "brainio":
        kinds = ["responses", "stimulus table", "images"]
        assert [file.kind for file in dataset.files] == kinds


def test_one_file_has_one_checksum_in_all_sets_and_no_two_files_share_one():
    checksums: dict[str, str | None] = {}
    for name in NAMES:
        for file in find_dataset(name).files:
            assert checksums.setdefault(file.name, file.checksum) == file.checksum
    known = [checksum for checksum in checksums.values() if checksum is not None]
    assert len(set(known)) == len(known)


def test_the_file_has_no_keys_that_nobody_reads():
    contents = tomllib.loads(CATALOG.read_text(encoding="utf-8"))
    keys = {
        "title", "reference", "format", "access", "licence", "bibtex", "areas", "animals",
        "sites", "images", "repetitions", "time_bins", "units", "oddities", "stimuli", "like",
        "files", "files_of_sessions", "sessions", "checksums", "page",
    }  # fmt: skip
    for name, entry in contents["datasets"].items():
        assert set(entry) <= keys, name
        assert entry.get("like", name) in contents["datasets"]
    used = {entry.get("stimuli") for entry in contents["datasets"].values()}
    assert set(contents["stimuli"]) == used - {None}


def test_brainio_addresses_name_a_version_and_the_file():
    for name in NAMES:
        dataset = find_dataset(name)
        if dataset.format not in ("brainio", "other"):
            continue
        for file in dataset.files:
            (address,) = file.addresses
            match = re.fullmatch(
                r"https://brainscore-storage\.s3\.amazonaws\.com/([\w./-]+)/([\w.-]+)"
                r"\?versionId=([\w.-]+)",
                address,
            )
            assert match is not None
            assert match[2] == file.name


def test_numbers_are_not_taken_over_from_the_set_that_an_entry_is_like():
    assert find_dataset("MajajHong2015").sites == {"V4": 128, "IT": 168}
    assert find_dataset("MajajHong2015.public").sites == {"V4": 88, "IT": 168}
    assert find_dataset("MajajHong2015.temporal").sites == {}
    assert find_dataset("MajajHong2015.temporal").areas == ("V4", "IT")
    assert find_dataset("MajajHong2015.private").repetitions == ""


def test_the_dropped_sites_and_the_missing_variation_are_said():
    assert "Tito_L_P_*" in " ".join(describe_dataset("MajajHong2015.public")["oddities"])
    assert "variation 6" in " ".join(describe_dataset("MajajHong2015.public")["oddities"])
    assert "not sorted" in " ".join(describe_dataset("cowley2023")["oddities"])


def test_there_are_50_sessions_of_three_files_whose_animals_the_reader_knows():
    dataset = find_dataset("cowley2023")
    assert len(dataset.sessions) == 50
    assert len(dataset.files) == 150
    for session, known in dataset.sessions.items():
        assert ANIMALS[session[:4]] == known["animal"]
    names = [file.name for file in dataset.files if file.session == "210325"]
    assert names == ["responses_210325.npy", "responses_raw_210325.npy", "images_210325.zip"]
    assert all(file.checksum for file in dataset.files if file.session == "210325")


def test_every_citation_is_balanced_bibtex_with_author_title_and_year():
    for name in NAMES:
        text = cite(name)
        assert text.count("{") == text.count("}")
        for entry in text.split("\n\n"):
            assert re.match(r"@(article|misc)\{[a-z0-9]+,\n", entry)
            for key in ("author", "title", "year"):
                assert f"  {key} = " in entry
            # abstracts of meetings and data sets without a paper have no DOI
            assert any(f"  {key} = " in entry for key in ("doi", "pages", "howpublished"))
    assert cite("MajajHong2015.temporal") == cite("MajajHong2015")
    assert cite("kriegeskorte2008").count("@article") == 2


def test_the_table_has_a_row_for_each_set_and_text_in_every_cell():
    rows = describe_datasets()
    assert [row["name"] for row in rows] == NAMES
    assert all(isinstance(cell, str) and cell for row in rows for cell in row.values())
    assert len({tuple(row) for row in rows}) == 1
    by_name = {row["name"]: row for row in rows}
    assert by_name["cowley2023"]["checksums"] == "7 of 150 files"
    assert by_name["cowley2023"]["images"] == "77757"
    assert by_name["Papale2025.test"]["access"] == "public; stimuli need credentials"
    assert by_name["MajajHong2015"]["access"] == "needs credentials"
    assert by_name["MajajHong2015"]["size"] == "unknown"
    assert by_name["kriegeskorte2008"]["size"] == "3.4 MiB"


def test_a_description_can_be_changed_without_changing_the_catalogue():
    describe_dataset("cowley2023")["sessions"]["210325"]["sites"] = 0
    assert describe_dataset("cowley2023")["sessions"]["210325"]["sites"] == 50


def test_an_unknown_name_lists_the_known_ones():
    assert find_dataset(" majajhong2015 ").name == "MajajHong2015"
    for function in (find_dataset, cite, describe_dataset):
        with pytest.raises(RecordingError, match=r"'HvM' in the catalogue; it has Majaj.*cowley"):
            function("HvM")


# ---------------------------------------------------------------- reading


@pytest.fixture
def folder(tmp_path):
    """A made-up file of each kind of MajajHong2015.public: 4 images twice, 3 sites."""
    rng = np.random.default_rng(0)
    ids = ["b", "a", "d", "c"]
    xr.Dataset(
        {"data": (("neuroid", "presentation", "time_bin"),
                  rng.normal(size=(3, 8, 1)).astype(np.float32))},
        coords={
            "neuroid_id": ("neuroid", ["n1", "n2", "n3"]),
            "region": ("neuroid", ["V4", "IT", "IT"]),
            "animal": ("neuroid", ["Chabo", "Chabo", "Tito"]),
            "image_id": ("presentation", ids * 2),
            "repetition": ("presentation", [0] * 4 + [1] * 4),
            "time_bin_start": ("time_bin", [70]),
            "time_bin_end": ("time_bin", [170]),
        },
    ).to_netcdf(tmp_path / "assy_dicarlo_MajajHong2015_public.nc")  # fmt: skip
    table = pd.DataFrame({"image_id": [*"abcde"], "filename": [f"{k}.png" for k in "abcde"]})
    table["variation"] = [0, 3, 0, 3, 0]
    table.to_csv(tmp_path / "stimulus_hvm-public.csv", index=False)
    with zipfile.ZipFile(tmp_path / "stimulus_hvm-public.zip", "w") as archive:
        for level, name in enumerate("abcde"):
            buffer = io.BytesIO()
            Image.new("RGB", (4, 4), (level,) * 3).save(buffer, format="PNG")
            archive.writestr(f"{name}.png", buffer.getvalue())
    return tmp_path


def test_a_brainio_set_is_loaded_with_the_images_shown_in_the_order_of_the_recording(folder):
    recording, stimuli = load_dataset("MajajHong2015.public", folder)
    assert recording["stimulus"].values.tolist() == ["b", "a", "d", "c"]
    assert recording["variation"].values.tolist() == [3, 0, 3, 0]
    assert recording["area"].values.tolist() == ["V4", "IT", "IT"]
    assert recording["response"].shape == (4, 2, 3)
    assert recording.attrs["source"] == (
        "Majaj, Hong, Solomon & DiCarlo 2015 (MajajHong2015.public)"
    )
    assert stimuli is not None
    assert stimuli["stimulus"].values.tolist() == ["b", "a", "d", "c"]
    assert stimuli["image"].values[:, 0, 0, 0].tolist() == [1, 0, 3, 2]
    _, larger = load_dataset("MajajHong2015.public", folder, size=8)
    assert larger is not None
    assert larger.sizes["y"] == 8


def test_without_the_images_or_the_table_there_are_no_stimuli(folder):
    (folder / "stimulus_hvm-public.zip").unlink()
    recording, stimuli = load_dataset("MajajHong2015.public", folder)
    assert stimuli is None
    assert "variation" in recording.coords
    (folder / "stimulus_hvm-public.csv").unlink()
    recording, stimuli = load_dataset("MajajHong2015.public", folder)
    assert stimuli is None
    assert "variation" not in recording.coords


def test_opened_lazily_is_what_is_loaded(folder):
    loaded, _ = load_dataset("MajajHong2015.public", folder)
    with open_dataset("MajajHong2015.public", folder) as opened:
        np.testing.assert_array_equal(opened["response"].values, loaded["response"].values)
        assert opened.attrs["source"] == loaded.attrs["source"]
    for name in ("cowley2023", "kriegeskorte2008"):
        with pytest.raises(RecordingError, match="load_dataset"):
            open_dataset(name, folder)


def test_units_that_only_the_catalogue_knows_are_given(folder):
    (folder / "assy_dicarlo_MajajHong2015_public.nc").rename(
        folder / "assy_THINGS_TVSD_test_Assembly.nc"
    )
    recording, _ = load_dataset("Papale2025.test", folder)
    assert recording["response"].attrs["units"] == "normalised multi-unit activity"


def test_what_was_not_fetched_and_what_is_no_recording_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"fetch_dataset\('MajajHong2015'"):
        load_dataset("MajajHong2015", tmp_path)
    for function in (load_dataset, open_dataset):
        with pytest.raises(RecordingError, match=r"is no recording.*Kar2018hvm"):
            function("Kar2019", tmp_path)
    with pytest.raises(FileNotFoundError, match="no file of cowley2023"):
        load_dataset("cowley2023", tmp_path)
    with pytest.raises(RecordingError, match="no session '000000'"):
        load_dataset("cowley2023", tmp_path, session="000000")
    with pytest.raises(RecordingError, match="has no sessions"):
        load_dataset("MajajHong2015", tmp_path, session="210325")


def test_one_session_is_found_and_of_several_one_must_be_chosen(tmp_path):
    (tmp_path / "responses_210325.npy").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"images_210325\.zip"):
        load_dataset("cowley2023", tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "images_201025.zip").write_bytes(b"")
    with pytest.raises(RecordingError, match="2 sessions of cowley2023: '201025', '210325'"):
        load_dataset("cowley2023", tmp_path)


@pytest.mark.data
def test_real_files_load_and_have_the_checksums_of_the_catalogue(shared_data):
    recording, stimuli = load_dataset("cowley2023", shared_data / "cowley2023", session="210325")
    known = describe_dataset("cowley2023")["sessions"]["210325"]
    assert recording.sizes["site"] == known["sites"]
    assert recording.sizes["stimulus"] == known["images"]
    assert stimuli is not None
    recording, _ = load_dataset(
        "cowley2023", shared_data / "cowley2023", session="210325", per_repetition=True
    )
    assert recording.sizes["repetition"] == 10
    dissimilarities, _ = load_dataset("kriegeskorte2008", shared_data / "kriegeskorte2008")
    assert dissimilarities.sizes["stimulus"] == describe_count("kriegeskorte2008")
    for name in ("cowley2023", "kriegeskorte2008"):
        for file in find_dataset(name).files:
            if file.size is None:
                continue
            path = shared_data / name / file.name
            assert path.stat().st_size == file.size
            assert file.checksum == f"sha256:{hash_file(path, 'sha256')}"
    assert find_dataset("kriegeskorte2008").files[0].name == FILE


def describe_count(name: str) -> int:
    return int(describe_dataset(name)["images"])


def test_what_is_not_fetched_says_where_it_is_and_what_to_do(tmp_path):
    for name in ("ChangTsao2017", "Jiang2021", "Cadena2024", "Allen2022", "Hebart2023"):
        page = find_dataset(name).page
        for ask in (
            lambda name=name: fetch_dataset(name, to=tmp_path / "data"),
            lambda name=name: load_dataset(name, tmp_path),
        ):
            with pytest.raises(RecordingError, match=re.escape(page)) as told:
                ask()
            assert "inspect FILE --toml" in str(told.value)
        assert page in describe_dataset(name)["access"]
        assert cite(name).startswith("@article{")
    assert not (tmp_path / "data").exists()
