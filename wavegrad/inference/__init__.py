"""Fast ways to run a sampler over a network."""
