//! The fields that rules can name.
//!
//! One table. The names are those of the Sigma taxonomy, which took them from Sysmon; what Sigma has no name for has
//! one of ours in the same manner. Each stands for fields of ECS as the event's line shows them, separated by `|`: any of
//! those that are there. Rules, tests and events given as JSON may have other names: a set of rules numbers
//! them behind those of the table.

use std::collections::HashMap;

/// The number of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Field(pub u16);

impl Field {
    /// Its place in a row.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

macro_rules! fields {
    ($($(#[doc = $doc:literal])+ $constant:ident = $name:literal, $ecs:literal;)+) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "only numbers the constants")]
        #[repr(u16)]
        enum Number { $($constant,)+ End }

        impl Field {
            $($(#[doc = $doc])+ pub const $constant: Field = Field(Number::$constant as u16);)+
        }

        /// Number of fields in the table.
        pub const KNOWN: usize = Number::End as usize;

        /// Name, ECS fields and meaning of each.
        pub const TABLE: [(&str, &str, &str); KNOWN] = [
            $(($name, $ecs, concat!($($doc),+).trim_ascii()),)+
        ];
    };
}

fields! {
    /// What was done, where a category has several: `create`, `chmod`, `attach`.
    EVENT_TYPE = "EventType", "sentineledge.file.operation|sentineledge.network.operation|sentineledge.ptrace.request|sentineledge.process_memory.operation|sentineledge.module.operation|sentineledge.bpf.command|sentineledge.namespace.operation|sentineledge.memory_exec.operation|sentineledge.prctl.option|sentineledge.keyring.operation|sentineledge.clock.operation|sentineledge.reboot.command|sentineledge.kexec.operation|sentineledge.credentials.call|dns.type|event.action";
    /// `success` or `failure`. Rules that don't name it see successes only, but for attempts to connect.
    OUTCOME = "Outcome", "event.outcome";
    /// The error of a failure, such as `EACCES`.
    ERRNO = "Errno", "error.code";
    /// `true` if it went through io_uring.
    VIA_IO_URING = "ViaIoUring", "sentineledge.via_io_uring";
    /// `true` if an argument in user memory is not what the kernel acted on.
    ARGUMENT_SWAP = "ArgumentSwap", "sentineledge.argument_swap";
    /// The program's file: resolved, as invoked, and the script that is run; any of them.
    IMAGE = "Image", "process.executable|sentineledge.executable.invoked|sentineledge.script.path";
    /// The arguments, joined by blanks.
    COMMAND_LINE = "CommandLine", "process.command_line|sentineledge.attempted.command_line";
    /// The working directory.
    CURRENT_DIRECTORY = "CurrentDirectory", "process.working_directory";
    /// Name of the real user.
    USER = "User", "user.name";
    /// Name of the effective user.
    EFFECTIVE_USER = "EffectiveUser", "user.effective.name|user.name";
    /// The user id that the session began with.
    LOGON_ID = "LogonId", "sentineledge.login.user.id";
    /// Process id.
    PROCESS_ID = "ProcessId", "process.pid";
    /// The parent's program: resolved and as invoked; any of them.
    PARENT_IMAGE = "ParentImage", "process.parent.executable";
    /// The parent's arguments.
    PARENT_COMMAND_LINE = "ParentCommandLine", "process.parent.command_line";
    /// The parent's process id.
    PARENT_PROCESS_ID = "ParentProcessId", "process.parent.pid";
    /// Programs of all ancestors that are known; any of them.
    ANCESTOR_IMAGES = "AncestorImages", "sentineledge.ancestors.name";
    /// The terminal session or process tree.
    SESSION_ID = "SessionId", "process.session_leader.entity_id";
    /// `true` if there is a controlling terminal.
    INTERACTIVE = "Interactive", "process.interactive";
    /// Id of the container.
    CONTAINER_ID = "ContainerId", "container.id";
    /// What runs the container.
    CONTAINER_RUNTIME = "ContainerRuntime", "container.runtime";
    /// What the runtime calls the container.
    CONTAINER_NAME = "ContainerName", "container.name";
    /// The image that the container was made of, without tag and digest.
    CONTAINER_IMAGE = "ContainerImage", "container.image.name";
    /// Name of the Kubernetes pod.
    POD_NAME = "PodName", "orchestrator.resource.name";
    /// Namespace of the Kubernetes pod.
    POD_NAMESPACE = "PodNamespace", "orchestrator.namespace";
    /// Path of the control group.
    CGROUP = "Cgroup", "sentineledge.cgroup.path";
    /// What is special about the program's file: `memfd`, `deleted`, `upper_layer`, `setuid`, `script`.
    EXE_FLAGS = "ExeFlags", "sentineledge.executable";
    /// Variables of the environment that are recorded, as `NAME=value`; any of them.
    ENVIRONMENT = "Environment", "process.env_vars";
    /// As wait(2) has it.
    EXIT_CODE = "ExitCode", "process.exit_code";
    /// Name of a signal, such as `SIGKILL`.
    SIGNAL = "Signal", "sentineledge.signal.name|sentineledge.exit.signal_name";
    /// The file that was acted on.
    TARGET_FILENAME = "TargetFilename", "file.path";
    /// The old name, or what a link leads to, or a device that is mounted.
    SOURCE_FILENAME = "SourceFilename", "sentineledge.file.source_path|sentineledge.mount.source|file.target_path";
    /// Permissions in octal digits, such as `4755`.
    MODE = "Mode", "file.mode";
    /// Those before.
    OLD_MODE = "OldMode", "sentineledge.file.before.mode";
    /// User id of the owner.
    OWNER_ID = "OwnerId", "file.uid";
    /// Name of an extended attribute.
    XATTR_NAME = "XattrName", "sentineledge.file.attribute";
    /// Kind of a file system.
    FILESYSTEM_TYPE = "FilesystemType", "sentineledge.mount.type";
    /// The address on the other side.
    DESTINATION_IP = "DestinationIp", "destination.ip";
    /// The port on the other side.
    DESTINATION_PORT = "DestinationPort", "destination.port";
    /// The name by which the process found the address.
    DESTINATION_HOSTNAME = "DestinationHostname", "destination.domain";
    /// The address on this side.
    SOURCE_IP = "SourceIp", "source.ip";
    /// The port on this side.
    SOURCE_PORT = "SourcePort", "source.port";
    /// `true` if this side asked for the connection.
    INITIATED = "Initiated", "network.direction";
    /// `tcp` or `udp`.
    PROTOCOL = "Protocol", "network.transport";
    /// The name asked for.
    QUERY_NAME = "QueryName", "dns.question.name";
    /// Type of the record asked for.
    QUERY_TYPE = "QueryType", "dns.question.type";
    /// The answer's code.
    QUERY_STATUS = "QueryStatus", "dns.response_code";
    /// Addresses and names in the answer; any of them.
    QUERY_RESULTS = "QueryResults", "dns.answers.data";
    /// Program of the process that something was done to.
    TARGET_IMAGE = "TargetImage", "sentineledge.target.executable";
    /// Its process id.
    TARGET_PROCESS_ID = "TargetProcessId", "sentineledge.target.pid";
    /// Its user.
    TARGET_USER = "TargetUser", "sentineledge.target.user.name";
    /// `true` if it is this agent.
    TARGET_IS_AGENT = "TargetIsAgent", "sentineledge.target.agent";
    /// A kernel module's file.
    IMAGE_LOADED = "ImageLoaded", "file.path";
    /// A kernel module's name.
    MODULE_NAME = "ModuleName", "sentineledge.module.name";
    /// `true` if a module's signature was found good.
    SIGNED = "Signed", "sentineledge.module.signed";
    /// The user before a change of credentials.
    OLD_USER = "OldUser", "sentineledge.credentials.old.user.name";
    /// The user after it.
    NEW_USER = "NewUser", "user.effective.name|user.name";
    /// Effective capabilities that came with it; any of them.
    NEW_CAPABILITIES = "NewCapabilities", "sentineledge.credentials.gained";
    /// A name that was given: of memory, of a process, of the host.
    NAME = "Name", "sentineledge.memfd.name|sentineledge.prctl.name|sentineledge.host_name.name|sentineledge.keyring.description|sentineledge.bpf.object.name";
    /// `true` if memory is both writable and executable.
    WRITE_EXEC = "WriteExec", "sentineledge.memory_exec.write_and_execute";
    /// `true` if memory has no file behind it.
    ANONYMOUS = "Anonymous", "sentineledge.memory_exec.anonymous";
    /// Kinds of namespaces; any of them.
    NAMESPACES = "Namespaces", "sentineledge.namespace.types";
    /// Type of a BPF program.
    PROGRAM_TYPE = "ProgramType", "sentineledge.bpf.object.type";
    /// `true` if a BPF object of this agent was reached for.
    OWN_OBJECT = "OwnObject", "sentineledge.bpf.own_object";
    /// When it happened, as `@timestamp` shows it.
    UTC_TIME = "UtcTime", "@timestamp";
    /// auditd: type of the record.
    AUDIT_TYPE = "type", "sentineledge.audit.type";
    /// auditd: name of the system call.
    AUDIT_SYSCALL = "SYSCALL", "sentineledge.audit.syscall";
    /// auditd: name of the process.
    AUDIT_COMM = "comm", "process.name";
    /// auditd: the program's file.
    AUDIT_EXE = "exe", "process.executable";
    /// auditd: a path.
    AUDIT_NAME = "name", "file.path";
    /// auditd: what happened to the path.
    AUDIT_NAMETYPE = "nametype", "sentineledge.audit.nametype";
    /// auditd: effective user id.
    AUDIT_EUID = "euid", "user.effective.id";
    /// auditd: real user id.
    AUDIT_UID = "uid", "user.id";
    /// auditd: the working directory.
    AUDIT_CWD = "cwd", "process.working_directory";
    /// auditd: `yes` or `no`.
    AUDIT_SUCCESS = "success", "event.outcome";
    /// auditd: first argument.
    AUDIT_A0 = "a0", "process.args";
    /// auditd: second argument.
    AUDIT_A1 = "a1", "process.args";
    /// auditd: third argument.
    AUDIT_A2 = "a2", "process.args";
    /// auditd: fourth argument.
    AUDIT_A3 = "a3", "process.args";
    /// auditd: fifth argument.
    AUDIT_A4 = "a4", "process.args";
    /// auditd: sixth argument.
    AUDIT_A5 = "a5", "process.args";
    /// auditd: seventh argument.
    AUDIT_A6 = "a6", "process.args";
    /// auditd: eighth argument.
    AUDIT_A7 = "a7", "process.args";
    /// auditd: ninth argument.
    AUDIT_A8 = "a8", "process.args";
    /// auditd: tenth argument.
    AUDIT_A9 = "a9", "process.args";
}

/// Names of fields and their numbers, those of the table first. Names differ in their case, as in Sigma.
#[derive(Debug, Clone)]
pub struct Names {
    numbers: HashMap<Box<str>, Field>,
    names: Vec<Box<str>>,
}

impl Default for Names {
    fn default() -> Self {
        let mut names = Names { numbers: HashMap::new(), names: Vec::new() };
        for (name, ..) in TABLE {
            names.number(name);
        }
        names
    }
}

impl Names {
    /// The field of this name, which gets a number if it has none. `None` when numbers have run out.
    pub fn number(&mut self, name: &str) -> Option<Field> {
        if let Some(field) = self.numbers.get(name) {
            return Some(*field);
        }
        let field = Field(u16::try_from(self.names.len()).ok()?);
        self.numbers.insert(name.into(), field);
        self.names.push(name.into());
        Some(field)
    }

    /// The field of this name, if it has a number.
    pub fn find(&self, name: &str) -> Option<Field> {
        self.numbers.get(name).copied()
    }

    /// The name of a field.
    pub fn name(&self, field: Field) -> &str {
        self.names.get(field.index()).map_or("", |name| name)
    }
}
