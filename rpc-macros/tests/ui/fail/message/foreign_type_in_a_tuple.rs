struct NaiveDate;

#[bowline::message]
struct Event { span: (u8, NaiveDate) }

fn main() {}
