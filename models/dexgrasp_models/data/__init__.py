"""Sets of grasps: how they are kept, summed up, and exchanged with the field's data sets."""
