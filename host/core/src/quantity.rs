//! Amounts of resources as Kubernetes writes them (`500m`, `1.5Gi`): read, added up, and written in its canonical form.
//!
//! <https://github.com/kubernetes/apimachinery/blob/v0.34.4/pkg/api/resource/quantity.go>

use std::fmt;

use serde_json::Value;

/// An amount, to a billionth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quantity {
    nano: i128,
    form: Form,
}

/// How the amount was written, and so how it is written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `5k`
    Decimal,
    /// `5Ki`
    Binary,
    /// `5e3`
    Exponent,
}

/// What follows a number, by the exponent of ten: of 1000, then of 1024.
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

const NANO: i128 = 1_000_000_000;
/// More is as much.
const MOST: i128 = i64::MAX as i128 * NANO;
/// Digits after the point that are looked at.
const DIGITS: usize = 9;

/// Whole bytes, rounded up, of an amount that somebody wrote: `64Mi`, or a number. None where it is no amount, or less than 0.
pub fn bytes(written: &Value) -> Option<u64> {
    let nano = Quantity::of(written).filter(|amount| amount.nano >= 0)?.nano;
    u64::try_from((nano + NANO - 1) / NANO).ok()
}

impl Quantity {
    /// Reads a text or a number; None where it is no quantity.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::parse(&number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (sign, text) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let (number, suffix) =
            text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let (form, factor, exponent) = unit(suffix)?;
        let (fraction, beyond) = fraction.split_at(fraction.len().min(DIGITS));
        let digits = format!("0{whole}{fraction}").parse::<i128>().ok();
        let rounded = digits.map(|digits| digits.saturating_add(beyond.bytes().any(|digit| digit != b'0').into()));
        let exponent = exponent.saturating_add(i32::try_from(DIGITS - fraction.len()).unwrap_or(0));
        let nano = rounded.and_then(|digits| scaled(digits, factor, exponent)).map_or(MOST, |nano| nano.min(MOST));
        Some(Self { nano: sign * nano, form })
    }

    /// Both together, written as the first is unless that is zero.
    pub(crate) fn plus(self, other: Self) -> Self {
        let form = if self.nano == 0 { other.form } else { self.form };
        Self { nano: self.nano.saturating_add(other.nano), form }
    }

    /// Whether it is not more than that.
    pub(crate) fn is_at_most(self, most: Self) -> bool {
        self.nano <= most.nano
    }

    /// So many times as much.
    pub(crate) fn times(self, count: u32) -> Self {
        Self { nano: self.nano.saturating_mul(count.into()), ..self }
    }
}

/// `digits * factor * 10^exponent`, rounded up; None where it is too much.
fn scaled(digits: i128, factor: i128, exponent: i32) -> Option<i128> {
    let power = 10_i128.checked_pow(exponent.unsigned_abs());
    if exponent < 0 {
        // What is less than any fraction is the smallest there is.
        return power.map_or(Some(digits.signum()), |power| {
            Some(digits.saturating_mul(factor).saturating_add(power - 1) / power)
        });
    }
    if digits == 0 { Some(0) } else { digits.checked_mul(factor)?.checked_mul(power?) }
}

/// The form, factor and exponent of ten that a suffix stands for.
fn unit(suffix: &str) -> Option<(Form, i128, i32)> {
    if let Some((_, exponent)) = DECIMAL.iter().find(|(known, _)| *known == suffix) {
        return Some((Form::Decimal, 1, *exponent));
    }
    if let Some(power) = BINARY.iter().position(|known| *known == suffix) {
        return Some((Form::Binary, 1024_i128.pow(u32::try_from(power).ok()?), 0));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    Some((Form::Exponent, 1, exponent))
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_binary = self.form == Form::Binary && self.nano % NANO == 0 && self.nano.abs() >= 1024 * NANO;
        if in_binary {
            let (number, power) = without(self.nano / NANO, 1024, BINARY.len() - 1);
            return write!(f, "{number}{}", BINARY.get(power).unwrap_or(&""));
        }
        let (number, power) = without(self.nano, 1000, DECIMAL.len() - 1);
        // Zero has no factors to count.
        let (suffix, exponent) = DECIMAL.get(power).filter(|_| number != 0).unwrap_or(&("", 0));
        match self.form {
            Form::Exponent if *exponent != 0 => write!(f, "{number}e{exponent}"),
            Form::Decimal | Form::Binary | Form::Exponent => write!(f, "{number}{suffix}"),
        }
    }
}

