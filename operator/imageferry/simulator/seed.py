"""Seed files: the cloud as it is when the simulator starts.

A mistake is refused as a whole, before anything is put in, with the field's name.

    subscriptions: [11111111-1111-1111-1111-111111111111]      # the default one always exists
    identities: [{clientId: migrator, clientSecret: s3cret}]   # then all others are refused
    groups: [{name: images, location: westeurope}]
    images: [{name: web, group: legacy, osType: Windows, hyperVGeneration: V1, sizeGB: 127, dataDisks: [64]}]
    galleries: [{name: prod, group: images}]
    definitions: [{name: web, group: images, gallery: prod, osType: Windows, hyperVGeneration: V1}]
    versions: [{name: 1.0.0, group: images, gallery: prod, definition: web, regions: [westeurope, northeurope]}]
    resources: [{id: /subscriptions/…, location: westeurope, properties: {}}]   # anything, as ARM answers it
    roleAssignments: [{identity: migrator, scope: /subscriptions/…, role: role.json}]   # then all else is refused
    locks: [{name: keep, scope: /subscriptions/…/resourceGroups/legacy, level: CanNotDelete}]
    policies: [{name: regions, types: ["Microsoft.Compute/galleries/*"], allowedLocations: [westeurope]}]
    unregistered: [Microsoft.Compute]                          # in the default subscription
    durations: {versionCreate: 30, regions: {northeurope: 600}}
    rules: {sourceBusyUntilReplicated: true, throttling: true, limits: {CreateUpdateGalleryImage3Min: 3}}
    faults: [{operation: "images.delete", times: 1, does: {kind: answer, status: 409, code: ScopeLocked}}]
    pageSize: 2
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from imageferry.simulator import forms
from imageferry.simulator.cloud import SUBSCRIPTION, Cloud
from imageferry.simulator.faults import Fault, Faults
from imageferry.simulator.forms import FormError
from imageferry.simulator.governance_forms import Governing, LockForm, PolicyForm, RoleAssignment
from imageferry.simulator.paths import ArmPath, parse_id
from imageferry.simulator.regions import DISPLAY_NAMES, short_name
from imageferry.simulator.settings import Durations, Rules
from imageferry.simulator.tokens import Tokens
from imageferry.simulator.wire import ArmError


class SeedError(ValueError):
    """A seed that cannot be used; the message names the field."""


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True, frozen=True)


class _Placed(_Form):
    name: str = Field(min_length=1)
    subscription: str = SUBSCRIPTION
    location: str = "westeurope"
    tags: dict[str, str] | None = None


class Identity(_Form):
    """A client id that gets tokens; an empty secret accepts any."""

    client_id: str
    client_secret: str = ""


class Group(_Placed):
    """A resource group."""


class Image(_Placed):
    """A managed image in short form; with `plan`, its `sourceVirtualMachine` exists and carries it."""

    group: str
    os_type: Literal["Linux", "Windows"] = "Linux"
    os_state: Literal["Generalized", "Specialized"] = "Generalized"
    hyper_v_generation: Literal["V1", "V2"] | None = Field("V2", alias="hyperVGeneration")
    size_gb: int = Field(30, alias="sizeGB", gt=0)
    data_disks: list[int] = []
    source_virtual_machine: str | None = None
    plan: dict[str, str] | None = None
    created_at: datetime | None = None


class Gallery(_Placed):
    """A gallery; with `softDelete`, deleted versions can be restored."""

    group: str
    soft_delete: bool = False


class Definition(_Placed):
    """An image definition."""

    group: str
    gallery: str
    os_type: Literal["Linux", "Windows"] = "Linux"
    os_state: Literal["Generalized", "Specialized"] = "Generalized"
    hyper_v_generation: Literal["V1", "V2"] = Field("V2", alias="hyperVGeneration")
    identifier: tuple[str, str, str] | None = None
    security_type: str | None = "Standard"


class Version(_Placed):
    """A version that is Completed in all its regions; `source` is an image's id."""

    group: str
    gallery: str
    definition: str
    source: str | None = None
    regions: list[str] = []


