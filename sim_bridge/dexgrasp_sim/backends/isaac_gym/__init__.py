"""Isaac Gym Preview 4: PhysX, in a worker process under an interpreter of its own."""
