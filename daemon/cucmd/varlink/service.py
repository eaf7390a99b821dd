"""Answers the calls of `org.varlink.service`, and finds every method by its full name.

That interface is one like any other, with structs and handlers.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cucmd.varlink.interface import (
    SERVICE,
    Caller,
    Interface,
    InterfaceNotFound,
    Method,
    MethodNotFound,
    VarlinkError,
    read_description,
    standard_error,
)
from cucmd.varlink.limits import OverLimit

# Characters of a name that somebody sent, in an error.
_LONGEST_NAME = 255


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


class MethodEntry(msgspec.Struct, frozen=True):
    """Holds a method with what is needed to call it."""

    interface: Interface
    method: Method
    decoder: msgspec.json.Decoder[Any]


class MethodTable:
    """Holds all methods of a server by full name: of its interface, and `org.varlink.service`."""

    def __init__(self, interface: Interface, info: ServiceInfo) -> None:
        both = (_service(interface, info), interface)
        self._names = {one.name for one in both}
        # The standard interface has no error for a defect, and none for a limit.
        self.internal_error = interface.internal_error
        self._too_many = interface.too_many
        self._methods = {
            f"{one.name}.{method.name}": MethodEntry(
                one, method, msgspec.json.Decoder(method.request)
            )
            for one in both
            for method in one.methods
        }

    def find(self, name: str) -> MethodEntry | None:
        return self._methods.get(name)

    def missing(self, name: str) -> VarlinkError:
        """Makes the error for a name that `find` does not know."""
        interface = name.rpartition(".")[0]
        if interface in self._names:
            return standard_error(MethodNotFound(name[:_LONGEST_NAME]))
        return standard_error(InterfaceNotFound(interface[:_LONGEST_NAME]))

    def too_many(self, over: OverLimit) -> VarlinkError:
        """Makes the error for a caller over a limit."""
        return self._too_many(over.limit, over.maximum)


def _service(interface: Interface, info: ServiceInfo) -> Interface:
    names = (SERVICE, interface.name)
    description = read_description("cucmd.varlink", SERVICE)
    texts = {interface.name: interface.description, SERVICE: description}

    async def get_info(_caller: Caller, _request: GetInfoRequest) -> GetInfoReply:
        return GetInfoReply(info.vendor, info.product, info.version, info.url, names)

    async def get_description(_caller: Caller, request: DescriptionRequest) -> DescriptionReply:
        if request.interface not in texts:
            raise standard_error(InterfaceNotFound(request.interface[:_LONGEST_NAME]))
        return DescriptionReply(texts[request.interface])

    methods = (
        Method("GetInfo", GetInfoRequest, GetInfoReply, get_info),
        Method("GetInterfaceDescription", DescriptionRequest, DescriptionReply, get_description),
    )
    return Interface(SERVICE, description, methods, interface.too_many)
