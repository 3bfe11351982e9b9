"""The commands that begin with a config, one file each: what it takes, and what it does with it."""

import typer

from homodyne_cli.cli.commands.batch import BatchRequest, run_batch
from homodyne_cli.cli.commands.check import CheckRequest, run_check
from homodyne_cli.cli.commands.explain import ExplainRequest, run_explain
from homodyne_cli.cli.commands.fit import FitRequest, run_fit
from homodyne_cli.cli.commands.init import InitRequest, run_init
from homodyne_cli.cli.commands.inspect import InspectRequest, run_inspect
from homodyne_cli.cli.commands.plan import PlanRequest, run_plan
from homodyne_cli.cli.commands.simulate import SimulateRequest, run_simulate
from homodyne_cli.cli.options.command import add_command


def add_commands(app: typer.Typer) -> None:
    """Register them, in the order in which they are listed."""
    add_command(app, "init", InitRequest, run_init)
    add_command(app, "plan", PlanRequest, run_plan)
    add_command(app, "simulate", SimulateRequest, run_simulate)
    add_command(app, "inspect", InspectRequest, run_inspect)
    add_command(app, "check", CheckRequest, run_check)
    add_command(app, "fit", FitRequest, run_fit)
    add_command(app, "batch", BatchRequest, run_batch)
    add_command(app, "explain", ExplainRequest, run_explain)
