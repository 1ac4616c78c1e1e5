#pragma once

#include <memory>

namespace firn::pool {

class Scheduler;

/// Makes `shutdown` close this pool too when Python exits. Main interpreter's GIL held.
void close_at_exit(const std::shared_ptr<Scheduler>& scheduler);
/// An exit handler of Python's. Main interpreter's GIL held.
void shutdown();
[[noreturn]] void sleep_for_ever();

}  // namespace firn::pool
