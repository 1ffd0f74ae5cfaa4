//! The patterns to try for dates: each date with each time of day and each offset, and months.

/// Dates with a day. A month name is the first three letters of the English name.
pub(super) const DATES: [&str; 35] = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y %m %d",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d.%m.%Y",
    "%y/%m/%d",
    "%y-%m-%d",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d.%m.%y",
    "%d-%m-%y",
    "%m-%d-%y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d %b %Y",
    "%d. %b %Y",
    "%d.%b.%Y",
    "%b %d, %Y",
    "%b %d %Y",
    "%b-%d-%Y",
    "%d%b%Y",
    "%Y-%b-%d",
    "%Y%m%d",
    "%G-W%V-%u",
    "%Y-%j",
    "%a, %d %b %Y",
    "%a %d %b %Y",
    "%a %d/%m/%Y",
    "%a %m/%d/%Y",
    "%A %d/%m/%Y",
    "%A, %b %d, %Y",
];

/// Months and weeks; each stands for its first day.
pub(super) const MONTHS: [&str; 20] = [
    "%G-W%V", "%GW%V", "%G W%V", "%Y:%m", "%Y.%m", "%Y-%m", "%Y/%m", "%Y %m", "%b %Y", "%b-%Y",
    "%b/%Y", "%b/%y", "%b-%y", "%b %y", "%m/%Y", "%m-%Y", "%YM%m", "%Y-%b", "%Y %b", "%Y%m",
];

/// Times of day after a date. The empty one is midnight.
pub(super) const TIMES: [&str; 22] = [
    "",
    " %H:%M",
    " %H:%M:%S%.f",
    "T%H:%M",
    "T%H:%M:%S%.f",
    " %H.%M",
    " %H.%M.%S",
    " %I:%M %p",
    " %I:%M:%S %p",
    " %I:%M%p",
    " %I:%M:%S%p",
    " %I %p",
    " %H",
    " %Hh",
    " %Hh%M",
    "T%H",
    ", %H:%M",
    ":%H:%M:%S",
    ":%H:%M",
    "-%H:%M",
    "-%H:%M:%S",
    "-%H",
];

/// Offsets from UTC after a time.
pub(super) const OFFSETS: [&str; 7] = ["", "Z", "%z", "%:z", " %z", " %:z", " UTC"];
