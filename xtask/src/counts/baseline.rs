use std::fmt;
use std::str::FromStr;

use crate::Outcome;

const HEAD: &str = "\
# What `cargo xtask counts` compares with, and what `cargo xtask counts --save` writes.
# Numbers are the same only where all of these are: what libc copies memory with depends on the processor.
";

/// Numbers, and where they were taken.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Baseline {
    pub(super) setting: Setting,
    /// In the order of reports.
    pub(super) lines: Vec<Line>,
}

/// What the numbers depend on beside our own code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Setting {
    pub(super) rustc: String,
    pub(super) valgrind: String,
    pub(super) libc: String,
    pub(super) cpu: String,
}

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) value: f64,
    /// What is counted, per what.
    pub(super) unit: String,
}

impl Setting {
    /// Name and value of each part.
    pub(super) fn parts(&self) -> [(&'static str, &str); 4] {
        [("rustc", &self.rustc), ("valgrind", &self.valgrind), ("libc", &self.libc), ("cpu", &self.cpu)]
    }

    fn part(&mut self, name: &str) -> Option<&mut String> {
        match name {
            "rustc" => Some(&mut self.rustc),
            "valgrind" => Some(&mut self.valgrind),
            "libc" => Some(&mut self.libc),
            "cpu" => Some(&mut self.cpu),
            _ => None,
        }
    }
}

impl Line {
    /// As it is printed: enough places that what is below the noise is not shown.
    pub(super) fn number(&self) -> String {
        let places = if self.counts_allocations() { 3 } else { 1 };
        format!("{:.places$}", self.value)
    }

    pub(super) fn counts_allocations(&self) -> bool {
        self.unit.starts_with("allocations")
    }
}

impl Baseline {
    pub(super) fn find(&self, name: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.name == name)
    }

    /// This one with the numbers of `newer` where it has some.
    ///
    /// # Errors
    ///
    /// When the two were taken in different settings.
    pub(super) fn with(mut self, newer: Self) -> Outcome<Self> {
        if self.setting != newer.setting {
            return Err("the baseline was taken with other tools or on another machine: \
                        save all of it, without `--only`"
                .to_owned());
        }
        for line in newer.lines {
            match self.lines.iter_mut().find(|known| known.name == line.name) {
                Some(known) => *known = line,
                None => self.lines.push(line),
            }
        }
        Ok(self)
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEAD)?;
        for (name, value) in self.setting.parts() {
            writeln!(f, "{name}: {value}")?;
        }
        writeln!(f)?;
        let width = self.lines.iter().map(|line| line.name.len()).max().unwrap_or_default();
        for line in &self.lines {
            writeln!(f, "{:<width$} {:>12}  {}", line.name, line.number(), line.unit)?;
        }
        Ok(())
    }
}

impl FromStr for Baseline {
    type Err = String;

    fn from_str(text: &str) -> Outcome<Self> {
        let mut baseline = Self { setting: Setting::default(), lines: Vec::new() };
        for (at, text) in text.lines().enumerate() {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let wrong = |what: &str| format!("line {}: {what}: `{text}`", at + 1);
            if let Some((name, value)) = text.split_once(": ") {
                let part = baseline.setting.part(name).ok_or_else(|| wrong("an unknown setting"))?;
                value.trim().clone_into(part);
                continue;
            }
            let mut words = text.split_whitespace();
            let (Some(name), Some(value)) = (words.next(), words.next()) else {
                return Err(wrong("neither a setting nor a name and a number"));
            };
            let value = value.parse().map_err(|_| wrong("not a number"))?;
            if baseline.find(name).is_some() {
                return Err(wrong("a name that was there before"));
            }
            let unit = words.collect::<Vec<_>>().join(" ");
            baseline.lines.push(Line { name: name.to_owned(), value, unit });
        }
        Ok(baseline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline() -> Baseline {
        let setting = Setting {
            rustc: "1.90.0 (abc 2025-01-01)".into(),
            valgrind: "3.19.0".into(),
            libc: "2.36".into(),
            cpu: "x86_64 avx2 erms".into(),
        };
        let line = |name: &str, value, unit: &str| Line { name: name.into(), value, unit: unit.into() };
        let lines = vec![
            line("envelope/encode/call", 211.5, "instructions per envelope"),
            line("allocations/64_in_flight/client", 5.292, "allocations per call"),
        ];
        Baseline { setting, lines }
    }

    #[test]
    fn what_is_written_is_read() {
        let text = baseline().to_string();
        assert_eq!(text.parse::<Baseline>().unwrap(), baseline());
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines.contains(&"rustc: 1.90.0 (abc 2025-01-01)") && lines.contains(&"cpu: x86_64 avx2 erms")
        );
        let call = "envelope/encode/call                   211.5  instructions per envelope";
        assert!(lines.iter().any(|line| line.split_whitespace().eq(call.split_whitespace())), "{text}");
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        let error = |text: &str| text.parse::<Baseline>().unwrap_err();
        assert!(
            error("# x\n\na/b many instructions").contains("line 3")
                && error("a/b many").contains("`a/b many`")
        );
        assert!(error("a/b").contains("neither"));
        assert!(error("moon: full").contains("an unknown setting"));
        assert!(error("a 1 x\na 2 x").contains("before"));
    }

    #[test]
    fn a_part_replaces_its_own_lines_and_adds_new_ones() {
        let mut newer = baseline();
        newer.lines.remove(1);
        newer.lines[0].value = 200.0;
        newer.lines.push(Line { name: "new".into(), value: 1.0, unit: "instructions per call".into() });
        let both = baseline().with(newer.clone()).unwrap();
        let values: Vec<_> = both.lines.iter().map(|line| (line.name.as_str(), line.value)).collect();
        assert_eq!(
            values,
            [("envelope/encode/call", 200.0), ("allocations/64_in_flight/client", 5.292), ("new", 1.0)]
        );
        newer.setting.valgrind = "3.25.0".into();
        assert!(baseline().with(newer).unwrap_err().contains("without `--only`"));
    }
}
