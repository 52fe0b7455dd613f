"""Millrace as its users run it: whole processes against a real Kafka, and what goes wrong there."""
