//! A small drawing library: plots with two axes, as SVG with classes instead of colours.
//!
//! Always true: the text is well-formed XML, and every mark has a `<title>` with its number. Deliberately absent:
//! scripts, fonts, anything fetched. Benchmarks draw with it too.

use std::fmt::Write;

/// Sizes in units of the drawing, which is scaled to the page.
pub(super) const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 42.0;
/// Space for one label on an axis, in the same units.
const TICK_WIDTH: f64 = 90.0;
const TICK_HEIGHT: f64 = 42.0;
/// The least visible height of a bar, however small its value.
const BAR_HEIGHT_MIN: f64 = 1.5;

/// One direction of a plot.
#[derive(Debug, Clone)]
pub struct Axis {
    /// The quantity and its unit.
    pub label: &'static str,
    /// The first value.
    pub from: f64,
    /// The last value.
    pub to: f64,
}

/// A plot in the making.
#[derive(Debug)]
pub struct Plot {
    x: Axis,
    y: Axis,
    y_step: f64,
    marks: String,
}

impl Plot {
    /// Starts a plot. The second axis is extended to its next tick.
    pub fn new(x: Axis, y: Axis) -> Self {
        let y = Axis { to: if y.to > y.from { y.to } else { y.from + 1.0 }, ..y };
        let x = Axis { to: if x.to > x.from { x.to } else { x.from + 1.0 }, ..x };
        let y_step = tick_step(y.to - y.from, (HEIGHT - TOP - BOTTOM) / TICK_HEIGHT);
        let to = y.from + ((y.to - y.from) / y_step - 1e-9).ceil() * y_step;
        Self { x, y: Axis { to, ..y }, y_step, marks: String::new() }
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let (x_part, y_part) =
            ((x - self.x.from) / (self.x.to - self.x.from), (y - self.y.from) / (self.y.to - self.y.from));
        (
            LEFT + x_part.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - y_part.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM),
        )
    }

    /// Draws a bar between two values of the first axis, up to a value of the second.
    pub(super) fn bar(&mut self, from: f64, to: f64, value: f64, title: &str) {
        if value <= 0.0 {
            return;
        }
        let ((left, top), (right, bottom)) = (self.at(from, value), self.at(to, self.y.from));
        let gap = if right - left > 6.0 { 1.0 } else { 0.0 };
        let height = (bottom - top).max(BAR_HEIGHT_MIN);
        self.add(format_args!(
            "<rect class=\"bar\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{}</title></rect>",
            left + gap,
            bottom - height,
            (right - left - 2.0 * gap).max(1.0),
            escape(title)
        ));
    }

    /// Draws a dot.
    pub fn dot(&mut self, x: f64, y: f64, title: &str) {
        self.circle("dot", 2.5, (x, y), title);
    }

    /// Draws a dot of the data for comparison.
    pub fn other_dot(&mut self, x: f64, y: f64, title: &str) {
        self.circle("dot other", 2.5, (x, y), title);
    }

    /// Draws a line through points.
    pub fn line(&mut self, points: &[(f64, f64)]) {
        self.polyline("line", points);
    }

    /// Draws a line of the data for comparison.
    pub fn other_line(&mut self, points: &[(f64, f64)]) {
        self.polyline("line other", points);
    }

    /// Draws a dot that is one of few.
    pub(super) fn point(&mut self, x: f64, y: f64, title: &str) {
        self.circle("point", 5.0, (x, y), title);
    }

    fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        let points: Vec<String> =
            points.iter().map(|(x, y)| self.at(*x, *y)).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.add(format_args!("<polyline class=\"{class}\" points=\"{}\" />", points.join(" ")));
    }

    fn circle(&mut self, class: &str, radius: f64, (x, y): (f64, f64), title: &str) {
        let (x, y) = self.at(x, y);
        self.add(format_args!(
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"><title>{}</title></circle>",
            escape(title)
        ));
    }

    /// Draws a level for comparison on the second axis.
    pub(super) fn level(&mut self, value: f64, label: &str) {
        let (left, y) = self.at(self.x.from, value);
        let (right, _) = self.at(self.x.to, value);
        self.add(format_args!(
            "<line class=\"level\" x1=\"{left:.1}\" y1=\"{y:.1}\" x2=\"{right:.1}\" y2=\"{y:.1}\" />"
        ));
        self.add(format_args!(
            "<text class=\"note\" x=\"{right:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            y - 4.0,
            escape(label)
        ));
    }

    /// Marks a value of the first axis. Labels are in `row`s, so that near ones can be read.
    pub(super) fn mark(&mut self, value: f64, label: &str, row: usize) {
        let (x, bottom) = self.at(value, self.y.from);
        let (_, top) = self.at(value, self.y.to);
        let is_right = x > WIDTH * 0.75;
        let (text_x, anchor) = if is_right { (x - 4.0, "end") } else { (x + 4.0, "start") };
        let y = top + 4.0 + 14.0 * row as f64;
        self.add(format_args!(
            "<line class=\"level\" x1=\"{x:.1}\" y1=\"{bottom:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\" />",
            y - 8.0
        ));
        self.add(format_args!(
            "<text class=\"note\" x=\"{text_x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            escape(label)
        ));
    }

    /// Writes a line above the drawing, at its right end.
    pub fn caption(&mut self, text: &str) {
        let x = WIDTH - RIGHT;
        let text = escape(text);
        self.add(format_args!("<text class=\"axis\" x=\"{x:.1}\" y=\"12\" text-anchor=\"end\">{text}</text>"));
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.marks, "  {element}").expect("a text takes everything");
    }

    /// The finished drawing, with a name for people who cannot see it.
    pub fn finish(mut self, name: &str) -> String {
        let marks = std::mem::take(&mut self.marks);
        self.draw_axes();
        drawing(name, HEIGHT, &(self.marks + &marks))
    }

    fn draw_axes(&mut self) {
        let ticks = |from: f64, to: f64, step: f64| {
            let first = (from / step).ceil() as i64;
            (first..).map(move |number| number as f64 * step).take_while(move |value| *value <= to + step * 1e-6)
        };
        for value in ticks(self.y.from, self.y.to, self.y_step) {
            let ((left, y), (right, _)) = (self.at(self.x.from, value), self.at(self.x.to, value));
            self.add(format_args!(
                "<line class=\"grid\" x1=\"{left:.1}\" y1=\"{y:.1}\" x2=\"{right:.1}\" y2=\"{y:.1}\" />"
            ));
            self.add(format_args!(
                "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 8.0,
                y + 4.0,
                short(value)
            ));
        }
        let step = tick_step(self.x.to - self.x.from, (WIDTH - LEFT - RIGHT) / TICK_WIDTH);
        for value in ticks(self.x.from, self.x.to, step) {
            let (x, y) = self.at(value, self.y.from);
            self.add(format_args!(
                "<text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                y + 18.0,
                short(value)
            ));
        }
        let (x_label, y_label) = (escape(self.x.label), escape(self.y.label));
        self.add(format_args!("<text class=\"axis\" x=\"{LEFT:.1}\" y=\"12\">{y_label}</text>"));
        self.add(format_args!(
            "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{x_label}</text>",
            WIDTH - RIGHT,
            HEIGHT - 6.0
        ));
    }
}

