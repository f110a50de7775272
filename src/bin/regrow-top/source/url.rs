//! The URL of an observer, and the headers that are sent to it.

use hyper::Uri;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// The address and the path that requests are sent to, and their headers.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The host name or address. An IPv6 address has no brackets here.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The value of the header `Host`.
    pub(crate) authority: String,
    /// The path of the observer, without a slash at its end.
    path: String,
    pub(crate) headers: HeaderMap,
}

impl Target {
    /// Reads a URL and headers. The error says what to change. No error contains the value of a
    /// header.
    pub(crate) fn new(url: &str, headers: &[(String, String)]) -> Result<Self, String> {
        let with_scheme = match url.contains("://") {
            true => url.to_owned(),
            false => format!("http://{url}"),
        };
        let uri: Uri =
            with_scheme.parse().map_err(|error| format!("{url:?} is no URL: {error}"))?;
        let scheme = uri.scheme_str().unwrap_or_default();
        if scheme == "https" {
            return Err(format!(
                "{url:?}: regrow-top speaks no TLS. Reach the observer through a tunnel, such as \
                 `ssh -L 8090:127.0.0.1:8090 HOST` or `kubectl port-forward POD 8090`, and give \
                 http://127.0.0.1:8090"
            ));
        }
        if scheme != "http" {
            return Err(format!("{url:?}: the scheme must be http, not {scheme:?}"));
        }
        let authority = uri.authority().ok_or_else(|| format!("{url:?} names no host"))?;
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err("the URL contains credentials or a query, which would be in a recording: \
                        send them as a header, by -H 'Authorization: …'"
                .into());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Target {
            host,
            port: authority.port_u16().unwrap_or(80),
            authority: authority.as_str().to_owned(),
            path: uri.path().trim_end_matches('/').to_owned(),
            headers: read_headers(headers)?,
        })
    }

    /// Returns the path of a route.
    pub(crate) fn route(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// Returns the URL without credentials.
    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.authority, self.path)
    }
}

fn read_headers(headers: &[(String, String)]) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let key: HeaderName =
            name.parse().map_err(|_| format!("{name:?} can't be the name of a header"))?;
        let value: HeaderValue =
            value.parse().map_err(|_| format!("the value of the header {name:?} is not valid"))?;
        map.append(key, value);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_observers() {
        let read = |url: &str| Target::new(url, &[]).unwrap();
        let plain = read("localhost:8090");
        assert_eq!(
            (&*plain.host, plain.port, &*plain.route("events")),
            ("localhost", 8090, "/events")
        );
        let mounted = read("http://[::1]:3000/observer/");
        assert_eq!((&*mounted.host, &*mounted.authority), ("::1", "[::1]:3000"));
        assert_eq!(mounted.route("process/7"), "/observer/process/7");
        assert_eq!(mounted.url(), "http://[::1]:3000/observer");
        assert_eq!(read("http://h").port, 80);
    }

    #[test]
    fn what_is_refused() {
        let refused = |url: &str| Target::new(url, &[]).unwrap_err();
        assert!(refused("https://h:8090").contains("ssh -L"));
        assert!(refused("ftp://h").contains("ftp"));
        assert!(refused("http://user:secret@h").contains("-H"));
        assert!(!refused("http://user:secret@h").contains("secret"));
        assert!(refused("http://h?token=secret").contains("-H"));
        let header = [("A".to_owned(), "secret\n".to_owned())];
        let error = Target::new("h:1", &header).unwrap_err();
        assert!(error.contains("\"A\"") && !error.contains("secret"), "{error}");
    }
}
