"""The entry point: parse, run, and turn every error into a line a person can use and an exit code a script can."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Literal, NoReturn

from cyclopts import App, CycloptsError

from pangea.compute.cli.console import say, show_error
from pangea.compute.cli.dashes import hide, show
from pangea.compute.cli.examples import show_examples
from pangea.compute.cli.old_spellings import renewed
from pangea.compute.cli.streams import StdoutError
from pangea.compute.cli.usage import usage_error
from pangea.compute.model.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, OutputError, PangeaError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_HELP = ("--help", "-h")
#: Where each command is: it is loaded when it is meant, as all of them take longer than a small job.
_COMMANDS = {
    "run": "run:run",
    "build": "build:build",
    "doctor": "doctor:doctor",
    "sim": "sim:sim",
    "devnet": "devnet:devnet",
    "node": "node:app",
    "job": "job:app",
    "peer": "peer:app",
    "top": "top:top",
    "dashboard": "dashboard:dashboard",
    "verify": "verify:verify",
    "log": "log:app",
    "config": "config:app",
    "id": "shell:show_identity",
}


def _version() -> str:
    from importlib.metadata import version

    return f"pangea {version('pangea-compute')}"


app: App = App(
    name="pangea",
    help="Verified compute for Python: split, execute and merge as WebAssembly, in sandboxes nobody has to trust.",
    help_flags=_HELP,
    version=_version,
    suppress_keyboard_interrupt=False,  # it gets our own words
)
for _name, _place in _COMMANDS.items():
    app.command(f"pangea.compute.cli.{_place}", name=_name)


@app.command
def completion(shell: Literal["bash", "zsh", "fish"]) -> None:
    """Print a script with which a shell completes commands and options; its second line says where to put it."""
    from pangea.compute.cli.shell import completion_of

    sys.stdout.write(completion_of(app, shell) + "\n")


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
    if len(given) < 2 or given[0] not in _COMMANDS or not {*_HELP}.isdisjoint(given):
        show_examples(app)  # which loads all commands
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
