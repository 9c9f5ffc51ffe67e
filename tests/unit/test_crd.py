"""The schema that is served, and the models that read what it stored."""

from collections.abc import Iterator
from typing import Any

import pytest

from imageferry.api import crd
from imageferry.api.resource import InvalidResourceError, parse
from tests.unit import build
from tests.unit.build import Json

FREE = ("apiVersion", "kind", "metadata")
"""Kubernetes' own fields, which a CRD may not restrict."""


def _walk(node: Json, path: str = "", *, in_list: bool = False) -> Iterator[tuple[str, Json, bool]]:
    """Give every schema with its path, and whether it lies inside a list."""
    yield path, node, in_list
    for name, child in node.get("properties", {}).items():
        if path or name not in FREE:
            yield from _walk(child, f"{path}.{name}", in_list=in_list)
    if "items" in node:
        yield from _walk(node["items"], f"{path}[]", in_list=True)


ALL = list(_walk(crd.schema()))
SPEC = [each for each in ALL if each[0].startswith(".spec")]


def _ids(each: tuple[str, Json, bool]) -> str:
    return each[0]


def _of_type(kind: str) -> list[tuple[str, Json, bool]]:
    return [each for each in ALL if each[1].get("type") == kind]


def _optional() -> list[Any]:
    found = []
    for path, node, _ in SPEC:
        for name, child in node.get("properties", {}).items():
            if name not in node.get("required", []):
                found.append(pytest.param(child, id=f"{path}.{name}"))
    return found


def test_the_walk_sees_the_whole_schema() -> None:
    """Known leaves, in an object and in a list."""
    paths = {path for path, _, _ in ALL}

    assert {".spec.source.managedImageId", ".spec.version.targetRegions[].name", ".status.deletion.receipt.at"} <= paths


@pytest.mark.parametrize("node", _optional())
def test_every_optional_field_states_its_default(node: Json) -> None:
    """`kubectl explain` answers what happens when it is left out; an object answers field by field."""
    assert "Default:" in node["description"] or "properties" in node


@pytest.mark.parametrize("each", [e for e in SPEC if "default" in e[1] and "properties" not in e[1]], ids=_ids)
def test_the_stated_default_is_the_real_one(each: tuple[str, Json, bool]) -> None:
    """Description and schema say the same."""
    _, node, _ = each
    text = str(node["default"]).lower() if isinstance(node["default"], bool) else node["default"]

    assert node["description"].endswith(f"Default: {text}.")


@pytest.mark.parametrize("each", ALL, ids=_ids)
def test_no_default_stands_inside_a_list(each: tuple[str, Json, bool]) -> None:
    """GitOps tools show one there as drift for ever."""
    _, node, in_list = each

    assert not (in_list and "default" in node)


@pytest.mark.parametrize("each", _of_type("string"), ids=_ids)
def test_every_string_is_bounded(each: tuple[str, Json, bool]) -> None:
    """By a length or by its values; CEL's cost is estimated from it."""
    assert {"maxLength", "enum"} & set(each[1])


@pytest.mark.parametrize("each", _of_type("array"), ids=_ids)
def test_every_list_is_bounded_and_has_a_merge_rule(each: tuple[str, Json, bool]) -> None:
    """Server-side apply needs to know whether entries have owners of their own."""
    assert each[1]["maxItems"]
    assert each[1]["x-kubernetes-list-type"] in ("map", "atomic", "set")


@pytest.mark.parametrize("each", [e for e in ALL if "additionalProperties" in e[1]] or [ALL[0]], ids=_ids)
def test_every_map_is_bounded(each: tuple[str, Json, bool]) -> None:
    """A map of free keys has a bound too."""
    assert "maxProperties" in each[1] or "additionalProperties" not in each[1]


@pytest.mark.parametrize("each", [e for e in ALL if e[0]], ids=_ids)
def test_every_field_is_described(each: tuple[str, Json, bool]) -> None:
    """In a sentence; entries of a list are described by their type."""
    assert each[1].get("description", "").endswith(".")


@pytest.mark.parametrize("each", ALL, ids=_ids)
def test_the_schema_is_structural(each: tuple[str, Json, bool]) -> None:
    """No references, unions or nulls, which the API server refuses."""
    assert not {"$ref", "anyOf", "allOf", "oneOf", "title", "const"} & set(each[1])
    assert each[1]["type"] != "null"


def test_a_fresh_status_is_not_read_as_finished() -> None:
    """The default of observedGeneration is -1."""
    assert crd.schema()["properties"]["status"]["default"] == {"observedGeneration": -1}


def test_models_accept_unknown_fields_everywhere() -> None:
    """A resource that a newer operator stored is read, not crashed on."""
    spec = {"future": 1, "source": {"future": 1}, "version": {"targetRegions": [{"name": "uksouth", "future": 1}]}}
    status: Json = {"future": 1, "replication": {"summary": "0/1", "regions": [{"name": "a", "state": "b", "c": 1}]}}

    assert build.migration(spec, status, future=1)


