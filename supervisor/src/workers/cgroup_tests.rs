use super::*;
use tempfile::TempDir;

const ME: i32 = 77;

/// A tree of files as the kernel would show it to the owner of a delegated group.
fn tree(controllers: &str, processes: &str) -> (TempDir, Group) {
    let tree = tempfile::tempdir().unwrap();
    std::fs::write(tree.path().join("cgroup.controllers"), controllers).unwrap();
    std::fs::write(tree.path().join("cgroup.procs"), processes).unwrap();
    std::fs::write(tree.path().join("cgroup.subtree_control"), "").unwrap();
    add(&tree, OWN, &["cgroup.procs"]);
    let group = Group::fake(tree.path());
    (tree, group)
}

/// A group within, with files that are empty.
fn add(tree: &TempDir, name: &str, files: &[&str]) {
    std::fs::create_dir(tree.path().join(name)).unwrap();
    for file in files {
        std::fs::write(tree.path().join(name).join(file), "").unwrap();
    }
}

fn text(tree: &TempDir, path: &str) -> String {
    std::fs::read_to_string(tree.path().join(path)).unwrap()
}

const FILES: [&str; 8] = [
    "cgroup.procs",
    "cgroup.kill",
    "memory.max",
    "memory.swap.max",
    "memory.oom.group",
    "memory.events",
    "pids.max",
    "cpu.max",
];

#[test]
fn a_delegated_group_is_taken_with_ourselves_in_a_leaf_before_its_controllers_are_passed_on() {
    let (tree, group) = tree("cpuset cpu io memory pids\n", "77\n");
    take(&group, ME).unwrap();
    assert_eq!(text(&tree, "supervisor/cgroup.procs"), "77");
    assert_eq!(text(&tree, "cgroup.subtree_control"), "+memory +pids +cpu");
}

#[test]
fn what_cannot_be_ours_is_left_untouched_and_the_reason_names_the_way_out() {
    let refused = |controllers, processes| {
        let (tree, group) = tree(controllers, processes);
        let why = take(&group, ME).unwrap_err();
        assert_eq!(text(&tree, "supervisor/cgroup.procs"), "");
        assert_eq!(text(&tree, "cgroup.subtree_control"), "");
        why
    };
    assert!(refused("hugetlb\n", "77\n").contains("no controllers memory, pids, cpu here: Delegate=yes"));
    assert!(refused("cpu pids memory_x\n", "77\n").contains("no controllers memory here"));
    assert!(refused("memory pids cpu\n", "1\n77\n78\n").contains("2 other processes"));
}

#[test]
fn groups_of_an_earlier_run_are_killed_and_no_others() {
    let (tree, group) = tree("memory pids cpu", "77\n");
    add(&tree, "worker-echo", &["cgroup.kill"]);
    add(&tree, "workers", &["cgroup.kill"]);
    add(&tree, "other.service", &["cgroup.kill"]);
    take(&group, ME).unwrap();
    let killed = ["worker-echo", "workers", "other.service"].map(|name| text(&tree, &format!("{name}/cgroup.kill")));
    assert_eq!(killed, ["1", "", ""]);
}

#[test]
fn a_worker_is_moved_in_when_its_limits_are_set() {
    let (tree, group) = tree("memory pids cpu", "");
    add(&tree, "worker-echo", &FILES);
    std::fs::write(tree.path().join("worker-echo/memory.events"), "low 0\nmax 9\noom 3\noom_kill 2\n").unwrap();
    let limits = Limits { memory_mib: 100, cpu_percent: 150, ..Limits::default() };
    let groups = Cgroups(Ok(Arc::new(group)));
    let member = groups.enter(&"echo".parse().unwrap(), PluginKind::Native, &limits, 123);
    let report = member.report();
    assert_eq!(report.state, LayerState::Active, "{report:?}");
    assert_eq!(report.detail, "132 MiB of memory, no swap, 64 threads, 150 % of a core at most");
    let written = FILES.map(|file| text(&tree, &format!("worker-echo/{file}")));
    let [procs, kill, max, swap, oom, _, pids, cpu] = written.each_ref().map(String::as_str);
    assert_eq!((procs, kill, max, swap), ("123", "", "138412032", "0"));
    assert_eq!((oom, pids, cpu), ("1", "64", "150000 100000"));

    assert_eq!(member.out_of_memory(), None, "those two were an earlier worker's");
    std::fs::write(tree.path().join("worker-echo/memory.events"), "oom 4\noom_kill 3\noom_group_kill 1\n").unwrap();
    std::fs::write(tree.path().join("worker-echo/memory.peak"), "138412032\n").unwrap();
    let evidence = member.out_of_memory().unwrap();
    assert_eq!(evidence, "the kernel ended it at 132 MiB (memory.max), at most 135168 KiB were used");
    drop(member);
    assert_eq!(text(&tree, "worker-echo/cgroup.kill"), "1");
}

#[test]
fn a_group_that_takes_no_limits_holds_no_worker_and_the_file_is_named() {
    let (tree, group) = tree("memory pids cpu", "");
    add(&tree, "worker-echo", &["cgroup.procs", "memory.max"]);
    let member =
        Cgroups(Ok(Arc::new(group))).enter(&"echo".parse().unwrap(), PluginKind::Wasm, &Limits::default(), 123);
    assert_eq!(text(&tree, "worker-echo/cgroup.procs"), "");
    let report = member.report();
    assert_eq!(report.state, LayerState::Unavailable);
    assert!(report.detail.contains("memory.oom.group"), "swap is not counted everywhere: {report:?}");
    assert_eq!(member.out_of_memory(), None);
}

#[test]
fn the_processor_is_capped_at_a_core_at_least_and_without_a_budget_not_at_all() {
    let cpu = |cpu_percent| settings(1, &Limits { cpu_percent, ..Limits::default() })[4].1.clone();
    assert_eq!([cpu(1), cpu(50), cpu(400), cpu(0)], ["100000 100000", "100000 100000", "400000 100000", "max 100000"]);
}

#[test]
fn within_its_own_leaf_the_group_above_is_meant() {
    assert_eq!(holder(Path::new("a/midimon.service/supervisor")), Path::new("a/midimon.service"));
    assert_eq!(holder(Path::new("a/midimon.service")), Path::new("a/midimon.service"));
    assert_eq!(holder(Path::new("")), Path::new(""));
}

#[test]
fn texts_of_the_kernel_are_read_or_count_as_nothing() {
    assert_eq!(count("oom 1\noom_kill 7\n", "oom_kill"), 7);
    assert_eq!(count("oom_group_kill 7\noom_killer 3\n", "oom_kill"), 0);
    assert_eq!(count("oom_kill x\n", "oom_kill"), 0);
}

#[test]
fn probing_this_machine_changes_nothing_and_says_what_it_found() {
    let before = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let report = Cgroups::probe();
    assert_eq!(report.layer, Layer::Cgroup);
    assert!(!report.detail.is_empty() && report.detail.len() <= midimon_shared::sandbox::MAX_DETAIL, "{report:?}");
    assert_eq!(std::fs::read_to_string("/proc/self/cgroup").unwrap(), before);
}
