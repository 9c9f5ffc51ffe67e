"""`verify` and `reject`: one patch, in one's own name, for the proof that was shown, and nothing else."""

import json
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import COMMAND, Plugin, Put, write
from tests.controlplane import SERVICE_ACCOUNT, ControlPlane, Kubectl
from tests.manifests import Json

DIGEST = f"v1:sha256:{'ab' * 32}"
OTHER = f"v1:sha256:{'cd' * 32}"
VERSION_ID = (
    "/subscriptions/0/resourcegroups/gallery/providers/microsoft.compute/galleries/prod/images/web/versions/1.0.0"
)
EVIDENCE = "https://ci.example/runs/7"
READY = {"type": "Ready", "status": "True", "reason": "AwaitingVerification", "message": "try it", "custom": "kept"}
PREFIX = "imagemigration.imageferry.dev"


def _proof(digest: str = DIGEST) -> Json:
    published = "2026-05-01T08:00:00.1234567+00:00"
    return {"digest": digest, "sourceFingerprint": "v1:sha256:f", "versionId": VERSION_ID, "publishedDate": published}


def _status(digest: str = DIGEST, *, verified: Json | None = None, **more: Any) -> Json:
    """Return the status of a migration that waits for a person."""
    regions = [{"name": "westeurope", "state": "Completed", "progress": 100}]
    return {
        "phase": "AwaitingVerification",
        "proof": _proof(digest),
        "replication": {"summary": "1/1", "progress": 100, "regions": regions},
        "conditions": [READY, *([verified] if verified else [])],
        **more,
    }


def _read(kubectl: Kubectl, name: str) -> Json:
    found: Json = json.loads(kubectl("get", "imig", name, "--output=json").stdout)
    return found


def _said(body: Json) -> Json:
    (found,) = [each for each in body["status"]["conditions"] if each["type"].casefold() == "verified"]
    return dict(found)


@pytest.fixture
def vera(control_plane: ControlPlane, namespace: str, kubectl: Kubectl) -> Path:
    """Give the kubeconfig of someone who may read migrations and patch their status, and nothing else."""
    kubectl("create", "role", "vera", "--verb=get,list,verify", "--resource=imagemigrations.imageferry.dev")
    kubectl("create", "role", "vera-status", "--verb=patch", "--resource=imagemigrations.imageferry.dev/status")
    for role in ("vera", "vera-status"):
        kubectl("create", "rolebinding", role, f"--role={role}", f"--serviceaccount={namespace}:{SERVICE_ACCOUNT}")
    token = control_plane.service_account_token(namespace, SERVICE_ACCOUNT)
    return control_plane.kubeconfig_for(token=token, name=f"vera-{namespace}", namespace=namespace)


