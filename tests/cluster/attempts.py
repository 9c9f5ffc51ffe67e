"""Who tries what on an ImageMigration, and what the API server has to answer.

Each attempt is one HTTP request, so that its form is the test's and not kubectl's. The
rights are real roles and bindings; people are impersonated, which the API server treats
as it treats them, and service accounts come with their tokens.
"""
# ruff: noqa: E501 - a row of the table is a line

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests import manifests
from tests.controlplane.audit import OPERATOR_USER
from tests.manifests import Json

PROOF, OLD, MADE_UP = (f"v1:sha256:{letter * 64}" for letter in "a0f")
NAMESPACE, ELSEWHERE = "team-images", "team-other"
ACCOUNTS = {"flux": NAMESPACE, "argo": NAMESPACE, "impostor": ELSEWHERE}
"""Service accounts that are no people, and where they are."""
USERS = {
    "operator": OPERATOR_USER,
    "flux": f"system:serviceaccount:{NAMESPACE}:flux",
    "argo": f"system:serviceaccount:{NAMESPACE}:argo",
    "impostor": f"system:serviceaccount:{ELSEWHERE}:imageferry",
}
"""User names that are not as in the table."""

WHO = {
    "ed": "an editor: the role `imageferry-editor`",
    "sam": "an editor who may also write `imagemigrations/status`, without the verb `verify`",
    "vera, victor": "verifiers: the role `imageferry-verifier`",
    "rita": "a verifier who may also replace a status (`update`)",
    "mini": "may `patch` the status and has the verb `verify`, and nothing else",
    "max": "an editor and a verifier",
    "wanda": "may write the status here, and has the verb `verify` in another namespace alone",
    "clara": "a cluster-admin",
    "root": "a member of `system:masters`",
    "flux": "the service account of a GitOps tool, with `imageferry-editor`",
    "argo": "the service account of a GitOps tool, with `imageferry-editor` and `imageferry-verifier`",
    "operator": "the operator's service account, with its token and rights",
    "impostor": "a service account `imageferry` of another namespace, which may write any status",
}


class Outcome(StrEnum):
    """How an attempt has to end."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    WITHOUT_EFFECT = "without effect"


ALLOWED, REFUSED, WITHOUT_EFFECT = Outcome


@dataclass(frozen=True, slots=True)
class State:
    """How the migration stands before the attempt."""

    name: str
    status: Json | None = None
    spec: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent; `body` is made from the stored resource."""

    how: str
    method: str
    content_type: str
    body: Callable[[Json], Any]
    subresource: str = ""
    query: str = ""
    impersonate: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row of the table."""

    who: str
    what: str
    request: Request
    expected: Outcome
    state: State


def condition(kind: str, status: str, **more: str) -> Json:
    """Return an entry of the conditions."""
    return {"type": kind, "status": status, **more}


def _own(kind: str, status: str) -> Json:
    times = {"lastTransitionTime": "2026-05-01T00:00:00Z"}
    return condition(kind, status, reason="Said", message="The operator says so.", **times) | {"observedGeneration": 1}


OWN = [_own("Ready", "True"), _own("VersionReady", "True"), _own("Replicated", "True"), _own("SourceDeleted", "False")]
SCANNED = condition("scanner.example.com/Clean", "True")
SOURCE = manifests.image_id("web")
VERSION = f"{manifests.gallery_id()}/images/web/versions/1.0.0"
AWAITED: Json = {
    "observedGeneration": 1,
    "phase": "AwaitingVerification",
    "conditions": [*OWN, SCANNED],
    "operation": {
        "id": "1",
        "action": "CreateVersion",
        "resource": VERSION,
        "requestedAt": "2026-05-01T00:00:00Z",
        "attempt": 1,
    },
    "source": {"id": SOURCE, "location": "westeurope", "fingerprint": "f1"},
    "definition": {"id": VERSION.rpartition("/versions/")[0], "outcome": "Created"},
    "version": {"id": VERSION, "outcome": "Created", "provisioningState": "Succeeded", "attempts": 1},
    "replication": {
        "summary": "1/1",
        "progress": 100,
        "regions": [{"name": "westeurope", "state": "Completed", "progress": 100}],
    },
    "proof": {"digest": PROOF, "sourceFingerprint": "f1", "versionId": VERSION.lower(), "publishedDate": "2026-05-01"},
    "deletion": {"guards": [{"name": "VerificationCurrent", "passed": False, "message": "nobody has"}]},
    "error": {"code": "Conflict", "message": "busy", "kind": "WaitForState"},
    "plan": [{"action": "CreateVersion", "resource": VERSION}],
    "findings": [{"severity": "Notes", "reason": "Large", "message": "a large disk"}],
    "lastHandledReconcileAt": "once",
}
"""Every field of the status that is the operator's; a test sees to it that none is left out."""


