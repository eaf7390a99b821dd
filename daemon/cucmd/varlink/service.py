"""Answers the calls of `org.varlink.service`, and finds every method by its full name."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import asdict

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

# Characters of a peer's text that an error repeats.
_LONGEST_NAME = 255


class ServiceInfo(msgspec.Struct, frozen=True):
    vendor: str
    product: str
    version: str
    url: str


class GetInfoRequest(msgspec.Struct, frozen=True):
    pass


class GetInfoReply(ServiceInfo, frozen=True):
    interfaces: tuple[str, ...]


class DescriptionRequest(msgspec.Struct, frozen=True):
    interface: str


class DescriptionReply(msgspec.Struct, frozen=True):
    description: str


class MethodEntry(msgspec.Struct, frozen=True):
    """Holds a method, its interface, and the decoder of its requests."""

    interface: Interface
    method: Method
    decoder: msgspec.json.Decoder[Any]


class MethodTable:
    """Holds all methods of a server by full name, also the methods of `org.varlink.service`."""

    def __init__(self, interface: Interface, info: ServiceInfo) -> None:
        description = read_description("cucmd.varlink", SERVICE)
        self._texts = {interface.name: interface.description, SERVICE: description}
        self._info = GetInfoReply(**asdict(info), interfaces=(SERVICE, interface.name))
        own = (
            Method("GetInfo", GetInfoRequest, GetInfoReply, self._get_info),
            Method("GetInterfaceDescription", DescriptionRequest, DescriptionReply, self._describe),
        )
        interfaces = (Interface(SERVICE, description, own, interface.too_many), interface)
        # org.varlink.service declares no errors for a defect or a limit, so these are always those
        # of `interface`.
        self.internal_error = f"{interface.name}.InternalError"
        self._too_many = interface.too_many
        self._methods = {
            f"{each.name}.{method.name}": MethodEntry(
                each, method, msgspec.json.Decoder(method.request)
            )
            for each in interfaces
            for method in each.methods
        }

    def find(self, name: str) -> MethodEntry | None:
        return self._methods.get(name)

    def missing(self, name: str) -> VarlinkError:
        """Makes the error for a method that `find` does not find."""
        interface = name.rpartition(".")[0]
        if interface in self._texts:
            return standard_error(MethodNotFound(name[:_LONGEST_NAME]))
        return standard_error(InterfaceNotFound(interface[:_LONGEST_NAME]))

    def too_many(self, over: OverLimit) -> VarlinkError:
        return self._too_many(over.limit, over.maximum)

    async def _get_info(self, _caller: Caller, _request: GetInfoRequest) -> GetInfoReply:
        return self._info

    async def _describe(self, _caller: Caller, request: DescriptionRequest) -> DescriptionReply:
        if request.interface not in self._texts:
            raise standard_error(InterfaceNotFound(request.interface[:_LONGEST_NAME]))
        return DescriptionReply(self._texts[request.interface])