class Raw(_Form):
    """Any resource as ARM answers it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str
    location: str = "westeurope"
    tags: dict[str, str] | None = None
    properties: dict[str, Any] = {}
    plan: dict[str, str] | None = None
    system_data: dict[str, Any] | None = Field(None, alias="systemData")


class Seed(_Form):
    """The whole file."""

    tenant: str = ""
    subscriptions: list[str] = []
    identities: list[Identity] = []
    groups: list[Group] = []
    images: list[Image] = []
    galleries: list[Gallery] = []
    definitions: list[Definition] = []
    versions: list[Version] = []
    resources: list[Raw] = []
    role_assignments: list[RoleAssignment] = []
    locks: list[LockForm] = []
    policies: list[PolicyForm] = []
    unregistered: list[str] = []
    durations: dict[str, Any] = {}
    rules: dict[str, Any] = {}
    faults: list[dict[str, Any]] = []
    page_size: int | None = Field(None, ge=1)

    @classmethod
    def read(cls, source: Path | str | Mapping[str, Any]) -> "Seed":
        """Read a file or a mapping; SeedError names the field that cannot be used."""
        if isinstance(source, Mapping):
            return cls._checked(source, "seed", Path())
        path = Path(source)
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise SeedError(f"{path}: cannot be read: {error}") from error
        return cls._checked({} if content is None else content, str(path), path.parent)

    def apply(self, cloud: Cloud, faults: Faults, tokens: Tokens) -> None:
        """Put everything in."""
        cloud.durations, cloud.rules, wanted = self.settings(cloud.durations, cloud.rules)
        for rule in wanted:
            faults.add(rule)
        tokens.declare({identity.client_id: identity.client_secret for identity in self.identities})
        for subscription in self.subscriptions:
            cloud.put_subscription(subscription)
        for group in self.groups:
            cloud.put_group(group.name, subscription=group.subscription, location=group.location, tags=group.tags)
        for number, raw in enumerate(self.resources):
            _named(f"resources.{number}", cloud.put, raw.id, raw.model_dump(by_alias=True, exclude_none=True))
        self._put_short_forms(cloud)
        governing: list[Governing] = [*self.role_assignments, *self.locks, *self.policies]
        for each in governing:
            each.apply(cloud)
        for namespace in self.unregistered:
            cloud.unregister(namespace=namespace)

    def _put_short_forms(self, cloud: Cloud) -> None:
        for image in self.images:
            _put_image(cloud, image)
        for gallery in self.galleries:
            cloud.put_gallery(
                gallery.name,
                group=gallery.group,
                subscription=gallery.subscription,
                location=gallery.location,
                soft_delete=gallery.soft_delete,
            )
        for each in self.definitions:
            gallery_id = ArmPath(each.subscription, each.group, ("galleries",), (each.gallery,)).id
            parts = each.model_dump(exclude={"subscription", "group", "gallery", "tags", "name"})
            cloud.put_definition(each.name, gallery=gallery_id, **parts)
        for number, version in enumerate(self.versions):
            names = (version.gallery, version.definition)
            definition_id = ArmPath(version.subscription, version.group, ("galleries", "images"), names).id
            parts = version.model_dump(include={"source", "location", "regions", "tags"})
            _named(f"versions.{number}", cloud.put_version, version.name, definition=definition_id, **parts)

    def settings(self, durations: Durations, rules: Rules) -> tuple[Durations, Rules, list[Fault]]:
        """Give the settings that result, and the faults; FormError names a field that cannot be read."""
        return (
            forms.settings(durations, self.durations, "durations"),
            forms.settings(rules, self.rules, "rules"),
            [forms.fault(form, f"faults.{number}") for number, form in enumerate(self.faults)],
        )

    @classmethod
    def _checked(cls, content: object, where: str, folder: Path) -> "Seed":
        try:
            seed = cls.model_validate(content, context={"folder": folder})
            seed.settings(Durations(), Rules())
        except ValidationError as error:
            first = error.errors()[0]
            at = ".".join(str(part) for part in first["loc"]) or "(the whole file)"
            raise SeedError(f"{where}: {at}: {first['msg']}, found {first['input']!r}") from error
        except FormError as error:
            raise SeedError(f"{where}: {error}") from error
        for name in ("groups", "images", "galleries", "definitions", "versions", "resources"):
            for number, each in enumerate(getattr(seed, name)):
                _check_region(each.location, f"{where}: {name}.{number}.location")
        for number, raw in enumerate(seed.resources):
            _check_id(raw.id, f"{where}: resources.{number}.id")
        return seed


def _check_region(location: str, where: str) -> None:
    if short_name(location) not in DISPLAY_NAMES:
        raise SeedError(f"{where}: {location!r} is no Azure region; use a name such as westeurope")


def _check_id(resource_id: str, where: str) -> None:
    try:
        parse_id(resource_id)
    except ValueError as error:
        raise SeedError(f"{where}: {error}") from error


def _put_image(cloud: Cloud, image: Image) -> None:
    parts = image.model_dump(exclude={"name", "plan"})
    if image.plan is not None:
        machine = image.source_virtual_machine
        if machine is None:
            machine = ArmPath(image.subscription, image.group, ("virtualMachines",), (image.name,)).id
        cloud.put(machine, {"location": image.location, "plan": image.plan, "properties": {}})
        parts["source_virtual_machine"] = machine
    cloud.put_image(image.name, **parts)


def _named(where: str, put: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- passes on what `put` takes
    try:
        put(*args, **kwargs)
    except ArmError as error:
        raise SeedError(f"{where}: {error.message}") from error
