"""Where the graph runs: Ray Serve deployments around graph/, the HTTP interface, batching and errors.

Knows no maths; what is computed stands in graph/.
"""
