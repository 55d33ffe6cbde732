//! Whether a number is what it looks like: check digits and shapes.

/// Luhn's check digit, and a first digit that payment cards have (2 to 6).
pub(super) fn is_card(digits: &str) -> bool {
    let mut sum = 0;
    for (place, byte) in digits.bytes().rev().enumerate() {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        let doubled = digit * 2;
        sum += if place % 2 == 0 { digit } else { doubled / 10 + doubled % 10 };
    }
    let is_varied = digits.bytes().any(|byte| Some(byte) != digits.bytes().next());
    sum % 10 == 0 && is_varied && digits.starts_with(['2', '3', '4', '5', '6'])
}

/// ISO 13616: two letters, two digits, up to 30 more; the rest modulo 97 is 1.
pub(super) fn is_iban(characters: &str) -> bool {
    let bytes = characters.as_bytes();
    if !(15..=34).contains(&bytes.len())
        || !bytes[..2].iter().all(u8::is_ascii_uppercase)
        || !bytes[2..4].iter().all(u8::is_ascii_digit)
        || !bytes.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    {
        return false;
    }
    let (front, rest) = bytes.split_at(4);
    let rest = rest.iter().chain(front).fold(0_u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    rest == 1
}

/// Whether it is written as a date: `2026-11-26`, `26.11.2026`, `26/11/26`.
pub(super) fn is_date(written: &str) -> bool {
    let parts: Vec<&str> = written.split(['-', '.', '/']).collect();
    let numbers: Option<Vec<u32>> = parts.iter().map(|part| part.trim().parse().ok()).collect();
    let Some([a, b, c]) = numbers.as_deref() else { return false };
    let (day, month) = if parts[0].trim().len() == 4 { (*c, *b) } else { (*a, *b) };
    let is_day = |day| (1..=31).contains(&day);
    let has_year = parts[0].trim().len() == 4 || parts[2].trim().len() == 4;
    has_year && is_day(day) && is_day(month) && (month <= 12 || day <= 12)
}

/// Whether it is written as in North America: `(212) 555-0123`, `212-555-0123`.
pub(super) fn is_north_american(written: &str) -> bool {
    let groups: Vec<usize> = written
        .split(|c: char| !c.is_ascii_digit())
        .filter(|group| !group.is_empty())
        .map(str::len)
        .collect();
    groups == [3, 3, 4] || groups == [1, 3, 3, 4]
}
