"""Every way in which `file get` fails, and what is said about it."""

from pathlib import Path

import pytest

from cucmd import vos
from cucmd.vos.dialogue_events import Send
from unit.vos.driver import (
    ADMIN_PASSWORD,
    PASSWORD,
    RECEIVER,
    REQUEST,
    Driver,
    at_prompt,
    byte_by_byte,
    failed,
    in_file_get,
)

NEWER = (Path(__file__).parent / "corpus" / "newer_form.raw").read_bytes()


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("SFTP server IP:", "192.0.2.5"),
        ("SFTP server port [22]:", "2222"),
        ("User ID:", "cucmd-7f"),
        ("Download directory:", "/in"),
        ("Would you like to proceed [y/n]?", "y"),
        ("Please answer 'y' for <yes> or 'n' for <no>:", "y"),
        ("Are you sure you want to continue connecting (yes/no)?", "yes"),
    ],
)
@pytest.mark.parametrize("split", [lambda data: [data], byte_by_byte])
def test_an_answer_refused_three_times_names_the_prompt_and_the_value(prompt, answer, split):
    driver = in_file_get(split)
    for _ in range(3):
        driver.feed(f"{prompt} ".encode())
        driver.feed(f"{answer}\r\n".encode())
    assert failed(driver.events) == []
    driver.feed(f"{prompt} ".encode())
    sent = [event for event in driver.events if isinstance(event, Send)]
    assert [(event.data, event.shown) for event in sent] == [(f"{answer}\r".encode(), answer)] * 3
    [(code, message)] = failed(driver.events)
    assert code == "receiver_rejected"
    assert repr(prompt) in message or prompt in message
    assert repr(answer) in message


def test_a_password_refused_three_times_is_not_shown():
    driver = in_file_get()
    for _ in range(4):
        driver.feed(b"Password: *********\r\n")
    sent = [event.data for event in driver.events if isinstance(event, Send)]
    assert sent == [f"{PASSWORD}\r".encode()] * 3
    [(code, message)] = failed(driver.events)
    assert code == "receiver_rejected"
    assert "'Password:'" in message
    assert "receiver" in message
    assert PASSWORD not in repr(driver.events)


@pytest.mark.parametrize("led_to", range(220, 256))
def test_a_password_that_a_long_question_repeats_is_masked_wherever_it_is_cut(led_to):
    driver = in_file_get()
    question = f"{PASSWORD} is no password. {'x' * led_to} [y/n]?"
    for _ in range(4):
        driver.feed(f"{question}\r\n".encode())
    [(_, message)] = failed(driver.events)
    asked = message.partition("asked '")[2]
    assert not any(asked.startswith(PASSWORD[at:]) for at in range(len(PASSWORD) - 1))


def test_after_three_refused_answers_only_a_prompt_counts():
    driver = in_file_get()
    driver.feed(b"User ID: \r\n" * 4)
    driver.events.clear()
    driver.feed(b"User ID: \r\nPassword: ")
    driver.feed(b"\r\nadmin:")
    assert driver.quiet() == [vos.Prompted()]


def test_different_questions_without_end_fail_too():
    driver = in_file_get()
    for number in range(60):
        driver.feed(f"Number {number}, really (yes/no)? \r\n".encode())
    assert [code for code, _ in failed(driver.events)] == ["receiver_rejected"]
    assert len(driver.events) == 41


@pytest.mark.parametrize(
    ("said", "code", "message"),
    [
        ("no such file or directory can be found", "invalid_path", "no such file or directory"),
        ("No such file or directory can be found.", "invalid_path", "No such file or directory"),
        ("Expected 2 mandatory and up to 7 non-mandatory parameter(s)", "invalid_path", "several"),
        ("No valid command entered", "not_a_node", "does not know `file get`"),
        ("Executed command unsuccessfully", "command_refused", "refused the command"),
        ("Bad regexp\r\nExecuted command unsuccessfully", "command_refused", "Bad regexp"),
    ],
)
def test_refused_before_any_transfer(said, code, message):
    driver = in_file_get()
    driver.feed(f"{said}\r\nadmin:".encode())
    [(found, text)] = failed(driver.quiet())
    assert found == code
    assert message in text
    assert driver.cli.at_prompt


REFUSED = "Executed command unsuccessfully"
CHECK_PATH = "see what is there: file list inactivelog syslog"


@pytest.mark.parametrize(
    ("match", "said", "hint"),
    [
        (None, "no such file or directory can be found", CHECK_PATH),
        (None, REFUSED, CHECK_PATH),
        ("[", "no such file or directory can be found", CHECK_PATH),
        ("[", REFUSED, f"check --match '[', a regular expression, or {CHECK_PATH}"),
    ],
)
def test_the_hint_names_what_may_be_wrong_as_it_was_typed(match, said, hint):
    driver = in_file_get(request=vos.FileGet("inactivelog", "syslog/x*", match=match))
    driver.feed(f"{said}\r\nadmin:".encode())
    [broken] = [event for event in driver.quiet() if isinstance(event, vos.Broken)]
    assert broken.failure.hint == hint


def test_completed_counts_only_at_the_start_of_a_line():
    driver = in_file_get()
    driver.feed(b"Download directory: /in\r\nnot Transfer completed\r\nadmin:")
    [done] = driver.quiet()
    assert not done.completed
    assert done.notes == ("not Transfer completed",)


def test_each_read_of_a_transfer_is_progress():
    driver = in_file_get()
    driver.feed(b"Download directory: /in\r\n")
    assert [driver.feed(b".") for _ in range(3)] == [[vos.TransferMoved()]] * 3
    assert driver.feed(b"\r\nTransfer completed") == [vos.TransferMoved()]
    assert driver.feed(b".\r\n") == []


