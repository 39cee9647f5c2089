"""Work in many pieces: processes that share it, and results that are kept."""
