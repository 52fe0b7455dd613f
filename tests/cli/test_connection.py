"""Where the API is and who asks: several coordinators, tokens, TLS, servers that are none."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from cli.conftest import CLEAN, Ask
from cli.fake_api import Answer, FakeApi, closed_port, error, job_status
from harness import millrace
from harness.millrace import Finished
from harness.waiting import wait_for

TOKEN = "operator-0123456789abcdef"
VIEWER = "viewer-0123456789abcdef"


def test_nobody_answers(ask: Ask) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    began = time.monotonic()
    got = ask("get", "jobs", "--server", url)
    assert (got.code, got.stdout) == (1, "")
    assert got.stderr == (
        f"error: no coordinator answers ({url}: the connection is refused): is it running? "
        "--server or MILLRACE_SERVER says where\n"
    )
    assert time.monotonic() - began < 5


def test_a_host_that_is_not_known(ask: Ask) -> None:
    got = ask("get", "jobs", "--server", "http://no-such-host.invalid:8080")
    assert got.code == 1
    assert "there is no host 'no-such-host.invalid'" in got.stderr


def test_the_default_is_this_machine(ask: Ask) -> None:
    """Whether anything listens there or not."""
    got = ask("get", "jobs", "--timeout", "2s", env={"MILLRACE_SERVER": ""})
    assert got.code == 0 or "127.0.0.1:8080" in got.stderr


def test_a_flag_goes_before_the_environment(ask: Ask, api: FakeApi) -> None:
    got = ask("get", "jobs", "-o", "name", "--server", api.url,
              env={"MILLRACE_SERVER": "http://127.0.0.1:1"})  # fmt: skip
    assert got.stdout == "smoke\nrig\n"


@pytest.mark.parametrize(
    ("server", "why"),
    [("ftp://a:1", "neither http nor https"), ("a", "no port"), ("http://a:99999", "its port")],
)
def test_an_address_that_is_none(ask: Ask, server: str, why: str) -> None:
    got = ask("get", "jobs", "--server", server)
    assert got.code == 2
    assert why in got.stderr


def test_of_several_the_one_that_leads_answers(ask: Ask, api: FakeApi) -> None:
    with FakeApi() as standby:
        standby.intercept = lambda _: error(503, "not_leading", "does not lead", Retry_After="1")
        servers = f"http://127.0.0.1:{closed_port()},{standby.url},{api.url}"
        got = ask("get", "jobs", "-o", "name", "--server", servers)
        assert (got.code, got.stdout, got.stderr) == (0, "smoke\nrig\n", "")
        assert standby.lines == ["GET /jobs"]
        got = ask("pause", "smoke", "--server", servers)
        assert got.stdout == "job smoke: pausing\n"


def test_a_busy_coordinator_is_asked_again(ask: Ask, api: FakeApi) -> None:
    def busy_once(_: object) -> Answer | None:
        if len(api.requests) > 1:
            return None
        return error(503, "busy", "too many requests", Retry_After="1")

    api.intercept = busy_once
    assert ask("get", "jobs", "-o", "name").stdout == "smoke\nrig\n"
    assert api.lines == ["GET /jobs"] * 2


def test_one_that_stays_busy_is_an_error(ask: Ask, api: FakeApi) -> None:
    api.intercept = lambda _: error(503, "busy", "too many requests: ask again")
    got = ask("get", "jobs", "--timeout", "1500ms")
    assert got.code == 1
    assert got.stderr == "error: too many requests: ask again\n"
    assert len(api.lines) == 2


@contextlib.contextmanager
def slow_server(sends: list[bytes]) -> Iterator[str]:
    """Takes connections and sends these pieces, one each 100 ms, then nothing."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        connections = []
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                break
            connections.append(connection)
            for piece in sends:
                if ended.wait(0.1):
                    break
                connection.send(piece, socket.MSG_NOSIGNAL)
        for connection in connections:
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.parametrize(
    "sends",
    [[], [b"HTTP/1.1 200 OK\r\nX: ", *[b"x"] * 600], [b"HTTP/1.1 200 OK\r\n\r\n", *[b" "] * 600]],
    ids=["nothing", "a header without end", "a body without end"],
)
def test_no_answer_in_time(ask: Ask, sends: list[bytes]) -> None:
    """However little it sends and however often, the time is for all of it."""
    with slow_server(sends) as url:
        began = time.monotonic()
        got = ask("get", "jobs", "--server", url, "--timeout", "700ms")
        took = time.monotonic() - began
        assert got.code == 124
        assert got.stderr == f"error: {url}: no answer in 700ms\n"
        assert 0.7 <= took < 5


