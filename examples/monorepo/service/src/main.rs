//! Prints a quote: `quote COUNT CURRENCY`.

use std::process::ExitCode;

/// The price of one piece, in hundredths.
const PRICE: u64 = 1999;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["--version"] => println!("{}", env!("CARGO_PKG_VERSION")),
        [count, currency] => match count.parse() {
            Ok(count) => println!(
                "{count} pieces: {} {}",
                amount(total(count)),
                currency.to_uppercase()
            ),
            Err(_) => return ExitCode::from(2),
        },
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}

/// A hundred pieces and more are a tenth cheaper.
fn total(count: u64) -> u64 {
    let full = count * PRICE;
    if count >= 100 { full - full / 10 } else { full }
}

fn amount(hundredths: u64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_pieces_have_the_full_price() {
        assert_eq!(amount(total(3)), "59.97");
    }

    #[test]
    fn many_pieces_are_a_tenth_cheaper() {
        assert_eq!(amount(total(100)), "1799.10");
    }
}
