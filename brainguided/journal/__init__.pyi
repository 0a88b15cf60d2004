from .journal import (
    Journal as Journal,
    JournalError as JournalError,
)
from .measurement import (
    Measurement as Measurement,
    Repeat as Repeat,
    Rung as Rung,
)
from .merge import merge_runs as merge_runs
from .repair import repair_journal as repair_journal