def test_a_change_without_an_answer_may_have_been_made(ask: Ask, api: FakeApi) -> None:
    api.intercept = lambda _: b""
    got = ask("cancel", "smoke")
    assert got.code == 1
    assert "it may have been done all the same: millrace get jobs shows it" in got.stderr
    assert len(api.lines) == 1  # and it is not asked for twice


@pytest.mark.parametrize(
    ("answer", "code", "why"),
    [
        (b"SSH-2.0-OpenSSH\r\n", 1, "without an HTTP answer; does it want https://?"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<htm>", 1,
         "no coordinator's admin API"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", 1, "closed the connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", 1, "no coordinator's admin API"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n{\"jobs\":[{\"name\":[1,2]}]}  ", 1,
         "no coordinator's admin API"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 3, "an older coordinator"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 1,
         "HTTP status 302"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\n\x1b[2J", 1, "\\x1b[2J"),
    ],
    ids=["no HTTP", "no JSON", "half an answer", "no message", "wrong types", "no such path",
         "redirection", "failure"],
)  # fmt: skip
def test_servers_that_are_none(ask: Ask, api: FakeApi, answer: bytes, code: int, why: str) -> None:
    api.intercept = lambda _: answer
    got = ask("get", "jobs")
    assert (got.code, got.stdout) == (code, "")
    assert why in got.stderr
    assert "\x1b" not in got.stderr


def test_an_answer_without_end_is_not_kept(ask: Ask, api: FakeApi) -> None:
    api.intercept = lambda _: b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (70 << 20)
    got = ask("get", "jobs")
    assert got.code == 1
    assert "an answer of more than 64 MiB" in got.stderr


def test_of_several_one_that_stands_still(ask: Ask, api: FakeApi) -> None:
    """The system takes its connections; it does not answer."""
    with slow_server([]) as still:
        got = ask("get", "jobs", "-o", "name", "--server", f"{still},{api.url}", "--timeout", "2s")
        assert (got.code, got.stdout) == (0, "smoke\nrig\n")
        got = ask("pause", "smoke", "--server", f"{still},{api.url}", "--timeout", "500ms")
        assert (got.code, got.stdout) == (124, "")
        assert "it may have been done all the same" in got.stderr


# ---- tokens


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    return file


def test_a_token_is_shown(ask: Ask, api: FakeApi, token_file: Path) -> None:
    api.tokens = {TOKEN: "operator"}
    none = ask("get", "jobs")
    assert none.code == 4
    assert none.stderr == (
        "error: this API asks for a token; --token-file or MILLRACE_TOKEN_FILE gives one\n"
    )
    assert ask("get", "jobs", "--token-file", token_file).code == 0
    assert ask("get", "jobs", env={"MILLRACE_TOKEN_FILE": str(token_file)}).code == 0
    token_file.write_text("another-0123456789abcdef")
    wrong = ask("get", "jobs", "--token-file", token_file)
    assert (wrong.code, wrong.stderr) == (4, "error: this API asks for a token\n")


def test_a_role_that_may_not(ask: Ask, api: FakeApi, token_file: Path) -> None:
    api.tokens = {VIEWER: "viewer"}
    token_file.write_text(VIEWER)
    assert ask("get", "jobs", "--token-file", token_file).code == 0
    got = ask("pause", "smoke", "--token-file", token_file)
    assert (got.code, got.stdout) == (4, "")
    assert got.stderr == "error: role viewer may only look\n"


@pytest.mark.parametrize("content", ["", "two words 0123456789", "x\r\ny", "x" * 300, "é" * 16])
def test_a_file_that_holds_no_token(ask: Ask, tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content)
    got = ask("get", "jobs", "--token-file", "token")
    assert got.code == 1
    assert "'token' holds no token: one line of 16 to 256 characters" in got.stderr


def test_a_token_file_that_is_missing(ask: Ask) -> None:
    got = ask("get", "jobs", "--token-file", "nowhere")
    assert got.code == 1
    assert got.stderr == "error: cannot read 'nowhere': No such file or directory\n"


def test_a_token_is_not_sent_in_clear(ask: Ask, token_file: Path) -> None:
    got = ask("get", "jobs", "--token-file", token_file, "--server", "http://192.0.2.1:8080")
    assert got.code == 1
    assert "in clear, for anybody on the way to read: use https://" in got.stderr


# ---- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def served(authority: trustme.CA, folder: Path, *names: str) -> FakeApi:
    certificate = folder / "server.pem"
    certificate.unlink(missing_ok=True)
    authority.issue_cert(*names).private_key_and_cert_chain_pem.write_to_path(str(certificate))
    api = FakeApi(certificate=certificate)
    api.jobs["smoke"] = job_status("smoke")
    return api


def ask_tls(
    api: FakeApi,
    *words: str | Path,
    url: str | None = None,
    env: dict[str, str] | None = None,
) -> Finished:
    return millrace.run(
        ["get", "jobs", "-o", "name", "--server", url or api.url, *words],
        env={**CLEAN, **(env or {})},
    )


def test_tls_by_the_authority_that_is_named(authority: trustme.CA, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    with served(authority, tmp_path, "127.0.0.1", "localhost") as api:
        assert ask_tls(api, "--ca", ca).stdout == "smoke\n"
        assert ask_tls(api, env={"MILLRACE_CA": str(ca)}).stdout == "smoke\n"
        by_name = ask_tls(api, "--ca", ca, url=f"https://localhost:{api.port}")
        assert by_name.stdout == "smoke\n"


def test_tls_of_an_authority_that_is_not_trusted(authority: trustme.CA, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with served(authority, tmp_path, "127.0.0.1") as api:
        for words in (["--ca", str(other)], []):
            got = ask_tls(api, *words)
            assert (got.code, got.stdout) == (1, "")
            assert "its certificate is not trusted: " in got.stderr
            assert "--ca or MILLRACE_CA says who signs it" in got.stderr
        assert api.lines == []


def test_tls_for_another_host(authority: trustme.CA, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    with served(authority, tmp_path, "coordinator.example", "127.0.0.2") as api:
        got = ask_tls(api, "--ca", ca)
        assert got.code == 1
        assert "its certificate is not for '127.0.0.1'" in got.stderr
        assert api.lines == []


def test_tls_where_there_is_none_and_the_other_way(
    authority: trustme.CA, tmp_path: Path, api: FakeApi
) -> None:
    got = ask_tls(api, "--timeout", "5s", url=f"https://127.0.0.1:{api.port}")
    assert got.code == 1
    assert "the TLS handshake failed: is it http://?" in got.stderr
    with served(authority, tmp_path, "127.0.0.1") as secured:
        got = ask_tls(secured, "--timeout", "5s", url=f"http://127.0.0.1:{secured.port}")
        assert got.code == 1
        assert "does it want https://?" in got.stderr


def test_certificates_that_cannot_be_read(ask: Ask, tmp_path: Path) -> None:
    got = ask("get", "jobs", "--ca", "nowhere")
    assert got.stderr == "error: cannot read 'nowhere': No such file or directory\n"
    (tmp_path / "ca.pem").write_text("no certificate\n")
    got = ask("get", "jobs", "--server", "https://127.0.0.1:1", "--ca", "ca.pem")
    assert got.code == 1


def test_a_coordinator_that_comes_back_is_found_while_a_command_waits(
    ask: Ask, api: FakeApi
) -> None:
    api.intercept = lambda _: b"" if len(api.requests) < 3 else None
    got = ask("wait", "smoke", "--for", "state=running")
    assert (got.code, got.stdout) == (0, "job smoke: running\n")
    assert got.stderr.splitlines()[0].endswith("trying again")
    assert got.stderr.splitlines()[1:] == ["a coordinator answers again"]
    wait_for("three requests", lambda: len(api.lines) == 3)