/// The number without that factor, taken out at most so often, and how often it was.
fn without(mut number: i128, factor: i128, most: usize) -> (i128, usize) {
    let mut power = 0;
    while power < most && number % factor == 0 {
        number /= factor;
        power += 1;
    }
    (number, power)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_written_as_kubernetes_writes_them() {
        for (written, expected) in [
            (json!("1"), "1"),
            (json!(2), "2"),
            (json!(0.5), "500m"),
            (json!("1.5"), "1500m"),
            (json!(".5"), "500m"),
            (json!("+1."), "1"),
            (json!("-1500m"), "-1500m"),
            (json!("1000m"), "1"),
            (json!("1000"), "1k"),
            (json!("12000000"), "12M"),
            (json!("1Gi"), "1Gi"),
            (json!("1024Mi"), "1Gi"),
            (json!("1.5Gi"), "1536Mi"),
            (json!("0.1Gi"), "107374182400m"),
            (json!("0.5Ki"), "512"),
            (json!("1e3"), "1e3"),
            (json!("1E-3"), "1e-3"),
            (json!("10e2"), "1e3"),
            (json!("1E"), "1E"),
            (json!("0"), "0"),
            (json!("0Gi"), "0"),
            (json!("1n"), "1n"),
            (json!("0.1n"), "1n"),
            (json!("1.0000000001"), "1000000001n"),
            (json!("1e-400"), "1e-9"),
            (json!("1e400"), "9223372036854775807"),
            (json!("1e2147483647"), "9223372036854775807"),
            (json!("1e-2147483648"), "1e-9"),
            (json!("170141183460469231731687303715.884105727e-40"), "1e-9"),
            (json!("9999999999999999999999999999999999999999999"), "9223372036854775807"),
        ] {
            assert_eq!(Quantity::of(&written).map(|amount| amount.to_string()).as_deref(), Some(expected), "{written}");
        }
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for written in [
            json!(""),
            json!("."),
            json!("1.2.3"),
            json!("1 Gi"),
            json!("1ki"),
            json!("1e"),
            json!("e3"),
            json!("much"),
            json!(null),
            json!([1]),
        ] {
            assert_eq!(Quantity::of(&written), None, "{written}");
        }
    }

    #[test]
    fn bytes_are_whole() {
        for (written, expected) in [
            (json!("64Mi"), Some(64 << 20)),
            (json!(1024), Some(1024)),
            (json!("0"), Some(0)),
            (json!("0.5"), Some(1)),
            (json!("1500m"), Some(2)),
            (json!("9Ei"), Some(i64::MAX as u64)),
            (json!("-1"), None),
            (json!("-1n"), None),
            (json!("64 MB"), None),
            (json!(null), None),
        ] {
            assert_eq!(bytes(&written), expected, "{written}");
        }
    }

    #[test]
    fn sums_are_written_as_their_first_part() {
        let amount = |text: &str| Quantity::of(&text.into()).unwrap();
        for (one, other, expected) in [
            ("1Gi", "1Gi", "2Gi"),
            ("1Gi", "1", "1073741825"),
            ("1G", "1Gi", "2073741824"),
            ("0", "1Gi", "1Gi"),
            ("500m", "500m", "1"),
            ("1e3", "1k", "2e3"),
        ] {
            assert_eq!(amount(one).plus(amount(other)).to_string(), expected, "{one} + {other}");
        }
        assert_eq!(amount("250m").times(3).to_string(), "750m");
    }
}
