"""Which namespaces may touch which part of Azure.

The operator's identity can do more than the people who write migrations: without a
limit, whoever may create one in any namespace could have another team's image deleted.
Only ASCII letters are folded: ARM ids are the same in any letter case, but full case
folding takes names for equal that Azure tells apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from imageferry.api.resource import ImageMigration

ANY = "*"


@dataclass(frozen=True, slots=True)
class Scope:
    """Prefixes of ARM ids, of whole segments; `*` stands for all."""

    source: tuple[str, ...] = ()
    gallery: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scopes:
    """The scope of every namespace (`*`: of any). Who is not named may use nothing; the operator's `own`, all."""

    own: str = ""
    by_namespace: Mapping[str, Scope] = field(default_factory=dict)

    def refusal(self, migration: ImageMigration) -> str | None:
        """Return which id of the spec is out of the namespace's scope, and the cure; None when none is."""
        namespace, spec = migration.metadata.namespace, migration.spec
        if namespace == self.own:
            return None
        granted = [self.by_namespace[key] for key in (namespace, ANY) if key in self.by_namespace]
        sources = [prefix for scope in granted for prefix in scope.source]
        galleries = [prefix for scope in granted for prefix in scope.gallery]
        if not _within(spec.source.managed_image_id, sources):
            return _told("source.managedImageId", "source", spec.source.managed_image_id, namespace)
        if not _within(spec.gallery.id, galleries):
            return _told("gallery.id", "gallery", spec.gallery.id, namespace)
        return None


def check_prefix(text: str) -> str:
    """Return a prefix without its last slash; ValueError when it is neither `*` nor the beginning of an ARM id."""
    parts = text.rstrip("/").split("/")
    if text != ANY and (len(parts) < 3 or parts[:2] != ["", "subscriptions"] or "" in parts[2:]):  # noqa: PLR2004
        raise ValueError(f"{text!r} is neither * nor the beginning of an ARM id: /subscriptions/<guid>[/…]")
    return text.rstrip("/")


def _within(resource: str, prefixes: list[str]) -> bool:
    own = _folded(resource)
    return any(prefix == ANY or own == _folded(prefix) or own.startswith(_folded(prefix) + b"/") for prefix in prefixes)


def _folded(text: str) -> bytes:
    return text.encode().lower()  # of bytes: ASCII alone


def _told(path: str, kind: str, resource: str, namespace: str) -> str:
    return (
        f"spec.{path}: migrations in namespace {namespace} may not use {resource}; have whoever runs the operator add "
        f"it, or what it lies in, to {namespace}.{kind} of the setting scopes (IMAGEFERRY_SCOPES)"
    )
