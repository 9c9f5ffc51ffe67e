"""`suspend`, `resume`, `retry`: one field each, several migrations at a time, kubectl's words."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cli.conftest import Plugin, Put, write
from tests.controlplane import Kubectl, until
from tests.manifests import Json

TOKEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
AT = "imageferry.dev/reconcile-at"


def _read(kubectl: Kubectl, name: str) -> Json:
    found: Json = json.loads(kubectl("get", "imig", name, "--output=json").stdout)
    return found


def test_suspend_and_resume_change_just_that_field(put: Put, plugin: Plugin, kubectl: Kubectl) -> None:
    """Everything else of the spec stays as it was."""
    before = put("web")["spec"]
    assert plugin("suspend", "web").stdout == "imagemigration.imageferry.dev/web suspended\n"
    assert _read(kubectl, "web")["spec"] == before | {"suspend": True}
    assert plugin("resume", "web").stdout == "imagemigration.imageferry.dev/web resumed\n"
    assert _read(kubectl, "web")["spec"] == before | {"suspend": False}


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        pytest.param(["web", "db"], {"web", "db"}, id="names"),
        pytest.param(["-l", "wave=1"], {"web"}, id="selector"),
        pytest.param(["--all"], {"web", "db", "app"}, id="all"),
    ],
)
def test_several_are_changed_at_once(
    put: Put, plugin: Plugin, kubectl: Kubectl, words: list[str], changed: set[str]
) -> None:
    """By names, by labels, or all of the namespace."""
    put("web", labels={"wave": "1"})
    put("db", labels={"wave": "2"})
    put("app")
    done = plugin("suspend", *words)
    assert {line.split("/")[1] for line in done.stdout.splitlines()} == {f"{name} suspended" for name in changed}
    assert {name for name in ("web", "db", "app") if _read(kubectl, name)["spec"]["suspend"]} == changed


def test_one_that_is_missing_does_not_hold_up_the_others(put: Put, plugin: Plugin) -> None:
    """Its error is told, the rest is done, and the exit code is 1."""
    put("web")
    done = plugin("suspend", "nobody", "web")
    assert done.returncode == 1
    assert done.stdout == "imagemigration.imageferry.dev/web suspended\n"
    assert re.fullmatch(r'error: imagemigrations\.imageferry\.dev "nobody" not found in namespace .*\n', done.stderr)


@pytest.mark.parametrize("words", [[], ["web", "--all"], ["--all", "-l", "wave=1"]])
def test_which_ones_must_be_said_in_one_way(plugin: Plugin, words: list[str]) -> None:
    """No names at all must not mean all."""
    done = plugin("suspend", *words)
    assert done.returncode == 2
    assert "say which: names, or -l with a selector, or --all" in done.stderr


def test_retry_sets_the_annotation_anew_each_time(put: Put, plugin: Plugin, kubectl: Kubectl) -> None:
    """Two calls give two tokens, so that each is a change that the operator sees."""
    put("web")
    tokens = []
    for _ in range(2):
        assert plugin("retry", "web").stdout == "imagemigration.imageferry.dev/web is looked at again\n"
        tokens.append(_read(kubectl, "web")["metadata"]["annotations"][AT])
    assert all(TOKEN.fullmatch(token) for token in tokens)
    assert tokens[0] < tokens[1]


def test_retry_waits_for_the_echo(put: Put, plugin: Plugin, kubectl: Kubectl) -> None:
    """--wait ends once status.lastHandledReconcileAt is the token."""
    put("web", {"lastHandledReconcileAt": "2026-01-01T00:00:00Z"})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(plugin, "retry", "web", "--wait", "--timeout", "60")
        until(lambda: AT in _read(kubectl, "web")["metadata"].get("annotations", {}), what="the token", within=30)
        write(kubectl, "web", {"lastHandledReconcileAt": _read(kubectl, "web")["metadata"]["annotations"][AT]})
        done = waiting.result()
    assert (done.returncode, done.stdout) == (0, "imagemigration.imageferry.dev/web looked at\n")


def test_retry_does_not_wait_for_ever(put: Put, plugin: Plugin) -> None:
    """Without an operator the error says what to look for."""
    put("web", {"lastHandledReconcileAt": "2026-01-01T00:00:00Z"})
    done = plugin("retry", "web", "--wait", "--timeout", "0")
    assert done.returncode == 1
    assert "the operator has not looked at it in time; see whether it runs" in done.stderr


def test_programs_get_the_changed_resources(put: Put, plugin: Plugin) -> None:
    """One as it is, several as a List."""
    put("web")
    put("db")
    changed = json.loads(plugin("suspend", "web", "-o", "json").stdout)
    assert changed["spec"]["suspend"] is True
    assert "managedFields" not in changed["metadata"]
    assert [
        each["metadata"]["name"] for each in json.loads(plugin("resume", "--all", "-o", "json").stdout)["items"]
    ] == [
        "db",
        "web",
    ]
