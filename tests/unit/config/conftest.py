"""Fixtures that write and load a configuration file."""

import pytest

from cucmd.config import ConfigError, load


@pytest.fixture
def write(tmp_path):
    """Returns a function that writes the configuration and returns its path."""

    def _write(text):
        path = tmp_path / "cucmd.toml"
        path.write_text(text) if isinstance(text, str) else path.write_bytes(text)
        return path

    return _write


@pytest.fixture
def loaded(write):
    """Returns a function that loads a text, with an environment and overrides."""
    return lambda text="", environ=None, *overrides: load(write(text), environ or {}, *overrides)


@pytest.fixture
def problem(write):
    """Returns a function that returns the error in a text: (line, key, reason)."""

    def _problem(text, environ=None):
        with pytest.raises(ConfigError) as caught:
            load(write(text), environ or {})
        return caught.value.line, caught.value.key, caught.value.reason

    return _problem
