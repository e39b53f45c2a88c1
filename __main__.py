"""Entry point: the bridge on a pipe, the command line on a terminal. Imports only what it dispatches to."""

import os
import sys


def main() -> int:
    """Run what the arguments ask for and return the exit status."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["server-process"]:
        from .server.process import main as server_process

        return server_process(arguments[1:])
    if (options := bridge_options(arguments, is_terminal=os.isatty(0))) is not None:
        return _serve_client(*options)
    from .server.cli.main import main as command_line

    return command_line()


def bridge_options(arguments: list[str], *, is_terminal: bool) -> tuple[str | None, bool] | None:
    """The repository and whether to serve in this process, if the arguments ask for the stdio server; else `None`.

    `mcp` asks for it anywhere; without a command a pipe does, a terminal does not.
    """
    rest = arguments[1:] if arguments[:1] == ["mcp"] else arguments
    if is_terminal and rest is arguments:
        return None
    repository, in_process = None, False
    while rest:
        match rest:
            case ["--in-process", *others]:
                in_process = True
            case ["--repo", path, *others]:
                repository = path
            case [option, *others] if option.startswith("--repo="):
                repository = option.removeprefix("--repo=")
            case _:
                return None
        rest = others
    return repository, in_process


def _end_on_signals() -> None:
    """End quietly when the client is gone before the bridge is there to hear of it."""
    import _signal  # type: ignore[import-not-found]  # `signal` costs 4 ms of each start

    for number in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP):
        _signal.signal(number, lambda *_: os._exit(0))


def _serve_client(repository: str | None, in_process: bool) -> int:  # noqa: FBT001  (unpacked from the options)
    _end_on_signals()
    if in_process:
        from .server.in_process import main as serve_in_process

        return serve_in_process(repository)
    from .server.bridge import main as bridge

    return bridge(repository)


if __name__ == "__main__":
    raise SystemExit(main())
