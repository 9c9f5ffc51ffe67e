"""What names a managed image in a test's Azure, so that it must not go."""

from imageferry.simulator import SUBSCRIPTION
from tests.manifests import Json

COMPUTE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/legacy/providers/Microsoft.Compute"
SCALE_SETS, MACHINES = f"{COMPUTE}/virtualMachineScaleSets", f"{COMPUTE}/virtualMachines"


def scale_set(image: str) -> Json:
    """Return a scale set whose model names an image."""
    model = {"storageProfile": {"imageReference": {"id": image}}}
    return {"location": "westeurope", "properties": {"virtualMachineProfile": model}}


def machine(image: str) -> Json:
    """Return what a machine is made by."""
    return {
        "location": "westeurope",
        "properties": {
            "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
            "storageProfile": {"imageReference": {"id": image}},
            "osProfile": {"computerName": "m", "adminUsername": "a", "adminPassword": "not-a-secret"},
            "networkProfile": {"networkInterfaces": []},
        },
    }
