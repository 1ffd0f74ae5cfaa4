//! The memory that a run may take: what the system and its control group leave free.

/// The bytes of memory that this process may take without displacing other processes; `None` if
/// unknown. It is the minimum of the memory that the system has available and the memory that the
/// control group leaves.
#[must_use]
pub fn free_memory() -> Option<f64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let available = available(&read("/proc/meminfo")?)?;
    // Pages of files that are no longer mapped count as used, but are released when memory is
    // needed.
    let group = |[limit, used, statistics, reclaimable]: [&str; 4]| {
        let number = |path: &str| read(path)?.trim().parse::<f64>().ok();
        let cached = read(statistics).and_then(|text| field(&text, reclaimable)).unwrap_or(0.0);
        Some((number(limit)? - (number(used)? - cached).max(0.0)).max(0.0))
    };
    let second = group([
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory.current",
        "/sys/fs/cgroup/memory.stat",
        "inactive_file ",
    ]);
    let first = group([
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
        "total_inactive_file ",
    ]);
    Some([second, first].into_iter().flatten().fold(available, f64::min))
}

/// The limit of a run that sets none: three quarters of the free memory, or no limit if the free
/// memory is unknown.
#[must_use]
pub fn default_limit() -> f64 {
    free_memory().map_or(f64::INFINITY, |free| 0.75 * free)
}

/// The bytes of `MemAvailable` in Linux's `meminfo`.
fn available(meminfo: &str) -> Option<f64> {
    field(meminfo, "MemAvailable:").map(|kibibytes| 1024.0 * kibibytes)
}

/// The number after `name` at the start of a line, with or without the unit `kB`.
fn field(text: &str, name: &str) -> Option<f64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().trim_end_matches("kB").trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_is_read() {
        let text = "MemTotal:       24689764 kB\nMemAvailable:   23068672 kB\n";
        assert_eq!(available(text), Some(23_068_672.0 * 1024.0));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
        assert_eq!(field("anon 7\ninactive_file 4096\n", "inactive_file "), Some(4096.0));
        assert_eq!(available("MemAvailable: many kB\n"), None);
        if cfg!(target_os = "linux") {
            assert!(free_memory().is_some_and(|free| free > 0.0));
        }
        assert!(default_limit() > 0.0);
    }
}
