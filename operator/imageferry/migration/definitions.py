"""The image definition: what it has to be for this image, and whether an existing one is that.

None of it can be changed in Azure once it exists (fact sheet, sections 3.4 and 5.1), and
a generation mismatch is accepted by ARM and fails minutes later: so it is compared here.
"""

from dataclasses import dataclass

from imageferry.api.spec import Definition as WantedDefinition
from imageferry.api.spec import Identifier
from imageferry.migration.facts import GalleryDefinition, ManagedImage, Plan

GENERALIZED = "Generalized"
FEEDABLE = ("Standard", "TrustedLaunchSupported")
"""Security types that a managed image can feed."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that is not what it has to be."""

    field: str
    wanted: str
    found: str

    def __str__(self) -> str:
        return f"{self.field} is {self.found}, wanted {self.wanted}"


def contradictions(spec: WantedDefinition, image: ManagedImage) -> list[Difference]:
    """Return where the spec's definition contradicts the image itself."""
    given = {
        "osType": (spec.os_type, image.os_type),
        "hyperVGeneration": (spec.hyper_v_generation, image.generation),
    }
    found = [
        Difference(f, image_has, str(said)) for f, (said, image_has) in given.items() if said not in (None, image_has)
    ]
    if (spec.security_type or "Standard") != "Standard" and image.generation != "V2":
        found.append(Difference("securityType", "Standard for a V1 image", str(spec.security_type)))
    return found


def differences(spec: WantedDefinition, image: ManagedImage, definition: GalleryDefinition) -> list[Difference]:
    """Return where an existing definition is not what the spec and the image need."""
    pairs: list[tuple[str, str | None, str]] = [
        ("osType", image.os_type, definition.os_type),
        ("osState", GENERALIZED, definition.os_state),
        ("hyperVGeneration", image.generation, definition.generation),
        ("architecture", "x64", definition.architecture),
        ("securityType", spec.security_type, definition.security_type),
        *_identifier_pairs(spec.identifier or Identifier(), definition),
        *_text_pairs(spec, definition),
    ]
    found = [Difference(f, wanted, there) for f, wanted, there in pairs if wanted not in (None, there)]
    if plan := spec.purchase_plan:
        found += plan_differences((plan.name, plan.publisher, plan.product), definition.purchase_plan)
    if not spec.security_type and definition.security_type not in FEEDABLE:
        found.append(Difference("securityType", " or ".join(FEEDABLE), definition.security_type))
    return found


def _identifier_pairs(wanted: Identifier, definition: GalleryDefinition) -> list[tuple[str, str | None, str]]:
    names = ("publisher", "offer", "sku")
    asked = (wanted.publisher, wanted.offer, wanted.sku)
    return [(f"identifier.{n}", w, f) for n, w, f in zip(names, asked, definition.identifier, strict=True)]


def plan_differences(wanted: Plan, found: Plan | None) -> list[Difference]:
    """Return where a purchase plan is not the one that it has to be."""
    names, there = ("name", "publisher", "product"), found or ("absent",) * 3
    pairs = zip(names, wanted, there, strict=True)
    return [Difference(f"purchasePlan.{n}", w, f) for n, w, f in pairs if w != f]


def _text_pairs(wanted: WantedDefinition, definition: GalleryDefinition) -> list[tuple[str, str | None, str]]:
    """Return eula, privacy statement and features: fixed by their first PUT too."""
    there = definition.properties
    features = {each.get("name"): str(each.get("value")) for each in there.get("features") or ()}
    pairs: list[tuple[str, str | None, str]] = [
        ("eula", wanted.eula, there.get("eula") or "absent"),
        ("privacyStatementUri", wanted.privacy_statement_uri, there.get("privacyStatementUri") or "absent"),
    ]
    for feature in wanted.features or ():
        found = features.get(feature.name, "absent")
        same = found.casefold() == feature.value.casefold()  # Azure re-cases values
        pairs.append((f"features.{feature.name}", found if same else feature.value, found))
    return pairs
