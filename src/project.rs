//! The pipeline of this folder: found, read, checked; and what a run of it would be about.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dsl::render;
use dsl::{Known, Loaded};
use engine::cache::{Cache, Memory, Scope, Settings, definition, trim};
use engine::oci::Layout;
use engine::plan::{Plan, PlanError, Request};
use engine::record::Runs;
use engine::run::Options;
use engine::run::forecast::{Forecast, forecast};
use engine::run::outcome::exit;
use engine::world::{self, Changed, Context, Flags, Git, Includes, changed_paths};
use indexmap::IndexMap;

use crate::args::{About, Global};
use crate::failed::Failed;
use crate::ui::out::Out;

/// The name that is looked for.
pub const FILE: &str = "pipeline.kdl";

/// A pipeline on disk.
pub struct Project {
    /// The folder of the file, absolute.
    pub root: PathBuf,
    /// The file's name in it.
    pub file: String,
    /// What the file means.
    pub loaded: Loaded,
    /// What the file itself means, if that was not known. A command may have added to `loaded` since.
    news: Option<Known>,
    /// What the checkout remembers, once somebody has asked.
    memory: RefCell<Option<(Scope, Memory)>>,
    /// The user's cache folder; none where nobody says where it is.
    pub cache: Option<PathBuf>,
}

