"""`kubectl imageferry status`: what a person sees of one migration, of all, and as they move."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.cli.conftest import COMMAND, Plugin, Put, write
from tests.controlplane import Kubectl, until
from tests.manifests import Json

REGIONS = [
    {"name": "westeurope", "state": "Completed", "progress": 100},
    {"name": "northeurope", "state": "Replicating", "progress": 50, "details": "copying"},
]
MESSAGE = "version the image, then " + "verify " * 40
STATUS: Json = {
    "phase": "Replicating",
    "source": {
        "id": "/subscriptions/0/resourceGroups/legacy/providers/Microsoft.Compute/images/web",
        "osType": "Linux",
        "hyperVGeneration": "V2",
        "location": "westeurope",
        "sizeGB": 30,
    },
    "definition": {"id": "web", "outcome": "Adopted"},
    "version": {"id": "1.0.0", "outcome": "Created", "provisioningState": "Succeeded"},
    "replication": {"summary": "1/2", "progress": 75, "regions": REGIONS},
    "operation": {
        "id": "a",
        "action": "CreateVersion",
        "resource": "/subscriptions/0/resourceGroups/g/providers/Microsoft.Compute/galleries/prod/images/web",
        "requestedAt": "2026-01-01T00:00:00Z",
        "attempt": 2,
    },
    "deletion": {
        "guards": [
            {"name": "PolicyAllows", "passed": True, "message": "policy is Delete"},
            {"name": "VerificationCurrent", "passed": False, "message": "nobody has verified"},
        ],
        "receipt": {"outcome": "Deleted", "resource": "web", "at": "2026-01-02T00:00:00Z"},
    },
    "error": {"code": "ScopeLocked", "message": "a lock holds it", "kind": "AskUser"},
    "conditions": [{"type": "Ready", "status": "False", "reason": "Replicating", "message": MESSAGE.strip()}],
}


def test_the_tree_shows_all_that_is_known(put: Put, plugin: Plugin) -> None:
    """Source, definition, version, regions with bars, guards, operation, receipt, error and what it waits for."""
    put("web", STATUS)
    shown = plugin("status", "web").stdout
    for part in (
        "web  Replicating",
        "images/web in legacy",
        "Linux V2, westeurope, 30 GB",
        "web  Adopted",
        "1.0.0  Created, Succeeded",
        "1/2 Completed, 75 %",
        f"westeurope   {'█' * 24}  100 %  Completed",
        f"northeurope  {'█' * 12}{'░' * 12}   50 %  Replicating  ",
        "1 of 2 hold",
        "✔  PolicyAllows         policy is Delete",
        "✘  VerificationCurrent  nobody has verified",
        "CreateVersion, announced",
        "attempt 2",
        "the image was deleted, seen at 2026-01-02",
        "ScopeLocked: a lock holds it",
        "False  Replicating",
    ):
        assert part in shown


def test_what_it_waits_for_stands_on_one_line_to_be_copied(put: Put, plugin: Plugin) -> None:
    """The message of Ready is not broken, however narrow the terminal is."""
    put("web", STATUS)
    assert MESSAGE.strip() in plugin("status", "web", COLUMNS="60").stdout.splitlines()


def test_a_migration_that_nobody_has_looked_at_is_shown(put: Put, plugin: Plugin) -> None:
    """Without any status there is a tree all the same."""
    put("fresh")
    shown = plugin("status", "fresh").stdout
    assert "fresh  Pending" in shown
    assert "the operator has not seen the latest change yet" in shown
    assert "nothing was said yet" in shown


def test_kubectl_finds_the_plugin(put: Put, plugin: Plugin, environment: Mapping[str, str]) -> None:
    """`kubectl imageferry` is the same command."""
    put("web", STATUS)
    found = subprocess.run(
        ["kubectl", "imageferry", "status", "-o", "json"],
        env=dict(environment),
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == plugin("status", "-o", "json").stdout


def test_without_a_name_all_of_the_namespace_are_listed(put: Put, plugin: Plugin) -> None:
    """One row each, in the order of their names; labels select."""
    put("web", STATUS, labels={"wave": "1"})
    put("db", {"phase": "Pending"})
    heading, first, second = plugin("status").stdout.splitlines()
    assert heading.split()[:4] == ["NAME", "PHASE", "REGIONS", "VERIFIED"]
    assert first.split()[:2] == ["db", "Pending"]
    assert second.split()[:4] == ["web", "Replicating", "████████░░", "1/2"]
    assert "Replicating: version the image" in second
    assert [row.split()[0] for row in plugin("status", "-l", "wave=1").stdout.splitlines()[1:]] == ["web"]


def test_all_namespaces_are_listed_with_theirs(put: Put, plugin: Plugin, namespace: str) -> None:
    """-A adds the column."""
    put("web", STATUS)
    rows = [line.split()[:2] for line in plugin("status", "-A").stdout.splitlines()]
    assert rows[0] == ["NAMESPACE", "NAME"]
    assert [namespace, "web"] in rows


def test_an_empty_namespace_says_so_and_is_no_error(plugin: Plugin, namespace: str) -> None:
    """As kubectl: on standard error, exit code 0."""
    done = plugin("status")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"No resources found in {namespace} namespace.\n")


def test_programs_get_the_resource_itself(put: Put, plugin: Plugin) -> None:
    """-o json and -o yaml give what the API server has."""
    stored = put("web", STATUS)
    assert json.loads(plugin("status", "web", "-o", "json").stdout) == stored
    assert yaml.safe_load(plugin("status", "web", "-o", "yaml").stdout) == stored
    assert json.loads(plugin("status", "-o", "json").stdout)["items"] == [stored]


def test_watching_into_a_file_writes_a_line_for_each_change(
    put: Put, kubectl: Kubectl, environment: Mapping[str, str], tmp_path: Path
) -> None:
    """A change that nobody would see gives no line; Ctrl-C ends it with 130, as it does kubectl."""
    put("web", STATUS)
    with _watching(environment, tmp_path, "web", "--watch") as (process, lines):
        until(lambda: len(lines()) == 1, what="the first line", within=30)
        write(kubectl, "web", {"error": None})
        write(kubectl, "web", {"phase": "Stalled"})
        until(lambda: len(lines()) == 2, what="the second line", within=30)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 128 + signal.SIGINT
    assert [line.split()[:2] for line in lines()] == [["web", "Replicating"], ["web", "Stalled"]]


def test_watching_ends_by_itself_once_complete(
    put: Put, kubectl: Kubectl, environment: Mapping[str, str], tmp_path: Path
) -> None:
    """--exit-when-complete ends with 0 when the phase is Completed."""
    put("web", STATUS)
    with _watching(environment, tmp_path, "web", "--exit-when-complete") as (process, lines):
        until(lambda: len(lines()) == 1, what="the first line", within=30)
        write(kubectl, "web", {"phase": "Completed"})
        assert process.wait(30) == 0
    assert lines()[-1].split()[:2] == ["web", "Completed"]


def test_watching_what_is_deleted_ends_with_an_error(
    put: Put, kubectl: Kubectl, environment: Mapping[str, str], tmp_path: Path
) -> None:
    """A migration that will never complete does not hold a script."""
    put("web", STATUS)
    with _watching(environment, tmp_path, "web", "-w") as (process, lines):
        until(lambda: len(lines()) == 1, what="the first line", within=30)
        kubectl("delete", "imig", "web")
        assert process.wait(30) == 1
    assert "was deleted meanwhile" in (tmp_path / "err").read_text()


def test_on_a_terminal_the_tree_moves(put: Put, kubectl: Kubectl, environment: Mapping[str, str]) -> None:
    """The whole tree is drawn anew after a change."""
    put("web", STATUS)
    parent, child = pty.openpty()
    words = [str(COMMAND), "status", "web", "--exit-when-complete"]
    process = subprocess.Popen(words, env=dict(environment), stdin=child, stdout=child, stderr=child)
    os.close(child)
    seen = bytearray()
    try:
        while b"PolicyAllows" not in seen:
            seen += os.read(parent, 65536)
        write(kubectl, "web", {"phase": "Completed"})
        while b"web\x1b[0m  \x1b[32mCompleted" not in seen:
            seen += os.read(parent, 65536)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(parent)


@contextmanager
def _watching(
    environment: Mapping[str, str], folder: Path, *words: str
) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], list[str]]]]:
    """Run `status` with its output in files; gives the process and a function that reads its lines."""
    out = folder / "out"
    with out.open("wb") as stdout, (folder / "err").open("wb") as stderr:
        process = subprocess.Popen(
            [str(COMMAND), "status", *words],
            env=dict(environment),
            stdout=stdout,
            stderr=stderr,
            # a background job of a shell ignores SIGINT, and so would its children
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - no threads here
        )
    try:
        yield process, lambda: out.read_text().splitlines()
    finally:
        process.kill()
        process.wait()
