//! The language as data. One table of nodes drives lowering, 'did you mean', `pipe explain`,
//! the book's reference and completion, so that none of them can drift from the others.

pub mod delivery;
pub mod job;
pub mod select;
pub mod top;

/// One node of the language.
#[derive(Debug)]
pub struct NodeSchema {
    /// The word that is written.
    pub name: &'static str,
    /// What it is for: one sentence, then more where more helps. Markdown.
    pub doc: &'static str,
    /// The arguments that have a place of their own.
    pub args: &'static [Field],
    /// What all further arguments are; `None` where none are allowed.
    pub rest: Option<Field>,
    /// The named properties.
    pub props: &'static [Field],
    /// What a property of any other name is; `None` where that is a mistake.
    pub open_props: Option<Field>,
    /// The nodes that may stand in the block.
    pub children: &'static [Child],
    /// What a child of any other name is: a list; `None` where that is a mistake.
    pub open_children: Option<Field>,
    /// A piece of a pipeline that shows it.
    pub example: &'static str,
}

/// An argument or a property.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The property's name, or what the reference calls the argument.
    pub name: &'static str,
    /// What may be written there.
    pub ty: Type,
    /// Whether it must be there.
    pub required: bool,
    /// What holds where it is not written, for the reference.
    pub default: Option<&'static str>,
    /// One sentence.
    pub doc: &'static str,
}

/// A node allowed in a block, and how often.
#[derive(Debug, Clone, Copy)]
pub struct Child {
    /// The node.
    pub node: &'static NodeSchema,
    /// How often it may stand there.
    pub count: Count,
}

/// How often a child may stand in its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// At most once.
    Once,
    /// Once or more.
    Some,
    /// As often as wanted.
    Many,
}

/// What a reference names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A step, or a whole stage.
    Step,
    /// A declared image or one that a `build` makes.
    Image,
    /// A `registry`.
    Registry,
    /// A `target`.
    Target,
    /// A `secret`.
    Secret,
    /// A `version`.
    Version,
    /// A `promotion`.
    Promotion,
    /// A `template`.
    Template,
}

/// What may be written as an argument or a property.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Type {
    /// Declares a name: letters, digits, `-`, `_`.
    Name,
    /// The name of something declared.
    Ref(Kind),
    /// The name of an environment variable.
    EnvName,
    /// Text as it stands.
    Text,
    /// Text in which `${…}` is replaced.
    Template,
    /// Shell text or a program's argument; `${…}` is refused in it.
    Script,
    /// `#true` or `#false`.
    Bool,
    /// A whole number from a range, both ends included.
    Int(i64, i64),
    /// `"90s"`, `"30m"`, `"72h"`, `"7d"`.
    Duration,
    /// `"512MiB"`, `"10GB"`.
    Size,
    /// A pattern of paths beneath the pipeline's folder; `!` in front excludes.
    Glob,
    /// A pattern of names: branches, tags.
    NameGlob,
    /// A path beneath the pipeline's folder.
    Path,
    /// A path on this machine or on a target; may be absolute or start with `~`.
    AnyPath,
    /// `http://` or `https://` and a host; `${…}` is replaced in it.
    Url,
    /// An OCI image reference such as `rust:1.95`; `${…}` is replaced in it.
    ImageRef,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A part of a cache key: `os`, `arch`, `(file)"…"`, `(env)"…"`, `(run)"…"`, `"text"`.
    KeyPart,
    /// Any KDL value.
    Any,
}

impl Type {
    /// What the reference calls the type.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Type::Name => "name".into(),
            Type::Ref(kind) => {
                let noun = kind.noun();
                let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u']);
                format!("name of {} {noun}", if vowel { "an" } else { "a" })
            }
            Type::EnvName => "name of an environment variable".into(),
            Type::Text => "text".into(),
            Type::Template => "text with `${…}`".into(),
            Type::Script => "command text".into(),
            Type::Bool => "`#true` or `#false`".into(),
            Type::Int(min, max) => format!("whole number from {min} to {max}"),
            Type::Duration => "duration such as `\"90s\"` or `\"30m\"`".into(),
            Type::Size => "size such as `\"512MiB\"`".into(),
            Type::Glob => "path pattern".into(),
            Type::NameGlob => "name pattern such as `\"release/*\"`".into(),
            Type::Path => "relative path".into(),
            Type::AnyPath => "path".into(),
            Type::Url => "URL".into(),
            Type::ImageRef => "image reference such as `\"rust:1.95\"`".into(),
            Type::Word(words) => words
                .iter()
                .map(|w| format!("`{w}`"))
                .collect::<Vec<_>>()
                .join(" or "),
            Type::KeyPart => "key part".into(),
            Type::Any => "value".into(),
        }
    }
}

impl Kind {
    /// The word for it in messages.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Kind::Step => "step or stage",
            Kind::Image => "image",
            Kind::Registry => "registry",
            Kind::Target => "target",
            Kind::Secret => "secret",
            Kind::Version => "version",
            Kind::Promotion => "promotion",
            Kind::Template => "template",
        }
    }
}

/// The nodes that may stand at the top of a file.
#[must_use]
pub fn root() -> &'static NodeSchema {
    &top::ROOT
}

