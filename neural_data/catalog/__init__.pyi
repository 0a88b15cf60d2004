from .entries import (
    cite as cite,
    describe_datasets as describe_datasets,
)
from .fetch import fetch_dataset as fetch_dataset
from .load import (
    load_dataset as load_dataset,
    open_dataset as open_dataset,
)
