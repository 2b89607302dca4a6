//! Posted forms: `application/x-www-form-urlencoded`, a few fields.

/// The largest form that the gateway reads, in bytes.
pub const LARGEST: usize = 16 * 1024;

/// A field that was sent exactly once.
pub(super) fn field(body: &[u8], name: &str) -> Option<String> {
    let mut values = url::form_urlencoded::parse(body).filter(|(key, _)| key == name);
    let first = values.next()?;
    values.next().is_none().then(|| first.1.into_owned())
}
