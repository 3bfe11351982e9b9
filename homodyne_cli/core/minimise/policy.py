"""Every threshold of the minimiser and of the search before it, and why it is what it is.

The ranks of Gram matrices have a policy of their own (`core/numerics/gram.py`). Figures in chi2 are
ones of noise, because residuals are in units of sigma: moving one parameter by a share s of its
uncertainty costs s^2.
"""

from __future__ import annotations

from typing import NamedTuple

from homodyne_cli.core.maps.tiling import TILE


class Pace(NamedTuple):
    """How a descent of the search goes.

    Attributes
    ----------
    far
        Whether the trust region has to find the way to a minimum first.
    edm
        At which it ends.
    tolerance
        Relative ftol and xtol of the trust region, where Gauss-Newton steps do not get there.
    """

    far: bool
    edm: float
    tolerance: float


# -- When a minimisation is at its end -------------------------------------------------------------

#: A fit whose next Gauss-Newton step would still gain this much chi2 has stopped early. One
#: parameter moved by 0.3 of its uncertainty costs 0.1.
EDM_CONVERGED = 0.1
#: A covariance of the noise that would move no parameter by more than 3% of its uncertainty when it
#: is taken anew stays.
EDM_STILL = 1e-3
#: In a flat valley it may be as large as one standard deviation: a curved one promises 0.3 for
#: hundreds of steps that together gain 0.02 (decision M10).
EDM_FLAT = 1.0
#: Steps that must together lower chi2 by no more than this, a tenth of a standard deviation
#: squared, for a valley to be flat. A single slow step, or a few, happen on good paths.
FLAT_STEPS, FLAT_GAIN = 10, 0.01
#: A millionth of an uncertainty, squared: nothing is left to gain.
EDM_NOTHING = 1e-12
#: EDM expected after a step, below which the pass that would confirm it is not made: a third of the
#: above in uncertainties, because the expectation is that convergence goes on at its last rate.
EDM_CERTAIN = 1e-13

# -- Bounds ----------------------------------------------------------------------------------------

#: A parameter nearer to a bound than this share of its uncertainty with all others held is at it:
#: a Gaussian about it would lie half outside. SciPy keeps strictly inside. The width of the bounds
#: says nothing of that: where they are wide, a share of it is many uncertainties.
BESIDE_BOUND = 1e-3

# -- The loop over phases --------------------------------------------------------------------------

#: Largest ratio of scaled column norms that counts as balanced (reference document).
BALANCED = 10.0
#: How often the scale is renewed. The last phase keeps its scale, so that a problem that no scale
#: balances ends for a reason of its own.
RENEWALS = 20
#: SciPy counts trial steps, the config counts iterations. A step that fails quarters the radius, so
#: that twenty of them make it 10^-12 of what it was: a trust region as stuck as that ends here.
TRIALS_PER_ITERATION = 20

# -- Gauss-Newton steps ----------------------------------------------------------------------------

#: Largest share of the EDM that may be left after a Gauss-Newton step that replaces one of the
#: trust region: with four fifths a step, twenty take it down by a hundred, and beyond that the
#: trust region is the better judge.
WORTHWHILE, CLOSING_STEPS = 0.8, 20
#: Share of the predicted fall of chi2 with which a step is kept though the next one promises more.
WORTH_A_STEP = 0.2
#: EDM at which a minimisation that is not the last one ends: the step from there, a tenth of an
#: uncertainty, leaves less than a hundredth of it and needs no pass to tell.
EDM_PASSING = 1e-2
#: Convergence at the end is quadratic: two or three steps reach rounding.
POLISHING_STEPS = 4
#: Relative rise of chi2 that is rounding: ten million terms carry between 4e-13 (a random walk) and
#: 1e-9 (all one way) of their sum.
ROUNDING_OF_CHI2 = 1e-10

# -- Scales and coordinates ------------------------------------------------------------------------

#: Limits of a recommended x_scale (reference document).
SCALE_LIMITS = (1e-8, 1e2)
#: Parameters whose gradients make the default baseline, as far as the mode has them.
BASELINE = ("D0", "D_offset", "phi0")
#: Scale of a parameter whose column vanishes, in widths of its bounds: small enough to stay in
#: range of the start, large enough to be felt.
SCALE_WITHOUT_EFFECT = 1e-3
#: Relative distance beyond a bound that going to the optimiser's coordinates and back may cause.
ROUNDING_OF_COORDINATES = 1e-12

# -- The search ------------------------------------------------------------------------------------

