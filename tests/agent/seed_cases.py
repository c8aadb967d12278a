"""Writes seed_cases.json: lines of an agent's output, and what the seed's translate_event makes of them.

    python3 tests/agent/seed_cases.py > tests/agent/seed_cases.json

`translate_event` is the seed's, word for word. `null` for the events means that the seed raises (it loses the rest of the
turn then; breakglass gives nothing for that part).
"""
import json


def translate_event(obj: dict) -> dict | None:
    etype = obj.get("type")
    if etype == "system":
        if obj.get("subtype") == "init":
            return {"kind": "session", "session_id": obj.get("session_id", "")}
        return None  # hook_started/hook_response/thinking_tokens/etc. — noise
    if etype == "assistant":
        events: list[dict] = []
        for block in obj.get("message", {}).get("content", []) or []:
            btype = block.get("type")
            if btype == "text" and block.get("text"):
                events.append({"kind": "text", "text": block["text"]})
            elif btype == "tool_use":
                events.append({
                    "kind": "tool",
                    "name": block.get("name", ""),
                    "input": block.get("input", {}),
                })
        if not events:
            return None
        # The server flattens a "batch" into individual SSE frames.
        return events[0] if len(events) == 1 else {"kind": "batch", "events": events}
    if etype == "result":
        return {
            "kind": "result",
            "is_error": bool(obj.get("is_error")),
            "result": obj.get("result", ""),
            "duration_ms": obj.get("duration_ms"),
        }
    return None


def events(line: bytes):
    """The seed's pump, for one line."""
    text = line.decode(errors="replace").strip()
    if not text:
        return []
    try:
        obj = json.loads(text)
    except json.JSONDecodeError:
        return []
    try:
        event = translate_event(obj)
    except (AttributeError, TypeError):
        return None
    if event is None:
        return []
    return event["events"] if event["kind"] == "batch" else [event]


def assistant(content: str) -> str:
    return '{"type":"assistant","message":{"content":%s}}' % content


VALUES = ["null", "true", "false", "0", "-0", "0.0", "-0.0", "0e5", "1e-999", "1", "-1", "0.5", '""', '"x"', '"0"', "[]", "[0]",
          "{}", '{"a":null}']
BIG = "123456789012345678901234567890"
LINES = [
    # not an event at all
    "", " \t ", "\u00a0\u2028", "hello", "{", '{"type":"result"', "nul", "[", '{"type":"result"} x', '\ufeff{"type":"result"}',
    '{"type":"result",}', "{'type':'result'}", '{"type":"result","result":"a\tb"}', '{NaN:1,"type":"result"}',
    "{}", '{"type":null}', '{"type":1}', '{"type":["system"]}', '{"type":"System","subtype":"init"}', '{"TYPE":"result"}',
    # around the object
    '  {"type":"result"}\r\n', '\u00a0\u001c{"type":"result"}\u2028\u0085', '{ "type" : "result" }',
    # system
    '{"type":"system"}', '{"type":"system","subtype":"init"}', '{"subtype":"init","session_id":"s","type":"system"}',
    '{"type":"system","subtype":"hook_started","session_id":"s"}', '{"type":"system","subtype":null}', '{"type":"init"}',
    '{"type":"system","subtype":"init","session_id":"a","session_id":"b"}',
    *['{"type":"system","subtype":"init","session_id":%s}' % v for v in VALUES],
    # result
    '{"type":"result"}', '{"type":"result","subtype":"success","is_error":false,"result":"done","duration_ms":1234}',
    *['{"type":"result","is_error":%s}' % v for v in VALUES],
    *['{"type":"result","result":%s,"duration_ms":%s}' % (v, v) for v in VALUES],
    '{"type":"result","duration_ms":%s,"result":%s.5}' % (BIG, "1"),
    '{"type":"result","is_error":%s,"duration_ms":-%s}' % (BIG, BIG),
    # assistant
    '{"type":"assistant"}', '{"type":"assistant","message":{}}', '{"type":"assistant","content":[{"type":"text","text":"x"}]}',
    *['{"type":"assistant","message":%s}' % v for v in VALUES],
    *[assistant(v) for v in VALUES],
    *[assistant('[%s]' % v) for v in VALUES],
    *[assistant('[{"type":"text","text":%s}]' % v) for v in VALUES],
    *[assistant('[{"type":"tool_use","name":%s,"input":%s}]' % (v, v)) for v in VALUES],
    assistant('[{"type":"text"}]'), assistant('[{"type":"tool_use"}]'), assistant('[{"type":null,"text":"x"}]'),
    assistant('[{"text":"x"}]'), assistant('[{"type":"thinking","thinking":"hm"}]'), assistant('[{"type":"tool_use","id":"t1"}]'),
    assistant('[{"type":"text","text":"a"},{"type":"tool_use","name":"Bash","input":{"command":"df -h"}},{"type":"text","text":"b"}]'),
    assistant('[{"type":"text","text":""},{"type":"text","text":"a"}]'),
    assistant('[{"type":"text","text":"a"},{"type":"thinking"},{"type":"text","text":"a"}]'),
    assistant('[{"type":"tool_use","name":"Edit","input":{"b":1,"a":{"z":[1,2],"y":null}}}]'),
    assistant('[{"type":"text","text":"caf\\u00e9 \\ud83d\\ude00 \\\\ud800 \\\\\\\\ \\" \\n \\u0000 \\u001b[0m"}]'),
    assistant('[{"type":"text","text":"caf\u00e9 \U0001f600"}]'),
    # others
    '{"type":"user","message":{"content":[{"type":"text","text":"x"}]}}', '{"type":"stream_event","event":{"type":"result"}}',
    '{"type":"error","error":"x"}', '{"type":"text","text":"x"}', '{"type":"session","session_id":"x"}',
]
# Bytes that are not UTF-8: one U+FFFD for each maximal piece, as Unicode recommends.
RAW = [b'{"type":"result","result":"\xff"}', b'{"type":"result","result":"a\xe2\x82"}', b'{"type":"result","result":"\xf0\x9f\x98"}',
       b'{"type":"result","result":"\xed\xa0\x80"}', b'{"type":"result","result":"\xc0\xaf\xe2\x28\xa1"}', b'\xff{"type":"result"}']

if __name__ == "__main__":
    cases = [{"latin1": line.decode("latin-1"), "events": events(line)} for line in [*(l.encode() for l in LINES), *RAW]]
    print("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]")
