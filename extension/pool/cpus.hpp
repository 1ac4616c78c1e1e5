#pragma once

namespace firn::pool {

/// The CPUs' worth of time that the cgroups of this process may use (v1 and v2, every level up to
/// the root), rounded up, or 0 when nothing limits it.
int cgroup_cpus();

}  // namespace firn::pool
