"""The CustomResourceDefinition, generated from the models so that the two cannot differ.

Kubernetes wants a structural schema: no references, no nulls, no unions. Defaults stay
outside lists only, and every field's description ends in its default.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from imageferry.api.resource import GROUP, KIND, PLURAL, SHORT_NAME, SINGULAR, VERSION
from imageferry.api.spec import Spec
from imageferry.api.status import Status

Schema = dict[str, Any]

FILE_NAME = f"{PLURAL}.{GROUP}.yaml"
HEADER = "# Generated from the models in operator/imageferry/api by `make generate`; never edited by hand.\n"
MIRRORED = (
    "description", "type", "enum", "pattern", "minimum", "maximum", "maxLength", "minLength", "maxItems",
    "maxProperties", "required",
)  # fmt: skip


def _condition(kind: str, field: str = "status") -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


COLUMNS = [
    {"name": "Phase", "type": "string", "jsonPath": ".status.phase", "description": "Where the migration stands."},
    {"name": "Regions", "type": "string", "jsonPath": ".status.replication.summary",
     "description": "Regions whose copy is complete / regions wanted."},
    {"name": "Progress", "type": "integer", "jsonPath": ".status.replication.progress",
     "description": "Replication over all regions in percent."},
    {"name": "Verified", "type": "string", "jsonPath": _condition("Verified"),
     "description": "Whether somebody vouched for the version."},
    {"name": "Source", "type": "string", "jsonPath": _condition("SourceDeleted", "reason"),
     "description": "What becomes of the managed image."},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {"name": "Why", "type": "string", "jsonPath": _condition("Ready", "reason"),
     "description": "Why it stands where it stands."},
    {"name": "Ready", "type": "string", "jsonPath": _condition("Ready"), "priority": 1,
     "description": "Whether what spec.readyWhen asks for is there."},
    {"name": "Definition", "type": "string", "jsonPath": ".spec.definition.name", "priority": 1},
    {"name": "Version", "type": "string", "jsonPath": ".spec.version.name", "priority": 1},
    {"name": "Message", "type": "string", "jsonPath": _condition("Ready", "message"), "priority": 1},
]  # fmt: skip


def to_yaml() -> str:
    """Return the CRD as a file's text."""
    return HEADER + yaml.safe_dump(definition(), sort_keys=False, width=120, allow_unicode=True)


def files() -> dict[str, str]:
    """Return the files of the folder `crds/` by name; kustomize takes it as a base."""
    base = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": [FILE_NAME]}
    return {FILE_NAME: to_yaml(), "kustomization.yaml": HEADER + yaml.safe_dump(base, sort_keys=False)}


def definition() -> Schema:
    """Return the CRD."""
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": COLUMNS,
        "schema": {"openAPIV3Schema": schema()},
    }
    names = {
        "kind": KIND,
        "listKind": f"{KIND}List",
        "plural": PLURAL,
        "singular": SINGULAR,
        "shortNames": [SHORT_NAME],
        "categories": ["azure"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def schema() -> Schema:
    """Return the structural schema of an ImageMigration."""
    status = _structural(Status.model_json_schema(by_alias=True))
    # -1, so that nobody reads a fresh object as one that was acted on
    status["default"] = {"observedGeneration": -1}
    return {
        "type": "object",
        "description": "ImageMigration moves one Azure managed image into an Azure Compute Gallery and deletes the "
        "image once the new version is proven and verified.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": _structural(Spec.model_json_schema(by_alias=True)),
            "status": status,
        },
    }


def _structural(root: Schema) -> Schema:
    return _convert(root, root.get("$defs", {}), defaults=True)


def _convert(node: Schema, shared: Mapping[str, Schema], *, defaults: bool) -> Schema:
    node = _resolve(node, shared)
    out: Schema = {key: node[key] for key in MIRRORED if key in node}
    out |= {key: value for key, value in node.items() if key.startswith("x-kubernetes-")}
    _number_format(node, out)
    if "items" in node:
        out["items"] = _convert(node["items"], shared, defaults=False)
    if isinstance(node.get("additionalProperties"), dict):
        out["additionalProperties"] = _convert(node["additionalProperties"], shared, defaults=False)
    if "properties" in node:
        out["properties"] = {k: _convert(v, shared, defaults=defaults) for k, v in node["properties"].items()}
    if node.get("default") not in (None, []):
        _state_default(out, node["default"], in_schema=defaults)
    return out


def _resolve(node: Schema, shared: Mapping[str, Schema]) -> Schema:
    """Follow a reference, and take the one real branch of an optional field."""
    branches = node.get("anyOf") or node.get("allOf") or []
    for branch in branches:
        if branch.get("type") != "null":
            node = branch | {k: v for k, v in node.items() if k not in ("anyOf", "allOf")}
    if "$ref" in node:
        target = shared[node["$ref"].rsplit("/", 1)[-1]]
        node = _resolve(target | {k: v for k, v in node.items() if k != "$ref"}, shared)
    return node


def _number_format(node: Schema, out: Schema) -> None:
    if node.get("type") == "integer":
        out["format"] = "int64"
    if node.get("format") == "date-time":
        out |= {"format": "date-time", "maxLength": 64}


def _state_default(out: Schema, default: Any, *, in_schema: bool) -> None:  # noqa: ANN401 - any JSON value
    if isinstance(default, dict):
        default = {name: value for name, value in default.items() if value is not None}
    if in_schema:
        out["default"] = default
    if not isinstance(default, dict):
        text = str(default).lower() if isinstance(default, bool) else default
        out["description"] = f"{out['description']} Default: {text}."
