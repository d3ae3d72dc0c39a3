"""What is computed: text to tokens to pooled vectors to probabilities to annotations.

Pure Python over numpy arrays. Nothing in here knows Ray or HTTP.
"""
