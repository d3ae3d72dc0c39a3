"""How weights come to be: recipe, data, model, train, evaluate, export.

Knows torch and transformers; nothing that serves imports from here.
"""
