"""Counts of graphs: by hand, the same for isomorphic cells, and what they are known to predict."""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata, spearmanr
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from brainguided.architectures import (
    Architecture,
    ConvLayer,
    NASBench201Architecture,
    PlainArchitecture,
    ResidualArchitecture,
    Stage,
)
from brainguided.architectures.blueprint import Conv, Zero
from brainguided.architectures.graph_counts import GRAPH_COUNTS, count_graph
from brainguided.spaces import enas_macro_space, pnas_space, zoph2017_space


def _count(architecture: Architecture) -> dict[str, int]:
    return count_graph(architecture.to_blueprint(10))


def test_counts_of_a_chain_are_its_length() -> None:
    chain = PlainArchitecture((ConvLayer(3, 3, 8),) * 4)
    assert list(_count(chain).values()) == [4, 4, 1, 4, 0]


def test_counts_of_a_cell_by_hand() -> None:
    """Stem 1; cell: 3x3, beside it 3x3 then 3x3; reduction: two 3x3 beside a 1x1."""
    cell = NASBench201Architecture.from_text("330003", n_cells=1)  # 0>1, 0>2 and 2>3
    assert _count(cell) == {
        "longest_path": 1 + 3 * 2 + 2 * 2,
        "shortest_path": 1 + 3 * 2 + 2 * 1,
        "paths": 1**3 * 2**2,
        "convolutions": 1 + 3 * 2 + 2 * 3,
        "skips": 0,
    }
    skipped = NASBench201Architecture.from_text("330103", n_cells=1)  # and the input, 0>3
    assert _count(skipped) == {
        "longest_path": 11,
        "shortest_path": 1 + 2,
        "paths": 2**3 * 2**2,
        "convolutions": 13,
        "skips": 3,
    }


def test_every_residual_block_has_a_skip() -> None:
    for blocks in (1, 3, 5):
        stages = (Stage(blocks, 8),)
        counts = _count(ResidualArchitecture(stages))
        assert counts["skips"] == blocks
        assert counts["paths"] == 2**blocks


def test_a_network_through_which_nothing_passes_counts_0() -> None:
    assert set(_count(NASBench201Architecture.from_text("000000")).values()) == {0}
    # 1>3 convolves zeros: its batch norm learns a shift, but no path leads there
    assert set(_count(NASBench201Architecture.from_text("000030")).values()) == {0}


def test_isomorphic_cells_have_the_same_counts() -> None:
    counts: dict[str, set[tuple[int, ...]]] = defaultdict(set)
    for digits in product("013", repeat=6):
        cell = NASBench201Architecture.from_text("".join(digits), n_cells=1)
        counts[cell.canonical_key].add(tuple(_count(cell).values()))
    assert len(counts) == 132
    assert all(len(found) == 1 for found in counts.values())


@pytest.mark.parametrize(
    "space",
    [zoph2017_space(6, skips=True), pnas_space(n_cells=1), enas_macro_space()],
    ids=lambda space: space.name,
)
def test_counts_agree_with_paths_that_networkx_lists(space) -> None:  # type: ignore[no-untyped-def]
    generator = np.random.default_rng(0)
    checked = 0
    while checked < 8:
        blueprint = space.sample(generator).to_blueprint(10)
        counts = count_graph(blueprint)
        if counts["paths"] > 5000:
            continue
        checked += 1
        graph = nx.MultiDiGraph()
        length = {"image": 0}
        for node in blueprint.nodes:
            steps = [step for _, step in node.steps]
            length[node.name] = sum(isinstance(step, Conv) for step in steps)
            if not any(isinstance(step, Zero) for step in steps):
                graph.add_edges_from((source, node.name) for source in node.inputs)
        last = blueprint.nodes[-1].name
        ways = list(nx.all_simple_paths(graph, "image", last))
        lengths = [sum(length[name] for name in way) for way in ways]
        live = {name for way in ways for name in way}
        assert counts["paths"] == len(ways)
        assert (counts["longest_path"], counts["shortest_path"]) == (max(lengths), min(lengths))
        assert counts["convolutions"] == sum(length[name] for name in live)


@pytest.mark.data
@pytest.mark.parametrize(
    ("operations", "live", "lowest"),
    [("013", 127, 0.87), pytest.param("0123", 1267, 0.72, marks=pytest.mark.slow)],
)
def test_counts_predict_the_accuracy_of_nasbench201(
    shared_data: Path, operations: str, live: int, lowest: float
) -> None:
    """Out of fold, ranks of the mean test accuracy of isomorphic cells after 200 epochs."""
    path = shared_data / "nasbench201" / "nasbench201_cifar10.csv.gz"
    table = pd.read_csv(path, dtype={"ops": str})
    table = table[table["ops"].map(lambda text: set(text) <= set(operations))]
    cells = [NASBench201Architecture.from_text(text, n_cells=1) for text in table["ops"]]
    table["key"] = [cell.canonical_key for cell in cells]
    mature = table.groupby("key")["c10_test_200"].mean()
    mature = mature[mature > 20]
    by_key = {cell.canonical_key: cell for cell in cells}
    counts = np.array([list(_count(by_key[key]).values()) for key in mature.index], dtype=float)
    assert counts.shape == (live, len(GRAPH_COUNTS))
    model = make_pipeline(
        StandardScaler(), PolynomialFeatures(2), StandardScaler(), RidgeCV(np.logspace(-3, 3, 13))
    )
    folds = KFold(10, shuffle=True, random_state=0)
    predicted = cross_val_predict(model, counts, rankdata(mature), cv=folds)
    assert spearmanr(predicted, mature)[0] > lowest
