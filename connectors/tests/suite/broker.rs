//! A real Kafka broker for the test process, which ends with it, and a client of it in Python.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The password of each of its users.
pub const PASSWORD: &str = "not-to-be-seen-anywhere";

/// A broker with a listener of each kind.
pub struct Broker {
    /// Not encrypted, everybody may do everything.
    pub plain: u16,
    /// User and password, not encrypted.
    pub sasl: u16,
    /// TLS.
    pub tls: u16,
    /// User and password over TLS.
    pub sasl_tls: u16,
    folder: PathBuf,
    /// The broker stops and the folder goes when this shell's input ends, which is when the test process does.
    shell: Child,
}

impl Broker {
    /// Settings of a connection.
    pub fn settings(&self, further: Value) -> Value {
        let mut settings = json!({ "bootstrap": format!("127.0.0.1:{}", self.plain) });
        settings.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        settings
    }

    /// The authority that signed its certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// A client.
    pub fn client(&self) -> Client {
        Client::start(&format!("127.0.0.1:{}", self.plain))
    }

    /// Ends the broker's process, as a machine that loses its power does.
    pub fn kill(&mut self) {
        self.signal("-KILL");
    }

    /// Freezes the broker's process: it accepts connections still, and answers nothing.
    pub fn freeze(&mut self) {
        self.signal("-STOP");
    }

    fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.folder.join("pid")).unwrap();
        assert!(Command::new("kill").args([signal, pid.trim()]).status().unwrap().success());
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// The broker of this process, started at its first use.
pub fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| start("kafka"))
}

