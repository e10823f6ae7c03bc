"""The commands, as their users type them."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from service import environment, isthmus, serving

from isthmus import __version__

COMMANDS = (
    (),
    ("serve",),
    ("account",),
    ("account", "create"),
    ("account", "list"),
    ("account", "tenant"),
    ("account", "unmap"),
    ("credentials",),
    ("credentials", "create"),
    ("credentials", "list"),
    ("credentials", "revoke"),
    ("credentials", "import"),
    ("image",),
    ("image", "import"),
    ("image", "list"),
    ("image", "build"),
    ("cloud",),
    ("cloud", "check"),
    ("cloud", "clean"),
    ("cloud", "machines"),
    ("cloud", "add"),
    ("cloud", "add", "cloudstack"),
    ("cloud", "map"),
    ("cloud", "map", "cloudstack"),
    ("import",),
    ("import", "ec2-api"),
    ("import", "ec2stack"),
    ("import", "nova"),
    ("coverage",),
)


def refused(*words: str, state: Path | None = None, text: str = "", **more: str) -> str:
    """The one sentence in which a command is refused."""
    done = isthmus(*words, state=state, text=text, **more)
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert done.stderr.startswith("isthmus: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory with one account."""
    assert isthmus("account", "create", "default", state=tmp_path / "state").returncode == 0
    return tmp_path / "state"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server's URL, and the directory that it serves."""
    directory = tmp_path / "web"
    directory.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(directory))  # type: ignore[arg-type]

        def log_message(self, *args: object) -> None:  # noqa: ARG002
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", directory
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_has_help(words: tuple[str, ...]) -> None:
    done = isthmus(*words, "--help")

    assert done.returncode == 0
    assert "Usage: " in done.stdout
    assert "Traceback" not in done.stderr


def test_the_version_is_told() -> None:
    assert isthmus("--version").stdout == f"isthmus {__version__}\n"


def test_a_command_that_is_none_is_refused() -> None:
    done = isthmus("srve")

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_accounts_are_made_and_listed(state: Path) -> None:
    number = isthmus("account", "create", "blue", state=state).stdout.strip()

    assert len(number) == 12
    assert number.isdigit()
    lines = isthmus("account", "list", state=state).stdout.splitlines()
    assert [line.split()[1] for line in lines] == ["NAME", "default", "blue"]
    assert "There is an account named blue already" in refused("account", "create", "blue", state=state)
    assert "1 to 128 printable" in refused("account", "create", "a\nb", state=state)


def test_a_credential_is_made_listed_and_revoked(state: Path) -> None:
    made = json.loads(isthmus("credentials", "create", "--format", "json", state=state).stdout)["AccessKey"]

    listed = isthmus("credentials", "list", state=state).stdout
    assert made["AccessKeyId"] in listed
    assert made["SecretAccessKey"] not in listed
    assert isthmus("credentials", "revoke", made["AccessKeyId"], state=state).returncode == 0
    assert made["AccessKeyId"] not in isthmus("credentials", "list", state=state).stdout
    assert "no access key" in refused("credentials", "revoke", made["AccessKeyId"], state=state)


def test_it_is_said_which_tenant_an_account_is(state: Path) -> None:
    memory = {"ISTHMUS_CLOUD": "memory"}
    isthmus("account", "create", "blue", state=state)

    done = isthmus("account", "tenant", "default", "memory", "project-1", state=state, **memory)

    assert (done.returncode, "is project-1 on memory now" in done.stdout) == (0, True)
    with sqlite3.connect(state / "isthmus.db") as database:
        assert [("memory", "project-1")] == database.execute("select cloud, tenant from tenants").fetchall()
    database.close()
    taken = refused("account", "tenant", "blue", "memory", "project-1", state=state, **memory)
    assert "is the account" in taken
    assert "Did you mean 'memory'?" in refused("account", "tenant", "blue", "memry", "p", state=state, **memory)
    assert "Did you mean 'blue'?" in refused("account", "tenant", "blu", "memory", "p", state=state, **memory)
    assert "1 to 255 printable" in refused("account", "tenant", "blue", "memory", "", state=state, **memory)


