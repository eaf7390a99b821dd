"""`org.varlink.service`: what a server says of itself, and which method goes by which name.

The one rule: this interface is an interface like any other, with structs and handlers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from cucmd.varlink.errors import (
    SERVICE,
    STANDARD,
    InterfaceNotFound,
    MethodNotFound,
    VarlinkError,
    standard,
)
from cucmd.varlink.idl import describe
from cucmd.varlink.interface import Caller, Interface, Method
from cucmd.varlink.quota import OverLimit


class ServiceInfo(msgspec.Struct, frozen=True):
    vendor: str
    product: str
    version: str
    url: str


class GetInfoRequest(msgspec.Struct, frozen=True):
    pass


class GetInfoReply(msgspec.Struct, frozen=True):
    vendor: str
    product: str
    version: str
    url: str
    interfaces: tuple[str, ...]


class DescriptionRequest(msgspec.Struct, frozen=True):
    interface: str


class DescriptionReply(msgspec.Struct, frozen=True):
    description: str


_COMMENTS = {
    "": "What every Varlink service answers about itself.",
    "GetInfoRequest": "Who made the service, and the names of its interfaces.",
    "DescriptionRequest": "The text of an interface.",
    "InterfaceNotFound": "There is no such interface here.",
    "MethodNotFound": "The interface has no such method.",
    "MethodNotImplemented": "The interface has the method, but this service does not.",
    "InvalidParameter": "A parameter of the call is wrong.",
    "NotPermitted": "The caller may not do this.",
    "ExpectedMore": 'The method needs "more".',
}


class Offered(msgspec.Struct, frozen=True):
    """A method as it can be called."""

    interface: Interface
    method: Method
    decoder: msgspec.json.Decoder[Any]
    internal_error: str


class Offer:
    """All that a server offers, by full name; `org.varlink.service` is always among it."""

    def __init__(self, interfaces: Sequence[Interface], info: ServiceInfo) -> None:
        service = _service(interfaces, info)
        self._names = {service.name, *(interface.name for interface in interfaces)}
        # The standard interface has no word for a defect; the first of ours lends it one.
        self.internal_error = (*interfaces, service)[0].internal_error
        self._too_many = [one.too_many for one in interfaces if one.too_many]
        self._methods = {
            f"{interface.name}.{method.name}": Offered(
                interface,
                method,
                msgspec.json.Decoder(method.request),
                self.internal_error if interface is service else interface.internal_error,
            )
            for interface in (service, *interfaces)
            for method in interface.methods
        }

    def find(self, name: str) -> Offered | None:
        return self._methods.get(name)

    def missing(self, name: str) -> VarlinkError:
        """The error for a name that `find` does not know."""
        interface = name.rpartition(".")[0]
        known = interface in self._names
        return standard(MethodNotFound(name) if known else InterfaceNotFound(interface))

    def too_many(self, over: OverLimit) -> VarlinkError | None:
        """The error for a caller over a limit; None if no interface has a word for that."""
        return self._too_many[0](over.limit, over.maximum) if self._too_many else None


def _service(interfaces: Sequence[Interface], info: ServiceInfo) -> Interface:
    names = (SERVICE, *(interface.name for interface in interfaces))
    texts = {interface.name: interface.description for interface in interfaces}

    async def get_info(_caller: Caller, _request: GetInfoRequest) -> GetInfoReply:
        return GetInfoReply(info.vendor, info.product, info.version, info.url, names)

    async def get_description(_caller: Caller, request: DescriptionRequest) -> DescriptionReply:
        if request.interface not in texts:
            raise standard(InterfaceNotFound(request.interface))
        return DescriptionReply(texts[request.interface])

    methods = (
        Method("GetInfo", GetInfoRequest, GetInfoReply, get_info),
        Method("GetInterfaceDescription", DescriptionRequest, DescriptionReply, get_description),
    )
    texts[SERVICE] = describe(SERVICE, (), methods, STANDARD, _COMMENTS)
    return Interface(SERVICE, texts[SERVICE], methods)
