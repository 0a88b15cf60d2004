"""Figures of recordings, RDMs, layer-area correspondence and searches.

Every function draws into the axes it is given, or into a new figure sized for one or two journal
columns (85 or 180 mm), and returns the axes. Colours are safe for colour-blind readers (cividis
for amounts; for series the palette of Okabe & Ito, each with its own marker as well). Save a
figure with ``axes.figure.savefig("figure.pdf")``.
"""

from __future__ import annotations

from brainguided.plot.anytime import plot_anytime
from brainguided.plot.architecture import plot_architecture
from brainguided.plot.correspondence import plot_correspondence, plot_depth
from brainguided.plot.front import plot_front
from brainguided.plot.importance import plot_importance
from brainguided.plot.mds import plot_rdm_mds, plot_stimulus_mds
from brainguided.plot.rdm_figure import plot_rdms
from brainguided.plot.rdm_pairs import plot_rdm_pairs
from brainguided.plot.recordings import (
    plot_recording_summary,
    plot_reliability,
    plot_reliability_over_time,
    plot_repetitions,
    plot_responses,
)
from brainguided.plot.results import plot_search
from brainguided.plot.run_comparison import plot_runs
from brainguided.plot.time_course import plot_similarity_over_time
from brainguided.plot.validity import plot_alpha, plot_scores, plot_validity

__all__ = [
    "plot_alpha",
    "plot_anytime",
    "plot_architecture",
    "plot_correspondence",
    "plot_depth",
    "plot_front",
    "plot_importance",
    "plot_rdm_mds",
    "plot_rdm_pairs",
    "plot_rdms",
    "plot_recording_summary",
    "plot_reliability",
    "plot_reliability_over_time",
    "plot_repetitions",
    "plot_responses",
    "plot_runs",
    "plot_scores",
    "plot_search",
    "plot_similarity_over_time",
    "plot_stimulus_mds",
    "plot_validity",
]
