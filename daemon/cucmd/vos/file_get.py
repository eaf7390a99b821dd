"""PURE. Runs the dialogue of `file get`, in the forms of all releases.

Only the prompt ends the dialogue, and not "done." or "Transfer completed".

Section 5.2 of vos/NODES.md has the parts of the dialogue and their usual order. This code depends
neither on the order nor on any single question. It answers what is asked, and gives up when the
node does not accept an answer. Answers, sizes and words of the node put the dialogue into one of
the five stages of file_get_replies.py: TYPED, ASKED, AGREED, CLAIMED, COMPLETED.

An answer about the receiver is *taken* when the node has echoed it, asks another question, or says
anything but its prompt. Until then the answer is *due*. A prompt where an answer is due ends the
dialogue, because the shell takes the answer for a command. Once a prompt has our answer behind it,
nothing that follows is evidence (vos/NODES.md, section 4). Only the directory may stay due, since a
login does not need one. A question after "Transfer completed" means that more is to come.

Words of an unknown kind may be a refusal that the node printed before it read the answer. If such
words are all that followed an answer that a login needs, the answer is *in doubt*. That is enough
to start the clock of the transfer, but at the prompt the answer counts as due. The doubt ends with
a later question, dots, a usual line, "Transfer completed", or words of SSH that prove the cause.

The table says what the prompt means. Only `work/` knows what has come to the receiver since the
command was typed. So the events of this file give the meaning without that knowledge, and
work/collect.py adds it:

    stage               the node said                  at the receiver    what it means
    TYPED               no file matched, or 0 files    nothing            no_files_matched
    TYPED               words that prove a cause       nothing            the code of that cause
    TYPED, ASKED        anything else, or nothing      nothing            command_refused
    TYPED, ASKED        anything                       a login or bytes   transfer_incomplete
    AGREED, in doubt    words of SSH: no connection    no login           receiver_unreachable
    AGREED, in doubt    anything else                  as TYPED and ASKED
    before COMPLETED    "Invalid download directory"   anything           receiver_rejected
    AGREED              anything else                  no login           receiver_unreachable, or
                                                                          receiver_rejected
    AGREED              anything else                  a login or bytes   transfer_incomplete
    CLAIMED, COMPLETED  "Transfer completed"           anything           work/verdict.py compares

Without a receiver nothing is to be pushed: only the sizes are wanted, or the node has announced too
much (`decline`). Once the sizes are known, yes/no questions are answered `n`, and the prompt gives
`Declined`. A question about a receiver then gives `Broken`, and Ctrl-C ends the command.

No stage says that the transfer has begun. node/deadlines.py decides that, from logins and bytes at
the receiver and from the progress that the node shows (`TransferMoved`). The echo of an answer is
no progress.
"""

from __future__ import annotations

from cucmd.failure import Code, failure
from cucmd.job.failure import Failure
from cucmd.vos import texts
from cucmd.vos.arguments import encode_line
from cucmd.vos.command_lines import FileGet, ReceiverAddress
from cucmd.vos.dialogue_events import (
    Broken,
    CanLogIn,
    Declined,
    Event,
    FileGetDone,
    NothingMatched,
    Send,
    TransferMoved,
)
from cucmd.vos.file_get_lines import (
    PASSWORD_REFUSED,
    AnnouncedSizes,
    OutcomeClues,
    password_failure,
    refusal_failure,
)
from cucmd.vos.file_get_replies import NEXT, Answer, Answers, Evidence, Stage
from cucmd.vos.questions import (
    COMPLETED,
    DIALOGUE,
    DOTS,
    EXPECTED,
    GATHERING,
    GET_FILE,
    QUOTED,
    Prompts,
    QuestionKind,
    Questions,
    without_pagers,
)
from cucmd.vos.secrets import MASK, Secrets
from cucmd.vos.states import MIB, PAGER_KEYS, State, is_echo

MAX_NOTE = 200  # characters of a line that are kept as a note
# Characters after the last question that are read each time the segment grows. An echo, a prompt
# followed by our answer, and "Transfer completed" are all at the beginning. Reading a segment of
# 8 KiB again for each new byte would cost too much.
MAX_WORDS = 512


