import jax
import jax.numpy as jnp
import numpy as np
import pytest

from haa_jax.learning import microbatches


def test_microbatches_take_turns_with_the_rows():
    batch = {"clips": np.arange(12).reshape(6, 2), "labels": np.arange(6)}
    found = microbatches.split(batch, 2)
    assert found["labels"].tolist() == [[0, 2, 4], [1, 3, 5]]
    assert found["clips"].shape == (2, 3, 2)
    assert np.array_equal(found["clips"][1], batch["clips"][1::2])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_mean_is_over_numbered_microbatches(count):
    rows = np.arange(6, dtype=np.float32)

    def function(number, microbatch):
        return {"sum": microbatch.sum(), "number": jnp.float32(number)}

    found = jax.jit(lambda batch: microbatches.mean(function, microbatches.split(batch, count), count))(rows)
    assert float(found["sum"]) == pytest.approx(rows.sum() / count)
    assert float(found["number"]) == pytest.approx((count - 1) / 2)
