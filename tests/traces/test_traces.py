"""A call of the demo bank, as it arrives behind a collector and at Langfuse's door.

The rules are those of Langfuse's ingestion: what it would refuse a batch for, and what it makes of
each attribute.
"""

import json

from conftest import KEYS, balance, collector, eventually, fetch, plain, server

SESSION = "9f0a7a0e-5b1d-4c11-9b3f-2f3d5f1f7a10"
BUCKETS = {"input_audio", "input_text", "output_audio", "output_text"}
TYPES = {"voice-session": "span", "user-input": "generation", "assistant-response": "generation"}


def check(spans, session, trace_id):
    """What must hold of every span."""
    ids = {span.span_id for span in spans}
    assert len(ids) == len(spans), "an id is there twice"
    for span in spans:
        assert len(span.trace_id) == 16 and any(span.trace_id), "a trace id"
        assert len(span.span_id) == 8 and any(span.span_id), "a span id"
        assert span.trace_id.hex() == trace_id
        assert span.end_time_unix_nano >= span.start_time_unix_nano > 0
        assert (not span.parent_span_id) == (span.name == "voice-session")
        assert not span.parent_span_id or span.parent_span_id in ids, f"{span.name} hangs nowhere"
        found = plain(span.attributes)
        assert found["langfuse.session.id"] == session
        assert found["langfuse.trace.name"] == "voice-session"
        assert found["langfuse.trace.tags"] == ["voice", "nova-sonic"]
        kind = found["langfuse.observation.type"]
        assert kind == TYPES.get(span.name, kind)
        assert kind in {"span", "generation", "event"}
        # Whatever begins so would be counted besides the usage that is given.
        assert not [key for key in found if key.startswith("gen_ai.usage")]
        # Would take the place of the span's name.
        assert "gen_ai.tool.name" not in found
        for name in ("usage_details", "cost_details"):
            details = found.get(f"langfuse.observation.{name}")
            assert details is None or (kind == "generation" and set(json.loads(details)) == BUCKETS)


def check_call(sink, log):
    """What the call was."""
    session = plain(sink.named("voice-session")[0].attributes)
    assert session["langfuse.observation.metadata.end"] == "hung_up"
    said = [plain(span.attributes)["langfuse.observation.input"] for span in sink.named("user-input")]
    assert said == ["What is my balance?", "4021", "1188"]
    tool = plain(sink.named("tool-get_account_balance")[0].attributes)
    assert json.loads(tool["langfuse.observation.output"])
    answers = sink.named("assistant-response")
    assert len(answers) >= 4
    total = dict.fromkeys(BUCKETS, 0)
    for span in sink.spans:
        found = plain(span.attributes)
        for bucket, count in json.loads(found.get("langfuse.observation.usage_details", "{}")).items():
            total[bucket] += count
    for span in answers:
        found = plain(span.attributes)
        assert found["langfuse.observation.completion_start_time"].endswith("Z")
        assert found["langfuse.observation.model.name"].startswith("amazon.nova")
    details = log["usage"]["details"]
    assert total == {
        "input_audio": details["inputSpeech"],
        "input_text": details["inputText"],
        "output_audio": details["outputSpeech"],
        "output_text": details["outputText"],
    }


def the_log(url):
    listed = eventually("the log", lambda: fetch(f"{url}/api/history"))
    return fetch(f"{url}/api/history/{listed[0]['id']}")


def test_a_call_arrives_behind_a_collector(sink, tmp_path):
    with collector(sink) as otlp, server(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp}) as (_, url):
        call = balance(url, SESSION)
        eventually("the trace", lambda: sink.named("voice-session"))
        trace_id = SESSION.replace("-", "")
        assert call.message("metadata")["data"] == {"traceId": trace_id}
        check(sink.spans, SESSION, trace_id)
        check_call(sink, the_log(url))
    assert sink.resources[0]["service.name"] == "voice-s2s"
    assert not sink.scores, "those are for Langfuse alone"


def test_a_call_arrives_at_langfuse_with_its_scores(sink, tmp_path):
    settings = {"LANGFUSE_HOST": sink.url, "LANGFUSE_PROMPT_LABEL": "off", **KEYS}
    with server(tmp_path, settings) as (process, url):
        call = balance(url, "not-a-uuid")
        eventually("the trace", lambda: sink.named("voice-session"))
        trace_id = call.message("metadata")["data"]["traceId"]
        check(sink.spans, "not-a-uuid", trace_id)
        check_call(sink, the_log(url))
        late = {"sessionId": "not-a-uuid", "traceId": trace_id, "score": 1, "name": "nps"}
        assert fetch(f"{url}/api/feedback", late) == {"success": True}
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert all(headers["x-langfuse-ingestion-version"] == "4" for headers in sink.headers)
    names = [score["name"] for score in sink.scores]
    answers = {span.span_id.hex() for span in sink.named("assistant-response")}
    assert names.count("turn-success") == len(answers)
    assert names.count("user-feedback") == names.count("nps") == 1
    assert "latency-score" in names
    for score in sink.scores:
        assert score["id"] and score["traceId"] == trace_id
        assert score.get("observationId", next(iter(answers))) in answers
        assert score["dataType"] in {"NUMERIC", "BOOLEAN"} and isinstance(score["value"], float)
    assert "ann@example.com" not in json.dumps(sink.scores)
