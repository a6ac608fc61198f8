"""Request ids, logs, the REST log, metrics and health checks."""
