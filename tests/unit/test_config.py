from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus import config, opening
from isthmus.config import ConfigError
from isthmus.context import Limits
from isthmus.model import VolumeState
from isthmus.options import Address, Merged
from isthmus.providers import VolumeSpec
from isthmus.quotas import QUOTAS

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "isthmus.example.toml"
STACK = "[clouds.x]\nkind = 'cloudstack'\nzones = ['a']\nurl = 'https://c/client/api'\n"


def loaded(tmp_path: Path, text: str, environ: dict[str, str] | None = None, **flags: object) -> config.Settings:
    file = tmp_path / "isthmus.toml"
    file.write_text(text)
    return config.load(file, flags, {"XDG_DATA_HOME": "/data", **(environ or {})})


def refusal(tmp_path: Path, text: str, environ: dict[str, str] | None = None, **flags: object) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text, environ, **flags)
    said = str(caught.value)
    assert "\n" not in said
    return said


def uncommented() -> str:
    """The example with the options in use whose default cannot be written down."""
    return re.sub(r"^#(?=[a-z_\[])", "", EXAMPLE.read_text(), flags=re.MULTILINE)


def test_without_anything_there_is_a_local_cloud() -> None:
    settings = config.load(environ={"XDG_DATA_HOME": "/data"})

    assert settings.state == Path("/data/isthmus")
    assert settings.listen == Address("127.0.0.1", 8788)
    assert settings.store_url == "sqlite:////data/isthmus/isthmus.db"
    assert {name: cloud.kind for name, cloud in settings.clouds.items()} == {"local": "local"}
    assert list(config.places(settings)) == ["us-east-1a"]
    assert (settings.flavors["t2.nano"].cpus, settings.flavors["t2.nano"].memory) == (1, 512)


def test_the_example_says_the_defaults() -> None:
    environ = {"XDG_DATA_HOME": "/data"}
    given, default = config.load(EXAMPLE, environ=environ), config.load(environ=environ)

    own = {"accelerator": "auto", "memory": 0, "cpus": 0, "network": "auto"}
    assert given.clouds.pop("local").options == own  # type: ignore[attr-defined]
    assert default.clouds.pop("local").options == {}  # type: ignore[attr-defined]
    assert given == default


def test_the_example_names_every_option() -> None:
    example = tomllib.loads(uncommented())
    named = {
        path
        for section, inner in example.items()
        for path in ([f"{section}.{key}" for key in inner] if isinstance(inner, dict) else [section])
    }

    assert set(config.VARIABLES.values()) <= named
    for section, kind in (("limits", Limits), ("http", config.Http), ("log", config.Log)):
        assert set(example[section]) - set(QUOTAS) == set(kind.__dataclass_fields__) - {"quotas"}
    assert set(QUOTAS) <= set(example["limits"])
    assert set(example["background"]) == set(config.Background.__dataclass_fields__)
    for cloud in example["clouds"].values():
        assert set(cloud) == {"kind", "zones", *config.KINDS[cloud["kind"]]}
    assert {cloud["kind"] for cloud in example["clouds"].values()} == set(config.KINDS)
    assert config.build(Merged(example, "the example")).flavors["tiny.small"].memory == 128


def test_the_documents_name_every_variable() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()

    for variable, option in config.VARIABLES.items():
        assert f"| `{variable}` | `{option}` |" in text


def test_the_command_line_wins_over_the_environment_over_the_file(tmp_path: Path) -> None:
    text = 'region = "a"\nlisten = "127.0.0.1:1"\nworkers = 3\n'
    environ = {"ISTHMUS_LISTEN": "127.0.0.1:2", "ISTHMUS_WORKERS": "4"}

    settings = loaded(tmp_path, text, environ, workers=5)

    assert (settings.region, settings.listen.port, settings.workers) == ("a", 2, 5)


def test_the_environment_can_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('region = "from-file"')

    assert config.load(environ={"ISTHMUS_CONFIG": str(tmp_path / "x.toml")}).region == "from-file"


