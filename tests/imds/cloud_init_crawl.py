"""Run by the system's Python, with cloud-init on its path: crawl a metadata service, print what was found as JSON.

Arguments: the service's URL, the platform to believe to be on (`aws` or `unknown`), a directory for scratch files.
"""

import json
import sys

from cloudinit import helpers
from cloudinit.sources import DataSourceEc2


def main(url, platform, scratch):
    DataSourceEc2.identify_platform = lambda: platform  # it would look at this machine's firmware
    settings = {"datasource": {"Ec2": {"metadata_urls": [url], "max_wait": 2, "timeout": 5, "strict_id": False}}}
    source = DataSourceEc2.DataSourceEc2(settings, None, helpers.Paths({"cloud_dir": scratch, "run_dir": scratch}))
    if not source._get_data():
        return None
    network = source.metadata["network"]
    macs = {mac: f"eth{number}" for number, mac in enumerate(sorted(network["interfaces"]["macs"]))}
    return {
        "metadata": source.metadata,
        "user_data": source.userdata_raw.decode("latin-1"),
        "instance_id": source.get_instance_id(),
        "keys": source.get_public_ssh_keys(),
        "zone": source.availability_zone,
        "region": source.region,
        "hostname": str(source.get_hostname(fqdn=True)),
        "identity": getattr(source, "identity", None),
        "version": source._crawled_metadata["_metadata_api_version"],
        "classic": source.is_classic_instance(),
        "network": DataSourceEc2.convert_ec2_metadata_network_config(network, macs_to_nics=macs, fallback_nic="eth0"),
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
