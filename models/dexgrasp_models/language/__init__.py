"""Grasps picked by a text, with CLIP (UniDexGrasp, sec. 4.4)."""
