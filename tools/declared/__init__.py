"""The YAML format of tools and assistants: read strictly, with places; one truth for the reader and the JSON Schema.

Gathers no names: what is used by tool bodies (`units`) must not load the rest.
"""
