#include "heap/cpus.hpp"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>
#include <string>

namespace firn::heap {
namespace {

std::optional<double> quota_v2(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  double quota = 0, period = 0;
  // Without a limit the first word is "max", which is no number.
  if (!(file >> quota >> period) || quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

std::optional<double> quota_v1(const std::string& folder) {
  double quota = 0, period = 0;
  if (!(std::ifstream(folder + "/cpu.cfs_quota_us") >> quota) || quota <= 0) return std::nullopt;
  if (!(std::ifstream(folder + "/cpu.cfs_period_us") >> period) || period <= 0) return std::nullopt;
  return quota / period;
}

/// The smallest quota from the process's own group up to the mount point. In a container the path
/// may name a group outside it; then only the mount point itself is found.
template <typename Quota>
double smallest(const std::string& mount, std::string path, Quota quota, double least) {
  for (;;) {
    if (const auto found = quota(mount + (path == "/" ? "" : path)))
      least = std::min(least, *found);
    if (path.empty() || path == "/") return least;
    path.resize(path.rfind('/'));
  }
}

}  // namespace

int cgroup_cpus() {
  double least = INFINITY;
  std::ifstream groups("/proc/self/cgroup");  // lines of hierarchy:controllers:path
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) {
      least = smallest("/sys/fs/cgroup", path, quota_v2, least);
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      least = smallest("/sys/fs/cgroup/" + controllers, path, quota_v1, least);
      least = smallest("/sys/fs/cgroup/cpu", path, quota_v1, least);
    }
  }
  return std::isinf(least) ? 0 : std::max(1, static_cast<int>(std::ceil(least)));
}

int usable_cpus() {
  static const int quota = cgroup_cpus();  // a dozen files: read once
  cpu_set_t cpus;
  const int own = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
  return std::max(1, quota == 0 ? own : std::min(own, quota));
}

}  // namespace firn::heap
