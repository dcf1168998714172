"""What pages need that isn't a part of every installation. Asked before any of it is imported."""

from __future__ import annotations

from importlib.util import find_spec

from pangea.compute.model.errors import UnavailableError

#: A token of the user's own, so that those who look needn't be told another after each start.
TOKEN_VARIABLE = "PANGEA_DASHBOARD_TOKEN"  # noqa: S105  # the variable's name
_PAGE = ("starlette", "uvicorn", "jinja2")


def check(what: str = "the live page", needed: tuple[str, ...] = _PAGE, extra: str = "dashboard") -> None:
    """Find out before anything is started whether there can be a page.

    Raises:
        UnavailableError: what it needs isn't installed.
    """
    if missing := [name for name in needed if find_spec(name) is None]:
        raise UnavailableError(
            f"{what} needs {', '.join(missing)}, which isn't installed", hint=f"pip install 'pangea-compute[{extra}]'"
        )
