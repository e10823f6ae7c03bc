"""What a guest takes of the host while it does nothing, and the kernel that makes this little."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from isthmus.providers.local import process, tiny
from isthmus.providers.local.tiny import kernel

from .conftest import World

CEILINGS = {tiny.Kernel.DEBIAN: 180, tiny.Kernel.SMALL: 90}
"""MiB of an emulated guest's process, with some slack. Its own memory: QEMU's program and libraries are everybody's."""
SETTLED_SECONDS = 10
"""Free memory is told to the host some seconds after it became free."""


@pytest.mark.qemu
def test_an_idle_guest_takes_little_memory(world: World) -> None:
    server = world.launched("first")
    [pid] = [pid for pid, _ in process.machines(world.cloud.base.prefix)]
    time.sleep(SETTLED_SECONDS)

    assert resident(pid) < CEILINGS[tiny.preferred()]
    assert world.server(server.native).state == "running"


@pytest.mark.qemu
def test_the_small_kernel_is_what_guests_run_once_it_is_compiled(world: World) -> None:
    if tiny.preferred() is not tiny.Kernel.SMALL:
        pytest.skip("NOT TESTED: the small kernel is not compiled: make kernel")
    compiled = kernel.find()
    [blob] = world.cloud.base.state.rglob("blobs/tiny-*-vmlinuz")

    assert compiled
    assert blob.read_bytes() == compiled.image.read_bytes()


def test_compiling_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("isthmus.providers.local.tiny.tools.PATH", "/nowhere")

    assert tiny.preferred() is tiny.Kernel.DEBIAN
    with pytest.raises(tiny.BuildError, match=r"apt-get install .*bison.*flex"):
        kernel.compile_once(print)
    assert list(tmp_path.iterdir()) == []


def test_options_that_sources_do_not_take_are_told() -> None:
    wanted = "# words\nCONFIG_A=y\nCONFIG_B=n\nCONFIG_C=64\nCONFIG_D=n\nCONFIG_E=y\n"
    got = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=8\nCONFIG_D=y\n"

    assert kernel.unheard(wanted, got) == ["CONFIG_C=64", "CONFIG_D=n", "CONFIG_E=y"]


def resident(pid: int) -> float:
    """MiB."""
    lines = [line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]]
    told = {name: int(size) for name, size, *_ in lines}
    return (told["Pss_Anon:"] + told["Pss_Shmem:"]) / 1024