def test_every_variable_sets_its_option() -> None:
    values = {
        "region": "r",
        "listen": "h:1",
        "operator": "123456789012",
        "log.level": "error",
        "log.requests": "false",
        "background.metadata": "no",
        "limits.max_body": "2048",
    }
    for variable, option in config.VARIABLES.items():
        merged = config.merge(environ={variable: values.get(option, "7")})
        section, _, key = option.rpartition(".")
        table = merged.values[section] if section else merged.values
        assert isinstance(table, dict)
        assert table[key] == values.get(option, "7")
        config.build(merged)


def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    said = refusal(tmp_path, "[limits]\nmax_boddy = 3\n")

    assert "isthmus.toml" in said
    assert "[limits]" in said
    assert "'max_boddy'" in said
    assert "'max_body'" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("regoin = 'x'", "'region'"),
        ("workers = 0", "workers must be a whole number from 1 to 256, not 0"),
        ("workers = true", "workers must be a whole number"),
        ("workers = 1.0", "workers must be a whole number"),
        ("listen = 8788", "listen must be HOST:PORT"),
        ("listen = '127.0.0.1'", "listen must be HOST:PORT"),
        ("listen = '127.0.0.1:70000'", "listen must be HOST:PORT"),
        ("operator = 123456789012", "operator must be 12 digits in quotes"),
        ("region = ''", "region must be a name"),
        ("store = 3", "store must be a table"),
        ("[log]\nlevel = 'loud'", "log.level must be one of debug, info, warning, error"),
        ("[log]\nrequests = 1", "log.requests must be true or false"),
        ("[clouds.x]\nzones = ['a']", "clouds.x.kind is missing"),
        ("[clouds.x]\nkind = 'opnstack'", "clouds.x.kind must be one of cloudstack, local, memory"),
        ("[clouds.x]\nkind = 'cloudstack'\nurl = 'https://c/client/api'", "clouds.x.zones is missing"),
        ("[clouds.x]\nkind = 'cloudstack'\nzones = ['a']", "clouds.x.url is missing"),
        (STACK + STACK.replace("x]", "y]").replace("'a'", "'b'"), "'x' and 'y' are of one CloudStack"),
        (STACK + "api_key = 'k'", "clouds.x.secret_key_file is missing"),
        (STACK + "secret_key = 's'", "clouds.x.api_key is missing"),
        ("[clouds.X]\nkind = 'memory'", "a name in small letters"),
        ("[clouds.run]\nkind = 'local'", "cannot be named run"),
        ("[clouds.x]\nkind = 'memory'\naccelerator = 'tcg'", "unknown key 'accelerator'"),
        ("[clouds.x]\nkind = 'local'\nnetwork = 'bridges'", "must be one of auto, namespaces, slirp"),
        ("[clouds.x]\nkind = 'local'\npublic = '203.0.113.1/24'", "must be a range like"),
        ("[clouds.x]\nkind = 'memory'\nsettle_ms = -1", "clouds.x.settle_ms must be a whole number from 0 to 60000"),
        ("[clouds.x]\nkind = 'local'\nzones = ['a', 'a']", "a list of different names"),
        ("[clouds.x]\nkind = 'local'\nzones = []", "a list of different names"),
        ("[clouds.x]\nkind='memory'\nzones=['a']\n[clouds.y]\nkind='local'\nzones=['a']", "zone a belongs to two"),
        ("[clouds.x]\nkind = 'memory'\n", ""),
        ("[flavors.'t9.x']\ncpus = 1", "flavors.t9.x.memory is missing"),
        ("builtin_flavors = false", "at least one size"),
        ("not toml", "is not TOML"),
        ("region = 'a'\nregion = 'b'", "is not TOML"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    if words:
        assert words in refusal(tmp_path, text)
    else:
        assert loaded(tmp_path, text)


def test_a_refusal_names_where_the_value_came_from(tmp_path: Path) -> None:
    assert refusal(tmp_path, "workers = 2", {"ISTHMUS_WORKERS": "many"}).startswith("ISTHMUS_WORKERS: ")
    assert refusal(tmp_path, "workers = 2", {}, workers=0).startswith("--workers: ")
    assert refusal(tmp_path, "workers = 0").startswith(str(tmp_path / "isthmus.toml"))


def test_a_mistyped_variable_is_refused_and_a_foreign_one_is_not(tmp_path: Path) -> None:
    assert "ISTHMUS_LISTEN" in refusal(tmp_path, "", {"ISTHMUS_LISTN": "x"})
    assert loaded(tmp_path, "", {"ISTHMUS_BENCHMARK_ROUNDS": "3", "ISTHMUS_WORKERS": ""}).workers == 1


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"region = '\xff'")
    for path in (tmp_path / "absent", tmp_path, tmp_path / "latin"):
        with pytest.raises(ConfigError, match=str(path)):
            config.load(path, environ={})


