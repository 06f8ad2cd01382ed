"""What the documents name must exist: links, paths, modules, flags, configs, fields, targets."""

import functools
import importlib.util
import pathlib
import re

import pytest

import haa_jax
from haa_jax import configs
from haa_jax.configs import base

ROOT = pathlib.Path(__file__).parents[2]
INSTALLED = pathlib.Path(haa_jax.__file__).parents[1]  # where haa_jax and tfds_haa500 are without a checkout
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "benchmarks/README.md",
    *(f"docs/{path.name}" for path in sorted(ROOT.glob("docs/*.md"))),
)
OURS = "haa_jax|tfds_haa500|benchmarks|tools|tests"
every_document = pytest.mark.parametrize("document", DOCUMENTS)


@functools.cache
def text(document: str) -> str:
    """With continued command lines joined."""
    return (ROOT / document).read_text(encoding="utf-8").replace("\\\n", " ")


def code(document: str) -> list[str]:
    """Everything in backticks within a line, and every line of a code block."""
    blocks = re.findall(r"^```\w*\n(.*?)^```|^((?:    .+\n)+)", text(document), re.M | re.S)
    lines = [line for block in blocks for line in "".join(block).splitlines()]
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text(document)) + lines


def found(path: str) -> bool:
    """Whether a path of the repository exists, in the checkout or, of a package, where it is installed."""
    if path.startswith("configs/"):
        return (pathlib.Path(configs.__file__).parent / path.removeprefix("configs/")).exists()
    return (ROOT / path).exists() or (INSTALLED / path).exists()


def anchors(document: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text(document), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def missing_links(document: str) -> list[str]:
    bad = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text(document)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = pathlib.PurePosixPath(document).parent / path if path else pathlib.PurePosixPath(document)
        name = str((ROOT / target).resolve().relative_to(ROOT.resolve()))
        if not found(name) or (anchor and anchor not in anchors(name)):
            bad.append(link)
    return bad


def missing_paths(document: str) -> list[str]:
    pattern = rf"(?:(?:{OURS}|configs|docs|\.ci)/[\w./-]*|[A-Z]\w+\.(?:md|cff)|pyproject\.toml|requirements\.txt)"
    paths = [match[0] for part in code(document) if (match := re.fullmatch(rf"({pattern})(?::[\w,+=]+)?", part))]
    paths = [match.partition(":")[0] for match in paths]
    return [path for path in paths if not found(path) and "a/b" not in path and "NAME" not in path]


def missing_modules(document: str) -> list[str]:
    modules = re.findall(rf"-m ((?:{OURS})[\w.]*)", text(document))
    return [module for module in modules if importlib.util.find_spec(module.rstrip(".")) is None]


def missing_flags(document: str) -> list[str]:
    bad = []
    for part in code(document):
        command = re.search(rf"-m ((?:{OURS})[\w.]*)(.*)", part)
        if command:
            names = re.findall(r" --(\w+)(?=[= ]|$)", command[2])
            bad += [f"{command[1]} --{name}" for name in names if name not in flags_of(command[1].split(".")[0])]
    return bad


@functools.cache
def flags_of(package: str) -> set[str]:
    """All flags that the modules of a package define."""
    folder = next(place / package for place in (ROOT, INSTALLED) if (place / package).exists())
    source = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    found = set(re.findall(r"(?:DEFINE_\w+|DEFINE)\(\s*\"(\w+)\"", source)) | {"config", "help"}
    return found | {"file_format", "manual_dir", "beam_pipeline_options"} & set(re.findall(r"\w+", source))


def missing_fields(document: str) -> list[str]:
    fields = re.findall(r"--config\.([\w.]+)", text(document))
    groups = [name for name, value in base.get_config().items() if hasattr(value, "keys")]
    settings = re.compile(rf"(?:config\.)?((?:{'|'.join(groups)})\.[\w.]+)(?:=.*)?")
    named = [match[1] for part in code(document) if (match := settings.fullmatch(part))]
    fields += [name for name in named if not name.endswith((".py", ".csv"))]
    return [field for field in fields if not is_field(field)]


def is_field(name: str) -> bool:
    place = base.get_config()
    for key in name.split("."):
        if not hasattr(place, "keys") or key not in place:
            return False
        place = place[key]
    return True


def bad_configs(document: str) -> list[str]:
    bad = []
    for name, variants in re.findall(r"(?:--config=|configs/)(?:configs/)?([a-z]\w+)\.py:([\w,+=]+)", text(document)):
        try:
            importlib.import_module(f"haa_jax.configs.{name}").get_config(variants.rstrip(","))
        except (ImportError, ValueError) as error:
            bad.append(f"{name}.py:{variants}: {error}")
    return bad


def missing_targets(document: str) -> list[str]:
    targets = set(re.findall(r"^([\w-]+|\$\(VENV\)/installed):", (ROOT / "Makefile").read_text(), re.M))
    commands = [match[1] for part in code(document) if (match := re.match(r" *make ([a-z -]+?)(?: [A-Z#]|  |$)", part))]
    return [target for command in commands for target in command.split() if target not in targets]


CHECKS = (missing_links, missing_paths, missing_modules, missing_flags, missing_fields, bad_configs, missing_targets)


@every_document
@pytest.mark.parametrize("check", CHECKS)
def test_everything_named_exists(document, check):
    assert check(document) == []


def test_the_checks_find_what_is_wrong(tmp_path, monkeypatch):
    (tmp_path / "BAD.md").write_text(
        "# A heading\n[gone](gone.md) [anchor](#no-heading) [right](#a-heading) `haa_jax/gone.py`\n"
        "`configs/gone.py:demo` `data.gone=1` `eval.windows=0` `configs/i3d.py:gone` `make gone`\n"
        "```sh\npython -m haa_jax.gone\npython -m haa_jax.main --gone=1 \\\n  --config.data.away=2\nmake test\n```\n"
    )
    (tmp_path / "Makefile").write_text("test: lint\n")
    monkeypatch.setattr("tests.docs.test_links.ROOT", tmp_path)
    wrong = {check.__name__: check("BAD.md") for check in CHECKS}
    assert [name.split(": ")[0] for name in wrong.pop("bad_configs")] == ["gone.py:demo", "i3d.py:gone"]
    assert wrong == {
        "missing_links": ["gone.md", "#no-heading"],
        "missing_paths": ["haa_jax/gone.py", "configs/gone.py"],
        "missing_modules": ["haa_jax.gone"],
        "missing_flags": ["haa_jax.main --gone"],
        "missing_fields": ["data.away", "data.gone"],
        "missing_targets": ["gone"],
    }
