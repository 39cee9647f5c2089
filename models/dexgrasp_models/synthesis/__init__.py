"""Grasp synthesis: hand poses around objects on a table, optimised by an energy.

UniDexGrasp, appendix A, Eq. 4.
"""
