"""The resource as pydantic models: the only source of the CRD and of what the operator reads."""
