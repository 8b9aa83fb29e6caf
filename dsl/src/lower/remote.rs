//! `remote-cache`: a bucket, a server, and who may use it. Knows no store and reads no secret.

use crate::codes::caching as codes;
use crate::diagnostic::Diagnostic;
use crate::form::{Form, Reader, Val};
use crate::model::RemoteCache;
use crate::schema::top::REMOTE_CACHE;
use crate::source::Spanned;
use crate::syntax::tree::Node;
use crate::units;

/// Reads the node; `None` where it cannot be used.
pub(super) fn remote_cache(reader: &mut Reader<'_>, node: &Node) -> Option<RemoteCache> {
    let form = reader.form(node, &REMOTE_CACHE);
    let place = form.arg(0).cloned().and_then(|a| address(reader, &a));
    let plain = form.flag("plain-http");
    let endpoint = form.text("endpoint");
    let endpoint = endpoint.map(|e| server(reader, &e, plain));
    let credentials = credentials(reader, &form);
    let (bucket, prefix) = place?;
    Some(RemoteCache {
        bucket,
        prefix,
        endpoint: match endpoint {
            Some(endpoint) => Some(endpoint?),
            None => None,
        },
        region: form.text("region").map(|r| r.value),
        credentials: credentials?,
        sign: form.text("sign"),
        plain_http: plain,
        span: node.name.span,
    })
}

/// Bucket and prefix of `s3://BUCKET/PREFIX`.
fn address(reader: &mut Reader<'_>, text: &Spanned<String>) -> Option<(String, String)> {
    let wrong = match text.value.strip_prefix("s3://") {
        None if text.value.contains("://") => {
            Err("it begins with `s3://`; the server is said with `endpoint=`".to_owned())
        }
        None => parts(&text.value).and_then(|_| Err(format!("write `\"s3://{}\"`", text.value))),
        Some(rest) => parts(rest),
    };
    wrong
        .map_err(|help| {
            reader.report(
                Diagnostic::new(
                    &codes::REMOTE_ADDRESS,
                    format!("`{}` is no address of a bucket", shown(&text.value)),
                    text.span,
                    "expected `s3://BUCKET/PREFIX`",
                )
                .help(help),
            );
        })
        .ok()
}

fn parts(text: &str) -> Result<(String, String), String> {
    let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    units::bucket(bucket)?;
    units::object_prefix(prefix)?;
    Ok((bucket.to_owned(), prefix.to_owned()))
}

/// The server without `/` at its end.
fn server(reader: &mut Reader<'_>, text: &Spanned<String>, plain: bool) -> Option<Spanned<String>> {
    let value = text.value.strip_suffix('/').unwrap_or(&text.value);
    match units::server(value) {
        Err(help) => {
            reader.report(
                Diagnostic::new(
                    &codes::REMOTE_ADDRESS,
                    format!("`{}` is no address of a server", shown(&text.value)),
                    text.span,
                    "expected `https://HOST` or `https://HOST:PORT`",
                )
                .help(help),
            );
            None
        }
        Ok(server) if server.leaks() && !plain => {
            reader.report(
                Diagnostic::new(
                    &codes::REMOTE_PLAIN_HTTP,
                    "results would go over the network as they are",
                    text.span,
                    "`http` to another machine",
                )
                .help("write `https://`, or add `plain-http=#true` where everybody on the way may read and change them"),
            );
            None
        }
        Ok(_) => Some(Spanned::new(value.to_owned(), text.span)),
    }
}

type Credentials = Option<(Spanned<String>, Spanned<String>)>;

/// Both or none of the two secrets; `None` where something is wrong with them.
fn credentials(reader: &mut Reader<'_>, form: &Form<'_>) -> Option<Credentials> {
    let written = |name: &str| form.node.props.iter().find(|p| p.name.value == name);
    let (one, other) = match (written("access-key"), written("secret-key")) {
        (None, None) => return Some(None),
        (Some(_), Some(_)) => {
            // A name that is not declared has had its finding.
            return Some(Some((form.text("access-key")?, form.text("secret-key")?)));
        }
        (Some(one), None) => (one, "secret-key"),
        (None, Some(one)) => (one, "access-key"),
    };
    let name = &one.name.value;
    let named = form.value(name).and_then(Val::as_text).is_some();
    reader.report(
        Diagnostic::new(
            &codes::REMOTE_CREDENTIALS,
            format!("`{name}=` is half of the credentials"),
            one.name.span,
            format!("`{other}=` is missing"),
        )
        .help(match named {
            true => format!("add `{other}=SECRET`, the name of the secret that has it"),
            false => format!("add `{other}=SECRET`; both name secrets"),
        }),
    );
    None
}

fn shown(text: &str) -> String {
    crate::text::shorten(text, 60)
}
