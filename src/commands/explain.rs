//! `pipe explain`: a code, or a word of the language.

use engine::run::outcome::exit;

use crate::args::ExplainArgs;
use crate::failed::Failed;
use crate::ui::out::Out;

/// Explains a code or a word.
///
/// # Errors
/// When there is no such code or word.
pub fn run(args: &ExplainArgs, out: &Out) -> Result<i32, Failed> {
    let Some(subject) = &args.subject else {
        for code in dsl::codes::all() {
            out.line(&format!("{}  {}", code.id, code.title));
        }
        return Ok(exit::OK);
    };
    if let Some(code) = dsl::codes::find(subject) {
        out.line(code.explanation);
        return Ok(exit::OK);
    }
    Err(Failed::usage(format!(
        "there is no code or word `{subject}`"
    )))
}
