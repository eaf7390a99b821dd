"""What can be typed as the destination of an upload."""

import pytest

from cucmctl.cli.options import UsageError
from cucmctl.upload.destination import Https, Sftp, destination_of

CASE = "698123456"


def test_case_is_put_below_home() -> None:
    to = destination_of("cxd", "a b%.zip", case=CASE)
    assert to == Https("https://cxd.cisco.com/home/a%20b%25.zip", "", CASE, True)


def test_setting_names_another_host() -> None:
    to = destination_of("cxd", "x", case=CASE, cxd_host="other.example.org:8443")
    assert isinstance(to, Https)
    assert to.address == "https://other.example.org:8443/home/x"


@pytest.mark.parametrize(
    ("typed", "address", "query", "user"),
    [
        ("https://h/in/", "https://h/in/x.zip", "", None),
        ("https://h", "https://h/x.zip", "", None),
        ("https://h/in/as.zip", "https://h/in/as.zip", "", None),
        ("https://h/key?X-Sig=a%2Fb", "https://h/key", "?X-Sig=a%2Fb", None),
        ("https://o%40rg@h:8443/", "https://h:8443/x.zip", "", "o@rg"),
        ("https://[::1]:8443/", "https://[::1]:8443/x.zip", "", None),
    ],
)
def test_https_addresses(typed: str, address: str, query: str, user: str | None) -> None:
    assert destination_of(typed, "x.zip", case=None) == Https(address, query, user, False)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("sftp://u@h/in/", Sftp("u", "h", None, "in/x.zip")),
        ("sftp://h:2222//srv/in/", Sftp(None, "h", 2222, "/srv/in/x.zip")),
        ("sftp://Alias", Sftp(None, "Alias", None, "x.zip")),
        ("sftp://[::1]:22/a%20b", Sftp(None, "[::1]", 22, "a b")),
    ],
)
def test_sftp_addresses(typed: str, expected: Sftp) -> None:
    assert destination_of(typed, "x.zip", case=None) == expected


@pytest.mark.parametrize(
    "typed",
    [
        "cxd",
        "CXD",
        "http://h/",
        "https:///x",
        "https://h:99999/",
        "https://[::1/",
        "sftp://-oProxyCommand=x/",
        "https://user:Secret@h/",
        "ftp://h/?Secret",
    ],
)
def test_other_destinations_are_refused(typed: str) -> None:
    with pytest.raises(UsageError) as refused:
        destination_of(typed, "x.zip", case=None)
    assert "Secret" not in str(refused.value)


@pytest.mark.parametrize("case", ["INC-1", "", "69812:x", "٦٩٨"])
def test_case_must_be_a_number(case: str) -> None:
    with pytest.raises(UsageError, match="--case"):
        destination_of("cxd", "x", case=case)
