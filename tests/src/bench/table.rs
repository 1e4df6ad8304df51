//! The report as Markdown: tables that read well in a terminal, too.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Report;
use super::figure::{Figure, Goal, Section, Unit};

impl Report {
    /// A table for each thing that was measured, the requests of each, and the goals.
    pub fn markdown(&self) -> String {
        let mut text = "# Bench\n".to_owned();
        let mut goals = Vec::new();
        for (number, first) in self.sections.first().into_iter().flatten().enumerate() {
            let same: Vec<_> = self.sections.iter().filter_map(|sections| sections.get(number)).collect();
            heading(&mut text, &first.title);
            text.push_str(&self.table("", &figures(&same)));
            heading(&mut text, "Its requests: verb, resource, answer; for each job");
            text.push_str(&self.table("", &requests(&same)));
            goals.extend(met(&same));
        }
        heading(&mut text, "Goals");
        text.push_str(&self.table("goal", &goals));
        text
    }

    /// A column for each operator.
    fn table(&self, corner: &str, rows: &[Vec<String>]) -> String {
        let head: Vec<String> = [corner.to_owned()].into_iter().chain(self.operators.iter().cloned()).collect();
        let all = || [&head].into_iter().chain(rows);
        let width = |column: usize| {
            all().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default().max(4)
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
                0 => format!("| {cell:width$} "),
                _ => format!("| {cell:>width$} "),
            });
            cells.collect::<String>() + "|\n"
        };
        let rule = widths.iter().enumerate().map(|(column, width)| match column {
            0 => format!("| {} ", "-".repeat(*width)),
            _ => format!("| {}: ", "-".repeat(width - 1)),
        });
        line(&head) + &rule.collect::<String>() + "|\n" + &rows.iter().map(line).collect::<String>()
    }
}

fn heading(text: &mut String, title: &str) {
    let _ = write!(text, "\n## {title}\n\n");
}

fn figures(same: &[&Section]) -> Vec<Vec<String>> {
    let Some(first) = same.first() else { return Vec::new() };
    let row = |(number, what): (usize, &String)| {
        let values = same.iter().filter_map(|section| section.figures.get(number)).map(Figure::text);
        [what.clone()].into_iter().chain(values).collect()
    };
    first.figures.iter().map(|figure| &figure.what).enumerate().map(row).collect()
}

/// All that any of them asked, the most frequent first.
fn requests(same: &[&Section]) -> Vec<Vec<String>> {
    let all: BTreeSet<_> = same.iter().flat_map(|section| section.requests.keys()).collect();
    let often = |section: &Section, key| section.requests.get(key).copied().unwrap_or_default();
    let mut all: Vec<_> =
        all.into_iter().map(|key| (key, same.iter().map(|section| often(section, key)).collect::<Vec<_>>())).collect();
    all.sort_by(|(_, one), (_, other)| other.iter().sum::<f64>().total_cmp(&one.iter().sum()));
    let row = |((verb, resource, code), values): (&(String, String, u64), Vec<f64>)| {
        let values = values.into_iter().map(|value| match Unit::Number.of(value) {
            small if small == "0.0" => format!("{value:.3}"),
            shown => shown,
        });
        [format!("{verb} {resource} {code}")].into_iter().chain(values).collect()
    };
    all.into_iter().map(row).collect()
}

fn met(same: &[&Section]) -> Vec<Vec<String>> {
    let Some(first) = same.first() else { return Vec::new() };
    let with_goal =
        first.figures.iter().enumerate().filter_map(|(number, figure)| Some((number, figure, figure.goal?)));
    let row = |(number, figure, goal): (usize, &Figure, Goal)| {
        let verdicts =
            same.iter().filter_map(|section| section.figures.get(number)).map(|figure| match figure.is_met() {
                Some(true) => format!("met: {}", figure.text()),
                Some(false) => format!("NOT MET: {}", figure.text()),
                None => "–".to_owned(),
            });
        [format!("{}, {}: {}", first.title, figure.what, goal.text(figure.unit))].into_iter().chain(verdicts).collect()
    };
    with_goal.map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_well() {
        let section = |requests: f64, cpu| Section {
            title: "200 jobs".to_owned(),
            figures: vec![
                Figure::new("requests a job", requests, Unit::Number).at_most(21.0),
                Figure::new("CPU a job", cpu, Unit::Milliseconds),
            ],
            requests: [(("create".to_owned(), "pods".to_owned(), 201), requests)].into(),
            pods: Vec::new(),
        };
        let report = Report {
            operators: vec!["trainyard".to_owned(), "other".to_owned()],
            sections: vec![vec![section(20.0, Some(12.34))], vec![section(22.5, None)]],
        };
        let expected = "\
# Bench

## 200 jobs

|                | trainyard | other |
| -------------- | --------: | ----: |
| requests a job |        20 |  22.5 |
| CPU a job      |   12.3 ms |     – |

## Its requests: verb, resource, answer; for each job

|                 | trainyard | other |
| --------------- | --------: | ----: |
| create pods 201 |        20 |  22.5 |

## Goals

| goal                                 | trainyard |         other |
| ------------------------------------ | --------: | ------------: |
| 200 jobs, requests a job: at most 21 |   met: 20 | NOT MET: 22.5 |
";
        assert_eq!(report.markdown(), expected);
    }
}
