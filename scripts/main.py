"""The command `systolith`: its subcommands, and the one place where errors become exit statuses."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import IntEnum
from importlib import metadata
from typing import Annotated

import typer

from systolith.scripts.commands.boards.board import board
from systolith.scripts.commands.boards.classify_images import classify
from systolith.scripts.commands.compare import compare
from systolith.scripts.commands.corpus import corpus
from systolith.scripts.commands.describe import describe
from systolith.scripts.commands.evaluate import evaluate
from systolith.scripts.commands.export import export
from systolith.scripts.commands.generate import generate
from systolith.scripts.commands.import_network import import_network
from systolith.scripts.commands.plan import plan
from systolith.scripts.commands.predict import predict
from systolith.scripts.commands.quantize import quantize
from systolith.scripts.commands.run import run
from systolith.scripts.commands.simulate import simulate
from systolith.scripts.commands.sweep import sweep
from systolith.scripts.commands.synth import synth
from systolith.scripts.commands.train import train
from systolith.scripts.console import print_error, print_text
from systolith.scripts.interrupts import interruptible
from systolith.scripts.outputs import inputs_stay
from systolith.scripts.standard_streams import closed_pipes_are_quiet


class Status(IntEnum):
    """The exit statuses of the program."""

    DONE = 0
    CHECK_FAILED = 1
    BAD_INPUT = 2
    MACHINE_LACKS = 3
    INTERRUPTED = 130


app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    run,
    describe,
    train,
    import_network,
    quantize,
    evaluate,
    compare,
    plan,
    generate,
    simulate,
    synth,
    predict,
    board,
    classify,
    sweep,
    export,
    corpus,
):
    # A command has the name of its function; `import` is a word of Python.
    app.command("import" if _command is import_network else None)(inputs_stay(_command))


@app.callback(invoke_without_command=True)
def systolith(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True)
    ] = False,
) -> None:
    """Trained convolutional networks as bit-exact streaming systolic accelerators.

    Start with [bold]systolith run[/bold]: LeNet-5 from trained weights to Verilog,
    simulated and compared with its fixed-point model bit by bit. Or go step
    by step:

    systolith quantize lenet5 --out lenet5.npz
    systolith evaluate lenet5.npz
    systolith generate lenet5.npz --out lenet5-rtl
    systolith simulate lenet5-rtl --images 100

    Ends with 0: done, 1: a check failed, or a device is too small, 2: bad input,
    3: the machine lacks something, 130: interrupted.
    """
    if version:
        print_text(f"systolith {metadata.version('systolith')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (default: the process's own) and return its exit status.

    An error is one line on standard error. A closed pipe is no error: the work continues, and its
    outcome decides the status.
    """
    with closed_pipes_are_quiet():
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    command = typer.main.get_command(app)
    try:
        with interruptible():
            status = command.main(arguments, prog_name="systolith", standalone_mode=False)
            sys.stdout.flush()
    except typer.TyperException as error:
        return _fail(_usage(error), Status.BAD_INPUT)
    except OSError as error:
        return _fail(_os_error(error), Status.MACHINE_LACKS)
    except MemoryError:
        return _fail("out of memory", Status.MACHINE_LACKS)
    except (ValueError, OverflowError) as error:
        return _fail(str(error), Status.BAD_INPUT)
    except KeyboardInterrupt:
        return Status.INTERRUPTED
    except RuntimeError as error:
        # Imported here because a command that needs no simulator should start at once.
        from systolith.hw.errors import MisfitError, MissingToolError
        from systolith.sim.errors import SimulationError

        if isinstance(error, MisfitError):
            return _fail(str(error), Status.CHECK_FAILED)
        if isinstance(error, (MissingToolError, SimulationError)):
            return _fail(str(error), Status.MACHINE_LACKS)
        raise
    return status if isinstance(status, int) else Status.DONE


def _fail(message: str, status: Status) -> Status:
    print_error(message)
    return status


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "systolith"
    return f"{error.format_message().rstrip('.')} (see {command} --help)"


def _os_error(error: OSError) -> str:
    if error.filename is None:
        return error.strerror or str(error)
    return f"{error.filename}: {error.strerror}"


if __name__ == "__main__":
    sys.exit(main())
