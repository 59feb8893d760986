"""Episodes driven by a policy under an operator."""
