from .replay import (
    replay_search as replay_search,
    run_replays as run_replays,
    summarize_replays as summarize_replays,
)
from .table import (
    Table as Table,
    load_table as load_table,
    table_from_run as table_from_run,
)
from .virtual_clock import (
    Faults as Faults,
    Machines as Machines,
    simulate_search as simulate_search,
)
