"""The simulated robot, its scene and cameras, and the Gymnasium environment around them."""
