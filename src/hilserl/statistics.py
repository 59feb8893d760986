"""What can be said of a rate from a count."""

import math


def wilson_interval(successes: int, episodes: int) -> tuple[float, float]:
    """The 95 % interval of a success rate (Wilson 1927, score interval)."""
    if episodes == 0:
        return 0.0, 1.0
    z, rate = 1.959963984540054, successes / episodes
    centre = rate + z * z / (2 * episodes)
    spread = z * math.sqrt(rate * (1 - rate) / episodes + z * z / (4 * episodes**2))
    scale = 1 + z * z / episodes
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
