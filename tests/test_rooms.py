"""Who imports whom: data flows one way, and what computes on a device imports no TensorFlow."""

import ast
import collections
import functools
import graphlib
import pathlib
import subprocess
import sys

import pytest

import haa_jax
import tfds_haa500

PACKAGES = {package.__name__: pathlib.Path(package.__file__).parent for package in (haa_jax, tfds_haa500)}
# A room imports from those before it, never from those after it.
ORDER = {
    "tfds_haa500": ("streams", "sources", "runtime", "demo", "browsing"),
    "haa_jax": (
        *("runtime", "streams", "data", "models", "learning", "weights"),
        *("prediction", "explanation", "paper", "reporting", "browsing", "exporting"),
    ),
}
WITHOUT_TENSORFLOW = ("models", "learning", "streams", "runtime", "restore")
TENSORFLOW = ("tensorflow", "tensorflow_datasets", "clu")  # clu's metric writers import TensorFlow


@functools.cache
def modules() -> dict[str, pathlib.Path]:
    """Module name -> file, of both packages; the configs apart, which import `base` alone."""
    found = {}
    for package, folder in PACKAGES.items():
        for file in folder.rglob("*.py"):
            path = file.relative_to(folder).with_suffix("")
            if path.parts[0] != "configs":
                found[".".join((package, *path.parts)).removesuffix(".__init__")] = file
    return found


@functools.cache
def imports(module: str, *, lazily: bool = True) -> frozenset[str]:
    """What a module imports; without `lazily`, only at its import."""
    tree = ast.parse(modules()[module].read_text())
    found = set()
    for node in ast.walk(tree) if lazily else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            full = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules() else node.module for name in full.values()}
    return frozenset(found - {module})


def room(module: str) -> str:
    """The folder a module is in; the module itself where it is at the top, or is a command that a room ends in."""
    package, *inner = module.split(".")
    return module if len(inner) < 2 or inner[-1] == "__main__" else f"{package}.{inner[0]}"


@functools.cache
def arrows() -> dict[str, set[str]]:
    """Room -> rooms that its modules import from."""
    found = collections.defaultdict(set)
    for module in modules():
        found[room(module)] |= {room(other) for other in imports(module) if other in modules()}
    return {each: others - {each} for each, others in found.items()}


def test_no_arrow_runs_back_up():
    order = graphlib.TopologicalSorter(arrows()).static_order()  # raises CycleError with the rooms of a cycle
    assert set(order) == arrows().keys()


def test_modules_of_a_room_do_not_import_one_another_in_a_circle():
    graph = {module: imports(module) & modules().keys() for module in modules()}
    assert set(graphlib.TopologicalSorter(graph).static_order()) == modules().keys()


@pytest.mark.parametrize("package", ORDER)
def test_rooms_import_from_earlier_ones_only(package):
    rooms = [f"{package}.{name}" for name in ORDER[package]]
    folders = {file.parent.name for file in PACKAGES[package].glob("*/__init__.py")} - {"configs"}
    assert folders == set(ORDER[package])
    for position, each in enumerate(rooms):
        assert not arrows()[each] & set(rooms[position + 1 :]), each


def test_the_dataset_half_imports_nothing_of_the_other():
    for module in modules():
        if module.startswith("tfds_haa500"):
            roots = {name.partition(".")[0] for name in imports(module)}
            assert not roots & {"haa_jax", "jax", "flax", "optax", "orbax", "ml_collections"}, module


def reached(module: str, *, lazily: bool = False) -> set[str]:
    """Everything that is imported with a module; with `lazily`, also what its functions and those of others import."""
    seen, left = set(), [module]
    while left:
        each = left.pop()
        if each in seen:
            continue
        seen.add(each)
        if each in modules():
            left += imports(each, lazily=lazily)
            parts = each.split(".")
            left += [".".join(parts[:n]) for n in range(1, len(parts))]
    return seen


def free_of_tensorflow() -> list[str]:
    rooms = [f"haa_jax.{name}" for name in WITHOUT_TENSORFLOW]
    return [module for module in modules() if room(module) in rooms]


def test_what_computes_on_a_device_imports_no_tensorflow():
    for module in free_of_tensorflow():
        found = {name.partition(".")[0] for name in reached(module)}
        assert not found & set(TENSORFLOW), module


def test_only_the_reader_of_its_checkpoints_names_tensorflow():
    users = {module for module in modules() if "tensorflow" in {name.partition(".")[0] for name in imports(module)}}
    assert users == {"haa_jax.weights.tensorflow_file"}


def test_what_trains_and_what_evaluates_loads_no_tensorflow():
    """TFDS loads it when it writes a dataset; tests/shallow_main.py checks it at the end of whole trainings."""
    training = {name for name in reached("haa_jax.main", lazily=True) & modules().keys() if name.startswith("haa_jax")}
    assert {"haa_jax.train", "haa_jax.summaries", "haa_jax.weights.tensorflow_file"} <= training
    names = ", ".join(sorted({*training, *free_of_tensorflow(), "haa_jax.embed"}))
    loaded = f"import sys, {names}; loaded = {{'tensorflow', 'keras'}} & {{*sys.modules}}; assert not loaded, loaded"
    subprocess.run([sys.executable, "-c", loaded], check=True)