/// A drawing of the page's width with these elements.
pub(super) fn drawing(name: &str, height: f64, elements: &str) -> String {
    let name = escape(name);
    format!(
        "<svg viewBox=\"0 0 {WIDTH:.0} {height:.0}\" role=\"img\" aria-label=\"{name}\" \
         xmlns=\"http://www.w3.org/2000/svg\">\n{elements}</svg>\n"
    )
}

/// The smallest of 1, 2 and 5 times a power of ten that makes no more than `steps_max` steps.
fn tick_step(span: f64, steps_max: f64) -> f64 {
    let least = span / steps_max.max(1.0);
    let power = 10f64.powf(least.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= least * (1.0 - 1e-9));
    step.unwrap_or(10.0 * power)
}

/// A number on an axis: `0.5`, `20`, `1.5k`, `2M`.
pub fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        ..1e4 => (value, ""),
        ..1e6 => (value / 1e3, "k"),
        ..1e9 => (value / 1e6, "M"),
        _ => (value / 1e9, "G"),
    };
    let text = format!("{scaled:.2}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Escapes a text for XML and HTML, between tags and in quotes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            '\n' | '\t' => escaped.push(character),
            _ if character.is_control() => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_not_too_many() {
        let cases = [(60.0, 7.0, 10.0), (1.0, 5.0, 0.2), (365.0, 5.0, 100.0), (8.0, 8.0, 1.0), (0.03, 4.0, 0.01)];
        for (span, most, step) in cases {
            assert!((tick_step(span, most) - step).abs() < 1e-9, "{span}: {}", tick_step(span, most));
        }
        let texts = [0.0, 0.25, 20.0, 9_999.0, 15_000.0, 2_000_000.0, 3e9].map(short);
        assert_eq!(texts, ["0", "0.25", "20", "9999", "15k", "2M", "3G"]);
    }

    #[test]
    fn values_are_where_the_axes_say() {
        let axis = |to| Axis { label: "", from: 0.0, to };
        let mut plot = Plot::new(axis(10.0), axis(8.0));
        assert!((plot.y.to - 8.0).abs() < 1e-9);
        assert_eq!(plot.at(0.0, 0.0), (LEFT, HEIGHT - BOTTOM));
        assert_eq!(plot.at(10.0, 8.0), (WIDTH - RIGHT, TOP));
        // A value outside stays at the edge.
        assert_eq!(plot.at(99.0, -1.0), (WIDTH - RIGHT, HEIGHT - BOTTOM));
        plot.bar(0.0, 1.0, 0.0, "nothing");
        assert!(plot.marks.is_empty());
        plot.dot(5.0, 4.0, "a < b");
        assert!(plot.finish("half").contains("cx=\"382.0\" cy=\"118.0\" r=\"2.5\"><title>a &lt; b</title>"));
    }

    #[test]
    fn an_empty_axis_can_be_drawn() {
        let axis = Axis { label: "x", from: 0.0, to: 0.0 };
        let drawn = Plot::new(axis.clone(), axis).finish("empty");
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
    }
}
