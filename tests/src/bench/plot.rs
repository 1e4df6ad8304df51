//! The report as a picture: bars for what has a goal, and how the pods of a large job came into being.
//!
//! Written by hand: rectangles and lines need no crate, and none of its fonts.

use std::fmt::Write as _;

use super::Report;
use super::figure::{Figure, Section};

const WIDTH: f64 = 760.0;
/// Where bars and curves begin, and how long they get.
const LEFT: f64 = 300.0;
const LENGTH: f64 = 340.0;
const BAR: f64 = 16.0;
const CURVES: f64 = 180.0;
const COLOURS: [&str; 5] = ["#2563eb", "#d97706", "#059669", "#9333ea", "#64748b"];

/// What is drawn so far.
struct Drawing {
    marks: String,
    y: f64,
}

impl Report {
    /// A picture in SVG.
    pub fn svg(&self) -> String {
        let mut drawing = Drawing { marks: String::new(), y: 24.0 };
        for (number, first) in self.sections.first().into_iter().flatten().enumerate() {
            let same: Vec<_> = self.sections.iter().filter_map(|sections| sections.get(number)).collect();
            drawing.text(16.0, &first.title, "bold");
            drawing.y += 14.0;
            for (number, figure) in first.figures.iter().enumerate().filter(|(_, figure)| figure.goal.is_some()) {
                let bars: Vec<_> = same.iter().filter_map(|section| section.figures.get(number)).collect();
                drawing.bars(figure, &bars, &self.operators);
            }
            if !first.pods.is_empty() {
                drawing.curves(&curves(&same, &self.operators));
            }
            drawing.y += 26.0;
        }
        let height = drawing.y;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{}</svg>\n",
            drawing.marks
        )
    }
}

/// A name and its points.
type Curve<'a> = (String, &'a [(f64, f64)]);

fn curves<'a>(same: &[&'a Section], operators: &[String]) -> Vec<Curve<'a>> {
    let of = |(section, operator): (&&'a Section, &String)| {
        let name =
            |label: &str| if label.is_empty() { operator.clone() } else { format!("{label}, beside {operator}") };
        let named = section.pods.iter().map(|(label, points)| (name(label), points.as_slice()));
        named.collect::<Vec<_>>()
    };
    same.iter().zip(operators).flat_map(of).collect()
}

impl Drawing {
    fn text(&mut self, x: f64, text: &str, weight: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(self.marks, "<text x=\"{x}\" y=\"{}\" font-weight=\"{weight}\">{text}</text>", self.y);
    }

    fn line(&mut self, [x1, y1, x2, y2]: [f64; 4]) {
        let _ = writeln!(self.marks, "<path d=\"M{x1} {y1}L{x2} {y2}\" stroke=\"#475569\" stroke-dasharray=\"4 3\"/>");
    }

    /// One for each operator, and a line where the goal is.
    fn bars(&mut self, figure: &Figure, bars: &[&Figure], operators: &[String]) {
        let limit = figure.goal.map_or(0.0, super::figure::Goal::limit);
        let longest = bars.iter().filter_map(|bar| bar.value).fold(limit, f64::max);
        let scale = if longest > 0.0 { LENGTH / longest } else { 0.0 };
        let top = self.y;
        self.y += BAR - 4.0;
        self.text(32.0, &figure.what, "normal");
        self.y = top;
        for ((bar, operator), colour) in bars.iter().zip(operators).zip(COLOURS.iter().cycle()) {
            let length = (bar.value.unwrap_or_default() * scale).max(1.0);
            let (y, height) = (self.y, BAR - 2.0);
            let _ = writeln!(
                self.marks,
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"{height}\" fill=\"{colour}\"/>"
            );
            self.y += BAR - 4.0;
            self.text(LEFT + length + 6.0, &format!("{} {operator}", bar.text()), "normal");
            self.y = y + BAR;
        }
        self.line([LEFT + limit * scale, top - 2.0, LEFT + limit * scale, self.y]);
        self.y += 6.0;
    }

    /// Pods against seconds.
    fn curves(&mut self, curves: &[Curve]) {
        let points = || curves.iter().flat_map(|(_, points)| points.iter());
        let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(1.0, f64::max);
        let (seconds, pods) = (most(|point| point.0), most(|point| point.1));
        let (left, bottom) = (32.0, self.y + CURVES);
        for ((name, points), colour) in curves.iter().zip(COLOURS.iter().cycle()) {
            self.y += 16.0;
            let _ = writeln!(
                self.marks,
                "<rect x=\"{left}\" y=\"{}\" width=\"10\" height=\"10\" fill=\"{colour}\"/>",
                self.y - 10.0
            );
            self.text(left + 16.0, name, "normal");
            let at = |(x, y): &(f64, f64)| {
                format!("{:.1},{:.1} ", LEFT + x / seconds * LENGTH, bottom - y / pods * (CURVES - 10.0))
            };
            let path: String = points.iter().map(at).collect();
            let _ = writeln!(
                self.marks,
                "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
            );
        }
        self.line([LEFT, bottom, LEFT + LENGTH, bottom]);
        self.y = bottom + 16.0;
        self.text(
            LEFT,
            &format!("{pods:.0} pods, in the {seconds:.1} seconds after the first was asked for"),
            "normal",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::figure::Unit;
    use super::*;

    #[test]
    fn a_plot_has_a_bar_for_each_operator_and_a_curve_for_each_client() {
        let section = |requests| Section {
            title: "jobs & <more>".to_owned(),
            figures: vec![
                Figure::new("requests a job", requests, Unit::Number).at_most(21.0),
                Figure::new("no goal, no bar", 1.0, Unit::Number),
            ],
            pods: vec![(String::new(), vec![(0.0, 1.0), (2.0, 2.0)]), ("plain client".to_owned(), vec![(1.0, 1.0)])],
            ..Section::default()
        };
        let report = Report {
            operators: vec!["trainyard".to_owned(), "other".to_owned()],
            sections: vec![vec![section(20.0)], vec![section(42.0)]],
        };
        let svg = report.svg();
        for (mark, count) in [("<polyline", 4), ("height=\"14\" fill", 2), ("jobs &amp; &lt;more>", 1), ("no goal", 0)]
        {
            assert_eq!(svg.matches(mark).count(), count, "{mark} in {svg}");
        }
        assert!(svg.contains("width=\"340.0\"") && svg.contains("plain client, beside other"), "{svg}");
    }
}
