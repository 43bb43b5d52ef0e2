use bowline::__private::{Payload, Schema};

#[bowline::message]
#[derive(Debug, Clone)]
struct User {
    name: String,
    #[serde(skip)]
    password: String,
}

/// Uses the type as if nothing were wrong with it.
#[bowline::message]
struct Users {
    all: Vec<User>,
}

fn send(user: &User) -> String {
    fn is_payload<T: Payload + Schema + Clone + std::fmt::Debug>(_: &T) {}
    is_payload(user);
    user.name.clone()
}

fn main() {}
