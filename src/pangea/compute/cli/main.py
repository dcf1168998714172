"""The entry point: parse, run, and turn every error into a line a person can use and an exit code a script can."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from inspect import BoundArguments, Parameter
from types import FrameType
from typing import Any, Literal, NoReturn

from cyclopts import App, CycloptsError, MissingArgumentError

from pangea.compute.cli.console import QuietInterrupt, say, show_error, show_warnings
from pangea.compute.cli.dashes import hide
from pangea.compute.cli.dashes import show as unhide
from pangea.compute.cli.examples import show_examples
from pangea.compute.cli.old_spellings import renewed
from pangea.compute.cli.own_options import with_values
from pangea.compute.cli.records import AsJson, answering, print_data, say_error, say_interrupted
from pangea.compute.cli.streams import StdoutError
from pangea.compute.cli.usage import usage_error
from pangea.compute.model.errors import EXIT_FAILED, EXIT_OK, EXIT_SIGNAL, EXIT_USAGE, OutputError, PangeaError, UnavailableError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_HELP = ("--help", "-h")
_VERSION = "--version"
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
    version_flags=_VERSION,
    version_format="plaintext",
    suppress_keyboard_interrupt=False,  # it gets our own words
)
for _name, _place in _COMMANDS.items():
    app.command(f"pangea.compute.cli.{_place}", name=_name)


@app.command
def completion(shell: Literal["bash", "zsh", "fish"], *, as_json: AsJson = False) -> None:
    """Print a script with which a shell completes commands and options; its second line says where to put it."""
    from pangea.compute.cli.shell import completion_of

    script = completion_of(app, shell) + "\n"
    if as_json:  # whatever PANGEA_OUTPUT says: shells read it
        print_data({"shell": shell, "script": script})
    else:
        sys.stdout.write(script)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    given = sys.argv[1:] if arguments is None else arguments
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    show_warnings()
    code = _run(given)
    for number in _SIGNALS:  # the result is out: what is left is ending our own processes, which takes milliseconds
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


def _run(given: list[str]) -> int:
    if given != [_VERSION] and (len(given) < 2 or given[0] not in _COMMANDS or not {*_HELP}.isdisjoint(given)):
        show_examples(app)  # which loads all commands
    words = renewed(given, app)
    as_json = "--json" in (words[: words.index("--")] if "--" in words else words)
    answering(_command_of(words))
    show = say_error if as_json else show_error
    try:
        command, bound = _parsed(hide(words))
        command(*map(unhide, bound.args), **unhide(bound.kwargs))
        sys.stdout.flush()
    except PangeaError as error:
        show(error)
        return error.exit_code
    except CycloptsError as error:
        show(usage_error(error, app, words))
        return EXIT_USAGE
    except ModuleNotFoundError as error:
        if (error.name or "pangea").startswith("pangea"):
            raise
        show(UnavailableError(f"this needs {error.name}, which isn't installed", hint="pip install 'pangea-compute[node]'"))
        return UnavailableError.exit_code
    except StdoutError as error:
        show(OutputError(f"standard output can't be written: {error.strerror}"))
        return OutputError.exit_code
    except QuietInterrupt:
        return _exit_code_of_interrupt()
    except KeyboardInterrupt as interrupt:
        notes = list(getattr(interrupt, "__notes__", []))
        say_interrupted(notes) if as_json else say("; ".join(["interrupted", *notes]))
        return _exit_code_of_interrupt()
    except BrokenPipeError:  # whoever read it has seen enough
        return EXIT_FAILED
    return EXIT_OK


def _parsed(words: list[str]) -> tuple[Callable[..., Any], BoundArguments]:
    try:
        return app.parse_args(words, exit_on_error=False, print_error=False)[:2]
    except MissingArgumentError as error:
        if error.argument is None or error.argument.field_info.kind is not Parameter.VAR_KEYWORD:
            raise
    # an option of the job's own that may need no value
    return app.parse_args(with_values(words, app), exit_on_error=False, print_error=False)[:2]


def _command_of(words: list[str]) -> str:
    """The command that the words name, as far as they do, by its first name."""
    chain, apps, _ = app.parse_commands(words)
    below = zip(chain[1:], apps[1:], strict=False)  # the first has one name, and looking for it would load the others
    return " ".join([*chain[:1], *(next(name for name in above if above[name] is above[word]) for word, above in below)])


#: The signals that have ended the command: one, mostly.
_received: list[int] = [signal.SIGINT]


def _interrupt(number: int, _frame: FrameType | None) -> None:
    _received.append(number)
    raise KeyboardInterrupt


def _exit_code_of_interrupt() -> int:
    """128 and the signal's number, as shells have it: 130 for Ctrl-C, 143 for SIGTERM."""
    return EXIT_SIGNAL + _received[-1]


if __name__ == "__main__":
    main()
