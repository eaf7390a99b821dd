"""The help of `run` has the commands that the daemon takes."""

from cucmctl.commands.run import COMMANDS, head_of
from cucmd.job.run import FORMS
from cucmd.vos import forms


def test_the_help_lists_the_forms_of_the_daemon() -> None:
    assert tuple(form.usage for form in forms.FORMS) == FORMS
    assert all(f"  {form}\n" in f"{COMMANDS['run'].summary}\n" for form in FORMS)
    assert max(map(len, COMMANDS["run"].summary.splitlines())) <= 80


def test_a_form_of_the_help_has_the_head_of_the_daemon() -> None:
    assert [" ".join(head_of(form)) for form in FORMS] == [form.head for form in forms.FORMS]
