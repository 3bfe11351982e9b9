"""Write maps of one's own as a file that homodyne reads: three arrays and two numbers.

Here they are Brownian particles at three angles, c2 = 1 + 0.2 exp(-q^2 J |t2 - t1|), with noise.
"""

import numpy as np

q, dt, n_frames = 0.0054, 0.1, 80  # 1/Å, s
phi = np.array([-30.0, 0.0, 45.0])  # degrees
J = 2.0e4  # Å^2/s, twice the diffusion coefficient

t = dt * np.arange(n_frames)
lag = np.abs(np.subtract.outer(t, t))
noise = np.random.default_rng(1).normal(0.0, 0.01, (len(phi), n_frames, n_frames))
c2 = 1.0 + 0.2 * np.exp(-(q**2) * J * lag) + noise  # (angle, frame, frame); i < j is read

np.savez("plain.npz", c2=c2, phi=phi, q=q, dt=dt)
