"""Runs: plan, run, resume, distribute, reproduce."""
