#!/usr/bin/env python3
"""The table of doors, from outside: by a client that shares no line of code with the gateway (`websockets` and http.client).

Usage: doors.py HOST:PORT OPERATOR VIEWER AUDITOR      (tokens)
Prints one line for each check; ends with status 1 at the first that fails.
"""
import asyncio
import http.client
import json
import socket
import sys
import uuid

import websockets
from websockets.exceptions import ConnectionClosed, InvalidStatus

address, operator, viewer, auditor = sys.argv[1:5]
host, port = address.rsplit(":", 1)
own = f"http://{address}"
checks = 0


def check(what, got, wanted):
    global checks
    if got != wanted:
        print(f"FAILED {what}: got {got!r}, wanted {wanted!r}")
        sys.exit(1)
    checks += 1
    print(f"ok {what}: {got!r}")


def ask(method, path, token=None, body=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    payload = None if body is None else json.dumps(body)
    connection.request(method, path, payload, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def status(*args, **kwargs):
    return ask(*args, **kwargs)[0].status


async def opened(token=None, origin=None, subprotocols=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        socket = await websockets.connect(
            f"ws://{address}/ws", additional_headers=headers, origin=origin, subprotocols=subprotocols, open_timeout=20
        )
    except InvalidStatus as refused:
        return refused.response.status_code, None
    return 101, socket


async def reply(socket, frame):
    await socket.send(json.dumps(frame | {"id": 7}))
    while True:
        answer = json.loads(await asyncio.wait_for(socket.recv(), 20))
        if answer.get("id") == 7:
            return answer.get("code") or answer["type"]


async def websocket_doors():
    for what, wanted, arguments in [
        ("no credential", 401, {}),
        ("a wrong token", 401, {"token": "bg_nonsense"}),
        ("a token in the URL is none", 401, {}),
        ("a token, no origin", 101, {"token": viewer}),
        ("a token, our origin", 101, {"token": viewer, "origin": own}),
        ("a token, a foreign origin", 403, {"token": operator, "origin": "http://evil.example"}),
        ("a token, origin null", 403, {"token": operator, "origin": "null"}),
        ("a token, our name on another port", 403, {"token": operator, "origin": f"http://{host}:1"}),
        ("a token, our name with another scheme", 403, {"token": operator, "origin": f"https://{address}"}),
        ("a token, only another subprotocol", 400, {"token": viewer, "subprotocols": ["breakglass.v9"]}),
        ("a forged proxy header", 401, {"X_authentik_username": "admin"}),
    ]:
        got, socket = await opened(**arguments)
        check(f"websocket: {what}", got, wanted)
        if socket:
            await socket.close()
    async with websockets.connect(
        f"ws://{address}/ws", additional_headers={"Authorization": f"Bearer {operator}"}, subprotocols=["breakglass.v1"]
    ) as socket:
        check("websocket: subprotocol", socket.subprotocol, "breakglass.v1")
        hello = json.loads(await socket.recv())
        check("websocket: hello", (hello["type"], hello["role"]), ("hello", "operator"))
        check("websocket: create", await reply(socket, {"type": "create", "agent": "drill"}), "created")
        session = str(uuid.uuid4())
        check("websocket: create by id", await reply(socket, {"type": "create", "agent": "drill", "session": session}), "created")
        check("websocket: attach", await reply(socket, {"type": "attach", "session": session}), "attached")
        check("websocket: no such session", await reply(socket, {"type": "attach", "session": str(uuid.uuid4())}), "not_found")
        check("websocket: a path is no session", await reply(socket, {"type": "attach", "session": "../../etc"}), "bad_request")
        check("websocket: a field too many", await reply(socket, {"type": "attach", "session": session, "aftre": 1}), "bad_request")
    for role, token in (("viewer", viewer), ("auditor", auditor)):
        async with websockets.connect(f"ws://{address}/ws", additional_headers={"Authorization": f"Bearer {token}"}) as socket:
            for frame, wanted in [
                ({"type": "ping"}, "pong"),
                ({"type": "watch"}, "watching"),
                ({"type": "attach", "session": session}, "attached"),
                ({"type": "create"}, "forbidden"),
                ({"type": "prompt", "session": session, "text": "x", "key": str(uuid.uuid4())}, "forbidden"),
                ({"type": "cancel", "session": session}, "forbidden"),
            ]:
                check(f"websocket: {role} {frame['type']}", await reply(socket, frame), wanted)
    for what, payload, code in [("binary", b"{}", 1003), ("too big", "x" * (1024 * 1024 + 1), 1009)]:
        async with websockets.connect(
            f"ws://{address}/ws", additional_headers={"Authorization": f"Bearer {viewer}"}, max_size=None
        ) as socket:
            try:
                await socket.send(payload)
                while True:
                    await asyncio.wait_for(socket.recv(), 20)
            except ConnectionClosed as closed:
                check(f"websocket: {what} frame", closed.rcvd and closed.rcvd.code, code)
    return session


def http_doors(session):
    check("http: no credential", status("GET", "/api/sessions"), 401)
    check("http: token in the query", status("GET", f"/api/sessions?token={operator}"), 401)
    check("http: basic", status("GET", "/api/me", Authorization="Basic Zmlyc3Q6eA=="), 401)
    check("http: foreign host", status("GET", "/api/me", operator, Host="evil.example"), 421)
    check("http: foreign host on a public path", status("GET", "/", None, Host="evil.example"), 421)
    check("http: foreign origin", status("POST", "/api/sessions", operator, {}, Origin="http://evil.example"), 403)
    check("http: origin null", status("POST", "/api/sessions", operator, {}, Origin="null"), 403)
    for method, path in [("GET", "/api/sessions"), ("GET", "/"), ("OPTIONS", "/api/sessions"), ("HEAD", "/api/me")]:
        check(f"http: {method} {path} for a foreign page", status(method, path, operator, Origin="http://evil.example"), 403)
    check("http: our own page reads", status("GET", "/api/sessions", operator, Origin=own), 200)
    for role, token, export, access, create in (
        ("viewer", viewer, 403, 403, 403),
        ("auditor", auditor, 200, 200, 403),
        ("operator", operator, 200, 200, 201),
    ):
        check(f"http: {role} reads", status("GET", f"/api/sessions/{session}/events", token), 200)
        check(f"http: {role} exports", status("GET", f"/api/sessions/{session}/export", token), export)
        check(f"http: {role} reads the access record", status("GET", "/api/access", token), access)
        check(f"http: {role} creates", status("POST", "/api/sessions", token, {"agent": "drill"}), create)
    answer, _ = ask("POST", "/api/login", None, {"token": viewer}, Origin=own)
    cookie = answer.getheader("Set-Cookie")
    check("http: sign-in", (answer.status, "HttpOnly" in cookie, "SameSite=Strict" in cookie, viewer in cookie), (204, True, True, False))
    pair = cookie.split(";")[0]
    check("http: cookie", status("GET", "/api/me", Cookie=pair), 200)
    check("http: cookie without origin", status("POST", "/api/logout", None, {}, Cookie=pair), 403)
    check("http: cookie, foreign origin", status("POST", "/api/logout", None, {}, Cookie=pair, Origin="http://evil.example"), 403)
    check("http: sign-out", status("POST", "/api/logout", None, {}, Cookie=pair, Origin=own), 204)
    check("http: cookie after sign-out", status("GET", "/api/me", Cookie=pair), 401)
    answer, text = ask("GET", "/api/me", viewer)
    check("http: headers", [answer.getheader(name) for name in ("X-Content-Type-Options", "Referrer-Policy", "Cache-Control", "Cross-Origin-Opener-Policy")], ["nosniff", "no-referrer", "no-store", "same-origin"])
    check("http: framing", "frame-ancestors 'none'" in answer.getheader("Content-Security-Policy"), True)
    check("http: no CORS", answer.getheader("Access-Control-Allow-Origin"), None)


def raw_doors():
    for what, request, wanted in [
        ("no host", b"GET /api/me HTTP/1.1\r\n\r\n", b" 4"),
        ("nonsense", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b" 400"),
        ("two lengths", b"POST /api/login HTTP/1.1\r\nHost: %s\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x" % address.encode(), b" 400"),
        ("two hosts", b"GET /api/me HTTP/1.1\r\nHost: %s\r\nHost: evil.example\r\n\r\n" % address.encode(), b" 421"),
        ("a path that climbs", b"GET /../../etc/passwd HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % address.encode(), b" 404"),
    ]:
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(request)
            head = connection.recv(4096).split(b"\r\n")[0]
            check(f"raw: {what}", wanted in head, True)


session = asyncio.run(websocket_doors())
http_doors(session)
raw_doors()
print(f"{checks} checks passed")
