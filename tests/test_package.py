"""An installation: no top-level module besides the two packages, and the error without the extra for training."""

import importlib
import importlib.metadata
import importlib.util
import pathlib

import pytest

import haa_jax
from haa_jax import configs


def test_no_other_top_level_module_is_installed():
    owners = importlib.metadata.packages_distributions()
    ours = {name for name, owned_by in owners.items() if "haa_jax" in owned_by}
    assert {name for name in ours if not name.startswith("__editable__")} == {"haa_jax", "tfds_haa500"}


def test_the_configs_are_part_of_the_package():
    folder = pathlib.Path(haa_jax.__file__).parent / "configs"
    assert pathlib.Path(configs.__file__).parent == folder
    assert {"base.py", "i3d.py", "slowfast.py", "stgcn.py", "tpn.py", "tsn.py"} <= {
        path.name for path in folder.iterdir()
    }


def test_without_the_extra_for_training_the_error_tells_what_to_install(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "flax" else found(name))
    with pytest.raises(ImportError, match=r"haa_jax needs flax: .*pip install 'haa_jax\[train\]'"):
        importlib.reload(haa_jax)