impl Project {
    /// Finds and reads the pipeline; mistakes in it are in `loaded`.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn open(global: &Global) -> Result<Self, Failed> {
        Self::read(&find(global)?, global)
    }

    fn read(path: &Path, global: &Global) -> Result<Self, Failed> {
        let root = folder_of(path);
        let cache = cache_folder(global)?;
        let files = Includes::new(&root, &env);
        let known = cache.as_deref();
        let known = known.and_then(|folder| definition::known(folder, path, &files));
        let (loaded, news) = match known {
            Some(loaded) => (loaded, None),
            None => {
                let loaded = dsl::load_file_with(path, &files).map_err(|why| {
                    let shown = path.display();
                    Failed::usage(format!("{shown} cannot be read: {why}"))
                        .hint("`--file` names another file; `pipe init` writes one")
                })?;
                let news = Known::of(&loaded);
                (loaded, news)
            }
        };
        let file = path
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        Ok(Self {
            root,
            file,
            loaded,
            news,
            memory: RefCell::default(),
            cache,
        })
    }

    /// Keeps what the file means for the next run. One that cannot be kept is read again.
    pub fn remember(&self) {
        if let (Some(folder), Some(news)) = (&self.cache, &self.news) {
            let _ = definition::keep(folder, &self.root.join(&self.file), news);
        }
    }

    /// Like `open`, and without errors in the file; findings are told.
    ///
    /// # Errors
    /// When there is no such pipeline.
    pub fn open_sound(global: &Global, out: &Out) -> Result<Self, Failed> {
        Self::open(global)?.sound(out)
    }

    /// The same for a run: what the checkout remembers is read meanwhile.
    ///
    /// # Errors
    /// When there is no such pipeline.
    pub fn open_to_run(global: &Global, out: &Out) -> Result<Self, Failed> {
        let path = find(global)?;
        // Nearly every run is one that is trusted.
        let settings = cache_folder(global)?.map(|folder| Settings::of(folder, folder_of(&path)));
        let memory = settings.map(|s| (Scope::Trusted, Memory::of(&s)));
        let project = Self::read(&path, global)?.sound(out)?;
        project.memory.replace(memory);
        Ok(project)
    }

    fn sound(self, out: &Out) -> Result<Self, Failed> {
        if self.loaded.has_errors() {
            out.report(&self.findings(out));
            return Err(Failed::told(exit::USAGE));
        }
        Ok(self)
    }

    /// The findings for a person.
    #[must_use]
    pub fn findings(&self, out: &Out) -> String {
        human(&self.loaded.diagnostics, &self.loaded.sources, out)
    }

    /// The hash of all texts of the pipeline: the same definition has the same.
    #[must_use]
    pub fn definition(&self) -> String {
        let mut hash = blake3::Hasher::new();
        for source in self.loaded.sources.iter() {
            hash.update(source.text.as_bytes());
            hash.update(&[0]);
        }
        hash.finalize().to_hex().to_string()
    }

    /// The runs of this checkout.
    #[must_use]
    pub fn runs(&self) -> Runs {
        Runs::of(&self.root)
    }

    /// What a run would be about.
    ///
    /// # Errors
    /// When the flags contradict each other.
    pub fn request(
        &self,
        about: &About,
        into: Option<&String>,
        names: &[String],
        out: &Out,
    ) -> Result<Request, Failed> {
        let flags = Flags {
            event: about.event,
            branch: about.branch.clone(),
            tag: about.tag.clone(),
            into: into.cloned(),
            pr: about.pr,
            sha: None,
            base: about.base.clone(),
        };
        let asks = self.loaded.pipeline.asks_for_commit();
        let (context, notes) = world::context(&self.root, &env, &flags, asks)
            .map_err(|e| Failed::usage(e.to_string()).hint(e.remedy()))?;
        notes.iter().for_each(|note| tracing::debug!("{note}"));
        if !context.trusted {
            // The engine notes a reason where nothing was found that says yes; a fork needs no note.
            let why = notes
                .iter()
                .find(|n| n.starts_with("this run is not trusted"));
            out.warning(why.map_or(
                "this run is not trusted, as it is for a fork: no secrets, no changes outside",
                |w| w,
            ));
        }
        let asks_paths = self.loaded.pipeline.asks_for_paths();
        let changed = if asks_paths && names.is_empty() {
            changed_paths(&Git::new(&self.root, &env), &context)
        } else {
            Changed::Unknown("nothing asks for it".to_owned())
        };
        if let (true, Changed::Unknown(why)) = (asks_paths && names.is_empty(), &changed) {
            out.warning(&format!(
                "changed files are not known, so every `paths` condition holds: {why}"
            ));
        }
        let mut params = IndexMap::new();
        for (name, value) in &about.params {
            if params.insert(name.clone(), value.clone()).is_some() {
                return Err(Failed::usage(format!(
                    "the parameter `{name}` is given twice"
                )));
            }
        }
        Ok(Request {
            context,
            names: names.to_vec(),
            everything: false,
            params,
            changed,
            date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            versions: self.versions(),
        })
    }

    /// The versions that stand in files of the repository.
    #[must_use]
    pub fn versions(&self) -> IndexMap<String, Result<String, String>> {
        let all = self.loaded.pipeline.versions.iter();
        let read = all.filter_map(|(name, version)| {
            let found = engine::release::in_file(&version.scheme, &self.root).transpose()?;
            Some((name.clone(), found))
        });
        read.collect()
    }

    /// The plan of a run.
    ///
    /// # Errors
    /// When the request does not fit, or values are missing; findings are told.
    pub fn plan(&self, request: Request, out: &Out) -> Result<Plan, Failed> {
        let memory = self.memory(&request.context);
        let expected = |step: &str| {
            let millis = memory.as_ref()?.steps.millis(step)?;
            Some(Duration::from_millis(millis))
        };
        engine::plan::plan(&self.loaded.pipeline, request, &expected).map_err(|e| match e {
            PlanError::Request(errors) => {
                let mut failed = Failed::told(exit::USAGE);
                for error in errors {
                    failed = failed.and(error.message, Some(error.help));
                }
                failed
            }
            PlanError::Findings(findings) => {
                out.report(&human(&findings, &self.loaded.sources, out));
                Failed::told(exit::USAGE)
            }
        })
    }

    /// What a run would do with each step of a plan, and why.
    #[must_use]
    pub fn forecast(&self, plan: &Plan) -> Vec<Forecast> {
        let context = &plan.request.context;
        let known = self.cache_settings(context).zip(self.memory(context));
        let mut options = Options::of(self.root.clone());
        options.cache = known.map(|(s, memory)| Arc::new(Cache::open_with(s, memory)));
        if let Some(images) = self.images() {
            options.images = images;
        }
        forecast(plan, &options)
    }

    /// What the checkout remembers of runs like one about this; read once.
    #[must_use]
    pub fn memory(&self, context: &Context) -> Option<Memory> {
        let settings = self.cache_settings(context)?;
        let mut read = self.memory.borrow_mut();
        match &*read {
            Some((scope, memory)) if *scope == settings.scope => Some(memory.clone()),
            _ => {
                let memory = Memory::of(&settings);
                *read = Some((settings.scope, memory.clone()));
                Some(memory)
            }
        }
    }

    /// Where images are kept that runs build.
    #[must_use]
    pub fn images(&self) -> Option<Layout> {
        self.cache.as_deref().map(trim::images_beneath)
    }

    /// The cache for a run about this, if there is one.
    #[must_use]
    pub fn cache_settings(&self, context: &Context) -> Option<Settings> {
        let change = context
            .pr
            .as_ref()
            .map(|pr| (pr.number, pr.source.as_ref()));
        Some(Settings {
            scope: Scope::of(context.trusted, &format!("{change:?}")),
            ..Settings::of(self.cache.clone()?, self.root.clone())
        })
    }
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The folder of the user's cache: the one that was named, or the usual one.
///
/// # Errors
/// When the folder to which a name is relative is not there.
pub fn cache_folder(global: &Global) -> Result<Option<PathBuf>, Failed> {
    if let Some(named) = &global.cache_dir {
        return Ok(Some(here(global)?.join(named)));
    }
    let folder = |name: &str| {
        let path = std::env::var_os(name).map(PathBuf::from);
        path.filter(|p| p.is_absolute())
    };
    let usual = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    Ok(usual.map(|p| p.join("pipe")))
}

