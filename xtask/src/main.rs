//! `cargo xtask`: everything that the project does with itself.

mod bench;
mod bench_browser;
mod chaos;
mod counts;
mod demo;
mod load;
mod setup;
mod sim;
mod site;
mod size;
mod step;
mod test;

use std::process::ExitCode;

use lexopt::prelude::*;

const HELP: &str = "\
cargo xtask <command>

  demo [--port N] [--release]   builds the browser pages, starts the server, prints the address
  test [--only WORD]            everything that must hold; the last line is `N passed, N failed`
  sim [--seeds N] [--from S]    sessions on a simulated bad network, one run per seed
  chaos [options]               sessions over real sockets, cut at random bytes, and a server that is killed
  bench [options]               Bowline beside sockets by hand, jsonrpsee, tarpc, tonic, remoc and others
  bench --browser [options]     Bowline in a real browser, beside sockets that are written by hand
  load [scene] [options]        10,000 connections held, connected at once, calling, subscribed
  size                          what a browser downloads for the counter, and for its page over other sockets
  counts [options]              instructions and allocations per operation, beside the committed baseline

demo  --port N       the port on 127.0.0.1; without it a free one is taken
      --database F   where the chat keeps its history; default target/demo/chat.db
      --release      optimised pages: slower to build, smaller to load
test  --only WORD    only the checks whose name contains WORD: format, lints, docs, sim, chaos, host, wasm, browser
sim   --seeds N      how many seeds, 2000 without; a single one prints its whole trace
      --from S       the first seed, 0 without
chaos --clients N    clients, each with a session of its own; 200 without
      --cuts N       links that are cut for each client; 10 without, 0 leaves that part out
      --messages N   reliable messages in each direction; 200000 without
      --kills N      how often the server is killed; 5 without, 0 leaves that part out
      --seed N       where and how links are cut; 1 without
      --json PATH    the results as JSON
      --quick        20 clients, 3 cuts, 20000 messages and 2 kills where nothing else is asked for
bench --quick        under five minutes
      --check        fails when a goal that must hold is missed
      --only WORD, --peers WORD, --json PATH, --svg DIR, --list: see benches/README.md
      --browser      the comparison in a browser instead; it knows --quick and --json PATH
load  [scene]        idle, storm, calls, fan-out or all; all without
      --connections N, --minutes M, --seconds S, --backlog N, --seed N, --json PATH, --quick: see benches/load/README.md
counts --only WORD   only what has WORD in its name
      --tolerance P  fails when something is more than P % worse; 3 without
      --save         what is measured becomes the baseline, benches/micro/baseline.txt
";

/// What a command ends with: a sentence for people.
type Outcome<T> = Result<T, String>;

enum Command {
    Demo(demo::Options),
    Test { only: Option<String> },
    Sim(sim::Options),
    Chaos(chaos::Options),
    Bench(Vec<std::ffi::OsString>),
    Load(Vec<std::ffi::OsString>),
    Counts(counts::Options),
    Size,
    BenchBrowser(bench_browser::Options),
    Help,
}

fn main() -> ExitCode {
    let result = parse().and_then(|command| match command {
        Command::Demo(options) => demo::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Test { only } => test::run(only.as_deref()),
        Command::Sim(options) => sim::run(options).map(|()| ExitCode::SUCCESS),
        Command::Chaos(options) => chaos::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Bench(asked) => bench::run(&asked).map(|()| ExitCode::SUCCESS),
        Command::Load(asked) => load::run(&asked).map(|()| ExitCode::SUCCESS),
        Command::Counts(options) => counts::run(&options),
        Command::Size => size::run().map(|()| ExitCode::SUCCESS),
        Command::BenchBrowser(options) => bench_browser::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Help => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
    });
    result.unwrap_or_else(|sentence| {
        eprintln!("error: {sentence}");
        ExitCode::FAILURE
    })
}

fn parse() -> Outcome<Command> {
    parse_from(lexopt::Parser::from_env()).map_err(|error| format!("{error}\n\n{HELP}"))
}

