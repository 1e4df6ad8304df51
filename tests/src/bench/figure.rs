//! Figures: each with its unit and, where there is one, its goal.

use std::collections::BTreeMap;

use crate::control_plane::Request;

/// One number of the table; None where an operator does not tell.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    pub(super) what: String,
    pub(super) value: Option<f64>,
    pub(super) unit: Unit,
    pub(super) goal: Option<Goal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Number,
    Milliseconds,
    Seconds,
    Mebibytes,
    PerSecond,
    Percent,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

/// What belongs together: one measurement of one operator.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Section {
    pub(super) title: String,
    pub(super) figures: Vec<Figure>,
    /// Requests for each job: verb, resource and the HTTP status of the answer.
    pub(super) requests: BTreeMap<(String, String, u64), f64>,
    /// For the plot: how many pods there were, so many seconds after the first was asked for.
    pub(super) pods: Vec<(String, Vec<(f64, f64)>)>,
}

impl Figure {
    pub(super) fn new(what: impl Into<String>, value: impl Into<Option<f64>>, unit: Unit) -> Self {
        Self { what: what.into(), value: value.into(), unit, goal: None }
    }

    pub(super) fn at_most(self, limit: f64) -> Self {
        Self { goal: Some(Goal::AtMost(limit)), ..self }
    }

    pub(super) fn at_least(self, limit: f64) -> Self {
        Self { goal: Some(Goal::AtLeast(limit)), ..self }
    }

    /// As the table shows it.
    pub(super) fn text(&self) -> String {
        self.value.map_or_else(|| "–".to_owned(), |value| self.unit.of(value))
    }

    /// Whether it is what it should be; None where that is not known.
    pub(super) fn is_met(&self) -> Option<bool> {
        match (self.goal?, self.value?) {
            (Goal::AtMost(limit), value) => Some(value <= limit),
            (Goal::AtLeast(limit), value) => Some(value >= limit),
        }
    }
}

impl Unit {
    pub(super) fn of(self, value: f64) -> String {
        let digits = usize::from(value.fract() != 0.0 && value < 1000.0);
        match self {
            Self::Number => format!("{value:.digits$}"),
            Self::Milliseconds => format!("{value:.1} ms"),
            Self::Seconds => format!("{value:.1} s"),
            Self::Mebibytes => format!("{value:.1} MiB"),
            Self::PerSecond => format!("{value:.0} /s"),
            Self::Percent => format!("{value:.0} %"),
        }
    }
}

impl Goal {
    pub(super) fn limit(self) -> f64 {
        match self {
            Self::AtMost(limit) | Self::AtLeast(limit) => limit,
        }
    }

    /// In words.
    pub(super) fn text(self, unit: Unit) -> String {
        let words = match self {
            Self::AtMost(_) => "at most",
            Self::AtLeast(_) => "at least",
        };
        format!("{words} {}", unit.of(self.limit()))
    }
}

/// How often each was asked for each of so many jobs.
pub(super) fn by_kind(requests: &[Request], jobs: f64) -> BTreeMap<(String, String, u64), f64> {
    let mut sums = BTreeMap::new();
    for request in requests {
        *sums.entry((request.verb.clone(), request.resource.clone(), request.code)).or_insert(0.0) += 1.0 / jobs;
    }
    sums
}

/// Of those for whom this is so.
pub(super) fn count<T>(all: &[T], is: impl Fn(&T) -> bool) -> f64 {
    number(all.iter().filter(|each| is(each)).count())
}

/// Nothing here is counted beyond four billion.
pub(super) fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Of the same sections of all rounds those with the medians, and of rates that of all rounds together; what is no single
/// number is the last round's.
pub(super) fn medians(mut rounds: Vec<Vec<Section>>) -> Vec<Section> {
    let Some(mut last) = rounds.pop() else { return Vec::new() };
    for (section, number) in last.iter_mut().zip(0..) {
        for (figure, place) in section.figures.iter_mut().zip(0..) {
            let others =
                rounds.iter().filter_map(|round| round.get::<usize>(number)?.figures.get::<usize>(place)?.value);
            let values = others.chain(figure.value).collect();
            figure.value = match figure.unit {
                Unit::PerSecond => rate(values),
                Unit::Number | Unit::Milliseconds | Unit::Seconds | Unit::Mebibytes | Unit::Percent => median(values),
            };
        }
    }
    last
}

/// The lower of the two in the middle where there are two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

/// As much each time, and all the time that it took.
fn rate(rates: Vec<f64>) -> Option<f64> {
    let count = number(rates.len());
    let time: f64 = rates.into_iter().map(f64::recip).sum();
    (count > 0.0).then(|| count / time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_met_or_not_or_unknown() {
        for (figure, expected) in [
            (Figure::new("x", 21.0, Unit::Number).at_most(21.0), Some(true)),
            (Figure::new("x", 21.1, Unit::Number).at_most(21.0), Some(false)),
            (Figure::new("x", 80.0, Unit::Percent).at_least(80.0), Some(true)),
            (Figure::new("x", 79.9, Unit::Percent).at_least(80.0), Some(false)),
            (Figure::new("x", None, Unit::Number).at_most(0.0), None),
            (Figure::new("x", 1.0, Unit::Number), None),
        ] {
            assert_eq!(figure.is_met(), expected, "{figure:?}");
        }
    }

    #[test]
    fn rounds_become_their_median() {
        let round =
            |value| vec![Section { figures: vec![Figure::new("x", value, Unit::Number)], ..Section::default() }];
        for (rounds, expected) in [
            (vec![Some(3.0)], Some(3.0)),
            (vec![Some(9.0), Some(1.0), Some(2.0)], Some(2.0)),
            (vec![Some(9.0), Some(1.0)], Some(1.0)),
            (vec![None, None], None),
        ] {
            let found = medians(rounds.iter().map(|value| round(*value)).collect());
            assert_eq!(found, round(expected), "{rounds:?}");
        }
        assert_eq!((rate(vec![100.0, 300.0]), rate(vec![])), (Some(150.0), None), "200 in 1.33 seconds");
    }
}
