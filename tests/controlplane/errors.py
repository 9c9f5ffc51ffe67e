"""What can go wrong with the control plane, each with its cure in the message.

ControlPlaneError
├── NoControlPlaneError   nothing to start: no assets, no build, no Go
├── BuildError            Go is there and did not succeed
└── KubectlError          kubectl ended with another code than 0
"""


class ControlPlaneError(Exception):
    """The control plane cannot be built, started or asked."""


class NoControlPlaneError(ControlPlaneError):
    """None of the three ways to a control plane is open on this machine."""


class BuildError(ControlPlaneError):
    """The Go toolchain refused the build."""


class KubectlError(ControlPlaneError):
    """A kubectl command failed; the message holds its standard error."""