@pytest.fixture
def answering(environment: Mapping[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give a function that runs the plugin and answers its question."""

    def run(answer: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [str(COMMAND), *words]
        return subprocess.run(
            command, env=dict(environment), input=answer, capture_output=True, text=True, timeout=90, check=False
        )

    return run


Answering = Callable[..., subprocess.CompletedProcess[str]]


def test_it_writes_the_condition_and_the_verification_in_ones_own_name(
    put: Put, plugin: Plugin, kubectl: Kubectl, vera: Path, control_plane: ControlPlane
) -> None:
    """One patch of /status; every other field, also of other conditions, stays; how it was heard the operator says."""
    before = put("web", _status())
    began = datetime.now(UTC)
    done = plugin("verify", "web", "--yes", "--evidence", EVIDENCE, "--message", "ran the suite", kubeconfig=vera)
    user = f"system:serviceaccount:{before['metadata']['namespace']}:{SERVICE_ACCOUNT}"
    assert (done.stderr, done.stdout) == ("", f"{PREFIX}/web verified for {DIGEST}\n")

    after = _read(kubectl, "web")
    said = _said(after)
    at = datetime.fromisoformat(said.pop("lastTransitionTime"))
    assert began.replace(microsecond=0) <= at <= datetime.now(UTC)
    assert said == {
        "type": "Verified",
        "status": "True",
        "reason": "Verified",
        "message": "ran the suite",
        "observedGeneration": 1,
    }
    wanted = {"digest": DIGEST, "by": user, "evidence": EVIDENCE}
    assert after["status"].pop("verification") == wanted
    after["status"]["conditions"].remove(_said(after))
    assert after["status"] == before["status"]
    assert after["spec"] == before["spec"]
    sent = [each for each in control_plane.audit(since=began) if each.user == user and each.is_write]
    assert [(each.resource, each.name) for each in sent if each.resource != "selfsubjectreviews"] == [
        ("imagemigrations", "web")
    ]


def test_it_is_shown_and_asked(put: Put, answering: Answering, kubectl: Kubectl) -> None:
    """Proof, version id, regions, source and what follows; only a yes writes."""
    put("web", _status(), sourceDeletion={"graceSeconds": 60})
    for answer in ("n\n", "\n", ""):
        done = answering(answer, "verify", "web")
        assert (done.returncode, done.stdout) == (1, "")
        assert "nothing was written: it was not confirmed" in done.stderr
    assert "Verified" not in [each["type"] for each in _read(kubectl, "web")["status"]["conditions"]]
    done = answering("y\n", "verify", "web")
    for part in (
        DIGEST,
        VERSION_ID,
        "2026-05-01T08:00:00.1234567+00:00",
        "westeurope",
        "resourceGroups/legacy/providers/Microsoft.Compute/images/web",
        "after 60 s of grace, the managed image is deleted when every guard holds",
        "Verify this as ",
    ):
        assert part in done.stderr
    assert done.returncode == 0
    assert _read(kubectl, "web")["status"]["verification"]["digest"] == DIGEST


@pytest.mark.parametrize("kind", ["verified", "VERIFIED", "Verified"])
def test_the_letter_case_of_an_existing_condition_stays(put: Put, plugin: Plugin, kubectl: Kubectl, kind: str) -> None:
    """There is one entry, spelled as its first author spelled it, and the others keep their places."""
    last = {"type": "SourceDeleted", "status": "False", "reason": "Present"}
    conditions = [READY, {"type": kind, "status": "Unknown", "reason": "ProofChanged"}, last]
    put("web", _status() | {"conditions": conditions})
    assert plugin("verify", "web", "--yes").returncode == 0
    after = _read(kubectl, "web")
    assert [each["type"] for each in after["status"]["conditions"]] == ["Ready", kind, "SourceDeleted"]
    assert _said(after)["status"] == "True"


def test_a_proof_that_changed_after_it_was_shown_is_refused(put: Put, kubectl: Kubectl, environment: Any) -> None:
    """The answer yes was given to what was shown, and that is not there any more."""
    put("web", _status())
    done = _asked(environment, lambda: write(kubectl, "web", {"proof": _proof(OTHER)}))
    assert done[0] == 1
    assert "status.proof changed after it was shown, so nothing was written" in done[1]
    assert "verification" not in _read(kubectl, "web")["status"]


def test_a_veto_that_came_meanwhile_stays(put: Put, plugin: Plugin, kubectl: Kubectl, environment: Any) -> None:
    """Whoever was asked did not know of it."""
    put("web", _status())
    done = _asked(environment, lambda: plugin("reject", "web", "--message", "no boot"))
    assert done[0] == 1
    assert "the Verified condition changed after it was shown" in done[1]
    said = _said(_read(kubectl, "web"))
    assert (said["status"], said["message"]) == ("False", "rejected by admin: no boot")


def test_progress_that_the_operator_reports_meanwhile_does_not_matter(
    put: Put, kubectl: Kubectl, environment: Any
) -> None:
    """Another resourceVersion with the same proof is written for, and what was reported stays."""
    put("web", _status())
    done = _asked(environment, lambda: write(kubectl, "web", {"lastHandledReconcileAt": "now"}))
    assert done[0] == 0, done
    status = _read(kubectl, "web")["status"]
    assert (status["verification"]["digest"], status["lastHandledReconcileAt"]) == (DIGEST, "now")


def _asked(environment: Mapping[str, str], meanwhile: Callable[[], object]) -> tuple[int, str]:
    """Run `verify web`, do something once it asks, then answer yes; gives exit code and standard error."""
    with subprocess.Popen(
        [str(COMMAND), "verify", "web"],
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        shown = ""
        while "[y/N]" not in shown:
            more = process.stderr.read(1)
            assert more, shown
            shown += more
        meanwhile()
        _, said = process.communicate("y\n", timeout=60)
        return process.returncode, said


@pytest.mark.parametrize(
    ("status", "words", "says"),
    [
        pytest.param(
            {"phase": "Replicating"}, [], "there is nothing to verify yet, its phase is Replicating", id="early"
        ),
        pytest.param(_status(), ["--digest", OTHER], f"its proof is {DIGEST} and not {OTHER}", id="another-digest"),
        pytest.param(
            _status(deletion={"receipt": {"outcome": "Deleted", "resource": "web", "at": "2026-01-02T00:00:00Z"}}),
            [],
            "its managed image is gone since 2026-01-02T00:00:00Z",
            id="gone",
        ),
    ],
)
def test_what_cannot_be_verified_says_why(put: Put, plugin: Plugin, status: Json, words: list[str], says: str) -> None:
    """One line, exit code 1, and nothing is written."""
    stored = put("web", status)
    done = plugin("verify", "web", "--yes", *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert plugin("status", "web", "-o", "json").stdout
    assert json.loads(plugin("status", "web", "-o", "json").stdout) == stored


def test_a_digest_that_is_given_is_what_is_written(put: Put, plugin: Plugin, kubectl: Kubectl) -> None:
    """A pipeline that tested one proof cannot verify another."""
    put("web", _status())
    assert plugin("verify", "web", "--yes", "--digest", DIGEST).returncode == 0
    assert _read(kubectl, "web")["status"]["verification"]["digest"] == DIGEST


def test_what_is_verified_already_is_left_as_it_is(put: Put, plugin: Plugin, kubectl: Kubectl) -> None:
    """No write, so that the grace does not begin again; evidence that is added later is a write."""
    put("web", _status())
    plugin("verify", "web", "--yes")
    before = _read(kubectl, "web")["metadata"]["resourceVersion"]
    assert plugin("verify", "web", "--yes").stdout == f"{PREFIX}/web verified already for this proof\n"
    assert _read(kubectl, "web")["metadata"]["resourceVersion"] == before
    since = _said(_read(kubectl, "web"))["lastTransitionTime"]
    plugin("verify", "web", "--yes", "--evidence", EVIDENCE)
    after = _read(kubectl, "web")
    assert after["status"]["verification"]["evidence"] == EVIDENCE
    assert _said(after)["lastTransitionTime"] == since


def test_reject_is_a_veto_in_ones_own_name(put: Put, plugin: Plugin, kubectl: Kubectl, vera: Path) -> None:
    """It takes a verification back, needs no confirmation, and is possible before there is a proof."""
    put("web", _status())
    put("early", {"phase": "Replicating"})
    plugin("verify", "web", "--yes")
    done = plugin("reject", "web", "early", "--message", "does not boot", kubeconfig=vera)
    assert done.stdout.splitlines() == [f"{PREFIX}/web rejected for {DIGEST}", f"{PREFIX}/early rejected"]
    for name in ("web", "early"):
        after = _read(kubectl, name)
        assert {part: _said(after)[part] for part in ("status", "reason", "message")} == {
            "status": "False",
            "reason": "Rejected",
            "message": f"rejected by {after['status']['verification']['by']}: does not boot",
        }
        assert after["status"]["verification"]["by"].endswith(f":{SERVICE_ACCOUNT}")


def test_a_selector_does_not_lift_a_veto(put: Put, plugin: Plugin, kubectl: Kubectl) -> None:
    """Who verifies many has hardly read why one was rejected; by its name it can be lifted."""
    for name in ("web", "db"):
        put(name, _status(), labels={"wave": "1"})
    plugin("reject", "web", "--message", "no boot")
    done = plugin("verify", "-l", "wave=1", "--yes")
    assert done.returncode == 1
    assert "a veto stands (rejected by admin: no boot); to lift it, verify this one by its name" in done.stderr
    assert done.stdout == f"{PREFIX}/db verified for {DIGEST}\n"
    assert _said(_read(kubectl, "web"))["status"] == "False"
    assert plugin("verify", "web", "--yes").returncode == 0
    assert _said(_read(kubectl, "web"))["status"] == "True"


@pytest.mark.parametrize("words", [["--dry-run"], ["--dry-run=client"], ["--dry-run=server"]])
def test_a_dry_run_tells_and_writes_nothing(put: Put, plugin: Plugin, kubectl: Kubectl, words: list[str]) -> None:
    """Bare, it is the client's, as with kubectl; nobody is asked."""
    stored = put("web", _status())
    said = plugin("verify", "web", "--evidence", EVIDENCE, *words)
    assert said.returncode == 0, said.stderr
    first, *rest = said.stdout.splitlines()
    server = words[0].endswith("server")
    assert first == f"{PREFIX}/web verified for {DIGEST} ({'server dry run' if server else 'dry run'})"
    if not server:
        part = yaml.safe_load("\n".join(rest))["status"]
        assert part["verification"]["evidence"] == EVIDENCE
        assert [each["status"] for each in part["conditions"]] == ["True"]
    whole = json.loads(plugin("verify", "web", "-o", "json", *words).stdout)
    assert [each["type"] for each in whole["status"]["conditions"]] == ["Ready", "Verified"]
    assert _read(kubectl, "web") | {"metadata": 0} == stored | {"metadata": 0}


def test_many_are_verified_at_once_and_counted(put: Put, plugin: Plugin, answering: Answering) -> None:
    """Shown as a table and asked once; what fails for one is told and does not hold up the others."""
    for number in range(12):
        put(f"web-{number:02}", _status(), labels={"wave": "1"})
    put("early", {"phase": "Replicating"}, labels={"wave": "1"})
    plugin("verify", "web-00", "--yes")
    done = answering("y\n", "verify", "-l", "wave=1")
    assert done.returncode == 1
    assert "Verify these 11 as " in done.stderr
    assert "web-11" in done.stderr
    assert done.stderr.splitlines()[-1] == "1 failed, 1 unchanged, 11 verified"
    assert "early: there is nothing to verify yet" in done.stderr
    assert len(done.stdout.splitlines()) == 12


def test_all_namespaces_go_with_a_selector(put: Put, plugin: Plugin, namespace: str) -> None:
    """Lines say the namespace then."""
    put("web", _status(), labels={"only": namespace})
    done = plugin("verify", "-A", "-l", f"only={namespace}", "--yes")
    assert done.stdout == f"{PREFIX}/web in {namespace} verified for {DIGEST}\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param([], "say which: names, or -l with a selector", id="none"),
        pytest.param(["web", "-l", "a=b"], "say which: names, or -l with a selector", id="both"),
        pytest.param(["web", "-A"], "-A needs -l with a selector", id="all-namespaces-with-name"),
        pytest.param(
            ["web", "db", "--digest", DIGEST], "each migration has a digest of its own", id="one-digest-for-two"
        ),
        pytest.param(["web", "--digest", "abc"], "must be a digest as in status.proof.digest", id="no-digest"),
        pytest.param(["web", "--evidence", "x" * 2049], "must have 1 to 2048 characters, has 2049", id="long-evidence"),
        pytest.param(["web", "--message", ""], "must have 1 to 4096 characters, has 0", id="empty-message"),
    ],
)
def test_mistakes_of_usage(plugin: Plugin, words: list[str], says: str) -> None:
    """Exit code 2, before anything is asked of the cluster."""
    done = plugin("verify", *words)
    assert done.returncode == 2
    assert says in " ".join(done.stderr.replace("│", " ").split())


def test_whoever_may_not_is_told_what_is_missing(put: Put, plugin: Plugin, reader: Path) -> None:
    """The API server's words and the cure."""
    put("web", _status())
    done = plugin("verify", "web", "--yes", kubeconfig=reader)
    assert (done.returncode, done.stdout) == (1, "")
    assert 'cannot patch resource "imagemigrations/status"' in done.stderr
    assert "a role that may verify imagemigrations.imageferry.dev" in done.stderr


def test_programs_get_what_was_written(put: Put, plugin: Plugin) -> None:
    """One as it is, several as a List, names alone with -o name."""
    for name in ("web", "db"):
        put(name, _status())
    one = json.loads(plugin("verify", "web", "--yes", "-o", "json").stdout)
    assert one["status"]["verification"]["digest"] == DIGEST
    assert "managedFields" not in one["metadata"]
    listed = yaml.safe_load(plugin("verify", "db", "web", "--yes", "-o", "yaml").stdout)
    assert sorted(each["metadata"]["name"] for each in listed["items"]) == ["db", "web"]
    assert plugin("reject", "web", "-o", "name").stdout == f"{PREFIX}/web\n"
