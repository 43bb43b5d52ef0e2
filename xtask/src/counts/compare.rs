use std::fmt::Write as _;

use super::baseline::{Baseline, Line};

/// Below this a change of allocations per operation is the growth of a table that came a little earlier.
const ALLOCATIONS_FLOOR: f64 = 0.02;

/// What is now beside what was.
#[derive(Debug)]
pub(super) struct Comparison {
    /// In the order of reports; `None` is what the baseline does not have.
    rows: Vec<(Option<Line>, Line)>,
    /// What only the baseline has.
    gone: Vec<String>,
    /// Parts of the setting that differ: name, before, now.
    settings: Vec<(&'static str, String, String)>,
    has_baseline: bool,
}

impl Comparison {
    /// Compares; with `only` what was asked for by a word, so that the rest is not taken for gone.
    pub(super) fn new(before: Option<&Baseline>, now: &Baseline, only: Option<&str>) -> Self {
        let find = |name: &str| before.and_then(|before| before.find(name)).cloned();
        let rows = now.lines.iter().map(|line| (find(&line.name), line.clone())).collect();
        let known = before.map_or(&[][..], |before| &before.lines).iter().map(|line| &line.name);
        let asked = known.filter(|name| only.is_none_or(|word| name.contains(word)));
        let gone = asked.filter(|name| now.find(name).is_none()).cloned().collect();
        let settings = before.map_or_else(Vec::new, |before| {
            let pairs = before.setting.parts().into_iter().zip(now.setting.parts());
            let differ = pairs.filter(|((_, was), (_, is))| was != is);
            differ.map(|((name, was), (_, is))| (name, was.to_owned(), is.to_owned())).collect()
        });
        Self { rows, gone, settings, has_baseline: before.is_some() }
    }

    /// What became worse by more than `tolerance` percent: name and change.
    pub(super) fn worse(&self, tolerance: f64) -> impl Iterator<Item = (&str, f64)> {
        let known = self.rows.iter().filter_map(|(before, now)| Some((before.as_ref()?, now)));
        known
            .filter(move |(before, now)| is_worse(before, now, tolerance))
            .map(|(before, now)| (now.name.as_str(), change(before, now)))
    }

    /// One row for each number.
    pub(super) fn table(&self, tolerance: f64) -> String {
        let mut out = String::new();
        let width = self.rows.iter().map(|(_, now)| now.name.len()).max().unwrap_or_default();
        let _ = writeln!(out, "{:<width$} {:>12} {:>12} {:>9}  unit", "scenario", "before", "now", "change");
        for (before, now) in &self.rows {
            let (was, change, verdict) = match before {
                None => ("-".to_owned(), "new".to_owned(), ""),
                Some(before) => {
                    let verdict = if is_worse(before, now, tolerance) { "  WORSE" } else { "" };
                    (before.number(), format!("{:+.1} %", change(before, now)), verdict)
                }
            };
            let (number, unit) = (now.number(), &now.unit);
            let _ = writeln!(out, "{:<width$} {was:>12} {number:>12} {change:>9}  {unit}{verdict}", now.name);
        }
        out
    }

    /// What has to be said beside the table.
    pub(super) fn remarks(&self, tolerance: f64) -> Vec<String> {
        let mut remarks = Vec::new();
        if !self.has_baseline {
            remarks.push("there is no baseline: `cargo xtask counts --save` makes one".to_owned());
        }
        for (name, was, is) in &self.settings {
            remarks.push(format!(
                "the baseline was taken with another {name} ({was}; here: {is}): numbers may differ for that alone. \
                 Save one at the commit before, here, to compare with"
            ));
        }
        let new: Vec<_> =
            self.rows.iter().filter(|(before, _)| before.is_none()).map(|(_, now)| &*now.name).collect();
        if self.has_baseline && !new.is_empty() {
            remarks.push(format!("not in the baseline, `--save` adds them: {}", new.join(", ")));
        }
        if !self.gone.is_empty() {
            let gone = self.gone.join(", ");
            remarks.push(format!("in the baseline and not measured any more, `--save` drops them: {gone}"));
        }
        let worse: Vec<_> =
            self.worse(tolerance).map(|(name, change)| format!("{name} ({change:+.1} %)")).collect();
        remarks.push(if worse.is_empty() {
            format!("nothing became worse by more than {tolerance} %")
        } else {
            format!("worse by more than {tolerance} %: {}", worse.join(", "))
        });
        remarks
    }
}

/// In percent; what was nothing and is something has grown without bound.
fn change(before: &Line, now: &Line) -> f64 {
    if before.value == now.value { 0.0 } else { (now.value / before.value - 1.0) * 100.0 }
}

fn is_worse(before: &Line, now: &Line, tolerance: f64) -> bool {
    let floor = if now.counts_allocations() { ALLOCATIONS_FLOOR } else { 0.0 };
    change(before, now) > tolerance && now.value - before.value > floor
}

#[cfg(test)]
mod tests {
    use super::super::baseline::Setting;
    use super::*;

