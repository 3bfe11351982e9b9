"""What each code means: one table, shown by ``homodyne explain`` and in ``docs/codes.md``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from homodyne_cli.findings.codes import Code


@dataclass(frozen=True)
class Explanation:
    """What a code stands for.

    Attributes
    ----------
    title
        In a few words.
    meaning, consequence
        What was seen, and what follows for the result.
    remedy, otherwise
        What to do first, and if that does not help.
    """

    title: str
    meaning: str
    consequence: str
    remedy: str
    otherwise: str


# fmt: off
EXPLANATIONS: Final[Mapping[Code, Explanation]] = {
    Code.USAGE: Explanation(
        "command line",
        "Options or arguments are missing, contradict each other or would do nothing.",
        "Nothing was done.", "Follow the hint below the message.",
        "homodyne COMMAND --help lists what a command takes."),
    Code.CONFIG: Explanation(
        "config",
        "A key or value of the config or of --set is not accepted; file, line and column say "
        "where.", "Nothing was read or fitted.",
        "Correct every place that is named; all are told at once.",
        "docs/config.md lists all keys; homodyne init writes a config with each of them."),
    Code.OUTPUT: Explanation(
        "output", "The place to write to exists already, is read-only or full.",
        "Nothing that was there has changed; a fit that could not be saved is shown all the "
        "same.", "Choose another -o, or --force to replace a run.",
        "Free space, or write to another disk."),
    Code.STREAMED: Explanation(
        "larger than memory", "A step needs all maps at once, and they are larger than the budget.",
        "The step was not done.", "Give it more memory: --memory 16GB.",
        "Fit fewer frames (analyzer_parameters.end_frame) or angles (phi_filtering)."),
    Code.WRONG_KIND: Explanation(
        "another kind of file",
        "A data file was given for a config, a config for a data file, or a file for a run.",
        "Nothing was read.", "Type the command that the hint shows.",
        "homodyne COMMAND --help says what each place takes."),
    Code.DATA: Explanation(
        "data",
        "A data file or run directory does not hold what is needed, or holds what makes no "
        "sense.", "Nothing was fitted.", "homodyne inspect FILE shows what is in it.",
        "Correlate again, or select other angles, frames or another ring."),
    Code.NO_FILE: Explanation(
        "no such file", "The file or folder does not exist where it was looked for.",
        "Nothing was read.", "Correct the path; in a config it is relative to the config's folder.",
        "--data FILE names another file for once."),
    Code.LAYOUT: Explanation(
        "unknown layout", "The file is whole, but nothing in it is known as two-time maps.",
        "Nothing was fitted.",
        "homodyne inspect FILE lists its arrays; name the maps with experimental_data.dataset.",
        "Write c2 (n_phi, n, n), phi, q and dt to an npz or HDF5 file."),
    Code.DAMAGED: Explanation(
        "damaged file", "The library that reads the file fails in it: it is cut off or corrupt.",
        "Nothing was fitted.", "Copy it again from its source and compare checksums.",
        "Correlate again: the program that wrote it may have been killed."),
    Code.RING: Explanation(
        "no such ring",
        "No ring of the file has a q within 10% of the config's, or the config names none of "
        "several.", "Nothing was fitted.",
        "Set analyzer_parameters.scattering.wavevector_q to one of those listed, in 1/Å.",
        "A factor of 10 is a unit: 1 1/nm = 0.1 1/Å."),
    Code.FRAMES: Explanation(
        "frames out of range",
        "start_frame, end_frame or bad_frames name frames that the file does not have.",
        "Nothing was fitted.", "Frames count from 1, both ends included; end_frame -1 is the last.",
        "homodyne inspect FILE shows how many there are, and the number of the first."),
    Code.DT_DISAGREES: Explanation(
        "dt disagrees with the file",
        "The frame interval of the config is more than 1% off the file's.",
        "The config's is used. Rates are wrong by the same factor, and D0 and gamma_dot_t0 by a"
        " power of it.", "Take the file's: --set analyzer_parameters.dt=null.",
        "If the file is wrong (a detector that was triggered, frames that were averaged), keep "
        "the config's."),
    Code.Q_UNIT: Explanation(
        "q may be in 1/nm",
        "The wave vector is above 0.5 1/Å and the file does not state its unit.",
        "If it is in 1/nm, D0 is 100 times too small and the shear rate 10 times.",
        "Give the file's q the attribute units = '1/nm'.",
        "Write q in 1/Å, a tenth of the number in 1/nm."),
    Code.GAP_UNIT: Explanation(
        "gap may be in another unit", "The gap is below 10 µm or above 10 cm when taken in Å.",
        "The shear rate is inversely proportional to it; its bounds may hold it off the truth, "
        "and diffusion with it.", "Give it in Å: 200 µm are 2.0e6.",
        "If the gap is right, go on: nothing else depends on its size."),
    Code.PHI_UNIT: Explanation(
        "angles may be in radians",
        "All angles lie within 2π, not all are whole, and the file does not state their unit.",
        "If they are radians, all maps seem to be at nearly one angle and flow cannot be told "
        "from diffusion.", "--set experimental_data.phi_unit=radians.",
        "If they are degrees, --set experimental_data.phi_unit=degrees says so."),
    Code.FEW_ANGLES: Explanation(
        "few angles",
        "phi_filtering leaves fewer than 3 angles, or less than a quarter of the ring.",
        "Flow and diffusion, and phi0, are told apart by how c2 changes with the angle: they "
        "trade off.", "Fit all: --set phi_filtering.enabled=false.",
        "Widen target_ranges; include angles across the flow."),
    Code.MASKED: Explanation(
        "pairs left out",
        "Values of pairs, or their noise in the file, are no numbers, or a frame has no counts.",
        "They are left out of every sum; the rest is fitted as usual.",
        "homodyne inspect FILE shows in which maps.",
        "List the frames in experimental_data.bad_frames if you know them."),
    Code.ROUNDED: Explanation(
        "rounded values",
        "The values of c2 are multiples of a step that is larger than their noise.",
        "Noise counts as no less than the step over sqrt(12); uncertainties are those of the "
        "rounded values.", "Export c2 with all its digits.",
        "Set noise.sigma if you know the noise."),
    Code.FLAT_ANGLES: Explanation(
        "angles without contrast", "At some angles c2 is the same at all lags, within its noise.",
        "Their contrast is zero and they add nothing but noise.",
        "Leave them out with phi_filtering.",
        "Look for a beam stop or a dead module at that angle."),
    Code.UNEVEN_TIMES: Explanation(
        "uneven times", "The file has a time for each frame, and they are not evenly spaced.",
        "The times of the file are used, and dt, their median step, is for display alone.",
        "Nothing, where frames were dropped or triggered.",
        "If the times are wrong, take t out of the file: dt is used then."),
    Code.CONSTANT: Explanation(
        "constant maps",
        "All pairs of a map have one value: a fill value, or values that were rounded away.",
        "The fit is refused: such a map says nothing.", "Leave the angles out with the line shown.",
        "Correlate again; look at homodyne inspect FILE."),
    Code.BASELINE_ZERO: Explanation(
        "g2 - 1 instead of g2",
        "c2 at long lags is near 0, and the bounds of the offset are around 1.",
        "The fit is refused: every offset would end at its bound.",
        "--set experimental_data.baseline=0 adds the 1.",
        "Widen the bounds of offset if 0 is what you mean."),
    Code.NO_DECAY: Explanation(
        "no contrast", "At no angle does c2 change with the lag by more than its noise.",
        "The fit is refused: D0 could be anything.",
        "homodyne inspect FILE draws a map; compare q, mask and exposure with a run that "
        "worked.",
        "Faster frames if the decay is over within one, a longer series if it has not begun."),
    Code.OUTLIERS: Explanation(
        "outliers",
        "Single pairs lie far outside of all others: a hot pixel, a flash, a broken frame.",
        "Under the linear loss they decide the fit; it is refused where one alone outweighs a "
        "hundred maps.", "--set optimization.nlsq.loss=cauchy withstands them.",
        "List the frames in experimental_data.bad_frames."),
    Code.UNFIT: Explanation(
        "nothing to fit", "Everything is fixed, or there are fewer pairs than unknowns.",
        "Nothing was fitted.", "Free a parameter, or select more frames or angles.",
        "per_angle_mode: shared needs one contrast and one offset only."),
    Code.NOT_CONVERGED: Explanation(
        "not converged",
        "The fit stopped where one more step would still lower chi2 by more than the data can "
        "tell (EDM).", "Parameters and uncertainties are not those of the minimum.",
        "homodyne diagnose RUN says why and recommends an x_scale_map.",
        "Raise optimization.nlsq.max_iterations; leave the global search on."),
    Code.AT_BOUND: Explanation(
        "parameter at a bound", "The data push a parameter against a bound of parameter_space.",
        "It has no uncertainty of its own, and those of the others hold for it there.",
        "Widen the bound if nature allows it.",
        "Hold a parameter that trades off with it: fixed_parameters."),
    Code.UNDETERMINED: Explanation(
        "not determined",
        "Some parameters change together without changing the model: only a combination is "
        "measured.", "They have no uncertainty; the combination has one, and the curves do.",
        "Quote the combination, or hold one of the parameters at a known value.",
        "Measure over a longer window or at more angles: power laws differ by their bend."),
    Code.INTERRUPTED: Explanation(
        "interrupted", "The fit was ended by Ctrl-C or a signal before it was done.",
        "The run holds the best point so far, marked as interrupted.",
        "homodyne fit CONFIG --resume RUN goes on from there.",
        "Remove the run directory and fit again."),
    Code.BLUR: Explanation(
        "blur within an exposure",
        "c2 changes within one exposure: in more than 5% of the frames that adds more than 1% "
        "of the contrast to it, beside what is the same in all frames.",
        "Rates are too low where they are fastest, mostly at the beginning; exponents bend.",
        "Leave the first frames out (analyzer_parameters.start_frame) and compare.",
        "Measure with shorter frames; give analyzer_parameters.exposure if it is shorter than "
        "dt."),
    Code.ALIASED: Explanation(
        "lobes between frames",
        "From frame to frame the shear factor goes through more than half a lobe.",
        "Lobes are not sampled: another shear rate may describe the data as well.",
        "Fit the angles closer to right angles to the flow (phi_filtering) and compare.",
        "Measure with shorter frames, or at a lower q."),
    Code.Q_WIDTH: Explanation(
        "ring too wide",
        "Over the width of the ring (analyzer_parameters.q_width) c2 differs by more than 1% of"
        " the contrast from that at its middle.",
        "Lobes are washed out and the decay is bent; the fit blames diffusion.",
        "Divide the ring into narrower ones.", "Fit shorter lags only (end_frame) and compare."),
    Code.TRANSIT: Explanation(
        "particles leave the beam",
        "The flow carries particles out of the beam (analyzer_parameters.beam_size) before they"
        " decorrelate: that takes more than 1% of the contrast.",
        "Transit counts as diffusion: D0 is too large.", "Widen the beam along the flow.",
        "Look at a higher q, where c2 decays before."),
    Code.UNEQUAL_SHEAR: Explanation(
        "angles disagree on the strain",
        "With the strain of each angle free, one differs by more than 2% from the common one, "
        "beyond noise.",
        "The flow is not one uniform gradient (slip, a shear band), or an angle does not see "
        "it.", "Leave the angle that is named out (phi_filtering) and compare.",
        "Fit halves of the angles apart; look at the mask."),
    Code.SECOND_COMPONENT: Explanation(
        "a beat that the model has not",
        "Residuals hold more than 0.5% of the contrast of the pattern that the beat with a "
        "second component leaves; other wrong decays may leave it as well.",
        "The fit has taken up most of it by wrong values of D0 and the shear rate: a component "
        "of 10% at rest took 28% off D0.",
        "Look for what scatters beside the sample: windows, parasitic scattering, sediment.",
        "Compare fits to angles along and across the flow (phi_filtering)."),
    Code.FLOW_AXIS: Explanation(
        "flow axis outside the bounds",
        "No phi0 inside its bounds describes the data; one outside, of the whole period of 180 "
        "degrees, does much better.",
        "Default bounds were widened to the period, bounds that you gave were kept: then shear and "
        "diffusion are those of a wrong axis.",
        "Widen the bounds of phi0: --set \"parameter_space.bounds.phi0=[-90, 90]\".",
        "See from where the detector counts phi, and whether the file's angles are in degrees."),
    Code.TOO_MANY_SPECKLES: Explanation(
        "more speckles than pixels",
        "The noise is that of more speckles than the detector map of the file has pixels in a bin.",
        "A pixel sees one speckle at most: the maps are means over more than one measurement, were "
        "smoothed, or the pixel map is not theirs. The share of pixels between angles is wrong "
        "then; uncertainties follow the noise itself.",
        "See how the maps were correlated: averages over repeats, smoothing.",
        "Count as if no pixels were known: correlate without dynamic_roi_map."),
    Code.OSCILLATIONS: Explanation(
        "check: oscillations",
        "Side lobes of the flow are missing from the fit, or are there and not in the data.",
        "The shear rate may be that of another minimum.",
        "Fit again with the global search on (--global).", "Free phi0, and fit all angles."),
    Code.CHI_SQUARED: Explanation(
        "check: chi_squared",
        "Reduced chi2 is far from 1, or chi2 is no better than the baseline's.",
        "Above: the model does not describe the data to their noise. Below: sigma is too large.",
        "Look at the residual maps of the report.", "Let sigma be estimated (remove noise.sigma)."),
    Code.UNCERTAINTIES: Explanation(
        "check: uncertainties", "Uncertainties are missing, or as large as the values.",
        "Numbers without them cannot be published.", "See what trades off in homodyne show RUN.",
        "Hold a partner of the pair with --set initial_parameters.fixed_parameters."),
    Code.RESIDUALS: Explanation(
        "check: residuals",
        "What is left after the fit has a pattern: over lag, age, angle, blocks or frames.",
        "Something is in the data that the model has not.",
        "The finding names the place; look there in the report.",
        "Mask bad frames, or fit a shorter window."),
    Code.GRADIENT_BALANCE: Explanation(
        "check: gradient_balance",
        "The scaled sensitivities of the parameters differ by more than a factor of 10.",
        "The optimiser may have stopped early in the weak directions.",
        "homodyne diagnose RUN -o fix.yaml, then homodyne apply-scale.",
        "Fit with --x-scale auto."),
    Code.CONVERGENCE: Explanation(
        "check: convergence", "At the run's parameters a step would still lower chi2.",
        "The run did not reach its minimum, whatever it says.", "homodyne diagnose RUN.",
        "Start again from its values with more iterations."),
    Code.PHYSICAL: Explanation(
        "check: physical",
        "Values are at bounds, did not move, or mean a negative rate or a contrast that cannot "
        "be.", "The minimum may be one without physical meaning.",
        "Widen the bounds that are named, or fix the cause.",
        "Start elsewhere: initial_parameters.values: null leaves it to the search."),
    Code.RINGS: Explanation(
        "check: rings",
        "Rings that were fitted together do not agree on J, the shear rate or phi0.",
        "The model has one J for all q and one flow: one of the two does not hold, and the joint "
        "values are a compromise.",
        "Fit the rings one by one (fit --each), and look at the deviations against q.",
        "Leave out rings whose decay is within one frame, or whose lobes are not sampled."),
    Code.REPEATS: Explanation(
        "check: repeats",
        "Repeats of one experiment differ by more than their stated uncertainties.",
        "Either the sample or the flow changed from one to the other, or the uncertainties are too "
        "small.",
        "Fit the repeats one by one (fit --each).",
        "Multiply the uncertainties by the scatter that is told, and say so."),
    Code.RHEOMETER: Explanation(
        "check: rheometer",
        "The shear rate or strain of the fit is not that of the rheometer.",
        "The flow in the beam is not the homogeneous one that the rheometer assumes: slip at the "
        "walls, or shear bands. A factor that never changes may be the gap.",
        "Look where the ratio leaves 1 (verify RUN --rheometer FILE.csv).",
        "Check analyzer_parameters.geometry.stator_rotor_gap and the units of the table."),
    Code.PREMATURE: Explanation(
        "stopped too early", "diagnose finds chi2 still to be had where the fit stopped.",
        "Parameters are on their way, not there.",
        "Fit again with more iterations, or with the recommended scale.",
        "Turn the global search on."),
    Code.IMBALANCE: Explanation(
        "gradients out of balance",
        "Gradients differ by more than the threshold between parameters.",
        "Harmless in a converged fit; in another one the likely cause.",
        "homodyne diagnose RUN -o fix.yaml, then homodyne apply-scale CONFIG fix.yaml.",
        "--x-scale auto does it by itself."),
    Code.DERIVATIVE: Explanation(
        "gradient check failed", "The fused gradient and finite differences disagree.",
        "A defect of the program: the fit was stopped.",
        "Report it with the config and the data's shape.",
        "diagnostics.check_gradients: false goes on without the check."),
    Code.INTERNAL: Explanation(
        "internal error", "The program met what it was not made for.", "Nothing was written.",
        "Report it with the lines above the message.",
        "Other settings (--no-global, another loss) may avoid it."),
}
# fmt: on
