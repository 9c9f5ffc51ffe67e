"""What the API server itself refuses, with a message that names the field, and what it takes.

No operator runs here. All manifests of a table go through one kubectl, as from a folder in
Git: each is refused or taken for itself, by client-side and by server-side apply alike.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from tests import manifests
from tests.cluster.world import AS_OPERATOR
from tests.controlplane import ControlPlane, Kubectl
from tests.manifests import Json

SOURCE, GALLERY = "spec.source.managedImageId", "spec.gallery.id"
DEFINITION, VERSION = "spec.definition", "spec.version"
REGIONS = f"{VERSION}.targetRegions"
WAIVERS = "spec.sourceDeletion.waivers"
IMAGE = manifests.image_id("web")
PROVIDERS = IMAGE.rpartition("/images/")[0]
APPLY = {"client": ("apply", "--filename=-"), "server": ("apply", "--server-side", "--filename=-")}


@dataclass(frozen=True)
class Refusal:
    """What is asked for, and what the refusal has to name."""

    spec: Json
    field: str
    says: str = ""


def source(image: str | None) -> Json:
    """Ask for another image."""
    return {"source": {"managedImageId": image}}


def gallery(resource: str | None) -> Json:
    """Ask for another gallery."""
    return {"gallery": {"id": resource}}


def version(**fields: Any) -> Json:
    """Ask for another version."""
    return {"version": fields}


def regions(*names: str, **fields: Any) -> Json:
    """Ask for target regions that all say the same."""
    return version(targetRegions=[{"name": name, **fields} for name in names])


def waivers(**waiver: str) -> Json:
    """Ask for a guard to be waived."""
    return {"sourceDeletion": {"waivers": [waiver]}}


REFUSED: dict[str, Refusal] = {
    "image-as-portal-link": Refusal(source(f"https://portal.azure.com/#resource{IMAGE}"), SOURCE, "this is a link"),
    "image-without-slash": Refusal(source(IMAGE[1:]), SOURCE, "the id is not complete"),
    "image-by-name": Refusal(source("web"), SOURCE, "the id is not complete"),
    "image-with-trailing-slash": Refusal(source(f"{IMAGE}/"), SOURCE, "remove the last character"),
    "image-with-trailing-space": Refusal(source(f"{IMAGE} "), SOURCE, "remove the last character"),
    "disk-as-image": Refusal(source(f"{PROVIDERS}/disks/web"), SOURCE, "only managed images"),
    "snapshot-as-image": Refusal(source(f"{PROVIDERS}/snapshots/web"), SOURCE, "only managed images"),
    "machine-as-image": Refusal(source(f"{PROVIDERS}/virtualMachines/web"), SOURCE, "only managed images"),
    "gallery-image-as-image": Refusal(
        source(f"{manifests.gallery_id()}/images/web/versions/1.0.0"), SOURCE, "in a gallery already"
    ),
    "image-in-subscription-by-name": Refusal(
        source(manifests.image_id("web", subscription="production")), SOURCE, "the subscription must be a GUID"
    ),
    "image-of-another-provider": Refusal(source(IMAGE.replace("Compute", "Storage")), SOURCE, "must be the id of"),
    "image-too-long": Refusal(source(manifests.image_id("w" * 300)), SOURCE),
    "gallery-by-name": Refusal(gallery("prod"), GALLERY, "the id is not complete"),
    "gallery-with-trailing-slash": Refusal(gallery(f"{manifests.gallery_id()}/"), GALLERY, "remove the last character"),
    "gallery-with-hyphen": Refusal(gallery(manifests.gallery_id("my-gallery")), GALLERY, "no hyphen"),
    "gallery-in-subscription-by-name": Refusal(
        gallery(manifests.gallery_id(subscription="production")), GALLERY, "the subscription must be a GUID"
    ),
    "definition-with-trailing-dot": Refusal({"definition": {"name": "web."}}, f"{DEFINITION}.name"),
    "definition-with-slash": Refusal({"definition": {"name": "a/b"}}, f"{DEFINITION}.name"),
    "os-unknown": Refusal({"definition": {"osType": "windows"}}, f"{DEFINITION}.osType", "Windows"),
    "publisher-with-space": Refusal(
        {"definition": {"identifier": {"publisher": "my company"}}}, f"{DEFINITION}.identifier.publisher"
    ),
    "trusted-launch-on-v1": Refusal(
        {"definition": {"securityType": "TrustedLaunchSupported", "hyperVGeneration": "V1"}},
        f"{DEFINITION}.securityType",
        "needs hyperVGeneration V2",
    ),
    "version-of-two-numbers": Refusal(version(name="1.0"), f"{VERSION}.name", "three numbers"),
    "version-of-eleven-digits": Refusal(version(name="1.0.99999999999"), f"{VERSION}.name", "three numbers"),
    "version-above-32-bits": Refusal(version(name="1.0.2147483648"), f"{VERSION}.name", "at most 2147483647"),
    "version-with-leading-zero": Refusal(version(name="01.0.0"), f"{VERSION}.name", "leading zeros"),
    "version-with-letter": Refusal(version(name="v1.0.0"), f"{VERSION}.name", "three numbers"),
    "version-missing": Refusal(version(name=None), f"{VERSION}.name", "Required value"),
    "source-missing": Refusal({"source": None}, "spec.source", "Required value"),
    "image-missing": Refusal(source(None), SOURCE, "Required value"),
    "gallery-missing": Refusal(gallery(None), GALLERY, "Required value"),
    "definition-missing": Refusal({"definition": {"name": None}}, f"{DEFINITION}.name", "Required value"),
    "region-without-name": Refusal(version(targetRegions=[{"regionalReplicaCount": 1}]), REGIONS, "name"),
    "region-twice": Refusal(regions("westeurope", "westeurope"), REGIONS, "westeurope"),
    "region-by-display-name": Refusal(regions("West Europe"), REGIONS, "such as westeurope"),
    "regions-beyond-64": Refusal(regions(*(f"region{n}" for n in range(65))), REGIONS, "64"),
    "replicas-0": Refusal(version(replicaCount=0), f"{VERSION}.replicaCount", "1"),
    "replicas-101": Refusal(version(replicaCount=101), f"{VERSION}.replicaCount", "100"),
    "regional-replicas-0": Refusal(regions("westeurope", regionalReplicaCount=0), REGIONS, "regionalReplicaCount"),
    "regional-replicas-101": Refusal(regions("westeurope", regionalReplicaCount=101), REGIONS, "regionalReplicaCount"),
    "shallow-and-deleted": Refusal(
        version(replicationMode="Shallow"), "spec.sourceDeletion.policy", "set sourceDeletion.policy to Retain"
    ),
    "shallow-in-two-regions": Refusal(
        {
            "version": {"replicationMode": "Shallow", "targetRegions": [{"name": "westeurope"}, {"name": "uksouth"}]},
            "sourceDeletion": {"policy": "Retain"},
        },
        REGIONS,
        "one region",
    ),
    "shallow-in-two-copies": Refusal(
        {"version": {"replicationMode": "Shallow", "replicaCount": 2}, "sourceDeletion": {"policy": "Retain"}},
        f"{VERSION}.replicaCount",
        "one copy",
    ),
    "recommended-upside-down": Refusal(
        {"definition": {"recommended": {"vCPUs": {"min": 4, "max": 2}}}},
        f"{DEFINITION}.recommended.vCPUs.min",
        "must not be greater than max",
    ),
    "grace-below-0": Refusal({"sourceDeletion": {"graceSeconds": -1}}, "spec.sourceDeletion.graceSeconds"),
    "digest-of-another-shape": Refusal(
        {"verification": {"approvedDigest": "v1:sha256:ABC"}}, "spec.verification.approvedDigest", "must be a digest"
    ),
    "valid-for-no-time": Refusal({"verification": {"validForSeconds": 0}}, "spec.verification.validForSeconds"),
    "expired-before-the-grace-ends": Refusal(
        {"verification": {"validForSeconds": 60}, "sourceDeletion": {"graceSeconds": 60}},
        "spec.verification.validForSeconds",
        "would expire before the grace ends",
    ),
    "waiver-of-another-guard": Refusal(waivers(guard="SourceUnchanged", reason="why not"), WAIVERS, "NoConsumers"),
    "waiver-without-reason": Refusal(waivers(guard="Settled"), WAIVERS, "reason"),
    "waiver-with-blank-reason": Refusal(waivers(guard="Settled", reason=" "), WAIVERS, "must say why"),
    "field-misspelled": Refusal(version(replicaCounts=2), "spec.version.replicaCounts"),
}

ZONED: Json = {"name": "westeurope", "storageAccountType": "Standard_ZRS"}
PLAIN: Json = {"name": "northeurope"}
KEYS: Json = {"osDiskImage": {"diskEncryptionSetId": f"{PROVIDERS}/diskEncryptionSets/keys"}}

CHANGED: dict[str, Refusal] = {
    "other-image": Refusal(source(manifests.image_id("other")), SOURCE, "is immutable (was "),
    "other-gallery": Refusal(gallery(manifests.gallery_id("other")), GALLERY, "is immutable (was "),
    "other-definition": Refusal({"definition": {"name": "other"}}, f"{DEFINITION}.name", "is immutable (was web)"),
    "other-version": Refusal(version(name="1.0.1"), f"{VERSION}.name", "is immutable (was 1.0.0)"),
    "other-mode": Refusal(
        {"version": {"replicationMode": "Shallow"}, "sourceDeletion": {"policy": "Retain"}},
        f"{VERSION}.replicationMode",
        "is immutable (was Full)",
    ),
    "other-storage": Refusal(
        version(storageAccountType="Premium_LRS"), f"{VERSION}.storageAccountType", "is immutable (was Standard_LRS)"
    ),
    "other-storage-of-a-region": Refusal(
        version(targetRegions=[{**ZONED, "storageAccountType": "Premium_LRS"}, PLAIN]), REGIONS, "is fixed once"
    ),
    "storage-of-a-region-taken-out": Refusal(
        version(targetRegions=[{"name": "westeurope"}, PLAIN]), REGIONS, "storageAccountType is fixed once"
    ),
    "storage-of-a-region-added": Refusal(
        version(targetRegions=[ZONED, {**PLAIN, "storageAccountType": "Premium_LRS"}]),
        REGIONS,
        "storageAccountType is fixed once",
    ),
    "keys-of-a-region-added": Refusal(
        version(targetRegions=[ZONED, {**PLAIN, "encryption": KEYS}]), REGIONS, "encryption is fixed once"
    ),
}
STORED = {"definition": {"name": "web"}, **version(targetRegions=[ZONED, PLAIN])}

ACCEPTED: dict[str, Json] = {
    "minimal": {},
    "ids-in-capitals": {**source(IMAGE.upper()), **gallery(manifests.gallery_id().upper())},
    "ids-in-small-letters": {**source(IMAGE.lower()), **gallery(manifests.gallery_id().lower())},
    "odd-names": {**source(manifests.image_id("W_1.a-b", group="Gruppe_(ä).x")), "definition": {"name": "a.b-c_"}},
    "largest-version": version(name="2147483647.0.2147483647"),
    "64-regions": regions(*(f"region{n}" for n in range(64)), regionalReplicaCount=100),
    "shallow-retained": {"version": {"replicationMode": "Shallow"}, "sourceDeletion": {"policy": "Retain"}},
    "everything": {
        "definition": {
            "identifier": {"publisher": "contoso", "offer": "web", "sku": "2019"},
            "osType": "Windows",
            "hyperVGeneration": "V2",
            "securityType": "TrustedLaunchSupported",
            "purchasePlan": {"name": "plan", "publisher": "contoso", "product": "web"},
        },
        "version": {
            "targetRegions": [
                {"name": "westeurope", "regionalReplicaCount": 2, "storageAccountType": "Standard_ZRS"},
                {"name": "northeurope", "excludeFromLatest": True},
            ],
            "replicaCount": 3,
            "storageAccountType": "Premium_LRS",
        },
        "verification": {"approvedDigest": f"v1:sha256:{'a' * 64}", "validForSeconds": 3600},
        "sourceDeletion": {
            "policy": "Delete",
            "graceSeconds": 3600,
            "waivers": [{"guard": "NoConsumers", "reason": "retired"}, {"guard": "Settled", "reason": "urgent"}],
        },
        "readyWhen": "Verified",
        "suspend": True,
    },
}


def documents(table: dict[str, Json]) -> str:
    """Return one manifest for each name, its changes laid over a good one; a None takes a field out."""
    made = [manifests.migration(name, **changes) for name, changes in table.items()]
    return "\n---\n".join(manifests.text(_without_nulls(each)) for each in made)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return value


def specs(table: dict[str, Refusal]) -> dict[str, Json]:
    """Return what is asked for, by name."""
    return {name: refusal.spec for name, refusal in table.items()}


def said_of(name: str, answer: str) -> str:
    """Return what kubectl said of one manifest, by either kind of apply."""
    own = [line for line in answer.splitlines() if f'"{name}"' in line or f"/{name};" in line]
    # an unknown field is refused before the API server knows the name
    return "\n".join(own) or "\n".join(line for line in answer.splitlines() if "strict decoding" in line)


@contextmanager
def place(plane: ControlPlane) -> Iterator[Kubectl]:
    """Give kubectl in a new namespace, and leave no migration there: others would see it as a sibling of theirs."""
    kubectl = partial(plane.kubectl, f"--namespace={plane.create_namespace()}")
    yield kubectl
    kubectl("delete", "imig", "--all", "--wait=false")


@pytest.fixture(scope="module")
def kubectl_here(deployed: ControlPlane) -> Iterator[Kubectl]:
    """Give kubectl in a namespace of this module's own."""
    with place(deployed) as kubectl:
        yield kubectl


