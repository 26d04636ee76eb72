from hypothesis import settings

# Speed is never asserted: a busy machine must not fail a property.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
