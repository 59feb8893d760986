"""Driver of a Franka arm through libfranka."""