class FileGetDialogue(State):
    """Runs one `file get`, from its echo to the prompt.

    to: where the node is to push its files, or None if only the sizes are wanted.
    """

    # Enough for 200,000 files with paths of 70 characters, or for 500 GB with one dot for each
    # block of 32 KiB.
    max_bytes = 16 * MIB
    description = "`file get`"

    def __init__(
        self, request: FileGet, to: ReceiverAddress | None, secrets: Secrets, prompts: Prompts
    ) -> None:
        self._secrets = secrets
        self._prompts = prompts
        self._request = request
        self._command = "".join(request.command_line().split())
        self._answers = Answers(to)
        self._answer = Answer()  # the last answer that we sent
        # Whether the node echoes what is typed. None until the node has read the command.
        self._echoes: bool | None = None
        self._stage = Stage.TYPED
        self._questions = Questions(DIALOGUE)
        self._doubtful_note = ""  # the note of unknown words on the line of the last question
        # The number of the current segment, and where its last answered question ends.
        self._number = self._answered = 0
        # The text of the current segment, without questions and echo. A segment that began with a
        # question has its text in the second attribute.
        self._unfinished = ""
        self._after_question = ""
        self._progress_reported = False  # since the last call of `on_processed`
        self._sizes = AnnouncedSizes()
        self._clues = OutcomeClues(request)

    @property
    def echoed(self) -> bool:  # type: ignore[override]  # a property, since input changes it
        return self._echoes is not None

    def _mark_started(self, *, echoes: bool = False) -> None:
        """Notes that the node has read the command. Drops the clues of earlier output."""
        if self._echoes is None:
            self._echoes = echoes
            self._clues = OutcomeClues(self._request)

    def _advance(self, evidence: Evidence) -> None:
        self._stage = NEXT.get((self._stage, evidence), self._stage)

    # Input

    def on_segment(self, text: str, number: int, grown_from: int) -> list[Event]:
        if self.interrupted or self._answer.met_prompt:
            return []
        events: list[Event] = []
        if number != self._number:
            # The node has returned to the start of its line with a CR alone, to overwrite the line
            # or to end it.
            if words := self._unfinished or self._after_question:
                shows = self._unfinished and not self._is_expected(words)
                events = self._read_facts(words, self._note(words)) + (
                    self._report_progress() if shows else []
                )
            self._number, self._answered, self._unfinished, self._after_question = number, 0, "", ""
        if GATHERING.match(text):
            self._mark_started()
        # These lines contain names and patterns of the user, which may look like questions.
        if (not self.echoed and "file get " in text) or QUOTED.match(text):
            return events
        events += self._answer_questions(text, number, grown_from)
        if self._answer.met_prompt or (events and isinstance(events[-1], Broken)):
            return events
        return events + self._read_after_questions(self._after_answered(text))

    def _after_answered(self, text: str) -> str:
        """Returns the beginning of the text after the segment's last answered question."""
        return text[self._answered : self._answered + MAX_WORDS].lstrip()

    def _read_after_questions(self, rest: str) -> list[Event]:
        """Reads an echo, dots or "Transfer completed" in the segment. `rest`: without questions."""
        events: list[Event] = []
        if self._answer.is_due and self._answered and self._answer.echo_length(rest):
            events += self._mark_echoed()
        if self._answered:
            rest = self._answer.without_echo(rest)
        self._unfinished, self._after_question = ("", rest) if self._answered else (rest, "")
        if COMPLETED.match(rest):
            events += self._clear_doubt() + self._report_progress()
            self._advance(Evidence.COMPLETED if self._sizes.known else Evidence.COMPLETED_UNSIZED)
        elif rest.startswith("."):  # whatever follows, so that the split makes no difference
            events += self._clear_doubt() + (
                self._report_progress() if DOTS.fullmatch(rest) else []
            )
        return events

    def on_processed(self) -> list[Event]:
        self._progress_reported = False
        return []

    def on_line(self, text: str) -> list[Event]:
        rest = without_pagers(text) if text else None  # saves time: many lines may be empty
        self._unfinished = self._after_question = ""
        if rest is None or self.interrupted or self._answer.met_prompt:
            return []
        if not self.echoed and is_echo(rest, self._command):
            self._mark_started(echoes=True)
            return []
        if GET_FILE.match(rest):  # newer releases name each file while they gather
            self._mark_started()
            return []
        words = self._after_answered(text).rstrip()
        if not words or self._has_met_prompt(words, finished=True):
            return []
        if self._answer.awaits_echo and self._answer.echo_length(words) == len(words):
            return self._mark_echoed()  # the echo came on a line of its own
        if self._answered:
            words = self._answer.without_echo(words, finished=True)
            rest = text[text.index(words, self._answered) :]
        return self._read_line(words, rest)

    def _read_line(self, words: str, line: str) -> list[Event]:
        """Reads a finished line. `words`: its beginning, which shows the kind of the line."""
        if not words:
            return []
        if self._answers.has_answered(QuestionKind.PASSWORD) and PASSWORD_REFUSED.search(words):
            return [Broken(password_failure(self._note(words)))]
        if self._is_usual(words):
            return self._clear_doubt() + self._note_line(line)
        return self._mark_taken(in_doubt=True) + self._note_line(line)

    def _note_line(self, line: str) -> list[Event]:
        """Collects facts and notes from a line, for the decision at the prompt.

        line: without a question and an echo at its beginning.
        """
        note = self._note(line)
        sized = self._read_facts(line, note)
        if self._is_expected(line):
            return sized
        self._clues.notes.append(note)
        if not self._answered:
            return sized + self._report_progress()
        # The line may be an echo of an unknown kind, so it shows no progress.
        self._doubtful_note = note
        return sized

    def _note(self, text: str) -> str:
        return self._secrets.mask(text.strip())[:MAX_NOTE]

    def _read_facts(self, words: str, note: str) -> list[Event]:
        """Reads sizes and reasons in the words. New sizes are not expected after a login."""
        begun = self._stage is not Stage.TYPED
        self._clues.read(words, note, begun=begun, asked=bool(self._answers.last_question))
        early = self._stage in (Stage.TYPED, Stage.ASKED)
        return [*self._sizes.read(words, note if early else None)]

    def _is_expected(self, line: str) -> bool:
        """Says whether the line is usual in this dialogue, or an earlier prompt that came late."""
        return self._is_usual(line) or self._prompts.is_known(line.strip())

    def _is_usual(self, line: str) -> bool:
        if EXPECTED.match(line.strip()) or GATHERING.match(line):
            return True
        return self._completed and COMPLETED.match(line) is not None

    @property
    def last_line(self) -> str:
        growing = self._secrets.mask(self._unfinished.strip())[-MAX_NOTE:]
        return growing or (self._clues.notes[-1] if self._clues.notes else "")

    @property
    def _completed(self) -> bool:
        return self._stage in (Stage.CLAIMED, Stage.COMPLETED)

    def _report_progress(self) -> list[Event]:
        """Returns `TransferMoved`, once for each piece of input, if the node can transfer."""
        if self._stage is not Stage.AGREED or self._progress_reported:
            return []
        self._progress_reported = True
        return [TransferMoved()]

    # The state of our last answer

    def _mark_taken(self, *, in_doubt: bool = False) -> list[Event]:
        """Notes that the node has taken our last answer, if this answer was due."""
        evidence = self._answer.mark_taken(in_doubt=in_doubt)
        if evidence is None:
            return []
        self._advance(evidence)
        return [CanLogIn()] if self._stage is Stage.AGREED else []

    def _clear_doubt(self) -> list[Event]:
        """Notes that the dialogue goes on, so that the node has not refused our last answer."""
        self._answer.clear_doubt()
        if self._doubtful_note in self._clues.notes:
            self._clues.notes.remove(self._doubtful_note)
        self._doubtful_note = ""
        return self._mark_taken()

    def _mark_echoed(self) -> list[Event]:
        """Notes that the node has echoed our last answer."""
        self._answer.echoed = True
        return self._mark_taken()

    def _has_met_prompt(self, rest: str, *, finished: bool = False) -> bool:
        """Says whether `rest` shows that the node was at its prompt when our answer came.

        finished: the line has ended.
        """
        if not self._answer.awaits_echo:
            return False
        begin, prompt, behind = rest.partition(texts.PROMPT)
        return (
            bool(prompt)
            and self._prompts.is_known(begin + prompt)
            and self._answer.meet_prompt(
                behind.strip(), node_echoes=bool(self._echoes), finished=finished
            )
        )

    # Questions and answers

    def _answer_questions(self, text: str, number: int, grown_from: int) -> list[Event]:
        events: list[Event] = []
        for question in self._questions.in_segment(text, number, grown_from):
            if self._has_met_prompt(self._after_answered(text)):
                return events
            kind = question.kind
            shown = " ".join(self._secrets.mask(text[: question.end], question.begin).split())
            if kind is QuestionKind.PASSWORD_AGAIN:
                kind = QuestionKind.PASSWORD
                if self._answers.has_answered(kind):
                    return [*events, Broken(password_failure(shown))]
            self._mark_started()
            events += self._read_after_questions(self._after_answered(text[: question.end]))
            events += self._mark_taken() if kind in PAGER_KEYS else self._clear_doubt()
            before = text[self._answered : question.end]  # sizes may stand on the question's line
            events += self._sizes.read(before, shown if kind is QuestionKind.YES_NO else None)
            self._answered = question.end
            events += self._answer_question(kind, shown)
            if isinstance(events[-1], Broken):
                return events
        self._has_met_prompt(self._after_answered(text))
        return events

    def _answer_question(self, kind: QuestionKind, asked: str) -> list[Event]:
        """Returns the events that answer one question. `asked`: the question as it may be shown."""
        if key := PAGER_KEYS.get(kind):
            return [Send(key, key.decode())]
        answer = self._answers.answer(kind, asked, sized=self._sizes.known is not None)
        if isinstance(answer, Failure):
            return [Broken(answer)]
        self._answer = Answer(kind, answer)
        send = Send(encode_line(answer), MASK if kind is QuestionKind.PASSWORD else answer)
        return [send, CanLogIn()] if self._stage is Stage.AGREED else [send]

    def decline(self, *, unanswered: bool) -> list[Event]:
        """Declines the transfer from now on. Returns the events that replace an unsent answer."""
        self._answers.receiver = None
        kind = self._answer.kind
        if not unanswered or kind is None or self._answer.echoed:
            return []
        return self._answer_question(kind, self._answers.last_question)

    # The end

    def on_prompt(self) -> list[Event]:
        words, prompt, _ = (self._unfinished or self._after_question).rpartition(texts.PROMPT)
        if words.strip() and not self._prompts.is_known(words + prompt) and not self.interrupted:
            self._note_line(words)  # the prompt is at the end of the node's last line
        sized = self._sizes.known
        if self._answers.receiver is None and sized and not self.interrupted:
            return [Declined() if sized.files else NothingMatched()]
        # If SSH says that it could not reach the receiver, the node did read the last answer.
        proven = self._stage is Stage.AGREED and self._clues.unreachable
        if self._answer.is_missing and not proven:
            self._advance(Evidence.PROMPT_BEFORE_ANSWER)
        if not self._completed and not self.interrupted:
            if self._clues.directory_refused and self._answers.has_answered(QuestionKind.DIRECTORY):
                where = self._answers.choose(QuestionKind.DIRECTORY, sized=True)
                said = f"{texts.INVALID_DIRECTORY} (we answered {where!r} to Download directory)"
                return [Broken(failure(Code.RECEIVER_REJECTED, said))]
            if self._stage in (Stage.TYPED, Stage.ASKED):
                # The prompt came before the node could log in to the receiver.
                files = self._sizes.files
                nothing = files == 0 or (self._clues.nothing_matched and files is None)
                if nothing and self._stage is Stage.TYPED:
                    return [NothingMatched()]
                if self._clues.cause and self._stage is Stage.TYPED:
                    return [Broken(self._clues.cause)]
                asked = self._answers.last_question
                return [Broken(refusal_failure(self._request, self._clues.notes, asked))]
        sizes = self._sizes
        unread = () if sizes.known else tuple(sizes.unread)
        notes = tuple(note for note in self._clues.notes if note not in unread)
        return [FileGetDone(self._completed, sizes.files, sizes.bytes, notes, unread)]
