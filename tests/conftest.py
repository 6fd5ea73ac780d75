"""What holds for the whole suite: examples are judged by what they do, never by how long a busy machine takes."""

from hypothesis import settings

settings.register_profile("p4pmip", deadline=None)
settings.load_profile("p4pmip")
