from .check import Plan as Plan, check_search as check_search
from .choice import Drawn as Drawn
from .continued import Continued as Continued
from .cost import Cost as Cost, estimate_cost as estimate_cost
from .dispatch import SearchError as SearchError
from .finalists import run_finalists as run_finalists
from .heldout import compare_heldout as compare_heldout
from .network_files import write_network_files as write_network_files
from .orders import (
    Again as Again,
    Batch as Batch,
    Completion as Completion,
    Index as Index,
    Schedule as Schedule,
)
from .run import run_search as run_search
from .verify import (
    Difference as Difference,
    Verified as Verified,
    verify_search as verify_search,
)
from .winner import save_winner as save_winner
