"""Proposals of our networks and of those they are compared with, measured as UniDexGrasp does."""
