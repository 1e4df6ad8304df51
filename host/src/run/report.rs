//! What became of the replicas: the table at the end.

use std::time::Duration;

/// One replica, over all its starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Its place in the job.
    pub(super) number: usize,
    /// `worker-0`
    pub(super) name: String,
    pub(super) starts: u32,
    /// The last one.
    pub(super) exit: Option<i32>,
    /// All the time its processes ran.
    pub(super) ran: Duration,
    /// In a row.
    pub(super) failures: u32,
}

/// Replica, exit code, restarts, seconds.
pub(super) fn table<'a>(tallies: impl IntoIterator<Item = &'a Tally>) -> Vec<String> {
    let mut tallies: Vec<_> = tallies.into_iter().collect();
    tallies.sort_by_key(|tally| tally.number);
    let mut rows = vec![["REPLICA", "EXIT CODE", "RESTARTS", "SECONDS"].map(str::to_owned)];
    rows.extend(tallies.iter().map(|tally| {
        let exit = tally.exit.map_or_else(|| "-".to_owned(), |code| code.to_string());
        let seconds = format!("{:.1}", tally.ran.as_secs_f64());
        [tally.name.clone(), exit, tally.starts.saturating_sub(1).to_string(), seconds]
    }));
    let widths: [usize; 4] =
        std::array::from_fn(|column| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0));
    let line = |row: &[String; 4]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_order_of_the_job() {
        let tally = |number, name: &str, starts, exit, seconds| Tally {
            number,
            name: name.into(),
            starts,
            exit,
            ran: Duration::from_secs_f64(seconds),
            failures: 0,
        };
        let tallies = [
            tally(1, "worker-0", 3, Some(137), 61.04),
            tally(0, "master-0", 1, Some(0), 2.0),
            tally(2, "worker-1", 0, None, 0.0),
        ];
        let expected = [
            "REPLICA   EXIT CODE  RESTARTS  SECONDS",
            "master-0  0          0         2.0",
            "worker-0  137        2         61.0",
            "worker-1  -          0         0.0",
        ];
        assert_eq!(table(&tallies), expected);
    }
}
