"""What users would write instead: a server a folder, set up as its own documentation advises."""
