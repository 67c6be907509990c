"""The API described as data: which routes there are, what they take and answer (OpenAPI 3.1)."""
