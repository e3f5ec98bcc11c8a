"""Train a net with shadow weights: a net, a solver and batches in, weights out. The only package that knows torch."""
