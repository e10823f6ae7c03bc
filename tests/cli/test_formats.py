"""Access keys as other programs write them."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.cli import formats
from isthmus.cli.common import Failure
from isthmus.cli.formats import Pair

PAIR = Pair("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY=")

TEXTS = {
    "env": f"# mine\nexport AWS_ACCESS_KEY_ID={PAIR.access_key}\nexport AWS_SECRET_ACCESS_KEY='{PAIR.secret}'\n",
    "env of csh": f'setenv AWS_ACCESS_KEY_ID "{PAIR.access_key}";\nsetenv AWS_SECRET_ACCESS_KEY {PAIR.secret}\n',
    "env of cmd": f"set AWS_ACCESS_KEY_ID={PAIR.access_key}\r\nset AWS_SECRET_ACCESS_KEY={PAIR.secret}\r\n",
    "env with more": (
        f"FOO=1\nAWS_ACCESS_KEY_ID={PAIR.access_key} # the user's\nPATH=$PATH:'x\nAWS_SECRET_ACCESS_KEY={PAIR.secret}"
    ),
    "ec2rc": (
        'NOVARC=$(readlink -f "${BASH_SOURCE:-${0}}" 2>/dev/null) || echo x\n'
        f"export EC2_ACCESS_KEY={PAIR.access_key}\nexport EC2_SECRET_KEY={PAIR.secret}\n"
        "export EC2_URL=http://cloud:8773/\nexport EC2_USER_ID=42 # nova does not use user id\n"
    ),
    "aws": f"[default]\naws_access_key_id = {PAIR.access_key}\naws_secret_access_key={PAIR.secret}\nregion = x\n",
    "json of openstack": (
        f'{{"access": "{PAIR.access_key}", "links": {{"self": "x"}}, "project_id": "p", '
        f'"secret": "{PAIR.secret}", "trust_id": null, "user_id": "u"}}'
    ),
    "json of an old openstack": (
        f'[{{"Field": "access", "Value": "{PAIR.access_key}"}}, {{"Field": "secret", "Value": "{PAIR.secret}"}}]'
    ),
    "json of aws": (
        f'{{"AccessKey": {{"UserName": "u", "AccessKeyId": "{PAIR.access_key}", "Status": "Active", '
        f'"SecretAccessKey": "{PAIR.secret}"}}}}'
    ),
    "json of sts": f'{{"Credentials": {{"AccessKeyId": "{PAIR.access_key}", "SecretAccessKey": "{PAIR.secret}"}}}}',
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_read_in_its_format(name: str) -> None:
    assert formats.read(TEXTS[name], name.split()[0]) == PAIR


@pytest.mark.parametrize("name", TEXTS)
def test_a_format_is_told_by_its_look(name: str) -> None:
    assert formats.guess("\ufeff" + TEXTS[name]) == name.split()[0]


def test_a_profile_is_chosen() -> None:
    text = TEXTS["aws"] + "[work]\naws_access_key_id = W\naws_secret_access_key = w%(x)s\n"

    assert formats.read(text, "aws", "work") == Pair("W", "w%(x)s")
    with pytest.raises(Failure, match="no profile home; it has default, work"):
        formats.read(text, "aws", "home")


words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
safe = st.text("ABCabc019+/=_.-", min_size=1, max_size=40)


@settings(deadline=None)
@given(safe, safe, st.sampled_from(formats.FORMATS))
def test_what_is_written_is_read_again(access_key: str, secret: str, form: str) -> None:
    text = formats.write(Pair(access_key, secret), form, "some", "us-east-1", "http://127.0.0.1:8788")

    assert formats.read(text, form, "some") == Pair(access_key, secret)
    assert formats.guess(text) == form


@settings(deadline=None)
@given(words, words)
def test_what_is_written_for_a_shell_is_taken_as_it_is(access_key: str, secret: str) -> None:
    text = formats.write(Pair(access_key, secret), "env", "", "r", "http://h")

    assert formats.read(text, "env") == Pair(access_key, secret)


def test_a_shell_reads_what_is_written() -> None:
    pair = Pair("A$(id)`id`'\"", "s;exit 3\\")
    script = (
        formats.write(pair, "env", "", "r", "http://h") + 'printf "%s\\n" "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY"'
    )

    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == list(pair)


@settings(deadline=None)
@given(st.text(max_size=200) | st.sampled_from(list(TEXTS.values())), st.sampled_from(formats.FORMATS))
def test_any_text_is_read_or_refused_without_telling_it(text: str, form: str) -> None:
    try:
        pair = formats.read(text, form)
    except Failure as failure:
        said = str(failure)
        if form != "aws":
            assert not (len(text) > 20 and text in said)
        return
    assert pair.access_key
    assert pair.secret


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["AccessKey", "access", "secret", "Field", "Value", "AccessKeyId"]), inner
            )
        ),
    )
)
def test_any_json_is_read_or_refused(value: object) -> None:
    import json

    try:
        assert all(formats.read(json.dumps(value), "json"))
    except Failure:
        return


LOGIN = {"application_credential_id": "a1", "application_credential_secret": "S e/cret="}


@pytest.mark.parametrize(
    "text",
    [
        '{"application_credential_id": "a1", "application_credential_secret": "S e/cret="}\n',
        "# a login\n\napplication_credential_id=a1\nexport application_credential_secret='S e/cret='\n",
        'application_credential_id="a1"\r\napplication_credential_secret="S e/cret="\r\n',
    ],
)
def test_a_login_is_read(text: str) -> None:
    assert LOGIN == formats.secrets(text)


@pytest.mark.parametrize("text", ["", "# nothing", "hunter2", "a=b\nhunter2 is it", '{"a": 1}', "{}", '["a"]', "{"])
def test_what_is_no_login_is_refused_without_telling_it(text: str) -> None:
    with pytest.raises(Failure) as refused:
        formats.secrets(text)

    assert "hunter2" not in str(refused.value)
