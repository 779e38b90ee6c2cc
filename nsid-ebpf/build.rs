//! Arguments of bpf-linker that aya-build does not pass.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Two bytes of a packet are loaded at once wherever they lie: the kernel's JITs do so too
    // (CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS), and the walk of a message takes a tenth less time.
    println!("cargo::rustc-link-arg-bins=--cpu-features=+allows-misaligned-mem-access");
}
