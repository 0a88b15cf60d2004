from .array_files import load_array as load_array
from .brainio.events import (
    read_brainio_events as read_brainio_events,
    read_brainio_spikes as read_brainio_spikes,
)
from .brainio.reader import (
    open_brainio as open_brainio,
    read_brainio as read_brainio,
)
from .brainio.stimuli import read_brainio_stimuli as read_brainio_stimuli
from .brainio.stimuli_writer import write_brainio_stimuli as write_brainio_stimuli
from .brainio.writer import write_brainio as write_brainio
from .cowley2023 import read_cowley2023 as read_cowley2023
from .described import (
    read_arrays as read_arrays,
    read_described as read_described,
)
from .image_arrays import (
    read_image_array as read_image_array,
    read_images as read_images,
)
from .kriegeskorte2008 import read_kriegeskorte2008 as read_kriegeskorte2008
from .nwb.images import read_nwb_images as read_nwb_images
from .nwb.reader import (
    read_nwb as read_nwb,
    read_nwb_spikes as read_nwb_spikes,
)
from .open_any import open_source as open_source
from .proposal import propose_description as propose_description
from .rdm_files import read_rdm as read_rdm
