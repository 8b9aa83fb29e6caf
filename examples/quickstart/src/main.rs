//! Counts the words of standard input.

use std::io::Read;

fn main() -> std::io::Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    println!("{}", quickstart::words(&text));
    Ok(())
}
