"""Which points of parameter space a suite of simulations visits.

A design is a list of points in a box with units (space, points). It is sampled (sampling),
extended by points in the strata that it left empty (augment), and kept as text (text) in a file
(files). A Latin hypercube and an extension alike are spread by exchanges of coordinates (exchange).
"""

from .augment import augment_design
from .files import read_design, write_design
from .points import Design, Step
from .sampling import METHODS, latin_hypercube, one_at_a_time, sobol
from .space import PUBLISHED_SPACE, ParameterSpace

__all__ = [
    "METHODS",
    "PUBLISHED_SPACE",
    "Design",
    "ParameterSpace",
    "Step",
    "augment_design",
    "latin_hypercube",
    "one_at_a_time",
    "read_design",
    "sobol",
    "write_design",
]
