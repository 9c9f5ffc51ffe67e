"""Names of Azure's public regions.

Azure takes either form and answers target regions with the display name, replication status with the short one.
"""

_DISPLAY_NAMES = (
    "East US",
    "East US 2",
    "South Central US",
    "West US 2",
    "West US 3",
    "Australia East",
    "Southeast Asia",
    "North Europe",
    "Sweden Central",
    "UK South",
    "West Europe",
    "Central US",
    "South Africa North",
    "Central India",
    "East Asia",
    "Japan East",
    "Korea Central",
    "Canada Central",
    "France Central",
    "Germany West Central",
    "Italy North",
    "Norway East",
    "Poland Central",
    "Spain Central",
    "Switzerland North",
    "UAE North",
    "Brazil South",
    "Israel Central",
    "Qatar Central",
    "Mexico Central",
    "New Zealand North",
    "Indonesia Central",
    "Malaysia West",
    "Austria East",
    "Chile Central",
    "Belgium Central",
    "Denmark East",
    "North Central US",
    "West US",
    "Central US EUAP",
    "East US 2 EUAP",
    "West Central US",
    "South Africa West",
    "Australia Central",
    "Australia Central 2",
    "Australia Southeast",
    "Japan West",
    "Korea South",
    "South India",
    "West India",
    "Canada East",
    "France South",
    "Germany North",
    "Norway West",
    "Switzerland West",
    "UK West",
    "UAE Central",
    "Brazil Southeast",
    "Sweden South",
    "Jio India West",
    "Jio India Central",
)


WITHOUT_ZONES = frozenset(
    {
        "northcentralus",
        "westus",
        "westcentralus",
        "centraluseuap",
        "southafricawest",
        "australiacentral",
        "australiacentral2",
        "australiasoutheast",
        "koreasouth",
        "southindia",
        "westindia",
        "canadaeast",
        "francesouth",
        "germanynorth",
        "norwaywest",
        "switzerlandwest",
        "ukwest",
        "uaecentral",
        "brazilsoutheast",
        "swedensouth",
        "jioindiawest",
        "jioindiacentral",
    }
)
"""Short names of the regions that have no availability zones: no Standard_ZRS there."""


def short_name(name: str) -> str:
    """Give the form without spaces and capitals: `West Europe` -> `westeurope`."""
    return name.replace(" ", "").lower()


DISPLAY_NAMES = {short_name(name): name for name in _DISPLAY_NAMES}


def display_name(name: str) -> str | None:
    """Give the display name of a region in either form; None when there is no such region."""
    return DISPLAY_NAMES.get(short_name(name))


def url_name(name: str) -> str:
    """Give the form that operation URLs have: short, but mixed case in the canary regions, as recorded."""
    short = short_name(name)
    shown = DISPLAY_NAMES.get(short, name)
    return shown.replace(" ", "") if short.endswith("euap") else short
