//! `/api/history`: the session logs that are kept (`contract.md` §3).

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{ACCEPT_RANGES, CONTENT_RANGE, LINK, RANGE},
    },
    web::{Data, Path, Query},
};
use serde::Deserialize;
use voice_archive::{
    name::LogName,
    store::{FaultKind, StoreFault},
};

use super::{
    State,
    error::{Refused, not_found},
};

/// Logs on a page when the client does not say.
const PAGE: usize = 50;
/// Most logs on a page.
const MAX_PAGE: usize = 200;

/// What a client may ask for.
#[derive(Debug, Deserialize)]
pub(super) struct Ask {
    /// How many.
    limit: Option<usize>,
    /// After which one.
    after: Option<String>,
}

/// The newest logs. `Link: …; rel="next"` leads to older ones.
pub(super) async fn list(state: Data<State>, ask: Query<Ask>) -> Result<HttpResponse, Refused> {
    let Some(history) = &state.history else { return Ok(HttpResponse::Ok().json([(); 0])) };
    let limit = ask.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        let message = format!("limit is {limit}; it is 1 to {MAX_PAGE}");
        return Err(Refused::new(StatusCode::BAD_REQUEST, "invalid_limit", message));
    }
    let after = ask.after.as_deref().map(|after| {
        LogName::parse(after).ok_or_else(|| {
            let message = format!("after is {after:?}; expected is the id of a session log");
            Refused::new(StatusCode::BAD_REQUEST, "invalid_after", message)
        })
    });
    let after = after.transpose()?;
    let (items, next) = history.page(limit, after.as_ref()).await.map_err(refuse)?;
    let mut answer = HttpResponse::Ok();
    if let Some(next) = next {
        let link = format!("</api/history?limit={limit}&after={next}>; rel=\"next\"");
        answer.insert_header((LINK, link));
    }
    Ok(answer.json(items))
}

/// One log, or the recording of a call.
pub(super) async fn file(
    state: Data<State>,
    request: HttpRequest,
    name: Path<String>,
) -> Result<HttpResponse, Refused> {
    let history = state.history.as_ref().ok_or_else(not_found)?;
    if let Some(stem) = name.strip_suffix(".wav") {
        let name = LogName::parse(&format!("{stem}.json")).ok_or_else(not_found)?;
        return recording(history, &name, &request).await;
    }
    let name = LogName::parse(&name).ok_or_else(not_found)?;
    let log = history.log(&name).await.map_err(refuse)?.ok_or_else(not_found)?;
    Ok(HttpResponse::Ok().json(log))
}

/// The recording, or the part that a player asks for.
async fn recording(
    history: &voice_archive::history::History,
    name: &LogName,
    request: &HttpRequest,
) -> Result<HttpResponse, Refused> {
    let range = request.headers().get(RANGE).and_then(|range| range.to_str().ok());
    let range = range.and_then(parse_range);
    let object = history.recording(name, range.clone()).await.map_err(refuse)?;
    let object = object.ok_or_else(not_found)?;
    let size = object.size;
    let mut length = size;
    let mut answer = match range {
        None => HttpResponse::Ok(),
        Some(range) if *range.start() >= size => {
            let message = format!("the recording has {size} bytes");
            return Err(Refused::new(StatusCode::RANGE_NOT_SATISFIABLE, "invalid_range", message));
        }
        Some(range) => {
            let end = (*range.end()).min(size - 1);
            length = end + 1 - range.start();
            let mut answer = HttpResponse::PartialContent();
            answer.insert_header((CONTENT_RANGE, format!("bytes {}-{end}/{size}", range.start())));
            answer
        }
    };
    answer.insert_header((ACCEPT_RANGES, "bytes")).content_type("audio/wav");
    // The length is known, and players want to know it.
    Ok(answer.no_chunking(length).streaming(object.body))
}

/// `bytes=0-` and `bytes=0-99`; other forms are answered with the whole.
fn parse_range(text: &str) -> Option<std::ops::RangeInclusive<u64>> {
    let (start, end) = text.strip_prefix("bytes=")?.split_once('-')?;
    let start = start.parse().ok()?;
    let end = if end.is_empty() { u64::MAX - 1 } else { end.parse().ok()? };
    (start <= end).then_some(start..=end)
}

fn refuse(fault: StoreFault) -> Refused {
    tracing::error!(%fault, "the session logs cannot be read");
    let status = match fault.kind {
        FaultKind::Other => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_GATEWAY,
    };
    Refused::new(status, "store_unavailable", "The session logs cannot be read now".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_players_are_understood() {
        assert_eq!(parse_range("bytes=0-99"), Some(0..=99));
        assert_eq!(parse_range("bytes=5-"), Some(5..=u64::MAX - 1));
        for odd in ["bytes=-5", "bytes=9-5", "lines=1-2", "bytes=1-2,4-5", ""] {
            assert_eq!(parse_range(odd), None, "{odd}");
        }
    }
}