@pytest.fixture
def kubectl_anew(deployed: ControlPlane) -> Iterator[Kubectl]:
    """Give kubectl in a namespace of the test's own."""
    with place(deployed) as kubectl:
        yield kubectl


@pytest.fixture(scope="module")
def refusals(kubectl_here: Kubectl) -> dict[str, str]:
    """Offer every bad manifest, once by each kind of apply."""
    sent = documents(specs(REFUSED))
    return {
        how: kubectl_here(*words, "--dry-run=server", input=sent, check=False).stderr for how, words in APPLY.items()
    }


@pytest.fixture(scope="module")
def changes(kubectl_here: Kubectl) -> dict[str, str]:
    """Store good manifests, then offer a forbidden change of each."""
    stored = dict.fromkeys(CHANGED, STORED)
    wanted = {name: manifests.merged(STORED, refusal.spec) for name, refusal in CHANGED.items()}
    answers = {}
    for how, words in APPLY.items():
        kubectl_here("delete", "imig", "--all")
        kubectl_here(*words, input=documents(stored))
        answers[how] = kubectl_here(*words, "--dry-run=server", input=documents(wanted), check=False).stderr
    return answers


@pytest.mark.parametrize("how", APPLY)
@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_manifest_is_refused_by_the_field(refusals: dict[str, str], name: str, how: str) -> None:
    """The API server's message names the field and, where it is known, the cure."""
    said = said_of(name, refusals[how])

    assert REFUSED[name].field.removeprefix("spec.") in said
    assert REFUSED[name].says in said


