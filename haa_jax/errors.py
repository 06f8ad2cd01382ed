"""The errors that a user can mend: their message is all that needs to be shown."""

from haa_jax.checks import ConfigError
from haa_jax.data.dataset import DatasetError
from haa_jax.data.labels import LabelError
from haa_jax.evaluate import EvaluationError
from haa_jax.runtime.checkpoint import CheckpointError
from haa_jax.runtime.lock import WorkdirInUse
from haa_jax.runtime.mesh import MeshError
from haa_jax.runtime.paths import PathError
from haa_jax.train import NonFiniteError, ResumeError
from haa_jax.weights.readers import WeightsError
from tfds_haa500.records import RecordError
from tfds_haa500.taxonomy import TaxonomyError

USER_ERRORS = (
    CheckpointError,
    ConfigError,
    DatasetError,
    EvaluationError,
    LabelError,
    MeshError,
    NonFiniteError,
    PathError,
    RecordError,
    ResumeError,
    TaxonomyError,
    WeightsError,
    WorkdirInUse,
)
