from .build import build_network as build_network
from .export import export_network as export_network
from .layers import (
    Observation as Observation,
    describe_layers as describe_layers,
    select_layers as select_layers,
)
from .preprocessing import (
    Preprocessing as Preprocessing,
    read_preprocessing as read_preprocessing,
)
from .recorded import (
    load_activations as load_activations,
    record_activations as record_activations,
)
from .streamed import compute_layer_rdms as compute_layer_rdms
