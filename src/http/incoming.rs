//! A gateway's request as it came, and how one is refused.

use std::net::{IpAddr, SocketAddr};

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, Request};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::clock::Timestamp;
use crate::http::form::{Bad, Fields};
use crate::http::guard::{self, Guard, Refused};

/// The largest body of a gateway's request, bytes; more is answered 413.
pub(super) const BODY_BYTES_MAX: usize = 16 * 1024;
/// After how many seconds a gateway that was put off may try again.
pub(super) const RETRY_AFTER_S: u32 = 5;

/// A request.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) method: Method,
    /// The path with its query.
    target: String,
    headers: HeaderMap,
    peer: IpAddr,
    query: Fields,
    pub(super) body: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Incoming {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let method = request.method().clone();
        // A HEAD would do what a GET does and tell nobody.
        if method != Method::GET && method != Method::POST {
            return Err(refuse(StatusCode::METHOD_NOT_ALLOWED, "expected GET or POST"));
        }
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let query = Fields::parse(request.uri().query().unwrap_or_default().as_bytes())
            .map_err(|bad| bad_form(&bad))?;
        let headers = request.headers().clone();
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let Some(peer) = peer else {
            return Err(refuse(StatusCode::INTERNAL_SERVER_ERROR, "the peer's address is not known"));
        };
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| refuse(rejection.status(), &rejection.body_text()))?;
        Ok(Self { method, target, headers, peer, query, body })
    }
}

impl Incoming {
    /// Whether it may come in, by the route's guard.
    pub(super) fn pass(&self, guard: &Guard, route: &str, now: Timestamp) -> Result<(), Refusal> {
        let request = guard::Request {
            method: self.method.as_str(),
            target: &self.target,
            headers: &self.headers,
            query: &self.query,
            body: &self.body,
            peer: self.peer,
            now,
        };
        guard.check(&request).map_err(|why| {
            tracing::debug!(route, peer = %self.peer, "a gateway's request was refused: {why}");
            match why {
                Refused::Busy => busy(),
                _ => refuse(StatusCode::UNAUTHORIZED, &why.to_string()),
            }
        })
    }

    /// Reads the form: of a GET the query, of a POST the body.
    pub(super) fn form<T>(&self, read: impl FnOnce(&Fields) -> Result<T, Bad>) -> Result<T, Refusal> {
        if self.method == Method::GET {
            return read(&self.query).map_err(|bad| bad_form(&bad));
        }
        Fields::parse(&self.body).and_then(|fields| read(&fields)).map_err(|bad| bad_form(&bad))
    }

    /// Reads the document of a POST.
    pub(super) fn document<T>(&self, read: impl FnOnce(&[u8]) -> Result<T, String>) -> Result<T, Refusal> {
        if self.method != Method::POST {
            return Err(refuse(StatusCode::METHOD_NOT_ALLOWED, "expected POST"));
        }
        read(&self.body).map_err(|words| refuse(StatusCode::BAD_REQUEST, &words))
    }
}

fn bad_form(bad: &Bad) -> Refusal {
    refuse(StatusCode::BAD_REQUEST, &bad.to_string())
}

/// A refusal in words.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    words: String,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        let mut response = (self.status, kind, format!("{}\n", self.words)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
        }
        response
    }
}

/// Refuses in words.
pub(super) fn refuse(status: StatusCode, words: &str) -> Refusal {
    Refusal { status, words: words.to_owned() }
}

/// Not now.
pub(super) fn busy() -> Refusal {
    refuse(StatusCode::SERVICE_UNAVAILABLE, "not now, please try again")
}

/// A number as gateways write it. A `+` that was not escaped has become a blank, and is one again: without it a number of
/// another country would be read as one of ours.
pub(super) fn plus(number: &str) -> String {
    match number.strip_prefix(' ') {
        Some(rest) => format!("+{}", rest.trim()),
        None => number.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_plus_is_found() {
        for (written, wanted) in [
            ("+254711000111", "+254711000111"),
            (" 254711000111", "+254711000111"),
            ("254711000111 ", "254711000111"),
            ("12580", "12580"),
            ("", ""),
        ] {
            assert_eq!(plus(written), wanted, "{written}");
        }
    }
}