    fn numbers(lines: &[(&str, f64, &str)]) -> Baseline {
        let line =
            |&(name, value, unit): &(&str, f64, &str)| Line { name: name.into(), value, unit: unit.into() };
        Baseline { setting: Setting::default(), lines: lines.iter().map(line).collect() }
    }

    fn worse(before: f64, now: f64, unit: &str, tolerance: f64) -> bool {
        let (before, now) = (numbers(&[("a", before, unit)]), numbers(&[("a", now, unit)]));
        Comparison::new(Some(&before), &now, None).worse(tolerance).count() == 1
    }

    #[test]
    fn what_grew_beyond_the_tolerance_is_worse() {
        assert!(!worse(1000.0, 1029.0, "instructions per call", 3.0));
        assert!(worse(1000.0, 1031.0, "instructions per call", 3.0));
        assert!(!worse(1000.0, 1031.0, "instructions per call", 5.0));
        assert!(!worse(1000.0, 500.0, "instructions per call", 3.0));
    }

    #[test]
    fn a_hundredth_of_an_allocation_is_no_loss_and_one_where_none_was_is() {
        assert!(!worse(0.010, 0.029, "allocations per item", 3.0));
        assert!(worse(0.010, 0.031, "allocations per item", 3.0));
        assert!(worse(0.0, 1.0, "allocations per item", 3.0));
        assert!(!worse(0.0, 0.0, "allocations per item", 3.0));
    }

    #[test]
    fn the_table_has_both_numbers_and_the_change() {
        let unit = "instructions per call";
        let before = numbers(&[("call", 1000.0, unit), ("item", 50.0, unit)]);
        let now = numbers(&[("call", 1100.0, unit), ("item", 49.0, unit), ("fresh", 5.0, unit)]);
        let table = Comparison::new(Some(&before), &now, None).table(3.0);
        let rows: Vec<Vec<_>> = table.lines().map(|row| row.split_whitespace().collect()).collect();
        assert_eq!(rows[1][..5], ["call", "1000.0", "1100.0", "+10.0", "%"]);
        assert_eq!(rows[1].last(), Some(&"WORSE"));
        assert_eq!(rows[2][..5], ["item", "50.0", "49.0", "-2.0", "%"]);
        assert_eq!(rows[2].last(), Some(&"call"));
        assert_eq!(rows[3][..4], ["fresh", "-", "5.0", "new"]);
    }

    #[test]
    fn what_is_missing_on_either_side_is_said() {
        let unit = "instructions per call";
        let before = numbers(&[("call", 1000.0, unit), ("old/call", 7.0, unit), ("item", 50.0, unit)]);
        let now = numbers(&[("call", 1000.0, unit), ("new/call", 5.0, unit)]);
        let said = |only| Comparison::new(Some(&before), &now, only).remarks(3.0);
        assert_eq!(
            said(None),
            [
                "not in the baseline, `--save` adds them: new/call",
                "in the baseline and not measured any more, `--save` drops them: old/call, item",
                "nothing became worse by more than 3 %"
            ]
        );
        // What was not asked for is not gone.
        assert!(said(Some("call"))[1].ends_with("old/call"));
        let alone = Comparison::new(None, &now, None).remarks(3.0);
        assert!(alone[0].contains("no baseline") && alone.len() == 2, "{alone:?}");
    }

    #[test]
    fn another_setting_and_every_loss_are_named() {
        let unit = "instructions per call";
        let mut before = numbers(&[("call", 1000.0, unit), ("item", 100.0, unit)]);
        before.setting.cpu = "x86_64 avx2".into();
        let now = numbers(&[("call", 1200.0, unit), ("item", 110.0, unit)]);
        let said = Comparison::new(Some(&before), &now, None).remarks(3.0);
        assert!(said[0].contains("another cpu (x86_64 avx2; here: )"), "{said:?}");
        assert_eq!(said[1], "worse by more than 3 %: call (+20.0 %), item (+10.0 %)");
    }
}