/// A topic's name that no other test has.
pub fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("topic-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A process of Python that does what it is asked to.
pub struct Client {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Client {
    fn start(bootstrap: &str) -> Self {
        let python = std::env::var_os("HEADWATER_TEST_PYTHON").unwrap_or_else(|| "python3".into());
        let script = root().join("connectors/tests/suite/kafka_client.py");
        let mut process = Command::new(python)
            .arg(script)
            .arg(bootstrap)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { process, input, output: BufReader::new(output) }
    }

    /// Does one step and waits for it.
    pub fn run(&mut self, step: &Value) -> &mut Self {
        writeln!(self.input, "{step}").unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim(), "ok", "{step}");
        self
    }

    /// Makes a topic.
    pub fn create(&mut self, topic: &str, partitions: u32) -> &mut Self {
        self.run(&json!({ "do": "create", "topic": topic, "partitions": partitions }))
    }

    /// Sends values to a partition.
    pub fn send(&mut self, topic: &str, partition: u32, values: &[&str]) -> &mut Self {
        let messages: Vec<Value> = values.iter().map(|value| json!({ "value": value })).collect();
        self.run(&json!({ "do": "send", "topic": topic, "partition": partition, "messages": messages }))
    }

    /// Sends numbered messages to all partitions in turn.
    pub fn fill(&mut self, topic: &str, partitions: u32, first: u32, count: u32, size: usize) -> &mut Self {
        let step = json!({ "do": "fill", "topic": topic, "partitions": partitions, "first": first, "count": count, "size": size });
        self.run(&step)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The project's folder.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The folder with the broker's jars, which `scripts/kafka` fetches and prints.
fn jars() -> &'static Path {
    static JARS: OnceLock<PathBuf> = OnceLock::new();
    JARS.get_or_init(|| {
        if let Some(jars) = std::env::var_os("HEADWATER_TEST_KAFKA") {
            return PathBuf::from(jars);
        }
        let script = root().join("scripts/kafka");
        let done = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
        assert!(done.status.success(), "scripts/kafka could not fetch the broker that this test runs");
        PathBuf::from(String::from_utf8(done.stdout).unwrap().trim())
    })
}

/// A broker of its own, in a folder of that name.
pub fn start(name: &str) -> Broker {
    let folder = std::env::temp_dir().join(format!("hw-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    // Held until all are known, so that none is given out twice.
    let held: Vec<TcpListener> = (0..5).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<u16> = held.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
    drop(held);
    certificates(&folder);
    std::fs::write(folder.join("server.properties"), properties(&folder, &ports)).unwrap();
    let java = format!("java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '{}/*'", jars().display());
    let at = folder.display();
    let scram = ["SCRAM-SHA-256", "SCRAM-SHA-512"]
        .map(|mechanism| format!("--add-scram '{mechanism}=[name=admin,password={PASSWORD}]'"))
        .join(" ");
    let script = format!(
        "cd {at} && {java} kafka.tools.StorageTool format -t hwhwhwhwhwhwhwhwhwhwhw -c server.properties {scram} >log 2>&1 </dev/null
         {java} kafka.Kafka server.properties >>log 2>&1 </dev/null & pid=$!; echo $pid >pid; read line; kill -9 $pid; wait $pid; rm -rf {at}",
    );
    let mut shell = Command::new("/bin/sh");
    // Its own process group, so that a Ctrl-C for the tests doesn't leave the folder behind.
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    let shell = shell.args(["-c", &script]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let broker =
        Broker { plain: ports[0], sasl: ports[1], tls: ports[2], sasl_tls: ports[3], folder: folder.clone(), shell };
    let deadline = Instant::now() + Duration::from_secs(90);
    while !std::fs::read_to_string(folder.join("log")).unwrap_or_default().contains("Kafka Server started")
        || TcpStream::connect(("127.0.0.1", broker.plain)).is_err()
    {
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(Instant::now() < deadline, "{name} did not start: {}", log());
        // Its log is the only sign that it gives.
        std::thread::sleep(Duration::from_millis(50));
    }
    broker
}

fn properties(folder: &Path, ports: &[u16]) -> String {
    let [plain, sasl, tls, sasl_tls, controller] = ports else { unreachable!() };
    let listeners = format!(
        "PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl},SSL://localhost:{tls},SASL_SSL://localhost:{sasl_tls}"
    );
    let login = format!(
        "org.apache.kafka.common.security.plain.PlainLoginModule required user_admin=\"{PASSWORD}\" user_narrow=\"{PASSWORD}\";"
    );
    let (at, scram) = (folder.display(), "org.apache.kafka.common.security.scram.ScramLoginModule required;");
    format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners={listeners},CONTROLLER://127.0.0.1:{controller}\nadvertised.listeners={listeners}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT\n\
         controller.listener.names=CONTROLLER\ninter.broker.listener.name=PLAINTEXT\nlog.dirs={at}/data\n\
         listener.name.sasl_ssl.sasl.enabled.mechanisms=PLAIN\n\
         listener.name.sasl_plaintext.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n\
         listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config={scram}\n\
         listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config={scram}\nlistener.name.sasl_plaintext.plain.sasl.jaas.config={login}\n\
         listener.name.sasl_ssl.plain.sasl.jaas.config={login}\nssl.keystore.type=PEM\nssl.keystore.location={at}/broker.pem\n\
         authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         super.users=User:ANONYMOUS;User:admin\nallow.everyone.if.no.acl.found=true\n\
         offsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\nmessage.max.bytes=20000000\n\
         offsets.topic.num.partitions=1\ntransaction.state.log.num.partitions=1\n\
         log.cleaner.backoff.ms=200\nlog.segment.delete.delay.ms=200\nlog.initial.task.delay.ms=200\n"
    )
}

/// An authority, and a certificate for `localhost` that it signed, with its key in one file.
fn certificates(folder: &Path) {
    let run = |arguments: &str| {
        let done = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output().unwrap();
        assert!(done.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&done.stderr));
    };
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    run("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt");
    run("req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout broker.key -out broker.csr");
    run("x509 -req -in broker.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out broker.crt");
    run("pkcs8 -topk8 -nocrypt -in broker.key -out broker.p8");
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    std::fs::write(folder.join("broker.pem"), text("broker.p8") + &text("broker.crt") + &text("ca.crt")).unwrap();
}
