"""Arguments against the schema that a tool declares: filled, coerced without loss, checked, complained about."""
