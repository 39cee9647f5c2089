"""Graspable objects: generated shapes, meshes from files, convex pieces for simulation."""

from dexgrasp_models.objects.meshes import MeshError, ObjectModel, load_object
from dexgrasp_models.objects.shapes import SHAPES, make_shape

__all__ = ["SHAPES", "MeshError", "ObjectModel", "load_object", "make_shape"]
