#[bowline::message(try_from = String)]
struct Email(String);

impl From<&Email> for String {
    fn from(email: &Email) -> Self {
        email.0.clone()
    }
}

fn main() {}
