"""What ARM answers, read into facts; bodies have the shape of recorded ones."""

from typing import Any

import pytest

from imageferry.azure import ids, wire
from imageferry.migration.facts import Disk, RegionReplication
from tests.unit import build
from tests.unit.build import Json

IMAGE: Json = {
    "name": "img-from-unmanaged",
    "id": build.IMAGE_ID,
    "type": "Microsoft.Compute/images",
    "location": "westus",
    "tags": {},
    "properties": {
        "sourceVirtualMachine": {"id": "/vm"},
        "storageProfile": {
            "osDisk": {
                "osType": "Linux",
                "osState": "Generalized",
                "diskSizeGB": 30,
                "blobUri": "https://a.blob.core.windows.net/vhds/os.vhd",
                "caching": "ReadWrite",
                "storageAccountType": "Standard_LRS",
            },
            "dataDisks": [],
        },
        "provisioningState": "Succeeded",
    },
}
DEFINITION: Json = {
    "name": "image1",
    "id": build.DEFINITION_ID,
    "location": "westus",
    "properties": {
        "hyperVGeneration": "V2",
        "architecture": "x64",
        "osType": "Linux",
        "osState": "Generalized",
        "identifier": {"publisher": "publisher1", "offer": "offer1", "sku": "sku1"},
        "provisioningState": "Succeeded",
    },
}
VERSION: Json = {
    "name": "1.0.0",
    "id": build.VERSION_ID,
    "location": "West US",
    "properties": {
        "publishingProfile": {
            "targetRegions": [
                {"name": "West US", "regionalReplicaCount": 1, "storageAccountType": "Standard_LRS"},
                {"name": "East US 2", "regionalReplicaCount": 2, "excludeFromLatest": True},
            ],
            "replicaCount": 1,
            "publishedDate": "2018-01-01T00:00:00.1234567+00:00",
            "storageAccountType": "Standard_LRS",
        },
        "storageProfile": {"source": {"id": build.IMAGE_ID}, "osDiskImage": {"sizeInGB": 10, "source": {}}},
        "safetyProfile": {"allowDeletionOfReplicatedLocations": False, "reportedForPolicyViolation": False},
        "replicationStatus": {
            "aggregatedState": "InProgress",
            "summary": [
                {"region": "West US", "state": "Completed", "details": "", "progress": 100},
                {"region": "East US 2", "state": "Replicating", "details": "copying", "progress": 40},
            ],
        },
        "provisioningState": "Updating",
    },
}


def _with(body: Json, **properties: Any) -> Json:
    return build.patched(body, {"properties": properties})  # type: ignore[no-any-return]


class TestImage:
    """A managed image."""

    def test_it_is_read_as_recorded(self) -> None:
        """Size, origin, machine; a generation that is not said is V1."""
        image = wire.managed_image(IMAGE)

        assert image.os_disk == Disk(None, 30, ("https://a.blob.core.windows.net/vhds/os.vhd",))
        assert (image.os_type, image.os_state, image.generation) == ("Linux", "Generalized", "V1")
        assert (image.location, image.source_virtual_machine) == ("westus", "/vm")
        assert (image.data_disks, image.created_at) == ((), None)

    def test_data_disks_are_read(self) -> None:
        """LUN, size, each kind of origin, encryption."""
        disks = [
            {"lun": 0, "diskSizeGB": 64, "managedDisk": {"id": "/disk"}, "diskEncryptionSet": {"id": "/set"}},
            {"lun": 3, "snapshot": {"id": "/snapshot"}},
        ]

        assert wire.managed_image(_with(IMAGE, storageProfile={"dataDisks": disks})).data_disks == (
            Disk(0, 64, ("/disk",), "/set"),
            Disk(3, None, ("/snapshot",)),
        )

    def test_its_age_is_read_where_arm_gives_it(self) -> None:
        """From systemData."""
        body = IMAGE | {"systemData": {"createdAt": "2026-04-01T00:00:00Z"}}

        assert wire.managed_image(body).created_at == "2026-04-01T00:00:00Z"

    def test_what_is_missing_is_never_a_good_sign(self) -> None:
        """An image without properties is neither Succeeded nor Generalized."""
        image = wire.managed_image({"id": build.IMAGE_ID, "location": "West Europe"})

        assert (image.provisioning_state, image.os_state) == ("Unknown", "")


class TestDefinition:
    """An image definition."""

    def test_it_is_read_as_recorded(self) -> None:
        """A definition that says no security type is Standard."""
        definition = wire.definition(DEFINITION)

        assert (definition.generation, definition.architecture, definition.os_type) == ("V2", "x64", "Linux")
        assert definition.identifier == ("publisher1", "offer1", "sku1")
        assert (definition.security_type, definition.purchase_plan) == ("Standard", None)

    def test_what_old_api_versions_leave_out_has_its_old_meaning(self) -> None:
        """No generation is V1, no architecture is x64."""
        definition = wire.definition(_with(DEFINITION, hyperVGeneration=None, architecture=None))

        assert (definition.generation, definition.architecture) == ("V1", "x64")

    def test_the_security_type_is_among_the_features(self) -> None:
        """By name, whatever else is there."""
        features = [{"name": "IsAcceleratedNetworkSupported", "value": "True"}, {"name": "SecurityType", "value": "T"}]

        assert wire.definition(_with(DEFINITION, features=features)).security_type == "T"

    def test_the_plan_is_read(self) -> None:
        """Name, publisher, product."""
        plan = {"name": "n", "publisher": "p", "product": "q"}

        assert wire.definition(_with(DEFINITION, purchasePlan=plan)).purchase_plan == ("n", "p", "q")

    def test_a_plan_may_lack_a_part(self) -> None:
        """What nobody asks for does not stop a migration."""
        assert wire.definition(_with(DEFINITION, purchasePlan={"name": "n", "publisher": "p"}))


