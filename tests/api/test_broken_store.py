"""What clients see when the store fails under a running service."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import ClientError


def test_a_broken_store_is_a_retryable_error_that_names_no_path(house, ec2, tmp_path: Path):
    ec2.describe_key_pairs()
    for file in tmp_path.glob("isthmus-*.db*"):
        file.write_bytes(b"no database any more" * 500)

    with pytest.raises(ClientError) as refused:
        ec2.create_key_pair(KeyName="lost")

    said = refused.value.response
    assert "Unavailable" == said["Error"]["Code"]
    assert 503 == said["ResponseMetadata"]["HTTPStatusCode"]
    assert str(tmp_path) not in said["Error"]["Message"]
