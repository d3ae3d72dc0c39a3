"""What a browser opens: the page, and /docs over the OpenAPI document, with all that this document says."""
