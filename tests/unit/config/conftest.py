"""A configuration file, and what is loaded from it."""

import pytest

from cucmd.config import ConfigError, load


@pytest.fixture
def write(tmp_path):
    """Writes the configuration; gives its path."""

    def _write(text):
        path = tmp_path / "cucmd.toml"
        path.write_text(text) if isinstance(text, str) else path.write_bytes(text)
        return path

    return _write


@pytest.fixture
def loaded(write):
    """The configuration that a text, an environment and overrides make."""
    return lambda text="", environ=None, *overrides: load(write(text), environ or {}, *overrides)


@pytest.fixture
def problem(write):
    """What is wrong with a text: (line, key, reason)."""

    def _problem(text, environ=None):
        with pytest.raises(ConfigError) as caught:
            load(write(text), environ or {})
        return caught.value.line, caught.value.key, caught.value.reason

    return _problem
