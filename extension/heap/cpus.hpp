#pragma once

namespace firn::heap {

/// The CPUs' worth of time that the cgroups of this process may use (v1 and v2, every level up to
/// the root), rounded up, or 0 when nothing limits it.
int cgroup_cpus();

/// How many threads may run at once: the process's CPUs (its affinity mask) and the quota of its
/// cgroups.
int usable_cpus();

}  // namespace firn::heap