/// Findings for a person, as wide as the terminal.
#[must_use]
pub fn human(
    findings: &[dsl::diagnostic::Diagnostic],
    sources: &dsl::source::SourceMap,
    out: &Out,
) -> String {
    let style = render::Style {
        color: out.color,
        links: false,
        width: out.width.min(120),
        unicode: out.unicode,
    };
    render::human(findings, sources, &style)
}

/// The folder to which paths of the command line are relative.
///
/// # Errors
/// When there is no such folder.
pub fn here(global: &Global) -> Result<PathBuf, Failed> {
    let Some(dir) = &global.directory else {
        return std::env::current_dir()
            .map_err(|e| Failed::machine(format!("the current folder: {e}")));
    };
    let shown = dir.display();
    match dir.canonicalize() {
        Ok(here) if here.is_dir() => Ok(here),
        Ok(_) => Err(Failed::usage(format!("{shown} is not a folder"))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(Failed::usage(format!("there is no folder {shown}")))
        }
        Err(e) => Err(Failed::usage(format!("the folder {shown}: {e}"))),
    }
}

/// The file that was named, or the nearest one from here upwards.
fn find(global: &Global) -> Result<PathBuf, Failed> {
    let here = here(global)?;
    if let Some(file) = &global.file {
        let path = here.join(file);
        return if path.exists() {
            path.canonicalize()
                .map_err(|e| Failed::usage(format!("{}: {e}", path.display())))
        } else {
            Err(
                Failed::usage(format!("there is no file {}", file.display()))
                    .hint("`pipe init` writes a first pipeline"),
            )
        };
    }
    let found = here
        .ancestors()
        .map(|dir| dir.join(FILE))
        .find(|path| path.symlink_metadata().is_ok());
    found.ok_or_else(|| {
        Failed::usage(format!(
            "there is no {FILE} in {} or above it",
            here.display()
        ))
        .hint("`pipe init` writes a first one; `--file` names another")
    })
}
