//! Every route with who may ask it. What is not in here is asked by nobody but whoever may do
//! something at all.
//!
//! The guard reads it, and so do the tests: each entry is tried with every kind of credential,
//! and stands in the OpenAPI document.

use actix_web::http::Method;
use voice_access::{Role, Roles};

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// Anybody.
    Anybody,
    /// Anybody, from whatever page: the files of the page.
    Page,
    /// Whoever has one of these roles.
    One(&'static [Role]),
    /// A WebSocket, which sees to it itself: a browser can send no header with it.
    Door,
}

/// One route.
pub(crate) struct Route {
    pub(crate) method: Method,
    /// As the router writes it.
    pub(crate) pattern: &'static str,
    pub(crate) who: Who,
}

const CALLER: Who = Who::One(&[Role::Caller, Role::Operator, Role::Editor]);
const OPERATOR: Who = Who::One(&[Role::Operator]);
/// Prompts and tools say how the assistant may be led, and where the systems behind it are.
const EDITOR: Who = Who::One(&[Role::Operator, Role::Editor]);

const fn get(pattern: &'static str, who: Who) -> Route {
    Route { method: Method::GET, pattern, who }
}

const fn delete(pattern: &'static str, who: Who) -> Route {
    Route { method: Method::DELETE, pattern, who }
}

const fn post(pattern: &'static str, who: Who) -> Route {
    Route { method: Method::POST, pattern, who }
}

/// All of them, but for the files of the page, which anybody may have.
pub(crate) const ROUTES: &[Route] = &[
    get("/sonic", Who::Door),
    get("/monitor", Who::Door),
    get("/health", Who::Anybody),
    get("/ready", Who::Anybody),
    get("/metrics", OPERATOR),
    get("/api/auth", Who::Anybody),
    post("/api/ticket", CALLER),
    get("/api/openapi.json", Who::Anybody),
    get("/api/version", Who::Anybody),
    get("/api/voices", CALLER),
    get("/api/personas", CALLER),
    get("/api/prompts", EDITOR),
    get("/api/tools", EDITOR),
    get("/api/workflows", CALLER),
    get("/api/workflow/{id}", EDITOR),
    get("/api/history", OPERATOR),
    get("/api/history/{name}", OPERATOR),
    post("/api/feedback", CALLER),
    get("/api/calls", OPERATOR),
    delete("/api/calls/{id}", OPERATOR),
    get("/api/drain", OPERATOR),
    post("/api/drain", OPERATOR),
    delete("/api/drain", OPERATOR),
    get("/api/setup", EDITOR),
    get("/api/system/status", CALLER),
];

/// Who may ask for what the router knows as `pattern`.
pub(crate) fn who(method: &Method, pattern: Option<&str>, path: &str) -> Who {
    let mut known = ROUTES.iter().filter(|route| Some(route.pattern) == pattern);
    match known.find(|route| route.method == *method) {
        Some(route) => route.who,
        // An unknown route of the API, or a method that it has not.
        None if path.starts_with("/api") || ROUTES.iter().any(|r| r.pattern == path) => CALLER,
        None => Who::Page,
    }
}

/// The methods that a listed pattern has, when `method` is none of them.
pub(crate) fn other_methods(method: &Method, pattern: Option<&str>) -> Option<String> {
    let routes = || ROUTES.iter().filter(|route| Some(route.pattern) == pattern);
    let known = routes().next().is_some() && routes().all(|route| route.method != *method);
    known.then(|| routes().map(|route| route.method.as_str()).collect::<Vec<_>>().join(", "))
}

impl Who {
    /// Whether somebody with these roles may ask.
    pub(crate) fn admits(self, roles: Roles) -> bool {
        match self {
            Self::Anybody | Self::Page | Self::Door => true,
            Self::One(some) => some.iter().any(|role| roles.has(*role)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_is_not_for_strangers() {
        let who = |method, pattern, path| who(&method, pattern, path);
        assert_eq!(who(Method::GET, Some("/health"), "/health"), Who::Anybody);
        let others = other_methods(&Method::PUT, Some("/api/drain"));
        assert_eq!(others.as_deref(), Some("GET, POST, DELETE"));
        assert_eq!(other_methods(&Method::GET, Some("/api/drain")), None);
        assert_eq!(other_methods(&Method::GET, Some("/nothing")), None);
        assert_eq!(who(Method::DELETE, Some("/metrics"), "/metrics"), CALLER);
        assert_eq!(who(Method::GET, None, "/api/anything"), CALLER);
        assert_eq!(who(Method::GET, None, "/js/main.js"), Who::Page);
        assert!(!OPERATOR.admits(Roles::from(Role::Caller)) && OPERATOR.admits(Roles::ALL));
    }
}
