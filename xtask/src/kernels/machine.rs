//! A virtual machine whose only file system is made of this host's programs and the kernel's modules.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::cargo::workspace;
use crate::kernels::debian::Kernel;
use crate::root::find;
use crate::setup::coredns;

/// Where the test programs are in the machine.
pub(crate) const TESTS: &str = "/tests";

/// How long one kernel may take, in seconds. Emulated on purpose: not every machine that has KVM has one that works, and
/// the verifier says the same.
const LIMIT: &str = "600";

/// The file system, but for what differs between kernels.
pub(crate) struct Machine {
    /// Of the host that it was put together in.
    directory: PathBuf,
    libraries: BTreeSet<PathBuf>,
}

/// What came of a boot.
pub(crate) struct Run {
    /// Whether the machine came to its end, and every command was a success.
    pub(crate) passed: bool,
    /// All that the machine printed.
    pub(crate) output: String,
}

impl Machine {
    /// Puts together what test programs need that start no other.
    pub(crate) fn new(tests: &[(String, PathBuf)]) -> Result<Self> {
        let directory = workspace()?.join("target/machine");
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        let mut machine = Self { directory, libraries: BTreeSet::new() };
        machine.put(&workspace()?.join("xtask/src/kernels/init.sh"), "/init")?;
        fs::set_permissions(machine.place("/init")?, Permissions::from_mode(0o755))?;
        machine.put(&program("busybox")?, "/bin/busybox")?;
        machine.write("/etc/passwd", "root:x:0:0:root:/:/bin/sh\n")?;
        for (name, test) in tests {
            machine.put_program(test, &format!("{TESTS}/{name}"))?;
        }
        Ok(machine)
    }

    /// Adds the agent, and programs that tests start beside it: each where it is here.
    pub(crate) fn add(&mut self, nsid: &Path, beside: impl IntoIterator<Item = &'static str>) -> Result<()> {
        for name in beside {
            let program = program(name)?;
            self.put_program(&program, &program.display().to_string())?;
        }
        self.put_program(nsid, "/nsid")
    }

    /// Adds the server that Debian has not.
    pub(crate) fn add_coredns(&self) -> Result<()> {
        self.put(&coredns::path()?, "/coredns")
    }

    /// Makes an archive of it, which every boot begins with.
    pub(crate) fn pack(&self) -> Result<()> {
        archive(&self.root(), &self.base())
    }

    /// The first file system for a kernel, in which commands are run, one a line; `purpose` tells it from others.
    pub(crate) fn initrd(&self, kernel: &Kernel, purpose: &str, commands: &str) -> Result<PathBuf> {
        // The kernel unpacks archives one after the other (Documentation/driver-api/early-userspace/buffer-format.rst).
        let own = self.directory.join(&kernel.release).join(purpose);
        for (place, module) in kernel.modules().iter().enumerate() {
            put(module, &own.join(format!("modules/{place:02}")))?;
        }
        fs::create_dir_all(&own)?;
        fs::write(own.join("commands"), commands)?;
        let (initrd, second) = (own.with_extension("initrd"), own.with_extension("cpio"));
        archive(&own, &second)?;
        fs::copy(self.base(), &initrd)?;
        io::copy(&mut File::open(second)?, &mut File::options().append(true).open(&initrd)?)?;
        Ok(initrd)
    }

    /// Boots a kernel and runs commands.
    pub(crate) fn boot(&self, kernel: &Kernel, commands: &str) -> Result<Run> {
        let initrd = self.initrd(kernel, "tests", commands)?;
        let output = Command::new("timeout")
            .args([LIMIT, "qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max"])
            .args(["-m", "1024", "-nographic", "-nodefaults", "-serial", "stdio", "-no-reboot", "-kernel"])
            .arg(kernel.image())
            .arg("-initrd")
            .arg(initrd)
            .args(["-append", "console=ttyS0 quiet panic=-1"])
            .stdin(Stdio::null())
            .output()
            .context("qemu does not start")?;
        let printed = [output.stdout, output.stderr].concat();
        let output = String::from_utf8_lossy(&printed).replace('\r', "");
        Ok(Run { passed: output.lines().any(|line| line == "all-tests: passed"), output })
    }

    fn root(&self) -> PathBuf {
        self.directory.join("root")
    }

    fn base(&self) -> PathBuf {
        self.directory.join("root.cpio")
    }

    /// Puts a program there, without its debug information, and the libraries that it is linked with.
    fn put_program(&mut self, file: &Path, to: &str) -> Result<()> {
        self.put(file, to)?;
        // Most of a test program is that.
        run(Command::new("strip").arg("--strip-debug").arg(self.place(to)?))?;
        for library in libraries_of(file)? {
            if self.libraries.insert(library.clone()) {
                self.put(&library, &library.display().to_string())?;
            }
        }
        Ok(())
    }

    fn put(&self, file: &Path, to: &str) -> Result<()> {
        put(file, &self.place(to)?)
    }

    fn write(&self, to: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.place(to)?, text)?)
    }

    fn place(&self, path: &str) -> Result<PathBuf> {
        let place = self.root().join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().context("a file lies in a directory")?)?;
        Ok(place)
    }
}

fn put(file: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a file lies in a directory")?)?;
    fs::copy(file, to).with_context(|| format!("{} cannot be copied", file.display()))?;
    Ok(())
}

/// Packs a directory in the format of the kernel's initial file system.
fn archive(directory: &Path, archive: &Path) -> Result<()> {
    let mut find = Command::new("find").current_dir(directory).stdout(Stdio::piped()).spawn()?;
    let names = find.stdout.take().context("find has no output")?;
    let mut cpio = Command::new(program("busybox")?);
    cpio.args(["cpio", "-o", "-H", "newc"]).current_dir(directory);
    let written = cpio.stdin(names).stdout(File::create(archive)?).stderr(Stdio::null()).status()?;
    ensure!(find.wait()?.success() && written.success(), "{} cannot be written", archive.display());
    Ok(())
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
