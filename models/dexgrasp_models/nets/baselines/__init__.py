"""What UniDexGrasp is compared with (sec. 4.2, B.1.2): the proposers of Tables 1, 2 and 9.

| Table's name            | here                                                       |
| ----------------------- | ---------------------------------------------------------- |
| GraspTTA (C + T)        | `GraspCVAE`, then `grasptta_adaptation`                    |
| DDG                     | `DDG`                                                      |
| R + C + T               | `GraspIPDF`, `GraspCVAE` with given rotation, `Adaptation` |
| ReLie + T               | `ReLie`, then `Adaptation`                                 |
| ProHMR + T              | `ProHMR`, then `Adaptation`                                |
| decoup.T (Table 2)      | `GraspIPDF`, `DecoupledGlow`, `Adaptation`                 |

All have `loss(clouds, grasps)`, which gives terms for each grasp (or cloud, for `DDG`), to be
averaged, and `sample(clouds, count, generator)`; the flows have `log_prob(clouds, grasps)` too.
Clouds are (B, N, 3); where grasps are G times as many, each cloud has G of them, one after another.
"""
