"""Answers the calls of `org.varlink.service`, and finds every method by its full name.

That interface is one like any other, with structs and handlers.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    standard,
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
    internal_error: str


class MethodTable:
    """Holds all methods of a server by full name, those of `org.varlink.service` included."""

    def __init__(self, interfaces: Sequence[Interface], info: ServiceInfo) -> None:
        service = _service(interfaces, info)
        self._names = {service.name, *(interface.name for interface in interfaces)}
        # The standard interface has no error for a defect: that of the first interface is used.
        self.internal_error = (*interfaces, service)[0].internal_error
        self._too_many = [one.too_many for one in interfaces if one.too_many]
        self._methods = {
            f"{interface.name}.{method.name}": MethodEntry(
                interface,
                method,
                msgspec.json.Decoder(method.request),
                self.internal_error if interface is service else interface.internal_error,
            )
            for interface in (service, *interfaces)
            for method in interface.methods
        }

    def find(self, name: str) -> MethodEntry | None:
        return self._methods.get(name)

    def missing(self, name: str) -> VarlinkError:
        """Makes the error for a name that `find` does not know."""
        interface = name.rpartition(".")[0]
        if interface in self._names:
            return standard(MethodNotFound(name[:_LONGEST_NAME]))
        return standard(InterfaceNotFound(interface[:_LONGEST_NAME]))

    def too_many(self, over: OverLimit) -> VarlinkError | None:
        """Makes the error for a caller over a limit; None if no interface has one."""
        return self._too_many[0](over.limit, over.maximum) if self._too_many else None


def _service(interfaces: Sequence[Interface], info: ServiceInfo) -> Interface:
    names = (SERVICE, *(interface.name for interface in interfaces))
    description = read_description("cucmd.varlink", SERVICE)
    texts = {interface.name: interface.description for interface in interfaces}
    texts[SERVICE] = description

    async def get_info(_caller: Caller, _request: GetInfoRequest) -> GetInfoReply:
        return GetInfoReply(info.vendor, info.product, info.version, info.url, names)

    async def get_description(_caller: Caller, request: DescriptionRequest) -> DescriptionReply:
        if request.interface not in texts:
            raise standard(InterfaceNotFound(request.interface[:_LONGEST_NAME]))
        return DescriptionReply(texts[request.interface])

    methods = (
        Method("GetInfo", GetInfoRequest, GetInfoReply, get_info),
        Method("GetInterfaceDescription", DescriptionRequest, DescriptionReply, get_description),
    )
    return Interface(SERVICE, description, methods)
