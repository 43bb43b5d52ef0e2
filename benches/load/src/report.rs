//! What a run found: a table for people, JSON for programs, and whether every promise was kept.

use serde::Serialize;

use crate::Outcome;
use crate::arguments::Options;
use crate::scenes::{Calls, FanOut, Idle, Storm};

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    scene: String,
    what: String,
    value: String,
}

pub(crate) fn row(scene: &str, what: &str, value: String) -> Row {
    Row { scene: scene.to_owned(), what: what.to_owned(), value }
}

/// All scenes of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    seed: u64,
    processors: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle: Option<Idle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storm: Option<Storm>,
    calls: Vec<Calls>,
    fan_out: Vec<FanOut>,
    /// What was promised and is not so; a scene that could not be played to its end is one of these.
    broken: Vec<String>,
    #[serde(skip)]
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new(options: &Options) -> Self {
        let processors = std::thread::available_parallelism().map_or(0, usize::from);
        Self {
            seed: options.seed,
            processors,
            idle: None,
            storm: None,
            calls: Vec::new(),
            fan_out: Vec::new(),
            broken: Vec::new(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn idle(&mut self, idle: Idle) {
        self.enter(idle.rows(), idle.broken());
        self.idle = Some(idle);
    }

    pub(crate) fn storm(&mut self, storm: Storm) {
        self.enter(storm.rows(), storm.broken());
        self.storm = Some(storm);
    }

    pub(crate) fn calls(&mut self, calls: Calls) {
        self.enter(calls.rows(), calls.broken());
        self.calls.push(calls);
    }

    pub(crate) fn fan_out(&mut self, fan_out: FanOut) {
        self.enter(fan_out.rows(), fan_out.broken());
        self.fan_out.push(fan_out);
    }

    /// A scene could not be played to its end.
    pub(crate) fn broke(&mut self, sentence: String) {
        self.broken.push(sentence);
    }

    fn enter(&mut self, rows: Vec<Row>, broken: Vec<String>) {
        self.rows.extend(rows);
        self.broken.extend(broken);
    }

    pub(crate) fn json(&self) -> Outcome<String> {
        serde_json::to_string_pretty(self).map_err(|error| error.to_string())
    }

    pub(crate) fn table(&self) -> String {
        let width =
            |of: fn(&Row) -> &str| self.rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0);
        let (scenes, whats, values) =
            (width(|row| &row.scene), width(|row| &row.what), width(|row| &row.value));
        let mut table = String::new();
        let mut last = "";
        for Row { scene, what, value } in &self.rows {
            if !last.is_empty() && last != scene {
                table.push('\n');
            }
            let shown = if last == scene { "" } else { scene };
            table.push_str(&format!("{shown:<scenes$}  {what:<whats$}  {value:>values$}\n"));
            last = scene;
        }
        table
    }

    /// # Errors
    ///
    /// What was promised and is not so.
    pub(crate) fn verdict(&self) -> Outcome<()> {
        if self.broken.is_empty() { Ok(()) } else { Err(self.broken.join("\nerror: ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_each_scene_once_and_a_broken_promise_ends_in_an_error() {
        let mut report = Report::new(&Options::default());
        assert_eq!((report.table(), report.verdict()), (String::new(), Ok(())));
        report.fan_out(FanOut { subscribers: 2, burst: 1, complete: 2, ..FanOut::default() });
        report.calls(Calls { connections: 2, in_flight: 1, answered: 2, seen: 3, ..Calls::default() });
        let table = report.table();
        assert_eq!(table.matches("fan-out, 2, paced").count(), 1);
        assert_eq!(table.lines().count(), 11, "two blocks of five and a line between them:\n{table}");
        assert!(report.verdict().unwrap_err().contains("2 calls were answered, and 3 ran"));
        assert!(report.json().unwrap().contains("\"subscribers\": 2"));
    }
}
