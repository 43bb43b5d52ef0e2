struct DateTime<Zone>(Zone);

struct Utc;

#[bowline::message]
struct Event { at: Box<DateTime<Utc>> }

fn main() {}