def test_an_account_becomes_another_tenant_on_purpose_alone(state: Path) -> None:
    memory, words = {"ISTHMUS_CLOUD": "memory"}, ("account", "tenant", "default", "memory")
    assert 0 == isthmus(*words, "project-1", state=state, **memory).returncode

    said = refused(*words, "project-2", state=state, **memory)

    assert "is project-1 on memory already" in said
    assert "Say --replace to let it be project-2" in said
    assert 0 == isthmus(*words, "project-1", state=state, **memory).returncode
    done = isthmus(*words, "project-2", "--replace", state=state, **memory)
    assert (done.returncode, "is project-2 on memory now" in done.stdout) == (0, True)


def test_an_account_is_nobody_on_a_cloud_any_more(state: Path) -> None:
    memory = {"ISTHMUS_CLOUD": "memory"}
    isthmus("account", "tenant", "default", "memory", "project-1", state=state, **memory)

    done = isthmus("account", "unmap", "default", "memory", state=state, **memory)

    assert (done.returncode, "project-1 is nobody here" in done.stdout) == (0, True)
    with closing(sqlite3.connect(state / "isthmus.db")) as database:
        assert [] == database.execute("select cloud, tenant from tenants").fetchall()
    assert "is no tenant of memory" in refused("account", "unmap", "default", "memory", state=state, **memory)
    assert "Did you mean 'memory'?" in refused("account", "unmap", "default", "memry", state=state, **memory)
    assert "Did you mean 'default'?" in refused("account", "unmap", "defalt", "memory", state=state, **memory)
    assert 0 == isthmus("account", "tenant", "default", "memory", "project-1", state=state, **memory).returncode


def test_a_cloud_without_logins_takes_no_secrets(state: Path) -> None:
    words = ("account", "tenant", "default", "memory", "p", "--secrets", "-")

    said = refused(*words, state=state, text="password=hunter2\n", ISTHMUS_CLOUD="memory")

    assert "leave --secrets out" in said
    assert "hunter2" not in said
    assert "cannot be read" in refused(*words[:-1], "/nowhere", state=state, ISTHMUS_CLOUD="memory")


def test_an_unknown_account_is_refused_with_the_nearest(state: Path) -> None:
    assert "Did you mean 'default'?" in refused("credentials", "create", "--account", "defalt", state=state)


def test_without_any_account_it_is_said_how_to_begin(tmp_path: Path) -> None:
    assert "isthmus serve" in refused("credentials", "create", state=tmp_path / "state")


def test_a_credential_points_at_where_the_service_listens(tmp_path: Path) -> None:
    with serving(tmp_path / "state", "--cloud", "memory") as service:
        made = isthmus("credentials", "create", "--format", "ec2rc", state=tmp_path / "state").stdout

    assert f"EC2_URL=http://127.0.0.1:{service.port}/" in made
    assert {"EC2_ACCESS_KEY", "EC2_SECRET_KEY", "AWS_ACCESS_KEY", "AWS_SECRET_KEY"} <= {
        line.removeprefix("export ").partition("=")[0] for line in made.splitlines()
    }


def test_a_credential_is_brought_along_and_works(tmp_path: Path) -> None:
    with serving(tmp_path, "--cloud", "memory") as service:
        text = "export EC2_ACCESS_KEY=0123456789abcdef0123456789abcdef\nexport EC2_SECRET_KEY=fedcba9876543210\n"
        done = isthmus("credentials", "import", state=tmp_path, text=text)
        assert done.returncode == 0
        assert "fedcba9876543210" not in done.stdout + done.stderr

        client = service.client("sts")
        signer = client._request_signer._credentials
        signer.access_key, signer.secret_key = "0123456789abcdef0123456789abcdef", "fedcba9876543210"
        assert client.get_caller_identity()["Account"] in done.stdout

        again = refused("credentials", "import", "-", state=tmp_path, text=text)
        assert "already" in again


