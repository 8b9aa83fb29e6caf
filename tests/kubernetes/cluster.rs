//! The cluster, started once, apart from everything else on the machine, and ended with the test program; and a shop in a
//! namespace of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::network::{self, Answer, Asking};
use crate::started::Started;
use crate::support::{Output, Project, brought_up, skip};

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(180);

/// Its only node.
const NODE: Ipv4Addr = Ipv4Addr::new(10, 250, 0, 1);

/// The cluster, while it runs: it ends with its input.
pub struct Cluster {
    folder: PathBuf,
    /// The first process of its own little machine.
    inside: i32,
    /// What ends with the test program.
    _ending: Child,
}

/// What the setup built.
pub fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/kubernetes")
}

fn start() -> Result<Cluster, String> {
    if !rustix::process::getuid().is_root() {
        return Err("only root can start a Kubernetes".to_owned());
    }
    if !programs().join("built").exists() {
        return Err("there is no Kubernetes; tests/setup-kubernetes.sh builds it".to_owned());
    }
    let folder = tempfile::Builder::new()
        .prefix("pipe-kubernetes-")
        .tempdir();
    // The script removes it.
    let folder = folder.map_err(|e| e.to_string())?.keep();
    let mut script = Command::new("sh");
    script.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubernetes/up.sh"));
    script.arg(&folder).arg(programs());
    let child = brought_up("Kubernetes", script, &folder.join("up"), PATIENCE)?;
    Ok(Cluster {
        folder,
        inside: crate::started::inside(&child),
        _ending: child,
    })
}

/// The cluster, where it can be had; says why not where it cannot.
pub fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Result<Cluster, String>> = OnceLock::new();
    match CLUSTER.get_or_init(start) {
        Ok(cluster) => Some(cluster),
        Err(why) => {
            skip(why);
            None
        }
    }
}

impl Cluster {
    /// The words by which a command gets into its network.
    pub fn around(&self) -> Vec<String> {
        let inside = self.inside.to_string();
        let words = ["nsenter", "--target", &inside, "--net", "--"];
        words.map(str::to_owned).to_vec()
    }

    /// Its network.
    pub fn network(&self) -> network::Of {
        Some(self.inside)
    }

    /// A command in its network.
    pub fn command(&self, words: &[&str]) -> Command {
        let around = self.around();
        let mut command = Command::new(&around[0]);
        command.args(&around[1..]).args(words);
        command
    }

    /// The binary on a project, in its network.
    pub fn pipe(&self, project: &Project, args: &[&str]) -> Command {
        project.behind(&self.around(), &project.command(args))
    }

    /// What kubectl says; it must succeed.
    #[track_caller]
    pub fn kubectl(&self, args: &[&str]) -> String {
        let out = self.kubectl_command(args).output().unwrap();
        let complaint = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "kubectl {args:?}: {complaint}");
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// kubectl, not yet started.
    pub fn kubectl_command(&self, args: &[&str]) -> Command {
        let kubectl = programs().join("kubectl").display().to_string();
        let mut command = self.command(&[&[kubectl.as_str()], args].concat());
        command.env("KUBECONFIG", self.kubeconfig());
        command
    }

    /// Who may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// An image of the shop with these variables, in the registry: its reference by digest.
    pub fn image(&self, env: &[&str]) -> String {
        static MADE: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());
        let mut made = MADE.lock().unwrap();
        let name = env.join(" ").replace(['=', ' '], "-").to_lowercase();
        if let Some((_, reference)) = made.iter().find(|(n, _)| *n == name) {
            return reference.clone();
        }
        let tag = format!("127.0.0.1:5000/shop:{name}");
        let tar = self.folder.join("box.tar").display().to_string();
        let mut import = vec![
            "import".to_owned(),
            "-c".to_owned(),
            "CMD [\"/bin/serve\"]".to_owned(),
        ];
        for variable in env {
            import.extend(["-c".to_owned(), format!("ENV {variable}")]);
        }
        import.extend([tar, tag.clone()]);
        self.docker(&import.iter().map(String::as_str).collect::<Vec<_>>());
        self.docker(&["push", "-q", &tag]);
        let format = "{{range .RepoDigests}}{{.}}{{end}}";
        let reference = self.docker(&["image", "inspect", "--format", format, &tag]);
        assert!(reference.contains("@sha256:"), "{reference}");
        made.push((name, reference.clone()));
        reference
    }

    /// Where its Docker listens.
    pub fn docker_socket(&self) -> String {
        format!("unix://{}/docker.sock", self.folder.display())
    }

    fn docker(&self, args: &[&str]) -> String {
        let socket = self.docker_socket();
        let out = Command::new("docker")
            .args(["--host", &socket])
            .args(args)
            .output();
        let out = out.unwrap();
        let complaint = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "docker {args:?}: {complaint}");
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// A shop that says `1`.
    pub fn good(&self, version: &str) -> String {
        self.image(&[&format!("GREETING={version}")])
    }
}

/// A shop in a namespace of its own.
pub struct Shop {
    pub cluster: &'static Cluster,
    pub project: Project,
    /// The namespace.
    pub name: String,
    /// The port at the node.
    pub port: u16,
}

/// What a shop's target differs in.
#[derive(Clone, Copy, Default)]
pub struct Target<'t> {
    /// Properties of `kubernetes`, instead of the usual ones.
    pub properties: Option<&'t str>,
    /// Nodes of the target.
    pub nodes: &'t str,
    /// Nodes before it.
    pub before: &'t str,
}

/// How long a good release may take on a machine that has much else to do.
pub const WITHIN: &str = "within=\"90s\"";

