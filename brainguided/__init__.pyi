from .architectures import (
    Architecture as Architecture,
    CellArchitecture as CellArchitecture,
    ConvLayer as ConvLayer,
    MacroArchitecture as MacroArchitecture,
    NASBench201Architecture as NASBench201Architecture,
    PlainArchitecture as PlainArchitecture,
    RecurrentArchitecture as RecurrentArchitecture,
    ResidualArchitecture as ResidualArchitecture,
)
from .candidates import (
    SGD as SGD,
    Evaluation as Evaluation,
    ImageSet as ImageSet,
    Task as Task,
    Training as Training,
    evaluate as evaluate,
    images_from_stimuli as images_from_stimuli,
    load_images as load_images,
    train_candidate as train_candidate,
    train_network as train_network,
)
from .controllers import (
    PPO as PPO,
    Learning as Learning,
    Limits as Limits,
    LocalSearch as LocalSearch,
    OptunaSearch as OptunaSearch,
    RandomSearch as RandomSearch,
    RegularizedEvolution as RegularizedEvolution,
    Reinforce as Reinforce,
    nasnet_ppo as nasnet_ppo,
    tpe as tpe,
    zoph2017_reinforce as zoph2017_reinforce,
)
from .correspondence import (
    Inference as Inference,
    bootstrap_similarity as bootstrap_similarity,
    compare_layers as compare_layers,
    compare_networks as compare_networks,
    compute_animal_ceiling as compute_animal_ceiling,
    compute_ceiling as compute_ceiling,
    compute_cka as compute_cka,
    compute_correspondence as compute_correspondence,
    compute_hierarchy as compute_hierarchy,
    compute_intervals_over_time as compute_intervals_over_time,
    compute_layer_cka as compute_layer_cka,
    compute_layer_predictivity as compute_layer_predictivity,
    compute_noise_ceiling as compute_noise_ceiling,
    compute_predictivity as compute_predictivity,
    compute_similarity_over_time as compute_similarity_over_time,
    compute_site_ceiling as compute_site_ceiling,
    correspondence_from_rdms as correspondence_from_rdms,
    permute_hierarchy as permute_hierarchy,
    permute_similarity as permute_similarity,
)
from .engines import (
    folder_executor as folder_executor,
    local_pool as local_pool,
    ray_executor as ray_executor,
    serve_folder as serve_folder,
)
from .guidance import (
    PaperReward as PaperReward,
    RobustReward as RobustReward,
    Target as Target,
    Teacher as Teacher,
    WeightedReward as WeightedReward,
    best_layers as best_layers,
    compute_guidance as compute_guidance,
    compute_similarity as compute_similarity,
)
from .journal import (
    Journal as Journal,
    JournalError as JournalError,
    Measurement as Measurement,
    merge_runs as merge_runs,
    repair_journal as repair_journal,
)
from .networks import (
    Observation as Observation,
    Preprocessing as Preprocessing,
    build_network as build_network,
    compute_layer_rdms as compute_layer_rdms,
    describe_layers as describe_layers,
    export_network as export_network,
    load_activations as load_activations,
    read_preprocessing as read_preprocessing,
    record_activations as record_activations,
    select_layers as select_layers,
)
from .plot import (
    plot_anytime as plot_anytime,
    plot_architecture as plot_architecture,
    plot_correspondence as plot_correspondence,
    plot_depth as plot_depth,
    plot_rdm_mds as plot_rdm_mds,
    plot_rdms as plot_rdms,
    plot_recording_summary as plot_recording_summary,
    plot_reliability as plot_reliability,
    plot_reliability_over_time as plot_reliability_over_time,
    plot_repetitions as plot_repetitions,
    plot_responses as plot_responses,
    plot_runs as plot_runs,
    plot_search as plot_search,
    plot_similarity_over_time as plot_similarity_over_time,
    plot_stimulus_mds as plot_stimulus_mds,
)
from .rdms import (
    align_rdms as align_rdms,
    compare_rdms as compare_rdms,
    compute_noise_precision as compute_noise_precision,
    compute_rdms as compute_rdms,
    dissimilarities_from_rdms as dissimilarities_from_rdms,
    prepare_rdms as prepare_rdms,
    rdms_from_dissimilarities as rdms_from_dissimilarities,
)
from .replays import (
    Faults as Faults,
    Machines as Machines,
    Table as Table,
    compare_runs as compare_runs,
    load_table as load_table,
    replay_search as replay_search,
    run_replays as run_replays,
    simulate_search as simulate_search,
    summarize_replays as summarize_replays,
    table_from_run as table_from_run,
)
from .reports import (
    write_model_card as write_model_card,
    write_report as write_report,
)
from .search import (
    Batch as Batch,
    Completion as Completion,
    Index as Index,
    Schedule as Schedule,
    SearchError as SearchError,
    check_search as check_search,
    run_finalists as run_finalists,
    run_search as run_search,
    save_winner as save_winner,
)
from .settings import load_run as load_run
from .spaces import (
    SearchSpace as SearchSpace,
    enas_macro_space as enas_macro_space,
    enas_micro_space as enas_micro_space,
    nasbench201_space as nasbench201_space,
    nasnet_space as nasnet_space,
    pnas_space as pnas_space,
    recurrent_space as recurrent_space,
    residual_space as residual_space,
    small_space as small_space,
    zoph2017_space as zoph2017_space,
)

__version__: str
