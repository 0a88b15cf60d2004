from .benchmark import (
    list_pools as list_pools,
    load_benchmark as load_benchmark,
    pool_from_benchmark as pool_from_benchmark,
    read_measurements as read_measurements,
    tables_from_benchmark as tables_from_benchmark,
)
from .comparison_sentences import (
    describe_comparison as describe_comparison,
    tabulate_differences as tabulate_differences,
    tabulate_groups as tabulate_groups,
)
from .fitted_weights import (
    FittedWeights as FittedWeights,
    fit_weights as fit_weights,
    save_weights as save_weights,
)
from .importance import (
    compute_importance as compute_importance,
    describe_importance as describe_importance,
)
from .pools import Pool as Pool, load_pool as load_pool
from .replay import (
    replay_search as replay_search,
    run_replays as run_replays,
    summarize_replays as summarize_replays,
)
from .run_comparison import compare_runs as compare_runs
from .table import (
    Table as Table,
    load_table as load_table,
    table_from_run as table_from_run,
)
from .validity import compute_validity as compute_validity
from .validity_sentences import describe_validity as describe_validity
from .virtual_clock import (
    Faults as Faults,
    Machines as Machines,
    simulate_search as simulate_search,
)