#: Maps that a search looks at, spread over all, where there are half as many again: what tells
#: minima apart is in a few dozen as it is in hundreds.
SEARCHED_MAPS = 40
#: Frames of the search, which fill one tile, and of the second look.
COARSE, MEDIUM = TILE, 3 * TILE
#: Frames on which the best minimum is followed after that, as long as all frames are at least twice
#: as many: what a curved valley takes in steps is cheap there.
FINER = (9 * TILE, 27 * TILE)
#: Points looked at, and the best of them refined: 200 of 200 random experiments then end at their
#: minimum (docs/solver.md). A power of two keeps the Sobol points balanced.
SCREENED, REFINED = 256, 8
#: A start that needs more steps than this is not in the basin of the best minimum, or is in a
#: valley along which the later stages follow.
REFINE_ITERATIONS = 40
#: EDM below which Gauss-Newton steps take over from the trust region of a descent from afar: about
#: three standard deviations, within which the model is all but linear.
AT_HAND = 10.0
#: Descents of the search tell minima apart and need not end in them: measured on 200 random
#: experiments, with a tolerance of 1e-8 the first ones take a third longer, and none of the fits
#: ends elsewhere. What the later ones go further saves passes over all pairs.
SEARCH = Pace(far=True, edm=1.0, tolerance=1e-5)
SECOND_LOOK = Pace(far=False, edm=0.5, tolerance=1e-8)
FOLLOWED = Pace(far=False, edm=1.0, tolerance=1e-6)
#: Minima within this much chi2 of the best are one and the same minimum.
SAME_MINIMUM = 1.0
#: Largest EDM that says how far a descent is from its minimum: beyond it the problem is not linear
#: all the way down.
EDM_TRUSTED = 10.0
#: Minima within this much chi2 of the best on the coarse pairs deserve a second look, and at
#: most so many of them: under noise a true difference of 100 scatters by 20 (twice its root).
CLOSE, SECOND_LOOKS = 100.0, 3
#: Exponents are drawn within this of zero: published ones are (the largest is -1.33), and at the
#: default bounds of 2 the curve is all in its first frames.
DRAWN_EXPONENT = 1.5
#: Lowest share of the rate that is drawn for an offset, the highest being one more: offsets are
#: mostly positive.
DRAWN_OFFSET = -0.25
#: Range over which rates are drawn: q^2 D, or q L times the shear rate, reaches this over the
#: window, or so many times this over one frame. Slower ones leave the map flat, faster ones have
#: decayed within a frame.
DRAWN_DECAY, DRAWN_PHASE, DRAWN_IN_A_FRAME = 0.1, 1.0, 10.0
#: Share of the rate, or distance of an exponent to its bound, at which a power law has vanished,
#: and the exponents with which it is tried again (decision S3).
VANISHED, REVIVED = 0.02, 0.5

#: Chi2 over pairs that noise does not make on the few pairs of the search, where it is known to 2%:
#: then the flow axis is looked for outside of the bounds of phi0, and named if it takes off more
#: than a tenth of what is too much.
MISFIT, MUCH_OF_MISFIT = 1.1, 0.1

# -- Valleys of power laws -------------------------------------------------------------------------

#: Uncertainty of an exponent, on all pairs, beyond which its valley is walked; and the share of a
#: null direction that makes it part of one. Below it fits of twelve weak data sets agreed.
EXPONENT_OPEN, PART_OF_NULL = 0.15, 0.1
#: Descents start at so many exponents, within this of zero, where the default bounds are, and again
#: from the lowest, at most so often.
WALKED, WALKED_EXPONENT, WALKS = 6, 2.0, 3
#: Difference of two powers of time below which a power law is a constant.
ALL_BUT_CONSTANT = 1e-3
#: Levenberg-Marquardt: steps, damping at unit diagonal and by how much it changes. In coordinates
#: in which a valley is straight 5 to 15 steps are enough.
VALLEY_STEPS, FIRST_DAMPING, DAMPING_FACTOR, MOST_DAMPING = 40, 1e-3, 10.0, 1e6
#: Expected gain at which they end: a thousandth of an uncertainty, squared.
VALLEY_EDM = 1e-6
#: Minima that noise alone could have made the lowest: within three standard deviations. So many are
#: followed on all pairs.
RIVAL, RIVALS = 9.0, 3
#: Difference in an exponent that makes minima two.
APART = 0.1
#: Chi2 that a transport coefficient must gain to be negative on the whole: what speckles make of
#: noise, which is not known yet, multiplies differences of chi2 by ten and more.
BACKWARD = 100.0
#: Times at which a power law is averaged: its sign is asked for, no more.
TIMES_OF_MEAN = 100

# -- The check of the gradient ---------------------------------------------------------------------

#: Differences: the first step in lengths over which chi2 changes markedly, the factor from one to
#: the next, and how many: the last is 2e-8 of the first, where rounding is all that is left.
FIRST_DIFFERENCE, SHRINKAGE, DIFFERENCES = 0.1, 4.0, 12
#: Nearer to a bound than this share of such a length, central differences would be all rounding.
BESIDE_A_BOUND = 0.01
#: Least rate, as a share of the largest, where the gradient is checked: no edge is near.
LIFTED = 0.1
#: Relative rounding of a sum over some thousand pairs.
ROUNDING_OF_COST = 1e-14
#: Disagreement that is none: so many estimated errors, and this share of the largest value that a
#: gradient can have. Of 560 derivatives of 40 random experiments, at wide starts and at the truth,
#: all agree within 10 errors and 1e-8; a gradient wrong by 1% is off by 1e-6 or more wherever it is
#: at least 1e-4 of its largest value, which noise alone makes it.
GRADIENT_TOLERANCE, GRADIENT_ERRORS = 1e-6, 10.0
#: Where contrast and offset are found by reweighting, which ends when it gains 1e-10 of chi2, they
#: and the gradient are good to the root of that, 1e-5.
REWEIGHTED_TOLERANCE = 1e-4
