use bowline_runtime::Task;

/// How many tasks there are when those that have ended are looked for first.
const SWEEP: usize = 64;

/// Tasks and their owner: dropping it aborts them.
pub(crate) struct Tasks {
    tasks: Vec<Task>,
    sweep_at: usize,
}

impl Default for Tasks {
    fn default() -> Self {
        Self { tasks: Vec::new(), sweep_at: SWEEP }
    }
}

impl Tasks {
    pub(crate) fn own(&mut self, task: Task) {
        if self.tasks.len() >= self.sweep_at {
            self.tasks.retain(|task| !task.is_finished());
            // Doubling keeps the cost of looking constant per task.
            self.sweep_at = (self.tasks.len() * 2).max(SWEEP);
        }
        self.tasks.push(task);
    }
}
