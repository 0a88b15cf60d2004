"""Architectures: one choice out of a search space, as frozen data and one line of JSON.

Each kind knows how its network is laid out (`Architecture.to_blueprint`) but nothing of torch.
"""

from brainguided.architectures.block import Block
from brainguided.architectures.cell import CellArchitecture
from brainguided.architectures.contract import Architecture
from brainguided.architectures.graph_counts import GRAPH_COUNTS, count_graph
from brainguided.architectures.macro import MacroArchitecture, MacroLayer
from brainguided.architectures.nasbench201 import NASBench201Architecture
from brainguided.architectures.plain import ConvLayer, PlainArchitecture
from brainguided.architectures.recurrent import RecurrentArchitecture, RecurrentArea
from brainguided.architectures.residual import ResidualArchitecture, Stage
from brainguided.architectures.sequence import SequenceArchitecture, SequenceLayer

__all__ = [
    "GRAPH_COUNTS",
    "Architecture",
    "Block",
    "CellArchitecture",
    "ConvLayer",
    "MacroArchitecture",
    "MacroLayer",
    "NASBench201Architecture",
    "PlainArchitecture",
    "RecurrentArchitecture",
    "RecurrentArea",
    "ResidualArchitecture",
    "SequenceArchitecture",
    "SequenceLayer",
    "Stage",
    "count_graph",
]
