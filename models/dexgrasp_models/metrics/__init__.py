"""Measures of grasps, of sets of grasps and of their execution; docs/metrics.md lists them all."""
