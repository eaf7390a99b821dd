"""Turns exceptions into errors of the interface, and gives each call an id.

The id of a call is in its reply or error, in the log, and in the job, so that a call can be found
again. A caller may choose the id, so the id is checked before it is logged: printable ASCII, and
short.
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
from cucmd.jobs import job_errors
from cucmd.protocol import errors as wire_errors
from cucmd.protocol.requests import INTERFACE
from cucmd.store import StoreFailed
from cucmd.toml_file import wrong_value
from cucmd.varlink import Caller, VarlinkError, trace

log = logging.getLogger(__name__)


def error(parameters: Struct) -> VarlinkError:
    """Makes the error that has the name of the struct."""
    return VarlinkError(f"{INTERFACE}.{type(parameters).__name__}", parameters)


def invalid(parameter: str, reason: str) -> VarlinkError:
    return error(wire_errors.InvalidRequest(parameter, reason))


@contextmanager
def refusals(caller: Caller | None = None) -> Iterator[None]:
    """Turns exceptions of the block that refuse a call into errors of the interface."""
    try:
        yield
    except InvalidValue as e:
        raise invalid(e.parameter, e.reason) from None
    except UnknownProfile as e:
        raise error(wire_errors.ProfileNotFound(e.name)) from None
    except UnknownCredential as e:
        # The folder with credentials is only named in the log. A text that cannot be the name of a
        # credential may be the password, and is not logged.
        text = str(e) if is_credential_name(e.name) else f"no credential: {e.reason}"
        log.warning("%s", text, extra=caller.for_log if caller else None)
        raise error(wire_errors.CredentialNotFound(e.name, e.cluster)) from None
    except CredentialRefused as e:
        raise invalid("login.credential", str(e)) from None
    except job_errors.UnknownJob as e:
        raise error(wire_errors.JobNotFound(e.job_id)) from None
    except job_errors.KeyReused as e:
        raise invalid("start_key", str(e)) from None
    except (job_errors.AmbiguousJob, job_errors.CannotEndEarly, job_errors.FilesDeleted) as e:
        raise invalid("job_id", str(e)) from None
    except job_errors.JobInUse as e:
        raise error(wire_errors.JobBusy(e.job_id, e.reason)) from None
    except job_errors.UnknownNode as e:
        raise error(wire_errors.NodeNotFound(e.job_id, e.node, e.candidates[:10] or None)) from None
    except job_errors.TooManyJobs as e:
        raise error(wire_errors.LimitReached(e.limit, e.maximum)) from None
    except job_errors.Draining:
        raise error(wire_errors.ShuttingDown()) from None
    except (StoreFailed, ReadTimeout) as e:
        full = isinstance(e, StoreFailed) and e.disk_full
        more = "; cucmctl delete and cucmctl prune still work, and make room" if full else ""
        raise error(wire_errors.StorageFailed(f"{e}{more}")) from None


@contextmanager
def refusals_of_files() -> Iterator[None]:
    """Acts as `refusals`, and handles errors of reading and deleting a job's files too."""
    with refusals():
        try:
            yield
        except UnknownFile as e:
            raise invalid("after", wrong_value(str(e), "is no file of this export")) from None
        except OSError as e:
            reason = f"{e.strerror}: {e.filename}" if e.filename else str(e)
            raise error(wire_errors.StorageFailed(reason)) from None


@contextmanager
def traced(method: str, caller: Caller, chosen_id: str | None) -> Iterator[str]:
    """Yields the id of a call: the id that the caller chose, or a new id.

    Refuses a call with an invalid id, under a new id. Logs an exception of the block with the id,
    and raises it as an error of the interface, with the id if the error has such a field.
    """
    request_id = secrets.token_hex(8)
    try:
        with refusals(caller):
            request_id = request_id if chosen_id is None else short_text("request_id", chosen_id)
        yield request_id
    except VarlinkError as refusal:
        _log(method, caller, request_id, refusal.name.rpartition(".")[2])
        fields = refusal.parameters
        if fields is not None and "request_id" in fields.__struct_fields__:
            fields = msgspec.structs.replace(fields, request_id=request_id)
        raise VarlinkError(refusal.name, fields) from None
    except Exception as defect:
        _log(method, caller, request_id, "a defect")
        log.error("a defect in request %s:\n%s", request_id, trace(defect), extra=caller.for_log)  # noqa: TRY400  the text of an exception can quote the request
        raise error(wire_errors.InternalError(request_id=request_id)) from None


def _log(method: str, caller: Caller, request_id: str, why: str) -> None:
    text = "refused %s to %s, request %s: %s"
    log.info(text, method, caller, request_id, why, extra=caller.for_log)
