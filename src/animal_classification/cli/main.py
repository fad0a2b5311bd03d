"""The frame of ``animals``: finds the command, and turns whatever it raises into one line and an exit code.

0: done. 1: the work failed. 2: the call was wrong. 130: interrupted. Commands are imported when they are called, and
only those that exist are listed.
"""

from __future__ import annotations

import sys
import traceback
import warnings
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animal_classification import __version__
from animal_classification.common.console import complain, drop_stdout, prepare_streams
from animal_classification.common.suggest import nearest
from animal_classification.errors import AnimalsError

if TYPE_CHECKING:
    from collections.abc import Sequence

# What each command is, said here so that listing them imports none of them.
COMMANDS = {
    "predict": "Name the animals in photos: a table, or a folder per animal.",
    "convert": "Make tables and exports of a run again, without a model.",
    "cards": "See what is on memory cards, before any model runs.",
    "detectors": "List, show and add what finds animals in a picture.",
    "batch": "Name the animals in millions of photos, on many machines.",
    "up": "Start the web page and the API on this machine.",
    "serve": "Start the API with every production setting.",
    "keys": "Make, list and revoke a server's API keys.",
    "data": "Fetch, look at, clean, split and version a data set.",
    "train": "Make a model of your own from labelled photos.",
    "sweep": "Train many times to find good settings.",
    "evaluate": "Say how good a model is on labelled photos.",
    "report": "Write a model's report as a page, and check that a report tells the truth.",
    "export": "Make a model smaller or faster, and check that it is still as good.",
    "models": "See which models there are; put one into production, or back.",
    "monitor": "Watch a model in use: traffic, unknown photos, what people say of it.",
    "loop": "Turn corrections into a better model in use, step by step.",
    "deploy": "Put the API and trainings onto Google Cloud or Kubernetes.",
    "bench": "Measure how fast this machine names animals.",
}
INTERRUPTED = 130


@dataclass
class Frame:
    """What is known about a call when it fails.

    Attributes:
        debug: Tracebacks were asked for.
        command: ``animals`` and the command, as far as it was understood.
    """

    debug: bool = False
    command: str = "animals"


class _Interrupted(Exception):  # noqa: N818 - not an error; click would swallow a KeyboardInterrupt and print a blank line
    """Ctrl-C, on its way out through click."""


class _ReaderGone(Exception):  # noqa: N818 - as above
    """Nobody reads our output any more."""


class LazyGroup(click.Group):
    """Imports ``animal_classification.cli.NAME`` when the command NAME is called, and takes its ``command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if find_spec(_module(name)) is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(_module(cmd_name)).command
        _accept_debug(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # `animals help train` is what many try first.
        return super().parse_args(ctx, [*args[1:], "--help"] if args[:1] == ["help"] else args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = args[0], self.list_commands(ctx)
        if name not in known:
            hint = f"; did you mean: animals predict {name}" if Path(name).exists() else nearest(name, known)
            raise click.UsageError(f"no such command '{name}'{hint}", ctx)
        ctx.ensure_object(Frame).command = f"animals {name}"
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _Interrupted from None
        except BrokenPipeError:
            raise _ReaderGone from None


def _module(command: str) -> str:
    return f"animal_classification.cli.{command}"


def _set_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Frame).debug = True


def _accept_debug(command: click.Command) -> None:
    if not any(parameter.name == "debug" for parameter in command.params):
        command.params.append(_debug_option())
    if isinstance(command, click.Group):
        for subcommand in command.commands.values():
            _accept_debug(subcommand)


def _debug_option() -> click.Option:
    return click.Option(
        ["--debug"], is_flag=True, expose_value=False, is_eager=True, callback=_set_debug, help="Show tracebacks."
    )


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    params=[_debug_option()],
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: animals predict FOLDER, or: animals up",
)
@click.version_option(__version__, message="%(prog)s %(version)s", help="Show the version and exit.")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Names for the animals in your photos."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The words after ``animals``; those of this process by default.

    Returns:
        The exit code.
    """
    frame = Frame()
    prepare_streams()
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")  # a library's advice to its programmers is no line for our users
            words = None if argv is None else list(argv)
            result = cli.main(words, prog_name="animals", obj=frame, standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except Exception as error:
        if frame.debug:
            _print_traceback()
        return _explain(error, frame)


def _explain(error: Exception, frame: Frame) -> int:
    """Say in one line what happened; returns the exit code."""
    if isinstance(error, AnimalsError):
        complain(str(error))
        return error.exit_code
    if isinstance(error, click.UsageError):
        complain(f"{_usage_line(error)} (see: {frame.command} --help)")
        return 2
    if isinstance(error, click.ClickException):
        complain(error.format_message())
        return 1
    if isinstance(error, (_Interrupted, click.Abort)):
        complain("interrupted")
        return INTERRUPTED
    if isinstance(error, (_ReaderGone, BrokenPipeError)):
        drop_stdout()
        return 1
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    complain(f"internal error: {reason}; run again with --debug for details")
    return 1


def _usage_line(error: click.UsageError) -> str:
    message = error.format_message().replace("\n\t", " ").rstrip(".")  # click lists choices a line each
    if isinstance(error, click.NoSuchOption):
        message = f"no such option '{error.option_name}'{nearest(error.option_name, _options(error.ctx))}"
    return f"{message[:1].lower()}{message[1:]}"


def _options(ctx: click.Context | None) -> list[str]:
    if ctx is None:
        return []
    return [word for parameter in ctx.command.get_params(ctx) for word in (*parameter.opts, *parameter.secondary_opts)]


def _print_traceback() -> None:
    traceback.print_exc()


if __name__ == "__main__":
    sys.exit(main())
