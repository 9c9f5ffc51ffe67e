"""`kubectl imageferry`: what people do with migrations, as a plugin of kubectl.

It is a package beside `cli`, not in it, so that a command answers without first loading the
operator, kopf and Azure's SDK. Results go to standard output; an error is one line on
standard error and exit code 1, a mistake in usage is exit code 2.
"""

import sys

import typer

from imageferry.kube.user import ClusterError
from imageferry.migration.errors import MigrationError
from imageferry.plugin.change import resume, retry, suspend
from imageferry.plugin.discover import discover
from imageferry.plugin.output import FailedError
from imageferry.plugin.plan import plan
from imageferry.plugin.receipt import receipt
from imageferry.plugin.report import report
from imageferry.plugin.status import status
from imageferry.plugin.verify import reject, verify

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Shows and steers migrations of managed images into a gallery.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (status, plan, verify, reject, receipt, report, suspend, resume, retry, discover):
    app.command()(command)


def main() -> None:
    """Run the command line."""
    words = ["--dry-run=client" if word == "--dry-run" else word for word in sys.argv[1:]]  # as kubectl's, bare
    try:
        app(words, prog_name="kubectl imageferry")
    except (ClusterError, FailedError, MigrationError) as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