@pytest.mark.parametrize("how", APPLY)
@pytest.mark.parametrize("name", CHANGED)
def test_what_a_version_is_built_by_cannot_be_changed(changes: dict[str, str], name: str, how: str) -> None:
    """A change of identity is refused with the old value, instead of leaving an orphan in Azure."""
    said = said_of(name, changes[how])

    assert CHANGED[name].field in said
    assert CHANGED[name].says in said


def test_a_region_that_is_added_brings_its_storage_and_keys(kubectl_anew: Kubectl) -> None:
    """They are fixed from then on; what is listed already keeps what it has, and counts may change."""
    added = {"name": "uksouth", "storageAccountType": "Premium_LRS", "encryption": KEYS}
    kubectl_anew("apply", "--filename=-", input=documents({"grown": STORED}))
    kept = [ZONED | {"regionalReplicaCount": 2}, PLAIN, added]
    kubectl_anew(
        "apply", "--filename=-", input=documents({"grown": manifests.merged(STORED, version(targetRegions=kept))})
    )
    stored = json.loads(kubectl_anew("get", "imig", "grown", "--output=json").stdout)
    assert stored["spec"]["version"]["targetRegions"][2] == added


def test_nothing_refused_was_taken(refusals: dict[str, str], changes: dict[str, str], kubectl_here: Kubectl) -> None:
    """As many refusals as bad manifests, by either kind of apply."""
    for table, answers in ((REFUSED, refusals), (CHANGED, changes)):
        for how, answer in answers.items():
            assert [name for name in table if not said_of(name, answer)] == [], how
    assert set(kubectl_here("get", "imig", "--output=name").stdout.split()).isdisjoint(
        f"imagemigration.imageferry.dev/{name}" for name in REFUSED
    )


