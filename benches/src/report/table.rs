use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::Measured;
use crate::goals::{Level, Verdict};
use crate::measure::Spread;

/// The result of a scenario for people: a line for each peer, the middle of each number with both ends.
pub fn table(measured: &Measured) -> String {
    let metrics = measured.metrics();
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
    let mut header = vec![Cell::new(measured.scenario)];
    for metric in &metrics {
        header.push(Cell::new(metric.heading).set_alignment(CellAlignment::Right));
        header.push(Cell::new("min to max"));
    }
    table.set_header(header);
    for line in &measured.lines {
        let mut row = vec![Cell::new(&line.peer)];
        for metric in &metrics {
            let (middle, ends) = line.get(metric).map(shown).unwrap_or_default();
            row.push(Cell::new(middle).set_alignment(CellAlignment::Right));
            row.push(Cell::new(ends));
        }
        table.add_row(row);
    }
    format!("{}\n{table}", measured.title)
}

/// The median, and the ends where they differ.
fn shown(spread: Spread) -> (String, String) {
    let ends = if spread.min == spread.max {
        String::new()
    } else {
        format!("{} to {}", number(spread.min), number(spread.max))
    };
    (number(spread.median), ends)
}

/// Three digits that count, thousands set apart.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        ..1.0 => 3,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let plain = format!("{value:.digits$}");
    let (whole, fraction) =
        plain.split_once('.').map_or((&*plain, None), |(whole, rest)| (whole, Some(rest)));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        let left = whole.len() - index;
        if index > 0 && left % 3 == 0 && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    fraction.map_or_else(|| grouped.clone(), |fraction| format!("{grouped}.{fraction}"))
}

/// The goals for people, in words: those that must hold, then those aimed at.
pub fn verdicts(verdicts: &[Verdict]) -> String {
    let mut text = String::new();
    for (level, heading) in [(Level::Must, "must"), (Level::Aim, "aim")] {
        let of_level: Vec<_> = verdicts.iter().filter(|verdict| verdict.goal.level == level).collect();
        let held = of_level.iter().filter(|verdict| verdict.holds()).count();
        let _ = writeln!(text, "{heading}: {held} of {} hold", of_level.len());
        for verdict in of_level {
            let word = if verdict.holds() { "holds " } else { "MISSED" };
            let _ = writeln!(text, "  {word}  {verdict}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Line, metrics};

    #[test]
    fn numbers_have_three_digits_that_count() {
        let shown = [0.0, 0.0312, 0.44, 9.068, 19.64, 107_432.0, 1_500_000.4, 999.0, -1234.0].map(number);
        assert_eq!(shown, ["0", "0.031", "0.440", "9.07", "19.6", "107,432", "1,500,000", "999", "-1,234"]);
    }

    #[test]
    fn each_peer_has_a_row_and_what_it_lacks_stays_empty() {
        let spread = Spread::of([1.0, 2.0, 3.0]);
        let lines = vec![
            Line::new("bowline").with(&metrics::CPU, spread).with(&metrics::RATE, Spread::of([5000.0])),
            Line::new("other").with(&metrics::RATE, Spread::of([4000.0])),
        ];
        let text = table(&Measured { scenario: "calls-64", title: "echo", lines });
        let row = |name: &str| text.lines().find(|line| line.contains(name)).unwrap().to_owned();
        assert!(text.starts_with("echo\n") && row("calls-64").contains("CPU µs each"));
        assert!(row("bowline").contains("2.00") && row("bowline").contains("1.00 to 3.00"));
        assert!(row("bowline").contains("5,000") && !row("bowline").contains("5,000 to"));
        assert!(row("other").contains("4,000") && !row("other").contains('2'));
    }
}
