"""The entry point: parse, run, and turn every error into a line a person can use and an exit code a script can."""

from __future__ import annotations

import signal
import sys
from itertools import pairwise
from types import FrameType
from typing import NoReturn

from cyclopts import App, CycloptsError

from pangea.compute.cli.config import app as config
from pangea.compute.cli.console import say, show_error
from pangea.compute.cli.devnet import devnet
from pangea.compute.cli.doctor import doctor
from pangea.compute.cli.job import app as job
from pangea.compute.cli.node import app as node
from pangea.compute.cli.peer import app as peer
from pangea.compute.cli.run import run
from pangea.compute.cli.sim import sim
from pangea.compute.cli.top import top
from pangea.compute.cli.usage import options_of, usage_error
from pangea.compute.cli.verify import verify
from pangea.compute.model.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, PangeaError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

app = App(
    name="pangea",
    help="Verified compute for Python: split, execute and merge as WebAssembly, in sandboxes nobody has to trust.",
    help_flags=["--help", "-h"],
    suppress_keyboard_interrupt=False,  # it gets our own words
)
app.command(run)
app.command(doctor)
app.command(sim)
app.command(devnet)
app.command(node)
app.command(job)
app.command(peer)
app.command(top)
app.command(verify)
app.command(config)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    given = sys.argv[1:] if arguments is None else arguments
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    code = _run(given)
    for number in _SIGNALS:  # the result is out: what is left is ending our own processes, which takes milliseconds
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    as_json = "--json" in arguments or _wants_json(arguments)
    try:
        app(
            ["/dev/stdin" if word == "-" else word for word in arguments],
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except PangeaError as error:
        show_error(error, as_json=as_json)
        return error.exit_code
    except CycloptsError as error:
        show_error(usage_error(error, options_of(run)), as_json=as_json)
        return EXIT_USAGE
    except KeyboardInterrupt:
        say("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return EXIT_FAILED
    return EXIT_OK


def _wants_json(arguments: list[str]) -> bool:
    return "--output=json" in arguments or any(pair == ("--output", "json") for pair in pairwise(arguments))


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
