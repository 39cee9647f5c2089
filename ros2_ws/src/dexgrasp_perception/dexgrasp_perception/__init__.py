"""The node that turns depth images into the clouds of the object and of the scene."""
