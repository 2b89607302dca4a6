//! Posted forms: `application/x-www-form-urlencoded`, a few fields.

/// The largest form that the gateway reads, in bytes.
pub const LARGEST: usize = 16 * 1024;

/// A field that was sent exactly once.
pub(super) fn field(body: &[u8], name: &str) -> Option<String> {
    let mut values = fields(body, name);
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

/// Every value of a field.
pub(super) fn fields(body: &[u8], name: &str) -> impl Iterator<Item = String> {
    url::form_urlencoded::parse(body)
        .filter(move |(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}
