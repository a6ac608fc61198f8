"""A process of its own whose threads call a portal: `python -m tests.b24app.renewing_process`.

It reads what to do as a line of JSON, says "ready", and begins once the next line comes. Then it
tells what each thread was answered; or, where it `dies`, is killed when the OAuth server has given
the new pair and nothing of it is committed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading

import django


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    task = json.loads(sys.stdin.readline())
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = task["database"]
    settings.B24_OAUTH_URL = task["oauth_url"]
    django.setup()
    from django.db import connections

    from b24app.errors import B24Error
    from b24app.models import Portal
    from b24app.tokens import oauth
    from b24app.tokens.clients import user_client
    from b24app.tokens.proof import PROFILE

    if task["dies"]:
        refresh = oauth.refresh

        def last_refresh(refresh_token: str) -> oauth.TokenPair:
            refresh(refresh_token)
            os.kill(os.getpid(), signal.SIGKILL)
            raise AssertionError("nothing comes after SIGKILL")

        oauth.refresh = last_refresh

    found: list[str] = []
    together = threading.Barrier(task["threads"] + 1)

    def ask() -> None:
        client = user_client(Portal.objects.get(), task["user_id"])
        together.wait()
        try:
            found.append(str(client.read(PROFILE).user_id))
        except B24Error as error:
            found.append(repr(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(task["threads"])]
    for thread in threads:
        thread.start()
    say("ready")
    sys.stdin.readline()
    together.wait()
    for thread in threads:
        thread.join()
    say(json.dumps(found))


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