def test_models_fill_the_defaults_of_the_schema() -> None:
    """What was stored before a default was there reads the same."""
    spec = build.migration().spec

    assert (spec.ready_when, spec.suspend, spec.source_deletion.policy) == ("Replicated", False, "Delete")
    assert (spec.version.replica_count, spec.version.storage_account_type) == (1, "Standard_LRS")


def _source(text: str) -> Json:
    return {"source": {"managedImageId": text}}


def _version(**given: Any) -> Json:
    return {"version": given}


INVALID = [
    pytest.param(_source("web"), "spec.source.managedImageId", "must be the id of a managed image", id="image-id"),
    pytest.param(_source(build.VERSION_ID), "spec.source.managedImageId", "must be the id", id="image-in-a-gallery"),
    pytest.param(_source(build.IMAGE_ID + "/"), "spec.source.managedImageId", "must be the id", id="image-id-slash"),
    pytest.param({"gallery": {"id": build.GALLERY_ID + "-2"}}, "spec.gallery.id", "no hyphen", id="gallery-hyphen"),
    pytest.param(
        {"gallery": {"id": build.IMAGE_ID}}, "spec.gallery.id", "must be the id of a gallery", id="gallery-id"
    ),
    pytest.param({"definition": {"name": "web."}}, "spec.definition.name", "not ending in", id="definition-name"),
    pytest.param({"definition": {"osType": "linux"}}, "spec.definition.osType", "'Linux'", id="os-type"),
    pytest.param({"definition": {"identifier": {"sku": "a b"}}}, "spec.definition.identifier.sku", "must", id="sku"),
    pytest.param(_version(name="1.0"), "spec.version.name", "such as 1.0.0", id="two-numbers"),
    pytest.param(_version(name="v1.0.0"), "spec.version.name", "such as 1.0.0", id="prefix"),
    pytest.param(_version(name="01.0.0"), "spec.version.name", "leading zeros", id="leading-zero"),
    pytest.param(_version(name="1.0.2147483648"), "spec.version.name", "2147483647", id="beyond-32-bits"),
    pytest.param(
        _version(targetRegions=[{"name": "West Europe"}]),
        "spec.version.targetRegions.0.name",
        "westeurope",
        id="display-name",
    ),
    pytest.param(
        _version(targetRegions=[{"name": "uksouth"}, {"name": "uksouth"}]),
        "spec.version",
        "targetRegions: uksouth is listed twice",
        id="region-twice",
    ),
    pytest.param(_version(replicaCount=0), "spec.version.replicaCount", "greater than or equal to 1", id="no-replica"),
    pytest.param(_version(replicaCount=101), "spec.version.replicaCount", "less than or equal to 100", id="replicas"),
    pytest.param(
        {"sourceDeletion": {"graceSeconds": -1}}, "spec.sourceDeletion.graceSeconds", "equal to 0", id="grace"
    ),
    pytest.param({"sourceDeletion": {"policy": "Keep"}}, "spec.sourceDeletion.policy", "'Retain'", id="policy"),
    pytest.param({"readyWhen": "Done"}, "spec.readyWhen", "'Complete'", id="ready-when"),
]


@pytest.mark.parametrize(("spec", "field", "words"), INVALID)
def test_a_bad_value_is_refused_with_its_field(spec: Json, field: str, words: str) -> None:
    """Field, finding, cure; for resources that were stored before a rule was there."""
    with pytest.raises(InvalidResourceError) as refused:
        parse(build.body(spec))

    assert str(refused.value).startswith(f"{field}: ")
    assert words in str(refused.value)


def test_every_bad_field_is_named() -> None:
    """Two mistakes need one correction, not two rounds."""
    with pytest.raises(InvalidResourceError) as refused:
        parse(build.body({"version": {"name": "one"}, "definition": {"name": "-"}}))

    assert "spec.version.name" in str(refused.value)
    assert "spec.definition.name" in str(refused.value)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(_source(build.IMAGE_ID.upper()), id="upper-case-id"),
        pytest.param(_source(build.IMAGE_ID.replace("legacy", "größe.(x)_1")), id="group-with-letters-of-any-alphabet"),
        pytest.param({"gallery": {"id": f"{build.GALLERY_ID}.a_b"}}, id="gallery-name-with-dot"),
        pytest.param(_version(name="0.0.2147483647"), id="largest-number"),
        pytest.param(_version(targetRegions=[]), id="no-regions"),
        pytest.param({"definition": {"name": "a"}}, id="one-letter"),
    ],
)
def test_good_values_are_read(spec: Json) -> None:
    """What Azure allows is allowed."""
    assert build.migration(spec)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(_source(build.IMAGE_ID + "\n"), id="image-id"),
        pytest.param(_version(name="1.0.0\n"), id="version-name"),
        pytest.param({"definition": {"name": "web\n"}}, id="definition-name"),
    ],
)
def test_a_final_newline_is_refused(spec: Json) -> None:
    """A block scalar in YAML ends in one; the models refuse what the API server refuses."""
    with pytest.raises(InvalidResourceError):
        parse(build.body(spec))
