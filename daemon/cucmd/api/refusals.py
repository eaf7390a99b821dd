"""Exceptions of the daemon as errors of the interface.

Every refusal is one of the errors that the interface names, and is made here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from cucmd.cases.exported import CannotExport
from cucmd.config import CredentialRefused, InvalidValue, UnknownCredential, UnknownProfile
from cucmd.jobs import errors as jobs
from cucmd.jobs.holds import Busy
from cucmd.jobs.start_keys import KeyReused
from cucmd.protocol import errors as wire_errors
from cucmd.protocol.jobs import INTERFACE
from cucmd.store import StoreFailed
from cucmd.varlink import Caller, VarlinkError

log = logging.getLogger(__name__)


def error(parameters: Struct) -> VarlinkError:
    """The error of the interface that has the name of the struct."""
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
        # Only the log says where it was looked for.
        log.warning("%s", e, extra=caller.for_log if caller else None)
        raise error(wire_errors.CredentialNotFound(e.name, e.cluster)) from None
    except CredentialRefused as e:
        raise invalid("login.credential", str(e)) from None
    except jobs.UnknownJob as e:
        raise error(wire_errors.JobNotFound(e.job_id)) from None
    except KeyReused as e:
        raise invalid("start_key", str(e)) from None
    except (jobs.AmbiguousJob, jobs.CannotStop, jobs.FilesDeleted) as e:
        raise invalid("job_id", str(e)) from None
    except Busy as e:
        raise error(wire_errors.JobBusy(e.job_id, e.reason)) from None
    except jobs.UnknownNode as e:
        raise error(wire_errors.NodeNotFound(e.job_id, e.node)) from None
    except jobs.AtLimit as e:
        raise error(wire_errors.LimitReached(e.limit, e.maximum)) from None
    except jobs.Draining:
        raise error(wire_errors.ShuttingDown()) from None
    except StoreFailed as e:
        damaged = (
            "the job's record is damaged, and it can only be deleted: " if e.damaged_row else ""
        )
        raise error(wire_errors.StorageFailed(f"{damaged}{e}")) from None


@contextmanager
def refusals_of_files() -> Iterator[None]:
    """As `refusals`, where files of a job are read or deleted."""
    with refusals():
        try:
            yield
        except CannotExport as e:
            raise invalid("job_id", f"{e}; other nodes can be exported by name") from None
        except OSError as e:
            reason = f"{e.strerror}: {e.filename}" if e.filename else str(e)
            raise error(wire_errors.StorageFailed(reason)) from None
