//! A virtual machine whose only file system is made of this host's programs and the kernel's modules.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::cargo::workspace;
use crate::kernels::debian::Kernel;
use crate::root::find;
use crate::setup::{Purpose, cache, coredns, programs};

/// Where the test programs are in the machine.
pub(crate) const TESTS: &str = "/tests";

/// How long one kernel may take, in seconds. Emulated on purpose: not every machine that has KVM has one that works, and
/// the verifier says the same.
const LIMIT: &str = "600";

/// The file system, but for the modules.
pub(crate) struct Machine {
    root: PathBuf,
}

/// What came of a boot.
pub(crate) struct Run {
    /// Whether the machine came to its end, and every test passed.
    pub(crate) passed: bool,
    /// All that the machine printed.
    pub(crate) output: String,
}

impl Machine {
    /// Puts the binary, the tests and what they start together.
    pub(crate) fn new(nsid: &Path, tests: &[(String, PathBuf)]) -> Result<Self> {
        let root = cache()?.join("kernels/machine");
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        let machine = Self { root };
        machine.put(&workspace()?.join("xtask/src/kernels/init.sh"), "/init")?;
        fs::set_permissions(machine.root.join("init"), Permissions::from_mode(0o755))?;
        machine.put(&program("busybox")?, "/bin/busybox")?;
        machine.write("/etc/passwd", "root:x:0:0:root:/:/bin/sh\n")?;
        let mut libraries = BTreeSet::new();
        // Each is where it is here.
        for name in programs::names(Purpose::Machine) {
            let program = program(name)?;
            machine.put(&program, &program.display().to_string())?;
            libraries.extend(libraries_of(&program)?);
        }
        machine.put(&coredns::path()?, "/coredns")?;
        machine.put(nsid, "/nsid")?;
        libraries.extend(libraries_of(nsid)?);
        for (name, test) in tests {
            machine.put(test, &format!("{TESTS}/{name}"))?;
            libraries.extend(libraries_of(test)?);
            // Debug information is most of it.
            let file = machine.root.join(format!("{TESTS}/{name}").trim_start_matches('/'));
            run(Command::new("strip").arg("--strip-debug").arg(file))?;
        }
        for library in libraries {
            machine.put(&library, &library.display().to_string())?;
        }
        Ok(machine)
    }

    /// Boots a kernel and runs test programs, one a line, with their arguments.
    pub(crate) fn boot(&self, kernel: &Kernel, tests: &str) -> Result<Run> {
        let modules = self.root.join("modules");
        if modules.exists() {
            fs::remove_dir_all(modules)?;
        }
        for module in kernel.modules()? {
            let name = module.file_name().context("a module has a name")?;
            self.put(&module, &format!("/modules/{}", name.display()))?;
        }
        self.write("/tests.list", tests)?;
        let archive = self.archive()?;
        let output = Command::new("timeout")
            .args([LIMIT, "qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max"])
            .args(["-m", "1024", "-nographic", "-nodefaults", "-serial", "stdio", "-no-reboot", "-kernel"])
            .arg(kernel.image())
            .arg("-initrd")
            .arg(archive)
            .args(["-append", "console=ttyS0 quiet panic=-1"])
            .stdin(Stdio::null())
            .output()
            .context("qemu does not start")?;
        let printed = [output.stdout, output.stderr].concat();
        let output = String::from_utf8_lossy(&printed).replace('\r', "");
        Ok(Run { passed: output.lines().any(|line| line == "all-tests: passed"), output })
    }

    /// The initial file system in the format of the kernel (Documentation/driver-api/early-userspace/buffer-format.rst).
    fn archive(&self) -> Result<PathBuf> {
        let archive = self.root.with_extension("cpio");
        let mut find = Command::new("find").current_dir(&self.root).stdout(Stdio::piped()).spawn()?;
        let names = find.stdout.take().context("find has no output")?;
        let mut cpio = Command::new(program("busybox")?);
        cpio.args(["cpio", "-o", "-H", "newc"]).current_dir(&self.root);
        let written = cpio.stdin(names).stdout(File::create(&archive)?).stderr(Stdio::null()).status()?;
        ensure!(find.wait()?.success() && written.success(), "{} cannot be written", archive.display());
        Ok(archive)
    }

    fn put(&self, file: &Path, to: &str) -> Result<()> {
        let to = self.place(to)?;
        fs::copy(file, to).with_context(|| format!("{} cannot be copied", file.display()))?;
        Ok(())
    }

    fn write(&self, to: &str, text: &str) -> Result<()> {
        Ok(File::create(self.place(to)?)?.write_all(text.as_bytes())?)
    }

    fn place(&self, path: &str) -> Result<PathBuf> {
        let place = self.root.join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().context("a file lies in a directory")?)?;
        Ok(place)
    }
}

fn program(name: &str) -> Result<PathBuf> {
    find(name).with_context(|| format!("there is no {name}"))
}

/// The libraries that the loader would bring to a program, and the loader.
fn libraries_of(program: &Path) -> Result<Vec<PathBuf>> {
    let list = run(Command::new("ldd").arg(program))?;
    let words = list.split_whitespace();
    Ok(words.filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}

fn run(command: &mut Command) -> Result<String> {
    let output =
        command.output().with_context(|| format!("{} does not start", command.get_program().display()))?;
    ensure!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