@pytest.mark.parametrize("how", APPLY)
def test_good_manifests_are_taken_and_show_no_difference(kubectl_anew: Kubectl, how: str) -> None:
    """After an apply `kubectl diff` is empty: no default and no re-cased id looks like drift to GitOps."""
    text, words = documents(ACCEPTED), APPLY[how]
    kubectl_anew(*words, input=text)

    shown = kubectl_anew("diff", *words[1:], input=text, check=False)

    assert (shown.returncode, shown.stdout) == (0, "")


def test_letter_case_of_an_id_may_change(kubectl_anew: Kubectl) -> None:
    """ARM ids are the same in any letter case, so a re-cased one is no change of identity."""
    kubectl_anew("apply", "--filename=-", input=documents({"web": {}}))
    shouted = {**source(IMAGE.upper()), **gallery(manifests.gallery_id().upper())}

    kubectl_anew("apply", "--filename=-", input=documents({"web": shouted}))

    stored = json.loads(kubectl_anew("get", "imig", "web", "--output=json").stdout)["spec"]
    assert (stored["source"]["managedImageId"], stored["gallery"]["id"]) == (
        shouted["source"]["managedImageId"],
        shouted["gallery"]["id"],
    )


def test_a_region_may_join_and_leave(kubectl_anew: Kubectl) -> None:
    """What is fixed of a region is its storage type; whether it is listed is not."""
    for names in (("westeurope",), ("uksouth", "westeurope"), ("uksouth",)):
        kubectl_anew(
            "apply", "--filename=-", input=documents({"web": regions(*names, storageAccountType="Standard_ZRS")})
        )


def test_there_is_one_verified_condition_in_any_letter_case(kubectl_anew: Kubectl) -> None:
    """A second author's `verified` beside `Verified` is refused; which of the two counts would be chance."""
    kubectl_anew("apply", "--filename=-", input=documents({"web": {}}))
    both = [{"type": kind, "status": "True"} for kind in ("Verified", "verified")]
    patch = ("patch", "imig", "web", "--subresource=status", "--type=merge", *AS_OPERATOR)

    refused = kubectl_anew(*patch, f"--patch={json.dumps({'status': {'conditions': both}})}", check=False)
    kubectl_anew(*patch, f"--patch={json.dumps({'status': {'conditions': both[:1]}})}")
    status = {
        "apiVersion": "imageferry.dev/v1alpha1",
        "kind": "ImageMigration",
        "metadata": {"name": "web"},
        "status": {"conditions": both[1:]},
    }
    beside = ("apply", "--server-side", "--subresource=status", "--field-manager=another", "--filename=-", *AS_OPERATOR)
    second = kubectl_anew(*beside, input=json.dumps(status), check=False)

    for answer in (refused, second):
        assert answer.returncode
        assert "status.conditions" in answer.stderr
        assert "there is a Verified condition already" in answer.stderr
