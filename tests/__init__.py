"""Tests of imageferry, and the real control plane that they run against."""
