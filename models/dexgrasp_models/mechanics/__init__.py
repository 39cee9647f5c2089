"""Forces and torques at contacts."""
