from .evaluation import (
    Evaluation as Evaluation,
    Task as Task,
    evaluate as evaluate,
    train_candidate as train_candidate,
)
from .images import (
    ImageSet as ImageSet,
    images_from_stimuli as images_from_stimuli,
    load_images as load_images,
)
from .own_task import (
    OwnTask as OwnTask,
    load_own_task as load_own_task,
)
from .recipe import (
    LongTraining as LongTraining,
    Recipe as Recipe,
)
from .rivals import (
    RIVALS as RIVALS,
    compute_statistics as compute_statistics,
    count_architecture as count_architecture,
)
from .training import (
    SGD as SGD,
    Training as Training,
    train_network as train_network,
)
