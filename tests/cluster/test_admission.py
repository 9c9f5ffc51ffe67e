"""Who may verify: tried on a real API server with real rights, and told in docs/security.md as it went."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from imageferry.api import crd
from tests import manifests
from tests.cluster import attempts
from tests.cluster.attempts import ALLOWED, ATTEMPTS, AWAITED, REFUSED, Attempt, Outcome
from tests.cluster.court import Answer, Court
from tests.cluster.world import World
from tests.controlplane import ControlPlane, until
from tests.controlplane.audit import OPERATOR_USER

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "security.md"
POLICIES = [ROOT / "deploy" / "policies" / name for name in ("status.yaml", "spec.yaml")]
BEGIN, END = "<!-- written by `make attempts` -->\n", "<!-- end of what `make attempts` writes -->\n"
ALL = [attempt for group in ATTEMPTS.values() for attempt in group]
BY_OTHERS = {"conditions", "verification"}
LATER = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/addedLater"
Heard = dict[int, Answer]


@pytest.fixture(scope="module")
def court(deployed: ControlPlane) -> Court:
    """Give the API server with all people and their rights, the policies enforced."""
    made = Court(deployed)
    made.until_in_force()
    return made


@pytest.fixture(scope="module")
def heard(court: Court) -> Heard:
    """Let all attempts be made; with ATTEMPTS=write the table in the docs is written anew."""
    answers = {id(attempt): court.hear(attempt) for attempt in ALL}
    if os.environ.get("ATTEMPTS") == "write":
        before, _, after = _parts(DOCS.read_text())
        DOCS.write_text(before + BEGIN + _tables(answers) + END + after)
    return answers


@pytest.mark.parametrize("attempt", [pytest.param(each, id=f"{each.who} {each.what}") for each in ALL])
def test_an_attempt_ends_as_it_has_to(heard: Heard, attempt: Attempt) -> None:
    """Allowed, refused with nothing changed, or taken without effect."""
    answer = heard[id(attempt)]

    assert answer.outcome is attempt.expected, answer.message


def test_the_docs_tell_what_happened(heard: Heard) -> None:
    """Each attempt with the API server's answer; `make attempts` writes them."""
    assert _parts(DOCS.read_text())[1] == _tables(heard)


def test_every_field_of_the_status_is_among_the_attempts() -> None:
    """A field that is added to the schema is tried too."""
    fields = set(crd.schema()["properties"]["status"]["properties"])

    assert set(AWAITED) | {"verification"} == fields


def test_a_field_of_the_status_that_is_added_later_is_closed_by_itself(later: Court) -> None:
    """The policies name what others may set, and nothing else."""
    attempt = attempts.merge_status(addedLater="forged")

    answer = later.hear(Attempt("vera", "", attempt, REFUSED, attempts.AWAITING))

    assert (answer.outcome, answer.message.partition(";")[0]) == (
        REFUSED,
        "imageferry-status: status.addedLater belongs to the operator",
    )


@pytest.fixture
def later(court: Court, deployed: ControlPlane) -> Iterator[Court]:
    """Give the API server with one more field in the status."""
    change = ("patch", "crd", "imagemigrations.imageferry.dev", "--type=json")
    added = [{"op": "add", "path": LATER, "value": {"type": "string"}}]
    deployed.kubectl(*change, f"--patch={json.dumps(added)}")
    known = Attempt("operator", "", attempts.merge_status(addedLater="x"), ALLOWED, attempts.AWAITING)
    until(lambda: court.hear(known).outcome is ALLOWED, what="the field in the schema")
    yield court
    deployed.kubectl(*change, f"--patch={json.dumps([{'op': 'remove', 'path': LATER}])}")


