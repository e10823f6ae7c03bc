"""The life of a service: start, several processes, the end of some and of all."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from service import Service, isthmus, parse, serving, wait

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def leader(state: Path) -> int:
    try:
        return int((state / "run" / "leader").read_text() or 0)
    except OSError:
        return 0


def workers(service: Service) -> list[int]:
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_start_makes_a_key_for_its_user_only(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with serving(state, "--cloud", "memory", "--region", "eu-west-1") as service:
        said = "".join(service.said)
        profile = (state / "aws" / "credentials").read_text()
        secret = profile.split("aws_secret_access_key = ")[1].strip()
        config = (state / "aws" / "config").read_text()

        assert mode(state) == mode(state / "aws") == 0o700
        assert mode(state / "aws" / "credentials") == mode(state / "aws" / "config") == 0o600
        assert f"endpoint_url = http://127.0.0.1:{service.port}" in config
        assert "region = eu-west-1" in config
        assert str(state / "aws" / "credentials") in said
        assert secret not in said + "".join(service.log)
        assert secret.encode() not in b"".join(path.read_bytes() for path in state.glob("isthmus.db*"))


def test_the_second_start_keeps_the_key(tmp_path: Path) -> None:
    with serving(tmp_path, "--cloud", "memory") as service:
        account = service.client("sts").get_caller_identity()["Account"]
    first = (tmp_path / "aws" / "credentials").read_text()
    with serving(tmp_path, "--cloud", "memory") as service:
        assert service.client("sts").get_caller_identity()["Account"] == account
        assert (tmp_path / "aws" / "credentials").read_text() == first
        assert "first account" not in "".join(service.said)


def test_a_first_start_that_was_cut_off_is_mended(tmp_path: Path) -> None:
    with serving(tmp_path, "--cloud", "memory"):
        pass
    key = (tmp_path / "aws" / "credentials").read_text().split("aws_access_key_id = ")[1].split()[0]
    (tmp_path / "aws" / "credentials").rename(tmp_path / "aws" / "credentials.new")
    assert isthmus("credentials", "revoke", key, state=tmp_path).returncode == 0

    with serving(tmp_path, "--cloud", "memory") as service:
        assert service.client("sts").get_caller_identity()["Account"]
    assert isthmus("account", "list", state=tmp_path).stdout.count("default") == 1


def test_a_revoked_key_does_not_come_back(tmp_path: Path) -> None:
    with serving(tmp_path, "--cloud", "memory") as service:
        key = (tmp_path / "aws" / "credentials").read_text().split("aws_access_key_id = ")[1].split()[0]
        assert isthmus("credentials", "revoke", key, state=tmp_path).returncode == 0
        time.sleep(1.1)
        assert _refused(service)
    with serving(tmp_path, "--cloud", "memory") as service:
        assert _refused(service)


def _refused(service: Service) -> bool:
    try:
        service.client().describe_regions()
    except service.client().exceptions.ClientError as error:
        return bool(error.response["Error"]["Code"] == "AuthFailure")
    return False


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_requests_that_are_under_way(tmp_path: Path, how: int) -> None:
    with serving(tmp_path, "--cloud", "memory") as service:
        idle = socket.create_connection(("127.0.0.1", service.port))
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as busy:
            busy.sendall(REQUEST)
            time.sleep(0.3)
            service.process.send_signal(how)
            time.sleep(0.5)
            assert service.process.poll() is None
            busy.sendall(b"Action=Foo")
            answer = parse(busy.recv(65536))
        idle.close()

        assert answer.status in (400, 403)
        assert service.process.wait(10) == 0


def test_a_stop_does_not_wait_forever(tmp_path: Path) -> None:
    config = tmp_path / "isthmus.toml"
    config.write_text('[clouds.memory]\nkind = "memory"\n[http]\nstop_seconds = 1\n')
    with (
        serving(tmp_path / "state", "--config", str(config)) as service,
        socket.create_connection(("127.0.0.1", service.port), timeout=10) as busy,
    ):
        busy.sendall(REQUEST)
        time.sleep(0.3)
        began = time.monotonic()
        service.stop()

        assert time.monotonic() - began < 10


def test_workers_share_the_port_the_store_and_the_counts(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as service:
        wait(lambda: len(workers(service)) == 2, "two workers")
        name = service.client().create_key_pair(KeyName="shared")["KeyName"]
        for _ in range(20):
            assert service.client().describe_key_pairs(KeyNames=[name])["KeyPairs"]

        counted = [line for line in service.get("/metrics").body.splitlines() if "DescribeKeyPairs" in line]
        assert sum(float(line.split()[-1]) for line in counted if line.startswith("isthmus_requests_total")) == 20
        assert json.loads(service.get("/health").body)["workers"] == 2
        assert service.stop() == 0
    assert not list((tmp_path / "run").glob("metrics-*"))


def test_a_worker_that_dies_is_replaced_and_its_duties_are_taken_over(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as service:
        wait(lambda: len(workers(service)) == 2 and leader(tmp_path), "a leader among two workers")
        first = leader(tmp_path)
        before = workers(service)
        assert first in before

        os.kill(first, signal.SIGKILL)

        wait(lambda: leader(tmp_path) not in (0, first), "another leader")
        wait(lambda: len(workers(service)) == 2 and first not in workers(service), "another worker")
        assert service.client().describe_regions()["Regions"]
        everybody = workers(service)
        assert service.stop() == 0
        assert not any(alive(pid) for pid in everybody)


def test_workers_end_with_their_supervisor(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as service:
        wait(lambda: len(workers(service)) == 2, "two workers")
        everybody = workers(service)
        service.process.kill()

        wait(lambda: not any(alive(pid) for pid in everybody), "the workers to end")


def test_two_services_share_a_state_directory(tmp_path: Path) -> None:
    started: list[Service] = []

    def start() -> None:
        started.append(Service(tmp_path))

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        accounts = {one.client("sts").get_caller_identity()["Account"] for one in started}
        wait(lambda: leader(tmp_path), "a leader")

        assert len(accounts) == 1
        assert isthmus("account", "list", state=tmp_path).stdout.count("default") == 1
        assert len(_leading(started)) == 1
    finally:
        codes = [one.stop() for one in started]
    assert codes == [0, 0]


def _leading(services: list[Service]) -> list[Any]:
    return [line for one in services for line in one.lines() if "background duties" in line.get("message", "")]


def test_it_listens_soon_and_is_small(tmp_path: Path) -> None:
    with serving(tmp_path, "--cloud", "memory"):
        pass  # a first start makes the store, and the interpreter's caches
    began = time.monotonic()
    with serving(tmp_path, "--cloud", "memory") as service:
        seconds = time.monotonic() - began
        status = Path(f"/proc/{service.process.pid}/status").read_text()
        resident = int(status.split("VmRSS:")[1].split()[0]) / 1024

    assert seconds < 5, "the aim is 1.0 s on an idle machine; here others may be busy"
    assert resident < 120
