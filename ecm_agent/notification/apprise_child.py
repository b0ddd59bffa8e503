"""The process that loads apprise, sends one message to some services, and ends. See `apprise_urls`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from ecm_agent.notification.apprise_urls import Answer, Task

if TYPE_CHECKING:
    from collections.abc import Iterator


def answers(task: Task) -> Iterator[Answer]:
    """Do the task, one URL after the other, so that one service's failure is told from another's."""
    import apprise

    asset = apprise.AppriseAsset(app_id="ecm-agent", app_desc="ecm-agent", app_url="")
    kind = apprise.NotifyType(task.kind)
    for url in task.urls:
        service = apprise.Apprise(asset=asset)
        if not service.add(url):
            yield "not understood"
        elif task.send and not service.notify(
            body=task.body, title=task.title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT
        ):
            yield "refused"
        else:
            yield "sent"


if __name__ == "__main__":
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    sys.stdout.buffer.write(msgspec.json.encode(list(answers(asked))))
