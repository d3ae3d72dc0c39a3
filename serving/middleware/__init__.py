"""What a request passes before it reaches a route, and its answer on the way back.

In front of Serve: headers.py and request_id.py. Around the routes: request_metrics.py, clock_header.py, last_resort.py
and, where there are API keys, access.py with keys.py.
"""