def _said(status: str, by: str = "", *, digest: str = PROOF, proof: str = PROOF, **more: str) -> Json:
    seen = {"lastTransitionTime": "2026-05-02T00:00:00Z"}
    told: Json = {"conditions": [*OWN, SCANNED, condition("Verified", status, **seen, **more)]}
    if by:
        told["verification"] = {"by": by, "digest": digest, "at": "2026-05-02T00:00:00Z", "method": "Condition"}
    return {**AWAITED, "proof": {**AWAITED["proof"], "digest": proof}, **told}


FRESH = State("just created")
AWAITING = State("awaits verification", AWAITED)
BY_VERA = State("verified by vera", _said("True", "vera"))
VETOED = State("vetoed by victor", _said("False"))
CHANGED = State("verified by vera, proof changed since", _said("True", "vera", digest=OLD))
HALF_VETOED = State("vetoed by victor, the operator yet to see it", _said("False", "vera"))
VOIDED = State("verification void", _said("Unknown", reason="ProofChanged"))
RETAINED = State("policy Retain", AWAITED, {"sourceDeletion": {"policy": "Retain"}})
GRACED = State("grace of a day", AWAITED, {"sourceDeletion": {"graceSeconds": 86400}})
APPROVED = State("approved in the spec", AWAITED, {"verification": {"approvedDigest": PROOF}})
LIMITED = State("verification expires", AWAITED, {"verification": {"validForSeconds": 3600}})
WAIVERS = [{"guard": "Settled", "reason": "CHG-1234"}]
WAIVED = State("a guard waived", AWAITED, {"sourceDeletion": {"waivers": WAIVERS}})

_MANY = [{"field": f"properties.publishingProfile.targetRegions.{n}.regionalReplicaCount"} for n in range(512)]
LARGE = State("a plan as long as can be", AWAITED | {"plan": [{**AWAITED["plan"][0], "changes": _MANY}] * 16})
MERGE, JSON_PATCH, APPLY, PLAIN = (
    "application/merge-patch+json",
    "application/json-patch+json",
    "application/apply-patch+yaml",
    "application/json",
)


def merge(part: Json, *, subresource: str = "", impersonate: str = "") -> Request:
    """Merge into the resource or its subresource."""
    return Request("merge patch", "PATCH", MERGE, lambda _: part, subresource, impersonate=impersonate)


def merge_status(**status: Any) -> Request:
    """Merge into the status."""
    return merge({"status": status}, subresource="status")


def json_patch(*operations: Json, subresource: str = "status") -> Request:
    """Send a JSON patch."""
    return Request("JSON patch", "PATCH", JSON_PATCH, lambda _: list(operations), subresource)


def add(path: str, value: Any) -> Json:
    """Return an operation of a JSON patch."""
    return {"op": "add", "path": path, "value": value}


