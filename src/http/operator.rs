//! `/api/calls`: what operators ask and do. What they see live comes over `/monitor`.

use actix_web::{
    HttpResponse, Responder,
    http::StatusCode,
    web::{Data, Path},
};
use serde_json::{Value, json};
use voice_call::{CallId, meters::Queue};

use super::{
    State,
    error::{Refused, not_found},
};

/// The queues of calls, by the names they have in this answer.
const QUEUES: [(&str, Queue); 6] = [
    ("fromSocket", Queue::FromSocket),
    ("callerAudio", Queue::CallerAudio),
    ("assistantAudio", Queue::AssistantAudio),
    ("playout", Queue::Playout),
    ("toSocket", Queue::ToSocket),
    ("overheard", Queue::Overheard),
];

/// The calls in progress, without their words, and how the process is doing.
pub(super) async fn calls(state: Data<State>) -> impl Responder {
    let (registry, meters) = (&state.registry, &state.meters);
    HttpResponse::Ok().json(json!({
        "calls": state.monitor.calls(),
        "activeCalls": registry.active(),
        "maxCalls": registry.max_calls(),
        "draining": registry.is_draining(),
        "full": registry.is_full(),
        "parkedCalls": meters.parked_calls.get(),
        "openStreams": meters.open_streams.get(),
        "monitors": state.monitor.watchers(),
        "callsStarted": meters.calls_started.get(),
        "bargeIns": meters.barge_ins.get(),
        "cost": meters.cost.get(),
        "queues": QUEUES.map(|(name, queue)| queue_of(&state, name, queue)),
    }))
}

fn queue_of(state: &State, name: &str, queue: Queue) -> Value {
    let (depth, dropped) = (state.meters.depth(queue), state.meters.drops(queue));
    json!({"name": name, "depth": depth.get(), "dropped": dropped.get()})
}

/// Hangs up. The call ends in order, and its log says who ended it.
pub(super) async fn hang_up(state: Data<State>, id: Path<String>) -> Result<HttpResponse, Refused> {
    let id: CallId = id.parse().map_err(|error| {
        Refused::new(StatusCode::BAD_REQUEST, "bad_session_id", format!("id: {error}"))
    })?;
    if !state.registry.hang_up(id.clone()).await {
        return Err(not_found());
    }
    tracing::info!(call = %id, "an operator hangs up");
    Ok(HttpResponse::Accepted().json(json!({"success": true})))
}
