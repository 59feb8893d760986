"""Facts and curves of the panel, in sections that fold."""

from mujoco.studio.dear_imgui import dear_imgui as imgui
from mujoco.studio.implot import implot

from hilserl.operators.console.messages import ConsoleStatus
from hilserl.operators.console.style import section

_PLOT_PX = 84.0


def draw_facts(status: ConsoleStatus) -> None:
    """Draw the pairs of name and value."""
    if not status.facts or not section("Facts"):
        return
    if imgui.BeginTable("facts", 2):
        for name, value in status.facts:
            imgui.TableNextColumn()
            imgui.Text(name)
            imgui.TableNextColumn()
            imgui.Text(value)
        imgui.EndTable()


def draw_plots(status: ConsoleStatus) -> None:
    """Draw each plot in a section named after it."""
    quiet = int(implot.Flags.NoMenus) | int(implot.Flags.NoBoxSelect) | int(implot.Flags.NoMouseText)
    quiet |= int(implot.Flags.NoTitle)
    fit = int(implot.AxisFlags.AutoFit) | int(implot.AxisFlags.NoHighlight)
    for title, curves in status.plots:
        if not section(title) or not implot.BeginPlot(title, imgui.Vec2(-1.0, _PLOT_PX), quiet):
            continue
        implot.SetupAxes("", "", fit, fit)
        for curve in curves:
            implot.PlotLine(curve.name, curve.x, curve.y)
        implot.EndPlot()
