//! Amounts: durations and sizes.

use std::time::Duration;

use super::super::report::Fault;
use super::{BodyLimit, LONGEST, Scalar, Size, Span, not};

impl Scalar for Span {
    const WHAT: &'static str = "a duration such as `30s`, `5m`, `24h` or `7d`";

    fn parse(text: &str) -> Result<Self, Fault> {
        let bad = || not(text, "a duration");
        let units = "write whole seconds, minutes, hours or days: `30s`, `5m`, `24h`, `7d`";
        let (number, unit) = amount(text).ok_or_else(|| bad().note(units))?;
        let seconds: u64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            "" => return Err(bad().suggest(Some(&format!("{number}s")))),
            _ => return Err(bad().note(units)),
        };
        let span = Duration::from_secs(number.saturating_mul(seconds));
        if span > LONGEST {
            let fault = Fault::new(format!("`{text}` is longer than 400 days"));
            return Err(fault.note("browsers keep no cookie longer than that (RFC 6265bis)"));
        }
        Ok(Self(span))
    }
}

impl Scalar for Size {
    const WHAT: &'static str = "a size such as `512`, `32KiB` or `100MiB`";

    fn parse(text: &str) -> Result<Self, Fault> {
        let bad = || not(text, "a size");
        let units = "write bytes, or a unit: `512`, `32KiB`, `100MiB`, `1GiB`, or `KB`, `MB`, `GB`";
        let (number, unit) = amount(text).ok_or_else(|| bad().note(units))?;
        let known = UNITS.iter().find(|(name, _)| *name == unit);
        let Some(&(_, factor)) = known else {
            let folded = unit.to_ascii_uppercase();
            let meant = UNITS.iter().find(|(name, _)| {
                let name = name.to_ascii_uppercase();
                name == folded || (name.ends_with("IB") && name.starts_with(&folded))
            });
            let meant = meant.map(|(name, _)| format!("{number}{name}"));
            return Err(bad().suggest(meant.as_deref()).note(units));
        };
        number.checked_mul(factor).map(Self).ok_or_else(|| bad().help("this is too large"))
    }
}

/// Units of sizes, and what they are worth.
const UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

impl Scalar for BodyLimit {
    const WHAT: &'static str = "a size such as `100MiB`, or `none`";

    fn parse(text: &str) -> Result<Self, Fault> {
        if text == "none" {
            return Ok(Self(u64::MAX));
        }
        Size::parse(text).map(|size| Self(size.0)).map_err(|fault| {
            let unbounded = matches!(text, "unlimited" | "off" | "-1" | "None");
            if unbounded { fault.suggest(Some("none")) } else { fault }
        })
    }
}

/// `30s` is 30 and `s`.
fn amount(text: &str) -> Option<(u64, &str)> {
    let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..unit].parse().ok()?, &text[unit..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_seconds_and_up() {
        for (text, seconds) in
            [("0s", 0), ("30s", 30), ("5m", 300), ("24h", 86_400), ("7d", 604_800)]
        {
            assert_eq!(Span::parse(text).map(|span| span.0.as_secs()), Ok(seconds), "{text}");
        }
        for bad in
            ["", "s", "30", "500ms", "1.5h", "-1s", "1h30m", "7 d", "401d", "99999999999999999999d"]
        {
            assert!(Span::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_binary_and_decimal_units() {
        for (text, bytes) in
            [("512", 512), ("32KiB", 32_768), ("1MB", 1_000_000), ("1GiB", 1 << 30)]
        {
            assert_eq!(Size::parse(text).map(|size| size.0), Ok(bytes), "{text}");
        }
        for (bad, meant) in [("32k", "32KiB"), ("1mib", "1MiB"), ("5gb", "5GB"), ("2M", "2MiB")] {
            let help = Size::parse(bad).map(|size| size.0).unwrap_err().help;
            assert_eq!(help, Some(format!("did you mean `{meant}`?")));
        }
        assert!(Size::parse("99999999999GiB").is_err());
        assert_eq!(BodyLimit::parse("none").map(|limit| limit.0), Ok(u64::MAX));
    }
}
