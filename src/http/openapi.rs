//! `/api/openapi.json`: the description of the HTTP side, for people and for programs.
//!
//! It is written by hand in `openapi.json` beside this file. That it lists what there is, with
//! who may ask, is tested here; that it tells the truth, by a fuzzer (`tests/api`).

use actix_web::{HttpResponse, Responder};

const DOCUMENT: &str = include_str!("openapi.json");

pub(super) async fn document() -> impl Responder {
    HttpResponse::Ok().content_type("application/json").body(DOCUMENT)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::http::routes::{ROUTES, Who};

    #[test]
    fn the_document_lists_each_route_and_who_may_ask() {
        let document: Value = serde_json::from_str(DOCUMENT).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        let documented = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("methods");
            methods.iter().map(move |(method, operation)| {
                let roles = operation["x-roles"].as_array().into_iter().flatten();
                let roles: Vec<_> = roles.filter_map(Value::as_str).map(str::to_owned).collect();
                (method.to_uppercase(), path.clone(), roles)
            })
        });
        let routes = ROUTES.iter().filter(|route| route.who != Who::Door).map(|route| {
            let roles: &[_] = if let Who::One(roles) = route.who { roles } else { &[] };
            let roles = roles.iter().map(|role| role.as_str().to_owned()).collect();
            (route.method.to_string(), route.pattern.to_owned(), roles)
        });
        assert_eq!(documented.collect::<BTreeSet<_>>(), routes.collect::<BTreeSet<_>>());
    }
}
