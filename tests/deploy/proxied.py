"""Starts the app by deploy/entry, behind deploy/nginx.conf, with portals of the sandbox.

Everything is on loopback, on free ports, in a folder of its own; each process is ended by its id.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import requests
import trustme

from sandbox.server.app import Sandbox
from sandbox.server.ports import LOOPBACK, PortServers, running
from sandbox.tools.app_process import ROOT, environment_of
from sandbox.tools.smoke import Scenario
from sandbox.world import seed
from tests.waiting import until

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
START_SECONDS = 60
STOP_SECONDS = 15
_PAUSE = 0.1
ENTRY = ROOT / "deploy" / "entry"
_BIND = "127.0.0.1:8000"


@dataclass(frozen=True)
class Proxied:
    url: str
    plain_url: str
    app_ports: Sequence[int]  # of "web-1", "web-2", ...
    port: int
    certificates: str
    folder: Path
    environment: Mapping[str, str]
    oauth_url: str
    portals: Mapping[str, str]
    sandbox: Sandbox
    parts: dict[str, subprocess.Popen[bytes]]  # "web-1", "worker-1", ...

    def start(self, name: str, *, root: Path = ROOT) -> None:
        """Starts a part of the app, or starts it again after the test has ended it."""
        assert name not in self.parts or self.parts[name].poll() is not None
        part, _, number = name.partition("-")
        port = self.app_ports[int(number) - 1] if part == "web" else 0
        environment = {**self.environment, "WEB_BIND": f"{LOOPBACK}:{port}"}
        command = [word.replace(str(ROOT), str(root)) for word in command_of(part)]
        with (self.folder / f"{name}.log").open("ab") as output:
            started = self.parts[name] = subprocess.Popen(
                command, cwd=root, env=environment, stdout=output, stderr=output
            )
        if part == "web":
            until_open(port, self.folder)
        else:
            log = self.folder / f"{name}.log"
            until(lambda: f"{started.pid} works:" in log.read_text(encoding="utf-8"))

    def kill(self, name: str) -> None:
        """Kills a part with all its processes, as a machine does that loses its power."""
        killed = self.parts[name]
        children = Path(f"/proc/{killed.pid}/task/{killed.pid}/children").read_text().split()
        for pid in (killed.pid, *map(int, children)):
            os.kill(pid, signal.SIGKILL)
        killed.wait(STOP_SECONDS)

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
        )

    def walk(self, member_id: str, said: list[str] | None = None) -> Scenario:
        say = (said if said is not None else []).append
        return Scenario(self.portals[member_id], self.oauth_url, say, member_id, self.certificates)

    def get(self, path: str, **options: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            session.verify = self.certificates
            return session.get(f"{self.url}{path}", timeout=START_SECONDS, **options)

    def connect(self, *, receive_buffer: int | None = None) -> ssl.SSLSocket:
        plain = socket.socket()
        if receive_buffer is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.settimeout(START_SECONDS)
        plain.connect((LOOPBACK, self.port))
        context = ssl.create_default_context(cafile=self.certificates)
        return context.wrap_socket(plain, server_hostname="localhost")


def member_ids(count: int) -> list[str]:
    others = [f"{number:032x}" for number in range(3, count + 1)]
    return [seed.ALPHA, seed.BETA, *others]


@contextmanager
def proxied(folder: Path, *, portals: int, machines: int = 1, **settings: str) -> Iterator[Proxied]:
    """Starts the whole set-up with these settings of the app: a web and a worker for each machine.

    Raises AssertionError with the logs if it does not start.
    """
    with ExitStack() as stack:
        servers = PortServers([0] * (1 + portals))
        oauth_url, *urls = (f"http://{LOOPBACK}:{port}" for port in servers.ports)
        by_member = dict(zip(member_ids(portals), urls, strict=True))
        port, plain_port, *app_ports = free_ports(2 + machines)
        url = f"https://localhost:{port}"
        world = seed.demo_world(oauth_url=oauth_url, portal_urls=(urls[0], urls[1]), app_url=url)
        for member_id in list(by_member)[2:]:
            seed.add_portal(world, member_id, by_member[member_id], f"Portal {member_id[-2:]}")
        sandbox = Sandbox(world)
        stack.enter_context(running(sandbox, servers))
        environment = {
            **environment_of(url, oauth_url, folder),
            "PYTHON": sys.executable,
            **settings,
        }
        certificates = _certificates(folder)
        prepared = subprocess.run(
            [ENTRY, "prepare"], env=environment, capture_output=True, text=True, check=False
        )
        assert prepared.returncode == 0, prepared.stderr
        found = Proxied(
            url,
            f"http://localhost:{plain_port}",
            app_ports,
            port,
            certificates,
            folder,
            environment,
            oauth_url,
            by_member,
            sandbox,
            {},
        )
        stack.callback(_end_all, found.parts)
        for number in range(1, machines + 1):
            found.start(f"web-{number}")
            found.start(f"worker-{number}")
        with (folder / "nginx.log").open("wb") as output:
            command = _nginx(folder, app_ports=app_ports, port=port, plain_port=plain_port)
            stack.enter_context(process(command, os.environ, output))
        until_open(port, folder)
        yield found


def command_of(part: str) -> list[str]:
    """Returns the command of a part's systemd unit, with this checkout in place of /srv/pay."""
    unit = (ROOT / "deploy" / f"pay-{part}.service").read_text(encoding="utf-8")
    [line] = re.findall(r"^ExecStart=(.+)$", unit, re.MULTILINE)
    return shlex.split(line.replace("/srv/pay", str(ROOT)))


