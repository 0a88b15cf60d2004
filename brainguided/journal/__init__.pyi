from .journal import (
    Journal as Journal,
    JournalError as JournalError,
)
from .merge import merge_runs as merge_runs
from .repair import repair_journal as repair_journal
