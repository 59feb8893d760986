"""What is rewarded where nobody knows the truth: a classifier of camera images."""
