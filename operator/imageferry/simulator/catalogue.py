"""What a subscription tells about itself: regions, providers, quotas, machine sizes (fact sheet, section 3.7)."""

from imageferry.simulator.paths import OPERATION_GROUPS, ArmPath
from imageferry.simulator.regions import DISPLAY_NAMES, WITHOUT_ZONES, short_name
from imageferry.simulator.settings import Rules
from imageferry.simulator.store import Store
from imageferry.simulator.wire import Json

QUOTAS = {"galleries": 100, "galleries/images": 1000, "galleries/images/versions": 10_000}
_USAGE_NAMES = {
    "galleries": ("Gallery", "Gallery"),
    "galleries/images": ("GalleryImage", "Gallery Image"),
    "galleries/images/versions": ("GalleryImageVersion", "Gallery Image Version"),
}
API_VERSIONS = ("2026-04-01", "2026-03-03", "2025-04-01", "2024-07-01", "2024-03-03", "2023-07-03", "2021-10-01")
_SIZES = {
    "Standard_B2s": ("V1,V2", "x64", 2),
    "Standard_D2s_v5": ("V1,V2", "x64", 2),
    "Standard_D2ps_v5": ("V2", "Arm64", 2),
}


def tenant(tenant_id: str) -> Json:
    """Give a tenant as `GET /tenants` lists it."""
    return {"id": f"/tenants/{tenant_id}", "tenantId": tenant_id, "displayName": "Simulated", "tenantCategory": "Home"}


def subscription(tenant_id: str, subscription_id: str) -> Json:
    """Give a subscription as ARM shows it."""
    return {
        "id": f"/subscriptions/{subscription_id}",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionId": subscription_id,
        "tenantId": tenant_id,
        "displayName": f"Simulated {subscription_id[-4:]}",
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    }


def locations(subscription_id: str, rules: Rules) -> list[Json]:
    """Give the regions of a subscription, short and display names, and which zones they have."""
    return [
        {
            "id": f"/subscriptions/{subscription_id}/locations/{short}",
            "name": short,
            "type": "Region",
            "displayName": shown,
            "regionalDisplayName": shown,
            "metadata": {"regionType": "Physical", "regionCategory": "Recommended"},
            **({} if short in WITHOUT_ZONES else {"availabilityZoneMappings": _zones(short)}),
        }
        for short, shown in DISPLAY_NAMES.items()
        if short not in rules.disabled_regions
    ]


def _zones(region: str) -> list[Json]:
    return [{"logicalZone": number, "physicalZone": f"{region}-az{number}"} for number in ("1", "2", "3")]


def provider(subscription_id: str, namespace: str, state: str, rules: Rules) -> Json:
    """Give a resource provider, its types and whether the subscription is registered for it."""
    kinds = [kind for kind in OPERATION_GROUPS if ArmPath("", "", (kind.partition("/")[0],)).provider == namespace]
    everywhere = list(DISPLAY_NAMES.values())
    here = [DISPLAY_NAMES[each] for each in DISPLAY_NAMES if each not in rules.unoffered_regions]
    types = [
        {
            "resourceType": kind,
            "locations": here if kind.startswith("galleries") else everywhere,
            "apiVersions": list(API_VERSIONS),
            "capabilities": "None",
        }
        for kind in kinds
    ]
    return {
        "id": f"/subscriptions/{subscription_id}/providers/{namespace}",
        "namespace": namespace,
        "resourceTypes": types,
        "registrationState": state,
        "registrationPolicy": "RegistrationRequired",
    }


def usages(store: Store, subscription_id: str, location: str, rules: Rules) -> list[Json]:
    """Give how much of each quota is used in a region."""
    found = [_usage("cores", "Total Regional vCPUs", 0, 100)]
    for kind in QUOTAS:
        used, limit = quota(store, ArmPath(subscription_id, "", tuple(kind.split("/"))), location, rules)
        found.append(_usage(*_USAGE_NAMES[kind], used, limit))
    return found


def quota(store: Store, path: ArmPath, location: str, rules: Rules) -> tuple[int, int]:
    """Give how many resources of a kind a subscription has in a region, and how many it may have."""
    region = short_name(location)
    used = sum(short_name(each.body["location"]) == region for each in store.of_kind(path.subscription, path.kind))
    return used, rules.quotas.get(_USAGE_NAMES[path.kind][0], QUOTAS[path.kind])


def skus(wanted: str) -> list[Json]:
    """Give the machine sizes; `wanted` is a filter such as `location eq 'westeurope'`."""
    asked = wanted.partition("'")[2].rstrip("'")
    return [
        {
            "resourceType": "virtualMachines",
            "name": name,
            "tier": "Standard",
            "family": "simulatedFamily",
            "locations": [short],
            "locationInfo": [{"location": short, "zones": ["1", "2", "3"], "zoneDetails": []}],
            "capabilities": [
                {"name": "vCPUs", "value": str(cores)},
                {"name": "HyperVGenerations", "value": generations},
                {"name": "CpuArchitectureType", "value": architecture},
                {"name": "DiskControllerTypes", "value": "SCSI"},
            ],
            "restrictions": [],
        }
        for short in ([short_name(asked)] if asked else DISPLAY_NAMES)
        for name, (generations, architecture, cores) in _SIZES.items()
    ]


def _usage(name: str, shown: str, used: int, limit: int) -> Json:
    named = {"value": name, "localizedValue": shown}
    return {"limit": limit, "unit": "Count", "currentValue": used, "name": named}
