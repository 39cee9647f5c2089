"""From depth images to the fused cloud of an object on the table."""
