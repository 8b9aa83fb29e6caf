//! `pipe explain`: a code, or a word of the language; steps are explained next door.

use dsl::{codes, explain, schema};
use engine::run::outcome::exit;

use super::explain_step;
use crate::args::{ExplainArgs, Global, HumanOrJson};
use crate::failed::Failed;
use crate::ui::out::Out;
use crate::ui::words::{STRONG, paint};

/// Explains a code, a step or a word; without one, lists the codes and words.
///
/// # Errors
/// When there is no such code, step or word.
pub fn run(global: &Global, args: &ExplainArgs, out: &Out) -> Result<i32, Failed> {
    let Some(subject) = &args.subject else {
        overview(out);
        return Ok(exit::OK);
    };
    if let Some(code) = codes::find(subject) {
        out.text(&explain::code(code));
        return Ok(exit::OK);
    }
    let looks_like_code = subject.len() == 4 && subject[1..].bytes().all(|b| b.is_ascii_digit());
    if looks_like_code {
        return Err(
            Failed::usage(format!("there is no code `{subject}`")).hint("`pipe explain` lists all")
        );
    }
    if !args.word
        && let Some(step) = explain_step::Subject::find(global, args, subject)
    {
        return step.explain(args, out);
    }
    match explain::node(subject) {
        Ok(text) if args.format == HumanOrJson::Human => out.text(&text),
        Ok(_) => {
            return Err(Failed::usage(format!(
                "`{subject}` is a word, and only steps are explained as JSON"
            )));
        }
        Err(why) => {
            return Err(Failed::usage(why).hint(
                "`pipe explain` lists all words and codes, `pipe list` the steps of this pipeline",
            ));
        }
    }
    Ok(exit::OK)
}

fn overview(out: &Out) {
    out.line(&paint(STRONG, "words at the top of a file"));
    let sentence = |doc: &str| {
        let first = doc.split(['.', ':']).next().unwrap_or_default();
        format!("{first}.")
    };
    for child in schema::root().children {
        out.line(&format!(
            "  {:<14} {}",
            child.node.name,
            sentence(child.node.doc)
        ));
    }
    out.line(&paint(STRONG, "steps of a stage"));
    for child in schema::top::STAGE
        .children
        .iter()
        .filter(|c| schema::root().child(c.node.name).is_none())
    {
        out.line(&format!(
            "  {:<14} {}",
            child.node.name,
            sentence(child.node.doc)
        ));
    }
    out.line(&paint(STRONG, "codes"));
    for code in codes::all() {
        out.line(&format!("  {:<14} {}", code.id, code.title));
    }
}
