"""`kubectl imageferry receipt`: what is known of a managed image that is gone, for an archive."""

from typing import Annotated, Any

import typer

from imageferry.kube.user import Body
from imageferry.plugin import draw, options, output, verdict
from imageferry.plugin.options import Format
from imageferry.plugin.output import FailedError

Form = Annotated[Format, typer.Option("--output", "-o", help="Form of the receipt.")]


def receipt(
    name: options.Name,
    *,
    namespace: options.Namespace = None,
    form: Form = Format.JSON,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Print what was deleted, when, by which identity, on whose verification and with which evidence."""
    cluster, where = options.connect(kubeconfig, context, namespace)
    output.show(_receipt(cluster.get(where, name)), form)


def _receipt(body: Body) -> dict[str, Any]:
    deletion, metadata = draw.status_of(body).get("deletion") or {}, body["metadata"]
    found = deletion.get("receipt")
    if not found:
        raise FailedError(
            f"{verdict.key(body)}: there is no receipt, as its managed image is not known to be gone; "
            f"its phase is {draw.phase(body).plain}"
        )
    migration = {each: metadata[each] for each in ("namespace", "name", "uid")}
    guards = {"guards": deletion["guards"]} if deletion.get("guards") and found["outcome"] == "Deleted" else {}
    return {"migration": migration, **found, **guards}
