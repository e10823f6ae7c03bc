"""Another account's things are not there, on any action; and an id that is none is called so."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from least import ABSENT, everything, least
from places import EACH, PLACES, TAGGABLE, own, unknown
from raw import Sender

from isthmus.aws.ec2 import ec2 as service
from isthmus.aws.ec2.ids import FORMS


def _furnish(house: Any, ec2: Any, image: str) -> dict[str, str]:
    """One of everything, by the prefix of its id."""
    instance = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1)["Instances"][0]
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    house.settle(6)
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    group = ec2.create_security_group(GroupName=f"group {volume}", Description="d")["GroupId"]
    rule = ec2.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=1, ToPort=2, CidrIp="10.0.0.0/8"
    )["SecurityGroupRules"][0]
    key = ec2.create_key_pair(KeyName=f"key {volume}")
    address = ec2.allocate_address()
    template = ec2.create_launch_template(
        LaunchTemplateName=f"template-{volume}", LaunchTemplateData={"InstanceType": "t3.micro", "ImageId": image}
    )["LaunchTemplate"]["LaunchTemplateId"]
    spec = {"LaunchTemplateId": template, "Version": "1"}
    fleet = ec2.create_fleet(
        Type="request",
        LaunchTemplateConfigs=[{"LaunchTemplateSpecification": spec}],
        TargetCapacitySpecification={"TotalTargetCapacity": 1},
    )["FleetId"]
    group_of_places = ec2.create_placement_group(GroupName=f"group {volume}")["PlacementGroup"]["GroupId"]
    bid = ec2.request_spot_instances(LaunchSpecification={"ImageId": image, "InstanceType": "t3.micro"})
    reserved = ec2.create_capacity_reservation(
        InstanceType="t3.micro", InstancePlatform="Linux/UNIX", AvailabilityZone="us-east-1a", InstanceCount=1
    )["CapacityReservation"]["CapacityReservationId"]
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.1.0/24")["Subnet"]["SubnetId"]
    port = ec2.create_network_interface(SubnetId=instance["SubnetId"])["NetworkInterface"]["NetworkInterfaceId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    uses = ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    acl = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]
    first = ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])["NetworkAcls"]
    filtered = ec2.replace_network_acl_association(
        AssociationId=first[0]["Associations"][0]["NetworkAclAssociationId"], NetworkAclId=acl["NetworkAclId"]
    )["NewAssociationId"]
    options = ec2.create_dhcp_options(DhcpConfigurations=[{"Key": "domain-name", "Values": ["example.org"]}])[
        "DhcpOptions"
    ]["DhcpOptionsId"]
    nat = ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")["NatGateway"]
    out = ec2.create_egress_only_internet_gateway(VpcId=vpc)["EgressOnlyInternetGateway"]
    peering = ec2.create_vpc_peering_connection(VpcId=vpc, PeerVpcId=instance["VpcId"])["VpcPeeringConnection"]
    endpoint = ec2.create_vpc_endpoint(VpcId=vpc, ServiceName="com.amazonaws.us-east-1.s3")["VpcEndpoint"]
    vgw = ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    cgw = ec2.create_customer_gateway(Type="ipsec.1", PublicIp="198.51.100.7")["CustomerGateway"]["CustomerGatewayId"]
    tunnelled = ec2.create_vpn_connection(Type="ipsec.1", CustomerGatewayId=cgw, VpnGatewayId=vgw)["VpnConnection"]
    further = ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock="10.8.0.0/16")["CidrBlockAssociation"]
    association = ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=instance["InstanceId"])
    attached = ec2.attach_network_interface(NetworkInterfaceId=port, InstanceId=instance["InstanceId"], DeviceIndex=1)
    made = ec2.create_image(InstanceId=instance["InstanceId"], Name=f"image {volume}")["ImageId"]
    house.settle(6)
    return {
        "i": instance["InstanceId"],
        "vol": volume,
        "snap": snapshot,
        "ami": made,
        "sg": group,
        "sgr": rule["SecurityGroupRuleId"],
        "key": key["KeyPairId"],
        "eipalloc": address["AllocationId"],
        "eipassoc": association["AssociationId"],
        "lt": template,
        "pg": group_of_places,
        "fleet": fleet,
        "cr": reserved,
        "sir": bid["SpotInstanceRequests"][0]["SpotInstanceRequestId"],
        "eni": port,
        "eni-attach": attached["AttachmentId"],
        "vpc": vpc,
        "subnet": subnet,
        "rtb": table,
        "rtbassoc": uses,
        "igw": gateway,
        "acl": acl["NetworkAclId"],
        "aclassoc": filtered,
        "dopt": options,
        "nat": nat["NatGatewayId"],
        "vgw": vgw,
        "cgw": cgw,
        "vpn": tunnelled["VpnConnectionId"],
        "eigw": out["EgressOnlyInternetGatewayId"],
        "pcx": peering["VpcPeeringConnectionId"],
        "vpce": endpoint["VpcEndpointId"],
        "vpc-cidr-assoc": further["AssociationId"],
        "groupname": f"group {volume}",
        "keyname": f"key {volume}",
        "number": address["PublicIp"],
    }


@pytest.fixture
def both(house: Any, ec2: Any, stranger: Any, image: str) -> tuple[dict[str, str], dict[str, str]]:
    """What the first account has, and what the second."""
    return _furnish(house, ec2, image), _furnish(house, stranger, image)


def test_every_thing_that_takes_tags_is_told_by_its_type(house, ec2, image):
    mine = _furnish(house, ec2, image)
    words = service.codec.shape("ResourceType").enum
    ec2.create_tags(Resources=[mine[prefix] for prefix in TAGGABLE], Tags=[{"Key": "mark", "Value": "x"}])

    marked = ec2.describe_tags(Filters=[{"Name": "key", "Values": ["mark"]}])["Tags"]
    told = {one["ResourceId"]: one["ResourceType"] for one in marked}

    assert set(told) == {mine[prefix] for prefix in TAGGABLE}
    assert set(told.values()) <= words
    for known, word in told.items():
        wanted = {"resource-type": word, "key": "mark"}
        found = ec2.describe_tags(Filters=[{"Name": name, "Values": [said]} for name, said in wanted.items()])["Tags"]
        assert [one["ResourceId"] for one in found] == [known]


def test_another_accounts_thing_is_as_unknown_as_one_that_never_was(house, both):
    theirs, mine = both
    before = everything(house)
    send = Sender(house.front, house.new_account("third"))

    for place in PLACES:
        if place.prefix not in theirs:
            continue
        params = own(mine, place.action)
        real = send(place.action, {**params, place.parameter: theirs[place.prefix]})
        never = send(place.action, {**params, place.parameter: unknown(place.prefix)})

        assert (place, real.status, real.code) == (place, never.status, never.code)
        assert real.message.replace(theirs[place.prefix], "") == never.message.replace(unknown(place.prefix), "")
        assert real.status == 400 or place.action in EACH or not real.root.findall(".//item"), place

    assert everything(house) == before


def test_a_thing_of_ones_own_does_not_make_another_accounts_known(house, both):
    """The other ids of the request are the asker's own: only the one that is another's is at fault."""
    theirs, mine = both
    before = everything(house)
    account = next(one.id for one in house.store.accounts() if one.name == "second")
    credential = house.store.create_credential(account)
    send = Sender(house.front, (account, credential.access_key, credential.secret))

    for place in PLACES:
        params = own(mine, place.action)
        if place.prefix not in theirs or place.parameter not in params:
            continue
        answer = send(place.action, {**params, place.parameter: theirs[place.prefix]})
        never = send(place.action, {**params, place.parameter: unknown(place.prefix)})
        if place.action in EACH:
            assert theirs[place.prefix] in answer.text, place
            word = EACH[place.action]
            assert answer.text.count(word) == never.text.count(word) == 1, place
            continue
        assert (place, answer.status, answer.code) == (place, 400, never.code)
        assert answer.code.endswith(("NotFound", "InvalidID", "InvalidPlacementGroup.Unknown")), place

    assert everything(house) == before


def test_nothing_of_another_account_is_ever_listed(house, both):
    theirs, _ = both
    send = Sender(house.front, house.new_account("third"))

    for action, known in service.actions.items():
        if known.listing:
            text = send(action).text
            assert not [one for one in theirs.values() if one in text], action
            assert house.account[0] not in text, action


def test_a_filter_does_not_find_what_is_another_accounts(house, both):
    theirs, _ = both
    send = Sender(house.front, house.new_account("third"))
    wanted = {
        "DescribeInstances": ("instance-id", "i"),
        "DescribeVolumes": ("volume-id", "vol"),
        "DescribeSnapshots": ("snapshot-id", "snap"),
        "DescribeImages": ("image-id", "ami"),
        "DescribeSecurityGroups": ("group-id", "sg"),
        "DescribeAddresses": ("allocation-id", "eipalloc"),
        "DescribeTags": ("resource-id", "i"),
        "DescribeNetworkInterfaces": ("network-interface-id", "eni"),
    }
    for action, (name, prefix) in wanted.items():
        answer = send(action, {"Filter.1.Name": name, "Filter.1.Value.1": theirs[prefix]})
        assert (answer.status, list(answer.root.iter("item"))) == (200, []), action


@pytest.mark.parametrize("digits", ["", "0123456789abcdef01", "0123456g", "ABCDEF01"])
def test_an_id_that_is_none_is_called_malformed(house, digits):
    send = Sender(house.front, house.account)

    for place in PLACES:
        if not place.code:
            continue
        answer = send(place.action, {**least(place.action), place.parameter: f"{place.prefix}-{digits}"})
        assert (place, answer.status, answer.code) == (place, 400, place.code)


@pytest.mark.parametrize("digits", ["0", "0123456", "0123456789abcdef"])
def test_an_id_with_fewer_digits_is_one_that_never_was(house, digits):
    send = Sender(house.front, house.account)

    for place in PLACES:
        if place.code:
            short = send(place.action, {**least(place.action), place.parameter: f"{place.prefix}-{digits}"})
            never = send(place.action, {**least(place.action), place.parameter: f"{place.prefix}-{ABSENT}"})
            assert (place, short.status, short.code) == (place, never.status, never.code)


@pytest.mark.parametrize(
    "text", ["x", "i", "*", "i-*", "'; DROP TABLE records; --", "i-01234567\n", "ï-01234567", "x" * 9999]
)
def test_what_does_not_look_like_an_id_is_called_malformed(house, text):
    send = Sender(house.front, house.account)

    for place in PLACES:
        if place.code:
            answer = send(place.action, {**least(place.action), place.parameter: text})
            assert (place, answer.status, answer.code) == (place, 400, place.code)


def test_an_id_of_another_kind_is_called_malformed(house):
    send = Sender(house.front, house.account)

    for place in PLACES:
        if place.code not in ("", "InvalidID", FORMS["InternetGatewayId"][1]):
            other = "vol" if place.prefix != "vol" else "snap"
            answer = send(place.action, {**least(place.action), place.parameter: f"{other}-{ABSENT}"})
            assert (place, answer.status, answer.code) == (place, 400, place.code)


def test_an_error_says_the_id_that_clients_know(ec2):
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]

    with pytest.raises(ClientError) as refused:
        ec2.create_snapshot(VolumeId=volume)

    message = refused.value.response["Error"]["Message"]
    assert volume in message
    assert "volume-" not in message
