from .areas import (
    group_areas as group_areas,
    name_areas as name_areas,
    split_areas as split_areas,
)
from .dissimilarities import (
    load_dissimilarities as load_dissimilarities,
    save_dissimilarities as save_dissimilarities,
    validate_dissimilarities as validate_dissimilarities,
)
from .origin import is_simulated as is_simulated
from .patterns import (
    as_recording as as_recording,
    zscore_sites as zscore_sites,
)
from .pooling import (
    pool_recordings as pool_recordings,
    pool_stimuli as pool_stimuli,
)
from .presentations import recording_from_presentations as recording_from_presentations
from .recording import (
    average_repetitions as average_repetitions,
    load_recording as load_recording,
    open_recording as open_recording,
    recording_from_arrays as recording_from_arrays,
    save_recording as save_recording,
    select_recording as select_recording,
    validate_recording as validate_recording,
)
from .selection import (
    compute_responsiveness as compute_responsiveness,
    select_complete as select_complete,
    select_responsive_sites as select_responsive_sites,
    select_shown as select_shown,
)
from .spikes import (
    bin_spikes as bin_spikes,
    load_spikes as load_spikes,
    save_spikes as save_spikes,
    spikes_from_arrays as spikes_from_arrays,
    validate_spikes as validate_spikes,
)
from .stimuli import (
    align_stimuli as align_stimuli,
    load_stimuli as load_stimuli,
    read_stimuli as read_stimuli,
    save_stimuli as save_stimuli,
    stimuli_from_arrays as stimuli_from_arrays,
    validate_stimuli as validate_stimuli,
)
from .windows import (
    assign_time_bins as assign_time_bins,
    average_window as average_window,
    select_window as select_window,
)
