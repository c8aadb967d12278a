//! The page's own files, built by build.rs: embedded in a release build, read from disk in a debug build.

use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::error::HttpError;
use crate::protocol::server::ErrorCode;

/// Whatever is no other route: a file of the page, or nothing.
pub(super) async fn serve(uri: Uri, headers: HeaderMap) -> Result<Response, HttpError> {
    let path = match uri.path() {
        "/" => "index.html",
        path => path.trim_start_matches('/'),
    };
    page::file(path, &headers).ok_or_else(|| HttpError::new(ErrorCode::NotFound, "there is nothing at this address"))
}

#[cfg(feature = "page")]
mod page {
    use axum::body::Body;
    use axum::http::{HeaderMap, HeaderValue, header};
    use axum::response::{IntoResponse, Response};
    use rust_embed::RustEmbed;

    #[derive(RustEmbed)]
    #[folder = "web/dist"]
    struct Dist;

    /// Files whose names carry their content's hash never change.
    const FOR_EVER: &str = "public, max-age=31536000, immutable";
    /// The rest is asked for anew each time.
    const EACH_TIME: &str = "no-cache";

    pub(super) fn file(path: &str, headers: &HeaderMap) -> Option<Response> {
        let plain = Dist::get(path)?;
        let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let offers = |coding: &str| accepted.split(',').any(|offer| offer.trim().split(';').next() == Some(coding));
        let packed = [("br", ".br"), ("gzip", ".gz")]
            .into_iter()
            .filter(|(coding, _)| offers(coding))
            .find_map(|(coding, suffix)| Dist::get(&format!("{path}{suffix}")).map(|file| (coding, file)));
        let (coding, file) = match packed {
            Some((coding, file)) => (Some(coding), file),
            None => (None, plain),
        };
        let mut response = Body::from(file.data.into_owned()).into_response();
        let cache = if path.starts_with("assets/") { FOR_EVER } else { EACH_TIME };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Some(coding) = coding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        Some(response)
    }

    fn content_type(path: &str) -> &'static str {
        match path.rsplit_once('.').map(|(_, ending)| ending) {
            Some("html") => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("png") => "image/png",
            Some("json" | "webmanifest") => "application/json",
            _ => "application/octet-stream",
        }
    }
}

#[cfg(not(feature = "page"))]
mod page {
    use axum::http::HeaderMap;
    use axum::response::{Html, IntoResponse, Response};

    pub(super) fn file(path: &str, _: &HeaderMap) -> Option<Response> {
        const NO_PAGE: &str = "<!doctype html><title>breakglass</title><p>This gateway was built without its page. \
            Use <code>breakglass attach</code>, or build it with Node and the feature <code>page</code>.";
        (path == "index.html").then(|| Html(NO_PAGE).into_response())
    }
}
