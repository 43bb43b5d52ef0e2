use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Measured, Metric, number};
use crate::Result;
use crate::measure::Spread;

const WIDTH: i32 = 860;
const ROW: i32 = 30;
const ABOVE: i32 = 62;
const BELOW: i32 = 16;
/// Where bars begin: names stand left of it.
const LEFT: i32 = 230;
/// Where the longest bar ends: numbers stand right of it.
const RIGHT: i32 = 710;

/// Its own, so that dark pages and light ones show the same picture.
const BACKGROUND: RGBColor = RGBColor(250, 250, 247);
const INK: RGBColor = RGBColor(38, 42, 51);
const FAINT: RGBColor = RGBColor(104, 110, 122);
const OURS: RGBColor = RGBColor(196, 78, 26);
const THEIRS: RGBColor = RGBColor(143, 160, 184);

/// One metric of a scenario as bars: the median with both ends, from zero, not logarithmic.
///
/// # Errors
///
/// None that are known: it is written to memory.
pub fn plot(measured: &Measured, metric: &'static Metric) -> Result<String> {
    let bars: Vec<(&str, Spread)> =
        measured.lines.iter().filter_map(|line| Some((&*line.peer, line.get(metric)?))).collect();
    let most = bars.iter().map(|(_, spread)| spread.max).fold(0.0, f64::max);
    let at = |value: f64| {
        // Without anything to compare, bars have no length.
        let part = if most > 0.0 { value / most } else { 0.0 };
        LEFT + (part * f64::from(RIGHT - LEFT)).round() as i32
    };
    let height = ABOVE + ROW * i32::try_from(bars.len())? + BELOW;
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH.unsigned_abs(), height.unsigned_abs()))
            .into_drawing_area();
        let words = |size: i32, color: &RGBColor, side: HPos| {
            ("sans-serif", size).into_font().color(color).pos(Pos::new(side, VPos::Center))
        };
        area.fill(&BACKGROUND)?;
        let heading = format!("{}: {}", measured.scenario, measured.title);
        area.draw(&Text::new(heading, (16, 22), words(17, &INK, HPos::Left)))?;
        area.draw(&Text::new(metric.heading, (16, 44), words(13, &FAINT, HPos::Left)))?;
        for (row, (peer, spread)) in bars.into_iter().enumerate() {
            let middle = ABOVE + ROW * i32::try_from(row)? + ROW / 2;
            let ours = peer.starts_with("bowline");
            let color = if ours { OURS } else { THEIRS };
            area.draw(&Text::new(peer.to_owned(), (LEFT - 10, middle), words(14, &INK, HPos::Right)))?;
            let bar = [(LEFT, middle - 9), (at(spread.median).max(LEFT + 1), middle + 9)];
            area.draw(&Rectangle::new(bar, color.filled()))?;
            let ends = [(at(spread.min), middle), (at(spread.max), middle)];
            area.draw(&PathElement::new(ends, INK.stroke_width(1)))?;
            let label = (at(spread.max).max(at(spread.median)) + 8, middle);
            area.draw(&Text::new(number(spread.median), label, words(14, &INK, HPos::Left)))?;
        }
        area.present()?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Line, metrics};

    fn picture(values: &[(&str, f64)]) -> String {
        let lines = values
            .iter()
            .map(|(peer, value)| Line::new(*peer).with(&metrics::CPU, Spread::of([*value])))
            .collect();
        plot(&Measured { scenario: "calls-64", title: "echo", lines }, &metrics::CPU).unwrap()
    }

    /// The widths of the bars.
    fn widths(svg: &str) -> Vec<i32> {
        let width = |line: &str| line.split("width=\"").nth(1)?.split('"').next()?.parse().ok();
        let bars = svg.split('<').filter(|line| line.starts_with("rect") && line.contains("height=\"18\""));
        bars.filter_map(width).collect()
    }

    #[test]
    fn bars_are_as_long_as_their_numbers() {
        let svg = picture(&[("bowline", 2.0), ("other", 8.0)]);
        assert_eq!(widths(&svg), [(RIGHT - LEFT) / 4, RIGHT - LEFT]);
        assert!(
            svg.contains("bowline")
                && svg.contains("other")
                && svg.contains("8.00")
                && svg.contains("CPU µs each")
        );
    }

    #[test]
    fn it_has_a_background_of_its_own() {
        let svg = picture(&[("bowline", 1.0)]);
        let first = svg.find("<rect").unwrap();
        assert!(svg[first..].split('>').next().unwrap().to_lowercase().contains("#fafaf7"), "{svg}");
    }

    #[test]
    fn nothing_to_show_is_no_reason_to_fail() {
        assert_eq!(widths(&picture(&[("bowline", 0.0)])), [1]);
        assert!(picture(&[]).contains("calls-64"));
    }
}