def _nginx(folder: Path, *, app_ports: Sequence[int], port: int, plain_port: int) -> list[str]:
    """Returns the repository's configuration with the paths and ports of this machine."""
    text = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    changes = {
        f"server {_BIND};": " ".join(f"server {LOOPBACK}:{app_port};" for app_port in app_ports),
        "listen 443 ssl;": f"listen {LOOPBACK}:{port} ssl;",
        "listen 80;": f"listen {LOOPBACK}:{plain_port};",
        "server_name pay.example.com;": "server_name localhost;",
        "/etc/ssl/pay/": f"{folder}/",
        "/var/log/nginx/": f"{folder}/",
    }
    for here, there in changes.items():
        assert here in text, here
        text = text.replace(here, there)
    (folder / "pay.conf").write_text(text, encoding="utf-8")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user}\ndaemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/nginx.error.log;\n"
        # What Debian's nginx has.
        "worker_processes auto;\nevents { worker_connections 768; }\n"
        f"http {{\n{temporary}\ninclude {folder}/pay.conf;\n}}\n",
        encoding="utf-8",
    )
    assert NGINX is not None
    return [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")]


def _certificates(folder: Path) -> str:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(str(folder / "privkey.pem"))
    for number, blob in enumerate(certificate.cert_chain_pems):
        blob.write_to_path(str(folder / "fullchain.pem"), append=number > 0)
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    return str(folder / "authority.pem")


def free_ports(count: int) -> Sequence[int]:
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server((LOOPBACK, 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in listeners]


@contextmanager
def process(
    command: list[str], environment: Mapping[str, str], output: BinaryIO
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, cwd=ROOT, env=dict(environment), stdout=output, stderr=output
    )
    try:
        yield process
    finally:
        _end(process)


def _end_all(parts: Mapping[str, subprocess.Popen[bytes]]) -> None:
    for each in parts.values():
        _end(each)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def until_open(port: int, folder: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return
        time.sleep(_PAUSE)
    logs = "\n".join(path.read_text(errors="replace")[-3000:] for path in folder.glob("*.log"))
    raise AssertionError(f"nothing listens on {port}:\n{logs}")
