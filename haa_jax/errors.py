"""The errors that a user can fix: their message is all that needs to be shown."""

from haa_jax.checks import ConfigError
from haa_jax.data.dataset import DatasetError
from haa_jax.evaluate import EvaluationError
from haa_jax.learning.objectives import ObjectiveError
from haa_jax.not_finite import NonFiniteError
from haa_jax.restore import RestoreError
from haa_jax.runtime.checkpoint_reader import CheckpointError
from haa_jax.runtime.lock import WorkdirInUse
from haa_jax.runtime.mesh import MeshError
from haa_jax.runtime.paths import PathError
from haa_jax.start import ResumeError
from haa_jax.weights.readers import WeightsError
from tfds_haa500.records import RecordError
from tfds_haa500.taxonomy import TaxonomyError

USER_ERRORS = (
    CheckpointError,
    ConfigError,
    DatasetError,
    EvaluationError,
    MeshError,
    NonFiniteError,
    ObjectiveError,
    PathError,
    RecordError,
    RestoreError,
    ResumeError,
    TaxonomyError,
    WeightsError,
    WorkdirInUse,
)
