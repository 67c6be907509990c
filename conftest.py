"""How many examples the property tests try: few and always the same in `make test`, many and new ones in `make fuzz`."""

from hypothesis import HealthCheck, settings

# No deadline: a busy machine is no failure. No database: what failed once becomes an `@example` or a file in tests/.
settings.register_profile("short", deadline=None, database=None, derandomize=True, max_examples=40)
settings.register_profile(
    "fuzz", deadline=None, max_examples=5_000, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("short")  # `--hypothesis-profile=fuzz` comes later, and wins
