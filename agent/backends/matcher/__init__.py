"""The built-in matcher: from a request in plain English to a call, without a language model."""
