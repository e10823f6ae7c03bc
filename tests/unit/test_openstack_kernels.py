"""Images of OpenStack that name a kernel and a ramdisk: Nova boots these, and no others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from isthmus.errors import Unsupported
from isthmus.providers import ServerSpec
from isthmus.providers.openstack.servers import OpenStackCompute


class FakeClient:
    """An image with a kernel and a ramdisk, and a flavor."""

    project = "p"

    def get(self, *_: Any) -> Any:
        return {"id": "image", "kernel_id": "kernel", "ramdisk_id": "ramdisk"}

    def every(self, *_: Any) -> list[Any]:
        return [{"id": "1", "name": "small"}]


def body(**parts: str) -> Any:
    cloud: Any = SimpleNamespace(zones=("nova",), options=SimpleNamespace(flavors={}))
    client: Any = FakeClient()
    return OpenStackCompute(cloud, client)._body(ServerSpec("i-1", "", "image", "small", "nova", (), **parts))["server"]


def test_an_image_is_launched_with_the_kernel_and_the_ramdisk_that_it_names() -> None:
    assert "image" == body(kernel="kernel", ramdisk="ramdisk")["imageRef"]


@pytest.mark.parametrize("parts", [{"kernel": "another"}, {"kernel": "kernel", "ramdisk": "another"}])
def test_others_are_refused(parts: dict[str, str]) -> None:
    with pytest.raises(Unsupported, match="an image names"):
        body(**parts)