def test_a_cloud_in_memory_has_one_process(tmp_path: Path) -> None:
    said = refusal(tmp_path, "workers = 2", cloud="memory")

    assert "memory of one process" in said
    assert "Set workers to 1" in said


def test_clouds_without_zones_get_the_next_free_letters(tmp_path: Path) -> None:
    text = (
        'region = "eu-west-1"\n[clouds.one]\nkind = "memory"\n[clouds.two]\nkind = "local"\n'
        'zones = ["eu-west-1a"]\n[clouds.three]\nkind = "local"\nzones = {north = "nova"}'
    )
    places = config.places(loaded(tmp_path, text))

    assert {zone: (place.cloud, place.native) for zone, place in places.items()} == {
        "eu-west-1b": ("one", "eu-west-1b"),
        "eu-west-1a": ("two", "eu-west-1a"),
        "north": ("three", "nova"),
    }


@pytest.mark.parametrize(("milliseconds", "state"), [(0, VolumeState.AVAILABLE), (60_000, VolumeState.CREATING)])
def test_a_simulated_cloud_takes_as_long_as_it_is_told(tmp_path: Path, milliseconds: int, state: VolumeState) -> None:
    settings = loaded(tmp_path, f"[clouds.x]\nkind = 'memory'\nzones = ['a']\nsettle_ms = {milliseconds}")
    volumes = opening.open_clouds(settings, lambda: datetime.now(UTC))["x"].session("tenant").volumes
    assert volumes
    made = volumes.create_volume(VolumeSpec("ref", 1, "a"))

    assert [state] == [one.state for one in volumes.list_volumes([made.native])]


def test_flavors_are_added_and_replaced(tmp_path: Path) -> None:
    text = '[flavors."t2.nano"]\ncpus = 1\nmemory = 96\n[flavors."x.y"]\ncpus = 2\nmemory = 64\ndisk = 3\n'
    both = loaded(tmp_path, text).flavors
    alone = loaded(tmp_path, "builtin_flavors = false\n" + text).flavors

    assert both["t2.nano"].memory == 96
    assert both["m5.large"].memory == 8192
    assert list(alone) == ["t2.nano", "x.y"]
    assert (alone["x.y"].native, alone["x.y"].disk) == ("x.y", 3)


def test_the_limits_are_those_of_every_request(tmp_path: Path) -> None:
    limits = loaded(tmp_path, "[limits]\nmax_body = 2048\nterminated_visible = 0\nvpcs = 5\naddresses = 100").limits

    assert limits == Limits(max_body=2048, terminated_visible=timedelta(0), quotas={"vpcs": 5})
    assert (limits.quota("vpcs"), limits.quota("addresses")) == (5, 100)


def test_a_password_in_the_store_s_address_is_not_shown(tmp_path: Path) -> None:
    settings = loaded(tmp_path, '[store]\nurl = "postgresql://u:hidden@h/d"')

    assert settings.store_url.endswith("hidden@h/d")
    assert "hidden" not in repr(settings)


def test_a_state_directory_too_deep_for_sockets_is_refused(tmp_path: Path) -> None:
    assert "too long for Unix sockets" in refusal(tmp_path, "", state="/" + "d" * 120)


toml_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(["region", "listen", "state", "workers", "clouds", "limits", "http", "log", "flavors", "store"])


@given(st.dictionaries(keys | st.text(max_size=8), toml_values, max_size=4))
@settings(deadline=None)
def test_any_settings_are_taken_or_refused(values: dict[str, object]) -> None:
    with suppress(ConfigError):
        config.build(Merged(values, "test"), {})
