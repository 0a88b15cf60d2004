"""Search spaces: everything that may be chosen, as a fixed sequence of decisions. Plain data."""

from brainguided.spaces.cell import CellSpace, enas_micro_space, nasnet_space, pnas_space
from brainguided.spaces.contract import Decision, SearchSpace
from brainguided.spaces.macro import MacroSpace, enas_macro_space
from brainguided.spaces.nasbench201 import NASBench201Space, nasbench201_space
from brainguided.spaces.plain import PlainSpace, small_space, zoph2017_space
from brainguided.spaces.recurrent import RecurrentSpace, recurrent_space
from brainguided.spaces.residual import ResidualSpace, residual_space
from brainguided.spaces.sequence import SequenceSpace, kuhn2025_space

__all__ = [
    "CellSpace",
    "Decision",
    "MacroSpace",
    "NASBench201Space",
    "PlainSpace",
    "RecurrentSpace",
    "ResidualSpace",
    "SearchSpace",
    "SequenceSpace",
    "enas_macro_space",
    "enas_micro_space",
    "kuhn2025_space",
    "nasbench201_space",
    "nasnet_space",
    "pnas_space",
    "recurrent_space",
    "residual_space",
    "small_space",
    "zoph2017_space",
]