class TestVersion:
    """An image version, read with its replication status."""

    def test_display_names_become_short_names(self) -> None:
        """In targets, in the status, and in the location."""
        version = wire.version(VERSION)

        assert version.location == "westus"
        assert version.region_names == {"westus", "eastus2"}
        assert version.replication == {
            "westus": RegionReplication("Completed", 100),
            "eastus2": RegionReplication("Replicating", 40, "copying"),
        }

    def test_what_a_region_says_is_kept(self) -> None:
        """For the update that repeats it."""
        assert wire.version(VERSION).target_regions[1] == {
            "name": "eastus2",
            "regionalReplicaCount": 2,
            "excludeFromLatest": True,
        }

    def test_source_state_and_date_are_read_as_written(self) -> None:
        """The date is part of the proof, so never reformatted."""
        version = wire.version(VERSION)

        assert (version.source_id, version.provisioning_state) == (build.IMAGE_ID, "Updating")
        assert version.published_date == "2018-01-01T00:00:00.1234567+00:00"
        assert version.replication_mode == "Full"

    @pytest.mark.parametrize(
        ("storage", "built"),
        [
            pytest.param({"source": {"id": build.IMAGE_ID}}, False, id="never-finished"),
            pytest.param({"source": {}, "osDiskImage": {"sizeInGB": 30, "source": {}}}, True, id="finished"),
            pytest.param({"source": {}, "osDiskImage": {"hostCaching": "None"}}, True, id="any-disk"),
            pytest.param({"source": {}, "dataDiskImages": [{"lun": 0}]}, True, id="data-disk"),
        ],
    )
    def test_disks_tell_that_it_was_built(self, storage: Json, *, built: bool) -> None:
        """Azure fills them in once the creation has succeeded (fact sheet, section 3.5)."""
        disks = {"osDiskImage": None, "dataDiskImages": None} | storage
        assert wire.version(_with(VERSION, storageProfile=disks)).built is built

    @pytest.mark.parametrize("allowed", [True, False, None])
    def test_the_protection_of_its_regions_is_read(self, *, allowed: bool | None) -> None:
        """Where the api-version tells it."""
        safety = {"allowDeletionOfReplicatedLocations": allowed}
        version = wire.version(_with(VERSION, safetyProfile=safety))
        assert version.allow_deletion_of_replicated_locations is allowed

    def test_a_version_without_replication_status_shows_no_region(self) -> None:
        """Nothing said is nothing Completed."""
        assert wire.version(_with(VERSION, replicationStatus=None)).replication == {}

    @pytest.mark.parametrize(
        ("entry", "expected"),
        [
            pytest.param({}, RegionReplication("Unknown", 0), id="nothing-said"),
            pytest.param({"state": "Failed", "progress": None}, RegionReplication("Failed", 0), id="null"),
            pytest.param({"state": "X", "progress": 120}, RegionReplication("X", 100), id="too-much"),
            pytest.param({"state": "X", "progress": -1}, RegionReplication("X", 0), id="too-little"),
        ],
    )
    def test_odd_entries_are_read_with_care(self, entry: Json, expected: RegionReplication) -> None:
        """Never as Completed, never outside of 0 to 100."""
        status = {"summary": [{"region": "West US", **entry}]}

        assert wire.version(_with(VERSION, replicationStatus=status)).replication == {"westus": expected}

    def test_a_body_with_little_in_it_is_read(self) -> None:
        """As what is not known, so that nothing follows from it."""
        version = wire.version({"id": build.VERSION_ID, "location": "westus"})

        assert (version.provisioning_state, version.source_id, version.published_date) == ("Unknown", "", "")


def test_a_gallery_is_read() -> None:
    """Its region as a short name."""
    assert wire.gallery({"id": build.GALLERY_ID, "location": "North Europe"}).location == "northeurope"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param(build.IMAGE_ID, ("web-2019",), id="image"),
        pytest.param(build.VERSION_ID, ("prod", "web", "1.0.0"), id="version"),
        pytest.param(build.IMAGE_ID.replace("resourceGroups", "resourcegroups"), ("web-2019",), id="lower-case"),
    ],
)
def test_an_id_is_taken_apart(text: str, names: tuple[str, ...]) -> None:
    """Into the names along the path."""
    assert ids.parse(text).names == names


@pytest.mark.parametrize("text", ["", "web", "/subscriptions/a/resourceGroups/b", f"{build.IMAGE_ID}/versions"])
def test_what_is_no_id_is_refused(text: str) -> None:
    """Rather than sent somewhere else."""
    with pytest.raises(ValueError, match="not an ARM resource id"):
        ids.parse(text)
