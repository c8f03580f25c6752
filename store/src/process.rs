//! Whether a process of this machine is gone. Elsewhere only silence tells.
//!
//! A process is named by the boot of its kernel, its namespace of process ids, its id and when it started (proc(5)): ids come again, all four together don't.

use std::path::Path;

/// The name of this process, where the system has one.
pub(crate) fn this() -> Option<String> {
    std::fs::read_link("/proc/self").ok().filter(|link| *link == Path::new(&std::process::id().to_string()))?;
    let (started, _) = look(std::process::id())?;
    Some(format!("{} {} {started}", machine()?, std::process::id()))
}

/// Whether a process of that name is gone for sure.
pub(crate) fn is_gone(name: &str) -> bool {
    let mut parts = name.rsplitn(3, ' ');
    let (started, id, of) = (parts.next(), parts.next().and_then(|id| id.parse().ok()), parts.next());
    let (Some(started), Some(id), Some(of), Some(here)) = (started, id, of, machine()) else { return false };
    // Others' processes may be hidden (hidepid), or be those of another namespace.
    let is_shown = Path::new("/proc/1/stat").exists()
        && std::fs::read_link("/proc/self").is_ok_and(|link| link == Path::new(&std::process::id().to_string()));
    if of != here || !is_shown {
        return false;
    }
    match look(id) {
        Some((found, state)) => found != started || matches!(state, 'Z' | 'X'),
        None => !Path::new(&format!("/proc/{id}")).exists(),
    }
}

/// The kernel's boot and the namespace in which ids of processes are counted.
fn machine() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.to_str()?))
}

/// When a process started, in the kernel's ticks, and its state.
fn look(id: u32) -> Option<(String, char)> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The program's name stands in brackets, and may hold any characters.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((fields.nth(18)?.to_owned(), state))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_process_is_gone_once_it_has_ended_and_not_because_it_is_unknown() {
        let name = this().unwrap();
        assert!(!is_gone(&name));
        let (rest, started) = name.rsplit_once(' ').unwrap();
        assert!(is_gone(&format!("{rest} {}", started.parse::<u64>().unwrap() + 1)), "its id belongs to another one");
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let (started, _) = look(child.id()).unwrap();
        let child_name = format!("{} {} {started}", machine().unwrap(), child.id());
        assert!(!is_gone(&child_name));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_gone(&child_name));
        assert!(
            !is_gone(&format!("another-boot pid:[1] {} {started}", child.id())),
            "of other machines nothing is known"
        );
        assert!(!is_gone("") && !is_gone("a b") && !is_gone("a b x y"));
    }
}
