"""The entry point: parse, run, and turn every error into a line a person can use and an exit code a script can."""

from __future__ import annotations

import signal
import sys
from importlib.metadata import version
from types import FrameType
from typing import Literal, NoReturn

from cyclopts import App, CycloptsError

from pangea.compute.cli.build import build
from pangea.compute.cli.config import app as config
from pangea.compute.cli.console import say, show_error
from pangea.compute.cli.dashboard import dashboard
from pangea.compute.cli.dashes import hide, show
from pangea.compute.cli.devnet import devnet
from pangea.compute.cli.doctor import doctor
from pangea.compute.cli.examples import show_examples
from pangea.compute.cli.job import app as job
from pangea.compute.cli.node import app as node
from pangea.compute.cli.old_spellings import renewed
from pangea.compute.cli.peer import app as peer
from pangea.compute.cli.run import run
from pangea.compute.cli.shell import completion_of, show_identity
from pangea.compute.cli.sim import sim
from pangea.compute.cli.streams import StdoutError
from pangea.compute.cli.top import top
from pangea.compute.cli.usage import usage_error
from pangea.compute.cli.verify import verify
from pangea.compute.model.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, OutputError, PangeaError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

app: App = App(
    name="pangea",
    help="Verified compute for Python: split, execute and merge as WebAssembly, in sandboxes nobody has to trust.",
    help_flags=["--help", "-h"],
    version=lambda: f"pangea {version('pangea-compute')}",
    suppress_keyboard_interrupt=False,  # it gets our own words
)
app.command(run)
app.command(build)
app.command(doctor)
app.command(sim)
app.command(devnet)
app.command(node)
app.command(job)
app.command(peer)
app.command(top)
app.command(dashboard)
app.command(verify)
app.command(config)
app.command(show_identity, name="id")


@app.command
def completion(shell: Literal["bash", "zsh", "fish"]) -> None:
    """Print a script with which a shell completes commands and options; its second line says where to put it."""
    sys.stdout.write(completion_of(app, shell) + "\n")


show_examples(app)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    given = sys.argv[1:] if arguments is None else arguments
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    code = _run(given)
    for number in _SIGNALS:  # the result is out: what is left is ending our own processes, which takes milliseconds
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


def _run(given: list[str]) -> int:
    words = renewed(given, app)
    as_json = "--json" in words
    try:
        command, bound, _ = app.parse_args(hide(words), exit_on_error=False, print_error=False)
        command(*map(show, bound.args), **show(bound.kwargs))
        sys.stdout.flush()
    except PangeaError as error:
        show_error(error, as_json=as_json)
        return error.exit_code
    except CycloptsError as error:
        show_error(usage_error(error, app, words), as_json=as_json)
        return EXIT_USAGE
    except StdoutError as error:
        show_error(OutputError(f"standard output can't be written: {error.strerror}"), as_json=as_json)
        return OutputError.exit_code
    except KeyboardInterrupt as interrupt:
        say("; ".join(["interrupted", *getattr(interrupt, "__notes__", [])]))
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # whoever read it has seen enough
        return EXIT_FAILED
    return EXIT_OK


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
