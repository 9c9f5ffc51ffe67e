"""How long things take and which optional rules hold: the dials of the simulated cloud.

Frozen, so that a test replaces the whole value and no reader sees half a change. The defaults are the medians of
the recordings.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from zlib import crc32


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """Seconds of simulated time per kind of operation."""

    gallery_write: float = 0.2
    gallery_delete: float = 0.2
    definition_write: float = 0.2
    definition_delete: float = 0.2
    gallery_share: float = 0.5
    image_write: float = 5.0
    image_delete: float = 5.0
    version_create: float = 420.0
    version_update: float = 330.0
    version_delete: float = 120.0
    version_restore: float = 150.0
    machine_create: float = 60.0
    machine_update: float = 10.0
    machine_delete: float = 45.0
    run_command: float = 20.0
    plain_write: float = 2.0
    """Disks, networks and what else nobody looks into."""
    plain_delete: float = 2.0
    registration: float = 30.0
    """How long a subscription takes to register a resource provider."""
    home_region: float = 60.0
    """How long after the operation the version's own region is Completed."""
    region_step: float = 120.0
    """How much longer each further region takes than the one before it."""
    region_spread: float = 60.0
    """Up to this much more, fixed by the region's name."""
    regions: Mapping[str, float] = field(default_factory=dict)
    """Region short name -> seconds after the operation; replaces the rule above for that region."""
    operation_kept: float = 86_400.0
    """How long an operation can be read after its end; later it is 404."""

    def region_delay(self, region: str, *, home: bool, order: int) -> float:
        """Seconds from the operation's end until `region` is Completed; `order` counts the other regions from 1."""
        if region in self.regions:
            return self.regions[region]
        if home:
            return self.home_region
        return self.home_region + order * self.region_step + crc32(region.encode()) % (int(self.region_spread) + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Behaviour of Azure that sources report differently or only at times."""

    source_busy_until_replicated: bool = False
    """Whether a source stays busy until the version replicated everywhere, not only until it was built."""
    stale_children: float = 0.0
    """Seconds after a child's delete ended during which its parent's delete is still refused."""
    throttling: bool = False
    """Whether calls beyond Azure's limits are refused with 429."""
    limits_follow_clock: bool = True
    """Whether limits follow the simulator's clock, or real time."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """Other limits than Azure's, by the name in the header that tells what is left: `{CreateUpdateGallery3Min: 3}`,
    `{reads: 1100, global-reads: 16500}`."""
    quotas: Mapping[str, int] = field(default_factory=dict)
    """Other quotas than Azure's, by the names in `usages`: `{GalleryImageVersion: 3}`."""
    disabled_regions: tuple[str, ...] = ()
    """Short names of regions that no subscription has access to: not listed, and no targets."""
    unoffered_regions: tuple[str, ...] = ()
    """Short names of regions that are listed and offer no galleries."""
    stale_create: float = 0.0
    """Seconds after a create during which a GET may still answer 404."""
    removed_lock_honoured: float = 0.0
    """Seconds for which a lock that was removed still counts."""
    unknown_fields: bool = False
    """Whether answers have fields that no client knows, as newer ones of Azure do."""
    role_propagation: float = 0.0
    """Seconds until a role that is assigned while the simulator runs takes effect."""
