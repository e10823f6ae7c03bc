"""Values that fit the models of AWS's services, for tests of what is made of them."""

from __future__ import annotations

import base64
import string
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from isthmus.aws.codec import Codec, Shape
from isthmus.aws.codec.decode import BASE64_TEXT
from isthmus.aws.sts import sts

SERVICES = {"ec2": "ec2", "sts": "query"}


@cache
def codec(service: str = "ec2") -> Codec:
    return Codec(service)


@cache
def botocore_model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"))


# Of sts only what is served: its model has maps, which EC2's protocol does not know.
OPERATIONS = {"ec2": sorted(codec("ec2").operations), "sts": sorted(sts.actions)}
SLOW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
TEXT = st.text(string.ascii_letters + string.digits + " &<>=+%/é\n", max_size=12)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "blob": st.binary(max_size=9),
    "boolean": st.booleans(),
    "double": st.floats(-1e9, 1e9),
    "float": st.floats(-1e9, 1e9),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "string": TEXT,
    "timestamp": st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)).map(
        lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
    ),
}


@st.composite
def values(draw: st.DrawFn, service: str, shape: Shape, name: str = "", depth: int = 5) -> Any:
    """A value of a shape: not empty, since an empty value is as good as none on this wire."""
    model = codec(service)
    if shape.element is not None:
        element = model.shape(shape.element.shape)
        return draw(st.lists(values(service, element, name, depth - 1), min_size=1, max_size=2))
    if shape.type == "structure":
        optional = (
            draw(st.sets(st.sampled_from(sorted(shape.members)), max_size=4)) if shape.members and depth > 0 else set()
        )
        chosen = sorted(optional | shape.required)
        members = {key: draw(values(service, model.shape(shape.members[key].shape), key, depth - 1)) for key in chosen}
        return {key: value for key, value in members.items() if value not in ({}, [{}], [{}, {}], "", b"")}
    if name in BASE64_TEXT or (shape.name, name) == ("UserData", "Data"):
        return base64.b64encode(draw(st.binary(min_size=1, max_size=9))).decode()
    return draw(SCALARS[shape.type].filter(lambda value: value not in ("", b"")))
