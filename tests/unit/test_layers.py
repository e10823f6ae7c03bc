"""Five frames, one direction: http -> aws/service -> an action -> core -> a provider. Each sees only what it may."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import isthmus

SOURCE = Path(isthmus.__file__).parent
_BASE = ("believed", "model", "errors", "memo", "networking", "quotas", "retry", "together", "told")
BASE = frozenset(f"isthmus.{name}" for name in _BASE)
CONTRACT = "isthmus.providers"
CONCRETE = tuple(sorted(f"{CONTRACT}.{path.parent.name}" for path in (SOURCE / "providers").glob("*/__init__.py")))


@dataclass(frozen=True)
class Layer:
    """The modules under a name, and what they may import: `whole` with all that is below it, `alone` without."""

    name: str
    whole: frozenset[str] = frozenset()
    alone: frozenset[str] = frozenset()

    def allows(self, imported: str) -> bool:
        whole = self.whole | {self.name}
        return imported in self.alone | BASE or any(_within(imported, one) for one in whole)


LAYERS = (
    Layer("isthmus.model"),
    Layer("isthmus.errors"),
    Layer("isthmus.believed"),
    Layer("isthmus.memo"),
    Layer("isthmus.networking"),
    Layer("isthmus.quotas"),
    Layer("isthmus.retry"),
    Layer("isthmus.told"),
    Layer("isthmus.together"),
    Layer("isthmus.flavors"),
    Layer("isthmus.store"),
    Layer("isthmus.steady"),
    Layer("isthmus.context", whole=frozenset({"isthmus.store", "isthmus.steady"}), alone=frozenset({CONTRACT})),
    Layer("isthmus.core", whole=frozenset({"isthmus.store", "isthmus.context"}), alone=frozenset({CONTRACT})),
    Layer("isthmus.aws", whole=frozenset({"isthmus.core", "isthmus.context"})),
    Layer("isthmus.imds", whole=frozenset({"isthmus.core", "isthmus.context"})),
    *(Layer(provider, alone=frozenset({CONTRACT})) for provider in CONCRETE),
)

EXCEPTIONS = {
    # core/images.py takes the contract's ImageSpec as it is; an order of its own would free the front from it.
    ("isthmus.aws.ec2.images", CONTRACT),
    # What a cloud lacks is said in the contract's Capability, and told per action here.
    ("isthmus.aws.coverage", CONTRACT),
    # `isthmus image build` makes the embedded cloud's own image, before there is a cloud.
    ("isthmus.cli.image", "isthmus.providers.local.tiny"),
    # `isthmus cloud add cloudstack` looks at a CloudStack before it is a cloud of the settings.
    ("isthmus.cli.cloudstack", "isthmus.providers.cloudstack.survey"),
    ("isthmus.cli.ec2stack", "isthmus.providers.cloudstack.survey"),
    # `isthmus import ec2-api` tags networks in Neutron, by another login than the cloud's own.
    ("isthmus.cli.ec2api_vpcs", "isthmus.providers.openstack.administrator"),
    ("isthmus.cli.imports", "isthmus.providers.openstack.administrator"),
    ("isthmus.cli.imports", "isthmus.providers.openstack.cloud"),
}

FRONTS = ("isthmus.aws.front", "isthmus.aws.request")
BEHIND_FRONTS = ("isthmus.aws", "isthmus.core", "isthmus.store", "isthmus.providers", "isthmus.imds")
HTTP = tuple(f"isthmus.serving.{name}" for name in ("http", "wire", "refusal", "threads", "sockets"))
OPENS_CLOUDS = ("isthmus.opening",)


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def _modules() -> dict[str, ast.Module]:
    """Every module of the package by name, parsed."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        words = ["isthmus", *path.relative_to(SOURCE).with_suffix("").parts]
        found[".".join(words[:-1] if words[-1] == "__init__" else words)] = ast.parse(path.read_text("utf-8"))
    return found


MODULES = _modules()


def _imports(name: str) -> Iterator[str]:
    """The modules of ours that a module imports, wherever in it: at the top, in a function, for types only."""
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if _within(one.name, "isthmus"))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import in line {node.lineno}"
            if _within(node.module or "", "isthmus"):
                yield from (_imported(str(node.module), one.name) for one in node.names)


def _imported(module: str, word: str) -> str:
    """`from a import b`: the module a.b if there is one, else something in a."""
    return f"{module}.{word}" if f"{module}.{word}" in MODULES else module


def _wrong(layer: Layer) -> list[str]:
    return [
        f"{name} imports {imported}"
        for name in MODULES
        if _within(name, layer.name)
        for imported in _imports(name)
        if not layer.allows(imported) and (name, imported) not in EXCEPTIONS
    ]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name.removeprefix("isthmus."))
def test_a_layer_sees_only_what_it_may(layer: Layer) -> None:
    assert any(_within(name, layer.name) for name in MODULES), f"there is no {layer.name}"
    assert not _wrong(layer)


def test_nobody_but_the_configuration_sees_a_concrete_provider() -> None:
    wrong = [
        f"{name} imports {imported}"
        for name in MODULES
        for imported in _imports(name)
        for provider in CONCRETE
        if _within(imported, provider) and not _within(name, provider) and name not in OPENS_CLOUDS
        if (name, imported) not in EXCEPTIONS
    ]
    assert not wrong


@pytest.mark.parametrize("name", HTTP)
def test_http_sees_nothing_behind_the_fronts(name: str) -> None:
    hidden = [one for one in _imports(name) if any(_within(one, package) for package in BEHIND_FRONTS)]
    assert [one for one in hidden if one not in FRONTS] == []


def test_every_exception_is_still_needed() -> None:
    assert {(name, imported) for name, imported in EXCEPTIONS if imported in _imports(name)} == EXCEPTIONS


def test_there_are_providers_to_look_at() -> None:
    assert {"isthmus.providers.local", "isthmus.providers.memory"} <= set(CONCRETE)
