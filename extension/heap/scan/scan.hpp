// Which retired segments nothing points into any more: a scan of all writable memory, in a copy of
// the process.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "heap/scan/cleared_memory.hpp"
#include "heap/scan/kept_memory.hpp"
#include "heap/scan/scan_report.hpp"

namespace firn::heap {

struct ScanResult {
  std::vector<std::uint64_t> unreferenced;  // segments
  // Those to which nothing leads but what is kept for their values: see KeptMemory.
  std::vector<std::uint64_t> unreached;
  // What older segments the objects of a segment point into, of those of which that was not known.
  std::vector<std::pair<std::uint64_t, std::vector<std::uint64_t>>> refers;
  // Where the first pointer into a segment was found, for those that stay.
  std::vector<std::pair<std::uint64_t, std::uintptr_t>> holders;
  double stopped_seconds = 0;  // how long the threads stood still
  double seconds = 0;          // of the scanning process
  std::uint64_t bytes = 0;     // that were looked at
  std::string problem;         // why there is no result; empty: all is well
};

// A scan under way. The constructor stops all threads, copies the process as it is at that moment
// (fork, without anybody's fork handlers), and lets the threads go on: nothing that has no pointer
// to it at that moment ever gets one again. The copy scans its own memory and ends.
//
// Any thread; the locks of the arenas and of the segments must not be held, and only one scan be
// under way in the process. The GIL need not be held; with it, old pointers in free memory of the
// calling interpreter do not count. What is kept is what there is at this moment, or less.
class Scan {
 public:
  explicit Scan(const std::vector<KeptMemory>& kept);
  ~Scan();
  static void* operator new(std::size_t) { return ClearedMemory<Scan>().allocate(1); }
  static void operator delete(void* at) {
    ClearedMemory<Scan>().deallocate(static_cast<Scan*>(at), 1);
  }
  Scan(const Scan&) = delete;
  Scan& operator=(const Scan&) = delete;

  // Why the scan could not begin; empty: it is under way.
  const std::string& problem() const { return problem_; }

  // Waits for the end. Without the GIL.
  ScanResult finish();

 private:
  void start(void* interpreter, const std::vector<KeptMemory>& kept);

  ScanReport* report_ = nullptr;  // memory that the two processes share
  std::size_t report_bytes_ = 0;
  pid_t process_ = -1;
  double stopped_seconds_ = 0;
  std::string problem_;
};

}  // namespace firn::heap
