"""Who may act instead of the policy, and the rules by which control changes hands."""
