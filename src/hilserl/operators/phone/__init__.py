"""A phone as the operator's hand."""
