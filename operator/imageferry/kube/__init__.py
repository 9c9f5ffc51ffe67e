"""Kubernetes: the typed reads and writes of the engine, and the kopf shell that feeds it."""
