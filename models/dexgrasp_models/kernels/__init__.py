"""How loops over single grasps are compiled with Numba: those that proposals wait for.

As tensor operations a step of an optimisation is hundreds of small ones, and what takes the time is
calling them and, where other programs want the processors too, the threads' waiting for each other
in every one of them. As a kernel a grasp's steps are one loop, which nothing else waits for.

The kernels stand beside what they compute: `hand/hand_kernel.py`, `mechanics/closure_kernel.py`,
`synthesis/refinement_kernel.py` with the energy of `synthesis/energy.py`, and
`nets/adaptation_kernel.py` with the losses of `nets/losses.py`. The tensor operations work on any
device, and the tests check the kernels' energies and gradients on them.
"""
