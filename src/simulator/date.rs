//! The `Date` of every answer, by the simulator's own clock.

use http::{HeaderValue, header};

use super::{github::Shared, record::lock, web::Reply};

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Says when an answer was made, unless it says so already.
pub(super) fn stamp(shared: &Shared, reply: &mut Reply) {
    let date = {
        let world = lock(&shared.world);
        world.unix()
    };
    let date = written(date);
    let date = HeaderValue::from_str(&date).expect("a date is plain text");
    reply.headers_mut().entry(header::DATE).or_insert(date);
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn written(seconds: u64) -> String {
    let iso = super::calendar::written(seconds);
    let month = iso[5..7].parse::<usize>().expect("a month is a number");
    let weekday = usize::try_from(seconds / 86_400 % 7).expect("there are seven");
    format!(
        "{}, {} {} {} {} GMT",
        DAYS[weekday],
        &iso[8..10],
        MONTHS[month - 1],
        &iso[..4],
        &iso[11..19]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_http_does() {
        assert_eq!(written(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(written(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(written(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
