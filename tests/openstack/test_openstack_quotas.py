"""What a real OpenStack lets a project have, as account attributes."""

from __future__ import annotations

from typing import Any

import real_openstack

from isthmus.quotas import QUOTAS


def test_attributes_tell_the_smaller_of_neutrons_quota_and_ours(ec2: Any, demo: Any) -> None:
    admin = real_openstack.connection("admin")
    before = admin.network.get_quota(demo.tenant_id).floating_ips
    try:
        for theirs in (7, QUOTAS["addresses"].most + 1, -1):
            admin.network.update_quota(demo.tenant_id, floating_ips=theirs)
            said = ec2.describe_account_attributes(AttributeNames=["max-elastic-ips"])["AccountAttributes"]
            [[value]] = [one["AttributeValues"] for one in said]
            assert value["AttributeValue"] == str(7 if theirs == 7 else QUOTAS["addresses"].most)
    finally:
        admin.network.update_quota(demo.tenant_id, floating_ips=before)
