"""The command line: one file a command, each a thin call of the library.

Commands are imported when they are named, so ``grokprobe --help`` answers without torch, xarray, zarr or matplotlib.
"""

import importlib
import io
import os
import signal
import sys
from types import FrameType
from typing import Any, Final

import click

from grokprobe.errors import DamagedStoreError, GrokprobeError, is_undecodable
from grokprobe.version import __version__

#: Command → (module, one line of help).
COMMANDS: Final = {
    "train": ("grokprobe.cli.train", "Train a sweep over seeds and initialisation scales."),
    "analyze": ("grokprobe.cli.analyze", "Measure checkpoints into one labelled dataset."),
    "info": ("grokprobe.cli.info", "Say what is in a checkpoint tree, a file or a results store."),
    "plot": ("grokprobe.cli.plot", "Draw figures of a results store."),
    "report": ("grokprobe.cli.report", "Write one HTML page about a results store."),
    "dashboard": ("grokprobe.cli.dashboard", "Show a results store in a browser, slice by slice."),
    "compare": ("grokprobe.cli.compare", "Put two results stores, or runs of them, side by side."),
    "verify": ("grokprobe.cli.verify", "Check every stored number against its checksum and the ledger."),
    "compact": ("grokprobe.cli.compact", "Tidy a results store: one ledger file, no leftovers."),
    "convert": ("grokprobe.cli.convert", "Write any checkpoints again as runs of safetensors files."),
    "plugins": ("grokprobe.cli.plugins", "List every task and measure, and where it comes from."),
}
INTERRUPTED: Final = 128 + signal.SIGINT
TERMINATED: Final = 128 + signal.SIGTERM
#: Whoever read the output has gone: 128 + SIGPIPE, as a shell says it.
UNREAD: Final = 141


class Failed(click.ClickException):
    """An error that was expected to happen to somebody: one line, and its exit code."""

    def __init__(self, error: GrokprobeError) -> None:
        super().__init__(str(error))
        self._error = error

    @property
    def exit_code(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride] - click only reads it
        """The error's own."""
        return self._error.exit_code


class Terminated(BaseException):
    """SIGTERM, raised like KeyboardInterrupt so that what is measured is kept."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the commands in the order of a session."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports and returns a command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        return importlib.import_module(COMMANDS[cmd_name][0]).command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command; turns what it raises into one line and the documented exit code."""
        signal.signal(signal.SIGTERM, _terminate)
        for stream in (sys.stdout, sys.stderr):  # a name of a file need not be text: what is none is escaped
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except GrokprobeError as error:
            if "--debug" in sys.argv:
                raise
            raise Failed(error) from error
        except (KeyboardInterrupt, Terminated) as error:
            click.echo("stopped; what is done is kept, the same command goes on from there", err=True)
            ctx.exit(TERMINATED if isinstance(error, Terminated) else INTERRUPTED)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is flushed at exit
            ctx.exit(UNREAD)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if "--debug" in sys.argv:
                raise
            raise _explain(error) from error


def _explain(error: Exception) -> click.ClickException:
    """Returns what is said about an error that nobody foresaw."""
    if is_undecodable(error):
        reason = f"a chunk of the results cannot be decoded: {error}; grokprobe verify RESULTS says which"
        return Failed(DamagedStoreError(reason))
    return click.ClickException(
        f"this is a bug: {type(error).__name__}: {error}; --debug shows where, please report it"
    )


def _terminate(_signum: int, _frame: FrameType | None) -> None:
    raise Terminated


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 all done; 1 a bug; 2 usage or recipe error; 3 something failed, the rest is done;"
    " 4 nothing could be read; 5 store locked or of another version; 6 writing failed; 130, 143 stopped; 141"
    " nobody reads the output.",
)
@click.version_option(__version__, prog_name="grokprobe")
def main() -> None:
    """Checkpoints in, one labelled dataset out: how networks learn, measured."""
