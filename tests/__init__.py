"""The tests of mirbench."""
