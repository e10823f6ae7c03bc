"""What the emulator does for each command. Texts of refusals are those of CloudStack's recorded answers."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from emulators.cloudstack.contract import LONGEST
from emulators.cloudstack.world import Account, Item, Refusal, World

Params = dict[str, str]
Act = Callable[[World, Account, Params], Item | list[Item]]
ACTS: dict[str, Act] = {}
GIB = 1024**3


def act(name: str) -> Callable[[Act], Act]:
    def register(one: Act) -> Act:
        ACTS[name.lower()] = one
        return one

    return register


@act("listZones")
def list_zones(world: World, _: Account, params: Params) -> list[Item]:
    wanted = {name: params[name] for name in ("id", "name") if name in params}
    return [one for one in world.zones if wanted.items() <= one.items()]


@act("listDiskOfferings")
def list_disk_offerings(world: World, _: Account, params: Params) -> list[Item]:
    wanted = {name: params[name] for name in ("id", "name") if name in params}
    return [one for one in world.disk_offerings if wanted.items() <= one.items()]


@act("queryAsyncJobResult")
def query_job(world: World, account: Account, params: Params) -> Item:
    job = world.jobs.get(params.get("jobid", ""))
    if job is None or job.account != account.id:
        raise Refusal(431, f"Unable to find a job by id {params.get('jobid')}")
    said: Item = {"jobid": job.id, "cmd": job.command, "jobprocstatus": 0, "jobinstanceid": job.instance}
    if job.result is None and (job.due is None or job.due > world.now()):
        return {**said, "jobstatus": 0, "jobresultcode": 0}
    if job.result is None:
        try:
            job.result = job.finish()
        except Refusal as refusal:
            job.result, job.failed = {"errorcode": 530, "errortext": refusal.text}, True
    status = 2 if job.failed else 1
    return {**said, "jobstatus": status, "jobresultcode": 530 if job.failed else 0, "jobresult": job.result}


@act("createSSHKeyPair")
def create_key_pair(world: World, account: Account, params: Params) -> Item:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return {**_new_key_pair(world, account, params["name"]), "privatekey": pem.decode()}


@act("registerSSHKeyPair")
def register_key_pair(world: World, account: Account, params: Params) -> Item:
    if not params["publickey"].startswith(("ssh-", "ecdsa-")):
        raise Refusal(431, "Public key is invalid", 4350)
    return _new_key_pair(world, account, params["name"])


def _new_key_pair(world: World, account: Account, name: str) -> Item:
    if (account.id, name) in world.key_pairs:
        raise Refusal(431, f"A key pair with name '{name}' already exists.", 4350)
    digest = uuid4().hex
    fingerprint = ":".join(digest[n : n + 2] for n in range(0, 32, 2))
    made = {"id": str(uuid4()), "name": name, "fingerprint": fingerprint, "account": account.name}
    world.key_pairs[account.id, name] = made
    return made


@act("listSSHKeyPairs")
def list_key_pairs(world: World, account: Account, params: Params) -> list[Item]:
    own = [one for (owner, _), one in world.key_pairs.items() if owner == account.id]
    return [one for one in own if params.get("name", one["name"]) == one["name"]]


@act("deleteSSHKeyPair")
def delete_key_pair(world: World, account: Account, params: Params) -> Item:
    if world.key_pairs.pop((account.id, params["name"]), None) is None:
        raise Refusal(431, f"A key pair with name '{params['name']}' was not found.", 4350)
    return {"success": True}


@act("createVolume")
def create_volume(world: World, account: Account, params: Params) -> Item:
    offering = next((one for one in world.disk_offerings if one["id"] == params.get("diskofferingid")), None)
    if offering is None:
        raise Refusal(431, "Please specify a valid disk offering ID.", 4350)
    if bool(params.get("size")) != offering["iscustomized"]:
        raise Refusal(431, f"Size and the disk offering {offering['name']} do not go together", 4350)
    zone = next((one for one in world.zones if one["id"] == params.get("zoneid")), None)
    if zone is None:
        raise Refusal(431, f"Unable to find zone by id {params.get('zoneid')}", 4350)
    made = {
        "id": str(uuid4()),
        "name": params.get("name", "")[:LONGEST],
        "zoneid": zone["id"],
        "zonename": zone["name"],
        "type": "DATADISK",
        "state": "Creating",
        "size": int(params.get("size") or offering["disksize"]) * GIB,
        "created": world.now().strftime("%Y-%m-%dT%H:%M:%S+0000"),
        "diskofferingid": offering["id"],
        "diskofferingname": offering["name"],
        "account": account.name,
        "tags": [],
    }
    world.volumes[made["id"]] = (account.id, made)

    def finish() -> Item:
        made["state"] = "Allocated"
        return {"volume": made}

    return world.begin("createVolume", account, finish, made["id"])


@act("listVolumes")
def list_volumes(world: World, account: Account, params: Params) -> list[Item]:
    wanted = {name: params[name] for name in ("id", "name", "state", "zoneid", "type") if name in params}
    ids = params["ids"].split(",") if "ids" in params else None
    own = [one for owner, one in world.volumes.values() if owner == account.id]
    return [one for one in own if wanted.items() <= one.items() and (ids is None or one["id"] in ids)]


@act("deleteVolume")
def delete_volume(world: World, account: Account, params: Params) -> Item:
    owner, volume = world.volumes.get(params["id"], ("", {}))
    if not volume:
        raise Refusal(431, f"Unable to aquire volume with ID: {params['id']}", 4350)
    if owner != account.id:
        raise Refusal(531, f"Acct[{account.id}-{account.name}] does not have permission to operate with resource", 4365)
    if volume["state"] == "Creating":
        raise Refusal(431, "Please specify a volume that is not in state Creating.", 4350)
    del world.volumes[params["id"]]
    return {"success": True}
