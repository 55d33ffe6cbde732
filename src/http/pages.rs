//! The page: files below `STATIC_DIR`, revalidated at each visit by their ETag.

use std::path::Path;

use actix_files::Files;
use actix_web::{
    HttpRequest, Responder,
    dev::{HttpServiceFactory, fn_service},
    http::header::{CACHE_CONTROL, HeaderValue},
    middleware::DefaultHeaders,
    web,
};

use super::error;

/// Serves the files of a folder; what is not there is a JSON 404 as everywhere else.
pub(super) fn files(folder: &Path) -> impl HttpServiceFactory + use<> {
    let files = Files::new("/", folder)
        .index_file("index.html")
        .disable_content_disposition()
        .prefer_utf8(true)
        .default_handler(fn_service(|request: actix_web::dev::ServiceRequest| async move {
            let (request, _) = request.into_parts();
            let response = absent(request).await;
            actix_web::Result::Ok(response)
        }));
    web::scope("")
        // Kept by the browser, asked after each time: a new version is seen at once.
        .wrap(DefaultHeaders::new().add((CACHE_CONTROL, HeaderValue::from_static("no-cache"))))
        .service(files)
}

async fn absent(request: HttpRequest) -> actix_web::dev::ServiceResponse {
    let response = actix_web::ResponseError::error_response(&error::not_found());
    let response = response.respond_to(&request).map_into_boxed_body();
    actix_web::dev::ServiceResponse::new(request, response)
}
