"""Declares what a profile is, and reads profiles from TOML.

The built-in profiles are in `profiles.toml`, in the form of a user's configuration and read by the
same function. A profile of the configuration with the name of a built-in one changes only the keys
that it has. `profiles.toml` also says how long nodes write to the files of well-known paths.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from cucmd.config import rules
from cucmd.job.duration import USUAL_WRITTEN_FOR
from cucmd.toml_file import TomlFile, present_values, read, text, wrong_value

_Description = Annotated[str, text(rules.check_description)]


class Profile(Struct, frozen=True):
    """Describes a named collection.

    last        the window if the request has none ("2h")
    written_for how long a node writes to one file of each path, in the order of the paths ("1h",
                "always")
    products    the products that the profile is for, in the vendor's words; if empty, any product
                with the same appliance shell
    leaves_out  what a person may expect in the profile and will not find, and where to find it
    unverified  the paths that a node need not have; no note is made if it has no files there
    snapshot    whether commands are run at the end (`vos.SNAPSHOT`); with "health" these are the
                commands of a health check, whose answers are judged
    """

    name: str
    description: _Description = ""
    paths: tuple[Annotated[str, text(rules.read_placed_path)], ...] = ()
    location: Annotated[str, text(rules.check_location)] = "activelog"
    match: Annotated[str, text(rules.check_argument, may_be_empty=True)] | None = None
    recurs: bool = False
    compress: bool = False
    last: Annotated[str, text(rules.check_window, may_be_empty=True)] | None = None
    written_for: tuple[Annotated[str, text(rules.check_written_for)], ...] = ()
    products: tuple[_Description, ...] = ()
    leaves_out: _Description = ""
    unverified: tuple[Annotated[str, text(rules.check_path)], ...] = ()
    snapshot: Annotated[bool | Literal["health"], Meta(description='true, false or "health"')] = (
        False
    )


_KEYS = [key for key in Profile.__struct_fields__ if key != "name"]

_FILE = read(Path(__file__).with_name("profiles.toml"))


def written_for(paths: Iterable[str]) -> tuple[str, ...]:
    """Returns, for each path, how long a node writes to one file of it."""
    times = []
    for path in paths:
        name = path.strip("/")
        folder = name.rpartition("/")[0]
        # log4j files are about rare events: a day can pass until one has its full size.
        usual = "1d" if name.endswith("/log4j") else USUAL_WRITTEN_FOR
        known = _FILE.document["written_for"]
        times.append(known.get(name) or known.get(folder, usual))
    return tuple(times)


def read_profile(file: TomlFile, name: str, value: object, base: Profile) -> Profile:
    """Reads `[profiles.NAME]`, whose keys replace those of `base`. Raises `ConfigError`."""
    place = ("profiles", name)
    table = file.table(place, value, _KEYS)
    times = table.get("written_for")
    same_for_all = isinstance(times, str)
    listed = {**table, "written_for": [times]} if same_for_all else table
    keys = present_values(table, file.convert(place, {**listed, "name": name}, Profile))
    for key in keys.keys() & {"match", "last"}:
        keys[key] = keys[key] or None
    if "paths" in keys:
        placed = [rules.read_placed_path(path) for path in keys["paths"]]
        locations, paths = [where for where, _ in placed], tuple(path for _, path in placed)
        location, wrong = rules.common_location(keys.get("location"), base.location, locations)
        if wrong is not None:
            raise file.error((*place, "paths", wrong), rules.location_mismatch(location))
        # The base's products and notes describe the base's paths, not these.
        about_paths = {"products": (), "leaves_out": "", "unverified": ()}
        keys = {"written_for": written_for(paths), **about_paths, **keys}
        keys |= {"paths": paths, "location": location}
    profile = replace(base, **keys)
    count = len(profile.paths)
    if not 1 <= count <= rules.MOST_PATHS:
        raise file.error((*place, "paths"), f"expected paths, from 1 to {rules.MOST_PATHS} of them")
    if same_for_all:
        profile = replace(profile, written_for=profile.written_for * count)
    if len(profile.written_for) != count:
        reason = f"has {len(profile.written_for)}, for {count} paths"
        expected = "expected one for all, or one for each"
        raise file.error((*place, "written_for"), f"{reason}; {expected}")
    for position, path in enumerate(profile.unverified):
        if path not in profile.paths:
            reason = wrong_value(path, "is none of the paths")
            raise file.error((*place, "unverified", position), reason)
    return profile


BUILT_IN: dict[str, Profile] = {
    name: read_profile(_FILE, name, table, Profile(name))
    for name, table in _FILE.document["profiles"].items()
}
