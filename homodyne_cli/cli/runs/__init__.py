"""The commands that come after a fit: judge it, mend its scale, show it, hand it on."""

import typer

from homodyne_cli.cli.options.command import add_command
from homodyne_cli.cli.runs.apply_scale import ApplyScaleRequest, run_apply_scale
from homodyne_cli.cli.runs.compare import CompareRequest, run_compare
from homodyne_cli.cli.runs.diagnose import DiagnoseRequest, run_diagnose
from homodyne_cli.cli.runs.export import ExportRequest, run_export
from homodyne_cli.cli.runs.report import ReportRequest, run_report
from homodyne_cli.cli.runs.rerun import RerunRequest, run_rerun
from homodyne_cli.cli.runs.show import ShowRequest, run_show
from homodyne_cli.cli.runs.verify import VerifyRequest, run_verify


def add_commands(app: typer.Typer) -> None:
    """Register them, in the order in which they are listed."""
    add_command(app, "diagnose", DiagnoseRequest, run_diagnose)
    add_command(app, "apply-scale", ApplyScaleRequest, run_apply_scale)
    add_command(app, "verify", VerifyRequest, run_verify)
    add_command(app, "show", ShowRequest, run_show)
    add_command(app, "compare", CompareRequest, run_compare)
    add_command(app, "rerun", RerunRequest, run_rerun)
    add_command(app, "report", ReportRequest, run_report)
    add_command(app, "export", ExportRequest, run_export)