def test_a_whole_migration_under_the_policies(court: Court, world: World) -> None:
    """An editor applies it, the operator writes all its statuses, a verifier runs what the message tells."""
    del court  # the policies are enforced
    author, reviewer = _account(world, "imageferry-editor"), _account(world, "imageferry-verifier")
    world.azure.cloud.put_image("guarded", group="legacy")
    world.operator.start()
    world.kubectl("apply", "--filename=-", input=manifests.text(manifests.migration("guarded")), kubeconfig=author)
    world.until_phase("guarded", "AwaitingVerification")
    ready = world.condition("guarded", "Ready")["message"]
    world.shell(manifests.command_of(ready), kubeconfig=reviewer)
    status = world.until_phase("guarded", "Completed")

    assert status["verification"]["by"] == f"system:serviceaccount:{world.namespace}:imageferry-verifier"
    assert status["deletion"]["receipt"]["outcome"] == "Deleted"
    assert "unauthenticated" not in json.dumps([ready, status])
    assert world.azure.ledger.count("images.delete") == 1


@pytest.mark.parametrize(("role", "into"), [("viewer", ["view"]), ("editor", ["admin", "edit"]), ("verifier", [])])
def test_the_verifier_is_aggregated_into_no_role(deployed: ControlPlane, role: str, into: list[str]) -> None:
    """Who views or edits in a namespace does so here too; who verifies has been named."""
    body = json.loads(deployed.kubectl("get", "clusterrole", f"imageferry-{role}", "--output=json").stdout)

    labels = body["metadata"].get("labels", {})
    assert sorted(label.removeprefix("rbac.authorization.k8s.io/aggregate-to-") for label in labels) == into


def test_who_is_exempt_is_who_runs_the_operator() -> None:
    """The policies name the operator in one place, and by the name that it has."""
    policies = [each for file in POLICIES for each in yaml.safe_load_all(file.read_text())]
    conditions = [each for policy in policies for each in policy["spec"].get("matchConditions", [])]

    assert [each["expression"] for each in conditions] == [f"request.userInfo.username != '{OPERATOR_USER}'"]
    assert sum(file.read_text().count("imageferry-system") for file in POLICIES) == 1


def _account(world: World, role: str) -> Path:
    """Return the kubeconfig of a service account that has this role in the namespace."""
    world.kubectl("create", "serviceaccount", role)
    world.kubectl("create", "rolebinding", role, f"--clusterrole={role}", f"--serviceaccount={world.namespace}:{role}")
    token = world.plane.service_account_token(world.namespace, role)
    path = world.plane.kubeconfig_for(token=token, name=f"{world.namespace}-{role}", namespace=world.namespace)
    may = ("auth", "can-i", "get", "imig")
    until(lambda: not world.kubectl(*may, kubeconfig=path, check=False).returncode, what="the grant")
    return path


def _parts(text: str) -> tuple[str, str, str]:
    before, _, rest = text.partition(BEGIN)
    written, _, after = rest.partition(END)
    return before, written, after


def _tables(answers: Heard) -> str:
    """Return people and attempts as Markdown."""
    people = "".join(f"| {name} | {who} |\n" for name, who in attempts.WHO.items())
    parts = [f"\n| who | has |\n|---|---|\n{people}"]
    number = 0
    for title, group in ATTEMPTS.items():
        parts.append(f"\n### {title}\n\n| | who | tries | by | while it | answer |\n|---|---|---|---|---|---|\n")
        for attempt in group:
            number += 1
            parts.append(_row(number, attempt, answers[id(attempt)]))
    return "".join(parts) + "\n"


def _row(number: int, attempt: Attempt, answer: Answer) -> str:
    request = attempt.request
    way = f"{request.how} of the status" if request.subresource else request.how
    told = {Outcome.ALLOWED: "allowed", Outcome.WITHOUT_EFFECT: "taken, without effect"}
    said = told.get(answer.outcome) or f"{answer.code} {answer.message}"
    cells = (str(number), attempt.who, attempt.what, way, attempt.state.name, said)
    escaped = (cell.replace("|", "&#124;") for cell in cells)
    return f"| {' | '.join(escaped)} |\n"
