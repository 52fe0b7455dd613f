"""The developer's tool behind tools/dev: set-up, build, broker, tests, demo, checks.

Standard library only, since it runs before anything is installed; the broker it starts is used by
the tests too (tests/harness).
"""
