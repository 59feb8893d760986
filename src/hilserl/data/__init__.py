"""Experience as steps, episodes, Arrow tables."""
