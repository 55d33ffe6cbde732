//! The pages: files below `STATIC_DIR`, revalidated at each visit by their ETag.

use std::path::{Path, PathBuf};

use actix_files::{Files, NamedFile};
use actix_web::{
    HttpRequest, Responder,
    dev::{HttpServiceFactory, fn_service},
    http::header::{
        ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue,
    },
    middleware::DefaultHeaders,
    web,
};

use super::error;

/// Pages with an address of their own, beside the first one.
const PAGES: [&str; 3] = ["history", "live", "setup"];

/// What other people's pages load: the client, which holds no secret.
const EMBEDDED: [&str; 2] = ["voice-s2s.js", "voice-s2s-call.js"];

/// Serves the files of a folder; what is not there is a JSON 404 as everywhere else.
pub(super) fn files(folder: &Path) -> impl HttpServiceFactory + use<> {
    let mut scope = web::scope("");
    for page in PAGES {
        scope = scope.route(&format!("/{page}"), file(folder.join(format!("{page}.html"))));
    }
    for name in EMBEDDED {
        let anybody = web::resource(format!("/{name}")).wrap(for_anybody());
        scope = scope.service(anybody.route(file(folder.join(name))));
    }
    let client = web::scope("/client").wrap(for_anybody());
    // Kept by the browser, asked after each time: a new version is seen at once.
    scope
        .service(client.service(served("/", folder.join("client"))))
        .service(served("/", folder.to_owned()).index_file("index.html"))
        .wrap(DefaultHeaders::new().add((CACHE_CONTROL, HeaderValue::from_static("no-cache"))))
}

/// A page of another origin may load it.
fn for_anybody() -> DefaultHeaders {
    DefaultHeaders::new()
        .add((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .add((CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin"))
}

fn file(path: PathBuf) -> actix_web::Route {
    web::get().to(move || {
        let path = path.clone();
        async move {
            // One `open` of a small local file: not worth a thread.
            let file = NamedFile::open(path).map_err(|_| error::not_found())?;
            Ok::<_, error::Refused>(file.disable_content_disposition().prefer_utf8(true))
        }
    })
}

fn served(mount: &str, folder: PathBuf) -> Files {
    Files::new(mount, folder).disable_content_disposition().prefer_utf8(true).default_handler(
        fn_service(|request: actix_web::dev::ServiceRequest| async move {
            let (request, _) = request.into_parts();
            let response = absent(request).await;
            actix_web::Result::Ok(response)
        }),
    )
}

async fn absent(request: HttpRequest) -> actix_web::dev::ServiceResponse {
    let response = actix_web::ResponseError::error_response(&error::not_found());
    let response = response.respond_to(&request).map_into_boxed_body();
    actix_web::dev::ServiceResponse::new(request, response)
}