def test_a_credential_is_brought_along_from_a_file(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("[default]\n[work]\naws_access_key_id = WORK1\naws_secret_access_key = secret\n")

    assert isthmus("credentials", "import", str(file), "--profile", "work", state=state).returncode == 0
    assert "WORK1" in isthmus("credentials", "list", state=state).stdout
    assert "no access key" in refused("credentials", "import", str(file), state=state)
    assert "cannot be read" in refused("credentials", "import", str(tmp_path / "absent"), state=state)
    assert "choose one of" in refused("credentials", "import", "-f", "xml", state=state)
    assert "too large" in refused("credentials", "import", state=state, text="x" * (1 << 21))


def test_an_image_is_imported_and_listed(state: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(b"\0" * (1 << 20))

    made = isthmus("image", "import", str(disk), "--name", "blank", state=state)

    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("ami-")
    listed = isthmus("image", "list", state=state).stdout
    assert any(made.stdout.strip() in line and "blank" in line and "available" in line for line in listed.splitlines())


def test_an_image_is_downloaded_and_checked(state: Path, web: tuple[str, Path]) -> None:
    url, directory = web
    content = os.urandom(512) * 2048
    (directory / "disk.raw").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()

    assert "not the one given" in refused("image", "import", f"{url}/disk.raw", "--sha256", "0" * 64, state=state)
    assert "answered 404" in refused("image", "import", f"{url}/absent", state=state)
    made = isthmus("image", "import", f"{url}/disk.raw", "--sha256", digest.upper(), state=state)
    assert made.stdout.startswith("ami-"), made.stderr
    assert not list((state / "run").glob("download-*"))


def test_a_download_that_is_too_large_is_refused(state: Path, web: tuple[str, Path]) -> None:
    url, directory = web
    with (directory / "disk.raw").open("wb") as file:
        file.truncate((1 << 30) + 512)

    assert "larger than 1 GiB" in refused("image", "import", f"{url}/disk.raw", "--max-size", "1", state=state)
    assert not list((state / "run").glob("download-*"))


def test_what_is_no_image_is_refused(state: Path, tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.write_bytes(b"<!DOCTYPE html>".ljust(512))

    assert "a web page" in refused("image", "import", str(page), state=state)
    assert "There is no file" in refused("image", "import", str(tmp_path / "absent"), state=state)
    assert "choose one of" in refused("image", "import", str(page), "--format", "iso", state=state)
    assert "download failed" in refused("image", "import", "http://127.0.0.1:1/x", state=state)
    assert "memory of the service" in _of_memory(state, tmp_path)


def _of_memory(state: Path, tmp_path: Path) -> str:
    disk = tmp_path / "disk"
    disk.write_bytes(b"\0" * 512)
    return refused("image", "import", str(disk), state=state, ISTHMUS_CLOUD="memory")


def test_clouds_tell_what_they_can(state: Path) -> None:
    done = isthmus("cloud", "check", state=state, ISTHMUS_CLOUD="memory")

    assert done.returncode == 0
    assert done.stdout.startswith("memory (memory), zones: us-east-1a\n")
    assert "launch servers" in done.stdout


def test_a_clouds_broken_storage_is_told_and_mended(state: Path) -> None:
    assert isthmus("cloud", "check", "local", state=state).returncode == 0
    blob = next(state.rglob("blobs/*-vmlinuz"), None)
    if blob is None:
        pytest.skip("the tiny image is not built: make image")
    blob.chmod(0o644)

    told = isthmus("cloud", "check", "local", state=state)
    mended = isthmus("cloud", "check", "local", "--repair", state=state)

    assert told.returncode == 1
    assert f"BROKEN    {blob.name}: others on this host may open its file" in told.stdout
    assert mended.returncode == 0
    assert f"MENDED    {blob.name}" in mended.stdout
    assert "There is no cloud loacl. Did you mean 'local'?" in refused("cloud", "check", "loacl", state=state)


def test_coverage_tells_of_every_action(state: Path) -> None:
    found = json.loads(isthmus("coverage", "--json", state=state, ISTHMUS_CLOUD="memory").stdout)

    by_name = {one["action"]: one for one in found["actions"]}
    assert len(by_name) > 700
    assert by_name["RunInstances"]["served"]
    assert by_name["RunInstances"]["clouds"]["memory"] == {"served": True, "reason": ""}
    assert not by_name["BundleInstance"]["served"]
    assert all(one["served"] or one["reason"] for one in found["actions"])
    assert found["counts"]["served"] == sum(one["served"] for one in found["actions"])
    table = isthmus("coverage", state=state, ISTHMUS_CLOUD="memory").stdout
    assert f"{found['counts']['served']} of {len(by_name)} actions are served." in table


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused("serve", "--cloud", "memory", "--listen", f"127.0.0.1:{port}", state=tmp_path)

    assert f"Cannot listen on 127.0.0.1:{port}" in said


def test_an_address_that_is_not_ours_is_said(tmp_path: Path) -> None:
    assert "Cannot listen on 192.0.2.1:80" in refused("serve", "--listen", "192.0.2.1:80", state=tmp_path)
    assert "listen must be HOST:PORT" in refused("serve", "--listen", "8788", state=tmp_path)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_corrupt_store_is_said_and_left(tmp_path: Path, workers: str) -> None:
    (tmp_path / "isthmus.db").write_bytes(b"this is no database" * 100)

    said = refused("serve", "--listen", "127.0.0.1:0", "--workers", workers, state=tmp_path)

    assert "isthmus.db" in said
    assert (tmp_path / "isthmus.db").read_bytes() == b"this is no database" * 100


def test_a_newer_store_is_said_and_left(state: Path) -> None:
    with sqlite3.connect(state / "isthmus.db") as database:
        database.execute("update alembic_version set version_num = 'from_the_future'")
    database.close()

    assert "newer" in refused("serve", "--listen", "127.0.0.1:0", "--cloud", "memory", state=state)


def test_a_lost_master_key_is_said(state: Path) -> None:
    isthmus("credentials", "create", state=state)
    (state / "master.key").unlink()

    assert "master key" in refused("serve", "--listen", "127.0.0.1:0", "--cloud", "memory", state=state)


def test_a_state_directory_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert "cannot be used" in refused("serve", "--cloud", "memory", state=tmp_path / "file")
    assert "cannot be used" in refused("account", "list", state=tmp_path / "file" / "below")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_state_directory_that_is_read_only_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    assert "cannot be used" in refused("serve", "--cloud", "memory", state=tmp_path)


def test_wrong_settings_are_said(tmp_path: Path) -> None:
    file = tmp_path / "isthmus.toml"
    file.write_text("listn = 3\n")

    assert "Did you mean 'listen'?" in refused("serve", "--config", str(file), state=tmp_path / "state")
    assert "memory of one process" in refused("serve", "--cloud", "memory", "--workers", "2", state=tmp_path / "state")
    assert "must be one of cloudstack, local, memory" in refused("serve", "--cloud", "lokal", state=tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_help_costs_no_cloud() -> None:
    heavy = ("sqlalchemy", "botocore", "uvicorn", "rich.console")
    script = f"import sys, isthmus.cli; print([one for one in {heavy} if one in sys.modules])"

    done = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_a_cloud_is_cleaned(state: Path) -> None:
    kept = state / "local"
    assert "nothing to remove" in isthmus("cloud", "clean", "local", state=state).stdout
    (kept / "disks" / "disk-1.qcow2").write_bytes(b"left over")
    assert "removed disks/disk-1.qcow2" in isthmus("cloud", "clean", "local", state=state).stdout

    assert isthmus("cloud", "clean", "local", "--all", state=state, text="n\n").returncode == 1
    assert kept.exists()
    assert f"removed {kept}" in isthmus("cloud", "clean", "local", "--all", state=state, text="y\n").stdout
    assert not kept.exists()
    assert "no cloud lokal" in refused("cloud", "clean", "lokal", state=state)


def test_how_instances_run_is_told(state: Path) -> None:
    assert isthmus("cloud", "machines", "local", state=state).stdout == "Nothing of local runs on this host.\n"
    assert "no cloud lokal" in refused("cloud", "machines", "lokal", state=state)


def test_a_cloud_that_is_served_is_not_removed(state: Path) -> None:
    with serving(state):
        assert "running" in refused("cloud", "clean", "local", "--all", "--yes", state=state)
        assert isthmus("cloud", "clean", "local", state=state).returncode == 0
    assert (state / "local").exists()


def test_an_image_has_one_of_two_kernels(state: Path) -> None:
    told = refused("image", "build", "--kernel", "tiny", state=state)

    assert told == "isthmus: There is no kernel 'tiny': choose debian or small.\n"
