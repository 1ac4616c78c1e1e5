#include "history.hpp"

namespace firn::kernel {

nl::json History::get_tail_impl(int n, bool raw, bool output) const {
  return python_.answer({{"hist_access_type", "tail"}, {"n", n}, {"raw", raw}, {"output", output}});
}

nl::json History::get_range_impl(int session, int start, int stop, bool raw, bool output) const {
  return python_.answer({{"hist_access_type", "range"},
                         {"session", session},
                         {"start", start},
                         {"stop", stop},
                         {"raw", raw},
                         {"output", output}});
}

nl::json History::search_impl(const std::string& pattern, bool raw, bool output, int n,
                              bool unique) const {
  return python_.answer({{"hist_access_type", "search"},
                         {"pattern", pattern},
                         {"n", n},
                         {"raw", raw},
                         {"output", output},
                         {"unique", unique}});
}

}  // namespace firn::kernel