/// The time of the slowest good release so far, in seconds.
static SLOWEST: AtomicU64 = AtomicU64::new(0);

/// Remembers how long a release took that is a good one.
pub fn was_good(began: Instant) {
    SLOWEST.fetch_max(began.elapsed().as_secs(), Ordering::Relaxed);
}

/// How long somebody waits for a release of which it is known that it is bad: what goes wrong has to be seen, and the way
/// back has no longer than that.
pub fn impatience() -> String {
    let within = (SLOWEST.load(Ordering::Relaxed) * 3 / 2).clamp(25, 90);
    format!("within=\"{within}s\"")
}

impl Shop {
    pub fn new(cluster: &'static Cluster, name: &str, port: u16) -> Self {
        Self::with(cluster, name, port, Target::default())
    }

    pub fn with(cluster: &'static Cluster, name: &str, port: u16, target: Target<'_>) -> Self {
        let kubectl = programs().join("kubectl").display().to_string();
        let usual = format!("manifests=\"k8s\" kubectl=\"{kubectl}\"");
        let properties = target.properties.unwrap_or(&usual);
        let Target { nodes, before, .. } = target;
        let text = format!(
            "pipeline p {{\n    pass-env KUBECONFIG\n}}\nparam digest\n{before}target live {{\n    kubernetes {properties} namespace=\"{name}\"\n    \
             {nodes}\n    ready \"http://10.250.0.1:{port}/\" {WITHIN} every=\"300ms\"\n}}\n\
             stage ship {{\n    deploy shop to=live {{\n        digest shop=\"${{param.digest}}\"\n    }}\n}}\n"
        );
        let project = Project::with(&text);
        project.write("k8s/service.yml", &service(port));
        project.write("k8s/shop.yaml", DEPLOYMENT);
        cluster.kubectl(&["create", "namespace", name]);
        Self {
            cluster,
            project: project.git(),
            name: name.to_owned(),
            port,
        }
    }

    /// The binary, in the cluster's network.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.cluster.pipe(&self.project, args);
        command.env("KUBECONFIG", self.cluster.kubeconfig());
        command
    }

    pub fn pipe(&self, args: &[&str]) -> Output {
        self.project.output(&mut self.command(args))
    }

    /// Deploys an image.
    pub fn deploy(&self, reference: &str) -> Output {
        let digest = format!("digest={reference}");
        let began = Instant::now();
        let out = self.pipe(&["run", "deploy-live", "--yes", "--param", &digest]);
        if out.code == Some(0) {
            was_good(began);
        }
        out
    }

    /// Deploys an image that is known to be bad.
    pub fn deploy_bad(&self, reference: &str) -> Output {
        let text = self.project.read("pipeline.kdl");
        self.impatient();
        let out = self.deploy(reference);
        self.project.write("pipeline.kdl", &text);
        out
    }

    /// From now on nobody waits long.
    pub fn impatient(&self) {
        let text = self.project.read("pipeline.kdl");
        let impatient = text.replace(WITHIN, &impatience());
        self.project.write("pipeline.kdl", &impatient);
    }

    /// Begins to deploy an image.
    pub fn begin(&self, reference: &str) -> Started<'_> {
        let digest = format!("digest={reference}");
        let args = ["run", "deploy-live", "--yes", "--param", &digest];
        Started::of(&self.project, &mut self.command(&args))
    }

    pub fn kubectl(&self, args: &[&str]) -> String {
        let namespace = format!("--namespace={}", self.name);
        self.cluster
            .kubectl(&[&[namespace.as_str()], args].concat())
    }

    /// Waits until what somebody has applied by hand runs.
    pub fn rolled_out(&self, title: &str) {
        let began = Instant::now();
        self.kubectl(&["rollout", "status", title, "--timeout=120s"]);
        was_good(began);
    }

    /// What the pods that are there for good are told to run.
    pub fn images(&self) -> Vec<String> {
        let path = "jsonpath={range .items[*]}{.metadata.deletionTimestamp} {.status.containerStatuses[*].imageID}{\"\\n\"}{end}";
        let lines = self.kubectl(&["get", "pods", "-o", path]);
        let ids = lines
            .lines()
            .filter_map(|l| l.trim().strip_prefix("docker-pullable://"));
        let mut ids: Vec<String> = ids.map(str::to_owned).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// What whoever asks gets.
    pub fn answers(&self) -> String {
        let asking = || network::get(self.address(), "/");
        good(network::within(self.cluster.network(), asking))
    }

    /// Somebody who asks all the time.
    pub fn asking(&self) -> Asking {
        Asking::of(self.cluster.network(), self.address(), good)
    }

    fn address(&self) -> SocketAddr {
        (NODE, self.port).into()
    }
}

/// What an answer says, if it is a good one.
fn good(answer: Answer) -> String {
    match answer {
        Some((200, text)) => text.trim().to_owned(),
        _ => "FAILED".to_owned(),
    }
}

/// What somebody heard who asked all the time, each once; and how often.
pub fn heard(asking: Asking) -> (Vec<String>, usize) {
    let mut different = asking.heard();
    let asked = different.len();
    different.sort();
    different.dedup();
    (different, asked)
}

fn service(port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: shop}}\nspec:\n  type: NodePort\n  selector: {{app: shop}}\n  \
         ports: [{{port: 80, targetPort: 8080, nodePort: {port}}}]\n"
    )
}

/// A shop of two pods; its image is put in by pipe.
pub const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 10
      containers:
        - name: shop
          image: shop
          readinessProbe:
            httpGet: {path: /ready, port: 8080}
            periodSeconds: 1
";
