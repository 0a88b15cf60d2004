from .journal import (
    Journal as Journal,
    JournalError as JournalError,
)
from .merge import merge_runs as merge_runs
