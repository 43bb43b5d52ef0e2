#[bowline::message(codec = json)]
struct User<'a> {
    name: &'a str,
    #[serde(skip)]
    password: String,
    #[message(hidden)]
    visits: usize,
    #[message(with = Wrapper)]
    #[serde(with = "hex")]
    picture: Vec<u8>,
}

fn main() {}
