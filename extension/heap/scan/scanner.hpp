// What the copy of the process does: it looks for pointers into retired segments in all its memory.
#pragma once

#include <cstdint>
#include <vector>

#include "heap/scan/dead_memory.hpp"
#include "heap/scan/kept_memory.hpp"
#include "heap/scan/page_vector.hpp"
#include "heap/scan/scan_report.hpp"
#include "heap/scan/stopped_world.hpp"

namespace firn::heap {

struct ScanTask {
  ScanReport& report;
  const StoppedWorld& world;
  const Caller caller;
  const std::vector<KeptMemory>& kept;
  const PageVector<char>& maps;      // of the process, as the system writes them
  const std::uintptr_t stack_begin;  // of the scanning process's own stack: nobody else's memory
  const std::uintptr_t stack_end;
};

// Changes what is dead in the memory of the calling process, which has to be a copy; allocates no
// memory that it would look through. Returns a ScanStatus, or ends the process with one.
int look_through(const ScanTask& task);

}  // namespace firn::heap