def _bare(body: Json, part: Json) -> Json:
    metadata = {"name": body["metadata"]["name"], "namespace": body["metadata"]["namespace"]}
    return {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": metadata, **part}


def apply_status(manager: str = "kubectl", **status: Any) -> Request:
    """Apply a part of the status server-side, as the command in the message of Ready does."""
    query = f"?fieldManager={manager}&force=true"
    return Request("server-side apply", "PATCH", APPLY, lambda body: _bare(body, {"status": status}), "status", query)


def apply_spec(**changes: Any) -> Request:
    """Apply the manifest server-side, with changes, as a GitOps tool does."""
    manifest = manifests.migration("web", **changes)
    query = "?fieldManager=gitops&force=true"
    return Request("server-side apply", "PATCH", APPLY, lambda body: _bare(body, {"spec": manifest["spec"]}), "", query)


def replace(change: Callable[[Json], None], *, subresource: str = "") -> Request:
    """Replace the whole resource, or its status."""

    def body(stored: Json) -> Json:
        whole = deepcopy(stored)
        change(whole)
        return whole

    return Request("replace", "PUT", PLAIN, body, subresource)


def create(status: Json | None = None, **changes: Any) -> Request:
    """Create another migration; with a status, only that counts as an effect."""

    def body(stored: Json) -> Json:
        manifest = manifests.migration(f"{stored['metadata']['name']}-new", **changes)
        return manifest | ({"status": status} if status else {})

    return Request("create", "POST", PLAIN, body)


def delete() -> Request:
    """Delete the migration."""
    return Request("delete", "DELETE", PLAIN, lambda _: None)


YES, NO = condition("Verified", "True"), condition("Verified", "False")


def word(by: str, digest: str = PROOF, **more: str) -> Json:
    """Return a status.verification."""
    return {"by": USERS.get(by, by), "digest": digest, **more}


def says(by: str, entry: Json = YES, **more: str) -> Json:
    """Return the fields of a status that verify."""
    return {"conditions": [entry], "verification": word(by, **more)}


def whole(entry: Json = YES) -> list[Json]:
    """Return the list of conditions with one more."""
    return [*OWN, SCANNED, entry]


def _replaced(body: Json) -> None:
    body["status"] |= {"conditions": whole(), "verification": word("rita")}


def _replaced_by_sam(body: Json) -> None:
    body["status"] |= {"conditions": whole(), "verification": word("sam")}


def _renamed(body: Json) -> None:
    body["status"]["verification"]["by"] = "rita"


def _through_status(body: Json) -> None:
    body["spec"]["suspend"] = True
    body["metadata"] |= {"labels": {"a": "b"}, "finalizers": ["example.com/hold"]}


def _approved(body: Json) -> None:
    body["spec"]["verification"] = {"approvedDigest": PROOF}


def _without_deletion(body: Json) -> None:
    del body["spec"]["sourceDeletion"]


SpecChange = Mapping[str, Any]
APPROVAL: SpecChange = {"verification": {"approvedDigest": PROOF}}
WAIVER: SpecChange = {"sourceDeletion": {"waivers": WAIVERS}}


def spec(**changes: Any) -> Request:
    """Merge into the spec."""
    return merge({"spec": changes})


Row = tuple[str, str, Request, Outcome, State]

VERIFYING: list[Row] = [
    ("vera", "verifies as the message of Ready tells", apply_status(**says("vera")), ALLOWED, AWAITING),
    ("vera", "verifies, with the whole list", merge_status(conditions=whole(), verification=word("vera")), ALLOWED, AWAITING),
    ("vera", "verifies", json_patch(add("/status/conditions/-", YES), add("/status/verification", word("vera"))), ALLOWED, AWAITING),
    ("rita", "verifies", replace(_replaced, subresource="status"), ALLOWED, AWAITING),
    ("vera", "writes `verified`", apply_status(**says("vera", condition("verified", "True"))), ALLOWED, AWAITING),
    ("vera", "writes `VERIFIED`", apply_status(**says("vera", condition("VERIFIED", "True"))), ALLOWED, AWAITING),
    ("vera", "verifies, with evidence", apply_status(**says("vera", evidence="CHG-1")), ALLOWED, AWAITING),
    ("vera", "verifies", apply_status(**says("vera")), ALLOWED, LARGE),
    ("mini", "verifies", apply_status(**says("mini")), ALLOWED, AWAITING),
    ("max", "verifies", apply_status(**says("max")), ALLOWED, AWAITING),
    ("argo", "verifies", apply_status(**says("argo")), ALLOWED, AWAITING),
    ("clara", "verifies", apply_status(**says("clara")), ALLOWED, AWAITING),
    ("vera", "verifies the new proof", apply_status(**says("vera")), ALLOWED, VOIDED),
    ("victor", "vouches instead of vera, in his own name", apply_status(**says("victor")), ALLOWED, BY_VERA),
    ("victor", "vetoes what vera verified", apply_status(conditions=[NO]), ALLOWED, BY_VERA),
    ("victor", "vetoes, with evidence", apply_status(conditions=[NO], verification={"by": "victor", "evidence": "CHG-2"}), ALLOWED, BY_VERA),
    ("vera", "vetoes before anybody verified", merge_status(conditions=whole(NO)), ALLOWED, AWAITING),
    ("vera", "vetoes before there is a proof", merge_status(conditions=[NO]), ALLOWED, FRESH),
    ("vera", "lifts victor's veto and verifies", apply_status(**says("vera")), ALLOWED, VETOED),
    ("vera", "takes victor's veto away", merge_status(conditions=[*OWN, SCANNED]), ALLOWED, VETOED),
    ("victor", "takes vera's verification away", merge_status(conditions=[*OWN, SCANNED], verification=None), ALLOWED, BY_VERA),
    ("victor", "writes `Unknown`", apply_status(conditions=[condition("Verified", "Unknown")]), ALLOWED, BY_VERA),
    ("vera", "puts her Verified first in the list", merge_status(conditions=[_said("True")["conditions"][-1], *OWN, SCANNED]), ALLOWED, BY_VERA),
]  # fmt: skip

WRONG_PROOF: list[Row] = [
    ("vera", "verifies without a digest", apply_status(conditions=[YES], verification={"by": "vera"}), REFUSED, AWAITING),
    ("vera", "verifies with a digest that was made up", apply_status(**says("vera", digest=MADE_UP)), REFUSED, AWAITING),
    ("vera", "verifies with the digest of an earlier proof", apply_status(**says("vera", digest=OLD)), REFUSED, VOIDED),
    ("victor", "verifies what vera verified, the proof having changed", apply_status(**says("victor", digest=OLD)), REFUSED, CHANGED),
    ("rita", "verifies in her name what vera verified, the proof having changed", replace(_renamed, subresource="status"), REFUSED, CHANGED),
    ("vera", "says again what she said, the proof having changed: it stays void", apply_status(**says("vera", digest=OLD)), ALLOWED, CHANGED),
    ("vera", "adds evidence, the proof having changed", apply_status(verification={"evidence": "CHG-1"}), REFUSED, CHANGED),
    ("vera", "writes `verified` with a digest that was made up", apply_status(**says("vera", condition("verified", "True"), digest=MADE_UP)), REFUSED, AWAITING),
    ("vera", "verifies before there is a proof", apply_status(**says("vera")), REFUSED, FRESH),
    ("vera", "verifies before there is a proof, without a digest", apply_status(conditions=[YES], verification={"by": "vera"}), REFUSED, FRESH),
    ("vera", "verifies, and changes the proof to fit", apply_status(**says("vera", digest=MADE_UP), proof={**AWAITED["proof"], "digest": MADE_UP}), REFUSED, AWAITING),
]  # fmt: skip

WRONG_NAME: list[Row] = [
    ("vera", "verifies in nobody's name", apply_status(conditions=[YES], verification={"digest": PROOF}), REFUSED, AWAITING),
    ("vera", "sets the condition alone", apply_status(conditions=[YES]), REFUSED, AWAITING),
    ("vera", "sets `VERIFIED` alone", apply_status(conditions=[condition("VERIFIED", "True")]), REFUSED, AWAITING),
    ("vera", "verifies as victor", apply_status(**says("victor")), REFUSED, AWAITING),
    ("vera", "verifies as `Vera`", apply_status(**says("Vera")), REFUSED, AWAITING),
    ("vera", "verifies as the operator", apply_status(**says(OPERATOR_USER)), REFUSED, AWAITING),
    ("clara", "verifies as vera", apply_status(**says("vera")), REFUSED, AWAITING),
    ("flux", "verifies as argo", apply_status(**says("argo")), REFUSED, AWAITING),
    ("victor", "lifts his veto with vera's name left in place", merge_status(conditions=whole()), REFUSED, HALF_VETOED),
    ("victor", "changes the evidence of vera's verification", merge_status(verification={"evidence": "forged"}), REFUSED, BY_VERA),
    ("victor", "changes the message of vera's verification", apply_status(conditions=[{**YES, "message": "forged"}]), REFUSED, BY_VERA),
    ("victor", "vetoes as vera", apply_status(**says("vera", NO)), REFUSED, AWAITING),
    ("vera", "writes a time of her own", apply_status(**says("vera", at="2020-01-01T00:00:00Z")), REFUSED, AWAITING),
    ("vera", "writes a method of her own", apply_status(**says("vera", method="BootTest")), REFUSED, AWAITING),
]  # fmt: skip

NO_VERB: list[Row] = [
    ("ed", "verifies", merge_status(conditions=whole(), verification=word("ed")), REFUSED, AWAITING),
    ("ed", "verifies", apply_status(**says("ed")), REFUSED, AWAITING),
    ("ed", "verifies", replace(_replaced, subresource="status"), REFUSED, AWAITING),
    ("ed", "verifies through the resource instead of its status", merge({"status": says("ed")}), WITHOUT_EFFECT, AWAITING),
    ("ed", "creates it with a status that says Verified", create(status={**AWAITED, **says("ed")}), WITHOUT_EFFECT, FRESH),
    ("sam", "verifies", merge_status(conditions=whole(), verification=word("sam")), REFUSED, AWAITING),
    ("sam", "verifies", json_patch(add("/status/conditions/-", YES), add("/status/verification", word("sam"))), REFUSED, AWAITING),
    ("sam", "verifies", apply_status(**says("sam")), REFUSED, AWAITING),
    ("sam", "verifies", replace(_replaced_by_sam, subresource="status"), REFUSED, AWAITING),
    ("sam", "writes `verified`", apply_status(**says("sam", condition("verified", "True"))), REFUSED, AWAITING),
    ("sam", "verifies as vera", apply_status(**says("vera")), REFUSED, AWAITING),
    ("sam", "verifies as the field manager of the operator", apply_status("imageferry", **says("sam")), REFUSED, AWAITING),
    ("sam", "lifts a veto", merge_status(conditions=[*OWN, SCANNED]), REFUSED, VETOED),
    ("sam", "vetoes", apply_status(conditions=[NO]), REFUSED, BY_VERA),
    ("sam", "moves vera's word to the new proof", merge_status(verification={"digest": PROOF}), REFUSED, CHANGED),
    ("sam", "completes the deletion", merge_status(phase="Completed"), REFUSED, AWAITING),
    ("sam", "changes nothing", merge_status(phase="AwaitingVerification"), REFUSED, AWAITING),
    ("wanda", "verifies", apply_status(**says("wanda")), REFUSED, AWAITING),
    ("flux", "verifies", apply_status(**says("flux")), REFUSED, AWAITING),
    ("flux", "impersonates the operator", merge({"status": {"phase": "Completed"}}, subresource="status", impersonate=OPERATOR_USER), REFUSED, AWAITING),
    ("impostor", "verifies", apply_status(**says("impostor")), REFUSED, AWAITING),
    ("impostor", "changes the phase", merge_status(phase="Completed"), REFUSED, AWAITING),
]  # fmt: skip

FIELDS: list[Row] = [
    *(("vera", f"removes status.{name}", merge_status(**{name: None}), REFUSED, AWAITING) for name in AWAITED if name != "conditions"),
    ("vera", "removes status.plan", merge_status(plan=None), REFUSED, LARGE),
    ("vera", "changes status.phase", merge_status(phase="Completed"), REFUSED, AWAITING),
    ("vera", "changes a region", merge_status(replication={"regions": [{"name": "westeurope", "state": "Failed"}]}), REFUSED, AWAITING),
    ("vera", "lets a guard hold", merge_status(deletion={"guards": [{"name": "VerificationCurrent", "passed": True}]}), REFUSED, AWAITING),
    ("vera", "forges a receipt", merge_status(deletion={"receipt": {"outcome": "Deleted", "resource": SOURCE, "at": "2026-05-01T00:00:00Z"}}), REFUSED, AWAITING),
    ("vera", "announces a deletion", merge_status(operation={"action": "DeleteImage"}), REFUSED, AWAITING),
    ("vera", "verifies, and changes the phase", apply_status(**says("vera"), phase="Completed"), REFUSED, AWAITING),
    ("rita", "removes the whole status", replace(lambda body: body.pop("status"), subresource="status"), REFUSED, AWAITING),
    ("vera", "removes Ready", merge_status(conditions=[*OWN[1:], SCANNED, YES], verification=word("vera")), REFUSED, AWAITING),
    ("vera", "removes the condition of another controller", merge_status(conditions=OWN), REFUSED, AWAITING),
    ("vera", "changes Replicated", apply_status(conditions=[condition("Replicated", "False")]), REFUSED, AWAITING),
    ("vera", "adds a condition of another name", apply_status(conditions=[condition("Approved", "True")]), REFUSED, AWAITING),
    ("vera", "reorders the conditions", merge_status(conditions=[SCANNED, *OWN]), REFUSED, AWAITING),
    ("vera", "verifies with a list of Verified alone", merge_status(**says("vera")), REFUSED, AWAITING),
    ("vera", "writes two Verified", merge_status(conditions=[*whole(), condition("verified", "False")], verification=word("vera")), REFUSED, AWAITING),
    ("victor", "adds `verified` beside vera's `Verified`", apply_status("another", conditions=[condition("verified", "False")]), REFUSED, BY_VERA),
    ("vera", "suspends through the status", json_patch(add("/spec/suspend", value=True)), WITHOUT_EFFECT, AWAITING),
    ("rita", "labels, holds and suspends through the status", replace(_through_status, subresource="status"), WITHOUT_EFFECT, AWAITING),
    ("vera", "suspends", spec(suspend=True), REFUSED, AWAITING),
    ("vera", "approves in the spec", spec(**APPROVAL), REFUSED, AWAITING),
    ("vera", "deletes the migration", delete(), REFUSED, AWAITING),
    ("clara", "changes status.phase", merge_status(phase="Completed"), REFUSED, AWAITING),
    ("clara", "removes the proof", merge_status(proof=None), REFUSED, AWAITING),
    ("root", "changes status.phase", merge_status(phase="Completed"), REFUSED, AWAITING),
    ("root", "removes Ready", merge_status(conditions=[*OWN[1:], SCANNED]), REFUSED, AWAITING),
]  # fmt: skip

SPEC: list[Row] = [
    ("ed", "creates it", create(), ALLOWED, FRESH),
    ("ed", "creates it with an empty spec.verification and no waivers", create(verification={}, sourceDeletion={"waivers": []}), ALLOWED, FRESH),
    ("ed", "creates it approved", create(**APPROVAL), REFUSED, FRESH),
    ("ed", "creates it with a verification that expires", create(verification={"validForSeconds": 60}), REFUSED, FRESH),
    ("ed", "creates it with a waiver", create(**WAIVER), REFUSED, FRESH),
    ("ed", "approves in the spec", spec(**APPROVAL), REFUSED, AWAITING),
    ("ed", "approves in the spec", json_patch(add("/spec/verification", APPROVAL["verification"]), subresource=""), REFUSED, AWAITING),
    ("ed", "approves in the spec", apply_spec(**APPROVAL), REFUSED, AWAITING),
    ("ed", "approves in the spec", replace(_approved), REFUSED, AWAITING),
    ("ed", "approves, and turns to Retain", spec(**APPROVAL, sourceDeletion={"policy": "Retain"}), REFUSED, AWAITING),
    ("ed", "lets a verification count for longer", spec(verification={"validForSeconds": 7200}), REFUSED, LIMITED),
    ("ed", "lets a verification never expire", spec(verification=None), REFUSED, LIMITED),
    ("ed", "waives a guard", spec(**WAIVER), REFUSED, AWAITING),
    ("ed", "waives a guard", apply_spec(**WAIVER), REFUSED, AWAITING),
    ("ed", "changes the reason of a waiver", spec(sourceDeletion={"waivers": [{**WAIVERS[0], "reason": "none"}]}), REFUSED, WAIVED),
    ("ed", "turns Retain to Delete", spec(sourceDeletion={"policy": "Delete"}), REFUSED, RETAINED),
    ("ed", "turns Retain to Delete", apply_spec(sourceDeletion={"policy": "Delete"}), REFUSED, RETAINED),
    ("ed", "turns Retain to Delete by leaving it out", replace(_without_deletion), REFUSED, RETAINED),
    ("ed", "turns Retain to Delete by leaving it out", spec(sourceDeletion=None), REFUSED, RETAINED),
    ("ed", "shortens the grace", spec(sourceDeletion={"graceSeconds": 0}), REFUSED, GRACED),
    ("ed", "lengthens the grace", spec(sourceDeletion={"graceSeconds": 90000}), ALLOWED, GRACED),
    ("ed", "turns Delete to Retain", spec(sourceDeletion={"policy": "Retain"}), ALLOWED, AWAITING),
    ("ed", "adds a region and suspends", spec(suspend=True, version={"targetRegions": [{"name": "uksouth"}]}), ALLOWED, AWAITING),
    ("ed", "adds a region to what a verifier has approved", spec(version={"targetRegions": [{"name": "uksouth"}]}), ALLOWED, APPROVED),
    ("sam", "approves in the spec", spec(**APPROVAL), REFUSED, AWAITING),
    ("max", "approves in the spec", spec(**APPROVAL), ALLOWED, AWAITING),
    ("max", "waives a guard", spec(**WAIVER), ALLOWED, AWAITING),
    ("max", "turns Retain to Delete", spec(sourceDeletion={"policy": "Delete"}), ALLOWED, RETAINED),
    ("max", "creates it approved", create(**APPROVAL), ALLOWED, FRESH),
    ("clara", "turns Retain to Delete", spec(sourceDeletion={"policy": "Delete"}), ALLOWED, RETAINED),
    ("flux", "applies a manifest from Git, with another tag", apply_spec(version={"tags": {"a": "b"}}), ALLOWED, AWAITING),
    ("flux", "applies a manifest with an approval", apply_spec(**APPROVAL), REFUSED, AWAITING),
    ("flux", "applies a manifest with an approval that is there", apply_spec(**APPROVAL, version={"tags": {"a": "b"}}), ALLOWED, APPROVED),
    ("flux", "takes the approval out", spec(verification=None), REFUSED, APPROVED),
    ("flux", "applies a manifest with a waiver", apply_spec(**WAIVER), REFUSED, AWAITING),
    ("flux", "applies a manifest with Delete over Retain", apply_spec(sourceDeletion={"policy": "Delete"}), REFUSED, RETAINED),
    ("argo", "applies a manifest with an approval", apply_spec(**APPROVAL), ALLOWED, AWAITING),
    ("argo", "applies a manifest with a waiver", apply_spec(**WAIVER), ALLOWED, AWAITING),
    ("argo", "applies a manifest with Delete over Retain", apply_spec(sourceDeletion={"policy": "Delete"}), ALLOWED, RETAINED),
]  # fmt: skip

BY_OPERATOR: list[Row] = [
    ("operator", "writes its status", merge_status(phase="Deleting", conditions=[*OWN, SCANNED]), ALLOWED, AWAITING),
    ("operator", "completes a verification", merge_status(verification={"at": "2026-05-03T00:00:00Z", "method": "Condition"}), ALLOWED, BY_VERA),
    ("operator", "voids a verification", merge_status(conditions=whole(condition("Verified", "Unknown")), verification=None), ALLOWED, CHANGED),
    ("operator", "approves in the spec", spec(**APPROVAL), REFUSED, AWAITING),
]  # fmt: skip

GROUPS: dict[str, list[Row]] = {
    "Verifying and vetoing": VERIFYING,
    "For another proof than the current one": WRONG_PROOF,
    "In another's name": WRONG_NAME,
    "Without the verb": NO_VERB,
    "More than verifying": FIELDS,
    "Through the spec": SPEC,
    "The operator": BY_OPERATOR,
}
ATTEMPTS: dict[str, list[Attempt]] = {
    title: [Attempt(who, what, request, expected, state) for who, what, request, expected, state in rows]
    for title, rows in GROUPS.items()
}
