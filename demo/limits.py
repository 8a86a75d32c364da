"""Every bound of the demo, with its default: the one home of these numbers.

None is from the papers.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Counts, bytes, seconds and pixels as named."""

    # Pipelines and who uses them.
    runs: int = 4  # pipelines at once, of all tabs together
    waiting: int = 16  # pages that may queue for a pipeline
    viewers: int = 64  # pages on one camera of the server

    # What a page sends.
    in_flight: int = 2  # frames that a page sends before it waits for an answer
    max_in_flight: int = 6  # unanswered frames before the next is refused
    refusals: int = 120  # messages refused in a row before the connection ends
    frame_bytes: int = 1 << 20
    frame_pixels: int = 1920 * 1088
    frame_jump_s: float = 3600.0  # largest step of a page's clock
    text_bytes: int = 4096
    idle_s: float = 60.0  # a page that sends nothing for so long gives its place back
    threshold_every_s: float = 0.25  # least time between two changes of the threshold

    # What a page is sent.
    picture_width: int = 640  # of pictures sent to a page
    picture_quality: int = 80
    columns: int = 30  # newest score columns in every frame message, for pages that missed some
    remembered: int = 50  # events sent to a page that joins late
    linger_s: float = 3.0  # a camera stays open for so long after its last viewer

    # Uploads.
    upload_bytes: int = 200_000_000
    chunk_bytes: int = 1 << 20
    upload_seconds: float = 600.0
    upload_pixels: int = 1920 * 1088
    results: int = 8  # kept on disk while their pages are open; the oldest go first
    page_results: int = 4  # of one page, which lets its own oldest go first

    # Reviews of results.
    review_requests: int = 4  # of one review, answered at once; more wait
    piece_bytes: int = 1 << 16  # of an answer, sent when the one before has been read
    review_body_bytes: int = 1 << 16  # of a change, the longest of which is a note
    review_bytes: int = 20_000_000  # of the changes of one review, on the disk

    # Passwords.
    login_first_s: float = 0.5  # the first wrong password of an address is answered after this
    login_longest_s: float = 30.0  # twice as long each time, up to this
    login_tries: int = 100  # of an address; then one is checked every `login_longest_s`
    login_forget_s: float = 900.0  # an address without a wrong password for so long begins anew
    login_addresses: int = 4096  # remembered; the longest untouched goes first
    login_waiting: int = 32  # wrong passwords waiting for their answer; more are answered at once
    shared_every_s: float = 0.1  # between passwords of shared addresses, while that many wait
    sessions: int = 256  # browsers logged in; the oldest goes first

    # Connections.
    connections: int = 256  # open at once; one more ends the one that is waited for longest
    overflow: int = 128  # more, while those are ending; requests beyond are answered "unavailable"
    handshake_s: float = 10.0  # for the handshake of TLS
    head_s: float = 10.0  # for the head of a request, from the connection or the answer before
    head_bytes: int = 1 << 15
    body_s: float = 10.0  # for the body of a request, which is a password or a change
    stall_s: float = 30.0  # for a client to read the next piece of an answer
    close_s: float = 5.0  # for a client to close what is closed here
    keep_alive_s: int = 5  # until a connection without a further request is closed
    sweep_s: float = 1.0  # between two checks of all connections
    ping_s: float = 10.0  # between two pings of a websocket, and for its answer to each

    @property
    def message_bytes(self) -> int:
        """The longest websocket message that is read at all."""
        return max(self.frame_bytes, self.chunk_bytes) + 64
