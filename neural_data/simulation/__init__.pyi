from .area import SimulatedArea as SimulatedArea
from .macaque import Macaque as Macaque
from .noise import (
    GaussianNoise as GaussianNoise,
    PoissonNoise as PoissonNoise,
)
from .objects import (
    compute_object_cover as compute_object_cover,
    simulate_objects as simulate_objects,
)
from .simulate import (
    simulate_macaque as simulate_macaque,
    simulate_rates as simulate_rates,
)
from .time_course import TimeCourse as TimeCourse