fn parse_from(mut parser: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let mut command = match parser.next()? {
        Some(Value(name)) if name == "demo" => Command::Demo(demo::Options::default()),
        Some(Value(name)) if name == "test" => Command::Test { only: None },
        Some(Value(name)) if name == "sim" => Command::Sim(sim::Options::default()),
        Some(Value(name)) if name == "chaos" => Command::Chaos(chaos::Options::default()),
        Some(Value(name)) if name == "load" => return Ok(Command::Load(parser.raw_args()?.collect())),
        Some(Value(name)) if name == "counts" => Command::Counts(counts::Options::default()),
        Some(Value(name)) if name == "size" => Command::Size,
        Some(Value(name)) if name == "bench" => {
            let mut asked = parser.raw_args()?;
            if asked.next_if(|word| word == "--browser").is_none() {
                return Ok(Command::Bench(asked.collect()));
            }
            Command::BenchBrowser(bench_browser::Options::default())
        }
        None | Some(Long("help") | Short('h')) => return Ok(Command::Help),
        Some(Value(name)) => return Err(format!("there is no command `{}`", name.to_string_lossy()).into()),
        Some(other) => return Err(other.unexpected()),
    };
    while let Some(argument) = parser.next()? {
        match (&mut command, argument) {
            (_, Long("help") | Short('h')) => return Ok(Command::Help),
            (Command::Demo(options), Long("port")) => options.port = parser.value()?.parse()?,
            (Command::Demo(options), Long("database")) => options.database = Some(parser.value()?),
            (Command::Demo(options), Long("release")) => options.release = true,
            (Command::Sim(options), Long("seeds")) => {
                options.seeds = parser.value()?.parse::<std::num::NonZeroU64>()?.get();
            }
            (Command::Sim(options), Long("from")) => options.from = parser.value()?.parse()?,
            (Command::Chaos(options), Long("quick")) => options.quick = true,
            (Command::Chaos(options), Long("clients")) => {
                options.clients = Some(parser.value()?.parse::<std::num::NonZeroU16>()?.get());
            }
            (Command::Chaos(options), Long("cuts")) => options.cuts = Some(parser.value()?.parse()?),
            (Command::Chaos(options), Long("messages")) => options.messages = Some(parser.value()?.parse()?),
            (Command::Chaos(options), Long("kills")) => options.kills = Some(parser.value()?.parse()?),
            (Command::Chaos(options), Long("seed")) => options.seed = Some(parser.value()?.parse()?),
            (Command::Chaos(options), Long("json")) => options.json = Some(parser.value()?),
            (Command::BenchBrowser(options), Long("quick")) => options.quick = true,
            (Command::BenchBrowser(options), Long("json")) => options.json = Some(parser.value()?),
            (Command::Counts(options), Long("only")) => options.only = Some(parser.value()?.string()?),
            (Command::Counts(options), Long("tolerance")) => {
                options.tolerance = parser.value()?.parse_with(counts::percent)?;
            }
            (Command::Counts(options), Long("save")) => options.save = true,
            (Command::Test { only }, Long("only")) => *only = Some(parser.value()?.string()?),
            (_, other) => return Err(other.unexpected()),
        }
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, lexopt::Error> {
        parse_from(lexopt::Parser::from_iter(std::iter::once("xtask").chain(line.split_whitespace())))
    }

    #[test]
    fn options_belong_to_their_command() {
        let Ok(Command::Demo(options)) = parsed("demo --port 4010 --database x.db --release") else {
            panic!()
        };
        assert_eq!((options.port, options.release), (4010, true));
        assert_eq!(options.database, Some("x.db".into()));
        assert!(
            matches!(parsed("test --only docs"), Ok(Command::Test { only: Some(word) }) if word == "docs")
        );
        assert!(matches!(parsed("size"), Ok(Command::Size)));
        let asked = sim::Options { seeds: 5, from: 30 };
        assert!(matches!(parsed("sim --seeds 5 --from 30"), Ok(Command::Sim(options)) if options == asked));
        assert!(
            matches!(parsed("sim"), Ok(Command::Sim(options)) if options.seeds == 2000 && options.from == 0)
        );
        let Ok(Command::Chaos(options)) = parsed("chaos --quick --clients 5 --seed 9 --json out") else {
            panic!()
        };
        assert!(options.quick);
        assert_eq!((options.clients, options.cuts, options.seed), (Some(5), None, Some(9)));
        assert_eq!(options.json, Some("out".into()));
        assert!(parsed("chaos --clients 0").is_err() && parsed("sim --quick").is_err());
        let asked = counts::Options { only: Some("call".into()), tolerance: 1.5, save: true };
        assert!(
            matches!(parsed("counts --only call --tolerance 1.5 --save"), Ok(Command::Counts(it)) if it == asked)
        );
        assert!(matches!(parsed("counts"), Ok(Command::Counts(it)) if it.tolerance == 3.0 && !it.save));
        assert!(parsed("counts --tolerance -1").is_err() && parsed("counts --tolerance nan").is_err());
        assert!(parsed("size --port 1").is_err());
        assert!(
            matches!(parsed("bench --quick --check"), Ok(Command::Bench(asked)) if asked == ["--quick", "--check"])
        );
        assert!(
            matches!(parsed("load storm --seed 3"), Ok(Command::Load(asked)) if asked == ["storm", "--seed", "3"])
        );
        let Ok(Command::BenchBrowser(options)) = parsed("bench --browser --quick --json out") else {
            panic!()
        };
        assert_eq!(options, bench_browser::Options { quick: true, json: Some("out".into()) });
        assert!(parsed("sim --seeds 0").is_err(), "no seeds hold nothing");
    }

    #[test]
    fn wrong_arguments_are_named() {
        let message = |line| parsed(line).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(message("dance").contains("`dance`"));
        assert!(message("demo --port many").contains("many"));
        assert!(message("demo --port 70000").contains("70000"));
        assert!(matches!(parsed(""), Ok(Command::Help)));
    }
}
