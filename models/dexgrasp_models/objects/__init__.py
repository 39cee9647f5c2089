"""Graspable objects: generated shapes, a library, meshes from files, convex pieces."""

from dexgrasp_models.objects.folders import find_objects
from dexgrasp_models.objects.meshes import (
    LIBRARY_PREFIX,
    MeshError,
    ObjectModel,
    load_object,
    load_surface,
    prepare_object,
)
from dexgrasp_models.objects.shapes import SHAPES, make_shape

__all__ = [
    "LIBRARY_PREFIX",
    "SHAPES",
    "MeshError",
    "ObjectModel",
    "find_objects",
    "load_object",
    "load_surface",
    "make_shape",
    "prepare_object",
]
