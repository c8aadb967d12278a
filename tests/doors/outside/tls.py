#!/usr/bin/env python3
"""A whole turn over a WebSocket under TLS, by a client that is not ours.

Usage: tls.py HOST:PORT TOKEN CA_FILE
"""
import asyncio
import json
import ssl
import sys
import uuid

import websockets

address, token, authority = sys.argv[1:4]


async def main():
    trusted = ssl.create_default_context(cafile=authority)
    headers = {"Authorization": f"Bearer {token}"}
    async with websockets.connect(
        f"wss://{address}/ws", ssl=trusted, additional_headers=headers, origin=f"https://{address}", open_timeout=20
    ) as socket:
        async def until(kind):
            while True:
                frame = json.loads(await asyncio.wait_for(socket.recv(), 20))
                if kind in (frame["type"], frame.get("kind")):
                    return frame

        await until("hello")
        session = str(uuid.uuid4())
        await socket.send(json.dumps({"type": "create", "session": session, "agent": "drill"}))
        await until("created")
        await socket.send(json.dumps({"type": "attach", "session": session}))
        await until("attached")
        text = "[[text:" + "x" * 60_000 + "]]"
        await socket.send(json.dumps({"type": "prompt", "session": session, "text": text, "key": str(uuid.uuid4())}))
        said = await until("text")
        assert len(json.dumps(said)) > 60_000, said
        await until("turn_end")
    print("a turn over wss")


asyncio.run(main())
