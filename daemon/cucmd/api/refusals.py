"""Turns exceptions into errors of the interface, and gives each call the id by which it is found.

Every refusal is one of the errors that the interface names, and is made here. The id of a call is
in its reply or error, in the log, and in the job; what stands in a log line is printable ASCII and
short, whoever chose it.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from msgspec import Struct

from cucmd.api.request_checks import short_text
from cucmd.cases.archive import UnknownFile
from cucmd.config import CredentialRefused, InvalidValue, UnknownCredential, UnknownProfile
from cucmd.config.config_thread import ReadTimeout
from cucmd.config.rules import is_credential_name
from cucmd.jobs import errors as jobs
from cucmd.protocol import errors as wire_errors
from cucmd.protocol.requests import INTERFACE
from cucmd.store import StoreFailed
from cucmd.toml_file import wrong_value
from cucmd.varlink import Caller, VarlinkError, trace

log = logging.getLogger(__name__)


def error(parameters: Struct) -> VarlinkError:
    """Makes the error of the interface that has the name of the struct."""
    return VarlinkError(f"{INTERFACE}.{type(parameters).__name__}", parameters)


def invalid(parameter: str, reason: str) -> VarlinkError:
    return error(wire_errors.InvalidRequest(parameter, reason))


@contextmanager
def refusals(caller: Caller | None = None) -> Iterator[None]:
    """Raises the error of the interface for each exception that means a refusal."""
    try:
        yield
    except InvalidValue as e:
        raise invalid(e.parameter, e.reason) from None
    except UnknownProfile as e:
        raise error(wire_errors.ProfileNotFound(e.name)) from None
    except UnknownCredential as e:
        # Only the log says where it was looked for. What is no name may be the password.
        said = e if is_credential_name(e.name) else f"no credential: {e.reason}"
        log.warning("%s", said, extra=caller.for_log if caller else None)
        raise error(wire_errors.CredentialNotFound(e.name, e.cluster)) from None
    except CredentialRefused as e:
        raise invalid("login.credential", str(e)) from None
    except jobs.UnknownJob as e:
        raise error(wire_errors.JobNotFound(e.job_id)) from None
    except jobs.KeyReused as e:
        raise invalid("start_key", str(e)) from None
    except (jobs.AmbiguousJob, jobs.CannotStop, jobs.FilesDeleted) as e:
        raise invalid("job_id", str(e)) from None
    except jobs.Busy as e:
        raise error(wire_errors.JobBusy(e.job_id, e.reason)) from None
    except jobs.UnknownNode as e:
        raise error(wire_errors.NodeNotFound(e.job_id, e.node)) from None
    except jobs.AtLimit as e:
        raise error(wire_errors.LimitReached(e.limit, e.maximum)) from None
    except jobs.Draining:
        raise error(wire_errors.ShuttingDown()) from None
    except (StoreFailed, ReadTimeout) as e:
        raise error(wire_errors.StorageFailed(str(e))) from None


@contextmanager
def refusals_of_files() -> Iterator[None]:
    """Does what `refusals` does, where files of a job are read or deleted."""
    with refusals():
        try:
            yield
        except UnknownFile as e:
            raise invalid("after", wrong_value(str(e), "is no file of this export")) from None
        except OSError as e:
            reason = f"{e.strerror}: {e.filename}" if e.filename else str(e)
            raise error(wire_errors.StorageFailed(reason)) from None


@contextmanager
def traced(method: str, caller: Caller, given: str | None) -> Iterator[str]:
    """Gives the id of a call. If the body raises, the call's log line has the id, and so has the
    error that is raised then, one of the interface.

    An id of the caller that is refused is replaced by a new one in that log line and error.
    """
    called = _new_id()
    try:
        with refusals(caller):
            called = called if given is None else short_text("request_id", given)
        yield called
    except VarlinkError as refusal:
        _log(method, caller, called, refusal.name.rpartition(".")[2])
        raise VarlinkError(refusal.name, _with_id(refusal.parameters, called)) from None
    except Exception as defect:
        _log(method, caller, called, "a defect")
        log.error("a defect in request %s:\n%s", called, trace(defect), extra=caller.for_log)  # noqa: TRY400  the text of an exception can quote the request
        raise error(wire_errors.InternalError(request_id=called)) from None


def _new_id() -> str:
    return secrets.token_hex(8)


def _log(method: str, caller: Caller, called: str, why: str) -> None:
    text = "refused %s to %s, request %s: %s"
    log.info(text, method, caller, called, why, extra=caller.for_log)


def _with_id(parameters: Struct | None, called: str) -> Struct | None:
    if parameters is None or "request_id" not in parameters.__struct_fields__:
        return parameters
    return msgspec.structs.replace(parameters, request_id=called)