def test_sizes_that_no_number_can_be():
    driver = in_file_get()
    driver.feed(
        b"Number of files affected: ,,,\r\nTotal size in Bytes: 99999999999999999999999999\r\n"
    )
    assert driver.events == []
    driver.feed(b"Number of files affected: 1,200\r\nTotal size in Bytes: 2,434,450\r\n")
    assert driver.events == [vos.SizesAnnounced(1200, 2434450)]


def test_sizes_of_which_the_sum_over_all_paths_of_a_job_would_have_more_than_64_bits():
    driver = in_file_get()
    files, size = b"9" * 18, b"9" * 24
    driver.feed(b"Number of files affected: %b\r\nTotal size in Bytes: %b\r\n" % (files, size))
    (sized,) = driver.events
    assert max(sized.files, sized.bytes) * 1000 < 2**63


def test_a_node_that_prints_the_password():
    driver = in_file_get()
    driver.feed(f"Password: {PASSWORD}\r\nlogin as {PASSWORD} failed\r\n".encode())
    driver.feed(f"{ADMIN_PASSWORD} is {PASSWORD}\r\n Get file: {PASSWORD}\r\n".encode())
    for _ in range(4):
        driver.feed(f"Is it {PASSWORD} (yes/no)? \r\n".encode())
    driver.feed(b"\r\nadmin:")
    driver.quiet()
    shown = repr(driver.events)
    assert PASSWORD not in shown
    assert ADMIN_PASSWORD not in shown
    assert "Is it ***** (yes/no)?" in shown


def test_a_node_that_prints_the_password_in_a_note():
    driver = in_file_get()
    driver.feed(f"Download directory: /in\r\n{'x' * 190} {PASSWORD} failed\r\nadmin:".encode())
    [done] = driver.quiet()
    assert done.notes == (f"{'x' * 190} *****" + " fai",)


def test_repr_of_a_receiver_hides_its_password():
    assert PASSWORD not in f"{RECEIVER!r} {RECEIVER}"


def test_closed_at_every_byte():
    for cut in range(len(NEWER) + 1):
        driver, quit_sent = play(NEWER[:cut])
        expected = [] if quit_sent else ["connection_lost"]
        assert [code for code, _ in failed(driver.close())] == expected, f"closed after {cut}"
        assert driver.close() == []
        assert driver.feed(b"admin:") == []


def play(raw: bytes):
    driver = at_prompt()
    driver.cli = vos.Cli()
    commands = iter(["set cli pagination off", REQUEST.command_line(), "quit"])
    parts = raw.split(b"\0")
    line = ""
    for number, part in enumerate(parts, 1):
        driver.feed(part)
        if number < len(parts):
            driver.quiet()
            line = next(commands)
            driver.type(line)
    return driver, line == "quit"


def test_closed_says_what_was_going_on():
    assert "before its prompt" in failed(vos.Cli().closed())[0][1]
    assert "wait at the prompt" in failed(at_prompt().close())[0][1]
    assert "`file get`" in failed(in_file_get().close())[0][1]
    driver = at_prompt()
    driver.type("show status")
    assert "`show status`" in failed(driver.close())[0][1]


def test_the_last_line_of_a_login_hides_the_password():
    driver = Driver()
    driver.feed(f"{ADMIN_PASSWORD} is wrong\r\n".encode())
    [(_, message)] = failed(driver.close())
    assert message.endswith("the last line: '***** is wrong'")


def test_a_node_that_closes_is_connection_lost_and_another_machine_not_a_node():
    for banner, code in [
        (b"Command Line Interface is st", "connection_lost"),
        (b"$", "not_a_node"),
    ]:
        cli = vos.Cli()
        cli.receive(b"Authorised users only\r\n" + banner)
        assert [found for found, _ in failed(cli.closed())] == [code]


@pytest.mark.parametrize("split", [lambda data: [data], byte_by_byte])
def test_words_on_the_line_of_the_prompt_are_quoted(split):
    """A node may refuse without ending the line; its second refusal is quoted as the first is."""
    driver = in_file_get(split)
    for _ in range(2):
        driver.feed(b"access denied admin:")
        driver.quiet()
        driver.feed(driver.type(REQUEST.command_line()))
    messages = [message for code, message in failed(driver.events) if code == "command_refused"]
    assert ["access denied" in message for message in messages] == [True, True]


def test_a_known_refusal_on_the_line_of_the_prompt_has_its_code():
    driver = in_file_get()
    driver.feed(b"no such file or directory can be found admin:")
    driver.quiet()
    [(code, _)] = failed(driver.events)
    assert code == "invalid_path"


def test_a_secret_on_the_line_of_the_prompt_is_masked():
    driver = in_file_get()
    driver.feed(f"not for {ADMIN_PASSWORD} admin:".encode())
    driver.quiet()
    [(code, message)] = failed(driver.events)
    assert code == "command_refused"
    assert "not for *****" in message
    assert ADMIN_PASSWORD not in message


def test_a_counter_before_the_prompt_is_not_taken_for_words():
    driver = in_file_get()
    driver.feed(b"admin:")
    driver.quiet()
    driver.feed(driver.type("set commandcount enable") + b"[1] admin:")
    driver.quiet()
    driver.feed(driver.type(REQUEST.command_line()) + b"[2] admin:")
    driver.quiet()
    assert "no reason" in failed(driver.events)[-1][1]