/// Every node of the language with its path, such as `job.cache`; each once, under the shortest path, in the order of
/// the reference.
#[must_use]
pub fn all() -> &'static [(String, &'static NodeSchema)] {
    static ALL: std::sync::OnceLock<Vec<(String, &'static NodeSchema)>> =
        std::sync::OnceLock::new();
    ALL.get_or_init(collect)
}

fn collect() -> Vec<(String, &'static NodeSchema)> {
    let mut found: Vec<(String, &'static NodeSchema)> = vec![(String::new(), root())];
    let mut at = 0;
    while let Some((path, node)) = found.get(at).cloned() {
        at += 1;
        for child in node.children.iter().map(|c| c.node) {
            if found.iter().all(|(_, known)| !std::ptr::eq(*known, child)) {
                // What stands in a stage is known by its own name; how an image is built, by `build`.
                let path = match path.as_str() {
                    "image" => format!("build.{}", child.name),
                    "" | "stage" | "template" => child.name.to_owned(),
                    path => format!("{path}.{}", child.name),
                };
                found.push((path, child));
            }
        }
    }
    found
}

/// The nodes that a path such as `job.cache`, `cache` or `stage` means: by its last words, from any place where such
/// a node may stand. A word alone means every node of that name, each once.
///
/// # Errors
/// The part of the path that names nothing.
pub fn find(path: &str) -> Result<Vec<(String, &'static NodeSchema)>, String> {
    let parts: Vec<&str> = path.split('.').filter(|p| !p.is_empty()).collect();
    let Some((first, rest)) = parts.split_first() else {
        return Err(path.to_owned());
    };
    let mut found: Vec<(String, &'static NodeSchema)> = all()
        .iter()
        .filter(|(_, n)| n.name == *first && !n.name.is_empty())
        .cloned()
        .collect();
    // What has the word as its whole path is most likely meant.
    found.sort_by_key(|(path, _)| path.matches('.').count());
    if found.is_empty() {
        return Err((*first).to_owned());
    }
    for part in rest {
        let mut next: Vec<(String, &'static NodeSchema)> = Vec::new();
        for (path, node) in &found {
            let Some(child) = node.child(part) else {
                continue;
            };
            if next.iter().all(|(_, known)| !std::ptr::eq(*known, child)) {
                next.push((format!("{path}.{part}"), child));
            }
        }
        if next.is_empty() {
            return Err((*part).to_owned());
        }
        found = next;
    }
    Ok(found)
}

impl NodeSchema {
    /// The child of that name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&'static NodeSchema> {
        let found = self.children.iter().find(|c| c.node.name == name);
        found.map(|c| c.node)
    }

    /// The property of that name.
    #[must_use]
    pub fn prop(&self, name: &str) -> Option<&'static Field> {
        self.props.iter().find(|p| p.name == name)
    }

    /// One line that shows how it is written.
    #[must_use]
    pub fn usage(&self) -> String {
        let mut out = self.name.to_owned();
        for arg in self.args {
            let (open, close) = if arg.required { ("<", ">") } else { ("[", "]") };
            out += &format!(" {open}{}{close}", arg.name);
        }
        if let Some(rest) = &self.rest {
            out += &format!(" <{}…>", rest.name);
        }
        for prop in self.props {
            let (open, close) = if prop.required { ("", "") } else { ("[", "]") };
            out += &format!(" {open}{}=…{close}", prop.name);
        }
        if let Some(open) = &self.open_props {
            out += &format!(" <{}>=…", open.name);
        }
        if !self.children.is_empty() || self.open_children.is_some() {
            out += " { … }";
        }
        out
    }
}

/// Starts a node; the methods below fill it in.
pub(crate) const fn node(name: &'static str, doc: &'static str) -> NodeSchema {
    NodeSchema {
        name,
        doc,
        args: &[],
        rest: None,
        props: &[],
        open_props: None,
        children: &[],
        open_children: None,
        example: "",
    }
}

/// A field that must be there; `.opt()` makes it optional.
pub(crate) const fn field(name: &'static str, ty: Type, doc: &'static str) -> Field {
    Field {
        name,
        ty,
        required: true,
        default: None,
        doc,
    }
}

/// A field that may be left out.
pub(crate) const fn opt(name: &'static str, ty: Type, doc: &'static str) -> Field {
    Field {
        required: false,
        ..field(name, ty, doc)
    }
}

impl Field {
    pub(crate) const fn default(self, value: &'static str) -> Field {
        Field {
            required: false,
            default: Some(value),
            ..self
        }
    }
}

impl NodeSchema {
    pub(crate) const fn args(mut self, args: &'static [Field]) -> Self {
        self.args = args;
        self
    }
    pub(crate) const fn rest(mut self, rest: Field) -> Self {
        self.rest = Some(rest);
        self
    }
    pub(crate) const fn props(mut self, props: &'static [Field]) -> Self {
        self.props = props;
        self
    }
    pub(crate) const fn open_props(mut self, open: Field) -> Self {
        self.open_props = Some(open);
        self
    }
    pub(crate) const fn open_children(mut self, open: Field) -> Self {
        self.open_children = Some(open);
        self
    }
    pub(crate) const fn children(mut self, children: &'static [Child]) -> Self {
        self.children = children;
        self
    }
    pub(crate) const fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }
}

pub(crate) const fn once(node: &'static NodeSchema) -> Child {
    Child {
        node,
        count: Count::Once,
    }
}

pub(crate) const fn some(node: &'static NodeSchema) -> Child {
    Child {
        node,
        count: Count::Some,
    }
}

pub(crate) const fn many(node: &'static NodeSchema) -> Child {
    Child {
        node,
        count: Count::Many,
    }
}
