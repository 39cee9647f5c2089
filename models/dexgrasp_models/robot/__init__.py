"""Rigid links with joints and simple shapes, of which hand and arm are described."""
